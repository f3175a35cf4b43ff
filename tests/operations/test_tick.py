"""The tick: whatever the rows say is undone and nobody does, is started; what is broken holds up nothing else."""

import io
import logging
import os
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from operations import duties, queue, refresh, services, tasks, tick
from operations.lock import Lock
from operations.models import Delivery, Duty, RefreshLock, RefreshRun
from tests.operations import exports

pytestmark = pytest.mark.django_db
State, Trigger = RefreshRun.State, RefreshRun.Trigger
SOON = timedelta(seconds=30)


@pytest.fixture(autouse=True)
def no_schedule_is_due():
    """Whatever time of day it is while a test runs."""
    PeriodicTask.objects.update(start_time=timezone.now() + timedelta(days=1))


@pytest.fixture
def folder(data_dir):
    return exports.settled(exports.write(data_dir / "exports"))


@pytest.fixture
def sent(settings, monkeypatch) -> list:
    """With Redis, whose worker is not there: what it was sent, [(task, arguments)]."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = []

    def send(task, *, countdown=0, expires=None, **what) -> bool:
        found.append((task, what))
        return True

    monkeypatch.setattr(queue, "send", send)
    return found


def dead(trigger: str, **more) -> RefreshRun:
    """A run whose process died in the middle of it."""
    run = services.run_open(trigger=trigger, **more)
    services.run_progress(run, step="marts", progress=30)
    long_ago = timezone.now() - timedelta(hours=1)
    RefreshLock.objects.filter(pk=1).update(holder="x", run=run, host="nowhere", pid=1, heartbeat_at=long_ago)
    return run


def states() -> list[tuple[str, str]]:
    return list(RefreshRun.objects.order_by("pk").values_list("trigger", "state"))


# --- Dead refreshes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["schedule", "watch", "button"])
def test_what_nobody_stands_by_for_is_carried_out_again(folder, people, trigger):
    run = dead(trigger, user=people["root"], force=True)
    tick.run()
    assert states() == [(trigger, "failed"), ("retry", "published")]
    again = RefreshRun.objects.get(trigger="retry")
    assert (again.retry_of, again.started_by, again.forced) == (run, people["root"], True)
    run.refresh_from_db()
    assert (run.error, run.followed_up) == ("The process ended at step marts without a word.", True), "nobody is told"


def test_who_stands_at_a_terminal_does_so_alone(folder):
    dead("command")
    tick.run()
    assert states() == [("command", "failed")]


def test_three_times_at_most_and_then_it_is_said(folder, sent):
    """Each time the process dies again: a machine with too little memory."""
    dead("schedule")
    for _ in range(4):
        assert refresh.recover()
        if waiting := refresh.waiting_run():
            services.run_open(trigger=waiting.trigger, queued=waiting)
    assert states() == [("schedule", "failed"), *[("retry", "failed")] * 3]
    last = RefreshRun.objects.latest("pk")
    assert (last.error, last.followed_up) == (
        "The process ended at step start without a word. It was tried 4 times.", False)  # fmt: skip
    assert not refresh.recover()


def test_a_return_to_an_earlier_build_by_a_button_is_taken_up_again(first_refresh, data_dir, people):
    first = first_refresh()
    exports.write(data_dir / "exports", day="2026-03-06")
    assert refresh.refresh(trigger="command").state == State.PUBLISHED
    run = services.run_queue(trigger="rollback", user=people["root"], build_id=first.build_id)
    services.run_open(trigger="rollback", queued=run)
    assert refresh.recover()
    assert refresh.run_queued(refresh.waiting_run().pk).state == State.PUBLISHED
    assert refresh.warehouse().current() == first.build_id


def test_one_that_lives_is_left_alone(folder):
    with Lock() as lock:
        lock.attach(services.run_open(trigger="schedule"))
        assert not refresh.recover()
        tick.run()
    assert states() == [("schedule", "running")]


def test_a_process_whose_number_another_one_has_now_is_dead(folder):
    """A container started again: the same name, the same numbers, other processes."""
    import socket

    run = dead("schedule")
    here = f"{socket.gethostname()} 12345"  # began at another moment than the process of this number
    RefreshLock.objects.filter(pk=1).update(host=here, pid=os.getpid(), heartbeat_at=timezone.now())
    assert refresh.recover()
    run.refresh_from_db()
    assert run.state == State.FAILED


# --- Waiting refreshes -----------------------------------------------------------------------------------------------


def test_a_lost_task_is_sent_again_while_nobody_refreshes(folder, sent):
    run = refresh.start(trigger=Trigger.SCHEDULE)
    now = timezone.now()
    ask = ("operations.refresh", {"run_id": run.pk})
    assert sent == [ask]
    tick.run(now + timedelta(seconds=10))
    assert sent == [ask], "its worker may be on its way"
    with Lock():
        tick.run(now + SOON)
    assert sent == [ask], "another one runs"
    tick.run(now + SOON)
    assert sent == [ask, ask]


def test_a_task_that_comes_twice_refreshes_once(folder, sent):
    run = refresh.start(trigger=Trigger.SCHEDULE)
    assert refresh.run_queued(run.pk).state == State.PUBLISHED
    assert refresh.run_queued(run.pk) is None


def test_one_that_finds_another_at_it_keeps_waiting(folder, sent):
    run = services.run_queue(trigger="watch")
    with Lock():
        assert refresh.run_queued(run.pk).state == State.QUEUED
    assert states() == [("watch", "queued")]


def test_with_the_queue_away_it_waits_and_says_why(folder, settings, monkeypatch):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(queue, "send", lambda *a, **k: False)
    run = refresh.start(trigger=Trigger.BUTTON)
    assert (run.state, run.error.split(":")[0]) == (State.QUEUED, "The queue can't be reached")
    assert refresh.run_queued(run.pk).state == State.PUBLISHED
    run.refresh_from_db()
    assert run.error == ""


# --- All of it -------------------------------------------------------------------------------------------------------


def test_a_round_in_process_does_everything_in_order(folder, people):
    """Cron's command on a machine without Redis, which was off at six in the morning: the schedule's refresh, what
    follows it, a payment into the figures."""
    PeriodicTask.objects.filter(name="Refresh the figures").update(start_time=timezone.now() - timedelta(days=3))
    PeriodicTask.objects.exclude(name="Refresh the figures").delete()
    said = tick.run()
    run = RefreshRun.objects.get()
    assert said[:2] == [f"Refresh the figures: Refresh {run.pk} was asked for.", f"Refresh {run.pk}: published."]
    assert (run.state, run.followed_up) == (State.PUBLISHED, True)
    services.order_mark_paid(["M-00102"], method="Cash", paid_on=timezone.localdate(), user=people["root"],
                             request_key=uuid4())  # fmt: skip
    assert tick.run() == ["Payments went into the figures."]
    tick.run()  # what follows that one
    assert tick.run() == []


def test_new_exports_in_process_are_published_in_the_same_round(folder):
    tick.run(timezone.now())
    assert tick.run(timezone.now() + SOON)[0].startswith("New exports")
    assert states() == [("watch", "published")]


def test_deliveries_that_wait_are_asked_for(folder, sent):
    now = timezone.now()
    row = Delivery.objects.create(kind="mail", key="k", about="A", recipient="a@example.com", next_attempt_at=now)
    Delivery.objects.create(kind="mail", key="l", about="A", next_attempt_at=now + timedelta(hours=1))
    assert tick.run() == ["Asked for 1 message."]
    assert sent == [("operations.deliver", {"pk": row.pk})]


def test_with_redis_a_round_only_asks(folder, sent, monkeypatch):
    """Each has a time limit of its own: what takes long, or dies, holds up nothing else."""
    duty = duties.owe("promises", timezone.now())
    ended = services.run_open(trigger="schedule")
    services.run_mark_failed(ended, error="No.")
    monkeypatch.setattr("operations.promises.remind", lambda due_at: pytest.fail("in the round itself"))
    monkeypatch.setattr(tick.aftermath, "follow", lambda run: pytest.fail("in the round itself"))
    assert tick.run() == ["Check promises: asked for.", f"What follows refresh {ended.pk}: asked for."]
    assert sent == [("operations.duty", {"pk": duty.pk}), ("operations.follow", {"run_id": ended.pk})]


def test_the_task_of_a_round_does_the_duty_it_names(monkeypatch):
    monkeypatch.setattr("operations.promises.remind", lambda due_at: "Nothing is due.")
    duty, other = (duties.owe("promises", timezone.now() - timedelta(days=days)) for days in (2, 1))
    assert tasks.duty_task(pk=duty.pk) == "Check promises: Nothing is due."
    assert tasks.duty_task(pk=duty.pk) == "taken up before"
    other.refresh_from_db()
    assert other.state == Duty.State.WAITING


def test_a_round_that_began_long_ago_claims_from_now(folder, monkeypatch):
    """Its first step was slow: the next round must not take for dead what it is at."""
    duty, took_over = duties.owe("promises", timezone.now() - timedelta(hours=1)), []

    def remind(due_at):
        took_over.append(duties.carry_out(duty))
        return "Nothing is due."

    Duty.objects.update(next_attempt_at=duty.due_at)
    monkeypatch.setattr("operations.promises.remind", remind)
    tick.run(timezone.now() - timedelta(seconds=61))
    assert took_over == [None]
    assert Duty.objects.get().state == Duty.State.DONE


def test_a_broken_part_holds_up_none_of_the_others(folder, monkeypatch, caplog):
    def broken(now):
        raise KeyError(exports.CUSTOMERS[1])

    monkeypatch.setattr(tick.watch, "watch", broken)
    duties.owe("promises", timezone.now())
    monkeypatch.setattr("operations.promises.remind", lambda due_at: "Nothing is due.")
    said = tick.run()
    assert said == ["Check promises: Nothing is due.", "Exports folder: KeyError, the log says where."]
    assert "in broken" in caplog.text and "Dana" not in caplog.text


@pytest.mark.usefixtures("loud")
def test_the_command_ends_with_1_where_a_part_is_broken(folder, monkeypatch, capsys):
    def broken(now):
        raise KeyError("x")

    monkeypatch.setattr(tick.watch, "watch", broken)
    with pytest.raises(SystemExit) as ended:
        call_command("tick")
    assert ended.value.code == 1
    assert "Exports folder: KeyError, the log says where." in capsys.readouterr().out


def test_without_the_database_the_round_ends(monkeypatch):
    def away(now):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(tick, "STEPS", (away,))
    with pytest.raises(OperationalError):
        tick.run()


@pytest.fixture
def loud():
    """The command quiets its process's log, which here is the other tests' too."""
    log = logging.getLogger("operations")
    level = log.level
    yield
    log.setLevel(level)


@pytest.mark.usefixtures("loud")
def test_the_command_says_in_a_line_each_what_it_did(folder):
    def command() -> str:
        out = io.StringIO()
        call_command("tick", stdout=out)
        return out.getvalue()

    assert command() == "Nothing was left to do.\n"
    duties.owe("prune", timezone.now())
    assert command() == "Tidy up: 0 builds and 0 old records removed.\n"
    assert Duty.objects.get().state == Duty.State.DONE
    with pytest.raises((CommandError, TypeError)):
        call_command("tick", "again")
