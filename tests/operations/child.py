"""A refresh in a process of its own that kills itself, hard, at a named point: python -m tests.operations.child POINT.

POINT: a step of the refresh (killed as it starts); or a function, as module:name, before (-) or after (+) its work, or
in its midst (#: as it is about to put the file it wrote in its place): "-etl.warehouse:Warehouse.publish".
Without POINT the refresh runs to its end. Prints the run's state.
"""

import functools
import importlib
import os
import signal
import sys
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


def main(point: str = "") -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "moonwalk.settings"
    django.setup()
    from operations.lock import RefreshBusy
    from operations.refresh import SHARES, refresh

    if point and point not in SHARES:
        die_at(point)
    try:
        run = refresh(trigger="command", on_progress=lambda e: die() if e.step == point else None)
    except RefreshBusy as busy:
        print(busy)
        return
    print(run.state, run.error)


if __name__ == "__main__":
    main(*sys.argv[1:])
