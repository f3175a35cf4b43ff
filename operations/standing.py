"""Where customers stand, read from the database: their last promise, and the level of reminding they have reached."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from operations.models import FollowUp, Level, Order, Payment
from operations.money import NOTHING, Promise, Standing, level_of, promise_state
from operations.scope import follow_ups_for


@dataclass(frozen=True)
class LastPromise:
    """A customer's newest promise that wasn't voided: what its orders owe now, and how it stands on the day asked."""

    made: FollowUp
    owed_now: Decimal
    state: Promise


def paid_here_of(orders) -> defaultdict[str, Decimal]:
    """Of each of these orders (a queryset, or numbers): what staff recorded for it, net of voids, added up exactly (a
    sum of SQLite's isn't); nothing where nothing was. One question."""
    found: defaultdict[str, Decimal] = defaultdict(lambda: NOTHING)
    for order_id, amount in Payment.objects.filter(order__in=orders).order_by().values_list("order_id", "amount"):
        found[order_id] += amount
    return found


MANY = 500  # customers above which promises are asked for as a whole


def last_promises(today: date, customer_ids: Iterable[str] | None = None, user=None) -> dict[str, LastPromise]:
    """The last promise of each customer who made one, of all customers or of these; of those that `user` may look at.
    Three questions, however many."""
    promises = FollowUp.objects.promises().order_by("created_at", "pk")
    if user is not None:
        promises = follow_ups_for(user, promises)
    wanted = None if customer_ids is None else set(customer_ids)
    if wanted is not None and len(wanted) <= MANY:
        promises = promises.filter(customer__in=wanted)
    last = {row.customer_id: row for row in promises if wanted is None or row.customer_id in wanted}
    states = promise_states(last.values(), today)
    return {customer_id: LastPromise(row, *states[row.pk]) for customer_id, row in last.items()}


def promise_states(promises: Iterable[FollowUp], today: date) -> dict[int, tuple[Decimal, Promise]]:
    """Of each promise, by its number: what its orders owe now, and how it stands. Two questions, however many.

    An order that the export no longer has owes nothing.
    """
    promises = list(promises)
    through = FollowUp.promised_orders.through.objects.filter(followup__in=[p.pk for p in promises])
    pairs = list(through.values_list("followup_id", "order_id"))
    open_now = Order.objects.outstanding().filter(promises__in=[p.pk for p in promises])
    balances = dict(open_now.values_list("pk", "balance"))
    owed: dict[int, Decimal] = defaultdict(lambda: NOTHING)
    for promise_id, order_id in pairs:
        owed[promise_id] += balances.get(order_id, NOTHING)
    return {
        p.pk: (owed[p.pk], promise_state(p.promise_amount, p.promise_on, p.promise_balance, owed[p.pk], today))
        for p in promises
    }


def standings(debts: Iterable[tuple[str, int, Decimal]], today: date, user=None) -> dict[str, Standing]:
    """Of (customer, days overdue of the oldest open order, what they owe): where each stands today, by the promises
    that `user` may look at."""
    debts = list(debts)
    levels = list(Level.objects.all())
    promises = last_promises(today, [customer for customer, _, _ in debts], user)
    return {
        customer: level_of(days, amount, levels, promises[customer].state if customer in promises else Promise.NONE)
        for customer, days, amount in debts
    }
