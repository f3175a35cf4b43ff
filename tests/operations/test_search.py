"""Search from every page: what is found by what, by whom, where it leads, how fast.

The cast of tests.operations.books: Dana Haddad (CC-0001, +971 50 000 0001), Omar Saleh (CC-0002, 050 000 0002, of
Hielo), Hotel (CC-0003); orders M-00101, -102, -104, -105, H-00201 (Omar's), M-00301 (the hotel's).
"""

import re
import time
from datetime import date
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics import access, queries
from etl.errors import WarehouseError
from operations import search, services
from operations.models import Customer, Order
from tests.operations import books

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana(people, data_dir):
    """The desk's Dana; nothing was published, so the old system's orders are not to be found."""
    books.write()
    return people["dana"]


def found(user, text: str) -> list[str]:
    return [hit.customer_id for hit in search.find(text, user)]


def leads(client, text: str) -> str:
    response = client.get("/operations/search/", {"q": text})
    assert response.status_code in (200, 302)
    return response["Location"] if response.status_code == 302 else ""


# --- What finds whom -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "who"), [
    ("dana", ["CC-0001"]), ("HADD", ["CC-0001"]), ("haddad dana", ["CC-0001"]), ("dana saleh", []),
    ("a", ["CC-0001", "CC-0002"]),  # by name
    ("0500000001", ["CC-0001"]), ("050 000 0001", ["CC-0001"]), ("+971 50 000-0001", ["CC-0001"]),
    ("00971500000001", ["CC-0001"]), ("٠٥٠ ٠٠٠ ٠٠٠١", ["CC-0001"]), ("971500000002", ["CC-0002"]),
    ("0000002", ["CC-0002"]), ("0500", ["CC-0001", "CC-0002"]), ("+97150", ["CC-0001", "CC-0002"]), ("0557", []),
    ("CC-0001", ["CC-0001"]), ("cc1", ["CC-0001"]), ("cc 0002", ["CC-0002"]), ("CC-9", []),
    ("M-00102", ["CC-0001"]), ("m102", ["CC-0001"]), ("h-201", ["CC-0002"]), ("00301", ["CC-0003"]),
    ("M-0010", ["CC-0001"]), ("M-99999", []),
])  # fmt: skip
def test_who_is_found_by_what(dana, text, who):
    assert found(dana, text) == who


def test_a_mere_number_is_sought_everywhere(dana):
    """001 is in CC-0001, in its orders M-00101 to M-00105, and ends its phone; 003 is the hotel's."""
    assert found(dana, "003") == ["CC-0003"]
    (hit,) = search.find("001", dana)
    assert hit.customer_id == "CC-0001" and not hit.exact
    assert hit.orders == ["M-00101", "M-00102", "M-00104", "M-00105"]
    assert hit.because == ["phone", "order M-00101, M-00102, M-00104 and 1 more"]


def test_it_is_the_corrected_name_and_phone_that_are_sought(dana):
    services.correction_save("CC-0002", "name", "Émilie Saleh", user=dana)
    services.correction_save("CC-0002", "phone", "+33 6 12 34 56 78", user=dana)
    assert found(dana, "omar") == []
    assert found(dana, "0500000002") == ["CC-0002"], "the export's"
    assert found(dana, "émilie") == found(dana, "ÉMILIE") == found(dana, "0033612345678") == ["CC-0002"]
    assert found(dana, "345678") == ["CC-0002"]


def test_an_email_is_found_by_who_sees_emails(dana, people):
    assert found(dana, "dana@EXAMPLE") == ["CC-0001"]
    assert found(people["sara"], "dana@example") == []
    assert found(dana, "example") == [], "a word is no address"


def test_what_looks_like_part_of_a_pattern_is_only_text(dana):
    for text in ("%", "_", "CC_0001", "M-%", "'", "\\", '"; DROP'):
        assert found(dana, text) == [], text


# --- Who may find --------------------------------------------------------------------------------------------------


def test_who_sees_no_phones_finds_nobody_by_them(dana, people, monkeypatch):
    monkeypatch.setitem(access.CONTACTS, "Sales", ("email",))
    for text in ("0500000001", "0000001", "050"):
        assert found(people["omar"], text) == []
        assert found(dana, text)
    (hit,) = search.find("001", people["omar"])
    assert hit.because == ["order M-00101, M-00102, M-00104 and 1 more"]


def test_a_person_kept_to_a_store_finds_whom_they_may_see(dana, people):
    books.order("H-00299", "CC-0001", "9.00", date(2026, 2, 18), store="Hielo")
    hala = people["hala"]
    assert found(hala, "hotel") == found(hala, "M-00301") == found(hala, "M-00102") == found(hala, "CC-0003") == []
    assert found(hala, "haddad") == found(hala, "H-00299") == ["CC-0001"], "with an order there"
    assert found(hala, "0500000002") == ["CC-0002"]


def test_strangers_and_who_opens_no_customer_are_sent_away(client, dana, as_):
    assert client.get("/operations/search/?q=dana")["Location"] == "/login/?next=/operations/search/%3Fq%3Ddana"
    assert as_("noor").get("/operations/search/?q=dana").status_code == 403


# --- Where it leads ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "where"), [
    ("CC-0001", "/customer/CC-0001/"), ("cc1", "/customer/CC-0001/"), ("0500000001", "/customer/CC-0001/"),
    ("M-00102", "/customer/CC-0001/?find=M-00102#M-00102"), ("m102", "/customer/CC-0001/?find=M-00102#M-00102"),
    ("haddad", "/customer/CC-0001/"), ("  M-00102 ", "/customer/CC-0001/?find=M-00102#M-00102"),
    ("M-0010", "/customer/CC-0001/"), ("a", ""), ("nobody", ""), ("", ""),
])  # fmt: skip
def test_one_hit_opens_at_once(dana, as_, text, where):
    assert leads(as_("dana"), text) == where


def test_the_exact_one_opens_although_others_fit_and_however_many(dana, as_):
    """CC-0001 is in CC-00010 ... CC-00019 too; a limit must not cut it off."""
    Customer.objects.bulk_create([_customer(f"CC-0001{n}", f"A{n}") for n in range(60)])
    now = {"row_hash": "x", "synced_at": timezone.now(), "total": 1}
    Order.objects.bulk_create([Order(pk=f"A-M-00102-{n}", customer_id="CC-00011", **now) for n in range(60)])
    client = as_("dana")
    assert leads(client, "CC-0001") == "/customer/CC-0001/"
    assert leads(client, "M-00102") == "/customer/CC-0001/?find=M-00102#M-00102"
    Customer.objects.filter(pk="CC-000159").update(phone_key="971500000001")
    assert leads(client, "0500000001") == "", "two have this phone"


def test_several_are_listed_with_what_found_them(dana, as_):
    html = unescape(as_("dana").get("/operations/search/?q=0500").content.decode())
    rows = re.findall(r'<tr><th scope="row"><a href="([^"]+)"[^>]*>([^<]+)</a><small>([^<]+)</small>.*?</tr>', html)
    assert rows == [("/customer/CC-0001/", "Dana Haddad", "CC-0001 · CleanCloud · Moon Walk"),
                    ("/customer/CC-0002/", "Omar Saleh", "CC-0002 · CleanCloud · Hielo")]  # fmt: skip
    assert "2 customers fit “<span" in html and html.count('<td class="left fold">phone</td>') == 2
    assert 'id="seek" value="0500"' in html


def test_the_list_says_what_each_owes_to_who_may_know_and_when_they_last_came(dana, as_, people):
    """CC-0001: M-00102 20.00 + M-00104 15.00; the newest, M-00105 of 20 Feb, isn't cleaned yet."""
    def cells(name):
        html = unescape(as_(name).get("/operations/search/?q=0500").content.decode())
        return [re.findall(r"<td[^>]*>([^<]+)</td>", row)[1:] for row in html.split("<tr>")[2:]]

    assert cells("dana") == [["20 Feb 2026", "phone", "Dhs 35.00"], ["15 Feb 2026", "phone", "Dhs 30.00"]]
    assert not access.can_see(people["omar"], "receivables")
    assert cells("omar") == [["20 Feb 2026", "phone"], ["15 Feb 2026", "phone"]]


def test_a_customers_number_without_its_letters_stands_first(dana, as_):
    """By name it would be the last; a limit must not cut it off."""
    Customer.objects.bulk_create([_customer(f"CC-1460{n:02}", f"A{n}") for n in range(60)])
    Customer.objects.bulk_create([_customer("CC-0146", "Zayed"), _customer("MW-0146", "Zayed")])
    assert found(dana, "146")[:2] == ["CC-0146", "MW-0146"]
    assert leads(as_("dana"), "146") == "", "it is only near"


def test_none_says_what_was_looked_for(dana, as_):
    html = unescape(as_("dana").get("/operations/search/?q=<b>Zz</b>").content.decode())
    assert "Nothing was found for “" in html and "What was looked for: name, phone, customer number or order" in html
    assert "&lt;b&gt;Zz" in as_("dana").get("/operations/search/?q=<b>Zz</b>").content.decode()


def test_more_than_fit_on_a_page_are_said_to_be_more(dana, as_):
    Customer.objects.bulk_create([_customer(f"CC-1{n:03}", f"Zayed {n:03}") for n in range(51)])
    html = as_("dana").get("/operations/search/?q=zayed").content.decode()
    assert "More than 50 fit" in html and "The first 50 are here" in html
    assert html.count('<th scope="row">') == 50
    Customer.objects.filter(pk="CC-1050").delete()
    html = as_("dana").get("/operations/search/?q=zayed").content.decode()
    assert "50 customers fit" in html and "The first 50" not in html


def test_the_page_is_kept_by_no_cache_and_survives_odd_input(dana, as_):
    client = as_("dana")
    for text in ("\x00", "dana\x00", "x" * 5000, "٣" * 90, "+", "M-" + "9" * 70):
        assert client.get("/operations/search/", {"q": text}).status_code in (200, 302), text
    assert client.get("/operations/search/?q=a")["Cache-Control"] == "private, no-store"
    assert leads(client, "da\x00na") == "/customer/CC-0001/"


def test_no_name_or_phone_is_logged(dana, as_, caplog):
    with caplog.at_level("DEBUG"):
        as_("dana").get("/operations/search/?q=haddad")
        as_("dana").get("/operations/search/?q=0500000001")
    assert caplog.records and "addad" not in caplog.text
    assert "0500000001" not in caplog.text


# --- What only the warehouse knows ---------------------------------------------------------------------------------


def test_the_old_systems_orders_are_found_in_the_live_build(people, golden_data, as_):
    con = queries.current().cursor()
    order, customer = con.execute(
        "SELECT order_id, customer_id FROM sales WHERE source = 'Legacy' ORDER BY order_id LIMIT 1"
    ).fetchone()
    Customer.objects.create(pk=customer, name="Of Old", source="Legacy", row_hash="x", synced_at=timezone.now())
    client = as_("dana")
    assert leads(client, order) == leads(client, order.lower()) == f"/customer/{customer}/?find={order}#{order}"
    some = order[:-2]
    many = {row[0] for row in con.execute(
        "SELECT DISTINCT customer_id FROM sales WHERE contains(order_id, ?) AND source = 'Legacy'", [some]).fetchall()
    }  # fmt: skip
    assert len(many) > 1
    html = client.get("/operations/search/", {"q": some}).content.decode()
    assert f'<a href="/customer/{customer}/' in html and ">Of Old</a>" in html


def test_the_list_says_when_those_of_the_old_system_last_came(people, golden_data, as_, monkeypatch):
    """Their orders are in the live build alone; who is kept to a store is told of that store's."""
    now = {"row_hash": "x", "synced_at": timezone.now()}
    who, last = queries.current().cursor().execute(
        """SELECT customer_id, max(placed) FROM sales WHERE source = 'Legacy' AND store = 'Moon Walk'
        GROUP BY customer_id ORDER BY count(*) DESC, customer_id LIMIT 1"""
    ).fetchone()  # fmt: skip
    Customer.objects.create(pk=who, name="Of Old", source="Legacy", store="Hielo", **now)
    Customer.objects.create(pk="MW-99999", name="Of Old", source="Legacy", store="Hielo", **now)

    def cells(name) -> list[str]:
        html = unescape(as_(name).get("/operations/search/?q=of+old").content.decode())
        return sorted(re.findall(r'<td class="left fold">([^<]*)</td><td class="left fold">name or number', html))

    assert cells("dana") == sorted(["–", f"{last:%-d %b %Y}"])
    assert cells("hala") == ["–", "–"], "the orders are the other store's"

    def gone(*args):
        raise WarehouseError("no build")

    monkeypatch.setattr(queries.Snapshot, "last_orders", gone)
    assert cells("dana") == ["–", "–"]


def test_the_builds_orders_are_of_the_readers_store(golden_data):
    whole, hielo = queries.current(), queries.current("Hielo")
    every = whole.find_orders("-", 100_000)
    theirs = hielo.find_orders("-", 100_000)
    stores = dict(whole.cursor().execute(
        "SELECT order_id, store::VARCHAR FROM sales UNION SELECT order_id, store::VARCHAR FROM items").fetchall()
    )  # fmt: skip
    assert {order[0] for order, _ in every} == {"R", "S", "I", "M", "H"}, "M and H: items without an order"
    assert 0 < len(theirs) == len([order for order, _ in every if stores[order] == "Hielo"]) < len(every)
    assert len(whole.find_orders("-", 7)) == 7


def test_without_a_build_the_database_is_searched_all_the_same(dana, as_):
    assert leads(as_("dana"), "M-00102").endswith("#M-00102")


# --- The box, the cost ---------------------------------------------------------------------------------------------


def test_the_box_is_on_every_page_of_who_may_use_it(dana, as_, golden_data):
    for name, path, there in (("dana", "/guide/", True), ("layla", "/executive/", True), ("noor", "/guide/", False),
                              ("layla", "/nowhere/", True)):  # fmt: skip
        html = as_(name).get(path).content.decode()
        assert ('action="/operations/search/"' in html) == there, (name, path)
    as_("dana").logout()
    assert "/operations/search/" not in as_("noor").get("/login/").content.decode()


def _customer(pk: str, name: str, phone: str = "") -> Customer:
    return Customer(pk=pk, name=name, phone_key=phone, source="CC_2025", row_hash="x", synced_at=timezone.now())


def test_it_is_fast_with_ten_thousand_customers_and_asks_little(dana):
    Customer.objects.bulk_create(
        [_customer(f"CC-{n:05}", f"Person {n} of {n % 97}", f"97150{n:07}") for n in range(10_000, 20_000)]
    )
    now = {"row_hash": "x", "synced_at": timezone.now(), "total": 1}
    Order.objects.bulk_create(
        [Order(pk=f"M-{n:06}", customer_id=f"CC-{n // 2:05}", **now) for n in range(20_000, 40_000)], batch_size=5000
    )
    counts, slowest = set(), 0.0
    for text in ("person", "12345", "0500012345", "CC-12345", "M-031000", "zzz"):
        with CaptureQueriesContext(connection) as asked:
            start = time.perf_counter()
            search.find(text, dana)
            slowest = max(slowest, time.perf_counter() - start)
        counts.add(len([q for q in asked if "operations_" in q["sql"]]))
    assert max(counts) <= 4  # those with a corrected phone, customers, orders, the orders' customers
    assert slowest < 1  # measured: 0.05; a loaded machine is slower
    assert len(search.find("person", dana)) == search.MOST + 1
