"""Customers and CleanCloud orders of a build, into the database: only rows that changed are written, and of those only
the imported columns. What staff corrected, assigned or planned stays as it is."""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import polars as pl
from django.db import models
from django.utils import timezone

from operations.models import Customer, Order, in_order
from operations.phones import own_dial_code, phone_key

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
        if target is CUSTOMERS:
            _phone_keys()
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
    _lock(target, [*differs["key"], *gone])
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


def _lock(target: Target, keys: list[str]) -> None:
    """Lock the rows that will be written, as everybody locks several: in order. A person's change that is under way
    ends first, and one that comes later sees what was written."""
    keys.sort()
    for start in range(0, len(keys), BATCH):
        rows = target.model.objects.filter(pk__in=keys[start : start + BATCH])
        list(in_order(rows).select_for_update(no_key=True).values_list("pk"))


def _phone_keys() -> None:
    """Bring phone_key to the phone that is shown, where it is another one: an imported phone changed, or the rules."""
    code = own_dial_code()
    shown = Customer.objects.order_by().with_shown()
    wrong = [pk for pk, phone, key in shown.values_list("pk", "_phone", "phone_key") if phone_key(phone, code) != key]
    for start in range(0, len(wrong), BATCH):
        rows = list(in_order(shown.filter(pk__in=wrong[start : start + BATCH])).select_for_update(no_key=True))
        for customer in rows:
            customer.phone_key = phone_key(customer.shown_phone, code)
        Customer.objects.bulk_update(rows, ["phone_key"], batch_size=500)


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
        names, now, done, code = (target.key, *columns), timezone.now(), 0, own_dial_code()
        while rows := found.fetchmany(BATCH):
            written = [target.model(**dict(zip(names, row, strict=True)), synced_at=now) for row in rows]
            if target is CUSTOMERS:  # for those that are new; of the others _phone_keys() knows what is shown
                for customer in written:
                    customer.phone_key = phone_key(customer.phone, code)
            target.model.objects.bulk_create(
                written,
                update_conflicts=True,
                unique_fields=[target.key],
                update_fields=[*columns, "synced_at"],
            )
            done += len(rows)
            on_progress(done / differs.height)
    finally:
        con.unregister("_differs")
