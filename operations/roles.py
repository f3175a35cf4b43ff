"""The roles as groups, with what each may do in the admin. What a role may look at: analytics/access.py."""

from django.apps import apps

# In generations: a group that is there already gets each generation once, and a person may take any of it away again.
DESK_WORK_1 = ("view_customer", "view_order", "view_followup", "add_followup", "change_followup")
DESK_WORK_2 = (
    "view_payment",
    "add_payment",
    "correct_customer",
    "assign_customer",
    "view_message",
    "add_message",
    "view_level",
    "view_messagetemplate",
)
# Who keeps the books also undoes what others recorded, and decides how customers are reminded.
BOOKS_2 = (
    "void_payment",
    "void_followup",
    "add_level",
    "change_level",
    "add_messagetemplate",
    "change_messagetemplate",
    "delete_messagetemplate",
)
DESK_WORK = DESK_WORK_1 + DESK_WORK_2
# Who runs the business decides what is aimed at.
TARGETS_2 = ("view_target", "add_target", "change_target", "delete_target")
# Who answers for the business says when somebody is to be told, and sees what became of it.
ALERTS_3 = (
    "view_alertrule",
    "add_alertrule",
    "change_alertrule",
    "delete_alertrule",
    "view_alertevent",
    "view_refreshrun",
)
DELIVERIES_4 = ("view_delivery", "change_delivery")  # to change one is to have it sent again
REPORTS_5 = ("view_reportmail", "change_reportmail")  # who gets the board report
# When what happens by itself is due, and what came of it.
SCHEDULES_6 = ("view_schedule", "add_schedule", "change_schedule", "delete_schedule", "view_duty")
# Who hears of a build that is held decides about it, and so starts refreshes and goes back.
REFRESHES_7 = ("add_refreshrun",)
GENERATIONS = {
    "Finance": {1: DESK_WORK_1, 2: DESK_WORK_2 + BOOKS_2},
    "Desk": {1: DESK_WORK_1, 2: DESK_WORK_2},
    # Management's group was there before it had any right.
    "Management": {2: TARGETS_2, 3: ALERTS_3, 4: DELIVERIES_4, 5: REPORTS_5, 6: SCHEDULES_6, 7: REFRESHES_7},
}  # the other roles have no business in the admin
APPS = ("operations", "analytics")  # whose rights these are


def make_groups(sender=None, **kwargs) -> None:
    """Make the groups that aren't there (after every migrate). One that exists is a person's to edit: it gets what
    this version of the program brings to its role, once, and is left as it is from then on."""
    from analytics.access import ROLES

    group_model, made_model = apps.get_model("auth", "Group"), apps.get_model("operations", "Made")
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label__in=APPS)
    for role in ROLES:
        group, made = group_model.objects.get_or_create(name=role)
        for number, names in GENERATIONS.get(role, {}).items():
            # The first generation came with the group itself, before anything was written down.
            _, new = made_model.objects.get_or_create(key=f"role {role}, generation {number}")
            if made or (new and number > 1):
                group.permissions.add(*permissions.filter(codename__in=names))


def make_lock(sender=None, **kwargs) -> None:
    """The one row of the refresh lock."""
    apps.get_model("operations", "RefreshLock").objects.get_or_create(pk=1)
