"""The same words find the same people in the header's search, in the worklist and in the admin.

The cast of tests.operations.books: Dana Haddad (CC-0001, +971 50 000 0001) owes M-00102 and M-00104; Omar Saleh
(CC-0002, 050 000 0002) owes H-00201.
"""

import pytest

from operations import finding, search
from operations.finding import Sought
from operations.receivables import Filters, worklist
from tests.operations.books import TODAY

pytestmark = pytest.mark.django_db
DANA, OMAR = ["CC-0001"], ["CC-0002"]


@pytest.mark.parametrize(("text", "who"), [
    ("Haddad Dana", DANA), ("dana", DANA), ("dana  haddad", DANA), ("dana saleh", []),
    ("cc1", DANA), ("CC-0001", DANA), ("cc 02", OMAR), ("cc9", []),
    ("m102", DANA), ("M 104", DANA), ("h-201", OMAR), ("00102", DANA), ("M-", []),
    ("0500000001", DANA), ("050 000 0002", OMAR), ("+971", DANA + OMAR), ("002", OMAR), ("00 0002", OMAR),
    ("5000", []),  # four digits from the middle of a phone are too few
    ("50000", DANA + OMAR),
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
