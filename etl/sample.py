"""Seeded, realistic exports of an invented laundry, at any scale.

`make_exports` writes the five files a refresh reads (`CC-Customers-...`, `CC-Orders-...`, `CC-Items-...`,
`CC-Invoices-...`, `RePos_Archive.csv`) with the columns, date formats and known gaps of the real ones.
One set serves the demo, the tests and the benchmark. At scale 1 it is about 37,000 rows.

How the history comes about: each month some customers are new; how likely a customer is to return depends on the age of
the relationship and on whether they are a regular; every active customer places orders on days drawn by season,
weekday and the Islamic calendar; orders get item lines from a price list, and their total is the sum of those lines.
Everything is drawn for whole months first and cut at `until` last, so that within a month tomorrow's exports are
today's plus one day: the same orders, a little further on (cleaned, collected, paid).

Plain numpy and Polars, whole columns at a time. Nothing here reads the clock apart from the default of `until`.
All names are put together from word lists, phones are not assignable numbers, e-mails end in example.com.
"""

import datetime as dt
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from hijridate import Gregorian, Hijri

from etl.errors import MoonwalkError

EPOCH = dt.date(1970, 1, 1)
EXCEL_DAY_0 = dt.date(1899, 12, 30)
MONTHS_OF_HISTORY = 26

FILES = ("customers", "orders", "items", "invoices", "legacy")
COLUMNS = {
    "customers": "Customer ID,Name,Phone,Email,Address,Signed Up Date,Route #,Business ID,Store ID,Store Name,"
    "Loyalty Points",
    "orders": "Order ID,Placed,Customer ID,Customer,Store ID,Store Name,Status,Notes,Ready By,Cleaned,Collected,"
    "Pickup Date,Delivery,Pieces,Total,Paid,Payment Type,Payment Date",
    "items": "Order ID,Store ID,Customer ID,Customer,Custom ID,Email,Phone,Address,Placed,Item ID,Item,Section ID,"
    "Section,Product ID,Quantity,Price per Item,Total,Express,Pieces per Product,Item Notes,Order Status",
    "invoices": "Invoice ID,Customer,Reference,Amount,Store ID,Store Name,Payment Date,Payment Method,Status",
    "legacy": "Order ID,Customer ID,Customer,Placed,Total,Store ID,Store Name,Ready By,Cleaned,Collected,Pickup Date,"
    "Payment Type,Paid,Pieces,Delivery,Operator",
}
COLUMNS = {kind: names.split(",") for kind, names in COLUMNS.items()}

# ---------------------------------------------------------------------------------------------- words


def _words(text: str) -> list[str]:
    return text.split(", ")


FIRST_NAMES = _words(
    "Abdulla, Adnan, Ahmed, Aisha, Ali, Amina, Ana, Anil, Anna, Anne-Marie, Bilal, Carlos, Chen, Chloe, Dana, "
    "Daniel, David, Deepa, Elena, Emma, Ethan, Faisal, Farah, Fatima, Grace, Hamad, Hassan, Hessa, Huda, Imran, "
    "Ivan, James, Jassim, John, Jose, José, Karim, Kenji, Khalid, Lakshmi, Layla, Liam, Lina, Lucas, Mansour, "
    "Maria, Mariam, Mary, Maryam, Mei, Mia, Mohammed, Mona, Noah, Noura, Olga, Olivia, Omar, Paul, Peter, Priya, "
    "Rahul, Rashid, Reem, Rosa, Ruth, Saeed, Salem, Samuel, Sana, Sara, Shamma, Sophia, Sultan, Sunita, Suresh, "
    "Tariq, Vikram, Wei, Yousef, Yuki, Zainab, Zoë"
)
MIDDLE_NAMES = _words("Anne, Dev, Hilal, Juma, Kumar, Lee, Majid, Matar, Obaid, Rosa, Saif, Sultan")
LAST_NAMES = _words(
    "Al-Ameri, Al-Dhaheri, Al-Hammadi, Al-Hosani, Al-Kaabi, Al-Ketbi, Al-Mansoori, Al-Marzooqi, Al-Mazrouei, "
    "Al-Nuaimi, Al-Qubaisi, Al-Romaithi, Al-Shamsi, Al-Suwaidi, Al-Zaabi, Bautista, Begum, Bianchi, Bin-Rashid, "
    "Brown, Chaudhry, Costa, Cruz, D'Souza, Darwish, Dupont, Evans, Farouk, Fernandes, Garcia, Gupta, Haddad, "
    "Hossain, Hussain, Ibrahim, Islam, Ivanov, Iyer, Johnson, Khan, Khoury, Kim, Kowalski, Kumar, Lee, Lefèvre, "
    "Li, Liu, MacDonald, Mahmoud, Malik, Mendoza, Menon, Müller, Nair, Nasser, Nguyen, Novak, O'Brien, O'Connor, "
    "O'Neill, Park, Patel, Pereira, Petrov, Qureshi, Rahman, Ramos, Reddy, Reyes, Roberts, Rossi, Saleh, Santos, "
    "Sato, Schröder, Sharma, Siddiqui, Silva, Singh, Smith, Suzuki, Tanaka, Taylor, Thomas, Torres, Tran, Walker, "
    "Wang, Wilson, Wright, Youssef, Zhang, de la Cruz, van der Berg"
)

# item, section, section id, share of lines, Dhs a piece. Spellings vary the way tills do.
PRODUCTS = [
    ("Shirt", "Wash & Press", 90, 1664, 5.5),
    ("Kandura", "Wash & Press", 90, 1578, 7.0),
    ("Trouser", "Laundry", 90, 828, 6.0),
    ("T-Shirt", "Wash & Press", 90, 793, 4.5),
    ("Kandoora White", "Wash & Press", 90, 633, 7.0),
    ("Ghutra", "Wash & Press", 90, 614, 4.5),
    ("Abaya", "Wash & Iron", 90, 544, 9.0),
    ("Suit 2pc", "Dry Cleaning", 91, 535, 19.0),
    ("Towel", "Wash & Fold", 90, 528, 3.5),
    ("Kandura", "Press Only", 92, 459, 4.5),
    ("Shirt", "Press Only", 92, 454, 3.5),
    ("Abaya - Embroidered", "Dry Cleaning", 91, 435, 15.0),
    ("Bed Sheet - King", "Wash & Press", 90, 433, 8.0),
    ("Dress", "Dry Cleaning", 91, 423, 16.0),
    ("Pillow Case", "Wash & Press", 90, 416, 3.0),
    ("Polo", "Laundry", 90, 405, 5.0),
    ("Blazer", "Dry Cleaning", 91, 352, 12.0),
    ("Socks", "Wash & Fold", 90, 344, 2.0),
    ("Duvet Cover", "Laundry", 90, 343, 11.0),
    ("Jacket", "Dry Clean", 91, 310, 12.0),
    ("Trouser", "Press Only", 92, 266, 3.5),
    ("Jumper", "LAUNDRY", 90, 265, 7.0),
    ("Pillowcase", "Laundry", 90, 257, 3.0),
    ("Baby Clothes (kg)", "Laundry by the kg", 90, 232, 9.0),
    ("Underwear", "Wash&Press", 90, 231, 2.0),
    ("Evening Gown", "DRY CLEANING", 91, 223, 28.0),
    ("Sheyla", "Dry Cleaning", 91, 215, 6.0),
    ("Bathrobe", "Wash & Fold", 90, 214, 7.0),
    ("School Uniform", "wash & press", 90, 205, 6.0),
    ("Jalabeya", "Dry Cleaning", 91, 190, 14.0),
    ("Silk Blouse", "Dry  Cleaning", 91, 179, 11.0),
    ("Abaya", "Ironing", 92, 177, 6.0),
    ("Suit 3 pc", "Dry Cleaning", 91, 176, 25.0),
    ("Shoe Cleaning", "Shoe Care", 93, 162, 22.0),
    ("Pants", "Iron Only", 92, 138, 3.5),
    ("Trouser Shortening", "Alterations & Tailoring", 93, 135, 14.0),
    ("Bisht", "Dry-Clean", 91, 128, 24.0),
    ("Carpet (sqm)", "Carpet Cleaning", 93, 122, 13.0),
    ("Hijab", "Dry Cleaning", 91, 120, 5.0),
    ("Comforter", "Dry Clean & Press", 91, 117, 26.0),
    ("Table Cloth", "Laundry", 90, 112, 8.0),
    ("Saree", "Press Only", 92, 107, 9.0),
    ("Tie", "DryCle", 91, 107, 6.0),
    ("Blanket", "Bed Sheets & Linen Wash", 90, 106, 18.0),
    ("Delivery Fee", "Fees", 93, 105, 8.0),
    ("Wool Coat", "Dry Clean", 91, 102, 23.0),
    ("Curtain (per panel)", "Laundry", 90, 100, 17.0),
    ("Kandura Shirt", "Wash & Press", 90, 98, 7.0),
    ("Top", "Steam Press", 92, 93, 4.5),
    ("Zip Replacement", "Alterations", 93, 93, 13.0),
    ("Gown", "Express Service", 92, 91, 17.0),
    ("Laptop Bag", "Wash & Fold", 90, 91, 14.0),
    ("Sneakers (shoes)", "Shoe Care", 93, 89, 20.0),
    ("Miscellaneous", "Misc.", 93, 61, 7.0),
    ("Bag Cleaning", "Leather Care", 93, 61, 24.0),
    ("Thobe", "Dry Cleaning", 91, 59, 10.0),
    ("Laundry Bag Suit", "Dry Clean / Wash", 91, 57, 12.0),
    ("Carpet", "Dry Clean", 91, 55, 21.0),
    ("Kimono", "Press-Only", 92, 55, 7.0),
    ("Swimsuit Cover", "Dry Cleaning", 91, 53, 7.0),
    ("Bed Sheet", "Pressing", 92, 52, 5.0),
    ("Manto", "Dry Cleaning", 91, 51, 16.0),
    ("Button", "Tailor's Desk", 93, 46, 4.0),
    ("Manto", "Press Only", 92, 42, 6.0),
    ("Stuffed Toy", "Dry/Cleaning", 93, 40, 9.0),
    ("Kandura Collar Fix", "Alteration", 93, 29, 10.0),
    ("Sofa Cover", "Upholstery", 93, 29, 27.0),
]
SERVICES, SERVICE_SHARES = (90, 91, 92, 93), (0.62, 0.22, 0.11, 0.05)  # wash, dry clean, press, other: section ids
TRADITIONAL = ("kandura", "kandoora", "thobe", "abaya", "sheyla", "hijab", "ghutra", "jalabeya", "bisht")
PRICE_LEVEL = 0.85  # brings the list to about Dhs 8 a piece once quantities, express and spread are in

STORES = {"36319": "Moon Walk - AD", "38516": "Hielo Laundry"}
OTHER_STORE = "40001"
ROUTES, ROUTE_SHARES = ("1", "2", "0", "3", "4", "6", "5", "7", "8", "9", None), (
    0.179, 0.173, 0.153, 0.132, 0.073, 0.062, 0.062, 0.048, 0.039, 0.025, 0.054)  # fmt: skip
PAID_BY = {
    "Cash": 1601, "Card Terminal": 1557, "Bank Transfer / Stripe": 958, "Stripe": 476, "Card": 377, "TERMINAL": 191,
    "Bank Transfer": 168, "stripe link": 123, "cash": 121, "Invoice": 109, "Credit": 73, "Card on file (Stripe)": 65,
    "Loyalty Points": 61, "Cash + Card": 50, "Cheque": 49, "Invoice (Bank Transfer)": 48, "Online": 44,
}  # fmt: skip
INVOICE_METHODS = {
    "Stripe": 89, "Bank Transfer": 71, "Card Terminal": 56, "Cash": 37, "Cheque": 18, "Other": 14,
}  # fmt: skip
ORDER_NOTES = ("no starch, fold", 'hang "only"', "call before delivery, gate 2", "starch: light")
ITEM_NOTES = ("stain, collar", 'says "fragile"', "missing button", 'customer: "cold wash, please"')
SUBSCRIPTIONS = (
    "SUBSCRIPTION-FAMILY",
    "Subscription - Gold",
    "subscription renewal",
    "SUBSCRIPTION 299",
    "Subscription",
)

# ---------------------------------------------------------------------------------------------- rates

SEASON = (1.03, 1.02, 1.00, 1.00, 0.99, 0.94, 0.85, 0.80, 0.94, 1.03, 1.06, 1.10)  # Jan..Dec: summer away, winter peak
WEEKDAY = (1.00, 0.97, 1.03, 0.96, 0.52, 1.45, 0.99)  # Mon..Sun: Friday half, Saturday full
GROWTH_A_YEAR = 1.10
HOURS = (5, 7, 8, 8, 7, 6, 5, 6, 8, 10, 11, 9, 7, 3)  # orders placed by hour, 8:00 to 21:00
LINES = (0.20, 0.325, 0.255, 0.14, 0.053, 0.02, 0.005, 0.0013, 0.0007)  # orders with 1, 2 ... 9 item lines
QUANTITIES = (0.39, 0.362, 0.167, 0.056, 0.013, 0.004, 0.008)  # pieces a line: 1..6, last: a big lot


@dataclass(frozen=True)
class Habits:
    """How the customers of one system come and come back. Chances are by months since the first, the last for later."""

    regulars: tuple[float, float]  # share of regulars among the first arrivals, and among later ones
    regular: tuple[float, ...]  # chance of a regular to be active
    casual: tuple[float, ...]
    more_regular: float  # mean orders a month beyond the first
    more_casual: float


CLEANCLOUD = Habits(
    (0.18, 0.035),
    (1, 0.86, 0.84, 0.82, 0.80, 0.78, 0.76, 0.75, 0.74, 0.73, 0.72, 0.71),
    (1, 0.44, 0.185, 0.095, 0.055, 0.045),
    3.65,
    1.0,
)
REPOS = Habits(
    (0.20, 0.012),
    (1, 0.82, 0.82, 0.81, 0.80, 0.79, 0.78, 0.78, 0.77, 0.76, 0.75, 0.74),
    (1, 0.33, 0.22, 0.165, 0.14, 0.12),
    5.2,
    1.30,
)
DATE_MIX_CC = (0.58, 0.07, 0.265, 0.025, 0.005, 0.012, 0.033, 0.01)
DATE_MIX_REPOS = (0.20, 0.18, 0.21, 0.19, 0.01, 0.01, 0.16, 0.04)


@dataclass(frozen=True)
class Summary:
    """What `make_exports` wrote: `files` and `rows` by kind, `dirt` as "orders.bad_placed" -> rows touched.

    `as_of` is the date of the exports (in the file names, the day after `until`), `start` the first day of history.
    """

    out_dir: Path
    as_of: dt.date
    start: dt.date
    until: dt.date
    scale: float
    seed: int
    files: dict[str, Path] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    dirt: dict[str, int] = field(default_factory=dict)


def make_exports(
    out_dir: Path | str,
    *,
    scale: float = 1,
    seed: int = 1,
    until: dt.date | None = None,
    messy: float = 0.0,
    start: dt.date | None = None,
) -> Summary:
    """Write one set of exports into `out_dir` and return what was written.

    scale: 1 is the business's own size (about 37,000 rows); seed: same seed, scale, dates and share -> same bytes.
    until: last day with orders, by default yesterday; the files carry the date after it: exported the morning after.
    messy: share of each file's rows (0 to 1) that get dirt; if above 0, each kind of dirt appears at least once while
    rows last. start: first day, by default the first of the month 26 months before the exports' month.
    Raises MoonwalkError for impossible arguments. Scale 100 (3.7 million rows) takes about 10 s and 1.2 GB, with dirt
    twice the memory.
    """
    until = until or dt.date.today() - dt.timedelta(days=1)
    if scale <= 0 or not 0 <= messy <= 1:
        raise MoonwalkError(f"Scale must be above 0 and messy between 0 and 1; got scale {scale} and messy {messy}.")
    calendar = Calendar.plan(until, start, seed)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    summary = Summary(out_dir, calendar.as_of, calendar.start, until, scale, seed)
    people = _people(calendar, scale, seed)
    texts = DateTexts(calendar)
    orders = _orders(calendar, people, texts, scale, seed)
    made = {
        "items": lambda: _items_file(orders, people),
        "orders": lambda: _orders_file(orders, people, texts, calendar),
        "invoices": lambda: _invoices_file(orders, people, texts, calendar, seed),
        "customers": lambda: _customers_file(people, texts, calendar, seed),
        "legacy": lambda: _legacy_file(calendar, texts, scale, seed),
    }
    for kind, make in made.items():
        frame = make()
        if not frame.height:  # a business that never had the old system has no archive
            continue
        frame = frame.select(COLUMNS[kind])
        if messy:
            frame, dirt = _soil(kind, frame, messy, calendar, seed)
            summary.dirt.update(dirt)
        name = "RePos_Archive.csv" if kind == "legacy" else f"CC-{kind.capitalize()}-{calendar.as_of}.csv"
        frame.write_csv(out_dir / name, float_precision=2)
        summary.files[kind], summary.rows[kind] = out_dir / name, frame.height
    for part in (summary.files, summary.rows):
        part.update({kind: part.pop(kind) for kind in FILES if kind in part})
    return summary


# ---------------------------------------------------------------------------------------------- days


def _rng(seed: int, part: str) -> np.random.Generator:
    """A stream of its own for each part, so that a change in one leaves the others as they are."""
    return np.random.default_rng([seed, zlib.crc32(part.encode())])


def _number(day: dt.date) -> int:
    return (day - EPOCH).days


def _add_months(day: dt.date, months: int) -> dt.date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return dt.date(year, month + 1, 1)


@dataclass(frozen=True)
class Calendar:
    """The days of the history, counted from `start` (day 0) to the end of `until`'s month (the horizon).

    month_first: first day of each calendar month, plus the horizon's end; level: how busy each month is (mean 1);
    weight: how likely an order is on each day; traditional: how much likelier traditional wear is on each day.
    cc_start and repos_end are days: the two systems overlap for some weeks.
    """

    start: dt.date
    until: dt.date
    as_of: dt.date
    month_first: np.ndarray
    level: np.ndarray
    weight: np.ndarray
    traditional: np.ndarray
    change_month: int
    cc_start: int
    repos_end: int

    @classmethod
    def plan(cls, until: dt.date, start: dt.date | None, seed: int) -> "Calendar":
        as_of = until + dt.timedelta(days=1)
        start = start or _add_months(as_of, -MONTHS_OF_HISTORY)
        if start > until:
            raise MoonwalkError(f"The history cannot start on {start}, after its last day {until}.")
        months = (until.year - start.year) * 12 + until.month - start.month + 1
        firsts = np.array([(_add_months(start, i) - start).days for i in range(months + 1)])
        firsts[0] = 0
        days = [start + dt.timedelta(days=i) for i in range(int(firsts[-1]))]
        level, weight, traditional = cls._rhythm(days, seed)
        month_of = np.searchsorted(firsts, np.arange(len(days)), side="right") - 1
        by_month = np.bincount(month_of, level, months) / np.diff(firsts)
        usual = start == _add_months(as_of, -MONTHS_OF_HISTORY)
        change = months // 2 if usual or months >= 6 else 0  # month 13 of 26; a short history has no old system
        cc_start = int(firsts[change]) + 7 if change else 0
        repos_end = int(firsts[change + 1]) + 14 if change else 0
        return cls(
            start, until, as_of, firsts, by_month / by_month.mean(), weight, traditional, change, cc_start, repos_end
        )

    @staticmethod
    def _rhythm(days: list[dt.date], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(level, weight, traditional) of each day: season, growth, Ramadan and Eid; then weekdays and chance."""
        rng = _rng(seed, "days")
        middle = np.array([15.2 + 30.44 * i for i in range(-1, 13)])
        season = np.interp([d.timetuple().tm_yday for d in days], middle, (SEASON[-1], *SEASON, SEASON[0]))
        level = season * GROWTH_A_YEAR ** (np.arange(len(days)) / 365)
        traditional = np.ones(len(days))
        for first, last, factor, dress in _islamic_days(days[0], days[-1]):
            span = slice(max((first - days[0]).days, 0), max((last - days[0]).days + 1, 0))
            level[span] *= factor
            traditional[span] *= dress
        weekday = np.array(WEEKDAY)[[d.weekday() for d in days]]
        return level, level * weekday * rng.lognormal(0, 0.10, len(days)), traditional

    @property
    def last_day(self) -> int:
        return (self.until - self.start).days

    def draw_days(self, rng: np.random.Generator, first: np.ndarray, end: np.ndarray) -> np.ndarray:
        """One day for each pair: from `first` up to, not including, `end`, by the days' weights."""
        total = np.concatenate([[0.0], np.cumsum(self.weight)])
        aim = total[first] + rng.random(len(first)) * (total[end] - total[first])
        return np.clip(np.searchsorted(total, aim, side="right") - 1, first, end - 1)


def _islamic_days(first: dt.date, last: dt.date) -> list[tuple[dt.date, dt.date, float, float]]:
    """(from, to, how busy, how much traditional wear) for Ramadan and the two Eids that touch the span.

    Calculated dates; years outside the calendar's tables (before 1924, after 2077) simply have none.
    """
    spans, day = [], dt.timedelta(days=1)
    try:
        years = range(Gregorian.fromdate(first).to_hijri().year, Gregorian.fromdate(last).to_hijri().year + 1)
    except OverflowError:
        return spans
    for year in years:
        ramadan = Hijri(year, 9, 1).to_gregorian()
        for eid, quiet in ((Hijri(year, 10, 1).to_gregorian(), 3), (Hijri(year, 12, 10).to_gregorian(), 4)):
            eid = dt.date(eid.year, eid.month, eid.day)
            spans += [(eid - 10 * day, eid - day, 1.28, 2.1), (eid, eid + (quiet - 1) * day, 0.35, 1.2)]
        ramadan = dt.date(ramadan.year, ramadan.month, ramadan.day)
        spans.append((ramadan, ramadan + 18 * day, 0.86, 1.25))
    return spans


class DateTexts:
    """Dates as the exports write them: eight formats mixed within one column.

    Looks texts up in two small tables (days x formats, times) instead of formatting millions of dates one by one.
    """

    def __init__(self, calendar: Calendar, before: int = 60, after: int = 60):
        self.first = calendar.start - dt.timedelta(days=before)
        count = before + int(calendar.month_first[-1]) + after
        days = [self.first + dt.timedelta(days=i) for i in range(count)]
        iso, long = [str(d) for d in days], [f"{d:%d %b %Y}" for d in days]
        short = [d.lstrip("0") for d in long]
        serial = [str((d - EXCEL_DAY_0).days) for d in days]
        by_format = (iso, iso, long, long, short, short, serial, [s + ".0" for s in serial])
        self.days = pl.Series([text for texts in by_format for text in texts])
        seconds = [f" {h:02}:{m:02}:{s:02}" for h in range(24) for m in range(60) for s in range(60)]
        minutes = [f" {h:02}:{m:02}" for h in range(24) for m in range(60)]
        self.times = pl.Series(["", *seconds, *minutes])
        self.count, self.before = count, before

    def write(self, rng: np.random.Generator, when: np.ndarray, mix: tuple[float, ...], known: np.ndarray) -> pl.Series:
        """Texts of `when` (seconds since the calendar's start), null where not `known`."""
        form = np.searchsorted(np.cumsum(mix)[:-1], rng.random(len(when)), side="right")
        day, second = np.divmod(when.astype(np.int64), 86400)
        time = np.zeros(len(when), np.int64)
        time = np.where(form == 0, 1 + second, time)
        time = np.where((form == 2) | (form == 4), 86401 + second // 60, time)
        day = np.clip(day + self.before, 0, self.count - 1)
        text = self.days.gather(form * self.count + day) + self.times.gather(time)
        return pl.select(pl.when(pl.Series(known)).then(text)).to_series()


# ---------------------------------------------------------------------------------------------- people


def _names(rng: np.random.Generator, count: int) -> np.ndarray:
    """`count` invented names, e.g. "Rosa O. Wright Gupta"; most, not all of them distinct."""
    initials = [f" {c}." for c in "ABCDEFGHIJKLMNOPRSTVWYZ"]
    middles = initials * 6 + [" " + name for name in MIDDLE_NAMES] * 3 + [""] * 30
    lasts = [" " + name for name in LAST_NAMES]
    parts = [
        pl.Series(words).gather(rng.integers(0, len(words), count))
        for words in (FIRST_NAMES, middles, lasts, lasts + [""] * (len(lasts) // 3))
    ]
    return (parts[0] + parts[1] + parts[2] + parts[3]).to_numpy()


def _arrivals(rng: np.random.Generator, per_month: np.ndarray, scale: float) -> np.ndarray:
    """The month of arrival of each new customer: `per_month` at scale 1, with some chance from month to month."""
    noisy = per_month * rng.lognormal(0, 0.07, len(per_month)) * scale
    counts = np.where(per_month > 0, np.maximum(1, np.round(noisy)), 0).astype(int)
    return np.repeat(np.arange(len(per_month)), counts)


def _regulars(rng: np.random.Generator, first_month: np.ndarray, early: int, habits: Habits) -> np.ndarray:
    """Who is a regular: many of those who came up to month `early`, fewer of those who came since."""
    return rng.random(len(first_month)) < np.where(first_month <= early, *habits.regulars)


def _activity(
    rng: np.random.Generator, first_month: np.ndarray, regular: np.ndarray, level: np.ndarray, habits: Habits
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who orders how often in which month: (customer, month, orders), one row an active customer and month."""
    months = len(level)
    later = len(habits.regular) - len(habits.casual)
    chances = np.array([habits.casual + habits.casual[-1:] * later, habits.regular])
    age = np.arange(months) - first_month[:, None]
    chance = chances[regular.astype(int)[:, None], np.clip(age, 0, chances.shape[1] - 1)]
    chance = np.where(age < 0, 0, np.where(age == 0, 1, np.minimum(chance * level**0.35, 0.97)))
    customer, month = np.nonzero(rng.random(chance.shape) < chance)
    mean = np.where(regular, habits.more_regular, habits.more_casual)
    more = mean * rng.gamma(0.75, 1 / 0.75, len(first_month))  # some hardly come back, a few come daily
    orders = 1 + rng.poisson(np.minimum(more, 14)[customer] * level[month] ** 0.4)
    return customer, month, orders


def _visits(
    rng: np.random.Generator, calendar: Calendar, cells: tuple, signed_up: np.ndarray, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """(customer, seconds since start) of every order of `_activity`'s cells; the first one mostly on sign-up day."""
    customer, month, orders = cells
    first = np.maximum(calendar.month_first[month], signed_up[customer])
    last = np.minimum(calendar.month_first[month + 1], end)
    keep = (first < last) & (orders > 0)
    customer, first, last, orders = customer[keep], first[keep], last[keep], orders[keep]
    opens = (np.cumsum(orders) - orders)[first == signed_up[customer]]
    who, first, last = (np.repeat(values, orders) for values in (customer, first, last))
    day = calendar.draw_days(rng, first, last)
    opens = opens[rng.random(len(opens)) < 0.85]
    day[opens] = first[opens]
    return who, day * 86400 + _times(rng, len(day))


def _times(rng: np.random.Generator, count: int) -> np.ndarray:
    hours = np.searchsorted(np.cumsum(HOURS) / sum(HOURS), rng.random(count), side="right") + 8
    return hours * 3600 + rng.integers(0, 3600, count)


@dataclass
class People:
    """The CleanCloud customers, row i has the ID `i + 1` (IDs follow sign-up). Arrays of equal length.

    signed_up: day; regular, b2b, late (pays late), at_home (uses delivery): bool; missing, nameless: not in
    the Customers export, or without a name there;
    favourite: the service they mostly come for, an index of SERVICES;
    subscriptions: customer, day and amount of each subscription payment.
    """

    name: np.ndarray
    signed_up: np.ndarray
    first_month: np.ndarray
    regular: np.ndarray
    b2b: np.ndarray
    hielo: np.ndarray
    late: np.ndarray
    at_home: np.ndarray
    quiet: np.ndarray
    missing: np.ndarray
    nameless: np.ndarray
    favourite: np.ndarray
    subscriptions: pl.DataFrame

    def __len__(self) -> int:
        return len(self.name)


def _people(calendar: Calendar, scale: float, seed: int) -> People:
    """Customers of CleanCloud, business accounts among them, with all that stays the same about each."""
    rng = _rng(seed, "people")
    change, months = calendar.change_month, len(calendar.level)
    per_month = np.where(np.arange(months) >= change, 86 * calendar.level**0.6, 0.0)
    if change:
        per_month[change], per_month[change + 1 : change + 2] = 44, 250  # the move from the old till
    first_month = _arrivals(rng, per_month, scale)
    count = len(first_month)
    first = np.maximum(calendar.month_first[first_month], calendar.cc_start)
    signed_up = calendar.draw_days(rng, first, calendar.month_first[first_month + 1])
    b2b = np.zeros(count, bool)
    early = np.flatnonzero(first_month <= change + 3)
    b2b[rng.choice(early, min(len(early), max(1, round(14 * scale))), replace=False)] = True
    order = np.argsort(signed_up, kind="stable")
    first_month, signed_up, b2b = first_month[order], signed_up[order], b2b[order]
    name = _names(rng, count)
    moved = min(round(160 * scale) if change else 0, count)
    name[:moved] = _names(_rng(seed, "legacy names"), moved)  # the old till's customers, with a new record
    people = People(
        name=name,
        signed_up=signed_up,
        first_month=first_month,
        regular=_regulars(rng, first_month, change + 1, CLEANCLOUD) & ~b2b,
        b2b=b2b,
        hielo=(rng.random(count) < 0.195) & ~b2b,
        late=rng.random(count) < 0.13,
        at_home=rng.random(count) < 0.58,
        quiet=(rng.random(count) < 0.045) & ~b2b,
        missing=np.zeros(count, bool),
        favourite=rng.choice(len(SERVICES), count, p=SERVICE_SHARES),
        nameless=(rng.random(count) < 0.065) & ~b2b,
        subscriptions=pl.DataFrame(),
    )
    people.subscriptions = _subscriptions(rng, calendar, people, scale)
    _plant_gaps(rng, people, scale)
    return people


def _subscriptions(rng: np.random.Generator, calendar: Calendar, people: People, scale: float) -> pl.DataFrame:
    """Subscription payments (customer, day, amount): renewed to the day, early (overlap), late or after a gap."""
    wanted = max(1, round(48 * scale))
    fit = np.flatnonzero(~people.b2b & ~people.quiet)
    rank = np.where(people.regular[fit], 0, 1) + rng.random(len(fit)) * 1.15  # regulars first, not only
    chosen = fit[np.argsort(rank, kind="stable")[:wanted]]
    times = np.minimum(rng.geometric(0.36, len(chosen)), 10)
    gaps = rng.choice([30, 26, 31, 33, 60, 13], (len(chosen), 10), p=[0.40, 0.18, 0.16, 0.11, 0.08, 0.07])
    room = np.maximum(calendar.month_first[-1] - people.signed_up[chosen], 1)
    gaps[:, 0] = people.signed_up[chosen] + (rng.random(len(chosen)) * 0.75 * room).astype(int)
    plan = rng.choice([199, 249, 299, 399], len(chosen), p=[0.33, 0.36, 0.26, 0.05])
    paid = np.cumsum(gaps, axis=1)
    who, nth = np.nonzero(np.arange(10) < times[:, None])
    return pl.DataFrame({"customer": chosen[who], "day": paid[who, nth], "amount": plan[who]})


def _plant_gaps(rng: np.random.Generator, people: People, scale: float) -> None:
    """The known gaps: customers missing from the export (Hielo's above all), and namesakes, one a subscriber."""
    subscribers = people.subscriptions["customer"].unique(maintain_order=True).to_numpy()
    plain = ~people.b2b & ~people.quiet
    plain[subscribers] = False
    people.nameless[subscribers] = False
    for group, share in ((plain & ~people.hielo, 0.003), (plain & people.hielo, 0.03)):
        rows = np.flatnonzero(group)
        people.missing[rng.choice(rows, min(len(rows), max(1, round(share * len(rows)))), replace=False)] = True
    rows = np.flatnonzero(plain & ~people.missing)
    twins = rng.choice(rows, min(len(rows), 2 * max(1, round(2 * scale))), replace=False)
    half = len(twins) // 2
    people.name[twins[:half]] = people.name[twins[half : 2 * half]]
    if half and len(subscribers):
        people.name[twins[0]] = people.name[subscribers[0]]


# ---------------------------------------------------------------------------------------------- orders

CONSUMER, BUSINESS, ORPHAN = 0, 1, 2


@dataclass
class Orders:
    """Orders in order of placing, and their item lines. Times are seconds since the calendar's start, money is fils.

    kind: CONSUMER, BUSINESS, or ORPHAN (an order only its items tell of); alive: placed by `until`.
    Lines: line_order is the row of the line's order; the other line_* run alongside.
    """

    customer: np.ndarray
    placed: np.ndarray
    kind: np.ndarray
    number: np.ndarray
    hielo: np.ndarray
    store_id: np.ndarray
    store_name: np.ndarray
    express: np.ndarray
    cleaned: np.ndarray
    is_cleaned: np.ndarray
    total: np.ndarray
    pieces: np.ndarray
    alive: np.ndarray
    placed_text: pl.Series
    line_order: np.ndarray
    line_product: np.ndarray
    line_quantity: np.ndarray
    line_total: np.ndarray
    line_kept: np.ndarray
    seed: int


def _placed(calendar: Calendar, people: People, scale: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(customer, placed, kind) of all orders to the horizon, in order of placing."""
    rng = _rng(seed, "orders")
    horizon = int(calendar.month_first[-1])
    cells = _activity(rng, people.first_month, people.regular, calendar.level, CLEANCLOUD)
    plain = ~(people.b2b | people.quiet)[cells[0]]
    who, when = _visits(rng, calendar, tuple(part[plain] for part in cells), people.signed_up, horizon)
    accounts = np.flatnonzero(people.b2b)
    later = np.arange(len(calendar.level)) > people.first_month[accounts, None]
    account, month = np.nonzero(later | (people.first_month[accounts, None] == len(calendar.level) - 1))
    cells = (accounts[account], month, rng.poisson(1.55 * calendar.level[month]))
    business_who, business_when = _visits(rng, calendar, cells, people.signed_up, horizon)
    lost = max(1, round(290 * scale))
    lost_who = rng.choice(np.flatnonzero(~people.b2b), lost)
    ends = np.full(lost, horizon)
    lost_when = calendar.draw_days(rng, people.signed_up[lost_who], ends) * 86400 + _times(rng, lost)
    kind = np.repeat([CONSUMER, BUSINESS, ORPHAN], [len(who), len(business_who), lost])
    who = np.concatenate([who, business_who, lost_who])
    when = np.concatenate([when, business_when, lost_when])
    order = np.lexsort((kind, who, when))
    return who[order], when[order], kind[order]


def _orders(calendar: Calendar, people: People, texts: DateTexts, scale: float, seed: int) -> Orders:
    who, placed, kind = _placed(calendar, people, scale, seed)
    rng = _rng(seed, "order details")
    count = len(who)
    swap = rng.random(count) < np.where(people.hielo[who], 0.04, 0.03)
    hielo = np.where(kind == BUSINESS, False, people.hielo[who] ^ swap)
    express = rng.random(count) < 0.132
    hours = (9 + rng.gamma(1.9, 19.5, count)) * np.where(express, 0.6, 1)
    cleaned = placed + (hours * 3600).astype(np.int64)
    end = (calendar.last_day + 1) * 86400
    is_cleaned = (cleaned < end) & (rng.random(count) > 0.008)
    lines = _lines(rng, calendar, placed // 86400, kind, express, people.favourite[who])
    covered = _covered(people, who, cleaned // 86400)
    free = covered & (kind == CONSUMER) & (rng.random(count) < 0.6)
    line_order, product, quantity, amount = lines
    amount[free[line_order]] = 0
    total = np.bincount(line_order, amount, count).astype(np.int64)
    rebate = rng.random(count) < 0.003  # a rebate on the whole order: its items then add up to more
    total = np.where(rebate, total * 9 // 10, total)
    bare = (rng.random(count) < 0.07) & (kind == CONSUMER)  # orders the Items export does not know
    alive = placed < end
    orders = Orders(
        customer=who,
        placed=placed,
        kind=kind,
        number=_order_numbers(kind, hielo),
        hielo=hielo,
        store_id=np.where(hielo, "38516", "36319").astype(object),
        store_name=np.where(hielo, STORES["38516"], STORES["36319"]).astype(object),
        express=express,
        cleaned=cleaned,
        is_cleaned=is_cleaned,
        total=total,
        pieces=np.bincount(line_order, quantity, count).astype(np.int64),
        alive=alive,
        placed_text=texts.write(rng, placed, DATE_MIX_CC, np.ones(count, bool)),
        line_order=line_order,
        line_product=product,
        line_quantity=quantity,
        line_total=amount,
        line_kept=(alive & ~bare)[line_order],
        seed=seed,
    )
    _odd_stores(rng, orders)
    return orders


def _order_numbers(kind: np.ndarray, hielo: np.ndarray) -> np.ndarray:
    """CleanCloud counts per store; accounts have numbers from 900001, lost orders from 700001, or higher."""
    number = np.zeros(len(kind), np.int64)
    consumer = kind == CONSUMER
    block = 100_000
    while 7 * block <= max(consumer.sum() + 1001, 0) or max((kind == ORPHAN).sum(), (kind == BUSINESS).sum()) > block:
        block *= 10
    groups = (
        (consumer & ~hielo, 1001),
        (consumer & hielo, 201),
        (kind == BUSINESS, 9 * block + 1),
        (kind == ORPHAN, 7 * block + 1),
    )
    for rows, first in groups:
        number[rows] = first + np.arange(rows.sum())
    return number


def _products(
    rng: np.random.Generator, traditional: np.ndarray, favourite: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """The product of each line, mostly of the service that its order's customer usually comes for.

    traditional, favourite: by order, how much likelier traditional wear is, and a service (index of SERVICES).
    """
    shares = np.array([p[3] for p in PRODUCTS], float)
    section = np.array([p[2] for p in PRODUCTS])
    worn = np.array([any(word in p[0].lower() for word in TRADITIONAL) for p in PRODUCTS])
    usual = (rng.random(len(favourite)) < 0.86)[order] & (rng.random(len(order)) < 0.93)
    service = np.where(usual, favourite[order], len(SERVICES))  # the last: any service
    aim, product, boost = rng.random(len(order)), np.zeros(len(order), np.int64), traditional[order]
    for factor in np.unique(traditional):
        for index in range(len(SERVICES) + 1):
            rows = (boost == factor) & (service == index)
            offered = True if index == len(SERVICES) else section == SERVICES[index]
            share = np.cumsum(shares * np.where(worn, factor, 1) * offered)
            product[rows] = np.searchsorted(share / share[-1], aim[rows], side="right")
    return product


def _lines(
    rng: np.random.Generator,
    calendar: Calendar,
    day: np.ndarray,
    kind: np.ndarray,
    express: np.ndarray,
    favourite: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(order, product, quantity, fils) of the item lines of the orders placed on `day`."""
    business = kind == BUSINESS
    count = np.searchsorted(np.cumsum(LINES)[:-1], rng.random(len(day)), side="right") + 1
    count = np.where(business, count + 1, count)
    order = np.repeat(np.arange(len(day)), count)
    product = _products(rng, calendar.traditional[day], favourite, order)
    order, product = np.divmod(np.unique(order * len(PRODUCTS) + product), len(PRODUCTS))  # no product twice
    quantity = np.searchsorted(np.cumsum(QUANTITIES)[:-1], rng.random(len(order)), side="right") + 1
    lot = quantity == len(QUANTITIES)
    quantity = np.where(lot, rng.integers(8, 25, len(order)), quantity)
    quantity = np.where(business[order], quantity + rng.integers(1, 6, len(order)), quantity)
    taste = rng.lognormal(-0.14, 0.53, len(day))[order]  # delicate wardrobes cost more, item for item
    price = (
        np.array([p[4] for p in PRODUCTS])[product]
        * PRICE_LEVEL
        * np.where(business[order], 1.2, taste)
        * rng.lognormal(-0.045, 0.3, len(order))
    )
    price = price * np.where(express[order], 1.35, 1) * np.where(lot, 0.6, 1)
    fils = np.maximum(np.round(price * quantity * 100), 25).astype(np.int64)
    return order, product, quantity, np.where(business[order], (fils + 12) // 25 * 25, fils)


def _covered(people: People, who: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Is each order's day within 30 days of a subscription payment of its customer?"""
    orders = pl.DataFrame({"customer": who, "day": day}).with_row_index("row").sort("day")
    paid = people.subscriptions.select(pl.col("customer", "day").cast(pl.Int64)).with_columns(paid="day").sort("day")
    found = orders.join_asof(paid, on="day", by="customer", strategy="backward", check_sortedness=False).sort("row")
    return (found["day"] - found["paid"] <= 30).fill_null(False).to_numpy()


# ---------------------------------------------------------------------------------------------- files


def _pick(rng: np.random.Generator, count: int, choices: dict[str | None, float]) -> pl.Series:
    """`count` values drawn by weight; None becomes null."""
    weights = np.cumsum(list(choices.values()))
    return pl.Series(list(choices), dtype=pl.String).gather(
        np.searchsorted(weights / weights[-1], rng.random(count), side="right")
    )


def _money(fils: np.ndarray) -> pl.Series:
    return pl.Series(fils).cast(pl.Float64) / 100  # written with two decimals


def _payments(rng: np.random.Generator, orders: Orders, people: People, calendar: Calendar) -> dict[str, np.ndarray]:
    """paid, paid_on (seconds), dated and by_invoice of each order. Old orders are mostly paid, the last weeks' less so.

    Chance by age, set so that about a tenth of all orders stands open, spread over all aging buckets.
    """
    count, end = len(orders.placed), (calendar.last_day + 1) * 86400
    age = np.maximum(end - orders.placed, 0) / 86400
    open_share = 0.043 + 0.52 * np.exp(-age / 36)
    late = people.late[orders.customer]
    open_share *= np.where(late, 2.6, 0.76) * np.where(orders.total > 5000, 0.52, 1.22)
    paid = (rng.random(count) >= open_share) | (orders.total == 0)
    lag = np.where(rng.random(count) < 0.40, 0, rng.gamma(0.9, 3.6, count)) * 86400
    paid_on = orders.placed + lag.astype(np.int64)
    dated = paid & (rng.random(count) < 0.65) & (paid_on < end)
    return {"paid": paid, "paid_on": paid_on, "dated": dated}


def _business_paid(orders: Orders, calendar: Calendar, seed: int) -> pl.DataFrame:
    """Business orders with their monthly invoice: row, customer, month, day (it was paid), settled.

    An account pays a month's orders with one invoice in the first days of the next month, or leaves it open.
    """
    rng = _rng(seed, "business")
    rows = np.flatnonzero((orders.kind == BUSINESS) & orders.alive)
    month = np.searchsorted(calendar.month_first, orders.placed[rows] // 86400, side="right") - 1
    frame = pl.DataFrame({"row": rows, "customer": orders.customer[rows], "month": month})
    most = len(calendar.level)
    accounts = int(orders.customer.max()) + 1
    day = calendar.month_first[1:] + rng.integers(0, 3, (accounts, most))
    good = rng.random((accounts, most)) < 0.80
    settled = good[frame["customer"], month] & (day[frame["customer"], month] <= calendar.last_day)
    return frame.with_columns(day=pl.Series(day[frame["customer"], month]), settled=pl.Series(settled))


def _orders_file(orders: Orders, people: People, texts: DateTexts, calendar: Calendar) -> pl.DataFrame:
    rng = _rng(orders.seed, "orders file")
    count, end = len(orders.placed), (calendar.last_day + 1) * 86400
    every, kind = np.ones(count, bool), orders.kind
    payments = _payments(rng, orders, people, calendar)
    method = _pick(rng, count, PAID_BY)
    if_open = _pick(rng, count, {None: 86, "Invoice": 14})
    business = _business_paid(orders, calendar, orders.seed)
    settled = np.zeros(count, bool)
    settled[business["row"].to_numpy()] = business["settled"].to_numpy()
    paid = np.where(kind == BUSINESS, settled, payments["paid"])
    dated = payments["dated"] & (kind == CONSUMER)
    years = orders.placed / 86400 / 365
    home = people.at_home[orders.customer]
    delivery = rng.random(count) < np.where(home, 0.61, 0.13) + 0.03 * (years - 1.6)
    pickup = rng.random(count) < np.where(home, 0.38, 0.07) + 0.02 * (years - 1.6)
    picked = np.maximum(orders.placed - (rng.random(count) * 6 * 3600).astype(np.int64), orders.placed // 86400 * 86400)
    ready = orders.placed + np.where(orders.express, 1, 2) * 86400
    collected = orders.cleaned + (rng.gamma(1.35, 1.2, count) * 86400 + 7200).astype(np.int64)
    is_collected = orders.is_cleaned & (collected < end) & (rng.random(count) > 0.033)
    notes = _pick(rng, count, {None: 67} | dict.fromkeys(ORDER_NOTES, 33 / len(ORDER_NOTES)))

    def date(when, known=every):
        return texts.write(rng, when, DATE_MIX_CC, known)

    return pl.DataFrame(
        {
            "Order ID": orders.number,
            "Placed": orders.placed_text,
            "Customer ID": orders.customer + 1,
            "Customer": pl.Series(people.name).gather(orders.customer),
            "Store ID": pl.Series(orders.store_id, dtype=pl.String),
            "Store Name": pl.Series(orders.store_name, dtype=pl.String),
            "Status": pl.Series(["Cleaning", "Completed"]).gather(orders.is_cleaned.astype(int)),
            "Notes": notes,
            "Ready By": date(ready),
            "Cleaned": date(orders.cleaned, orders.is_cleaned),
            "Collected": date(collected, is_collected),
            "Pickup Date": date(picked, pickup),
            "Delivery": delivery.astype(np.int8),
            "Pieces": orders.pieces,
            "Total": _money(orders.total),
            "Paid": paid.astype(np.int8),
            "Payment Type": pl.select(
                pl.when(pl.Series(kind == BUSINESS))
                .then(pl.lit("Invoice"))
                .when(pl.Series(paid))
                .then(method)
                .otherwise(if_open)
            ).to_series(),
            "Payment Date": date(payments["paid_on"], dated),
        }
    ).filter(pl.Series(orders.alive & (kind != ORPHAN)))


def _odd_stores(rng: np.random.Generator, orders: Orders) -> None:
    """A few orders of a store that is not ours, of pop-ups under our names, and without a Store ID."""
    rows = np.flatnonzero((orders.kind == CONSUMER) & orders.alive)
    odd = [("Lime Test Store", OTHER_STORE, 0.0010), (None, OTHER_STORE, 0.0007), (None, None, 0.0006)]
    chosen = rng.permutation(rows)
    for name, store_id, share in odd:
        take, chosen = np.split(chosen, [max(1, round(share * len(rows)))])
        orders.store_id[take] = store_id
        if name:
            orders.store_name[take] = name
        elif store_id:
            orders.store_name[take] = np.where(orders.hielo[take], "hielo pop-up", "MOON WALK (old till)")


def _addresses(rng: np.random.Generator, count: int, new_line: bool) -> pl.Series:
    """An address a customer (a third has none); in the Items export it breaks over two lines."""
    gap = "\n" if new_line else ", "
    homes = [f"Tower {t}, Flat {f}{gap}{area} Island" for area in ("Reem", "Yas", "Saadiyat") for t in range(1, 8)
             for f in range(104, 1904, 100)]  # fmt: skip
    homes += [f"Villa {v}, {area} City" for area in ("Khalifa", "Zayed", "Rawdhat") for v in range(1, 121)]
    at = rng.integers(0, len(homes), count)
    return pl.select(pl.when(pl.Series(rng.random(count) < 0.67)).then(pl.Series(homes).gather(at))).to_series()


def _items_file(orders: Orders, people: People) -> pl.DataFrame:
    """The Items export: one row a line. Its Placed is written as the order's is."""
    rng = _rng(orders.seed, "items file")
    kept = np.flatnonzero(orders.line_kept)
    order, product, quantity = orders.line_order[kept], orders.line_product[kept], orders.line_quantity[kept]
    who, total, count = orders.customer[order], orders.line_total[kept], len(kept)
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, count)
    address = _addresses(_rng(orders.seed, "addresses"), len(people), new_line=True)
    products = pl.DataFrame(PRODUCTS, schema=["Item", "Section", "Section ID", "share", "price"], orient="row")
    store = np.where(orders.hielo, 1, 0)
    lime = orders.store_name == "Lime Test Store"
    return pl.DataFrame(
        {
            "Order ID": orders.number[order],
            "Store ID": pl.Series([*STORES, OTHER_STORE]).gather(np.where(lime, 2, store)[order]),
            "Customer ID": who + 1,
            "Customer": pl.Series(people.name).gather(who),
            "Custom ID": nothing,
            "Email": nothing,
            "Phone": nothing,
            "Address": address.gather(who),
            "Placed": orders.placed_text.gather(order),
            "Item ID": product + 5000,
            "Item": products["Item"].gather(product),
            "Section ID": products["Section ID"].gather(product),
            "Section": products["Section"].gather(product),
            "Product ID": nothing,
            "Quantity": quantity,
            "Price per Item": _money(np.round(total / quantity)),
            "Total": _money(total),
            "Express": orders.express[order].astype(np.int8),
            "Pieces per Product": np.ones(count, np.int8),
            "Item Notes": _pick(rng, count, {None: 60} | dict.fromkeys(ITEM_NOTES, 40 / len(ITEM_NOTES))),
            "Order Status": pl.Series(["Cleaning", "Completed"]).gather(orders.is_cleaned[order].astype(int)),
        }
    )


def _customers_file(people: People, texts: DateTexts, calendar: Calendar, seed: int) -> pl.DataFrame:
    rng = _rng(seed, "customers file")
    count, number = len(people), np.arange(len(people)) + 1
    draw = rng.random(count)
    text = pl.Series(number).cast(pl.String)
    phone = pl.Series(500_000_000 + number - 1).cast(pl.String)
    in_export = ~people.missing & (people.signed_up <= calendar.last_day)
    frame = pl.DataFrame({"number": number, "text": text, "phone": phone, "draw": draw, "mail": rng.random(count)})
    columns = frame.select(
        pl.when(pl.col("draw") < 0.055)
        .then(None)
        .when(pl.col("draw") < 0.082)
        .then(pl.lit("+0"))
        .otherwise("+971" + pl.col("phone"))
        .alias("Phone"),
        pl.when(pl.col("mail") < 0.41)
        .then("client" + pl.col("text") + "@example.com")
        .when(pl.col("mail") < 0.61)
        .then("Client" + pl.col("text") + "@Example.com")
        .alias("Email"),
    )
    business = pl.Series(np.cumsum(people.b2b) + 5500).cast(pl.String)
    route = _pick(rng, count, dict(zip(ROUTES, ROUTE_SHARES, strict=True)))
    signed_up = people.signed_up * 86400 + _times(rng, count)
    return pl.DataFrame(
        {
            "Customer ID": number,
            "Name": pl.select(pl.when(pl.Series(~people.nameless)).then(pl.Series(people.name))).to_series(),
            "Phone": columns["Phone"],
            "Email": columns["Email"],
            "Address": _addresses(_rng(seed, "addresses"), count, new_line=False),
            "Signed Up Date": texts.write(rng, signed_up, DATE_MIX_CC, np.ones(count, bool)),
            "Route #": route,
            "Business ID": pl.select(pl.when(pl.Series(people.b2b)).then(business)).to_series(),
            "Store ID": pl.Series(list(STORES)).gather(people.hielo.astype(int)),
            "Store Name": pl.Series(list(STORES.values())).gather(people.hielo.astype(int)),
            "Loyalty Points": rng.integers(0, 400, count),
        }
    ).filter(pl.Series(in_export))


def _as_written(rng: np.random.Generator, names: pl.Series) -> pl.Series:
    """Names as somebody typed them on an invoice: other case, blanks, dots, hyphens; the same once normalised."""
    frame = pl.DataFrame({"name": names.cast(pl.String), "style": rng.random(len(names))})
    name, style = pl.col("name"), pl.col("style")
    return frame.select(
        pl.when(style < 0.68)
        .then(name)
        .when(style < 0.74)
        .then(name.str.to_uppercase())
        .when(style < 0.81)
        .then(name.str.to_lowercase())
        .when(style < 0.88)
        .then(" " + name.str.replace_all("'", "", literal=True) + " ")
        .when(style < 0.94)
        .then(name.str.replace(" ", ", ", literal=True))
        .when(style < 0.97)
        .then(name.str.replace_all("-", " ", literal=True))
        .otherwise(name.str.replace_all(".", "", literal=True).str.replace_all(" ", "  ", literal=True))
    ).to_series()


def _invoices_file(orders: Orders, people: People, texts: DateTexts, calendar: Calendar, seed: int) -> pl.DataFrame:
    """Subscription payments, accounts' monthly invoices, and consumers who settle an order by invoice."""
    rng = _rng(seed, "invoices")
    on_file = ~(people.missing | people.nameless)[orders.customer]
    rows = np.flatnonzero((orders.kind == CONSUMER) & on_file & (rng.random(len(orders.kind)) < 0.0125))
    single = pl.DataFrame(
        {
            "customer": orders.customer[rows],
            "day": orders.placed[rows] // 86400 + rng.integers(3, 60, len(rows)),
            "fils": orders.total[rows],
        }
    )
    business = _business_paid(orders, calendar, seed)
    business = business.with_columns(fils=pl.Series(orders.total[business["row"].to_numpy()]))
    monthly = (
        business.filter("settled").group_by("customer", "month").agg(pl.col("day").first(), pl.col("fils").sum())
    ).drop("month")
    subscriptions = people.subscriptions.select("customer", "day", fils=pl.col("amount") * 100)
    kinds = {"subscription": subscriptions, "monthly": monthly, "single": single}
    every = pl.concat(
        frame.select(pl.col("customer", "day", "fils").cast(pl.Int64), kind=pl.lit(kind))
        for kind, frame in kinds.items()
    )
    every = every.filter(pl.col("day") <= calendar.last_day).sort("day", "customer", "kind", "fils")
    count = every.height
    name = _as_written(rng, pl.Series(people.name).gather(every["customer"]))
    is_subscription = pl.Series(every["kind"] == "subscription")
    open_ = np.zeros(count, bool)
    open_[rng.permutation(np.flatnonzero(~is_subscription.to_numpy()))[: max(1, round(0.007 * count))]] = True
    walk_in = np.zeros(count, bool)
    walk_in[rng.permutation(np.flatnonzero(~open_))[: max(1, round(0.014 * count))]] = True
    number = pl.Series(np.arange(count))
    reference = ("INV-" + (number + 90).cast(pl.String).str.zfill(5)).set(pl.Series(rng.random(count) < 0.011), None)
    hielo = people.hielo[every["customer"].to_numpy()].astype(int)
    when = every["day"].to_numpy() * 86400 + rng.integers(0, 86400, count)
    frame = pl.DataFrame(
        {
            "Invoice ID": number + 20001,
            "name": name,
            "walk_in": "Walk-in Customer " + (number % 17).cast(pl.String),
            "Reference": pl.select(
                pl.when(is_subscription).then(_pick(rng, count, dict.fromkeys(SUBSCRIPTIONS, 1))).otherwise(reference)
            ).to_series(),
            "Amount": _money(every["fils"].to_numpy()),
            "Store ID": pl.Series(list(STORES)).gather(hielo),
            "Store Name": pl.Series(list(STORES.values())).gather(hielo),
            "Payment Date": texts.write(rng, when, DATE_MIX_CC, ~open_),
            "Payment Method": _pick(rng, count, INVOICE_METHODS),
            "Status": pl.Series(["Paid", "Unpaid"]).gather(open_.astype(int)),
        }
    )
    return frame.with_columns(Customer=pl.when(pl.Series(walk_in)).then("walk_in").otherwise("name"))


def _legacy_file(calendar: Calendar, texts: DateTexts, scale: float, seed: int) -> pl.DataFrame:
    """RePOS: one store, one till, no payments. Its customers have records of their own."""
    rng = _rng(seed, "legacy")
    months, change = len(calendar.level), calendar.change_month
    end = min(calendar.repos_end, calendar.last_day + 1)
    if not change:
        return pl.DataFrame()
    per_month = np.where(np.arange(months) <= change, 80 * calendar.level**0.6, 0.0)
    per_month[0], per_month[change + 1 : change + 2] = 235, 20
    first_month = _arrivals(rng, per_month, scale)
    regular = _regulars(rng, first_month, 0, REPOS)
    signed_up = calendar.draw_days(rng, calendar.month_first[first_month], calendar.month_first[first_month + 1])
    cells = _activity(rng, first_month, regular, calendar.level, REPOS)
    fading = (cells[1] <= change) | (rng.random(len(cells[1])) < 0.62)  # the till's last weeks
    cells = tuple(part[fading & (cells[1] <= change + 1)] for part in cells)
    who, placed = _visits(rng, calendar, cells, signed_up, end)
    order = np.lexsort((who, placed))
    who, placed = who[order], placed[order]
    numbers = rng.permutation(len(first_month)) + 1  # the old till's numbers say nothing about sign-up
    return _legacy_rows(rng, calendar, texts, _legacy_names(rng, len(first_month), scale, seed), numbers, who, placed)


def _legacy_names(rng: np.random.Generator, count: int, scale: float, seed: int) -> np.ndarray:
    """Names of the old till's customers; its latest ones are those who moved to CleanCloud first."""
    moved = min(round(160 * scale), count)
    names = _names(rng, count)
    names[count - moved :] = _names(_rng(seed, "legacy names"), moved)
    return names


def _legacy_rows(
    rng: np.random.Generator,
    calendar: Calendar,
    texts: DateTexts,
    names: np.ndarray,
    numbers: np.ndarray,
    who: np.ndarray,
    placed: np.ndarray,
) -> pl.DataFrame:
    """The archive's rows for orders of customers `who` (indexes of `names` and `numbers`) placed at `placed`."""
    count = len(placed)

    def date(when, known=None):
        return texts.write(rng, when, DATE_MIX_REPOS, np.ones(count, bool) if known is None else known)

    prefix = _pick(rng, count, {"R": 70, "R-": 30})
    cleaned = placed + ((9 + rng.gamma(1.9, 19, count)) * 3600).astype(np.int64)
    collected = cleaned + (rng.gamma(1.35, 1.2, count) * 86400 + 7200).astype(np.int64)
    end = (calendar.last_day + 1) * 86400
    name = pl.Series(names).gather(who)
    style, season = (
        rng.random(count),
        calendar.level[np.searchsorted(calendar.month_first, placed // 86400, "right") - 1],
    )
    frame = pl.DataFrame({"name": name, "style": style})
    written = frame.select(
        pl.when(pl.col("style") < 0.22)
        .then(None)
        .when(pl.col("style") < 0.27)
        .then(pl.col("name").str.to_uppercase())
        .otherwise("name")
    ).to_series()
    fils = np.maximum(np.round(rng.lognormal(3.43, 0.8, count) * np.sqrt(season) * 100), 103).astype(np.int64)
    picked = np.maximum(placed - (rng.random(count) * 6 * 3600).astype(np.int64), placed // 86400 * 86400)
    return pl.DataFrame(
        {
            "Order ID": prefix + pl.Series(np.arange(count) + 10001).cast(pl.String),
            "Customer ID": numbers[who],
            "Customer": written,
            "Placed": date(placed),
            "Total": _money(fils),
            "Store ID": _pick(rng, count, {"36319": 606, None: 394}),
            "Store Name": _pick(rng, count, {"Moon Walk - AD": 499, None: 501}),
            "Ready By": date(placed + 2 * 86400),
            "Cleaned": date(cleaned, (rng.random(count) > 0.357) & (cleaned < end)),
            "Collected": date(collected, (rng.random(count) > 0.123) & (collected < end)),
            "Pickup Date": date(picked, rng.random(count) < 0.031),
            "Payment Type": _pick(rng, count, {"Cash": 602, "Card": 247, None: 151}),
            "Paid": np.zeros(count, np.int8),
            "Pieces": 1 + np.minimum(rng.poisson(3.35, count), 12),
            "Delivery": (rng.random(count) < 0.052).astype(np.int8),
            "Operator": _pick(rng, count, {"till-1": 1, "till-2": 1, "owner": 1}),
        }
    )


# ---------------------------------------------------------------------------------------------- dirt


@dataclass
class Dirt:
    """One file being soiled: a text frame, the rows to touch and what the calendar allows."""

    frame: pl.DataFrame
    rows: np.ndarray
    rng: np.random.Generator
    calendar: Calendar

    def put(self, column: str, *values: str | None) -> None:
        """Write one of `values` into `column` of each row to touch."""
        picked = [values[i] for i in self.rng.integers(0, len(values), len(self.rows))]
        self.set(column, pl.Series(picked, dtype=pl.String))

    def set(self, column: str, values: pl.Series) -> None:
        self.frame = self.frame.with_columns(self.frame[column].scatter(self.rows.tolist(), values).alias(column))

    def rewrite(self, column: str, *forms: str) -> None:
        """Rewrite each value as one of `forms`, which may use {v} (as it is), {v4} and {v5} (padded)."""
        old = self.frame[column].gather(self.rows)
        picked = self.rng.integers(0, len(forms), len(self.rows))
        new = [
            forms[i].format(v=v, v4=(v or "").zfill(4), v5=(v or "").zfill(5)) for i, v in zip(picked, old, strict=True)
        ]
        self.set(column, pl.Series(new, dtype=pl.String))

    def spread(self, columns: list[str], action: Callable[["Dirt", str], None]) -> None:
        """Let each row's dirt fall on one of several columns."""
        every, on = self.rows, self.rng.integers(0, len(columns), len(self.rows))
        for i, column in enumerate(columns):
            self.rows = every[on == i]
            if len(self.rows):
                action(self, column)
        self.rows = every

    def repeat(self, column: str | None = None, value: str | Callable[[str], str] | None = None) -> None:
        """Repeat each row right after itself, with another value in `column` where one is named."""
        copies = self.frame.with_row_index("at")[self.rows.tolist()]
        if column:
            new = (
                pl.lit(value)
                if isinstance(value, str)
                else pl.Series([value(v) for v in copies[column]], dtype=pl.String)
            )
            copies = copies.with_columns(new.alias(column))
        rows = pl.concat([self.frame.with_row_index("at").with_columns(copy=0), copies.with_columns(copy=1)])
        self.frame = rows.sort("at", "copy", maintain_order=True).drop("at", "copy")

    @property
    def bad_dates(self) -> list[str]:
        """Dates no contract lists, around a day within the history: wrong, half wrong, or of another country."""
        day = (self.calendar.until - dt.timedelta(days=60)).replace(day=21)
        serial = (day - EXCEL_DAY_0).days
        return [
            f"{day:%d/%m/%Y}", f"{day.year}-02-30", "TBC", f"{day}T10:00:00", f"{day} 10:15", "100000", "nan",
            f"{day:%b} 5 {day.year}", "None", f"{serial}.75", f"{day:%d-%b-%Y}",
        ]  # fmt: skip

    @property
    def late_day(self) -> str:
        return str(self.calendar.until.replace(month=1, day=1, year=self.calendar.until.year + 5))


def _pad_date(d: Dirt, column: str) -> None:
    d.rewrite(column, " {v}", "{v}  ")


def _other_customer(d: Dirt) -> None:
    d.set("Customer ID", d.frame["Customer ID"].gather(d.rng.integers(0, d.frame.height, len(d.rows))))


def _moved_month(d: Dirt) -> None:
    day = d.calendar.until - dt.timedelta(days=80)
    d.put("Placed", *[str(day + dt.timedelta(days=i)) for i in range(10)])


def _recleaned(d: Dirt) -> None:
    """The same order again, cleaned later: some weeks before the end, or on the last day in a short history."""
    d.repeat("Cleaned", f"{max(d.calendar.until - dt.timedelta(days=40), d.calendar.start)} 09:30:00")


def _unknown_store(d: Dirt, store_id: str, *names: str) -> None:
    d.put("Store ID", store_id)
    d.put("Store Name", *names)


# kind -> dirt -> (share among the file's dirt, what it does). Repeats come last: they move the rows.
DIRT: dict[str, dict[str, tuple[int, Callable[[Dirt], None]]]] = {
    "orders": {
        "blank_customer": (4, lambda d: d.put("Customer ID", None)),
        "blank_order": (6, lambda d: d.put("Order ID", None)),
        "bad_placed": (16, lambda d: d.put("Placed", *d.bad_dates)),
        "bad_cleaned": (13, lambda d: d.put("Cleaned", *d.bad_dates)),
        "bad_other_date": (
            12,
            lambda d: d.spread(
                ["Ready By", "Collected", "Pickup Date", "Payment Date"], lambda e, column: e.put(column, *e.bad_dates)
            ),
        ),
        "odd_total": (13, lambda d: d.put("Total", None, "-12.50", "N/A", "0.00", "AED 45.00", "1e2", "1,234.50")),
        "odd_paid": (8, lambda d: d.put("Paid", "2", "Yes", "1.0", None)),
        "odd_delivery": (9, lambda d: d.put("Delivery", "2", "1.0", None, "yes")),
        "odd_pieces": (5, lambda d: d.put("Pieces", "-1", "3.7", "x", None)),
        "fmt_customer": (6, lambda d: d.rewrite("Customer ID", " {v} ", "#{v}", "CC {v}", "CC-{v4}")),
        "fmt_order": (9, lambda d: d.rewrite("Order ID", "M-{v5}", "ORD{v}", "#{v}", " {v}")),
        "odd_payment_type": (
            12,
            lambda d: d.put(
                "Payment Type", "Card/Bank", "CHEQUE", "  cash ", "Stripe invoice", "on account (INVOICE)", None
            ),
        ),
        "out_of_range": (
            5,
            lambda d: d.spread(["Placed", "Cleaned"], lambda e, column: e.put(column, e.late_day, "452", "2011-12-15")),
        ),
        "store_text": (7, lambda d: d.put("Store ID", "unknown", "#36319", "Store 38516")),
        "padded_date": (5, lambda d: d.spread(["Placed", "Ready By"], _pad_date)),
        "dup_row": (6, lambda d: d.repeat()),
        "dup_recleaned": (7, _recleaned),
    },
    "items": {
        "blank_order": (23, lambda d: d.put("Order ID", None)),
        "blank_customer": (27, lambda d: d.put("Customer ID", None)),
        "bad_placed": (40, lambda d: d.put("Placed", *d.bad_dates)),
        "odd_quantity": (30, lambda d: d.put("Quantity", "-1", None, "60", "x", "2.0")),
        "odd_total": (26, lambda d: d.put("Total", None, "-5.00", "AED 9", "0.00", "1,050.00")),
        "odd_express": (26, lambda d: d.put("Express", "Yes", None, "1.0", "2")),
        "null_section": (26, lambda d: d.put("Section", None)),
        "null_item": (18, lambda d: d.put("Item", None)),
        "store_text": (37, lambda d: d.put("Store ID", "??", "#36319", "38516 (H)")),
        "fmt_ids": (
            31,
            lambda d: d.spread(
                ["Order ID", "Customer ID"],
                lambda e, column: e.rewrite(column, *(("#{v}", "M-{v5}") if column == "Order ID" else ("CC-{v4}",))),
            ),
        ),
        "other_customer": (23, _other_customer),
        "moved_month": (27, _moved_month),
        "dup_row": (23, lambda d: d.repeat()),
    },
    "customers": {
        "blank_id": (1, lambda d: d.put("Customer ID", None)),
        "space_name": (1, lambda d: d.put("Name", "   ")),
        "bad_signup": (11, lambda d: d.put("Signed Up Date", *d.bad_dates)),
        "odd_route": (5, lambda d: d.put("Route #", "x", "12", None, "2.0", "-1")),
        "space_business": (1, lambda d: d.put("Business ID", " ")),
        "fmt_id": (2, lambda d: d.rewrite("Customer ID", "CC-{v4}", "#{v}")),
        "junk_phone": (3, lambda d: d.put("Phone", "00000000", "  ", "0")),
        "name_spaces": (1, lambda d: d.rewrite("Name", "  {v} ")),
        "dup_same": (3, lambda d: d.repeat()),
        "dup_other_name": (3, lambda d: d.repeat("Name", lambda name: f"{name or 'Guest'} (2)")),
    },
    "invoices": {
        "odd_amount": (5, lambda d: d.put("Amount", "1,050.00", "-50.00", "AED 299", "0.00", None)),
        "bad_date": (4, lambda d: d.put("Payment Date", *d.bad_dates)),
        "lead_space_ref": (1, lambda d: d.put("Reference", " Subscription")),
        "unknown_name": (1, lambda d: d.put("Customer", "Someone Else")),
        "blank_name": (1, lambda d: d.put("Customer", None)),
        "odd_method": (3, lambda d: d.put("Payment Method", "cash/INVOICE", "gift voucher", None)),
        "unknown_store": (2, lambda d: _unknown_store(d, OTHER_STORE, "Lime Test Store", "Moonwalk HQ")),
        "dup_row": (1, lambda d: d.repeat()),
    },
    "legacy": {
        "blank_customer": (21, lambda d: d.put("Customer ID", None)),
        "blank_order": (14, lambda d: d.put("Order ID", None)),
        "bad_placed": (28, lambda d: d.put("Placed", *d.bad_dates)),
        "odd_total": (25, lambda d: d.put("Total", None, "-12.50", "AED 45.00", "1,234.50", "0.00")),
        "numeric_order": (
            17,
            lambda d: d.set("Order ID", pl.Series(d.rng.integers(1001, 5000, len(d.rows))).cast(pl.String)),
        ),
        "unknown_store": (15, lambda d: _unknown_store(d, "99999", "Old branch", "HIELO")),
        "fmt_customer": (17, lambda d: d.rewrite("Customer ID", "C{v}", "MW-{v4}")),
        "lower_r": (18, lambda d: d.set("Order ID", d.frame["Order ID"].gather(d.rows).str.to_lowercase())),
        "odd_pieces": (24, lambda d: d.put("Pieces", "2.5", "two", None)),
        "out_of_range": (15, lambda d: d.put("Cleaned", d.late_day, "2011-06-01")),
        "dup_row": (22, lambda d: d.repeat()),
    },
}


def _soil(
    kind: str, frame: pl.DataFrame, share: float, calendar: Calendar, seed: int
) -> tuple[pl.DataFrame, dict[str, int]]:
    """`frame` as text with about `share` of its rows made dirty, one kind of dirt a row, and the counts by kind."""
    rng = _rng(seed, f"dirt {kind}")
    money = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
    texts = [
        (pl.col(name).round(2).cast(pl.Decimal(14, 2)) if name in money else pl.col(name)).cast(pl.String)
        for name in frame.columns
    ]
    dirt = Dirt(frame.select(texts), np.empty(0, np.int64), rng, calendar)
    kinds = DIRT[kind]
    weights = np.array([weight for weight, _ in kinds.values()], float)
    counts = np.maximum(1, np.round(weights / weights.sum() * share * frame.height)).astype(int)
    counts = np.diff(np.minimum(np.cumsum(counts), frame.height), prepend=0)
    touched = np.split(rng.permutation(frame.height), np.cumsum(counts))
    repeated = []  # rows to repeat keep their place until every other kind is done
    done = {}
    for (name, (_, action)), rows in zip(kinds.items(), touched, strict=False):
        if not len(rows):
            continue
        dirt.rows = np.sort(rows)
        done[f"{kind}.{name}"] = len(rows)
        if name.startswith("dup_"):
            repeated.append((action, dirt.rows))
        else:
            action(dirt)
    _repeat_all(dirt, repeated)
    return dirt.frame, done


def _repeat_all(dirt: Dirt, repeated: list[tuple[Callable[[Dirt], None], np.ndarray]]) -> None:
    """Apply the repeating kinds one after the other; each moves the rows that the next ones mean."""
    for i, (action, rows) in enumerate(repeated):
        dirt.rows = rows
        action(dirt)
        for j in range(i + 1, len(repeated)):
            later, at = repeated[j]
            repeated[j] = (later, at + np.searchsorted(rows, at, side="left"))
