"""One telephone number has one key, however it is written."""

import pytest

from operations.phones import LONGEST, own_dial_code, phone_key

MOBILE = "971501234567"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("050 123 4567", MOBILE),
        ("050-1234567", MOBILE),
        ("+971 50 123 4567", MOBILE),
        ("+97150 1234567", MOBILE),
        ("00971501234567", MOBILE),
        ("971501234567", MOBILE),
        ("+971 (0)50 123 4567", MOBILE),
        ("50 123 4567", MOBILE),
        ("\u202a+971 50 123 4567\u202c", MOBILE),  # as copied from a phone
        ("٠٥٠١٢٣٤٥٦٧", MOBILE),
        ("050 123 4567 / 055 765 4321", MOBILE),
        ("Mobile: 0501234567", MOBILE),
        ("02 123 4567", "97121234567"),
        ("2 123 4567", "97121234567"),
        ("+44 20 7946 0958", "442079460958"),
        ("0044 20 7946 0958", "442079460958"),
        ("+5 123 4567 8", "512345678"),  # another country, though it has as many digits as a number of ours
        ("800 3425", "8003425"),  # a service number stays as it is
        ("", ""),
        ("none", ""),
        (" / ", ""),
        ("0", "971"),
    ],
)
def test_a_number_has_one_key(written, key):
    assert phone_key(written, "971") == key


@pytest.mark.parametrize("start", ["050", "0501", "+97150", "0097150", "97150", "0501234", "050123456"])
def test_the_start_of_a_number_gives_the_start_of_its_key(start):
    assert MOBILE.startswith(phone_key(start, "971"))
    assert len(phone_key(start, "971")) >= 5


def test_a_key_fits_its_column():
    from operations.models import Customer

    assert Customer._meta.get_field("phone_key").max_length == LONGEST == len(phone_key("1" * 100, "971"))


def test_the_country_is_the_business_files(settings, tmp_path):
    text = settings.BUSINESS_FILE.read_text(encoding="utf-8")
    settings.BUSINESS_FILE = tmp_path / "business.toml"
    settings.BUSINESS_FILE.write_text(text.replace('dial_code = "971"', 'dial_code = "44"'), encoding="utf-8")
    assert phone_key("020 7946 0958") == "442079460958"
    settings.BUSINESS_FILE.write_text("\n".join(x for x in text.splitlines() if not x.startswith("dial_code")))
    assert own_dial_code() == "971", "a business file of before, without the setting"
    settings.BUSINESS_FILE.write_text("not [toml")
    assert phone_key("0501234567") == MOBILE, "a broken file stops refreshes, not a search"
