"""What processes share of a tab through Redis: read elsewhere, never by the wrong reader, and never needed."""

import json
import pickle
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import redis
from django.core.cache import cache

import moonwalk.cache
from analytics import queries, shared
from analytics.dashboards import DASHBOARDS, blocks, frame
from analytics.tables import Table
from moonwalk.cache import NotOurs, SignedSerializer, redis_caches
from tests.conftest import ROOT, free_port

TRENDS = {"tab": "trends", "period": "2026-02"}
# Another process that may read Redis, but can't ask the warehouse for a figure.
READER = """
import json, django, moonwalk.cache
moonwalk.cache.SECONDS = 20
django.setup()
from analytics import queries
from analytics.dashboards import DASHBOARDS, blocks, frame
def ask(*_, **__):
    raise AssertionError("asked the warehouse")
queries.ask = ask
state = frame.read_state(DASHBOARDS["executive"], {"tab": "trends", "period": "2026-02"}, queries.current())
print(json.dumps([state.figures.value("revenue", state.period), [c["title"] for c in blocks.charts(state)]]))
"""


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    """A process that has just started: no build open, nothing said of Redis yet."""
    monkeypatch.setattr(queries, "_snapshots", {})
    monkeypatch.setattr(shared, "_back_at", 0.0)


@pytest.fixture
def with_redis(golden_data, settings, redis_url, monkeypatch):
    """The settings name a Redis with nothing in it, which is waited for: the tests' machine may be busy."""
    monkeypatch.setattr(moonwalk.cache, "SECONDS", 20)
    redis.Redis.from_url(redis_url).flushdb()
    settings.REDIS_URL, settings.CACHES = redis_url, redis_caches(redis_url)
    return redis_url


def trends(only: str | None = None) -> frame.State:
    """Trends of February 2026, its figures asked for."""
    state = frame.read_state(DASHBOARDS["executive"], TRENDS, queries.current(only))
    assert state.figures.value("revenue", state.period) > 0
    assert state.figures.periods
    return state


def restarted(monkeypatch) -> list:
    """Nothing is kept in this process any more. Gives the list of what is asked of the warehouse from now on."""
    monkeypatch.setattr(queries, "_snapshots", {})
    asked, ask = [], queries.ask
    monkeypatch.setattr(queries, "ask", lambda *what, **how: asked.append(what) or ask(*what, **how))
    return asked


def test_another_process_reads_what_this_one_made(with_redis, settings, tmp_path):
    state = trends()
    titles = [chart["title"] for chart in blocks.charts(state)]
    environment = {
        "DJANGO_SETTINGS_MODULE": "moonwalk.settings", "MOONWALK_DATA_DIR": str(settings.DATA_DIR),
        "MOONWALK_ENV_FILE": "", "REDIS_URL": with_redis, "SECRET_KEY": settings.SECRET_KEY,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'none.sqlite3'}", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", READER], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [state.figures.value("revenue", state.period), titles]


def test_a_restarted_process_asks_the_warehouse_nothing_and_shows_the_same(with_redis, monkeypatch):
    before = blocks.charts(trends())
    asked = restarted(monkeypatch)
    assert blocks.charts(trends()) == before
    assert asked == []


def test_a_person_kept_to_a_store_never_reads_what_was_made_for_all(with_redis, monkeypatch):
    everybody = trends()
    asked = restarted(monkeypatch)
    one = trends("Hielo")
    assert len(asked) == 1
    assert one.figures.value("revenue", one.period) < everybody.figures.value("revenue", everybody.period)


def test_another_build_or_another_code_starts_anew(with_redis, monkeypatch):
    build = queries.current()
    assert build.shared(("x",), lambda _: "made") == "made"

    def asked_elsewhere(**differing):
        return replace(build, _kept={}, **differing).shared(("x",), lambda _: "made anew")

    assert asked_elsewhere() == "made"
    assert asked_elsewhere(build_id="20260401-another") == "made anew"
    monkeypatch.setattr(shared, "CODE", "an upgrade")
    assert asked_elsewhere() == "made anew"


def test_what_is_shared_goes_by_itself(with_redis):
    trends()
    lasts = [redis.Redis.from_url(with_redis).ttl(key) for key in redis.Redis.from_url(with_redis).keys("*tab:*")]
    assert lasts
    assert all(0 < seconds <= shared.KEPT_FOR for seconds in lasts)


def test_names_never_lie_readable_beside_an_encrypted_warehouse(with_redis, settings):
    settings.WAREHOUSE_KEY = "a key"
    shared.put(("x",), "Mariam")
    assert redis.Redis.from_url(with_redis).keys("*") == []
    assert shared.get(("x",)) is shared.MISSING


@pytest.mark.django_db
def test_cards_are_rendered_once_for_a_state_and_what_a_reader_is_told_each_time(as_, golden_data, monkeypatch):
    client, rendered, cells = as_("layla"), [], Table.cells
    monkeypatch.setattr(Table, "cells", lambda self, currency: rendered.append(self.id) or cells(self, currency))
    told = client.get("/executive/?tab=trends&period=2026-02&area=nowhere").content.decode()
    once = len(rendered)
    again = client.get("/executive/?tab=trends&period=2026-02").content.decode()
    assert once == len(rendered) == 7  # a table a chart
    assert ("nowhere" in told, "nowhere" in again) == (True, False)
    client.get("/executive/?tab=trends&period=2026-01")
    assert len(rendered) == 14


@pytest.mark.django_db
def test_a_page_serves_without_redis_and_the_log_says_so_once(as_, golden_data, settings, caplog):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = redis_caches(settings.REDIS_URL)
    client = as_("layla")
    for tab in ("snapshot", "trends"):
        assert client.get(f"/executive/?tab={tab}").status_code == 200
    assert [r.getMessage() for r in caplog.records if r.name == "analytics.shared"] == [
        "Redis doesn't share tabs for the next 30 seconds: ConnectionError"
    ]


def test_a_redis_that_never_answers_is_waited_for_once_and_shortly(golden_data, settings):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        settings.CACHES = redis_caches(settings.REDIS_URL)
        started = time.monotonic()
        assert trends().figures.value("revenue", trends().period) > 0
        # Twice 0.2 s. Redis's own wait would have no end.
        assert time.monotonic() - started < 10
        assert shared._back_at > time.monotonic()


def test_redis_is_asked_again_after_a_while(with_redis, monkeypatch):
    monkeypatch.setattr(shared, "_back_at", time.monotonic() + 3600)
    shared.put(("x",), 1.5)
    assert shared.get(("x",)) is shared.MISSING
    monkeypatch.setattr(shared, "_back_at", time.monotonic() - 1)
    shared.put(("x",), 1.5)
    assert shared.get(("x",)) == 1.5


def test_nobody_who_writes_to_redis_can_make_us_run_anything(with_redis, caplog):
    shared.put(("x",), "ours")
    store = redis.Redis.from_url(with_redis)
    (key,) = store.keys("*tab:*")
    store.set(key, pickle.dumps("theirs"))
    assert shared.get(("x",)) is shared.MISSING
    assert "NotOurs" in caplog.text


def test_a_signature_is_of_the_secret_key(settings):
    written = SignedSerializer().dumps(["Revenue", None, 1.5])
    assert SignedSerializer().loads(written) == ["Revenue", None, 1.5]
    settings.SECRET_KEY = "another installation's"
    with pytest.raises(NotOurs):
        SignedSerializer().loads(written)


def test_redis_counts_with_plain_numbers(with_redis):
    cache.set("n", 41)
    assert cache.incr("n") == cache.get("n") == 42
