"""What the desk's pages of the admin have in common: where a row leads, phones in searches, tables of what happened,
and forms that services may refuse."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.http import urlencode
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from analytics import formats
from analytics.access import can_see, contacts_of
from analytics.admin_lists import ListAdmin, link, tag
from analytics.dashboards import frame
from analytics.listing import FIND
from operations import transports
from operations.finding import Sought, clean
from operations.models import Delivery, Order
from operations.money import days_overdue
from operations.services import Refused

LATEST = 20  # rows of a table of what happened; a link leads to all


# Words ---------------------------------------------------------------------------------------------------------------


def amount(value: Decimal | None) -> str | None:
    """1,234.50, as it stands in a column; None: no value."""
    return None if value is None else f"{value:,.2f}"


def day(value) -> str | None:
    """10 Feb 2026; None: no value."""
    return formats.day(value) if value else None


def overdue(since: date | None) -> int | None:
    """days_overdue() today by the business's terms; None without a day."""
    terms = frame.business().payment_terms_days
    return None if since is None else days_overdue(since, timezone.localdate(), terms)


def person(user) -> str:
    return (user.get_full_name() or user.get_username()) if user else "–"


def standing(order: Order) -> tuple[str, str]:
    """(tone, words): is it paid, in CleanCloud or here; bad: overdue."""
    if order.paid:
        return "good", "paid"
    if order.paid_here >= order.total:
        return "info", "paid here"
    if not order.in_latest_export:
        return "plain", "not in the export"
    if order.cleaned is None:
        return "plain", "not cleaned yet"
    late = overdue(order.since)
    return "bad" if late else "warn", "part paid" if order.paid_here else "unpaid"


def delivery_tag(delivery: Delivery) -> str:
    """What became of a delivery so far."""
    tones = {"waiting": "warn", "sending": "warn", "sent": "good", "failed": "bad"}
    return tag(tones[delivery.state], delivery.get_state_display())


# Where things are ----------------------------------------------------------------------------------------------------


def admin_url(model: str, pk=None, **query) -> str:
    """The page of a row, or the list without one, filtered by `query`."""
    url = (
        reverse(f"admin:operations_{model}_change", args=[pk])
        if pk
        else reverse(f"admin:operations_{model}_changelist")
    )
    return f"{url}?{urlencode(query)}" if query else url


def customer_link(customer) -> str:
    """To a customer's page, by their name; by their number where it is unknown."""
    return link(admin_url("customer", customer.pk), customer.shown_name or customer.pk) if customer else "–"


def order_link(order_id: str | None) -> str:
    return link(admin_url("order", order_id), order_id) if order_id else "–"


def page(user, name: str, access: str, *args, **query) -> str | None:
    """The address of a page outside the admin, for those who may open it; None where it isn't."""
    if not can_see(user, access):
        return None
    try:
        url = reverse(name, args=args)
    except NoReverseMatch:
        return None
    return f"{url}?{urlencode(query, doseq=True)}" if query else url


# Lists -------------------------------------------------------------------------------------------------------------


class DeskAdmin(ListAdmin):
    """A list of the desk's rows: searched by words and by phones, however written; nothing in it is ever deleted.

    phone_path: the way to phone_key from a row. contact_fields: search_fields and columns that tell how to reach
    somebody, for those who may see them.
    """

    phone_path = ""
    contact_fields: dict[str, str] = {}
    change_form_outer_before_template = "admin/operations/buttons.html"
    change_form_outer_after_template = "admin/operations/histories.html"

    def has_delete_permission(self, request, obj=None):
        return False

    def get_list_display(self, request):
        return [name for name in super().get_list_display(request) if not self._hidden(request, name)]

    def get_search_fields(self, request):
        return [name for name in super().get_search_fields(request) if not self._hidden(request, name)]

    def _hidden(self, request, name: str) -> bool:
        way = self.contact_fields.get(name)
        return way is not None and way not in contacts_of(request.user)

    def get_search_results(self, request, queryset, search_term):
        """Rows that have every word in one of the fields, or whose number or phone it is."""
        fields = self.get_search_fields(request)
        sought = Sought(clean(search_term, FIND))
        wanted = sought.words_in(fields)
        wanted |= _numbered(fields, sought)
        if self.phone_path and "phone" in contacts_of(request.user) and (by_phone := sought.phones(self.phone_path)):
            wanted |= by_phone
        return queryset.filter(wanted) if sought.text else queryset, False

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if obj is not None:
            context |= {"buttons": self.buttons(request, obj), "histories": self.histories(request, obj)}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def buttons(self, request, obj) -> list["Button"]:
        """What can be done with this row, above its page."""
        return []

    def histories(self, request, obj) -> list["History"]:
        """What happened to this row, beneath its page."""
        return []


def _numbered(fields: Iterable[str], sought: Sought) -> Q:
    """Rows of this customer's or order's number, however it is written."""
    found = Q()
    for field in fields:
        number = {"customer_id": sought.customer, "order_id": sought.order}.get(field.rpartition("__")[2])
        found |= Q(**{field: number}) if number else Q()
    return found


@dataclass(frozen=True)
class Button:
    """A link above a row's page; main: what is done most."""

    words: str
    url: str
    main: bool = False


@dataclass(frozen=True)
class History:
    """A table beneath a row's page. rows: cells, words or links; more: the address of all of them."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[object]]
    more: str = ""
    empty: str = "Nothing yet."
    numbers: tuple[int, ...] = ()  # the columns that stand to the right

    @property
    def cells(self) -> list[list[tuple[str, object, bool]]]:
        """(head, cell, is a number) of every row."""
        return [
            [(head, "–" if cell in (None, "") else cell, i in self.numbers)
             for i, (head, cell) in enumerate(zip(self.heads, row, strict=True))]
            for row in self.rows
        ]  # fmt: skip

    @property
    def head_cells(self) -> list[tuple[str, bool]]:
        return [(head, i in self.numbers) for i, head in enumerate(self.heads)]


# Forms -------------------------------------------------------------------------------------------------------------


class PeopleField(forms.ModelMultipleChoiceField):
    """Who is to be told: everybody who may sign in and has a role; who has no address is said so."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self, **kwargs):
        known = get_user_model().objects.filter(Q(groups__isnull=False) | Q(is_superuser=True), is_active=True)
        known = known.distinct().order_by("first_name", "username")
        super().__init__(known, **{"required": False, "label": "People"} | kwargs)

    def label_from_instance(self, user) -> str:
        return person(user) if user.email.strip() else f"{person(user)} (has no e-mail address)"


def unset_above(top: dict, *kinds: str) -> dict:
    """What stands above a list (ListAdmin.list_top), and what is missing here to send by these kinds of delivery."""
    return top | {"about": " ".join(filter(None, (top["about"], *map(transports.unset, kinds))))}


def unset_said(form: forms.Form, **kinds: str) -> None:
    """Say beneath fields that choose how something is sent what is missing here to send it: field=kind of delivery."""
    for name, kind in kinds.items():
        if name in form.fields and (lacks := transports.unset(kind)):
            form.fields[name].help_text = lacks


# Forms that write through services ---------------------------------------------------------------------------------


class ServiceAdmin:
    """For a ModelAdmin that saves through services: what they refuse stands above the form, with all that was typed."""

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (Refused, ValidationError) as error:
            if hasattr(request, "refused"):
                raise
            request.refused = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(self, request, obj=None, change=False, **kwargs):
        form = super().get_form(request, obj, change=change, **kwargs)

        class Refusable(form):
            def clean(self):
                cleaned = super().clean()
                if hasattr(request, "refused"):
                    raise ValidationError(request.refused)
                return cleaned

        return Refusable
