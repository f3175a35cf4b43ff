"""Is a file that somebody handed in safe to open? Judged by its bytes; what it is called decides nothing.

screen() looks at the bytes without reading them as a table: is it one of the formats, whole, not packed beyond reason,
free of formulas and macros. try_reading() then has a process of its own, with little memory and time, read what is no
plain CSV: a file made to break its reader breaks that process alone.
"""

import io
import os
import re
import resource
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from etl.errors import ExportError

MB = 1 << 20
UNPACKED = 10  # times the size allowed for an upload: what a workbook may unpack to
COLUMNS = 300
ROWS = 4_000_000
TEXT = 1 << 30  # bytes in all cells: a short file may repeat one long text for ever
SWOLLEN, TIGHTEST = 64 << 20, 200  # a larger file in a workbook may be so many times as large as it is packed
MEMBERS = 1_000  # files within a workbook
READER_MEMORY = 3 << 30
READER_SECONDS = 60
PACKED = {
    b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf": "7z",
    b"Rar!": "RAR", b"\x78\x01": "zlib", b"\x78\x5e": "zlib", b"\x78\x9c": "zlib", b"\x78\xda": "zlib",
}  # fmt: skip
KNOWN = "CSV, XLSX, Parquet and JSON are read"
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_CELL = re.compile(rb"<(?:\w+:)?c\s[^>]*?\br\s*=\s*[\"']([A-Z]{1,3})(\d{1,7})[\"']")
_OVERLAP = 4096  # of two pieces of a sheet, so that no tag falls between them


def screen(data: bytes, name: str, most: int) -> str:
    """The suffix under which a file may be kept: .csv, .xlsx, .parquet or .json.

    name: what to call it in sentences; most: bytes that an upload may have. Raises ExportError for anything that is
    empty, none of the four, cut off, packed, holds formulas or macros, or unpacks to more than `most` allows.
    """
    if data and not data.strip(b"\x00"):
        raise ExportError(f"{name} is damaged, nothing but zeros are in it: download it again from CleanCloud.")
    if not data.strip(b"\x00\xff\xfe\xef\xbb\xbf \t\r\n"):
        raise ExportError(f"{name} is empty: download it again from CleanCloud.")
    for magic, packer in PACKED.items():
        if data.startswith(magic):
            raise ExportError(f"{name} is packed ({packer}): unpack it first and drop what is inside.")
    if data.startswith(b"PK"):
        _screen_workbook(data, name, most * UNPACKED)
        return ".xlsx"
    if data.startswith(b"PAR1"):
        if len(data) < 12 or not data.endswith(b"PAR1"):
            raise ExportError(f"{name} is not whole: its end is missing. Download it again.")
        return ".parquet"
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise ExportError(
            f"{name} is an old Excel file, or one with a password: open it in Excel, save it as .xlsx without a "
            "password, and drop that."
        )
    return _screen_text(data, name)


def _screen_text(data: bytes, name: str) -> str:
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data[:200]
    if wide:
        if data[:2] not in (b"\xff\xfe", b"\xfe\xff") and not _looks_wide(data[:200]):
            raise ExportError(f"{name} is no export: {KNOWN}.")
    elif b"\x00" in data:
        raise ExportError(f"{name} is no text: it is damaged, or something else. {KNOWN}.")
    start = data[:4096].replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if start[:1] == b"<":
        raise ExportError(f"{name} is a web page, not an export: sign in to CleanCloud again, then download it again.")
    if start.startswith((b"%PDF", b"{\\rtf", b"\x89PNG", b"\xff\xd8", b"GIF8")):
        raise ExportError(f"{name} is no export: {KNOWN}.")
    if start[:1] in (b"[", b"{"):
        return ".json"
    head = data.split(b"\n", 1)[0]
    if max(head.count(c) for c in (b",", b";", b"\t", b"|")) >= COLUMNS:
        raise ExportError(f"{name} has more than {COLUMNS} columns: an export has about thirty.")
    if data.count(b"\n") > ROWS or data.count(b"\r") > ROWS:
        raise ExportError(f"{name} has more than {ROWS:,} rows: put it into the exports folder instead.")
    return ".csv"


def _looks_wide(start: bytes) -> bool:
    """Does every second byte of Latin text say nothing, as UTF-16 without a mark has it?"""
    even, odd = start[::2], start[1::2]
    return min(even.count(0), odd.count(0)) == 0 and max(even.count(0), odd.count(0)) > len(even) // 2


# Workbooks ---------------------------------------------------------------------------------------------------------


def _screen_workbook(data: bytes, name: str, most: int) -> None:
    """Raises ExportError unless these bytes are a whole workbook of sensible size with nothing but values in it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            members = book.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError, EOFError) as error:
        raise ExportError(f"{name} is not whole: download it again.") from error
    inside = {member.filename for member in members}
    if "xl/workbook.xml" not in inside or "[Content_Types].xml" not in inside:
        raise ExportError(f"{name} is a ZIP archive, no workbook: unpack it and drop the files that are inside.")
    if len(inside) != len(members) or len(members) > MEMBERS:
        raise ExportError(f"{name} is no workbook that Excel wrote: save it as CSV and drop that.")
    # What the archive itself says is enough to refuse it: unpacking so much takes a minute.
    if sum(member.file_size for member in members) > most:
        raise _bomb(name, most)
    if any(_swells(member) for member in members):
        raise ExportError(f"{name} is packed tighter than any workbook that Excel wrote: save it as CSV and drop that.")
    left = most
    for member in members:
        _screen_member(member.filename, name)
        left -= _unpack(data, member, name, left, most)


def _swells(member: zipfile.ZipInfo) -> bool:
    """Is it large and packed tighter than any sheet, whose rows all differ in their numbers?"""
    return member.file_size > SWOLLEN and member.file_size > TIGHTEST * member.compress_size


def _bomb(name: str, most: int) -> ExportError:
    return ExportError(f"{name} unpacks to more than {most // MB:,} MB: save it as CSV and drop that.")


def _screen_member(inside: str, name: str) -> None:
    low = inside.lower()
    if low.endswith(("vbaproject.bin", "vbadata.xml")) or "/activex/" in low or "/macrosheets/" in low:
        raise ExportError(f"{name} holds macros: save it as a workbook without macros (.xlsx), or as CSV.")
    if "/externallinks/" in low or low.startswith("xl/connections") or "/querytables/" in low:
        raise ExportError(f"{name} takes values from other files: save it as CSV and drop that.")


def _unpack(data: bytes, member: zipfile.ZipInfo, name: str, left: int, most: int) -> int:
    """Unpack one file of a workbook without keeping it, and look for what must not be in it; its size in bytes.

    Sizes that the archive claims are not believed: what comes out is counted.
    """
    if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ExportError(f"{name} has a password or an unusual packing: save it as a plain .xlsx or as CSV.")
    at = member.header_offset
    if data[at : at + 4] != b"PK\x03\x04":
        raise ExportError(f"{name} is not whole: download it again.")
    at += 30 + int.from_bytes(data[at + 26 : at + 28], "little") + int.from_bytes(data[at + 28 : at + 30], "little")
    look = _Look(member.filename, name)
    reader = zlib.decompressobj(-15) if member.compress_type == zipfile.ZIP_DEFLATED else None
    total = 0
    try:
        for piece in _pieces(memoryview(data)[at : at + member.compress_size], reader):
            total += len(piece)
            if total > left or total > member.file_size:
                raise _bomb(name, most)
            look.at(piece)
    except zlib.error as error:
        raise ExportError(f"{name} is damaged: download it again.") from error
    if total != member.file_size or (reader and not reader.eof):
        raise ExportError(f"{name} is not whole: download it again.")
    return total


def _pieces(packed: memoryview, reader) -> Iterator[bytes]:
    """What comes out of packed bytes, at most 1 MiB at a time; reader None: they are not packed."""
    for start in range(0, len(packed), MB // 4):
        piece = bytes(packed[start : start + MB // 4])
        while piece:
            if reader is None:
                yield piece
                break
            yield reader.decompress(piece, MB)
            piece = reader.unconsumed_tail


class _Look:
    """Looks at a file within a workbook piece by piece: raises ExportError at a formula or an own definition."""

    def __init__(self, inside: str, name: str):
        self.name, self.before, self.cell = name, b"", None
        self.xml = inside.lower().endswith((".xml", ".rels", ".vml"))
        self.sheet = inside.lower().startswith("xl/worksheets/") and self.xml

    def at(self, piece: bytes) -> None:
        if not self.xml:
            return
        text = self.before + piece
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text or (not self.before and b"\x00" in piece[:64]):
            raise ExportError(f"{self.name} is no workbook that Excel wrote: save it as CSV and drop that.")
        if self.sheet and (formula := _FORMULA.search(text)):
            cell = [f"row {m[2].decode()}, column {m[1].decode()}" for m in _CELL.finditer(text[: formula.start()])]
            where = f" ({cell[-1]})" if cell else ""
            raise ExportError(
                f"{self.name} holds a formula{where}: an export has none. Copy the sheet, paste it as values, save it "
                "and drop it again, or drop the CSV."
            )
        self.before = text[-_OVERLAP:]


# Reading on trial --------------------------------------------------------------------------------------------------


def try_reading(paths: dict[Path, str]) -> dict[Path, str]:
    """What is wrong with files as tables: a sentence for each that can't be read safely; paths maps to their names.

    One process reads them all; when it dies, each is tried alone to find the one it died of.
    """
    if not paths:
        return {}
    said = _read_apart(list(paths))
    if said is not None:
        return {path: told.replace(path.name, paths[path]) for path, told in zip(paths, said, strict=True) if told}
    if len(paths) > 1:
        return {path: told for one in paths for path, told in try_reading({one: paths[one]}).items()}
    path, name = next(iter(paths.items()))
    return {path: f"{name} can't be read safely: it is damaged, or far larger inside than outside. Drop it as CSV."}


def _read_apart(paths: list[Path]) -> list[str] | None:
    """A sentence a file, "" where it reads; None when the reading process broke."""
    command = [sys.executable, "-m", "etl.screening", str(READER_MEMORY), *(str(p.resolve()) for p in paths)]
    environment = {"PATH": os.environ.get("PATH", ""), "POLARS_MAX_THREADS": "2", "LC_ALL": "C.UTF-8"}
    try:
        found = subprocess.run(
            command, cwd=Path(__file__).parents[1], env=environment, capture_output=True, timeout=READER_SECONDS,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    if found.returncode:
        return None
    return found.stdout.decode("utf-8").split("\x00")[:-1]


def _reads(path: Path) -> str:
    """Why a file is no plain table; "" when it is one."""
    import polars as pl

    from etl import sources

    try:
        if path.suffix == ".parquet":
            schema = pl.read_parquet_schema(path)
            rows = pl.scan_parquet(path).select(pl.len()).collect().item()
            if rows > ROWS:
                return f"{path.name} has more than {ROWS:,} rows: put it into the exports folder instead."
        else:
            schema = (sources.read_json(path) if path.suffix == ".json" else sources.read_text(path)).schema
        if len(schema) > COLUMNS:
            return f"{path.name} has more than {COLUMNS} columns: an export has about thirty."
        nested = next((column for column, kind in schema.items() if kind.is_nested()), None)
        if nested:
            return f"{path.name}: the column {nested} holds lists or records in its cells: export it with plain cells."
        cells = sources.read_text(path).select(pl.exclude(sources.ROW, "#cells"))
        if cells.select(pl.all().str.len_bytes().cast(pl.UInt64).sum()).sum_horizontal()[0] > TEXT:
            return f"{path.name} holds more than {TEXT // MB:,} MB of text: drop it as CSV."
    except ExportError as error:
        return str(error)
    except Exception as error:
        return f"{path.name} cannot be read ({str(error).strip().splitlines()[0][:120]}): download it again."
    return ""


def main(memory: int, paths: list[str]) -> None:
    """The reading process: a sentence a file to stdout, each ended by a NUL. memory: the bytes it may have."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (READER_SECONDS, READER_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in paths:
        sys.stdout.write(_reads(Path(path)).replace("\x00", "") + "\x00")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
