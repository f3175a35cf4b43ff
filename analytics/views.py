"""Pages of figures: read the URL, ask for the numbers, fill the template."""

from dataclasses import replace
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from analytics import access, exports, queries, report, share, targets
from analytics.dashboards import attention, blocks, cards, dash_app, frame, insights
from analytics.dashboards.executive import EXECUTIVE
from analytics.pages import build_of, for_page, needs_data, state_of
from analytics.tables import Table

ROWS = 200  # of a table on a page


def home(request: HttpRequest) -> HttpResponse:
    """Everybody's first page: where their pages are, and what needs attention today."""
    pages = access.pages_of(request.user)
    if not pages:
        return render(request, "analytics/no_role.html", {"roles": access.ROLES})
    return render(request, "analytics/home.html", {"pages": pages, "attention": attention.today(request.user)})


@for_page
def dashboard(request: HttpRequest, page: str) -> HttpResponse:
    """A persona's page in the state that its URL names."""
    state = state_of(request, page)
    which, tab = state.dashboard, state.tab
    drawn, contacts = blocks.charts(state), access.contacts_of(request.user)
    wanted = targets.of_page(state)
    context = {
        "here": page,
        "state": state,
        "targets": wanted,
        "subtitle": _subtitle(state),
        "tabs": [{"label": t.label, "url": state.url(tab=t.slug), "here": t == tab} for t in state.tabs],
        "grains": frame.grain_choices(state),
        "periods": [] if tab.undated else state.figures.periods[::-1],
        "stores": frame.store_choices(state),
        "kept": [(k, v) for k, v in state.params.items() if k in (*frame.DIMENSIONS, frame.LEAST)],
        "says": blocks.says(state),
        "cards": cards.cards(state, wanted),
        "charts": drawn,
        "contacts": tuple(sorted(contacts)),
        "tables": [(_cut(table.reaching(contacts)), _downloads(state, table.id)) for table in blocks.tables(state)],
        "app": dash_app.markup(which.page) if drawn else None,
        "insights": insights.read(state, request.user) if tab.insights else None,
        "exports": _downloads(state),
        "report": _report(state, request.user),
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


def _downloads(state: frame.State, table: str | None = None) -> list[tuple[str, str]]:
    """(words, address) of what is on screen, or one of its tables, in each form."""
    return exports.links(lambda form: state.export(form, table))


@for_page
def export(request: HttpRequest, page: str, form: str) -> HttpResponse:
    """What a tab shows, or one `table` of it, as a file: the same figures under the same filters."""
    state = state_of(request, page)
    wanted, contacts = targets.of_page(state), access.contacts_of(request.user)
    tables = cards.as_tables(state, wanted) + [c["table"] for c in blocks.charts(state)] + blocks.tables(state)
    tables = [table.reaching(contacts) for table in tables]
    if state.tab.insights:
        tables += [insights.as_table(insights.read(state, request.user))]
    chosen = request.GET.get("table")
    if chosen:
        tables = [table for table in tables if table.id == chosen]
        if not tables:
            raise Http404
    about = {"Page": state.dashboard.title, "Tab": state.tab.label, "Shows": frame.tell(state)}
    when = state.build.meta()["as_of"] if state.tab.undated else state.period.key
    name = "-".join(filter(None, (page, state.tab.slug, chosen, when, *state.slugs)))
    return exports.export_response(tables, form, name, state.build, about)


@access.page_required("report")
@needs_data
def board_report(request: HttpRequest) -> HttpResponse:
    """The board report of the closed `period` that the address names, as a PDF, else of the last closed month; of the
    `store` that it names, else of the whole business."""
    build = build_of(request)
    try:
        _, period = report.period_of(build, request.GET.get("period"))
        store = report.store_of(build, request.GET.get("store"))
    except queries.QueryError as error:
        return render(request, "analytics/no_report.html", {"message": str(error)}, status=404)
    return HttpResponse(
        report.board_report(build, period.key, store),
        content_type="application/pdf",
        headers={
            "Content-Disposition": f'attachment; filename="{report.file_name(period.key, store)}"',
            "Cache-Control": "private, no-store",
        },
    )


def _report(state: frame.State, user) -> tuple[str, str] | None:
    """(words, address) of the board report of what an Executive Pulse shows; None where there is none, or not for this
    reader."""
    if state.dashboard != EXECUTIVE or not state.period.closed or not access.can_see(user, "report"):
        return None
    store = {"store": state.store.slug} if state.store else {}
    of = f" of {state.store.name}" if store else ""
    words = f"Board report{of}{', unfiltered' if state.filtered else ''} (PDF)"  # of other filters it takes none
    return words, f"{reverse('report')}?{urlencode({'period': state.period.key} | store)}"


def _subtitle(state: frame.State) -> str:
    """February 2026, compared with Jan 2026 and Feb 2025."""
    if state.tab.undated:
        return frame.when(state)
    if not state.period.closed:
        return f"{state.period.name}, so far: not compared with whole {state.grain.word}s"
    bases = (state.figures.before(state.period), state.figures.year_before(state.period))
    names = " and ".join(p.short for p in bases if p)
    return f"{state.period.name}, compared with {names}" if names else state.period.name
