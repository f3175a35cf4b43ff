"""What a rule of a figure says of a build: the last closed period's value against the rule's limit, in words.

read(rule, build) -> Reading      pure: the same rule and build always say the same
Which rules are judged when, and who is told: operations/alerts.py.
"""

from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlencode

from django.urls import reverse

from analytics import queries
from analytics.access import can_see
from analytics.business import business
from analytics.dashboards import DASHBOARDS, frame
from analytics.formats import DASH, Number, after, before, number, with_unit
from analytics.metrics import METRICS, SPLIT_WORDS, Metric
from analytics.models import AlertRule
from etl.errors import MoonwalkError

Condition = AlertRule.Condition
SEEN_LATELY = 12  # periods: a value of a split that had nothing in all of them is none to tell of
POINTS = "points of %"
# What the limit of a built-in rule is counted in; a refresh that failed needs none.
UNITS = {
    AlertRule.Kind.REFRESH_LATE: "hours", AlertRule.Kind.QUARANTINE: "%", AlertRule.Kind.CLOSED_MONTH: "%",
}  # fmt: skip


class NotJudged(MoonwalkError):
    """A rule that this build can't answer (its figure, split or store is gone); the text says why."""


@dataclass(frozen=True)
class Found:
    """What a rule found of a figure, or of one value of its split.

    of: the split's value, "" without one; value, base: in the period and the one before; change: from base to value,
    in % (of a share in points of %); met: somebody is to be told; why: the reason where it could not be judged.
    """

    of: str
    value: Number
    base: Number
    change: float | None = None
    met: bool = False
    why: str = ""


@dataclass(frozen=True)
class Reading:
    """A rule's word on a build. found: one without a split, else one a value of it, as pages order them."""

    rule: AlertRule
    period: frame.Period
    base: frame.Period | None
    found: tuple[Found, ...]
    url: str

    @property
    def met(self) -> tuple[Found, ...]:
        return tuple(one for one in self.found if one.met)

    @property
    def headline(self) -> str:
        """Revenue below Dhs 20,000: Dhs 18,345 in February 2026, Hielo. Of a split: every value that met it."""
        said = [self._said(one) for one in self.met]
        shown = ", ".join(said[:4]) + (f" and {len(said) - 4} more" if len(said) > 4 else "")
        told = f"{label(self.rule)} {condition_said(self.rule)}"
        where = f", {self.rule.store}" if self.rule.store else ""
        return f"{told}: {shown or 'not now'} in {self.period.name}{where}"

    def line(self, one: Found) -> str:
        """Hielo: Dhs 4,210 in Feb 2026, Dhs 4,900 in Jan 2026 (−14.1 %)."""
        return f"{one.of}: {self.told(one)}" if one.of else self.told(one)

    def told(self, one: Found) -> str:
        """line() without whose it is."""
        said = f"{self._value(one.value)} in {self.period.short}"
        if self.base:
            moved = f" ({_moved(one.change, self.rule)})" if one.change is not None else ""
            said += f", {self._value(one.base)} in {self.base.short}{moved}"
        return said

    @property
    def figures(self) -> list[dict]:
        """What met the rule as numbers, to keep with the event."""
        unit = METRICS[self.rule.metric].unit
        return [
            {"of": one.of, "value": one.value, "before": one.base, "change": one.change, "unit": unit}
            for one in self.met
        ]

    def _said(self, one: Found) -> str:
        said = self._value(one.value)
        if self.rule.condition == Condition.CHANGE:
            said = f"{_moved(one.change, self.rule)} to {said}"
        elif self.rule.condition == Condition.MISSING:
            said = "no value" if one.value is None else said
        return f"{one.of} {said}" if one.of else said

    def _value(self, value: Number) -> str:
        limit = self.rule.limit if self.rule.condition in (Condition.ABOVE, Condition.BELOW) else None
        return value_said(value, METRICS[self.rule.metric].unit, limit)


# Words -------------------------------------------------------------------------------------------------------------


def unit_of(rule: AlertRule) -> str:
    """What the rule's limit is counted in, as it stands beside the field: Dhs, %, days, hours, or nothing."""
    if rule.built_in:
        return UNITS.get(rule.kind, "")
    metric = METRICS.get(rule.metric)
    if metric is None or rule.condition == Condition.MISSING:
        return ""
    if rule.condition == Condition.CHANGE:
        return POINTS if metric.unit == "share" else "%"
    return before(metric.unit, business().currency) or after(metric.unit)


def limit_said(rule: AlertRule) -> str:
    """The limit with its unit: Dhs 20,000; 15 %; 26 hours."""
    if rule.limit is None:
        return ""
    unit, said = unit_of(rule), plain(rule.limit)
    return f"{unit} {said}" if unit == business().currency else f"{said} {unit}".strip()


def plain(value: Decimal) -> str:
    """15.0000 -> 15; 20000.5 -> 20,000.5; never an exponent."""
    said = f"{Decimal(value):,f}"
    return (said.rstrip("0").rstrip(".") if "." in said else said).replace("-", "\N{MINUS SIGN}")


def condition_said(rule: AlertRule) -> str:
    """below Dhs 20,000; over 10 % off the period before; without a value."""
    if rule.condition == Condition.MISSING:
        return "missing"
    if rule.condition == Condition.CHANGE:
        return f"changed by more than {limit_said(rule)}"
    return f"{rule.condition} {limit_said(rule)}"


def rule_said(rule: AlertRule) -> str:
    """The rule in a line: Revenue by store, each closed month, below Dhs 20,000, Hielo."""
    parts = [label(rule), f"each closed {rule.grain}", condition_said(rule), rule.store]
    return ", ".join(part for part in parts if part)


def label(rule: AlertRule) -> str:
    metric = METRICS.get(rule.metric)
    label = metric.label if metric else f"“{rule.metric}”"
    return f"{label} by {SPLIT_WORDS.get(rule.split, rule.split)}" if rule.split else label


def value_said(value: Number, unit: str, limit: Decimal | None) -> str:
    """A value with its unit, as precise as pages have it; more so where it would read like the limit it isn't."""
    currency = business().currency
    said = with_unit(value, unit, currency)
    if value is None or limit is None or _measured(value, unit) == float(limit):
        return said
    if said != with_unit(float(limit) / (100 if unit == "share" else 1), unit, currency):
        return said
    scaled = value * 100 if unit == "share" else value
    least = 2 if unit == "money" else 1
    places = next((n for n in range(least, 5) if number(scaled, n) != number(limit, n)), 4)
    return " ".join(part for part in (before(unit, currency), number(scaled, places), after(unit)) if part)


def _moved(change: float | None, rule: AlertRule) -> str:
    if change is None:
        return DASH
    unit = "pp" if METRICS[rule.metric].unit == "share" else "%"
    return f"{'+' if change > 0 else ''}{number(change, 1)} {unit}"


# Where ---------------------------------------------------------------------------------------------------------------


def page_of(metric: str, grain: str = "month", split: str = "") -> str | None:
    """The page (of access.PAGES) where a figure is shown, first by a tab, else as a part of another; None: nowhere."""
    shown = _tab_of(metric, grain, split)
    if shown:
        return shown[0]
    return next((page for page, dashboard in DASHBOARDS.items() if metric in dashboard.metrics), None)


def _tab_of(metric: str, grain: str, split: str) -> tuple[str, frame.Tab] | None:
    """The first tab that shows a figure: by this grain before others, then with the split before others."""
    tabs = [(page, tab) for page, d in DASHBOARDS.items() for tab in d.tabs if metric in tab.metrics]

    def worse(found: tuple[str, frame.Tab]) -> tuple[bool, bool]:
        without = bool(split) and metric not in found[1].splits.get(split, ())
        return grain == "week" and found[1].monthly, without

    return min(tabs, key=worse, default=None)


def choices(user=None) -> list[tuple[str, list[tuple[str, str]]]]:
    """The figures a rule may be about, as a grouped choice: by the page that shows them, in the order of METRICS. Of a
    person only those whose page they open."""
    groups: dict[str, list] = {page: [] for page in DASHBOARDS}
    for name, metric in METRICS.items():
        if (page := page_of(name)) and {"week", "month"} & set(metric.grains):
            by = "" if "week" in metric.grains else " (by month alone)"
            groups[page].append((name, f"{metric.label}{by}"))
    shown = [page for page in groups if user is None or can_see(user, page)]
    return [(DASHBOARDS[page].title, groups[page]) for page in shown if groups[page]]


def address(rule: AlertRule, period: str, build: queries.Snapshot) -> str:
    """The path of the tab that shows the rule's figure, at the period and store; what is behind the figure where no tab
    has it."""
    slug = next((s.slug for s in frame.stores(build) if s.name == rule.store), frame.ALL_STORES)
    place = {"grain": rule.grain, "period": period, "store": slug}
    if shown := _tab_of(rule.metric, rule.grain, rule.split):
        page, tab = shown
        return f"{reverse(page)}?{urlencode({'tab': tab.slug} | place)}"
    page = page_of(rule.metric)
    if page is None:
        return reverse("definitions")
    return f"{reverse('follow', args=[page, rule.metric])}?{urlencode(place)}"


def latest(rule: AlertRule) -> str:
    """address() at the live data's last closed period; "" where there is none."""
    try:
        build = queries.current()
    except MoonwalkError:
        return ""
    closed = [p for p in frame.periods(build, rule.grain) if p.closed]
    return address(rule, closed[-1].key, build) if closed and rule.metric in METRICS else ""


# Judging -------------------------------------------------------------------------------------------------------------


def read(rule: AlertRule, build: queries.Snapshot) -> Reading:
    """The rule on a build's last closed period. Raises NotJudged when the build can't answer it."""
    metric = METRICS.get(rule.metric)
    if metric is None:
        raise NotJudged(f"There is no figure “{rule.metric}” any more: choose another one, or delete the rule.")
    closed = [p for p in frame.periods(build, rule.grain) if p.closed]
    if not closed:
        raise NotJudged(f"The data has no closed {rule.grain} yet.")
    period, base = closed[-1], closed[-2] if len(closed) > 1 else None
    try:
        rows, old = _ask(rule, metric, build, closed)
    except queries.QueryError as error:
        raise NotJudged(f"This data can't answer the rule: {error}") from None
    judge = _missing if rule.condition == Condition.MISSING else _against
    found = tuple(judge(rule, metric, of, values, period, base, old) for of, values in rows.items())
    return Reading(rule, period, base, found, address(rule, period.key, build))


def _ask(rule: AlertRule, metric: Metric, build: queries.Snapshot, closed: list) -> tuple[dict, set[str]]:
    """{value of the split, or "": {period: {metric or part of it: number}}}, and the periods with rows of the old
    system, in one question."""
    parts = [part for part, back in queries.direct_parts(metric.name).values() if not back]
    names, split = list(dict.fromkeys([metric.name, *parts])), rule.split or None
    reach = closed[-SEEN_LATELY - 1 :] if split else closed[-2:]
    wanted = {None: ["legacy_rows"]}
    wanted[split] = [*wanted.get(split, []), *names] if split is None else names
    filters = queries.Filters(store=rule.store or None)
    answer = build.ask(wanted, rule.grain, filters=filters, since=reach[0].key, until=reach[-1].key)
    old = {row["period"] for row in answer[None].iter_rows(named=True) if row["legacy_rows"]}
    rows: dict[str, dict] = {}
    for row in answer[split].iter_rows(named=True):
        rows.setdefault(row[split] if split else "", {})[row["period"]] = {name: row[name] for name in names}
    return rows, old


def _measured(value: float, unit: str) -> float:
    """A value in the unit that limits are typed in: a share in %."""
    return round(float(value) * (100 if unit == "share" else 1), 6)


def _change(metric: Metric, value: Number, base: Number) -> float | None:
    """From base to value: in %, of a share in points of %; None where there is nothing to compare with."""
    if value is None or base is None:
        return None
    if metric.unit == "share":
        return round((float(value) - float(base)) * 100, 6)
    return round((float(value) - float(base)) / abs(float(base)) * 100, 6) if base else None


def _against(rule, metric: Metric, of: str, values: dict, period, base, old: set[str]) -> Found:
    """Above, below, or changed by more than the limit? What the old system did not keep is judged in no period."""
    short = metric.lacks and period.key in old
    value = None if short else values[period.key][metric.name]
    comparable = base and not (metric.lacks and base.key in old)
    then = values[base.key][metric.name] if comparable else None
    change = _change(metric, value, then)
    if value is None:
        why = f"The old system kept no {metric.lacks}." if short else f"There is no value for {period.name}."
        return Found(of, None, then, why=why)
    if _unused(metric, of, values):
        return Found(of, value, then, why=f"It has had nothing for {len(values)} {rule.grain}s.")
    if rule.condition != Condition.CHANGE:
        over = _measured(value, metric.unit) - float(rule.limit)
        return Found(of, value, then, change, over > 0 if rule.condition == Condition.ABOVE else over < 0)
    if change is None:
        return Found(of, value, then, why=_no_base(metric, base, then, comparable))
    return Found(of, value, then, change, abs(change) > float(rule.limit))


def _no_base(metric: Metric, base, then: Number, comparable: bool) -> str:
    if base is None:
        return "The data has no period before to compare with."
    if not comparable:
        return f"The old system kept no {metric.lacks}, so {base.name} gives nothing to compare with."
    nothing = "There was no value" if then is None else "It was 0"
    return f"{nothing} in {base.name}, so there is nothing to compare with."


def _nothing(metric: Metric, values: dict) -> bool:
    """Does a period say nothing of a figure: no value, or 0 of what is counted and of all its parts?"""
    value = values[metric.name]
    return value is None or (value == 0 and not queries.is_ratio(metric.name) and not any(values.values()))


def _unused(metric: Metric, of: str, values: dict, but: str = "") -> bool:
    """Has a value of a split had nothing lately (a payment method that nobody uses)?"""
    return bool(of) and all(_nothing(metric, values[key]) for key in values if key != but)


def _missing(rule, metric: Metric, of: str, values: dict, period, base, old: set[str]) -> Found:
    """Is there nothing where something should be? The old system's periods need not have what it did not keep; a
    split's value that had nothing lately need not either."""
    value, then = values[period.key][metric.name], values[base.key][metric.name] if base else None
    exempt = (metric.lacks or metric.legacy_has_none) and period.key in old
    if exempt:
        return Found(of, value, then, why="The old system did not keep what it is made of.")
    if base is None and queries.looks_back(metric.name):
        return Found(of, value, then, why="The data has no period before, which this figure needs.")
    if _unused(metric, of, values, but=period.key):
        return Found(of, value, then, why=f"It had nothing in the {rule.grain}s before either.")
    return Found(of, value, then, met=_nothing(metric, values[period.key]))
