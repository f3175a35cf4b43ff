"""Table: the one shape of everything that pages show as rows, exports write and share links carry."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date

from analytics.formats import DASH, day, with_unit

CONTACTS = ("phone", "email")  # keys of the columns that say how to reach a customer
UNITS = ("text", "date", "count", "money", "share", "days", "ratio", "boolean", "change")


@dataclass(frozen=True)
class Column:
    """One column. unit: one of UNITS ("change" is words such as "+1.5 %"); fold: left out on a phone; long: sentences,
    which may wrap; about: a tooltip's words."""

    key: str
    label: str
    unit: str = "text"
    fold: bool = False
    long: bool = False
    about: str = ""

    @property
    def right(self) -> bool:
        """Numbers stand to the right."""
        return self.unit not in ("text", "date", "boolean")

    @property
    def css(self) -> str:
        """The classes of its cells."""
        said = {"left": not self.right, "fold": self.fold, "long": self.long}
        return " ".join(name for name, so in said.items() if so)


@dataclass(frozen=True)
class Head:
    """A column's head: the address that sorts by it, and how it is sorted now (aria-sort's words); "": it doesn't."""

    column: Column
    url: str = ""
    sorted: str = ""


@dataclass(frozen=True)
class Table:
    """Rows with typed values.

    rows: a dict a row, by the columns' keys; None: no value. A row may carry "#url" (where its first cell leads),
    "#chosen", "#id" (its anchor) and "#lines" (what opens beneath its first cell). metrics: the metrics whose
    definitions an export adds. total: how many rows there are where these are only a page of them. leads: where a page
    leads on from here, (words, address).
    """

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[dict, ...]
    note: str = ""
    metrics: tuple[str, ...] = ()
    total: int | None = None
    leads: tuple[tuple[str, str], ...] = ()

    @property
    def heads(self) -> tuple[Head, ...]:
        """The columns' heads, which sort nothing."""
        return tuple(Head(column) for column in self.columns)

    def reaching(self, contacts: Collection[str]) -> "Table":
        """The table for a reader who sees these of CONTACTS alone (access.contacts_of)."""
        hidden = set(CONTACTS) - set(contacts)
        return replace(self, columns=tuple(column for column in self.columns if column.key not in hidden))

    def cells(self, currency: str) -> list[dict]:
        """The rows as a template shows them: {url, chosen, id, lines, cells: [(column, words)]}."""
        return [
            {
                "url": row.get("#url"),
                "chosen": row.get("#chosen", False),
                "id": row.get("#id", ""),
                "lines": row.get("#lines", ()),
                "cells": [(column, words(row.get(column.key), column.unit, currency)) for column in self.columns],
            }
            for row in self.rows
        ]


def words(value, unit: str, currency: str) -> str:
    """A cell as people read it: "Dhs 25,580", "14.7 %", "5 Mar 2026"; a dash where there is no value."""
    if value is None or value == "":
        return DASH
    if unit == "date":
        return day(value) if isinstance(value, date) else str(value)
    if unit == "boolean":
        return "yes" if value else "no"
    return str(value) if unit in ("text", "change") else with_unit(value, unit, currency)
