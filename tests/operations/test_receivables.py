"""Who owes, and whom to call next, of the people in conftest.py: worked by hand."""

from dataclasses import replace
from datetime import date
from decimal import Decimal as D
from uuid import uuid4

import polars as pl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics import access, queries
from analytics.dashboards import frame
from analytics.receivables import Ledger
from operations import services
from operations.models import Customer, Order
from operations.money import Promise
from operations.receivables import (
    BUSINESS,
    ME,
    NOBODY,
    SORTS,
    Filters,
    debt_of,
    debtors,
    figures,
    performance,
    worklist,
)
from tests.operations import books
from tests.operations.books import LATELY, TODAY, paying, promise

pytestmark = pytest.mark.django_db


def ids(user, today=TODAY, **filters) -> list[str]:
    rows = worklist(user, today, Filters(**filters)).rows
    return [row.order.order_id if row.order else row.debt.customer_id for row in rows]


# What is owed ------------------------------------------------------------------------------------------------------


def test_a_debt_adds_up_what_is_cleaned_and_unpaid(dana):
    services.customer_pay("CC-0001", D("5"), **paying(dana))  # of the oldest, M-00104
    debt = debt_of(dana, "CC-0001", TODAY)
    assert [(o.order_id, o.total, o.paid_here, o.balance, o.days, o.days_overdue, o.bucket) for o in debt.orders] == [
        ("M-00104", D("15.00"), D("5.00"), D("10.00"), 37, 37, 1),
        ("M-00102", D("20.00"), D("0.00"), D("20.00"), 28, 28, 0),
    ]
    assert (debt.balance, debt.overdue, debt.oldest, debt.days, debt.days_overdue) == (
        D("30.00"), D("30.00"), date(2026, 2, 1), 37, 37,
    )  # fmt: skip
    assert debt.aging == (D("20.00"), D("10.00"), D("0.00"), D("0.00"))
    assert (debt.level.name, debt.promise, debt.paused, debt.group) == (
        "Second reminder", Promise.NONE, False, "consumers",
    )  # fmt: skip
    assert (debt.name, debt.phone, debt.store) == ("Dana Haddad", "+971 50 000 0001", "Moon Walk")


def test_it_owes_what_the_database_calls_outstanding(everybody):
    services.customer_pay("CC-0001", D("16.1"), **paying(everybody))
    Order.objects.filter(pk="M-00010").update(in_latest_export=False)
    Order.objects.filter(pk="M-00011").update(paid=True)
    rows = [*worklist(everybody, TODAY, Filters(by_order=True)).rows,
            *worklist(everybody, TODAY, Filters(by_order=True, group=BUSINESS)).rows]  # fmt: skip
    assert {row.order.order_id: row.balance for row in rows} == {k: round(v, 2) for k, v in books.balances().items()}
    assert debt_of(everybody, "CC-0010", TODAY) is debt_of(everybody, "CC-0011", TODAY) is None


def test_days_to_pay_put_off_the_due_day(dana, monkeypatch):
    business = replace(frame.business(), payment_terms_days=30)
    monkeypatch.setattr(frame, "business", lambda: business)
    debt = debt_of(dana, "CC-0001", TODAY)
    assert (debt.days, debt.days_overdue) == (37, 7)
    assert debt.overdue == D("15.00"), "M-00102 of 28 days ago is not due yet"
    assert debt.level.name == "Reminder"
    assert debt.aging == (D("20.00"), D("15.00"), D("0.00"), D("0.00")), "aging counts from the day it was placed"


@pytest.mark.parametrize(("day", "bucket"), [("2026-02-08", 0), ("2026-02-07", 1), ("2026-01-09", 1),
                                             ("2026-01-08", 2), ("2025-12-10", 2), ("2025-12-09", 3)])  # fmt: skip
def test_the_edges_of_aging(dana, day, bucket):
    """30 days before 10 March is 8 February, 60 is 9 January, 90 is 10 December."""
    Order.objects.filter(pk="H-00201").update(placed=day)
    assert debt_of(dana, "CC-0002", TODAY).orders[0].bucket == bucket


def test_business_accounts_are_a_group_of_their_own(dana):
    assert ids(dana) == ["CC-0001", "CC-0002"]
    assert ids(dana, group=BUSINESS) == ["CC-0003"]
    assert worklist(dana, TODAY).counts == debtors(dana) == {"consumers": 2, "business": 1}


# Whom to call next -------------------------------------------------------------------------------------------------


def test_whom_to_call_next(everybody, at):
    at(date(2026, 3, 8))
    promise(everybody, "CC-0013", "10", date(2026, 3, 9))  # broken since this morning
    promise(everybody, "CC-0014", "500", date(2026, 3, 12))  # pending
    at(TODAY)
    services.next_action_set(["CC-0015"], date(2026, 3, 11), user=everybody)
    assert ids(everybody) == [
        "CC-0013",  # Dina's promise broke
        "CC-0010",  # Amal: Stop service
        "CC-0011", "CC-0001",  # Second reminder: Badr for 99 days, Dana for 37
        "CC-0002",  # Omar: Reminder
        "CC-0012",  # Carla: none yet
        "CC-0015",  # Fadi: Stop service too, but planned for tomorrow
        "CC-0014",  # Emad promised
    ]  # fmt: skip
    services.next_action_set(["CC-0012"], date(2026, 3, 11), user=everybody)
    assert ids(everybody, date(2026, 3, 11))[:4] == ["CC-0013", "CC-0015", "CC-0012", "CC-0010"], "their day has come"
    Customer.objects.filter(pk="CC-0015").update(do_not_contact=True)
    assert ids(everybody, date(2026, 3, 11))[-2:] == ["CC-0015", "CC-0014"], "nobody is to call Fadi"


def test_among_equals_who_owes_more_comes_first(everybody):
    Customer.objects.filter(pk="CC-0014").update(do_not_contact=True)
    assert ids(everybody)[:3] == ["CC-0010", "CC-0015", "CC-0011"], "200.00 each: by number"
    Order.objects.filter(pk="M-00015").update(total=D("200.01"))
    assert ids(everybody)[:2] == ["CC-0015", "CC-0010"]
    assert ids(everybody)[-1] == "CC-0014", "nobody is to call Emad"


def test_a_promise_pauses_until_its_day_and_comes_first_the_next_morning(everybody):
    promise(everybody, "CC-0010", "150", TODAY)
    debt = debt_of(everybody, "CC-0010", TODAY)
    assert (debt.promise, debt.paused, debt.level.name) == (Promise.PENDING, True, "Stop service")
    assert (debt.promise_amount, debt.promise_on, debt.still_promised) == (D("150.00"), TODAY, D("150.00"))
    assert ids(everybody)[-1] == "CC-0010"
    assert ids(everybody, date(2026, 3, 11))[0] == "CC-0010"
    broken = debt_of(everybody, "CC-0010", date(2026, 3, 11))
    assert (broken.promise, broken.paused, broken.still_promised) == (Promise.BROKEN, False, D("0.00"))


def test_a_promise_that_is_kept_neither_pauses_nor_breaks(everybody):
    promise(everybody, "CC-0010", "150", TODAY)
    services.customer_pay("CC-0010", D("60"), **paying(everybody))
    assert debt_of(everybody, "CC-0010", TODAY).still_promised == D("90.00")
    services.customer_pay("CC-0010", D("90"), **paying(everybody))
    for day in (TODAY, date(2026, 3, 11)):
        assert debt_of(everybody, "CC-0010", day).promise is Promise.KEPT
    assert debt_of(everybody, "CC-0010", TODAY).level.name == "Final reminder", "50.00 are left: enough for it"


# Filters, search, sorts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "found"),  # Amal (CC-0010) is first: her next action is due
    [
        ({"store": "Hielo"}, ["CC-0002"]),
        ({"age": 0}, ["CC-0001", "CC-0002", "CC-0012", "CC-0013"]),  # Dana's M-00102 is 28 days old
        ({"age": 1}, ["CC-0001"]),
        ({"age": 2}, []),
        ({"age": 3}, ["CC-0010", "CC-0014", "CC-0015", "CC-0011"]),
        ({"age": 3, "by_order": True}, ["M-00010", "M-00014", "M-00015", "M-00011"]),
        ({"age": 1, "by_order": True}, ["M-00104"]),
        ({"area": "Outer Abu Dhabi", "least": D("200")}, ["CC-0010", "CC-0014", "CC-0015"]),
        ({"least": D("35")}, ["CC-0010", "CC-0014", "CC-0015", "CC-0011", "CC-0001", "CC-0012"]),
        ({"least": D("35.01"), "age": 1}, []),
        ({"least": D("20"), "by_order": True, "search": "dana"}, ["M-00102"]),
        ({"assigned": ME}, ["CC-0010"]),
        ({"due": True}, ["CC-0010"]),
        ({"never": True, "age": 3}, ["CC-0014", "CC-0015", "CC-0011"]),
        ({"assigned": NOBODY, "age": 3}, ["CC-0014", "CC-0015"]),
        ({"promise": Promise.BROKEN}, []),
    ],
)  # fmt: skip
def test_it_is_filtered(worked, filters, found):
    assert ids(worked, **filters) == found


def test_it_is_filtered_by_person_and_level_and_promise(worked, people):
    assert ids(worked, assigned=str(people["farid"].pk)) == ["CC-0011"]
    stop = debt_of(worked, "CC-0010", TODAY).level.pk
    assert ids(worked, level=stop) == ["CC-0010", "CC-0014", "CC-0015"]
    promise(worked, "CC-0012", "60", TODAY)
    assert ids(worked, promise=Promise.PENDING) == ["CC-0012"]
    assert ids(worked, date(2026, 3, 11), promise=Promise.BROKEN) == ["CC-0012"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("dana", ["CC-0001"]),
        ("HADDAD", ["CC-0001"]),
        ("cc-0002", ["CC-0002"]),
        ("M-00104", ["CC-0001"]),
        ("00104", ["CC-0001"]),
        ("+971 50 000 0001", ["CC-0001"]),
        ("0500000001", ["CC-0001"]),
        ("00971500000001", ["CC-0001"]),
        ("050 000 000", ["CC-0001", "CC-0002"]),
        ("000 0002", ["CC-0002"]),
        ("٠٥٠٠٠٠٠٠٠١", ["CC-0001"]),
        ("M-00101", []),  # paid: not open
        ("nobody", []),
        ("001", ["CC-0001"]),  # in CC-0001, and its phone's end
    ],
)
def test_it_finds_by_name_number_order_and_phone(dana, search, found):
    assert ids(dana, search=search) == found


def test_it_finds_a_corrected_name_and_phone(dana):
    services.correction_save("CC-0001", "name", "Dana Karam", user=dana)
    services.correction_save("CC-0001", "phone", "055 999 8888", user=dana)
    assert ids(dana, search="karam") == ids(dana, search="+971559998888") == ["CC-0001"]
    assert ids(dana, search="haddad") == []
    assert ids(dana, search="0500000001") == ["CC-0001"], "the export's phone finds too: it may be who rings"


def test_an_order_that_is_sought_stands_alone_in_the_view_by_order(dana):
    assert ids(dana, by_order=True) == ["M-00104", "M-00102", "H-00201"], "of a customer the oldest first"
    assert ids(dana, by_order=True, search="M-00102") == ["M-00102"]


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ("balance", ["CC-0002", "CC-0001", "CC-0010"]),
        ("-balance", ["CC-0010", "CC-0001", "CC-0002"]),
        ("name", ["CC-0010", "CC-0001", "CC-0002"]),
        ("oldest", ["CC-0010", "CC-0001", "CC-0002"]),
        ("-overdue", ["CC-0010", "CC-0001", "CC-0002"]),
        ("-aging", ["CC-0010", "CC-0001", "CC-0002"]),
        ("level", ["CC-0002", "CC-0001", "CC-0010"]),
        ("contact", ["CC-0010", "CC-0001", "CC-0002"]),  # no contact stands last
        ("-contact", ["CC-0010", "CC-0001", "CC-0002"]),
        ("action", ["CC-0010", "CC-0001", "CC-0002"]),
        ("-assigned", ["CC-0010", "CC-0001", "CC-0002"]),
        ("promise", ["CC-0002", "CC-0001", "CC-0010"]),
        ("nonsense", ["CC-0010", "CC-0001", "CC-0002"]),  # as without: both have promised
    ],
)
def test_it_is_sorted(worked, sort, found):
    """Amal, and Dana and Omar, who promised for 20 March and for today."""
    Customer.objects.exclude(pk__in=found).update(b2b=True)
    promise(worked, "CC-0001", "30", date(2026, 3, 20))
    promise(worked, "CC-0002", "30", TODAY)
    Customer.objects.filter(pk__in=["CC-0001", "CC-0002"]).update(last_contact_at=None)
    assert ids(worked, sort=sort) == found


def test_every_column_sorts_both_ways(worked):
    for name in SORTS:
        for by_order in (False, True):
            up, down = (worklist(worked, TODAY, Filters(sort=s, by_order=by_order)).rows for s in (name, f"-{name}"))
            assert len(up) == len(down) == (9 if by_order else 8)


# Whose rows --------------------------------------------------------------------------------------------------------


def test_a_person_kept_to_a_store_gets_its_orders_alone(dana, people):
    books.order("H-00202", "CC-0001", "7.00", date(2026, 3, 1), store="Hielo")
    hala = people["hala"]
    assert ids(hala) == ["CC-0002", "CC-0001"]
    debt = debt_of(hala, "CC-0001", TODAY)
    assert (debt.balance, [o.order_id for o in debt.orders], debt.level.name) == (D("7.00"), ["H-00202"], "Reminder")
    assert debt_of(hala, "CC-0003", TODAY) is None
    assert debtors(hala) == {"consumers": 2, "business": 0}
    assert ids(hala, store="Moon Walk") == []
    whole = debt_of(dana, "CC-0001", TODAY)
    assert (whole.balance, whole.level.name, whole.owed_to("Hielo")) == (D("42.00"), "Second reminder", D("7.00"))
    assert figures(hala, worklist(hala, TODAY)).outstanding == D("37.00")


def test_who_sees_no_phones_gets_none_and_finds_by_none(dana, monkeypatch):
    monkeypatch.setitem(access.CONTACTS, "Desk", ())
    debt = debt_of(dana, "CC-0001", TODAY)
    assert (debt.phone, debt.phone_key) == ("", "")
    assert ids(dana, search="0500000001") == []


def test_it_asks_as_often_for_three_customers_as_for_three_hundred(dana):
    def asked() -> int:
        with CaptureQueriesContext(connection) as seen:
            found = worklist(dana, TODAY)
            figures(dana, found)
        return len(seen)

    promise(dana, "CC-0001", "10", TODAY)
    asked()  # who the person is, is asked once
    few = asked()
    for i in range(300):
        books.customer(f"CC-1{i:03}", f"Person {i}")
        books.order(f"M-1{i:04}", f"CC-1{i:03}", "10", LATELY)
        if i < 50:
            promise(dana, f"CC-1{i:03}", "10", TODAY)
    assert len(ids(dana)) == 302
    assert asked() == few == 8


def test_a_store_is_who_owes_to_it_with_all_they_owe(dana):
    """Whoever is called is asked for all of it: level, balance and forms speak of the same orders."""
    books.order("H-00202", "CC-0001", "7.00", date(2026, 3, 1), store="Hielo")
    promise(dana, "CC-0001", "20", TODAY)
    found = worklist(dana, TODAY, Filters(store="Hielo"))
    assert [(row.debt.customer_id, row.balance) for row in found.rows] == [
        ("CC-0002", D("30.00")), ("CC-0001", D("42.00")),
    ]  # fmt: skip
    assert found.counts == debtors(dana, "Hielo") == {"consumers": 2, "business": 0}
    of = figures(dana, found)
    assert (of.outstanding, of.overdue, of.promised, of.orders, of.customers) == (
        D("37.00"), D("37.00"), D("7.00"), 2, 2,
    )  # fmt: skip
    assert ids(dana, store="Hielo", by_order=True) == ["H-00201", "H-00202"]


# Figures -----------------------------------------------------------------------------------------------------------


def test_the_figures_on_top(everybody, at):
    """200 + 40 + 60 + 10 + 500 + 200 + 35 + 30 of consumers; today's order is not overdue yet."""
    books.order("M-00999", "CC-0012", "11.00", TODAY, cleaned=TODAY)
    promise(everybody, "CC-0010", "150", date(2026, 3, 12))
    promise(everybody, "CC-0001", "30", TODAY)
    services.customer_pay("CC-0001", D("12"), **paying(everybody))
    at(date(2026, 3, 8))
    promise(everybody, "CC-0013", "10", date(2026, 3, 9))
    found = figures(everybody, worklist(everybody, TODAY))
    assert (found.outstanding, found.overdue) == (D("1074.00"), D("1063.00"))
    assert (found.promised, found.promises) == (D("168.00"), 2), "150 + 18; Dina's is broken"
    assert (found.orders, found.customers) == (10, 8)
    business = figures(everybody, worklist(everybody, TODAY, Filters(group=BUSINESS)))
    assert (business.outstanding, business.customers, business.promised) == (D("100.00"), 1, D("0.00"))
    narrowed = figures(everybody, worklist(everybody, TODAY, Filters(search="dina", least=D("5"))))
    assert narrowed.outstanding == D("1074.00"), "the figures are of all, whatever is listed"


def test_collected_this_week_is_by_the_day_of_payment_and_without_voids(everybody, people):
    """Monday is 9 March: 7.00 of that day and 30.00 at Hielo today count; 5.00 of Sunday doesn't; 10.00 of today was
    voided; the void of today of last week's 3.00 takes nothing off this week."""

    def pay(customer, amount, day):
        return services.customer_pay(customer, D(amount), **paying(everybody, paid_on=day))[0]

    pay("CC-0001", "5", date(2026, 3, 8))
    pay("CC-0001", "7", date(2026, 3, 9))
    pay("CC-0002", "30", TODAY)
    pay("CC-0003", "20", TODAY)  # a business account's
    for payment in (pay("CC-0010", "10", TODAY), pay("CC-0010", "3", date(2026, 3, 3))):
        services.payment_void(payment.pk, reason="slip", user=everybody, request_key=uuid4())
    found = worklist(everybody, TODAY)
    assert figures(everybody, found).collected == D("37.00")
    assert figures(everybody, found).since == date(2026, 3, 9)
    assert figures(everybody, worklist(everybody, TODAY, Filters(group=BUSINESS))).collected == D("20.00")
    assert figures(everybody, worklist(everybody, TODAY, Filters(store="Hielo"))).collected == D("30.00")
    assert figures(people["hala"], worklist(people["hala"], TODAY)).collected == D("30.00")
    assert figures(everybody, worklist(everybody, date(2026, 3, 16))).collected == D("0.00"), "a new week"


def test_days_sales_outstanding_of_the_issue(dana, monkeypatch):
    """Receivables 1.2 M, 0.8 M of it not yet due, credit sales 10 M in 365 days, which is 2,465,753.42 in 90."""
    as_of = date(2026, 3, 5)
    orders = pl.DataFrame({
        "order_id": ["A", "B"], "customer_id": ["C", "D"], "name": ["C", "D"], "store": ["S", "S"],
        "placed": [date(2026, 1, 1), as_of], "due": [date(2026, 1, 1), as_of], "days": [63, 0],
        "balance": [D("400000.00"), D("800000.00")], "bucket": [2, 0],
    })  # fmt: skip
    records = pl.DataFrame({"as_of": [as_of], "store": ["All stores"], "total": [D(1)], "not_yet_due": [D(0)]})
    sold = {"S": D("2465753.42")}
    ledger = Ledger(as_of, "All stores", ("All stores",), orders, sold, {}, {}, records, None, "too new")

    class Build:
        def ledger(self, filters):
            return ledger

    monkeypatch.setattr(queries, "current", lambda only: Build())
    found = performance(dana)
    assert [round(v, 1) for v in (found.dso, found.best_possible, found.delinquent)] == [43.8, 29.2, 14.6]
    assert (found.as_of, found.effectiveness, found.start_why, found.why) == (as_of, None, "too new", "")


def test_a_desk_without_a_build_works_on(dana, data_dir):
    found = performance(dana)
    assert (found.dso, found.effectiveness) == (None, None)
    assert found.why
