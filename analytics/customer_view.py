"""One customer in figures: who they are, what they brought, where they stand among all, every order with its items.

The page itself, with what the desk does there, is operations/customer_page.py.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from analytics import access, exports, queries
from analytics.customers import HORIZON, SEGMENTS, WINDOW
from analytics.dashboards import frame
from analytics.formats import DASH, number, with_unit
from analytics.listing import PAGE, listing, read_page, read_sort
from analytics.pages import build_of, needs_data
from analytics.tables import Column, Table, words

MONTHS = 24  # that the chart shows
SYSTEMS = {"CC_2025": "CleanCloud", "Legacy": "RePOS, the old system"}
HISTORY = (
    Column("order_id", "Order"), Column("kind", "Kind", fold=True), Column("store", "Store", fold=True),
    Column("placed", "Placed", "date"), Column("earned_date", "Earned", "date", fold=True),
    Column("collected", "Collected", "date", fold=True), Column("pieces", "Pieces", "count", fold=True),
    Column("delivery", "Delivery", "boolean", fold=True), Column("pickup", "Pickup", "boolean", fold=True),
    Column("payment_type", "Paid by", fold=True), Column("paid", "Paid", "boolean"),
    Column("collections", "Received", "money", fold=True), Column("total", "Amount", "money"),
)  # fmt: skip


def facts_of(who: Mapping, contacts: Collection[str], only: str | None) -> list[tuple[str, str, str]]:
    """(column, label, words) of what is known about the person; who: of queries.customer()."""
    facts = [("customer_id", "Customer", who["customer_id"])]
    facts += [
        (key, label, who[key] or DASH) for key, label in (("phone", "Phone"), ("email", "E-mail")) if key in contacts
    ]
    facts += [
        ("store", "Store", who["store"] or DASH), ("area", "Area", who["area"] or DASH),
        ("route", "Route", DASH if who["route"] in (None, "") else str(who["route"])),
        ("signed_up", "Signed up", words(who["signed_up"], "date", "")), ("source", "System", SYSTEMS[who["source"]]),
    ]  # fmt: skip
    if not only and who["cohort_month"]:
        facts.append(("cohort_month", "Customer since", f"{who['cohort_month']:%B %Y}"))
    if who["b2b"]:
        facts.append(("b2b", "Business account", "yes: its orders count in no figure of consumers"))
    if who["source"] == "CC_2025":
        in_export = "yes" if who["in_export"] else "no: known from orders or items alone"
        facts.append(("in_export", "In the latest export", in_export))
    return facts


def _lifetime(who: dict, lifetime: dict | None) -> list[dict]:
    """The cards of all time: label, value, note."""
    money = frame.currency()
    old = who["source"] == "Legacy"
    cards = [
        ("Revenue", with_unit(who["revenue"], "money", money), "of all time"),
        ("Orders", number(who["orders"]), "earned so far"),
        ("Items", number(None if old else who["items"]), "the old system kept none" if old else "of earned orders"),
        ("Average order", with_unit(who["average_order"], "money", money), "revenue of orders / orders"),
        ("Last order", words(who["last_earned"], "date", ""), f"first: {words(who['first_earned'], 'date', '')}"),
        ("Owed", with_unit(None if old else who["balance"], "money", money),
         "the old system's orders count as paid" if old else "earned and unpaid, on the exports' date"),
    ]  # fmt: skip
    if lifetime and lifetime["expected_purchases"] is not None:
        alive = lifetime["alive"]
        cards.append((
            f"Next {HORIZON} weeks", with_unit(lifetime["expected_value"], "money", money),
            f"expected, on {number(lifetime['expected_purchases'], 1)} days with an order",
        ))  # fmt: skip
        cards.append((
            "Still a customer", DASH if alive is None else with_unit(alive, "share", ""),
            "one day with an order says too little" if alive is None else "probability, from how regularly they came",
        ))  # fmt: skip
    return [{"label": label, "value": value, "note": note} for label, value, note in cards]


def _segment(rfm: dict | None) -> dict | None:
    """The RFM segment and why: name, definition, action, month, scores (label, score, says)."""
    if rfm is None:
        return None
    segment = next(s for s in SEGMENTS if s.name == rfm["segment"])
    month = f"{rfm['month']:%B %Y}"
    days = rfm["recency_days"]
    spent = with_unit(rfm["monetary"], "money", frame.currency())
    orders = f"{rfm['frequency']} order{'' if rfm['frequency'] == 1 else 's'}"
    return {
        "name": segment.name, "definition": segment.definition, "action": segment.action, "month": month,
        "about": f"Among the {rfm['customers']:,} customers with revenue in the {WINDOW} months to the end of {month}.",
        "scores": [
            ("Recency", rfm["r"], f"last came {days} day{'' if days == 1 else 's'} before the month's end"),
            ("Frequency", rfm["f"], f"{orders} in {WINDOW} months"),
            ("Monetary", rfm["m"], f"{spent} in {WINDOW} months"),
        ],
        "fifths": {1: "the lowest fifth", 2: "the second lowest fifth", 3: "the middle fifth",
                   4: "the second highest fifth", 5: "the highest fifth"},
    }  # fmt: skip


def _step(top: float) -> float:
    """A round step, of 1 or more, that cuts `top` into five parts at most."""
    size = 10 ** len(str(int(top))) / 10
    return next(step for step in (max(size / 2, 1), size, size * 2, size * 5) if top / step <= 5)


def _chart(months: list[dict]) -> dict | None:
    """Revenue a month as bars: steps of the axis, bars with their height in %, and what a screen reader says."""
    shown = months[-MONTHS:]
    top = max([float(m["revenue"]) for m in shown] or [0])
    if top <= 0:
        return None
    money, step = frame.currency(), _step(top)
    highest = step * -(-top // step)
    bars, every = [], 3 if len(shown) > 12 else 1
    first = (len(shown) - 1) % every  # where there are many months every third has a word, the last one too
    for i, m in enumerate(shown):
        day: date = m["first_day"]
        value = with_unit(m["revenue"], "money", money)
        bars.append({
            "height": round(max(float(m["revenue"]), 0) / highest * 100, 2),
            "month": f"{day:%b %Y}", "so_far": not m["closed"], "value": value, "orders": m["orders"],
            "tick": f"{day:%b}" if i % every == first else "",
            "year": f"{day:%Y}" if i == first or (i % every == first and day.month <= every) else "",
        })  # fmt: skip
    best = max(bars, key=lambda b: b["height"])
    return {
        "bars": bars,
        "steps": [{"at": round(step * i / highest * 100, 2), "label": number(step * i)}
                  for i in range(round(highest / step) + 1)],
        "unit": money,
        "alt": f"Revenue a month from {bars[0]['month']} to {bars[-1]['month']}; "
               f"most in {best['month']}: {best['value']}.",
    }  # fmt: skip


def _months(months: list[dict]) -> Table:
    """The chart's numbers, the newest month first."""
    return Table(
        "months", "Revenue a month",
        (Column("month", "Month"), Column("revenue", "Revenue", "money"), Column("orders", "Orders", "count")),
        tuple(m | {"month": f"{m['first_day']:%b %Y}{'' if m['closed'] else ', so far'}"} for m in months[::-1]),
    )  # fmt: skip


def _history(build: queries.Snapshot, customer_id: str, params, limit: int | None) -> tuple:
    """The table, how it is sorted, and its page: where the order to find stands, unless a page is asked for."""
    sort, descending = read_sort(params.get("sort", "")[:40], [c.key for c in HISTORY], "-placed")
    page, wanted = read_page(params.get("p", "")), params.get("find", "")[:40]
    how = {"sort": sort, "descending": descending}
    if wanted and limit and "p" not in params:
        every = build.customer_history(customer_id, **how)[0]["order_id"].to_list()
        page = every.index(wanted) // PAGE + 1 if wanted in every else 1
    offset = (page - 1) * PAGE if limit else 0
    found, total = build.customer_history(customer_id, **how, limit=limit, offset=offset)
    rows = tuple(row | {"#chosen": row["order_id"] == wanted} for row in found.iter_rows(named=True))
    note = f"{total:,} order{'' if total == 1 else 's'} and payments of both systems."
    return Table("history", "Orders and payments", HISTORY, rows, note, total=total), sort, descending, \
        page if offset < max(total, 1) else 1  # fmt: skip


def items_of(build: queries.Snapshot, orders: list[str]) -> dict[str, list[dict]]:
    """Orders' item lines in words (see analytics/lines.html), by order; of some of customer_history() alone."""
    money, lines = frame.currency(), {}
    for line in build.customer_items(orders).iter_rows(named=True):
        lines.setdefault(line["order_id"], []).append({
            "item": line["item"], "category": line["item_category"], "service": line["service_type"],
            "quantity": number(line["quantity"], 0 if line["quantity"] is None or line["quantity"] % 1 == 0 else 1),
            "total": with_unit(line["total"], "money", money), "express": line["express"],
        })  # fmt: skip
    return lines


def _with_items(build: queries.Snapshot, table: Table) -> Table:
    """The history, each order with its items: dicts of words, a line each."""
    lines = items_of(build, [row["order_id"] for row in table.rows])
    rows = (row | {"#id": row["order_id"], "#lines": lines.get(row["order_id"], [])} for row in table.rows)
    return replace(table, rows=tuple(rows))


def figures_of(build: queries.Snapshot, customer_id: str, params: Mapping[str, str]) -> dict | None:
    """What templates/analytics/customer.html shows of a customer's figures, at the place that an address's parameters
    name; None: there is no such customer, or not in the reader's store. who: as queries.customer() has them."""
    who = build.customer(customer_id)
    if who is None:
        return None
    standing = {"rfm": None, "lifetime": None} if build.only else build.customer_standing(customer_id)
    table, sort, descending, page = _history(build, customer_id, params, PAGE)
    months = build.customer_months(customer_id).to_dicts()
    address = reverse("customer", args=[customer_id])

    def url(**other: str | None) -> str:
        kept = {k: v for k, v in params.items() if k in ("sort", "p")} | other
        said = urlencode({k: v for k, v in kept.items() if v})
        return f"{address}{f'?{said}' if said else ''}#history"

    return {
        "who": who,
        "only": build.only,
        "cards": _lifetime(who, standing["lifetime"]),
        "segment": _segment(standing["rfm"]),
        "chart": _chart(months),
        "months": _months(months),
        "listing": listing(_with_items(build, table), url, sort, descending, page),
        "exports": exports.links(lambda form: reverse("customer_export", args=[customer_id, form])),
    }


@access.page_required("customer")
@needs_data
def customer_export(request: HttpRequest, customer_id: str, form: str) -> HttpResponse:
    """A customer's revenue a month and whole history as a file; 404 for one that isn't there for the reader."""
    build = build_of(request)
    who = build.customer(customer_id[:40])
    if who is None:
        raise Http404
    history, *_ = _history(build, customer_id, request.GET, None)
    tables = [_months(build.customer_months(customer_id).to_dicts()), history]
    about = {"Customer": customer_id, "Name": who["name"], "Store": build.only}
    return exports.export_response(tables, form, f"customer-{customer_id}", build, about)
