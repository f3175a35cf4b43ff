"""What reminders say: placeholders filled from a statement, and the links that open WhatsApp and a mail program."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal as D
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from etl.business import load_business
from etl.legal import Arabic, Bank, Legal
from operations import messages
from operations.defaults import PLACEHOLDERS, TEXTS
from operations.models import Customer, MessageTemplate
from operations.services import Refused, template_save
from operations.statements import OpenOrder, Party, Statement

AS_OF = date(2026, 3, 5)
LEGAL = Legal(
    "Clean L.L.C.", phone="02 555 0100", bank=Bank("First Bank", iban="AE07 0331 2345 6789 0123 456"),
    arabic=Arabic(currency="درهم")
)
BUSINESS = replace(load_business(), legal=LEGAL, payment_terms_days=5)
# 31 January to 5 March: 28 + 5 = 33 days, 5 of them granted.
ORDERS = (
    OpenOrder("M-00102", date(2026, 1, 31), D("1250.50"), D("50.00"), "Moon Walk"),
    OpenOrder("H-00201", AS_OF, D("7.70"), store="Hielo"),
)
STATEMENT = Statement(Party("CC-0001", "Sara Haddad"), ORDERS, (), AS_OF, AS_OF)
CUSTOMER = Customer(pk="CC-0001", name="Sara Haddad", email="sara@example.com", phone_key="971501234567")


def template(text: str, channel: str = "whatsapp", subject: str = "", language: str = "en") -> MessageTemplate:
    return MessageTemplate(channel=channel, language=language, subject=subject, text=text)


def draft(text: str, statement: Statement = STATEMENT, customer: Customer = CUSTOMER, **more) -> messages.Draft:
    return messages.draft(template(text, **more), customer, statement, BUSINESS)


def test_every_placeholder_has_a_fact_in_both_languages():
    english = messages.facts_of(STATEMENT, BUSINESS)
    assert english.keys() == PLACEHOLDERS.keys()
    assert english == {
        "name": "Sara Haddad",
        "amount": "Dhs 1,208.20",  # 1,250.50 - 50.00 + 7.70
        "orders": "2",
        "order_list": "M-00102, H-00201",
        "oldest_order": "M-00102",
        "since": "31 January 2026",
        "days": "28",
        "bank": "Bank: First Bank\nAccount name: Clean L.L.C.\nIBAN: AE07 0331 2345 6789 0123 456",
        "store": "Moon Walk",
        "business": "Moon Walk",
        "phone": "02 555 0100",
    }
    arabic = messages.facts_of(replace(STATEMENT, language="ar"), BUSINESS)
    assert arabic.keys() == PLACEHOLDERS.keys()
    # Between isolates, the hyphens such that no line breaks there
    assert arabic["amount"] == "\u20681,208.20 درهم\u2069" and arabic["phone"] == "\u206602 555 0100\u2069"
    assert arabic["oldest_order"] == "\u2066M\u201100102\u2069" and arabic["since"] == "31 يناير 2026"
    assert arabic["order_list"] == "\u2066M\u201100102\u2069، \u2066H\u201100201\u2069"
    assert arabic["bank"].startswith("المصرف: First Bank\n")


def test_what_is_not_known_reads_well():
    nobody = replace(STATEMENT, customer=Party("CC-0001", store="Hielo"), orders=())
    facts = messages.facts_of(nobody, BUSINESS)
    assert facts["name"] == "customer" and facts["amount"] == "Dhs 0.00" and facts["orders"] == "0"
    assert facts["store"] == "Hielo" and facts["since"] == facts["days"] == facts["oldest_order"] == ""
    assert messages.facts_of(replace(nobody, language="ar"), BUSINESS)["name"] == "عميلنا"
    today = replace(STATEMENT, orders=ORDERS[1:])
    assert messages.facts_of(today, BUSINESS)["days"] == "0", "not due yet: never below 0"


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "M-0, M-1, M-2, M-3, M-4, M-5, M-6, M-7, M-8, M-9 and 3 more"),
     ("ar", "، ".join(f"\u2066M\u2011{n}\u2069" for n in range(10)) + " وغيرها (3)")],
)  # fmt: skip
def test_of_many_orders_ten_are_named(language, expected):
    orders = tuple(OpenOrder(f"M-{n}", AS_OF - timedelta(20 - n), D("1.00")) for n in range(13))
    assert messages.facts_of(replace(STATEMENT, orders=orders, language=language), BUSINESS)["order_list"] == expected


def test_a_whatsapp_message_opens_with_the_text_in_it():
    found = draft("Hello {name} & co,\n\n{amount} is open: 100 % of {order_list}? {{sic}} #1")
    said = "Hello Sara Haddad & co,\n\nDhs 1,208.20 is open: 100 % of M-00102, H-00201? {sic} #1"
    assert (found.text, found.subject, found.sent_to) == (said, "", "971501234567")
    link = urlsplit(found.link)
    assert (link.scheme, link.netloc, link.path, link.fragment) == ("https", "wa.me", "/971501234567", "")
    assert parse_qs(link.query) == {"text": [said]}


def test_an_arabic_message_is_in_arabic_throughout():
    found = draft("مرحباً {name}، {amount}", replace(STATEMENT, language="ar"), language="ar")
    assert found.text == "مرحباً Sara Haddad، \u20681,208.20 درهم\u2069"
    assert unquote(urlsplit(found.link).query) == "text=" + found.text and found.link.isascii()


def test_a_mail_opens_with_subject_and_text():
    found = draft("Dear {name},\n{amount}.", channel="email", subject="{business}:\n{amount}")
    assert found.subject == "Moon Walk: Dhs 1,208.20", "one line"
    link = urlsplit(found.link)
    assert (link.scheme, link.path) == ("mailto", "sara@example.com")
    assert parse_qs(link.query) == {
        "subject": ["Moon Walk: Dhs 1,208.20"], "body": ["Dear Sara Haddad,\r\nDhs 1,208.20."]
    }  # fmt: skip
    assert "+" not in link.query, "a mail program shows a + as it is"


def test_a_name_is_never_a_template_nor_part_of_a_link():
    name = "{amount} {0.__class__} %s &text=x#y?cc=a@b.c"
    hostile = replace(STATEMENT, customer=Party("CC-0001", name))
    found = draft("Hello {name}", hostile)
    assert found.text == f"Hello {name}" and parse_qs(urlsplit(found.link).query) == {"text": [f"Hello {name}"]}
    mail = draft("Hello {name}", hostile, channel="email", subject="{name}\r\nBcc: x@y.z")
    assert mail.subject == f"{name} Bcc: x@y.z"
    assert parse_qs(urlsplit(mail.link).query).keys() == {"subject", "body"}


def test_without_a_phone_or_address_there_is_a_text_and_no_link():
    unknown = Customer(pk="CC-0001")
    assert (draft("Hi", customer=unknown).text, draft("Hi", customer=unknown).link) == ("Hi", "")
    assert draft("Hi", customer=unknown, channel="email", subject="x").link == ""


@pytest.mark.parametrize("phone", ["12345", "9715012345678901", "+971501234567", "97150 123", "٩٧١٥٠١٢٣٤٥٦٧"])
def test_no_link_to_what_is_no_phone(phone):
    with pytest.raises(Refused, match="no phone number that WhatsApp takes"):
        messages.whatsapp_link(phone, "x")


@pytest.mark.parametrize("address", ["sara", "a@b.c?cc=d@e.f", "a@b.com, c@d.com", "a@example.com\nBcc: x@y.z", ""])
def test_no_link_to_what_is_no_address(address):
    with pytest.raises(Refused, match="is no e-mail address"):
        messages.mailto_link(address, "x", "y")


def test_an_address_is_escaped():
    assert messages.mailto_link("o'neill+x&y@example.com", "s", "t").startswith("mailto:o%27neill%2Bx%26y@example.com?")


@pytest.mark.parametrize(
    ("text", "statement", "business", "says"),
    [
        ("since {since}", replace(STATEMENT, orders=()), BUSINESS, "CC-0001 has no unpaid order"),
        ("{order_list}", replace(STATEMENT, orders=()), BUSINESS, "CC-0001 has no unpaid order"),
        ("{bank}", STATEMENT, replace(BUSINESS, legal=Legal("x")), "no bank details"),
        ("Call {phone}", STATEMENT, replace(BUSINESS, legal=Legal("x")), "the business file has none"),
    ],
)
def test_a_text_with_a_hole_in_it_is_refused(text, statement, business, says):
    with pytest.raises(Refused, match=says):
        messages.draft(template(text), CUSTOMER, statement, business)
    assert messages.draft(template("{amount}"), CUSTOMER, statement, business).text


@pytest.mark.parametrize(
    "text", ["{nmae}", "{}", "{0}", "{name.__class__}", "{name[0]}", "{name!r}", "{name:>9}", "{na", "}"]
)
@pytest.mark.django_db
def test_a_template_with_an_unknown_placeholder_is_refused_at_saving(people, text):
    for field in ({"text": text}, {"text": "fine", "subject": text}):
        broken = MessageTemplate(channel="email", language="en", **{"subject": "fine", **field})
        with pytest.raises(Refused, match=r"There is no \{|Check the braces"):
            template_save(broken, user=people["root"])
    assert not MessageTemplate.objects.filter(pk=broken.pk).exists()


@pytest.mark.django_db
def test_every_template_that_comes_with_the_program_can_be_filled(db):
    found = list(MessageTemplate.objects.all())
    assert len(found) == 2 * sum(len(languages) for languages in TEXTS.values()) == 20
    for made in found:
        made.full_clean()
        filled = messages.draft(made, CUSTOMER, replace(STATEMENT, language=made.language), BUSINESS)
        assert "{" not in filled.text + filled.subject and filled.link
        assert "Sara Haddad" in filled.text and "1,208.20" in filled.text
