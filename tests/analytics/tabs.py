"""Every tab of every dashboard in every state worth a look, and what should stand on it."""

import json

from analytics import queries
from analytics.dashboards import DASHBOARDS, frame
from analytics.dashboards.frame import Card
from analytics.formats import with_unit
from analytics.metrics import METRICS
from analytics.queries import Filters
from tests.conftest import GOLDEN

EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
TABS = [(page, tab.slug) for page, dashboard in DASHBOARDS.items() for tab in dashboard.tabs]
# Closed; closed, in the change-over from the old system; the first of the data; not over yet.
PERIODS = {
    "month": ("2026-02", "2025-03", "2024-01", "2026-03"),
    "week": ("2026-W09", "2025-W13", "2024-W01", "2026-W10"),
}
STATES = [
    (page, tab, grain, period)
    for page, tab in TABS
    for grain in frame.GRAINS
    for period in PERIODS[grain]
    if grain == "month" or not DASHBOARDS[page].tab(tab).monthly
]
# A value of each dimension that a tab may be filtered by.
VALUES = {
    "area": "Outer Abu Dhabi", "item_category": "Home Linens", "service_type": "Dry Cleaning", "payment_type": "Cash",
    "segment": "Champions",
}  # fmt: skip


def asked(build, metric: str, grain: str, period: str, **filters):
    """What the metrics say of one period: of all metrics asked together, not of the tab's."""
    chosen = Filters(**filters)
    dimensions = [d for d, v in filters.items() if v is not None and d != "segment_month"]
    names = [
        n for n, m in METRICS.items() if grain in m.grains and all(queries.can_filter(n, d) for d in dimensions)
        and not (m.whole and build.only)
    ]  # fmt: skip
    found = build.kept(("every", grain, chosen), lambda _: {
        row["period"]: row
        for row in build.query(names, grain, filters=chosen, include_open=True).iter_rows(named=True)
    })  # fmt: skip
    return found.get(period, {}).get(metric)


def golden(metric: str, grain: str, period: str):
    """The golden value, or None with False."""
    if metric == "item_revenue" and period in EXPECTED["month_dimensions"]:
        return sum(v[metric] for v in EXPECTED["month_dimensions"][period]["item_category"].values()), True
    values = EXPECTED["months" if grain == "month" else "weeks"].get(period, {})
    return (values[metric], True) if metric in values else (None, False)


def reads(value, metric: str, currency: str = "Dhs") -> str:
    return with_unit(value, METRICS[metric].unit, currency)


def state_of(build, page: str, **params) -> frame.State:
    return frame.read_state(DASHBOARDS[page], params, build)


def cards_of(tab) -> list[tuple[Card, str, str | None]]:
    """(card, metric, its words as a part or None) of every number by period that a tab's cards show."""
    return [(c, m, label) for c in tab.cards for m, label in ((c.metric, None), *c.parts)]


def drawn(figure: dict) -> dict[str, list]:
    """name of a trace -> the numbers it draws, without what only catches the pointer."""
    return {
        t["name"]: t["x"] if t.get("orientation") == "h" else t["y"] for t in figure["data"] if t["name"] != "reach"
    }
