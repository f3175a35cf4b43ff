"""What charts do in the browser once painted: a click, a hand over what can be clicked; and a request that fails."""

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def params(page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def plot(page, chart: str) -> dict:
    """The box of a chart's plotting area."""
    area = page.locator(f"#chart-{chart} .nsewdrag").first
    area.scroll_into_view_if_needed()
    return area.bounding_box()


def at(page, visitor, path: str):
    page.goto(visitor.base + path)
    return visitor.painted()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"status": 500, "body": "no"}, id="an error"),
        pytest.param({"status": 200, "content_type": "text/html", "body": "<h1>Sign in</h1>"}, id="a sign-in page"),
        pytest.param(None, id="no answer"),
    ],
)
def test_a_request_that_fails_says_so_at_once(visit, answer):
    visitor = visit()
    page = visitor.page
    page.route("**/_dash-update-component", lambda r: r.fulfill(**answer) if answer else r.abort())
    page.goto(f"{visitor.base}/executive/?tab=trends&period=2026-02")
    expect(page.locator("#late")).to_be_visible(timeout=6000)  # the clock alone would say so after 12 s
    assert not page.locator("#waiting .plotbox").first.is_visible()
    assert page.locator("[data-table=revenue-bars] summary").is_visible(), "the numbers are still there"


def test_a_hand_shows_over_what_a_click_opens_and_not_over_what_is_open(visit):
    page = visit().open("?tab=trends&period=2026-02")
    box = plot(page, "revenue-bars")
    graph = page.locator("#chart-revenue-bars .js-plotly-plot")
    page.mouse.move(box["x"] + box["width"] * 1.55 / 6.1, box["y"] + box["height"] * 0.2)
    expect(graph.locator(".nsewdrag").first).to_have_css("cursor", "pointer")
    page.mouse.move(box["x"] + box["width"] * 5.55 / 6.1, box["y"] + box["height"] * 0.2)  # the chosen month
    expect(graph.locator(".hovertext")).to_contain_text("February 2026")
    expect(graph.locator(".nsewdrag").first).not_to_have_css("cursor", "pointer")


def test_a_click_on_a_row_filters_the_page_and_keeps_the_tab(visit):
    visitor = visit()
    page = at(visitor.page, visitor, "/operations/?tab=service-mix&period=2026-02")
    first = page.locator(".js-plotly-plot", has=page.locator(".ytick text", has_text="Wash & Press")).first
    chart = first.evaluate("(graph) => graph.closest('.dash-graph').id")
    box = plot(page, chart.removeprefix("chart-"))
    with page.expect_navigation():
        page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + 14)  # right of the bar: the whole row counts
    found = params(page)
    assert (found["tab"], found["period"]) == ("service-mix", "2026-02")
    assert found["service_type"]
    assert page.locator(".chips .chip").count() == 1
    assert visitor.complaints == []


def test_a_click_on_a_part_of_a_stacked_bar_sets_its_period_too(visit):
    visitor = visit()
    page = at(visitor.page, visitor, "/operations/?tab=geography&period=2026-02")
    stacked = "(g) => g.layout.barmode === 'stack' && Object.keys(g.data[0].customdata[0][0]).length > 1"
    graphs = "[...document.querySelectorAll('.js-plotly-plot')]"
    chart = page.evaluate(f"{graphs}.find({stacked}).closest('.dash-graph').id")
    page.locator(f"#{chart}").scroll_into_view_if_needed()
    wanted = page.evaluate(f"document.querySelector('#{chart} .js-plotly-plot').data[0].customdata[1][0]")
    part = page.locator(f"#{chart} .barlayer .trace").first.locator(".point path").nth(1).bounding_box()
    with page.expect_navigation():
        page.mouse.click(part["x"] + part["width"] / 2, part["y"] + part["height"] / 2)
    found = params(page)
    assert {key: found.get(key) for key in wanted} == wanted
    assert found["tab"] == "geography" and found["period"] != "2026-02"
