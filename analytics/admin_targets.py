"""The admin of targets: one at a time in a form, or many as CSV, looked at before they count.

Nobody kept to a store decides what is aimed at: they look at their store's.
"""

import logging
from datetime import date, timedelta

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from analytics import access, handbook, target_files
from analytics.admin_lists import Cell, ListAdmin, OfTheHouse, tag, values_filter
from analytics.dashboards import frame
from analytics.formats import with_unit
from analytics.metrics import METRICS
from analytics.models import Target, store_names
from analytics.tables import Column
from analytics.target_files import Wrong
from analytics.targets import offered, target_delete, target_save, targets_save
from etl.errors import BusinessError

log = logging.getLogger(__name__)
WHOLE = "the whole business"


def label(name: str) -> str:
    """What a metric is called; its bare name where it is none any more."""
    return METRICS[name].label if name in METRICS else name


def shown(target: Target) -> str:
    """Dhs 25,000"""
    unit = METRICS[target.metric].unit if target.metric in METRICS else "ratio"
    return with_unit(target.value, unit, frame.currency())


def month_words(month: str) -> str:
    """2026-02 -> Feb 2026"""
    return f"{date.fromisoformat(f'{month}-01'):%b %Y}"


def metric_choices() -> list:
    """Those that may have a target, by the pages' subjects, each with its unit: [("", ...), (subject, [...]), ...]."""
    units = {"money": frame.currency(), "share": "%", "days": "days"}
    groups = [("", "choose a figure")]
    for title, definitions in handbook.sections():
        names = [d["name"] for d in definitions if d["name"] in offered()]
        words = [(n, label(n) + (f" ({units[METRICS[n].unit]})" if METRICS[n].unit in units else "")) for n in names]
        groups += [(title, words)] if words else []
    return groups


class MonthInput(UnfoldAdminTextInputWidget):
    """A month as the browser picks it; where it picks none, typed."""

    input_type = "month"


class TargetForm(forms.ModelForm):
    metric = forms.ChoiceField(label="Figure", choices=metric_choices, widget=UnfoldAdminSelectWidget())
    month = forms.CharField(
        label="Month", max_length=20, help_text="Like 2026-02.",
        widget=MonthInput(attrs={"placeholder": "2026-02", "min": "2000-01", "max": "2099-12"}),
    )  # fmt: skip
    store = forms.ChoiceField(
        label="Store", required=False, widget=UnfoldAdminSelectWidget(), help_text="Cards of all stores show the "
        "target of the whole business, cards of a store the store's own."
    )  # fmt: skip
    value = forms.CharField(
        label="Target", max_length=40, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="In the figure's unit: 25,000 of money, 95 for 95 %, 2.5 days.",
    )  # fmt: skip

    class Meta:
        model = Target
        fields = ("metric", "month", "store", "value")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        try:
            names = store_names()
        except BusinessError:
            names = ()
        here = self.instance
        kept = (here.store,) if here.pk and here.store else ()
        self.fields["store"].choices = [("", WHOLE), *((n, n) for n in dict.fromkeys((*names, *kept)))]
        if here.pk:
            unit = METRICS[here.metric].unit if here.metric in METRICS else "ratio"
            self.initial["value"] = target_files.written(here.value, unit)

    def clean_month(self) -> str:
        try:
            return target_files.read_month(self.cleaned_data["month"])
        except Wrong as error:
            raise ValidationError(str(error)) from None

    def clean(self) -> dict:
        """The amount by the metric's unit, and whether a store may have a target of it."""
        said = super().clean()
        metric = said.get("metric")
        if not metric:
            said.pop("value", None)
            return said
        for field, read in (
            ("store", lambda text: target_files.read_store(text, metric)),
            ("value", lambda text: target_files.read_value(text, METRICS[metric].unit)),
        ):
            if field in said:
                try:
                    said[field] = read(said[field])
                except Wrong as error:
                    self.add_error(field, str(error))
        return said


class FileForm(forms.Form):
    """A file to be checked; `text`: one that was checked and is to be written now."""

    file = forms.FileField(
        label="CSV file", required=False, widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv"})
    )
    text = forms.CharField(required=False, widget=forms.HiddenInput, strip=False)


class MetricFilter(DropdownFilter):
    title, parameter_name = "figure", "metric"

    def lookups(self, request, model_admin):
        there = set(model_admin.get_queryset(request).order_by().values_list("metric", flat=True).distinct())
        return [(name, label(name)) for name in (*METRICS, *sorted(there - set(METRICS))) if name in there]

    def queryset(self, request, queryset):
        return queryset.filter(metric=self.value()) if self.value() else queryset


@admin.register(Target)
class TargetAdmin(OfTheHouse, ListAdmin):
    form = TargetForm
    list_display = ("figure", "in_month", "of_store", "aimed_at")
    list_filter = (MetricFilter, values_filter("month", "month"), values_filter("store", "store"))
    search_fields = ("metric", "month", "store")
    search_help_text = "Name of the figure, month or store"
    ordering = ("-month", "metric", "store")
    list_about = "What is to be reached in a month. Cards show how the figure stands against it."
    fields = ("metric", "month", "store", "value")
    cells = (
        Cell(Column("metric", "Figure"), lambda t: label(t.metric)),
        Cell(Column("month", "Month"), lambda t: t.month),
        Cell(Column("store", "Only the store"), lambda t: t.store),
        Cell(Column("target", "Target"), shown),
        Cell(Column("name", "Name of the figure"), lambda t: t.metric),
    )

    def get_queryset(self, request):
        found, only = super().get_queryset(request), access.store_of(request.user)
        return found.filter(store=only) if only else found

    def has_upload_permission(self, request) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def get_changeform_initial_data(self, request):
        return {"month": f"{timezone.localdate():%Y-%m}"} | super().get_changeform_initial_data(request)

    def save_model(self, request, obj, form, change):
        target_save(obj, user=request.user)

    def delete_model(self, request, obj):
        target_delete(obj, user=request.user)

    def delete_queryset(self, request, queryset):
        for target in queryset:
            target_delete(target, user=request.user)

    # Many at once ---------------------------------------------------------------------------------------------------

    def get_urls(self):
        name = "analytics_target"
        view = self.admin_site.admin_view
        return [
            path("upload/", view(self.upload_view), name=f"{name}_upload"),
            path("targets.csv", view(self.csv_view), name=f"{name}_csv"),
            path("template.csv", view(self.template_view), name=f"{name}_template"),
            *super().get_urls(),
        ]

    def list_links(self, request):
        upload = [("Upload targets as CSV", reverse("admin:analytics_target_upload"))]
        guide = [("How targets work", reverse("guide", args=["targets"]))]
        return (upload if self.has_upload_permission(request) else []) + guide

    def csv_view(self, request):
        """The targets in the shape that an upload has."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return _download(target_files.as_csv(self.get_queryset(request).order_by(*self.ordering)), "targets")

    def template_view(self, request):
        """An upload to be filled in, for the month to come."""
        if not self.has_upload_permission(request):
            raise PermissionDenied
        ahead = (timezone.localdate().replace(day=1) + timedelta(days=31)).strftime("%Y-%m")
        return _download(target_files.template(ahead), f"targets-{ahead}")

    def upload_view(self, request):
        """A file is checked and shown; the next press of a button checks it again and writes it."""
        if not self.has_upload_permission(request):
            raise PermissionDenied
        posted = request.method == "POST"
        form, found, text = FileForm(request.POST, request.FILES) if posted else FileForm(), None, ""
        if posted and form.is_valid():
            file, text = form.cleaned_data["file"], form.cleaned_data["text"]
            if file or text:
                data = file.read(target_files.MOST_BYTES + 1) if file else text.encode()
                found = target_files.check(data)
                if text and not file and not found.faults:
                    return self._written(request, found)
                text = "" if found.faults else target_files.decode(data)
            else:
                form.add_error("file", "Choose a file.")
        context = self.admin_site.each_context(request) | {
            "title": "Upload targets", "opts": self.opts, "form": form, "found": found, "text": text,
            "rows": _preview(found) if found else [], "columns": target_files.COLUMNS,
        }  # fmt: skip
        return TemplateResponse(request, "admin/analytics/target/upload.html", context)

    def _written(self, request, found: target_files.Checked):
        targets_save(found.rows, user=request.user)
        log.info("user %s uploaded targets: %s", request.user.pk, found.summary)
        messages.success(request, f"Targets written: {found.summary}.")
        return redirect("admin:analytics_target_changelist")

    # Columns --------------------------------------------------------------------------------------------------------

    @display(description="figure", ordering="metric")
    def figure(self, target):
        return label(target.metric)

    @display(description="month", ordering="month")
    def in_month(self, target):
        return month_words(target.month)

    @display(description="store", ordering="store")
    def of_store(self, target):
        return target.store or WHOLE

    @display(description="target", ordering="value")
    def aimed_at(self, target):
        return shown(target)


def _preview(found: target_files.Checked) -> list[dict]:
    """What would be written, the changes first."""
    tones = {"new": "good", "changed": "warn", "same": "plain"}
    words = {"new": "new", "changed": "changed", "same": "as it was"}
    order = list(tones)
    rows = sorted(found.rows, key=lambda row: order.index(row.state))

    def said(row: target_files.Row, value) -> str:
        return with_unit(value, METRICS[row.metric].unit, frame.currency())

    return [
        {"figure": label(row.metric), "month": month_words(row.month), "store": row.store or WHOLE,
         "target": said(row, row.value), "before": said(row, row.before) if row.state == "changed" else "",
         "state": tag(tones[row.state], words[row.state])}
        for row in rows
    ]  # fmt: skip


def _download(content: bytes, name: str) -> HttpResponse:
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers={
        "Content-Disposition": f'attachment; filename="moonwalk-{name}.csv"', "Cache-Control": "private, no-store",
    })  # fmt: skip
