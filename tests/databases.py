"""The database of the processes that a test starts: a file in their data folder, or one of PostgreSQL's.

The latter where the tests themselves run on PostgreSQL: one for every data folder, dropped at the end. To migrate one
takes six seconds of a processor: the tests' own is kept as it was when it was made, and copied.
"""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings

from tests import environment

ROOT = Path(__file__).parent.parent

ON_POSTGRESQL = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")


def _as_it_is(test):
    return test


# Tests of processes take seconds each: on either database the telling ones are in every run, the others in the full
# matrix.
full_on_sqlite = _as_it_is if ON_POSTGRESQL else pytest.mark.full
full_on_postgresql = pytest.mark.full if ON_POSTGRESQL else _as_it_is
_made: set[str] = set()
_KEPT = environment.DATA_DIR / "migrated"


def _name(root: Path) -> str:
    return "data_" + hashlib.sha256(str(root).encode()).hexdigest()[:16]


def _url(root: Path) -> str:
    return os.environ["DATABASE_URL"].rpartition("/")[0] + "/" + _name(root)


def environment_of(root: Path) -> dict[str, str]:
    """What tells a process in this data folder its database, which is made, empty, where there is none yet."""
    if not ON_POSTGRESQL:
        return {}
    if _name(root) not in _made:
        _make(root, "")
    return {"DATABASE_URL": _url(root)}


def copy(template: Path, root: Path) -> None:
    """Copy a data folder and its database, in which nobody works at the moment."""
    shutil.copytree(template, root)
    if ON_POSTGRESQL:
        _make(root, f" TEMPLATE {_name(template)}")


def keep(connection) -> None:
    """Keep the tests' own database as it is now, migrated and empty. Ends its connection to PostgreSQL."""
    name = connection.settings_dict["NAME"]
    if ON_POSTGRESQL and name.startswith("test_"):
        connection.close()  # nothing is copied while somebody is connected to it
        _make(_KEPT, f" TEMPLATE {name}")
        _KEPT.mkdir()
    elif not ON_POSTGRESQL and connection.is_in_memory_db():
        connection.ensure_connection()
        _KEPT.mkdir()
        with closing(sqlite3.connect(_KEPT / "db.sqlite3")) as copied:
            connection.connection.backup(copied)


def migrated(root: Path) -> Path:
    """A data folder whose database has every table and what comes with them."""
    if not _KEPT.exists():  # no test that was chosen needed one
        _KEPT.mkdir()
        run = subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, capture_output=True, text=True,
            env=os.environ | {"MOONWALK_DATA_DIR": str(_KEPT)} | environment_of(_KEPT),
        )  # fmt: skip
        if run.returncode:
            shutil.rmtree(_KEPT)  # the next one says so too, rather than that there is nothing to copy
        assert run.returncode == 0, run.stderr
    root.mkdir(parents=True, exist_ok=True)
    if ON_POSTGRESQL:
        _make(root, f" TEMPLATE {_name(_KEPT)}")
    else:
        shutil.copy(_KEPT / "db.sqlite3", root)
    return root


def rows(root: Path, sql: str) -> list[tuple]:
    if ON_POSTGRESQL:
        import psycopg

        with psycopg.connect(_url(root)) as con:
            return con.execute(sql).fetchall()
    with closing(sqlite3.connect(root / "db.sqlite3")) as con:
        return con.execute(sql).fetchall()


def drop_all() -> None:
    """Nothing is left on the server."""
    while _made:
        _server(f"DROP DATABASE {_made.pop()} WITH (FORCE)")


def _make(root: Path, how: str) -> None:
    _server(f"CREATE DATABASE {_name(root)}{how}")
    _made.add(_name(root))


def _server(statement: str) -> None:
    import psycopg

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as con:
        con.execute(statement)
