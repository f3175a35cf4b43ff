"""The colours of static/moonwalk.css: contrast in light and dark, and none written elsewhere."""

import re

import pytest

from tests.conftest import ROOT

CSS = (ROOT / "static" / "moonwalk.css").read_text()
SUBJECTS = ("customers", "items", "revenue", "stops")


def tokens(scheme: str) -> dict[str, str]:
    """Custom properties of a scheme that are plain colours: name -> six hex digits."""
    light = re.search(r":root \{(.*?)\n\}", CSS, re.S)[1]
    dark = re.search(r"data-scheme=.*?\{(.*?)\n  \}", CSS, re.S)[1]
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", light))
    if scheme == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", dark))
    return {k: v if len(v) > 4 else "#" + "".join(c * 2 for c in v[1:]) for k, v in found.items()}


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two colours."""

    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_measured_as_wcag_does():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_are_seen(scheme):
    t = tokens(scheme)
    low = {}
    for text in ("ink", "muted", "good", "bad", "flat", "brand", "warn"):
        for ground in ("bg", "panel"):
            low[text, ground] = (contrast(t[text], t[ground]), 4.5)
    low["on-brand", "brand"] = (contrast(t["on-brand"], t["brand"]), 4.5)
    low["ink", "warn-bg"] = (contrast(t["ink"], t["warn-bg"]), 4.5)
    for mark in (*SUBJECTS, *(f"{s}-soft" for s in SUBJECTS), "edge", "focus"):
        low[mark, "panel"] = (contrast(t[mark], t["panel"]), 3)
    assert {pair: found for pair, (found, wanted) in low.items() if found < wanted} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chosen_bar_stands_out_from_the_lighter_ones(scheme):
    t = tokens(scheme)
    assert all(contrast(t[s], t[f"{s}-soft"]) > 1.5 for s in SUBJECTS)


def test_charts_name_only_tokens_that_exist():
    named = set(re.findall(r'token\("([\w-]+)"\)', (ROOT / "analytics" / "charts.py").read_text()))
    known = set(re.findall(r"--([\w-]+):", CSS))
    assert named and named <= known


@pytest.mark.parametrize("file", ["analytics/charts.py", "static/charts.js"])
def test_no_colour_is_written_outside_the_style_sheet(file):
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", (ROOT / file).read_text()) == []
