"""Payments into the figures: whenever some were recorded or voided, a refresh is queued for them.

With REDIS_URL a Celery worker runs it, and the clock's tick looks whether one was forgotten. Without, a thread of this
process does, right after the response; the refresh's lock lets one at a time through, whoever asks.
"""

import logging
import threading
import time

from django.conf import settings
from django.db import connection

from operations import queue
from operations.lock import RefreshBusy

log = logging.getLogger(__name__)

TASK = "operations.payments"
THREADS = ("payments", "refresh")  # names: this module's thread, and that of a refresh somebody asked for
# So long a payment waits for others of the same press of a button, and for the response to be sent.
SETTLE_SECONDS = 1.0
RETRY_SECONDS = 2.0  # between two looks whether another refresh has ended
_turn = threading.Lock()
_thread: threading.Thread | None = None
_asked = False


def ask() -> None:
    """Have the figures follow soon. Never raises: the payments are saved, and whatever refreshes next takes them."""
    try:
        if settings.REDIS_URL:
            queue.send(TASK, countdown=SETTLE_SECONDS)
        else:
            _wake()
    except Exception as error:
        log.error("payments wait for the next refresh, the queue can't be reached: %s", type(error).__name__)


def on_payments_changed(sender, **kwargs) -> None:
    """Receiver of services.payments_changed, which is sent after the commit."""
    ask()


def at_start() -> None:
    """A web server's process begins: take up what one that was killed left. With Redis the clock's tick does."""
    if not settings.REDIS_URL:
        ask()
        threading.Thread(target=_take_up, name=THREADS[1]).start()


def _take_up() -> None:
    """The refresh that waits for its turn, if there is one."""
    from operations import refresh

    try:
        if run := refresh.waiting_run():
            refresh.run_queued(run.pk)
    except Exception as error:
        log.error("the refresh that waits could not be looked for: %s", type(error).__name__)
    finally:
        connection.close()


def finish() -> None:
    """Wait for the refreshes on this process's threads. Call before the main thread ends: after it Python starts no
    more work on threads, of which a build needs some."""
    for thread in threading.enumerate():
        if thread.name in THREADS:
            thread.join()


def catch_up() -> None:
    """Refresh for the payments that no published build was given yet, after whatever refresh is under way.

    A worker doesn't wait for that one's end: what it leaves is asked for again by the clock's next tick.
    """
    from operations import refresh

    # A process about to end leaves them to the next one.
    while threading.main_thread().is_alive() and refresh.payments_waiting():
        try:
            refresh.include_payments()
            if settings.REDIS_URL and (waited := refresh.waiting_run()):
                refresh.ask(waited)  # its worker didn't wait for this
            return
        except RefreshBusy:
            if settings.REDIS_URL:
                return
            time.sleep(RETRY_SECONDS)


def _wake() -> None:
    """Let this process's one thread look (again)."""
    global _thread, _asked
    with _turn:
        _asked = True
        if _thread is None:
            _thread = threading.Thread(target=_work, name=THREADS[0])
            _thread.start()


def _work() -> None:
    global _thread, _asked
    while True:
        with _turn:
            if not _asked:
                _thread = None
                return
            _asked = False
        time.sleep(SETTLE_SECONDS)
        try:
            catch_up()
        except Exception as error:
            log.error("payments wait for the next refresh: %s", type(error).__name__)
        finally:
            connection.close()
