"""What goes to the log and how: plain lines for people, or one JSON object a line (LOG_FORMAT=json).

A JSON line has what happened and where, never whom it concerns: of an address its pattern, of a person their number,
of an error its kind and the places in the code. What an error said, what was typed, searched or sent stays out.
"""

import logging
import logging.config
import os
import re
import time
import traceback
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

from pythonjsonlogger import json as json_logger

from operations import current_run

OURS = ("moonwalk", "etl", "analytics", "operations")
FORMATS = ("plain", "json")
# What our own lines may carry beside their words.
FIELDS = ("method", "route", "status", "ms")
# An id as programs make them (hexadecimal, as of a UUID or of nginx): a name or a phone number is none.
SANE_ID = re.compile(r"[0-9a-fA-F]{16,64}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
PLACES = re.compile(r"%(\(\w+\))?[#0 +-]*(\*|\d+)?(\.(\*|\d+))?[a-zA-Z]")
ROOT = Path(__file__).resolve().parent.parent
access = logging.getLogger("moonwalk.access")
HEADER = "moonwalk_request"  # of a task's message: the id of the request that asked for the task
_request: ContextVar = ContextVar("moonwalk_request", default=None)
_task: ContextVar = ContextVar("moonwalk_task", default=None)


def config(form: str, level: str) -> dict:
    """Django's LOGGING for a LOG_FORMAT and a LOG_LEVEL."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
            "json": {"()": "moonwalk.logs.JsonFormatter"},
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": form}},
        "root": {"handlers": ["console"], "level": "WARNING"},
        "loggers": {name: {"level": level} for name in OURS}
        | {
            "axes": {"level": "ERROR"},  # its warnings name whoever mistyped a password
            access.name: {"level": "NOTSET" if form == "json" else "CRITICAL"},
            # Django's own handlers would say everything twice, and in their own form.
            "django": {"handlers": [], "level": "WARNING", "propagate": True},
        },
    }


def for_gunicorn() -> dict:
    """gunicorn's `logconfig_dict`: its master's lines as all others. The settings aren't read for it: workers that are
    renewed are to read them anew, and would inherit the master's."""
    form = os.environ.get("LOG_FORMAT") or _of_env_file("LOG_FORMAT")
    known = form if form in FORMATS else "plain"
    return config(known, "WARNING") | {
        "loggers": {"gunicorn.error": {"handlers": ["console"], "level": "WARNING", "propagate": False}}
    }


def _of_env_file(name: str) -> str:
    file = os.environ.get("MOONWALK_ENV_FILE", str(ROOT / ".env"))
    if not file or not Path(file).is_file():
        return ""
    found = re.findall(rf"^{name}=['\"]?(\w*)", Path(file).read_text(encoding="utf-8"), re.M)
    return found[-1] if found else ""


def like_the_rest(loglevel=None, **kwargs) -> None:
    """Receiver of Celery's setup_logging: worker and clock log as all else does, at the level they were given."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
    if loglevel:
        logging.getLogger("celery").setLevel(loglevel)


class JsonFormatter(json_logger.JsonFormatter):
    """One JSON object a record: time, level, logger, message; request, user, task, run where there are any; of an error
    its kind and where in the code."""

    def add_fields(self, log_data, record, message_dict) -> None:
        log_data.update(
            time=datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            level=record.levelname,
            logger=record.name,
            message=words(record),
            **whereabouts(getattr(record, "request", None)),
        )
        if _is_ours(record):
            log_data.update({name: getattr(record, name) for name in FIELDS if hasattr(record, name)})
        if record.exc_info and record.exc_info[0]:
            log_data.update(error=record.exc_info[0].__name__, where=_places(record.exc_info[2]))

    def process_log_record(self, log_data):
        for name in ("exc_info", "stack_info"):
            log_data.pop(name, None)
        return log_data

    def formatException(self, ei) -> str:  # noqa: N802 (logging's name); add_fields says what may be said
        return ""


def words(record: logging.LogRecord) -> str:
    """A record's message; of other people's records without an address as typed, or what an error said."""
    if record.exc_info and record.msg == str(record.exc_info[1]):
        return "an error"  # and which one, beside it
    request, arguments = getattr(record, "request", None), record.args
    path = getattr(request, "path", None)
    if path and isinstance(arguments, tuple):
        told = tuple(route_of(request) if value == path else value for value in arguments)
        return str(record.msg) % told if told else str(record.msg)
    if record.exc_info and not _is_ours(record):
        said = PLACES.sub("…", str(record.msg))
        name = arguments.get("name") if isinstance(arguments, Mapping) else None  # Celery's: the task
        return f"{said} ({name})" if name else said
    return record.getMessage()


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.split(".")[0] in OURS


def _places(trace) -> list[str]:
    """["operations/refresh.py:210 refresh", ...], the outermost first."""
    return [f"{_short(f.filename)}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)]


def _short(file: str) -> str:
    inside = file.removeprefix(f"{ROOT}/")
    return inside if inside != file else "/".join(Path(file).parts[-3:])


def whereabouts(request=None) -> dict:
    """{"request", "user", "task", "run"}: the ids of what this thread, or this request, is about; only those that there
    are. A task has the id of the request that asked for it."""
    request, run, task = _request.get() or request, current_run.number.get(), _task.get() or {}
    found = {"request": request.id, "user": person(request)} if hasattr(request, "id") else {}
    return {name: value for name, value in (task | found | {"run": run}).items() if value is not None}


def person(request) -> int | None:
    """The number of who asks, when the request found out already."""
    user = getattr(request, "auth", None) or getattr(request, "_cached_user", None)
    return getattr(user, "pk", None)


def route_of(request) -> str:
    """The pattern of a request's address: "customer/<str:customer_id>/", never the address itself."""
    match = getattr(request, "resolver_match", None)
    return f"/{match.route}" if match else "(no such address)"


# Tasks: receivers of Celery's signals (moonwalk/celery.py) ------------------------------------------------------------


def task_sent(headers: dict | None = None, **kwargs) -> None:
    """before_task_publish: the id of the request goes along, from task to task too; the clock's have none."""
    request = whereabouts().get("request")
    if headers is not None and request:
        headers[HEADER] = request


def task_begun(task, task_id: str | None = None, **kwargs) -> None:
    """task_prerun: from now on this thread's lines are about the task, and the request that asked for it."""
    request = str((task.request.headers or {}).get(HEADER, ""))
    _task.set({"request": request if SANE_ID.fullmatch(request) else None, "task": task_id})


def task_ended(**kwargs) -> None:
    """task_postrun: a worker's thread goes on to other tasks."""
    _task.set(None)


# Requests -------------------------------------------------------------------------------------------------------------


class Middleware:
    """Gives each request an id (that of X-Request-ID, when it looks like one), which the response and all log lines
    carry, and logs one line a request where the log is JSON."""

    def __init__(self, get_response):
        from django.conf import settings

        self.get_response = get_response
        self.static = f"/{settings.STATIC_URL.strip('/')}/"

    def __call__(self, request):
        given = request.headers.get("X-Request-ID", "")
        request.id = given if SANE_ID.fullmatch(given) else uuid.uuid4().hex
        token, start = _request.set(request), time.perf_counter()
        try:
            response = self.get_response(request)
            if access.isEnabledFor(logging.INFO) and not request.path.startswith(self.static):
                self._log(request, response.status_code, start)
        finally:
            _request.reset(token)
        response.headers["X-Request-ID"] = request.id
        return response

    def _log(self, request, status: int, start: float) -> None:
        route, method = route_of(request), request.method if request.method in METHODS else "OTHER"
        ms = round((time.perf_counter() - start) * 1000)
        fields = {"method": method, "route": route, "status": status, "ms": ms}
        access.info("%s %s %s", method, route, status, extra=fields)


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
