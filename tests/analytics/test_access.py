"""Every address x every role x a stranger. An address that nobody classified here fails."""

import json
import re

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import get_resolver
from django.urls.resolvers import URLPattern

from analytics import access
from analytics.dashboards import DASHBOARDS
from tests.conftest import CAST

pytestmark = pytest.mark.django_db

EVERYBODY = {"root", *CAST}
EXECUTIVE = {"root", "layla", "omar", "sara", "farid"}
# Each pattern of an address -> who may open it ("anybody" needs no sign-in). The admin judges its own by permissions,
# which tests/operations covers; here only: no stranger, and nobody who isn't staff.
ANYBODY = {"login/", "admin/login/", "api/v1/health"}
SIGNED_IN = {"", "logout/"}  # the way to everybody's own first page, and out
PAGES = {"executive/": EXECUTIVE} | dict.fromkeys(("api/v1/", "api/v1/docs", "api/v1/openapi.json"), EXECUTIVE)
# For programs: no redirect, but 401 and 403.
API = dict.fromkeys(
    ("api/v1/metrics", "api/v1/metrics/query", "api/v1/insights", "api/v1/customers/<customer_id>"), EXECUTIVE
)
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
    "<slug:ident>": "executive",
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
    """A pattern with something in its places."""
    for place, sample in SAMPLES.items():
        route = route.replace(place, sample)
    return "/" + re.sub(r"[\^$]|\(\?P<[^>]+>[^)]*\)|<[^>]+>", lambda m: "x" if "<" in m[0] else "", route)


def kind(route: str) -> str:
    """What the table above says of an address: an unclassified one says "?"."""
    if route.startswith("admin/") and route not in ANYBODY:
        return "admin"
    if SHUT.match(route):
        return "shut"
    if DASH.match(route):
        return "dash"
    table = {"anybody": ANYBODY, "signed in": SIGNED_IN, "page": PAGES, "api": API}
    return next((name for name, routes in table.items() if route in routes), "?")


def test_it_knows_every_address():
    assert [route for route in ALL if kind(route) == "?"] == []
    assert {"admin", "shut", "dash", "anybody", "signed in", "page", "api"} == {kind(route) for route in ALL}
    assert set(ANYBODY | SIGNED_IN | set(PAGES) | set(API)) <= set(ALL), "a line of the table has no address any more"


def ask(client, route):
    """GET, or what the one POST of a dashboard says."""
    if route.endswith("_dash-update-component"):
        return client.post(address(route), CALL, content_type="application/json")
    return client.get(address(route) + ("?names=revenue" if route == "api/v1/metrics/query" else ""))


CALL = json.dumps({
    "output": "..painted.data...failure.children..",
    "outputs": [{"id": "painted", "property": "data"}, {"id": "failure", "property": "children"}],
    "inputs": [{"id": "url", "property": "search", "value": "?tab=trends"}],
    "changedPropIds": ["url.search"],
})  # fmt: skip


def test_a_stranger_gets_nothing(client, golden_data):
    wrong = {}
    for route in ALL:
        response = ask(client, route)
        if kind(route) == "anybody":
            right = response.status_code == 200
        elif kind(route) in ("dash", "shut") and route != "dash/add_stateless_apps":
            right = (response.status_code, response.content) == (401, b"Sign in first.")
        elif kind(route) == "api":
            right = (response.status_code, list(response.json())) == (401, ["detail"])
        else:
            right = response.status_code == 302 and re.match(r"/(admin/)?login/", response["Location"])
        if not right or b"Dhs" in response.content:
            wrong[route] = response.status_code
    assert wrong == {}


@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_a_person_gets_what_the_roles_table_says(name, as_, golden_data):
    client, wrong = as_(name), {}
    for route in ALL:
        if kind(route) not in ("page", "dash", "shut", "signed in", "api"):
            continue
        response = ask(client, route)
        if kind(route) == "shut":
            wanted = 404
        elif kind(route) == "signed in":
            wanted = 405 if route == "logout/" else 200 if name == "noor" else 302
        elif name not in (PAGES | API).get(route, EXECUTIVE):
            wanted = 403
        else:
            wanted = 302 if "component-suites" in route else 200
        if response.status_code != wanted or (wanted != 200 and b"Dhs" in response.content):
            wrong[route] = (response.status_code, wanted)
    assert wrong == {}


@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_the_admin_is_for_the_desk_and_finance(name, as_):
    status = as_(name).get("/admin/").status_code
    assert status == (200 if name in ("root", "dana", "farid") else 302)


@pytest.mark.parametrize(
    ("name", "landing"),
    [
        ("root", "/executive/"),
        ("layla", "/executive/"),
        ("omar", "/executive/"),
        ("sara", "/executive/"),
        ("farid", "/executive/"),
        ("dana", "/admin/operations/order/"),
    ],
)
def test_home_leads_to_a_persons_first_page(name, landing, as_):
    assert as_(name).get("/")["Location"] == landing


def test_a_person_without_a_role_is_told_so(as_):
    response = as_("noor").get("/")
    assert response.status_code == 200
    assert b"no role yet" in response.content


@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_the_menu_shows_only_what_opens(name, as_, people, golden_data):
    client = as_(name)
    home = client.get("/", follow=True).content.decode()
    menu = re.search(r'<nav class="pages".*?</nav>', home, re.S)
    links = re.findall(r'href="([^"]+)"', menu[0]) if menu else []
    assert all(client.get(link).status_code == 200 for link in links)
    assert ("/executive/" in links) == (name in EXECUTIVE)


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
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["layla"])
    assert ask(strict, "dash/app/<slug:ident>/_dash-update-component").status_code == 200


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
