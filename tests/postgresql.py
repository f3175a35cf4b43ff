"""A PostgreSQL server of a test's own, which may be killed and started again: with Cluster() as server: ..."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.conftest import free_port, listens, wait_for

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
# PostgreSQL refuses to run as root.
AS = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}


class Cluster:
    """A folder and a port of its own, one superuser `moonwalk` who needs no password from this machine.

    It keeps what was committed however it is ended: fsync alone is off, which only a power cut would miss.
    """

    def __init__(self):
        # Not one of pytest's: those are for their owner alone, whatever one says.
        self.folder, self.port = Path(tempfile.mkdtemp(prefix="moonwalk-postgresql-")), free_port()
        self._server: subprocess.Popen | None = None
        if AS:
            shutil.chown(self.folder, "postgres")
        subprocess.run(
            [PROGRAMS[-1] / "initdb", "-D", "data", "-U", "moonwalk", "-A", "trust", "-E", "UTF8", "--no-sync"],
            cwd=self.folder, check=True, stdout=subprocess.DEVNULL, **AS,
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"postgres://moonwalk@127.0.0.1:{self.port}/postgres"

    def start(self) -> "Cluster":
        options = ("-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
        with (self.folder / "log").open("a") as log:
            self._server = subprocess.Popen(
                [PROGRAMS[-1] / "postgres", "-D", "data", *options, "-c", "fsync=off"],
                cwd=self.folder, stdout=log, stderr=log, **AS,
            )  # fmt: skip
        wait_for(lambda: listens(self.port), 60)
        return self

    def kill(self) -> None:
        """As a crash does: every process of it at once, in the middle of whatever it does."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(60)

    def rows(self, sql: str, *arguments) -> list[tuple]:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as con:
            cursor = con.execute(sql, arguments)
            return cursor.fetchall() if cursor.description else []

    def __enter__(self) -> "Cluster":
        return self.start()

    def __exit__(self, *exc) -> None:
        self.kill()
        shutil.rmtree(self.folder)
