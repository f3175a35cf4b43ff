"""What changes between two builds: rows new, changed and gone; the figures of months that are over, and which orders
moved them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import duckdb
import polars as pl

from analytics import queries
from analytics.metrics import METRICS
from analytics.models import AlertRule

# Kind of export -> the rows that came of it: a key people know, and all that the export says of it. What Moonwalk works
# out (areas, cohorts, who is a business account) is left out: it changes with other files.
ROWS = {
    "customers": "SELECT customer_id AS key, hash(name, phone, email, store::VARCHAR, route, signed_up, b2b) "
    "AS content FROM customers WHERE in_export",
    "orders": "SELECT order_id AS key, hash(customer_id, store::VARCHAR, status, placed, ready_by, cleaned, collected, "
    "pickup_date, delivery, pieces, total, paid, payment_type::VARCHAR, payment_date) AS content FROM orders",
    # Lines have no number: a line that changed is one gone and one new of the same order.
    "items": "SELECT order_id AS key, hash(placed, item, section, quantity, total, express) AS content FROM items",
    "invoices": "SELECT order_id AS key, hash(customer_id, store::VARCHAR, payment_date, total, collections, "
    "payment_type::VARCHAR) AS content FROM sales WHERE kind <> 'Order'",
    "legacy": "SELECT order_id AS key, hash(customer_id, store::VARCHAR, placed, cleaned, collected, pickup_date, "
    "delivery, pieces, total, paid, payment_type::VARCHAR) AS content FROM sales WHERE source = 'Legacy'",
}

# Every order, subscription payment and business account's order of a build, and the month that it counts in, if any.
ORDERS = """
SELECT order_id, kind::VARCHAR AS kind, coalesce(s.store, o.store)::VARCHAR AS store, o.status,
    coalesce(s.total, o.total) AS total, strftime(s.earned_date, '%Y-%m') AS month, coalesce(o.b2b, false) AS business
FROM sales AS s FULL JOIN orders AS o USING (order_id)
WHERE kind IS DISTINCT FROM 'Invoice Payment'
"""
NOTHING = pl.lit(Decimal(0), dtype=pl.Decimal(12, 2))


@dataclass(frozen=True)
class Difference:
    """Rows of one kind that are new, changed or gone, and how many there were before."""

    new: int
    changed: int
    gone: int
    before: int


def rows(before: duckdb.DuckDBPyConnection | None, after: duckdb.DuckDBPyConnection) -> dict[str, Difference]:
    """The loaded rows of two builds by kind of export; without a build before, all are new."""
    return {kind: _difference(_counted(before, sql), _counted(after, sql)) for kind, sql in ROWS.items()}


def _counted(con: duckdb.DuckDBPyConnection | None, sql: str) -> pl.DataFrame:
    """key, content, n: how often a row stands there."""
    if con is None:
        return pl.DataFrame(schema={"key": pl.String, "content": pl.UInt64, "n": pl.Int64})
    return con.execute(f"SELECT key, content, count(*) AS n FROM ({sql}) GROUP BY ALL").pl()


def _difference(before: pl.DataFrame, after: pl.DataFrame) -> Difference:
    both = before.join(after, on=["key", "content"], how="full", coalesce=True, suffix="_after")
    more = pl.col("n_after").fill_null(0) - pl.col("n").fill_null(0)
    keys = both.group_by("key").agg(new=more.clip(lower_bound=0).sum(), gone=(-more).clip(lower_bound=0).sum())
    changed = keys.select(pl.min_horizontal("new", "gone").sum()).item()
    new, gone = (int(keys[column].sum()) for column in ("new", "gone"))
    return Difference(new - changed, int(changed), gone - changed, int(before["n"].sum()))


def closed_month_limit() -> Decimal:
    """By how many % a closed month's revenue may move before a person is asked; 1 where no rule says otherwise. A rule
    that is paused tells nobody, and its limit still counts."""
    rule = AlertRule.objects.filter(kind=AlertRule.Kind.CLOSED_MONTH, limit__isnull=False).first()
    return rule.limit if rule else Decimal(1)


def is_over(moved: dict, limit: Decimal) -> bool:
    """Does a row of closed_months() move by more than the limit? Out of nothing: always."""
    return moved["share"] is None or abs(moved["share"]) > limit


def closed_months(before: duckdb.DuckDBPyConnection, after: duckdb.DuckDBPyConnection) -> list[dict]:
    """Months that were over in the build before and whose revenue another build has otherwise, the newest first; of a
    month the whole business first, then each store that moved.

    Each a dict: month (2026-02), label (Feb 2026), store ("" for the whole business), metric ("revenue"); before,
    after, difference: money, 0 where a build has no such month; share: the difference in % of what the whole business
    earned in the month, None where that was nothing. So what goes from one store to another counts as well, and a small
    store's small corrections don't.
    """
    months = _months(before, after)
    was, now = (_revenue(con) for con in (before, after))
    found = []
    for month, store in sorted(was.keys() | now.keys(), key=lambda key: key[1]):
        old, new = was.get((month, store), Decimal(0)), now.get((month, store), Decimal(0))
        if month in months and old != new:
            found.append({
                "month": month, "label": months[month], "store": store, "metric": "revenue", "before": float(old),
                "after": float(new), "difference": float(new - old), "share": _percent(new - old, was.get((month, ""))),
            })  # fmt: skip
    return sorted(found, key=lambda row: row["month"], reverse=True)


def _percent(part: Decimal, of: Decimal | None) -> float | None:
    return float(part * 100 / abs(of)) if of else None


def figures(
    before: duckdb.DuckDBPyConnection, after: duckdb.DuckDBPyConnection, months: Iterable[str]
) -> list[dict]:
    """Every other figure of these months that two builds have otherwise, the newest month first.

    Each a dict: month, label, store (""), metric, before, after; None where there is no value. What the build before
    can't be asked (it was made by an earlier version) is left out.
    """
    labels = {month: label for month, label in _months(before, after).items() if month in set(months)}
    names = [name for name, metric in METRICS.items() if "month" in metric.grains and name != "revenue"]
    was, now = (_asked(con, names) for con in (before, after))
    found = []
    for month in sorted(labels, reverse=True):
        old, new = was.get(month, {}), now.get(month, {})
        found += [
            {"month": month, "label": labels[month], "store": "", "metric": name, "before": old.get(name),
             "after": new.get(name)}
            for name in names if name in _known(was) and _differ(old.get(name), new.get(name))
        ]  # fmt: skip
    return found


def orders(
    before: duckdb.DuckDBPyConnection, after: duckdb.DuckDBPyConnection, months: Iterable[str]
) -> pl.DataFrame:
    """The orders and subscription payments that move the revenue of these months, or its stores': the newest month
    first, of each those that move it most.

    Grain: an order in a month. Columns: moves (the month: 2026-02), order_id, was, now, difference (what it earns in
    that month: money, 0 where nothing; the differences of a month add up to what its revenue moves). And of either
    build, those of the later one ending in _after, null where it hasn't the order: kind, store, status, total, month
    (that it counts in; null: in none), business (of a business account, so that it counts in none).
    """
    both = _orders(before).join(_orders(after), on="order_id", how="full", coalesce=True, suffix="_after")
    each = pl.concat([both.with_columns(moves=pl.col(column)) for column in ("month", "month_after")])
    each = each.filter(pl.col("moves").is_in(list(months))).unique(["moves", "order_id"])
    each = each.with_columns(
        was=pl.when(pl.col("month") == pl.col("moves")).then("total").otherwise(NOTHING),
        now=pl.when(pl.col("month_after") == pl.col("moves")).then("total_after").otherwise(NOTHING),
    ).with_columns(difference=pl.col("now") - pl.col("was"))
    elsewhere = pl.col("store").ne_missing(pl.col("store_after")) & (pl.col("was") != 0) & (pl.col("now") != 0)
    size = pl.when(elsewhere).then(pl.max_horizontal(pl.col("was").abs(), pl.col("now").abs()))
    # Another store's order has another letter: the one that is gone and the one that is new stand together.
    number = pl.col("order_id").str.replace("^[A-Z]+-", "")
    first = ("moves", "order_id", "was", "now", "difference")
    return (
        each.filter((pl.col("difference") != 0) | elsewhere)
        .sort("moves", size.otherwise(pl.col("difference").abs()), number, "order_id",
              descending=[True, True, False, False])
        .select(*first, pl.exclude(*first))
    )  # fmt: skip


def most_moved(orders: pl.DataFrame, most: int = 20) -> list[dict]:
    """Of orders(), by month: {"month", "count": of all, "orders": the first `most` as dicts, "rest": what the others'
    differences come to}. Money as float, to be kept as JSON."""
    plain = orders.with_columns(pl.selectors.decimal().cast(pl.Float64))
    return [
        {"month": month, "count": rows.height, "orders": rows.head(most).to_dicts(),
         "rest": round(rows["difference"][most:].sum(), 2)}
        for (month,), rows in plain.group_by("moves", maintain_order=True)
    ]  # fmt: skip


def _orders(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    return con.execute(ORDERS).pl()


def _months(before: duckdb.DuckDBPyConnection, after: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Months up to the last one that was over in the build before, whichever build has them: month -> label."""
    end = queries.periods(before, "month").filter("closed")["last_day"].max()
    if end is None:
        return {}
    known = pl.concat([queries.periods(con, "month") for con in (before, after)]).unique("period", keep="first")
    return dict(known.filter(pl.col("last_day") <= end).select("period", "label").iter_rows())


def _revenue(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], Decimal]:
    """(month, store) -> revenue to the fils; store "" is the whole business."""
    found = queries.ask(con, {None: ["revenue"], "store": ["revenue"]}, "month", include_open=True)
    rows = [(month, "", value) for month, value in found[None].select("period", "revenue").iter_rows()]
    rows += found["store"].select("period", "store", "revenue").iter_rows()
    return {(month, store): Decimal(f"{value or 0:.2f}") for month, store, value in rows}


def _asked(con: duckdb.DuckDBPyConnection, names: list[str]) -> dict[str, dict]:
    """month -> {metric: value}; one question, or one a metric where a build of an earlier version can't answer it."""
    try:
        rows = queries.query(con, names, "month", include_open=True).to_dicts()
        return {row["period"]: row for row in rows}
    except duckdb.Error:
        if len(names) == 1:
            return {}
    found: dict[str, dict] = {}
    for name in names:
        for month, row in _asked(con, [name]).items():
            found.setdefault(month, {}).update(row)
    return found


def _known(asked: dict[str, dict]) -> set[str]:
    """The metrics that a build could be asked."""
    return set(next(iter(asked.values()), {}))


def _differ(old: float | None, new: float | None) -> bool:
    """Are two values of a figure not the same? Sums over rows in another order are."""
    if old is None or new is None:
        return old is not new
    return not math.isclose(old, new, rel_tol=1e-9, abs_tol=1e-9)
