"""Search from every page: a customer by name, phone, e-mail or number, or by the number of an order.

Everybody finds what they may see: a person kept to a store that store's, and nobody by a phone or an e-mail that they
aren't shown. A few questions to the database and one or two to the live build, which alone knows the old system's
orders.
"""

import logging
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from urllib.parse import urlencode

from django.db.models import Case, Max, Q, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from analytics import access
from analytics.listing import FIND
from analytics.pages import build_of
from etl.errors import MoonwalkError
from operations.finding import Sought, clean, plain
from operations.models import Customer
from operations.money import NOTHING
from operations.phones import phone_key
from operations.scope import customers_for, orders_for

log = logging.getLogger(__name__)
MOST = 50  # that a page lists
OLD = "Legacy"
SYSTEM = {"CC_2025": "CleanCloud", OLD: "RePOS"}


@dataclass
class Hit:
    """A customer who was found. exact: by the whole of a number or phone; near: by a number without its letters, 146;
    orders: those that were sought; because: in words, by what; owes, last_order: as the list shows them."""

    customer_id: str
    exact: bool = False
    near: bool = False
    orders: list[str] = field(default_factory=list)
    because: list[str] = field(default_factory=list)
    row: Customer | None = None
    owes: Decimal | None = None
    last_order: date | None = None

    @property
    def about(self) -> str:
        """What tells people of one name apart: number, system, store."""
        known = self.row and (SYSTEM.get(self.row.source, ""), self.row.store)
        return " · ".join(word for word in (self.customer_id, *(known or ())) if word)

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
        contacts, owes = access.contacts_of(request.user), access.can_see(request.user, "receivables")
        shown = hits[:MOST]
        _tell_apart(shown, request.user, owes)
        _tell_old(shown, request)
        context = {
            "sought": text, "hits": shown, "owes": owes, "more": len(hits) > MOST, "most": MOST,
            "phones": "phone" in contacts,
            "by": _listed(["name", *(["phone"] if "phone" in contacts else []), "customer number", "order number"]),
        }  # fmt: skip
        response = render(request, "operations/search.html", context)
    response["Cache-Control"] = "private, no-store"
    return response


def _tell_apart(hits: list[Hit], user, owes: bool) -> None:
    """Fill in when each last ordered and, where `owes`, what they owe: of orders that the user may look at."""
    theirs = orders_for(user).filter(customer__in=[hit.customer_id for hit in hits]).order_by()
    last = dict(theirs.values_list("customer").annotate(Max("placed")))
    owed: dict[str, Decimal] = {}
    for customer_id, left in theirs.outstanding().values_list("customer", "balance") if owes else ():
        owed[customer_id] = owed.get(customer_id, NOTHING) + left
    for hit in hits:
        hit.last_order, hit.owes = last.get(hit.customer_id), owed.get(hit.customer_id)


def _tell_old(hits: list[Hit], request: HttpRequest) -> None:
    """Fill in when those of the old system last ordered; left open while the live build can't be read."""
    old = {hit.customer_id: hit for hit in hits if hit.row and hit.row.source == OLD and hit.last_order is None}
    if not old:
        return
    try:
        for customer_id, day in build_of(request).last_orders(list(old)).items():
            old[customer_id].last_order = day
    except MoonwalkError as error:
        log.error("search: %s", type(error).__name__)


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
    """Whom `user` finds by a text, the exact hits first, then the near ones, then by name: at most MOST + 1 of each
    kind, one Hit a customer. old_orders: as _old_orders() makes it."""
    found: dict[str, Hit] = {}
    sought = Sought(text)
    for customer in _customers(sought, user):
        found[customer.pk] = hit = Hit(customer.pk, row=customer)
        hit.near = customer.pk in sought.numbered
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
    return sorted(found.values(), key=lambda hit: (not hit.exact, not hit.near, plain(_name(hit)), hit.customer_id))


def _name(hit: Hit) -> str:
    return hit.row.shown_name if hit.row else ""


# Asked of the database -----------------------------------------------------------------------------------------------


def _customers(sought: Sought, user) -> list[Customer]:
    contacts = access.contacts_of(user)
    wanted = sought.names("_name") | Q(pk__icontains=sought.text) | Q(pk__in=sought.numbered)
    if sought.customer:
        wanted |= Q(pk=sought.customer)
    if "phone" in contacts and (by_phone := sought.phones()):
        wanted |= by_phone
    if "email" in contacts and "@" in sought.text:
        wanted |= Q(_email__icontains=sought.text)
    found = customers_for(user).with_shown().filter(wanted).annotate(_turn=_turn(sought, contacts))
    return list(found.order_by("_turn", "_name", "pk")[: MOST + 1])


def _turn(sought: Sought, contacts: set[str]) -> Case:
    """Sorts by: this very number or phone, this number without its letters, all others. What a limit cuts off is never
    the one that was meant."""
    exactly = Q(pk__in=[sought.text.upper(), sought.customer])
    if "phone" in contacts and sought.digits:
        exactly |= Q(phone_key=sought.key) | Q(pk__in=sought.by_export_phone)
    near = Q(pk__in=sought.numbered)
    return Case(When(exactly, then=Value(0)), When(near, then=Value(1)), default=Value(2))


def _first(wanted: Q) -> Case:
    """Sorts those before all others, as _turn() does."""
    return Case(When(wanted, then=Value(0)), default=Value(1))


def _why(sought: Sought, customer: Customer, contacts: set[str]) -> tuple[bool, list[str]]:
    """Is it exactly this one's number or phone, and by what they were found where the list doesn't show it."""
    exact = customer.pk.upper() in (sought.text.upper(), sought.customer)
    if "phone" in contacts and sought.in_phone(customer.phone_key):
        return exact or customer.phone_key == sought.key, ["phone"]
    if "phone" in contacts and customer.pk in sought.by_export_phone:
        return exact or phone_key(customer.phone) == sought.key, ["the phone in the export"]
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
