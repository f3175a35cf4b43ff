-- Grain: one customer of either system with an earned row other than an invoice payment, over all time and stores.
-- Key: customer_id. Written before publishing, by analytics/enrich.py.
-- Meaning: lifespan_months: months since the cohort month at the last activity, plus 1; monthly_revenue: revenue a
-- month of it (simple CLV); first_earned, last_earned: the first and last earned day, subscription payments included.
-- For CleanCloud customers with an earned order also what BG/NBD and Gamma-Gamma say on the exports' date:
-- repeat_days: days with an earned order after the first one; recency_weeks: from the first to the last such day;
-- age_weeks: from the first to the exports' date; mean_value: money a repeat day (with none: of the only day);
-- alive: the probability that the customer still comes (NULL with one order day: the model cannot tell);
-- expected_purchases (days with an order) and expected_value (their money) in the 12 weeks after the exports' date.
-- NULL where there is no model: lifetime_model in meta says why.
CREATE TABLE lifetimes (
    customer_id VARCHAR NOT NULL, lifespan_months INTEGER NOT NULL, revenue DECIMAL(12, 2) NOT NULL,
    monthly_revenue DOUBLE NOT NULL, first_earned DATE NOT NULL, last_earned DATE NOT NULL,
    repeat_days INTEGER, recency_weeks DOUBLE, age_weeks DOUBLE, mean_value DOUBLE,
    alive DOUBLE, expected_purchases DOUBLE, expected_value DOUBLE
);
