"""Figures as Plotly gets them."""

import json
from datetime import date

import pytest

from analytics import charts


def points(values, last_year=None, chosen=-1):
    """A point a month of 2026, the chosen one by its place."""
    last_year = last_year or [None] * len(values)
    chosen = chosen % len(values)
    return [
        charts.Point(f"2026-{i + 1:02d}", f"M{i}", v, y, (f"month {i}", "said"), date(2026, i + 1, 1),
                     date(2026, i + 1, 28), chosen=i == chosen)
        for i, (v, y) in enumerate(zip(values, last_year, strict=True))
    ]  # fmt: skip


def trace(figure, name):
    return next(t for t in figure["data"] if t["name"] == name)


@pytest.mark.parametrize(
    ("top", "words"),
    [
        (27100, ["0", "10 k", "20 k", "30 k"]),
        (25, ["0", "10", "20", "30"]),
        (8.3, ["0", "2", "4", "6", "8", "10"]),
        (1100, ["0", "250", "500", "750", "1 k", "1.25 k"]),
        (4_600_000, ["0", "1 m", "2 m", "3 m", "4 m", "5 m"]),
        (0.4, ["0", "0.1", "0.2", "0.3", "0.4"]),
        (0, ["0", "1"]),
    ],
)
def test_the_axis_begins_at_0_and_ends_past_the_top(top, words):
    values, said, end = charts.ticks(top)
    assert said == words
    assert values[0] == 0 and end >= top


def test_bars_have_the_values_and_the_chosen_one_the_full_colour():
    figure = charts.bars(points([3, 5, 4], [6, None, 2]), "revenue", "money", "Dhs", "Dhs", [])
    bar, line = trace(figure, "value"), trace(figure, "last year")
    assert bar["y"] == [3.0, 5.0, 4.0]
    assert bar["marker"]["color"] == ["token:revenue-soft", "token:revenue-soft", "token:revenue"]
    assert (line["y"], line["line"]["dash"], line["connectgaps"]) == ([6.0, None, 2.0], "5px,4px", False)
    assert figure["layout"]["yaxis"]["range"][0] == 0 and figure["layout"]["yaxis"]["range"][1] > 6


def test_each_period_can_be_hovered_and_clicked():
    reach = trace(charts.bars(points([3, 0]), "items", "count", "", "items", []), "reach")
    assert reach["customdata"] == [
        [{"period": "2026-01"}, "<b>month 0</b><br>said"], [{"period": "2026-02"}, "<b>month 1</b><br>said"],
    ]  # fmt: skip


def test_few_bars_say_their_values_and_many_only_the_chosen():
    def labels(n):
        layout = charts.bars(points([7] * n), "items", "count", "", "items", [])["layout"]
        return [a["name"] for a in layout["annotations"] if a.get("name", "").startswith("label")]

    assert labels(6) == ["label"] * 5 + ["label chosen"]
    assert labels(12) == ["label chosen"]


def test_a_season_shades_its_days_alone():
    band = charts.Band("Ramadan", date(2026, 2, 15), date(2026, 3, 14))
    ((_, start, end),) = charts.spans(points([1, 1, 1]), [band])
    assert (start, end) == (1.0, 2.0)  # half of February's 28 days to half of March's


def test_a_season_that_is_cut_off_by_the_chart_ends_with_it():
    before = charts.Band("x", date(2025, 12, 1), date(2026, 1, 14))
    after = charts.Band("x", date(2026, 3, 15), date(2026, 5, 1))
    assert [(a, b) for _, a, b in charts.spans(points([1, 1, 1]), [before, after])] == [(-0.5, 0.0), (2.0, 2.5)]
    assert charts.spans(points([1]), [charts.Band("x", date(2027, 1, 1), date(2027, 1, 2))]) == []


def test_the_average_goes_on_dashed_over_the_periods_to_come():
    figure = charts.ahead(
        points([1, 2, 3, 4]), [None, None, 2.0, 3.0], ["Mar", "Apr", "May"], "revenue", "money", "Dhs", "Dhs", []
    )
    average, beyond = trace(figure, "average"), trace(figure, "ahead")
    assert (average["x"], average["y"]) == ([2, 3], [2.0, 3.0])
    assert (beyond["x"], beyond["y"]) == ([3, 4, 5, 6], [3.0] * 4)
    assert beyond["line"]["dash"] != "solid"
    assert figure["layout"]["xaxis"]["ticktext"][-3:] == ["Mar", "Apr", "May"]


def test_no_values_at_all_is_still_a_chart():
    figure = charts.bars(points([None, None]), "items", "count", "", "items", [])
    assert trace(figure, "value")["y"] == [None, None]
    assert charts.ahead(points([None]), [None], [], "items", "count", "", "items", [])["data"]


# --- The axis of values ---------------------------------------------------------------------------------------------


def test_an_axis_of_shares_reads_in_percent():
    found = charts.axis([0.07, 0.13], "share")
    assert found["ticktext"] == ["0", "5", "10", "15"]
    assert found["tickvals"] == pytest.approx([0, 0.05, 0.1, 0.15])
    whole = charts.axis([0.07, 0.13], "share", whole=True)
    assert (whole["ticktext"], whole["range"]) == (["0", "25", "50", "75", "100"], [0, 1.06])
    assert charts.axis([1.2], "share", whole=True)["range"][1] > 1.2  # more collected than earned


def test_an_axis_goes_below_0_where_a_value_does():
    found = charts.axis([-300, 900, None], "money")
    assert found["ticktext"] == ["\N{MINUS SIGN}400", "\N{MINUS SIGN}200", "0", "200", "400", "600", "800", "1 k"]
    assert found["range"][0] <= -400 and found["range"][1] >= 900


# --- Several series -------------------------------------------------------------------------------------------------


def slots(n, chosen=-1, so_far=False):
    return [
        charts.Slot(f"2026-{i + 1:02d}", f"M{i}", f"month {i}", date(2026, i + 1, 1), date(2026, i + 1, 28),
                    chosen=i == chosen % n, so_far=so_far and i == n - 1)
        for i in range(n)
    ]  # fmt: skip


def series(name, colour, *values, **params):
    return charts.Series(name, colour, values, tuple(f"Dhs {v}" for v in values), params)


def named(figure, name):
    return [a for a in figure["layout"]["annotations"] if a.get("name") == name]


def clicks(trace):
    return [point[0] for point in trace["customdata"]]


def test_stacked_bars_hold_each_value_and_say_their_sum():
    parts = [series("Old", "c1", 10, 20, area="old"), series("New", "c2", 5, None, area="new")]
    figure = charts.stacked(slots(2), parts, "money", "Dhs", "Dhs", [])
    old, new = figure["data"]
    assert (old["y"], new["y"], figure["layout"]["barmode"]) == ([10, 20], [5, None], "stack")
    assert old["marker"]["color"] == ["token:c1-soft", "token:c1"]
    sums = named(figure, "label") + named(figure, "label chosen")
    assert [a["text"] for a in sums] == ["<b>15.00</b>", "<b>20.00</b>"]
    assert clicks(new) == [{"period": "2026-01", "area": "new"}, {"period": "2026-02", "area": "new"}]
    assert old["customdata"][1][1] == "<b>month 1</b><br>Old<br>Dhs 20"
    key = [(k["name"], k["color"]) for k in figure["layout"]["meta"]["key"]]
    assert key == [("Old", "token:c1"), ("New", "token:c2")]
    assert [a["y"] for a in named(figure, "direct")] == [10, 20]  # the middle of 0..20; the top of an empty part


def test_stacked_shares_fill_the_axis_and_say_theirs_in_the_chosen_bar():
    parts = [series("In", "c1", 0.6, 0.95), series("Out", "c2", 0.4, 0.05)]
    figure = charts.stacked(slots(2), parts, "money", "Dhs", "%", [], share=True)
    assert figure["layout"]["yaxis"]["range"] == [0, 1.06]  # room between 100 and the unit above it
    assert [(a["x"], a["text"]) for a in named(figure, "part")] == [(1, "95.0")]  # 5 % has no room for its words
    assert not named(figure, "label chosen")


def test_grouped_bars_stand_side_by_side_and_the_key_says_the_chosen_values():
    pair = [series("Revenue", "revenue", 100, 300), series("Collections", "items", 90, 280)]
    figure = charts.grouped(slots(2, so_far=True), pair, "money", "Dhs", "Dhs", [])
    assert figure["layout"]["barmode"] == "group" and figure["layout"]["yaxis"]["range"][0] == 0
    assert [k["value"] for k in figure["layout"]["meta"]["key"]] == ["Dhs 300", "Dhs 280"]
    assert figure["data"][0]["marker"]["pattern"]["shape"] == ["", "/"]
    assert figure["data"][0]["customdata"][1][1].startswith("<b>month 1, so far</b>")


def test_a_value_below_0_is_said_below_its_bar():
    figure = charts.bars(points([5, -3]), "items", "count", "", "items", [])
    assert [a["yshift"] for a in named(figure, "label") + named(figure, "label chosen")] == [10, -10]


def test_lines_keep_their_holes_and_are_told_apart_by_more_than_colour():
    both = [series("Rate", "c1", 0.9, None, 0.8), series("Digital", "c2", 0.5, 0.6, 0.79)]
    figure = charts.lines(slots(3, so_far=True), both, "share", "Dhs", "%", [])
    rate, digital = trace(figure, "Rate"), trace(figure, "Digital")
    assert (rate["y"], rate["connectgaps"]) == ([0.9, None, 0.8], False)
    assert rate["marker"]["symbol"] == ["circle", "circle", "circle-open"]
    assert digital["marker"]["symbol"][0] == "square"
    assert figure["layout"]["yaxis"]["range"] == [0, 1.06]  # room between 100 and the unit above it
    high, low = (a["y"] for a in named(figure, "direct"))
    assert high - low >= 0.08, "0.80 and 0.79 would lie on each other"
    assert trace(figure, "reach")["customdata"][1] == [
        {"period": "2026-02"}, "<b>month 1</b><br>Rate: \N{EN DASH}<br>Digital: 60.0 %",
    ]  # fmt: skip


def test_a_line_without_any_value_is_not_named_beside_the_others():
    figure = charts.lines(slots(2), [series("None", "c1", None, None), series("Some", "c2", 1, 2)], "count", "", "", [])
    assert [a["text"].split()[-1] for a in named(figure, "direct")] == ["Some"]


@pytest.mark.parametrize(
    ("heights", "wanted"),
    [
        ([10, 11, 12], [10, 15, 20]),  # pushed up from the lowest
        ([99, 98, 100], [95, 90, 100]),  # and down from the top
        ([50, 10], [50, 10]),
        ([], []),
    ],
)
def test_names_on_each_other_are_moved_apart(heights, wanted):
    assert charts._apart(heights, 5, 100) == wanted


# --- Rows, maps, curves ---------------------------------------------------------------------------------------------


def test_ranked_bars_keep_their_order_and_say_their_values():
    rows = [
        charts.Bar("Laundry", 1200, ("Laundry", "Dhs 1,200"), {"item_category": "laundry"}, note="80 %"),
        charts.Bar("Other", None, ("Other", "none"), {"item_category": "other"}),
    ]
    figure = charts.ranked(rows, "revenue", "money", "Dhs", "Dhs")
    assert figure["data"][0]["x"] == [1200.0, None]
    assert figure["layout"]["yaxis"]["ticktext"] == ["Laundry", "Other"]
    assert figure["layout"]["yaxis"]["range"] == [1.5, -0.5]  # the first at the top
    assert [a["text"] for a in named(figure, "end")] == ["<b>1,200</b> · 80 %", "<b>\N{EN DASH}</b>"]
    assert figure["layout"]["xaxis"]["range"][0] == 0
    assert clicks(trace(figure, "reach")) == [{"item_category": "laundry"}, {"item_category": "other"}]
    assert set(figure["data"][0]["marker"]["color"]) == {"token:revenue"}


def test_a_chosen_row_stands_out():
    rows = [charts.Bar(n, 1, (n,), chosen=n == "b") for n in "ab"]
    figure = charts.ranked(rows, "revenue", "money", "Dhs", "Dhs")
    assert figure["data"][0]["marker"]["color"] == ["token:revenue-soft", "token:revenue"]
    assert figure["layout"]["yaxis"]["ticktext"] == ["a", "<b>b</b>"]


def test_two_measures_of_the_same_rows_stand_beside_each_other():
    rows = [charts.Bar("Champions", 40, ("Champions",)), charts.Bar("At Risk", 60, ("At Risk",))]
    revenue = charts.Measure((9000, 1000), "revenue", "money", "Dhs", ("90 %", "10 %"))
    figure = charts.ranked(rows, "customers", "count", "", "customers", revenue)
    customers, money, *reach = figure["data"]
    assert (customers["x"], money["x"]) == ([40, 60], [9000, 1000])
    assert (customers["xaxis"], money["xaxis"]) == ("x", "x2")
    over = [figure["layout"][f"xaxis{one['xaxis'][1:]}"]["overlaying"] for one in reach]
    assert over == ["x", "x2"], "a click or hover reaches the rows of one panel alone"
    assert [a["text"] for a in named(figure, "unit")] == ["customers", "Dhs"]
    assert [a["text"] for a in named(figure, "end")][2:] == ["<b>9,000</b> · 90 %", "<b>1,000</b> · 10 %"]


def test_the_cohort_map_leaves_blank_what_is_not_reached_and_says_0():
    figure = charts.heat(
        ["Jan 2026", "Feb 2026"], ["M0", "M1"], [[1, 0.0], [1, None]], [["40", "0 of 40"], ["30", ""]], [40, 30],
        [{"cohort": "2026-01"}, {"cohort": "2026-02"}],
    )  # fmt: skip
    cells, words = figure["data"]
    assert cells["z"] == [[6, 1], [6, None]]
    assert words["text"] == ["100", "0", "100"]
    assert words["textfont"]["color"] == ["token:heat-paper", "token:heat-ink", "token:heat-paper"]
    assert cells["customdata"][0][1] == [{"cohort": "2026-01"}, "<b>Jan 2026</b><br>0 of 40"]
    assert figure["layout"]["yaxis"]["ticktext"] == ["Jan 2026 <b>40</b>", "Feb 2026 <b>30</b>"]


def test_every_step_of_the_map_has_its_colour_alone():
    scale = charts.heat(["a"], ["M0"], [[1]], [[""]], [1])["data"][0]["colorscale"]
    assert (scale[0][0], scale[-1][0]) == (0, 1)
    assert [c for _, c in scale[::2]] == [c for _, c in scale[1::2]] == [f"token:heat-{i}" for i in range(1, 7)]
    assert [charts.heat_step(v) for v in (0, 0.0999, 0.1, 0.3, 0.45, 0.65, 1)] == [1, 1, 2, 4, 5, 6, 6]


def test_the_curve_begins_at_0_and_marks_its_places():
    marks = [charts.Mark(0.2, 0.53, "20 % bring 53 %"), charts.Mark(0.5, 0.8, "80 % come from 50 %")]
    figure = charts.pareto([0.5, 1], [0.8, 1], ["a\nb", "c"], marks)
    curve = trace(figure, "curve")
    assert (curve["x"], curve["y"]) == ([0, 0.5, 1], [0, 0.8, 1])
    assert (trace(figure, "marks")["x"], trace(figure, "marks")["y"]) == ([0.2, 0.5], [0.53, 0.8])
    assert [a["text"] for a in named(figure, "mark")] == ["20 % bring 53 %", "80 % come from 50 %"]
    assert figure["layout"]["xaxis"]["title"]["text"] and named(figure, "unit")[0]["text"]


def test_a_long_curve_is_thinned_to_its_end():
    n = 25_000
    figure = charts.pareto([(i + 1) / n for i in range(n)], [1] * n, [""] * n, [])
    curve = trace(figure, "curve")
    assert len(curve["x"]) <= charts.CURVE_POINTS + 2 and curve["x"][-1] == 1


def every_form():
    """One figure of each form, with a name in it that would be markup."""
    odd = '<a href="x">R&D</a>'
    one = [series(odd, "c1", 1, 2, area="x")]
    return {
        "bars": charts.bars(points([1, 2]), "items", "count", "", "items", []),
        "ahead": charts.ahead(points([1, 2]), [None, 1.5], ["M"], "items", "count", "", "items", []),
        "stacked": charts.stacked(slots(2), one, "money", "Dhs", "Dhs", []),
        "grouped": charts.grouped(slots(2), one, "money", "Dhs", "Dhs", []),
        "lines": charts.lines(slots(2), one, "money", "Dhs", "Dhs", []),
        "ranked": charts.ranked([charts.Bar(odd, 1, (odd, "1"), {"a": "b"})], "items", "count", "", "items"),
        "heat": charts.heat([odd], ["M0"], [[1]], [["1"]], [1]),
        "pareto": charts.pareto([1], [1], [odd], [charts.Mark(1, 1, odd)]),
    }  # fmt: skip


@pytest.mark.parametrize("form", every_form())
def test_every_form_is_json_names_its_unit_and_says_what_a_click_sets(form):
    figure = every_form()[form]
    text = json.dumps(figure, allow_nan=False)
    assert "<a" not in text, "Plotly would make a link of it"
    assert figure["layout"]["meta"]["form"] and named(figure, "unit")[0]["text"]
    said = [t for t in figure["data"] if "customdata" in t]
    assert said
    for t in said:
        cells = [c for row in t["customdata"] for c in row] if t["type"] == "heatmap" else t["customdata"]
        assert all(isinstance(click, dict) and isinstance(words, str) for click, words in cells)


@pytest.mark.parametrize("form", every_form())
def test_nothing_at_all_is_still_a_figure(form):
    empty = {
        "bars": lambda: charts.bars([], "items", "count", "", "items", []),
        "ahead": lambda: charts.ahead([], [], [], "items", "count", "", "items", []),
        "stacked": lambda: charts.stacked([], [], "money", "Dhs", "Dhs", [], share=True),
        "grouped": lambda: charts.grouped([], [], "money", "Dhs", "Dhs", []),
        "lines": lambda: charts.lines([], [], "share", "Dhs", "%", []),
        "ranked": lambda: charts.ranked([], "items", "count", "", "items"),
        "heat": lambda: charts.heat([], [], [], [], []),
        "pareto": lambda: charts.pareto([], [], [], []),
    }[form]()
    assert json.dumps(empty, allow_nan=False)
