"""Alerts: who is told what, once, after a refresh and by the hour.

The laundry of exports.py: exports of 5 March 2026; February earns Dhs 385.25 at Moon Walk and 30.00 at Hielo, 415.25 in
all. layla is Management; hala is too, kept to Hielo. Messages go over a real mail server and webhook (tests/sinks.py).
"""

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from analytics import queries
from analytics.formats import moment
from analytics.models import AlertEvent, AlertRule
from operations import aftermath, alerts, deliveries, refresh
from operations.models import Delivery, RefreshRun
from operations.services import Refused
from tests.operations import exports
from tests.operations.house import House

pytestmark = pytest.mark.django_db
Kind, State = AlertRule.Kind, RefreshRun.State


@pytest.fixture(autouse=True)
def addresses(people, settings):
    settings.SITE_URL = "https://figures.example.com"
    for user in people.values():
        user.email = f"{user.username}@example.com"
        user.save()


def rule(metric: str = "revenue", condition: str = "above", limit: str | None = "400", **more) -> AlertRule:
    people = more.pop("people", ())
    found = AlertRule.objects.create(
        name=more.pop("name", "Watch it"), metric=metric, condition=condition, limit=limit and Decimal(limit), **more
    )
    found.people.set(people)
    return found


def built_in(kind: str, **changed) -> AlertRule:
    AlertRule.objects.filter(kind=kind).update(**changed)
    return AlertRule.objects.get(kind=kind)


def ended(state: str, hours_ago: float = 0, **more) -> RefreshRun:
    """A refresh that ended so long ago."""
    at = timezone.now() - timedelta(hours=hours_ago)
    more = {"trigger": "schedule", "started_at": at, "finished_at": at, "heartbeat_at": at} | more
    return RefreshRun.objects.create(state=state, **more)


def told() -> dict[str, set[str]]:
    """Who was recorded to be told of what: about -> addresses, "" for the channel."""
    found: dict[str, set[str]] = {}
    for one in Delivery.objects.all():
        found.setdefault(one.about, set()).add(one.recipient.split("@")[0])
    return found


# --- Rules of a figure -----------------------------------------------------------------------------------------------


def test_a_figure_over_its_limit_is_told_by_mail_and_in_slack(first_refresh, mail_sink, webhook):
    met = rule(store="Hielo", limit="29.50", name="Hielo earns")
    rule(limit="500", name="Not met")
    [event] = alerts.judge(first_refresh())
    assert (event.rule, event.period) == (met, "2026-02")
    assert event.headline == "Revenue above Dhs 29.5: Dhs 30.00 in February 2026, Hielo"
    assert event.figures == [{"of": "", "value": 30.0, "before": None, "change": None, "unit": "money"}]
    assert deliveries.deliver_due() == 3  # layla and hala, who is kept to Hielo; the channel
    assert {mail.to for mail in mail_sink.mails} == {("layla@example.com",), ("hala@example.com",)}
    mail, where = mail_sink.mails[0], "/executive/?tab=snapshot&grain=month&period=2026-02&store=hielo"
    assert mail.message["Subject"] == event.headline
    for words in ("Hielo earns: Revenue, each closed month, above Dhs 29.5, Hielo.", "Dhs 30.00 in Feb 2026",
                  "Data to: 23 Feb 2026", f"https://figures.example.com{where}"):  # fmt: skip
        assert words in mail.text
    assert event.headline in webhook.said[0]["text"] and "https://figures.example.com" in json.dumps(webhook.said[0])
    assert not re.search("Haddad|Saleh|CC-0001|M-00101|0000001", mail.text + mail.html + str(webhook.said))


def test_it_is_told_once_a_rule_and_period_whatever_happens_after(first_refresh, mail_sink):
    met, run = rule(), first_refresh()
    assert len(alerts.judge(run)) == 1
    assert alerts.judge(run) == []
    met.limit = Decimal(10)  # an edited rule judges the next period, not this one again
    met.save()
    assert alerts.judge(run) == []
    assert AlertEvent.objects.count() == 1
    assert told() == {"Alert: Watch it": {"layla"}}


def test_one_message_names_every_value_of_a_split(first_refresh):
    rule(split="store", limit="10")
    [event] = alerts.judge(first_refresh())
    assert event.headline == "Revenue by store above Dhs 10: Moon Walk Dhs 385, Hielo Dhs 30.00 in February 2026"
    assert [(one["of"], one["value"]) for one in event.figures] == [("Moon Walk", 385.25), ("Hielo", 30.0)]
    assert Delivery.objects.filter(event=event).count() == 1


def test_nothing_of_a_paused_rule_and_nothing_after_payments_alone_or_a_dry_run(first_refresh):
    met, run = rule(paused=True), first_refresh()
    assert alerts.judge(run) == []
    met.paused = False
    met.save()
    for aside in ({"trigger": "payments"}, {"manifest": {"payments_alone": True}}, {"dry_run": True}):
        other = ended(State.PUBLISHED, build_id=run.build_id, **aside)
        assert alerts.judge(other) == []
    assert alerts.judge(ended(State.NOTHING_NEW, build_id=run.build_id)) == []
    assert not AlertEvent.objects.exists()


def test_who_is_told(first_refresh, people):
    """Of a figure of the whole business nobody kept to a store; of Hielo's no one kept elsewhere; nobody who may not
    open the page that shows it."""
    whole = rule(name="whole", people=[people["layla"], people["hala"], people["omar"], people["dana"]])
    hielo = rule(name="hielo", store="Hielo", limit="20", people=[people["hala"]])
    other = rule(name="other", store="Moon Walk", limit="20", people=[people["hala"], people["layla"]])
    assert len(alerts.judge(first_refresh())) == 3
    said = told()
    assert said[f"Alert: {whole.name}"] == {"layla", "omar"}  # dana has no page of figures
    assert said[f"Alert: {hielo.name}"] == {"hala"}
    assert said[f"Alert: {other.name}"] == {"layla"}


def test_a_rule_by_slack_alone_and_one_whose_people_cannot_be_told(first_refresh, settings, people):
    settings.SLACK_WEBHOOK = "http://127.0.0.1:9/none"
    rule(name="slack", by_mail=False)
    rule(name="nobody", by_slack=False, people=[people["noor"]])
    assert len(alerts.judge(first_refresh())) == 2
    assert told() == {"Alert: slack": {""}, "Alert: nobody": {"layla"}}  # Management, rather than nobody


def test_a_rule_that_cannot_be_judged_stops_no_other(first_refresh, people):
    gone = rule("profit", name="gone")
    rule(name="there")
    run = first_refresh()
    assert [event.rule.name for event in alerts.judge(run)] == ["there"]
    assert alerts.now_said(gone, people["layla"]) == [
        ("bad", "It can't be judged: There is no figure “profit” any more: choose another one, or delete the rule.")
    ]


def test_what_nobody_foresaw_in_one_rule_is_raised_once_the_others_were_judged(first_refresh, monkeypatch):
    broken, run = rule(name="broken"), first_refresh()
    rule(name="fine")
    real = alerts.of_figure

    def breaks(one, build):
        if one.pk == broken.pk:
            raise ZeroDivisionError
        return real(one, build)

    monkeypatch.setattr(alerts, "of_figure", breaks)
    with pytest.raises(ZeroDivisionError):
        alerts.judge(run)
    assert [event.rule.name for event in AlertEvent.objects.all()] == ["fine"]


def test_a_run_is_judged_on_the_build_it_published(first_refresh, data_dir):
    """By the time somebody judges the first refresh, a second one is live: Hielo earns 40.00 in it."""
    AlertRule.objects.filter(kind=Kind.CLOSED_MONTH).update(limit=1000)
    first = first_refresh()
    rule(store="Hielo", limit="1")
    more = exports.ORDERS | {201: exports.ORDERS[201].replace(",30.00,", ",40.00,")}
    exports.write(data_dir / "exports", orders=more)
    second = refresh.refresh(trigger="command")
    assert (second.state, queries.current().build_id) == (State.PUBLISHED, second.build_id)
    [event] = alerts.judge(first)
    assert (event.build_id, event.figures[0]["value"]) == (first.build_id, 30.0)


def test_the_same_rule_and_build_always_say_the_same(first_refresh):
    met, run = rule(split="store", limit="1"), first_refresh()
    words = [alerts.of_figure(met, queries.current()) for _ in range(2)]
    assert words[0] == words[1]
    [event] = alerts.judge(run)
    AlertEvent.objects.all().delete()
    [again] = alerts.judge(run)
    assert (event.headline, event.figures, event.url) == (again.headline, again.figures, again.url)


# --- A refresh that failed, was refused, or died ---------------------------------------------------------------------


def test_a_refused_refresh_is_told_with_its_reason(data_dir, people, mail_sink):
    exports.write(data_dir / "exports")
    (data_dir / "exports" / f"CC-Orders-{exports.DAY}.csv").write_text("Not,an,order\n1,2,3\n", encoding="utf-8")
    run = refresh.refresh(trigger="schedule")
    assert run.state == State.REFUSED
    [event] = alerts.judge(run)
    assert re.fullmatch(r"A refresh was refused on \d+ \w{3} \d{4}, \d\d:\d\d", event.headline)
    assert deliveries.deliver_due() == 1
    [mail] = mail_sink.mails
    assert run.error in " ".join(mail.text.split()) and f"/admin/operations/refreshrun/{run.pk}/change/" in mail.text
    assert alerts.judge(run) == []


def test_the_same_failure_is_told_once_a_day_and_another_one_again():
    def fails(error: str, hours_ago: float = 0) -> int:
        return len(alerts.judge(ended(State.FAILED, hours_ago, error=error)))

    assert [fails("The disk is full."), fails("The disk is full.")] == [1, 0]
    assert fails("The key is wrong.") == 1
    assert fails("The disk is full.", hours_ago=48) == 1
    died = "The process ended at step {} without a word."
    assert [fails(died.format(step)) for step in ("read", "marts")] == [1, 0]  # wherever it died


def test_what_a_surprise_said_stays_on_the_runs_page():
    """Its text may hold a customer's data."""
    [event] = alerts.judge(ended(State.FAILED, error="KeyError: 'Dana Haddad, +971 50 000 0001'"))
    said = event.headline + event.detail + json.dumps([d.content for d in Delivery.objects.all()])
    assert "Haddad" not in said and "KeyError" in said


def test_a_refresh_whose_process_was_killed_is_told(first_refresh, data_dir):
    """Nobody is left to say it: whoever tidies up marks it failed, and what follows is owed. (What nobody stands by for
    is repeated first, and told when that doesn't help: test_kill.py.)"""
    first_refresh()
    RefreshRun.objects.update(followed_up=True)
    died = {"state": State.RUNNING, "step": "marts", "finished_at": None}
    dead = ended(hours_ago=0.5, trigger="command", **died)
    refresh.prune()
    dead.refresh_from_db()
    assert dead.state == State.FAILED and dead in aftermath.owed()
    [event] = alerts.judge(dead)
    assert event.rule.kind == Kind.REFRESH_FAILED
    assert "The process ended at step marts" in json.dumps(Delivery.objects.get().content)


# --- A build that is held --------------------------------------------------------------------------------------------


MOVED = [
    {"month": "2026-02", "label": "Feb 2026", "store": "", "metric": "revenue", "before": 415.25, "after": 425.25,
     "over": True},
    {"month": "2026-02", "label": "Feb 2026", "store": "Moon Walk", "metric": "revenue", "before": 385.25,
     "after": 395.25, "over": True, "share": 2.4},
    {"month": "2026-02", "label": "Feb 2026", "store": "", "metric": "stops", "before": 2, "after": 3, "over": False},
]  # fmt: skip


def test_a_held_build_is_told_once_a_set_of_exports():
    same = {"manifest": {"base": "of these exports"}, "moved": MOVED}
    [event] = alerts.judge(ended(State.HELD, **same))
    assert event.headline == "A refresh waits for you: the revenue of Feb 2026 moved"
    assert alerts.judge(ended(State.HELD, **same)) == []  # the next morning, the same exports again
    lines = Delivery.objects.get().content["lines"]
    assert lines[:2] == [
        ["Feb 2026, Revenue", "Dhs 415.25 live now, Dhs 425.25 in this build"],
        ["Feb 2026, Revenue, Moon Walk", "Dhs 385.25 live now, Dhs 395.25 in this build"],
    ]
    assert len(alerts.judge(ended(State.HELD, manifest={"base": "of newer ones"}, moved=MOVED))) == 1


def test_a_build_that_cannot_be_compared_is_told_as_that():
    [event] = alerts.judge(ended(State.HELD, manifest={"base": "x", "warnings": ["Another."]}))
    assert event.headline == "A refresh waits for you: closed months could not be compared"
    assert event.detail.startswith("The live build was made by an earlier version of Moonwalk and can't be compared")
    assert "revenue" not in event.detail


def test_who_sees_no_figures_is_not_told_of_a_held_build(people):
    built_in(Kind.CLOSED_MONTH).people.set([people["dana"], people["farid"], people["hala"]])
    alerts.judge(ended(State.HELD, manifest={"base": "x"}, moved=MOVED))
    assert told() == {"Alert: A closed month's revenue moved": {"farid"}}


# --- Rows set aside --------------------------------------------------------------------------------------------------


def files(orders: int, aside: int) -> dict:
    return {"files": {
        "orders": {"file": "CC-Orders.csv", "read": orders, "quarantined": {"order_id": aside}},
        "items": {"file": "CC-Items.csv", "read": 10000, "quarantined": {"quantity": 1}},
    }}  # fmt: skip


@pytest.mark.parametrize(("aside", "events"), [(5, 0), (6, 1)])
def test_rows_set_aside_are_told_over_half_a_percent_of_a_file(first_refresh, aside, events):
    """5 of 1,000 are 0.5 %, which is the limit."""
    build = first_refresh().build_id
    run = ended(State.PUBLISHED, build_id=build, manifest=files(1000, aside))
    found = alerts.judge(run)
    assert len(found) == events
    if found:
        assert found[0].headline == "Set aside: 6 of 1,000 rows of CC-Orders.csv"
        assert ["CC-Orders.csv", "6 of 1,000 rows (0.60 %): order id 6"] in Delivery.objects.get().content["lines"]


def test_the_same_rows_are_told_once_a_month_and_more_of_them_again(first_refresh):
    build = first_refresh().build_id

    def judged(aside: int, as_of: str) -> int:
        run = ended(State.PUBLISHED, build_id=build, manifest=files(1000, aside), as_of=as_of)
        run.refresh_from_db()
        return len(alerts.judge(run))

    assert [judged(6, "2026-03-05"), judged(6, "2026-03-06"), judged(7, "2026-03-07")] == [1, 0, 1]
    assert judged(6, "2026-04-01") == 1


# --- Late ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "events"), [(25.9, 0), (26.1, 1)])
def test_figures_are_late_after_26_hours(hours, events):
    ended(State.PUBLISHED, hours)
    said = alerts.check_freshness(timezone.now())
    assert AlertEvent.objects.count() == events
    assert said == ("Late: refreshed 26 hours ago. Told." if events else "Refreshed 25 hours ago.")


def test_what_counts_as_refreshed():
    """Nothing new does; a held, failed or dry run, a payment's rebuild and a return to an earlier build don't."""
    assert alerts.check_freshness() == "Nothing was ever refreshed."
    late = ended(State.PUBLISHED, 30)
    ended(State.HELD, 1)
    ended(State.FAILED, 2)
    for hours, more in enumerate([{"dry_run": True}, {"trigger": "payments"}, {"trigger": "rollback"}], start=3):
        ended(State.PUBLISHED, hours, **more)
    assert alerts.last_refreshed() == late
    assert alerts.check_freshness().startswith("Late")
    content = Delivery.objects.get().content
    assert content["subject"] == "The figures are late: last refreshed 30 hours ago"
    ended(State.NOTHING_NEW)
    assert alerts.check_freshness() == "Refreshed less than an hour ago."


def test_late_figures_are_told_once_a_day_by_the_limit_a_person_set(monkeypatch):
    rule = built_in(Kind.REFRESH_LATE, limit=3)
    ended(State.PUBLISHED, 4)
    assert alerts.check_freshness() == "Late: refreshed 4 hours ago. Told."
    assert alerts.check_freshness() == "Late: refreshed 4 hours ago. Told before today."
    tomorrow = timezone.now() + timedelta(days=1)
    monkeypatch.setattr("django.utils.timezone.now", lambda: tomorrow)
    assert alerts.check_freshness() == "Late: refreshed 28 hours ago. Told."
    assert rule.events.count() == 2
    built_in(Kind.REFRESH_LATE, paused=True)
    assert alerts.check_freshness() == "The rule is paused."


def test_a_refresh_that_is_under_way_is_waited_for():
    ended(State.PUBLISHED, 30)
    at = timezone.now()
    run = RefreshRun.objects.create(trigger="schedule", state=State.RUNNING, started_at=at, heartbeat_at=at)
    assert alerts.check_freshness() == "Refreshed 30 hours ago; a refresh is under way."
    RefreshRun.objects.filter(pk=run.pk).update(started_at=at - timedelta(hours=2))
    assert alerts.check_freshness().startswith("Late")


def test_a_build_that_does_not_go_live_is_told_once_a_day():
    """A full disk: the run has not ended, so nothing follows it."""
    at = timezone.now() - timedelta(minutes=9)
    run = RefreshRun.objects.create(
        trigger="schedule", state=State.PUBLISHING, started_at=at, heartbeat_at=at, error="No space left on device."
    )
    assert alerts.check_freshness() == "Nothing was ever refreshed."
    RefreshRun.objects.update(started_at=at - timedelta(minutes=2))
    assert alerts.check_freshness().startswith(f"Refresh {run.pk} can't be published. Told. ")
    assert alerts.check_freshness().startswith(f"Refresh {run.pk} can't be published. Told before today. ")
    assert AlertEvent.objects.get().rule.kind == Kind.REFRESH_FAILED
    assert "No space left on device." in json.dumps(Delivery.objects.get().content)


# --- The house's own rules -------------------------------------------------------------------------------------------


def test_they_are_made_once_and_stay_as_a_person_left_them():
    assert dict(AlertRule.objects.values_list("kind", "limit")) == {
        "refresh_failed": None, "refresh_late": 26, "quarantine": Decimal("0.5"), "closed_month": 1,
    }  # fmt: skip
    AlertRule.objects.filter(kind=Kind.QUARANTINE).update(limit=2, paused=True, name="Bad rows")
    AlertRule.objects.filter(kind=Kind.REFRESH_LATE).delete()  # by hand in the database: it comes back
    alerts.make_rules(sender=apps.get_app_config("operations"))
    assert AlertRule.objects.count() == 4
    changed = AlertRule.objects.get(kind=Kind.QUARANTINE)
    assert (changed.limit, changed.paused, changed.name) == (2, True, "Bad rows")


def test_they_can_neither_be_deleted_nor_made_others(people):
    late = AlertRule.objects.get(kind=Kind.REFRESH_LATE)
    with pytest.raises(Refused, match="came with the house"):
        alerts.rule_delete(late, user=people["root"])
    late.kind, late.metric = Kind.METRIC, "revenue"
    with pytest.raises(Refused, match="stays about what it is about"):
        alerts.rule_save(late, user=people["root"])
    late.refresh_from_db()
    late.limit = Decimal(30)
    alerts.rule_save(late, user=people["layla"])
    assert AlertRule.objects.get(kind=Kind.REFRESH_LATE).limit == 30


@pytest.mark.parametrize("name", ["hala", "omar", "farid", "dana", "noor"])
def test_rules_are_managements_to_write(people, name):
    with pytest.raises(PermissionDenied):
        alerts.rule_save(AlertRule(name="Mine", metric="revenue", limit=1), user=people[name])


def test_a_rule_is_of_a_figure_that_its_writer_sees(people):
    """omar is of Operations, which doesn't open Financial Performance; here he may write rules."""
    people["omar"].user_permissions.set(Permission.objects.filter(codename="add_alertrule"))
    alerts.rule_save(AlertRule(name="Busy", metric="revenue", limit=1), user=people["omar"])
    with pytest.raises(Refused, match="doesn't show this figure"):
        alerts.rule_save(AlertRule(name="Owed", metric="collections", limit=1), user=people["omar"])


def test_what_pages_show_is_the_live_build_after_going_back_too(golden_data, people):
    """The last refresh that went well isn't what is live once somebody went back behind it."""
    ended(State.PUBLISHED, build_id="20300101-000000-aaaaaa")
    [event] = alerts.judge(ended(State.REFUSED, error="A file is cut off."))
    made = datetime.fromisoformat(queries.current().manifest["created"])
    assert f"Pages show: data to 4 Mar 2026, refreshed {moment(made)}" in event.detail


# --- Two at once -----------------------------------------------------------------------------------------------------

JUDGE = """
import pathlib, time
from operations import alerts
from operations.models import RefreshRun
gate = pathlib.Path({gate!r})
while not gate.exists():
    time.sleep(0.01)
print("made", len(alerts.judge(RefreshRun.objects.get())))
"""


@pytest.mark.full
@pytest.mark.own_database
def test_of_three_who_judge_at_once_one_tells(tmp_path):
    house = House(tmp_path / "house")
    exports.write(house.root / "exports")
    assert house.run("manage.py", "migrate", "--verbosity", "0").returncode == 0
    assert house.refresh().returncode == 0
    made = "from analytics.models import AlertRule; AlertRule.objects.create(name='x', metric='revenue', limit=1, "
    house.run("manage.py", "shell", "-c", made + "condition='above')")
    gate = tmp_path / "gate"
    children = [house.start("manage.py", "shell", "-c", JUDGE.format(gate=str(gate))) for _ in range(3)]
    gate.touch()
    said = sorted(re.findall(r"made \d", child.communicate(timeout=60)[0])[0] for child in children)
    assert said == ["made 0", "made 0", "made 1"]
    assert house.rows("SELECT count(*) FROM analytics_alertevent") == [(1,)]
