"""build(): exports in, a candidate warehouse out. The only door to this room."""

import hashlib
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from etl import checks, landing, sources, staging
from etl.business import Business, load_business
from etl.errors import ExportError
from etl.warehouse import Warehouse

STEPS = ("find", "read", "stage", "marts", "checks")
HERE = Path(__file__).parent
# In the order in which they stand on each other.
HELPERS = ("types", "earned_orders")
STATEMENTS = (
    "types", "customers", "subscriptions", "earned_orders", "payments", "orders", "sales", "items",
    "customer_months", "cohorts", "rfm", "lifetimes", "periods", "insights", "receivables", "meta",
)  # fmt: skip
MARTS = tuple(name for name in STATEMENTS if name not in HELPERS)
# What staff recorded of payments, as build() takes it: a row a payment, net of its void.
PAYMENTS = pl.Schema({
    "payment_id": pl.Int64, "order_id": pl.String, "amount": pl.Decimal(12, 2), "method": pl.String, "paid_on": pl.Date,
})  # fmt: skip
PERSONAL = {"customers": ("name", "phone", "email")}
# Staging and marts decide what a build holds; a change in any of them makes a new build of the same exports.
CODE = ("business.py", "sources.py", "contracts.py", "staging.py", "checks.py", "pipeline.py", "marts")


@dataclass(frozen=True)
class Progress:
    """`done` of a step, 0 to 1, and what is happening in a few words."""

    step: str
    done: float
    message: str


@dataclass(frozen=True)
class Build:
    """A finished candidate: in the warehouse folder with its manifest, not published."""

    build_id: str
    fingerprint: str
    as_of: date
    manifest: dict
    warnings: list[str]


@cache
def code_hash() -> str:
    """A hash of the code that decides what a build holds."""
    found = hashlib.sha256()
    for name in CODE:
        path = HERE / name
        for file in sorted(path.glob("*.sql")) if path.is_dir() else [path]:
            found.update(file.read_bytes())
    return found.hexdigest()


class _Steps:
    """Times the steps and tells about them."""

    def __init__(self, tell: Callable[[Progress], None] | None):
        self.seconds: dict[str, float] = dict.fromkeys(STEPS, 0.0)
        self._tell = tell or (lambda progress: None)

    @contextmanager
    def __call__(self, step: str, message: str, done: float = 0.0):
        self._tell(Progress(step, done, message))
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] += time.perf_counter() - started


def build(
    exports_dir: Path | str,
    data_dir: Path | str,
    *,
    business_file: Path | str | None = None,
    key: str | None = None,
    code_extra: str = "",
    last_fingerprint: str | None = None,
    payments: pl.DataFrame | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Build | None:
    """Build a candidate from the newest exports in a folder; None when they make the same build as `last_fingerprint`.

    `payments`: all that staff recorded, in the columns of PAYMENTS; the mart of that name says what counts of them.

    `code_extra` is a hash of code outside this room that writes into the build. The candidate lies in
    `<data_dir>/warehouse`, inputs are kept in `<data_dir>/landing`, bad rows in `<data_dir>/quarantine/<build_id>`.
    Raises ExportError (bad input), BusinessError, CheckError or WarehouseError; no more than the inputs stays then.
    """
    data_dir, steps, warnings = Path(data_dir), _Steps(on_progress), []
    with steps("find", "Looking for the exports"):
        business = load_business(business_file)
        found = sources.find(Path(exports_dir), warnings)
        sources.hash_sources(found)
        as_of = sources.export_date(found, warnings)
        inputs = _hash(*(f"{k} {s.sha256} {s.named}" for k, s in sorted(found.items())))
        base = _hash(inputs, business.text, code_hash(), code_extra, "sealed" if key else "plain")
        given = _given(payments)
        fingerprint = _hash(base, given.write_csv()) if len(given) else base
    if fingerprint == last_fingerprint:
        return None
    warehouse = Warehouse(data_dir / "warehouse", key)
    if as_of and as_of > datetime.now(ZoneInfo(business.timezone)).date():
        warnings.append(
            f"IMPORTANT: the exports' date, {as_of}, lies in the future: look at the dates in the file names."
        )
    created = datetime.now(ZoneInfo(business.timezone))
    build_id = _free_id(warehouse, f"{created:%Y%m%d-%H%M%S}-{fingerprint[:6]}")
    quarantine = data_dir / "quarantine" / build_id
    try:
        if key:
            for folder in ("landing", "quarantine"):
                landing.seal_all(data_dir / folder, key)
        with ThreadPoolExecutor(1) as keeper:  # copying waits for the disk while sorting out keeps the cores busy
            kept = [
                keeper.submit(landing.keep_input, s.path, s.sha256, data_dir / "landing", key) for s in found.values()
            ]
            staged, tallies, as_of = _stage(found, business, as_of, quarantine, key, steps, warnings)
            for copy in kept:
                copy.result()
        staged["payments"] = given
        with warehouse.open_candidate(build_id) as con:
            _write_marts(con, staged, business, as_of, build_id, steps)
            with steps("checks", "Checking the figures"):
                warnings += checks.run(con)
            data_to = con.execute("SELECT value FROM meta WHERE key = 'data_to'").fetchone()[0]
            settled = _settled(con)
        files = {
            kind: {"file": s.path.name, "sha256": s.sha256} | tallies[kind].as_manifest() for kind, s in found.items()
        }
        _add_up(files)
        manifest = {
            "build_id": build_id, "as_of": as_of.isoformat(),
            "data_to": data_to, "created": created.isoformat(timespec="milliseconds"),
            "fingerprint": fingerprint, "base": base, "inputs": inputs, "encrypted": bool(key),
            "seconds": {k: round(v, 4) for k, v in steps.seconds.items()}, "warnings": warnings, "files": files,
            "payments": settled,
        }  # fmt: skip
        warehouse.write_manifest(build_id, manifest)
    except BaseException:
        warehouse.discard(build_id)
        shutil.rmtree(quarantine, ignore_errors=True)
        raise
    return Build(build_id, fingerprint, as_of, manifest, warnings)


def _given(payments: pl.DataFrame | None) -> pl.DataFrame:
    """Staff's payments in the columns of PAYMENTS, in one order, without those that voids left nothing of."""
    if payments is None:
        return PAYMENTS.to_frame()
    given = payments.select(PAYMENTS.names()).cast(dict(PAYMENTS)).filter(pl.col("amount") != 0).sort("payment_id")
    if (given["amount"] < 0).any() or given["payment_id"].is_duplicated().any():
        raise ValueError("payments: one row each, net of its void, none below 0")
    return given


def _settled(con: duckdb.DuckDBPyConnection) -> dict:
    """What became of staff's payments, for the manifest: {standing: {"payments", "amount", "counted"}}; of orders that
    the exports don't have also which, 100 at most."""
    rows = con.execute(
        """SELECT standing, count(*), sum(amount)::VARCHAR, sum(counted)::VARCHAR,
            list(DISTINCT order_id ORDER BY order_id)
        FROM payments GROUP BY standing ORDER BY standing"""
    ).fetchall()
    told = {standing: {"payments": n, "amount": amount, "counted": counted} for standing, n, amount, counted, _ in rows}
    for standing, *_, orders in rows:
        if standing == "not in the exports":
            told[standing]["orders"] = orders[:100]
    return told


def _free_id(warehouse: Warehouse, wanted: str) -> str:
    """The wanted build id, or that with a number when a build of the same inputs and second has it."""
    found, n = wanted, 1
    while warehouse.path(found).exists():
        n += 1
        found = f"{wanted}-{n}"
    return found


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _stage(found, business: Business, as_of, quarantine: Path, key, steps: _Steps, warnings: list):
    """Read and stage one export after the other, so that only one is in memory as text."""
    staged: dict[str, pl.DataFrame] = {}
    tallies: dict[str, staging.Tally] = {}
    context: dict = {}
    order = [k for k in ("customers", "orders", "legacy", "invoices", "items") if k in found]
    if as_of is None:
        as_of = staging.as_of_from_orders(sources.read(found["orders"], []), business)
        warnings.append(f"No file name carries a date: the newest order's day, {as_of}, counts as today.")
    for i, kind in enumerate(order):
        title = sources.TITLES[kind]
        with steps("read", f"Reading {title}", i / len(order)):
            export = sources.read(found[kind], warnings)
        with steps("stage", f"Sorting out {title}", i / len(order)):
            staged[kind], tally = _stage_one(kind, export, business, as_of, staged, context, warnings)
            tallies[kind] = tally
            warnings += staging.unreadable_warnings(tally, export)
            if tally.quarantined:
                landing.keep_quarantine(tally.quarantined_rows(export), kind, quarantine, key)
            del export
    if "legacy" not in staged:
        staged["legacy"] = staged["orders"].clear()
    return staged, tallies, as_of


def _stage_one(kind, export, business, as_of, staged, context, warnings):
    if kind == "customers":
        rows, tally = staging.stg_customers(export, business, as_of)
        context["b2b"] = rows.filter("b2b")["customer_no"]
    elif kind == "orders":
        rows, tally, context["dead"] = staging.stg_orders(export, business, as_of, context["b2b"])
    elif kind == "legacy":
        rows, tally, _ = staging.stg_orders(export, business, as_of, context["b2b"], legacy=True)
    elif kind == "invoices":
        rows, tally, said = staging.stg_invoices(export, business, as_of, staged["customers"])
        warnings += said
    else:
        rows, tally = staging.stg_items(export, business, as_of, staged["orders"], context["dead"], context["b2b"])
    return rows, tally


def _add_up(files: dict) -> None:
    for kind, file in files.items():
        told = file["loaded"] + sum(file["excluded"].values()) + sum(file["quarantined"].values())
        if told != file["read"]:
            raise ExportError(
                f"{file['file']}: {file['read']} rows of {sources.TITLES[kind]} were read but {told} accounted for; "
                "this is a fault of Moonwalk's: please report it with the file. The last good data stays live."
            )


def _sql_list(values) -> str:
    return ", ".join("'" + v.replace("'", "''") + "'" for v in values)


def _prepare(con: duckdb.DuckDBPyConnection, business: Business, as_of: date, build_id: str) -> None:
    """Variables and macros that the marts' SQL reads the business's facts from."""
    prefixes = " ".join(f"WHEN {i} THEN {_sql_list([s.order_prefix])}" for i, s in enumerate(business.stores, 1))
    areas = " ".join(
        f"WHEN route BETWEEN {a.first} AND {a.last or 'route'} THEN {_sql_list([a.name])}"
        for a in business.area_rules[:-1]
    )
    con.execute(f"SET VARIABLE as_of = DATE '{as_of}'")
    con.execute(f"SET VARIABLE build_id = {_sql_list([build_id])}")
    con.execute(f"SET VARIABLE currency = {_sql_list([business.currency])}")
    con.execute(f"SET VARIABLE subscription_days = {business.subscription_days}")
    con.execute(f"SET VARIABLE payment_terms_days = {business.payment_terms_days}")
    con.execute(f"SET VARIABLE store_stride = {staging.STORE_STRIDE}")
    con.execute(
        "CREATE TEMP MACRO collected_of(paid, payment_type, total) AS "
        f"CASE WHEN paid AND payment_type NOT IN ({_sql_list(('', *business.to_be_invoiced))}) THEN total ELSE 0 END"
    )
    con.execute(
        "CREATE TEMP MACRO balance_of(paid, total, paid_here) AS "
        "CASE WHEN paid THEN 0 ELSE greatest(total, 0) - paid_here END"
    )
    con.execute(f"CREATE TEMP MACRO area_of(route) AS CASE {areas} ELSE {_sql_list([business.areas[-1]])} END")
    con.execute(
        "CREATE TEMP MACRO order_id_of(order_no) AS format('{}-{:05d}', "
        f"CASE order_no // {staging.STORE_STRIDE} {prefixes} END, order_no % {staging.STORE_STRIDE})"
    )


def _write_marts(con, staged: dict, business: Business, as_of: date, build_id: str, steps: _Steps) -> None:
    with steps("marts", "Writing the warehouse"):
        _prepare(con, business, as_of, build_id)
        for kind, frame in staged.items():
            con.register(f"stg_{kind}", frame)
        con.execute("BEGIN")  # one commit for all: the file is nobody's until it is published
    facts = _facts(business)
    for i, mart in enumerate(STATEMENTS):
        with steps("marts", f"Writing {mart}", i / len(STATEMENTS)):
            sql = (HERE / "marts" / f"{mart}.sql").read_text(encoding="utf-8")
            for name, text in facts.items():
                sql = sql.replace(f"{{{name}}}", text)
            con.execute(sql)
    with steps("marts", "Writing the file", 1):
        con.execute("COMMIT")


def _facts(business: Business) -> dict[str, str]:
    """What {braces} in the marts' SQL stand for: the closed lists of the business file."""
    services = range(len(business.service_types))
    return {
        "stores": _sql_list(business.store_names),
        "areas": _sql_list(business.areas),
        "item_categories": _sql_list(business.item_categories),
        "service_types": _sql_list(business.service_types),
        "payment_types": _sql_list(business.payment_types),
        "service_sums": ", ".join(
            f"sum(total) FILTER (service_type = {_sql_list([s])}) AS service_{i}"
            for i, s in enumerate(business.service_types)
        ),
        "service_totals": ", ".join(f"sum(service_{i})" for i in services),
        "services_worth_it": " + ".join(f"coalesce(s.service_{i} >= 0.1 * a.revenue, false)::INT" for i in services),
    }


def publish_files(warehouse: Warehouse, build_id: str, out_dir: Path, with_personal_data: bool) -> list[Path]:
    """Write every mart as CSV (UTF-8 with BOM, for Excel) and Parquet into `out_dir`, replacing what lay there.

    Without personal data, names, phones and e-mails of customers are left out. Returns the files written.
    """
    partial = out_dir.with_name(f".{out_dir.name}.{build_id}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with warehouse.connect(build_id) as con:
        for mart in MARTS:
            drop = [] if with_personal_data else PERSONAL.get(mart, ())
            columns = f"* EXCLUDE ({', '.join(drop)})" if drop else "*"
            parquet = partial / f"{mart}.parquet"
            con.execute(f"COPY (SELECT {columns} FROM {mart}) TO {_sql_list([str(parquet)])} (FORMAT parquet)")
            rows = con.execute(f"SELECT {columns} FROM {mart}").pl()
            landing.write_csv(rows, partial / f"{mart}.csv")
    old = out_dir.with_name(f".{out_dir.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out_dir.exists():
        out_dir.rename(old)
    partial.rename(out_dir)
    shutil.rmtree(old, ignore_errors=True)
    return sorted(out_dir.iterdir())
