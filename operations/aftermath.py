"""What follows a refresh: alerts judged, deliveries recorded. It never fails one, and never gets lost.

An ended run owes it until `followed_up` says that it was done. Everything inside is recorded by key, so it may be begun
as often as it takes: after() right away, the tick for what a process that died left.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from operations import deliveries
from operations.models import RefreshRun

log = logging.getLogger(__name__)

TASK = "operations.follow"
State = RefreshRun.State
FOLLOWED = (State.PUBLISHED, State.HELD, State.REFUSED, State.FAILED)
OWED_FOR = timedelta(days=2)


def after(run: RefreshRun) -> None:
    """A refresh has ended: let follow what does. Never raises. With REDIS_URL a worker does it; without, this process,
    which also tries each message once and leaves what doesn't go to the next round."""
    try:
        if settings.REDIS_URL:
            import_string(settings.CELERY_APP).send_task(TASK, args=[run.pk], retry=False)
            return
        for ended in owed():
            follow(ended)
        deliveries.deliver_due()
    except Exception as error:
        log.error("what follows refresh %s waits for the tick: %s", run.pk, type(error).__name__)


def owed() -> QuerySet[RefreshRun]:
    """Ended runs whose aftermath is owed, the earliest first. After two days nobody wants to know any more."""
    ended = RefreshRun.objects.exclude(state__in=RefreshRun.UNDERWAY).filter(followed_up=False)
    return ended.filter(finished_at__gt=timezone.now() - OWED_FOR).order_by("finished_at", "pk")


def follow(run: RefreshRun) -> bool:
    """Judge the alerts of an ended run and record what is to be delivered. Was all of it done? What failed is tried
    again by the tick."""
    done = [_tried(step, run) for step in _steps(run)]
    if all(done):
        RefreshRun.objects.filter(pk=run.pk).update(followed_up=True)
        run.followed_up = True
    return all(done)


def _steps(run: RefreshRun) -> list:
    """Nothing where nobody is told: payments alone, dry runs, nothing new, what a person has decided meanwhile."""
    if run.state not in FOLLOWED or run.dry_run or run.is_for_payments_alone:
        return []
    from operations import alerts, notion

    return [alerts.judge, notion.after]


def _tried(step, run: RefreshRun) -> bool:
    try:
        step(run)
    except Exception as error:  # its text may hold a customer's data
        log.error("%s after refresh %s failed: %s", step.__module__, run.pk, type(error).__name__)
        return False
    return True
