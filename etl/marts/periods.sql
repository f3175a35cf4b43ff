-- Grain: one calendar period of a grain (day, ISO week, month, quarter), from the first earned day to the exports' date.
-- Key: grain, period: 2026-02-14, 2026-W07, 2026-02, 2026-Q1.
-- Meaning: closed: over before the exports' date, so that all of it is in the exports. label is for pages.
CREATE TABLE periods AS
WITH bounds AS (
    SELECT least(min(first_day), getvariable('as_of')) AS first_day FROM (
        SELECT min(earned_date) AS first_day FROM sales UNION ALL SELECT min(earned_date) FROM items WHERE NOT b2b
    )
),
days AS (
    SELECT unnest(generate_series(first_day, getvariable('as_of'), INTERVAL 1 DAY))::DATE AS day FROM bounds
),
every AS (
    SELECT DISTINCT grain, date_trunc(grain, day)::DATE AS first_day
    FROM days, (VALUES ('day'), ('week'), ('month'), ('quarter')) AS grains (grain)
),
named AS (
    SELECT grain, first_day, CASE grain
            WHEN 'day' THEN first_day
            WHEN 'week' THEN first_day + 6
            WHEN 'month' THEN (first_day + INTERVAL 1 MONTH)::DATE - 1
            ELSE (first_day + INTERVAL 3 MONTH)::DATE - 1 END AS last_day
    FROM every
)
SELECT
    grain::grain AS grain,
    CASE grain
        WHEN 'day' THEN strftime(first_day, '%Y-%m-%d')
        WHEN 'week' THEN strftime(first_day, '%G-W%V')
        WHEN 'month' THEN strftime(first_day, '%Y-%m')
        ELSE format('{}-Q{}', year(first_day), quarter(first_day)) END AS period,
    first_day, last_day, last_day < getvariable('as_of') AS closed,
    CASE grain
        WHEN 'day' THEN strftime(first_day, '%-d %b %Y')
        WHEN 'week' THEN format('Week {}, {}', weekofyear(first_day), isoyear(first_day))
        WHEN 'month' THEN strftime(first_day, '%b %Y')
        ELSE format('Q{} {}', quarter(first_day), year(first_day)) END AS label
FROM named
ORDER BY grain, first_day;
