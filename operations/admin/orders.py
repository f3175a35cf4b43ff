"""Orders: what each is about, what it owes, who paid it where."""

from datetime import timedelta
from decimal import Decimal

from django.contrib import admin
from django.db.models import F, Q
from django.utils import timezone
from unfold.contrib.filters.admin import BooleanRadioFilter, DropdownFilter, RangeDateFilter, RangeNumericFilter
from unfold.decorators import display

from analytics.admin_lists import Cell, tag, values_filter, yes_no
from analytics.dashboards import frame
from analytics.tables import Column
from operations.admin.ask import Offer, OfferingAdmin
from operations.admin.customers import ImportedAdmin
from operations.admin.follow_ups import NewNote, note_history
from operations.admin.payments import payment_history
from operations.admin.shared import Button, admin_url, amount, customer_link, day, overdue, page, standing
from operations.admin.trail import trail
from operations.models import FollowUp, Order, Payment
from operations.scope import follow_ups_for, orders_for, payments_for


class MoneyFilter(DropdownFilter):
    title, parameter_name = "money", "money"

    def lookups(self, request, model_admin):
        return [("open", "unpaid (in the debtors' sum)"), ("overdue", "overdue"), ("over60", "overdue over 60 days"),
                ("part", "paid in part here"), ("here", "paid here, unpaid in CleanCloud"),
                ("paid", "paid in CleanCloud"), ("later", "not cleaned yet")]  # fmt: skip

    def queryset(self, request, queryset):
        opened = Q(paid=False, cleaned__isnull=False, in_latest_export=True, balance__gt=0)
        due = timezone.localdate() - timedelta(days=frame.business().payment_terms_days)
        wanted = {
            "open": opened, "overdue": opened & _before(due), "over60": opened & _before(due - timedelta(days=60)),
            "part": Q(paid=False, paid_here__gt=0, balance__gt=0),
            "here": Q(paid=False, paid_here__gt=0, balance=0),
            "paid": Q(paid=True), "later": Q(paid=False, cleaned__isnull=True),
        }.get(self.value())  # fmt: skip
        return queryset.filter(wanted) if wanted else queryset


def _before(due) -> Q:
    return Q(placed__lt=due) | Q(placed__isnull=True, cleaned__lt=due)


PAID = Offer("pay", "Mark paid…", "order")


@admin.register(Order)
class OrderAdmin(OfferingAdmin, ImportedAdmin):
    list_display = ("order_id", "customer_shown", "store", "status", "placed_on", "sum", "here", "owes",
                    "days_overdue", "stands")  # fmt: skip
    list_filter = (
        MoneyFilter, values_filter("store", "store"), values_filter("status", "status"),
        values_filter("payment_type", "payment method"), ("placed", RangeDateFilter), ("total", RangeNumericFilter),
        ("delivery", BooleanRadioFilter), ("b2b", BooleanRadioFilter), ("in_latest_export", BooleanRadioFilter),
    )  # fmt: skip
    search_fields = ("order_id", "customer__customer_id", "customer__name", "customer__own_name")
    search_help_text = "Order number, or the customer's name, phone (050…, +97150…) or number"
    phone_path = "customer__phone_key"
    date_hierarchy = "placed"
    list_about = "Every order of CleanCloud."
    inlines = (NewNote,)
    offers = (PAID,)
    readonly_fields = ("customer_shown", "sum", "here", "owes", "days_overdue", "stands", "delivered", "business",
                       "paid_there", "exported")  # fmt: skip
    fieldsets = (
        (None, {"fields": (("order_id", "customer_shown"), ("store", "status"), ("sum", "here", "owes"),
                           ("stands", "days_overdue"))}),
        ("Dates", {"fields": (("placed", "ready_by"), ("cleaned", "collected"), ("pickup_date", "delivered"))}),
        ("From the export", {"fields": (("total", "pieces", "business"), ("paid_there", "payment_type", "payment_date"),
                                        ("exported", "synced_at"))}),
    )  # fmt: skip
    cells = (
        Cell(Column("order", "Order"), lambda o: o.pk),
        Cell(Column("customer", "Customer"), lambda o: o.customer_id),
        Cell(Column("name", "Name"), lambda o: o.customer.shown_name),
        Cell(Column("phone", "Phone"), lambda o: o.customer.shown_phone),
        Cell(Column("email", "E-mail"), lambda o: o.customer.shown_email),
        Cell(Column("store", "Store"), lambda o: o.store),
        Cell(Column("status", "Status"), lambda o: o.status),
        Cell(Column("placed", "Placed", "date"), lambda o: o.placed),
        Cell(Column("cleaned", "Cleaned", "date"), lambda o: o.cleaned),
        Cell(Column("collected", "Collected", "date"), lambda o: o.collected),
        Cell(Column("pieces", "Pieces", "count"), lambda o: o.pieces),
        Cell(Column("total", "Total", "money"), lambda o: o.total),
        Cell(Column("paid_here", "Paid here", "money"), lambda o: o.paid_here),
        Cell(Column("balance", "Balance", "money"), lambda o: o.balance),
        Cell(Column("days", "Days overdue", "count"), lambda o: _late(o)),
        Cell(Column("state", "Money"), lambda o: standing(o)[1]),
        Cell(Column("method", "Payment method"), lambda o: o.payment_type),
        Cell(Column("paid_on", "Paid on", "date"), lambda o: o.payment_date),
        Cell(Column("b2b", "Business account", "boolean"), lambda o: o.b2b),
    )

    def get_queryset(self, request):
        found = orders_for(request.user, super().get_queryset(request))
        return found.select_related("customer").with_balance()

    def choice(self, request, order) -> str:
        """An order among those to choose from: M-00102, Dana Haddad, Dhs 35.00 owed."""
        named = order.customer.shown_name if request.user.has_perm("operations.view_customer") else ""
        owed = f"{frame.currency()} {order.balance:,.2f} owed" if order.balance else "nothing owed"
        return ", ".join(part for part in (order.pk, named, owed) if part)

    def list_top(self, request):
        top = super().list_top(request)
        how = " Tick some and choose “Mark paid…” to record what was paid here." if PAID.open_to(request.user) else ""
        return top | {"about": top["about"] + how}

    def list_links(self, request):
        found = [
            ("Who owes, and whom to call next", page(request.user, "receivables", "receivables")),
            ("Paid here, still unpaid in CleanCloud", page(request.user, "paid_here", "receivables")),
        ]
        return [(words, url) for words, url in found if url]

    def buttons(self, request, obj):
        found = [("Open the customer's page", page(request.user, "customer", "customer", obj.customer_id), False)]
        if obj.balance:
            found.insert(0, ("Mark paid", PAID.url(request.user, obj.pk, admin_url("order", obj.pk)), True))
        return [Button(words, url, main) for words, url, main in found if url]

    def histories(self, request, obj):
        user, found, rows = request.user, [], []
        if user.has_perm("operations.view_payment"):
            found.append(payment_history(payments_for(user).filter(order=obj), user, q=obj.pk))
            rows += [Payment(pk=pk) for pk in payments_for(user).filter(order=obj).values_list("pk", flat=True)]
        if user.has_perm("operations.view_followup"):
            notes = follow_ups_for(user).filter(Q(order=obj) | Q(promised_orders=obj)).distinct()
            found.append(note_history(notes, user, q=obj.pk))
            rows += [FollowUp(pk=pk) for pk in notes.values_list("pk", flat=True)]
        return [*found, trail(rows)]

    # Columns

    delivered = yes_no("delivery", "delivered")
    business = yes_no("b2b", "business account")
    paid_there = yes_no("paid", "paid in CleanCloud")
    exported = yes_no("in_latest_export", "in the latest export")

    @display(description="customer", ordering="customer__name")
    def customer_shown(self, order):
        return customer_link(order.customer)

    @display(description="placed", ordering="placed")
    def placed_on(self, order):
        return day(order.placed) or "–"

    @display(description="total", ordering="total")
    def sum(self, order):
        return amount(order.total)

    @display(description="paid here", ordering="paid_here")
    def here(self, order):
        return amount(order.paid_here) if order.paid_here else "–"

    @display(description="balance", ordering="balance")
    def owes(self, order):
        return amount(order.balance) if order.balance else "–"

    @display(description="days overdue", ordering=F("placed").desc())
    def days_overdue(self, order):
        found = _late(order)
        return "–" if found is None else found

    @display(description="money")
    def stands(self, order):
        return tag(*standing(order))


def _late(order: Order) -> int | None:
    """Days overdue of an order that counts as owed; None for the others."""
    counts = order.balance > Decimal(0) and order.cleaned is not None and order.in_latest_export
    return overdue(order.since) if counts else None
