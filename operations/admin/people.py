"""People and groups, in the theme of the rest."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Count
from django_plotly_dash.models import DashApp, StatelessApp
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import BooleanRadioFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from analytics.admin import StoreAccessInline
from analytics.admin_lists import SoundList, moment
from operations.site import may_enter

# django-plotly-dash registers two models that nobody here edits; Django's own two get the theme of the rest.
admin.site.unregister([DashApp, StatelessApp, User, Group])


@admin.register(User)
class UserAdmin(SoundList, DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    inlines = (StoreAccessInline,)
    list_display = ("username", "full_name", "roles", "kept_to", "enters", "is_active", "signed_in")
    list_filter = (("groups", RelatedDropdownFilter), ("is_active", BooleanRadioFilter),
                   ("is_superuser", BooleanRadioFilter))  # fmt: skip
    list_filter_submit = True
    list_per_page = 50

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("store_access").prefetch_related("groups")

    def get_inlines(self, request, obj):
        return super().get_inlines(request, obj) if obj else ()  # a new person's page asks for name and password alone

    @display(description="name", ordering="first_name")
    def full_name(self, user):
        return user.get_full_name() or "–"

    @display(description="roles")
    def roles(self, user):
        return ", ".join(sorted(group.name for group in user.groups.all())) or "–"

    @display(description="only the store", ordering="store_access__store")
    def kept_to(self, user):
        kept = getattr(user, "store_access", None)
        return kept.store if kept else "every store"

    @display(description="administration")
    def enters(self, user):
        if not may_enter(user):
            return "no"
        return "all of it" if user.is_superuser else "by their rights" if user.is_staff else "by their role"

    @display(description="last signed in", ordering="last_login")
    def signed_in(self, user):
        return moment(user.last_login) or "never"


@admin.register(Group)
class GroupAdmin(SoundList, DjangoGroupAdmin, ModelAdmin):
    list_display = ("name", "members")

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(_members=Count("user"))

    @display(description="people", ordering="_members")
    def members(self, group):
        return group._members
