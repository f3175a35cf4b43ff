"""Executive Pulse in a real Chromium: what its controls, charts and keys do. How every tab looks: test_tabs.py."""

import re

import pytest
from playwright.sync_api import expect

from analytics import queries
from analytics.dashboards.executive import EXECUTIVE
from analytics.formats import with_unit
from tests.browser.axe import serious
from tests.browser.conftest import WIDTHS

pytestmark = pytest.mark.browser

CHARTS = {tab.slug: len(tab.charts) for tab in EXECUTIVE.tabs}
METRICS = ("customers", "items", "revenue", "stops")


def shown(page) -> dict[str, str]:
    """What the cards say: metric -> "Dhs 25,580"."""
    return {m: " ".join(page.locator(f"[data-metric={m}] .val").inner_text().split()) for m in METRICS}


def asked(period: str, grain: str = "month", store: str | None = None) -> dict[str, str]:
    """What the metrics say of the same."""
    from analytics.metrics import METRICS as KNOWN

    snapshot = queries.current()
    row = snapshot.query(
        list(METRICS), grain, since=period, until=period, filters=queries.Filters(store=store), include_open=True
    ).to_dicts()[0]
    return {m: with_unit(row[m], KNOWN[m].unit, "Dhs") for m in METRICS}


def test_choosing_another_period_and_store_changes_the_numbers(visit):
    page = visit().open()
    assert shown(page) == asked("2026-02")
    with page.expect_navigation():
        page.get_by_label("Period").select_option("2025-11")
    assert shown(page) == asked("2025-11") != asked("2026-02")
    with page.expect_navigation():
        page.get_by_label("Store").select_option("hielo")
    assert shown(page) == asked("2025-11", store="Hielo")
    assert page.url.endswith("/executive/?tab=snapshot&grain=month&period=2025-11&store=hielo")
    with page.expect_navigation():
        page.get_by_role("link", name="Week", exact=True).click()
    assert shown(page) == asked("2025-W48", "week", "Hielo")


def test_back_and_reload_keep_what_the_address_says(visit):
    visitor = visit()
    page = visitor.open("?tab=trends&period=2025-11")
    with page.expect_navigation():
        page.get_by_label("Period").select_option("2025-10")
    visitor.painted()
    page.go_back()
    visitor.painted()
    assert "period=2025-11" in page.url
    assert page.get_by_label("Period").input_value() == "2025-11"
    assert "November 2025" in page.locator(".sub").inner_text()
    page.reload()
    visitor.painted()
    assert page.get_by_label("Period").input_value() == "2025-11"
    assert page.locator(".xtick text").filter(has_text="Nov").count() == CHARTS["trends"]


def test_a_click_on_a_bar_opens_its_period(visit):
    page = visit().open("?tab=trends&period=2026-02")
    plot = page.locator("#chart-revenue-bars .nsewdrag").first.bounding_box()
    with page.expect_navigation():  # the second of six bars: October
        page.mouse.click(plot["x"] + plot["width"] * 1.55 / 6.1, plot["y"] + plot["height"] * 0.2)
    assert "tab=trends" in page.url and "period=2025-10" in page.url


def test_hover_says_period_value_unit_and_change(visit):
    page = visit().open("?tab=trends&period=2026-02")
    plot = page.locator("#chart-revenue-bars .nsewdrag").first.bounding_box()
    page.mouse.move(plot["x"] + plot["width"] * 5.5 / 6.1, plot["y"] + plot["height"] * 0.5)
    said = page.locator("#chart-revenue-bars .hovertext")
    said.wait_for()
    text = said.text_content()
    for part in ("February 2026", "Dhs 25,580", "+1.5 % on Jan 2026", "−24.8 % on Feb 2025"):
        assert part in text


def test_the_table_shows_the_charts_numbers(visit):
    page = visit().open("?tab=trends&period=2026-02")
    card = page.locator(".drawn .card", has=page.get_by_role("heading", name="Revenue", exact=True))
    card.get_by_text("Show as table").click()
    assert card.locator("tr.chosen").inner_text().split("\t")[:2] == ["Feb 2026", "Dhs 25,580"]


def test_colours_follow_the_system_while_the_page_is_open(visit):
    visitor = visit()
    page = visitor.open("?tab=trends")

    bar = page.locator("#chart-revenue-bars .barlayer .trace").first.locator(".point path").nth(5)
    expect(bar).to_have_css("fill", "rgb(106, 63, 160)")  # --revenue, light
    page.emulate_media(color_scheme="dark")
    expect(bar).to_have_css("fill", "rgb(195, 163, 242)")  # --revenue, dark
    assert page.locator(".drawn .numbers [data-table]:visible").count() == CHARTS["trends"], "a table was lost"
    assert visitor.complaints == []


def test_nothing_jumps_when_the_charts_come(visit):
    visitor = visit()
    visitor.page.add_init_script(
        "window.shift = 0; new PerformanceObserver((l) => l.getEntries().forEach((e) => { window.shift += e.value }))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    page = visitor.open("?tab=trends")
    assert page.evaluate("window.shift") < 0.02


def test_charts_that_fail_say_so(visit, monkeypatch):
    from analytics.dashboards import dash_app

    visitor = visit()
    page = visitor.open("?tab=trends")
    monkeypatch.setattr(dash_app, "component", lambda chart: 1 / 0)  # the page's own part still works
    page.goto(f"{visitor.base}/executive/?tab=trends&period=2025-12")
    page.get_by_text(dash_app.FAILED).wait_for()
    page.locator("[data-table=revenue-bars] summary").click()
    assert "Dec 2025" in page.locator("[data-table=revenue-bars] tr.chosen").inner_text()


def test_the_keyboard_reaches_every_control_in_order(visit):
    page = visit().open("?tab=snapshot")
    reached = []
    for _ in range(17):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(
            "(e => e.getAttribute('aria-label') || e.innerText)(document.activeElement).split('\\n')[0].trim()"
        ))  # fmt: skip
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", reached[-1]
    assert reached == [
        "Skip to content", "Moonwalk", "Executive Pulse", "Customer Analytics", "Operations Center",
        "Financial Performance", "Who owes", "Upload exports", "Search customers by name, number or order",
        "Account of layla", "Month", "Week", "Period", "Store", "Snapshot", "Trends", "Insights",
    ]  # fmt: skip


def test_arrow_keys_look_through_a_list_and_enter_opens_the_choice(visit):
    page = visit().open("?tab=insights")
    page.get_by_label("Period").focus()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.name") == "period" and "period=" not in page.url
    chosen = page.get_by_label("Period").input_value()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**period={chosen}*")


def test_skip_to_content_and_the_account_menu_work_by_keyboard(visit):
    page = visit().open()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    account = page.locator("details.account")
    account.locator("summary").focus()
    page.keyboard.press("Enter")
    assert account.get_by_role("button", name="Log out").is_visible()
    page.keyboard.press("Escape")
    assert not account.get_by_role("button", name="Log out").is_visible()
    account.locator("summary").click()
    account.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login/")


def test_on_a_phone_what_is_touched_is_44_px_high(visit):
    page = visit(WIDTHS["phone"]).open("?tab=trends")
    small = page.evaluate(
        "[...document.querySelectorAll('.bar a, .bar summary, .controls a, .controls select, .tabs a, .drawn summary')]"
        ".filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML.slice(0, 80))"
    )
    assert small == []


def test_without_scripts_the_numbers_tables_and_controls_work(visit):
    visitor = visit(java_script_enabled=False)
    page = visitor.page
    page.goto(f"{visitor.base}/executive/?tab=trends&period=2026-02")
    table = page.locator("[data-table=revenue-bars]")
    table.locator("summary").click()
    assert "Dhs 25,580" in table.locator("tr.chosen").inner_text()
    page.get_by_label("Period").select_option("2025-11")
    page.get_by_role("button", name="Show").click()
    assert "period=2025-11" in page.url


def test_a_stranger_signs_in_and_lands_where_they_wanted(stranger):
    page, base, password = stranger
    page.goto(f"{base}/executive/?tab=trends")
    page.wait_for_url(re.compile("/login/"))
    serious(page)
    page.get_by_label("User name").fill("layla")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("#charts[data-painted]")
    assert page.url.endswith("/executive/?tab=trends")
