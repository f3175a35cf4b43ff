"""The worklist as a page and a file. Every state is an address.

operations/receivables/?group&view&store&age&area&level&assigned&promise&contact&action&least&q&sort&p

What it shares with the list "Paid here": Address, stores_of, tabs, as_file and the words for money and days.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import ClassVar, Self
from urllib.parse import urlencode

from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from analytics import access, exports, listing
from analytics.dashboards import frame
from analytics.formats import DASH, day, person, with_unit
from analytics.metrics import FACTS
from analytics.pages import build_of
from analytics.receivables import AGING
from analytics.tables import Column, Table
from etl.business import Store, slug
from etl.errors import MoonwalkError
from operations.finding import clean
from operations.models import Level
from operations.money import Promise
from operations.receivables import (
    BUSINESS,
    CONSUMERS,
    ME,
    NOBODY,
    SORTS,
    Debt,
    Figures,
    Filters,
    Performance,
    Row,
    Worklist,
    figures,
    is_due,
    performance,
    to_key_in,
    worklist,
)
from operations.services import TOO_MUCH

log = logging.getLogger(__name__)
PAGE = 50  # rows
ORDERS = "orders"  # the view by order
NEVER, DUE = "never", "due"
AGES = {slug(name): i for i, name in enumerate(AGING)}
BY = {  # what the list of sorts offers; a column's head sorts by any of receivables.SORTS
    "": "Whom to call next", "-balance": "Most owed", "oldest": "Oldest first", "contact": "Longest not contacted",
    "action": "Next action", "promise": "Day promised", "name": "Name",
}  # fmt: skip


# The state that an address names ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Address:
    """Where a reader is in a list of the desk: what the address says, checked. params: as it says it, the usual left
    out. named: the page's name among urls.py; its file's has "_export" behind it."""

    params: Mapping[str, str]
    page: int
    named: ClassVar[str]

    def url(self, form: str = "", **other: str | None) -> str:
        """The address of this place, or of one that differs; None leaves a parameter out. form: as a file."""
        said = urlencode({k: v for k, v in (self.params | other).items() if v})
        path = reverse(f"{self.named}_export", args=[form]) if form else reverse(self.named)
        return f"{path}?{said}" if said else path

    def turned_to(self, page: int) -> Self:
        """The same list on another page of it."""
        params = {k: v for k, v in self.params.items() if k != "p"} | ({"p": str(page)} if page > 1 else {})
        return replace(self, page=page, params=params)


@dataclass(frozen=True)
class Place(Address):
    """Where a reader is in the worklist."""

    filters: Filters
    named = "receivables"


def stores_of(user) -> list[Store]:
    """The stores whose debts a person may choose among: none for who is kept to one."""
    return [] if access.store_of(user) else list(frame.business().stores)


def read(request: HttpRequest) -> Place:
    """What an address says; what it doesn't say well counts for nothing."""
    said = {k: v.strip() for k, v in request.GET.items()}
    stores = {s.slug: s.name for s in stores_of(request.user)}
    levels = {str(pk) for pk in Level.objects.values_list("pk", flat=True)} if said.get("level") else set()
    kept = {
        "group": said.get("group") == BUSINESS and BUSINESS,
        "view": said.get("view") == ORDERS and ORDERS,
        "store": said.get("store") in stores and said["store"],
        "age": said.get("age") in AGES and said["age"],
        "area": said.get("area", "")[:100],
        "level": said.get("level") in levels and said["level"],
        "assigned": _assigned(said.get("assigned", "")),
        "promise": said.get("promise") in (Promise.BROKEN, Promise.PENDING, Promise.KEPT) and said["promise"],
        "contact": said.get("contact") == NEVER and NEVER,
        "action": said.get("action") == DUE and DUE,
        "least": _amount(said.get("least", "")),
        "q": clean(said.get("q", ""), listing.FIND),
        "sort": said.get("sort", "").removeprefix("-") in SORTS and said["sort"],
    }  # fmt: skip
    params = {name: str(value) for name, value in kept.items() if value}
    return Place(params, listing.read_page(said.get("p", "")), _filters(params, stores))


def _filters(params: Mapping[str, str], stores: Mapping[str, str]) -> Filters:
    return Filters(
        group=params.get("group", CONSUMERS),
        by_order=params.get("view") == ORDERS,
        store=stores.get(params.get("store", ""), ""),
        age=AGES.get(params.get("age", "")),
        area=params.get("area", ""),
        level=int(params["level"]) if "level" in params else None,
        assigned=params.get("assigned", ""),
        promise=Promise(params["promise"]) if "promise" in params else None,
        never="contact" in params,
        due="action" in params,
        least=Decimal(params["least"]) if "least" in params else None,
        search=params.get("q", ""),
        sort=params.get("sort", ""),
    )


def _assigned(text: str) -> str:
    return text if text in (ME, NOBODY) or (text.isascii() and text.isdigit() and len(text) < 10) else ""


def _amount(text: str) -> str:
    """An amount above 0 as an address has it; "" for what is none, or more than anybody can owe."""
    try:
        amount = Decimal(text[:12])
    except InvalidOperation:
        return ""
    return f"{amount:f}" if amount.is_finite() and 0 < amount < TOO_MUCH else ""


# Words -------------------------------------------------------------------------------------------------------------


def money(amount: Decimal) -> str:
    """With both places, as it is asked for and paid: "Dhs 1,234.50"."""
    return f"{frame.currency()} {amount:,.2f}"


def day_words(day: date | None, today: date) -> str:
    """today, yesterday, tomorrow, 5 Mar, 5 Mar 2025; a dash for none."""
    if day is None:
        return DASH
    near = {-1: "yesterday", 0: "today", 1: "tomorrow"}.get((day - today).days)
    return near or f"{day.day} {day:%b}" + ("" if day.year == today.year else f" {day.year}")


def _local_day(at: datetime | None) -> date | None:
    return None if at is None else timezone.localtime(at).date()


def promise_words(debt: Debt, today: date) -> str:
    """Dhs 20.00 by 5 Mar; "" without a promise."""
    if debt.promise is Promise.NONE:
        return ""
    return f"{money(debt.promise_amount)} by {day_words(debt.promise_on, today)}"


def level_words(debt: Debt) -> str:
    return debt.level.name if debt.level else DASH


# Rows on the page --------------------------------------------------------------------------------------------------

COLUMNS = (
    Column("name", "Customer"),
    Column("order", "Order"),
    Column("balance", "Balance", "money", about="Total less what was paid here; of orders that are cleaned."),
    Column("oldest", "Oldest order", "date", about="The day it was placed."),
    Column("overdue", "Days overdue", "count", about="Of the oldest order: days since it was placed less the days "
           "that customers have to pay."),
    Column("aging", "Aging", about="The balance by days since the orders were placed, the newest on the left: "
           f"{', '.join(AGING)}. Sorted by what is oldest."),
    Column("level", "Level", about="By days overdue and balance. A promise pauses it until its day."),
    Column("contact", "Last contact", "date"),
    Column("promise", "Promise", about="The last one, and how it stands."),
    Column("action", "Next action", "date"),
    Column("assigned", "Assigned to"),
)  # fmt: skip


def _columns(filters: Filters) -> tuple[Column, ...]:
    """Those of the view: by order there is an order and its own day, and no aging."""
    if not filters.by_order:
        return tuple(c for c in COLUMNS if c.key != "order")
    order = {"balance": {}, "oldest": {"label": "Placed", "about": ""}, "overdue": {"about": ""}}
    return tuple(replace(c, **order.get(c.key, {})) for c in COLUMNS if c.key != "aging")


def bar(debt: Debt) -> dict:
    """The aging of a debt as widths of 100 with their starts, and in words."""
    parts, at = [], 0.0
    for i, amount in enumerate(debt.aging):
        if amount:
            width = float(amount / debt.balance * 100)
            parts.append({"bucket": i, "at": f"{at:.2f}", "width": f"{width:.2f}"})
            at += width
    said = ", ".join(f"{name} {money(amount)}" for name, amount in zip(AGING, debt.aging, strict=True) if amount)
    return {"parts": parts, "said": said}


@dataclass(frozen=True)
class Rights:
    """Which of the desk's actions a person may do: those whose buttons they see. follow: notes, promises, plans."""

    pay: bool
    follow: bool
    assign: bool

    @property
    def any(self) -> bool:
        return self.pay or self.follow or self.assign


def rights_of(user) -> Rights:
    """As services ask for each of them."""
    return Rights(*(user.has_perm(f"operations.{name}") for name in ("add_payment", "add_followup", "assign_customer")))


def _act(what: str, back: str, **subject: str) -> str:
    """The address of a form of the desk, about a customer or an order."""
    return f"{reverse('act', args=[what])}?{urlencode(subject | {'back': back})}"


def _row(row: Row, found: Worklist, rights: Rights, opens: bool, back: str) -> dict:
    """A row's words and addresses, for the template."""
    debt, today = row.debt, found.today
    subject = {"customer": debt.customer_id}
    paid = subject | ({"order": row.order.order_id} if row.order else {})
    return {
        "debt": debt,
        "order": row.order,
        "chosen": row.order.order_id if row.order else debt.customer_id,
        "balance": money(row.balance),
        "amount": f"{row.balance:.2f}",
        "oldest": day_words(row.oldest, today),
        "overdue": row.days_overdue,
        "store": row.store,
        "bar": None if row.order else bar(debt),
        "level": level_words(debt),
        "contact": day_words(_local_day(debt.last_contact_at), today),
        "promise": promise_words(debt, today),
        "action": day_words(debt.next_action_on, today),
        "due": is_due(debt, today),
        "url": reverse("customer", args=[debt.customer_id]) if opens else "",
        "pay": _act("pay", back, **paid) if rights.pay else "",
        "promise_url": _act("promise", back, **subject) if rights.follow else "",
        "note": _act("note", back, **subject) if rights.follow else "",
    }  # fmt: skip


# Figures on top ----------------------------------------------------------------------------------------------------


def _figures(of: Figures, speed: Performance | None) -> list[dict]:
    """label, value, note, about (how it is worked out), why (there is no value)."""
    orders, customers = of.orders, of.customers
    n = f"{orders:,} order{'' if orders == 1 else 's'} of {customers:,} customer{'' if customers == 1 else 's'}"
    promises = f"{of.promises:,} promise{'' if of.promises == 1 else 's'}"
    share = with_unit(of.overdue / of.outstanding, "share", "") + " of it" if of.outstanding else ""
    cards = [
        _card("outstanding", "Outstanding", money(of.outstanding), n,
              "Total of every cleaned order that CleanCloud calls unpaid, less what was paid here for it and not "
              "voided, never below 0. Added up over all of them."),
        _card("overdue", "Overdue", money(of.overdue), share,
              f"The outstanding of orders past their due day: the day placed plus {_terms()}."),
        _card("promised", "Promised", money(of.promised), promises,
              "Of each customer's last promise whose day hasn't passed: the amount promised, less what came in since "
              "for the orders it was made for, and no more than is owed."),
        _card("collected", "Collected this week", money(of.collected), f"since Monday, {of.since.day} {of.since:%b}",
              "Payments recorded here whose day of payment is Monday or later, less those voided. What was paid at "
              "the till and keyed into CleanCloud is not in it."),
    ]  # fmt: skip
    return cards + (_speed(speed) if speed else [])


def _speed(of: Performance) -> list[dict]:
    days = [with_unit(v, "days", "") for v in (of.best_possible, of.delinquent)]
    seen = f"as of {of.as_of.day} {of.as_of:%b}" if of.as_of else ""
    about = (f"{FACTS['dso'].description} Best possible: with receivables not overdue yet alone. Delinquent: the "
             "difference.")  # fmt: skip
    return [
        _card("dso", "Days sales outstanding", with_unit(of.dso, "days", ""),
              f"best {days[0]}, delinquent {days[1]}, {seen}" if of.dso is not None else of.why, about),
        _card("effectiveness", "Collection effectiveness", with_unit(of.effectiveness, "share", ""),
              seen if of.effectiveness is not None else of.why or of.start_why,
              FACTS["collection_effectiveness"].description),
    ]  # fmt: skip


def _card(name: str, label: str, value: str, note: str, about: str) -> dict:
    return {"name": name, "label": label, "value": value, "note": note, "about": about}


def _terms() -> str:
    n = frame.business().payment_terms_days
    return f"{n} day{'' if n == 1 else 's'} to pay"


# Choices -----------------------------------------------------------------------------------------------------------


def _choices(place: Place, found: Worklist, user) -> list[dict]:
    """The lists to choose from: name, label, options (value, words, chosen)."""
    people = dict(found.people)
    chosen = found.filters.assigned
    if chosen.isdigit() and int(chosen) not in people:  # an address that names somebody with no customer left
        somebody = get_user_model().objects.filter(pk=chosen).first()
        people |= {somebody.pk: person(somebody)} if somebody else {}
    others = {str(pk): name for pk, name in people.items() if pk != user.pk}
    given = {ME: f"Me ({person(user)})", NOBODY: "Nobody"} | others
    every = (
        ("store", "Store", {"": "All stores"} | {s.slug: s.name for s in stores_of(user)}),
        ("age", "Age", {"": "Any age"} | {key: AGING[i] for key, i in AGES.items()}),
        ("level", "Level", {"": "Any level"} | {str(level.pk): level.name for level in Level.objects.all()}),
        ("area", "Area", {"": "All areas"} | {name: name for name in found.areas}),
        ("assigned", "Assigned to", {"": "Anybody"} | given),
        ("promise", "Promise", {"": "Any promise", Promise.BROKEN: "Promise broken", Promise.PENDING: "Promise pending",
                                Promise.KEPT: "Promise kept"}),
    )  # fmt: skip
    return [
        {"name": name, "label": label,
         "options": [(value, words, value == place.params.get(name, "")) for value, words in options.items()]}
        for name, label, options in every
        if len(options) > 2 or place.params.get(name)
    ]  # fmt: skip


def _quick(place: Place, found: Worklist, user) -> list[dict]:
    """What a day begins with, each with how many there are: label, count, url (there, or away from it), here."""
    today = found.today
    return [
        {"label": label, "count": found.count(wanted), "here": place.params.get(name) == value,
         "url": place.url(**{name: None if place.params.get(name) == value else value}, p=None)}
        for name, value, label, wanted in (
            ("promise", Promise.BROKEN.value, "Promise broken", lambda d: d.promise is Promise.BROKEN),
            ("action", DUE, "Next action due", lambda d: is_due(d, today)),
            ("assigned", ME, "Assigned to me", lambda d: d.assigned_to_id == user.pk),
            ("contact", NEVER, "Never contacted", lambda d: d.last_contact_at is None),
        )
    ]  # fmt: skip


def _chips(place: Place, choices: list[dict]) -> list[dict]:
    """What the list is narrowed by, each with the address without it."""
    said = {"contact": "Never contacted", "action": "Next action due"}
    if "least" in place.params:
        said["least"] = f"At least {money(Decimal(place.params['least']))}"
    for choice in choices:
        for value, words, here in choice["options"]:
            if here and value:
                own = choice["name"] == "promise"  # "Promise broken" says what it is
                said[choice["name"]] = words if own else f"{choice['label']}: {words}"
    if "q" in place.params:
        said["q"] = f"Found by “{place.params['q']}”"
    return [
        {"name": name, "label": words, "url": place.url(**{name: None}, p=None)}
        for name, words in said.items()
        if name in place.params
    ]


# The page ----------------------------------------------------------------------------------------------------------


@access.page_required("receivables")
@require_GET
def receivables(request: HttpRequest) -> HttpResponse:
    """Who owes, and whom to call next."""
    user, today, place = request.user, timezone.localdate(), read(request)
    filters = place.filters
    found = worklist(user, today, filters)
    number = place.page if (place.page - 1) * PAGE < len(found.rows) else 1
    place = place.turned_to(number)
    rights, opens, back = rights_of(user), access.can_see(user, "customer"), place.url()
    shown = [_row(row, found, rights, opens, back) for row in found.rows[(number - 1) * PAGE : number * PAGE]]
    table = Table("worklist", "Who owes", _columns(filters), tuple(shown), total=len(found.rows))
    sort, falling = filters.sort.removeprefix("-"), filters.sort.startswith("-")
    choices = _choices(place, found, user)
    speed = None if filters.group == BUSINESS else performance(user, filters.store)
    context = {
        "here": "receivables",
        "place": place,
        "only": access.store_of(user),
        "found": found,
        "total": money(found.total),
        "count": len(found.rows),
        "today": today,
        "rights": rights,
        "back": back,
        "figures": _figures(figures(user, found), speed),
        "tabs": tabs(place, found.counts, to_key_in(user, filters.store), filters.group),
        "views": [
            {"label": label, "url": place.url(view=view, sort=None, p=None), "here": filters.by_order == bool(view)}
            for view, label in (("", "By customer"), (ORDERS, "By order"))
        ],
        "quick": _quick(place, found, user),
        "choices": choices,
        "chips": _chips(place, choices),
        "clear": place.url(**{k: None for k in place.params if k not in ("group", "view", "sort")}),
        "sorts": [(value, words, value == filters.sort) for value, words in BY.items()],
        "sorted_by_head": filters.sort not in BY,
        "kept": [(k, v) for k, v in place.params.items() if k in ("group", "view", "contact", "action", "q")],
        "searched": [(k, v) for k, v in place.params.items() if k not in ("q", "p")],
        "find": "Name, phone, customer or order" if "phone" in access.contacts_of(user) else "Name, customer or order",
        "buckets": list(enumerate(AGING)),
        "listing": listing.listing(table, place.url, sort, falling, number, PAGE),
        "exports": exports.links(lambda form: place.url(form=form, p=None)),
    }  # fmt: skip
    return render(request, "operations/receivables.html", context)


def tabs(place: Place, counts: Mapping[str, int], keyed: int, here: str) -> list[dict]:
    """The parts of the desk: label, count, url, here."""
    paid = reverse("paid_here") + (f"?store={place.params['store']}" if "store" in place.params else "")
    other = dict.fromkeys(("area", "level", "p"))
    return [
        {"label": "Customers", "count": counts[CONSUMERS], "url": place.url(group=None, **other),
         "here": here == CONSUMERS},
        {"label": "Business accounts", "count": counts[BUSINESS], "url": place.url(group=BUSINESS, **other),
         "here": here == BUSINESS},
        {"label": "Paid here, still unpaid in CleanCloud", "count": keyed, "url": paid, "here": here == "paid"},
    ]  # fmt: skip


# As a file ---------------------------------------------------------------------------------------------------------


def _file_columns(filters: Filters) -> tuple[Column, ...]:
    of_order = (
        Column("order", "Order"), Column("placed", "Placed", "date"), Column("total", "Total", "money"),
        Column("paid_here", "Paid here", "money"),
    )  # fmt: skip
    of_customer = (
        Column("orders", "Open orders", "count"), Column("oldest", "Oldest order", "date"),
        *(Column(f"age{i}", name, "money") for i, name in enumerate(AGING)),
    )  # fmt: skip
    return (
        Column("customer_id", "Customer"), Column("name", "Name"), Column("phone", "Phone"), Column("store", "Store"),
        Column("area", "Area"), *(of_order if filters.by_order else ()), Column("balance", "Balance", "money"),
        *(() if filters.by_order else of_customer), Column("overdue", "Days overdue", "count"),
        Column("level", "Level"), Column("paused", "Paused by a promise", "boolean"),
        Column("contact", "Last contact", "date"), Column("promised", "Promised", "money"),
        Column("promised_for", "Promised for", "date"), Column("promise", "Promise"),
        Column("action", "Next action", "date"), Column("assigned", "Assigned to"),
        Column("do_not_contact", "Do not contact", "boolean"),
    )  # fmt: skip


def _file_row(row: Row) -> dict:
    debt, order = row.debt, row.order
    of_order = {"order": order.order_id, "placed": order.day, "total": order.total, "paid_here": order.paid_here} \
        if order else {}  # fmt: skip
    return of_order | {f"age{i}": amount for i, amount in enumerate(debt.aging)} | {
        "customer_id": debt.customer_id, "name": debt.name, "phone": debt.phone, "store": row.store,
        "area": debt.area, "balance": row.balance, "orders": len(debt.orders), "oldest": row.oldest,
        "overdue": row.days_overdue, "level": debt.level.name if debt.level else "", "paused": debt.paused,
        "contact": _local_day(debt.last_contact_at), "promised": debt.promise_amount,
        "promised_for": debt.promise_on, "promise": "" if debt.promise is Promise.NONE else debt.promise.value,
        "action": debt.next_action_on, "assigned": debt.assigned_to, "do_not_contact": debt.do_not_contact,
    }  # fmt: skip


def as_file(request: HttpRequest, table: Table, form: str, name: str, about: dict[str, str | None]) -> HttpResponse:
    """A download of the desk's rows. They are the database's: the build is named where one can be read, and a desk
    without one has its files all the same."""
    try:
        build = build_of(request)
    except MoonwalkError as error:
        log.warning("%s: %s", request.path, type(error).__name__)
        return exports.file_response([table], form, name, about)
    return exports.export_response([table], form, name, build, about)


@access.page_required("receivables")
@require_GET
def receivables_export(request: HttpRequest, form: str) -> HttpResponse:
    """All rows of the worklist as they are filtered and sorted, on every page of it."""
    today, place = timezone.localdate(), read(request)
    found = worklist(request.user, today, place.filters)
    title = "Business accounts" if place.filters.group == BUSINESS else "Customers"
    note = f"{len(found.rows):,} {'orders' if place.filters.by_order else 'customers'}, together {money(found.total)}."
    table = Table(
        "worklist", "Who owes", _file_columns(place.filters), tuple(_file_row(row) for row in found.rows), note
    ).reaching(access.contacts_of(request.user))
    chips = _chips(place, _choices(place, found, request.user))
    about = {
        "Page": "Who owes", "Group": title, "Day": day(today),
        "Store": access.store_of(request.user), "Shows": "; ".join(chip["label"] for chip in chips),
        "Sorted by": BY.get(place.filters.sort),
    }  # fmt: skip
    name = "-".join(filter(None, ("receivables", place.params.get("group"), place.params.get("view"), f"{today}")))
    return as_file(request, table, form, name, about)
