"""Every address x every role x a stranger. An address that nobody classified here fails."""

import json
import re
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpResponse, HttpResponseRedirect
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.urls.resolvers import URLPattern
from django.utils import timezone

from analytics import access
from analytics.dashboards import DASHBOARDS
from tests.conftest import CAST

pytestmark = pytest.mark.django_db

EVERYBODY = {"root", *CAST}
# Who sees which page; hala is a manager kept to one store, noor has no role.
WHO = {
    "executive": {"root", "layla", "hala", "omar", "sara", "farid"},
    "customers": {"root", "layla", "hala", "omar"},
    "operations": {"root", "layla", "hala", "sara"},
    "finance": {"root", "layla", "hala", "farid"},
    "customer": {"root", "layla", "hala", "omar", "sara", "farid", "dana"},
    "api": {"root", "layla", "hala", "omar", "sara", "farid"},
    "lifetimes": {"root", "layla", "omar"},  # of the whole business: not for who is kept to a store
    "upload": {"root", "layla", "farid"},  # the same
    "report": {"root", "layla"},  # the same
    "receivables": {"root", "layla", "hala", "farid", "dana"},
    "desk work": {"root", "farid", "dana"},  # who may write there
}
FOLLOWED = {"executive": "revenue", "customers": "new_customers", "operations": "stops", "finance": "collections"}
CUSTOMER = "CC-0009"  # of Hielo, so that hala may see them too
# Each pattern of an address -> which page decides ("" everybody signed in; what needs no sign-in is in ANYBODY). The
# admin judges its own by permissions, which tests/operations covers; here only: no stranger, and nobody who isn't
# staff. Where one pattern serves several pages, each is asked.
ANYBODY = {"login/", "admin/login/", "api/v1/health", "healthz", "readyz"}
FORGED = {"share/<str:signed>/"}  # anybody with a signature: tests/analytics/test_share.py
SIGNED_IN = {
    "", "logout/", "password/", "definitions/", "guide/", "guide/<slug:page>/", "sharing/",
    "sharing/<int:pk>/revoke/",
}  # fmt: skip
POSTS = {"logout/", "sharing/<int:pk>/revoke/"}  # to GET them is an error
PAGES = {
    "executive/": {"/executive/": "executive"},
    "customers/": {"/customers/": "customers"},
    "operations/": {"/operations/": "operations"},
    "finance/": {"/finance/": "finance"},
    "report.pdf": {"/report.pdf": "report"},
    "<slug:page>/export.<str:form>": {
        f"/{page}/export.{form}": page for page in FOLLOWED for form in ("csv", "xlsx")
    },
    "<slug:page>/list/<slug:address>/": {
        "/finance/list/unpaid/": "finance",
        "/customers/list/lifetimes/": "lifetimes",
    },
    "<slug:page>/list/<slug:address>/export.<str:form>": {
        f"/{where}/export.{form}": page
        for where, page in (("finance/list/unpaid", "finance"), ("customers/list/lifetimes", "lifetimes"))
        for form in ("csv", "xlsx")
    },
    "follow/<slug:page>/<slug:metric>/": {f"/follow/{page}/{metric}/": page for page, metric in FOLLOWED.items()},
    "follow/<slug:page>/<slug:metric>/export.<str:form>": {
        f"/follow/{page}/{metric}/export.{form}": page
        for page, metric in FOLLOWED.items()
        for form in ("csv", "xlsx")
    },
    "customer/<str:customer_id>/": {f"/customer/{CUSTOMER}/": "customer"},
    "customer/<str:customer_id>/export.<str:form>": {
        f"/customer/{CUSTOMER}/export.{form}": "customer" for form in ("csv", "xlsx")
    },
    "operations/receivables/": {"/operations/receivables/": "receivables"},
    "operations/receivables/export.<str:form>": {
        f"/operations/receivables/export.{form}": "receivables" for form in ("csv", "xlsx")
    },
    "operations/receivables/paid-here/": {"/operations/receivables/paid-here/": "receivables"},
    "operations/receivables/paid-here/export.<str:form>": {
        f"/operations/receivables/paid-here/export.{form}": "receivables" for form in ("csv", "xlsx")
    },
    "operations/search/": {"/operations/search/?q=nobody": "customer"},
    "operations/upload/": {"/operations/upload/": "upload"},
    "api/v1/": {"/api/v1/": "api"},
    "api/v1/docs": {"/api/v1/docs": "api"},
    "api/v1/openapi.json": {"/api/v1/openapi.json": "api"},
}  # fmt: skip
API = {
    "api/v1/metrics": {"/api/v1/metrics": "api"},
    "api/v1/metrics/query": {"/api/v1/metrics/query?names=revenue&by=month": "api"},
    "api/v1/insights": {"/api/v1/insights": "executive"},
    "api/v1/customers/<customer_id>": {f"/api/v1/customers/{CUSTOMER}": "api"},
    "api/v1/<path:rest>": {"/api/v1/figures/": ""},  # nothing there: said in JSON, to whoever may ask at all
}
# One's own things: 404 for whoever may have such a thing but not this one, 405 where only a form leads.
NOT_MINE = "/operations/upload/AAAAAAAAAAAAAAAAAAAAAA/"
OWN = {
    f"operations/upload/<slug:upload_id>/{what}": {NOT_MINE + what.replace("<slug:kind>", "orders"): "upload"}
    for what in ("", "progress/", "check/", "publish/", "discard/", "rejected/<slug:kind>/")
} | {  # of customers that the database of this test doesn't have
    "operations/act/<slug:what>/": {f"/operations/act/pay/?customer={CUSTOMER}": "desk work"},
    "operations/statement.<str:form>": {f"/operations/statement.pdf?customer={CUSTOMER}": "receivables"},
}
OWN_POSTS = tuple(f"operations/upload/<slug:upload_id>/{what}/" for what in ("check", "publish", "discard"))
SHUT = re.compile(r"^dash/(add_stateless_apps$|instance/|app/<slug:ident>/(initial/|_dash-routes$|assets/|$))")
DASH = re.compile(r"^dash/app/<slug:ident>/_dash-(layout|dependencies|update-component|component-suites/.*)$")


def patterns(resolver=None, prefix="") -> dict:
    """Every address pattern of the project -> its view."""
    found = {}
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        found |= {route: entry.callback} if isinstance(entry, URLPattern) else patterns(entry, route)
    return found


ALL = sorted(patterns())
SAMPLES = {
    "<slug:page>": "executive",
    "<str:signed>": "1.forged",
    "<slug:cache_id>": "x",
    "<slug:component>": "dash",
    "<slug:cpe2>": "dcc",
    "<resource>": "async-graph.js",
    "<path:path>": "x.css",
    "<path:object_id>": "1",
    "<path:url>": "x",
    "<path:content_type_id>": "1",
    "<int:content_type_id>": "1",
    "<int:run_id>": "1",
    "<int:pk>": "1",
    "<id>": "1",
    "<uidb64>": "x",
    "<token>": "x",
    "<app_label>": "operations",
}


def address(route: str) -> str:
    """A pattern with something in its places, other than a dashboard's name."""
    for place, sample in SAMPLES.items():
        route = route.replace(place, sample)
    return "/" + re.sub(
        r"[\^$]|\(\?P<[^>]+>[^)]*\)|<[^>]+>",
        lambda m: m[0] if m[0] == "<slug:ident>" else "x" if "<" in m[0] else "", route,
    )  # fmt: skip


def kind(route: str) -> str:
    """What the tables above say of an address: an unclassified one says "?"."""
    if route.startswith("admin/") and route not in ANYBODY:
        return "admin"
    if SHUT.match(route):
        return "shut"
    if DASH.match(route):
        return "dash"
    table = {"anybody": ANYBODY, "forged": FORGED, "signed in": SIGNED_IN, "page": PAGES, "api": API, "own": OWN}
    return next((name for name, routes in table.items() if route in routes), "?")


def asked(route: str) -> dict[str, str]:
    """The addresses to ask for a pattern -> the page that decides ("": none does)."""
    if kind(route) in ("dash", "shut"):
        return {address(route).replace("<slug:ident>", page): page for page in FOLLOWED}
    return PAGES.get(route) or API.get(route) or OWN.get(route) or {address(route): ""}


def test_it_knows_every_address():
    assert [route for route in ALL if kind(route) == "?"] == []
    kinds = {"admin", "shut", "dash", "anybody", "forged", "signed in", "page", "api", "own"}
    assert kinds == {kind(route) for route in ALL}
    known = {*ANYBODY, *FORGED, *SIGNED_IN, *PAGES, *API, *OWN}
    assert known <= set(ALL), "a line of a table has no address any more"
    assert set(FOLLOWED) == set(DASHBOARDS), "a dashboard that nobody asks here"


def ask(client, address):
    """GET, or what the one POST of a dashboard says."""
    if address.endswith("_dash-update-component"):
        return client.post(address, CALL, content_type="application/json")
    return client.get(address)


CALL = json.dumps({
    "output": "..painted.data...failure.children..",
    "outputs": [{"id": "painted", "property": "data"}, {"id": "failure", "property": "children"}],
    "inputs": [{"id": "url", "property": "search", "value": "?period=2026-02"}],
    "changedPropIds": ["url.search"],
})  # fmt: skip


def figures_in(response) -> bool:
    """Does an answer carry money, a customer or a spreadsheet? Words, for a random token may hold any three letters."""
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return re.search(rb'\bDhs(?: |\\u00a0|\xc2\xa0|&nbsp;)|\bCC-\d{4}\b|"revenue"|PK\x03\x04', content) is not None


def test_a_stranger_gets_nothing(client, golden_data):
    wrong = {}
    for route in ALL:
        for where in asked(route):
            response = ask(client, where)
            if kind(route) == "anybody":
                right = response.status_code == 200
            elif kind(route) == "forged":
                right = response.status_code == 404
            elif kind(route) == "api":
                right = response.status_code == 401 and response.json().keys() == {"detail"}
            elif kind(route) in ("dash", "shut") and route != "dash/add_stateless_apps":
                right = (response.status_code, response.content) == (401, b"Sign in first.")
            else:
                right = response.status_code == 302 and re.match(r"/(admin/)?login/", response["Location"])
            if not right or figures_in(response):
                wrong[where] = response.status_code
    assert wrong == {}


def wanted(route: str, page: str, name: str) -> int:
    """The status that a person gets."""
    if kind(route) == "shut":
        return 404
    if kind(route) == "signed in":
        return 405 if route in POSTS else 200
    if route == "api/v1/<path:rest>":
        return 404
    if name not in WHO[page]:
        return 403
    if kind(route) == "own":
        return 405 if route in OWN_POSTS else 404
    return 302 if "component-suites" in route else 200


@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_a_person_gets_what_the_tables_say(name, as_, golden_data):
    client, wrong = as_(name), {}
    for route in ALL:
        if kind(route) not in ("page", "api", "dash", "shut", "signed in", "own"):
            continue
        for where, page in asked(route).items():
            response = ask(client, where)
            right = wanted(route, page, name)
            if response.status_code != right or (right not in (200, 302) and figures_in(response)):
                wrong[where] = (response.status_code, right)
    assert wrong == {}


@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_the_admin_is_for_the_desk_finance_and_management(name, as_):
    status = as_(name).get("/admin/").status_code
    assert status == (200 if name in ("root", "dana", "farid", "layla", "hala") else 403)


def test_a_person_without_a_role_is_told_so(as_):
    response = as_("noor").get("/")
    assert response.status_code == 200
    assert b"no role yet" in response.content


MENU = {"executive": "/executive/", "customers": "/customers/", "operations": "/operations/", "finance": "/finance/"}


@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_the_menu_and_the_first_page_show_what_opens(name, as_, people, golden_data):
    client = as_(name)
    home = client.get("/").content.decode()
    menu = re.search(r'<nav class="pages".*?</nav>', home, re.S)
    links = set(re.findall(r'href="([^"]+)"', menu[0]))
    assert all(client.get(link).status_code == 200 for link in links)
    assert links & set(MENU.values()) == {url for page, url in MENU.items() if name in WHO[page]}
    inside = set(re.findall(r'href="(/[^"]+)"', home)) - {"/static/icon.svg", "/static/moonwalk.css"}
    assert [link for link in inside if client.get(link).status_code >= 400] == []


def test_an_inactive_person_sees_nothing(people):
    people["layla"].is_active = False
    assert not access.can_see(people["layla"], "executive")


def test_a_page_nobody_knows_is_an_error_not_a_no(people):
    with pytest.raises(KeyError):
        access.can_see(people["root"], "exective")
    with pytest.raises(KeyError):
        access.page_required("exective")


def test_every_role_opens_pages_that_exist_in_the_table():
    assert {page for pages in access.ROLES.values() for page in pages} <= set(access.PAGES)
    assert set(DASHBOARDS) <= set(access.PAGES), "a dashboard without a page would answer 404 to all"


def test_an_unknown_dashboard_is_not_found_and_a_page_without_one_neither(as_):
    client = as_("root")
    for app in ("nothing", "receivables"):
        assert client.get(f"/dash/app/{app}/_dash-layout").status_code == 404


def test_dash_view_keeps_the_exemption_from_csrf_that_the_dashboards_script_needs(people, golden_data):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["layla"])
    assert ask(strict, "/dash/app/executive/_dash-update-component").status_code == 200


def test_a_copied_session_ends_with_the_sign_out(as_, golden_data):
    client, thief = as_("layla"), Client()
    thief.cookies.load({"sessionid": client.cookies["sessionid"].value})
    assert thief.get("/executive/").status_code == 200
    client.post("/logout/")
    assert thief.get("/executive/").status_code == 302


def test_a_chart_and_a_page_write_nothing_to_the_database(as_, golden_data):
    client = as_("layla")
    with CaptureQueriesContext(connection) as asked:
        assert client.get("/executive/").status_code == 200
        assert ask(client, "/dash/app/executive/_dash-update-component").status_code == 200
    assert [q["sql"] for q in asked if not q["sql"].startswith("SELECT")] == []


def test_signing_in_clears_away_sessions_that_ran_out(as_, people):
    from django.contrib.sessions.models import Session

    old = Session.objects.create(session_key="old", session_data="", expire_date=timezone.now() - timedelta(days=1))
    as_("layla")
    assert not Session.objects.filter(pk=old.pk).exists()
    assert Session.objects.count() == 1


def test_a_script_is_kept_by_the_browser_for_a_year(as_):
    response = as_("layla").get("/dash/app/executive/_dash-component-suites/dash/dcc/async-graph.js")
    assert response["Location"] == "/static/dash/component/dash/dcc/async-graph.js"
    assert response["Cache-Control"] == "private, max-age=31536000, immutable"


def test_a_script_leads_to_its_hashed_file(monkeypatch):
    names = {"dash/component/a.js": "/static/dash/component/a.0123.js"}
    monkeypatch.setattr(access.staticfiles_storage, "url", lambda name: names[name])
    response = access._script(HttpResponseRedirect("/static/dash/component/a.js"))
    assert response["Location"] == "/static/dash/component/a.0123.js"


def test_page_required_refuses_by_role(rf, people):
    view = access.page_required("finance")(lambda request: HttpResponse("figures"))
    request = rf.get("/finance/")
    request.user = people["omar"]
    with pytest.raises(PermissionDenied):
        view(request)
    request.user = people["farid"]
    assert view(request).content == b"figures"
