"""The daily look at promises: who is told what, once a day, in whose sums, and what no message says.

The desk of conftest.py on Tuesday, 10 March 2026, 12:00. Amal promised 100.00 of her 200.00 for today, Fadi all of his
200.00 for yesterday, Emad 50.00 for the 5th, Carla 60.00 for tomorrow; Omar, of Hielo, his 30.00 for today.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.utils import timezone

from analytics.models import StoreAccess
from operations import promises, services
from operations.models import Customer, Delivery, Duty
from operations.receivables import Filters, worklist
from operations.worklist import read
from tests.operations import books
from tests.operations.books import TODAY
from tests.operations.conftest import NAMES

pytestmark = pytest.mark.django_db
MORNING = datetime(2026, 3, 10, 8, tzinfo=ZoneInfo(settings.TIME_ZONE))
PROMISED = (
    ("CC-0010", "100.00", 10), ("CC-0015", "200.00", 9), ("CC-0014", "50.00", 5), ("CC-0012", "60.00", 11),
    ("CC-0002", "30.00", 10),
)  # fmt: skip


@pytest.fixture
def promised(everybody, people, at):
    """They promised on 5 March."""
    for name in ("dana", "farid", "layla", "omar", "sara"):
        people[name].email = f"{name}@example.com"
        people[name].save()
    at(date(2026, 3, 5))
    for pk, amount, on in PROMISED:
        books.promise(everybody, pk, amount, date(2026, 3, on))
    at(TODAY)
    return people


def messages() -> dict[str, dict]:
    """Whom -> what each message says."""
    assert set(Delivery.objects.values_list("kind", flat=True)) <= {"mail"}
    return {d.recipient.partition("@")[0]: d.content for d in Delivery.objects.all()}


def looked(on: date) -> None:
    at = datetime(on.year, on.month, on.day, 8, 1, tzinfo=ZoneInfo(settings.TIME_ZONE))
    Duty.objects.create(
        name="promises", due_at=at, next_attempt_at=at, noticed_at=at, state="done", done_at=at, attempts=1
    )


def rows(client, user, url: str) -> set[str]:
    """The customers of the list that a message leads to."""
    request = client.get(url).wsgi_request
    return {row.debt.customer_id for row in worklist(user, TODAY, read(request).filters).rows}


def test_the_desk_is_told_of_today_and_yesterday(promised, client):
    assert promises.remind(MORNING) == "2 due today, 1 broken; told: 1 person."
    (said,) = messages().values()
    assert said["subject"] == "Promises to pay: 2 due today, 1 broken"
    assert said["text"] == "What was promised by customers whom nobody in particular looks after."
    assert said["lines"][:2] == [
        ["Due today", "2 promises, Dhs 130.00 still to come"],
        ["Broken since 9 Mar 2026", "1 promise, Dhs 200.00 missing"],
    ]
    assert said["lines"][2].endswith("/operations/receivables/?promise=pending&sort=promise")
    client.force_login(promised["dana"])
    assert rows(client, promised["dana"], said["url"]) == {"CC-0015", "CC-0014"}
    path = said["lines"][2].removeprefix(f"Due today: {settings.SITE_URL}")
    assert rows(client, promised["dana"], path) == {"CC-0010", "CC-0002", "CC-0012"}


def test_what_broke_since_the_last_look_and_no_sooner(promised):
    """The last look was on the 5th, in the morning: Emad's promise for that day broke since."""
    looked(date(2026, 3, 5))
    assert promises.remind(MORNING) == "2 due today, 2 broken; told: 1 person."
    assert messages()["dana"]["lines"][1] == ["Broken since 5 Mar 2026", "2 promises, Dhs 250.00 missing"]
    assert promises.last_look(MORNING, TODAY) == date(2026, 3, 5)
    looked(date(2026, 3, 6))
    assert promises.last_look(MORNING, TODAY) == date(2026, 3, 6)
    assert [len(what.broken) for what in promises.news(date(2026, 3, 6), TODAY).values()] == [1]


def test_who_a_customer_is_assigned_to_is_told_and_the_desk_of_the_rest(promised):
    services.assign(["CC-0010", "CC-0015"], promised["farid"], user=promised["farid"])
    services.assign(["CC-0002"], promised["dana"], user=promised["farid"])
    assert promises.remind(MORNING) == "2 due today, 1 broken; told: 2 people."
    said = messages()
    assert said["farid"]["subject"] == "Promises to pay: 1 due today, 1 broken"
    assert said["farid"]["text"] == "What was promised by customers assigned to you."
    assert said["farid"]["url"] == "/operations/receivables/?promise=broken&sort=-promise&assigned=me"
    assert said["dana"]["subject"] == "Promises to pay: 1 due today"
    assert said["dana"]["lines"] == [["Due today", "1 promise, Dhs 30.00 still to come"]]


@pytest.mark.parametrize("lost", ["inactive", "no address", "may not open it", "kept to another store"])
def test_whoever_cannot_be_told_leaves_their_customers_to_the_desk(promised, lost):
    farid = promised["farid"]
    services.assign(["CC-0010"], farid, user=farid)
    if lost == "inactive":
        farid.is_active = False
    if lost == "no address":
        farid.email = " "
    farid.save()
    if lost == "may not open it":
        farid.groups.clear()
    if lost == "kept to another store":
        StoreAccess.objects.create(user=farid, store="Hielo")
    promises.remind(MORNING)
    assert set(messages()) == {"dana"}
    assert messages()["dana"]["lines"][0] == ["Due today", "2 promises, Dhs 130.00 still to come"]


def test_who_is_kept_to_a_store_hears_of_that_store(promised, django_user_model):
    StoreAccess.objects.create(user=promised["dana"], store="Hielo")
    assert promises.remind(MORNING) == "1 due today, 0 broken; told: 1 person."
    assert messages()["dana"]["lines"] == [["Due today", "1 promise, Dhs 30.00 still to come"]]


def test_what_came_in_meanwhile_is_not_asked_for(promised):
    """Amal paid 40.00 of her 100.00, Fadi all: kept, so nothing of it is broken."""
    services.customer_pay("CC-0010", Decimal("40.00"), **books.paying(promised["dana"]))
    services.customer_pay("CC-0015", Decimal("200.00"), **books.paying(promised["dana"]))
    promises.remind(MORNING)
    assert messages()["dana"]["lines"] == [["Due today", "2 promises, Dhs 90.00 still to come"]]


def test_a_message_a_person_and_day_however_often_it_is_asked(promised, at):
    for _ in range(2):
        promises.remind(MORNING)
    promises.remind(MORNING + timedelta(hours=3))
    assert Delivery.objects.count() == 1
    looked(TODAY)
    at(TODAY + timedelta(days=1))
    assert promises.remind(MORNING + timedelta(days=1)) == "1 due today, 2 broken; told: 1 person."
    assert Delivery.objects.count() == 2


def test_late_it_is_of_the_day_on_which_it_is_asked(promised, at):
    at(TODAY + timedelta(days=1))
    looked(date(2026, 3, 9))
    promises.remind(MORNING)
    assert messages()["dana"]["subject"] == "Promises to pay: 1 due today, 3 broken"


def test_nothing_to_say_and_nobody_is_told(everybody, people, at):
    assert promises.remind(MORNING) == "Nothing is due on 10 Mar 2026, and no promise was broken since 9 Mar 2026."
    people["dana"].email = "dana@example.com"
    people["dana"].save()
    books.promise(everybody, "CC-0010", "10.00", TODAY + timedelta(days=1))
    assert promises.remind(MORNING).startswith("Nothing is due")
    assert not Delivery.objects.exists()


def test_nobody_to_tell_is_said(everybody):
    books.promise(everybody, "CC-0010", "10.00", TODAY)
    assert "nobody to tell" in promises.remind(MORNING)
    assert not Delivery.objects.exists()


def test_no_message_names_a_customer(promised):
    promises.remind(MORNING)
    text = " ".join(str(content) for content in messages().values())
    names = [*NAMES.values(), *NAMES, *Customer.objects.values_list("phone", flat=True), "Omar Saleh", "CC-0002"]
    assert [name for name in names if name and name in text] == []


def test_the_sums_are_those_of_the_worklist(promised):
    found = worklist(promised["dana"], TODAY, Filters())
    pending = [debt for debt in found.debts if debt.paused]
    assert [promises.missing(debt) for debt in pending] == [debt.still_promised for debt in pending]
    assert timezone.localdate() == TODAY
