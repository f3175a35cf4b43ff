"""How long until a person sees numbers, and charts: every tab in a real Chromium, served as `make demo` does.

The numbers are in the page's HTML, so they are there with its first contentful paint; static/charts.js sets the mark
"charts" in the browser's timeline once every chart is drawn. Both count from the start of the navigation. A warm load:
the server answered this page before, and the browser keeps the static files. A cold one: a browser that keeps nothing,
and a month of which the server has drawn no chart yet.
"""

import contextlib
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOADS = 8
# The periods of the cold loads, closed ones of the sample exports.
MONTHS, WEEKS = ("2026-02", "2026-01", "2025-12"), ("2026-W10", "2026-W09", "2026-W08")
WAIT = 30  # seconds for the server to answer, and for a page to be drawn

# what is seen -> the entry of the browser's timeline that tells when
SEEN = {"first_numbers": "first-contentful-paint", "charts": "charts"}
TIMES = "names => names.map(name => performance.getEntriesByName(name)[0]?.startTime ?? null)"
# Bytes as they were sent, compressed: of scripts, and of everything.
WEIGHT = """() => {
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const sum = some => some.reduce((total, entry) => total + entry.encodedBodySize, 0);
  return [sum(all.filter(entry => entry.initiatorType === "script")), sum(all)];
}"""


def pages() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every tab by month, and Trends by week: name -> (address, what of SEEN it shows)."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moonwalk.settings")
    django.setup()
    from analytics.dashboards import DASHBOARDS

    found = {}
    for page, dashboard in DASHBOARDS.items():
        for tab in dashboard.tabs:
            seen = tuple(SEEN) if tab.charts else ("first_numbers",)
            found[f"{dashboard.title}: {tab.label}"] = (f"/{page}/?tab={tab.slug}&grain=month", seen)
    return found | {"Executive Pulse: Trends by week": ("/executive/?tab=trends&grain=week", tuple(SEEN))}


def measure_pages(made: Path, data: Path, key: str | None, *_) -> dict:
    """{"pages": {page: {"first_numbers" | "charts" | "charts_cold": {"median", "min", "max"}, "js_kb", "page_kb"}}}.

    Milliseconds over 8 warm loads and 3 cold ones; kB of 1,000 bytes, compressed, of a cold load. The exports in `made`
    are loaded into the empty folder `data`. Ends with a sentence where there is no browser.
    """
    browser = _browser()
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    password = secrets.token_urlsafe(12)
    environment = _environment(made, data, key) | {"MOONWALK_DEMO_PASSWORD": password}
    _collect_static(environment)
    _manage(environment, "demo")
    with _served(environment, data / "server.log") as base, browser() as page:
        _sign_in(page, base, password)
        return {"pages": {name: _loads(page, base, *what) for name, what in pages().items()}}


def _browser():
    """A context manager that gives a page of the browser that the tests use, or a sentence about what is missing."""
    try:
        from playwright.sync_api import sync_playwright

        from tests.conftest import CHROMIUM, FLAGS
    except ImportError as missing:
        raise SystemExit(f"pages need {missing.name.partition('.')[0]}, which `make bench` installs") from None
    if not Path(CHROMIUM).exists():
        raise SystemExit("pages need Chromium; on Debian: apt-get install chromium")

    @contextlib.contextmanager
    def opened():
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = chromium.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(WAIT * 1000)
            yield page
            chromium.close()

    return opened


# ---------------------------------------------------------------------------------------------- server


def _environment(made: Path, data: Path, key: str | None) -> dict[str, str]:
    """The demo's environment, in a data folder of its own and whatever a .env file says."""
    return os.environ | {
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": f"sqlite:///{data / 'bench.sqlite3'}",
        "DEBUG": "False",
        "MOONWALK_BUSINESS_FILE": "",
        "MOONWALK_DATA_DIR": str(data),
        "MOONWALK_ENV_FILE": "",
        "MOONWALK_EXPORTS_DIR": str(made),
        "MOONWALK_HASHED_STATIC": "True",
        "MOONWALK_HTTPS": "False",
        "MOONWALK_WAREHOUSE_KEY": key or "",
        "REDIS_URL": "",
    }


def _manage(environment: dict[str, str], *words: str) -> None:
    command = [sys.executable, ROOT / "manage.py", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        told = (done.stderr or done.stdout).strip()
        raise SystemExit(f"{told[-2000:]}\nmanage.py {words[0]} failed: {''.join(told.splitlines()[-1:])}")


def _collect_static(environment: dict[str, str]) -> None:
    """The hashed static files, collected again only when a source is newer than they are."""
    collected = ROOT / "staticfiles" / "staticfiles.json"
    sources = [ROOT / "moonwalk" / "static.py", *(p for p in (ROOT / "static").rglob("*") if p.is_file())]
    newest = max(source.stat().st_mtime for source in sources)
    if not collected.exists() or collected.stat().st_mtime < newest:
        _manage(environment, "collectstatic", "--no-input", "--verbosity", "0")


@contextlib.contextmanager
def _served(environment: dict[str, str], log: Path):
    """gunicorn on a free port for as long as the block runs; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["gunicorn", "moonwalk.wsgi", "--config", "moonwalk/gunicorn.py", "--bind", f"127.0.0.1:{port}"]
    with log.open("w") as told:
        server = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, env=environment, stdout=told, stderr=told)
    try:
        base = f"http://127.0.0.1:{port}"
        _wait_for(server, f"{base}/login/", log)
        yield base
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(server: subprocess.Popen, address: str, log: Path) -> None:
    """Until the server answers; ends with where its words are when it doesn't."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + WAIT
    while server.poll() is None and time.monotonic() < until:
        try:
            direct.open(address, timeout=WAIT).close()
            return
        except urllib.error.HTTPError as answer:
            raise SystemExit(f"{address} answers {answer.code}; see {log}") from None
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"the server does not answer; see {log}")


# ---------------------------------------------------------------------------------------------- browser


def _sign_in(page, base: str, password: str) -> None:
    page.goto(f"{base}/login/")
    page.get_by_label("User name").fill("manager")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{base}/")


def _loads(page, base: str, address: str, seen: tuple[str, ...]) -> dict:
    """What measure_pages() says of a page; of the warm loads the first, which nothing was warm for, is left out."""
    periods = WEEKS if "grain=week" in address else MONTHS
    colds = [_cold(page, f"{base}{address}&period={period}", seen) for period in periods]
    loads = [_load(page, f"{base}{address}", [SEEN[what] for what in seen]) for _ in range(LOADS + 1)][1:]
    found = {what: _told(times) for what, times in zip(seen, zip(*loads, strict=True), strict=True)}
    if "charts" in seen:
        found["charts_cold"] = _told([times[-1] for times, _ in colds])
    scripts, everything = colds[0][1]
    return found | {"js_kb": scripts / 1000, "page_kb": everything / 1000}


def _told(times) -> dict[str, float]:
    return {"median": statistics.median(times), "min": min(times), "max": max(times)}


def _cold(page, address: str, seen: tuple[str, ...]) -> tuple[list[float], list[int]]:
    """A load in a browser that keeps nothing but the session: (milliseconds, bytes of scripts and of everything)."""
    context = page.context.browser.new_context(
        viewport={"width": 1440, "height": 900}, storage_state=page.context.storage_state()
    )
    fresh = context.new_page()
    fresh.set_default_timeout(WAIT * 1000)
    try:
        return _load(fresh, address, [SEEN[what] for what in seen]), fresh.evaluate(WEIGHT)
    finally:
        context.close()


def _load(page, address: str, entries: list[str]) -> list[float]:
    """Opens the address and gives the milliseconds at which each of these entries came."""
    page.goto(address)
    until = time.monotonic() + WAIT
    while None in (times := page.evaluate(TIMES, entries)):
        if time.monotonic() > until:
            raise SystemExit(f"{address} showed no {entries[times.index(None)]} within {WAIT} s")
        page.wait_for_timeout(50)
    return times
