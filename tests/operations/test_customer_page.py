"""The customer's page: the figures' half, the desk's half, each without the other; who sees and may do what.

The laundry of tests.operations.exports, refreshed: Dana Haddad (CC-0001) owes M-00102 (20.00, placed 10 Feb 2026, two
shirts for 10.00 in all), M-00103 (15.00) is of CC-0003, whom the Customers export doesn't know.
"""

import re
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal as D
from html import unescape
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics import access, queries
from analytics.models import StoreAccess
from etl import pipeline
from etl.warehouse import Warehouse
from operations import refresh, services
from operations.models import Customer, Order, Payment
from operations.sync import sync
from tests.conftest import point_settings_at
from tests.operations import books, exports
from tests.operations.books import paying

pytestmark = pytest.mark.django_db
ACTS = ["promise", "note", "send", "next-action", "assign", "preferences"]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A data folder with the laundry's build. Look, don't touch."""
    folder = tmp_path_factory.mktemp("laundry")
    build = pipeline.build(exports.write(folder / "exports"), folder)
    house = Warehouse(folder / "warehouse")
    refresh.enrich_candidate(house, build.build_id, build.manifest)
    house.publish(build.build_id)
    return folder


@pytest.fixture
def laundry(published, settings, people):
    """The laundry, published; the desk's Dana."""
    point_settings_at(settings, published)
    with closing(refresh.warehouse().connect()) as con:
        sync(con)
    return people["dana"]


@pytest.fixture
def show(as_):
    """show("CC-0001", "layla", find="M-00102") is the page's HTML for a reader."""

    def get(customer: str = "CC-0001", name: str = "dana", status: int = 200, **params) -> str:
        response = as_(name).get(f"/customer/{customer}/", params)
        assert response.status_code == status
        return unescape(response.content.decode())

    return get


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def part(html: str, anchor: str) -> str:
    """A section of the page, "" where there is none."""
    found = re.search(rf'<section class="[^"]*" id="{anchor}">.*?</section>', html, re.S)
    return found[0] if found else ""


def pay(user, amount="20", order="M-00102", customer="CC-0001", **more) -> Payment:
    return services.customer_pay(customer, D(amount), order_ids=[order], **paying(user, **more))[0]


def days_since(day: date) -> int:
    return (timezone.localdate() - day).days


# --- What is owed, and the orders ----------------------------------------------------------------------------------


def test_what_is_owed_since_when_and_of_which_orders(laundry, show):
    pay(laundry, "7.50")
    html = show()
    owed = words(part(html, "owed"))
    assert "Dhs 12.50" in owed and "1 open order, by days since it was placed." in owed
    days = days_since(date(2026, 2, 10))
    bucket = next(i for i, last in enumerate((30, 60, 90, 10**6)) if days <= last)
    amounts = re.findall(r'<dd class="alone">([^<]+)</dd>', part(html, "owed"))
    assert amounts == ["Dhs 12.50" if i == bucket else "Dhs 0.00" for i in range(4)]
    orders = part(html, "orders")
    row = words(re.search(r'<tr id="M-00102">.*?</tr>', orders, re.S)[0])
    assert row.startswith("Choose M-00102 M-00102 : 1 item line, below Moon Walk 10 Feb 2026")
    assert "Dhs 20.00 Dhs 7.50 Dhs 12.50" in row
    assert "2 × Shirt Wash & Press Dhs 10.00" in words(orders)
    assert 'name="order" value="M-00102"' in orders and 'name="customer" value="CC-0001"' in orders
    assert words(part(html, "orders")).count("M-00101") == 0, "paid"


def test_every_number_has_one_place_that_it_leads_to(laundry, show):
    html = show()
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert sorted(ids) == sorted(set(ids))
    assert {"M-00101", "M-00102"} <= set(ids)


def test_the_order_that_is_sought_is_marked_and_its_items_open(laundry, show):
    html = part(show(find="M-00102"), "orders")
    assert '<tr id="M-00102" class="chosen">' in html and '<details class="lines" open>' in html
    assert "chosen" not in part(show(find="M-00101"), "orders")


def test_who_owes_nothing_is_said_to(laundry, show):
    html = show("CC-0002")
    assert "Nothing is owed." in words(part(html, "owed")) and "No order is open." in words(part(html, "orders"))
    assert 'form="pay"' not in html and "/act/promise/" not in html
    assert "/act/note/?customer=CC-0002" in html


def test_an_order_that_is_not_cleaned_is_not_owed_yet(laundry, show):
    books.order("M-00109", "CC-0001", "12.00", date(2026, 3, 1), cleaned=None)
    html = show()
    assert "Not cleaned yet, so not owed yet: M-00109." in words(part(html, "orders"))
    assert "Dhs 20.00" in words(part(html, "owed"))


def test_an_order_that_left_the_export_is_shown_with_its_payments(laundry, show):
    kept, gone = pay(laundry, "5"), pay(laundry, "4")
    services.payment_void(gone.pk, reason="slip", user=laundry, request_key=uuid4())
    Order.objects.filter(pk="M-00102").update(in_latest_export=False)
    html = show()
    said = words(re.search(r'<li id="M-00102">.*?</li>', html, re.S)[0])
    day = kept.paid_on
    assert said == (
        "M-00102 not in export Dhs 20.00, placed 10 Feb 2026, Moon Walk "
        f"Paid here: Dhs 5.00 on {day.day} {day:%b %Y} by Cash"
    )
    assert "Nothing is owed." in words(part(html, "owed"))
    assert "an order not in the export any more" in words(part(html, "timeline"))


def test_of_many_orders_that_left_the_export_those_with_payments_are_shown(laundry, show):
    for n in range(25):
        books.order(f"M-01{n:03}", "CC-0001", "5.00", date(2026, 1, 5))
    pay(laundry, "5", "M-01000")
    Order.objects.filter(pk__startswith="M-01").update(in_latest_export=False)
    orders = words(part(show(), "orders"))
    assert orders.count("not in export") == 21 and "And 4 more without a payment." in orders
    assert "M-01000 not in export Dhs 5.00" in orders


# --- Where it stands -----------------------------------------------------------------------------------------------


def standing(html: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>([^<]+)</dt><dd[^>]*>([^<]+)</dd>", part(html, "standing")))


def test_where_it_stands(laundry, show, people):
    day = timezone.localdate() + timedelta(3)
    on = f"{day.day} {day:%b %Y}"
    services.promise_record("CC-0001", D("15"), day, user=laundry, request_key=uuid4(), next_action_on=day)
    services.assign(["CC-0001"], people["farid"], user=laundry)
    services.preferences_save("CC-0001", user=laundry, preferred_channel="whatsapp", language="ar")
    said = standing(show())
    assert said["Oldest order"].startswith("10 Feb 2026, ") and said["Oldest order"].endswith("overdue")
    assert said["Level"].endswith(", waits for the promise")
    today = timezone.localdate()
    assert said | {"Oldest order": "", "Level": ""} == {
        "Oldest order": "", "Level": "", "Promise": f"Dhs 15.00 by {on}", "Next action": on, "Assigned to": "farid",
        "Last contact": f"{today.day} {today:%b %Y}", "Prefers": "WhatsApp", "Language": "Arabic",
    }  # fmt: skip


def test_a_broken_promise_is_said_in_words_and_colour(laundry, show):
    made = services.promise_record("CC-0001", D("15"), timezone.localdate(), user=laundry, request_key=uuid4())
    type(made).objects.filter(pk=made.pk).update(promise_on=date(2026, 3, 1))
    html = show()
    assert standing(html)["Promise"] == "Dhs 15.00 by 1 Mar 2026: broken"
    assert '<dd class="down">Dhs 15.00 by 1 Mar 2026: broken</dd>' in html
    assert "Broken." in words(part(html, "timeline"))


def test_who_is_not_to_be_contacted_is_not_written_to(laundry, show):
    assert "/act/send/" in show() and "do not contact." not in show()
    services.preferences_save("CC-0001", user=laundry, do_not_contact=True)
    html = show()
    assert "Marked: do not contact." in html and "left alone" not in html and "/act/send/" not in html


# --- Corrections ---------------------------------------------------------------------------------------------------


def test_corrected_values_are_shown_with_what_the_export_says(laundry, show):
    services.correction_save("CC-0001", "name", "Dana H. Haddad", user=laundry)
    services.correction_save("CC-0001", "phone", "050 777 7777", user=laundry)
    for name in ("dana", "layla", "omar"):  # Omar sells: he has no desk, and sees the corrected values too
        html = show(name=name)
        assert '<h1 dir="auto">Dana H. Haddad</h1>' in html
        text = words(html)
        assert re.search(r"Phone 050 777 7777 (Correct phone )?Corrected by staff; CleanCloud says \+971 50 000 0001\.",
                         text)  # fmt: skip
        assert "Corrected by staff; CleanCloud says Dana Haddad." in text
    assert "+971 50 000 0001" not in words(show(name="dana", customer="CC-0002"))


def test_the_phone_beneath_the_name_rings_the_shown_number(laundry, show, monkeypatch):
    assert '<a href="tel:+971500000001" dir="ltr">+971 50 000 0001</a>' in show()
    services.correction_save("CC-0001", "phone", "050 777 7777", user=laundry)
    assert '<a href="tel:+971507777777" dir="ltr">050 777 7777</a>' in show(name="omar")
    monkeypatch.setitem(access.CONTACTS, "Sales", ("email",))
    assert "tel:" not in show(name="omar") and "777 7777" not in show(name="omar")
    Customer.objects.filter(pk="CC-0001").update(own_phone="", over_phone="x")
    assert "tel:" not in show()
    Customer.objects.filter(pk="CC-0001").update(own_phone="+0")
    assert "tel:" not in show(), "nobody can be rung there"


def test_who_sees_no_phone_sees_no_correction_of_it(laundry, show):
    services.correction_save("CC-0001", "email", "d@haddad.ae", user=laundry)
    html = show(name="sara")  # a dispatcher: phones, no e-mail
    assert "+971 50 000 0001" in html and "haddad.ae" not in html and "dana@example.com" not in html


def test_a_conflict_shows_both_values_and_the_choice(laundry, show, as_, monkeypatch):
    services.correction_save("CC-0001", "phone", "050 777 7777", user=laundry)
    assert "Two values" not in show()
    Customer.objects.filter(pk="CC-0001").update(phone="+971 55 111 1111")
    html = show()
    said = words(html)
    assert (
        "Two values for the phone. Staff wrote 050 777 7777 , which is shown until somebody chooses. CleanCloud now "
        "says +971 55 111 1111 ; it said +971 50 000 0001 when it was corrected. Choose the phone"
    ) in said
    assert 'href="/operations/act/choose/?customer=CC-0001&field=phone"' in html
    form = as_("dana").get("/operations/act/choose/?customer=CC-0001&field=phone")
    assert form.status_code == 200 and b"+971 55 111 1111" in form.content
    assert "/act/choose/" not in show(name="layla"), "who may not correct reads it alone"
    with monkeypatch.context() as patch:
        patch.setitem(access.CONTACTS, "Desk", ("email",))
        html = show()
        assert "Two values" not in html and "111 1111" not in html and "777 7777" not in html
    services.correction_choose("CC-0001", "phone", "theirs", user=laundry)
    assert "Two values" not in show() and "+971 55 111 1111" in show()


# --- The buttons ---------------------------------------------------------------------------------------------------


def test_the_desk_has_its_buttons_each_leading_to_its_form(laundry, as_, show):
    html = show()
    acts = re.findall(r'class="button plain act" href="(/operations/act/([a-z-]+)/\?customer=CC-0001)"', html)
    assert [what for _, what in acts] == ACTS
    assert '<button class="button" form="pay" data-key="p"' in html
    assert re.search(r'href="/operations/act/note/[^>]+data-key="n"', html)
    links = {url for url, _ in acts} | {f"/operations/act/correct/?customer=CC-0001&field={f}"
                                        for f in ("name", "phone", "email", "route")}  # fmt: skip
    assert links <= set(re.findall(r'class="[^"]*\bact" href="([^"]+)"', html))
    client = as_("dana")
    for url in [*sorted(links), "/operations/act/pay/?customer=CC-0001&order=M-00102"]:
        assert client.get(url).status_code == 200, url
    forms = re.findall(r'href="(/operations/statement\.[^"]+)"', html)
    assert forms == [
        f"/operations/statement.{form}?customer=CC-0001&language={language}"
        for language in ("en", "ar") for form in ("pdf", "xlsx")
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "sees", "does"), [
    ("dana", True, True), ("farid", True, True), ("root", True, True),
    ("layla", True, False),  # sees receivables, and has no right to write
    ("omar", False, False), ("sara", False, False),
])  # fmt: skip
def test_who_sees_the_desks_half_and_who_works_there(laundry, show, name, sees, does):
    pay(laundry, "5")
    html = show(name=name)
    assert bool(part(html, "timeline")) == bool(part(html, "owed")) == sees
    assert ("/operations/act/" in html) == ('form="pay"' in html) == ('type="checkbox"' in html) == does
    assert ("paid here" in html.lower()) == sees
    assert part(html, "history"), "the figures are for everybody who opens the page"


def test_undo_is_offered_where_it_is_allowed(laundry, show):
    row = pay(laundry, "5")
    link = f'href="/operations/act/void-payment/?customer=CC-0001&payment={row.pk}"'
    assert link in show() and link in show(name="farid") and link not in show(name="layla")
    Payment.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=1))
    assert link not in show() and link in show(name="farid")
    services.payment_void(row.pk, reason="counted twice", user=Payment.objects.get(pk=row.pk).created_by.__class__
                          .objects.get(username="farid"), request_key=uuid4())  # fmt: skip
    html = show(name="farid")
    assert link not in html
    assert "<s>Dhs 5.00 paid for M-00102 by Cash" in html and "counted twice" in html


# --- The timeline --------------------------------------------------------------------------------------------------


def test_the_timeline_is_short_until_all_is_asked_for(laundry, show):
    for n in range(40):
        services.note_add("CC-0001", f"note {n}", user=laundry, request_key=uuid4())
    html = show()
    events = part(html, "timeline")
    assert events.count("<li") == 30 and "note 39" in events and "note 9<" not in events
    # 40 notes, M-00101 placed, cleaned, collected and paid on one day, M-00102 placed, cleaned; a subscription
    assert '<a href="/customer/CC-0001/?timeline=all#timeline">Show all 46</a>' in events
    every = part(show(timeline="all"), "timeline")
    assert every.count("<li") == 46 and "Show all" not in every and "note 0<" in every
    assert "Subscription S-" in words(every)


def test_the_timeline_shows_what_staff_did_alone_where_that_is_asked_for(laundry, show):
    for n in range(31):
        services.note_add("CC-0001", f"note {n}", user=laundry, request_key=uuid4())
    events = part(show(), "timeline")
    assert "What we did 31" in words(events) and "All 37" in words(events)
    assert '<a href="/customer/CC-0001/?show=ours#timeline">' in events
    ours = part(show(show="ours"), "timeline")
    assert ours.count("<li") == 30 and ours.count('<li class="note') == 30
    assert '<a href="/customer/CC-0001/?show=ours&timeline=all#timeline">Show all 31</a>' in ours
    every = part(show(show="ours", timeline="all"), "timeline")
    assert every.count('<li class="note') == every.count("<li") == 31


def test_a_long_note_opens(laundry, show):
    services.note_add("CC-0001", "x" * 300, user=laundry, request_key=uuid4())
    assert "Show all" not in part(show(), "timeline")
    services.note_add("CC-0001", "y" * 301, user=laundry, request_key=uuid4())
    events = part(show(), "timeline")
    assert events.count("<details") == 1 and f'<span class="start">{"y" * 199}…</span> <b>Show all</b>' in events
    assert "y" * 301 in events


def test_what_is_overdue_comes_before_what_the_segment_advises(laundry, show):
    segment = words(part(show(), "segment"))
    assert "Dhs 20.00 is overdue: settle that first." in segment
    if "What to do:" in segment:
        assert segment.index("settle that first") < segment.index("What to do:")
    assert "settle that first" not in show(name="sara")
    pay(laundry)
    assert "settle that first" not in show()


def test_the_figures_say_nothing_of_debts_beside_the_desk(laundry, show):
    """They are of the exports' date: they would still say Dhs 20 once it was paid here."""
    pay(laundry)
    html = words(show())
    assert "Nothing is owed" in html and "earned and unpaid, on the exports' date" not in html
    assert "earned and unpaid, on the exports' date" in words(show(name="sara")), "who doesn't see the desk"


def test_an_order_that_is_sought_is_on_the_page_of_the_history_that_opens(people, golden_data, show):
    order, customer = queries.current().cursor().execute(
        "SELECT arg_min(order_id, (placed, order_id)), customer_id FROM sales WHERE kind = 'Order' GROUP BY ALL "
        "HAVING count(*) > 60 ORDER BY count(*) DESC LIMIT 1"
    ).fetchone()  # fmt: skip
    assert f'<tr id="{order}"' not in show(customer, "layla")
    html = show(customer, "layla", find=order)
    assert f'<tr id="{order}" class="chosen">' in html
    assert f'<tr id="{order}"' not in show(customer, "layla", find=order, p="1"), "a page that is asked for is shown"
    assert show(customer, "layla", find="M-99999")


# --- One half alone ------------------------------------------------------------------------------------------------


def test_a_customer_whom_the_build_does_not_know_opens_with_the_desks_half(laundry, show):
    books.customer("CC-0077", "Noor New", phone="0501111111", cohort_month="2026-03")
    books.order("M-00777", "CC-0077", "18.00", date(2026, 3, 1))
    html = show("CC-0077")
    assert "Noor New" in html and "The figures don't know this customer" in html
    assert "Dhs 18.00" in words(part(html, "owed")) and 'id="history"' not in html
    assert "Customer since March 2026" in words(html)
    assert "Noor New" in show("CC-0077", "omar") and "0501111111" in show("CC-0077", "omar")


def test_a_customer_whom_only_the_build_knows_opens_without_it(people, golden_data, show):
    one = queries.current().cursor().execute(
        "SELECT customer_id FROM customers WHERE name IS NOT NULL ORDER BY 1 LIMIT 1").fetchone()[0]  # fmt: skip
    html = show(one)
    assert part(html, "history") and not part(html, "timeline") and "/act/" not in html


def test_without_data_the_desk_works_on(people, data_dir, show):
    books.write()
    html = show()
    assert "The figures can't be shown just now" in html
    assert "Dhs 35.00" in words(part(html, "owed")) and 'id="history"' not in html
    assert "No data yet" in show("CC-0999"), "nothing to show: the page that says how to begin"


def test_a_build_that_cant_be_read_stops_nobody_from_recording_a_payment(laundry, show, monkeypatch):
    from etl.errors import WarehouseError

    def broken(*_):
        raise WarehouseError("the key does not fit")

    monkeypatch.setattr(queries, "current", broken)
    html = show()
    assert "just now: the key does not fit" in html and "Dhs 20.00" in words(part(html, "owed"))
    show("CC-0999", status=503)


def test_there_is_nobody_else(laundry, show):
    for customer in ("CC-0099", "cc-0001", "x" * 60, "%00"):
        show(customer, status=404)
    show(name="noor", status=403)


# --- Whose, and at what cost ---------------------------------------------------------------------------------------


@pytest.fixture
def kept(laundry, people):
    """Dana Haddad has an order in Hielo too; Farid is kept to Hielo. H-00299 owes 9.00."""
    books.order("H-00299", "CC-0001", "9.00", date(2026, 2, 18), store="Hielo")
    pay(laundry, "5")
    pay(laundry, "2", "H-00299")
    services.note_add("CC-0001", "on the moon", user=laundry, request_key=uuid4(), order_id="M-00102")
    Order.objects.filter(pk="M-00101").update(in_latest_export=False)
    StoreAccess.objects.create(user=people["farid"], store="Hielo")


def test_a_person_kept_to_a_store_sees_what_concerns_it(kept, show):
    html = show(name="farid")
    assert "Dhs 7.00" in words(part(html, "owed")) and "1 open order at Hielo" in words(part(html, "owed"))
    desk = part(html, "owed") + part(html, "orders") + part(html, "timeline")
    assert "H-00299" in desk and "M-00" not in desk and "on the moon" not in desk
    assert "Dhs 22.00" in words(part(show(name="dana"), "owed"))


def test_a_person_kept_to_a_store_has_no_page_of_others(kept, show):
    show("CC-0003", "farid", status=404)
    assert show("CC-0002", "farid")


def test_it_asks_the_same_number_of_questions_however_much_there_is(laundry, as_):
    client = as_("dana")

    def asked() -> int:
        with CaptureQueriesContext(connection) as questions:
            assert client.get("/customer/CC-0001/?timeline=all").status_code == 200
        return len(questions)

    def work(n: int) -> None:
        for i in range(n):
            order = books.order(f"M-9{i}{n:03}", "CC-0001", "5.00", date(2026, 1, 5))
            row = pay(laundry, "2", order.pk)
            services.payment_void(row.pk, reason="slip", user=laundry, request_key=uuid4())
            gone = books.order(f"M-8{i}{n:03}", "CC-0001", "5.00", date(2026, 1, 5))
            pay(laundry, "2", gone.pk)
            Order.objects.filter(pk=gone.pk).update(in_latest_export=False)
            services.promise_record("CC-0001", D(1), timezone.localdate(), user=laundry, request_key=uuid4())
            services.message_record("CC-0001", channel="whatsapp", language="en", text="x", user=laundry,
                                    request_key=uuid4())  # fmt: skip

    work(1)
    asked()  # content types are asked for once a process
    few = asked()
    work(5)
    assert asked() == few <= 26


def test_the_payment_reaches_the_page_after_the_refresh(data_dir, people, show):
    """The figures say 20.00 until they are refreshed; what is owed follows at once."""
    exports.write(data_dir / "exports")
    refresh.refresh(trigger="command")
    pay(people["dana"], "20")
    assert "Nothing is owed." in words(show())
    assert "not in the figures yet" in words(part(show(), "timeline"))
    refresh.include_payments()
    html = show()
    assert "not in the figures yet" not in html
    assert "Owed Dhs 0 " in words(show(name="sara")), "who sees the figures alone"
