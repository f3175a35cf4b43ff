"""The charts, tables, facts and sentences of a tab with their numbers.

charts()    every chart of a tab: its words, its Plotly figure and its numbers as a Table
tables()    the tables that stand on a page by themselves
facts()     cards of what no period has: lifetimes, what is owed
SENTENCES   what a page says in words above or on its cards
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from django.urls import reverse

from analytics import charts as plot
from analytics import customers, queries, receivables
from analytics.dashboards.frame import (
    DIMENSIONS,
    LEAST,
    Block,
    Chart,
    Figures,
    Period,
    State,
    currency,
    what_the_old_system_lacked,
)
from analytics.formats import DASH, Number, after, before, change, figure, number, with_unit
from analytics.metrics import METRICS
from analytics.seasons import seasons
from analytics.tables import Column, Table, slug

AHEAD = 3  # periods that a moving average takes in, and that it is drawn ahead
COLOURS = ("c1", "c2", "c3", "c4", "c5", "c6")
WIDE = ("cohorts",)
TOP = 20  # customers and orders that a list shows


def charts(state: State) -> list[dict]:
    """The tab's charts, each a dict: id, title, note, alt (what a screen reader says), figure (Plotly), height (px,
    None: the usual), wide (takes a row of its own), table (Table), follow and definition (addresses, or "")."""
    draw = _drawn(state)
    return state.build.kept(("charts", *state.key), lambda _: _placed([c for c in map(draw, _shown(state)) if c]))


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
                or (state.build.only and any(METRICS[m].whole for m in c.metrics))
                or all(m in state.figures.unasked for m in c.metrics)
            )
        )
    ]


def _drawn(state: State) -> Callable:
    return lambda c: BLOCKS[c.name](state) if isinstance(c, Block) else FORMS[c.form](state, c)


def tables(state: State) -> list[Table]:
    """The tables that stand on the tab by themselves."""
    shown = [block for block in state.tab.tables if not (block.whole and state.build.only)]
    return state.build.kept(("tables", *state.key), lambda _: [LISTS[block.name](state) for block in shown])


# --- Words and places that charts share ----------------------------------------------------------------------------


def _unit_words(metric: str) -> str:
    m = METRICS[metric]
    return before(m.unit, currency()) or after(m.unit) or m.label.lower()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _bands(window: Sequence[Period]) -> list[plot.Band]:
    return [
        plot.Band(s.name, s.first_day, s.last_day, strong=s.name != "Ramadan")
        for s in seasons(window[0].first_day, window[-1].last_day)
        if s.name == "Ramadan" or s.name.startswith("Eid")
    ]


def _tick(period: Period, i: int, n: int) -> str:
    """A period's words on the axis: months by name with the year where it begins, every other week by its Monday."""
    if period.weekly:
        return f"{period.first_day.day} {period.first_day:%b}" if (n - 1 - i) % 2 == 0 else ""
    return f"{period.first_day:%b}" + (f"<br>{period.first_day.year}" if i == 0 or period.first_day.month == 1 else "")


def _said_of(period: Period) -> str:
    return period.name if period.closed else f"{period.name}, so far"


def _note(data: Figures, metrics: Sequence[str], window: list[Period], *first: str) -> str:
    """A chart's line of words: what is drawn, what is shaded, hatched or missing."""
    bands = _bands(window)
    gaps = {
        what_the_old_system_lacked(m)
        for m in metrics
        if any(p and not data.kept(m, p) for p in (*window, *map(data.year_before, window)))
    }
    shaded = f"Shaded: {_list(b.name for b in bands)} (calculated)." if bands else ""
    hatched = "" if window[-1].closed else "Hatched: not over yet."
    lacking = f"The old system kept no {' and no '.join(sorted(gaps))}: such periods have no line." if gaps else ""
    return " ".join(text for text in (*first, shaded, hatched, lacking) if text)


def _list(names) -> str:
    """Ramadan, Eid al-Fitr and Eid al-Adha."""
    names = list(dict.fromkeys(names))
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _each(state: State, unit_words: str) -> str:
    return f"{_capital(unit_words)} a {state.grain.word}."


def _definition(metric: str) -> str:
    return f"{reverse('definitions')}#{metric}"


# --- Charts by period ----------------------------------------------------------------------------------------------


def _bars(state: State, chart: Chart) -> dict:
    """One metric by period, with the year before."""
    data, metric, window = state.figures, chart.metric, state.figures.window(state.period)
    points = _points(state, metric, window)
    m, unit_words = METRICS[metric], _unit_words(metric)
    drawn = plot.bars(points, _subject(chart), m.unit, currency(), unit_words, _bands(window))
    says = "Dashed: the year before." if any(p.last_year is not None for p in points) else ""
    extra = ("Year before", [p.last_year for p in points])
    return _by_period(state, chart, drawn, extra, _note(data, [metric], window, _each(state, unit_words), says))


def _ahead(state: State, chart: Chart) -> dict:
    """One metric by period with its moving average, carried on."""
    data, metric, window = state.figures, chart.metric, state.figures.window(state.period)
    points = _points(state, metric, window)
    m, unit_words = METRICS[metric], _unit_words(metric)
    average = [_average(data, metric, p) for p in window]
    last = next((p for p, v in zip(reversed(window), reversed(average), strict=True) if v is not None), state.period)
    coming = _coming(last, window[-1])
    drawn = plot.ahead(points, average, coming, _subject(chart), m.unit, currency(), unit_words, _bands(window))
    says = f"Line: mean of the last {AHEAD} closed {state.grain.word}s, carried on dashed."
    note = _note(data, [metric], window, _each(state, unit_words), says)
    return _by_period(state, chart, drawn, (f"Mean of {AHEAD}", average), note)


def _by_period(state: State, chart: Chart, drawn: dict, extra: tuple[str, list], note: str) -> dict:
    """A chart of one metric with its words and its table: period, value, `extra`, change on the period before."""
    data, metric, window = state.figures, chart.metric, state.figures.window(state.period)
    m = METRICS[metric]
    rows = tuple(
        {
            "period": p.option,
            "value": data.value(metric, p),
            "extra": e,
            "change": data.changes(metric, p)[0].percent,
            "#chosen": p == state.period,
            "#url": state.url(period=p.key),
        }
        for p, e in zip(window, extra[1], strict=True)
    )
    columns = (
        Column("period", state.grain.label),
        Column("value", m.label, m.unit),
        Column("extra", extra[0], m.unit),
        Column("change", f"On the {state.grain.word} before", "change"),
    )
    title = chart.title or m.label
    table = Table(chart.id, title, columns, rows, note, (metric,))
    here = next((r for r in rows if r["#chosen"]), rows[-1])
    value = with_unit(here["value"], m.unit, currency())
    moved = f", {here['change']} on the one before" if here["change"] != DASH else ""
    alt = f"{title} from {rows[0]['period']} to {rows[-1]['period']}. {here['period']}: {value}{moved}."
    return _chart(state, chart, drawn, table, alt)


def _chart(state: State, chart: Chart, drawn: dict, table: Table, alt: str) -> dict:
    metric = chart.metrics[0]
    follow = state.follow(metric, by=chart.split) if chart.split else state.follow(metric)
    return {
        "id": table.id,
        "title": table.title,
        "note": table.note,
        "alt": alt,
        "figure": drawn,
        "height": plot.height(drawn),
        "table": table,
        "follow": follow,
        "definition": _definition(metric),
    }


def _points(state: State, metric: str, window: list[Period]) -> list[plot.Point]:
    data, m = state.figures, METRICS[metric]
    points = []
    for i, p in enumerate(window):
        said = [c.said for c in data.changes(metric, p) if c.said]
        value = with_unit(data.value(metric, p), m.unit, currency())
        hover = (_said_of(p), value if m.unit != "count" else f"{value} {m.label.lower()}", *said)
        points.append(
            plot.Point(
                p.key,
                _tick(p, i, len(window)),
                data.value(metric, p),
                data.comparable(metric, data.year_before(p)),
                hover,
                p.first_day,
                p.last_day,
                p == state.period,
                not p.closed,
            )
        )
    return points


def _subject(chart: Chart) -> str:
    return chart.subject or subject(chart.metric)


def subject(metric: str) -> str:
    """Which of the four subjects a metric belongs to: its colour."""
    if "item" in metric and "revenue" not in metric:
        return "items"
    if any(word in metric for word in ("revenue", "collection", "threshold", "digital", "payment")):
        return "revenue"
    if any(word in metric for word in ("stops", "deliver", "pickup", "days")):
        return "stops"
    return "customers"


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


# --- Several series ------------------------------------------------------------------------------------------------


def _series_of(state: State, chart: Chart, window: list[Period]) -> list[tuple[str, str, list[Number], dict]]:
    """(words, unit's metric, values by period, what a click sets) of each series; those with nothing are left out."""
    data = state.figures
    if chart.split:
        takes = (*state.tab.takes, "store")
        found = [
            (
                name,
                chart.metric,
                [by_period.get(p.key) for p in window],
                {chart.split: slug(name)} if chart.split in takes else {},
            )
            for name, by_period in data.splits.get((chart.metric, chart.split), {}).items()
        ]
        found = [
            (name, m, [v if data.kept(m, p) else None for v, p in zip(values, window, strict=True)], click)
            for name, m, values, click in found
        ]
    else:
        found = [
            (words, m, [data.comparable(m, p) for p in window], {})
            for m, words in chart.series
            if m not in data.unasked
        ]
    return [one for one in found if any(one[2])] or found[:1]


def _several(state: State, chart: Chart) -> dict:
    """Series by period in one of the forms stacked, shares, grouped, lines."""
    data, window = state.figures, state.figures.window(state.period)
    found = _series_of(state, chart, window)
    metric = chart.metrics[0]
    unit = METRICS[metric].unit
    sums = [sum(float(values[i] or 0) for _, _, values, _ in found) for i in range(len(window))]
    series = []
    for i, (words, _, values, click) in enumerate(found):
        drawn = values
        if chart.form == "shares":
            drawn = [
                None if v is None or not total else float(v) / total for v, total in zip(values, sums, strict=True)
            ]
        hovers = tuple(_said(data, window, values, drawn, unit, at) for at in range(len(window)))
        series.append(plot.Series(words, COLOURS[i % len(COLOURS)], tuple(drawn), hovers, click))
    slots = [
        plot.Slot(p.key, _tick(p, i, len(window)), p.name, p.first_day, p.last_day, p == state.period, not p.closed)
        for i, p in enumerate(window)
    ]
    unit_words = "%" if chart.form == "shares" else _unit_words(metric) if chart.metric else _unit_of(unit, chart)
    draw = {"stacked": plot.stacked, "shares": plot.stacked, "grouped": plot.grouped, "lines": plot.lines}[chart.form]
    more = {"share": True} if chart.form == "shares" else {}
    if chart.form == "lines" and unit == "share":
        more = {"whole": max([float(v) for s in series for v in s.values if v is not None] or [0]) > 0.4}
    drawn = draw(slots, series, unit, currency(), unit_words, _bands(window), **more)
    title = chart.title or METRICS[metric].label
    says = "Share of each in %." if chart.form == "shares" else _each(state, unit_words)
    names = [m for _, m, _, _ in found]
    columns = (
        Column("period", state.grain.label),
        *(Column(f"s{i}", words, METRICS[m].unit) for i, (words, m, _, _) in enumerate(found)),
    )
    rows = tuple(
        {"period": p.option, "#chosen": p == state.period, "#url": state.url(period=p.key)}
        | {f"s{i}": values[at] for i, (_, _, values, _) in enumerate(found)}
        for at, p in enumerate(window)
    )
    table = Table(chart.id, title, columns, rows, _note(data, names, window, says), tuple(dict.fromkeys(names)))
    return _chart(state, chart, drawn, table, _alt_of(state, title, columns, rows))


def _unit_of(unit: str, chart: Chart) -> str:
    """The words of an axis that several metrics share."""
    return before(unit, currency()) or after(unit) or (chart.title or "number").split(",")[0].lower()


def _said(data: Figures, window, values, drawn, unit: str, at: int) -> str:
    """The lines of a hover: the value, its share where shares are drawn, the change on the period before."""
    value, lines = values[at], [with_unit(values[at], unit, currency())]
    if drawn is not values and drawn[at] is not None:
        lines.insert(0, with_unit(drawn[at], "share", ""))
    if at and value is not None and window[at].closed and values[at - 1]:
        lines.append(change(value, values[at - 1], window[at - 1].short, unit, currency(), None).said)
    return "\n".join(lines)


def _alt_of(state: State, title: str, columns: Sequence[Column], rows: Sequence[dict]) -> str:
    here = next((r for r in rows if r["#chosen"]), rows[-1])
    said = _list(f"{c.label} {with_unit(here[c.key], c.unit, currency())}" for c in columns[1:])
    return f"{title} from {rows[0]['period']} to {rows[-1]['period']}. {here['period']}: {said}."


def _ranked(state: State, chart: Chart) -> dict:
    """A metric of the chosen period by the values of a dimension, the largest first."""
    data, m, period = state.figures, METRICS[chart.metric], state.period
    found = data.splits.get((chart.metric, chart.split), {})
    earlier = data.before(period)
    values = sorted(((n, by.get(period.key)) for n, by in found.items() if by.get(period.key)), key=lambda v: -v[1])
    total = sum(float(v) for _, v in values) if m.additive else 0
    takes = chart.split in (*state.tab.takes, "store")
    bars, rows = [], []
    for name, value in values:
        then = found[name].get(earlier.key) if earlier and data.kept(chart.metric, earlier) else None
        moved = change(value, then, earlier.short if earlier else "", m.unit, currency(), m.better)
        share = float(value) / total if total else None
        words = [with_unit(value, m.unit, currency()), with_unit(share, "share", "") + " of all" if total else ""]
        moved_said = moved.said if period.closed else ""
        chosen = getattr(state.filters, chart.split, None) == name
        params = {chart.split: None if chosen else slug(name)} if takes else {}
        bars.append(
            plot.Bar(
                name,
                value,
                (f"{name}, {_said_of(period)}", *filter(None, (*words, moved_said))),
                params,
                chosen,
                with_unit(share, "share", "") if total else "",
            )
        )
        rows.append(
            {
                "name": name,
                "value": value,
                "share": share,
                "change": moved.percent if period.closed else DASH,
                "#chosen": chosen,
                "#url": state.follow(chart.metric, **{chart.split: slug(name)}),
            }
        )
    words = DIMENSIONS.get(chart.split, chart.split.capitalize())
    title = chart.title or f"{m.label} by {words.lower()}"
    columns = (
        Column("name", words),
        Column("value", m.label, m.unit),
        *((Column("share", "Share", "share"),) if total else ()),
        Column("change", f"On {earlier.short}" if earlier else "Change", "change"),
    )
    lacking = data.why(chart.metric, period)
    note = " ".join(
        filter(None, (f"{_capital(_unit_words(chart.metric))} in {_said_of(period)}.", lacking if not values else ""))
    )
    table = Table(chart.id, title, columns, tuple(rows), note, (chart.metric,))
    drawn = plot.ranked(bars, _subject(chart), m.unit, currency(), _unit_words(chart.metric))
    alt = f"{title}, {_said_of(period)}: " + (
        _list(f"{n} {with_unit(v, m.unit, currency())}" for n, v in values) or "nothing"
    )
    return _chart(state, chart, drawn, table, f"{alt}.")


FORMS: dict[str, Callable] = {
    "bars": _bars,
    "ahead": _ahead,
    "stacked": _several,
    "shares": _several,
    "grouped": _several,
    "lines": _several,
    "ranked": _ranked,
}


# --- Charts of the whole business ----------------------------------------------------------------------------------


def _month(state: State) -> str:
    return f"{state.period.last_day:%Y-%m}"


def _block(state: State, table: Table, drawn: dict, alt: str, follow: str = "", definition: str = "") -> dict:
    return {
        "id": table.id,
        "title": table.title,
        "note": table.note,
        "alt": alt,
        "figure": drawn,
        "height": plot.height(drawn),
        "table": table,
        "follow": follow,
        "definition": definition,
    }


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
    return _block(state, table, drawn, alt, definition=_definition("m1_customer_retention"))


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
        Column("revenue", "Revenue in 6 months", "money"),
        Column("recency", "Days since the last order", "days", fold=True),
        Column("frequency", "Orders each", "ratio", fold=True),
        Column("definition", "Who they are", long=True),
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
    alt = "Segments: " + _list(f"{r['segment']} {r['customers']:,} customers" for r in table.rows) + "."
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
    return _block(state, brief, drawn, alt)


def _concentration(state: State):
    return state.build.concentration(state.grain.name, state.period.key, state.filters)


def _reached(frame, share: float) -> int:
    """The rank at which so much of the revenue is reached."""
    found = frame.filter(frame["cumulative_share"] >= share - 1e-9)
    return int(found["rank"][0]) if found.height else frame.height


def _pareto(state: State) -> dict | None:
    """What share of the revenue the first so many customers bring."""
    frame = _concentration(state)
    n = frame.height
    if not n or frame["cumulative_share"][0] is None:
        return None
    rows = frame.rows(named=True)
    fifth = max(1, round(n * 0.2))
    eighty = _reached(frame, 0.8)
    marks = [
        plot.Mark(
            fifth / n,
            rows[fifth - 1]["cumulative_share"],
            f"first 20 %: {number(rows[fifth - 1]['cumulative_share'] * 100, 1)} % of revenue",
        ),
        plot.Mark(eighty / n, rows[eighty - 1]["cumulative_share"], f"80 % of revenue: {eighty:,} customers"),
    ]
    hovers = [
        f"{r['rank']:,} of {n:,} customers ({number(r['rank'] / n * 100, 1)} %)\n"
        f"{number(r['cumulative_share'] * 100, 1)} % of revenue"
        for r in rows
    ]
    drawn = plot.pareto([r["rank"] / n for r in rows], [r["cumulative_share"] for r in rows], hovers, marks)
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
        tuple({"share": k / n, "customers": k, "revenue": rows[k - 1]["cumulative_share"]} for k in steps),
        f"All {n:,} active customers of {_said_of(state.period)}, of the whole business.",
    )
    alt = f"The first 20 % of {n:,} customers bring {marks[0].text.split(': ')[1]}; {marks[1].text}."
    return _block(state, table, drawn, alt, state.follow("revenue"), _definition("top20_spend_share"))


def _top_customers(state: State) -> Table:
    frame = _concentration(state).head(TOP)
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
    title = f"Top {TOP} customers of {_said_of(state.period)}"
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
        rows.append({"bucket": name, "orders": count, "amount": amount, "share": share})
        bars.append(
            plot.Bar(
                _capital(name),
                amount,
                (
                    _capital(name),
                    with_unit(amount, "money", currency()),
                    f"{count:,} orders",
                    f"{with_unit(share, 'share', '')} of all",
                ),
                {},
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
    alt = "Aging: " + _list(f"{r['bucket']} {with_unit(r['amount'], 'money', currency())}" for r in rows) + "."
    return _block(state, table, drawn, alt)


def _debtors(state: State) -> Table:
    ledger = state.build.ledger(state.filters)
    frame = receivables.largest_debtors(ledger.orders, TOP)
    columns = (
        Column("customer", "Customer"),
        Column("balance", "Balance", "money"),
        Column("orders", "Orders", "count"),
        Column("oldest", "Oldest order", "date", fold=True),
        Column("days", "Days old", "count", fold=True),
        *(Column(name, _capital(name), "money", fold=True) for name in receivables.AGING),
    )
    rows = tuple(
        {k: v for k, v in r.items() if k not in ("customer_id", "name")}
        | {"customer": r["name"], "#url": reverse("customer", args=[r["customer_id"]])}
        for r in frame.iter_rows(named=True)
    )
    return Table("debtors", f"Top {TOP} customers by balance", columns, rows, f"Unpaid on {_as_of(state)}.")


def _oldest(state: State) -> Table:
    ledger = state.build.ledger(state.filters)
    frame = receivables.oldest_orders(ledger.orders, TOP)
    columns = (
        Column("order_id", "Order"),
        Column("customer", "Customer"),
        Column("store", "Store", fold=True),
        Column("placed", "Placed", "date"),
        Column("days", "Days old", "count"),
        Column("balance", "Balance", "money"),
    )
    rows = tuple(
        {k: v for k, v in r.items() if k not in ("customer_id", "name")}
        | {"customer": r["name"], "#url": reverse("customer", args=[r["customer_id"]])}
        for r in frame.iter_rows(named=True)
    )
    return Table("oldest", f"{TOP} oldest unpaid orders", columns, rows, f"Unpaid on {_as_of(state)}.")


# --- Facts: cards of what no period has ----------------------------------------------------------------------------


def facts(state: State, name: str) -> list[dict]:
    """The cards of one of FACTS, in the shape of cards.cards(); raw: (label, value, unit) for an export."""
    return state.build.kept(("facts", name, *state.key), lambda _: FACTS[name](state))


def _fact(
    label: str,
    value: Number,
    unit: str,
    about: str,
    subject_: str = "customers",
    parts: Sequence = (),
    note: str = "",
    why: str = "",
    follow: str = "",
) -> dict:
    """A card. parts: (label, value, unit)."""
    return {
        "metric": slug(label),
        "label": label,
        "about": about,
        "subject": subject_,
        "before": before(unit, currency()) if value is not None else "",
        "value": figure(value, unit),
        "after": after(unit) if value is not None else "",
        "so_far": False,
        "changes": [],
        "spark": "",
        "end": "",
        "parts": [
            {"label": name, "value": with_unit(v, u, currency()), "change": None, "url": ""} for name, v, u in parts
        ],
        "note": note,
        "why": why,
        "follow": follow,
        "definition": "",
        "whole": False,
        "raw": [(label, value, unit), *((f"{label}: {name}", v, u) for name, v, u in parts)],
    }


def _clv(state: State) -> list[dict]:
    found = state.build.clv()
    return [
        _fact(
            "Simple customer value",
            found["simple_clv"],
            "money",
            "Mean revenue a month of their lifetime x mean lifetime in months, over all customers and all time.",
            "revenue",
            (
                ("Revenue a month", found["avg_monthly_rev"], "money"),
                ("Months as a customer", found["avg_lifespan"], "ratio"),
            ),
            "The whole business, all time. A rough guide: it knows nothing of who has left.",
        )
    ]


def _owed(state: State) -> list[dict]:
    ledger = state.build.ledger(state.filters)
    late = receivables.overdue(ledger.orders, ledger.as_of)
    owed, overdue = float(receivables.total(ledger.orders)), float(receivables.total(late))
    count, business = receivables.business_accounts(ledger)
    row = next(iter(receivables.performance(ledger).iter_rows(named=True)))
    day = _as_of(state)
    return [
        _fact(
            "Outstanding",
            owed,
            "money",
            f"What customers owe on {day} for cleaned orders.",
            "revenue",
            (
                ("Orders", ledger.orders.height, "count"),
                ("Customers", ledger.orders["customer_id"].n_unique(), "count"),
            ),
            f"As of {day}.",
        ),
        _fact(
            "Overdue",
            overdue,
            "money",
            "Outstanding past its due day: the day placed plus the payment terms.",
            "revenue",
            (("Orders", late.height, "count"), ("Share of outstanding", overdue / owed if owed else None, "share")),
            f"As of {day}.",
        ),
        _fact(
            "Days sales outstanding",
            row["dso"],
            "days",
            "Receivables / credit sales x days, over the last 90 days. Best possible: of what is not yet overdue.",
            "stops",
            (("Best possible", row["best_possible_dso"], "days"), ("Delinquent", row["delinquent_days"], "days")),
            f"{with_unit(row['credit_sales'], 'money', currency())} sold on credit in 90 days.",
            "" if row["dso"] is not None else "Nothing was sold on credit in the last 90 days.",
        ),
        _fact(
            "Collection effectiveness",
            row["collection_effectiveness"],
            "share",
            "(Receivables at the start + credit sales - receivables at the end) / (the same start and sales - not yet "
            "due at the end).",
            "revenue",
            (),
            "" if row["collection_effectiveness"] is None else "Of all that was due.",
            ledger.why,
        ),
        _fact(
            "Business accounts",
            business,
            "money",
            "Unpaid cleaned orders of business accounts: they are in no other figure here.",
            "revenue",
            (("Orders", count, "count"),),
            "Apart from all other figures.",
        ),
    ]


def _spread(state: State) -> list[dict]:
    """How concentrated the period's revenue is."""
    frame = _concentration(state)
    n, revenue = frame.height, float(frame["revenue"].sum() or 0)
    top = float(frame.head(TOP)["revenue"].sum() or 0)
    eighty = _reached(frame, 0.8) if revenue else None
    return [
        _fact(
            "Active customers",
            n,
            "count",
            "Customers with an earned order or subscription payment in the period.",
            "customers",
            (("Revenue", revenue, "money"),),
            f"{_capital(_said_of(state.period))}.",
        ),
        _fact(
            f"Share of the top {TOP}",
            top / revenue if revenue else None,
            "share",
            f"Revenue of the {TOP} biggest customers / revenue.",
            "revenue",
            (("Their revenue", top, "money"),),
        ),
        _fact(
            "Customers for 80 % of revenue",
            eighty,
            "count",
            "So many of the biggest customers bring 80 % of revenue.",
            "customers",
            (("Share of customers", eighty / n if n and eighty else None, "share"),),
        ),
    ]


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
    if not mixed or len(mixed) == len(data.window(state.period)):
        return ""
    return (
        "The old system's customers and CleanCloud's are separate records: who came over counts as new again, so "
        f"new customers are inflated in the months of the change-over (to {mixed[-1].short} and shortly after)."
    )


def _whole(state: State) -> str:
    chosen = f", whatever store is chosen ({state.store.name})" if state.store else ""
    return f"Figures of the whole business{chosen}."


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
    why = found["model"].get("why", "") or ("" if found["expected_value"] is not None else "There is no model yet.")
    weeks = f"the next {customers.HORIZON} weeks"
    day = date.fromisoformat(state.build.meta()["as_of"])
    return [
        _fact(
            "Customers still with us",
            found["alive"],
            "count",
            "The sum of the probabilities that a customer with two order days or more still comes.",
            "customers",
            (
                ("Of customers with 2 order days", found["repeat_customers"], "count"),
                ("With one alone", found["one_day"], "count"),
            ),
            f"As of {day.day} {day:%b %Y}, whole business, CleanCloud.",
            why,
        ),
        _fact(
            "Expected order days",
            found["expected_purchases"],
            "count",
            f"Days with an order that BG/NBD expects of all customers in {weeks}.",
            "items",
            (),
            f"In {weeks}.",
            why,
        ),
        _fact(
            "Expected value",
            found["expected_value"],
            "money",
            f"What those order days may bring: expected days x expected value a day (Gamma-Gamma), in {weeks}.",
            "revenue",
            (),
            f"In {weeks}. An estimate from how often and how lately each customer came.",
            why,
        ),
    ]


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
    said = _list(f"{r['segment']} {with_unit(r['value'], 'money', currency())}" for r in rows)
    alt = f"Expected value: {said}."
    return _block(state, table, drawn, alt)


def _call_list(state: State) -> Table:
    """Valuable customers who go quiet."""
    store = state.store.name if state.store else None
    frame = state.build.call_list(store=store, segment=state.filters.segment, min_value=state.least or None)
    columns = (
        Column("customer", "Customer"),
        Column("phone", "Phone"),
        Column("store", "Store", fold=True),
        Column("segment", "Segment", fold=True),
        Column("last_order", "Last order", "date"),
        Column("days_since", "Days since", "count"),
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
    return Table("call-list", f"Whom to call: {len(rows):,} customers going quiet", columns, rows, queries.CALL_LIST)


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
FACTS: dict[str, Callable[[State], list[dict]]] = {
    "clv": _clv,
    "owed": _owed,
    "spread": _spread,
    "lifetimes": _lifetimes,
}
