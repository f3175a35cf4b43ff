"""Levels, templates and rights of roles are made once; what a person changed or removed stays so."""

from dataclasses import replace
from importlib import import_module

import pytest
from auditlog.models import LogEntry
from django.apps import apps
from django.contrib.auth.models import Group, Permission

from etl.business import load_business
from operations import defaults, roles
from operations.models import Customer, Level, Made, MessageTemplate
from tests.operations import books

pytestmark = pytest.mark.django_db


def test_what_a_new_installation_has():
    assert [*Level.objects.values_list("name", "days_from", "amount_from", "active")] == [
        ("Reminder", 7, 0, True), ("Second reminder", 30, 0, True), ("Final reminder", 60, 50, True),
        ("Stop service", 90, 100, True),
    ]  # fmt: skip
    # Four levels and "any time", in two languages, for two channels.
    assert MessageTemplate.objects.count() == (4 + 1) * 2 * 2
    for template in MessageTemplate.objects.all():
        template.full_clean()
        assert bool(template.subject) is (template.channel == "email")
        arabic = sum("\u0600" <= c <= "\u06ff" for c in template.text)
        assert (arabic > 40) is (template.language == "ar")


@pytest.mark.parametrize("phone", ["02 555 0100", ""])
def test_where_a_text_asks_for_a_call_it_names_the_phone_that_the_business_file_has(monkeypatch, phone):
    business = load_business()
    monkeypatch.setattr(
        defaults, "load_business", lambda file: replace(business, legal=replace(business.legal, phone=phone))
    )
    Made.objects.filter(key="levels and templates").delete()
    MessageTemplate.objects.all().delete()
    Level.objects.all().delete()
    defaults.make_levels()
    named = MessageTemplate.objects.filter(text__contains="{phone}")
    assert {(made.level.name, made.language) for made in named} == (
        {("Stop service", "en"), ("Stop service", "ar")} if phone else set()
    )


def test_a_persons_edit_is_never_overwritten():
    Level.objects.filter(name="Reminder").update(name="Nudge", days_from=3)
    Level.objects.get(name="Final reminder").delete()
    MessageTemplate.objects.filter(language="ar").update(text="x")
    before = [*Level.objects.values_list()], [*MessageTemplate.objects.values_list()]
    for _ in range(2):
        defaults.make_levels()
    assert ([*Level.objects.values_list()], [*MessageTemplate.objects.values_list()]) == before
    Level.objects.all().delete()
    MessageTemplate.objects.all().delete()
    defaults.make_levels()
    assert not Level.objects.exists(), "removed, so not made again"


def test_nothing_of_it_is_in_the_trail():
    assert not LogEntry.objects.exists()


def rights(role: str) -> set[str]:
    return set(Group.objects.get(name=role).permissions.values_list("codename", flat=True))


def test_the_rights_of_the_desk_and_of_the_books():
    assert rights("Desk") == {
        "view_customer", "view_order", "view_followup", "add_followup", "change_followup", "view_payment",
        "add_payment", "correct_customer", "assign_customer", "view_message", "add_message", "view_level",
        "view_messagetemplate",
    }  # fmt: skip
    assert rights("Finance") - rights("Desk") == {
        "void_payment", "void_followup", "add_level", "change_level", "add_messagetemplate", "change_messagetemplate",
        "delete_messagetemplate",
    }  # fmt: skip
    assert rights("Desk") <= rights("Finance")
    assert rights("Sales") == rights("Operations") == set()


def test_the_rights_of_management():
    assert rights("Management") == {n for some in roles.GENERATIONS["Management"].values() for n in some}
    assert rights("Management") >= {"view_target", "add_target", "change_target", "delete_target"}


def test_every_right_named_is_there():
    """A misspelt one would be left out without a word."""
    names = {n for generations in roles.GENERATIONS.values() for some in generations.values() for n in some}
    found = Permission.objects.filter(content_type__app_label__in=roles.APPS, codename__in=names)
    assert {p.codename for p in found} == names


def test_a_desk_of_before_gets_the_new_rights_once():
    """An upgrade: the group is there, and somebody has taken a right of the first version from it."""
    desk = Group.objects.get(name="Desk")
    old = Permission.objects.filter(codename__in=roles.DESK_WORK_1).exclude(codename="change_followup")
    desk.permissions.set(old)
    Made.objects.filter(key__startswith="role Desk").delete()
    roles.make_groups()
    assert rights("Desk") == {*roles.DESK_WORK_1, *roles.DESK_WORK_2} - {"change_followup"}
    desk.permissions.remove(Permission.objects.get(codename="add_payment"))
    roles.make_groups()
    assert "add_payment" not in rights("Desk")


def test_customers_of_before_are_found_by_phone_after_the_upgrade():
    books.write()
    Customer.objects.update(phone_key="")
    import_module("operations.migrations.0002_desk").phone_keys(apps, None)
    assert [*Customer.objects.order_by("pk").values_list("phone_key", flat=True)] == [
        "971500000001", "971500000002", ""]  # fmt: skip
