"""Schedules: made once, a person's to edit; the moments at which they are due, on the business's clock."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from auditlog.models import LogEntry
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

from analytics.models import StoreAccess
from operations import schedules
from operations.models import Duty, Made, Schedule
from operations.schedules import Rhythm

pytestmark = pytest.mark.django_db
DUBAI = ZoneInfo("Asia/Dubai")


def rows() -> dict[str, str]:
    return dict(PeriodicTask.objects.filter(task=schedules.TASK).values_list("name", "description"))


def crontab(rule: str, zone: str = "Asia/Dubai") -> CrontabSchedule:
    return CrontabSchedule(**dict(zip(schedules.PARTS, rule.split(), strict=True)), timezone=ZoneInfo(zone))


# --- The rows --------------------------------------------------------------------------------------------------------


def test_a_new_installation_has_them_all_on_the_business_clock():
    assert rows() == {
        "Refresh the figures": "every day at 06:00",
        "Mail the weekly report": "every Monday at 07:00",
        "Mail the monthly report": "on day 1 of every month at 07:00",
        "Check promises": "every day at 07:00",
        "See whether figures are late": "every hour at 20 past",
        "Tidy up": "every day at 03:30",
    }
    assert {str(row.crontab.timezone) for row in PeriodicTask.objects.filter(task=schedules.TASK)} == {"Asia/Dubai"}
    tick = PeriodicTask.objects.get(task=schedules.TICK)
    assert (str(tick.interval), tick.expire_seconds) == ("every 30 seconds", 25), "so that they don't pile up"


def test_made_again_they_stay_as_a_person_left_them():
    before = PeriodicTask.objects.count()
    PeriodicTask.objects.get(name="Tidy up").delete()
    PeriodicTask.objects.filter(name="Refresh the figures").update(enabled=False, name="Mornings")
    schedules.make()
    assert PeriodicTask.objects.count() == before - 1
    assert "Mornings" in rows() and "Refresh the figures" not in rows() and "Tidy up" not in rows()


def test_an_upgrade_brings_what_it_has_new():
    PeriodicTask.objects.get(name="Check promises").delete()
    Made.objects.get(key="schedule promises").delete()  # as if this version had it first
    seen = PeriodicTasks.last_change()
    schedules.make()
    assert rows()["Check promises"] == "every day at 07:00"
    assert PeriodicTasks.last_change() > seen, "so the clock that runs notices"
    assert not LogEntry.objects.exists()


def test_the_old_schedules_in_the_code_are_gone():
    from moonwalk.celery import app

    assert app.conf.beat_schedule == {}
    assert app.conf.timezone == "Asia/Dubai"


@pytest.mark.parametrize(
    "rule", ["20 * * * *", "0 6 * * *", "30 7 * * 1", "5 23 28 * *", "0 9,15 * * 1-5", "0 6 1 1 *"]
)
def test_a_rhythm_says_the_same_as_its_crontab(rule):
    assert schedules.rhythm_of(crontab(rule)).crontab() == rule


@pytest.mark.parametrize(
    ("rhythm", "words"),
    [
        (Rhythm("hourly", time(0, 5)), "every hour at 05 past"),
        (Rhythm("weekly", time(7, 30), weekday=0), "every Sunday at 07:30"),
        (Rhythm("monthly", time(8), day=3), "on day 3 of every month at 08:00"),
        (Rhythm("other", rule="0 9,15  * * 1-5"), "by the rule 0 9,15 * * 1-5"),
    ],
)
def test_in_words(rhythm, words):
    assert rhythm.words() == words


# --- Moments ---------------------------------------------------------------------------------------------------------
# 1 March 2026 is a Sunday. Dubai is four hours ahead of UTC, all year.


@pytest.mark.parametrize(
    ("rule", "now", "last", "following"),
    [
        ("0 6 * * *", "2026-03-10 05:59", "2026-03-09 06:00", "2026-03-10 06:00"),
        ("0 6 * * *", "2026-03-10 06:00", "2026-03-10 06:00", "2026-03-11 06:00"),
        ("20 * * * *", "2026-03-10 00:05", "2026-03-09 23:20", "2026-03-10 00:20"),
        ("0 7 * * 1", "2026-03-10 12:00", "2026-03-09 07:00", "2026-03-16 07:00"),
        ("0 7 * * 0", "2026-03-10 12:00", "2026-03-08 07:00", "2026-03-15 07:00"),
        ("0 7 1 * *", "2026-03-01 06:59", "2026-02-01 07:00", "2026-03-01 07:00"),
        ("0 7 31 * *", "2026-03-10 12:00", "2026-01-31 07:00", "2026-03-31 07:00"),
        ("0 7 29 2 *", "2026-03-10 12:00", "2024-02-29 07:00", "2028-02-29 07:00"),
        ("0,30 9,15 * * 1-5", "2026-03-08 12:00", "2026-03-06 15:30", "2026-03-09 09:00"),
    ],
)
def test_the_last_and_the_next_moment(rule, now, last, following):
    at = datetime.fromisoformat(now).replace(tzinfo=DUBAI).astimezone(UTC)
    found = [moment(crontab(rule), at).astimezone(DUBAI) for moment in (schedules.last_due, schedules.next_due)]
    assert [f"{m:%Y-%m-%d %H:%M}" for m in found] == [last, following]


def test_an_hour_that_summer_time_skips_comes_as_the_one_after_it():
    """In Vienna 02:30 of 29 March 2026 does not exist: the clocks go from 02:00 to 03:00 (01:00 UTC)."""
    due = schedules.last_due(crontab("30 2 * * *", "Europe/Vienna"), datetime(2026, 3, 29, 12, tzinfo=UTC))
    assert due == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


# --- What is owed ----------------------------------------------------------------------------------------------------


@pytest.fixture
def monthly() -> PeriodicTask:
    """The monthly report's schedule, alone, in force since January."""
    PeriodicTask.objects.exclude(name="Mail the monthly report").delete()
    PeriodicTask.objects.update(start_time=datetime(2026, 1, 15, tzinfo=UTC))
    return PeriodicTask.objects.get()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=DUBAI)


def owed() -> list[tuple[str, str]]:
    return [(duty.name, f"{duty.due_at.astimezone(DUBAI):%Y-%m-%d %H:%M}") for duty in Duty.objects.order_by("due_at")]


def test_a_moment_is_owed_once_however_often_one_looks(monthly):
    for now in ("2026-02-01 06:59", "2026-02-01 07:00", "2026-02-01 07:00", "2026-02-20 12:00"):
        schedules.owe(at(now))
    assert owed() == [("monthly report", "2026-02-01 07:00")]


def test_after_a_long_outage_only_the_latest_moment_is_owed(monthly):
    """The machine was off from 20 January to 9 April."""
    schedules.owe(at("2026-04-09 15:00"))
    assert owed() == [("monthly report", "2026-04-01 07:00")]


def test_a_schedule_only_just_made_owes_nothing_from_before():
    for made in (PeriodicTask, Made):  # those of the tests' database are older than a full hour, now and then
        made.objects.all().delete()
    schedules.make()
    schedules.owe(PeriodicTask.objects.filter(task=schedules.TASK).latest("start_time").start_time)
    assert owed() == []


@pytest.mark.parametrize("change", ["rhythm", "off and on"])
def test_an_edited_one_owes_nothing_from_before(monthly, change):
    if change == "rhythm":
        monthly.crontab = CrontabSchedule.objects.create(minute="0", hour="*", timezone="Asia/Dubai")
        monthly.save()
    else:
        for enabled in (False, True):
            monthly.enabled = enabled
            monthly.save()
    schedules.owe(timezone.now())
    assert owed() == []


def test_what_the_clock_itself_writes_changes_nothing(monthly):
    monthly.last_run_at, monthly.total_run_count = timezone.now(), 7
    monthly.save()
    schedules.owe(timezone.now())
    assert len(owed()) == 1


def test_one_that_is_off_or_names_nothing_we_know_owes_nothing(monthly):
    PeriodicTask.objects.update(enabled=False)
    schedules.owe(at("2026-04-09 15:00"))
    for kwargs in ("", "[]", "no json", '{"name": "dance"}', '{"name": ["refresh"]}'):
        PeriodicTask.objects.update(enabled=True, kwargs=kwargs)
        schedules.owe(at("2026-04-09 15:00"))
    assert owed() == []


def test_a_rule_that_cannot_be_read_stops_no_other(monthly, as_, caplog):
    """Written by hand: the form lets none through."""
    broken = CrontabSchedule.objects.create(minute="0", hour="x", timezone="Asia/Dubai")
    kwargs = '{"name": "refresh"}'
    first = PeriodicTask.objects.create(name="A", task=schedules.TASK, kwargs=kwargs, crontab=broken)
    PeriodicTask.objects.filter(pk=monthly.pk).update(id=first.pk + 1)
    schedules.owe(at("2026-02-01 07:00"))
    assert owed() == [("monthly report", "2026-02-01 07:00")]
    assert f"schedule {first.pk} owes nothing" in caplog.text
    assert "Its rule can&#x27;t be read." in as_("layla").get(url()).content.decode()


# --- In the admin ----------------------------------------------------------------------------------------------------


def url(page: str = "changelist", *args, model: str = "schedule") -> str:
    return reverse(f"admin:operations_{model}_{page}", args=args)


FORM = {"duty": "refresh", "enabled": "on", "kind": "daily", "at": "05:30", "weekday": "1", "day": "1", "rule": ""}


def refresh_schedule() -> Schedule:
    return Schedule.objects.get(name="Refresh the figures")


def test_the_list_says_when_and_what_came_of_it(as_):
    now = timezone.now()
    Duty.objects.create(name="refresh", due_at=now, noticed_at=now, next_attempt_at=now, outcome="Refresh 1.")
    page = as_("layla").get(url()).content.decode()
    for words in ("Refresh the figures", "every day at 06:00", "on day 1 of every month at 07:00", "waiting",
                  "there is no Redis"):  # fmt: skip
        assert words in page
    assert "Look for what is left to do" not in page, "the tick is nobody's to switch off"
    assert as_("layla").get(url("export", "csv")).status_code == 200


def test_a_manager_changes_the_hour_and_it_is_in_the_trail(as_, people):
    row, before = refresh_schedule(), timezone.now()
    assert as_("layla").post(url("change", row.pk), FORM).status_code == 302
    row.refresh_from_db()
    assert (row.crontab.hour, row.crontab.minute, row.description) == ("5", "30", "every day at 05:30")
    assert row.start_time >= before and str(row.crontab.timezone) == "Asia/Dubai"
    assert schedules.duty_of(row) == "refresh"
    entry = LogEntry.objects.get()
    assert (entry.actor, entry.changes_dict) == (
        people["layla"], {"description": ["every day at 06:00", "every day at 05:30"]})  # fmt: skip
    assert "every day at 06:00 → every day at 05:30" in as_("layla").get(url("change", row.pk)).content.decode()


def test_switching_one_off_is_told_in_words_in_the_trail(as_):
    row = refresh_schedule()
    as_("layla").post(url("change", row.pk), {k: v for k, v in FORM.items() if k != "enabled"} | {"at": "06:00"})
    for page in (url("change", row.pk), reverse("admin:auditlog_logentry_changelist")):
        said = as_("root").get(page).content.decode()
        assert "schedule “Refresh the figures”" in said and "yes → no" in said and "periodic task" not in said, page


def test_one_that_sends_says_what_is_missing_to_send(as_, settings):
    words = "No mail server is set"
    for mail_server in ("", "smtp://mail.example.com"):
        settings.EMAIL_URL = mail_server
        for name, sends in (("Mail the weekly report", True), ("Refresh the figures", False)):
            said = as_("layla").get(url("change", Schedule.objects.get(name=name).pk)).content.decode()
            assert (words in said) == (sends and not mail_server), name


def test_a_second_one_of_the_same_duty_and_one_removed(as_):
    form = FORM | {"kind": "weekly", "weekday": "0", "at": "14:00"}
    assert as_("layla").post(url("add"), form).status_code == 302
    assert rows()["Refresh the figures (2)"] == "every Sunday at 14:00"
    assert as_("layla").post(url("delete", refresh_schedule().pk), {"post": "yes"}).status_code == 302
    schedules.make()
    assert "Refresh the figures" not in rows()


def test_what_a_schedule_is_for_cannot_be_changed(as_):
    row = refresh_schedule()
    as_("layla").post(url("change", row.pk), FORM | {"duty": "prune"})
    row.refresh_from_db()
    assert schedules.duty_of(row) == "refresh"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"at": ""}, "Say at what time"),
        ({"at": "25:00"}, "Enter a valid time"),
        ({"kind": "monthly", "day": ""}, "Say on which day"),
        ({"kind": "monthly", "day": "31"}, "less than or equal to 28"),
        ({"kind": "other", "rule": "0 6 * *"}, "A rule has five parts"),
        ({"kind": "other", "rule": "0 25 * * *"}, "“25” can&#x27;t be read as the hour: write *, numbers from 0 to 23"),
        ({"kind": "other", "rule": "0 6 * * x"}, "“x” can&#x27;t be read"),
        ({"kind": "other", "rule": "0 9 * * 7"}, "numbers from 0 to 6 (0 is Sunday)"),
        ({"kind": "other", "rule": "5-1 * * * *"}, "“5-1” counts backwards"),
        ({"kind": "other", "rule": "* * * * *"}, "Leave 5 minutes at least"),
        ({"kind": "other", "rule": "0 9 31 2 *"}, "That day never comes"),
        ({"kind": "other", "rule": "0 9 31 4,6 *"}, "That day never comes"),
    ],
)
def test_what_makes_no_sense_is_refused(as_, fields, words):
    answer = as_("layla").post(url("change", refresh_schedule().pk), FORM | fields)
    assert words in answer.content.decode()
    assert rows()["Refresh the figures"] == "every day at 06:00"


def test_a_new_one_saved_as_it_stands_asks_for_choices(as_):
    before = rows()
    answer = as_("layla").post(url("add"), {"duty": "", "kind": "", "at": "", "weekday": "1", "day": "", "rule": ""})
    assert "Choose what is to happen." in answer.content.decode() and "Choose how often." in answer.content.decode()
    blank = as_("layla").get(url("add")).content.decode()
    assert blank.count('<option value="" selected>choose</option>') == 2
    assert rows() == before


def test_a_date_that_never_comes_keeps_nobody_from_the_list(as_):
    never = crontab("0 9 31 2 *")
    never.save()
    PeriodicTask.objects.filter(name="Refresh the figures").update(crontab=never)
    page = as_("layla").get(url())
    assert page.status_code == 200 and "Its rule can&#x27;t be read." in page.content.decode()
    assert as_("layla").get(url("change", refresh_schedule().pk)).status_code == 200


def test_a_rule_of_ones_own(as_):
    as_("layla").post(url("change", refresh_schedule().pk), FORM | {"kind": "other", "rule": "0 9,15 * * 1-5"})
    assert rows()["Refresh the figures"] == "by the rule 0 9,15 * * 1-5"
    assert "0 9,15 * * 1-5" in as_("layla").get(url("change", refresh_schedule().pk)).content.decode()


def test_who_sees_and_changes_them(as_, people):
    for name in ("dana", "farid", "omar", "noor", "hala"):
        assert as_(name).get(url()).status_code in (302, 403), name
        assert as_(name).post(url("change", refresh_schedule().pk), FORM).status_code in (302, 403)
    assert rows()["Refresh the figures"] == "every day at 06:00"
    StoreAccess.objects.create(user=people["layla"], store="Hielo")
    assert as_("layla").get(url()).status_code == 403
    assert as_("root").get(url()).status_code == 200


def test_duties_are_to_read_alone(as_):
    now = timezone.now()
    duty = Duty.objects.create(name="prune", due_at=now - timedelta(days=1), noticed_at=now, next_attempt_at=now,
                               state="failed", outcome="Another refresh is running.")  # fmt: skip
    client = as_("layla")
    for page in (url(model="duty"), url("change", duty.pk, model="duty"), url("export", "csv", model="duty")):
        assert b"Another refresh is running." in b"".join(client.get(page)), page
    assert client.get(url("add", model="duty")).status_code == 403
    assert client.post(url("delete", duty.pk, model="duty"), {"post": "yes"}).status_code == 403
