-- Grain: what consumers owed on the exports' date of one published run: to a store, and ('All stores') to the business.
-- Key: as_of, store. Written before publishing: this build's own rows, and those that earlier runs left on record.
-- Meaning: total: the open orders' balances. not_yet_due: of these, not past due (placed + the business's payment terms).
CREATE TABLE receivables (
    as_of DATE NOT NULL, store store_or_all NOT NULL, total DECIMAL(12, 2) NOT NULL, not_yet_due DECIMAL(12, 2) NOT NULL,
    PRIMARY KEY (as_of, store)
);
