"""What every page's frame needs: navigation, the state of the data, a dashboard's app."""

import logging
from dataclasses import dataclass
from datetime import date, datetime
from html import escape
from zoneinfo import ZoneInfo

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.safestring import mark_safe

from analytics import access, queries
from analytics.dashboards import DASHBOARDS, frame
from etl.errors import MoonwalkError

register = template.Library()
log = logging.getLogger(__name__)
STALE_AFTER_DAYS = 2


@dataclass(frozen=True)
class Freshness:
    """What data a page stands on, from the published build's manifest.

    data_to: the newest day an order was placed or earned; refreshed: when it was built, local; age: whole days since
    the exports were made; rejected: rows in quarantine.
    """

    build_id: str
    data_to: date
    refreshed: datetime
    age: int
    rejected: int

    @property
    def stale(self) -> bool:
        return self.age > STALE_AFTER_DAYS


@register.simple_tag
def freshness() -> Freshness | None:
    """The state of the data; None when nothing is published or it can't be read: a footer must never break a page."""
    try:
        warehouse = queries.warehouse()
        build_id = warehouse.current()
        manifest = warehouse.manifest(build_id) if build_id else {}
        if not manifest:
            return None
        zone = ZoneInfo(frame.business().timezone)
        as_of, data_to = (date.fromisoformat(manifest[name]) for name in ("as_of", "data_to"))
        refreshed = datetime.fromisoformat(manifest["created"])
        refreshed = (refreshed if refreshed.tzinfo else refreshed.replace(tzinfo=zone)).astimezone(zone)
        rejected = sum(sum(kind["quarantined"].values()) for kind in manifest["files"].values())
        return Freshness(build_id, data_to, refreshed, (timezone.now().astimezone(zone).date() - as_of).days, rejected)
    except (MoonwalkError, OSError, KeyError, ValueError):
        log.exception("the published build's manifest can't be read")
        return None


@register.simple_tag(takes_context=True)
def pages(context) -> list[access.Page]:
    """The pages the reader may open; none for a stranger, or on an error page made without a request."""
    request = context.get("request")
    user = getattr(request, "user", None)
    return access.pages_of(user) if user is not None else []


@register.simple_tag(takes_context=True)
def address(context, page: access.Page) -> str:
    """Where a page of the navigation is: another dashboard than the reader's keeps their period, store and filters."""
    state = context.get("state")
    goes_along = isinstance(state, frame.State) and page.name in DASHBOARDS and page.name != state.dashboard.page
    return state.on(page.name) if goes_along else page.url()


@register.simple_tag
def roles_of(user) -> str:
    """The reader's roles in words."""
    return "Superuser" if user.is_superuser else ", ".join(sorted(access.roles(user))) or "No role yet"


@register.filter
def cells(table) -> list[dict]:
    """A Table's rows in words, for analytics/cells.html: `first`, the words of the first cell, and `rest`, the HTML of
    the others. Cell by cell in a template, tables were a third of a page's time."""
    kinds = [column.css for column in table.columns]

    def rest(row: dict):
        said = [f'<td class="{css}">{escape(text)}</td>' for css, (_, text) in zip(kinds, row["cells"], strict=True)]
        return mark_safe("".join(said[1:]))

    return [row | {"first": row["cells"][0][1], "rest": rest(row)} for row in table.cells(frame.currency())]


class Keep(template.Node):
    def __init__(self, name: str, by: list[str], inner: template.NodeList):
        self.name, self.by, self.inner = name, by, inner

    def render(self, context) -> str:
        if settings.DEBUG:  # whoever changes a template wants to see it
            return self.inner.render(context)
        state = context["state"]
        by = tuple(context[name] for name in self.by)
        return state.build.kept(("html", self.name, *by, *state.key), lambda _: self.inner.render(context))


@register.tag
def keep(parser, token) -> Keep:
    """{% keep cards %}...{% endkeep %}: this part of a dashboard's page is rendered once for its `state` and build.

    Only for what these two decide: nothing of a reader's role or form token, and no message, may stand in it, but for
    what a variable says that is named too: {% keep tables contacts %}.
    """
    _, name, *by = token.split_contents()
    inner = parser.parse(("endkeep",))
    parser.delete_first_token()
    return Keep(name, by, inner)


@register.filter
def opens(user, page: str) -> bool:
    """May the reader open this page of access.PAGES?"""
    return access.can_see(user, page)


@register.filter
def iso_day(text: str) -> str:
    """"2026-03-05" -> "5 Mar 2026"; anything else as it is."""
    try:
        day = date.fromisoformat(text)
    except (TypeError, ValueError):
        return text
    return f"{day.day} {day:%b %Y}"
