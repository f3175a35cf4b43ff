"""The cards of a tab with their numbers: of metrics by period, and facts that no period has.

`wanted`: the page's targets (analytics/targets.py), which change while a build doesn't.
"""

from analytics import targets
from analytics.dashboards import blocks
from analytics.dashboards.by_period import definition_of, subject
from analytics.dashboards.frame import Card, Figures, Period, State, currency, when
from analytics.formats import Number, after, before, figure, with_unit
from analytics.metrics import METRICS
from analytics.tables import Column, Table
from etl.business import slug

SPARK_PERIODS = 13


def cards(state: State, wanted: targets.Wanted = ()) -> list[dict]:
    """The tab's cards: metric, label, about, subject, before, value, after, so_far, changes (of Change), spark (SVG
    path), end (the line's last point), parts (dicts of label, value, change, url, aim), note, why, follow, definition,
    aim (targets.Words, or None without a target)."""
    return state.build.kept(("cards", wanted, *state.key), lambda _: _cards(state, wanted))


def _cards(state: State, wanted: targets.Wanted) -> list[dict]:
    return [_card(state, card, wanted) for card in state.tab.cards if state.build.may_see(card.metric)] + _facts(state)


def _facts(state: State) -> list[dict]:
    shown = [block for block in state.tab.facts if not (block.whole and state.build.only)]
    return [fact for block in shown for fact in blocks.facts(state, block.name)]


def _card(state: State, card: Card, wanted: targets.Wanted) -> dict:
    data, period, m = state.figures, state.period, METRICS[card.metric]
    spark, end = _spark(data, card.metric, period)
    value = data.value(card.metric, period)
    why = data.why(card.metric, period) if value is None else ""
    return {
        "metric": card.metric,
        "label": m.label,
        "about": m.description,
        "subject": card.subject or subject(card.metric),
        "before": before(m.unit, currency()) if value is not None else "",
        "value": figure(value, m.unit),
        "after": after(m.unit) if value is not None else "",
        "so_far": not period.closed,
        "why": why,
        "changes": [] if why else data.changes(card.metric, period),
        "spark": spark,
        "end": end,
        "aim": targets.said(wanted, state, card.metric),
        "parts": _split_parts(state, card) if card.split else _parts(state, card, wanted),
        "note": blocks.SENTENCES[card.note](state) if card.note else "" if why else data.short_of(card.metric, period),
        "follow": state.follow(card.metric),
        "definition": definition_of(card.metric),
        "whole": bool(m.whole and state.store and not state.tab.whole),
    }


def _parts(state: State, card: Card, wanted: targets.Wanted) -> list[dict]:
    data, period = state.figures, state.period
    return [
        {
            "label": words,
            "value": with_unit(data.value(p, period), METRICS[p].unit, ""),
            "change": data.changes(p, period)[0],
            "url": state.follow(p),
            "aim": targets.said(wanted, state, p),
        }
        for p, words in card.parts
        if state.build.may_see(p)
        and not (card.drop_empty and not data.value(p, period) and not data.value(p, data.before(period)))
    ]


def _split_parts(state: State, card: Card) -> list[dict]:
    """The metric by the values of a dimension; those with nothing now and before are left out."""
    data, period, m = state.figures, state.period, METRICS[card.metric]
    earlier, parts = data.before(period), []
    for name, by_period in data.splits.get((card.metric, card.split), {}).items():
        now, then = by_period.get(period.key), by_period.get(earlier.key) if earlier else None
        if not now and not then:
            continue
        parts.append(
            {
                "label": name,
                "value": with_unit(now, m.unit, ""),
                "change": data.split_change(card.metric, now, then, period),
                "url": state.follow(card.metric, **{card.split: slug(name)}),
            }
        )
    return parts


def _spark(data: Figures, metric: str, period: Period) -> tuple[str, str]:
    """The SVG path of the last periods' line in a box of 200 x 44, and of the dot at its end; "" with nothing to draw.

    A period that isn't over is left out: its part would read as a fall.
    """
    at = data.by_key[period.key] + 1
    window = [p for p in data.periods[max(0, at - SPARK_PERIODS) : at] if p.closed]
    values: list[Number] = [data.comparable(metric, p) for p in window]
    top = max([float(v) for v in values if v is not None] or [0])
    if top <= 0 or len(values) < 2:
        return "", ""
    path, pen = [], "M"
    for i, v in enumerate(values):
        if v is None:
            pen = "M"
            continue
        path.append(f"{pen}{i * 200 / (len(values) - 1):.1f} {41 - max(0.0, float(v)) / top * 36:.1f}")
        pen = "L"
    return " ".join(path), f"M{path[-1][1:]}h0" if values[-1] is not None else ""


def as_tables(state: State, wanted: targets.Wanted = ()) -> list[Table]:
    """The cards for an export: the metrics in this period, the one before and the year before, each followed by its
    targets where it has any; facts in one row."""
    data, period = state.figures, state.period
    columns, getters = [Column("period", "Period")], {}
    aimed = {name for name, *_ in wanted}

    def add(metric: str, label: str, get, unit: str = "") -> None:
        key = f"c{len(columns)}"
        columns.append(Column(key, label, unit or METRICS[metric].unit))
        getters[key] = get

    for card in state.tab.cards:
        if not state.build.may_see(card.metric):
            continue
        for metric in card.metrics:
            add(metric, METRICS[metric].label, lambda p, m=metric: data.value(m, p))
            if metric in aimed:
                label = METRICS[metric].label
                add(metric, f"{label}: target", lambda p, m=metric: targets.of_figure(wanted, state, m, p))
                add(metric, f"{label}: of target", lambda p, m=metric: targets.share(wanted, state, m, p), "share")
        for name, by_period in data.splits.get((card.metric, card.split), {}).items():
            add(card.metric, f"{METRICS[card.metric].label}: {name}", lambda p, b=by_period: b.get(p.key))
    tables = []
    if getters:
        bases = [p for p in (period, data.before(period), data.year_before(period)) if p]
        rows = tuple({"period": p.option} | {key: get(p) for key, get in getters.items()} for p in bases)
        tables.append(Table("cards", state.tab.label, tuple(columns), rows, metrics=state.tab.metrics))
    facts = [(*raw, fact["about"] * (not i)) for fact in _facts(state) for i, raw in enumerate(fact["raw"])]
    if facts:
        columns = tuple(Column(f"f{i}", label, unit, about=about) for i, (label, _, unit, about) in enumerate(facts))
        rows = ({f"f{i}": value for i, (_, value, *_) in enumerate(facts)},)
        tables.append(Table("facts", f"{state.tab.label}, {when(state)}", columns, rows))
    return tables
