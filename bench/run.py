"""How fast is a build, a refresh, a question, a page? `make bench` prints it; `--write` puts it in docs/performance.md.

Each measurement runs in a child process of its own, so that its peak memory is its own and nothing is warm that a
first build would find cold, imports aside: children import and build a tiny set before the clock starts.

The floor is what the same machine needs in the same run just to read the files and to write the tables: Polars reading
every file as text, plus DuckDB writing the finished tables from memory. A build cannot be faster than that; the ratio
to it is the honest figure, as seconds depend on the machine.
"""

import argparse
import datetime as dt
import hashlib
import importlib.util
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moonwalk.settings")

UNTIL = dt.date(2026, 3, 20)  # within a month: the day before then continues into it
DOCS = ROOT / "docs" / "performance.md"
START, END = "<!-- bench: start -->", "<!-- bench: end -->"
STEPS = ("find", "read", "stage", "marts", "checks", "insights")
REPEATS = {1: 5, 10: 3}  # above: once

# What issues 2 and 3 ask for: measure -> scale -> at most
REACH = {
    "build": {1: 0.8, 100: 20},
    "ratio": {1: 3, 100: 2},
    "peak_mb": {100: 3000},
    "tab_ms": {1: 40, 100: 500},
    "fit": {1: 5},
    "first_load": {1: 6},
    "usual_day": {1: 3},
    "unchanged_share": {1: 0.10},
    "report": {1: 3},
    "first_numbers": {1: 200},
    "charts": {1: 700},
    "charts_cold": {1: 1500},
    "js_kb": {1: 800},
    "served_cold": {1: 60, 100: 600},
    "served_warm": {1: 10},
}
# What is measured of a page in a browser, in words
PAGE = {"first_numbers": "first numbers", "charts": "charts", "charts_cold": "charts, cold"}


# ---------------------------------------------------------------------------------------------- inputs


def exports(folder: Path, scale: float, until: dt.date = UNTIL) -> Path:
    """The folder of sample exports of this scale, made once and again only when the generator changed."""
    from etl.sample import make_exports

    code = hashlib.sha256((ROOT / "etl" / "sample.py").read_bytes()).hexdigest()[:8]
    made = folder / f"exports-{scale:g}-{until}-{code}"
    if not (made / "done").exists():
        shutil.rmtree(made, ignore_errors=True)
        summary = make_exports(made, scale=scale, until=until)
        (made / "done").write_text(json.dumps(summary.rows))
    return made


def input_rows(made: Path) -> int:
    return sum(json.loads((made / "done").read_text()).values())


# ---------------------------------------------------------------------------------------------- children


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _build_once(made: Path, data: Path, key: str | None) -> dict:
    """One build with insights into an empty folder: seconds by step, the whole, and the build's ID."""
    from etl.pipeline import build
    from etl.warehouse import Warehouse

    shutil.rmtree(data, ignore_errors=True)
    started = time.perf_counter()
    built = build(made, data, key=key)
    insights = 0.0
    if importlib.util.find_spec("analytics.enrich"):
        from analytics.enrich import enrich
        from etl.business import load_business

        before = time.perf_counter()
        with Warehouse(data / "warehouse", key).open_candidate(built.build_id) as con:
            enrich(con, load_business())
        insights = time.perf_counter() - before
    total = time.perf_counter() - started
    return {"build_id": built.build_id, "build": total, "steps": built.manifest["seconds"] | {"insights": insights}}


def measure_build(made: Path, data: Path, key: str | None, repeats: int, tiny: Path) -> dict:
    """The median of `repeats` builds, with the steps of that very build. The last build stays in `data`, published."""
    from etl.warehouse import Warehouse

    _build_once(tiny, data, key)
    runs = [_build_once(made, data, key) for _ in range(repeats)]
    Warehouse(data / "warehouse", key).publish(runs[-1]["build_id"])
    typical = sorted(runs, key=lambda run: run["build"])[(repeats - 1) // 2]
    size = sum(f.stat().st_size for f in (data / "warehouse").glob("*.duckdb")) / 2**20
    return {k: typical[k] for k in ("build", "steps")} | {"peak_mb": _peak_mb(), "size_mb": size, "runs": repeats}


def measure_floor(made: Path, data: Path, key: str | None, repeats: int, tiny: Path) -> dict:
    """Seconds to read the same files as text, and to write the same tables from Arrow tables in memory."""
    import polars as pl
    import pyarrow  # noqa: F401 - DuckDB imports it at its first Arrow table

    from etl.warehouse import Warehouse

    house = Warehouse(data / "warehouse", key)
    with house.connect() as con:
        names = [n for (n,) in con.execute("SELECT table_name FROM duckdb_tables() ORDER BY estimated_size").fetchall()]
        types = {n: con.execute(f"SELECT column_name, column_type FROM (DESCRIBE {n})").fetchall() for n in names}
        tables = {n: con.execute(f"SELECT * FROM {n}").to_arrow_table() for n in names}
    reads, writes = [], []
    for _ in range(repeats + 1):  # the first one is the warm-up
        started = time.perf_counter()
        for file in sorted(made.glob("*.csv")):
            pl.read_csv(file, infer_schema=False)
        read = time.perf_counter()
        other = Warehouse(data / "floor", key)
        with other.open_candidate("floor-build") as con:
            for name in names:
                columns = ", ".join(f'CAST("{c}" AS {t}) AS "{c}"' for c, t in types[name])
                con.register("source", tables[name])
                con.execute(f"CREATE TABLE {name} AS SELECT {columns} FROM source")
                con.unregister("source")
        writes.append(time.perf_counter() - read)
        reads.append(read - started)
        shutil.rmtree(data / "floor")
    if repeats > 1:
        reads, writes = reads[1:], writes[1:]
    else:
        reads, writes = [min(reads)], [min(writes)]
    return {"floor_read": statistics.median(reads), "floor_write": statistics.median(writes)}


def _milliseconds(ask, repeats: int, forget=lambda: None) -> float:
    taken = []
    for _ in range(repeats):
        forget()
        started = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def measure_questions(made: Path, data: Path, key: str | None, repeats: int, tiny: Path) -> dict:
    """Milliseconds of each metric by month and of all at once; of each tab's data with nothing kept in memory."""
    os.environ["MOONWALK_DATA_DIR"] = str(data)
    os.environ["MOONWALK_WAREHOUSE_KEY"] = key or ""
    import django

    django.setup()
    from analytics import queries
    from analytics.metrics import METRICS

    con = queries.current().con
    monthly = [name for name, metric in METRICS.items() if "month" in metric.grains]
    queries.query(con, monthly, "month")
    single = {name: _milliseconds(lambda n=name: queries.query(con, [n], "month"), repeats) for name in monthly}
    every = _milliseconds(lambda: queries.query(con, monthly, "month"), repeats)
    slowest = max(single, key=single.get)
    tabs = {}
    for dashboard in _dashboards():
        for tab in dashboard.tabs:
            ask, forget = _tab(dashboard, tab)
            ask()
            tabs[f"{dashboard.title}: {tab.label}"] = _milliseconds(ask, max(3, repeats), forget)
    return {
        "metric_ms": statistics.median(single.values()),
        "slowest_metric": slowest,
        "slowest_metric_ms": single[slowest],
        "all_metrics_ms": every,
        "metrics": len(monthly),
        "tabs": tabs,
        "tab_ms": max(tabs.values()) if tabs else None,
    }


def _dashboards() -> list:
    from analytics import dashboards
    from analytics.dashboards.frame import Dashboard

    found = {}
    for file in sorted(Path(dashboards.__file__).parent.glob("*.py")):
        module = importlib.import_module(f"analytics.dashboards.{file.stem}")
        found |= {value.page: value for value in vars(module).values() if isinstance(value, Dashboard)}
    return list(found.values())


def _tab(dashboard, tab) -> tuple:
    """(ask, forget): all that a tab's page reads from the warehouse by month, and emptying what is kept of it."""
    from analytics import queries
    from analytics.dashboards import blocks, cards, frame

    def ask():
        state = frame.read_state(dashboard, {"tab": tab.slug, "grain": "month"}, queries.current())
        cards.cards(state)
        blocks.charts(state)
        blocks.tables(state)

    def forget():
        queries.current()._kept.clear()

    return ask, forget


def measure_refresh(made: Path, data: Path, key: str | None, repeats: int, tiny: Path) -> dict:
    """Seconds of `manage.py refresh_data` as a whole process: first load, the days after it, unchanged exports."""
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    environment = os.environ | {
        "MOONWALK_DATA_DIR": str(data),
        "MOONWALK_WAREHOUSE_KEY": key or "",
        "DATABASE_URL": f"sqlite:///{data / 'bench.sqlite3'}",
        "DEBUG": "1",
        "REDIS_URL": "",
    }

    def manage(*words: str) -> float:
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, ROOT / "manage.py", *words], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"manage.py {' '.join(words)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return time.perf_counter() - started

    manage("migrate", "-v0")
    days = [exports(made.parent, 1, UNTIL - dt.timedelta(days=i)) for i in range(repeats, -1, -1)]
    # Each day of the sample is drawn anew: a month that is over may move, which in real life a person is asked about.
    first, *usual = [manage("refresh_data", "--force", "--exports", str(day)) for day in days]
    unchanged = statistics.median(manage("refresh_data", "--exports", str(days[-1])) for _ in range(3))
    return {"first_load": first, "usual_day": statistics.median(usual), "unchanged": unchanged} | _refresh_in_process(
        environment, days[-1]
    )


def _refresh_in_process(environment: dict[str, str], day: Path) -> dict:
    """Seconds of a whole refresh, and of one that finds nothing new, without the start of Python and Django."""
    os.environ.update(environment)
    import django

    django.setup()
    from operations.refresh import refresh

    def run(force: bool) -> float:
        started = time.perf_counter()
        done = refresh(trigger="command", exports_dir=day, force=force)
        if done.state != ("published" if force else "nothing_new"):
            raise SystemExit(f"the refresh ended {done.state}: {done.error}")
        return time.perf_counter() - started

    run(True)
    whole = statistics.median(run(True) for _ in range(3))
    nothing_new = statistics.median(run(False) for _ in range(3))
    return {"refresh_whole": whole, "refresh_unchanged": nothing_new, "unchanged_share": nothing_new / whole}


def measure_report(made: Path, data: Path, key: str | None, repeats: int, tiny: Path) -> dict:
    """Seconds of `manage.py board_report` as a whole process, of the last closed month; the size of its PDF in kB."""
    out = data / "board-report.pdf"
    environment = os.environ | {
        "MOONWALK_DATA_DIR": str(data),
        "MOONWALK_WAREHOUSE_KEY": key or "",
        "DATABASE_URL": f"sqlite:///{data / 'report.sqlite3'}",
        "DEBUG": "1",
        "REDIS_URL": "",
    }

    def manage(*words: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, ROOT / "manage.py", *words], env=environment, capture_output=True, check=True)
        return time.perf_counter() - started

    manage("migrate", "-v0")
    taken = statistics.median(manage("board_report", "--out", str(out)) for _ in range(3))
    return {"report": taken, "report_kb": out.stat().st_size / 1024}


def measure_fit(made: Path, data: Path, key: str | None, repeats: int, tiny: Path) -> dict:
    """Seconds to fit the models of customers' lifetimes to 100,000 customers and to say what each of them may bring."""
    import numpy as np
    import polars as pl
    import scipy.optimize
    import scipy.special  # noqa: F401 - loaded before the clock starts

    from analytics.customers import lifetimes

    n, draw = 100_000, np.random.default_rng(1)
    age, rate = draw.uniform(1, 80, n), draw.gamma(0.6, 1 / 3, n)
    x = draw.poisson(rate * age * draw.uniform(0, 1, n))  # some have left long ago
    last = np.where(x > 0, age * draw.uniform(0, 1, n), 0)
    history = pl.DataFrame(
        {
            "customer_id": np.arange(n), "revenue": draw.gamma(2, 100, n), "lifespan_months": draw.integers(1, 20, n),
            "repeat_days": x, "recency_weeks": last, "age_weeks": age, "mean_value": draw.gamma(3, 20, n),
        }
    )  # fmt: skip
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        _, model = lifetimes(history)
        taken.append(time.perf_counter() - started)
    if model["reason"]:
        raise SystemExit(model["reason"])
    return {"fit": statistics.median(taken)}


def measure_tabs(*what) -> dict:
    """Milliseconds of the server for every tab, cold and warm: bench/tabs.py."""
    from bench import tabs

    return tabs.measure_tabs(*what)


def measure_pages(*what) -> dict:
    """Milliseconds until a browser shows numbers and charts: bench/pages.py."""
    from bench import pages

    return pages.measure_pages(*what)


MEASURES = {
    "build": measure_build,
    "floor": measure_floor,
    "questions": measure_questions,
    "refresh": measure_refresh,
    "report": measure_report,
    "fit": measure_fit,
    "tabs": measure_tabs,
    "pages": measure_pages,
}
IN_A_FOLDER_OF_ITS_OWN = ("refresh", "pages")


def in_child(what: str, scale: float, folder: Path, key: str | None) -> dict:
    """One measurement in a process of its own. {} with a word about why where it cannot be had."""
    words = ["--measure", what, "--scales", f"{scale:g}", "--folder", str(folder)] + (["--key", key] if key else [])
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        print(f"{scale:g}x {what}: not measured ({''.join(last)})", file=sys.stderr)
        return {}
    return json.loads(done.stdout.strip().splitlines()[-1])


# ---------------------------------------------------------------------------------------------- table


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def rows_of(results: dict[float, dict]) -> list[tuple[str, list[str]]]:
    """The table: (label, [a cell a scale..., what to reach]); a figure that misses its reach says so."""
    scales = list(results)

    def cells(measure: str, write, value=lambda result, measure: result.get(measure)) -> list[str]:
        found = []
        for scale in scales:
            number, most = value(results[scale], measure), REACH.get(measure, {}).get(scale)
            text = "" if number is None else write(number)
            found.append(f"{text} **missed**" if text and most is not None and number > most else text)
        told = [f"{scale:g}x {write(most)}" for scale, most in REACH.get(measure, {}).items() if scale in scales]
        return [*found, ", ".join(told)] if any(found) else []

    def milliseconds(number: float) -> str:
        return f"{number:,.0f} ms" if number >= 10 else f"{number:.1f} ms"

    def tab(result: dict, name: str) -> float | None:
        return result.get("tabs", {}).get(name)

    def slowest(result: dict, measure: str) -> float | None:
        how = measure.removeprefix("served_")
        return max((times[how]["median"] for times in result.get("served", {}).values()), default=None)

    def both(result: dict, name: str) -> str:
        times = result.get("served", {}).get(name, {})
        return ", ".join(f"{milliseconds(t['median'])} ({milliseconds(t['min'])})" for t in times.values())

    def step(result: dict, name: str) -> float | None:
        return result.get("steps", {}).get(name)

    table = [("input rows", cells("rows", "{:,}".format))]
    table += [(f"build: {name}", cells(name, _seconds, step)) for name in STEPS]
    table += [
        ("**build, in process**", cells("build", _seconds)),
        ("**lifetimes of 100,000 customers**", cells("fit", _seconds)),
        ("floor: read the files", cells("floor_read", _seconds)),
        ("floor: write the tables", cells("floor_write", _seconds)),
        ("**build / floor**", cells("ratio", "{:.2f}".format)),
        ("**peak memory of the build**", cells("peak_mb", "{:,.0f} MB".format)),
        ("size of the warehouse", cells("size_mb", "{:,.1f} MB".format)),
        ("one metric by month, median", cells("metric_ms", milliseconds)),
        ("the slowest metric", cells("slowest_metric_ms", milliseconds)),
        ("all metrics by month", cells("all_metrics_ms", milliseconds)),
        ("**slowest tab's data, uncached**", cells("tab_ms", milliseconds)),
    ]
    names = dict.fromkeys(name for result in results.values() for name in result.get("tabs", {}))
    table += [(f"tab {name}", cells(name, milliseconds, tab)) for name in names]
    table += [
        ("**slowest tab served, cold**", cells("served_cold", milliseconds, slowest)),
        ("**slowest tab served, warm**", cells("served_warm", milliseconds, slowest)),
    ]
    names = dict.fromkeys(name for result in results.values() for name in result.get("served", {}))
    table += [(f"served {name}: cold, warm", [*(both(r, name) for r in results.values()), ""]) for name in names]
    table += [
        ("**refresh_data, first load**", cells("first_load", _seconds)),
        ("**refresh_data, usual day**", cells("usual_day", _seconds)),
        ("refresh_data, unchanged exports", cells("unchanged", _seconds)),
        ("refresh in process, whole", cells("refresh_whole", _seconds)),
        ("refresh in process, unchanged exports", cells("refresh_unchanged", _seconds)),
        ("**board_report, the last closed month**", cells("report", _seconds)),
        ("size of its PDF", cells("report_kb", "{:,.0f} kB".format)),
        ("**unchanged / whole, in process**", cells("unchanged_share", "{:.0%}".format)),
    ]
    return [(label, values) for label, values in table if values] + _page_rows(results)


def _page_rows(results: dict[float, dict]) -> list[tuple[str, list[str]]]:
    """The pages' rows of the table: the median load, which is held to the reach, and in brackets the quickest and the
    slowest one."""
    shown = [result.get("pages", {}) for result in results.values()]
    rows = []
    for page in dict.fromkeys(name for pages in shown for name in pages):
        for measure, words in PAGE.items():
            most, cells = REACH[measure][1], []
            for taken in (pages.get(page, {}).get(measure) for pages in shown):
                text = f"{taken['median']:,.0f} ms ({taken['min']:,.0f} to {taken['max']:,.0f})" if taken else ""
                cells.append(f"{text} **missed**" if taken and taken["median"] > most else text)
            if any(cells):
                rows.append((f"page {page}: {words}", [*cells, f"1x {most} ms"]))
        weighed = [pages.get(page, {}) for pages in shown]
        if any("js_kb" in taken for taken in weighed):
            cells = [f"{taken['js_kb']:,.0f} kB, {taken['page_kb']:,.0f} kB" if taken else "" for taken in weighed]
            cells = [
                f"{text} **missed**" if taken and taken["js_kb"] > REACH["js_kb"][1] else text
                for text, taken in zip(cells, weighed, strict=True)
            ]
            rows.append((f"page {page}: JavaScript, all", [*cells, f"1x {REACH['js_kb'][1]} kB"]))
    return rows


def machine() -> str:
    """This machine and the versions that count, in one line."""
    import duckdb
    import polars

    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{os.cpu_count()} cores ({model or platform.machine()}), {memory:.0f} GB, Python {platform.python_version()}, "
        f"Polars {polars.__version__}, DuckDB {duckdb.__version__}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def show(results: dict[float, dict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Moonwalk's speed: {machine()}")
    table.add_column("")
    for scale in results:
        table.add_column(f"{scale:g}x", justify="right", no_wrap=True)
    table.add_column("reach")
    for label, values in rows_of(results):
        values = [v.replace("**missed**", "[red]missed[/red]") for v in values]
        table.add_row(label.strip("*"), *values, style="bold" if label.startswith("**") else "")
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def write(results: dict[float, dict], key: str | None) -> None:
    """Put the table between the marks in docs/performance.md; what people wrote around them stays."""
    head = f"| | {' | '.join(f'{scale:g}x' for scale in results)} | reach |\n|---|{'---:|' * len(results)}---|\n"
    body = "".join(f"| {label} | {' | '.join(values)} |\n" for label, values in rows_of(results))
    kind = "encrypted" if key else "not encrypted"
    text = (
        f"{START}\nMeasured {dt.date.today()} by `make bench` on {machine()}; the warehouse {kind}. "
        f"1x is one business, about 37,000 input rows over 26 months.\n\n{head}{body}{END}"
    )
    page = DOCS.read_text(encoding="utf-8") if DOCS.exists() else f"# Speed\n\n{START}\n{END}\n"
    if START not in page or END not in page:
        raise SystemExit(f"{DOCS} has lost its marks {START} and {END}: put them where the table belongs.")
    before, after = page.split(START)[0], page.split(END)[1]
    DOCS.parent.mkdir(exist_ok=True)
    DOCS.write_text(before + text + after, encoding="utf-8")
    print(f"Written to {DOCS.relative_to(ROOT)}.")


# ---------------------------------------------------------------------------------------------- main


def measure(scale: float, folder: Path, key: str | None, only: list[str] | None = None) -> dict:
    """All measurements of one scale, or some of MEASURES (on the build that an earlier run left)."""
    result = {"rows": input_rows(exports(folder, scale))}

    def take(*parts: str) -> None:
        for part in parts:
            if not only or part in only:
                result.update(in_child(part, scale, folder, key))

    take("build")
    if only or "build" in result:
        take("floor", "questions", "tabs", "report")
    if "build" in result and "floor_read" in result:
        result["ratio"] = result["build"] / (result["floor_read"] + result["floor_write"])
    if scale == 1:
        take("fit", "refresh", "pages")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure builds, refreshes, questions and pages.")
    parser.add_argument("--scales", type=float, nargs="+", default=[1, 10, 100], help="1 is one business")
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "bench", help="where exports and builds are kept")
    parser.add_argument("--key", help="encrypt the warehouse with this key, as MOONWALK_WAREHOUSE_KEY would")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of the table")
    parser.add_argument("--only", nargs="+", choices=MEASURES, help="some measurements; printed, never written")
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    folder = args.folder.resolve()
    if args.measure:
        scale = args.scales[0]
        made, tiny = exports(folder, scale), exports(folder, 0.02)
        data = folder / (args.measure if args.measure in IN_A_FOLDER_OF_ITS_OWN else f"data-{scale:g}")
        print(
            json.dumps(MEASURES[args.measure](made, data, args.key, REPEATS.get(scale, 1 if scale > 10 else 3), tiny))
        )
        return
    if args.only and args.write:
        parser.error("--write puts a whole table into the docs: leave --only out")
    results = {scale: measure(scale, folder, args.key, args.only) for scale in sorted(args.scales)}
    print(json.dumps(results)) if args.json else show(results)
    if args.write:
        write(results, args.key)


if __name__ == "__main__":
    main()
