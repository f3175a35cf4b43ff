"""The admin's actions: each asks first, calls a service, says what it did; what is refused is said on the page."""

import html
import re
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from django.utils import timezone

from analytics.models import StoreAccess
from operations import services
from operations.models import Customer, FollowUp, Level, MessageTemplate, Payment
from tests.operations import books
from tests.operations.desk_forms import fields_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(people, data_dir):
    books.write()
    return people


def url(model: str, page: str = "changelist", *args) -> str:
    return reverse(f"admin:operations_{model}_{page}", args=args)


def ticked(client, model: str, action: str, *keys, **more):
    """What the list answers when rows are ticked and an action is run."""
    return client.post(url(model), {"action": action, "_selected_action": keys, "index": 0} | more)


def done(client, what: str, page, **fields):
    """The form of an action, sent as it opened but for these fields; what the page after it answers."""
    return client.post(reverse("act", args=[what]), fields_of(page) | fields, follow=True)


def about(client, what: str, **query):
    """The form of an action, as the button on a row's page opens it."""
    return client.get(reverse("act", args=[what]), query)


def said(answer) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


TODAY = {"method": "Cash", "paid_on": timezone.localdate().isoformat(), "reference": "", "note": ""}


# --- Orders are paid -----------------------------------------------------------------------------------------------


def test_orders_are_marked_paid_from_the_list(as_, desk):
    """Ticked: 20.00 and 15.00 are owed, M-00101 is paid already and passed over."""
    client = as_("dana")
    page = ticked(client, "order", "pay", "M-00101", "M-00102", "M-00104")
    text = page.content.decode()
    assert [(row.order.pk, row.chosen, str(row.balance)) for row in page.context["rows"]] == [
        ("M-00101", True, "0.00"), ("M-00104", True, "15.00"), ("M-00102", True, "20.00")]  # fmt: skip
    assert "Dhs 35.00" in text and f'action="{reverse("act", args=["pay"])}"' in text
    assert not Payment.objects.exists(), "it only asks"
    answer = done(client, "pay", page, **TODAY | {"method": "Terminal", "reference": "Slip 7"})
    assert said(answer) == ["Recorded Dhs 35.00 of Dana Haddad for 2 orders. Dashboards update shortly."]
    made = {p.order_id: (p.amount, p.method, p.reference, p.created_by) for p in Payment.objects.all()}
    assert made == {"M-00102": (Decimal("20.00"), "Terminal", "Slip 7", desk["dana"]),
                    "M-00104": (Decimal("15.00"), "Terminal", "Slip 7", desk["dana"])}  # fmt: skip
    assert answer.redirect_chain[-1][0] == url("order")
    assert books.balances() == {"H-00201": Decimal("30.00"), "M-00301": Decimal("100.00")}


def test_a_double_click_on_a_rows_button_pays_once(as_, desk):
    client = as_("dana")
    row = client.get(url("order", "change", "M-00102"))
    (button,) = (button.url for button in row.context["buttons"] if button.words == "Mark paid")
    page = client.get(button)
    for _ in range(2):
        answer = done(client, "pay", page, **TODAY)
        assert said(answer)[-1:] == ["Recorded Dhs 20.00 of Dana Haddad for 1 order. Dashboards update shortly."]
    assert Payment.objects.count() == 1
    assert answer.redirect_chain[-1][0] == url("order", "change", "M-00102")


def test_no_other_sum_is_paid_than_the_one_that_was_shown(as_, desk):
    """Shown: 65.00 of two customers. Meanwhile Farid takes 5.00 for one of the orders, so that they owe 60.00."""
    client, keys = as_("dana"), ("M-00102", "M-00104", "H-00201")
    page = ticked(client, "order", "pay", *keys)
    services.customer_pay("CC-0001", Decimal("5.00"), order_ids=["M-00104"], **books.paying(desk["farid"]))
    answer = done(client, "pay", page, **TODAY)
    assert "Meanwhile these orders owe Dhs 60.00, no longer Dhs 65.00" in answer.content.decode()
    assert Payment.objects.count() == 1
    page = ticked(client, "order", "pay", *keys)
    assert said(done(client, "pay", page, **TODAY)) == [
        "Recorded Dhs 60.00 of 2 customers for 3 orders. Dashboards update shortly."]  # fmt: skip


def test_the_list_keeps_its_filters_after_an_action(as_, desk):
    client = as_("dana")
    here = url("order") + "?money=open&q=M-0010"
    page = client.post(here, {"action": "pay", "_selected_action": ["M-00102"], "index": 0})
    answer = done(client, "pay", page, **TODAY)
    assert answer.redirect_chain[-1][0] == here


def test_all_that_the_list_shows_is_paid_at_once(as_, desk):
    page = as_("farid").post(url("order") + "?money=open", {
        "action": "pay", "_selected_action": ["M-00102"], "select_across": "1", "index": 0})  # fmt: skip
    assert set(fields_of(page)["order"]) == {"M-00102", "M-00104", "H-00201", "M-00301"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"paid_on": (timezone.localdate() + timedelta(days=1)).isoformat()}, "is still to come"),
        ({"paid_on": "2026-01-01"}, "was placed on 10 Feb 2026"),
        ({"paid_on": "yesterday"}, "Enter a valid date"),
        ({"method": "Barter"}, "Select a valid choice"),
        ({"request_key": "x"}, "Something of this form was lost on the way"),
    ],
)
def test_what_makes_no_sense_is_said_on_the_page(as_, desk, fields, words):
    client = as_("dana")
    page = about(client, "pay", order="M-00102")
    answer = done(client, "pay", page, **TODAY | {"reference": "kept"} | fields)
    assert answer.status_code == 400
    assert not Payment.objects.exists()
    assert words in answer.content.decode()
    assert 'value="kept"' in answer.content.decode(), "what was typed is still there"


def test_a_payment_is_recorded_on_its_own_page(as_, desk):
    client, form = as_("dana"), {"order": "M-00102", "amount": "5.50", **TODAY, "click": str(uuid4())}
    for _ in range(2):  # sent twice, recorded once
        assert client.post(url("payment", "add"), form).status_code == 302
    assert [(p.order_id, p.amount, p.created_by) for p in Payment.objects.all()] == [
        ("M-00102", Decimal("5.50"), desk["dana"])]  # fmt: skip
    client.post(url("payment", "add"), form | {"amount": "", "click": str(uuid4())})
    assert sorted(p.amount for p in Payment.objects.all()) == [Decimal("5.50"), Decimal("14.50")]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"amount": "20.01"}, "Dhs 20.01 is more than is owed: Dhs 20.00."),
        ({"amount": "-1"}, "greater than or equal to 0.01"),
        ({"order": "M-00101", "amount": ""}, "Order M-00101 owes nothing."),
        ({"order": "M-00101"}, "CC-0001 owes nothing."),
        ({"order": ""}, "This field is required."),
        ({"paid_on": "2026-01-01"}, "was placed on 10 Feb 2026"),
    ],
)
def test_a_payment_that_makes_no_sense_is_refused_with_what_was_typed(as_, desk, fields, words):
    form = {"order": "M-00102", "amount": "5.00", **TODAY, "reference": "kept", "click": str(uuid4())} | fields
    answer = as_("dana").post(url("payment", "add"), form)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert 'value="kept"' in answer.content.decode()
    assert not Payment.objects.exists()


def undo_of(answer) -> dict:
    """The form of the way back that a message in the admin offers: its address and its fields."""
    page = answer.content.decode()
    form = re.search(r'<form method="post" action="(/operations/act/[^"]*)">(.*?Undo</button>)', page, re.S)
    found: dict = {}
    for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form[2]):
        found.setdefault(name, []).append(html.unescape(value))
    return {"url": form[1]} | found


def test_what_was_done_from_the_admin_is_undone_in_its_message(as_, desk):
    client, here = as_("dana"), url("customer", "change", "CC-0001")
    answer = done(client, "pay", about(client, "pay", order="M-00102", back=here))
    assert answer.redirect_chain[-1][0] == here
    payment, back = Payment.objects.get(), undo_of(answer)
    assert (back["url"], back["payment"], back["back"]) == (
        reverse("act", args=["void-payment"]), [str(payment.pk)], [here])  # fmt: skip
    assert "csrfmiddlewaretoken" in back
    answer = client.post(back.pop("url"), back)
    assert "Undo a payment" in answer.content.decode() and not payment.is_void, "it asks why first"
    assert "Undo</button>" not in client.get(here).content.decode(), "a message is told once"


# --- Payments are voided ---------------------------------------------------------------------------------------------


def paid(user, order_id="M-00102", **more) -> Payment:
    return services.order_mark_paid([order_id], **books.paying(user, **more))[0]


def test_a_payment_is_voided_with_a_reason_and_never_deleted(as_, desk):
    payment, client = paid(desk["dana"]), as_("dana")
    assert "Void this payment" in client.get(url("payment", "change", payment.pk)).content.decode()
    page = ticked(client, "payment", "void-payment", payment.pk)
    assert "Dana Haddad" in page.content.decode() and "Dhs 20.00" in page.content.decode()
    answer = done(client, "void-payment", page, reason="")
    assert "Say why." in answer.content.decode()
    answer = done(client, "void-payment", page, reason="Wrong order")
    assert said(answer) == ["Undone: Dhs 20.00 of Dana Haddad for 1 order. Dashboards update shortly."]
    counter = Payment.objects.get(voids=payment)
    assert (counter.amount, counter.note, counter.created_by) == (Decimal("-20.00"), "Wrong order", desk["dana"])
    assert Payment.objects.filter(pk=payment.pk).exists()
    page = client.get(url("payment", "change", payment.pk)).content.decode()
    assert "Void this payment" not in page
    assert "payment 1" in page or f"payment {counter.pk}" in page, "the trail tells of both"


def test_others_payments_are_voided_by_the_books_alone(as_, desk):
    payment = paid(desk["farid"])
    client = as_("dana")
    assert "Void this payment" not in client.get(url("payment", "change", payment.pk)).content.decode()
    assert about(client, "void-payment", payment=payment.pk).status_code == 403
    assert ticked(client, "payment", "void-payment", payment.pk).status_code == 403
    assert Payment.objects.count() == 1
    theirs = paid(desk["dana"], "M-00104")
    client = as_("farid")
    page = ticked(client, "payment", "void-payment", payment.pk, theirs.pk)
    done(client, "void-payment", page, reason="Both wrong")
    assert Payment.objects.filter(voids__in=[payment, theirs]).count() == 2


def test_the_undoing_of_a_payment_is_not_undone(as_, desk):
    payment = paid(desk["farid"])
    counter = services.payment_void(payment.pk, reason="x", user=desk["farid"], request_key=uuid4())
    client = as_("farid")
    for answer in (about(client, "void-payment", payment=counter.pk),
                   ticked(client, "payment", "void-payment", counter.pk)):  # fmt: skip
        assert "This is undone already." in answer.content.decode()
    assert Payment.objects.count() == 2


@pytest.mark.parametrize("model", ["customer", "order", "payment", "followup", "message", "refreshrun"])
def test_delete_is_offered_nowhere(as_, desk, model):
    """Nor to a superuser, who may do everything."""
    paid(desk["root"])
    note = services.note_add("CC-0001", "Hello", user=desk["root"], request_key=uuid4())
    keys = {"customer": "CC-0001", "order": "M-00102", "payment": Payment.objects.get().pk, "followup": note.pk}
    client = as_("root")
    page = client.get(url(model))
    assert "delete_selected" not in page.content.decode()
    ticked(client, model, "delete_selected", keys.get(model, 1), post="yes")
    if model in keys:
        assert client.post(url(model, "delete", keys[model]), {"post": "yes"}).status_code == 403
        assert "/delete/" not in client.get(url(model, "change", keys[model])).content.decode()
    assert (Payment.objects.count(), FollowUp.objects.count(), Customer.objects.count()) == (1, 1, 3)


def test_a_payment_can_be_neither_changed_nor_deleted(as_, desk):
    payment, client = paid(desk["root"]), as_("root")
    assert client.post(url("payment", "change", payment.pk), {"amount": "1.00"}).status_code == 403
    payment.refresh_from_db()
    assert payment.amount == Decimal("20.00")


# --- Customers are assigned and planned ------------------------------------------------------------------------------


def test_customers_are_assigned_to_people_who_work_the_list(as_, desk):
    client = as_("dana")
    page = ticked(client, "customer", "assign", "CC-0001", "CC-0002")
    offered = set(re.findall(r'<option value="(\d+)"', page.content.decode()))
    able = {str(person.pk) for person in services.people_who_work_the_list()}
    assert offered == able and str(desk["farid"].pk) in able and str(desk["noor"].pk) not in able
    answer = done(client, "assign", page, to=str(desk["farid"].pk))
    assert said(answer) == ["2 customers are assigned to farid."]
    theirs = Customer.objects.filter(assigned_to=desk["farid"])
    assert set(theirs.values_list("pk", flat=True)) == {"CC-0001", "CC-0002"}
    page = ticked(client, "customer", "assign", "CC-0001")
    assert said(done(client, "assign", page, to="")) == ["Dana Haddad is assigned to nobody."]
    desk["hala"].groups.add(Group.objects.get(name="Desk"))
    page = ticked(client, "customer", "assign", "CC-0001", "CC-0002")
    answer = done(client, "assign", page, to=str(desk["hala"].pk))
    assert "hala is kept to a store and doesn" in answer.content.decode()


def test_the_next_action_is_planned(as_, desk):
    day = timezone.localdate() + timedelta(days=4)
    client = as_("dana")
    page = ticked(client, "customer", "next-action", "CC-0001", "CC-0003")
    answer = done(client, "next-action", page, on=day.isoformat(), note="Ring at noon")
    assert said(answer) == [f"Next action for 2 customers: {day:%-d} {day:%B} {day:%Y}."]
    assert set(Customer.objects.filter(next_action_on=day).values_list("pk", flat=True)) == {"CC-0001", "CC-0003"}
    page = ticked(client, "customer", "next-action", "CC-0001")
    answer = done(client, "next-action", page, on="2026-01-01", note="")
    assert "1 Jan 2026 has gone by." in answer.content.decode()
    page = about(client, "next-action", customer="CC-0001")
    done(client, "next-action", page, on="", note="", none="1")
    assert Customer.objects.get(pk="CC-0001").next_action_on is None


# --- Follow-ups ------------------------------------------------------------------------------------------------------


def test_follow_ups_are_voided_and_count_no_more(as_, desk):
    day = timezone.localdate() + timedelta(days=4)
    services.next_action_set(["CC-0001"], day, user=desk["dana"])
    plan, client = FollowUp.objects.get(), as_("dana")
    page = ticked(client, "followup", "void-followup", plan.pk)
    answer = done(client, "void-followup", page, reason="Wrong customer")
    assert said(answer) == ["Undone: 1 entry of Dana Haddad."]
    plan.refresh_from_db()
    assert (plan.voided_by, plan.void_reason) == (desk["dana"], "Wrong customer")
    assert Customer.objects.get(pk="CC-0001").next_action_on is None
    page = client.get(url("followup", "change", plan.pk))
    assert "Wrong customer" in page.content.decode()
    assert "voided by: – → dana" in page.content.decode(), "the trail names people"
    assert client.post(url("followup", "change", plan.pk), {"note": "changed"}).status_code == 403


def test_of_several_follow_ups_all_are_voided_or_none(as_, desk):
    mine = services.note_add("CC-0001", "Mine", user=desk["dana"], request_key=uuid4())
    other = services.note_add("CC-0001", "Farid's", user=desk["farid"], request_key=uuid4())
    client = as_("dana")
    assert ticked(client, "followup", "void-followup", mine.pk, other.pk).status_code == 403
    assert not FollowUp.objects.filter(voided_at__isnull=False).exists()


def test_a_promise_is_written_on_its_own_page(as_, desk):
    day = timezone.localdate() + timedelta(days=3)
    form = {"note": "Pays on Friday", "customer": "CC-0001", "order": "", "channel": "call", "outcome": "promised",
            "promise_amount": "35.00", "promise_on": day.isoformat(), "click": str(uuid4())}  # fmt: skip
    client = as_("dana")
    for _ in range(2):
        assert client.post(url("followup", "add"), form).status_code == 302
    made = FollowUp.objects.get()
    assert (made.promise_amount, made.promise_on, made.promise_balance) == (Decimal("35.00"), day, Decimal("35.00"))
    assert set(made.promised_orders.values_list("pk", flat=True)) == {"M-00102", "M-00104"}
    changed = {"note": "Pays on Saturday", "channel": "call", "outcome": "promised", "promise_amount": "1.00"}
    client.post(url("followup", "change", made.pk), changed | {"promise_on": ""})
    made.refresh_from_db()
    assert (made.note, made.promise_amount, made.promise_on) == ("Pays on Saturday", Decimal("35.00"), day)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"promise_amount": "35.01"}, "Dhs 35.01 is more than is owed: Dhs 35.00."),
        ({"promise_amount": ""}, "A promise has an amount and a day."),
        ({"promise_on": ""}, "A promise has an amount and a day."),
        ({"promise_on": "2026-01-01"}, "1 Jan 2026 has gone by."),
        ({"next_action_on": "2026-01-01"}, "1 Jan 2026 has gone by."),
        ({"note": ""}, "This field is required."),
        ({"order": "H-00201"}, "is another customer"),
    ],
)
def test_a_promise_that_makes_no_sense_is_refused_with_what_was_typed(as_, desk, fields, words):
    day = (timezone.localdate() + timedelta(days=3)).isoformat()
    form = {"note": "Typed by hand", "customer": "CC-0001", "order": "", "channel": "call", "outcome": "",
            "promise_amount": "5.00", "promise_on": day, "click": str(uuid4())} | fields  # fmt: skip
    answer = as_("dana").post(url("followup", "add"), form)
    assert answer.status_code == 200
    assert words in answer.content.decode().replace("&#x27;", "'")
    assert not FollowUp.objects.exists()
    if form["note"]:
        assert "Typed by hand" in answer.content.decode()


def test_a_note_on_a_customers_page_plans_too_and_says_what_is_refused(as_, desk):
    client, day = as_("dana"), timezone.localdate() + timedelta(days=2)
    form = {"follow_ups-TOTAL_FORMS": 1, "follow_ups-INITIAL_FORMS": 0, "follow_ups-0-note": "Nobody answers",
            "follow_ups-0-channel": "call", "follow_ups-0-outcome": "not reached",
            "follow_ups-0-next_action_on": day.isoformat(), "follow_ups-0-click": str(uuid4())}  # fmt: skip
    for _ in range(2):
        answer = client.post(url("customer", "change", "CC-0001"), form, follow=True)
        assert said(answer) == ["Written down."]
    customer = Customer.objects.get(pk="CC-0001")
    assert FollowUp.objects.count() == 1
    assert customer.next_action_on == day
    assert timezone.localdate(customer.last_contact_at) == timezone.localdate()
    assert "Nobody answers" in answer.content.decode()
    gone = form | {"follow_ups-0-next_action_on": "2026-01-01", "follow_ups-0-click": str(uuid4())}
    assert "1 Jan 2026 has gone by." in client.post(url("customer", "change", "CC-0001"), gone).content.decode()
    nothing = {"follow_ups-TOTAL_FORMS": 1, "follow_ups-INITIAL_FORMS": 0, "follow_ups-0-note": "",
               "follow_ups-0-channel": "note", "follow_ups-0-click": str(uuid4())}  # fmt: skip
    answer = client.post(url("customer", "change", "CC-0001"), nothing, follow=True)
    assert said(answer) == ["There was nothing to write."]


# --- By role and store -----------------------------------------------------------------------------------------------

OFFERED = [("order", "pay", "M-00102"), ("customer", "assign", "CC-0001"), ("customer", "next-action", "CC-0001")]


@pytest.mark.parametrize(("name", "status"), [("dana", 200), ("farid", 200), ("root", 200), ("layla", 403),
                                              ("omar", 403), ("sara", 403), ("noor", 403)])  # fmt: skip
def test_who_is_offered_the_desks_actions(as_, desk, name, status):
    client = as_(name)
    for model, what, pk in OFFERED:
        assert client.get(url(model)).status_code == status
        assert ticked(client, model, what, pk).status_code == status


def test_who_only_looks_is_offered_nothing(as_, desk):
    noor = desk["noor"]
    noor.is_staff = True
    noor.save()
    noor.user_permissions.set(Permission.objects.filter(codename__in=["view_customer", "view_order", "view_payment"]))
    payment, client = paid(desk["dana"]), as_("noor")
    for model, what, pk in (*OFFERED, ("payment", "void-payment", payment.pk)):
        assert "…</option>" not in client.get(url(model)).content.decode()
        assert "request_key" not in ticked(client, model, what, pk).content.decode()
        assert client.get(url(model, "change", pk)).status_code == 200
    assert client.get(url("payment", "add")).status_code == 403
    assert client.get(url("followup")).status_code == 403
    assert "write a note" not in client.get(url("customer", "change", "CC-0001")).content.decode().lower()


def test_nobody_kept_to_a_store_reaches_beyond(as_, desk):
    StoreAccess.objects.create(user=desk["dana"], store="Hielo")
    payment, client = paid(desk["farid"]), as_("dana")
    for model, what, pk in (*OFFERED, ("payment", "void-payment", payment.pk)):
        answer = client.get(ticked(client, model, what, pk)["Location"])
        assert said(answer) == ["They are not there any more."], model
    assert client.get(url("payment", "change", payment.pk)).status_code == 302
    answer = client.post(url("payment", "add"), {"order": "M-00104", "amount": "1", **TODAY})
    assert "Select a valid choice" in answer.content.decode()
    page = about(client, "pay", order="H-00201")
    assert said(done(client, "pay", page, **TODAY)) == [
        "Recorded Dhs 30.00 of Omar Saleh for 1 order. Dashboards update shortly."]  # fmt: skip


def test_too_many_at_once_are_refused(as_, desk, monkeypatch):
    monkeypatch.setattr("operations.admin.ask.MOST_AT_ONCE", 2)
    client = as_("dana")
    answer = ticked(client, "order", "pay", "M-00101", "M-00102", "M-00104")
    assert said(client.get(answer["Location"])) == ["Choose up to 2 at once."]


# --- Levels and templates --------------------------------------------------------------------------------------------


def test_levels_are_kept_through_services_and_leave_entries(as_, desk):
    level, client = Level.objects.get(name="Reminder"), as_("farid")
    form = {"name": "Reminder", "position": level.position, "days_from": 5, "amount_from": "10.00",
            "channel": "whatsapp", "active": "on"}  # fmt: skip
    assert client.post(url("level", "change", level.pk), form).status_code == 302
    level.refresh_from_db()
    assert (level.days_from, level.amount_from) == (5, Decimal("10.00"))
    entry = LogEntry.objects.get_for_object(level).latest()
    assert (entry.actor, entry.changes_dict["days_from"]) == (desk["farid"], ["7", "5"])
    page = client.get(url("level", "change", level.pk)).content.decode()
    assert "days overdue, at least: 7 → 5" in page
    answer = client.post(url("level", "change", level.pk), form | {"position": Level.objects.last().position})
    assert "already exists" in answer.content.decode()


def test_who_changes_levels_and_templates(as_, desk):
    level, template = Level.objects.first(), MessageTemplate.objects.first()
    client = as_("dana")
    assert client.get(url("level", "change", level.pk)).status_code == 200
    assert client.post(url("level", "change", level.pk), {"name": "x"}).status_code == 403
    assert client.get(url("messagetemplate", "add")).status_code == 403
    client = as_("farid")
    assert client.post(url("level", "delete", level.pk), {"post": "yes"}).status_code == 403  # not theirs to remove
    assert client.post(url("messagetemplate", "delete", template.pk), {"post": "yes"}).status_code == 302
    assert not MessageTemplate.objects.filter(pk=template.pk).exists()
    StoreAccess.objects.create(user=desk["farid"], store="Hielo")
    client = as_("farid")
    assert client.get(url("level", "change", level.pk)).status_code == 200
    assert client.post(url("level", "change", level.pk), {"name": "x"}).status_code == 403
    as_("root").post(url("level", "delete", level.pk), {"post": "yes"})
    assert not Level.objects.filter(pk=level.pk).exists()
    assert LogEntry.objects.filter(action=LogEntry.Action.DELETE, actor=desk["root"], object_pk=str(level.pk)).exists()


def test_a_template_shows_its_placeholders_and_how_it_reads(as_, desk):
    """The invented customer owes 85.50 of 41 days ago and 32.00: Dhs 117.50 in two orders."""
    template = MessageTemplate.objects.get(level=None, channel="whatsapp", language="en")
    page = as_("farid").get(url("messagetemplate", "change", template.pk)).content.decode()
    assert "your open balance with Moon Walk is Dhs 117.50 (2 orders: M-10234, M-10391)" in page
    assert "<code>{order_list}</code>" in page
    assert "operations/template.js" in page
    arabic = MessageTemplate.objects.get(level=None, channel="email", language="ar")
    assert "مرحباً دانة حداد،" in as_("farid").get(url("messagetemplate", "change", arabic.pk)).content.decode()
    assert as_("farid").get(url("messagetemplate", "add")).status_code == 200


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": "Hello {nmae}"}, "There is no {nmae}"),
        ({"text": "Hello {name"}, "Check the braces"),
        ({"channel": "email"}, "An e-mail needs a subject."),
        ({"level": ""}, "There is a template of this channel and language without a level already."),
        ({"text": ""}, "This field is required."),
    ],
)
def test_a_template_that_could_not_be_sent_is_refused(as_, desk, fields, words):
    level = Level.objects.create(name="New", position=9, days_from=9)
    form = {"level": level.pk, "channel": "whatsapp", "language": "en", "subject": "", "text": "Hello {name}"}
    answer = as_("farid").post(url("messagetemplate", "add"), form | fields)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert as_("farid").post(url("messagetemplate", "add"), form).status_code == 302
    assert MessageTemplate.objects.get(level=level).text == "Hello {name}"


# --- The audit trail -------------------------------------------------------------------------------------------------


def test_the_trail_tells_who_did_what_from_where(as_, desk):
    client = as_("dana")
    page = about(client, "pay", order="M-00102")
    done(client, "pay", page, **TODAY | {"note": "Gave it to the driver"})
    payment = Payment.objects.get()
    trail = as_("root").get(reverse("admin:auditlog_logentry_changelist")).content.decode()
    assert f"payment {payment.pk}" in trail
    assert "POST /operations/act/pay/" in trail
    assert "127.0.0.1" in trail
    assert "driver" not in trail
    entry = LogEntry.objects.get_for_object(payment).get()
    answer = as_("root").get(reverse("admin:auditlog_logentry_change", args=[entry.pk]))
    assert "amount: 20.00" in answer.content.decode()


def test_the_trail_is_nobodys_to_change_and_not_of_one_store(as_, desk):
    paid(desk["dana"])
    entry = LogEntry.objects.latest()
    address = reverse("admin:auditlog_logentry_change", args=[entry.pk])
    client = as_("root")
    assert client.get(reverse("admin:auditlog_logentry_add")).status_code == 403
    assert client.post(address, {"changes": "{}"}).status_code == 403
    assert client.post(reverse("admin:auditlog_logentry_delete", args=[entry.pk]), {"post": "yes"}).status_code == 403
    assert as_("dana").get(address).status_code == 403
    may = Permission.objects.get(codename="view_logentry", content_type__app_label="auditlog")
    desk["dana"].user_permissions.add(may)
    assert as_("dana").get(address).status_code == 200
    StoreAccess.objects.create(user=desk["dana"], store="Hielo")
    assert as_("dana").get(address).status_code == 403


def test_the_two_rows_of_a_void_lead_to_each_other_with_the_reason(as_, desk):
    (payment,) = services.order_mark_paid(["M-00102"], **books.paying(desk["root"]))
    counter = services.payment_void(payment.pk, reason="Paid <twice>", user=desk["root"], request_key=uuid4())
    for row, other, words in ((payment, counter, "voided by"), (counter, payment, "undoes")):
        page = as_("root").get(reverse("admin:operations_payment_change", args=[row.pk])).content.decode()
        there = reverse("admin:operations_payment_change", args=[other.pk])
        assert re.search(rf'{words} <a [^>]*href="{there}">payment {other.pk}</a>, [^<]*: Paid &lt;twice&gt;', page)


@pytest.mark.parametrize(("name", "words"), [("root", "M-00102, Dana Haddad, Dhs 20.00 owed"), ("hielo", None)])
def test_an_order_to_pay_is_offered_with_its_customer_and_what_it_owes(as_, desk, name, words):
    """To who is kept to the other store it isn't offered."""
    if name == "hielo":
        StoreAccess.objects.create(user=desk["dana"], store="Hielo")
    query = {"term": "M-00102", "app_label": "operations", "model_name": "payment", "field_name": "order"}
    found = as_("root" if words else "dana").get(reverse("admin:autocomplete"), query).json()["results"]
    assert found == ([{"id": "M-00102", "text": words}] if words else [])


@pytest.mark.parametrize(("days", "words"), [(3650, None), (3651, "At most 3,650 days (ten years).")])
def test_a_level_waits_ten_years_at_most(as_, desk, days, words):
    level = Level.objects.first()
    form = {"name": level.name, "position": level.position, "days_from": days, "amount_from": "0", "active": "on",
            "channel": level.channel}  # fmt: skip
    answer = as_("farid").post(url("level", "change", level.pk), form)
    level.refresh_from_db()
    assert (level.days_from == days) is (words is None)
    assert words is None or words in answer.content.decode()
