"""The board report, read back from the PDF: every figure against `manage.py metrics` and the goldens, and how it is
made."""

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import date
from functools import cache, cached_property
from html import unescape
from io import BytesIO, StringIO
from itertools import chain, pairwise, takewhile
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pypdf
import pytest
from django.core.management import call_command

from analytics import report, typeset
from analytics.access import can_see
from analytics.formats import change, with_unit
from analytics.metrics import METRICS
from analytics.models import Target
from analytics.queries import QueryError, Refused, Snapshot
from etl.business import Store, slug
from etl.warehouse import Warehouse
from tests.conftest import GOLDEN, point_settings_at

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]

EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
SECTIONS = ["Trends", "Insights", "Customers and retention", "Operations", "Finance", "Definitions", "Data quality"]
PERIODS = {"2026-02": "month", "2026-W09": "week"}


# Reading a PDF ----------------------------------------------------------------------------------------------------


def read(pdf: bytes, *how: str) -> str:
    return subprocess.run(["pdftotext", *how, "-", "-"], input=pdf, capture_output=True, check=True).stdout.decode()


def text_of(pdf: bytes, page: int | None = None) -> str:
    """A page (or all) as lines that stand as on paper."""
    pages = ["-f", str(page), "-l", str(page)] if page else []
    return read(pdf, "-layout", *pages)


class Word(NamedTuple):
    """A word and its edges in millimetres, from the page's upper left corner."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def centre(self) -> float:
        return (self.left + self.right) / 2


def words_of(pdf: bytes) -> list[list[Word]]:
    """The words of every page, from the top, then from the left."""
    word = re.compile(r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>')
    pages = [
        [Word(unescape(m[5]), *(float(m[i]) / 72 * 25.4 for i in range(1, 5))) for m in word.finditer(page)]
        for page in read(pdf, "-bbox").split("<page ")[1:]
    ]
    return [sorted(page, key=lambda w: (w.bottom, w.centre)) for page in pages]


def squeezed(text: str) -> str:
    return " ".join(text.split())


class Paper:
    """A report as it reads: its pages, its sections, and the lines of its tables."""

    def __init__(self, pdf: bytes):
        self.pdf = pdf
        self.pages = text_of(pdf).split("\f")[:-1]
        self.reader = pypdf.PdfReader(BytesIO(pdf))
        self.headings = [(entry.title, *self._place(entry)) for entry in _flat(self.reader.outline)]
        self.at = {entry.title: self._place(entry) for entry in self.reader.outline
                   if not isinstance(entry, list) and entry.title in SECTIONS}  # fmt: skip

    def _place(self, entry) -> tuple[int, float]:
        """The page of a heading, and its millimetres from the top."""
        return self.reader.get_destination_page_number(entry) + 1, 297 - float(entry.top) / 72 * 25.4

    @cached_property
    def words(self) -> list[list[Word]]:
        return words_of(self.pdf)

    @cache  # noqa: B019  (a paper lives as long as the tests of its module)
    def section(self, name: str, *how: str) -> str:
        """The text of a section, with the feet of its pages: as it stands, or as pdftotext reads it otherwise."""
        (first, top), end = self.at[name], (len(self.pages), 297.0)
        last, foot = min([place for place in self.at.values() if place > (first, top)], default=end)
        parts = []
        for page in range(first, last + 1):
            begin, until = top - 1 if page == first else 0, foot - 1 if page == last else 297
            box = [str(round(mm / 25.4 * 72)) for mm in (0, begin, 210, until - begin)]
            area = [part for pair in zip(("-x", "-y", "-W", "-H"), box, strict=True) for part in pair]
            parts.append(read(self.pdf, *(how or ("-layout",)), *area, "-f", str(page), "-l", str(page)))
        return "\n".join(parts)

    def row(self, section: str, label: str, below: str = "") -> list[str]:
        """The cells of the line of a table that begins with a label, in what stands below some words."""
        text = self.section(section)
        for line in text[text.index(below) :].splitlines():
            cells = re.split(r"\s{2,}", line.strip())
            if cells[0] == label and len(cells) > 1:
                return cells[1:]
        raise AssertionError(f"{label} is not in {section}")

    def alts(self) -> list[str]:
        """What a screen reader says of the charts."""
        found, todo, seen = [], [self.reader.trailer["/Root"]["/StructTreeRoot"]], set()
        while todo:
            node = todo.pop(0).get_object()
            if isinstance(node, pypdf.generic.ArrayObject):
                todo = [*node, *todo]
                continue
            if not isinstance(node, pypdf.generic.DictionaryObject) or id(node) in seen:
                continue
            seen.add(id(node))
            if "/Alt" in node:
                found.append(str(node["/Alt"]))
            if "/K" in node:
                todo = [node["/K"], *todo]
        return found


def _flat(outline) -> Iterator:
    for entry in outline:
        yield from _flat(entry) if isinstance(entry, list) else (entry,)


def snapshot_of(folder: Path) -> Snapshot:
    house = Warehouse(folder / "warehouse")
    return Snapshot(house.current(), house.connect(), house.manifest(house.current()))


@pytest.fixture(scope="module")
def database(django_db_setup, django_db_blocker):
    """An empty one, for what is made once for all tests: a report asks it for targets."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="module")
def messy_build(tmp_path_factory) -> Path:
    """The messy exports, built and published."""
    from etl import pipeline
    from operations.refresh import enrich_candidate

    folder = tmp_path_factory.mktemp("messy")
    build = pipeline.build(GOLDEN / "messy", folder)
    house = Warehouse(folder / "warehouse")
    enrich_candidate(house, build.build_id, build.manifest)
    house.publish(build.build_id)
    return folder


CASES = [("golden", "2026-02", None), ("golden", "2026-W09", None), ("messy", "2026-02", None),
         ("golden", "2026-02", "Hielo")]  # fmt: skip


@pytest.fixture(scope="module", params=CASES, ids=lambda p: "-".join(filter(None, p)))
def case(request, golden_build, messy_build, database):
    """data, period, store, grain, folder, paper (what was made of it), answers (of ask(), asked once)."""
    data, period, store = request.param
    folder = {"golden": golden_build, "messy": messy_build}[data]
    pdf = report.board_report(snapshot_of(folder), period, store)
    return SimpleNamespace(
        data=data, period=period, store=store, grain=PERIODS[period], folder=folder, paper=Paper(pdf), answers={}
    )


def contents_of(case) -> dict:
    return report.contents(snapshot_of(case.folder), case.period, case.store)


@pytest.fixture(scope="module")
def february(golden_build, database) -> Paper:
    return Paper(report.board_report(snapshot_of(golden_build), "2026-02"))


@pytest.fixture
def ask(case, settings):
    """ask("revenue") is {period: value} as `manage.py metrics` prints it; with split= {period: {value: value}}."""
    point_settings_at(settings, case.folder)

    def asked(name: str, split: str | None = None) -> dict:
        if split not in case.answers:  # all that this split has, at once
            out, more = StringIO(), {"split": split} if split else {}
            call_command("metrics", by=case.grain, form="json", store=case.store, stdout=out, **more)
            case.answers[split] = json.loads(out.getvalue())
        found = case.answers[split].items()
        if split:
            return {p: {v: values[name] for v, values in by.items()} for p, by in found}
        return {p: values[name] for p, values in found}

    return asked


def said(value, name: str) -> str:
    return with_unit(value, METRICS[name].unit, "Dhs")


def bases(case, ask) -> list[str]:
    """The keys of the period before and the year before."""
    keys = sorted(ask("revenue"))
    return [keys[keys.index(case.period) - 1], f"{int(case.period[:4]) - 1}{case.period[4:]}"]


def moved(ask, name: str, now: str, then: str) -> str:
    """The change as on paper; a dash where the base has rows of the old system and the figure counts what it lacked."""
    m, values = METRICS[name], ask(name)
    if m.lacks and ask("legacy_rows").get(then):
        return "–"
    found = change(values[now], values.get(then), then, m.unit, "Dhs", m.better)
    return f"{found.arrow} {found.percent}".strip()


# The figures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("section", "names"), [
    ("Customers and retention", report.CUSTOMERS), ("Operations", report.OPERATIONS), ("Finance", report.FINANCE),
])  # fmt: skip
def test_every_figure_and_its_changes_are_those_of_manage_py_metrics(case, ask, section, names):
    before, year = bases(case, ask)
    names = [name for name in names if case.grain in METRICS[name].grains]
    if case.store:  # cohorts and thresholds are of the whole business
        assert not any(METRICS[name].label in squeezed(case.paper.section(section)) for name in names
                       if METRICS[name].whole)  # fmt: skip
        names = [name for name in names if not METRICS[name].whole]
    assert len(names) >= 4
    for name in names:
        wanted = [said(ask(name)[case.period], name), *(moved(ask, name, case.period, then) for then in (before, year))]
        assert case.paper.row(section, METRICS[name].label) == wanted, name


def test_the_cover_has_the_four_figures_with_their_changes_and_parts(case, ask):
    cover = squeezed(text_of(case.paper.pdf, 1))
    before, year = bases(case, ask)
    for card in report.LEADS:
        m = METRICS[card.metric]
        assert said(ask(card.metric)[case.period], card.metric) in cover
        for then in (before, year):
            shown = moved(ask, card.metric, case.period, then)
            assert shown in cover
            if shown != "–":
                assert f"({said(ask(card.metric)[then], card.metric)})" in cover, m.label
        for part, words in card.parts:
            assert f"{words} {said(ask(part)[case.period], part)}" in cover


def test_the_four_figures_of_february_are_the_goldens(february):
    cover, golden = squeezed(text_of(february.pdf, 1)), EXPECTED["months"]["2026-02"]
    assert [golden[n] for n in ("customers", "items", "revenue", "stops")] == [253, 3103, 25580.2, 451]
    assert all(text in cover for text in ("253", "3,103", "Dhs 25,580", "451"))
    assert "▼ −0.4 % worse on Jan 2026 (254)" in cover  # (253 - 254) / 254
    assert "▲ +1.5 % better on Jan 2026 (Dhs 25,200)" in cover


def test_the_trends_show_every_value_of_thirteen_periods_above_its_bar(case, ask):
    """The words between a chart's heading and its axis, from left to right, right of the axis' own."""
    words = case.paper.words[case.paper.at["Trends"][0] - 1]
    keys = [k for k in sorted(ask("revenue")) if k <= case.period][-13:]
    assert len(keys) == 13
    for card in report.LEADS:
        m = METRICS[card.metric]
        heading = next(w.bottom for w in words if w.text == m.label and w.centre < 45)
        axis = next(w.bottom for w in words if w.text in ("Month", "Week") and w.bottom > heading)
        shown = sorted((w.centre, w.text) for w in words if heading < w.bottom < axis - 2 and w.centre > 41
                       and re.fullmatch(r"[\d,.]+|–", w.text))  # fmt: skip
        values = [None if m.lacks and ask("legacy_rows")[k] else ask(card.metric)[k] for k in keys]
        assert [text for _, text in shown] == [said(v, card.metric).removeprefix("Dhs ") for v in values], m.label


@pytest.mark.parametrize(("section", "series"), [
    ("Customers and retention", {"Existing": "existing_customers", "New": "new_customers"}),
    ("Operations", {"Deliveries": "deliveries", "Pickups": "pickups"}),
    ("Finance", {"Revenue": "revenue", "Collections": "collections"}),
])  # fmt: skip
def test_the_numbers_beneath_the_other_charts_are_those_of_manage_py_metrics(case, ask, section, series):
    keys = [k for k in sorted(ask("revenue")) if k <= case.period][-13:]
    lines = [line.split() for line in case.paper.section(section).splitlines()]
    for name, metric in series.items():
        lacks = METRICS[metric].lacks
        values = [None if lacks and ask("legacy_rows")[k] else ask(metric)[k] for k in keys]
        assert [name, *(said(v, metric).removeprefix("Dhs ") for v in values)] in lines


def test_a_screen_reader_is_told_every_value_of_every_chart(case, ask):
    alts = case.paper.alts()
    assert len(alts) == 7
    revenue = next(alt for alt in alts if alt.startswith("Bar chart. Revenue, Dhs a"))
    keys = [k for k in sorted(ask("revenue")) if k <= case.period][-13:]
    assert re.findall(r": (Dhs [\d,]+)", revenue) == [said(ask("revenue")[k], "revenue") for k in keys]


@pytest.mark.parametrize("split", ["store", "area", "service_type", "item_category"])
def test_every_split_is_that_of_manage_py_metrics(case, ask, split):
    if case.store and split == "store":
        assert "By store" not in case.paper.section("Operations")
        return
    metrics = report.SPLIT[split]
    of = {m: ask(m, split)[case.period] for m in metrics}
    sums = "item_revenue" if split in report.ITEMS else "revenue"
    total = sum(of[sums].values())
    text = squeezed(case.paper.section("Operations"))
    for value in next(iter(of.values())):
        if any(of[m][value] for m in metrics):
            cells = [said(of[m][value], m) for m in metrics] + [with_unit(of[sums][value] / total, "share", "")]
            assert f"{value} {' '.join(cells)}" in text


def test_collections_by_method_add_up_to_all(case, ask):
    by = {m: v for m, v in ask("collections", "payment_type")[case.period].items() if v}
    total = ask("collections")[case.period]
    assert round(sum(by.values()), 2) == round(total, 2)
    for method, amount in by.items():
        row = case.paper.row("Finance", method)
        assert row[:2] == [said(amount, "collections"), with_unit(amount / total, "share", "")]


def test_what_is_owed_is_the_goldens_by_age_and_business_accounts_stand_apart(february):
    golden = EXPECTED["outstanding"]
    assert february.row("Finance", "Outstanding") == ["Dhs 20,102", "735 orders of 404 customers"]
    assert (golden["orders"], golden["amount"], golden["customers"]) == (735, 20101.94, 404)
    for name, (orders, amount) in golden["aging"].items():
        row = february.row("Finance", name.capitalize())
        assert row[:3] == [str(orders), f"Dhs {amount:,.0f}", f"{amount / golden['amount'] * 100:.1f} %"]
    assert february.row("Finance", "Business accounts")[1].endswith("apart from all other figures")


def test_the_map_of_cohorts_is_the_goldens(february):
    months = [f"{y}-{m:02}" for y in (2025, 2026) for m in range(1, 13)]
    for key in months[1:14]:  # 2025-02 to 2026-02
        counts = EXPECTED["retention_counts"][key]
        reached = months.index("2026-02") - months.index(key)
        shares = [f"{counts.get(str(i), 0) / counts['0'] * 100:.1f} %" for i in range(1, min(reached, 6) + 1)]
        label = f"{date.fromisoformat(f'{key}-01'):%b %Y}"
        lines = [squeezed(line) for line in february.section("Customers and retention").splitlines()]
        assert " ".join([label, f"{counts['0']:,}", *shares]) in lines


def test_the_segments_are_those_of_the_month_with_what_to_do(february, golden_build):
    text = squeezed(february.section("Customers and retention"))
    found = snapshot_of(golden_build).segments("2026-02")
    assert sum(found["customers"]) == EXPECTED["rfm"]["customers"] == 717
    for row in found.iter_rows(named=True):
        share = f"{row['customers'] / 717 * 100:.1f} %"
        assert f"{row['segment']} {row['customers']} {share} Dhs {row['revenue']:,.0f}" in text
    assert "Call them: ask what went wrong" in text


def test_the_stored_insights_stand_there_with_their_tone_in_words(case):
    found = snapshot_of(case.folder).insights(case.grain, case.store)
    rows = [r for r in found if r["period"] == case.period]
    assert len(rows) >= 6
    text = squeezed(case.paper.section("Insights", "-raw"))  # two columns, the left one first
    tones = {"positive": "good", "negative": "needs attention", "neutral": "good to know"}
    for row in rows:
        assert f"{row['headline']} {tones[row['tone']]}" in text
        assert squeezed(row["detail"]) in text
    cover = squeezed(text_of(case.paper.pdf, 1))
    assert sum(row["headline"] in cover for row in rows) == 3


def test_the_layout_works_out_no_number_of_its_own(case):
    """All that stands on the pages of figures came from report.contents(); axes and page numbers aside."""
    known = set(_numbers(json.dumps(contents_of(case), ensure_ascii=False)))
    for name in SECTIONS[:5]:
        text = case.paper.section(name)
        assert set(_numbers(text)) <= known | {str(n) for n in range(1, 20)}, name


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d[\d,]*(?:\.\d+)?", text)


# Words around them ------------------------------------------------------------------------------------------------


def test_the_definitions_are_those_of_metrics_and_of_nothing_else(case):
    text = squeezed(case.paper.section("Definitions").replace("\n", " "))
    words = set(text.split())
    groups = next(s for s in contents_of(case)["sections"] if s["title"] == "Definitions")["blocks"]
    assert [group["title"] for group in groups] == ["At a glance", "Customers and retention", "Operations", "Finance"]
    shown = [row for group in groups for row in group["rows"]]
    labels = {row["label"]: row["text"] for row in shown}
    assert len(labels) == len(shown)  # each once
    by_label = {known.label: known.description for known in (*METRICS.values(), *report.FACTS.values())}
    assert labels == {label: by_label[label] for label in labels}
    assert {"Revenue", "Customers", "Collection rate", "Aging", "Outstanding"} <= set(labels)
    assert ("M1 retention of customers" in labels) is (case.grain == "month" and not case.store)
    assert set(" ".join(chain(*labels.items())).split()) <= words


def test_the_rows_of_every_file_add_up_and_say_why(case):
    manifest = json.loads(next((case.folder / "warehouse").glob("*.json")).read_text())
    lines = [squeezed(line) for line in case.paper.section("Data quality").splitlines()]
    text = squeezed(case.paper.section("Data quality", "-raw"))  # beside the rules stands what is covered
    for kind in manifest["files"].values():
        counts = [kind["read"], kind["loaded"], sum(kind["excluded"].values()), sum(kind["quarantined"].values())]
        assert counts[0] == sum(counts[1:])
        assert any(f"{kind['file']} {' '.join(f'{n:,}' for n in counts)}" in line for line in lines)
        for fate in ("excluded", "quarantined"):
            for rule, n in kind[fate].items():
                assert f"{fate.capitalize()} {rule} {n:,}" in text, rule
    assert all(squeezed(warning)[:60] in text for warning in manifest["warnings"])


def test_a_dash_is_explained_at_the_end(february):
    text = squeezed(february.section("Data quality", "-raw"))
    assert february.row("Operations", "Express share")[-1] == "–"
    why = "The old system kept no items, so Feb 2025 gives nothing to compare with."
    assert re.search(rf"{why} Express share, .+ and .+ on Feb 2025", text)
    assert "Feb 2025 to Mar 2025 have rows of the old system" in text


def test_no_customer_is_in_it_by_name(golden_build, february):
    names = snapshot_of(golden_build).cursor().execute("SELECT name FROM customers WHERE name IS NOT NULL").fetchall()
    text = squeezed(text_of(february.pdf))
    assert len(names) > 1000
    assert [name for (name,) in names if len(name) > 5 and name in text] == []


def test_every_page_says_whose_it_is_of_when_and_on_what_data_it_stands(case):
    build = snapshot_of(case.folder)
    period = report.period_of(build, case.period)[1]
    for number, page in enumerate(case.paper.pages, 1):
        text = squeezed(page)
        of = period.short if period.weekly else "February 2026"
        assert f"Moon Walk · Board report · {case.store or 'All stores'} · {of}" in text
        assert f"Page {number} of {len(case.paper.pages)}" in text
        assert f"Data to 4 Mar 2026 · build {build.build_id} · refreshed" in text


def test_it_is_a_tagged_a4_with_a_title_a_language_and_headings(february):
    info = subprocess.run(["pdfinfo", "-"], input=february.pdf, capture_output=True, check=True).stdout.decode()
    assert re.search(r"Tagged: +yes", info) and "(A4)" in info
    assert february.reader.metadata.title == "Moon Walk: board report, February 2026"
    root = february.reader.trailer["/Root"]
    assert root["/Lang"] == "en" and root["/MarkInfo"]["/Marked"]
    assert [entry.title for entry in february.reader.outline if not isinstance(entry, list)][-7:] == SECTIONS
    fonts = subprocess.run(["pdffonts", "-"], input=february.pdf, capture_output=True, check=True).stdout.decode()
    assert set(re.findall(r"\+(\w+)-", fonts)) == {"Inter"}


def test_the_cover_says_of_which_business_which_stores_which_days_and_which_exports(case):
    cover = squeezed(case.paper.pages[0])
    days = "1 Feb to 28 Feb 2026" if case.grain == "month" else "23 Feb to 1 Mar 2026"
    assert cover.startswith("Moon Walk Board report")
    assert ("The store Hielo alone" if case.store else "All stores: Moon Walk, Hielo") in cover
    assert f"{days}. As of the exports of 5 Mar 2026, with data to 4 Mar 2026." in cover


# The pages --------------------------------------------------------------------------------------------------------

FOOT = 297 - 22  # where the words of a page end and its foot begins, in millimetres


def faults(paper: Paper, full: float = 0.72) -> list[str]:
    """What is wrong with the pages: words outside of them or on others, headings with nothing below, empty paper.

    full: so much of each page, the last aside, lies above its lowest word.
    """
    found = []
    for number, words in enumerate(paper.words, 1):
        body = [w for w in words if w.bottom < FOOT]
        found += [f"{number}: {w.text} leaves the page" for w in words
                  if min(w.left, w.top) < 16 or w.right > 193 or w.bottom > 290]  # fmt: skip
        found += [f"{number}: {w.text} is in the foot" for w in words if w.top < FOOT < w.bottom]
        found += [
            f"{number}: {a.text} on {b.text}" for i, a in enumerate(body)
            for b in takewhile(lambda b, a=a: b.bottom < a.bottom + 6, body[i + 1 :])
            if min(a.right, b.right) - max(a.left, b.left) > 0.4 and min(a.bottom, b.bottom) - max(a.top, b.top) > 1.2
        ]  # fmt: skip
        lowest = max(w.bottom for w in body)
        if number < len(paper.words) and lowest < full * FOOT:
            found.append(f"{number}: empty below {lowest:.0f} mm")
        ends = [0.0, *sorted(w.bottom for w in body)]
        if number < len(paper.words) and (gap := max(b - a for a, b in pairwise(ends))) > 42:
            found.append(f"{number}: {gap:.0f} mm without a word")
        found += [f"{number}: nothing below {title}" for title, page, top in paper.headings
                  if page == number and lowest < top + 12]  # fmt: skip
    return found


def test_every_page_is_filled_and_no_word_lies_on_another_or_outside(case):
    assert faults(case.paper) == []
    assert len(case.paper.pages) <= 9
    assert case.paper.at["Trends"][0] == 2 and list(case.paper.at) == SECTIONS


def longer(found, key: str = ""):
    """The contents of a report with numbers three digits longer; names and words as long as businesses have them."""
    if isinstance(found, dict):
        return {k: v if k in ("colours", "date", "slots", "marks", "across", "kind", "how") else longer(v, k)
                for k, v in found.items()}  # fmt: skip
    if isinstance(found, list):
        return [longer(one, key) for one in found]
    if not isinstance(found, str) or key in ("css", "colour", "arrow", "form", "ink", "percent"):
        return found
    if re.fullmatch(r"(Dhs )?\d{1,3}(,\d{3})*", found):
        return f"{found},000"
    if found in ("Moon Walk", "Hielo", "Inside Abu Dhabi", "Dry Cleaning", "Wash & Press", "Traditional Wear"):
        return f"{found} of the Corniche, Khalifa City and the Islands"
    return found


@pytest.mark.parametrize("stores", [1, 6])
def test_pages_hold_long_names_large_numbers_and_any_number_of_stores(golden_build, stores):
    data = longer(report.contents(snapshot_of(golden_build), "2026-02"))
    names = [f"The laundry of district number {i}, Abu Dhabi" for i in range(1, stores + 1)]
    data |= {"business": "Moon Walk Dry Cleaning, Laundry and Carpets of the United Arab Emirates (L.L.C.)",
             "stores": f"All stores: {', '.join(names)}"}  # fmt: skip
    operations = next(s for s in data["sections"] if s["title"] == "Operations")
    table = next(b for b in operations["blocks"] if b.get("title") == "By store")
    table["rows"] = [[name, *table["rows"][0][1:]] for name in names]
    paper = Paper(typeset.pdf(report.TEMPLATE, data, standards=["ua-1"]))
    assert faults(paper) == []
    assert list(paper.at) == SECTIONS and paper.at["Trends"][0] == 2
    assert all(name in squeezed(paper.section("Operations", "-raw")) for name in names)


# What it is made of and what not -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("period", "words"), [
    ("2026-03", "2026-03 isn't over in this data, and a board report is made of closed months: 2024-01 to 2026-02."),
    ("2026-W10", "2026-W10 isn't over in this data"),
    ("2030-01", "2030-01 isn't over in this data"),
    ("2019-01", "2019-01 isn't in this data"),
    ("2026-13", "2026-13 is no month: write it like 2026-02."),
    ("2026-W60", "2026-W60 is no week"),
    ("2026-Q1", "'2026-Q1' is no month and no week: write it like 2026-02 or 2026-W07."),
    ("", "'' is no month and no week"),
])  # fmt: skip
def test_what_isnt_over_is_refused_in_a_sentence(golden_build, period, words):
    with pytest.raises(QueryError) as error:
        report.board_report(snapshot_of(golden_build), period)
    assert words in str(error.value)


def test_without_a_period_it_is_the_last_closed_month(golden_build):
    assert report.contents(snapshot_of(golden_build))["period"] == "February 2026"


def test_a_month_without_insights_says_where_they_are(golden_build):
    found = report.contents(snapshot_of(golden_build), "2025-11")
    assert found["cover"]["none"] == "Insights are made for the last closed month, Feb 2026."
    assert "Insights" not in [section["title"] for section in found["sections"]]


def test_a_month_of_the_old_system_has_dashes_with_their_reasons(golden_build):
    paper = Paper(report.board_report(snapshot_of(golden_build), "2024-06"))
    assert paper.row("Finance", "Collection rate")[0] == "–"
    assert "The old system kept no payments." in squeezed(paper.section("Data quality"))


def test_the_first_month_stands_alone(golden_build):
    """It has nothing before it: no change, one bar, one row of the map."""
    paper = Paper(report.board_report(snapshot_of(golden_build), "2024-01"))
    assert "One month: the data begins with it" in paper.section("Trends")
    assert faults(paper) == []
    assert paper.row("Operations", "Stops")[1:] == ["–", "–"]
    assert "The data begins with Jan 2024" in squeezed(paper.section("Data quality"))


def test_targets_of_the_month_stand_beside_what_was_reached(golden_build):
    """Revenue 25,580.20 of 25,000: 580.20 above; retention 65.4 % of 70 %: 4.6 points below; a store's is its own."""
    for metric, month, store, value in (
        ("revenue", "2026-02", "", 25000), ("m1_customer_retention", "2026-02", "", 0.7),
        ("customers", "2026-02", "Hielo", 90), ("stops", "2026-01", "", 400),
    ):  # fmt: skip
        Target.objects.create(metric=metric, month=month, store=store, value=value)
    paper = Paper(report.board_report(snapshot_of(golden_build), "2026-02"))
    assert paper.row("Insights", "Revenue", "Targets") == ["Dhs 25,580", "Dhs 25,000", "Reached: Dhs 580 above"]
    assert paper.row("Insights", "M1 retention of customers", "Targets") == ["65.4 %", "70.0 %", "Missed: 4.6 pp below"]
    assert faults(paper) == []
    text = squeezed(paper.section("Insights")).partition("Targets")[2]
    assert "Customers" not in text and "Stops" not in text
    january = report.contents(snapshot_of(golden_build), "2026-01")
    assert [s["title"] for s in january["sections"]][:3] == ["Trends", "Targets", "Customers and retention"]


def test_whoever_is_kept_to_a_store_gets_none(golden_build):
    """Not of that store either: the pages of files and rules are of the whole business."""
    for store in (None, "Hielo", "Moon Walk"):
        with pytest.raises(Refused, match="The board report"):
            report.board_report(snapshot_of(golden_build).restricted("Hielo"), "2026-02", store)


def test_a_report_of_a_store_has_its_name_its_targets_and_nothing_of_the_whole(golden_build):
    Target.objects.create(metric="customers", month="2026-02", store="Hielo", value=90)
    Target.objects.create(metric="revenue", month="2026-02", store="", value=25000)
    found = report.contents(snapshot_of(golden_build), "2026-02", "hielo")
    assert found["title"] == "Moon Walk, Hielo: board report, February 2026"
    assert (found["whose"], found["stores"]) == ("Hielo", "The store Hielo alone")
    blocks = {b.get("title"): b for s in found["sections"] for b in s["blocks"]}
    assert [row[0] for row in blocks["Targets"]["rows"]] == ["Customers"]
    assert not {"Customers who came back", "Six kinds of customers", "How much hangs on few", "By store"} & set(blocks)
    text = json.dumps(found, ensure_ascii=False)
    assert "are figures of the whole business: the report of all stores has them" in text
    assert "for Hielo in Feb 2026" in text and "Files, rules and warnings are of the exports of the whole" in text
    golden = EXPECTED["outstanding"]["amount"]
    rest = report.contents(snapshot_of(golden_build), "2026-02", "Moon Walk")
    owed = [report.Reading(snapshot_of(golden_build), *report.period_of(snapshot_of(golden_build), "2026-02"), store)
            for store in ("Hielo", "Moon Walk")]  # fmt: skip
    assert round(sum(float(r.build.ledger(r.filters).orders["balance"].sum()) for r in owed), 2) == golden
    assert rest["stores"] == "The store Moon Walk alone"


@pytest.mark.parametrize(("name", "store"), [
    ("Hielo", "Hielo"), ("hielo", "Hielo"), ("moon-walk", "Moon Walk"), ("moon walk", "Moon Walk"),
    ("", None), ("all", None), (None, None),
])  # fmt: skip
def test_a_store_is_read_as_people_and_addresses_write_it(golden_build, name, store):
    assert report.store_of(snapshot_of(golden_build), name) == store


@pytest.mark.parametrize(("name", "address", "of"), [
    ("Moon Walk", "moon-walk", "moon-walk"), ("Wash & Press", "wash-press", "wash-press"),
    ("النور", "النور", "one-store"),
])  # fmt: skip
def test_a_store_has_one_name_in_addresses_and_a_plain_one_in_files(name, address, of):
    assert Store("1", name, "", "").slug == slug(name) == address
    assert report.file_name("2026-02", name) == f"board-report-2026-02-{of}.pdf"


def test_a_store_that_the_data_lacks_is_refused_in_a_sentence(golden_build):
    words = "There is no store 'Dubai' in this data: choose one of Moon Walk, Hielo."
    with pytest.raises(QueryError, match=words):
        report.board_report(snapshot_of(golden_build), "2026-02", "Dubai")


def test_an_attachment_is_of_its_build_or_of_the_live_one(golden_data):
    build_id = Warehouse(golden_data / "warehouse").current()
    for wanted in (build_id, "20200101-000000-abcdef", None):
        name, pdf = report.attachment({"report": "2026-02", "build_id": wanted})
        assert name == "board-report-2026-02.pdf" and pdf.startswith(b"%PDF")
        assert f"build {build_id}" in text_of(pdf, 1)


def test_an_attachment_of_a_period_that_the_live_build_lacks_is_not_made(golden_data):
    with pytest.raises(report.NotMade, match="2026-04 isn't over in this data"):
        report.attachment({"report": "2026-04", "build_id": "20200101-000000-abcdef"})


def test_a_report_that_cannot_be_typeset_says_so(golden_build, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise typeset.NotTypeset("1")

    monkeypatch.setattr(typeset, "pdf", broken)
    with pytest.raises(report.NotMade, match="Try again in a minute"):
        report.board_report(snapshot_of(golden_build), "2026-02")
    assert "the board report could not be made" in caplog.text


def test_many_clicks_make_one_report_at_a_time(golden_build, monkeypatch):
    """Each takes a process of its own for a moment; ten at once would take ten times the memory."""
    at_once = []

    def made(*args, **kwargs):
        at_once.append(report._turn.locked())
        return b"%PDF"

    monkeypatch.setattr(typeset, "pdf", made)
    build = snapshot_of(golden_build)
    assert [report.board_report(build, "2026-02") for _ in range(2)] == [b"%PDF"] * 2
    assert at_once == [True, True] and not report._turn.locked()


# The button and its page -------------------------------------------------------------------------------------------


def test_the_button_downloads_the_report_of_the_period_that_the_page_shows(get, as_):
    html = get("executive", period="2026-01")
    assert '<a href="/report.pdf?period=2026-01">Board report (PDF)</a>' in html
    response = as_("layla").get("/report.pdf?period=2026-01")
    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Disposition"] == 'attachment; filename="board-report-2026-01.pdf"'
    assert response["Cache-Control"] == "private, no-store"
    assert "January 2026" in text_of(response.content, 1)
    assert "/report.pdf?period=2026-W07" in get("executive", grain="week", period="2026-W07")


def test_on_the_page_of_a_store_the_button_gives_the_report_of_that_store(get, as_):
    html = unescape(get("executive", period="2026-01", store="hielo"))
    assert '<a href="/report.pdf?period=2026-01&store=hielo">Board report of Hielo (PDF)</a>' in html
    response = as_("layla").get("/report.pdf?period=2026-01&store=Hielo")
    assert response["Content-Disposition"] == 'attachment; filename="board-report-2026-01-hielo.pdf"'
    assert "The store Hielo alone" in text_of(response.content, 1)
    assert ">Board report of Hielo, unfiltered (PDF)</a>" in get("executive", store="hielo", area="inside-abu-dhabi")


def test_there_is_no_button_for_what_isnt_over_elsewhere_or_not_for_this_reader(get, people):
    assert "report.pdf" not in get("executive", period="2026-03")
    assert "report.pdf" not in get("finance")
    for who in ("omar", "farid", "hala"):
        assert "report.pdf" not in get("executive", who)
        assert not can_see(people[who], "report")


def test_a_report_that_isnt_there_is_a_page_with_words(as_, golden_data):
    response = as_("layla").get("/report.pdf?period=2026-03")
    assert response.status_code == 404
    assert "2026-03 isn&#x27;t over in this data" in response.content.decode()
    response = as_("layla").get("/report.pdf?period=2026-02&store=dubai")
    assert response.status_code == 404
    assert "choose one of Moon Walk, Hielo" in response.content.decode()
    for who in ("farid", "hala"):
        for address in ("/report.pdf", "/report.pdf?store=hielo"):
            assert as_(who).get(address).status_code == 403
