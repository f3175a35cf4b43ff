"""Every write, as a named function: views, admin, tasks and commands call these and write nothing themselves.

The desk's functions take the acting person as `user`, check what they may do and see (PermissionDenied when they may
not), lock what they change, refuse what makes no sense (Refused, a sentence for the screen), may be repeated (the same
request_key, or the same wish, changes nothing more), and leave entries in the audit trail. Each is one transaction.
Locks are taken on customers or on orders, never on both, always in the order of their numbers, as the refresh does.

A run's functions guard its state: a run that somebody else has ended meanwhile is never written again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Max, QuerySet
from django.dispatch import Signal
from django.utils import timezone
from django.utils.formats import date_format

from analytics.access import can_see
from analytics.business import business
from etl.errors import MoonwalkError
from operations import audit, transports
from operations.models import (
    CONTACT,
    CORRECTABLE,
    WRITTEN,
    Channel,
    Customer,
    FollowUp,
    Language,
    Level,
    Message,
    MessageTemplate,
    Order,
    Outcome,
    Payment,
    RefreshRun,
    in_order,
)
from operations.money import NOTHING, balance, oldest_first
from operations.phones import is_phone, phone_key
from operations.scope import customers_for, follow_ups_for, orders_for, payments_for
from operations.standing import paid_here_of

State = RefreshRun.State
MOST_AT_ONCE = 1000  # rows that one action changes
FARTHEST = 366  # days ahead that something is promised or planned
TOO_MUCH = Decimal("10000000")  # no column takes more; an amount is mistyped long before

# Sent after the transaction that recorded or voided payments is committed: payments (list of Payment), user.
payments_changed = Signal()


class Refused(MoonwalkError):
    """What was asked for makes no sense as things stand; the text says why, for the person who asked."""


class RunEnded(Exception):
    """A refresh wants to change a run that is no longer in the state it left it in (another process took over)."""


# --- What all of them share ----------------------------------------------------------------------------------------


@contextmanager
def _writing(user, *permissions: str) -> Iterator[None]:
    """One transaction of a person who has all of these permissions of operations; its entries name them.

    A rule of the database or a model that is broken inside comes out as Refused.
    """
    for permission in permissions:
        if not user.has_perm(f"operations.{permission}"):
            raise PermissionDenied(f"Your account doesn't allow this ({permission}).")
    try:
        with audit.acting(user), transaction.atomic():
            yield
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error


def _lock(rows: QuerySet, ids: Iterable[str], word: str) -> list:
    """Rows by number, locked until the transaction ends. Refused when one isn't there.

    SQLite has no locks on rows: there a transaction is alone from its start (settings.py).
    """
    wanted = sorted({str(pk) for pk in ids})
    if not wanted:
        raise Refused(f"Choose at least one {word} first.")
    if len(wanted) > MOST_AT_ONCE:
        raise Refused(f"{len(wanted):,} are too many at once; choose up to {MOST_AT_ONCE:,}.")
    found = list(in_order(rows.filter(pk__in=wanted)).select_for_update(of=("self",), no_key=True))
    if len(found) < len(wanted):
        missing = sorted(set(wanted) - {row.pk for row in found})
        raise Refused(f"There is no {word} {missing[0]}." if len(missing) == 1 else f"{len(missing)} are not there.")
    return found


def _text(value: str | None, longest: int, what: str) -> str:
    """Text as the database takes it. Refused when it is too long."""
    found = (value or "").replace("\x00", "").strip()
    if len(found) > longest:
        raise Refused(f"{what} is too long: up to {longest:,} characters.")
    return found


def _choice(value: str, choices, what: str) -> str:
    if value not in [key for key, _ in choices]:
        raise Refused(f"“{value}” is no {what}.")
    return value


def _own_of_today(row, user) -> bool:
    """Written by this person today: a slip may be taken back without further rights."""
    return row.created_by_id == user.pk and timezone.localdate(row.created_at) == timezone.localdate()


def may_void(row: Payment | FollowUp, user) -> bool:
    """May this person undo this payment or follow-up: their own of today, or any with the right to void?"""
    name = row._meta.model_name
    return user.has_perm(f"operations.add_{name}") and (
        user.has_perm(f"operations.void_{name}") or _own_of_today(row, user)
    )


def _day(day: date) -> str:
    return date_format(day, "j M Y")


def _money(amount: Decimal) -> str:
    return f"{business().currency} {amount:,.2f}"


# --- Payments ------------------------------------------------------------------------------------------------------


def payment_methods() -> tuple[str, ...]:
    """The ways in which money comes in: the business's, without those that only promise an invoice."""
    facts = business()
    return tuple(name for name in facts.payment_types if name not in facts.to_be_invoiced)


def order_mark_paid(
    order_ids: Iterable[str],
    *,
    method: str,
    paid_on: date,
    reference: str = "",
    note: str = "",
    user,
    request_key: UUID,
    total: Decimal | None = None,
) -> list[Payment]:
    """Record that these orders were paid in full: a payment of its balance for each that has one.

    Orders already settled are passed over. The same request_key again gives the payments made the first time. Refused
    for a day that can't be, a method that is none, an order that the latest export no longer has. total: what the
    person was told they owe together; Refused when that is no longer so.
    """
    with _writing(user, "add_payment"):
        orders = _lock(orders_for(user), order_ids, "order")
        if made := _made_before(request_key, {order.pk for order in orders}):
            return made
        due = _balances(orders)
        parts = [(order, due[order.pk]) for order in orders if due[order.pk]]
        owed = sum((part for _, part in parts), NOTHING)
        if total is not None and owed != total:
            raise Refused(f"Meanwhile these orders owe {_money(owed)}, no longer {_money(total)}: look again.")
        return _record(parts, method, paid_on, reference, note, user, request_key)


def customer_pay(
    customer_id: str,
    amount: Decimal,
    *,
    method: str,
    paid_on: date,
    reference: str = "",
    note: str = "",
    user,
    request_key: UUID,
    order_ids: Iterable[str] | None = None,
    total: Decimal | None = None,
) -> list[Payment]:
    """Record an amount that a customer paid: spread over their open orders, the oldest first; of `order_ids` alone
    when given. One payment for each order that gets a part; the last may be paid in part.

    total: what the person was shown that those orders owe together. Refused when that is no longer so, and when the
    amount is more than they owe; else as order_mark_paid.
    """
    with _writing(user, "add_payment"):
        amount = _amount(amount)
        theirs = orders_for(user).filter(customer_id=customer_id)
        if order_ids is None:
            order_ids = [*theirs.earned().filter(paid=False).values_list("pk", flat=True)]
            order_ids += Payment.objects.filter(request_key=request_key).values_list("order_id", flat=True)
        if not order_ids:
            raise Refused(f"{customer_id} owes nothing.")
        orders = _lock(theirs, order_ids, "order")
        if made := _made_before(request_key, {order.pk for order in orders}):
            return made
        due = _balances(orders)
        owed = sum(due.values(), NOTHING)
        if total is not None and owed != total:
            what = "Somebody recorded a payment meanwhile" if owed < total else "This has changed meanwhile"
            raise Refused(f"{what}: {_money(owed)} is owed now. Look again.")
        orders.sort(key=lambda order: (order.placed or order.cleaned or date.max, order.pk))
        try:
            parts = oldest_first(amount, [(order, due[order.pk]) for order in orders])
        except ValueError:
            raise Refused(
                f"{_money(amount)} is more than is owed: {_money(owed)}." if owed else f"{customer_id} owes nothing."
            ) from None
        return _record(parts, method, paid_on, reference, note, user, request_key)


def payment_void(payment_id: int, *, reason: str, user, request_key: UUID) -> Payment:
    """Undo a payment by a counter-row, which is returned; one voided already gives the counter-row there is."""
    return payments_void([payment_id], reason=reason, user=user, request_key=request_key)[0]


def payments_void(payment_ids: Iterable[int], *, reason: str, user, request_key: UUID) -> list[Payment]:
    """Undo several payments, all or none. A person undoes their own of today; others' and older ones need the right
    to void. Refused without a reason, and for a counter-row itself."""
    with _writing(user, "add_payment"):
        reason = _text(reason, 1000, "The reason")
        if not reason:
            raise Refused("Say why the payment is void.")
        wanted = set(payment_ids)
        orders = payments_for(user).filter(pk__in=wanted).values_list("order_id", flat=True)
        if not orders:
            raise Refused("There is no such payment.")
        _lock(orders_for(user), orders, "order")
        found = payments_for(user).filter(pk__in=wanted).select_related("voided_by").order_by("pk")
        if len(found) < len(wanted):
            raise Refused("There is no such payment.")
        rows = [_void(payment, reason, user, request_key) for payment in found]
        _tell([row for row, made in rows if made], user)
        return [row for row, _ in rows]


def _void(payment: Payment, reason: str, user, request_key: UUID) -> tuple[Payment, bool]:
    """The counter-row of a payment whose order is locked, and whether it was made now."""
    if payment.voids_id:
        raise Refused(f"Payment {payment.pk} is itself the undoing of another one: record the payment again instead.")
    if hasattr(payment, "voided_by"):
        return payment.voided_by, False
    if not may_void(payment, user):
        raise PermissionDenied("Only your own payments of today can be undone with your account (void_payment).")
    counter = Payment(
        order_id=payment.order_id,
        amount=-payment.amount,
        method=payment.method,
        paid_on=payment.paid_on,
        reference=payment.reference,
        note=reason,
        created_by=user,
        voids=payment,
        request_key=void_key(request_key, payment.pk),
    )
    counter.save(force_insert=True)
    return counter, True


def void_key(request_key: UUID, payment_id: int) -> UUID:
    """The key of a payment's counter-row: an order may have several payments, undone by one click."""
    return uuid5(request_key, str(payment_id))


def _made_before(request_key: UUID, order_ids: set[str]) -> list[Payment]:
    """The payments that this request made the first time it came; Refused when it was about other orders then."""
    made = list(Payment.objects.filter(request_key=request_key, voids__isnull=True).order_by("pk"))
    if {payment.order_id for payment in made} - order_ids:
        raise Refused("This form was sent before, for other orders: open the page again.")
    return made


def _balances(orders: list[Order]) -> dict[str, Decimal]:
    """What is still to be paid of each order, added up exactly."""
    here = paid_here_of([order.pk for order in orders])
    return {order.pk: balance(order.total, order.paid, here[order.pk]) for order in orders}


def _record(
    parts: list[tuple[Order, Decimal]], method: str, paid_on: date, reference: str, note: str, user, request_key: UUID
) -> list[Payment]:
    """A payment for each (locked order, amount)."""
    _choice(method, [(name, name) for name in payment_methods()], "way to pay")
    reference, note = _text(reference, 100, "The reference"), _text(note, 2000, "The note")
    if paid_on > timezone.localdate():
        raise Refused(f"{_day(paid_on)} is still to come.")
    for order, _ in parts:
        if not order.in_latest_export:
            raise Refused(f"Order {order.pk} is no longer in CleanCloud's export: look it up there first.")
        if order.placed and paid_on < order.placed:
            raise Refused(f"Order {order.pk} was placed on {_day(order.placed)}: it wasn't paid on {_day(paid_on)}.")
    made = []
    for order, amount in parts:
        payment = Payment(
            order=order,
            amount=amount,
            method=method,
            paid_on=paid_on,
            reference=reference,
            note=note,
            created_by=user,
            request_key=request_key,
        )
        payment.save(force_insert=True)
        made.append(payment)
    _tell(made, user)
    return made


def _tell(payments: list[Payment], user) -> None:
    """Once they are committed, say that payments came or went: the figures follow."""
    if payments:
        transaction.on_commit(lambda: payments_changed.send(sender=Payment, payments=payments, user=user))


def _amount(amount: Decimal) -> Decimal:
    """A positive amount of money with two places. Refused when it is none."""
    try:
        found = Decimal(amount)
        if found.is_finite() and NOTHING < found < TOO_MUCH and found == found.quantize(NOTHING):
            return found.quantize(NOTHING)
    except (InvalidOperation, TypeError, ValueError):
        pass
    raise Refused(f"“{amount}” is no amount of money.")


# --- Follow-ups ----------------------------------------------------------------------------------------------------


def followup_save(followup: FollowUp, *, user) -> FollowUp:
    """Write a new follow-up, or a changed one; records by whom and when. One on an order is on its customer too.

    Raises ValidationError without a subject or a note, or when the order is another customer's.
    """
    new = followup.pk is None
    followup.note = followup.note.replace("\x00", "").strip()
    _complete(followup)
    _check(followup, promise=False)
    with _writing(user, "add_followup" if new else "change_followup"):
        return _followup_write(followup, user)


def followup_void(followup_id: int, *, reason: str = "", user) -> FollowUp:
    """Undo a follow-up: it stays on record as void, and what it set (next action, person, promise) no longer counts.
    One's own of today, or with the right to void. One voided already stays as it is."""
    return followups_void([followup_id], reason=reason, user=user)[0]


def followups_void(followup_ids: Iterable[int], *, reason: str = "", user) -> list[FollowUp]:
    """Undo several follow-ups, all or none; otherwise as followup_void."""
    with _writing(user, "add_followup"):
        wanted, reason = set(followup_ids), _text(reason, 300, "The reason")
        whose = set(follow_ups_for(user).filter(pk__in=wanted).values_list("customer_id", flat=True))
        if not whose:
            raise Refused("There is no such follow-up.")
        customers = _lock(Customer.objects.all(), whose, "customer")
        found = list(follow_ups_for(user).filter(pk__in=wanted).order_by("pk"))
        if len(found) < len(wanted):
            raise Refused("There is no such follow-up.")
        standing = [followup for followup in found if not followup.voided_at]
        for followup in standing:
            if not may_void(followup, user):
                raise PermissionDenied(
                    "Only your own follow-ups of today can be undone with your account (void_followup)."
                )
            followup.voided_by, followup.voided_at, followup.void_reason = user, timezone.now(), reason
            followup.save(update_fields=["voided_by", "voided_at", "void_reason"])
        if standing:
            _settle(customers)
        return found


def note_add(
    customer_id: str,
    note: str = "",
    *,
    user,
    request_key: UUID,
    order_id: str | None = None,
    channel: str = Channel.NOTE,
    outcome: str = "",
    next_action_on: date | None = None,
) -> FollowUp:
    """Write down a note or a contact (channel, outcome). A contact does what was planned: the customer's next action
    is then next_action_on, or none; a mere note without a day leaves it as it was."""
    return _followup_add(
        customer_id, user, request_key, order_id=order_id, note=note, channel=channel, outcome=outcome,
        next_action_on=next_action_on,
    )  # fmt: skip


def promise_record(
    customer_id: str,
    amount: Decimal,
    on: date,
    *,
    user,
    request_key: UUID,
    note: str = "",
    channel: str = Channel.CALL,
    order_ids: Iterable[str] | None = None,
    next_action_on: date | None = None,
) -> FollowUp:
    """Record that a customer promised to pay an amount by a day, of what they owe now (of `order_ids` alone when
    given). The newest promise of a customer is the one that counts. Refused for a day gone by or more than is owed."""
    amount = _amount(amount)
    return _followup_add(
        customer_id, user, request_key, note=note, channel=channel, outcome=Outcome.PROMISED, promise_amount=amount,
        promise_on=on, next_action_on=next_action_on, only=None if order_ids is None else set(order_ids),
    )  # fmt: skip


def next_action_set(
    customer_ids: Iterable[str], on: date | None, *, user, note: str = "", request_key: UUID | None = None
) -> list[FollowUp]:
    """Plan the next action for these customers, or none any more (on=None). Returns what was written: without a note
    nothing for those of whom it is so already. The same request_key again gives what it wrote the first time."""
    with _writing(user, "add_followup"):
        customers = _lock(customers_for(user), customer_ids, "customer")
        note = _text(note, 2000, "The note")
        if made := _written_before(customers, request_key, next_action_on=on, note=note):
            return made
        _not_gone_by(on)
        return _write_together(
            [
                FollowUp(customer=customer, note=note, next_action_on=on, sets_next_action=True)
                for customer in customers
                if note or customer.next_action_on != on
            ],
            user,
            request_key,
        )


def people_who_work_the_list() -> list:
    """Whom a customer may be given to: by name."""
    people = get_user_model().objects.filter(is_active=True).prefetch_related("groups").order_by("username")
    return [person for person in people if _works_the_list(person)]


def _works_the_list(person) -> bool:
    """At work, and may open the worklist and do something about it: who may only look can't take a customer over."""
    able = any(person.has_perm(f"operations.{permission}") for permission in ("add_followup", "add_payment"))
    return person.is_active and able and can_see(person, "receivables")


def assign(customer_ids: Iterable[str], to, *, user, request_key: UUID | None = None) -> list[FollowUp]:
    """Give these customers to a person (to=None: to nobody). Returns what was written: nothing for those who are
    theirs already; the same request_key again gives what it wrote the first time. Refused for somebody who can't
    work on the worklist, or isn't at work any more."""
    with _writing(user, "assign_customer"):
        customers = _lock(customers_for(user), customer_ids, "customer")
        if made := _written_before(customers, request_key, assigned_to_id=to.pk if to else None):
            return made
        if to is not None and not _works_the_list(to):
            raise Refused(f"{to.get_username()} can't work on the worklist.")
        if to is not None and customers_for(to).filter(pk__in=[c.pk for c in customers]).count() < len(customers):
            raise Refused(f"{to.get_username()} is kept to a store and doesn't see all of these customers.")
        return _write_together(
            [
                FollowUp(customer=customer, assigned_to=to, sets_assignee=True)
                for customer in customers
                if customer.assigned_to_id != (to.pk if to else None)
            ],
            user,
            request_key,
        )


def _written_before(customers: list[Customer], request_key: UUID | None, **said) -> list[FollowUp]:
    """What this request wrote on these locked customers the first time it came; Refused when it said other things."""
    keys = [uuid5(request_key, customer.pk) for customer in customers] if request_key else []
    made = list(FollowUp.objects.filter(request_key__in=keys).order_by("pk"))
    if any(getattr(row, name) != value for row in made for name, value in said.items()):
        raise Refused("This form was sent before, with something else in it: open the page again.")
    return made


def _write_together(rows: list[FollowUp], user, request_key: UUID | None) -> list[FollowUp]:
    """Save new follow-ups on locked customers, one each, and bring the customers' columns up to date once. What they
    say comes from here, not from a form: the database's own rules are enough, and two rows a customer are written."""
    for row in rows:
        row.created_by = user
        row.request_key = uuid5(request_key, row.customer_id) if request_key else None
        _complete(row)
        row.save(force_insert=True)
    _settle([row.customer for row in rows])
    return rows


def _followup_add(
    customer_id: str, user, request_key: UUID, *, order_id: str | None = None, only: set[str] | None = None, **fields
) -> FollowUp:
    """Write a new follow-up on a customer; the same request_key again gives the one there is."""
    with _writing(user, "add_followup"):
        (customer,) = _lock(customers_for(user), [customer_id], "customer")
        if made := FollowUp.objects.filter(request_key=request_key).first():
            if made.customer_id != customer_id:
                raise Refused("This form was sent before, for another customer: open the page again.")
            return made
        fields["note"] = _text(fields.get("note"), 10_000, "The note")
        followup = FollowUp(customer=customer, order_id=order_id, request_key=request_key, **fields)
        return _followup_write(followup, user, [customer], only)


def _complete(followup: FollowUp) -> None:
    """Fill in what follows from the rest."""
    if followup.next_action_on is not None:
        followup.sets_next_action = True
    if followup.assigned_to_id is not None:
        followup.sets_assignee = True


def _not_gone_by(*days: date | None) -> None:
    """What is planned or promised is still to come, and no year hence: that one is mistyped."""
    for day in days:
        if day is not None and day < timezone.localdate():
            raise Refused(f"{_day(day)} has gone by.")
        if day is not None and day > timezone.localdate() + timedelta(FARTHEST):
            raise Refused(f"{_day(day)} is more than a year away.")


def _check(followup: FollowUp, promise: bool = True) -> None:
    """ValidationError when it breaks a rule. That a form wants a note is the form's: here the constraints say what is
    enough. promise=False: before what a promise is measured by is known."""
    followup.full_clean(exclude={"note"}, validate_constraints=False)
    followup.validate_constraints(exclude=None if promise else {"promise_balance"})


def _followup_write(
    followup: FollowUp, user, customers: list[Customer] | None = None, only: set[str] | None = None
) -> FollowUp:
    """Save a follow-up inside a transaction, its customer locked (now, unless `customers` has it), and bring the
    customer's columns up to date. only: the orders that a promise is about, of those that are open."""
    new = followup.pk is None
    if customers is None:
        customers = _lock(customers_for(user), [followup.customer_id], "customer")
    (customer,) = customers
    order_id = followup.order_id
    if order_id and not orders_for(user).filter(pk=order_id, customer=customer).exists():
        raise Refused(f"{customer.pk} has no order {order_id}.")
    if new and followup.channel in CONTACT and customer.next_action_on is not None:
        followup.sets_next_action = True  # what was planned is done
    _complete(followup)
    promised = []
    if new:
        followup.created_by = user
        _not_gone_by(followup.promise_on, followup.next_action_on)
        if followup.promise_on is not None:
            promised = _promised_orders(followup, user, only)
    else:
        followup.changed_by, followup.changed_at = user, timezone.now()
    _check(followup)
    followup.save()
    if promised:
        followup.promised_orders.set(promised)
    _settle(customers)
    return followup


def _promised_orders(followup: FollowUp, user, only: set[str] | None) -> list[Order]:
    """The open orders that a new promise is about; writes what they owe into it. Refused when it is less than that."""
    found = list(orders_for(user).filter(customer_id=followup.customer_id).outstanding())
    found = [order for order in found if only is None or order.pk in only]
    owed = sum(_balances(found).values(), NOTHING)
    if followup.promise_amount is None or followup.promise_amount > owed:
        raise Refused(
            f"{_money(followup.promise_amount or NOTHING)} is more than is owed: {_money(owed)}."
            if owed
            else f"{followup.customer_id} owes nothing."
        )
    followup.promise_balance = owed
    return found


def _settle(customers: list[Customer]) -> None:
    """Bring the columns that repeat a customer's follow-ups and messages up to date: from those rows, every time."""
    ids = [customer.pk for customer in customers]
    rows = FollowUp.objects.standing().filter(customer__in=ids).order_by("created_at", "pk")
    actions = dict(rows.filter(sets_next_action=True).values_list("customer_id", "next_action_on"))  # the last one wins
    people = dict(rows.filter(sets_assignee=True).values_list("customer_id", "assigned_to_id"))
    met = rows.filter(channel__in=CONTACT).order_by().values_list("customer_id").annotate(Max("created_at"))
    wrote = Message.objects.filter(customer__in=ids).exclude(state=Message.State.FAILED).order_by()
    last: dict[str, Any] = dict(met)
    for customer_id, at in wrote.values_list("customer_id").annotate(Max("created_at")):
        last[customer_id] = max(at, last.get(customer_id, at))
    changed = defaultdict(list)  # what to write -> customers: often one for all of them
    for customer in customers:
        now = {
            "next_action_on": actions.get(customer.pk),
            "assigned_to_id": people.get(customer.pk),
            "last_contact_at": last.get(customer.pk),
        }
        news = tuple((name, value) for name, value in now.items() if getattr(customer, name) != value)
        for name, value in news:
            setattr(customer, name, value)
        if news:
            changed[news].append(customer.pk)
    for news, whose in changed.items():
        Customer.objects.filter(pk__in=whose).update(**dict(news))


# --- Customers -----------------------------------------------------------------------------------------------------


def correction_save(customer_id: str, field: str, value: str | None, *, user, seen: str | None = None) -> Customer:
    """Correct a customer's name, phone, e-mail or route: shown instead of the export's from now on, whatever later
    exports bring. None, or the export's own value, takes a correction away.

    seen: what the person saw before; Refused when somebody else has changed it since. Refused for what is none of
    these, for an empty name and what can't be an e-mail address or a phone number.
    """
    _choice(field, [(name, name) for name in CORRECTABLE], "column to correct")
    with _writing(user, "correct_customer"):
        (customer,) = _lock(customers_for(user), [customer_id], "customer")
        if value is not None:
            value = _text(value, Customer._meta.get_field(field).max_length, f"The {field}")
            _check_correction(field, value)
        wanted = getattr(customer, field) if value is None else value
        if wanted == customer.shown(field) and (value is not None or getattr(customer, f"own_{field}") is None):
            return customer  # it is so already
        _unchanged_since(customer.shown(field), seen)
        return _correct(customer, field, None if value is None or value == getattr(customer, field) else value)


def correction_choose(customer_id: str, field: str, choice: str, *, user, seen: str | None = None) -> Customer:
    """Settle a conflict: "ours" keeps the correction although the export has changed, "theirs" takes the export's.

    Nothing happens where there is no conflict. seen: the export's value that the person saw; Refused when it has
    changed since.
    """
    _choice(field, [(name, name) for name in CORRECTABLE], "column to correct")
    _choice(choice, [("ours", ""), ("theirs", "")], "choice")
    with _writing(user, "correct_customer"):
        (customer,) = _lock(customers_for(user), [customer_id], "customer")
        if field not in [conflict.field for conflict in customer.conflicts]:
            return customer
        _unchanged_since(getattr(customer, field), seen)
        return _correct(customer, field, getattr(customer, f"own_{field}") if choice == "ours" else None)


def preferences_save(
    customer_id: str,
    *,
    user,
    do_not_contact: bool | None = None,
    preferred_channel: str | None = None,
    language: str | None = None,
    seen: dict | None = None,
) -> Customer:
    """How a customer wants to be reached, or that they don't; None leaves a column as it is.

    seen: the columns as the person saw them; Refused when somebody else has changed one since.
    """
    wanted = {"do_not_contact": do_not_contact, "preferred_channel": preferred_channel, "language": language}
    if preferred_channel is not None:
        _choice(preferred_channel, [("", ""), *((c.value, "") for c in CONTACT)], "channel")
    if language is not None:
        _choice(language, Language.choices, "language")
    with _writing(user, "correct_customer"):
        (customer,) = _lock(customers_for(user), [customer_id], "customer")
        changed = [k for k, value in wanted.items() if value is not None and value != getattr(customer, k)]
        if seen is not None and any(seen[name] != getattr(customer, name) for name in changed):
            raise Refused("How to reach them was changed meanwhile: open this again and look.")
        for name in changed:
            setattr(customer, name, wanted[name])
        if changed:
            customer.save(update_fields=changed)
        return customer


def _check_correction(field: str, value: str) -> None:
    if field == "name" and not value:
        raise Refused("A customer needs a name.")
    if field == "phone" and value and not is_phone(phone_key(value)):
        raise Refused(f"“{value}” is no telephone number.")
    if field == "email" and value:
        validate_email(value)


def _unchanged_since(now: str, seen: str | None) -> None:
    if seen is not None and seen != now:
        raise Refused(f"It has been changed meanwhile, to “{now}”: look again, then save.")


def _correct(customer: Customer, field: str, value: str | None) -> Customer:
    """Write or take away a correction of a locked customer."""
    setattr(customer, f"own_{field}", value)
    setattr(customer, f"over_{field}", None if value is None else getattr(customer, field))
    changed = [f"own_{field}", f"over_{field}"]
    if field == "phone":
        customer.phone_key = phone_key(customer.shown_phone)
        changed.append("phone_key")
    customer.save(update_fields=changed)
    return customer


# --- Messages ------------------------------------------------------------------------------------------------------


def message_record(customer_id: str, *, channel: str, language: str, text: str, user, request_key: UUID,
                   subject: str = "", level: Level | None = None, sent_to: str = "") -> Message:  # fmt: skip
    """Record a message that was opened in WhatsApp or a mail program; to the shown phone or e-mail unless sent_to says
    otherwise. The same request_key again gives the row there is. Refused for a customer who is not to be contacted."""
    message, _ = _message_add(
        customer_id, user, request_key, channel=channel, language=language, subject=subject, text=text, level=level,
        sent_to=sent_to, state=Message.State.OPENED,
    )  # fmt: skip
    return message


def message_send(
    customer_id: str,
    *,
    language: str,
    subject: str,
    text: str,
    user,
    request_key: UUID,
    level: Level | None = None,
    attachments: Iterable[tuple[str, bytes, str]] = (),
) -> Message:
    """Send an e-mail through Django's mail settings and record how it went; attachments: (file name, content, type).

    It is on record before it leaves, so a double click or a retry sends nothing twice. Its state says whether it went.
    Not one transaction: nobody waits for a mail server with a customer locked.
    """
    message, made = _message_add(
        customer_id, user, request_key, channel=Channel.EMAIL, language=language, subject=subject, text=text,
        level=level, sent_to="", state=Message.State.SENDING,
    )  # fmt: skip
    if not made:
        return message
    mail = EmailMessage(message.subject, message.text, settings.DEFAULT_FROM_EMAIL, [message.sent_to])
    for attachment in attachments:
        mail.attach(*attachment)
    try:
        transports.post(mail)
    except (transports.TryAgain, transports.Hopeless) as error:
        return _message_ended(message, user, Message.State.FAILED, str(error))
    except Exception as error:  # whatever nobody foresaw: its type alone, its text may hold addresses
        return _message_ended(message, user, Message.State.FAILED, f"Unexpected: {type(error).__name__}.")
    return _message_ended(message, user, Message.State.SENT)


def _message_add(customer_id: str, user, request_key: UUID, **fields) -> tuple[Message, bool]:
    """The message of this request, and whether it was made now."""
    _choice(fields["channel"], WRITTEN, "way to write")
    _choice(fields["language"], Language.choices, "language")
    with _writing(user, "add_message"):
        (customer,) = _lock(customers_for(user), [customer_id], "customer")
        if made := Message.objects.filter(request_key=request_key).first():
            if made.customer_id != customer_id:
                raise Refused("This form was sent before, for another customer: open the page again.")
            return made, False
        if customer.do_not_contact:
            raise Refused(f"{customer_id} is not to be contacted.")
        by_mail = fields["channel"] == Channel.EMAIL
        fields["sent_to"] = _text(
            fields["sent_to"] or (customer.shown_email if by_mail else customer.shown_phone), 320, "The address"
        )
        if not fields["sent_to"]:
            raise Refused(f"{customer_id} has no {'e-mail address' if by_mail else 'phone'}.")
        if by_mail:
            validate_email(fields["sent_to"])
        fields["subject"] = " ".join(_text(fields["subject"], 200, "The subject").split())  # one line: it is a header
        fields["text"] = _text(fields["text"], 20_000, "The text")
        message = Message(customer=customer, created_by=user, request_key=request_key, **fields)
        message.full_clean()
        message.save(force_insert=True)
        _settle([customer])
        return message, True


def _message_ended(message: Message, user, state: str, error: str = "") -> Message:
    with audit.acting(user), transaction.atomic():
        customers = _lock(Customer.objects.all(), [message.customer_id], "customer")
        message.state, message.error = state, error
        message.save(update_fields=["state", "error"])
        _settle(customers)
    return message


# --- Levels and templates ------------------------------------------------------------------------------------------


def level_save(level: Level, *, user) -> Level:
    """Write a new or changed level. Refused when it breaks a rule of the model."""
    return _setting_save(level, user)


def template_save(template: MessageTemplate, *, user) -> MessageTemplate:
    """Write a new or changed message template. Refused when it breaks a rule of the model."""
    return _setting_save(template, user)


def _setting_save(row, user):
    with _writing(user, f"{'add' if row.pk is None else 'change'}_{row._meta.model_name}"):
        row.full_clean()
        row.save()
        return row


def setting_delete(row: Level | MessageTemplate, *, user) -> None:
    """Remove a level (its templates too) or a template; messages sent at the level stay. It isn't made anew."""
    with _writing(user, f"delete_{row._meta.model_name}"):
        row.delete()


# --- Refresh runs --------------------------------------------------------------------------------------------------


def run_queue(
    *,
    trigger: str,
    user=None,
    force: bool = False,
    exports_dir: str = "",
    build_id: str = "",
    retry_of: RefreshRun | None = None,
) -> RefreshRun:
    """Record a refresh that waits for a worker; exports_dir: what it is to read, "" for the exports folder; build_id:
    the build to go back to, where it is no refresh but a return; retry_of: the one that broke off."""
    now = timezone.now()
    return RefreshRun.objects.create(
        trigger=trigger, started_by=user, forced=force, state=State.QUEUED, started_at=now, heartbeat_at=now,
        exports_dir=exports_dir, build_id=build_id, retry_of=retry_of,
    )  # fmt: skip


def run_repeat(run: RefreshRun, *, error: str, asked: RefreshRun, build_id: str) -> RefreshRun:
    """A run whose process died ends as failed, and what was `asked` for waits for its turn again, together. Nobody is
    told of the one that broke off: its repetition will say how it went."""
    with transaction.atomic():
        run_mark_failed(run, error=error)
        _run_update(run, State.FAILED, followed_up=True)
        return run_queue(
            trigger=RefreshRun.Trigger.RETRY, user=asked.started_by, force=asked.forced,
            exports_dir=asked.exports_dir, build_id=build_id, retry_of=run,
        )  # fmt: skip


def run_open(
    *,
    trigger: str,
    user=None,
    force: bool = False,
    dry_run: bool = False,
    exports_dir: str = "",
    queued: RefreshRun | None = None,
) -> RefreshRun:
    """The record of a refresh that starts now; a queued one becomes it."""
    now = timezone.now()
    if queued is not None:
        _run_move(
            queued, State.QUEUED, State.RUNNING, started_at=now, heartbeat_at=now, exports_dir=exports_dir, error=""
        )
        return queued
    return RefreshRun.objects.create(
        trigger=trigger,
        started_by=user,
        forced=force,
        dry_run=dry_run,
        exports_dir=exports_dir,
        state=State.RUNNING,
        started_at=now,
        heartbeat_at=now,
    )


def run_progress(run: RefreshRun, *, step: str, progress: int) -> None:
    """Record how far a run is (0..100). Raises RunEnded when it was ended by somebody else."""
    _run_update(run, RefreshRun.STARTED, step=step, progress=progress, heartbeat_at=timezone.now())


def payments_mark_included(payment_ids: list[int], *, build_id: str) -> None:
    """These payments and voids went into this build; call in the transaction that makes it the one to publish."""
    for start in range(0, len(payment_ids), 500):
        some = payment_ids[start : start + 500]
        Payment.objects.filter(pk__in=some, included_in="").update(included_in=build_id)


def payments_mark_waiting(rows: QuerySet[Payment]) -> None:
    """The build that these payments went into is not (or no longer) the published one: the next one takes them."""
    rows.update(included_in="")


def _of_manifest(manifest: dict) -> dict:
    """A run's columns that say what a build's manifest says."""
    return {
        "manifest": manifest,
        "fingerprint": manifest.get("fingerprint", ""),
        "as_of": manifest.get("as_of"),
        "warnings": manifest.get("warnings", []),
        "seconds": manifest.get("seconds", {}),
    }


def run_mark_publishing(run: RefreshRun, *, build_id: str, counts: dict, manifest: dict) -> None:
    """The database holds this build's customers and orders; what is left is to move the pointer to it."""
    _run_move(
        run,
        State.RUNNING,
        State.PUBLISHING,
        build_id=build_id,
        counts=counts,
        heartbeat_at=timezone.now(),
        **_of_manifest(manifest),
    )


def run_mark_published(run: RefreshRun, *, manifest: dict | None = None) -> None:
    """The build is what pages read now. A manifest given replaces the one recorded before."""
    more = {"manifest": manifest, "seconds": manifest["seconds"], "warnings": manifest["warnings"]} if manifest else {}
    _run_move(
        run, State.PUBLISHING, State.PUBLISHED, step="", progress=100, error="", finished_at=timezone.now(), **more
    )


def run_mark_held(
    run: RefreshRun, *, build_id: str, manifest: dict, moved: list[dict], moved_orders: list[dict]
) -> None:
    """The build is kept and waits for a person's word; nothing of it was seen by anybody."""
    _run_move(
        run,
        State.RUNNING,
        State.HELD,
        step="",
        progress=100,
        finished_at=timezone.now(),
        build_id=build_id,
        moved=moved,
        moved_orders=moved_orders,
        **_of_manifest(manifest),
    )


def run_mark_released(held: RefreshRun, *, user) -> None:
    """A held build is the one to publish; call in the transaction that makes it so. Raises RunEnded when somebody
    decided meanwhile."""
    _run_move(held, State.HELD, State.RELEASED, decided_by=user, decided_at=timezone.now())


def run_mark_discarded(held: RefreshRun, *, user) -> None:
    """Somebody wants nothing of a held build, of these very exports neither. Raises RunEnded when somebody decided
    meanwhile."""
    _run_move(held, State.HELD, State.DISCARDED, decided_by=user, decided_at=timezone.now())


def run_mark_superseded(held: RefreshRun, *, why: str) -> None:
    """A held build that nobody need decide about any more: of its exports nothing is said by this, decided_at is
    empty."""
    _run_move(held, State.HELD, State.DISCARDED, warnings=[why, *held.warnings])


def run_mark_checked(run: RefreshRun, *, manifest: dict, moved: list[dict], moved_orders: list[dict]) -> None:
    """A dry run went through; its build is gone."""
    _run_move(
        run,
        State.RUNNING,
        State.CHECKED,
        step="",
        progress=100,
        finished_at=timezone.now(),
        moved=moved,
        moved_orders=moved_orders,
        **_of_manifest(manifest),
    )


def run_mark_nothing_new(run: RefreshRun, *, build_id: str, manifest: dict, warnings: list[str]) -> None:
    """What would go in is what went into the current build (build_id, its manifest) already."""
    _run_move(
        run,
        State.RUNNING,
        State.NOTHING_NEW,
        step="",
        progress=100,
        finished_at=timezone.now(),
        build_id=build_id,
        manifest=manifest,
        fingerprint=manifest.get("fingerprint", ""),
        as_of=manifest.get("as_of"),
        warnings=warnings,
    )


def run_mark_refused(run: RefreshRun, *, error: str) -> None:
    """The input cannot be used; `error` says which file, which column, and what to do."""
    _run_move(run, RefreshRun.STARTED, State.REFUSED, finished_at=timezone.now(), error=error)


def run_mark_failed(run: RefreshRun, *, error: str) -> None:
    """The run broke off; `error` says at what."""
    _run_move(run, RefreshRun.UNDERWAY, State.FAILED, finished_at=timezone.now(), error=error)


def run_note_moved(run: RefreshRun, *, moved: list[dict], moved_orders: list[dict]) -> None:
    """What a build moves of closed months that goes live on somebody's word."""
    _run_update(run, State.RUNNING, moved=moved, moved_orders=moved_orders)


def run_not_started(run: RefreshRun, *, error: str) -> None:
    """A run that still waits is given up; one that somebody else has taken up meanwhile goes on."""
    with suppress(RunEnded):
        _run_move(run, State.QUEUED, State.FAILED, finished_at=timezone.now(), error=error, followed_up=True)


def run_note_error(run: RefreshRun, *, error: str) -> None:
    """What keeps a run that waits from its turn, or a build from going live after the database was synced: it is tried
    again."""
    _run_update(run, (State.QUEUED, State.PUBLISHING), error=error)


def _run_move(run: RefreshRun, before, after: str, **fields: Any) -> None:
    _run_update(run, before, state=after, **fields)


def _run_update(run: RefreshRun, before, **fields: Any) -> None:
    """Write `fields` if the run's state in the database is (one of) `before`; RunEnded if it is not."""
    states = [before] if isinstance(before, str) else list(before)
    if not RefreshRun.objects.filter(pk=run.pk, state__in=states).update(**fields):
        raise RunEnded(f"Refresh {run.pk} was ended by another process.")
    for name, value in fields.items():
        setattr(run, name, value)
