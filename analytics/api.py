"""/api/v1/: the same figures for other programs, by the same rules of access. It reads; nothing here writes.

A program sends `Authorization: Bearer <token>` and reads as the person whose token it is; a browser's session does too.
Errors are {"detail": "..."} with the status that each operation declares. docs/api.md is the guide.
"""

import logging
import time
from datetime import date
from functools import lru_cache
from io import BytesIO
from typing import Annotated, Literal

import duckdb
import polars as pl
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from ninja import Field, NinjaAPI, Path, Query, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security import HttpBearer, SessionAuth
from ninja.throttling import BaseThrottle, SimpleRateThrottle

from analytics import access, queries
from analytics.customers import SEGMENTS
from analytics.dashboards import DASHBOARDS
from analytics.dashboards import insights as words
from analytics.metrics import METRICS, UnknownMetric
from analytics.models import api_token_find
from analytics.tables import CONTACTS
from etl.business import slug
from etl.errors import MoonwalkError
from etl.landing import write_csv

log = logging.getLogger(__name__)
# The dimensions that figures are filtered by beside the RFM segment, each a parameter of `metrics/query`.
FILTERS = ("store", "area", "source", "item_category", "service_type", "payment_type")

# Who asks, and how often --------------------------------------------------------------------------------------------


class Token(HttpBearer):
    """A token of a person (analytics.models.ApiToken). A wrong one is refused, whatever session comes with it."""

    def authenticate(self, request: HttpRequest, token: str):
        found = api_token_find(token)
        if found is None:
            raise AuthenticationError(message="This token doesn't count: it is unknown or revoked.")
        return found.user


class Session(SessionAuth):
    """The session of a person who is signed in. Nothing is written here, so no CSRF token is asked for."""

    def __init__(self) -> None:
        super().__init__(csrf=False)


@lru_cache(maxsize=8)
def _rate(text: str) -> tuple[int, int]:
    """"120/m" -> (120, 60): requests, seconds. Raises ImproperlyConfigured."""
    try:
        requests, seconds = SimpleRateThrottle(text or "none").parse_rate(text)
    except ValueError:
        requests = seconds = 0
    if not requests or not seconds or requests < 0:
        raise ImproperlyConfigured(f'MOONWALK_API_RATE must be like "120/m" or "2000/h", not {text!r}.')
    return requests, seconds


class PersonThrottle(BaseThrottle):
    """So many requests a person and window of time, over all of their tokens. Holds no state of its own: ninja's
    throttles keep one request's in themselves, which threads share."""

    def allow_request(self, request: HttpRequest) -> bool:
        allowed, seconds = _rate(settings.API_RATE)
        key = f"api:{request.auth.pk}:{int(time.time() // seconds)}"
        try:
            cache.add(key, 0, timeout=seconds)
            return cache.incr(key) <= allowed
        except ValueError:  # its window ended between the two lines
            return True
        except Exception as error:  # Redis is down: figures are worth more than counting who asks for them
            log.warning("requests of the API are not counted: %s", type(error).__name__)
            return True

    def wait(self) -> float:
        """Seconds until the window ends."""
        seconds = _rate(settings.API_RATE)[1]
        return seconds - time.time() % seconds


_rate(settings.API_RATE)  # no process starts with a rate that can't be read


# What comes back ----------------------------------------------------------------------------------------------------


class Error(Schema):
    detail: str = Field(description="What is wrong, in a sentence.")


class Health(Schema):
    status: Literal["ok"]


class MetricOut(Schema):
    name: str
    label: str
    unit: Literal["count", "money", "share", "days", "ratio"] = Field(
        description="money: the business's currency; share: 0.147 is 14.7 %; ratio: a plain number."
    )
    description: str
    grains: list[str] = Field(description="What `by` may be.")
    splits: list[str] = Field(description="What `split` may be.")
    filters: list[str] = Field(description="The parameters that its rows can be filtered by.")
    better: Literal["up", "down"] | None = Field(description="Whether more of it is good; null: neither.")


class Catalogue(Schema):
    build: str
    data_to: date | None = Field(description="The last day that the data has.")
    currency: str
    metrics: list[MetricOut]
    values: dict[str, list[str]] = Field(description="Each dimension's values, for splits and filters.")


class RowOut(Schema):
    period: str = Field(description="2026-02, 2026-W07, 2026-Q1 or 2026-02-28.")
    split: str | None = Field(description="The value of the split; null without one.")
    values: dict[str, int | float | None] = Field(description="Metric -> value; null where there is none.")


class Answer(Schema):
    build: str
    by: str
    split: str | None
    rows: list[RowOut] = Field(description="The oldest period first.")


class InsightOut(Schema):
    period: str
    rule: str
    category: str
    headline: str
    detail: str
    tone: Literal["positive", "neutral", "negative"]
    link: str | None = Field(description="Address of the page that shows more; null when you may not open it.")


class RfmOut(Schema):
    month: date = Field(description="First day of the last month that is over.")
    segment: str
    recency_days: int
    frequency: int
    monetary: float
    r: int
    f: int
    m: int


class LifetimeOut(Schema):
    lifespan_months: int
    monthly_revenue: float
    alive: float | None = Field(description="Probability that they still come; null after one day with an order.")
    expected_purchases: float | None = Field(description="Days with an order in the next 12 weeks.")
    expected_value: float | None = Field(description="Money in the next 12 weeks.")


class CustomerOut(Schema):
    customer_id: str
    source: str = Field(description="CC_2025: CleanCloud; Legacy: the old system.")
    name: str | None
    phone: str | None = Field(description="null, too, when your role sees none; so is email.")
    email: str | None
    store: str | None
    area: str | None
    route: int | None
    signed_up: date | None
    customer_since: date | None = Field(description="First day of the first month; null when you are kept to a store.")
    business_account: bool = Field(description="Its orders count in no figure of consumers.")
    revenue: float = Field(description="Of all time, like the figures below; in your store, when kept to one.")
    orders: int = Field(description="Earned so far.")
    items: float
    average_order: float | None
    owed: float = Field(description="Earned and unpaid on the exports' date.")
    first_earned: date | None
    last_earned: date | None
    rfm: RfmOut | None = Field(description="null without revenue in 6 months, and when you are kept to a store.")
    lifetime: LifetimeOut | None = Field(description="null when never active, and when you are kept to a store.")


Grain = Literal["day", "week", "month", "quarter"]
Split = Literal[queries.SPLITS]
REFUSED = {401: Error, 403: Error, 422: Error, 429: Error, 503: Error}

api = NinjaAPI(
    title="Moonwalk",
    version="1",
    description="Figures of the laundry for other programs. Read-only; the same figures and rights as on the pages.",
    docs_url=None,  # a view of its own below
    docs_decorator=access.page_required("api"),
    urls_namespace="api-v1",
    auth=[Token(), Session()],
    throttle=PersonThrottle(),
)


def _said(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    return api.create_response(request, {"detail": detail}, status=status)


@api.exception_handler(AuthenticationError)
def _unknown_person(request, error):
    detail = error.message if error.message != "Unauthorized" else "Sign in, or send a token: Authorization: Bearer …"
    response = _said(request, 401, detail)
    response["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(PermissionDenied)
def _refused(request, error):
    return _said(request, 403, str(error) or "Your account doesn't open this.")


@api.exception_handler(queries.Refused)
def _not_theirs(request, error):
    return _said(request, 403, str(error))


@api.exception_handler(ValidationError)
def _invalid(request, error):
    return _said(request, 422, "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in error.errors))


@api.exception_handler(UnknownMetric)
@api.exception_handler(queries.QueryError)
def _no_answer(request, error):
    return _said(request, 400, str(error))


@api.exception_handler(MoonwalkError)
def _no_data(request, error):
    return _said(request, 503, str(error))


@api.exception_handler(duckdb.CatalogException)
def _older_build(request, error):
    return _said(request, 503, "The data was made by an older version: it is there after the next refresh.")


# What may be seen ---------------------------------------------------------------------------------------------------


def metrics_of(user) -> tuple[str, ...]:
    """The metrics that a page of this person shows, in the order of METRICS."""
    shown = {name for page, d in DASHBOARDS.items() if access.can_see(user, page) for name in d.metrics}
    return tuple(name for name in METRICS if name in shown)


def _reader(request: HttpRequest, page: str = "api") -> queries.Snapshot:
    """The current build as the person who asks may see it. Raises PermissionDenied, WarehouseError."""
    user = request.auth
    if not access.can_see(user, "api"):
        raise PermissionDenied("Your role doesn't include the API.")
    if not access.can_see(user, page):
        raise PermissionDenied(f"Your role doesn't include the page “{access.PAGES[page].label}”.")
    return queries.current(access.store_of(user))


def _known(request: HttpRequest, *names: str) -> None:
    """A parameter with a slip in its name must not pass for no filter at all."""
    for name in request.GET:
        if name not in names:
            raise HttpError(422, f"There is no parameter {name[:40]!r}: choose from {', '.join(names)}.")
        if len(request.GET.getlist(name)) > 1:
            raise HttpError(422, f"{name}: given more than once.")


def _choice(dimension: str, known: list[str], wanted: str | None) -> str | None:
    """A dimension's value by its name or by the name that it has in addresses: "Wash & Press" or "wash-press"."""
    if wanted is None:
        return None
    found = next((v for v in known if wanted in (v, slug(v))), None)
    if found is None:
        raise queries.QueryError(f"There is no {dimension} {wanted[:40]!r}: choose one of {', '.join(known)}.")
    return found


def _store(build: queries.Snapshot, wanted: str | None) -> str | None:
    """A store by either of its names. Raises Refused for another one than that of a reader who is kept to one."""
    if wanted is not None and build.only and wanted not in (build.only, slug(build.only)):
        raise queries.Refused(queries.ONE_STORE.format(build.only))
    return _choice("store", build.values("store"), wanted)


# Operations ---------------------------------------------------------------------------------------------------------


@api.get("/health", auth=None, throttle=[], response=Health)
def health(request):
    """Does the server answer? For monitors: no token, and not a word about the data."""
    return {"status": "ok"}


@api.get("/metrics", response={200: Catalogue, **REFUSED})
def metrics(request):
    """The catalogue: every metric that you may read, and what it can be counted and filtered by."""
    _known(request)
    build = _reader(request)
    facts = build.meta()
    filters = (*FILTERS, "segment")
    return {
        "build": build.build_id,
        "data_to": facts.get("data_to") or None,
        "currency": facts["currency"],
        "values": {dimension: build.values(dimension) for dimension in queries.SPLITS},
        "metrics": [
            {
                "name": m.name, "label": m.label, "unit": m.unit, "description": m.description,
                "grains": list(m.grains), "splits": list(m.splits), "better": m.better,
                "filters": [d for d in filters if queries.can_filter(m.name, d)],
            }
            for m in (METRICS[name] for name in metrics_of(request.auth) if build.may_see(name))
        ],
    }  # fmt: skip


MONTH = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"
PERIOD = r"^[0-9]{4}-([0-9]{2}(-[0-9]{2})?|W[0-9]{2}|Q[1-4])$"


class Question(Schema):
    """What `metrics/query` is asked. The defaults of None are no strings: in an address nobody can say null."""

    names: str = Field(description="Metrics, with commas between them: revenue,customers", max_length=2000)
    by: Grain = "month"
    split: Split = Field(None, description="A row each for the values of this dimension.")
    since: str = Field(None, pattern=PERIOD, description="First period: 2026-02, 2026-W07, 2026-Q1, 2026-02-28.")
    until: str = Field(None, pattern=PERIOD, description="Last period; without it the last one that is over.")
    open: bool = Field(False, description="The period that isn't over yet, too.")
    store: str = None
    area: str = None
    source: str = None
    item_category: str = None
    service_type: str = None
    payment_type: str = None
    segment: str = Field(None, description="Customers in this RFM segment at the end of segment_month.")
    segment_month: str = Field(None, pattern=MONTH, description="2026-02; goes with `segment`.")
    format: Literal["json", "csv"] = "json"


CSV_TOO = {"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}}


@api.get("/metrics/query", response={200: Answer, 400: Error, **REFUSED}, openapi_extra=CSV_TOO)
def metrics_query(request, asked: Query[Question]):
    """Values of metrics by period, and by the values of a split. A filter takes a value's name (`Wash & Press`) or
    the one it has in addresses (`wash-press`). A CSV has a column a metric, under its name."""
    _known(request, *Question.model_fields)
    build = _reader(request)
    names = list(dict.fromkeys(name.strip() for name in asked.names.split(",") if name.strip()))
    _allowed(request.auth, build, names)
    filters = _filters(build, asked)
    span = {"since": asked.since, "until": asked.until, "include_open": asked.open}
    frame = build.query(names, asked.by, split=asked.split, filters=filters, **span)
    if asked.format == "csv":
        return _csv(frame)
    rows = [
        {"period": row["period"], "split": row[asked.split] if asked.split else None,
         "values": {name: row[name] for name in names}}
        for row in frame.iter_rows(named=True)
    ]  # fmt: skip
    return {"build": build.build_id, "by": asked.by, "split": asked.split, "rows": rows}


def _filters(build: queries.Snapshot, asked: Question) -> queries.Filters:
    chosen = {d: _choice(d, build.values(d), getattr(asked, d)) for d in FILTERS if d != "store"}
    chosen["store"] = _store(build, asked.store)
    if bool(asked.segment) != bool(asked.segment_month):
        raise queries.QueryError("segment and segment_month go together: segment=champions&segment_month=2026-02")
    segment = _choice("segment", [s.name for s in SEGMENTS], asked.segment)
    return queries.Filters(**chosen, segment=segment, segment_month=asked.segment_month)


def _allowed(user, build: queries.Snapshot, names: list[str]) -> None:
    if not names:
        raise queries.QueryError("Name at least one metric: names=revenue,customers")
    mine = metrics_of(user)
    for name in names:
        if name not in METRICS:
            raise UnknownMetric(f"There is no metric {name[:60]!r}: GET metrics lists them.")
        if name not in mine:
            raise PermissionDenied(f"No page of yours shows {name}.")
    build.require(*names)


def _csv(frame: pl.DataFrame) -> HttpResponse:
    out = BytesIO()
    write_csv(frame, out, bom=False)
    return HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")


@api.get("/insights", response={200: list[InsightOut], 400: Error, **REFUSED})
def insights(
    request,
    grain: Literal["month", "week"] = "month",
    store: Annotated[str, Query(description="Of one store; without it, of the whole business.")] = None,
):
    """What the fixed rules say of the last closed month or week."""
    _known(request, "grain", "store")
    build = _reader(request, "executive")
    found = build.insights(grain, _store(build, store))
    return [row | {"link": words.row(row, request.auth)["url"]} for row in found]


@api.get("/customers/{customer_id}", response={200: CustomerOut, 404: Error, **REFUSED})
def customer(request, customer_id: Annotated[str, Path(pattern=r"^(CC|MW)-[0-9]{4,9}$")]):
    """One customer: who they are, what they brought in all, where they stand. CC-0001: CleanCloud; MW-0001: old."""
    _known(request)
    build = _reader(request, "customer")
    found = build.customer(customer_id)
    if found is None:
        raise HttpError(404, f"There is no customer {customer_id}.")
    standing = {"rfm": None, "lifetime": None} if build.only else build.customer_standing(customer_id)
    hidden = dict.fromkeys(set(CONTACTS) - access.contacts_of(request.auth))
    since = None if build.only else found["cohort_month"]
    said = {"customer_since": since, "business_account": found["b2b"], "owed": found["balance"]}
    return found | hidden | said | standing


# Addresses ----------------------------------------------------------------------------------------------------------


@access.page_required("api")
def docs(request: HttpRequest) -> HttpResponse:
    """The page that shows every operation and tries it."""
    return api.docs.render_page(request, api)


@api.api_operation(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], "/{path:rest}", include_in_schema=False)
def unknown(request, rest: str):
    """A program that mistyped an address gets its answer in JSON too."""
    raise HttpError(404, f"There is nothing at {request.path[:200]}: /api/v1/docs lists what there is.")


def urls() -> tuple:
    """What urls.py mounts. A program that isn't signed in gets 401, where the middleware would send it to a page."""
    patterns, app_name, namespace = api.urls
    for pattern in patterns:
        if pattern.name == "api-root":
            pattern.callback = docs
        elif pattern.name != "openapi-json":
            pattern.callback = cache_control(private=True, no_store=True)(pattern.callback)
            pattern.callback.login_required = False
    return patterns, app_name, namespace
