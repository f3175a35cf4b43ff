"""A person kept to one store, in the admin: its orders, its customers, their follow-ups, and nothing of the rest.

Dana Haddad is Moon Walk's customer with one order in Hielo (H-00202), Omar Saleh is Hielo's, Rana Aziz Moon Walk's.
"""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from analytics.models import StoreAccess
from operations import refresh, services
from operations.models import Customer, FollowUp, Order, RefreshRun
from tests.operations import exports

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]

CUSTOMERS = exports.CUSTOMERS | {4: "4,Rana Aziz,36319,Moon Walk,2025-03-12,3,,+971 50 000 0004,rana@example.com"}
ORDERS = {n: row for n, row in exports.ORDERS.items() if n != 103} | {
    104: "104,4,36319,Moon Walk,2026-02-21,2026-02-25,2026-02-24,,,0,1,77.75,0,,,Ready",
    202: "202,1,38516,Hielo,2026-02-16,2026-02-19,2026-02-18,2026-02-20,,0,3,31.00,1,Card,2026-02-20,Completed",
}


@pytest.fixture
def kept(data_dir, people):
    """Dana of the desk, kept to Hielo; a follow-up on each order and each customer, named by what it is on."""
    exports.write(data_dir / "exports", customers=CUSTOMERS, orders=ORDERS)
    refresh.refresh(trigger="command", user=people["root"])
    StoreAccess.objects.create(user=people["dana"], store="Hielo")
    for order in Order.objects.all():
        services.followup_save(FollowUp(note=f"on {order.pk}", order=order), user=people["root"])
    for customer in Customer.objects.all():
        services.followup_save(FollowUp(note=f"on {customer.pk}", customer=customer), user=people["root"])
    return people["dana"]


def url(model: str, page: str = "changelist", *args) -> str:
    return reverse(f"admin:operations_{model}_{page}", args=args)


def rows(client, address: str) -> set:
    return {row.pk for row in client.get(address).context["cl"].queryset}


def test_everybody_else_sees_both_stores(as_, kept):
    client = as_("farid")
    assert rows(client, url("order")) == {"M-00101", "M-00102", "M-00104", "H-00201", "H-00202"}
    assert rows(client, url("customer")) == {"CC-0001", "CC-0002", "CC-0004"}
    assert len(rows(client, url("followup"))) == 8


def test_lists_are_of_the_store(as_, kept):
    client = as_("dana")
    assert rows(client, url("order")) == {"H-00201", "H-00202"}
    assert rows(client, url("customer")) == {"CC-0001", "CC-0002"}
    notes = {FollowUp.objects.get(pk=pk).note for pk in rows(client, url("followup"))}
    assert notes == {"on H-00201", "on H-00202", "on CC-0001", "on CC-0002"}


@pytest.mark.parametrize(
    "query", ["?q=M-00104", "?store=Moon+Walk", "?q=Rana", "?customer__customer_id__exact=CC-0004"]
)
def test_no_search_or_filter_reaches_beyond(as_, kept, query):
    answer = as_("dana").get(url("order") + query)
    assert answer.context["cl"].queryset.count() == 0
    assert b"77.75" not in answer.content


def test_pages_of_other_rows_are_not_there(as_, kept):
    client = as_("dana")
    assert client.get(url("order", "change", "H-00202")).status_code == 200
    assert client.get(url("customer", "change", "CC-0001")).status_code == 200
    for model, pk in (("order", "M-00101"), ("customer", "CC-0004"),
                      ("followup", FollowUp.objects.get(note="on M-00104").pk)):  # fmt: skip
        for page in ("change", "history"):
            answer = client.get(url(model, page, pk), follow=True)
            assert b"77.75" not in answer.content
            assert b"Rana" not in answer.content
            assert answer.redirect_chain, f"{model} {page} opened"


def test_a_customer_of_two_stores_shows_the_notes_and_orders_of_one(as_, kept):
    client = as_("dana")
    page = client.get(url("customer", "change", "CC-0001")).content.decode()
    assert ">1 orders<" in page, "H-00202 alone"
    assert "on H-00202" in page
    assert "on CC-0001" in page
    assert "on M-0010" not in page
    client.force_login(kept.__class__.objects.get(username="farid"))
    page = client.get(url("customer", "change", "CC-0001")).content.decode()
    assert ">3 orders<" in page
    assert "on M-00102" in page


def test_a_note_can_be_written_on_rows_of_the_store_alone(as_, kept):
    client = as_("dana")
    for field, pk, saved in (("order", "M-00104", 0), ("customer", "CC-0004", 0), ("order", "H-00201", 1)):
        client.post(url("followup", "add"), {"note": "mine", field: pk})
        assert FollowUp.objects.filter(note="mine").count() == saved


def test_looking_up_rows_for_a_form_finds_the_stores_alone(as_, kept):
    client = as_("dana")

    def found(field: str, term: str) -> list:
        answer = client.get(
            reverse("admin:autocomplete"),
            {"app_label": "operations", "model_name": "followup", "field_name": field, "term": term},
        )
        return [row["id"] for row in answer.json()["results"]]

    assert found("order", "0020") == ["H-00202", "H-00201"]
    assert found("order", "0010") == []
    assert found("customer", "Rana") == []
    assert found("customer", "Haddad") == ["CC-0001"]


def test_refreshes_are_of_the_whole_business(as_, kept):
    kept.user_permissions.add(*Permission.objects.filter(codename__in=["view_refreshrun", "add_refreshrun"]))
    run = RefreshRun.objects.get()
    client = as_("dana")
    assert client.get(url("refreshrun")).status_code == 403
    assert client.get(url("refreshrun", "change", run.pk)).status_code == 403
    assert client.get(reverse("admin:operations_refreshrun_progress", args=[run.pk])).status_code == 403
    assert client.get(reverse("admin:operations_refreshrun_quarantine", args=[run.pk, "orders"])).status_code == 403
    assert client.post(reverse("admin:operations_refreshrun_start")).status_code == 403
    StoreAccess.objects.all().delete()
    assert client.get(url("refreshrun", "change", run.pk)).status_code == 200


def test_nobody_kept_to_a_store_lifts_it(as_, kept):
    kept.is_staff = True
    kept.save()
    kept.user_permissions.set(Permission.objects.filter(content_type__app_label__in=["auth", "analytics"]))
    address = reverse("admin:auth_user_change", args=[kept.pk])
    client = as_("dana")
    page = client.get(address)
    assert page.status_code == 200
    assert b'name="store_access-0-store"' not in page.content
    client.post(address, {"username": "dana", "store_access-TOTAL_FORMS": 1, "store_access-INITIAL_FORMS": 1,
                          "store_access-0-id": kept.store_access.pk, "store_access-0-user": kept.pk,
                          "store_access-0-store": "Moon Walk"})  # fmt: skip
    assert StoreAccess.objects.get(user=kept).store == "Hielo"


def test_an_administrator_keeps_a_person_to_a_store_and_lifts_it(as_, people):
    client, dana, kept = as_("root"), people["dana"], StoreAccess.objects.filter(user=people["dana"])
    address = reverse("admin:auth_user_change", args=[dana.pk])
    assert b'<option value="Hielo"' in client.get(address).content
    form = {"username": "dana", "is_active": "on", "date_joined_0": "2026-01-01", "date_joined_1": "08:00:00",
            "store_access-TOTAL_FORMS": 1, "store_access-INITIAL_FORMS": 0, "store_access-0-user": dana.pk}  # fmt: skip
    client.post(address, form | {"store_access-0-store": ""})
    assert not kept.exists()
    client.post(address, form | {"store_access-0-store": "Nowhere"})
    assert not kept.exists()
    client.post(address, form | {"store_access-0-store": "Hielo"})
    row = kept.get()
    assert row.store == "Hielo"
    client.post(address, form | {"store_access-INITIAL_FORMS": 1, "store_access-0-id": row.pk,
                                 "store_access-0-store": "Hielo", "store_access-0-DELETE": "on"})  # fmt: skip
    assert not kept.exists()
