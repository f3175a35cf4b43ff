"""Who the business is on paper: legal name, tax number, address and bank, from [legal] of the business file."""

from dataclasses import dataclass, field, fields

from etl.errors import BusinessError


@dataclass(frozen=True)
class Bank:
    """Where customers can pay by transfer. All empty: nowhere. lines: details as an older file has them, one text."""

    name: str = ""
    account_name: str = ""  # empty: the business's legal name
    account_number: str = ""
    iban: str = ""  # in groups of four
    swift: str = ""
    lines: str = ""

    def __bool__(self) -> bool:
        return bool(self.account_number or self.iban or self.lines)


@dataclass(frozen=True)
class Arabic:
    """What statements in Arabic say instead; empty: as in English."""

    name: str = ""
    address: str = ""
    bank: str = ""
    currency: str = ""


@dataclass(frozen=True)
class Legal:
    """The facts that stand on a statement of account. What is empty isn't printed."""

    name: str
    tax_number: str = ""
    address: str = ""
    phone: str = ""
    email: str = ""
    bank: Bank = field(default_factory=Bank)
    arabic: Arabic = field(default_factory=Arabic)


def read_legal(raw: dict, business_name: str) -> Legal:
    """The table [legal] as written. Without a name the business's own name stands.

    Raises BusinessError for a value of the wrong kind, a setting of the bank that doesn't exist (a mistyped IBAN would
    silently be missing from every statement) and an IBAN whose check digits are wrong.
    """
    if not isinstance(raw, dict):
        raise BusinessError("[legal] is no table; write its settings below a line [legal].")
    said = {f: _text(raw, f, "legal") for f in ("name", "tax_number", "address", "phone", "email")}
    said["name"] = said["name"] or business_name
    bank = raw.get("bank", {})
    bank = Bank(lines=bank.strip()) if isinstance(bank, str) else _bank(bank)
    return Legal(**said, bank=bank, arabic=Arabic(**_table(raw.get("arabic", {}), Arabic, "legal.arabic")))


def _bank(raw: dict) -> Bank:
    said = _table(raw, Bank, "legal.bank")
    said["iban"] = iban(said["iban"])
    return Bank(**said)


def _table(raw: dict, kind: type, where: str) -> dict[str, str]:
    known = [f.name for f in fields(kind) if f.name != "lines"]
    if not isinstance(raw, dict):
        raise BusinessError(f"[{where}] is no table; its settings are {', '.join(known)}.")
    if wrong := sorted(set(raw) - set(known)):
        raise BusinessError(f"[{where}] has no setting {', '.join(wrong)}; it has {', '.join(known)}.")
    return {name: _text(raw, name, where) for name in known}


def _text(raw: dict, key: str, where: str) -> str:
    value = raw.get(key, "")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BusinessError(f'[{where}] {key} = {value!r} is no text; write it between quotes: "...".')
    return str(value).strip()  # a number without quotes is meant as its digits


def iban(text: str) -> str:
    """An IBAN in groups of four; "" for none. Raises BusinessError when its check digits (ISO 13616) are wrong."""
    plain = "".join(text.split()).upper()
    if not plain:
        return ""
    digits = "".join(str(int(c, 36)) for c in plain[4:] + plain[:4]) if plain.isascii() and plain.isalnum() else ""
    if not 15 <= len(plain) <= 34 or not digits or int(digits) % 97 != 1:
        raise BusinessError(f'[legal.bank] iban = "{text}" has a typing error: its check digits are wrong.')
    return " ".join(plain[i : i + 4] for i in range(0, len(plain), 4))
