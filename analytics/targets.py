"""Targets: what a metric is to reach in a month, and how the month stands against it.

A target is of the whole business or of one store. aim() judges a figure, words() says it; both pure. of_page() gives
the targets of a page in one question to the database. They change while a build doesn't: nothing that is kept with a
build holds one, unless they are a part of its key.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING

from django.db import transaction

from analytics import access
from analytics.dashboards import DASHBOARDS, frame
from analytics.formats import DOWN, LEVEL, UP, Number, after, before, figure, number, with_unit
from analytics.metrics import FORMULA, METRICS, Metric, parts_of
from analytics.models import Target

if TYPE_CHECKING:
    from analytics.target_files import Row

Wanted = tuple[tuple[str, str, str, Decimal], ...]  # (metric, month, store, target), sorted: a part of keys
NOBODY_TWICE = (
    "Who comes twice counts once, so the number doesn't grow by the same every day: no pace is worked out for it."
)


# --- Which metrics ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def offered() -> tuple[str, ...]:
    """The metrics that may have a target, in the order of METRICS: those that stand on a card, by month."""
    shown = {m for page in DASHBOARDS.values() for tab in page.tabs for card in tab.cards for m in card.metrics}
    return tuple(name for name, m in METRICS.items() if name in shown and "month" in m.grains)


@lru_cache
def adds_up(name: str) -> bool:
    """Does the metric grow with the month's days, as a sum or a count does? Not a ratio, share, mean or threshold."""
    m = METRICS[name]
    if m.mart == FORMULA:
        return "/" not in m.sql and all(adds_up(part) for part in parts_of(m.sql))
    return m.sql.startswith(("sum(", "count("))


@lru_cache
def counts_people(name: str) -> bool:
    """Is it a number of people, each once a month? It grows with the days, yet on no straight line: in the first week
    nearly everybody who comes is counted for the first time."""
    m = METRICS[name]
    if m.mart == FORMULA:
        return any(counts_people(part) for part in parts_of(m.sql))
    return "DISTINCT" in m.sql or (m.mart == "customer_months" and m.sql.startswith("count("))


# --- Writing ---------------------------------------------------------------------------------------------------------


def target_save(target: Target, *, user) -> Target:
    """Write a new or changed target. PermissionDenied without the right, or for who is kept to a store."""
    access.require_whole(user, f"analytics.{'add' if target.pk is None else 'change'}_target")
    target.full_clean()
    target.save()
    return target


def target_delete(target: Target, *, user) -> None:
    """Remove a target. PermissionDenied as for target_save()."""
    access.require_whole(user, "analytics.delete_target")
    target.delete()


@transaction.atomic
def targets_save(rows: Iterable["Row"], *, user) -> None:
    """Write the targets of a file that was checked (target_files.check()): all of them or none. PermissionDenied as for
    target_save(); user None: whoever has a terminal on this machine."""
    for right in ("add", "change") if user else ():
        access.require_whole(user, f"analytics.{right}_target")
    for row in rows:
        if row.state != "same":
            key = {"metric": row.metric, "month": row.month, "store": row.store}
            Target.objects.update_or_create(**key, defaults={"value": row.value})


# --- A figure against its target -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Elapsed:
    """How much of a month the data has: days that are over, of so many."""

    over: int
    days: int


def elapsed(first_day: date, last_day: date, as_of: date, data_to: date) -> Elapsed:
    """Of the month from first_day to last_day. A day counts when it was over before the exports' date `as_of`; that
    date itself when the data has rows of it (data_to: the newest day in it)."""
    newest = min(last_day, max(as_of - timedelta(days=1), min(as_of, data_to)))
    return Elapsed(max(0, (newest - first_day).days + 1), (last_day - first_day).days + 1)


@dataclass(frozen=True)
class Aim:
    """A figure against its target.

    share: value / target. reached: does it do what it should, by now; None: more of it is neither good nor bad, or it
    is too early to tell. by: value - target. expected: what a straight line through the month asks for by now; end:
    where the pace so far leads; both None where there is no such line (a month that is over, a ratio, people).
    """

    metric: Metric
    target: Decimal
    value: Decimal
    elapsed: Elapsed
    reached: bool | None
    expected: Decimal | None = None
    end: Decimal | None = None

    @property
    def share(self) -> float:
        return float(self.value / self.target)

    @property
    def by(self) -> Decimal:
        return self.value - self.target


def aim(name: str, value: Number, target: Decimal, month: Elapsed, closed: bool) -> Aim | None:
    """How a metric's value in a month stands against its target (above 0); None without a value."""
    if value is None:
        return None
    m, now = METRICS[name], round(Decimal(str(value)), 6)
    good = {"up": now >= target, "down": now <= target}.get(m.better or "")
    if closed or not adds_up(name):
        return Aim(m, target, now, month, good)
    past = now >= target  # what only grows stays there
    if counts_people(name) or not month.over:
        return Aim(m, target, now, month, good if past else None)
    end = now * month.days / month.over
    expected = target * month.over / month.days
    ahead = {"up": end >= target, "down": end <= target}.get(m.better or "")
    return Aim(m, target, now, month, good if past else ahead, expected, end)


# --- In words --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Words:
    """What a card says of its target.

    line: "102 % of the target of Dhs 25,000"; verdict: "Reached: Dhs 580 above"; arrow, css: as of a Change; how: how
    it was worked out. fill, mark, now: of a bar 100 long, how far the figure reaches, where the target is, and where a
    straight line would be by now (None: there is none).
    """

    line: str
    verdict: str = ""
    arrow: str = ""
    css: str = "level"
    how: str = ""
    fill: float = 0
    mark: float = 100
    now: float | None = None

    @property
    def short(self) -> str:
        """In a line, for a part of a card."""
        return f"{self.line}. {self.verdict}" if self.verdict else self.line


def words(name: str, found: Aim | None, target: Decimal, closed: bool, currency: str) -> Words:
    """An aim in words; without one (no value) the target alone."""
    unit = METRICS[name].unit
    aimed = with_unit(target, unit, currency)
    if found is None:
        return Words(f"Target {aimed}")
    grows = adds_up(name)
    line = f"{number(floor(found.share * 100))} % of the target of {aimed}" if grows else f"Target {aimed}"
    scale = min(2.0, max(1.0, found.share))
    bar = {"fill": _width(found.share, scale), "mark": _width(1, scale)}
    if not grows or closed or found.value >= target:
        return replace(_settled(found, line, closed, grows, currency), **bar)
    days = f"{found.elapsed.over} of {found.elapsed.days} days are over"
    if not found.elapsed.over:
        return Words(line, "The month has just begun", **bar)
    if found.end is None:
        return Words(line, days, how=NOBODY_TWICE, **bar)
    end, by_now, so_far = (with_unit(v, unit, currency) for v in (found.end, found.expected, found.value))
    how = (
        f"{days}. A straight line to the target would be at {by_now} by now; it is {so_far}. Going on like this the "
        f"month ends at {end}."
    )
    share = number(floor(float(found.end / target) * 100))
    return Words(
        line, f"On pace for {end} ({share} %)", UP if found.end >= target else DOWN, _css(found), how,
        **bar, now=_width(found.elapsed.over / found.elapsed.days, scale),
    )  # fmt: skip


def _settled(found: Aim, line: str, closed: bool, grows: bool, currency: str) -> Words:
    """What can be said without looking ahead."""
    judged = {True: "reached", False: "missed", None: ""}[found.reached]
    if not closed:
        judged = f"{judged} already" if grows and judged else f"so far {judged}".strip()
    by = _difference(found, currency)
    said = f"{judged}: {by}" if found.reached is not None else f"{judged} {by}".strip()
    arrow = UP if found.by > 0 else DOWN if found.by < 0 else LEVEL
    return Words(line, said[:1].upper() + said[1:], arrow, _css(found))


def _difference(found: Aim, currency: str) -> str:
    """Dhs 580 above; 5.7 pp below; exactly the target."""
    if not found.by:
        return "exactly the target"
    size, where = abs(found.by), "above" if found.by > 0 else "below"
    unit = found.metric.unit
    shown = f"{figure(size, 'share')} pp" if unit == "share" else with_unit(size, unit, currency)
    if figure(size, unit).strip("0.,"):
        return f"{shown} {where}"
    scaled = size * 100 if unit == "share" else size
    places = next((n for n in range(1, 5) if number(scaled, n).strip("0.,")), None)  # the decimals that decide
    if places is None or unit == "money":
        return f"just {where}"
    sign = "pp" if unit == "share" else after(unit)
    return " ".join(filter(None, (before(unit, currency), number(scaled, places), sign, where)))


def _css(found: Aim) -> str:
    return {True: "up", False: "down", None: "level"}[found.reached]


def _width(share: float, scale: float) -> float:
    return round(min(max(share, 0.0), scale) / scale * 100, 2)


# --- The targets of a page -------------------------------------------------------------------------------------------


def of_page(state: frame.State) -> Wanted:
    """The targets of what a tab's cards show in its month, the one before and the year before: one question.

    By month alone, and of all rows of the whole business or a store: none for weeks or under any other filter. Who is
    kept to a store gets that store's.
    """
    names = {m for card in state.tab.cards for m in card.metrics}
    if not names or state.grain.name != "month" or state.tab.undated or state.filtered:
        return ()
    period, data = state.period, state.figures
    months = [p.key for p in (period, data.before(period), data.year_before(period)) if p]
    stores = {state.filters.store or "", state.build.only or ""}
    rows = Target.objects.filter(month__in=months, store__in=stores, metric__in=names)
    return tuple(sorted(rows.values_list("metric", "month", "store", "value")))


def of_figure(wanted: Wanted, state: frame.State, metric: str, period: frame.Period) -> Decimal | None:
    """The target of a figure on a page; of the whole business's figures that of the whole, whatever store it shows."""
    store = "" if METRICS[metric].whole else state.filters.store or ""
    return next((value for name, month, of, value in wanted if (name, month, of) == (metric, period.key, store)), None)


def said(wanted: Wanted, state: frame.State, metric: str) -> Words | None:
    """What a page says of a metric's target in its period; None: there is no target."""
    target, period = of_figure(wanted, state, metric, state.period), state.period
    if target is None:
        return None
    facts = state.build.meta()
    days = elapsed(period.first_day, period.last_day, *(date.fromisoformat(facts[k]) for k in ("as_of", "data_to")))
    found = aim(metric, state.figures.value(metric, period), target, days, period.closed)
    return words(metric, found, target, period.closed, frame.currency())


def share(wanted: Wanted, state: frame.State, metric: str, period: frame.Period) -> float | None:
    """A figure as a part of its target; None without one, or without a value."""
    target, value = of_figure(wanted, state, metric, period), state.figures.value(metric, period)
    return None if target is None or value is None else float(value) / float(target)
