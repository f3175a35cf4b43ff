"""Duties: one row a moment, done once however many come; tried again only when that can help; given up with a word."""

from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from redis.exceptions import ConnectionError as RedisAway

from etl.errors import ExportError
from operations import duties, refresh, services
from operations.lock import Lock, RefreshBusy
from operations.models import Delivery, Duty, RefreshRun
from tests.operations import exports

pytestmark = pytest.mark.django_db
DUE = datetime(2026, 3, 10, 2, tzinfo=UTC)  # six in the morning in Dubai
State = Duty.State


@pytest.fixture
def does(monkeypatch):
    """does(what): from now on the duty "promises" calls what(due_at); the times it was called are in the list."""
    called: list[datetime] = []

    def be(what) -> list[datetime]:
        def remind(due_at):
            called.append(due_at)
            return what() if callable(what) else what

        monkeypatch.setattr("operations.promises.remind", remind)
        return called

    return be


def raising(error: Exception):
    def fail():
        raise error

    return fail


def duty(now: datetime = DUE) -> Duty:
    return duties.owe("promises", DUE, now)


# --- Once ------------------------------------------------------------------------------------------------------------


def test_every_duty_names_something_that_is_there():
    from django.utils.module_loading import import_string

    assert all(callable(import_string(spec.does)) for spec in duties.DUTIES.values())


def test_it_is_done_once(does):
    called = does("Two people were told.")
    assert duties.carry_out(duty(), DUE) == "Check promises: Two people were told."
    assert duties.carry_out(duty(), DUE) is None
    row = Duty.objects.get()
    assert (row.state, row.attempts, row.outcome, called) == (State.DONE, 1, "Two people were told.", [DUE])


def test_nobody_takes_it_from_who_is_at_it(does):
    """A second worker comes while the first is at it."""
    called = does(lambda: str(duties.carry_out(duty(), DUE + timedelta(seconds=59))))
    assert duties.carry_out(duty(), DUE) == "Check promises: None"
    assert len(called) == 1


def test_what_a_dead_process_began_is_taken_over_after_its_time_limit(does):
    called = does("Done.")
    row = duty()
    Duty.objects.update(state=State.RUNNING, claimed_at=DUE, attempts=1)
    assert duties.carry_out(row, DUE + duties.LIMIT) is None
    assert duties.carry_out(row, DUE + duties.LIMIT + timedelta(seconds=1)) == "Check promises: Done."
    assert (len(called), Duty.objects.get().attempts) == (1, 2)


def test_what_kills_its_process_is_given_up_after_five_and_management_hears_of_it(does, people):
    """A machine with too little memory: no exception says so."""
    people["layla"].email = "layla@example.com"
    people["layla"].save()

    def dies():
        raise SystemExit

    called, row, now = does(dies), duty(), DUE
    for _ in range(5):
        with pytest.raises(SystemExit):
            duties.carry_out(row, now)
        now += timedelta(seconds=61)
    words = "Each time the process that was at it ended without a word."
    assert duties.carry_out(row, now) == f"Check promises: given up. {words}"
    assert (len(called), Duty.objects.get().state) == (5, State.FAILED)
    assert words in Delivery.objects.get().content["text"]


def test_deaths_count_in_a_row_alone(does):
    """A report that waited for its figures for days isn't given up for one worker that was stopped."""
    does("Done.")
    row = duty()
    Duty.objects.update(state=State.RUNNING, claimed_at=DUE, attempts=800, died=3)
    does(raising(duties.NotYet("The week is not over.")))
    duties.carry_out(row, DUE + timedelta(minutes=2))
    assert (Duty.objects.get().state, Duty.objects.get().died) == (State.WAITING, 4)
    does("Done.")
    duties.carry_out(row, Duty.objects.get().next_attempt_at)
    assert (Duty.objects.get().state, Duty.objects.get().died) == (State.DONE, 0)


def test_nobody_takes_over_what_nobody_wants_any_more(does):
    called, row = does("Done."), duty()
    Duty.objects.update(state=State.RUNNING, claimed_at=DUE, attempts=1)
    assert "given up" in duties.carry_out(row, DUE + duties.DUTIES["promises"].patience)
    assert (called, Duty.objects.get().state) == ([], State.FAILED)


@pytest.mark.parametrize("how", ["off", "removed"])
def test_what_a_schedule_owed_is_let_go_with_it(does, how):
    called, row = does(raising(duties.NotYet("The figures end on 26 Feb 2026."))), duty()
    duties.carry_out(row, DUE)
    schedule = PeriodicTask.objects.filter(name="Check promises")
    schedule.delete() if how == "removed" else schedule.update(enabled=False)
    later = Duty.objects.get().next_attempt_at
    words = "Its schedule was switched off or removed."
    assert duties.carry_out(row, later) == f"Check promises: let go. {words}"
    assert (len(called), Duty.objects.get().state, Duty.objects.get().outcome) == (1, State.DONE, words)
    assert not Delivery.objects.exists()


def test_who_was_taken_for_dead_writes_no_end(does):
    """The first process slept; a second one took over and is at it."""

    def sleep():
        Duty.objects.update(claimed_at=DUE + timedelta(minutes=2))
        return "Too late."

    does(sleep)
    duties.carry_out(duty(), DUE)
    assert (Duty.objects.get().state, Duty.objects.get().outcome) == (State.RUNNING, "")


@pytest.mark.django_db(transaction=True)
def test_of_several_at_once_one_does_it(does):
    called, row = does("Done."), duty()

    def work():
        duties.carry_out(row, DUE)
        connection.close()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(called) == 1


# --- Again -----------------------------------------------------------------------------------------------------------


PASSING = [OperationalError("gone away"), InterfaceError("closed"), RedisAway("refused"), ConnectionRefusedError("no"),
           TimeoutError("slow"), RefreshBusy(None), duties.NotYet("The week is not over.")]  # fmt: skip


@pytest.mark.parametrize("error", PASSING, ids=lambda e: type(e).__name__)
def test_what_can_pass_is_tried_again(does, error):
    called = does(raising(error))
    duties.carry_out(duty(), DUE)
    row = Duty.objects.get()
    assert (row.state, row.attempts) == (State.WAITING, 1)
    assert DUE < row.next_attempt_at <= DUE + timedelta(minutes=10)
    assert duties.carry_out(row, DUE + timedelta(seconds=1)) is None, "not before its time"
    does("Done.")
    assert duties.carry_out(row, row.next_attempt_at) == "Check promises: Done."
    assert len(called) == 2


def test_a_time_limit_can_pass():
    from billiard.exceptions import SoftTimeLimitExceeded

    assert duties.can_pass(SoftTimeLimitExceeded())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("Dana Haddad"), "It broke off (ValueError); the log says where."),
        (IntegrityError("Dana"), "It broke off (IntegrityError); the log says where."),
        (ExportError("Orders: no column Total."), "Orders: no column Total."),
    ],
)
def test_what_cannot_pass_is_given_up_and_said(does, error, said, caplog):
    does(raising(error))
    duties.carry_out(duty(), DUE)
    row = Duty.objects.get()
    assert (row.state, row.outcome) == (State.FAILED, said)
    assert "Dana" not in caplog.text + row.outcome
    assert duties.carry_out(row, DUE + timedelta(days=2)) is None


def test_management_is_told_of_it_once(does, people):
    people["layla"].email = "layla@example.com"
    people["layla"].save()
    does(raising(ValueError("no")))
    duties.carry_out(duty(), DUE)
    mail = Delivery.objects.get()
    assert (mail.recipient, mail.about) == ("layla@example.com", "Not done: Check promises")
    assert mail.content["text"] == (
        "What was due on 10 Mar 2026, 06:00 was given up after 1 attempt. It broke off (ValueError); the log says "
        "where.")  # fmt: skip
    assert mail.content["url"].endswith(f"/duty/{Duty.objects.get().pk}/change/")


def test_after_a_day_it_is_given_up_with_the_reason(does):
    """A report whose period never came into the figures: tried for a day from when it was noticed."""
    does(raising(duties.NotYet("The figures end on 26 Feb 2026.")))
    noticed = DUE + timedelta(days=3)  # the machine was off
    row = duty(noticed)
    duties.carry_out(row, noticed)
    assert Duty.objects.get().state == State.WAITING
    duties.carry_out(row, noticed + timedelta(hours=24))
    assert (Duty.objects.get().state, Duty.objects.get().outcome) == (State.FAILED, "The figures end on 26 Feb 2026.")


def test_the_wait_doubles_up_to_five_minutes_a_fifth_more_or_less():
    middle = [duties.backoff(n, lambda: 0.5).total_seconds() for n in range(1, 8)]
    assert middle == [15, 30, 60, 120, 240, 300, 300]
    assert [duties.backoff(1, lambda c=c: c).total_seconds() for c in (0, 1)] == [12, 18]
    assert duties.backoff(30000).total_seconds() <= 360


# --- What each does --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(data_dir):
    """The exports folder; its files are of the day before."""
    return exports.settled(exports.write(data_dir / "exports"))


def test_the_refresh_is_queued_once(folder):
    for _ in range(2):  # the process died before it could say so
        said = duties.refresh(timezone.now() - timedelta(minutes=1))
    run = RefreshRun.objects.get()
    assert (run.trigger, run.state, said) == ("schedule", "queued", f"Refresh {run.pk} was asked for.")


def test_the_refresh_waits_for_another_one(folder):
    with Lock(), pytest.raises(RefreshBusy):
        duties.refresh(timezone.now())


def test_the_refresh_waits_for_a_file_that_is_being_written(folder):
    exports.write(folder)
    with pytest.raises(duties.NotYet, match=r"CC-Customers-2026-03-05\.csv is still being written"):
        duties.refresh(timezone.now())
    assert duties.refresh(timezone.now() - timedelta(minutes=16)), "a quarter of an hour at most"


@pytest.mark.parametrize(("name", "grain"), [("weekly report", "week"), ("monthly report", "month")])
def test_a_report_comes_after_the_refresh_of_its_day(monkeypatch, name, grain):
    mailed = []
    monkeypatch.setattr("operations.reports.mail", lambda *asked: mailed.append(asked) or "Mailed.")
    report = duties.owe(name, DUE + timedelta(hours=1), DUE + timedelta(hours=1))
    refreshed = duties.owe("refresh", DUE, DUE)
    now = DUE + timedelta(hours=1)
    assert duties.carry_out(report, now) == f"{duties.DUTIES[name].label}: later. A refresh is under way."
    Duty.objects.filter(pk=refreshed.pk).update(state=State.DONE, done_at=now)
    run = services.run_queue(trigger="schedule")
    duties.carry_out(report, now + timedelta(seconds=30))
    services.run_not_started(run, error="")
    assert mailed == []
    assert duties.carry_out(report, now + timedelta(seconds=60)) == f"{duties.DUTIES[name].label}: Mailed."
    assert mailed == [(grain, DUE + timedelta(hours=1))]


def test_tidying_up_keeps_the_records_of_a_year(data_dir):
    refresh.warehouse()
    old, young = (duties.owe("promises", DUE - timedelta(days=days), DUE) for days in (401, 399))
    waiting = duties.owe("refresh", DUE - timedelta(days=500), DUE)
    Duty.objects.exclude(pk=waiting.pk).update(state=State.DONE, done_at=DUE)
    assert duties.prune(DUE) == "0 builds and 1 old records removed."
    assert set(Duty.objects.values_list("pk", flat=True)) == {young.pk, waiting.pk}
