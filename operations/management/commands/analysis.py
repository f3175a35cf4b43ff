"""manage.py analysis: who comes back, who is worth what, who owes: on the terminal, as CSV or as JSON."""

import csv
import json
import os
import sys
from dataclasses import dataclass

from django.core.management.base import BaseCommand, CommandError

from operations.management.commands.metrics import NUMBERS

MONTHS = [str(i) for i in range(7)]
# What each tells, and whether it is of a period.
ANALYSES = {
    "retention": "active customers of each cohort month, months 0 to 6 after it (up to --period)",
    "rfm": "recency, frequency and revenue of a month's customers, and their segments",
    "clv": "simple customer lifetime value, over all time",
    "concentration": "customers of a period by revenue (--period may be a week, a quarter or a day)",
    "outstanding": "what is owed on the exports' date, to whom it is owed for longest and who owes most",
}
OF_NO_PERIOD = {"clv": "is over all time", "outstanding": "is of the exports' date"}
UNITS = {
    "customers": "count", "orders": "count", "frequency": "count", "rank": "count", "recency_days": "count",
    "days": "count", "r": "count", "f": "count", "m": "count", "months_since_cohort": "count",
    "revenue": "money", "balance": "money", "monetary": "money", "amount": "money", "receivables": "money",
    "overdue": "money", "not_yet_due": "money", "credit_sales": "money", "monthly_revenue": "money", "clv": "money",
    "share": "share", "cumulative_share": "share", "collection_effectiveness": "share",
    "dso": "days", "best_possible_dso": "days", "delinquent_days": "days", "months": "ratio",
}  # fmt: skip


class Command(BaseCommand):
    help = "Print an analysis. " + " ".join(f"{name}: {what}." for name, what in ANALYSES.items())
    requires_system_checks = []  # it only reads; what is wrong with the settings is the refresh's to say

    def add_arguments(self, parser):
        parser.add_argument("analysis", choices=ANALYSES, help="which one")
        parser.add_argument("--period", help="2026-02; without it the last closed month")
        parser.add_argument("--format", default="table", choices=("table", "csv", "json"), dest="form")

    def handle(self, *, analysis, period, form, **options):
        from analytics import queries
        from etl.errors import MoonwalkError

        if period and analysis in OF_NO_PERIOD:
            raise CommandError(f"{analysis} {OF_NO_PERIOD[analysis]}: leave --period out.", returncode=2)
        try:
            snapshot = queries.current()
            currency = snapshot.meta()["currency"]
            if analysis not in OF_NO_PERIOD:
                period = period or _last_closed_month(snapshot)
            found = ASKED[analysis](snapshot, period)
        except queries.QueryError as error:
            raise CommandError(str(error), returncode=2) from None
        except MoonwalkError as error:
            raise CommandError(str(error)) from None
        try:
            if form == "json":
                self.stdout.write(json.dumps(found.shape, indent=1))
            elif form == "csv":
                self._csv(found.rows)
            else:
                self._tables(found, currency)
            self.stdout.flush()
        except BrokenPipeError:  # `| head` has had enough; Python would complain once more as it closes the pipe
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _csv(self, frame):
        from etl.landing import escaped

        writer = csv.writer(self.stdout, lineterminator="\n")
        writer.writerow(frame.columns)
        for row in frame.iter_rows():  # a customer's name may look like a formula
            writer.writerow([escaped(v) if isinstance(v, str) else v for v in row])

    def _tables(self, found, currency):
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        console = Console(file=self.stdout._out)
        for title, frame in found.tables:
            table = Table(title=title, title_justify="left")
            units = [_unit(name, frame[name]) for name in frame.columns]
            for name, unit in zip(frame.columns, units, strict=True):
                sign = f" ({currency if unit == 'money' else unit})" if unit in ("money", "days") else ""
                table.add_column(name + sign, justify="right" if unit else "left")
            for row in frame.iter_rows():
                table.add_row(*(escape(_cell(v, unit)) for v, unit in zip(row, units, strict=True)))
            console.print(table)
        for note in found.notes:
            console.print(note, highlight=False)


@dataclass(frozen=True)
class Found:
    """What an analysis found: `shape` as JSON, `rows` (a frame) as CSV, `tables` (title, frame) with notes to read."""

    shape: dict
    rows: object
    tables: tuple
    notes: tuple[str, ...] = ()


def _unit(name: str, values) -> str | None:
    if name in MONTHS:
        return "share" if values.dtype.is_float() else "count"
    unit = UNITS.get(name)
    return "ratio" if unit == "count" and values.dtype.is_float() else unit  # a mean of counts


def _cell(value, unit: str | None) -> str:
    if value is None:
        return "–"
    return NUMBERS[unit].format(value) if unit else str(value)


def _last_closed_month(snapshot) -> str:
    from analytics.queries import QueryError

    closed = snapshot.periods("month", include_open=False)["period"]
    if closed.is_empty():
        raise QueryError("No month is over yet: name one with --period.")
    return closed[0]


def _grain(period: str) -> str:
    """The grain a period is written in: 2026-02, 2026-W07, 2026-Q1, 2026-02-14."""
    return {"W": "week", "Q": "quarter"}.get(period[5:6], "day" if len(period) == 10 else "month")


def retention(snapshot, period: str) -> Found:
    import polars as pl

    from analytics.queries import QueryError

    closed = snapshot.periods("month", include_open=False)["period"].reverse()
    if period not in closed:
        reach = f": choose one from {closed[0]} to {closed[-1]}." if len(closed) else "."
        raise QueryError(f"{period!r} is no month that is over{reach}")
    last = closed.index_of(period)
    cells = [
        (row["cohort_month"], since, row[str(since)], row[str(since)] / row["0"] if row["0"] else None)
        for i, row in enumerate(snapshot.cohorts().iter_rows(named=True))  # a row a closed month
        for since in range(len(MONTHS))
        if i + since <= last
    ]
    shape: dict = {}
    for month, since, customers, _ in cells:
        shape.setdefault(month, {})[str(since)] = customers
    rows = pl.DataFrame(cells, schema=["cohort_month", "months_since_cohort", "customers", "share"], orient="row")
    wide = [
        rows.pivot("months_since_cohort", index="cohort_month", values=what)
        for what in ("customers", "share")
    ]  # fmt: skip
    title = f"Active customers of each cohort, 0 to 6 months after it, up to {period}"
    return Found(shape, rows, ((title, wide[0]), ("The same as shares of month 0", wide[1])))


def rfm(snapshot, period: str) -> Found:
    if _grain(period) != "month":
        from analytics.queries import QueryError

        raise QueryError(f"{period!r} is no month: write one like 2026-02.")
    customers, segments = snapshot.rfm(period).sort("customer_id"), snapshot.segments(period)
    every = max(1, customers.height // 20)  # a sample across all of them, to compare with
    sample = customers.gather_every(every).head(20).select("customer_id", "recency_days", "frequency", "monetary")
    shape = {
        "period": period,
        "customers": customers.height,
        "sum_recency_days": customers["recency_days"].sum(),
        "sum_frequency": customers["frequency"].sum(),
        "sum_monetary": round(customers["monetary"].sum(), 2),
        "sample": [list(row) for row in sample.iter_rows()],
        "segments": {
            segment: [count, round(revenue, 2)]
            for segment, count, revenue in segments.select("segment", "customers", "revenue").iter_rows()
            if count
        },
    }
    columns = ("segment", "customers", "revenue", "recency_days", "frequency", "monetary")
    return Found(
        shape, customers,
        ((f"RFM segments, the 6 months to {period}", segments.select(columns)),),
        ("recency_days, frequency (orders) and monetary are means a customer. --format csv has every customer.",),
    )  # fmt: skip


def clv(snapshot, period: None) -> Found:
    import polars as pl

    shape = snapshot.clv()
    rows = pl.DataFrame([shape], schema=dict.fromkeys(shape, pl.Float64))
    shown = rows.rename({"avg_monthly_rev": "monthly_revenue", "avg_lifespan": "months", "simple_clv": "clv"})
    return Found(
        shape, rows, (("Simple CLV: revenue a month x months as a customer", shown),), ("A rough guide.",)
    )  # fmt: skip


def concentration(snapshot, period: str) -> Found:
    found = snapshot.concentration(_grain(period), period)
    shape = {
        "customers": found.height,
        "revenue": round(found["revenue"].sum(), 2),
        "top20": found["revenue"].head(20).to_list(),
    }
    title = f"The 20 customers of {period} with the highest revenue, of {found.height:,}"
    return Found(shape, found, ((title, found.head(20)),), ("--format csv has every customer.",))


def outstanding(snapshot, period: None) -> Found:
    import polars as pl

    from analytics import receivables

    ledger = snapshot.ledger()
    shape = receivables.summary(ledger.orders, ledger.as_of)
    aging = pl.DataFrame(
        [(name, *what) for name, what in [*shape["aging"].items(), ("all", [shape["orders"], shape["amount"]])]],
        schema=["placed", "orders", "amount"], orient="row",
    )  # fmt: skip
    debtors = receivables.largest_debtors(ledger.orders).drop(receivables.AGING)
    oldest = receivables.oldest_orders(ledger.orders, n=ledger.orders.height)
    currency = snapshot.meta()["currency"]
    count, amount = receivables.business_accounts(ledger)
    notes = (f"Business accounts, apart: {count:,} unpaid orders, {amount:,.2f} {currency}.",)
    return Found(
        shape, oldest,
        ((f"Outstanding on {ledger.as_of}", aging), ("How fast money comes in", _performance(ledger, currency)),
         ("Who owes most", debtors), ("Open for longest", oldest.head(20))),
        notes + ((f"No collection effectiveness: {ledger.why}",) if ledger.why else ()),
    )  # fmt: skip


def _performance(ledger, currency: str):
    """receivables.performance() with figures down and stores across, so that it fits on a screen."""
    import polars as pl

    from analytics import receivables

    found = receivables.performance(ledger)
    rows = [
        (name, currency if UNITS[name] == "money" else UNITS[name], *(_cell(v, UNITS[name]) for v in found[name]))
        for name in found.columns[1:]
        if name in UNITS
    ]
    return pl.DataFrame(rows, schema=["figure", "unit", *found["store"]], orient="row")


ASKED = {
    "retention": retention,
    "rfm": rfm,
    "clv": clv,
    "concentration": concentration,
    "outstanding": outstanding,
}
