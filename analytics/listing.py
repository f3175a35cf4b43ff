"""A Table on a page of its own: sorted by its heads' links, leafed through, found in, each state an address."""

from collections.abc import Callable
from dataclasses import dataclass

from analytics.tables import Column, Table

PAGE = 50  # rows


@dataclass(frozen=True)
class Head:
    """A column's head: the address that sorts by it, and how it is sorted now (aria-sort's words)."""

    column: Column
    url: str
    sorted: str = ""


@dataclass(frozen=True)
class Listing:
    """A page of a Table as a template shows it. `counted`: "1 to 50 of 126"; before, after: addresses or ""."""

    table: Table
    heads: tuple[Head, ...]
    counted: str
    before: str
    after: str


def read_sort(text: str, columns, usual: str) -> tuple[str, bool]:
    """(column, descending) that "revenue" or "-revenue" names; the usual one for a column that isn't there."""
    name = text.removeprefix("-")
    if name not in columns:
        text, name = usual, usual.removeprefix("-")
    return name, text.startswith("-")


def read_page(text: str) -> int:
    """The number of a page, from 1; 1 for what is no such number."""
    return int(text) if text.isdecimal() and 0 < len(text) < 8 and int(text) else 1


def listing(table: Table, url: Callable[..., str], sort: str, descending: bool, page: int, size: int = PAGE) -> Listing:
    """`table` holds the rows of one page, table.total of all; url(sort=..., p=...) is the address of another state."""
    heads = []
    for column in table.columns:
        here = column.key == sort
        falling = not descending if here else column.right or column.unit == "date"
        heads.append(
            Head(
                column,
                url(sort=f"{'-' if falling else ''}{column.key}", p=None),
                ("descending" if descending else "ascending") if here else "",
            )
        )
    first = (page - 1) * size + 1
    last = first + len(table.rows) - 1
    total = len(table.rows) if table.total is None else table.total
    return Listing(
        table,
        tuple(heads),
        f"{first:,} to {last:,} of {total:,}" if total > len(table.rows) else "",
        url(p=str(page - 1) if page > 2 else None) if page > 1 else "",
        url(p=str(page + 1)) if last < total else "",
    )
