"""One round of everything that must happen by itself: what the rows say is undone and nobody does, is started.

Celery beat asks for a round every 30 seconds; without Redis `manage.py tick` does one in process, for cron or by hand.
"""

import logging
import traceback
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from operations import aftermath, catch_up, deliveries, duties, queue, refresh, schedules, watch
from operations.lock import RefreshBusy, running

log = logging.getLogger(__name__)

LOST_AFTER = timedelta(seconds=20)  # a worker that is free takes a run up at once: its task is lost, or all are busy
MOST_DELIVERIES = 50  # that one round asks for
EXPIRES = 60  # seconds: by then another round has asked again


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
        except Exception as error:  # one part that is broken holds up none of the others
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("tick: %s failed: %s\n%s", step.__name__, type(error).__name__, where)
            said.append(f"{step.__name__.replace('_', ' ').capitalize()}: {type(error).__name__}, the log says where.")
    return said


def dead_refreshes(now: datetime) -> list[str]:
    """Refreshes whose process died: finished, or queued again."""
    return ["A refresh whose process died was finished or queued again."] if refresh.recover() else []


def due_duties(now: datetime) -> list[str]:
    """What schedules owe."""
    schedules.owe(now)
    return [said for duty in duties.undone(now) if (said := duties.carry_out(duty, now))]


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
    return [f"What follows refresh {ended.pk}: done." for ended in aftermath.owed() if aftermath.follow(ended)]


def due_deliveries(now: datetime) -> list[str]:
    """Messages whose moment has come."""
    if not settings.REDIS_URL:
        sent = deliveries.deliver_due()
        return [f"Sent {_many(sent)}."] if sent else []
    due = list(deliveries.due().values_list("pk", flat=True)[:MOST_DELIVERIES])
    for pk in due:
        queue.send(deliveries.TASK, expires=EXPIRES, pk=pk)
    return [f"Asked for {_many(len(due))}."] if due else []


def _many(messages: int) -> str:
    return "1 message" if messages == 1 else f"{messages} messages"


def payments(now: datetime) -> list[str]:
    """Payments that no published build was given yet."""
    if not refresh.payments_waiting() or running():
        return []
    if settings.REDIS_URL:
        queue.send(catch_up.TASK, expires=EXPIRES)
        return ["Payments wait for the figures: asked for."]
    refresh.include_payments()
    return ["Payments went into the figures."]


STEPS = (dead_refreshes, due_duties, waiting_refresh, exports_folder, what_follows, due_deliveries, payments)
