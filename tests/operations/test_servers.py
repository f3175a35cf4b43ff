"""The refresh with real servers around it: Redis with a Celery worker, the web server; on either database."""

import http.cookiejar
import json
import re
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import PASSWORD, free_port, wait_for
from tests.databases import full_on_postgresql, full_on_sqlite
from tests.operations import exports
from tests.operations.house import House

pytestmark = pytest.mark.own_database


@pytest.fixture(scope="module")
def empty(migrated, tmp_path_factory) -> Path:
    """A data folder with root in its database, nothing refreshed."""
    house = House(migrated(tmp_path_factory.mktemp("empty") / "data"))
    exports.write(house.root / "exports")
    house.add_root(PASSWORD)
    return house.root


@pytest.fixture(scope="module")
def published(empty, tmp_path_factory) -> Path:
    house = House(tmp_path_factory.mktemp("published") / "data", like=empty)
    assert house.refresh().stdout.strip() == "published"
    return house.root


@pytest.fixture
def house(request, tmp_path) -> House:
    """The laundry before its first refresh; after it for a test that asks for `paying`."""
    like = "published" if "paying" in request.fixturenames else "empty"
    return House(tmp_path / "data", like=request.getfixturevalue(like))


class Browser:
    """A person with cookies and no JavaScript."""

    def __init__(self, address: str):
        self.address = address
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> tuple[str, str]:
        """The address one ends at, and the page."""
        with self.opener.open(self.address + path, timeout=30) as answer:
            return answer.url.removeprefix(self.address), answer.read().decode()

    def post(self, path: str, on: str, **fields: str) -> tuple[str, str]:
        """Send a form found on the page `on`."""
        _, page = self.get(on)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page).group(1)
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        request = urllib.request.Request(self.address + path, data, {"Referer": self.address + on})
        with self.opener.open(request, timeout=30) as answer:
            return answer.url.removeprefix(self.address), answer.read().decode()

    def sign_in(self, name: str) -> None:
        self.post("/login/", "/login/", username=name, password=PASSWORD)
        assert "sessionid" in {cookie.name for cookie in self.cookies}


@pytest.fixture
def serve(house):
    """serve() starts gunicorn over the house and gives a Browser, signed in as root."""
    processes = []

    def start() -> Browser:
        port = free_port()
        command = ("-m", "gunicorn", "moonwalk.wsgi", "--config", "moonwalk/gunicorn.py", "--bind", f"127.0.0.1:{port}")
        processes.append(house.serve(*command))
        browser = Browser(f"http://127.0.0.1:{port}")
        wait_for(lambda: _answers(browser), 30)
        browser.sign_in("root")
        return browser

    yield start
    _stop(processes)


def _answers(browser: Browser) -> bool:
    try:
        return bool(browser.get("/login/"))
    except OSError:
        return False


def _stop(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.communicate(timeout=60)


def press_the_button(browser: Browser) -> tuple[str, list[dict]]:
    """Press "Refresh now", follow the progress to its end; the run's page and what the progress bar was told."""
    where, page = browser.post("/admin/operations/refreshrun/start/", on="/admin/operations/refreshrun/")
    assert re.fullmatch(r"/admin/operations/refreshrun/\d+/change/", where)
    told = []

    def ended():
        told.append(json.loads(browser.get(where.replace("change", "progress"))[1]))
        return not told[-1]["under_way"]

    wait_for(ended, 40)
    return browser.get(where)[1], told


@full_on_postgresql
def test_the_button_without_redis(house, serve):
    page, told = press_the_button(serve())
    assert told[-1] | {"words": ""} == {"state": "published", "words": "", "progress": 100, "under_way": False}
    assert "CC-Orders-2026-03-05.csv" in page
    assert house.orders() == house.built_orders()


@full_on_sqlite
def test_the_button_with_redis_and_a_worker(house, serve, redis_url):
    house.environment["REDIS_URL"] = redis_url
    browser = serve()
    where, _ = browser.post("/admin/operations/refreshrun/start/", on="/admin/operations/refreshrun/")
    progress = where.replace("change", "progress")
    assert json.loads(browser.get(progress)[1])["state"] == "queued", "no worker runs yet: the web server must not work"
    worker = house.serve("-m", "celery", "-A", "moonwalk", "worker", "--pool", "solo", "--loglevel", "warning")
    try:
        wait_for(lambda: not json.loads(browser.get(progress)[1])["under_way"], 60)
    finally:
        _stop([worker])
    assert json.loads(browser.get(progress)[1])["state"] == "published"
    assert house.rows("SELECT trigger, started_by_id FROM operations_refreshrun") == [("button", 1)]
    assert house.orders() == house.built_orders()


@pytest.mark.full
def test_a_queue_that_cannot_be_reached_is_said_so(house, serve, redis_url):
    house.environment["REDIS_URL"] = f"redis://127.0.0.1:{free_port()}/0"
    _, page = serve().post("/admin/operations/refreshrun/start/", on="/admin/operations/refreshrun/")
    assert "The queue can&#x27;t be reached" in page
    assert house.rows("SELECT state FROM operations_refreshrun") == [("queued",)], "it waits, and is lost no more"


@full_on_postgresql
def test_the_daily_refresh_by_a_worker_and_the_clock(house, redis_url):
    """The day before, the machine stood still at six: what the schedule owes is made up for by the first tick."""
    house.environment["REDIS_URL"] = redis_url
    long_ago = "update(start_time=timezone.now() - timedelta(days=2), last_run_at=timezone.now())"
    house.shell(f"""
from datetime import timedelta
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
PeriodicTask.objects.filter(name="Refresh the figures").{long_ago}
PeriodicTask.objects.exclude(name="Refresh the figures").exclude(task="operations.tick").delete()
PeriodicTask.objects.filter(task="operations.tick").update(last_run_at=timezone.now() - timedelta(minutes=1))
""")
    servers = [house.serve("-m", "celery", "-A", "moonwalk", *what, "--loglevel", "warning")
               for what in (("worker",), ("beat", "--pidfile", ""))]  # fmt: skip
    try:
        states = "SELECT trigger, state FROM operations_refreshrun"
        wait_for(lambda: house.rows(states) == [("schedule", "published")], 60)
    finally:
        _stop(servers)
    assert house.rows("SELECT name, state, attempts FROM operations_duty") == [("refresh", "done", 1)]


# --- Payments ------------------------------------------------------------------------------------------------------


@pytest.fixture
def paying(house) -> House:
    """The laundry, its exports published."""
    return house


@full_on_postgresql
def test_without_redis_the_process_that_records_a_payment_brings_it_into_the_figures(paying):
    paying.pay("M-00102", "5.00", "queue")  # and its process has ended
    assert paying.settled("M-00102") == ("5.00", "15.00")
    assert paying.rows("SELECT trigger, state FROM operations_refreshrun ORDER BY id") == [
        ("command", "published"), ("payments", "published")]  # fmt: skip


@full_on_sqlite
def test_several_processes_pay_at_once_and_one_at_a_time_refreshes(paying):
    paid = [paying.start("-m", "tests.operations.child", "pay", "M-00102", f"{n}.00", "queue") for n in (1, 2, 3)]
    for process in paid:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    assert paying.settled("M-00102") == ("6.00", "14.00")
    assert paying.rows("SELECT count(*) FROM operations_payment WHERE included_in = ''") == [(0,)]
    times = paying.rows(
        "SELECT started_at, finished_at FROM operations_refreshrun WHERE trigger = 'payments' ORDER BY id")  # fmt: skip
    assert 1 <= len(times) <= 3
    assert all(ended <= begun for (_, ended), (begun, _) in zip(times, times[1:], strict=False)), times


@pytest.mark.full
def test_a_server_that_starts_takes_up_a_payment_that_was_left(paying, serve):
    paying.pay("M-00102", "5.00")
    serve()
    wait_for(lambda: paying.settled("M-00102") == ("5.00", "15.00"), 40)


@full_on_postgresql
def test_a_server_that_is_asked_to_stop_ends_its_refresh_first(paying):
    paying.pay("M-00102", "5.00")
    port = free_port()
    server = paying.serve("-m", "gunicorn", "moonwalk.wsgi", "--config", "moonwalk/gunicorn.py", "--bind", f":{port}")
    begun = "SELECT count(*) FROM operations_refreshrun WHERE trigger = 'payments'"
    try:
        wait_for(lambda: paying.rows(begun) == [(1,)], 60, every=0.01)
    finally:
        _stop([server])
    assert paying.rows("SELECT state, error FROM operations_refreshrun WHERE trigger = 'payments'") == [
        ("published", "")]  # fmt: skip
    assert paying.settled("M-00102") == ("5.00", "15.00")


@pytest.mark.full
def test_with_redis_a_worker_brings_a_payment_into_the_figures(paying, redis_url):
    paying.environment["REDIS_URL"] = redis_url
    paying.pay("M-00102", "5.00", "queue")
    assert paying.settled("M-00102") == ("0.00", "20.00"), "no worker runs yet: the one who pays must not work"
    worker = paying.serve("-m", "celery", "-A", "moonwalk", "worker", "--pool", "solo", "--loglevel", "warning")
    try:
        wait_for(lambda: paying.settled("M-00102") == ("5.00", "15.00"), 60)
    finally:
        _stop([worker])


@pytest.mark.full
def test_a_queue_out_of_reach_loses_no_payment(paying):
    paying.environment["REDIS_URL"] = f"redis://127.0.0.1:{free_port()}/0"
    paying.pay("M-00102", "5.00", "queue")
    assert paying.rows("SELECT order_id, included_in FROM operations_payment") == [("M-00102", "")]
    paying.environment["REDIS_URL"] = ""
    assert paying.refresh().stdout.strip() == "published"
    assert paying.settled("M-00102") == ("5.00", "15.00")
