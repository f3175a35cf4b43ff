-- Grain: one CleanCloud order (a helper of this build, not kept). Key: order_no.
-- Meaning: what an order's sales row and its items share. under_subscription: earned inside one of its customer's
-- subscription periods. months_since_cohort: earned month minus the customer's cohort month.
CREATE TEMP TABLE earned_orders AS
SELECT
    o.order_no, order_id_of(o.order_no) AS order_id, o.cleaned AS earned_date,
    s.customer_id IS NOT NULL AS under_subscription,
    date_diff('month', c.cohort_month, o.cleaned)::SMALLINT AS months_since_cohort
FROM stg_orders AS o
JOIN customers AS c ON c.customer_key = o.customer_no
LEFT JOIN subscriptions AS s
    ON s.customer_key = o.customer_no AND s.valid_from <= o.cleaned AND s.valid_to >= o.cleaned;
