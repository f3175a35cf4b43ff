"""Files from strangers: what is let through, and what is refused by its bytes, whatever it is called."""

import gzip
import io
import json
import zipfile
import zlib

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from etl import screening
from etl.errors import ExportError

MOST = 1 << 20
ROWS = {"Order ID": ["1", "2"], "Total": ["5.00", "7.50"]}
CSV = b"Order ID,Total\n1,5.00\n2,7.50\n"


def workbook(*, formula: str = "", text: str = "5.00", extra: dict[str, bytes] | None = None) -> bytes:
    """A workbook as xlsxwriter makes it, with `extra` files put into its archive."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["Order ID", "Total"])
        sheet.write_string(1, 0, "1")
        sheet.write_string(1, 1, text)
        if formula:
            sheet.write_formula(4, 2, formula, value="3")
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return out.getvalue()


def parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def packed(content: bytes, **names: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or {"a.csv": b""}:
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (CSV, ".csv"),
        (b"\xef\xbb\xbf" + CSV, ".csv"),
        (CSV.decode().encode("utf-16"), ".csv"),
        (CSV.decode().encode("utf-16-le"), ".csv"),
        (CSV.replace(b",", b"\t").replace(b"\n", b"\r\n"), ".csv"),
        ("Name\nZoë\n".encode("cp1252"), ".csv"),
        (b'[{"Order ID": "1"}]', ".json"),
        (b'\xef\xbb\xbf {"Order ID": "1"}\n{"Order ID": "2"}', ".json"),
        (parquet(pl.DataFrame(ROWS)), ".parquet"),
        (workbook(), ".xlsx"),
    ],
)
def test_the_formats_are_known_by_their_bytes(content, suffix):
    assert screening.screen(content, "whatever.exe", MOST) == suffix


def lying_size() -> bytes:
    """A workbook whose directory says that its 3 MB sheet has 10 bytes."""
    content = workbook(extra={"xl/worksheets/sheet9.xml": b" " * (3 << 20)})
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(b"xl/worksheets/sheet9.xml"))
    return content[: at + 24] + (10).to_bytes(4, "little") + content[at + 28 :]


def locked() -> bytes:
    """A workbook whose first file is marked as encrypted."""
    content = workbook()
    at = content.index(b"PK\x01\x02")
    return content[: at + 8] + b"\x01\x00" + content[at + 10 :]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n", "is empty"),
        (gzip.compress(CSV, mtime=0), "is packed (gzip)"),
        (zlib.compress(CSV), "is packed (zlib)"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 20, "is packed (zstd)"),
        (packed(CSV), "is a ZIP archive, no workbook"),
        (workbook()[:-200], "is not whole"),
        (b"PK\x03\x04" + b"\x00" * 50, "is not whole"),
        (locked(), "has a password"),
        (workbook(formula="=1+2"), "holds a formula (row 5, column C)"),
        (workbook(extra={"xl/vbaProject.bin": b"x"}), "holds macros"),
        (workbook(extra={"xl/externalLinks/externalLink1.xml": b"<a/>"}), "takes values from other files"),
        (workbook(extra={"xl/x.xml": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}), "no workbook that Excel wrote"),
        (workbook(extra={"xl/x.xml": "<a/>".encode("utf-16")}), "no workbook that Excel wrote"),
        (workbook(extra={f"xl/{n}.xml": b"" for n in range(1001)}), "no workbook that Excel wrote"),
        (workbook(extra={"xl/worksheets/sheet9.xml": b" " * (11 << 20)}), "unpacks to more than 10 MB"),
        (lying_size(), "unpacks to more than 10 MB"),
        (parquet(pl.DataFrame(ROWS))[:-4], "is not whole"),
        (b"\xd0\xcf\x11\xe0" + b"\x00" * 600, "is an old Excel file, or one with a password"),
        (b"%PDF-1.7\nsomething", "is no export"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is no export"),
        (CSV * 100 + b"\x00", "is no text"),
        (b"<!DOCTYPE html><html>Sign in</html>", "is a web page, not an export"),
        (b",".join(b"c%d" % n for n in range(302)) + b"\n1\n", "has more than 300 columns"),
        (b"a\n" * 4_000_001, "has more than 4,000,000 rows"),
    ],
)
def test_what_is_refused_says_which_file_and_what_to_do(content, words):
    with pytest.raises(ExportError) as refused:
        screening.screen(content, "orders.csv", MOST)
    said = str(refused.value)
    assert said.startswith("orders.csv") and words in said
    assert ":" in said, "it says what to do"


@pytest.mark.parametrize(
    ("size", "most", "words"),
    [(11 << 20, 1 << 20, "unpacks to more than 10 MB"), (65 << 20, 100 << 20, "packed tighter than any workbook")],
)
def test_what_swells_is_refused_by_what_its_directory_says(size, most, words, monkeypatch):
    """65 MB of blanks are packed 1,000 times. Nothing is unpacked for it."""
    content = workbook(extra={"xl/worksheets/sheet9.xml": b" " * size})
    monkeypatch.setattr(screening, "_unpack", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(ExportError, match=words):
        screening.screen(content, "big.xlsx", most)


def test_a_formula_is_found_where_two_pieces_of_a_sheet_meet():
    start = b'<worksheet><sheetData><row r="1"><c r="A1">'
    for shift in range(0, 40, 3):
        filler = b" " * (screening.MB - len(start) - shift)
        sheet = start + filler + b'</c><c r="B7"><f>1+2</f></c></row></sheetData></worksheet>'
        content = workbook(extra={"xl/worksheets/sheet2.xml": sheet})
        with pytest.raises(ExportError, match=r"row 7, column B"):
            screening.screen(content, "x.xlsx", MOST)


def test_a_text_that_only_looks_like_a_formula_is_no_formula():
    assert screening.screen(workbook(text="=1+2"), "x.xlsx", MOST) == ".xlsx"


# --- Reading on trial ----------------------------------------------------------------------------------------------


def on_trial(tmp_path, name: str, content: bytes) -> str:
    path = tmp_path / name
    path.write_bytes(content)
    return screening.try_reading({path: "mine" + path.suffix}).get(path, "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1.parquet", parquet(pl.DataFrame(ROWS))),
        ("1.xlsx", workbook()),
        ("1.json", b'[{"Order ID": "1"}, {"Order ID": 2}]'),
        ("2.json", b'{"Order ID": "1"}\n{"Order ID": "2"}\n'),
    ],
)
def test_a_plain_table_reads(tmp_path, name, content):
    assert on_trial(tmp_path, name, content) == ""


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("1.json", b"[" * 3_000_000, "cannot be read"),
        ("1.json", b'[{"Order ID": "1"}, {"Order', "cannot be read"),
        ("1.json", json.dumps([{"Order ID": 1, "Lines": [1, 2]}]).encode(), "the column Lines holds lists"),
        ("1.json", json.dumps([{"Order ID": 1, "Who": {"Name": "A"}}]).encode(), "the column Who holds lists"),
        ("1.json", b"[]", "has no rows"),
        ("1.parquet", b"PAR1" + b"\xff" * 200 + b"PAR1", "read"),
        ("1.parquet", parquet(pl.DataFrame({"a": pl.zeros(4_000_001, dtype=pl.Int8, eager=True)})), "4,000,000 rows"),
        ("1.parquet", parquet(pl.DataFrame({f"c{n}": [1] for n in range(301)})), "more than 300 columns"),
    ],
)
def test_a_table_that_is_none_is_refused_under_its_own_name(tmp_path, name, content, words):
    said = on_trial(tmp_path, name, content)
    assert said.startswith("mine.") and words in said


def test_a_short_file_of_endless_text_is_refused(tmp_path):
    """One text of a megabyte, 2,000 times: the file keeps it once."""
    one = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), pa.array(["x" * screening.MB]))
    out = io.BytesIO()
    pq.write_table(pa.table({"Notes": one}), out)
    content = out.getvalue()
    assert len(content) < 5 << 20
    assert "1,024 MB of text" in on_trial(tmp_path, "1.parquet", content)


def test_a_file_that_kills_its_reader_is_named_and_the_others_read(tmp_path, monkeypatch):
    """With too little memory the reading process dies of the large file; each is then tried alone."""
    large, small = tmp_path / "1.parquet", tmp_path / "2.json"
    large.write_bytes(parquet(pl.DataFrame({"a": ["x"]})))
    small.write_bytes(b'[{"Order ID": "1"}]')
    read = screening._read_apart
    monkeypatch.setattr(screening, "_read_apart", lambda paths: None if large in paths else read(paths))
    said = screening.try_reading({large: "large.parquet", small: "small.json"})
    assert list(said) == [large]
    assert said[large].startswith("large.parquet can't be read safely")


def test_a_file_larger_inside_than_the_readers_memory_is_refused(tmp_path, monkeypatch):
    """0.9 GB of numbers in less than a megabyte; a reader with half of that dies of it, and nothing else does."""
    monkeypatch.setattr(screening, "READER_MEMORY", 450 << 20)
    path, numbers = tmp_path / "1.parquet", pa.array([7] * 3_900_000, pa.int64())
    pq.write_table(pa.table({f"c{n}": numbers for n in range(28)}), path)
    assert path.stat().st_size < 1 << 20
    assert screening.try_reading({path: "mine.parquet"}) == {
        path: "mine.parquet can't be read safely: it is damaged, or far larger inside than outside. Drop it as CSV."
    }
