"""Celery's door: nothing is decided here. A task that is lost or comes twice does no harm: rows say what is undone."""

from celery import shared_task

from operations.catch_up import TASK, catch_up


@shared_task(name="operations.refresh", soft_time_limit=3500, time_limit=3600)
def refresh_task(run_id: int) -> str:
    """Carry out a queued refresh; its state."""
    from operations.refresh import run_queued

    run = run_queued(run_id)
    return run.state if run else "taken up before"


@shared_task(name=TASK, soft_time_limit=3500, time_limit=3600)
def payments_task() -> None:
    """Payments that wait, into the figures."""
    catch_up()


@shared_task(name="operations.tick", soft_time_limit=110, time_limit=120)
def tick_task() -> list[str]:
    """One round of everything that must happen by itself."""
    from operations import tick

    return tick.run()


@shared_task(name="operations.duty", soft_time_limit=50, time_limit=60)
def duty_task(name: str = "", pk: int | None = None) -> str:
    """What a duty's schedules owe since their last moment (name: what the clock sends), or one row of it (pk)."""
    from operations import duties, schedules
    from operations.models import Duty

    if pk is None:
        return schedules.carry_out_latest(name)
    return duties.carry_out(Duty.objects.get(pk=pk)) or "taken up before"


@shared_task(name="operations.deliver", soft_time_limit=160, time_limit=180)
def deliver_task(pk: int) -> None:
    """Send a delivery that was recorded."""
    from operations import deliveries

    deliveries.deliver(pk)


@shared_task(name="operations.follow", soft_time_limit=50, time_limit=60)
def follow_task(run_id: int) -> None:
    """The aftermath of an ended refresh: alerts judged, deliveries recorded."""
    from operations import aftermath
    from operations.models import RefreshRun

    aftermath.follow(RefreshRun.objects.get(pk=run_id))
