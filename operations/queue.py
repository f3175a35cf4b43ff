"""Asking the queue for something soon. The row in the database is what counts: whatever the queue loses, the clock's
next tick (operations/tick.py) finds undone and asks for again."""

import logging
import time

from django.conf import settings
from django.utils.module_loading import import_string

log = logging.getLogger(__name__)

QUICKLY = {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.1}  # somebody may wait for the page
EXPIRES = 60  # seconds: by then the tick has asked again for what nobody took up
AWAY_SECONDS = 5  # so long a queue that could not be reached isn't asked: many in a row would each wait for it
_away_until = 0.0


def send(task: str, *, countdown: float = 0, expires: float | None = None, **arguments) -> bool:
    """Send a task to the Celery worker; False where there is no queue (REDIS_URL) or it can't be reached. Never raises.

    countdown: seconds that it waits at least; expires: seconds after which nobody carries it out any more.
    """
    global _away_until
    if not settings.REDIS_URL or time.monotonic() < _away_until:
        return False
    try:
        import_string(settings.CELERY_APP).send_task(
            task, kwargs=arguments, countdown=countdown, expires=expires, retry_policy=QUICKLY
        )
    except Exception as error:
        _away_until = time.monotonic() + AWAY_SECONDS
        log.error("%s waits for the clock's next tick, the queue can't be reached: %s", task, type(error).__name__)
        return False
    return True
