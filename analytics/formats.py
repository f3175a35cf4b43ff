"""How figures read on a page: `Dhs 25,580`, `14.7 %`, `2.1 days`; a dash where there is no value."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.utils import timezone

DASH = "–"
MINUS = "\N{MINUS SIGN}"
UP, DOWN, LEVEL = "\N{BLACK UP-POINTING TRIANGLE}", "\N{BLACK DOWN-POINTING TRIANGLE}", "\N{BLACK CIRCLE}"

Number = int | float | Decimal | None


def day(value: date) -> str:
    """5 Mar 2026"""
    return f"{value.day} {value:%b %Y}"


def moment(at: datetime) -> str:
    """5 Mar 2026, 09:05, on the business's clock; without a zone it is by that clock already."""
    local = timezone.localtime(at) if at.tzinfo else at
    return f"{day(local)}, {local:%H:%M}"


def many(n: int, one: str, more: str = "") -> str:
    """1 message, 1,200 messages; `more` where the plural has no bare s: 2 people."""
    return f"{n:,} {one if n == 1 else more or f'{one}s'}"


def person(user) -> str:
    """What a member of staff is called on a page; "" for nobody."""
    return (user.get_full_name() or user.get_username()) if user else ""


def number(value: Number, places: int = 0) -> str:
    """3103 -> "3,103"; None -> a dash; never "-0"."""
    if value is None:
        return DASH
    text = f"{abs(value):,.{places}f}"
    return (MINUS if value < 0 and text.strip("0.,") else "") + text


def figure(value: Number, unit: str) -> str:
    """A value without its unit's sign, as precise as a reader needs: small money and ratios keep two places.

    `unit` is one of METRICS' units: count, money, share, days, ratio. A share 0.147 reads "14.7".
    """
    if value is None:
        return DASH
    if unit == "share":
        return number(value * 100, 1)
    places = {"count": 0, "days": 1, "ratio": 2}.get(unit)
    return number(value, (2 if 0 < abs(value) < 100 else 0) if places is None else places)


def before(unit: str, currency: str) -> str:
    """What stands before a value of this unit: the currency's word for money, else nothing."""
    return currency if unit == "money" else ""


def after(unit: str) -> str:
    """What stands after a value of this unit."""
    return {"share": "%", "days": "days"}.get(unit, "")


def with_unit(value: Number, unit: str, currency: str) -> str:
    """25580.2, "money" -> "Dhs 25,580"; 0.147, "share" -> "14.7 %"; no value -> a dash alone."""
    if value is None:
        return DASH
    return " ".join(part for part in (before(unit, currency), figure(value, unit), after(unit)) if part)


@dataclass(frozen=True)
class Change:
    """How a figure moved against a base, ready to show.

    percent: "+2.1 %" (of a share "+2.1 pp", points of percent), or a dash when there is no base; arrow: up, down or
    level; css: up (good), down (bad), level; word: better, worse, up, down or same; base: "Jan 2026"; base_value:
    "Dhs 25,200"; why: the reason of a dash.
    """

    base: str
    percent: str = DASH
    arrow: str = ""
    css: str = "level"
    word: str = ""
    base_value: str = ""
    why: str = ""

    @property
    def said(self) -> str:
        """The change for a hover or a screen reader: "+2.1 % on Jan 2026"; empty without a base."""
        return "" if self.why else f"{self.percent} on {self.base}"


def change(now: Number, then: Number, base: str, unit: str, currency: str, better: str | None) -> Change:
    """The change from `then` (the value of the period called `base`) to `now`; `better` is up, down or None."""
    if now is None:
        return Change(base, why="There is no value for this period.")
    if then is None:
        return Change(base, why=f"There is no value for {base} to compare with.")
    if unit == "share":
        return _points(now, then, base, better)
    if not then:
        return Change(base, why=f"It was 0 in {base}, so there is nothing to compare with.")
    ratio = (float(now) - float(then)) / abs(float(then)) * 100
    places = 0 if abs(ratio) >= 100 else 1
    rounded = round(ratio, places)
    shown = with_unit(then, unit, currency)
    return _moved(rounded, f"{number(abs(rounded), places)} %", base, better, shown)


def _points(now: Number, then: Number, base: str, better: str | None) -> Change:
    """The change of a share, in points of percent: 40 % to 50 % is +10.0 pp and no "25 % more"."""
    moved = round((float(now) - float(then)) * 100, 1)
    return _moved(moved, f"{number(abs(moved), 1)} pp", base, better, with_unit(then, "share", ""))


def _moved(by: float, words: str, base: str, better: str | None, shown: str) -> Change:
    if not by:
        return Change(base, words, LEVEL, "level", "same", shown)
    up = by > 0
    text = f"{'+' if up else MINUS}{words}"
    if better is None:
        return Change(base, text, UP if up else DOWN, "level", "up" if up else "down", shown)
    good = up == (better == "up")
    return Change(base, text, UP if up else DOWN, "up" if good else "down", "better" if good else "worse", shown)
