"""What a page view asks of the warehouse: at most one statement a mart when nothing is kept yet, and nothing after."""

import re

import pytest

from analytics import queries
from analytics.dashboards import DASHBOARDS
from tests.analytics.tabs import TABS
from tests.analytics.test_dashboards import paint

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]
MARTS = ("sales", "items", "customer_months")
VIEWS = [
    (page, tab, query)
    for page, tab in TABS
    for query in ("period=2026-02", "grain=week&period=2026-W09", "period=2026-02&store=hielo")
    if "week" not in query or not DASHBOARDS[page].tab(tab).monthly
]


class Recorder:
    """A cursor that notes what it is asked."""

    def __init__(self, cursor, asked: list[str]):
        self._cursor, self._asked = cursor, asked

    def execute(self, sql, *args):
        self._asked.append(sql)
        return self._cursor.execute(sql, *args)

    def __getattr__(self, name):
        return getattr(self._cursor, name)


@pytest.fixture
def asked(monkeypatch):
    """Every statement that any cursor of a fresh snapshot runs from now on."""
    said: list[str] = []
    real = queries.Snapshot.cursor
    monkeypatch.setattr(queries.Snapshot, "cursor", lambda self: Recorder(real(self), said))
    queries._snapshots.clear()
    return said


def reads(sql: str, mart: str) -> bool:
    return bool(re.search(rf"\b(FROM|JOIN)\s+(warehouse\.)?{mart}\b", sql, re.I))


@pytest.mark.parametrize(("page", "tab", "query"), VIEWS)
def test_a_view_asks_a_mart_once_and_a_second_view_nothing(as_, golden_data, asked, page, tab, query):
    client, query = as_("layla"), f"?tab={tab}&{query}"
    assert client.get(f"/{page}/{query}").status_code == 200
    paint(client, page, query)
    statements = {mart: [sql for sql in asked if reads(sql, mart)] for mart in MARTS}
    assert asked
    assert {mart: len(said) for mart, said in statements.items() if len(said) > 1} == {}
    asked.clear()
    assert client.get(f"/{page}/{query}").status_code == 200
    paint(client, page, query)
    assert asked == []


def test_another_month_of_concentration_asks_for_its_customers_alone(as_, golden_data, asked):
    """The metrics of every month are known by then; a file of the first month asks as little as its page."""
    client = as_("layla")
    assert client.get("/finance/export.csv?tab=concentration&period=2026-02").status_code == 200
    assert {mart: sum(reads(sql, mart) for sql in asked) for mart in MARTS} == {
        "sales": 1, "items": 0, "customer_months": 1
    }  # fmt: skip
    asked.clear()
    assert client.get("/finance/?tab=concentration&period=2025-03").status_code == 200
    assert sum(reads(sql, "customer_months") for sql in asked) == 1
    assert not any(reads(sql, "sales") for sql in asked)


@pytest.mark.parametrize(("page", "name", "query"), [
    ("executive", "revenue", "period=2026-02"),
    ("executive", "revenue", "grain=week&period=2026-W09&by=area&store=hielo&show=rows"),
    ("executive", "items", "period=2026-02&by=item_category"),
    ("customers", "new_customers", "period=2026-02&segment=champions"),
    ("customers", "m1_customer_retention", "period=2026-02"),
    ("customers", "multi_service_share", "period=2026-02&show=rows"),
    ("finance", "digital_share", "period=2026-02&by=payment_type"),
])  # fmt: skip
def test_a_page_behind_a_number_asks_a_mart_twice_at_most(as_, golden_data, asked, page, name, query):
    """Once for the number, its parts and its split together, once for the list."""
    client, address = as_("layla"), f"/follow/{page}/{name}/?{query}"
    assert client.get(address).status_code == 200
    statements = {mart: sum(reads(sql, mart) for sql in asked) for mart in MARTS}
    assert 1 < max(statements.values()) <= 2, statements
    asked.clear()
    assert client.get(address).status_code == 200
    assert asked == []


def test_the_count_sees_every_mart(as_, golden_data, asked):
    """Were the pattern of `reads` wrong, the test above would pass on nothing."""
    client = as_("layla")
    for page, tab in (("customers", "segmentation"), ("operations", "service-mix")):
        client.get(f"/{page}/?tab={tab}")
    assert all(any(reads(sql, mart) for sql in asked) for mart in MARTS)
