"""One stg_<export>() each: rename, parse, standardise, and tell each row's fate. Polars, eager, vectorised.

Every row of a file ends in one of three places: loaded, excluded (with the business's reason) or quarantined (with the
rule it broke). Rules: docs/exports.md.
"""

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import partial

import dataframely as dy
import polars as pl

from etl import contracts
from etl.business import Business, Keywords
from etl.contracts import RULES
from etl.errors import ExportError
from etl.sources import MISSING, ROW, Export

COPY, OTHER_STORE, B2B = "exact duplicate row", "other store", "B2B"
UNPAID, SUPERSEDED, DEAD_ORDER = "unpaid invoice", "superseded duplicate", "order excluded"
STORE_STRIDE = 10**12  # order_no = store's place in the business file x this + the order's digits
LEGACY_STORE_PLACE = 900  # the old system numbers its orders by itself
MUCH = 0.05  # above this share of unreadable cells a column has probably changed its format


@dataclass
class Tally:
    """Where the rows of one file went. `gone` has a row a row not loaded: row, fate ('excluded'|'quarantined'), why."""

    kind: str
    read: int
    excluded: Counter = field(default_factory=Counter)
    quarantined: Counter = field(default_factory=Counter)
    unreadable: Counter = field(default_factory=Counter)
    loaded: int = 0
    bad_rows: list[pl.DataFrame] = field(default_factory=list)  # row, rule

    def exclude(self, frame: pl.DataFrame, mask: pl.Expr | pl.Series, reason: str) -> pl.DataFrame:
        """Count the rows where `mask` holds as excluded and return the others."""
        hit = frame.select(mask).to_series() if isinstance(mask, pl.Expr) else mask
        if not hit.any():
            return frame
        self.excluded[reason] += int(hit.sum())
        return frame.filter(~hit)

    def quarantine(self, rows: pl.DataFrame) -> None:
        """Take bad rows (row, rule) down."""
        self.bad_rows.append(rows.select("row", "rule"))
        self.quarantined.update(dict(rows["rule"].value_counts().iter_rows()))

    def quarantined_rows(self, export: Export) -> pl.DataFrame:
        """The quarantined rows as they stand in the file: file, row, rule, then its own columns."""
        if not self.bad_rows:
            return pl.DataFrame()
        bad = pl.concat(self.bad_rows).with_columns(file=pl.lit(export.source.path.name))
        raw = export.raw.select(pl.all().exclude("#cells"))
        taken = {"file", "row", "rule"} & set(raw.columns)
        raw = raw.rename({name: f"{name} (export)" for name in taken})
        return bad.join(raw, left_on="row", right_on=ROW, how="left").sort("row").select(
            "file", "row", "rule", pl.exclude("file", "row", "rule")
        )  # fmt: skip

    def as_manifest(self) -> dict:
        """The counts, without reasons and rules that took no row."""
        return {
            "read": self.read,
            "loaded": self.loaded,
            "excluded": {k: v for k, v in sorted(self.excluded.items()) if v},
            "quarantined": {k: v for k, v in sorted(self.quarantined.items()) if v},
            "unreadable": {k: v for k, v in sorted(self.unreadable.items()) if v},
        }


# Cells -----------------------------------------------------------------------------------------------------------

TIME = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
ISO = rf"^\d{{4}}-\d{{2}}-\d{{2}}(?:[ T]{TIME})?$"
DAY_MONTH = rf"^\d{{2}} [A-Za-z]{{3}} \d{{4}}(?: {TIME})?$"
DAY_MONTH_SHORT = rf"^(\d{{1,2}} [A-Za-z]{{3}} \d{{4}})(?: {TIME})?$"
SERIAL = r"^(\d{5,6})(?:\.\d+)?$"
MONTH_DAY = rf"^(\d{{1,2}}/\d{{1,2}}/\d{{4}})(?: {TIME}(?: ?[AaPp][Mm])?)?$"


def says_nothing(cells: pl.Series) -> pl.Series:
    """True where a cell says nothing: empty, spaces, nan, None."""
    return cells.str.strip_chars().str.to_lowercase().is_in(MISSING)


def text(cells: pl.Series) -> pl.Series:
    """Text without spaces around it; null where there is none."""
    return cells.str.strip_chars().replace("", None)


def _fill_in(values: pl.Series, where: pl.Series, others: pl.Series) -> pl.Series:
    """`values` with `others` at the places where `where` holds."""
    return values.scatter(where.arg_true(), others) if where.any() else values


# Each reader below first takes the cells as they usually come, then has a closer look at the rest: at scale most of a
# build's time would else go into looking closely at cells that need none.


def dates(cells: pl.Series, month_day_year: bool = False) -> pl.Series:
    """Dates of text cells without their times of day, null for a blank or an unreadable one. See docs/exports.md."""
    iso = cells.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    found = pl.select(pl.when(cells.str.contains(ISO)).then(iso)).to_series()
    rest = found.is_null() & (cells != "")
    if rest.any():
        others = cells.filter(rest)
        day_month = others.str.slice(0, 11).str.to_date("%d %b %Y", strict=False)
        day_month = pl.select(pl.when(others.str.contains(DAY_MONTH)).then(day_month)).to_series()
        odd = day_month.is_null()
        day_month = _fill_in(day_month, odd, _odd_dates(others.filter(odd), month_day_year))
        found = _fill_in(found, rest, day_month)
    return found


def _odd_dates(cells: pl.Series, month_day_year: bool) -> pl.Series:
    cell = pl.col("c").str.strip_chars()
    ways = [
        pl.lit(date(1899, 12, 30)) + pl.duration(days=cell.str.extract(SERIAL, 1).cast(pl.Int64)),
        pl.when(cell.str.contains(ISO)).then(cell.str.slice(0, 10)).str.to_date("%Y-%m-%d", strict=False),
        cell.str.extract(DAY_MONTH_SHORT, 1).str.to_date("%d %b %Y", strict=False),
    ]
    if month_day_year:
        ways.append(cell.str.extract(MONTH_DAY, 1).str.to_date("%m/%d/%Y", strict=False))
    return cells.to_frame("c").select(pl.coalesce(ways).cast(pl.Date)).to_series()


def seconds_of_day(cells: pl.Series) -> pl.Series:
    """The time of day of date cells in seconds, 0 where a cell has none."""
    part = pl.col("c").str.extract(r"(\d{1,2}:\d{2}(?::\d{2})?)", 1)
    clock = [part.str.extract(rf"^(?:\d+:){{{i}}}(\d+)", 1).cast(pl.Float64).fill_null(0) for i in range(3)]
    serial = pl.col("c").str.extract(r"^\d{5,6}(\.\d+)$", 1).cast(pl.Float64).fill_null(0) * 86_400
    afternoon = pl.col("c").str.to_lowercase().str.contains(r"pm$").cast(pl.Float64) * 43_200
    twelve = pl.when(pl.col("c").str.to_lowercase().str.contains(r"[ap]m$")).then(clock[0] % 12).otherwise(clock[0])
    return cells.to_frame("c").select(twelve * 3600 + clock[1] * 60 + clock[2] + serial + afternoon).to_series()


PLAIN_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)$"
THOUSANDS = r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$"


def money(cells: pl.Series, currency_words: tuple[str, ...] = ()) -> pl.Series:
    """Amounts of text cells as DECIMAL(12,2), null for a blank or an unreadable one; (6.85) is negative."""
    amount = pl.Decimal(12, 2)
    plain = cells.str.contains(PLAIN_NUMBER)
    found = pl.select(pl.when(plain).then(cells)).to_series().cast(amount, strict=False)
    rest = ~plain & (cells != "")
    if rest.any():
        words = "|".join(_escape(w) for w in sorted(currency_words, key=len, reverse=True)) or r"\z."
        c = pl.col("c").str.replace_all(rf"(?i)(?:{words})\.?", "").str.replace_all(r"\s", "")
        negative = c.str.contains(r"^\(.*\)$")
        c = c.str.replace(r"^\((.*)\)$", "$1")
        c = pl.when(c.str.contains(THOUSANDS)).then(c.str.replace_all(",", "", literal=True)).otherwise(c)
        value = pl.when(c.str.contains(PLAIN_NUMBER)).then(c).cast(amount, strict=False)
        value = pl.when(negative).then(-value.abs()).otherwise(value).cast(amount)
        found = _fill_in(found, rest, cells.filter(rest).to_frame("c").select(value).to_series())
    return found


def _escape(word: str) -> str:
    return "".join(c if c.isalnum() else "\\" + c for c in word)


def integers(cells: pl.Series) -> pl.Series:
    """Whole numbers of text cells (`3`, `3.0`), null for a blank or anything else."""
    found = cells.cast(pl.Int32, strict=False)
    rest = found.is_null() & (cells != "")
    if rest.any():
        others = cells.filter(rest).str.extract(r"^\s*([+-]?\d+)(?:\.0*)?\s*$", 1).cast(pl.Int32, strict=False)
        found = _fill_in(found, rest, others)
    return found


def flags(cells: pl.Series) -> pl.Series:
    """Yes or no of text cells (1/0, yes/no, true/false, paid/unpaid), null for a blank or anything else."""
    yes, no = ["1", "1.0", "yes", "true", "paid"], ["0", "0.0", "no", "false", "unpaid"]

    def said(cell: pl.Expr) -> pl.Expr:
        lower = cell.str.strip_chars().str.to_lowercase()
        return pl.when(lower.is_in(yes)).then(True).when(lower.is_in(no)).then(False)

    return _by_value(cells, said)


def digits(cells: pl.Series) -> pl.Series:
    """The number within an ID, whatever stands around it (`12.0` is 12, `#00079` is 79), null where there is none.

    Two numbers in one cell are none: `1.23457E+11` is what a spreadsheet made of an ID, not order 11.
    """
    found = cells.cast(pl.Int64, strict=False)
    rest = found.is_null() & (cells != "")
    if rest.any():
        others = cells.filter(rest).str.replace(r"\.0+\s*$", "").str.replace_all(r"(\d),(\d{3})", "$1$2")
        found = _fill_in(found, rest, others.str.extract(r"^\D*(\d+)\D*$", 1).cast(pl.Int64, strict=False))
    return pl.select(pl.when(found >= 0).then(found).otherwise(-found)).to_series()


def _by_value(cells: pl.Series, classify) -> pl.Series:
    """Classify the few distinct values of a column and give each row its value's class."""
    codes = cells.cast(pl.Categorical).to_physical().alias("code")
    values = pl.DataFrame({"code": codes, "value": cells}).unique("code", keep="any")
    named = values.select("code", classify(pl.col("value")).alias("class"))
    return codes.to_frame().join(named, on="code", how="left", maintain_order="left")["class"]


def _first_match(rules: tuple[Keywords, ...], *looked_in: pl.Expr) -> pl.Expr:
    chain = pl
    for rule in rules[:-1]:
        hits = []
        for text in looked_in:
            for word in rule.not_in:
                text = text.str.replace_all(word, " ", literal=True)
            hits.append(text.str.contains_any(list(rule.words)))
        chain = chain.when(pl.any_horizontal(hits)).then(pl.lit(rule.name))
    return chain.otherwise(pl.lit(rules[-1].name))


def payment_types(cells: pl.Series, business: Business) -> pl.Series:
    """Cash, Terminal, Stripe, Receivable or Other, by the words of the business file, first match first."""
    return _by_value(cells, lambda value: _first_match(business.payment_rules, value.str.to_uppercase()))


def _reduced(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().str.replace_all(r"[^a-z0-9]", "")


def item_classes(items: pl.DataFrame, business: Business) -> pl.DataFrame:
    """Columns item_category and service_type for columns Item and Section, worked out once a distinct pair."""
    item, section = (pl.col(c).cast(pl.Categorical).to_physical().cast(pl.UInt64) for c in ("Item", "Section"))
    codes = items.select((item * 2**32 + section).alias("pair"))
    pairs = items.select("Item", "Section", codes["pair"]).unique("pair", keep="any")
    item, section = _reduced(pl.col("Item")), _reduced(pl.col("Section"))
    named = pairs.select(
        "pair",
        item_category=_first_match(business.category_rules, item, section),
        service_type=_first_match(business.service_rules, section),
    )
    return codes.join(named, on="pair", how="left", maintain_order="left").drop("pair")


def stores(frame: pl.DataFrame, business: Business) -> pl.Series:
    """The store's name a row, by Store ID, else by Store Name; null for a store that is not ours."""
    places = {int(s.id): s.name for s in business.stores}

    def known(value: pl.Expr) -> pl.Expr:
        return value.map_batches(digits, return_dtype=pl.Int64).replace_strict(
            places, default=None, return_dtype=pl.String
        )

    by_id = _by_value(frame["Store ID"], known)
    if "Store Name" not in frame.columns:
        return by_id
    named = pl
    for store in business.stores:
        named = named.when(pl.col("value").str.to_uppercase().str.contains(store.name_contains, literal=True)).then(
            pl.lit(store.name)
        )
    by_name = _by_value(frame["Store Name"], lambda _: named.otherwise(None))
    return pl.select(pl.coalesce(by_id, by_name)).to_series()


def _possible_number(cells: pl.Series) -> pl.Series:
    """An order's digits, null where there are more than the store's place above them leaves room for."""
    number = digits(cells)
    return pl.select(pl.when(number < STORE_STRIDE).then(number)).to_series()


def _order_numbers(frame: pl.DataFrame, store: pl.Series, business: Business) -> pl.Series:
    places = {name: i * STORE_STRIDE for i, name in enumerate(business.store_names, 1)}
    offset = store.replace_strict(places, default=None, return_dtype=pl.Int64)
    return _possible_number(frame["Order ID"]) + offset


class _Parsed:
    """Collects the typed columns of one export, and which optional cells could not be read.

    Columns do not depend on each other, and Polars works on one of them with one core: done() reads them side by side.
    """

    def __init__(self, export: Export, business: Business, as_of: date):
        self.business, self.as_of = business, as_of
        self.frame = export.frame
        self._jobs: list[Callable[[], dict[str, pl.Series]]] = []
        self.make("row", lambda: self.frame[ROW])
        self.make("cells_ok", lambda: self.frame["#cells"] == 0)
        self.make("copy", lambda: self.frame["#dup"])

    def make(self, name: str, column: Callable[[], pl.Series]) -> None:
        """A column that cannot be unreadable."""
        self._jobs.append(lambda: {name: column()})

    def put(self, name: str, column: str, parse, *, strict=False, default=None, in_range=False) -> None:
        """Parse a column. Strict: unreadable cells fail the row's contract; else they are missing, and counted."""

        def job() -> dict[str, pl.Series]:
            cells = self.frame[column]
            values = parse(cells)
            lost = values.is_null() & (cells != "")
            if lost.any():
                lost = _fill_in(lost, lost, ~says_nothing(cells.filter(lost)))
            if default is not None:
                values = values.fill_null(default).cast(values.dtype)  # a filled Decimal comes back wider
            found = {name: values}
            if strict:
                found[f"{name}_ok"] = ~lost
            elif lost.any():
                found[f"?{column}"] = lost
            if in_range:
                found[f"{name}_in_range"] = values.is_between(self.business.earliest_date, self.as_of)
            return found

        self._jobs.append(job)

    def put_date(self, name: str, column: str, **how) -> None:
        self.put(name, column, lambda c: dates(c, self.business.month_day_year), **how)

    def put_money(self, name: str, column: str) -> None:
        self.put(name, column, lambda c: money(c, self.business.currency_words), strict=True, default=0)

    def done(self) -> pl.DataFrame:
        """All columns; those whose name begins with ? mark unreadable optional cells."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return pl.DataFrame({k: v for found in pool.map(lambda job: job(), self._jobs) for k, v in found.items()})


def _contract(frame: pl.DataFrame, schema: type[dy.Schema], tally: Tally) -> pl.DataFrame:
    """The rows that keep the export's contract; the others go to quarantine, each under the first rule it broke."""
    lost = [c for c in frame.columns if c.startswith("?")]
    rows, failure = schema.filter(frame)
    if len(failure):
        details = failure.details()
        blame = pl.lit("an unexpected value")
        for rule, title in reversed(RULES.items()):
            if rule in details.columns:
                blame = pl.when(pl.col(rule) == "invalid").then(pl.lit(title)).otherwise(blame)
        tally.quarantine(details.select("row", blame.alias("rule")))
    if lost:
        counted = frame.select("row", *lost).join(rows.select("row"), on="row", how="semi")
        tally.unreadable.update({c[1:]: int(counted[c].sum()) for c in lost})
    return rows


def unreadable_warnings(tally: Tally, export: Export) -> list[str]:
    """A sentence a column that had unreadable optional cells; louder where it was more than one in twenty."""
    said = []
    for column, count in sorted(tally.unreadable.items()):
        filled = int((export.frame[column] != "").sum())
        told = (
            f"{export.source.path.name}: {count} of {filled} values in {column} could not be read and count as missing."
        )
        if count > MUCH * filled:
            told = f"IMPORTANT: {told} The format of this column has probably changed: compare it with an older export."
        if count:
            said.append(told)
    return said


# Exports ---------------------------------------------------------------------------------------------------------


def stg_customers(export: Export, business: Business, as_of: date) -> tuple[pl.DataFrame, Tally]:
    """Customers, one row a customer_no in the order of the file; a repeated Customer ID: the later row wins.

    Columns: row, customer_no, name, phone, email, store, route, signed_up, b2b.
    """
    parsed, tally = _Parsed(export, business, as_of), Tally("customers", export.read)
    frame = export.frame
    parsed.make("customer_no", lambda: digits(parsed.frame["Customer ID"]))
    for name, column in (("name", "Name"), ("phone", "Phone"), ("email", "Email")):
        parsed.make(name, partial(text, frame[column]))
    parsed.make("store", lambda: stores(frame, business))
    parsed.put("route", "Route #", integers)
    parsed.put_date("signed_up", "Signed Up Date")
    parsed.make("b2b", lambda: ~says_nothing(frame["Business ID"]))
    rows = tally.exclude(parsed.done(), pl.col("copy"), COPY)
    rows = _contract(rows, contracts.Customers, tally)
    rows = tally.exclude(rows, ~pl.col("customer_no").is_last_distinct(), SUPERSEDED)
    tally.loaded = rows.height
    return rows.drop("cells_ok"), tally


def _orders(export: Export, business: Business, as_of: date, legacy: bool) -> _Parsed:
    parsed = _Parsed(export, business, as_of)
    store = stores(export.frame, business)
    if legacy:
        store = store.fill_null(business.legacy_store)
        place = LEGACY_STORE_PLACE * STORE_STRIDE
        parsed.make("order_no", lambda: _possible_number(export.frame["Order ID"]) + place)
    else:
        parsed.make("order_no", lambda: _order_numbers(export.frame, store, business))
    parsed.make("customer_no", lambda: digits(parsed.frame["Customer ID"]))
    parsed.make("store", lambda: store)
    parsed.put_date("placed", "Placed", strict=True, in_range=True)
    parsed.put_date("cleaned", "Cleaned", strict=True, in_range=True)
    parsed.put_money("total", "Total")
    parsed.put("paid", "Paid", flags, strict=True, default=False)
    parsed.put_date("ready_by", "Ready By")
    parsed.put_date("collected", "Collected")
    parsed.put_date("pickup_date", "Pickup Date")
    parsed.put("delivery", "Delivery", flags, default=False)
    parsed.put("pieces", "Pieces", integers)
    parsed.make("payment_type", lambda: payment_types(export.frame["Payment Type"], business))
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, export.read)
    if legacy:
        parsed.make("payment_date", lambda: nothing.cast(pl.Date))
        parsed.make("status", lambda: nothing)
        parsed.make("name", lambda: text(export.frame["Customer"]))
    else:
        parsed.put_date("payment_date", "Payment Date")
        parsed.make("status", lambda: text(export.frame["Status"]))
        parsed.make("name", lambda: nothing)
    return parsed


HELPERS = ["cells_ok", "placed_ok", "placed_in_range", "total_ok"]
ORDER_HELPERS = [*HELPERS, "cleaned_ok", "cleaned_in_range", "paid_ok"]


def _latest_state(rows: pl.DataFrame, export: Export, tally: Tally) -> pl.DataFrame:
    """Of one order ID the later state stays: paid before unpaid, then the later Cleaned, then the later row."""
    twice = rows.filter(pl.col("order_no").is_duplicated())
    if twice.is_empty():
        return rows
    cleaned = export.frame.select(pl.col(ROW).alias("row"), pl.col("Cleaned"))
    twice = twice.select("row", "order_no", "paid", "cleaned").join(
        cleaned, on="row", how="left", maintain_order="left"
    )
    ranked = twice.with_columns(clock=seconds_of_day(twice["Cleaned"])).sort(
        "order_no", "paid", "cleaned", "clock", "row", nulls_last=False
    )
    older = ranked.filter(~pl.col("order_no").is_last_distinct())
    return tally.exclude(rows, rows["row"].is_in(older["row"].implode()), SUPERSEDED + " order")


def stg_orders(
    export: Export, business: Business, as_of: date, b2b: pl.Series, legacy: bool = False
) -> tuple[pl.DataFrame, Tally, pl.Series]:
    """Orders (of CleanCloud, or of the old system), business accounts' ones included and flagged `b2b`.

    `b2b` lists the customer_no of business accounts. Returns the rows, the tally (which counts B2B orders as excluded
    from sales) and the order_no of orders that were quarantined or belong to another store, whose items go with them.
    Columns: row, order_no, customer_no, store, placed, cleaned, ready_by, collected, pickup_date, payment_date (dates),
    delivery, pieces, total, paid, payment_type, status, name, b2b.
    """
    tally = Tally(export.source.kind, export.read)
    every = _orders(export, business, as_of, legacy).done()
    rows = tally.exclude(every, pl.col("copy"), COPY)
    rows = tally.exclude(rows, pl.col("store").is_null(), OTHER_STORE)
    rows = _contract(rows, contracts.Orders, tally)
    rows = _latest_state(rows, export, tally)
    dead = every["order_no"].drop_nulls().unique()
    dead = dead.filter(~dead.is_in(rows["order_no"].implode()))
    rows = rows.drop(ORDER_HELPERS).with_columns(b2b=pl.col("customer_no").is_in(b2b.implode()))
    if legacy:
        rows = rows.with_columns(b2b=pl.lit(False))
    if business_rows := int(rows["b2b"].sum()):
        tally.excluded[B2B] += business_rows
    tally.loaded = rows.height - business_rows
    return rows, tally, dead


def name_key(names: pl.Series) -> pl.Series:
    """A name as invoices and customers are matched by: upper case, without spaces, - . ' ,"""
    return names.str.to_uppercase().str.replace_all(r"[\s\-.',]", "")


def stg_invoices(
    export: Export, business: Business, as_of: date, customers: pl.DataFrame
) -> tuple[pl.DataFrame, Tally, list[str]]:
    """Subscription payments and paid invoices of consumers, matched to customers by name.

    Columns: row, invoice_id, customer_no, reference, subscription, store, payment_date, amount, payment_type.
    Returns also warnings about names that several customers share (told by customer ID, never by name).
    """
    tally, frame = Tally("invoices", export.read), export.frame
    parsed = _Parsed(export, business, as_of)
    number = text(frame["Invoice ID"]).str.replace(r"\.0+$", "")
    number = pl.select(pl.when(~says_nothing(frame["Invoice ID"])).then(number)).to_series()
    reference = frame["Reference"].str.strip_chars()
    parsed.make("invoice_id", lambda: number)
    parsed.make("name_key", lambda: name_key(frame["Customer"]))
    parsed.make("reference", lambda: reference)
    parsed.make("subscription", lambda: reference.str.to_uppercase().str.starts_with(business.subscription_prefix))
    parsed.make("store", lambda: stores(frame, business))
    parsed.put_date("payment_date", "Payment Date", strict=True, in_range=True)
    parsed.put_money("amount", "Amount")
    parsed.make("payment_type", lambda: payment_types(frame["Payment Method"], business))
    rows = tally.exclude(parsed.done(), pl.col("copy"), COPY)
    rows = tally.exclude(rows, pl.col("store").is_null(), OTHER_STORE)
    rows = _contract(rows, contracts.Invoices, tally)
    rows = tally.exclude(rows, ~pl.col("subscription") & pl.col("payment_date").is_null(), UNPAID)
    known = customers.select("customer_no", "b2b", name_key=name_key(customers["name"]))
    known = known.filter(pl.col("name_key").str.len_chars() > 0)
    warnings = _shared_names(known.filter(pl.col("name_key").is_in(rows["name_key"].implode())))
    known = known.unique("name_key", keep="first", maintain_order=True)
    rows = rows.join(known, on="name_key", how="left", maintain_order="left")
    strangers = rows.filter(pl.col("customer_no").is_null())
    if strangers.height:
        tally.quarantine(strangers.with_columns(rule=pl.lit(contracts.UNKNOWN_NAME)))
        warnings.append(
            f"{export.source.path.name}: {strangers.height} invoices over {business.currency} "
            f"{strangers['amount'].sum():,.2f} name a customer whom the Customers export does not know; this money is "
            "missing from the figures. Download Customers again, or correct the names."
        )
        rows = rows.filter(pl.col("customer_no").is_not_null())
    rows = tally.exclude(rows, pl.col("b2b"), B2B)
    tally.loaded = rows.height
    return (
        rows.drop("cells_ok", "payment_date_ok", "payment_date_in_range", "amount_ok", "name_key", "b2b"),
        tally,
        warnings,
    )


def _shared_names(known: pl.DataFrame) -> list[str]:
    shared = known.filter(pl.col("name_key").is_duplicated())
    if shared.is_empty():
        return []
    groups = shared.group_by("name_key", maintain_order=True).agg("customer_no")["customer_no"]
    told = "; ".join(", ".join(f"CC-{n:04d}" for n in g) for g in groups.head(10))
    more = f" and {len(groups) - 10} more" if len(groups) > 10 else ""
    return [f"Customers sharing one name, so that an invoice counts for the first of them: {told}{more}."]


def stg_items(
    export: Export, business: Business, as_of: date, orders: pl.DataFrame, dead: pl.Series, b2b: pl.Series
) -> tuple[pl.DataFrame, Tally]:
    """Item lines, business accounts' ones included and flagged `b2b`.

    `orders` has the staged CleanCloud orders, `dead` the order_no of orders that went to quarantine, `b2b` the
    customer_no of business accounts. Columns: row, order_no, customer_no (the order's, an orphan's own), store, placed,
    item, section, item_category, service_type, quantity, total, express, orphan, b2b.
    """
    tally, frame = Tally("items", export.read), export.frame
    parsed = _Parsed(export, business, as_of)
    store = stores(frame.select("Store ID"), business)
    parsed.make("order_no", lambda: _order_numbers(frame, store, business))
    parsed.make("customer_no", lambda: digits(parsed.frame["Customer ID"]))
    parsed.make("store", lambda: store)
    parsed.put_date("placed", "Placed", strict=True, in_range=True)
    parsed.put_money("total", "Total")
    parsed.put("quantity", "Quantity", lambda c: money(c), strict=True, default=0)
    parsed.put("express", "Express", flags, default=False)
    for name in ("Item", "Section"):
        parsed.make(name.lower(), partial(_by_value, frame[name], lambda value: value.str.strip_chars()))
    classes = item_classes(frame, business)
    for name in classes.columns:
        parsed.make(name, partial(classes.get_column, name))
    rows = tally.exclude(parsed.done(), pl.col("copy"), COPY)
    rows = tally.exclude(rows, pl.col("store").is_null(), OTHER_STORE)
    rows = tally.exclude(rows, pl.col("order_no").is_in(dead.implode()).fill_null(False), DEAD_ORDER)
    owners = orders.select("order_no", owner="customer_no")
    rows = rows.join(owners, on="order_no", how="left", maintain_order="left")
    rows = rows.with_columns(customer_no=pl.coalesce("owner", "customer_no"), orphan=pl.col("owner").is_null()).drop(
        "owner"
    )
    rows = _contract(rows, contracts.Items, tally)
    tally.loaded = rows.height
    return rows.drop([*HELPERS, "quantity_ok"]).with_columns(b2b=pl.col("customer_no").is_in(b2b.implode())), tally


def as_of_from_orders(export: Export, business: Business) -> date:
    """The newest Placed of the Orders export: the exports' date where no file name carries one."""
    newest = dates(export.frame["Placed"], business.month_day_year).max()
    if newest is None:
        raise ExportError(
            f"{export.source.path.name}: no date in its name and none readable in the column Placed. Give the file its "
            "date: CC-Orders-2026-03-05.csv."
        )
    return newest
