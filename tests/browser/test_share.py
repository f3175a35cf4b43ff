"""A share link in a real Chromium, by itself and in a frame of another site, without a cookie."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from analytics import queries, share
from analytics.dashboards import DASHBOARDS, frame
from tests.browser.axe import serious
from tests.browser.complaints import complaints_of
from tests.conftest import wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def link(live_server, transactional_db, people, golden_data):
    """The address of a new share link of a tab, on the live server."""

    def make(page: str = "executive", **params) -> str:
        state = frame.read_state(DASHBOARDS[page], params, queries.current())
        return live_server.url + share.address(share.make(people["root"], state, "For the board", 7))

    return make


@pytest.fixture
def look(rooms):
    """look(address, width, scheme): a page of a browser without cookies, and what it complained of."""

    def open_(address: str, width: int = 1440, scheme: str = "light", **more):
        page = rooms.context(width, scheme, who="without cookies", **more).new_page()
        complaints = complaints_of(page)
        page.goto(address)
        return page, complaints

    return open_


@pytest.fixture
def other_site():
    """other_site(address): a page of another site, with the address in a frame; `other_site.origin` is its origin.

    Its host is 127.0.0.1, the live server's localhost: other sites to a browser, which gives the frame no cookies.
    """
    framed = {"address": ""}

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            if self.path == "/":
                frame_ = f'<iframe src="{framed["address"]}" width="1200" height="800"></iframe>'
                self.wfile.write(f'<!doctype html><link rel="icon" href="data:,"><h1>Notes</h1>{frame_}'.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def page_with(address: str) -> str:
        framed["address"] = address
        return page_with.origin + "/"

    page_with.origin = f"http://127.0.0.1:{server.server_port}"
    yield page_with
    server.shutdown()
    server.server_close()


def painted(view) -> int:
    """Waits for the charts of a page or frame; how many there are, each with marks in it."""
    view.wait_for_selector("#charts[data-painted]")
    charts = view.locator("#charts .js-plotly-plot").all()
    for chart in charts:
        assert chart.locator(".cartesianlayer .trace path, .heatmaplayer image").count() > 0, "nothing drawn"
    return len(charts)


TABS = [(page, tab.slug) for page, dashboard in DASHBOARDS.items() for tab in dashboard.tabs]


def check(look, link, page: str, tab: str, width: int, scheme: str) -> None:
    view, complaints = look(link(page, tab=tab), width, scheme)
    wanted = view.locator(".plotbox[data-figure]").count()
    if wanted:
        assert painted(view) == wanted
    assert view.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    assert view.context.cookies() == []
    assert complaints == []
    serious(view)


@pytest.mark.parametrize(("tab", "width", "scheme"), [("snapshot", 1440, "light"), ("trends", 390, "dark")])
def test_a_link_is_painted_without_a_complaint(look, link, tab, width, scheme):
    check(look, link, "executive", tab, width, scheme)


@pytest.mark.full
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize(("which", "tab"), TABS)
def test_every_tab_is_painted_at_every_width_and_scheme(look, link, which, tab, width, scheme):
    check(look, link, which, tab, width, scheme)


def test_a_named_site_shows_a_link_in_its_page(look, link, other_site, settings):
    settings.SHARE_ORIGINS = [other_site.origin]
    view, complaints = look(other_site(link(tab="trends")))
    view.wait_for_selector("iframe")
    inside = view.frames[1]
    assert painted(inside) == len(DASHBOARDS["executive"].tab("trends").charts)
    assert inside.locator("h1").inner_text() == "For the board"
    assert view.context.cookies() == []
    assert complaints == []


def test_a_site_that_is_not_named_shows_nothing(look, link, other_site, settings):
    settings.SHARE_ORIGINS = ["https://www.notion.so"]
    view, complaints = look(other_site(link(tab="trends")))

    def refused() -> bool:
        view.title()  # whoever asks it something hears what it complained of meanwhile
        return any("frame-ancestors" in text for text in complaints)

    wait_for(refused)
    assert "Dhs" not in view.frames[1].content()


def test_a_session_does_not_matter_to_a_link(look, link, live_server, client, people):
    address = link(tab="snapshot")
    client.force_login(people["layla"])
    view, complaints = look(address)
    view.context.add_cookies(
        [{"name": k, "value": v.value, "url": live_server.url} for k, v in client.cookies.items()]
    )
    before = view.locator("main").inner_text()
    view.reload()
    assert view.locator("main").inner_text() == before
    assert view.locator("a").count() == 0


def test_the_charts_follow_the_colours_and_the_width(look, link):
    view, complaints = look(link(tab="trends"))
    painted(view)
    ink = "() => getComputedStyle(document.querySelector('.xtick text')).fill"
    light = view.evaluate(ink)
    view.emulate_media(color_scheme="dark")
    view.wait_for_function(f"() => ({ink})() !== '{light}'")
    view.set_viewport_size({"width": 390, "height": 844})
    view.wait_for_function("() => document.querySelector('.main-svg').clientWidth < 390")
    assert view.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert complaints == []


def test_without_scripts_the_numbers_are_in_tables(look, link):
    page, _ = look(link(tab="trends", period="2026-02"), java_script_enabled=False)
    page.locator("summary", has_text="Show as table").first.click()
    assert page.locator("table tr.chosen").first.is_visible()
    assert page.locator(".plotbox:visible").count() == 0
