"""The customer's page and the search in a real Chromium, by keyboard, at a desk and on a phone; as Dana of the desk."""

from decimal import Decimal

import pytest

from analytics import queries
from operations.models import Customer, Order, Payment
from operations.sync import sync
from tests.browser.axe import findings

pytestmark = pytest.mark.browser
LOOKS = [(1440, "light"), (390, "dark")]
WALKS = [LOOKS[0], pytest.param(*LOOKS[1], marks=pytest.mark.full)]


@pytest.fixture
def debtor(visit, as_) -> Customer:
    """The golden exports' customer with the most open orders, in the database with all others; Dana is signed in."""
    sync(queries.current().cursor())
    as_("dana")
    owed: dict[str, int] = {}
    for customer in Order.objects.outstanding().filter(b2b=False).values_list("customer", flat=True):
        owed[customer] = owed.get(customer, 0) + 1
    return Customer.objects.get(pk=max(owed, key=owed.get))


def open_orders(customer: Customer) -> list[Order]:
    return list(Order.objects.outstanding().filter(customer=customer).order_by("placed", "pk"))


@pytest.mark.parametrize(("width", "scheme"), WALKS)
def test_a_ticked_order_is_paid_by_keyboard_and_undone(visit, debtor, width, scheme):
    first, second, *_ = open_orders(debtor)
    visitor = visit(width, scheme)
    page = visitor.open(f"/customer/{debtor.pk}/")
    page.keyboard.press("p")
    page.wait_for_selector("dialog[open] [name=amount]")
    total = sum((order.balance for order in open_orders(debtor)), Decimal())
    assert page.input_value("[name=amount]") == f"{total:.2f}", "none ticked: all of them"
    page.locator("[name=amount]").press("n")
    page.locator("[name=amount]").press("/")
    assert page.input_value("[name=amount]") == "n/", "who types in a field types letters"
    page.keyboard.press("Escape")  # asks first: something was typed
    page.get_by_role("button", name="Discard").click()
    page.wait_for_selector("dialog[open]", state="detached")
    page.locator(f"#pay input[value='{second.pk}']").check()
    page.keyboard.press("p")
    page.wait_for_selector("dialog[open] [name=amount]")
    assert page.input_value("[name=amount]") == f"{second.balance:.2f}"
    page.keyboard.press("Enter")
    page.wait_for_selector(".messages .say")
    assert "Dashboards update shortly." in page.locator(".messages").inner_text()
    assert Payment.objects.get().order_id == second.pk and first.pk in page.locator("#orders").inner_text()
    assert page.locator(f"#orders [id='{second.pk}']").count() == 0
    newest = page.locator("#timeline li").first
    assert f"paid for {second.pk} by Cash" in newest.inner_text() and "by dana" in newest.inner_text()

    newest.get_by_role("link", name="Undo").click()
    page.wait_for_selector("dialog[open] [name=reason]")
    page.fill("[name=reason]", "the wrong order")
    page.locator("dialog[open] form button:not([type=button])").first.click()
    page.wait_for_selector("#timeline li.undone")
    assert page.locator("#timeline li.undone s").inner_text().endswith(f"paid for {second.pk} by Cash")
    assert "the wrong order" in page.locator("#timeline li.undone").inner_text()
    assert page.locator(f"#orders [id='{second.pk}']").count() == 1
    assert visitor.complaints == []


@pytest.mark.parametrize(("width", "scheme"), WALKS)
def test_search_from_any_page_leads_to_the_order_and_n_to_a_note_first_in_the_timeline(visit, debtor, width, scheme):
    order = open_orders(debtor)[-1]
    visitor = visit(width, scheme)
    page = visitor.open("/guide/")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "seek"
    page.keyboard.type(order.pk.lower())
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/customer/{debtor.pk}/?find={order.pk}#{order.pk}")
    row = page.locator(f"#orders tr[id='{order.pk}']")
    header = page.locator("header.top").bounding_box()
    place = row.bounding_box()
    assert place["y"] >= header["y"] + header["height"] - 1, "beneath the header, not behind it"
    assert place["y"] + place["height"] <= page.viewport_size["height"]
    assert row.locator("details").get_attribute("open") is not None
    page.goto(f"{visitor.base}/operations/search/?q={debtor.name[:3]}")
    page.get_by_role("link", name=debtor.name, exact=True).first.click()
    page.wait_for_url(f"**/customer/{debtor.pk}/")

    page.keyboard.press("n")
    page.wait_for_selector("dialog[open] [name=note]")
    page.fill("[name=note]", "Comes on Friday; p, n and / are letters here")
    page.locator("dialog[open] form button:not([type=button])").last.click()
    page.wait_for_selector("#timeline li.note")
    assert "Comes on Friday" in page.locator("#timeline li").first.inner_text()
    assert visitor.complaints == []


def test_both_pages_fit_and_say_all_that_a_reader_needs(visit, debtor):
    Customer.objects.filter(pk=debtor.pk).update(own_phone="050 1", over_phone="050 2", phone="050 3")
    for width, scheme in LOOKS:
        visitor = visit(width, scheme)
        for path in (f"/customer/{debtor.pk}/?timeline=all", "/operations/search/?q=a", "/operations/search/?q=zzzzz"):
            page = visitor.open(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            assert findings(page) == [], (path, scheme)
        assert visitor.complaints == []
    page = visitor.open(f"/customer/{debtor.pk}/")
    small = page.evaluate(
        "[...document.querySelectorAll('.seek input, .deeds .button, .tick label, #timeline a.act')]"
        ".map((e) => e.getBoundingClientRect()).filter((r) => r.height && r.height < 43.5).length"
    )
    assert small == 0, "on a phone what is touched is 44 px high"
    assert visitor.complaints == []


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_header_holds_its_lines_with_the_longest_navigation(visit, as_, width, scheme):
    for name in ("layla", "farid", "root"):
        as_(name)
        page = visit(width, scheme).open("/guide/")
        bar = page.locator(".bar").bounding_box()
        assert bar["height"] <= (60 if width > 500 else 112), name
        boxes = [page.locator(place).bounding_box() for place in (".logo", ".seek", ".account")]
        middles = [round(box["y"] + box["height"] / 2) for box in boxes]
        assert max(middles) - min(middles) <= 2, f"{name}: in one line"
        assert all(a["x"] + a["width"] <= b["x"] for a, b in zip(boxes, boxes[1:], strict=False)), name
        if width > 500 and name != "root":
            pages = page.evaluate("(e => [e.scrollWidth, e.clientWidth])(document.querySelector('.pages'))")
            assert pages[0] <= pages[1], f"{name}: all pages of a role are in sight"
