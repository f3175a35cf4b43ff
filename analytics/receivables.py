"""What customers owe, from the open orders of one day: totals, aging, debtors, DSO and collection effectiveness.

Pure functions over one Ledger, which queries.ledger() reads in one question. Sums are exact DECIMALs; what is handed
out is plain numbers in the business's currency.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import polars as pl

AGING = ("0-30 days", "31-60 days", "61-90 days", "over 90 days")
LAST_DAYS = (30, 60, 90)  # the last day of each bucket but the last
DAYS = 90  # DSO looks at credit sales of so many days, and collection effectiveness back to about so long ago
REACH = 30  # a record so many days nearer or further still serves as its start
NOTHING = Decimal(0)


@dataclass(frozen=True)
class Ledger:
    """The open orders of consumers on `as_of`, and what is needed to judge them.

    orders: order_id, customer_id, name (the ID where it is unknown), store, placed (the day earned where that is
    unknown), due, days (since placed), bucket (0..3, see AGING), balance; the oldest first. credit_sales and
    credit_sales_since: a store's, of the last DAYS days and since the day after `start`. business: a store's unpaid
    earned orders of business accounts, (count, sum). records: as_of, store, total, not_yet_due of the runs on record,
    this one's included. start: the day of the record that collection effectiveness starts from, None with its `why`.
    stores: those to judge, the whole first unless one was asked for.
    """

    as_of: date
    whole: str
    stores: tuple[str, ...]
    orders: pl.DataFrame
    credit_sales: dict[str, Decimal]
    credit_sales_since: dict[str, Decimal]
    business: dict[str, tuple[int, Decimal]]
    records: pl.DataFrame
    start: date | None
    why: str = ""

    def of(self, store: str) -> pl.DataFrame:
        """The open orders of a store, or of the whole."""
        return self.orders if store == self.whole else self.orders.filter(pl.col("store") == store)


# Open orders -----------------------------------------------------------------------------------------------------


def bucket_of(days: int) -> int:
    """The place in AGING of an order placed so many days ago."""
    return bisect_left(LAST_DAYS, days)


def bucket() -> pl.Expr:
    """bucket_of() of a column `days`."""
    return sum((pl.col("days") > last for last in LAST_DAYS), start=pl.lit(0, pl.Int8)).cast(pl.Int8)


def summary(orders: pl.DataFrame, as_of: date) -> dict:
    """{as_of, orders, amount, customers, aging: {bucket: [orders, amount]}}, every bucket there."""
    aging = {name: [0, 0.0] for name in AGING}
    for place, count, amount in orders.group_by("bucket").agg(pl.len(), pl.sum("balance")).iter_rows():
        aging[AGING[place]] = [count, float(amount)]
    return {
        "as_of": as_of.isoformat(), "orders": orders.height, "amount": float(total(orders)),
        "customers": orders["customer_id"].n_unique(), "aging": aging,
    }  # fmt: skip


def total(orders: pl.DataFrame) -> Decimal:
    """What open orders owe together."""
    return orders["balance"].sum() or NOTHING


def overdue(orders: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Those past their due day. An order due on the day itself is not overdue yet."""
    return orders.filter(pl.col("due") < as_of)


def largest_debtors(orders: pl.DataFrame, n: int = 20) -> pl.DataFrame:
    """The n customers who owe most, then by customer ID.

    Columns: customer_id, name, orders, balance, oldest (its day placed), days (since then), and a column for what each
    bucket of AGING holds of the balance.
    """
    split = [pl.col("balance").filter(pl.col("bucket") == i).sum().alias(name) for i, name in enumerate(AGING)]
    return (
        orders.group_by("customer_id")
        .agg(
            pl.first("name"), pl.len().cast(pl.Int64).alias("orders"), pl.sum("balance"),
            pl.min("placed").alias("oldest"), pl.max("days"), *split,
        )  # fmt: skip
        .sort(["balance", "customer_id"], descending=[True, False])
        .head(n)
        .with_columns(pl.col("balance", *AGING).cast(pl.Float64))
    )


def oldest_orders(orders: pl.DataFrame, n: int = 20) -> pl.DataFrame:
    """The n orders open for longest, then by order ID: order_id, customer_id, name, store, placed, days, balance."""
    columns = ("order_id", "customer_id", "name", "store", "placed", "days", "balance")
    return orders.sort(["placed", "order_id"]).head(n).select(columns).with_columns(pl.col("balance").cast(pl.Float64))


def business_accounts(ledger: Ledger) -> tuple[int, float]:
    """Count and sum of business accounts' unpaid earned orders: they are apart from all other figures here."""
    counts, sums = zip(*ledger.business.values(), strict=True) if ledger.business else ((), ())
    return sum(counts), float(sum(sums, NOTHING))


# DSO and collection effectiveness --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dso:
    """Days sales outstanding: as it is, at best (nothing overdue), and the delinquent difference. None: no sales."""

    days: float | None
    best_possible: float | None
    delinquent: float | None


def dso(receivables: Decimal, not_yet_due: Decimal, credit_sales: Decimal, days: int = DAYS) -> Dso:
    """Receivables / credit sales x days; at best, those not yet due / credit sales x days.

    Receivables 1.2 M, 0.8 M of it not yet due, credit sales 10 M in 365 days: 43.8, at best 29.2, delinquent 14.6.
    """
    if not credit_sales:
        return Dso(None, None, None)
    now, best = (float(owed * days / credit_sales) for owed in (receivables, not_yet_due))
    return Dso(now, best, float((receivables - not_yet_due) * days / credit_sales))


def collection_effectiveness(start: Decimal, credit_sales: Decimal, end: Decimal, not_yet_due: Decimal) -> float | None:
    """(start + credit sales - end) / (start + credit sales - not yet due at the end): 1 when all that was due came in.

    start, end: receivables at the start and the end of the time in which the credit sales were made. None when nothing
    was due.
    """
    due = start + credit_sales - not_yet_due
    return float((start + credit_sales - end) / due) if due else None


def start_of(days: Iterable[date], as_of: date) -> date | None:
    """Of the days on record the one nearest to DAYS before `as_of`, the earlier of two as near; None out of reach."""
    aim = as_of - timedelta(DAYS)
    near = sorted((abs((day - aim).days), day) for day in set(days) if abs((day - aim).days) <= REACH)
    return near[0][1] if near else None


def performance(ledger: Ledger) -> pl.DataFrame:
    """How fast money comes in, of each of the ledger's stores.

    Columns: store, receivables, not_yet_due, overdue, credit_sales (money), dso, best_possible_dso, delinquent_days
    (days), start_receivables, credit_sales_since (money), collection_effectiveness (share; null without a start).
    """
    rows = []
    for store in ledger.stores:
        orders = ledger.of(store)
        late = total(overdue(orders, ledger.as_of))
        owed, credit, since = total(orders), _of(ledger.credit_sales, ledger, store), None
        found = dso(owed, owed - late, credit)
        at_start = ledger.records.filter(pl.col("as_of").is_in([ledger.start]) & (pl.col("store") == store))["total"]
        effective = None
        if len(at_start):
            since = _of(ledger.credit_sales_since, ledger, store)
            effective = collection_effectiveness(at_start[0], since, owed, owed - late)
        rows.append((
            store, owed, owed - late, late, credit, found.days, found.best_possible, found.delinquent,
            at_start[0] if len(at_start) else None, since, effective,
        ))  # fmt: skip
    money = ("receivables", "not_yet_due", "overdue", "credit_sales", "start_receivables", "credit_sales_since")
    names = ("store", *money[:4], "dso", "best_possible_dso", "delinquent_days", *money[4:], "collection_effectiveness")
    numbers = [(row[0], *(None if v is None else float(v) for v in row[1:])) for row in rows]
    return pl.DataFrame(numbers, schema={n: pl.String if n == "store" else pl.Float64 for n in names}, orient="row")


def _of(by_store: dict[str, Decimal], ledger: Ledger, store: str) -> Decimal:
    return sum(by_store.values(), NOTHING) if store == ledger.whole else by_store.get(store, NOTHING)


def record(ledger: Ledger) -> list[dict]:
    """What a run keeps of its ledger, for those to come: as_of, store, total, not_yet_due, as text."""
    found = []
    for store in ledger.stores:
        orders = ledger.of(store)
        owed = total(orders)
        found.append({
            "as_of": ledger.as_of.isoformat(), "store": store, "total": f"{owed:.2f}",
            "not_yet_due": f"{owed - total(overdue(orders, ledger.as_of)):.2f}",
        })  # fmt: skip
    return found
