"""Everything that happened with one customer, in one list, the newest first: what the exports say of their orders,
payments recorded here and their voids, notes, contacts, promises, messages, corrections.

Read from the database with a fixed number of questions; what a person kept to a store may not look at isn't in it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from auditlog.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django.utils import timezone

from analytics.formats import day, person
from operations.audit import CUSTOMER_FIELDS
from operations.models import CONTACT, CORRECTABLE, Channel, Customer, FollowUp, Order, Payment
from operations.money import Promise
from operations.scope import follow_ups_for, messages_for, payments_for
from operations.services import may_void
from operations.standing import promise_states

KINDS = {
    "import": "CleanCloud", "payment": "Payment", "void": "Undone", "note": "Note", "contact": "Contact",
    "promise": "Promise", "plan": "Plan", "message": "Message", "correction": "Correction",
}  # fmt: skip
SAYS = {
    Promise.KEPT: "Kept.",
    Promise.BROKEN: "Broken.",
    Promise.PENDING: "Still to come.",
}
LONG = 300  # characters of a text; what is longer opens
FIELD_WORDS = {
    "name": "name", "phone": "phone", "email": "e-mail", "route": "route", "do_not_contact": "do not contact",
    "preferred_channel": "preferred channel", "language": "language",
}  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One line. at: an export knows the day alone, `timed` says whether the hour counts; title: what happened; text:
    what somebody wrote; state: how a promise stands; why: of what was undone, by whom and for what reason; undo: where
    the reader takes it back, "" where they may not."""

    at: datetime
    kind: str
    title: str
    timed: bool = True
    text: str = ""
    note: str = ""
    who: str = ""
    state: str = ""
    voided: bool = False
    why: str = ""
    undo: str = ""

    @property
    def label(self) -> str:
        return KINDS[self.kind]

    @property
    def ours(self) -> bool:
        """Did staff do it?"""
        return self.kind != "import"

    @property
    def long(self) -> bool:
        """Is its text too long to stand in the list?"""
        return len(self.text) > LONG


def timeline(
    customer: Customer,
    orders: Sequence[Order],
    user,
    *,
    today: date,
    history: Iterable[Mapping[str, Any]] = (),
    money=lambda amount: f"{amount:,.2f}",
) -> list[Event]:
    """Everything on this customer that `user` may look at, the newest first.

    orders: theirs in the database, with_balance(), those the user may look at. history: rows of
    queries.customer_history(), of which those that the database doesn't have are taken (the old system's orders,
    subscriptions, invoices). money: an amount in words. The caller has checked that the user may see the customer.
    """
    found = [*_imported(orders, money), *_old(history, {order.pk for order in orders}, money)]
    found += _payments(customer, user, money)
    found += _follow_ups(customer, orders, user, today, money)
    found += _messages(customer, user)
    found += _corrections(customer)
    return sorted(found, key=lambda event: event.at, reverse=True)


def _undo(what: str, **about) -> str:
    return f"{reverse('act', args=[what])}?{urlencode(about)}"


def _on(day: date) -> datetime:
    """The start of a day here: what an export says comes before what staff did that day."""
    return timezone.make_aware(datetime.combine(day, time.min))


def _capital(word: str) -> str:
    """"e-mail" -> "E-mail"; "WhatsApp" stays."""
    return word[:1].upper() + word[1:]


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


# What the exports say ----------------------------------------------------------------------------------------------


def _imported(orders: Iterable[Order], money) -> Iterable[Event]:
    """A line for each day on which something happened with an order."""
    for order in orders:
        paid = f"paid by {order.payment_type}" if order.payment_type else "paid"
        days = {"placed": order.placed, "cleaned": order.cleaned, "collected": order.collected}
        yield from _days(order.pk, days | ({paid: order.payment_date} if order.paid else {}), order.total, money)


def _old(history: Iterable[Mapping[str, Any]], known: set[str], money) -> Iterable[Event]:
    for row in history:
        if row["order_id"] in known or row["kind"] == "Items alone":
            continue
        if row["kind"] == "Order":
            days = {"placed": row["placed"], "cleaned": row["earned_date"], "collected": row["collected"]}
            yield from _days(row["order_id"], days, row["total"], money, "In the old system: order")
        elif row["payment_date"]:
            by = f" by {row['payment_type']}" if row["payment_type"] else ""
            title = f"{row['kind'].capitalize()} {row['order_id']} paid{by}"
            amount = money(row["collections"] or row["total"])
            yield Event(_on(row["payment_date"]), "import", f"{title}, {amount}", timed=False)


def _days(number: str, days: Mapping[str, date | None], total: Decimal, money, word: str = "Order") -> Iterable[Event]:
    by_day = defaultdict(list)
    for what, then in days.items():
        if then is not None:
            by_day[then].append(what)
    for then, what in by_day.items():
        yield Event(_on(then), "import", f"{word} {number} {_listed(what)}, {money(total)}", timed=False)


# What staff did ----------------------------------------------------------------------------------------------------


def _payments(customer: Customer, user, money) -> Iterable[Event]:
    rows = payments_for(user).filter(order__customer=customer).select_related("order", "created_by")
    rows = list(rows.order_by("created_at", "pk"))
    counter = {row.voids_id: row for row in rows if row.voids_id}
    for row in rows:
        gone = "" if row.order.in_latest_export else ", an order not in the export any more"
        if row.voids_id:
            title = f"Payment of {money(-row.amount)} for {row.order_id} undone{gone}"
            yield Event(row.created_at, "void", title, text=row.note, who=person(row.created_by))
            continue
        void = counter.get(row.pk)
        other_day = "" if row.paid_on == timezone.localdate(row.created_at) else f", paid on {day(row.paid_on)}"
        reference = f", reference {row.reference}" if row.reference else ""
        yield Event(
            row.created_at, "payment", f"{money(row.amount)} paid for {row.order_id} by {row.method}{other_day}{gone}",
            text=row.note, note=f"{_counts(row) if void is None else ''}{reference}".removeprefix(", "),
            who=person(row.created_by), voided=void is not None,
            why=_why(void.created_by, void.created_at, void.note) if void else "",
            undo=_undo("void-payment", customer=customer.pk, payment=row.pk)
            if void is None and may_void(row, user) else "",
        )  # fmt: skip


def _counts(payment: Payment) -> str:
    """Whether the figures have a payment, and whether CleanCloud does."""
    if not payment.order.in_latest_export:
        return "in no figure while its order is in no export"
    if payment.order.paid:
        return "CleanCloud says paid too"
    return "" if payment.included_in else "not in the figures yet"


def _why(by, at: datetime, reason: str) -> str:
    said = f": {reason}" if reason else ""
    return f"Undone by {person(by) or 'somebody'} on {day(timezone.localdate(at))}{said}"


def _follow_ups(customer: Customer, orders: Sequence[Order], user, today: date, money) -> Iterable[Event]:
    rows = follow_ups_for(user).filter(customer=customer)
    rows = list(rows.select_related("created_by", "assigned_to", "voided_by").order_by("created_at", "pk"))
    states = _promise_states(rows, today)
    for row in rows:
        voided = row.voided_at is not None
        yield Event(
            row.created_at, _kind(row), _title(row, money), text=row.note, who=person(row.created_by),
            note=_planned(row) if row.note or row.channel in CONTACT else "", state=states.get(row.pk, ""),
            voided=voided, why=_why(row.voided_by, row.voided_at, row.void_reason) if voided else "",
            undo=_undo("void-followup", customer=customer.pk, followup=row.pk)
            if not voided and may_void(row, user) else "",
        )  # fmt: skip


def _kind(row: FollowUp) -> str:
    if row.promise_on is not None:
        return "promise"
    if row.channel in CONTACT:
        return "contact"
    return "note" if row.note else "plan"


def _title(row: FollowUp, money) -> str:
    """What a follow-up did, in words."""
    about = f" about {row.order_id}" if row.order_id else ""
    by = "" if row.channel == Channel.NOTE else f" ({row.get_channel_display()})"
    if row.promise_on is not None:
        return f"Promised {money(row.promise_amount)} by {day(row.promise_on)}{about}{by}"
    if row.channel in CONTACT:
        outcome = f": {row.get_outcome_display()}" if row.outcome else ""
        return f"{_capital(row.get_channel_display())}{about}{outcome}"
    if row.note:
        return f"Note{about}"
    return _capital(_planned(row)) or "Note"


def _planned(row: FollowUp) -> str:
    """What a follow-up set: who takes over, what comes next."""
    said = []
    if row.sets_assignee:
        said.append(f"assigned to {person(row.assigned_to)}" if row.assigned_to else "assigned to nobody")
    if row.next_action_on:
        said.append(f"next action on {day(row.next_action_on)}")
    elif row.sets_next_action and row.channel == Channel.NOTE:
        said.append("no next action any more")
    return _listed(said) if said else ""


def _promise_states(rows: Sequence[FollowUp], today: date) -> dict[int, str]:
    """How each promise that wasn't voided stands: words by key. Of those still pending only the newest counts."""
    promises = [row for row in rows if row.promise_on is not None and row.voided_at is None]
    found = {}
    for number, (_, state) in promise_states(promises, today).items():
        replaced = state is Promise.PENDING and number != promises[-1].pk
        found[number] = "Replaced by a later promise." if replaced else SAYS[state]
    return found


def _messages(customer: Customer, user) -> Iterable[Event]:
    for row in messages_for(user).filter(customer=customer).select_related("created_by", "level"):
        level = f", {row.level.name}" if row.level else ""
        yield Event(
            row.created_at, "message", f"{_capital(row.get_channel_display())} {row.get_state_display()}{level}",
            text=row.text, note=" ".join(part for part in (row.subject, row.error) if part), who=person(row.created_by),
        )  # fmt: skip


def _corrections(customer: Customer) -> Iterable[Event]:
    """What staff changed of the customer's own columns, from the trail, which keeps no values of them."""
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Customer), object_pk=customer.pk,
        action=LogEntry.Action.UPDATE,
    ).select_related("actor")  # fmt: skip
    for entry in entries:
        changed = set(entry.changes or {}) & set(CUSTOMER_FIELDS)
        fields = {name.removeprefix("own_").removeprefix("over_") for name in changed}
        words = [word for name, word in FIELD_WORDS.items() if name in fields]
        if not words:
            continue
        verb = "Correction of" if fields & set(CORRECTABLE) else "Preferences changed:"
        yield Event(entry.timestamp, "correction", f"{verb} {_listed(words)}", who=person(entry.actor))
