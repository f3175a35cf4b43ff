"""Reports by mail: who gets the board report of a week and of a month. Of the whole business: not for a person kept to
one store."""

from django import forms
from django.conf import settings
from django.contrib import admin
from django.urls import reverse
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display

from analytics import queries, report
from analytics.access import can_see
from analytics.admin_lists import Cell, HiddenFromStores, ListAdmin, link, moment, tag
from analytics.dashboards.frame import Period
from analytics.models import ReportMail
from analytics.tables import Column
from etl.errors import MoonwalkError
from operations import audience, reports, transports
from operations.admin.shared import (
    LATEST,
    Button,
    History,
    PeopleField,
    ServiceAdmin,
    delivery_tag,
    person,
    unset_above,
    unset_said,
)
from operations.admin.trail import trail
from operations.models import Delivery


class ReportMailForm(forms.ModelForm):
    people = PeopleField(
        help_text="Nobody chosen: everybody of Management. It goes to who may open the board report and has an e-mail "
        "address."
    )

    class Meta:
        model = ReportMail
        fields = ("paused", "people", "by_slack")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        unset_said(self, by_slack=Delivery.Kind.SLACK)


@admin.register(ReportMail)
class ReportMailAdmin(HiddenFromStores, ServiceAdmin, ListAdmin):
    """Two rows that came with the house: who gets each, and whether it goes at all, is a person's to set."""

    form = ReportMailForm
    list_display = ("which", "told", "slack", "state", "last_sent")
    list_filter = (("paused", BooleanRadioFilter),)
    list_about = (
        "The board report as a PDF, by e-mail once its week or month is over and in the figures. A schedule says when "
        "that is looked at."
    )
    change_form_outer_before_template = "admin/operations/buttons.html"
    change_form_outer_after_template = "admin/operations/histories.html"
    readonly_fields = ("would_tell",)
    fieldsets = ((None, {"fields": ("paused",)}), ("Who gets it", {"fields": ("people", "would_tell", "by_slack")}))
    cells = (
        Cell(Column("which", "Which"), lambda r: r.get_grain_display()),
        Cell(Column("told", "Who gets it"), lambda r: told(r)),
        Cell(Column("slack", "In Slack", "boolean"), lambda r: r.by_slack),
        Cell(Column("paused", "Paused", "boolean"), lambda r: r.paused),
        Cell(Column("last", "Last sent"), lambda r: last_sent(r)),
    )

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("people")

    def list_top(self, request):
        return unset_above(super().list_top(request), Delivery.Kind.MAIL)

    def has_add_permission(self, request):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

    def save_model(self, request, obj, form, change):
        reports.report_mail_save(obj, user=request.user)

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if obj is not None:
            context |= {"buttons": buttons(obj, request.user), "histories": [history(obj), trail([obj])]}
        return super().render_change_form(request, context, add, change, form_url, obj)

    @display(description="which", ordering="grain")
    def which(self, row):
        return str(row)

    @display(description="who gets it")
    def told(self, row):
        return told(row)

    @display(description="in Slack", ordering="by_slack")
    def slack(self, row):
        if not row.by_slack:
            return "no"
        return "its insights" if settings.SLACK_WEBHOOK else "no: no webhook is set"

    @display(description="state", ordering="paused")
    def state(self, row):
        return tag("plain", "paused") if row.paused else tag("good", "on")

    @display(description="last sent")
    def last_sent(self, row):
        return last_sent(row) or "never"

    @display(description="sent now would be to")
    def would_tell(self, row):
        said = ", ".join(person(user) for user in audience.people(row.people.all(), "report"))
        said = said or "nobody: nobody chosen is active, has an e-mail address and may open the board report"
        return ". ".join(filter(None, (said, transports.unset(Delivery.Kind.MAIL))))


def told(row: ReportMail) -> str:
    return ", ".join(person(user) for user in row.people.all()) or "Management"


def last_sent(row: ReportMail) -> str | None:
    return moment(reports.recorded(row.grain).filter(sent_at__isnull=False).values_list("sent_at", flat=True).first())


def buttons(row: ReportMail, user) -> list[Button]:
    """To the report as it would go now, and to when it goes."""
    found = []
    if can_see(user, "report") and (period := newest(row.grain)):
        found.append(Button(f"The report of {period.short} (PDF)", f"{reverse('report')}?period={period.key}"))
    if user.has_perm("operations.view_schedule"):
        found.append(Button("When it goes", reverse("admin:operations_schedule_changelist")))
    return found


def newest(grain: str) -> Period | None:
    """The last closed period of the figures; None without any, or where they can't be opened."""
    try:
        return report.last_closed(queries.current(), grain)
    except MoonwalkError:
        return None


def history(row: ReportMail) -> History:
    """What went out, the latest first."""
    sent = reports.recorded(row.grain)[:LATEST]
    return History(
        "What went out",
        ("Recorded", "About", "By", "State"),
        [(_opened(d), d.about, d.get_kind_display(), delivery_tag(d)) for d in sent],
    )


def _opened(delivery: Delivery) -> str:
    return link(reverse("admin:operations_delivery_change", args=[delivery.pk]), moment(delivery.created_at))
