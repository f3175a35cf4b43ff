"""What a text may be that somebody is looked for by: one rule for the header's search, the worklist and the admin.

Every word of it is in the name, in any order and case; or it is in a customer's or an order's number, however that is
written; or it is a phone, however that is written: its beginning, its end, or a good part of it.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from django.db.models import Q

from operations.phones import phone_key

LAST_DIGITS = 3  # of a phone: fewer find too many
MIDDLE_DIGITS = 5  # found anywhere in a phone
_PHONE = re.compile(r"[\d\s+()./\u200e\u200f\u202a-\u202c-]+")
_CUSTOMER = re.compile(r"(CC|MW)[\s-]*0*(\d{1,12})", re.I)
_ORDER = re.compile(r"([A-Z])[\s-]*(\d{1,12})", re.I)


def clean(text: str, most: int) -> str:
    """A text as it is sought: without what no database takes, its blanks single, at most so many characters."""
    return " ".join(text.replace("\x00", "").split())[:most].strip()


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
        return self._said.split()

    @cached_property
    def may_be_order(self) -> bool:
        """Orders are sought by what has a digit and is one word, or a number written with a blank."""
        return any(c.isdecimal() for c in self.text) and (" " not in self.text or bool(self.order))

    def in_name(self, name: str) -> bool:
        name = name.casefold()
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
        """in_phone() of a field; None for what is no phone."""
        if not self.digits:
            return None
        wanted = Q(**{f"{path}__startswith": self.key}) | Q(**{f"{path}__endswith": self.digits})
        return wanted | Q(**{f"{path}__contains": self.digits}) if len(self.digits) >= MIDDLE_DIGITS else wanted

    def names(self, path: str) -> Q:
        """in_name() of a field. SQLite ignores the case of ASCII letters alone: of others it is asked in both."""
        wanted = Q()
        for word in self.text.split():
            ways = {word} if word.isascii() else {word, word.lower(), word.upper(), word.title()}
            one = Q()
            for way in ways:
                one |= Q(**{f"{path}__icontains": way})
            wanted &= one
        return wanted
