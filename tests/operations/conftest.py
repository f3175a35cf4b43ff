"""The desk of books.py on a day of its own, for tests that look at who owes and whom to call next.

The day is Tuesday, 10 March 2026; orders are due the day they are placed. Beside the people of books.py owe: Amal and
Fadi 200.00 and Emad 500.00 since 1 December (99 days: Stop service), Badr 40.00 since then (too little for more than
the Second reminder), Carla 60.00 and Dina 10.00 since 5 March (5 days: no level yet). Dana's oldest order is 37 days
old (Second reminder), Omar's 23 (Reminder).
"""

import shutil
from datetime import date, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.core import serializers

from operations import held, refresh, services
from operations.models import Customer, Order, RefreshRun
from tests.operations import books, exports
from tests.operations.books import LATELY, LONG_AGO, TODAY

NAMES = {"CC-0010": "Amal", "CC-0011": "Badr", "CC-0012": "Carla", "CC-0013": "Dina", "CC-0014": "Emad",
         "CC-0015": "Fadi"}  # fmt: skip
OWED = {"CC-0010": ("200.00", LONG_AGO), "CC-0011": ("40.00", LONG_AGO), "CC-0012": ("60.00", LATELY),
        "CC-0013": ("10.00", LATELY), "CC-0014": ("500.00", LONG_AGO), "CC-0015": ("200.00", LONG_AGO)}  # fmt: skip


@pytest.fixture
def at(monkeypatch):
    """at(day): what is written from now on is written on that day, at noon of the business's clock."""

    def go(day: date) -> None:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(settings.TIME_ZONE))
        monkeypatch.setattr("django.utils.timezone.now", lambda: noon)

    go(TODAY)
    return go


@pytest.fixture
def dana(people, at):
    books.write()
    return people["dana"]


@pytest.fixture
def everybody(dana):
    """With those of NAMES, none of whom has promised or planned anything yet."""
    for i, (pk, name) in enumerate(NAMES.items()):
        books.customer(pk, name, phone=f"05055500{i:02}", area="Outer Abu Dhabi")
        total, placed = OWED[pk]
        books.order(f"M-0{pk[3:]}", pk, total, placed)
    return dana


@pytest.fixture
def worked(everybody, people, at):
    """Amal was called on 1 March, is Dana's, and to be called again today; Badr is Farid's."""
    at(date(2026, 3, 1))
    services.note_add("CC-0010", "", channel="call", outcome="reached", next_action_on=TODAY, user=everybody,
                      request_key=uuid4())  # fmt: skip
    services.assign(["CC-0010"], people["dana"], user=everybody)
    services.assign(["CC-0011"], people["farid"], user=everybody)
    at(TODAY)
    return everybody


@pytest.fixture
def see(client):
    """see(user, q="dana") is the HTML of the worklist, or of another path, for a person."""

    def ask(user, path="/operations/receivables/", **params) -> str:
        client.force_login(user)
        response = client.get(path, params)
        assert response.status_code == 200
        return response.content.decode()

    return ask


@pytest.fixture(autouse=True)
def without_insights(monkeypatch):
    """A refresh in these tests looks for no insights, a fifth of its time: tests/analytics does."""
    monkeypatch.setattr("analytics.enrich.evaluate", lambda con, business: [])


@pytest.fixture(autouse=True)
def closed_months_may_move(monkeypatch):
    """A refresh in these tests publishes whatever it moves of months that are over: test_held.py asks."""
    monkeypatch.setattr(held, "compare", lambda house, manifest: held.Moved())


@pytest.fixture(scope="session")
def first_refreshes() -> dict:
    """What `first_refresh` made so far: the exports' rows -> (data folder, rows of the database)."""
    return {}


@pytest.fixture
def first_refresh(data_dir, people, first_refreshes, tmp_path_factory):
    """first_refresh(orders=...) is the run of a first refresh, by root, of exports so changed. Made in the first test
    that asks; the others get a copy of its data folder and rows, which takes a tenth of the time."""

    def ask(**changed) -> RefreshRun:
        key = repr(changed)
        if key not in first_refreshes:
            exports.write(data_dir / "exports", **changed)
            run = refresh.refresh(trigger="command", user=people["root"])
            assert run.state == RefreshRun.State.PUBLISHED, run.error
            # What a refresh writes: rows that came with the tables are in every test's database, under other numbers.
            rows = [row for model in (Customer, Order, RefreshRun) for row in model.objects.all()]
            kept = shutil.copytree(data_dir, tmp_path_factory.mktemp("first") / "data")
            first_refreshes[key] = kept, serializers.serialize("json", rows)
            return run
        folder, rows = first_refreshes[key]
        shutil.copytree(folder, data_dir, dirs_exist_ok=True)
        for row in serializers.deserialize("json", rows):
            if isinstance(row.object, RefreshRun):
                row.object.started_by = people["root"]
            row.save()
        return RefreshRun.objects.get()

    return ask
