"""Search from every page: a customer by name, phone, e-mail or number, or by the number of an order.

Everybody finds what they may see: a person kept to a store that store's, and nobody by a phone or an e-mail that they
aren't shown. Two questions to the database and one to the live build, which alone knows the old system's orders.
"""

import logging
import re
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.db.models import Case, Q, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from analytics import access
from analytics.listing import FIND
from analytics.pages import build_of
from etl.errors import MoonwalkError
from operations.models import Customer
from operations.phones import phone_key
from operations.scope import customers_for, orders_for

log = logging.getLogger(__name__)
MOST = 50  # that a page lists
LAST_DIGITS = 3  # of a phone: fewer find too many
MIDDLE_DIGITS = 5  # found anywhere in a phone
_PHONE = re.compile(r"[\d\s+()./\u200e\u200f\u202a-\u202c-]+")
_CUSTOMER = re.compile(r"(CC|MW)[\s-]*0*(\d{1,12})", re.I)
_ORDER = re.compile(r"([A-Z])[\s-]*(\d{1,12})", re.I)


@dataclass
class Hit:
    """A customer who was found. exact: by the whole of a number or phone; orders: those that were sought; because: in
    words, by what."""

    customer_id: str
    exact: bool = False
    orders: list[str] = field(default_factory=list)
    because: list[str] = field(default_factory=list)
    row: Customer | None = None

    @property
    def url(self) -> str:
        """The customer, at the order that was sought where it is one."""
        return _address(self.customer_id, self.orders[0] if len(self.orders) == 1 else "")


def _address(customer_id: str, order: str = "") -> str:
    url = reverse("customer", args=[customer_id])
    return f"{url}?{urlencode({'find': order})}#{order}" if order else url


@access.page_required("customer")
def search(request: HttpRequest) -> HttpResponse:
    """One exact hit, or one in all, opens at once; several are listed."""
    text = " ".join(request.GET.get("q", "").replace("\x00", "").split())[:FIND]
    hits = find(text, request.user, _old_orders(request)) if text else []
    exact = [hit for hit in hits if hit.exact]
    if len(exact) == 1 or len(hits) == 1:
        response = HttpResponseRedirect((exact or hits)[0].url)
    else:
        contacts = access.contacts_of(request.user)
        context = {
            "sought": text, "hits": hits[:MOST], "more": len(hits) > MOST, "most": MOST, "phones": "phone" in contacts,
            "by": _listed(["name", *(["phone"] if "phone" in contacts else []), "customer number", "order number"]),
        }  # fmt: skip
        response = render(request, "operations/search.html", context)
    response["Cache-Control"] = "private, no-store"
    return response


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _old_orders(request: HttpRequest):
    """(text) -> (order, customer) of orders that the live build alone knows; none while it can't be read."""

    def ask(text: str) -> list[tuple[str, str]]:
        try:
            return build_of(request).find_orders(text, MOST + 1)
        except MoonwalkError as error:
            log.error("search: %s", type(error).__name__)
            return []

    return ask


def find(text: str, user, old_orders=lambda text: []) -> list[Hit]:
    """Whom `user` finds by a text, the exact hits first, then by name: at most MOST + 1 of each kind, one Hit a
    customer. old_orders: as _old_orders() makes it."""
    found: dict[str, Hit] = {}
    for customer in _customers(text, user):
        found[customer.pk] = hit = Hit(customer.pk, row=customer)
        hit.exact, hit.because = _why(text, customer, access.contacts_of(user))
    for order, customer_id in _orders(text, user, old_orders):
        hit = found.setdefault(customer_id, Hit(customer_id))
        hit.orders.append(order)
        hit.exact |= order.upper() in (text.upper(), order_number(text))
    missing = [pk for pk, hit in found.items() if hit.row is None]
    for customer in customers_for(user).filter(pk__in=missing):
        found[customer.pk].row = customer
    for hit in found.values():
        if hit.orders:
            more = f" and {len(hit.orders) - 3} more" if len(hit.orders) > 3 else ""
            hit.because.append(f"order {', '.join(hit.orders[:3])}{more}")
    return sorted(found.values(), key=lambda hit: (not hit.exact, _name(hit).casefold(), hit.customer_id))


def _name(hit: Hit) -> str:
    return hit.row.shown_name if hit.row else ""


# What a text may be ----------------------------------------------------------------------------------------------


def customer_number(text: str) -> str:
    """cc1, CC-0001 and cc 01 are all CC-0001; "" for what is none."""
    found = _CUSTOMER.fullmatch(text)
    return f"{found[1].upper()}-{int(found[2]):04d}" if found else ""


def order_number(text: str) -> str:
    """m102, M-00102 and m 102 are all M-00102; "" for what is none."""
    found = _ORDER.fullmatch(text)
    return f"{found[1].upper()}-{int(found[2]):05d}" if found else ""


def phone_digits(text: str) -> str:
    """The digits of what can be a phone or the end of one, Arabic ones too; "" for what can't."""
    digits = "".join(str(int(c)) for c in text if c.isdecimal())
    return digits if _PHONE.fullmatch(text) and len(digits) >= LAST_DIGITS else ""


def _by_phone(text: str) -> Q | None:
    """Whose phone begins as the text does however it is written, ends with its digits, or has many of them."""
    digits = phone_digits(text)
    if not digits:
        return None
    wanted = Q(phone_key__startswith=phone_key(text)) | Q(phone_key__endswith=digits)
    return wanted | Q(phone_key__contains=digits) if len(digits) >= MIDDLE_DIGITS else wanted


def _by_name(text: str) -> Q:
    """Every word is somewhere in the shown name. SQLite ignores the case of ASCII letters alone: of others it is
    asked in both."""
    wanted = Q()
    for word in text.split():
        ways = {word} if word.isascii() else {word, word.lower(), word.upper(), word.title()}
        one = Q()
        for way in ways:
            one |= Q(_name__icontains=way)
        wanted &= one
    return wanted


def _customers(text: str, user) -> list[Customer]:
    contacts = access.contacts_of(user)
    wanted = _by_name(text) | Q(pk__icontains=text)
    if number := customer_number(text):
        wanted |= Q(pk=number)
    if "phone" in contacts and (by_phone := _by_phone(text)):
        wanted |= by_phone
    if "email" in contacts and "@" in text:
        wanted |= Q(_email__icontains=text)
    found = customers_for(user).with_shown().filter(wanted).annotate(_exact=_first(_exactly(text, contacts)))
    return list(found.order_by("_exact", "_name", "pk")[: MOST + 1])


def _exactly(text: str, contacts: set[str]) -> Q:
    """This very number or phone."""
    wanted = Q(pk__in=[text.upper(), customer_number(text)])
    return wanted | Q(phone_key=phone_key(text)) if "phone" in contacts and phone_digits(text) else wanted


def _first(wanted: Q) -> Case:
    """Sorts those before all others: what a limit cuts off is never the one that was meant."""
    return Case(When(wanted, then=Value(0)), default=Value(1))


def _why(text: str, customer: Customer, contacts: set[str]) -> tuple[bool, list[str]]:
    """Is it exactly this one's number or phone, and by what they were found where the list doesn't show it."""
    exact = customer.pk.upper() in (text.upper(), customer_number(text))
    digits = phone_digits(text) if "phone" in contacts else ""
    if digits and customer.phone_key == phone_key(text):
        return True, ["phone"]
    if digits and (digits in customer.phone_key or customer.phone_key.startswith(phone_key(text))):
        return exact, ["phone"]
    return exact, ["e-mail"] if "@" in text and "email" in contacts else []


def _orders(text: str, user, old_orders) -> list[tuple[str, str]]:
    """(order, customer) of orders with the text in their number, the one of that number first."""
    if not any(c.isdecimal() for c in text) or " " in text and not order_number(text):
        return []
    ways = {text.upper(), order_number(text)} - {""}
    wanted = Q(pk__icontains=text) | Q(pk__in=ways)
    found = orders_for(user).filter(wanted).annotate(_exact=_first(Q(pk__in=ways))).order_by("_exact", "pk")
    pairs = dict(found.values_list("pk", "customer_id")[: MOST + 1])
    for way in sorted(ways):
        pairs = dict(old_orders(way)) | pairs
    return sorted(pairs.items(), key=lambda pair: (pair[0].upper() not in ways, pair[0]))
