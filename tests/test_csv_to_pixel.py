"""From CSV to pixel and back: exports, a browser, payments at the desk, and the export that catches up.

With real processes: the command refreshes, gunicorn serves and brings payments into the figures, Chromium looks and
presses the worklist's buttons.
The laundry of tests/operations/exports.py, in February 2026 (Dhs):

    order     earned   total   paid by              revenue 50.25 + 20 + 15 + 30 + 300 = 415.25
    M-00101    3 Feb   50.25   Cash                 collections 50.25 + 30 + 300 = 380.25, of it Cash 50.25
    M-00102   12 Feb   20.00   -                    outstanding 20 + 15 = 35
    M-00103   23 Feb   15.00   -
    H-00201   17 Feb   30.00   Card
    subscription 1 Feb 300.00  Stripe
"""

import pytest

from tests.browser.complaints import complaints_of
from tests.conftest import PASSWORD, free_port, wait_for
from tests.operations import exports
from tests.operations.house import House

pytestmark = pytest.mark.browser
REVENUE = {"Revenue": "Dhs 415"}  # 415.25, whatever is paid
UNPAID = REVENUE | {"Collections": "Dhs 380", "Cash": "50.25", "Terminal": "30.00", "Outstanding": "Dhs 35.00"}
IN_PART = REVENUE | {"Collections": "Dhs 388", "Cash": "58.25", "Terminal": "30.00", "Outstanding": "Dhs 27.00"}
SETTLED = REVENUE | {"Collections": "Dhs 400", "Cash": "58.25", "Terminal": "42.00", "Outstanding": "Dhs 15.00"}
# CleanCloud has one method an order: once it says Cash, all 20 are Cash's. Nothing else moves.
CAUGHT_UP = SETTLED | {"Cash": "70.25", "Terminal": "30.00"}


@pytest.fixture
def house(migrated, tmp_path) -> House:
    house = House(migrated(tmp_path / "data"))
    exports.write(house.root / "exports")
    house.add_root(PASSWORD)
    return house


@pytest.fixture
def page(house, chromium):
    """A browser page of root's on a server over the house."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    server = house.start("-m", "gunicorn", "moonwalk.wsgi", "--config", "moonwalk/gunicorn.py", "--bind", base[7:])
    context = chromium.new_context(base_url=base, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    found = context.new_page()
    try:
        wait_for(lambda: _answers(found), 60)
        found.fill("[name=username]", "root")
        found.fill("[name=password]", PASSWORD)
        found.press("[name=password]", "Enter")
        found.wait_for_url(lambda url: "/login/" not in url)
        yield found
    finally:
        context.close()
        server.terminate()
        server.communicate(timeout=60)


def _answers(page) -> bool:
    try:
        return page.goto("/login/").ok
    except Exception:
        return False


def refresh(house: House) -> None:
    house.manage("refresh_data")


def seen(page) -> dict[str, str]:
    """What Financial Performance shows of February, and what is owed; every chart is painted and nothing complains."""
    complaints = complaints_of(page)
    page.goto("/finance/?tab=collections&period=2026-02")
    page.wait_for_selector("#charts[data-painted]")
    cards = ("Revenue", "Collections")
    value = {name: page.locator(f"[data-metric={name.lower()}] .val").first.inner_text() for name in cards}
    parts = page.locator("[data-metric=collections] .parts")
    for method in ("Cash", "Terminal"):
        value[method] = parts.locator("dt", has_text=method).locator("xpath=following-sibling::dd[1]").inner_text()
    page.goto("/finance/?tab=outstanding")
    page.wait_for_selector("#charts[data-painted]")
    value["Outstanding"] = page.locator("[data-metric=outstanding] .val").first.inner_text()
    assert complaints == []
    return {name: " ".join(text.split()) for name, text in value.items()}


def pay(page, amount: str, method: str) -> None:
    """Record a payment for M-00102 at its row of the worklist."""
    page.goto("/operations/receivables/?view=orders&q=M-00102")
    page.locator("tr[data-row]", has_text="M-00102").get_by_role("link", name="Paid").click()
    form = page.locator("dialog#act")
    form.get_by_label("Amount").fill(amount)
    form.get_by_label("Paid by").select_option(method)
    form.get_by_role("button", name="Record payment").click()
    page.wait_for_selector(f"text=Recorded Dhs {amount} of Dana Haddad for 1 order. Dashboards update shortly.")


def to_key_in(page) -> list[str]:
    """The lines of "Paid here, still unpaid in CleanCloud"."""
    page.goto("/operations/receivables/paid-here/")
    return [" ".join(row.split()) for row in page.locator("tbody tr").all_inner_texts()]


def test_a_payment_from_csv_to_pixel_and_back(house, page):
    refresh(house)
    assert seen(page) == UNPAID
    first = house.warehouse.current()

    pay(page, "8.00", "Cash")
    wait_for(lambda: house.settled("M-00102") == ("8.00", "12.00"), 60)
    assert seen(page) == IN_PART
    pay(page, "12.00", "Terminal")
    wait_for(lambda: house.settled("M-00102") == ("20.00", "0.00"), 60)
    assert seen(page) == SETTLED
    page.goto("/finance/?tab=outstanding")
    assert "M-00102" not in page.content() and "M-00103" in page.content()

    # The export of the next day has not heard of it: everything stays as it is.
    exports.write(house.root / "exports", day="2026-03-06")
    refresh(house)
    assert seen(page) == SETTLED
    waiting = to_key_in(page)
    assert len(waiting) == 2 and all("M-00102" in line for line in waiting)

    # The day after, CleanCloud says paid: the export wins, nothing counts twice.
    paid = exports.ORDERS | {102: exports.ORDERS[102].replace("20.00,0,,", "20.00,1,Cash,2026-03-04")}
    exports.write(house.root / "exports", orders=paid, day="2026-03-07")
    refresh(house)
    assert seen(page) == CAUGHT_UP
    assert house.settled("M-00102") == ("20.00", "0.00")
    assert not any("M-00102" in line for line in to_key_in(page))

    # Each payment is on record as it was, in the build that first had it; none of it moved revenue.
    rows = house.rows("SELECT amount, method, included_in FROM operations_payment ORDER BY id")
    assert [(f"{amount:.2f}", method) for amount, method, _ in rows] == [("8.00", "Cash"), ("12.00", "Terminal")]
    runs = house.rows("SELECT trigger, state, build_id FROM operations_refreshrun ORDER BY id")
    assert [run[:2] for run in runs] == [
        ("command", "published"), ("payments", "published"), ("payments", "published"), ("command", "published"),
        ("command", "published")]  # fmt: skip
    assert [build for *_, build in rows] == [runs[1][2], runs[2][2]]
    assert runs[0][2] == first
