"""The same words find the same people in the header's search, in the worklist and in the admin.

The cast of tests.operations.books: Dana Haddad (CC-0001, +971 50 000 0001) owes M-00102 and M-00104; Omar Saleh
(CC-0002, 050 000 0002) owes H-00201.
"""

import pytest

from operations import finding, search, services
from operations.finding import Sought
from operations.receivables import Filters, worklist
from tests.operations import books
from tests.operations.books import TODAY

pytestmark = pytest.mark.django_db
DANA, OMAR = ["CC-0001"], ["CC-0002"]


@pytest.mark.parametrize(("text", "who"), [
    ("Haddad Dana", DANA), ("dana", DANA), ("dana  haddad", DANA), ("dana saleh", []),
    ("cc1", DANA), ("CC-0001", DANA), ("cc 02", OMAR), ("cc9", []),
    ("m102", DANA), ("M 104", DANA), ("h-201", OMAR), ("00102", DANA), ("M-", []),
    ("\u2066M\u201100102\u2069", DANA),  # copied out of an Arabic message
    ("0500000001", DANA), ("050 000 0002", OMAR), ("+971", DANA + OMAR), ("002", OMAR), ("00 0002", OMAR),
    ("5000", []),  # four digits from the middle of a phone are too few
    ("50000", DANA + OMAR), ("146", []),
])  # fmt: skip
def test_the_header_and_the_worklist_find_the_same(dana, text, who):
    assert [hit.customer_id for hit in search.find(finding.clean(text, 80), dana)] == who
    rows = worklist(dana, TODAY, Filters(search=finding.clean(text, 80), sort="name")).rows
    assert [row.debt.customer_id for row in rows] == who


@pytest.mark.parametrize(("model", "text", "found"), [
    ("customer", "cc1", "CC-0001"), ("customer", "haddad dana", "CC-0001"), ("customer", "002", "CC-0002"),
    ("order", "m102", "M-00102"), ("order", "M 104", "M-00104"), ("order", "h201", "H-00201"),
])  # fmt: skip
def test_so_does_the_admin(dana, as_, model, text, found):
    answer = as_("dana").get(f"/admin/operations/{model}/", {"q": text})
    assert [row.pk for row in answer.context["cl"].result_list] == [found]


NAMES = {"CC-0011": "Jürgen Müller", "CC-0012": "Zoë Lefèvre", "CC-0013": "Sean O'Brien", "CC-0014": "Søren Weiß",
         "CC-0015": "مُحَمَّد"}  # fmt: skip


@pytest.mark.parametrize(("text", "who"), [
    ("muller", "CC-0011"), ("MÜLLER jurgen", "CC-0011"), ("lefevre", "CC-0012"), ("zoe", "CC-0012"),
    ("O’Brien", "CC-0013"), ("o'brien", "CC-0013"), ("soren", "CC-0014"), ("WEISS", "CC-0014"), ("محمد", "CC-0015"),
])  # fmt: skip
def test_names_are_found_without_their_accents_and_by_any_apostrophe(dana, as_, text, who):
    for n, (pk, name) in enumerate(NAMES.items()):
        books.customer(pk, name)
        books.order(f"M-0090{n}", pk, "9.00", TODAY)
    assert [hit.customer_id for hit in search.find(text, dana)] == [who]
    assert [row.debt.customer_id for row in worklist(dana, TODAY, Filters(search=text)).rows] == [who]
    answer = as_("dana").get("/admin/operations/customer/", {"q": text})
    assert [row.pk for row in answer.context["cl"].result_list] == [who]


def test_it_is_the_corrected_name_that_is_found_so(dana):
    services.correction_save("CC-0002", "name", "Ümit O’Neill", user=dana)
    assert [hit.customer_id for hit in search.find("o'neill umit", dana)] == OMAR
    assert search.find("omar", dana) == []


def test_after_a_correction_the_exports_phone_finds_too(dana, as_):
    services.correction_save("CC-0002", "phone", "+33 6 12 34 56 78", user=dana)
    for text in ("050 000 0002", "0002", "+33612345678"):
        text = finding.clean(text, 80)
        assert "CC-0002" in [hit.customer_id for hit in search.find(text, dana)], text
        assert [row.debt.customer_id for row in worklist(dana, TODAY, Filters(search=text)).rows] == OMAR
        answer = as_("dana").get("/admin/operations/customer/", {"q": text})
        assert [row.pk for row in answer.context["cl"].result_list] == OMAR
    (hit,) = search.find("0500000002", dana)
    assert hit.exact and hit.because == ["the phone in the export"]


def test_the_database_compares_as_memory_does(dana):
    """Both ways of one rule: every letter of the Latin blocks, and marks of Arabic."""
    from operations.models import Customer

    letters = [chr(n) for n in (*range(0x20, 0x250), *range(0x2B0, 0x370), *range(0x600, 0x6FF), 0x2018, 0x2019)]
    for start in range(0, len(letters), 250):
        name = "".join(letters[start : start + 250])
        Customer.objects.filter(pk="CC-0001").update(name=name)
        (said,) = Customer.objects.filter(pk="CC-0001").values_list(finding.Plain("name"), flat=True)
        assert said.casefold() == finding.plain(name).casefold()


def test_in_memory_it_finds_what_the_database_finds(dana):
    """The two ways of one rule, over every start, middle and end of a phone."""
    from operations.models import Customer

    key = "971500000001"
    for start in range(len(key)):
        for end in range(start + 1, len(key) + 1):
            sought = Sought(key[start:end])
            asked = sought.phones()
            there = asked is not None and Customer.objects.filter(asked, pk="CC-0001").exists()
            assert there == sought.in_phone(key), sought.text


@pytest.mark.parametrize(("text", "number"), [
    ("m102", "M-00102"), ("M-00102", "M-00102"), ("h 7", "H-00007"), ("M-123456", "M-123456"), ("CC-1", ""),
    ("102", ""), ("m-", ""),
])  # fmt: skip
def test_an_orders_number_however_it_is_written(text, number):
    assert finding.order_number(text) == number
