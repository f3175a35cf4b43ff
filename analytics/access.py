"""Who may see what. Pages, dashboard endpoints, exports, share links, the API and the navigation ask here alone.

Roles are Django groups. ROLES says which pages a role opens; a person with several roles sees what any of them opens,
a superuser sees all. A page in PAGES without an address isn't built yet: it is never linked, but a role may name it.

Which rows: store_of() names the store that a person is kept to. Whoever reads figures for a person asks for them with
queries.current(only=store_of(user)), and every answer is of that store alone.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.urls import NoReverseMatch, reverse
from django_plotly_dash.dash_wrapper import all_apps

from analytics import tables

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """A page that a role opens.

    address: the name of its URL; menu: the navigation leads there; about: what for; whole: it is of the whole business,
    so not for a person kept to one store.
    """

    name: str
    label: str
    address: str
    menu: bool = True
    about: str = ""
    whole: bool = False

    def url(self) -> str | None:
        """Where it is, or None while the page isn't built."""
        try:
            return reverse(self.address)
        except NoReverseMatch:
            return None


PAGES = {
    page.name: page
    for page in (
        Page("executive", "Executive Pulse", "executive", about="Customers, items, revenue, stops at a glance."),
        Page("customers", "Customer Analytics", "customers", about="Who comes, who stays, who is worth a call."),
        Page("operations", "Operations Center", "operations", about="Stops, areas, and what is cleaned."),
        Page("finance", "Financial Performance", "finance", about="What was earned, what came in, who owes."),
        Page("receivables", "Who owes", "receivables", about="Whom to call next about what they owe."),
        Page("desk", "Customers and orders", "admin:operations_order_changelist", about="Look somebody up."),
        Page("upload", "Upload exports", "upload", about="Newer files from CleanCloud, looked at first.", whole=True),
        Page("report", "Board report", "report", menu=False, about="One month or week on paper.", whole=True),
        Page("customer", "Customer", "customer", menu=False),  # one customer: reached by following a figure
        Page("settings", "Administration", "admin:index", menu=False),  # what is aimed at
        Page("api", "API", "api", menu=False),
        Page("definitions", "Definitions", "definitions", menu=False),
        Page("guides", "Guides", "guides", menu=False),
    )
}
# Words and no figures: for everybody who is signed in, with or without a role.
FOR_ALL = ("definitions", "guides")
# What each role may open. "desk" is the customer and order lists, which live in the admin; "settings" its own lists.
ROLES = {
    "Management": ("executive", "customers", "operations", "finance", "receivables", "upload", "report", "settings",
                   "customer", "api"),
    "Sales": ("executive", "customers", "customer", "api"),
    "Operations": ("executive", "operations", "customer", "api"),
    "Finance": ("executive", "finance", "receivables", "desk", "upload", "customer", "api"),
    "Desk": ("receivables", "desk", "customer"),
}  # fmt: skip
# Who works with customers sees how to reach them. The dispatcher rings at a door and writes no e-mails.
CONTACTS = {
    "Management": ("phone", "email"),
    "Sales": ("phone", "email"),
    "Operations": ("phone",),
    "Finance": ("phone", "email"),
    "Desk": ("phone", "email"),
}
# The endpoints of django-plotly-dash that an inline dashboard calls. Its stand-alone pages, its stateful apps and its
# per-request arguments stay shut: nothing here uses them.
SCRIPTS = ("app-component-suites", "app-component-component-suites")
ENDPOINTS = ("app-layout", "app-dependencies", "app-update-component", *SCRIPTS)


def roles(user) -> set[str]:
    """The names of a person's groups, asked of the database once a request."""
    if not hasattr(user, "_role_names"):
        user._role_names = {group.name for group in user.groups.all()}  # a prefetch of lists counts
    return user._role_names


def can_see(user, page: str) -> bool:
    """May this person open this page? KeyError for a page that isn't in PAGES: a typo must not read as "no"."""
    PAGES[page]
    if not user.is_authenticated or not user.is_active:
        return False
    if page in FOR_ALL:
        return True
    if not user.is_superuser and not any(page in ROLES.get(role, ()) for role in roles(user)):
        return False
    return not PAGES[page].whole or store_of(user) is None


def store_of(user) -> str | None:
    """The name of the one store whose figures and rows this person may see; None: every store.

    Asked of the database once a request. A superuser can be kept to a store too. Raises PermissionDenied for a
    stranger, for whom None would mean everything.
    """
    if not user.is_authenticated:
        raise PermissionDenied
    kept = getattr(user, "store_access", None)  # Django keeps the answer with the user, "no row" too
    return kept.store if kept else None


def may_whole(user, right: str) -> bool:
    """Has this person a right ("analytics.add_target") on what is of the whole business? Nobody kept to one store."""
    return user.has_perm(right) and store_of(user) is None


def require_whole(user, right: str) -> None:
    """For services that write what is of the whole business. Raises PermissionDenied unless may_whole()."""
    if not may_whole(user, right):
        raise PermissionDenied("Your account doesn't allow this.")


def contacts_of(user=None) -> set[str]:
    """Which of a customer's phone and email this person may see: on pages, in lists and what is sought in them, in
    files and in the API. Nobody in particular, who holds a share link, sees neither.

    What is kept for all readers of a build has them: they are taken out for one of them after that (Table.reaching).
    """
    if user is None:
        return set()
    if user.is_superuser:
        return set(tables.CONTACTS)
    return {way for role in roles(user) for way in CONTACTS.get(role, ())}


def pages_of(user) -> list[Page]:
    """The built pages a person may open from the navigation, in its order."""
    return [page for page in PAGES.values() if page.menu and can_see(user, page.name) and page.url()]


def landing(user) -> str | None:
    """The address of the first page a person may open; None for a person without a role."""
    return next((page.url() for page in pages_of(user)), None)


def page_required(page: str) -> Callable:
    """A view for those who may see `page`: a stranger goes to the sign-in page, anybody else gets 403."""
    PAGES[page]

    def decorate(view):
        @wraps(view)
        def guarded(request, *args, **kwargs):
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not can_see(request.user, page):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        guarded.page = page
        return guarded

    return decorate


def dash_view(view, route_name: str = "", **_) -> Callable:
    """django-plotly-dash's `view_decorator`: 401 for a stranger, 404 for what no dashboard uses, 403 for the rest.

    A dashboard's app has the name of its page. functools.wraps keeps the view's csrf_exempt: the dashboards' script
    sends no token, and the one POST among them writes nothing.
    """

    @wraps(view)
    def guarded(request, *args, ident="", **kwargs):
        if not request.user.is_authenticated:
            return HttpResponse("Sign in first.", status=401, content_type="text/plain")
        if route_name not in ENDPOINTS or ident not in all_apps() or ident not in PAGES:
            raise Http404
        if not can_see(request.user, ident):
            return HttpResponse("Your account doesn't open this page.", status=403, content_type="text/plain")
        changed = request.session.modified
        try:
            response = view(request, *args, ident=ident, **kwargs)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            if route_name != "app-update-component":
                raise
            # The callbacks answer for themselves (dash_app.py): what fails here is a question that no page asks.
            log.warning("a question to the dashboard %s that isn't one", ident)
            return HttpResponse("No dashboard asks that.", status=400, content_type="text/plain")
        # It puts an empty state into the session at each callback, which would be a write to the database each time.
        request.session.modified = changed
        return _script(response) if route_name in SCRIPTS else response

    guarded.login_required = False  # not public: a script wants 401, the middleware would send it to a sign-in page
    return guarded


def _script(response: HttpResponse) -> HttpResponse:
    """A redirect to one of dash's scripts: to the hashed file, and kept by the browser, as its name has the version."""
    prefix = settings.STATIC_URL
    if response.status_code == 302 and response["Location"].startswith(prefix):
        try:
            response["Location"] = staticfiles_storage.url(response["Location"].removeprefix(prefix))
        except ValueError:
            raise Http404 from None  # no such file among the collected ones
        response["Cache-Control"] = "private, max-age=31536000, immutable"
    return response
