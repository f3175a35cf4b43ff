"""What follows a refresh: alerts judged and deliveries recorded once, however often it is begun, and never at the cost
of the refresh."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from operations import aftermath, alerts, deliveries, notion, refresh
from operations.models import Delivery, RefreshRun

pytestmark = pytest.mark.django_db

after = aftermath.after  # the real one: tests/conftest.py puts another in its place
State = RefreshRun.State


@pytest.fixture
def layla(people):
    """The one of Management who sees the whole business, with an address."""
    people["layla"].email = "layla@example.com"
    people["layla"].save()
    return people["layla"]


@pytest.fixture
def asked(monkeypatch) -> list[tuple[str, int]]:
    """What was asked of alerts and Notion, in place of doing it."""
    found: list[tuple[str, int]] = []
    monkeypatch.setattr(alerts, "judge", lambda run: found.append(("alerts", run.pk)))
    monkeypatch.setattr(notion, "after", lambda run: found.append(("notion", run.pk)))
    return found


def ended(state: str = "published", minutes_ago: float = 0, **more) -> RefreshRun:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    finished = None if state in RefreshRun.UNDERWAY else at
    return RefreshRun.objects.create(
        **{"trigger": "schedule", "state": state, "started_at": at, "heartbeat_at": at, "finished_at": finished} | more
    )


def refused(data_dir) -> RefreshRun:
    """A real refresh that finds no exports, with what follows it."""
    (data_dir / "exports").mkdir(parents=True)
    return refresh.refresh(trigger="command")


# --- Which runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["published", "held", "refused", "failed"])
def test_alerts_and_notion_follow_once(asked, state):
    run = ended(state)
    assert list(aftermath.owed()) == [run]
    assert aftermath.follow(run) and aftermath.follow(RefreshRun.objects.get())
    assert asked == [("alerts", run.pk), ("notion", run.pk)]
    assert not aftermath.owed()


@pytest.mark.parametrize(
    "run",
    [
        {"state": "nothing_new"},
        {"state": "checked", "dry_run": True},
        {"state": "refused", "dry_run": True},
        {"state": "published", "trigger": "payments"},
        {"state": "published", "manifest": {"payments_alone": True}},
        {"state": "discarded"},
        {"state": "released"},
    ],
)
def test_nobody_is_told_of_some_and_they_owe_nothing_any_more(asked, run):
    assert aftermath.follow(ended(**run))
    assert asked == [] and not aftermath.owed()


def test_one_under_way_owes_nothing_yet_and_one_of_last_week_nothing_more(asked):
    for state in RefreshRun.UNDERWAY:
        assert not aftermath.follow(ended(state))
    ended(minutes_ago=8 * 24 * 60)
    assert asked == [] and not aftermath.owed()


# --- What fails ------------------------------------------------------------------------------------------------------


def test_a_part_that_fails_holds_up_no_other_and_is_owed_again_later(asked, monkeypatch, caplog):
    def broken(run):
        raise ValueError(run.error)

    monkeypatch.setattr(alerts, "judge", broken)
    run = ended(error="Sara Haddad's row")
    assert not aftermath.follow(run)
    assert asked == [("notion", run.pk)]
    assert not aftermath.owed(), "not at once"
    assert 29 < (run.follow_at - timezone.now()).total_seconds() <= 30
    assert "ValueError" in caplog.text and "Sara" not in caplog.text
    RefreshRun.objects.update(follow_at=timezone.now())
    monkeypatch.undo()
    assert aftermath.follow(aftermath.owed().get())
    assert RefreshRun.objects.get().followed_up and RefreshRun.objects.get().follow_at is None


@pytest.mark.parametrize(("age", "wait"), [(0, 0.5), (1, 0.5), (10, 5), (60, 30), (600, 60)])
def test_the_older_the_run_the_longer_the_wait(asked, monkeypatch, age, wait):
    """Minutes: half its age, from half a minute to an hour."""
    monkeypatch.setattr(notion, "after", lambda run: 1 / 0)
    run = ended(minutes_ago=age)
    aftermath.follow(run)
    assert (run.follow_at - timezone.now()).total_seconds() / 60 == pytest.approx(wait, abs=0.02)


def test_a_process_that_dies_in_the_middle_leaves_the_rest_to_the_next_and_nothing_goes_twice(
    data_dir, layla, monkeypatch, mail_sink
):
    def died(run):
        raise SystemExit

    run = refused(data_dir)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(notion, "after", died)
        aftermath.follow(run)
    assert Delivery.objects.count() == 1, "the alert was recorded"
    deliveries.deliver_due()
    assert not aftermath.owed(), "what may be alive is let be for a minute"
    seconds = (RefreshRun.objects.get().follow_at - timezone.now()).total_seconds()
    assert 55 < seconds <= 60
    RefreshRun.objects.update(follow_at=timezone.now())
    assert aftermath.follow(aftermath.owed().get())
    deliveries.deliver_due()
    assert len(mail_sink.mails) == Delivery.objects.count() == 1


def test_of_two_at_once_one_does_it(asked, monkeypatch):
    """The task of a refresh's end and that of a tick."""
    run = ended()
    twice = RefreshRun.objects.get()
    monkeypatch.setattr(notion, "after", lambda run: asked.append(aftermath.follow(twice)))
    assert aftermath.follow(run)
    assert asked == [("alerts", run.pk), False]


def test_what_kills_its_process_comes_ever_more_seldom(asked, monkeypatch):
    def died(run):
        raise SystemExit

    monkeypatch.setattr(alerts, "judge", died)
    ended(minutes_ago=10 * 60)
    waits = []
    for _ in range(2):
        RefreshRun.objects.exclude(follow_at=None).update(follow_at=timezone.now())
        with pytest.raises(SystemExit):
            aftermath.follow(aftermath.owed().get())
        waits.append(round((RefreshRun.objects.get().follow_at - timezone.now()).total_seconds() / 60))
    assert waits == [1, 60]


# --- Right away ------------------------------------------------------------------------------------------------------


def test_without_a_queue_a_refresh_that_is_refused_is_told_before_the_command_ends(
    data_dir, layla, mail_sink, webhook, monkeypatch
):
    monkeypatch.setattr(aftermath, "after", after)
    run = refused(data_dir)
    assert run.state == State.REFUSED
    assert RefreshRun.objects.get().followed_up
    (mail,) = mail_sink.mails
    assert mail.to == ("layla@example.com",) and "refused" in mail.message["Subject"]
    assert len(webhook.said) == 1 and "refused" in webhook.said[0]["text"]
    assert {(d.state, d.run_id) for d in Delivery.objects.all()} == {("sent", run.pk)}


def test_a_mail_server_that_is_away_costs_the_refresh_nothing(data_dir, layla, mail_sink, monkeypatch):
    monkeypatch.setattr(aftermath, "after", after)
    mail_sink.stop()
    start = time.monotonic()
    run = refused(data_dir)
    assert time.monotonic() - start < 10
    assert (run.state, RefreshRun.objects.get().followed_up) == (State.REFUSED, True)
    assert [(d.state, d.attempts) for d in Delivery.objects.all()] == [("waiting", 1)]


def test_it_also_takes_up_what_a_killed_process_left(asked, webhook):
    left, run = ended("failed", minutes_ago=5), ended()
    deliveries.record("slack", "left", "Left", content={"text": "Left"})
    after(run)
    assert asked == [("alerts", left.pk), ("notion", left.pk), ("alerts", run.pk), ("notion", run.pk)]
    assert webhook.said == [{"text": "Left"}]


def test_with_a_queue_a_worker_does_it(asked, settings, monkeypatch):
    sent = []
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("operations.queue.send", lambda task, **arguments: sent.append((task, arguments)))
    run = ended()
    after(run)
    assert sent == [("operations.follow", {"run_id": run.pk})]
    assert asked == [] and list(aftermath.owed()) == [run]


def test_it_never_fails_a_refresh(asked, monkeypatch, caplog):
    def broken():
        raise RuntimeError("about Sara Haddad")

    monkeypatch.setattr(aftermath, "owed", broken)
    after(ended())
    assert "RuntimeError" in caplog.text and "Sara" not in caplog.text
