"""A Table on a page of its own: sorted by its heads' links, leafed through, found in, each state an address."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode

from analytics import exports
from analytics.dashboards import frame
from analytics.tables import Head, Table

PAGE = 50  # rows
FIND = 80  # characters that are sought


@dataclass(frozen=True)
class Place(ABC):
    """Where a reader is in such a table: the frame's state, what is sought, the column sorted by ("-revenue": falling)
    and the page. A kind of page adds parameters of its own; `anchor`: where on the page its table begins."""

    state: frame.State
    search: str
    sort: str
    page: int
    anchor: ClassVar[str] = ""

    @staticmethod
    def read(params: Mapping[str, str]) -> dict:
        """What an address says of search, sort and page."""
        return {
            "search": params.get("q", "").strip()[:FIND],
            "sort": params.get("sort", "")[:40],
            "page": read_page(params.get("p", "")),
        }

    @property
    @abstractmethod
    def own(self) -> dict[str, str]:
        """The parameters of this kind of page, those at their usual value empty."""

    @abstractmethod
    def address(self, form: str) -> str:
        """The path of this place, or of its file in a form."""

    @property
    def params(self) -> dict[str, str]:
        """The URL's parameters, those at their usual value left out."""
        said = self.own | {"q": self.search, "sort": self.sort, "p": str(self.page) if self.page > 1 else ""}
        return {k: v for k, v in said.items() if v}

    def url(self, form: str = "", **other: str | None) -> str:
        """The address of this place, or of one that differs; None leaves a parameter out. form: as a file."""
        return f"{self.address(form)}?{urlencode({k: v for k, v in (self.params | other).items() if v})}"

    def table_url(self, **other: str | None) -> str:
        """url(), at the table."""
        return f"{self.url(**other)}{self.anchor}"

    def context(self) -> dict:
        """What templates of all such pages need: see analytics/find.html, analytics/narrowed.html."""
        return {
            "here": self.state.dashboard.page,
            "place": self,
            "state": self.state,
            "says": frame.tell(self.state),
            "chips": [chip | {"url": self.url(**{chip["name"]: None}, p=None)} for chip in self.state.chips],
            "searched": [(k, v) for k, v in self.params.items() if k not in ("q", "p")],
            "clear": self.table_url(q=None, p=None) if self.search else "",
            "exports": exports.links(lambda form: self.url(form=form, p=None)),
        }


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
