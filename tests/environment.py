"""The environment of the tests, set before Django's settings are read (pytest loads this with -p).

A folder of its own for data, no .env file, no Redis; DATABASE_URL stays as given, so that the same tests can run on
PostgreSQL. DuckDB works in one thread: the processors have tests to run, and a refresh of twenty rows takes
a quarter less of them.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import duckdb

DATA_DIR = Path(tempfile.mkdtemp(prefix="moonwalk-tests-"))
_OWNER = os.getpid()


def _remove() -> None:
    if os.getpid() == _OWNER:  # not in a child that a test forked
        shutil.rmtree(DATA_DIR, ignore_errors=True)


atexit.register(_remove)

for name in [n for n in os.environ if n.startswith("MOONWALK_")] + [
    "REDIS_URL",
    "EMAIL_URL",
    "DEFAULT_FROM_EMAIL",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "SENTRY_DSN",
]:
    os.environ.pop(name, None)
os.environ.update(
    MOONWALK_ENV_FILE="",
    MOONWALK_DATA_DIR=str(DATA_DIR),
    SECRET_KEY="only-for-the-tests-" + "x" * 40,
    DEBUG="False",
)

connect = duckdb.connect


def _connect_with_one_thread(database=":memory:", read_only=False, config=None):
    return connect(database, read_only, {"threads": 1} | (config or {}))


duckdb.connect = _connect_with_one_thread
