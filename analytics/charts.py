"""Plotly figures: one theme, one builder a chart form.

A figure is a plain dict (Plotly's own JSON), because building `go.Figure` objects costs more than the query behind
them. Colours and the font are named, not written: "token:revenue" is the custom property --revenue of
static/moonwalk.css, looked up by static/charts.js in the browser. So one cached figure serves light, dark and paper,
follows the system's colour scheme at once, and a colour exists in one place.

Positions on the x axis are 0, 1, 2 ... of the periods shown, so that a season can shade a part of a period.

What depends on the width (a key instead of names at the lines' ends, wrapped names, room for values) is left to
static/charts.js, which reads it from `layout.meta` and from the names of annotations: `label` (a value, dropped when
crowded), `part` (a value inside a bar), `direct` (a name beside its line), `end` (a value at its bar's end).

Whatever can be clicked has `customdata[0]`: a dict of the URL parameters that a click sets.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from html import escape
from math import ceil, floor, log10

from analytics.formats import DASH, Number, figure, with_unit

CONFIG = {"displayModeBar": False, "responsive": True, "showTips": False, "scrollZoom": False, "doubleClick": False}
LABELS_UP_TO = 8  # so many bars still have room for their value on a phone; beyond, only the chosen one says it
SO_FAR = {"bars": "Hatched: not over yet.", "lines": "Hollow: not over yet."}  # what a note says of such a period
SYMBOLS = {"circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲", "triangle-down": "▼"}  # a line's own each
CURVE_POINTS = 240  # a curve of 25,000 customers looks the same with so many
HEAT_STEPS = 6  # tokens heat-1 (pale) to heat-6; from the fourth on the words in them are of the panel's colour


@dataclass(frozen=True)
class Point:
    """One period of a chart.

    tick: its words on the axis ("" leaves it out); hover: the lines of its hover; chosen: it is the selected period;
    so_far: it isn't over; last_year: the value of the same period a year before; key: what a click opens.
    """

    key: str
    tick: str
    value: Number
    last_year: Number
    hover: tuple[str, ...]
    first_day: date
    last_day: date
    chosen: bool = False
    so_far: bool = False


@dataclass(frozen=True)
class Band:
    """A season to shade, from day to day, both included; `strong` sets one apart from its neighbour."""

    name: str
    first_day: date
    last_day: date
    strong: bool = False


@dataclass(frozen=True)
class Slot:
    """A period on the axis of a chart of several series: the fields of Point without a value; name: "February 2026"."""

    key: str
    tick: str
    name: str
    first_day: date
    last_day: date
    chosen: bool = False
    so_far: bool = False


@dataclass(frozen=True)
class Series:
    """One coloured series, a value and a hover a slot.

    token: its colour (the lighter one is "<token>-soft"); hovers: what stands below the period and the series' name,
    in lines ("Dhs 1,200\\n+2.1 % on Jan 2026"); params: what a click sets beside the period.
    """

    name: str
    token: str
    values: tuple[Number, ...]
    hovers: tuple[str, ...]
    params: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Bar:
    """A row of a ranked chart. note: words after its value ("41 %"); params: what a click sets; hover: its lines."""

    name: str
    value: Number
    hover: tuple[str, ...]
    params: Mapping[str, str | None] = field(default_factory=dict)
    chosen: bool = False
    note: str = ""


@dataclass(frozen=True)
class Measure:
    """A second measure of a ranked chart's rows, drawn beside the first: one value (and note) a row."""

    values: tuple[Number, ...]
    subject: str
    unit: str
    unit_words: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """A place on a curve with its words: x and y are shares."""

    x: Number
    y: Number
    text: str


def token(name: str) -> str:
    """The name under which static/charts.js finds a colour or the font."""
    return f"token:{name}"


def ticks(top: float) -> tuple[list[float], list[str], float]:
    """Round axis values from 0 past `top` (4 steps or so), their words ("0", "10 k"), and the axis' end."""
    if top <= 0:
        return [0, 1], ["0", "1"], 1
    step = 10 ** floor(log10(top / 4))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if top / (step * m) <= 4.6)
    values = [step * i for i in range(ceil(top / step) + 1)]
    return values, [_short(v) for v in values], values[-1]


def _short(value: float) -> str:
    """27100 -> "27.1 k": on axes only, where a long number would say no more."""
    for size, letter in ((1e6, " m"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def axis(values: Iterable[Number], unit: str, whole: bool = False) -> dict:
    """The value axis of a chart: from 0, or from below it where a value is, to past the highest.

    A share 0.25 reads "25". `whole`: to 100 % at least, without the room for labels above.
    """
    known = [float(v) for v in values if v is not None]
    scale = 100 if unit == "share" else 1
    top, low = (scale * side for side in (max([*known, 0]), min([*known, 0])))
    if whole and top <= 100:
        marks, words = [0, 25, 50, 75, 100], ["0", "25", "50", "75", "100"]
    else:
        marks, words, _ = ticks(max(top, -low))
    if low < 0:
        step = marks[1]
        below = [step * i for i in range(floor(low / step), 0)]
        above = [m for m in marks if m < top + step] if top else [0]
        marks, words = below + above, [f"\N{MINUS SIGN}{_short(-v)}" for v in below] + words[: len(above)]
    end = 1.06 if whole and top <= 100 else 1.1
    return {
        "range": [marks[0] / scale * (1.1 if low < 0 else 0), marks[-1] / scale * end], "fixedrange": True,
        "zeroline": low < 0, "zerolinecolor": token("edge"), "gridcolor": token("line"),
        "tickmode": "array", "tickvals": [m / scale for m in marks], "ticktext": words,
    }  # fmt: skip


def _base(unit_words: str) -> dict:
    """The layout of every form: font, colours, margins, hover, the unit above the axis."""
    return {
        "font": {"family": token("font"), "size": 12, "color": token("muted")},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 46, "r": 12, "t": 26, "b": 38, "pad": 4},
        "showlegend": False,
        "dragmode": False,
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": token("panel"), "bordercolor": token("edge"), "align": "left",
            "font": {"family": token("font"), "size": 13, "color": token("ink")},
        },
        "bargap": 0.34,
        "barcornerradius": 4,
        "shapes": [],
        "annotations": [
            _say(unit_words, name="unit", xref="paper", yref="paper", x=0, y=1, xanchor="left", xshift=-46, yshift=18)
        ],
    }  # fmt: skip


def theme(
    points: Sequence[Point | Slot], ahead: list[str], values: Iterable[Number], unit: str, unit_words: str,
    bands: list[Band], whole: bool = False,
) -> dict:  # fmt: skip
    """The layout that every chart by period shares: hairlines, ticks, shaded seasons.

    `ahead`: words of positions after the last period; `values`: all that the axis has to hold (axis()).
    """
    layout = _base(unit_words)
    labels = [f"<b>{p.tick}</b>" if p.chosen and p.tick else p.tick for p in points] + ahead
    shown = [i for i, text in enumerate(labels) if text]
    layout["meta"] = {"form": "periods"}
    layout["xaxis"] = {
        "range": [-0.55, len(labels) - 0.45], "fixedrange": True, "showgrid": False, "zeroline": False,
        "tickmode": "array", "tickvals": shown, "ticktext": [labels[i] for i in shown], "tickangle": 0,
        "ticklabeloverflow": "allow",
    }  # fmt: skip
    layout["yaxis"] = axis(values, unit, whole)
    layout["yaxis2"] = {"overlaying": "y", "range": [0, 1], "fixedrange": True, "visible": False}
    layout["shapes"] = [_shade(band, x0, x1) for band, x0, x1 in spans(points, bands)]
    layout["annotations"] += [
        _say(band.name, x=(x0 + x1) / 2, yref="paper", y=1, yanchor="bottom")
        for band, x0, x1 in spans(points, bands) if x1 - x0 >= len(labels) / 9
    ]  # fmt: skip
    return layout


def spans(points: Sequence[Point | Slot], bands: list[Band]) -> list[tuple[Band, float, float]]:
    """Each band with its ends on the x axis, where half a position before and after a period are its ends."""

    def place(day: date, end: bool) -> float:
        if day < points[0].first_day:
            return -0.5
        for i, p in enumerate(points):
            if p.first_day <= day <= p.last_day:
                return i - 0.5 + ((day - p.first_day).days + end) / ((p.last_day - p.first_day).days + 1)
        return len(points) - 0.5

    if not points:
        return []
    touching = [b for b in bands if b.first_day <= points[-1].last_day and b.last_day >= points[0].first_day]
    return [(b, place(b.first_day, False), place(b.last_day, True)) for b in touching]


def _shade(band: Band, x0: float, x1: float) -> dict:
    """A season behind the bars, from the axis to the top."""
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": x0, "x1": x1, "y0": 0, "y1": 1, "layer": "below",
        "line": {"width": 0}, "fillcolor": token("band-strong" if band.strong else "band"),
    }  # fmt: skip


def _say(text: str, **place) -> dict:
    """Words on a chart, without an arrow."""
    return {"text": text, "showarrow": False, "font": {"size": 12, "color": token("muted")}, **place}


def nothing(drawn: dict, why: str) -> dict:
    """The figure with words in its middle, for one that has nothing to draw: an empty axis looks like a fault."""
    words = _say(escape(why, quote=False), name="nothing", xref="paper", yref="paper", x=0.5, y=0.5, font={"size": 13})
    return drawn | {"layout": drawn["layout"] | {"annotations": [*drawn["layout"]["annotations"], words]}}


def _labels(points: list[Point], unit: str) -> list[dict]:
    """The values above their bars, on a patch of the panel where last year's line passes behind.

    Where they would run into each other (a phone) static/charts.js leaves out all but the chosen one, by their names.
    """
    few = len(points) <= LABELS_UP_TO
    room = 0.2 * max([float(v) for p in points for v in (p.value, p.last_year) if v is not None] or [0])
    labels = []
    for i, p in enumerate(points):
        if not p.value or not (few or p.chosen):
            continue
        crossed = p.last_year is not None and 0 <= p.last_year - p.value < room
        labels.append(
            _say(
                f"<b>{with_unit(p.value, unit, '').strip()}</b>",  # the currency stands above the axis
                name="label chosen" if p.chosen else "label",
                # The last of many narrow bars would push its value out of the chart.
                **({"x": i} if few or i < len(points) - 1 else {"x": i + 0.5, "xanchor": "right"}),
                y=p.value,
                yshift=10 if p.value > 0 else -10,
                borderpad=0,
                bgcolor=token("panel") if crossed else "rgba(0,0,0,0)",
                font={"size": 12 if few else 13, "color": token("ink")},
            )
        )
    return labels


def _bar(points: list[Point], subject: str) -> dict:
    """The bars: the chosen period in full colour, the rest lighter, one that isn't over hatched."""
    return {
        "type": "bar", "name": "value", "x": list(range(len(points))), "y": _plain(p.value for p in points),
        "hoverinfo": "skip",
        "marker": {
            "color": [token(subject if p.chosen else f"{subject}-soft") for p in points],
            "line": {"width": 0},
            "pattern": _hatch(points),
        },
    }  # fmt: skip


def _hatch(points: Sequence[Point | Slot]) -> dict:
    """The pattern of bars: hatched where the period isn't over."""
    return {"shape": ["/" if p.so_far else "" for p in points], "size": 6, "solidity": 0.35,
            "fgcolor": token("panel"), "fillmode": "overlay"}  # fmt: skip


def _line(name: str, x: list[int], y: list[float | None], width: float, dash: str = "solid") -> list[dict]:
    """A line with a rim of the panel's colour beneath it, so that it is seen on bars as well as beside them.

    Holes stay holes; a value between two holes is a dot.
    """
    shared = {"type": "scatter", "mode": "lines+markers", "hoverinfo": "skip", "connectgaps": False, "x": x, "y": y}
    rim = {"name": f"{name}, rim", "line": {"color": token("panel"), "width": width + 3},
           "marker": {"color": token("panel"), "size": 7}}  # fmt: skip
    own = {"name": name, "line": {"color": token("ink"), "width": width, "dash": dash},
           "marker": {"color": token("ink"), "size": 4}}  # fmt: skip
    return [shared | rim, shared | own]


def _reach(clicks: list[dict], hovers: list[str]) -> dict:
    """Unseen full-height bars that take hover and click, so that a finger needn't hit a short bar.

    On an axis of their own: beside them Plotly would not round the real bars' corners.
    """
    return {
        "type": "bar", "name": "reach", "x": list(range(len(clicks))), "y": [1] * len(clicks),
        "yaxis": "y2", "width": 1, "marker": {"color": "rgba(0,0,0,0)", "line": {"width": 0}},
        "customdata": [[click, hover] for click, hover in zip(clicks, hovers, strict=True)],
        "hovertemplate": "%{customdata[1]}<extra></extra>",
    }  # fmt: skip


def _reach_of(points: list[Point]) -> dict:
    return _reach([{"period": p.key} for p in points], [_hover(p.hover[0], *p.hover[1:]) for p in points])


def _hover(title: str, *lines: str) -> str:
    """The words of a hover as Plotly reads them. A name is escaped: Plotly would make a link of an <a> in it."""
    said = [escape(text, quote=False) for line in lines for text in line.replace("<br>", "\n").split("\n") if text]
    return "<br>".join([f"<b>{escape(title, quote=False)}</b>", *said])


def _plain(values) -> list[float | None]:
    """JSON has no Decimal."""
    return [None if v is None else float(v) for v in values]


def bars(points: list[Point], subject: str, unit: str, currency: str, unit_words: str, bands: list[Band]) -> dict:
    """Bars from 0 by period, the year before as a dashed line, seasons shaded behind.

    `points` oldest first; `subject` is the token of the colour; `unit_words` stand above the axis ("Dhs").
    """
    layout = theme(points, [], [v for p in points for v in (p.value, p.last_year)], unit, unit_words, bands)
    line = _line("last year", list(range(len(points))), _plain(p.last_year for p in points), 1.5, "5px,4px")
    layout["annotations"] += _labels(points, unit)
    return {"data": [_bar(points, subject), *line, _reach_of(points)], "layout": layout}


def ahead(
    points: list[Point], average: list[Number], coming: list[str], subject: str, unit: str, currency: str,
    unit_words: str, bands: list[Band],
) -> dict:  # fmt: skip
    """Bars by period with their moving average as a line, carried on dashed over the periods to come.

    `average`: one value a point (None where there are too few before it); its last value is drawn ahead over
    `coming`, the words of the periods to come on the axis.
    """
    known = [(i, float(v)) for i, v in enumerate(average) if v is not None]
    layout = theme(points, coming, [*(p.value for p in points), *(v for _, v in known)], unit, unit_words, bands)
    data = [_bar(points, subject)]
    if known:
        last, level = known[-1]
        beyond = list(range(last, len(points) + len(coming)))
        data += _line("average", [i for i, _ in known], [v for _, v in known], 2)
        data += _line("ahead", beyond, [level] * len(beyond), 2, "6px,4px")
        data[-1] |= {"hoverinfo": "all", "hovertemplate": "If it goes on as the last three:<br>"
                     f"<b>{with_unit(level, unit, currency)}</b><extra></extra>"}  # fmt: skip
        layout["annotations"].append(_say(
            f"<b>{with_unit(level, unit, currency)}</b>", x=beyond[-1] + 0.4, xanchor="right", y=level, yshift=-12,
            font={"size": 12, "color": token("ink")}, bgcolor=token("panel"), borderpad=1,  # bars may stand behind it
        ))  # fmt: skip
    if len(points) <= LABELS_UP_TO:  # among many bars the line's own label is in the way
        layout["annotations"] += _labels([p if p.chosen else _silent(p) for p in points], unit)
    data.append(_reach_of(points))
    return {"data": data, "layout": layout}


def _silent(point: Point) -> Point:
    """The same period without a label: beside a line, one label is enough."""
    return Point(point.key, point.tick, None, None, point.hover, point.first_day, point.last_day)


# --- Several series by period --------------------------------------------------------------------------------------


def stacked(
    slots: list[Slot], series: list[Series], unit: str, currency: str, unit_words: str, bands: list[Band],
    share: bool = False,
) -> dict:  # fmt: skip
    """Bars by period, the series on each other in their order, the first at the bottom.

    `share`: the values are shares (0..1) of a period's whole, and the axis goes to 100 %; else the sum stands above
    each bar. The chosen period's parts say their values inside where they fit.
    """
    unit = "share" if share else unit
    totals = [_total(s.values[i] for s in series) for i in range(len(slots))]
    layout = theme(slots, [], [1] if share else totals, unit, unit_words, bands, whole=share)
    layout |= {"barmode": "stack", "barcornerradius": 0 if share else 4}
    top = layout["yaxis"]["range"][1]
    middles, chosen = [], next((i for i, s in enumerate(slots) if s.chosen), None)
    for n, one in enumerate(series):
        below = [_total(s.values[i] for s in series[:n]) or 0 for i in range(len(slots))]
        middles.append(float(below[-1]) + float(one.values[-1] or 0) / 2 if slots else 0)
        if chosen is not None and float(one.values[chosen] or 0) > 0.09 * top:
            layout["annotations"].append(_say(
                figure(one.values[chosen], unit), name="part", x=chosen,
                y=float(below[chosen]) + float(one.values[chosen]) / 2, font={"size": 12, "color": token("panel")},
                bgcolor=token(one.token), borderpad=1,  # in a hatched bar the words need a ground
            ))  # fmt: skip
    if not share:
        layout["annotations"] += _labels([_point(s, t) for s, t in zip(slots, totals, strict=True)], unit)
    _name(layout, [(s.name, s.token, "square", m) for s, m in zip(series, middles, strict=True)], top)
    return {"data": [_series_bar(slots, s, gap=1) for s in series], "layout": layout}


def grouped(
    slots: list[Slot], series: list[Series], unit: str, currency: str, unit_words: str, bands: list[Band]
) -> dict:
    """Bars of two or three series side by side, as revenue against collections.

    A key above names them, with the chosen period's values: above bars so narrow they would run into each other.
    """
    layout = theme(slots, [], [v for s in series for v in s.values], unit, unit_words, bands)
    layout |= {"barmode": "group", "bargap": 0.28, "bargroupgap": 0.08}
    chosen = next((i for i, s in enumerate(slots) if s.chosen), None)
    said = ["" if chosen is None else with_unit(s.values[chosen], unit, currency) for s in series]
    layout["meta"]["key"] = [_key(s.name, s.token, "square", text) for s, text in zip(series, said, strict=True)]
    return {"data": [_series_bar(slots, s) for s in series], "layout": layout}


def lines(
    slots: list[Slot], series: list[Series], unit: str, currency: str, unit_words: str, bands: list[Band],
    whole: bool = True,
) -> dict:  # fmt: skip
    """One to five lines over periods, named at their ends; holes stay holes, a period that isn't over is hollow.

    `whole`: an axis of shares goes to 100 % at least; False lets a small share (express) fill the chart. Each line
    has a mark of its own, so that colour isn't all that tells them apart.
    """
    layout = theme(slots, [], [v for s in series for v in s.values], unit, unit_words, bands,
                   whole=whole and unit == "share")  # fmt: skip
    top, x = layout["yaxis"]["range"][1], list(range(len(slots)))
    chosen = next((i for i, s in enumerate(slots) if s.chosen), None)
    if chosen is not None:
        layout["shapes"].append({
            "type": "line", "xref": "x", "yref": "paper", "x0": chosen, "x1": chosen, "y0": 0, "y1": 1,
            "layer": "below", "line": {"color": token("edge"), "width": 1},
        })  # fmt: skip
    data, named = [], []
    for one, symbol in zip(series, SYMBOLS, strict=False):
        y = _plain(one.values)
        data.append({
            "type": "scatter", "mode": "lines+markers", "name": escape(one.name, quote=False), "x": x, "y": y,
            "connectgaps": False,
            "line": {"color": token(one.token), "width": 2.5},
            "marker": {
                "symbol": [f"{symbol}-open" if s.so_far else symbol for s in slots], "color": token(one.token),
                "size": [10 if s.chosen else 7 for s in slots],
                "line": {"width": [2 if s.so_far else 0 for s in slots]}, "opacity": 1,
            },
            **_clicks(slots, one),
        })  # fmt: skip
        last = next((v for v in reversed(y) if v is not None), None)
        said = "" if chosen is None else with_unit(one.values[chosen], unit, currency)
        named.append((one.name, one.token, symbol, last, said))
    _name(layout, [n[:4] for n in named if n[3] is not None], top, [n[4] for n in named if n[3] is not None])
    together = [
        _hover(_said(s), *(f"{one.name}: {with_unit(one.values[i], unit, currency)}" for one in series))
        for i, s in enumerate(slots)
    ]
    data.insert(0, _reach([{"period": s.key} for s in slots], together))
    return {"data": data, "layout": layout}


def _total(values: Iterable[Number]) -> Number:
    """Their sum; None where there is none at all."""
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def _point(slot: Slot, value: Number) -> Point:
    s = slot
    return Point(s.key, s.tick, value, None, (s.name,), s.first_day, s.last_day, s.chosen, s.so_far)


def _said(slot: Slot) -> str:
    return f"{slot.name}, so far" if slot.so_far else slot.name


def _clicks(slots: list[Slot], one: Series) -> dict:
    """What hover says of each value of a series and what a click on it sets."""
    hovers = [_hover(_said(s), one.name, text) for s, text in zip(slots, one.hovers, strict=True)]
    return {
        "customdata": [[{"period": s.key} | dict(one.params), text] for s, text in zip(slots, hovers, strict=True)],
        "hovertemplate": "%{customdata[1]}<extra></extra>",
    }


def _series_bar(slots: list[Slot], one: Series, gap: float = 0) -> dict:
    """The bars of one series; `gap`: a line of the panel's colour around them, so that neighbours stay apart."""
    return {
        "type": "bar", "name": escape(one.name, quote=False), "x": list(range(len(slots))), "y": _plain(one.values),
        "marker": {
            "color": [token(one.token if s.chosen else f"{one.token}-soft") for s in slots],
            "line": {"width": gap, "color": token("panel")}, "pattern": _hatch(slots),
        },
        **_clicks(slots, one),
    }  # fmt: skip


def _key(name: str, colour: str, symbol: str, value: str = "") -> dict:
    """An entry of a key, put into lines by static/charts.js."""
    return {"mark": SYMBOLS[symbol], "color": token(colour), "name": escape(name, quote=False), "value": value}


def _name(layout: dict, places: list[tuple[str, str, str, float]], top: float, values: Sequence[str] = ()) -> None:
    """Name series right of the last period: places are (name, token, symbol, height on the axis).

    Names that would lie on each other are moved apart. The key is for a chart too narrow for them.
    """
    heights = _apart([p[3] for p in places], top * 0.085, top)  # a line of words in a plot of 196 px
    values = values or [""] * len(places)
    layout["meta"]["key"] = [_key(*p[:3], value) for p, value in zip(places, values, strict=True)]
    layout["annotations"] += [
        _say(
            f'<span style="color:{token(colour)}">{SYMBOLS[symbol]}</span> {escape(name, quote=False)}',
            name="direct", xref="paper", x=1, xanchor="left", xshift=6, y=height, align="left",
            font={"size": 12, "color": token("ink")},
        )
        for (name, colour, symbol, _), height in zip(places, heights, strict=True)
    ]  # fmt: skip


def _apart(heights: list[float], gap: float, top: float) -> list[float]:
    """The heights moved so that no two are nearer than `gap` and, where there is room, none is above `top`."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed, floor_ = list(heights), 0.0
    for i in order:
        placed[i] = floor_ = max(placed[i], floor_)
        floor_ += gap
    ceiling = top
    for i in reversed(order):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed


# --- Rows, maps and curves -----------------------------------------------------------------------------------------


def ranked(
    rows: list[Bar], subject: str, unit: str, currency: str, unit_words: str, second: Measure | None = None
) -> dict:
    """Horizontal bars in the order given, the first at the top: name left, value at the end.

    `second` draws another measure of the same rows beside the first (customers and revenue of segments). A chosen row
    has the full colour and the others the lighter one; with none chosen all have the full one.
    """
    layout, n = _base(unit_words), len(rows)
    layout["meta"] = {"form": "rows", "height": n * 32 + 40}
    layout["margin"] = {"l": 120, "r": 60, "t": 26, "b": 6, "pad": 6}
    layout["bargap"] = 0.3
    layout["annotations"][0] |= {"xshift": 0}
    names = [escape(row.name, quote=False) for row in rows]
    layout["yaxis"] = {
        "range": [n - 0.5, -0.5], "fixedrange": True, "showgrid": False, "zeroline": False, "tickmode": "array",
        "tickvals": list(range(n)), "tickfont": {"color": token("ink"), "size": 13},
        "ticktext": [f"<b>{name}</b>" if row.chosen else name for name, row in zip(names, rows, strict=True)],
    }  # fmt: skip
    first = Measure(tuple(r.value for r in rows), subject, unit, unit_words, tuple(r.note for r in rows))
    data = []
    for at, m in enumerate([first, second] if second else [first]):
        over = "x2" if at else "x"
        domain = ([0, 0.5], [0.5, 1])[at] if second else [0, 1]
        layout["xaxis2" if at else "xaxis"] = _row_axis(m.values, domain)
        if at:
            layout["annotations"].append(_say(m.unit_words, name="unit", xref="paper", yref="paper", x=0.5, y=1,
                                              xanchor="left", yshift=18))  # fmt: skip
        data.append(_row_bars(rows, m, over))
        layout["annotations"] += [_at_end(i, v, m, over) for i, v in enumerate(m.values)]
    # An overlaid axis lies over one panel alone, so each panel has its own; the domain is that of the axis beneath.
    for name, over in [("x9", "x"), ("x8", "x2")][: 2 if second else 1]:
        layout[f"xaxis{name[1]}"] = {"overlaying": over, "range": [0, 1], "fixedrange": True, "visible": False}
        data.append({
            "type": "bar", "name": "reach", "orientation": "h", "x": [1] * n, "y": list(range(n)), "xaxis": name,
            "width": 1, "marker": {"color": "rgba(0,0,0,0)", "line": {"width": 0}},
            "customdata": [[dict(r.params), _hover(r.hover[0] if r.hover else r.name, *r.hover[1:])] for r in rows],
            "hovertemplate": "%{customdata[1]}<extra></extra>",
        })  # fmt: skip
    return {"data": data, "layout": layout}


def _row_axis(values: Iterable[Number], domain: list[float]) -> dict:
    """An axis without words, as each bar says its value. It ends with the longest bar: static/charts.js makes room."""
    top = max([float(v) for v in values if v is not None] or [0])
    return {"domain": domain, "range": [0, top or 1], "fixedrange": True, "showgrid": False, "zeroline": False,
            "showticklabels": False}  # fmt: skip


def _row_bars(rows: list[Bar], m: Measure, over: str) -> dict:
    full = not any(r.chosen for r in rows)
    return {
        "type": "bar", "name": m.unit_words, "orientation": "h", "x": _plain(m.values), "y": list(range(len(rows))),
        "xaxis": over, "hoverinfo": "skip",
        "marker": {"color": [token(m.subject if full or r.chosen else f"{m.subject}-soft") for r in rows],
                   "line": {"width": 0}},
    }  # fmt: skip


def _at_end(i: int, value: Number, m: Measure, over: str) -> dict:
    """The value at a bar's end, its note after it; the currency stands above."""
    note = f" · {escape(m.notes[i], quote=False)}" if m.notes and m.notes[i] else ""
    text = f"<b>{with_unit(value, m.unit, '').strip() if value is not None else DASH}</b>{note}"
    return _say(text, name="end", xref=over, x=max(float(value or 0), 0), y=i, xanchor="left", xshift=4,
                font={"size": 12, "color": token("ink")})  # fmt: skip


def heat(
    rows: list[str], columns: list[str], shares: list[list[Number]], hovers: list[list[str]], counts: list[int],
    params: list[Mapping[str, str | None]] | None = None, column_title: str = "Months since the cohort month",
) -> dict:  # fmt: skip
    """A cohort map: a row a cohort (the first at the top), a column a month since, its share in words in each cell.

    `shares` 0..1, None where it isn't reached (blank); `hovers` the lines of each cell's hover after the cohort's
    name; `counts` the customers of each cohort, said beside its name; `params` what a click on a cohort's cell sets.
    """
    layout, n = _base(f"{column_title}, % of the customers at the start"), len(rows)
    layout["meta"] = {"form": "heat", "height": n * 26 + 70}
    layout["margin"] = {"l": 108, "r": 4, "t": 44, "b": 4, "pad": 4}
    layout["annotations"][0] |= {"xshift": -108, "yshift": 24, "yanchor": "bottom", "align": "left"}
    layout["xaxis"] = {
        "range": [-0.5, len(columns) - 0.5], "fixedrange": True, "showgrid": False, "zeroline": False, "ticks": "",
        "side": "top",
        "tickmode": "array", "tickvals": list(range(len(columns))), "ticktext": columns, "tickangle": 0,
    }  # fmt: skip
    layout["yaxis"] = {
        "range": [n - 0.5, -0.5], "fixedrange": True, "showgrid": False, "zeroline": False, "ticks": "",
        "tickmode": "array",
        "tickvals": list(range(n)), "tickfont": {"color": token("ink")},
        "ticktext": [f"{escape(name, quote=False)} <b>{count:,}</b>" for name, count in zip(rows, counts, strict=True)],
    }  # fmt: skip
    steps = [[None if v is None else heat_step(v) for v in row] for row in shares]
    scale = [[(i + side) / HEAT_STEPS, token(f"heat-{i + 1}")] for i in range(HEAT_STEPS) for side in (0, 1)]
    said = [[None if v is None else _hover(rows[i], *[hovers[i][j]]) for j, v in enumerate(row)]
            for i, row in enumerate(shares)]  # fmt: skip
    clicks = [dict(p) for p in params] if params else [{}] * n
    cells = [(i, j, v) for i, row in enumerate(shares) for j, v in enumerate(row) if v is not None]
    return {
        "data": [
            {
                "type": "heatmap", "name": "cells", "x": list(range(len(columns))), "y": list(range(n)), "z": steps,
                "zmin": 0.5, "zmax": HEAT_STEPS + 0.5, "colorscale": scale, "showscale": False, "xgap": 2, "ygap": 2,
                "hoverongaps": False, "hovertemplate": "%{customdata[1]}<extra></extra>",
                "customdata": [[[clicks[i], text or ""] for text in row] for i, row in enumerate(said)],
            },
            {
                "type": "scatter", "mode": "text", "name": "words", "hoverinfo": "skip",
                "x": [j for _, j, _ in cells], "y": [i for i, _, _ in cells],
                "text": [f"{float(v) * 100:.0f}" for *_, v in cells],
                "textfont": {"size": 12, "color": [token(heat_ink(heat_step(v))) for *_, v in cells]},
            },
        ],
        "layout": layout,
    }  # fmt: skip


def heat_step(share: Number) -> int:
    """The step of the scale for a share, 1..HEAT_STEPS: below 10 %, 20 %, 30 %, 45 %, 65 %, and above.

    Even steps would paint nearly all cells alike: retention lies below a half.
    """
    return 1 + sum(float(share) >= edge for edge in (0.1, 0.2, 0.3, 0.45, 0.65))


def heat_ink(step: int) -> str:
    return "heat-ink" if step <= HEAT_STEPS // 2 else "heat-paper"


def on_curve(n: int) -> list[int]:
    """The places, of n from the first to the last, that a curve is drawn through."""
    return sorted({*range(0, n, max(1, ceil(n / CURVE_POINTS))), n - 1}) if n else []


def pareto(
    ranks: Sequence[Number], shares: Sequence[Number], hovers: Sequence[str] | Mapping[int, str], marks: list[Mark],
    subject: str = "revenue", x_title: str = "% of customers, the biggest first", y_title: str = "% of revenue",
) -> dict:  # fmt: skip
    """A cumulative curve from 0 to 100 %: what share of the revenue the first so many customers bring.

    `ranks` (shares of customers 0..1, ascending), `shares` (of revenue 0..1, cumulative), `hovers`: one each,
    or of the places on_curve() alone; `marks`: places on it to name, as the first 20 % of customers and where 80 % of
    revenue is reached.
    """
    layout = _base(y_title)
    layout["meta"] = {"form": "curve"}
    layout["margin"] |= {"b": 44, "r": 16}
    layout["hoverdistance"] = -1
    whole = axis([1], "share", whole=True)
    layout["yaxis"] = whole
    layout["xaxis"] = whole | {"range": [0, 1], "showgrid": False, "title": {"text": x_title, "standoff": 8}}
    kept = on_curve(len(ranks))
    data = [{
        "type": "scatter", "mode": "lines", "name": "curve", "fill": "tozeroy", "fillcolor": token("band"),
        "x": [0, *(float(ranks[i]) for i in kept)], "y": [0, *(float(shares[i]) for i in kept)],
        "line": {"color": token(subject), "width": 2.5},
        "customdata": [[{}, ""], *([{}, _hover(*hovers[i].replace("<br>", "\n").split("\n"))] for i in kept)],
        "hovertemplate": "%{customdata[1]}<extra></extra>",
    }, {
        "type": "scatter", "mode": "markers", "name": "marks", "hoverinfo": "skip",
        "x": [float(m.x) for m in marks], "y": [float(m.y) for m in marks],
        "marker": {"size": 10, "color": token(subject), "line": {"width": 2, "color": token("panel")}},
    }]  # fmt: skip
    for m in marks:
        layout["shapes"] += [
            {"type": "line", "x0": x0, "x1": float(m.x), "y0": y0, "y1": float(m.y), "layer": "below",
             "line": {"color": token("edge"), "width": 1, "dash": "4px,3px"}}
            for x0, y0 in ((float(m.x), 0), (0, float(m.y)))
        ]  # fmt: skip
        layout["annotations"].append(_say(
            escape(m.text, quote=False), name="mark", x=float(m.x), y=float(m.y), xanchor="left", yanchor="top",
            xshift=8, yshift=-4, align="left", font={"size": 13, "color": token("ink")},
        ))  # fmt: skip
    return {"data": data, "layout": layout}


def height(figure: dict) -> int | None:
    """The height in px that a figure needs, None for the usual one (--chart)."""
    return figure["layout"].get("meta", {}).get("height")
