"""Staff's payments in the figures, worked by hand: collections by method add up, nothing else moves."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from analytics import metrics, queries, receivables
from analytics.queries import Filters, ask, by_customer, ledger, query, rows
from etl import pipeline
from etl.business import load_business
from tests.etl.making import Built, exports

OPEN = {"Paid": "0", "Payment Type": "", "Cleaned": "2026-01-12", "Placed": "2026-01-10"}
ORDERS = [
    OPEN | {"Order ID": "1001", "Total": "40.00"},  # 12.50 Cash and 7.25 Terminal taken here
    OPEN | {"Order ID": "1002", "Total": "30.00", "Customer ID": "2", "Delivery": "1"},  # 30.00 Stripe taken here
    OPEN | {"Order ID": "1003", "Total": "20.00", "Cleaned": "2026-02-03"},  # nothing taken
    OPEN | {"Order ID": "1004", "Total": "60.00", "Paid": "1", "Payment Type": "Cash"},
    OPEN | {"Order ID": "1005", "Total": "9.00", "Cleaned": ""},  # 4.00 Cash, not earned yet
    OPEN | {"Order ID": "1006", "Total": "90.00", "Customer ID": "3"},  # a business account's: 50.00 Terminal
]
CUSTOMERS = [{}, {"Customer ID": "2", "Name": "Omar Aziz", "Route #": "7"}, {"Customer ID": "3", "Business ID": "B-7"}]
GIVEN = [
    (1, "M-01001", "12.50", "Cash"), (2, "M-01001", "7.25", "Terminal"), (3, "M-01002", "30.00", "Stripe"),
    (4, "M-01005", "4.00", "Cash"), (5, "M-01006", "50.00", "Terminal"), (6, "M-07777", "99.00", "Cash"),
]  # fmt: skip
SHARES = ("stripe_collections", "terminal_collections", "cash_collections", "receivable_collections",
          "other_collections")  # fmt: skip


def laundry(folder, given) -> Built:
    day = date(2026, 3, 4)
    frame = pl.DataFrame(
        [(n, order, Decimal(amount), how, day) for n, order, amount, how in given], schema=pipeline.PAYMENTS,
        orient="row",
    )  # fmt: skip
    made = exports(folder / "exports", customers=CUSTOMERS, orders=ORDERS, items=[{"Order ID": "1001"}])
    return Built(made, folder / "data", payments=frame)


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    return laundry(tmp_path_factory.mktemp("before"), []).con


@pytest.fixture(scope="module")
def after(tmp_path_factory):
    return laundry(tmp_path_factory.mktemp("after"), GIVEN).con


def month(con, *names, **how) -> dict:
    return query(con, list(names), "month", since="2026-01", until="2026-01", **how).row(0, named=True)


def test_collections_rise_in_the_orders_month_under_the_payments_method(before, after):
    # January before: 60 Cash (order 1004) and the invoice payment of 15 by Stripe
    assert month(before, "collections", *SHARES) == {
        "period": "2026-01", "collections": 75, "stripe_collections": 15, "terminal_collections": 0,
        "cash_collections": 60, "receivable_collections": 0, "other_collections": 0,
    }  # fmt: skip
    # and then 12.50 Cash, 7.25 Terminal, 30.00 Stripe: 75 + 49.75
    assert month(after, "collections", *SHARES) == {
        "period": "2026-01", "collections": 124.75, "stripe_collections": 45, "terminal_collections": 7.25,
        "cash_collections": 72.5, "receivable_collections": 0, "other_collections": 0,
    }  # fmt: skip
    # Revenue 130 as ever; the gap falls from 55 to 5.25, of 52.25 by digital means
    assert month(after, "revenue", "collection_gap", "digital_share") == {
        "period": "2026-01", "revenue": 130, "collection_gap": 5.25, "digital_share": pytest.approx(52.25 / 124.75),
    }  # fmt: skip
    february = query(after, ["collections", "revenue"], "month", since="2026-02", until="2026-02").row(0)
    assert february == ("2026-02", 0, 20)


def test_split_and_filtered_by_method_they_are_the_same(after):
    found = query(after, ["collections", "revenue"], "month", split="payment_type", since="2026-01", until="2026-01")
    by_method = {how: amount for _, how, amount, _ in found.iter_rows()}
    assert by_method == {"Stripe": 45, "Terminal": 7.25, "Cash": 72.5, "Receivable": 0, "Other": 0}
    for how, amount in by_method.items():
        assert month(after, "collections", filters=Filters(payment_type=how))["collections"] == amount
    # Revenue stays where the export has it: the two unpaid orders have no method there, so Other
    assert dict(found.select("payment_type", "revenue").iter_rows()) == {
        "Stripe": 0, "Terminal": 0, "Cash": 60, "Receivable": 0, "Other": 70}  # fmt: skip
    together = ask(after, {None: ["collections", *SHARES], "payment_type": ["collections"], "area": ["collections"]},
                   "month", since="2026-01", until="2026-01")  # fmt: skip
    assert {name: frame["collections"].sum() for name, frame in together.items()} == {
        None: 124.75, "payment_type": 124.75, "area": 124.75}  # fmt: skip
    areas = dict(together["area"].select("area", "collections").iter_rows())
    assert areas == {"Inside Abu Dhabi": 94.75, "Outer Abu Dhabi": 30, "Other": 0}


MOVED = {"collections", "collection_rate", "collection_gap", "digital_share", "cash_collections",
         "terminal_collections", "stripe_collections"}  # fmt: skip


@pytest.mark.parametrize("how", [{}, {"split": "payment_type"}, {"filters": Filters(payment_type="Cash")},
                                 {"split": "store"}])  # fmt: skip
@pytest.mark.parametrize("grain", ["month", "week"])
def test_no_other_figure_moves(before, after, grain, how):
    split = how.get("split")
    names = [
        m.name for m in metrics.METRICS.values()
        if grain in m.grains and (split is None or split in m.splits)
        and ("filters" not in how or queries.can_filter(m.name, "payment_type"))
    ]  # fmt: skip
    was, now = (query(con, names, grain, since=None, include_open=True, **how) for con in (before, after))
    assert len(was) and len(names) > 15
    moved = {name for name in names if not was[name].equals(now[name])}
    assert moved and moved <= MOVED


def test_outstanding_falls_by_what_was_taken(before, after):
    was, now = ledger(before), ledger(after)
    # 40 + 30 + 20 before; 40 - 19.75 = 20.25 and 20 after, the 30 settled; the order in work owes nothing yet
    assert dict(was.orders.select("order_id", "balance").iter_rows()) == {
        "M-01001": 40, "M-01002": 30, "M-01003": 20}  # fmt: skip
    assert dict(now.orders.select("order_id", "balance").iter_rows()) == {"M-01001": Decimal("20.25"), "M-01003": 20}
    assert receivables.business_accounts(was) == (1, 90)
    assert receivables.business_accounts(now) == (1, 40)
    assert queries.business_orders(after)["balance"].to_list() == [40]
    assert was.credit_sales == now.credit_sales, "credit sales are sales"
    assert [row["total"] for row in receivables.record(now)][:2] == ["40.25", "40.25"]
    assert queries.customer(after, "CC-0001")["balance"] == Decimal("40.25")
    assert queries.customer(after, "CC-0002")["balance"] == 0
    assert queries.customer(after, "CC-0003")["balance"] == 40


def lines(con, name, **how) -> list[tuple]:
    found = rows(con, name, "month", "2026-01", sort="order_id", descending=False, **how)
    assert found.together == pytest.approx(found.frame["value"].sum())
    return found.frame.select("order_id", "kind", "payment_type", "value").rows()


def test_behind_collections_each_payment_is_a_line_of_its_own(after):
    assert lines(after, "collections") == [
        ("I-20001", "Invoice Payment", "Stripe", 15), ("M-01001", "Paid here", "Cash", Decimal("12.50")),
        ("M-01001", "Paid here", "Terminal", Decimal("7.25")), ("M-01002", "Paid here", "Stripe", 30),
        ("M-01004", "Order", "Cash", 60),
    ]  # fmt: skip
    assert lines(after, "cash_collections") == [
        ("M-01001", "Paid here", "Cash", Decimal("12.50")), ("M-01004", "Order", "Cash", 60)]  # fmt: skip
    assert lines(after, "collections", filters=Filters(payment_type="Terminal")) == [
        ("M-01001", "Paid here", "Terminal", Decimal("7.25"))]  # fmt: skip
    # What the gap is made of: 20.25 of the order paid in part, less the invoice payment, which is no revenue
    assert lines(after, "collection_gap") == [
        ("I-20001", "Invoice Payment", "Stripe", -15), ("M-01001", "Order", "Other", Decimal("20.25"))]  # fmt: skip


def test_behind_collections_by_customer(after):
    found = by_customer(after, "collections", "month", "2026-01").frame
    assert dict(found.select("customer_id", "value").iter_rows()) == {"CC-0001": Decimal("94.75"), "CC-0002": 30}
    found = by_customer(after, "cash_collections", "month", "2026-01").frame
    assert dict(found.select("customer_id", "value").iter_rows()) == {"CC-0001": Decimal("72.50")}


def test_the_customers_own_page_says_what_was_received(after):
    history, _ = queries.customer_history(after, "CC-0001", sort="order_id", descending=False)
    received = dict(history.filter(pl.col("kind") == "Order").select("order_id", "collections").iter_rows())
    assert received == {"M-01001": Decimal("19.75"), "M-01003": 0, "M-01004": 60, "M-01005": 4}


def test_insights_can_be_told(after, tmp_path):
    from analytics.enrich import enrich

    built = laundry(tmp_path, GIVEN)
    built.con.close()
    with built.warehouse.open_candidate(built.build.build_id) as con:
        found = enrich(con, load_business(None))
    assert [row["total"] for row in found["receivables"]] == ["40.25", "40.25", "0.00"]
