"""What came in is kept; encrypted where there is a key."""

import hashlib
import os

import polars as pl
import pytest

from etl import landing
from etl.errors import ExportError, WarehouseError


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", [0, 1, landing.BLOCK - 1, landing.BLOCK, landing.BLOCK + 1, 3 * landing.BLOCK])
def test_a_sealed_file_opens_to_the_same_bytes(tmp_path, size):
    source, content = tmp_path / "in.csv", os.urandom(size)
    source.write_bytes(content)
    with source.open("rb") as file:
        assert landing.seal(file, tmp_path / "out.csv.sealed", "a key", digest(source))
    assert landing.open_kept(tmp_path / "out.csv.sealed", "a key") == content


def test_a_sealed_file_shows_nothing_and_opens_to_no_other_key(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("Amina Haddad," * 100)
    kept = landing.keep_input(source, digest(source), tmp_path / "landing", "a key")
    assert b"Amina" not in kept.read_bytes()
    with pytest.raises(WarehouseError, match="does not open"):
        landing.open_kept(kept, "another")
    with pytest.raises(WarehouseError, match="is encrypted"):
        landing.open_kept(kept, None)


def test_a_cut_off_or_changed_sealed_file_is_refused(tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes(os.urandom(2 * landing.BLOCK))
    kept = landing.keep_input(source, digest(source), tmp_path / "landing", "a key")
    whole = kept.read_bytes()
    for damaged in (whole[: landing.BLOCK + 27], whole[:-1], whole[:100] + b"x" + whole[101:]):
        kept.write_bytes(damaged)
        with pytest.raises(WarehouseError):
            landing.open_kept(kept, "a key")


def test_what_was_kept_before_there_was_a_key_is_sealed(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("Amina")
    kept = landing.keep_input(source, digest(source), tmp_path / "landing", None)
    landing.seal_all(tmp_path / "landing", "a key")
    assert [p.name for p in (tmp_path / "landing").iterdir()] == [kept.name + ".sealed"]
    assert landing.open_kept(kept.with_name(kept.name + ".sealed"), "a key") == b"Amina"


@pytest.mark.parametrize("key", [None, "a key"])
def test_an_input_that_changed_since_it_was_hashed_is_refused_and_not_kept(tmp_path, key):
    source = tmp_path / "in.csv"
    source.write_text("Amina")
    before = digest(source)
    source.write_text("Bilal")
    with pytest.raises(ExportError, match="in.csv changed while it was being read"):
        landing.keep_input(source, before, tmp_path / "landing", key)
    assert list((tmp_path / "landing").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"), ("+1+1", "'+1+1"), ("-1+1", "'-1+1"), ("@A1", "'@A1"), ("\t7", "'\t7"), ("\r7", "'\r7"),
        ("-12.50", "-12.50"), ("+971 50 123", "+971 50 123"), ("a=1", "a=1"), ("", ""), (None, None),
    ],
)  # fmt: skip
def test_no_text_is_written_that_a_spreadsheet_would_run(tmp_path, text, written):
    landing.write_csv(pl.DataFrame({"note": [text]}, schema={"note": pl.String}), tmp_path / "x.csv")
    rows = (tmp_path / "x.csv").read_bytes().decode("utf-8-sig").split("\n", 1)[1]
    assert rows.strip('"\n') == (written or "")
    assert text is None or landing.escaped(text, signed=True) == written
    if text:
        assert landing.escaped(text) == ("'" + text if text[0] in "=+-@\t\r" else text)
