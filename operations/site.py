"""The admin's door: who gets in at all. What each may do inside: roles.py, and the permissions of people."""

from django.contrib.auth.forms import AuthenticationForm as AnyActiveUser
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite

from analytics.access import can_see


def may_enter(user) -> bool:
    """Active people whose role has its work here, without a tick on top; and whom an administrator made staff."""
    return user.is_active and (user.is_staff or can_see(user, "desk"))


class SignIn(AuthenticationForm):
    """The admin's own sign-in page: open to the same people as the admin."""

    def confirm_login_allowed(self, user):
        AnyActiveUser.confirm_login_allowed(self, user)
        if not may_enter(user):
            raise self.get_invalid_login_error()


class Site(UnfoldAdminSite):
    login_form = SignIn

    def has_permission(self, request) -> bool:
        return may_enter(request.user)
