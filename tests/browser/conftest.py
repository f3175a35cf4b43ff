"""A live server over the golden build, and a manager signed in in the system's Chromium."""

import pytest
from playwright.sync_api import Page

from tests.browser.complaints import complaints_of
from tests.conftest import PASSWORD

WIDTHS = {"desktop": 1440, "phone": 390}


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


@pytest.fixture
def visit(chromium, live_server, transactional_db, people, golden_data, client):
    """visit(width=390, scheme="dark") is a Visitor signed in as the manager."""
    client.force_login(people["layla"])
    opened = []

    def start(width: int = 1440, scheme: str = "light", **more) -> Visitor:
        context = chromium.new_context(
            viewport={"width": width, "height": 900 if width > 500 else 844}, color_scheme=scheme, **more
        )
        context.set_default_timeout(15_000)
        cookies = [{"name": k, "value": v.value, "url": live_server.url} for k, v in client.cookies.items()]
        context.add_cookies(cookies)
        opened.append(context)
        return Visitor(context.new_page(), live_server.url)

    yield start
    for context in opened:
        context.close()


@pytest.fixture
def stranger(chromium, live_server, transactional_db, people, golden_data):
    """A browser page without a session, on the live server; and its address."""
    context = chromium.new_context()
    context.set_default_timeout(15_000)
    yield context.new_page(), live_server.url, PASSWORD
    context.close()
