"""Payments that staff recorded: looked up, recorded on the page of one order, voided; never changed or deleted."""

from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.utils import timezone
from django.utils.html import format_html
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter, RangeNumericFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from analytics.admin_lists import Cell, link, moment, people_filter, tag, values_filter
from analytics.tables import Column
from operations import services
from operations.admin.ask import Click, Day, Offer, OfferingAdmin
from operations.admin.shared import (
    LATEST,
    Button,
    DeskAdmin,
    History,
    ServiceAdmin,
    admin_url,
    amount,
    customer_link,
    day,
    order_link,
    page,
    person,
)
from operations.admin.trail import trail
from operations.models import Order, Payment
from operations.scope import orders_for, payments_for

TONES = {"counts": "good", "waits": "info", "void": "bad", "undoes": "warn"}


def state(payment: Payment) -> tuple[str, str]:
    """(kind, words): does it count, and is it in the figures already?"""
    if payment.voids_id:
        return "undoes", f"undoes payment {payment.voids_id}"
    if hasattr(payment, "voided_by"):
        return "void", "void"
    return ("counts", "in the figures") if payment.included_in else ("waits", "in the figures shortly")


def payment_history(payments, user, **query) -> History:
    """The latest of these payments, each leading to its page; query: what filters the list of payments to them."""
    rows = payments.select_related("created_by", "voided_by").order_by("-created_at", "-pk")[:LATEST]
    return History(
        "Payments recorded here",
        ("Paid on", "Order", "Amount", "By", "Reference", "Recorded by", "State"),
        [
            (link(admin_url("payment", p.pk), day(p.paid_on)), p.order_id, amount(p.amount), p.method, p.reference,
             f"{person(p.created_by)}, {moment(p.created_at)}", state(p)[1])
            for p in rows
        ],
        more=admin_url("payment", **query),
        empty="None: what was paid before is in CleanCloud's export.",
        numbers=(2,),
    )  # fmt: skip


class StateFilter(DropdownFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request, model_admin):
        return [
            ("counts", "counts"),
            ("waits", "not yet in the figures"),
            ("void", "void"),
            ("undoes", "undoes another"),
        ]

    def queryset(self, request, queryset):
        standing = Q(voids__isnull=True, voided_by__isnull=True)
        wanted = {
            "counts": standing, "waits": Q(included_in=""), "void": Q(voided_by__isnull=False),
            "undoes": Q(voids__isnull=False),
        }.get(self.value())  # fmt: skip
        return queryset.filter(wanted) if wanted else queryset


VOID = Offer("void-payment", "Void…", "payment")


class PaymentForm(forms.ModelForm):
    """A new payment. amount: empty is all that the order owes. click: a double click records it once."""

    amount = forms.DecimalField(
        label="Amount", required=False, max_digits=12, decimal_places=2, min_value=Decimal("0.01"),
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        help_text="Empty: all that the order still owes.",
    )  # fmt: skip
    method = forms.ChoiceField(label="Paid by", widget=UnfoldAdminSelectWidget)
    paid_on = Day(label="Paid on")
    click = Click()

    class Meta:
        model = Payment
        fields = ("order", "amount", "method", "paid_on", "reference", "note")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "method" in self.fields:
            self.fields["method"].choices = [(name, name) for name in services.payment_methods()]
            self.fields["paid_on"].initial = timezone.localdate()
            self.fields["click"].initial = uuid4()

    def _post_clean(self):
        """The services judge it, not the model: an amount may be left out."""

    def save(self, commit=True):
        return self.instance

    def save_m2m(self):
        pass


@admin.register(Payment)
class PaymentAdmin(OfferingAdmin, ServiceAdmin, DeskAdmin):
    form = PaymentForm
    list_display = ("number", "paid_day", "order_number", "customer", "sum", "method", "reference", "who", "stands")
    list_display_links = ("number", "paid_day")
    list_filter = (
        StateFilter, values_filter("method", "paid by"), ("paid_on", RangeDateFilter), ("amount", RangeNumericFilter),
        people_filter("created_by", "recorded by"),
    )  # fmt: skip
    list_select_related = ("order__customer", "created_by", "voided_by__created_by")
    search_fields = ("order__order_id", "reference", "order__customer__customer_id", "order__customer__name",
                     "order__customer__own_name")  # fmt: skip
    search_help_text = "Order, reference, or the customer's name, phone or number"
    phone_path = "order__customer__phone_key"
    date_hierarchy = "paid_on"
    ordering = ("-created_at", "-pk")
    list_about = (
        "Money taken here that CleanCloud may not know yet. A mistake is voided, never deleted: both rows stay, and "
        "the order owes again."
    )
    autocomplete_fields = ("order",)
    offers = (VOID,)
    cells = (
        Cell(Column("id", "Payment"), lambda p: str(p.pk)),
        Cell(Column("paid_on", "Paid on", "date"), lambda p: p.paid_on),
        Cell(Column("order", "Order"), lambda p: p.order_id),
        Cell(Column("customer", "Customer"), lambda p: p.order.customer_id),
        Cell(Column("name", "Name"), lambda p: p.order.customer.shown_name),
        Cell(Column("store", "Store"), lambda p: p.order.store),
        Cell(Column("amount", "Amount", "money"), lambda p: p.amount),
        Cell(Column("method", "Paid by"), lambda p: p.method),
        Cell(Column("reference", "Reference"), lambda p: p.reference),
        Cell(Column("note", "Note"), lambda p: p.note),
        Cell(Column("who", "Recorded by"), lambda p: person(p.created_by)),
        Cell(Column("recorded", "Recorded"), lambda p: moment(p.created_at)),
        Cell(Column("state", "State"), lambda p: state(p)[1]),
    )

    def has_change_permission(self, request, obj=None):
        return False

    def get_queryset(self, request):
        found = super().get_queryset(request).select_related(*self.list_select_related)
        return payments_for(request.user, found)

    def get_fieldsets(self, request, obj=None):
        if obj is None:
            return [(None, {"fields": ["order", ("amount", "method", "paid_on"), "reference", "note", "click"]})]
        return [
            (None, {"fields": [("order_number", "customer"), ("sum", "method", "paid_day"), "stands",
                               "counterpart", ("reference", "note")]}),
            ("On record", {"fields": [("who", "recorded"), "in_build"]}),
        ]  # fmt: skip

    def get_readonly_fields(self, request, obj=None):
        if obj is None:
            return ()
        return ("order_number", "customer", "sum", "method", "paid_day", "stands", "counterpart", "reference", "note",
                "who", "recorded", "in_build")  # fmt: skip

    def list_links(self, request):
        found = [("Paid here, still unpaid in CleanCloud", page(request.user, "paid_here", "receivables"))]
        return [(words, url) for words, url in found if url]

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "order":
            field.queryset = orders_for(request.user, field.queryset)
        return field

    def save_form(self, request, form, change):
        return form.instance

    def save_model(self, request, obj, form, change):
        data = form.cleaned_data
        made = record(data["order"], data.get("amount"), data["method"], data["paid_on"], data.get("reference") or "",
                      data.get("note") or "", request.user, data.get("click") or uuid4())  # fmt: skip
        obj.__dict__.update(made.__dict__)

    def buttons(self, request, obj):
        if state(obj)[0] in ("counts", "waits") and services.may_void(obj, request.user):
            url = VOID.url(request.user, obj.pk, admin_url("payment", obj.pk))
            return [Button("Void this payment", url)] if url else []
        return []

    def histories(self, request, obj):
        around = [obj]
        around += [obj.voided_by] if hasattr(obj, "voided_by") else []
        around += [obj.voids] if obj.voids_id else []
        order = Order.objects.with_balance().get(pk=obj.order_id)
        owed = History(
            "The order now",
            ("Order", "Total", "Paid here", "Balance", "In CleanCloud"),
            [(order_link(order.pk), amount(order.total), amount(order.paid_here), amount(order.balance),
              "paid" if order.paid else "unpaid")],
            numbers=(1, 2, 3),
        )  # fmt: skip
        return [owed, trail(around)]

    # Columns

    @display(description="payment", ordering="pk")
    def number(self, payment):
        return payment.pk

    @display(description="paid on", ordering="paid_on")
    def paid_day(self, payment):
        return day(payment.paid_on)

    @display(description="order", ordering="order_id")
    def order_number(self, payment):
        return order_link(payment.order_id)

    @display(description="customer", ordering="order__customer__name")
    def customer(self, payment):
        return customer_link(payment.order.customer)

    @display(description="amount", ordering="amount")
    def sum(self, payment):
        return amount(payment.amount)

    @display(description="recorded by", ordering="created_by__username")
    def who(self, payment):
        return person(payment.created_by)

    @display(description="state")
    def stands(self, payment):
        kind, words = state(payment)
        return tag(TONES[kind], words)

    @display(description="undone")
    def counterpart(self, payment):
        """The other row of a void, with the reason: "voided by payment 33, Dana, 10 Feb 2026, 09:05: paid twice"."""
        void = payment.voided_by if hasattr(payment, "voided_by") else payment if payment.voids_id else None
        if void is None:
            return "–"
        other, words = (void.voids_id, "undoes") if void is payment else (void.pk, "voided by")
        there = link(admin_url("payment", other), f"payment {other}")
        return format_html("{} {}, {}, {}: {}", words, there, person(void.created_by), moment(void.created_at),
                           void.note)  # fmt: skip

    @display(description="recorded", ordering="created_at")
    def recorded(self, payment):
        return moment(payment.created_at)

    @display(description="in the figures since build")
    def in_build(self, payment):
        return payment.included_in or "not yet: dashboards follow shortly"


def record(order: Order, sum_: Decimal | None, method: str, paid_on: date, reference: str, note: str, user,
           request_key: UUID) -> Payment:  # fmt: skip
    """A payment of one order: of this amount, or of all that it owes. Raises Refused."""
    more = {"method": method, "paid_on": paid_on, "reference": reference, "note": note, "user": user,
            "request_key": request_key}  # fmt: skip
    if sum_ is None:
        made = services.order_mark_paid([order.pk], **more)
    else:
        made = services.customer_pay(order.customer_id, sum_, order_ids=[order.pk], **more)
    if not made:
        raise services.Refused(f"Order {order.pk} owes nothing.")
    return made[0]
