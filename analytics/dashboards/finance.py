"""Financial Performance: what was earned, what came in, who pays late and who brings the most."""

from analytics.dashboards.frame import Block, Card, Chart, Dashboard, Tab

TAKES = ("area", "payment_type")
METHODS = ("Stripe", "Terminal", "Cash", "Receivable", "Other")

FINANCE = Dashboard(
    "finance",
    "Financial Performance",
    (
        Tab(
            "collections",
            "Collections",
            takes=TAKES,
            cards=(
                Card("revenue"),
                Card("collections", tuple((f"{m.lower()}_collections", m) for m in METHODS), drop_empty=True),
                Card("collection_rate", (("collection_gap", "Not collected"),)),
                Card("digital_share"),
            ),
            charts=(
                Chart(
                    series=(("revenue", "Revenue"), ("collections", "Collections")),
                    form="grouped",
                    title="Revenue and collections",
                ),
                Chart(series=(("collection_rate", "Collection rate"),), form="lines", title="Collection rate"),
                Chart("collection_gap"),
                Chart("collections", form="stacked", split="payment_type", title="Collections by method"),
                Chart(series=(("digital_share", "Digital share"),), form="lines", title="Paid by card or online"),
            ),
        ),
        Tab(
            "payment-cycle",
            "Payment cycle",
            takes=TAKES,
            cards=(
                Card("days_to_payment", note="payment_coverage"),
                Card(
                    "payment_date_coverage",
                    (("payment_dated_orders", "Orders with a payment date"), ("earned_rows", "Earned rows")),
                ),
                Card("processing_days"),
                Card("time_in_store_days"),
            ),
            charts=(
                Chart("days_to_payment"),
                Chart("days_to_payment", form="ranked", split="payment_type", title="Days to payment by method"),
                Chart("payment_date_coverage", title="How much of it is dated"),
                Chart(
                    series=(
                        ("processing_days", "Placed to cleaned"),
                        ("time_in_store_days", "Cleaned to collected"),
                        ("days_to_payment", "Placed to paid"),
                    ),
                    form="lines",
                    title="Days, from order to money",
                ),
            ),
        ),
        Tab(
            "concentration",
            "Concentration",
            whole=True,
            ranks=True,
            takes=(),
            says=("whole",),
            cards=(
                Card(
                    "multi_service_share",
                    (("multi_service_customers", "Customers"), ("multi_service_revenue_share", "Share of revenue")),
                ),
            ),
            facts=(Block("spread", whole=True),),
            charts=(Block("pareto", whole=True),),
            tables=(Block("top_customers", whole=True),),
        ),
        Tab(
            "outstanding",
            "Outstanding",
            undated=True,
            facts=(Block("owed"),),
            charts=(Block("aging"),),
            tables=(Block("debtors"), Block("oldest")),
        ),
    ),
)
