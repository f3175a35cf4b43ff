"""The board report: one closed month or week, of the whole business or of one store, as a PDF, A4, to print or to send.

board_report(snapshot, period, store) -> bytes   what report.typ lays out, in a process of its own (typeset.py)
contents(snapshot, period, store) -> dict        what stands in it: every figure from the Snapshot, as words
attachment(content) -> (name, bytes)             for a message that is about to be sent

No customer stands in it by name: a report travels further than the lists of who owes what, which the pages have.
"""

import logging
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property, lru_cache
from pathlib import Path

from django.conf import settings

from analytics import charts, customers, queries, receivables, targets, typeset
from analytics.business import business
from analytics.dashboards import frame
from analytics.dashboards import insights as told
from analytics.dashboards.by_period import listed, subject
from analytics.dashboards.executive import EXECUTIVE
from analytics.dashboards.frame import Card, Chart, Period, Tab, currency
from analytics.formats import DASH, Number, after, before, day, figure, moment, with_unit
from analytics.metrics import FACTS, METRICS
from analytics.models import Target
from analytics.queries import Filters, QueryError, Snapshot
from analytics.seasons import seasons
from etl.business import slug
from etl.errors import MoonwalkError, WarehouseError
from etl.sources import TITLES

log = logging.getLogger(__name__)

TEMPLATE = Path(__file__).parent / "report.typ"
WINDOW = 13  # periods that a chart shows: a year and the same period of the year before
COHORTS = 13  # months on the map of cohorts
LEADS = EXECUTIVE.tabs[0].cards  # the four figures that Executive Pulse begins with
_turn = threading.Lock()  # of one process at a time one report is made: who clicks ten times waits, memory doesn't grow


class NotMade(MoonwalkError):
    """The report could not be typeset. Its text is for people."""


class NotClosed(QueryError):
    """A period that isn't over in this data, or not in it at all: no report is made of it."""


# --- What it is made of ---------------------------------------------------------------------------------------------

CUSTOMERS = (
    "new_customers", "existing_customers", "reactivated_customers", "new_customer_share", "m1_customer_retention",
    "m1_revenue_retention", "revenue_per_customer", "items_per_customer", "multi_service_share",
    "multi_service_revenue_share", "top20_spend_share",
)  # fmt: skip
OPERATIONS = (
    "stops", "deliveries", "pickups", "delivery_rate", "revenue_per_delivery", "delivery_revenue_share",
    "items_delivered", "items_per_delivery", "express_share", "processing_days", "time_in_store_days",
)  # fmt: skip
FINANCE = (
    "revenue", "collections", "collection_rate", "collection_gap", "digital_share", "days_to_payment",
    "payment_date_coverage",
)  # fmt: skip
# metric -> the dimensions that the report splits it by
SPLIT = {
    "store": ("customers", "items", "revenue", "stops"),
    "area": ("customers", "items_delivered", "revenue", "stops"),
    "service_type": ("items", "item_revenue"),
    "item_category": ("items", "item_revenue"),
    "payment_type": ("collections",),
}
ITEMS = {"service_type": "service", "item_category": "category"}  # dimensions of item rows: shares of item revenue
_PARTS = (*CUSTOMERS, *OPERATIONS, *FINANCE, "legacy_rows", "earned_rows", "payment_dated_orders", "item_revenue")
REPORT = Tab(
    "report",
    "Board report",
    cards=(*LEADS, *(Card(name) for name in _PARTS)),
    charts=tuple(Chart(metric, split=split) for split, metrics in SPLIT.items() for metric in metrics),
)
GLANCE = "At a glance"  # where the definitions of what the first pages show stand
STORES_NAMED = 8  # so many stores are named on the cover; of more only the number
# The same of one store: without cohorts and top customers, which are of the whole business, and not by store.
STORE_REPORT = replace(
    REPORT,
    cards=tuple(card for card in REPORT.cards if not METRICS[card.metric].whole),
    charts=tuple(chart for chart in REPORT.charts if chart.split != "store"),
)
KINDS = {"month": re.compile(r"\d{4}-\d{2}"), "week": re.compile(r"\d{4}-W\d{2}")}


def last_closed(build: Snapshot, grain: str = "month") -> Period | None:
    """The newest period of a grain that is over in a build."""
    return next((p for p in reversed(frame.periods(build, grain)) if p.closed), None)


def period_of(build: Snapshot, key: str | None) -> tuple[str, Period]:
    """(grain, period) of a key, "2026-02" or "2026-W07"; None: the last closed month. Raises NotClosed."""
    grain = next((g for g, shape in KINDS.items() if shape.fullmatch(key or "")), "month" if key is None else None)
    if grain is None:
        raise QueryError(f"{key!r} is no month and no week: write it like 2026-02 or 2026-W07.")
    if key and not _is_one(key):
        raise QueryError(f"{key} is no {grain}: write it like {'2026-02' if grain == 'month' else '2026-W07'}.")
    last = last_closed(build, grain)
    if last is None:
        raise NotClosed(f"This data has no closed {grain} yet, and a board report is made of closed ones.")
    if key is None:
        return grain, last
    found = next((p for p in frame.periods(build, grain) if p.key == key), None)
    if found is None or not found.closed:
        known = "isn't over in this data" if found or key > last.key else "isn't in this data"
        first = frame.periods(build, grain)[0].key
        raise NotClosed(f"{key} {known}, and a board report is made of closed {grain}s: {first} to {last.key}.")
    return grain, found


def _is_one(key: str) -> bool:
    """Has the calendar this month or week?"""
    try:
        year, week = key.split("-W") if "W" in key else (key, "")
        return bool(date.fromisocalendar(int(year), int(week), 1) if week else date.fromisoformat(f"{year}-01"))
    except ValueError:
        return False


def store_of(build: Snapshot, name: str | None) -> str | None:
    """The store that a person means by "Moon Walk", "moon walk" or "moon-walk"; None for "", "all" and None: all of
    them. Raises QueryError for a store that the build doesn't know."""
    if not name or name.casefold() == frame.ALL_STORES:
        return None
    known = frame.stores(build)
    found = next((store for store in known if name.casefold() in (store.name.casefold(), store.slug)), None)
    if found is None:
        names = ", ".join(store.name for store in known)
        raise QueryError(f"There is no store {name[:40]!r} in this data: choose one of {names}.")
    return found.name


def file_name(period: str, store: str | None = None) -> str:
    """board-report-2026-02.pdf; of one store board-report-2026-02-moon-walk.pdf."""
    plain = slug(store.encode("ascii", "ignore").decode()) if store else ""  # it stands in a header
    of_store = f"-{plain or 'one-store'}" if store else ""
    return f"board-report-{period}{of_store}.pdf"


def board_report(snapshot: Snapshot, period: str | None = None, store: str | None = None) -> bytes:
    """The board report of a closed month ("2026-02") or week ("2026-W07") as a PDF; None: of the last closed month.

    store: the one whose figures alone it has, as store_of() reads it; None: of the whole business.

    Raises QueryError for what is no period or no store, NotClosed for a period that isn't over, Refused for a reader
    kept to one store, NotMade when the PDF can't be made.
    """
    data = contents(snapshot, period, store)
    with _turn:
        try:
            return typeset.pdf(TEMPLATE, data, standards=["ua-1"])
        except typeset.NotTypeset as error:
            log.error("the board report could not be made: the other process ended with %s", error)
            raise NotMade("The report could not be made. Try again in a minute.") from None


def attachment(content: dict) -> tuple[str, bytes]:
    """(file name, PDF) for {"report": "2026-02", "build_id": ...}: of that build while it is kept, else of the live
    one. Raises NotMade, also where that one doesn't have the period, and WarehouseError without data."""
    try:
        build = queries.opened(content.get("build_id"))
    except WarehouseError:
        build = queries.current()
    try:
        return file_name(content["report"]), board_report(build, content["report"])
    except QueryError as error:
        raise NotMade(str(error)) from None


def contents(snapshot: Snapshot, key: str | None = None, store: str | None = None) -> dict:
    """What report.typ gets: words and numbers to draw, nothing left to work out."""
    snapshot.whole("The board report")
    grain, period = period_of(snapshot, key)
    what = Reading(snapshot, grain, period, store_of(snapshot, store))
    cover, trends = _cover(what), _trends(what)
    pages = [make(what) for make in (_customers, _operations, _finance)]
    sections = [trends, _insights(what), *pages, _definitions(what), _quality(what)]
    facts = business()
    as_of = what.as_of
    return {
        "title": f"{', '.join(filter(None, (facts.name, what.store)))}: board report, {period.name}",
        "author": facts.legal.name or facts.name,
        "date": {"year": as_of.year, "month": as_of.month, "day": as_of.day},
        "business": facts.name,
        "whose": what.whose,
        "stores": _stores(what),
        "period": period.short if period.weekly else period.name,
        "days": f"{period.days} {period.last_day.year}",
        "exports": f"As of the exports of {day(as_of)}, with data to {day(what.data_to)}",
        "stands": what.stands,
        "colours": colours(),
        "cover": cover,
        "sections": [section for section in sections if section],
    }


# --- Reading --------------------------------------------------------------------------------------------------------


@dataclass
class Reading:
    """One period of one build, of all stores or of one, and what was read of it so far.

    section: the one that is being made; used: the names of METRICS and FACTS that stand somewhere -> the section that
    had them first; dashes: (what has no value, on which base or "") -> why.
    """

    build: Snapshot
    grain: str
    period: Period
    store: str | None = None
    section: str = GLANCE
    used: dict[str, str] = field(default_factory=dict)
    dashes: dict[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def filters(self) -> Filters:
        """What every question of this report is filtered by."""
        return Filters(store=self.store)

    @cached_property
    def data(self) -> frame.Figures:
        return frame.figures(self.build, STORE_REPORT if self.store else REPORT, self.grain, self.filters)

    @property
    def whose(self) -> str:
        """All stores; Hielo."""
        return self.store or "All stores"

    def use(self, *names: str) -> None:
        """These stand in the section that is being made."""
        for name in names:
            self.used.setdefault(name, self.section)

    @property
    def monthly(self) -> bool:
        return self.grain == "month"

    @property
    def as_of(self) -> date:
        return date.fromisoformat(self.build.meta()["as_of"])

    @property
    def data_to(self) -> date:
        return date.fromisoformat(self.build.meta()["data_to"])

    @cached_property
    def window(self) -> list[Period]:
        at = self.data.by_key[self.period.key] + 1
        return list(self.data.periods[max(0, at - WINDOW) : at])

    @property
    def stands(self) -> list[str]:
        """What data the report stands on: "Data to 4 Mar 2026", "build ...", "refreshed 5 Mar 2026, 06:12"."""
        created = datetime.fromisoformat(self.build.manifest["created"])
        return [f"Data to {day(self.data_to)}", f"build {self.build.build_id}", f"refreshed {moment(created)}"]

    def asked(self, names: Sequence[str]) -> list[str]:
        """Those that are counted by this grain, and of one store where the report is of one."""
        return [name for name in names if name in self.data.values]

    def say(self, name: str) -> str:
        """A metric's value of the period, with its unit; a dash's reason is kept."""
        self.use(name)
        value = self.data.value(name, self.period)
        if value is None:
            self.dashes[(METRICS[name].label, "")] = self.why(name)
        return with_unit(value, METRICS[name].unit, currency())

    def why(self, name: str) -> str:
        """Why a metric has no value in the period."""
        if said := self.data.why(name, self.period):
            return said
        if METRICS[name].legacy_has_none and self.period.key in self.data.old_system:
            return "The period has rows of the old system, which kept neither items nor payments."
        return "There is nothing in the period to make it of."

    def changes(self, name: str) -> list[dict]:
        """[{percent, arrow, css, word, base, was, why}]: on the period before, on the year before."""
        if self.data.value(name, self.period) is None:
            return [{"percent": DASH, "arrow": "", "css": "level", "word": "", "base": "", "was": "", "why": ""}] * 2
        found = []
        for change in self.data.changes(name, self.period):
            if change.why:
                self.dashes[(METRICS[name].label, change.base)] = change.why
            found.append(
                {"percent": change.percent, "arrow": change.arrow, "css": change.css, "word": change.word,
                 "base": change.base, "was": change.base_value, "why": change.why}
            )  # fmt: skip
        return found

    def fact(self, name: str, value: Number, why: str = "") -> str:
        """The same as say() of one of FACTS."""
        self.use(name)
        if value is None:
            self.dashes[(FACTS[name].label, "")] = why
        return with_unit(value, FACTS[name].unit, currency())


@lru_cache(maxsize=1)
def _colours(path: Path, changed: int) -> dict[str, str]:
    root = path.read_text(encoding="utf-8").split("{", 1)[1].split("}", 1)[0]  # the first rule: light, as paper is
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", root))


def colours() -> dict[str, str]:
    """The house's colours by name, from the one stylesheet that has them."""
    path = settings.BASE_DIR / "static" / "moonwalk.css"
    return _colours(path, path.stat().st_mtime_ns)


# --- Parts of a page ------------------------------------------------------------------------------------------------
# A section is {title, lead, blocks}; a block {kind, ...}, one of those that report.typ draws.


def _unit(name: str) -> str:
    """The words of an axis: "Dhs", "%", "customers"."""
    m = METRICS[name]
    return before(m.unit, currency()) or after(m.unit) or m.label.lower()


def _slot(period: Period, i: int) -> list[str]:
    """A period's words on the axis, in two lines: Feb over 2026 where a year begins; a week's Monday."""
    if period.weekly:
        return [f"W{int(period.key[-2:])}", f"{period.first_day.day} {period.first_day:%b}"]
    return [f"{period.first_day:%b}", str(period.first_day.year) if i == 0 or period.first_day.month == 1 else ""]


def _chart(what: Reading, title: str, unit: str, series: Sequence[tuple], form: str, note: str = "") -> dict:
    """A chart of metrics over the window: form bars, stacked or grouped; series of (name, metric, colour)."""
    data, window = what.data, what.window
    values = [[data.comparable(metric, p) for p in window] for _, metric, _ in series]
    what.use(*(metric for _, metric, _ in series))
    lacking = {METRICS[m].lacks for _, m, _ in series if any(not data.kept(m, p) for p in window)} - {""}
    if lacking:
        text = f"The old system kept no {' and no '.join(sorted(lacking))}: its periods have no bar."
        note = " ".join(filter(None, (note, text)))
    sums = [sum(float(v) for v in at if v is not None) for at in zip(*values, strict=True)]
    tops = sums if form == "stacked" else [float(v) for one in values for v in one if v is not None]
    marks, words, top = charts.ticks(max([0.0, *tops]))
    drawn = [
        {
            "name": name,
            "colour": colour,
            "values": [None if v is None else float(v) for v in one],
            "labels": [figure(v, METRICS[metric].unit) for v in one],
        }
        for (name, metric, colour), one in zip(series, values, strict=True)
    ]
    said = [
        f"{p.short}: "
        + ", ".join(
            f"{one['name'] + ' ' if len(drawn) > 1 else ''}{with_unit(v[i], METRICS[m].unit, currency())}"
            for one, v, (_, m, _) in zip(drawn, values, series, strict=True)
        )
        for i, p in enumerate(window)
    ]
    return {
        "kind": "chart",
        "form": form,
        "title": title,
        "axis": f"{unit[:1].upper()}{unit[1:]} a {what.grain}",
        "across": ["Week", "its Monday"] if what.period.weekly else ["Month", ""],
        "note": note,
        "alt": f"Bar chart. {title}, {unit} a {what.grain}. {'; '.join(said)}.",
        "slots": [_slot(p, i) for i, p in enumerate(window)],
        "chosen": len(window) - 1,
        "series": drawn,
        "marks": [{"at": at, "text": text} for at, text in zip(marks, words, strict=True)],
        "top": top,
    }


def _figures(what: Reading, names: Sequence[str], note: str = "") -> dict:
    """A table of metrics: label, value, change on the period before and on the year before."""
    bases = what.data.changes(LEADS[0].metric, what.period)
    return {
        "kind": "figures",
        "title": "",
        "note": note,
        "head": ["Figure", what.period.short, f"On {bases[0].base}", f"On {bases[1].base}"],
        "rows": [
            {"label": METRICS[name].label, "colour": subject(name), "value": what.say(name),
             "changes": what.changes(name)}
            for name in what.asked(names)
        ],
    }  # fmt: skip


def _table(title: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], note: str = "",
           total: bool = False) -> dict:  # fmt: skip
    """A table of words. columns: (head, how): "l" left, "r" right, "w" left and wide; total: the last row is one."""
    heads, how = zip(*columns, strict=True)
    return {
        "kind": "table", "title": title, "note": note, "head": list(heads), "how": list(how), "total": total,
        "rows": [list(row) for row in rows],
    }  # fmt: skip


def _by(what: Reading, split: str, title: str, first: str, note: str = "") -> dict | None:
    """A table of metrics by the values of a dimension, those without anything left out; shares of what adds up."""
    metrics = what.asked(SPLIT[split])
    values = {m: {v: by.get(what.period.key) for v, by in what.data.splits[(m, split)].items()} for m in metrics}
    names = [v for v in next(iter(values.values()), {}) if any(values[m][v] for m in metrics)]
    if not names:
        return None
    what.use(*metrics)
    shared = "item_revenue" if split in ITEMS else "revenue"
    total = sum(float(values[shared][v] or 0) for v in names) if shared in values else 0
    share = "Share" if split in ITEMS else "Share of revenue"
    columns = [(first, "l"), *((METRICS[m].label, "r") for m in metrics), (share, "r")]
    rows = [
        [
            v,
            *(with_unit(values[m][v], METRICS[m].unit, currency()) for m in metrics),
            with_unit(float(values[shared][v] or 0) / total if total else None, "share", ""),
        ]
        for v in names
    ]
    return _table(title, columns, rows, note)


def _pair(*blocks: dict | None) -> dict | None:
    """Blocks side by side, as many as there are."""
    found = [block for block in blocks if block]
    return {"kind": "pair", "blocks": found} if len(found) > 1 else next(iter(found), None)


def _note(text: str) -> dict:
    return {"kind": "note", "text": text}


def _section(title: str, *blocks: dict | None, lead: str = "") -> dict:
    return {"title": title, "lead": lead, "blocks": [block for block in blocks if block]}


def _stores(what: Reading) -> str:
    """Whose figures they are, in words for the cover: "All stores: Moon Walk, Hielo", "The store Hielo alone"."""
    known = what.build.values("store")
    if what.store and len(known) > 1:
        return f"The store {what.store} alone"
    if len(known) == 1:
        return f"Its one store: {known[0]}"
    return f"All stores: {', '.join(known)}" if len(known) <= STORES_NAMED else f"All {len(known)} stores"


# --- The pages ------------------------------------------------------------------------------------------------------


def _cover(what: Reading) -> dict:
    """The four figures that Executive Pulse begins with, and what stands out."""
    cards = []
    for card in LEADS:
        m = METRICS[card.metric]
        value = what.data.value(card.metric, what.period)
        said = what.say(card.metric)
        parts = [{"label": words, "value": what.say(part)} for part, words in card.parts]
        line = [what.data.comparable(card.metric, p) for p in what.window]
        cards.append(
            {
                "label": m.label,
                "colour": subject(card.metric),
                "before": before(m.unit, currency()) if value is not None else "",
                "value": figure(value, m.unit),
                "said": said,
                "after": after(m.unit) if value is not None else "",
                "changes": what.changes(card.metric),
                "parts": parts,
                "line": [None if v is None else float(v) for v in line],
                "note": what.data.short_of(card.metric, what.period),
            }
        )
    found = _stored(what)
    return {
        "cards": cards,
        "stands_out": [_insight(row) for row in told.top(found)],
        "none": "" if found else _no_insights(what),
        "seasons": [s.label for s in seasons(what.period.first_day, what.period.last_day)],
    }


def _trends(what: Reading) -> dict:
    drawn = [
        _chart(what, METRICS[name].label, _unit(name), [(METRICS[name].label, name, subject(name))], "bars")
        for name in (card.metric for card in LEADS)
    ]
    words = {"month": f"{len(what.window)} months", "week": f"{len(what.window)} weeks"}[what.grain]
    if len(what.window) == 1:
        words = f"One {what.grain}: the data begins with it"
    return _section("Trends", *drawn, lead=f"{words}, to {what.period.short}. The darker bar is {what.period.short}.")


def _stored(what: Reading) -> list[dict]:
    rows = what.build.insights(what.grain, what.store)
    return [r | dict(zip(("arrow", "css", "word"), told.TONES[r["tone"]], strict=True)) for r in rows
            if r["period"] == what.period.key]  # fmt: skip


def _insight(row: dict) -> dict:
    return {name: row[name] for name in ("arrow", "css", "word", "headline", "detail", "category")}


def _no_insights(what: Reading) -> str:
    rows = what.build.insights(what.grain, what.store)
    newest = what.data.period(max((r["period"] for r in rows), default=""))
    last = f", {newest.short}" if newest else ", and this data has none yet"
    return f"Insights are made for the last closed {what.grain}{last}."


def _insights(what: Reading) -> dict | None:
    what.section = "Targets"  # what nothing else of the report shows
    groups: dict[str, list] = {}
    for row in _stored(what):
        groups.setdefault(row["category"], []).append(_insight(row))
    aims = _targets(what)
    if not groups:
        return _section("Targets", aims) if aims else None  # the cover says why there are no insights
    count = sum(map(len, groups.values()))
    lead = f"{count} findings by fixed rules, for {what.store or 'all stores'} in {what.period.short}."
    told_of = {"kind": "insights", "groups": [{"title": name, "rows": rows} for name, rows in groups.items()]}
    return _section("Insights", told_of, aims, lead=lead)


def _targets(what: Reading) -> dict | None:
    """How the month stands against what was aimed at, for the whole business or for the store."""
    if not what.monthly:
        return None
    rows = Target.objects.filter(month=what.period.key, store=what.store or "")
    wanted = {t.metric: t.value for t in rows}
    names = [name for name in METRICS if name in wanted and not (what.store and METRICS[name].whole)]
    if not names:
        return None
    only = {"since": what.period.key, "until": what.period.key, "filters": what.filters}
    found = what.build.query(names, "month", **only).row(0, named=True)
    days = (what.period.last_day - what.period.first_day).days + 1
    rows = []
    for name in names:
        what.use(name)
        aim = targets.aim(name, found[name], wanted[name], targets.Elapsed(days, days), closed=True)
        said = targets.words(name, aim, wanted[name], True, currency())
        unit = METRICS[name].unit
        rows.append([METRICS[name].label, with_unit(found[name], unit, currency()),
                     with_unit(wanted[name], unit, currency()), said.verdict or said.line])  # fmt: skip
    columns = (("Figure", "l"), (what.period.short, "r"), ("Target", "r"), ("That is", "w"))
    return _table("Targets", columns, rows)


def _customers(what: Reading) -> dict:
    what.section = title = "Customers and retention"
    series = [("Existing", "existing_customers", "customers"), ("New", "new_customers", "customers-soft")]
    blocks = [
        _figures(what, CUSTOMERS),
        _chart(what, "Customers, new and existing", "customers", series, "stacked", _change_over(what)),
    ]
    if what.store:
        blocks.append(_note(
            "Retention, cohorts, segments and how much hangs on few customers are figures of the whole business: the "
            "report of all stores has them."
        ))  # fmt: skip
    elif what.monthly:
        blocks += [_heat(what), _segments(what), _spread(what)]
    else:
        blocks += [_spread(what), _note(
            "Retention, cohorts, segments and what customers do over months are counted by month: the report of a "
            "month has them."
        )]  # fmt: skip
    return _section(title, *blocks)


def _change_over(what: Reading) -> str:
    """Where people who came over from the old system inflate what is new."""
    mixed = [p for p in what.window if p.key in what.data.old_system]
    if not mixed:
        return ""
    return (
        "Who came over from the old system counts as new again, so new customers are inflated in the months of the "
        f"change-over (to {mixed[-1].short} and shortly after)."
    )


def _heat(what: Reading) -> dict:
    """How many of each month's new customers came back, month by month."""
    found = what.build.cohorts()
    months = [int(name) for name in found.columns[1:]]
    cohorts = [row for row in found.iter_rows() if row[0] <= what.period.key and row[1]][::-1][:COHORTS]
    what.use("m0_customers")
    rows = []
    for key, base, *later in cohorts:
        first = date.fromisoformat(f"{key}-01")
        reached = (what.period.first_day.year - first.year) * 12 + what.period.first_day.month - first.month
        # What came after the report's month is left out: a report of a month says the same whenever it is made.
        shares = [None if n is None or i > reached else n / base for i, n in zip(months[1:], later, strict=True)]
        rows.append({"name": f"{first:%b %Y}", "base": f"{base:,}", "cells": [_shade(share) for share in shares]})
    return {
        "kind": "heat",
        "title": "Customers who came back",
        "note": "Of each month's new customers, how many came again so many months later. Closed months only: blank is "
        "not reached yet.",
        "head": ["Cohort month", "New customers", *(f"Month {i}" for i in months[1:])],
        "rows": rows,
    }


def _shade(share: Number) -> dict | None:
    """A cell of the map: its words, its step of colour and that of the words; None is blank."""
    if share is None:
        return None
    step = charts.heat_step(share)
    return {"text": with_unit(share, "share", ""), "step": step, "ink": charts.heat_ink(step)}


def _segments(what: Reading) -> dict:
    what.use("rfm")
    found = {row["segment"]: row for row in what.build.segments(what.period.key).iter_rows(named=True)}
    everybody = sum(r["customers"] for r in found.values())
    rows = []
    for segment in customers.SEGMENTS:
        r = found[segment.name]
        rows.append([
            segment.name, f"{r['customers']:,}",
            with_unit(r["customers"] / everybody if everybody else None, "share", ""),
            with_unit(r["revenue"], "money", currency()), with_unit(r["recency_days"], "days", ""),
            figure(r["frequency"], "ratio"), segment.action,
        ])  # fmt: skip
    columns = (("Segment", "l"), ("Customers", "r"), ("Share", "r"), ("Revenue, 6 months", "r"),
               ("Last came", "r"), ("Orders each", "r"), ("What to do", "w"))  # fmt: skip
    note = (
        f"At the end of {what.period.last_day:%B %Y}, by recency, frequency and revenue of 6 months (RFM). Last came: "
        "mean days before the month's end."
    )
    return _table("Six kinds of customers", columns, rows, note)


def _spread(what: Reading) -> dict | None:
    """How much of the revenue hangs on few."""
    found = what.build.concentration(what.grain, what.period.key)
    n, revenue = found.height, float(found["revenue"].sum() or 0)
    if not n or not revenue:
        return None
    top = float(found.head(20)["revenue"].sum() or 0)
    eighty = int(found.filter(found["cumulative_share"] >= 0.8 - 1e-9)["rank"][0])
    rows = [
        [FACTS["top_customers_share"].label, what.fact("top_customers_share", top / revenue),
         f"{with_unit(top, 'money', currency())} of {with_unit(revenue, 'money', currency())}"],
        [FACTS["customers_for_80"].label, what.fact("customers_for_80", eighty),
         f"{with_unit(eighty / n, 'share', '')} of {n:,} active customers"],
    ]  # fmt: skip
    return _table("How much hangs on few", (("Figure", "l"), (what.period.short, "r"), ("That is", "w")), rows)


def _operations(what: Reading) -> dict:
    what.section = title = "Operations"
    series = [("Deliveries", "deliveries", "stops"), ("Pickups", "pickups", "stops-soft")]
    return _section(
        title,
        _figures(what, OPERATIONS),
        _chart(what, "Stops, deliveries and pickups", "stops", series, "stacked"),
        _by(what, "store", "By store", "Store") if not what.store and len(what.build.values("store")) > 1 else None,
        _by(what, "area", "By area", "Area"),
        _pair(*(_by(what, split, f"By {word}", word.capitalize()) for split, word in ITEMS.items())),
    )


def _methods(what: Reading) -> dict | None:
    """Collections by method, with their change on the period before."""
    earlier = what.data.before(what.period)
    by = what.data.splits[("collections", "payment_type")]
    now = {m: values.get(what.period.key) for m, values in by.items()}
    then = {m: values.get(earlier.key) if earlier else None for m, values in by.items()}
    total = sum(float(v or 0) for v in now.values())
    rows = []
    for method in by:
        if not now[method] and not then[method]:
            continue
        moved = what.data.split_change("collections", now[method], then[method], what.period)
        share = float(now[method] or 0) / total if total else None
        rows.append([method, with_unit(now[method], "money", currency()), with_unit(share, "share", ""), moved.percent])
    if not rows:
        return None
    base = what.data.changes("collections", what.period)[0].base
    columns = (("Method", "l"), ("Collections", "r"), ("Share", "r"), (f"On {base}", "r"))
    return _table("Collections by method", columns, rows)


def _finance(what: Reading) -> dict:
    what.section = title = "Finance"
    series = [("Revenue", "revenue", "revenue"), ("Collections", "collections", "revenue-soft")]
    coverage = ""
    if what.data.value("days_to_payment", what.period) is not None:
        dated, rows = (what.data.value(n, what.period) or 0 for n in ("payment_dated_orders", "earned_rows"))
        coverage = f"Days to payment: based on {dated:,} orders with both dates, of {rows:,} earned rows."
        what.use("payment_dated_orders", "earned_rows")
    return _section(
        title,
        _figures(what, FINANCE, coverage),
        _chart(what, "Revenue and collections", currency(), series, "grouped"),
        _methods(what),
        *_owed(what),
    )


def _owed(what: Reading) -> list[dict]:
    """What customers owe on the exports' date, whatever period the report is of."""
    ledger = what.build.ledger(what.filters)
    as_of = day(ledger.as_of)
    late = receivables.overdue(ledger.orders, ledger.as_of)
    owed, overdue = float(receivables.total(ledger.orders)), float(receivables.total(late))
    count, unpaid = receivables.business_accounts(ledger)
    row = next(iter(receivables.performance(ledger).iter_rows(named=True)))
    none_sold = "Nothing was sold on credit in the last 90 days."
    debtors, money = ledger.orders["customer_id"].n_unique(), currency()
    best, late_days = (what.fact(name, row[name], none_sold) for name in ("best_possible_dso", "delinquent_days"))
    share = with_unit(overdue / owed if owed else None, "share", "")
    facts = [
        ("outstanding", owed, f"{ledger.orders.height:,} orders of {debtors:,} customers", ""),
        ("overdue", overdue, f"{late.height:,} orders, {share} of what is outstanding", ""),
        ("dso", row["dso"], f"Best possible {best}, delinquent {late_days}; "
         f"{with_unit(row['credit_sales'], 'money', money)} sold on credit in 90 days", none_sold),
        ("collection_effectiveness", row["collection_effectiveness"],
         f"Since {day(ledger.start)}" if ledger.start else ledger.why, ledger.why),
        ("business_accounts", unpaid, f"{count:,} orders, apart from all other figures", ""),
    ]  # fmt: skip
    rows = [[FACTS[name].label, what.fact(name, value, why), words] for name, value, words, why in facts]
    what.use("aging")
    aging = receivables.summary(ledger.orders, ledger.as_of)["aging"]
    bars = [
        {"name": f"{name[:1].upper()}{name[1:]}", "count": f"{n:,}", "amount": with_unit(amount, "money", money),
         "share": with_unit(amount / owed if owed else None, "share", ""), "part": amount / owed if owed else 0.0}
        for name, (n, amount) in aging.items()
    ]  # fmt: skip
    return [
        _table(f"What is owed on {as_of}", (("Figure", "l"), (as_of, "r"), ("That is", "w")), rows,
               "As of the exports' date, not of the period. Who owes what is on the worklist, not in this report."),
        {"kind": "aging", "title": "How old it is", "note": f"Unpaid on {as_of}, by days since the order was placed.",
         "head": ["Days since placed", "Orders", "Balance", "Share"], "rows": bars},
    ]  # fmt: skip


def _definitions(what: Reading) -> dict:
    """Every figure that stands in the report, in the words of METRICS and FACTS, by the section that has it first."""
    of = {name: (m.label, m.description) for name, m in METRICS.items()}
    of |= {name: (fact.label, fact.description) for name, fact in FACTS.items()}
    groups: dict[str, list] = {section: [] for section in dict.fromkeys(what.used.values())}
    for name, (label, text) in of.items():
        if name in what.used:
            groups[what.used[name]].append({"label": label, "text": text})
    lead = (
        "Every figure of this report, where it stands first. A figure counts rows on the day they were earned; ratios "
        "are sums over sums; a dash is no value, and its reason is at the end."
    )
    blocks = [{"kind": "definitions", "title": title, "rows": rows} for title, rows in groups.items()]
    return _section("Definitions", *blocks, lead=lead)


def _quality(what: Reading) -> dict:
    """What went into the figures and what didn't: rows, rules, warnings, coverage, dashes."""
    files = what.build.manifest["files"]
    counts = {
        kind: (f["read"], f["loaded"], sum(f["excluded"].values()), sum(f["quarantined"].values()))
        for kind, f in files.items()
    }
    rows = [[TITLES[kind], files[kind]["file"], *(f"{n:,}" for n in counts[kind])] for kind in files]
    rows.append(["All files", "", *(f"{sum(n):,}" for n in zip(*counts.values(), strict=True))])
    heads = ("Rows read", "Loaded", "Excluded", "Quarantined")
    columns = (("Export", "l"), ("File", "w"), *((head, "r") for head in heads))
    every = _table("Files", columns, rows, "Rows read = loaded + excluded + quarantined.", total=True)
    rules = [
        [TITLES[kind], fate.capitalize(), rule, f"{n:,}"]
        for kind, f in files.items() for fate in ("excluded", "quarantined") for rule, n in f[fate].items()
    ]  # fmt: skip
    columns = (("Export", "l"), ("Fate", "l"), ("Rule", "w"), ("Rows", "r"))
    fates = _table("Why rows were not loaded", columns, rules) if rules else _note("Each row of each file was loaded.")
    lists = [
        {"kind": "list", "title": "Coverage", "rows": _coverage(what)},
        {"kind": "list", "title": "Warnings of the refresh", "rows": what.build.manifest.get("warnings", [])},
        {"kind": "why", "title": "Dashes in this report", "rows": _reasons(what)},
    ]
    covered, *others = (block if block["rows"] else None for block in lists)
    # The exports, and what a refresh made of them, are of the business; of one store there is no such count.
    lead = "Files, rules and warnings are of the exports of the whole business." if what.store else ""
    return _section("Data quality", every, _pair(fates, covered), *others, lead=lead)


def _reasons(what: Reading) -> list[dict]:
    """[{why, names}]: "Express share and Items on Feb 2025" below what they have no value for."""
    found: dict[str, dict[str, list]] = {}
    for (label, base), why in sorted(what.dashes.items(), key=lambda dash: (dash[0][1], dash[0][0])):
        found.setdefault(why, {}).setdefault(base, []).append(label)
    return [
        {"why": why, "names": "; ".join(listed(names) + (f" on {base}" if base else "") for base, names in by.items())}
        for why, by in found.items()
    ]


def _coverage(what: Reading) -> list[str]:
    """What the figures of the report do not cover, in sentences."""
    old = [p.short for p in what.window if p.key in what.data.old_system]
    said = []
    if old:
        span = old[0] if len(old) == 1 else f"{old[0]} to {old[-1]}"
        said.append(
            f"{span} {'has' if len(old) == 1 else 'have'} rows of the old system, which kept neither items nor "
            "payments: items, collections and what is made of them have no value there, and nothing is compared with "
            "them. Its customers and CleanCloud's are separate records."
        )
    if what.asked(["payment_date_coverage"]):
        said.append(f"Days to payment knows {what.say('payment_date_coverage')} of the period's earned rows.")
    count = sum(f["excluded"].get("B2B", 0) for f in what.build.manifest["files"].values())
    if count and not what.store:
        said.append(f"Business accounts are apart: {count:,} rows of theirs are in no figure but their own.")
    staff = sum(float(s["counted"]) for s in (what.build.manifest.get("payments") or {}).values())
    if staff and not what.store:
        amount = with_unit(staff, "money", currency())
        said.append(f"{amount} of all collections is what staff recorded and the export doesn't say yet.")
    lists = listed([s.name for s in seasons(what.window[0].first_day, what.window[-1].last_day)])
    if lists:
        said.append(f"Seasons within the charts' {what.grain}s: {lists}. Dates of the Islamic calendar are calculated.")
    return said
