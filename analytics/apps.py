from django.apps import AppConfig, apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate


class AnalyticsConfig(AppConfig):
    name = "analytics"
    verbose_name = "Analytics"

    def ready(self):
        from analytics.dashboards import DASHBOARDS
        from analytics.dashboards.dash_app import register

        _refuse_open_dashboards()
        for dashboard in DASHBOARDS.values():
            register(dashboard)
        # The rows are django-plotly-dash's: its own signal comes once its tables are there.
        post_migrate.connect(_keep_app_rows, sender=apps.get_app_config("django_plotly_dash"))


def _refuse_open_dashboards() -> None:
    """django-plotly-dash swallows every error about its view decorator, and then all dashboards are public. Asked
    here and not by a system check, as web servers and workers run none. Raises ImproperlyConfigured."""
    from django_plotly_dash.access import dash_view_decorator

    from analytics.access import dash_view

    if dash_view_decorator is not dash_view:
        raise ImproperlyConfigured(
            "The dashboards would be open to everybody: django-plotly-dash did not take the access function, "
            f"PLOTLY_DASH['view_decorator'] = {settings.PLOTLY_DASH.get('view_decorator')!r}. It must be "
            "'analytics.access.dash_view', and nothing may import django_plotly_dash.access before the apps are loaded."
        )


def _keep_app_rows(using, **_):
    """django-plotly-dash keeps a row an app and would insert a missing one on a GET: made here instead."""
    from django_plotly_dash.models import StatelessApp

    from analytics.dashboards import DASHBOARDS

    for page in DASHBOARDS:
        StatelessApp.objects.using(using).get_or_create(app_name=page, defaults={"slug": page})
