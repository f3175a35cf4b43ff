"""Nobody does anything: exports dropped into the folder are published, reported, pushed and mailed. And whatever dies
meanwhile, nothing is lost.

Real processes (worker, clock, web server), real Redis and PostgreSQL of the test's own; a mail server, a webhook and a
Notion of ours at the other ends. A person's part is what they would set up before: somebody of Management with an
e-mail address, and schedules that are due now.
"""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from etl.sample import make_exports
from tests import warm
from tests.conftest import ROOT, free_port, wait_for
from tests.databases import ON_POSTGRESQL
from tests.fake_notion import PAGE, TOKEN, FakeNotion
from tests.postgresql import Cluster
from tests.sinks import MailSink, Webhook

pytestmark = [
    pytest.mark.own_database,
    pytest.mark.skipif(ON_POSTGRESQL, reason="it brings a PostgreSQL of its own: once is enough"),
]

HEALS_WITHIN = 120  # seconds after what was killed is back
LAST_MONTH = (date.today().replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
SET_UP = """
import json
from datetime import timedelta
from django.contrib.auth.models import Group, User
from django_celery_beat.models import CrontabSchedule, PeriodicTask
owner = User.objects.create_user("owner", "owner@example.com", "for-the-tests-only")
owner.groups.add(Group.objects.get(name="Management"))
now, _ = CrontabSchedule.objects.get_or_create(minute="*", hour="*", day_of_week="*", day_of_month="*",
                                               month_of_year="*", timezone="UTC")
for task in PeriodicTask.objects.filter(task="operations.duty"):
    if json.loads(task.kwargs)["name"].endswith("report"):
        task.crontab = now
        task.save()
        PeriodicTask.objects.filter(pk=task.pk).update(start_time=task.start_time - timedelta(hours=1))
"""
OFTEN = """
from django_celery_beat.models import PeriodicTask
tick = PeriodicTask.objects.get(task="operations.tick")
tick.interval.every = 2
tick.interval.save()
"""
# What is not waited for in earnest, once it is seen to be promised: each moves its row once.
SETTLED = """
UPDATE operations_folderwatch SET seen_at = seen_at - interval '1 minute'
WHERE seen_at BETWEEN now() - interval '1 hour' AND now() RETURNING 1
"""
DUE = "UPDATE operations_duty SET next_attempt_at = now() WHERE id = %s AND state = 'waiting'"
TRIED = """
SELECT id, next_attempt_at - now() FROM operations_duty
WHERE name = 'monthly report' AND state = 'waiting' AND attempts > 0 ORDER BY due_at
"""
ASK = "from operations import refresh; refresh.start(trigger='schedule')"


class Redis:
    """A Redis server that keeps nothing: what was queued when it dies is gone."""

    def __init__(self):
        self.port = free_port()
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> "Redis":
        self.process = subprocess.Popen(
            [shutil.which("redis-server"), "--port", str(self.port), "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
        )
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Installation:
    """Moonwalk as it runs for real, its processes started again by `start()`, and the world around it."""

    PROCESSES = {
        "worker": ("-m", "celery", "-A", "moonwalk", "worker", "--concurrency", "2", "--loglevel", "warning"),
        "beat": ("-m", "celery", "-A", "moonwalk", "beat", "--loglevel", "warning"),
        "web": ("-m", "gunicorn", "moonwalk.wsgi", "--config", "moonwalk/gunicorn.py", "--bind", "127.0.0.1:{port}"),
    }

    def __init__(self, folder: Path, set_up: str):
        self.set_up = set_up
        self.folder, self.data, self.exports = folder, folder / "data", folder / "data" / "exports"
        self.exports.mkdir(parents=True)
        self.database, self.redis = Cluster(), Redis()
        self.notion, self.mail, self.slack = FakeNotion(), MailSink(), Webhook()
        self.port, self.running = free_port(), {}

    def __enter__(self) -> "Installation":
        for part in (self.database, self.redis, self.notion, self.mail, self.slack):
            part.__enter__() if hasattr(part, "__enter__") else part.start()
        self.environment = {
            "PATH": os.environ["PATH"], "MOONWALK_ENV_FILE": "", "MOONWALK_DATA_DIR": str(self.data),
            "LOG_LEVEL": "INFO", "DATABASE_URL": self.database.url, "REDIS_URL": self.redis.url,
            "EMAIL_URL": self.mail.url, "MOONWALK_SLACK_WEBHOOK": self.slack.url,
            "MOONWALK_NOTION_URL": self.notion.url, "MOONWALK_NOTION_TOKEN": TOKEN, "MOONWALK_NOTION_PAGE": PAGE,
            "MOONWALK_SITE_URL": self.address,
        }  # fmt: skip
        self.do("migrate", "-v0")
        self.do("shell", "--no-imports", "-c", self.set_up)
        return self

    def __exit__(self, *exc) -> None:
        for name in list(self.running):
            self.kill(name, signal.SIGTERM)
        for part in (self.slack, self.mail, self.notion, self.database):
            part.__exit__(None, None, None)
        self.redis.kill()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def do(self, *arguments: str) -> str:
        done = subprocess.run(warm.command("manage.py", *arguments), cwd=ROOT, env=self.environment, text=True,
                              capture_output=True, timeout=120)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def begun(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self, *names: str) -> None:
        for name in names:
            if name in ("redis", "database"):
                getattr(self, name).start()
                continue
            command = [sys.executable, *(part.format(port=self.port) for part in self.PROCESSES[name])]
            if name == "beat":
                command += ["--pidfile", ""]
            with (self.folder / f"{name}.log").open("a") as log:
                self.running[name] = subprocess.Popen(
                    command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
                )

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """With all its children, at once."""
        if name in ("redis", "database"):
            getattr(self, name).kill()
            return
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        process.wait(60)

    def keep_up(self) -> None:
        """What an operating system's supervisor does: a process that ended is started again."""
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                self.start(name)

    def rows(self, sql: str, *arguments) -> list[tuple]:
        return self.database.rows(sql, *arguments)

    def logs(self) -> str:
        return "\n".join(f"== {file.name}\n{file.read_text()[-3000:]}" for file in sorted(self.folder.glob("*.log")))

    def complaints(self) -> int:
        """How many warnings and errors stand in the logs."""
        return sum(len(re.findall(" (?:WARNING|ERROR) ", file.read_text())) for file in self.folder.glob("*.log"))

    def ready(self) -> dict:
        try:
            with urllib.request.urlopen(f"{self.address}/readyz", timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    # The exports

    def make(self) -> Path:
        """A small laundry's exports of this morning, beside the folder."""
        return make_exports(self.folder / "made", scale=0.03, start=date.today() - timedelta(days=150)).out_dir

    def drop(self, made: Path, ago: int = 0) -> None:
        """One file after the other, the largest in two halves, as a slow copy leaves them; so many seconds ago."""
        for file in sorted(made.iterdir()):
            content = file.read_bytes()
            with (self.exports / file.name).open("wb") as target:
                target.write(content[: len(content) // 2])
                target.flush()
                os.fsync(target.fileno())
                target.write(content[len(content) // 2 :])
            if ago:
                os.utime(self.exports / file.name, (time.time() - ago,) * 2)

    def add_order(self, made: Path, number: int) -> None:
        """One more order of today, not yet cleaned: a new set of exports that moves no figure of a closed month."""
        file = next(made.glob("CC-Orders-*.csv"))
        with file.open(encoding="utf-8-sig", newline="") as source:
            rows = list(csv.DictReader(source))
        new = {**rows[-1], "Order ID": str(90_000 + number), "Placed": date.today().isoformat(), "Paid": "0"}
        new |= dict.fromkeys({"Cleaned", "Collected", "Payment Date", "Payment Type", "Pickup Date"} & new.keys(), "")
        with file.open("w", encoding="utf-8", newline="") as target:
            writer = csv.DictWriter(target, rows[0].keys())
            writer.writeheader()
            writer.writerows([*rows, new])


@pytest.fixture
def installation(tmp_path):
    with Installation(tmp_path, SET_UP) as made:
        yield made


@pytest.fixture
def impatient(tmp_path):
    """One whose clock ticks every two seconds."""
    with Installation(tmp_path, SET_UP + OFTEN) as made:
        yield made


def published(house: Installation) -> int:
    return house.rows("SELECT count(*) FROM operations_refreshrun WHERE state = 'published'")[0][0]


def left(house: Installation) -> list[tuple]:
    """What is still to be done."""
    return house.rows(
        "SELECT 'refresh', state, error FROM operations_refreshrun WHERE state IN ('queued', 'running', 'publishing') "
        "OR NOT followed_up UNION ALL SELECT 'delivery', state, last_error FROM operations_delivery "
        "WHERE state <> 'sent' UNION ALL SELECT name, state, outcome FROM operations_duty "
        "WHERE state = 'failed' OR state = 'running' AND claimed_at < now() - interval '70 seconds'"
    )


def test_exports_in_the_folder_become_pages_a_report_notion_and_mail(impatient):
    house = impatient
    house.drop(house.make(), ago=60)
    house.start("worker", "beat", "web")
    # The report is due by its schedule, before there are figures, and is tried again ten minutes later at most.
    (report, after), *_ = wait_for(lambda: house.rows(TRIED), 120)
    assert after <= timedelta(minutes=10)
    # The watch takes two looks at the folder, some time apart.
    wait_for(lambda: house.rows("SELECT 1 FROM operations_folderwatch WHERE seen::text LIKE '%%Orders%%'"), 120)
    assert house.rows(SETTLED) == [(1,)]
    wait_for(lambda: published(house) == 1, 120, every=0.2)
    house.rows(DUE, report)
    wait_for(lambda: house.rows("SELECT 1 FROM operations_duty WHERE id = %s AND state = 'done'", report), 120)
    assert house.rows("SELECT 1 FROM operations_delivery WHERE key LIKE %s", f"report:{LAST_MONTH}%")
    wait_for(lambda: not left(house), 120, every=0.5)

    run = house.rows("SELECT trigger, state, started_by_id FROM operations_refreshrun")
    assert run == [("watch", "published", None)]
    told = {mail.message["Subject"]: mail for mail in house.mail.mails}
    assert all(mail.to == ("owner@example.com",) for mail in house.mail.mails)
    pdfs = {name: content for mail in told.values() for name, content in mail.files.items()}
    monthly = pdfs[f"board-report-{LAST_MONTH}.pdf"]
    figures = json.loads(
        house.do("metrics", "customers", "revenue", "items", "stops", "--since", LAST_MONTH, "--until", LAST_MONTH,
                 "--format", "json")
    )  # fmt: skip
    month = figures[LAST_MONTH]
    text = " ".join(PdfReader(BytesIO(monthly)).pages[0].extract_text().split())
    for metric in ("customers", "revenue", "items", "stops"):
        assert f"{round(month[metric]):,}" in text, f"{metric} of {LAST_MONTH} is not on the cover"
    rows = {row["Key"]: row for row in house.notion.rows()}
    assert len(rows) == len(house.notion.rows()), "a row twice"
    assert rows[f"revenue {LAST_MONTH}"]["Value"] == pytest.approx(float(month["revenue"]))
    assert any(LAST_MONTH[:4] in said["text"] for said in house.slack.said), "its insights in Slack"
    assert house.ready() == {"ready": True} | dict.fromkeys(
        ("database", "warehouse", "broker", "freshness"), {"ok": True, "why": ""}
    )


MOMENTS = {
    # What a look at the database shows when the blow falls.
    "asked for": "SELECT 1 FROM operations_refreshrun WHERE state = 'queued'",
    "under way": "SELECT 1 FROM operations_refreshrun WHERE state = 'running' AND step IN ('read', 'stage', 'marts')",
    "in the database": "SELECT 1 FROM operations_refreshrun WHERE state = 'running' AND step IN ('insights', 'sync')",
    "published": "SELECT 1 FROM operations_refreshrun WHERE state = 'published' AND NOT followed_up "
    "OR state = 'publishing'",
    "being sent": "SELECT 1 FROM operations_delivery WHERE state = 'sending'",
}


@pytest.mark.full
@pytest.mark.parametrize(
    ("victim", "moments"),
    [
        ("worker", ["under way", "published", "being sent"]),
        ("redis", ["asked for", "published"]),
        ("database", ["under way", "in the database", "being sent"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_is_killed_nothing_is_lost(installation, victim, moments):
    """The clock ticks every 30 seconds, as it does for everybody."""
    house = installation
    made = house.make()
    house.drop(made)
    house.do("shell", "--no-imports", "-c", ASK)
    house.start("worker", "beat")
    try:
        wait_for(lambda: published(house) == 1 and not left(house), 240, every=0.5)
    except AssertionError:
        pytest.fail(f"before anything was killed: {left(house)}\n{house.logs()}", pytrace=False)
    for number, moment in enumerate(moments, start=1):
        house.add_order(made, number)
        before = len(house.notion.rows())
        house.drop(made)
        with house.begun("shell", "--no-imports", "-c", ASK):  # it may be over before the command that asked for it
            wait_for(lambda moment=moment: house.rows(MOMENTS[moment]), 90, every=0.01)
            seen = house.complaints()
            house.kill(victim)
        if victim != "worker":  # it is away for so long that somebody who needs it meets with that
            wait_for(lambda seen=seen: house.complaints() > seen, 60)
        house.start(victim)
        back = time.monotonic()

        def healed(number=number):
            house.keep_up()
            try:
                return f"M-{90_000 + number}" in _orders(house) and not left(house)
            except Exception:  # the database comes back
                return False

        try:
            wait_for(healed, HEALS_WITHIN, every=0.5)
        except AssertionError:
            pytest.fail(f"{victim} killed when {moment}: {left(house)}\n{house.logs()}", pytrace=False)
        print(f"{victim} killed when {moment}: healed {time.monotonic() - back:.0f} s after it was back")
        assert len(house.notion.rows()) == before, "no row twice"
    mails = {mail.message["Message-ID"] for mail in house.mail.mails}
    assert len(mails) == len(house.rows("SELECT 1 FROM operations_delivery WHERE kind = 'mail'")) > 0


def _orders(house: Installation) -> set[str]:
    return {key for (key,) in house.rows("SELECT order_id FROM operations_order WHERE order_id LIKE '%%90___'")}
