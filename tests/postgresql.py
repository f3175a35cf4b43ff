"""A PostgreSQL server of a test's own, which may be killed and started again: with Cluster(folder) as server: ..."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.conftest import free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
# PostgreSQL refuses to run as root.
AS = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []


class Cluster:
    """Data under `folder`, a port of its own, one superuser `moonwalk` who needs no password from this machine.

    It keeps what was committed however it is ended: fsync alone is off, which only a power cut would miss.
    """

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        if AS:
            for above in (folder, *folder.parents):  # pytest's folders are for their owner alone
                if above.stat().st_uid == os.getuid() and above != Path("/"):
                    above.chmod(above.stat().st_mode | 0o011)
            subprocess.run(["chown", "postgres", folder], check=True)
        self._do("initdb", "-D", "data", "-U", "moonwalk", "-A", "trust", "-E", "UTF8", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgres://moonwalk@127.0.0.1:{self.port}/postgres"

    def start(self) -> "Cluster":
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._do("pg_ctl", "start", "-D", "data", "-l", "log", "-w", "-o", options)
        return self

    def kill(self) -> None:
        """As a crash does: every process of it at once, in the middle of whatever it does."""
        self._do("pg_ctl", "stop", "-D", "data", "-m", "immediate")

    def rows(self, sql: str, *arguments) -> list[tuple]:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as con:
            cursor = con.execute(sql, arguments)
            return cursor.fetchall() if cursor.description else []

    def _do(self, program: str, *arguments: str) -> None:
        command = [*AS, str(PROGRAMS[-1] / program), *arguments]
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self) -> "Cluster":
        return self.start()

    def __exit__(self, *exc) -> None:
        with suppress(subprocess.CalledProcessError):  # it may be down already
            self.kill()
