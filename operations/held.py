"""Held builds: what a candidate moves of closed months, keeping it for a person to decide, and what became of it.

A build that moves what a closed month earned by more than the limit waits as a candidate that is kept: its run is held.
Everybody goes on seeing the figures of before. Publishing such a build is a turn of refresh.py's (release_now());
docs/held.md is for those who decide.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import transaction

from analytics.formats import moment, person
from etl.errors import MoonwalkError, WarehouseError
from operations import quarantine, services
from operations.lock import Lock
from operations.models import Payment, RefreshRun

if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from etl.warehouse import Warehouse

State = RefreshRun.State
WERE_HELD = (State.HELD, State.RELEASED, State.DISCARDED)
UNCOMPARED = (
    "The live build was made by an earlier version of Moonwalk and can't be compared with this one. After publishing, "
    "look at a month that you know; going back is possible."
)


# --- What a candidate moves ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moved:
    """What a candidate moves of closed months, where that is more than the limit.

    figures: revenue first, then all other figures of these months (comparison.closed_months(), figures()). orders: of
    each month over the limit those that moved it most (comparison.most_moved()). asks: must a person see it before it
    is published?
    """

    figures: list[dict] = field(default_factory=list)
    orders: list[dict] = field(default_factory=list)
    asks: bool = False


def compare(house: "Warehouse", manifest: dict) -> Moved:
    """Lay a candidate beside the live build. What keeps it from being compared joins its manifest's warnings."""
    import duckdb

    from operations import comparison

    limit = comparison.closed_month_limit()
    try:
        with _both(house, house.current(), manifest["build_id"]) as (before, after):
            months = comparison.closed_months(before, after)
            revenue = [row | {"over": comparison.is_over(row, limit)} for row in months]
            if any(row["over"] for row in revenue):
                others = comparison.figures(before, after, {row["month"] for row in revenue})
                behind = _orders(before, after, revenue)
                told = [*revenue, *(row | {"over": False} for row in others)]
                return Moved(told, comparison.most_moved(behind) if behind is not None else [], asks=True)
    except WarehouseError as error:  # nobody can look at it either
        manifest["warnings"].insert(0, f"IMPORTANT: closed months were not compared with the last build. {error}")
    except duckdb.Error:  # made by an earlier version, with other tables
        manifest["warnings"].insert(0, f"IMPORTANT: {UNCOMPARED}")
        return Moved(asks=True)
    return Moved()


def _orders(
    before: "duckdb.DuckDBPyConnection", after: "duckdb.DuckDBPyConnection", moved: list[dict]
) -> "pl.DataFrame | None":
    """The orders that moved the months over the limit (comparison.orders()); None where one build can't be asked: an
    earlier version made it."""
    import duckdb

    from operations import comparison

    try:
        return comparison.orders(before, after, {row["month"] for row in moved if row["over"]})
    except duckdb.Error:
        return None


def orders(house: "Warehouse", run: RefreshRun) -> "pl.DataFrame | None":
    """All orders that move the months over the limit of a run that is or was held (comparison.orders()); None where it
    or the build that it was compared with is no longer kept."""
    kept = compared(house, run)
    if kept is None:
        return None
    with _both(house, *kept) as (before, after):
        return _orders(before, after, run.moved)


def compared(house: "Warehouse", run: RefreshRun) -> tuple[str, str] | None:
    """The two builds that a run that is or was held compared, or one of the same base (payments move no revenue); None
    where one of them is no longer kept."""
    against = run.manifest.get("held", {}).get("against")
    if not against or not house.manifest(run.build_id):
        return None
    bases = {house.base_of(build.manifest): build.build_id for build in house.builds()}
    return (bases[against], run.build_id) if against in bases else None


@contextmanager
def _both(
    house: "Warehouse", before: str, after: str
) -> Iterator[tuple["duckdb.DuckDBPyConnection", "duckdb.DuckDBPyConnection"]]:
    """Two builds, open to read."""
    from etl.warehouse import Warehouse

    # A live build from before there was a key is plain; one whose key is gone is only left by force.
    theirs = Warehouse(house.root, house.key if house.manifest(before).get("encrypted", True) else None)
    with closing(theirs.connect(before)) as was, closing(house.connect(after)) as now:
        yield was, now


# --- Kept ----------------------------------------------------------------------------------------------------------


def hold(run: RefreshRun, lock: Lock, manifest: dict, moved: Moved) -> None:
    """Keep the candidate for a person to decide; one that waits from before gives way to it."""
    try:
        with transaction.atomic():
            lock.verify()
            services.run_mark_held(
                run, build_id=manifest["build_id"], manifest=manifest, moved=moved.figures, moved_orders=moved.orders
            )
            supersede(run)
    except BaseException:
        run.state = State.RUNNING  # as the database has it: nothing of the transaction is left
        raise


def supersede(run: RefreshRun) -> None:
    """Nobody need decide about an earlier held build any more: this run's is published, or asked about instead."""
    for held in RefreshRun.objects.filter(state=State.HELD).exclude(pk=run.pk):
        services.run_mark_superseded(held, why=f"Nobody decided: refresh {run.pk} took its place.")


def supersede_lost(house: "Warehouse") -> None:
    """Nobody can decide about a held build that is gone, or that must not be kept as it is."""
    for run in RefreshRun.objects.filter(state=State.HELD):
        plain = house.key and run.manifest.get("encrypted") is False  # from before there was a key: anybody can read it
        if plain or not house.path(run.build_id).exists():
            services.run_mark_superseded(run, why="Its build is no longer kept: refresh anew.")


def builds() -> set[str]:
    """The builds that are held."""
    return set(RefreshRun.objects.filter(state=State.HELD).values_list("build_id", flat=True))


# --- Decided -------------------------------------------------------------------------------------------------------


def releasable(house: "Warehouse", held: RefreshRun | None) -> dict:
    """The manifest of a held build. Raises MoonwalkError for one that can't be published as things stand."""
    if held is None or held.state != State.HELD:
        raise MoonwalkError(decision(held) if held else "There is no such held build.")
    manifest = house.manifest(held.build_id)
    if not manifest or not house.path(held.build_id).exists():
        raise WarehouseError(f"Build {held.build_id} is no longer there: discard it, then refresh anew.")
    if manifest["held"]["against"] != house.base_of(house.manifest(house.current() or "")):
        raise WarehouseError(
            "Another build went live since this one was compared, so its figures may not be what is said here. Refresh "
            "anew: the same exports are then compared with what is live now."
        )
    house.connect(held.build_id).close()
    return manifest


def why_not(house: "Warehouse", held: RefreshRun) -> str:
    """Why a held build can't be published as things stand, and what to do; "" when it can."""
    try:
        releasable(house, held)
    except MoonwalkError as error:
        return str(error)
    return ""


def let_go(held: RefreshRun, run: RefreshRun) -> None:
    """A held build is the one that `run` publishes: whoever asked decided it, and of the payments it has those that it
    was given when it was made. All given to later builds wait again; those builds had the exports of the one before."""
    try:
        services.run_mark_released(held, user=run.started_by)
    except services.RunEnded:  # that run, not this one
        held.refresh_from_db()
        raise MoonwalkError(decision(held)) from None
    later = RefreshRun.objects.filter(state=State.PUBLISHED, started_at__gt=held.started_at).values_list("build_id")
    services.payments_mark_waiting(Payment.objects.filter(included_in__in=later))
    services.payments_mark_included(held.manifest["held"]["payments"], build_id=held.build_id)


def discard(house: "Warehouse", held: RefreshRun, user) -> None:
    """Remove a held build: its exports are not published again unless forced. Needs no turn of the lock: of two
    people who decide, one is told. Raises MoonwalkError where it was decided already."""
    try:
        services.run_mark_discarded(held, user=user)
    except services.RunEnded:
        held.refresh_from_db()
        raise MoonwalkError(decision(held)) from None
    remove_candidate(house, held.build_id)


def remove_candidate(house: "Warehouse", build_id: str) -> None:
    """Remove a build that isn't published, with the rows it set aside: nobody could look at them any more."""
    house.discard(build_id)
    quarantine.remove(build_id)


def was_discarded(exports: str) -> bool:
    """Did somebody discard a held build of this set of exports (a manifest's "inputs"), and nobody publish it since?"""
    runs = RefreshRun.objects.filter(manifest__inputs=exports, state__in=(State.PUBLISHED, State.DISCARDED))
    runs = runs.exclude(state=State.DISCARDED, decided_at=None)
    last = runs.order_by("-finished_at", "-pk").values_list("state", flat=True).first()
    return last == State.DISCARDED


def is_an_upgrade(house: "Warehouse", held: RefreshRun) -> bool:
    """Are a held build's exports those that are live, made by other code or for another business file?"""
    return held.manifest["inputs"] == house.manifest(house.current() or "").get("inputs")


def decision(run: RefreshRun) -> str:
    """What became of a run that was held: "discarded by Hala on 5 Mar 2026, 09:12", in a sentence."""
    by = f" by {person(run.decided_by)}" if run.decided_by else ""
    on = f" on {moment(run.decided_at)}" if run.decided_at else ""
    if run.state == State.RELEASED:
        return f"The build of refresh {run.pk} was published{by}{on}."
    if run.state == State.DISCARDED:
        return f"The build of refresh {run.pk} was discarded{by}{on}."
    return f"The build of refresh {run.pk} is not held: {run.get_state_display()}."
