-- Grain: one payment that staff recorded here and nobody voided. Key: payment_id.
-- Meaning: what of it counts, said here for every figure. The export wins: of an order that it calls paid, staff's
-- payments count nothing. Else they count, the earliest first, up to the order's total, so that collections are what
-- they will be once the export says paid and a balance is never below 0. A payment of an order that the exports don't
-- have is kept and counts nowhere. standing: which of the three it is. payment_type: the payment's method; earned_date,
-- customer_id, store, area and b2b are the order's, as collections count in the period in which the order is earned.
CREATE TABLE payments AS
SELECT
    p.payment_id, p.order_id, c.customer_id, o.store::store AS store, c.area, e.earned_date, o.b2b,
    coalesce(TRY_CAST(p.method AS payment_type), 'Other'::payment_type) AS payment_type, p.paid_on, p.amount,
    CASE WHEN o.order_no IS NULL THEN 'not in the exports' WHEN o.paid THEN 'paid in the export' ELSE 'counted' END
        AS standing,
    CASE WHEN standing = 'counted'
        THEN greatest(least(p.amount, o.total - coalesce(sum(p.amount) OVER earlier, 0)), 0)
        ELSE 0 END::DECIMAL(12, 2) AS counted
FROM stg_payments AS p
LEFT JOIN earned_orders AS e USING (order_id)
LEFT JOIN stg_orders AS o USING (order_no)
LEFT JOIN customers AS c ON c.customer_key = o.customer_no
WINDOW earlier AS (
    PARTITION BY p.order_id ORDER BY p.paid_on, p.payment_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
);
