"""Processes that begin where Moonwalk is loaded already: subprocess.run(warm.command(...), ...).

To start Python and load Moonwalk takes two seconds of a processor, more than most tests' processes do afterwards. Here
one process loads it, opens nothing, and forks for whoever asks; the child takes the asker's environment, reads the
settings anew from it and goes on as `python ARGUMENTS` would: -m module, -c code, or a file. A process like any other:
connections of its own, its exit code, killed at any moment. (Threads of Polars and DuckDB that wait in the parent don't
come along: both start new ones.) Servers and whatever tests how Moonwalk starts begin from
nothing, as they do in real life.

A command is `python tests/warm.py ADDRESS ARGUMENTS`, which loads nothing: it hands over its files and its environment,
passes signals on, ends as the child does; and where it is killed, so is the child.
"""

import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress


class _Warm:
    """The process that has loaded Moonwalk."""

    def __init__(self):
        import subprocess
        import tempfile
        from pathlib import Path

        self._folder = tempfile.TemporaryDirectory(prefix="moonwalk-warm-")
        self.address = str(Path(self._folder.name) / "asks")
        # Its own input tells it when nobody is left to ask.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", self.address], cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, text=True,
        )  # fmt: skip
        assert self._process.stdout.readline() == "ready\n", "Moonwalk can't be loaded"

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()
        self._folder.cleanup()


_warm: list[_Warm] = []


def command(*arguments: str) -> list[str]:
    """What does as `python ARGUMENTS` does."""
    if not _warm:
        _warm.append(_Warm())
    return [sys.executable, "-I", "-S", __file__, _warm[0].address, *arguments]


def end() -> None:
    """Nothing is left running."""
    while _warm:
        _warm.pop().end()


# --- The one who asks ----------------------------------------------------------------------------------------------


def ask(address: str, arguments: list[str]) -> None:
    """Have it done, and end as it ended."""
    folder = os.getcwd()  # noqa: PTH109 - pathlib takes as long to load as all the rest
    order = json.dumps({"arguments": arguments, "environment": dict(os.environ), "folder": folder}).encode()
    with socket.socket(socket.AF_UNIX) as there:
        there.connect(address)
        socket.send_fds(there, [len(order).to_bytes(8)], [0, 1, 2])
        there.sendall(order)
        answers = there.makefile()
        pid = int(answers.readline())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, lambda number, frame: os.kill(pid, number))
        for file in (0, 1, 2):  # the child's alone from now on
            os.close(file)
        code = int(answers.readline() or -signal.SIGKILL)
    if code < 0:
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


# --- The one who is asked ------------------------------------------------------------------------------------------


def load() -> None:
    """All that a refresh, a command or a person at the desk loads."""
    import tests.environment  # noqa: F401 - a data folder of its own, in which nothing is done

    os.environ["DJANGO_SETTINGS_MODULE"] = "moonwalk.settings"
    import gc
    from importlib import import_module

    import django

    django.setup()
    for name in ("django.test", "django.core.management", "django.db.migrations.loader", "moonwalk.celery",
                 "moonwalk.urls", "analytics.enrich", "operations.backup", "operations.refresh",
                 "operations.tasks"):  # fmt: skip
        import_module(name)
    gc.collect()
    gc.freeze()  # what is shared stays shared


def serve(address: str) -> dict:
    """Attend to whoever asks, until the input ends. Comes back in the children alone: with what is to be done."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here waits for them
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                sys.exit()
            there, _ = listener.accept()
            if os.fork() == 0:
                break
            there.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return attend(there)


def attend(there: socket.socket) -> dict:
    """In a process that stays beside the child, tells who asked how it ended, and kills it where who asked is killed.
    Comes back in the child."""
    size, files, _, _ = socket.recv_fds(there, 8, 3)
    if not size:  # who asked was killed before
        os._exit(1)
    with there.makefile("rb") as source:
        order = json.loads(source.read(int.from_bytes(size)))
    if (pid := os.fork()) == 0:
        there.close()
        for here, file in enumerate(files):
            os.dup2(file, here)
            os.close(file)
        return order
    for file in files:
        os.close(file)
    ended = os.pidfd_open(pid)
    with suppress(OSError):
        there.sendall(b"%d\n" % pid)
    ready, _, _ = select.select([ended, there], [], [])
    if ended not in ready:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(OSError):
        there.sendall(b"%d\n" % code)
    os._exit(0)


def take_on(environment: dict[str, str]) -> None:
    """The settings of another environment, as a process has them that starts in it."""
    import importlib

    import django
    import duckdb
    from django.conf import Settings, settings
    from django.db import connections
    from django.test.signals import setting_changed

    import tests.environment

    duckdb.connect = tests.environment.connect  # in as many threads as ever
    os.environ.clear()
    os.environ.update(environment)
    os.environ["DJANGO_SETTINGS_MODULE"] = "moonwalk.settings"
    before = settings._wrapped
    importlib.reload(sys.modules["moonwalk.settings"])
    settings._wrapped = now = Settings("moonwalk.settings")
    for name in set(dir(before)) - set(dir(now)):  # apps add defaults of theirs as they are loaded
        setattr(now, name, getattr(before, name))
    connections.__dict__.clear()
    connections.__init__()
    for name in dir(now):
        if name.isupper() and name != "DATABASES" and getattr(before, name, None) != getattr(now, name):
            setting_changed.send(None, setting=name, value=getattr(now, name), enter=True)
    django.setup()  # its apps are there; the log is configured anew


def go_on(arguments: list[str], folder: str) -> None:
    """As `python ARGUMENTS` does."""
    import runpy

    os.chdir(folder)
    sys.path[0] = folder
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        ask(sys.argv[1], sys.argv[2:])
    load()
    import atexit
    import threading
    import traceback

    from django.db import connections

    told = serve(sys.argv[1])
    try:
        take_on(told["environment"])
        go_on(told["arguments"], told["folder"])
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    # As Python ends, but for taking everything apart, object by object.
    threading._shutdown()
    atexit._run_exitfuncs()
    connections.close_all()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)
