"""Words for everybody who is signed in: what each figure means, and the guide to each page."""

import re
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import mark_safe
from markdown_it import MarkdownIt

from analytics import access
from analytics.docs import FACTS_TITLE, METRICS_HEAD, SECTIONS
from analytics.metrics import FACTS, FORMULA, METRICS, SPLIT_WORDS, Metric

DOCS = settings.BASE_DIR / "docs"
# The guides, by their names in addresses: the file in docs, and the page of access.PAGES that it is about.
GUIDES = {page: (f"personas/{page}.md", page) for page in ("executive", "customers", "operations", "finance")} | {
    "desk": ("personas/desk.md", "receivables"),
    "collections": ("collections.md", "receivables"),
    "alerts": ("alerts.md", "settings"),
    "held": ("held.md", "settings"),
    "report": ("report.md", "report"),
    "targets": ("targets.md", "executive"),
    "troubleshooting": ("troubleshooting.md", "settings"),
}
UNITS = {
    "count": "a number", "money": "money", "share": "a share, in %", "days": "days", "ratio": "a plain number",
}  # fmt: skip
_PART = re.compile(r"\{(previous\.)?(\w+)\}")
_OVER = re.compile(r"::DOUBLE / nullif\((.*), 0\)$")


def formula(name: str) -> list[tuple[str, str]]:
    """A formula as people write it: [(words, the metric they name or "")]; empty for what is no formula.

    revenue_per_item -> [("Revenue", "revenue"), (" / ", ""), ("Items", "items")].
    """
    metric = METRICS[name]
    if metric.mart != FORMULA:
        return []

    def bottom(found: re.Match) -> str:
        return f" / ({found[1]})" if " " in found[1] else f" / {found[1]}"

    said, words, at = _OVER.sub(bottom, metric.sql), [], 0
    for part in _PART.finditer(said):
        if part.start() > at:
            words.append((said[at : part.start()].replace(" - ", " \N{MINUS SIGN} "), ""))
        label = METRICS[part[2]].label
        words.append((f"{label} of the period before" if part[1] else label, part[2]))
        at = part.end()
    return words + ([(said[at:], "")] if said[at:] else [])


def _definition(metric: Metric) -> dict:
    grains = "month only" if metric.grains == ("month",) else ", ".join(metric.grains)
    return {
        "name": metric.name,
        "label": metric.label,
        "unit": UNITS[metric.unit],
        "about": metric.description,
        "formula": [(text, f"#{part}" if part else "") for text, part in formula(metric.name)],
        "grains": grains,
        "splits": ", ".join(SPLIT_WORDS[s] for s in metric.splits),
        "better": {"up": "more is better", "down": "less is better"}.get(metric.better or "", ""),
        "whole": metric.whole,
        "old": metric.legacy_has_none,
    }


@lru_cache(maxsize=1)
def sections() -> tuple[tuple[str, list[dict]], ...]:
    """The metrics as docs/metrics.md groups them: (section, definitions)."""
    firsts = {first: title for title, first in SECTIONS.items()}
    found: list[tuple[str, list[dict]]] = []
    for metric in METRICS.values():
        if metric.name in firsts:
            found.append((firsts[metric.name], []))
        found[-1][1].append(_definition(metric))
    found.append((FACTS_TITLE, [{"name": f.name, "label": f.label, "about": f.description, "unit": UNITS[f.unit]}
                                for f in FACTS.values()]))  # fmt: skip
    return tuple(found)


def as_html(text: str) -> str:
    """Markdown as HTML. HTML in the text is shown, never obeyed; links may only be web addresses or places here."""
    return mark_safe(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


@lru_cache(maxsize=1)
def ground_rules() -> str:
    """What holds for every figure, from the head of docs/metrics.md."""
    return as_html(METRICS_HEAD.split("## Ground rules\n")[1].split("## ")[0])


@access.page_required("definitions")
def definitions(request: HttpRequest) -> HttpResponse:
    """Every metric's definition, each at its own anchor: /definitions/#revenue."""
    return render(request, "analytics/definitions.html", {"sections": sections(), "rules": ground_rules()})


def _guide(name: str) -> str | None:
    """A guide's text, in which other guides are linked as pages; what is no page here stays as words."""
    if name not in GUIDES or not (file := DOCS / GUIDES[name][0]).is_file():
        return None
    places = {Path(of).name: reverse("guide", args=[other]) for other, (of, _) in GUIDES.items()}

    def here(link: re.Match) -> str:
        place = places.get(Path(link[2]).name)
        return f"[{link[1]}]({place})" if place else link[1]

    return re.sub(r"\[([^\]]+)\]\(([^)\s:#]+\.md)(?:#[^)\s]*)?\)", here, file.read_text(encoding="utf-8"))


@access.page_required("guides")
def guides(request: HttpRequest) -> HttpResponse:
    """The guides there are."""
    found = [
        {"title": text.splitlines()[0].lstrip("# "), "url": reverse("guide", args=[name])}
        for name in GUIDES
        if (text := _guide(name))
    ]
    return render(request, "analytics/guides.html", {"guides": found})


@access.page_required("guides")
def guide(request: HttpRequest, page: str) -> HttpResponse:
    """One of GUIDES by its name, `page`."""
    text = _guide(page)
    if text is None:
        raise Http404
    about = access.PAGES[GUIDES[page][1]]
    back = about if access.can_see(request.user, about.name) and about.url() else None
    context = {"title": text.splitlines()[0].lstrip("# "), "text": as_html(text), "back": back, "here": about.name}
    return render(request, "analytics/guide.html", context)
