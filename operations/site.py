"""The admin's door: who gets in at all, what stands beside every page and on the first one. What each may do inside:
roles.py, and the permissions of people."""

from functools import update_wrapper

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm as AnyActiveUser
from django.core.exceptions import PermissionDenied
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite

from analytics.access import can_see, pages_of

# What stands beside every page: heading -> models, each with an icon of the theme.
ROOMS = {
    "At the desk": {
        "operations.Customer": "person", "operations.Order": "local_laundry_service", "operations.Payment": "payments",
        "operations.FollowUp": "sticky_note_2", "operations.Message": "sms",
    },
    "Reminding": {"operations.Level": "stairs", "operations.MessageTemplate": "edit_note"},
    "Figures": {
        "operations.RefreshRun": "autorenew", "analytics.Target": "flag", "analytics.ShareLink": "link",
        "analytics.ApiToken": "key",
    },
    "By itself": {
        "analytics.AlertEvent": "notifications", "analytics.AlertRule": "rule",
        "analytics.ReportMail": "picture_as_pdf",
        "operations.Delivery": "send", "operations.Schedule": "schedule", "operations.Duty": "task_alt",
    },
    "People": {"auth.User": "group", "auth.Group": "badge", "auditlog.LogEntry": "history"},
}  # fmt: skip
TITLES = {"auditlog.LogEntry": "Audit trail", "auth.User": "People", "auth.Group": "Roles"}
PAGE_ICONS = {"receivables": "call", "upload": "upload_file"}


def may_enter(user) -> bool:
    """Active people whose role has its work here, without a tick on top; and whom an administrator made staff."""
    return user.is_active and (user.is_staff or can_see(user, "desk") or can_see(user, "settings"))


class SignIn(AuthenticationForm):
    """The admin's own sign-in page: open to the same people as the admin."""

    def confirm_login_allowed(self, user):
        AnyActiveUser.confirm_login_allowed(self, user)
        if not may_enter(user):
            raise self.get_invalid_login_error()


class Site(UnfoldAdminSite):
    login_form = SignIn
    index_title = "Start"
    empty_value_display = "–"

    def has_permission(self, request) -> bool:
        return may_enter(request.user)

    def admin_view(self, view, cacheable=False):
        """Who is signed in and may not come in is told so where they asked, not at another address."""
        inner = super().admin_view(view, cacheable)

        def guarded(request, *args, **kwargs):
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            return inner(request, *args, **kwargs)

        return update_wrapper(guarded, inner)

    @method_decorator(login_not_required)  # as Django's own
    def login(self, request, extra_context=None):
        """Who is signed in and may not come in is told so: one more form to sign in with would say nothing."""
        if request.method == "GET" and request.user.is_authenticated and not may_enter(request.user):
            raise PermissionDenied
        return super().login(request, extra_context)

    def autocomplete_view(self, request):
        return Choices.as_view(admin_site=self)(request)


class Choices(AutocompleteJsonView):
    """What a field offers while one types, in the words that the model's admin has for it (choice)."""

    def serialize_result(self, obj, to_field_name):
        found = super().serialize_result(obj, to_field_name)
        if hasattr(self.model_admin, "choice"):
            found["text"] = self.model_admin.choice(self.request, obj)
        return found


def navigation(request) -> list[dict]:
    """The sidebar: the pages outside that this person may open, then the lists in here."""
    pages = [
        {"title": p.label, "link": p.url(), "icon": PAGE_ICONS.get(p.name, "monitoring"), "active": False}
        for p in pages_of(request.user) if p.name != "desk"
    ]  # fmt: skip
    groups = [{"title": "Pages", "items": pages}] if pages else []
    for room, models in ROOMS.items():
        items = [_item(request, name, icon) for name, icon in models.items() if _opens(request, name)]
        if items:
            groups.append({"title": room, "separator": True, "items": items})
    return groups


def place(opts) -> tuple[str, str]:
    """(heading, title) of a list, as the menu has them; the heading is "" for one that isn't in it."""
    room = next((room for room, models in ROOMS.items() if opts.label in models), "")
    return room, _title(opts)


def _title(meta) -> str:
    title = TITLES.get(meta.label) or str(meta.verbose_name_plural)
    return title[:1].upper() + title[1:]


def _opens(request, name: str) -> bool:
    known = admin.site._registry.get(apps.get_model(name))
    return known is not None and known.has_view_or_change_permission(request)


def _item(request, name: str, icon: str) -> dict:
    meta = apps.get_model(name)._meta
    link = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    return {"title": _title(meta), "link": link, "icon": icon, "active": request.path.startswith(link)}


def front(request, context: dict) -> dict:
    """The first page: what waits, each leading to the list of it; [(how many, words, address)]."""
    from operations.admin.deliveries import waiting  # registered when the site is there

    desk = _waiting(request) if request.user.has_perm("operations.view_customer") else []
    return context | {"waiting": [*_nobody(request.user), *_held(request.user), *desk, *waiting(request.user)]}


def _nobody(user) -> list[tuple[int, str, str]]:
    """Whoever may mend it reads that messages reach nobody."""
    from operations import audience

    if not user.has_perm("auth.change_user") or audience.anybody():
        return []
    words = f"thing to set up: give somebody of Management an e-mail address. {audience.NOBODY}"
    return [(1, words, reverse("admin:auth_user_changelist"))]


def _held(user) -> list[tuple[int, str, str]]:
    from operations.moved import waits_for

    run = waits_for(user)
    page = reverse("admin:operations_refreshrun_change", args=[run.pk]) if run else ""
    return [(1, "refresh held: publish or discard it", page)] if run else []


def _waiting(request) -> list[tuple[int, str, str]]:
    from operations.models import Payment
    from operations.money import Promise
    from operations.scope import customers_for, payments_for
    from operations.standing import last_promises

    user, today = request.user, timezone.localdate()
    customers, list_ = customers_for(user), reverse("admin:operations_customer_changelist")
    broken = [pk for pk, promise in last_promises(today, user=user).items() if promise.state is Promise.BROKEN]
    found = [
        (customers.filter(next_action_on__lte=today).count(), "next actions due today or before", f"{list_}?next=due"),
        (customers.filter(assigned_to=user).count(), "customers assigned to me", f"{list_}?assigned=me"),
        (customers.filter(pk__in=broken).count(), "promises broken", f"{list_}?promise=broken"),
        (
            customers.with_conflicts().count(),
            "corrections CleanCloud disagrees with",
            f"{list_}?corrected=conflict",
        ),
    ]
    if user.has_perm("operations.view_payment"):
        waiting = payments_for(user, Payment.objects.filter(included_in="")).count()
        payments = reverse("admin:operations_payment_changelist")
        found.append((waiting, "payments on their way into the figures", f"{payments}?state=waits"))
    return found
