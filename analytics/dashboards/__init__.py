"""The personas' dashboards. DASHBOARDS is all of them, by the name of their page."""

from analytics.dashboards.executive import EXECUTIVE

DASHBOARDS = {dashboard.page: dashboard for dashboard in (EXECUTIVE,)}
