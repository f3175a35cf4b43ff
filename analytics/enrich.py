"""enrich(): writes what needs metrics into a candidate build, before it is published."""

import hashlib
from functools import cache
from pathlib import Path

import duckdb
import polars as pl

from analytics.insights import evaluate
from etl.business import Business

# What this code writes into a build, and how its sentences read: a change in any of these files makes a new build.
CODE = ("metrics.py", "queries.py", "formats.py", "insights.py", "enrich.py", "seasons.py")
COLUMNS = ("grain", "period", "store", "rule", "category", "headline", "detail", "tone", "link")


@cache
def code_hash() -> str:
    """A hash of the code in this room that decides what a build holds, for etl.pipeline.build(code_extra=...)."""
    found = hashlib.sha256()
    for name in CODE:
        found.update(Path(__file__).with_name(name).read_bytes())
    return found.hexdigest()


def enrich(con: duckdb.DuckDBPyConnection, business: Business) -> dict:
    """Fill the table `insights` of an open candidate, replacing what was in it. Returns {"insights": rows written}.

    `con` may write; `business` is the file that the build was made with.
    """
    rows = pl.DataFrame(evaluate(con, business), schema=dict.fromkeys(COLUMNS, pl.String))
    con.register("said", rows)
    try:
        con.execute(f"DELETE FROM insights; INSERT INTO insights SELECT {', '.join(COLUMNS)} FROM said")
    finally:
        con.unregister("said")
    return {"insights": rows.height}
