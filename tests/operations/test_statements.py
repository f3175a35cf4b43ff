"""Statements of account: the figures, and what stands on paper, read back from the PDF and the workbook."""

import io
import json
import os
import re
import subprocess
import unicodedata
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal as D
from html import unescape
from uuid import uuid4

import openpyxl
import pytest
from django.utils import timezone

from etl.business import load_business
from etl.legal import Arabic, Bank, Legal
from operations import services, statements
from operations.models import Customer, Order, RefreshRun
from operations.statements import OpenOrder, Party, Received, Statement, statement_xlsx, statements_pdf

AS_OF = date(2026, 3, 5)
BANK = Bank("First Bank", "", "0019100144", "AE07 0331 2345 6789 0123 456", "AAAAAEAA")
LEGAL = Legal(
    "Clean L.L.C.", "100123456789003", "Street 1\nAbu Dhabi", "+971 2 123 4567", "desk@example.com", BANK,
    Arabic("كلين ذ.م.م", "أبوظبي", "المصرف الأول", "درهم"),
)  # fmt: skip
BUSINESS = replace(load_business(), legal=LEGAL)
# Days to 5 March 2026, by hand: 31 of December + 31 + 28 + 5 = 95; 26 + 31 + 28 + 5 = 90; 28 + 28 + 5 = 61; 60; 30; 0.
ORDERS = (
    OpenOrder("M-00101", date(2025, 11, 30), D("100.00"), D("40.00"), "Moon Walk"),
    OpenOrder("M-00102", date(2025, 12, 5), D("20.10"), store="Moon Walk"),
    OpenOrder("M-00103", date(2026, 1, 3), D("30.20"), store="Moon Walk"),
    OpenOrder("H-00201", date(2026, 1, 4), D("1234.56"), D("234.56"), "Hielo"),
    OpenOrder("H-00202", date(2026, 2, 3), D("5.05"), store="Hielo"),
    OpenOrder("M-00104", AS_OF, D("7.00"), store="Moon Walk"),
)
PAYMENTS = (
    Received(date(2025, 12, 1), D("40.00"), "Cash", "M-00101"),
    Received(date(2026, 1, 9), D("234.56"), "Stripe", "H-00201", "TR 77"),
)
SARA = Party("CC-0001", "Sara Haddad", "+971 50 123 4567", "sara@example.com", "Moon Walk")
ENGLISH = Statement(SARA, ORDERS, PAYMENTS, AS_OF, date(2025, 11, 30), "en", date(2026, 3, 3))
ARABIC = replace(ENGLISH, language="ar")
# number: amount, paid so far, balance, days
ROWS = {
    "M-00101": ["100.00", "40.00", "60.00", "95"],
    "M-00102": ["20.10", "0.00", "20.10", "90"],
    "M-00103": ["30.20", "0.00", "30.20", "61"],
    "H-00201": ["1,234.56", "234.56", "1,000.00", "60"],
    "H-00202": ["5.05", "0.00", "5.05", "30"],
    "M-00104": ["7.00", "0.00", "7.00", "0"],
}
AGES = ["12.05", "1,000.00", "50.30", "60.00", "1,122.35"]  # 7.00 + 5.05; 1,000.00; 20.10 + 30.20; 60.00; all


# Reading a PDF ---------------------------------------------------------------------------------------------------


def run(program: str, *arguments: str, pdf: bytes) -> bytes:
    return subprocess.run([program, *arguments], input=pdf, capture_output=True, check=True).stdout


def plain(text: str) -> str:
    """Without the marks of reading direction, vowel signs and room to break that a PDF's text has."""
    kept = (c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) not in ("Cf", "Mn"))
    return unicodedata.normalize("NFC", "".join(kept))


def words_of(pdf: bytes) -> list[list[tuple[str, float, float, float]]]:
    """Each page's words as (text, left, right, bottom) in points, from the top, then from the left."""
    found = run("pdftotext", "-bbox", "-", "-", pdf=pdf).decode()
    word = re.compile(r'<word xMin="([\d.-]+)" yMin="[\d.-]+" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>')
    return [
        sorted(
            ((plain(unescape(m[4])), float(m[1]), float(m[2]), float(m[3])) for m in word.finditer(page)),
            key=lambda found: (found[3], found[1]),
        )
        for page in found.split("<page ")[1:]
    ]


def text_of(pdf: bytes) -> str:
    """All of it on one line."""
    return " ".join(plain(run("pdftotext", "-layout", "-", "-", pdf=pdf).decode()).split())


def squeezed(text: str) -> str:
    """Without any space: readers of PDFs see some between Arabic letters that don't join."""
    return "".join(plain(text).split())


def line_with(pdf: bytes, number: str) -> list[tuple[str, float]]:
    """The words of the first table's row in which an order's number stands, from left to right: (text, left)."""
    for page in words_of(pdf):
        for text, _, _, base in page:
            if text == number:
                row = [(t, left) for t, left, _, at in page if abs(at - base) < 3]
                return sorted(row, key=lambda word: word[1])
    raise AssertionError(f"{number} is not on paper")


def numbers(texts) -> list[str]:
    return [t for t in texts if re.fullmatch(r"[\d,]+\.\d\d|\d{1,3}", t)]


def pages(pdf: bytes) -> int:
    return int(re.search(rb"Pages: +(\d+)", run("pdfinfo", "-", pdf=pdf))[1])


@pytest.fixture(scope="module")
def english() -> bytes:
    return statements_pdf([ENGLISH], BUSINESS)


@pytest.fixture(scope="module")
def arabic() -> bytes:
    return statements_pdf([ARABIC], BUSINESS)


# Figures ---------------------------------------------------------------------------------------------------------


def test_what_is_owed_by_age():
    assert ENGLISH.total == D("1122.35")
    assert ENGLISH.aging == (D("12.05"), D("1000.00"), D("50.30"), D("60.00"))
    assert [ENGLISH.days(order) for order in ORDERS] == [95, 90, 61, 60, 30, 0]


def test_both_languages_say_the_same_things():
    english, arabic = statements.WORDS["en"], statements.WORDS["ar"]
    assert english.keys() == arabic.keys()
    for name, words in english.items():
        assert sorted(re.findall(r"\{\w+\}", words)) == sorted(re.findall(r"\{\w+\}", arabic[name])), name
        assert not re.search(r"[a-z]", re.sub(r"\{\w+\}|IBAN|SWIFT", "", arabic[name]), re.I), "Arabic words alone"
    assert all(len(months) == 12 for months in statements.MONTHS.values())


# Paper -----------------------------------------------------------------------------------------------------------


def test_english_paper_has_every_number(english):
    for number, expected in ROWS.items():
        texts = [text for text, _ in line_with(english, number)]
        assert texts[-5:] == [number, *expected]
    said = text_of(english)
    assert " ".join(AGES) in said and "Total 1,396.91 274.56 1,122.35" in said
    assert "Total 274.56" in said, "what was received: 40.00 + 234.56"
    for part in (
        "Statement of account", "As of 5 March 2026", "Customer number CC-0001", "Orders up to 3 March 2026",
        "Sara Haddad", "Dhs 1,122.35", "6 orders, the oldest of 30 November 2025", "Payments since 30 November 2025",
        "1 December 2025 M-00101 Cash 40.00", "9 January 2026 H-00201 Bank or online TR 77 234.56",
        "Clean L.L.C.", "Street 1", "Abu Dhabi", "Tax registration number 100123456789003", "+971 2 123 4567",
        "First Bank", "Account name Clean L.L.C.", "0019100144", "AE07 0331 2345 6789 0123 456", "AAAAAEAA",
        "Please quote customer number CC-0001.", "Page 1 of 1",
    ):  # fmt: skip
        assert part in said, part


def test_arabic_paper_has_the_same_numbers_from_right_to_left(arabic):
    for number, expected in ROWS.items():
        row = line_with(arabic, number)
        figures = numbers(text for text, left in row if left < dict(row)[number])
        assert figures == expected[::-1], "the columns run from the right"
    said, letters = text_of(arabic), squeezed(text_of(arabic))
    for part in (
        "كشف حساب", "حتى تاريخ 5 مارس 2026", "رقم العميل CC-0001", "الطلبات حتى 3 مارس 2026", "1,122.35 درهم",
        "عدد الطلبات", "أقدمها بتاريخ 30 نوفمبر 2025", "الطلبات غير المدفوعة", "المبلغ (درهم)", "المدفوع (درهم)",
        "المتبقي (درهم)", "الأيام", "الإجمالي", "الدفعات منذ 30 نوفمبر 2025", "نقدًا", "مصرف أو عبر الإنترنت",
        "كلين ذ.م.م", "أبوظبي", "رقم التسجيل الضريبي 100123456789003", "المصرف الأول", "صفحة 1 من 1",
    ):  # fmt: skip
        assert squeezed(part) in letters, part
    for part in ("0019100144", "AE07 0331 2345 6789 0123 456", "+971 50 123 4567", "Sara Haddad", "TR 77", *AGES):
        assert part in said, part
    for part in ("Statement", "Dhs", "Page", "March", "Customer", "Total", "Cash"):
        assert part not in said, part


def test_paper_is_a4_in_black_and_white_with_its_fonts_inside(english, arabic):
    for pdf in (english, arabic):
        sizes = re.findall(rb"size: +([\d.]+) x ([\d.]+) pts", run("pdfinfo", "-l", "9", "-", pdf=pdf))
        assert {(round(float(w)), round(float(h))) for w, h in sizes} == {(595, 842)}
        picture = run("pdftoppm", "-r", "40", "-", pdf=pdf)
        _, size, depth, pixels = picture.split(b"\n", 3)
        assert depth == b"255" and len(pixels) == 3 * int(size.split()[0]) * int(size.split()[1])
        assert pixels[0::3] == pixels[1::3] == pixels[2::3], "no colour"
        assert min(pixels) < 60, "ink"
        fonts = run("pdffonts", "-", pdf=pdf).decode().splitlines()[2:]
        assert fonts and all(re.search(r" yes +yes +yes +\d+ +\d+$", line) for line in fonts), "embedded, readable"
        assert any("Amiri" in line for line in fonts) == (pdf is arabic)


def test_many_orders_run_over_pages_under_their_heads():
    orders = tuple(
        OpenOrder(f"M-{n:05}", AS_OF - timedelta(200 - n), D("10.00"), D("0.50"), "Moon Walk") for n in range(1, 131)
    )
    for language, head in (("en", "Balance"), ("ar", "المتبقي"[::-1])):
        pdf = statements_pdf([replace(ENGLISH, orders=orders, language=language)], BUSINESS)
        found = words_of(pdf)
        assert len(found) == pages(pdf) >= 3
        holding = [page for page in found if any(t.startswith("M-000") for t, *_ in page)]
        assert len(holding) >= 3 and all(head in [t for t, *_ in page] for page in holding)
        numbered = [t for page in found for t, *_ in page if re.fullmatch(r"M-\d{5}", t)]
        assert numbered[:130] == [order.number for order in orders], "each once, in order"
        said = text_of(pdf)
        assert "1,300.00" in said and "65.00" in said and "1,235.00" in said  # 130 x 10.00, x 0.50, the difference
        for n in range(1, len(found) + 1):
            words = f"Page {n} of {len(found)}" if language == "en" else f"صفحة {n} من {len(found)}"
            assert squeezed(words) in squeezed(said)
        for page in found:
            assert all(left >= 51 and right <= 595 - 50 for _, left, right, _ in page), "within the margins"


def test_several_customers_in_one_pdf_count_their_own_pages():
    long = tuple(OpenOrder(f"M-{n:05}", AS_OF, D("1.00")) for n in range(40))
    omar = replace(ARABIC, customer=Party("CC-0002", "عمر صالح"), orders=long, payments=())
    zoe = replace(ENGLISH, customer=Party("CC-0003", "Zoe Park"))
    pdf = statements_pdf([ENGLISH, omar, zoe], BUSINESS)
    said = [squeezed(" ".join(t for t, *_ in page)) for page in words_of(pdf)]
    assert pages(pdf) == len(said) == 4
    assert "CC-0001" in said[0] and "Page1of1" in said[0]
    assert "CC-0002" in said[1] and "Page" not in said[1] + said[2]
    assert "CC-0003" in said[3] and "Page1of1" in said[3]
    assert squeezed("صفحة 2 من 2") in squeezed(text_of(pdf))
    assert not any("ZoePark" in page for page in said[:3]), "nobody on another's page"


def test_for_two_sides_each_customer_gets_a_sheet():
    three = [replace(ENGLISH, customer=Party(f"CC-000{n}", f"Person {n}")) for n in (1, 2, 3)]
    pdf = statements_pdf(three, BUSINESS, two_sided=True)
    held = [sorted({t.rstrip(".") for t, *_ in page if t.startswith("CC-")}) for page in words_of(pdf)]
    assert held == [["CC-0001"], [], ["CC-0002"], [], ["CC-0003"]]


@pytest.mark.parametrize(("count", "says"), [(0, "Choose a customer first"), (201, "201 statements are too many")])
def test_too_few_and_too_many_are_refused(count, says):
    with pytest.raises(services.Refused, match=says):
        statements_pdf([ENGLISH] * count, BUSINESS)


def test_a_letter_that_our_fonts_lack_is_looked_for_among_the_servers(monkeypatch):
    asked = []
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: asked.append(json.loads(k["input"])) or real(*a, **k))
    for name in ("Şule Ольга Ελένη محمد – “x” €", "王小明"):
        statements_pdf([replace(ENGLISH, customer=Party("CC-1", name))], BUSINESS)
    assert [a["system_fonts"] for a in asked] == [False, True]


def test_what_goes_wrong_in_the_other_process_is_refused_and_logged(monkeypatch, caplog):
    monkeypatch.setattr(statements, "_on_paper", lambda *_: {"lang": "en"})
    with pytest.raises(services.Refused, match="could not be made. Try again"):
        statements_pdf([ENGLISH], BUSINESS)
    assert "the other process ended with 1" in caplog.text


HOSTILE = [
    '#panic("boom") $x^2$ \\ *b* _i_ [a](b) `c` @ref <lab> // c /* "',
    "#set page(width: 1cm)",
    "#read(\"/etc/passwd\") {{ }} ${x} %s",
    "O'Neill & Söhne <b>\"A\"</b>",
    "\\u{1F600}\\n",
    "-- --- ... ~ 'quoted' 3 x 2",
]


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("name", HOSTILE)
def test_what_people_wrote_is_shown_and_never_run(name, language):
    payments = (Received(AS_OF, D("1.00"), name[:40], "M-1", name[:100]),)
    orders = (OpenOrder(name[:40], AS_OF, D("2.00")),)
    party = Party(name[:40], name, name[:30], name[:30], name)
    pdf = statements_pdf([Statement(party, orders, payments, AS_OF, AS_OF, language)], BUSINESS)
    words = [t for page in words_of(pdf) for t, *_ in page]
    for word in name.split():
        assert plain(word) in words, word
    assert pages(pdf) == 1


@pytest.mark.parametrize("letters", ["x" * 300, "#" * 300, "عبدالرحمن" * 33, "Anna-Maria " * 27])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_very_long_name_stays_on_the_paper(letters, language):
    order = OpenOrder(letters[:40], AS_OF, D("9999999999.99"))
    payment = Received(AS_OF, D("9999999999.99"), "Stripe", letters[:40], letters[:100])
    statement = Statement(Party("CC-1", letters), (order,), (payment,), AS_OF, AS_OF, language)
    pdf = statements_pdf([statement], BUSINESS)
    assert all(left >= 51 and right <= 595 - 50 for page in words_of(pdf) for _, left, right, _ in page)
    if letters[0].isascii():
        assert squeezed(text_of(pdf)).count(letters[0]) >= letters.count(letters[0])
    assert text_of(pdf).count("9,999,999,999.99") >= 5


def test_names_keep_their_own_direction(english):
    name = "محمد بن راشد"
    mixed = replace(ENGLISH, customer=replace(SARA, name=name))
    assert name in text_of(statements_pdf([mixed], BUSINESS))
    for statement in (mixed, replace(mixed, language="ar")):
        (page,) = words_of(statements_pdf([statement], BUSINESS))
        at = {text[::-1]: left for text, left, *_ in page if text[::-1] in name.split()}
        assert at["محمد"] > at["بن"] > at["راشد"], "read from the right"
    (page,) = words_of(statements_pdf([ARABIC], BUSINESS))
    left = {text: left for text, left, *_ in page if text in ("Sara", "Haddad", "+971", "4567")}
    assert left["Sara"] < left["Haddad"] and left["+971"] < left["4567"]


def test_points_stand_below_points_and_texts_at_the_side_their_language_begins(english, arabic):
    for pdf, before in ((english, False), (arabic, True)):
        (page,) = words_of(pdf)
        ends = []  # of the amount, paid so far, balance and days of each order
        for number in ROWS:
            _, at, _, base = next(word for word in page if word[0] == number)
            row = [word for word in page if abs(word[3] - base) < 3 and (word[1] < at) == before]
            ends.append([right for text, _, right, _ in row if numbers([text])])
        for column in zip(*ends, strict=True):
            assert max(column) - min(column) < 0.5, "right below each other, in Arabic too"
        left, right = next((left, right) for text, left, right, _ in page if text == "sara@example.com")
        assert (right > 543) == before and (left < 52) != before


def test_marks_that_turn_the_reading_direction_are_left_out():
    turned = "\u202e00.001 shD\u202c \u2066a\u2069\x00\x07b\nc\u200f"
    assert statements.cleaned(turned) == "00.001 shD ab c"
    assert statements.cleaned("می\u200cخواهم") == "می\u200cخواهم", "a joiner is part of the word"


def test_who_owes_nothing_reads_so_and_what_the_business_lacks_is_left_out():
    bare = replace(BUSINESS, legal=Legal("Clean L.L.C."))
    pdf = statements_pdf([replace(ENGLISH, orders=(), payments=())], bare)
    said = text_of(pdf)
    assert "Dhs 0.00" in said and "Nothing is owed." in said and "Payments since 30 November 2025 None." in said
    for part in ("Unpaid orders", "by days since", "bank transfer", "Tax registration", "Please quote"):
        assert part not in said, part
    old = replace(BUSINESS, legal=Legal("Clean L.L.C.", bank=Bank(lines="First Bank, account 0019")))
    assert "Bank First Bank, account 0019 Please quote" in text_of(statements_pdf([ENGLISH], old))


def test_arabic_falls_back_to_what_the_file_has_in_english():
    legal = replace(LEGAL, arabic=Arabic())
    said = text_of(statements_pdf([ARABIC], replace(BUSINESS, legal=legal)))
    assert "Clean L.L.C." in said and "Street 1" in said and "Dhs" in said and "First Bank" in said


def test_exports_of_the_same_day_need_no_mention():
    assert "Orders up to" not in text_of(statements_pdf([replace(ENGLISH, data_to=AS_OF)], BUSINESS))


def worked() -> float:
    """Seconds of work by this process and those that it waited for; not the clock's: others run beside the tests."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_statement_takes_less_than_a_second(language):
    many = tuple(OpenOrder(f"M-{n:05}", AS_OF, D("1.00")) for n in range(50))
    start = worked()
    statements_pdf([replace(ENGLISH, orders=many, language=language)], BUSINESS)
    assert worked() - start < 1


# Workbook --------------------------------------------------------------------------------------------------------


def cells(content: bytes) -> tuple[openpyxl.worksheet.worksheet.Worksheet, list[list]]:
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert len(book.worksheets) == 1
    sheet = book.worksheets[0]
    return sheet, [[value for value in row if value is not None] for row in sheet.iter_rows(values_only=True)]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_workbook_has_every_number_as_a_number(language):
    statement = replace(ENGLISH, language=language)
    words = statements.WORDS[language]
    currency = "Dhs" if language == "en" else "درهم"
    sheet, rows = cells(statement_xlsx(statement, BUSINESS))
    assert sheet.title == words["title"] and bool(sheet.sheet_view.rightToLeft) == (language == "ar")
    assert [12.05, 1000.00, 50.30, 60.00, 1122.35] in rows
    head = [words["date"], words["order"], *(f"{words[w]} ({currency})" for w in ("amount", "paid", "balance"))]
    at = rows.index([*head, words["days"]])
    for row, order in zip(rows[at + 1 : at + 7], ORDERS, strict=True):
        expected = [float(n.replace(",", "")) for n in ROWS[order.number]]
        assert [row[0].date(), *row[1:]] == [order.day, order.number, *expected]
    head = [words["paid_on"], words["order"], words["method"], words["reference"], f"{words['amount']} ({currency})"]
    at = rows.index(head)
    assert [[row[0].date(), *row[1:]] for row in rows[at + 1 : at + 3]] == [
        [date(2025, 12, 1), "M-00101", words["Cash"], 40.0],
        [date(2026, 1, 9), "H-00201", words["Stripe"], "TR 77", 234.56],
    ]
    told = {row[0]: row[1] for row in rows if len(row) == 2}
    assert told[words["customer"]] == "Sara Haddad" and told[words["iban"]] == "AE07 0331 2345 6789 0123 456"
    assert told[words["tax_number"]] == "100123456789003" and told[words["phone"]] == "+971 50 123 4567"
    assert told[words["due"]] == ("Dhs 1,122.35" if language == "en" else "1,122.35 درهم")


def test_the_workbook_runs_no_formula_of_a_customer():
    party = Party("=1+1", "=HYPERLINK(\"x\")", "+971 50 123 4567", "@SUM(1)")
    payments = (Received(AS_OF, D("1.00"), "Cash", "-1", "=cmd|' /C calc'!A0"),)
    sheet, _ = cells(statement_xlsx(replace(ENGLISH, customer=party, payments=payments), BUSINESS))
    found = [cell for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)]
    assert not [c.value for c in found if c.data_type == "f" or c.value.startswith(("=", "@"))]


def test_a_file_is_named_after_customer_and_day():
    assert statements.file_name(ENGLISH, "pdf") == "statement-CC-0001-2026-03-05-en.pdf"
    hostile = replace(ENGLISH, customer=Party('../../e "x"\r\n'))
    assert statements.file_name(hostile, "xlsx") == "statement-e-x-2026-03-05-en.xlsx"


# From the database -----------------------------------------------------------------------------------------------


def add_customer(pk: str, **columns):
    return Customer.objects.create(pk=pk, row_hash=pk, synced_at=timezone.now(), **{"store": "Moon Walk", **columns})


def add_order(pk: str, customer, total: str, **columns):
    """An order placed on 1 February and cleaned on the 2nd, unless the columns say otherwise."""
    given = {"store": "Moon Walk", "placed": date(2026, 2, 1), "cleaned": date(2026, 2, 2), **columns}
    return Order.objects.create(
        pk=pk, customer=customer, total=D(total), row_hash=pk, synced_at=timezone.now(), **given
    )


@pytest.fixture
def books(people):
    """Sara owes on three orders of two stores, Omar on none, Mona is Hielo's; what staff and the export say is paid."""
    sara = add_customer(
        "CC-0001", name="sara h", own_name="Sara Haddad", over_name="sara h", phone="050 1", email="s@example.com"
    )
    omar, mona = add_customer("CC-0002", name="Omar Saleh", language="ar"), add_customer("CC-0003", store="Hielo")
    late = add_order("M-00109", sara, "40.30", placed=date(2025, 12, 24))
    later = add_order("M-00101", sara, "20.00", placed=None, cleaned=date(2026, 1, 15))
    add_order("H-00201", sara, "7.70", store="Hielo")
    # What owes nothing: paid in the export, not cleaned yet, without an amount, gone from the export, paid here.
    add_order("M-00102", sara, "50.00", paid=True, payment_type="Cash", payment_date=date(2026, 1, 2))
    add_order("M-00103", sara, "60.00", cleaned=None)
    add_order("M-00104", sara, "0.00")
    add_order("M-00105", sara, "70.00", in_latest_export=False)
    done = add_order("M-00106", sara, "80.00")
    pay = {"user": people["dana"], "method": "Cash"}
    # 40.30 - 10.10 - 20.10 = 10.10: three amounts that binary fractions don't hold.
    for amount in ("10.10", "20.10"):
        services.customer_pay(
            "CC-0001", D(amount), paid_on=date(2026, 3, 1), request_key=uuid4(), order_ids=[late.pk], **pay
        )
    services.order_mark_paid([done.pk], paid_on=date(2026, 3, 2), reference="slip 9", request_key=uuid4(), **pay)
    (wrong,) = services.order_mark_paid([later.pk], paid_on=date(2026, 3, 3), request_key=uuid4(), **pay)
    services.payment_void(wrong.pk, reason="another customer's", user=people["dana"], request_key=uuid4())
    # In the export's figures: before the oldest open order; to be invoiced; both there and here.
    add_order("M-00107", sara, "90.00", paid=True, payment_type="Cash", payment_date=date(2025, 12, 23))
    add_order("M-00108", sara, "95.00", paid=True, payment_type="Receivable", payment_date=date(2026, 2, 1))
    both = add_order("M-00110", sara, "33.00", store="Hielo")
    services.order_mark_paid([both.pk], paid_on=date(2026, 3, 3), request_key=uuid4(), **pay)
    type(both).objects.filter(pk=both.pk).update(paid=True, payment_type="Terminal", payment_date=date(2026, 3, 4))
    add_order("H-00300", mona, "5.00", store="Hielo")
    return {"sara": sara, "omar": omar, "mona": mona}


def of(ids, user, **options) -> list[Statement]:
    return statements.statements_of(ids, user, as_of=AS_OF, **options)


@pytest.mark.django_db
def test_a_statement_is_read_from_the_books(books, people):
    (sara,) = of(["CC-0001"], people["dana"])
    assert sara.customer == Party("CC-0001", "Sara Haddad", "050 1", "s@example.com", "Moon Walk")
    assert sara.orders == (
        OpenOrder("M-00109", date(2025, 12, 24), D("40.30"), D("30.20"), "Moon Walk"),
        OpenOrder("M-00101", date(2026, 1, 15), D("20.00"), D("0.00"), "Moon Walk"),
        OpenOrder("H-00201", date(2026, 2, 1), D("7.70"), D("0.00"), "Hielo"),
    )
    assert str(sara.total) == "37.80", "10.10 + 20.00 + 7.70, to the fils"
    assert sara.since == date(2025, 12, 24), "since the oldest open order"
    assert sara.payments == (
        Received(date(2026, 1, 2), D("50.00"), "Cash", "M-00102"),
        Received(date(2026, 3, 1), D("10.10"), "Cash", "M-00109"),
        Received(date(2026, 3, 1), D("20.10"), "Cash", "M-00109"),
        Received(date(2026, 3, 2), D("80.00"), "Cash", "M-00106", "slip 9"),
        Received(date(2026, 3, 4), D("33.00"), "Terminal", "M-00110"),
    ), "no voided payment, nothing to be invoiced, and the export's word alone where both say paid"
    assert (sara.as_of, sara.language, sara.data_to) == (AS_OF, "en", None)


@pytest.mark.django_db
def test_statements_come_in_the_order_asked_in_each_ones_language(books, people):
    found = of(["CC-0002", "CC-0001", "CC-0404", "CC-0002"], people["dana"])
    assert [s.customer.number for s in found] == ["CC-0002", "CC-0001"]
    assert [s.language for s in found] == ["ar", "en"]
    omar = found[0]
    assert omar.orders == omar.payments == () and omar.total == 0
    assert omar.since == date(2025, 12, 5), "90 days: 5 of March, 28, 31 and 26 of December"
    assert {s.language for s in of(["CC-0001", "CC-0002"], people["dana"], language="ar")} == {"ar"}
    (late,) = of(["CC-0001"], people["dana"], since=date(2026, 3, 2))
    assert [p.order for p in late.payments] == ["M-00106", "M-00110"] and len(late.orders) == 3
    assert of([], people["dana"]) == []


@pytest.mark.django_db
def test_a_person_kept_to_a_store_prints_that_store_alone(books, people):
    (sara, mona) = of(["CC-0001", "CC-0002", "CC-0003"], people["hala"])
    assert [o.number for o in sara.orders] == ["H-00201"] and [p.order for p in sara.payments] == ["M-00110"]
    assert [o.number for o in mona.orders] == ["H-00300"]


@pytest.mark.django_db
def test_it_says_which_exports_it_stands_on(books, people):
    for n, day in enumerate((date(2026, 3, 4), date(2026, 3, 2))):
        RefreshRun.objects.create(
            trigger="command", state="published", as_of=day, started_at=timezone.now(),
            heartbeat_at=timezone.now(), finished_at=timezone.now() - timedelta(hours=n),
        )  # fmt: skip
    assert of(["CC-0001"], people["dana"])[0].data_to == date(2026, 3, 4), "the run published last"


@pytest.mark.django_db
def test_many_customers_take_no_more_questions_than_one(books, people, django_assert_num_queries):
    with django_assert_num_queries(5) as one:
        of(["CC-0001"], people["dana"])
    with django_assert_num_queries(len(one)):
        assert len(of(["CC-0001", "CC-0002", "CC-0003"], people["dana"])) == 3


@pytest.mark.django_db
def test_from_the_books_to_paper(books, people):
    (sara,) = of(["CC-0001"], people["dana"])
    said = text_of(statements_pdf([sara], BUSINESS))
    assert "Dhs 37.80" in said and "24 December 2025 M-00109 40.30 30.20 10.10 71" in said  # 7 + 31 + 28 + 5 days
