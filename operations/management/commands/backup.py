"""manage.py backup: everything that can't be made again, in one file."""

import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError

from etl.errors import MoonwalkError


class Command(BaseCommand):
    help = (
        "Write database, kept exports, builds and rows set aside into one file; encrypted when MOONWALK_BACKUP_KEY is "
        "set. Exit code 0: done; 1: not made, the sentence says why."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--out", metavar="PLACE", help="a file, or a folder (default: <data folder>/backups)")
        parser.add_argument("--keep", type=int, metavar="N", help="then remove all but the newest N of that folder")

    def handle(self, *, out, keep, **options):
        from operations import backup
        from operations.management.bars import bar

        if keep is not None and keep < 1:
            self.stderr.write("--keep is how many backups stay: 1 or more.")
            sys.exit(2)
        target = backup.default_file() if out is None else Path(out)
        if target.is_dir() or (out or "").endswith("/"):
            target = target / backup.default_file().name
        try:
            with bar() as tell:
                made = backup.make(target, tell)
        except MoonwalkError as error:
            self.stderr.write(str(error))
            sys.exit(1)
        except DatabaseError as error:
            self.stderr.write(f"The database can't be read ({type(error).__name__}).")
            sys.exit(1)
        self.stdout.write(
            f"Backed up to {target}: {made['rows']:,} rows, {made['files']:,} files, {made['bytes'] / 1e6:,.1f} MB, "
            f"{'encrypted' if made['encrypted'] else 'NOT ENCRYPTED'}."
        )
        if not made["encrypted"]:
            self.stderr.write(
                "It holds customers' names and phones for whoever opens it: set MOONWALK_BACKUP_KEY to encrypt it. "
                "The key that signs sessions and share links was left out for that reason."
            )
        for old in backup.prune(target.parent, keep) if keep else ():
            self.stdout.write(f"Removed {old.name}.")
