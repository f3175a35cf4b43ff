"""The seasons a laundry feels: Ramadan, the two Eids, UAE National Day.

The Islamic dates are calculated (Umm al-Qura calendar); the moon sighting may move them by a day, so every label of
one says "calculated".
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from hijridate import Gregorian, Hijri

# name, first Hijri month and day, last Hijri month and day (day None: the month's last)
HIJRI = (
    ("Ramadan", (9, 1), (9, None)),
    ("Eid al-Fitr", (10, 1), (10, 3)),
    ("Eid al-Adha", (12, 10), (12, 13)),
)
NATIONAL_DAY = ("UAE National Day", (12, 2), (12, 3))


@dataclass(frozen=True)
class Season:
    """A season with its first and last day, both included; `label` is what a page shows."""

    name: str
    first_day: date
    last_day: date
    label: str


@lru_cache(maxsize=256)
def seasons(first: date, last: date) -> tuple[Season, ...]:
    """Every season that touches the days from `first` to `last`, both included, in the order of their first days."""
    found = []
    # A season that began before `first` may still touch it: Ramadan is the longest, 30 days.
    start = first - timedelta(days=40)
    for hijri_year in range(Gregorian.fromdate(start).to_hijri().year, Gregorian.fromdate(last).to_hijri().year + 1):
        for name, (first_month, first_dom), (last_month, last_dom) in HIJRI:
            begin = _gregorian(hijri_year, first_month, first_dom)
            end = _gregorian(hijri_year, last_month, last_dom)
            found.append(Season(name, begin, end, f"{name}, {_span(begin, end)} (calculated)"))
    for year in range(start.year, last.year + 1):
        name, begin, end = NATIONAL_DAY[0], date(year, *NATIONAL_DAY[1]), date(year, *NATIONAL_DAY[2])
        found.append(Season(name, begin, end, f"{name}, {_span(begin, end)}"))
    touching = (s for s in found if s.first_day <= last and s.last_day >= first)
    return tuple(sorted(touching, key=lambda s: s.first_day))


def _gregorian(year: int, month: int, day: int | None) -> date:
    """The day of the Gregorian calendar; without a day the month's last."""
    if day is None:
        day = Hijri(year, month, 1).month_length()
    made = Hijri(year, month, day).to_gregorian()
    return date(made.year, made.month, made.day)


def _span(first: date, last: date) -> str:
    """18 Feb to 19 Mar 2026; the year twice where it changes."""
    start = f"{first.day} {first:%b}" + ("" if first.year == last.year else f" {first.year}")
    return f"{start} to {last.day} {last:%b %Y}"
