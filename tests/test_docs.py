"""Pages of the docs: what they point to exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


def test_the_first_screen_of_the_readme_has_one_picture_and_the_two_commands():
    first = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## ")[0]
    assert len(re.findall(r"!\[[^\]]+\]\([^)]+\)", first)) == 1
    assert "make demo" in first and "make test" in first
