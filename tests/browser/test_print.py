"""A page on paper: what Chromium prints of it."""

import shutil
import subprocess

import pytest

from tests.browser.conftest import WIDTHS
from tests.conftest import wait_for

pytestmark = pytest.mark.browser

A4 = (595, 842)  # points
REVENUE = "rgb(106, 63, 160)"  # --revenue in light
# The bars' colours and the width at the moment when paper is taken.
WATCH = """addEventListener("beforeprint", () => {
  window.printed = [...document.querySelectorAll(".js-plotly-plot")].map((graph) => ({
    width: Number(graph.querySelector(".main-svg").getAttribute("width")),
    fills: [...graph.querySelectorAll(".barlayer path")].map((path) => getComputedStyle(path).fill),
    box: graph.closest(".plotbox").style.getPropertyValue("--paper"),
  }));
});"""


def printed(page, tmp_path) -> tuple[str, list[tuple[float, float]]]:
    """The words of what prints, and the size of each page in points."""
    if not shutil.which("pdftotext"):
        pytest.fail("pdftotext is not installed (Debian: apt-get install poppler-utils)")
    file = tmp_path / "page.pdf"
    page.pdf(path=file, prefer_css_page_size=True, print_background=True)
    words = subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True, text=True, check=True).stdout
    info = subprocess.run(["pdfinfo", "-l", "99", file], capture_output=True, text=True, check=True).stdout
    sizes = [line.split()[3:6:2] for line in info.splitlines() if line.startswith("Page ") and " size:" in line]
    return words, [(float(w), float(h)) for w, h in sizes]


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.full), "dark"])
def test_a_tab_prints_to_white_a4_with_its_title_period_and_store(visit, tmp_path, scheme):
    visitor = visit(scheme=scheme)
    page = visitor.open("?tab=snapshot&period=2026-02&store=hielo")
    before = bars(page)
    page.evaluate(WATCH)
    words, sizes = printed(page, tmp_path)
    said = " ".join(words.split())
    for part in ("Executive Pulse", "Snapshot", "February 2026", "Hielo", "Revenue", "better", "Data to"):
        assert part in said, part
    for part in ("Trends", "Log out", "Show as table", "CSV", "Definition"):  # what only a screen can use
        assert part not in said, part
    assert len(sizes) == 1 and all(abs(a - b) <= 1 for a, b in zip(sizes[0], A4, strict=True)), sizes
    (chart,) = page.evaluate("window.printed")
    assert REVENUE in chart["fills"], "drawn in the screen's colours"
    assert chart["width"] == 334 and chart["box"] == "334 / 230"  # half a page, beside what stands out
    wait_for(lambda: bars(page) == before)  # the screen shows its own again, not what was made for paper
    assert visitor.complaints == []


def bars(page) -> list:
    """The charts' width and fills on the screen."""
    return page.evaluate("""[...document.querySelectorAll(".js-plotly-plot")].map((graph) => [
      graph.querySelector(".main-svg").getAttribute("width"),
      [...graph.querySelectorAll(".barlayer path")].map((path) => getComputedStyle(path).fill),
    ])""")


@pytest.mark.parametrize("width", [pytest.param(WIDTHS["desktop"], marks=pytest.mark.full), WIDTHS["phone"]])
def test_paper_holds_every_chart_and_cuts_no_card(visit, tmp_path, width):
    page = visit(width).open("?tab=trends&period=2026-02")
    titles = [h.inner_text() for h in page.locator(".drawn .card h2").all()]
    page.evaluate(WATCH)
    words, sizes = printed(page, tmp_path)
    assert all(title in words for title in titles)
    assert {chart["width"] for chart in page.evaluate("window.printed")} <= {334, 690}
    assert all(abs(w - A4[0]) <= 1 for w, _ in sizes)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 703, "height": 1000})  # an A4 page within its margins
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the page"
    cut = page.evaluate("""[...document.querySelectorAll(".card *:not(svg *, .sr)")]
      .filter((e) => e.checkVisibility() && e.getBoundingClientRect().width)
      .filter((e) => e.getBoundingClientRect().right > e.closest(".card").getBoundingClientRect().right + 1)
      .map((e) => e.outerHTML.slice(0, 90))""")
    assert cut == []
