"""Search from every page: a customer by name, phone, e-mail or number, or by the number of an order.

Everybody finds what they may see: a person kept to a store that store's, and nobody by a phone or an e-mail that they
aren't shown. Two questions to the database and one to the live build, which alone knows the old system's orders.
"""

import logging
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
from operations.finding import Sought, clean
from operations.models import Customer
from operations.scope import customers_for, orders_for

log = logging.getLogger(__name__)
MOST = 50  # that a page lists


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
    text = clean(request.GET.get("q", ""), FIND)
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
    sought = Sought(text)
    for customer in _customers(sought, user):
        found[customer.pk] = hit = Hit(customer.pk, row=customer)
        hit.exact, hit.because = _why(sought, customer, access.contacts_of(user))
    for order, customer_id in _orders(sought, user, old_orders):
        hit = found.setdefault(customer_id, Hit(customer_id))
        hit.orders.append(order)
        hit.exact |= order.upper() in (text.upper(), sought.order)
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


# Asked of the database -----------------------------------------------------------------------------------------------


def _customers(sought: Sought, user) -> list[Customer]:
    contacts = access.contacts_of(user)
    wanted = sought.names("_name") | Q(pk__icontains=sought.text)
    if sought.customer:
        wanted |= Q(pk=sought.customer)
    if "phone" in contacts and (by_phone := sought.phones()):
        wanted |= by_phone
    if "email" in contacts and "@" in sought.text:
        wanted |= Q(_email__icontains=sought.text)
    found = customers_for(user).with_shown().filter(wanted).annotate(_exact=_first(_exactly(sought, contacts)))
    return list(found.order_by("_exact", "_name", "pk")[: MOST + 1])


def _exactly(sought: Sought, contacts: set[str]) -> Q:
    """This very number or phone."""
    wanted = Q(pk__in=[sought.text.upper(), sought.customer])
    return wanted | Q(phone_key=sought.key) if "phone" in contacts and sought.digits else wanted


def _first(wanted: Q) -> Case:
    """Sorts those before all others: what a limit cuts off is never the one that was meant."""
    return Case(When(wanted, then=Value(0)), default=Value(1))


def _why(sought: Sought, customer: Customer, contacts: set[str]) -> tuple[bool, list[str]]:
    """Is it exactly this one's number or phone, and by what they were found where the list doesn't show it."""
    exact = customer.pk.upper() in (sought.text.upper(), sought.customer)
    if "phone" in contacts and sought.in_phone(customer.phone_key):
        return exact or customer.phone_key == sought.key, ["phone"]
    return exact, ["e-mail"] if "@" in sought.text and "email" in contacts else []


def _orders(sought: Sought, user, old_orders) -> list[tuple[str, str]]:
    """(order, customer) of orders with the text in their number, the one of that number first."""
    if not sought.may_be_order:
        return []
    ways = {sought.text.upper(), sought.order} - {""}
    wanted = Q(pk__icontains=sought.text) | Q(pk__in=ways)
    found = orders_for(user).filter(wanted).annotate(_exact=_first(Q(pk__in=ways))).order_by("_exact", "pk")
    pairs = dict(found.values_list("pk", "customer_id")[: MOST + 1])
    for way in sorted(ways):
        pairs = dict(old_orders(way)) | pairs
    return sorted(pairs.items(), key=lambda pair: (pair[0].upper() not in ways, pair[0]))
