"""Figures: equal to the golden values, and to small cases worked by hand from docs/metrics.md."""

import json
from pathlib import Path

import pytest

from analytics import metrics, queries
from analytics.metrics import METRICS
from analytics.queries import Filters, query
from tests.etl.making import Built, exports

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    return Built(GOLDEN / "exports", tmp_path_factory.mktemp("golden")).con


def differs(name: str, got, want) -> bool:
    """Counts and money exactly, ratios to 1e-6."""
    if got is None or want is None:
        return got is not want
    if METRICS[name].unit == "count":
        return got != want
    if METRICS[name].unit == "money" and METRICS[name].mart != metrics.FORMULA:
        return round(got * 100) != round(want * 100) if name != "spend_threshold" else abs(got - want) > 1e-6
    return abs(got - want) > 1e-6


@pytest.mark.parametrize(("grain", "section"), [("month", "months"), ("week", "weeks")])
def test_every_golden_period_and_name(golden, grain, section):
    names = list(next(iter(EXPECTED[section].values())))
    got = {row["period"]: row for row in query(golden, names, grain).iter_rows(named=True)}
    wrong = [
        (period, name, got[period][name], want)
        for period, values in EXPECTED[section].items()
        for name, want in values.items()
        if differs(name, got[period][name], want)
    ]
    assert wrong == []


@pytest.mark.parametrize("split", ["area", "item_category", "service_type"])
def test_every_golden_split(golden, split):
    names = list(next(iter(next(iter(EXPECTED["month_dimensions"].values()))[split].values())))
    rows = query(golden, names, "month", split=split)
    got = {(row["period"], row[split]): row for row in rows.iter_rows(named=True)}
    wrong = [
        (period, value, name)
        for period, splits in EXPECTED["month_dimensions"].items()
        for value, values in splits[split].items()
        for name, want in values.items()
        if differs(name, got[period, value][name], want)
    ]
    assert wrong == []


ADDITIVE = [m.name for m in METRICS.values() if m.additive]


@pytest.mark.parametrize("grain", ["month", "week"])
def test_stores_add_up_to_the_whole(golden, grain):
    names = [n for n in ADDITIVE if grain in METRICS[n].grains]
    whole = query(golden, names, grain, include_open=True)
    parts = query(golden, names, grain, split="store", include_open=True).drop("store")
    parts = parts.group_by("period", maintain_order=True).sum()
    assert parts["period"].equals(whole["period"])
    for name in names:
        # Where rows of the old system leave the whole without a value, a store without such rows has one all the same.
        together = [None if w is None else round(p, 2) for p, w in zip(parts[name], whole[name], strict=True)]
        assert together == whole[name].round(2).to_list(), name
    nothing = {name for name in names if not whole[name].sum()}
    assert nothing <= {"receivable_collections", "other_collections"}, "adding up nothing proves nothing"


@pytest.mark.parametrize("grain", ["month", "week"])
def test_a_split_by_store_is_the_filter_by_store(golden, grain):
    names = [m.name for m in METRICS.values() if grain in m.grains and "store" in m.splits]
    split = query(golden, names, grain, split="store")
    for store in ("Moon Walk", "Hielo"):
        alone = query(golden, names, grain, filters=Filters(store=store))
        assert split.filter(split["store"] == store).drop("store").equals(alone), store


def test_a_split_by_area_is_the_filter_by_area(golden):
    names = [m.name for m in METRICS.values() if "month" in m.grains and "area" in m.splits]
    split = query(golden, names, "month", split="area")
    for area in ("Inside Abu Dhabi", "Outer Abu Dhabi", "Other"):
        alone = query(golden, names, "month", filters=Filters(area=area))
        assert split.filter(split["area"] == area).drop("area").equals(alone), area


def test_weeks_and_days_hold_the_same_revenue_as_quarters(golden):
    def total(grain):
        return round(query(golden, ["revenue"], grain, include_open=True)["revenue"].sum(), 2)

    assert total("day") == total("week") == total("month") == total("quarter")


@pytest.fixture
def answer(tmp_path):
    """Builds tiny exports and answers one period's metrics: answer(["revenue"], "2026-01", orders=[...])."""
    made = []

    def ask(names, period="2026-01", grain="month", split=None, filters=None, **rows):
        if rows or not made:
            made.append(Built(exports(tmp_path / f"e{len(made)}", **rows), tmp_path / f"d{len(made)}"))
        frame = query(made[-1].con, names, grain, since=period, until=period, split=split, filters=filters or Filters())
        if split:
            return {row[split]: tuple(row[n] for n in names) for row in frame.iter_rows(named=True)}
        return tuple(frame.select(names).row(0))

    return ask


def test_customers_subscribers_and_clients_by_hand(answer):
    got = answer(
        ["customers", "subscribers", "clients", "revenue", "client_revenue", "subscriber_revenue", "collections"],
        customers=[{"Customer ID": str(i), "Name": f"C{i}"} for i in range(1, 5)],
        orders=[
            {"Order ID": "1", "Customer ID": "1", "Total": "40"},
            {"Order ID": "2", "Customer ID": "1", "Total": "10", "Paid": "0"},
            {"Order ID": "3", "Customer ID": "2", "Total": "30"},  # under C2's subscription
            {"Order ID": "4", "Customer ID": "3", "Cleaned": ""},  # not earned yet
        ],
        invoices=[
            {
                "Invoice ID": "1",
                "Customer": "C2",
                "Reference": "Subscription",
                "Amount": "200",
                "Payment Date": "2026-01-05",
            },
            {"Invoice ID": "2", "Customer": "C4", "Reference": "INV-2", "Amount": "15"},  # no activity, but money
        ],
    )
    assert got == (2, 1, 1, 280.0, 50.0, 230.0, 40 + 30 + 200 + 15)


def test_stops_and_deliveries_by_hand(answer):
    names = [
        "deliveries",
        "pickups",
        "stops",
        "items_delivered",
        "delivery_revenue",
        "revenue_per_delivery",
        "delivery_rate",
        "items_per_delivery",
        "delivery_revenue_share",
    ]
    got = answer(
        names,
        orders=[
            {"Order ID": "1", "Delivery": "1", "Pickup Date": "2026-01-09", "Pieces": "5", "Total": "60"},
            {"Order ID": "2", "Delivery": "1", "Pieces": "3", "Total": "20"},
            {"Order ID": "3", "Pickup Date": "2026-01-09", "Pieces": "9", "Total": "20"},
        ],
    )
    assert got == (2, 2, 4, 8, 80.0, 40.0, 0.5, 4.0, 0.8)


def test_days_are_calendar_days_apart_over_orders_that_have_both(answer):
    names = [
        "processing_days",
        "time_in_store_days",
        "days_to_payment",
        "payment_dated_orders",
        "earned_rows",
        "payment_date_coverage",
    ]
    got = answer(
        names,
        orders=[
            {"Order ID": "1", "Placed": "2026-01-10 23:50:00", "Cleaned": "2026-01-12", "Collected": "2026-01-12"},
            {
                "Order ID": "2",
                "Placed": "2026-01-10",
                "Cleaned": "2026-01-11 00:10:00",
                "Collected": "2026-01-14",
                "Payment Date": "2026-01-15",
            },
            {"Order ID": "3", "Placed": "", "Cleaned": "2026-01-11", "Payment Date": "2026-01-15"},
        ],
    )
    assert got == (1.5, 1.5, 5.0, 1, 4, 0.25)  # three orders and an invoice payment were earned


def test_collections_by_method_and_digital_share_by_hand(answer):
    names = [
        "cash_collections",
        "terminal_collections",
        "stripe_collections",
        "receivable_collections",
        "other_collections",
        "digital_share",
        "collection_rate",
        "collection_gap",
    ]
    types = ["Cash", "Card", "Stripe", "Invoice", "Cheque"]
    got = answer(
        names,
        orders=[{"Order ID": str(i), "Total": "10", "Payment Type": t} for i, t in enumerate(types, 1)],
        invoices=[{"Payment Method": "on account (INVOICE)", "Amount": "6"}],
    )
    assert got == (10, 10, 10, 6, 10, pytest.approx(2 / 3), 46 / 50, 4.0)


def test_months_with_rows_of_the_old_system_have_no_ratios_to_items_and_no_collection_rate(answer):
    names = [
        "revenue",
        "items",
        "revenue_per_item",
        "items_per_customer",
        "collection_rate",
        "collection_gap",
        "volume_threshold",
        "top20_volume_revenue",
        "revenue_per_customer",
        "express_share",
    ]
    legacy = [{"Placed": "2026-01-03", "Cleaned": "2026-01-04"}]
    assert answer(names, legacy=legacy) == (65.0, 2, None, None, None, None, None, None, 32.5, 0.0)
    assert answer(["revenue_per_item", "collection_rate"], filters=Filters(source="CC_2025")) == (20.0, 55 / 40)


def test_nothing_sold_is_zero_and_no_ratio(answer):
    names = [
        "customers",
        "revenue",
        "items",
        "revenue_per_item",
        "delivery_rate",
        "m1_customer_retention",
        "spend_threshold",
    ]
    assert answer(
        names, "2025-12", orders=[{}, {"Order ID": "2", "Placed": "2025-11-01", "Cleaned": "2025-11-02"}]
    ) == (
        0,
        0.0,
        0,
        None,
        None,
        0.0,
        None,
    )


def test_new_existing_and_m_by_hand(answer):
    names = [
        "new_customers",
        "existing_customers",
        "new_revenue",
        "existing_revenue",
        "new_items",
        "existing_items",
        "m0_customers",
        "m1_customers",
        "m1_revenue",
        "m2_customers",
        "m1_customer_retention",
        "m1_revenue_retention",
        "m1_item_retention",
    ]
    got = answer(
        names,
        customers=[
            {"Customer ID": str(i), "Name": f"C{i}", "Signed Up Date": s}
            for i, s in ((1, "2026-01-02"), (2, "2025-12-15"), (3, "2025-11-20"), (4, "2025-12-01"))
        ],
        orders=[
            {"Order ID": "1", "Customer ID": "1", "Total": "10"},
            {"Order ID": "2", "Customer ID": "2", "Total": "20"},
            {"Order ID": "3", "Customer ID": "3", "Total": "40"},
            {"Order ID": "4", "Customer ID": "4", "Total": "80", "Placed": "2025-12-02", "Cleaned": "2025-12-03"},
            {"Order ID": "5", "Customer ID": "2", "Total": "20", "Placed": "2025-12-16", "Cleaned": "2025-12-17"},
        ],
        items=[
            {"Order ID": "1", "Quantity": "1"},
            {"Order ID": "2", "Quantity": "2"},
            {"Order ID": "4", "Quantity": "8"},
            {"Order ID": "999", "Quantity": "5", "Customer ID": "1"},  # an orphan is nobody's first month
        ],
        invoices=[{"Customer": "C1", "Payment Date": "2025-12-20"}],
    )
    assert got == (1, 2, 10.0, 60.0, 1, 7, 1, 1, 20.0, 1, 0.5, 0.2, 0.25)


def test_top_twenty_per_cent_by_hand(answer):
    # Revenue 10, 20, 30, 40, 100: the 80th percentile lies a fifth of the way from 40 to 100, at 52.
    totals = ["10", "20", "30", "40", "100"]
    got = answer(
        ["spend_threshold", "top20_spend_revenue", "top20_spend_share"],
        customers=[{"Customer ID": str(i), "Name": f"C{i}"} for i in range(1, 6)],
        orders=[{"Order ID": str(i), "Customer ID": str(i), "Total": t} for i, t in enumerate(totals, 1)],
        items=[{"Order ID": "1", "Customer ID": "1"}],
        invoices=[{"Customer": "C1"}],
    )
    assert got == (pytest.approx(52), 100.0, 0.5)


def test_a_weight_keeps_its_fraction(answer):
    assert answer(["items"], items=[{"Quantity": "2.5", "Section": "Laundry by the kg"}, {"Quantity": "1"}]) == (3.5,)


def test_the_open_period_is_there_only_when_asked_for(golden):
    assert query(golden, ["revenue"], "month")["period"][-1] == "2026-02"
    assert query(golden, ["revenue"], "month", include_open=True)["period"][-1] == "2026-03"
    assert query(golden, ["revenue"], "month", until="2026-03")["period"][-1] == "2026-03"
    assert query(golden, ["revenue"], "month", since="2027-01").is_empty()


@pytest.mark.parametrize(
    ("names", "grain", "how", "said"),
    [
        (["revenue"], "year", {}, "no grain"),
        (["m0_customers"], "week", {}, "not counted by week"),
        (["revenue"], "month", {"split": "item_category"}, "cannot be split by item_category"),
        (["revenue"], "month", {"split": "colour"}, "no split"),
        (["revenue"], "month", {"since": "2026-W01"}, "no month"),
        (["revenue"], "month", {"since": "'; DROP TABLE sales"}, "no period"),
        (
            ["revenue"],
            "month",
            {"filters": Filters(store="Nowhere")},
            "no store 'Nowhere': choose one of Moon Walk, Hielo",
        ),
    ],
)
def test_a_question_that_does_not_fit_is_answered_in_plain_words(golden, names, grain, how, said):
    with pytest.raises(queries.QueryError, match=said):
        query(golden, names, grain, **how)


def test_an_unknown_metric_lists_the_nearest(golden):
    with pytest.raises(metrics.UnknownMetric, match="Did you mean revenue"):
        query(golden, ["revenu"], "month")


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda m: m.name)
def test_every_metric_is_described_and_answers_in_each_grain_and_split(golden, metric):
    assert metric.label and metric.description.endswith(".")
    assert metric.unit in ("count", "money", "share", "days", "ratio")
    assert metric.better in ("up", "down", None)
    for grain in metric.grains:
        for split in (None, *metric.splits):
            frame = query(golden, [metric.name], grain, split=split, since=None)
            assert frame.height > 0 and frame.columns[-1] == metric.name
