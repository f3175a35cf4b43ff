"""One person at the desk, in a process of their own: python -m tests.operations.desk_child ORDERS.

ORDERS is JSON: do: a function of operations.services, or "refresh"; args, more: what it is called with (days, UUIDs and
amounts as text); user: who; ready: a file to write once all is loaded; go: a file to wait for before it begins;
hold: [a function as module:name, a file to write after its first call, a file to wait for then]: the transaction stays
open meanwhile; die: a function as module:name after whose first call the process kills itself, hard.
Prints JSON: {"made": [...]} with the numbers of the rows that it gave back, {"refused": why} or {"state": of the
refresh}.
"""

import functools
import importlib
import json
import os
import signal
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import django

KINDS = {"amount": Decimal, "paid_on": date.fromisoformat, "on": date.fromisoformat, "request_key": UUID}


def after_first_call(point: str, then) -> None:
    """Let then() happen once, after the first call of the function that `point` names."""
    module, name = point.split(":")
    *holder, attribute = name.split(".")
    owner = functools.reduce(getattr, holder, importlib.import_module(module))
    original, done = getattr(owner, attribute), []

    @functools.wraps(original)
    def wrapped(*args, **kwargs):
        found = original(*args, **kwargs)
        if not done:
            done.append(True)
            then()
        return found

    setattr(owner, attribute, wrapped)


def wait_for(file: str) -> None:
    until = time.monotonic() + 60
    while not Path(file).exists():
        if time.monotonic() > until:
            sys.exit(f"nobody wrote {file}")
        time.sleep(0.01)


def main(orders: dict) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "moonwalk.settings"
    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection

    from operations import catch_up, refresh, services

    services.payments_changed.disconnect(catch_up.on_payments_changed)  # the figures are not what is tested here
    if "hold" in orders:
        point, holding, let_go = orders["hold"]
        after_first_call(point, lambda: (Path(holding).touch(), wait_for(let_go)))
    if "die" in orders:
        after_first_call(orders["die"], lambda: os.kill(os.getpid(), signal.SIGKILL))
    connection.ensure_connection()
    if "go" in orders:
        Path(orders["ready"]).touch()
        wait_for(orders["go"])
    if orders["do"] == "refresh":
        run = refresh.refresh(trigger="command", sure=True)
        print(json.dumps({"state": run.state, "error": run.error}))
        return
    more = {name: KINDS.get(name, lambda value: value)(value) for name, value in orders["more"].items()}
    try:
        found = getattr(services, orders["do"])(*orders["args"], user=User.objects.get(username=orders["user"]), **more)
    except services.Refused as error:
        print(json.dumps({"refused": str(error)}))
        return
    print(json.dumps({"made": [row.pk for row in (found if isinstance(found, list) else [found])]}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
