"""What is owed: golden values, cases worked by hand, and what a run keeps for those to come."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from analytics import enrich, queries
from analytics.dashboards import DASHBOARDS, frame
from analytics.metrics import METRICS
from analytics.queries import RANKED, Filters, QueryError, Snapshot, ask, concentration, ledger
from analytics.receivables import (
    AGING,
    business_accounts,
    collection_effectiveness,
    dso,
    largest_debtors,
    oldest_orders,
    overdue,
    performance,
    start_of,
    summary,
    total,
)
from etl import pipeline
from etl.business import load_business
from etl.warehouse import Warehouse
from tests.etl.making import Built, exports

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
BUSINESS = load_business()
HIELO = {"Store ID": "38516", "Store Name": "Hielo"}
UNPAID = {"Paid": "0", "Cleaned": "2026-03-01", "Payment Type": ""}


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    return Built(GOLDEN / "exports", tmp_path_factory.mktemp("golden")).con


@pytest.fixture
def built(tmp_path):
    """Tiny exports, built and enriched: built(history=[...], business="...", orders=[...]) -> a connection."""

    def make(history=(), business=None, **rows):
        rows = {"customers": [{"Customer ID": str(i), "Name": f"C{i}"} for i in range(1, 6)]} | rows
        file = tmp_path / "business.toml"
        file.write_text(business or BUSINESS.text, encoding="utf-8")
        build = pipeline.build(exports(tmp_path / "exports", **rows), tmp_path / "data", business_file=file)
        house = Warehouse(tmp_path / "data" / "warehouse")
        with house.open_candidate(build.build_id) as con:
            enrich.enrich(con, load_business(file), history)
        return house.connect(build.build_id)

    return make


def order(number: int, customer: int, placed: str, amount: str, **more) -> dict:
    """An earned, unpaid order."""
    own = {"Order ID": str(number), "Customer ID": str(customer), "Placed": placed, "Total": amount}
    return UNPAID | own | more


# Open orders -----------------------------------------------------------------------------------------------------


def test_the_ledger_is_the_golden_one(golden):
    found = ledger(golden)
    assert summary(found.orders, found.as_of) == EXPECTED["outstanding"]


def test_debtors_hold_all_that_is_owed_each_in_its_buckets(golden):
    found = largest_debtors(ledger(golden).orders, n=10_000)
    want = EXPECTED["outstanding"]
    assert found.height == want["customers"]
    assert (found["orders"].sum(), round(found["balance"].sum(), 2)) == (want["orders"], want["amount"])
    for name, (_, amount) in want["aging"].items():
        assert round(found[name].sum(), 2) == amount
    assert largest_debtors(ledger(golden).orders).equals(found.head(20))
    assert found["balance"].is_sorted(descending=True)


DEBTS = [
    order(1, 1, "2026-01-01", "50"),  # 63 days before 5 March
    order(2, 1, "2026-03-01", "30.50"),
    order(3, 2, "2025-06-01", "80.50"),  # as much as customer 1: the ID decides
    order(4, 9, "2026-02-10", "10", **HIELO),  # nobody knows who customer 9 is
    order(5, 3, "2025-06-01", "5", **HIELO),
    order(6, 3, "", "7", Cleaned="2026-02-03"),  # placed on a day nobody knows: aged from the day it was earned
    order(7, 4, "2026-01-01", "900", Cleaned=""),  # not earned yet
    order(8, 4, "2026-01-01", "900", Paid="1"),
]


def test_debtors_by_hand(built):
    rows = largest_debtors(ledger(built(orders=DEBTS)).orders).rows()
    assert rows == [
        ("CC-0001", "C1", 2, 80.5, date(2026, 1, 1), 63, 30.5, 0.0, 50.0, 0.0),
        ("CC-0002", "C2", 1, 80.5, date(2025, 6, 1), 277, 0.0, 0.0, 0.0, 80.5),
        ("CC-0003", "C3", 2, 12.0, date(2025, 6, 1), 277, 7.0, 0.0, 0.0, 5.0),
        ("CC-0009", "CC-0009", 1, 10.0, date(2026, 2, 10), 23, 10.0, 0.0, 0.0, 0.0),
    ]


def test_debtors_and_orders_of_a_store_and_of_an_area(built):
    customers = [{"Customer ID": "1", "Name": "C1"}, {"Customer ID": "3", "Name": "C3", "Route #": "7"}]
    con = built(orders=DEBTS, customers=customers)
    hielo = ledger(con, Filters(store="Hielo"))
    assert largest_debtors(hielo.orders)["customer_id"].to_list() == ["CC-0009", "CC-0003"]
    assert total(hielo.orders) == 15
    assert oldest_orders(ledger(con, Filters(area="Outer Abu Dhabi")).orders)["order_id"].to_list() == [
        "H-00005", "M-00006"]  # fmt: skip
    assert largest_debtors(ledger(con).orders, n=1)["name"].to_list() == ["C1"]


def test_oldest_orders_by_hand(built):
    found = oldest_orders(ledger(built(orders=DEBTS)).orders, n=4)
    assert found.columns == ["order_id", "customer_id", "name", "store", "placed", "days", "balance"]
    assert found.rows() == [
        ("H-00005", "CC-0003", "C3", "Hielo", date(2025, 6, 1), 277, 5.0),
        ("M-00003", "CC-0002", "C2", "Moon Walk", date(2025, 6, 1), 277, 80.5),
        ("M-00001", "CC-0001", "C1", "Moon Walk", date(2026, 1, 1), 63, 50.0),
        ("M-00006", "CC-0003", "C3", "Moon Walk", date(2026, 2, 3), 30, 7.0),
    ]


@pytest.mark.parametrize(("terms", "late"), [(0, ["M-00001", "M-00002"]), (14, ["M-00001"]), (15, []), (30, [])])
def test_an_order_is_overdue_the_day_after_it_is_due(built, terms, late):
    con = built(
        business=BUSINESS.text.replace("payment_terms_days = 0", f"payment_terms_days = {terms}"),
        orders=[
            order(1, 1, "2026-02-18", "10"),  # 15 days before 5 March
            order(2, 1, "2026-03-04", "20"),
            order(3, 1, "2026-03-05", "40", Cleaned="2026-03-05"),
        ],
    )
    found = ledger(con)
    assert overdue(found.orders, found.as_of)["order_id"].to_list() == late
    owed = con.execute("SELECT as_of, store::VARCHAR, total, not_yet_due FROM receivables ORDER BY store").fetchall()
    on_time = 70 - sum({"M-00001": 10, "M-00002": 20}[one] for one in late)
    assert owed == [
        (date(2026, 3, 5), "All stores", 70, on_time),
        (date(2026, 3, 5), "Moon Walk", 70, on_time),
        (date(2026, 3, 5), "Hielo", 0, 0),
    ]


def test_business_accounts_are_apart(built):
    customers = [{"Customer ID": "1", "Name": "C1"}, {"Customer ID": "2", "Name": "Hotel", "Business ID": "7"}]
    con = built(
        customers=customers,
        orders=[
            order(1, 1, "2026-01-01", "10"),
            order(2, 2, "2026-01-01", "200.25"),
            order(3, 2, "2026-01-01", "300", **HIELO),
            order(4, 2, "2026-01-01", "4000", Cleaned=""),
            order(5, 2, "2026-01-01", "5000", Paid="1"),
            order(6, 2, "2026-01-01", "0"),
        ],
    )
    found = ledger(con)
    assert (business_accounts(found), total(found.orders)) == ((2, 500.25), 10)
    assert business_accounts(ledger(con, Filters(store="Hielo"))) == (1, 300.0)
    assert business_accounts(ledger(con, Filters(area="Outer Abu Dhabi"))) == (0, 0.0)
    assert business_accounts(ledger(con, Filters(area="Inside Abu Dhabi"))) == (2, 500.25)


def test_golden_business_accounts_are_the_unpaid_earned_orders_of_the_file(golden):
    count, amount = golden.execute(
        "SELECT count(*), sum(total)::DOUBLE FROM orders WHERE b2b AND cleaned IS NOT NULL AND NOT paid"
    ).fetchone()
    assert business_accounts(ledger(golden)) == (count, amount)
    assert count > 0


def test_nothing_owed_is_nothing_and_no_error(built):
    found = ledger(built(orders=[{}]))
    assert summary(found.orders, found.as_of)["amount"] == 0
    assert largest_debtors(found.orders).is_empty() and oldest_orders(found.orders).is_empty()
    assert business_accounts(found) == (0, 0.0)
    # The paid order of the defaults was paid on a day nobody knows, so there are no credit sales to divide by.
    assert performance(found).row(0) == ("All stores", *[0.0] * 4, *[None] * 6)


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (Filters(item_category="Extras"), "What is owed is not counted by item category"),
        (Filters(store="Nowhere"), "no store 'Nowhere'"),
    ],
)
def test_a_filter_that_does_not_fit_is_a_plain_word(golden, filters, said):
    with pytest.raises(QueryError, match=said):
        ledger(golden, filters)


def test_a_reader_of_one_store_sees_that_store_alone(golden):
    everybody = Snapshot("x", golden, {})
    hielo = everybody.restricted("Hielo")
    assert hielo.ledger().orders.equals(ledger(golden, Filters(store="Hielo")).orders)
    assert hielo.ledger().stores == ("Hielo",)
    assert set(hielo.ledger().orders["store"]) == {"Hielo"}
    with pytest.raises(QueryError, match="shows Hielo alone"):
        hielo.ledger(Filters(store="Moon Walk"))
    assert everybody.ledger().orders.height == 735


# DSO and collection effectiveness --------------------------------------------------------------------------------

M = Decimal(1_000_000)


def test_dso_by_hand():
    found = dso(receivables=M * 12 / 10, not_yet_due=M * 8 / 10, credit_sales=10 * M, days=365)
    assert (found.days, found.best_possible) == (pytest.approx(43.8), pytest.approx(29.2))
    assert found.delinquent == pytest.approx(14.6)
    assert dso(Decimal(5), Decimal(5), Decimal(0)) == dso(Decimal(0), Decimal(0), Decimal(0), 10)
    assert dso(Decimal(5), Decimal(5), Decimal(0)).days is None


def test_collection_effectiveness_by_hand():
    # 100 owed and 300 sold on credit: of the 400, 80 are still owed, 30 of these not yet due. 320 of 370 came in.
    assert collection_effectiveness(Decimal(100), Decimal(300), Decimal(80), Decimal(30)) == pytest.approx(320 / 370)
    assert collection_effectiveness(Decimal(100), Decimal(0), Decimal(100), Decimal(0)) == 0
    assert collection_effectiveness(Decimal(100), Decimal(50), Decimal(40), Decimal(40)) == 1
    assert collection_effectiveness(Decimal(0), Decimal(0), Decimal(0), Decimal(0)) is None


@pytest.mark.parametrize(
    ("days", "start"),
    [
        ([], None),
        ([date(2026, 3, 5)], None),  # 90 days before 5 March is 5 December
        ([date(2026, 1, 4)], date(2026, 1, 4)),  # 60 days before, as far as it reaches
        ([date(2026, 1, 5)], None),
        ([date(2025, 11, 5)], date(2025, 11, 5)),  # 120 days before
        ([date(2025, 11, 4)], None),
        ([date(2025, 12, 2), date(2025, 12, 7)], date(2025, 12, 7)),
        ([date(2025, 12, 7), date(2025, 12, 3)], date(2025, 12, 3)),  # as near: the earlier
    ],
)
def test_collection_effectiveness_starts_from_the_record_nearest_to_90_days_before(days, start):
    assert start_of(days, date(2026, 3, 5)) == start


def cash(number: int, amount: str, **more) -> dict:
    return order(number, 1, "2026-02-01", amount, Paid="1", **{"Payment Type": "Cash", "Cleaned": "2026-02-03"} | more)


SOLD = [
    cash(1, "1000", **{"Payment Date": "2026-02-01"}),  # paid as it was placed
    cash(2, "2000"),  # paid on a day nobody knows
    cash(3, "100", **{"Payment Date": "2026-02-02"}),  # paid the day after
    cash(4, "200", **{"Payment Date": "2026-02-09 10:00", "Placed": "2026-02-09 23:00"}),  # the same day
    cash(5, "40", **{"Payment Date": "2026-02-20", "Cleaned": "2025-12-06"}),  # earned 89 days before: the first of 90
    cash(6, "80", **{"Payment Date": "2026-02-20", "Cleaned": "2025-12-05"}),  # 90 days before: too early for DSO
    order(7, 1, "2026-02-01", "60"),  # not paid
    order(8, 1, "2026-03-05", "20", Cleaned="2026-03-05"),  # not paid, and due today
    order(9, 2, "2026-02-01", "10", **HIELO),
    cash(10, "500", Cleaned="", **{"Payment Date": "2026-02-20"}),  # not earned
    cash(11, "9000", **{"Payment Date": "2026-02-20", "Cleaned": "2025-12-04"}),  # on the day of the record: in it
]


def kept(day: str, **owed: str) -> list[dict]:
    return [{"as_of": day, "store": s.replace("_", " "), "total": t, "not_yet_due": "0.00"} for s, t in owed.items()]


def test_dso_of_the_last_90_days_by_hand(built):
    found = performance(ledger(built(orders=SOLD)))
    # Credit sales: 100 + 40 + 60 + 20 in Moon Walk, 10 in Hielo. Owed: 80, 20 of it not overdue, and 10.
    assert found.drop("start_receivables", "credit_sales_since", "collection_effectiveness").rows() == [
        ("All stores", 90, 20, 70, 230, pytest.approx(90 / 230 * 90), pytest.approx(20 / 230 * 90),
         pytest.approx(70 / 230 * 90)),
        ("Moon Walk", 80, 20, 60, 220, pytest.approx(80 / 220 * 90), pytest.approx(20 / 220 * 90),
         pytest.approx(60 / 220 * 90)),
        ("Hielo", 10, 0, 10, 10, pytest.approx(90), 0, pytest.approx(90)),
    ]  # fmt: skip
    assert found["collection_effectiveness"].to_list() == [None, None, None]


def test_collection_effectiveness_from_the_record_by_hand(built):
    history = [
        *kept("2025-12-04", All_stores="300.00", Moon_Walk="250.00", Hielo="50.00"),
        *kept("2025-11-20", All_stores="999.00"),
        *kept("2026-02-01", All_stores="888.00"),
        *kept("2026-03-06", All_stores="777.00"),  # later than these exports: not theirs to know
        *kept("2025-12-05", Closed_store="1.00"),
    ]
    con = built(history, orders=SOLD)
    found = ledger(con)
    assert (found.start, found.why) == (date(2025, 12, 4), "")
    assert found.records["as_of"].unique().sort().to_list() == [
        date(2025, 11, 20), date(2025, 12, 4), date(2026, 2, 1), date(2026, 3, 5)]  # fmt: skip
    rows = performance(found).select("store", "start_receivables", "credit_sales_since", "collection_effectiveness")
    # Since 4 December the order of 80 was sold on credit too.
    assert rows.rows() == [
        ("All stores", 300, 310, pytest.approx((300 + 310 - 90) / (300 + 310 - 20))),
        ("Moon Walk", 250, 300, pytest.approx((250 + 300 - 80) / (250 + 300 - 20))),
        ("Hielo", 50, 10, pytest.approx(50 / 60)),
    ]
    assert performance(ledger(con, Filters(store="Hielo"))).select(rows.columns).rows() == [rows.row(2)]


def test_without_a_start_it_says_why(built):
    con = built(kept("2026-02-01", All_stores="1.00"), orders=SOLD)
    found = ledger(con)
    assert found.start is None
    assert found.why == "What was owed around 5 Dec 2025 is not on record: every refresh keeps it from now on."
    assert "each store only" in ledger(con, Filters(area="Inside Abu Dhabi")).why
    assert performance(ledger(con, Filters(area="Other")))["collection_effectiveness"].to_list() == [None] * 3


def test_stores_credit_sales_and_receivables_add_up(golden):
    found = performance(ledger(golden))
    whole, stores = found.head(1), found.tail(2)
    for name in ("receivables", "not_yet_due", "overdue", "credit_sales"):
        assert round(stores[name].sum(), 2) == whole[name][0], name
    assert whole["receivables"][0] == EXPECTED["outstanding"]["amount"]
    assert whole["dso"][0] == pytest.approx(whole["best_possible_dso"][0] + whole["delinquent_days"][0])


# Concentration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", EXPECTED["pareto"])
def test_concentration_is_the_golden_one(golden, period):
    want, found = EXPECTED["pareto"][period], concentration(golden, "month", period)
    assert found.height == want["customers"]
    assert round(found["revenue"].sum(), 2) == want["revenue"]
    assert found["revenue"].head(20).to_list() == want["top20"]
    assert found["rank"].to_list() == list(range(1, found.height + 1))
    assert found["cumulative_share"][-1] == pytest.approx(1)
    assert found.equals(found.sort(["revenue", "customer_id"], descending=[True, False]))


def test_concentration_of_weeks_holds_the_weeks_customers_and_revenue(golden):
    for period, want in EXPECTED["weeks"].items():
        found = concentration(golden, "week", period)
        assert (found.height, round(found["revenue"].sum(), 2)) == (want["customers"], want["revenue"]), period


@pytest.mark.parametrize(("grain", "period"), [("month", "2025-03"), ("week", "2026-W09")])
def test_concentration_comes_with_metrics_in_one_statement(golden, grain, period):
    """The same customers and the same figures as of two questions, whichever period is chosen."""
    names = ["customers", "revenue", "stops"]
    for filters in (Filters(), Filters(store="Hielo", area="Other")):
        found = ask(golden, {None: names, "area": ["revenue"]}, grain, filters=filters, ranked=period)
        assert found.pop(RANKED).equals(concentration(golden, grain, period, filters))
        apart = ask(golden, {None: names, "area": ["revenue"]}, grain, filters=filters)
        assert list(found) == list(apart) and all(found[split].equals(apart[split]) for split in apart)
    assert ask(golden, {None: []}, grain, ranked=period)[RANKED].equals(concentration(golden, grain, period))
    with pytest.raises(QueryError, match="in the data: it has"):
        ask(golden, {None: names}, grain, ranked="2031-01")
    with pytest.raises(QueryError, match="whole business"):
        Snapshot("x", golden, {}, only="Hielo").ask({None: names}, grain, ranked=period)


def test_customers_are_not_ranked_beside_a_stores_figures(golden):
    tab = next(t for d in DASHBOARDS.values() for t in d.tabs if any(METRICS[n].whole for n in t.metrics))
    with pytest.raises(ValueError, match="not ranked beside the figures of Hielo"):
        frame.figures(Snapshot("x", golden, {}), tab, "month", Filters(store="Hielo"), "2026-02")


def test_concentration_by_hand(built):
    orders = [
        {"Order ID": "1", "Customer ID": "1", "Total": "30"},
        {"Order ID": "2", "Customer ID": "9", "Total": "60"},  # nobody knows who customer 9 is
        {"Order ID": "3", "Customer ID": "2", "Total": "10", **HIELO},
        {"Order ID": "4", "Customer ID": "1", "Total": "20", **HIELO},
        {"Order ID": "5", "Customer ID": "3", "Total": "50"},  # as much as customer 1
        {"Order ID": "6", "Customer ID": "4", "Total": "70", "Cleaned": ""},
        {"Order ID": "7", "Customer ID": "5", "Total": "0"},  # active all the same
    ]
    con = built(orders=orders, invoices=[{"Customer": "C4", "Amount": "500"}])
    found = concentration(con, "month", "2026-01")
    assert found.columns == ["rank", "customer_id", "name", "revenue", "share", "cumulative_share"]
    assert [row[:4] for row in found.rows()] == [
        (1, "CC-0009", "CC-0009", 60.0), (2, "CC-0001", "C1", 50.0), (3, "CC-0003", "C3", 50.0),
        (4, "CC-0002", "C2", 10.0), (5, "CC-0005", "C5", 0.0)]  # fmt: skip
    assert found["share"].to_list() == pytest.approx([60 / 170, 50 / 170, 50 / 170, 10 / 170, 0])
    assert found["cumulative_share"].to_list() == pytest.approx([60 / 170, 110 / 170, 160 / 170, 1, 1])
    assert concentration(con, "week", "2026-W03").equals(found)
    hielo = concentration(con, "month", "2026-01", Filters(store="Hielo"))
    assert hielo["customer_id"].to_list() == ["CC-0001", "CC-0002"]
    assert hielo["share"].to_list() == pytest.approx([20 / 30, 10 / 30])
    assert concentration(con, "month", "2026-01", Filters(payment_type="Cash")).equals(found)
    assert concentration(con, "month", "2026-02").is_empty()


def test_no_revenue_has_no_share(built):
    found = concentration(built(orders=[{"Total": "0"}]), "month", "2026-01")
    assert found.select("revenue", "share", "cumulative_share").rows() == [(0.0, None, None)]


def test_concentration_answers_what_it_cannot_in_plain_words(golden):
    with pytest.raises(QueryError, match="no month '2031-01' in the data: it has 2024-01 to 2026-03"):
        concentration(golden, "month", "2031-01")
    with pytest.raises(QueryError, match="not counted by item category"):
        concentration(golden, "month", "2026-02", Filters(item_category="Extras"))
    everybody = Snapshot("x", golden, {})
    assert everybody.concentration("month", "2026-02", Filters(store="Hielo")).height > 0
    with pytest.raises(QueryError, match="whole business"):
        everybody.restricted("Hielo").concentration("month", "2026-02")


def test_aging_has_a_name_for_each_bucket(built):
    days = [("2026-02-03", 0), ("2026-02-02", 1), ("2026-01-04", 1), ("2026-01-03", 2), ("2025-12-05", 2),
            ("2025-12-04", 3)]  # fmt: skip
    found = ledger(built(orders=[order(i, 1, day, "1") for i, (day, _) in enumerate(days, 1)])).orders
    assert dict(found.select("placed", "bucket").rows()) == {date.fromisoformat(day): place for day, place in days}
    assert found.schema["balance"] == pl.Decimal(38, 2)
    assert len(AGING) == 4


def test_queries_by_store_are_the_ledgers(golden):
    by_store = queries.receivables_by_store(golden)
    assert by_store["Hielo"] == queries.receivables(golden, Filters(store="Hielo"))
    assert sum(one["orders"] for store, one in by_store.items() if store != "All stores") == 735
