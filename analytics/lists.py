"""Whole lists behind cards that no period has: every unpaid order, every customer's lifetime.

Each state is an address: finance/list/unpaid/?store&area&age&what&q&sort&p,
customers/list/lifetimes/?store&segment&q&sort&p.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import polars as pl
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from analytics import access, exports, listing, receivables
from analytics.dashboards import customers, finance, frame
from analytics.dashboards.blocks import order_url
from analytics.dashboards.frame import State
from analytics.formats import with_unit
from analytics.listing import PAGE
from analytics.pages import for_page, state_of
from analytics.tables import CONTACTS, Column, Table
from etl.business import slug

OVERDUE, BUSINESS = "overdue", "business"
AGES = {slug(name): name for name in receivables.AGING}
FINDS = {"order_id": "order", "customer_id": "customer", "name": "name", "phone": "phone"}  # column -> its word


@dataclass(frozen=True)
class Kind:
    """A list: the tab that it belongs to, its usual sort, the columns that are sought in, columns and rows, and its
    own choices beside the frame's: parameter -> (label, {value: words})."""

    address: str
    tab: str
    title: str
    usual: str
    sought: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: Callable[[State, dict], pl.DataFrame]
    choices: Callable[[State], dict[str, tuple[str, dict[str, str]]]]


def _unpaid(state: State, chosen: dict) -> pl.DataFrame:
    """Unpaid orders: the frame of Ledger.orders, of one age, of what is overdue, or of business accounts."""
    if chosen.get("what") == BUSINESS:
        rows = state.build.business_orders(state.filters)
    else:
        ledger = state.build.ledger(state.filters)
        rows = receivables.overdue(ledger.orders, ledger.as_of) if chosen.get("what") == OVERDUE else ledger.orders
    if chosen.get("age"):
        rows = rows.filter(pl.col("bucket") == receivables.AGING.index(AGES[chosen["age"]]))
    return rows.with_columns(pl.col("balance").cast(pl.Float64))


def _lifetimes(state: State, chosen: dict) -> pl.DataFrame:
    """Every customer's lifetime, of the chosen store and segment."""
    rows = state.build.lifetimes()
    if state.store:
        rows = rows.filter(pl.col("store") == state.store.name)
    if state.filters.segment:
        rows = rows.filter(pl.col("segment") == state.filters.segment)
    return rows.with_columns(name=pl.coalesce("name", "customer_id"))


UNPAID = Kind(
    "unpaid",
    "outstanding",
    "Unpaid orders",
    "placed",
    ("order_id", "customer_id", "name"),
    (
        Column("order_id", "Order"),
        Column("name", "Customer"),
        Column("customer_id", "Number", fold=True),
        Column("store", "Store", fold=True),
        Column("placed", "Placed", "date", fold=True),
        Column("due", "Due", "date", fold=True),
        Column("days", "Days old", "count"),
        Column("balance", "Balance", "money"),
    ),
    _unpaid,
    lambda state: {
        "what": ("What", {"": "All unpaid", OVERDUE: "Overdue", BUSINESS: "Business accounts"}),
        "age": ("Age", {"": "Any age"} | {s: name.capitalize() for s, name in AGES.items()}),
    },
)
LIFETIMES = Kind(
    "lifetimes",
    "lifetime",
    "Customers' lifetimes",
    "-expected_value",
    ("customer_id", "name", "phone"),
    (
        Column("name", "Customer"),
        Column("phone", "Phone", fold=True),
        Column("segment", "Segment", fold=True),
        Column("last_order", "Last order", "date", fold=True),
        Column("order_days", "Order days", "count", fold=True, about="Days with an earned order so far."),
        Column("alive", "Still with us", "share", about="The probability that the customer still comes."),
        Column("expected_purchases", "Expected order days", "ratio", fold=True, about="In the next 12 weeks."),
        Column("expected_value", "Expected value", "money", about="In the next 12 weeks."),
        Column("monthly_revenue", "Revenue a month", "money", fold=True, about="Over all their months as a customer."),
    ),
    _lifetimes,
    lambda state: {},
)
LISTS = {("finance", UNPAID.address): UNPAID, ("customers", LIFETIMES.address): LIFETIMES}
assert finance.FINANCE.tab(UNPAID.tab) and customers.CUSTOMERS.tab(LIFETIMES.tab)


@dataclass(frozen=True)
class Place(listing.Place):
    """Where a reader is in a list: its own choices, and which of a customer's contacts they see."""

    kind: Kind
    chosen: dict[str, str]
    contacts: frozenset[str]

    @property
    def own(self) -> dict[str, str]:
        return {k: v for k, v in self.state.params.items() if k in ("store", *frame.DIMENSIONS)} | self.chosen

    def address(self, form: str) -> str:
        args = [self.state.dashboard.page, self.kind.address]
        return reverse("list_export", args=[*args, form]) if form else reverse("list", args=args)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The list's columns that the reader sees."""
        return Table("", "", self.kind.columns, ()).reaching(self.contacts).columns

    @property
    def sought(self) -> tuple[str, ...]:
        """The columns that are sought in: what the reader doesn't see isn't."""
        return tuple(c for c in self.kind.sought if c not in CONTACTS or c in self.contacts)

    @property
    def find(self) -> str:
        """Order, customer or name."""
        *words, last = (FINDS[c] for c in self.sought)
        return f"{', '.join(words)} or {last}".capitalize()


def _with_place(view):
    """For views of one list: 404 for one that isn't there; 403 for what a person kept to a store may not see."""

    @for_page
    @wraps(view)
    def placed(request: HttpRequest, page: str, address: str, **more) -> HttpResponse:
        kind = LISTS.get((page, address))
        if kind is None:
            raise Http404
        params = request.GET.dict() | {"tab": kind.tab}
        state = state_of(request, page, params)
        if state.tab.slug != kind.tab:
            state.build.whole(f"“{kind.title}”")
        options = kind.choices(state)
        chosen = {name: params[name] for name, (_, values) in options.items() if params.get(name) in values}
        contacts = frozenset(access.contacts_of(request.user))
        place = Place(**Place.read(params), state=state, kind=kind, chosen=chosen, contacts=contacts)
        return view(request, place, **more)

    return placed


def _found(place: Place) -> tuple[pl.DataFrame, str, bool]:
    """All rows as they are sought and sorted, the column they are sorted by, and whether falling."""
    rows = place.kind.rows(place.state, place.chosen)
    if place.search:
        said = place.search.casefold()
        rows = rows.filter(
            pl.any_horizontal(
                pl.col(c).str.to_lowercase().str.contains(said, literal=True).fill_null(False) for c in place.sought
            )
        )
    sort, descending = listing.read_sort(place.sort, [c.key for c in place.columns], place.kind.usual)
    ties = "order_id" if "order_id" in rows.columns else "customer_id"
    rows = rows.sort([sort, ties], descending=[descending, False], nulls_last=True, maintain_order=True)
    return rows, sort, descending


def _table(place: Place, rows: pl.DataFrame, every: pl.DataFrame) -> Table:
    """`rows` are shown of `every`."""
    shown = tuple(
        {c.key: row[c.key] for c in place.columns} | {"#url": _url(row)} for row in rows.iter_rows(named=True)
    )
    total = every.height
    return Table(place.kind.address, place.kind.title, place.columns, shown, _note(place, every), total=total)


def _url(row: dict) -> str:
    """An order's place on its customer's page, or the customer's page."""
    known = reverse("customer", args=[row["customer_id"]])
    return order_url(row["customer_id"], row["order_id"]) if "order_id" in row else known


def _note(place: Place, every: pl.DataFrame) -> str:
    """As of 5 March 2026. 735 orders, together Dhs 20,102."""
    n, what = every.height, "order" if place.kind is UNPAID else "customer"
    said = f"{frame.when(place.state)}. {n:,} {what}{'' if n == 1 else 's'}"
    if place.kind is UNPAID:
        said += f", together {with_unit(every['balance'].sum(), 'money', frame.currency())}"
    return f"{said}."


def _choices(place: Place) -> list[dict]:
    return [
        {"name": name, "label": label,
         "options": [(value, words, value == place.chosen.get(name, "")) for value, words in values.items()]}
        for name, (label, values) in place.kind.choices(place.state).items()
    ]  # fmt: skip


@_with_place
def show(request: HttpRequest, place: Place) -> HttpResponse:
    """A list: sought, sorted, leafed through."""
    rows, sort, descending = _found(place)
    number = place.page if (place.page - 1) * PAGE < rows.height else 1
    table = _table(place, rows.slice((number - 1) * PAGE, PAGE), rows)
    state = place.state
    context = place.context() | {
        "title": place.kind.title,
        "listing": listing.listing(table, place.table_url, sort, descending, number),
        "choices": _choices(place),
        "stores": frame.store_choices(state),
        "kept": [(k, v) for k, v in place.params.items() if v and k in (*frame.DIMENSIONS, "q", "sort")],
        "find": place.find,
        "back": {"label": state.dashboard.title, "url": state.url()},
    }
    return render(request, "analytics/list.html", context)


@_with_place
def export(request: HttpRequest, place: Place, form: str) -> HttpResponse:
    """All rows of the list as a file, as they are sought and sorted."""
    rows, _, _ = _found(place)
    build = place.state.build
    about = {
        "Page": place.state.dashboard.title, "List": place.kind.title, "Shows": frame.tell(place.state),
        "Found by": place.search,
    }  # fmt: skip
    name = "-".join([place.kind.address, build.meta()["as_of"], *place.state.slugs, *place.chosen.values()])
    return exports.export_response([_table(place, rows, rows)], form, name, build, about)
