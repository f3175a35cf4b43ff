"""Executive Pulse as Django's client sees it: the numbers, the URL's state, and what it says when things are amiss."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from django.template.loader import render_to_string

from analytics import queries
from analytics.dashboards import blocks, dash_app
from analytics.dashboards.executive import EXECUTIVE
from analytics.metrics import METRICS
from analytics.tables import Column, Table
from etl.errors import WarehouseError
from tests.analytics import reading
from tests.analytics.test_access import CALL
from tests.conftest import GOLDEN

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())


@pytest.fixture
def page(as_, golden_data):
    """page("?tab=trends") is the text of Executive Pulse for a manager, entities resolved."""
    client = as_("layla")

    def get(query=""):
        response = client.get(f"/executive/{query}")
        assert response.status_code == 200
        return unescape(response.content.decode())

    return get


def cards(text: str) -> dict[str, str]:
    """metric -> all that its card says."""
    return {metric: card.said for metric, card in reading.cards(text).items()}


@pytest.mark.parametrize("month", ["2026-02", "2025-03", "2024-01"])
def test_cards_show_the_golden_values(page, month):
    golden, shown = EXPECTED["months"][month], cards(page(f"?period={month}"))
    assert list(shown) == ["customers", "items", "revenue", "stops"]
    for card in EXECUTIVE.tabs[0].cards:
        for metric in (card.metric, *(part for part, _ in card.parts)):
            text = f"{golden[metric]:,.0f}" if METRICS[metric].unit == "count" or golden[metric] >= 100 else "0"
            assert re.search(rf"(?<![\d,]){re.escape(text)}(?![\d,])", shown[card.metric]), (metric, shown[card.metric])


def test_weeks_show_the_golden_values_too(page):
    shown = cards(page("?grain=week&period=2026-W09"))
    assert shown["revenue"].startswith("Revenue Dhs 8,082")
    assert shown["stops"].startswith("Stops 133")


def test_changes_are_worked_by_hand(page):
    # 25,580.20 on 25,199.97 = +1.51 %; on 34,017.11 = -24.80 %; 451 on 457 = -1.31 %; 451 on 105 = +329.5 %
    shown = cards(page("?period=2026-02"))
    assert "▲ +1.5 % on Jan 2026 better ▼ −24.8 % on Feb 2025 worse" in shown["revenue"]
    assert "▼ −1.3 % on Jan 2026 worse ▲ +330 % on Feb 2025 better" in shown["stops"]


def test_items_are_not_compared_with_a_month_of_the_old_system(page):
    card = cards(page("?period=2026-02"))["items"]
    assert "▼ −6.5 % on Jan 2026 worse" in card
    assert "The old system kept no items, so Feb 2025 gives nothing to compare with." in card


def test_a_change_before_the_data_begins_says_so(page):
    card = cards(page("?period=2024-01"))["customers"]
    assert card.count("The data begins with Jan 2024") == 2


def test_the_open_month_is_marked_and_never_compared(page):
    text = page("?period=2026-03")
    assert "March 2026, so far: not compared with whole months" in text
    for card in cards(text).values():
        assert " so far " in card
        assert card.count("isn't over yet") == 2
        assert "%" not in card


def test_it_begins_with_the_last_closed_month_of_all_stores(page):
    text = page()
    assert "February 2026, compared with Jan 2026 and Feb 2025" in text
    options = re.findall(r'<option value="([^"]+)"( selected)?>([^<]+)', text)
    months = [o for o in options if o[0].startswith("20")]
    assert months[0] == ("2026-03", "", "Mar 2026, so far")
    assert months[1] == ("2026-02", " selected", "Feb 2026")
    assert months[-1][0] == "2024-01" and len(months) == 27
    assert [o for o in options if o not in months] == [
        ("all", " selected", "All stores"), ("moon-walk", "", "Moon Walk"), ("hielo", "", "Hielo")
    ]  # fmt: skip


def test_a_store_has_its_own_numbers_and_the_two_add_up(page):
    def revenue(store):
        return int(re.match(r"Revenue Dhs ([\d,]+)", cards(page(f"?store={store}"))["revenue"])[1].replace(",", ""))

    assert revenue("moon-walk") + revenue("hielo") == pytest.approx(revenue("all"), abs=1)
    assert 0 < revenue("hielo") < revenue("moon-walk")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?period=2031-02", "There is no month “2031-02” in the data, so this is February 2026."),
        ("?grain=week&period=2026-02", "There is no week “2026-02” in the data"),
        ("?store=paris", "There is no store “paris”"),
        ("?tab=<b>", "There is no tab “<b>”"),
        ("?grain=century", "There is no grain “century”"),
    ],
)
def test_what_the_url_says_wrongly_falls_back_with_a_word(page, query, said):
    assert said in page(query)


def test_what_the_url_says_wrongly_is_escaped(as_, golden_data):
    assert b"<script>x" not in as_("layla").get("/executive/?tab=<script>x").content


def test_every_link_of_the_page_keeps_the_rest_of_the_state(page):
    text = page("?tab=trends&grain=month&period=2025-11&store=hielo")
    tabs = re.search(r'<nav class="tabs".*?</nav>', text, re.S)[0]
    assert re.findall(r'href="([^"]+)"', tabs) == [
        f"/executive/?tab={tab}&grain=month&period=2025-11&store=hielo" for tab in ("snapshot", "trends", "insights")
    ]
    grains = re.search(r'<span class="seg".*?</span>', text, re.S)[0]
    assert re.findall(r'href="([^"]+)"', grains)[1] == "/executive/?tab=trends&grain=week&period=2025-W48&store=hielo"


def test_trends_have_a_table_a_chart_without_scripts(page):
    text = page("?tab=trends&period=2026-02")
    titles = re.findall(r"<h2>([^<]+)</h2>", text)
    assert titles == ["Customers", "Items", "Revenue", "Stops", "Revenue per item", "Where revenue is heading",
                      "Revenue by store"]  # fmt: skip
    revenue = reading.tables(text)["revenue-bars"]
    assert revenue[0] == ["Month", "Revenue", "Year before", "On the month before"]
    assert revenue[-1] == ["Feb 2026", "Dhs 25,580", "Dhs 34,017", "+1.5 %"]
    assert len(revenue) == 7
    assert 'aria-label="Revenue from Sep 2025 to Feb 2026. Feb 2026: Dhs 25,580, +1.5 % on the one before."' in text


def test_weeks_show_thirteen(page):
    assert len(reading.tables(page("?tab=trends&grain=week"))["revenue-bars"]) == 14


def paint(client, query):
    """What the dashboard's one callback answers to a page with this query."""
    call = json.loads(CALL)
    call["inputs"][0]["value"] = query
    address = "/dash/app/executive/_dash-update-component"
    response = client.post(address, json.dumps(call), content_type="application/json")
    assert response.status_code == 200
    return response.json()["response"]


def figures(answer) -> dict:
    return {
        part["props"]["children"]["props"]["id"]: part["props"]["children"]["props"]["figure"]
        for card in answer["painted"]["data"]
        for part in card["props"]["children"]
        if part["props"].get("role") == "img"
    }


def test_the_charts_have_the_golden_values(as_, golden_data):
    found = figures(paint(as_("layla"), "?tab=trends&period=2026-02"))
    months = ["2025-09", "2025-10", "2025-11", "2025-12", "2026-01", "2026-02"]
    for metric in ("customers", "items", "revenue", "stops", "revenue_per_item"):
        bars = found[f"chart-{metric}-bars"]["data"][0]["y"]
        assert bars == pytest.approx([EXPECTED["months"][m][metric] for m in months], abs=1e-6)
    last_year = next(t for t in found["chart-revenue-bars"]["data"] if t["name"] == "last year")["y"]
    assert last_year == pytest.approx([EXPECTED["months"][f"{int(m[:4]) - 1}{m[4:]}"]["revenue"] for m in months])


def test_the_moving_average_is_the_mean_of_the_last_three_closed_months(as_, golden_data):
    mean = sum(EXPECTED["months"][m]["revenue"] for m in ("2025-12", "2026-01", "2026-02")) / 3
    for period in ("2026-02", "2026-03"):  # the open month takes no part and is drawn over
        figure = figures(paint(as_("layla"), f"?tab=trends&period={period}"))["chart-revenue-ahead"]
        ahead = next(t for t in figure["data"] if t["name"] == "ahead")
        assert ahead["y"] == pytest.approx([mean] * 4)
        assert len(ahead["x"]) == 4 and ahead["x"][0] == (5 if period == "2026-02" else 4)


def test_last_years_items_have_no_line_where_the_old_system_ran(as_, golden_data):
    figure = figures(paint(as_("layla"), "?tab=trends&period=2026-02"))["chart-items-bars"]
    assert next(t for t in figure["data"] if t["name"] == "last year")["y"] == [None] * 6


def test_ramadan_shades_the_end_of_february_2026(as_, golden_data):
    (shape,) = figures(paint(as_("layla"), "?tab=trends&period=2026-02"))["chart-revenue-bars"]["layout"]["shapes"]
    assert shape["x0"] == pytest.approx(5 - 0.5 + 17 / 28)  # 18 February, the 18th of 28 days
    assert shape["x1"] == 5.5


def test_a_callback_that_fails_says_so_and_is_logged(as_, golden_data, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(blocks, "charts", broken)
    answer = paint(as_("layla"), "?tab=trends")
    assert answer["painted"]["data"] == []
    assert dash_app.FAILED in json.dumps(answer["failure"])
    assert "charts of executive failed" in caplog.text


def test_a_persons_query_is_no_way_into_the_log_or_the_page(as_, golden_data):
    assert len(figures(paint(as_("layla"), "?tab=%3Cscript%3E&period=';DROP"))) == 1


def test_the_app_is_built_once_whoever_asks(as_, golden_data):
    app = dash_app.all_apps()["executive"]
    made = app.as_dash_instance()
    client = as_("layla")
    for _ in range(3):
        paint(client, "?tab=trends")
    assert app.as_dash_instance() is made


def test_the_dashboard_needs_no_script_in_the_page(page):
    text = page("?tab=trends")
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", text, re.S)
    assert [body for attributes, body in scripts if body and "application/json" not in attributes] == []
    assert all("defer" in attributes for attributes, body in scripts if "src=" in attributes)


def test_insights_of_the_last_closed_month_are_grouped_and_toned(page):
    text = page("?tab=insights&period=2026-02")
    assert text.count('<li class="insight">') == 20
    words = re.findall(r'<span class="(?:up|down|level)">([^<]+)</span>', text)
    assert len(words) == 20 and set(words) <= {"good", "needs attention", "good to know"}
    assert "Ramadan, 18 Feb to 19 Mar 2026 (calculated) falls in Feb 2026." in text


def test_a_month_without_insights_says_where_they_are(page):
    text = page("?tab=insights&period=2025-06")
    assert "No insights for June 2025" in text
    assert 'href="/executive/?tab=insights&grain=month&period=2026-02&store=all">Show Feb 2026' in text


def test_snapshot_shows_the_few_that_stand_out(page):
    text = page()
    assert text.count('<li class="insight">') == 3
    assert "All 20 insights" in text


def test_the_footer_tells_what_the_page_stands_on(page):
    text = page()
    build = queries.warehouse().current()
    refreshed = r"refreshed \d+ \w+ \d{4}, \d\d:\d\d"
    assert re.search(rf"Data to 4 Mar 2026 · {refreshed} · build {build} · 4 rows rejected", text)


@pytest.mark.parametrize(("today", "warns"), [("2026-03-07", False), ("2026-03-08", True)])
def test_it_warns_of_data_older_than_two_days(page, monkeypatch, today, warns):
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from analytics.templatetags import moonwalk

    now = datetime.fromisoformat(f"{today}T12:00").replace(tzinfo=ZoneInfo("Asia/Dubai"))
    monkeypatch.setattr(moonwalk.timezone, "now", lambda: now)
    assert ("This data is 3 days old" in page()) == warns


def test_an_empty_warehouse_says_how_to_load_data(as_, data_dir, settings):
    response = as_("layla").get("/executive/")
    assert response.status_code == 200
    assert b"python manage.py refresh_data" in response.content
    assert str(settings.EXPORTS_DIR).encode() in response.content
    assert b"No data yet" in response.content


def test_a_warehouse_that_cannot_be_opened_gives_a_plain_503(as_, golden_data, settings):
    settings.WAREHOUSE_KEY = "the wrong one"
    response = as_("layla").get("/executive/")
    assert response.status_code == 503
    assert b"The data can't be opened" in response.content or b"The data can&#x27;t be opened" in response.content
    assert b"MOONWALK_WAREHOUSE_KEY" in response.content
    answer = paint(as_("layla"), "?tab=trends")
    assert answer["painted"]["data"] == [] and "MOONWALK_WAREHOUSE_KEY" in json.dumps(answer["failure"])


def test_a_broken_manifest_breaks_no_page(page, golden_data, monkeypatch):
    monkeypatch.setattr(queries.Warehouse, "manifest", lambda *_: (_ for _ in ()).throw(WarehouseError("gone")))
    assert "No data yet" in page()


def test_login_explains_a_wrong_password_and_keeps_the_way(client, people):
    response = client.post("/login/?next=/executive/", {"username": "layla", "password": "no", "next": "/executive/"})
    text = response.content.decode()
    assert 'role="alert"' in text and 'name="next" value="/executive/"' in text and 'value="layla"' in text


@pytest.mark.parametrize(
    ("address", "status", "said"), [("/nothing/", 404, "no such page"), ("/executive/", 403, "open this page")]
)
def test_error_pages_are_ours(as_, golden_data, address, status, said):
    response = as_("dana").get(address)
    assert (response.status_code, said in response.content.decode()) == (status, True)


def test_the_page_of_a_fault_needs_nothing(rf):
    from django.views.defaults import server_error

    assert b"Something went wrong" in server_error(rf.get("/")).content


def test_a_changed_business_file_is_read_again_and_a_new_store_waits_for_its_build(page, settings, tmp_path):
    file = tmp_path / "business.toml"
    file.write_text(Path(settings.BUSINESS_FILE).read_text())
    settings.BUSINESS_FILE = file
    assert cards(page("?period=2026-02"))["revenue"].startswith("Revenue Dhs 25,580")
    file.write_text(
        file.read_text().replace('currency = "Dhs"', 'currency = "AED"').replace('name = "Hielo"', 'name = "Uptown"')
    )
    text = page("?period=2026-02&store=uptown")
    assert cards(text)["revenue"].startswith("Revenue AED 25,580")
    assert "Uptown" not in text


def test_a_table_says_words_as_words_in_every_cell():
    """Its cells are no template's work: nothing else escapes them."""
    columns = (Column("a", "A"), Column("b", "B"), Column("c", "C", "money", fold=True), Column("d", "D", long=True))
    row = {"a": "<b>a</b>", "b": "<i>&'\"", "c": 1234, "d": "<script>", "#url": "/?a=1&b=2"}
    html = render_to_string("analytics/cells.html", {"table": Table("t", "T", columns, (row,))})
    assert '<th scope="row"><a href="/?a=1&amp;b=2">&lt;b&gt;a&lt;/b&gt;</a></th>' in html
    assert (
        '<td class="left">&lt;i&gt;&amp;&#x27;&quot;</td><td class="fold">Dhs 1,234</td>'
        '<td class="left long">&lt;script&gt;</td></tr>'
    ) in html
