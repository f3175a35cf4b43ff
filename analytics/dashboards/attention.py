"""What needs attention today, for the page that everybody begins with."""

from analytics import access, queries
from analytics.dashboards import frame, insights
from etl.errors import MoonwalkError


def today(user) -> dict:
    """What a person should look at first.

    data: False before anything was loaded; error: why the data can't be opened; insights: those that need attention,
    of the last closed month and week, that lead to a page of theirs (rows of insights.py with `period`, words); about:
    the periods that were looked at; only: the store that they are kept to.
    """
    try:
        if not queries.warehouse().current():
            return {"data": False}
        build = queries.current(access.store_of(user))
        rows, looked_at = [], []
        for grain in frame.GRAINS.values():
            last = next((p for p in reversed(frame.periods(build, grain.name)) if p.closed), None)
            if last is None:
                continue
            looked_at.append(last.short)
            found = (insights.row(r, user) for r in build.insights(grain.name) if r["period"] == last.key)
            rows += [r | {"period": last.short} for r in found if r["tone"] == "negative" and r["url"]]
        return {"data": True, "only": build.only, "insights": rows, "about": " and ".join(looked_at)}
    except MoonwalkError as error:
        return {"data": True, "error": str(error)}
