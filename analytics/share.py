"""Share links: one tab of a page, read-only and without signing in, for whoever holds the link.

A link's address carries its number and a signature under a salt of its own; everything else is its row, so that it can
be revoked and runs out. It never shows more than its maker may see: it stops when the maker can't open the page any
more or is kept to a store since, and it is kept to the store that its maker was kept to.

make(), revoke()    what a person does with links
find(), stopped()   a link by its address, and why it shows nothing any more
sharing(), shared() the pages: a person's own links, and what a link shows
"""

import logging
from datetime import date, timedelta
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.db.models import F
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from analytics import access, queries, targets
from analytics import charts as plot
from analytics.dashboards import DASHBOARDS, blocks, cards, frame, insights
from analytics.models import ShareLink
from analytics.pages import for_page, state_of
from etl.errors import MoonwalkError

log = logging.getLogger(__name__)
DAYS = (7, 30, 90)
_signer = signing.Signer(salt="moonwalk.share", sep=".")


# --- Links ---------------------------------------------------------------------------------------------------------


def address(link: ShareLink) -> str:
    """The path under which a link shows its tab."""
    return reverse("shared", args=[_signer.sign(str(link.pk))])


def find(signed: str) -> ShareLink | None:
    """The link of an address' last part, its maker with it; None: not signed here, or the link was deleted."""
    try:
        number = int(_signer.unsign(signed))
    except (signing.BadSignature, ValueError):
        return None
    return with_makers(ShareLink.objects.filter(pk=number)).first()


def with_makers(links):
    """A queryset of links with what stopped() asks of their makers, in two questions for all of them."""
    return links.select_related("created_by__store_access").prefetch_related("created_by__groups")


def stopped(link: ShareLink) -> str:
    """Why a link shows nothing any more, in a few words; "" while it shows its tab."""
    if link.revoked_at:
        return "revoked"
    if link.expired:
        return "expired"
    maker = link.created_by
    if link.page not in DASHBOARDS:
        return "its page is gone"
    if not access.can_see(maker, link.page):
        return f"{maker.get_username()} can't open its page any more"
    kept = access.store_of(maker)
    if kept and kept != link.store:
        return f"{maker.get_username()} sees {kept} alone since"
    return ""


def make(user, state: frame.State, title: str, days: int, newest: bool = False) -> ShareLink:
    """A link to what `state` shows, valid for some days; `newest`: it always shows the last closed period.

    Raises PermissionDenied when the maker may not see the page, or is kept to another store than the state was read
    for.
    """
    if not access.can_see(user, state.dashboard.page) or access.store_of(user) != state.build.only:
        raise PermissionDenied
    now = timezone.now()
    link = ShareLink(
        page=state.dashboard.page,
        query=state.url(**state.without_idle, **({"period": None} if newest else {})).partition("?")[2],
        title=title, store=state.build.only or "", created_by=user, created_at=now,
        expires_at=now + timedelta(days=days),
    )  # fmt: skip
    link.full_clean()
    link.save(force_insert=True)
    return link


def revoke(link: ShareLink, user) -> None:
    """It shows nothing from now on; revoked already: as it is."""
    ShareLink.objects.filter(pk=link.pk, revoked_at__isnull=True).update(revoked_at=timezone.now(), revoked_by=user)
    link.refresh_from_db()


def read(link: ShareLink) -> frame.State | None:
    """What a link shows now; None when its tab, store or filter is not there any more.

    The usual state in place of one that isn't there would show more than was shared. Raises MoonwalkError when the
    data can't be read.
    """
    build = queries.current(only=link.store or None)
    try:
        state = frame.read_state(DASHBOARDS[link.page], QueryDict(link.query), build)
    except queries.QueryError:
        return None
    return None if state.messages or state.idle else state


def _opened(link: ShareLink) -> None:
    """Counts one opening. A database that is busy for long must not keep the figures back."""
    try:
        ShareLink.objects.filter(pk=link.pk).update(uses=F("uses") + 1, last_used_at=timezone.now())
    except DatabaseError:
        log.warning("opening of share link %s not counted: the database is busy", link.pk)


# --- A person's own links ------------------------------------------------------------------------------------------


class ShareForm(forms.Form):
    title = forms.CharField(max_length=ShareLink._meta.get_field("title").max_length, label="Title")
    days = forms.TypedChoiceField(choices=[(n, f"{n} days") for n in DAYS], coerce=int, initial=30, label="Valid for")
    newest = forms.TypedChoiceField(
        choices=[("", "This period"), ("yes", "Always the last full one")], coerce=bool, required=False,
        label="Period",
    )  # fmt: skip


def share_url(state: frame.State) -> str:
    """Where the tab that is on screen is shared."""
    return f"{reverse('sharing')}?{urlencode({'page': state.dashboard.page})}&{state.url().partition('?')[2]}"


@require_http_methods(["GET", "HEAD", "POST"])
def sharing(request: HttpRequest) -> HttpResponse:
    """A person's own share links; with a tab in the address (?page=executive&tab=trends...), the form that makes one
    of it."""
    page = request.GET.get("page")
    return _of_tab(request, page) if page else _sharing(request, None)


@for_page
def _of_tab(request: HttpRequest, page: str) -> HttpResponse:
    return _sharing(request, state_of(request, page))


def _sharing(request: HttpRequest, state: frame.State | None) -> HttpResponse:
    form = None
    if state:
        title = f"{state.dashboard.title}: {state.tab.label}"
        form = ShareForm(request.POST or None, initial={"title": title})
        if request.method == "POST" and form.is_valid():
            link = make(request.user, state, **form.cleaned_data)
            return redirect(f"{reverse('sharing')}?{urlencode({'made': link.pk})}")
    links = [
        {"link": link, "url": request.build_absolute_uri(address(link)), "stopped": stopped(link),
         "page": DASHBOARDS[link.page].title if link.page in DASHBOARDS else link.page,
         "made": str(link.pk) == request.GET.get("made")}
        for link in with_makers(request.user.share_links.all())
    ]  # fmt: skip
    context = {"state": state, "form": form, "links": links, "framed_by": settings.SHARE_ORIGINS}
    return render(request, "analytics/sharing.html", context)


@require_POST
def revoke_own(request: HttpRequest, pk: int) -> HttpResponse:
    """Revokes one of the person's own links."""
    revoke(get_object_or_404(ShareLink, pk=pk, created_by=request.user), request.user)
    return redirect("sharing")


# --- What a link shows ---------------------------------------------------------------------------------------------


def _headers(response: HttpResponse) -> HttpResponse:
    """What every answer under a share link carries: who may frame it; nobody is to keep, index or pass it on."""
    origins = settings.SHARE_ORIGINS
    directives = settings.SECURE_CSP | {
        "script-src": ["'self'"],
        "connect-src": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": origins or ["'none'"],
    }
    response._csp_config = directives  # as Django 6's csp_override does; moonwalk/csp.py writes the header
    response.xframe_options_exempt = bool(origins)  # the header can't name origins; frame-ancestors does
    response["Referrer-Policy"] = "no-referrer"  # the address is the key
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response["Cache-Control"] = "private, no-store"
    return response


def _gone(status: int) -> HttpResponse:
    """The one page for links that show nothing: it doesn't say whether there ever was one."""
    return _headers(HttpResponse(render_to_string("analytics/share_gone.html"), status=status))


@login_not_required
@require_safe
def shared(request: HttpRequest, signed: str) -> HttpResponse:
    """The tab of a share link. 404: no such link; 410: it expired, was revoked, or may not show its tab any more.

    Templates get no request: nothing of a session, a user or a CSRF token can be in the page.
    """
    link = find(signed)
    if link is None:
        return _gone(404)
    if stopped(link):
        return _gone(410)
    try:
        state = read(link)
        page = render_to_string("analytics/share.html", shown(link, state)) if state else ""
    except queries.QueryError as error:
        log.warning("share link %s: %s", link.pk, error)
        return _gone(410)
    except MoonwalkError as error:
        log.error("share link %s: %s", link.pk, error)
        return _headers(HttpResponse(render_to_string("analytics/share_gone.html", {"later": True}), status=503))
    if state is None:
        return _gone(410)
    if request.method == "GET":
        _opened(link)
    return _headers(HttpResponse(page))


def shown(link: ShareLink, state: frame.State) -> dict:
    """What the template of a share link gets. `figures`: chart id -> Plotly figure, for json_script; `unlinked`: no
    address of a card, a table's row or an insight becomes a link, so nothing in the page leads into the app. Customers'
    phone numbers and e-mails stay behind: who holds the link isn't known."""
    contacts = access.contacts_of()
    charts = [chart | {"table": chart["table"].reaching(contacts)} for chart in blocks.charts(state)]
    return {
        "link": link,
        "state": state,
        "unlinked": True,
        "subtitle": frame.tell(state),
        "says": blocks.says(state),
        "cards": cards.cards(state, targets.of_page(state)),
        "charts": charts,
        "tables": [table.reaching(contacts) for table in blocks.tables(state)],
        "figures": {"config": plot.CONFIG, "charts": {chart["id"]: chart["figure"] for chart in charts}},
        "insights": _insights(state, link.created_by) if state.tab.insights else None,
        "data_to": date.fromisoformat(state.build.manifest["data_to"]),
    }


def _insights(state: frame.State, maker) -> dict:
    """The period's insights as their maker reads them, without addresses."""
    found = insights.read(state, maker)
    bare = {row["headline"]: row | {"url": None} for row in found["rows"]}
    return found | {
        "top": [bare[row["headline"]] for row in found["top"]],
        "groups": [(category, [bare[row["headline"]] for row in rows]) for category, rows in found["groups"]],
        "elsewhere": None,
        "url": "",
    }
