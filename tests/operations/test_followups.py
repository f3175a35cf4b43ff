"""Notes, contacts, promises, next actions, who takes over, messages: written, counted, undone."""

from datetime import date, timedelta
from decimal import Decimal as D
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from analytics.models import StoreAccess
from operations import services
from operations.models import Customer, FollowUp, Level, Message, MessageTemplate, Order
from operations.money import Promise
from operations.scope import follow_ups_for, messages_for
from operations.services import Refused
from operations.standing import last_promises, standings
from operations.transports import NO_MAIL_SERVER
from tests.operations import books
from tests.operations.books import paying

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana(people):
    books.write()
    return people["dana"]


def in_days(n: int) -> date:
    return timezone.localdate() + timedelta(n)


def note(user, text="", customer="CC-0001", **more) -> FollowUp:
    return services.note_add(customer, text, user=user, **{"request_key": uuid4()} | more)


def promise(user, amount="20", days=3, customer="CC-0001", **more) -> FollowUp:
    return services.promise_record(customer, D(amount), in_days(days), user=user, **{"request_key": uuid4()} | more)


def columns(customer="CC-0001") -> tuple:
    """What lists sort by: next action, assigned to, whether there was a contact."""
    row = Customer.objects.select_related("assigned_to").get(pk=customer)
    return row.next_action_on, row.assigned_to and row.assigned_to.username, row.last_contact_at is not None


# --- Notes and contacts --------------------------------------------------------------------------------------------


def test_a_note_is_no_contact_and_leaves_the_plan_as_it_is(dana):
    services.next_action_set(["CC-0001"], in_days(2), user=dana)
    row = note(dana, "  Left a parcel ", order_id="M-00102")
    assert (row.note, row.channel, row.order_id, row.created_by) == ("Left a parcel", "note", "M-00102", dana)
    assert columns() == (in_days(2), None, False)


def test_a_contact_does_what_was_planned(dana):
    services.next_action_set(["CC-0001"], in_days(2), user=dana)
    row = note(dana, channel="call", outcome="not reached")
    assert (row.note, row.outcome) == ("", "not reached")
    assert columns() == (None, None, True)
    note(dana, "Try again", channel="call", outcome="not reached", next_action_on=in_days(1))
    assert columns() == (in_days(1), None, True)


def test_the_same_request_writes_once(dana):
    key = uuid4()
    first = note(dana, "Called", request_key=key)
    assert note(dana, "Called", request_key=key) == first
    assert FollowUp.objects.count() == 1
    with pytest.raises(Refused, match="sent before, for another customer"):
        note(dana, "Called", customer="CC-0002", request_key=key)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Write a note"),
        ({"text": " \x00 "}, "Write a note"),
        ({"text": "x" * 10_001}, "too long"),
        ({"text": "x", "channel": "pigeon"}, "pigeon"),
        ({"channel": "call", "outcome": "eaten"}, "eaten"),
        ({"text": "x", "order_id": "H-00201"}, "CC-0001 has no order H-00201"),
        ({"text": "x", "customer": "CC-9999"}, "There is no customer CC-9999"),
        ({"text": "x", "next_action_on": date(2020, 3, 1)}, "1 Mar 2020 has gone by"),
    ],
)
def test_a_note_that_makes_no_sense_is_refused(dana, fields, words):
    with pytest.raises(Refused, match=words):
        note(dana, **fields)
    assert not FollowUp.objects.exists()


def test_who_may_write(dana, people):
    for name in ("layla", "omar", "noor"):
        with pytest.raises(PermissionDenied):
            note(people[name], "mine")
    StoreAccess.objects.create(user=people["farid"], store="Hielo")
    with pytest.raises(Refused, match="There is no customer CC-0001"):
        note(people["farid"], "not mine")
    assert note(people["farid"], "mine", customer="CC-0002")


# --- A person kept to a store --------------------------------------------------------------------------------------


@pytest.fixture
def kept(dana):
    """Dana, kept to Hielo, where CC-0001 of Moon Walk owes 31.00 on one order."""
    books.order("H-00202", "CC-0001", "31.00", date(2026, 2, 16), store="Hielo")
    StoreAccess.objects.create(user=dana, store="Hielo")
    return dana


def test_a_promise_is_of_the_stores_orders_alone(kept):
    with pytest.raises(Refused, match=r"Dhs 31\.01 is more than is owed: Dhs 31\.00\.$"):
        promise(kept, "31.01")
    with pytest.raises(Refused, match="CC-0001 owes nothing"):
        promise(kept, "15", order_ids=["M-00104"])
    row = promise(kept, "31")
    assert (row.promise_balance, [*row.promised_orders.values_list("pk", flat=True)]) == (D("31.00"), ["H-00202"])


def test_a_promise_of_another_stores_orders_is_not_seen(dana, people):
    """It tells what is owed there. One of the store's orders alone is, and so is a note."""
    books.order("H-00202", "CC-0001", "31.00", date(2026, 2, 16), store="Hielo")
    note(dana, "Rang twice")
    hers = promise(dana, "31", order_ids=["H-00202"])
    whole = promise(dana, "66", days=1)
    seen = {True: {"Rang twice", hers.pk}, False: {"Rang twice", hers.pk, whole.pk}}
    for kept in (False, True):
        if kept:
            StoreAccess.objects.create(user=people["farid"], store="Hielo")
        farid = type(dana).objects.get(username="farid")
        found = follow_ups_for(farid)
        assert {row.pk if row.promise_on else row.note for row in found} == seen[kept]
        assert last_promises(in_days(2), user=farid)["CC-0001"].made == (hers if kept else whole)
        assert standings([("CC-0001", 9, D("31"))], in_days(2), farid)["CC-0001"].promise is (
            Promise.PENDING if kept else Promise.BROKEN
        )
    with pytest.raises(Refused, match="no such follow-up"):
        services.followup_void(whole.pk, user=farid)


def test_a_message_about_another_stores_orders_is_not_seen(dana, people):
    books.order("H-00202", "CC-0001", "31.00", date(2026, 2, 16), store="Hielo")
    message(dana, text="You owe Dhs 66.00")
    plain = message(dana, customer="CC-0002", text="You owe Dhs 30.00")
    StoreAccess.objects.create(user=people["farid"], store="Hielo")
    own = message(people["farid"], text="You owe Dhs 31.00")
    assert set(messages_for(people["farid"])) == {plain, own}
    assert messages_for(dana).count() == 3


def test_nothing_is_written_on_another_stores_order(kept, people):
    for customer in (None, Customer.objects.get(pk="CC-0001")):
        with pytest.raises(Refused, match="CC-0001 has no order M-00102"):
            services.followup_save(
                FollowUp(note="x", customer=customer, order=Order.objects.get(pk="M-00102")), user=kept)  # fmt: skip
    assert services.followup_save(FollowUp(note="x", order=Order.objects.get(pk="H-00202")), user=kept).pk
    his = note(people["root"], "His", order_id="M-00102")
    his.note = "Mine"
    kept.user_permissions.add(Permission.objects.get(codename="change_followup"))
    with pytest.raises(Refused, match="CC-0001 has no order M-00102"):
        services.followup_save(his, user=type(kept).objects.get(pk=kept.pk))
    assert FollowUp.objects.get(pk=his.pk).note == "His"


# --- Next action and who takes over --------------------------------------------------------------------------------


def test_the_next_action_of_many(dana):
    assert len(services.next_action_set(["CC-0001", "CC-0002"], in_days(4), user=dana, note="Sunday")) == 2
    assert len(services.next_action_set(["CC-0001", "CC-0003"], in_days(4), user=dana)) == 1, "CC-0001 has it already"
    assert {columns(pk)[0] for pk in ("CC-0001", "CC-0002", "CC-0003")} == {in_days(4)}
    services.next_action_set(["CC-0001"], None, user=dana)
    assert columns()[0] is None
    with pytest.raises(Refused, match="gone by"):
        services.next_action_set(["CC-0001"], in_days(-1), user=dana)


def test_a_note_is_kept_also_where_the_day_was_planned_already(dana):
    services.next_action_set(["CC-0001"], in_days(4), user=dana)
    made = services.next_action_set(["CC-0001", "CC-0002"], in_days(4), user=dana, note="Ring twice")
    assert [(row.customer_id, row.note) for row in made] == [("CC-0001", "Ring twice"), ("CC-0002", "Ring twice")]


def test_the_same_request_plans_and_gives_once(dana, people):
    asked = {"user": dana, "request_key": uuid4()}
    made = services.next_action_set(["CC-0001", "CC-0002"], in_days(4), note="Ring", **asked)
    assert services.next_action_set(["CC-0001", "CC-0002"], in_days(4), note="Ring", **asked) == made
    for changed in ({"on": in_days(5), "note": "Ring"}, {"on": in_days(4), "note": "Write"}):
        with pytest.raises(Refused, match="sent before, with something else in it"):
            services.next_action_set(["CC-0001"], **changed, **asked)
    asked = {"user": dana, "request_key": uuid4()}
    given = services.assign(["CC-0001", "CC-0002"], people["farid"], **asked)
    assert services.assign(["CC-0001", "CC-0002"], people["farid"], **asked) == given, "not: they were his before"
    with pytest.raises(Refused, match="sent before, with something else in it"):
        services.assign(["CC-0001"], None, **asked)
    assert (len(made), len(given), FollowUp.objects.count()) == (2, 2, 4)


@pytest.mark.parametrize("write", ["plan", "give"])
def test_many_at_once_ask_two_questions_each_and_no_more(dana, people, django_assert_max_num_queries, write):
    """An entry of the trail and the follow-up itself; what is asked about all of them is asked once."""
    many = [f"CC-1{n:03}" for n in range(50)]
    for pk in many:
        books.customer(pk)
    do = {
        "plan": lambda ids: services.next_action_set(ids, in_days(1), user=dana, note="Ring", request_key=uuid4()),
        "give": lambda ids: services.assign(ids, people["farid"], user=dana, request_key=uuid4()),
    }[write]
    do(["CC-0001"])  # what a process asks once
    with django_assert_max_num_queries(20 + 2 * 50):
        assert len(do(many)) == 50
    assert {columns(pk)[0 if write == "plan" else 1] for pk in many} == {in_days(1) if write == "plan" else "farid"}


def test_who_can_be_given_customers(dana, people):
    people["hala"].groups.add(Group.objects.get(name="Desk"))
    people["hala"].is_active = False
    people["hala"].save()
    able = [who.username for who in services.people_who_work_the_list()]
    assert able == ["dana", "farid", "root"], "layla opens the worklist and may do nothing there"
    with pytest.raises(Refused, match="layla can't work on"):
        services.assign(["CC-0002"], people["layla"], user=dana)
    with pytest.raises(Refused, match="hala can't work on"):
        services.assign(["CC-0002"], people["hala"], user=dana)


def test_customers_are_given_to_a_person_and_back(dana, people):
    assert len(services.assign(["CC-0001", "CC-0002"], people["farid"], user=dana)) == 2
    assert services.assign(["CC-0001"], people["farid"], user=dana) == []
    assert columns()[1] == "farid"
    services.assign(["CC-0001"], None, user=dana)
    assert columns()[1] is None
    assert columns("CC-0002")[1] == "farid"
    with pytest.raises(Refused, match="omar can't work on"):
        services.assign(["CC-0001"], people["omar"], user=dana)
    people["hala"].groups.add(Group.objects.get(name="Desk"))
    with pytest.raises(Refused, match="hala is kept to a store"):
        services.assign(["CC-0001"], people["hala"], user=dana)
    services.assign(["CC-0002"], people["hala"], user=dana)
    with pytest.raises(PermissionDenied):
        services.assign(["CC-0001"], people["farid"], user=people["layla"])


def test_at_most_a_thousand_at_once(dana):
    with pytest.raises(Refused, match="1,001 are too many"):
        services.next_action_set([f"CC-{i}" for i in range(1001)], in_days(1), user=dana)


# --- Undoing -------------------------------------------------------------------------------------------------------


def test_undoing_brings_back_what_was_before(dana, people):
    services.assign(["CC-0001"], dana, user=dana)
    services.next_action_set(["CC-0001"], in_days(2), user=dana)
    (given,) = services.assign(["CC-0001"], people["farid"], user=dana)
    call = note(dana, channel="call", outcome="reached", next_action_on=in_days(9))
    assert columns() == (in_days(9), "farid", True)
    services.followup_void(call.pk, reason="another customer", user=dana)
    assert columns() == (in_days(2), "farid", False)
    services.followup_void(given.pk, user=dana)
    assert columns() == (in_days(2), "dana", False)
    call.refresh_from_db()
    assert (call.voided_by, call.void_reason) == (dana, "another customer")
    at = call.voided_at
    assert services.followup_void(call.pk, reason="twice", user=people["farid"]).voided_at == at
    assert FollowUp.objects.count() == 4, "nothing is gone"


def test_who_may_undo(dana, people):
    his, hers = note(people["farid"], "his"), note(dana, "hers")
    with pytest.raises(PermissionDenied):
        services.followup_void(his.pk, user=dana)
    FollowUp.objects.filter(pk=hers.pk).update(created_at=timezone.now() - timedelta(days=1))
    with pytest.raises(PermissionDenied):
        services.followup_void(hers.pk, user=dana)
    assert services.followup_void(hers.pk, user=people["farid"]).voided_at
    with pytest.raises(Refused, match="no such follow-up"):
        services.followup_void(his.pk + 99, user=dana)


def test_several_are_undone_together_or_not_at_all(dana, people):
    mine, also, his = note(dana, "mine"), note(dana, "also mine", "CC-0002"), note(people["farid"], "his")
    with pytest.raises(PermissionDenied):
        services.followups_void([mine.pk, his.pk], user=dana)
    with pytest.raises(Refused, match="no such follow-up"):
        services.followups_void([mine.pk, his.pk + 99], user=dana)
    assert not FollowUp.objects.filter(voided_at__isnull=False).exists()
    assert services.followups_void([also.pk, mine.pk], reason="twice", user=dana) == [mine, also]
    assert set(FollowUp.objects.filter(voided_by=dana, void_reason="twice")) == {mine, also}


# --- Promises ------------------------------------------------------------------------------------------------------


def state(on: date) -> Promise:
    return last_promises(on)["CC-0001"].state


def test_a_promise_is_measured_on_what_was_open_then(dana):
    row = promise(dana, "20", days=3)
    assert (row.promise_balance, row.outcome, row.channel) == (D("35.00"), "promised", "call")
    assert set(row.promised_orders.values_list("pk", flat=True)) == {"M-00102", "M-00104"}
    assert (state(in_days(3)), state(in_days(4))) == (Promise.PENDING, Promise.BROKEN)
    services.customer_pay("CC-0001", D("19.99"), **paying(dana))
    assert state(in_days(4)) is Promise.BROKEN
    services.customer_pay("CC-0001", D("0.01"), **paying(dana))
    assert state(in_days(4)) is Promise.KEPT


def test_new_orders_break_no_promise(dana):
    promise(dana, "35", days=1)
    services.customer_pay("CC-0001", D("35"), **paying(dana))
    books.order("M-00106", "CC-0001", "80.00", date(2026, 3, 1))
    assert last_promises(in_days(2))["CC-0001"].owed_now == 0
    assert state(in_days(2)) is Promise.KEPT


def test_an_export_that_says_paid_keeps_a_promise(dana):
    promise(dana, "15", days=1)
    Order.objects.filter(pk="M-00104").update(paid=True)
    assert state(in_days(2)) is Promise.KEPT


def test_a_void_breaks_it_again(dana):
    promise(dana, "15", days=1)
    (payment,) = services.customer_pay("CC-0001", D("15"), **paying(dana))
    assert state(in_days(2)) is Promise.KEPT
    services.payment_void(payment.pk, reason="bounced", user=dana, request_key=uuid4())
    assert state(in_days(2)) is Promise.BROKEN


def test_the_newest_promise_counts_unless_it_is_void(dana):
    promise(dana, "35", days=0)
    later = promise(dana, "20", days=9)
    assert state(in_days(5)) is Promise.PENDING
    services.followup_void(later.pk, user=dana)
    assert state(in_days(5)) is Promise.BROKEN


def test_a_promise_sent_again_after_its_day_is_the_one_there_is(dana, monkeypatch):
    key = uuid4()
    row = promise(dana, "20", days=1, next_action_on=in_days(1), request_key=key)
    on, later = row.promise_on, timezone.now() + timedelta(days=5)
    monkeypatch.setattr(timezone, "now", lambda: later)
    again = services.promise_record("CC-0001", D("20"), on, next_action_on=on, user=dana, request_key=key)
    assert again == row


def test_a_promise_about_one_order(dana):
    row = promise(dana, "20", order_ids=["M-00102", "H-00201"])
    assert (row.promise_balance, [*row.promised_orders.values_list("pk", flat=True)]) == (D("20.00"), ["M-00102"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"amount": "35.01"}, r"Dhs 35\.01 is more than is owed: Dhs 35\.00"),
        ({"amount": "0"}, "no amount"),
        ({"days": -1}, "gone by"),
        ({"next_action_on": date(2020, 3, 1)}, "1 Mar 2020 has gone by"),
        ({"order_ids": ["M-00101"]}, "owes nothing"),
    ],
)
def test_a_promise_that_makes_no_sense_is_refused(dana, fields, words):
    with pytest.raises(Refused, match=words):
        promise(dana, **fields)
    assert not FollowUp.objects.exists()


def test_standings_of_many_ask_no_more_questions(dana, django_assert_num_queries):
    """CC-0001, 300 days late: the second level for 35.00. Asked of 3 customers with promises as of 1."""
    promise(dana, "20", days=0)
    promise(dana, "30", days=5, customer="CC-0002")
    promise(dana, "100", days=0, customer="CC-0003")
    debts = [("CC-0001", 300, D("35")), ("CC-0002", 300, D("30")), ("CC-0003", 61, D("100"))]
    with django_assert_num_queries(4):
        found = standings(debts, in_days(1))
    assert {pk: (s.level.name, s.promise, s.paused) for pk, s in found.items()} == {
        "CC-0001": ("Second reminder", Promise.BROKEN, False),
        "CC-0002": ("Second reminder", Promise.PENDING, True),
        "CC-0003": ("Final reminder", Promise.BROKEN, False),
    }
    with django_assert_num_queries(4):
        assert standings(debts[:1], in_days(1)) == {"CC-0001": found["CC-0001"]}


# --- Messages ------------------------------------------------------------------------------------------------------


def message(user, channel="whatsapp", customer="CC-0001", **more) -> Message:
    fields = {"channel": channel, "language": "en", "text": "Hello", "subject": "Reminder", "request_key": uuid4()}
    return services.message_record(customer, user=user, **fields | more)


def send(user, customer="CC-0001", **more) -> Message:
    fields = {"language": "en", "text": "Hello", "subject": "Re\nminder", "request_key": uuid4()}
    return services.message_send(customer, user=user, **fields | more)


def test_an_opened_message_is_a_contact(dana):
    row = message(dana, level=Level.objects.get(name="Reminder"))
    assert (row.sent_to, row.state, row.created_by, row.level.name) == (
        "+971 50 000 0001", "opened", dana, "Reminder")  # fmt: skip
    assert columns() == (None, None, True)
    assert message(dana, "email").sent_to == "dana@example.com"
    assert message(dana, request_key=row.request_key) == row


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": " "}, "blank|empty"),
        ({"channel": "visit"}, "no way to write"),
        ({"language": "fr"}, "no language"),
        ({"channel": "email", "sent_to": "nobody"}, "valid email"),
        ({"customer": "CC-0003"}, "CC-0003 has no phone"),
        ({"customer": "CC-0003", "channel": "email"}, "CC-0003 has no e-mail address"),
    ],
)
def test_a_message_that_makes_no_sense_is_refused(dana, fields, words):
    with pytest.raises(Refused, match=words):
        message(dana, **fields)
    assert not Message.objects.exists()


def test_who_is_not_to_be_contacted_isnt(dana):
    services.preferences_save("CC-0001", do_not_contact=True, user=dana)
    for write in (message, send):
        with pytest.raises(Refused, match="not to be contacted"):
            write(dana)
    assert not mail.outbox


def test_an_e_mail_leaves_once(dana):
    key = uuid4()
    row = send(dana, request_key=key, attachments=[("statement.pdf", b"%PDF-", "application/pdf")])
    assert (row.state, row.sent_to) == ("sent", "dana@example.com")
    assert send(dana, request_key=key) == row
    (sent,) = mail.outbox
    assert (sent.to, sent.subject, sent.body, sent.attachments) == (
        ["dana@example.com"], "Re minder", "Hello", [("statement.pdf", b"%PDF-", "application/pdf")])  # fmt: skip


def test_an_e_mail_that_cannot_leave_is_on_record_as_not_sent(dana, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # nobody listens there
    row = Message.objects.get(pk=send(dana).pk)
    assert (row.state, row.error) == ("failed", NO_MAIL_SERVER)
    assert columns() == (None, None, False), "nobody was reached"


def test_what_a_mail_server_refuses_reads_as_a_sentence_without_the_address(dana, mail_sink):
    mail_sink.will("to: 550 5.1.1 No dana@example.com")
    row = Message.objects.get(pk=send(dana).pk)
    assert (row.state, row.error) == ("failed", "The mail server refuses this address (550).")


def test_an_e_mail_is_on_record_before_it_leaves(dana, monkeypatch):
    """A process that dies in the middle leaves it "being sent": the retry sends nothing."""
    key = uuid4()

    def die(self):
        assert Message.objects.get().state == "sending"
        raise SystemExit

    monkeypatch.setattr("operations.transports.post", die)
    with pytest.raises(SystemExit):
        send(dana, request_key=key)
    monkeypatch.undo()
    assert send(dana, request_key=key).state == "sending"
    assert not mail.outbox


# --- Preferences, levels, templates --------------------------------------------------------------------------------


def test_preferences(dana, people):
    row = services.preferences_save("CC-0001", preferred_channel="email", language="ar", user=dana)
    assert (row.preferred_channel, row.language, row.do_not_contact) == ("email", "ar", False)
    row = services.preferences_save("CC-0001", do_not_contact=True, preferred_channel="", user=dana)
    row.refresh_from_db()
    assert (row.preferred_channel, row.language, row.do_not_contact) == ("", "ar", True)
    for wrong in ({"preferred_channel": "note"}, {"language": "fr"}):
        with pytest.raises(Refused):
            services.preferences_save("CC-0001", user=dana, **wrong)
    with pytest.raises(PermissionDenied):
        services.preferences_save("CC-0001", language="ar", user=people["omar"])


def test_levels_are_the_books_to_change(dana, people):
    level = Level.objects.get(name="Reminder")
    level.days_from = 5
    with pytest.raises(PermissionDenied):
        services.level_save(level, user=dana)
    services.level_save(level, user=people["farid"])
    assert Level.objects.get(name="Reminder").days_from == 5
    with pytest.raises(Refused, match="already exists"):
        services.level_save(Level(name="Another", position=1, days_from=3), user=people["farid"])
    with pytest.raises(PermissionDenied):
        services.setting_delete(level, user=people["farid"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello {nmae}", r"There is no \{nmae\}"),
        ("Hello {name", "Check the braces"),
        ("Hello {name!r}", "holds more than a name"),
        ("Hello {}", r"There is no \{\}"),
        ("Hello {name.__class__}", "There is no"),
        ("", "blank"),
    ],
)
def test_a_template_names_what_there_is(people, text, words):
    template = MessageTemplate.objects.filter(channel="whatsapp", language="en").first()
    template.text = text
    with pytest.raises(Refused, match=words):
        services.template_save(template, user=people["farid"])
    template.text = "Hello {name}, {{this}} stays"
    services.template_save(template, user=people["farid"])


# --- The database's own rules --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"channel": "pigeon"},
        {"outcome": "eaten"},
        {"promise_amount": 5},
        {"promise_on": date(2026, 3, 1)},
        {"promise_amount": 0, "promise_on": date(2026, 3, 1), "promise_balance": 5},
        {"promise_amount": 6, "promise_on": date(2026, 3, 1), "promise_balance": 5},
        {"next_action_on": date(2026, 3, 1)},
        {"void_reason": "why"},
    ],
)
def test_the_database_refuses_what_no_follow_up_can_be(dana, wrong):
    FollowUp.objects.create(customer_id="CC-0001", note="x")
    with pytest.raises(IntegrityError), transaction.atomic():
        FollowUp.objects.create(customer_id="CC-0001", note="x", **wrong)


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (Customer, {"language": "fr"}),
        (Customer, {"preferred_channel": "note"}),
        (Customer, {"own_name": "Dana"}),
        (Customer, {"over_phone": "050"}),
        (Level, {"amount_from": -1}),
        (Level, {"name": ""}),
        (Level, {"channel": "note"}),
        (MessageTemplate, {"text": ""}),
        (MessageTemplate, {"channel": "email", "subject": ""}),
        (MessageTemplate, {"language": "fr"}),
    ],
)
def test_the_database_keeps_to_the_choices(dana, model, wrong):
    pk = model.objects.order_by("pk").first().pk
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.filter(pk=pk).update(**wrong)


def test_there_is_one_template_of_a_kind(dana):
    for level in (None, Level.objects.first()):
        with pytest.raises(IntegrityError), transaction.atomic():
            MessageTemplate.objects.create(level=level, channel="whatsapp", language="ar", text="x")
