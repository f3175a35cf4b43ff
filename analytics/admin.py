"""The admin of what people save about figures: share links and API tokens, looked at and revoked; the store that a
person is kept to, on the person's own page (operations/admin.py).

Nobody kept to a store decides what others see: they get none of this but their own rows.
"""

from django.contrib import admin, messages
from django.forms import ChoiceField
from django.http import QueryDict
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.text import capfirst
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from analytics import access, admin_targets, share
from analytics.admin_lists import Cell, ListAdmin, MomentsFilter, OfTheHouse, moment, people_filter, tag
from analytics.admin_lists import link as anchor
from analytics.dashboards import DASHBOARDS
from analytics.models import ApiToken, ShareLink, StoreAccess, api_token_make, api_token_revoke, store_names
from analytics.tables import Column
from etl.errors import BusinessError

__all__ = ["StoreAccessInline", "admin_targets"]  # lists of modules of their own register as they are imported


class StoreAccessInline(OfTheHouse, StackedInline):
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
            choices=choices, label=capfirst(db_field.verbose_name), help_text=db_field.help_text,
            widget=UnfoldAdminSelectWidget,
        )  # fmt: skip


class RevokedAdmin(ListAdmin):
    """Rows that are looked at and revoked, never edited. Who may revoke has the change permission."""

    actions = ("revoke",)
    list_display_links = None

    def get_actions(self, request):
        found = super().get_actions(request)
        found.pop("delete_selected", None)  # what was open once stays on record, revoked
        return found

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


class OpenFilter(DropdownFilter):
    """Not revoked; of links, not run out either."""

    title, parameter_name = "state", "state"

    def lookups(self, request, model_admin):
        return [("open", "open"), ("revoked", "revoked")]

    def queryset(self, request, queryset):
        if self.value() == "revoked":
            return queryset.filter(revoked_at__isnull=False)
        if self.value() != "open":
            return queryset
        found = queryset.filter(revoked_at__isnull=True)
        return found.filter(expires_at__gt=timezone.now()) if queryset.model is ShareLink else found


class PageFilter(DropdownFilter):
    title, parameter_name = "page", "page"

    def lookups(self, request, model_admin):
        return [(name, dashboard.title) for name, dashboard in DASHBOARDS.items()]

    def queryset(self, request, queryset):
        return queryset.filter(page=self.value()) if self.value() else queryset


@admin.register(ShareLink)
class ShareLinkAdmin(RevokedAdmin):
    list_display = ("title", "shows", "created_by", "state", "expires", "uses", "used", "made")
    list_filter = (OpenFilter, people_filter("created_by", "made by"), PageFilter, ("created_at", MomentsFilter),
                   ("expires_at", MomentsFilter))  # fmt: skip
    search_fields = ("title", "created_by__username")
    search_help_text = "Title, or who made it"
    date_hierarchy = "created_at"
    list_about = "Pages that people shared with whoever holds the link. Revoke what nobody should open any more."
    cells = (
        Cell(Column("title", "Title"), lambda x: x.title),
        Cell(Column("page", "Page"), lambda x: x.page),
        Cell(Column("store", "Only the store"), lambda x: x.store),
        Cell(Column("by", "Made by"), lambda x: x.created_by.get_username()),
        Cell(Column("made", "Made"), lambda x: moment(x.created_at)),
        Cell(Column("expires", "Valid until"), lambda x: moment(x.expires_at)),
        Cell(Column("state", "State"), lambda x: share.stopped(x) or "open"),
        Cell(Column("uses", "Times opened", "count"), lambda x: x.uses),
        Cell(Column("used", "Last opened"), lambda x: moment(x.last_used_at)),
    )

    def has_add_permission(self, request):
        return False  # made on the page that they show

    def get_queryset(self, request):
        found = share.with_makers(super().get_queryset(request)).select_related("revoked_by")
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
        return anchor(share.address(link), words)

    @display(description="valid until", ordering="expires_at")
    def expires(self, link):
        return moment(link.expires_at)

    @display(description="last opened", ordering="last_used_at")
    def used(self, link):
        return moment(link.last_used_at) or "never"

    @display(description="made", ordering="created_at")
    def made(self, link):
        return moment(link.created_at)

    @display(description="state")
    def state(self, link):
        why = share.stopped(link)
        if link.revoked_by and why == "revoked":
            why = f"revoked by {link.revoked_by.get_username()}"
        return tag("bad", why) if why else tag("good", "open")


@admin.register(ApiToken)
class ApiTokenAdmin(RevokedAdmin):
    """A superuser makes tokens for anybody, others for themselves alone: a token has the rights of its person."""

    list_display = ("name", "begins_with", "user", "state", "used", "made")
    list_filter = (OpenFilter, people_filter("user", "reads as"), ("created_at", MomentsFilter),
                   ("last_used_at", MomentsFilter))  # fmt: skip
    list_select_related = ("user",)
    search_fields = ("name", "shown", "user__username")
    search_help_text = "What uses it, its first characters, or its person"
    date_hierarchy = "created_at"
    list_about = (
        "Passwords of programs that read the API, each with the rights of its person. Revoke what is not in use."
    )
    cells = (
        Cell(Column("name", "What uses it"), lambda x: x.name),
        Cell(Column("shown", "Begins with"), lambda x: x.shown),
        Cell(Column("user", "Reads as"), lambda x: x.user.get_username()),
        Cell(Column("state", "Revoked"), lambda x: moment(x.revoked_at)),
        Cell(Column("used", "Last used"), lambda x: moment(x.last_used_at)),
        Cell(Column("made", "Made"), lambda x: moment(x.created_at)),
    )
    fields = ("name", "user")

    def get_queryset(self, request):
        found = super().get_queryset(request)
        return found if self._for_anybody(request) else found.filter(user=request.user)

    @staticmethod
    def _for_anybody(request) -> bool:
        return request.user.is_superuser and access.store_of(request.user) is None

    def get_autocomplete_fields(self, request):
        return ("user",) if request.user.has_perm("auth.view_user") else ()  # looking people up takes that right

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

    @display(description="last used", ordering="last_used_at")
    def used(self, token):
        return moment(token.last_used_at) or "never"

    @display(description="made", ordering="created_at")
    def made(self, token):
        return moment(token.created_at)

    @display(description="begins with", ordering="shown")
    def begins_with(self, token):
        return f"{token.shown}…"

    @display(description="state", ordering="revoked_at")
    def state(self, token):
        if token.revoked_at:
            return tag("bad", f"revoked {timezone.localtime(token.revoked_at):%-d %b %Y}")
        return tag("good", "open") if token.user.is_active else tag("bad", "its person is not active")
