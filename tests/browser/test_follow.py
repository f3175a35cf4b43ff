"""From a card down to the order and its customer, in a real Chromium."""

import pytest
from playwright.sync_api import expect

from tests.browser.axe import serious

pytestmark = pytest.mark.browser
ADDRESSES = {
    "number": "/follow/executive/revenue/?period=2026-02",
    "formula": "/follow/customers/m1_customer_retention/?period=2026-02",
    "orders": "/follow/executive/stops/?period=2026-02&show=rows&area=inside-abu-dhabi",
    "items": "/follow/operations/express_items/?period=2026-02&show=rows",
    "customer": "/customer/CC-0534/",
    "definitions": "/definitions/#revenue",
    "guides": "/guide/",
}


def said(locator) -> str:
    return " ".join(locator.inner_text().split())


@pytest.mark.parametrize("width", [1440, pytest.param(390, marks=pytest.mark.full)])
def test_a_card_leads_to_its_split_customers_orders_and_customer(visit, width):
    visitor = visit(width)
    page = visitor.open("?tab=snapshot&period=2026-02&store=hielo")
    card = page.locator("[data-metric=revenue]")
    value = said(card.locator(".val"))
    card.get_by_role("link", name="Revenue", exact=True).click()
    page.wait_for_url("**/follow/executive/revenue/**")
    assert said(page.locator(".val")) == value  # the same number, with its store and period
    page.get_by_label("Split by").get_by_role("link", name="Area").click()
    page.locator("#split tbody th a", has_text="Inside Abu Dhabi").click()
    expect(page.locator(".chip", has_text="Area: Inside Abu Dhabi")).to_be_visible()
    narrowed = said(page.locator(".val"))
    assert narrowed != value
    assert f"together {narrowed}." in said(page.locator("#behind .note").first)
    first = page.locator("#behind tbody tr").first
    customer, amount = first.locator("th").inner_text(), said(first.locator("td").last)
    first.locator("a").click()
    expect(page.locator(".chip", has_text=f"Customer: {customer}")).to_be_visible()
    assert f"together {amount}." in said(page.locator("#behind .note").first)
    order = page.locator("#behind tbody th a").first.inner_text()
    page.locator("#behind tbody th a").first.click()
    page.wait_for_url(f"**/customer/{customer}/**")
    row = page.locator(f"tr[id='{order}']")
    expect(row).to_be_in_viewport()
    assert "chosen" in row.get_attribute("class")
    page.go_back()
    page.locator(".chip", has_text="Customer:").click()
    expect(page.locator(".chip", has_text="Customer:")).to_have_count(0)
    assert "area=inside-abu-dhabi" in page.url and "store=hielo" in page.url
    assert visitor.complaints == []


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1440, "light"),
        (390, "dark"),
        pytest.param(1440, "dark", marks=pytest.mark.full),
        pytest.param(390, "light", marks=pytest.mark.full),
    ],
)
def test_every_page_behind_a_number_fits_and_is_fit_for_all(visit, width, scheme):
    visitor = visit(width, scheme)
    for name, address in ADDRESSES.items():
        visitor.page.goto(f"{visitor.base}{address}")
        assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
        serious(visitor.page)
    assert visitor.complaints == []


def test_a_period_chosen_stays_behind_the_number(visit):
    visitor = visit()
    page = visitor.page
    page.goto(f"{visitor.base}/follow/executive/items/?period=2026-02&by=service_type&show=rows")
    with page.expect_navigation():
        page.get_by_label("Period").select_option("2025-12")
    assert "by=service_type" in page.url and "show=rows" in page.url and "period=2025-12" in page.url
    expect(page.locator(".sub")).to_contain_text("December 2025")


def test_the_list_is_sorted_and_found_in_by_keyboard(visit):
    visitor = visit()
    page = visitor.page
    page.goto(f"{visitor.base}/follow/executive/revenue/?period=2026-02&show=rows")
    page.locator("#behind thead").get_by_role("link", name="Amount").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**sort=-total**")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Amount")
    page.get_by_label("Find").fill("S-")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=S-**")
    assert all(text.startswith("S-") for text in page.locator("#behind tbody th").all_inner_texts())
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("#behind .paging")).to_contain_text("1 to 50 of")


def test_items_open_beneath_their_order_by_keyboard(visit):
    visitor = visit()
    page = visitor.page
    page.goto(f"{visitor.base}/customer/CC-0534/")
    lines = page.locator("#history details").first
    lines.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#history tr.lines li").first).to_be_visible()
    bars = page.locator("#months .col b")
    assert max((b.bounding_box() or {"height": 0})["height"] for b in bars.all()) > 60, "no bar has a height"
    page.locator("#months summary").click()
    assert page.locator("#months tbody tr").count() >= bars.count()


def test_a_definition_is_one_click_from_the_card(visit):
    visitor = visit()
    page = visitor.open("?tab=snapshot")
    page.locator("[data-metric=stops] .what").click()
    page.wait_for_url("**/definitions/#stops")
    expect(page.locator("#stops")).to_be_in_viewport()
    page.locator("#stops").get_by_role("link", name="Pickups").click()
    expect(page.locator("#pickups")).to_be_in_viewport()
