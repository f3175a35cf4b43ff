"""Find the newest export of each kind in a folder, and read it as text: every cell a string, no type guessed.

File names, kinds and columns: docs/exports.md.
"""

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from etl.errors import ExportError

KINDS = ("customers", "orders", "items", "invoices", "legacy")
OPTIONAL_KINDS = ("legacy",)
TITLES = {
    "customers": "Customers",
    "orders": "Orders",
    "items": "Items",
    "invoices": "Invoices",
    "legacy": "RePOS archive",
}
SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xls", ".parquet", ".json", ".ndjson", ".jsonl")
ROW = "#row"  # row number as a spreadsheet shows it: the header is row 1
MISSING = ("", "nan", "none", "null", "nat")

# Columns used, per kind; the tuple names what suffers when an optional one is missing.
REQUIRED = {
    "customers": ("Customer ID", "Name"),
    "orders": ("Order ID", "Customer ID", "Placed", "Cleaned", "Total", "Paid", ("Store ID", "Store Name")),
    "items": ("Order ID", "Placed", "Quantity", "Total", ("Item", "Section")),
    "invoices": ("Customer", "Reference", "Amount", "Payment Date"),
    "legacy": ("Order ID", "Customer ID", "Placed", "Total"),
}
OPTIONAL = {
    "customers": {
        "Store ID": "the customer's store",
        "Store Name": "the customer's store",
        "Signed Up Date": "new customers and cohorts (the first order counts instead)",
        "Route #": "figures by area (everyone counts as Other)",
        "Business ID": "business accounts (their orders count as sales)",
        "Phone": "the contact list",
        "Email": "the contact list",
    },
    "orders": {
        "Store ID": "the order's store (its name decides)",
        "Store Name": "orders without a known Store ID (they are left out)",
        "Ready By": "the promised day",
        "Collected": "time in store",
        "Pickup Date": "pickups and stops",
        "Delivery": "deliveries and stops",
        "Pieces": "items delivered",
        "Payment Type": "collections by method (all count as Other)",
        "Payment Date": "days to payment",
        "Status": "the order's status",
    },
    "items": {
        "Customer ID": "items whose order is not in Orders (they are quarantined)",
        "Store ID": "every item: orders are numbered per store (all items are left out)",
        "Item": "item categories",
        "Section": "item categories and service types",
        "Express": "the express share",
    },
    "invoices": {
        "Invoice ID": "",  # nothing: a number is made from the content
        "Payment Method": "collections by method (all count as Other)",
        "Store ID": "the invoice's store (its name decides)",
        "Store Name": "invoices without a known Store ID (they are left out)",
    },
    "legacy": {
        "Customer": "the names of customers of the old system",
        "Store ID": "the order's store (Moon Walk counts)",
        "Store Name": "the order's store (Moon Walk counts)",
        "Ready By": "the promised day",
        "Cleaned": "the day an order was earned (the day it was placed counts)",
        "Collected": "time in store",
        "Pickup Date": "pickups and stops",
        "Delivery": "deliveries and stops",
        "Pieces": "items delivered",
        "Paid": "collections of the old system",
        "Payment Type": "collections by method",
    },
}
IGNORED = {
    "customers": "Address, Loyalty Points, Notes",
    "orders": "Customer, Email, Phone, Address, Summary, Notes, Card Payment Type, Total after Credit Used, Subtotal,"
    " Discount, Credit, Total weight, Paid Date",
    "items": "Customer, Custom ID, Email, Phone, Address, Item ID, Section ID, Product ID, Custom Product ID,"
    " Price per Item, Pieces per Product, Total Pcs, Item Notes, Order Status, Paid, Payment Type, Retail, Price Mod,"
    " Cost Price",
    "invoices": "Status",
    "legacy": "Operator",
}


@dataclass(order=True)
class Source:
    """One export, found but not yet read."""

    kind: str
    path: Path
    named: date | None  # the date in the file's name
    sha256: str = ""
    stamp: tuple = field(default=(), repr=False)  # size and time when hashed: to notice a file that changes under us


def _squeeze(header: str) -> str:
    return " ".join(header.replace("\ufeff", "").split()).casefold()


def _canonical(kind: str) -> dict[str, str]:
    """Squeezed header -> the name this project uses, for every column known in exports of one kind."""
    names = [n for r in REQUIRED[kind] for n in ((r,) if isinstance(r, str) else r)]
    names += list(OPTIONAL[kind]) + IGNORED[kind].split(", ")
    return {_squeeze(n): n for n in names}


def _has(headers: set[str], needs: Iterable) -> bool:
    return all(_squeeze(n) in headers if isinstance(n, str) else any(_squeeze(o) in headers for o in n) for n in needs)


def recognise(headers: Iterable[str]) -> str | None:
    """The kind of export these column names belong to, or None when they fit no kind.

    The archive is told from Orders by what it lacks: Payment Date and Status.
    """
    heads = {_squeeze(h) for h in headers}
    if "paid date" in heads:
        heads.add("payment date")
    if _has(heads, ("Order ID", "Quantity", ("Item", "Section"))):
        return "items"
    if _has(heads, ("Reference", "Amount")) and "order id" not in heads:
        return "invoices"
    if _has(heads, ("Order ID", "Customer ID", "Placed", "Total")) and not heads & {"item", "section", "express"}:
        return "orders" if heads & {"payment date", "status"} else "legacy"
    if _has(heads, ("Customer ID", "Name")) and "order id" not in heads:
        return "customers"
    return None


_NAME = re.compile(r"^cc[-_ ]?(customers|orders|items|invoices)\b", re.IGNORECASE)
_LEGACY_NAME = re.compile(r"^repos[-_ ]?archive\b", re.IGNORECASE)
_DATE = re.compile(r"(20\d\d)[-_. ]?(0[1-9]|1[0-2])[-_. ]?(0[1-9]|[12]\d|3[01])(?!\d)")


def date_in_name(name: str) -> date | None:
    """The date a file name carries (`CC-Orders-2026-03-05.csv`), or None."""
    for found in _DATE.finditer(name):
        try:
            return date(*map(int, found.groups()))
        except ValueError:
            continue
    return None


def kind_in_name(name: str) -> str | None:
    """The kind a file name claims, or None for a name that claims none."""
    stem = name.replace("_", "-")
    found = _NAME.match(stem)
    if found:
        return found.group(1).lower()
    return "legacy" if _LEGACY_NAME.match(stem) else None


def find(folder: Path, warnings: list[str] | None = None) -> dict[str, Source]:
    """The exports to build from: newest() of a folder, complete and each what it says.

    Raises ExportError when the folder does not exist, a required kind is missing, or a chosen file holds another kind
    than its name says.
    """
    if not folder.is_dir():
        raise ExportError(f"The exports folder {folder} does not exist: create it, or name another with --exports.")
    found = newest(folder, warnings)
    missing = [k for k in KINDS if k not in found and k not in OPTIONAL_KINDS]
    if missing:
        names = ", ".join(f"{TITLES[k]} (CC-{TITLES[k]}-<date>.csv)" for k in missing)
        raise ExportError(
            f"No export of {names} in {folder}: download it from CleanCloud into this folder and refresh again."
        )
    for source in found.values():
        check_kind(source)
    return found


def newest(folder: Path, warnings: list[str] | None = None) -> dict[str, Source]:
    """The newest export of each kind in a folder, by the date in its name, else by modification time.

    A file whose name tells no kind is recognised by its headers and counts where no file has the kind's name: a list
    of contacts must not replace the Customers export. A newer one is told in `warnings`.
    """
    by_name: dict[str, list[tuple]] = {}
    by_headers: dict[str, list[tuple]] = {}
    for path in sorted(folder.iterdir()):
        name = path.name
        if not path.is_file() or path.suffix.lower() not in SUFFIXES or name.startswith((".", "~$")):
            continue
        if name.lower().startswith("excel_"):
            continue
        kind, candidates = kind_in_name(name), by_name
        if kind is None:
            try:
                kind, candidates = recognise(headers(path)), by_headers
            except ExportError:
                continue  # some other file that happens to lie here
        if kind:
            changed = path.stat().st_mtime
            named = date_in_name(name)
            day = named or date.fromtimestamp(changed)
            # A date in a name tells more than the time of a copy: a backup of old rows is not today's export.
            candidates.setdefault(kind, []).append((named is not None, day, changed, name, Source(kind, path, named)))
    found = {}
    for kind in KINDS:
        newest = {way: max(c[kind]) for way, c in (("name", by_name), ("headers", by_headers)) if kind in c}
        if newest:
            found[kind] = newest.get("name", newest.get("headers"))[-1]
        if len(newest) == 2 and newest["headers"][1:] > newest["name"][1:] and warnings is not None:
            warnings.append(
                f"{newest['headers'][3]} looks like a newer {TITLES[kind]} export but is not called so; "
                f"{newest['name'][3]} was taken. If the other is meant, call it CC-{TITLES[kind]}-<date>."
            )
    return found


def check_kind(source: Source) -> None:
    """Refuse a file of the wrong kind or without a column it must have."""
    columns = headers(source.path)
    kind, told = source.kind, recognise(columns)
    heads = {_squeeze(h) for h in columns}
    if "paid date" in heads and kind == "orders":
        heads.add("payment date")
    complete = _has(heads, REQUIRED[kind])
    # Orders without its optional columns looks like the archive: the name decides, unless a till gives it away.
    undecided = {kind, told} == {"orders", "legacy"} and complete and not (kind == "orders" and "operator" in heads)
    if kind == "legacy" and told == "orders":
        undecided = False
    if told and told != kind and not undecided:
        raise ExportError(
            f"{source.path.name} holds {TITLES[told]}, not {TITLES[kind]}: download {TITLES[kind]} again, or give the "
            f"file its right name."
        )
    for need in REQUIRED[kind]:
        if not _has(heads, (need,)):
            column = need if isinstance(need, str) else " or ".join(need)
            raise ExportError(
                f"{source.path.name}: the column {column} is missing. Download {TITLES[kind]} again from CleanCloud "
                f"with all columns; nothing was loaded."
            )


def hash_sources(sources: dict[str, Source]) -> None:
    """Set sha256 and stamp of each source, reading each file once, side by side."""

    def hash_one(source: Source) -> None:
        source.stamp = _stamp(source.path)
        with source.path.open("rb") as file:
            source.sha256 = hashlib.file_digest(file, "sha256").hexdigest()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(hash_one, sources.values()))


def _stamp(path: Path) -> tuple:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def export_date(sources: dict[str, Source], warnings: list[str]) -> date | None:
    """The newest date in the file names of the set; warns when the names differ. None when no name carries one."""
    dates = {s.path.name: s.named for s in sources.values() if s.named}
    if len(set(dates.values())) > 1:
        listed = ", ".join(f"{name}" for name in sorted(dates))
        warnings.append(f"The exports carry different dates ({listed}): the newest, {max(dates.values())}, counts.")
    return max(dates.values(), default=None)


# Reading ---------------------------------------------------------------------------------------------------------


def headers(path: Path) -> list[str]:
    """The column names of a file, read without the rows. Raises ExportError when it is empty or unreadable."""
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv", ".txt"):
            with path.open("rb") as file:
                start = file.read(1 << 16)
            text, separator = decode(start, whole=False), None
            line = next(csv.reader(io.StringIO(first_lines(text)), delimiter=separator or separator_of(text)), [])
            if not any(cell.strip() for cell in line):
                raise ExportError(f"{path.name} is empty: download it again from CleanCloud.")
            return [cell.replace("\ufeff", "") for cell in line]
        if suffix == ".parquet":
            return list(pl.read_parquet_schema(path))
        return read_text(path).columns[1:]
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"{path.name} cannot be read ({_short(error)}): download it again.") from error


def _short(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:120] or type(error).__name__


def first_lines(text: str) -> str:
    if text[:4].lower() == "sep=":  # Excel's own first line
        text = text.split("\n", 1)[-1]
    return text


def separator_of(text: str) -> str:
    """The separator of a CSV: the one of , ; tab | that its header line has most often."""
    line = re.sub(r'"[^"]*"', "", first_lines(text).split("\n", 1)[0])
    return max(",;\t|", key=line.count)


def decode(data: bytes, whole: bool = True) -> str:
    """Text of a file's bytes: UTF-8 (with or without BOM), UTF-16, else Windows-1252."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data[: len(data) // 2 * 2].decode("utf-16", errors="strict" if whole else "replace")
    if b"\x00" in data[:200]:
        encoding = "utf-16-le" if data[1:2] == b"\x00" else "utf-16-be"
        return data[: len(data) // 2 * 2].decode(encoding, errors="strict" if whole else "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not whole and error.start > len(data) - 4:
            return data[: error.start].decode("utf-8-sig")
        return data.decode("cp1252", errors="replace")


def read_text(path: Path) -> pl.DataFrame:
    """All rows of a file as text, with their row number in column `#row`; blank cells are "", blank lines are left out.

    Rows with the wrong number of cells carry that number in column `#cells` (a CSV only; the column is there only
    when there is such a row). Raises ExportError when the file is empty, truncated or unreadable.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            frame = pl.read_parquet(path)
        elif suffix in (".xlsx", ".xlsm", ".xls"):
            frame = pl.read_excel(path, infer_schema_length=0)
        elif suffix in (".json", ".ndjson", ".jsonl"):
            frame = read_json(path)
        else:
            return _not_empty(_read_csv(path), path)
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"{path.name} cannot be read ({_short(error)}): download it again.") from error
    return _not_empty(_drop_blank(_as_text(_not_empty(frame, path)).with_row_index(ROW, 2)), path)


def _not_empty(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    if frame.is_empty():
        raise ExportError(f"{path.name} has no rows: download it again from CleanCloud.")
    return frame


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    columns = []
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if isinstance(kind, pl.Datetime):
            column = column.dt.strftime("%Y-%m-%d %H:%M:%S")
        elif kind == pl.Boolean:
            column = column.cast(pl.Int8).cast(pl.String)
        columns.append(column.cast(pl.String).fill_null(""))
    return frame.select(columns)


def read_json(path: Path) -> pl.DataFrame:
    """The rows of a JSON file: a list of records, or one record a line."""
    with path.open("rb") as file:
        start = file.read(64).decode("utf-8-sig", errors="replace").lstrip()
    if start.startswith("["):
        return pl.read_json(path, infer_schema_length=None)
    return pl.read_ndjson(path, infer_schema_length=None)


def _drop_blank(frame: pl.DataFrame) -> pl.DataFrame:
    columns = [c for c in frame.columns if not c.startswith("#")]
    last = frame.filter(pl.col(columns[0]) == "")
    if last.is_empty() or last.filter(pl.all_horizontal(pl.col(columns).str.strip_chars() == "")).is_empty():
        return frame
    return frame.filter(~pl.all_horizontal(pl.col(columns).str.strip_chars() == ""))


def _read_csv(path: Path) -> pl.DataFrame:
    """Polars reads the usual file. One with odd rows goes through Python's csv, which tells which rows are odd."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    if not start.strip(b"\x00\xff\xfe\xef\xbb\xbf \t\r\n"):
        raise ExportError(f"{path.name} is empty: download it again from CleanCloud.")
    head = decode(start, whole=False)
    separator = separator_of(head)
    plain = start[:2] not in (b"\xff\xfe", b"\xfe\xff") and b"\x00" not in start[:200] and head[:4].lower() != "sep="
    if plain:
        try:
            frame = pl.read_csv(
                path, infer_schema=False, separator=separator, empty_string_is_null=False, row_index_name=ROW,
                row_index_offset=2,
            )  # fmt: skip
        except pl.exceptions.PolarsError:
            frame = None
        if frame is not None:
            frame = _drop_blank(frame.with_columns(pl.col(pl.String).fill_null("")))
            if _cells_add_up(path, frame, separator):
                return frame
    return _read_odd_csv(path, separator)


def _cells_add_up(path: Path, frame: pl.DataFrame, separator: str) -> bool:
    """Whether every row has a cell for every column. Polars pads short rows without a word, so we count separators."""
    columns = [c for c in frame.columns if c != ROW]
    if not (frame[columns[-1]] == "").any():
        return True  # a short row would have an empty last cell
    found = 0
    with path.open("rb") as file:
        header = csv.reader(io.StringIO(first_lines(decode(file.read(1 << 16), whole=False))), delimiter=separator)
        found -= sum(cell.count(separator) for cell in next(header, []))
        file.seek(0)
        while block := file.read(1 << 22):
            found += block.count(separator.encode())
    inside = frame.select(pl.col(columns).str.count_matches(separator, literal=True).sum()).sum_horizontal()[0]
    return found - inside == (frame.height + 1) * (len(columns) - 1)


def _read_odd_csv(path: Path, separator: str) -> pl.DataFrame:
    text = first_lines(decode(path.read_bytes()))
    csv.field_size_limit(1 << 30)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error:
        # A stray quote inside a cell is lenient reading's business; an open one at the end is a cut-off file.
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
        if text.count('"') % 2:
            raise ExportError(f"{path.name} breaks off in the middle of a row: download it again.") from None
    if not rows:
        raise ExportError(f"{path.name} is empty: download it again from CleanCloud.")
    head, width = [h.replace("\ufeff", "") for h in rows[0]], len(rows[0])
    numbered = [(i, r) for i, r in enumerate(rows[1:], 2) if any(c.strip() for c in r)]
    if numbered and len(numbered[-1][1]) < width:
        raise ExportError(
            f"{path.name} breaks off in the middle of row {numbered[-1][0]}: download it again; nothing was loaded."
        )
    names = [h if h not in head[:i] else f"{h}_duplicated_{i}" for i, h in enumerate(head)]
    cells = {n: [r[i] if i < len(r) else "" for _, r in numbered] for i, n in enumerate(names)}
    frame = pl.DataFrame(
        {ROW: [i for i, _ in numbered], **cells}, schema={ROW: pl.UInt32, **dict.fromkeys(names, pl.String)}
    )
    odd = [len(r) if len(r) != width else 0 for _, r in numbered]
    return frame.with_columns(pl.Series("#cells", odd, pl.UInt32)) if any(odd) else frame


@dataclass
class Export:
    """One export as text: `frame` holds the used columns under their standard names, plus `#row`, `#dup` (an exact
    copy of a later row) and `#cells` (0, or the number of cells of a row with the wrong number)."""

    source: Source
    frame: pl.DataFrame
    raw: pl.DataFrame  # every column of the file, for the quarantine

    @property
    def read(self) -> int:
        return self.frame.height


def read(source: Source, warnings: list[str]) -> Export:
    """Read one export; note missing optional and unknown new columns in `warnings`."""
    raw = read_text(source.path)
    if source.stamp and source.stamp != _stamp(source.path):
        raise ExportError(f"{source.path.name} changed while it was being read: wait for the download, refresh again.")
    kind = source.kind
    known = _canonical(kind)
    chosen: dict[str, str] = {}
    unknown = []
    for column in raw.columns:
        if column.startswith("#"):
            continue
        name = known.get(_squeeze(column))
        if name is None:
            unknown.append(column)
        else:
            chosen.setdefault(name, column)
    if kind == "orders" and "Payment Date" not in chosen and "Paid Date" in chosen:
        chosen["Payment Date"] = chosen["Paid Date"]
    used = [n for r in REQUIRED[kind] for n in ((r,) if isinstance(r, str) else r)]
    used += [n for n in OPTIONAL[kind] if n not in used]
    for name in used:
        if name not in chosen and OPTIONAL[kind].get(name):
            loud = "IMPORTANT: " if (kind, name) == ("items", "Store ID") else ""
            warnings.append(f"{loud}{source.path.name}: no column {name}; this suffers: {OPTIONAL[kind][name]}.")
    new = [c for c in unknown if "_duplicated_" not in c]
    if new:
        warnings.append(f"{source.path.name}: new columns, not used: {', '.join(new)}.")
    columns = [(pl.col(chosen[n]) if n in chosen else pl.lit("", dtype=pl.String)).alias(n) for n in used]
    telling = [chosen[n] for r in REQUIRED[kind] for n in ((r,) if isinstance(r, str) else r) if n in chosen]
    cells = pl.col("#cells") if "#cells" in raw.columns else pl.lit(0, dtype=pl.UInt32)
    frame = raw.select(ROW, cells.alias("#cells"), _copies(raw, telling).alias("#dup"), *columns)
    return Export(source, frame, raw)


def _copies(raw: pl.DataFrame, telling: list[str]) -> pl.Series:
    """True for a row equal, in every column of the file, to a later one; rows that differ in `telling` are not."""
    content = raw.drop(ROW)
    hashes = raw.select(telling).hash_rows()
    copies = pl.zeros(raw.height, dtype=pl.Boolean, eager=True)
    if hashes.n_unique() < raw.height:  # few rows: compare them whole
        rows = hashes.is_duplicated().arg_true()
        copies = copies.scatter(
            rows.filter(~content[rows].select(pl.struct(pl.all()).is_last_distinct()).to_series()), True
        )
    return copies
