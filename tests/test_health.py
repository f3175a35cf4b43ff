"""/healthz and /readyz: what they ask, what they tell, and to whom."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from moonwalk import health
from operations.models import RefreshRun
from tests.conftest import free_port


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """What an earlier test was answered counts for nothing; and a busy machine may take its time."""
    monkeypatch.setattr(health, "SECONDS", 30.0)
    monkeypatch.setattr(health, "_kept", (-10.0, {}))
    monkeypatch.setattr(health, "_seen", {})
    monkeypatch.setattr(health, "_asking", {})


def ready(client) -> tuple[int, dict]:
    response = client.get("/readyz")
    return response.status_code, response.json()


def fine(**wrong: str) -> dict:
    return {name: {"ok": name not in wrong, "why": wrong.get(name, "")} for name in health.PARTS}


def test_healthz_asks_nobody(client):
    """No `db`: a question to the database would be an error here."""
    response = client.get("/healthz")
    assert (response.status_code, response.content, response["Cache-Control"]) == (200, b"ok", "no-store")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_needs_neither_our_name_nor_https_nor_a_session(path, client, settings, db, data_dir):
    settings.SECURE_SSL_REDIRECT = True
    response = client.get(path, headers={"host": "10.0.3.7:8000"})
    assert response.status_code == 200
    assert not response.cookies


def test_other_pages_still_need_our_name(client, db):
    assert client.get("/login/", headers={"host": "10.0.3.7:8000"}).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_a_new_installation_is_ready(client, data_dir):
    assert ready(client) == (200, {"ready": True, **fine()})


@pytest.mark.django_db(transaction=True)
def test_with_figures_it_is_ready_while_their_build_opens(client, golden_data):
    assert ready(client) == (200, {"ready": True, **fine()})


@pytest.mark.django_db(transaction=True)
def test_a_build_that_the_key_does_not_open_is_503(client, golden_data, settings):
    settings.WAREHOUSE_KEY = "another"
    status, found = ready(client)
    assert (status, found["ready"], found["warehouse"]["ok"]) == (503, False, False)
    assert "MOONWALK_WAREHOUSE_KEY" in found["warehouse"]["why"]
    assert "another" not in json.dumps(found)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "stranger",
    [{"REMOTE_ADDR": "203.0.113.9"}, {"REMOTE_ADDR": ""}, {"HTTP_X_FORWARDED_FOR": "203.0.113.9"},
     {"HTTP_X_FORWARDED_PROTO": "https"}],
    ids=["from outside", "nowhere", "by Caddy", "by nginx"],
)  # fmt: skip
def test_a_stranger_hears_which_part_and_not_what(client, golden_data, settings, stranger):
    settings.WAREHOUSE_KEY = "another"
    response = client.get("/readyz", **stranger)
    parts = {name: {"ok": name != "warehouse"} for name in health.PARTS}
    assert (response.status_code, response.json()) == (503, {"ready": False, **parts})


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_is_down_is_503(client, data_dir, settings):
    settings.REDIS_URL = f"redis://:secret@127.0.0.1:{free_port()}/0"
    assert ready(client) == (503, {"ready": False, **fine(broker="Redis does not answer (ConnectionError).")})


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_answers_is_fine(client, data_dir, settings, redis_url):
    settings.REDIS_URL = redis_url
    assert ready(client)[0] == 200


@pytest.mark.django_db(transaction=True)
def test_a_database_that_was_not_migrated_is_503(client, data_dir):
    last = max(name for app, name in MigrationRecorder(connection).applied_migrations() if app == "operations")
    MigrationRecorder(connection).record_unapplied("operations", last)
    try:
        found = ready(client)
    finally:
        MigrationRecorder(connection).record_applied("operations", last)
    assert found == (503, {"ready": False, **fine(database="The database waits for `manage.py migrate`.")})


LATE = "No refresh went well in the last 26 hours: the figures are late."


@pytest.mark.parametrize(("hours", "says"), [(25, ""), (27, LATE)])
@pytest.mark.django_db(transaction=True)
def test_late_figures_are_said_but_keep_nobody_from_the_server(client, data_dir, hours, says):
    at = timezone.now() - timedelta(hours=hours)
    RefreshRun.objects.create(state="published", trigger="command", started_at=at, finished_at=at, heartbeat_at=at)
    now = timezone.now()  # a rebuild for payments brings no new figures
    RefreshRun.objects.create(state="published", trigger="payments", started_at=now, finished_at=now, heartbeat_at=now)
    assert ready(client) == (200, {"ready": True, **(fine(freshness=says) if says else fine())})


@pytest.mark.django_db(transaction=True)
def test_a_part_that_hangs_is_waited_for_two_seconds_and_asked_once(client, data_dir, monkeypatch):
    go_on, asked = threading.Event(), []

    def hangs():
        asked.append("asked")
        go_on.wait(20)

    monkeypatch.setattr(health, "SECONDS", 0.2)
    monkeypatch.setattr(health, "KEPT", 0.0)
    monkeypatch.setitem(health.PARTS, "warehouse", hangs)
    try:
        for _ in range(3):
            status, found = ready(client)
            assert (status, found["warehouse"]["ok"]) == (503, False)
            assert found["warehouse"]["why"].startswith("No answer within")
        assert asked == ["asked"]
    finally:
        go_on.set()


@pytest.mark.django_db(transaction=True)
def test_a_surprise_is_told_by_its_kind_alone_and_once(client, data_dir, monkeypatch, caplog):
    def surprise():
        raise ValueError("Amina +971501234567")

    monkeypatch.setattr(health, "KEPT", 0.0)
    monkeypatch.setitem(health.PARTS, "warehouse", surprise)
    assert ready(client) == ready(client) == (
        503, {"ready": False, **fine(warehouse="It does not work (ValueError).")})  # fmt: skip
    assert [r.getMessage() for r in caplog.records] == ["ready, warehouse: It does not work (ValueError)."]
