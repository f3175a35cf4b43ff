"""Telephone numbers as people write them, and the one form in which they are compared and searched."""

import re

from analytics.business import business
from etl.business import load_business
from etl.errors import BusinessError

LONGEST = 40  # as long as Customer.phone_key; no number in the world has half of it
SHORTEST = 5  # digits; less is no phone that anybody could ring
_LOCAL = (8, 9)  # digits of a number written without the 0 before its area: 2 123 4567, 50 123 4567


def phone_key(text: str, dial_code: str | None = None) -> str:
    """Digits alone, the country's code before them: 050 123 4567, +971 50 123 4567 and 00971501234567 are all
    971501234567. Of several numbers the first. "" when there is no digit.

    The start of a number gives the start of its key (0501 -> 971501), so a search goes by it too. dial_code: of the
    business's country; by default what the business file says.
    """
    code = dial_code or own_dial_code()
    first = next((part for part in re.split(r"[/;,\n]", text) if any(c.isdecimal() for c in part)), "")
    plus = first.lstrip("\u200e\u200f\u202a\u202c ").startswith("+")
    digits = "".join(str(int(c)) for c in first if c.isdecimal())  # int() reads Arabic digits too
    if digits.startswith("00"):
        plus, digits = True, digits[2:]
    if digits.startswith(code + "0"):  # +971 (0)50 ...
        digits = code + digits[len(code) + 1 :]
    elif digits.startswith("0") and not plus:
        digits = code + digits[1:]
    elif not plus and not digits.startswith(code) and len(digits) in _LOCAL:
        digits = code + digits
    return digits[:LONGEST]


def is_phone(key: str) -> bool:
    """Can this phone_key be rung, or is it a "+0" that somebody wrote for nothing?"""
    return len(key) >= SHORTEST


def own_dial_code() -> str:
    """The country code of the business file that the settings name; this business's own when it can't be read."""
    try:
        return business().dial_code
    except BusinessError:  # said elsewhere (system checks, refresh): looking somebody up goes on
        return load_business().dial_code
