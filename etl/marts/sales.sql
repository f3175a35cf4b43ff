-- Grain: one sales row: an order, a subscription payment or an invoice payment of a consumer (business accounts apart).
-- Key: order_id: M-01001 and H-00201 (CleanCloud), R-10002 (the old system), S- subscription, I- invoice payment;
-- several payments under one invoice number are I-20001, I-20001-2 ... by date.
-- Meaning: earned_date is the day it counts: an order's Cleaned (old system: else Placed), a payment's payment date;
-- NULL: not earned yet. total: revenue. collections: money received, by the export's word or staff's (payments says
-- which of theirs count; paid_here: their part of it, whose methods are in payments). balance: what a CleanCloud order
-- still owes. paid, payment_type and payment_date are the export's. Money in the business's currency.
-- under_subscription: an order earned inside one of its customer's subscription periods.
-- months_since_cohort: earned month minus the customer's cohort month; NULL for invoice payments.
CREATE TABLE sales AS
WITH invoices AS (
    SELECT *, CASE WHEN subscription THEN 'S-' ELSE 'I-' END || coalesce(
        invoice_id, left(md5(concat_ws('|', payment_date, customer_no, reference, amount, store)), 10)
    ) AS number
    FROM stg_invoices
),
numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY number ORDER BY payment_date, store, customer_no, reference, amount, row
    ) AS place
    FROM invoices
),
settled AS (SELECT order_id, sum(counted) AS paid_here FROM payments GROUP BY order_id),
rows AS (
    SELECT
        e.order_id, 'CC_2025' AS source, 'Order' AS kind, customer_no AS customer_key, store,
        placed, cleaned, collected, pickup_date, payment_date, e.earned_date, delivery, pieces, total, paid,
        payment_type, collected_of(paid, payment_type, total) AS received, coalesce(h.paid_here, 0) AS paid_here,
        balance_of(paid, total, coalesce(h.paid_here, 0)) AS balance, e.under_subscription, e.months_since_cohort
    FROM stg_orders
    JOIN earned_orders AS e USING (order_no)
    LEFT JOIN settled AS h ON h.order_id = e.order_id
    WHERE NOT b2b
    UNION ALL
    SELECT
        format('R-{:05d}', order_no % getvariable('store_stride')), 'Legacy', 'Order', -1 - customer_no, store,
        placed, cleaned, collected, pickup_date, NULL, coalesce(cleaned, placed), delivery, pieces, total, paid,
        payment_type, collected_of(paid, payment_type, total), 0, 0, false, NULL
    FROM stg_legacy
    UNION ALL
    SELECT
        number || CASE WHEN place > 1 THEN '-' || place ELSE '' END,
        'CC_2025', CASE WHEN subscription THEN 'Subscription' ELSE 'Invoice Payment' END, customer_no, store,
        NULL, NULL, NULL, NULL, payment_date, payment_date, false, NULL,
        CASE WHEN subscription THEN amount ELSE 0 END, true, payment_type, amount, 0, 0, false, NULL
    FROM numbered
)
SELECT
    r.order_id, r.source::source AS source, r.kind::kind AS kind, c.customer_id, r.store::store AS store, c.area,
    r.placed, r.cleaned, r.collected, r.pickup_date, r.payment_date, r.earned_date,
    r.delivery, r.pickup_date IS NOT NULL AS pickup, r.pieces, r.total::DECIMAL(12, 2) AS total,
    (r.received + r.paid_here)::DECIMAL(12, 2) AS collections, r.paid_here::DECIMAL(12, 2) AS paid_here,
    r.balance::DECIMAL(12, 2) AS balance, r.paid, r.payment_type::payment_type AS payment_type, r.under_subscription,
    CASE WHEN r.kind <> 'Invoice Payment'
        THEN coalesce(r.months_since_cohort, date_diff('month', c.cohort_month, r.earned_date)) END::SMALLINT
        AS months_since_cohort
FROM rows AS r
JOIN customers AS c ON c.customer_key = r.customer_key;
