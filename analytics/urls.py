"""Addresses of the dashboards' pages."""

from django.urls import path

from analytics import api, customer_view, follow, handbook, lists, share, views
from analytics.dashboards import DASHBOARDS

urlpatterns = [
    path("", views.home, name="home"),
    *(path(f"{page}/", views.dashboard, {"page": page}, name=page) for page in DASHBOARDS),
    path("report.pdf", views.board_report, name="report"),
    path("<slug:page>/export.<str:form>", views.export, name="export"),
    path("<slug:page>/list/<slug:address>/", lists.show, name="list"),
    path("<slug:page>/list/<slug:address>/export.<str:form>", lists.export, name="list_export"),
    path("follow/<slug:page>/<slug:metric>/", follow.follow, name="follow"),
    path("follow/<slug:page>/<slug:metric>/export.<str:form>", follow.follow_export, name="follow_export"),
    path("customer/<str:customer_id>/export.<str:form>", customer_view.customer_export, name="customer_export"),
    path("definitions/", handbook.definitions, name="definitions"),
    path("guide/", handbook.guides, name="guides"),
    path("guide/<slug:page>/", handbook.guide, name="guide"),
    path("sharing/", share.sharing, name="sharing"),
    path("sharing/<int:pk>/revoke/", share.revoke_own, name="revoke_share_link"),
    path("share/<str:signed>/", share.shared, name="shared"),
    path("api/v1/docs", api.docs, name="api"),
    path("api/v1/", api.urls()),
]
