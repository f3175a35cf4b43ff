"""METRICS: every figure that is a number a period, once. Cards, charts, insights, exports and the API name them.

Definitions: docs/metrics.md, which is made from this file. A metric's `sql` is an aggregate over the earned rows of its
mart; a formula's names other metrics in braces, `{previous.name}` meaning the period before. Sums are exact DECIMALs;
ratios are sums over sums, and a zero denominator gives no value.
"""

from dataclasses import dataclass
from difflib import get_close_matches

FORMULA = "formula"
GRAINS = ("day", "week", "month", "quarter")
SALES_SPLITS = ("store", "area", "source", "payment_type")
ITEM_SPLITS = ("store", "area", "item_category", "service_type")
CUSTOMER_SPLITS = ("store", "area", "source")
SPLIT_WORDS = {
    "store": "store", "area": "area", "source": "system", "payment_type": "payment method",
    "item_category": "item category", "service_type": "service",
}  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """One figure. unit: count, money (the business's currency), share (0 to 1), days, or ratio (a plain number).

    better: whether more of it is good ('up'), bad ('down') or neither (None). none_is_zero: a period without rows is 0
    rather than no value. legacy_has_none: no value in a period with rows of the old system, which kept neither items
    nor payments. additive: the stores' values add up to the whole. whole: a figure of the whole business (cohorts,
    concentration), not shown to a person restricted to one store. lacks: what the old system did not keep and the
    figure counts ("items", "payments"): a period with rows of it says less than it should, and is no base to compare
    with.
    """

    name: str
    label: str
    unit: str
    mart: str
    sql: str
    description: str
    grains: tuple[str, ...] = GRAINS
    splits: tuple[str, ...] = ()
    better: str | None = "up"
    none_is_zero: bool = True
    legacy_has_none: bool = False
    additive: bool = True
    whole: bool = False
    lacks: str = ""

    @property
    def where(self) -> str:
        """The condition on its mart's rows: those that it counts; "" when it counts all (or is a formula)."""
        return self.sql.partition(" FILTER (")[2].removesuffix(")") if self.mart != FORMULA else ""


METRICS: dict[str, Metric] = {}


class UnknownMetric(ValueError):
    """A name that is no metric; the text lists the nearest names."""


def get(name: str) -> Metric:
    """The metric of this name. Raises UnknownMetric, listing the nearest names."""
    if name in METRICS:
        return METRICS[name]
    near = get_close_matches(name, METRICS, n=5, cutoff=0.4)
    raise UnknownMetric(f"There is no metric {name!r}. " + (f"Did you mean {', '.join(near)}?" if near else ""))


def _add(metric: Metric) -> None:
    if metric.name in METRICS:
        raise ValueError(f"metric {metric.name} is defined twice")
    METRICS[metric.name] = metric


def _sales(name, label, unit, sql, description, **more) -> None:
    _add(Metric(name, label, unit, "sales", sql, description, **{"splits": SALES_SPLITS} | more))


def _items(name, label, unit, sql, description, **more) -> None:
    _add(Metric(name, label, unit, "items", sql, description, **{"splits": ITEM_SPLITS, "lacks": "items"} | more))


def _customer_months(name, label, unit, sql, description, **more) -> None:
    more = {"splits": CUSTOMER_SPLITS, "grains": ("month",), "additive": False} | more
    _add(Metric(name, label, unit, "customer_months", sql, description, **more))


def _formula(name, label, unit, sql, description, **more) -> None:
    ratio = "/" in sql
    more = {"none_is_zero": False, "additive": not ratio} | more
    parts = [METRICS[p] for p in parts_of(sql)]
    more.setdefault("whole", any(p.whole for p in parts))
    more.setdefault("lacks", next((p.lacks for p in parts if p.lacks), ""))
    more.setdefault("grains", tuple(g for g in GRAINS if all(g in p.grains for p in parts)))
    more.setdefault("splits", tuple(s for s in parts[0].splits if all(s in p.splits for p in parts)))
    _add(Metric(name, label, unit, FORMULA, sql, description, **more))


def parts_of(sql: str) -> list[str]:
    """The metrics a formula names, in order."""
    return [part.split("}")[0].removeprefix("previous.") for part in sql.split("{")[1:]]


def _over(top: str, bottom: str) -> str:
    return f"{{{top}}}::DOUBLE / nullif({{{bottom}}}, 0)"


NO_INVOICE = "kind <> 'Invoice Payment'"
DELIVERED, PICKED_UP = "FILTER (delivery)", "FILTER (pickup)"

# Executive Pulse -------------------------------------------------------------------------------------------------
_sales("customers", "Customers", "count", f"count(DISTINCT customer_id) FILTER ({NO_INVOICE})",
       "Distinct customers with an earned order or subscription payment in the period.", additive=False)
_sales("subscribers", "Subscribers", "count", "count(DISTINCT customer_id) FILTER (kind = 'Subscription')",
       "Distinct customers who paid a subscription in the period.", additive=False)
_formula("clients", "Clients", "count", "{customers} - {subscribers}",
         "Active customers who paid no subscription in the period.", additive=False)
_items("items", "Items", "count", "sum(quantity)",
       "Quantity of item lines of consumers, on the day their order was earned (an orphan's on the day it was placed).")
_items("client_items", "Client items", "count", "sum(quantity) FILTER (NOT under_subscription)",
       "Items whose order is not under a subscription, orphans included.")
_items("subscriber_items", "Subscriber items", "count", "sum(quantity) FILTER (under_subscription)",
       "Items whose order was earned inside one of its customer's subscription periods.")
_sales("revenue", "Revenue", "money", "sum(total)",
       "Order totals and subscription payments, on the day they were earned. Business accounts apart.")
_sales("client_revenue", "Client revenue", "money", "sum(total) FILTER (kind = 'Order' AND NOT under_subscription)",
       "Revenue of orders not under a subscription.")
_sales("subscriber_revenue", "Subscriber revenue", "money",
       "sum(total) FILTER (kind = 'Subscription' OR under_subscription)",
       "Subscription payments and orders under a subscription.")
_sales("deliveries", "Deliveries", "count", f"count(*) {DELIVERED}", "Earned orders that were delivered.")
_sales("pickups", "Pickups", "count", f"count(*) {PICKED_UP}", "Earned orders with a pickup date.")
_formula("stops", "Stops", "count", "{deliveries} + {pickups}",
         "Deliveries and pickups: how often the driver stopped.")
_sales("legacy_rows", "Rows of the old system", "count", "count(*) FILTER (source = 'Legacy')",
       "Sales rows of RePOS in the period. It kept neither items nor payments, so figures made of them have no value.",
       better=None)
_formula("revenue_per_item", "Revenue per item", "money", _over("revenue", "items"), "Revenue / items.",
         legacy_has_none=True)

# Customer Analytics ----------------------------------------------------------------------------------------------
_sales("new_customers", "New customers", "count", "count(DISTINCT customer_id) FILTER (months_since_cohort = 0)",
       "Active customers in their cohort month: the earlier of sign-up and first earned month.", additive=False)
_formula("existing_customers", "Existing customers", "count", "{customers} - {new_customers}",
         "Active customers who are not new.", additive=False)
_sales("new_revenue", "New customers' revenue", "money", "sum(total) FILTER (months_since_cohort = 0)",
       "Revenue of customers in their cohort month.")
_formula("existing_revenue", "Existing customers' revenue", "money", "{revenue} - {new_revenue}",
         "All other revenue.")
_items("new_items", "New customers' items", "count", "sum(quantity) FILTER (months_since_cohort = 0)",
       "Items whose order was earned in its customer's cohort month.")
_formula("existing_items", "Existing customers' items", "count", "{items} - {new_items}",
         "All other items, orphans included.")
_formula("new_customer_share", "New customers' share", "share", _over("new_customers", "customers"),
         "New / active customers.")
_customer_months("reactivated_customers", "Reactivated customers", "count", "count(*) FILTER (reactivated)",
                 "Active in the month after at least 3 whole calendar months without activity.")
_customer_months("reactivated_revenue", "Reactivated customers' revenue", "money",
                 "sum(revenue) FILTER (reactivated)", "The month's revenue of reactivated customers.")
_customer_months("reactivated_items", "Reactivated customers' items", "count", "sum(items) FILTER (reactivated)",
                 "The month's items of reactivated customers.", lacks="items")
_customer_months("multi_service_customers", "Multi-service customers", "count", "count(*) FILTER (multi_service)",
                 "Active customers with two or more service types worth at least 10 % of their month's revenue, "
                 "or a subscription.", lacks="items")
_customer_months("multi_service_revenue", "Multi-service revenue", "money", "sum(revenue) FILTER (multi_service)",
                 "The month's revenue of multi-service customers.", lacks="items")
_formula("multi_service_share", "Multi-service share", "share", _over("multi_service_customers", "customers"),
         "Multi-service / active customers.")
_formula("multi_service_revenue_share", "Multi-service share of revenue", "share",
         _over("multi_service_revenue", "revenue"), "Revenue of multi-service customers / revenue.")
_customer_months("spend_threshold", "Top 20 % spend threshold", "money", "any_value(spend_threshold)",
                 "The 80th percentile (linear interpolation) of customers' revenue in the month.",
                 none_is_zero=False, better=None, whole=True)
_customer_months("top20_spend_revenue", "Revenue of the top 20 % by spend", "money",
                 "sum(revenue) FILTER (revenue >= spend_threshold)",
                 "Revenue of customers at or above the spend threshold.", better=None, whole=True)
_formula("top20_spend_share", "Share of the top 20 % by spend", "share", _over("top20_spend_revenue", "revenue"),
         "Their revenue / revenue.", better="down")
_customer_months("volume_threshold", "Top 20 % volume threshold", "ratio", "any_value(volume_threshold)",
                 "The 80th percentile (linear interpolation) of customers' items in the month.",
                 none_is_zero=False, legacy_has_none=True, better=None, whole=True, lacks="items")
_customer_months("top20_volume_revenue", "Revenue of the top 20 % by volume", "money",
                 "sum(revenue) FILTER (items >= volume_threshold)",
                 "Revenue of customers at or above the volume threshold.", legacy_has_none=True, better=None,
                 whole=True, lacks="items")
_formula("top20_volume_share", "Share of the top 20 % by volume", "share", _over("top20_volume_revenue", "revenue"),
         "Their revenue / revenue.", legacy_has_none=True, better="down")
for _m in range(4):
    _sales(f"m{_m}_customers", f"M{_m} customers", "count",
           f"count(DISTINCT customer_id) FILTER (months_since_cohort = {_m})",
           f"Active customers {_m} months after their cohort month.", grains=("month",), additive=False, whole=True)
    _sales(f"m{_m}_revenue", f"M{_m} revenue", "money", f"sum(total) FILTER (months_since_cohort = {_m})",
           f"Their revenue, {_m} months after their cohort month.", grains=("month",), whole=True)
    _items(f"m{_m}_items", f"M{_m} items", "count", f"sum(quantity) FILTER (months_since_cohort = {_m})",
           f"Items of orders earned {_m} months after the customer's cohort month.", grains=("month",),
           whole=True)
    _formula(f"m{_m}_revenue_per_customer", f"M{_m} revenue per customer", "money",
             _over(f"m{_m}_revenue", f"m{_m}_customers"), f"M{_m} revenue / M{_m} customers.")
    _formula(f"m{_m}_items_per_customer", f"M{_m} items per customer", "ratio",
             _over(f"m{_m}_items", f"m{_m}_customers"), f"M{_m} items / M{_m} customers.", legacy_has_none=True)
_formula("m1_customer_retention", "M1 retention of customers", "share",
         "{m1_customers}::DOUBLE / nullif({previous.m0_customers}, 0)",
         "M1 customers of the month / M0 customers of the month before.")
_formula("m1_revenue_retention", "M1 retention of revenue", "share",
         "{m1_revenue}::DOUBLE / nullif({previous.m0_revenue}, 0)",
         "M1 revenue of the month / M0 revenue of the month before.")
_formula("m1_item_retention", "M1 retention of items", "share",
         "{m1_items}::DOUBLE / nullif({previous.m0_items}, 0)",
         "M1 items of the month / M0 items of the month before.")
_KINDS = (("", "customer", ""), ("client_", "client", "Client "), ("subscriber_", "subscriber", "Subscriber "))
for _who, _of, _title in _KINDS:
    _formula(f"{_who}items_per_customer", f"{_title}items per {_of}".capitalize(), "ratio",
             _over(f"{_who}items", f"{_of}s"), f"{_title}items / {_of}s.".capitalize(), legacy_has_none=True)
    _formula(f"revenue_per_{_of}", f"Revenue per {_of}", "money", _over(f"{_who}revenue", f"{_of}s"),
             f"{_title}revenue / {_of}s.".capitalize())

# Operations Center -----------------------------------------------------------------------------------------------
_sales("delivery_revenue", "Delivery revenue", "money", f"sum(total) {DELIVERED}", "Revenue of delivered orders.")
_formula("revenue_per_delivery", "Revenue per delivery", "money", _over("delivery_revenue", "deliveries"),
         "Revenue of delivered orders / deliveries.")
_formula("delivery_rate", "Delivery rate", "share", _over("deliveries", "stops"), "Deliveries / stops.", better=None)
_sales("items_delivered", "Items delivered", "count", f"sum(pieces) {DELIVERED}", "Pieces of delivered orders.")
_formula("items_per_delivery", "Items per delivery", "ratio", _over("items_delivered", "deliveries"),
         "Items delivered / deliveries.")
_formula("delivery_revenue_share", "Delivery share of revenue", "share", _over("delivery_revenue", "revenue"),
         "Revenue of delivered orders / revenue.", better=None)
_items("item_revenue", "Item revenue", "money", "sum(total)",
       "Totals of item lines, counted like items. Discounts and minimum charges make it differ from revenue.")
_items("express_items", "Express items", "count", "sum(quantity) FILTER (express)", "Items ordered express.")
_items("express_revenue", "Express revenue", "money", "sum(total) FILTER (express)",
       "Item revenue of express lines.")
_formula("express_share", "Express share", "share", _over("express_items", "items"), "Express items / items.")
_formula("express_revenue_share", "Express share of item revenue", "share", _over("express_revenue", "item_revenue"),
         "Express item revenue / item revenue.")
_sales("processing_days", "Processing time", "days",
       "avg(date_diff('day', placed, cleaned)) FILTER (kind = 'Order')",
       "Mean days from Placed to Cleaned of earned orders.", better="down", none_is_zero=False, additive=False)
_sales("time_in_store_days", "Time in store", "days",
       "avg(date_diff('day', cleaned, collected)) FILTER (kind = 'Order')",
       "Mean days from Cleaned to Collected of earned orders.", better="down", none_is_zero=False, additive=False)

# Financial Performance -------------------------------------------------------------------------------------------
_sales("collections", "Collections", "money", "sum(collections)",
       "Money received: paid orders (not those to be invoiced), subscription and invoice payments, and payments that "
       "staff recorded for orders which the export doesn't call paid yet; in the period the row was earned.",
       lacks="payments")
for _type in ("Stripe", "Terminal", "Cash", "Receivable", "Other"):
    _sales(f"{_type.lower()}_collections", f"{_type} collections", "money",
           f"sum(collections) FILTER (payment_type::VARCHAR = '{_type}')", f"Collections by {_type}.", better=None,
           lacks="payments")
_formula("collection_rate", "Collection rate", "share", _over("collections", "revenue"), "Collections / revenue.",
         legacy_has_none=True)
_formula("collection_gap", "Collection gap", "money", "{revenue} - {collections}", "Revenue less collections.",
         better="down", legacy_has_none=True)
_formula("digital_share", "Digital share", "share",
         "({stripe_collections} + {terminal_collections})::DOUBLE / "
         "nullif({stripe_collections} + {terminal_collections} + {cash_collections}, 0)",
         "(Stripe + Terminal) / (Stripe + Terminal + Cash) collections.")
_sales("days_to_payment", "Days to payment", "days",
       "avg(date_diff('day', placed, payment_date)) FILTER (kind = 'Order')",
       "Mean days from Placed to Payment Date of earned orders that have both; see its coverage.",
       better="down", none_is_zero=False, additive=False, lacks="payments")
_sales("earned_rows", "Earned rows", "count", "count(*) FILTER (kind IS NOT NULL)",
       "Sales rows earned in the period.", better=None)
_sales("payment_dated_orders", "Orders with a payment date", "count",
       "count(*) FILTER (kind = 'Order' AND placed IS NOT NULL AND payment_date IS NOT NULL)",
       "Earned orders with both Placed and Payment Date.", better=None, lacks="payments")
_formula("payment_date_coverage", "Coverage of days to payment", "share",
         _over("payment_dated_orders", "earned_rows"), "Orders with a payment date / earned rows.", better=None)


# Figures of no period: as of the exports' date, or of customers as a whole ------------------------------------------


@dataclass(frozen=True)
class Fact:
    """A figure that no period has; units as of Metric. What computes it stands in its description's words."""

    name: str
    label: str
    unit: str
    description: str


FACTS: dict[str, Fact] = {}


def _fact(name: str, label: str, unit: str, description: str) -> None:
    FACTS[name] = Fact(name, label, unit, description)


_fact("outstanding", "Outstanding", "money",
      "What consumers owe on the exports' date: earned CleanCloud orders that the export does not call paid, less the "
      "payments that staff recorded for them.")
_fact("overdue", "Overdue", "money",
      "Outstanding past its due day: the day placed plus the payment terms of the business file.")
_fact("aging", "Aging", "money",
      "Outstanding by the days since its orders were placed: 0-30, 31-60, 61-90, over 90.")
_fact("dso", "Days sales outstanding", "days",
      "Receivables / credit sales x days, over the last 90 days. Credit sales: revenue of CleanCloud orders that were "
      "not paid on the day they were placed, nor on a day nobody knows.")
_fact("best_possible_dso", "Best possible DSO", "days", "The same with receivables that are not overdue yet alone.")
_fact("delinquent_days", "Average days delinquent", "days", "Days sales outstanding less its best possible.")
_fact("collection_effectiveness", "Collection effectiveness index", "share",
      "(Receivables at the start + credit sales - receivables at the end) / (receivables at the start + credit sales - "
      "not yet due at the end), from about 90 days ago: every refresh keeps what was owed.")
_fact("business_accounts", "Business accounts", "money",
      "Unpaid cleaned orders of business accounts, less the payments that staff recorded for them. They are in no "
      "other figure.")
_fact("concentration", "Concentration", "share",
      "All active customers of a period by revenue, the biggest first, with their cumulative share of it.")
_fact("top_customers_share", "Share of the top 20 customers", "share",
      "Revenue of the 20 biggest customers of a period / revenue.")
_fact("customers_for_80", "Customers for 80 % of revenue", "count",
      "So many of a period's biggest customers bring 80 % of its revenue.")
_fact("rfm", "RFM segments", "count",
      "Customers with revenue in the 6 calendar months that end with the month, by fifths of recency (days from the "
      "last earned day to the month's end), frequency (orders) and monetary (revenue), 5 the best.")
_fact("simple_clv", "Simple customer value", "money",
      "Mean revenue a month of a customer's lifespan x mean lifespan in months, over all customers and all time. A "
      "rough guide: it knows nothing of who has left.")
_fact("alive", "Customers still with us", "count",
      "The sum of the probabilities (BG/NBD) that a CleanCloud customer with two order days or more still comes.")
_fact("expected_purchases", "Expected order days", "count",
      "Days with an order that BG/NBD expects of CleanCloud's customers in the next 12 weeks.")
_fact("expected_value", "Expected value", "money",
      "Expected order days x expected money a day (Gamma-Gamma), in the next 12 weeks.")
