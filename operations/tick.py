"""One round of everything that must happen by itself: what the rows say is undone and nobody does, is started.

Celery beat asks for a round every 30 seconds, which leaves the work to tasks of their own: each has its own time limit,
and what takes long or dies holds up nothing else. Without Redis `manage.py tick` does it all in process, for cron or by
hand.
"""

import logging
import traceback
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from analytics.formats import many
from etl.errors import MoonwalkError
from operations import aftermath, catch_up, deliveries, duties, queue, refresh, schedules, watch
from operations.lock import RefreshBusy, running
from operations.models import RefreshRun

log = logging.getLogger(__name__)

LOST_AFTER = timedelta(seconds=20)  # a worker that is free takes a run up at once: its task is lost, or all are busy
MOST_DELIVERIES = 50  # that one round asks for
BROKEN = "the log says where."  # ends the sentence of a part that is broken


def run(now: datetime | None = None) -> list[str]:
    """Do one round; a sentence for each thing that was done or asked for. Raises when the database is away: then
    nothing else would go either."""
    now = now or timezone.now()
    said: list[str] = []
    for step in STEPS:
        try:
            said += step(now)
        except (OperationalError, InterfaceError):
            raise
        except RefreshBusy:  # a refresh began meanwhile
            continue
        except MoonwalkError as error:  # a full disk, say: the sentence says it all
            log.error("tick: %s: %s", step.__name__, error)
            said.append(str(error))
        except Exception as error:  # one part that is broken holds up none of the others
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("tick: %s failed: %s\n%s", step.__name__, type(error).__name__, where)
            said.append(f"{step.__name__.replace('_', ' ').capitalize()}: {type(error).__name__}, {BROKEN}")
    return said


def dead_refreshes(now: datetime) -> list[str]:
    """Refreshes whose process died: finished, or queued again."""
    return ["A refresh whose process died was finished or queued again."] if refresh.recover() else []


def due_duties(now: datetime) -> list[str]:
    """What schedules owe."""
    schedules.owe(now)
    undone = duties.undone(now)
    if settings.REDIS_URL:
        return [f"{duties.DUTIES[duty.name].label}: asked for." for duty in undone if _ask(duties.TASK, pk=duty.pk)]
    return [said for duty in undone if (said := duties.carry_out(duty))]


def waiting_refresh(now: datetime) -> list[str]:
    """A refresh whose task was lost, or that waited for another one's end."""
    found = None if running() else refresh.waiting_run()
    if found is None or settings.REDIS_URL and found.heartbeat_at > now - LOST_AFTER:
        return []
    if settings.REDIS_URL:
        refresh.ask(found)
        return [f"Refresh {found.pk} was asked for again."]
    ended = refresh.run_queued(found.pk)
    return [f"Refresh {ended.pk}: {ended.get_state_display()}. {ended.error_for_output}".strip()] if ended else []


def exports_folder(now: datetime) -> list[str]:
    """New files in the exports folder."""
    found = watch.watch(now)
    return found + (waiting_refresh(now) if found and not settings.REDIS_URL else [])


def what_follows(now: datetime) -> list[str]:
    """Alerts and messages of refreshes that ended."""
    step, how = (_ask_to_follow, "asked for") if settings.REDIS_URL else (aftermath.follow, "done")
    return [f"What follows refresh {ended.pk}: {how}." for ended in aftermath.owed() if step(ended)]


def _ask_to_follow(ended: RefreshRun) -> bool:
    return _ask(aftermath.TASK, run_id=ended.pk)


def due_deliveries(now: datetime) -> list[str]:
    """Messages whose moment has come."""
    if not settings.REDIS_URL:
        sent = deliveries.deliver_due()
        return [f"Sent {many(sent, 'message')}."] if sent else []
    due = deliveries.due().values_list("pk", flat=True)[:MOST_DELIVERIES]
    asked = sum(_ask(deliveries.TASK, pk=pk) for pk in due)
    return [f"Asked for {many(asked, 'message')}."] if asked else []


def payments(now: datetime) -> list[str]:
    """Payments that no published build was given yet."""
    if not refresh.payments_waiting() or running():
        return []
    if settings.REDIS_URL:
        return ["Payments wait for the figures: asked for."] if _ask(catch_up.TASK) else []
    refresh.include_payments()
    return ["Payments went into the figures."]


def _ask(task: str, **arguments) -> bool:
    """Ask the queue for what the next round would ask for again."""
    return queue.send(task, expires=queue.EXPIRES, **arguments)


STEPS = (dead_refreshes, due_duties, waiting_refresh, exports_folder, what_follows, due_deliveries, payments)
