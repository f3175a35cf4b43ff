"""Is it alive (/healthz), can it work (/readyz): for orchestrators and monitors, open to all, before everything else.

/healthz says that the process answers and asks nothing and nobody: what restarts a server looks here. /readyz looks at
the database, the warehouse, the broker and how old the figures are. Late figures don't make it 503: a server that is
taken away for them shows nobody the figures there are. What is wrong with a part, with names of settings and files, is
told on this machine alone, and in the log.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse

from etl.errors import MoonwalkError

log = logging.getLogger(__name__)

SECONDS = 2.0  # that a part has to answer
CLOCK_SILENT = timedelta(minutes=3)
KEPT = 1.0  # seconds for which an answer counts: who asks faster costs nothing more
NEVER_CACHED = {"Cache-Control": "no-store"}


class Trouble(Exception):
    """A part doesn't work; the sentence says how, without a secret or a name."""


def database() -> None:
    """It answers, and has the tables that this version works on."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor
    from django.db.utils import Error

    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _seen.get("migrated"):
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                raise Trouble("The database waits for `manage.py migrate`.")
            _seen["migrated"] = True
    except Error as error:
        raise Trouble(f"The database does not answer ({type(error).__name__}).") from None
    finally:
        if threading.current_thread() is not threading.main_thread():
            connection.close()


def warehouse() -> None:
    """The published build opens with the key. Before there is one the server is ready: exports can be uploaded."""
    from analytics import queries

    house = queries.warehouse()
    if house.current():
        house.connect().close()


def broker() -> None:
    """Redis answers, where there is one."""
    import redis

    if settings.REDIS_URL:
        try:
            redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1).ping()
        except (redis.RedisError, ValueError, OSError) as error:
            raise Trouble(f"Redis does not answer ({type(error).__name__}).") from None


def freshness() -> None:
    """The last refresh is no longer ago than the alert on late figures allows, paused or not."""
    from django.db import connection
    from django.db.utils import Error

    from analytics.models import AlertRule
    from operations import alerts

    try:
        last = alerts.last_refreshed()
        limit = AlertRule.objects.filter(kind=AlertRule.Kind.REFRESH_LATE).values_list("limit", flat=True).first()
        if last and limit and alerts.hours_late(last) > limit:
            raise Trouble(f"No refresh went well in the last {limit:,.0f} hours: the figures are late.")
    except Error as error:
        raise Trouble(f"The database can't say ({type(error).__name__}).") from None
    finally:
        if threading.current_thread() is not threading.main_thread():
            connection.close()


PARTS: dict[str, Callable[[], None]] = {
    "database": database, "warehouse": warehouse, "broker": broker, "freshness": freshness
}  # fmt: skip
REPORTED = ("freshness",)  # said, but no reason for 503
_seen: dict[str, bool] = {}
_asking: dict[str, threading.Thread] = {}  # a part's check that hasn't come back yet: none is begun beside it
_answers: dict[str, str] = {}
_turn = threading.Lock()
_kept: tuple[float, dict[str, str]] = (0.0, {})


def _ask(name: str) -> None:
    try:
        PARTS[name]()
        _answers[name] = ""
    except (Trouble, MoonwalkError) as trouble:
        _answers[name] = str(trouble)
    except Exception as error:
        _answers[name] = f"It does not work ({type(error).__name__})."


def trouble() -> dict[str, str]:
    """{part: what is wrong with it, "" for nothing}. Asks all parts at once, each for two seconds at most."""
    global _kept
    with _turn:
        if time.monotonic() - _kept[0] < KEPT:
            return _kept[1]
        for name in PARTS:
            if name not in _asking or not _asking[name].is_alive():
                _answers.pop(name, None)
                _asking[name] = threading.Thread(target=_ask, args=(name,), name=f"ready-{name}", daemon=True)
                _asking[name].start()
        until = time.monotonic() + SECONDS
        for name in PARTS:
            _asking[name].join(max(0.0, until - time.monotonic()))
        found = {name: _answers.get(name, f"No answer within {SECONDS:.0f} seconds.") for name in PARTS}
        for name, why in found.items():
            if why != _kept[1].get(name, ""):  # a monitor asks every few seconds: only what is news
                log.log(logging.WARNING if why else logging.INFO, "ready, %s: %s", name, why or "works")
        _kept = (time.monotonic(), found)
        return found


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok", content_type="text/plain", headers=NEVER_CACHED)


@login_not_required
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the server can work, else 503; each part, and to who asks on this machine what is wrong with it."""
    found = trouble()
    ready = not any(why for name, why in found.items() if name not in REPORTED)
    parts = {name: {"ok": not why} | ({"why": why} if _is_here(request) else {}) for name, why in found.items()}
    response = JsonResponse({"ready": ready, **parts}, status=200 if ready else 503, headers=NEVER_CACHED)
    response._has_been_logged = True  # Django's word for it: no error in the log for each question
    return response


def _is_here(request: HttpRequest) -> bool:
    """Does it come from this machine itself, and not by way of the proxy that is on it, too?"""
    proxied = any(name in request.headers for name in ("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via"))
    return request.META.get("REMOTE_ADDR") in ("127.0.0.1", "::1") and not proxied


def clock_ticks() -> bool:
    """Has the clock (Celery's beat) sent a tick in the last three minutes?"""
    from django.utils import timezone
    from django_celery_beat.models import PeriodicTask

    from operations.schedules import TICK

    last = PeriodicTask.objects.filter(task=TICK).values_list("last_run_at", flat=True).first()
    return last is not None and timezone.now() - last < CLOCK_SILENT


ADDRESSES = {"/healthz": healthz, "/readyz": readyz}


class Middleware:
    """Answers both addresses before any other middleware: whatever host a probe calls the server by, over HTTP, with
    no session and no line in the log for each."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = ADDRESSES.get(request.path)
        return view(request) if view else self.get_response(request)


def main() -> int:
    """`python -m moonwalk.health`: exit code 0 while the clock ticks, for its container's health check."""
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moonwalk.settings")
    django.setup()
    return 0 if clock_ticks() else 1


if __name__ == "__main__":
    raise SystemExit(main())
