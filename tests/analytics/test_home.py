"""Everybody's first page: the way to their pages, and what needs attention today."""

import json
import re
from datetime import datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from analytics import access, queries
from analytics.templatetags import moonwalk
from operations.models import Customer, FollowUp
from tests.analytics import reading
from tests.conftest import CAST
from tests.operations import books

pytestmark = pytest.mark.django_db
DESK, ORDERS, UPLOAD = "/operations/receivables/", "/admin/operations/order/", "/operations/upload/"
DOORS = {
    "root": ["/executive/", "/customers/", "/operations/", "/finance/", DESK, ORDERS, UPLOAD],
    "layla": ["/executive/", "/customers/", "/operations/", "/finance/", DESK, UPLOAD],
    "hala": ["/executive/", "/customers/", "/operations/", "/finance/", DESK],
    "omar": ["/executive/", "/customers/"],
    "sara": ["/executive/", "/operations/"],
    "farid": ["/executive/", "/finance/", DESK, ORDERS, UPLOAD],
    "dana": [DESK, ORDERS],
}


@pytest.fixture
def home(as_, golden_data, monkeypatch):
    """home("omar") is the page for Omar, on the day after the exports or as many days later as `age` says."""

    def get(name: str, age: int = 1) -> str:
        now = datetime(2026, 3, 5 + age, 9, tzinfo=ZoneInfo("Asia/Dubai"))
        monkeypatch.setattr(moonwalk.timezone, "now", lambda: now)
        response = as_(name).get("/")
        assert response.status_code == 200
        return response.content.decode()

    return get


def attention(html: str) -> list[tuple[str, str]]:
    """(words, address or "") of each thing that needs attention."""
    part = html.split("<h2>Needs attention</h2>")[1].split("</section>")[0]
    rows = re.findall(r"<li.*?</li>", part, re.S)
    return [
        (reading.words(row), unescape(found[1]) if (found := re.search(r'href="([^"]+)"', row)) else "")
        for row in rows
    ]  # fmt: skip


def test_every_role_is_looked_at():
    assert set(DOORS) | {"noor"} == {"root", *CAST}


@pytest.mark.parametrize("name", DOORS)
def test_it_leads_each_to_their_pages(home, name):
    html = home(name)
    doors = re.search(r'<section aria-label="Pages".*?</section>', html, re.S)[0]
    assert re.findall(r'<a class="card door" href="([^"]+)"', doors) == DOORS[name]
    assert doors.count("<b>") == len([s for s in re.findall(r"<span>([^<]*)</span>", doors) if s])


def test_a_person_without_a_role_is_told_whom_to_ask(home):
    html = home("noor")
    assert "Needs attention" not in html and 'class="card door"' not in html


@pytest.mark.parametrize("name", DOORS)
def test_what_needs_attention_leads_where_the_reader_may_go(home, name, as_):
    rows = attention(home(name))
    insights = [(text, url) for text, url in rows if re.match(r"/(executive|customers|operations|finance)/\?", url)]
    client = as_(name)
    for text, url in insights:
        assert url.split("?")[0] in DOORS[name], text
        response = client.get(url)
        assert response.status_code == 200
        assert reading.messages(response.content.decode()) == [], url


def test_all_that_needs_attention_in_the_last_month_and_week_is_there(home):
    build = queries.current()
    wanted = [
        row["headline"]
        for grain, period in (("month", "2026-02"), ("week", "2026-W09"))
        for row in build.insights(grain)
        if row["period"] == period and row["tone"] == "negative"
    ]
    assert len(wanted) >= 3
    said = [text for text, url in attention(home("layla")) if "▼" in text and "?" in url]
    assert [next(h for h in wanted if h in text) for text in said] == wanted
    assert all(re.search(r"(Feb 2026|Week 9, 2026): ", text) for text in said)


def test_who_is_kept_to_a_store_hears_of_that_store(home):
    mine = {row["headline"] for g in ("month", "week") for row in queries.current(only="Hielo").insights(g)}
    rows = [(text, url) for text, url in attention(home("hala")) if "?" in url]
    assert rows
    for text, url in rows:
        assert any(headline in text for headline in mine)
        assert "store=hielo" in url


@pytest.mark.parametrize(("age", "stale"), [(2, False), (3, True)])
def test_it_tells_of_stale_data(home, age, stale):
    said = " ".join(text for text, _ in attention(home("omar", age)))
    assert ("The data is 3 days old It reaches to 4 Mar 2026." in said) is stale


def test_it_tells_of_rejected_rows_and_leads_who_may_to_them(home, as_):
    where = {name: dict(attention(home(name))) for name in ("layla", "farid", "root")}
    for name, rows in where.items():
        urls = [url for text, url in rows.items() if "4 rows of the last exports are left out" in text]
        assert bool(urls) == (as_(name).get("/admin/operations/refreshrun/").status_code == 200), name
        assert all(urls), name
    assert any("/admin/operations/refreshrun/" in url for url in where["root"].values())


def test_nothing_to_say_is_said(home, monkeypatch):
    monkeypatch.setattr(queries.Snapshot, "insights", lambda *_: [])
    real = queries.Warehouse.manifest

    def clean(self, build_id):
        manifest = json.loads(json.dumps(real(self, build_id), default=str))
        for kind in manifest["files"].values():
            kind["quarantined"] = {}
        return manifest

    monkeypatch.setattr(queries.Warehouse, "manifest", clean)
    html = home("layla")
    assert "Nothing stands out in Feb 2026 and Week 9, 2026, the data is fresh and every row was read." in html
    assert attention(html) == []


@pytest.mark.parametrize(("name", "leads"), [("layla", "/executive/"), ("dana", None)])
def test_before_anything_was_loaded_it_says_where_to_read_how(as_, data_dir, name, leads):
    html = as_(name).get("/").content.decode()
    assert "There is no data yet." in html
    part = html.split("<h2>Needs attention</h2>")[1].split("</section>")[0]
    assert re.findall(r'href="([^"]+)"', part) == ([leads] if leads else [])


def test_data_that_cannot_be_opened_breaks_no_home(as_, golden_data, settings):
    settings.WAREHOUSE_KEY = "the wrong one"
    html = unescape(as_("layla").get("/").content.decode())
    assert re.search(r'role="alert">[^<]*MOONWALK_WAREHOUSE_KEY', html) and 'class="card door"' in html


def test_the_doors_are_the_menu(home):
    for name in DOORS:
        html = home(name)
        menu = re.search(r'<nav class="pages".*?</nav>', html, re.S)[0]
        assert re.findall(r'href="([^"]+)"', menu) == DOORS[name]
    assert all(page.about for page in access.PAGES.values() if page.menu and page.url())


@pytest.fixture
def owed(data_dir):
    """A debtor who broke a promise, one whose next action is due, and a business account with both."""
    today = timezone.localdate()
    for pk, b2b in (("CC-0001", False), ("CC-0002", False), ("CC-0003", True)):
        books.customer(pk, b2b=b2b)
        books.order(f"M-0010{pk[-1]}", pk, "20.00", today - timedelta(days=40), b2b=b2b)
    for pk in ("CC-0001", "CC-0003"):
        FollowUp.objects.create(
            customer_id=pk, promise_amount=20, promise_on=today - timedelta(days=3), promise_balance=20,
        ).promised_orders.set([f"M-0010{pk[-1]}"])  # fmt: skip
    Customer.objects.filter(pk__in=["CC-0002", "CC-0003"]).update(next_action_on=today)


def test_the_desk_hears_what_waits_for_it_and_each_line_leads_to_just_those(owed, as_):
    client = as_("dana")
    part = client.get("/").content.decode().split('id="desk-today"')[1].split("</section>")[0]
    lines = [(unescape(url), words) for url, words in re.findall(r'<a href="([^"]+)">([^<]+)</a>', part)]
    assert lines == [
        (f"{DESK}?promise=broken", "1 promise was broken"), (f"{DESK}?action=due", "1 next action is due"),
        (f"{DESK}?group=business&promise=broken", "1 promise of business accounts was broken"),
        (f"{DESK}?group=business&action=due", "1 next action of business accounts is due"),
    ]  # fmt: skip
    for (url, _), who in zip(lines, ["CC-0001", "CC-0002", "CC-0003", "CC-0003"], strict=True):
        html = client.get(url).content.decode()
        assert re.findall(r'data-open[^>]*>|/customer/(CC-\d+)/"', html) and f"/customer/{who}/" in html
        assert not any(f"/customer/{pk}/" in html for pk in {"CC-0001", "CC-0002", "CC-0003"} - {who})


def test_who_does_not_work_at_the_desk_hears_nothing_of_it_and_nobody_of_nothing(owed, as_):
    assert 'id="desk-today"' not in as_("omar").get("/").content.decode()
    Customer.objects.update(next_action_on=None)
    FollowUp.objects.all().update(promise_on=timezone.localdate() + timedelta(days=1))
    assert 'id="desk-today"' not in as_("dana").get("/").content.decode()
