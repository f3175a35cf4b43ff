"""manage.py board_report: the board report of a closed month or week, of all stores or of one, as a PDF."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Write the board report of a closed month or week as a PDF."
    requires_system_checks = []  # it only reads; what is wrong with the settings is the refresh's to say

    def add_arguments(self, parser):
        parser.add_argument("--period", help="2026-02 or 2026-W07; without it the last closed month")
        parser.add_argument("--store", help="one store alone: Moon Walk; without it the whole business")
        parser.add_argument("--out", type=Path, help="the file, or the folder for board-report-2026-02.pdf (this one)")

    def handle(self, *, period, store, out, **options):
        from analytics import queries, report
        from etl.errors import MoonwalkError

        try:
            snapshot = queries.current()
            _, chosen = report.period_of(snapshot, period)
            store = report.store_of(snapshot, store)
            made = report.board_report(snapshot, chosen.key, store)
        except queries.QueryError as error:
            raise CommandError(str(error), returncode=2) from None
        except MoonwalkError as error:
            raise CommandError(str(error)) from None
        out = out or Path()
        out = out / report.file_name(chosen.key, store) if out.is_dir() else out
        try:
            out.write_bytes(made)
        except OSError as error:
            raise CommandError(f"{out} can't be written: {error.strerror}.") from None
        self.stdout.write(f"{out}: the board report of {chosen.name}{f', {store} alone' if store else ''}.")
