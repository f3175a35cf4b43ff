"""A filter, a store, a person kept to one change a tab's numbers to what the metrics say of the same; nonsense none."""

import re
from html import unescape
from urllib.parse import urlencode

import pytest

from analytics import queries, receivables
from analytics.dashboards import DASHBOARDS, blocks, cards, frame
from analytics.dashboards.frame import Chart
from analytics.formats import DASH
from analytics.metrics import METRICS
from etl.business import slug
from tests.analytics import reading
from tests.analytics.tabs import EXPECTED, PERIODS, TABS, VALUES, asked, cards_of, drawn, reads, state_of

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]
# Cards that no person of one store gets.
OF_THE_WHOLE = {
    "simple_clv", "top_customers_share", "customers_for_80", "alive", "expected_purchases", "expected_value"
}  # fmt: skip
FILTERED = [(page, tab, d) for page, tab in TABS for d in DASHBOARDS[page].tab(tab).takes if d in VALUES]


@pytest.mark.parametrize(("page", "tab", "dimension"), [f for f in FILTERED if DASHBOARDS[f[0]].tab(f[1]).cards])
def test_a_filter_counts_its_rows_alone(get, build, page, tab, dimension):
    declared, value = DASHBOARDS[page].tab(tab), VALUES[dimension]
    params = {"tab": tab, "grain": "month", "period": "2026-02"}
    html, whole = get(page, **params, **{dimension: slug(value)}), reading.cards(get(page, **params))
    seen, changed = reading.cards(html), 0
    by = {dimension: value} | ({"segment_month": "2026-02"} if dimension == "segment" else {})
    for card, metric, label in cards_of(declared):
        if card.drop_empty and label is not None and label not in seen[card.metric].parts:
            assert not asked(build, metric, "month", "2026-02", **by)
            continue
        shown = seen[card.metric].value if label is None else seen[card.metric].parts[label]
        if not queries.can_filter(metric, dimension):
            assert shown == DASH, metric
            continue
        number = asked(build, metric, "month", "2026-02", **by)
        assert shown == reads(number, metric, "Dhs" if label is None else ""), metric
        by_golden = EXPECTED["month_dimensions"]["2026-02"].get(dimension, {}).get(value, {})
        assert by_golden.get(metric, number) == pytest.approx(number, abs=1e-6)
        changed += shown != (whole[card.metric].value if label is None else whole[card.metric].parts[label])
    assert changed, "a filter that changes nothing"
    when = " (at the end of Feb 2026)" if dimension == "segment" else ""
    label = f"{frame.DIMENSIONS[dimension]}: {value}{when}"
    assert reading.chips(html) == {label: f"/{page}/?{urlencode(params | {'store': 'all'})}"}
    assert f'name="{dimension}" value="{slug(value)}"' in html, "the list of periods would lose the filter"


@pytest.mark.parametrize(("page", "tab", "dimension"), [f for f in FILTERED if f[2] != "segment"])
def test_a_filter_counts_in_the_charts_too(build, page, tab, dimension):
    value = VALUES[dimension]
    params = {"tab": tab, "grain": "month", "period": "2026-02"}
    before = {c["id"]: c for c in blocks.charts(state_of(build, page, **params))}
    after = {c["id"]: c for c in blocks.charts(state_of(build, page, **params, **{dimension: slug(value)}))}
    differ = {name for name, chart in after.items() if drawn(chart["figure"]) != drawn(before[name]["figure"])}
    declared = DASHBOARDS[page].tab(tab)
    stay = {c.id for c in declared.charts if isinstance(c, Chart) and c.split == dimension and c.form == "shares"}
    assert after and differ >= set(after) - stay - {"segments-chart"}  # RFM is of the whole business, and says so
    for chart in (c for c in declared.charts if isinstance(c, Chart) and c.form == "bars" and c.id in after):
        assert after[chart.id]["table"].rows[-1]["value"] == asked(
            build, chart.metric, "month", "2026-02", **{dimension: value}
        )


def test_two_filters_and_a_store_count_together(get, build):
    html = get("operations", tab="service-mix", period="2026-02", store="hielo", area="outer-abu-dhabi",
               service_type="dry-cleaning")  # fmt: skip
    by = {"store": "Hielo", "area": "Outer Abu Dhabi", "service_type": "Dry Cleaning"}
    assert reading.cards(html)["items"].value == reads(asked(build, "items", "month", "2026-02", **by), "items")
    chips = reading.chips(html)
    assert {"Area: Outer Abu Dhabi", "Service: Dry Cleaning"} <= set(chips)
    for label, url in chips.items():
        left = {part for part in ("store=hielo", "area=", "service_type=") if part in url}
        assert len(left) == 2, f"{label} takes away itself alone"


@pytest.mark.parametrize("who", ["layla", "hala"])
@pytest.mark.parametrize("grain", ["month", "week"])
@pytest.mark.parametrize(("page", "tab"), TABS)
def test_a_store_and_who_is_kept_to_it_see_its_figures(get, build, page, tab, grain, who):
    """hala is kept to Hielo, layla chooses it: the same figures, less those of the whole business."""
    declared, period = DASHBOARDS[page].tab(tab), PERIODS[grain][0]
    if declared.monthly and grain == "week":
        return
    chosen = {"store": "hielo"} if who == "layla" else {}
    html = get(page, who, tab=tab, grain=grain, period=period, **chosen)
    if declared.whole:
        if who == "hala":
            assert reading.messages(html) == [f"There is no tab “{tab}”, so this is the usual one."]
            assert f"?tab={tab}&" not in html
        else:
            lists = "store" in declared.takes
            said = "; the list below is of customers of Hielo." if lists else ", whatever store is chosen (Hielo)."
            assert f"Figures of the whole business{said}" in unescape(html)
        return
    seen = reading.cards(html)
    shown = [(c, m, label) for c, m, label in cards_of(declared) if not (who == "hala" and METRICS[c.metric].whole)]
    for card, metric, label in shown:
        whole = METRICS[metric].whole
        if whole and who == "hala":
            assert label not in seen[card.metric].parts
            continue
        number = asked(build, metric, grain, period, **({} if whole else {"store": "Hielo"}))
        if card.drop_empty and label is not None and label not in seen[card.metric].parts:
            assert not number
            continue
        value = seen[card.metric].value if label is None else seen[card.metric].parts[label]
        assert value == reads(number, metric, "Dhs" if label is None else ""), metric
        assert label is not None or whole == (" all stores " in f" {seen[card.metric].label} ")
    if who == "hala":
        assert "All stores" not in html and 'name="store"' not in html
        assert not OF_THE_WHOLE & set(seen)


@pytest.mark.parametrize(("page", "tab"), TABS)
def test_who_is_kept_to_a_store_is_refused_another(as_, golden_data, page, tab):
    response = as_("hala").get(f"/{page}/?tab={tab}&period=2026-02&store=moon-walk")
    assert response.status_code == 403 and b"Dhs" not in response.content


def test_what_a_store_is_owed_is_its_own(get, build):
    shops = [reading.tables(get("finance", tab="outstanding", store=s))["aging"][1:] for s in ("hielo", "moon-walk")]
    for (name, (orders, amount)), *rows in zip(EXPECTED["outstanding"]["aging"].items(), *shops, strict=True):
        assert sum(int(row[1]) for row in rows) == orders, name
        together = sum(float(row[2].removeprefix("Dhs ").replace(",", "")) for row in rows)
        assert together == pytest.approx(amount, abs=1)
    mine = receivables.total(queries.current(only="Hielo").ledger().orders)
    assert reading.cards(get("finance", "hala", tab="outstanding"))["outstanding"].value == reads(mine, "revenue")


# --- What the address says wrongly ---------------------------------------------------------------------------------

USUAL = "so this is the usual one."
WRONG = [
    ("executive", {"area": "paris"}, f"There is no area “paris”, {USUAL}"),
    ("executive", {"segment": "kings"}, f"There is no segment “kings”, {USUAL}"),
    ("customers", {"segment": "kings"}, f"There is no segment “kings”, {USUAL}"),
    ("customers", {"grain": "week", "period": "2026-W09"}, "This tab is by month."),
    ("operations", {"tab": "service-mix", "service_type": "ironing"}, f"There is no service type “ironing”, {USUAL}"),
    ("operations", {"tab": "acquisition"}, f"There is no tab “acquisition”, {USUAL}"),
    ("finance", {"period": "1999-01"}, "There is no month “1999-01” in the data, so this is February 2026."),
]


@pytest.mark.parametrize(("page", "params", "said"), WRONG)
def test_what_does_not_fit_gives_a_message_and_the_usual(get, page, params, said):
    html = unescape(get(page, **params))
    assert reading.messages(html) == [said]
    assert reading.chips(html) == reading.idle(html) == {}


# --- Filters that a tab does not take ------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "params", "said"), [
    ("executive", {"segment": "champions"}, "Segment: Champions"),
    ("executive", {"tab": "insights", "area": "other"}, "Area: Other"),
    ("executive", {"payment_type": "cash"}, "Payment method: Cash"),
    ("customers", {"tab": "cohort", "segment": "loyal"}, "Segment: Loyal"),
    ("customers", {"least": "500"}, "Revenue in all from: Dhs 500"),
    ("operations", {"item_category": "home-linens"}, "Category: Home Linens"),
    ("finance", {"tab": "concentration", "area": "other"}, "Area: Other"),
])  # fmt: skip
def test_a_filter_that_a_tab_does_not_take_is_said_to_count_for_nothing(get, page, params, said):
    """The figures are those without it, and it can be taken away where it is seen."""
    params = {"period": "2026-02", **params}
    dimension = next(reversed(params))
    html, without = get(page, **params), get(page, **{k: v for k, v in params.items() if k != dimension})
    assert reading.cards(html) == reading.cards(without)
    assert reading.chips(html) == {} and reading.messages(html) == []
    (label, url), = reading.idle(html).items()
    assert label == said and f"{dimension}=" not in url
    assert f'name="{dimension}" value="{params[dimension]}"' in html, "the list of periods would lose the filter"


def tabs(html: str) -> dict[str, str]:
    """Words -> address of a page's tabs."""
    found = re.findall(r'<a href="([^"]+)"[^>]*>([^<]+)</a>', re.search(r'<nav class="tabs".*?</nav>', html, re.S)[0])
    return {label: unescape(url) for url, label in found}


def test_a_filter_is_back_on_the_tab_that_takes_it(as_, golden_data):
    client = as_("layla")
    here = "/operations/?tab=service-mix&grain=month&period=2026-02&store=hielo&area=other&item_category=extras"
    html = client.get(here).content.decode()
    there = client.get(tabs(html)["Logistics"]).content.decode()
    assert list(reading.chips(there)) == ["Store: Hielo", "Area: Other"]
    assert list(reading.idle(there)) == ["Category: Extras"]
    assert tabs(there)["Service mix"] == here
    assert reading.cards(client.get(tabs(there)["Service mix"]).content.decode()) == reading.cards(html)


def test_what_counts_for_nothing_here_counts_for_nothing_behind_a_number(build):
    """The page behind items would take the category: its number would be another than the one that was followed."""
    state = state_of(build, "executive", period="2026-02", item_category="extras", area="other")
    assert state.idle == (("item_category", "Extras"),)
    assert "item_category=" not in state.follow("items") and "area=other" in state.follow("items")
    assert "item_category=extras" in state.follow("items", item_category="extras")  # chosen by the link itself
    tables = [c["table"] for c in blocks.charts(state)]
    assert tables and all("item_category=extras" in row["#url"] for table in tables for row in table.rows)
    plain = state_of(build, "executive", period="2026-02", area="other")
    assert not any("item_category" in str(row) for c in blocks.charts(plain) for row in c["table"].rows)


def pages(html: str) -> dict[str, str]:
    """Words -> address of the navigation's pages."""
    found = re.findall(r'<a href="([^"]+)"[^>]*>([^<]+)</a>', re.search(r'<nav class="pages".*?</nav>', html, re.S)[0])
    return {label: unescape(url) for url, label in found}


def test_another_page_keeps_the_place(get):
    html = get("executive", tab="trends", grain="week", period="2026-W08", store="hielo", area="other")
    found = pages(html)
    place = "?grain=week&period=2026-W08&store=hielo&area=other"
    assert found["Operations Center"] == f"/operations/{place}"
    assert found["Executive Pulse"] == "/executive/", "a page's own name begins anew"
    assert found["Who owes"] == "/operations/receivables/"
    html = get("finance", period="2025-11", payment_type="cash")
    assert pages(html)["Customer Analytics"] == "/customers/?period=2025-11&payment_type=cash"


@pytest.mark.parametrize("who", ["layla", "hala"])
def test_who_looks_at_the_usual_gets_plain_addresses_of_pages(get, who):
    assert {url for url in pages(get("executive", who)).values() if "?" in url} == set()


def test_a_segment_goes_nowhere_with_who_is_kept_to_a_store(get):
    """On the next tab it would be refused."""
    html = unescape(get("executive", "hala", segment="champions"))
    assert reading.messages(html) == ["This tab isn't filtered by segment: it shows all."]
    assert reading.idle(html) == {} and "segment=champions" not in html


def test_a_week_becomes_the_month_it_lies_in_on_a_tab_by_month(get):
    assert "November 2025" in get("customers", grain="week", period="2025-W47")


@pytest.mark.parametrize(("page", "tab"), TABS)
def test_nonsense_breaks_no_tab(get, page, tab):
    nonsense = dict.fromkeys((*frame.DIMENSIONS, "store", "period", "grain", "least"), "' OR 1=1 --<script>")
    html = get(page, tab=tab, **nonsense)
    assert "<script>" not in html.split("<main")[1].split("</main>")[0].replace('<script src', "")
    assert reading.messages(html) and reading.chips(html) == {}


@pytest.mark.parametrize("least", ["abc", "-5", "1e9", "٣", "99999999", ""])
def test_an_amount_that_is_none_lists_all(get, build, least):
    html = get("customers", tab="lifetime", least=least)
    assert len(reading.tables(html)["call-list"]) - 1 == build.call_list().height


def test_the_call_list_is_narrowed_by_segment_and_amount(get, build):
    html = get("customers", tab="lifetime", segment="at-risk", least="500")
    wanted = build.call_list(segment="At Risk", min_value=500)
    head, *rows = reading.tables(html)["call-list"]
    assert 0 < len(rows) == wanted.height < build.call_list().height
    assert {row[head.index("Segment")] for row in rows} == {"At Risk"}


def test_the_call_list_is_of_the_chosen_store_and_says_so(get, build):
    html = get("customers", tab="lifetime", store="hielo")
    wanted = build.call_list(store="Hielo")
    assert len(reading.tables(html)["call-list"]) - 1 == wanted.height < build.call_list().height
    assert f"Whom to call: {wanted.height} customers of Hielo going quiet" in html


def test_an_undated_tab_is_of_the_exports_day_whatever_period_is_chosen(get):
    for page, tab in (("customers", "lifetime"), ("finance", "outstanding")):
        html = get(page, tab=tab, period="2025-03")
        assert "As of 5 March 2026" in html and 'aria-label="Period"' not in html
        assert reading.tables(html) == reading.tables(get(page, tab=tab))
        assert 'name="period" value="2025-03"' in html, "the period would be lost on the next tab"


@pytest.mark.parametrize("tab", ["acquisition", "segmentation", "per-customer"])
def test_a_segment_is_compared_with_nothing_in_cards_charts_or_tables(build, tab):
    """Who is in it is decided by the very months that a change would compare."""
    moved = re.compile(r"[+\N{MINUS SIGN}][\d.,]+ (?:%|pp)")
    for segment in ({}, {"segment": "champions"}):
        state = state_of(build, "customers", tab=tab, period="2026-02", **segment)
        shown = [(chart["figure"], chart["table"].rows) for chart in blocks.charts(state)]
        parts = [part["change"] for card in cards.cards(state) for part in card["parts"]]
        for what in (str(shown), str([card["changes"] for card in cards.cards(state)]), str(parts)):
            assert bool(moved.search(what)) == (not segment), (tab, segment)
