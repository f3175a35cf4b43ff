"""The admin of what people save about figures: share links and API tokens, looked at and revoked; the store that a
person is kept to, on the person's own page (operations/admin.py).

Nobody kept to a store decides what others see: they get none of this but their own rows.
"""

from django.contrib import admin, messages
from django.forms import ChoiceField
from django.http import QueryDict
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin, StackedInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from analytics import access, share
from analytics.dashboards import DASHBOARDS
from analytics.models import ApiToken, ShareLink, StoreAccess, api_token_make, api_token_revoke, store_names
from etl.errors import BusinessError

LINK = "text-primary-600 dark:text-primary-400 underline"


class StoreAccessInline(StackedInline):
    """The store that a person is kept to: chosen among those of the business file, or none."""

    model = StoreAccess
    verbose_name_plural = "store restriction"
    max_num = 1

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        if db_field.name != "store":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        try:
            names = store_names()
        except BusinessError:
            names = ()  # StoreAccess.clean says why none can be chosen
        kept = StoreAccess.objects.values_list("store", flat=True).distinct()
        choices = [("", "every store"), *((n, n) for n in dict.fromkeys((*names, *kept)))]
        return ChoiceField(
            choices=choices, label=db_field.verbose_name, help_text=db_field.help_text, widget=UnfoldAdminSelectWidget
        )

    def has_add_permission(self, request, obj=None):
        return super().has_add_permission(request, obj) and access.store_of(request.user) is None

    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and access.store_of(request.user) is None

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and access.store_of(request.user) is None


class RevokedAdmin(ModelAdmin):
    """Rows that are looked at and revoked, never edited. Who may revoke has the change permission."""

    actions = ("revoke",)
    list_display_links = None
    list_per_page = 50
    show_full_result_count = False

    def has_change_permission(self, request, obj=None):
        return False

    def has_revoke_permission(self, request):
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def revoke_one(self, row, user) -> None:
        raise NotImplementedError

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request, queryset):
        rows = list(queryset.filter(revoked_at__isnull=True))
        for row in rows:
            self.revoke_one(row, request.user)
            self.log_change(request, row, "Revoked.")
        messages.success(request, f"{len(rows)} revoked.")


@admin.register(ShareLink)
class ShareLinkAdmin(RevokedAdmin):
    list_display = ("title", "shows", "created_by", "state", "expires_at", "uses", "last_used_at", "created_at")
    list_filter = (("created_by", admin.RelatedOnlyFieldListFilter), "page", "created_at", "expires_at")
    list_select_related = ("revoked_by",)
    search_fields = ("title", "created_by__username")
    search_help_text = "Title, or who made it"

    def has_add_permission(self, request):
        return False  # made on the page that they show

    def get_queryset(self, request):
        found = share.with_makers(super().get_queryset(request))
        return found.filter(created_by=request.user) if access.store_of(request.user) else found

    def revoke_one(self, row, user):
        share.revoke(row, user)

    @display(description="shows")
    def shows(self, link):
        """The page and tab, leading to what the link shows."""
        dashboard = DASHBOARDS.get(link.page)
        tab = dashboard and dashboard.tab(QueryDict(link.query).get("tab", ""))
        words = f"{dashboard.title if dashboard else link.page}{f': {tab.label}' if tab else ''}"
        words += f" ({link.store} alone)" if link.store else ""
        if share.stopped(link):
            return words
        return format_html('<a class="{}" href="{}">{}</a>', LINK, share.address(link), words)

    @display(description="state", label={"open": "success", "stopped": "danger"})
    def state(self, link):
        why = share.stopped(link)
        if link.revoked_by and why == "revoked":
            why = f"revoked by {link.revoked_by.get_username()}"
        return ("stopped", why) if why else ("open", "open")


@admin.register(ApiToken)
class ApiTokenAdmin(RevokedAdmin):
    """A superuser makes tokens for anybody, others for themselves alone: a token has the rights of its person."""

    list_display = ("name", "begins_with", "user", "state", "last_used_at", "created_at")
    list_filter = (("user", admin.RelatedOnlyFieldListFilter), "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("name", "shown", "user__username")
    search_help_text = "What uses it, its first characters, or its person"
    fields = ("name", "user")

    def get_queryset(self, request):
        found = super().get_queryset(request)
        return found if self._for_anybody(request) else found.filter(user=request.user)

    @staticmethod
    def _for_anybody(request) -> bool:
        return request.user.is_superuser and access.store_of(request.user) is None

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "user":
            field.queryset = field.queryset.filter(is_active=True)
            if not self._for_anybody(request):
                field.queryset = field.queryset.filter(pk=request.user.pk)
            field.initial = request.user.pk
        return field

    def save_model(self, request, obj, form, change):
        made, request.token_text = api_token_make(obj.user, obj.name)
        obj.__dict__.update(made.__dict__)

    def response_add(self, request, obj, post_url_continue=None):
        """The page that shows the token's text: the only time it can be seen, so it goes through no message or log."""
        context = self.admin_site.each_context(request) | {
            "title": "API token made", "token": obj, "text": request.token_text, "opts": self.opts
        }  # fmt: skip
        return TemplateResponse(request, "admin/analytics/apitoken/made.html", context)

    def revoke_one(self, row, user):
        api_token_revoke(row)

    @display(description="begins with", ordering="shown")
    def begins_with(self, token):
        return f"{token.shown}…"

    @display(description="state", label={"open": "success", "stopped": "danger"}, ordering="revoked_at")
    def state(self, token):
        if token.revoked_at:
            return "stopped", f"revoked {timezone.localtime(token.revoked_at):%-d %b %Y}"
        return ("open", "open") if token.user.is_active else ("stopped", "its person is not active")
