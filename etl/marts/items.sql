-- Grain: one item line of the Items export. Key: item_no, its row number in the file.
-- Meaning: what was cleaned. earned_date is the day it counts: its order's; an orphan's (order not in Orders) is the day
-- it was placed; NULL: not earned yet. customer_id is the order's, an orphan's own. b2b lines count in no figure unless
-- it says so. under_subscription and months_since_cohort are the order's; an orphan has none. total: item revenue.
CREATE TABLE items AS
SELECT
    i.row AS item_no, coalesce(o.order_id, order_id_of(i.order_no)) AS order_id, c.customer_id, i.store::store AS store,
    c.area, i.placed, CASE WHEN i.orphan THEN i.placed ELSE o.earned_date END AS earned_date,
    i.item, i.section, i.item_category::item_category AS item_category, i.service_type::service_type AS service_type,
    i.quantity, i.total, i.express, i.orphan, i.b2b,
    coalesce(o.under_subscription, false) AS under_subscription, o.months_since_cohort
FROM stg_items AS i
JOIN customers AS c ON c.customer_key = i.customer_no
LEFT JOIN earned_orders AS o ON o.order_no = i.order_no;
