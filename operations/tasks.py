"""Celery's door to operations.refresh: nothing is decided here."""

from celery import shared_task

from operations.catch_up import TASK, catch_up
from operations.models import RefreshRun


@shared_task(name="operations.refresh")
def refresh_task(run_id: int | None = None) -> str:
    """A queued refresh (run_id), or the daily one. Returns its state; a refresh that runs already is enough."""
    from operations.lock import RefreshBusy
    from operations.refresh import refresh, run_queued

    if run_id is not None:
        run = run_queued(run_id)
        return run.state if run else "taken up before"
    try:
        return refresh(trigger=RefreshRun.Trigger.SCHEDULE).state
    except RefreshBusy as busy:
        return str(busy)


@shared_task(name=TASK)
def payments_task() -> None:
    """Payments that wait, into the figures: after each payment, and every few minutes in case one was forgotten."""
    catch_up()
