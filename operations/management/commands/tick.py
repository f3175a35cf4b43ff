"""manage.py tick: one round of everything that must happen by itself."""

import logging
import sys

from django.core.management.base import BaseCommand
from django.db import DatabaseError


class Command(BaseCommand):
    help = (
        "Do one round in this process of what must happen by itself: duties of schedules, new exports, alerts, "
        "messages, payments into the figures. For cron where there is no Redis: every five minutes."
    )
    requires_system_checks = []

    def handle(self, **options):
        from operations import tick

        logging.getLogger("operations").setLevel(logging.ERROR)  # the lines below say the same
        try:
            said = tick.run()
        except DatabaseError as error:
            self.stderr.write(f"The database can't be used ({type(error).__name__}): `manage.py migrate` sets it up.")
            sys.exit(1)
        for line in said or ["Nothing was left to do."]:
            self.stdout.write(line)
        if any(line.endswith(tick.BROKEN) for line in said):
            sys.exit(1)  # whoever watches cron's mail is to see it
