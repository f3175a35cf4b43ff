"""The audit trail, read-only: who changed what, when and from where; as a list, and beneath the pages of rows.

Entries hold no customer's name or phone (operations/audit.py), but they are of the whole business: the list isn't for
a person kept to one store.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from auditlog.models import LogEntry
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist
from django.db.models import BooleanField, DateTimeField, DecimalField, Q
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from analytics.admin_lists import (
    Cell,
    HiddenFromStores,
    ListAdmin,
    LookedAt,
    MomentsFilter,
    link,
    moment,
    people_filter,
    tag,
)
from analytics.models import AlertRule, ReportMail, Target
from analytics.tables import Column
from operations.admin.shared import LATEST, History, person
from operations.models import Customer, Delivery, FollowUp, Level, Message, MessageTemplate, Payment, Schedule

# What operations/audit.py keeps entries of.
KEPT = (Customer, FollowUp, Payment, Message, Level, MessageTemplate, AlertRule, ReportMail, Target, Delivery, Schedule)
DID = {LogEntry.Action.CREATE: "made", LogEntry.Action.UPDATE: "changed", LogEntry.Action.DELETE: "removed",
       LogEntry.Action.ACCESS: "looked at"}  # fmt: skip
TONES = {LogEntry.Action.CREATE: "good", LogEntry.Action.UPDATE: "info", LogEntry.Action.DELETE: "bad"}
SHOWN = 6  # changed columns that an entry tells
PLAIN = ("None", "", None)


def changes(entry: LogEntry, people: dict[str, str], most: int = SHOWN) -> str:
    """What an entry changed: "amount: – → 35.00; method: – → Cash"; of a new row what it was made with. people: names
    by number (people_by_number)."""
    model = entry.content_type.model_class()
    said = []
    for name, values in (entry.changes_dict or {}).items():
        words = _words(model, name)
        if not isinstance(values, (list, tuple)):  # of a set of rows: {"type": "m2m", ...}
            said.append(words)
            continue
        old, new = (_value(model, name, value, people) for value in values)
        if old == new:  # written another way: 30000.0000 and 30000
            continue
        if entry.action != LogEntry.Action.CREATE:
            said.append(f"{words}: {old} → {new}")
        elif new != "–" and name not in ("id", "request_key", "created_at", "created_by"):
            said.append(f"{words}: {new}")
    more = f"; and {len(said) - most} more" if len(said) > most else ""
    return "; ".join(said[:most]) + more


def people_by_number() -> dict[str, str]:
    """Everybody's name by the number that entries know them by. One question."""
    return {str(user.pk): person(user) for user in get_user_model().objects.all()}


def _value(model, name: str, value, people: dict[str, str]) -> str:
    """A value of an entry as people read it: a person's name, a moment on the local clock."""
    if value in PLAIN:
        return "–"
    try:
        field = model._meta.get_field(name)
        if field.is_relation and field.related_model is get_user_model():
            return people.get(str(value), str(value))
        if isinstance(field, BooleanField):
            return "yes" if str(value) == "True" else "no"
        if isinstance(field, DecimalField):
            number = Decimal(str(value))
            return f"{number:.2f}" if field.decimal_places == 2 else f"{number.normalize():f}"  # 2: money
        if isinstance(field, DateTimeField):
            at = datetime.fromisoformat(str(value))
            return moment(at if timezone.is_aware(at) else at.replace(tzinfo=UTC)) or "–"
    except (ArithmeticError, AttributeError, FieldDoesNotExist, ValueError):
        pass  # a column or a value of an earlier version
    return str(value)[:60]


def _words(model, name: str) -> str:
    try:
        return str(model._meta.get_field(name).verbose_name)
    except (AttributeError, FieldDoesNotExist):  # a column of an earlier version
        return name


def _of_schedule(kind: ContentType) -> bool:
    """Our schedules are rows of django-celery-beat, whose name for them says nothing to people."""
    return (kind.app_label, kind.model) == ("django_celery_beat", "periodictask")


def _named(entry: LogEntry) -> str:
    """A row in words, as it was called then: payment 7, alert rule “Revenue is low”."""
    kind = entry.content_type
    of_an_earlier_version = _of_schedule(kind) and entry.object_repr.startswith(kind.name)
    return f"schedule {entry.object_pk}" if of_an_earlier_version else entry.object_repr


def subject(entry: LogEntry) -> str:
    """The row that an entry is about, leading to its page."""
    kind = entry.content_type
    words = _named(entry)
    label, model = (Schedule._meta.app_label, "schedule") if _of_schedule(kind) else (kind.app_label, kind.model)
    try:
        return link(reverse(f"admin:{label}_{model}_change", args=[entry.object_pk]), words)
    except NoReverseMatch:
        return words


def trail(rows: Sequence, title: str = "Who changed what") -> History:
    """The latest entries about these rows (of KEPT), whatever they are. Three questions."""
    wanted = Q(pk__in=[])
    for model in {type(row) for row in rows}:
        keys = [str(row.pk) for row in rows if type(row) is model]
        wanted |= Q(content_type=ContentType.objects.get_for_model(model), object_pk__in=keys)
    entries = LogEntry.objects.filter(wanted).select_related("actor", "content_type").order_by("-timestamp", "-pk")
    people = people_by_number()
    return History(
        title,
        ("When", "Who", "What", "Did", "Changes"),
        [
            (
                moment(e.timestamp),
                person(e.actor),
                _named(e),
                DID[e.action],
                changes(e, people),
            )
            for e in entries[:LATEST]
        ],
        empty="Nobody has changed anything yet.",
    )


class SubjectFilter(DropdownFilter):
    title, parameter_name = "what", "of"

    def lookups(self, request, model_admin):
        return [(model._meta.model_name, str(model._meta.verbose_name)) for model in KEPT]

    def queryset(self, request, queryset):
        model = next((model for model in KEPT if model._meta.model_name == self.value()), None)
        return queryset.filter(content_type=ContentType.objects.get_for_model(model)) if model else queryset


admin.site.unregister(LogEntry)


@admin.register(LogEntry)
class TrailAdmin(HiddenFromStores, LookedAt, ListAdmin):
    list_display = ("when", "who", "what", "did", "what_changed", "address", "door")
    list_display_links = ("when",)
    list_filter = (
        ("action", ChoicesDropdownFilter),
        SubjectFilter,
        people_filter("actor", "who"),
        ("timestamp", MomentsFilter),
    )
    list_select_related = ("actor", "content_type")
    search_fields = ("object_repr", "object_pk", "actor__username", "remote_addr", "cid")
    search_help_text = "Name or number of the row, who, or address on the network"
    date_hierarchy = "timestamp"
    ordering = ("-timestamp", "-pk")
    list_about = (
        "Every change that people made, never those of the exports. Customers' names and phones are not kept here."
    )
    fields = ("when", "who", "what", "did", "all_changes", "address", "door", "same_click")
    cells = (
        Cell(Column("when", "When"), lambda e: moment(e.timestamp)),
        Cell(Column("who", "Who"), lambda e: person(e.actor)),
        Cell(Column("what", "What"), _named),
        Cell(Column("did", "Did"), lambda e: DID[e.action]),
        Cell(Column("changes", "Changes"), lambda e: changes(e, e._people, 100)),
        Cell(Column("address", "From"), lambda e: e.remote_addr),
        Cell(Column("door", "Through"), lambda e: (e.additional_data or {}).get("from")),
    )

    def fill(self, request, rows):
        people = people_by_number()
        for entry in rows:
            entry._people = people

    def get_object(self, request, object_id, from_field=None):
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            self.fill(request, [found])
        return found

    @display(description="when", ordering="timestamp")
    def when(self, entry):
        return moment(entry.timestamp)

    @display(description="who", ordering="actor__username")
    def who(self, entry):
        return person(entry.actor)

    @display(description="what")
    def what(self, entry):
        return subject(entry)

    @display(description="did", ordering="action")
    def did(self, entry):
        return tag(TONES.get(entry.action, "plain"), DID[entry.action])

    @display(description="changes")
    def what_changed(self, entry):
        return changes(entry, entry._people, 2)

    @display(description="changes")
    def all_changes(self, entry):
        return changes(entry, entry._people, 100)

    @display(description="from", ordering="remote_addr")
    def address(self, entry):
        return entry.remote_addr or "–"

    @display(description="through")
    def door(self, entry):
        return (entry.additional_data or {}).get("from", "–")

    @display(description="same click")
    def same_click(self, entry):
        if not entry.cid:
            return "–"
        return link(reverse("admin:auditlog_logentry_changelist") + f"?q={entry.cid}", "all entries of the same click")
