"""/api/v1/: the pages' figures for programs, within the rights of the person who asks."""

import csv
import io
import json
from pathlib import Path

import pytest
import schemathesis
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as how
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from analytics import access, api, queries
from analytics.customers import SEGMENTS
from analytics.dashboards import DASHBOARDS
from analytics.metrics import METRICS
from analytics.models import StoreAccess, api_token_make, api_token_revoke
from tests.conftest import GOLDEN

pytestmark = pytest.mark.django_db
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
QUERY = "/api/v1/metrics/query?"


@pytest.fixture
def ask(people, client, golden_data):
    """ask("omar", "insights?grain=week"): a GET with a token of Omar's; None: without any."""
    from django.core.cache import cache

    cache.clear()
    tokens = {}

    def get(name, path):
        if name and name not in tokens:
            tokens[name] = api_token_make(people[name], "tests")[1]
        headers = {"Authorization": f"Bearer {tokens[name]}"} if name else {}
        return client.get(f"/api/v1/{path}", headers=headers)

    return get


@pytest.fixture
def kept(people):
    """Omar, kept to Hielo."""
    StoreAccess.objects.create(user=people["omar"], store="Hielo")


def rows(response) -> dict:
    """{(period, split value): {metric: value}}."""
    assert response.status_code == 200, response.content
    return {(r["period"], r["split"]): r["values"] for r in response.json()["rows"]}


# Who ---------------------------------------------------------------------------------------------------------------

ALL_PATHS = ["metrics", "metrics/query?names=revenue", "insights", "customers/CC-0003"]


@pytest.mark.parametrize("path", ALL_PATHS)
def test_a_stranger_gets_401_and_no_redirect(ask, path):
    response = ask(None, path)
    assert response.status_code == 401
    assert response.json() == {"detail": "Sign in, or send a token: Authorization: Bearer …"}
    assert response["WWW-Authenticate"] == "Bearer"


def test_health_says_ok_to_anybody_and_nothing_else(client, data_dir):
    response = client.get("/api/v1/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ALL_PATHS)
def test_a_session_and_a_token_give_the_same(as_, ask, path):
    by_token = ask("layla", path)
    by_session = as_("layla").get(f"/api/v1/{path}")
    assert by_token.status_code == by_session.status_code == 200
    assert by_token.json() == by_session.json()
    assert by_token["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("header", ["Bearer mw_wrong", "Bearer ", "Bearer x y", "bearer mw_", "Bearer \x00"])
def test_a_wrong_token_is_refused_even_with_a_session(as_, golden_data, header):
    response = as_("layla").get("/api/v1/metrics", headers={"Authorization": header})
    assert response.status_code == 401


def test_a_revoked_token_and_an_inactive_person_get_401(client, people, golden_data):
    token, text = api_token_make(people["layla"], "tests")
    headers = {"Authorization": f"Bearer {text}"}
    assert client.get("/api/v1/metrics", headers=headers).status_code == 200
    people["layla"].is_active = False
    people["layla"].save()
    assert client.get("/api/v1/metrics", headers=headers).status_code == 401
    people["layla"].is_active = True
    people["layla"].save()
    api_token_revoke(token)
    assert client.get("/api/v1/metrics", headers=headers).status_code == 401


def test_it_only_reads(as_, golden_data):
    for path in ("metrics", "metrics/query", "insights", "customers/CC-0003", "health"):
        for method in ("post", "put", "patch", "delete"):
            assert getattr(as_("root"), method)(f"/api/v1/{path}").status_code == 405


# What --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["root", "layla", "omar", "sara", "farid"])
def test_the_catalogue_has_what_the_persons_pages_show(ask, people, name):
    shown = {m for page, d in DASHBOARDS.items() if access.can_see(people[name], page) for m in d.metrics}
    answer = ask(name, "metrics").json()
    assert {m["name"] for m in answer["metrics"]} == shown > {"revenue"}
    for name in shown:
        assert ask("root", f"metrics/query?names={name}&since=2026-02").status_code == 200, name


@pytest.mark.parametrize("name", ["dana", "noor"])
def test_without_the_page_there_is_no_api(ask, name):
    for path in ALL_PATHS:
        response = ask(name, path)
        assert (response.status_code, response.json()) == (403, {"detail": "Your role doesn't include the API."})


def test_a_metric_of_anothers_page_is_refused(ask, monkeypatch, people):
    """Sara runs the shop: what only Finance's page shows is not hers, by any name."""
    theirs = set(METRICS) - set(api.metrics_of(people["sara"]))
    assert {"collections", "cash_collections"} <= theirs
    for name in theirs:
        response = ask("sara", f"metrics/query?names=revenue,{name}")
        assert (response.status_code, response.json()["detail"]) == (403, f"No page of yours shows {name}.")


def test_the_catalogue_says_how_a_metric_can_be_asked(ask):
    answer = ask("layla", "metrics").json()
    one = next(m for m in answer["metrics"] if m["name"] == "revenue")
    assert one == {
        "name": "revenue", "label": "Revenue", "unit": "money", "description": METRICS["revenue"].description,
        "grains": ["day", "week", "month", "quarter"], "splits": ["store", "area", "source", "payment_type"],
        "filters": ["store", "area", "source", "payment_type", "segment"], "better": "up",
    }  # fmt: skip
    assert answer["currency"] == "Dhs"
    assert answer["data_to"] == "2026-03-04"  # exported on the 5th; the last earned day
    assert answer["values"]["store"] == ["Moon Walk", "Hielo"]


def test_every_metric_answers_to_all_that_the_catalogue_offers(ask):
    """Every grain, split and filter it names works, and every one it doesn't name is refused."""
    answer = ask("root", "metrics").json()
    values = {d: v[0] for d, v in answer["values"].items()} | {"segment": SEGMENTS[0].name}
    wrong = {}
    build = queries.current()
    for m in answer["metrics"]:
        for grain in ("day", "week", "month", "quarter"):
            for split in (None, *queries.SPLITS):
                for of in (None, *values):
                    if (grain, split) != (m["grains"][0], None) and of:
                        continue  # filters once a metric
                    chosen = {of: values[of]} | ({"segment_month": "2026-02"} if of == "segment" else {}) if of else {}
                    wanted = grain in m["grains"] and (not split or split in m["splits"])
                    wanted = wanted and (not of or of in m["filters"])
                    try:
                        queries._check([m["name"]], grain, queries._splits(split), queries.Filters(**chosen))
                        given_ = True
                    except queries.QueryError:
                        given_ = False
                    if given_ != wanted:
                        wrong[m["name"], grain, split, of] = given_
    assert wrong == {}
    assert build.build_id == answer["build"]


# Figures -----------------------------------------------------------------------------------------------------------


def test_figures_are_those_of_the_golden_exports(ask):
    names = ["customers", "items", "revenue", "stops", "revenue_per_item"]
    found = rows(ask("layla", f"metrics/query?names={','.join(names)}&since=2025-11&until=2026-02"))
    assert [period for period, _ in found] == ["2025-11", "2025-12", "2026-01", "2026-02"]
    for (period, _), values in found.items():
        assert values == pytest.approx({n: EXPECTED["months"][period][n] for n in names}, abs=1e-4)
    weeks = rows(ask("layla", "metrics/query?names=revenue&by=week&since=2025-W42&until=2025-W42"))
    assert weeks == {("2025-W42", None): {"revenue": 4654.70}}


def test_a_metric_without_a_value_is_null(ask):
    found = rows(ask("layla", "metrics/query?names=revenue_per_item&since=2024-01&until=2024-01"))
    assert found == {("2024-01", None): {"revenue_per_item": None}}


def test_a_split_adds_up_and_a_filter_takes_names_and_slugs(ask):
    span = "since=2026-02&until=2026-02"
    split = rows(ask("layla", f"metrics/query?names=revenue&split=store&{span}"))
    assert sum(v["revenue"] for v in split.values()) == pytest.approx(EXPECTED["months"]["2026-02"]["revenue"])
    for store in ("Hielo", "hielo"):
        found = rows(ask("layla", f"metrics/query?names=revenue&store={store}&{span}"))
        assert found["2026-02", None] == split["2026-02", "Hielo"]
    areas = EXPECTED["month_dimensions"]["2026-02"]["area"]
    found = rows(ask("layla", f"metrics/query?names=revenue,stops&split=area&{span}"))
    assert {area: v["revenue"] for (_, area), v in found.items()} == {a: v["revenue"] for a, v in areas.items()}
    category = rows(ask("root", f"metrics/query?names=items&item_category=home-linens&{span}"))
    assert category == rows(ask("root", f"metrics/query?names=items&item_category=Home%20Linens&{span}"))


def test_the_open_period_comes_when_asked_for(ask):
    periods = lambda more: [p for p, _ in rows(ask("layla", f"metrics/query?names=revenue&since=2026-01{more}"))]  # noqa: E731
    assert periods("") == ["2026-01", "2026-02"]
    assert periods("&open=true") == ["2026-01", "2026-02", "2026-03"]


def test_segments_add_up_to_no_more_than_all(ask):
    span = "since=2026-02&until=2026-02&segment_month=2026-02"
    found = {
        s.name: rows(ask("layla", f"metrics/query?names=customers&segment={s.name.lower().replace(' ', '-')}&{span}"))
        for s in SEGMENTS
    }
    each = {name: answer["2026-02", None]["customers"] for name, answer in found.items()}
    # Whoever is active in February has revenue in the six months, but for those who only had free orders.
    assert all(count > 0 for name, count in each.items() if name in ("Champions", "Loyal", "Recent"))
    assert 0.9 * EXPECTED["months"]["2026-02"]["customers"] < sum(each.values())
    assert sum(each.values()) <= EXPECTED["months"]["2026-02"]["customers"]


def test_csv_has_the_same_values_under_the_metrics_names(ask):
    path = "metrics/query?names=revenue,revenue_per_item,customers&split=store&since=2026-01"
    response = ask("layla", f"{path}&format=csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert not response.content.startswith(b"\xef\xbb\xbf"), "a program would take the BOM for part of the first name"
    read = list(csv.DictReader(io.StringIO(response.content.decode())))
    as_json = rows(ask("layla", path))
    assert len(read) == len(as_json) == 4
    for row in read:
        wanted = as_json[row.pop("period"), row.pop("store")]
        assert {name: float(value) for name, value in row.items()} == wanted


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("metrics/query", 422, "names: Field required"),
        ("metrics/query?names=", 400, "Name at least one metric"),
        ("metrics/query?names=,", 400, "Name at least one metric"),
        ("metrics/query?names=revenu", 400, "There is no metric 'revenu'"),
        ("metrics/query?names=" + "x" * 2001, 422, "names: String should have at most 2000 characters"),
        ("metrics/query?names=revenue&by=year", 422, "by: Input should be 'day', 'week', 'month' or 'quarter'"),
        ("metrics/query?names=revenue&split=item_category", 400, "revenue cannot be split by item_category"),
        ("metrics/query?names=revenue&item_category=extras", 400, "revenue is not counted by item category"),
        ("metrics/query?names=revenue&store=moon", 400, "There is no store 'moon': choose one of Moon Walk, Hielo"),
        ("metrics/query?names=revenue&since=2026", 422, "since: String should match pattern"),
        ("metrics/query?names=revenue&since=2026-W07", 400, "'2026-W07' is no month: write it like 2026-03"),
        ("metrics/query?names=revenue&stroe=hielo", 422, "There is no parameter 'stroe'"),
        ("metrics/query?names=revenue&store=hielo&store=moon-walk", 422, "store: given more than once"),
        ("metrics/query?names=revenue&segment=champions", 400, "segment and segment_month go together"),
        ("metrics/query?names=revenue&segment=kings&segment_month=2026-02", 400, "There is no segment 'kings'"),
        ("metrics/query?names=revenue&segment=champions&segment_month=2026-13", 422, "segment_month: String should"),
        ("metrics?x=1", 422, "There is no parameter 'x'"),
        ("insights?grain=day", 422, "grain: Input should be 'month' or 'week'"),
        ("insights?store=x", 400, "There is no store 'x'"),
        ("metrics/query?names=m1_customers&by=week", 400, "m1_customers is not counted by week, only by month"),
        ("customers/CC-99999", 404, "There is no customer CC-99999."),
        ("customers/amina", 422, "customer_id: String should match pattern"),
        ("customers/CC-0003?store=hielo", 422, "There is no parameter 'store'"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_wrong(ask, path, status, said):
    response = ask("root", path)
    assert response.status_code == status
    assert list(response.json()) == ["detail"]
    assert response.json()["detail"].startswith(said)


# Insights ----------------------------------------------------------------------------------------------------------


def test_insights_are_those_of_the_pages(ask, people):
    month = ask("layla", "insights").json()
    assert sorted({row["rule"] for row in month}) == [r for r in EXPECTED["insights"] if not r.startswith("W")]
    assert {row["period"] for row in month} == {"2026-02"}
    assert {row["link"].split("/")[1] for row in month} <= set(DASHBOARDS)
    mine = {page for page in DASHBOARDS if access.can_see(people["sara"], page)}
    for hers, row in zip(ask("sara", "insights").json(), month, strict=True):
        assert hers == row | {"link": row["link"] if row["link"].split("/")[1] in mine else None}
    week = ask("layla", "insights?grain=week").json()
    assert {row["rule"][0] for row in week} == {"W"}
    hielo = ask("layla", "insights?store=hielo").json()
    assert hielo and hielo != month


def test_insights_belong_to_executive_pulse(ask, monkeypatch):
    monkeypatch.setitem(access.ROLES, "Sales", ("customers", "api"))
    response = ask("omar", "insights")
    assert response.status_code == 403
    assert response.json() == {"detail": "Your role doesn't include the page “Executive Pulse”."}


# Customers ---------------------------------------------------------------------------------------------------------


def test_a_customer_is_as_the_golden_exports_have_them(ask):
    scores = {row[0]: row[1:] for row in EXPECTED["rfm"]["sample"]}
    for customer_id, (recency, frequency, monetary, *_) in scores.items():
        rfm = ask("layla", f"customers/{customer_id}").json()["rfm"]
        assert (rfm["month"], rfm["recency_days"], rfm["frequency"]) == ("2026-02-01", recency, frequency)
        assert rfm["monetary"] == pytest.approx(monetary)
        assert rfm["segment"] in [s.name for s in SEGMENTS]


def test_what_a_customer_brought_and_owes_is_what_their_orders_say(ask):
    customer_id, orders, owed = queries.current().con.execute(
        """SELECT customer_id, count(*), sum(total) FILTER (NOT paid)::DOUBLE AS owed FROM warehouse.sales
        WHERE kind = 'Order' AND source = 'CC_2025' AND earned_date IS NOT NULL
        GROUP BY customer_id ORDER BY owed DESC NULLS LAST LIMIT 1"""
    ).fetchone()
    found = ask("farid", f"customers/{customer_id}").json()
    assert (found["orders"], found["owed"]) == (orders, pytest.approx(owed))
    assert found["revenue"] >= found["owed"] > 0
    assert found["average_order"] * orders <= found["revenue"] + 0.01


def test_contacts_are_for_the_roles_that_call_people(ask, people):
    with_phone = queries.current().con.execute(
        "SELECT customer_id FROM warehouse.customers WHERE phone IS NOT NULL AND email IS NOT NULL LIMIT 1"
    ).fetchone()[0]  # fmt: skip
    seen = {name: {way for way in ("phone", "email") if ask(name, f"customers/{with_phone}").json()[way]}
            for name in ("root", "layla", "omar", "sara", "farid")}  # fmt: skip
    assert seen == {name: access.contacts_of(people[name]) for name in seen}
    assert seen["root"] == {"phone", "email"}
    assert len({frozenset(ways) for ways in seen.values()}) > 1


def test_a_customer_of_the_old_system_and_a_business_account_have_facts_too(ask):
    con = queries.current().con
    old = ask("layla", "customers/MW-0001").json()
    assert (old["source"], old["items"], old["owed"]) == ("Legacy", 0, 0)
    assert old["revenue"] > 0 and old["lifetime"]["lifespan_months"] >= 1
    account = con.execute("SELECT customer_id FROM warehouse.customers WHERE b2b LIMIT 1").fetchone()[0]
    found = ask("layla", f"customers/{account}").json()
    assert found["business_account"] is True and found["rfm"] is None


# One store alone ----------------------------------------------------------------------------------------------------


def test_a_person_kept_to_a_store_gets_that_store_alone(ask, kept):
    path = "metrics/query?names=revenue,customers&since=2026-01"
    mine = rows(ask("omar", path))
    assert mine == rows(ask("layla", f"{path}&store=hielo"))
    assert mine == rows(ask("omar", f"{path}&store=hielo")) != rows(ask("layla", path))
    split = rows(ask("omar", f"{path}&split=store"))
    assert {store for _, store in split} == {"Hielo"}  # not even the names of others
    response = ask("omar", f"{path}&store=moon-walk")
    assert response.status_code == 403
    assert response.json()["detail"] == "Your account shows Hielo alone."
    said = lambda name, path: [row | {"link": None} for row in ask(name, path).json()]  # noqa: E731
    assert said("omar", "insights") == said("layla", "insights?store=hielo") != []
    assert ask("omar", "insights?store=moon-walk").status_code == 403
    assert ask("omar", "metrics").json()["values"]["store"] == ["Hielo"]


def test_figures_of_the_whole_business_are_not_theirs(ask, kept):
    offered = {m["name"] for m in ask("omar", "metrics").json()["metrics"]}
    assert not {name for name in offered if METRICS[name].whole}
    for name in (n for n, m in METRICS.items() if m.whole):
        response = ask("omar", f"metrics/query?names={name}")
        assert response.status_code == 403, name
    response = ask("omar", "metrics/query?names=revenue&segment=champions&segment_month=2026-02")
    assert response.status_code == 403
    assert "whole business" in response.json()["detail"]


def test_a_customer_of_another_store_is_not_there(ask, kept):
    con = queries.current().con
    owned = "SELECT customer_id FROM warehouse.customers WHERE source = 'CC_2025' AND store {} 'Hielo' AND customer_id"
    seen = "(SELECT customer_id FROM warehouse.sales WHERE store = 'Hielo')"
    items = "(SELECT customer_id FROM warehouse.items WHERE store = 'Hielo')"
    orders = "(SELECT customer_id FROM warehouse.orders WHERE store = 'Hielo')"
    elsewhere = f"{owned.format('<>')} NOT IN {seen} AND customer_id NOT IN {items} AND customer_id NOT IN {orders}"
    other = con.execute(f"{elsewhere} LIMIT 1").fetchone()[0]
    assert ask("layla", f"customers/{other}").status_code == 200
    assert ask("omar", f"customers/{other}").status_code == 404
    both = con.execute(
        f"{owned.format('=')} IN {seen} AND customer_id IN (SELECT customer_id FROM warehouse.sales "
        "WHERE store = 'Moon Walk' AND total > 0) ORDER BY 1 LIMIT 1"
    ).fetchone()[0]
    mine, all_of_it = ask("omar", f"customers/{both}").json(), ask("layla", f"customers/{both}").json()
    assert mine["revenue"] < all_of_it["revenue"]
    assert (mine["rfm"], mine["lifetime"], mine["customer_since"]) == (None, None, None)
    assert all_of_it["lifetime"] and all_of_it["customer_since"]


# Limits, failures, the page -----------------------------------------------------------------------------------------


def test_a_person_may_ask_only_so_often(ask, settings, people, client):
    settings.API_RATE = "3/h"
    assert [ask("layla", "metrics").status_code for _ in range(4)] == [200, 200, 200, 429]
    response = ask("layla", "insights")
    assert (response.status_code, response.json()) == (429, {"detail": "Too many requests."})
    assert 0 < int(response["Retry-After"]) <= 3600
    second = api_token_make(people["layla"], "another")[1]
    assert client.get("/api/v1/metrics", headers={"Authorization": f"Bearer {second}"}).status_code == 429
    assert ask("omar", "metrics").status_code == 200, "one person's haste is not another's"
    assert client.get("/api/v1/health").status_code == 200


def test_an_address_that_is_not_there_is_said_in_json(as_, client):
    addresses = ("/api/v1/metric", "/api/v1/customers", "/api/v1/x/y/")
    assert [client.post(address).status_code for address in addresses] == [401, 401, 401]
    for answer in [as_("layla").get(address) for address in addresses]:
        assert (answer.status_code, answer.json().keys()) == (404, {"detail"})


def test_without_redis_the_api_answers_and_counts_nobody(ask, settings):
    from moonwalk.cache import redis_caches

    settings.CACHES = redis_caches("redis://127.0.0.1:1/0")  # nothing listens there
    settings.API_RATE = "1/m"
    assert [ask("layla", "metrics").status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("text", ["", "fast", "0/m", "10/", "-1/m", "10/0m"])
def test_a_rate_that_cannot_be_read_is_an_error(text):
    with pytest.raises(ImproperlyConfigured, match="MOONWALK_API_RATE"):
        api._rate(text)


@pytest.mark.parametrize(("text", "rate"), [("120/m", (120, 60)), ("2/s", (2, 1)), ("5000/h", (5000, 3600))])
def test_a_rate_is_requests_and_seconds(text, rate):
    assert api._rate(text) == rate


def test_without_data_it_says_so(ask, data_dir):
    for path in ALL_PATHS:
        response = ask("layla", path)
        assert response.status_code == 503
        assert list(response.json()) == ["detail"]


def test_the_page_and_the_schema_are_for_those_who_may_use_the_api(as_, client):
    for address in ("/api/v1/docs", "/api/v1/openapi.json"):
        assert client.get(address)["Location"].startswith("/login/")
    for address in ("/api/v1/docs", "/api/v1/openapi.json"):
        assert as_("dana").get(address).status_code == 403
        assert as_("omar").get(address).status_code == 200
    page = as_("omar").get("/api/v1/docs")
    scripts = next(p for p in page["Content-Security-Policy"].split("; ") if p.startswith("script-src"))
    assert "unsafe" not in scripts
    assert b"cdn." not in page.content
    schema = as_("omar").get("/api/v1/openapi.json").json()
    assert set(schema["components"]["securitySchemes"]) == {"Token", "Session"}


def test_the_pages_style_sheet_can_be_hashed_without_its_source_map(tmp_path):
    from django.contrib.staticfiles import finders
    from django.core.files.storage import FileSystemStorage

    from moonwalk.static import HashedStorage

    file = Path(finders.find("ninja/swagger-ui.css"))
    (tmp_path / "ninja").mkdir()
    (tmp_path / "ninja" / file.name).write_bytes(file.read_bytes())
    storage = HashedStorage(location=tmp_path, base_url="/static/")
    found = storage.post_process({f"ninja/{file.name}": (FileSystemStorage(tmp_path), f"ninja/{file.name}")})
    assert not [outcome for *_, outcome in found if isinstance(outcome, Exception)]


# Fuzzing -------------------------------------------------------------------------------------------------------------

CHECKS = [
    not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_headers_conformance, checks.response_schema_conformance, checks.negative_data_rejection,
]  # fmt: skip


def likely() -> dict:
    """The API's own schema; strings that must mean something often do, so that answers are reached too."""
    schema = json.loads(json.dumps(api.api.get_openapi_schema(path_prefix="/api/v1/"), default=str))
    words = {
        "names": ["revenue", "revenue,customers", "m1_customer_retention", "items, items", "cash_collections"],
        "since": ["2026-01", "2026-W05", "2026-02-20"], "until": ["2026-02", "2026-W07", "2026-Q1"],
        "store": ["hielo", "Moon Walk"], "area": ["other"], "source": ["Legacy"], "item_category": ["extras"],
        "service_type": ["dry-cleaning"], "payment_type": ["cash"], "segment": ["champions"],
        "segment_month": ["2026-02"], "customer_id": ["CC-0003", "MW-0001"],
    }  # fmt: skip
    for path in schema["paths"].values():
        for parameter in path["get"]["parameters"]:
            if parameter["name"] in words:
                parameter["schema"] = {"anyOf": [{"enum": words[parameter["name"]]}, parameter["schema"]]}
    return schema


def fuzz(examples: int, headers: dict) -> set[int]:
    """Asks every operation what its schema allows and what it doesn't; returns the statuses that came back."""
    schema = schemathesis.openapi.from_dict(likely())
    schema.app = get_wsgi_application()
    seen = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in schemathesis.GenerationMode:
            if mode.is_negative and not operation.query and not operation.path_parameters:
                continue  # it takes nothing that could be wrong
            strategy = operation.as_strategy(generation_mode=mode)

            @how(max_examples=examples, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
                 suppress_health_check=list(HealthCheck))  # fmt: skip
            @given(case=strategy)
            def run(case):
                seen.add(case.call_and_validate(headers=headers, checks=CHECKS).status_code)

            run()
    return seen


@pytest.fixture
def kept_open():
    """A request's end closes no connection, as with Django's own client: the test's transaction is on it."""
    ends = (request_started, request_finished)
    for end in ends:
        end.disconnect(close_old_connections)
    yield
    for end in ends:
        end.connect(close_old_connections)


@pytest.fixture(params=["with a token", "without", "kept to a store"])
def headers(request, people, golden_data, settings, kept_open) -> dict:
    settings.API_RATE = "1000000/m"
    settings.ALLOWED_HOSTS = ["*"]
    plain = {"Accept-Encoding": "identity"}  # a WSGI call doesn't unpack what is sent smaller
    if request.param == "without":
        return plain
    person = people["root"]
    if request.param == "kept to a store":
        StoreAccess.objects.create(user=person, store="Hielo")
    return plain | {"Authorization": f"Bearer {api_token_make(person, 'fuzz')[1]}"}


def test_whatever_is_asked_the_answer_is_as_the_schema_says(headers):
    seen = fuzz(25, headers)
    assert seen >= ({200, 400, 422} if "Authorization" in headers else {200, 401})
    assert max(seen) < 500


@pytest.mark.full
def test_whatever_is_asked_many_times_the_answer_is_as_the_schema_says(headers):
    assert max(fuzz(200, headers)) < 500
