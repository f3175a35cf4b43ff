"""manage.py metrics: any figures by period, on the terminal, as CSV or as JSON."""

import csv
import json
import sys

from django.core.management.base import BaseCommand, CommandError

NUMBERS = {"count": "{:,.0f}", "money": "{:,.2f}", "share": "{:.1%}", "days": "{:.1f}", "ratio": "{:,.2f}"}


class Command(BaseCommand):
    help = "Print metrics by period. Without names: all that this grain and split have."
    requires_system_checks = []  # it only reads; what is wrong with the settings is the refresh's to say

    def add_arguments(self, parser):
        from analytics.queries import GRAINS, SPLITS

        parser.add_argument("names", nargs="*", metavar="NAME", help="metrics, as in docs/metrics.md")
        parser.add_argument("--by", default="month", choices=GRAINS, help="the grain of the periods (month)")
        parser.add_argument("--split", choices=SPLITS, help="a row a period and value of this")
        parser.add_argument("--since", help="the first period: 2025-01, 2025-W07, 2025-Q1 or 2025-01-31")
        parser.add_argument("--until", help="the last period; without it the last closed one")
        parser.add_argument("--store", help="one store alone: Moon Walk")
        parser.add_argument("--area", help="one area alone: Inside Abu Dhabi")
        parser.add_argument("--format", default="table", choices=("table", "csv", "json"), dest="form")

    def handle(self, *, names, by, split, since, until, store, area, form, **options):
        from analytics import queries
        from analytics.metrics import METRICS, UnknownMetric
        from etl.errors import MoonwalkError

        if not names:
            names = [m.name for m in METRICS.values() if by in m.grains and (not split or split in m.splits)]
        try:
            snapshot = queries.current()
            frame = snapshot.query(
                names, by, split=split, since=since, until=until, filters=queries.Filters(store=store, area=area)
            )
            still_open = set(snapshot.periods(by).filter(~_closed())["period"])
        except UnknownMetric as error:
            raise CommandError(str(error), returncode=2) from None
        except queries.QueryError as error:
            raise CommandError(str(error), returncode=2) from None
        except MoonwalkError as error:
            raise CommandError(str(error)) from None
        if form == "json":
            self.stdout.write(json.dumps(as_nested(frame, split), indent=1))
        elif form == "csv":
            writer = csv.writer(self.stdout, lineterminator="\n")
            writer.writerow(frame.columns)
            writer.writerows(frame.iter_rows())
        else:
            self._table(frame, split, still_open, snapshot.meta()["currency"])

    def _table(self, frame, split, still_open, currency):
        """Periods across and metrics down, so that a year fits on a screen and a hundred metrics can be scrolled."""
        from rich.console import Console
        from rich.table import Table

        from analytics.metrics import METRICS

        console = Console(file=sys.stdout if self.stdout._out is sys.stdout else self.stdout._out)
        names = [c for c in frame.columns if c not in ("period", split)]
        for value in frame[split].unique(maintain_order=True) if split else [None]:
            rows = frame.filter(frame[split] == value) if split else frame
            rows = rows.tail(max(1, (console.width - 44) // 13))
            table = Table(title=value, title_justify="left")
            table.add_column("metric", no_wrap=True)
            table.add_column("unit", no_wrap=True)
            for period in rows["period"]:
                table.add_column(period + (" so far" if period in still_open else ""), justify="right", no_wrap=True)
            for name in names:
                unit = METRICS[name].unit
                cells = ["–" if v is None else NUMBERS[unit].format(v) for v in rows[name]]
                table.add_row(name, currency if unit == "money" else unit, *cells)
            console.print(table)
        periods = frame["period"].n_unique()
        if names and rows.height < periods:
            console.print(f"The last {rows.height} of {periods} periods fit on this screen; --format csv has all.")


def _closed():
    import polars as pl

    return pl.col("closed")


def as_nested(frame, split) -> dict:
    """{period: {metric: value}}, with a split {period: {value: {metric: value}}}."""
    nested: dict = {}
    for row in frame.iter_rows(named=True):
        period = nested.setdefault(row.pop("period"), {})
        (period.setdefault(row.pop(split), {}) if split else period).update(row)
    return nested
