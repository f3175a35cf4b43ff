"""The insights of a period, ready for a template. Rules and words are analytics.insights'; here they are shown."""

from urllib.parse import urlsplit

from analytics import access, queries
from analytics.dashboards.frame import State
from analytics.formats import DOWN, LEVEL, UP
from analytics.seasons import seasons
from analytics.tables import Column, Table

# tone -> sign, colour class, word: never the colour alone
TONES = {
    "positive": (UP, "up", "good"),
    "negative": (DOWN, "down", "needs attention"),
    "neutral": (LEVEL, "level", "good to know"),
}
FIRST = ("negative", "positive", "neutral")  # what needs attention is read first
TOP = 3


def read(state: State, user) -> dict:
    """What the tab shows of the period's insights.

    rows: headline, detail, category, arrow, css, word, url; top: the few that stand out; groups: (category, rows);
    about, none: words; elsewhere: label and url of the newest period that has insights, when this one has none; url:
    of all insights; seasons: those that touch the period.
    """
    found = state.build.insights(state.grain.name, state.store.name if state.store else None)
    rows = [row(r, user) for r in found if r["period"] == state.period.key]
    groups = {}
    for one in rows:  # `row` is the function below
        groups.setdefault(one["category"], []).append(one)
    newest = state.figures.period(max((r["period"] for r in found), default=""))
    about = f"By fixed rules, for {state.store.name if state.store else 'all stores'} in {state.period.short}."
    none = f"Insights are made for the last closed {state.grain.word}"
    here = newest is None or newest == state.period
    return {
        "rows": rows,
        "top": top(rows),
        "groups": list(groups.items()),
        "about": about,
        "none": f"{none}, and this data has none yet." if newest is None else f"{none}, {newest.short}.",
        "elsewhere": None if here else {"label": newest.short, "url": state.url(period=newest.key)},
        "url": state.url(tab="insights"),
        "seasons": seasons(state.period.first_day, state.period.last_day),
    }


def of_period(build: queries.Snapshot, grain: str, key: str) -> list[dict]:
    """Rows of queries.insights() of the period "2026-02" or "2026-W09", what needs attention first."""
    found = [r for r in build.insights(grain) if r["period"] == key]
    return sorted(found, key=lambda r: FIRST.index(r["tone"]))


def row(found: dict, user) -> dict:
    """A row of queries.insights() as a template shows it: with arrow, css, word and url, None where the reader may not
    open the page it leads to."""
    arrow, css, word = TONES[found["tone"]]
    return found | {"arrow": arrow, "css": css, "word": word, "url": _reachable(found["link"], user)}


def as_table(shown: dict) -> Table:
    """What read() gave, for an export."""
    names = (("category", "Category"), ("headline", "Insight"), ("detail", "Detail"), ("word", "Reading"))
    columns = tuple(Column(key, label) for key, label in names)
    return Table("insights", "Insights", columns, tuple(shown["rows"]), shown["about"])


def _reachable(link: str | None, user) -> str | None:
    """The link when the reader may open its page, else None. A link is an address whose first part names a page."""
    page = urlsplit(link or "").path.strip("/").split("/")[0]
    built = page in access.PAGES and access.PAGES[page].url() is not None
    return link if built and access.can_see(user, page) else None


def top(rows: list[dict]) -> list[dict]:
    """The few that a manager reads first: two that need attention, what went well, then the rest in their order."""
    of = {tone: [r for r in rows if r["tone"] == tone] for tone in TONES}
    first = of["negative"][:2] + of["positive"][:1]
    return (first + [r for r in of["negative"] + of["positive"] + of["neutral"] if r not in first])[:TOP]
