"""What every dashboard is made of: a persona lists cards and charts that name metrics, this room does the rest.

Dashboard > Tab > Card, Chart, Block    what a persona declares
State                                   what the URL says: tab, grain, period, store, filters; read and checked
Figures                                 the metrics of one tab in one build, every period
cards.py, by_period.py, blocks.py       cards, charts and tables with their numbers, for a template, Dash, an export
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from urllib.parse import urlencode

import polars as pl
from django.urls import reverse

from analytics import queries
from analytics.business import business
from analytics.customers import SEGMENTS
from analytics.formats import Change, Number, change, with_unit
from analytics.metrics import FORMULA, METRICS, parts_of
from etl.business import Store, slug
from etl.errors import WarehouseError

ALL_STORES = "all"
# What a page may be filtered by beside its store: the URL's parameter (a field of Filters) -> its words.
DIMENSIONS = {
    "area": "Area",
    "item_category": "Category",
    "service_type": "Service",
    "payment_type": "Payment method",
    "segment": "Segment",
}
LEAST = "least"  # the parameter of a list that begins at an amount


@dataclass(frozen=True)
class Grain:
    """A length of period: how many a chart shows, and what a person calls one."""

    name: str
    label: str
    word: str
    window: int


GRAINS = {g.name: g for g in (Grain("month", "Month", "month", 6), Grain("week", "Week", "week", 13))}


@dataclass(frozen=True)
class Period:
    """A month or week as it is shown: key 2026-02, short "Feb 2026", name "February 2026"."""

    key: str
    first_day: date
    last_day: date
    closed: bool

    @property
    def weekly(self) -> bool:
        return "W" in self.key

    @property
    def short(self) -> str:
        return f"Week {int(self.key[-2:])}, {self.key[:4]}" if self.weekly else f"{self.first_day:%b %Y}"

    @property
    def name(self) -> str:
        return f"{self.short} ({self.days})" if self.weekly else f"{self.first_day:%B %Y}"

    @property
    def days(self) -> str:
        return f"{self.first_day.day} {self.first_day:%b} to {self.last_day.day} {self.last_day:%b}"

    @property
    def option(self) -> str:
        """Its words in the list of periods."""
        text = f"{self.short} · {self.days}" if self.weekly else self.short
        return text if self.closed else f"{text}, so far"

    @property
    def year_before(self) -> str:
        """The key of the same month, or of the same ISO week number, a year before."""
        return f"{int(self.key[:4]) - 1}{self.key[4:]}"


# --- What a persona declares ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """A number with its changes, its last year as a small line, and its parts.

    parts: (metric, words); or split: the metric by the values of a dimension. note: a sentence of blocks.SENTENCES.
    drop_empty: parts with nothing now and in the period before are left out.
    """

    metric: str
    parts: tuple[tuple[str, str], ...] = ()
    split: str = ""
    subject: str = ""
    note: str = ""
    drop_empty: bool = False

    @property
    def metrics(self) -> tuple[str, ...]:
        return (self.metric, *(part for part, _ in self.parts))


@dataclass(frozen=True)
class Chart:
    """A chart of metrics. One `metric`, alone or by the values of `split`; or `series` of (metric, words).

    form, by period: bars (one metric, with last year), ahead (moving average, carried on), stacked, shares (of
    100 %), grouped (side by side), lines; of the chosen period alone: ranked (a split's values).
    """

    metric: str = ""
    form: str = "bars"
    series: tuple[tuple[str, str], ...] = ()
    split: str = ""
    title: str = ""
    subject: str = ""

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(m for m in (self.metric, *(m for m, _ in self.series)) if m)

    @property
    def id(self) -> str:
        return "-".join(part for part in (self.metrics[0], self.split, self.form) if part)


@dataclass(frozen=True)
class Block:
    """What is no figure a period: `name` is one of blocks.BLOCKS; whole: of the whole business alone."""

    name: str
    whole: bool = False


@dataclass(frozen=True)
class Tab:
    """One tab of a dashboard.

    insights: "" none, "top" the few that stand out, "all" every one by category. facts, tables: Blocks that are
    cards, tables. says: sentences of blocks.SENTENCES above the cards. takes: the dimensions it may be filtered by;
    "store" of a whole tab: its lists are of the chosen store.
    monthly: by month alone; undated: as of the exports' date, whatever period is chosen. whole: of the whole
    business, whatever store is chosen. ranks: its blocks show the period's customers one by one (State.customers).
    """

    slug: str
    label: str
    cards: tuple[Card, ...] = ()
    charts: tuple[Chart | Block, ...] = ()
    insights: str = ""
    facts: tuple[Block, ...] = ()
    tables: tuple[Block, ...] = ()
    says: tuple[str, ...] = ()
    takes: tuple[str, ...] = ("area",)
    monthly: bool = False
    undated: bool = False
    whole: bool = False
    ranks: bool = False

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that the tab names, once, in the order of METRICS."""
        named = {m for part in (*self.cards, *self._charts) for m in part.metrics}
        return tuple(name for name in METRICS if name in named)

    @cached_property
    def _charts(self) -> tuple[Chart, ...]:
        return tuple(c for c in self.charts if isinstance(c, Chart))

    @cached_property
    def splits(self) -> dict[str, tuple[str, ...]]:
        """The metrics that the tab shows by the values of a dimension: dimension -> metrics."""
        found: dict[str, dict] = {}
        for part in (*self.cards, *self._charts):
            if part.split:
                found.setdefault(part.split, {})[part.metric] = None
        return {split: tuple(names) for split, names in found.items()}


@dataclass(frozen=True)
class Dashboard:
    """A persona's page; `page` is its name in analytics.access.PAGES and that of its Dash app."""

    page: str
    title: str
    tabs: tuple[Tab, ...]

    @cached_property
    def metrics(self) -> frozenset[str]:
        """Every metric that any tab shows, and those that its formulas stand on: what the page's readers may ask."""
        found: set[str] = set()

        def take(name: str) -> None:
            if name not in found:
                found.add(name)
                if METRICS[name].mart == FORMULA:
                    for part in parts_of(METRICS[name].sql):
                        take(part)

        for tab in self.tabs:
            for name in tab.metrics:
                take(name)
        return frozenset(found)

    def tab(self, slug: str) -> Tab | None:
        return next((t for t in self.tabs if t.slug == slug), None)


# --- The business and the data -------------------------------------------------------------------------------------


def currency() -> str:
    """The word for money in this business: "Dhs"."""
    return business().currency


def stores(build: queries.Snapshot) -> list[Store]:
    """The stores that a build knows and its reader may see; one added to the business file counts from the next
    refresh on."""
    known = build.values("store")
    return [store for store in business().stores if store.name in known]


def values(build: queries.Snapshot, dimension: str) -> list[str]:
    """The values of one of DIMENSIONS, in the order in which pages show them."""
    return [s.name for s in SEGMENTS] if dimension == "segment" else build.values(dimension)


def periods(build: queries.Snapshot, grain: str) -> tuple[Period, ...]:
    """Every period of a grain, the oldest first, the open one last."""

    def read(_):
        newest_first = build.periods(grain).rows()
        return tuple(Period(key, first, last, closed) for key, _, first, last, closed in reversed(newest_first))

    return build.kept(("Periods", grain), read)


@dataclass(frozen=True)
class Figures:
    """The values of a tab's metrics in every period of one grain.

    periods: oldest first, the open one last. values: metric -> period key -> value; splits: (metric, dimension) ->
    its value -> period key -> value. old_system: keys of the periods with rows of the old system, which kept neither
    items nor payments. unasked: metric -> why it has no values under the page's filters.
    chosen_by: why its values may not be compared, as its customers were chosen by what they did in these very periods.
    """

    grain: Grain
    periods: tuple[Period, ...]
    values: Mapping[str, Mapping[str, Number]]
    splits: Mapping[tuple[str, str], Mapping[str, Mapping[str, Number]]]
    old_system: frozenset[str]
    unasked: Mapping[str, str]
    by_key: Mapping[str, int] = field(repr=False)
    chosen_by: str = ""

    def period(self, key: str) -> Period | None:
        at = self.by_key.get(key)
        return None if at is None else self.periods[at]

    def before(self, period: Period) -> Period | None:
        at = self.by_key[period.key]
        return self.periods[at - 1] if at else None

    def year_before(self, period: Period) -> Period | None:
        return self.period(period.year_before)

    def window(self, period: Period) -> list[Period]:
        """The periods that a chart of this one shows."""
        at = self.by_key[period.key] + 1
        return list(self.periods[max(0, at - self.grain.window) : at])

    def value(self, metric: str, period: Period | None) -> Number:
        return None if period is None or metric in self.unasked else self.values[metric].get(period.key)

    def kept(self, metric: str, period: Period | None) -> bool:
        """Does the metric's value of this period say all? Not where the old system kept no items or payments."""
        return period is not None and not (period.key in self.old_system and METRICS[metric].lacks)

    def comparable(self, metric: str, period: Period | None) -> Number:
        """The value to compare others with, or to draw a line through; None where it wouldn't say all."""
        return self.value(metric, period) if self.kept(metric, period) else None

    def short_of(self, metric: str, period: Period) -> str:
        """What a value lacks in a period with rows of the old system; "" elsewhere."""
        return "" if self.kept(metric, period) else f"The old system kept no {METRICS[metric].lacks}."

    def why(self, metric: str, period: Period) -> str:
        """Why a metric has no value in a period; "" where that needs no words."""
        return self.unasked.get(metric) or self.short_of(metric, period)

    def change(self, metric: str, period: Period, base: Period | None, base_name: str) -> Change:
        """How a metric moved from `base` to `period`, or a dash with its reason."""
        return self._moved(metric, self.value(metric, period), self.value(metric, base), period, base, base_name)

    def split_change(self, metric: str, now: Number, then: Number, period: Period) -> Change:
        """The same of one value of a split, on the period before: `now` is its number of `period`, `then` of that."""
        base = self.before(period)
        return self._moved(metric, now, then, period, base, _name_of_the_one_before(base, period))

    def _moved(self, metric: str, now: Number, then: Number, period: Period, base: Period | None, base_name: str):
        if metric in self.unasked:
            return Change(base_name, why=self.unasked[metric])
        if self.chosen_by:
            return Change(base_name, why=self.chosen_by)
        if not period.closed:
            return Change(base_name, why=f"{period.short} isn't over yet, and a part isn't compared with a whole.")
        if base is None:
            return Change(base_name, why=f"The data begins with {self.periods[0].short}: there is no {base_name}.")
        if not self.kept(metric, base):
            return Change(base_name, why=f"The old system kept no {METRICS[metric].lacks}, so "
                          f"{base_name} gives nothing to compare with.")  # fmt: skip
        m = METRICS[metric]
        return change(now, then, base_name, m.unit, currency(), m.better)

    def changes(self, metric: str, period: Period) -> list[Change]:
        """On the period before and on the year before."""
        return [
            self.change(metric, period, self.before(period), _name_of_the_one_before(self.before(period), period)),
            self.change(metric, period, self.year_before(period), _name_a_year_before(period)),
        ]


def _name_of_the_one_before(base: Period | None, period: Period) -> str:
    return base.short if base else f"{'week' if period.weekly else 'month'} before"


def _name_a_year_before(period: Period) -> str:
    key = period.year_before
    return f"Week {int(key[-2:])}, {key[:4]}" if period.weekly else f"{period.first_day:%b} {key[:4]}"


def figures(
    build: queries.Snapshot, tab: Tab, grain: str, filters: queries.Filters, ranked: str | None = None
) -> Figures:
    """The tab's metrics in a build, kept with it: a new build starts anew, so nothing kept can be stale.

    ranked: the period whose customers are asked for in the same statement, where these metrics aren't kept yet.
    """
    key = ("figures", tab.metrics, tuple(tab.splits.items()), grain, filters)
    return build.shared(key, lambda _: _figures(build, tab, grain, filters, ranked))


def _figures(
    build: queries.Snapshot, tab: Tab, grain: str, filters: queries.Filters, ranked: str | None
) -> Figures:
    chosen = [d for d in DIMENSIONS if getattr(filters, d) is not None]
    unasked = {}
    for name in tab.metrics:
        against = [d for d in chosen if not queries.can_filter(name, d)]
        if against:
            unasked[name] = f"Not counted by {DIMENSIONS[against[0]].lower()}."
        elif grain not in METRICS[name].grains:
            unasked[name] = "Counted by month alone."
    asked = [n for n in tab.metrics if n not in unasked and build.may_see(n)]
    # A figure of the whole business stays one whatever store the page shows.
    whole = [n for n in asked if METRICS[n].whole and filters.store]
    wanted = {None: [*(n for n in asked if n not in whole), *(["legacy_rows"] if asked else [])]}
    wanted |= {split: [n for n in names if n not in unasked] for split, names in tab.splits.items()}
    found = _ask(build, wanted, whole, grain, filters, ranked)
    values = {
        name: dict(zip(frame["period"].to_list(), frame[name].to_list(), strict=True))
        for names, frame in ((wanted[None], found[None]), (whole, found["whole"])) for name in names
    }  # fmt: skip
    splits = {
        (name, split): _by_value(found[split], split, name) for split in tab.splits for name in wanted[split]
    }  # fmt: skip
    old_system = frozenset(key for key, rows in values.get("legacy_rows", {}).items() if rows)
    every = periods(build, grain)
    chosen_by = f"Who is in the segment {filters.segment} is decided by these very months."
    return Figures(
        GRAINS[grain], every, values, splits, old_system, unasked, {p.key: i for i, p in enumerate(every)},
        chosen_by if filters.segment else "",
    )  # fmt: skip


def _ask(
    build: queries.Snapshot, wanted: dict, whole: list[str], grain: str, filters: queries.Filters, ranked: str | None
) -> dict:
    """The frames of Snapshot.ask(), and under "whole" that of the metrics that no store narrows; one statement for all.

    With such metrics beside a store's, the store's are its rows of a split by store. Raises ValueError for `ranked`
    beside these: customers are ranked in the whole business alone.
    """
    if not whole:
        return build.ask(wanted, grain, filters=filters, include_open=True, ranked=ranked) | {"whole": None}
    if ranked:
        raise ValueError(f"Customers are not ranked beside the figures of {filters.store}.")
    of_stores = {split: ("store", split) if split else "store" for split in wanted}
    asked = {None: whole} | {of_stores[split]: names for split, names in wanted.items()}
    found = build.ask(asked, grain, filters=replace(filters, store=None), include_open=True)
    mine = {split: found[by].filter(found[by]["store"] == filters.store) for split, by in of_stores.items()}
    return mine | {"whole": found[None]}


def _by_value(frame, split: str, name: str) -> dict:
    found: dict[str, dict] = {}
    for value, period, number in zip(frame[split], frame["period"], frame[name], strict=True):
        found.setdefault(value, {})[period] = number
    return found


# --- What the URL says ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """A dashboard at one place: everything that its URL says, checked.

    store: the one whose figures are shown, None for all; filters: what the rows are filtered by, the store included.
    least: the amount that a list begins at. idle: what the URL names beside them and this tab does not take (one of
    DIMENSIONS or LEAST -> its value): it filters nothing here, is said to, and goes along to tabs that take it.
    """

    dashboard: Dashboard
    tabs: tuple[Tab, ...]
    tab: Tab
    grain: Grain
    period: Period
    store: Store | None
    filters: queries.Filters
    build: queries.Snapshot
    messages: tuple[str, ...] = ()
    least: int = 0
    idle: tuple[tuple[str, str], ...] = ()

    @cached_property
    def figures(self) -> Figures:
        """The tab's metrics, asked for when something needs them."""
        ranked = self.period.key if self.tab.ranks else None
        return figures(self.build, self.tab, self.grain.name, self.filters, ranked)

    @property
    def customers(self) -> pl.DataFrame:
        """Snapshot.concentration() of the period, on a tab that ranks."""
        grain = self.figures.grain  # these first: their statement leaves the customers with the build
        return self.build.concentration(grain.name, self.period.key, self.filters)

    @cached_property
    def params(self) -> dict[str, str]:
        """The URL's parameters of this state, its filters among them, those that wait for another tab too."""
        place = {"tab": self.tab.slug, "grain": self.grain.name, "period": self.period.key,
                 "store": self.store.slug if self.store else ALL_STORES}  # fmt: skip
        place |= {LEAST: str(self.least)} if self.least else {}
        return place | {d: slug(value) for d, value in (*self.filtered.items(), *self.idle)}

    def export(self, form: str, table: str | None = None) -> str:
        """Where what is on screen, or one of its tables, is downloaded."""
        return f"{reverse('export', args=[self.dashboard.page, form])}?{self._query(table=table)}"

    def _query(self, **other: str | None) -> str:
        return urlencode({k: v for k, v in (self.params | other).items() if v is not None})

    def url(self, **other: str | None) -> str:
        """The address of this state, or of one that differs in some parameters (None leaves one out).

        On another tab, filters that it doesn't take are idle: they are back on the next tab that does.
        """
        return f"{reverse(self.dashboard.page)}?{self._query(**other)}"

    def on(self, page: str) -> str:
        """The address of another dashboard at this place: its first tab, with grain, period, store and filters where
        they aren't the usual."""
        usual = {"grain": "month", "period": usual_period(periods(self.build, self.grain.name)).key,
                 "store": self.store.slug if self.build.only else ALL_STORES}  # fmt: skip
        said = {k: v for k, v in self.params.items() if k != "tab" and v != usual.get(k)}
        return f"{reverse(page)}?{urlencode(said)}" if said else reverse(page)

    @property
    def without_idle(self) -> dict[str, None]:
        """For url() and its like: leaves out what filters nothing here, so that it filters nothing there either."""
        return {name: None for name, _ in self.idle}

    def follow(self, metric: str, **other: str | None) -> str:
        """Where the rows behind a metric of this state are."""
        address = reverse("follow", args=[self.dashboard.page, metric])
        whole = {"store": ALL_STORES} if self.tab.whole else {}
        return f"{address}?{self._query(**({'tab': None, LEAST: None} | self.without_idle | whole | other))}"

    def list_url(self, address: str, **more: str) -> str:
        """Where a whole list behind this state is (analytics/lists.py)."""
        kept = {k: v for k, v in self.params.items() if k in DIMENSIONS or (k == "store" and self.by_store)}
        return f"{reverse('list', args=[self.dashboard.page, address])}?{urlencode(kept | more)}"

    @property
    def by_store(self) -> bool:
        """Does the chosen store count for anything here? Of a whole tab's lists alone."""
        return not self.tab.whole or "store" in self.tab.takes

    @cached_property
    def filtered(self) -> dict[str, str]:
        """The filters beside the store: one of DIMENSIONS -> the value that is chosen."""
        chosen = {d: getattr(self.filters, d) for d in DIMENSIONS}
        return {d: value for d, value in chosen.items() if value is not None}

    @property
    def filters_said(self) -> list[str]:
        """Those in words: "Area: Inside Abu Dhabi"; of a segment, when."""
        return [self._chip(d, value) for d, value in self.filtered.items()]

    @property
    def slugs(self) -> list[str]:
        """The store and the filters for a file's name: without them two files of one period look the same."""
        store = [self.store.slug] if self.store and self.by_store else []
        return store + [slug(value) for value in self.filtered.values()]

    def _chip(self, dimension: str, value: str) -> str:
        when = f" (at the end of {self.period.short})" if dimension == "segment" and not self.tab.undated else ""
        return f"{DIMENSIONS[dimension]}: {value}{when}"

    @property
    def chips(self) -> list[dict]:
        """The filters as removable chips, the store first, idle ones last: name ("area"), label ("Area: Inside"), idle,
        url of the page without it. A store that the reader is kept to, or that counts for nothing here, is none."""
        names, labels = list(self.filtered), self.filters_said
        if self.store and not self.build.only and self.by_store:
            names, labels = ["store", *names], [f"Store: {self.store.name}", *labels]
        names += [name for name, _ in self.idle]
        labels += [_idle(name, value) for name, value in self.idle]
        idle = len(names) - len(self.idle)
        return [
            {"name": name, "label": label, "url": self.url(**{name: None}), "idle": i >= idle}
            for i, (name, label) in enumerate(zip(names, labels, strict=True))
        ]

    @cached_property
    def key(self) -> tuple:
        """What distinguishes the tab's content from others of the same build: where it is, what its links carry along,
        and the business file, which has its words."""
        store = self.store.slug if self.store else ALL_STORES
        place = (self.dashboard.page, self.tab.slug, self.grain.name, self.period.key, store, self.filters, self.least)
        return (*place, self.idle, hashlib.sha256(business().text.encode()).hexdigest())


def _idle(name: str, value: str) -> str:
    """An idle filter in words: "Area: Inside", "Revenue in all from: Dhs 500"."""
    if name == LEAST:
        return f"Revenue in all from: {with_unit(int(value), 'money', currency())}"
    return f"{DIMENSIONS[name]}: {value}"


def _choose(what: str, params: Mapping, options: Mapping, usual: str | None, messages: list):
    """The option that a parameter names; the usual one, with a message, when there is no such option."""
    wanted = params.get(what) or usual
    if wanted not in options:
        messages.append(f"There is no {what.replace('_', ' ')} “{str(wanted)[:40]}”, so this is the usual one.")
        wanted = usual
    return options.get(wanted)


def read_state(dashboard: Dashboard, params: Mapping[str, str], build: queries.Snapshot) -> State:
    """The state that a URL's parameters name. What can't be read falls back to the usual, with a message saying so.

    Usual: the first tab, months, the last closed period, all stores. `build` is the reader's: restricted to a store
    where the reader is. Raises Refused when they ask for another store, or for a segment of the whole business.
    """
    messages: list[str] = []
    tabs = tuple(t for t in dashboard.tabs if not (t.whole and build.only))
    tab = _choose("tab", params, {t.slug: t for t in tabs}, tabs[0].slug, messages)
    grain = _choose("grain", params, GRAINS, "month", messages)
    store = _read_store(params, build, messages)
    period_key = params.get("period")
    if tab.monthly and grain.name != "month":
        period_key = nearest(build, grain.name, "month", period_key)
        grain = GRAINS["month"]
        messages.append("This tab is by month.")
    every = periods(build, grain.name)
    usual = usual_period(every)
    period = next((p for p in every if p.key == period_key), None) if period_key else usual
    if period is None:
        messages.append(f"There is no {grain.word} “{period_key[:40]}” in the data, so this is {usual.name}.")
        period = usual
    chosen = _read_filters(params, tab, build, messages)
    filters = queries.Filters(
        store=None if tab.whole or not store else store.name,
        segment_month=f"{period.last_day:%Y-%m}" if "segment" in chosen and "segment" in tab.takes else None,
        **{d: value for d, value in chosen.items() if d in tab.takes},
    )
    least = params.get(LEAST, "")
    least = int(least) if least.isascii() and least.isdigit() and len(least) < 7 else 0
    chosen |= {LEAST: str(least)} if least else {}
    return State(
        dashboard, tabs, tab, grain, period, store, filters, build, tuple(messages),
        least if LEAST in tab.takes else 0,
        tuple((name, value) for name, value in chosen.items() if name not in tab.takes),
    )  # fmt: skip


def usual_period(every: tuple[Period, ...]) -> Period:
    """The last closed period; the open one of data that begins with it."""
    return next((p for p in reversed(every) if p.closed), every[-1])


def _read_store(params: Mapping, build: queries.Snapshot, messages: list) -> Store | None:
    known = stores(build)
    if not build.only:
        return _choose("store", params, {ALL_STORES: None} | {s.slug: s for s in known}, ALL_STORES, messages)
    if not known:  # the business file no longer has it
        raise WarehouseError(queries.NO_SUCH_STORE.format(build.only))
    if params.get("store") not in (None, "", ALL_STORES, known[0].slug):
        raise queries.Refused(queries.ONE_STORE.format(build.only))
    return known[0]


def _read_filters(params: Mapping, tab: Tab, build, messages: list) -> dict[str, str]:
    """One of DIMENSIONS -> the value that the URL names, whether the tab takes it or not."""
    chosen = {}
    for dimension in DIMENSIONS:
        if not params.get(dimension):
            continue
        if dimension == "segment" and build.only:
            if dimension in tab.takes:
                build.whole("An RFM segment")
            messages.append("This tab isn't filtered by segment: it shows all.")  # nor is any other of this reader's
            continue
        options = {slug(v): v for v in values(build, dimension)}
        value = _choose(dimension, params, options, None, messages)
        if value is not None:
            chosen[dimension] = value
    return chosen


def nearest(build: queries.Snapshot, grain: str, other: str, key: str | None) -> str | None:
    """The key of the other grain's period nearest to this one: the newest closed one that began by its last day."""
    here = next((p for p in periods(build, grain) if p.key == key), None)
    closed = [p for p in periods(build, other) if p.closed]
    near = [p for p in closed if here is None or p.first_day <= here.last_day] or closed
    return near[-1].key if near else None


def grain_choices(state: State, url: Callable[..., str] | None = None) -> list[dict]:
    """Month or week (label, url, here), each at the period nearest to this one; none where there is no choice.

    url(grain=..., period=...): the address of this place in another state; state.url without it.
    """
    if state.tab.monthly or state.tab.undated:
        return []
    url, found = url or state.url, []
    for grain in GRAINS.values():
        here = grain == state.grain
        there = {} if here else {
            "grain": grain.name, "period": nearest(state.build, state.grain.name, grain.name, state.period.key)
        }  # fmt: skip
        found.append({"label": grain.label, "url": url(**there), "here": here})
    return found


def store_choices(state: State) -> list[dict]:
    """The stores to choose from (slug, label, here): one alone for who is kept to it."""
    every = [] if state.build.only else [{"slug": ALL_STORES, "label": "All stores", "here": state.store is None}]
    return every + [{"slug": s.slug, "label": s.name, "here": s == state.store} for s in stores(state.build)]


def when(state: State) -> str:
    """February 2026; March 2026, so far; as of 5 March 2026."""
    if state.tab.undated:
        day = date.fromisoformat(state.build.meta()["as_of"])
        return f"As of {day.day} {day:%B %Y}"
    return state.period.name + ("" if state.period.closed else ", so far")


def tell(state: State) -> str:
    """What the page is about, in words: "February 2026 · Hielo · Area: Inside Abu Dhabi"."""
    where = state.store.name if state.store else "all stores"
    if state.tab.whole:
        listed = f", lists of customers of {state.store.name}" if state.store and state.by_store else ""
        where = f"the whole business{listed}"
    return " · ".join([when(state), where, *state.filters_said])
