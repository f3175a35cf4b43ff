"""Rules that all pages of figures share: the store as a filter, one refusal, who sees how to reach a customer."""

import csv
import io
from html import unescape

import pytest

from analytics import access, pages, queries, share
from analytics.dashboards import DASHBOARDS, frame
from tests.analytics import reading

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]
CALL, LIFETIMES = "/customers/?tab=lifetime", "/customers/list/lifetimes/"


# The store -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("address", "without"), [
    ("/executive/?tab=snapshot&period=2026-02&store=hielo&area=other",
     "/executive/?tab=snapshot&grain=month&period=2026-02&area=other"),
    ("/follow/executive/revenue/?period=2026-02&store=hielo&area=other",
     "/follow/executive/revenue/?grain=month&period=2026-02&area=other&by=payment_type"),
    ("/finance/list/unpaid/?store=hielo&area=other", "/finance/list/unpaid/?area=other"),
])  # fmt: skip
def test_the_chosen_store_is_a_filter_that_goes(as_, golden_data, address, without):
    html = as_("layla").get(address).content.decode()
    chips = reading.chips(html)
    assert list(chips) == ["Store: Hielo", "Area: Other"]
    assert chips["Store: Hielo"] == without
    assert list(reading.chips(as_("layla").get(without).content.decode())) == ["Area: Other"]


@pytest.mark.parametrize("address", ["/executive/", "/follow/executive/revenue/", "/finance/list/unpaid/"])
def test_the_store_that_one_is_kept_to_is_no_filter(as_, golden_data, address):
    assert reading.chips(as_("hala").get(f"{address}?store=hielo").content.decode()) == {}


def test_where_no_store_counts_none_is_a_filter(as_, golden_data):
    assert reading.chips(as_("layla").get("/customers/?tab=cohort&store=hielo").content.decode()) == {}
    assert list(reading.chips(as_("layla").get(f"{CALL}&store=hielo").content.decode())) == ["Store: Hielo"]


# Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [
    "/executive/?store=moon-walk", "/executive/export.csv?store=moon-walk",
    "/follow/executive/revenue/?store=moon-walk",
    "/follow/executive/revenue/export.xlsx?store=moon-walk", "/finance/list/unpaid/?store=moon-walk",
    "/finance/list/unpaid/export.csv?store=moon-walk", "/sharing/?page=executive&store=moon-walk",
])  # fmt: skip
def test_another_store_is_refused_everywhere_in_the_same_words(as_, golden_data, address):
    response = as_("hala").get(address)
    assert response.status_code == 403
    assert "Your account shows Hielo alone." in unescape(response.content.decode())


@pytest.mark.parametrize("address", [
    "/customers/?tab=acquisition&segment=champions", "/follow/customers/new_customers/?segment=champions",
    "/follow/customers/m1_customers/", LIFETIMES,
])  # fmt: skip
def test_what_is_of_the_whole_business_is_refused_alike(as_, golden_data, address):
    response = as_("hala").get(address)
    assert response.status_code == 403
    assert "of the whole business, and your account shows Hielo alone." in unescape(response.content.decode())


def test_a_question_without_an_answer_is_no_fault_of_the_server(as_, golden_data, monkeypatch):
    def fails(*_):
        raise queries.QueryError("There is no store 'Paris'")

    monkeypatch.setattr(pages.frame, "read_state", fails)
    for address in ("/executive/", "/executive/export.csv", "/follow/executive/revenue/", "/finance/list/unpaid/"):
        assert as_("layla").get(address).status_code == 404


# Contacts --------------------------------------------------------------------------------------------------------


@pytest.fixture
def sales_without_phones(monkeypatch):
    """Omar sells and sees no phone number; Layla, who manages, does."""
    monkeypatch.setitem(access.CONTACTS, "Sales", ("email",))


def called() -> str:
    """The phone number of somebody on the call list."""
    return next(phone for phone in queries.current().call_list()["phone"] if phone)


def test_the_call_list_shows_phones_to_whom_they_are_shown(as_, golden_data, sales_without_phones):
    phone = called()
    for who in ("layla", "omar", "layla"):  # what was kept for one is not what the other gets
        for address in (CALL, "/customers/export.csv?tab=lifetime"):
            text = as_(who).get(address).content.decode()
            assert ("Phone" in text, phone.lstrip("+") in text) == (who == "layla",) * 2, (who, address)


def test_who_sees_no_phone_finds_nobody_by_it(as_, golden_data, sales_without_phones):
    phone = called().lstrip("+")
    for who, found in (("layla", 1), ("omar", 0)):
        client = as_(who)
        text = client.get(f"{LIFETIMES}export.csv?q={phone}").content.decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == found
        assert ("Phone" in text) == bool(found)
        html = client.get(f"{LIFETIMES}?sort=phone").content.decode()
        assert ("or phone" in html, "Phone" in html) == (bool(found),) * 2


def test_a_share_link_shows_no_phone_to_anybody(client, people, golden_data):
    state = frame.read_state(DASHBOARDS["customers"], {"tab": "lifetime"}, queries.current())
    html = client.get(share.address(share.make(people["layla"], state, "Calls", 7))).content.decode()
    assert 'id="call-list"' in html
    assert "Phone" not in html and called() not in html
