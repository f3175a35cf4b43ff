"""Tiny exports for tests: a file of each kind, each row given by what matters in it, the rest sensible."""

import csv
import io
from pathlib import Path

from etl import pipeline
from etl.landing import open_kept
from etl.warehouse import Warehouse

DAY = "2026-03-05"
DEFAULTS = {
    "Customers": {
        "Customer ID": "1", "Name": "Amina Haddad", "Phone": "+971500000001", "Email": "amina@example.com",
        "Signed Up Date": "2025-11-03", "Route #": "2", "Business ID": "", "Store ID": "36319",
        "Store Name": "Moon Walk - AD",
    },
    "Orders": {
        "Order ID": "1001", "Customer ID": "1", "Store ID": "36319", "Store Name": "Moon Walk - AD",
        "Placed": "2026-01-10", "Ready By": "", "Cleaned": "2026-01-12", "Collected": "", "Pickup Date": "",
        "Delivery": "0", "Pieces": "4", "Total": "40.00", "Paid": "1", "Payment Type": "Cash", "Payment Date": "",
        "Status": "Completed",
    },
    "Items": {
        "Order ID": "1001", "Customer ID": "1", "Store ID": "36319", "Placed": "2026-01-10", "Item": "Shirt",
        "Section": "Wash & Press", "Quantity": "2", "Total": "20.00", "Express": "0",
    },
    "Invoices": {
        "Invoice ID": "20001", "Customer": "Amina Haddad", "Reference": "INV-1", "Amount": "15.00",
        "Payment Date": "2026-01-20", "Payment Method": "Stripe", "Store ID": "36319",
        "Store Name": "Moon Walk - AD", "Status": "Paid",
    },
    "RePos": {
        "Order ID": "R-10001", "Customer ID": "7", "Customer": "Omar Aziz", "Placed": "2024-05-01", "Total": "25.00",
        "Store ID": "36319", "Store Name": "", "Ready By": "", "Cleaned": "2024-05-03", "Collected": "",
        "Pickup Date": "", "Payment Type": "Cash", "Paid": "0", "Pieces": "3", "Delivery": "0", "Operator": "till-1",
    },
}  # fmt: skip


def filename(kind: str, day: str = DAY) -> str:
    return "RePos_Archive.csv" if kind == "RePos" else f"CC-{kind}-{day}.csv"


def write(folder: Path, kind: str, rows: list[dict], day: str = DAY, columns: list[str] | None = None) -> Path:
    """One CSV; each row's own values over the defaults."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = columns or list(DEFAULTS[kind])
    path = folder / filename(kind, day)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(DEFAULTS[kind] | row for row in rows)
    return path


def exports(folder: Path, customers=({},), orders=({},), items=({},), invoices=({},), legacy=None, day=DAY) -> Path:
    """A folder with the four exports, and the archive where `legacy` has rows."""
    write(folder, "Customers", list(customers), day)
    write(folder, "Orders", list(orders), day)
    write(folder, "Items", list(items), day)
    write(folder, "Invoices", list(invoices), day)
    if legacy is not None:
        write(folder, "RePos", list(legacy))
    return folder


def quarantined_rows(path: Path, key: str | None = None) -> list[dict]:
    """The rows of a quarantine file: file, row, rule, then the export's own columns."""
    return list(csv.DictReader(io.StringIO(open_kept(path, key).decode("utf-8-sig"), newline="")))


class Built:
    """A build over tiny exports, open for questions."""

    def __init__(self, folder: Path, data_dir: Path, **how):
        self.build = pipeline.build(folder, data_dir, **how)
        self.manifest = self.build.manifest
        self.warehouse = Warehouse(data_dir / "warehouse", how.get("key"))
        self.con = self.warehouse.connect(self.build.build_id)

    def rows(self, sql: str) -> list[tuple]:
        return self.con.execute(sql).fetchall()

    def one(self, sql: str):
        return self.rows(sql)[0][0]

    def file(self, kind: str) -> dict:
        return self.manifest["files"][kind]
