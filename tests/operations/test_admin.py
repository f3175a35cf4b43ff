"""The admin: who gets in, what each may do, how many questions a list asks the database."""

import re
from datetime import date

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse

from operations import refresh, roles, services
from operations.models import Customer, FollowUp, Order, RefreshRun
from tests.operations import exports

pytestmark = pytest.mark.django_db


@pytest.fixture
def published(first_refresh) -> RefreshRun:
    """A refresh with one row set aside (an order without a number)."""
    broken = exports.ORDERS | {104: ",1,36319,Moon Walk,2026-02-01,,2026-02-09,,,0,1,9.00,0,,,Ready"}
    return first_refresh(orders=broken)


def url(model: str, page: str = "changelist", *args) -> str:
    return reverse(f"admin:operations_{model}_{page}", args=args)


# --- Who may do what -----------------------------------------------------------------------------------------------

LISTS = ("customer", "order", "followup", "refreshrun")


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("dana", LISTS[:3]),
        ("farid", LISTS[:3]),
        ("layla", ("refreshrun",)),
        ("omar", ()),
        ("sara", ()),
        ("noor", ()),
        ("root", LISTS),
    ],
)
def test_who_opens_which_list(as_, name, allowed):
    client = as_(name)
    opened = tuple(model for model in LISTS if client.get(url(model)).status_code == 200)
    assert opened == allowed


def may_enter_the_admin(client, user, password: str) -> bool:
    """By the admin's own sign-in page, and with a session from the other one: the two must agree."""
    page = reverse("admin:index")
    answer = client.post(reverse("admin:login") + f"?next={page}", {"username": user.username, "password": password})
    by_the_admins = answer.status_code == 302 and client.get(page).status_code == 200
    client.logout()
    client.force_login(user)
    assert (client.get(page).status_code == 200) is by_the_admins
    return by_the_admins


@pytest.mark.parametrize(
    ("groups", "more", "enters"),
    [
        (["Desk"], {}, True),
        (["Finance"], {}, True),
        (["Sales", "Desk"], {}, True),
        (["Management"], {}, True),
        (["Sales"], {}, False),
        (["Operations"], {}, False),
        ([], {}, False),
        (["desk"], {}, False),  # a group that is only called nearly so
        (["Sales"], {"is_staff": True}, True),
        (["Desk"], {"is_active": False}, False),
        ([], {"is_staff": True, "is_active": False}, False),
    ],
)
def test_the_admin_is_open_by_group_alone(client, db, django_user_model, groups, more, enters):
    user = django_user_model.objects.create_user("new", password="for-this-test", **more)
    user.groups.set([Group.objects.get_or_create(name=name)[0] for name in groups])
    if user.is_active:
        assert may_enter_the_admin(client, user, "for-this-test") is enters
    else:
        assert client.post(reverse("admin:login"), {"username": "new", "password": "for-this-test"}).status_code == 200
        assert client.get(reverse("admin:index")).status_code == 302


def test_a_person_of_the_desk_without_staff_does_the_desks_work(client, published, django_user_model):
    user = django_user_model.objects.create_user("new", password="for-this-test")
    user.groups.add(Group.objects.get(name="Desk"))
    assert not user.is_staff
    client.force_login(user)
    assert client.get(url("order")).status_code == 200
    client.post(url("order", "change", "M-00102"), inline("Comes on Friday"))
    assert FollowUp.objects.get().created_by == user
    for closed in (url("refreshrun"), reverse("admin:auth_user_changelist")):
        assert client.get(closed).status_code == 403


def test_a_stranger_is_asked_to_sign_in(client, db):
    answer = client.get(url("order"))
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/login/")


def test_who_may_not_come_in_is_told_so_where_they_asked(as_):
    answer = as_("noor").get(url("duty"))
    assert answer.status_code == 403 and "doesn&#x27;t open this page" in answer.content.decode().replace("'", "&#x27;")


def test_an_address_of_no_row_leads_to_the_list_with_a_word(as_):
    page = as_("layla").get(url("refreshrun", "change", "abc"), follow=True).content.decode()
    assert "There is no refresh “abc”." in page and "deleted" not in page


def test_pages_are_called_as_the_menu_calls_them(as_):
    page = as_("layla").get(url("schedule")).content.decode()
    assert "By itself" in page and "Customers and orders" not in page.split("<title>")[1].split("</title>")[0]
    assert "Schedules | Moonwalk" in page and "Select schedule" not in page
    people = as_("root").get("/admin/auth/user/").content.decode()
    assert "People | Moonwalk" in people and "Authentication and Authorization" not in people


def test_an_empty_list_says_so_and_advises_nothing_impossible(as_):
    for model, words in (("delivery", "Nothing was sent yet."), ("duty", "Nothing was due yet.")):
        page = as_("layla").get(url(model)).content.decode()
        assert words in page and "Create a new item" not in page
        assert "Nothing matches" in as_("layla").get(url(model) + "?q=zzz").content.decode()


def test_who_may_not_come_in_is_told_so(as_):
    """No empty form to sign in with for somebody who is signed in."""
    answer = as_("omar").get(reverse("admin:index"), follow=True)
    assert answer.status_code == 403
    assert "Your account doesn't open this page" in answer.content.decode()
    assert as_("dana").get(reverse("admin:index"), follow=True).status_code == 200


def test_groups_are_a_persons_to_edit_once_they_are_there(db):
    desk = Group.objects.get(name="Desk")
    desk.permissions.clear()
    roles.make_groups()
    assert desk.permissions.count() == 0
    desk.delete()
    roles.make_groups()
    assert set(Group.objects.get(name="Desk").permissions.values_list("codename", flat=True)) == set(roles.DESK_WORK)


def test_imported_rows_can_be_neither_added_changed_nor_deleted(as_, published):
    client = as_("root")
    for model, pk in (("customer", "CC-0001"), ("order", "M-00101")):
        assert client.get(url(model, "add")).status_code == 403
        assert client.post(url(model, "delete", pk), {"post": "yes"}).status_code == 403
        page = client.get(url(model, "change", pk)).content.decode()
        fields = set(re.findall(r'<(?:input|select|textarea)[^>]* name="(\w+)"', page))
        assert not fields & {field.name for field in Customer._meta.fields + Order._meta.fields}
    client.post(url("order", "change", "M-00101"), {"total": "1.00", "status": "Lost", **inline()})
    assert Order.objects.get(pk="M-00101").status == "Completed"


# --- Follow-ups ----------------------------------------------------------------------------------------------------


def inline(*notes: str, **more) -> dict:
    """The form data of the follow-up inline with new notes."""
    data = {"follow_ups-TOTAL_FORMS": len(notes), "follow_ups-INITIAL_FORMS": 0}
    for i, note in enumerate(notes):
        data[f"follow_ups-{i}-note"] = note
    return data | more


def test_the_desk_writes_a_note_on_an_order(as_, people, published):
    answer = as_("dana").post(url("order", "change", "M-00102"), inline("Called, comes on Friday"))
    assert answer.status_code == 302
    note = FollowUp.objects.get()
    assert (note.note, note.order_id, note.customer_id, note.created_by) == (
        "Called, comes on Friday", "M-00102", "CC-0001", people["dana"])  # fmt: skip


def test_the_desk_writes_a_note_on_a_customer(as_, people, published):
    as_("dana").post(url("customer", "change", "CC-0001"), inline("Prefers mornings"))
    assert FollowUp.objects.get().customer_id == "CC-0001"
    page = as_("dana").get(url("customer", "change", "CC-0001")).content.decode()
    assert "Prefers mornings" in page


def test_a_note_is_added_and_changed_on_its_own_page(as_, people, published):
    client = as_("dana")
    client.post(url("followup", "add"), {"note": "Lost a button", "order": "M-00101", "customer": ""})
    note = FollowUp.objects.get()
    assert (note.customer_id, note.created_by, note.changed_by) == ("CC-0001", people["dana"], None)
    client = as_("farid")
    client.post(url("followup", "change", note.pk), {"note": "Button found", "order": "M-00101", "customer": "CC-0001"})
    note.refresh_from_db()
    assert (note.note, note.created_by, note.changed_by) == ("Button found", people["dana"], people["farid"])
    assert note.changed_at is not None
    assert LogEntry.objects.filter(user=people["farid"]).count() == 1
    assert client.post(url("followup", "delete", note.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"note": "About nobody", "customer": "", "order": ""}, "Choose a customer or an order."),
        ({"note": "", "customer": "CC-0001", "order": ""}, "This field is required."),
        ({"note": "Whose?", "customer": "CC-0002", "order": "M-00101"}, "is another customer"),
    ],
)
def test_a_note_without_sense_is_refused(as_, published, form, message):
    answer = as_("dana").post(url("followup", "add"), form)
    assert answer.status_code == 200
    assert message in answer.content.decode()
    assert not FollowUp.objects.exists()


def test_the_database_itself_wants_a_subject_and_a_note(people, published):
    for fields in ({"note": "About nobody"}, {"note": "", "customer_id": "CC-0001"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            FollowUp.objects.create(**fields)


def test_the_service_refuses_what_the_form_refuses(people, published):
    with pytest.raises(ValidationError):
        services.followup_save(FollowUp(note="   ", customer=Customer.objects.get(pk="CC-0001")), user=people["dana"])
    with pytest.raises(ValidationError):
        services.followup_save(FollowUp(note="Hello"), user=people["dana"])


# --- Lists ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "word", "found"),
    [
        ("customer", "haddad", {"CC-0001"}),
        ("customer", "7150", set()),
        ("customer", "50 000 0002", {"CC-0002"}),
        ("customer", "CC-0003", {"CC-0003"}),
        ("order", "M-0010", {"M-00101", "M-00102", "M-00103"}),
        ("order", "Saleh", {"H-00201"}),
    ],
)
def test_search(as_, published, model, word, found):
    answer = as_("dana").get(url(model), {"q": word})
    assert {row.pk for row in answer.context["cl"].result_list} == found


def test_filters_and_days(as_, published):
    client = as_("dana")
    for query, found in (
        ({"paid__exact": "0", "store": "Moon Walk"}, {"M-00102", "M-00103"}),
        ({"placed__year": "2026", "placed__month": "2", "placed__day": "15"}, {"H-00201"}),
        ({"customer__customer_id__exact": "CC-0001"}, {"M-00101", "M-00102"}),
    ):
        answer = client.get(url("order"), query)
        assert {row.pk for row in answer.context["cl"].result_list} == found, query


def test_a_customers_list_counts_their_orders(as_, published):
    rows = {row.pk: row._orders for row in as_("dana").get(url("customer")).context["cl"].result_list}
    assert rows == {"CC-0001": 2, "CC-0002": 1, "CC-0003": 1}


@pytest.mark.parametrize("model", LISTS)
def test_a_list_asks_no_more_for_more_rows(as_, people, published, model, django_assert_max_num_queries):
    """One row more of each kind costs no query more: nothing is fetched row by row."""
    client = as_("root")
    services.followup_save(FollowUp(note="One", order=Order.objects.get(pk="M-00101")), user=people["dana"])

    def queries() -> int:
        with django_assert_max_num_queries(30) as asked:
            assert client.get(url(model)).status_code == 200
        return len(asked)

    queries()
    before = queries()
    for i in range(10):
        imported = {"row_hash": "x", "synced_at": published.started_at}
        customer = Customer.objects.create(pk=f"CC-1{i:03}", source="CC_2025", name=f"Customer {i}", **imported)
        order = Order.objects.create(pk=f"M-1{i:04}", customer=customer, total=1, placed=date(2026, 2, 1), **imported)
        services.followup_save(FollowUp(note=f"Note {i}", order=order), user=people["farid"])
        services.run_mark_failed(services.run_open(trigger="button", user=people["layla"]), error="a test")
    assert queries() == before


@pytest.mark.parametrize(("model", "pk"), [("customer", "CC-0001"), ("order", "M-00101")])
def test_a_page_asks_no_more_for_more_notes(as_, people, published, model, pk, django_assert_max_num_queries):
    client = as_("dana")
    order = Order.objects.get(pk="M-00101")

    def queries() -> int:
        with django_assert_max_num_queries(40) as asked:
            assert client.get(url(model, "change", pk)).status_code == 200
        return len(asked)

    services.followup_save(FollowUp(note="One", order=order), user=people["dana"])
    queries()
    before = queries()
    for i in range(8):
        services.followup_save(FollowUp(note=f"Note {i}", order=order), user=people[("dana", "farid")[i % 2]])
    assert queries() == before


# --- Refreshes -----------------------------------------------------------------------------------------------------


def test_the_page_of_a_refresh_tells_everything(as_, published):
    page = as_("root").get(url("refreshrun", "change", published.pk)).content.decode()
    for words in ("CC-Orders-2026-03-05.csv", "no order ID: 1", "Download these rows", "marts", published.build_id,
                  "4 added"):  # fmt: skip
        assert words in page, words


def test_rows_set_aside_are_downloaded(as_, published):
    address = url("refreshrun", "quarantine", published.pk, "orders")
    answer = as_("root").get(address)
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv")
    assert "attachment" in answer["Content-Disposition"]
    assert "no order ID" in content
    assert "9.00" in content
    assert as_("dana").get(address).status_code == 403


@pytest.mark.parametrize("kind", ["items", "passwd", "..%2Forders", "../../../db", "%2e%2e", "orders.csv", "."])
def test_only_files_of_the_run_are_handed_out(as_, published, kind, data_dir):
    (data_dir / "quarantine" / "orders.csv").write_text("a secret")
    (data_dir / "db.csv").write_text("a secret")
    base = url("refreshrun", "quarantine", published.pk, "orders").removesuffix("orders/")
    answer = as_("root").get(f"{base}{kind}/")
    assert answer.status_code in (302, 404)  # the admin sends an address it doesn't know to its front page
    assert "Content-Disposition" not in answer.headers


def test_an_encrypted_file_is_decrypted_for_the_download(as_, data_dir, settings, people):
    settings.WAREHOUSE_KEY = "correct horse battery staple"
    broken = exports.ORDERS | {104: ",1,36319,Moon Walk,2026-02-01,,2026-02-09,,,0,1,9.00,0,,,Ready"}
    exports.write(data_dir / "exports", orders=broken)
    run = refresh.refresh(trigger="command")
    address = url("refreshrun", "quarantine", run.pk, "orders")
    assert b"no order ID" in b"".join(as_("root").get(address).streaming_content)
    settings.WAREHOUSE_KEY = ""
    answer = as_("root").get(address, follow=True)
    assert "MOONWALK_WAREHOUSE_KEY" in answer.content.decode()


def test_the_button_is_for_those_who_may(as_, people, published, monkeypatch):
    monkeypatch.setattr(refresh.threading.Thread, "start", lambda self: None)
    page = as_("root").get(url("refreshrun"))
    assert "Refresh now" in page.content.decode()
    assert as_("dana").post(url("refreshrun", "start")).status_code == 403
    assert as_("root").get(url("refreshrun", "start")).status_code == 405
    answer = as_("root").post(url("refreshrun", "start"))
    queued = RefreshRun.objects.latest("pk")
    assert answer["Location"] == url("refreshrun", "change", queued.pk)
    assert (queued.state, queued.trigger, queued.started_by) == ("queued", "button", people["root"])
    answer = as_("root").post(url("refreshrun", "start"), follow=True)
    assert "already" in answer.content.decode()
    assert RefreshRun.objects.latest("pk") == queued


def test_the_button_wants_a_token(people):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(people["root"])
    assert client.post(url("refreshrun", "start")).status_code == 403
    assert not RefreshRun.objects.exists()


def test_progress_is_told_to_the_page(as_, people, published):
    run = services.run_open(trigger="button", user=people["root"])
    services.run_progress(run, step="marts", progress=44)
    address = url("refreshrun", "progress", run.pk)
    assert as_("root").get(address).json() == {
        "state": "running", "words": "running, step marts", "progress": 44, "under_way": True}  # fmt: skip
    page = as_("root").get(url("refreshrun", "change", run.pk)).content.decode()
    assert f'data-refresh-progress="{address}"' in page
    assert "operations/refresh.js" in page
    assert as_("dana").get(address).status_code == 403
    assert as_("root").get(url("refreshrun", "progress", 999)).status_code == 404


def test_refreshes_can_be_neither_added_changed_nor_deleted(as_, published):
    client = as_("root")
    assert client.get(url("refreshrun", "add")).status_code == 403
    assert client.post(url("refreshrun", "change", published.pk), {"error": "x"}).status_code == 403
    assert client.post(url("refreshrun", "delete", published.pk), {"post": "yes"}).status_code == 403


def test_people_and_groups_open_in_the_same_theme(as_):
    for address in ("admin:auth_user_changelist", "admin:auth_user_add", "admin:auth_group_changelist", "admin:index"):
        assert as_("root").get(reverse(address)).status_code == 200
