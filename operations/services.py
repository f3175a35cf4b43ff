"""Every write, as a named function: views, admin, tasks and commands call these and write nothing themselves.

A run's functions guard its state: a run that somebody else has ended meanwhile is never written again.
"""

from typing import Any

from django.utils import timezone

from operations.models import Customer, FollowUp, Order, RefreshRun

State = RefreshRun.State


class RunEnded(Exception):
    """A refresh wants to change a run that is no longer in the state it left it in (another process took over)."""


# --- Follow-ups ----------------------------------------------------------------------------------------------------


def followup_add(*, note: str, user, customer: Customer | None = None, order: Order | None = None) -> FollowUp:
    """Write a follow-up on a customer, on an order, or on both; on an order it counts for the order's customer too.

    Raises ValidationError without a subject or a note, or when the order is another customer's.
    """
    return followup_save(FollowUp(note=note, customer=customer, order=order), user=user)


def followup_save(followup: FollowUp, *, user) -> FollowUp:
    """Write a new follow-up, or a changed one; records by whom and when. Raises ValidationError as followup_add."""
    followup.note = followup.note.strip()
    if followup.order and not followup.customer:
        followup.customer = followup.order.customer
    if followup.pk is None:
        followup.created_by = user
    else:
        followup.changed_by, followup.changed_at = user, timezone.now()
    followup.full_clean()
    followup.save()
    return followup


def followup_delete(followup: FollowUp) -> None:
    """Remove a follow-up for good."""
    followup.delete()


# --- Refresh runs --------------------------------------------------------------------------------------------------


def run_queue(*, trigger: str, user=None, force: bool = False) -> RefreshRun:
    """Record a refresh that waits for a worker."""
    now = timezone.now()
    return RefreshRun.objects.create(
        trigger=trigger, started_by=user, forced=force, state=State.QUEUED, started_at=now, heartbeat_at=now
    )


def run_open(
    *,
    trigger: str,
    user=None,
    force: bool = False,
    dry_run: bool = False,
    exports_dir: str = "",
    queued: RefreshRun | None = None,
) -> RefreshRun:
    """The record of a refresh that starts now; a queued one becomes it."""
    now = timezone.now()
    if queued is not None:
        _run_move(queued, State.QUEUED, State.RUNNING, started_at=now, heartbeat_at=now, exports_dir=exports_dir)
        return queued
    return RefreshRun.objects.create(
        trigger=trigger,
        started_by=user,
        forced=force,
        dry_run=dry_run,
        exports_dir=exports_dir,
        state=State.RUNNING,
        started_at=now,
        heartbeat_at=now,
    )


def run_progress(run: RefreshRun, *, step: str, progress: int) -> None:
    """Record how far a run is (0..100). Raises RunEnded when it was ended by somebody else."""
    _run_update(run, RefreshRun.STARTED, step=step, progress=progress, heartbeat_at=timezone.now())


def run_mark_publishing(run: RefreshRun, *, build_id: str, counts: dict, manifest: dict) -> None:
    """The database holds this build's customers and orders; what is left is to move the pointer to it."""
    _run_move(
        run,
        State.RUNNING,
        State.PUBLISHING,
        build_id=build_id,
        counts=counts,
        manifest=manifest,
        fingerprint=manifest.get("fingerprint", ""),
        as_of=manifest.get("as_of"),
        warnings=manifest.get("warnings", []),
        seconds=manifest.get("seconds", {}),
        heartbeat_at=timezone.now(),
    )


def run_mark_published(run: RefreshRun, *, manifest: dict | None = None) -> None:
    """The build is what pages read now. A manifest given replaces the one recorded before."""
    more = {"manifest": manifest, "seconds": manifest["seconds"], "warnings": manifest["warnings"]} if manifest else {}
    _run_move(
        run, State.PUBLISHING, State.PUBLISHED, step="", progress=100, error="", finished_at=timezone.now(), **more
    )


def run_mark_checked(run: RefreshRun, *, manifest: dict) -> None:
    """A dry run went through; its build is gone."""
    _run_move(
        run,
        State.RUNNING,
        State.CHECKED,
        step="",
        progress=100,
        finished_at=timezone.now(),
        manifest=manifest,
        fingerprint=manifest.get("fingerprint", ""),
        as_of=manifest.get("as_of"),
        warnings=manifest.get("warnings", []),
        seconds=manifest.get("seconds", {}),
    )


def run_mark_nothing_new(run: RefreshRun, *, build_id: str, manifest: dict, warnings: list[str]) -> None:
    """What would go in is what went into the current build (build_id, its manifest) already."""
    _run_move(
        run,
        State.RUNNING,
        State.NOTHING_NEW,
        step="",
        progress=100,
        finished_at=timezone.now(),
        build_id=build_id,
        manifest=manifest,
        fingerprint=manifest.get("fingerprint", ""),
        as_of=manifest.get("as_of"),
        warnings=warnings,
    )


def run_mark_refused(run: RefreshRun, *, error: str) -> None:
    """The input cannot be used; `error` says which file, which column, and what to do."""
    _run_move(run, RefreshRun.STARTED, State.REFUSED, finished_at=timezone.now(), error=error)


def run_mark_failed(run: RefreshRun, *, error: str) -> None:
    """The run broke off; `error` says at what."""
    _run_move(run, RefreshRun.UNDERWAY, State.FAILED, finished_at=timezone.now(), error=error)


def run_note_error(run: RefreshRun, *, error: str) -> None:
    """What kept a build from going live after the database was synced; the next refresh tries again."""
    _run_update(run, State.PUBLISHING, error=error)


def _run_move(run: RefreshRun, before, after: str, **fields: Any) -> None:
    _run_update(run, before, state=after, **fields)


def _run_update(run: RefreshRun, before, **fields: Any) -> None:
    """Write `fields` if the run's state in the database is (one of) `before`; RunEnded if it is not."""
    states = [before] if isinstance(before, str) else list(before)
    if not RefreshRun.objects.filter(pk=run.pk, state__in=states).update(**fields):
        raise RunEnded(f"Refresh {run.pk} was ended by another process.")
    for name, value in fields.items():
        setattr(run, name, value)
