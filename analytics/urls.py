"""Addresses of the dashboards' pages."""

from django.urls import path

from analytics import share, views
from analytics.dashboards import DASHBOARDS

urlpatterns = [
    path("", views.home, name="home"),
    *(path(f"{page}/", views.dashboard, {"page": page}, name=page) for page in DASHBOARDS),
    path("<slug:page>/export.<str:form>", views.export, name="export"),
    path("sharing/", share.sharing, name="sharing"),
    path("sharing/<int:pk>/revoke/", share.revoke_own, name="revoke_share_link"),
    path("share/<str:signed>/", share.shared, name="shared"),
]
