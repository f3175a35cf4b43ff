"""Targets as CSV: metric, month, store, target. A file is checked as a whole; where a row is wrong nothing is written.

Amounts are in the metric's unit: money, days and numbers as they are, a share in % (95 is 95 %). What people's
spreadsheets make of a file is read too: semicolons, "1,234.50", "Dhs 1,234", "95%", and Feb-26 for 2026-02.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches

from analytics.dashboards import frame
from analytics.exports import plain
from analytics.formats import many
from analytics.metrics import METRICS
from analytics.models import Target
from analytics.targets import offered
from etl.landing import escaped
from etl.sources import decode, first_lines, separator_of

COLUMNS = ("metric", "month", "store", "target")
NEEDED = ("metric", "month", "target")
MOST_BYTES, MOST_ROWS = 1_000_000, 5_000
MOST = Decimal(10) ** 10  # what the column of the database holds less than
MONTH = re.compile(r"(20\d\d)[-/.](0?[1-9]|1[0-2])([-/.]0?1)?( 00:00(:00)?)?", re.ASCII)
MONTHS_IN_WORDS = ("%b-%y", "%b %y", "%b-%Y", "%b %Y", "%B-%y", "%B %Y", "%B-%Y")
NUMBER = re.compile(r"(\d{1,3}(,\d{3})+|\d+)(\.\d+)?", re.ASCII)
NO_CSV = "The file can't be read as CSV: save it again as CSV UTF-8."
WHOLE = ("", "all", "all stores", "the whole business")


class Wrong(ValueError):
    """What a person typed can't be taken; the text says why and what to do."""


# --- What people type ------------------------------------------------------------------------------------------------


def read_metric(text: str) -> str:
    """A metric by its name or its label: "revenue", "Revenue". Raises Wrong."""
    wanted = " ".join(text.split()).casefold()
    found = next((n for n, m in METRICS.items() if wanted in (n, m.label.casefold())), None)
    if found in offered():
        return found
    if found:
        raise Wrong(f"“{text}” stands on no card, so its target would be seen nowhere: take another metric.")
    if not wanted:
        raise Wrong("Write the metric's name, such as revenue.")
    known = {name: name for name in offered()} | {METRICS[n].label.casefold(): n for n in offered()}
    near = dict.fromkeys(known[word] for word in get_close_matches(wanted, known, n=3, cutoff=0.8))
    meant = f"did you mean {', '.join(near)}?" if near else "the page Definitions lists them, and so does the template."
    raise Wrong(f"There is no metric “{text[:40]}”: {meant}")


def read_month(text: str) -> str:
    """A month as 2026-02; "Feb-26", "February 2026" and "2026-02-01" are taken too. Raises Wrong."""
    said = " ".join(text.split())
    if found := MONTH.fullmatch(said):
        return f"{found[1]}-{int(found[2]):02}"
    for form in MONTHS_IN_WORDS:
        try:
            month = datetime.strptime(said, form)
        except ValueError:
            continue
        if 2000 <= month.year < 2100:
            return f"{month:%Y-%m}"
    raise Wrong(f"“{text[:40]}” is no month: write it like 2026-02." if said else "Write the month, like 2026-02.")


def read_store(text: str, metric: str) -> str:
    """A store by its name or the one it has in addresses, "" for the whole business. Raises Wrong."""
    wanted = " ".join(text.split()).casefold()
    if wanted in WHOLE:
        return ""
    stores = frame.business().stores
    found = next((s.name for s in stores if wanted in (s.name.casefold(), s.slug)), None)
    if found is None:
        known = ", ".join(s.name for s in stores)
        raise Wrong(f"There is no store “{text[:40]}”: write one of {known}, or nothing for the whole business.")
    if METRICS[metric].whole:
        raise Wrong(f"{METRICS[metric].label} is a figure of the whole business: leave the store empty.")
    return found


def read_value(text: str, unit: str) -> Decimal:
    """An amount as people write it, in a metric's unit; a share comes back as 0.95 for 95 %. Raises Wrong."""
    said = " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())
    if not said:
        raise Wrong("Write what is to be reached.")
    bare, percent = _without_unit(said, unit)
    if re.fullmatch(rf"[-\N{{MINUS SIGN}}]\s*{NUMBER.pattern}", bare):
        raise Wrong("A target is above 0.")
    if not NUMBER.fullmatch(bare):
        raise Wrong(f"“{said[:40]}” is no number: write it like 25000 or 1,234.50, with a point before the decimals.")
    value = Decimal(bare.replace(",", ""))
    if unit == "share":
        if value <= 1 and not percent:
            raise Wrong(f"{bare} would be {bare} %: write shares in %, like 95 (or {bare} % if that is meant).")
        value /= 100
    if value >= MOST:  # before it is rounded: Decimal rounds no number of more than 28 digits
        raise Wrong(f"“{said[:40]}” is too much.")
    if value != round(value, 4):
        raise Wrong(f"“{said[:40]}” has too many decimals: {2 if unit == 'share' else 4} are kept.")
    if not value:
        raise Wrong("A target is above 0.")
    return value


def _without_unit(said: str, unit: str) -> tuple[str, bool]:
    """What was said without its unit's sign, and whether it had "%"."""
    if unit == "share":
        return said.removesuffix("%").strip(), said.endswith("%")
    words = {"money": {frame.currency().casefold(), "dhs", "aed", "dh"}, "days": {"days", "day"}}.get(unit, set())
    for word in sorted(words, key=len, reverse=True):
        if said.casefold().startswith(word):
            return said[len(word) :].lstrip(". "), False
        if said.casefold().endswith(word):
            return said[: -len(word)].strip(), False
    return said, False


def written(value: Decimal, unit: str) -> str:
    """A target as files and forms have it: 25000, 95 (of a share, in %), 2.5. read_value() understands it."""
    number = value * 100 if unit == "share" else value
    text = f"{number.normalize():f}"
    return f"{text} %" if unit == "share" and number <= 1 else text


# --- A file ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A target of a file; before: what there is already, None: nothing."""

    metric: str
    month: str
    store: str
    value: Decimal
    before: Decimal | None = None

    @property
    def state(self) -> str:
        return "new" if self.before is None else "same" if self.before == self.value else "changed"


@dataclass(frozen=True)
class Fault:
    """What is wrong in a file: its row as a spreadsheet counts them (0: the file itself), the column, what to do."""

    row: int
    column: str
    said: str

    def __str__(self) -> str:
        where = ", ".join(filter(None, (f"Row {self.row}" if self.row else "", self.column)))
        return f"{where}: {self.said}" if where else self.said


@dataclass(frozen=True)
class Checked:
    """A file that was read: its targets, or what is wrong. left_out: rows that name a metric and no target."""

    rows: tuple[Row, ...] = ()
    faults: tuple[Fault, ...] = ()
    left_out: int = 0

    def count(self, state: str) -> int:
        return sum(row.state == state for row in self.rows)

    @property
    def differs(self) -> bool:
        """Does it say anything that isn't so already?"""
        return any(row.state != "same" for row in self.rows)

    @property
    def summary(self) -> str:
        """12 new, 3 changed, 5 as they were, 2 rows without a target left out."""
        said = [f"{self.count(state)} {words}" for state, words in
                (("new", "new"), ("changed", "changed"), ("same", "as they were")) if self.count(state)]  # fmt: skip
        if self.left_out:
            said.append(f"{many(self.left_out, 'row')} without a target left out")
        return ", ".join(said) or "no target in it"


def check(data: bytes) -> Checked:
    """The targets of a file, compared with those that there are; all that is wrong in it, where something is."""
    if len(data) > MOST_BYTES:
        return _refused("The file is too big for a list of targets: at most 1 MB.")
    if data[:2] == b"PK" or data[:4] == b"\xd0\xcf\x11\xe0":
        return _refused("This is a workbook: save it as CSV in Excel (File, Save as, CSV UTF-8), then upload that.")
    if not data.strip(b"\0\r\n\t ,;\xef\xbb\xbf"):
        return _refused("The file is empty.")
    try:
        text = first_lines(decode(data))
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator_of(text), strict=True))
    except (csv.Error, UnicodeDecodeError):
        return _refused(NO_CSV)
    heads = [cell.strip().casefold() for cell in lines[0]] if lines else []
    if any(not head.isprintable() for head in heads):
        return _refused(NO_CSV)
    faults = _faults_of(heads)
    if faults:
        return Checked(faults=faults)
    if len(lines) > MOST_ROWS:
        return _refused(f"The file has more than {MOST_ROWS:,} rows: take it in parts.")
    return _compared(*_rows(heads, lines))


def _refused(said: str) -> Checked:
    return Checked(faults=(Fault(0, "", said),))


def _faults_of(heads: list[str]) -> tuple[Fault, ...]:
    """What is wrong with the first line."""
    first = f"The first line names the columns: {', '.join(COLUMNS)}."
    faults = [Fault(1, name, f"The column is missing. {first}") for name in NEEDED if name not in heads]
    faults += [Fault(1, name[:40], f"There is no such column. {first}") for name in heads if name not in (*COLUMNS, "")]
    faults += [Fault(1, name, "The column is there twice.") for name in COLUMNS if heads.count(name) > 1]
    return tuple(faults)


def _rows(heads: list[str], lines: list[list[str]]) -> tuple[list[Row], list[Fault], int]:
    rows, faults, left_out, seen = [], [], 0, {}
    for number, cells in enumerate(lines[1:], 2):
        said = {head: cell.strip() for head, cell in zip(heads, cells, strict=False)}
        if not any(cells) or not any(said.values()):
            continue
        if any(cell.strip() for cell in cells[len(heads) :]):
            faults.append(Fault(number, "", "It has more cells than the first line: write 1234 for 1,234."))
            continue
        if not said.get("target"):
            left_out += 1
            continue
        row, wrong = _row(number, said)
        faults += wrong
        if row is None:
            continue
        key = (row.metric, row.month, row.store)
        if key in seen:
            faults.append(Fault(number, "", f"It is the same metric, month and store as row {seen[key]}: keep one."))
        seen.setdefault(key, number)
        rows.append(row)
    return rows, faults, left_out


def _row(number: int, said: dict[str, str]) -> tuple[Row | None, list[Fault]]:
    """One target, or all that is wrong with its cells."""
    found, faults = {}, []

    def take(column: str, read) -> None:
        try:
            found[column] = read(_unescaped(said.get(column, "")))
        except Wrong as error:
            faults.append(Fault(number, column, str(error)))

    take("metric", read_metric)
    take("month", read_month)
    if "metric" in found:
        take("store", lambda text: read_store(text, found["metric"]))
        take("target", lambda text: read_value(text, METRICS[found["metric"]].unit))
    if faults:
        return None, faults
    return Row(found["metric"], found["month"], found["store"], found["target"]), []


def _unescaped(cell: str) -> str:
    """A cell without the quote that a download puts before what a spreadsheet would run."""
    return cell[1:] if cell[:1] == "'" and escaped(cell[1:]) == cell else cell


def _compared(rows: list[Row], faults: list[Fault], left_out: int) -> Checked:
    if faults:
        return Checked(faults=tuple(faults), left_out=left_out)
    there = {
        (metric, month, store): value
        for metric, month, store, value in Target.objects.filter(
            month__in={row.month for row in rows}
        ).values_list("metric", "month", "store", "value")
    }  # fmt: skip
    rows = [Row(r.metric, r.month, r.store, r.value, there.get((r.metric, r.month, r.store))) for r in rows]
    return Checked(tuple(rows), (), left_out)


# --- To take along ---------------------------------------------------------------------------------------------------


def as_csv(targets: Iterable[Target]) -> bytes:
    """Targets in the shape that check() reads."""
    return _written((t.metric, t.month, t.store, written(t.value, METRICS[t.metric].unit)) for t in targets
                    if t.metric in METRICS)  # fmt: skip


def template(month: str) -> bytes:
    """Every metric that may have a target, for one month, the targets to be filled in."""
    return _written((name, month, "", "") for name in offered())


def _written(rows: Iterable[tuple[str, str, str, str]]) -> bytes:
    out = io.StringIO(newline="")
    lines = csv.writer(out)
    lines.writerow(COLUMNS)
    lines.writerows([plain(cell, "text") for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")
