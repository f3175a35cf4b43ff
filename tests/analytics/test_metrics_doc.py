"""docs/metrics.md and docs/insights.md are what METRICS and RULES say."""

import re
from pathlib import Path

import pytest

from analytics import docs, metrics
from analytics.insights import RULES
from analytics.metrics import METRICS

AGAIN = "is stale: run `python -m analytics.docs` and commit what it writes"


@pytest.mark.parametrize(("name", "page"), [("metrics.md", docs.metrics_page), ("insights.md", docs.insights_page)])
def test_the_page_is_up_to_date(name, page):
    assert (docs.DOCS / name).read_text(encoding="utf-8") == page(), f"docs/{name} {AGAIN}"


def test_writing_gives_the_pages(tmp_path):
    docs.write(tmp_path / "docs")
    assert (tmp_path / "docs" / "metrics.md").read_text(encoding="utf-8") == docs.metrics_page()
    assert (tmp_path / "docs" / "insights.md").read_text(encoding="utf-8") == docs.insights_page()


def test_every_metric_has_its_line_and_columns():
    lines = {line.split("`")[1]: line for line in docs.metrics_page().splitlines() if line.startswith("| `")}
    assert list(lines) == list(METRICS)
    for name, line in lines.items():
        assert len(re.split(r"(?<!\\)\|", line)) == 10, name
        assert METRICS[name].description in line


def test_the_sections_are_those_of_the_source():
    said = re.findall(r"^# ([A-Z][A-Za-z ]+) -{20,}$", Path(metrics.__file__).read_text(), re.M)
    assert [*docs.SECTIONS] == said
    assert all(first in METRICS for first in docs.SECTIONS.values())


def test_every_rule_has_its_line():
    lines = [line.split("`")[1] for line in docs.insights_page().splitlines() if line.startswith("| `")]
    assert sorted(lines) == sorted(rule.name for rule in RULES)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("REV_MOM", "over 2 % more", "over 2 % less"),
        ("SUB_SHARE", "over 1 pp more", "over 1 pp less"),
        ("NEW_CUST", "10 % or more", "–"),
        ("M1_RETENTION", "50 % or more", "under 30 %"),
        ("PROCESSING_TIME", "–", "over 3 days"),
        ("OUTSTANDING_PCT", "25 % or less", "over 50 %"),
        ("GEO_SHIFT", "–", "–"),
    ],
)
def test_limits_in_words(rule, good, bad):
    assert docs.limits(next(r for r in RULES if r.name == rule)) == (good, bad)
