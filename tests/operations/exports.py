"""A laundry of three customers: exports small enough to know every row by heart.

As written: Dana Haddad (CC-0001, Moon Walk, route 2) and Omar Saleh (CC-0002, Hielo, route 7); orders M-00101 (paid),
M-00102 (not paid) and H-00201; order M-00103 names customer 3, whom the Customers export does not know.
"""

import os
import time
from pathlib import Path

DAY = "2026-03-05"
CUSTOMERS = {
    1: "1,Dana Haddad,36319,Moon Walk,2025-01-10,2,,+971 50 000 0001,dana@example.com",
    2: "2,Omar Saleh,38516,Hielo,2025-02-11,7,,+971 50 000 0002,omar@example.com",
}
ORDERS = {
    101: "101,1,36319,Moon Walk,2026-02-01,2026-02-04,2026-02-03,2026-02-05,,1,4,50.25,1,Cash,2026-02-05,Completed",
    102: "102,1,36319,Moon Walk,2026-02-10,2026-02-14,2026-02-12,,2026-02-10,0,2,20.00,0,,,Ready",
    103: "103,3,36319,Moon Walk,2026-02-20,2026-02-24,2026-02-23,,,0,1,15.00,0,,,Ready",
    201: "201,2,38516,Hielo,2026-02-15,2026-02-18,2026-02-17,2026-02-19,,0,3,30.00,1,Card,2026-02-19,Completed",
}


def write(folder: Path, customers: dict = CUSTOMERS, orders: dict = ORDERS, day: str = DAY) -> Path:
    """Write a set of exports into `folder` (replacing the set in it) and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("CC-*.csv"):
        old.unlink()
    tables = {
        "Customers": ("Customer ID,Name,Store ID,Store Name,Signed Up Date,Route #,Business ID,Phone,Email",
                      customers.values()),
        "Orders": ("Order ID,Customer ID,Store ID,Store Name,Placed,Ready By,Cleaned,Collected,Pickup Date,Delivery,"
                   "Pieces,Total,Paid,Payment Type,Payment Date,Status", orders.values()),
        "Items": ("Order ID,Customer ID,Store ID,Placed,Item,Section,Quantity,Total,Express",
                  [f"{n},{row.split(',')[1]},{row.split(',')[2]},{row.split(',')[4]},Shirt,Wash and Press,2,10.00,0"
                   for n, row in orders.items()]),
        "Invoices": ("Customer,Reference,Amount,Payment Date,Payment Method,Store ID,Store Name",
                     ["Dana Haddad,SUBSCRIPTION Gold,300.00,2026-02-01,Stripe,36319,Moon Walk"]),
    }  # fmt: skip
    for kind, (header, rows) in tables.items():
        (folder / f"CC-{kind}-{day}.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def settled(folder: Path, seconds: float = 3600) -> Path:
    """Let all files of a folder be written so long ago."""
    for path in folder.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)
    return folder
