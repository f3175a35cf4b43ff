"""enrich(): writes what needs metrics into a candidate build, before it is published."""

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import duckdb
import polars as pl

from analytics import customers, queries
from analytics.insights import evaluate
from analytics.receivables import record
from etl import checks
from etl.business import Business

# What this code writes into a build, and how its sentences read: a change in any of these files makes a new build.
CODE = (
    "metrics.py", "queries.py", "formats.py", "insights.py", "enrich.py", "seasons.py", "receivables.py",
    "customers.py",
    "shared.py",
)  # fmt: skip
# Two million rows of RFM are counted, sent and stored several times faster by a number than by the ID it stands for.
PLACES_SQL = """CREATE OR REPLACE TEMP TABLE places AS
SELECT customer_id, (row_number() OVER (ORDER BY customer_id) - 1)::INTEGER AS place FROM customers"""
ACTIVE_SQL = """SELECT month, place, last_earned, orders, (revenue * 100)::BIGINT AS revenue
FROM customer_months JOIN places USING (customer_id) WHERE store = 'All stores'"""
# The open month ends, so far, on the exports' date.
ENDS_SQL = """SELECT first_day AS month, least(last_day, (SELECT value::DATE FROM meta WHERE key = 'as_of')) AS last_day
FROM periods WHERE grain = 'month' ORDER BY first_day"""
RFM_SQL = """SELECT month, customer_id, recency_days, frequency, monetary / 100 AS monetary, r, f, m, segment
FROM given JOIN places USING (place)"""
# Everyone with an earned row other than an invoice payment; order days of CleanCloud customers for the models.
LIFETIMES_SQL = """
WITH everyone AS (
    SELECT
        customer_id, (max(months_since_cohort) + 1)::INTEGER AS lifespan_months, sum(total)::DECIMAL(12, 2) AS revenue,
        min(earned_date) AS first_earned, max(earned_date) AS last_earned
    FROM sales WHERE earned_date IS NOT NULL AND kind <> 'Invoice Payment'
    GROUP BY customer_id
),
order_days AS (
    SELECT customer_id, earned_date AS day, sum(total) AS value
    FROM sales WHERE source = 'CC_2025' AND kind = 'Order' AND earned_date <= $as_of::DATE
    GROUP BY customer_id, earned_date
),
histories AS (
    SELECT
        customer_id, (count(*) - 1)::INTEGER AS repeat_days,
        date_diff('day', min(day), max(day)) / 7 AS recency_weeks,
        date_diff('day', min(day), $as_of::DATE) / 7 AS age_weeks,
        CASE WHEN count(*) > 1 THEN (sum(value) - arg_min(value, day))::DOUBLE / (count(*) - 1)
            ELSE any_value(value)::DOUBLE END AS mean_value
    FROM order_days GROUP BY customer_id
)
SELECT * FROM everyone LEFT JOIN histories USING (customer_id)
ORDER BY customer_id
"""
COLUMNS = ("grain", "period", "store", "rule", "category", "headline", "detail", "tone", "link")


@cache
def code_hash() -> str:
    """A hash of the code in this room that decides what a build holds, for etl.pipeline.build(code_extra=...)."""
    found = hashlib.sha256()
    for name in CODE:
        found.update(Path(__file__).with_name(name).read_bytes())
    return found.hexdigest()


def enrich(con: duckdb.DuckDBPyConnection, business: Business, history: Iterable[dict] = ()) -> dict:
    """Fill the tables `insights`, `rfm`, `lifetimes` and `receivables` of an open candidate anew, and tell its meta
    which lifetime_model stands behind it.

    `con` may write; `business` is the file that the build was made with. history: the "receivables" of earlier runs,
    one run a day. Returns {"insights", "rfm", "lifetimes": rows written, "receivables": what is owed now, to keep for
    later runs}. Raises CheckError when a key of theirs does not hold.
    """
    with ThreadPoolExecutor(1) as beside:  # loading scipy and fitting take as long as the rules: side by side
        worth = beside.submit(_lifetimes, _second(con))
        said = pl.DataFrame(evaluate(con, business), schema=dict.fromkeys(COLUMNS, pl.String))
        con.execute(PLACES_SQL)
        segments = customers.rfm(con.execute(ACTIVE_SQL).pl(), con.execute(ENDS_SQL).pl())
        lifetimes, model = worth.result()
    con.execute("BEGIN")  # one commit for all of it
    con.execute("DELETE FROM meta WHERE key = 'lifetime_model'")
    con.execute("INSERT INTO meta VALUES ('lifetime_model', ?)", [json.dumps(model)])
    written = {
        "insights": _replace(con, "insights", said),
        "rfm": _replace(con, "rfm", segments, RFM_SQL),
        "lifetimes": _replace(con, "lifetimes", lifetimes),
        "receivables": _write_receivables(con, history),
    }
    checks.run(con, later=True)
    con.execute("COMMIT")
    return written


def _second(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A connection of another thread's own to the same candidate."""
    cursor = con.cursor()
    cursor.execute("USE warehouse")
    return cursor


def _lifetimes(con: duckdb.DuckDBPyConnection) -> tuple[pl.DataFrame, dict]:
    """The rows of `lifetimes` and the model behind them, as meta keeps it."""
    as_of = con.execute("SELECT value FROM meta WHERE key = 'as_of'").fetchone()[0]
    rows, model = customers.lifetimes(con.execute(LIFETIMES_SQL, {"as_of": as_of}).pl())
    con.close()
    return rows, model | {"fitted_to": as_of}


def _replace(con: duckdb.DuckDBPyConnection, table: str, rows: pl.DataFrame, sql: str = "FROM given") -> int:
    """Let a table hold these rows, `given` to `sql`, and no others; columns go by name. Returns how many there are."""
    con.register("given", rows)
    try:
        con.execute(f"DELETE FROM {table}; INSERT INTO {table} BY NAME {sql}")
    finally:
        con.unregister("given")
    return rows.height


def _write_receivables(con: duckdb.DuckDBPyConnection, history: Iterable[dict]) -> list[dict]:
    """Fill the table `receivables` with what earlier runs left on record and what is owed now; returns the latter."""
    now = record(queries.ledger(con))
    stores, today = {row["store"] for row in now}, now[0]["as_of"]
    earlier = [row for row in history if row["as_of"] < today and row["store"] in stores]  # a store may be gone by now
    rows = pl.DataFrame([*earlier, *now], schema=dict.fromkeys(("as_of", "store", "total", "not_yet_due"), pl.String))
    _replace(con, "receivables", rows)
    return now
