-- The closed lists of values. {names} come from the business file, in the order in which pages show them.
CREATE TYPE source AS ENUM ('CC_2025', 'Legacy');
CREATE TYPE kind AS ENUM ('Order', 'Subscription', 'Invoice Payment');
CREATE TYPE store AS ENUM ({stores});
CREATE TYPE store_or_all AS ENUM ('All stores', {stores});
CREATE TYPE area AS ENUM ({areas});
CREATE TYPE item_category AS ENUM ({item_categories});
CREATE TYPE service_type AS ENUM ({service_types});
CREATE TYPE payment_type AS ENUM ({payment_types});
CREATE TYPE grain AS ENUM ('day', 'week', 'month', 'quarter');
CREATE TYPE tone AS ENUM ('positive', 'neutral', 'negative');
