"""manage.py targets FILE: monthly targets from a CSV, all of them or none."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = (
        "Write monthly targets from a CSV with the columns metric, month, store, target (docs/targets.md). Where a "
        "row is wrong nothing is written."
    )

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path, help="the CSV; without --dry-run its targets replace those there are")
        parser.add_argument("--dry-run", action="store_true", help="only check it and say what would change")

    def handle(self, *, file: Path, dry_run: bool, **options):
        from analytics import target_files, targets

        try:
            data = file.read_bytes()
        except OSError as error:
            raise CommandError(f"{file} can't be read: {error.strerror}.", returncode=2) from None
        found = target_files.check(data)
        if found.faults:
            raise CommandError("\n".join(["Nothing was written.", *map(str, found.faults)]), returncode=2)
        if not dry_run:
            targets.targets_save(found.rows, user=None)
        self.stdout.write(f"{'Would write' if dry_run else 'Written'}: {found.summary}.")
