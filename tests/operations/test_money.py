"""What is owed, paid and promised, and the level it leads to: worked by hand."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal as D

import pytest

from operations.money import Promise, Standing, balance, days_overdue, level_of, oldest_first, promise_state


@pytest.mark.parametrize(
    ("total", "paid_in_export", "paid_here", "left"),
    [
        ("50.25", False, "0", "50.25"),
        ("50.25", False, "20.10", "30.15"),
        ("50.25", False, "50.25", "0"),
        ("40.00", False, "50.25", "0"),  # the export lowered the total under what was paid
        ("50.25", True, "0", "0"),
        ("50.25", True, "20.10", "0"),  # the export says paid: nothing counts twice
        ("-5.00", False, "0", "0"),
    ],
)
def test_the_balance_of_an_order(total, paid_in_export, paid_here, left):
    assert balance(D(total), paid_in_export, D(paid_here)) == D(left)


OWED = [("M-1", D("20.00")), ("M-2", D("0.00")), ("M-3", D("15.50"))]


@pytest.mark.parametrize(
    ("amount", "parts"),
    [
        ("5.00", [("M-1", "5.00")]),
        ("20.00", [("M-1", "20.00")]),
        ("20.01", [("M-1", "20.00"), ("M-3", "0.01")]),
        ("35.50", [("M-1", "20.00"), ("M-3", "15.50")]),
    ],
)
def test_a_payment_goes_to_the_oldest_first(amount, parts):
    assert oldest_first(D(amount), OWED) == [(order, D(part)) for order, part in parts]


@pytest.mark.parametrize(("today", "terms", "days"), [
    (date(2026, 3, 10), 0, 9), (date(2026, 3, 10), 7, 2), (date(2026, 3, 10), 9, 0), (date(2026, 3, 10), 30, 0),
    (date(2026, 2, 27), 0, 0),
])  # fmt: skip
def test_days_overdue_since_the_first_of_march_are_never_below_0(today, terms, days):
    assert days_overdue(date(2026, 3, 1), today, terms) == days


def test_more_than_is_owed_goes_nowhere():
    with pytest.raises(ValueError, match="more than is owed"):
        oldest_first(D("35.51"), OWED)


DAY = date(2026, 3, 10)


@pytest.mark.parametrize(
    ("owed_now", "today", "state"),
    [
        ("35.00", date(2026, 3, 5), Promise.PENDING),
        ("35.00", DAY, Promise.PENDING),  # the whole of the day is theirs
        ("35.00", date(2026, 3, 11), Promise.BROKEN),  # the next morning
        ("15.01", date(2026, 3, 11), Promise.BROKEN),  # one fils short
        ("15.00", date(2026, 3, 11), Promise.KEPT),
        ("15.00", date(2026, 3, 5), Promise.KEPT),  # before its day
        ("0.00", date(2026, 3, 11), Promise.KEPT),
    ],
)
def test_twenty_promised_of_thirty_five(owed_now, today, state):
    assert promise_state(D("20.00"), DAY, D("35.00"), D(owed_now), today) is state


def test_no_promise():
    assert promise_state(None, None, None, D("35.00"), DAY) is Promise.NONE


@dataclass(frozen=True)
class Step:
    position: int
    days_from: int
    amount_from: D
    active: bool = True


FIRST, SECOND, FINAL, STOP = (
    Step(1, 7, D("0")), Step(2, 30, D("0")), Step(3, 60, D("50")), Step(4, 90, D("100")),
)  # fmt: skip
LEVELS = [STOP, FIRST, FINAL, SECOND]  # in no order: positions count


@pytest.mark.parametrize(
    ("days", "amount", "level"),
    [
        (6, "500.00", None),
        (7, "0.01", FIRST),
        (29, "500.00", FIRST),
        (30, "20.00", SECOND),
        (60, "49.99", SECOND),  # long enough, but too little for the final one
        (60, "50.00", FINAL),
        (400, "99.99", FINAL),
        (90, "100.00", STOP),
        (90, "0.00", None),
        (0, "500.00", None),
    ],
)
def test_the_level_by_days_and_amount(days, amount, level):
    assert level_of(days, D(amount), LEVELS) == Standing(level)


def test_a_level_out_of_use_is_passed_over():
    assert level_of(95, D("100"), [FIRST, Step(4, 90, D("0"), active=False)]).level == FIRST


def test_who_isnt_overdue_has_no_level_though_one_begins_at_day_0():
    assert level_of(0, D("10"), [Step(1, 0, D("0"))]).level is None
    assert level_of(1, D("10"), [Step(1, 0, D("0"))]).level == Step(1, 0, D("0"))


def test_a_pending_promise_pauses_the_level_it_leaves_in_place():
    found = level_of(60, D("50"), LEVELS, Promise.PENDING)
    assert (found.level, found.paused) == (FINAL, True)
    assert not level_of(60, D("50"), LEVELS, Promise.BROKEN).paused


def test_no_promise_matters_once_nothing_is_owed():
    assert level_of(60, D("0"), LEVELS, Promise.BROKEN) == Standing(None, Promise.NONE)


def test_who_to_call_next():
    """Broken promises first, the higher level before the lower; then by level; then those without; the paused last."""
    people = {
        "pending, stop": level_of(95, D("100"), LEVELS, Promise.PENDING),
        "no level": level_of(3, D("100"), LEVELS),
        "first": level_of(8, D("100"), LEVELS),
        "broken, first": level_of(8, D("100"), LEVELS, Promise.BROKEN),
        "final, kept": level_of(61, D("50"), LEVELS, Promise.KEPT),
        "broken, stop": level_of(95, D("100"), LEVELS, Promise.BROKEN),
        "stop": level_of(95, D("100"), LEVELS),
        "broken, no level": level_of(3, D("100"), LEVELS, Promise.BROKEN),
    }
    assert sorted(people, key=lambda name: people[name].rank) == [
        "broken, stop", "broken, first", "broken, no level", "stop", "final, kept", "first", "no level",
        "pending, stop",
    ]  # fmt: skip
