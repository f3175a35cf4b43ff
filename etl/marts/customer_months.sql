-- Grain: one active customer, month and store, where store 'All stores' is the business as a whole: services,
-- reactivation and what an orphan counts for are no sums over stores, so the whole has rows of its own. Filter on store.
-- Key: month, customer_id, store.
-- Meaning: what a customer did in a month. Active: an earned row other than an invoice payment. revenue and item_revenue
-- in the business's currency; items include orphans. services: service types worth at least 10 % of the month's revenue
-- in items, at least 1 if there are items. multi_service: 2 or more, or a subscriber.
-- reactivated: active again after at least 3 whole calendar months without activity.
CREATE TABLE customer_months AS
WITH by_store AS (
    SELECT
        date_trunc('month', earned_date)::DATE AS month, customer_id, store::VARCHAR AS store,
        any_value(area) AS area, any_value(source) AS source, sum(total) AS revenue,
        min(months_since_cohort) AS months_since_cohort,
        bool_or(under_subscription OR (kind = 'Subscription' AND total > 0)) AS subscriber
    FROM sales
    WHERE earned_date IS NOT NULL AND kind <> 'Invoice Payment'
    GROUP BY ALL
),
active AS (
    FROM by_store
    UNION ALL
    SELECT
        month, customer_id, 'All stores', any_value(area), any_value(source), sum(revenue), min(months_since_cohort),
        bool_or(subscriber)
    FROM by_store
    GROUP BY month, customer_id
),
services_by_store AS (
    SELECT
        date_trunc('month', earned_date)::DATE AS month, customer_id, store::VARCHAR AS store, service_type,
        sum(quantity) AS items, sum(total) AS item_revenue
    FROM items
    WHERE earned_date IS NOT NULL AND NOT b2b
    GROUP BY ALL
),
services AS (
    FROM services_by_store
    UNION ALL
    SELECT month, customer_id, 'All stores', service_type, sum(items), sum(item_revenue)
    FROM services_by_store
    GROUP BY month, customer_id, service_type
),
joined AS (
    SELECT
        a.month, a.customer_id, a.store, any_value(a.area) AS area, any_value(a.source) AS source,
        any_value(a.revenue) AS revenue, any_value(a.months_since_cohort) AS months_since_cohort,
        any_value(a.subscriber) AS subscriber,
        coalesce(sum(s.items), 0) AS items, coalesce(sum(s.item_revenue), 0) AS item_revenue,
        CASE WHEN count(s.service_type) = 0 THEN 0
            ELSE greatest(1, count(*) FILTER (s.item_revenue >= 0.1 * a.revenue)) END AS services
    FROM active AS a
    LEFT JOIN services AS s USING (month, customer_id, store)
    GROUP BY a.month, a.customer_id, a.store
)
SELECT
    month, customer_id, store::store_or_all AS store, area, source, months_since_cohort,
    revenue::DECIMAL(12, 2) AS revenue, items::DECIMAL(12, 2) AS items, item_revenue::DECIMAL(12, 2) AS item_revenue,
    services::SMALLINT AS services, subscriber, services >= 2 OR subscriber AS multi_service,
    coalesce(date_diff('month', lag(month) OVER (PARTITION BY customer_id, store ORDER BY month), month) >= 4, false)
        AS reactivated
FROM joined
ORDER BY month, store, customer_id;
