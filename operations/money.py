"""What is owed, paid and promised, as pure functions: no database, no clock. Money is Decimal with two places."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

NOTHING = Decimal("0.00")


def balance(total: Decimal, paid_in_export: bool, paid_here: Decimal) -> Decimal:
    """What is still to be paid of an order. paid_here: staff's payments, net of voids. Once the export says paid,
    nothing. Never below 0."""
    return NOTHING if paid_in_export else max(NOTHING, total - paid_here)


def days_overdue(since: date, today: date, terms: int) -> int:
    """Days that an order is past its due day, `terms` days after the day it is owed since; 0: not yet."""
    return max(0, (today - since).days - terms)


def oldest_first(amount: Decimal, owed: Iterable[tuple[str, Decimal]]) -> list[tuple[str, Decimal]]:
    """Spread a payment over orders, given as (order, balance) with the oldest first: (order, its part), only orders
    that get something. ValueError when the amount is more than they owe together."""
    found = []
    for order, due in owed:
        part = min(amount, due)
        if part > 0:
            found.append((order, part))
            amount -= part
    if amount > 0:
        raise ValueError("more than is owed")
    return found


class Promise(StrEnum):
    """How a promise stands on a day."""

    NONE = "none"
    PENDING = "pending"
    KEPT = "kept"
    BROKEN = "broken"


def promise_state(
    amount: Decimal | None, on: date | None, owed_then: Decimal | None, owed_now: Decimal, today: date
) -> Promise:
    """amount promised by the day `on`; owed_then and owed_now: by the same orders, when it was made and now.

    Kept as soon as they owe `amount` less, however that came. Broken from the morning after its day.
    """
    if amount is None or on is None or owed_then is None:
        return Promise.NONE
    if owed_then - owed_now >= amount:
        return Promise.KEPT
    return Promise.BROKEN if today > on else Promise.PENDING


class Step(Protocol):
    """What level_of() asks of a level (models.Level has it)."""

    position: int
    days_from: int
    amount_from: Decimal
    active: bool


@dataclass(frozen=True)
class Standing:
    """Where a customer stands: the level reached (None: none yet), how their last promise stands.

    paused: a promise is pending, nothing is done until its day. rank: sorts a list by who to call next, the smallest
    first: broken promises, then by level from the highest, then those without a level, then the paused.
    """

    level: Step | None
    promise: Promise = Promise.NONE

    @property
    def paused(self) -> bool:
        return self.promise is Promise.PENDING

    @property
    def rank(self) -> tuple[int, int]:
        if self.promise is Promise.BROKEN:
            group = 0
        elif self.paused:
            group = 2
        else:
            group = 1
        return group, -self.level.position if self.level else 1


def level_of(days: int, amount: Decimal, levels: Sequence[Step], promise: Promise = Promise.NONE) -> Standing:
    """The standing of a customer whose oldest open order is `days` days overdue and who owes `amount` in all.

    Of the levels in use whose days and amount are both reached, the one with the highest position. Who isn't overdue
    (days below 1) or owes nothing has none, and no promise holds or breaks any more when nothing is owed.
    """
    if amount <= 0:
        return Standing(None)
    reached = [x for x in levels if x.active and days >= max(1, x.days_from) and amount >= x.amount_from]
    return Standing(max(reached, key=lambda x: x.position, default=None), promise)
