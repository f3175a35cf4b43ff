"""The daily look at promises to pay: who of staff is told what is due today, and what was broken since the last look.

Whoever a customer is assigned to; else everybody of the desk. One message a person and day, with counts, sums and where
the list is: no customer's name goes into a mail. Dates are of the local clock.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from analytics.access import roles, store_of
from analytics.formats import day, many
from operations import audience
from operations.models import Customer, Duty
from operations.money import NOTHING, Promise
from operations.receivables import BUSINESS, ME, Debt, debts
from operations.standing import last_promises
from operations.transports import address_of
from operations.worklist import money

NAME = "promises"  # of the duty
ROLE = "Desk"  # who is told of customers that nobody in particular looks after


@dataclass(frozen=True)
class News:
    """What a person is told: promises whose day is today, and broken ones. Each debt as that person may see it."""

    due: tuple[Debt, ...]
    broken: tuple[Debt, ...]

    @property
    def all(self) -> tuple[Debt, ...]:
        return self.due + self.broken


def remind(due_at: datetime) -> str:
    """Tell staff of promises, as the clock's duty of the moment `due_at`; what came of it, in a sentence.

    Asked twice on a day it tells nobody twice; asked late, of the day on which it is asked.
    """
    today = timezone.localdate()
    since = last_look(due_at, today)
    told = news(since, today)
    for user, what in told.items():
        _tell(user, what, since, today)
    if told:
        found = {_key(debt): debt.promise for what in told.values() for debt in what.all}
        broken = sum(state is Promise.BROKEN for state in found.values())
        return f"{len(found) - broken} due today, {broken} broken; told: {many(len(told), 'person', 'people')}."
    if any(is_news(p.made.promise_on, p.state, since, today) for p in last_promises(today).values()):
        return "There are promises to look at, but nobody to tell: give the desk's people e-mail addresses."
    return f"Nothing is due on {day(today)}, and no promise was broken since {day(since)}."


def last_look(due_at: datetime, today: date) -> date:
    """The day of the last look before this one: what was to be kept from then on hasn't been told as broken yet. The
    day before, where there was none."""
    done = Duty.objects.filter(name=NAME, state=Duty.State.DONE, due_at__lt=due_at).order_by("-done_at").first()
    return timezone.localdate(done.done_at) if done else today - timedelta(days=1)


def is_news(on: date, state: Promise, since: date, today: date) -> bool:
    """Is a promise for the day `on` due today, or was it broken since the last look? It breaks the morning after."""
    return (state is Promise.PENDING and on == today) or (state is Promise.BROKEN and since <= on < today)


# --- Who is told what ------------------------------------------------------------------------------------------------


def news(since: date, today: date) -> dict:
    """Who is told -> News, for those with any. A customer whose person has left, has no e-mail address or doesn't see
    all that was promised is the whole desk's. Counts and sums are of the store that a person is kept to."""
    seen = {
        user: [d for d in debts(user, today) if d.promised and is_news(d.promise_on, d.promise, since, today)]
        for user in _staff()
    }
    own = {user: [debt for debt in found if debt.assigned_to_id == user.pk] for user, found in seen.items()}
    taken = {_key(debt) for found in own.values() for debt in found}
    told = {}
    for user, found in seen.items():
        everybodys = [debt for debt in found if _key(debt) not in taken] if ROLE in roles(user) else []
        if mine := own[user] + everybodys:
            told[user] = News(
                tuple(debt for debt in mine if debt.promise is Promise.PENDING),
                tuple(debt for debt in mine if debt.promise is Promise.BROKEN),
            )
    return told


def _staff() -> list:
    """The desk's people and whom customers are assigned to, as far as they can be told and may open the worklist."""
    assigned = Customer.objects.exclude(assigned_to=None).values("assigned_to")
    users = get_user_model().objects.filter(Q(groups__name=ROLE) | Q(pk__in=assigned)).distinct()
    users = users.select_related("store_access").prefetch_related("groups").order_by("pk")
    return [user for user in users if audience.can_be_told(user, "receivables", store_of(user) or "")]


def _key(debt: Debt) -> int:
    """Which promise it is about: of one customer people of two stores may see different ones."""
    return debt.promised.made.pk


# --- In words --------------------------------------------------------------------------------------------------------


def missing(debt: Debt) -> Decimal:
    """What a promise still lacks, and no more than is owed."""
    made = debt.promised.made
    return max(NOTHING, min(debt.balance, made.promise_amount - (made.promise_balance - debt.promised.owed_now)))


def _tell(user, what: News, since: date, today: date) -> None:
    mine = all(debt.assigned_to_id == user.pk for debt in what.all)
    parts = (
        (what.due, "Due today", "still to come", Promise.PENDING),
        (what.broken, f"Broken since {day(since)}", "missing", Promise.BROKEN),
    )
    lines, urls = [], []
    for found, label, lacking, state in parts:
        if found:
            sum_ = sum((missing(debt) for debt in found), NOTHING)
            lines.append((label, f"{many(len(found), 'promise')}, {money(sum_)} {lacking}"))
            urls.append(_list(found, state, mine))
    if len(urls) > 1:  # the button opens the list of the broken ones
        lines.append(f"Due today: {address_of(urls[0])}")
    subject = [f"{len(what.due)} due today"] if what.due else []
    subject += [f"{len(what.broken)} broken"] if what.broken else []
    audience.tell(
        [user],
        key=f"promises:{today}",
        about=f"Promises to pay, {day(today)}",
        subject=f"Promises to pay: {', '.join(subject)}",
        text=f"What was promised by {_whose(user, what)}.",
        lines=lines,
        url=urls[-1],
        slack=False,  # each hears of their own
    )


def _whose(user, what: News) -> str:
    yours, theirs = "customers assigned to you", "customers whom nobody in particular looks after"
    mine = {debt.assigned_to_id == user.pk for debt in what.all}
    return f"{yours}, and by {theirs}" if len(mine) > 1 else yours if True in mine else theirs


def _list(found: tuple[Debt, ...], state: Promise, mine: bool) -> str:
    """The worklist with these among its rows, the promises' days in order."""
    said = {"promise": state.value, "sort": "promise" if state is Promise.PENDING else "-promise"}
    said |= {"assigned": ME} if mine else {}
    said |= {"group": BUSINESS} if all(debt.group == BUSINESS for debt in found) else {}
    return f"{reverse('receivables')}?{urlencode(said)}"
