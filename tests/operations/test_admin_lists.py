"""The admin's lists: what they answer, who finds what, how many questions they ask, what can be taken along."""

import csv
import io
import re
from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from analytics.models import AlertEvent, AlertRule, ApiToken, ShareLink, StoreAccess, Target, api_token_make
from operations import services
from operations.models import (
    Customer,
    Delivery,
    Duty,
    FollowUp,
    Level,
    Message,
    MessageTemplate,
    Order,
    Payment,
    RefreshRun,
)
from tests.operations import books

pytestmark = pytest.mark.django_db
MODELS = {
    "customer": Customer, "order": Order, "payment": Payment, "followup": FollowUp, "message": Message,
    "level": Level, "messagetemplate": MessageTemplate, "refreshrun": RefreshRun,
}  # fmt: skip


@pytest.fixture
def desk(people, data_dir):
    books.write()
    return people


def url(model: str, page: str = "changelist", *args, app: str = "operations") -> str:
    return reverse(f"admin:{app}_{model}_{page}", args=args)


def listed(client, model: str, **query) -> set:
    return {row.pk for row in client.get(url(model), query).context["cl"].result_list}


def pay(user, order_id: str, **more) -> Payment:
    return services.order_mark_paid([order_id], **books.paying(user, **more))[0]


def promise(user, customer_id: str, amount: str, on: date, days_ago: int = 0) -> FollowUp:
    """A promise; made days ago, of a day that was still to come then."""
    made = services.promise_record(
        customer_id, Decimal(amount), max(on, timezone.localdate()), user=user, request_key=uuid4()
    )
    FollowUp.objects.filter(pk=made.pk).update(promise_on=on, created_at=timezone.now() - timedelta(days=days_ago))
    return made


def more_rows(user, n: int) -> None:
    """n more of everything that a list may show: no two rows share what they refer to."""
    start = Customer.objects.count()
    for i in range(start, start + n):
        pk = f"CC-9{i:03}"
        books.customer(pk, f"Person {i}", phone=f"050 111 {i:04}", own_email=f"p{i}@example.com", over_email="")
        books.order(f"M-9{i:04}", pk, "25.00", date(2026, 2, 1))
        promise(user, pk, "10.00", timezone.localdate() + timedelta(days=3))
        services.assign([pk], user, user=user)
        services.order_mark_paid([f"M-9{i:04}"], **books.paying(user))
        services.message_record(pk, channel="whatsapp", language="en", text="Hello", user=user, request_key=uuid4(),
                                level=Level.objects.first())  # fmt: skip
        level = Level.objects.create(name=f"Level {i}", position=100 + i, days_from=100 + i)
        MessageTemplate.objects.create(level=level, channel="whatsapp", language="en", text="Hello {name}")
        services.run_mark_failed(services.run_open(trigger="button", user=user), error="a test")
        api_token_make(user, f"Token {i}")
        ShareLink.objects.create(page="finance", title=f"Link {i}", created_by=user, revoked_by=user,
                                 revoked_at=timezone.now(), expires_at=timezone.now() + timedelta(days=1))  # fmt: skip


def asked(client, address: str) -> int:
    client.get(address)  # what is kept between requests is there now
    with CaptureQueriesContext(connection) as found:
        assert client.get(address).status_code == 200
    return len(found)


# --- Questions asked -----------------------------------------------------------------------------------------------

LISTS = (
    *(f"/admin/operations/{model}/" for model in MODELS), "/admin/analytics/apitoken/", "/admin/analytics/sharelink/",
    "/admin/auditlog/logentry/", "/admin/auth/user/", "/admin/auth/group/", "/admin/",
)  # fmt: skip


def test_no_list_asks_more_for_more_rows(as_, desk, django_user_model):
    """Three rows of everything, then thirty more: the same number of questions, list by list."""
    client = as_("root")
    more_rows(desk["root"], 3)
    few = {address: asked(client, address) for address in LISTS}
    more_rows(desk["root"], 30)
    for i in range(5):
        user = django_user_model.objects.create_user(f"person{i}")
        user.groups.set(desk["dana"].groups.all())
        StoreAccess.objects.create(user=user, store="Hielo")
    assert {address: asked(client, address) for address in LISTS} == few
    assert max(few.values()) <= 25, few


def test_no_page_asks_more_for_more_history(as_, desk):
    """A customer, an order, a payment, a follow-up, a level with one row of history each, then with many."""
    root, client = desk["root"], as_("root")
    Order.objects.filter(pk="M-00102").update(total=5000)
    first = services.customer_pay("CC-0001", Decimal(1), order_ids=["M-00102"], **books.paying(root))[0]
    note = services.note_add("CC-0001", "First", user=root, request_key=uuid4(), order_id="M-00102")
    message = services.message_record("CC-0001", channel="whatsapp", language="en", text="Hello", user=root,
                                      request_key=uuid4(), level=Level.objects.first())  # fmt: skip
    level, template = Level.objects.first(), MessageTemplate.objects.first()
    pages = [url("customer", "change", "CC-0001"), url("order", "change", "M-00102"),
             url("payment", "change", first.pk), url("followup", "change", note.pk),
             url("message", "change", message.pk), url("level", "change", level.pk),
             url("messagetemplate", "change", template.pk)]  # fmt: skip
    few = {address: asked(client, address) for address in pages}
    for i in range(15):
        services.customer_pay("CC-0001", Decimal(1), order_ids=["M-00102"], **books.paying(desk["farid"]))
        services.note_add("CC-0001", f"Note {i}", user=desk["dana"], request_key=uuid4(), order_id="M-00102")
        services.message_record("CC-0001", channel="email", language="en", text="Hello", subject="Hello",
                                user=desk["farid"], request_key=uuid4(), level=level)  # fmt: skip
        books.order(f"M-8{i:04}", "CC-0001", "5.00", date(2026, 1, 1))
        level.days_from += 1
        services.level_save(level, user=root)
    assert {address: asked(client, address) for address in pages} == few
    assert max(few.values()) <= 40, few


# --- Labels ----------------------------------------------------------------------------------------------------------

SMALL = re.compile(
    r"""data-label="([a-z][^"]*)"|<label[^>]*>\s*([a-z][^<]*)|<t[hd][^>]*class="[^"]*column-[^>]*>\s*(?:<[^>]*>\s*)*([a-z][^<]*)"""
)


def small(html: str) -> set[str]:
    """Labels and heads on a page that begin with a small letter."""
    return {next(filter(None, found)) for found in SMALL.findall(html)}


def test_every_label_and_head_begins_with_a_capital(as_, desk):
    """Also where a phone shows a list's columns one below the other, each value beside its head (data-label)."""
    client, seen = as_("root"), 0
    more_rows(desk["root"], 1)
    Delivery.objects.create(key="k", kind="mail", about="A report", next_attempt_at=timezone.now())
    Duty.objects.create(name="prune", due_at=timezone.now(), noticed_at=timezone.now(), next_attempt_at=timezone.now())
    rule = AlertRule.objects.create(name="Low revenue", metric="revenue", limit=1)
    AlertEvent.objects.create(rule=rule, period="2026-02", headline="Revenue is low")
    Target.objects.create(metric="revenue", month="2026-02", value=1)
    for model, known in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        listed = client.get(reverse(f"{name}_changelist"))
        row = known.get_queryset(listed.wsgi_request).first()
        form = client.get(reverse(f"{name}_change", args=[row.pk]) if row else reverse(f"{name}_add"))
        for page in (listed, form):
            if page.status_code == 200:
                seen += 1
                assert small(page.content.decode()) == set(), page.request["PATH_INFO"]
    assert seen >= 30


# --- Customers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("050 000 0001", {"CC-0001"}),
        ("+971500000001", {"CC-0001"}),
        ("00971 50 000 0001", {"CC-0001"}),
        ("0000001", {"CC-0001"}),  # the end of it
        ("971500000", {"CC-0001", "CC-0002"}),  # the start of it
        ("123", set()),
        ("Haddad", {"CC-0001"}),  # the export's name, which a correction covers
        ("Dania", {"CC-0001"}),
        ("dana@example.com", {"CC-0001"}),
        ("omar HAS-none", set()),
        ("CC-0003", {"CC-0003"}),
    ],
)
def test_customers_are_found_by_phone_and_by_what_was_corrected(as_, desk, word, found):
    services.correction_save("CC-0001", "name", "Dania H.", user=desk["dana"])
    assert listed(as_("dana"), "customer", q=word) == found


def test_a_corrected_phone_is_found_and_so_is_the_exports(as_, desk):
    services.correction_save("CC-0001", "phone", "050 777 0009", user=desk["dana"])
    assert listed(as_("dana"), "customer", q="+971507770009") == {"CC-0001"}
    assert listed(as_("dana"), "order", q="0507770009") == {"M-00101", "M-00102", "M-00104", "M-00105"}
    assert listed(as_("dana"), "customer", q="050 000 0001") == {"CC-0001"}


def test_what_customers_owe_and_since_when(as_, desk):
    """Dana owes 35.00 since 1 Feb 2026, less 5.00 paid of the oldest; Omar's 30.00 is another store's."""
    services.customer_pay("CC-0001", Decimal("5.00"), **books.paying(desk["dana"]))
    rows = {row.pk: row for row in as_("farid").get(url("customer")).context["cl"].result_list}
    assert {pk: row._balance for pk, row in rows.items()} == {
        "CC-0001": Decimal("30.00"), "CC-0002": Decimal("30.00"), "CC-0003": Decimal("100.00")}  # fmt: skip
    assert rows["CC-0001"]._since == date(2026, 2, 1)
    StoreAccess.objects.create(user=desk["dana"], store="Hielo")
    rows = {row.pk: row for row in as_("dana").get(url("customer")).context["cl"].result_list}
    assert {pk: row._balance for pk, row in rows.items()} == {"CC-0002": Decimal("30.00")}


def test_customers_sort_by_what_they_owe(as_, desk):
    client = as_("dana")
    columns = client.get(url("customer")).context["cl"].list_display
    by_balance = client.get(url("customer"), {"o": f"-{columns.index('owes')}"}).context["cl"].result_list
    assert [row.pk for row in by_balance] == ["CC-0003", "CC-0001", "CC-0002"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"debt": "owes"}, {"CC-0001", "CC-0002", "CC-0003"}),
        ({"debt": "100"}, {"CC-0003"}),
        ({"debt": "none"}, {"CC-0004"}),
        ({"promise": "broken"}, {"CC-0001"}),
        ({"promise": "pending"}, {"CC-0002"}),
        ({"promise": "nonsense"}, {"CC-0001", "CC-0002", "CC-0003", "CC-0004"}),
        ({"next": "due"}, {"CC-0003"}),
        ({"next": "none"}, {"CC-0001", "CC-0002", "CC-0004"}),
        ({"contact": "never"}, {"CC-0003", "CC-0004"}),
        ({"contact": "old"}, {"CC-0001"}),
        ({"contact": "stop"}, {"CC-0004"}),
        ({"assigned": "me"}, {"CC-0002"}),
        ({"assigned": "nobody"}, {"CC-0001", "CC-0003", "CC-0004"}),
        ({"corrected": "yes"}, {"CC-0001", "CC-0004"}),
        ({"corrected": "conflict"}, {"CC-0004"}),
        ({"store": "Hielo"}, {"CC-0002"}),
        ({"b2b__exact": "1"}, {"CC-0003"}),
    ],
)
def test_filters_of_customers(as_, desk, query, found):
    """CC-0001 broke a promise 40 days ago, CC-0002 is Farid's with one pending, CC-0003 is due, CC-0004 owes nothing
    and has a correction that CleanCloud disagrees with."""
    dana, today = desk["dana"], timezone.localdate()
    old = promise(dana, "CC-0001", "10.00", today - timedelta(days=38), days_ago=40)
    promise(dana, "CC-0002", "10.00", today + timedelta(days=2))
    Customer.objects.filter(pk="CC-0001").update(last_contact_at=timezone.now() - timedelta(days=40))
    assert FollowUp.objects.filter(pk=old.pk, promise_on__lt=today).exists()
    services.assign(["CC-0002"], desk["farid"], user=dana)
    services.next_action_set(["CC-0003"], today, user=dana)
    books.customer("CC-0004", "Rana", phone="050 000 0004")
    services.correction_save("CC-0001", "name", "Dania", user=dana)
    services.correction_save("CC-0004", "name", "Rania", user=dana)
    services.preferences_save("CC-0004", do_not_contact=True, user=dana)
    Customer.objects.filter(pk="CC-0004").update(name="Randa")
    assert listed(as_("farid"), "customer", **query) == found


def test_where_customers_stand(as_, desk):
    """Owing since February 2026, everybody is past 90 days: 30.00 is too little for the levels from 50.00 on."""
    promise(desk["dana"], "CC-0001", "10.00", timezone.localdate() - timedelta(days=1), days_ago=3)
    page = as_("dana").get(url("customer"))
    text = page.content.decode()
    assert text.count("promise broken") >= 1
    stood = {row.pk: row._standing for row in page.context["cl"].result_list}
    assert stood["CC-0002"].level.name == "Second reminder"
    assert stood["CC-0003"].level.name == "Stop service"


# --- Orders, payments, follow-ups ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("money", "found"),
    [
        ("open", {"M-00102", "M-00301"}),
        ("over60", {"M-00102", "M-00301"}),
        ("part", {"M-00102"}),
        ("here", {"H-00201", "M-00104"}),
        ("paid", {"M-00101"}),
        ("later", {"M-00105"}),
    ],
)
def test_filters_of_orders(as_, desk, money, found):
    """15.00 of M-00104 and 5.00 of M-00102 are paid here, H-00201 in full."""
    services.customer_pay("CC-0001", Decimal("20.00"), **books.paying(desk["dana"]))
    pay(desk["dana"], "H-00201")
    assert listed(as_("dana"), "order", money=money) == found


def test_payments_tell_whether_they_count(as_, desk):
    kept, wrong = pay(desk["dana"], "M-00102", method="Cash"), pay(desk["dana"], "M-00104", method="Terminal")
    counter = services.payment_void(wrong.pk, reason="Twice", user=desk["dana"], request_key=uuid4())
    client = as_("dana")
    assert listed(client, "payment", state="counts") == {kept.pk}
    assert listed(client, "payment", state="void") == {wrong.pk}
    assert listed(client, "payment", state="undoes") == {counter.pk}
    assert listed(client, "payment", state="waits") == {kept.pk, wrong.pk, counter.pk}
    assert listed(client, "payment", method="Cash") == {kept.pk}
    assert listed(client, "payment", q="0500000001") == {kept.pk, wrong.pk, counter.pk}
    assert listed(client, "payment", q="M-00104") == {wrong.pk, counter.pk}
    assert listed(client, "payment", created_by__id__exact="nobody") == set()


def test_follow_ups_by_kind_and_how_promises_stand(as_, desk):
    dana = desk["dana"]
    first = promise(dana, "CC-0001", "10.00", timezone.localdate() + timedelta(days=1), days_ago=2)
    newest = promise(dana, "CC-0001", "20.00", timezone.localdate() + timedelta(days=5))
    note = services.note_add("CC-0002", "Prefers mornings", user=dana, request_key=uuid4())
    gone = services.note_add("CC-0002", "Wrong one", user=dana, request_key=uuid4())
    services.followup_void(gone.pk, user=dana)
    client = as_("dana")
    assert listed(client, "followup", kind="promise") == {first.pk, newest.pk}
    assert listed(client, "followup", kind="note") == {note.pk}
    assert listed(client, "followup", kind="void") == {gone.pk}
    rows = {row.pk: row._stood for row in client.get(url("followup")).context["cl"].result_list}
    assert rows == {first.pk: "replaced", newest.pk: "pending", note.pk: None, gone.pk: "void"}


def test_broken_addresses_of_filters_are_no_errors(as_, desk):
    client = as_("root")
    for model in MODELS:
        names = ("created_by__id__exact", "assigned", "promise", "p", "amount_from", "paid_on_from", "o", "of", "q")
        for name in names:
            assert client.get(url(model), {name: "x\x00"}).status_code in (200, 302), (model, name)


# --- Taken along ---------------------------------------------------------------------------------------------------


def rows_of(answer) -> list[dict]:
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_the_list_is_taken_along_as_it_is_filtered(as_, desk):
    answer = as_("dana").get(url("customer", "export", "csv"), {"debt": "100"})
    assert answer["Content-Disposition"] == 'attachment; filename="moonwalk-customers.csv"'
    (row,) = rows_of(answer)
    assert (row["Customer"], row["Name"], row["Owes (Dhs)"], row["Business account"]) == (
        "CC-0003", "Hotel", "100.00", "TRUE")  # fmt: skip


def test_every_page_of_the_list_is_taken_along(as_, desk):
    for i in range(60):
        books.customer(f"CC-7{i:03}", f"Person {i}")
    assert len(rows_of(as_("dana").get(url("customer", "export", "csv")))) == 63


def test_orders_and_payments_and_notes_are_taken_along(as_, desk):
    services.customer_pay("CC-0001", Decimal("5.00"), **books.paying(desk["dana"], reference="Till 3"))
    services.note_add("CC-0001", "Rings\nat noon", user=desk["dana"], request_key=uuid4())
    client = as_("dana")
    rows = {row["Order"]: row for row in rows_of(client.get(url("order", "export", "csv")))}
    assert (rows["M-00104"]["Paid here (Dhs)"], rows["M-00104"]["Balance (Dhs)"]) == ("5.00", "10.00")
    assert rows["M-00104"]["Phone"].endswith("+971 50 000 0001")
    (row,) = rows_of(client.get(url("payment", "export", "csv")))
    assert (row["Order"], row["Amount (Dhs)"], row["Reference"]) == ("M-00104", "5.00", "Till 3")
    (row,) = rows_of(client.get(url("followup", "export", "csv")))
    assert (row["Customer"], row["Note"]) == ("CC-0001", "Rings\nat noon")
    book = client.get(url("order", "export", "xlsx"))
    assert book.content[:2] == b"PK"


def test_what_a_spreadsheet_would_run_is_only_text(as_, desk):
    Customer.objects.filter(pk="CC-0001").update(name='=HYPERLINK("http://x","y")')
    rows = {row["Customer"]: row["Name"] for row in rows_of(as_("dana").get(url("customer", "export", "csv")))}
    assert rows["CC-0001"] == "'=HYPERLINK(\"http://x\",\"y\")"


def test_contacts_are_for_those_who_may_see_them(as_, desk):
    """A person with the right to look, but of no role that works with customers."""
    noor = desk["noor"]
    noor.is_staff = True
    noor.save()
    noor.user_permissions.set(Permission.objects.filter(codename__in=["view_customer", "view_order", "view_message"]))
    services.message_record("CC-0001", channel="whatsapp", language="en", text="Hello", user=desk["dana"],
                            request_key=uuid4())  # fmt: skip
    client = as_("noor")
    for address in (url("customer"), url("customer", "change", "CC-0001"), url("order"), url("message"),
                    url("message", "change", Message.objects.get().pk),
                    *(url(model, "export", "csv") for model in ("customer", "order", "message"))):  # fmt: skip
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert b"50 000 0001" not in answer.content, address
        assert b"971500000001" not in answer.content, address
        assert b"dana@example.com" not in answer.content, address
    assert listed(client, "customer", q="0500000001") == set()
    assert listed(client, "customer", q="dana@example") == set()
    assert b"dana@example.com" in as_("dana").get(url("customer", "change", "CC-0001")).content


def test_downloads_are_of_the_store_and_for_those_who_see_the_list(as_, desk):
    StoreAccess.objects.create(user=desk["dana"], store="Hielo")
    client = as_("dana")
    assert [row["Order"] for row in rows_of(client.get(url("order", "export", "csv")))] == ["H-00201"]
    assert [row["Customer"] for row in rows_of(client.get(url("customer", "export", "csv")))] == ["CC-0002"]
    assert client.get(url("refreshrun", "export", "csv")).status_code == 403
    assert client.get(url("logentry", "export", "csv", app="auditlog")).status_code == 403
    assert client.get(url("order", "export", "pdf")).status_code == 404
    assert as_("layla").get(url("order", "export", "csv")).status_code == 403  # she has other lists in there
    assert as_("omar").get(url("order", "export", "csv")).status_code == 403  # not his place
    assert as_("root").get(url("apitoken", "export", "csv", app="analytics")).status_code == 200
    assert ApiToken.objects.count() == 0


HUGE = "99999999999999999999"


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("customer", "assigned"), ("customer", "signed_up__year"), ("order", "placed__year"),
        ("payment", "created_by__id__exact"), ("payment", "created_by"), ("payment", "paid_on__year"),
        ("payment", "voids"), ("followup", "created_by"), ("followup", "created_at__year"), ("message", "level"),
        ("messagetemplate", "level"), ("refreshrun", "started_at__year"), ("auditlog.logentry", "actor"),
        ("auditlog.logentry", "content_type"), ("auth.user", "groups__id__exact"),
    ],
)  # fmt: skip
def test_numbers_that_no_row_can_have_are_no_server_error(as_, desk, model, query):
    """No row is found, or the list is shown whole with a word; the file of the list likewise."""
    pay(desk["dana"], "M-00102")
    app, _, name = model.rpartition(".")
    list_ = url(name, app=app or "operations")
    client = as_("root")
    for address in (list_, f"{list_}export.csv") if app != "auth" else (list_,):
        answer = client.get(f"{address}?{query}={HUGE}", follow=True)
        assert answer.status_code == 200, address
        if answer.redirect_chain:
            assert "can&#x27;t be narrowed down like that" in answer.content.decode()
