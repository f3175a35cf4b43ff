"""RFM, CLV and lifetimes: published results, golden values, and small cases worked by hand."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from analytics import customers, queries
from analytics.customers import BgNbd, GammaGamma
from analytics.enrich import enrich
from analytics.queries import CALL, QueryError, Snapshot
from etl import pipeline
from etl.business import load_business
from etl.warehouse import Warehouse
from tests.etl.making import exports

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
BUSINESS = load_business()


# Published results -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cdnow() -> tuple[np.ndarray, ...]:
    """x, tx, T (weeks) and mean value of the CDNOW customers."""
    rows = pl.read_csv(GOLDEN / "cdnow" / "cdnow_customers_summary_with_transactions.csv")
    return tuple(rows[name].to_numpy() for name in ("x", "t_x", "T", "zbar"))


def test_bg_nbd_is_as_published(cdnow):
    model, why = customers.fit_bg_nbd(*cdnow[:3])
    assert why == "" and model.customers == 2357
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=5e-4)
    assert model.log_likelihood == pytest.approx(-9582.4, abs=0.05)
    expected = customers.expected_purchases(model, 39, np.array([2]), np.array([30.43]), np.array([38.86]))
    assert expected == pytest.approx([1.226], abs=5e-4)


def test_gamma_gamma_is_as_published(cdnow):
    x, _, _, value = cdnow
    model, why = customers.fit_gamma_gamma(x, value)
    assert why == "" and model.customers == 946
    assert (model.p, model.q, model.v) == pytest.approx((6.25, 3.74, 15.44), abs=0.01)


def test_the_unit_of_time_changes_nothing_but_alpha(cdnow):
    x, tx, T, _ = cdnow
    weeks, days = customers.fit_bg_nbd(x, tx, T)[0], customers.fit_bg_nbd(x, tx * 7, T * 7)[0]
    assert (days.r, days.alpha / 7, days.a, days.b) == pytest.approx((weeks.r, weeks.alpha, weeks.a, weeks.b), rel=1e-4)
    assert days.log_likelihood == pytest.approx(weeks.log_likelihood - x.sum() * np.log(7), abs=1e-3)


# By hand ---------------------------------------------------------------------------------------------------------


def test_expected_purchases_by_hand():
    # x = 0, T = 0, r = b = 1, a = 2: 2F1(1, 1; 2; z) = -ln(1-z)/z, so E = 2 (1 - alpha/t ln(1 + t/alpha))
    model = BgNbd(r=1, alpha=1, a=2, b=1, log_likelihood=0, customers=0)
    assert customers.expected_purchases(model, 1, [0], [0], [0]) == pytest.approx([2 * (1 - np.log(2))])
    assert customers.expected_purchases(model, 3, [0], [0], [0]) == pytest.approx([2 * (1 - np.log(4) / 3)])
    assert customers.expected_purchases(model, 0, [0, 3], [0, 2], [5, 5]) == pytest.approx([0, 0])


def test_probability_alive_by_hand():
    # x = 1, tx = 1, T = 3: a / (b + x - 1) = 2, ((alpha + T) / (alpha + tx)) ** (r + x) = 4: 1 / (1 + 2 * 4)
    model = BgNbd(r=1, alpha=1, a=2, b=1, log_likelihood=0, customers=0)
    assert customers.probability_alive(model, [1, 1, 0], [1, 3, 0], [3, 3, 50]) == pytest.approx([1 / 9, 1 / 3, 1])


@pytest.mark.parametrize("a", [0.5, 1, 1 + 1e-7, 2])
def test_expected_purchases_agree_with_the_published_form_and_with_a_near_one(a):
    from scipy.special import hyp2f1

    model = BgNbd(r=0.5, alpha=4, a=a, b=2.5, log_likelihood=0, customers=0)
    x, tx, T, t = np.array([0, 1, 4, 9]), np.array([0, 3, 20, 39]), np.array([10, 20, 30, 40]), 12
    near = a if abs(a - 1) > 1e-3 else 1.0005  # the published form loses its digits near 1
    series = hyp2f1(model.r + x, model.b + x, near + model.b + x - 1, t / (model.alpha + T + t))
    rest = 1 - ((model.alpha + T) / (model.alpha + T + t)) ** (model.r + x) * series
    published = (near + model.b + x - 1) / (near - 1) * rest * customers.probability_alive(model, x, tx, T)
    assert customers.expected_purchases(model, t, x, tx, T) == pytest.approx(published, rel=2e-3 if near != a else 1e-9)


def test_hundreds_of_purchases_neither_overflow_nor_vanish():
    model = BgNbd(r=0.5, alpha=0.9, a=0.9, b=2.8, log_likelihood=0, customers=0)
    x, T = np.array([500.0, 5000.0]), np.array([100.0, 100.0])
    expected = customers.expected_purchases(model, 12, x, T, T)
    assert np.all(expected > 0.9 * 12 * x / T) and np.all(expected < 12 * (x + 0.5) / T)
    assert customers.probability_alive(model, x, T - 50, T) == pytest.approx([0, 0], abs=1e-12)


def test_expected_value_by_hand():
    model = GammaGamma(p=2, q=3, v=10, log_likelihood=0, customers=0)
    # p (v + x z) / (p x + q - 1): 2 (10 + 60) / 8; everyone's mean 20 / 2; a customer whose 3 orders were free 20 / 8
    assert customers.expected_value(model, [3, 0, 3, 3], [20, 99, 0, -5]) == pytest.approx([17.5, 10, 2.5, 2.5])


@pytest.mark.parametrize("start", [(0.3, -0.2, 0.4, 0.1), (-1.0, 1.5, -0.5, 0.9)])
def test_gradients_are_those_of_the_likelihoods(cdnow, start):
    x, tx, T, value = (values[:300].astype(float) for values in cdnow)
    paid = value > 0
    for loss, size in (
        (customers._bg_nbd_loss(x, tx, T), 4),
        (customers._gamma_gamma_loss(x[paid], value[paid] / value[paid].mean()), 3),
    ):
        at = np.array(start[:size])
        steps = np.eye(size) * 1e-6
        slopes = [(loss(at + step)[0] - loss(at - step)[0]) / 2e-6 for step in steps]
        assert loss(at)[1] == pytest.approx(slopes, rel=1e-5, abs=1e-7)


def drawn(n: int, seed: int) -> tuple[np.ndarray, ...]:
    """x, tx, T of `n` customers drawn from BG/NBD with r = 0.6, alpha = 4, a = 0.8, b = 2.5."""
    rng = np.random.default_rng(seed)
    T, rate, leaves = rng.uniform(10, 80, n), rng.gamma(0.6, 1 / 4, n), rng.beta(0.8, 2.5, n)
    x, tx, now, here = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n, bool)
    while here.any():
        now = now + rng.exponential(1 / rate)
        bought = here & (now < T)
        x, tx = x + bought, np.where(bought, now, tx)
        here = bought & (rng.random(n) > leaves)
    return x, tx, T


def test_a_fit_finds_the_parameters_that_drew_the_customers():
    model, _ = customers.fit_bg_nbd(*drawn(60_000, seed=1))
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.6, 4, 0.8, 2.5), rel=0.1)


# Data that tell too little ---------------------------------------------------------------------------------------

STEADY = np.linspace(1, 40, 60)


@pytest.mark.parametrize(
    ("x", "tx", "T", "says"),
    [
        ([], [], [], "only 0 customers came back"),
        ([0] * 500, [0] * 500, [30] * 500, "only 0 customers came back"),
        ([0] * 500, [0] * 500, [0] * 500, "only 0 customers came back"),  # one day of data
        ([2, 1, 4], [9, 3, 11], [12, 12, 12], "only 3 customers came back on another day; a model needs 30"),
        (np.round(STEADY), STEADY, STEADY, "do not show how customers leave"),  # everybody was here just now
    ],
)
def test_too_little_data_give_no_model_but_a_reason(x, tx, T, says):
    model, why = customers.fit_bg_nbd(np.array(x), np.array(tx), np.array(T))
    assert model is None and says in why


@pytest.mark.parametrize(("x", "tx", "T"), [([-1], [0], [1]), ([1], [3], [2]), ([1], [-1], [2]), ([1], [1], [np.nan])])
def test_impossible_histories_are_refused(x, tx, T):
    with pytest.raises(ValueError, match="tx not above T"):
        customers.fit_bg_nbd(np.array(x), np.array(tx), np.array(T))


@pytest.mark.parametrize(
    ("x", "value", "says"),
    [
        ([0] * 50, [10] * 50, "only 0 customers came back and paid"),
        ([2] * 50, [0] * 50, "only 0 customers came back and paid"),
        ([2] * 40, [-3] * 11 + [8] * 29, "only 29 customers came back and paid"),
        ([50] * 80, [10] * 40 + [1000] * 40, "no mean in the model"),
    ],
)
def test_too_few_values_give_no_model_but_a_reason(x, value, says):
    model, why = customers.fit_gamma_gamma(np.array(x), np.array(value))
    assert model is None and says in why


def test_values_that_are_all_equal_are_expected_again():
    model, _ = customers.fit_gamma_gamma(np.arange(1, 51), np.full(50, 20.0))
    assert customers.expected_value(model, np.arange(0, 51), np.full(51, 20.0)) == pytest.approx(20, rel=0.03)


def history(x, tx, T, value) -> pl.DataFrame:
    n = len(x)
    return pl.DataFrame(
        {
            "customer_id": [f"CC-{i:04d}" for i in range(n)], "lifespan_months": [2] * n, "revenue": [100.0] * n,
            "repeat_days": x, "recency_weeks": tx, "age_weeks": T, "mean_value": value,
        },
        schema_overrides={"repeat_days": pl.Int32, "recency_weeks": pl.Float64, "age_weeks": pl.Float64},
    )  # fmt: skip


def test_lifetimes_leave_out_who_is_not_modelled_and_do_not_guess_for_one_order_day(cdnow):
    x, tx, T, value = (list(values) for values in cdnow)
    rows, model = customers.lifetimes(history([*x, None], [*tx, None], [*T, None], [*value, None]))
    assert model["reason"] == "" and model["customers"] == 2357 and model["repeat_customers"] == 946
    assert rows["monthly_revenue"].unique().to_list() == [50.0]
    told = ("alive", "expected_purchases", "expected_value")
    assert rows.select(told).row(-1) == (None, None, None)
    one_day = rows.filter(pl.col("repeat_days") == 0)
    assert one_day["alive"].null_count() == one_day.height == 2357 - 946
    assert one_day["expected_purchases"].null_count() == 0
    first = rows.row(0, named=True)  # x = 2, tx = 30.43, T = 38.86, value 22.35
    assert first["alive"] == pytest.approx(0.7266, abs=1e-4)
    # p (v + x z) / (p x + q - 1) with the published parameters
    value = 6.25 * (15.44 + 2 * 22.35) / (6.25 * 2 + 3.74 - 1)
    assert first["expected_value"] / first["expected_purchases"] == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (history([], [], [], []), "No model of lifetimes: there are no orders yet."),
        (history([None], [None], [None], [None]), "No model of lifetimes: there are no orders yet."),
        (history([3] * 40, [5.0] * 40, [6.0] * 40, [9.0] * 40), "orders reach back 6 weeks; looking 12 weeks ahead"),
        (history([0] * 40, [0.0] * 40, [60.0] * 40, [9.0] * 40), "only 0 customers came back"),
    ],
)
def test_lifetimes_without_a_model_are_empty_and_say_why(rows, says):
    rows, model = customers.lifetimes(rows)
    assert says in model["reason"] and model["r"] is None and model["p"] is None
    assert set(customers.MODEL) | {"reason"} == set(model)
    for name in ("alive", "expected_purchases", "expected_value"):
        assert rows[name].dtype == pl.Float64 and rows[name].null_count() == rows.height


def test_free_orders_leave_purchases_but_no_value(cdnow):
    x, tx, T, _ = cdnow
    rows, model = customers.lifetimes(history(list(x), list(tx), list(T), [0.0] * len(x)))
    assert model["r"] is not None and model["p"] is None
    assert model["reason"].startswith("No model of values: only 0 customers came back and paid")
    assert rows["expected_purchases"].null_count() == 0 and rows["expected_value"].null_count() == rows.height


# RFM -------------------------------------------------------------------------------------------------------------


def scored(rows: list[tuple]) -> list[tuple]:
    """(customer, recency, frequency, monetary) -> (customer, r, f, m), ordered by customer."""
    rows = sorted(rows)
    values = (np.array([row[i] for row in rows], dtype=kind) for i, kind in ((1, int), (2, int), (3, float)))
    return [(row[0], *fifths) for row, *fifths in zip(rows, *customers.scores(*values), strict=True)]


def test_fifths_by_hand():
    # Five: the edges of the recency lie at 18, 26, 34 and 42, those of the ranks 1..5 at 1.8, 2.6, 3.4 and 4.2.
    five = [("A", 10, 1, 5.0), ("B", 20, 2, 4.0), ("C", 30, 3, 3.0), ("D", 40, 4, 2.0), ("E", 50, 5, 1.0)]
    assert scored(five) == [("A", 5, 1, 5), ("B", 4, 2, 4), ("C", 3, 3, 3), ("D", 2, 4, 2), ("E", 1, 5, 1)]
    # Six: every edge is one of the values, which falls into the lower fifth: recency 20 is with 10, rank 2 with rank 1.
    six = [*five, ("F", 60, 6, 0.5)]
    assert [row[1] for row in scored(six)] == [5, 5, 4, 3, 2, 1]
    assert [row[2] for row in scored(six)] == [1, 1, 2, 3, 4, 5]


def test_equal_values_rank_in_the_order_of_ids_and_share_a_recency():
    rows = [("E", 7, 1, 9.0), ("C", 7, 1, 9.0), ("A", 7, 1, 9.0), ("D", 7, 1, 9.0), ("B", 7, 1, 9.0)]
    # Recency: all edges are 7, so all lie in the lowest, the most recent fifth.
    assert scored(rows) == [("A", 5, 1, 1), ("B", 5, 2, 2), ("C", 5, 3, 3), ("D", 5, 4, 4), ("E", 5, 5, 5)]


def test_one_customer_and_none():
    assert scored([("A", 3, 4, 5.0)]) == [("A", 5, 1, 1)]
    assert scored([]) == []


def test_six_months_make_a_window_and_each_month_is_scored_apart():
    months = [date(2025, m, 1) for m in range(1, 9)]
    ends = pl.DataFrame({"month": months, "last_day": [date(2025, m, 28) for m in range(1, 9)]})
    active = pl.DataFrame(
        [
            (months[0], 0, date(2025, 1, 8), 2, 1000), (months[1], 1, date(2025, 2, 18), 1, 500),
            (months[5], 0, date(2025, 6, 18), 3, 100), (months[1], 2, date(2025, 2, 20), 9, 0),
        ],
        schema=("month", "place", "last_earned", "orders", "revenue"), orient="row",
    )  # fmt: skip
    got = customers.rfm(active, ends)
    assert got.drop("r", "f", "m", "segment").rows() == [
        (months[0], 0, 20, 2, 1000),
        (months[1], 0, 51, 2, 1000), (months[1], 1, 10, 1, 500),  # no revenue: place 2 is in none
        (months[2], 0, 79, 2, 1000), (months[2], 1, 38, 1, 500),
        (months[3], 0, 110, 2, 1000), (months[3], 1, 69, 1, 500),
        (months[4], 0, 140, 2, 1000), (months[4], 1, 99, 1, 500),
        (months[5], 0, 10, 5, 1100), (months[5], 1, 130, 1, 500),
        (months[6], 0, 40, 3, 100), (months[6], 1, 160, 1, 500),  # January is out of July's window
        (months[7], 0, 71, 3, 100),
    ]  # fmt: skip
    # Two customers: the edges lie between them, so that one is in the first fifth and one in the last.
    assert got.filter(month=months[5]).select("r", "f", "m", "segment").rows() == [
        (5, 5, 5, "Champions"), (1, 1, 1, "Other"),
    ]  # fmt: skip
    assert got.filter(month=months[6]).select("r", "f", "m").rows() == [(5, 5, 1), (1, 1, 5)]
    assert customers.rfm(active.clear(), ends).is_empty() and customers.rfm(active.clear(), ends.clear()).is_empty()


def test_every_pair_of_fifths_is_in_the_segment_that_the_rules_say():
    def rule(r: int, f: int) -> str:
        if r >= 4 and f >= 4:
            return "Champions"
        if r >= 3 and f >= 3:
            return "Loyal"
        if r >= 4 and f <= 2:
            return "Recent"
        if r <= 2 and f >= 3:
            return "At Risk"
        return "Frequent" if r >= 3 and f <= 2 else "Other"

    pairs = [(r, f) for r in range(1, 6) for f in range(1, 6)]
    got = customers.segments(np.array([r for r, _ in pairs]), np.array([f for _, f in pairs]))
    assert list(got) == [rule(r, f) for r, f in pairs]
    assert all(segment.definition and segment.action for segment in customers.SEGMENTS)


# Golden ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def golden(golden_build):
    return Warehouse(golden_build / "warehouse").connect()


def test_golden_rfm(golden):
    want = EXPECTED["rfm"]
    rows = queries.rfm(golden, want["period"])
    assert rows.height == want["customers"]
    assert rows["recency_days"].sum() == want["sum_recency_days"]
    assert rows["frequency"].sum() == want["sum_frequency"]
    assert round(rows["monetary"].sum(), 2) == want["sum_monetary"]
    by_id = {row[0]: list(row) for row in rows.select("customer_id", "recency_days", "frequency", "monetary").rows()}
    assert [by_id[customer] for customer, *_ in want["sample"]] == want["sample"]


def test_golden_segments(golden):
    rows = queries.segments(golden, EXPECTED["rfm"]["period"])
    assert rows["segment"].to_list() == [segment.name for segment in customers.SEGMENTS]
    got = {name: [n, round(revenue, 2)] for name, n, revenue, *_ in rows.rows()}
    assert got == EXPECTED["rfm"]["segments"]
    means = rows["customers"] * rows["frequency"]
    assert round(means.sum()) == EXPECTED["rfm"]["sum_frequency"]


def test_golden_clv(golden):
    assert queries.clv(golden) == pytest.approx(EXPECTED["clv"], abs=1e-6)


def test_golden_retention(golden):
    rows = {row.pop("cohort_month"): row for row in queries.cohorts(golden).to_dicts()}
    got = {month: {k: v for k, v in row.items() if v is not None} for month, row in rows.items()}
    assert got == EXPECTED["retention_counts"]


def test_golden_lifetimes_are_whole(golden):
    summary = queries.lifetime_summary(golden)
    model = summary["model"]
    assert model["reason"] == "" and model["fitted_to"] == EXPECTED["as_of"]
    days = golden.execute(
        "SELECT count(DISTINCT customer_id) FROM sales "
        "WHERE source = 'CC_2025' AND kind = 'Order' AND earned_date IS NOT NULL"
    ).fetchone()[0]
    assert summary["customers"] == model["customers"] == days
    assert summary["repeat_customers"] + summary["one_day"] == days
    rows = queries.lifetimes(golden)
    assert rows.height == golden.execute("SELECT count(*) FROM lifetimes").fetchone()[0]
    assert rows["expected_value"].sum() == pytest.approx(summary["expected_value"])
    assert rows["alive"].drop_nulls().is_between(0, 1).all() and rows["expected_purchases"].drop_nulls().min() >= 0
    assert rows.filter(pl.col("customer_id").str.starts_with("MW-"))["order_days"].null_count() > 1000
    assert queries.lifetimes(golden, limit=5).equals(rows.head(5))
    one = queries.lifetimes(golden, customer="CC-0534")
    assert one.rows() == rows.filter(customer_id="CC-0534").rows() and one.height == 1


def test_expected_value_by_segment_adds_up_and_is_that_of_its_customers(golden):
    by_segment = {row[0]: row[1:] for row in queries.expected_by_segment(golden).rows()}
    summary, rows = queries.lifetime_summary(golden), queries.lifetimes(golden).drop_nulls("expected_value")
    assert sum(n for n, _ in by_segment.values()) == summary["customers"]
    for name in [None, *(segment.name for segment in customers.SEGMENTS)]:
        mine = rows.filter(pl.col("segment").eq_missing(pl.lit(name)))
        assert by_segment[name] == (mine.height, pytest.approx(mine["expected_value"].sum()))


def test_twelve_weeks_ago_the_model_would_have_foretold_what_came(golden):
    """Fitted to the golden data as they stood 12 weeks earlier, it foretells the order days since within a fifth."""
    cut = date.fromisoformat(EXPECTED["as_of"]) - timedelta(weeks=12)
    rows = golden.execute(
        """WITH order_days AS (
            SELECT DISTINCT customer_id, earned_date AS day FROM sales
            WHERE source = 'CC_2025' AND kind = 'Order' AND earned_date IS NOT NULL
        )
        SELECT count(*) FILTER (day <= $cut) - 1 AS x,
            date_diff('day', min(day), max(day) FILTER (day <= $cut)) / 7 AS tx,
            date_diff('day', min(day), $cut::DATE) / 7 AS T, count(*) FILTER (day > $cut) AS came
        FROM order_days GROUP BY customer_id HAVING min(day) <= $cut ORDER BY customer_id""",
        {"cut": cut},
    ).pl()
    x, tx, T, came = (rows[name].to_numpy() for name in ("x", "tx", "T", "came"))
    model, _ = customers.fit_bg_nbd(x, tx, T)
    assert customers.expected_purchases(model, 12, x, tx, T).sum() == pytest.approx(came.sum(), rel=0.2)
    alive = customers.probability_alive(model, x, tx, T)
    assert (came[(x > 0) & (alive > 0.9)] > 0).mean() > 0.9 > 0.2 > (came[alive < 0.1] > 0).mean()


def test_the_golden_call_list_is_what_its_words_say(golden):
    rows = queries.call_list(golden)
    assert 0 < rows.height < 100
    as_of = date.fromisoformat(EXPECTED["as_of"])
    for row in rows.iter_rows(named=True):
        days = [
            day
            for (day,) in golden.execute(
                "SELECT DISTINCT earned_date FROM sales "
                "WHERE customer_id = ? AND kind = 'Order' AND earned_date IS NOT NULL ORDER BY 1",
                [row["customer_id"]],
            ).fetchall()
        ]
        assert row["customer_id"].startswith("CC-") and row["order_days"] == len(days) >= 4
        assert row["last_order"] == days[-1] and row["days_since"] == (as_of - days[-1]).days <= 120
        gap = (days[-1] - days[0]).days / (len(days) - 1)
        assert row["usual_gap"] == pytest.approx(gap) and (days[-1] - days[0]).days >= 28
        assert row["alive"] < 0.5 or row["days_since"] > max(3 * gap, 14)
    assert rows["monthly_revenue"].is_sorted(descending=True)


# From exports, by hand -------------------------------------------------------------------------------------------


@pytest.fixture
def enriched(tmp_path):
    """enriched(orders=..., ...) is a writable, enriched candidate over tiny exports of 2026-03-05."""
    opened = []

    def make(**rows):
        build = pipeline.build(exports(tmp_path / "exports", **rows), tmp_path / "data")
        candidate = Warehouse(tmp_path / "data" / "warehouse").open_candidate(build.build_id)
        con = candidate.__enter__()
        opened.append(candidate)
        enrich(con, BUSINESS)
        return con

    yield make
    for candidate in opened:
        candidate.__exit__(None, None, None)


def test_rfm_looks_at_six_months_of_what_was_earned(enriched):
    con = enriched(
        customers=[{"Customer ID": str(i), "Name": f"C{i}"} for i in range(1, 6)],
        orders=[
            {"Order ID": "1", "Customer ID": "1", "Placed": "2025-08-30", "Cleaned": "2025-08-31", "Total": "10"},
            {"Order ID": "2", "Customer ID": "1", "Placed": "2025-08-30", "Cleaned": "2025-09-01", "Total": "20"},
            {"Order ID": "3", "Customer ID": "1", "Cleaned": "2026-02-20", "Total": "40"},
            {"Order ID": "4", "Customer ID": "2", "Placed": "2025-08-30", "Cleaned": "2025-08-31", "Total": "99"},
            {"Order ID": "5", "Customer ID": "3", "Cleaned": "2026-02-10", "Total": "0"},  # no revenue
            {"Order ID": "6", "Customer ID": "4", "Placed": "2026-02-20", "Cleaned": "", "Total": "70"},  # not earned
        ],
        items=[{"Order ID": "1", "Customer ID": "1"}],
        invoices=[
            {"Invoice ID": "1", "Customer": "C1", "Payment Date": "2026-02-25"},  # an invoice payment: no activity
            {"Invoice ID": "2", "Customer": "C5", "Reference": "Subscription", "Payment Date": "2026-02-28",
             "Amount": "300"},
        ],
    )  # fmt: skip
    got = queries.rfm(con, "2026-02").select("customer_id", "recency_days", "frequency", "monetary").rows()
    assert got == [("CC-0005", 0, 0, 300.0), ("CC-0001", 8, 2, 60.0)]  # from September on; a subscription is no order
    assert queries.rfm(con).equals(queries.rfm(con, "2026-02"))  # the last closed month
    # The open month ends, so far, on the exports' date: 13 days after 20 February, 5 after the 28th.
    assert dict(queries.rfm(con, "2026-03").select("customer_id", "recency_days").rows()) == {
        "CC-0001": 13,
        "CC-0005": 5,
    }
    assert {r[0] for r in queries.rfm(con, "2026-01").rows()} == {"CC-0001", "CC-0002"}
    with pytest.raises(QueryError, match=r"no month '2026-04' in the data: it has 2025-08 to 2026-03"):
        queries.rfm(con, "2026-04")


def test_lifetimes_by_hand(enriched):
    con = enriched(
        customers=[{"Customer ID": str(i), "Name": f"C{i}", "Signed Up Date": "2025-12-20"} for i in (1, 2)],
        orders=[
            {"Order ID": "1", "Customer ID": "1", "Cleaned": "2026-01-12", "Total": "10"},
            {"Order ID": "2", "Customer ID": "1", "Cleaned": "2026-01-26", "Total": "20"},
            {"Order ID": "3", "Customer ID": "1", "Cleaned": "2026-01-26", "Total": "30"},  # the same day
            {"Order ID": "4", "Customer ID": "1", "Cleaned": "2026-02-19", "Total": "0"},  # free: a day all the same
            {"Order ID": "5", "Customer ID": "1", "Cleaned": ""},
        ],
        items=[{"Order ID": "1", "Customer ID": "1"}],
        invoices=[{"Customer": "C2", "Reference": "Subscription", "Payment Date": "2026-01-02", "Amount": "300"}],
        legacy=[{}],
    )
    rows = con.execute(
        """SELECT customer_id, lifespan_months, revenue::DOUBLE, monthly_revenue, first_earned, last_earned,
            repeat_days, recency_weeks, age_weeks, mean_value, alive, expected_purchases, expected_value
        FROM lifetimes ORDER BY customer_id"""
    ).fetchall()
    nothing = (None,) * 3
    assert rows == [
        # December to February: 3 months. 12 January to 19 February: 38 days, to 5 March: 52. (50 + 0) / 2 a repeat day.
        ("CC-0001", 3, 60.0, 20.0, date(2026, 1, 12), date(2026, 2, 19), 2, 38 / 7, 52 / 7, 25.0, *nothing),
        ("CC-0002", 2, 300.0, 150.0, date(2026, 1, 2), date(2026, 1, 2), None, None, None, None, *nothing),
        ("MW-0007", 1, 25.0, 25.0, date(2024, 5, 3), date(2024, 5, 3), None, None, None, None, *nothing),
    ]
    rate = (20 + 150 + 25) / 3
    assert queries.clv(con) == pytest.approx({"avg_monthly_rev": rate, "avg_lifespan": 2, "simple_clv": rate * 2})
    summary = queries.lifetime_summary(con)
    assert summary["model"]["reason"].startswith("No model of lifetimes: orders reach back 7 weeks")
    assert (summary["customers"], summary["repeat_customers"], summary["alive"]) == (1, 1, None)
    assert queries.call_list(con).is_empty()


def test_cohorts_are_blank_until_reached_and_zero_when_empty(enriched):
    con = enriched(
        customers=[
            {"Customer ID": "1", "Signed Up Date": "2025-11-03"},
            {"Customer ID": "2", "Name": "Old", "Signed Up Date": "2025-01-01"},
        ],
        orders=[
            {"Order ID": "1", "Customer ID": "1", "Placed": "2025-11-10", "Cleaned": "2025-11-12"},
            {"Order ID": "2", "Customer ID": "1", "Cleaned": "2026-01-12"},
            {"Order ID": "3", "Customer ID": "1", "Cleaned": "2026-03-02"},  # the open month: not over yet
            {"Order ID": "4", "Customer ID": "2", "Cleaned": "2026-01-12"},  # of a cohort from before the data: no row
        ],
    )
    assert queries.cohorts(con).rows() == [
        ("2025-11", 1, 0, 1, 0, None, None, None),
        ("2025-12", 0, 0, 0, None, None, None, None),
        ("2026-01", 0, 0, None, None, None, None, None),
        ("2026-02", 0, None, None, None, None, None, None),
    ]


def put(con, customer: str, **what) -> None:
    """A row of lifetimes: by default a regular who always came once a week and was last here 70 days ago."""
    row = {
        "customer_id": customer, "lifespan_months": 6, "revenue": 900, "monthly_revenue": 150.0,
        "first_earned": date(2025, 6, 1), "last_earned": date(2025, 12, 25), "repeat_days": 10, "recency_weeks": 10.0,
        "age_weeks": 20.0, "mean_value": 30.0, "alive": 0.1, "expected_purchases": 1.0, "expected_value": 30.0,
    } | what  # fmt: skip
    con.execute(f"INSERT INTO lifetimes VALUES ({', '.join('?' * len(row))})", list(row.values()))


def test_who_is_called_and_who_is_not(enriched):
    ids = range(1, 13)
    con = enriched(
        customers=[
            {"Customer ID": str(i), "Name": f"C{i}", "Phone": f"+9715{i}", "Store ID": "38516" if i == 2 else "36319"}
            for i in ids
        ],
        orders=[
            {"Order ID": "1", "Customer ID": "1", "Cleaned": "2026-02-12"},
            {"Order ID": "2", "Customer ID": "9", "Placed": "2026-03-04", "Cleaned": ""},  # in work now
            {"Order ID": "3", "Customer ID": "2", "Placed": "2025-11-02", "Cleaned": ""},  # an old order left lying
        ],
        items=[{"Order ID": "1", "Customer ID": "1"}],
        invoices=[{"Customer": "C1"}],
    )
    con.execute("DELETE FROM lifetimes")
    put(con, "CC-0001", monthly_revenue=200.0)
    put(con, "CC-0002", revenue=5000)
    put(con, "CC-0003", alive=0.6)  # overdue by the rhythm alone: 70 days, a usual gap of 7
    put(con, "CC-0004", alive=0.6, repeat_days=3, recency_weeks=10.0)  # 70 days, a usual gap of 23.3: not overdue by 3
    put(con, "CC-0005", alive=0.6, age_weeks=11.9, repeat_days=70)  # 13 days: 13 times the usual gap, but too soon
    put(con, "CC-0006", age_weeks=10 + 121 / 7)  # 121 days ago: gone, not going
    put(con, "CC-0007", age_weeks=10 + 120 / 7)
    put(con, "CC-0008", repeat_days=2)  # three order days: no rhythm yet
    put(con, "CC-0009")  # has an order in work
    put(con, "CC-0010", recency_weeks=3.9)  # all within four weeks
    put(con, "CC-0011", monthly_revenue=10.0)
    put(con, "CC-0012", repeat_days=0, recency_weeks=0.0, alive=None)
    for i in range(13, 26):  # regulars of little worth
        con.execute("INSERT INTO customers SELECT * REPLACE (? AS customer_id) FROM customers LIMIT 1", [f"CC-{i:04d}"])
        put(con, f"CC-{i:04d}", monthly_revenue=5.0)

    def called(**how) -> list[str]:
        return queries.call_list(con, **how)["customer_id"].to_list()

    # 22 regulars (all but 8, 10 and 12): the 15th of them, two thirds of the way up, brings 150 a month: enough.
    assert called() == ["CC-0001", "CC-0002", "CC-0003", "CC-0007"]
    assert called(store="Hielo") == called(min_value=1000) == ["CC-0002"]
    assert called(segment="Recent") == ["CC-0001"]  # the only customer with a row in the last six months
    assert called(segment="Loyal") == called(store="Hielo", segment="Recent") == []
    row = queries.call_list(con).row(1, named=True)
    assert (row["name"], row["phone"], row["store"], row["segment"]) == ("C2", "+97152", "Hielo", None)
    assert (row["order_days"], row["last_order"], row["days_since"], row["usual_gap"]) == (
        11,
        date(2025, 12, 25),
        70,
        7,
    )
    for how in ({"store": "Nowhere"}, {"segment": "Gold"}):
        with pytest.raises(QueryError, match="There is no"):
            queries.call_list(con, **how)


def test_the_words_of_the_call_list_have_its_numbers():
    assert "{" not in queries.CALL_LIST and f"{CALL['alive']:.0%}".replace("%", " %") in queries.CALL_LIST
    for name in ("order_days", "weeks", "gaps", "quiet_days", "last_days"):
        assert f" {CALL[name]} " in queries.CALL_LIST


# Who may see it --------------------------------------------------------------------------------------------------

WHOLE = {
    "rfm": {},
    "segments": {},
    "clv": {},
    "cohorts": {},
    "lifetimes": {"customer": "CC-0534"},
    "call_list": {"store": "Hielo"},
    "expected_by_segment": {},
    "lifetime_summary": {},
}


@pytest.mark.parametrize("name", WHOLE)
def test_nobody_restricted_to_a_store_sees_the_whole_business(golden, name):
    everybody = Snapshot("a-build", golden, {})
    assert len(getattr(everybody, name)(**WHOLE[name]))
    with pytest.raises(QueryError, match="whole business"):
        getattr(everybody.restricted("Hielo"), name)(**WHOLE[name])
