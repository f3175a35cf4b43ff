"""The colours of static/moonwalk.css: contrast in light and dark, and none written elsewhere."""

import re
from itertools import combinations

import numpy as np
import pytest

from analytics import charts
from tests.conftest import ROOT

CSS = (ROOT / "static" / "moonwalk.css").read_text()
SUBJECTS = ("customers", "items", "revenue", "stops")
SERIES = tuple(f"c{i}" for i in range(1, 7))
# What red-, green- and blue-blind eyes see of linear RGB (Machado, Oliveira & Fernandes 2009, severity 1).
EYES = {
    "all": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# Linear RGB -> OKLab (Ottosson 2020), in which equal distances look about equally far apart.
CONES = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
OKLAB = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
         [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip


def tokens(scheme: str) -> dict[str, str]:
    """Custom properties of a scheme that are plain colours: name -> six hex digits."""
    light = re.search(r":root \{(.*?)\n\}", CSS, re.S)[1]
    dark = re.search(r"data-scheme=.*?\{(.*?)\n  \}", CSS, re.S)[1]
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", light))
    if scheme == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", dark))
    return {k: v if len(v) > 4 else "#" + "".join(c * 2 for c in v[1:]) for k, v in found.items()}


def linear(colour: str) -> list[float]:
    """Its red, green and blue as amounts of light, 0..1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two colours."""

    def light(colour):
        red, green, blue = linear(colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def apart(one: str, other: str, eyes: str) -> float:
    """How far two colours look apart: black and white are 1."""

    def seen(colour):
        light = np.clip(np.array(EYES[eyes]) @ linear(colour), 0, 1)
        return np.array(OKLAB) @ np.cbrt(np.array(CONES) @ light)

    return float(np.linalg.norm(seen(one) - seen(other)))


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
    for mark in (*SUBJECTS, *SERIES, *(f"{s}-soft" for s in (*SUBJECTS, *SERIES)), "edge", "focus"):
        low[mark, "panel"] = (contrast(t[mark], t["panel"]), 3)
    for part in (*SUBJECTS, *SERIES):  # a chosen bar's parts have their values in them
        low["panel", part] = (contrast(t["panel"], t[part]), 4.5)
    for step in range(1, charts.HEAT_STEPS + 1):
        words = charts.heat_ink(step)
        low[words, f"heat-{step}"] = (contrast(t[words], t[f"heat-{step}"]), 4.5)
    assert {pair: found for pair, (found, wanted) in low.items() if found < wanted} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chosen_bar_stands_out_from_the_lighter_ones(scheme):
    t = tokens(scheme)
    assert {s for s in (*SUBJECTS, *SERIES) if contrast(t[s], t[f"{s}-soft"]) <= 1.5} == set()


def test_how_far_apart_is_measured():
    assert apart("#000000", "#ffffff", "all") == pytest.approx(1, abs=0.001)
    assert apart("#e06000", "#909000", "all") > 0.15  # orange and olive
    assert apart("#e06000", "#909000", "deutan") < 0.03


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_series_are_told_apart_by_every_eye(scheme, eyes):
    t = tokens(scheme)
    for kind in ("", "-soft"):
        near = {(a, b): apart(t[a + kind], t[b + kind], eyes) for a, b in combinations(SERIES, 2)}
        assert {pair: found for pair, found in near.items() if found < 0.08} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_steps_of_a_cohort_map_go_one_way(scheme):
    t = tokens(scheme)
    far = [contrast(t["panel"], t[f"heat-{step}"]) for step in range(1, charts.HEAT_STEPS + 1)]
    assert far == sorted(far) and all(b / a > 1.15 for a, b in zip(far, far[1:], strict=False)), far


def test_charts_name_only_tokens_that_exist():
    named = set(re.findall(r'token\("([\w-]+)"\)', (ROOT / "analytics" / "charts.py").read_text()))
    named |= {f"heat-{step}" for step in range(1, charts.HEAT_STEPS + 1)} | {charts.heat_ink(1), charts.heat_ink(6)}
    known = set(re.findall(r"--([\w-]+):", CSS))
    assert named and named <= known


@pytest.mark.parametrize("file", ["analytics/charts.py", "static/charts.js", "static/paint.js"])
def test_no_colour_is_written_outside_the_style_sheet(file):
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", (ROOT / file).read_text()) == []
