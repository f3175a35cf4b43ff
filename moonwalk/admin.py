"""The admin with Moonwalk's own door, in place of django.contrib.admin."""

from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    default_site = "operations.site.Site"
