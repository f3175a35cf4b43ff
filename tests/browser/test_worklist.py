"""The worklist in a real Chromium: by keyboard, its state in the address, rows chosen, on a phone, without scripts.

Dana Haddad (CC-0001) owes 35.00 since 1 February, Omar Saleh (CC-0002) 30.00 since 15 February, of the store Hielo.
"""

from decimal import Decimal as D
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from operations import services
from operations.models import Payment
from tests.browser.axe import findings
from tests.conftest import wait_for
from tests.operations import books
from tests.operations.books import paying

pytestmark = pytest.mark.browser
LIST, PAID = "/operations/receivables/", "/operations/receivables/paid-here/"


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


def said(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


def focused_row(page) -> str:
    """The name in the row that has the keyboard, "" for none."""
    return page.evaluate("document.activeElement.matches('tr[data-row]') ? document.activeElement"
                         ".querySelector('a[data-open]').innerText : ''")  # fmt: skip


def act(page):
    page.wait_for_selector("dialog#act[open] .act-part")
    return page.locator("dialog#act")


def wrong(visitor) -> list:
    """What axe finds wrong with a page, and what the browser complained of."""
    return findings(visitor.page) + visitor.complaints


# By keyboard -------------------------------------------------------------------------------------------------------


def test_j_and_k_go_through_the_rows_and_enter_opens_the_customer(desk):
    visitor = desk()
    page = visitor.page
    seen = []
    for key in ("j", "j", "j", "k", "k"):
        page.keyboard.press(key)
        seen.append(focused_row(page))
    assert seen == ["Dana Haddad", "Omar Saleh", "Omar Saleh", "Dana Haddad", "Dana Haddad"]
    page.keyboard.press("Enter")
    page.wait_for_url("**/customer/CC-0001/")
    assert visitor.complaints == []


def test_p_and_n_open_the_forms_of_the_row_and_focus_comes_back_to_it(desk):
    page = desk().page
    page.keyboard.press("p")
    assert not page.locator("dialog#act").count(), "no row has the keyboard yet"
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("p")
    assert act(page).locator("input[name=amount]").input_value() == "30.00"
    page.keyboard.press("Escape")
    assert focused_row(page) == "Omar Saleh"
    page.keyboard.press("n")  # at once
    expect(act(page)).to_contain_text("Omar Saleh")
    assert act(page).locator("textarea[name=note]").count() == 1
    page.keyboard.press("j")
    assert act(page).is_visible(), "a key in the dialog stays there"
    page.keyboard.press("Escape")
    page.wait_for_selector("text=Keep writing")  # a letter was written: only who asks twice means it
    page.keyboard.press("Escape")
    wait_for(lambda: focused_row(page) == "Omar Saleh")  # the browser tells of a closed dialog a moment later
    page.keyboard.press("k")
    assert focused_row(page) == "Dana Haddad"


def test_letters_that_are_written_stay_letters(desk):
    page = desk().page
    field = page.locator("#list input[name=q]")
    field.click()
    page.keyboard.type("jkpnx")
    assert field.input_value() == "jkpnx"
    assert focused_row(page) == ""
    assert not page.locator("dialog#act").count()


def test_a_formula_opens_by_keyboard_and_closes_by_escape(desk):
    page = desk().page
    summary = page.locator('[data-figure="promised"] summary')
    summary.focus()
    page.keyboard.press("Enter")
    words = page.get_by_text("no more than is owed.")
    expect(words).to_be_visible()
    page.keyboard.press("Escape")
    expect(words).to_be_hidden()
    assert summary.evaluate("e => e === document.activeElement")


# The address -------------------------------------------------------------------------------------------------------


def test_every_choice_is_in_the_address_and_goes_back(desk):
    page = desk().page
    page.get_by_label("Store").select_option("hielo")
    page.wait_for_url("**?*store=hielo*")
    assert page.locator("a[data-open]").all_inner_texts() == ["Omar Saleh"]
    page.get_by_label("At least").fill("31")
    page.get_by_label("At least").press("Enter")
    page.get_by_text("Nobody fits these filters").wait_for()
    assert (said(page.url)["store"], said(page.url)["least"]) == (["hielo"], ["31"])
    page.get_by_role("link", name="Store: Hielo").click()
    page.wait_for_url(lambda url: "hielo" not in url)
    assert page.locator("a[data-open]").all_inner_texts() == ["Dana Haddad"]
    page.go_back()
    page.get_by_text("Nobody fits these filters").wait_for()
    page.locator("#list input[name=q]").fill("050 000 0002")
    page.get_by_role("button", name="Find", exact=True).click()
    page.get_by_role("link", name="At least").click()
    page.wait_for_url(lambda url: "least=31" not in url)
    assert said(page.url)["q"] == ["050 000 0002"]
    page.reload()
    assert page.locator("a[data-open]").all_inner_texts() == ["Omar Saleh"]


def test_a_head_sorts_and_turns_round(desk):
    page = desk().page
    page.locator("th.c-balance a").click()
    page.wait_for_url("**?sort=-balance")
    page.locator("th.c-balance a").click()
    page.wait_for_url("**?sort=balance")
    assert page.locator("a[data-open]").all_inner_texts() == ["Omar Saleh", "Dana Haddad"]
    assert page.locator("th.c-balance[aria-sort=ascending]").count() == 1


# Rows chosen -------------------------------------------------------------------------------------------------------


def test_what_is_chosen_is_counted_and_paid_together(desk):
    visitor = desk()
    page = visitor.page
    bar = page.locator("[data-bulk]")
    expect(bar).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(bar.locator("[data-chosen]")).to_have_text("1 customer chosen, together Dhs 35.00")
    page.get_by_label("All 2 on this page").check()
    expect(bar.locator("[data-chosen]")).to_have_text("2 customers chosen, together Dhs 65.00")
    bar.get_by_role("button", name="Choose none").click()
    expect(bar).to_be_hidden()
    assert page.locator("input[name=customer]:checked").count() == 0
    page.get_by_label("All 2 on this page").check()
    bar.get_by_role("button", name="Mark paid").click()
    dialog = act(page)
    expect(dialog).to_contain_text("Dhs 65.00")
    dialog.get_by_role("button", name="Record payment").click()
    page.get_by_text("Recorded Dhs 65.00 of 2 customers for 3 orders.").wait_for()
    assert urlsplit(page.url).path == LIST
    assert dict(Payment.objects.values_list("order_id", "amount")) == {
        "M-00104": D("15.00"), "M-00102": D("20.00"), "H-00201": D("30.00"),
    }  # fmt: skip
    page.get_by_text("No customer owes anything.").wait_for()
    assert visitor.complaints == []


def test_an_order_alone_is_paid_from_the_view_by_order(desk):
    page = desk(f"{LIST}?view=orders").page
    page.get_by_label("Choose M-00102").check()
    expect(page.locator("[data-chosen]")).to_have_text("1 order chosen, together Dhs 20.00")
    page.locator("[data-bulk]").get_by_role("button", name="Mark paid").click()
    act(page).get_by_role("button", name="Record payment").click()
    page.get_by_text("Recorded Dhs 20.00 of Dana Haddad for 1 order.").wait_for()
    assert said(page.url) == {"view": ["orders"]}
    assert books.balances() == {"M-00104": D("15.00"), "H-00201": D("30.00"), "M-00301": D("100.00")}


def test_statements_open_beside_the_list(desk):
    """What is asked for; the statements themselves: tests/operations/test_actions.py."""
    page = desk().page
    asked = []

    def answer(route):
        asked.append(route.request.url)
        route.fulfill(body="statements", content_type="text/plain")

    page.context.route("**/operations/statement.pdf*", answer)
    page.get_by_label("All 2 on this page").check()
    with page.expect_popup() as beside:
        page.get_by_role("button", name="Statements, Arabic").click()
    beside.value.get_by_text("statements").wait_for()
    assert (said(asked[0])["customer"], said(asked[0])["language"]) == (["CC-0001", "CC-0002"], ["ar"])
    assert urlsplit(page.url).path == LIST


def test_without_scripts_everything_leads_to_a_page(desk):
    visitor = desk(java_script_enabled=False)
    page = visitor.page
    page.get_by_label("Choose CC-0001").check()
    page.get_by_label("Choose CC-0002").check()
    page.get_by_role("button", name="Next action").click()
    assert urlsplit(page.url).path == "/operations/act/next-action/"
    assert said(page.url)["customer"] == ["CC-0001", "CC-0002"]
    expect(page.locator("main")).to_contain_text("2 customers")


# On a phone, in the dark -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_it_is_in_order_wide_and_narrow_light_and_dark(desk, people, width, scheme):
    visitor = desk(width=width, scheme=scheme)
    page = visitor.page
    services.customer_pay("CC-0002", D("30"), **paying(people["dana"]))
    for path in (LIST, f"{LIST}?view=orders&promise=broken", f"{LIST}?view=orders", PAID):
        visitor.open(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert wrong(visitor) == []


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.full), "dark"])
def test_on_a_phone_a_ticked_card_is_one_tint_and_the_bar_two_lines(desk, scheme):
    visitor = desk(width=390, scheme=scheme, has_touch=True)
    page = visitor.page
    row = page.locator("tr[data-row]").first
    row.locator(".c-tick input").check()
    tints = row.evaluate("""row => [row, ...row.children].map((e) => getComputedStyle(e).backgroundColor)""")
    assert tints[0] != "rgba(0, 0, 0, 0)" and set(tints[1:]) == {"rgba(0, 0, 0, 0)"}
    bar = page.locator("[data-bulk]")
    assert bar.bounding_box()["height"] <= 100, "a line of words, one of buttons 44 px high"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    last = bar.get_by_role("button").last
    last.scroll_into_view_if_needed()
    box = last.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390, "those to the right are reached by a swipe"
    assert wrong(visitor) == []


def test_on_a_phone_a_row_is_a_card_and_filters_fold_away(desk):
    page = desk(width=390, has_touch=True).page
    assert page.get_by_label("Store").is_hidden()
    page.get_by_text("Filter and sort").tap()
    assert page.get_by_label("Store").is_visible()
    row = page.locator("tr[data-row]").first
    assert row.bounding_box()["width"] < 360
    assert row.locator("td.c-level").evaluate("e => getComputedStyle(e, '::before').content") == '"Level"'
    assert row.locator("td.c-promise").is_hidden(), "there is none"
    small = page.locator("tr[data-row] a, tr[data-row] label, [data-bulk] button").evaluate_all(
        "all => all.filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).map(e => e.innerText)"
    )
    assert small == []
    page.locator('[data-figure="dso"] summary').tap()
    words = page.get_by_text("Receivables / credit sales x days")
    expect(words).to_be_visible()
    box = words.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390


# Paid here ---------------------------------------------------------------------------------------------------------


def test_ticks_stay_in_this_browser_and_write_nothing(desk, people):
    visitor = desk(PAID)
    page = visitor.page
    services.customer_pay("CC-0001", D("35"), **paying(people["dana"]))
    page.reload()
    page.get_by_label("Done in CleanCloud: M-00104").check()
    page.get_by_text("1 of 2 ticked off.").wait_for()
    page.reload()
    assert page.get_by_label("Done in CleanCloud: M-00104").is_checked()
    assert not page.get_by_label("Done in CleanCloud: M-00102").is_checked()
    assert Payment.objects.count() == 2
    page.emulate_media(media="print")
    assert page.locator("nav.tabs, .take, .find").evaluate_all("all => all.every(e => !e.offsetParent)")
    assert page.get_by_label("Done in CleanCloud: M-00104").is_visible()
    assert page.get_by_text("Dhs 15.00").first.is_visible()
    assert visitor.complaints == []
