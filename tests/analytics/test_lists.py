"""The whole lists behind cards of no period: every unpaid order, every customer's lifetime."""

import csv
import io
import json
import re
from html import unescape

import pytest

from analytics import queries
from analytics.dashboards import DASHBOARDS, blocks, cards, frame
from analytics.metrics import FACTS
from tests.conftest import GOLDEN

pytestmark = pytest.mark.django_db
OUTSTANDING = json.loads((GOLDEN / "expected.json").read_text())["outstanding"]
UNPAID, LIFETIMES = "/finance/list/unpaid/", "/customers/list/lifetimes/"


@pytest.fixture
def page(as_, golden_data):
    client = as_("layla")

    def get(address):
        response = client.get(address)
        assert response.status_code == 200
        return unescape(response.content.decode())

    return get


@pytest.fixture
def rows(as_, golden_data):
    """The rows of a list's CSV."""
    client = as_("layla")

    def get(address, query=""):
        response = client.get(f"{address}export.csv{query}")
        assert response.status_code == 200
        return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))

    return get


def total(found, column) -> float:
    return round(sum(float(row[column]) for row in found), 2)


def test_every_unpaid_order_adds_up_to_the_golden_sum(rows):
    found = rows(UNPAID)
    assert len(found) == OUTSTANDING["orders"] == len({row["Order"] for row in found})
    assert total(found, "Balance (Dhs)") == OUTSTANDING["amount"]
    assert len({row["Number"] for row in found}) == OUTSTANDING["customers"]


@pytest.mark.parametrize("bucket", OUTSTANDING["aging"])
def test_each_age_adds_up_to_its_bucket(rows, bucket):
    found = rows(UNPAID, f"?age={bucket.replace(' ', '-')}")
    assert [len(found), total(found, "Balance (Dhs)")] == OUTSTANDING["aging"][bucket]


def test_stores_and_areas_part_the_orders_between_them(rows):
    every = {row["Order"] for row in rows(UNPAID)}
    for parts in (
        [f"?store={s}" for s in ("moon-walk", "hielo")],
        [f"?area={a}" for a in ("inside-abu-dhabi", "outer-abu-dhabi", "other")],
    ):
        found = [{row["Order"] for row in rows(UNPAID, part)} for part in parts]
        assert set.union(*found) == every and sum(map(len, found)) == len(every)
        assert all(found), parts


def test_business_accounts_are_a_list_of_their_own(rows, golden_data):
    found = rows(UNPAID, "?what=business")
    count, owed = blocks.receivables.business_accounts(queries.current().ledger())
    assert (len(found), total(found, "Balance (Dhs)")) == (count, owed) and count > 0
    assert not {row["Order"] for row in found} & {row["Order"] for row in rows(UNPAID)}


def test_overdue_are_those_due_before_the_exports_date(rows):
    found = rows(UNPAID, "?what=overdue")
    assert {row["Order"] for row in found} == {row["Order"] for row in rows(UNPAID) if row["Due"] < "2026-03-05"}


def test_it_is_leafed_through_sorted_and_sought(page, rows):
    def orders(text):
        return re.findall(r'<th scope="row"><a href="[^"]+">([MH]-\d+)', text)

    by_balance = [row["Order"] for row in rows(UNPAID, "?sort=-balance")]
    assert orders(page(f"{UNPAID}?sort=-balance")) == by_balance[:50]
    assert orders(page(f"{UNPAID}?sort=-balance&p=2")) == by_balance[50:100]
    assert "51 to 100 of 735" in page(f"{UNPAID}?sort=-balance&p=2")
    assert orders(page(f"{UNPAID}?q=m-01002")) == ["M-01002"]
    assert "Nothing to show" in page(f"{UNPAID}?q=%25")  # a sign of patterns is sought as it is written
    oldest = orders(page(f"{UNPAID}?sort=nothing&p=9999"))
    assert oldest == orders(page(UNPAID)) == [row["Order"] for row in rows(UNPAID)][:50]


def test_every_customers_lifetime_is_there(rows, golden_data):
    found, known = rows(LIFETIMES), queries.current().lifetimes()
    assert len(found) == known.height > 2000
    summary = queries.current().lifetime_summary()
    for column, name in (("Expected value (Dhs)", "expected_value"), ("Expected order days", "expected_purchases")):
        assert sum(float(row[column]) for row in found if row[column]) == pytest.approx(summary[name], abs=5)
    values = [float(row["Expected value (Dhs)"] or -1) for row in found]
    assert values == sorted(values, reverse=True)


def test_lifetimes_of_a_segment_and_a_store(rows, golden_data):
    every = queries.current().lifetimes()
    champions = rows(LIFETIMES, "?segment=champions")
    assert {row["Segment"] for row in champions} == {"Champions"}
    assert len(champions) == every.filter(every["segment"] == "Champions").height
    assert len(rows(LIFETIMES, "?store=hielo")) == every.filter(every["store"] == "Hielo").height


def test_a_person_kept_to_a_store_sees_its_orders_and_no_lifetimes(as_, people, golden_data):
    from analytics.models import StoreAccess

    StoreAccess.objects.create(user=people["layla"], store="Hielo")
    client = as_("layla")
    assert client.get(f"{UNPAID}?store=moon-walk").status_code == 403
    for query in ("", "?store=hielo", "?what=business", "?q=m-0"):
        response = client.get(f"{UNPAID}{query}")
        assert response.status_code == 200
        assert not re.search(rb">M-\d", response.content), query
    assert client.get(UNPAID).content.count(b">H-") == 50
    assert client.get(LIFETIMES).status_code == 403
    assert client.get(f"{LIFETIMES}export.csv").status_code == 403


@pytest.mark.parametrize("address", ["/finance/list/lifetimes/", "/finance/list/nothing/", "/nothing/list/unpaid/"])
def test_there_is_no_other_list(as_, golden_data, address):
    assert as_("root").get(address).status_code == 404
    assert as_("root").get(f"{UNPAID}export.pdf").status_code == 404


def test_every_card_of_no_period_is_defined_and_leads_to_what_is_behind_it(as_, golden_data):
    client, build, shown = as_("layla"), queries.current(), {}
    for dashboard in DASHBOARDS.values():
        for tab in dashboard.tabs:
            state = frame.read_state(dashboard, {"tab": tab.slug}, build)
            shown |= {card["metric"]: card for card in cards.cards(state) if card["metric"] in FACTS}
    assert set(shown) == set(FACTS) - {"aging", "rfm", "concentration", "best_possible_dso", "delinquent_days"}
    text = client.get("/definitions/").content.decode()
    for name, card in shown.items():
        assert card["definition"] == f"/definitions/#{name}" and f'id="{name}"' in text
        assert client.get(card["follow"]).status_code == 200, name
    assert all(f'id="{name}"' in text for name in FACTS)
