"""Uploading exports in a real Chromium against a real server: drop, see, refresh, see the figures change.

The laundry of tests/operations/exports.py earns Dhs 415.25 in February; with the dropped file M-00102 costs 25 instead
of 20, M-00103 (15) is gone and M-00104 (of March) is new: Dhs 405.25.
"""

import base64
from pathlib import Path

import pytest

from tests.browser.axe import findings
from tests.browser.complaints import complaints_of
from tests.conftest import PASSWORD, free_port, wait_for
from tests.operations import exports
from tests.operations.house import House

pytestmark = pytest.mark.browser
CHANGED = exports.ORDERS | {
    102: exports.ORDERS[102].replace("20.00", "25.00"),
    104: "104,1,36319,Moon Walk,2026-03-01,2026-03-03,2026-03-02,,,0,1,9.00,0,,,Ready",
}
DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name));
  for (const type of ["dragenter", "dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def template(migrated, tmp_path_factory) -> Path:
    """The laundry, refreshed once."""
    house = House(migrated(tmp_path_factory.mktemp("upload") / "data"))
    exports.write(house.root / "exports")
    house.manage("refresh_data")
    house.add_root(PASSWORD)
    return house.root


@pytest.fixture
def house(template, tmp_path) -> House:
    """A copy of the laundry; and the file to drop."""
    rows = {n: row for n, row in CHANGED.items() if n != 103}
    exports.write(tmp_path / "newer", orders=rows, day="2026-03-06")
    return House(tmp_path / "data", like=template)


@pytest.fixture
def visit(house, chromium):
    """visit(**more) is a page of root's on a server over the house; `more` goes to the browser's context."""
    base = f"http://127.0.0.1:{free_port()}"
    server = house.start("-m", "gunicorn", "moonwalk.wsgi", "--config", "moonwalk/gunicorn.py", "--bind", base[7:])
    contexts = []

    def start(**more):
        context = chromium.new_context(base_url=base, **more)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        wait_for(lambda: answers(page), 60)
        page.fill("[name=username]", "root")
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_url(lambda url: "/login/" not in url)
        return page

    yield start
    for context in contexts:
        context.close()
    server.terminate()
    server.communicate(timeout=60)


def answers(page) -> bool:
    try:
        return page.goto("/login/").ok
    except Exception:
        return False


def february(page) -> str:
    page.goto("/executive/?period=2026-02")
    return " ".join(page.locator("[data-metric=revenue] .val").first.inner_text().split())


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), pytest.param(390, "dark", marks=pytest.mark.full)])
def test_drop_see_refresh_and_the_figures_change(house, visit, tmp_path, width, scheme):
    page = visit(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints = complaints_of(page)
    assert february(page) == "Dhs 415"
    page.get_by_role("link", name="Upload exports").first.click()
    assert findings(page) == []

    file = tmp_path / "newer" / "CC-Orders-2026-03-06.csv"
    page.evaluate(DROP, [file.name, base64.b64encode(file.read_bytes()).decode()])
    page.wait_for_selector("#months")
    assert page.locator("#months tbody tr").all_inner_texts() != []
    month = " ".join(page.locator("#months tbody tr").inner_text().split())
    assert month == "Feb 2026 over the limit Dhs 415.25 Dhs 405.25 −Dhs 10.00"
    changes = page.locator("#months tbody td").last.bounding_box()
    assert changes["x"] + changes["width"] <= width, "nothing beyond the edge"
    counts = page.locator("#rows tbody tr", has_text="Orders").locator("td").all_inner_texts()[:3]
    assert counts == ["1", "1", "1"]
    page.locator(".preview summary").click()
    assert page.locator(".preview tbody tr").count() == 4
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert findings(page) == []
    assert february(page.context.new_page()) == "Dhs 415", "nothing is changed by looking"

    page.get_by_role("button", name="Refresh with these").click()
    assert page.locator("#months").count() == 1, "one order of four is gone, and February moves: it asks first"
    page.get_by_label("I looked at what is marked IMPORTANT").check()
    page.get_by_label("I have seen that revenue of Feb 2026 moves").check()
    page.get_by_role("button", name="Refresh with these").click()
    page.wait_for_selector("text=Every page shows the new figures")
    assert findings(page) == []
    assert february(page) == "Dhs 405"
    assert complaints == []


def test_without_scripts_the_plain_field_and_button_do(house, visit, tmp_path):
    page = visit(java_script_enabled=False)
    page.goto("/operations/upload/")
    page.set_input_files("#files", [tmp_path / "newer" / "CC-Orders-2026-03-06.csv", tmp_path / "data" / "db.sqlite3"])
    page.get_by_role("button", name="Upload and look").click()
    page.wait_for_selector("#months")  # the page asks again by itself
    assert "db.sqlite3 is no export" in page.locator(".say.bad").inner_text()
    assert page.get_by_role("button", name="Refresh with these").count() == 0
    page.get_by_role("button", name="Discard").click()
    page.wait_for_selector("text=The files were discarded")
    assert list((house.root / "uploads").iterdir()) == []


def test_too_large_files_are_not_even_sent(visit):
    page = visit()
    page.goto("/operations/upload/")
    page.evaluate("document.getElementById('drop').dataset.most = 100")
    page.set_input_files("#files", [{"name": "a.csv", "mimeType": "text/csv", "buffer": b"x" * 200_000}])
    assert "are 0.2 MB together; 1 KB is the most" in page.locator("#dropped").inner_text()
    page.get_by_role("button", name="Upload and look").click()
    assert page.url.endswith("/operations/upload/")
