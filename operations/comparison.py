"""What changes between two builds: rows new, changed and gone, and revenue of months that are over."""

from dataclasses import dataclass

import duckdb
import polars as pl

from analytics import queries

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


def closed_months(before: duckdb.DuckDBPyConnection, after: duckdb.DuckDBPyConnection) -> list[dict]:
    """Months that were over in the build before and whose revenue another build has otherwise, the newest first.

    Each a dict: month (2026-02), label (Feb 2026); before, after, difference: money, 0 where a build has no such month.
    """
    end = queries.periods(before, "month").filter("closed")["last_day"].max()
    if end is None:
        return []
    known = pl.concat([queries.periods(con, "month") for con in (before, after)]).unique("period", keep="first")
    months = known.filter(pl.col("last_day") <= end).select("period", "label")
    for name, con in (("before", before), ("after", after)):
        revenue = queries.query(con, ["revenue"], "month", include_open=True)
        months = months.join(revenue.select("period", pl.col("revenue").alias(name)), on="period", how="left")
    months = months.with_columns(pl.col("before", "after").fill_null(0.0))
    months = months.with_columns(difference=(pl.col("after") - pl.col("before")).round(2))
    moved = months.filter(pl.col("difference") != 0).sort("period", descending=True)
    return moved.rename({"period": "month"}).to_dicts()
