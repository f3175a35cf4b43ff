-- Grain: one stretch of days in which a customer was subscribed; overlapping and touching payments' periods are merged.
-- Key: customer_id, valid_from. Ends included.
-- Meaning: a subscription payment is valid from its payment date through the business's days later (30 here).
CREATE TABLE subscriptions AS
WITH payments AS (
    SELECT c.customer_id, c.customer_key, i.payment_date AS valid_from, i.payment_date + getvariable('subscription_days') AS valid_to
    FROM stg_invoices AS i
    JOIN customers AS c ON c.customer_key = i.customer_no
    WHERE i.subscription AND i.payment_date IS NOT NULL
),
starts AS (
    SELECT *, coalesce(valid_from > 1 + max(valid_to) OVER (
        PARTITION BY customer_id ORDER BY valid_from ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), true) AS starts
    FROM payments
),
stretches AS (
    SELECT *, sum(starts::INT) OVER (PARTITION BY customer_id ORDER BY valid_from ROWS UNBOUNDED PRECEDING) AS stretch
    FROM starts
)
SELECT customer_id, customer_key, min(valid_from) AS valid_from, max(valid_to) AS valid_to, count(*)::INT AS payments
FROM stretches
GROUP BY customer_id, customer_key, stretch
ORDER BY customer_id, valid_from;
