"""Queries that return bad rows of a candidate build. A fatal one that returns any stops the build."""

from dataclasses import dataclass

import duckdb

from etl.errors import CheckError


@dataclass(frozen=True)
class Check:
    """`sql` returns bad rows; `says` tells a person what any such row means. Not fatal: a warning."""

    name: str
    sql: str
    says: str
    fatal: bool = True


KEYS = {
    "customers": "customer_id",
    "payments": "payment_id",
    "orders": "order_id",
    "sales": "order_id",
    "items": "item_no",
    "subscriptions": "customer_id, valid_from",
    "customer_months": "month, customer_id, store",
    "cohorts": "cohort_month, months_since_cohort",
    "rfm": "month, customer_id",
    "lifetimes": "customer_id",
    "periods": "grain, period",
    "insights": "rule, period, store",
    "receivables": "as_of, store",
    "meta": "key",
}


# Written after these checks, by what stands on the marts; keys_hold() checks them then.
LATER = ("rfm", "lifetimes", "insights", "receivables")


def _keys(tables) -> list[Check]:
    # Counting distinct keys is several times cheaper than grouping by them and gives the same answer.
    return [
        Check(
            f"{table} key",
            f"SELECT 1 FROM (SELECT count(*) AS n, count(DISTINCT {_one(key)}) AS k FROM {table}) WHERE n <> k",
            f"two rows of {table} share the same {key}",
        )
        for table, key in KEYS.items()
        if table in tables
    ]


def _one(key: str) -> str:
    return key if "," not in key else f"({key})"


def _references() -> list[Check]:
    return [
        Check(
            f"{table} customers",
            f"SELECT customer_id FROM {table} ANTI JOIN customers USING (customer_id)",
            f"a row of {table} names a customer that customers does not have",
        )
        for table in ("sales", "orders", "items", "subscriptions", "customer_months")
    ]


CHECKS = [
    *_keys(set(KEYS) - set(LATER)),
    *_references(),
    Check(
        "revenue to the fils",
        """SELECT marts, staged FROM
            (SELECT coalesce(sum(total), 0) AS marts FROM sales),
            (SELECT coalesce((SELECT sum(total) FROM stg_orders WHERE NOT b2b), 0)
                + coalesce((SELECT sum(total) FROM stg_legacy), 0)
                + coalesce((SELECT sum(amount) FROM stg_invoices WHERE subscription), 0) AS staged)
            WHERE marts <> staged""",
        "revenue of the sales mart differs from that of the staged rows",
    ),
    Check(
        "collections to the fils",
        """SELECT marts, staged FROM
            (SELECT coalesce(sum(collections), 0) AS marts FROM sales WHERE kind <> 'Order'),
            (SELECT coalesce(sum(amount), 0) AS staged FROM stg_invoices) WHERE marts <> staged""",
        "collections of payments in the sales mart differ from the staged invoices",
    ),
    Check(
        "payments to the fils",
        """SELECT 1 FROM
            (SELECT coalesce(sum(amount), 0) AS amount, count(*) AS n, coalesce(sum(counted), 0) AS counted,
                coalesce(sum(counted) FILTER (NOT b2b), 0) AS of_consumers FROM payments),
            (SELECT coalesce(sum(amount), 0) AS given, count(*) AS rows FROM stg_payments),
            (SELECT coalesce(sum(paid_here), 0) AS orders FROM orders),
            (SELECT coalesce(sum(paid_here), 0) AS sales FROM sales)
            WHERE amount <> given OR n <> rows OR counted <> orders OR of_consumers <> sales""",
        "staff's payments are not counted once each",
    ),
    Check(
        "the export wins",
        """SELECT order_id FROM orders WHERE paid AND (paid_here <> 0 OR balance <> 0)
            UNION ALL SELECT order_id FROM sales WHERE paid AND (paid_here <> 0 OR balance <> 0)
            UNION ALL SELECT order_id FROM payments WHERE counted <> 0 AND standing <> 'counted'""",
        "an order that the export calls paid still counts staff's payments or owes something",
    ),
    Check(
        "paid here and owed add up",
        """SELECT order_id FROM orders WHERE NOT paid AND (paid_here + balance <> greatest(total, 0) OR balance < 0)
            UNION ALL
            SELECT order_id FROM sales WHERE source = 'CC_2025' AND kind = 'Order' AND NOT paid
                AND (collections + balance <> greatest(total, 0) OR balance < 0)""",
        "what staff took for an unpaid order and what it still owes are not its total",
    ),
    Check(
        "items to the fils",
        """SELECT 1 FROM
            (SELECT coalesce(sum(total), 0) AS t, coalesce(sum(quantity), 0) AS q, count(*) AS n FROM items),
            (SELECT coalesce(sum(total), 0) AS st, coalesce(sum(quantity), 0) AS sq, count(*) AS sn FROM stg_items)
            WHERE t <> st OR q <> sq OR n <> sn""",
        "the items mart differs from the staged item rows",
    ),
    Check(
        "customer months to the fils",
        """SELECT 1 FROM
            (SELECT coalesce(sum(revenue), 0) AS months FROM customer_months WHERE store = 'All stores'),
            (SELECT coalesce(sum(revenue), 0) AS stores FROM customer_months WHERE store <> 'All stores'),
            (SELECT coalesce(sum(total), 0) AS sales FROM sales WHERE earned_date IS NOT NULL)
            WHERE months <> sales OR stores <> sales""",
        "revenue of customer_months differs from that of earned sales",
    ),
    Check(
        "orders of customer months",
        """SELECT 1 FROM
            (SELECT coalesce(sum(orders), 0) AS months FROM customer_months WHERE store = 'All stores'),
            (SELECT coalesce(sum(orders), 0) AS stores FROM customer_months WHERE store <> 'All stores'),
            (SELECT count(*) AS sales FROM sales WHERE earned_date IS NOT NULL AND kind = 'Order')
            WHERE months <> sales OR stores <> sales""",
        "orders of customer_months differ from the earned orders in sales",
    ),
    Check(
        "cohorts add up",
        """SELECT 1 FROM
            (SELECT coalesce(sum(customers), 0) AS cohorts FROM cohorts),
            (SELECT count(*) AS months FROM customer_months WHERE store = 'All stores') WHERE cohorts <> months""",
        "the customers of the cohorts differ from the rows of customer_months",
    ),
    Check(
        "everyone with a sale has a cohort",
        "SELECT customer_id FROM sales SEMI JOIN (SELECT customer_id FROM customers WHERE cohort_month IS NULL) "
        "USING (customer_id) WHERE earned_date IS NOT NULL",
        "a customer with an earned sale has no cohort month",
    ),
    Check(
        "no sale before its cohort",
        "SELECT order_id FROM sales WHERE months_since_cohort < 0",
        "a sale was earned before its customer's cohort month",
    ),
    Check(
        "subscription periods apart",
        """SELECT customer_id FROM (SELECT customer_id, valid_from, lag(valid_to) OVER (
            PARTITION BY customer_id ORDER BY valid_from) AS before FROM subscriptions)
            WHERE valid_from <= before + 1""",
        "two subscription periods of one customer overlap or touch",
    ),
    Check(
        "orphans count on the day they were placed",
        "SELECT item_no FROM items WHERE earned_date IS NULL AND orphan AND placed IS NOT NULL",
        "an orphan item has a day it was placed but counts on none",
    ),
]


def run(con: duckdb.DuckDBPyConnection, later: bool = False) -> list[str]:
    """Run every check on an open candidate and return the warnings. Raises CheckError on the first fatal finding.

    `later`: the keys of the tables of LATER alone, for who has filled them.
    """
    warnings = []
    for check in _keys(LATER) if later else CHECKS:
        bad = con.execute(f"SELECT count(*) FROM ({check.sql})").fetchone()[0]
        if bad and check.fatal:
            raise CheckError(
                f"The new build was not published: {check.says} (check '{check.name}', {bad} rows). The last good data "
                "stays live; please report this with the exports that caused it."
            )
        if bad:
            warnings.append(f"{check.says} ({bad} rows)")
    return warnings
