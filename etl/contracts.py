"""What a row of each export must be, once parsed: one dataframely schema an export, which is also its staged table.

A row that breaks a rule goes to quarantine under the first rule it broke, in the order of RULES. Columns ending in
`_ok` say whether a cell could be read; they are there for the rules and are dropped afterwards.
Numbers `order_no` and `customer_no` are the IDs' digits (orders: with the store's number above them), so that tables
join on integers; the standard IDs are made from them.
"""

import dataframely as dy
import polars as pl

MONEY = {"precision": 12, "scale": 2}

# dataframely's name of a rule -> what the manifest, the run page and the quarantine file call it.
# Of several broken rules the first here is blamed.
RULES = {
    "whole_row": "wrong number of cells",
    "order_no|nullability": "no order ID",
    "customer_no|nullability": "no customer",
    "placed_readable": "unreadable Placed",
    "cleaned_readable": "unreadable Cleaned",
    "payment_date_readable": "unreadable Payment Date",
    "total_readable": "unreadable Total",
    "amount_readable": "unreadable Amount",
    "quantity_readable": "unreadable Quantity",
    "paid_readable": "unreadable Paid",
    "placed_possible": "Placed out of range",
    "cleaned_possible": "Cleaned out of range",
    "payment_date_possible": "Payment Date out of range",
}
UNKNOWN_NAME = "unknown customer name"


class Row(dy.Schema):
    """What every export's rows have: `row`, the number a spreadsheet shows; `cells_ok`, as many cells as columns."""

    row = dy.UInt32()
    cells_ok = dy.Bool()

    @dy.rule()
    def whole_row(cls) -> pl.Expr:
        return pl.col("cells_ok")


class Customers(Row):
    """One row a customer of the Customers export."""

    customer_no = dy.Int64(nullable=False)
    name = dy.String(nullable=True)
    phone = dy.String(nullable=True)
    email = dy.String(nullable=True)
    store = dy.String(nullable=True)
    route = dy.Int32(nullable=True)
    signed_up = dy.Date(nullable=True)
    b2b = dy.Bool()


class Placed(Row):
    """What has been placed on a day: orders of both systems and item rows. Money in the business's currency."""

    order_no = dy.Int64(nullable=False)
    customer_no = dy.Int64(nullable=False)
    store = dy.String()
    placed = dy.Date(nullable=True)
    total = dy.Decimal(nullable=True, **MONEY)
    placed_ok = dy.Bool()
    placed_in_range = dy.Bool(nullable=True)
    total_ok = dy.Bool()

    @dy.rule()
    def placed_readable(cls) -> pl.Expr:
        return pl.col("placed_ok")

    @dy.rule()
    def placed_possible(cls) -> pl.Expr:
        return pl.col("placed_in_range")

    @dy.rule()
    def total_readable(cls) -> pl.Expr:
        return pl.col("total_ok")


class Orders(Placed):
    """One row an order, of CleanCloud or of the old system."""

    cleaned = dy.Date(nullable=True)
    ready_by = dy.Date(nullable=True)
    collected = dy.Date(nullable=True)
    pickup_date = dy.Date(nullable=True)
    payment_date = dy.Date(nullable=True)
    delivery = dy.Bool(nullable=True)
    pieces = dy.Int32(nullable=True)
    paid = dy.Bool(nullable=True)
    payment_type = dy.String()
    status = dy.String(nullable=True)
    name = dy.String(nullable=True)
    cleaned_ok = dy.Bool()
    cleaned_in_range = dy.Bool(nullable=True)
    paid_ok = dy.Bool()

    @dy.rule()
    def cleaned_readable(cls) -> pl.Expr:
        return pl.col("cleaned_ok")

    @dy.rule()
    def cleaned_possible(cls) -> pl.Expr:
        return pl.col("cleaned_in_range")

    @dy.rule()
    def paid_readable(cls) -> pl.Expr:
        return pl.col("paid_ok")


class Items(Placed):
    """One row an item line. `quantity` in pieces (or kg, where sold so)."""

    item = dy.String(nullable=True)
    section = dy.String(nullable=True)
    item_category = dy.String()
    service_type = dy.String()
    quantity = dy.Decimal(nullable=True, **MONEY)
    express = dy.Bool(nullable=True)
    orphan = dy.Bool()
    quantity_ok = dy.Bool()

    @dy.rule()
    def quantity_readable(cls) -> pl.Expr:
        return pl.col("quantity_ok")


class Invoices(Row):
    """One row an invoice: a subscription payment, or money collected for invoiced orders."""

    invoice_id = dy.String(nullable=True)
    name_key = dy.String()
    reference = dy.String()
    subscription = dy.Bool()
    store = dy.String()
    payment_date = dy.Date(nullable=True)
    amount = dy.Decimal(nullable=True, **MONEY)
    payment_type = dy.String()
    payment_date_ok = dy.Bool()
    payment_date_in_range = dy.Bool(nullable=True)
    amount_ok = dy.Bool()

    @dy.rule()
    def payment_date_readable(cls) -> pl.Expr:
        return pl.col("payment_date_ok")

    @dy.rule()
    def payment_date_possible(cls) -> pl.Expr:
        return pl.col("payment_date_in_range")

    @dy.rule()
    def amount_readable(cls) -> pl.Expr:
        return pl.col("amount_ok")
