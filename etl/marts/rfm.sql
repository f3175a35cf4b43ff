-- Grain: one customer and calendar month, the open one too, of the business as a whole. Key: month, customer_id.
-- Written before publishing, by analytics/enrich.py.
-- Meaning: customers with revenue in the 6 calendar months that end with this one. recency_days: from the last earned
-- day to the month's end (the open month: to the exports' date); frequency: orders; monetary: revenue, both of those 6
-- months. r, f, m: the fifth it lies in among the month's customers; 5 = most recent, most orders, most revenue.
CREATE TABLE rfm (
    month DATE NOT NULL, customer_id VARCHAR NOT NULL, recency_days INTEGER NOT NULL, frequency INTEGER NOT NULL,
    monetary DECIMAL(12, 2) NOT NULL, r SMALLINT NOT NULL, f SMALLINT NOT NULL, m SMALLINT NOT NULL,
    segment VARCHAR NOT NULL
);
