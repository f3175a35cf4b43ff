"""Cells: what each way of writing a value means. Expectations by hand from docs/exports.md."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from etl import staging
from etl.business import load_business

BUSINESS = load_business()


def cells(*values: str) -> pl.Series:
    return pl.Series(values, dtype=pl.String)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2025-01-15", date(2025, 1, 15)),
        ("2025-03-21 01:29:10", date(2025, 3, 21)),
        ("2025-03-21 01:29", date(2025, 3, 21)),
        ("2025-03-21T23:59:59", date(2025, 3, 21)),
        ("21 Mar 2025 00:39", date(2025, 3, 21)),
        ("1 May 2026", date(2026, 5, 1)),
        ("45292", date(2024, 1, 1)),  # 45292 days after 1899-12-30
        ("45292.0", date(2024, 1, 1)),
        ("45292.75", date(2024, 1, 1)),  # six in the evening of that day
        ("", None),
        ("2025-02-30", None),
        ("31 Feb 2025", None),
        ("15/01/2025", None),
        ("3/21/2025", None),
        ("TBC", None),
        ("2025", None),
        ("2025-03-21 25:00:00", None),
        ("2025-03-21 yesterday", None),
    ],
)
def test_a_date_is_read_or_not(text, day):
    assert staging.dates(cells(text)).to_list() == [day]


@pytest.mark.parametrize("text", ["3/21/2025", "03/21/2025 1:05 PM", "3/21/2025 13:05"])
def test_month_first_dates_are_read_where_the_business_says_so(text):
    assert staging.dates(cells(text), month_day_year=True).to_list() == [date(2025, 3, 21)]


def test_formats_mix_within_one_column():
    read = staging.dates(cells("2025-01-15", "45292", "", "1 May 2026", "no"))
    assert read.to_list() == [date(2025, 1, 15), date(2024, 1, 1), None, date(2026, 5, 1), None]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("12.50", "12.50"),
        ("12", "12.00"),
        ("1,234.56", "1234.56"),
        ("$1,234.56", "1234.56"),
        ("AED 12.50", "12.50"),
        ("Dhs 12.50", "12.50"),
        ("dhs12.50", "12.50"),
        ("12.50 AED", "12.50"),
        ("(6.85)", "-6.85"),
        ("(AED 1,006.85)", "-1006.85"),
        ("-12.50", "-12.50"),
        ("0.00", "0.00"),
        (".5", "0.50"),
        ("N/A", None),
        ("1e2", None),
        ("12,50", None),
        ("1,23.45", None),
        ("", None),
        ("AED", None),
        ("--5", None),
    ],
)
def test_money_is_read_or_not(text, amount):
    read = staging.money(cells(text), BUSINESS.currency_words)
    assert read.dtype == pl.Decimal(12, 2)
    assert read.to_list() == [amount and Decimal(amount)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1", True),
        ("0", False),
        ("Yes", True),
        ("no", False),
        ("TRUE", True),
        ("False", False),
        ("Paid", True),
        ("unpaid", False),
        ("1.0", True),
        ("0.0", False),
        ("2", None),
        ("", None),
        ("maybe", None),
    ],
)
def test_a_flag_is_read_or_not(text, said):
    assert staging.flags(cells(text)).to_list() == [said]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("12.0", 12),
        ("00079", 79),
        ("CC-0001", 1),
        ("#1015", 1015),
        ("R-10002", 10002),
        ("r10002", 10002),
        ("Store 38516", 38516),
        ("38516 (H)", 38516),
        ("ORD1234", 1234),
        ("1.23457E+11", None),
        ("12.50", None),
        ("12e3", None),
        ("1,015", 1015),
        ("unknown", None),
        ("", None),
    ],
)
def test_an_id_is_its_number_whatever_stands_around(text, number):
    assert staging.digits(cells(text)).to_list() == [number]


@pytest.mark.parametrize(
    ("text", "number"), [("3", 3), ("3.0", 3), ("-1", -1), ("3.7", None), ("two", None), ("", None)]
)
def test_a_whole_number_is_read_or_not(text, number):
    assert staging.integers(cells(text)).to_list() == [number]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Cash", "Cash"),
        ("  cash ", "Cash"),
        ("Cash + Card", "Cash"),
        ("cash/INVOICE", "Cash"),
        ("Card", "Terminal"),
        ("TERMINAL", "Terminal"),
        ("Card/Bank", "Terminal"),
        ("Card on file (Stripe)", "Terminal"),
        ("Bank Transfer / Stripe", "Stripe"),
        ("stripe link", "Stripe"),
        ("Invoice (Bank Transfer)", "Stripe"),
        ("Invoice", "Receivable"),
        ("on account (INVOICE)", "Receivable"),
        ("Cheque", "Other"),
        ("", "Other"),
    ],
)
def test_a_payment_type_is_the_first_that_matches(text, kind):
    assert staging.payment_types(cells(text), BUSINESS).to_list() == [kind]


@pytest.mark.parametrize(
    ("item", "section", "category", "service"),
    [
        ("Kandura", "Wash & Press", "Traditional Wear", "Wash & Press"),
        ("Abaya - Embroidered", "Dry Cleaning", "Traditional Wear", "Dry Cleaning"),
        ("Duvet King", "LAUNDRY", "Home Linens", "Wash & Press"),
        ("Blue Shirt", "Dry-Clean", "Professional Wear", "Dry Cleaning"),
        ("Manto", "Press Only", "Others", "Press Only"),  # glued together they would hold "top"
        ("Sneakers", "Shoe Care", "Extras", "Other Service"),
        ("Dress", "Bed Sheets & Linen Wash", "Home Linens", "Wash & Press"),
        ("Dress", "Express Service", "Others", "Other Service"),  # the press in "express" is no press
        ("Dress", "Express Press", "Others", "Press Only"),
        ("Dress", "Dry Clean & Press", "Others", "Dry Cleaning"),
        ("Dress", "Dry  Cleaning", "Others", "Dry Cleaning"),
        ("Trouser Shortening", "Alterations", "Professional Wear", "Other Service"),
        ("", "", "Others", "Other Service"),
        ("Dress", "Ironing", "Others", "Press Only"),
    ],
)
def test_an_item_has_a_category_and_a_service(item, section, category, service):
    frame = pl.DataFrame({"Item": [item], "Section": [section]})
    assert staging.item_classes(frame, BUSINESS).row(0) == (category, service)


@pytest.mark.parametrize(
    ("store_id", "store_name", "store"),
    [
        ("36319", "", "Moon Walk"),
        ("38516", "Moon Walk", "Hielo"),
        ("#36319", "", "Moon Walk"),
        ("38516.0", "", "Hielo"),
        ("", "MOON WALK (old till)", "Moon Walk"),
        ("unknown", "hielo pop-up", "Hielo"),
        ("40001", "Moonwalk HQ", "Moon Walk"),
        ("40001", "Lime Test Store", None),
        ("", "", None),
    ],
)
def test_a_store_is_known_by_its_number_else_by_its_name(store_id, store_name, store):
    frame = pl.DataFrame({"Store ID": [store_id], "Store Name": [store_name]})
    assert staging.stores(frame, BUSINESS).to_list() == [store]


def test_a_name_is_matched_without_case_spaces_and_points():
    assert staging.name_key(cells(" yuki  v. Al-Ameri, O'Neill ")).to_list() == ["YUKIVALAMERIONEILL"]


def test_times_of_day_break_ties():
    read = staging.seconds_of_day(
        cells("2025-03-21 01:29:10", "21 Mar 2025 00:39", "45292.75", "2025-03-21", "1:05 PM")
    )
    assert read.to_list() == [5350, 2340, 64800, 0, 47100]
