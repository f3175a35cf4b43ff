"""How customers are reminded: levels, what is written at each, and what was sent."""

from datetime import date, timedelta
from decimal import Decimal

from django.contrib import admin
from django.db.models import Count
from django.template.loader import render_to_string
from django.utils import timezone
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from analytics.access import contacts_of
from analytics.admin_lists import Cell, ListAdmin, MomentsFilter, OfTheHouse, link, moment, people_filter, tag
from analytics.dashboards import frame
from analytics.tables import Column
from operations import services
from operations.admin.shared import (
    LATEST,
    DeskAdmin,
    History,
    ServiceAdmin,
    admin_url,
    amount,
    customer_link,
    person,
)
from operations.admin.trail import trail
from operations.defaults import PLACEHOLDERS
from operations.messages import NOT_IN_FILE, facts_of, rendered
from operations.models import Channel, Language, Level, Message, MessageTemplate
from operations.scope import messages_for
from operations.services import Refused
from operations.statements import OpenOrder, Party, Statement

NAMES = {"en": "Dana Haddad", "ar": "دانة حداد"}  # of nobody: the example that a template is shown with


def example(language: str, today: date) -> dict[str, str]:
    """What stands in place of each placeholder for an invented customer with two open orders."""
    business = frame.business()
    store = next(iter(business.store_names), business.name)
    orders = tuple(
        OpenOrder(number, today - timedelta(days=days), Decimal(due), store=store)
        for number, days, due in (("M-10234", 41, "85.50"), ("M-10391", 12, "32.00"))
    )
    party = Party("CC-0042", NAMES.get(language, NAMES["en"]), store=store)
    return facts_of(Statement(party, orders, (), today, today, language), business)


def preview(text: str, facts: dict[str, str]) -> str:
    """A template's text as a customer would read it; where that can't be, the reason."""
    try:
        return rendered(text, facts)
    except (Refused, KeyError, ValueError) as error:
        return str(error) if isinstance(error, Refused) else "Check the braces and the names in them."


class SettingAdmin(OfTheHouse, ServiceAdmin, ListAdmin):
    """How the house works: saved and removed through services, and not by a person kept to one store."""

    list_fullwidth = False
    change_form_outer_after_template = "admin/operations/histories.html"

    def delete_model(self, request, obj):
        services.setting_delete(obj, user=request.user)

    def delete_queryset(self, request, queryset):
        for row in queryset:
            services.setting_delete(row, user=request.user)

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if obj is not None:
            context["histories"] = [*self.histories(request, obj), trail([obj])]
        return super().render_change_form(request, context, add, change, form_url, obj)

    def histories(self, request, obj) -> list[History]:
        return []


@admin.register(Level)
class LevelAdmin(SettingAdmin):
    list_display = ("position", "name", "days", "owed", "channel", "active", "texts")
    list_display_links = ("position", "name")
    list_filter = (("channel", ChoicesDropdownFilter), ("active", BooleanRadioFilter))
    search_fields = ("name",)
    list_about = (
        "Steps of reminding. A customer stands at the highest one whose days and amount are both reached; a pending "
        "promise pauses it."
    )
    fields = ("name", ("position", "active"), ("days_from", "amount_from"), "channel")
    cells = (
        Cell(Column("position", "Position", "count"), lambda x: x.position),
        Cell(Column("name", "Name"), lambda x: x.name),
        Cell(Column("days", "Days overdue, at least", "count"), lambda x: x.days_from),
        Cell(Column("owed", "Owed, at least", "money"), lambda x: x.amount_from),
        Cell(Column("channel", "By"), lambda x: x.get_channel_display()),
        Cell(Column("active", "In use", "boolean"), lambda x: x.active),
        Cell(Column("texts", "Texts", "count"), lambda x: x._texts),
    )

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(_texts=Count("templates"))

    def save_model(self, request, obj, form, change):
        services.level_save(obj, user=request.user)

    def histories(self, request, obj):
        texts = obj.templates.order_by("channel", "language")
        return [
            History(
                "What is written at this level",
                ("By", "Language", "Text"),
                [(link(admin_url("messagetemplate", t.pk), t.get_channel_display()), t.get_language_display(),
                  t.subject or t.text[:80]) for t in texts],
                more=admin_url("messagetemplate", level__id__exact=obj.pk),
            )
        ]  # fmt: skip

    @display(description="days overdue, at least", ordering="days_from")
    def days(self, level):
        return level.days_from

    @display(description="owed, at least", ordering="amount_from")
    def owed(self, level):
        return amount(level.amount_from)

    @display(description="texts", ordering="_texts")
    def texts(self, level):
        return level._texts


@admin.register(MessageTemplate)
class MessageTemplateAdmin(SettingAdmin):
    list_display = ("name", "channel", "language", "subject", "beginning")
    list_filter = (("level", RelatedDropdownFilter), ("channel", ChoicesDropdownFilter),
                   ("language", ChoicesDropdownFilter))  # fmt: skip
    list_select_related = ("level",)
    search_fields = ("level__name", "subject", "text")
    search_help_text = "Level, or words of the text"
    autocomplete_fields = ("level",)
    list_about = (
        "What a message says: one text a level, channel and language. Names in {braces} are filled in for each "
        "customer."
    )
    fields = ("level", ("channel", "language"), "subject", "text", "placeholders", "example")
    readonly_fields = ("placeholders", "example")
    cells = (
        Cell(Column("level", "Level"), lambda t: t.level.name if t.level else "any time"),
        Cell(Column("channel", "By"), lambda t: t.get_channel_display()),
        Cell(Column("language", "Language"), lambda t: t.get_language_display()),
        Cell(Column("subject", "Subject"), lambda t: t.subject),
        Cell(Column("text", "Text"), lambda t: t.text),
    )

    class Media:
        js = ("operations/template.js",)

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("level")

    def save_model(self, request, obj, form, change):
        services.template_save(obj, user=request.user)

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name in ("text", "subject"):
            field.widget.attrs["dir"] = "auto"  # Arabic begins at the right
        return field

    @display(description="level", ordering="level__position")
    def name(self, template):
        return template.level.name if template.level else "any time"

    @display(description="text")
    def beginning(self, template):
        return " ".join(template.text.split())[:70] + "…"

    @display(description="what may stand in braces")
    def placeholders(self, template):
        facts = example(template.language or Language.ENGLISH, timezone.localdate())
        facts = NOT_IN_FILE | {name: value for name, value in facts.items() if value}
        rows = [(f"{{{name}}}", words, facts.get(name, "")) for name, words in PLACEHOLDERS.items()]
        return render_to_string("admin/operations/messagetemplate/placeholders.html", {"rows": rows})

    @display(description="how it reads")
    def example(self, template):
        today = timezone.localdate()
        facts = {language: example(language, today) for language, _ in Language.choices}
        shown = facts[template.language or Language.ENGLISH]
        context = {
            "subject": preview(template.subject, shown), "text": preview(template.text, shown), "facts": facts,
            "email": template.channel == Channel.EMAIL, "missing": NOT_IN_FILE,
        }  # fmt: skip
        return render_to_string("admin/operations/messagetemplate/example.html", context)


def message_history(sent, user, **query) -> History:
    """The latest of these messages, each leading to its page."""
    rows = sent.select_related("created_by", "level").order_by("-created_at", "-pk")[:LATEST]
    return History(
        "Messages",
        ("When", "By", "Level", "Language", "State", "Text", "Who"),
        [
            (link(admin_url("message", m.pk), moment(m.created_at)), m.get_channel_display(),
             m.level.name if m.level else "any time", m.get_language_display(), m.get_state_display(),
             (m.subject or m.text)[:80], person(m.created_by))
            for m in rows
        ],
        more=admin_url("message", **query),
    )  # fmt: skip


TONES = {"sent": "good", "opened": "info", "sending": "warn", "failed": "bad"}


@admin.register(Message)
class MessageAdmin(DeskAdmin):
    list_display = ("at", "customer_shown", "channel", "level_name", "language", "sent_to", "beginning", "how_it_went",
                    "who")  # fmt: skip
    list_filter = (
        ("channel", ChoicesDropdownFilter), ("state", ChoicesDropdownFilter), ("level", RelatedDropdownFilter),
        ("language", ChoicesDropdownFilter), people_filter("created_by", "by"), ("created_at", MomentsFilter),
    )  # fmt: skip
    list_select_related = ("customer", "level", "created_by")
    search_fields = ("customer__customer_id", "customer__name", "customer__own_name", "subject", "text")
    search_help_text = "A customer's name, phone or number, or words of the message"
    phone_path = "customer__phone_key"
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-pk")
    list_about = (
        "What was sent. “Opened” went to WhatsApp or a mail program: whether it was sent there isn't known here."
    )
    cells = (
        Cell(Column("at", "When"), lambda m: moment(m.created_at)),
        Cell(Column("customer", "Customer"), lambda m: m.customer_id),
        Cell(Column("name", "Name"), lambda m: m.customer.shown_name),
        Cell(Column("by", "By"), lambda m: m.get_channel_display()),
        Cell(Column("level", "Level"), lambda m: m.level.name if m.level else "any time"),
        Cell(Column("language", "Language"), lambda m: m.get_language_display()),
        Cell(Column("phone", "Phone"), lambda m: m.sent_to if m.channel == Channel.WHATSAPP else None),
        Cell(Column("email", "E-mail"), lambda m: m.sent_to if m.channel == Channel.EMAIL else None),
        Cell(Column("subject", "Subject"), lambda m: m.subject),
        Cell(Column("text", "Text"), lambda m: m.text),
        Cell(Column("state", "State"), lambda m: m.get_state_display()),
        Cell(Column("who", "Who"), lambda m: person(m.created_by)),
    )

    def has_add_permission(self, request):
        return False  # sent from the customer's page

    def has_change_permission(self, request, obj=None):
        return False

    def get_queryset(self, request):
        return messages_for(request.user, super().get_queryset(request).select_related(*self.list_select_related))

    def _hidden(self, request, name):
        return name == "sent_to" and not {"phone", "email"} <= contacts_of(request.user)

    def get_fieldsets(self, request, obj=None):
        to = [] if self._hidden(request, "sent_to") else ["sent_to"]
        return [
            (None, {"fields": [("at", "who", "how_it_went"), ("customer_shown", "level_name"),
                               ("channel", "language", *to), "subject", "text"]}),
            *([("What went wrong", {"fields": ["error"]})] if obj and obj.error else []),
        ]  # fmt: skip

    def get_readonly_fields(self, request, obj=None):
        return ("at", "who", "how_it_went", "customer_shown", "level_name")

    def histories(self, request, obj):
        return [trail([obj])]

    @display(description="when", ordering="created_at")
    def at(self, message):
        return moment(message.created_at)

    @display(description="customer", ordering="customer__name")
    def customer_shown(self, message):
        return customer_link(message.customer)

    @display(description="level", ordering="level__position")
    def level_name(self, message):
        return message.level.name if message.level else "any time"

    @display(description="text")
    def beginning(self, message):
        return " ".join((message.subject or message.text).split())[:60]

    @display(description="state", ordering="state")
    def how_it_went(self, message):
        return tag(TONES[message.state], message.get_state_display())

    @display(description="who", ordering="created_by__username")
    def who(self, message):
        return person(message.created_by)
