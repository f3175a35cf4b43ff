"""Customers: who they are, what they owe, where they stand, what was done about it."""

from datetime import timedelta

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db.models import Case, Count, F, Min, OuterRef, Q, Subquery, Sum, When
from django.db.models.functions import Coalesce
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from unfold.contrib.filters.admin import BooleanRadioFilter, DropdownFilter
from unfold.decorators import display

from analytics.access import contacts_of
from analytics.admin_lists import Cell, link, moment, tag, values_filter, yes_no
from analytics.dashboards import frame
from analytics.tables import Column
from operations.admin.ask import Offer, OfferingAdmin
from operations.admin.follow_ups import NewNote, note_history, notes_save
from operations.admin.payments import payment_history
from operations.admin.reminders import message_history
from operations.admin.shared import (
    LATEST,
    Button,
    DeskAdmin,
    History,
    ServiceAdmin,
    admin_url,
    amount,
    day,
    order_link,
    overdue,
    page,
    person,
    standing,
)
from operations.admin.trail import trail
from operations.models import CORRECTABLE, MONEY, Customer, Order
from operations.money import Promise
from operations.scope import customers_for, follow_ups_for, messages_for, orders_for, payments_for
from operations.standing import last_promises, standings

FIELDS = {"name": "name", "phone": "phone", "email": "e-mail", "route": "route"}  # of CORRECTABLE, in words
NAME = Coalesce("own_name", "name")
NAMELESS = Q(own_name__isnull=True, name="")


class ImportedAdmin(ServiceAdmin, DeskAdmin):
    """A row of the exports: looked at, never changed, added or deleted by hand. Who may look may also open its page,
    where notes are written (each by its own permission)."""

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return self.has_view_permission(request, obj)

    def has_view_permission(self, request, obj=None):
        return request.user.has_perm(f"operations.view_{self.opts.model_name}")

    def get_readonly_fields(self, request, obj=None):
        return [*(f.name for f in self.opts.fields), *super().get_readonly_fields(request, obj)]

    def save_model(self, request, obj, form, change):
        """Nothing: its columns are the export's."""

    def save_formset(self, request, form, formset, change):
        request.written = notes_save(request, formset)

    def response_change(self, request, obj):
        """Stay with the row: the note stands beneath it now."""
        messages.success(request, "Written down." if getattr(request, "written", 0) else "There was nothing to write.")
        return redirect(request.path)

    def render_change_form(self, request, context, *args, **kwargs):
        context |= {"show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)


# Filters -----------------------------------------------------------------------------------------------------------


class DebtFilter(DropdownFilter):
    title, parameter_name = "debt", "debt"

    def lookups(self, request, model_admin):
        return [
            ("owes", "owes something"),
            ("overdue", "overdue"),
            ("100", "owes 100 or more"),
            ("none", "owes nothing"),
        ]

    def queryset(self, request, queryset):
        due = timezone.localdate() - timedelta(days=frame.business().payment_terms_days)
        wanted = {
            "owes": Q(_balance__gt=0), "overdue": Q(_balance__gt=0, _since__lt=due),
            "100": Q(_balance__gte=100), "none": Q(_balance__isnull=True),
        }.get(self.value())  # fmt: skip
        return queryset.filter(wanted) if wanted else queryset


class NextActionFilter(DropdownFilter):
    title, parameter_name = "next action", "next"

    def lookups(self, request, model_admin):
        return [("due", "due today or before"), ("later", "later"), ("none", "nothing planned")]

    def queryset(self, request, queryset):
        today = timezone.localdate()
        wanted = {
            "due": Q(next_action_on__lte=today), "later": Q(next_action_on__gt=today),
            "none": Q(next_action_on__isnull=True),
        }.get(self.value())  # fmt: skip
        return queryset.filter(wanted) if wanted else queryset


class ContactFilter(DropdownFilter):
    title, parameter_name = "last contact", "contact"

    def lookups(self, request, model_admin):
        return [("never", "never"), ("week", "in the last 7 days"), ("old", "more than 30 days ago"),
                ("stop", "do not contact")]  # fmt: skip

    def queryset(self, request, queryset):
        now = timezone.now()
        wanted = {
            "never": Q(last_contact_at__isnull=True), "week": Q(last_contact_at__gt=now - timedelta(days=7)),
            "old": Q(last_contact_at__lt=now - timedelta(days=30)), "stop": Q(do_not_contact=True),
        }.get(self.value())  # fmt: skip
        return queryset.filter(wanted) if wanted else queryset


class PromiseFilter(DropdownFilter):
    title, parameter_name = "last promise", "promise"

    def lookups(self, request, model_admin):
        return [(state.value, state.value) for state in (Promise.BROKEN, Promise.PENDING, Promise.KEPT)]

    def queryset(self, request, queryset):
        if self.value() not in [state.value for state in Promise]:
            return queryset
        found = last_promises(timezone.localdate(), user=request.user).items()
        return queryset.filter(pk__in=[pk for pk, promise in found if promise.state == self.value()])


class AssignedFilter(DropdownFilter):
    title, parameter_name = "assigned to", "assigned"

    def lookups(self, request, model_admin):
        people = get_user_model().objects.filter(assigned_customers__isnull=False).distinct().order_by("username")
        return [("me", "me"), ("nobody", "nobody"), *((str(who.pk), person(who)) for who in people)]

    def queryset(self, request, queryset):
        value = self.value()
        if value == "nobody":
            return queryset.filter(assigned_to__isnull=True)
        if value == "me":
            return queryset.filter(assigned_to=request.user)
        return queryset.filter(assigned_to=int(value)) if value and value.isdecimal() else queryset


class CorrectedFilter(DropdownFilter):
    title, parameter_name = "corrected by us", "corrected"

    def lookups(self, request, model_admin):
        return [("yes", "corrected"), ("conflict", "CleanCloud says something else since")]

    def queryset(self, request, queryset):
        if self.value() == "conflict":
            return queryset.with_conflicts()
        if self.value() != "yes":
            return queryset
        wanted = Q()
        for field in CORRECTABLE:
            wanted |= Q(**{f"own_{field}__isnull": False})
        return queryset.filter(wanted)


# Actions -----------------------------------------------------------------------------------------------------------


OFFERS = (
    Offer("assign", "Assign to somebody…", "customer"), Offer("next-action", "Set the next action…", "customer"),
)  # fmt: skip


# The pages ---------------------------------------------------------------------------------------------------------


def with_debts(customers, user):
    """With _balance (what is owed on orders that the user may see; nothing: None), _since (the oldest of them) and
    _orders (how many orders there are)."""
    theirs = orders_for(user).filter(customer=OuterRef("pk")).order_by()
    owed = theirs.outstanding().values("customer")
    return customers.annotate(
        _balance=Subquery(owed.annotate(sum=Sum("balance")).values("sum"), output_field=MONEY),
        _since=Subquery(owed.annotate(since=Min(Coalesce("placed", "cleaned"))).values("since")),
        _orders=Subquery(theirs.values("customer").annotate(n=Count("pk")).values("n")),
    )


@admin.register(Customer)
class CustomerAdmin(OfferingAdmin, ImportedAdmin):
    list_display = (
        "customer_id", "name_shown", "phone_shown", "owes", "days_overdue", "stands", "last_contact",
        "next_action", "assignee",
    )  # fmt: skip
    list_display_links = ("customer_id", "name_shown")
    list_filter = (
        DebtFilter, PromiseFilter, NextActionFilter, ContactFilter, AssignedFilter, CorrectedFilter,
        values_filter("store", "store"), values_filter("area", "area"), values_filter("source", "system"),
        ("b2b", BooleanRadioFilter), ("in_latest_export", BooleanRadioFilter),
    )  # fmt: skip
    search_fields = ("customer_id", "name", "own_name", "email", "own_email")
    search_help_text = "Name, phone (050…, +97150…), e-mail or customer number"
    contact_fields = {"email": "email", "own_email": "email", "phone_shown": "phone", "email_shown": "email"}
    phone_path = "phone_key"
    date_hierarchy = "signed_up"
    ordering = (Case(When(NAMELESS, then=1), default=0), NAME, "customer_id")  # the nameless come last
    list_about = "Everybody who was ever a customer. Click one to see what they owe and to write down what was said."
    inlines = (NewNote,)
    offers = OFFERS
    readonly_fields = (
        "name_shown", "phone_shown", "email_shown", "route_shown", "owes", "days_overdue", "stands", "last_contact",
        "next_action", "assignee", "their_orders", "corrections", "silent", "business", "exported",
    )  # fmt: skip
    cells = (
        Cell(Column("customer", "Customer"), lambda c: c.pk),
        Cell(Column("name", "Name"), lambda c: c.shown_name),
        Cell(Column("phone", "Phone"), lambda c: c.shown_phone),
        Cell(Column("email", "E-mail"), lambda c: c.shown_email),
        Cell(Column("store", "Store"), lambda c: c.store),
        Cell(Column("area", "Area"), lambda c: c.area),
        Cell(Column("balance", "Owes", "money"), lambda c: c._balance or 0),
        Cell(Column("since", "Oldest open order", "date"), lambda c: c._since),
        Cell(Column("days", "Days overdue", "count"), lambda c: overdue(c._since)),
        Cell(Column("level", "Stands at"), lambda c: _stands(c)[1]),
        Cell(Column("contact", "Last contact"), lambda c: moment(c.last_contact_at)),
        Cell(Column("next", "Next action", "date"), lambda c: c.next_action_on),
        Cell(Column("assigned", "Assigned to"), lambda c: person(c.assigned_to) if c.assigned_to else None),
        Cell(Column("orders", "Orders", "count"), lambda c: c._orders or 0),
        Cell(Column("signed_up", "Signed up", "date"), lambda c: c.signed_up),
        Cell(Column("b2b", "Business account", "boolean"), lambda c: c.b2b),
    )

    def get_queryset(self, request):
        found = customers_for(request.user, super().get_queryset(request)).select_related("assigned_to")
        return with_debts(found, request.user)

    def list_links(self, request):
        worklist = page(request.user, "receivables", "receivables")
        return [("Who owes, and whom to call next", worklist)] if worklist else []

    def fill(self, request, rows):
        debts = [(c.pk, overdue(c._since) or 0, c._balance) for c in rows if c._balance]
        found = standings(debts, timezone.localdate()) if debts else {}
        for customer in rows:
            customer._standing = found.get(customer.pk)

    def get_object(self, request, object_id, from_field=None):
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            self.fill(request, [found])
        return found

    def get_fieldsets(self, request, obj=None):
        ways = [f"{way}_shown" for way in ("phone", "email") if way in contacts_of(request.user)]
        first = [("customer_id", "name_shown"), tuple(ways), ("store", "area", "route_shown"), "their_orders"]
        parts = [
            (None, {"fields": [row for row in first if row]}),
            ("Where they stand", {"fields": [
                ("owes", "days_overdue", "stands"), ("last_contact", "next_action", "assignee"),
                ("silent", "preferred_channel", "language")]}),
            ("From the export", {"fields": [
                ("signed_up", "cohort_month", "business"), ("source", "exported", "synced_at")]}),
        ]  # fmt: skip
        if obj and any(getattr(obj, f"own_{field}") is not None for field in CORRECTABLE):
            parts.insert(1, ("Corrected by us", {"fields": ["corrections"]}))
        return parts

    def buttons(self, request, obj):
        user, back = request.user, admin_url("customer", obj.pk)
        found = [("Open the customer's page", page(user, "customer", "customer", obj.pk), True)]
        owing = (Offer("pay", "Take a payment", "customer"), Offer("promise", "Record a promise", "customer"))
        more = (Offer("preferences", "Preferences", "customer"), *self.offers)
        for offer in (*owing, *more) if obj._balance else more:
            found.append((offer.words.rstrip("…"), offer.url(user, obj.pk, back), False))
        return [Button(words, url, main) for words, url, main in found if url]

    def histories(self, request, obj):
        user = request.user
        found = [_order_history(user, obj)]
        if user.has_perm("operations.view_payment"):
            found.append(payment_history(payments_for(user).filter(order__customer=obj), user, q=obj.pk))
        if user.has_perm("operations.view_followup"):
            found.append(note_history(follow_ups_for(user).filter(customer=obj), user, q=obj.pk))
        if user.has_perm("operations.view_message"):
            found.append(message_history(messages_for(user).filter(customer=obj), user, q=obj.pk))
        return [*found, trail([obj], "Who corrected what")]

    # Columns

    silent = yes_no("do_not_contact", "do not contact")
    business = yes_no("b2b", "business account")
    exported = yes_no("in_latest_export", "in the latest export")

    @display(description="name", ordering=NAME)
    def name_shown(self, customer):
        return customer.shown_name or "–"

    @display(description="phone", ordering="phone_key")
    def phone_shown(self, customer):
        return customer.shown_phone or "–"

    @display(description="e-mail")
    def email_shown(self, customer):
        return customer.shown_email or "–"

    @display(description="route")
    def route_shown(self, customer):
        return customer.shown_route or "–"

    @display(description="owes", ordering="_balance")
    def owes(self, customer):
        return amount(customer._balance) or "–"

    @display(description="days overdue", ordering=F("_since").desc(nulls_first=True))
    def days_overdue(self, customer):
        found = overdue(customer._since)
        return "–" if found is None else found

    @display(description="stands at")
    def stands(self, customer):
        return tag(*_stands(customer))

    @display(description="last contact", ordering="last_contact_at")
    def last_contact(self, customer):
        if customer.do_not_contact:
            return "do not contact"
        at = customer.last_contact_at
        return day(timezone.localdate(at)) if at else "never"

    @display(description="next action", ordering="next_action_on")
    def next_action(self, customer):
        on = customer.next_action_on
        if on is None:
            return "–"
        return f"{day(on)} (due)" if on <= timezone.localdate() else day(on)

    @display(description="assigned to", ordering="assigned_to__username")
    def assignee(self, customer):
        return person(customer.assigned_to)

    @display(description="orders")
    def their_orders(self, customer):
        url = admin_url("order", customer__customer_id__exact=customer.pk)
        return link(url, f"{customer._orders or 0} orders")

    @display(description="what was corrected")
    def corrections(self, customer):
        conflicts = {conflict.field for conflict in customer.conflicts}
        rows = [
            (FIELDS[field], customer.shown(field) or "–", getattr(customer, field) or "–",
             "CleanCloud changed it since: choose on the customer's page" if field in conflicts else "stays")
            for field in CORRECTABLE if getattr(customer, f"own_{field}") is not None
        ]  # fmt: skip
        body = format_html_join("", "<tr><th scope='row'>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>", rows)
        head = (
            "<th scope='col'>What</th><th scope='col'>Ours</th><th scope='col'>CleanCloud's</th><th scope='col'></th>"
        )
        return format_html(
            "<table class='mw-table'><thead><tr>" + head + "</tr></thead><tbody>{}</tbody></table>", body
        )


def _stands(customer) -> tuple[str, str]:
    """(tone, words) of a customer's standing, as fill() put it there."""
    found = customer._standing
    if found is None:
        return "plain", ""
    if found.promise is Promise.BROKEN:
        return "bad", "promise broken"
    if found.paused:
        return "info", "promise pending"
    return ("warn", found.level.name) if found.level else ("plain", "no level yet")


def _order_history(user, customer) -> History:
    orders = orders_for(user).filter(customer=customer).with_balance().order_by("-placed", "-order_id")
    return History(
        "Orders",
        ("Order", "Placed", "Status", "Total", "Paid here", "Balance", "Money"),
        [
            (order_link(o.pk), day(o.placed), o.status, amount(o.total), amount(o.paid_here) if o.paid_here else "–",
             amount(o.balance), _paid(o))
            for o in orders[:LATEST]
        ],
        more=admin_url("order", customer__customer_id__exact=customer.pk),
        numbers=(3, 4, 5),
    )  # fmt: skip


def _paid(order: Order) -> str:
    words = standing(order)[1]
    return f"{words}, {day(order.payment_date)}" if order.paid and order.payment_date else words
