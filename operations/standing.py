"""Where customers stand, read from the database: their last promise, and the level of reminding they have reached."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from operations.models import FollowUp, Level, Order
from operations.money import NOTHING, Promise, Standing, level_of, promise_state


@dataclass(frozen=True)
class LastPromise:
    """A customer's newest promise that wasn't voided: what its orders owe now, and how it stands on the day asked."""

    made: FollowUp
    owed_now: Decimal
    state: Promise


def last_promises(today: date, customer_ids: Iterable[str] | None = None) -> dict[str, LastPromise]:
    """The last promise of each customer who made one, of all customers or of these. Three questions, however many.

    An order that the export no longer has owes nothing.
    """
    promises = FollowUp.objects.promises().order_by("created_at", "pk")
    if customer_ids is not None:
        promises = promises.filter(customer__in=list(customer_ids))
    last = {promise.customer_id: promise for promise in promises}
    through = FollowUp.promised_orders.through.objects.filter(followup__in=[p.pk for p in last.values()])
    orders = defaultdict(list)
    for promise_id, order_id in through.values_list("followup_id", "order_id"):
        orders[promise_id].append(order_id)
    open_now = Order.objects.outstanding().filter(promises__in=[p.pk for p in last.values()])
    balances = dict(open_now.values_list("pk", "balance"))
    found = {}
    for customer_id, promise in last.items():
        owed = sum((balances.get(order_id, NOTHING) for order_id in orders[promise.pk]), NOTHING)
        state = promise_state(promise.promise_amount, promise.promise_on, promise.promise_balance, owed, today)
        found[customer_id] = LastPromise(promise, owed, state)
    return found


def standings(debts: Iterable[tuple[str, int, Decimal]], today: date) -> dict[str, Standing]:
    """Of (customer, days overdue of the oldest open order, what they owe): where each stands today."""
    debts = list(debts)
    levels = list(Level.objects.all())
    promises = last_promises(today, None if len(debts) > 500 else [customer for customer, _, _ in debts])
    return {
        customer: level_of(days, amount, levels, promises[customer].state if customer in promises else Promise.NONE)
        for customer, days, amount in debts
    }
