"""What follows a refresh: alerts judged, deliveries recorded. It never fails one, and never gets lost.

An ended run owes it until `followed_up` says that it was done. Everything inside is recorded by key, so it may be begun
as often as it takes: after() right away, the tick for what a process that died left.
"""

import logging
from datetime import timedelta
from traceback import format_tb

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from operations import alerts, current_run, deliveries, notion, queue
from operations.models import RefreshRun

log = logging.getLogger(__name__)

TASK = "operations.follow"
State = RefreshRun.State
FOLLOWED = (State.PUBLISHED, State.HELD, State.REFUSED, State.FAILED)
OWED_FOR = timedelta(days=7)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
LIMIT = timedelta(seconds=60)  # who began longer ago is dead: its task is stopped before that


def after(run: RefreshRun) -> None:
    """A refresh has ended: let follow what does. Never raises. With REDIS_URL a worker does it; without, this process,
    which also tries each message once and leaves what doesn't go to the next round."""
    try:
        if settings.REDIS_URL:
            queue.send(TASK, run_id=run.pk)
            return
        for ended in owed():
            follow(ended)
        deliveries.deliver_due()
    except Exception as error:
        log.error("what follows refresh %s waits for the tick: %s", run.pk, type(error).__name__)


def owed() -> QuerySet[RefreshRun]:
    """Ended runs whose aftermath is owed now, the earliest first. After a week nobody wants to know any more."""
    now = timezone.now()
    ended = RefreshRun.objects.exclude(state__in=RefreshRun.UNDERWAY).filter(followed_up=False)
    ended = ended.filter(Q(follow_at=None) | Q(follow_at__lte=now), finished_at__gt=now - OWED_FOR)
    return ended.order_by("finished_at", "pk")


def follow(run: RefreshRun) -> bool:
    """Judge the alerts of an ended run and record what is to be delivered. Was all of it done by this call? What failed
    is owed again after a while, which grows with the run's age; so is what a process that died began."""
    if run.followed_up or run.is_under_way:
        return run.followed_up
    if not _claim(run):
        return False
    with current_run.told(run.pk):
        done = [_tried(step, run) for step in _steps(run)]  # each of them, whatever became of the others
    run.followed_up = all(done)
    run.follow_at = None if run.followed_up else timezone.now() + _wait(run)
    unless_done = RefreshRun.objects.filter(pk=run.pk, followed_up=False)  # by who took this process for dead
    unless_done.update(followed_up=run.followed_up, follow_at=run.follow_at)
    return run.followed_up


def _claim(run: RefreshRun) -> bool:
    """From now on it is this process's for LIMIT at least; False when somebody else was quicker."""
    wait = LIMIT if run.follow_at is None else max(LIMIT, _wait(run))  # what kills its process comes ever more seldom
    as_seen = RefreshRun.objects.filter(pk=run.pk, followed_up=False, follow_at=run.follow_at)
    run.follow_at = timezone.now() + wait
    return bool(as_seen.update(follow_at=run.follow_at))


def _wait(run: RefreshRun) -> timedelta:
    return min(LONGEST_WAIT, max(FIRST_WAIT, (timezone.now() - run.finished_at) / 2))


def _steps(run: RefreshRun) -> list:
    """Nothing where nobody is told: payments alone, dry runs, nothing new, what a person has decided meanwhile."""
    if run.state not in FOLLOWED or run.dry_run or run.is_for_payments_alone:
        return []
    return [alerts.judge, notion.after]


def _tried(step, run: RefreshRun) -> bool:
    try:
        step(run)
    except Exception as error:  # its text may hold a customer's data: where in the code says enough
        where = "".join(format_tb(error.__traceback__))
        log.error("%s after refresh %s failed: %s\n%s", step.__module__, run.pk, type(error).__name__, where)
        return False
    return True
