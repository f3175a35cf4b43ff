"""What of staff's payments counts, worked by hand: the export wins, part payments add up, nothing counts twice."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from etl import checks, pipeline
from etl.errors import CheckError
from tests.etl.making import exports

DAY = date(2026, 3, 4)


def paid(*rows: tuple) -> pl.DataFrame:
    """Rows of payment_id, order_id, amount, method and, where it matters, the day."""
    full = [(number, order, Decimal(amount), method, *(day or [DAY])) for number, order, amount, method, *day in rows]
    return pl.DataFrame(full, schema=pipeline.PAYMENTS, orient="row")


OPEN = {"Order ID": "1001", "Total": "40.00", "Paid": "0", "Payment Type": "", "Cleaned": "2026-01-12"}
IN_WORK = OPEN | {"Order ID": "1002", "Cleaned": "", "Total": "30.00"}
PAID = {"Order ID": "1003", "Total": "25.00", "Paid": "1", "Payment Type": "Terminal"}
BUSINESS = OPEN | {"Order ID": "1004", "Customer ID": "2", "Total": "90.00"}
ORDERS = (OPEN, IN_WORK, PAID, BUSINESS)
CUSTOMERS = ({}, {"Customer ID": "2", "Name": "Hotel Corniche", "Business ID": "B-7"})
SALES = "SELECT order_id, total, collections, paid_here, balance FROM sales WHERE kind = 'Order' ORDER BY 1"


def money(rows: list[tuple]) -> dict:
    return {first: tuple(f"{v:.2f}" for v in rest) for first, *rest in rows}


@pytest.fixture
def build(built):
    """build(payments, orders=...): the laundry above with these payments."""
    return lambda payments=None, orders=ORDERS: built(
        {"payments": payments}, customers=CUSTOMERS, orders=orders, items=({"Order ID": "1001"},)
    )


def test_without_payments_an_unpaid_order_owes_its_total(build):
    b = build()
    #                             total    collections  here  balance
    assert money(b.rows(SALES)) == {
        "M-01001": ("40.00", "0.00", "0.00", "40.00"),
        "M-01002": ("30.00", "0.00", "0.00", "30.00"),
        "M-01003": ("25.00", "25.00", "0.00", "0.00"),
    }
    assert b.rows("FROM payments") == []
    assert b.manifest["payments"] == {}


def test_part_payments_by_two_methods_add_up(build):
    b = build(paid((1, "M-01001", "12.50", "Cash"), (2, "M-01001", "7.25", "Terminal")))
    # 12.50 + 7.25 = 19.75 taken; 40.00 - 19.75 = 20.25 still owed; revenue as before
    assert money(b.rows(SALES))["M-01001"] == ("40.00", "19.75", "19.75", "20.25")
    rows = b.rows("SELECT payment_type::VARCHAR, sum(counted) FROM payments GROUP BY ALL ORDER BY 1")
    assert money(rows) == {"Cash": ("12.50",), "Terminal": ("7.25",)}
    assert b.one("SELECT sum(total) FROM sales") == build().one("SELECT sum(total) FROM sales")


def test_a_payment_counts_where_its_order_counts(build):
    b = build(paid((1, "M-01001", "40.00", "Cash"), (2, "M-01002", "30.00", "Cash")))
    days = b.rows("SELECT order_id, earned_date, customer_id, store::VARCHAR, area::VARCHAR FROM payments ORDER BY 1")
    assert days == [
        ("M-01001", date(2026, 1, 12), "CC-0001", "Moon Walk", "Inside Abu Dhabi"),
        ("M-01002", None, "CC-0001", "Moon Walk", "Inside Abu Dhabi"),  # in work: in no period yet
    ]
    assert money(b.rows(SALES))["M-01002"] == ("30.00", "30.00", "30.00", "0.00")


def test_the_export_wins_over_staff(build):
    given = paid((1, "M-01001", "40.00", "Cash"), (2, "M-01003", "25.00", "Cash"))
    b = build(given)
    assert money(b.rows(SALES))["M-01003"] == ("25.00", "25.00", "0.00", "0.00")
    later = build(given, orders=(OPEN | {"Paid": "1", "Payment Type": "Terminal"}, *ORDERS[1:]))
    assert money(later.rows(SALES))["M-01001"] == ("40.00", "40.00", "0.00", "0.00")
    standing = "SELECT payment_id, standing, counted FROM payments ORDER BY 1"
    assert b.rows(standing) == [(1, "counted", 40), (2, "paid in the export", 0)]
    assert later.rows(standing) == [(1, "paid in the export", 0), (2, "paid in the export", 0)]
    # Collections are the same before and after; only the word for the method is CleanCloud's own now.
    collections = "SELECT sum(collections) FROM sales"
    assert b.one(collections) == later.one(collections) == 40 + 25 + 15  # and the invoice payment of 15
    assert later.manifest["payments"] == {
        "paid in the export": {"payments": 2, "amount": "65.00", "counted": "0.00"}
    }


def test_a_total_lowered_after_the_payment_leaves_no_balance_below_0(build):
    given = paid((1, "M-01001", "30.00", "Cash", DAY), (2, "M-01001", "10.00", "Terminal", date(2026, 3, 3)))
    b = build(given, orders=(OPEN | {"Total": "25.00"}, *ORDERS[1:]))
    # The earlier one first: all 10 of the 3rd of March, then 15 of the 30; collections 25, as once the export says paid
    assert b.rows("SELECT payment_id, counted FROM payments ORDER BY 1") == [(1, 15), (2, 10)]
    assert money(b.rows(SALES))["M-01001"] == ("25.00", "25.00", "25.00", "0.00")


@pytest.mark.parametrize("total", ["0", "-12.00"])
def test_an_order_without_an_amount_owes_nothing_and_takes_nothing(build, total):
    b = build(paid((1, "M-01001", "5.00", "Cash")), orders=(OPEN | {"Total": total}, *ORDERS[1:]))
    assert money(b.rows(SALES))["M-01001"][1:] == ("0.00", "0.00", "0.00")


def test_a_payment_of_an_unknown_order_is_kept_and_counts_nowhere(build):
    b = build(paid((1, "M-01001", "10.00", "Cash"), (2, "M-09999", "33.00", "Cash"), (3, "H-00001", "1.50", "Cash")))
    assert b.one("SELECT sum(paid_here) FROM sales") == b.one("SELECT sum(paid_here) FROM orders") == 10
    assert b.rows("SELECT order_id, amount, counted FROM payments WHERE customer_id IS NULL ORDER BY payment_id") == [
        ("M-09999", 33, 0), ("H-00001", Decimal("1.50"), 0)]  # fmt: skip
    assert b.manifest["payments"] == {
        "counted": {"payments": 1, "amount": "10.00", "counted": "10.00"},
        "not in the exports": {
            "payments": 2, "amount": "34.50", "counted": "0.00", "orders": ["H-00001", "M-09999"]
        },
    }  # fmt: skip


def test_a_business_accounts_payment_settles_its_order_and_is_in_no_sale(build):
    b = build(paid((1, "M-01004", "60.00", "Cash")))
    assert b.rows("SELECT paid_here, balance FROM orders WHERE b2b") == [(60, 30)]
    assert b.one("SELECT sum(paid_here) FROM sales") == 0


def test_a_method_that_the_business_file_no_longer_has_is_other(build):
    b = build(paid((1, "M-01001", "10.00", "Camels")))
    assert b.rows("SELECT payment_type::VARCHAR, counted FROM payments") == [("Other", 10)]


def test_the_orders_own_hash_knows_nothing_of_payments(build):
    hashes = "SELECT order_id, row_hash FROM orders ORDER BY 1"
    assert build().rows(hashes) == build(paid((1, "M-01001", "10.00", "Cash"))).rows(hashes)


# --- What a build is made of ---------------------------------------------------------------------------------------


def test_payments_are_part_of_what_a_build_is_made_of(tmp_path):
    folder = exports(tmp_path / "exports", orders=[OPEN])

    def make(payments, last=None):
        return pipeline.build(folder, tmp_path / "data", payments=payments, last_fingerprint=last)

    none = make(None)
    assert make(paid(), none.fingerprint) is None, "no payment yet is as before"
    voided = paid((1, "M-01001", "0.00", "Cash"))
    assert make(voided, none.fingerprint) is None, "voided before any build had it"
    one = make(paid((1, "M-01001", "10.00", "Cash")), none.fingerprint)
    assert (one.manifest["inputs"], one.manifest["base"]) == (none.manifest["inputs"], none.manifest["base"])
    assert one.fingerprint != none.fingerprint
    for changed in ((2, "M-01001", "10.00", "Cash"), (1, "M-01001", "10.00", "Terminal"), (1, "M-01001", "9", "Cash")):
        assert make(paid(changed), one.fingerprint) is not None
    two = paid((1, "M-01001", "10.00", "Cash"), (2, "M-01001", "5.00", "Cash"))
    both = make(two, one.fingerprint)
    assert make(two.reverse(), both.fingerprint) is None, "the order in which they come means nothing"
    assert make(voided, one.fingerprint).fingerprint == none.fingerprint, "voided: as if it had never been"


@pytest.mark.parametrize("rows", [[(1, "M-01001", "-5.00", "Cash")], [(1, "M-01001", "5", "Cash")] * 2])
def test_a_frame_that_is_none_of_payments_is_refused(tmp_path, rows):
    with pytest.raises(ValueError, match="one row each, net of its void"):
        pipeline.build(exports(tmp_path / "exports"), tmp_path / "data", payments=paid(*rows))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("UPDATE sales SET paid_here = paid_here + 1 WHERE order_id = 'M-01001'", "counted once"),
        ("UPDATE payments SET amount = amount + 1", "counted once"),
        ("INSERT INTO payments SELECT * FROM payments", "share the same payment_id"),
        ("UPDATE orders SET balance = 1 WHERE paid", "calls paid"),
        ("UPDATE sales SET balance = balance - 1 WHERE order_id = 'M-01001'", "are not its total"),
        ("UPDATE sales SET collections = 0 WHERE order_id = 'M-01001'", "are not its total"),
    ],
)
def test_a_build_whose_payments_do_not_add_up_is_stopped(build, tmp_path, monkeypatch, wrong, told):
    run = checks.run

    def spoilt(con):
        con.execute(wrong)
        return run(con)

    monkeypatch.setattr(checks, "run", spoilt)
    with pytest.raises(CheckError, match=told):
        build(paid((1, "M-01001", "10.00", "Cash")))

