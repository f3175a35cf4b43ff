"""What every dashboard is made of: a persona lists cards and charts that name metrics, this module does the rest.

Dashboard > Tab > Card, Chart    what a persona declares
State                            what the URL says: tab, grain, period, store; read, checked, and written back as links
Figures                          the metrics of one build, grain and store, every period, cached by build id
cards(), charts()                Card and Chart with their numbers, ready for a template or for Dash
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from analytics import charts as plot
from analytics import queries
from analytics.formats import DASH, Change, Number, after, before, change, figure, with_unit
from analytics.metrics import METRICS
from analytics.seasons import seasons
from etl.business import Business, Store, load_business

ALL_STORES = "all"
SPARK_PERIODS = 13
AHEAD = 3  # periods that a moving average takes in, and that it is drawn ahead


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
    """A number with its changes, its last year as a small line, and the parts it is made of: (metric, words)."""

    metric: str
    parts: tuple[tuple[str, str], ...] = ()
    subject: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart of one metric by period. form: bars (with last year) or ahead (moving average, carried on)."""

    metric: str
    form: str = "bars"
    title: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Tab:
    """One tab of a dashboard; `insights`: "" none, "top" the few that stand out, "all" every one by category."""

    slug: str
    label: str
    cards: tuple[Card, ...] = ()
    charts: tuple[Chart, ...] = ()
    insights: str = ""


@dataclass(frozen=True)
class Dashboard:
    """A persona's page; `page` is its name in analytics.access.PAGES and that of its Dash app."""

    page: str
    title: str
    tabs: tuple[Tab, ...]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that any tab names, once, in the order of METRICS."""
        named = {c.metric for t in self.tabs for c in (*t.cards, *t.charts)}
        named |= {part for t in self.tabs for c in t.cards for part, _ in c.parts}
        return tuple(name for name in METRICS if name in named)

    def tab(self, slug: str) -> Tab | None:
        return next((t for t in self.tabs if t.slug == slug), None)


# --- The business and the data -------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _business(path: Path, changed: int) -> Business:
    return load_business(path)


def business() -> Business:
    """The facts of the business file that the settings name; read again when it changes."""
    path = Path(settings.BUSINESS_FILE)
    return _business(path, path.stat().st_mtime_ns) if path.exists() else load_business(path)


def stores() -> list[Store]:
    """The stores that the current build knows: one added to the business file counts from the next refresh on."""
    known = queries.current().values("store")
    return [store for store in business().stores if store.name in known]


@dataclass(frozen=True)
class Figures:
    """The values of some metrics in every period of one grain, in one build, for one store or all.

    periods: oldest first, the open one last. values: metric -> period key -> value. old_system: keys of the periods
    with rows of the old system, which kept neither items nor payments.
    """

    grain: Grain
    periods: tuple[Period, ...]
    values: Mapping[str, Mapping[str, Number]]
    old_system: frozenset[str]
    by_key: Mapping[str, int] = field(repr=False)

    def period(self, key: str) -> Period | None:
        at = self.by_key.get(key)
        return None if at is None else self.periods[at]

    def before(self, period: Period) -> Period | None:
        at = self.by_key[period.key]
        return self.periods[at - 1] if at else None

    def year_before(self, period: Period) -> Period | None:
        return self.period(period.year_before)

    def value(self, metric: str, period: Period | None) -> Number:
        return None if period is None else self.values[metric].get(period.key)

    def kept(self, metric: str, period: Period | None) -> bool:
        """Does the metric's value of this period say all? Not where the old system kept no items or payments."""
        return period is not None and not (period.key in self.old_system and _what_the_old_system_lacked(metric))

    def comparable(self, metric: str, period: Period | None) -> Number:
        """The value to compare others with, or to draw a line through; None where it wouldn't say all."""
        return self.value(metric, period) if self.kept(metric, period) else None

    def change(self, metric: str, period: Period, base: Period | None, base_name: str) -> Change:
        """How a metric moved from `base` to `period`, or a dash with its reason."""
        if not period.closed:
            return Change(base_name, why=f"{period.short} isn't over yet, and a part isn't compared with a whole.")
        if base is None:
            return Change(base_name, why=f"The data begins with {self.periods[0].short}: there is no {base_name}.")
        if not self.kept(metric, base):
            return Change(base_name, why=f"The old system kept no {_what_the_old_system_lacked(metric)}, so "
                          f"{base_name} gives nothing to compare with.")  # fmt: skip
        m = METRICS[metric]
        return change(self.value(metric, period), self.value(metric, base), base_name, m.unit, currency(), m.better)

    def changes(self, metric: str, period: Period) -> list[Change]:
        """On the period before and on the year before."""
        return [
            self.change(metric, period, self.before(period), _name_of_the_one_before(self.before(period), period)),
            self.change(metric, period, self.year_before(period), _name_a_year_before(period)),
        ]


def _what_the_old_system_lacked(metric: str) -> str:
    """items or payments when the metric counts them, else ""."""
    return "items" if "item" in metric else "payments" if "collection" in metric else ""


def _name_of_the_one_before(base: Period | None, period: Period) -> str:
    return base.short if base else f"{'week' if period.weekly else 'month'} before"


def _name_a_year_before(period: Period) -> str:
    key = period.year_before
    return f"Week {int(key[-2:])}, {key[:4]}" if period.weekly else f"{period.first_day:%b} {key[:4]}"


def currency() -> str:
    """The word for money in this business: "Dhs"."""
    return business().currency


def figures(build: queries.Snapshot, dashboard: Dashboard, grain: str, store: Store | None) -> Figures:
    """The dashboard's metrics in a build, kept with it: a new build starts anew, so nothing kept can be stale."""
    only = queries.Filters(store=store.name if store else None)
    key = ("figures", dashboard.page, grain, only)
    return build.kept(key, lambda _: _figures(build, dashboard.metrics, grain, only))


def _figures(build: queries.Snapshot, metrics: tuple[str, ...], grain: str, only: queries.Filters) -> Figures:
    rows = build.periods(grain).sort("first_day").to_dicts()
    periods = tuple(Period(r["period"], r["first_day"], r["last_day"], r["closed"]) for r in rows)
    names = [*metrics, "legacy_rows"]
    frame = build.query(names, grain, filters=only, include_open=True)
    keys = frame["period"].to_list()
    values = {name: dict(zip(keys, frame[name].to_list(), strict=True)) for name in names}
    old_system = frozenset(key for key, rows in values["legacy_rows"].items() if rows)
    return Figures(GRAINS[grain], periods, values, old_system, {p.key: i for i, p in enumerate(periods)})


# --- What the URL says ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """A dashboard at one place: everything that its URL says, checked."""

    dashboard: Dashboard
    tab: Tab
    grain: Grain
    period: Period
    store: Store | None
    build: queries.Snapshot
    figures: Figures
    messages: tuple[str, ...] = ()

    def url(self, **other: str) -> str:
        """The address of this state, or of one that differs in tab, grain, period or store."""
        place = {"tab": self.tab.slug, "grain": self.grain.name, "period": self.period.key,
                 "store": self.store.slug if self.store else ALL_STORES} | other  # fmt: skip
        return f"{reverse(self.dashboard.page)}?{urlencode(place)}"


def read_state(dashboard: Dashboard, params: Mapping[str, str]) -> State:
    """The state that a URL's parameters name. What can't be read falls back to the usual, with a message saying so.

    Usual: the first tab, months, the last closed period, all stores. Raises WarehouseError without data.
    """
    messages = []

    def choose(what: str, options: Mapping, usual: str):
        wanted = params.get(what) or usual
        if wanted not in options:
            messages.append(f"There is no {what} “{wanted[:40]}”, so this is the usual one.")
            wanted = usual
        return options[wanted]

    tab = choose("tab", {t.slug: t for t in dashboard.tabs}, dashboard.tabs[0].slug)
    grain = choose("grain", GRAINS, "month")
    store = choose("store", {ALL_STORES: None} | {s.slug: s for s in stores()}, ALL_STORES)
    build = queries.current()
    data = figures(build, dashboard, grain.name, store)
    usual = next((p for p in reversed(data.periods) if p.closed), data.periods[-1])
    period = data.period(params["period"]) if params.get("period") else usual
    if period is None:
        messages.append(f"There is no {grain.word} “{params['period'][:40]}” in the data, so this is {usual.name}.")
    return State(dashboard, tab, grain, period or usual, store, build, data, tuple(messages))


def in_other_grain(state: State, grain: str) -> str:
    """The address of the other grain's period nearest to this one: the newest closed one that began by its last day."""
    if grain == state.grain.name:
        return state.url()
    periods = [p for p in figures(state.build, state.dashboard, grain, state.store).periods if p.closed]
    near = [p for p in periods if p.first_day <= state.period.last_day] or periods
    return state.url(grain=grain, period=near[-1].key) if near else state.url(grain=grain, period="")


# --- Cards ---------------------------------------------------------------------------------------------------------


def cards(state: State) -> list[dict]:
    """The tab's cards with their numbers: metric, label, about, subject, before, value, after, so_far, changes (of
    Change), spark (SVG path), end (the line's last point), parts (of label, value, Change)."""
    data, period = state.figures, state.period
    shown = []
    for card in state.tab.cards:
        m = METRICS[card.metric]
        spark, end = _spark(data, card.metric, period)
        parts = [
            (words, with_unit(data.value(p, period), METRICS[p].unit, ""), data.changes(p, period)[0])
            for p, words in card.parts
        ]
        value = data.value(card.metric, period)
        shown.append({
            "metric": card.metric, "label": m.label, "about": m.description, "subject": card.subject or card.metric,
            "before": before(m.unit, currency()) if value is not None else "", "value": figure(value, m.unit),
            "after": after(m.unit) if value is not None else "", "so_far": not period.closed,
            "changes": data.changes(card.metric, period), "spark": spark, "end": end, "parts": parts,
        })  # fmt: skip
    return shown


def _spark(data: Figures, metric: str, period: Period) -> tuple[str, str]:
    """The SVG path of the last periods' line in a box of 200 x 44, and of the dot at its end; "" with nothing to draw.

    A period that isn't over is left out: its part would read as a fall.
    """
    at = data.by_key[period.key] + 1
    window = [p for p in data.periods[max(0, at - SPARK_PERIODS) : at] if p.closed]
    values = [data.comparable(metric, p) for p in window]
    top = max([float(v) for v in values if v is not None] or [0])
    if not top or len(values) < 2:
        return "", ""
    path, pen = [], "M"
    for i, v in enumerate(values):
        if v is None:
            pen = "M"
            continue
        path.append(f"{pen}{i * 200 / (len(values) - 1):.1f} {41 - max(0.0, float(v)) / top * 36:.1f}")
        pen = "L"
    return " ".join(path), f"M{path[-1][1:]}h0" if values[-1] is not None else ""


# --- Charts --------------------------------------------------------------------------------------------------------


def charts(state: State) -> list[dict]:
    """The tab's charts: id, title, note, alt (what a screen reader says), figure (Plotly), head and rows (a table)."""
    data, tab, period = state.figures, state.tab, state.period
    key = ("charts", state.dashboard.page, tab.slug, data.grain.name, period.key, state.store and state.store.name)
    return state.build.kept(key, lambda _: [_chart(data, chart, period) for chart in tab.charts])


def _window(data: Figures, period: Period) -> list[Period]:
    at = data.by_key[period.key] + 1
    return list(data.periods[max(0, at - data.grain.window) : at])


def _chart(data: Figures, chart: Chart, period: Period) -> dict:
    """One chart with its words and its table."""
    m = METRICS[chart.metric]
    subject = chart.subject or chart.metric
    unit_words = before(m.unit, currency()) or after(m.unit) or m.label.lower()
    window = _window(data, period)
    points = [_point(data, chart.metric, p, i, window, period) for i, p in enumerate(window)]
    bands = [
        plot.Band(s.name, s.first_day, s.last_day, strong=s.name != "Ramadan")
        for s in seasons(window[0].first_day, window[-1].last_day) if s.name == "Ramadan" or s.name.startswith("Eid")
    ]  # fmt: skip
    title = chart.title or m.label
    each = f"{unit_words[:1].upper()}{unit_words[1:]} a {data.grain.word}"
    if chart.form == "ahead":
        average = [_average(data, chart.metric, p) for p in window]
        last = next((p for p, v in zip(reversed(window), reversed(average), strict=True) if v is not None), period)
        drawn = plot.ahead(points, average, _coming(last, window[-1]), subject, m.unit, currency(), unit_words, bands)
        says = f"Line: mean of the last {AHEAD} closed {data.grain.word}s, carried on dashed."
        head, extra = f"Mean of {AHEAD}", average
    else:
        drawn = plot.bars(points, subject, m.unit, currency(), unit_words, bands)
        says = "Dashed: the year before." if any(p.last_year is not None for p in points) else ""
        head, extra = "Year before", [p.last_year for p in points]
    rows = [
        {"period": p.option, "value": with_unit(x.value, m.unit, currency()), "extra": with_unit(e, m.unit, currency()),
         "change": data.changes(chart.metric, p)[0].percent, "chosen": x.chosen}
        for p, x, e in zip(window, points, extra, strict=True)
    ]  # fmt: skip
    shaded = f"Shaded: {_list(b.name for b in bands)} (calculated)." if bands else ""
    return {
        "id": f"{chart.metric}-{chart.form}", "title": title,
        "note": " ".join(text for text in (f"{each}.", says, shaded, _gap(data, chart.metric, window)) if text),
        "alt": _alt(title, rows), "figure": drawn, "rows": rows,
        "head": [data.grain.label, m.label, head, f"On the {data.grain.word} before"],
    }  # fmt: skip


def _point(data: Figures, metric: str, p: Period, i: int, window: list[Period], chosen: Period) -> plot.Point:
    m = METRICS[metric]
    said = [c.said for c in data.changes(metric, p) if c.said]
    value = with_unit(data.value(metric, p), m.unit, currency())
    return plot.Point(
        p.key, _tick(p, i, len(window)), data.value(metric, p), data.comparable(metric, data.year_before(p)),
        (p.name if p.closed else f"{p.name}, so far", value if m.unit != "count" else f"{value} {m.label.lower()}",
         *said),
        p.first_day, p.last_day, p == chosen, not p.closed,
    )  # fmt: skip


def _tick(period: Period, i: int, n: int) -> str:
    """A period's words on the axis: months by name with the year where it begins, every other week by its Monday."""
    if period.weekly:
        return f"{period.first_day.day} {period.first_day:%b}" if (n - 1 - i) % 2 == 0 else ""
    return f"{period.first_day:%b}" + (f"<br>{period.first_day.year}" if i == 0 or period.first_day.month == 1 else "")


def _average(data: Figures, metric: str, period: Period) -> Number:
    """The mean of the last closed periods up to this one; None for one that isn't over or has too few before it."""
    at = data.by_key[period.key] + 1
    taken = data.periods[max(0, at - AHEAD) : at]
    values = [data.comparable(metric, p) for p in taken]
    if not period.closed or len(values) < AHEAD or any(v is None for v in values):
        return None
    return sum(float(v) for v in values) / AHEAD


def _coming(last: Period, shown: Period) -> list[str]:
    """The axis words of the periods to come after `last`, without those that the chart shows already."""
    words, first = [], last.last_day + timedelta(days=1)
    for n in range(1, AHEAD + 1):
        if first > shown.last_day:
            words.append((f"{first.day} {first:%b}" if n % 2 == 0 else "") if last.weekly else f"{first:%b}")
        first = first + timedelta(days=7) if last.weekly else (first + timedelta(days=31)).replace(day=1)
    return words


def _gap(data: Figures, metric: str, window: list[Period]) -> str:
    """Why a chart has holes, where it has."""
    years_before = [data.year_before(p) for p in window]
    if any(p and not data.kept(metric, p) for p in (*window, *years_before)):
        return f"The old system kept no {_what_the_old_system_lacked(metric)}: such periods have no line."
    return ""


def _list(names) -> str:
    """Ramadan, Eid al-Fitr and Eid al-Adha."""
    names = list(dict.fromkeys(names))
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _alt(title: str, rows: list[dict]) -> str:
    """A chart in a sentence, for who can't see it; every number is in its table."""
    here = next((r for r in rows if r["chosen"]), rows[-1])
    moved = f", {here['change']} on the one before" if here["change"] != DASH else ""
    return f"{title} from {rows[0]['period']} to {rows[-1]['period']}. {here['period']}: {here['value']}{moved}."
