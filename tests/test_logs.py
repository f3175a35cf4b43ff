"""The log as JSON: what a line has, and that nobody's name is in any; what goes to Sentry, and what does not."""

import gzip
import io
import json
import logging
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import brotli
import pytest
from celery import Celery
from celery.app.trace import build_tracer
from django.http import HttpResponse

from moonwalk import logs
from operations import queue
from operations.models import RefreshRun
from tests.conftest import ROOT, free_port, wait_for
from tests.operations import exports
from tests.operations.house import House

NAME, PHONE, MAIL = "Aaliyah Haddad", "+971 50 123 4567", "aaliyah@example.com"
PERSONAL = re.compile(r"aaliyah|haddad|123.?4567|example\.com", re.I)


@pytest.fixture
def lines():
    """lines() are the log's lines so far, as LOG_FORMAT=json writes them, each read as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    kept = [(name, logging.getLogger(name).level) for name in ("", logs.access.name, "operations", "moonwalk")]
    logging.getLogger().addHandler(handler)
    logs.access.setLevel("INFO")
    logging.getLogger("operations").setLevel("INFO")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)
    for name, level in kept:
        logging.getLogger(name).setLevel(level)


def only(found: list[dict]) -> dict:
    assert len(found) == 1, found
    return found[0]


@pytest.mark.django_db
def test_a_request_is_one_line_with_pattern_status_and_person(as_, people, lines, data_dir):
    as_("layla").get("/customer/CC-0009/")
    line = only(lines())
    assert re.fullmatch(r"[0-9a-f]{32}", line["request"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert {name: line[name] for name in line if name not in ("request", "time", "ms")} == {
        "level": "INFO", "logger": "moonwalk.access", "message": "GET /customer/<str:customer_id>/ 200",
        "method": "GET", "route": "/customer/<str:customer_id>/", "status": 200, "user": people["layla"].pk,
    }  # fmt: skip
    assert isinstance(line["ms"], int)


@pytest.mark.django_db
@pytest.mark.parametrize("given", ["0123456789abcdef0123456789ABCDEF", "1b4e28ba-2fa1-11d2-883f-0016d3cca427"])
def test_an_id_that_a_proxy_gave_is_kept(client, lines, given):
    assert client.get("/login/", headers={"X-Request-ID": given})["X-Request-ID"] == given
    assert only(lines())["request"] == given


@pytest.mark.django_db
@pytest.mark.parametrize("given", ["", NAME, "00971501234567", "a" * 65, "abc\ndef", f"{'a' * 32}\n"])
def test_what_is_no_id_gets_another_one(client, lines, given):
    answered = client.get("/login/", headers={"X-Request-ID": given})["X-Request-ID"]
    assert answered != given
    assert re.fullmatch(r"[0-9a-f]{32}", only(lines())["request"])


@pytest.mark.django_db
def test_nobodys_name_is_logged_wherever_a_person_put_it(client, people, lines, data_dir, monkeypatch):
    client.raise_request_exception = False
    query = {"q": NAME, "phone": PHONE, "email": MAIL}
    client.get("/login/", query)
    client.post("/login/", {"username": MAIL, "password": NAME})
    client.get(f"/nowhere/{NAME}/", query)
    client.get("/login/", headers={"host": "aaliyah.haddad"})
    client.get("/login/", headers={"User-Agent": NAME, "Referer": f"http://x/?{MAIL}", "X-Request-ID": NAME})
    client.force_login(people["dana"])
    client.get(f"/customer/{NAME}/", query)
    client.get("/operations/search/", query)
    client.post(f"/operations/act/pay/?customer={PHONE}", query | {"note": NAME})
    client.get(f"/api/v1/customers/{NAME}", query)
    client.get("/static/aaliyah.css")

    def surprise(*args, **kwargs):
        raise ValueError(f"no such customer: {NAME}, {PHONE}")

    monkeypatch.setattr("analytics.dashboards.attention.today", surprise)
    assert client.get("/", query).status_code == 500
    said = lines()
    assert len(said) > 10
    assert [line for line in said if PERSONAL.search(json.dumps(line))] == []
    failed = [line for line in said if line.get("error") == "ValueError"]
    assert failed
    assert any(place.endswith(" home") for line in failed for place in line["where"])
    requests = {line["request"] for line in said if line["logger"] == "moonwalk.access"}
    assert {line["request"] for line in failed} < requests


def test_what_an_error_said_in_somebody_elses_line_stays_out(lines):
    """As Celery logs a task that failed, and gunicorn a request."""
    try:
        raise ValueError(f"duplicate key (phone)=({PHONE})")
    except ValueError as error:
        context = {"name": "operations.refresh", "id": "1b4e", "exc": repr(error), "description": "raised unexpected"}
        logging.getLogger("celery.app.trace").error(
            "Task %(name)s[%(id)s] %(description)s: %(exc)s", context, exc_info=True, extra={"data": {"args": [NAME]}}
        )
        logging.getLogger("gunicorn.error").exception("Error handling request %s", f"/?q={NAME}")
        logging.getLogger("django.security.SuspiciousOperation").error(str(error), exc_info=True)
    said = lines()
    assert [line["message"] for line in said] == [
        "Task …[…] …: … (operations.refresh)", "Error handling request …", "an error"]  # fmt: skip
    assert {line["error"] for line in said} == {"ValueError"}
    assert not PERSONAL.search(json.dumps(said))


@pytest.mark.django_db
def test_a_refresh_is_named_in_its_lines(data_dir, lines):
    from operations import refresh

    exports.write(data_dir / "exports")
    run = refresh.refresh(trigger="command")
    assert run.state == RefreshRun.State.PUBLISHED, run.error
    said = [line for line in lines() if line["logger"] == "operations.refresh"]
    assert {line["run"] for line in said} == {run.pk}
    assert said[-1]["message"].startswith(f"refresh {run.pk}: DONE (published)")


# --- From a request into the worker ---------------------------------------------------------------------------------

memory = Celery("tests", broker="memory://", set_as_current=False)  # a queue within this process


@memory.task(name="tests.speaks", ignore_result=True)
def speaks(more: int = 0, fails: bool = False) -> None:
    logging.getLogger("operations.tasks").info("a task speaks")
    if more:
        queue.send("tests.speaks", more=more - 1)
    if fails:
        raise ValueError(NAME)


def work() -> str:
    """Carry out the queue's next task as a worker's thread does; its id."""
    with memory.connection_for_read() as connection, connection.SimpleQueue("celery") as waiting:
        message = waiting.get(timeout=5)
        message.ack()
    args, kwargs, _ = message.payload
    task_id = message.headers["id"]
    build_tracer(speaks.name, speaks, app=memory)(task_id, args, kwargs, message.headers)
    return task_id


@pytest.fixture
def asks(settings, monkeypatch):
    """asks(**arguments): have the task carried out later; True where the queue took it."""
    import moonwalk.celery  # noqa: F401 - connects what is tested

    settings.REDIS_URL, settings.CELERY_APP = "memory://", f"{__name__}.memory"
    monkeypatch.setattr(queue, "_away_until", 0.0)
    return lambda **arguments: queue.send("tests.speaks", **arguments)


def test_the_lines_of_a_task_carry_the_id_of_the_request_that_asked_for_it(lines, asks, rf):
    """And those of a task that it asked for; the clock's have their own id alone, and what comes after has none."""
    answer = logs.Middleware(lambda request: HttpResponse(asks(more=1, fails=True)))(rf.get("/"))
    assert answer.content == b"True"
    first, second = work(), work()
    assert asks()
    third = work()
    logging.getLogger("operations.tasks").info("no task speaks")
    request = answer["X-Request-ID"]
    said = [line for line in lines() if line["logger"] == "operations.tasks"]
    assert [(line.get("request"), line.get("task")) for line in said] == [
        (request, first), (request, second), (None, third), (None, None)]  # fmt: skip
    failed = only([line for line in lines() if line["logger"] == "celery.app.trace" and line["level"] == "ERROR"])
    assert (failed["request"], failed["task"]) == (request, first)


def test_what_is_no_id_in_a_tasks_message_stays_out(lines, asks):
    memory.send_task("tests.speaks", headers={logs.HEADER: NAME})
    task = work()
    line = only([line for line in lines() if line["logger"] == "operations.tasks"])
    assert (line.get("request"), line["task"]) == (None, task)


def test_plain_lines_stay_as_they_were():
    made = logs.config("plain", "INFO")
    assert made["handlers"]["console"]["formatter"] == "plain"
    assert made["loggers"]["moonwalk.access"]["level"] == "CRITICAL"


def run_settings(tmp_path, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin", "MOONWALK_ENV_FILE": "", "MOONWALK_DATA_DIR": str(tmp_path)} | environment,
    )  # fmt: skip


def test_another_format_is_refused(tmp_path):
    assert "LOG_FORMAT is 'xml': write one of plain, json." in run_settings(tmp_path, LOG_FORMAT="xml").stderr


@pytest.mark.parametrize(
    ("text", "form"),
    [("", "plain"), ("LOG_FORMAT=json\n", "json"), ("# LOG_FORMAT=json\n", "plain"), ('LOG_FORMAT="json"', "json")],
)
def test_gunicorns_own_lines_follow_the_env_file(tmp_path, monkeypatch, text, form):
    (tmp_path / "env").write_text(text)
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    monkeypatch.setenv("MOONWALK_ENV_FILE", str(tmp_path / "env"))
    assert logs.for_gunicorn()["handlers"]["console"]["formatter"] == form


# --- A real server -------------------------------------------------------------------------------------------------


@pytest.fixture
def house(migrated, tmp_path) -> House:
    house = House(migrated(tmp_path / "data"))
    house.environment |= {"LOG_FORMAT": "json", "LOG_LEVEL": "INFO"}
    return house


def ask(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.mark.own_database
def test_every_line_of_a_server_is_json_and_names_nobody(house):
    port = free_port()
    where = f"http://127.0.0.1:{port}"
    server = house.serve("-m", "gunicorn", "moonwalk.wsgi", "--config", "moonwalk/gunicorn.py", "--bind", f":{port}")
    try:
        wait_for(lambda: ask(f"{where}/healthz") == (200, "ok"), 60)
        assert json.loads(ask(f"{where}/readyz")[1])["ready"] is True
        assert ask(f"{where}/login/?q=Aaliyah+Haddad")[0] == 200
        assert ask(f"{where}/aaliyah@example.com/")[0] == 404
    finally:
        server.terminate()
        out, err = server.communicate(timeout=60)
    said = [json.loads(line) for line in err.splitlines()]
    assert out == ""
    assert [(line["route"], line["status"]) for line in said if line["logger"] == "moonwalk.access"] == [
        ("/login/", 200), ("(no such address)", 404)]  # fmt: skip
    assert not PERSONAL.search(err)


QUEUE = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "moonwalk.settings"
django.setup()
from django.http import HttpResponse
from django.test import RequestFactory
from moonwalk import logs
from operations import refresh

def ask(request):
    refresh.start(user=None, trigger="schedule")
    return HttpResponse()

logs.Middleware(ask)(RequestFactory().get("/", headers={"X-Request-ID": "0123456789abcdef"}))
"""


@pytest.mark.own_database
@pytest.mark.full
def test_every_line_of_a_worker_is_json(house, redis_url):
    house.environment |= {"REDIS_URL": redis_url, "PYTHONWARNINGS": "ignore"}  # Celery's, against root, comes first
    worker = house.serve("-m", "celery", "--quiet", "-A", "moonwalk", "worker", "--pool", "solo", "--loglevel", "info")
    try:
        queued = house.run("-c", QUEUE)
        assert queued.returncode == 0, queued.stderr
        wait_for(lambda: house.rows("SELECT state FROM operations_refreshrun") == [("refused",)], 60)
    finally:
        worker.terminate()
        _, err = worker.communicate(timeout=60)
    said = [json.loads(line) for line in err.splitlines()]
    of_the_run = [line for line in said if line.get("run") == 1 and line["logger"] == "operations.refresh"]
    assert {line["request"] for line in of_the_run} == {"0123456789abcdef"}
    assert len({line["task"] for line in of_the_run}) == 1
    assert any(line["logger"].startswith("celery") for line in said)


# --- Sentry --------------------------------------------------------------------------------------------------------


OPEN = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}


class Sink(BaseHTTPRequestHandler):
    """A server that speaks Sentry's protocol as far as it is spoken to: takes envelopes."""

    received: list[tuple[str, bytes]]

    def do_POST(self):  # noqa: N802 (http.server's name)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, OPEN[self.headers["Content-Encoding"]](body)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass


@pytest.fixture
def sink():
    """(DSN, envelopes received)."""
    received: list[tuple[str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneSink", (Sink,), {"received": received}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://public@127.0.0.1:{server.server_port}/7", received
    server.shutdown()
    server.server_close()


FAILING = """
import django, os, sys
django.setup()
import sentry_sdk
from django.test import Client
NAME, PHONE, MAIL = {personal!r}

def surprise(*args, **kwargs):
    name_of_customer = NAME
    raise ValueError(f"no such customer: {{NAME}}, {{PHONE}}, {{name_of_customer}}")

from django.contrib.auth.views import LoginView
surprise.login_required = False
LoginView.dispatch = surprise
client = Client(raise_request_exception=False, SERVER_NAME="localhost")
sent = {{"username": MAIL, "password": NAME}}
answer = client.post(f"/login/?q={{NAME}}", sent, headers={{"User-Agent": NAME}})
assert answer.status_code == 500, answer
import logging
logging.getLogger("operations.refresh").error("refresh %s failed: %s", 7, NAME)
logging.getLogger("somebody.else").error("cannot write %s" % PHONE)
from moonwalk.celery import app

@app.task(name="tests.fails")
def fails(phone):
    raise KeyError(phone)

fails.apply(args=[PHONE])
sentry_sdk.flush(5)
"""


def test_sentry_gets_errors_and_nobodys_data(sink, tmp_path):
    dsn, received = sink
    run = subprocess.run(
        [sys.executable, "-c", FAILING.format(personal=(NAME, PHONE, MAIL)), "--customer", NAME], cwd=ROOT,
        capture_output=True, text=True, timeout=90,
        env={"PATH": "/usr/bin", "DJANGO_SETTINGS_MODULE": "moonwalk.settings", "MOONWALK_ENV_FILE": "",
             "MOONWALK_DATA_DIR": str(tmp_path / "data"), "SENTRY_DSN": dsn},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert {path for path, _ in received} == {"/api/7/envelope/"}
    everything = b"".join(body for _, body in received).decode()
    assert not PERSONAL.search(everything)
    assert not re.search(r"password|cookie|csrf|User-Agent|sys\.argv", everything, re.I)
    events = [json.loads(body.splitlines()[2]) for _, body in received]
    of_page, of_log, of_others, of_task = events
    value = of_page["exception"]["values"][0]
    assert (value["type"], value.get("value"), of_page["transaction"]) == ("ValueError", None, "/login/")
    assert value["stacktrace"]["frames"][-1]["function"] == "surprise"
    assert "vars" not in value["stacktrace"]["frames"][-1]
    assert re.fullmatch(r"[0-9a-f]{32}", of_page["tags"]["request"])
    assert of_page["release"] == "moonwalk@0.1.0"
    assert of_log["logentry"] == {"message": "refresh %s failed: %s"}
    assert (of_others["logger"], "logentry" in of_others) == ("somebody.else", False)
    assert (of_task["exception"]["values"][0]["type"], of_task["transaction"]) == ("KeyError", "tests.fails")


def test_without_a_dsn_nothing_is_sent_anywhere(settings):
    import sentry_sdk

    assert settings.SENTRY_DSN == ""
    assert not sentry_sdk.get_client().is_active()


def test_the_version_is_said_once():
    import tomllib

    import moonwalk

    assert moonwalk.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
