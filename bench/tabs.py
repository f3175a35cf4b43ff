"""How long the server takes for a tab: the page and its charts, through every layer of Django, without a network.

The client is Django's test client in this process, so that nothing but the server's own work is in the figures. Cold:
the build is open, but nothing of what it was ever asked is kept. Warm: the same address again.
"""

import json
import os
import statistics
import time
from pathlib import Path

CALL = {
    "output": "..painted.data...failure.children..",
    "outputs": [{"id": "painted", "property": "data"}, {"id": "failure", "property": "children"}],
    "changedPropIds": ["url.search"],
}


def measure_tabs(made: Path, data: Path, key: str | None, repeats: int, *_) -> dict:
    """{"served": {tab: {"cold" | "warm": {"median", "min"}}}}, milliseconds of every tab of the build in `data`."""
    os.environ |= {
        "DATABASE_URL": f"sqlite:///{data / 'tabs.sqlite3'}",
        "DEBUG": "False",
        "MOONWALK_DATA_DIR": str(data),
        "MOONWALK_ENV_FILE": "",
        "MOONWALK_HASHED_STATIC": "False",
        "MOONWALK_HTTPS": "False",
        "MOONWALK_WAREHOUSE_KEY": key or "",
        "REDIS_URL": "",
    }
    import django

    django.setup()
    from analytics.dashboards import DASHBOARDS

    client = _manager()
    served = {}
    for dashboard in DASHBOARDS.values():
        for tab in dashboard.tabs:
            served[f"{dashboard.title}: {tab.label}"] = _times(client, dashboard.page, tab, max(5, repeats))
    return {"served": served}


def _manager():
    """A client signed in as somebody who may see every page."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import Client

    call_command("migrate", verbosity=0)
    user, _ = get_user_model().objects.get_or_create(username="bench", is_superuser=True)
    client = Client(headers={"host": "localhost", "accept-encoding": "gzip"})
    client.force_login(user)
    return client


def _times(client, page: str, tab, repeats: int) -> dict[str, dict[str, float]]:
    """A tab's milliseconds, cold and warm."""
    from analytics import queries

    taken = {"cold": [], "warm": []}
    _open(client, page, tab)  # templates compiled, scripts of the page known
    for _ in range(repeats):
        queries.current()._kept.clear()
        taken["cold"].append(_open(client, page, tab))
        taken["warm"].append(_open(client, page, tab))
    return {how: {"median": statistics.median(times), "min": min(times)} for how, times in taken.items()}


def _open(client, page: str, tab) -> float:
    """Milliseconds of the page, and of its charts where it has some, by month."""
    search = f"?tab={tab.slug}&grain=month"
    call = CALL | {"inputs": [{"id": "url", "property": "search", "value": search}]}
    started = time.perf_counter()
    answers = [client.get(f"/{page}/{search}")]
    if tab.charts:
        body = json.dumps(call)
        answers.append(client.post(f"/dash/app/{page}/_dash-update-component", body, content_type="application/json"))
    taken = (time.perf_counter() - started) * 1000
    for answer in answers:
        if answer.status_code != 200:
            raise SystemExit(f"{answer.request['PATH_INFO']}{search} answers {answer.status_code}")
    return taken
