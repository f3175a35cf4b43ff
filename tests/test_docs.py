"""Pages of the docs: what they point to exists."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from analytics.receivables import collection_effectiveness, dso
from operations.defaults import LEVELS, PLACEHOLDERS

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


def test_the_desks_guide_says_the_levels_and_figures_as_they_are():
    text = (ROOT / "docs" / "collections.md").read_text(encoding="utf-8")
    for name, days, amount, by in LEVELS:
        assert re.search(rf"^\| {name} \| {days} \| {amount} \| {by} \|$", text, re.I | re.M), name
    assert re.findall(r"`\{(\w+)\}`", text) == list(PLACEHOLDERS)
    owed, early, sold = Decimal("1.2"), Decimal("0.8"), Decimal(10)
    found = dso(owed, early, sold, 365)
    assert [f"{v:.1f}" for v in (found.days, found.best_possible, found.delinquent)] == ["43.8", "29.2", "14.6"]
    effective = collection_effectiveness(Decimal(1), sold, owed, early)
    said = re.findall(r"\*\*([\d.]+)(?: %)?\*\*", text)
    assert said == ["43.8", "29.2", "14.6", f"{effective * 100:.1f}"]


def _said() -> str:
    """All that the program may say, as one text: pieces of one sentence joined, what is filled in left out."""
    files = [f for room in ("etl", "analytics", "operations", "moonwalk") for f in (ROOT / room).rglob("*.py")]
    texts = [f.read_text(encoding="utf-8") for f in [*files, *(ROOT / "templates").rglob("*.html")]]
    joined = re.sub(r'"\s*\n\s*(?:if [^\n]*\n\s*else )?f?"', "", "\n".join(texts))
    return " ".join(re.sub(r"\{\{[^}]*\}\}|\{[^{}]*\}", "…", joined).split())


def test_troubleshooting_quotes_what_the_program_says():
    said = _said()
    quotes = re.findall(r"^> (.+)$", (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), re.M)
    elsewhere = {"OSError: [Errno 28] No space left on device"}  # the system's words
    pieces = {p.strip() for quote in set(quotes) - elsewhere for p in quote.split("…") if len(p.strip(" .,:()")) > 3}
    assert len(pieces) > 40
    assert sorted(piece for piece in pieces if piece not in said) == []


def test_every_migration_has_a_note_for_who_upgrades():
    told = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    made = [f"{app} {file.name[:4]}" for app in ("analytics", "operations")
            for file in sorted((ROOT / app / "migrations").glob("0*.py"))]  # fmt: skip
    assert len(made) > 7
    assert [name for name in made if f"**{name}**" not in told] == []
