"""manage.py analysis: the golden values in their shapes, CSV and tables, and what it says when it can't."""

import csv
import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from operations.management.commands.analysis import ANALYSES, OF_NO_PERIOD
from tests.conftest import point_settings_at
from tests.etl.making import exports

EXPECTED = json.loads((Path(__file__).parents[1] / "golden" / "expected.json").read_text())


@pytest.fixture
def analysis(golden_data):
    """analysis("rfm", "--period", "2026-02") -> what it prints, over the golden build."""

    def ask(*arguments: str) -> str:
        out = StringIO()
        call_command("analysis", *arguments, stdout=out)
        return out.getvalue()

    return ask


@pytest.fixture
def as_json(analysis):
    return lambda *arguments: json.loads(analysis(*arguments, "--format", "json"))


@pytest.fixture
def as_rows(analysis):
    return lambda *arguments: list(csv.DictReader(StringIO(analysis(*arguments, "--format", "csv"))))


# The golden values, in their shapes ------------------------------------------------------------------------------


def test_retention_is_the_golden_one(as_json):
    assert as_json("retention") == EXPECTED["retention_counts"]
    assert as_json("retention", "--period", "2026-02") == EXPECTED["retention_counts"]


def test_rfm_is_the_golden_one(as_json):
    assert as_json("rfm") == as_json("rfm", "--period", "2026-02") == EXPECTED["rfm"]


def test_clv_is_the_golden_one(as_json):
    assert as_json("clv") == pytest.approx(EXPECTED["clv"], abs=1e-6)


@pytest.mark.parametrize("period", EXPECTED["pareto"])
def test_concentration_is_the_golden_one(as_json, period):
    assert as_json("concentration", "--period", period) == EXPECTED["pareto"][period]


def test_concentration_of_the_last_closed_month_unless_told_otherwise(as_json):
    assert as_json("concentration") == EXPECTED["pareto"]["2026-02"]
    week, want = as_json("concentration", "--period", "2026-W09"), EXPECTED["weeks"]["2026-W09"]
    assert (week["customers"], week["revenue"]) == (want["customers"], want["revenue"])
    months = [EXPECTED["months"][m]["revenue"] for m in ("2025-10", "2025-11", "2025-12")]
    assert as_json("concentration", "--period", "2025-Q4")["revenue"] == pytest.approx(sum(months))
    assert as_json("concentration", "--period", "2026-02-14")["customers"] < week["customers"]


def test_outstanding_is_the_golden_one(as_json):
    assert as_json("outstanding") == EXPECTED["outstanding"]


# Up to a period --------------------------------------------------------------------------------------------------


def test_retention_up_to_a_month_has_what_was_known_then(as_json):
    whole = EXPECTED["retention_counts"]
    assert as_json("retention", "--period", "2024-03") == {
        "2024-01": {k: whole["2024-01"][k] for k in "012"},
        "2024-02": {k: whole["2024-02"][k] for k in "01"},
        "2024-03": {"0": whole["2024-03"]["0"]},
    }


def test_rfm_of_another_month_is_another_rfm(as_json):
    found = as_json("rfm", "--period", "2026-01")
    assert (found["period"], found["customers"] == EXPECTED["rfm"]["customers"]) == ("2026-01", False)
    assert sum(count for count, _ in found["segments"].values()) == found["customers"]


# CSV -------------------------------------------------------------------------------------------------------------


def test_csv_has_every_row(as_rows):
    rfm = as_rows("rfm")
    assert len(rfm) == EXPECTED["rfm"]["customers"]
    assert sum(int(row["recency_days"]) for row in rfm) == EXPECTED["rfm"]["sum_recency_days"]
    owed = as_rows("outstanding")
    assert len(owed) == EXPECTED["outstanding"]["orders"]
    assert round(sum(float(row["balance"]) for row in owed), 2) == EXPECTED["outstanding"]["amount"]
    assert [row["placed"] for row in owed] == sorted(row["placed"] for row in owed)
    spent = as_rows("concentration")
    assert len(spent) == EXPECTED["pareto"]["2026-02"]["customers"]
    assert float(spent[-1]["cumulative_share"]) == pytest.approx(1)
    assert as_rows("clv")[0].keys() == EXPECTED["clv"].keys()


def test_csv_of_retention_has_a_row_a_reached_month(as_rows):
    rows = as_rows("retention")
    assert len(rows) == sum(len(cells) for cells in EXPECTED["retention_counts"].values())
    assert rows[1] == {"cohort_month": "2024-01", "months_since_cohort": "1", "customers": "80",
                       "share": str(80 / 255)}  # fmt: skip


@pytest.mark.django_db
def test_a_name_that_looks_like_a_formula_is_not_one(settings, tmp_path):
    data = point_settings_at(settings, tmp_path / "data")
    orders = [{"Order ID": "1001"}, {"Order ID": "1002", "Paid": "0"}]
    exports(data / "exports", customers=[{"Name": "=HYPERLINK(1)"}], orders=orders)
    call_command("refresh_data", "--json", stdout=StringIO())
    for name in ("concentration", "outstanding"):
        out = StringIO()
        period = [] if name in OF_NO_PERIOD else ["--period", "2026-01"]
        call_command("analysis", name, *period, "--format", "csv", stdout=out)
        assert "'=HYPERLINK(1)" in out.getvalue()
        assert ",=HYPERLINK" not in out.getvalue()


# Tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("retention", ["up to 2026-02", "255", "31.4%"]),
        ("rfm", ["Champions", "89,999.87", "revenue", "(Dhs)"]),
        ("clv", ["70.97", "3.85", "273.32", "(Dhs)"]),
        ("concentration", ["of 253", "CC-0534", "895.65", "3.5%", "29.0%"]),
        ("outstanding", ["over 90 days", "8,801.66", "20,101.94", "│ dso │ days │ 53.4 │ 53.8 │ 52.0 │",
                         "Business accounts, apart: 72 unpaid orders, 10,708.50 Dhs.", "is not on record",
                         "CC-0534", "M-01002"]),
    ],
)  # fmt: skip
def test_tables_have_figures_with_their_units(analysis, name, said, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    found = " ".join(analysis(name).split())
    for part in said:
        assert part in found, f"{part!r} is not in:\n{found}"
    assert ANALYSES.keys() >= {name}


# What it says when it can't --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("clv", "--period", "2026-02"), "clv is over all time: leave --period out."),
        (("outstanding", "--period", "2026-02"), "outstanding is of the exports' date: leave --period out."),
        (("rfm", "--period", "2031-01"), "There is no month '2031-01' in the data: it has 2024-01 to 2026-03."),
        (("rfm", "--period", "2026-W05"), "'2026-W05' is no month: write one like 2026-02."),
        (("retention", "--period", "2026-03"), "'2026-03' is no month that is over: choose one from 2024-01 to"),
        (("concentration", "--period", "2031-W01"), "There is no week '2031-W01' in the data"),
        (("concentration", "--period", "february"), "There is no month 'february' in the data"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_wrong_usage(analysis, arguments, said):
    with pytest.raises(CommandError) as error:
        analysis(*arguments)
    assert error.value.returncode == 2
    assert said in str(error.value)


def test_an_unknown_analysis_lists_those_there_are(analysis):
    with pytest.raises(CommandError, match="invalid choice: 'profit'.*'retention', 'rfm', 'clv'"):
        analysis("profit")


@pytest.mark.parametrize("name", ANALYSES)
def test_without_data_it_says_what_to_do(data_dir, name):
    with pytest.raises(CommandError, match="There is no data yet: put the exports in the exports folder") as error:
        call_command("analysis", name)
    assert error.value.returncode == 1


@pytest.mark.django_db
def test_with_no_month_over_yet_it_asks_for_one(settings, tmp_path):
    data = point_settings_at(settings, tmp_path / "data")
    day = {"Placed": "2026-03-04", "Cleaned": "2026-03-04", "Paid": "0"}
    exports(data / "exports", orders=[day], items=[{"Placed": "2026-03-04"}], invoices=[{"Payment Date": "2026-03-04"}])
    call_command("refresh_data", "--json", stdout=StringIO())
    for name in ("retention", "rfm", "concentration"):
        with pytest.raises(CommandError, match="No month is over yet: name one with --period"):
            call_command("analysis", name)
    out = StringIO()
    call_command("analysis", "rfm", "--period", "2026-03", "--format", "json", stdout=out)
    assert json.loads(out.getvalue())["customers"] == 1
    for name in OF_NO_PERIOD:
        call_command("analysis", name, stdout=StringIO())
