"""What a build moves of closed months, in words: for the page of its run and for a terminal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from analytics import formats
from analytics.access import may_whole
from analytics.dashboards import frame
from analytics.metrics import METRICS
from analytics.tables import Column
from operations.models import RefreshRun

if TYPE_CHECKING:
    import polars as pl

# Of a download of all orders that move closed months: the keys of as_rows(). Before: in what was live then.
COLUMNS = (
    Column("month", "Month"), Column("order_id", "Order"), Column("what", "What changed"),
    Column("was", "Earned in it before", "money"), Column("now", "Earned in it after", "money"),
    Column("difference", "Change", "money"), Column("store", "Store before"), Column("store_after", "Store after"),
    Column("status", "Status before"), Column("status_after", "Status after"), Column("total", "Total before", "money"),
    Column("total_after", "Total after", "money"), Column("counts", "Month before"),
    Column("counts_after", "Month after"),
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One figure of a month, ready to show; over: it moved by more than the limit. What has no value is a dash."""

    label: str
    before: str
    after: str
    change: str
    percent: str
    over: bool


@dataclass(frozen=True)
class OrderLine:
    """An order that moved a month, ready to show; url: where it can be looked at, "" where it can't."""

    number: str
    url: str
    store: str
    before: str
    after: str
    change: str
    what: str


@dataclass
class Month:
    """A month that moved: its revenue, whole and by store, and every other figure that reads otherwise than before; the
    orders that moved it most, how many did in all, and in words what the rest come to ("" for no rest)."""

    label: str
    revenue: list[Line] = field(default_factory=list)
    others: list[Line] = field(default_factory=list)
    orders: list[OrderLine] = field(default_factory=list)
    all_orders: int = 0
    rest: str = ""


def months(run: RefreshRun, addresses: Mapping[str, str] = {}) -> list[Month]:
    """What stands in a run's `moved` and `moved_orders`, by month, the newest first. addresses: of orders by number."""
    found: dict[str, Month] = {}
    for row in run.moved:
        month = found.setdefault(row["month"], Month(row["label"]))
        line = _line(row)
        if row["metric"] == "revenue":
            month.revenue.append(line)
        elif line.before != line.after:
            month.others.append(line)
    for row in run.moved_orders:
        if month := found.get(row["month"]):
            month.orders = [_order_line(order, addresses.get(order["order_id"], "")) for order in row["orders"]]
            month.all_orders = row["count"]
            if more := row["count"] - len(row["orders"]):
                by = signed(row["rest"], figure(abs(row["rest"])))
                month.rest = f"and {more:,} more, together {by}"
    return [found[name] for name in sorted(found, reverse=True)]


def as_rows(orders: "pl.DataFrame") -> tuple[dict, ...]:
    """Rows of comparison.orders() for COLUMNS."""
    return tuple(
        row | {"month": _month(row["moves"]), "what": _what(row), "counts": _month(row["month"]),
               "counts_after": _month(row["month_after"])}
        for row in orders.iter_rows(named=True)
    )  # fmt: skip


def _order_line(row: dict, url: str) -> OrderLine:
    by = row["difference"]
    return OrderLine(
        row["order_id"], url, row["store_after"] or row["store"] or formats.DASH, figure(row["was"]),
        figure(row["now"]), signed(by, figure(abs(by))), _what(row),
    )  # fmt: skip


def _what(row: dict) -> str:
    """What became of an order that moved a month: "gone", "moved to Mar 2026, status Ready → Completed"."""
    words = ["subscription payment"] if "Subscription" in (row["kind"], row["kind_after"]) else []
    if row["business"] is None:  # the build hasn't it
        words.append("new")
    elif row["business_after"] is None:
        words.append("gone")
    else:
        words += [*_moved_between(row), *_changed(row)]
    return ", ".join(words)


def _moved_between(row: dict) -> list[str]:
    """Where an order counted before, or counts now, if not in this month: another month, or none."""
    if row["month"] == row["month_after"]:
        return []
    left = row["month"] == row["moves"]
    other = row["month_after"] if left else row["month"]
    if other:
        return [f"moved {'to' if left else 'from'} {_month(other)}"]
    if row["business"] != row["business_after"]:
        return ["now a business account's" if left else "no longer a business account's"]
    return ["no longer earned" if left else "not earned before"]


def _changed(row: dict) -> list[str]:
    """What else differs."""
    found = []
    if row["total"] != row["total_after"]:
        found.append(f"total {figure(row['total'])} → {figure(row['total_after'])}")
    return found + [
        f"{name} {row[name] or 'none'} → {row[f'{name}_after'] or 'none'}"
        for name in ("status", "store") if row[name] != row[f"{name}_after"]
    ]  # fmt: skip


def _month(key: str | None) -> str | None:
    """2026-02 -> Feb 2026."""
    return f"{date.fromisoformat(f'{key}-01'):%b %Y}" if key else None


def over(run: RefreshRun) -> list[str]:
    """The months whose revenue moved by more than the limit: Feb 2026."""
    return list(dict.fromkeys(row["label"] for row in run.moved if row["over"]))


def waits_for(user) -> RefreshRun | None:
    """The run whose build is held, for who may decide about it; None for others, and where none is."""
    if not may_whole(user, "operations.add_refreshrun"):
        return None
    return RefreshRun.objects.filter(state=RefreshRun.State.HELD).defer("moved", "moved_orders", "manifest").first()


def listed(names: list[str], most: int = 6) -> str:
    """"Feb 2026, Jan 2026 and Dec 2025"; of very many the first and how many more."""
    shown = names if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more months"]
    return " and ".join(", ".join(shown).rsplit(", ", 1))


def _line(row: dict) -> Line:
    metric = METRICS.get(row["metric"])
    label, unit = (metric.label, metric.unit) if metric else (row["metric"], "ratio")  # a figure that is no more
    label = f"{label}, {row['store']}" if row["store"] else label
    before, after = row["before"], row["after"]
    change = percent = formats.DASH
    if before is not None and after is not None:
        by = after - before
        points = f"{formats.number(abs(by) * 100, 2)} points"
        change = signed(by, points if unit == "share" else figure(abs(by), unit))
        if unit != "share" and before:
            percent = signed(by, f"{formats.number(abs(by / before) * 100, 2)} %")
    if row["store"]:
        share = row["share"]
        percent = formats.DASH if share is None else signed(share, f"{formats.number(abs(share), 2)} % of the month")
    return Line(label, figure(before, unit), figure(after, unit), change, percent, row["over"])


def figure(value: float | None, unit: str = "money") -> str:
    """As on every page, but money to the fils: that is what is compared."""
    if unit == "money" and value is not None:
        return f"{frame.currency()} {formats.number(value, 2)}"
    return formats.with_unit(value, unit, frame.currency())


def signed(value: float, words: str) -> str:
    return ("+" if value > 0 else formats.MINUS if value < 0 else "") + words
