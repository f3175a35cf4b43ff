"""Pages of figures: read the URL, ask for the numbers, fill the template."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import wraps

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from analytics import access, exports, queries, share
from analytics.dashboards import DASHBOARDS, attention, blocks, cards, dash_app, frame, insights
from analytics.tables import Table
from etl.errors import MoonwalkError

log = logging.getLogger(__name__)
ROWS = 200  # of a table on a page


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


def home(request: HttpRequest) -> HttpResponse:
    """Everybody's first page: where their pages are, and what needs attention today."""
    pages = access.pages_of(request.user)
    if not pages:
        return render(request, "analytics/no_role.html", {"roles": access.ROLES})
    return render(request, "analytics/home.html", {"pages": pages, "attention": attention.today(request.user)})


def for_page(view):
    """For views of one dashboard, named by their argument `page`: 404, or 403 for who may not see it, then the data."""

    @wraps(view)
    def guarded(request, page, *args, **kwargs):
        if page not in DASHBOARDS:
            raise Http404
        if not access.can_see(request.user, page):
            raise PermissionDenied
        return needs_data(view)(request, page, *args, **kwargs)

    return guarded


def state_of(request: HttpRequest, page: str, params: Mapping[str, str] | None = None) -> frame.State:
    """The dashboard at the place that the URL names (or `params`), for whoever asks."""
    build = queries.current(access.store_of(request.user))
    return frame.read_state(DASHBOARDS[page], request.GET if params is None else params, build)


@for_page
def dashboard(request: HttpRequest, page: str) -> HttpResponse:
    """A persona's page in the state that its URL names."""
    state = state_of(request, page)
    which, tab = state.dashboard, state.tab
    drawn = blocks.charts(state)
    context = {
        "here": page,
        "state": state,
        "subtitle": _subtitle(state),
        "tabs": [{"label": t.label, "url": state.url(tab=t.slug), "here": t == tab} for t in state.tabs],
        "grains": [] if tab.monthly or tab.undated else [
            {"label": g.label, "url": frame.in_other_grain(state, g.name), "here": g == state.grain}
            for g in frame.GRAINS.values()
        ],
        "periods": [] if tab.undated else state.figures.periods[::-1],
        "stores": _stores(state),
        "kept": [(k, v) for k, v in state.params.items() if k in (*frame.DIMENSIONS, frame.LEAST)],
        "says": [text for name in tab.says if (text := blocks.SENTENCES[name](state))],
        "cards": cards.cards(state),
        "charts": drawn,
        "tables": [(_cut(table), _downloads(state, table.id)) for table in blocks.tables(state)],
        "app": dash_app.markup(which.page) if drawn else None,
        "insights": insights.read(state, request.user) if tab.insights else None,
        "exports": _downloads(state),
        "share_url": share.share_url(state),
        "guide": reverse("guide", args=[page]),
    }  # fmt: skip
    if frame.LEAST in tab.takes:
        context |= blocks.call_list_choices(state)
    return render(request, "analytics/dashboard.html", context)


def _cut(table: Table) -> Table:
    """So many rows that a page stays quick; its file has them all."""
    if len(table.rows) <= ROWS:
        return table
    note = f"{table.note} The first {ROWS} of {len(table.rows):,}: the files below have all."
    return replace(table, rows=table.rows[:ROWS], note=note)


def _stores(state: frame.State) -> list[dict]:
    """The choices of the list of stores: one alone for who is kept to it."""
    every = [] if state.build.only else [{"slug": frame.ALL_STORES, "label": "All stores", "here": state.store is None}]
    return every + [{"slug": s.slug, "label": s.name, "here": s == state.store} for s in frame.stores(state.build)]


def _downloads(state: frame.State, table: str | None = None) -> list[tuple[str, str]]:
    """(words, address) of what is on screen, or one of its tables, in each form."""
    return [(form.upper(), state.export(form, table)) for form in exports.FORMS]


@for_page
def export(request: HttpRequest, page: str, form: str) -> HttpResponse:
    """What a tab shows, or one `table` of it, as a file: the same figures under the same filters."""
    if form not in exports.FORMS:
        raise Http404
    state = state_of(request, page)
    tables = cards.as_tables(state) + [c["table"] for c in blocks.charts(state)] + blocks.tables(state)
    if state.tab.insights:
        tables += [insights.as_table(insights.read(state, request.user))]
    chosen = request.GET.get("table")
    if chosen:
        tables = [table for table in tables if table.id == chosen]
        if not tables:
            raise Http404
    meta = state.build.meta()
    about = {
        "Page": state.dashboard.title, "Tab": state.tab.label, "Shows": frame.tell(state),
        "Data to": meta["data_to"], "Exports of": meta["as_of"], "Build": meta["build_id"],
    }  # fmt: skip
    name = "-".join(filter(None, (page, state.tab.slug, chosen, state.period.key)))
    return exports.export_response(tables, form, name, about)


def _subtitle(state: frame.State) -> str:
    """February 2026, compared with Jan 2026 and Feb 2025."""
    if state.tab.undated:
        return frame.when(state)
    if not state.period.closed:
        return f"{state.period.name}, so far: not compared with whole {state.grain.word}s"
    bases = (state.figures.before(state.period), state.figures.year_before(state.period))
    names = " and ".join(p.short for p in bases if p)
    return f"{state.period.name}, compared with {names}" if names else state.period.name
