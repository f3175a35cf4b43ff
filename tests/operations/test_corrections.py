"""What staff correct of a customer survives every refresh; a value the export changes meanwhile is a choice to make."""

import pytest
from django.core.exceptions import PermissionDenied

from operations import refresh, services
from operations.models import Conflict, Customer
from operations.services import Refused
from tests.operations import books, exports

pytestmark = pytest.mark.django_db
DANA = exports.CUSTOMERS[1]  # Dana Haddad, route 2, +971 50 000 0001, dana@example.com


@pytest.fixture
def dana(people):
    return people["dana"]


@pytest.fixture
def refreshed(data_dir, dana):
    """refreshed(("old", "new")) refreshes with Dana Haddad's row so changed, and gives her."""

    def run(*changes: tuple[str, str], **more) -> Customer:
        row = DANA
        for old, new in changes:
            assert old in row
            row = row.replace(old, new)
        exports.write(data_dir / "exports", customers=exports.CUSTOMERS | {1: row}, **more)
        found = refresh.refresh(trigger="command", force=True)
        assert found.state == "published", found.error
        return Customer.objects.get(pk="CC-0001")

    return run


def save(user, field, value, **more) -> Customer:
    return services.correction_save("CC-0001", field, value, user=user, **more)


def shown(customer: Customer) -> tuple:
    return customer.shown_name, customer.shown_phone, customer.shown_email, customer.shown_route


# --- With refreshes ------------------------------------------------------------------------------------------------


def test_corrections_survive_and_a_changed_export_makes_a_conflict(refreshed, dana):
    refreshed()
    for field, value in (("name", "Dana Al Haddad"), ("phone", "055 111 2222"), ("email", "d@example.org"),
                         ("route", "4")):  # fmt: skip
        save(dana, field, value)
    services.preferences_save("CC-0001", do_not_contact=True, language="ar", user=dana)
    services.assign(["CC-0001"], dana, user=dana)
    ours = ("Dana Al Haddad", "055 111 2222", "d@example.org", "4")

    # Something else of the row changes: no conflict, everything stays.
    customer = refreshed(("2025-01-10", "2025-01-09"))
    assert str(customer.signed_up) == "2025-01-09"
    assert (shown(customer), customer.conflicts) == (ours, [])
    assert (customer.name, customer.phone, customer.phone_key) == (
        "Dana Haddad", "+971 50 000 0001", "971551112222")  # fmt: skip
    assert (customer.do_not_contact, customer.language, customer.assigned_to) == (True, "ar", dana)

    # The export changes what was corrected: ours is shown, both are told.
    customer = refreshed(("0001,", "0009,"), ("Dana Haddad", "Dana H."))
    assert shown(customer) == ours
    assert customer.phone_key == "971551112222"
    assert customer.conflicts == [
        Conflict("name", "Dana Al Haddad", "Dana H.", "Dana Haddad"),
        Conflict("phone", "055 111 2222", "+971 50 000 0009", "+971 50 000 0001"),
    ]
    assert [*Customer.objects.with_conflicts()] == [customer]

    # One each way; the next refresh with the same export asks nothing again.
    services.correction_choose("CC-0001", "name", "ours", user=dana)
    services.correction_choose("CC-0001", "phone", "theirs", user=dana)
    customer = refreshed(("0001,", "0009,"), ("Dana Haddad", "Dana H."))
    assert shown(customer) == ("Dana Al Haddad", "+971 50 000 0009", "d@example.org", "4")
    assert (customer.phone_key, customer.conflicts) == ("971500000009", [])
    assert not Customer.objects.with_conflicts()

    # What was kept is asked about again once the export says a third thing; what was given up follows the export.
    customer = refreshed(("0001,", "0007,"), ("Dana Haddad", "D. Haddad"))
    assert customer.conflicts == [Conflict("name", "Dana Al Haddad", "D. Haddad", "Dana H.")]
    assert (customer.shown_phone, customer.phone_key) == ("+971 50 000 0007", "971500000007")

    # The export catches up with the correction: nothing to choose.
    customer = refreshed(("Dana Haddad", "Dana Al Haddad"))
    assert (customer.shown_name, customer.conflicts) == ("Dana Al Haddad", [])
    assert not Customer.objects.with_conflicts()


def test_a_customer_gone_from_the_export_and_back_keeps_everything(refreshed, data_dir, dana):
    refreshed()
    save(dana, "phone", "055 111 2222")
    orders = {201: exports.ORDERS[201]}
    exports.write(data_dir / "exports", customers={2: exports.CUSTOMERS[2]}, orders=orders)
    assert refresh.refresh(trigger="command").state == "published"
    gone = Customer.objects.get(pk="CC-0001")
    assert (gone.in_latest_export, gone.shown_phone, gone.phone_key) == (False, "055 111 2222", "971551112222")
    back = refreshed()
    assert (back.in_latest_export, back.shown_phone, back.conflicts) == (True, "055 111 2222", [])


def test_new_customers_are_found_by_phone_at_once_and_old_ones_follow_the_countrys_code(refreshed, settings, data_dir):
    customer = refreshed(("+971 50 000 0001", "050 000 0001"))
    assert (customer.phone_key, Customer.objects.get(pk="CC-0002").phone_key) == ("971500000001", "971500000002")
    text = settings.BUSINESS_FILE.read_text(encoding="utf-8")
    settings.BUSINESS_FILE = data_dir / "business.toml"
    settings.BUSINESS_FILE.write_text(text.replace('dial_code = "971"', 'dial_code = "968"'), encoding="utf-8")
    assert refreshed(("+971 50 000 0001", "050 000 0001")).phone_key == "968500000001"
    assert Customer.objects.get(pk="CC-0002").phone_key == "971500000002", "written with its country"


# --- Saving and choosing -------------------------------------------------------------------------------------------


@pytest.fixture
def desk(dana):
    books.write()
    return dana


def test_the_exports_own_value_or_none_takes_a_correction_away(desk):
    save(desk, "phone", "055 111 2222")
    customer = save(desk, "phone", "+971 50 000 0001")
    assert (customer.own_phone, customer.over_phone, customer.phone_key) == (None, None, "971500000001")
    save(desk, "phone", "055 111 2222")
    customer = save(desk, "phone", None)
    assert (customer.own_phone, customer.shown_phone) == (None, "+971 50 000 0001")
    assert save(desk, "phone", None).own_phone is None, "nothing to take away"


def test_a_wrong_phone_can_be_taken_out(desk):
    customer = save(desk, "phone", "")
    assert (customer.own_phone, customer.over_phone, customer.shown_phone, customer.phone_key) == (
        "", "+971 50 000 0001", "", "")  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", " ", "needs a name"),
        ("name", "x" * 301, "too long"),
        ("phone", "call me", "no telephone number"),
        ("email", "nobody", "valid email"),
        ("store", "Hielo", "no column to correct"),
    ],
)
def test_what_makes_no_sense_is_refused(desk, field, value, words):
    with pytest.raises(Refused, match=words):
        save(desk, field, value)
    assert not Customer.objects.filter(own_name__isnull=False).exists()


def test_of_two_people_the_second_is_told_what_the_first_wrote(desk, people):
    seen = "+971 50 000 0001"
    save(people["farid"], "phone", "055 111 2222", seen=seen)
    with pytest.raises(Refused, match="changed meanwhile, to “055 111 2222”"):
        save(desk, "phone", "055 333 4444", seen=seen)
    assert save(desk, "phone", "055 111 2222", seen=seen).own_phone == "055 111 2222", "the same wish: a double click"
    assert save(desk, "phone", "055 333 4444", seen="055 111 2222").own_phone == "055 333 4444"


def test_a_choice_is_made_on_what_was_seen(desk):
    save(desk, "email", "d@example.org")
    Customer.objects.filter(pk="CC-0001").update(email="new@example.com")
    with pytest.raises(Refused, match="changed meanwhile, to “new@example.com”"):
        services.correction_choose("CC-0001", "email", "theirs", user=desk, seen="older@example.com")
    customer = services.correction_choose("CC-0001", "email", "ours", user=desk, seen="new@example.com")
    assert (customer.own_email, customer.over_email, customer.conflicts) == ("d@example.org", "new@example.com", [])
    again = services.correction_choose("CC-0001", "email", "theirs", user=desk)
    assert again.own_email == "d@example.org", "there is no conflict any more"
    with pytest.raises(Refused, match="no choice"):
        services.correction_choose("CC-0001", "email", "both", user=desk)


def test_who_may_correct(desk, people):
    for name in ("omar", "layla", "noor"):
        for change in (
            save,
            lambda user, field, value: services.correction_choose("CC-0001", field, "ours", user=user),
        ):
            with pytest.raises(PermissionDenied):
                change(people[name], "phone", "055 111 2222")
    assert save(people["farid"], "phone", "055 111 2222")


def test_the_shown_values_in_the_database(desk):
    save(desk, "name", "Ahlam")
    found = Customer.objects.with_shown().order_by("_name").values_list("_name", "_phone")
    assert [*found] == [("Ahlam", "+971 50 000 0001"), ("Hotel", ""), ("Omar Saleh", "050 000 0002")]
