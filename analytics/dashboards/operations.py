"""Operations Center: the driver's stops, where they are, and what is cleaned."""

from analytics.dashboards.frame import Card, Chart, Dashboard, Tab

OPERATIONS = Dashboard(
    "operations",
    "Operations Center",
    (
        Tab(
            "logistics",
            "Logistics",
            cards=(
                Card("stops", (("deliveries", "Deliveries"), ("pickups", "Pickups"))),
                Card("delivery_rate"),
                Card(
                    "revenue_per_delivery",
                    (("delivery_revenue", "Delivery revenue"), ("delivery_revenue_share", "Share of revenue")),
                ),
                Card("items_delivered", (("items_per_delivery", "Per delivery"),)),
                Card("processing_days"),
                Card("time_in_store_days"),
            ),
            charts=(
                Chart(
                    series=(("deliveries", "Deliveries"), ("pickups", "Pickups")),
                    form="stacked",
                    title="Stops, deliveries and pickups",
                ),
                Chart("revenue_per_delivery"),
                Chart("items_delivered"),
                Chart(
                    series=(("processing_days", "Processing"), ("time_in_store_days", "Waiting in store")),
                    form="lines",
                    title="Days, from placed to collected",
                ),
                Chart(
                    series=(
                        ("delivery_rate", "Deliveries of stops"),
                        ("delivery_revenue_share", "Delivery of revenue"),
                    ),
                    form="lines",
                    title="Shares of deliveries",
                ),
            ),
        ),
        Tab(
            "geography",
            "Geography",
            cards=tuple(Card(metric, split="area") for metric in ("stops", "customers", "items_delivered", "revenue")),
            charts=(
                Chart("stops", form="shares", split="area", title="Stops by area"),
                Chart("customers", form="shares", split="area", title="Customers by area"),
                Chart("revenue", form="shares", split="area", title="Revenue by area"),
                Chart("items_delivered", form="shares", split="area", title="Items delivered by area"),
                Chart("stops", form="stacked", split="area", title="Stops by area, in numbers"),
                Chart("revenue", form="stacked", split="area", title="Revenue by area, in numbers"),
            ),
        ),
        Tab(
            "service-mix",
            "Service mix",
            takes=("area", "item_category", "service_type"),
            cards=(
                Card("items", split="service_type"),
                Card("item_revenue", split="service_type"),
                Card(
                    "express_items",
                    (("express_share", "Share of items"), ("express_revenue_share", "Share of revenue")),
                ),
            ),
            charts=(
                Chart("items", form="ranked", split="item_category", title="Items by category"),
                Chart("item_revenue", form="ranked", split="item_category", title="Revenue by category"),
                Chart("items", form="ranked", split="service_type", title="Items by service"),
                Chart("item_revenue", form="ranked", split="service_type", title="Revenue by service"),
                Chart("items", form="shares", split="item_category", title="Items by category over time"),
                Chart("items", form="shares", split="service_type", title="Items by service over time"),
                Chart(
                    series=(("express_share", "Of items"), ("express_revenue_share", "Of revenue")),
                    form="lines",
                    title="Express share",
                ),
            ),
        ),
    ),
)
