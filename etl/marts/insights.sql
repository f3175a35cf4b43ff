-- Grain: one rule's word on one closed period, for the business as a whole (store 'All stores') and for each store.
-- Key: rule, period, store. Written before publishing, by the rules of the analytics room.
-- Meaning: headline and detail are sentences for a manager; link leads to the page that explains it.
CREATE TABLE insights (
    grain grain NOT NULL, period VARCHAR NOT NULL, store store_or_all NOT NULL, rule VARCHAR NOT NULL,
    category VARCHAR NOT NULL, headline VARCHAR NOT NULL, detail VARCHAR NOT NULL, tone tone NOT NULL,
    link VARCHAR NOT NULL,
    PRIMARY KEY (rule, period, store)
);
