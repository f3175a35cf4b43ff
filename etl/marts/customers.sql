-- Grain: one customer of either system; the two systems' records are separate and never linked.
-- Key: customer_id, CC-0001 (CleanCloud) or MW-0001 (the old system).
-- Meaning: who they are, where their route lies, since which month they are customers (cohort_month: the earlier of
-- sign-up, for the old system the first order placed, and the first earned month, invoice payments aside).
-- in_export: has a row in the Customers export. row_hash changes when a column the desk keeps changes.
CREATE TABLE customers AS
WITH first_days AS (
    SELECT customer_key, min(earned) AS first_earned, min(placed) AS first_placed, min(paid) AS first_paid
    FROM (
        SELECT customer_no AS customer_key, cleaned AS earned, placed, NULL::DATE AS paid FROM stg_orders
        UNION ALL
        SELECT -1 - customer_no, coalesce(cleaned, placed), placed, NULL FROM stg_legacy
        UNION ALL
        SELECT customer_no, CASE WHEN subscription THEN payment_date END, NULL, payment_date FROM stg_invoices
        UNION ALL
        SELECT customer_no, NULL, NULL, NULL FROM stg_items WHERE orphan
    )
    GROUP BY customer_key
),
old_names AS (
    SELECT -1 - customer_no AS customer_key, arg_max(name, row) FILTER (name IS NOT NULL) AS name,
        arg_max(store, row) AS store
    FROM stg_legacy
    GROUP BY customer_no
),
everyone AS (
    SELECT
        coalesce(c.customer_no, f.customer_key) AS customer_key,
        coalesce(c.customer_no, f.customer_key) < 0 AS legacy,
        c.customer_no IS NOT NULL AS in_export,
        coalesce(c.name, o.name) AS name, c.phone, c.email, coalesce(c.store, o.store) AS store, c.route, c.signed_up,
        coalesce(c.b2b, false) AS b2b,
        f.first_earned, f.first_placed, f.first_paid
    FROM stg_customers AS c
    FULL JOIN first_days AS f ON f.customer_key = c.customer_no
    LEFT JOIN old_names AS o ON o.customer_key = f.customer_key
)
SELECT
    customer_key,
    CASE WHEN legacy THEN format('MW-{:04d}', -1 - customer_key) ELSE format('CC-{:04d}', customer_key) END AS customer_id,
    CASE WHEN legacy THEN 'Legacy' ELSE 'CC_2025' END::source AS source,
    name, phone, email, store::store AS store,
    area_of(route)::area AS area,
    route, signed_up,
    coalesce(
        date_trunc('month', least(CASE WHEN legacy THEN first_placed ELSE signed_up END, first_earned)),
        date_trunc('month', coalesce(first_placed, first_paid))
    )::DATE AS cohort_month,
    b2b, in_export,
    hash(name, phone, email, store, route, area_of(route), signed_up, cohort_month, b2b, in_export) AS row_hash
FROM everyone;
