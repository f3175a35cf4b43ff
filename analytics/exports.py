"""CSV and XLSX of what is on screen: typed cells, units in the headers, definitions on a second sheet.

Numbers are as precise as the page's source, not as rounded as the page. A share is 14.7 under "(%)" in a CSV, and 0.147
shown as 14.7 % in a workbook. Text that a spreadsheet would run gets a quote before it; a phone number does in a CSV,
where Excel would make a number of it, and stays whole in a workbook, whose cell says that it is text.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import xlsxwriter
from django.http import Http404, HttpResponse

from analytics import handbook, queries
from analytics.dashboards import frame
from analytics.formats import DASH, MINUS
from analytics.metrics import FORMULA, METRICS, parts_of
from analytics.tables import Column, Table
from etl.landing import escaped

TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
FORMS = tuple(TYPES)
# Rows of one table in a workbook. More would take a server's memory, and a sheet ends at 1,048,576; a CSV has them all.
SHEET_ROWS = 100_000
CELL = 32_767  # characters that Excel takes in a cell
FORMATS = {
    "date": "d mmm yyyy", "money": "#,##0.00", "share": "0.0 %", "count": "#,##0", "days": "0.0", "ratio": "0.00",
    "change": "+0.0;-0.0;0.0",
}  # fmt: skip
UNIT_WORDS = {"share": "%", "days": "days"}
CHANGE = re.compile(rf"([-+{MINUS}]?)([\d,]+(?:\.\d+)?) (%|pp)$")


def links(url: Callable[[str], str]) -> list[tuple[str, str]]:
    """(words, address) of a download in each form; url(form) is its address."""
    return [(form.upper(), url(form)) for form in FORMS]


def export_response(
    tables: Sequence[Table], form: str, name: str, build: queries.Snapshot, about: dict[str, str | None]
) -> HttpResponse:
    """A download of some tables of a build. Raises Http404 for a form that isn't one of FORMS.

    name: of the file, without "moonwalk-" and ending: "customers-cohort-2026-02". about: what a workbook's head says
    before the data's date and the build, in order: {"Page": ..., "Tab": ..., "Shows": ...}; entries without a value
    are left out.
    """
    meta = build.meta()
    about = about | {"Data to": meta["data_to"], "Exports of": meta["as_of"], "Build": meta["build_id"]}
    return file_response(tables, form, name, about)


def file_response(tables: Sequence[Table], form: str, name: str, about: dict[str, str | None]) -> HttpResponse:
    """A download of some tables of no build in particular; else as export_response."""
    if form not in FORMS:
        raise Http404
    tables = [_typed(table) for table in tables]
    content = csv_bytes(tables) if form == "csv" else xlsx_bytes(tables, about)
    plain = re.sub(r"[^a-z0-9.]+", "-", name.lower().removeprefix("moonwalk-")).strip("-.")
    return HttpResponse(
        content,
        content_type=TYPES[form],
        headers={
            "Content-Disposition": f'attachment; filename="moonwalk-{plain or "figures"}.{form}"',
            "Cache-Control": "private, no-store",
        },
    )


@dataclass(frozen=True)
class Look:
    """How a workbook is laid out: the sheets' names (no definitions: one sheet), the word for money, and whether the
    sheets run from right to left."""

    figures: str = "Figures"
    definitions: str = "Definitions"
    currency: str = ""  # empty: the business's
    right_to_left: bool = False


def header(column: Column, currency: str = "") -> str:
    """A column's label with its unit: "Revenue (Dhs)", "Share (%)"; currency: another word than the business's."""
    unit = (currency or frame.currency()) if column.unit == "money" else UNIT_WORDS.get(column.unit, "")
    return f"{column.label} ({unit})" if unit else column.label


def _typed(table: Table) -> Table:
    """The table with its changes as numbers: "+8.4 %" is 8.4 in a column of %, "+1.2 pp" 1.2 in one of pp."""
    for column in (c for c in table.columns if c.unit == "change"):
        found = [CHANGE.search(str(row.get(column.key) or "")) for row in table.rows]
        units = {match[3] for match in found if match}
        said = [row.get(column.key) for row, match in zip(table.rows, found, strict=True) if not match]
        if len(units) > 1 or any(words not in (None, "", DASH) for words in said):
            continue  # no numbers of one unit: words, then
        moved = [match and _number(match) for match in found]
        rows = tuple(row | {column.key: by} for row, by in zip(table.rows, moved, strict=True))
        named = replace(column, label=" ".join([column.label, *(f"({unit})" for unit in units)]))
        table = replace(table, rows=rows, columns=tuple(named if c == column else c for c in table.columns))
    return table


def _number(change: re.Match) -> float:
    size = float(change[2].replace(",", ""))
    return -size if change[1] in ("-", MINUS) else size


def _known(value):
    """The value; None for what is no number at all."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


# CSV ---------------------------------------------------------------------------------------------------------------


def csv_bytes(tables: Sequence[Table]) -> bytes:
    """UTF-8 with BOM, for Excel. Several tables stand one below the other, each under its title."""
    out = io.StringIO(newline="")
    lines = csv.writer(out)
    for i, table in enumerate(tables):
        if len(tables) > 1:
            lines.writerows(([[]] if i else []) + [[escaped(table.title)]])
        lines.writerow([escaped(header(column)) for column in table.columns])
        lines.writerows([plain(row.get(c.key), c.unit) for c in table.columns] for row in table.rows)
    return out.getvalue().encode("utf-8-sig")


def plain(value, unit: str) -> str:
    """A cell of a CSV: ISO dates, TRUE and FALSE, numbers with a point and nothing else, "" for no value."""
    value = _known(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) or unit in ("text", "date", "boolean"):
        return escaped(str(value))
    number = Decimal(str(value)) * (100 if unit == "share" else 1)
    if unit == "money":
        return f"{round(number, 2) + 0:f}"  # + 0: never "-0"
    return f"{(round(number, 6) + 0).normalize():f}"


# XLSX --------------------------------------------------------------------------------------------------------------


def xlsx_bytes(tables: Sequence[Table], about: dict[str, str], look: Look = Look()) -> bytes:
    """A workbook: "Figures" with a head and every table, "Definitions" of the tables' metrics."""
    out = io.BytesIO()
    # In memory: otherwise customers' names would pass through a plain temporary file.
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        _figures(book, tables, about, look)
        if look.definitions:
            _definitions(book, tables, look)
        for sheet in book.worksheets() if look.right_to_left else ():
            sheet.right_to_left()
    return out.getvalue()


def _figures(book: xlsxwriter.Workbook, tables: Sequence[Table], about: dict[str, str], look: Look) -> None:
    sheet = book.add_worksheet(look.figures)
    bold, faint = book.add_format({"bold": True}), book.add_format({"font_color": "#666666", "italic": True})
    quoted = book.add_format({"quote_prefix": True})
    at = 0
    for key, value in about.items():
        if value:
            sheet.write_string(at, 0, escaped(key), bold)
            _cell(sheet, at, 1, str(value), "text", {"text": quoted})
            at += 1
    for table in tables:
        at += 1 if at else 0
        sheet.write_string(at, 0, escaped(table.title), bold)
        for words in filter(None, (table.note, _cut(table))):
            at += 1
            sheet.write_string(at, 0, escaped(words), faint)
        at += 1
        head, at = at, _rows(book, sheet, replace(table, rows=table.rows[:SHEET_ROWS]), at, look)
        if len(tables) == 1:
            sheet.freeze_panes(head + 1, 0)
            if table.rows and table.columns:
                sheet.autofilter(head, 0, at - 1, len(table.columns) - 1)
    for i, width in enumerate(_widths(tables, look)):
        sheet.set_column(i, i, width)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)


def _cut(table: Table) -> str:
    if len(table.rows) <= SHEET_ROWS:
        return ""
    return f"The first {SHEET_ROWS:,} of {len(table.rows):,} rows: take the CSV for all of them."


def _rows(book: xlsxwriter.Workbook, sheet, table: Table, at: int, look: Look) -> int:
    """Writes the header and the rows from row `at` on; returns the row below them."""
    for i, column in enumerate(table.columns):
        right = {"align": "right"} if column.right else {}
        bold = book.add_format({"bold": True, "bottom": 1, **right})
        sheet.write_string(at, i, escaped(header(column, look.currency)), bold)
    formats = {unit: book.add_format({"num_format": code}) for unit, code in FORMATS.items()}
    formats["text"] = book.add_format({"quote_prefix": True})
    for row in table.rows:
        at += 1
        for i, column in enumerate(table.columns):
            _cell(sheet, at, i, _known(row.get(column.key)), column.unit, formats)
    return at + 1


def _cell(sheet, at: int, i: int, value, unit: str, formats: dict) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(at, i, value)
    elif isinstance(value, date):
        sheet.write_datetime(at, i, value, formats["date"])
    elif isinstance(value, str) or unit in ("text", "date", "boolean"):
        text = escaped(str(value), signed=True)[:CELL]
        sheet.write_string(at, i, text, formats["text"] if text.startswith(("+", "-")) else None)
    else:
        sheet.write_number(at, i, float(value), formats[unit])


def _widths(tables: Sequence[Table], look: Look) -> list[int]:
    """A width a column that its header and first rows fit in, within reason."""
    widths: list[int] = []
    for table in tables:
        for i, column in enumerate(table.columns):
            # An autofilter's arrow takes room of its own; a workbook's numbers are longer than the CSV's by commas.
            texts = [len(plain(row.get(column.key), column.unit)) * 1.15 for row in table.rows[:500]]
            wanted = max([len(header(column, look.currency)) + 3, *texts]) + 2
            widths += [0] * (i + 1 - len(widths))
            widths[i] = max(widths[i], min(60, max(10, math.ceil(wanted))))
    return widths


def _definitions(book: xlsxwriter.Workbook, tables: Sequence[Table], look: Look) -> None:
    """The tables' metrics and those that their formulas are made of, in the order of METRICS; then what else the
    tables say of their columns."""
    sheet = book.add_worksheet(look.definitions)
    bold, wrap = book.add_format({"bold": True, "bottom": 1}), book.add_format({"text_wrap": True, "valign": "top"})
    columns = (("Metric", 36), ("Unit", 12), ("Definition", 90), ("Formula", 60), ("Name in the API", 32))
    for i, (label, width) in enumerate(columns):
        sheet.write_string(0, i, label, bold)
        sheet.set_column(i, i, width)
    sheet.freeze_panes(1, 0)
    lines = [
        (m.label, m.unit, m.description, "".join(words for words, _ in handbook.formula(m.name)), m.name)
        for m in (METRICS[name] for name in _defined(tables))
    ]
    columns = dict.fromkeys(c for table in tables for c in table.columns if c.about)
    lines += [(c.label, c.unit, c.about, "", "") for c in columns]
    for at, (label, unit, *texts) in enumerate(lines, 1):
        unit = {"money": frame.currency(), "share": "%", "ratio": "number"}.get(unit, unit)
        for i, text in enumerate((label, unit, *texts)):
            sheet.write_string(at, i, escaped(text), wrap)


def _defined(tables: Sequence[Table]) -> list[str]:
    wanted: set[str] = set()
    todo = [name for table in tables for name in table.metrics]
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.add(name)
            todo += parts_of(METRICS[name].sql) if METRICS[name].mart == FORMULA else []
    return [name for name in METRICS if name in wanted]
