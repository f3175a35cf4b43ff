from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class AnalyticsConfig(AppConfig):
    name = "analytics"
    verbose_name = "Analytics"

    def ready(self):
        from analytics.dashboards import DASHBOARDS
        from analytics.dashboards.dash_app import register

        for dashboard in DASHBOARDS.values():
            register(dashboard)
        # This app has no tables, so the signal of the app that owns the rows is the one that comes.
        post_migrate.connect(_keep_app_rows, sender=apps.get_app_config("django_plotly_dash"))


def _keep_app_rows(using, **_):
    """django-plotly-dash keeps a row an app and would insert a missing one on a GET: made here instead."""
    from django_plotly_dash.models import StatelessApp

    from analytics.dashboards import DASHBOARDS

    for page in DASHBOARDS:
        StatelessApp.objects.using(using).get_or_create(app_name=page, defaults={"slug": page})
