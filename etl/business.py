"""The facts of one business (stores, routes, keywords, currency, time zone), read from a TOML file."""

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from etl.errors import BusinessError
from etl.legal import Legal, read_legal

DEFAULT_FILE = Path(__file__).with_name("business.toml")


def slug(name: str) -> str:
    """A name in a URL: "Wash & Press" -> "wash-press". Letters of every script stay."""
    return re.sub(r"[\W_]+", "-", name.lower()).strip("-")


@dataclass(frozen=True)
class Store:
    """One shop. `id` as CleanCloud numbers it; `order_prefix` begins its standard order IDs."""

    id: str
    name: str
    order_prefix: str
    name_contains: str

    @property
    def slug(self) -> str:
        """The store in a URL: `moon-walk`."""
        return slug(self.name)


@dataclass(frozen=True)
class Area:
    """Delivery routes that count as one area; no `first` route: every route not taken before."""

    name: str
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class Keywords:
    """A class of items, services or payments and the words that tell it; no words: all the rest."""

    name: str
    words: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()
    to_be_invoiced: bool = False


@dataclass(frozen=True)
class Business:
    """One business's facts. Names are in the order in which pages show them."""

    name: str
    currency: str
    currency_words: tuple[str, ...]
    timezone: str
    refresh_at: str
    month_day_year: bool
    earliest_date: date
    payment_terms_days: int
    dial_code: str
    legal: Legal
    subscription_prefix: str
    subscription_days: int
    legacy_store: str
    stores: tuple[Store, ...]
    area_rules: tuple[Area, ...]
    category_rules: tuple[Keywords, ...]
    service_rules: tuple[Keywords, ...]
    payment_rules: tuple[Keywords, ...]
    text: str  # the file as it is: part of what a build is made of

    @property
    def store_names(self) -> tuple[str, ...]:
        return tuple(s.name for s in self.stores)

    @property
    def areas(self) -> tuple[str, ...]:
        return tuple(a.name for a in self.area_rules)

    @property
    def item_categories(self) -> tuple[str, ...]:
        return tuple(k.name for k in self.category_rules)

    @property
    def service_types(self) -> tuple[str, ...]:
        return tuple(k.name for k in self.service_rules)

    @property
    def payment_types(self) -> tuple[str, ...]:
        return tuple(k.name for k in self.payment_rules)

    @property
    def to_be_invoiced(self) -> tuple[str, ...]:
        return tuple(k.name for k in self.payment_rules if k.to_be_invoiced)


# The figures know these: what a business calls its ways to pay is a matter of words, not of names.
PAYMENT_TYPES = {"Cash", "Terminal", "Stripe", "Receivable", "Other"}


def reduced(word: str) -> str:
    """A word as it is looked for in items and sections: lower-case letters and digits alone."""
    return "".join(c for c in word.lower() if c.isascii() and c.isalnum())


def _keywords(raw: list[dict], where: str, as_looked_for=reduced) -> tuple[Keywords, ...]:
    rules = tuple(
        Keywords(
            r["name"],
            tuple(as_looked_for(w) for w in r.get("words", ())),
            tuple(as_looked_for(w) for w in r.get("not_in", ())),
            bool(r.get("to_be_invoiced", False)),
        )
        for r in raw
    )
    if not all(w for rule in rules for w in rule.words):
        raise BusinessError(f"[[{where}]]: a word without letters or digits would match everything; take it out.")
    if not rules or rules[-1].words or any(not r.words for r in rules[:-1]):
        raise BusinessError(f"[[{where}]]: the last entry, and only the last, has no words: it takes all the rest.")
    return rules


def _payment_types(raw: list[dict]) -> tuple[Keywords, ...]:
    rules = _keywords(raw, "payment_types", str.upper)
    if {r.name for r in rules} != PAYMENT_TYPES:
        raise BusinessError(f"[[payment_types]]: the names are {', '.join(sorted(PAYMENT_TYPES))}; change their words.")
    return rules


def _dial_code(raw: str) -> str:
    if not (isinstance(raw, str) and raw.isascii() and raw.isdigit() and not raw.startswith("0")):
        raise BusinessError(f'dial_code = "{raw}": write the country code in digits alone, as "971".')
    return raw


def _areas(raw: list[dict]) -> tuple[Area, ...]:
    areas = tuple(Area(a["name"], *(a.get("routes", {}).get(k) for k in ("from", "to"))) for a in raw)
    if not areas or areas[-1].first is not None or any(a.first is None for a in areas[:-1]):
        raise BusinessError("[[areas]]: the last entry, and only the last, has no routes: it takes all the rest.")
    return areas


def _stores(raw: list[dict], legacy_store: str) -> tuple[Store, ...]:
    stores = tuple(Store(str(s["id"]), s["name"], s["order_prefix"], s["name_contains"].upper()) for s in raw)
    for store in stores:
        if not store.id.isdigit():
            raise BusinessError(f'[[stores]]: id = "{store.id}" is no number; write CleanCloud\'s Store ID in digits.')
        if store.slug in ("", "all"):  # addresses say "all" of all stores
            raise BusinessError(f'[[stores]]: name = "{store.name}" can\'t stand in an address; use letters or digits.')
    for what in ("id", "name", "order_prefix"):
        if len({getattr(s, what) for s in stores}) != len(stores):
            raise BusinessError(f"[[stores]]: two stores share the same {what}; give each its own.")
    if len({s.slug for s in stores}) != len(stores):
        raise BusinessError("[[stores]]: two names differ by signs alone, and addresses have none; give each its own.")
    if legacy_store not in {s.name for s in stores}:
        raise BusinessError(f'[legacy] store = "{legacy_store}" is none of the [[stores]]; name one of them.')
    return stores


def load_business(path: Path | str | None = None) -> Business:
    """Read a business file; none given: this business's own.

    Raises BusinessError when the file is missing, not TOML, lacks a setting or contradicts itself.
    """
    path = Path(path) if path else DEFAULT_FILE
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except FileNotFoundError:
        raise BusinessError(f"The business file {path} does not exist: mend MOONWALK_BUSINESS_FILE.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BusinessError(f"The business file {path} is not valid TOML: {error}") from None
    try:
        ZoneInfo(raw["time_zone"])
        return Business(
            name=raw["name"],
            currency=raw["currency"],
            currency_words=tuple(raw["currency_words"]),
            timezone=raw["time_zone"],
            refresh_at=raw["refresh_at"],
            month_day_year=raw["month_day_year"],
            earliest_date=raw["earliest_date"],
            payment_terms_days=raw["payment_terms_days"],
            dial_code=_dial_code(raw.get("dial_code", "971")),
            legal=read_legal(raw.get("legal", {}), raw["name"]),
            subscription_prefix=raw["subscription"]["reference_prefix"].upper(),
            subscription_days=raw["subscription"]["valid_days"],
            legacy_store=raw["legacy"]["store"],
            stores=_stores(raw["stores"], raw["legacy"]["store"]),
            area_rules=_areas(raw["areas"]),
            category_rules=_keywords(raw["item_categories"], "item_categories"),
            service_rules=_keywords(raw["service_types"], "service_types"),
            payment_rules=_payment_types(raw["payment_types"]),
            text=text,
        )
    except KeyError as error:
        raise BusinessError(
            f"The business file {path} lacks the setting {error}; copy it from {DEFAULT_FILE}."
        ) from None
    except BusinessError as error:
        raise BusinessError(f"The business file {path}: {error}") from None
    except (TypeError, ValueError, AttributeError, OSError) as error:
        raise BusinessError(f"The business file {path} has a value of the wrong kind: {error}") from None
