"""What a build moves of closed months, in words: for the page of its run and for a terminal."""

from dataclasses import dataclass, field

from analytics import formats
from analytics.access import may_whole
from analytics.dashboards import frame
from analytics.metrics import METRICS
from operations.models import RefreshRun


@dataclass(frozen=True)
class Line:
    """One figure of a month, ready to show; over: it moved by more than the limit. What has no value is a dash."""

    label: str
    before: str
    after: str
    change: str
    percent: str
    over: bool


@dataclass
class Month:
    """A month that moved: its revenue, whole and by store, and every other figure that reads otherwise than before."""

    label: str
    revenue: list[Line] = field(default_factory=list)
    others: list[Line] = field(default_factory=list)


def months(run: RefreshRun) -> list[Month]:
    """What stands in a run's `moved`, by month, the newest first."""
    found: dict[str, Month] = {}
    for row in run.moved:
        month = found.setdefault(row["month"], Month(row["label"]))
        line = _line(row)
        if row["metric"] == "revenue":
            month.revenue.append(line)
        elif line.before != line.after:
            month.others.append(line)
    return [found[name] for name in sorted(found, reverse=True)]


def over(run: RefreshRun) -> list[str]:
    """The months whose revenue moved by more than the limit: Feb 2026."""
    return list(dict.fromkeys(row["label"] for row in run.moved if row["over"]))


def waits_for(user) -> RefreshRun | None:
    """The run whose build is held, for who may decide about it; None for others, and where none is."""
    if not may_whole(user, "operations.add_refreshrun"):
        return None
    return RefreshRun.objects.filter(state=RefreshRun.State.HELD).defer("moved", "manifest").first()


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
