"""What is on screen as CSV and XLSX: typed, with units and definitions, and nothing that a spreadsheet runs."""

import csv
import io
from datetime import date
from decimal import Decimal

import openpyxl
import pytest
from django.http import Http404

from analytics import exports
from analytics.formats import DASH, MINUS
from analytics.metrics import METRICS
from analytics.tables import UNITS, Column, Table

ABOUT = {
    "Page": "Customer Analytics", "Tab": "Cohort", "Period": "Feb 2026", "Store": "All stores", "Filters": "",
}  # fmt: skip


class Build:
    """As much of a Snapshot as a file says of it."""

    def __init__(self, *facts: str):
        self.facts = facts

    def meta(self) -> dict[str, str]:
        return dict(zip(("data_to", "as_of", "build_id"), self.facts, strict=True))


BUILD = Build("", "", "")  # what has no value is left out
COLUMNS = (
    Column("name", "Customer"), Column("since", "Since", "date"), Column("orders", "Orders", "count"),
    Column("revenue", "Revenue", "money"), Column("part", "Share", "share"), Column("wait", "Time", "days"),
    Column("each", "Items each", "ratio"), Column("b2b", "Business", "boolean"),
)  # fmt: skip
AMINA = {
    "name": "Amina, “Haddad”\nAl Reem", "since": date(2025, 3, 9), "orders": 1234, "revenue": Decimal("25580.20"),
    "part": 0.147, "wait": 2.125, "each": -0.5, "b2b": True, "#url": "/customer/CC-0001/",
}  # fmt: skip
NOBODY = {"name": "Bilal", "since": None, "revenue": -1234.5, "part": float("nan"), "b2b": False}
TABLE = Table("top", "Top customers", COLUMNS, (AMINA, NOBODY), note="By revenue", metrics=("revenue_per_item",))
OTHER = Table("one", "=Others", (Column("n", "Number", "count"),), ({"n": 0},))


def read_csv(response) -> list[list[str]]:
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response.content.startswith(b"\xef\xbb\xbf"), "Excel takes UTF-8 for something else without it"
    return list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"), newline="")))


def read_xlsx(response) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(response.content))


def of_values(*values, unit="text") -> Table:
    return Table("t", "Values", (Column("v", "Value", unit),), tuple({"v": v} for v in values))


def test_a_csv_has_units_in_its_header_and_plain_values():
    rows = read_csv(exports.export_response([TABLE], "csv", "customers-cohort", BUILD, ABOUT))
    assert rows == [
        ["Customer", "Since", "Orders", "Revenue (Dhs)", "Share (%)", "Time (days)", "Items each", "Business"],
        ["Amina, “Haddad”\nAl Reem", "2025-03-09", "1234", "25580.20", "14.7", "2.125", "-0.5", "TRUE"],
        ["Bilal", "", "", "-1234.50", "", "", "", "FALSE"],
    ]


def test_several_tables_stand_in_one_csv_each_under_its_title():
    rows = read_csv(exports.export_response([TABLE, OTHER], "csv", "x", BUILD, {}))
    assert rows[0] == ["Top customers"]
    assert rows[-4:] == [[], ["'=Others"], ["Number"], ["0"]]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1 + 0.2, "ratio", "0.3"),
        (1e-7, "ratio", "0"),
        (-0.0, "ratio", "0"),
        (Decimal("-0.001"), "money", "0.00"),
        (1e15, "count", "1000000000000000"),
        (100, "count", "100"),
        (12.5, "count", "12.5"),  # kilograms
        (0.14712345678, "share", "14.712346"),
        (Decimal("0.29"), "share", "29"),
        (1, "share", "100"),
        (float("inf"), "money", ""),
        (2.005, "money", "2.00"),  # half to even, like the page
        ("2026-02", "date", "2026-02"),
        (7, "text", "7"),
        (-7, "text", "'-7"),  # an order's number, say: no figure
        ("+971 50 123 4567", "text", "'+971 50 123 4567"),
    ],
)
def test_numbers_in_a_csv_are_plain(value, unit, text):
    assert exports.plain(value, unit) == text


NASTY = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "-", "\t7"]
HARMLESS = ["a=1", "'=1", "", " =1", "–", "https://example.com", "0012", "{=1}"]


@pytest.mark.parametrize("unit", UNITS)
def test_no_text_runs_as_a_formula_in_either_form(unit):
    table = Table("t", NASTY[0], (Column("v", NASTY[2], unit),), tuple({"v": v} for v in NASTY), note=NASTY[3])
    about = {NASTY[0]: NASTY[1]}
    for row in read_csv(exports.export_response([table, table], "csv", "x", BUILD, about)):
        assert not row or row[0][0] == "'", row
    sheet = read_xlsx(exports.export_response([table], "xlsx", "x", BUILD, about))["Figures"]
    cells = [cell for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert len(cells) == 2 + 2 + 1 + len(NASTY)  # the head, title and note, the header, the rows
    assert {(c.data_type, c.value[0]) for c in cells} == {("s", "'")}


def test_harmless_text_stays_as_it_is():
    rows = read_csv(exports.export_response([of_values(*HARMLESS)], "csv", "x", BUILD, {}))
    assert [row[0] if row else "" for row in rows[1:]] == HARMLESS
    sheet = read_xlsx(exports.export_response([of_values(*HARMLESS)], "xlsx", "x", BUILD, {}))["Figures"]
    assert [sheet.cell(3 + i, 1).value or "" for i in range(len(HARMLESS))] == HARMLESS
    assert not any(cell.hyperlink for row in sheet.iter_rows() for cell in row)


def test_a_phone_number_stays_text_and_whole():
    phones = of_values("+971500000002", "-12.50")
    assert read_csv(exports.export_response([phones], "csv", "x", BUILD, {}))[1:] == [["'+971500000002"], ["'-12.50"]]
    sheet = read_xlsx(exports.export_response([phones], "xlsx", "x", BUILD, {}))["Figures"]
    assert [(c.value, c.data_type, c.quotePrefix) for c in sheet["A"][2:]] == [
        ("+971500000002", "s", True), ("-12.50", "s", True),
    ]  # fmt: skip


def test_a_workbook_has_typed_cells_under_a_head():
    build = Build("2026-02-28", "2026-03-01", "20260301-0600")
    response = exports.export_response([TABLE], "xlsx", "x", build, ABOUT)
    assert response["Content-Type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    sheet = read_xlsx(response)["Figures"]
    head = {sheet.cell(i, 1).value: sheet.cell(i, 2).value for i in range(1, 8)}
    facts = {"Data to": "2026-02-28", "Exports of": "2026-03-01", "Build": "20260301-0600"}
    assert head == {key: value for key, value in ABOUT.items() if value} | facts
    assert [sheet.cell(i, 1).value for i in range(8, 11)] == [None, "Top customers", "By revenue"]
    header, amina, bilal = ([cell.value for cell in row] for row in sheet.iter_rows(11, 13))
    assert header == [exports.header(column) for column in COLUMNS]
    assert all(cell.font.bold for cell in sheet[11])
    assert amina[1].date() == date(2025, 3, 9)
    assert amina[0] == AMINA["name"]
    assert amina[2:] == [1234, 25580.2, 0.147, 2.125, -0.5, True]
    assert bilal == ["Bilal", None, None, -1234.5, None, None, None, False]
    formats = [cell.number_format for cell in sheet[12]]
    assert formats == ["General", "d mmm yyyy", "#,##0", "#,##0.00", "0.0 %", "0.0", "0.00", "General"]
    assert sheet.freeze_panes == "A12"
    assert sheet.auto_filter.ref == "A11:H13"
    assert sheet.column_dimensions["A"].width > 20


def test_a_workbook_of_several_tables_has_them_all_and_no_filter():
    sheet = read_xlsx(exports.export_response([TABLE, OTHER], "xlsx", "x", BUILD, {}))["Figures"]
    first = [row[0].value for row in sheet.iter_rows()]
    assert first == ["Top customers", "By revenue", "Customer", AMINA["name"], "Bilal", None, "'=Others", "Number", 0]
    assert sheet.auto_filter.ref is None
    assert sheet.freeze_panes is None


def test_the_second_sheet_defines_the_metrics_and_what_they_are_made_of():
    book = read_xlsx(exports.export_response([TABLE], "xlsx", "x", BUILD, {}))
    assert book.sheetnames == ["Figures", "Definitions"]
    rows = [[cell.value for cell in row] for row in book["Definitions"].iter_rows()]
    assert rows[0] == ["Metric", "Unit", "Definition", "Formula", "Name in the API"]
    assert [row[4] for row in rows[1:]] == ["items", "revenue", "revenue_per_item"]
    assert rows[3] == ["Revenue per item", "Dhs", "Revenue / items.", "Revenue / Items", "revenue_per_item"]
    assert rows[1][2] == METRICS["items"].description


def test_a_column_that_says_what_it_means_is_defined_too():
    table = Table("t", "Owed", (Column("v", "Overdue", "money", about="Past its due day."),), ())
    sheet = read_xlsx(exports.export_response([table], "xlsx", "x", BUILD, {}))["Definitions"]
    assert [cell.value or "" for cell in sheet[2]] == ["Overdue", "Dhs", "Past its due day.", "", ""]


@pytest.mark.parametrize(
    ("words", "header", "numbers"),
    [
        (["+8.4 %", f"{MINUS}1,234 %", None, DASH, "0.0 %"], "On Jan (%)", [8.4, -1234, None, None, 0]),
        (["\N{BLACK UP-POINTING TRIANGLE} +1.2 pp", f"{MINUS}5.8 pp", "", None, "0.0 pp"], "On Jan (pp)",
         [1.2, -5.8, None, None, 0]),
        ([DASH, None, "", DASH, DASH], "On Jan", [None] * 5),
    ],
)  # fmt: skip
def test_a_change_is_a_number(words, header, numbers):
    table = Table("t", "Moved", (Column("v", "On Jan", "change"),), tuple({"v": w} for w in words))
    sheet = read_xlsx(exports.export_response([table], "xlsx", "x", BUILD, {}))["Figures"]
    assert [sheet.cell(i, 1).value for i in range(2, 8)] == [header, *numbers]
    assert {sheet.cell(i, 1).number_format for i in range(3, 8) if sheet.cell(i, 1).value} <= {"+0.0;-0.0;0.0"}
    text = ["" if n is None else f"{n:g}" for n in numbers]
    rows = read_csv(exports.export_response([table], "csv", "x", BUILD, {}))
    assert [r[0] if r else "" for r in rows] == [header, *text]


def test_changes_of_two_kinds_stay_words():
    table = Table("t", "Moved", (Column("v", "On Jan", "change"),), ({"v": "+1.0 %"}, {"v": "+1.0 pp"}))
    rows = read_csv(exports.export_response([table], "csv", "x", BUILD, {}))
    assert rows == [["On Jan"], ["'+1.0 %"], ["'+1.0 pp"]]


def test_every_metric_can_be_defined():
    table = Table("t", "All", (Column("v", "Value"),), (), metrics=tuple(METRICS))
    sheet = read_xlsx(exports.export_response([table], "xlsx", "x", BUILD, {}))["Definitions"]
    assert [cell.value for cell in sheet["E"]][1:] == list(METRICS)


def test_an_empty_table_keeps_its_header():
    empty = Table("t", "Nothing", (Column("v", "Value", "money"),), ())
    assert read_csv(exports.export_response([empty], "csv", "x", BUILD, {})) == [["Value (Dhs)"]]
    sheet = read_xlsx(exports.export_response([empty], "xlsx", "x", BUILD, {}))["Figures"]
    assert [cell.value for cell in sheet["A"]] == ["Nothing", "Value (Dhs)"]


def test_a_workbook_says_how_much_it_left_out(monkeypatch):
    monkeypatch.setattr(exports, "SHEET_ROWS", 2)
    table = of_values(1, 2, 3, unit="count")
    sheet = read_xlsx(exports.export_response([table], "xlsx", "x", BUILD, {}))["Figures"]
    said = "The first 2 of 3 rows: take the CSV for all of them."
    assert [cell.value for cell in sheet["A"]] == ["Values", said, "Value", 1, 2]
    assert len(read_csv(exports.export_response([table], "csv", "x", BUILD, {}))) == 4


def test_a_text_longer_than_a_cell_is_cut_rather_than_lost():
    sheet = read_xlsx(exports.export_response([of_values("x" * 40_000)], "xlsx", "x", BUILD, {}))["Figures"]
    assert len(sheet["A3"].value) == 32_767


@pytest.mark.parametrize(
    ("name", "form", "file"),
    [
        ("customers-cohort-2026-02", "xlsx", "moonwalk-customers-cohort-2026-02.xlsx"),
        ("moonwalk-customers", "csv", "moonwalk-customers.csv"),
        ('Wash & Press"; x=\r\nSet-Cookie: a', "csv", "moonwalk-wash-press-x-set-cookie-a.csv"),
        ("../../etc", "csv", "moonwalk-etc.csv"),
        ("مغسلة", "csv", "moonwalk-figures.csv"),
    ],
)
def test_the_files_name_is_plain(name, form, file):
    response = exports.export_response([TABLE], form, name, BUILD, {})
    assert response["Content-Disposition"] == f'attachment; filename="{file}"'
    assert response["Cache-Control"] == "private, no-store"


def test_no_row_passes_through_a_plain_file(monkeypatch):
    """The warehouse may be encrypted; xlsxwriter would write its sheets to the temporary folder otherwise."""
    import tempfile

    def refuse(*_, **__):
        raise AssertionError("a temporary file was made")

    for way in ("mkstemp", "mkdtemp", "TemporaryFile", "NamedTemporaryFile"):
        monkeypatch.setattr(tempfile, way, refuse)
    assert exports.export_response([TABLE], "xlsx", "x", BUILD, ABOUT).content.startswith(b"PK")


def test_there_are_no_other_forms():
    with pytest.raises(Http404):
        exports.export_response([TABLE], "pdf", "x", BUILD, {})
    assert exports.links(lambda form: f"/x.{form}") == [("CSV", "/x.csv"), ("XLSX", "/x.xlsx")]
