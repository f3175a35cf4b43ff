"""A day at the desk and the morning after, in a real browser against a real server: on SQLite, and in the full matrix
on PostgreSQL as well.

The laundry of tests/operations/exports.py with more that is owed (Dhs):

    order     customer           placed   earned   total        owed: CC-0002  150 since 1 Dec, "Stop service"
    H-00202   Omar, CC-0002      1 Dec    3 Dec   150.00              CC-0001   50 since 10 Feb, "Final reminder"
    M-00102   Dana, CC-0001     10 Feb   12 Feb    20.00              CC-0003   15 since 20 Feb, "Second reminder"
    M-00105   Dana, CC-0001     12 Feb   14 Feb    30.00        outstanding 215
    M-00103   CC-0003           20 Feb   23 Feb    15.00

    February's revenue: 50.25 + 20 + 30 + 15 + 30 + a subscription of 300 = 445.25; its collections 50.25 + 30 + 300 =
    380.25. Dana pays 25, which is taken back, then all of her 50: collections 405.25, 380.25, 430.25.
"""

import subprocess
import sys
from contextlib import closing, suppress
from datetime import date, timedelta

import pytest

from tests.browser.complaints import complaints_of
from tests.conftest import PASSWORD, ROOT, free_port, wait_for
from tests.operations import exports
from tests.operations.house import House
from tests.operations.test_statements import squeezed, text_of

pytestmark = pytest.mark.browser
ORDERS = exports.ORDERS | {
    105: "105,1,36319,Moon Walk,2026-02-12,2026-02-16,2026-02-14,,,0,2,30.00,0,,,Ready",
    202: "202,2,38516,Hielo,2025-12-01,2025-12-04,2025-12-03,,,0,9,150.00,0,,,Ready",
}
PEOPLE = """
from django.contrib.auth.models import Group, User
for name, role in (("desk", "Desk"), ("farid", "Finance")):
    User.objects.create_user(name, password="%s").groups.add(Group.objects.get(name=role))
"""
OWED = {"Outstanding": "Dhs 215", "Revenue": "Dhs 445", "Collections": "Dhs 380"}
IN_PART = OWED | {"Outstanding": "Dhs 190", "Collections": "Dhs 405"}
SETTLED = OWED | {"Outstanding": "Dhs 165", "Collections": "Dhs 430"}


@pytest.fixture
def postgresql():
    """The address of a PostgreSQL of this test's own."""
    say = "import os, sys; print(os.environ['DATABASE_URL'], flush=True); sys.stdin.read()"
    command = ["bash", str(ROOT / "scripts" / "with-postgresql"), sys.executable, "-c", say]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        address = server.stdout.readline().strip()
        assert address, "PostgreSQL did not start: `make test-all` installs it"
        yield address
        server.stdin.close()
        server.wait(60)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.full)])
def house(request, migrated, tmp_path) -> House:
    """The laundry, refreshed once, with a person at the desk and one in Finance."""
    house = House(migrated(tmp_path / "data"))
    if request.param == "postgresql":
        house.environment["DATABASE_URL"] = request.getfixturevalue("postgresql")
        house.manage("migrate", "-v0")
    exports.write(house.root / "exports", orders=ORDERS)
    house.manage("refresh_data")
    house.shell(PEOPLE % PASSWORD)
    return house


class Days:
    """The server, which can be stopped and started so many days ahead, and people in its pages."""

    def __init__(self, house: House, chromium):
        self.house, self.chromium, self.contexts, self.server = house, chromium, [], None
        self.base = f"http://127.0.0.1:{free_port()}"
        self.complaints: list[list[str]] = []

    def begin(self, ahead: int) -> None:
        self.stop()
        serve = ("gunicorn", "moonwalk.wsgi", "--config", "moonwalk/gunicorn.py", "--bind", self.base[7:])
        if ahead:  # the clock is moved before anything is loaded
            self.server = self.house.serve("-m", "tests.clock", str(ahead), *serve)
        else:
            self.server = self.house.start("-m", *serve)
        probe = self.contexts[0] if self.contexts else self.context()
        with closing(probe.new_page()) as page:
            wait_for(lambda: answers(page), 60)

    def context(self, **more):
        context = self.chromium.new_context(base_url=self.base, viewport={"width": 1440, "height": 900}, **more)
        context.set_default_timeout(60_000)
        self.contexts.append(context)
        return context

    def sign_in(self, name: str):
        page = self.context().new_page()
        self.complaints.append(complaints_of(page))
        page.goto("/login/")
        page.fill("[name=username]", name)
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_url(lambda url: "/login/" not in url)
        return page

    def stop(self) -> None:
        if self.server:
            self.server.terminate()
            self.server.communicate(timeout=90)
            self.server = None


def answers(page) -> bool:
    with suppress(Exception):
        return page.goto("/login/").ok
    return False


@pytest.fixture
def days(house, chromium):
    found = Days(house, chromium)
    yield found
    for context in found.contexts:
        context.close()
    found.stop()


# --- What people see -----------------------------------------------------------------------------------------------


def worklist(page) -> list[str]:
    """The customers of the worklist from the top."""
    page.get_by_role("link", name="Who owes").first.click()
    page.wait_for_selector("tr[data-row]")
    links = page.locator("tr[data-row] a[data-open]")
    return [link.get_attribute("href").strip("/").split("/")[-1] for link in links.all()]


def told(page) -> str:
    """What the page says that was done."""
    return " ".join(page.locator(".messages .told p").first.inner_text().split())


def dashboards(page) -> dict[str, str]:
    """What Financial Performance says, as of now and of February 2026."""
    found = {}
    for tab, cards in (("outstanding", ("Outstanding",)), ("collections", ("Revenue", "Collections"))):
        page.goto(f"/finance/?tab={tab}&period=2026-02")
        page.wait_for_selector("#charts[data-painted]")
        for name in cards:
            value = page.locator(f"[data-metric={name.lower()}] .val").first.inner_text()
            found[name] = " ".join(value.split())
    return found


def follow(page, before: dict[str, str], wanted: dict[str, str]) -> None:
    """The dashboards come to say this by themselves, and nothing else on the way but what they said before: the tabs
    are looked at one after the other, each figure may change between."""
    seen = []
    wait_for(lambda: seen.append(dashboards(page)) or seen[-1] == wanted, 60, every=0.5)
    assert all(value in (before[name], wanted[name]) for figures in seen for name, value in figures.items()), seen


# --- The day -------------------------------------------------------------------------------------------------------


def test_a_day_at_the_desk(house, days):
    days.begin(0)
    desk, finance = days.sign_in("desk"), days.sign_in("farid")
    assert dashboards(finance) == OWED
    assert worklist(desk) == ["CC-0002", "CC-0001", "CC-0003"]

    # A debtor, by the number they call from
    desk.get_by_label("Find in this list").fill("050 000 0001")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**q=050*")
    assert desk.locator("tr[data-row]").count() == 1
    desk.keyboard.press("Escape")
    desk.locator("h1").click()
    desk.keyboard.press("j")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/customer/CC-0001/")

    # A call, and a promise for today
    desk.get_by_role("link", name="Add note").click()
    form = desk.locator("dialog#act")
    form.get_by_label("Call").check()
    form.get_by_label("What came of it").select_option(label="Not reached")
    form.get_by_label("Note", exact=True).fill("Rings, nobody answers.")
    form.get_by_role("button", name="Save note").click()
    desk.wait_for_selector(".told")
    assert told(desk).startswith("Call recorded for Dana Haddad.")
    assert "Rings, nobody answers." in desk.locator("#timeline").inner_text()
    desk.get_by_role("link", name="Record promise").click()
    assert form.get_by_label("Amount promised").input_value() == "50.00"
    form.get_by_label("To be paid by").fill(date.today().isoformat())
    form.get_by_role("button", name="Record promise").click()
    desk.wait_for_selector("text=promised Dhs 50.00 by")
    assert worklist(desk) == ["CC-0002", "CC-0003", "CC-0001"], "nothing is to be done about her until then"

    # The next morning nothing has come
    days.begin(1)
    assert worklist(desk) == ["CC-0001", "CC-0002", "CC-0003"]
    assert desk.locator(".quick a", has_text="Promise broken").inner_text().split()[-1] == "1"

    # A part of it at the counter, by keyboard; it was somebody else's
    desk.locator("h1").click()
    desk.keyboard.press("j")
    desk.keyboard.press("p")
    form.get_by_label("Amount").fill("25")
    assert form.locator("[data-part]").all_inner_texts() == ["Dhs 20.00", "Dhs 5.00"]
    form.get_by_role("button", name="Record payment").click()
    desk.wait_for_selector(".told")
    assert told(desk) == "Recorded Dhs 25.00 of Dana Haddad for 2 orders. Dashboards update shortly."
    follow(finance, OWED, IN_PART)
    live = house.warehouse.current()
    desk.locator(".told").get_by_role("button", name="Undo").click()
    form.get_by_role("button", name="Undo it").click()
    desk.wait_for_selector("text=Undone: Dhs 25.00 of Dana Haddad for 2 orders.")
    wait_for(lambda: house.warehouse.current() != live, 60)
    assert dashboards(finance) == OWED
    assert worklist(desk)[0] == "CC-0001", "and the promise is as broken as before"

    # Her statement, in Arabic
    desk.get_by_role("link", name="Dana Haddad").first.click()
    desk.wait_for_url("**/customer/CC-0001/")
    address = desk.get_by_role("link", name="PDF, Arabic").get_attribute("href")
    paper = desk.request.get(days.base + address)
    assert paper.headers["content-type"] == "application/pdf"
    text = text_of(paper.body())
    assert squeezed("كشف حساب") in squeezed(text)
    assert all(word in text for word in ("Dana Haddad", "M-00102", "20.00", "M-00105", "30.00", "50.00"))
    tomorrow = date.today() + timedelta(1)
    assert f"{tomorrow.year}" in text and "25.00" not in text

    # All of it, by card
    desk.get_by_role("button", name="Mark paid").first.click()
    assert form.get_by_label("Amount").input_value() == "50.00"
    form.get_by_label("Paid by").select_option("Terminal")
    form.get_by_label("Reference").fill("POS 4711")
    live = house.warehouse.current()
    form.get_by_role("button", name="Record payment").click()
    desk.wait_for_selector("text=Recorded Dhs 50.00 of Dana Haddad for 2 orders.")
    assert "Nothing is owed." in desk.locator("#owed").inner_text()
    wait_for(lambda: house.warehouse.current() != live, 60)
    assert dashboards(finance) == SETTLED
    finance.goto("/finance/?tab=outstanding")
    finance.get_by_role("link", name="On the worklist").click()
    finance.wait_for_url("**/operations/receivables/?group=business")
    assert finance.locator(".tabs [aria-current]").inner_text().startswith("Business accounts")
    assert worklist(desk) == ["CC-0002", "CC-0003"]
    desk.get_by_role("link", name="Paid here, still unpaid in CleanCloud").click()
    desk.wait_for_url("**/paid-here/")
    rows = desk.locator("tbody tr").all_inner_texts()
    assert len(rows) == 2 and "M-00102" in rows[0] and "M-00105" in rows[1] and "POS 4711" in rows[0]
    assert sum(days.complaints, []) == []
