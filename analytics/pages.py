"""What every page of figures begins with: may they see it, is there data, and which state does its address name?

needs_data   for views of figures: what to answer when there is no data, or a question may not or can't be answered
for_page     the same for views of one dashboard
state_of     the dashboard at the place that an address names, as its reader may see it
"""

import logging
from collections.abc import Mapping
from functools import wraps

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.shortcuts import render

from analytics import access, queries
from analytics.dashboards import DASHBOARDS, frame
from etl.errors import MoonwalkError

log = logging.getLogger(__name__)


def needs_data(view):
    """Before anything was loaded: a page that says how. When the data can't be opened: why, with 503.

    What a reader kept to a store may not ask is 403, with its words; a question that has no answer is 404.
    """

    @wraps(view)
    def prepared(request, *args, **kwargs):
        try:
            if not queries.warehouse().current():
                return render(request, "analytics/empty.html", {"folder": settings.EXPORTS_DIR})
            return view(request, *args, **kwargs)
        except queries.Refused as error:
            raise PermissionDenied(str(error)) from None
        except queries.QueryError as error:
            log.warning("%s: %s", request.path, error)
            raise Http404(str(error)) from None
        except MoonwalkError as error:
            log.error("%s: %s", request.path, error)
            return render(request, "analytics/unavailable.html", {"message": str(error)}, status=503)

    return prepared


def for_page(view):
    """For views of one dashboard, named by their argument `page`: 404, or 403 for who may not see it, then the data."""

    @wraps(view)
    def guarded(request, page, *args, **kwargs):
        check(request, page)
        return needs_data(view)(request, page, *args, **kwargs)

    return guarded


def check(request: HttpRequest, page: str) -> None:
    """Raises Http404 for no dashboard, PermissionDenied for one that whoever asks may not see."""
    if page not in DASHBOARDS:
        raise Http404
    if not access.can_see(request.user, page):
        raise PermissionDenied


def build_of(request: HttpRequest) -> queries.Snapshot:
    """The current build as whoever asks may see it. Raises WarehouseError."""
    return queries.current(access.store_of(request.user))


def state_of(request: HttpRequest, page: str, params: Mapping[str, str] | None = None) -> frame.State:
    """The dashboard at the place that the URL names (or `params`), for whoever asks. Raises Refused, WarehouseError."""
    return frame.read_state(DASHBOARDS[page], request.GET if params is None else params, build_of(request))
