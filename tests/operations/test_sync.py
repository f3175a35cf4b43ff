"""Customers and orders in the database follow the build column by column: no change of one is missed."""

from contextlib import closing
from datetime import date

import pytest

from moonwalk.settings import BASE_DIR
from operations import refresh
from operations.models import RefreshRun
from operations.sync import CUSTOMERS, ORDERS, Target
from tests.operations import exports

pytestmark = pytest.mark.django_db

CUSTOMER = "{no},Customer {no},36319,Moon Walk,2025-01-10,2,,+971 50 000 0{no},c{no}@example.com"
ORDER = (
    "{no},10,36319,Moon Walk,2026-02-01,2026-02-06,2026-02-03,2026-02-05,2026-02-01,1,4,50.25,1,Cash,2026-02-05,Ready"
)
# column -> what becomes of one customer's row (its number in the row counts the column): nothing else of it changes
CUSTOMER_EDITS = {
    "name": ("Customer", "Client"),
    "phone": ("+971 50", "+971 55"),
    "email": ("@example.com", "@example.org"),
    "store": ("36319,Moon Walk", "38516,Hielo"),
    "route": ("2025-01-10,2,", "2025-01-10,3,"),
    "signed_up": ("2025-01-10", "2025-01-11"),
    "b2b": (",2,,", ",2,B-1,"),
}
ORDER_EDITS = {
    "customer_id": (",10,36319", ",11,36319"),
    "status": ("Ready", "Completed"),
    "placed": ("2026-02-01,2026-02-06", "2026-02-02,2026-02-06"),
    "ready_by": ("2026-02-06", "2026-02-07"),
    "cleaned": ("2026-02-03", "2026-02-04"),
    "collected": ("2026-02-05,2026-02-01", "2026-02-06,2026-02-01"),
    "pickup_date": ("2026-02-05,2026-02-01", "2026-02-05,2026-01-31"),
    "delivery": ("2026-02-01,1,4", "2026-02-01,0,4"),
    "pieces": (",1,4,", ",1,5,"),
    "total": ("50.25", "50.35"),
    "paid": (",1,Cash,", ",0,Cash,"),
    "payment_type": ("Cash", "Stripe"),
    "payment_date": ("2026-02-05,Ready", "2026-02-06,Ready"),
}
# These stand in the row's key, MW-0001 or H-00201: another value is another row.
IN_THE_KEY = {"customers": {"source"}, "orders": {"store"}}
FOLLOWS = {"paid": {"payment_type", "payment_date"}}  # an order that isn't paid has none of these


@pytest.fixture
def folder(data_dir):
    return data_dir / "exports"


def numbered(template: str, edits: dict, first: int) -> dict[int, str]:
    """A row for each column to be changed, from number `first` on."""
    return {no: template.format(no=no) for no in range(first, first + len(edits))}


def edited(rows: dict[int, str], edits: dict) -> dict[int, str]:
    changed = {no: row.replace(*edit) for (no, row), edit in zip(rows.items(), edits.values(), strict=True)}
    assert all(changed[no] != rows[no] for no in rows)
    return changed


def run() -> RefreshRun:
    found = refresh.refresh(trigger="command")
    assert found.state == "published", found.error
    return found


def in_database(target: Target) -> dict[str, dict]:
    """key -> column -> value, as the desk sees it."""
    return {row["pk"]: row for row in target.model.objects.values("pk", *target.columns)}


def in_build(target: Target) -> dict[str, dict]:
    """The same of the published build, as sync reads it."""
    columns = ", ".join(f"{sql} AS {name}" for name, sql in target.columns.items())
    with closing(refresh.warehouse().connect()) as con:
        rows = con.execute(f"SELECT {target.key} AS pk, {columns} FROM {target.table}").pl()
    return {row["pk"]: row for row in rows.iter_rows(named=True)}


def changed_columns(before: dict, after: dict) -> list[set[str]]:
    return [{name for name in row if row[name] != after[pk][name]} for pk, row in before.items()]


def test_a_change_of_any_one_column_reaches_the_database(folder):
    customers = numbered(CUSTOMER, CUSTOMER_EDITS, 20)
    others = {no: CUSTOMER.format(no=no) for no in (10, 11)}
    orders = numbered(ORDER, ORDER_EDITS, 101)
    exports.write(folder, customers=others | customers, orders=orders)
    run()
    before = {target.table: in_database(target) for target in (CUSTOMERS, ORDERS)}
    exports.write(folder, customers=others | edited(customers, CUSTOMER_EDITS), orders=edited(orders, ORDER_EDITS))
    run()
    for target, edits, below in ((CUSTOMERS, CUSTOMER_EDITS, {"area", "cohort_month"}), (ORDERS, ORDER_EDITS, {"b2b"})):
        after = in_database(target)
        assert after == in_build(target)
        told = changed_columns(before[target.table], after)
        for column in edits:
            assert any(column in row <= {column} | FOLLOWS.get(column, set()) for row in told), (column, told)
        # Whoever adds a column to sync.py adds its edit here, or a test of its own below.
        assert set(edits) | below | IN_THE_KEY[target.table] == set(target.columns)


def test_a_customer_whose_area_alone_changes_is_written(folder, settings, data_dir):
    """Other routes in the business file: the customer's own row in the export stays as it is."""
    exports.write(folder)
    run()
    before = in_database(CUSTOMERS)
    text = (BASE_DIR / "etl" / "business.toml").read_text(encoding="utf-8")
    settings.BUSINESS_FILE = data_dir / "business.toml"
    moved = text.replace("from = 1, to = 3", "from = 1, to = 1").replace("from = 4", "from = 2")
    settings.BUSINESS_FILE.write_text(moved, encoding="utf-8")
    run()
    after = in_database(CUSTOMERS)
    assert after == in_build(CUSTOMERS)
    assert {"area"} in changed_columns(before, after)
    assert (before["CC-0001"]["area"], after["CC-0001"]["area"]) == ("Inside Abu Dhabi", "Outer Abu Dhabi")


def test_a_customer_whose_first_month_alone_changes_is_written(folder):
    """An order from before the sign-up came to light."""
    exports.write(folder)
    run()
    before = in_database(CUSTOMERS)
    early = "105,1,36319,Moon Walk,2024-11-01,,2024-11-03,2024-11-05,,1,4,50.25,1,Cash,2024-11-05,Completed"
    exports.write(folder, orders=exports.ORDERS | {105: early})
    run()
    after = in_database(CUSTOMERS)
    assert after == in_build(CUSTOMERS)
    assert changed_columns(before, after).count({"cohort_month"}) == 1
    assert (before["CC-0001"]["cohort_month"], after["CC-0001"]["cohort_month"]) == ("2025-01", "2024-11")


def test_an_order_whose_customer_becomes_a_business_account_is_written(folder):
    exports.write(folder)
    run()
    before = in_database(ORDERS)
    business = exports.CUSTOMERS[1].replace(",2,,", ",2,B-1,")
    exports.write(folder, customers=exports.CUSTOMERS | {1: business})
    run()
    after = in_database(ORDERS)
    assert after == in_build(ORDERS)
    assert {pk for pk in after if before[pk]["b2b"] != after[pk]["b2b"]} == {"M-00101", "M-00102"}
    assert after["M-00101"]["placed"] == date(2026, 2, 1)
