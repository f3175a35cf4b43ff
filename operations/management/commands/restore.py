"""manage.py restore: a backup, back into an installation."""

import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError

from etl.errors import MoonwalkError


class Command(BaseCommand):
    help = (
        "Bring a backup back, all or nothing, into an empty installation; stop server, worker and clock first. Exit "
        "code 0: done; 1: nothing was changed, the sentence says why."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="what `manage.py backup` wrote")
        parser.add_argument("--force", action="store_true", help="replace all that this installation holds")

    def handle(self, *, file, force, **options):
        from operations import backup
        from operations.management.bars import bar

        source = Path(file)
        if not source.is_file():
            self.stderr.write(f"There is no file {source}.")
            sys.exit(2)
        try:
            with bar() as tell:
                found = backup.restore(source, force=force, tell=tell)
        except MoonwalkError as error:
            self.stderr.write(str(error))
            sys.exit(1)
        except DatabaseError as error:
            self.stderr.write(f"The database can't be written ({type(error).__name__}). Nothing was changed.")
            sys.exit(1)
        self.stdout.write(
            f"Restored the backup of {found['made']}: {found['rows']:,} rows, live build {found['build'] or 'none'}. "
            "Everybody signs in again."
        )
        for note in found["notes"]:
            self.stderr.write(note)
