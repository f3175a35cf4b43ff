"""Following a number: a metric of a page, split by a dimension, then its customers, then the orders or items behind it.

Every state is an address (GET), so that it can be kept, sent and gone back from:
follow/<page>/<metric>/?grain&period&store&area...&by&show&customer&q&sort&p
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from analytics import exports, handbook, listing, queries
from analytics.dashboards import DASHBOARDS, frame
from analytics.dashboards.frame import Card, Dashboard, State, Tab
from analytics.formats import after, before, figure, with_unit
from analytics.listing import PAGE
from analytics.metrics import METRICS, Metric
from analytics.pages import build_of, for_page
from analytics.queries import Behind
from analytics.tables import Column, Table
from etl.business import slug

SHOWS = ("customers", "rows")
SPLITS = {"store": "Store", **{d: words for d, words in frame.DIMENSIONS.items() if d in queries.SPLITS}}
# The columns of rows, as they stand on the page: key, label, unit, folded away on a phone.
ROWS = {
    "sales": (
        ("order_id", "Order", "text", False), ("earned_date", "Earned", "date", False),
        ("customer_id", "Customer", "text", True), ("name", "Name", "text", False), ("kind", "Kind", "text", True),
        ("store", "Store", "text", True), ("delivery", "Delivery", "boolean", True),
        ("pickup", "Pickup", "boolean", True),
        ("pieces", "Pieces", "count", True), ("payment_type", "Paid by", "text", True),
        ("collections", "Received", "money", True), ("total", "Amount", "money", False),
    ),
    "items": (
        ("order_id", "Order", "text", False), ("earned_date", "Earned", "date", True),
        ("customer_id", "Customer", "text", True), ("name", "Name", "text", True), ("store", "Store", "text", True),
        ("item", "Item", "text", False), ("item_category", "Category", "text", True),
        ("service_type", "Service", "text", True), ("express", "Express", "boolean", True),
        ("quantity", "Quantity", "count", False), ("total", "Item total", "money", False),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Place(listing.Place):
    """Where a reader is behind a metric: split by which dimension, shown as which of SHOWS, of one customer or all."""

    metric: Metric
    by: str
    show: str
    customer: str
    anchor = "#behind"

    @property
    def own(self) -> dict[str, str]:
        kept = {k: v for k, v in self.state.params.items() if k != "tab"}
        return kept | {"by": self.by, "show": self.show if self.show != SHOWS[0] else "", "customer": self.customer}

    def address(self, form: str) -> str:
        args = [self.state.dashboard.page, self.metric.name]
        return reverse("follow_export", args=[*args, form]) if form else reverse("follow", args=args)

    def of(self, name: str, **other: str | None) -> str:
        """The address of another metric at this place, under the filters that count here."""
        return replace(self, metric=METRICS[name]).url(**self.state.without_idle, by=None, sort=None, p=None, **other)


def tab_of(metric: Metric, by: str = "") -> Tab:
    """The one tab of a page about a metric: its value, also split, and those of its parts, by what they can be
    filtered by."""
    takes = tuple(d for d in frame.DIMENSIONS if queries.can_filter(metric.name, d))
    parts = tuple((part, part) for part, _ in queries.direct_parts(metric.name).values())
    return Tab("follow", metric.label, cards=(Card(metric.name, parts, by),), takes=takes, whole=metric.whole,
               monthly="week" not in metric.grains)  # fmt: skip


def read_place(page: str, metric: Metric, params: Mapping[str, str], build: queries.Snapshot) -> Place:
    """The place that a URL names; what can't be read falls back to the usual, with a message in state.messages."""
    state = frame.read_state(Dashboard(page, DASHBOARDS[page].title, (tab_of(metric),)), params, build)
    if params.get("segment") and metric.whole:
        state = replace(state, messages=(*state.messages, f"{metric.label} is of the whole business."))
    splits = splits_of(metric, state)
    by = params.get("by", "")
    by = by if by in splits else next(iter(splits), "")
    show = params.get("show", "")
    return Place(
        **listing.Place.read(params),
        state=replace(state, tab=tab_of(metric, by)),
        metric=metric,
        by=by,
        show=show if show in SHOWS else SHOWS[0],
        customer=params.get("customer", "").strip()[:40],
    )


def splits_of(metric: Metric, state: State) -> dict[str, str]:
    """What the metric can still be split by at this place: dimension -> words."""
    return {
        d: words for d, words in SPLITS.items()
        if d in metric.splits and getattr(state.filters, d) is None
        and not (d == "store" and (state.tab.whole or state.build.only))
    }  # fmt: skip


# The number and its parts ----------------------------------------------------------------------------------------


def number(place: Place) -> dict:
    """The number: before, value, after, changes, why (it has none)."""
    state, m = place.state, place.metric
    value = state.figures.value(m.name, state.period)
    why = state.figures.why(m.name, state.period) if value is None else ""
    return {
        "before": before(m.unit, frame.currency()) if value is not None else "",
        "value": figure(value, m.unit),
        "after": after(m.unit) if value is not None else "",
        "why": why,
        "changes": [] if why else state.figures.changes(m.name, state.period),
    }


def parts(place: Place) -> list[dict]:
    """A formula's parts: label, value, url of the part's own page (in the period before, where that is meant)."""
    state, found = place.state, []
    for part, back in queries.direct_parts(place.metric.name).values():
        period = state.figures.before(state.period) if back else state.period
        m = METRICS[part]
        found.append({
            "label": f"{m.label}, {period.short}" if back and period else m.label,
            "value": with_unit(state.figures.value(part, period), m.unit, frame.currency()),
            "url": place.of(part, period=(period or state.period).key),
        })  # fmt: skip
    return found


def split_table(place: Place) -> Table | None:
    """The metric by the values of the chosen dimension, those without rows left out; None without a dimension."""
    state, m, by = place.state, place.metric, place.by
    if not by:
        return None
    earlier = state.figures.before(state.period)
    found = state.figures.splits.get((m.name, by), {})
    whole = state.figures.value(m.name, state.period)
    columns = (Column("value", SPLITS[by]), Column("figure", m.label, m.unit))
    if m.additive:
        columns += (Column("share", "Share", "share"),)
    columns += (Column("change", f"On {earlier.short}" if earlier else "Change", "change"),)
    rows = tuple(
        {
            "value": value, "figure": number, "share": float(number or 0) / float(whole) if whole else None,
            "change": _moved(place, number, then), "#url": place.url(**{by: slug(value)}, by=None, p=None),
        }
        for value, values in found.items()
        for number, then in [(values.get(state.period.key), values.get(earlier.key) if earlier else None)]
        if number or then
    )  # fmt: skip
    return Table(f"by-{by.replace('_', '-')}", f"{m.label} by {SPLITS[by].lower()}", columns, rows, metrics=(m.name,))


def _moved(place: Place, now, then) -> str | None:
    moved = place.state.figures.split_change(place.metric.name, now, then, place.state.period)
    return None if moved.why else f"{moved.arrow} {moved.percent}"


def bars(table: Table) -> list[dict]:
    """The rows of a split for the page: words, url, and the bar's length in % of the longest."""
    top = max([abs(float(row["figure"] or 0)) for row in table.rows] or [0])
    return [
        row | {"length": round(abs(float(source["figure"] or 0)) / top * 100, 1) if top else 0}
        for row, source in zip(table.cells(frame.currency()), table.rows, strict=True)
    ]


# The customers and the rows --------------------------------------------------------------------------------------


def _ask(place: Place, limit: int | None) -> tuple[Table, str, bool]:
    """The table that is shown, or all of it (limit None); the column it is sorted by, and whether falling."""
    columns = _customer_columns(place) if place.show == "customers" else _row_columns(place)
    keys = [c.key for c in columns]
    if place.show == "rows":
        usual = "-earned_date"
    else:
        usual = f"-{next((k for k in keys if k not in ('customer_id', 'name', 'store', 'area')), 'customer_id')}"
    sort, descending = listing.read_sort(place.sort, keys, usual)
    how = {"sort": sort, "descending": descending, "limit": limit}
    how |= {"search": place.search} if place.search else {}
    how |= {"customer": place.customer} if place.customer else {}
    how |= {"offset": (place.page - 1) * PAGE} if limit else {}
    ask = place.state.build.by_customer if place.show == "customers" else place.state.build.rows
    state = place.state
    found: Behind = ask(place.metric.name, state.grain.name, state.period.key, filters=state.filters, **how)
    return _table(place, columns, found, linked=limit is not None), sort, descending


def _customer_columns(place: Place) -> tuple[Column, ...]:
    m = place.metric
    columns = [Column("customer_id", "Customer"), Column("name", "Name"), Column("store", "Their store", fold=True),
               Column("area", "Area", fold=True)]  # fmt: skip
    if not queries.counts_customers(m.name) and not queries.looks_back(m.name):
        of = queries.EACH.get(m.name)
        label = {"sum(revenue)": METRICS["revenue"].label, "sum(items)": METRICS["items"].label}.get(of, m.label)
        columns.append(Column("value", label, m.unit))
    for alias, (part, back) in queries.shown_parts(m.name).items():
        label = METRICS[part].label
        columns.append(Column(alias, f"{label} before" if back else label, METRICS[part].unit, fold=len(columns) > 4))
    return tuple(columns)


def _row_columns(place: Place) -> tuple[Column, ...]:
    m, mart = place.metric, queries.row_mart(place.metric.name)
    columns = [Column(key, label, unit, fold) for key, label, unit, fold in ROWS[mart]]
    if queries.row_says_more(m.name):
        columns.append(Column("value", m.label, m.unit))
    return tuple(columns)


def _leads(place: Place, row: dict) -> str:
    """Where a row leads: from a customer to the rows of theirs, from a row to its customer, at that order."""
    if place.show == "customers":
        return place.url(show="rows", customer=row["customer_id"], q=None, sort=None, p=None) + "#behind"
    said = urlencode({"find": row["order_id"]})
    return f"{reverse('customer', args=[row['customer_id']])}?{said}#{row['order_id']}"


def _table(place: Place, columns: tuple[Column, ...], found: Behind, linked: bool) -> Table:
    """The rows as a Table; linked: each leads on (a file of 100,000 rows needs no addresses)."""
    customers, rows = place.show == "customers", found.frame.to_dicts()
    if linked:
        rows = [row | {"#url": _leads(place, row)} for row in rows]
    what = "customer" if customers else "order or payment" if found.mart == "sales" else "item line"
    many = "customers" if customers else "orders and payments" if found.mart == "sales" else "item lines"
    note = f"{found.total:,} {what if found.total == 1 else many}"
    if found.together is not None and not queries.counts_customers(place.metric.name):
        note += f", together {with_unit(found.together, place.metric.unit, frame.currency())}"
    note += _apart(place)
    title = f"{place.metric.label}: {many}"
    return Table(place.show, title, columns, tuple(rows), f"{note}.", (place.metric.name,), found.total)


def _apart(place: Place) -> str:
    """What has to be said of a list that isn't just the number's own rows."""
    m = place.metric
    if queries.looks_back(m.name):
        return ". A figure of two periods has no value a customer: these are its parts" if place.show == "customers" \
            else ". These are of this period alone; its parts lead to the others"  # fmt: skip
    if queries.is_ratio(m.name) and place.show == "rows" and queries.direct_parts(m.name):
        return ". They do not add up to a ratio: each of its parts has rows of its own"
    return ""


# The pages -------------------------------------------------------------------------------------------------------


def context_of(place: Place) -> dict:
    """What the template shows."""
    state, m = place.state, place.metric
    table, sort, descending = _ask(place, PAGE)
    # Past the end the query answers with its first page.
    page = place.page if (place.page - 1) * PAGE < (table.total or 0) else 1
    split = split_table(place)
    context = place.context()
    fresh = {"q": None, "sort": None, "p": None}
    titles = {"customers": "Customers", "rows": "Orders" if queries.row_mart(m.name) == "sales" else "Items"}
    return context | {
        "metric": m,
        "number": number(place),
        "formula": [
            (text, place.of(part) if part else "")
            for text, part in handbook.formula(m.name)
        ],
        "parts": parts(place),
        "split": split,
        "bars": bars(split) if split else [],
        "splits": [{"label": words, "url": place.url(by=d), "here": d == place.by}
                   for d, words in splits_of(m, state).items()],
        "listing": listing.listing(table, place.table_url, sort, descending, page),
        "steps": [{"label": titles[s], "url": place.url(show=s, **fresh), "here": s == place.show} for s in SHOWS],
        "chips": context["chips"] + _customer_chip(place),
        "customer": _customer(place),
        "grains": frame.grain_choices(state, partial(place.url, p=None)),
        "stores": [] if state.tab.whole else frame.store_choices(state),
        "kept": [(k, v) for k, v in place.params.items() if k not in ("period", "store", "p")],
        "find": "Order, customer or name" if place.show == "rows" else "Customer or name",
        "back": _back(place),
    }  # fmt: skip


def _customer_chip(place: Place) -> list[dict]:
    said = f"Customer: {place.customer}"
    return [{"label": said, "url": place.url(customer=None, p=None)}] if place.customer else []


def _customer(place: Place) -> dict | None:
    return {"id": place.customer, "url": reverse("customer", args=[place.customer])} if place.customer else None


def _back(place: Place) -> dict:
    """The page that shows the metric, on the tab that does."""
    shown = DASHBOARDS[place.state.dashboard.page]
    tab = next((t for t in shown.tabs if place.metric.name in t.metrics), shown.tabs[0])
    kept = {k: v for k, v in place.state.params.items() if k != "tab"}
    return {"label": shown.title, "url": f"{reverse(shown.page)}?{urlencode({'tab': tab.slug} | kept)}"}


def _place_of(request: HttpRequest, page: str, metric: str) -> Place:
    """The place that a request names. Http404 for a metric that the page doesn't show, Refused for what a person
    kept to a store may not see."""
    if metric not in DASHBOARDS[page].metrics:
        raise Http404
    build = build_of(request)
    build.require(metric)
    return read_place(page, METRICS[metric], request.GET, build)


@for_page
def follow(request: HttpRequest, page: str, metric: str) -> HttpResponse:
    """What is behind a metric of a page."""
    return render(request, "analytics/follow.html", context_of(_place_of(request, page, metric)))


@for_page
def follow_export(request: HttpRequest, page: str, metric: str, form: str) -> HttpResponse:
    """The list of that page as a file: all its rows, found and sorted as on screen; before it the split."""
    place = _place_of(request, page, metric)
    table, _, _ = _ask(place, None)
    about = {
        "Page": place.state.dashboard.title, "Figure": place.metric.label, "Shows": frame.tell(place.state),
        "Customer": place.customer, "Found by": place.search,
    }  # fmt: skip
    tables = [found for found in (split_table(place), table) if found]
    name = f"{place.metric.name.replace('_', '-')}-{place.show}-{place.state.period.key}"
    return exports.export_response(tables, form, name, place.state.build, about)
