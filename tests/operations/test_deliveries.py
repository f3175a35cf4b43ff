"""Recorded deliveries: sent once by whoever claims them, again until they arrive or are given up, and by a person's
wish; over a real mail server and a real webhook that misbehave (tests/sinks.py)."""

import logging
from datetime import timedelta
from email.utils import format_datetime

import pytest
from auditlog.models import LogEntry
from billiard.exceptions import SoftTimeLimitExceeded
from django.core import mail
from django.utils import timezone

from etl.errors import MoonwalkError
from operations import deliveries, transports
from operations.models import Delivery
from operations.services import Refused
from tests.conftest import wait_for
from tests.sinks import LATE, LOSE

pytestmark = pytest.mark.django_db

State = Delivery.State
CONTENT = {"subject": "Revenue is below 100,000", "text": "January 2026: Dhs 98,500.", "url": "/finance/?m=2026-01"}


@pytest.fixture(autouse=True)
def readers(db, django_user_model) -> dict:
    """Who has the addresses written to here: address -> User."""
    addresses = ("layla@example.com", "omar@example.com")
    return {to: django_user_model.objects.create_superuser(f"reader {to[0]}", to) for to in addresses}


def an_email(key: str = "alert:1:2026-01:5", to: str = "layla@example.com", **content) -> Delivery:
    return deliveries.record("mail", key, "Revenue is low", recipient=to, content=CONTENT | content)


def a_slack(key: str = "alert:1:2026-01:slack", text: str = "Revenue is low", url: str = "/finance/") -> Delivery:
    return deliveries.record("slack", key, "Revenue is low", content={"text": text, "url": url})


def sent(delivery: Delivery) -> Delivery:
    """It after an attempt, which is due."""
    Delivery.objects.filter(pk=delivery.pk, state=State.WAITING).update(next_attempt_at=timezone.now())
    deliveries.deliver(delivery.pk)
    delivery.refresh_from_db()
    return delivery


def waits(delivery: Delivery) -> float:
    """Seconds until the next attempt."""
    return (delivery.next_attempt_at - timezone.now()).total_seconds()


# --- Recorded --------------------------------------------------------------------------------------------------------


def test_what_is_recorded_twice_under_one_key_is_there_once_as_it_was_first():
    first = an_email()
    assert an_email(to="omar@example.com", subject="Something else").pk == first.pk
    assert Delivery.objects.get().recipient == "layla@example.com"
    assert (first.state, first.attempts) == (State.WAITING, 0)
    assert list(deliveries.due()) == [first]


def test_a_key_too_long_for_its_column_still_tells_one_from_another():
    keys = {an_email("x" * 300 + end).key for end in ("a", "b", "a")}
    assert len(keys) == 2 and all(len(key) <= 200 for key in keys)


def test_the_queue_is_asked_once_and_after_the_commit(settings, monkeypatch, django_capture_on_commit_callbacks):
    asked = []
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("moonwalk.celery.app.send_task", lambda name, kwargs, **_: asked.append((name, kwargs)))
    with django_capture_on_commit_callbacks(execute=True):
        row = an_email()
        an_email()
        assert asked == []
    assert asked == [("operations.deliver", {"pk": row.pk})]


def test_a_queue_that_is_down_loses_nothing(settings, monkeypatch, django_capture_on_commit_callbacks):
    def down(*args, **kwargs):
        raise ConnectionError("no Redis at redis://:secret@host")

    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("moonwalk.celery.app.send_task", down)
    with django_capture_on_commit_callbacks(execute=True):
        row = an_email()
    assert list(deliveries.due()) == [row]


def test_a_queue_that_is_away_is_asked_once_for_many(settings, monkeypatch, django_capture_on_commit_callbacks):
    """Each would wait for it, and so would the person who pressed the button."""
    asked = []

    def down(*args, **kwargs):
        asked.append(kwargs["expires"])
        raise ConnectionError

    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("moonwalk.celery.app.send_task", down)
    with django_capture_on_commit_callbacks(execute=True):
        for number in range(3):
            an_email(f"alert:{number}")
    assert asked == [60], "and nobody does it later than the next tick asks"
    assert deliveries.due().count() == 3
    monkeypatch.setattr("operations.queue._away_until", 0.0)  # a few seconds later
    with django_capture_on_commit_callbacks(execute=True):
        an_email("alert:3")
    assert len(asked) == 2


# --- E-mail ----------------------------------------------------------------------------------------------------------


def test_an_email_arrives_at_one_person_in_words_and_as_a_page(mail_sink, settings):
    settings.SITE_URL = "https://figures.example.com"
    settings.DEFAULT_FROM_EMAIL = "Moon Walk <figures@example.com>"
    row = sent(an_email(lines=["By store", ["Moon Walk", "Dhs 60,000"], ["Hielo <new>", "Dhs 38,500"]]))
    assert (row.state, row.attempts, row.last_error, row.next_attempt_at) == (State.SENT, 1, "", None)
    assert row.sent_at
    (found,) = mail_sink.mails
    assert found.to == ("layla@example.com",)
    assert found.message["To"] == "layla@example.com" and found.message["Subject"] == "Revenue is below 100,000"
    assert found.message["From"] == "Moon Walk <figures@example.com>"
    assert found.message["Message-ID"] == transports.message_id(row)
    assert found.message["Message-ID"].endswith("@example.com>")
    assert found.message["Auto-Submitted"] == "auto-generated"
    assert "January 2026: Dhs 98,500." in found.text and "By store\nMoon Walk: Dhs 60,000\nHielo <new>" in found.text
    assert "https://figures.example.com/finance/?m=2026-01" in found.text
    assert 'href="https://figures.example.com/finance/?m=2026-01"' in found.html
    assert "Hielo &lt;new&gt;" in found.html and "Dhs 38,500" in found.html


def test_a_report_is_made_when_the_email_is_sent_and_travels_with_it(mail_sink, monkeypatch):
    made = []

    def attachment(what):
        made.append(what)
        return "board-report-2026-01.pdf", b"%PDF-1.7 of January"

    monkeypatch.setattr("analytics.report.attachment", attachment, raising=False)
    row = an_email(attachments=[{"report": "2026-01", "build_id": "b1"}])
    assert made == []
    sent(row)
    assert made == [{"report": "2026-01", "build_id": "b1"}]
    assert mail_sink.mails[0].files == {"board-report-2026-01.pdf": b"%PDF-1.7 of January"}
    assert "The report is attached." in mail_sink.mails[0].text


def test_a_report_that_cannot_be_made_now_is_tried_again(mail_sink, monkeypatch):
    def attachment(what):
        raise MoonwalkError("There is no data yet.")

    monkeypatch.setattr("analytics.report.attachment", attachment, raising=False)
    row = sent(an_email(attachments=[{"report": "2026-01"}]))
    assert (row.state, row.last_error) == (State.WAITING, "The report could not be made: There is no data yet.")
    assert mail_sink.mails == []


@pytest.mark.parametrize(
    ("order", "state", "said"),
    [
        ("451 4.3.0 Later, layla@example.com", State.WAITING, "The mail server does not take the message now (451)."),
        ("554 5.7.1 Spam from layla@example.com", State.FAILED, "The mail server refuses the message (554)."),
        ("to: 450 4.2.1 Busy", State.WAITING, "The mail server does not take this address now (450)."),
        ("to: 550 5.1.1 No layla@example.com", State.FAILED, "The mail server refuses this address (550)."),
        (LOSE, State.WAITING, "The mail server hung up, or did not answer in time."),
        (LATE, State.WAITING, "The mail server hung up, or did not answer in time."),
    ],
)
def test_what_a_mail_server_says_decides_whether_it_is_tried_again(mail_sink, settings, order, state, said):
    """The record says it in words of its own: the server's hold the address."""
    settings.EMAIL_TIMEOUT = 0.4
    mail_sink.will(order)
    row = sent(an_email())
    assert (row.state, row.last_error) == (state, said)
    if state == State.WAITING:
        settings.EMAIL_TIMEOUT = 15
        assert sent(row).state == State.SENT and row.last_error == "" and row.attempts == 2
    ids = {found.message["Message-ID"] for found in mail_sink.mails}
    assert len(ids) == (state == State.WAITING), "one that was taken twice is one for whoever reads it"
    assert len(mail_sink.mails) == {LOSE: 2, LATE: 2}.get(order, state == State.WAITING)


def test_without_a_mail_server_the_record_says_what_to_set(settings, mail_sink):
    mail_sink.stop()
    row = sent(an_email())
    assert row.last_error == "The mail server can't be reached (ConnectionRefusedError)."
    settings.EMAIL_URL = ""
    assert sent(row).last_error == "No mail server: set EMAIL_URL." and row.state == State.WAITING


@pytest.mark.parametrize("address", ["", "layla", "layla@example.com\nBcc: all@example.com", "a@b.c, d@e.f"])
def test_what_is_no_address_is_given_up_at_once(mail_sink, address):
    row = sent(an_email(to=address))
    assert row.state == State.FAILED and row.last_error.startswith("This is no e-mail address")
    assert mail_sink.mails == []


# --- Slack -----------------------------------------------------------------------------------------------------------


def test_a_message_arrives_in_slack_with_its_three_signs_escaped(webhook, settings):
    settings.SITE_URL = "https://figures.example.com"
    row = sent(a_slack(text="Wash & Fold < 100 > 50", url="/finance/?a=1&b=2"))
    assert row.state == State.SENT
    link = "<https://figures.example.com/finance/?a=1&amp;b=2|Open the page>"
    assert webhook.said == [{"text": f"Wash &amp; Fold &lt; 100 &gt; 50\n{link}"}]


def test_a_long_message_is_cut_before_slack_folds_it_away():
    text = transports.slack_text("&" * 5000)
    assert text == "&amp;" * 2999 + "…"


@pytest.mark.parametrize(
    ("order", "state", "said"),
    [
        ((429, {"Retry-After": "7"}), State.WAITING, "Slack does not take messages now (429)."),
        (500, State.WAITING, "Slack does not take messages now (500)."),
        (503, State.WAITING, "Slack does not take messages now (503)."),
        (LOSE, State.WAITING, "Slack can't be reached (RemoteProtocolError)."),
        (LATE, State.WAITING, "Slack did not answer in time."),
        (400, State.FAILED, "Slack refuses the message (400): is MOONWALK_SLACK_WEBHOOK still valid?"),
        (404, State.FAILED, "Slack refuses the message (404): is MOONWALK_SLACK_WEBHOOK still valid?"),
        ((302, {"Location": "http://127.0.0.1:1/"}), State.FAILED,
         "Slack refuses the message (302): is MOONWALK_SLACK_WEBHOOK still valid?"),
    ],
)  # fmt: skip
def test_what_a_webhook_says_decides_whether_it_is_tried_again(webhook, monkeypatch, caplog, order, state, said):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(transports, "SLACK_SECONDS", 0.4)
    webhook.will(order)
    row = sent(a_slack())
    assert (row.state, row.last_error) == (state, said)
    assert webhook.PATH not in caplog.text
    if state == State.WAITING:
        monkeypatch.setattr(transports, "SLACK_SECONDS", 10)
        assert sent(row).state == State.SENT


@pytest.mark.parametrize(
    ("setting", "state", "said"),
    [
        ("", State.FAILED, "No webhook: set MOONWALK_SLACK_WEBHOOK."),
        ("hooks.slack.com/services/secret", State.FAILED, "MOONWALK_SLACK_WEBHOOK is not the address of a webhook."),
        ("http://127.0.0.1:1/secret", State.WAITING, "Slack can't be reached (ConnectError)."),
    ],
)
def test_a_webhook_that_is_none_is_told_without_its_address(settings, caplog, setting, state, said):
    caplog.set_level(logging.DEBUG, "operations")
    settings.SLACK_WEBHOOK = setting
    row = sent(a_slack())
    assert (row.state, row.last_error) == (state, said)
    assert "secret" not in caplog.text


def test_a_wait_that_the_other_side_asks_for_is_kept(webhook):
    webhook.will((429, {"Retry-After": "300"}))
    assert 299 < waits(sent(a_slack())) <= 300
    webhook.will((503, {"Retry-After": format_datetime(timezone.now() + timedelta(minutes=20), usegmt=False)}))
    assert 1195 < waits(sent(a_slack("another"))) <= 1200


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("", None), ("soon", None), ("-5", 0), ("2.5", 2.5)])
def test_retry_after_in_all_its_forms(header, seconds):
    assert transports.seconds_to_wait(header) == seconds


# --- Again, and given up ---------------------------------------------------------------------------------------------


def test_waits_double_from_half_a_minute_to_an_hour_a_little_apart(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: 1.0)
    now = timezone.now()
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    wait = [(deliveries._next(n, None) - now).total_seconds() for n in range(1, 11)]
    assert wait == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert deliveries._next(1, 7) == now + timedelta(seconds=30)  # never sooner than without being asked
    monkeypatch.undo()
    spread = {round((deliveries._next(1, None) - timezone.now()).total_seconds()) for _ in range(200)}
    assert min(spread) >= 23 and max(spread) <= 36 and len(spread) > 5


def test_it_is_given_up_after_two_days_of_outage(webhook):
    """Seven waits of 30 s doubling are 3,810 s, 47 of an hour 169,200: the 55th attempt comes after 48.06 hours."""
    row = a_slack()
    Delivery.objects.filter(pk=row.pk).update(attempts=53)
    webhook.will(500, 500)
    assert sent(row).state == State.WAITING
    assert sent(row).state == State.FAILED
    assert (row.attempts, row.next_attempt_at) == (55, None)
    assert row.last_error == "Slack does not take messages now (500)."
    assert deliveries.deliver(row.pk) is None, "given up is left alone"


def test_what_nobody_foresaw_is_tried_twelve_times_and_keeps_its_words_to_itself(monkeypatch, caplog):
    def broken(delivery):
        raise ZeroDivisionError(delivery.recipient)

    monkeypatch.setattr(transports, "by_mail", broken)
    row = an_email()
    for _ in range(11):
        assert sent(row).state == State.WAITING
    assert sent(row).state == State.FAILED and row.attempts == 12
    assert row.last_error == "Unexpected: ZeroDivisionError."
    assert "layla" not in caplog.text


def test_a_time_limit_is_no_surprise(monkeypatch):
    """A slow Notion: two days it is tried, as with all that passes."""

    def slow(row):
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(transports, "by_slack", slow)
    row = a_slack()
    Delivery.objects.update(attempts=deliveries.MOST_SURPRISES)
    row = sent(row)
    assert (row.state, row.last_error) == (State.WAITING, "It took too long.")


def test_one_whose_moment_has_not_come_is_left_alone(mail_sink):
    row = an_email()
    Delivery.objects.update(next_attempt_at=timezone.now() + timedelta(seconds=30))
    assert deliveries.deliver(row.pk) is None and not deliveries.due()
    assert mail_sink.mails == []


# --- One at a time ---------------------------------------------------------------------------------------------------


def test_a_claim_is_one_workers_until_it_shows_no_life(mail_sink, caplog):
    row = an_email()
    claimed = deliveries._claim(row.pk)
    assert (claimed.state, claimed.attempts) == (State.SENDING, 1)
    assert deliveries.deliver(row.pk) is None and not deliveries.due()
    assert 39 < waits(claimed) <= 40
    Delivery.objects.update(next_attempt_at=timezone.now())
    assert sent(row).state == State.SENT and row.attempts == 2
    assert "is taken over: whoever was sending it died" in caplog.text


def test_one_that_kills_whoever_sends_it_is_given_up(webhook):
    row = a_slack()
    Delivery.objects.update(state=State.SENDING, attempts=12, claimed_at=timezone.now())
    assert deliveries.deliver(row.pk) is None
    row.refresh_from_db()
    assert (row.state, row.last_error) == (State.FAILED, "Each time whoever was sending it died.")
    assert webhook.asked == 0


def test_of_two_that_saw_it_waiting_one_gets_it(monkeypatch):
    row = an_email()
    seen = deliveries.due

    class Found:
        """Between this one's look and its claim another one is quicker."""

        def filter(self, **_):
            return self

        def first(self):
            monkeypatch.setattr(deliveries, "due", seen)
            stale = Delivery.objects.get(pk=row.pk)
            assert deliveries._claim(row.pk)
            return stale

    monkeypatch.setattr(deliveries, "due", Found)
    assert deliveries._claim(row.pk) is None
    assert Delivery.objects.get().attempts == 1


def test_who_was_taken_for_dead_overwrites_nothing_but_tells_that_it_arrived(webhook):
    row = a_slack()
    slow = deliveries._claim(row.pk)
    Delivery.objects.update(next_attempt_at=timezone.now())
    other = deliveries._claim(row.pk)
    deliveries._later(slow, "Too late to say so.", None, 55)
    row.refresh_from_db()
    assert (row.state, row.last_error, row.claimed_at) == (State.SENDING, "", other.claimed_at)


@pytest.mark.django_db(transaction=True)
def test_a_sender_that_takes_long_gives_signs_of_life(monkeypatch):
    monkeypatch.setattr(deliveries, "BEAT_SECONDS", 0.02)
    row = deliveries._claim(a_slack().pk)
    seen = []
    with deliveries._alive(row):
        wait_for(lambda: seen.append(Delivery.objects.get(pk=row.pk).next_attempt_at) or len(set(seen)) > 2)
    assert seen == sorted(seen)


# --- A round of all --------------------------------------------------------------------------------------------------


def test_a_round_sends_all_that_is_due_and_waits_for_one_outage_once_a_kind(mail_sink, webhook):
    for i in range(3):
        an_email(f"mail {i}")
    a_slack()
    mail_sink.will("451 Later")
    assert deliveries.deliver_due() == 1
    assert {(d.kind, d.state, d.attempts) for d in Delivery.objects.all()} == {
        ("mail", "waiting", 1), ("mail", "waiting", 0), ("slack", "sent", 1),
    }  # fmt: skip
    assert deliveries.deliver_due() == 2, "those that weren't tried are due at once"


def test_a_round_of_one_persons_click_leaves_the_others(webhook):
    first, second = a_slack("1"), a_slack("2")
    assert deliveries.deliver_due([second.pk]) == 1
    assert [d.pk for d in deliveries.due()] == [first.pk]


def test_a_round_ends_when_its_time_is_up(webhook):
    a_slack()
    assert deliveries.deliver_due(seconds=-1) == 0
    assert webhook.asked == 0


# --- By a person's wish ----------------------------------------------------------------------------------------------


def test_what_was_given_up_is_sent_again_as_the_same_and_the_trail_says_by_whom(mail_sink, people):
    mail_sink.will("554 No")
    row = sent(an_email())
    message_id = transports.message_id(row)
    deliveries.resend(row, people["root"])
    row.refresh_from_db()
    assert (row.state, row.attempts, row.last_error) == (State.WAITING, 0, "")
    assert sent(row).state == State.SENT
    assert mail_sink.mails[0].message["Message-ID"] == message_id
    (entry,) = LogEntry.objects.filter(content_type__model="delivery")
    assert entry.actor == people["root"] and entry.changes_dict["state"] == ["failed", "waiting"]
    assert "layla@example.com" not in str(entry.changes_dict)


def test_who_left_or_may_not_read_the_report_any_more_gets_none(mail_sink, readers, people, monkeypatch):
    """Also when a person has it sent again, half a year later."""
    monkeypatch.setattr("analytics.report.attachment", lambda what: ("report.pdf", b"%PDF"))
    layla, omar = readers.values()
    word, report = an_email(), an_email("report", "omar@example.com", attachments=[{"report": "2026-01"}])
    assert sent(report).state == State.SENT
    layla.is_active = omar.is_superuser = False
    layla.save(), omar.save()
    row = sent(word)
    assert (row.state, row.last_error) == (State.FAILED, "Nobody active has this address any more.")
    row = sent(deliveries.resend(report, people["root"]))
    assert (row.state, row.last_error) == (
        State.FAILED, "Whoever has this address may not open the board report any more.",
    )  # fmt: skip
    assert [found.to for found in mail_sink.mails] == [("omar@example.com",)]


def test_what_arrived_goes_again_under_an_id_of_its_own(mail_sink, people):
    """With the same one a mail program would show the first alone."""
    row = sent(an_email())
    for _ in range(2):
        deliveries.resend(row, people["root"])
        sent(row)
    assert len({found.message["Message-ID"] for found in mail_sink.mails}) == 3
    entries = LogEntry.objects.filter(content_type__model="delivery")
    assert "January 2026" not in str([entry.changes for entry in entries])


def test_it_is_not_sent_again_while_it_is_sent_or_by_whom_may_not(people):
    row = an_email()
    for name in ("dana", "omar", "noor"):
        with pytest.raises(Refused, match="may not"):
            deliveries.resend(row, people[name])
    deliveries._claim(row.pk)
    with pytest.raises(Refused, match="right now"):
        deliveries.resend(row, people["root"])


def test_half_a_year_later_it_is_forgotten_with_its_address(people):
    def aged(key: str, days: int, **to) -> None:
        Delivery.objects.filter(pk=an_email(key).pk).update(created_at=timezone.now() - timedelta(days=days), **to)

    ended = {"state": State.SENT, "sent_at": timezone.now(), "next_attempt_at": None}
    aged("old", 181, **ended)
    aged("given up", 181, state=State.FAILED, next_attempt_at=None)
    aged("young", 179, **ended)
    aged("still waiting", 181)
    assert deliveries.prune() == 2
    assert set(Delivery.objects.values_list("key", flat=True)) == {"young", "still waiting"}
    assert not LogEntry.objects.filter(content_type__model="delivery").exists()


def test_the_tests_send_nothing_by_accident():
    sent(an_email())
    assert len(mail.outbox) == 1
