"""Follow-ups: notes, contacts, promises. Written here or on the page of a customer or order; voided, never deleted."""

from uuid import uuid4

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.utils import timezone
from django.utils.text import Truncator
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateFilter
from unfold.decorators import display

from analytics.admin_lists import Cell, link, moment, people_filter, tag
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
    person,
)
from operations.admin.trail import trail
from operations.models import Channel, FollowUp
from operations.money import Promise
from operations.scope import customers_for, follow_ups_for, orders_for
from operations.standing import last_promises

TONES = {"broken": "bad", "pending": "info", "kept": "good", "replaced": "plain", "void": "bad"}


class FollowUpForm(forms.ModelForm):
    """A new follow-up, or the words of one there is. click: a double click writes it once."""

    promise_on = Day(label="Promised for", required=False)
    next_action_on = Day(
        label="Next action", required=False,
        help_text="Empty: a contact does what was planned; a mere note changes no plan.",
    )  # fmt: skip
    click = Click()

    class Meta:
        model = FollowUp
        fields = (
            "note", "customer", "order", "channel", "outcome", "promise_amount", "promise_on", "next_action_on",
        )  # fmt: skip

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "note" in self.fields:
            self.fields["note"].widget.attrs |= {"rows": 3, "dir": "auto"}
        if "channel" in self.fields:
            self.fields["channel"].required = False
        if self.instance.pk is None and "click" in self.fields:
            self.fields["click"].initial = uuid4()

    def clean(self):
        cleaned = super().clean()
        if self.instance.pk is None:
            if (cleaned.get("promise_amount") is None) != (cleaned.get("promise_on") is None):
                self.add_error(None, "A promise has an amount and a day.")
            self.instance.request_key = cleaned.get("click")
        cleaned["channel"] = cleaned.get("channel") or Channel.NOTE
        return cleaned


class NewNote(StackedInline):
    """Room for one new note on the row above; those there are stand beneath (note_history)."""

    model = FollowUp
    form = FollowUpForm
    extra = 1
    max_num = 1
    can_delete = False
    verbose_name_plural = "write a note"
    hide_title = True
    verbose_name = "write a note"
    fields = ("note", ("channel", "outcome", "next_action_on"), "click")

    def get_queryset(self, request):
        return super().get_queryset(request).none()

    def has_change_permission(self, request, obj=None):
        return False

    def has_view_permission(self, request, obj=None):
        return self.has_add_permission(request, obj)


def notes_save(request, formset) -> int:
    """Save what NewNote's form holds; how many that was."""
    formset.save(commit=False)
    for followup in formset.new_objects:
        save(followup, request.user)
    return len(formset.new_objects)


def save(followup: FollowUp, user) -> FollowUp:
    """Write it, once a request_key: sent again, the one there is."""
    if followup.pk is None and followup.request_key:
        made = follow_ups_for(user).filter(request_key=followup.request_key).first()
        if made is not None:
            followup.__dict__.update(made.__dict__)
            return made
    return services.followup_save(followup, user=user)


def note_history(notes, user, **query) -> History:
    """The latest of these follow-ups, each leading to its page."""
    rows = notes.select_related("created_by", "voided_by").order_by("-created_at", "-pk")[:LATEST]
    return History(
        "Notes, calls, promises",
        ("When", "How", "Note", "Promise", "Next action", "Order", "By"),
        [
            (link(admin_url("followup", n.pk), moment(n.created_at)), how(n), said(n, 200), promised(n),
             day(n.next_action_on), n.order_id, person(n.created_by))
            for n in rows
        ],
        more=admin_url("followup", **query),
    )  # fmt: skip


def how(note: FollowUp) -> str:
    """call, reached; note; void."""
    words = note.get_channel_display()
    if note.outcome:
        words += f", {note.get_outcome_display()}"
    return f"void: {words}" if note.voided_at else words


def said(note: FollowUp, most: int) -> str:
    """The note, or what it did where it has no words."""
    words = note.note or ("assigned" if note.sets_assignee else "planned" if note.sets_next_action else "")
    return Truncator(words).chars(most)


def promised(note: FollowUp) -> str | None:
    return f"{amount(note.promise_amount)} by {day(note.promise_on)}" if note.promise_on else None


class KindFilter(DropdownFilter):
    title, parameter_name = "kind", "kind"

    def lookups(self, request, model_admin):
        return [
            ("note", "notes"),
            ("contact", "contacts"),
            ("promise", "promises"),
            ("plan", "plans"),
            ("void", "void"),
        ]

    def queryset(self, request, queryset):
        standing = Q(voided_at__isnull=True)
        wanted = {
            "note": standing & Q(channel=Channel.NOTE), "contact": standing & ~Q(channel=Channel.NOTE),
            "promise": standing & Q(promise_on__isnull=False), "plan": standing & Q(next_action_on__isnull=False),
            "void": ~standing,
        }.get(self.value())  # fmt: skip
        return queryset.filter(wanted) if wanted else queryset


VOID = Offer("void-followup", "Void…", "followup")


@admin.register(FollowUp)
class FollowUpAdmin(OfferingAdmin, ServiceAdmin, DeskAdmin):
    form = FollowUpForm
    list_display = ("written", "customer_shown", "how_met", "short_note", "promise", "stands", "next_action",
                    "order_number", "who")  # fmt: skip
    list_display_links = ("written", "short_note")
    list_filter = (
        KindFilter, ("channel", ChoicesDropdownFilter), ("outcome", ChoicesDropdownFilter),
        people_filter("created_by", "written by"), ("promise_on", RangeDateFilter),
        ("next_action_on", RangeDateFilter),
    )  # fmt: skip
    list_select_related = ("customer", "order", "created_by", "voided_by")
    search_fields = ("note", "customer__name", "customer__own_name", "customer__customer_id", "order__order_id")
    search_help_text = "Words of the note, a customer's name, phone or number, an order number"
    phone_path = "customer__phone_key"
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-pk")
    list_about = "What was said with customers and what they promised. A mistake is voided, never deleted."
    autocomplete_fields = ("customer", "order")
    offers = (VOID,)
    cells = (
        Cell(Column("written", "Written"), lambda n: moment(n.created_at)),
        Cell(Column("customer", "Customer"), lambda n: n.customer_id),
        Cell(Column("name", "Name"), lambda n: n.customer.shown_name if n.customer else None),
        Cell(Column("order", "Order"), lambda n: n.order_id),
        Cell(Column("how", "How"), how),
        Cell(Column("note", "Note"), lambda n: said(n, 10_000)),
        Cell(Column("promised", "Promised", "money"), lambda n: n.promise_amount),
        Cell(Column("promise_on", "Promised for", "date"), lambda n: n.promise_on),
        Cell(Column("state", "Promise"), lambda n: n._stood),
        Cell(Column("next", "Next action", "date"), lambda n: n.next_action_on),
        Cell(Column("who", "Written by"), lambda n: person(n.created_by)),
        Cell(Column("why", "Why void"), lambda n: n.void_reason),
    )

    def get_queryset(self, request):
        found = super().get_queryset(request).select_related(*self.list_select_related)
        return follow_ups_for(request.user, found)

    def fill(self, request, rows):
        """How each promise stands: a customer's last one alone still says something."""
        made = {row.customer_id for row in rows if row.promise_on and not row.voided_at}
        last = last_promises(timezone.localdate(), made, request.user) if made else {}
        for row in rows:
            row._stood = None
            if row.voided_at:
                row._stood = "void"
            elif row.promise_on:
                newest = last.get(row.customer_id)
                now = newest.state if newest and newest.made.pk == row.pk else Promise.NONE
                row._stood = "replaced" if now is Promise.NONE else now.value

    def get_object(self, request, object_id, from_field=None):
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            self.fill(request, [found])
        return found

    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and not (obj and obj.voided_at)

    def get_fieldsets(self, request, obj=None):
        if obj is None:
            return [
                (None, {"fields": ["note", ("customer", "order"), ("channel", "outcome", "next_action_on")]}),
                ("A promise to pay, if there was one", {"fields": [("promise_amount", "promise_on"), "click"]}),
            ]
        fields = ["note", ("customer_shown", "order_number"), ("channel", "outcome")]
        more = [("promise", "stands")] if obj.promise_on or obj.voided_at else []
        more += [("next_action", "assigned_to")] if obj.sets_next_action or obj.sets_assignee else []
        record = [("who", "written"), ("changed_by", "changed_at")]
        record += [("voided_by", "voided_at"), "void_reason"] if obj.voided_at else []
        return [(None, {"fields": fields + more}), ("On record", {"fields": record})]

    def get_readonly_fields(self, request, obj=None):
        if obj is None:
            return ()
        shown = ("customer_shown", "order_number", "promise", "stands", "next_action", "assigned_to", "who", "written",
                 "changed_by", "changed_at", "voided_by", "voided_at", "void_reason")  # fmt: skip
        # What a promise was measured by, and what a customer's columns follow from, stays as it was written.
        return (*shown, "customer", "order", "promise_amount", "promise_on", "next_action_on", "click")

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "customer":
            field.queryset = customers_for(request.user, field.queryset)
        elif db_field.name == "order":
            field.queryset = orders_for(request.user, field.queryset)
        return field

    def save_model(self, request, obj, form, change):
        save(obj, request.user)

    def buttons(self, request, obj):
        if obj.voided_at or not services.may_void(obj, request.user):
            return []
        url = VOID.url(request.user, obj.pk, admin_url("followup", obj.pk))
        return [Button("Void this", url)] if url else []

    def histories(self, request, obj):
        return [trail([obj])]

    # Columns

    @display(description="written", ordering="created_at")
    def written(self, note):
        return moment(note.created_at)

    @display(description="customer", ordering="customer__name")
    def customer_shown(self, note):
        return customer_link(note.customer)

    @display(description="how", ordering="channel")
    def how_met(self, note):
        return how(note)

    @display(description="note")
    def short_note(self, note):
        return said(note, 60) or "–"

    @display(description="promise", ordering="promise_on")
    def promise(self, note):
        return promised(note) or "–"

    @display(description="stands")
    def stands(self, note):
        return tag(TONES[note._stood], note._stood) if note._stood else "–"

    @display(description="next action", ordering="next_action_on")
    def next_action(self, note):
        return day(note.next_action_on) or ("none any more" if note.sets_next_action else "–")

    @display(description="order", ordering="order_id")
    def order_number(self, note):
        return order_link(note.order_id)

    @display(description="by", ordering="created_by__username")
    def who(self, note):
        return person(note.created_by)
