"""Schedules: when what happens by itself is due, in words, switched on and off; and the duties that came of them.

All of it is of the whole business: not for a person kept to one store."""

import re
from datetime import time
from itertools import pairwise

from celery.schedules import ParseException, crontab_parser
from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from analytics.admin_lists import (
    Cell,
    HiddenFromStores,
    ListAdmin,
    LookedAt,
    MomentsFilter,
    link,
    moment,
    tag,
    values_filter,
)
from analytics.tables import Column
from operations import schedules, transports
from operations.admin.shared import LATEST, History, ServiceAdmin, admin_url
from operations.admin.trail import trail
from operations.duties import DUTIES
from operations.models import Delivery, Duty, Schedule

TELLING = ("weekly report", "monthly report", "promises", "freshness")  # what these do is send e-mails
TONES = {"done": "good", "waiting": "warn", "running": "warn", "failed": "bad"}
KINDS = [("hourly", "every hour"), ("daily", "every day"), ("weekly", "every week"), ("monthly", "every month"),
         ("other", "by a rule of one's own")]  # fmt: skip

for theirs in (PeriodicTask, CrontabSchedule, IntervalSchedule, SolarSchedule, ClockedSchedule):
    admin.site.unregister(theirs)  # what of theirs a person needs is on our own page


class ScheduleForm(forms.ModelForm):
    """A schedule as people say it; saved as a crontab."""

    duty = forms.ChoiceField(
        label="What", choices=[("", "choose"), *((name, spec.label) for name, spec in DUTIES.items())],
        widget=UnfoldAdminSelectWidget, error_messages={"required": "Choose what is to happen."},
    )  # fmt: skip
    kind = forms.ChoiceField(
        label="How often", choices=[("", "choose"), *KINDS], widget=UnfoldAdminSelectWidget,
        error_messages={"required": "Choose how often."},
    )  # fmt: skip
    weekday = forms.TypedChoiceField(
        label="On", coerce=int, required=False, empty_value=1, widget=UnfoldAdminSelectWidget,
        choices=[(n % 7, schedules.WEEKDAYS[n % 7]) for n in range(1, 8)],
    )  # fmt: skip
    day = forms.IntegerField(
        label="On day", min_value=1, max_value=28, required=False, widget=UnfoldAdminIntegerFieldWidget,
        help_text="Of the month, 1 to 28: every month has it.",
    )  # fmt: skip
    at = forms.TimeField(
        label="At", required=False, input_formats=["%H:%M"],
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "06:00", "autocomplete": "off"}),
        help_text="Hours and minutes of the business's clock: 06:00. Of “every hour” only the minutes count.",
    )  # fmt: skip
    rule = forms.CharField(
        label="Rule", required=False, widget=UnfoldAdminTextInputWidget,
        help_text="Five parts, as cron has them: minute, hour, day of the month, month, weekday (0 is Sunday). "
        "Working days at 9 and at 15 o'clock: 0 9,15 * * 1-5",
    )  # fmt: skip

    class Meta:
        model = Schedule
        fields = ("enabled",)
        labels = {"enabled": "Switched on"}
        help_texts = {"enabled": "Off: it doesn't happen by itself, and isn't made up for later."}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        row = self.instance
        if row.crontab_id:  # a new one has nothing chosen: saved as it stands it would be a second one of something
            rhythm = schedules.rhythm_of(row.crontab)
            self.initial |= {
                "duty": schedules.duty_of(row), "kind": rhythm.kind, "weekday": rhythm.weekday, "day": rhythm.day,
                "at": f"{rhythm.at:%H:%M}", "rule": rhythm.rule,
            }  # fmt: skip
        if row.pk and "duty" in self.fields:
            self.fields["duty"].disabled = True

    def clean(self):
        found = super().clean()
        kind = found.get("kind")
        if kind in ("hourly", "daily", "weekly", "monthly") and found.get("at") is None and "at" not in self.errors:
            self.add_error("at", "Say at what time: 06:00")
        if kind == "monthly" and not found.get("day") and "day" not in self.errors:
            self.add_error("day", "Say on which day of the month, 1 to 28.")
        if kind == "other":
            try:
                check_rule(found.get("rule") or "")
            except ValidationError as error:
                self.add_error("rule", error)
        return found

    def validate_unique(self):
        """Not yet: the crontab is made as it is saved."""

    def rhythm(self) -> schedules.Rhythm:
        found = self.cleaned_data
        return schedules.Rhythm(
            found["kind"], found.get("at") or time(0), found.get("weekday") or 0, found.get("day") or 1,
            found.get("rule") or "",
        )  # fmt: skip


RULE_PARTS = (("minute", 60, 0), ("hour", 24, 0), ("day of the month", 31, 1), ("month", 12, 1),
              ("day of the week", 7, 0))  # fmt: skip
APART = 5  # minutes: oftener than that nothing here has to happen, and a refresh takes as long


def check_rule(rule: str) -> None:
    """Raises ValidationError unless these are the five parts of a crontab that comes, and not all the time."""
    parts = rule.split()
    if len(parts) != len(RULE_PARTS):
        raise ValidationError("A rule has five parts with blanks between them: 0 9,15 * * 1-5")
    for part, (name, size, first) in zip(parts, RULE_PARTS, strict=True):
        for low, high in re.findall(r"(\d+)-(\d+)", part):
            if int(low) > int(high):
                raise ValidationError(f"“{part}” counts backwards: write {high}-{low}, or two ranges with a comma.")
        try:
            crontab_parser(size, first).parse(part)
        except (ParseException, ValueError, KeyError):
            sunday = " (0 is Sunday)" if size == 7 else ""
            raise ValidationError(
                f"“{part}” can't be read as the {name}: write *, numbers from {first} to {first + size - 1}{sunday} "
                "with commas, or a range such as 1-5."
            ) from None
    minutes = sorted(crontab_parser(60).parse(parts[0]))
    if any(later - one < APART for one, later in pairwise([*minutes, minutes[0] + 60])):
        raise ValidationError(f"Leave {APART} minutes at least from one time to the next: */{APART} * * * *")
    when = CrontabSchedule(**dict(zip(schedules.PARTS, parts, strict=True)), timezone=timezone.get_default_timezone())
    try:
        comes = schedules.next_due(when, timezone.now())
    except ValueError:  # what celery knows by itself
        comes = None
    if comes is None:
        raise ValidationError("That day never comes: no month of this rule has it.")


@admin.register(Schedule)
class ScheduleAdmin(HiddenFromStores, ServiceAdmin, ListAdmin):
    form = ScheduleForm
    list_display = ("what", "when", "switched", "last", "next")
    list_filter = (("enabled", BooleanRadioFilter),)
    search_fields = ("name",)
    ordering = ("pk",)
    list_fullwidth = False
    change_form_outer_after_template = "admin/operations/histories.html"
    fieldsets = ((None, {"fields": ("duty", "about", "enabled", ("kind", "at"), "weekday", "day", "rule")}),)
    readonly_fields = ("about",)
    conditional_fields = {
        "at": "kind != 'other'", "weekday": "kind == 'weekly'", "day": "kind == 'monthly'", "rule": "kind == 'other'",
    }  # fmt: skip
    cells = (
        Cell(Column("what", "What"), lambda s: s.name),
        Cell(Column("when", "When"), lambda s: s.description),
        Cell(Column("on", "Switched on", "boolean"), lambda s: s.enabled),
        Cell(Column("last", "Last"), lambda s: moment(s._last.due_at) if s._last else None),
        Cell(Column("outcome", "What came of it"), lambda s: s._last.outcome if s._last else None),
        Cell(Column("next", "Next"), lambda s: s._next),
    )

    def get_queryset(self, request):
        known = [row.pk for row in Schedule.objects.filter(task=schedules.TASK) if schedules.duty_of(row)]
        return super().get_queryset(request).filter(pk__in=known, crontab__isnull=False).select_related("crontab")

    def list_top(self, request):
        tick = PeriodicTask.objects.filter(task=schedules.TICK, enabled=True).first()
        about = "When each of these is due, on the business's clock. "
        if not settings.REDIS_URL:
            about += "Nothing happens by itself here, as there is no Redis: the command manage.py tick does it."
        elif tick and tick.last_run_at:
            about += f"The clock last looked for what is left to do on {moment(tick.last_run_at)}."
        else:
            about += "The clock has not looked yet: is it running?"
        return super().list_top(request) | {"about": about}

    def list_links(self, request):
        return [("What was due, and what came of it", admin_url("duty"))]

    def fill(self, request, rows):
        newest = Duty.objects.filter(name=OuterRef("name")).order_by("-due_at").values("pk")[:1]
        last = {duty.name: duty for duty in Duty.objects.filter(pk=Subquery(newest))}
        now = timezone.now()
        for row in rows:
            row._last = last.get(schedules.duty_of(row))
            try:
                row._next = moment(schedules.next_due(row.crontab, now) if row.enabled and row.crontab else None)
            except Exception as error:  # whatever its rule does: one bad row keeps nobody from the others
                row._next = str(error) if isinstance(error, ValueError) else "Its rule can't be read."

    def delete_queryset(self, request, queryset):
        for row in queryset:
            row.delete()  # one by one: so the clock notices

    def save_model(self, request, obj, form, change):
        schedules.save(obj, form.cleaned_data["duty"], form.rhythm(), user=request.user)

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if obj is not None:
            duties = Duty.objects.filter(name=schedules.duty_of(obj))
            rows = [
                (link(admin_url("duty", duty.pk), moment(duty.due_at)), _state(duty), duty.attempts, duty.outcome)
                for duty in duties[:LATEST]
            ]
            past = History("What was due", ("Due", "State", "Attempts", "What came of it"), rows,
                           more=admin_url("duty", name=schedules.duty_of(obj)), numbers=(2,))  # fmt: skip
            context["histories"] = [past, trail([obj])]
        return super().render_change_form(request, context, add, change, form_url, obj)

    @display(description="what", ordering="name")
    def what(self, schedule):
        return schedule.name

    @display(description="when")
    def when(self, schedule):
        return schedule.description

    @display(description="switched on", ordering="enabled")
    def switched(self, schedule):
        return tag("good", "on") if schedule.enabled else tag("plain", "off")

    @display(description="last due")
    def last(self, schedule):
        if schedule._last is None:
            return "–"
        page = link(admin_url("duty", schedule._last.pk), moment(schedule._last.due_at))
        return format_html("{} {}", page, _state(schedule._last))

    @display(description="next due")
    def next(self, schedule):
        return schedule._next or "–"

    @display(description="what it does")
    def about(self, schedule):
        if schedule.pk:
            duty = schedules.duty_of(schedule)
            lacks = transports.unset(Delivery.Kind.MAIL) if duty in TELLING else ""
            return f"{DUTIES[duty].about} {lacks}".strip()
        return format_html_join(mark_safe("<br>"), "<b>{}</b>: {}", ((s.label, s.about) for s in DUTIES.values()))


def _state(duty: Duty) -> str:
    return tag(TONES[duty.state], duty.get_state_display())


@admin.register(Duty)
class DutyAdmin(HiddenFromStores, LookedAt, ListAdmin):
    """What was due, read-only."""

    list_display = ("due", "what", "how_it_went", "attempts", "outcome")
    list_filter = (
        values_filter("name", "duty"), ("state", ChoicesDropdownFilter), ("due_at", MomentsFilter),
    )  # fmt: skip
    search_fields = ("name", "outcome")
    search_help_text = "A duty, or words of what came of it"
    date_hierarchy = "due_at"
    list_empty = "Nothing was due yet."
    list_about = (
        "What schedules owed, each once. What could not be done is tried again for a while; after an outage only the "
        "latest moment is made up for."
    )
    fields = (("what", "how_it_went"), "outcome", ("due", "noticed", "attempts"), ("begun", "done", "again"))
    readonly_fields = ("what", "how_it_went", "due", "noticed", "begun", "done", "again")
    cells = (
        Cell(Column("due", "Due"), lambda d: moment(d.due_at)),
        Cell(Column("what", "What"), lambda d: d.name),
        Cell(Column("state", "State"), lambda d: d.get_state_display()),
        Cell(Column("attempts", "Attempts", "count"), lambda d: d.attempts),
        Cell(Column("done", "Done"), lambda d: moment(d.done_at)),
        Cell(Column("outcome", "What came of it"), lambda d: d.outcome),
    )

    def list_links(self, request):
        if not request.user.has_perm("operations.view_schedule"):
            return []
        return [("When what is due", reverse("admin:operations_schedule_changelist"))]

    @display(description="due", ordering="due_at")
    def due(self, duty):
        return moment(duty.due_at)

    @display(description="what", ordering="name")
    def what(self, duty):
        return DUTIES[duty.name].label if duty.name in DUTIES else duty.name

    @display(description="state", ordering="state")
    def how_it_went(self, duty):
        return _state(duty)

    @display(description="noticed")
    def noticed(self, duty):
        return moment(duty.noticed_at)

    @display(description="last begun")
    def begun(self, duty):
        return moment(duty.claimed_at) or "–"

    @display(description="done at")
    def done(self, duty):
        return moment(duty.done_at) or "–"

    @display(description="tried again at")
    def again(self, duty):
        return moment(duty.next_attempt_at) if duty.state == Duty.State.WAITING else "–"
