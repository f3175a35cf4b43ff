"""What a text may be that somebody is looked for by: one rule for the header's search, the worklist and the admin.

Every word of it is in the name, in any order and case; or it is in a customer's or an order's number, however that is
written; or it is a phone, however that is written: its beginning, its end, or a good part of it. Names are compared
without accents, and one apostrophe is as good as another: muller finds Müller. The export's phone finds too where
staff corrected it.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from django.db.models import CharField, F, Func, Q
from django.db.models.lookups import Contains

from operations.models import Customer
from operations.phones import phone_key

LAST_DIGITS = 3  # of a phone: fewer find too many
MIDDLE_DIGITS = 5  # found anywhere in a phone
_PHONE = re.compile(r"[\d\s+()./\u200e\u200f\u202a-\u202c-]+")
_CUSTOMER = re.compile(r"(CC|MW)[\s-]*0*(\d{1,12})", re.I)
_ORDER = re.compile(r"([A-Z])[\s-]*(\d{1,12})", re.I)

# Of Latin and Arabic letters, and the line that stretches Arabic words: what a name is compared without.
_MARKS = "[\u0300-\u036f\u0640\u064b-\u065f\u0670]"
_MARK = re.compile(_MARKS)
# Letters that are none with a mark to Unicode, and the ways to write an apostrophe.
_LETTERS, _PLAIN = "ØøŁłĐđİı\u2018\u2019\u02bc\u0060\u00b4", "oollddii" + "'" * 5
_PAIRS = {"ß": "ss", "ẞ": "ss", "Æ": "ae", "æ": "ae", "Œ": "oe", "œ": "oe"}
_TO_PLAIN = str.maketrans(dict(zip(_LETTERS, _PLAIN, strict=True)) | _PAIRS)
# What a number copied out of an Arabic message brings along (messages.py).
_COPIED = {0: None, 0x2010: "-", 0x2011: "-"} | dict.fromkeys(range(0x2066, 0x206A))


def plain(text: str) -> str:
    """A name as names are compared: Müller, MULLER and muller are all muller; O’Brien is o'brien."""
    if text.isascii():
        return text.replace("`", "'").lower()
    bare = unicodedata.normalize("NFKD", text.translate(_TO_PLAIN))
    return _MARK.sub("", bare).casefold()


class Plain(Func):
    """plain() of a text in the database. SQLite is given the function itself (with_plain())."""

    output_field = CharField()

    def as_sqlite(self, compiler, connection, **more):
        return self.as_sql(compiler, connection, function="moonwalk_plain", **more)

    def as_postgresql(self, compiler, connection, **more):
        of, params = compiler.compile(self.source_expressions[0])
        said = f"translate({of}, %s, %s)"
        params = [*params, _LETTERS, _PLAIN]
        for letter, pair in _PAIRS.items():
            said, params = f"replace({said}, %s, %s)", [*params, letter, pair]
        return f"lower(regexp_replace(normalize({said}, NFKD), %s, '', 'g'))", [*params, _MARKS]


def with_plain(connection, **_) -> None:
    """Receives connection_created: names are compared by this very function in SQLite."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("moonwalk_plain", 1, _plain_or_none, deterministic=True)


def _plain_or_none(text: str | None) -> str | None:
    return None if text is None else plain(text)


def clean(text: str, most: int) -> str:
    """A text as it is sought: without what no database takes, its blanks single, at most so many characters."""
    return " ".join(text.translate(_COPIED).split())[:most].strip()


def customer_number(text: str) -> str:
    """cc1, CC-0001 and cc 01 are all CC-0001; "" for what is none."""
    found = _CUSTOMER.fullmatch(text)
    return f"{found[1].upper()}-{int(found[2]):04d}" if found else ""


def order_number(text: str) -> str:
    """m102, M-00102 and m 102 are all M-00102; "" for what is none."""
    found = _ORDER.fullmatch(text)
    return f"{found[1].upper()}-{int(found[2]):05d}" if found else ""


def phone_digits(text: str) -> str:
    """The digits of what can be a phone or the end of one, Arabic ones too; "" for what can't."""
    digits = "".join(str(int(c)) for c in text if c.isdecimal())
    return digits if _PHONE.fullmatch(text) and len(digits) >= LAST_DIGITS else ""


@dataclass(frozen=True)
class Sought:
    """A text that was cleaned, asked of rows in memory (in_...) or of the database (Q of a field's path)."""

    text: str

    @cached_property
    def customer(self) -> str:
        return customer_number(self.text)

    @cached_property
    def order(self) -> str:
        return order_number(self.text)

    @cached_property
    def digits(self) -> str:
        return phone_digits(self.text)

    @cached_property
    def key(self) -> str:
        """As phones are compared; "" for what is no phone."""
        return phone_key(self.text) if self.digits else ""

    @cached_property
    def _said(self) -> str:
        return self.text.casefold()

    @cached_property
    def _words(self) -> list[str]:
        return plain(self.text).split()

    @cached_property
    def numbered(self) -> tuple[str, ...]:
        """The customers whose number, without its letters, this is: 146 is CC-0146 and MW-0146."""
        if not (self.text.isascii() and self.text.isdigit() and len(self.text) <= 12):
            return ()
        number = f"{int(self.text):04d}"
        return (f"CC-{number}", f"MW-{number}") if len(self.text) <= len(number) else ()  # 0000001 ends a phone

    @cached_property
    def may_be_order(self) -> bool:
        """Orders are sought by what has a digit and is one word, or a number written with a blank."""
        return any(c.isdecimal() for c in self.text) and (" " not in self.text or bool(self.order))

    def in_name(self, name: str) -> bool:
        name = plain(name)
        return bool(self._words) and all(word in name for word in self._words)

    def in_customer(self, customer_id: str) -> bool:
        return self._said in customer_id.casefold() or customer_id.upper() == self.customer

    def in_order(self, order_id: str) -> bool:
        return self.may_be_order and (self._said in order_id.casefold() or order_id.upper() == self.order)

    def in_phone(self, key: str) -> bool:
        """key: a phone_key."""
        if not self.digits or not key:
            return False
        return (
            key.startswith(self.key)
            or key.endswith(self.digits)
            or (len(self.digits) >= MIDDLE_DIGITS and self.digits in key)
        )

    def phones(self, path: str = "phone_key") -> Q | None:
        """in_phone() of a field, or of the export's phone where staff corrected it; None for what is no phone. One
        question, of those corrected."""
        if not self.digits:
            return None
        wanted = Q(**{f"{path}__startswith": self.key}) | Q(**{f"{path}__endswith": self.digits})
        if len(self.digits) >= MIDDLE_DIGITS:
            wanted |= Q(**{f"{path}__contains": self.digits})
        return wanted | Q(**{f"{path.removesuffix('phone_key')}pk__in": self.by_export_phone})

    @cached_property
    def by_export_phone(self) -> list[str]:
        """The customers whose phone in the export this is in, though staff corrected it: they are few."""
        corrected = Customer.objects.filter(own_phone__isnull=False).order_by().values_list("pk", "phone")
        return [pk for pk, phone in corrected if self.in_phone(phone_key(phone))]

    def names(self, path: str) -> Q:
        """in_name() of a field."""
        return self.words_in([path])

    def words_in(self, paths: Iterable[str]) -> Q:
        """Every word in one of the fields; of no word: nothing."""
        wanted = Q() if self._words else Q(pk__in=[])
        for word in self._words:
            one = Q()
            for path in paths:
                one |= Q(Contains(Plain(F(path)), word))
            wanted &= one
        return wanted
