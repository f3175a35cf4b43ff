"""manage.py make_sample_exports: write invented exports to try Moonwalk with."""

import datetime as dt
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


class Command(BaseCommand):
    help = "Write invented, realistic exports (26 months of a laundry) into a folder, ready for refresh_data."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--out", required=True, metavar="DIR", help="folder to write into; made if absent")
        parser.add_argument("--scale", type=float, default=1, help="1 is about 37,000 rows, 100 is 3.7 million")
        parser.add_argument("--seed", type=int, default=1, help="the same seed, scale and dates give the same files")
        parser.add_argument("--until", type=_day, metavar="DATE", help="last day with orders (default: yesterday)")
        parser.add_argument("--messy", type=float, default=0, metavar="SHARE", help="share of dirty rows, e.g. 0.02")

    def handle(self, *, out, scale, seed, until, messy, **options):
        from rich.console import Console
        from rich.table import Table

        from etl.errors import MoonwalkError
        from etl.sample import make_exports

        try:
            summary = make_exports(Path(out), scale=scale, seed=seed, until=until, messy=messy)
        except MoonwalkError as error:
            raise CommandError(str(error), returncode=2) from error
        except OSError as error:
            raise CommandError(f"Can't write into {out}: {error}") from error
        table = Table(title=f"Sample exports of {summary.as_of}, from {summary.start} to {summary.until}")
        table.add_column("file")
        table.add_column("rows", justify="right")
        if messy:
            table.add_column("dirty rows", justify="right")
        for kind, path in summary.files.items():
            dirty = sum(n for name, n in summary.dirt.items() if name.startswith(f"{kind}."))
            table.add_row(path.name, f"{summary.rows[kind]:,}", *([f"{dirty:,}"] if messy else []))
        table.caption = f"in {summary.out_dir}"
        Console(file=self.stdout._out).print(table)
