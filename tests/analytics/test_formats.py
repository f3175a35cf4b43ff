"""How figures and their changes read."""

from datetime import UTC, datetime

import pytest

from analytics import formats


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (25580.2, "money", "Dhs 25,580"),
        (8.2437, "money", "Dhs 8.24"),
        (0, "money", "Dhs 0"),
        (-6.85, "money", "Dhs −6.85"),
        (0.147, "share", "14.7 %"),
        (2.09, "days", "2.1 days"),
        (3103, "count", "3,103"),
        (12.264822, "ratio", "12.26"),
        (-0.0004, "share", "0.0 %"),
        (None, "money", "–"),
    ],
)
def test_a_value_with_its_unit(value, unit, text):
    assert formats.with_unit(value, unit, "Dhs") == text


@pytest.mark.parametrize(
    ("now", "then", "better", "percent", "css", "word", "arrow"),
    [
        (110, 100, "up", "+10.0 %", "up", "better", "▲"),
        (90, 100, "up", "−10.0 %", "down", "worse", "▼"),
        (90, 100, "down", "−10.0 %", "up", "better", "▼"),
        (110, 100, "down", "+10.0 %", "down", "worse", "▲"),
        (110, 100, None, "+10.0 %", "level", "up", "▲"),
        (430, 100, "up", "+330 %", "up", "better", "▲"),
        (99.99, 100, "up", "0.0 %", "level", "same", "●"),
    ],
)
def test_a_change_has_sign_arrow_word_and_colour(now, then, better, percent, css, word, arrow):
    got = formats.change(now, then, "Jan 2026", "count", "Dhs", better)
    assert (got.percent, got.css, got.word, got.arrow) == (percent, css, word, arrow)
    assert got.said == f"{percent} on Jan 2026"


@pytest.mark.parametrize(("now", "then"), [(5, 0), (5, None), (None, 5)])
def test_no_base_is_a_dash_that_says_why(now, then):
    got = formats.change(now, then, "Jan 2026", "count", "Dhs", "up")
    assert (got.percent, got.arrow, got.said) == ("–", "", "")
    assert got.why.endswith(".")


def test_a_moment_is_on_the_businesss_clock():
    assert formats.moment(datetime(2026, 3, 5, 5, 7, tzinfo=UTC)) == "5 Mar 2026, 09:07"
    assert formats.moment(datetime(2026, 3, 5, 9, 7)) == "5 Mar 2026, 09:07"


def test_many():
    assert [formats.many(*of) for of in ((1, "message"), (1200, "message"), (0, "person", "people"))] == [
        "1 message", "1,200 messages", "0 people",
    ]  # fmt: skip
