"""The board report by mail: what the schedule owes at a moment, who gets it, what arrives; its rows in the admin."""

import re
import shutil
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from auditlog.models import LogEntry
from django.urls import reverse

from analytics import queries
from analytics.models import ReportMail
from operations import defaults, deliveries, reports
from operations.duties import NotYet
from operations.models import Delivery
from tests.analytics.test_report import text_of
from tests.conftest import CAST, point_settings_at

pytestmark = pytest.mark.django_db

LIST = reverse("admin:analytics_reportmail_changelist")


def at(*when: int) -> datetime:
    """A moment on the business's clock."""
    return datetime(*when, tzinfo=ZoneInfo("Asia/Dubai"))


FIRST = at(2026, 3, 1, 7)  # a Sunday; the golden data knows February and week 9 (23 Feb to 1 Mar) whole
MONDAY = at(2026, 3, 2, 7)


@pytest.fixture
def reachable(people):
    """The cast with an address each."""
    for name, user in people.items():
        user.email = f"{name}@example.com"
        user.save()
    return people


@pytest.fixture
def ready(reachable, golden_data):
    return reachable


def row(grain: str = "month") -> ReportMail:
    return ReportMail.objects.get(grain=grain)


def mails() -> list[Delivery]:
    return list(Delivery.objects.filter(kind="mail").order_by("pk"))


# --- Which period ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("grain", "moment", "period"), [
    ("month", FIRST, "2026-02"), ("month", at(2026, 2, 28, 23, 59), "2026-01"), ("month", at(2026, 1, 1), "2025-12"),
    ("week", MONDAY, "2026-W09"), ("week", at(2026, 3, 1, 23, 59), "2026-W08"), ("week", at(2026, 1, 5), "2026-W01"),
    ("week", at(2025, 12, 29), "2025-W52"), ("month", at(2026, 3, 31), "2026-02"),
])  # fmt: skip
def test_it_is_the_period_that_was_over_at_the_moment(grain, moment, period):
    assert reports.ended_before(grain, moment) == period


def test_the_moment_counts_on_the_business_clock():
    """21:00 in London on 28 February is 1 March, 01:00 in Abu Dhabi."""
    assert reports.ended_before("month", datetime(2026, 2, 28, 21, tzinfo=ZoneInfo("UTC"))) == "2026-02"


# --- What is recorded ------------------------------------------------------------------------------------------------


def test_everybody_of_management_is_told_once_with_the_report_of_this_build(ready):
    """Hala is of Management too, and kept to a store."""
    said = reports.mail("month", FIRST)
    assert said == "The report of Feb 2026 goes to 1 by e-mail."
    delivery, = mails()
    assert (delivery.recipient, delivery.about) == ("layla@example.com", "Board report, Feb 2026")
    assert delivery.key == f"report:2026-02:{ready['layla'].pk}"
    content = delivery.content
    assert content["subject"] == "Moon Walk, Feb 2026: board report"
    assert content["attachments"] == [{"report": "2026-02", "build_id": queries.current().build_id}]
    assert content["url"] == "/executive/?grain=month&period=2026-02"
    assert reports.mail("month", at(2026, 3, 1, 9)) == said
    assert len(mails()) == 1, "asked twice, told once"


def test_the_headlines_come_with_it_what_needs_attention_first(ready):
    reports.mail("month", FIRST)
    content = mails()[0].content
    rows = [r for r in queries.current().insights("month") if r["period"] == "2026-02"]
    assert content["text"] == "What stands out in February 2026:"
    assert len(content["lines"]) == len(rows) == 20
    assert {line.rpartition(" (")[0] for line in content["lines"]} == {r["headline"] for r in rows}
    tones = [line.rpartition(" (")[2] for line in content["lines"]]
    assert tones == sorted(tones, key=["needs attention)", "good)", "good to know)"].index)
    assert "Revenue 25 % below February 2025 (needs attention)" in content["lines"]


def test_who_is_chosen_gets_it_if_they_may_open_it(ready):
    """Farid (Finance) may not open the board report; the superuser may."""
    row().people.set([ready["farid"], ready["root"]])
    reports.mail("month", FIRST)
    assert [d.recipient for d in mails()] == ["root@example.com"]


def test_a_paused_one_tells_nobody(ready):
    ReportMail.objects.filter(grain="month").update(paused=True)
    assert reports.mail("month", FIRST) == "The monthly report is paused: nobody was told."
    assert not Delivery.objects.exists()
    assert "week 9" in reports.mail("week", MONDAY).lower()


def test_with_nobody_to_tell_it_says_so(people, golden_data):
    assert reports.mail("month", FIRST).startswith("Nobody is there to be told of Feb 2026")


@pytest.mark.parametrize(("grain", "moment", "words"), [
    ("month", at(2026, 4, 1), "The report of 2026-03 waits for its data. 2026-03 isn't over in this data"),
    ("week", at(2026, 3, 9), "The report of 2026-W10 waits for its data."),
])  # fmt: skip
def test_what_the_data_does_not_have_yet_is_waited_for(ready, grain, moment, words):
    with pytest.raises(NotYet) as error:
        reports.mail(grain, moment)
    assert words in str(error.value)
    assert not Delivery.objects.exists()


def test_without_any_data_it_waits_too(reachable, data_dir):
    with pytest.raises(NotYet, match="There is no data yet"):
        reports.mail("month", FIRST)


def test_slack_gets_the_headlines_and_no_file(ready, webhook):
    assert reports.mail("week", MONDAY) == "The report of Week 9, 2026 goes to 1 by e-mail, its insights to Slack."
    slack = Delivery.objects.get(kind="slack")
    assert slack.key == "report:2026-W09:slack" and "attachments" not in slack.content
    deliveries.deliver(slack.pk)
    said = webhook.said[0]["text"]
    assert said.startswith("Moon Walk, Week 9, 2026: board report\nWhat stands out in Week 9, 2026")
    assert "(good to know)" in said and "/executive/?grain=week&amp;period=2026-W09|Open the page" in said
    ReportMail.objects.filter(grain="month").update(by_slack=False)
    reports.mail("month", FIRST)
    assert Delivery.objects.filter(kind="slack").count() == 1


# --- What arrives ----------------------------------------------------------------------------------------------------


def test_the_mail_arrives_with_the_report(ready, mail_sink):
    reports.mail("month", FIRST)
    deliveries.deliver(mails()[0].pk)
    mail, = mail_sink.mails
    assert mail.to == ("layla@example.com",)
    assert mail.message["Subject"] == "Moon Walk, Feb 2026: board report"
    assert "Customers 0.4 % below January (good to know)" in mail.text and "The report is attached." in mail.text
    assert "http://127.0.0.1:8000/executive/?grain=month&period=2026-02" in mail.text
    assert list(mail.files) == ["board-report-2026-02.pdf"]
    pdf = mail.files["board-report-2026-02.pdf"]
    assert "253" in text_of(pdf, 1) and "Dhs 25,580" in " ".join(text_of(pdf, 1).split())


def test_a_report_whose_build_went_back_is_of_the_live_one(reachable, golden_build, tmp_path, settings, mail_sink):
    """Another build is live when it is sent, and the one it was recorded with is gone."""
    point_settings_at(settings, tmp_path)
    shutil.copytree(golden_build / "warehouse", tmp_path / "warehouse")
    reports.mail("month", FIRST)
    Delivery.objects.update(
        content=mails()[0].content | {"attachments": [{"report": "2026-02", "build_id": "20200101-000000-000000"}]}
    )
    deliveries.deliver(mails()[0].pk)
    assert list(mail_sink.mails[0].files) == ["board-report-2026-02.pdf"]


def test_a_report_that_cannot_be_made_is_tried_again(ready, mail_sink, monkeypatch):
    from analytics import typeset

    def broken(*args, **kwargs):
        raise typeset.NotTypeset("137")

    reports.mail("month", FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(typeset, "pdf", broken)
        deliveries.deliver(mails()[0].pk)
    delivery = mails()[0]
    assert (delivery.state, mail_sink.mails) == (Delivery.State.WAITING, [])
    assert delivery.last_error.startswith("The report could not be made")
    Delivery.objects.update(next_attempt_at=delivery.created_at)
    deliveries.deliver(delivery.pk)
    assert len(mail_sink.mails) == 1


# --- Its rows --------------------------------------------------------------------------------------------------------


def test_there_is_a_row_for_the_week_and_the_month_and_a_persons_choice_stays(people):
    assert [(r.grain, r.paused, r.by_slack) for r in ReportMail.objects.all()] == [
        ("month", False, True), ("week", False, True)
    ]  # fmt: skip
    ReportMail.objects.filter(grain="week").update(paused=True)
    row("week").people.add(people["layla"])
    defaults.make_report_mails()
    assert row("week").paused and list(row("week").people.all()) == [people["layla"]]


def change(grain: str = "month") -> str:
    return reverse("admin:analytics_reportmail_change", args=[row(grain).pk])


@pytest.mark.parametrize("name", ["root", *CAST])
def test_management_sees_and_sets_who_gets_it_nobody_else_and_nobody_kept_to_a_store(as_, name):
    client, allowed = as_(name), name in ("root", "layla")
    assert [client.get(url).status_code == 200 for url in (LIST, change())] == [allowed] * 2
    client.post(change(), {"paused": "on", "by_slack": "on"})
    assert row().paused is allowed


def test_the_page_says_who_gets_it_now_and_what_went_out(ready, as_, golden_data):
    client = as_("layla")
    html = client.get(change()).content.decode()
    assert "Omar" not in html and "layla" in html and "Nothing yet." in html
    assert "noor" not in re.search(r'name="people".*', html, re.S)[0].split("</fieldset>")[0], "has no role"
    reports.mail("month", FIRST)
    reports.mail("week", MONDAY)
    assert [d.about for d in reports.recorded("month")] == ["Board report, Feb 2026"]
    assert [d.about for d in reports.recorded("week")] == ["Board report, Week 9, 2026"]
    html = client.get(change()).content.decode()
    assert "Board report, Feb 2026" in html and "Week 9" not in html
    assert "never" in client.get(LIST).content.decode()


def test_what_is_missing_to_send_it_is_said_where_one_sees_to_whom(ready, as_, settings):
    mail, slack = "No mail server is set: an e-mail leaves only if", "No webhook is set: nothing goes to Slack."
    settings.EMAIL_URL = settings.SLACK_WEBHOOK = ""
    client = as_("layla")
    assert mail in client.get(LIST).content.decode()
    html = client.get(change()).content.decode()
    assert mail in html and slack in html
    settings.EMAIL_URL, settings.SLACK_WEBHOOK = "smtp://mail.example.com", "https://hooks.example.com/1"
    html = client.get(change()).content.decode() + client.get(LIST).content.decode()
    assert mail not in html and slack not in html


def test_a_change_is_on_the_trail_and_chosen_people_are_kept(ready, as_):
    as_("layla").post(change(), {"people": [ready["layla"].pk, ready["root"].pk], "paused": "on"})
    assert row().paused and not row().by_slack
    assert set(row().people.all()) == {ready["layla"], ready["root"]}
    entry = LogEntry.objects.filter(content_type__model="reportmail").latest("pk")
    assert entry.actor == ready["layla"] and entry.changes["paused"] == ["False", "True"]


def test_nobody_makes_another_one_or_removes_one(as_):
    client = as_("root")
    assert client.get(reverse("admin:analytics_reportmail_add")).status_code == 403
    assert client.post(reverse("admin:analytics_reportmail_delete", args=[row().pk])).status_code == 403
    assert ReportMail.objects.count() == 2
