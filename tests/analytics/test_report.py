"""The board report, read back from the PDF: every figure against `manage.py metrics` and the goldens, and how it is
made."""

import json
import re
import subprocess
from datetime import date
from html import unescape
from io import BytesIO, StringIO
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pypdf
import pytest
from django.core.management import call_command

from analytics import report, typeset
from analytics.access import can_see
from analytics.formats import change, with_unit
from analytics.metrics import METRICS
from analytics.models import Target
from analytics.queries import QueryError, Refused, Snapshot
from etl.warehouse import Warehouse
from tests.conftest import GOLDEN, point_settings_at

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]

EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
SECTIONS = ["Trends", "Insights", "Customers and retention", "Operations", "Finance", "Definitions", "Data quality"]
PERIODS = {"2026-02": "month", "2026-W09": "week"}


# Reading a PDF ----------------------------------------------------------------------------------------------------


def text_of(pdf: bytes, page: int | None = None) -> str:
    """A page (or all) as lines that stand as on paper."""
    pages = ["-f", str(page), "-l", str(page)] if page else []
    return subprocess.run(
        ["pdftotext", "-layout", *pages, "-", "-"], input=pdf, capture_output=True, check=True
    ).stdout.decode()


def words_of(pdf: bytes, page: int) -> list[tuple[str, float, float]]:
    """A page's words as (text, centre, bottom) in millimetres, from the top, then from the left."""
    found = subprocess.run(
        ["pdftotext", "-bbox", "-f", str(page), "-l", str(page), "-", "-"], input=pdf, capture_output=True, check=True
    ).stdout.decode()
    word = re.compile(r'<word xMin="([\d.-]+)" yMin="[\d.-]+" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>')
    rows = [(unescape(m[4]), (float(m[1]) + float(m[2])) / 2 / 72 * 25.4, float(m[3]) / 72 * 25.4)
            for m in word.finditer(found)]  # fmt: skip
    return sorted(rows, key=lambda row: (row[2], row[1]))


def squeezed(text: str) -> str:
    return " ".join(text.split())


class Paper:
    """A report as it reads: its pages by section, and the lines of its tables."""

    def __init__(self, pdf: bytes):
        self.pdf = pdf
        self.pages = text_of(pdf).split("\f")[:-1]
        self.reader = pypdf.PdfReader(BytesIO(pdf))
        self.at = {"Cover": 1}
        for number, page in enumerate(self.pages[1:], 2):
            first = squeezed(page.strip().splitlines()[0])
            if first in SECTIONS:
                self.at[first] = number

    def section(self, name: str) -> str:
        """The text of a section's pages."""
        first = self.at[name]
        later = [n for n in self.at.values() if n > first]
        return "\n".join(self.pages[first - 1 : min(later, default=len(self.pages) + 1) - 1])

    def row(self, section: str, label: str) -> list[str]:
        """The cells of the line of a table that begins with a label."""
        for line in self.section(section).splitlines():
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


@pytest.fixture(scope="module", params=[("golden", "2026-02"), ("golden", "2026-W09"), ("messy", "2026-02")],
                ids=lambda p: "-".join(p))  # fmt: skip
def case(request, golden_build, messy_build, database):
    """data, period, grain, folder, paper (what was made of it), answers (of ask(), asked once)."""
    data, period = request.param
    folder = {"golden": golden_build, "messy": messy_build}[data]
    pdf = report.board_report(snapshot_of(folder), period)
    return SimpleNamespace(data=data, period=period, grain=PERIODS[period], folder=folder, paper=Paper(pdf), answers={})


@pytest.fixture(scope="module")
def february(golden_build, database) -> Paper:
    return Paper(report.board_report(snapshot_of(golden_build), "2026-02"))


@pytest.fixture
def ask(case, settings):
    """ask("revenue") is {period: value} as `manage.py metrics` prints it; with split= {period: {value: value}}."""
    point_settings_at(settings, case.folder)

    def asked(name: str, split: str | None = None) -> dict:
        key = (name, split)
        if key not in case.answers:
            case.answers[key] = answer(name, split)
        return case.answers[key]

    def answer(name: str, split: str | None) -> dict:
        out = StringIO()
        more = {"split": split} if split else {}
        call_command("metrics", name, by=case.grain, form="json", stdout=out, **more)
        found = json.loads(out.getvalue())
        if split:
            return {p: {v: values[name] for v, values in by.items()} for p, by in found.items()}
        return {p: values[name] for p, values in found.items()}

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
    page = case.paper.at["Trends"]
    words = words_of(case.paper.pdf, page)
    keys = [k for k in sorted(ask("revenue")) if k <= case.period][-13:]
    assert len(keys) == 13
    for card in report.LEADS:
        m = METRICS[card.metric]
        heading = next(bottom for text, centre, bottom in words if text == m.label and centre < 45)
        axis = next(bottom for text, centre, bottom in words if text in ("Month", "Week") and bottom > heading)
        shown = sorted((centre, text) for text, centre, bottom in words
                       if heading < bottom < axis - 2 and centre > 41 and re.fullmatch(r"[\d,.]+|–", text))  # fmt: skip
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
    rows = [r for r in snapshot_of(case.folder).insights(case.grain) if r["period"] == case.period]
    assert len(rows) >= 6
    text = squeezed(case.paper.section("Insights"))
    tones = {"positive": "good", "negative": "needs attention", "neutral": "good to know"}
    for row in rows:
        assert f"{row['headline']} {tones[row['tone']]}" in text
        assert squeezed(row["detail"]) in text
    cover = squeezed(text_of(case.paper.pdf, 1))
    assert sum(row["headline"] in cover for row in rows) == 3


def test_the_layout_works_out_no_number_of_its_own(case):
    """All that stands on the pages of figures came from report.contents(); axes and page numbers aside."""
    known = set(_numbers(json.dumps(report.contents(snapshot_of(case.folder), case.period), ensure_ascii=False)))
    for name in SECTIONS[:5]:
        text = case.paper.section(name)
        assert set(_numbers(text)) <= known | {str(n) for n in range(1, 20)}, name


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d[\d,]*(?:\.\d+)?", text)


# Words around them ------------------------------------------------------------------------------------------------


def test_the_definitions_are_those_of_metrics_and_of_nothing_else(case):
    text = squeezed(case.paper.section("Definitions").replace("\n", " "))
    words = set(text.split())
    contents = report.contents(snapshot_of(case.folder), case.period)
    shown = next(s for s in contents["sections"] if s["title"] == "Definitions")["blocks"][0]["rows"]
    labels = {row["label"]: row["text"] for row in shown}
    by_label = {known.label: known.description for known in (*METRICS.values(), *report.FACTS.values())}
    assert labels == {label: by_label[label] for label in labels}
    assert {"Revenue", "Customers", "Collection rate", "Aging", "Outstanding"} <= set(labels)
    assert ("M1 retention of customers" in labels) is (case.grain == "month")
    assert set(" ".join(chain(*labels.items())).split()) <= words


def test_the_rows_of_every_file_add_up_and_say_why(case):
    manifest = json.loads(next((case.folder / "warehouse").glob("*.json")).read_text())
    lines = [squeezed(line) for line in case.paper.section("Data quality").splitlines()]
    for kind in manifest["files"].values():
        counts = [kind["read"], kind["loaded"], sum(kind["excluded"].values()), sum(kind["quarantined"].values())]
        assert counts[0] == sum(counts[1:])
        assert any(f"{kind['file']} {' '.join(f'{n:,}' for n in counts)}" in line for line in lines)
        for fate in ("excluded", "quarantined"):
            for rule, n in kind[fate].items():
                assert any(line.endswith(f"{fate.capitalize()} {rule} {n:,}") for line in lines), rule
    text = squeezed(" ".join(lines))
    assert all(squeezed(warning)[:60] in text for warning in manifest["warnings"])


def test_a_dash_is_explained_on_the_last_page(february):
    text = squeezed(february.pages[-1])
    assert february.row("Operations", "Express share")[-1] == "–"
    assert "The old system kept no items, so Feb 2025 gives nothing to compare with. Express share, on Feb 2025" in text
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
        assert f"Moon Walk · Board report · {period.short if period.weekly else 'February 2026'}" in text
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


def test_nothing_lies_outside_the_page(case):
    for page in range(1, len(case.paper.pages) + 1):
        for text, centre, bottom in words_of(case.paper.pdf, page):
            assert 17 < centre < 193 and 16 < bottom < 290, text


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
    assert paper.row("Insights", "Revenue") == ["Dhs 25,580", "Dhs 25,000", "Reached: Dhs 580 above"]
    assert paper.row("Insights", "M1 retention of customers") == ["65.4 %", "70.0 %", "Missed: 4.6 pp below"]
    text = squeezed(paper.section("Insights")).partition("Targets")[2]
    assert "Customers" not in text and "Stops" not in text
    january = report.contents(snapshot_of(golden_build), "2026-01")
    assert [s["title"] for s in january["sections"]][:3] == ["Trends", "Targets", "Customers and retention"]


def test_whoever_is_kept_to_a_store_gets_none(golden_build):
    with pytest.raises(Refused, match="The board report"):
        report.board_report(snapshot_of(golden_build).restricted("Hielo"), "2026-02")


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
    assert "Board report of all stores (PDF)" in get("executive", store="hielo")


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
    assert as_("farid").get("/report.pdf").status_code == 403
    assert as_("hala").get("/report.pdf").status_code == 403
