-- Grain: one cohort month and number of months since it, of the business as a whole.
-- Key: cohort_month, months_since_cohort.
-- Meaning: customers: distinct customers of the cohort who were active so many months later (0: in the cohort month).
-- A month in which none of them was active has no row. What fell in the open month is in it too.
CREATE TABLE cohorts AS
SELECT
    (month - to_months(months_since_cohort))::DATE AS cohort_month, months_since_cohort,
    -- one row a customer and month: counting rows counts customers
    count(*)::INTEGER AS customers
FROM customer_months
WHERE store = 'All stores'
GROUP BY ALL
ORDER BY ALL;
