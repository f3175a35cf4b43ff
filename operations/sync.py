"""Customers and CleanCloud orders of a build, into the database: only rows that changed are written."""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import polars as pl
from django.db import models
from django.utils import timezone

from operations.models import Customer, Order

BATCH = 2000


@dataclass(frozen=True)
class Target:
    """How one table of the warehouse becomes a model: `columns` maps the model's column to SQL over the table."""

    model: type[models.Model]
    table: str
    key: str
    in_export: str
    columns: dict[str, str]


def _text(model: type[models.Model], *names: str) -> dict[str, str]:
    """Text as the database takes it: never null, without NUL, no longer than the column (PostgreSQL refuses both)."""
    longest = {name: model._meta.get_field(name).max_length for name in names}
    return {
        name: f"left(replace(coalesce(CAST({name} AS VARCHAR), ''), chr(0), ''), {longest[name]})" for name in names
    }


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


CUSTOMERS = Target(
    Customer,
    "customers",
    "customer_id",
    "coalesce(in_export, false)",
    # cohort_month is the month's first day there; its column takes the "2025-01" of it
    _text(Customer, "source", "name", "phone", "email", "store", "area", "route", "cohort_month")
    | _same("signed_up")
    | {"b2b": "coalesce(b2b, false)"},
)
ORDERS = Target(
    Order,
    "orders",
    "order_id",
    "true",
    _same("customer_id")
    | _text(Order, "store", "status", "payment_type")
    | _same("placed", "ready_by", "cleaned", "collected", "pickup_date", "pieces", "payment_date")
    | {"total": "coalesce(total, 0)"}
    | {name: f"coalesce({name}, false)" for name in ("delivery", "paid", "b2b")},
)


def sync(con: duckdb.DuckDBPyConnection, on_progress: Callable[[float], None] | None = None) -> dict[str, dict]:
    """Bring Customer and Order to the build open in `con`; call inside a transaction.

    Rows gone from the build are kept and marked. Returns {"customers": {"added", "changed", "gone"}, "orders": ...}.
    """
    counts = {}
    for done, target in enumerate((CUSTOMERS, ORDERS)):
        counts[target.table] = _sync_one(
            con, target, lambda part, done=done: on_progress((done + part) / 2) if on_progress else None
        )
    return counts


def _sync_one(con, target: Target, on_progress: Callable[[float], None]) -> dict[str, int]:
    ours = _known(target)
    theirs = con.execute(
        f"SELECT CAST({target.key} AS VARCHAR) AS key, CAST(row_hash AS VARCHAR) AS hash, "
        f"{target.in_export} AS present "
        f"FROM {target.table}"
    ).pl()
    differs = theirs.join(ours, on=["key", "hash", "present"], how="anti").select("key")
    added = differs.join(ours, on="key", how="anti").height
    gone = ours.filter(pl.col("present")).join(theirs, on="key", how="anti")["key"].to_list()
    _write(con, target, differs, on_progress)
    for start in range(0, len(gone), BATCH):
        target.model.objects.filter(pk__in=gone[start : start + BATCH]).update(
            in_latest_export=False, synced_at=timezone.now()
        )
    return {"added": added, "changed": differs.height - added, "gone": len(gone)}


def _known(target: Target) -> pl.DataFrame:
    """key, hash, present of every row in the database."""
    rows = target.model.objects.order_by().values_list("pk", "row_hash", "in_latest_export")
    return pl.DataFrame(list(rows), schema={"key": pl.String, "hash": pl.String, "present": pl.Boolean}, orient="row")


def _write(con, target: Target, differs: pl.DataFrame, on_progress: Callable[[float], None]) -> None:
    """Insert or overwrite the rows whose keys are in `differs`, in batches."""
    if differs.is_empty():
        return
    columns = target.columns | {"row_hash": "CAST(row_hash AS VARCHAR)", "in_latest_export": target.in_export}
    con.register("_differs", differs)
    try:
        found = con.execute(
            f"SELECT CAST({target.key} AS VARCHAR), {', '.join(columns.values())} FROM {target.table} "
            f"WHERE CAST({target.key} AS VARCHAR) IN (SELECT key FROM _differs) ORDER BY {target.key}"
        )
        names, now, done = (target.key, *columns), timezone.now(), 0
        while rows := found.fetchmany(BATCH):
            target.model.objects.bulk_create(
                [target.model(**dict(zip(names, row, strict=True)), synced_at=now) for row in rows],
                update_conflicts=True,
                unique_fields=[target.key],
                update_fields=[*columns, "synced_at"],
            )
            done += len(rows)
            on_progress(done / differs.height)
    finally:
        con.unregister("_differs")
