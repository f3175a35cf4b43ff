"""Alert rules and the history of alerts in the admin: who sees and writes them, what the form takes and refuses, what a
rule would say now, what became of each message. Figures: the golden build, February 2026 (test_alerts.py)."""

import csv
import io
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from analytics.models import AlertEvent, AlertRule
from operations.models import Delivery, RefreshRun

pytestmark = pytest.mark.django_db
RULES, EVENTS = "/admin/analytics/alertrule/", "/admin/analytics/alertevent/"
FORM = {"name": "Low revenue", "metric": "revenue", "grain": "month", "split": "", "store": "", "condition": "below",
        "limit": "30000", "by_mail": "on", "by_slack": "on"}  # fmt: skip


def change(row: AlertRule | AlertEvent) -> str:
    return reverse(f"admin:analytics_{row._meta.model_name}_change", args=[row.pk])


def text(response) -> str:
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def rule(**more) -> AlertRule:
    return AlertRule.objects.create(**{"name": "Low revenue", "metric": "revenue", "limit": Decimal(30000)} | more)


def event(of: AlertRule, period: str = "2026-02", *states: str) -> AlertEvent:
    """An alert with a delivery in each of these states."""
    found = AlertEvent.objects.create(rule=of, period=period, headline=f"Revenue is low in {period}",
                                      url="/executive/?tab=snapshot")  # fmt: skip
    for i, state in enumerate(states):
        Delivery.objects.create(
            key=f"{found.pk}:{i}", kind="mail", about="Alert", recipient=f"p{i}@example.com", state=state, event=found,
            attempts=2, sent_at=timezone.now() if state == "sent" else None, next_attempt_at=timezone.now(),
            last_error="The mail server can't be reached." if state == "failed" else "",
        )  # fmt: skip
    return found


# --- Who -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "may"), [("root", True), ("layla", True), *((n, False) for n in
                         ("hala", "omar", "sara", "farid", "dana", "noor"))])  # fmt: skip
def test_rules_and_alerts_are_of_management_and_the_whole_business(as_, golden_data, name, may):
    """hala is of Management too, kept to one store."""
    client, told = as_(name), event(rule())
    pages = [RULES, f"{RULES}add/", change(told.rule), f"{RULES}preview/", f"{RULES}export.csv", EVENTS, change(told),
             f"{EVENTS}export.csv"]  # fmt: skip
    assert {client.get(page).status_code == 200 for page in pages} == {may}
    client.post(f"{RULES}add/", FORM | {"name": "Another"})
    client.post(change(told.rule), FORM | {"name": "Changed"})
    assert AlertRule.objects.filter(name__in=["Another", "Changed"]).count() == (2 if may else 0)
    client.post(f"{RULES}{told.rule_id}/delete/", {"post": "yes"})
    assert AlertRule.objects.filter(pk=told.rule_id).exists() is not may


def test_figures_of_pages_that_somebody_does_not_open_are_not_shown_here_either(as_, people, golden_data):
    """omar is of Operations, which doesn't open Financial Performance, and looks after rules here."""
    rights = ["view_alertrule", "add_alertrule", "change_alertrule", "view_alertevent", "view_delivery"]
    people["omar"].user_permissions.set(Permission.objects.filter(codename__in=rights))
    people["omar"].is_staff = True
    people["omar"].save()
    seen, hidden = event(rule(), "2026-02", "sent"), event(rule(name="Paid", metric="collections"), "2026-02", "sent")
    client = as_("omar")
    for told, codes in ((seen, {200}), (hidden, {302})):
        delivery = reverse("admin:operations_delivery_change", args=[told.deliveries.get().pk])
        assert {client.get(url).status_code for url in (change(told), change(told.rule), delivery)} == codes
    lists = [text(client.get(url)) for url in (RULES, EVENTS, reverse("admin:operations_delivery_changelist"))]
    assert all(change(told) not in page for told in (hidden, hidden.rule) for page in lists) and "Paid" not in lists[0]
    form = text(client.get(f"{RULES}add/"))
    assert 'value="revenue"' in form and 'value="collections"' not in form
    asked = FORM | {"metric": "collections", "limit": "1", "condition": "above"}
    said = unescape(client.get(f"{RULES}preview/", asked).json()["said"])
    assert "Your account doesn't show this figure." in said and "Dhs" not in said
    assert "Dhs" in as_("layla").get(f"{RULES}preview/", asked).json()["said"]


def test_alerts_are_looked_at_and_never_written(as_):
    client, told = as_("root"), event(rule())
    assert client.get(f"{EVENTS}add/").status_code == client.post(f"{EVENTS}{told.pk}/delete/").status_code == 403
    client.post(change(told), {"headline": "Another"})
    told.refresh_from_db()
    assert told.headline == "Revenue is low in 2026-02"


def test_they_stand_in_the_sidebar(as_):
    start = text(as_("layla").get("/admin/"))
    assert f'href="{RULES}"' in start and f'href="{EVENTS}"' in start
    assert RULES not in text(as_("dana").get("/admin/"))


# --- The form --------------------------------------------------------------------------------------------------------


def test_a_rule_is_made_by_a_person_and_in_the_trail(as_, people, golden_data):
    client = as_("layla")
    assert client.post(f"{RULES}add/", FORM | {"people": [people["omar"].pk]}).status_code == 302
    made = AlertRule.objects.get(name="Low revenue")
    assert (made.created_by, made.limit, made.condition) == (people["layla"], 30000, "below")
    assert list(made.people.all()) == [people["omar"]]
    client.post(change(made), FORM | {"limit": "25000", "paused": "on"})
    made.refresh_from_db()
    assert (made.limit, made.paused, made.people.count(), made.created_by) == (25000, True, 0, people["layla"])
    assert LogEntry.objects.filter(object_pk=str(made.pk), actor=people["layla"]).count() == 2


def test_a_way_that_is_not_set_up_is_said_where_it_is_chosen(as_, settings, golden_data):
    settings.EMAIL_URL = settings.SLACK_WEBHOOK = ""
    built_in, to_slack = AlertRule.objects.get(kind="refresh_failed"), rule(name="Quiet", by_mail=False)
    client, said = as_("layla"), (
        "No mail server is set: an e-mail leaves only if this machine has one of its own. Set EMAIL_URL.",
        "No webhook is set: nothing goes to Slack. Set MOONWALK_SLACK_WEBHOOK.",
    )  # fmt: skip
    pages = (RULES, f"{RULES}add/", change(built_in), change(to_slack))
    for page in pages:
        found = text(client.get(page))
        assert [words in found for words in said] == [True, True], page
    assert "Management, in Slack alone (no webhook is set)" in text(client.get(RULES))
    settings.EMAIL_URL, settings.SLACK_WEBHOOK = "smtp://mail.example.com", "https://hooks.example.com/1"
    for page in pages:
        found = text(client.get(page))
        assert [words in found for words in said] == [False, False], page
    assert "Management, in Slack alone<" in text(client.get(RULES))


def test_the_figures_are_grouped_by_page(as_, golden_data):
    form = text(as_("layla").get(f"{RULES}add/"))
    groups = [form.index(f'<optgroup label="{name}">') for name in
              ("Executive Pulse", "Customer Analytics", "Operations Center", "Financial Performance")]  # fmt: skip
    assert groups == sorted(groups)
    assert groups[0] < form.index('<option value="revenue">Revenue</option>') < groups[1]
    assert "M1 customers (by month alone)" in form
    assert "15 means 15 %" in form


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metric": "m1_customers", "grain": "week"}, "M1 customers is counted by month alone: choose a closed month."),
        ({"split": "service_type"}, "counted by service: choose store, area, system, payment method, or none."),
        ({"store": "Hielo", "split": "store"}, "Choose one store, or one by one for each store, not both."),
        ({"metric": "m1_customers", "store": "Hielo"}, "leave the store open"),
        ({"limit": ""}, "Say from which value on somebody is to be told."),
        ({"by_mail": "", "by_slack": ""}, "without either nobody is told"),
        ({"metric": "profit"}, "Select a valid choice"),
        ({"name": ""}, "This field is required"),
    ],
)  # fmt: skip
def test_what_could_never_be_judged_is_refused_in_a_sentence(as_, golden_data, changed, said):
    form = {name: value for name, value in (FORM | changed).items() if value or name in ("limit", "name")}
    assert said in text(as_("layla").post(f"{RULES}add/", form))
    assert not AlertRule.objects.filter(kind="metric").exists()


def test_a_built_in_rule_can_be_set_and_not_made_another(as_, people, golden_data):
    client, late = as_("layla"), AlertRule.objects.get(kind="refresh_late")
    page = text(client.get(change(late)))
    assert "Hours since the figures were last refreshed" in page and 'name="metric"' not in page
    assert 'value="26"' in page
    client.post(change(late), FORM | {"limit": "12.5", "people": [people["layla"].pk], "kind": "metric"})
    late.refresh_from_db()
    assert (late.kind, late.metric, late.name, late.limit) == ("refresh_late", "", "The figures are late", 12.5)
    assert client.post(f"{RULES}{late.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post(RULES, {"action": "delete_selected", "_selected_action": [late.pk], "post": "yes"})
    assert AlertRule.objects.filter(pk=late.pk).exists()
    assert "Say from which value on" in text(client.post(change(late), {"limit": "", "by_mail": "on"}))
    failed = AlertRule.objects.get(kind="refresh_failed")
    assert 'name="limit"' not in text(client.get(change(failed)))


def test_one_fault_is_said_once(as_, golden_data):
    client, late = as_("layla"), AlertRule.objects.get(kind="refresh_late")
    for kind in ("refresh_late", "quarantine", "closed_month"):
        built_in = AlertRule.objects.get(kind=kind)
        answer = client.post(change(built_in), {"limit": "", "by_mail": "on"})
        assert (answer.status_code, text(answer).count("Say from which value on")) == (200, 1)
    page = text(client.post(change(late), {"limit": "1" * 20, "by_mail": "on"}))
    assert "no more than 14 digits" in page and "Say from which value on" not in page
    assert "There is no figure" not in text(client.post(f"{RULES}add/", {"name": "Empty", "metric": "", "limit": ""}))


def test_a_small_share_is_asked_about_as_targets_ask(as_, golden_data):
    client, share = as_("layla"), FORM | {"metric": "collection_rate"}
    asked = "0.9 would be 0.9 %: write shares in %, like 90 (or 0.9 % if that is meant)."
    assert asked in text(client.post(f"{RULES}add/", share | {"limit": "0.9"}))
    assert asked in client.get(f"{RULES}preview/", share | {"limit": "0.9"}).json()["said"]
    assert client.post(f"{RULES}add/", share | {"limit": "0.9 %"}).status_code == 302
    made = AlertRule.objects.get(kind="metric")
    assert made.limit == Decimal("0.9") and 'value="0.9 %"' in text(client.get(change(made)))


# --- What it would say now -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said", "unit"),
    [
        ({}, "Revenue below Dhs 30,000: Dhs 25,580 in February 2026", "Dhs"),
        ({"limit": "20000"}, "Nothing to tell of February 2026: it is not below Dhs 20,000.", "Dhs"),
        ({"limit": "1e30"}, "no more than 14 digits", "Dhs"),
        ({"metric": "collection_rate", "limit": "80"}, "Collection rate below 80 %: 79.3 % in February 2026", "%"),
        ({"metric": "collection_rate", "condition": "change", "limit": "5"}, "−8.5 pp", "points of %"),
        ({"condition": "change", "limit": "1"}, "+1.5 %", "%"),
        ({"metric": "processing_days", "grain": "week"}, "below 30,000 days: 1.8 days in Week 9, 2026", "days"),
        ({"condition": "missing", "limit": ""}, "Nothing to tell of February 2026: it is not missing.", ""),
        ({"metric": "m1_customers", "grain": "week"}, "counted by month alone", ""),
        ({"limit": ""}, "Say from which value on", "Dhs"),
        ({"metric": ""}, "Fill in the rule", ""),
    ],
)
def test_the_form_says_what_the_rule_would_say_before_it_is_saved(as_, golden_data, changed, said, unit):
    answer = as_("layla").get(f"{RULES}preview/", FORM | changed).json()
    assert said in answer["said"] and answer["unit"] == unit
    assert answer["limited"] is (changed.get("condition") != "missing")
    assert not AlertRule.objects.filter(kind="metric").exists()


def test_a_rules_page_says_it_too_and_what_was_told(as_, people, golden_data):
    people["layla"].email = "layla@example.com"
    people["layla"].save()
    low = rule()
    event(low, "2026-02", "sent", "waiting")
    page = text(as_("layla").get(change(low)))
    assert "Revenue below Dhs 30,000: Dhs 25,580 in February 2026" in page
    assert "once a period, whatever is changed here." in page
    assert "Revenue is low in 2026-02" in page and "1 of 2 arrived" in page
    assert 'href="/executive/?tab=snapshot&amp;grain=month&amp;period=2026-02&amp;store=all"' in page
    assert "(has no e-mail address)" in page  # everybody but layla


def test_who_would_be_told_now(as_, people, golden_data):
    low = rule()
    assert "nobody: none of those chosen is active, has an e-mail address" in text(as_("root").get(change(low)))
    for name in ("layla", "hala"):
        people[name].email = f"{name}@example.com"
        people[name].save()
    found = text(as_("root").get(change(low)))
    assert "who would get an e-mail now" in found.lower() and ">layla<" in found.replace("> ", ">").replace(" <", "<")


def test_a_rule_whose_figure_is_gone_says_so_and_can_be_mended(as_, golden_data):
    gone, client = rule(metric="profit"), as_("layla")
    assert "its figure is gone" in text(client.get(RULES))
    page = text(client.get(change(gone)))
    assert "It can&#x27;t be judged: There is no figure “profit” any more" in page
    assert "There is no figure “profit”" in text(client.post(change(gone), FORM | {"metric": "profit"}))
    assert client.post(change(gone), FORM).status_code == 302
    gone.refresh_from_db()
    assert gone.metric == "revenue"


def test_the_built_in_rules_say_how_it_is(as_, data_dir):
    """Without any data, and with a refresh."""
    client = as_("layla")

    def says(kind: str) -> str:
        return text(client.get(change(AlertRule.objects.get(kind=kind))))

    assert "There was no refresh yet." in says("refresh_failed")
    assert "Nothing was refreshed yet." in says("refresh_late")
    at = timezone.now() - timedelta(hours=30)
    files = {"orders": {"file": "CC-Orders.csv", "read": 200, "quarantined": {"order_id": 3}}}
    RefreshRun.objects.create(state="published", trigger="schedule", started_at=at, finished_at=at, heartbeat_at=at,
                              manifest={"files": files})  # fmt: skip
    assert "Last refreshed 30 hours ago" in says("refresh_late")
    assert "3 of 200 rows of CC-Orders.csv are set aside (1.50 %)" in says("quarantine")
    assert "No build waits for a person." in says("closed_month")
    RefreshRun.objects.create(state="held", trigger="schedule", started_at=at, finished_at=at, heartbeat_at=at)
    assert "Builds that wait for a person: 1." in says("closed_month")


# --- Lists -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def history(db) -> dict[str, AlertEvent]:
    low, hielo = rule(), rule(name="Hielo", store="Hielo", grain="week")
    late = AlertRule.objects.get(kind="refresh_late")
    return {
        "arrived": event(low, "2026-02", "sent", "sent"), "waits": event(low, "2026-01", "sent", "waiting"),
        "given up": event(hielo, "2026-W07", "failed", "sent"), "nobody": event(late, "2026-03-05"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"arrived", "waits", "given up", "nobody"}),
        ("messages=sent", {"arrived"}),
        ("messages=waiting", {"waits"}),
        ("messages=failed", {"given up"}),
        ("messages=none", {"nobody"}),
        ("rule__store=Hielo", {"given up"}),
        ("rule__kind__exact=refresh_late", {"nobody"}),
        ("period=2026-W07", {"given up"}),
        ("q=2026-01", {"waits"}),
        ("q=Hielo", {"given up"}),
    ],
)
def test_alerts_are_filtered_and_taken_along(as_, history, query, found):
    client = as_("layla")
    shown = {row.pk for row in client.get(f"{EVENTS}?{query}").context["cl"].result_list}
    assert shown == {history[name].pk for name in found}
    lines = csv.DictReader(io.StringIO(client.get(f"{EVENTS}export.csv?{query}").content.decode("utf-8-sig")))
    assert {line["Alert"] for line in lines if line["Alert"]} == {history[name].headline for name in found}


def test_the_rules_say_when_they_reached_nobody(as_, history):
    page = text(as_("layla").get(RULES))
    assert page.count("reached nobody") == 1, "of late figures nobody was told"


def test_an_alert_of_a_build_that_was_decided_says_so(as_, people):
    closed = AlertRule.objects.get(kind="closed_month")
    for number, state in enumerate(("held", "released", "discarded")):
        now = timezone.now()
        run = RefreshRun.objects.create(
            state=state, trigger="schedule", started_at=now, heartbeat_at=now, finished_at=now
        )
        page_of_run = reverse("admin:operations_refreshrun_change", args=[run.pk])
        AlertEvent.objects.create(rule=closed, period=f"2026-03-0{number}", headline=f"One {state}", url=page_of_run)
    page = text(as_("layla").get(EVENTS))
    assert [page.count(words) for words in ("since published", "since discarded")] == [1, 1]
    assert "Nobody could be told: none of those to tell has an e-mail address" in text(as_("layla").get(page_of_run))


def test_an_alerts_page_tells_what_became_of_each_message(as_, history):
    page = text(as_("layla").get(change(history["given up"])))
    for words in ("p0@example.com", "given up", "The mail server can&#x27;t be reached.", "Hielo", "2026-W07"):
        assert words in page
    assert 'href="/executive/?tab=snapshot"' in page
    delivery = history["given up"].deliveries.first()
    assert f"/admin/operations/delivery/{delivery.pk}/change/" in page


def test_rules_are_taken_along(as_, history):
    lines = as_("layla").get(f"{RULES}export.csv").content.decode("utf-8-sig")
    assert "Revenue, each closed week, below Dhs 30,000, Hielo" in lines
    assert "Nothing refreshed for 26 hours" in lines
    assert "More than 0.5 % of a file's rows set aside" in lines


def test_lists_and_pages_ask_no_more_for_more_rows(as_, history, golden_data):
    client = as_("layla")
    pages = [RULES, EVENTS, change(history["arrived"].rule), change(history["arrived"])]

    def asked(page: str) -> int:
        client.get(page)
        with CaptureQueriesContext(connection) as found:
            assert client.get(page).status_code == 200
        return len(found)

    few = {page: asked(page) for page in pages}
    for i in range(15):
        event(history["arrived"].rule, f"2024-{i}", "sent", "failed")
        event(rule(name=f"Rule {i}"), "2026-02", "sent")
        Delivery.objects.create(key=f"more {i}", kind="mail", about="Alert", recipient="p@example.com", state="sent",
                                sent_at=timezone.now(), event=history["arrived"])  # fmt: skip
    assert {page: asked(page) for page in pages} == few
    assert max(few.values()) <= 30, few
