"""Fixtures that every test may use: a folder of data of its own, the golden build, a small cast of people, servers."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden"
# user name -> role: one person a role, one without any, one kept to a store; and the owner
CAST = {"layla": "Management", "omar": "Sales", "sara": "Operations", "farid": "Finance", "dana": "Desk", "noor": None,
        "hala": "Management"}  # fmt: skip
KEPT_TO = {"hala": "Hielo"}
PASSWORD = "for-the-tests-only"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
# As root in a container; and without the calls home that a closed network refuses, many at a time.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Files of tests that meet the database through services, queries and pages which other tests ask of both databases in
# every run: on PostgreSQL they are part of the full matrix.
OF_PAGES = {
    *("actions", "admin", "admin_actions", "admin_alerts", "admin_deliveries", "admin_lists", "admin_runs", "analysis"),
    *("customer_page", "demo", "held", "messages", "promises", "reports", "statements", "timeline", "worklist"),
    *("access", "admin_targets", "api", "customer_view", "home", "lists", "share", "shared", "targets"),
    *("health", "logs", "settings"),
}


def pytest_addoption(parser):
    text = "only tests that work on the database, those in a browser aside: what a second database can break"
    parser.addoption("--database-only", action="store_true", help=text)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """--database-only selects as it says, before -m is looked at. At the end, as pytest-django too puts the tests into
    an order: processes with databases of their own come first, as they take longest.
    """
    if config.getoption("--database-only"):
        chosen = [item for item in items if _needs_database(item) and not item.get_closest_marker("browser")]
        for item in chosen:
            if item.get_closest_marker("sqlite_suffices") or item.path.stem.removeprefix("test_") in OF_PAGES:
                item.add_marker("full")
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen
    outcome = yield
    items.sort(key=lambda item: item.get_closest_marker("own_database") is None)
    return outcome


def _needs_database(item) -> bool:
    """It asks pytest-django for the database, or its processes have one of their own."""
    marked = any(item.get_closest_marker(name) for name in ("django_db", "own_database"))
    return marked or not {"db", "transactional_db"}.isdisjoint(item.fixturenames)


def pytest_configure(config):
    """A quick password hash: the real one takes a third of a second, by design."""
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_sessionfinish(session):
    from tests import databases, warm

    warm.end()
    databases.drop_all()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The tests' own database; a copy of it, as it was made, is kept for processes: fixture `migrated`."""
    from django.db import connection

    from tests import databases

    with django_db_blocker.unblock():
        databases.keep(connection)


@pytest.fixture(scope="session")
def migrated(django_db_setup):
    """migrated(folder) gives the folder, a new data folder, with its database made."""
    from tests import databases

    return databases.migrated


def point_settings_at(settings, data_dir: Path, exports_dir: Path | None = None) -> Path:
    """Let the settings name another data folder."""
    settings.DATA_DIR = data_dir
    settings.WAREHOUSE_DIR = data_dir / "warehouse"
    settings.EXPORTS_DIR = exports_dir or data_dir / "exports"
    return data_dir


@pytest.fixture
def data_dir(settings, tmp_path) -> Path:
    """An empty data folder, known to the settings."""
    return point_settings_at(settings, tmp_path / "data")


@pytest.fixture(scope="session")
def golden_build(tmp_path_factory) -> Path:
    """A data folder in which the golden exports were built and published, insights included. Look, don't touch."""
    from etl import pipeline
    from etl.warehouse import Warehouse
    from operations.refresh import enrich_candidate

    folder = tmp_path_factory.mktemp("golden")
    build = pipeline.build(GOLDEN / "exports", folder)
    house = Warehouse(folder / "warehouse")
    enrich_candidate(house, build.build_id, build.manifest)
    house.publish(build.build_id)
    return folder


@pytest.fixture
def golden_data(golden_build, settings) -> Path:
    """The settings name the golden build's data folder."""
    return point_settings_at(settings, golden_build, GOLDEN / "exports")


@pytest.fixture(autouse=True)
def no_refresh_by_itself(monkeypatch) -> list[str]:
    """A payment that is committed starts no refresh behind a test's back; each time it would have is in the list."""
    asked: list[str] = []
    monkeypatch.setattr("operations.catch_up.ask", lambda: asked.append("asked"))
    return asked


@pytest.fixture(autouse=True)
def a_queue_that_was_away_is_asked_again(monkeypatch) -> None:
    """Whatever the test before met with."""
    monkeypatch.setattr("operations.queue._away_until", 0.0)


@pytest.fixture(autouse=True)
def nothing_follows(monkeypatch) -> list[int]:
    """A refresh in a test judges no alerts and sends nothing behind its back; the runs that ended are in the list. What
    follows: tests/operations/test_aftermath.py."""
    ended: list[int] = []
    monkeypatch.setattr("operations.aftermath.after", lambda run: ended.append(run.pk))
    return ended


@pytest.fixture
def mail_sink(settings):
    """A mail server of the test's own, known to the settings: tests/sinks.py."""
    from tests.sinks import MailSink

    with MailSink() as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_URL, settings.EMAIL_HOST, settings.EMAIL_PORT = sink.url, "127.0.0.1", sink.port
        yield sink


@pytest.fixture
def webhook(settings):
    """A Slack-compatible webhook of the test's own, known to the settings: tests/sinks.py."""
    from tests.sinks import Webhook

    with Webhook() as sink:
        settings.SLACK_WEBHOOK = sink.url
        yield sink


@pytest.fixture
def people(db, django_user_model) -> dict:
    """The cast, in the database: name -> User; plus "root", the superuser."""
    from django.contrib.auth.models import Group

    from analytics.models import StoreAccess

    found = {"root": django_user_model.objects.create_superuser("root", password=PASSWORD)}
    for name, role in CAST.items():
        user = django_user_model.objects.create_user(name, password=PASSWORD)
        if role:
            user.groups.add(Group.objects.get(name=role))
        if name in KEPT_TO:
            StoreAccess.objects.create(user=user, store=KEPT_TO[name])
        found[name] = user
    return found


@pytest.fixture
def as_(people, client):
    """as_("dana") is a test client signed in as Dana."""

    def sign_in(name: str):
        client.force_login(people[name])
        return client

    return sign_in


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, seconds: float = 20, every: float = 0.05):
    """What `what()` gives as soon as it is true; fails the test after `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s: {what}")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """A real Redis of the tests' own, on a free port."""
    program = shutil.which("redis-server")
    if not program:
        pytest.fail("redis-server is not installed: `make test` installs it (Debian: apt-get install redis-server)")
    port = free_port()
    server = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1",
         "--dir", str(tmp_path_factory.mktemp("redis"))],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: listens(port))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="session")
def chromium():
    """The system's browser, for the whole run."""
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's sync API runs an event loop in this thread, in which Django would refuse the database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        # Pages of one site and session share a process, and what it has compiled: tests/browser/conftest.py keeps one.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--process-per-site"])
        yield browser
        browser.close()
