"""Pages of figures: read the URL, ask for the numbers, fill the template."""

import logging
from functools import wraps

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from analytics import access, queries
from analytics.dashboards import dash_app, frame, insights
from analytics.dashboards.executive import EXECUTIVE
from etl.errors import MoonwalkError

log = logging.getLogger(__name__)


def home(request: HttpRequest) -> HttpResponse:
    """To the first page that the person may open; one without a role is told so."""
    address = access.landing(request.user)
    return redirect(address) if address else render(request, "analytics/no_role.html", {"roles": access.ROLES})


def needs_data(view):
    """Before anything was loaded: a page that says how. When the data can't be opened: why, with 503."""

    @wraps(view)
    def prepared(request, *args, **kwargs):
        try:
            if not queries.warehouse().current():
                return render(request, "analytics/empty.html", {"folder": settings.EXPORTS_DIR})
            return view(request, *args, **kwargs)
        except MoonwalkError as error:
            log.error("%s: %s", request.path, error)
            return render(request, "analytics/unavailable.html", {"message": str(error)}, status=503)

    return prepared


def dashboard(request: HttpRequest, which: frame.Dashboard) -> HttpResponse:
    """A persona's page in the state that its URL names."""
    state = frame.read_state(which, request.GET)
    context = {
        "here": which.page,
        "state": state,
        "subtitle": _subtitle(state),
        "tabs": [{"label": t.label, "url": state.url(tab=t.slug), "here": t == state.tab} for t in which.tabs],
        "grains": [
            {"label": g.label, "url": frame.in_other_grain(state, g.name), "here": g == state.grain}
            for g in frame.GRAINS.values()
        ],
        "periods": state.figures.periods[::-1],
        "stores": [{"slug": frame.ALL_STORES, "label": "All stores", "here": state.store is None}]
        + [{"slug": s.slug, "label": s.name, "here": s == state.store} for s in frame.stores()],
        "cards": frame.cards(state),
        "charts": frame.charts(state),
        "app": dash_app.markup(which.page) if state.tab.charts else None,
        "insights": insights.read(state, request.user) if state.tab.insights else None,
    }
    return render(request, "analytics/dashboard.html", context)


def _subtitle(state: frame.State) -> str:
    """February 2026, compared with Jan 2026 and Feb 2025."""
    if not state.period.closed:
        return f"{state.period.name}, so far: not compared with whole {state.grain.word}s"
    bases = (state.figures.before(state.period), state.figures.year_before(state.period))
    names = " and ".join(p.short for p in bases if p)
    return f"{state.period.name}, compared with {names}" if names else state.period.name


@access.page_required("executive")
@needs_data
def executive(request: HttpRequest) -> HttpResponse:
    """Executive Pulse."""
    return dashboard(request, EXECUTIVE)
