-- Grain: one CleanCloud order, business accounts' included. The old system's orders are in sales alone.
-- Key: order_id, M-01001 (the store's letter, then CleanCloud's number, which it gives per store).
-- Meaning: the order as the export has it, for the desk. row_hash changes when any of those columns does.
-- paid_here: what staff's payments count for it; balance: what is still owed. Neither is the export's.
CREATE TABLE orders AS
SELECT
    e.order_id, c.customer_id, o.store::store AS store, o.status, o.placed, o.ready_by, o.cleaned, o.collected, o.pickup_date,
    o.delivery, o.pieces, o.total, o.paid, o.payment_type::payment_type AS payment_type, o.payment_date, o.b2b,
    hash(
        o.customer_no, o.status, o.placed, o.ready_by, o.cleaned, o.collected, o.pickup_date, o.delivery, o.pieces,
        o.total, o.paid, o.payment_type, o.payment_date, o.b2b
    ) AS row_hash,
    coalesce(h.paid_here, 0)::DECIMAL(12, 2) AS paid_here,
    balance_of(o.paid, o.total, coalesce(h.paid_here, 0))::DECIMAL(12, 2) AS balance
FROM stg_orders AS o
JOIN earned_orders AS e USING (order_no)
JOIN customers AS c ON c.customer_key = o.customer_no
LEFT JOIN (SELECT order_id, sum(counted) AS paid_here FROM payments GROUP BY order_id) AS h ON h.order_id = e.order_id;
