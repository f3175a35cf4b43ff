"""What staff do to customers, through the pages: by role, refused in words, once however often sent, undone."""

import re
import subprocess
from datetime import date, timedelta
from decimal import Decimal as D
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from analytics.formats import person
from operations import services
from operations.actions import ACTS
from operations.acts import PERMISSIONS, money
from operations.models import Customer, FollowUp, Level, Message, Order, Payment
from tests.operations import books
from tests.operations.books import balances, paying
from tests.operations.desk_forms import fields_of

pytestmark = pytest.mark.django_db
KEY = "4b4e7a0c-8c1c-4d7e-9b65-a7c5ad2f9a3e"
PART = {"HTTP_X_PART": "1"}
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def desk(as_):
    """Dana's client, over the small books."""
    books.write()
    return as_("dana")


def act(what: str) -> str:
    return reverse("act", args=[what])


def opened(client, what: str, **query) -> dict:
    """The form of an action as it opens: every field as a browser would send it."""
    response = client.get(act(what), query)
    assert response.status_code == 200, response.content.decode()
    return fields_of(response)


def told(response) -> str:
    """The newest message for the next page."""
    return str(list(response.wsgi_request._messages)[-1])


def page_of(response) -> str:
    return response.content.decode()


# --- Paying --------------------------------------------------------------------------------------------------------


def test_the_form_of_a_payment_shows_what_will_be_recorded(desk):
    page = page_of(desk.get(act("pay"), {"customer": "CC-0001"}))
    assert "Dana Haddad" in page
    assert page.index("M-00104") < page.index("M-00102"), "the oldest first"
    assert "M-00101" not in page and "M-00105" not in page, "paid; not cleaned"
    assert 'value="35.00"' in page and "Dhs 35.00" in page
    assert f'value="{timezone.localdate():%Y-%m-%d}"' in page


def test_a_whole_payment_is_recorded_once_however_often_it_is_sent(desk):
    form = opened(desk, "pay", customer="CC-0001")
    for _ in range(2):
        response = desk.post(act("pay"), form)
        assert (response.status_code, response["Location"]) == (303, "/customer/CC-0001/")
        assert told(response) == "Recorded Dhs 35.00 of Dana Haddad for 2 orders. Dashboards update shortly."
    assert [p.amount for p in Payment.objects.order_by("amount")] == [D("15.00"), D("20.00")]


@pytest.mark.parametrize("amount", ["16.50", " 16.5 ", "١٦٫٥٠", "۱۶٫۵", "١٦.٥"])
def test_part_of_it_goes_to_the_oldest_order_first(desk, amount):
    form = opened(desk, "pay", customer="CC-0001") | {"amount": amount}
    assert desk.post(act("pay"), form).status_code == 303
    assert dict(Payment.objects.values_list("order_id", "amount")) == {"M-00104": D("15.00"), "M-00102": D("1.50")}


def test_only_the_chosen_orders_are_paid(desk):
    form = opened(desk, "pay", order="M-00102")
    assert (form["customer"], form["order"], form["amount"]) == (["CC-0001"], ["M-00102"], "20.00")
    assert desk.post(act("pay"), form | {"reference": "R-7", "note": "at the door"}).status_code == 303
    row = Payment.objects.get()
    assert (row.order_id, row.amount, row.method, row.paid_on, row.reference, row.note) == (
        "M-00102", D("20.00"), "Cash", timezone.localdate(), "R-7", "at the door")  # fmt: skip


def test_a_second_tab_with_an_old_balance_is_refused_and_shows_the_new_one(desk):
    first, second = (opened(desk, "pay", customer="CC-0001") | {"amount": "20"} for _ in range(2))
    assert desk.post(act("pay"), first).status_code == 303
    refused = desk.post(act("pay"), second)
    assert refused.status_code == 400 and balances()["M-00102"] == D("15.00")
    assert "Somebody recorded a payment meanwhile: Dhs 15.00 is owed now. Look again." in page_of(refused)
    assert refused.context["owed"] == D("15.00")
    again = fields_of(refused) | {"amount": "15"}
    assert desk.post(act("pay"), again).status_code == 303, "what it shows now may be paid"
    assert balances() == {"H-00201": D("30.00"), "M-00301": D("100.00")}


def test_an_order_that_is_not_chosen_may_be_paid_elsewhere_meanwhile(desk, people):
    form = opened(desk, "pay", customer="CC-0001") | {"order": ["M-00102"], "amount": "20"}
    services.order_mark_paid(["M-00104"], **paying(people["farid"]))
    assert desk.post(act("pay"), form).status_code == 303


@pytest.mark.parametrize("owes", ["", "[]", "{", '{"M-00104": "NaN"}', '{"M-00104": 1}', '{"M-00104": []}'])
def test_a_form_that_lost_what_it_showed_is_refused(desk, owes):
    response = desk.post(act("pay"), opened(desk, "pay", customer="CC-0001") | {"owes": owes})
    assert response.status_code == 400 and not Payment.objects.exists()


def test_several_customers_sum_is_shown_anew_when_it_changed(desk, people):
    form = opened(desk, "pay", customer=["CC-0001", "CC-0002"])
    services.customer_pay("CC-0001", D("5.00"), **paying(people["farid"]))
    again = fields_of(desk.post(act("pay"), form))
    assert again["total"] == "60.00"
    assert desk.post(act("pay"), again).status_code == 303


def test_the_way_a_part_is_spread_can_be_looked_at_first(desk):
    form = opened(desk, "pay", customer="CC-0001") | {"amount": "16.50", "look": "1"}
    response = desk.post(act("pay"), form)
    parts = {row.order.pk: row.part for row in response.context["rows"]}
    assert (response.status_code, parts) == (200, {"M-00104": D("15.00"), "M-00102": D("1.50")})
    assert not Payment.objects.exists()


def test_several_customers_pay_in_full_and_it_is_undone_in_one_go(desk):
    form = opened(desk, "pay", customer=["CC-0001", "CC-0002", "CC-0003"])
    assert (form["total"], sorted(form["order"])) == ("165.00", ["H-00201", "M-00102", "M-00104", "M-00301"])
    response = desk.post(act("pay"), form)
    assert told(response) == "Recorded Dhs 165.00 of 3 customers for 4 orders. Dashboards update shortly."
    assert response["Location"] == reverse("receivables")
    assert balances() == {}
    again = desk.post(act("pay"), form)
    assert (again.status_code, Payment.objects.count()) == (303, 4)
    page = page_of(desk.get(act("note"), {"customer": "CC-0001"}))  # any page that shows messages
    ids = re.findall(r'name="payment" value="(\d+)"', page)
    assert 'action="/operations/act/void-payment/"' in page and len(ids) == 2 * 4, "of both messages"
    form = fields_of(desk.post(act("void-payment"), {"payment": ids[:4]}))
    assert not Payment.objects.filter(voids__isnull=False).exists(), "only opened"
    response = desk.post(act("void-payment"), form)
    assert told(response) == "Undone: Dhs 165.00 of 3 customers for 4 orders. Dashboards update shortly."
    assert sum(balances().values()) == D("165.00")
    desk.post(act("void-payment"), form)
    assert Payment.objects.count() == 8, "undone once"


def test_a_sum_that_changed_meanwhile_is_not_recorded(desk, people):
    form = opened(desk, "pay", customer=["CC-0001", "CC-0002"])
    services.customer_pay("CC-0001", D("5.00"), **paying(people["farid"]))
    response = desk.post(act("pay"), form)
    assert response.status_code == 400
    assert "owe Dhs 60.00, no longer Dhs 65.00" in page_of(response)
    assert Payment.objects.count() == 1


TOMORROW = (timezone.localdate() + timedelta(1)).isoformat()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amount": "35.01"}, "Dhs 35.01 is more than is owed: Dhs 35.00."),
        ({"amount": ""}, "Write the amount."),
        ({"amount": "NaN"}, "Enter a number."),
        ({"amount": "Infinity"}, "Enter a number."),
        ({"amount": "1e1"}, "Enter a number."),
        ({"amount": "12,50"}, "Write 12.50 with a point"),
        ({"amount": "1,000"}, "Write 12.50 with a point"),
        ({"amount": "1٬000"}, "Write 12.50 with a point"),
        ({"amount": "12.505"}, "An amount has two places after the point, no more."),
        ({"amount": "12.500"}, "An amount has two places after the point, no more."),
        ({"amount": "0.00"}, "The amount is a number above 0."),
        ({"amount": "-1"}, "The amount is a number above 0."),
        ({"amount": "many"}, "Enter a number."),
        ({"paid_on": (timezone.localdate() + timedelta(2)).isoformat()}, "is still to come."),
        ({"paid_on": "2026-01-31"}, "Order M-00104 was placed on 1 Feb 2026"),
        ({"paid_on": ""}, "This field is required."),
        ({"method": "Shells"}, "Shells is not one of the available choices."),
        ({"order": []}, "Choose at least one order."),
        ({"request_key": "none"}, "Something of this form was lost on the way: open it again."),
    ],
)
def test_a_payment_that_makes_no_sense_is_refused_in_words(desk, change, words):
    form = opened(desk, "pay", customer="CC-0001") | change
    whole, part = desk.post(act("pay"), form), desk.post(act("pay"), form, **PART)
    assert (whole.status_code, part.status_code, part["X-Part"]) == (400, 400, "1")
    assert words in page_of(whole) and words in page_of(part)
    assert "<html" in page_of(whole) and "<html" not in page_of(part)
    assert not Payment.objects.exists()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "Choose a customer or an order first."),
        ({"order": "M-00101"}, "1 order: nothing is left to pay."),
        ({"customer": [f"X-{n}" for n in range(1001)]}, "1,001 are too many at once; choose up to 1,000."),
    ],
)
def test_where_nothing_can_be_paid_there_are_words_instead_of_a_form(desk, query, words):
    response = desk.get(act("pay"), query)
    assert response.status_code == 200
    assert words in page_of(response) and 'csrfmiddlewaretoken" value' not in page_of(response).split("act-title")[1]


# --- Notes, promises, plans ----------------------------------------------------------------------------------------


def test_a_contact_is_recorded_with_what_comes_next(desk):
    form = opened(desk, "note", customer="CC-0001")
    form |= {
        "note": "rings back",
        "channel": "call",
        "outcome": "reached",
        "order": "M-00102",
        "next_action_on": TOMORROW,
    }
    for _ in range(2):
        response = desk.post(act("note"), form, **PART)
        assert (response.status_code, response["X-Next"]) == (204, "/customer/CC-0001/")
        assert told(response).startswith("Call recorded for Dana Haddad. Next action on ")
    row = FollowUp.objects.get()
    assert (row.note, row.channel, row.outcome, row.order_id) == ("rings back", "call", "reached", "M-00102")
    assert (row.created_by.username, row.next_action_on.isoformat()) == ("dana", TOMORROW)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"note": " "}, "Write a note."),
        ({"note": "x" * 10_001}, "at most 10000 characters"),
        ({"channel": "pigeon"}, "pigeon is not one of the available choices."),
        ({"next_action_on": "soon"}, "Enter a valid date."),
    ],
)
def test_a_note_that_makes_no_sense_is_refused_in_words(desk, change, words):
    response = desk.post(act("note"), opened(desk, "note", customer="CC-0001") | {"note": "x"} | change)
    assert response.status_code == 400 and words in page_of(response)
    assert not FollowUp.objects.exists()


def test_a_promise_is_recorded_and_undone(desk):
    form = opened(desk, "promise", customer="CC-0001")
    assert (form["amount"], form["on"]) == ("35.00", (timezone.localdate() + timedelta(3)).isoformat())
    response = desk.post(act("promise"), form | {"amount": "20", "channel": "whatsapp"})
    assert told(response).startswith("Dana Haddad promised Dhs 20.00 by ")
    row = FollowUp.objects.get()
    assert (row.promise_amount, row.promise_balance, row.channel) == (D("20.00"), D("35.00"), "whatsapp")
    form = opened(desk, "void-followup", followup=str(row.pk))
    response = desk.post(act("void-followup"), form)
    assert told(response) == "Undone: 1 entry of Dana Haddad."
    row.refresh_from_db()
    assert (row.voided_by.username, row.void_reason) == ("dana", "Recorded by mistake")
    assert "This is undone already." in page_of(desk.get(act("void-followup"), {"followup": row.pk}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amount": "35.01"}, "more than is owed"),
        ({"on": (timezone.localdate() - timedelta(1)).isoformat()}, "has gone by."),
        ({"on": (timezone.localdate() + timedelta(367)).isoformat()}, "is more than a year away."),
        ({"next_action_on": "2099-01-01"}, "1 Jan 2099 is more than a year away."),
        ({"amount": ""}, "Write the amount."),
        ({"amount": "NaN"}, "Enter a number."),
    ],
)
def test_a_promise_that_makes_no_sense_is_refused_in_words(desk, change, words):
    response = desk.post(act("promise"), opened(desk, "promise", customer="CC-0001") | change)
    assert response.status_code == 400 and words in page_of(response)
    assert not FollowUp.objects.exists()


def test_nobody_promises_what_they_do_not_owe(desk):
    books.customer("CC-0009", "Paid Up")
    assert "Paid Up: nothing is owed." in page_of(desk.get(act("promise"), {"customer": "CC-0009"}))


def test_customers_are_assigned_and_that_is_undone_together(desk, people):
    form = opened(desk, "assign", customer=["CC-0001", "CC-0002"])
    assert form["to"] == str(people["dana"].pk)
    response = desk.post(act("assign"), form | {"to": str(people["farid"].pk)})
    assert told(response) == "2 customers are assigned to farid."
    assert set(Customer.objects.filter(assigned_to=people["farid"]).values_list("pk", flat=True)) == {
        "CC-0001",
        "CC-0002",
    }
    ids = [str(pk) for pk in FollowUp.objects.values_list("pk", flat=True)]
    response = desk.post(act("void-followup"), fields_of(desk.post(act("void-followup"), {"followup": ids})))
    assert told(response) == "Undone: 2 entries of 2 customers."
    assert not Customer.objects.filter(assigned_to__isnull=False).exists()


def test_only_who_works_on_the_worklist_can_be_given_customers(desk, people):
    people["hala"].groups.add(Group.objects.get(name="Desk"))
    offered = dict(desk.get(act("assign"), {"customer": "CC-0001"}).context["form"].fields["to"].choices)
    assert set(offered.values()) == {"dana", "farid", "hala", "root", "Nobody"}
    form = opened(desk, "assign", customer="CC-0001") | {"to": str(people["omar"].pk)}
    assert desk.post(act("assign"), form).status_code == 400
    kept = desk.post(act("assign"), form | {"to": str(people["hala"].pk)})
    assert "hala is kept to a store and doesn&#x27;t see all of these customers." in page_of(kept)


def test_the_next_action_is_planned_for_several_and_taken_away(desk):
    form = opened(desk, "next-action", customer=["CC-0001", "CC-0002"])
    assert form["on"] == TOMORROW
    assert told(desk.post(act("next-action"), form)).startswith("Next action for 2 customers: ")
    assert Customer.objects.filter(next_action_on=TOMORROW).count() == 2
    assert told(desk.post(act("next-action"), form)).startswith("Next action for 2 customers: "), "a second click"
    assert FollowUp.objects.count() == 2
    form = opened(desk, "next-action", customer=["CC-0001", "CC-0002"])
    response = desk.post(act("next-action"), form | {"none": "1"})
    assert told(response) == "Nothing is planned for 2 customers any more."
    assert not Customer.objects.filter(next_action_on__isnull=False).exists()
    far = desk.post(act("next-action"), opened(desk, "next-action", customer="CC-0001") | {"on": "2099-12-31"})
    assert far.status_code == 400 and "31 Dec 2099 is more than a year away." in page_of(far)
    empty = desk.post(act("next-action"), form | {"on": ""})
    assert empty.status_code == 400 and "Choose a day, or “Nothing planned”." in page_of(empty)


# --- The customer --------------------------------------------------------------------------------------------------


def test_a_phone_is_corrected_beside_the_exports_and_goes_back(desk):
    page = page_of(desk.get(act("correct"), {"customer": "CC-0001", "field": "phone"}))
    assert "The export says" in page and page.count("+971 50 000 0001") >= 2
    form = opened(desk, "correct", customer="CC-0001", field="phone") | {"phone": "050 999 8888"}
    assert told(desk.post(act("correct"), form)) == "Dana Haddad: phone corrected."
    assert Customer.objects.get(pk="CC-0001").shown_phone == "050 999 8888"
    form = opened(desk, "correct", customer="CC-0001") | {"export": "phone"}
    assert told(desk.post(act("correct"), form)) == "Dana Haddad: phone as in the export again."
    row = Customer.objects.get(pk="CC-0001")
    assert (row.own_phone, row.shown_phone) == (None, "+971 50 000 0001")


def undo_of(client) -> dict:
    """The form that the Undo of the newest message opens, as it opens."""
    page = page_of(client.get(act("note"), {"customer": "CC-0001"}))
    form = re.findall(r'<form method="post" action="([^"]+)" class="act">(.*?)</form>', page, re.S)[-1]
    hidden = {}
    for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', form[1]):
        hidden.setdefault(name, []).append(value)
    response = client.post(form[0], hidden)
    assert response.status_code == 200
    found = fields_of(response) | {"back": "/"}
    found["export"] = re.findall(r'name="export" value="(\w+)" checked', page_of(response))
    return found


def test_the_undo_of_a_correction_leads_back_to_what_was(desk):
    before = opened(desk, "correct", customer="CC-0001")
    desk.post(act("correct"), before | {"phone": "12", "name": "Dana One"})
    assert Customer.objects.get(pk="CC-0001").shown_name == "Dana Haddad", "two digits are no phone: neither is saved"
    desk.post(act("correct"), before | {"phone": "050 111 1111", "name": "Dana One"})
    now = opened(desk, "correct", customer="CC-0001")
    desk.post(act("correct"), now | {"phone": "050 222 2222"})
    form = undo_of(desk)
    assert (form["phone"], form["export"]) == ("050 111 1111", [])
    desk.post(act("correct"), form)
    assert Customer.objects.get(pk="CC-0001").shown_phone == "050 111 1111"
    desk.post(act("correct"), opened(desk, "correct", customer="CC-0001") | {"route": "3"})
    form = undo_of(desk)
    assert form["export"] == ["route"]
    desk.post(act("correct"), form)
    assert Customer.objects.get(pk="CC-0001").own_route is None


def test_the_undo_of_a_choice_and_of_preferences_opens_with_what_was(desk, people):
    services.correction_save("CC-0001", "phone", "050 111 1111", user=people["dana"])
    Customer.objects.filter(pk="CC-0001").update(phone="050 222 2222")
    desk.post(act("choose"), opened(desk, "choose", customer="CC-0001", field="phone") | {"choice": "theirs"})
    assert Customer.objects.get(pk="CC-0001").shown_phone == "050 222 2222"
    desk.post(act("correct"), undo_of(desk))
    assert Customer.objects.get(pk="CC-0001").shown_phone == "050 111 1111"
    form = opened(desk, "preferences", customer="CC-0001")
    desk.post(act("preferences"), form | {"do_not_contact": "on", "language": "ar"})
    desk.post(act("preferences"), undo_of(desk))
    row = Customer.objects.get(pk="CC-0001")
    assert (row.do_not_contact, row.language) == (False, "en")


def test_of_several_corrections_all_are_saved_or_none(desk):
    form = opened(desk, "correct", customer="CC-0001")
    response = desk.post(act("correct"), form | {"name": "Dana H.", "email": "no address"})
    assert response.status_code == 400 and "Enter a valid email address." in page_of(response)
    assert Customer.objects.get(pk="CC-0001").own_name is None
    assert told(desk.post(act("correct"), form)) == "Nothing was changed."
    assert told(desk.post(act("correct"), form | {"name": "Dana H.", "route": "3"})) == (
        "Dana H.: name and route corrected."
    )


def test_two_people_correct_one_name(desk, people):
    form = opened(desk, "correct", customer="CC-0001", field="name") | {"name": "Mine"}
    services.correction_save("CC-0001", "name", "Theirs", user=people["farid"])
    response = desk.post(act("correct"), form)
    assert response.status_code == 400 and "changed meanwhile, to “Theirs”" in page_of(response)


@pytest.mark.parametrize(("choice", "shown"), [("ours", "050 111 1111"), ("theirs", "050 222 2222")])
def test_a_conflict_shows_both_values_and_is_settled(desk, people, choice, shown):
    services.correction_save("CC-0001", "phone", "050 111 1111", user=people["dana"])
    Customer.objects.filter(pk="CC-0001").update(phone="050 222 2222")
    page = page_of(desk.get(act("choose"), {"customer": "CC-0001", "field": "phone"}))
    assert "050 111 1111" in page and "050 222 2222" in page
    form = opened(desk, "choose", customer="CC-0001", field="phone")
    assert desk.post(act("choose"), form).status_code == 400, "neither was chosen"
    for _ in range(2):
        assert desk.post(act("choose"), form | {"choice": choice}).status_code == 303
    row = Customer.objects.get(pk="CC-0001")
    assert (row.shown_phone, row.conflicts) == (shown, [])
    assert "nothing to choose any more" in page_of(desk.get(act("choose"), {"customer": "CC-0001", "field": "phone"}))


def test_two_people_say_how_to_reach_one_customer(desk, people):
    """Dana's form still says that calling is fine; Farid has written down meanwhile that it isn't."""
    form = opened(desk, "preferences", customer="CC-0001") | {"language": "ar"}
    services.preferences_save("CC-0001", do_not_contact=True, user=people["farid"])
    response = desk.post(act("preferences"), form)
    assert response.status_code == 400 and "changed meanwhile" in page_of(response)
    now = Customer.objects.get(pk="CC-0001")
    assert (now.do_not_contact, now.language) == (True, "en")
    form = opened(desk, "preferences", customer="CC-0001") | {"language": "ar"}
    for _ in range(2):  # sent twice, it is no change of somebody else's
        assert desk.post(act("preferences"), form).status_code == 303
    now.refresh_from_db()
    assert (now.do_not_contact, now.language) == (True, "ar")


def test_how_to_reach_a_customer_is_saved(desk):
    form = opened(desk, "preferences", customer="CC-0001")
    response = desk.post(
        act("preferences"), form | {"preferred_channel": "email", "language": "ar", "do_not_contact": "on"}
    )
    assert told(response) == "Dana Haddad is not to be contacted."
    row = Customer.objects.get(pk="CC-0001")
    assert (row.do_not_contact, row.preferred_channel, row.language) == (True, "email", "ar")


# --- Messages ------------------------------------------------------------------------------------------------------


def test_the_message_of_the_level_in_the_customers_language_opens_in_whatsapp(desk):
    Customer.objects.filter(pk="CC-0001").update(language="ar", preferred_channel="whatsapp")
    form = opened(desk, "send", customer="CC-0001")
    assert form["channel"] == "whatsapp" and form["language"] == "ar"
    assert "35.00" in form["text"] and "\u2066M\u201100104\u2069، \u2066M\u201100102\u2069" in form["text"]
    form["text"] = "مرحبا Dana & co"
    first = desk.post(act("send"), form | {"how": "open"})
    again = desk.post(act("send"), form | {"how": "open"})
    assert first.status_code == 303 and first["Location"] == again["Location"]
    page = page_of(desk.get(first["Location"]))
    link = re.search(r'href="(https://wa\.me/[^"]+)"', page)[1]
    assert urlsplit(link).path == "/971500000001" and parse_qs(urlsplit(link).query) == {"text": ["مرحبا Dana & co"]}
    row = Message.objects.get()
    assert (row.state, row.channel, row.language, row.text) == ("opened", "whatsapp", "ar", "مرحبا Dana & co")
    part = desk.post(act("send"), form | {"how": "open"}, **PART)
    assert (part.status_code, part["X-Next"]) == (200, "/customer/CC-0001/")
    assert link in page_of(part) and "data-send" in page_of(part)


def test_the_template_is_the_one_of_the_level_reached_or_the_one_chosen(desk):
    level = Level.objects.get(name="Second reminder")
    Level.objects.exclude(pk=level.pk).update(active=False)  # February is long gone: the customer has reached it
    form = opened(desk, "send", customer="CC-0001")
    assert form["level"] == str(level.pk) and "we wrote to you before" in form["text"]
    response = desk.post(act("send"), form | {"level": "any", "language": "en", "channel": "email", "look": "1"})
    chosen = fields_of(response)
    assert chosen["subject"] == "Your account with Moon Walk" and "your open balance" in chosen["text"]
    assert chosen["request_key"] == form["request_key"]
    assert not Message.objects.exists()
    desk.post(act("send"), form | {"how": "open"})
    assert Message.objects.get().level == level


def test_an_email_is_sent_once_with_its_statement(desk):
    form = opened(desk, "send", customer="CC-0001", channel="email") | {"how": "send", "attach": "on"}
    for _ in range(2):
        response = desk.post(act("send"), form)
        assert (response.status_code, told(response)) == (303, "E-mail sent to Dana Haddad.")
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["dana@example.com"], form["subject"])
    ((name, content, kind),) = sent.attachments
    assert name.startswith("statement-CC-0001-") and kind == "application/pdf" and content.startswith(b"%PDF-")


def test_a_mail_server_that_fails_is_said_and_kept_on_record(desk, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    response = desk.post(act("send"), opened(desk, "send", customer="CC-0001", channel="email") | {"how": "send"})
    assert told(response).startswith("The e-mail to Dana Haddad was not sent. No mail server: set EMAIL_URL.")
    assert Message.objects.get().state == "failed"


@pytest.mark.parametrize(
    ("known", "asked", "chosen", "shut"),
    [
        ({"email": ""}, "email", "whatsapp", {"E-mail (no address)"}),
        ({"phone": "+0", "phone_key": "0"}, "whatsapp", "email", {"WhatsApp (no phone)"}),
        ({"phone": "", "phone_key": ""}, "", "email", {"WhatsApp (no phone)"}),
        ({"phone": "", "phone_key": "", "email": ""}, "", "whatsapp", {"E-mail (no address)", "WhatsApp (no phone)"}),
        ({}, "email", "email", set()),
    ],
)
def test_a_way_by_which_nothing_can_be_sent_is_not_to_be_chosen(desk, known, asked, chosen, shut):
    Customer.objects.filter(pk="CC-0001").update(**known)
    channels = desk.get(act("send"), {"customer": "CC-0001", "channel": asked}).context["form"]["channel"]
    assert channels.value() == chosen
    assert {str(way.choice_label) for way in channels if "disabled" in way.data["attrs"]} == shut


def test_a_message_opens_in_the_mail_program(desk):
    form = opened(desk, "send", customer="CC-0001", channel="email") | {"how": "open", "text": "Hello", "subject": "S"}
    page = page_of(desk.get(desk.post(act("send"), form)["Location"]))
    assert 'href="mailto:dana@example.com?subject=S&amp;body=Hello"' in page
    assert mail.outbox == []


def test_who_is_not_to_be_contacted_gets_no_message(desk):
    form = opened(desk, "send", customer="CC-0001")
    Customer.objects.filter(pk="CC-0001").update(do_not_contact=True)
    page = page_of(desk.get(act("send"), {"customer": "CC-0001"}))
    assert "Dana Haddad is not to be contacted: no message is sent." in page and "<textarea" not in page
    response = desk.post(act("send"), form | {"how": "open"})
    assert response.status_code == 400 and "CC-0001 is not to be contacted." in page_of(response)
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("customer", "change", "words"),
    [
        ({"phone": "", "phone_key": ""}, {"channel": "whatsapp", "how": "open"}, "Dana Haddad has no phone"),
        ({"phone": "+0", "phone_key": "0"}, {"channel": "whatsapp", "how": "open"}, "Dana Haddad has no phone"),
        ({"phone": "123456", "phone_key": "123456"}, {"how": "open"}, "“123456” is no phone number that WhatsApp"),
        ({"email": ""}, {"channel": "email", "how": "open"}, "Dana Haddad has no e-mail address"),
        ({"email": ""}, {"channel": "email", "how": "send"}, "CC-0001 has no e-mail address"),
        ({}, {"channel": "email", "how": "send", "subject": ""}, "An e-mail needs a subject."),
        ({}, {"text": "", "how": "open"}, "This field is required."),
    ],
)
def test_a_message_that_cannot_go_is_refused_in_words(desk, customer, change, words):
    Customer.objects.filter(pk="CC-0001").update(**customer)
    form = opened(desk, "send", customer="CC-0001") | {"subject": "S", "text": "T"} | change
    response = desk.post(act("send"), form)
    assert response.status_code == 400 and words in page_of(response)
    assert not Message.objects.exists() and mail.outbox == []


# --- Who may what --------------------------------------------------------------------------------------------------


def test_every_action_names_its_permission():
    assert set(ACTS) == set(PERMISSIONS)


@pytest.mark.parametrize("what", sorted(PERMISSIONS))
@pytest.mark.parametrize(
    ("name", "status"), [("dana", 200), ("farid", 200), ("root", 200), ("layla", 403), ("omar", 403), ("noor", 403)]
)
def test_each_role_does_what_it_may(as_, people, what, name, status):
    books.write()
    services.correction_save("CC-0001", "phone", "050 111 1111", user=people["dana"])
    Customer.objects.filter(pk="CC-0001").update(phone="050 222 2222")
    client, by = as_(name), people[name] if status == 200 else people["dana"]
    subject = {"customer": "CC-0001"}
    if what == "void-payment":
        subject = {"payment": services.order_mark_paid(["M-00102"], **paying(by))[0].pk}
    if what == "void-followup":
        subject = {"followup": services.assign(["CC-0001"], people["dana"], user=by)[0].pk}
    before = list(Customer.objects.values_list("pk", "next_action_on", "do_not_contact", "own_phone"))
    assert client.get(act(what), subject).status_code == status
    if status == 403:
        assert client.post(act(what), subject | {"request_key": "x"}).status_code == 403
        assert list(Customer.objects.values_list("pk", "next_action_on", "do_not_contact", "own_phone")) == before


def test_others_payments_and_older_ones_are_undone_by_who_keeps_the_books(desk, people, as_):
    (payment,) = services.order_mark_paid(["M-00102"], **paying(people["farid"]))
    assert desk.get(act("void-payment"), {"payment": payment.pk}).status_code == 403
    assert desk.post(act("void-payment"), {"payment": payment.pk, "request_key": KEY,
                                           "reason": "x"}).status_code == 403  # fmt: skip
    assert Payment.objects.count() == 1
    client = as_("farid")
    assert client.post(act("void-payment"), opened(client, "void-payment", payment=payment.pk)).status_code == 303
    counter = Payment.objects.get(voids=payment)
    assert "is itself the undoing" not in page_of(client.get(act("void-payment"), {"payment": payment.pk}))
    assert "This is undone already." in page_of(client.get(act("void-payment"), {"payment": counter.pk}))


def test_who_undoes_second_is_told_who_did_it_and_what_is_undone_is_left_out(people, as_):
    """Orders M-00102 and M-00104: Farid's form of both is open while Dana undoes the first."""
    books.write()
    one, two = services.order_mark_paid(["M-00102", "M-00104"], **paying(people["dana"]))
    farid = as_("farid")
    form = opened(farid, "void-payment", payment=[one.pk, two.pk])
    alone = opened(farid, "void-payment", payment=one.pk)
    dana = as_("dana")
    dana.post(act("void-payment"), opened(dana, "void-payment", payment=one.pk))
    counter = Payment.objects.get(voids=one)
    at = timezone.localtime(counter.created_at)
    already = f"Payment {one.pk}: already voided by {person(people['dana'])} at {at:%H:%M}."
    farid = as_("farid")
    assert already in page_of(farid.get(act("void-payment"), {"payment": one.pk}))
    page = farid.get(act("void-payment"), {"payment": [one.pk, two.pk, counter.pk]})
    assert already in page_of(page)
    assert f"Payment {counter.pk} is itself the undoing of payment {one.pk}." in page_of(page)
    assert (page.context["sum"], [row.pk for row in page.context["rows"]]) == (two.amount, [two.pk])
    [message] = get_messages(farid.post(act("void-payment"), alone).wsgi_request)
    assert (str(message), message.level_tag) == (already, "warning")
    said = [str(m) for m in get_messages(farid.post(act("void-payment"), form).wsgi_request)][-1]
    assert said.startswith(f"Undone: {money(two.amount)} of ") and said.endswith(already)
    assert Payment.objects.filter(voids__isnull=False).count() == 2


@pytest.fixture
def hala(as_, people):
    """Kept to Hielo, with the rights of the desk."""
    from django.contrib.auth.models import Group

    books.write()
    people["hala"].groups.add(Group.objects.get(name="Desk"))
    return as_("hala")


@pytest.mark.parametrize(
    ("what", "subject"),
    [
        ("pay", {"customer": "CC-0001"}), ("pay", {"order": "M-00102"}), ("pay", {"customer": ["CC-0002", "CC-0001"]}),
        ("note", {"customer": "CC-0001"}), ("note", {"order": "M-00102"}), ("promise", {"customer": "CC-0001"}),
        ("note", {"customer": "CC-0002", "order": "M-00102"}), ("promise", {"customer": "CC-0002", "order": "M-00102"}),
        ("send", {"customer": "CC-0001"}), ("assign", {"customer": ["CC-0002", "CC-0001"]}),
        ("next-action", {"customer": "CC-0001"}), ("correct", {"customer": "CC-0001"}),
        ("choose", {"customer": "CC-0001"}), ("preferences", {"customer": "CC-0001"}),
    ],
)  # fmt: skip
def test_another_stores_customers_are_not_there_for_who_is_kept_to_one(hala, what, subject):
    assert hala.get(act(what), subject).status_code == 404
    assert hala.post(act(what), subject | {"request_key": "x"}).status_code == 404


def test_what_is_not_there_is_not_found(hala, people):
    (payment,) = services.order_mark_paid(["M-00102"], **paying(people["root"]))
    note = services.note_add("CC-0001", "secret", user=people["root"], request_key=KEY)
    message = services.message_record("CC-0001", channel="whatsapp", language="en", text="x", user=people["root"],
                                      request_key=KEY)  # fmt: skip
    for what, query in (
        ("void-payment", {"payment": payment.pk}), ("void-followup", {"followup": note.pk}),
        ("send", {"message": message.pk}), ("send", {"message": "9" * 30}), ("void-payment", {"payment": "x"}),
        ("void-payment", {"payment": 10**25}), ("pay", {"customer": "NONE"}), ("pay", {"customer": "a\x00b"}),
        ("dance", {"customer": "CC-0002"}), ("correct", {"customer": "CC-0002", "field": "store"}),
    ):  # fmt: skip
        assert hala.get(act(what), query).status_code == 404, (what, query)
    assert hala.get(act("pay"), {"customer": "CC-0002"}).status_code == 200


def test_a_stranger_signs_in_first_and_a_form_of_another_site_does_nothing(desk, people):
    assert Client().get(act("pay"), {"customer": "CC-0001"}).status_code == 302
    form = opened(desk, "pay", customer="CC-0001")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["dana"])
    assert strict.post(act("pay"), form).status_code == 403
    assert desk.put(act("pay")).status_code == 405
    assert not Payment.objects.exists()


# --- Pages around them ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("back", "where"),
    [
        ("/operations/receivables/?sort=balance", "/operations/receivables/?sort=balance"),
        ("/customer/CC-0001/?q=ü", "/customer/CC-0001/?q=%C3%BC"),
        ("https://evil.example/", None), ("//evil.example/", None), ("/\\evil.example", None),
        ("///evil.example", None),
        ("javascript:alert(1)", None), ("customer", None),
        ("/x\r\nSet-Cookie: a=b", "/x%0D%0ASet-Cookie:%20a=b"),
    ],
)  # fmt: skip
def test_back_is_an_address_of_this_site_or_the_customer(desk, back, where):
    form = opened(desk, "note", customer="CC-0001") | {"note": "x", "back": back}
    page = page_of(desk.get(act("note"), {"customer": "CC-0001", "back": back}))
    assert "evil" not in page and "javascript:" not in page
    assert desk.post(act("note"), form)["Location"] == (where or "/customer/CC-0001/")
    assert desk.post(act("note"), form, **PART)["X-Next"] == (where or "/customer/CC-0001/")


def test_names_and_notes_are_escaped_everywhere(desk):
    Customer.objects.filter(pk="CC-0001").update(name=EVIL, phone=EVIL, email=EVIL, route=EVIL)
    pages = []
    for what in sorted(set(ACTS) - {"void-payment", "void-followup", "choose"}):
        pages.append(desk.get(act(what), {"customer": "CC-0001", "back": f'/"{EVIL}'}, **PART))
    desk.post(act("note"), opened(desk, "note", customer="CC-0001") | {"note": EVIL})
    desk.post(act("pay"), opened(desk, "pay", customer="CC-0001") | {"reference": EVIL, "note": EVIL})
    pages.append(desk.get(act("void-followup"), {"followup": FollowUp.objects.get().pk}))  # with both messages
    pages.append(desk.get(act("void-payment"), {"payment": Payment.objects.first().pk}))
    Customer.objects.filter(pk="CC-0001").update(phone="050 000 0001", phone_key="971500000001")
    form = opened(desk, "send", customer="CC-0001") | {"channel": "whatsapp", "text": EVIL, "how": "open"}
    assert "text=%3Cscript%3Ealert%281%29" in page_of(desk.post(act("send"), form, **PART))
    for response in pages:
        assert EVIL not in page_of(response) and "alert(1)" in page_of(response)


def test_a_page_that_names_customers_is_kept_by_no_cache(desk):
    for more in ({}, PART):
        response = desk.get(act("pay"), {"customer": "CC-0001"}, **more)
        assert response["Cache-Control"] == "private, no-store" and "X-Part" in response["Vary"]


def test_a_bulk_asks_the_database_no_more_often_for_more_customers(desk):
    def questions(n: int) -> int:
        ids = [f"CC-1{i:03}" for i in range(n)]
        with CaptureQueriesContext(connection) as asked:
            response = desk.get(act("pay"), {"customer": ids})
        assert (len(response.context["lines"]), response.context["owed"]) == (n, n * D("3.00"))
        return len(asked)

    for i in range(60):
        books.customer(f"CC-1{i:03}", f"Customer {i}")
        books.order(f"M-1{i:03}", f"CC-1{i:03}", "1.00", date(2026, 2, 1))
        books.order(f"M-2{i:03}", f"CC-1{i:03}", "2.00", date(2026, 2, 1))
    few = questions(2)
    assert questions(60) == few and few <= 8


# --- Statements ----------------------------------------------------------------------------------------------------


def statement(client, form: str, **query):
    return client.get(reverse("statement", args=[form]), query)


def test_a_statement_opens_as_pdf_and_downloads_as_a_workbook(desk):
    paper, book = statement(desk, "pdf", customer="CC-0001"), statement(desk, "xlsx", customer="CC-0001", language="ar")
    today = timezone.localdate().isoformat()
    assert paper.content.startswith(b"%PDF-") and paper["Content-Type"] == "application/pdf"
    assert paper["Content-Disposition"] == f'inline; filename="statement-CC-0001-{today}-en.pdf"'
    assert book.content.startswith(b"PK\x03\x04")
    assert book["Content-Disposition"] == f'attachment; filename="statement-CC-0001-{today}-ar.xlsx"'
    assert paper["Cache-Control"] == book["Cache-Control"] == "private, no-store"
    saved = statement(desk, "pdf", customer="CC-0001", download="1", language="ar")
    assert saved["Content-Disposition"].startswith("attachment; ")


def test_the_statements_of_several_are_one_pdf(desk):
    response = desk.post(reverse("statement", args=["pdf"]), {"customer": ["CC-0001", "CC-0002"], "language": "en"})
    assert response.content.startswith(b"%PDF-")
    today = timezone.localdate().isoformat()
    assert f"statements-{today}-en.pdf" in response["Content-Disposition"]
    Customer.objects.filter(pk="CC-0002").update(language="ar")
    each = statement(desk, "pdf", customer=["CC-0001", "CC-0002"])
    assert f"statements-{today}.pdf" in each["Content-Disposition"], "each in its customer's language"


@pytest.mark.parametrize(
    ("form", "query", "words"),
    [
        ("pdf", {}, "Choose a customer first."),
        ("pdf", {"customer": "CC-0001", "language": "fr"}, "A statement is in English (en) or Arabic (ar)."),
        ("xlsx", {"customer": ["CC-0001", "CC-0002"]}, "A workbook holds the statement of one customer"),
        ("pdf", {"customer": [f"X-{n}" for n in range(201)]}, "201 statements are too many at once; print up to 200."),
    ],
)
def test_a_statement_that_cannot_be_made_is_a_page_with_words(desk, form, query, words):
    assert words in page_of(statement(desk, form, **query))


@pytest.fixture(params=["breaks off", "takes too long"])
def typesetter(request, monkeypatch):
    """One that makes no PDF, and has names in what it says of that."""

    def broken(command, **kwargs):
        if request.param == "takes too long":
            raise subprocess.TimeoutExpired(command, 120)
        raise subprocess.CalledProcessError(1, command, b"", b"error: Dana Haddad")

    monkeypatch.setattr("analytics.typeset.subprocess.run", broken)


def test_a_statement_that_breaks_off_says_so_and_nothing_of_whom(desk, typesetter, caplog):
    assert "could not be made. Try again" in page_of(statement(desk, "pdf", customer="CC-0001"))
    assert "Dana" not in caplog.text and "a statement could not be made" in caplog.text


def test_an_email_whose_statement_cannot_be_made_is_not_sent_and_says_so(desk, typesetter):
    form = opened(desk, "send", customer="CC-0001", channel="email") | {"how": "send", "attach": "on", "text": "Kept"}
    response = desk.post(act("send"), form)
    assert response.status_code == 400
    assert "The statement could not be made. Try again" in page_of(response) and "Kept" in page_of(response)
    assert not mail.outbox and not Message.objects.exists()
    form.pop("attach")
    assert told(desk.post(act("send"), form)) == "E-mail sent to Dana Haddad."


def test_statements_are_for_who_may_see_receivables_and_their_store(hala, as_):
    assert statement(hala, "pdf", customer="CC-0002").status_code == 200
    assert statement(hala, "pdf", customer="CC-0001").status_code == 404
    assert statement(hala, "pdf", customer=["CC-0002", "CC-0001"]).status_code == 404
    assert statement(as_("layla"), "pdf", customer="CC-0001").status_code == 200
    assert statement(as_("omar"), "pdf", customer="CC-0001").status_code == 403
    assert statement(as_("dana"), "doc", customer="CC-0001").status_code == 404


def test_who_may_not_see_how_to_reach_a_customer_gets_a_statement_without_it(desk, monkeypatch):
    monkeypatch.setattr("operations.actions.contacts_of", lambda user: {"email"})
    made = []
    monkeypatch.setattr(
        "operations.actions.statements.statements_pdf", lambda found, business: made.extend(found) or b"%PDF"
    )
    statement(desk, "pdf", customer="CC-0001")
    assert (made[0].customer.phone, made[0].customer.email) == ("", "dana@example.com")


def test_an_order_that_left_the_export_is_refused_in_words(desk):
    form = opened(desk, "pay", customer="CC-0001")
    Order.objects.filter(pk="M-00102").update(in_latest_export=False)
    response = desk.post(act("pay"), form)
    assert response.status_code == 400
    assert "Order M-00102 is no longer in CleanCloud&#x27;s export" in page_of(response)
