"""Addresses of the dashboards' pages."""

from django.urls import path

from analytics import views

urlpatterns = [
    path("", views.home, name="home"),
    path("executive/", views.executive, name="executive"),
]
