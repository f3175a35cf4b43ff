"""Every tab of every dashboard as its reader gets it: the golden values, and the same numbers wherever they stand.

Cards, a chart's table, its figure and the dash callback say one number.
"""

import json
import re
from collections import Counter
from datetime import date
from html import unescape

import pytest

from analytics import access, queries
from analytics.customers import SEGMENTS
from analytics.dashboards import DASHBOARDS, blocks, frame
from analytics.dashboards.frame import Block, Chart
from analytics.formats import DASH, with_unit
from analytics.metrics import METRICS
from tests.analytics import reading
from tests.analytics.tabs import EXPECTED, STATES, TABS, asked, cards_of, drawn, golden, reads, state_of
from tests.analytics.test_access import CALL

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]
# What the golden file has no value of: it is asked of the metrics, which tests/analytics/test_metrics.py holds to cases
# worked by hand.
NOT_GOLDEN = {
    "collection_gap", "delivery_revenue", "digital_share", "earned_rows", "existing_items", "express_revenue_share",
    "items_per_delivery", "multi_service_revenue_share", "multi_service_share", "new_customer_share",
    "other_collections", "payment_date_coverage", "payment_dated_orders", "reactivated_items", "reactivated_revenue",
    "receivable_collections",
} | {f"m{i}_{what}_per_customer" for i in range(4) for what in ("items", "revenue")}  # fmt: skip


# --- What is declared ----------------------------------------------------------------------------------------------

# The figures of the definitions that each page has to show, as a card, a part of one or a chart of its own.
SHOWS = {
    "executive": "customers subscribers clients items client_items subscriber_items revenue client_revenue "
    "subscriber_revenue deliveries pickups stops revenue_per_item",
    "customers": "new_customers existing_customers new_revenue existing_revenue new_items existing_items "
    "reactivated_customers reactivated_items reactivated_revenue customers clients subscribers multi_service_customers "
    "multi_service_share multi_service_revenue_share top20_spend_revenue top20_spend_share spend_threshold "
    "top20_volume_revenue top20_volume_share volume_threshold m0_customers m0_revenue m0_items m1_customers m1_revenue "
    "m1_items m2_customers m2_revenue m2_items m3_customers m3_revenue m3_items m0_items_per_customer "
    "m0_revenue_per_customer m1_items_per_customer m1_revenue_per_customer m2_items_per_customer "
    "m2_revenue_per_customer m3_items_per_customer m3_revenue_per_customer m1_customer_retention m1_item_retention "
    "m1_revenue_retention items_per_customer client_items_per_customer subscriber_items_per_customer "
    "revenue_per_customer revenue_per_client revenue_per_subscriber",
    "operations": "stops deliveries pickups revenue_per_delivery delivery_rate items_delivered items_per_delivery "
    "delivery_revenue_share customers revenue items item_revenue express_share express_revenue_share processing_days "
    "time_in_store_days",
    "finance": "collections stripe_collections terminal_collections cash_collections receivable_collections "
    "other_collections collection_rate collection_gap digital_share days_to_payment payment_date_coverage "
    "multi_service_share",
}  # fmt: skip
# Blocks that carry the figures that no period has.
CARRIES = {
    "customers": {"heat", "segments", "clv", "lifetimes", "call_list", "value_by_segment"},
    "finance": {"pareto", "top_customers", "spread", "owed", "aging", "debtors", "oldest"},
}
NEVER = {"legacy_rows", "revenue_per_stop"}


def named(page: str) -> set[str]:
    return {metric for tab in DASHBOARDS[page].tabs for metric in tab.metrics}


@pytest.mark.parametrize("page", SHOWS)
def test_every_figure_of_the_definitions_is_on_its_page(page):
    assert set(SHOWS[page].split()) - named(page) == set()
    assert CARRIES.get(page, set()) <= {
        b.name for tab in DASHBOARDS[page].tabs for b in (*tab.facts, *tab.charts, *tab.tables) if isinstance(b, Block)
    }


@pytest.mark.parametrize("page", DASHBOARDS)
def test_every_name_that_a_dashboard_uses_exists(page):
    for tab in DASHBOARDS[page].tabs:
        for part in (*tab.cards, *(c for c in tab.charts if isinstance(c, Chart))):
            assert set(part.metrics) <= set(METRICS), (tab.slug, part)
            assert not part.split or part.split in METRICS[part.metric].splits, (tab.slug, part)
            assert not NEVER & set(part.metrics)
        assert {b.name for b in tab.facts} <= set(blocks.CARDS)
        assert {b.name for b in tab.tables} <= set(blocks.LISTS)
        assert {c.name for c in tab.charts if isinstance(c, Block)} <= set(blocks.BLOCKS)
        assert {c.note for c in tab.cards if c.note} | set(tab.says) <= set(blocks.SENTENCES)
        assert set(tab.takes) <= {*frame.DIMENSIONS, frame.LEAST, "store"}


def test_no_two_charts_of_a_tab_share_a_name():
    for page, tab in TABS:
        ids = Counter(c.id for c in DASHBOARDS[page].tab(tab).charts if isinstance(c, Chart))
        assert [i for i, n in ids.items() if n > 1] == [], (page, tab)


# --- Cards ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "tab", "grain", "period"), STATES)
def test_every_card_and_part_shows_its_value(get, build, page, tab, grain, period):
    seen = reading.cards(get(page, tab=tab, grain=grain, period=period))
    declared = DASHBOARDS[page].tab(tab)
    assert set(seen) >= {c.metric for c in declared.cards}
    for card, metric, label in cards_of(declared):
        value, known = golden(metric, grain, period)
        assert known or metric in NOT_GOLDEN or period not in ("2026-02", "2025-03", "2024-01"), metric
        value = value if known else asked(build, metric, grain, period)
        wanted = reads(value, metric) if label is None else reads(value, metric, "")
        if card.drop_empty and label is not None and label not in seen[card.metric].parts:
            assert not value, (metric, "left out with a value")
            continue
        shown = seen[card.metric].value if label is None else seen[card.metric].parts[label]
        assert shown == wanted, (metric, seen[card.metric].said)
        if label is None and grain not in METRICS[metric].grains:
            assert "Counted by month alone." in seen[card.metric].said


@pytest.mark.parametrize(("page", "tab", "grain", "period"), STATES)
def test_every_part_of_a_split_shows_its_value(get, build, page, tab, grain, period):
    declared = DASHBOARDS[page].tab(tab)
    seen = reading.cards(get(page, tab=tab, grain=grain, period=period)) if any(c.split for c in declared.cards) else {}
    for card in (c for c in declared.cards if c.split):
        for value in build.values(card.split):
            number = asked(build, card.metric, grain, period, **{card.split: value})
            by_golden = EXPECTED["month_dimensions"].get(period, {}).get(card.split, {}).get(value, {})
            assert by_golden.get(card.metric, number) == pytest.approx(number, abs=1e-6)
            if number:
                assert seen[card.metric].parts[value] == reads(number, card.metric, "")


@pytest.mark.parametrize(("page", "tab"), TABS)
def test_the_open_period_is_marked_and_nothing_is_compared_with_it(get, page, tab):
    for grain, period in (("month", "2026-03"), ("week", "2026-W10")):
        declared = DASHBOARDS[page].tab(tab)
        if (declared.monthly and grain == "week") or declared.undated or declared.insights == "all":
            continue
        html = get(page, tab=tab, grain=grain, period=period)
        assert f"so far: not compared with whole {grain}s" in html
        for card in declared.cards:
            said = reading.cards(html)[card.metric].said
            assert " so far " in said and not re.search(r"[▲▼]", said), said


@pytest.mark.parametrize(("page", "tab"), TABS)
def test_the_first_month_has_nothing_before_it(get, page, tab):
    if DASHBOARDS[page].tab(tab).undated:
        return
    html = get(page, tab=tab, period="2024-01")
    for metric, card in reading.cards(html).items():
        assert not re.search(r"[▲▼●]", card.said), (metric, card.said)
    assert "January 2024" in html


# --- Facts that no period has --------------------------------------------------------------------------------------


def test_simple_customer_value_is_the_golden_one(get):
    card = reading.cards(get("customers", tab="segmentation"))["simple_clv"]
    assert card.value == "Dhs 273"  # 273.319035
    assert card.parts == {"Revenue a month": "Dhs 70.97", "Months as a customer": "3.85"}


def test_the_six_segments_are_the_golden_ones(get):
    seen = reading.tables(get("customers", tab="segmentation", period="2026-02"))["segments"]
    assert seen[0][:3] == ["Segment", "Customers", "Revenue in 6 months"]
    for segment in SEGMENTS:
        customers, revenue = EXPECTED["rfm"]["segments"][segment.name]
        row = next(r for r in seen if r[0] == segment.name)
        assert row[1:3] == [str(customers), f"Dhs {revenue:,.0f}"]
        assert row[-2:] == [segment.definition, segment.action]
    assert len(seen) == 7


@pytest.mark.parametrize("month", ["2026-02", "2025-09"])
def test_the_map_of_cohorts_is_the_golden_one(get, month):
    seen = {row[0]: row for row in reading.tables(get("customers", tab="cohort", period=month))["cohorts"][1:]}
    wanted = {m: counts for m, counts in EXPECTED["retention_counts"].items() if m <= month}
    assert len(seen) == len(wanted)
    for cohort, counts in wanted.items():
        row = seen[f"{date.fromisoformat(f'{cohort}-01'):%b %Y}"]
        shown = [counts.get(str(i)) for i in range(7)]
        assert row[1:8] == [DASH if n is None else str(n) for n in shown]
        assert row[8:] == [DASH if n is None else f"{n / shown[0] * 100:.1f} %" for n in shown[1:]]


@pytest.mark.parametrize("month", ["2026-02", "2025-03"])
def test_concentration_is_the_golden_one(get, build, month):
    html = get("finance", tab="concentration", period=month)
    want = EXPECTED["pareto"][month]
    seen, top = reading.cards(html), reading.tables(html)["top-customers"]
    assert seen["customers_for_80"].parts["All active"] == str(want["customers"])
    assert seen["top_customers_share"].parts == {
        "Their revenue": reads(sum(want["top20"]), "revenue"), "All revenue": reads(want["revenue"], "revenue")
    }  # fmt: skip
    assert [row[2] for row in top[1:]] == [reads(value, "revenue") for value in want["top20"]]
    assert [int(row[1]) for row in top[1:]] == list(range(1, 21))
    share = sum(want["top20"]) / want["revenue"]
    assert seen["top_customers_share"].value == with_unit(share, "share", "")
    assert top[-1][-1] == with_unit(share, "share", "")
    curve = reading.tables(html)["pareto"]
    assert curve[-1] == ["100.0 %", str(want["customers"]), "100.0 %"]


def test_what_is_owed_is_the_golden_one(get):
    html, want = get("finance", tab="outstanding"), EXPECTED["outstanding"]
    card = reading.cards(html)["outstanding"]
    assert card.value == reads(want["amount"], "revenue")
    assert card.parts == {"Orders": str(want["orders"]), "Customers": str(want["customers"])}
    seen = reading.tables(html)
    assert [row[:3] for row in seen["aging"][1:]] == [
        [name[:1].upper() + name[1:] if row[0] != name else name, str(orders), reads(amount, "revenue")]
        for row, (name, (orders, amount)) in zip(seen["aging"][1:], want["aging"].items(), strict=True)
    ]
    assert len(seen["debtors"]) == len(seen["oldest"]) == 21
    assert "As of 5 March 2026" in html


def leads(html) -> dict[str, str]:
    """Words -> address of what leads to the worklist."""
    found = re.findall(r'<a href="(/operations/receivables/[^"]*)">([^<]+)</a>', html)
    return {words: unescape(address) for address, words in found}


def test_what_is_owed_leads_to_the_worklist_where_it_is_worked_on(get):
    worklist = "/operations/receivables/"
    wanted = {
        "Whom to call": worklist,
        "On the worklist": f"{worklist}?group=business",
        "Work on them: the worklist": f"{worklist}?sort=-balance",
        "Work on them: the worklist by order": f"{worklist}?view=orders&sort=oldest",
    }
    assert leads(get("finance", tab="outstanding")).items() >= wanted.items()
    of_store = leads(get("finance", tab="outstanding", store="hielo", area="inside-abu-dhabi"))
    assert of_store["On the worklist"] == f"{worklist}?store=hielo&area=Inside+Abu+Dhabi&group=business"
    assert of_store["Whom to call"] == f"{worklist}?store=hielo&area=Inside+Abu+Dhabi"


def test_who_opens_what_is_owed_opens_the_worklist_too():
    """The links are the same for all readers of the page."""
    assert all("receivables" in pages for pages in access.ROLES.values() if "finance" in pages)


def test_the_lifetime_cards_and_the_call_list_are_the_builds(get, build):
    html = get("customers", tab="lifetime")
    seen, found = reading.cards(html), build.lifetime_summary()
    assert seen["alive"].value == with_unit(found["alive"], "count", "")
    assert seen["expected_value"].value == reads(found["expected_value"], "revenue")
    assert len(reading.tables(html)["call-list"]) - 1 == build.call_list().height > 10


# --- Charts and their tables ---------------------------------------------------------------------------------------


def same(found, wanted) -> bool:
    """The same numbers, no value where there is none."""
    found, wanted = ([None if v is None else float(v) for v in values] for values in (found, wanted))
    return found == [None if v is None else pytest.approx(v, abs=1e-9) for v in wanted]


def same_rounded(value, expected) -> bool:
    """The golden file keeps six places."""
    return value is expected if None in (value, expected) else abs(float(value) - float(expected)) < 1e-6


def check_series(build, state, chart: Chart, shown: dict) -> None:
    """A chart of several series: its table is what is asked one by one, its figure is its table."""
    table, figure = shown["table"], drawn(shown["figure"])
    columns = {c.label: c.key for c in table.columns[1:]}
    keys = [row["#url"].split("period=")[1].split("&")[0] for row in table.rows]
    sums = [sum(float(row[k] or 0) for k in columns.values()) for row in table.rows]
    assert list(map(unescape, figure)) == list(columns)
    for label, key in columns.items():
        metric = chart.metric or next(m for m, said in chart.series if said == label)
        by = {chart.split: label} if chart.split else {}
        values = [row[key] for row in table.rows]
        for period, value in zip(keys, values, strict=True):
            known = state.figures.kept(metric, state.figures.period(period))
            wanted = asked(build, metric, state.grain.name, period, **by) if known else None
            assert same([value], [wanted]), (chart.id, label, period)
            expected, is_golden = golden(metric, state.grain.name, period)
            assert not is_golden or by or not known or same_rounded(value, expected), (metric, period)
        lines = figure[next(name for name in figure if unescape(name) == label)]
        if chart.form == "shares":
            values = [None if v is None or not s else float(v) / s for v, s in zip(values, sums, strict=True)]
        assert same(lines, values), (chart.id, label)


def check_one(build, state, chart: Chart, shown: dict) -> None:
    """A chart of one metric by period, with the year before or its moving average."""
    table, figure = shown["table"], drawn(shown["figure"])
    keys = [row["#url"].split("period=")[1].split("&")[0] for row in table.rows]
    values = [row["value"] for row in table.rows]
    for period, value in zip(keys, values, strict=True):
        assert same([value], [asked(build, chart.metric, state.grain.name, period)]), (chart.id, period)
        expected, is_golden = golden(chart.metric, state.grain.name, period)
        assert not is_golden or same_rounded(value, expected), (chart.id, period)
    assert same(figure["value"], values)
    if chart.form == "bars":
        before = [f"{int(k[:4]) - 1}{k[4:]}" for k in keys]
        for year_before, row in zip(before, table.rows, strict=True):
            known = state.figures.kept(chart.metric, state.figures.period(year_before))
            wanted = asked(build, chart.metric, state.grain.name, year_before) if known else None
            assert same([row["extra"]], [wanted]), (chart.id, year_before)
        assert same(figure.get("last year", [None] * len(keys)), [row["extra"] for row in table.rows])


def check_ranked(build, state, chart: Chart, shown: dict) -> None:
    table, figure = shown["table"], drawn(shown["figure"])
    (bars,) = figure.values()
    values = {row["name"]: row["value"] for row in table.rows}
    wanted = {
        v: asked(build, chart.metric, state.grain.name, state.period.key, **{chart.split: v})
        for v in build.values(chart.split)
    }
    assert values == {name: number for name, number in wanted.items() if number}
    assert list(values.values()) == sorted(values.values(), reverse=True)
    assert same(bars, values.values())


CHECKS = {"bars": check_one, "ahead": check_one, "ranked": check_ranked}


@pytest.mark.parametrize(("page", "tab", "grain", "period"), STATES)
def test_every_chart_of_metrics_draws_what_is_asked(build, page, tab, grain, period):
    state = state_of(build, page, tab=tab, grain=grain, period=period)
    shown = {c["id"]: c for c in blocks.charts(state)}
    declared = [c for c in state.tab.charts if isinstance(c, Chart)]
    assert {c.id for c in declared} <= set(shown)
    for chart in declared:
        CHECKS.get(chart.form, check_series)(build, state, chart, shown[chart.id])


def test_the_blocks_draw_what_their_tables_say(build):
    cohort = {c["id"]: c for c in blocks.charts(state_of(build, "customers", tab="cohort"))}["cohorts"]
    texts = iter(cohort["figure"]["data"][1]["text"])
    for row in cohort["table"].rows:
        for i in range(7):
            if row[f"m{i}"] is not None:
                assert next(texts) == f"{row[f'm{i}'] * 100:.0f}"
    assert next(texts, None) is None
    segments = {c["id"]: c for c in blocks.charts(state_of(build, "customers", tab="segmentation"))}["segments-chart"]
    customers, revenue = drawn(segments["figure"]).values()
    assert customers == [EXPECTED["rfm"]["segments"][s.name][0] for s in SEGMENTS]
    assert revenue == [EXPECTED["rfm"]["segments"][s.name][1] for s in SEGMENTS]
    (aging,) = blocks.charts(state_of(build, "finance", tab="outstanding"))
    assert list(drawn(aging["figure"]).values()) == [[owed for _, owed in EXPECTED["outstanding"]["aging"].values()]]
    (curve,) = blocks.charts(state_of(build, "finance", tab="concentration", period="2026-02"))
    want = EXPECTED["pareto"]["2026-02"]
    line = curve["figure"]["data"][0]
    at = dict(zip([round(x * want["customers"]) for x in line["x"]], line["y"], strict=True))
    for rank in (k for k in (1, 10, 20) if k in at):
        assert at[rank] == pytest.approx(sum(want["top20"][:rank]) / want["revenue"], abs=1e-6)
    assert (line["x"][0], line["y"][0], line["x"][-1], line["y"][-1]) == (0, 0, 1, pytest.approx(1))


def paint(client, page: str, query: str) -> dict:
    call = json.loads(CALL)
    call["inputs"][0]["value"] = query
    address = f"/dash/app/{page}/_dash-update-component"
    response = client.post(address, json.dumps(call), content_type="application/json")
    assert response.status_code == 200
    return response.json()["response"]


@pytest.mark.parametrize(("page", "tab"), TABS)
@pytest.mark.parametrize("who", ["layla", "hala"])
def test_the_callback_paints_the_charts_that_the_page_waits_for(as_, golden_data, who, page, tab):
    client, query = as_(who), f"?tab={tab}&store=hielo"
    html = client.get(f"/{page}/{query}").content.decode()
    waits = re.findall(r'<section class="card chart[^>]*>\s*<h2>([^<]*)</h2>.*?data-table="([\w-]+)"', html, re.S)
    answer = paint(client, page, query)
    painted = [card["props"]["children"] for card in answer["painted"]["data"]]
    assert [(c[0]["props"]["children"], c[-1]["props"]["data-chart"]) for c in painted] == [
        (unescape(title), name) for title, name in waits
    ]
    assert answer["failure"]["children"] == []
    build = queries.current(only="Hielo" if who == "hala" else None)
    for card, shown in zip(painted, blocks.charts(state_of(build, page, tab=tab, store="hielo")), strict=True):
        assert card[2]["props"]["children"]["props"]["figure"] == json.loads(json.dumps(shown["figure"]))
