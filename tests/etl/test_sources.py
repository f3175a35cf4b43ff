"""Which files are taken, how they are read, and what is refused."""

import os
from datetime import date

import polars as pl
import pytest

from etl import sources
from etl.errors import ExportError
from tests.etl.making import DEFAULTS, Built, exports, filename, write


def test_the_newest_date_in_the_name_wins_not_the_newest_file(tmp_path):
    folder = exports(tmp_path)
    old = write(folder, "Orders", [{}], day="2026-02-01")
    os.utime(old, (2_000_000_000, 2_000_000_000))
    assert sources.find(folder)["orders"].path.name == "CC-Orders-2026-03-05.csv"


def test_without_a_date_in_the_name_the_file_changed_last_wins(tmp_path):
    folder = exports(tmp_path)
    for name, changed in (("orders (1).csv", 1_893_456_000), ("orders (2).csv", 1_890_000_000)):
        (folder / "CC-Orders-2026-03-05.csv").rename(folder / name) if changed > 1_893_000_000 else (
            (folder / name).write_bytes((folder / "orders (1).csv").read_bytes())
        )
        os.utime(folder / name, (changed, changed))
    assert sources.find(folder)["orders"].path.name == "orders (1).csv"


def test_a_dated_export_beats_an_undated_copy_changed_later(tmp_path):
    folder = exports(tmp_path)
    (folder / "CC-Orders-old backup.csv").write_bytes((folder / "CC-Orders-2026-03-05.csv").read_bytes())
    os.utime(folder / "CC-Orders-old backup.csv", (2_000_000_000, 2_000_000_000))
    assert sources.find(folder)["orders"].path.name == "CC-Orders-2026-03-05.csv"


def test_names_in_any_case_and_excel_copies_are_ignored(tmp_path):
    folder = exports(tmp_path)
    (folder / "CC-Items-2026-03-05.csv").rename(folder / "cc-ITEMS-2026-03-05.CSV")
    (folder / "Excel_CC-Items-2026-04-05.csv").write_text("x\n1\n")
    assert sources.find(folder)["items"].path.name == "cc-ITEMS-2026-03-05.CSV"


def test_a_renamed_download_is_known_by_its_headers(tmp_path):
    folder = exports(tmp_path, legacy=[{}])
    for i, kind in enumerate(("Customers", "Orders", "Items", "Invoices", "RePos")):
        (folder / filename(kind)).rename(folder / f"download{i}.csv")
    found = sources.find(folder)
    assert {k: s.path.name for k, s in found.items()} == {
        "customers": "download0.csv",
        "orders": "download1.csv",
        "items": "download2.csv",
        "invoices": "download3.csv",
        "legacy": "download4.csv",
    }


def test_a_list_of_contacts_does_not_replace_the_customers_export_but_is_told(tmp_path):
    folder = exports(tmp_path)
    (folder / "contacts.csv").write_text("Customer ID,Name\n1,Somebody\n")
    os.utime(folder / "contacts.csv", (2_000_000_000, 2_000_000_000))
    warnings = []
    assert sources.find(folder, warnings)["customers"].path.name == "CC-Customers-2026-03-05.csv"
    assert len(warnings) == 1 and "contacts.csv looks like a newer Customers export" in warnings[0]


@pytest.mark.parametrize(
    ("claimed", "real", "said"),
    [
        ("Orders", "Items", "holds Items, not Orders"),
        ("Items", "Orders", "holds Orders, not Items"),
        ("Customers", "Invoices", "holds Invoices, not Customers"),
        ("Orders", "RePos", "holds RePOS archive, not Orders"),
        ("RePos", "Orders", "holds Orders, not RePOS archive"),
    ],
)
def test_a_swapped_file_is_refused_by_name(tmp_path, claimed, real, said):
    folder = exports(tmp_path)
    write(tmp_path / "other", real, [{}]).rename(folder / filename(claimed))
    with pytest.raises(ExportError, match=said) as refused:
        sources.find(folder)
    assert filename(claimed) in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("Customers", "Name"),
        ("Customers", "Customer ID"),
        ("Orders", "Cleaned"),
        ("Orders", "Total"),
        ("Orders", "Paid"),
        ("Items", "Quantity"),
        ("Items", "Order ID"),
        ("Invoices", "Payment Date"),
        ("Invoices", "Reference"),
        ("RePos", "Placed"),
    ],
)
def test_a_missing_required_column_is_named(tmp_path, kind, column):
    folder = exports(tmp_path)
    write(folder, kind, [{}], columns=[c for c in DEFAULTS[kind] if c != column])
    with pytest.raises(ExportError) as refused:
        sources.find(folder)
    assert filename(kind) in str(refused.value) and f"column {column} is missing" in str(refused.value)


def test_one_of_two_columns_is_enough(tmp_path):
    folder = exports(tmp_path)
    write(folder, "Items", [{}], columns=[c for c in DEFAULTS["Items"] if c != "Item"])
    write(folder, "Orders", [{}], columns=[c for c in DEFAULTS["Orders"] if c != "Store ID"])
    assert set(sources.find(folder)) == {"customers", "orders", "items", "invoices"}
    write(folder, "Items", [{}], columns=[c for c in DEFAULTS["Items"] if c not in ("Item", "Section")])
    with pytest.raises(ExportError, match="column Item or Section is missing"):
        sources.find(folder)


def test_a_missing_kind_is_named_but_the_archive_may_be_absent(tmp_path):
    folder = exports(tmp_path)
    (folder / "CC-Invoices-2026-03-05.csv").unlink()
    with pytest.raises(ExportError, match="No export of Invoices"):
        sources.find(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ExportError, match="does not exist"):
        sources.find(tmp_path / "nowhere")


def _bytes(path, change):
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b"\xef\xbb\xbf" + b,
        lambda b: b.decode().encode("utf-16"),
        lambda b: b.decode().encode("utf-16-le"),
        lambda b: b.decode().encode("cp1252"),
        lambda b: b.replace(b",", b";"),
        lambda b: b.replace(b",", b"\t"),
        lambda b: b.replace(b"\r\n", b"\n"),
        lambda b: b"sep=,\r\n" + b,
        lambda b: b.rstrip(),
        lambda b: b + b"\r\n\r\n",
        lambda b: b.replace(b"Total", b" total "),
    ],
    ids=[
        "bom",
        "utf-16",
        "utf-16 without bom",
        "cp1252",
        "semicolons",
        "tabs",
        "lf",
        "sep line",
        "no last newline",
        "blank lines at the end",
        "headers in other case",
    ],
)
def test_a_csv_in_another_dress_reads_the_same(tmp_path, change):
    folder = exports(tmp_path)
    rows = [{"Status": "Zoë, Müller\nReem"}, {"Order ID": "2", "Status": 'says "fragile"'}]
    if change(b",") != b",":  # a separator changes: keep it out of the cells
        rows[0]["Status"] = "Zoë Müller\nReem"
    path = write(folder, "Orders", rows)
    plain = sources.read(sources.find(folder)["orders"], []).frame
    _bytes(path, change)
    assert sources.read(sources.find(folder)["orders"], []).frame.equals(plain)


@pytest.mark.parametrize("suffix", [".xlsx", ".parquet", ".json", ".ndjson"])
def test_other_file_formats_give_the_same_figures(tmp_path, suffix):
    folder = exports(tmp_path / "a", orders=[{"Total": "1,234.50", "Placed": "2026-01-10 09:30:00"}, {"Order ID": "2"}])
    path = folder / "CC-Orders-2026-03-05.csv"
    frame = pl.read_csv(path, infer_schema=False).with_columns(
        pl.col("Cleaned").str.to_datetime("%Y-%m-%d"), pl.col("Pieces").cast(pl.Float64), pl.col("Paid") == "1"
    )
    want = Built(folder, tmp_path / "want").rows("SELECT * FROM sales ORDER BY ALL")
    other = path.with_suffix(suffix)
    if suffix == ".xlsx":
        frame.write_excel(other)
    elif suffix == ".parquet":
        frame.write_parquet(other)
    elif suffix == ".json":
        frame.write_json(other)
    else:
        frame.write_ndjson(other)
    path.unlink()
    assert Built(folder, tmp_path / "got").rows("SELECT * FROM sales ORDER BY ALL") == want


def test_paid_date_stands_for_payment_date(tmp_path):
    folder = exports(tmp_path)
    columns = ["Paid Date" if c == "Payment Date" else c for c in DEFAULTS["Orders"]]
    write(folder, "Orders", [{"Paid Date": "2026-01-15"}], columns=columns)
    read = sources.read(sources.find(folder)["orders"], []).frame
    assert read["Payment Date"].to_list() == ["2026-01-15"]


def test_a_missing_optional_column_warns_what_suffers_and_a_new_one_is_reported_once(tmp_path):
    folder = exports(tmp_path)
    columns = [c for c in DEFAULTS["Orders"] if c != "Delivery"] + ["Loyalty Tier"]
    write(folder, "Orders", [{}, {"Order ID": "2"}], columns=columns)
    warnings = []
    frame = sources.read(sources.find(folder)["orders"], warnings).frame
    assert frame["Delivery"].to_list() == ["", ""]
    assert [w for w in warnings if "no column Delivery; this suffers: deliveries" in w]
    assert [w for w in warnings if w.endswith("new columns, not used: Loyalty Tier.")]
    assert len(warnings) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"Customer ID,Name\n", "has no rows"),
        (b"Customer ID,Name\n1,Ann\n2", "breaks off in the middle of row 3"),
        (b'Customer ID,Name\n1,Ann\n2,"Bo', "breaks off in the middle of a row"),
    ],
)
def test_an_empty_or_cut_off_file_is_refused(tmp_path, content, said):
    folder = exports(tmp_path)
    path = folder / "CC-Customers-2026-03-05.csv"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=said) as refused:
        sources.read(sources.find(folder)["customers"], [])
    assert path.name in str(refused.value)


@pytest.mark.parametrize("suffix", [".xlsx", ".parquet", ".json"])
def test_an_unreadable_file_is_refused(tmp_path, suffix):
    folder = exports(tmp_path)
    (folder / "CC-Customers-2026-03-05.csv").unlink()
    (folder / f"CC-Customers-2026-03-05{suffix}").write_bytes(b"\x00\x01 this is no such file")
    with pytest.raises(ExportError, match="cannot be read"):
        sources.find(folder)


def test_a_row_with_the_wrong_number_of_cells_is_quarantined_not_guessed(tmp_path):
    folder = exports(
        tmp_path / "exports", customers=[{}, {"Customer ID": "2", "Name": "B"}, {"Customer ID": "3", "Name": "C"}]
    )
    path = folder / "CC-Customers-2026-03-05.csv"
    lines = path.read_text().splitlines()
    lines[2] = lines[2].rsplit(",", 2)[0]  # short
    lines.insert(3, lines[1].replace("1,Amina", "4,D") + ",more")  # long
    path.write_text("\n".join(lines) + "\n")
    built = Built(folder, tmp_path / "data")
    assert built.file("customers")["quarantined"] == {"wrong number of cells": 2}
    assert built.file("customers")["loaded"] == 2
    assert built.rows("SELECT customer_id FROM customers WHERE in_export ORDER BY 1") == [("CC-0001",), ("CC-0003",)]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    folder = exports(tmp_path)
    found = sources.find(folder)
    sources.hash_sources(found)
    write(folder, "Orders", [{}, {"Order ID": "2"}])
    with pytest.raises(ExportError, match="changed while it was being read"):
        sources.read(found["orders"], [])


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("CC-Orders-2026-03-05.csv", date(2026, 3, 5)),
        ("CC-Orders-20260305 (1).csv", date(2026, 3, 5)),
        ("CC-Orders.csv", None),
        ("CC-Orders-2026-02-30.csv", None),
        ("RePos_Archive.csv", None),
    ],
)
def test_the_date_in_a_file_name(name, day):
    assert sources.date_in_name(name) == day


def test_the_newest_date_of_the_set_is_today_and_differing_dates_warn(tmp_path):
    folder = exports(tmp_path)
    (folder / "CC-Items-2026-03-05.csv").rename(folder / "CC-Items-2026-03-04.csv")
    warnings = []
    assert sources.export_date(sources.find(folder), warnings) == date(2026, 3, 5)
    assert len(warnings) == 1 and "CC-Items-2026-03-04.csv" in warnings[0]


def test_without_any_date_the_newest_order_is_today(tmp_path):
    folder = exports(tmp_path / "exports", orders=[{"Placed": "2026-02-14"}, {"Order ID": "2"}])
    for kind in ("Customers", "Orders", "Items", "Invoices"):
        (folder / filename(kind)).rename(folder / f"CC-{kind}.csv")
    built = Built(folder, tmp_path / "data")
    assert built.manifest["as_of"] == "2026-02-14"
    assert [w for w in built.manifest["warnings"] if "2026-02-14" in w]
