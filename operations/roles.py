"""The roles as groups, with what each may do in the admin. What a role may look at: analytics/access.py."""

from django.apps import apps

DESK_WORK = ("view_customer", "view_order", "view_followup", "add_followup", "change_followup")
ADMIN_PERMISSIONS = {"Finance": DESK_WORK, "Desk": DESK_WORK}  # the other roles have no business in the admin


def make_groups(sender=None, **kwargs) -> None:
    """Make the groups that aren't there (after every migrate). One that exists is a person's to edit: left as it is."""
    from analytics.access import ROLES

    group_model = apps.get_model("auth", "Group")
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="operations")
    for role in ROLES:
        group, made = group_model.objects.get_or_create(name=role)
        if made:
            group.permissions.set(permissions.filter(codename__in=ADMIN_PERMISSIONS.get(role, ())))


def make_lock(sender=None, **kwargs) -> None:
    """The one row of the refresh lock."""
    apps.get_model("operations", "RefreshLock").objects.get_or_create(pk=1)
