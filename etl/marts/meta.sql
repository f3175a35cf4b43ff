-- Grain: one fact about the build. Key: key.
-- Meaning: as_of is the exports' date ("today" for every figure), data_to the newest day an order was placed or earned,
-- payment_terms_days how many days after it was placed an order is due.
CREATE TABLE meta AS
SELECT 'as_of' AS key, strftime(getvariable('as_of'), '%Y-%m-%d') AS value
UNION ALL SELECT 'build_id', getvariable('build_id')
UNION ALL SELECT 'currency', getvariable('currency')
UNION ALL SELECT 'payment_terms_days', getvariable('payment_terms_days')::VARCHAR
UNION ALL SELECT 'data_to', (
    SELECT strftime(coalesce(greatest(max(placed), max(earned_date)), getvariable('as_of')), '%Y-%m-%d') FROM sales
);
