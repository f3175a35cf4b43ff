"""[legal] of the business file: what statements of account say of the business, its bank above all."""

import re

import pytest

from etl.business import DEFAULT_FILE, load_business
from etl.errors import BusinessError
from etl.legal import Arabic, Bank, Legal, iban

OWN = DEFAULT_FILE.read_text(encoding="utf-8")
# The whole of [legal] and its tables in our own file, and what stands around it.
BEFORE, AFTER = re.split(r"\[legal\][^\0]*?(?=\[subscription\])", OWN)


@pytest.fixture
def legal_of(tmp_path):
    """legal_of(toml) -> the Legal of a business file with this in place of our own [legal]."""

    def read(toml: str) -> Legal:
        file = tmp_path / "business.toml"
        file.write_text(BEFORE + toml + "\n" + AFTER, encoding="utf-8")
        return load_business(file).legal

    return read


def test_our_own_file_names_the_business_and_no_bank_yet():
    legal = load_business().legal
    assert legal.name == "Moon Walk Laundry L.L.C." and legal.address == "Abu Dhabi, United Arab Emirates"
    assert not legal.bank and legal.arabic.currency == "درهم"


def test_every_fact_is_read(legal_of):
    legal = legal_of(
        """[legal]
        name = "Clean L.L.C."
        tax_number = 100123456789003
        address = "Street 1\\nAbu Dhabi"
        phone = "+971 2 123 4567"
        email = "a@example.com"
        [legal.bank]
        name = "First Bank"
        account_number = "0019100144"
        iban = "ae07 0331 2345 6789 0123 456"
        swift = "AAAAAEAA"
        [legal.arabic]
        name = "كلين ذ.م.م"
        currency = "درهم"
        """
    )
    bank = Bank("First Bank", "", "0019100144", "AE07 0331 2345 6789 0123 456", "AAAAAEAA")
    assert legal == Legal(
        "Clean L.L.C.", "100123456789003", "Street 1\nAbu Dhabi", "+971 2 123 4567", "a@example.com", bank,
        Arabic(name="كلين ذ.م.م", currency="درهم"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("toml", "bank"),
    [
        ('[legal]\nname = "X"\nbank = "First Bank, account 0019"', Bank(lines="First Bank, account 0019")),
        ('[legal]\nname = "X"\nbank = ""', Bank()),
        ("", Bank()),
    ],
)
def test_a_file_from_before_the_bank_had_a_table_stays_valid(legal_of, toml, bank):
    legal = legal_of(toml)
    assert legal.bank == bank and bool(legal.bank) == bool(bank.lines)
    assert legal.name == ("X" if toml else "Moon Walk"), "without a legal name the business's own stands"


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('[legal.bank]\nibn = "AE07"', r"\[legal.bank\] has no setting ibn; it has name, account_name"),
        ('[legal.bank]\nlines = "x"', "has no setting lines"),
        ('[legal.arabic]\ncurency = "x"', r"\[legal.arabic\] has no setting curency"),
        ('[legal.bank]\niban = "AE08 0331 2345 6789 0123 456"', "check digits are wrong"),
        ("[legal]\nname = true", r"\[legal\] name = True is no text"),
        ("[legal]\naddress = [1]", "address = .* is no text"),
        ("[legal]\nbank = 7", r"\[legal.bank\] is no table"),
    ],
)
def test_a_mistake_is_said_with_its_setting(legal_of, toml, says):
    with pytest.raises(BusinessError, match=says):
        legal_of(toml)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        # the UAE's and Britain's examples in the registry of ISO 13616
        ("AE070331234567890123456", "AE07 0331 2345 6789 0123 456"),
        (" gb29 NWBK 6016 1331 9268 19 ", "GB29 NWBK 6016 1331 9268 19"),
    ],
)
def test_an_iban_is_shown_in_groups_of_four(text, shown):
    assert iban(text) == shown


@pytest.mark.parametrize("text", ["AE070331234567890123465", "AE07", "AE07-0331", "٠٧", "AE070331234567890123456" * 2])
def test_an_iban_with_a_typing_error_is_refused(text):
    with pytest.raises(BusinessError, match="check digits"):
        iban(text)
