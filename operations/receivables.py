"""Who owes what, and whom to call next: the worklist's reads, from the database.

A fixed number of questions however many customers owe; what they answer is added up, filtered and sorted here.
People's dates are of the local clock. A person kept to a store gets that store's orders alone, and every sum is of
those. What was sold on credit is the live build's to say: performance().
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Count, Sum
from django.db.models.functions import Coalesce

from analytics import queries
from analytics.access import contacts_of, store_of
from analytics.dashboards import frame
from analytics.receivables import AGING, bucket_of
from analytics.receivables import performance as performance_of
from etl.errors import MoonwalkError
from operations.finding import Sought
from operations.models import Customer, Level
from operations.money import NOTHING, Promise, Standing, balance, days_overdue, level_of
from operations.phones import phone_key
from operations.scope import orders_for, payments_for
from operations.standing import LastPromise, last_promises, paid_here_of

CONSUMERS, BUSINESS = "consumers", "business"
NOBODY, ME = "nobody", "me"


# Who owes ----------------------------------------------------------------------------------------------------------


class OpenOrder(NamedTuple):
    """An open order: day (placed, or earned where that is unknown), days since then, days past its due day (0: not
    yet), its place in AGING, and money: total, paid here, balance."""

    order_id: str
    store: str
    day: date
    days: int
    days_overdue: int
    bucket: int
    total: Decimal
    paid_here: Decimal
    balance: Decimal


class Debt(NamedTuple):
    """A customer who owes: what, since when, and how things stand with them.

    orders: the open ones, the oldest first. days, days_overdue: of the oldest. aging: what each bucket of AGING holds
    of the balance. overdue: the balance past its due day. group: CONSUMERS or BUSINESS. phone, phone_key: empty for
    a reader who doesn't see them; export_phone_key: where staff corrected it. planned: -1: the day of their next
    action has come; 1: nobody should call today, as a later day is planned or they are not to be contacted; 0:
    neither. still_promised: what a pending promise still has to bring of these orders.
    """

    customer_id: str
    name: str
    phone: str
    phone_key: str
    store: str
    area: str
    group: str
    orders: tuple[OpenOrder, ...]
    balance: Decimal
    overdue: Decimal
    aging: tuple[Decimal, ...]
    standing: Standing
    promised: LastPromise | None
    last_contact_at: datetime | None
    next_action_on: date | None
    assigned_to: str
    assigned_to_id: int | None
    do_not_contact: bool
    planned: int
    still_promised: Decimal = NOTHING
    export_phone_key: str = ""

    @property
    def oldest(self) -> date:
        return self.orders[0].day

    @property
    def days(self) -> int:
        return self.orders[0].days

    @property
    def days_overdue(self) -> int:
        return self.orders[0].days_overdue

    @property
    def level(self) -> Level | None:
        return self.standing.level

    @property
    def paused(self) -> bool:
        return self.standing.paused

    @property
    def promise(self) -> Promise:
        return self.standing.promise

    @property
    def promise_amount(self) -> Decimal | None:
        return self.promised.made.promise_amount if self.promised else None

    @property
    def promise_on(self) -> date | None:
        return self.promised.made.promise_on if self.promised else None

    @property
    def shown_name(self) -> str:
        return self.name or self.customer_id

    def owed_to(self, store: str) -> Decimal:
        """What of the balance is a store's; "": all."""
        return sum((order.balance for order in self.orders if store in ("", order.store)), NOTHING)

    @property
    def turn(self) -> tuple:
        """Sorts by whom to call next, the smallest first: broken promises, then whose next action is due, then by level
        from the highest, then who has none, then who is not to be called today, then who has promised; among equals
        who is overdue for longest, then who owes most."""
        group, level = self.standing.rank
        return group, self.planned if group == 1 else 0, level, -self.days_overdue, -self.balance, self.customer_id


def debts(user, today: date, customer_id: str | None = None) -> list[Debt]:
    """Every customer who owes on orders that the user may look at, or one of them; in no particular order.

    Seven questions: open orders, their payments, customers, levels, promises with their orders and balances.
    """
    orders = orders_for(user)
    if customer_id is not None:
        orders = orders.filter(customer=customer_id)
    opened = _open_orders(orders, today, frame.business().payment_terms_days)
    if not opened:
        return []
    customers = Customer.objects.filter(pk__in=orders.earned().filter(paid=False).values("customer"))
    promises = last_promises(today, opened, user)
    levels = list(Level.objects.all())
    contacts = contacts_of(user)
    return [
        _debt(row, opened[row[0]], promises.get(row[0]), levels, "phone" in contacts, today)
        for row in customers.values_list(*_CUSTOMER)
        if row[0] in opened
    ]


def debt_of(user, customer_id: str, today: date) -> Debt | None:
    """What a customer owes, as far as the user may look at it; None: nothing."""
    return next(iter(debts(user, today, customer_id)), None)


def _open_orders(orders, today: date, terms: int) -> dict[str, list[OpenOrder]]:
    """customer -> open orders, the oldest first. terms: days after its day on which an order is due."""
    opened = orders.earned().filter(paid=False).order_by()
    here = paid_here_of(opened)
    found: dict[str, list[OpenOrder]] = {}
    columns = ("pk", "customer_id", "store", Coalesce("placed", "cleaned"), "total")
    for order_id, customer_id, store, day, total in opened.values_list(*columns):
        paid = here[order_id]
        left = balance(total, False, paid)
        if left <= 0:
            continue
        days = max(0, (today - day).days)
        late = days_overdue(day, today, terms)
        order = OpenOrder(order_id, store, day, days, late, bucket_of(days), total, paid, left)
        found.setdefault(customer_id, []).append(order)
    for owed in found.values():
        owed.sort(key=lambda order: (order.day, order.order_id))
    return found


_CUSTOMER = (
    "pk", "name", "own_name", "phone", "own_phone", "phone_key", "store", "area", "b2b", "last_contact_at",
    "next_action_on", "assigned_to_id", "assigned_to__username", "assigned_to__first_name", "assigned_to__last_name",
    "do_not_contact",
)  # fmt: skip


def _debt(
    row: tuple, orders: list[OpenOrder], promised: LastPromise | None, levels: list[Level], phones: bool, today: date
) -> Debt:
    (pk, name, own_name, phone, own_phone, key, store, area, b2b, contact_at, action_on, person, username, first, last,
     silent) = row  # fmt: skip
    owed, overdue, aging = NOTHING, NOTHING, [NOTHING] * len(AGING)
    for order in orders:
        owed += order.balance
        aging[order.bucket] += order.balance
        if order.days_overdue:
            overdue += order.balance
    state = promised.state if promised else Promise.NONE
    planned = 0 if action_on is None else 1 if action_on > today else -1
    return Debt(
        pk, name if own_name is None else own_name,
        (phone if own_phone is None else own_phone) if phones else "", key if phones else "", store, area,
        BUSINESS if b2b else CONSUMERS, tuple(orders), owed, overdue, tuple(aging),
        level_of(orders[0].days_overdue, owed, levels, state), promised, contact_at, action_on,
        f"{first or ''} {last or ''}".strip() or username or "", person, silent,
        1 if silent else planned,
        min(owed, _still_to_come(promised)),
        phone_key(phone) if phones and own_phone is not None else "",
    )  # fmt: skip


def _still_to_come(promised: LastPromise | None) -> Decimal:
    """What a pending promise has yet to bring: the amount less what came since it was made."""
    if promised is None or promised.state is not Promise.PENDING:
        return NOTHING
    return promised.made.promise_amount - (promised.made.promise_balance - promised.owed_now)


# Chosen, sought, sorted --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filters:
    """What of it is wanted; None, "" or False: whatever it is.

    store: who owes to it (and to whichever other); of single orders its own. age: the place in AGING of at least one
    order. assigned: ME, NOBODY or a person's number. promise: how the last one stands. never: without a contact yet.
    due: whose next action's day has come. least: who owes so much. search: name, customer, order or phone. sort: a key
    of SORTS, "-" before it: falling; "": whom to call next. by_order: of single orders age, least and the sorts of
    days and money are the order's own.
    """

    group: str = CONSUMERS
    by_order: bool = False
    store: str = ""
    age: int | None = None
    area: str = ""
    level: int | None = None
    assigned: str = ""
    promise: Promise | None = None
    never: bool = False
    due: bool = False
    least: Decimal | None = None
    search: str = ""
    sort: str = ""


class Row(NamedTuple):
    """A line of the worklist: a customer, and in the view by order one of their open orders."""

    debt: Debt
    order: OpenOrder | None = None

    @property
    def balance(self) -> Decimal:
        return self.order.balance if self.order else self.debt.balance

    @property
    def oldest(self) -> date:
        return self.order.day if self.order else self.debt.oldest

    @property
    def days_overdue(self) -> int:
        return self.order.days_overdue if self.order else self.debt.days_overdue

    @property
    def store(self) -> str:
        return self.order.store if self.order else self.debt.store

    @property
    def key(self) -> tuple[str, str]:
        return self.debt.customer_id, self.order.order_id if self.order else ""


# What a column sorts by; None: no value, which stands last either way.
SORTS: dict[str, Callable[[Row], object]] = {
    "name": lambda row: row.debt.shown_name.casefold(),
    "order": lambda row: row.order.order_id if row.order else None,
    "balance": lambda row: row.balance,
    "oldest": lambda row: row.oldest,
    "overdue": lambda row: row.days_overdue,
    "aging": lambda row: row.debt.aging[::-1],
    "level": lambda row: row.debt.level.position if row.debt.level else None,
    "contact": lambda row: row.debt.last_contact_at,
    "promise": lambda row: row.debt.promise_on,
    "action": lambda row: row.debt.next_action_on,
    "assigned": lambda row: row.debt.assigned_to.casefold() or None,
    "store": lambda row: row.store,
}


@dataclass(frozen=True)
class Worklist:
    """rows: those wanted, sorted. debts: all of the group who owe to the store; areas, people: what those may be
    filtered by. counts: of each group, how many owe to the store."""

    today: date
    filters: Filters
    rows: tuple[Row, ...]
    debts: tuple[Debt, ...]
    counts: dict[str, int]
    areas: tuple[str, ...] = field(default=())
    people: tuple[tuple[int, str], ...] = field(default=())

    @property
    def total(self) -> Decimal:
        """What the rows owe together."""
        return sum((row.balance for row in self.rows), NOTHING)

    def count(self, wanted: Callable[[Debt], bool]) -> int:
        return sum(map(wanted, self.debts))


def worklist(user, today: date, filters: Filters = Filters()) -> Worklist:
    """The rows that a user wants to see, as they want them."""
    every = debts(user, today)
    if filters.store:
        every = [debt for debt in every if any(order.store == filters.store for order in debt.orders)]
    group = [debt for debt in every if debt.group == filters.group]
    rows = _rows((debt for debt in group if _wanted(debt, filters, user, today)), filters)
    return Worklist(
        today, filters, tuple(_sorted(rows, filters.sort)), tuple(group),
        {name: sum(debt.group == name for debt in every) for name in (CONSUMERS, BUSINESS)},
        tuple(sorted({debt.area for debt in group if debt.area})),
        tuple(sorted({(d.assigned_to_id, d.assigned_to) for d in group if d.assigned_to_id}, key=lambda p: p[1])),
    )  # fmt: skip


def _wanted(debt: Debt, filters: Filters, user, today: date) -> bool:
    """Is it a customer that the filters ask for? What they ask of single orders: _rows."""
    return (
        (not filters.area or debt.area == filters.area)
        and (filters.level is None or (debt.level is not None and debt.level.pk == filters.level))
        and (not filters.assigned or _assigned(debt, filters.assigned, user))
        and (filters.promise is None or debt.promise is filters.promise)
        and (not filters.never or debt.last_contact_at is None)
        and (not filters.due or is_due(debt, today))
    )


def _assigned(debt: Debt, to: str, user) -> bool:
    if to == NOBODY:
        return debt.assigned_to_id is None
    return debt.assigned_to_id == (user.pk if to == ME else int(to))


def is_due(debt: Debt, today: date) -> bool:
    """Has the day of the next action come?"""
    return debt.next_action_on is not None and debt.next_action_on <= today


def _rows(chosen: Iterable[Debt], filters: Filters) -> list[Row]:
    """Lines of these customers, or of their orders: of the age and amount wanted, and found."""
    rows = (Row(debt, order) for debt in chosen for order in (debt.orders if filters.by_order else (None,)))
    sought = Sought(filters.search)
    return [
        row
        for row in rows
        if (filters.least is None or row.balance >= filters.least)
        and (row.order is None or filters.store in ("", row.order.store))
        and (filters.age is None or _has_age(row, filters.age))
        and (not sought.text or _finds(sought, row))
    ]


def _has_age(row: Row, age: int) -> bool:
    return row.order.bucket == age if row.order else row.debt.aging[age] > 0


def _finds(sought: Sought, row: Row) -> bool:
    """Is a row what is sought: by name, customer, order, or phone?"""
    debt = row.debt
    return (
        sought.in_name(debt.name)
        or sought.in_customer(debt.customer_id)
        or any(sought.in_order(order.order_id) for order in ((row.order,) if row.order else debt.orders))
        or sought.in_phone(debt.phone_key)
        or sought.in_phone(debt.export_phone_key)
    )


def _sorted(rows: list[Row], by: str) -> list[Row]:
    """Rows by a key of SORTS, "-" before it: falling; by whom to call next where it is none."""
    value = SORTS.get(by.removeprefix("-"))
    if value is None:
        return sorted(rows, key=lambda row: row.debt.turn)  # of a customer's orders the oldest first, as they come
    known = [(found, row) for row in rows if (found := value(row)) is not None]
    known.sort(key=lambda pair: pair[1].key)  # ties, whichever way
    known.sort(key=lambda pair: pair[0], reverse=by.startswith("-"))
    without = sorted((row for row in rows if value(row) is None), key=lambda row: row.key)
    return [row for _, row in known] + without


# Figures on top ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """Money of a worklist's group and store: what is outstanding, past its due day, still to come of promises whose
    day hasn't passed, and what came in since `since`, a Monday."""

    outstanding: Decimal
    overdue: Decimal
    promised: Decimal
    collected: Decimal
    orders: int
    customers: int
    promises: int
    since: date


def figures(user, found: Worklist) -> Figures:
    """Of all of a worklist's `debts`, whatever else it is filtered by; with a store of its orders alone. One question
    more."""
    store, since = found.filters.store, found.today - timedelta(found.today.weekday())
    paid = payments_for(user).filter(paid_on__gte=since, order__b2b=found.filters.group == BUSINESS)
    if store:
        paid = paid.filter(order__store=store)
    orders = [order for debt in found.debts for order in debt.orders if store in ("", order.store)]
    pending = [debt for debt in found.debts if debt.paused]
    return Figures(
        sum((order.balance for order in orders), NOTHING),
        sum((order.balance for order in orders if order.days_overdue), NOTHING),
        sum((min(debt.still_promised, debt.owed_to(store)) for debt in pending), NOTHING),
        round(paid.aggregate(sum=Sum("amount"))["sum"] or NOTHING, 2),
        len(orders), len(found.debts), len(pending), since,
    )  # fmt: skip


@dataclass(frozen=True)
class Performance:
    """How fast money comes in, of consumers, as the live build has it on the day `as_of`; days and a share, None where
    there is no value. why: no build can be read, or (start_why) there is no start to compare with."""

    as_of: date | None = None
    dso: float | None = None
    best_possible: float | None = None
    delinquent: float | None = None
    effectiveness: float | None = None
    why: str = ""
    start_why: str = ""


def performance(user, store: str = "") -> Performance:
    """The figures of analytics.receivables for what the user may see of a store, or of all. Never raises: a desk whose
    figures can't be read works on."""
    try:
        build = queries.current(store_of(user))
        ledger = build.ledger(queries.Filters(store=store or None))
        row = next(performance_of(ledger).iter_rows(named=True))
    except (MoonwalkError, queries.QueryError) as error:
        return Performance(why=str(error))
    return Performance(
        ledger.as_of, row["dso"], row["best_possible_dso"], row["delinquent_days"], row["collection_effectiveness"],
        "" if row["dso"] is not None else "Nothing was sold on credit in the last 90 days.", ledger.why,
    )  # fmt: skip


# Counted -------------------------------------------------------------------------------------------------------------


def debtors(user, store: str = "") -> dict[str, int]:
    """How many customers owe, of each group. One question."""
    orders = orders_for(user).outstanding()
    if store:
        orders = orders.filter(store=store)
    found = dict(orders.order_by().values_list("customer__b2b").annotate(n=Count("customer", distinct=True)))
    return {CONSUMERS: found.get(False, 0), BUSINESS: found.get(True, 0)}


def to_key_in(user, store: str = "") -> int:
    """How many orders wait to be marked as paid in CleanCloud: settled here, unpaid in the latest export."""
    orders = orders_for(user).filter(paid=False, in_latest_export=True, payments__isnull=False)
    if store:
        orders = orders.filter(store=store)
    return orders.distinct().with_balance().filter(balance=0, paid_here__gt=0).count()
