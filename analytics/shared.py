"""What tabs are made of, shared by the server's processes through Redis, where REDIS_URL names one.

Nothing read here can be old: a build never changes, and an answer's name holds the build, its arguments, the reader's
store and a hash of this code. It saves work and nothing else: a Redis that is down, slow or full of somebody else's
values costs a page one short wait, and the page is made as without.
"""

import hashlib
import logging
import time
from pathlib import Path

from django.conf import settings
from django.core.cache import cache

log = logging.getLogger(__name__)
MISSING = object()
KEPT_FOR = 26 * 3600  # seconds: a day's build and a little
PAUSE = 30  # seconds without Redis after it failed
_back_at = 0.0


def _code_version() -> str:
    """A hash of the code that makes what is shared: an upgrade never reads what another version wrote."""
    found = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()


CODE = _code_version()  # now: later an upgrade may have changed the files under a process that runs the old code


def _used() -> bool:
    """Is there a Redis to ask? Not with an encrypted warehouse: its customers' names must not lie there readable."""
    return bool(settings.REDIS_URL) and not settings.WAREHOUSE_KEY and time.monotonic() >= _back_at


def _name(key: tuple) -> str:
    return "tab:" + hashlib.sha256(repr((CODE, *key)).encode()).hexdigest()


def get(key: tuple):
    """What another process put there under this key, or MISSING. Never raises."""
    if not _used():
        return MISSING
    try:
        return cache.get(_name(key), MISSING)
    except Exception as error:  # whatever Redis, its socket or an unpickled value may raise
        _without(error)
        return MISSING


def put(key: tuple, value) -> None:
    """Let other processes have this value for KEPT_FOR seconds. Never raises."""
    if not _used():
        return
    try:
        cache.set(_name(key), value, KEPT_FOR)
    except Exception as error:
        _without(error)


def _without(error: Exception) -> None:
    """Say it, and leave Redis alone for a while: once a pause, however many pages are asked for."""
    global _back_at
    _back_at = time.monotonic() + PAUSE
    log.warning("Redis doesn't share tabs for the next %s seconds: %s", PAUSE, type(error).__name__)
