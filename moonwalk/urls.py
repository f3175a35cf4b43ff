"""Addresses: sign-in, the admin, the dashboards' endpoints, the desk's pages; every other page is analytics'."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.http import Http404
from django.shortcuts import render
from django.urls import include, path
from django.utils.http import url_has_allowed_host_and_scheme

from moonwalk import health
from operations import customer_page


def gone(request):
    """django-plotly-dash's add_stateless_apps: it writes to the database on a GET and lies outside view_decorator."""
    raise Http404


def form_out_of_date(request, reason=""):
    """The answer to a form without a valid token (CSRF_FAILURE_VIEW): mostly of a page older than the last sign-in."""
    came_from = request.META.get("HTTP_REFERER", "")
    ours = url_has_allowed_host_and_scheme(came_from, {request.get_host()}) and "/login/" not in came_from
    return render(request, "403_csrf.html", {"back": came_from if ours else "/"}, status=403)


urlpatterns = [
    *[path(address[1:], view) for address, view in health.ADDRESSES.items()],  # the middleware answers first
    path("login/", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("password/", auth.PasswordChangeView.as_view(template_name="registration/password.html", success_url="/"),
         name="password"),
    path("admin/", admin.site.urls),
    path("dash/add_stateless_apps", gone),
    path("dash/", include("django_plotly_dash.urls")),
    path("operations/", include("operations.urls")),
    path("customer/<str:customer_id>/", customer_page.customer, name="customer"),
    path("", include("analytics.urls")),
]
