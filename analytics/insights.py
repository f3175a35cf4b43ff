"""RULES: what is worth saying of a month or a week, as data; one evaluator says it.

A rule names a metric, how it is compared and where good and bad begin; docs/insights.md is made from this table.
Rules speak of the last closed month and ISO week, for the whole business and for each store. One that lacks a value
it needs (no year before, nothing to divide by, a base of the old system) says nothing.

evaluate(con, business) -> the rows of the table `insights`
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import urlencode

import duckdb
import polars as pl

from analytics import queries
from analytics.formats import MINUS, number, with_unit
from analytics.metrics import METRICS
from analytics.queries import WHOLE
from analytics.receivables import AGING
from etl.business import Business

CHANGE, POINTS, LEVEL = "change", "points", "level"
BEFORE, YEAR, MEAN4 = "before", "year", "mean of 4"
SHOWN_TOP, SHOWN_FIRST = "the largest", "the first"

# What receivables() gives beside the metrics: name -> unit. As of the exports' date, so of the current period alone.
RECEIVABLES = {
    "outstanding": "money", "outstanding_orders": "count", "outstanding_customers": "count", "outstanding_old": "money",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One rule.

    metric, over: the figure is the metric, or its share of `over`. split, shown: the share that the largest or the
    first value of a split has in the metric. base: what it is compared with. looks_at: whether tone follows the change
    in percent, the change in points of percent, or the figure itself; None: always neutral. good, bad: the limits, in
    that measure (0.02 is 2 %, 2 percentage points); a change must go beyond its limit, a figure may equal `good`.
    headline, detail: templates over the words of _words(); `against` is added when there is a base. Missing words
    silence the rule. also: further metrics for the words. whole_only: a figure that exists for the business alone.
    old_note: added, and neutral, near the periods of the old system.
    """

    name: str
    grain: str
    category: str
    metric: str
    headline: str
    detail: str
    against: str = "{then}: {base}{moved}."
    base: str = BEFORE
    looks_at: str | None = None
    good: float | None = None
    bad: float | None = None
    over: str | None = None
    split: str | None = None
    shown: str = SHOWN_TOP
    also: tuple[str, ...] = ()
    whole_only: bool = False
    old_note: str = ""
    page: str = "executive"
    tab: str = "snapshot"

    @property
    def unit(self) -> str:
        return "share" if self.over or self.split else METRICS[self.metric].unit

    @property
    def better(self) -> str | None:
        return "down" if self.metric in RECEIVABLES else METRICS[self.metric].better

    @property
    def lacking(self) -> str:
        """What the old system did not keep and the figure needs."""
        return "" if self.metric in RECEIVABLES else METRICS[self.metric].lacks

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that the rule reads."""
        return tuple(n for n in (self.metric, self.over, *self.also) if n and n not in RECEIVABLES)


MONTH, WEEK = "month", "week"
CHANGED, CHANGED_DETAIL = "{label} {compared}", "{value} against {base}."
COMING_BACK = (
    "People who came over from the old system count as new customers here, so this says little near the change-over."
)


def _moved(name, grain, category, metric, limit, **more) -> Rule:
    """A rule about the change of a figure in percent."""
    words = {"headline": CHANGED, "detail": CHANGED_DETAIL, "against": "", "tab": "trends"} | more
    return Rule(name, grain, category, metric, looks_at=CHANGE, good=limit, bad=-limit, **words)


RULES: tuple[Rule, ...] = (
    # Monthly ---------------------------------------------------------------------------------------------------------
    _moved("REV_MOM", MONTH, "Revenue", "revenue", 0.02),
    _moved("REV_YOY", MONTH, "Revenue", "revenue", 0.02, base=YEAR),
    _moved("CUST_MOM", MONTH, "Customers", "customers", 0.02, detail="{value} active customers against {base}."),
    Rule("NEW_CUST", MONTH, "Customers", "new_customers", "{value} of customers were new",
         "{new_customers} of {customers} active customers were in their first month.",
         over="customers", looks_at=LEVEL, good=0.10, old_note=COMING_BACK,
         page="customers", tab="acquisition"),
    Rule("M1_RETENTION", MONTH, "Customers", "m1_customer_retention", "{value} of new customers came back",
         "{m1_customers} of the {m0_customers_before} who were new the month before came again.",
         also=("m1_customers", "m0_customers"), looks_at=LEVEL, good=0.50, bad=0.30, whole_only=True,
         old_note=COMING_BACK,
         page="customers", tab="cohort"),
    _moved("REACTIVATIONS", MONTH, "Customers", "reactivated_customers", 0.10,
           headline="Customers back after a break: {value}",
           detail="{value} against {base}: active again after at least 3 whole months without an order.",
           page="customers", tab="acquisition"),
    Rule("SUB_SHARE", MONTH, "Customers", "subscriber_revenue", "Subscribers brought {value} of revenue",
         "{subscriber_revenue} of {revenue}, subscriptions and the orders under them.",
         over="revenue", looks_at=POINTS, good=0.01, bad=-0.01,
         page="customers", tab="segmentation"),
    Rule("MULTI_SERVICE", MONTH, "Customers", "multi_service_share", "{value} of customers use several services",
         "{multi_service_customers} of {customers} customers, subscribers included; they brought "
         "{multi_service_revenue_share} of revenue.",
         also=("multi_service_customers", "customers", "multi_service_revenue_share"),
         looks_at=POINTS, good=0.01, bad=-0.01,
         page="customers", tab="segmentation"),
    Rule("CONCENTRATION", MONTH, "Customers", "top20_spend_share", "The top 20 % of customers bring {value} of revenue",
         "Those who spent {spend_threshold} or more brought {top20_spend_revenue} of {revenue}.",
         also=("spend_threshold", "top20_spend_revenue", "revenue"),
         looks_at=LEVEL, good=0.50, bad=0.60, whole_only=True,
         page="customers", tab="segmentation"),
    Rule("TOP_CATEGORY", MONTH, "Services", "item_revenue", "Most item revenue comes from {shown}",
         "{amount} of {total} item revenue, {value}.", split="item_category",
         page="operations", tab="service-mix"),
    Rule("TOP_SERVICE", MONTH, "Services", "item_revenue", "{shown} is the biggest service",
         "{amount} of {total} item revenue, {value}.", split="service_type",
         page="operations", tab="service-mix"),
    Rule("EXPRESS_SHARE", MONTH, "Services", "express_share", "{value} of items were express",
         "{express_items} of {items} items.", also=("express_items", "items"),
         looks_at=POINTS, good=0.01, bad=-0.01,
         page="operations", tab="service-mix"),
    Rule("DELIVERY_RATE", MONTH, "Operations", "delivery_rate", "{value} of stops were deliveries",
         "Deliveries: {deliveries}; pickups: {pickups}.", also=("deliveries", "pickups"),
         page="operations", tab="logistics"),
    _moved("REV_PER_DELIVERY", MONTH, "Operations", "revenue_per_delivery", 0.02,
           page="operations", tab="logistics"),
    Rule("GEO_SHIFT", MONTH, "Operations", "stops", "{shown}: {value} of stops, {shift}",
         "{amount} of {total} stops; {base} {in_base}.", "", split="area", shown=SHOWN_FIRST,
         page="operations", tab="geography"),
    Rule("PROCESSING_TIME", MONTH, "Operations", "processing_days", "Cleaning took {value} on average",
         "From the day an order is placed to the day it is cleaned; over {limit} is too long.",
         looks_at=LEVEL, bad=3.0,
         page="operations", tab="logistics"),
    Rule("DIGITAL_PAYMENT", MONTH, "Collections", "digital_share", "{value} of payments came by card or online",
         "Stripe {stripe_collections}, Terminal {terminal_collections}, Cash {cash_collections}.",
         also=("stripe_collections", "terminal_collections", "cash_collections"),
         looks_at=POINTS, good=0.01, bad=-0.01,
         page="finance", tab="collections"),
    Rule("COLLECTION_RATE", MONTH, "Collections", "collection_rate", "{value} of revenue is collected",
         "{collections} received against {revenue} of revenue so far.", also=("collections", "revenue"),
         looks_at=LEVEL, good=0.90, bad=0.80,
         page="finance", tab="collections"),
    Rule("AVG_DAYS_PAYMENT", MONTH, "Collections", "days_to_payment", "Customers paid after {value} on average",
         "Based on {payment_dated_orders} of {earned_rows} earned rows ({payment_date_coverage}).",
         also=("payment_dated_orders", "earned_rows", "payment_date_coverage"),
         looks_at=LEVEL, good=3.0, bad=7.0,
         page="finance", tab="payment-cycle"),
    Rule("OUTSTANDING_PCT", MONTH, "Collections", "outstanding", "Unpaid orders come to {value} of a month's revenue",
         "Unpaid on {as_of}: {outstanding}; orders: {outstanding_orders}, customers: {outstanding_customers}. "
         "{outstanding_old} of it is older than 90 days; {revenue} was earned in {period}.",
         over="revenue", also=("outstanding_orders", "outstanding_customers", "outstanding_old"),
         looks_at=LEVEL, good=0.25, bad=0.50,
         page="finance", tab="outstanding"),
    # Weekly: a week swings more, so its limits are wider --------------------------------------------------------------
    _moved("WRev_WOW", WEEK, "Revenue", "revenue", 0.05),
    _moved("WRev_TREND", WEEK, "Revenue", "revenue", 0.05, base=MEAN4),
    _moved("WCust_WOW", WEEK, "Customers", "customers", 0.05, detail="{value} active customers against {base}."),
    _moved("WItems_WOW", WEEK, "Services", "items", 0.05),
    _moved("WStops_WOW", WEEK, "Operations", "stops", 0.05),
    Rule("WProcessing", WEEK, "Operations", "processing_days", "Cleaning took {value} on average",
         "From the day an order is placed to the day it is cleaned; over {limit} is too long.",
         looks_at=LEVEL, bad=3.0,
         page="operations", tab="logistics"),
    Rule("WDelivery_Rate", WEEK, "Operations", "delivery_rate", "{value} of stops were deliveries",
         "Deliveries: {deliveries}; pickups: {pickups}.", also=("deliveries", "pickups"),
         page="operations", tab="logistics"),
    # Orders of the last week are often paid on collection, days later: its rate is still rising.
    Rule("WCollection_Rate", WEEK, "Collections", "collection_rate", "{value} of revenue is collected so far",
         "{collections} received against {revenue} of revenue; what is paid on collection follows.",
         also=("collections", "revenue"), looks_at=LEVEL, good=0.80, bad=0.60,
         page="finance", tab="collections"),
)  # fmt: skip


# Reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Span:
    """A period as the rules speak of it: key 2026-02 or 2026-W07, first and last day, both included."""

    key: str
    first_day: date
    last_day: date

    @property
    def days(self) -> int:
        return (self.last_day - self.first_day).days + 1

    @property
    def name(self) -> str:
        return f"week {int(self.key[-2:])}, {self.key[:4]}" if "W" in self.key else f"{self.first_day:%B %Y}"


@dataclass
class Facts:
    """What the rules of one grain read about one store, or the whole.

    bases: base -> its periods, absent where the data has not all of them. values: metric -> period key -> value.
    splits: (split, metric) -> period key -> value of the split -> number. receivables: as RECEIVABLES names them.
    """

    store: str
    slug: str
    period: Span
    bases: Mapping[str, tuple[Span, ...]]
    as_of: date
    values: dict[str, dict[str, float | None]] = field(default_factory=dict)
    splits: dict[tuple[str, str], dict[str, dict[str, float]]] = field(default_factory=dict)
    receivables: dict[str, float] = field(default_factory=dict)

    def value(self, name: str, span: Span) -> float | None:
        if name in RECEIVABLES:
            return self.receivables.get(name) if span == self.period else None
        return self.values.get(name, {}).get(span.key)

    def old_system(self, span: Span) -> bool:
        """Has the period rows of the old system, which kept neither items nor payments?"""
        return bool(self.value("legacy_rows", span))


def _spans(con: duckdb.DuckDBPyConnection, grain: str) -> list[Span]:
    """The closed periods of a grain, the newest first."""
    rows = queries.periods(con, grain, include_open=False).select("period", "first_day", "last_day")
    return [Span(*row) for row in rows.iter_rows()]


def _bases(spans: list[Span]) -> dict[str, tuple[Span, ...]]:
    """The periods that the newest is compared with; a base is absent when the data does not reach so far back."""
    newest, rest = spans[0], spans[1:]
    found = {BEFORE: tuple(rest[:1]), MEAN4: tuple(rest[:4]) if len(rest) >= 4 else ()}
    found[YEAR] = tuple(s for s in rest if s.key == f"{int(newest.key[:4]) - 1}{newest.key[4:]}")
    return {base: those for base, those in found.items() if those}


def _sum(numbers: list[float | None]) -> float | None:
    return None if any(n is None for n in numbers) else sum(numbers)


# What to ask of an open build, and where to put the answer.
Question = tuple[Callable[[duckdb.DuckDBPyConnection], Any], Callable[[Any], None]]


def _ask(names: list[str], grain: str, span: dict, split: str | tuple[str, ...] | None = None) -> Callable:
    return lambda con: queries.query(con, names, grain, split=split, **span)


def _about_metrics(facts: list[Facts], rules: list[Rule], grain: str, span: dict) -> list[Question]:
    """The rules' metrics over some periods: of the stores in one question, and what does not add up, of the whole."""
    whole, *stores = facts
    each = list(dict.fromkeys(["legacy_rows", *(n for r in rules if not r.whole_only for n in r.metrics)]))
    every = list(dict.fromkeys([*each, *(n for r in rules for n in r.metrics)]))
    alone = [n for n in every if n not in each or not METRICS[n].additive]
    by_name = {one.store: one for one in stores}

    def put_stores(answer: pl.DataFrame) -> None:
        for row in answer.iter_rows(named=True):
            for name in each:
                by_name[row["store"]].values.setdefault(name, {})[row["period"]] = row[name]
        for name in set(each) - set(alone):
            for period in stores[0].values[name]:
                summed = _sum([one.values[name][period] for one in stores])
                whole.values.setdefault(name, {})[period] = summed

    def put_whole(answer: pl.DataFrame) -> None:
        for row in answer.iter_rows(named=True):
            for name in alone:
                whole.values.setdefault(name, {})[row["period"]] = row[name]

    asked = [(_ask(each, grain, span, split="store"), put_stores)]
    return asked + ([(_ask(alone, grain, span), put_whole)] if alone else [])


def _about_split(facts: list[Facts], split: str, names: list[str], grain: str, span: dict) -> Question:
    """Metrics by the stores and the values of a split; they add up, so the whole is the sum of its stores."""
    whole, *stores = facts
    by_name = {one.store: one for one in stores}

    def put(answer: pl.DataFrame) -> None:
        for row in answer.iter_rows(named=True):
            for name in names:
                for to in (by_name[row["store"]], whole):
                    by = to.splits.setdefault((split, name), {}).setdefault(row["period"], {})
                    by[row[split]] = by.get(row[split], 0) + (row[name] or 0)

    return _ask(names, grain, span, split=("store", split)), put


def _about_receivables(facts: list[Facts]) -> Question:
    """What is owed to the whole and to each store."""

    def put(answer: dict[str, dict]) -> None:
        for one in facts:
            owed = answer.get(one.store)  # a store without a row is owed nothing
            one.receivables = {
                "outstanding": owed["amount"], "outstanding_orders": owed["orders"],
                "outstanding_customers": owed["customers"], "outstanding_old": owed["aging"][AGING[-1]][1],
            } if owed else dict.fromkeys(RECEIVABLES, 0)  # fmt: skip

    return queries.receivables_by_store, put


def _questions(facts: list[Facts], grain: str) -> list[Question]:
    """All that the rules of a grain need to know of its last closed period and its bases."""
    rules, bases, period = [r for r in RULES if r.grain == grain], facts[0].bases, facts[0].period
    near = [s.key for base, spans in bases.items() if base != YEAR for s in spans]
    span = {"since": min([period.key, *near]), "until": period.key}
    asked = _about_metrics(facts, [r for r in rules if not r.split], grain, span)
    for split in dict.fromkeys(r.split for r in rules if r.split):
        asked.append(_about_split(facts, split, [r.metric for r in rules if r.split == split], grain, span))
    yearly = [r for r in rules if r.base == YEAR]
    if yearly and YEAR in bases:
        year = bases[YEAR][0].key
        asked += _about_metrics(facts, yearly, grain, {"since": year, "until": year})
    return asked + ([_about_receivables(facts)] if any(r.metric in RECEIVABLES for r in rules) else [])


def _answer(con: duckdb.DuckDBPyConnection, questions: list[Question]) -> None:
    """Ask all and put the answers where they belong.

    Two at a time: a small question is mostly planning, which keeps one core busy. Answers are put in the order of the
    questions, so that the same build always says the same.
    """
    own, catalog = threading.local(), con.execute("SELECT current_catalog()").fetchone()[0]

    def ask(question: Question) -> Any:
        if not hasattr(own, "con"):
            own.con = con.cursor()  # a connection is not shared between threads
            own.con.execute(f'USE "{catalog}"')
        return question[0](own.con)

    with ThreadPoolExecutor(2) as pool:
        for question, answer in zip(questions, pool.map(ask, questions), strict=True):
            question[1](answer)


def read(con: duckdb.DuckDBPyConnection, business: Business) -> dict[str, list[Facts]]:
    """What the rules need to know: grain -> facts of the whole first, then of each store.

    A grain without a closed period is absent.
    """
    as_of = date.fromisoformat(queries.meta(con)["as_of"])
    places = [(WHOLE, "all"), *((s.name, s.slug) for s in business.stores)]
    found: dict[str, list[Facts]] = {}
    for grain in dict.fromkeys(r.grain for r in RULES):
        if spans := _spans(con, grain):
            found[grain] = [Facts(name, slug, spans[0], _bases(spans), as_of) for name, slug in places]
    _answer(con, [q for grain, facts in found.items() for q in _questions(facts, grain)])
    return found


# Judging ---------------------------------------------------------------------------------------------------------


def _figure(rule: Rule, facts: Facts, span: Span) -> float | None:
    """The rule's figure in a period: the metric, its share of `over`, or the share of a split's value."""
    if rule.split:
        by = facts.splits.get((rule.split, rule.metric), {}).get(span.key, {})
        total = sum(by.values())
        return by.get(_shown(rule, facts), 0) / total if total else None
    value = facts.value(rule.metric, span)
    if not rule.over:
        return value
    over = facts.value(rule.over, span)
    return None if value is None or not over else value / over


def _shown(rule: Rule, facts: Facts) -> str | None:
    """The split's value that the rule speaks of, in every period the same; None where there is nothing to choose."""
    by = facts.splits.get((rule.split, rule.metric), {}).get(facts.period.key, {})
    if len(by) < 2 or not sum(by.values()):
        return None
    return next(iter(by)) if rule.shown == SHOWN_FIRST else max(by, key=by.get)


def _base(rule: Rule, facts: Facts) -> float | None:
    """What the figure is compared with; None where a period is missing, has no value, or is the old system's."""
    spans = facts.bases.get(rule.base, ())
    if rule.lacking and any(facts.old_system(s) for s in spans):
        return None
    values = [_figure(rule, facts, s) for s in spans]
    total = _sum(values)
    return total / len(values) if values and total is not None else None


def _change(value: float, base: float | None) -> float | None:
    return None if not base else round(value / base - 1, 9)


def tone(rule: Rule, value: float, base: float | None) -> str:
    """positive, neutral or negative, by the rule's limits and what is better for its metric."""
    if rule.looks_at == LEVEL:
        measured, good, bad = round(value, 9), rule.good, rule.bad
        if rule.better == "down":
            measured, good, bad = -measured, None if good is None else -good, None if bad is None else -bad
        if good is not None and measured >= good:
            return "positive"
        return "negative" if bad is not None and measured < bad else "neutral"
    if rule.looks_at is None or base is None:
        return "neutral"
    measured = _change(value, base) if rule.looks_at == CHANGE else round(value - base, 9)
    if measured is None:
        return "neutral"
    measured = -measured if rule.better == "down" else measured
    return "positive" if measured > rule.good else "negative" if measured < rule.bad else "neutral"


# Saying ----------------------------------------------------------------------------------------------------------


def _percent(share: float) -> str:
    """0.0151 -> "1.5", 0.03 -> "3", 0.337 -> "34": one decimal where it tells something."""
    percent = abs(share) * 100
    return number(percent, 1).removesuffix(".0") if round(percent, 1) < 10 else number(percent)


def points(now: float, then: float) -> str:
    """The way from one share to another: "+1.2 pp", or "unchanged"."""
    moved = round((now - then) * 100, 1)
    if not moved:
        return "unchanged"
    return f"{'+' if moved > 0 else MINUS}{number(abs(moved), 1)} pp"


def _base_names(rule: Rule, facts: Facts) -> dict[str, str]:
    """than ("above January"), in_base ("in January") and then ("In January") of the rule's base."""
    if rule.base == MEAN4:
        return {"than": "the mean of the 4 weeks before"}
    spans = facts.bases.get(rule.base, ())
    if not spans:
        return {}
    if rule.grain == WEEK:
        return {"than": "the week before", "in_base": "the week before", "then": "The week before"}
    first = spans[0].first_day
    than = f"{first:%B}" if first.year == facts.period.first_day.year else f"{first:%B %Y}"
    return {"than": than, "in_base": f"in {than}", "then": f"In {than}"}


def _words(rule: Rule, facts: Facts, value: float, base: float | None, currency: str) -> dict[str, str]:
    """What the templates may name. A word whose value is missing is absent, which silences the sentence."""

    def said(name: str, number: float | None) -> str | None:
        unit = RECEIVABLES.get(name) or METRICS[name].unit
        return None if number is None else with_unit(number, unit, currency)

    words = {n: said(n, facts.value(n, facts.period)) for n in (rule.metric, rule.over, *rule.also) if n}
    for earlier in facts.bases.get(BEFORE, ()):
        words |= {f"{n}_before": said(n, facts.value(n, earlier)) for n in rule.metrics}
    words |= {
        "value": with_unit(value, rule.unit, currency), "period": facts.period.name,
        "as_of": f"{facts.as_of.day} {facts.as_of:%b %Y}",
        "label": METRICS[rule.metric].label if rule.metric in METRICS else None,
        "limit": None if rule.bad is None else with_unit(rule.bad, rule.unit, currency),
    }  # fmt: skip
    if rule.split:
        by, unit = facts.splits[rule.split, rule.metric][facts.period.key], METRICS[rule.metric].unit
        shown = _shown(rule, facts)
        words |= {
            "shown": shown, "amount": with_unit(by[shown], unit, currency),
            "total": with_unit(sum(by.values()), unit, currency),
        }  # fmt: skip
    if base is not None:
        words |= _base_names(rule, facts) | {"base": with_unit(base, rule.unit, currency), "moved": ""}
        if rule.unit == "share":
            words["shift"] = points(value, base)
            words["moved"] = f" ({words['shift']})"
        change = _change(value, base)
        if change is not None:
            moved, way = _percent(change), "above" if change > 0 else "below"
            words["compared"] = f"{f'{moved} % {way}' if moved != '0' else 'level with'} {words['than']}"
    return {k: v for k, v in words.items() if v is not None}


def _say(template: str, words: Mapping[str, str]) -> str | None:
    """The template filled in; None when a word is missing."""
    try:
        return template.format_map(words)
    except KeyError:
        return None


def _length(rule: Rule, facts: Facts, value: float, base: float | None, currency: str) -> str:
    """A word on months of unequal length, where a day's worth would be judged otherwise than the month's."""
    spans = facts.bases.get(rule.base, ())
    if rule.looks_at != CHANGE or rule.grain != MONTH or rule.unit != "money" or not spans or not base:
        return ""
    now, then = facts.period, spans[0]
    if not METRICS[rule.metric].additive or now.days == then.days:
        return ""
    a_day, before = value / now.days, base / then.days
    if tone(rule, a_day, before) == tone(rule, value, base):
        return ""
    than = _base_names(rule, facts)["than"]
    brought = f"{with_unit(a_day, 'money', currency)} against {with_unit(before, 'money', currency)}"
    return f" {now.first_day:%B} had {now.days} days, {than} {then.days}: a day brought {brought}."


def judge(rule: Rule, facts: Facts, currency: str) -> dict | None:
    """The rule's word on the facts, a row of the table `insights`; None when it has nothing to say."""
    if rule.whole_only and facts.store != WHOLE or rule.lacking and facts.old_system(facts.period):
        return None
    value = _figure(rule, facts, facts.period)
    if value is None or rule.split and _shown(rule, facts) is None:
        return None
    base = _base(rule, facts)
    if not value and not base and rule.metric not in RECEIVABLES:
        return None  # nothing, and nothing before
    words = _words(rule, facts, value, base, currency)
    headline, detail = _say(rule.headline, words), _say(rule.detail, words)
    if headline is None or detail is None:
        return None
    against = _say(rule.against, words)
    detail += (f" {against}" if against else "") + _length(rule, facts, value, base, currency)
    judged = tone(rule, value, base)
    if rule.old_note and any(facts.old_system(s) for s in (facts.period, *facts.bases.get(BEFORE, ()))):
        detail, judged = f"{detail} {rule.old_note}", "neutral"
    place = {"tab": rule.tab, "grain": rule.grain, "period": facts.period.key, "store": facts.slug}
    return {
        "grain": rule.grain, "period": facts.period.key, "store": facts.store, "rule": rule.name,
        "category": rule.category, "headline": headline, "detail": detail, "tone": judged,
        "link": f"/{rule.page}/?{urlencode(place)}",
    }  # fmt: skip


def evaluate(con: duckdb.DuckDBPyConnection, business: Business) -> list[dict]:
    """Every rule's word on the last closed month and week, of the whole and of each store.

    Rows as the table `insights` has them (grain, period, store, rule, category, headline, detail, tone, link), in the
    order in which pages show them: the categories of one grain and store lie together.
    """
    rows = []
    for grain, places in read(con, business).items():
        for facts in places:
            said = (judge(rule, facts, business.currency) for rule in RULES if rule.grain == grain)
            rows += [row for row in said if row]
    return rows
