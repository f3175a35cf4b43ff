"""The admin: customers and orders to look up, what the desk recorded, reminders to word, refreshes to watch and start.

Imported rows are read-only here; every write goes through operations.services or operations.refresh, and what they
refuse is said on the page. One module a subject; registering happens as they are imported.
"""

from operations.admin import (
    alerts,
    customers,
    deliveries,
    follow_ups,
    orders,
    payments,
    people,
    reminders,
    reports,
    runs,
    schedules,
    trail,
)

__all__ = [
    "alerts", "customers", "deliveries", "follow_ups", "orders", "payments", "people", "reminders", "reports", "runs",
    "schedules", "trail",
]  # fmt: skip
