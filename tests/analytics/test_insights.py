"""Insights: every rule on the golden data, each limit of tone from both sides, and what silences a rule."""

import json
import re
from datetime import date
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from analytics import access, insights, queries
from analytics.dashboards import DASHBOARDS
from analytics.insights import BEFORE, MEAN4, RECEIVABLES, RULES, YEAR, Facts, Span, evaluate, judge
from analytics.metrics import METRICS, parts_of
from analytics.queries import WHOLE, Filters, receivables
from etl.business import load_business
from tests.etl.making import Built, exports

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
BUSINESS = load_business()
BY_NAME = {rule.name: rule for rule in RULES}


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    return Built(GOLDEN / "exports", tmp_path_factory.mktemp("golden")).con


@pytest.fixture(scope="module")
def said(golden):
    """What the rules say on the golden data: (store, rule) -> row."""
    return {(row["store"], row["rule"]): row for row in evaluate(golden, BUSINESS)}


# The golden data -------------------------------------------------------------------------------------------------


def test_every_golden_rule_comes_out(said):
    assert sorted(rule for store, rule in said if store == WHOLE) == sorted(EXPECTED["insights"])


def test_every_rule_is_one_of_the_golden_ones():
    assert [len([r for r in RULES if r.grain == grain]) for grain in ("month", "week")] == [20, 8]
    assert sorted(BY_NAME) == sorted(EXPECTED["insights"])


@pytest.mark.parametrize(
    ("rule", "tone", "headline", "detail"),
    [
        # expected.json: revenue 25,580.20 after 25,199.97 (x 1.0151), a year before 34,017.11 (x 0.752);
        # 25,580.20 / 28 = 913.58 a day against 25,199.97 / 31 = 812.90, 12 % more
        ("REV_MOM", "neutral", "Revenue 1.5 % above January",
         "Dhs 25,580 against Dhs 25,200. February had 28 days, January 31: a day brought Dhs 914 against Dhs 813."),
        ("REV_YOY", "negative", "Revenue 25 % below February 2025", "Dhs 25,580 against Dhs 34,017."),
        ("CUST_MOM", "neutral", "Customers 0.4 % below January", "253 active customers against 254."),
        ("NEW_CUST", "positive", "26.1 % of customers were new",
         "66 of 253 active customers were in their first month. In January: 31.9 % (−5.8 pp)."),
        ("M1_RETENTION", "positive", "65.4 % of new customers came back",
         "53 of the 81 who were new the month before came again. In January: 62.7 % (+2.8 pp)."),
        ("SUB_SHARE", "negative", "Subscribers brought 2.7 % of revenue",
         "Dhs 693 of Dhs 25,580, subscriptions and the orders under them. In January: 4.2 % (−1.5 pp)."),
        # 9,188.15 of the categories' 6,481.75 + 2,943.27 + 9,188.15 + 761.41 + 4,323.00
        ("TOP_CATEGORY", "neutral", "Most item revenue comes from Professional Wear",
         "Dhs 9,188 of Dhs 23,698 item revenue, 38.8 %. In January: 38.5 % (+0.3 pp)."),
        # 217 of 451 stops; January 241 of 457
        ("GEO_SHIFT", "neutral", "Inside Abu Dhabi: 48.1 % of stops, −4.6 pp", "217 of 451 stops; 52.7 % in January."),
        ("REV_PER_DELIVERY", "neutral", "Revenue per delivery 0.6 % above January", "Dhs 48.85 against Dhs 48.56."),
        ("OUTSTANDING_PCT", "negative", "Unpaid orders come to 78.6 % of a month's revenue",
         "Unpaid on 5 Mar 2026: Dhs 20,102; orders: 735, customers: 404. Dhs 8,802 of it is older than 90 days; "
         "Dhs 25,580 was earned in February 2026."),
        ("WRev_WOW", "positive", "Revenue 34 % above the week before", "Dhs 8,082 against Dhs 6,016."),
        # (8,898.52 + 5,042.44 + 5,848.64 + 6,016.47) / 4 = 6,451.52
        ("WRev_TREND", "positive", "Revenue 25 % above the mean of the 4 weeks before",
         "Dhs 8,082 against Dhs 6,452."),
        ("WStops_WOW", "positive", "Stops 6.4 % above the week before", "133 against 125."),
    ],
)  # fmt: skip
def test_golden_sentences(said, rule, tone, headline, detail):
    row = said[WHOLE, rule]
    assert (row["tone"], row["headline"], row["detail"]) == (tone, headline, detail)


def test_the_days_to_payment_tell_their_coverage(said):
    assert re.search(r"Based on \d+ of \d+ earned rows \([\d.]+ %\)\.", said[WHOLE, "AVG_DAYS_PAYMENT"]["detail"])


def test_they_speak_of_the_last_closed_month_and_week(said):
    assert {(row["grain"], row["period"]) for row in said.values()} == {("month", "2026-02"), ("week", "2026-W09")}


def test_a_single_store_hears_all_but_what_is_of_the_whole(said):
    of_the_whole = {"M1_RETENTION", "CONCENTRATION"}
    for store in BUSINESS.store_names:
        assert {rule for s, rule in said if s == store} == set(EXPECTED["insights"]) - of_the_whole


def test_the_stores_are_asked_as_their_filter_answers(golden, said):
    for store in BUSINESS.store_names:
        got = queries.query(golden, ["customers"], "month", since="2026-01", filters=Filters(store=store))["customers"]
        assert said[store, "CUST_MOM"]["detail"] == f"{got[1]} active customers against {got[0]}."


def test_the_whole_is_what_its_own_question_answers(golden):
    facts = insights.read(golden, BUSINESS)["month"][0]
    names = list(facts.values)
    row = queries.query(golden, names, "month", since="2026-02").row(0, named=True)
    assert {n: facts.values[n]["2026-02"] for n in names} == {n: pytest.approx(row[n]) for n in names}
    by = queries.query(golden, ["stops"], "month", split="area", since="2026-02")
    assert facts.splits["area", "stops"]["2026-02"] == dict(by.select("area", "stops").iter_rows())


def test_twice_is_the_same(golden, said):
    assert evaluate(golden, BUSINESS) == list(said.values())


def test_nothing_unreadable_is_said(said):
    for row in said.values():
        text = f"{row['headline']} {row['detail']}"
        assert not re.search(r"[-−]0(\.0)? %|−0(\.0)? pp|[{}]|None|nan|inf|  |–", text), text
        assert not re.search(r"\s-\d", text), text
        assert row["detail"].endswith("."), text


def test_categories_lie_together(said):
    places = {(row["grain"], row["store"]) for row in said.values()}
    for place in places:
        categories = [row["category"] for row in said.values() if (row["grain"], row["store"]) == place]
        assert len(set(categories)) == len([c for i, c in enumerate(categories) if i == 0 or categories[i - 1] != c])


def test_links_lead_to_a_tab_that_is_there(said):
    for row in said.values():
        link = urlsplit(row["link"])
        page = link.path.strip("/")
        params = {k: v[0] for k, v in parse_qs(link.query).items()}
        assert page in access.PAGES and DASHBOARDS[page].tab(params["tab"])
        assert (params["grain"], params["period"]) == (row["grain"], row["period"])
        slug = {WHOLE: "all"} | {store.name: store.slug for store in BUSINESS.stores}
        assert params["store"] == slug[row["store"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_tab_that_a_rule_leads_to_shows_its_figure(rule):
    tab = DASHBOARDS[rule.page].tab(rule.tab)
    if rule.metric in METRICS:
        assert rule.metric in tab.metrics
        assert not rule.split or rule.metric in tab.splits[rule.split]
    else:
        assert "owed" in {block.name for block in tab.facts}
    assert not (tab.monthly and rule.grain == "week")


def test_two_splits_at_once_answer_as_the_filter_does(golden):
    both = queries.query(golden, ["stops", "collection_rate"], "month", split=("store", "area"), since="2025-03")
    assert both.columns == ["period", "store", "area", "stops", "collection_rate"]
    for store in BUSINESS.store_names:
        how = {"split": "area", "since": "2025-03", "filters": Filters(store=store)}
        alone = queries.query(golden, ["stops", "collection_rate"], "month", **how)
        assert both.filter(both["store"] == store).drop("store").equals(alone)
    with pytest.raises(queries.QueryError, match="no split 'colour'"):
        queries.query(golden, ["stops"], "month", split=("store", "colour"))


# Receivables -----------------------------------------------------------------------------------------------------


def test_receivables_are_the_golden_ones(golden):
    assert receivables(golden) == EXPECTED["outstanding"]


def test_receivables_of_the_stores_add_up(golden):
    parts = [receivables(golden, Filters(store=s)) for s in BUSINESS.store_names]
    assert sum(p["orders"] for p in parts) == 735
    assert round(sum(p["amount"] for p in parts), 2) == 20101.94
    for bucket, (orders, amount) in EXPECTED["outstanding"]["aging"].items():
        assert sum(p["aging"][bucket][0] for p in parts) == orders
        assert round(sum(p["aging"][bucket][1] for p in parts), 2) == amount


def test_receivables_by_hand(tmp_path):
    # As of 5 March 2026: 30 days before is 3 February, 31 is 2 February, 61 is 3 January, 91 is 4 December.
    unpaid = {"Paid": "0", "Cleaned": "2026-03-01"}
    placed = ["2026-02-03", "2026-02-02", "2026-01-04", "2026-01-03", "2025-12-05", "2025-12-04"]
    orders = [
        *({**unpaid, "Order ID": str(1000 + i), "Placed": day, "Total": str(2**i)} for i, day in enumerate(placed)),
        {**unpaid, "Order ID": "1100", "Total": "500", "Cleaned": ""},  # not earned yet
        {**unpaid, "Order ID": "1101", "Total": "0"},
        {"Order ID": "1102", "Total": "900", "Paid": "1"},
        {**unpaid, "Order ID": "1103", "Total": "700", "Customer ID": "2"},  # a business account
    ]
    customers = [{}, {"Customer ID": "2", "Name": "Grand Hotel", "Business ID": "77"}]
    con = Built(exports(tmp_path / "x", customers=customers, orders=orders, legacy=[{}]), tmp_path / "d").con
    assert receivables(con) == {
        "as_of": "2026-03-05", "orders": 6, "amount": 63.0, "customers": 1,
        "aging": {"0-30 days": [1, 1.0], "31-60 days": [2, 6.0], "61-90 days": [2, 24.0], "over 90 days": [1, 32.0]},
    }  # fmt: skip
    assert receivables(con, Filters(store="Hielo"))["orders"] == 0
    assert receivables(con, Filters(store="Hielo"))["aging"]["over 90 days"] == [0, 0.0]
    with pytest.raises(queries.QueryError, match="no store"):
        receivables(con, Filters(store="Nowhere"))


# Tones, by hand --------------------------------------------------------------------------------------------------

JAN, FEB = Span("2026-01", date(2026, 1, 1), date(2026, 1, 31)), Span("2026-02", date(2026, 2, 1), date(2026, 2, 28))
FEB_2025 = Span("2025-02", date(2025, 2, 1), date(2025, 2, 28))
WEEKS = [
    Span(f"2026-W{n:02}", date.fromisocalendar(2026, n, 1), date.fromisocalendar(2026, n, 7)) for n in (9, 8, 7, 6, 5)
]


def facts(rule, now, then=None, store=WHOLE, owed=0, old=(), spans=None, splits=None) -> Facts:
    """Facts of two periods: name -> value now, and then; every other name the rule reads is 1."""
    if rule.grain == "week":
        period, bases = WEEKS[0], {BEFORE: (WEEKS[1],), MEAN4: tuple(WEEKS[1:])}
    else:
        period, bases = spans[0] if spans else FEB, {BEFORE: (spans[1] if spans else JAN,), YEAR: (FEB_2025,)}
    found = Facts(store, "all", period, bases if then is not None else {}, date(2026, 3, 5))
    found.values = {n: {period.key: 1} | ({} if n in now else {}) for n in (*rule.metrics, "legacy_rows")}
    for span in {s for those in found.bases.values() for s in those}:
        for name in found.values:
            found.values[name][span.key] = then.get(name, 1)
    for name, value in now.items():
        found.values.setdefault(name, {})[period.key] = value
    old_keys = {"now": period.key, "then": bases[rule.base][0].key}
    found.values["legacy_rows"] = {old_keys[when]: 3 for when in old}
    found.receivables = dict.fromkeys(RECEIVABLES, owed)
    found.splits = splits or {}
    return found


def share(rule, value, base=None):
    """now and then of a rule about a share or a plain figure."""
    if rule.over:
        return {rule.metric: value, rule.over: 1}, None if base is None else {rule.metric: base, rule.over: 1}
    return {rule.metric: value}, None if base is None else {rule.metric: base}


CHANGES = {
    "REV_MOM": 2, "REV_YOY": 2, "CUST_MOM": 2, "REACTIVATIONS": 10, "REV_PER_DELIVERY": 2,
    "WRev_WOW": 5, "WRev_TREND": 5, "WCust_WOW": 5, "WItems_WOW": 5, "WStops_WOW": 5,
}  # fmt: skip
POINTS = ("SUB_SHARE", "MULTI_SERVICE", "EXPRESS_SHARE", "DIGITAL_PAYMENT")
# rule -> values and their tones, on both sides of each limit
LEVELS = {
    "NEW_CUST": ((0.10, "positive"), (0.0999, "neutral"), (0.01, "neutral")),
    "M1_RETENTION": ((0.50, "positive"), (0.4999, "neutral"), (0.30, "neutral"), (0.2999, "negative")),
    "CONCENTRATION": ((0.50, "positive"), (0.5001, "neutral"), (0.60, "neutral"), (0.6001, "negative")),
    "PROCESSING_TIME": ((0.5, "neutral"), (3.0, "neutral"), (3.01, "negative")),
    "COLLECTION_RATE": ((0.90, "positive"), (0.8999, "neutral"), (0.80, "neutral"), (0.7999, "negative")),
    "AVG_DAYS_PAYMENT": ((3.0, "positive"), (3.01, "neutral"), (7.0, "neutral"), (7.01, "negative")),
    "WProcessing": ((0.5, "neutral"), (3.0, "neutral"), (3.01, "negative")),
    "WCollection_Rate": ((0.80, "positive"), (0.7999, "neutral"), (0.60, "neutral"), (0.5999, "negative")),
}
FACTS_ONLY = ("TOP_CATEGORY", "TOP_SERVICE", "DELIVERY_RATE", "GEO_SHIFT", "WDelivery_Rate")


def test_every_rule_has_its_limits_tested():
    assert sorted([*CHANGES, *POINTS, *LEVELS, *FACTS_ONLY, "OUTSTANDING_PCT"]) == sorted(BY_NAME)
    assert {r.name for r in RULES if r.looks_at is None} == set(FACTS_ONLY)


@pytest.mark.parametrize(("name", "limit"), CHANGES.items())
def test_a_change_must_go_beyond_its_limit(name, limit):
    rule = BY_NAME[name]

    def tone(per_cent):
        return judge(rule, facts(rule, {rule.metric: 100 + per_cent}, {rule.metric: 100}), "Dhs")["tone"]

    assert (tone(limit), tone(-limit)) == ("neutral", "neutral")
    assert (tone(limit + 0.01), tone(-limit - 0.01)) == ("positive", "negative")


@pytest.mark.parametrize("name", POINTS)
def test_a_share_must_move_beyond_one_point(name):
    rule = BY_NAME[name]

    def tone(value):
        return judge(rule, facts(rule, *share(rule, value, 0.30)), "Dhs")["tone"]

    assert (tone(0.31), tone(0.29)) == ("neutral", "neutral")
    assert (tone(0.3101), tone(0.2899)) == ("positive", "negative")


@pytest.mark.parametrize(("name", "value", "tone"), [(n, v, t) for n, those in LEVELS.items() for v, t in those])
def test_a_figure_is_good_or_bad_by_itself(name, value, tone):
    rule = BY_NAME[name]
    assert judge(rule, facts(rule, *share(rule, value, value)), "Dhs")["tone"] == tone


@pytest.mark.parametrize(
    ("owed", "tone"), [(0, "positive"), (25, "positive"), (25.1, "neutral"), (50, "neutral"), (50.1, "negative")]
)
def test_what_is_owed_is_judged_by_a_month(owed, tone):
    rule = BY_NAME["OUTSTANDING_PCT"]
    assert judge(rule, facts(rule, {"revenue": 100}, owed=owed), "Dhs")["tone"] == tone


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_a_rule_is_whole(rule):
    assert all(name in METRICS for name in rule.metrics)
    assert rule.grain in METRICS.get(rule.metric, METRICS["revenue"]).grains
    if rule.good is not None or rule.bad is not None:
        assert rule.better in ("up", "down"), "limits need a better way"
    if rule.split:
        assert rule.split in METRICS[rule.metric].splits
        assert METRICS[rule.metric].additive, "the whole is summed from its stores"


def stands_on(name: str) -> set[str]:
    """items or payments, where the metric is made of them."""
    metric = METRICS[name]
    if metric.mart == "formula":
        return set().union(*(stands_on(part) for part in parts_of(metric.sql)))
    items = metric.mart == "items" or "items" in metric.sql or "multi_service" in metric.sql
    payments = "collections" in metric.sql or "payment_date" in metric.sql
    return ({"items"} if items else set()) | ({"payments"} if payments else set())


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_a_rule_tells_what_the_old_system_lacks(rule):
    lacks = set().union(*(stands_on(name) for name in rule.metrics))
    assert rule.lacking in lacks if lacks else rule.lacking == ""


# Words, by hand --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "then", "headline"),
    [
        (100, 100, "Revenue level with January"),
        (99.96, 100, "Revenue level with January"),  # -0.04 %: not "-0 %"
        (100.04, 100, "Revenue level with January"),
        (99.9, 100, "Revenue 0.1 % below January"),
        (97, 100, "Revenue 3 % below January"),
        (109.97, 100, "Revenue 10 % above January"),
        (1340, 100, "Revenue 1,240 % above January"),
        (0, 100, "Revenue 100 % below January"),
    ],
)
def test_a_change_in_plain_words(now, then, headline):
    rule = BY_NAME["REV_MOM"]
    assert judge(rule, facts(rule, {"revenue": now}, {"revenue": then}), "Dhs")["headline"] == headline


def test_points_are_never_minus_nothing():
    assert insights.points(0.2996, 0.3) == "unchanged"
    assert insights.points(0.3004, 0.3) == "unchanged"
    assert insights.points(0.312, 0.3) == "+1.2 pp"
    assert insights.points(0.288, 0.3) == "−1.2 pp"


def test_money_is_the_business_s():
    rule = BY_NAME["REV_MOM"]
    assert judge(rule, facts(rule, {"revenue": 1200}, {"revenue": 1000}), "EUR")["detail"].startswith(
        "EUR 1,200 against EUR 1,000."
    )


def test_a_month_of_another_year_is_named_with_it():
    dec = Span("2025-12", date(2025, 12, 1), date(2025, 12, 31))
    rule = BY_NAME["REV_MOM"]
    got = judge(rule, facts(rule, {"revenue": 200}, {"revenue": 100}, spans=(JAN, dec)), "Dhs")
    assert got["headline"] == "Revenue 100 % above December 2025"
    assert "days" not in got["detail"]  # both have 31


def test_the_length_of_months_is_told_where_it_matters():
    rule = BY_NAME["REV_MOM"]
    # 2,800 in 28 days after 3,100 in 31: 10 % less, yet 100 a day in both
    got = judge(rule, facts(rule, {"revenue": 2800}, {"revenue": 3100}), "Dhs")
    assert got["tone"] == "negative"
    assert got["detail"].endswith("February had 28 days, January 31: a day brought Dhs 100 against Dhs 100.")
    # 1,400 after 3,100: less by any measure
    assert "days" not in judge(rule, facts(rule, {"revenue": 1400}, {"revenue": 3100}), "Dhs")["detail"]


def test_a_share_moves_in_points():
    rule = BY_NAME["SUB_SHARE"]
    now, then = {"subscriber_revenue": 30, "revenue": 100}, {"subscriber_revenue": 20, "revenue": 200}
    assert judge(rule, facts(rule, now, then), "Dhs")["detail"] == (
        "Dhs 30.00 of Dhs 100, subscriptions and the orders under them. In January: 10.0 % (+20.0 pp)."
    )


def test_the_biggest_of_a_split_is_followed_into_its_base():
    rule = BY_NAME["TOP_SERVICE"]
    by = {"2026-02": {"Press Only": 75, "Dry Cleaning": 25}, "2026-01": {"Press Only": 20, "Dry Cleaning": 80}}
    got = judge(rule, facts(rule, {}, {}, splits={("service_type", "item_revenue"): by}), "Dhs")
    assert got["headline"] == "Press Only is the biggest service"
    assert got["detail"] == "Dhs 75.00 of Dhs 100 item revenue, 75.0 %. In January: 20.0 % (+55.0 pp)."


# Silence, by hand ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_needs_its_base(name):
    rule = BY_NAME[name]
    assert judge(rule, facts(rule, {rule.metric: 100}), "Dhs") is None
    assert judge(rule, facts(rule, {rule.metric: 100}, {rule.metric: None}), "Dhs") is None
    after_none = judge(rule, facts(rule, {rule.metric: 100}, {rule.metric: 0}), "Dhs")
    assert after_none is None if name != "REACTIVATIONS" else after_none["tone"] == "neutral"  # "100 against 0"
    assert judge(rule, facts(rule, {rule.metric: None}, {rule.metric: 100}), "Dhs") is None


@pytest.mark.parametrize("name", [*POINTS, *(n for n in LEVELS if n != "M1_RETENTION")])
def test_a_figure_speaks_without_a_base(name):
    rule = BY_NAME[name]
    got = judge(rule, facts(rule, share(rule, 0.2)[0]), "Dhs")
    assert not re.search("January|week before", got["detail"])
    if name in POINTS:
        assert got["tone"] == "neutral"
    assert judge(rule, facts(rule, share(rule, None)[0]), "Dhs") is None


@pytest.mark.parametrize("name", [n for n in BY_NAME if BY_NAME[n].over])
def test_nothing_is_divided_by_nothing(name):
    rule = BY_NAME[name]
    assert judge(rule, facts(rule, {rule.metric: 1, rule.over: 0}, {rule.metric: 1, rule.over: 0}), "Dhs") is None


def test_an_empty_split_is_silent():
    rule = BY_NAME["TOP_CATEGORY"]
    by = {"2026-02": {"Extras": 0, "Others": 0}}
    assert judge(rule, facts(rule, {}, splits={("item_category", "item_revenue"): by}), "Dhs") is None


def test_no_subscribers_now_or_before_is_no_news():
    rule = BY_NAME["SUB_SHARE"]
    assert judge(rule, facts(rule, *share(rule, 0, 0)), "Dhs") is None
    assert judge(rule, facts(rule, *share(rule, 0, 0.1)), "Dhs")["tone"] == "negative"


@pytest.mark.parametrize("rule", [r for r in RULES if r.lacking and not r.split], ids=lambda r: r.name)
def test_the_old_system_s_periods_are_no_measure(rule):
    now, then = share(rule, 0.5, 0.1)
    assert judge(rule, facts(rule, now, then, old=("now",)), "Dhs") is None
    got = judge(rule, facts(rule, now, then, old=("then",)), "Dhs")
    assert got is None if rule.name in CHANGES else not re.search("January|week before", got["detail"])


def test_new_customers_of_the_change_over_are_told_and_not_praised():
    rule = BY_NAME["NEW_CUST"]
    for when in ("now", "then"):
        got = judge(rule, facts(rule, *share(rule, 0.5, 0.1), old=(when,)), "Dhs")
        assert got["tone"] == "neutral" and got["detail"].endswith(rule.old_note)


@pytest.mark.parametrize("name", ["M1_RETENTION", "CONCENTRATION"])
def test_figures_of_the_whole_are_not_a_store_s(name):
    rule = BY_NAME[name]
    now, then = share(rule, 0.5, 0.5)
    assert judge(rule, facts(rule, now, then, store="Hielo"), "Dhs") is None
    assert judge(rule, facts(rule, now, then), "Dhs")


# From exports ----------------------------------------------------------------------------------------------------


def tiny(folder, orders, **more):
    made = [{"Order ID": str(1000 + i), "Total": total, "Placed": day, "Cleaned": day} | extra
            for i, (day, total, extra) in enumerate(orders)]  # fmt: skip
    lines = {"items": [{"Order ID": "1000"}], "invoices": [{"Payment Date": "2026-03-04"}]}
    built = Built(exports(folder / "x", orders=made, **lines, **more), folder / "d")
    return {(row["store"], row["rule"]): row for row in evaluate(built.con, BUSINESS)}


def test_two_months_from_exports(tmp_path):
    hielo = {"Store ID": "38516", "Store Name": "Hielo"}
    said = tiny(
        tmp_path,
        [("2026-01-10", "100", {}), ("2026-02-10", "150", {}), ("2026-02-11", "50", hielo), ("2026-03-03", "999", {})],
    )
    row = said[WHOLE, "REV_MOM"]
    assert (row["headline"], row["tone"]) == ("Revenue 100 % above January", "positive")
    assert row["detail"] == "Dhs 200 against Dhs 100."  # the open March, 999, is nowhere
    assert said["Moon Walk", "REV_MOM"]["headline"] == "Revenue 50 % above January"
    assert ("Hielo", "REV_MOM") not in said  # nothing in January
    assert ("Hielo", "CONCENTRATION") not in said
    assert not any(rule == "REV_YOY" for _, rule in said)


def test_an_open_month_alone_says_nothing_of_months(tmp_path):
    said = tiny(tmp_path, [("2026-03-01", "100", {}), ("2026-03-03", "100", {})])
    assert {row["period"] for row in said.values()} == {"2026-W09"}
    assert "WRev_WOW" not in {rule for _, rule in said}


def test_a_mean_of_weeks_needs_all_four(tmp_path):
    weeks = ["2026-02-25", "2026-02-18", "2026-02-11", "2026-02-04"]
    assert (WHOLE, "WRev_TREND") not in tiny(tmp_path / "3", [(d, "100", {}) for d in weeks])
    said = tiny(tmp_path / "4", [(d, "100", {}) for d in [*weeks, "2026-01-28"]])
    assert said[WHOLE, "WRev_TREND"]["headline"] == "Revenue level with the mean of the 4 weeks before"
