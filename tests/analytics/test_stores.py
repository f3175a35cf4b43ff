"""Figures by store, worked by hand: what adds up to the whole, and what does not."""

import pytest

from analytics.queries import Filters, query
from tests.etl.making import Built, exports

HIELO = {"Store ID": "38516", "Store Name": "Hielo"}
MOON, ICE = "Moon Walk", "Hielo"


@pytest.fixture
def stores(tmp_path):
    """stores(names, orders=[...], ...) -> {"Moon Walk": {...}, "Hielo": {...}, None: {...}} of January 2026."""
    made = []

    def ask(names, period="2026-01", grain="month", **rows):
        if rows or not made:
            rows.setdefault("customers", [{"Customer ID": str(i), "Name": f"C{i}"} for i in range(1, 8)])
            rows.setdefault("items", [{"Order ID": "1", "Quantity": "1", "Total": "5"}])
            rows.setdefault("invoices", [{"Payment Date": "2025-12-31", "Customer": "C1"}])
            made.append(Built(exports(tmp_path / f"e{len(made)}", **rows), tmp_path / f"d{len(made)}").con)

        def one(store):
            how = {"since": period, "until": period, "filters": Filters(store=store)}
            return query(made[-1], names, grain, **how).drop("period").row(0, named=True)

        return {store: one(store) for store in (MOON, ICE, None)}

    return ask


def order(number: int, customer: int, amount: str = "10", **more) -> dict:
    return {"Order ID": str(number), "Customer ID": str(customer), "Total": amount} | more


def column(found: dict, name: str) -> tuple:
    """A figure of Moon Walk, of Hielo, and of the whole."""
    return tuple(found[store][name] for store in (MOON, ICE, None))


def test_a_customer_of_both_stores_counts_in_each_and_once_in_the_whole(stores):
    names = ["customers", "revenue", "revenue_per_customer", "collections", "earned_rows"]
    found = stores(
        names,
        orders=[order(1, 1, "40"), order(2, 1, "10", **HIELO), order(3, 2, "30", **HIELO), order(4, 3, "20", Paid="0")],
        invoices=[{"Customer": "C1", "Amount": "7", **HIELO}],  # money for Hielo, no activity
    )
    assert column(found, "customers") == (2, 2, 3)
    assert column(found, "revenue") == (60, 40, 100)
    assert column(found, "revenue_per_customer") == (30, 20, pytest.approx(100 / 3))
    assert column(found, "collections") == (40, 47, 87)
    assert column(found, "earned_rows") == (2, 3, 5)


def test_a_subscription_bought_in_one_store_covers_orders_in_the_other(stores):
    names = ["subscribers", "clients", "subscriber_revenue", "client_revenue", "subscriber_items", "client_items"]
    paid = {"Customer": "C1", "Reference": "Subscription", "Amount": "200", "Payment Date": "2026-01-02"}
    found = stores(
        names,
        orders=[order(1, 1, "30", **HIELO), order(2, 2, "50", **HIELO)],
        items=[
            {"Order ID": "1", "Quantity": "3", **HIELO},
            {"Order ID": "2", "Customer ID": "2", "Quantity": "5", **HIELO},
            {"Order ID": "77", "Quantity": "1"},  # an orphan, handed in at Moon Walk: under no subscription
        ],
        invoices=[paid],
    )
    assert column(found, "subscribers") == (1, 0, 1)
    assert column(found, "clients") == (0, 2, 1)  # of Hielo customer 1 is a client: it sold no subscription
    assert column(found, "subscriber_revenue") == (200, 30, 230)
    assert column(found, "client_revenue") == (0, 50, 50)
    assert column(found, "subscriber_items") == (0, 3, 3)
    assert column(found, "client_items") == (1, 5, 6)


def test_new_is_new_to_the_business_not_to_the_store(stores):
    names = ["new_customers", "existing_customers", "new_revenue", "existing_revenue", "m1_customers"]
    december = {"Placed": "2025-12-09", "Cleaned": "2025-12-10"}
    found = stores(
        names,
        customers=[{"Customer ID": str(i), "Name": f"C{i}", "Signed Up Date": ""} for i in (1, 2)],
        orders=[
            order(1, 1, "10", **december), order(2, 1, "20", **HIELO), order(3, 2, "40"), order(4, 2, "80", **HIELO),
        ],
    )  # fmt: skip
    assert column(found, "new_customers") == (1, 1, 1)  # customer 1 has known the business since December
    assert column(found, "existing_customers") == (0, 1, 1)
    assert column(found, "new_revenue") == (40, 80, 120)
    assert column(found, "existing_revenue") == (0, 20, 20)
    assert column(found, "m1_customers") == (0, 1, 1)


def test_reactivation_is_counted_in_each_store_by_what_it_saw_itself(stores):
    def earned(number, customer, month, **more):
        return order(number, customer, "10", Placed=f"{month}-09", Cleaned=f"{month}-10", **more)

    found = stores(
        ["reactivated_customers", "reactivated_revenue"],
        orders=[
            earned(1, 1, "2025-09"), earned(2, 1, "2026-01"),  # three months away: back
            earned(3, 2, "2025-09"), earned(4, 2, "2025-12", **HIELO), earned(5, 2, "2026-01"),  # away from one alone
        ],
    )  # fmt: skip
    assert column(found, "reactivated_customers") == (2, 0, 1)
    assert column(found, "reactivated_revenue") == (20, 0, 10)


def test_services_are_those_a_store_did_itself(stores):
    found = stores(
        ["multi_service_customers", "multi_service_revenue", "multi_service_share"],
        orders=[order(1, 1, "10"), order(2, 1, "30", **HIELO)],
        items=[{"Order ID": "1", "Section": "Wash & Press", "Total": "10"},
               {"Order ID": "2", "Section": "Dry Cleaning", "Total": "30", **HIELO}],
    )  # fmt: skip
    assert column(found, "multi_service_customers") == (0, 0, 1)
    assert column(found, "multi_service_revenue") == (0, 0, 40)
    assert column(found, "multi_service_share") == (0, 0, 1)


def test_rows_of_the_old_system_take_ratios_from_their_store_and_the_whole_alone(stores):
    names = ["revenue", "items", "collection_rate", "collection_gap", "revenue_per_item"]
    found = stores(
        names,
        orders=[order(1, 1, "40"), order(2, 2, "60", Paid="0", **HIELO)],
        items=[{"Order ID": "1", "Quantity": "4"}],
        legacy=[{"Placed": "2026-01-03", "Cleaned": "2026-01-04", "Total": "25", **HIELO}],
    )
    assert column(found, "revenue") == (40, 85, 125)
    assert column(found, "items") == (4, 0, 4)
    assert column(found, "collection_rate") == (1, None, None)
    assert column(found, "collection_gap") == (0, None, None)
    assert column(found, "revenue_per_item") == (10, None, None)


def test_the_top_twenty_per_cent_have_a_threshold_a_store(stores):
    # Moon Walk 10, 20: the 80th percentile is 18. Hielo 30, 40: 38. The whole 10, 20, 30, 40: 34.
    amounts = [(1, "10", {}), (2, "20", {}), (3, "30", HIELO), (4, "40", HIELO)]
    found = stores(
        ["spend_threshold", "top20_spend_revenue", "top20_spend_share"],
        orders=[order(i, i, amount, **store) for i, amount, store in amounts],
    )
    assert column(found, "spend_threshold") == pytest.approx((18, 38, 34))
    assert column(found, "top20_spend_revenue") == (20, 40, 40)
    assert column(found, "top20_spend_share") == pytest.approx((20 / 30, 40 / 70, 40 / 100))


@pytest.mark.parametrize(("grain", "period"), [("month", "2026-01"), ("week", "2026-W03")])
def test_deliveries_and_days_by_month_and_week(stores, grain, period):
    names = ["stops", "delivery_revenue", "delivery_rate", "processing_days", "express_share", "item_revenue"]
    found = stores(
        names, period, grain,
        orders=[
            order(1, 1, "40", Delivery="1", **{"Pickup Date": "2026-01-09"}),  # 10 to 12 January
            order(2, 1, "20", Delivery="1", Placed="2026-01-08", **HIELO),
            order(3, 2, "10", Placed="2026-01-12", **HIELO),
        ],
        items=[
            {"Order ID": "1", "Quantity": "4", "Total": "12", "Express": "1"},
            {"Order ID": "2", "Quantity": "6", "Total": "8", **HIELO},
        ],
    )  # fmt: skip
    # All were cleaned on Monday 12 January, the first day of week 3.
    assert column(found, "stops") == (2, 1, 3)
    assert column(found, "delivery_revenue") == (40, 20, 60)
    assert column(found, "delivery_rate") == (0.5, 1, pytest.approx(2 / 3))
    assert column(found, "processing_days") == (2, 2, 2)
    assert column(found, "express_share") == (1, 0, 0.4)
    assert column(found, "item_revenue") == (12, 8, 20)
