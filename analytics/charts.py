"""Plotly figures: one theme, one builder a chart form.

A figure is a plain dict (Plotly's own JSON), because building `go.Figure` objects costs more than the query behind
them. Colours and the font are named, not written: "token:revenue" is the custom property --revenue of
static/moonwalk.css, looked up by static/charts.js in the browser. So one cached figure serves light, dark and paper,
follows the system's colour scheme at once, and a colour exists in one place.

Positions on the x axis are 0, 1, 2 ... of the periods shown, so that a season can shade a part of a period.
"""

from dataclasses import dataclass
from datetime import date
from math import ceil, floor, log10

from analytics.formats import Number, with_unit

CONFIG = {"displayModeBar": False, "responsive": True, "showTips": False, "scrollZoom": False, "doubleClick": False}
LABELS_UP_TO = 8  # so many bars still have room for their value on a phone; beyond, only the chosen one says it


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


def theme(points: list[Point], ahead: list[str], top: float, unit_words: str, bands: list[Band]) -> dict:
    """The layout that every chart shares: hairlines, ticks, the unit above the axis, shaded seasons, hover."""
    values, words, end = ticks(top)
    labels = [f"<b>{p.tick}</b>" if p.chosen and p.tick else p.tick for p in points] + ahead
    shown = [i for i, text in enumerate(labels) if text]
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
        "xaxis": {
            "range": [-0.55, len(labels) - 0.45], "fixedrange": True, "showgrid": False, "zeroline": False,
            "tickmode": "array", "tickvals": shown, "ticktext": [labels[i] for i in shown], "tickangle": 0,
            "ticklabeloverflow": "allow",
        },
        "yaxis": {
            "range": [0, end * 1.1], "fixedrange": True, "zeroline": False, "gridcolor": token("line"),
            "tickmode": "array", "tickvals": values, "ticktext": words,
        },
        "yaxis2": {"overlaying": "y", "range": [0, 1], "fixedrange": True, "visible": False},
        "shapes": [_shade(band, x0, x1) for band, x0, x1 in spans(points, bands)],
        "annotations": [_say(unit_words, xref="paper", yref="paper", x=0, y=1, xanchor="left", xshift=-46, yshift=18)]
        + [_say(band.name, x=(x0 + x1) / 2, yref="paper", y=1, yanchor="bottom")
           for band, x0, x1 in spans(points, bands) if x1 - x0 >= len(labels) / 9],
    }  # fmt: skip


def spans(points: list[Point], bands: list[Band]) -> list[tuple[Band, float, float]]:
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
                yshift=10,
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
            "pattern": {"shape": ["/" if p.so_far else "" for p in points], "size": 6, "solidity": 0.35,
                        "fgcolor": token("panel"), "fillmode": "overlay"},
        },
    }  # fmt: skip


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


def _reach(points: list[Point]) -> dict:
    """Unseen full-height bars that take hover and click, so that a finger needn't hit a short bar.

    On an axis of their own: beside them Plotly would not round the real bars' corners.
    """
    return {
        "type": "bar", "name": "reach", "x": list(range(len(points))), "y": [1] * len(points),
        "yaxis": "y2", "width": 1, "marker": {"color": "rgba(0,0,0,0)", "line": {"width": 0}},
        "customdata": [[p.key, "<br>".join((f"<b>{p.hover[0]}</b>", *p.hover[1:]))] for p in points],
        "hovertemplate": "%{customdata[1]}<extra></extra>",
    }  # fmt: skip


def _plain(values) -> list[float | None]:
    """JSON has no Decimal."""
    return [None if v is None else float(v) for v in values]


def bars(points: list[Point], subject: str, unit: str, currency: str, unit_words: str, bands: list[Band]) -> dict:
    """Bars from 0 by period, the year before as a dashed line, seasons shaded behind.

    `points` oldest first; `subject` is the token of the colour; `unit_words` stand above the axis ("Dhs").
    """
    top = max([float(v) for p in points for v in (p.value, p.last_year) if v is not None] or [0])
    layout = theme(points, [], top, unit_words, bands)
    line = _line("last year", list(range(len(points))), _plain(p.last_year for p in points), 1.5, "5px,4px")
    layout["annotations"] += _labels(points, unit)
    return {"data": [_bar(points, subject), *line, _reach(points)], "layout": layout}


def ahead(
    points: list[Point], average: list[Number], coming: list[str], subject: str, unit: str, currency: str,
    unit_words: str, bands: list[Band],
) -> dict:  # fmt: skip
    """Bars by period with their moving average as a line, carried on dashed over the periods to come.

    `average`: one value a point (None where there are too few before it); its last value is drawn ahead over
    `coming`, the words of the periods to come on the axis.
    """
    known = [(i, float(v)) for i, v in enumerate(average) if v is not None]
    top = max([float(p.value) for p in points if p.value is not None] + [v for _, v in known] or [0])
    layout = theme(points, coming, top, unit_words, bands)
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
            font={"size": 12, "color": token("ink")},
        ))  # fmt: skip
    if len(points) <= LABELS_UP_TO:  # among many bars the line's own label is in the way
        layout["annotations"] += _labels([p if p.chosen else _silent(p) for p in points], unit)
    data.append(_reach(points))
    return {"data": data, "layout": layout}


def _silent(point: Point) -> Point:
    """The same period without a label: beside a line, one label is enough."""
    return Point(point.key, point.tick, None, None, point.hover, point.first_day, point.last_day)
