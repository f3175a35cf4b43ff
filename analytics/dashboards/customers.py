"""Customer Analytics: who comes, who stays, who is worth a call. By month."""

from analytics.dashboards.frame import LEAST, Block, Card, Chart, Dashboard, Tab

TAKES = ("area", "segment")

CUSTOMERS = Dashboard(
    "customers",
    "Customer Analytics",
    (
        Tab(
            "acquisition",
            "Acquisition",
            monthly=True,
            takes=TAKES,
            says=("change_over",),
            cards=(
                Card("new_customers", (("new_items", "Items"), ("new_revenue", "Revenue"))),
                Card("existing_customers", (("existing_items", "Items"), ("existing_revenue", "Revenue"))),
                Card("reactivated_customers", (("reactivated_items", "Items"), ("reactivated_revenue", "Revenue"))),
                Card("new_customer_share"),
            ),
            charts=(
                Chart(
                    series=(("existing_customers", "Existing"), ("new_customers", "New")),
                    form="stacked",
                    title="Customers, new and existing",
                ),
                Chart(
                    series=(("existing_items", "Existing"), ("new_items", "New")),
                    form="stacked",
                    title="Items, of new and existing customers",
                ),
                Chart(
                    series=(("existing_revenue", "Existing"), ("new_revenue", "New")),
                    form="stacked",
                    title="Revenue, of new and existing customers",
                ),
                Chart("reactivated_customers"),
            ),
        ),
        Tab(
            "segmentation",
            "Segmentation",
            monthly=True,
            takes=TAKES,
            cards=(
                Card("customers", (("clients", "Clients"), ("subscribers", "Subscribers"))),
                Card(
                    "multi_service_customers",
                    (
                        ("multi_service_share", "Share of customers"),
                        ("multi_service_revenue_share", "Share of revenue"),
                    ),
                ),
                Card("top20_spend_revenue", (("spend_threshold", "From"), ("top20_spend_share", "Share of revenue"))),
                Card(
                    "top20_volume_revenue",
                    (("volume_threshold", "From so many items"), ("top20_volume_share", "Share of revenue")),
                ),
            ),
            facts=(Block("clv", whole=True),),
            charts=(
                Block("segments", whole=True),
                Chart(
                    series=(("client_revenue", "Clients"), ("subscriber_revenue", "Subscribers")),
                    form="stacked",
                    title="Revenue, of clients and subscribers",
                ),
                Chart(
                    series=(("multi_service_share", "Of customers"), ("multi_service_revenue_share", "Of revenue")),
                    form="lines",
                    title="Share of multi-service customers",
                ),
                Chart(
                    series=(("top20_spend_share", "By spend"), ("top20_volume_share", "By volume")),
                    form="lines",
                    title="Revenue share of the top 20 %",
                ),
            ),
            tables=(Block("segments", whole=True),),
        ),
        Tab(
            "cohort",
            "Cohort",
            monthly=True,
            whole=True,
            takes=(),
            says=("whole", "change_over"),
            cards=(
                Card(
                    "m1_customer_retention", (("m1_item_retention", "Of items"), ("m1_revenue_retention", "Of revenue"))
                ),
                Card("m0_customers", (("m0_items", "Items"), ("m0_revenue", "Revenue"))),
                Card("m1_customers", (("m1_items", "Items"), ("m1_revenue", "Revenue"))),
                Card("m2_customers", (("m2_items", "Items"), ("m2_revenue", "Revenue"))),
                Card("m3_customers", (("m3_items", "Items"), ("m3_revenue", "Revenue"))),
            ),
            charts=(
                Block("heat", whole=True),
                Chart(
                    series=(
                        ("m1_customer_retention", "Customers"),
                        ("m1_item_retention", "Items"),
                        ("m1_revenue_retention", "Revenue"),
                    ),
                    form="lines",
                    title="Back in the month after (M1 retention)",
                ),
                Chart(
                    series=tuple((f"m{i}_customers", f"M{i}") for i in range(4)),
                    form="lines",
                    title="Customers, by months since they began",
                ),
                Chart(
                    series=tuple((f"m{i}_revenue_per_customer", f"M{i}") for i in range(4)),
                    form="lines",
                    title="Revenue per customer, by months since they began",
                ),
                Chart(
                    series=tuple((f"m{i}_items_per_customer", f"M{i}") for i in range(4)),
                    form="lines",
                    title="Items per customer, by months since they began",
                ),
            ),
        ),
        Tab(
            "per-customer",
            "Per customer",
            monthly=True,
            takes=TAKES,
            cards=(
                Card(
                    "revenue_per_customer",
                    (("revenue_per_client", "A client"), ("revenue_per_subscriber", "A subscriber")),
                ),
                Card(
                    "items_per_customer",
                    (("client_items_per_customer", "A client"), ("subscriber_items_per_customer", "A subscriber")),
                ),
                Card("revenue_per_item"),
            ),
            charts=(
                Chart("revenue_per_customer"),
                Chart("items_per_customer"),
                Chart(
                    series=(("revenue_per_client", "Client"), ("revenue_per_subscriber", "Subscriber")),
                    form="lines",
                    title="Revenue, per client and subscriber",
                ),
                Chart(
                    series=(("client_items_per_customer", "Client"), ("subscriber_items_per_customer", "Subscriber")),
                    form="lines",
                    title="Items, per client and subscriber",
                ),
            ),
        ),
        Tab(
            "lifetime",
            "Customer lifetime",
            monthly=True,
            undated=True,
            whole=True,
            takes=("segment", "store", LEAST),
            says=("whole",),
            facts=(Block("lifetimes", whole=True),),
            charts=(Block("value_by_segment", whole=True),),
            tables=(Block("call_list", whole=True),),
        ),
    ),
)
