"""Deliveries in the admin: who sees them, what waits is seen, and sending again."""

import re
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from auditlog.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from operations import deliveries, site
from operations.admin.deliveries import deliveries_of
from operations.models import Delivery, RefreshRun
from tests.conftest import CAST

pytestmark = pytest.mark.django_db

State = Delivery.State
LIST, AGAIN = reverse("admin:operations_delivery_changelist"), reverse("admin:operations_delivery_again")


@pytest.fixture(autouse=True)
def reader(db, django_user_model) -> None:
    """Who has the address written to here."""
    django_user_model.objects.create_superuser("reader", "omar@example.com")


def make(about: str = "Alert: Revenue", state: str = "failed", kind: str = "mail", **more) -> Delivery:
    """A delivery in this state."""
    content = {"subject": "Revenue is low", "text": "January 2026: Dhs 98,500.", "url": "/finance/",
               "lines": ["By store", ["Moon Walk", "Dhs 60,000"]]}  # fmt: skip
    row = deliveries.record(kind, str(uuid4()), about, recipient="omar@example.com", content=content, **more)
    ended = {
        "failed": {"attempts": 3, "last_error": "The mail server refuses this address (550).", "next_attempt_at": None},
        "sent": {"attempts": 1, "sent_at": timezone.now(), "next_attempt_at": None},
    }.get(state, {})
    Delivery.objects.filter(pk=row.pk).update(state=state, **ended)
    row.refresh_from_db()
    return row


def page(row: Delivery) -> str:
    return reverse("admin:operations_delivery_change", args=[row.pk])


def told(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


# --- Who -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["root", *CAST])
def test_management_sees_and_resends_nobody_else_and_nobody_kept_to_a_store(as_, name):
    row, client = make(), as_(name)
    allowed = name in ("root", "layla")
    assert [client.get(url).status_code == 200 for url in (LIST, page(row))] == [allowed] * 2
    client.post(AGAIN, {"pk": row.pk})
    row.refresh_from_db()
    assert (row.state == State.SENT) is allowed


def test_to_look_is_not_to_send(as_, people):
    people["layla"].groups.get().permissions.remove(
        *people["layla"].groups.get().permissions.filter(codename="change_delivery")
    )
    row, client = make(), as_("layla")
    assert "Send again" not in client.get(page(row)).content.decode()
    assert "send_again" not in client.get(LIST).content.decode()
    assert client.post(AGAIN, {"pk": row.pk}).status_code == 403
    client.post(LIST, {"action": "send_again", "_selected_action": row.pk})
    assert Delivery.objects.get().state == State.FAILED


def test_another_sites_form_and_a_link_send_nothing(people):
    row, client = make(), Client(enforce_csrf_checks=True)
    client.force_login(people["root"])
    assert client.post(AGAIN, {"pk": row.pk}).status_code == 403
    assert client.get(AGAIN, {"pk": row.pk}).status_code == 405
    assert Delivery.objects.get().state == State.FAILED


# --- Seen ------------------------------------------------------------------------------------------------------------


def test_its_page_says_what_it_says_and_why_it_did_not_arrive(as_):
    html = as_("layla").get(page(make())).content.decode()
    for words in ("given up", "The mail server refuses this address (550).", "omar@example.com", "Revenue is low",
                  "January 2026: Dhs 98,500.", "Moon Walk: Dhs 60,000", "By store", "Send again"):  # fmt: skip
        assert words in html


def test_one_that_waits_says_when_it_is_tried_again(as_):
    row = make(state="waiting")
    at = timezone.now() + timedelta(hours=3)
    Delivery.objects.update(attempts=2, last_error="The mail server is away.", next_attempt_at=at)
    html = as_("layla").get(page(row)).content.decode()
    assert f"The mail server is away. Again at {timezone.localtime(at):%-d %b %Y, %H:%M}." in html
    assert "Send now" in html


@pytest.mark.filterwarnings("error::RuntimeWarning")  # a moment without a time zone
def test_given_up_stands_on_the_first_page_for_those_who_may_look(as_, people, rf):
    make(), make(), make(state="sent")
    Delivery.objects.filter(pk=make("Long ago").pk).update(created_at=timezone.now() - timedelta(days=16))
    html = as_("layla").get(reverse("admin:index")).content.decode()
    (url,) = re.findall(r'href="([^"]+)"><b>2</b> messages of the last 14 days that never arrived', html)
    listed = as_("layla").get(url.replace("&amp;", "&")).content.decode()
    assert listed.count("given up</span>") == 2 and "mw-good" not in listed and "Long ago" not in listed
    for name in ("dana", "farid"):
        request = rf.get("/")
        request.user = people[name]
        assert "never arrived" not in str(site.front(request, {}))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"from_0": "2026-03-02", "from_1": "00:00:00"}, ["b", "c", "d"]),
        ({"from_0": "2026-03-02"}, ["b", "c", "d"]),  # a day without a time is meant as a whole
        ({"from_0": "2026-03-02", "to_0": "2026-03-02"}, ["b", "c"]),
        ({"to_0": "2026-03-02", "to_1": "12:00:00"}, ["a", "b"]),
    ],
)
def test_a_day_is_one_of_the_local_clock(as_, settings, asked, found):
    """Dubai is four hours ahead of UTC: its 2 March begins on 1 March at 20:00."""
    assert settings.TIME_ZONE == "Asia/Dubai"
    for about, at in (("a", "2026-03-01T19:59:59"), ("b", "2026-03-01T20:00:00"), ("c", "2026-03-02T19:59:59"),
                      ("d", "2026-03-02T20:00:00")):  # fmt: skip
        Delivery.objects.filter(pk=make(about).pk).update(created_at=datetime.fromisoformat(f"{at}+00:00"))
    query = {f"created_at_{name}": value for name, value in asked.items()}
    rows = as_("layla").get(LIST, query).context["cl"].result_list
    assert sorted(row.about for row in rows) == found


def test_what_is_no_day_leads_back_to_the_whole_list(as_):
    make()
    response = as_("layla").get(LIST, {"created_at_from_0": "nonsense", "created_at_from_1": "00:00"}, follow=True)
    assert told(response) == ["The list can't be narrowed down like that: here is all of it."]
    assert response.context["cl"].result_count == 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("mail", "No mail server is set: an e-mail leaves only if this machine has one of its own. Set EMAIL_URL."),
        ("slack", "No webhook is set: nothing goes to Slack. Set MOONWALK_SLACK_WEBHOOK."),
        ("notion", "Notion is not set up. Set MOONWALK_NOTION_TOKEN and MOONWALK_NOTION_PAGE."),
    ],
)
def test_what_is_missing_to_send_it_stands_at_the_button(as_, settings, kind, words):
    settings.EMAIL_URL = settings.SLACK_WEBHOOK = settings.NOTION_TOKEN = ""
    client, row, sent = as_("layla"), make(kind=kind), make(kind=kind, state="sent")
    html = client.get(page(row)).content.decode()
    assert html.index(words) < html.index("Send again")
    assert words not in client.get(page(sent)).content.decode()
    assert words in client.post(AGAIN, {"pk": sent.pk}).content.decode(), "the page that asks first"
    assert (words in client.get(LIST).content.decode()) == (kind == "mail")
    settings.EMAIL_URL, settings.SLACK_WEBHOOK = "smtp://mail.example.com", "https://hooks.example.com/1"
    settings.NOTION_TOKEN, settings.NOTION_PAGE = "token", "page"
    for html in (client.get(page(row)), client.get(LIST), client.post(AGAIN, {"pk": sent.pk})):
        assert words not in html.content.decode()


def test_a_runs_page_has_its_deliveries_without_addresses(as_, data_dir):
    now = timezone.now()
    run = RefreshRun.objects.create(trigger="command", state="published", started_at=now, finished_at=now,
                                    heartbeat_at=now)  # fmt: skip
    assert deliveries_of(run).strip() == "–"
    row = make(run=run)
    make("Another run's")
    html = deliveries_of(run)
    runs_page = as_("layla").get(reverse("admin:operations_refreshrun_change", args=[run.pk])).content.decode()
    assert html.strip() in runs_page
    assert "Alert: Revenue" in html and "given up" in html and page(row) in html
    assert "Another" not in html and "@" not in html


def test_the_list_as_a_file(as_):
    make()
    response = as_("layla").get(reverse("admin:operations_delivery_export", args=["csv"]))
    text = b"".join(response.streaming_content if response.streaming else [response.content]).decode("utf-8-sig")
    assert "omar@example.com" in text and "given up" in text


# --- Again -----------------------------------------------------------------------------------------------------------


def test_given_up_goes_again_by_one_press_and_says_how_it_went(as_, mail_sink, people):
    row = make()
    response = as_("layla").post(AGAIN, {"pk": row.pk}, follow=True)
    assert response.redirect_chain == [(page(row), 302)]
    assert told(response) == ["1 message sent."]
    assert [mail.to for mail in mail_sink.mails] == [("omar@example.com",)]
    entry = LogEntry.objects.get(content_type__model="delivery")
    assert entry.object_repr == "delivery “Alert: Revenue, e-mail”"
    assert entry.actor == people["layla"] and entry.additional_data == {"from": f"POST {AGAIN}"}
    assert "Who changed what" in response.content.decode()


def test_what_does_not_go_says_why(as_, mail_sink):
    mail_sink.will("451 Later")
    response = as_("layla").post(AGAIN, {"pk": make().pk}, follow=True)
    assert told(response) == ["Alert: Revenue, waiting. The mail server does not take the message now (451)."]


def test_what_arrived_is_asked_about_first(as_, mail_sink):
    row, client = make(state="sent"), as_("layla")
    asking = client.post(AGAIN, {"pk": row.pk})
    html = asking.content.decode()
    assert asking.status_code == 200 and "This one has arrived already" in html and mail_sink.mails == []
    assert Delivery.objects.get().state == State.SENT
    response = client.post(AGAIN, {"pk": row.pk, "sure": "1"}, follow=True)
    assert told(response) == ["1 message sent."] and len(mail_sink.mails) == 1


def test_those_ticked_in_the_list_go_again(as_, mail_sink):
    rows, client = [make("First"), make("Second"), make("Third")], as_("layla")
    ticked = {"action": "send_again", "_selected_action": [row.pk for row in rows[:2]]}
    assert told(client.post(LIST, ticked, follow=True)) == ["2 messages sent."]
    assert Delivery.objects.get(about="Third").state == State.FAILED
    asking = client.post(LIST, {"action": "send_again", "_selected_action": [row.pk for row in rows]})
    html = asking.content.decode()
    assert "These have arrived already" in html and "3 are sent in all" in html and len(mail_sink.mails) == 2
    client.post(AGAIN, {"pk": re.findall(r'name="pk" value="(\d+)"', html), "sure": "1"})
    assert len(mail_sink.mails) == 5


def test_with_a_queue_a_worker_sends_it(as_, settings, monkeypatch, django_capture_on_commit_callbacks):
    asked = []
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("operations.queue.send", lambda task, **arguments: asked.append((task, arguments)))
    row = make()
    with django_capture_on_commit_callbacks(execute=True):
        response = as_("layla").post(AGAIN, {"pk": row.pk}, follow=True)
    assert told(response) == ["1 message on the way. Reload in a moment to see how it went."]
    assert asked == [("operations.deliver", {"expires": 60, "pk": row.pk})]


def test_one_that_is_being_sent_is_left_alone(as_):
    row = make(state="waiting")
    deliveries._claim(row.pk)
    response = as_("layla").post(AGAIN, {"pk": row.pk}, follow=True)
    assert told(response) == ["Alert: Revenue: It is being sent right now: see in a minute how it went."]


@pytest.mark.parametrize("chosen", [[], ["nonsense"], ["99999"], ["9" * 40]])
def test_a_form_that_names_nothing_says_so(as_, chosen):
    response = as_("layla").post(AGAIN, {"pk": chosen}, follow=True)
    assert told(response) == ["They are not there any more."]
