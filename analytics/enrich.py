"""enrich(): writes what needs metrics into a candidate build, before it is published."""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import duckdb
import polars as pl

from analytics import queries
from analytics.insights import evaluate
from analytics.receivables import record
from etl.business import Business

# What this code writes into a build, and how its sentences read: a change in any of these files makes a new build.
CODE = ("metrics.py", "queries.py", "formats.py", "insights.py", "enrich.py", "seasons.py", "receivables.py")
COLUMNS = ("grain", "period", "store", "rule", "category", "headline", "detail", "tone", "link")


@cache
def code_hash() -> str:
    """A hash of the code in this room that decides what a build holds, for etl.pipeline.build(code_extra=...)."""
    found = hashlib.sha256()
    for name in CODE:
        found.update(Path(__file__).with_name(name).read_bytes())
    return found.hexdigest()


def enrich(con: duckdb.DuckDBPyConnection, business: Business, history: Iterable[dict] = ()) -> dict:
    """Fill the tables `insights` and `receivables` of an open candidate, replacing what was in them.

    `con` may write; `business` is the file that the build was made with. history: the "receivables" of earlier runs,
    one run a day. Returns {"insights": rows written, "receivables": what is owed now, to keep for later runs}.
    """
    rows = pl.DataFrame(evaluate(con, business), schema=dict.fromkeys(COLUMNS, pl.String))
    con.register("said", rows)
    try:
        con.execute(f"DELETE FROM insights; INSERT INTO insights SELECT {', '.join(COLUMNS)} FROM said")
    finally:
        con.unregister("said")
    return {"insights": rows.height, "receivables": _write_receivables(con, history)}


def _write_receivables(con: duckdb.DuckDBPyConnection, history: Iterable[dict]) -> list[dict]:
    """Fill the table `receivables` with what earlier runs left on record and what is owed now; returns the latter."""
    now = record(queries.ledger(con))
    stores, today = {row["store"] for row in now}, now[0]["as_of"]
    earlier = [row for row in history if row["as_of"] < today and row["store"] in stores]  # a store may be gone by now
    rows = pl.DataFrame([*earlier, *now], schema=dict.fromkeys(("as_of", "store", "total", "not_yet_due"), pl.String))
    con.register("owed", rows)
    try:
        con.execute("DELETE FROM receivables; INSERT INTO receivables SELECT * FROM owed")
    finally:
        con.unregister("owed")
    return now
