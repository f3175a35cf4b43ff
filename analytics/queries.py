"""Metric x period x split x filter -> Polars frame. The only module that runs dashboard SQL."""

import re
import threading
from dataclasses import dataclass, field

import duckdb
import polars as pl
from django.conf import settings

from analytics.metrics import FORMULA, METRICS, Metric, get, parts_of
from etl.warehouse import Warehouse

GRAINS = ("month", "week", "quarter", "day")
WHOLE = "All stores"
SPLITS = ("store", "area", "source", "payment_type", "item_category", "service_type")


@dataclass(frozen=True)
class Filters:
    """Rows to count: of one store, one area, one source ('CC_2025' or 'Legacy'); None: all."""

    store: str | None = None
    area: str | None = None
    source: str | None = None


class QueryError(ValueError):
    """A question the metrics cannot answer: a split, grain, period or filter value that does not fit."""


# Connections -----------------------------------------------------------------------------------------------------


def warehouse() -> Warehouse:
    """The warehouse that the settings name."""
    return Warehouse(settings.WAREHOUSE_DIR, settings.WAREHOUSE_KEY or None)


@dataclass
class Snapshot:
    """One published build, open read-only. Frames are kept by their arguments: a build never changes."""

    build_id: str
    con: duckdb.DuckDBPyConnection
    manifest: dict
    _frames: dict = field(default_factory=dict)
    _local: threading.local = field(default_factory=threading.local)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's own cursor: DuckDB connections are not shared between threads."""
        if not hasattr(self._local, "cursor"):
            self._local.cursor = self.con.cursor()
            self._local.cursor.execute("USE warehouse")
        return self._local.cursor

    def kept(self, key: tuple, make):
        """What `make(cursor)` gave for this key before, or gives now. At most 1,000 answers are kept."""
        answer = self._frames.get(key, self)  # None may be an answer; another thread may clear between two looks
        if answer is self:
            answer = make(self.cursor())
            if len(self._frames) >= 1000:
                self._frames.clear()
            self._frames[key] = answer
        return answer

    def query(self, names: list[str], grain: str, **how) -> pl.DataFrame:
        """query() on this build, answered from memory the second time."""
        key = ("query", tuple(names), grain, *sorted(how.items()))
        return self.kept(key, lambda con: query(con, names, grain, **how))

    def periods(self, grain: str, include_open: bool = True) -> pl.DataFrame:
        """periods() of this build."""
        return self.kept(("periods", grain, include_open), lambda con: periods(con, grain, include_open))

    def meta(self) -> dict[str, str]:
        """meta() of this build."""
        return self.kept(("meta",), meta)


_snapshots: dict[tuple, Snapshot] = {}
_lock = threading.Lock()


def current() -> Snapshot:
    """The published build, opened once a process; a new build is a new snapshot.

    Raises WarehouseError when nothing was published yet or the key does not fit.
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
    return found


def meta(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Facts about the build: as_of, build_id, currency, data_to."""
    return dict(con.execute("SELECT key, value FROM meta").fetchall())


def stores(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The names of the stores that the build knows, in the order of its business file."""
    return con.execute("SELECT enum_range(NULL::store)::VARCHAR[]").fetchone()[0]


def periods(con: duckdb.DuckDBPyConnection, grain: str, include_open: bool = True) -> pl.DataFrame:
    """Periods of a grain, the newest first. Columns: period, label, first_day, last_day, closed."""
    if grain not in GRAINS:
        raise QueryError(f"There is no grain {grain!r}: choose one of {', '.join(GRAINS)}.")
    return con.execute(
        "SELECT period, label, first_day, last_day, closed FROM periods WHERE grain = ? AND (closed OR ?) "
        "ORDER BY first_day DESC",
        [grain, include_open],
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
    "sales": ("earned_date", "sales WHERE {where}"),
    "items": ("earned_date", "items WHERE NOT b2b AND {where}"),
    "customer_months": (
        "month",
        """(SELECT *,
            quantile_cont(revenue::DOUBLE, 0.8) OVER (PARTITION BY month{split}) AS spend_threshold,
            quantile_cont(items::DOUBLE, 0.8) OVER (PARTITION BY month{split}) AS volume_threshold
        FROM customer_months WHERE {where})""",
    ),
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


def _check(names: list[str], grain: str, splits: tuple[str, ...]) -> None:
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


def _where(mart: str, filters: Filters, splits: tuple[str, ...]) -> str:
    """Conditions on a mart's rows; the values are bound as $first, $last, $store, $area and $source."""
    said = [f"{RELATIONS[mart][0]} BETWEEN $first AND $last"]
    if mart == "customer_months":
        if filters.store is None:
            said.append(f"store <> '{WHOLE}'" if "store" in splits else f"store = '{WHOLE}'")
        else:
            said.append("store = $store")
    elif filters.store is not None:
        said.append("store = $store")
    if filters.area is not None:
        said.append("area = $area")
    if filters.source is not None:
        customers = "SELECT customer_id FROM customers WHERE source = $source"
        said.append(f"customer_id IN ({customers})" if mart == "items" else "source = $source")
    return " AND ".join(said)


def _mart_query(mart: str, metrics: list[Metric], grain: str, splits: tuple[str, ...], filters: Filters) -> str:
    date_column, relation = RELATIONS[mart]
    relation = relation.format(where=_where(mart, filters, splits), split="".join(f", {s}" for s in splits))
    columns = ", ".join(f"{m.sql} AS {m.name}" for m in metrics)
    by = "".join(f", {s}::VARCHAR AS by_{s}" for s in splits)
    return (
        f"SELECT date_trunc('{grain}', {date_column})::DATE AS first_day{by}, {columns} FROM {relation} "
        f"GROUP BY {', '.join(str(i) for i in range(1, len(splits) + 2))}"
    )


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


def compile_sql(names: list[str], grain: str, split: str | tuple[str, ...] | None, filters: Filters) -> str:
    """The SQL that answers a question: one scan a mart, every period from $first to $last, ordered by period."""
    needed, splits = _needed(names), _splits(split)
    marts: dict[str, list[Metric]] = {}
    for metric in needed.values():
        if metric.mart != FORMULA:
            marts.setdefault(metric.mart, []).append(metric)
    # A mart without a split (legacy_rows by item category) joins by the period and the other splits alone.
    tables, joins = [], []
    for mart, metrics in marts.items():
        own = tuple(s for s in splits if s in metrics[0].splits)
        tables.append(f"by_{mart} AS ({_mart_query(mart, metrics, grain, own, filters)})")
        joins.append(f"LEFT JOIN by_{mart} USING (first_day{''.join(f', by_{s}' for s in own)})")
    values = "".join(f", (SELECT unnest(enum_range(NULL::{s}))::VARCHAR AS by_{s})" for s in splits)
    chosen = ", ".join(f"{_expand(n, needed, splits)} AS {n}" for n in names)
    by = "".join(f"by_{s} AS {s}, " for s in splits)
    return f"""WITH grid AS (
        SELECT period, first_day{"".join(f", by_{s}" for s in splits)}
        FROM periods{values} WHERE grain = '{grain}' AND first_day BETWEEN $first AND $last
    ), {", ".join(tables)}
    SELECT period, {by}{chosen}, first_day AS "#first_day" FROM grid {" ".join(joins)}
    ORDER BY first_day{"".join(f", enum_code(by_{s}::{s})" for s in splits)}"""


def _range(con, grain: str, since: str | None, until: str | None, include_open: bool) -> tuple | None:
    """First day asked for, first day needed (one period earlier, for `previous`) and last day."""
    # Plain rows: asked before every question, where a frame and its filters would cost more than some answers.
    known = con.execute(
        "SELECT period, first_day, last_day, closed FROM periods WHERE grain = ? ORDER BY first_day", [grain]
    ).fetchall()
    if not known:
        return None
    like = known[-1][0]
    for name in (since, until):
        if name and not re.fullmatch(r"\d{4}-(\d{2}(-\d{2})?|W\d{2}|Q\d)", name):
            raise QueryError(f"{name!r} is no period: write a {grain} like {like}.")
        if name and len(name) != len(like):
            raise QueryError(f"{name!r} is no {grain}: write it like {like}.")
    chosen = [
        i for i, (period, _, _, closed) in enumerate(known)
        if (not since or period >= since) and (period <= until if until else closed or include_open)
    ]  # fmt: skip
    if not chosen:
        return None
    first = chosen[0]
    return known[first][1], known[max(first - 1, 0)][1], known[chosen[-1]][2]


def query(
    con: duckdb.DuckDBPyConnection,
    names: list[str],
    grain: str,
    *,
    split: str | tuple[str, ...] | None = None,
    since: str | None = None,
    until: str | None = None,
    filters: Filters = Filters(),
    include_open: bool = False,
) -> pl.DataFrame:
    """Values of metrics by period (and by a split's values), the oldest period first.

    Columns: period, the split where there is one (or each of several: ("store", "area")), then one column a metric:
    Int64 for counts, Float64 otherwise, null for no value. Every period from `since` to `until` is there; without
    `until`, up to the last closed one, or the open
    one with include_open. Raises UnknownMetric or QueryError.
    """
    names = list(dict.fromkeys(names))
    splits = _splits(split)
    for one in splits:
        if one not in SPLITS:
            raise QueryError(f"There is no split {one!r}: choose one of {', '.join(SPLITS)}.")
    if grain not in GRAINS:
        raise QueryError(f"There is no grain {grain!r}: choose one of {', '.join(GRAINS)}.")
    _check(names, grain, splits)
    head = ["period", *splits]
    days = _range(con, grain, since, until, include_open)
    if days is None or not names:
        return pl.DataFrame(schema=dict.fromkeys(head, pl.String) | dict.fromkeys(names, pl.Float64))
    asked, first, last = days
    sql = compile_sql(names, grain, split, filters)
    values = {"first": first, "last": last}
    values |= {k: v for k in ("store", "area", "source") if (v := getattr(filters, k)) is not None}
    _known_values(con, filters)
    rows = con.execute(sql, values).pl()
    rows = rows.filter(pl.col("#first_day") >= asked).drop("#first_day")
    return rows.with_columns([_number(rows[n], METRICS[n].unit) for n in names])


def _known_values(con, filters: Filters) -> None:
    for column in ("store", "area", "source"):
        value = getattr(filters, column)
        if value is not None:
            known = con.execute(f"SELECT enum_range(NULL::{column})::VARCHAR[]").fetchone()[0]
            if value not in known:
                raise QueryError(f"There is no {column} {value!r}: choose one of {', '.join(known)}.")


def _number(values: pl.Series, unit: str) -> pl.Series:
    """Plain numbers to show: counts whole where they are whole (kilograms are not), money to the fils."""
    floats = values.cast(pl.Float64)
    if unit == "count" and ((floats % 1 == 0) | floats.is_null()).all():
        return floats.cast(pl.Int64)
    return floats.round(2) if unit == "money" and isinstance(values.dtype, pl.Decimal) else floats


# Receivables -----------------------------------------------------------------------------------------------------

AGING = ("0-30 days", "31-60 days", "61-90 days", "over 90 days")


def receivables(con: duckdb.DuckDBPyConnection, filters: Filters = Filters()) -> dict:
    """What customers owe on the exports' date: {as_of, orders, amount, customers, aging: {bucket: [orders, amount]}}.

    A CleanCloud order of a consumer that is earned and unpaid counts with its total; one without an amount owes
    nothing. The old system's orders are assumed paid. Aged by the days since it was placed, or earned where that day
    is missing. amount is in the business's currency; every bucket is there.
    """
    return receivables_by_store(con, filters)[WHOLE]


def receivables_by_store(con: duckdb.DuckDBPyConnection, filters: Filters = Filters()) -> dict[str, dict]:
    """receivables() of every store with something owed, and of "All stores", in one question."""
    _known_values(con, filters)
    chosen = {k: v for k in ("store", "area", "source") if (v := getattr(filters, k)) is not None}
    only = "".join(f" AND {k} = ${k}" for k in chosen)
    rows = con.execute(
        f"""WITH now AS (SELECT value AS as_of FROM meta WHERE key = 'as_of'), owed AS (
            SELECT store::VARCHAR AS store, customer_id, total,
                date_diff('day', coalesce(placed, earned_date), as_of::DATE) AS age
            FROM sales, now
            WHERE kind = 'Order' AND source = 'CC_2025' AND earned_date IS NOT NULL AND NOT paid AND total > 0{only}
        ), aged AS (
            SELECT *, CASE WHEN age <= 30 THEN 0 WHEN age <= 60 THEN 1 WHEN age <= 90 THEN 2 ELSE 3 END AS bucket
            FROM owed
        ), grouped AS (
            SELECT coalesce(store, '{WHOLE}') AS store, bucket, count(*) AS orders,
                coalesce(sum(total), 0)::DOUBLE AS amount, count(DISTINCT customer_id) AS customers
            FROM aged GROUP BY GROUPING SETS ((store, bucket), (store), (bucket), ())
        )
        SELECT as_of, store, bucket, orders, amount, customers FROM grouped, now""",
        chosen,
    ).fetchall()
    found: dict[str, dict] = {}
    for as_of, store, bucket, orders, amount, customers in rows:
        aging = {name: [0, 0.0] for name in AGING}
        one = found.setdefault(store, {"as_of": as_of, "orders": 0, "amount": 0.0, "customers": 0, "aging": aging})
        if bucket is None:
            one |= {"orders": orders, "amount": amount, "customers": customers}
        else:
            one["aging"][AGING[bucket]] = [orders, amount]
    return found
