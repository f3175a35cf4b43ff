"""Following a number: the customers and the rows behind every metric add up to it; the page that leads to them."""

from decimal import Decimal

import pytest

from analytics import queries
from analytics.metrics import METRICS
from analytics.queries import Filters, QueryError, by_customer, query, rows
from tests.conftest import GOLDEN
from tests.etl.making import Built, exports

MONTHS = ("2026-02", "2025-03", "2024-01", "2026-03")  # closed, of the change-over, of the old system, open
EVERYTHING = Filters()
ALL = [m for m in METRICS.values() if "month" in m.grains]
ADDITIVE = [m.name for m in ALL if m.additive]
COUNTS = [m.name for m in ALL if m.unit == "count" and not m.additive and not m.name.endswith("items")]
ROW_SUMS = [m.name for m in ALL if queries._row_value(m.name) and not queries.is_ratio(m.name)]


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    return Built(GOLDEN / "exports", tmp_path_factory.mktemp("golden")).con


def values(con, names: list[str], month: str, filters: Filters = EVERYTHING) -> dict:
    frame = query(con, names, "month", since=month, until=month, include_open=True, filters=filters)
    return {name: frame[name][0] for name in names}


def same(found, wanted) -> bool:
    return round(float(found or 0), 2) == round(float(wanted), 2)


def test_the_lists_below_hold_what_they_should():
    assert {"revenue", "items", "stops", "existing_revenue", "collection_gap", "express_items"} <= set(ADDITIVE)
    assert set(COUNTS) >= {"customers", "subscribers", "clients", "new_customers", "existing_customers",
                           "reactivated_customers", "multi_service_customers", "m1_customers"}  # fmt: skip
    assert set(ADDITIVE) <= set(ROW_SUMS) and "reactivated_revenue" in ROW_SUMS and "top20_spend_revenue" in ROW_SUMS


@pytest.mark.parametrize("month", MONTHS)
def test_the_customers_of_every_additive_metric_add_up_to_it(golden, month):
    wrong = {}
    for name, wanted in values(golden, ADDITIVE, month).items():
        found = by_customer(golden, name, "month", month)
        if wanted is not None and not (same(found.together, wanted) and same(found.frame["value"].sum(), wanted)):
            wrong[name] = (found.together, wanted)
    assert wrong == {}


@pytest.mark.parametrize("month", MONTHS)
def test_as_many_customers_are_listed_as_are_counted(golden, month):
    wrong = {}
    for name, wanted in values(golden, COUNTS, month).items():
        found = by_customer(golden, name, "month", month)
        if (len(found.frame), found.total, found.frame["customer_id"].n_unique()) != (wanted,) * 3:
            wrong[name] = (found.total, wanted)
    assert wrong == {}


@pytest.mark.parametrize("month", MONTHS)
def test_the_rows_of_every_sum_add_up_to_it(golden, month):
    wrong = {}
    for name, wanted in values(golden, ROW_SUMS, month).items():
        found = rows(golden, name, "month", month)
        added = sum((Decimal(str(v)) for v in found.frame["value"]), Decimal(0))
        if wanted is not None and not (same(found.together, wanted) and same(added, wanted)):
            wrong[name] = (found.together, wanted)
        assert (found.frame["value"] != 0).all(), f"{name} shows rows that add nothing"
    assert wrong == {}


@pytest.mark.parametrize("month", MONTHS)
def test_the_rows_of_every_count_are_of_as_many_customers(golden, month):
    wrong = {}
    for name, wanted in values(golden, COUNTS, month).items():
        found = rows(golden, name, "month", month)
        if found.frame["customer_id"].n_unique() != wanted:
            wrong[name] = (found.frame["customer_id"].n_unique(), wanted)
    assert wrong == {}


@pytest.mark.parametrize("filters", [
    Filters(store="Hielo"), Filters(area="Outer Abu Dhabi"), Filters(source="CC_2025"), Filters(payment_type="Cash"),
    Filters(service_type="Wash & Press"), Filters(store="Moon Walk", item_category="Home Linens"),
])  # fmt: skip
def test_with_filters_they_add_up_too(golden, filters):
    names = [n for n in ROW_SUMS if n in ADDITIVE and all(
        queries.can_filter(n, d) for d, v in vars(filters).items() if v
    )]  # fmt: skip
    assert names
    for name, wanted in values(golden, names, "2026-02", filters).items():
        assert same(by_customer(golden, name, "month", "2026-02", filters).together, wanted), name
        assert same(rows(golden, name, "month", "2026-02", filters).together, wanted), name


def test_every_metric_has_customers_and_rows_in_every_grain(golden):
    periods = {"day": "2026-02-14", "week": "2026-W07", "month": "2026-02", "quarter": "2026-Q1"}
    for metric in METRICS.values():
        for grain in metric.grains:
            customers = by_customer(golden, metric.name, grain, periods[grain], limit=3)
            found = rows(golden, metric.name, grain, periods[grain], limit=3)
            assert len(customers.frame) == min(3, customers.total) and len(found.frame) == min(3, found.total)
            assert list(customers.frame.columns) == [*queries.CUSTOMER, *queries.shown_parts(metric.name)]
            assert list(found.frame.columns) == [*queries.ROWS[found.mart], "value"]


def test_a_page_of_them_is_sorted_searched_and_counted(golden):
    whole = by_customer(golden, "revenue", "month", "2026-02")
    top = by_customer(golden, "revenue", "month", "2026-02", limit=5)
    assert top.total == whole.total and top.together == whole.together
    assert top.frame["value"].to_list() == sorted(whole.frame["value"], reverse=True)[:5]
    second = by_customer(golden, "revenue", "month", "2026-02", sort="customer_id", descending=False, limit=5, offset=5)
    assert second.frame["customer_id"].to_list() == sorted(whole.frame["customer_id"])[5:10]
    beyond = by_customer(golden, "revenue", "month", "2026-02", limit=5, offset=10_000)
    assert beyond.frame.equals(top.frame)
    one = top.frame.row(0, named=True)
    found = by_customer(golden, "revenue", "month", "2026-02", search=one["customer_id"].lower(), limit=50)
    assert (found.total, found.together) == (1, one["value"])
    behind = rows(golden, "revenue", "month", "2026-02", customer=one["customer_id"])
    assert behind.together == one["value"] and set(behind.frame["customer_id"]) == {one["customer_id"]}
    order = behind.frame["order_id"][0]
    assert rows(golden, "revenue", "month", "2026-02", search=order).frame["order_id"].to_list() == [order]


def test_what_is_searched_is_a_value_never_sql(golden):
    for search in ("%", "_", "x') OR 1=1 --", "$first"):
        assert by_customer(golden, "revenue", "month", "2026-02", search=search).total == 0
    quoted = by_customer(golden, "revenue", "month", "2026-02", search="'").frame["name"].to_list()
    assert quoted and all("'" in name for name in quoted)
    for bad in ("value; DROP TABLE sales", "phone", "", "1"):
        with pytest.raises(QueryError, match="There is no column"):
            by_customer(golden, "revenue", "month", "2026-02", sort=bad)
        with pytest.raises(QueryError, match="There is no column"):
            rows(golden, "revenue", "month", "2026-02", sort=bad)
    with pytest.raises(ValueError):
        rows(golden, "revenue", "month", "2026-02", limit="1; DROP TABLE sales")


@pytest.mark.parametrize(("how", "said"), [
    (("revenue", "month", "2031-02"), "There is no month '2031-02'"),
    (("revenue", "month", "2026-W07"), "is no month"),
    (("revenue", "century", "2026-02"), "There is no grain"),
    (("m1_customers", "week", "2026-W07"), "not counted by week"),
    (("revenue", "month", "2026-02", Filters(item_category="Home Linens")), "not counted by item category"),
    (("revenue", "month", "2026-02", Filters(store="Paris")), "There is no store 'Paris'"),
])  # fmt: skip
def test_a_question_that_does_not_fit_is_refused(golden, how, said):
    for ask in (by_customer, rows):
        with pytest.raises(QueryError, match=said):
            ask(golden, *how)


@pytest.fixture
def small(tmp_path):
    """Three customers worked by hand: 1 a client, 2 a subscriber, 3 with an order not cleaned yet."""
    folder = exports(
        tmp_path / "exports",
        customers=[{"Customer ID": str(i), "Name": f"C{i}"} for i in (1, 2, 3)],
        orders=[
            {"Order ID": "1", "Customer ID": "1", "Total": "40", "Delivery": "1", "Pickup Date": "2026-01-09"},
            {"Order ID": "2", "Customer ID": "1", "Total": "10", "Paid": "0", "Delivery": "1"},
            {"Order ID": "3", "Customer ID": "2", "Total": "30"},
            {"Order ID": "4", "Customer ID": "3", "Cleaned": ""},
        ],
        items=[{"Order ID": "1", "Quantity": "2"}, {"Order ID": "3", "Customer ID": "2", "Quantity": "5"}],
        invoices=[{"Invoice ID": "1", "Customer": "C2", "Reference": "Subscription", "Amount": "200",
                   "Payment Date": "2026-01-05"}],
    )  # fmt: skip
    return Built(folder, tmp_path / "data").con


def listed(found, *columns) -> list[tuple]:
    return [tuple(row[c] for c in columns) for row in found.frame.iter_rows(named=True)]


def test_small_cases_by_hand(small):
    def customers(name):
        return listed(by_customer(small, name, "month", "2026-01"), "customer_id", "value")

    def orders(name):
        return sorted(listed(rows(small, name, "month", "2026-01"), "order_id", "value"))

    assert customers("revenue") == [("CC-0002", 230), ("CC-0001", 50)]
    assert orders("revenue") == [("M-00001", 40), ("M-00002", 10), ("M-00003", 30), ("S-1", 200)]
    assert customers("clients") == [("CC-0001", 1)]
    assert listed(by_customer(small, "customers", "month", "2026-01"), "customer_id", "value", "revenue") == [
        ("CC-0001", 1, 50), ("CC-0002", 1, 230)
    ]  # fmt: skip
    assert orders("clients") == [("M-00001", None), ("M-00002", None)]
    assert customers("stops") == [("CC-0001", 3)]
    assert orders("stops") == [("M-00001", 2), ("M-00002", 1)]
    assert customers("collection_gap") == [("CC-0001", 10)]
    assert orders("collection_gap") == [("M-00002", 10)]
    assert customers("revenue_per_item") == [("CC-0002", 46), ("CC-0001", 25)]
    parts = by_customer(small, "revenue_per_item", "month", "2026-01")
    assert listed(parts, "customer_id", "revenue", "items") == [("CC-0002", 230, 5), ("CC-0001", 50, 2)]
    assert parts.together is None
    assert orders("subscriber_items") == [("M-00003", 5)]
    # C2 pays on the 5th, so the order cleaned on the 12th is under the subscription: worth two services.
    assert customers("multi_service_revenue") == [("CC-0002", 230)]
    assert orders("multi_service_revenue") == [("M-00003", 30), ("S-1", 200)]


def test_a_formula_that_looks_back_shows_its_parts(golden):
    found = by_customer(golden, "m1_customer_retention", "month", "2026-02")
    wanted = values(golden, ["m1_customers"], "2026-02")["m1_customers"]
    before = values(golden, ["m0_customers"], "2026-01")["m0_customers"]
    assert found.frame["m1_customers"].sum() == wanted and found.frame["before_m0_customers"].sum() == before
    assert found.frame["value"].null_count() == len(found.frame) and found.together is None
    assert rows(golden, "m1_customer_retention", "month", "2026-02").frame["customer_id"].n_unique() == wanted


@pytest.fixture
def hielo(golden_data):
    return queries.current("Hielo")


def test_a_person_kept_to_a_store_gets_rows_of_that_store_alone(hielo):
    found = hielo.rows("revenue", "month", "2026-02", limit=None)
    assert set(found.frame["store"]) == {"Hielo"}
    of_all = queries.current().rows("revenue", "month", "2026-02", limit=None)
    assert 0 < found.total < of_all.total
    alone = queries.current().by_customer("revenue", "month", "2026-02", filters=Filters(store="Hielo"))
    assert hielo.by_customer("revenue", "month", "2026-02").frame.equals(alone.frame)
    for ask in (hielo.rows, hielo.by_customer):
        with pytest.raises(QueryError, match="Your account shows Hielo alone"):
            ask("revenue", "month", "2026-02", filters=Filters(store="Moon Walk"))
        with pytest.raises(QueryError, match="of the whole business"):
            ask("m1_customers", "month", "2026-02")
