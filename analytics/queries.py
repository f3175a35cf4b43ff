"""Metric x period x split x filter -> Polars frame. The only module that runs dashboard SQL."""

import json
import re
import threading
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import duckdb
import polars as pl
from django.conf import settings

from analytics import shared
from analytics.customers import SEGMENTS, simple_clv
from analytics.metrics import FORMULA, METRICS, NO_INVOICE, Metric, get, parts_of
from analytics.receivables import DAYS, Ledger, bucket, start_of, summary
from etl.errors import WarehouseError
from etl.warehouse import Warehouse

GRAINS = ("month", "week", "quarter", "day")
WHOLE = "All stores"
Split = str | tuple[str, ...] | None
NO_SUCH_STORE = (
    "Your account shows {} alone, and this data has no such store. Whoever looks after Moonwalk can name another one."
)
ONE_STORE = "Your account shows {} alone."
WHOLE_ONLY = "{} is a figure of the whole business, and your account shows {} alone."
SPLITS = ("store", "area", "source", "payment_type", "item_category", "service_type")
RANKED = "ranked"  # beside its splits, what ask() gives of a period's customers one by one


@dataclass(frozen=True)
class Filters:
    """Rows to count; None: all.

    store, area: of the row, of its customer. source: 'CC_2025' or 'Legacy'. item_category, service_type: item rows
    alone have them, payment_type sales rows alone. segment: customers who were in this RFM segment at the end of
    segment_month ('2026-02').
    """

    store: str | None = None
    area: str | None = None
    source: str | None = None
    item_category: str | None = None
    service_type: str | None = None
    payment_type: str | None = None
    segment: str | None = None
    segment_month: str | None = None


class QueryError(ValueError):
    """A question the metrics cannot answer: a split, grain, period or filter value that does not fit."""


class Refused(QueryError):
    """A question that a reader kept to one store may not ask: of another store, or of the whole business. Pages and
    files answer it with 403 (analytics/pages.py), the API too."""


# Connections -----------------------------------------------------------------------------------------------------


def warehouse() -> Warehouse:
    """The warehouse that the settings name."""
    return Warehouse(settings.WAREHOUSE_DIR, settings.WAREHOUSE_KEY or None)


@dataclass
class Snapshot:
    """One published build, open read-only. Answers are kept by their arguments: a build never changes.

    `only`: the store whose rows alone may be seen. Every read below is then of that store, whoever asks and however.
    """

    build_id: str
    con: duckdb.DuckDBPyConnection
    manifest: dict
    only: str | None = None
    _kept: dict = field(default_factory=dict)
    _local: threading.local = field(default_factory=threading.local)

    def restricted(self, only: str | None) -> "Snapshot":
        """The same build for a person who may see this store alone; None: for everybody else."""
        return replace(self, only=only) if only else self

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's own cursor: DuckDB connections are not shared between threads."""
        if not hasattr(self._local, "cursor"):
            self._local.cursor = self.con.cursor()
            self._local.cursor.execute("USE warehouse")
        return self._local.cursor

    def kept(self, key: tuple, make):
        """What `make(cursor)` gave for this key before, or gives now. At most 1,000 answers are kept."""
        key = (self.only, *key)
        answer = self._kept.get(key, self)  # None may be an answer; another thread may clear between two looks
        if answer is self:
            answer = make(self.cursor())
            if len(self._kept) >= 1000:
                self._kept.clear()
            self._kept[key] = answer
        return answer

    def shared(self, key: tuple, make):
        """kept() for what is small and slow to make: before it is made, other processes are asked for it."""

        def ask(cursor):
            known = (self.build_id, self.only, *key)
            answer = shared.get(known)
            if answer is shared.MISSING:
                answer = make(cursor)
                shared.put(known, answer)
            return answer

        return self.kept(key, ask)

    def filters(self, filters: Filters) -> Filters:
        """The filters that a question of this reader gets. Raises Refused for another store than theirs."""
        if self.only and filters.store not in (None, self.only):
            raise Refused(ONE_STORE.format(self.only))
        if filters.segment:
            self.whole("An RFM segment")
        return replace(filters, store=self.only) if self.only else filters

    def whole(self, what: str) -> None:
        """Raises Refused when this reader is restricted to a store: `what` is of the whole business."""
        if self.only:
            raise Refused(WHOLE_ONLY.format(what, self.only))

    def may_see(self, name: str) -> bool:
        """May this reader see the metric? Not one of the whole business, when they are kept to a store."""
        return not (self.only and get(name).whole)

    def require(self, *names: str) -> None:
        """Raises Refused for the first of these metrics that this reader may not see."""
        for name in names:
            if not self.may_see(name):
                self.whole(get(name).label)

    def query(self, names: list[str], grain: str, *, split: Split = None, **how) -> pl.DataFrame:
        """query() on this build, answered from memory the second time."""
        return self.ask({split: names}, grain, **how)[split]

    def ask(
        self,
        wanted: dict[Split, list[str]],
        grain: str,
        *,
        filters: Filters = Filters(),
        ranked: str | None = None,
        **how,
    ) -> dict:
        """ask() on this build, answered from memory the second time.

        ranked: a period whose concentration() comes of the same statement. It is kept for whoever asks for it next and
        is no part of the answer, which is the same for every period.
        """
        filters = self.filters(filters)
        self.require(*(name for names in wanted.values() for name in names))
        if ranked:
            self.whole("Concentration")

        def make(con):
            found = ask(con, wanted, grain, filters=filters, ranked=ranked, **how)
            if ranked:
                customers = found.pop(RANKED)
                self.kept(_key_of_customers(grain, ranked, filters), lambda _: customers)
            return self._theirs(found)

        key = ("ask", tuple((split, *names) for split, names in wanted.items()), grain, filters, *sorted(how.items()))
        return self.kept(key, make)

    def _theirs(self, found: dict[Split, pl.DataFrame]) -> dict[Split, pl.DataFrame]:
        """The answers without the names of other stores than the reader's."""
        if not self.only:
            return found
        return {s: f.filter(pl.col("store") == self.only) if "store" in _splits(s) else f for s, f in found.items()}

    def periods(self, grain: str, include_open: bool = True) -> pl.DataFrame:
        """periods() of this build."""
        return self.kept(("periods", grain, include_open), lambda con: periods(con, grain, include_open))

    def meta(self) -> dict[str, str]:
        """meta() of this build."""
        return self.kept(("meta",), meta)

    def values(self, dimension: str) -> list[str]:
        """values() of this build; of the stores only those that the reader may see."""
        found = self.kept(("values", dimension), lambda con: values(con, dimension))
        return [self.only] if self.only and dimension == "store" else found

    def ledger(self, filters: Filters = Filters()) -> Ledger:
        """ledger() of this build: all that pages say about what is owed comes out of it."""
        filters = self.filters(filters)
        return self.kept(("ledger", filters), lambda con: ledger(con, filters))

    def business_orders(self, filters: Filters = Filters()) -> pl.DataFrame:
        """business_orders() of this build."""
        filters = self.filters(filters)
        return self.kept(("business_orders", filters), lambda con: business_orders(con, filters))

    def concentration(self, grain: str, period: str, filters: Filters = Filters()) -> pl.DataFrame:
        """concentration() of this build. Raises Refused for a reader restricted to one store."""
        self.whole("Concentration")
        key = _key_of_customers(grain, period, filters)
        return self.kept(key, lambda con: concentration(con, grain, period, filters))

    def rfm(self, month: str | None = None) -> pl.DataFrame:
        """rfm() of this build. Like the six after it: raises Refused for a reader restricted to one store."""
        self.whole("RFM")
        return self.kept(("rfm", month), lambda con: rfm(con, month))

    def segments(self, month: str | None = None) -> pl.DataFrame:
        """segments() of this build."""
        self.whole("RFM")
        return self.kept(("segments", month), lambda con: segments(con, month))

    def clv(self) -> dict[str, float | None]:
        """clv() of this build."""
        self.whole("Customer lifetime value")
        return self.kept(("clv",), clv)

    def cohorts(self) -> pl.DataFrame:
        """cohorts() of this build."""
        self.whole("The map of cohorts")
        return self.kept(("cohorts",), cohorts)

    def lifetimes(self, **how) -> pl.DataFrame:
        """lifetimes() of this build."""
        self.whole("A customer's lifetime")
        return self.kept(("lifetimes", *sorted(how.items())), lambda con: lifetimes(con, **how))

    def call_list(self, **how) -> pl.DataFrame:
        """call_list() of this build."""
        self.whole("The call list")
        return self.kept(("call_list", *sorted(how.items())), lambda con: call_list(con, **how))

    def expected_by_segment(self) -> pl.DataFrame:
        """expected_by_segment() of this build."""
        self.whole("What customers may be worth")
        return self.kept(("expected_by_segment",), expected_by_segment)

    def lifetime_summary(self) -> dict:
        """lifetime_summary() of this build."""
        self.whole("What customers may be worth")
        return self.kept(("lifetime_summary",), lifetime_summary)

    def customer(self, customer_id: str) -> dict | None:
        """customer() of this build: of the reader's store, where they are kept to one."""
        return self.kept(("customer", customer_id), lambda con: customer(con, customer_id, self.only))

    def customer_history(self, customer_id: str, **how) -> tuple[pl.DataFrame, int]:
        """customer_history() of this build, of the reader's store."""
        key = ("customer_history", customer_id, *sorted(how.items()))
        return self.kept(key, lambda con: customer_history(con, customer_id, self.only, **how))

    def find_orders(self, text: str, limit: int) -> list[tuple[str, str]]:
        """find_orders() of this build, of the reader's store."""
        return find_orders(self.cursor(), text, self.only, limit)

    def last_orders(self, customers: list[str]) -> dict[str, date]:
        """last_orders() of this build, in the reader's store."""
        return last_orders(self.cursor(), customers, self.only)

    def customer_items(self, orders: list[str]) -> pl.DataFrame:
        """customer_items() of this build. `orders`: of customer_history(), which has those of the reader's store."""
        return customer_items(self.cursor(), orders)

    def customer_months(self, customer_id: str) -> pl.DataFrame:
        """customer_months() of this build, of the reader's store."""
        return self.kept(("customer_months", customer_id), lambda con: customer_months(con, customer_id, self.only))

    def customer_standing(self, customer_id: str) -> dict:
        """customer_standing() of this build. Raises Refused for a reader restricted to one store."""
        self.whole("Where a customer stands among all")
        return self.kept(("customer_standing", customer_id), lambda con: customer_standing(con, customer_id))

    def by_customer(self, name: str, grain: str, period: str, *, filters: Filters = Filters(), **how) -> "Behind":
        """by_customer() of this build."""
        return self._behind(by_customer, name, grain, period, filters, how)

    def rows(self, name: str, grain: str, period: str, *, filters: Filters = Filters(), **how) -> "Behind":
        """rows() of this build."""
        return self._behind(rows, name, grain, period, filters, how)

    def _behind(self, ask, name: str, grain: str, period: str, filters: Filters, how: dict) -> "Behind":
        filters = self.filters(filters)
        self.require(name)
        if how.get("limit") is None:  # all of them, for a file: too much to keep
            return ask(self.cursor(), name, grain, period, filters, **how)
        key = (ask.__name__, name, grain, period, filters, *sorted(how.items()))
        return self.kept(key, lambda con: ask(con, name, grain, period, filters, **how))

    def insights(self, grain: str, store: str | None = None) -> list[dict]:
        """insights() of this build: of the reader's store, of `store`, or of the whole."""
        store = self.filters(Filters(store=store)).store or WHOLE
        return self.kept(("insights", grain, store), lambda con: insights(con, grain, store))


def _key_of_customers(grain: str, period: str, filters: Filters) -> tuple:
    """Under which concentration() is kept: ask() leaves it there for whoever asks next."""
    return "concentration", grain, period, filters


_snapshots: dict[tuple, Snapshot] = {}
_lock = threading.Lock()


def current(only: str | None = None) -> Snapshot:
    """The published build, opened once a process; a new build is a new snapshot. `only`: see Snapshot.

    Raises WarehouseError when nothing was published yet, the key does not fit, or the build doesn't know the store.
    """
    house = warehouse()
    build_id = house.current()
    key = (str(house.root), build_id, house.key)
    found = _snapshots.get(key)
    if found is None:
        with _lock:
            found = _snapshots.get(key)
            if found is None:
                con = house.connect(build_id)
                found = Snapshot(build_id, con, house.manifest(build_id))
                _snapshots.clear()  # readers of the old build keep it alive until they are done
                _snapshots[key] = found
    if only and only not in found.values("store"):
        raise WarehouseError(NO_SUCH_STORE.format(only))
    return found.restricted(only)


def opened(build_id: str | None) -> Snapshot:
    """A build that is still kept, of nobody in particular; the published one as current() gives it, also for None.

    Raises WarehouseError when it is kept no more, or can't be opened.
    """
    house = warehouse()
    if not build_id or build_id == house.current():
        return current()
    return Snapshot(build_id, house.connect(build_id), house.manifest(build_id))


def meta(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Facts about the build: as_of, build_id, currency, data_to."""
    return dict(con.execute("SELECT key, value FROM meta").fetchall())


def values(con: duckdb.DuckDBPyConnection, dimension: str) -> list[str]:
    """The values that a dimension of SPLITS has in this build, in the order of its business file."""
    return con.execute(f"SELECT enum_range(NULL::{dimension})::VARCHAR[]").fetchone()[0]


def periods(con: duckdb.DuckDBPyConnection, grain: str, include_open: bool = True) -> pl.DataFrame:
    """Periods of a grain, the newest first. Columns: period, label, first_day, last_day, closed."""
    if grain not in GRAINS:
        raise QueryError(f"There is no grain {grain!r}: choose one of {', '.join(GRAINS)}.")
    return con.execute(
        f"SELECT period, label, first_day, last_day, closed FROM periods WHERE grain = '{grain}' "
        f"AND (closed OR {include_open}) ORDER BY first_day DESC"
    ).pl()


def insights(con: duckdb.DuckDBPyConnection, grain: str, store: str = WHOLE) -> list[dict]:
    """What the rules said of the periods of a grain, of one store or the whole, in the order they were written.

    Each a dict: period, rule, category, headline, detail, tone ('positive'|'neutral'|'negative'), link.
    """
    rows = con.execute(
        "SELECT period, rule, category, headline, detail, tone, link FROM insights WHERE grain = ? AND store = ? "
        "ORDER BY rowid",
        [grain, store],
    ).pl()
    return rows.to_dicts()


# Compiling -------------------------------------------------------------------------------------------------------

# Rows a metric's SQL runs over, per mart: {where} has the dates and filters, {split} the split's column.
RELATIONS = {
    "sales": ("earned_date", "{sales} WHERE {where}"),
    "items": ("earned_date", "items WHERE NOT b2b AND {where}"),
    "customer_months": (
        "month",
        """(SELECT *,
            quantile_cont(revenue::DOUBLE, 0.8) OVER (PARTITION BY month{split}) AS spend_threshold,
            quantile_cont(items::DOUBLE, 0.8) OVER (PARTITION BY month{split}) AS volume_threshold
        FROM customer_months WHERE {where})""",
    ),
}
# Money by method: a sales row without what staff took for it, and each of their payments as a line of its own, with its
# own method. Such a line has collections alone: every other figure is NULL there, and kind too.
BY_METHOD = """(SELECT * REPLACE (collections - paid_here AS collections) FROM sales UNION ALL BY NAME
    SELECT order_id, customer_id, 'CC_2025'::source AS source, store, area, earned_date, payment_type,
        counted AS collections
    FROM payments WHERE NOT b2b AND counted <> 0)"""
# A day's period as a number, and the first day that the number stands for. DuckDB knows the range of such numbers and
# groups by them four times faster than by the dates of date_trunc().
PERIOD = '"#period"'
PERIODS = {
    "day": ("{day}", "{number}"),
    "week": ("({day} - DATE '1970-01-05') // 7", "(DATE '1970-01-05' + ({number} * 7)::INTEGER)"),
    "month": ("year({day}) * 12 + month({day}) - 1", "make_date({number} // 12, {number} % 12 + 1, 1)"),
    "quarter": ("year({day}) * 4 + quarter({day}) - 1", "make_date({number} // 4, {number} % 4 * 3 + 1, 1)"),
}
# The filters that a mart's rows know; `source` and `segment` are its customer's.
FILTERED = {
    "sales": ("store", "area", "source", "payment_type", "segment"),
    "items": ("store", "area", "source", "item_category", "service_type", "segment"),
    "customer_months": ("store", "area", "source", "segment"),
}
_PART = re.compile(r"\{(previous\.)?(\w+)\}")


def _needed(names: list[str]) -> dict[str, Metric]:
    """The metrics named and those their formulas stand on, each once."""
    needed: dict[str, Metric] = {}

    def take(name: str) -> None:
        metric = get(name)
        if name in needed:
            return
        if metric.mart == FORMULA:
            for part in parts_of(metric.sql):
                take(part)
        if metric.legacy_has_none:
            take("legacy_rows")
        needed[name] = metric

    for name in names:
        take(name)
    return needed


def _splits(split: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (split,) if isinstance(split, str) else split or ()


def can_filter(name: str, dimension: str) -> bool:
    """Do all rows that a metric counts know this dimension (a field of Filters)?"""
    counted = [m for m in _needed([name]).values() if m.mart != FORMULA and m.name != "legacy_rows"]
    return all(dimension in FILTERED[m.mart] for m in counted)


def _check(names: list[str], grain: str, splits: tuple[str, ...], filters: Filters) -> None:
    for one in splits:
        if one not in SPLITS:
            raise QueryError(f"There is no split {one!r}: choose one of {', '.join(SPLITS)}.")
    set_to = [d for d in (*SPLITS, "segment") if getattr(filters, d) is not None]
    for name in names:
        metric = get(name)
        if grain not in metric.grains:
            raise QueryError(f"{name} is not counted by {grain}, only by {', '.join(metric.grains)}.")
        for split in splits:
            if split not in metric.splits:
                raise QueryError(
                    f"{name} cannot be split by {split}"
                    + (f", only by {', '.join(metric.splits)}." if metric.splits else ".")
                )
        for dimension in set_to:
            if not can_filter(name, dimension):
                raise QueryError(f"{name} is not counted by {dimension.replace('_', ' ')}.")


def where_of(mart: str, filters: Filters, splits: tuple[str, ...] = ()) -> str:
    """Conditions on a mart's rows; the values are bound as $first, $last, $store ... (bound())."""
    said = [f"{RELATIONS[mart][0]} BETWEEN $first AND $last"]
    if mart == "customer_months" and filters.store is None:
        said.append(f"store <> '{WHOLE}'" if "store" in splits else f"store = '{WHOLE}'")
    for dimension in FILTERED[mart]:
        if getattr(filters, dimension) is None:
            continue
        if dimension == "segment":
            members = "SELECT customer_id FROM rfm WHERE month = $segment_month AND segment = $segment"
            said.append(f"customer_id IN ({members})")
        elif dimension == "source" and mart == "items":
            said.append("customer_id IN (SELECT customer_id FROM customers WHERE source = $source)")
        else:
            said.append(f"{dimension} = ${dimension}")
    return " AND ".join(said)


def relation_of(
    mart: str, filters: Filters, sql: str = "", splits: tuple[str, ...] = (), by_method: bool = False
) -> str:
    """A mart's rows for the figures in `sql`, by method where these, a split or a filter ask for it."""
    by_method = by_method or "payment_type" in (*splits, *re.findall(r"\w+", sql)) or filters.payment_type is not None
    rows = RELATIONS[mart][1]
    if mart == "customer_months" and "_threshold" not in sql:
        rows = "customer_months WHERE {where}"  # DuckDB works out a window that nobody reads
    return rows.format(
        sales=BY_METHOD if by_method else "sales",
        where=where_of(mart, filters, splits),
        split="".join(f", {s}" for s in splits),
    )


def bound(sql: str, filters: Filters, **more) -> dict:
    """The values to bind: of the filters and `more`, those that the SQL names."""
    month = date.fromisoformat(f"{filters.segment_month}-01") if filters.segment_month else None
    known = vars(filters) | {"segment_month": month} | more
    return {name: value for name, value in known.items() if f"${name}" in sql}


def _dated(sql: str, days: dict[str, date]) -> str:
    """SQL with the days that it names written out. With every value that is bound, DuckDB looks for pandas, twice:
    where there is none that takes longer than small questions do."""
    return re.sub(r"\$(\w+)", lambda name: f"DATE '{days[name[1]]}'" if name[1] in days else name[0], sql)


def _mart_tables(mart: str, by_split: dict, grain: str, filters: Filters) -> dict:
    """{own splits: (name, SQL, its set's number)}: one scan for all splits, where a mart's rows are the same for each.

    by_split: own splits -> metrics. Of customer_months other rows and thresholds belong to each split. What is counted
    without repeats costs as much again in every set of a scan, so splits that don't need it have one of their own.
    """
    apart: dict[Split | bool, dict] = {}
    for own, metrics in by_split.items():
        kind = own if mart == "customer_months" else any(m.sql.startswith(_DISTINCT) for m in metrics)
        apart.setdefault(kind, {})[own] = metrics
    if len(apart) > 1:
        return {
            own: (f"by_{mart}_{i}", sql, which)
            for i, some in enumerate(apart.values())
            for own, (_, sql, which) in _mart_tables(mart, some, grain, filters).items()
        }
    date_column = RELATIONS[mart][0]
    columns = {m.name: m.sql for metrics in by_split.values() for m in metrics}
    splits = tuple(s for s in SPLITS if any(s in own for own in by_split))
    relation = relation_of(mart, filters, " ".join(columns.values()), splits)
    number, first_day = (text.format(day=date_column, number=PERIOD) for text in PERIODS[grain])
    sets = ", ".join(f"({', '.join((PERIOD, *own))})" for own in by_split)
    bits = {own: sum(1 << i for i, s in enumerate(reversed(splits)) if s not in own) for own in by_split}
    which = f"grouping({', '.join(splits)})" if splits else "0"
    chosen = "".join(f", {s}::VARCHAR AS by_{s}" for s in splits)
    figures = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    sql = (
        f'SELECT {which} AS "#set", {first_day} AS first_day{chosen}, {figures} '
        f"FROM (SELECT *, {number} AS {PERIOD} FROM {relation}) GROUP BY GROUPING SETS ({sets})"
    )
    return {own: (f"by_{mart}", sql, bits[own]) for own in by_split}


def _expand(name: str, needed: dict[str, Metric], splits: tuple[str, ...]) -> str:
    """A metric as SQL over the joined marts, formulas written out."""
    metric = needed[name]
    if metric.mart != FORMULA:
        said = f"coalesce({name}, 0)" if metric.none_is_zero else name
    else:

        def part(found: re.Match) -> str:
            inner = _expand(found[2], needed, splits)
            if not found[1]:
                return inner
            by = ", ".join(f"by_{s}" for s in splits) or "true"
            return f"lag({inner}) OVER (PARTITION BY {by} ORDER BY first_day)"

        said = f"({_PART.sub(part, metric.sql)})"
    if metric.legacy_has_none:
        said = f"CASE WHEN coalesce(legacy_rows, 0) = 0 THEN {said} END"
    return said


def compile_sql(wanted: dict[Split, list[str]], grain: str, filters: Filters, ranked: bool = False) -> str:
    """The SQL that answers a question, its splits one below the other: every period from $first to $last.

    ranked: below them the customers from $ranked_first to $ranked_last, each a struct "#customer".
    """
    needed = {split: _needed(names) for split, names in wanted.items()}
    marts: dict[str, dict[tuple, dict]] = {}
    for split, metrics in needed.items():
        for metric in metrics.values():
            if metric.mart != FORMULA:
                # A mart without a split (legacy_rows by item category) joins by the period and the other splits alone.
                own = tuple(s for s in _splits(split) if s in metric.splits)
                marts.setdefault(metric.mart, {}).setdefault(own, {})[metric.name] = metric
    tables = {
        mart: _mart_tables(mart, {own: list(m.values()) for own, m in by_split.items()}, grain, filters)
        for mart, by_split in marts.items()
    }
    scans = {name: sql for mart in tables.values() for name, sql, _ in mart.values()}
    with_ = ", ".join(f"{name} AS MATERIALIZED ({sql})" for name, sql in scans.items())
    answers = [
        _answer(i, split, names, needed[split], tables, grain)
        for i, (split, names) in enumerate(wanted.items())
    ]  # fmt: skip
    if ranked:
        spent = _concentration(grain, filters).replace("$first", "$ranked_first").replace("$last", "$ranked_last")
        answers.append(f'SELECT {len(wanted)} AS "#ask", rank AS "#place", one AS "#customer" FROM ({spent}) AS one')
    together = " UNION ALL BY NAME ".join(answers)
    return f'WITH {with_} SELECT * FROM ({together}) ORDER BY "#ask", "#first_day", "#place"'


def _answer(number: int, split: Split, names: list[str], needed: dict, tables: dict, grain: str) -> str:
    """One split's rows: every period and value, with the metrics of the marts joined to them."""
    splits, joins = _splits(split), []
    by_mart: dict[tuple, list[str]] = {}
    for metric in needed.values():
        if metric.mart != FORMULA:
            own = tuple(s for s in splits if s in metric.splits)
            by_mart.setdefault((metric.mart, own), []).append(metric.name)
    for (mart, own), columns in by_mart.items():
        name, _, which = tables[mart][own]
        keys = ["first_day", *(f"by_{s}" for s in own)]
        joins.append(
            f'LEFT JOIN (SELECT {", ".join([*keys, *columns])} FROM {name} WHERE "#set" = {which}) '
            f"USING ({', '.join(keys)})"
        )
    values = "".join(f", (SELECT unnest(enum_range(NULL::{s}))::VARCHAR AS by_{s})" for s in splits)
    chosen = ", ".join(f"{_expand(n, needed, splits)} AS {n}" for n in names)
    by = "".join(f"by_{s} AS {s}, " for s in splits)
    place = " + ".join(f"enum_code(by_{s}::{s}) * {1000**i}" for i, s in enumerate(reversed(splits))) or "0"
    return f"""SELECT {number} AS "#ask", period, {by}{chosen}, first_day AS "#first_day", {place} AS "#place"
    FROM (
        SELECT period, first_day{"".join(f", by_{s}" for s in splits)}
        FROM periods{values} WHERE grain = '{grain}' AND first_day BETWEEN $first AND $last
    ) {" ".join(joins)}"""


def _range(con, grain: str, since: str | None, until: str | None, include_open: bool) -> tuple | None:
    """First day asked for, first day needed (one period earlier, for `previous`) and last day."""
    # Plain rows: asked before every question, where a frame and its filters would cost more than some answers.
    known = con.execute(
        f"SELECT period, first_day, last_day, closed FROM periods WHERE grain = '{grain}' ORDER BY first_day"
    ).fetchall()
    if not known:
        return None
    like = known[-1][0]
    for name in (since, until):
        if name and not re.fullmatch(r"\d{4}-(\d{2}(-\d{2})?|W\d{2}|Q\d)", name):
            raise QueryError(f"{name!r} is no period: write a {grain} like {like}.")
        if name and (len(name) != len(like) or not _is_real(name)):
            raise QueryError(f"{name!r} is no {grain}: write it like {like}.")
    if since and until and since > until:
        raise QueryError(f"{since} comes after {until}: the first period comes first.")
    chosen = [
        i for i, (period, _, _, closed) in enumerate(known)
        if (not since or period >= since) and (period <= until if until else closed or include_open)
    ]  # fmt: skip
    if not chosen:
        return None
    first = chosen[0]
    return known[first][1], known[max(first - 1, 0)][1], known[chosen[-1]][2]


def _is_real(period: str) -> bool:
    """Is there such a day, month, quarter or ISO week? 2026-13 and 2026-W60 are none."""
    try:
        if "W" in period:
            date.fromisocalendar(int(period[:4]), int(period[-2:]), 1)
        elif "Q" in period:
            return period[-1] in "1234"
        else:
            date.fromisoformat(period if len(period) == 10 else f"{period}-01")
    except ValueError:
        return False
    return True


def query(con: duckdb.DuckDBPyConnection, names: list[str], grain: str, *, split: Split = None, **how) -> pl.DataFrame:
    """Values of metrics by period (and by a split's values), the oldest period first.

    Columns: period, the split where there is one (or each of several: ("store", "area")), then one column a metric:
    Int64 for counts, Float64 otherwise, null for no value. Every period from `since` to `until` is there; without
    `until`, up to the last closed one, or the open one with include_open. Raises UnknownMetric or QueryError.
    """
    return ask(con, {split: names}, grain, **how)[split]


def ask(
    con: duckdb.DuckDBPyConnection,
    wanted: dict[Split, list[str]],
    grain: str,
    *,
    since: str | None = None,
    until: str | None = None,
    filters: Filters = Filters(),
    include_open: bool = False,
    ranked: str | None = None,
) -> dict[Split, pl.DataFrame]:
    """query() for several splits in one statement: {split: names} -> {split: frame}.

    ranked: a period; RANKED is then its concentration(), of the same statement.
    """
    wanted = {split: list(dict.fromkeys(names)) for split, names in wanted.items()}
    if grain not in GRAINS:
        raise QueryError(f"There is no grain {grain!r}: choose one of {', '.join(GRAINS)}.")
    for split, names in wanted.items():
        _check(names, grain, _splits(split), filters)
    days = _range(con, grain, since, until, include_open)
    asked = {split: names for split, names in wanted.items() if names}
    found = {
        split: pl.DataFrame(
            schema=dict.fromkeys(["period", *_splits(split)], pl.String) | dict.fromkeys(names, pl.Float64)
        )
        for split, names in wanted.items()
    }
    if days is None or not asked:
        return found | ({RANKED: concentration(con, grain, ranked, filters)} if ranked else {})
    since_day, first, last = days
    _known_values(con, filters)
    more = {"first": first, "last": last}
    if ranked:
        more["ranked_first"], more["ranked_last"] = _days_of(con, grain, ranked)
    sql = _dated(compile_sql(asked, grain, filters, bool(ranked)), more)
    rows = con.execute(sql, bound(sql, filters)).pl()
    if ranked:
        found[RANKED] = rows.filter(pl.col("#ask") == len(asked)).select("#customer").unnest("#customer")
    # Polars plans every frame it makes anew, which costs more than these few rows: once for all splits.
    columns = dict.fromkeys(c for split, names in asked.items() for c in (*_splits(split), *names))
    plain = [_plain(n, rows.schema[n]) if n in METRICS else pl.col(n) for n in columns]
    rows = rows.lazy().filter(pl.col("#first_day") >= since_day).select("#ask", "period", *plain).collect()
    asks = rows["#ask"].to_list()
    for i, (split, names) in enumerate(asked.items()):
        own = rows[bisect_left(asks, i) : bisect_left(asks, i + 1)]
        keys = [own[c] for c in ("period", *_splits(split))]
        found[split] = pl.DataFrame([*keys, *(_whole(own[n]) if METRICS[n].unit == "count" else own[n] for n in names)])
    return found


def _known_values(con, filters: Filters) -> None:
    for column in SPLITS:
        value = getattr(filters, column)
        if value is not None:
            known = values(con, column)
            if value not in known:
                raise QueryError(f"There is no {column} {value!r}: choose one of {', '.join(known)}.")


def _plain(name: str, kind: pl.DataType) -> pl.Expr:
    """A metric's values as plain numbers, money to the fils."""
    floats = pl.col(name).cast(pl.Float64)
    return floats.round(2) if METRICS[name].unit == "money" and isinstance(kind, pl.Decimal) else floats


def _whole(values: pl.Series) -> pl.Series:
    """Counts as whole numbers where all of them are (kilograms are not)."""
    known = values.to_list()
    if all(v is None or v.is_integer() for v in known):
        return pl.Series(values.name, [None if v is None else int(v) for v in known], pl.Int64)
    return values


# Receivables -----------------------------------------------------------------------------------------------------

# Credit sales: neither paid on the day the order was placed nor paid on a day nobody knows.
ON_CREDIT = "NOT paid OR coalesce(payment_date <> coalesce(placed, earned_date), false)"
LEDGER = """WITH kept AS MATERIALIZED (
    SELECT * FROM (
        SELECT order_id, customer_id, store::VARCHAR AS store, coalesce(placed, earned_date) AS since, earned_date,
            total, balance, {on_credit} AS on_credit
        FROM sales WHERE kind = 'Order' AND source = 'CC_2025' AND {where}
    ) WHERE balance > 0 OR (on_credit AND earned_date > least($as_of - {days}, $start))
)
SELECT 'open' AS what, kept.store, order_id, customer_id, coalesce(name, customer_id) AS name, since AS placed,
    since + $terms AS due, date_diff('day', since, $as_of) AS days, balance
FROM kept JOIN customers USING (customer_id) WHERE balance > 0
UNION ALL BY NAME
SELECT 'credit' AS what, store, sum(total) AS balance FROM kept
WHERE on_credit AND earned_date > $as_of - {days} AND earned_date <= $as_of GROUP BY store
UNION ALL BY NAME
SELECT 'since' AS what, store, sum(total) AS balance FROM kept
WHERE on_credit AND earned_date > $start AND earned_date <= $as_of GROUP BY store
UNION ALL BY NAME
SELECT 'business' AS what, o.store::VARCHAR AS store, count(*) AS days, sum(balance) AS balance
{business} GROUP BY o.store"""
_BUSINESS = {"store": "o.store", "area": "c.area", "source": "c.source", "payment_type": "o.payment_type"}
_ORDERS = {
    "order_id": pl.String, "customer_id": pl.String, "name": pl.String, "store": pl.String, "placed": pl.Date,
    "due": pl.Date, "days": pl.Int64, "balance": pl.Decimal(38, 2),
}  # fmt: skip


def ledger(con: duckdb.DuckDBPyConnection, filters: Filters = Filters()) -> Ledger:
    """The open orders on the exports' date, and what DSO and collection effectiveness are made of, in one question.

    A CleanCloud order of a consumer is open when it is earned and has a balance; the old system's are assumed paid.
    Raises QueryError for a filter on items, which say nothing about what is owed.
    """
    _known_values(con, filters)
    for dimension in ("item_category", "service_type"):
        if getattr(filters, dimension) is not None:
            raise QueryError(f"What is owed is not counted by {dimension.replace('_', ' ')}.")
    facts = meta(con)
    as_of = date.fromisoformat(facts["as_of"])
    records = con.execute(
        "SELECT as_of, store::VARCHAR AS store, total, not_yet_due FROM receivables ORDER BY as_of, store"
    ).pl()
    start, why = _start(records, as_of, filters)
    sql = LEDGER.format(on_credit=ON_CREDIT, where=where_of("sales", filters), days=DAYS, business=_business(filters))
    terms = int(facts["payment_terms_days"])
    more = {"first": date.min, "last": date.max, "as_of": as_of, "terms": terms, "start": start or as_of}
    rows = con.execute(sql, bound(sql, filters, **more)).pl()
    sums = {what: _by_store(rows.filter(pl.col("what") == what)) for what in ("credit", "since", "business")}
    counts = dict(rows.filter(pl.col("what") == "business").select("store", "days").iter_rows())
    orders = rows.filter(pl.col("what") == "open").select([pl.col(n).cast(t) for n, t in _ORDERS.items()])
    return Ledger(
        as_of, WHOLE, (filters.store,) if filters.store else (WHOLE, *values(con, "store")),
        orders.with_columns(bucket().alias("bucket")).sort("placed", "order_id"),
        sums["credit"], sums["since"], {s: (counts[s], amount) for s, amount in sums["business"].items()},
        records, start, why,
    )  # fmt: skip


def _business(filters: Filters) -> str:
    """FROM and WHERE of business accounts' unpaid earned orders."""
    said = ["o.b2b", "cleaned IS NOT NULL", "balance > 0"]
    said += [f"{column} = ${d}" for d, column in _BUSINESS.items() if getattr(filters, d) is not None]
    said += ["false"] if filters.segment else []  # business accounts are in no segment
    return f"FROM orders AS o JOIN customers AS c USING (customer_id) WHERE {' AND '.join(said)}"


def business_orders(con: duckdb.DuckDBPyConnection, filters: Filters = Filters()) -> pl.DataFrame:
    """Business accounts' unpaid earned orders on the exports' date: the columns of Ledger.orders, the oldest first.

    Filtered by store, area, source and payment type; business accounts are in no RFM segment.
    """
    _known_values(con, filters)
    facts = meta(con)
    sql = f"""SELECT order_id, customer_id, coalesce(name, customer_id) AS name, o.store::VARCHAR AS store,
        coalesce(placed, cleaned) AS placed, coalesce(placed, cleaned) + $terms AS due,
        date_diff('day', coalesce(placed, cleaned), $as_of) AS days, balance
    {_business(filters)}"""
    terms, as_of = int(facts["payment_terms_days"]), date.fromisoformat(facts["as_of"])
    rows = con.execute(sql, bound(sql, filters, as_of=as_of, terms=terms)).pl()
    rows = rows.select([pl.col(n).cast(t) for n, t in _ORDERS.items()])
    return rows.with_columns(bucket().alias("bucket")).sort("placed", "order_id")


def _by_store(rows: pl.DataFrame) -> dict:
    return dict(rows.select("store", "balance").iter_rows())


def _start(records: pl.DataFrame, as_of: date, filters: Filters) -> tuple[date | None, str]:
    """The day on record that collection effectiveness starts from, or why there is none."""
    if replace(filters, store=None) != Filters():
        return None, "What was owed before is on record for the business and each store only."
    start = start_of(records["as_of"], as_of)
    aim = f"{as_of - timedelta(DAYS):%-d %b %Y}"
    return start, "" if start else f"What was owed around {aim} is not on record: every refresh keeps it from now on."


def receivables(con: duckdb.DuckDBPyConnection, filters: Filters = Filters()) -> dict:
    """What customers owe on the exports' date: {as_of, orders, amount, customers, aging: {bucket: [orders, amount]}}.

    Of the open orders of ledger(), aged by the days since each was placed, or earned where that day is missing. amount
    is in the business's currency; every bucket is there.
    """
    found = ledger(con, filters)
    return summary(found.orders, found.as_of)


def receivables_by_store(con: duckdb.DuckDBPyConnection, filters: Filters = Filters()) -> dict[str, dict]:
    """receivables() of every store with something owed, and of "All stores", in one question."""
    found = ledger(con, filters)
    stores = {name[0]: orders for name, orders in found.orders.group_by("store", maintain_order=True)}
    return {store: summary(orders, found.as_of) for store, orders in {WHOLE: found.orders, **stores}.items()}


# Concentration ---------------------------------------------------------------------------------------------------


def concentration(
    con: duckdb.DuckDBPyConnection, grain: str, period: str, filters: Filters = Filters()
) -> pl.DataFrame:
    """Every active customer of a period by revenue, the largest first, then by customer ID.

    Columns: rank (1 ..), customer_id, name (the ID where it is unknown), revenue (money), share and cumulative_share
    of all revenue (null when there was none). Months come from customer_months, other periods (and a filter that only
    sales have) from sales. Raises QueryError for a period that is not in the data.
    """
    _known_values(con, filters)
    first, last = _days_of(con, grain, period)
    sql = _dated(_concentration(grain, filters), {"first": first, "last": last})
    return con.execute(sql, bound(sql, filters)).pl()


def _days_of(con: duckdb.DuckDBPyConnection, grain: str, period: str) -> tuple[date, date]:
    """The first and the last day of a period. Raises QueryError for one that is not in the data."""
    known = {row[0]: row[1:] for row in periods(con, grain).select("period", "first_day", "last_day").iter_rows()}
    if period not in known:
        reach = f": it has {min(known)} to {max(known)}." if known else "."
        raise QueryError(f"There is no {grain} {period!r} in the data{reach}")
    return known[period]


def _concentration(grain: str, filters: Filters) -> str:
    """The SQL of concentration(), from $first to $last."""
    mart = "customer_months" if grain == "month" and filters.payment_type is None else "sales"
    for dimension in (*SPLITS, "segment"):
        if getattr(filters, dimension) is not None and dimension not in FILTERED[mart]:
            raise QueryError(f"Concentration is not counted by {dimension.replace('_', ' ')}.")
    rows = f"{mart} WHERE {where_of(mart, filters)}" + (f" AND {NO_INVOICE}" if mart == "sales" else "")
    revenue = "sum(total)" if mart == "sales" else "sum(revenue)"
    return f"""WITH spent AS (SELECT customer_id, {revenue} AS revenue FROM {rows} GROUP BY customer_id)
    SELECT row_number() OVER by_size AS rank, customer_id, coalesce(name, customer_id) AS name,
        revenue::DOUBLE AS revenue, revenue::DOUBLE / nullif(sum(revenue) OVER (), 0) AS share,
        (sum(revenue) OVER by_size)::DOUBLE / nullif(sum(revenue) OVER (), 0) AS cumulative_share
    FROM spent JOIN customers USING (customer_id)
    WINDOW by_size AS (ORDER BY revenue DESC, customer_id) ORDER BY rank"""


# Behind a number -------------------------------------------------------------------------------------------------

# A threshold among customers: what each of them has, of which it is the threshold.
EACH = {"spend_threshold": "sum(revenue)", "volume_threshold": "sum(items)"}
PAID_HERE = "Paid here"  # the kind of a payment that staff recorded: a line of BY_METHOD
# What the rows of a mart say for themselves: name in the answer -> SQL. `value` and the customer's name come to it.
ROWS = {
    "sales": {
        "order_id": "r.order_id", "earned_date": "r.earned_date", "customer_id": "r.customer_id", "name": "c.name",
        "kind": f"coalesce(r.kind::VARCHAR, '{PAID_HERE}')", "store": "r.store::VARCHAR", "area": "r.area::VARCHAR",
        "placed": "r.placed", "payment_type": "r.payment_type::VARCHAR", "delivery": "r.delivery", "pickup": "r.pickup",
        "pieces": "r.pieces", "total": "r.total", "collections": "r.collections",
    },
    "items": {
        "order_id": "r.order_id", "item_no": "r.item_no", "earned_date": "r.earned_date",
        "customer_id": "r.customer_id", "name": "c.name", "store": "r.store::VARCHAR", "area": "r.area::VARCHAR",
        "item": "r.item", "item_category": "r.item_category::VARCHAR", "service_type": "r.service_type::VARCHAR",
        "express": "r.express", "quantity": "r.quantity", "total": "r.total",
    },
}  # fmt: skip
CUSTOMER = ("customer_id", "name", "store", "area", "value")
_AGGREGATE = re.compile(r"(sum|avg|count)\((?:DISTINCT )?(.*)\)")
_DISTINCT = "count(DISTINCT"


@dataclass(frozen=True)
class Behind:
    """Some of the rows behind a number. total: how many there are; together: the sum of their values, or None where
    values don't add up; mart: whose rows they are."""

    frame: pl.DataFrame
    total: int
    together: float | int | None
    mart: str


def is_ratio(name: str) -> bool:
    """Is a metric's value something over something, a mean or a threshold? Then 0 is a value like any other."""
    metric = get(name)
    return "/" in metric.sql if metric.mart == FORMULA else metric.sql.startswith(("avg", "any_value"))


def looks_back(name: str) -> bool:
    """Does a formula use the period before? Then no single customer has a value of it."""
    metric = get(name)
    if metric.mart != FORMULA:
        return False
    return "{previous." in metric.sql or any(looks_back(part) for part in parts_of(metric.sql))


def direct_parts(name: str) -> dict[str, tuple[str, bool]]:
    """The parts a formula names, once each: column -> (metric, of the period before?). Empty for any other metric."""
    metric = get(name)
    found = [] if metric.mart != FORMULA else [(m[2], bool(m[1])) for m in _PART.finditer(metric.sql)]
    return {("before_" if before else "") + part: (part, before) for part, before in found}


def counts_customers(name: str) -> bool:
    """Is a metric a number of customers? Each of them then counts for 1."""
    metric = get(name)
    if metric.mart == FORMULA:
        return "/" not in metric.sql and all(counts_customers(part) for part in parts_of(metric.sql))
    return metric.sql.startswith(_DISTINCT) or (metric.mart == "customer_months" and metric.sql.startswith("count(*)"))


def shown_parts(name: str) -> dict[str, tuple[str, bool]]:
    """The columns that by_customer() gives beside the value, as direct_parts(); revenue where each counts for 1."""
    return {"revenue": ("revenue", False)} if counts_customers(name) else direct_parts(name)


def _written(name: str, leaf, before: bool = False) -> str:
    """A metric as SQL, its formulas written out; leaf(metric, of the period before?) says each one they stand on."""
    metric = get(name)
    if metric.mart != FORMULA:
        return leaf(metric, before)
    return f"({_PART.sub(lambda m: _written(m[2], leaf, before or bool(m[1])), metric.sql)})"


def _leaves(name: str, before: bool = False) -> dict[tuple[str, bool], Metric]:
    """The metrics a metric stands on in the end, itself where it is no formula: {(name, before?): metric}."""
    metric = get(name)
    if metric.mart != FORMULA:
        return {(name, before): metric}
    return {k: m for part, back in direct_parts(name).values() for k, m in _leaves(part, before or back).items()}


def _each_customer(name: str, filters: Filters) -> str:
    """SQL: a row a customer behind a metric: customer_id, value, and a column for each part of a formula."""
    scans: dict[tuple[str, bool], dict[str, str]] = {}
    leaves = _leaves(name)
    for part, before in shown_parts(name).values():
        leaves = leaves | _leaves(part, before)
    for (leaf, before), metric in leaves.items():
        scans.setdefault((metric.mart, before), {})[leaf] = EACH.get(leaf, metric.sql)

    def column(metric: Metric, before: bool) -> str:
        said = f"{'before' if before else 'of'}_{metric.name}"
        return f"coalesce({said}, 0)" if metric.none_is_zero else said

    tables = []
    for (mart, before), columns in scans.items():
        relation = relation_of(mart, filters, " ".join(columns.values()))
        if before:
            relation = relation.replace("$first", "$before_first").replace("$last", "$before_last")
        figures = ", ".join(f"{sql} AS {'before' if before else 'of'}_{leaf}" for leaf, sql in columns.items())
        tables.append(f"(SELECT customer_id, {figures} FROM {relation} GROUP BY customer_id)")
    joined = tables[0] + "".join(f" FULL JOIN {table} USING (customer_id)" for table in tables[1:])
    # A customer belongs to one system, and the old one kept neither items nor payments.
    parts = {
        alias: f"CASE WHEN c.source <> 'Legacy' THEN {said} END" if get(part).legacy_has_none else said
        for alias, (part, before) in ({"value": (name, False)} | shown_parts(name)).items()
        for said in [_written(part, column, before)]
    }
    if looks_back(name):
        parts["value"] = "NULL::DOUBLE"
    said = ", ".join(f"{sql} AS {alias}" for alias, sql in parts.items())
    if looks_back(name):
        counts = " OR ".join(f"coalesce({alias}, 0) <> 0" for alias in parts if alias != "value")
    else:
        counts = "value IS NOT NULL" if is_ratio(name) else "value <> 0"
    return (
        f"SELECT * FROM (SELECT customer_id, c.name, c.store::VARCHAR AS store, c.area::VARCHAR AS area, {said} "
        f"FROM {joined} JOIN customers AS c USING (customer_id)) WHERE {counts}"
    )


def row_mart(name: str) -> str:
    """The mart whose rows are shown for a metric: its own, a formula's first part's. A customer's month is shown as
    the sales rows of that month, or as its items where they are what is summed."""
    metric = get(name)
    if metric.mart == FORMULA:
        return row_mart(parts_of(metric.sql)[0])
    if metric.mart == "customer_months":
        return "items" if EACH.get(name, metric.sql).startswith("sum(items)") else "sales"
    return metric.mart


def _of_a_row(metric: Metric) -> str:
    """What one row adds to a metric: its aggregate's argument, where the metric counts the row."""
    aggregate = metric.sql.partition(" FILTER (")[0]
    kind, argument = _AGGREGATE.fullmatch(aggregate).groups()
    said = "1" if kind == "count" else argument
    said = f"CASE WHEN {metric.where} THEN {said} END" if metric.where else said
    return f"coalesce({said}, 0)" if metric.none_is_zero else said


def _row_value(name: str) -> str | None:
    """A row's own value, where the rows' values add up to the metric (or are what it is the mean of); else None."""
    metric = get(name)
    if metric.mart == "customer_months":
        aggregate = EACH.get(name, metric.sql).partition(" FILTER (")[0]
        return {"sum(revenue)": "total", "sum(items)": "quantity"}.get(aggregate)
    leaves = _leaves(name).values()
    if "/" in metric.sql or any(m.mart != row_mart(name) or m.sql.startswith(_DISTINCT) for m in leaves):
        return None
    return _written(name, lambda metric, before: _of_a_row(metric))


def row_says_more(name: str) -> bool:
    """Does a row's value say what no other column does? A sum of one column doesn't, nor does a count."""
    metric = get(name)
    return _row_value(name) is not None and (metric.mart == FORMULA or metric.sql.startswith("avg"))


def _counted(name: str, mart: str, filters: Filters) -> str:
    """The condition on a mart's rows: those that a metric counts."""
    metric = get(name)
    members = f"customer_id IN (SELECT customer_id FROM ({_each_customer(name, filters)}))"
    value = _row_value(name)
    if metric.mart == "customer_months":
        adds = f" AND {value} <> 0" if value and not is_ratio(name) else ""
        return f"({NO_INVOICE} AND {members}{adds})" if mart == "sales" else f"({members}{adds})"
    if metric.mart != FORMULA:
        if metric.sql.startswith(_DISTINCT):
            return f"({metric.where or 'true'})"
        said = _of_a_row(metric)
        return f"{said} <> 0" if metric.none_is_zero else f"{said} IS NOT NULL"
    if value:
        return f"{value} <> 0"
    parts = [p for p, before in direct_parts(name).values() if not before and row_mart(p) == mart]
    either = f"({' OR '.join(_counted(part, mart, filters) for part in parts)})"
    return either if is_ratio(name) else f"({either} AND {members})"


def _page_sql(inner: str, columns, sort: str, descending: bool, ties: str, how: dict) -> str:
    """One page of an inner query: searched, of one customer, sorted by a column of a closed list."""
    if sort not in columns:
        raise QueryError(f"There is no column {sort!r} to sort by: choose one of {', '.join(columns)}.")
    found = [f"contains(lower({c}), lower($search))" for c in ("order_id", "customer_id", "name") if c in columns]
    conditions = [f"({' OR '.join(found)})"] if how.get("search") else []
    conditions += ["customer_id = $customer"] if how.get("customer") else []
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    page = "" if how.get("limit") is None else f" LIMIT {int(how['limit'])} OFFSET {int(how.get('offset', 0))}"
    order = f'ORDER BY "{sort}" {"DESC" if descending else "ASC"} NULLS LAST, {ties}'
    return f'WITH found AS MATERIALIZED (SELECT * FROM ({inner}){where}) SELECT *, ' \
        f'(SELECT count(*) FROM found) AS "#total", (SELECT sum(value) FROM found) AS "#sum" ' \
        f'FROM found {order}{page}'  # fmt: skip


def _behind(con, name, grain, period, filters, inner: str, columns, sort, descending, ties, how) -> Behind:
    unknown = set(how) - {"search", "customer", "limit", "offset"}
    if unknown:
        raise TypeError(f"unknown argument {unknown.pop()!r}")
    if grain not in GRAINS:
        raise QueryError(f"There is no grain {grain!r}: choose one of {', '.join(GRAINS)}.")
    _check([name], grain, (), filters)
    _known_values(con, filters)
    days = _range(con, grain, period, period, True)
    if days is None:
        raise QueryError(f"There is no {grain} {period!r} in the data.")
    first, before, last = days
    sql = _page_sql(inner, columns, sort, descending, ties, how)
    more = {"first": first, "last": last, "before_first": before, "before_last": first - timedelta(days=1)}
    more |= {name: how.get(name) for name in ("search", "customer")}
    frame = con.execute(sql, bound(sql, filters, **more)).pl()
    if frame.is_empty() and how.get("offset"):
        return _behind(con, name, grain, period, filters, inner, columns, sort, descending, ties, how | {"offset": 0})
    total = frame["#total"][0] if len(frame) else 0
    adds_up = not is_ratio(name) and not looks_back(name) and frame["value"].dtype != pl.Null
    together = frame["#sum"][0] if len(frame) and adds_up else None
    return Behind(frame.drop("#total", "#sum"), total, together, row_mart(name))


def by_customer(
    con: duckdb.DuckDBPyConnection,
    name: str,
    grain: str,
    period: str,
    filters: Filters = Filters(),
    *,
    sort: str = "value",
    descending: bool = True,
    **how,
) -> Behind:
    """The customers behind a metric in a period, each with the metric's value for that customer alone.

    Columns: customer_id, name, store and area (the customer's own), value, and one a part of a formula ("before_x":
    x of the period before), or revenue where the metric counts customers. Only customers who add to it: a value other
    than 0, of a ratio any value. A formula that looks back has no value a customer, only parts; a threshold shows what
    it is the threshold of. The values of an additive metric, and of a count of customers, add up to the metric.

    how: search (part of an ID or name), customer (one ID), limit, offset; an offset past the end gives the first
    page. Raises QueryError for a grain, period, filter or sort column that doesn't fit, UnknownMetric.
    """
    columns = (*CUSTOMER, *shown_parts(name))
    if sort == "value" and looks_back(name):
        sort = next(iter(shown_parts(name)))
    inner = _each_customer(name, filters)
    return _behind(con, name, grain, period, filters, inner, columns, sort, descending, "customer_id", how)


def rows(
    con: duckdb.DuckDBPyConnection,
    name: str,
    grain: str,
    period: str,
    filters: Filters = Filters(),
    *,
    sort: str = "earned_date",
    descending: bool = True,
    **how,
) -> Behind:
    """The sales or item rows that a metric counts in a period (Behind.mart says which), in the columns of ROWS[mart].

    `value` is what the row adds to the metric, null where rows don't add up to it (ratios, counts of customers). Rows
    that add nothing are left out. A formula: the rows of its first part's mart that any of its parts counts; of a
    difference what remains. A figure of customers' months: those customers' rows. `how` and errors: by_customer().
    """
    mart = row_mart(name)
    said = ", ".join(f"{sql} AS {column}" for column, sql in ROWS[mart].items())
    value = _row_value(name) or "NULL"
    money = get(name).sql.startswith("sum(collections)")  # each amount by its own method, as it came in
    relation = relation_of(mart, filters, value, by_method=money)
    counted = f"SELECT *, {value} AS value FROM {relation} AND {_counted(name, mart, filters)}"
    inner = f"SELECT {said}, r.value FROM ({counted}) AS r JOIN customers AS c ON c.customer_id = r.customer_id"
    # An order has several lines where staff took money for it.
    ties = "order_id, payment_type, value" if mart == "sales" else "order_id, item_no"
    columns = (*ROWS[mart], "value")
    return _behind(con, name, grain, period, filters, inner, columns, sort, descending, ties, how)


# Customers -------------------------------------------------------------------------------------------------------
# All of it is of the whole business: a Snapshot refuses it to a person restricted to one store.

COHORT_MONTHS = 7  # months 0 to 6
# Who is on the call list, in numbers and in words: the words are shown with it.
CALL = {"order_days": 4, "weeks": 4, "top": 1 / 3, "alive": 0.5, "gaps": 3, "quiet_days": 14, "last_days": 120}
CALL_LIST = (
    "CleanCloud customers with at least {order_days} order days over at least {weeks} weeks, in the top third of them "
    "by revenue a month, who go quiet: the probability that they still come is under 50 %, or they have not ordered "
    "for more than {gaps} times their usual gap and at least {quiet_days} days. Their last order was earned at most "
    "{last_days} days ago, and none of theirs is in work now. Those who brought most a month come first."
).format_map(CALL)


def _month(con: duckdb.DuckDBPyConnection, month: str | None) -> date | None:
    """The first day of a month of the build ("2026-02"; None: the last closed one, None if there is none)."""
    known = con.execute(
        "SELECT period, first_day, closed FROM periods WHERE grain = 'month' ORDER BY first_day"
    ).fetchall()
    if month is None:
        return next((first for _, first, closed in reversed(known) if closed), None)
    found = {period: first for period, first, _ in known}
    if month not in found:
        reach = f": it has {known[0][0]} to {known[-1][0]}." if known else "."
        raise QueryError(f"There is no month {month!r} in the data{reach}")
    return found[month]


def rfm(con: duckdb.DuckDBPyConnection, month: str | None = None) -> pl.DataFrame:
    """RFM of a month ("2026-02"; by default the last closed one), the highest revenue first, then by customer ID.

    Columns: customer_id, name (null where unknown), store, recency_days, frequency (orders), monetary (money), r, f, m
    (1 to 5), segment. Raises QueryError for a month that is not in the data.
    """
    return con.execute(
        """SELECT customer_id, name, store::VARCHAR AS store, recency_days, frequency, monetary::DOUBLE AS monetary,
            r, f, m, segment
        FROM rfm JOIN customers USING (customer_id) WHERE month = ? ORDER BY rfm.monetary DESC, customer_id""",
        [_month(con, month)],
    ).pl()


def segments(con: duckdb.DuckDBPyConnection, month: str | None = None) -> pl.DataFrame:
    """The RFM segments of a month (by default the last closed one), in the order of SEGMENTS, empty ones too.

    Columns: segment, customers, revenue (money, of the 6 months), and means a customer, null of an empty segment:
    recency_days, frequency (orders), monetary (money). Raises QueryError for a month that is not in the data.
    """
    rows = con.execute(
        """SELECT segment, count(*) AS customers, sum(monetary)::DOUBLE AS revenue, avg(recency_days) AS recency_days,
            avg(frequency) AS frequency, sum(monetary)::DOUBLE / count(*) AS monetary
        FROM rfm WHERE month = ? GROUP BY segment""",
        [_month(con, month)],
    ).pl()
    every = pl.DataFrame({"segment": [segment.name for segment in SEGMENTS]})
    return every.join(rows, on="segment", how="left", maintain_order="left").with_columns(
        pl.col("customers").fill_null(0), pl.col("revenue").fill_null(0.0)
    )


def clv(con: duckdb.DuckDBPyConnection) -> dict[str, float | None]:
    """Simple CLV of everyone who ever bought, by customers.simple_clv(): avg_monthly_rev, avg_lifespan, simple_clv."""
    rows = con.execute("SELECT revenue::DOUBLE AS revenue, lifespan_months FROM lifetimes").fetchnumpy()
    return simple_clv(rows["revenue"], rows["lifespan_months"])


def cohorts(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Active customers of each cohort month in months 0 to 6 after it; one row a closed month, the oldest first.

    Columns: cohort_month ("2026-02") and "0" to "6" (customers; null where that month is not over, 0 where it is but
    nobody came). Cohorts from before the data begins have no row: their first months are not in it.
    """
    counts = ", ".join(
        f"""max(coalesce(customers, 0)) FILTER (since = {i} AND first_day + to_months({i}) <= last)::BIGINT AS "{i}\""""
        for i in range(COHORT_MONTHS)
    )
    return con.execute(
        f"""WITH months AS (
            SELECT period, first_day, max(first_day) OVER () AS last FROM periods WHERE grain = 'month' AND closed
        )
        SELECT period AS cohort_month, {counts}
        FROM months CROSS JOIN range({COHORT_MONTHS}) AS steps (since)
        LEFT JOIN cohorts ON cohort_month = first_day AND months_since_cohort = since
        GROUP BY period ORDER BY period"""
    ).pl()


# A customer's last order day follows from the model's own dates; what they have in work was placed on it or later.
_LIFETIMES = """
WITH today AS (SELECT value::DATE AS as_of FROM meta WHERE key = 'as_of'),
told AS (
    SELECT
        l.customer_id, c.name, c.phone, c.store::VARCHAR AS store, f.segment, l.first_earned, l.last_earned,
        l.lifespan_months, l.revenue::DOUBLE AS revenue, l.monthly_revenue, l.repeat_days + 1 AS order_days,
        as_of - round((l.age_weeks - l.recency_weeks) * 7)::INTEGER AS last_order,
        round((l.age_weeks - l.recency_weeks) * 7)::INTEGER AS days_since,
        l.recency_weeks * 7 / nullif(l.repeat_days, 0) AS usual_gap, l.recency_weeks, l.mean_value, l.alive,
        l.expected_purchases, l.expected_value
    FROM lifetimes AS l
    JOIN customers AS c USING (customer_id)
    LEFT JOIN rfm AS f ON f.customer_id = l.customer_id AND f.month = $month
    CROSS JOIN today
)"""


def lifetimes(con: duckdb.DuckDBPyConnection, *, customer: str | None = None, limit: int | None = None) -> pl.DataFrame:
    """What customers were and may be worth; those of the highest expected value first, then of the highest revenue.

    `customer`: of that ID alone; `limit`: so many rows. Columns: customer_id, name, phone, store (of the customer),
    segment (RFM of the last closed month, null: not active in its 6 months), first_earned, last_earned,
    lifespan_months, revenue (money, of all time), monthly_revenue (money), and for CleanCloud customers with an earned
    order, else null: order_days, last_order (date), days_since, usual_gap (days, null with one order day),
    recency_weeks, mean_value (money a repeat day), alive (0 to 1, null with one order day), expected_purchases (order
    days) and expected_value (money) in the next 12 weeks.
    """
    where = "WHERE customer_id = $customer" if customer else ""
    given = {"month": _month(con, None)} | ({"customer": customer} if customer else {})
    return con.execute(
        f"{_LIFETIMES} SELECT * FROM told {where} ORDER BY expected_value DESC NULLS LAST, revenue DESC, customer_id "
        f"LIMIT {'ALL' if limit is None else int(limit)}",
        given,
    ).pl()


def call_list(
    con: duckdb.DuckDBPyConnection,
    *,
    store: str | None = None,
    segment: str | None = None,
    min_value: float | None = None,
) -> pl.DataFrame:
    """Valuable customers who go quiet, as CALL_LIST says, the highest revenue a month first; columns as lifetimes().

    Of customers of `store`, in the RFM `segment` of the last closed month, with at least `min_value` of revenue. Who is
    in the top third is said of the whole business, whatever is asked for. Raises QueryError for an unknown store or
    segment.
    """
    _known_values(con, Filters(store=store))
    if segment is not None and segment not in {known.name for known in SEGMENTS}:
        raise QueryError(f"There is no segment {segment!r}: choose one of {', '.join(s.name for s in SEGMENTS)}.")
    asked = {"store = $store": store, "segment = $segment": segment, "revenue >= $min_value": min_value}
    given = {"month": _month(con, None)} | {k.split("$")[1]: v for k, v in asked.items() if v is not None}
    chosen = "".join(f" AND {condition}" for condition, value in asked.items() if value is not None)
    return con.execute(
        f"""{_LIFETIMES}, regulars AS (
            SELECT *, quantile_cont(monthly_revenue, {1 - CALL["top"]}) OVER () AS threshold FROM told
            WHERE order_days >= {CALL["order_days"]} AND recency_weeks >= {CALL["weeks"]}
        )
        SELECT * EXCLUDE (threshold) FROM regulars
        WHERE monthly_revenue >= threshold AND days_since <= {CALL["last_days"]}
            AND (alive < {CALL["alive"]} OR days_since > greatest({CALL["gaps"]} * usual_gap, {CALL["quiet_days"]}))
            AND NOT EXISTS (
                FROM sales AS s
                WHERE s.customer_id = regulars.customer_id AND s.earned_date IS NULL AND s.placed >= last_order
            ){chosen}
        ORDER BY monthly_revenue DESC, customer_id""",
        given,
    ).pl()


def expected_by_segment(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """What the customers of each RFM segment of the last closed month may bring in the next 12 weeks.

    Columns: segment (null: in none of them), customers, value (money). Without a model there is no row.
    """
    return con.execute(
        """SELECT segment, count(*) AS customers, sum(expected_value) AS value
        FROM lifetimes AS l LEFT JOIN rfm AS r ON r.customer_id = l.customer_id AND r.month = ?
        WHERE expected_value IS NOT NULL GROUP BY segment""",
        [_month(con, None)],
    ).pl()


def lifetime_summary(con: duckdb.DuckDBPyConnection) -> dict:
    """The models' word on all CleanCloud customers with an earned order, on the exports' date.

    customers (modelled), repeat_customers (2 order days or more), one_day (a single one), alive (how many of the repeat
    customers still come: the sum of their probabilities), expected_purchases (order days) and expected_value (money) of
    all in the next 12 weeks, None where there is no model; model: lifetime_model of meta (see customers.lifetimes()).
    """
    names = ("customers", "repeat_customers", "one_day", "alive", "expected_purchases", "expected_value")
    row = con.execute(
        """SELECT count(*), count(*) FILTER (repeat_days > 0), count(*) FILTER (repeat_days = 0), sum(alive),
            sum(expected_purchases), sum(expected_value)
        FROM lifetimes WHERE repeat_days IS NOT NULL"""
    ).fetchone()
    model = con.execute("SELECT value FROM meta WHERE key = 'lifetime_model'").fetchone()
    return dict(zip(names, row, strict=True)) | {"model": json.loads(model[0]) if model else {}}


# One customer ----------------------------------------------------------------------------------------------------

# Everything a customer ever had: sales rows, a business account's orders, and item lines whose order is not in Orders.
HISTORY = """
    SELECT order_id, kind::VARCHAR AS kind, source::VARCHAR AS source, store::VARCHAR AS store, placed, earned_date,
        collected, delivery, pickup, pieces::DOUBLE AS pieces, total,
        CASE WHEN source <> 'Legacy' THEN collections END AS collections,  -- the old system kept no payments
        CASE WHEN source <> 'Legacy' THEN paid END AS paid, payment_type::VARCHAR AS payment_type, payment_date,
        balance
    FROM sales WHERE customer_id = $customer{store}
    UNION ALL BY NAME
    SELECT order_id, 'Order' AS kind, 'CC_2025' AS source, store::VARCHAR AS store, placed, cleaned AS earned_date,
        collected, delivery, pickup_date IS NOT NULL AS pickup, pieces::DOUBLE AS pieces, total, paid,
        payment_type::VARCHAR AS payment_type, payment_date, balance
    FROM orders WHERE b2b AND customer_id = $customer{store}
    UNION ALL BY NAME
    SELECT order_id, 'Items alone' AS kind, 'CC_2025' AS source, store::VARCHAR AS store, min(placed) AS placed,
        min(earned_date) AS earned_date, sum(quantity)::DOUBLE AS pieces
    FROM items WHERE orphan AND customer_id = $customer{store} GROUP BY order_id, items.store"""
HISTORY_COLUMNS = (
    "order_id", "kind", "source", "store", "placed", "earned_date", "collected", "delivery", "pickup", "pieces",
    "total", "collections", "paid", "payment_type", "payment_date",
)  # fmt: skip


def _of_one(con, sql: str, customer_id: str, store: str | None, **more) -> pl.DataFrame:
    """An answer about one customer: {store} in the SQL keeps to the rows of one store."""
    sql = sql.replace("{store}", " AND store = $store" if store else "")
    known = {"customer": customer_id, "store": store} | more
    return con.execute(sql, {name: value for name, value in known.items() if f"${name}" in sql}).pl()


def customer(con: duckdb.DuckDBPyConnection, customer_id: str, store: str | None = None) -> dict | None:
    """Who a customer is and what they did in all; with `store` only what they did there. None: there is no such one
    (in that store: neither theirs nor with a row there).

    customer_id, name, phone, email, store, area, route, signed_up, cohort_month, b2b, in_export, source; revenue,
    orders (earned), items, first_earned, last_earned (invoice payments aside), average_order (money an earned order),
    balance (money owed on the exports' date). Money of consumers is as in METRICS; a business account's is its orders'.
    """
    who = _of_one(con, """SELECT customer_id, name, phone, email, store::VARCHAR AS store, area::VARCHAR AS area, route,
        signed_up, cohort_month, b2b, in_export, source::VARCHAR AS source FROM customers
        WHERE customer_id = $customer""", customer_id, None)  # fmt: skip
    if who.is_empty():
        return None
    what = _of_one(con, f"""WITH history AS ({HISTORY}), earned AS (FROM history WHERE earned_date IS NOT NULL)
        SELECT coalesce((SELECT sum(total) FROM earned), 0) AS revenue,
            (SELECT count(*) FROM earned WHERE kind = 'Order') AS orders,
            coalesce((SELECT sum(quantity) FROM items
                WHERE earned_date IS NOT NULL AND customer_id = $customer{{store}}), 0)::DOUBLE AS items,
            (SELECT min(earned_date) FROM earned WHERE kind IN ('Order', 'Subscription')) AS first_earned,
            (SELECT max(earned_date) FROM earned WHERE kind IN ('Order', 'Subscription')) AS last_earned,
            (SELECT sum(total)::DOUBLE / nullif(count(*), 0) FROM earned WHERE kind = 'Order') AS average_order,
            coalesce((SELECT sum(balance) FROM earned), 0) AS balance,
            (SELECT count(*) FROM history) AS history
        """, customer_id, store)  # fmt: skip
    found = who.row(0, named=True) | what.row(0, named=True)
    return None if store and found["store"] != store and not found["history"] else found


def customer_history(
    con: duckdb.DuckDBPyConnection,
    customer_id: str,
    store: str | None = None,
    *,
    sort: str = "placed",
    descending: bool = True,
    limit: int | None = None,
    offset: int = 0,
) -> tuple[pl.DataFrame, int]:
    """A customer's orders and payments of both systems, not yet earned ones too, and how many there are.

    Columns: HISTORY_COLUMNS. kind: Order, Subscription, Invoice Payment, or Items alone (lines whose order is not in
    the Orders export). Sorted by `placed`, a payment counts by its own day. Raises QueryError for another column.
    """
    if sort not in HISTORY_COLUMNS:
        raise QueryError(f"There is no column {sort!r} to sort by: choose one of {', '.join(HISTORY_COLUMNS)}.")
    by = "coalesce(placed, earned_date, payment_date)" if sort == "placed" else f'"{sort}"'
    page = "" if limit is None else f" LIMIT {int(limit)} OFFSET {int(offset)}"
    found = _of_one(con, f"""WITH history AS ({HISTORY}) SELECT {", ".join(HISTORY_COLUMNS)},
        (SELECT count(*) FROM history) AS "#total"
        FROM history ORDER BY {by} {"DESC" if descending else "ASC"} NULLS LAST, order_id{page}""",
        customer_id, store)  # fmt: skip
    if found.is_empty() and offset:
        how = {"sort": sort, "descending": descending, "limit": limit}
        return customer_history(con, customer_id, store, **how)
    return found.drop("#total"), found["#total"][0] if len(found) else 0


def find_orders(
    con: duckdb.DuckDBPyConnection, text: str, store: str | None = None, limit: int = 50
) -> list[tuple[str, str]]:
    """(order, customer) of what has a number with `text` in it, in any case, and is known to exports alone: the old
    system's orders, subscriptions, invoices, items without an order. The number itself first, then by number; at most
    `limit`. With `store`, that store's.
    """
    where = "contains(upper(order_id), upper($text))" + (" AND store = $store" if store else "")
    return con.execute(
        f"""SELECT DISTINCT order_id, customer_id FROM (
            SELECT order_id, customer_id FROM sales WHERE (source = 'Legacy' OR kind <> 'Order') AND {where}
            UNION ALL SELECT order_id, customer_id FROM items WHERE orphan AND {where}
        ) WHERE customer_id IS NOT NULL
        ORDER BY upper(order_id) <> upper($text), order_id, customer_id LIMIT {int(limit)}""",
        {"text": text} | ({"store": store} if store else {}),
    ).fetchall()


def last_orders(
    con: duckdb.DuckDBPyConnection, customers: list[str], store: str | None = None
) -> dict[str, date]:
    """customer -> the day of their newest order of either system, by the day placed; of those who have one. With
    `store`, in that store."""
    where = "list_contains($customers, customer_id) AND kind = 'Order'" + (" AND store = $store" if store else "")
    found = con.execute(
        f"SELECT customer_id, max(placed) FROM sales WHERE {where} GROUP BY customer_id",
        {"customers": customers} | ({"store": store} if store else {}),
    ).fetchall()
    return {customer: placed for customer, placed in found if placed}


def customer_items(con: duckdb.DuckDBPyConnection, orders: list[str]) -> pl.DataFrame:
    """The item lines of some orders, by order and as they stand in the export.

    Columns: order_id, item, item_category, service_type, quantity, total (money), express.
    """
    return con.execute(
        """SELECT order_id, item, item_category::VARCHAR AS item_category, service_type::VARCHAR AS service_type,
            quantity::DOUBLE AS quantity, total, express
        FROM items WHERE list_contains($orders, order_id) ORDER BY order_id, item_no""",
        {"orders": orders},
    ).pl()


def customer_months(con: duckdb.DuckDBPyConnection, customer_id: str, store: str | None = None) -> pl.DataFrame:
    """A customer's revenue by month, from the first month they were active to the newest of the build.

    Columns: first_day, closed, revenue (money), orders. A month without activity is 0; a customer never active has no
    row. A business account's orders count for it.
    """
    return _of_one(con, f"""WITH months AS (
            SELECT date_trunc('month', earned_date)::DATE AS first_day, sum(total) AS revenue,
                count(*) FILTER (kind = 'Order') AS orders
            FROM ({HISTORY}) WHERE earned_date IS NOT NULL AND kind IN ('Order', 'Subscription') GROUP BY ALL
        )
        SELECT first_day, closed, coalesce(revenue, 0) AS revenue, coalesce(orders, 0) AS orders
        FROM periods LEFT JOIN months USING (first_day)
        WHERE grain = 'month' AND first_day >= (SELECT min(first_day) FROM months) ORDER BY first_day""",
        customer_id, store)  # fmt: skip


def customer_standing(con: duckdb.DuckDBPyConnection, customer_id: str) -> dict:
    """Where a customer stands among all: {"rfm": the last closed month's row or None, "lifetime": row or None}.

    rfm has month, recency_days, frequency, monetary, r, f, m, segment and customers (with RFM scores that month);
    lifetime the columns of the mart of that name.
    """
    month = _month(con, None)
    rfm = con.execute(
        "SELECT *, (SELECT count(*) FROM rfm WHERE month = $month) AS customers FROM rfm "
        "WHERE month = $month AND customer_id = $customer",
        {"month": month, "customer": customer_id},
    ).pl()
    lifetime = con.execute("FROM lifetimes WHERE customer_id = ?", [customer_id]).pl()
    return {
        "rfm": rfm.row(0, named=True) if len(rfm) else None,
        "lifetime": lifetime.row(0, named=True) if len(lifetime) else None,
    }
