"""Each rule of docs/exports.md on a few rows, worked by hand."""

from datetime import date
from decimal import Decimal

import pytest

from etl.landing import open_kept, quarantine_files
from tests.etl.making import quarantined_rows


def adds_up(file: dict) -> bool:
    return file["read"] == file["loaded"] + sum(file["excluded"].values()) + sum(file["quarantined"].values())


def test_ids_get_their_standard_form(built):
    b = built(
        customers=[
            {"Customer ID": "79"},
            {"Customer ID": "CC-0002", "Name": "B"},
            {"Customer ID": "12345.0", "Name": "C"},
        ],
        orders=[
            {"Order ID": "1001", "Customer ID": "79"},
            {"Order ID": "201", "Customer ID": "2", "Store ID": "38516"},
            {"Order ID": "1234567", "Customer ID": "12345"},
        ],
        items=[{"Customer ID": "79"}],
        invoices=[{"Customer": "B"}, {"Customer": "B", "Reference": "Subscription Gold", "Invoice ID": "20002.0"}],
        legacy=[{"Order ID": "r10002", "Customer ID": "MW-00007"}],
    )
    assert b.rows("SELECT order_id, customer_id FROM sales ORDER BY ALL") == [
        ("H-00201", "CC-0002"),
        ("I-20001", "CC-0002"),
        ("M-01001", "CC-0079"),
        ("M-1234567", "CC-12345"),
        ("R-10002", "MW-0007"),
        ("S-20002", "CC-0002"),
    ]


def test_an_invoice_without_a_number_gets_a_lasting_one_from_its_content(built):
    rows = [{"Invoice ID": "", "Amount": "15.00"}, {"Invoice ID": "", "Amount": "16.00"}]
    first = built(invoices=rows).rows("SELECT order_id FROM sales WHERE kind <> 'Order' ORDER BY 1")
    again = built(invoices=rows[::-1]).rows("SELECT order_id FROM sales WHERE kind <> 'Order' ORDER BY 1")
    assert first == again and len(set(first)) == 2
    assert all(order_id.startswith("I-") and len(order_id) == 12 for (order_id,) in first)


def test_payments_under_one_invoice_number_are_all_money(built):
    rows = [
        {"Invoice ID": "5", "Amount": "20", "Payment Date": "2026-01-25"},
        {"Invoice ID": "5", "Amount": "10", "Payment Date": "2026-01-20"},
        {"Invoice ID": "5", "Amount": "40", "Store ID": "38516", "Payment Date": "2026-02-01"},
        {"Invoice ID": "", "Amount": "7", "Payment Method": "Cash"},
        {"Invoice ID": "", "Amount": "7", "Payment Method": "Card"},
    ]
    b = built(invoices=rows)
    assert b.file("invoices")["loaded"] == 5 and b.file("invoices")["excluded"] == {}
    got = b.rows("SELECT order_id, collections::INT FROM sales WHERE order_id LIKE 'I-5%' ORDER BY 1")
    assert got == [("I-5", 10), ("I-5-2", 20), ("I-5-3", 40)]
    assert b.one("SELECT sum(collections)::INT FROM sales WHERE kind = 'Invoice Payment'") == 84


def test_rows_of_another_store_are_left_out_and_counted(built):
    b = built(
        orders=[{}, {"Order ID": "5", "Store ID": "40001", "Store Name": "Lime Test Store"}],
        items=[{}, {"Order ID": "5", "Store ID": "40001"}],
        legacy=[{"Store ID": "40001", "Store Name": "Old branch"}],
    )
    assert b.file("orders")["excluded"] == {"other store": 1}
    assert b.file("items")["excluded"] == {"other store": 1}
    assert b.rows("SELECT store::VARCHAR FROM sales WHERE source = 'Legacy'") == [("Moon Walk",)]


def test_business_accounts_stay_out_of_sales_but_in_orders_and_items(built):
    b = built(
        customers=[{}, {"Customer ID": "2", "Name": "Grand Hotel", "Business ID": "5513"}],
        orders=[{}, {"Order ID": "900001", "Customer ID": "2", "Total": "500"}],
        items=[{}, {"Order ID": "900001", "Customer ID": "1", "Quantity": "40"}],  # the order's customer decides
        invoices=[{}, {"Customer": "GRAND HOTEL", "Reference": "SUBSCRIPTION X", "Invoice ID": "2"}],
    )
    assert b.file("orders")["excluded"] == {"B2B": 1} and b.file("orders")["loaded"] == 1
    assert b.file("invoices")["excluded"] == {"B2B": 1}
    assert b.file("items")["loaded"] == 2
    assert b.rows("SELECT order_id FROM sales ORDER BY 1") == [("I-20001",), ("M-01001",)]
    assert b.rows("SELECT order_id, b2b FROM orders ORDER BY 1") == [("M-01001", False), ("M-900001", True)]
    assert b.rows("SELECT customer_id, b2b FROM items ORDER BY item_no") == [("CC-0001", False), ("CC-0002", True)]


def test_an_orphan_item_is_of_its_own_customer(built):
    b = built(
        customers=[{}, {"Customer ID": "2", "Name": "Grand Hotel", "Business ID": "5513"}],
        items=[{"Order ID": "777", "Customer ID": "2"}, {"Order ID": "778", "Placed": "2026-02-02"}],
    )
    assert b.rows("SELECT orphan, b2b, earned_date FROM items ORDER BY item_no") == [
        (True, True, date(2026, 1, 10)),
        (True, False, date(2026, 2, 2)),
    ]


def test_an_items_blank_customer_is_its_orders(built):
    b = built(items=[{"Customer ID": ""}, {"Order ID": "777", "Customer ID": ""}])
    assert b.rows("SELECT customer_id FROM items") == [("CC-0001",)]
    assert b.file("items")["quarantined"] == {"no customer": 1}


@pytest.mark.parametrize(
    ("kind", "row", "rule"),
    [
        ("orders", {"Order ID": ""}, "no order ID"),
        ("orders", {"Order ID": "1000000001001"}, "no order ID"),  # more digits than an order number has
        ("orders", {"Order ID": "1.23457E+11"}, "no order ID"),
        ("legacy", {"Order ID": "9715012345678"}, "no order ID"),
        ("orders", {"Customer ID": "nan"}, "no customer"),
        ("orders", {"Placed": "15/01/2025"}, "unreadable Placed"),
        ("orders", {"Cleaned": "soon"}, "unreadable Cleaned"),
        ("orders", {"Total": "N/A"}, "unreadable Total"),
        ("orders", {"Paid": "2"}, "unreadable Paid"),
        ("orders", {"Placed": "2014-12-31"}, "Placed out of range"),
        ("orders", {"Placed": "2026-03-06"}, "Placed out of range"),
        ("orders", {"Cleaned": "2031-05-06"}, "Cleaned out of range"),
        ("items", {"Order ID": "-"}, "no order ID"),
        ("items", {"Quantity": "x"}, "unreadable Quantity"),
        ("items", {"Total": "x"}, "unreadable Total"),
        ("items", {"Placed": "100000"}, "Placed out of range"),
        ("invoices", {"Amount": "?"}, "unreadable Amount"),
        ("invoices", {"Payment Date": "TBC"}, "unreadable Payment Date"),
        ("invoices", {"Payment Date": "2026-04-01"}, "Payment Date out of range"),
        ("invoices", {"Customer": "Someone Else"}, "unknown customer name"),
        ("invoices", {"Customer": ""}, "unknown customer name"),
        ("customers", {"Customer ID": ""}, "no customer"),
        ("legacy", {"Order ID": ""}, "no order ID"),
        ("legacy", {"Customer ID": "none"}, "no customer"),
        ("legacy", {"Placed": "soon"}, "unreadable Placed"),
        ("legacy", {"Total": "1e2"}, "unreadable Total"),
    ],
)
def test_a_bad_row_goes_to_quarantine_under_its_rule(built, tmp_path, kind, row, rule):
    good = {"Order ID": "2002", "Invoice ID": "9"} if kind != "customers" else {"Customer ID": "2", "Name": "B"}
    rows = {kind: [{}, good | row]} if kind != "legacy" else {"legacy": [{}, good | row]}
    b = built(**rows)
    assert b.file(kind)["quarantined"] == {rule: 1}
    assert adds_up(b.file(kind)) and b.file(kind)["loaded"] == 1
    [kept] = quarantined_rows(quarantine_files(tmp_path / "data", b.build.build_id)[kind], None)
    assert (kept["row"], kept["rule"]) == ("3", rule)
    for column, text in row.items():
        assert kept[column] == (f"'{text}" if text == "-" else text)  # as it stood, safe to open in a spreadsheet


def test_limits_of_the_range_are_inside_it(built):
    b = built(orders=[{"Placed": "2015-01-01", "Cleaned": "2026-03-05"}])
    assert b.file("orders")["loaded"] == 1


def test_blank_values_have_their_meaning(built):
    b = built(
        orders=[{"Paid": "", "Total": "", "Placed": "None", "Cleaned": "2026-01-12", "Delivery": ""}],
        items=[{"Quantity": "", "Total": ""}],
        invoices=[{"Amount": ""}],
    )
    assert b.rows("SELECT total, paid, placed, delivery FROM sales WHERE kind = 'Order'") == [
        (Decimal("0.00"), False, None, False)
    ]
    assert b.rows("SELECT quantity, total FROM items") == [(Decimal("0.00"), Decimal("0.00"))]
    assert b.rows("SELECT collections FROM sales WHERE kind <> 'Order'") == [(Decimal("0.00"),)]


def test_an_unreadable_optional_value_is_missing_counted_and_told(built):
    b = built(orders=[{"Ready By": "x", "Pieces": "two", "Payment Date": "2031-01-01"}], customers=[{"Route #": "x"}])
    assert b.file("orders")["unreadable"] == {"Ready By": 1, "Pieces": 1}  # a payment date may lie in the future
    assert b.file("customers")["unreadable"] == {"Route #": 1}
    assert b.rows("SELECT area::VARCHAR FROM customers") == [("Other",)]
    loud = [w for w in b.manifest["warnings"] if w.startswith("IMPORTANT") and "Pieces" in w]
    assert len(loud) == 1 and "probably changed" in loud[0]


def test_few_unreadable_values_are_told_quietly(built):
    orders = [{"Order ID": str(i), "Pieces": "x" if i == 0 else "3"} for i in range(1, 31)]
    orders[0]["Pieces"] = "x"
    b = built(orders=orders, items=[{"Order ID": "1"}])
    [told] = [w for w in b.manifest["warnings"] if "Pieces" in w]
    assert told.startswith("CC-Orders") and "1 of 30" in told


def test_an_exact_copy_counts_once(built):
    b = built(orders=[{}, {}, {"Order ID": "2"}], items=[{}, {}], invoices=[{}, {}], customers=[{}, {}])
    for kind in ("orders", "items", "invoices", "customers"):
        assert b.file(kind)["excluded"] == {"exact duplicate row": 1}, kind


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        ({"Paid": "1", "Total": "10"}, {"Paid": "0", "Total": "20"}, 10),  # paid is later than unpaid
        ({"Cleaned": "2026-01-20", "Total": "10"}, {"Cleaned": "2026-01-12", "Total": "20"}, 10),
        ({"Cleaned": "2026-01-20 09:00:00", "Total": "10"}, {"Cleaned": "20 Jan 2026 08:59", "Total": "20"}, 10),
        ({"Cleaned": "", "Total": "10"}, {"Cleaned": "2026-01-12", "Total": "20"}, 20),
        ({"Total": "10"}, {"Total": "20"}, 20),  # else the later row
    ],
)
def test_of_one_order_twice_the_later_state_wins(built, first, second, stays):
    b = built(orders=[first, second])
    assert b.file("orders")["excluded"] == {"superseded duplicate order": 1}
    assert b.one("SELECT total::INT FROM sales WHERE kind = 'Order'") == stays


def test_the_same_number_in_two_stores_is_two_orders(built):
    b = built(orders=[{}, {"Store ID": "38516"}])
    assert b.rows("SELECT order_id FROM orders ORDER BY 1") == [("H-01001",), ("M-01001",)]


def test_a_repeated_customer_id_the_later_row_wins(built):
    b = built(
        customers=[{"Name": "Old"}, {"Name": "New"}], invoices=[{"Customer": "New"}, {"Customer": "Old", "Amount": "1"}]
    )
    assert b.rows("SELECT name FROM customers") == [("New",)]
    again = built(customers=[{"Name": "A"}, {"Name": "B"}, {"Name": "A"}], invoices=[{"Customer": "A"}])
    assert again.rows("SELECT name FROM customers") == [("A",)]
    assert again.file("customers")["excluded"] == {"exact duplicate row": 1, "superseded duplicate": 1}
    assert b.file("invoices")["quarantined"] == {"unknown customer name": 1}


def test_items_go_with_an_order_in_quarantine_but_not_with_a_business_order(built):
    b = built(
        orders=[{}, {"Order ID": "2", "Total": "x"}, {"Order ID": "3", "Customer ID": ""}],
        items=[{}, {"Order ID": "2"}, {"Order ID": "3", "Customer ID": ""}],
    )
    assert b.file("items")["excluded"] == {"order excluded": 2}


def test_an_order_whose_good_row_stays_keeps_its_items(built):
    b = built(orders=[{}, {"Total": "x"}])
    assert b.file("orders")["quarantined"] == {"unreadable Total": 1}
    assert b.file("items")["loaded"] == 1


def test_invoices_are_subscriptions_payments_or_unpaid(built):
    b = built(
        invoices=[
            {"Invoice ID": "1", "Reference": " subscription renewal", "Amount": "200"},
            {"Invoice ID": "2", "Reference": "SUBSCRIPTION 299", "Amount": "299", "Payment Date": ""},
            {"Invoice ID": "3", "Reference": "INV-3", "Amount": "50"},
            {"Invoice ID": "4", "Reference": "INV-4", "Amount": "60", "Payment Date": "nan"},
            {"Invoice ID": "5", "Reference": "My subscription", "Amount": "70"},
        ]
    )
    assert b.file("invoices")["excluded"] == {"unpaid invoice": 1}
    rows = "SELECT order_id, kind::VARCHAR, total, collections, earned_date FROM sales WHERE kind <> 'Order' ORDER BY 1"
    assert b.rows(rows) == [
        ("I-3", "Invoice Payment", Decimal("0.00"), Decimal("50.00"), date(2026, 1, 20)),
        ("I-5", "Invoice Payment", Decimal("0.00"), Decimal("70.00"), date(2026, 1, 20)),
        ("S-1", "Subscription", Decimal("200.00"), Decimal("200.00"), date(2026, 1, 20)),
        ("S-2", "Subscription", Decimal("299.00"), Decimal("299.00"), None),
    ]


def test_names_on_invoices_find_the_first_of_several_and_the_run_warns_by_id(built):
    b = built(
        customers=[{"Customer ID": "5", "Name": "Ann O'Neill"}, {"Customer ID": "3", "Name": "ann oneill"}],
        orders=[{"Customer ID": "5"}],
        invoices=[{"Customer": " ANN  O.NEILL "}],
    )
    assert b.rows("SELECT customer_id FROM sales WHERE kind <> 'Order'") == [("CC-0005",)]
    [told] = [w for w in b.manifest["warnings"] if "sharing one name" in w]
    assert "CC-0005, CC-0003" in told and "neill" not in told.lower()


def test_a_nameless_customer_matches_no_invoice(built):
    b = built(customers=[{}, {"Customer ID": "2", "Name": "-"}], invoices=[{"Customer": "."}])
    assert b.file("invoices")["quarantined"] == {"unknown customer name": 1}


@pytest.mark.parametrize(
    ("payments", "periods"),
    [
        (["2026-01-01"], [(date(2026, 1, 1), date(2026, 1, 31), 1)]),  # valid through 30 days later
        (["2026-01-01", "2026-01-20"], [(date(2026, 1, 1), date(2026, 2, 19), 2)]),  # overlap
        (["2026-01-01", "2026-02-01"], [(date(2026, 1, 1), date(2026, 3, 3), 2)]),  # touch
        (
            ["2026-01-01", "2026-02-02"],
            [(date(2026, 1, 1), date(2026, 1, 31), 1), (date(2026, 2, 2), date(2026, 3, 4), 1)],
        ),
        (["2025-10-01", "2025-10-20", "2025-11-10"], [(date(2025, 10, 1), date(2025, 12, 10), 3)]),  # a chain of three
        (["2026-01-01 22:00:00", "2026-01-01 08:00:00"], [(date(2026, 1, 1), date(2026, 1, 31), 2)]),
    ],
)
def test_subscription_periods_merge(built, payments, periods):
    invoices = [
        {"Invoice ID": str(i), "Reference": "Subscription", "Payment Date": p} for i, p in enumerate(payments, 1)
    ]
    b = built(invoices=invoices)
    assert b.rows("SELECT valid_from, valid_to, payments FROM subscriptions ORDER BY 1") == periods


def test_an_order_is_under_a_subscription_from_its_first_to_its_last_day(built):
    b = built(
        customers=[{}, {"Customer ID": "2", "Name": "B"}],
        orders=[
            {"Order ID": "1", "Cleaned": "2025-12-31", "Placed": "2025-12-30"},
            {"Order ID": "2", "Cleaned": "2026-01-01 00:10:00", "Placed": "2025-12-30"},
            {"Order ID": "3", "Cleaned": "2026-01-31 23:50:00"},
            {"Order ID": "4", "Cleaned": "2026-02-01"},
            {"Order ID": "5", "Cleaned": "2026-01-10", "Customer ID": "2"},
            {"Order ID": "6", "Cleaned": ""},
        ],
        items=[{"Order ID": "2"}, {"Order ID": "4"}],
        invoices=[{"Reference": "Subscription", "Payment Date": "2026-01-01"}],
    )
    under = dict(b.rows("SELECT order_id, under_subscription FROM sales WHERE kind = 'Order'"))
    assert [under[f"M-0000{i}"] for i in range(1, 7)] == [False, True, True, False, False, False]
    assert b.rows("SELECT under_subscription FROM items ORDER BY item_no") == [(True,), (False,)]


def test_money_is_collected_when_paid_and_not_to_be_invoiced(built):
    b = built(
        orders=[
            {"Order ID": "1", "Paid": "1", "Payment Type": "Cash", "Total": "10"},
            {"Order ID": "2", "Paid": "0", "Payment Type": "Cash", "Total": "20"},
            {"Order ID": "3", "Paid": "1", "Payment Type": "Invoice", "Total": "30"},
            {"Order ID": "4", "Paid": "1", "Payment Type": "", "Total": "40"},
        ]
    )
    got = b.rows("SELECT order_id, collections::INT FROM sales WHERE kind = 'Order' ORDER BY 1")
    assert got == [("M-00001", 10), ("M-00002", 0), ("M-00003", 0), ("M-00004", 40)]


def test_the_day_a_row_is_earned(built):
    b = built(
        orders=[{"Order ID": "1", "Cleaned": ""}, {"Order ID": "2", "Cleaned": "2026-01-12"}],
        items=[{"Order ID": "1"}, {"Order ID": "2"}],
        legacy=[{"Order ID": "R1", "Cleaned": ""}, {"Order ID": "R2", "Cleaned": "2024-05-03"}],
    )
    got = dict(b.rows("SELECT order_id, earned_date FROM sales WHERE kind = 'Order'"))
    assert got == {
        "M-00001": None,
        "M-00002": date(2026, 1, 12),
        "R-00001": date(2024, 5, 1),
        "R-00002": date(2024, 5, 3),
    }
    assert b.rows("SELECT earned_date FROM items ORDER BY item_no") == [(None,), (date(2026, 1, 12),)]


@pytest.mark.parametrize(
    ("route", "area"),
    [
        ("1", "Inside Abu Dhabi"),
        ("3", "Inside Abu Dhabi"),
        ("3.0", "Inside Abu Dhabi"),
        ("4", "Outer Abu Dhabi"),
        ("12", "Outer Abu Dhabi"),
        ("0", "Other"),
        ("", "Other"),
        ("-1", "Other"),
    ],
)
def test_a_route_lies_in_an_area(built, route, area):
    assert built(customers=[{"Route #": route}]).one("SELECT area::VARCHAR FROM customers") == area


def test_the_cohort_month_is_the_earlier_of_sign_up_and_first_earned(built):
    b = built(
        customers=[
            {"Customer ID": "1", "Signed Up Date": "2025-11-03"},
            {"Customer ID": "2", "Signed Up Date": "2026-02-20", "Name": "B"},
            {"Customer ID": "3", "Signed Up Date": "", "Name": "C"},
            {"Customer ID": "4", "Signed Up Date": "", "Name": "D"},
        ],
        orders=[
            {"Order ID": "1", "Customer ID": "1"},
            {"Order ID": "2", "Customer ID": "2"},
            {"Order ID": "3", "Customer ID": "3", "Cleaned": "2026-02-02"},
            {"Order ID": "5", "Customer ID": "5"},  # not in Customers
        ],
        invoices=[{"Customer": "D", "Payment Date": "2025-12-01"}],
        legacy=[
            {"Order ID": "R1", "Customer ID": "9", "Placed": "2024-03-31", "Cleaned": "2024-04-02"},
            {"Order ID": "R2", "Customer ID": "9", "Placed": "2024-06-01", "Cleaned": "2024-06-02"},
        ],
    )
    got = dict(b.rows("SELECT customer_id, strftime(cohort_month, '%Y-%m') FROM customers"))
    assert got == {
        "CC-0001": "2025-11",
        "CC-0002": "2026-01",
        "CC-0003": "2026-02",
        "CC-0004": "2025-12",
        "CC-0005": "2026-01",
        "MW-0009": "2024-03",
    }
    months = dict(b.rows("SELECT order_id, months_since_cohort FROM sales WHERE kind = 'Order'"))
    assert months == {"M-00001": 2, "M-00002": 0, "M-00003": 0, "M-00005": 0, "R-00001": 1, "R-00002": 3}
    assert b.one("SELECT count(*) FROM customers WHERE NOT in_export") == 2


def test_a_customers_month_counts_services_and_subscribers(built):
    b = built(
        customers=[{"Customer ID": str(i), "Name": f"C{i}"} for i in range(1, 5)],
        orders=[{"Order ID": str(i), "Customer ID": str(i), "Total": "100"} for i in range(1, 5)],
        items=[
            {"Order ID": "1", "Total": "90", "Section": "Laundry"},
            {"Order ID": "1", "Total": "10", "Section": "Dry Cleaning"},  # exactly 10 %: counts
            {"Order ID": "2", "Total": "90", "Section": "Laundry"},
            {"Order ID": "2", "Total": "9.99", "Section": "Dry Cleaning"},
            {"Order ID": "3", "Total": "1", "Section": "Laundry"},  # under 10 %, but there are items: one service
        ],
        invoices=[{"Customer": "C4", "Reference": "Subscription", "Payment Date": "2026-01-02"}],
    )
    got = b.rows(
        "SELECT customer_id, services, subscriber, multi_service, revenue::INT FROM customer_months "
        "WHERE store = 'All stores' ORDER BY 1"
    )
    assert got == [
        ("CC-0001", 2, False, True, 100),
        ("CC-0002", 1, False, False, 100),
        ("CC-0003", 1, False, False, 100),
        ("CC-0004", 0, True, True, 115),
    ]


def test_a_customers_month_of_the_whole_business_is_no_sum_over_stores(built):
    b = built(
        orders=[{"Order ID": "1", "Total": "100"}, {"Order ID": "2", "Total": "50", "Store ID": "38516"}],
        items=[
            {"Order ID": "1", "Total": "100", "Section": "Laundry"},
            {"Order ID": "2", "Total": "50", "Section": "Dry Cleaning", "Store ID": "38516"},
        ],
    )
    got = b.rows(
        "SELECT store::VARCHAR, revenue::INT, items::INT, services, multi_service FROM customer_months ORDER BY 1"
    )
    assert got == [("All stores", 150, 4, 2, True), ("Hielo", 50, 2, 1, False), ("Moon Walk", 100, 2, 1, False)]


def test_a_customers_month_counts_orders_and_has_its_last_earned_day(built):
    b = built(
        orders=[
            {"Order ID": "1", "Cleaned": "2026-01-12"},
            {"Order ID": "2", "Cleaned": "2026-01-15", "Store ID": "38516"},
            {"Order ID": "3", "Placed": "2026-01-20", "Cleaned": ""},  # not earned yet
            {"Order ID": "4", "Cleaned": "2026-02-03"},
        ],
        invoices=[
            {"Reference": "Subscription", "Payment Date": "2026-01-18"},  # activity, no order
            {"Invoice ID": "20002", "Payment Date": "2026-01-25"},  # an invoice payment: neither
        ],
    )
    got = b.rows("SELECT month, store::VARCHAR, orders, last_earned FROM customer_months ORDER BY 1, 2")
    assert got == [
        (date(2026, 1, 1), "All stores", 2, date(2026, 1, 18)),
        (date(2026, 1, 1), "Hielo", 1, date(2026, 1, 15)),
        (date(2026, 1, 1), "Moon Walk", 1, date(2026, 1, 18)),
        (date(2026, 2, 1), "All stores", 1, date(2026, 2, 3)),
        (date(2026, 2, 1), "Moon Walk", 1, date(2026, 2, 3)),
    ]


def test_a_cohort_counts_each_active_customer_once_a_month(built):
    b = built(
        customers=[{"Customer ID": str(i), "Name": f"C{i}", "Signed Up Date": "2026-01-03"} for i in (1, 2, 3)],
        orders=[
            {"Order ID": "1", "Customer ID": "1", "Cleaned": "2026-01-12"},
            {"Order ID": "2", "Customer ID": "1", "Cleaned": "2026-01-15", "Store ID": "38516"},
            {"Order ID": "3", "Customer ID": "2", "Cleaned": "2026-01-15"},
            {"Order ID": "4", "Customer ID": "1", "Cleaned": "2026-03-02"},  # the open month
            {"Order ID": "5", "Customer ID": "3", "Cleaned": ""},  # nothing earned: not active
        ],
        invoices=[{"Customer": "C3"}],  # an invoice payment is no activity
    )
    got = b.rows("SELECT cohort_month, months_since_cohort, customers FROM cohorts")
    assert got == [(date(2026, 1, 1), 0, 2), (date(2026, 1, 1), 2, 1)]


def test_an_orphan_counts_in_a_customers_month_only_where_the_customer_is_active(built):
    b = built(items=[{"Order ID": "777"}, {"Order ID": "778", "Placed": "2026-02-10"}])
    assert b.rows("SELECT month, items::INT FROM customer_months WHERE store = 'All stores'") == [(date(2026, 1, 1), 2)]


@pytest.mark.parametrize(
    ("months", "reactivated"),
    [
        (["2025-09", "2025-12"], [False, False]),  # two whole months without activity
        (["2025-09", "2026-01"], [False, True]),  # three
        (["2025-01", "2025-02", "2025-12", "2026-01"], [False, False, True, False]),
    ],
)
def test_a_customer_is_reactivated_after_three_whole_months(built, months, reactivated):
    orders = [{"Order ID": str(i), "Placed": f"{m}-05", "Cleaned": f"{m}-06"} for i, m in enumerate(months, 1)]
    b = built(orders=orders, items=[{"Order ID": "1", "Placed": f"{months[0]}-05"}])
    got = b.rows("SELECT reactivated FROM customer_months WHERE store = 'All stores' ORDER BY month")
    assert [flag for (flag,) in got] == reactivated


def test_periods_are_closed_when_they_end_before_the_exports_date(built):
    b = built(orders=[{"Placed": "2026-02-20", "Cleaned": "2026-02-24"}], invoices=[{"Payment Date": "2026-02-25"}])
    got = b.rows("SELECT grain::VARCHAR, period, first_day, last_day, closed FROM periods WHERE grain <> 'day'")
    assert got == [
        ("week", "2026-W09", date(2026, 2, 23), date(2026, 3, 1), True),
        ("week", "2026-W10", date(2026, 3, 2), date(2026, 3, 8), False),
        ("month", "2026-02", date(2026, 2, 1), date(2026, 2, 28), True),
        ("month", "2026-03", date(2026, 3, 1), date(2026, 3, 31), False),
        ("quarter", "2026-Q1", date(2026, 1, 1), date(2026, 3, 31), False),
    ]
    days = b.rows("SELECT period, closed FROM periods WHERE grain = 'day' ORDER BY first_day")
    assert days[0] == ("2026-02-24", True) and days[-1] == ("2026-03-05", False)


def test_a_week_around_new_year_has_its_iso_name(built):
    b = built(orders=[{"Placed": "2025-12-28", "Cleaned": "2025-12-30"}])
    names = [p for (p,) in b.rows("SELECT period FROM periods WHERE grain = 'week' ORDER BY first_day")]
    assert names[0] == "2026-W01"  # Monday 29 December 2025 begins it


def test_the_quarantine_keeps_the_row_as_it_stood(built, tmp_path):
    b = built(orders=[{}, {"Order ID": "2", "Total": "x", "Status": "=2+2", "Placed": "10 Jan 2026"}])
    path = quarantine_files(tmp_path / "data", b.build.build_id)["orders"]
    [row] = quarantined_rows(path, None)
    assert (row["file"], row["row"], row["rule"]) == ("CC-Orders-2026-03-05.csv", "3", "unreadable Total")
    assert (row["Total"], row["Placed"], row["Status"]) == ("x", "10 Jan 2026", "'=2+2")
    assert open_kept(path, None).startswith(b"\xef\xbb\xbf")
