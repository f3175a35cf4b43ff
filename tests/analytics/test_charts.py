"""Figures as Plotly gets them."""

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
    assert reach["customdata"] == [["2026-01", "<b>month 0</b><br>said"], ["2026-02", "<b>month 1</b><br>said"]]


def test_few_bars_say_their_values_and_many_only_the_chosen():
    def labels(n):
        layout = charts.bars(points([7] * n), "items", "count", "", "items", [])["layout"]
        return [a["name"] for a in layout["annotations"] if "name" in a]

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
