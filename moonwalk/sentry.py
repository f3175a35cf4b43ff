"""Unexpected errors to Sentry (SENTRY_DSN), of which nothing that a person typed or that is kept about one leaves.

What is sent is chosen, not what is left out: the kind of error, the places in the code, the pattern of the address or
the name of the task, the version, our ids. Values of variables, what an error said, requests, cookies, breadcrumbs,
arguments of commands and of log lines are in none of it.
"""

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.django import DjangoIntegration

from moonwalk import __version__
from moonwalk.logs import OURS

KEPT = ("event_id", "timestamp", "platform", "level", "logger", "release", "environment", "transaction", "sdk")
OF_FRAME = ("filename", "abs_path", "module", "function", "lineno", "in_app", "context_line")


def start(dsn: str) -> None:
    """Send errors of web, worker, clock and commands from now on."""
    sentry_sdk.init(
        dsn=dsn,
        release=f"moonwalk@{__version__}",
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        auto_enabling_integrations=False,
        integrations=[
            DjangoIntegration(transaction_style="url", middleware_spans=False, signals_spans=False),
            CeleryIntegration(),
        ],
        before_send=chosen,
    )


def chosen(event: dict, hint: dict) -> dict:
    """The event that may leave: built anew of what is known to be harmless."""
    from moonwalk import logs

    kept = {name: event[name] for name in KEPT if name in event}
    # A line of our own logs as it stands in the code, without what was filled in; of others' not even that.
    said = (event.get("logentry") or {}).get("message")
    if said and str(event.get("logger", "")).split(".")[0] in OURS:
        kept["logentry"] = {"message": said}
    found = (event.get("exception") or {}).get("values") or []
    if found:
        kept["exception"] = {"values": [_of_exception(one) for one in found]}
    if ids := logs.whereabouts():
        kept["tags"] = {name: str(value) for name, value in ids.items()}
    return kept


def _of_exception(one: dict) -> dict:
    frames = (one.get("stacktrace") or {}).get("frames") or []
    mechanism = one.get("mechanism") or {}
    return {
        "type": one.get("type"),
        "module": one.get("module"),
        "mechanism": {name: mechanism[name] for name in ("type", "handled") if name in mechanism},
        "stacktrace": {"frames": [{name: f[name] for name in OF_FRAME if name in f} for f in frames]},
    }
