"""Paid here, still unpaid in CleanCloud: what is in it, its page and its file."""

import re
from decimal import Decimal as D
from uuid import uuid4

import pytest
from django.utils import timezone

from operations import services
from operations.models import Order, Payment
from operations.paid_here import payments
from operations.receivables import to_key_in
from operations.worklist import PAGE
from tests.operations import books
from tests.operations.books import TODAY, paying
from tests.operations.pages import PAID, links, page_file, rows, table

pytestmark = pytest.mark.django_db


def test_what_is_paid_here_and_not_there(everybody, people):
    """Dana's M-00104 (15.00) is settled by 5.00 and 10.00, her M-00102 in part; Omar's is settled at Hielo; Amal's was
    voided; Badr's is known to the export; Carla's is no longer in it."""
    pay = lambda who, amount, **more: services.customer_pay(who, D(amount), **paying(everybody, **more))  # noqa: E731
    pay("CC-0001", "5", reference="A1")
    pay("CC-0001", "14", method="Terminal")
    pay("CC-0002", "30")
    services.payment_void(pay("CC-0010", "200")[0].pk, reason="slip", user=everybody, request_key=uuid4())
    pay("CC-0011", "40")
    pay("CC-0012", "60")
    Order.objects.filter(pk="M-00011").update(paid=True)
    Order.objects.filter(pk="M-00012").update(in_latest_export=False)
    found = [(p.order_id, p.amount, p.here, p.left, p.method, p.reference, p.settled, p.in_export)
             for p in payments(everybody)]  # fmt: skip
    assert found == [
        ("M-00104", D("5.00"), D("15.00"), D("0.00"), "Cash", "A1", True, True),
        ("M-00104", D("10.00"), D("15.00"), D("0.00"), "Terminal", "", True, True),
        ("M-00102", D("4.00"), D("4.00"), D("16.00"), "Terminal", "", False, True),
        ("H-00201", D("30.00"), D("30.00"), D("0.00"), "Cash", "", True, True),
        ("M-00012", D("60.00"), D("60.00"), D("0.00"), "Cash", "", True, False),
    ]
    assert to_key_in(everybody) == 2, "M-00104 and H-00201"
    assert [p.order_id for p in payments(people["hala"])] == ["H-00201"]
    assert to_key_in(people["hala"]) == to_key_in(everybody, "Hielo") == 1
    Order.objects.update(paid=True)
    assert (payments(everybody), to_key_in(everybody)) == ([], 0), "empties itself as the exports catch up"
    assert Payment.objects.count() == 8


@pytest.fixture
def keyed(everybody):
    """Dana's M-00104 is settled by Cash, her M-00102 in part; Omar's by Terminal at Hielo; Badr's is gone."""
    for who, amount, more in (
        ("CC-0001", "19", {"reference": "R-7"}), ("CC-0002", "30", {"method": "Terminal"}), ("CC-0011", "40", {}),
    ):  # fmt: skip
        services.customer_pay(who, D(amount), **paying(everybody, **more))
    Order.objects.filter(pk="M-00011").update(in_latest_export=False)
    return everybody


def parts(html: str) -> dict[str, list[dict]]:
    found = re.findall(r'<section class="card table paid-part" id="(\w+)">(.*?)</section>', html, re.S)
    return {key: rows(section) for key, section in found}


def test_paid_here_is_told_apart(keyed, see):
    html = see(keyed, PAID)
    found = parts(html)
    assert found["settled"] == [
        {"name": "M-00104", "Customer": "Dana Haddad CC-0001", "Store": "Moon Walk", "Paid here": "Dhs 15.00",
         "Order total": "Dhs 15.00", "Method": "Cash", "Paid on": "today", "Reference": "R-7", "Recorded by": "dana"},
        {"name": "H-00201", "Customer": "Omar Saleh CC-0002", "Store": "Hielo", "Paid here": "Dhs 30.00",
         "Order total": "Dhs 30.00", "Method": "Terminal", "Paid on": "today", "Reference": "–", "Recorded by": "dana"},
    ]  # fmt: skip
    assert [(r["name"], r["Paid here"], r["Order total"]) for r in found["part"]] == [
        ("M-00102", "Dhs 4.00", "Dhs 20.00 Dhs 16.00 still owed"),
    ]  # fmt: skip
    assert [r["name"] for r in found["gone"]] == ["M-00011"]
    assert "2 orders, together Dhs 45.00" in html
    assert "Ticks are kept in this browser alone" in html
    ticks = {int(pk) for pk in re.findall(r'data-tick="(\d+)"', html)}
    assert ticks == set(Payment.objects.filter(order__in=["M-00104", "H-00201"]).values_list("pk", flat=True))


def test_paid_here_is_narrowed_sorted_and_empties_itself(keyed, see):
    assert [r["name"] for r in parts(see(keyed, PAID, sort="-amount"))["settled"]] == ["H-00201", "M-00104"]
    assert [r["name"] for r in parts(see(keyed, PAID, method="Terminal"))["settled"]] == ["H-00201"]
    assert [r["name"] for r in parts(see(keyed, PAID, store="moon-walk"))["settled"]] == ["M-00104"]
    assert parts(see(keyed, PAID, q="r-7")).keys() == {"settled", "part"}
    assert "Nothing fits" in see(keyed, PAID, q="nobody")
    tab = re.compile(r"still unpaid in CleanCloud <span class=\"n\">(\d+)</span>")
    assert tab.search(see(keyed))[1] == "2"
    Order.objects.filter(pk__in=["M-00104", "H-00201"]).update(paid=True)
    html = see(keyed, PAID)
    assert parts(html)["settled"] == []
    assert "Nothing to do" in html
    assert tab.search(html)[1] == "0"


def test_paid_here_as_a_file(keyed, golden_data):
    head, *found = table(page_file(keyed, "csv", PAID, sort="order"))
    said = [dict(zip(head, row, strict=True)) for row in found]
    columns = ("Order", "Customer number", "Paid here (Dhs)", "Still owed (Dhs)", "Method", "What to do")
    assert [tuple(row[c] for c in columns) for row in said] == [
        ("H-00201", "CC-0002", "30.00", "0.00", "Terminal", "To mark as paid in CleanCloud"),
        ("M-00104", "CC-0001", "15.00", "0.00", "Cash", "To mark as paid in CleanCloud"),
        ("M-00102", "CC-0001", "4.00", "16.00", "Cash", "Paid in part"),
        ("M-00011", "CC-0011", "40.00", "0.00", "Cash", "No longer in the export"),
    ]  # fmt: skip
    assert said[0]["Paid on"] == "2026-03-10"


def test_a_void_takes_it_off_again(keyed, see):
    payment = Payment.objects.get(order="H-00201")
    services.payment_void(payment.pk, reason="slip", user=keyed, request_key=uuid4())
    assert [r["name"] for r in parts(see(keyed, PAID))["settled"]] == ["M-00104"]
    assert timezone.localdate() == TODAY


def test_it_is_leafed_through(keyed, see):
    """52 settled, one in part, one gone, 54 in all; the sums are of the whole part, on whichever page it is."""
    for i in range(PAGE):
        books.customer(f"CC-1{i:03}", f"Person {i:03}")
        books.order(f"M-1{i:04}", f"CC-1{i:03}", "1", TODAY)
        services.customer_pay(f"CC-1{i:03}", D("1"), **paying(keyed))
    first = see(keyed, PAID, sort="order")
    found = parts(first)
    assert {key: len(of) for key, of in found.items()} == {"settled": PAGE}
    assert found["settled"][0]["name"] == "H-00201"
    assert "52 orders, together Dhs 95.00" in first
    assert "1 to 50 of 54" in first
    second = see(keyed, links(first, "Next"))
    assert {key: [row["name"] for row in of] for key, of in parts(second).items()} == {
        "settled": ["M-10048", "M-10049"], "part": ["M-00102"], "gone": ["M-00011"],
    }  # fmt: skip
    assert "52 orders, together Dhs 95.00" in second
    assert "51 to 54 of 54" in second
    whole = see(keyed, links(second, "All on one page"))
    assert {key: len(of) for key, of in parts(whole).items()} == {"settled": PAGE + 2, "part": 1, "gone": 1}
    assert 'rel="next"' not in whole
    assert len(parts(see(keyed, links(whole, "Show as pages")))["settled"]) == PAGE
    assert len(table(page_file(keyed, "csv", PAID, p="2"))) == 1 + 54, "a file has every page"
    assert len(parts(see(keyed, PAID, p="9"))["settled"]) == PAGE, "no such page: the first"


def test_it_finds_as_the_worklist_does(keyed, see):
    for text in ("m104", "haddad dana", "cc1"):
        assert [row["name"] for row in parts(see(keyed, PAID, q=text))["settled"]] == ["M-00104"], text
