"""A refresh in a process of its own that kills itself, hard, at a named point: python -m tests.operations.child POINT.

POINT: a step of the refresh (killed as it starts); or a function, as module:name, before (-) or after (+) its work, or
in its midst (#: as it is about to put the file it wrote in its place): "-etl.warehouse:Warehouse.publish".
Without POINT the refresh runs to its end. Prints the run's state.

POINT payments: not a refresh but a rebuild for payments. POINT release, POINT discard: what is held is published,
removed. pay ORDER AMOUNT: records a payment, which nobody follows up; pay ORDER AMOUNT queue [METHOD]: one that queues
a refresh as ever.
"""

import functools
import importlib
import os
import signal
import sys
import uuid
from datetime import date
from decimal import Decimal
from pathlib import Path

import django


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(point: str) -> None:
    """Replace the function that `point` names by one that dies before or after it."""
    when, (module, name) = point[0], point[1:].split(":")
    *holder, attribute = name.split(".")
    owner = functools.reduce(getattr, holder, importlib.import_module(module))
    original = getattr(owner, attribute)

    def deadly(*args, **kwargs):
        if when == "#":
            Path.replace = die
        if when in "+#":
            original(*args, **kwargs)
        die()

    setattr(owner, attribute, deadly)


def die_at_step(step: str) -> None:
    from operations.refresh import Progress

    tell = Progress.tell

    def deadly(self, name, *args, **kwargs):
        tell(self, name, *args, **kwargs)
        if name == step:
            die()

    Progress.tell = deadly


def pay(order_id: str, amount: str, how: str = "", method: str = "Cash") -> None:
    """Record a payment."""
    from django.contrib.auth import get_user_model

    from operations import catch_up, services
    from operations.models import Order

    if not how:
        catch_up.ask = lambda: None
    users = get_user_model().objects
    user = users.filter(is_superuser=True).first() or users.create_superuser("till")
    services.customer_pay(
        Order.objects.get(pk=order_id).customer_id, Decimal(amount), method=method, paid_on=date(2026, 3, 4),
        user=user, request_key=uuid.uuid4(), order_ids=[order_id],
    )  # fmt: skip
    catch_up.finish()


def main(point: str = "", what: str = "refresh") -> None:
    from analytics import enrich
    from operations import held
    from operations.lock import RefreshBusy
    from operations.models import RefreshRun
    from operations.refresh import SHARES, include_payments, refresh, release_now, warehouse

    enrich.evaluate = lambda con, business: []  # as in the other tests of refreshes: a fifth of their time
    if point:
        die_at_step(point) if point in SHARES else die_at(point)
    try:
        if what == "payments":
            include_payments()
            run = RefreshRun.objects.first()
        elif what == "release":
            run = release_now(RefreshRun.objects.get(state="held").build_id)
        elif what == "discard":
            run = RefreshRun.objects.get(state="held")
            held.discard(warehouse(), run, None)
        else:
            run = refresh(trigger="command")
    except RefreshBusy as busy:
        print(busy)
        return
    print(run.state, run.error)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "moonwalk.settings"
    django.setup()
    pay(*sys.argv[2:]) if sys.argv[1:2] == ["pay"] else main(*sys.argv[1:])
