"""Executive Pulse: how the business does, on one page. A card or a chart more is a line more."""

from analytics.dashboards.frame import Card, Chart, Dashboard, Tab

EXECUTIVE = Dashboard(
    "executive",
    "Executive Pulse",
    (
        Tab(
            "snapshot",
            "Snapshot",
            cards=(
                Card("customers", (("clients", "Clients"), ("subscribers", "Subscribers"))),
                Card("items", (("client_items", "Clients"), ("subscriber_items", "Subscribers"))),
                Card("revenue", (("client_revenue", "Clients"), ("subscriber_revenue", "Subscribers"))),
                Card("stops", (("deliveries", "Deliveries"), ("pickups", "Pickups"))),
            ),
            charts=(Chart("revenue"),),
            insights="top",
        ),
        Tab(
            "trends",
            "Trends",
            charts=(
                Chart("customers"),
                Chart("items"),
                Chart("revenue"),
                Chart("stops"),
                Chart("revenue_per_item"),
                Chart("revenue", form="ahead", title="Where revenue is heading"),
                Chart("revenue", form="stacked", split="store", title="Revenue by store"),
            ),
        ),
        Tab("insights", "Insights", insights="all", takes=()),
    ),
)
