"""A live server over the golden build, and a manager signed in in the system's Chromium."""

import pytest
from playwright.sync_api import BrowserContext, Error, Page, expect

from tests.browser import axe
from tests.browser.complaints import complaints_of
from tests.conftest import PASSWORD

WIDTHS = {"desktop": 1440, "phone": 390}
PATIENCE = 15_000  # ms: a busy machine is no failure
expect.set_options(timeout=PATIENCE)


def pytest_configure(config):
    """Only `make test`, which leaves the full matrix out, leaves rows of long tables to it."""
    axe.every_row = "not full" not in config.option.markexpr


class Visitor:
    """A signed-in browser page that remembers everything that went wrong in it."""

    def __init__(self, page: Page, base: str):
        self.page, self.base, self.complaints = page, base, complaints_of(page)

    def open(self, path: str = "") -> Page:
        """A page, its charts painted: "/customers/?tab=cohort", or a query of Executive Pulse alone."""
        self.page.goto(self.base + (path if path.startswith("/") else f"/executive/{path}"))
        return self.painted()

    def painted(self) -> Page:
        """Wait for every chart of the page."""
        if self.page.locator("#charts").count():
            self.page.wait_for_selector("#charts[data-painted]")
        return self.page


class Rooms:
    """Sessions of the browser, one for each kind of window, kept for the whole run: in a new one, which has to fetch
    and to compile every script, a page with charts costs three times the processor. A test finds it empty.
    """

    def __init__(self, chromium, base: str):
        self.chromium, self.base = chromium, base
        self.kept: dict[tuple, tuple[BrowserContext, Page]] = {}

    def context(self, width: int = 1440, scheme: str = "light", **more) -> BrowserContext:
        """The session of this kind; `more` goes to Playwright's new_context. `who` tells sessions of a kind apart."""
        key = (width, scheme, *sorted(more.items()))
        if key not in self.kept:
            more.pop("who", None)
            context = self.chromium.new_context(
                viewport={"width": width, "height": 900 if width > 500 else 844},
                color_scheme=scheme,
                reduced_motion="reduce",  # what moves is drawn sixty times a second, by the processor
                **more,
            )
            context.set_default_timeout(PATIENCE)
            self.kept[key] = context, self._stay(context)
        return self.kept[key][0]

    def _stay(self, context: BrowserContext) -> Page:
        """An empty page of the server's, which keeps its process alive."""
        page = context.new_page()
        empty = '<!doctype html><link rel="icon" href="data:,">'
        page.route("**", lambda route: route.fulfill(body=empty, content_type="text/html"))
        page.goto(f"{self.base}/empty")
        page.unroute_all()
        return page

    def clear(self) -> None:
        """Close what a test opened, and forget what it left."""
        for key, (context, stays) in list(self.kept.items()):
            try:
                for page in context.pages:
                    if page != stays:
                        page.close()
                context.unroute_all()
                context.set_offline(False)
                context.clear_cookies()
                stays.evaluate("localStorage.clear()")
            except Error:  # its process is gone: the next test gets another one
                del self.kept[key]
                context.close()


@pytest.fixture(scope="session")
def all_rooms(chromium, live_server):
    found = Rooms(chromium, live_server.url)
    yield found
    for context, _ in found.kept.values():
        context.close()


@pytest.fixture
def rooms(all_rooms, transactional_db, golden_data):
    """Sessions of the browser: rooms.context(390, "dark"). Cleared before the database and the data folder are, which
    pages that ask every second would still look at.
    """
    yield all_rooms
    all_rooms.clear()


@pytest.fixture
def visit(rooms, live_server, people, client):
    """visit(width=390, scheme="dark") is a Visitor signed in as the manager, or as whom `client` is."""
    client.force_login(people["layla"])

    def start(width: int = 1440, scheme: str = "light", **more) -> Visitor:
        context = rooms.context(width, scheme, **more)
        cookies = [{"name": k, "value": v.value, "url": live_server.url} for k, v in client.cookies.items()]
        context.add_cookies(cookies)
        return Visitor(context.new_page(), live_server.url)

    return start


@pytest.fixture
def stranger(rooms, live_server, people):
    """A browser page without a session, on the live server; and its address."""
    return rooms.context(who="stranger").new_page(), live_server.url, PASSWORD
