"""The benchmark's own arithmetic and page; the measuring itself is `make bench`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import pages, run


def test_it_says_which_reach_a_figure_misses():
    table = dict(run.rows_of({1: {"rows": 37_000, "build": 0.79, "tab_ms": 41}, 100: {"build": 20.5}}))
    assert table["input rows"] == ["37,000", "", ""]
    assert table["**build, in process**"] == ["0.79 s", "20.5 s **missed**", "1x 0.80 s, 100x 20.0 s"]
    assert table["**slowest tab's data, uncached**"] == ["41 ms **missed**", "", "1x 40 ms, 100x 500 ms"]
    assert "refresh_data, unchanged exports" not in table


def test_a_page_is_held_to_its_median_and_shows_its_slowest_load():
    taken = {
        "Trends by week": {
            "first_numbers": {"median": 140.2, "min": 99.6, "max": 231.6},
            "charts": {"median": 700.4, "min": 512, "max": 1204.0},
        },
        "Insights": {"first_numbers": {"median": 84, "min": 80, "max": 92}},
    }
    table = dict(run.rows_of({1: {"rows": 37_000, "pages": taken}, 10: {"rows": 370_000}}))
    del table["input rows"]
    assert table == {
        "page Trends by week: first numbers": ["140 ms (100 to 232)", "", "1x 200 ms"],
        "page Trends by week: charts": ["700 ms (512 to 1,204) **missed**", "", "1x 700 ms"],
        "page Insights: first numbers": ["84 ms (80 to 92)", "", "1x 200 ms"],
    }


def test_a_tab_is_held_to_its_median_cold_and_warm():
    served = {
        "Executive Pulse: Snapshot": {"cold": {"median": 61, "min": 40}, "warm": {"median": 7.25, "min": 6}},
        "Executive Pulse: Trends": {"cold": {"median": 45, "min": 40}, "warm": {"median": 9.4, "min": 6}},
    }
    table = dict(run.rows_of({1: {"rows": 37_000, "served": served}, 100: {"rows": 3_700_000}}))
    del table["input rows"]
    assert table == {
        "**slowest tab served, cold**": ["61 ms **missed**", "", "1x 60 ms, 100x 600 ms"],
        "**slowest tab served, warm**": ["9.4 ms", "", "1x 10 ms"],
        "served Executive Pulse: Snapshot: cold, warm": ["61 ms (40 ms), 7.2 ms (6.0 ms)", "", ""],
        "served Executive Pulse: Trends: cold, warm": ["45 ms (40 ms), 9.4 ms (6.0 ms)", "", ""],
    }


def test_a_page_is_held_to_its_cold_charts_and_its_scripts():
    taken = {"Trends": {"charts_cold": {"median": 1500.4, "min": 900, "max": 1900}, "js_kb": 800.6, "page_kb": 841.2}}
    table = dict(run.rows_of({1: {"pages": taken}}))
    assert table == {
        "page Trends: charts, cold": ["1,500 ms (900 to 1,900) **missed**", "1x 1500 ms"],
        "page Trends: JavaScript, all": ["801 kB, 841 kB **missed**", "1x 800 kB"],
    }


def test_some_measurements_alone_never_replace_the_table(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run.py", "--only", "tabs", "--write"])
    monkeypatch.setattr(run, "measure", lambda *_: pytest.fail("measured first"))
    with pytest.raises(SystemExit):
        run.main()
    assert "leave --only out" in capsys.readouterr().err


def test_without_a_browser_it_says_so_in_one_line(tmp_path, monkeypatch):
    from tests import conftest

    monkeypatch.setattr(conftest, "CHROMIUM", str(tmp_path / "chromium"))
    with pytest.raises(SystemExit, match="^pages need Chromium[^\n]+$"):
        pages.measure_pages(tmp_path, tmp_path / "data", None)
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    with pytest.raises(SystemExit, match="^pages need playwright[^\n]+$"):
        pages.measure_pages(tmp_path, tmp_path / "data", None)
    assert not (tmp_path / "data").exists()


def test_it_keeps_what_people_wrote_around_the_table(tmp_path, monkeypatch):
    page = tmp_path / "docs" / "performance.md"
    monkeypatch.setattr(run, "DOCS", page)
    monkeypatch.setattr(run, "ROOT", tmp_path)
    run.write({1: {"rows": 1}}, key=None)
    page.write_text("Before.\n" + page.read_text() + "After.\n")
    run.write({1: {"rows": 22}}, key="secret")
    text = page.read_text()
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    assert "| input rows | 22 |  |" in text
    assert "| input rows | 1 |  |" not in text
    assert "warehouse encrypted" in text
    assert "secret" not in text


def test_it_refuses_a_page_without_its_marks(tmp_path, monkeypatch):
    page = tmp_path / "performance.md"
    page.write_text("By hand.")
    monkeypatch.setattr(run, "DOCS", page)
    with pytest.raises(SystemExit, match="marks"):
        run.write({1: {"rows": 1}}, key=None)
    assert page.read_text() == "By hand."


@pytest.mark.full
def test_it_measures_everything(tmp_path):
    words = [sys.executable, str(Path(run.__file__)), "--scales", "0.05", "--folder", str(tmp_path), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])["0.05"]
    assert found["build"] > 0
    assert found["ratio"] > 0
    assert found["peak_mb"] > 50
    assert found["metric_ms"] > 0
    assert found["tab_ms"] > 0
    assert min(times[how]["min"] for times in found["served"].values() for how in ("cold", "warm")) > 0
    assert set(found["steps"]) == set(run.STEPS)
