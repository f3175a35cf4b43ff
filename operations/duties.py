"""What schedules owe, and how it is done: each due moment is one row (Duty), made by whoever sees it first, carried out
once.

The clock (Celery beat) sends a task at the moment; the tick looks at the same schedules and makes what is missing. Both
end in the same row. After an outage only the latest moment is owed: a monthly report still goes out, the refreshes of
last week are not made up for.
"""

import logging
import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Case, F, Q, When
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string

from analytics.formats import many, moment
from etl.errors import MoonwalkError
from operations.lock import RefreshBusy
from operations.models import Duty, RefreshRun

log = logging.getLogger(__name__)

TASK = "operations.duty"
# A claim older than this is a dead process's: another one takes it over. A task is stopped before that.
LIMIT = timedelta(seconds=60)
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=15), timedelta(minutes=5)
JITTER = 0.2  # of the time until the next try, either way: not everybody comes back at the same moment
KEPT_FOR = timedelta(days=400)
MOST_DEATHS = 5  # processes that died of it, one after the other
SWITCHED_OFF = "Its schedule was switched off or removed."
State = Duty.State


class NotYet(Exception):
    """A duty can't be done yet, and why in a sentence; it is tried again `after` that time."""

    def __init__(self, reason: str, after: timedelta = timedelta(minutes=10)):
        self.after = after
        super().__init__(reason)


@dataclass(frozen=True)
class DutySpec:
    """label: as people read it; does: function of the due moment that gives a sentence, as dotted path; patience: for
    so long it is tried again."""

    label: str
    about: str
    does: str
    patience: timedelta = timedelta(days=1)


DUTIES = {
    "refresh": DutySpec(
        "Refresh the figures",
        "Reads the newest files of the exports folder and publishes them.",
        "operations.duties.refresh",
    ),
    "weekly report": DutySpec(
        "Mail the weekly report",
        "The board report of the week that ended, to whom Reports by mail names; once its figures are there.",
        "operations.duties.weekly_report",
        patience=timedelta(days=6),  # exports may come days later, and the report still goes out
    ),
    "monthly report": DutySpec(
        "Mail the monthly report",
        "The board report of the month that ended, to whom Reports by mail names; once its figures are there.",
        "operations.duties.monthly_report",
        patience=timedelta(days=25),
    ),
    "promises": DutySpec(
        "Check promises",
        "Tells the desk what is promised for today and which promises were broken.",
        "operations.promises.remind",
    ),
    "freshness": DutySpec(
        "See whether figures are late",
        "Tells people when no new figures have come for too long.",
        "operations.alerts.check_freshness",
        patience=timedelta(hours=1),
    ),
    "prune": DutySpec(
        "Tidy up",
        "Removes builds older than the last five sets of exports, sessions that ran out and old records of duties.",
        "operations.duties.prune",
    ),
}


def owe(name: str, due_at: datetime, now: datetime | None = None) -> Duty:
    """The row of what is owed since `due_at`; there is one however often it is asked for."""
    now = now or timezone.now()
    return Duty.objects.get_or_create(name=name, due_at=due_at, defaults={"next_attempt_at": now, "noticed_at": now})[0]


def undone(now: datetime):
    """Rows that somebody may carry out now: those whose turn it is, and those whose process died; the oldest first."""
    theirs_is_dead = Q(state=State.RUNNING, claimed_at__lt=now - LIMIT)
    due = Q(state=State.WAITING, next_attempt_at__lte=now)
    return Duty.objects.filter(theirs_is_dead | due, name__in=DUTIES).order_by("due_at", "pk")


def carry_out(duty: Duty, now: datetime | None = None) -> str | None:
    """Do what is owed, unless it is done or somebody is at it; a sentence on what came of it, None: nothing to do.

    now: this very moment, from which the claim counts; a test's own.
    """
    from operations import schedules

    now = now or timezone.now()
    claimed = undone(now).filter(pk=duty.pk)
    died = Case(When(state=State.RUNNING, then=F("died") + 1), default=0)  # who had claimed it left no word
    if not claimed.update(state=State.RUNNING, claimed_at=now, attempts=F("attempts") + 1, died=died):
        return None
    duty.refresh_from_db()
    spec = DUTIES[duty.name]
    if not schedules.is_on(duty.name):
        _end(duty, state=State.DONE, done_at=max(now, timezone.now()), outcome=SWITCHED_OFF)
        return f"{spec.label}: let go. {SWITCHED_OFF}"
    if duty.died >= MOST_DEATHS or duty.died and now >= duty.noticed_at + spec.patience:
        return _give_up(duty, "Each time the process that was at it ended without a word.")
    log.info("duty %s of %s: attempt %s", duty.name, duty.due_at.isoformat(), duty.attempts)
    try:
        outcome = import_string(spec.does)(duty.due_at)
    except Exception as error:
        return _not_done(duty, error, now)
    _end(duty, state=State.DONE, done_at=max(now, timezone.now()), outcome=outcome[:500])
    return f"{spec.label}: {outcome}"


def _not_done(duty: Duty, error: Exception, now: datetime) -> str:
    """Try again later what can still succeed; give up what can't, or has not for too long."""
    reason = _sentence(error)
    if can_pass(error) and now < duty.noticed_at + DUTIES[duty.name].patience:
        after = getattr(error, "after", None) or backoff(duty.attempts)
        _end(duty, state=State.WAITING, next_attempt_at=now + after, outcome=reason)
        return f"{DUTIES[duty.name].label}: later. {reason}"
    if not isinstance(error, (NotYet, MoonwalkError)):  # where it happened; what it said may name a customer
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("duty %s failed: %s\n%s", duty.name, type(error).__name__, where)
    return _give_up(duty, reason)


def _give_up(duty: Duty, reason: str) -> str:
    with transaction.atomic():
        if _end(duty, state=State.FAILED, outcome=reason):
            _tell(duty, reason)
    return f"{DUTIES[duty.name].label}: given up. {reason}"


def _end(duty: Duty, **fields) -> bool:
    """Write the end of an attempt; False when somebody took it over meanwhile."""
    return bool(Duty.objects.filter(pk=duty.pk, state=State.RUNNING, claimed_at=duty.claimed_at).update(**fields))


def _tell(duty: Duty, reason: str) -> None:
    """Somebody hears of a duty that was given up."""
    from operations import audience

    label = DUTIES[duty.name].label
    audience.tell(
        audience.people([], "settings"),
        key=f"duty:{duty.pk}",
        about=f"Not done: {label}",
        subject=f"Not done: {label}",
        text=f"What was due on {moment(duty.due_at)} was given up after {many(duty.attempts, 'attempt')}. {reason}",
        url=reverse("admin:operations_duty_change", args=[duty.pk]),
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, (NotYet, MoonwalkError)):
        return str(error)[:480]
    return f"It broke off ({type(error).__name__}); the log says where."


def can_pass(error: BaseException) -> bool:
    """Can the same succeed later: was the database, the queue, a time limit or another refresh in the way?"""
    from billiard.exceptions import SoftTimeLimitExceeded
    from kombu.exceptions import OperationalError as QueueAway
    from redis.exceptions import RedisError

    passing = (NotYet, RefreshBusy, OperationalError, InterfaceError, ConnectionError, TimeoutError,
               SoftTimeLimitExceeded, QueueAway, RedisError)  # fmt: skip
    return isinstance(error, passing)


def backoff(attempts: int, chance: Callable[[], float] = random.random) -> timedelta:
    """Until the next try after so many: 15 s, doubling up to 5 minutes, a fifth more or less by chance."""
    wait = min(FIRST_RETRY * 2 ** min(attempts - 1, 10), LONGEST_RETRY)
    return wait * (1 + JITTER * (2 * chance() - 1))


# --- What is done ----------------------------------------------------------------------------------------------------


def refresh(due_at: datetime) -> str:
    """Queue the scheduled refresh. Raises RefreshBusy while another one is under way, NotYet while somebody is writing
    into the exports folder (a quarter of an hour at most)."""
    from operations import refresh, watch

    asked = RefreshRun.objects.filter(trigger=RefreshRun.Trigger.SCHEDULE, started_at__gte=due_at).first()
    now = timezone.now()
    name = watch.being_written(watch.look(Path(settings.EXPORTS_DIR), now), now)
    if name and not asked and now - due_at < watch.PATIENCE:
        raise NotYet(f"{name} is still being written.", after=watch.SETTLED)
    run = asked or refresh.start(trigger=RefreshRun.Trigger.SCHEDULE)
    return f"Refresh {run.pk} was asked for."


def weekly_report(due_at: datetime) -> str:
    """Mail the report of the week before. Raises NotYet."""
    return _report("week", due_at)


def monthly_report(due_at: datetime) -> str:
    """Mail the report of the month before. Raises NotYet."""
    return _report("month", due_at)


def _report(grain: str, due_at: datetime) -> str:
    """After the refreshes: one that is owed or under way may bring what the report is to say."""
    from operations import reports

    owed = Duty.objects.filter(name="refresh", due_at__lte=due_at, state__in=[State.WAITING, State.RUNNING])
    if owed.exists() or RefreshRun.objects.filter(state__in=RefreshRun.UNDERWAY).exists():
        raise NotYet("A refresh is under way.", after=timedelta(seconds=30))
    return reports.mail(grain, due_at)


def prune(due_at: datetime) -> str:
    """Remove what nobody needs any more. Raises RefreshBusy."""
    from django.contrib.sessions.backends.db import SessionStore

    from operations import deliveries, refresh

    removed = refresh.prune()
    SessionStore.clear_expired()
    ended = Duty.objects.filter(state__in=[State.DONE, State.FAILED])
    old = ended.filter(due_at__lt=due_at - KEPT_FOR).delete()[0] + deliveries.prune()
    return f"{len(removed)} builds and {old} old records removed."
