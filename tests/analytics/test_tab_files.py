"""The files of a tab have exactly what is on screen, filters included, in either form."""

import csv
import io
import re
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import openpyxl
import pytest

from analytics import exports
from analytics.dashboards import DASHBOARDS, blocks
from analytics.formats import DASH, with_unit
from analytics.metrics import METRICS
from analytics.tables import words
from etl.business import slug
from tests.analytics import reading
from tests.analytics.tabs import TABS, VALUES, state_of

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]



def csv_tables(content: bytes) -> dict[str, list[list[str]]]:
    """A CSV of several tables: title -> rows, the header first; of a single one: "" -> rows."""
    lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    if all(len(line) != 1 for line in lines[:1]):
        return {"": lines}
    found, title = {}, None
    for before, line in zip([[], *lines], lines, strict=False):
        if not before and len(line) == 1:
            title = line[0]
            found[title] = []
        elif line:
            found[title].append(line)
    return found


def in_csv(value, unit: str) -> str:
    """A cell as the file has it: a change, which the page has in words, is a number there."""
    if unit == "change":
        return value.replace("−", "-").replace(",", "").strip("+ %p–").removesuffix(".0")
    return exports.plain(value, unit)


def on_screen(state) -> list:
    return [c["table"] for c in blocks.charts(state)] + blocks.tables(state)


def read_back(text: str, unit: str):
    """A cell of a CSV as a value again."""
    if unit in ("text", "change", "date", "boolean"):
        return text
    return None if text == "" else float(text) / (100 if unit == "share" else 1)


EXPORTED = [
    (page, tab, params)
    for page, tab in TABS
    for params in (
        {"period": "2026-02"},
        {"period": "2025-11", "store": "hielo"} | {
            d: slug(VALUES[d]) for d in DASHBOARDS[page].tab(tab).takes if d in VALUES and d != "segment"
        },
        {"grain": "week", "period": "2026-W09"},
    )
    if "grain" not in params or not DASHBOARDS[page].tab(tab).monthly
]  # fmt: skip


@pytest.mark.parametrize(("page", "tab", "params"), EXPORTED)
def test_a_csv_has_what_is_on_screen(as_, get, build, page, tab, params):
    html = get(page, tab=tab, **params)
    state = state_of(build, page, tab=tab, **params)
    content = as_("layla").get(f"/{page}/export.csv?{urlencode({'tab': tab} | params)}").content
    found = csv_tables(content)
    shown = reading.tables(html)
    assert len(shown) == len(on_screen(state))
    for table in on_screen(state):
        rows = found.get(table.title) or found[""]
        assert [re.sub(r"^(On .*) \((%|pp)\)$", r"\1", head) for head in rows[0]] == [
            exports.header(column) for column in table.columns
        ]
        assert rows[1:] == [[in_csv(row.get(c.key), c.unit) for c in table.columns] for row in table.rows]
        seen = [[words(row.get(c.key), c.unit, "Dhs") for c in table.columns] for row in table.rows]
        assert shown[table.id][1:] == seen or not seen, table.id
    check_cards(reading.cards(html), found, state)


def check_cards(seen: dict, found: dict, state) -> None:
    """Every number on a card is in the file's rows of cards."""
    exported = set()
    for rows in found.values():
        for label, text in zip(rows[0], rows[1] if len(rows) > 1 else [], strict=False):
            unit = re.search(r"\((Dhs|%|days)\)$", label)
            unit = {"Dhs": "money", "%": "share", "days": "days"}[unit[1]] if unit else ""
            for kind in [unit] if unit else ["count", "ratio"]:
                if re.fullmatch(r"-?[\d.]+", text):
                    exported |= {with_unit(read_back(text, kind), kind, c) for c in ("Dhs", "")}
    for card in seen.values():
        for value in (card.value, *card.parts.values()):
            assert value in exported | {DASH}, (card.label, value)


@pytest.mark.parametrize(("page", "tab", "params"), EXPORTED)
def test_a_workbook_has_the_numbers_of_the_csv(as_, golden_data, page, tab, params):
    client, query = as_("layla"), urlencode({"tab": tab} | params)
    text = client.get(f"/{page}/export.csv?{query}").content
    book = openpyxl.load_workbook(io.BytesIO(client.get(f"/{page}/export.xlsx?{query}").content))
    cells = [[c.value for c in row] for row in book["Figures"].iter_rows()]
    rows = [[c for c in row if c is not None] for row in cells]
    for title, table in csv_tables(text).items():
        start = rows.index([title]) if title else 0
        at = rows.index(table[0], start)
        assert all(len(row) <= 1 for row in rows[start + 1 : at]) or not title, "the table's note, then its header"
        for line, row in zip(table[1:], cells[at + 1 :], strict=False):
            for label, text_cell, cell in zip(table[0], line, row, strict=False):
                if isinstance(cell, (int, float)) and not isinstance(cell, bool):
                    wanted = float(text_cell) / (100 if label.endswith("(%)") and not label.startswith("On ") else 1)
                    assert cell == pytest.approx(wanted, abs=0.0051 if "(Dhs)" in label else 1e-6), (title, label)
                elif cell is None:
                    assert text_cell == "", (title, label)
    assert book.sheetnames == ["Figures", "Definitions"]
    assert rows[0] == ["Page", DASHBOARDS[page].title]
    defined = {c.value for c in book["Definitions"]["A"]}
    assert {METRICS[m].label for m in DASHBOARDS[page].tab(tab).metrics} <= defined


@pytest.mark.parametrize(("page", "tab"), TABS)
def test_every_table_can_be_taken_by_itself(as_, golden_data, build, page, tab):
    html = as_("layla").get(f"/{page}/?tab={tab}").content.decode()
    for table in blocks.tables(state_of(build, page, tab=tab)):
        section = re.search(rf'<section class="card table" id="{table.id}">.*?</section>', html, re.S)[0]
        more = re.findall(r'<p class="more">.*?</p>', section, re.S)[-1]  # where it leads stands before
        links = [unescape(url) for url in re.findall(r'href="([^"]+)"', more)]
        assert [urlsplit(u).path for u in links] == [f"/{page}/export.csv", f"/{page}/export.xlsx"]
        for url in links:
            response = as_("layla").get(url)
            assert response.status_code == 200 and parse_qs(urlsplit(url).query)["table"] == [table.id]
        rows = csv_tables(as_("layla").get(links[0]).content)[""]
        assert len(rows) == len(table.rows) + 1


def test_who_is_kept_to_a_store_takes_its_figures_alone(as_, golden_data):
    wanted = csv_tables(as_("layla").get("/executive/export.csv?tab=snapshot&period=2026-02&store=hielo").content)
    client = as_("hala")
    assert client.get("/executive/export.csv?tab=snapshot&period=2026-02&store=moon-walk").status_code == 403
    mine = csv_tables(client.get("/executive/export.csv?tab=snapshot&period=2026-02").content)
    assert mine["Snapshot"] == wanted["Snapshot"]
    assert client.get("/finance/export.csv?tab=concentration&table=top-customers").status_code == 404
