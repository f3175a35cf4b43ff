"""manage.py demo: everything a newcomer needs to look around: database, sample exports, figures, people."""

import json
import logging
import os
import secrets
from datetime import date, timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

# user name -> the role (a group) it shows; None: superuser
PEOPLE = {"admin": None, "manager": "Management", "sales": "Sales", "operations": "Operations", "finance": "Finance",
          "desk": "Desk"}  # fmt: skip
STAMP = ".sample.json"  # beside sample exports: which files are ours to replace
FRESH_DAYS = 2


class Command(BaseCommand):
    help = (
        "Set up the demo: database, sample exports that end yesterday, a refresh, one user a role, a fortnight at the "
        "desk. May be called again: it does only what is missing. MOONWALK_DEMO_PASSWORD sets everybody's password."
    )
    requires_system_checks = []

    def handle(self, **options):
        logging.getLogger("operations").setLevel(logging.WARNING)
        self._say("Preparing the database")
        call_command("migrate", verbosity=0)
        self._sample_exports(settings.EXPORTS_DIR)
        published = self._refresh()
        self._people()
        if published:
            self._desk(settings.EXPORTS_DIR)

    def _say(self, words: str) -> None:
        self.stdout.write(f"- {words}")

    def _sample_exports(self, folder: Path) -> None:
        """Make sample exports, unless fresh ones or somebody's own are there."""
        stamp = folder / STAMP
        made = json.loads(stamp.read_text()) if stamp.exists() else None
        if made is None and folder.is_dir() and any(folder.iterdir()):
            self._say(f"Using the exports in {folder}")
            return
        if made and (date.today() - date.fromisoformat(made["made"])).days < FRESH_DAYS:
            return
        if made and self._worked_on(date.fromisoformat(made["made"])):
            self._say(f"The exports stay as of {made['made']}: a new month is invented with other people, and the "
                      f"desk's work is on these. To begin anew, remove {settings.DATA_DIR}")  # fmt: skip
            return
        self._say(f"Inventing 26 months of a laundry's exports in {folder}")
        for name in made["files"] if made else ():
            (folder / Path(name).name).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        call_command("make_sample_exports", out=str(folder), scale=1, seed=1, verbosity=0)
        files = sorted(p.name for p in folder.iterdir() if p.name != STAMP)
        stamp.write_text(json.dumps({"made": date.today().isoformat(), "files": files}))

    def _worked_on(self, made: date) -> bool:
        """Is there work at the desk on exports whose last day is in another month than yesterday?"""
        from operations.models import FollowUp, Payment

        last, yesterday = (day - timedelta(days=1) for day in (made, date.today()))
        other = (last.year, last.month) != (yesterday.year, yesterday.month)
        return other and (Payment.objects.exists() or FollowUp.objects.exists())

    def _refresh(self) -> bool:
        """Is the exports folder's data what is live now?"""
        from operations.models import RefreshRun
        from operations.refresh import refresh

        last = RefreshRun.objects.filter(state=RefreshRun.State.PUBLISHED).exclude(exports_dir="").first()
        if last and Path(last.exports_dir) != Path(settings.EXPORTS_DIR):
            self._say(f"Your own data, from {last.exports_dir}, is live and stays; the demo's is not loaded over it")
            return False
        self._say("Refreshing the figures")
        run = refresh(trigger="command", sure=True)  # sample exports made on another day have other months
        if run.error:
            raise CommandError(f"The refresh {run.get_state_display()}: {run.error_for_output}")
        self._say(f"{run.get_state_display().capitalize()}: exports of {run.as_of}")
        return True

    def _desk(self, folder: Path) -> None:
        """The work of a fortnight at the desk, on exports that we invented ourselves and on nobody's own."""
        from operations.demo import furnish, set_targets

        stamp = folder / STAMP
        files = json.loads(stamp.read_text())["files"] if stamp.exists() else []
        if not files or {p.name for p in folder.iterdir()} - {STAMP, *files}:
            return
        if furnish(folder, files):
            self._say("A fortnight at the desk: calls, promises, payments")
            self._refresh()
        if set_targets():
            self._say("Targets of this month and the last")

    def _people(self) -> None:
        """One user a role. Passwords are printed once, when a user is made; a user that is there stays as it is."""
        users, given, made = get_user_model().objects, os.environ.get("MOONWALK_DEMO_PASSWORD"), []
        for name, role in PEOPLE.items():
            if users.filter(username=name).exists():
                continue
            password = given or secrets.token_urlsafe(9)
            user = users.create_user(name, password=password, is_superuser=role is None, is_staff=role is None)
            if role:
                user.groups.add(Group.objects.get(name=role))
            made.append((name, role or "superuser", password))
        if not made:
            self._say("The users are there already (a new password: manage.py changepassword NAME)")
            return
        self._say("Users, with the passwords that are shown this once:")
        for name, role, password in made:
            self.stdout.write(f"    {name:<12}{'(as given)' if given else password:<16}{role}")
