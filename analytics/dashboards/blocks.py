"""The charts, tables, facts and sentences of a tab with their numbers.

charts()    every chart of a tab: its words, its Plotly figure and its numbers as a Table
tables()    the tables that stand on a page by themselves
facts()     cards of what no period has: lifetimes, what is owed
says()      what a page says in words above its cards; SENTENCES has them, and those of single cards
"""

from collections.abc import Callable, Sequence
from datetime import date
from urllib.parse import urlencode

from django.urls import reverse

from analytics import charts as plot
from analytics import customers, queries, receivables
from analytics.dashboards.by_period import FORMS, as_chart, capital, definition_of, listed, said_of
from analytics.dashboards.frame import LEAST, Block, Chart, State, currency
from analytics.formats import Number, after, before, figure, number, with_unit
from analytics.metrics import FACTS
from analytics.tables import Column, Table
from etl.business import slug

WIDE = ("cohorts",)
TOP = 20  # customers and orders that a list shows


def charts(state: State) -> list[dict]:
    """The tab's charts, each a dict: id, title, note, alt (what a screen reader says), figure (Plotly), height (px,
    None: the usual), wide (takes a row of its own), table (Table), follow and definition (addresses, or "")."""
    draw = _drawn(state)
    return state.build.shared(("charts", *state.key), lambda _: _placed([c for c in map(draw, _shown(state)) if c]))


def _placed(drawn: list[dict]) -> list[dict]:
    """`wide` for what takes a row of its own: a tall chart, and the one that would stand beside nothing."""
    beside = False
    for i, chart in enumerate(drawn):
        alone = not beside and (i + 1 == len(drawn) or drawn[i + 1]["id"] in WIDE)
        chart["wide"] = chart["id"] in WIDE or (alone and len(drawn) > 1)
        beside = not beside and not chart["wide"]
    return drawn


def _shown(state: State) -> list[Chart | Block]:
    """Without what a reader restricted to a store, or a page of one store, has no use for."""
    one_store = state.build.only or state.filters.store
    return [
        c
        for c in state.tab.charts
        if not (isinstance(c, Block) and c.whole and state.build.only)
        and not (
            isinstance(c, Chart)
            and (
                (c.split == "store" and one_store)
                or not all(map(state.build.may_see, c.metrics))
                or all(m in state.figures.unasked for m in c.metrics)
            )
        )
    ]


def _drawn(state: State) -> Callable:
    return lambda c: BLOCKS[c.name](state) if isinstance(c, Block) else FORMS[c.form](state, c)


def tables(state: State) -> list[Table]:
    """The tables that stand on the tab by themselves."""
    shown = [block for block in state.tab.tables if not (block.whole and state.build.only)]
    return state.build.shared(("tables", *state.key), lambda _: [LISTS[block.name](state) for block in shown])


# --- Charts of the whole business ----------------------------------------------------------------------------------


def _month(state: State) -> str:
    return f"{state.period.last_day:%Y-%m}"


def worklist_url(state: State, **wanted: str) -> str:
    """The worklist, where what is owed is worked on: of the page's store and area, and of what else is wanted."""
    place = {"store": state.store.slug if state.store else "", "area": state.filters.area or ""}
    said = urlencode({k: v for k, v in (place | wanted).items() if v})
    return f"{reverse('receivables')}?{said}" if said else reverse("receivables")


def order_url(customer_id: str, order_id: str) -> str:
    """The place of an order on its customer's page."""
    return f"{reverse('customer', args=[customer_id])}?find={order_id}#{order_id}"


def _heat(state: State) -> dict:
    """How many of each month's new customers came back, month by month."""
    frame = state.build.cohorts()
    months = [int(name) for name in frame.columns[1:]]
    cohorts = [row for row in frame.iter_rows() if row[0] <= state.period.key and row[1]][::-1]
    names = [f"{date.fromisoformat(f'{key}-01'):%b %Y}" for key, *_ in cohorts]
    shares = [[None if c is None else c / counts[0] for c in counts] for _, *counts in cohorts]
    hovers = [
        [
            "" if c is None else f"{c:,} of {counts[0]:,} customers came in month {i} ({with_unit(share, 'share', '')})"
            for i, c, share in zip(months, counts, row, strict=True)
        ]
        for (_, *counts), row in zip(cohorts, shares, strict=True)
    ]
    columns = (
        Column("month", "Cohort month"),
        *(Column(f"n{i}", f"Month {i}, customers", "count") for i in months),
        *(Column(f"m{i}", f"Month {i}, share", "share") for i in months[1:]),
    )
    rows = tuple(
        {"month": name} | {f"n{i}": c for i, c in enumerate(counts)} | {f"m{i}": share for i, share in enumerate(row)}
        for name, (_, *counts), row in zip(names, cohorts, shares, strict=True)
    )
    note = (
        "Of each month's new customers, how many came again so many months later. Closed months only: blank is not "
        "reached yet. Who came over from the old system counts as new in the months of the change-over."
    )
    table = Table("cohorts", "Customers who came back", columns, rows, note, ("m0_customers", "m1_customers"))
    drawn = plot.heat(names, [f"M{i}" for i in months], shares, hovers, [counts[0] for _, *counts in cohorts])
    alt = f"Retention of {len(cohorts)} cohorts over {months[-1]} months; every share is in the table."
    return as_chart(table, drawn, alt, state.follow("m1_customers"), definition_of("m1_customer_retention"))


def _segments_table(state: State) -> Table:
    found = {row["segment"]: row for row in state.build.segments(_month(state)).iter_rows(named=True)}
    everybody = sum(r["customers"] for r in found.values()) or None
    revenue = sum(float(r["revenue"] or 0) for r in found.values()) or None
    rows = []
    for segment in customers.SEGMENTS:
        r = found[segment.name]
        chosen = state.filters.segment == segment.name
        rows.append(
            {
                "segment": segment.name,
                "customers": r["customers"],
                "share": r["customers"] / everybody if everybody else None,
                "revenue": r["revenue"],
                "revenue_share": float(r["revenue"] or 0) / revenue if revenue else None,
                "recency": r["recency_days"],
                "frequency": r["frequency"],
                "definition": segment.definition,
                "action": segment.action,
                "#chosen": chosen,
                "#url": state.url(segment=None if chosen else slug(segment.name)),
            }
        )
    columns = (
        Column("segment", "Segment"),
        Column("customers", "Customers", "count"),
        Column("revenue", "Revenue in 6 months", "money", fold=True),
        Column("recency", "Days since the last order", "days", fold=True),
        Column("frequency", "Orders each", "ratio", fold=True),
        Column("definition", "Who they are", long=True, fold=True),
        Column("action", "What to do", long=True),
    )
    note = f"{customers.RFM_NOTE} Here at the end of {state.period.last_day:%B %Y}, of the whole business."
    return Table("segments", "Six kinds of customers (RFM)", columns, tuple(rows), note)


def _segments(state: State) -> dict:
    """Customers and revenue of the six RFM segments, side by side; a click shows the page for that segment."""
    table = _segments_table(state)
    bars = [
        plot.Bar(
            r["segment"],
            r["customers"],
            (
                r["segment"],
                f"{r['customers']:,} customers ({with_unit(r['share'], 'share', '')})",
                f"{with_unit(r['revenue'], 'money', currency())} in 6 months "
                f"({with_unit(r['revenue_share'], 'share', '')})",
            ),
            {"segment": None if r["#chosen"] else slug(r["segment"])},
            r["#chosen"],
            with_unit(r["share"], "share", ""),
        )
        for r in table.rows
    ]
    second = plot.Measure(
        tuple(r["revenue"] for r in table.rows),
        "revenue",
        "money",
        currency(),
        tuple(with_unit(r["revenue_share"], "share", "") for r in table.rows),
    )
    drawn = plot.ranked(bars, "customers", "count", currency(), "customers", second)
    alt = "Segments: " + listed(f"{r['segment']} {r['customers']:,} customers" for r in table.rows) + "."
    brief = Table(
        "segments-chart",
        "Customers and revenue by segment",
        (
            *table.columns[:2],
            Column("share", "Share", "share"),
            table.columns[2],
            Column("revenue_share", "Share of revenue", "share"),
        ),
        table.rows,
        "Customers left, revenue of 6 months right. A click filters the page; who they are and what to do "
        "about them is in the table below.",
    )
    return as_chart(brief, drawn, alt, state.list_url("lifetimes"), definition_of("rfm"))


def _reached(frame, share: float) -> int:
    """The rank at which so much of the revenue is reached."""
    found = frame.filter(frame["cumulative_share"] >= share - 1e-9)
    return int(found["rank"][0]) if found.height else frame.height


def _pareto(state: State) -> dict | None:
    """What share of the revenue the first so many customers bring."""
    frame = state.customers
    n = frame.height
    if not n or frame["cumulative_share"][0] is None:
        return None
    shares = frame["cumulative_share"].to_list()
    fifth = max(1, round(n * 0.2))
    eighty = _reached(frame, 0.8)
    marks = [
        plot.Mark(
            fifth / n,
            shares[fifth - 1],
            f"first 20 %: {number(shares[fifth - 1] * 100, 1)} % of revenue",
        ),
        plot.Mark(eighty / n, shares[eighty - 1], f"80 % of revenue: {eighty:,} customers"),
    ]
    hovers = {
        i: f"{i + 1:,} of {n:,} customers ({number((i + 1) / n * 100, 1)} %)\n{number(shares[i] * 100, 1)} % of revenue"
        for i in plot.on_curve(n)
    }
    drawn = plot.pareto([rank / n for rank in range(1, n + 1)], shares, hovers, marks)
    steps = sorted({max(1, round(n * i / 10)) for i in range(1, 11)})
    columns = (
        Column("share", "Share of customers", "share"),
        Column("customers", "Customers", "count"),
        Column("revenue", "Share of revenue", "share"),
    )
    table = Table(
        "pareto",
        "Revenue by customers, the biggest first",
        columns,
        tuple({"share": k / n, "customers": k, "revenue": shares[k - 1]} for k in steps),
        f"All {n:,} active customers of {said_of(state.period)}, of the whole business.",
    )
    alt = f"The first 20 % of {n:,} customers bring {marks[0].text.split(': ')[1]}; {marks[1].text}."
    return as_chart(table, drawn, alt, state.follow("revenue"), definition_of("concentration"))


def _top_customers(state: State) -> Table:
    frame = state.customers.head(TOP)
    columns = (
        Column("customer", "Customer"),
        Column("rank", "Rank", "count", fold=True),
        Column("revenue", "Revenue", "money"),
        Column("share", "Share", "share"),
        Column("cumulative_share", "Together", "share", fold=True),
    )
    rows = tuple(
        {"customer": r["name"], "#url": reverse("customer", args=[r["customer_id"]])}
        | {k: r[k] for k in ("rank", "revenue", "share", "cumulative_share")}
        for r in frame.iter_rows(named=True)
    )
    title = f"Top {TOP} customers of {said_of(state.period)}"
    return Table(
        "top-customers", title, columns, rows, "By revenue of the period, of the whole business.", ("revenue",)
    )


# --- What is owed --------------------------------------------------------------------------------------------------


def _as_of(state: State) -> str:
    day = state.build.ledger(state.filters).as_of
    return f"{day.day} {day:%b %Y}"


def _aging(state: State) -> dict:
    """What is owed by the days since the orders were placed."""
    ledger = state.build.ledger(state.filters)
    found = receivables.summary(ledger.orders, ledger.as_of)
    whole = found["amount"] or None
    rows, bars = [], []
    for name, (count, amount) in found["aging"].items():
        share = amount / whole if whole else None
        lead = state.list_url("unpaid", age=slug(name))
        rows.append({"bucket": name, "orders": count, "amount": amount, "share": share, "#url": lead})
        bars.append(
            plot.Bar(
                capital(name),
                amount,
                (
                    capital(name),
                    with_unit(amount, "money", currency()),
                    f"{count:,} orders",
                    f"{with_unit(share, 'share', '')} of all",
                ),
                {"#go": lead},
                False,
                with_unit(share, "share", ""),
            )
        )
    columns = (
        Column("bucket", "Days since placed"),
        Column("orders", "Orders", "count"),
        Column("amount", "Balance", "money"),
        Column("share", "Share", "share"),
    )
    table = Table(
        "aging",
        "How old it is",
        columns,
        tuple(rows),
        f"Unpaid on {_as_of(state)}, by days since the order was placed.",
    )
    drawn = plot.ranked(bars, "revenue", "money", currency(), currency())
    alt = "Aging: " + listed(f"{r['bucket']} {with_unit(r['amount'], 'money', currency())}" for r in rows) + "."
    return as_chart(table, drawn, alt, state.list_url("unpaid"), definition_of("aging"))


def _debtors(state: State) -> Table:
    ledger = state.build.ledger(state.filters)
    frame = receivables.largest_debtors(ledger.orders, TOP)
    columns = (
        Column("customer", "Customer"),
        Column("balance", "Balance", "money"),
        Column("orders", "Orders", "count", fold=True),
        Column("oldest", "Oldest order", "date", fold=True),
        Column("days", "Days old", "count", fold=True),
        *(Column(name, capital(name), "money", fold=True) for name in receivables.AGING),
    )
    rows = tuple(
        {k: v for k, v in r.items() if k not in ("customer_id", "name")}
        | {"customer": r["name"], "#url": reverse("customer", args=[r["customer_id"]])}
        for r in frame.iter_rows(named=True)
    )
    leads = (("Work on them: the worklist", worklist_url(state, sort="-balance")),)
    title = f"Top {TOP} customers by balance"
    return Table("debtors", title, columns, rows, f"Unpaid on {_as_of(state)}.", leads=leads)


def _oldest(state: State) -> Table:
    ledger = state.build.ledger(state.filters)
    frame = receivables.oldest_orders(ledger.orders, TOP)
    columns = (
        Column("order_id", "Order"),
        Column("customer", "Customer"),
        Column("store", "Store", fold=True),
        Column("placed", "Placed", "date", fold=True),
        Column("days", "Days old", "count", fold=True),
        Column("balance", "Balance", "money"),
    )
    rows = tuple(
        {k: v for k, v in r.items() if k not in ("customer_id", "name")}
        | {"customer": r["name"], "#url": order_url(r["customer_id"], r["order_id"])}
        for r in frame.iter_rows(named=True)
    )
    leads = (("Work on them: the worklist by order", worklist_url(state, view="orders", sort="oldest")),)
    return Table("oldest", f"{TOP} oldest unpaid orders", columns, rows, f"Unpaid on {_as_of(state)}.", leads=leads)


# --- Facts: cards of what no period has ----------------------------------------------------------------------------


def facts(state: State, name: str) -> list[dict]:
    """The cards of one of CARDS, in the shape of cards.cards(); raw: (label, value, unit) for an export."""
    return state.build.shared(("facts", name, *state.key), lambda _: CARDS[name](state))


def _fact(
    name: str,
    value: Number,
    subject: str,
    parts: Sequence[tuple[str, Number, str]] = (),
    note: str = "",
    why: str = "",
    follow: str = "",
    follows: Sequence[str] = (),
    lead: tuple[str, str] | None = None,
) -> dict:
    """The card of one of FACTS. parts: (words, value, unit); follow, follows: where it and its parts lead; lead: where
    one does something about it, (words, address)."""
    fact = FACTS[name]
    parted = [
        {"label": words, "value": with_unit(v, unit, currency()), "change": None, "url": url}
        for (words, v, unit), url in zip(parts, follows or [""] * len(parts), strict=True)
    ]
    return {
        "metric": name,
        "label": fact.label,
        "about": fact.description,
        "subject": subject,
        "before": before(fact.unit, currency()) if value is not None else "",
        "value": figure(value, fact.unit),
        "after": after(fact.unit) if value is not None else "",
        "so_far": False,
        "changes": [],
        "spark": "",
        "end": "",
        "parts": parted,
        "note": note,
        "why": why if value is None else "",
        "follow": follow,
        "lead": lead,
        "definition": definition_of(name),
        "whole": False,
        "raw": [(fact.label, value, fact.unit), *((f"{fact.label}: {words}", v, unit) for words, v, unit in parts)],
    }


def _clv(state: State) -> list[dict]:
    found = state.build.clv()
    parts = (
        ("Revenue a month", found["avg_monthly_rev"], "money"),
        ("Months as a customer", found["avg_lifespan"], "ratio"),
    )
    follow = state.list_url("lifetimes", sort="-monthly_revenue")
    note = "Of the whole business, all time."
    return [_fact("simple_clv", found["simple_clv"], "revenue", parts, note, follow=follow)]


def _owed(state: State) -> list[dict]:
    ledger = state.build.ledger(state.filters)
    late = receivables.overdue(ledger.orders, ledger.as_of)
    owed, overdue = float(receivables.total(ledger.orders)), float(receivables.total(late))
    count, business = receivables.business_accounts(ledger)
    row = next(iter(receivables.performance(ledger).iter_rows(named=True)))
    day, debtors = f"As of {_as_of(state)}.", ledger.orders["customer_id"].n_unique()
    sold = f"{with_unit(row['credit_sales'], 'money', currency())} sold on credit in 90 days."
    unpaid = state.list_url("unpaid")
    return [
        _fact("outstanding", owed, "revenue", (("Orders", ledger.orders.height, "count"),
              ("Customers", debtors, "count")), day, follow=unpaid, lead=("Whom to call", worklist_url(state))),
        _fact("overdue", overdue, "revenue", (("Orders", late.height, "count"),
              ("Share of outstanding", overdue / owed if owed else None, "share")), day,
              follow=state.list_url("unpaid", what="overdue")),
        _fact("dso", row["dso"], "stops", (("Best possible", row["best_possible_dso"], "days"),
              ("Delinquent", row["delinquent_days"], "days")), sold, "Nothing was sold on credit in the last 90 days.",
              unpaid),
        _fact("collection_effectiveness", row["collection_effectiveness"], "revenue", (), "", ledger.why, unpaid),
        _fact("business_accounts", business, "revenue", (("Orders", count, "count"),),
              "Apart from all other figures.", follow=state.list_url("unpaid", what="business"),
              lead=("On the worklist", worklist_url(state, group="business"))),
    ]  # fmt: skip


def _spread(state: State) -> list[dict]:
    """How concentrated the period's revenue is."""
    frame = state.customers
    n, revenue = frame.height, float(frame["revenue"].sum() or 0)
    top = float(frame.head(TOP)["revenue"].sum() or 0)
    eighty = _reached(frame, 0.8) if revenue else None
    return [
        _fact("top_customers_share", top / revenue if revenue else None, "revenue",
              (("Their revenue", top, "money"), ("All revenue", revenue, "money")), follow=state.follow("revenue"),
              follows=("", state.follow("revenue"))),
        _fact("customers_for_80", eighty, "customers",
              (("Share of customers", eighty / n if n and eighty else None, "share"), ("All active", n, "count")),
              follow=state.follow("revenue"), follows=("", state.follow("customers"))),
    ]  # fmt: skip


# --- Sentences -----------------------------------------------------------------------------------------------------


def _payment_coverage(state: State) -> str:
    data, period = state.figures, state.period
    dated, rows = data.value("payment_dated_orders", period) or 0, data.value("earned_rows", period) or 0
    share = with_unit(data.value("payment_date_coverage", period), "share", "")
    return f"Based on {dated:,} of {rows:,} earned rows ({share})."


def _change_over(state: State) -> str:
    """Where people who came over from the old system inflate what is new."""
    data = state.figures
    mixed = [p for p in data.window(state.period) if p.key in data.old_system]
    if not mixed:
        return ""
    return (
        "The old system's customers and CleanCloud's are separate records: who came over counts as new again, so "
        f"new customers are inflated in the months of the change-over (to {mixed[-1].short} and shortly after)."
    )


def _whole(state: State) -> str:
    if not state.store:
        return "Figures of the whole business."
    if state.by_store:
        return f"Figures of the whole business; the list below is of customers of {state.store.name}."
    return f"Figures of the whole business, whatever store is chosen ({state.store.name})."


def says(state: State) -> list[str]:
    """What the tab says above its cards."""
    return [text for name in state.tab.says if (text := SENTENCES[name](state))]


# --- Customers' lifetimes ------------------------------------------------------------------------------------------

LEASTS = (0, 200, 500, 1000, 2000)  # what the call list may begin at: revenue in all


def call_list_choices(state: State) -> dict:
    """What the call list may be narrowed by: segments (slug, label, here), leasts (amount, words), place: the URL's
    other parameters."""
    return {
        "segments": [
            {"slug": slug(s.name), "label": s.name, "here": s.name == state.filters.segment} for s in customers.SEGMENTS
        ],
        "leasts": [(n, with_unit(n, "money", currency()) if n else "any") for n in sorted({*LEASTS, state.least})],
        "place": [(k, v) for k, v in state.params.items() if k not in ("segment", LEAST)],
    }


def _lifetimes(state: State) -> list[dict]:
    """What CleanCloud's customers may bring in the next weeks, by BG/NBD and Gamma-Gamma."""
    found = state.build.lifetime_summary()
    why = found["model"].get("reason", "") or "There is no model yet."
    weeks = f"In the next {customers.HORIZON} weeks"
    every = state.list_url("lifetimes")
    return [
        _fact("alive", found["alive"], "customers", (("Of those with 2 order days or more", found["repeat_customers"],
              "count"), ("With a single order day", found["one_day"], "count")), "CleanCloud's customers.", why,
              state.list_url("lifetimes", sort="-alive")),
        _fact("expected_purchases", found["expected_purchases"], "items", (), f"{weeks}.", why,
              state.list_url("lifetimes", sort="-expected_purchases")),
        _fact("expected_value", found["expected_value"], "revenue", (),
              f"{weeks}. An estimate from how often and how lately each customer came.", why, every),
    ]  # fmt: skip


def _value_by_segment(state: State) -> dict | None:
    """What each kind of customer may bring in the next weeks."""
    found = {r["segment"]: r for r in state.build.expected_by_segment().iter_rows(named=True)}
    if not found:
        return None
    rows, bars = [], []
    for name in [*(s.name for s in customers.SEGMENTS), None]:
        if name not in found:
            continue
        words, r = name or "Away for 6 months", found[name]
        chosen = state.filters.segment == name and name is not None
        params = {"segment": None if chosen else slug(name)} if name else {}
        said = with_unit(r["value"], "money", currency())
        bars.append(plot.Bar(words, r["value"], (words, said, f"{r['customers']:,} customers"), params, chosen))
        row = {"segment": words, "customers": r["customers"], "value": r["value"], "#chosen": chosen}
        rows.append(row | ({"#url": state.url(**params)} if params else {}))
    columns = (
        Column("segment", "Segment"),
        Column("customers", "Customers", "count"),
        Column("value", "Expected value", "money"),
    )
    note = f"{currency()} in the next {customers.HORIZON} weeks. A click filters the call list."
    table = Table("value-by-segment", "Where the next weeks' money comes from", columns, tuple(rows), note)
    drawn = plot.ranked(bars, "revenue", "money", currency(), currency())
    said = listed(f"{r['segment']} {with_unit(r['value'], 'money', currency())}" for r in rows)
    alt = f"Expected value: {said}."
    return as_chart(table, drawn, alt, state.list_url("lifetimes"), definition_of("expected_value"))


def _call_list(state: State) -> Table:
    """Valuable customers who go quiet."""
    store = state.store.name if state.store else None
    frame = state.build.call_list(store=store, segment=state.filters.segment, min_value=state.least or None)
    columns = (
        Column("customer", "Customer"),
        Column("phone", "Phone"),
        Column("segment", "Segment", fold=True),
        Column("last_order", "Last order", "date"),
        Column("days_since", "Days since", "count", fold=True),
        Column("usual_gap", "Usual days between", "days", fold=True),
        Column("alive", "Still with us", "share", fold=True, about="The probability that the customer still comes."),
        Column("expected_value", f"Expected in {customers.HORIZON} weeks", "money", fold=True),
        Column("monthly_revenue", "Revenue a month", "money"),
    )
    rows = tuple(
        {c.key: r.get(c.key) for c in columns}
        | {"customer": r["name"] or r["customer_id"], "#url": reverse("customer", args=[r["customer_id"]])}
        for r in frame.iter_rows(named=True)
    )
    whose = f" of {store}" if store else ""  # the cards above are of the whole business all the same
    title = f"Whom to call: {len(rows):,} customers{whose} going quiet"
    return Table("call-list", title, columns, rows, queries.CALL_LIST)


SENTENCES: dict[str, Callable[[State], str]] = {
    "payment_coverage": _payment_coverage,
    "change_over": _change_over,
    "whole": _whole,
}
BLOCKS: dict[str, Callable[[State], dict | None]] = {
    "heat": _heat,
    "segments": _segments,
    "pareto": _pareto,
    "aging": _aging,
    "value_by_segment": _value_by_segment,
}
LISTS: dict[str, Callable[[State], Table]] = {
    "segments": _segments_table,
    "top_customers": _top_customers,
    "debtors": _debtors,
    "oldest": _oldest,
    "call_list": _call_list,
}
CARDS: dict[str, Callable[[State], list[dict]]] = {
    "clv": _clv,
    "owed": _owed,
    "spread": _spread,
    "lifetimes": _lifetimes,
}
