"""Every tab of every page in a real Chromium: charts painted, nothing wider than its window, no complaint, no axe find.

`make test` sees each tab on a desktop in light and on a phone in dark; `make test-all` sees months and weeks, every
width and scheme. And the clicks that filter a page, by mouse and by keyboard.
"""

import pytest
from playwright.sync_api import expect

from analytics.dashboards import DASHBOARDS
from tests.browser import axe
from tests.browser.axe import findings, serious
from tests.browser.conftest import WIDTHS

pytestmark = pytest.mark.browser

# Of each chart: its name, its box, and for every trace that is to be seen how many of its marks have a size.
MARKS = """() => [...document.querySelectorAll("#charts .js-plotly-plot")].map((graph) => {
  const big = ({ width, height }) => width > 1 || height > 1;
  const layers = { bar: ".barlayer .trace", scatter: ".scatterlayer .trace", heatmap: ".heatmaplayer .hm" };
  const count = {};
  const traces = graph._fullData.map(({ name, type, x, y, z, xaxis, yaxis, orientation }) => {
    const subplot = graph.querySelector(`.subplot.${xaxis || "x"}${yaxis || "y"}`) || graph;
    const key = `${xaxis}${yaxis}${type}`;
    count[key] = (count[key] ?? -1) + 1;
    const group = subplot.querySelectorAll(layers[type])[count[key]];
    const marks = group ? [...group.querySelectorAll(type === "heatmap" ? "image" : "path, text")] : [];
    const values = [...(type === "heatmap" ? z.flat() : orientation === "h" ? x : y)].filter((value) => value).length;
    return { name, type, values, drawn: marks.filter((mark) => big(mark.getBoundingClientRect())).length };
  });
  const { width, height } = graph.getBoundingClientRect();
  return { id: graph.closest("[id^=chart-]").id, width, height, traces: traces.filter(({ name }) => name !== "reach") };
})"""
# What stands out of the window on its right, but for what lies in a box that scrolls.
TOO_WIDE = """() => [...document.querySelectorAll("body *")].filter((e) => {
  const box = e.getBoundingClientRect();
  return box.width > 0 && box.right > innerWidth + 1 && !e.closest(".scroll, .tabs, .pages, .sr, svg, .skip");
}).map((e) => e.outerHTML.slice(0, 120))"""


def check_charts(page, wanted: int) -> None:
    """So many charts, each with marks of a size for every trace that has values."""
    charts = page.evaluate(MARKS)
    assert len(charts) == wanted
    for chart in charts:
        assert chart["traces"], chart["id"]
        assert chart["width"] > 200 and chart["height"] > 100, chart
        for trace in chart["traces"]:
            assert trace["drawn"] > 0 or not trace["values"], (chart["id"], trace)
            if trace["type"] == "bar":
                assert trace["drawn"] >= trace["values"] * 0.8, (chart["id"], trace)  # the least may be a hair
        assert any(trace["values"] for trace in chart["traces"]), (chart["id"], "an empty chart")
    assert page.locator("#waiting:visible, #late:visible, #failure > *").count() == 0


def check(visitor, path: str) -> None:
    """The page at this address is painted, fits its window, complains of nothing and is fit for all."""
    visitor.complaints.clear()
    page = visitor.open(path)
    check_charts(page, page.locator("#waiting .plotbox").count())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    assert page.evaluate(TOO_WIDE) == []
    page.evaluate("document.querySelectorAll('#charts details, .chg details').forEach((one) => { one.open = true; })")
    serious(page)
    assert visitor.complaints == []


@pytest.mark.parametrize(("width", "scheme"), [(WIDTHS["desktop"], "light"), (WIDTHS["phone"], "dark")], ids=WIDTHS)
@pytest.mark.parametrize("page", DASHBOARDS)
def test_every_tab_is_painted_and_fits(visit, page, width, scheme):
    visitor = visit(width, scheme)
    for tab in DASHBOARDS[page].tabs:
        check(visitor, f"/{page}/?tab={tab.slug}&period=2026-02")
        assert visitor.page.locator(".tabs [aria-current]").inner_text() == tab.label


@pytest.mark.parametrize(("width", "scheme"), [(WIDTHS["desktop"], "dark"), (WIDTHS["phone"], "light")], ids=WIDTHS)
def test_the_first_page_fits(visit, width, scheme):
    visitor = visit(width, scheme)
    check(visitor, "/")
    visitor.page.locator(".door").first.click()
    assert visitor.page.url.endswith("/executive/")


def test_what_axe_finds_is_heard(rooms, monkeypatch):
    page = rooms.context().new_page()
    rows = "<tr><td><button></button></td></tr>" * 20
    page.set_content(f"<html lang=en><title>T</title><main><h1>T</h1><img src='data:,'><table>{rows}</table></main>")
    for every_row, buttons in ((True, 20), (False, 12)):
        monkeypatch.setattr(axe, "every_row", every_row)
        found = {rule: len(nodes) for rule, nodes in findings(page, impact=("critical",))}
        assert found == {"image-alt": 1, "button-name": buttons}
    assert findings(page, within="h1") == []


EVERY = [(page, tab) for page, dashboard in DASHBOARDS.items() for tab in dashboard.tabs]


@pytest.mark.full
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize(("page", "tab"), EVERY, ids=lambda of: getattr(of, "slug", of))
def test_every_tab_in_every_grain_width_and_scheme(visit, page, tab, width, scheme):
    visitor = visit(width, scheme)
    for grain, period in (("month", "2026-02"), ("week", "2026-W09"), ("month", "2026-03")):
        if grain == "month" or not tab.monthly:
            check(visitor, f"/{page}/?tab={tab.slug}&grain={grain}&period={period}")


@pytest.mark.full
@pytest.mark.parametrize("width", [320, 768, 1920])
@pytest.mark.parametrize("page", DASHBOARDS)
def test_every_tab_fits_windows_between_and_beyond(visit, page, width):
    visitor = visit(width)
    for tab in DASHBOARDS[page].tabs:
        check(visitor, f"/{page}/?tab={tab.slug}&period=2025-11&store=hielo")


# --- A click filters the page --------------------------------------------------------------------------------------

# (chart, which of its bars): the address, what the bar sets, what the chip says
CLICKS = {
    ("stops-area-shares", -1): ("/operations/?tab=geography&period=2026-02", "area", "Area: "),
    ("items-item_category-ranked", -1): ("/operations/?tab=service-mix", "item_category", "Category: "),
    ("item_revenue-service_type-ranked", 0): ("/operations/?tab=service-mix", "service_type", "Service: "),
    ("segments-chart", 0): ("/customers/?tab=segmentation&period=2026-02", "segment", "Segment: "),
    ("segments-chart", -1): ("/customers/?tab=segmentation&period=2026-02", "segment", "Segment: "),  # on the right
    ("value-by-segment", 0): ("/customers/?tab=lifetime", "segment", "Segment: "),
    ("revenue-store-stacked", -1): ("/executive/?tab=trends&period=2026-02", "store", "Store: "),
}  # fmt: skip
# The middle of each bar of the first series (of the rows: of each panel) that is to be seen.
BARS = """(id) => [...document.querySelectorAll(`#${CSS.escape(id)} .barlayer .trace:first-child .point path`)]
  .map((bar) => bar.getBoundingClientRect()).filter(({ width, height }) => width > 4 && height > 4)
  .map(({ x, y, width, height }) => [x + width / 2, y + height / 2])"""


# Each is like one of the others.
ALIKE = {("item_revenue-service_type-ranked", 0), ("segments-chart", 0), ("value-by-segment", 0)}


@pytest.mark.parametrize(
    ("chart", "bar"), [pytest.param(*click, marks=pytest.mark.full if click in ALIKE else ()) for click in CLICKS]
)
def test_a_click_filters_the_page_and_its_chip_takes_it_away(visit, chart, bar):
    address, parameter, said = CLICKS[chart, bar]
    visitor = visit()
    page = visitor.open(address)
    cards = page.locator(".kpi .val").all_inner_texts()
    page.locator(f"[id='chart-{chart}']").scroll_into_view_if_needed()
    with page.expect_navigation():
        page.mouse.click(*page.evaluate(BARS, f"chart-{chart}")[bar])
    visitor.painted()
    assert f"{parameter}=" in page.url
    chip = page.locator(".chips .chip")
    assert chip.count() == 1 and chip.inner_text().startswith(said)
    if cards and chart != "value-by-segment":  # the lifetime cards are of everybody
        assert page.locator(".kpi .val").all_inner_texts() != cards
    with page.expect_navigation():
        chip.click()
    visitor.painted()
    assert f"{parameter}=" not in page.url and page.locator(".chips").count() == 0
    assert page.locator(".kpi .val").all_inner_texts() == cards
    assert visitor.complaints == []


def test_a_chip_is_taken_away_by_keyboard(visit):
    visitor = visit()
    page = visitor.open("/operations/?tab=service-mix&period=2026-02&area=outer-abu-dhabi&service_type=dry-cleaning")
    chips = page.locator(".chips .chip")
    expect(chips).to_have_count(2)
    chips.first.focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    visitor.painted()
    expect(chips).to_have_count(1)
    assert "area=" not in page.url and "service_type=dry-cleaning" in page.url


def test_another_period_keeps_the_filters_and_another_tab_says_which_do_not_apply(visit):
    visitor = visit()
    page = visitor.open("/operations/?tab=service-mix&period=2026-02&area=other&item_category=extras&store=hielo")
    with page.expect_navigation():
        page.get_by_label("Period").select_option("2025-11")
    for part in ("period=2025-11", "area=other", "item_category=extras", "store=hielo"):
        assert part in page.url
    with page.expect_navigation():
        page.get_by_role("link", name="Logistics").click()
    chips = page.locator(".chips .chip")
    said = ["Store: Hielo", "Area: Other", "Category: Extras does not apply here"]
    assert [chip.split("\n")[0] for chip in chips.all_inner_texts()] == said
    with page.expect_navigation():
        page.get_by_role("link", name="Service mix").click()
    assert "item_category=extras" in page.url and page.locator(".chip.idle").count() == 0
    with page.expect_navigation():
        page.get_by_role("link", name="Geography").click()
    visitor.painted()
    serious(page)
    page.locator(".chip.idle").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(chips).to_have_count(2)
    assert "item_category" not in page.url and "area=other" in page.url


def test_the_call_list_is_narrowed_by_its_own_controls(visit):
    visitor = visit(WIDTHS["phone"])
    page = visitor.open("/customers/?tab=lifetime")
    rows = page.locator("#call-list tbody tr")
    before = rows.count()
    with page.expect_navigation():
        page.get_by_label("Segment").select_option(label="At Risk")
    visitor.painted()
    assert "segment=at-risk" in page.url and 0 < rows.count() < before
    page.locator(".chips .chip").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert rows.count() == before
