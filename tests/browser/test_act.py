"""The actions' dialog in a real Chromium: by keyboard, on a phone, and the same without scripts.

Dana Haddad (CC-0001) owes 35.00: M-00104 (15.00, the older) and M-00102 (20.00); Omar Saleh (CC-0002) owes 30.00.
"""

import re
from datetime import date
from decimal import Decimal as D
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from operations.models import Customer, FollowUp, Message, Payment
from tests.browser.axe import findings
from tests.operations import books

pytestmark = pytest.mark.browser
LIST = "/operations/receivables/"


@pytest.fixture
def desk(visit, client, people):
    """desk(path, **more) is a Visitor at the desk, signed in as Dana, on that page."""
    books.write()
    client.force_login(people["dana"])

    def start(path: str = LIST, **more):
        visitor = visit(**more)
        visitor.open(path)
        return visitor

    return start


def pay_link(page):
    return page.locator('a.act[data-row-key="p"][href*="CC-0001"]')


def in_dialog(page):
    page.wait_for_selector("dialog#act[open] .act-part")
    return page.locator("dialog#act")


def focused(page) -> str:
    """What has the keyboard: its name, id or words."""
    return page.evaluate("(({name, id, innerText}) => name || id || innerText)(document.activeElement)")


def test_a_part_payment_and_its_undoing_by_keyboard_alone(desk):
    visitor = desk()
    page = visitor.page
    pay_link(page).focus()
    page.keyboard.press("Enter")
    dialog = in_dialog(page)
    assert page.get_by_role("dialog", name="Mark as paid").count() == 1
    assert focused(page) == "amount" and page.evaluate("getSelection().toString()") == "35.00"
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog#act", state="hidden")
    assert "CC-0001" in page.evaluate("document.activeElement.href"), "focus is back where it came from"

    page.keyboard.press("Enter")
    in_dialog(page)
    page.keyboard.type("16.5")
    assert dialog.locator("[data-part]").all_inner_texts() == ["Dhs 15.00", "Dhs 1.50"]
    dialog.get_by_text("Records Dhs 16.50; Dhs 18.50 stays owed.").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("Recorded Dhs 16.50 of Dana Haddad for 2 orders. Dashboards update shortly.").wait_for()
    assert urlsplit(page.url).path == LIST
    assert dict(Payment.objects.values_list("order_id", "amount")) == {"M-00104": D("15.00"), "M-00102": D("1.50")}

    page.get_by_role("button", name="Undo").focus()
    page.keyboard.press("Enter")
    in_dialog(page)
    assert focused(page) == "reason"
    page.keyboard.press("Enter")
    page.get_by_text("Undone: Dhs 16.50 of Dana Haddad for 2 orders.").wait_for()
    page.get_by_role("button", name="Dismiss").click()
    assert "Undone" not in page.inner_text("main")
    assert sum(Payment.objects.values_list("amount", flat=True)) == 0
    assert visitor.complaints == []


def test_the_keyboard_stays_in_the_dialog_and_its_keys_do_nothing_else(desk):
    page = desk().page
    pay_link(page).click()
    dialog = in_dialog(page)
    dialog.get_by_role("link", name="Cancel").focus()
    page.keyboard.press("n")
    assert page.locator("#act-title").inner_text() == "Mark as paid"
    for _ in range(20):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('#act')")
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()


def test_what_was_done_is_in_sight_where_the_list_was_scrolled_to(desk):
    for i in range(30):
        books.customer(f"CC-1{i:03}", f"Customer {i}")
        books.order(f"M-1{i:03}", f"CC-1{i:03}", "1.00", date(2026, 1, 1))
    page = desk(width=390).page
    last = page.locator('a.act[href*="/act/note/"]').last
    last.scroll_into_view_if_needed()
    last.click()
    dialog = in_dialog(page)
    dialog.get_by_label("Note", exact=True).fill("rings back")
    dialog.get_by_role("button", name="Save note").click()
    page.locator(".told").wait_for()
    assert page.evaluate("scrollY") > 1000
    box, head = page.locator(".told").bounding_box(), page.locator("header.top").bounding_box()
    assert head["y"] + head["height"] <= box["y"] < 400, "under the header, in sight"


def test_choosing_orders_changes_the_amount(desk):
    page = desk().page
    pay_link(page).click()
    dialog = in_dialog(page)
    dialog.get_by_label("M-00104").uncheck()
    assert dialog.get_by_label("Amount").input_value() == "20.00"
    assert dialog.locator("[data-part]").all_inner_texts() == ["–", "Dhs 20.00"]
    dialog.get_by_label("Amount").fill("21")
    dialog.get_by_text("That is Dhs 1.00 more than these orders owe.").wait_for()


WRITTEN = (  # as it is written, what the form says at once, how the server refuses it ("": it doesn't)
    ("12.50", "Records Dhs 12.50; Dhs 22.50 stays owed.", ""),
    ("١٢", "Records Dhs 12.00; Dhs 23.00 stays owed.", ""),
    ("١٢٫٥٠", "Records Dhs 12.50; Dhs 22.50 stays owed.", ""),
    ("12,50", "Write 12.50 with a point; a comma may be read in two ways.", "same"),
    ("1,00", "Write 12.50 with a point; a comma may be read in two ways.", "same"),
    ("12.505", "An amount has two places after the point, no more.", "same"),
    ("Infinity", "Enter a number.", "same"),
    ("", "Write the amount.", "same"),
)


def test_the_line_below_an_amount_says_what_the_server_does(desk):
    page = desk().page
    pay_link(page).click()
    dialog = in_dialog(page)
    for written, says, refused in WRITTEN:
        dialog.get_by_label("Amount").fill(written)
        expect(dialog.locator("[data-says]")).to_have_text(says)
        answer = page.evaluate("""async () => {
            const data = new FormData(document.querySelector("#act form"));
            data.append("look", "1"); // works it out, records nothing
            const said = await fetch("/operations/act/pay/", { method: "POST", body: data });
            const html = new DOMParser().parseFromString(await said.text(), "text/html");
            return html.querySelector(".errorlist")?.textContent;
        }""")
        assert (answer or "").strip() == (says if refused else ""), written


def test_after_an_error_of_the_server_the_old_refusals_are_gone(desk):
    page = desk().page
    pay_link(page).click()
    dialog = in_dialog(page)
    dialog.get_by_label("Amount").fill("NaN")
    dialog.get_by_role("button", name="Record payment").click()
    expect(dialog.locator(".errorlist")).to_have_text("Enter a number.")
    page.route("**/operations/act/pay/", lambda route: route.fulfill(status=500, body=""))
    dialog.get_by_role("button", name="Record payment").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The server answered with 500.")
    expect(dialog.locator(".errorlist, .wrong")).to_have_count(0)


def test_what_was_typed_is_not_thrown_away_unasked(desk):
    page = desk().page
    page.locator('a.act[href*="/act/note/"][href*="CC-0001"]').click()
    dialog = in_dialog(page)
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_be_hidden()  # nothing was typed

    page.locator('a.act[href*="/act/note/"][href*="CC-0001"]').click()
    note = in_dialog(page).get_by_label("Note", exact=True)
    note.fill("Rings back on Monday")
    page.keyboard.press("Escape")
    dialog.get_by_text("Discard what you typed?").wait_for()
    dialog.get_by_role("button", name="Keep writing").click()
    expect(dialog.get_by_text("Discard what you typed?")).to_have_count(0)
    assert focused(page) == "note" and note.input_value() == "Rings back on Monday"
    for close in ("link", "button"):
        dialog.get_by_role(close, name={"link": "Cancel", "button": "Close"}[close]).click()
        dialog.get_by_text("Discard what you typed?").wait_for()
        dialog.get_by_role("button", name="Keep writing").click()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")  # asked once
    expect(dialog).to_be_hidden()


def test_a_refusal_is_shown_in_the_dialog_and_what_was_typed_stays(desk):
    visitor = desk()
    page = visitor.page
    pay_link(page).click()
    dialog = in_dialog(page)
    dialog.get_by_label("Amount").fill("99")
    dialog.get_by_label("Reference").fill("R-7")
    dialog.get_by_role("button", name="Record payment").click()
    alert = dialog.get_by_role("alert")
    alert.wait_for()
    assert alert.inner_text() == "Dhs 99.00 is more than is owed: Dhs 35.00."
    assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    assert dialog.get_by_label("Reference").input_value() == "R-7"
    assert not Payment.objects.exists()


def test_a_double_click_pays_once_and_a_broken_line_says_so(desk):
    page = desk().page
    pay_link(page).click()
    dialog = in_dialog(page)
    page.context.set_offline(True)
    dialog.get_by_role("button", name="Record payment").click()
    dialog.get_by_text("No answer came. Press again: nothing is recorded twice.").wait_for()
    page.context.set_offline(False)
    dialog.get_by_role("button", name="Record payment").dblclick()
    page.get_by_text("Recorded Dhs 35.00").wait_for()
    assert Payment.objects.count() == 2, "one an order"


def test_several_customers_are_paid_from_the_ticked_rows(desk):
    page = desk().page
    for number in ("CC-0001", "CC-0002"):
        page.locator(f'input[name="customer"][value="{number}"]').check()
    page.get_by_role("button", name="Mark paid").click()
    dialog = in_dialog(page)
    assert "2 customers, each in full" in dialog.inner_text() and "Dhs 65.00" in dialog.inner_text()
    dialog.get_by_label("Paid by").select_option("Terminal")
    dialog.get_by_role("button", name="Record payment").click()
    page.get_by_text("Recorded Dhs 65.00 of 2 customers for 3 orders.").wait_for()
    assert set(Payment.objects.values_list("method", flat=True)) == {"Terminal"}


def test_a_message_is_drafted_in_arabic_and_opens_in_whatsapp(desk):
    page = desk("/customer/CC-0001/").page
    page.context.route("https://wa.me/**", lambda route: route.fulfill(body="WhatsApp"))
    page.locator('a.act[href*="/act/send/"]').first.click()
    dialog = in_dialog(page)
    text = dialog.get_by_label("Text")
    expect(text).to_have_value(re.compile("Dana Haddad"))
    dialog.get_by_label("Arabic").check()
    expect(text).to_have_value(re.compile("مبلغ"))
    text.fill("مرحبا دانة")
    page.once("dialog", lambda question: question.dismiss())
    dialog.get_by_label("English").click()
    expect(dialog.get_by_label("Arabic")).to_be_checked()
    expect(text).to_have_value("مرحبا دانة")  # what was written by hand isn't thrown away
    with page.context.expect_page() as opened:
        dialog.get_by_role("button", name="Open in WhatsApp").click()
    assert parse_qs(urlsplit(opened.value.url).query) == {"text": ["مرحبا دانة"]}
    page.get_by_text("Message to Dana Haddad recorded").wait_for()
    row = Message.objects.get()
    assert (row.language, row.text, row.channel) == ("ar", "مرحبا دانة", "whatsapp")


def test_who_is_signed_out_meanwhile_is_told_so(desk):
    page = desk().page
    pay_link(page).click()
    dialog = in_dialog(page)
    page.context.clear_cookies()
    dialog.get_by_role("button", name="Record payment").click()
    alert = dialog.get_by_role("alert")
    alert.wait_for()
    assert not Payment.objects.exists() and dialog.is_visible()


FORMS = ("pay/?customer=CC-0001", "pay/?customer=CC-0001&customer=CC-0002", "note/?customer=CC-0001",
         "promise/?customer=CC-0001", "send/?customer=CC-0001&channel=email", "assign/?customer=CC-0001",
         "next-action/?customer=CC-0001", "correct/?customer=CC-0001", "preferences/?customer=CC-0001")  # fmt: skip


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.full), "dark"])
def test_every_form_fits_a_phone_and_is_readable(desk, scheme):
    visitor = desk(width=390, scheme=scheme, has_touch=True)
    for form in FORMS:
        page = visitor.open(f"/operations/act/{form}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, form
        assert findings(page) == [], form
        small = page.evaluate("""() => [...document.querySelectorAll(
            ".act-part :is(.button, select, textarea, input:not([type=hidden], [type=checkbox], [type=radio]))")]
            .filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.name || e.innerText)""")
        assert small == [], form
    page = visitor.open(LIST)
    pay_link(page).click()
    dialog = in_dialog(page)
    box = dialog.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["height"] <= 844
    assert page.evaluate("document.getElementById('act').scrollWidth <= document.getElementById('act').clientWidth")
    assert findings(page) == []
    assert visitor.complaints == []


def test_everything_works_without_scripts(desk):
    page = desk(java_script_enabled=False).page
    pay_link(page).click()
    page.get_by_label("Amount").fill("16.50")
    page.get_by_role("button", name="Work it out again").click()
    assert page.locator("[data-part]").all_inner_texts() == ["Dhs 15.00", "Dhs 1.50"]
    assert not Payment.objects.exists()
    page.get_by_role("button", name="Record payment").click()
    assert urlsplit(page.url).path == LIST and "Recorded Dhs 16.50 of Dana Haddad" in page.inner_text("main")
    page.get_by_role("button", name="Undo").click()
    page.get_by_label("Why").fill("Paid twice")
    page.get_by_role("button", name="Undo it").click()
    assert urlsplit(page.url).path == LIST and "Undone: Dhs 16.50" in page.inner_text("main")
    assert {p.note for p in Payment.objects.filter(voids__isnull=False)} == {"Paid twice"}

    for number in ("CC-0001", "CC-0002"):
        page.locator(f'input[name="customer"][value="{number}"]').check()
    page.get_by_role("button", name="Next action").click()
    page.get_by_role("button", name="Plan it").click()
    assert "Next action for 2 customers" in page.inner_text("main")
    assert Customer.objects.filter(next_action_on__isnull=False).count() == 2 == FollowUp.objects.count()

    page.goto(page.url.split("/operations/")[0] + "/operations/act/send/?customer=CC-0001")
    page.get_by_label("Text").fill("Hello")
    page.get_by_role("button", name="Open in WhatsApp").click()
    link = page.get_by_role("link", name="Open in WhatsApp")
    assert link.get_attribute("href") == "https://wa.me/971500000001?text=Hello"
    assert Message.objects.get().state == "opened"
