"""One customer on a page: the figures of analytics/customer_view.py and, for who works with receivables, what they owe
and all that the desk does about it.

A customer whom only the database or only the warehouse knows has a page too, with that half of it.
"""

import logging
from collections.abc import Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from analytics import access, customer_view, queries
from analytics.formats import day, person
from analytics.pages import build_of, needs_data
from analytics.receivables import AGING
from etl.errors import MoonwalkError
from operations.actions import may
from operations.acts import money
from operations.models import CORRECTABLE, Customer, Order, Payment
from operations.money import Promise
from operations.phones import phone_key
from operations.receivables import Debt, debt_of
from operations.scope import customers_for, orders_for
from operations.timeline import FIELD_WORDS, timeline

log = logging.getLogger(__name__)
EVENTS = 30  # of the timeline, before all are asked for
GONE = 20  # orders of earlier exports without a payment that are named
# Label and what it does (acts.ACTS) of each button, after "Mark paid".
BUTTONS = (
    ("Record promise", "promise"), ("Add note", "note"), ("Send", "send"), ("Next action", "next-action"),
    ("Assign", "assign"), ("Preferences", "preferences"),
)  # fmt: skip
STATEMENTS = (("PDF, English", "pdf", "en"), ("XLSX, English", "xlsx", "en"),
              ("PDF, Arabic", "pdf", "ar"), ("XLSX, Arabic", "xlsx", "ar"))  # fmt: skip
SYSTEM = {"CC_2025": "CleanCloud", "Legacy": "The old system"}


@access.page_required("customer")
def customer(request: HttpRequest, customer_id: str) -> HttpResponse:
    """One customer; 404 for one that is nowhere, or not in the reader's store."""
    customer_id = customer_id[:40]
    if "\x00" in customer_id:
        raise Http404
    row = customers_for(request.user).select_related("assigned_to").filter(pk=customer_id).first()
    if row is None:
        return needs_data(_page)(request, customer_id)
    return _page(request, customer_id, row)


def _page(request: HttpRequest, customer_id: str, row: Customer | None = None) -> HttpResponse:
    """row: the customer in the database. The figures' trouble is the page's only where nothing else can be shown."""
    build, figures, why = None, None, ""
    try:
        build = build_of(request)
        figures = customer_view.figures_of(build, customer_id, request.GET)
    except MoonwalkError as error:
        if row is None:
            raise
        log.error("%s: %s", request.path, error)
        why = str(error)
    if figures is None and row is None:
        raise Http404
    contacts, only = access.contacts_of(request.user), access.store_of(request.user)
    who = _who(figures and figures["who"], row)
    context = (figures or {}) | {
        "who": who,
        "only": only,
        "figures": figures is not None,
        "why": why,
        "phone": who["phone"] if "phone" in contacts else "",
        "call": phone_key(who["phone"] or "") if "phone" in contacts else "",
        "facts": _facts(who, row, contacts, only, request.user),
    }
    if row is not None and access.can_see(request.user, "receivables"):
        desk = _desk(request, row, build if figures else None, contacts)
        context["desk"] = desk
        context["settle"] = _settle(desk["debt"])
        if figures:
            # Its balance is of the exports' date: the desk's own stands above, and knows what was paid since.
            context["cards"] = [card for card in figures["cards"] if card["label"] != "Owed"]
            # An order has one place on the page that its number leads to.
            here = {order["id"] for order in desk["open"]}
            for line in figures["listing"].table.rows:
                line["#id"] = "" if line["#id"] in here else line["#id"]
    return render(request, "operations/customer.html", context)


# Who -------------------------------------------------------------------------------------------------------------


def _who(known: dict | None, row: Customer | None) -> dict[str, Any]:
    """Who they are, as queries.customer() says it: with staff's corrections, and from the database where no build
    knows them."""
    if row is None:
        return known
    if known is None:
        month = row.cohort_month
        known = {
            "customer_id": row.pk, "store": row.store, "area": row.area, "signed_up": row.signed_up,
            "cohort_month": date(int(month[:4]), int(month[5:7]), 1) if month else None, "b2b": row.b2b,
            "in_export": row.in_latest_export, "source": row.source,
        }  # fmt: skip
    return known | {field: row.shown(field) for field in CORRECTABLE}


def _facts(who: dict, row: Customer | None, contacts: set[str], only: str | None, user) -> list[dict]:
    """{label, text, note, url} of each fact: what the export says where staff corrected it, where it is corrected."""
    facts = customer_view.facts_of(who, contacts, only)
    if row is None:
        return [{"label": label, "text": text} for _, label, text in facts]
    corrects = access.can_see(user, "receivables") and may(user, "correct")
    if corrects or row.own_name is not None:
        facts.insert(1, ("name", "Name", who["name"]))
    system = SYSTEM.get(row.source, "The export")
    found = []
    for key, label, text in facts:
        fact = {"label": label, "text": text}
        if key in CORRECTABLE:
            if getattr(row, f"own_{key}") is not None:
                fact["note"] = f"Corrected by staff; {system} says {getattr(row, key) or 'nothing'}."
            if corrects:
                fact["url"] = _act("correct", customer=row.pk, field=key)
        found.append(fact)
    return found


# The desk --------------------------------------------------------------------------------------------------------


def _act(what: str, **about: str) -> str:
    return f"{reverse('act', args=[what])}?{urlencode(about)}"


def _desk(request: HttpRequest, row: Customer, build: queries.Snapshot | None, contacts: set[str]) -> dict[str, Any]:
    """What templates/operations/desk.html shows. build: where the customer's items are, if anywhere."""
    user, today = request.user, timezone.localdate()
    debt = debt_of(user, row.pk, today)
    orders = list(orders_for(user).filter(customer=row).with_balance())
    history = build.customer_history(row.pk)[0].iter_rows(named=True) if build else ()
    events = timeline(row, orders, user, today=today, history=history, money=money)
    ours, every = request.GET.get("show") == "ours", request.GET.get("timeline") == "all"
    done = [event for event in events if event.ours]
    shown = done if ours else events
    return {
        "row": row,
        "debt": debt,
        "balance": money(debt.balance) if debt else "",
        "aging": _aging(debt) if debt else [],
        "standing": _standing(row, debt),
        "open": _open(debt, build, request.GET.get("find", "")) if debt else [],
        "waiting": [order for order in orders if order.in_latest_export and order.cleaned is None and not order.paid],
        "gone": _gone(orders),
        "conflicts": _conflicts(row, contacts),
        "may_pay": debt is not None and may(user, "pay"),
        "may_choose": may(user, "choose"),
        "buttons": _buttons(row, debt, user),
        "statements": [
            (label, f"{reverse('statement', args=[form])}?{urlencode({'customer': row.pk, 'language': language})}")
            for label, form, language in STATEMENTS
        ],
        "events": shown if every else shown[:EVENTS],
        "event_count": len(shown),
        "every_event": _timeline(row, ours, every=True) if not every and len(shown) > EVENTS else "",
        "kinds": [("All", len(events), _timeline(row), not ours),
                  ("What we did", len(done), _timeline(row, ours=True), ours)],
    }  # fmt: skip


def _timeline(row: Customer, ours: bool = False, every: bool = False) -> str:
    """The address of the timeline: of what staff did alone, of the newest or of every line."""
    said = urlencode(([("show", "ours")] if ours else []) + ([("timeline", "all")] if every else []))
    return f"{reverse('customer', args=[row.pk])}{f'?{said}' if said else ''}#timeline"


def _buttons(row: Customer, debt: Debt | None, user) -> list[dict]:
    """What the reader may do, and what makes sense: nobody promises to pay nothing."""
    senseless = {"promise": debt is None, "send": row.do_not_contact}
    return [
        {"label": label, "url": _act(what, customer=row.pk), "key": "n" if what == "note" else ""}
        for label, what in BUTTONS
        if may(user, what) and not senseless.get(what)
    ]


def _aging(debt: Debt) -> list[dict]:
    """What each age holds of the balance: name, amount, and its part in %."""
    return [
        {"name": name, "amount": money(amount), "share": round(float(amount / debt.balance * 100), 2), "place": place}
        for place, (name, amount) in enumerate(zip(AGING, debt.aging, strict=True))
    ]


def _settle(debt: Debt | None) -> str:
    """What comes before all that a segment advises; "" where nothing is overdue."""
    return f"{money(debt.overdue)} is overdue: settle that first." if debt and debt.overdue else ""


def _standing(row: Customer, debt: Debt | None) -> list[tuple[str, str, str]]:
    """(label, words, tone) of where things stand."""
    found = []
    if debt:
        overdue = f"{debt.days_overdue} day{'' if debt.days_overdue == 1 else 's'} overdue"
        found.append(("Oldest order", f"{day(debt.oldest)}, {overdue if debt.days_overdue else 'not due yet'}", ""))
        level = debt.level.name if debt.level else "none yet"
        found.append(("Level", f"{level}, waits for the promise" if debt.paused else level, ""))
        found.append(("Promise", *_promise(debt)))
    found += [
        ("Next action", day(row.next_action_on) if row.next_action_on else "none planned", ""),
        ("Assigned to", person(row.assigned_to) or "nobody", ""),
        ("Last contact", day(timezone.localdate(row.last_contact_at)) if row.last_contact_at else "never", ""),
        ("Prefers", row.get_preferred_channel_display() or "no channel said", ""),
        ("Language", row.get_language_display(), ""),
    ]
    return found


def _promise(debt: Debt) -> tuple[str, str]:
    """The last promise in words, and its tone."""
    if debt.promise is Promise.NONE:
        return "none", ""
    said = f"{money(debt.promise_amount)} by {day(debt.promise_on)}"
    return {
        Promise.PENDING: (said, ""),
        Promise.KEPT: (f"{said}: kept", "up"),
        Promise.BROKEN: (f"{said}: broken", "down"),
    }[debt.promise]


def _open(debt: Debt, build: queries.Snapshot | None, sought: str) -> list[dict]:
    """The open orders, the oldest first, in words, each with its items; chosen: the one that was sought."""
    items = customer_view.items_of(build, [order.order_id for order in debt.orders]) if build else {}
    return [
        {
            "id": order.order_id, "store": order.store, "placed": day(order.day), "days": order.days,
            "overdue": order.days_overdue, "total": money(order.total), "balance": money(order.balance),
            "paid_here": money(order.paid_here) if order.paid_here else "",
            "lines": items.get(order.order_id, []), "chosen": order.order_id == sought,
        }
        for order in debt.orders
    ]  # fmt: skip


def _gone(orders: Sequence[Order]) -> dict[str, Any]:
    """Orders that the latest export no longer has: `shown`, those with payments first, each with its payments, and how
    many `more` there are."""
    gone = [order for order in orders if not order.in_latest_export]
    paid: dict[str, list[str]] = {}
    for payment in Payment.objects.filter(order__in=[o.pk for o in gone], voids=None, voided_by=None).order_by("pk"):
        said = f"{money(payment.amount)} on {day(payment.paid_on)} by {payment.method}"
        paid.setdefault(payment.order_id, []).append(said)
    shown = [order for order in gone if order.pk in paid]
    shown += [order for order in gone if order.pk not in paid][:GONE]
    return {
        "shown": [
            {"id": order.pk, "store": order.store, "placed": day(order.placed) if order.placed else "",
             "total": money(order.total), "payments": paid.get(order.pk, [])}
            for order in shown
        ],
        "more": len(gone) - len(shown),
    }  # fmt: skip


def _conflicts(row: Customer, contacts: set[str]) -> list[dict]:
    """Corrections under which the export changed: both values, and where to choose."""
    hidden = {"phone", "email"} - contacts
    return [
        {
            "field": FIELD_WORDS[conflict.field], "ours": conflict.ours, "theirs": conflict.theirs or "nothing",
            "replaced": conflict.replaced or "nothing", "system": SYSTEM.get(row.source, "The export"),
            "url": _act("choose", customer=row.pk, field=conflict.field),
        }
        for conflict in row.conflicts
        if conflict.field not in hidden
    ]  # fmt: skip
