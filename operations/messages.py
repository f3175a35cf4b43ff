"""What a reminder says and where it opens: a template's {placeholders} filled from a statement, links to WhatsApp and
to a mail program. Saving a template refuses placeholders that don't exist (models.MessageTemplate); sending an e-mail
from here and recording what was sent are services.
"""

import string
from dataclasses import dataclass
from urllib.parse import quote

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from etl.business import Business
from operations.models import Channel, Customer, Language, MessageTemplate
from operations.money import days_overdue
from operations.services import Refused
from operations.statements import Statement, bank_facts, cleaned, day_words, money_words

LISTED = 10  # orders that a message names; the rest is counted
WORDS = {
    "en": {"customer": "customer", "more": "{orders} and {n} more", "comma": ", "},
    "ar": {"customer": "عميلنا", "more": "{orders} وغيرها ({n})", "comma": "، "},
}
# Why a placeholder has nothing to stand there.
NO_ORDER = "{customer} has no unpaid order, and the text speaks of one."
NO_PHONE = "The text names the business's phone, and the business file has none ([legal] phone)."
NO_BANK = "The text names the bank, and the business file has no bank details ([legal.bank])."
NOT_IN_FILE = {"bank": NO_BANK, "phone": NO_PHONE}
# Unicode's isolates: what stands between one of these and END is laid out by itself, whatever is around it.
LEFT_TO_RIGHT, AS_IT_BEGINS, END = "\u2066", "\u2068", "\u2069"
HYPHEN = "\u2011"  # at which no line breaks


@dataclass(frozen=True)
class Draft:
    """A message ready to be looked at. sent_to: phone in digits or e-mail address, "" where there is none; link: opens
    it in WhatsApp or a mail program, "" then too."""

    channel: str
    language: str
    subject: str
    text: str
    sent_to: str
    link: str


def draft(template: MessageTemplate, customer: Customer, statement: Statement, business: Business) -> Draft:
    """The template's message to a customer. Refused when the text speaks of what isn't there (an order, a bank).

    statement: the customer's, in the template's language.
    """
    facts = facts_of(statement, business)
    subject, text = (rendered(words, facts, customer.pk) for words in (template.subject, template.text))
    by_mail = template.channel == Channel.EMAIL
    sent_to = customer.shown_email.strip() if by_mail else customer.phone_key
    link = ""
    if sent_to:
        link = mailto_link(sent_to, subject, text) if by_mail else whatsapp_link(sent_to, text)
    return Draft(template.channel, template.language, " ".join(subject.split()), text, sent_to, link)


def number_in(language: str, text: str) -> str:
    """An order number or a phone as it stands in a text: in Arabic it would else break at its hyphen, and a bracket or
    a plus beside it would change sides."""
    if language != Language.ARABIC or not text:
        return text
    return LEFT_TO_RIGHT + text.replace("-", HYPHEN) + END


def facts_of(statement: Statement, business: Business) -> dict[str, str]:
    """What stands in place of each of defaults.PLACEHOLDERS, in the statement's language; "" where there is nothing."""
    language, orders = statement.language, statement.orders
    words, oldest = WORDS[language], orders[0] if orders else None
    named = words["comma"].join(number_in(language, order.number) for order in orders[:LISTED])
    if len(orders) > LISTED:
        named = words["more"].format(orders=named, n=len(orders) - LISTED)
    overdue = days_overdue(oldest.day, statement.as_of, business.payment_terms_days) if oldest else ""
    amount = money_words(statement.total, business, language)
    store = (oldest and oldest.store) or statement.customer.store or business.name
    return {
        "name": cleaned(statement.customer.name) or words["customer"],
        "amount": f"{AS_IT_BEGINS}{amount}{END}" if language == Language.ARABIC else amount,
        "orders": str(len(orders)),
        "order_list": named,
        "oldest_order": number_in(language, oldest.number) if oldest else "",
        "since": day_words(oldest.day, language) if oldest else "",
        "days": str(overdue),
        "bank": "\n".join(f"{label}: {value}" for label, value in bank_facts(business, language)),
        "store": store,
        "business": business.name,
        "phone": number_in(language, business.legal.phone),
    }


def rendered(text: str, facts: dict[str, str], customer_id: str = "") -> str:
    """A template's text with its placeholders filled. What a fact says is never looked at again: a name with braces
    stays a name. Refused for one that has nothing to stand there."""
    said = []
    for words, name, _, _ in string.Formatter().parse(text):
        said.append(words)
        if name is None:
            continue
        if not facts[name]:
            raise Refused(NOT_IN_FILE.get(name) or NO_ORDER.format(customer=customer_id))
        said.append(facts[name])
    return "".join(said)


def whatsapp_link(phone_key: str, text: str) -> str:
    """Opens a chat with this number and the text in it, unsent. Refused for what is no international number."""
    if not (phone_key.isascii() and phone_key.isdigit() and 8 <= len(phone_key) <= 15):
        raise Refused(f"“{phone_key}” is no phone number that WhatsApp takes: correct the customer's phone.")
    return f"https://wa.me/{phone_key}?text={quote(text, safe='')}"


def mailto_link(address: str, subject: str, text: str) -> str:
    """Opens a mail program with the message in it, unsent. Refused for what is no e-mail address."""
    try:
        validate_email(address)
    except ValidationError:
        raise Refused(f"“{address}” is no e-mail address: correct the customer's e-mail.") from None
    lines = "\r\n".join(text.splitlines())
    subject, body = quote(" ".join(subject.split()), safe=""), quote(lines, safe="")
    return f"mailto:{quote(address, safe='@')}?subject={subject}&body={body}"
