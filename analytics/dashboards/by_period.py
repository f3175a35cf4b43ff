"""Charts of metrics: by period in one of the forms bars, ahead, stacked, shares, grouped, lines; ranked for one period.

FORMS: the form's name -> (state, chart) -> the chart as blocks.charts() gives it out.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from django.urls import reverse

from analytics import charts as plot
from analytics.dashboards.frame import DIMENSIONS, Chart, Figures, Period, State, currency
from analytics.formats import DASH, Number, after, before, with_unit
from analytics.metrics import METRICS
from analytics.seasons import seasons
from analytics.tables import Column, Table
from etl.business import slug

AHEAD = 3  # periods that a moving average takes in, and that it is drawn ahead
COLOURS = ("c1", "c2", "c3", "c4", "c5", "c6")


# --- Words and places that charts share ----------------------------------------------------------------------------


def _unit_words(metric: str) -> str:
    m = METRICS[metric]
    return before(m.unit, currency()) or after(m.unit) or m.label.lower()


def capital(text: str) -> str:
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


def said_of(period: Period) -> str:
    return period.name if period.closed else f"{period.name}, so far"


def _note(data: Figures, metrics: Sequence[str], window: list[Period], *first: str, form: str = "bars") -> str:
    """A chart's line of words: what is drawn, what is shaded, hatched or missing."""
    bands = _bands(window)
    gaps = {
        METRICS[m].lacks
        for m in metrics
        if any(p and not data.kept(m, p) for p in (*window, *map(data.year_before, window)))
    }
    shaded = f"Shaded: {listed(b.name for b in bands)} (calculated)." if bands else ""
    hatched = "" if window[-1].closed else plot.SO_FAR["lines" if form == "lines" else "bars"]
    drawn = "bar" if form in ("stacked", "shares", "grouped") else "line"
    lacking = f"The old system kept no {' and no '.join(sorted(gaps))}: such periods have no {drawn}." if gaps else ""
    return " ".join(text for text in (*first, shaded, hatched, lacking) if text)


def listed(names) -> str:
    """Ramadan, Eid al-Fitr and Eid al-Adha."""
    names = list(dict.fromkeys(names))
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _each(state: State, unit_words: str) -> str:
    return f"{capital(unit_words)} a {state.grain.word}."


def definition_of(metric: str) -> str:
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
    numbers = [c.key for c in table.columns if c.unit not in ("text", "change")]
    if not any(row[key] for row in table.rows for key in numbers):
        drawn = plot.nothing(drawn, state.figures.short_of(metric, state.period) or "Nothing in these periods.")
    follow = state.follow(metric, by=chart.split) if chart.split else state.follow(metric)
    return as_chart(table, drawn, alt, follow, definition_of(metric))


def as_chart(table: Table, drawn: dict, alt: str, follow: str, definition: str) -> dict:
    """A chart as blocks.charts() gives it out; its words are its table's."""
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


def _points(state: State, metric: str, window: list[Period]) -> list[plot.Point]:
    data, m = state.figures, METRICS[metric]
    points = []
    for i, p in enumerate(window):
        said = [c.said for c in data.changes(metric, p) if c.said]
        value = with_unit(data.value(metric, p), m.unit, currency())
        hover = (said_of(p), value if m.unit != "count" else f"{value} {m.label.lower()}", *said)
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
    # A value keeps its colour whatever else is shown or filtered away.
    order = list(data.splits[metric, chart.split]) if chart.split else [words for _, words in chart.series]
    for words, of, values, click in found:
        drawn = values
        if chart.form == "shares":
            drawn = [
                None if v is None or not total else float(v) / total for v, total in zip(values, sums, strict=True)
            ]
        hovers = tuple(_said(data, of, window, values, drawn, at) for at in range(len(window)))
        colour = COLOURS[order.index(words) % len(COLOURS)]
        series.append(plot.Series(words, colour, tuple(drawn), hovers, click))
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
    note = _note(data, names, window, says, form=chart.form)
    table = Table(chart.id, title, columns, rows, note, tuple(dict.fromkeys(names)))
    return _chart(state, chart, drawn, table, _alt_of(state, title, columns, rows))


def _unit_of(unit: str, chart: Chart) -> str:
    """The words of an axis that several metrics share."""
    return before(unit, currency()) or after(unit) or (chart.title or "number").split(",")[0].lower()


def _said(data: Figures, metric: str, window, values, drawn, at: int) -> str:
    """The lines of a hover: the value, its share where shares are drawn, the change on the period before."""
    value, lines = values[at], [with_unit(values[at], METRICS[metric].unit, currency())]
    if drawn is not values and drawn[at] is not None:
        lines.insert(0, with_unit(drawn[at], "share", ""))
    if at and value is not None:
        lines.append(data.split_change(metric, value, values[at - 1], window[at]).said)
    return "\n".join(filter(None, lines))


def _alt_of(state: State, title: str, columns: Sequence[Column], rows: Sequence[dict]) -> str:
    here = next((r for r in rows if r["#chosen"]), rows[-1])
    said = listed(f"{c.label} {with_unit(here[c.key], c.unit, currency())}" for c in columns[1:])
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
        then = found[name].get(earlier.key) if earlier else None
        moved = data.split_change(chart.metric, value, then, period)
        share = float(value) / total if total else None
        words = [with_unit(value, m.unit, currency()), with_unit(share, "share", "") + " of all" if total else ""]
        chosen = getattr(state.filters, chart.split, None) == name
        params = {chart.split: None if chosen else slug(name)} if takes else {}
        bars.append(
            plot.Bar(
                name,
                value,
                (f"{name}, {said_of(period)}", *filter(None, (*words, moved.said))),
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
                "change": moved.percent,
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
        filter(None, (f"{capital(_unit_words(chart.metric))} in {said_of(period)}.", lacking if not values else ""))
    )
    table = Table(chart.id, title, columns, tuple(rows), note, (chart.metric,))
    drawn = plot.ranked(bars, _subject(chart), m.unit, currency(), _unit_words(chart.metric))
    alt = f"{title}, {said_of(period)}: " + (
        listed(f"{n} {with_unit(v, m.unit, currency())}" for n, v in values) or "nothing"
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
