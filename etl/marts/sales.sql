-- Grain: one sales row: an order, a subscription payment or an invoice payment of a consumer (business accounts apart).
-- Key: order_id: M-01001 and H-00201 (CleanCloud), R-10002 (the old system), S- subscription, I- invoice payment.
-- Meaning: earned_date is the day it counts: an order's Cleaned (old system: else Placed), a payment's payment date;
-- NULL: not earned yet. total: revenue. collections: money received. Money in the business's currency.
-- under_subscription: an order earned inside one of its customer's subscription periods.
-- months_since_cohort: earned month minus the customer's cohort month; NULL for invoice payments.
CREATE TABLE sales AS
WITH rows AS (
    SELECT
        order_id_of(order_no) AS order_id, 'CC_2025' AS source, 'Order' AS kind, customer_no AS customer_key, store,
        placed, cleaned, collected, pickup_date, payment_date, cleaned AS earned_date, delivery, pieces, total, paid,
        payment_type, CASE WHEN paid AND NOT list_contains(getvariable('to_be_invoiced'), payment_type)
            THEN total ELSE 0 END AS collections
    FROM stg_orders WHERE NOT b2b
    UNION ALL
    SELECT
        format('R-{:05d}', order_no % 1_000_000_000_000), 'Legacy', 'Order', -1 - customer_no, store,
        placed, cleaned, collected, pickup_date, NULL, coalesce(cleaned, placed), delivery, pieces, total, paid,
        payment_type, CASE WHEN paid AND NOT list_contains(getvariable('to_be_invoiced'), payment_type)
            THEN total ELSE 0 END
    FROM stg_legacy
    UNION ALL
    SELECT
        CASE WHEN subscription THEN 'S-' ELSE 'I-' END || coalesce(
            invoice_id, left(md5(concat_ws('|', payment_date, customer_no, reference, amount, store)), 10)
        ),
        'CC_2025', CASE WHEN subscription THEN 'Subscription' ELSE 'Invoice Payment' END, customer_no, store,
        NULL, NULL, NULL, NULL, payment_date, payment_date, false, NULL,
        CASE WHEN subscription THEN amount ELSE 0 END, true, payment_type, amount
    FROM stg_invoices
)
SELECT
    r.order_id, r.source::source AS source, r.kind::kind AS kind, c.customer_id, r.store::store AS store, c.area,
    r.placed, r.cleaned, r.collected, r.pickup_date, r.payment_date, r.earned_date,
    r.delivery, r.pickup_date IS NOT NULL AS pickup, r.pieces, r.total::DECIMAL(12, 2) AS total,
    r.collections::DECIMAL(12, 2) AS collections, r.paid, r.payment_type::payment_type AS payment_type,
    r.kind = 'Order' AND s.customer_id IS NOT NULL AS under_subscription,
    CASE WHEN r.kind <> 'Invoice Payment' THEN date_diff('month', c.cohort_month, r.earned_date) END::SMALLINT
        AS months_since_cohort
FROM rows AS r
JOIN customers AS c ON c.customer_key = r.customer_key
LEFT JOIN subscriptions AS s
    ON s.customer_id = c.customer_id AND r.earned_date BETWEEN s.valid_from AND s.valid_to;
