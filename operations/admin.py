"""The admin: customers and orders to look up, follow-ups to write, refreshes to watch and start.

Imported rows are read-only here; every write goes through operations.services or operations.refresh.
"""

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, OuterRef, Subquery, When
from django.http import FileResponse, Http404, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import Truncator
from django.views.decorators.http import require_POST
from django_plotly_dash.models import DashApp, StatelessApp
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from analytics.access import store_of
from analytics.admin import StoreAccessInline
from etl.errors import MoonwalkError
from operations import quarantine, refresh, services
from operations.lock import RefreshBusy
from operations.models import Customer, FollowUp, Order, RefreshRun
from operations.scope import customers_for, follow_ups_for, orders_for

# django-plotly-dash registers two models that nobody here edits; Django's own two get the theme of the rest.
admin.site.unregister([DashApp, StatelessApp, User, Group])


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    inlines = (StoreAccessInline,)

    def get_inlines(self, request, obj):
        return super().get_inlines(request, obj) if obj else ()  # a new person's page asks for name and password alone


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass


class FollowUpInline(TabularInline):
    """Notes on the row above; saved by the parent's save_formset."""

    model = FollowUp
    extra = 1
    verbose_name_plural = "follow-ups"
    readonly_fields = ("created_by", "created_at")
    ordering = ("-created_at",)

    def get_queryset(self, request):
        found = super().get_queryset(request).select_related("created_by", "order", "customer")
        return follow_ups_for(request.user, found)


class OrderFollowUpInline(FollowUpInline):
    fields = ("note", "created_by", "created_at")


class CustomerFollowUpInline(FollowUpInline):
    """Those on the customer's orders too; the order is shown, not chosen: its note is written on its own page."""

    fields = ("note", "order", "created_by", "created_at")
    readonly_fields = ("order", "created_by", "created_at")


class ImportedAdmin(ModelAdmin):
    """A row of the exports: looked at, never changed, added or deleted by hand. Who may look may also open its page,
    where the follow-ups are written (each by its own permission)."""

    list_per_page = 50
    show_full_result_count = False
    compressed_fields = True

    def has_add_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return self.has_view_permission(request, obj)

    def has_view_permission(self, request, obj=None):
        return request.user.has_perm(f"operations.view_{self.opts.model_name}")

    def get_readonly_fields(self, request, obj=None):
        return [f.name for f in self.opts.fields]

    def save_model(self, request, obj, form, change):
        """Nothing: its columns are the export's."""

    def save_formset(self, request, form, formset, change):
        formset.save(commit=False)
        for followup in [*formset.new_objects, *(changed for changed, _ in formset.changed_objects)]:
            services.followup_save(followup, user=request.user)
        for followup in formset.deleted_objects:
            services.followup_delete(followup, user=request.user)


@admin.register(Customer)
class CustomerAdmin(ImportedAdmin):
    list_display = (
        "customer_id",
        "name",
        "phone",
        "email",
        "store",
        "area",
        "signed_up",
        "order_count",
        "b2b",
        "in_latest_export",
    )
    list_filter = ("store", "area", "b2b", "source", "in_latest_export")
    search_fields = ("name", "phone", "email", "customer_id")
    search_help_text = "Name, phone, e-mail or customer number"
    date_hierarchy = "signed_up"
    ordering = (Case(When(name="", then=1), default=0), "name", "customer_id")  # the nameless come last
    inlines = (CustomerFollowUpInline,)
    fieldsets = (
        (None, {"fields": (("customer_id", "name"), ("phone", "email"), ("store", "area", "route"), "their_orders")}),
        (
            "From the export",
            {"fields": (("signed_up", "cohort_month", "b2b"), ("source", "in_latest_export", "synced_at"))},
        ),
    )

    def get_queryset(self, request):
        orders = orders_for(request.user).filter(customer=OuterRef("pk"))
        orders = orders.order_by().values("customer").annotate(n=Count("pk"))
        found = customers_for(request.user, super().get_queryset(request))
        return found.annotate(_orders=Subquery(orders.values("n")))

    def get_readonly_fields(self, request, obj=None):
        return [*super().get_readonly_fields(request, obj), "their_orders"]

    @display(description="orders", ordering="_orders")
    def order_count(self, customer):
        return customer._orders or 0

    @display(description="orders")
    def their_orders(self, customer):
        url = reverse("admin:operations_order_changelist") + f"?customer__customer_id__exact={customer.pk}"
        return format_html(
            '<a class="text-primary-600 dark:text-primary-400 underline" href="{}">{} orders</a>',
            url,
            customer._orders or 0,
        )


@admin.register(Order)
class OrderAdmin(ImportedAdmin):
    list_display = (
        "order_id",
        "customer_link",
        "store",
        "status",
        "placed",
        "ready_by",
        "collected",
        "pieces",
        "total",
        "paid",
        "payment_type",
    )
    list_filter = ("store", "status", "paid", "payment_type", "delivery", "b2b", "in_latest_export")
    list_select_related = ("customer",)
    search_fields = ("order_id", "customer__name", "customer__phone", "customer__customer_id")
    search_help_text = "Order number, or the customer's name, phone or number"
    date_hierarchy = "placed"
    inlines = (OrderFollowUpInline,)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("order_id", "customer_link"),
                    ("store", "status"),
                    ("total", "paid", "pieces"),
                    ("payment_type", "payment_date"),
                )
            },
        ),
        ("Dates", {"fields": (("placed", "ready_by"), ("cleaned", "collected"), ("pickup_date", "delivery"))}),
        ("From the export", {"fields": (("b2b", "in_latest_export", "synced_at"),)}),
    )

    def get_queryset(self, request):
        return orders_for(request.user, super().get_queryset(request)).select_related("customer")

    def get_readonly_fields(self, request, obj=None):
        return [*super().get_readonly_fields(request, obj), "customer_link"]

    @display(description="customer", ordering="customer__name")
    def customer_link(self, order):
        url = reverse("admin:operations_customer_change", args=[order.customer_id])
        return format_html(
            '<a class="text-primary-600 dark:text-primary-400 underline" style="white-space: nowrap" href="{}">{}</a>',
            url,
            order.customer,
        )


@admin.register(FollowUp)
class FollowUpAdmin(ModelAdmin):
    list_display = ("created_at", "short_note", "customer", "order", "created_by", "changed_at")
    list_display_links = ("created_at", "short_note")
    list_filter = (("created_by", admin.RelatedOnlyFieldListFilter), "created_at")
    list_select_related = ("customer", "order", "created_by")
    search_fields = ("note", "customer__name", "customer__phone", "customer__customer_id", "order__order_id")
    search_help_text = "Words of the note, a customer's name, phone or number, an order number"
    date_hierarchy = "created_at"
    autocomplete_fields = ("customer", "order")
    fields = ("note", "customer", "order", "created_by", "created_at", "changed_by", "changed_at")
    readonly_fields = ("created_by", "created_at", "changed_by", "changed_at")

    def get_queryset(self, request):
        return follow_ups_for(request.user, super().get_queryset(request))

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "customer":
            field.queryset = customers_for(request.user, field.queryset)
        elif db_field.name == "order":
            field.queryset = orders_for(request.user, field.queryset)
        return field

    @display(description="note")
    def short_note(self, followup):
        return Truncator(followup.note).chars(80)

    def save_model(self, request, obj, form, change):
        services.followup_save(obj, user=request.user)

    def delete_model(self, request, obj):
        services.followup_delete(obj, user=request.user)

    def delete_queryset(self, request, queryset):
        for followup in queryset:
            services.followup_delete(followup, user=request.user)


STATE_COLOURS = {
    "published": "success",
    "checked": "success",
    "nothing new": "info",
    "running": "warning",
    "publishing": "warning",
    "waiting for its turn": "warning",
    "refused": "danger",
    "failed": "danger",
}


@admin.register(RefreshRun)
class RefreshRunAdmin(ModelAdmin):
    """Who may look at refreshes has the view permission; who may start one, the add permission. Both are of the whole
    business: not for a person kept to one store."""

    list_display = ("started_at", "outcome", "trigger", "started_by", "as_of", "build_id", "took", "rows_rejected")
    list_filter = ("state", "trigger", "dry_run", "started_at")
    list_select_related = ("started_by",)
    search_fields = ("build_id", "error")
    search_help_text = "Build, or words of an error"
    date_hierarchy = "started_at"
    list_before_template = "admin/operations/refreshrun/start.html"
    fields = (
        "live",
        "error",
        "warning_list",
        "files",
        "steps",
        ("trigger", "started_by", "dry_run", "forced"),
        ("started_at", "finished_at"),
        ("as_of", "build_id"),
        "synced",
        "exports_dir",
    )

    class Media:
        js = ("operations/refresh.js",)

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

    def has_view_permission(self, request, obj=None):
        return super().has_view_permission(request, obj) and store_of(request.user) is None

    @staticmethod
    def may_start(request) -> bool:
        return request.user.has_perm("operations.add_refreshrun") and store_of(request.user) is None

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("started_by")

    def get_urls(self):
        wrap = self.admin_site.admin_view
        return [
            path("start/", wrap(require_POST(self.start_view)), name="operations_refreshrun_start"),
            path("<int:pk>/progress/", wrap(self.progress_view), name="operations_refreshrun_progress"),
            path(
                "<int:pk>/quarantine/<slug:kind>/", wrap(self.quarantine_view), name="operations_refreshrun_quarantine"
            ),
            *super().get_urls(),
        ]

    # Views

    def changelist_view(self, request, extra_context=None):
        return super().changelist_view(request, {"may_start": self.may_start(request), **(extra_context or {})})

    def start_view(self, request):
        if not self.may_start(request):
            raise PermissionDenied
        try:
            run = refresh.start(user=request.user, force=bool(request.POST.get("force")))
        except RefreshBusy as busy:
            messages.warning(request, str(busy))
            run = busy.run
        except MoonwalkError as error:
            messages.error(request, str(error))
            run = None
        if run is None:
            return redirect("admin:operations_refreshrun_changelist")
        return redirect("admin:operations_refreshrun_change", run.pk)

    def progress_view(self, request, pk):
        """{"state", "words", "progress", "under_way"} of a run, for the bar on its page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self._run(pk)
        return JsonResponse(
            {"state": run.state, "words": _words(run), "progress": run.progress, "under_way": run.is_under_way}
        )

    def quarantine_view(self, request, pk, kind):
        """The rows of one export that were set aside, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self._run(pk)
        try:
            content = quarantine.csv_of(run, kind)
        except FileNotFoundError:
            raise Http404("No rows of this file were set aside, or they are no longer kept.") from None
        except MoonwalkError as error:
            messages.error(request, str(error))
            return redirect("admin:operations_refreshrun_change", pk)
        return FileResponse(
            content, as_attachment=True, filename=f"quarantined-{kind}-{run.build_id}.csv", content_type="text/csv"
        )

    def _run(self, pk) -> RefreshRun:
        try:
            return RefreshRun.objects.get(pk=pk)
        except RefreshRun.DoesNotExist:
            raise Http404 from None

    # Columns and fields

    @display(description="outcome", label=STATE_COLOURS, ordering="state")
    def outcome(self, run):
        return run.get_state_display()

    @display(description="took")
    def took(self, run):
        return f"{(run.finished_at - run.started_at).total_seconds():.1f} s" if run.finished_at else "-"

    @display(description="rows set aside")
    def rows_rejected(self, run):
        files = run.manifest.get("files", {}).values()
        return f"{sum(sum(f.get('quarantined', {}).values()) for f in files):,}" if files else "-"

    @display(description="state")
    def live(self, run):
        return render_to_string("admin/operations/refreshrun/live.html", {"run": run, "words": _words(run)})

    @display(description="files")
    def files(self, run):
        rows = [
            {
                "kind": kind,
                "excluded_sum": sum(f.get("excluded", {}).values()),
                "quarantined_sum": sum(f.get("quarantined", {}).values()),
                **f,
            }
            for kind, f in run.manifest.get("files", {}).items()
        ]
        kept = quarantine.kinds_kept(run)
        return render_to_string("admin/operations/refreshrun/files.html", {"run": run, "rows": rows, "kept": kept})

    @display(description="seconds by step")
    def steps(self, run):
        return render_to_string(
            "admin/operations/refreshrun/steps.html", {"seconds": run.seconds, "sum": sum(run.seconds.values())}
        )

    @display(description="warnings")
    def warning_list(self, run):
        return render_to_string("admin/operations/refreshrun/warnings.html", {"warnings": run.warnings})

    @display(description="rows in the database")
    def synced(self, run):
        return (
            "; ".join(
                f"{table}: {n['added']:,} added, {n['changed']:,} changed, {n['gone']:,} no longer in the export"
                for table, n in run.counts.items()
            )
            or "-"
        )


def _words(run: RefreshRun) -> str:
    """A run's state in a few words: "running, step marts"; "published at 06:00"."""
    if run.is_under_way:
        return f"{run.get_state_display()}, step {run.step}" if run.step else run.get_state_display()
    return f"{run.get_state_display()} at {timezone.localtime(run.finished_at):%H:%M:%S}"
