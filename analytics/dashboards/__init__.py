"""The personas' dashboards. DASHBOARDS is all of them, by the name of their page."""

from analytics.dashboards.customers import CUSTOMERS
from analytics.dashboards.executive import EXECUTIVE
from analytics.dashboards.finance import FINANCE
from analytics.dashboards.operations import OPERATIONS

DASHBOARDS = {dashboard.page: dashboard for dashboard in (EXECUTIVE, CUSTOMERS, OPERATIONS, FINANCE)}
