"""A customer's timeline: what it tells, in which order, to whom, with what to undo, for how many questions.

Dana Haddad (CC-0001) of tests.operations.books: M-00101 (50.25, paid in the export), M-00102 (20.00) and M-00104
(15.00) open, M-00105 not cleaned.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal as D
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics.models import StoreAccess
from operations import services
from operations.models import Customer, FollowUp, Message, Order, Payment
from operations.scope import orders_for
from operations.timeline import Event, timeline
from tests.operations import books
from tests.operations.books import paying

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana(people):
    books.write()
    return people["dana"]


def told(user, customer: str = "CC-0001", today: date | None = None, history=()) -> list[Event]:
    orders = list(orders_for(user).filter(customer=customer).with_balance())
    row = Customer.objects.get(pk=customer)
    return timeline(row, orders, user, today=today or timezone.localdate(), history=history)


def titles(user, *kinds: str, **more) -> list[str]:
    return [event.title for event in told(user, **more) if not kinds or event.kind in kinds]


def one(user, kind: str, **more) -> Event:
    (event,) = [event for event in told(user, **more) if event.kind == kind]
    return event


def in_days(n: int) -> date:
    return timezone.localdate() + timedelta(n)


def pay(user, amount="20", order="M-00102", customer="CC-0001", **more) -> Payment:
    return services.customer_pay(customer, D(amount), order_ids=[order], **paying(user, **more))[0]


# --- What the exports say ------------------------------------------------------------------------------------------


def test_the_exports_days_of_an_order_are_a_line_each_and_one_where_they_are_the_same(dana):
    Order.objects.filter(pk="M-00101").update(
        collected=date(2026, 2, 5), payment_date=date(2026, 2, 5), payment_type="Cash"
    )
    Order.objects.filter(customer="CC-0001").exclude(pk="M-00101").delete()
    found = told(dana)
    assert [(event.at.date(), event.title, event.timed, event.kind) for event in found] == [
        (date(2026, 2, 5), "Order M-00101 collected and paid by Cash, 50.25", False, "import"),
        (date(2026, 2, 3), "Order M-00101 cleaned, 50.25", False, "import"),
        (date(2026, 2, 1), "Order M-00101 placed, 50.25", False, "import"),
    ]


def test_a_payment_day_of_an_order_that_is_not_paid_is_not_told(dana):
    Order.objects.filter(pk="M-00102").update(payment_date=date(2026, 2, 20))
    assert not [title for title in titles(dana) if "M-00102" in title and "paid" in title]


def test_what_only_the_warehouse_knows_comes_from_the_history(dana):
    def row(order_id, kind, **more):
        return {"order_id": order_id, "kind": kind, "placed": None, "earned_date": None, "collected": None,
                "payment_date": None, "payment_type": None, "collections": None, "total": D(0)} | more  # fmt: skip

    history = [
        row("M-00101", "Order", placed=date(2026, 2, 1), total=D("50.25")),  # the database has it
        row("R-10002", "Order", placed=date(2024, 5, 1), earned_date=date(2024, 5, 3), total=D("30")),
        row("S-20001", "Subscription", payment_date=date(2026, 1, 2), payment_type="Stripe", total=D(300),
            collections=D(300)),
        row("I-20002", "Invoice Payment", payment_date=date(2026, 1, 3), collections=D("15.5")),
        row("M-00900", "Items alone", placed=date(2026, 1, 9)),
    ]  # fmt: skip
    assert titles(dana, history=history)[-4:] == [
        "Invoice payment I-20002 paid, 15.50",
        "Subscription S-20001 paid by Stripe, 300.00",
        "In the old system: order R-10002 cleaned, 30.00",
        "In the old system: order R-10002 placed, 30.00",
    ]
    assert len([title for title in titles(dana, history=history) if "M-00101" in title]) == 2  # placed, cleaned


# --- Payments ------------------------------------------------------------------------------------------------------


def test_a_payment_says_who_when_and_what_for(dana):
    dana.first_name, dana.last_name = "Dana", "Desk"
    dana.save()
    before = timezone.now()
    row = pay(dana, "12.50", paid_on=in_days(-1), reference="R 7", note="by her son")
    event = one(dana, "payment")
    day = in_days(-1)
    assert event.title == f"12.50 paid for M-00102 by Cash, paid on {day.day} {day:%b %Y}"
    assert (event.who, event.text, event.note) == ("Dana Desk", "by her son", "not in the figures yet, reference R 7")
    assert before <= event.at <= timezone.now() and event.timed
    assert event.undo == f"/operations/act/void-payment/?customer=CC-0001&payment={row.pk}"
    Payment.objects.update(included_in="20260305-1")
    assert one(dana, "payment").note == "reference R 7"
    Order.objects.filter(pk="M-00102").update(paid=True)
    assert one(dana, "payment").note == "CleanCloud says paid too, reference R 7"


def test_a_void_is_a_line_and_strikes_its_payment_out(dana, people):
    row = pay(dana)
    services.payment_void(row.pk, reason="wrong order", user=people["farid"], request_key=uuid4())
    payment, void = one(dana, "payment"), one(dana, "void")
    today = timezone.localdate()
    assert payment.voided and payment.undo == "" and payment.note == ""
    assert payment.why == f"Undone by farid on {today.day} {today:%b %Y}: wrong order"
    assert (void.title, void.text, void.who, void.voided, void.undo) == (
        "Payment of 20.00 for M-00102 undone", "wrong order", "farid", False, ""
    )  # fmt: skip
    assert told(dana)[0] == void, "the newest first"


def test_a_payment_of_an_order_that_left_the_export_stays_and_says_so(dana):
    pay(dana)
    Order.objects.filter(pk="M-00102").update(in_latest_export=False)
    event = one(dana, "payment")
    assert event.title == "20.00 paid for M-00102 by Cash, an order not in the export any more"
    assert event.note == "in no figure while its order is in no export"


def test_only_who_may_undo_is_offered_to(dana, people):
    """One's own of today: whoever may record it. Others' and older ones: who has the right to void."""
    own = pay(dana)
    people["sami"] = type(dana).objects.create_user("sami")
    people["sami"].groups.add(*dana.groups.all())
    note = services.note_add("CC-0001", "hello", user=dana, request_key=uuid4())

    def offered() -> dict:
        return {
            name: {event.kind for event in told(type(dana).objects.get(username=name)) if event.undo}
            for name in ("dana", "sami", "farid", "layla")
        }

    both = {"payment", "note"}
    assert offered() == {"dana": both, "sami": set(), "farid": both, "layla": set()}
    yesterday = timezone.now() - timedelta(days=1)
    Payment.objects.filter(pk=own.pk).update(created_at=yesterday)
    FollowUp.objects.filter(pk=note.pk).update(created_at=yesterday)
    assert offered() == {"dana": set(), "sami": set(), "farid": both, "layla": set()}


# --- Follow-ups ----------------------------------------------------------------------------------------------------


def test_notes_contacts_and_plans_in_words(dana, people):
    services.note_add("CC-0001", "Left a parcel", user=dana, request_key=uuid4(), order_id="M-00102")
    day = in_days(2)
    services.note_add("CC-0001", "Asked to wait", user=dana, request_key=uuid4(), channel="whatsapp",
                      outcome="reached", next_action_on=day)  # fmt: skip
    services.assign(["CC-0001"], people["farid"], user=dana)
    services.next_action_set(["CC-0001"], None, user=dana)
    said = [(e.kind, e.title, e.text, e.note) for e in told(dana) if e.kind != "import"]
    assert said == [
        ("plan", "No next action any more", "", ""),
        ("plan", "Assigned to farid", "", ""),
        ("contact", "WhatsApp: reached", "Asked to wait", f"next action on {day.day} {day:%b %Y}"),
        ("note", "Note about M-00102", "Left a parcel", ""),
    ]


def test_a_follow_up_that_was_undone_is_struck_out_with_its_reason(dana):
    row = services.note_add("CC-0001", "Wrong", user=dana, request_key=uuid4())
    assert one(dana, "note").undo == f"/operations/act/void-followup/?customer=CC-0001&followup={row.pk}"
    services.followup_void(row.pk, reason="somebody else's", user=dana)
    event = one(dana, "note")
    today = timezone.localdate()
    assert (event.voided, event.undo) == (True, "")
    assert event.why == f"Undone by dana on {today.day} {today:%b %Y}: somebody else's"


def promise(user, amount: str, days: int) -> FollowUp:
    return services.promise_record("CC-0001", D(amount), in_days(days), user=user, request_key=uuid4())


def test_a_promise_says_how_it_stands(dana):
    """35.00 is owed; 20.00 is promised for the day after tomorrow."""
    promise(dana, "20", 2)
    day = in_days(2)
    event = one(dana, "promise")
    assert (event.title, event.state) == (f"Promised 20.00 by {day.day} {day:%b %Y} (call)", "Still to come.")
    assert one(dana, "promise", today=in_days(2)).state == "Still to come."
    assert one(dana, "promise", today=in_days(3)).state == "Broken."
    pay(dana, "15", "M-00104")
    assert one(dana, "promise").state == "Still to come."  # 5.00 are missing
    pay(dana, "5", "M-00102")
    assert one(dana, "promise", today=in_days(3)).state == "Kept."


def test_each_of_several_promises_is_judged_by_its_own_orders(dana):
    promise(dana, "10", 1)
    second = promise(dana, "35", 4)
    states = {event.title.split()[1]: event.state for event in told(dana) if event.kind == "promise"}
    assert states == {"10.00": "Replaced by a later promise.", "35.00": "Still to come."}
    late = {e.title.split()[1]: e.state for e in told(dana, today=in_days(2)) if e.kind == "promise"}
    assert late == {"10.00": "Broken.", "35.00": "Still to come."}
    services.followup_void(second.pk, user=dana)
    assert [e.state for e in told(dana) if e.kind == "promise"] == ["", "Still to come."]


# --- Messages and corrections --------------------------------------------------------------------------------------


def test_messages_say_how_they_went(dana, people):
    services.message_record("CC-0001", channel="whatsapp", language="en", text="Please pay", user=dana,
                            request_key=uuid4())  # fmt: skip
    Message.objects.create(customer_id="CC-0001", channel="email", language="en", sent_to="a@b.ae", text="Hello",
                           subject="Your orders", state="failed", error="The mail server: OSError.")  # fmt: skip
    said = [(e.title, e.text, e.note, e.who) for e in told(dana) if e.kind == "message"]
    assert said == [
        ("E-mail not sent", "Hello", "Your orders The mail server: OSError.", ""),
        ("WhatsApp opened", "Please pay", "", "dana"),
    ]


def test_corrections_and_preferences_are_told_without_their_values(dana):
    services.correction_save("CC-0001", "phone", "050 999 8877", user=dana)
    services.preferences_save("CC-0001", user=dana, do_not_contact=True, language="ar")
    services.note_add("CC-0001", "a note changes no column that is told", user=dana, request_key=uuid4(),
                      next_action_on=in_days(1))  # fmt: skip
    said = [(e.title, e.who) for e in told(dana) if e.kind == "correction"]
    assert said == [("Preferences changed: do not contact and language", "dana"), ("Correction of phone", "dana")]


# --- Order, reach, cost --------------------------------------------------------------------------------------------


def test_the_newest_comes_first_and_an_exports_day_before_what_was_done_on_it(dana):
    today = timezone.localdate()
    Order.objects.filter(pk="M-00105").update(placed=today)
    services.note_add("CC-0001", "today", user=dana, request_key=uuid4())
    found = told(dana)
    assert [e.title for e in found[:2]] == ["Note", "Order M-00105 placed, 12.00"]
    assert all(a.at >= b.at for a, b in zip(found, found[1:], strict=False))
    assert found[1].at == timezone.make_aware(datetime(today.year, today.month, today.day))


def test_a_person_kept_to_a_store_reads_of_its_orders_alone(dana, people):
    """Dana Haddad has an order in Hielo too."""
    books.order("H-00299", "CC-0001", "9.00", date(2026, 2, 18), store="Hielo")
    pay(dana)
    pay(dana, "4", "H-00299")
    for order in ("M-00102", "H-00299"):
        services.note_add("CC-0001", f"on {order}", user=dana, request_key=uuid4(), order_id=order)
    StoreAccess.objects.create(user=people["farid"], store="Hielo")
    kept = type(dana).objects.get(pk=people["farid"].pk)
    assert titles(kept) == [
        "Note about H-00299", "4.00 paid for H-00299 by Cash", "Order H-00299 cleaned, 9.00",
        "Order H-00299 placed, 9.00",
    ]  # fmt: skip
    assert len(titles(dana)) > 4


def test_it_asks_the_same_number_of_questions_however_much_happened(dana, people):
    def asked() -> int:
        user = type(dana).objects.get(pk=dana.pk)
        row = Customer.objects.get(pk="CC-0001")
        orders = list(orders_for(user).filter(customer=row).with_balance())
        with CaptureQueriesContext(connection) as questions:
            timeline(row, orders, user, today=timezone.localdate())
        return len(questions)

    def work(n: int) -> None:
        for i in range(n):
            order = books.order(f"M-9{i}{n:03}", "CC-0001", "5.00", date(2026, 1, 5))
            row = pay(dana, "2", order.pk)
            services.payment_void(row.pk, reason="slip", user=dana, request_key=uuid4())
            promise(dana, "1", 3)
            services.assign(["CC-0001"], people["farid" if i % 2 else "dana"], user=dana)
            services.correction_save("CC-0001", "name", f"Name {i} {n}", user=dana)
            services.message_record("CC-0001", channel="whatsapp", language="en", text="x", user=dana,
                                    request_key=uuid4())  # fmt: skip

    work(1)
    few = asked()
    work(6)
    assert asked() == few <= 11
