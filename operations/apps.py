from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class OperationsConfig(AppConfig):
    name = "operations"
    verbose_name = "Customers and orders"

    def ready(self) -> None:
        from operations import alerts, audit, catch_up, checks, defaults, finding, roles, schedules, services  # noqa: F401  (checks register themselves)

        post_migrate.connect(roles.make_groups, sender=self)
        post_migrate.connect(roles.make_lock, sender=self)
        post_migrate.connect(defaults.make_levels, sender=self)
        post_migrate.connect(defaults.make_report_mails, sender=self)
        post_migrate.connect(alerts.make_rules, sender=self)
        post_migrate.connect(schedules.make, sender=self)
        schedules.connect()
        audit.connect()
        connection_created.connect(finding.with_plain)
        user_logged_in.connect(_forget_old_sessions)
        services.payments_changed.connect(catch_up.on_payments_changed)


def _forget_old_sessions(request, **kwargs) -> None:
    """Sessions that ran out stay as rows: each sign-in clears them away."""
    request.session.clear_expired()
