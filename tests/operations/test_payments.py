"""Payments at the desk: in full, in part, oldest first, undone; refused with a sentence; once however often asked."""

from datetime import date, timedelta
from decimal import Decimal as D
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from analytics.models import StoreAccess
from operations import services
from operations.models import Order, Payment
from operations.services import Refused
from tests.operations import books
from tests.operations.books import balances, paying

pytestmark = pytest.mark.django_db
BEFORE = {"M-00102": D("20.00"), "M-00104": D("15.00"), "H-00201": D("30.00"), "M-00301": D("100.00")}


@pytest.fixture
def dana(people):
    books.write()
    assert balances() == BEFORE
    return people["dana"]


def amounts(payments) -> dict:
    return {payment.order_id: payment.amount for payment in payments}


# --- Paying --------------------------------------------------------------------------------------------------------


def test_orders_are_paid_in_full_and_settled_ones_passed_over(dana):
    made = services.order_mark_paid(["M-00102", "M-00101", "H-00201"], reference=" R-7 ", **paying(dana))
    assert amounts(made) == {"M-00102": D("20.00"), "H-00201": D("30.00")}
    assert balances() == {"M-00104": D("15.00"), "M-00301": D("100.00")}
    row = Payment.objects.get(order="M-00102")
    assert (row.method, row.paid_on, row.reference, row.created_by, row.included_in) == (
        "Cash", timezone.localdate(), "R-7", dana, "")  # fmt: skip
    assert services.order_mark_paid(["M-00102"], **paying(dana)) == [], "settled already"


def test_orders_that_no_longer_owe_what_was_shown_are_not_paid(dana):
    services.customer_pay("CC-0001", D("5"), **paying(dana))  # of the older one's 15
    shown = {"total": D("35.00")} | paying(dana)
    with pytest.raises(Refused, match="owe Dhs 30.00, no longer Dhs 35.00: look again"):
        services.order_mark_paid(["M-00102", "M-00104"], **shown)
    made = services.order_mark_paid(["M-00102", "M-00104"], **shown | {"total": D("30.00")})
    again = services.order_mark_paid(["M-00102", "M-00104"], **shown | {"total": D("30.00")})
    assert amounts(made) == amounts(again) == {"M-00102": D("20.00"), "M-00104": D("10.00")}


def test_an_order_not_cleaned_yet_can_be_paid_ahead(dana):
    services.order_mark_paid(["M-00105"], **paying(dana))
    assert Order.objects.with_balance().get(pk="M-00105").balance == 0


@pytest.mark.parametrize(
    ("amount", "parts", "left"),
    [
        ("15", {"M-00104": "15.00"}, {"M-00102": "20.00"}),
        ("15.01", {"M-00104": "15.00", "M-00102": "0.01"}, {"M-00102": "19.99"}),
        ("35.00", {"M-00104": "15.00", "M-00102": "20.00"}, {}),
    ],
)
def test_an_amount_goes_to_the_oldest_order_first(dana, amount, parts, left):
    made = services.customer_pay("CC-0001", D(amount), **paying(dana))
    assert amounts(made) == {order: D(part) for order, part in parts.items()}
    assert {pk: b for pk, b in balances().items() if pk in ("M-00102", "M-00104")} == {
        pk: D(b) for pk, b in left.items()}  # fmt: skip


def test_many_parts_leave_nothing_behind(dana):
    """Three parts of an amount that no float holds: 20.00 = 6.70 + 6.60 + 6.70."""
    for part in ("6.70", "6.60", "6.70"):
        services.customer_pay("CC-0001", D(part), order_ids=["M-00102"], **paying(dana))
    assert "M-00102" not in balances()
    with pytest.raises(Refused, match="owes nothing"):
        services.customer_pay("CC-0001", D("0.01"), order_ids=["M-00102"], **paying(dana))


def test_the_export_saying_paid_ends_it(dana):
    services.customer_pay("CC-0001", D("5"), **paying(dana))
    Order.objects.filter(pk="M-00104").update(paid=True)
    assert balances() == {k: v for k, v in BEFORE.items() if k != "M-00104"}


def test_more_orders_ask_two_questions_each_and_no_more(dana, django_assert_max_num_queries):
    """An entry of the trail and the payment itself; what is asked about all of them is asked once."""
    many = [f"M-{n:05}" for n in range(2001, 2041)]
    for pk in many:
        books.order(pk, "CC-0001", "10.00", date(2026, 2, 1))
    services.order_mark_paid(["M-00102"], **paying(dana))  # what a process asks once
    with django_assert_max_num_queries(20 + 2 * 40):
        assert len(services.order_mark_paid(many, **paying(dana))) == 40


# --- Refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orders", "more", "words"),
    [
        ([], {}, "Choose at least one order first"),
        (["M-99999", "M-00102"], {}, "There is no order M-99999"),
        (["M-00102"], {"method": "Receivable"}, "no way to pay"),
        (["M-00102"], {"method": ""}, "no way to pay"),
        (["M-00102"], {"paid_on": date(2026, 2, 9)}, r"was placed on 1\d Feb 2026: it wasn't paid on 9 Feb 2026"),
        (["M-00102"], {"reference": "x" * 101}, "too long"),
    ],
)
def test_what_makes_no_sense_is_refused_whole(dana, orders, more, words):
    with pytest.raises(Refused, match=words):
        services.order_mark_paid([*orders, "H-00201"] if orders else [], **paying(dana, **more))
    assert not Payment.objects.exists()


def test_a_day_to_come_is_refused(dana):
    with pytest.raises(Refused, match="still to come"):
        services.order_mark_paid(["M-00102"], **paying(dana, paid_on=timezone.localdate() + timedelta(1)))


def test_an_order_gone_from_the_export_takes_no_payment_and_keeps_those_it_has(dana):
    services.customer_pay("CC-0001", D("5"), order_ids=["M-00102"], **paying(dana))
    Order.objects.filter(pk="M-00102").update(in_latest_export=False)
    with pytest.raises(Refused, match="M-00102 is no longer in CleanCloud's export"):
        services.order_mark_paid(["M-00102"], **paying(dana))
    assert Payment.objects.get().amount == D("5.00")
    assert "M-00102" not in balances()


@pytest.mark.parametrize("amount", ["0", "-5", "0.001", "NaN", "Infinity", "1e9", "five", None])
def test_what_is_no_amount_is_refused(dana, amount):
    with pytest.raises(Refused, match="no amount of money"):
        services.customer_pay("CC-0001", amount, **paying(dana))


def test_more_than_is_owed_is_refused(dana):
    with pytest.raises(Refused, match=r"Dhs 35\.01 is more than is owed: Dhs 35\.00"):
        services.customer_pay("CC-0001", D("35.01"), **paying(dana))
    assert not Payment.objects.exists()


@pytest.mark.parametrize(("name", "may"), [("dana", True), ("farid", True), ("layla", False), ("omar", False),
                                           ("sara", False), ("noor", False), ("root", True)])  # fmt: skip
def test_who_may_take_money(dana, people, name, may):
    if may:
        assert services.order_mark_paid(["M-00102"], **paying(people[name]))
    else:
        with pytest.raises(PermissionDenied):
            services.order_mark_paid(["M-00102"], **paying(people[name]))
        assert not Payment.objects.exists()


def test_a_person_kept_to_a_store_works_on_its_orders_alone(dana, people):
    StoreAccess.objects.create(user=dana, store="Hielo")
    dana = type(dana).objects.get(pk=dana.pk)
    with pytest.raises(Refused, match="There is no order M-00102"):
        services.order_mark_paid(["M-00102", "H-00201"], **paying(dana))
    with pytest.raises(Refused, match="owes nothing"):
        services.customer_pay("CC-0001", D("5"), **paying(dana))
    theirs = services.order_mark_paid(["M-00102"], **paying(people["farid"]))
    with pytest.raises(Refused, match="no such payment"):
        services.payment_void(theirs[0].pk, reason="not mine", user=dana, request_key=uuid4())
    assert amounts(services.order_mark_paid(["H-00201"], **paying(dana))) == {"H-00201": D("30.00")}


# --- Once ----------------------------------------------------------------------------------------------------------


def test_the_same_request_pays_once(dana):
    asked = paying(dana)
    first = services.order_mark_paid(["M-00102", "M-00104"], **asked)
    again = services.order_mark_paid(["M-00104", "M-00102"], **asked)
    assert again == first
    assert len(first) == Payment.objects.count() == 2


def test_the_same_part_payment_pays_once_and_another_one_pays_again(dana):
    asked = paying(dana)
    first = services.customer_pay("CC-0001", D("18"), **asked)
    assert services.customer_pay("CC-0001", D("18"), **asked) == first
    assert balances()["M-00102"] == D("17.00")
    services.customer_pay("CC-0001", D("17"), **paying(dana))
    assert services.customer_pay("CC-0001", D("18"), **asked) == first, "a retry after everything is paid"
    assert sum(Payment.objects.values_list("amount", flat=True)) == D("35.00")


def test_a_request_does_not_come_back_after_it_was_undone(dana):
    """The browser sends the form again after the void: it paid once, and that stays undone."""
    asked = paying(dana)
    (payment,) = services.order_mark_paid(["M-00102"], **asked)
    services.payment_void(payment.pk, reason="wrong order", user=dana, request_key=uuid4())
    assert services.order_mark_paid(["M-00102"], **asked) == [payment]
    assert balances()["M-00102"] == D("20.00")


def test_a_request_made_for_other_orders_is_refused(dana):
    asked = paying(dana)
    services.order_mark_paid(["M-00102"], **asked)
    with pytest.raises(Refused, match="sent before"):
        services.order_mark_paid(["H-00201"], **asked)


# --- Undoing -------------------------------------------------------------------------------------------------------


def void(payment, user, reason="typed wrong", **more):
    return services.payment_void(payment.pk, reason=reason, user=user, **{"request_key": uuid4()} | more)


def test_a_void_is_a_row_of_its_own(dana):
    (payment,) = services.order_mark_paid(["M-00102"], **paying(dana, paid_on=date(2026, 3, 1), method="Stripe"))
    counter = void(payment, dana)
    assert (counter.amount, counter.method, counter.paid_on, counter.voids, counter.note, counter.created_by) == (
        D("-20.00"), "Stripe", date(2026, 3, 1), payment, "typed wrong", dana)  # fmt: skip
    assert balances() == BEFORE
    assert void(payment, dana, "again") == counter, "undone once"
    assert Payment.objects.count() == 2
    assert Payment.objects.get(pk=payment.pk).amount == D("20.00"), "the payment itself stays"
    services.order_mark_paid(["M-00102"], **paying(dana))
    assert "M-00102" not in balances(), "paid anew"


def test_several_are_undone_together_or_not_at_all(dana, people):
    mine = services.order_mark_paid(["M-00102", "M-00104"], **paying(dana))
    his = services.order_mark_paid(["H-00201"], **paying(people["farid"]))
    undo = {"reason": "wrong customer", "request_key": uuid4()}
    with pytest.raises(PermissionDenied):
        services.payments_void([p.pk for p in mine + his], user=dana, **undo)
    assert Payment.objects.filter(voids__isnull=False).count() == 0
    assert len(services.payments_void([p.pk for p in mine], user=dana, **undo)) == 2
    assert len(services.payments_void([p.pk for p in mine], user=dana, **undo)) == 2
    assert balances() == {k: v for k, v in BEFORE.items() if k != "H-00201"}


def test_parts_of_one_order_are_undone_together(dana):
    parts = [services.customer_pay("CC-0001", D(amount), order_ids=["M-00102"], **paying(dana))[0]
             for amount in ("5", "7.50")]  # fmt: skip
    undo = {"reason": "wrong customer", "request_key": uuid4()}
    made = services.payments_void([p.pk for p in parts], user=dana, **undo)
    assert [(row.voids_id, row.amount) for row in made] == [(parts[0].pk, D("-5")), (parts[1].pk, D("-7.50"))]
    assert services.payments_void([p.pk for p in parts], user=dana, **undo) == made
    assert balances() == BEFORE


def test_who_may_undo(dana, people):
    (hers,) = services.order_mark_paid(["M-00102"], **paying(dana))
    (his,) = services.order_mark_paid(["M-00104"], **paying(people["farid"]))
    with pytest.raises(PermissionDenied):
        void(his, dana)
    Payment.objects.filter(pk=hers.pk).update(created_at=timezone.now() - timedelta(days=1))
    with pytest.raises(PermissionDenied):
        void(hers, dana)
    for payment in (hers, his):
        assert void(payment, people["farid"]).amount == -payment.amount
    with pytest.raises(PermissionDenied):
        void(hers, people["layla"])


@pytest.mark.parametrize(
    ("what", "words"), [("no reason", "Say why"), ("a void", "itself the undoing"), ("nothing", "no such payment")]
)
def test_undoings_that_make_no_sense(dana, what, words):
    (payment,) = services.order_mark_paid(["M-00102"], **paying(dana))
    with pytest.raises(Refused, match=words):
        if what == "no reason":
            void(payment, dana, "  ")
        elif what == "a void":
            void(void(payment, dana), dana)
        else:
            services.payment_void(payment.pk + 99, reason="x", user=dana, request_key=uuid4())


def test_a_payment_is_never_deleted(dana):
    (payment,) = services.order_mark_paid(["M-00102"], **paying(dana))
    for delete in (payment.delete, Payment.objects.all().delete):
        with pytest.raises(TypeError, match="never deleted"):
            delete()
    with pytest.raises(Exception, match="protected|PROTECT"):
        dana.delete()  # who took money stays known
    assert Payment.objects.count() == 1


# --- The database's own rules --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": -1},
        {"method": ""},
        {"voids": True},  # a counter-row must be negative
        {"voids": True, "amount": -20, "note": ""},  # and say why
        {"request_key": "the same"},
        {"created_by": None},
    ],
)
def test_the_database_refuses_what_no_payment_can_be(dana, wrong):
    (payment,) = services.order_mark_paid(["M-00102"], **paying(dana))
    row = {"order_id": "M-00102", "amount": 1, "method": "Cash", "paid_on": date(2026, 3, 1), "created_by": dana,
           "note": "x"} | wrong  # fmt: skip
    if row.get("voids"):
        row["voids"] = payment
    if row.get("request_key"):
        row["request_key"] = payment.request_key
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.create(**row)


def test_a_payment_has_one_void(dana):
    (payment,) = services.order_mark_paid(["M-00102"], **paying(dana))
    void(payment, dana)
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.create(order_id="M-00102", amount=-20, method="Cash", paid_on=date(2026, 3, 1),
                               created_by=dana, note="again", voids=payment)  # fmt: skip


# --- Telling -------------------------------------------------------------------------------------------------------


@pytest.fixture
def told():
    found = []

    def hear(sender, payments, user, **kwargs):
        found.append(([payment.amount for payment in payments], user.username))

    from operations.catch_up import on_payments_changed

    services.payments_changed.disconnect(on_payments_changed)
    services.payments_changed.connect(hear)
    yield found
    services.payments_changed.disconnect(hear)
    services.payments_changed.connect(on_payments_changed)


def test_the_figures_are_told_after_the_commit_and_only_of_news(dana, told, django_capture_on_commit_callbacks):
    asked = paying(dana)
    with django_capture_on_commit_callbacks(execute=True):
        (payment,) = services.order_mark_paid(["M-00102"], **asked)
        assert told == []
    assert told == [([D("20.00")], "dana")]
    with django_capture_on_commit_callbacks(execute=True):
        services.order_mark_paid(["M-00102"], **asked)
        services.order_mark_paid(["M-00101"], **paying(dana))
    assert len(told) == 1, "nothing new"
    with django_capture_on_commit_callbacks(execute=True):
        void(payment, dana)
        void(payment, dana)
    assert told[1:] == [([D("-20.00")], "dana")]
