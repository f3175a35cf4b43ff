"""The seasons that charts shade and insights mention."""

from datetime import date

from analytics.seasons import Season, seasons


def test_ramadan_2026_touches_the_end_of_february():
    assert list(seasons(date(2026, 2, 1), date(2026, 2, 28))) == [
        Season("Ramadan", date(2026, 2, 18), date(2026, 3, 19), "Ramadan, 18 Feb to 19 Mar 2026 (calculated)")
    ]


def test_the_day_before_a_season_and_the_day_after_are_free():
    assert seasons(date(2026, 2, 17), date(2026, 2, 17)) == ()
    assert [s.name for s in seasons(date(2026, 3, 20), date(2026, 3, 20))] == ["Eid al-Fitr"]
    assert seasons(date(2026, 3, 23), date(2026, 3, 23)) == ()


def test_a_year_has_all_of_them_in_order_and_only_the_moons_are_calculated():
    year = seasons(date(2025, 1, 1), date(2025, 12, 31))
    assert [s.name for s in year] == ["Ramadan", "Eid al-Fitr", "Eid al-Adha", "UAE National Day"]
    assert [s.first_day for s in year] == [date(2025, 3, 1), date(2025, 3, 30), date(2025, 6, 6), date(2025, 12, 2)]
    assert [s.label.endswith("(calculated)") for s in year] == [True, True, True, False]


def test_two_ramadans_in_one_gregorian_year():
    assert [s.first_day for s in seasons(date(2030, 1, 1), date(2030, 12, 31)) if s.name == "Ramadan"] == [
        date(2030, 1, 5),
        date(2030, 12, 26),
    ]
