"""Addresses of the dashboards' pages."""

urlpatterns = []
