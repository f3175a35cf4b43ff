"""Paid here, still unpaid in CleanCloud: what somebody has to mark there, as a page and a file.

operations/receivables/paid-here/?store&method&q&sort&p&all
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from analytics import access, exports, listing
from analytics.formats import day
from analytics.tables import Column, Table
from operations.finding import Sought, clean
from operations.models import Payment
from operations.money import NOTHING
from operations.receivables import Filters, debtors, to_key_in
from operations.scope import payments_for
from operations.worklist import PAGE, Address, Place, as_file, day_words, money, stores_of, tabs

# What was paid here --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PaidHere:
    """A payment taken here for an order that the export calls unpaid. total: of the order; left: what it still owes;
    here: all that was paid here for it. in_export: the latest export has the order."""

    payment_id: int
    order_id: str
    customer_id: str
    name: str
    store: str
    total: Decimal
    here: Decimal
    left: Decimal
    amount: Decimal
    method: str
    paid_on: date
    reference: str
    by: str
    recorded_at: datetime
    in_export: bool

    @property
    def settled(self) -> bool:
        return not self.left


def payments(user, store: str = "") -> list[PaidHere]:
    """Every payment that CleanCloud doesn't know of yet, the oldest first: neither voided, nor of an order that the
    export calls paid. One question."""
    rows = payments_for(user, Payment.objects.filter(voids__isnull=True, voided_by__isnull=True, order__paid=False))
    if store:
        rows = rows.filter(order__store=store)
    rows = list(
        rows.order_by("paid_on", "pk").values_list(
            "pk", "order_id", "order__customer_id", "order__customer__name", "order__customer__own_name",
            "order__store", "order__total", "amount", "method", "paid_on", "reference", "created_by__username",
            "created_at", "order__in_latest_export",
        )
    )  # fmt: skip
    here: dict[str, Decimal] = {}
    for row in rows:
        here[row[1]] = here.get(row[1], NOTHING) + row[7]
    return [
        PaidHere(
            pk, order_id, customer_id, (name if own is None else own) or customer_id, order_store, total,
            here[order_id], max(NOTHING, total - here[order_id]), amount, method, paid_on, reference, by, at, known,
        )
        for (pk, order_id, customer_id, name, own, order_store, total, amount, method, paid_on, reference, by, at,
             known) in rows
    ]  # fmt: skip


# Which of it, in which order -----------------------------------------------------------------------------------------

COLUMNS = (
    Column("order", "Order"), Column("customer", "Customer"), Column("store", "Store"),
    Column("amount", "Paid here", "money"), Column("total", "Order total", "money"), Column("method", "Method"),
    Column("day", "Paid on", "date"), Column("reference", "Reference"), Column("by", "Recorded by"),
)  # fmt: skip
SORTS: dict[str, Callable[[PaidHere], object]] = {
    "order": lambda p: p.order_id, "customer": lambda p: p.name.casefold(), "store": lambda p: p.store,
    "amount": lambda p: p.amount, "total": lambda p: p.total, "method": lambda p: p.method,
    "day": lambda p: p.paid_on, "reference": lambda p: p.reference.casefold(), "by": lambda p: p.by,
}  # fmt: skip


PARTS: tuple[tuple[str, str, str, Callable[[PaidHere], bool]], ...] = (
    ("settled", "To mark as paid in CleanCloud", "Settled here. Each goes from this list by itself once an export "
     "says that it is paid.", lambda p: p.in_export and p.settled),
    ("part", "Paid in part", "Something is still owed: nothing to mark as paid yet. If CleanCloud should show "
     "what came in, note it there.", lambda p: p.in_export and not p.settled),
    ("gone", "No longer in the export", "Paid here, but the latest export has no such order: look in CleanCloud "
     "whether it was deleted or given another number.", lambda p: not p.in_export),
)  # fmt: skip


@dataclass(frozen=True)
class PaidPlace(Address):
    """Where a reader is in this list. store: its name, "" for all."""

    store: str
    named = "paid_here"


def read(request: HttpRequest) -> PaidPlace:
    """What an address says; what it doesn't say well counts for nothing."""
    said = {k: v.strip() for k, v in request.GET.items()}
    stores = {s.slug: s.name for s in stores_of(request.user)}
    kept = {
        "store": said.get("store") in stores and said["store"],
        "method": said.get("method", "")[:40],
        "q": clean(said.get("q", ""), listing.FIND),
        "sort": said.get("sort", "").removeprefix("-") in SORTS and said["sort"],
        "all": said.get("all") == "1" and "1",
    }
    params = {name: value for name, value in kept.items() if value}
    return PaidPlace(params, listing.read_page(said.get("p", "")), stores.get(params.get("store", ""), ""))


@dataclass(frozen=True)
class Part:
    """Payments about which the same is to be done."""

    key: str
    title: str
    note: str
    rows: tuple[PaidHere, ...]

    @property
    def orders(self) -> int:
        return len({p.order_id for p in self.rows})

    @property
    def total(self) -> Decimal:
        return sum((p.amount for p in self.rows), NOTHING)


def parts_of(every: list[PaidHere], params: Mapping[str, str]) -> list[Part]:
    """What is to be keyed in, apart from what is only partly paid and from what the export no longer has."""
    sought, by = Sought(params.get("q", "")), params.get("sort", "")
    rows = [p for p in every if params.get("method", p.method) == p.method and (not sought.text or _finds(sought, p))]
    if by:
        rows.sort(key=SORTS[by.removeprefix("-")], reverse=by.startswith("-"))
    return [Part(key, title, note, tuple(filter(belongs, rows))) for key, title, note, belongs in PARTS]


def _finds(sought: Sought, paid: PaidHere) -> bool:
    """Is it what is sought: by customer, order, reference, or who recorded it?"""
    return (
        sought.in_name(paid.name)
        or sought.in_customer(paid.customer_id)
        or sought.in_order(paid.order_id)
        or any(sought.text.casefold() in text.casefold() for text in (paid.reference, paid.by))
    )


# The page ----------------------------------------------------------------------------------------------------------


@access.page_required("receivables")
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Payments taken here that somebody still has to mark in CleanCloud: of all parts one after the other so many a
    page, or all of them at once, to print."""
    user, today, place = request.user, timezone.localdate(), read(request)
    every = payments(user, place.store)
    parts = parts_of(every, place.params)
    count = sum(len(part.rows) for part in parts)
    size = max(1, count) if "all" in place.params else PAGE
    place = place.turned_to(place.page if (place.page - 1) * size < count else 1)
    shown = _shown(parts, (place.page - 1) * size, size, today, access.can_see(user, "customer"))
    sort = place.params.get("sort", "")
    table = Table("paid", "Paid here", COLUMNS, tuple(row for part in shown for row in part["rows"]), total=count)
    store = {k: v for k, v in place.params.items() if k == "store"}
    context = {
        "here": "receivables", "place": place, "only": access.store_of(user), "today": today, "parts": shown,
        "tabs": tabs(Place(store, 1, Filters()), debtors(user, place.store), to_key_in(user, place.store), "paid"),
        "listing": listing.listing(table, place.url, sort.removeprefix("-"), sort.startswith("-"), place.page, size),
        "whole": place.url(all="1", p=None), "paged": place.url(all=None, p=None) if count > PAGE else "",
        "choices": _choices(place, every, user),
        "narrowed": any(k in place.params for k in ("store", "method", "q")), "clear": reverse("paid_here"),
        "kept": [(k, v) for k, v in place.params.items() if k in ("q", "sort", "all")],
        "searched": [(k, v) for k, v in place.params.items() if k not in ("q", "p")],
        "exports": exports.links(lambda form: place.url(form=form, p=None, all=None)),
    }  # fmt: skip
    return render(request, "operations/paid_here.html", context)


def _shown(parts: list[Part], first: int, size: int, today: date, opens: bool) -> list[dict]:
    """What a page has of each part: sums of the whole part, and its rows among the `size` from place `first` on; no
    part without any, but for the first when it is empty. opens: customers' pages may be opened."""
    found, at = [], 0
    for part in parts:
        rows = part.rows[max(0, first - at) : max(0, first + size - at)]
        at += len(part.rows)
        if rows or (part.key == "settled" and not part.rows):
            found.append({
                "key": part.key, "title": part.title, "note": part.note, "orders": part.orders,
                "total": money(part.total), "rows": [_row(p, today, opens) for p in rows],
            })  # fmt: skip
    return found


def _row(paid: PaidHere, today: date, opens: bool) -> dict:
    return {
        "paid": paid, "amount": money(paid.amount), "total": money(paid.total), "left": money(paid.left),
        "day": day_words(paid.paid_on, today),
        "url": reverse("customer", args=[paid.customer_id]) if opens else "",
    }  # fmt: skip


def _choices(place: PaidPlace, every: list[PaidHere], user) -> list[dict]:
    """The lists to choose from: name, label, options (value, words, chosen)."""
    methods = sorted({p.method for p in every} | ({place.params["method"]} if "method" in place.params else set()))
    selects = [
        ("store", "Store", {"": "All stores"} | {s.slug: s.name for s in stores_of(user)}),
        ("method", "Method", {"": "All methods"} | {m: m for m in methods}),
    ]
    return [
        {"name": name, "label": label, "options": [(v, w, v == place.params.get(name, "")) for v, w in of.items()]}
        for name, label, of in selects
        if len(of) > 2 or place.params.get(name)
    ]


# As a file ---------------------------------------------------------------------------------------------------------


@access.page_required("receivables")
@require_GET
def export(request: HttpRequest, form: str) -> HttpResponse:
    """All of the list as a file: what is to be keyed in first, then what is paid in part, then what the export lost."""
    place, today = read(request), timezone.localdate()
    columns = (*COLUMNS[:2], Column("customer_id", "Customer number"), *COLUMNS[2:5],
               Column("left", "Still owed", "money"), *COLUMNS[5:], Column("what", "What to do"))  # fmt: skip
    rows = tuple(
        {"order": p.order_id, "customer": p.name, "customer_id": p.customer_id, "store": p.store, "amount": p.amount,
         "total": p.total, "left": p.left, "method": p.method, "day": p.paid_on, "reference": p.reference, "by": p.by,
         "what": part.title}
        for part in parts_of(payments(request.user, place.store), place.params) for p in part.rows
    )  # fmt: skip
    table = Table("paid-here", "Paid here, still unpaid in CleanCloud", columns, rows)
    about = {"Page": "Who owes", "Day": day(today),
             "Store": access.store_of(request.user) or place.store, "Method": place.params.get("method"),
             "Found by": place.params.get("q")}  # fmt: skip
    return as_file(request, table, form, f"paid-here-{today}", about)
