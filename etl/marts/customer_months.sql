-- Grain: one active customer, month and store, where store 'All stores' is the business as a whole: services,
-- reactivation and what an orphan counts for are no sums over stores, so the whole has rows of its own. Filter on store.
-- Key: month, customer_id, store.
-- Meaning: what a customer did in a month. Active: an earned row other than an invoice payment. revenue and item_revenue
-- in the business's currency; items include orphans. services: service types worth at least 10 % of the month's revenue
-- in items, at least 1 if there are items. multi_service: 2 or more, or a subscriber.
-- reactivated: active again after at least 3 whole calendar months without activity. orders: earned rows of kind Order.
-- last_earned: the last day of the month with an earned row other than an invoice payment.
-- {braces}: a column a service type of the business file.
CREATE TABLE customer_months AS
WITH sold AS (
    SELECT
        date_trunc('month', earned_date)::DATE AS month, customer_id, store, any_value(area) AS area,
        any_value(source) AS source, sum(total) AS revenue, min(months_since_cohort) AS months_since_cohort,
        bool_or(under_subscription OR (kind = 'Subscription' AND total > 0)) AS subscriber,
        count(*) FILTER (kind = 'Order') AS orders, max(earned_date) AS last_earned
    FROM sales
    WHERE earned_date IS NOT NULL AND kind <> 'Invoice Payment'
    GROUP BY ALL
),
cleaned AS (
    SELECT
        date_trunc('month', earned_date)::DATE AS month, customer_id, store,
        sum(quantity) AS items, sum(total) AS item_revenue, {service_sums}
    FROM items
    WHERE earned_date IS NOT NULL AND NOT b2b
    GROUP BY ALL
),
active AS (
    SELECT * REPLACE (store::VARCHAR::store_or_all AS store) FROM sold
    UNION ALL
    SELECT
        month, customer_id, 'All stores'::store_or_all, any_value(area), any_value(source), sum(revenue),
        min(months_since_cohort), bool_or(subscriber), sum(orders), max(last_earned)
    FROM sold
    GROUP BY month, customer_id
),
served AS (
    SELECT * REPLACE (store::VARCHAR::store_or_all AS store) FROM cleaned
    UNION ALL
    SELECT month, customer_id, 'All stores'::store_or_all, sum(items), sum(item_revenue), {service_totals}
    FROM cleaned
    GROUP BY month, customer_id
),
joined AS (
    SELECT
        a.*, coalesce(s.items, 0) AS items, coalesce(s.item_revenue, 0) AS item_revenue,
        CASE WHEN s.customer_id IS NULL THEN 0 ELSE greatest(1, {services_worth_it}) END AS services
    FROM active AS a
    LEFT JOIN served AS s USING (month, customer_id, store)
)
SELECT
    month, customer_id, store, area, source, months_since_cohort,
    revenue::DECIMAL(12, 2) AS revenue, items::DECIMAL(12, 2) AS items, item_revenue::DECIMAL(12, 2) AS item_revenue,
    services::SMALLINT AS services, subscriber, services >= 2 OR subscriber AS multi_service,
    coalesce(date_diff('month', lag(month) OVER (PARTITION BY customer_id, store ORDER BY month), month) >= 4, false)
        AS reactivated,
    orders::INTEGER AS orders, last_earned
FROM joined;
