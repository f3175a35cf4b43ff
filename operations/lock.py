"""One refresh at a time: a row in the database with a heartbeat, taken over when its holder died."""

import logging
import os
import socket
import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path

from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from etl.errors import MoonwalkError
from operations.models import RefreshLock, RefreshRun

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10
RELEASE_SECONDS = 2  # between two tries to give it back while the database is away
STALE_AFTER = timedelta(seconds=90)  # nine heartbeats missed: a process on another machine is taken for dead
# On this machine a process that lives is no dead one: a first load's long transaction may hold its heartbeat back.
# Its number may have been given to another process meanwhile (in a container that was started again, at once): that one
# began at another moment. Where systems don't tell, an hour's silence does.
REUSED_AFTER = timedelta(hours=1)


class RefreshBusy(MoonwalkError):
    """Another refresh is running; `run` is its record, when it has one already. Or what else keeps refreshes out, with
    its `purpose`: a backup is being made."""

    def __init__(self, run: RefreshRun | None, purpose: str = ""):
        self.run = run
        super().__init__(f"{self._how_far(run, purpose)} Wait for it to end, then try again.")

    @staticmethod
    def _how_far(run: RefreshRun | None, purpose: str) -> str:
        if run is None:
            return f"{purpose or 'A refresh is already running; it has only just begun'}."
        since = f"since {timezone.localtime(run.started_at):%H:%M:%S}"
        if run.state == RefreshRun.State.QUEUED:
            return f"A refresh is already waiting for its turn {since}."
        step = f" (step {run.step}, {run.progress} %)" if run.step else ""
        return f"A refresh is already running {since}{step}."


class LockLost(Exception):
    """This process was taken for dead and another one refreshes: nothing may be written any more."""


def running() -> RefreshLock | None:
    """The lock's row while a living process holds it, else None."""
    row = RefreshLock.objects.select_related("run").filter(pk=1).first()
    return row if row and row.holder and not _is_dead(row) else None


def purpose_of(row: RefreshLock) -> str:
    """What the lock is held for, where that is no refresh: "A backup is being made"."""
    return _holder(row)[2]


def _holder(row: RefreshLock) -> tuple[str, str, str]:
    """What a row's `host` says: the machine, when the process began there, what the lock is for; "" for not known."""
    host, began, purpose = (row.host.split(" ", 2) + ["", ""])[:3]
    return host, began, purpose


def _is_dead(row: RefreshLock) -> bool:
    """Is the holder gone? On this machine its process says so; of another machine only the heartbeat is known."""
    if row.heartbeat_at is None or row.pid is None:
        return True
    silence = timezone.now() - row.heartbeat_at
    host, began, _ = _holder(row)
    if host == socket.gethostname():
        reused = bool(began) and began != _began(row.pid)
        return not _process_exists(row.pid) or reused or silence > REUSED_AFTER
    return silence > STALE_AFTER


def _began(pid: int) -> str:
    """When a process began, in ticks since the machine's start; "" where the system doesn't tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's process
        return True
    try:  # one that was killed and whose parent has not looked yet still has its number
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # no /proc on this system, or gone in this moment: the next try sees that
        return True


class Lock:
    """Held inside a `with` block; a thread keeps it alive. Raises RefreshBusy when a living process holds it.

    purpose: what it is held for, where that is no refresh, as who is kept waiting reads it."""

    def __init__(self, purpose: str = "") -> None:
        self.purpose = purpose
        self.token = uuid.uuid4().hex
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="refresh-heartbeat", daemon=True)

    def __enter__(self) -> "Lock":
        RefreshLock.objects.get_or_create(pk=1)
        row = RefreshLock.objects.select_related("run").get(pk=1)
        if row.holder and not _is_dead(row):
            raise RefreshBusy(row.run, purpose_of(row))
        if row.holder:
            log.warning("taking over the refresh lock: its holder (process %s on %s) died", row.pid, row.host)
        # Compare and swap: of two processes that saw the same dead or absent holder, one wins; and a holder that was
        # only late and gave a sign of life since we looked keeps it.
        taken = RefreshLock.objects.filter(pk=1, holder=row.holder, heartbeat_at=row.heartbeat_at).update(
            holder=self.token, run=None, pid=os.getpid(), heartbeat_at=timezone.now(),
            host=f"{socket.gethostname()} {_began(os.getpid())} {self.purpose}".strip(),
        )  # fmt: skip
        if not taken:
            row = RefreshLock.objects.select_related("run").get(pk=1)
            raise RefreshBusy(row.run, purpose_of(row))
        self._thread.start()
        return self

    def __exit__(self, *exc) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self._release()
        except (DatabaseError, InterfaceError) as error:
            # This process lives on, nobody takes it for dead: it gives the lock back when the database is there again.
            log.warning("the refresh lock is given back later: %s", type(error).__name__)
            threading.Thread(target=self._release_later, name="refresh-release", daemon=True).start()

    def _release(self) -> None:
        RefreshLock.objects.filter(holder=self.token).update(holder="", run=None, host="", pid=None, heartbeat_at=None)

    def _release_later(self) -> None:
        done = False
        while not done:
            time.sleep(RELEASE_SECONDS)
            try:
                self._release()
                done = True
            except (DatabaseError, InterfaceError):
                continue
            finally:
                connection.close()

    def attach(self, run: RefreshRun) -> None:
        """Say which run the lock is held for."""
        self._touch(run=run)

    def verify(self) -> None:
        """Raises LockLost unless this process still holds the lock. Inside a transaction the answer stays true until
        its end: the row is written, so nobody else can take it meanwhile."""
        self._touch()

    def _touch(self, **fields) -> None:
        if not RefreshLock.objects.filter(holder=self.token).update(heartbeat_at=timezone.now(), **fields):
            raise LockLost("Another process took this refresh for dead and runs one of its own.")

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                self._touch()
            except LockLost:
                break
            except Exception as error:  # a busy database: the next beat may get through
                log.warning("the refresh's heartbeat was not written: %s", type(error).__name__)
            finally:
                connection.close()
