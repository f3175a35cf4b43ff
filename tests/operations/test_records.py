"""What each published run leaves on record for those to come: what was owed, of each day as its newest run said."""

from contextlib import closing
from datetime import date

import pytest

from analytics.receivables import performance
from operations import refresh
from operations.models import RefreshRun
from tests.operations import exports

pytestmark = pytest.mark.django_db
State = RefreshRun.State
# As written, orders M-00102 (20.00) and M-00103 (15.00) are open.
PAID = exports.ORDERS | {102: exports.ORDERS[102].replace("20.00,0,,", "20.00,1,Cash,2026-03-01")}


@pytest.fixture
def folder(data_dir):
    return exports.write(data_dir / "exports")


@pytest.fixture
def on_day(folder):
    """Refreshes with the exports of a day: on_day("2026-03-06", orders=...) -> the run."""

    def run(day: str, **arguments) -> RefreshRun:
        orders = arguments.pop("orders", exports.ORDERS)
        exports.write(folder, orders=orders, day=day)
        found = refresh.refresh(trigger="command", **arguments)
        assert found.state in (State.PUBLISHED, State.CHECKED), found.error
        return found

    return run


def whole_on_record() -> dict[date, float]:
    """What the whole business was owed, by day, as the live build has it."""
    with closing(refresh.warehouse().connect()) as con:
        return dict(
            con.execute("SELECT as_of, total::DOUBLE FROM receivables WHERE store = 'All stores' ORDER BY 1").fetchall()
        )


def test_a_run_keeps_its_own_receivables_and_gets_those_of_earlier_days(on_day):
    first = on_day("2026-03-05")
    assert first.manifest["receivables"] == [
        {"as_of": "2026-03-05", "store": "All stores", "total": "35.00", "not_yet_due": "0.00"},
        {"as_of": "2026-03-05", "store": "Moon Walk", "total": "35.00", "not_yet_due": "0.00"},
        {"as_of": "2026-03-05", "store": "Hielo", "total": "0.00", "not_yet_due": "0.00"},
    ]
    second = on_day("2026-03-06", orders=PAID)
    assert [row["total"] for row in second.manifest["receivables"]] == ["15.00", "15.00", "0.00"]
    assert whole_on_record() == {date(2026, 3, 5): 35.0, date(2026, 3, 6): 15.0}


@pytest.mark.sqlite_suffices
def test_of_a_day_the_newest_published_run_counts(on_day):
    on_day("2026-03-05")
    on_day("2026-03-05", orders=PAID)
    on_day("2026-03-05", orders={103: exports.ORDERS[103].replace("15.00", "9.00")}, dry_run=True)  # not published
    on_day("2026-03-06")
    assert whole_on_record() == {date(2026, 3, 5): 15.0, date(2026, 3, 6): 35.0}


@pytest.mark.sqlite_suffices
def test_a_run_of_older_exports_knows_nothing_of_later_days(on_day):
    on_day("2026-03-06")
    on_day("2026-03-05", orders=PAID)
    assert whole_on_record() == {date(2026, 3, 5): 15.0}


def test_what_was_rolled_back_is_off_the_record_until_somebody_goes_forward_again(on_day):
    first = on_day("2026-03-05")
    wrong = on_day("2026-03-06", orders=PAID)
    refresh.rollback()
    on_day("2026-03-07")
    assert whole_on_record() == {date(2026, 3, 5): 35.0, date(2026, 3, 7): 35.0}
    refresh.rollback(first.build_id)
    refresh.rollback(wrong.build_id)
    on_day("2026-03-08")
    assert whole_on_record() == {date(2026, 3, 5): 35.0, date(2026, 3, 6): 15.0, date(2026, 3, 8): 35.0}


@pytest.mark.sqlite_suffices
def test_runs_from_before_receivables_were_kept_are_passed_over(on_day):
    first = on_day("2026-03-05")
    RefreshRun.objects.filter(pk=first.pk).update(
        manifest={k: v for k, v in first.manifest.items() if k != "receivables"}
    )
    on_day("2026-03-06")
    assert list(whole_on_record()) == [date(2026, 3, 6)]


@pytest.mark.sqlite_suffices
def test_collection_effectiveness_has_a_start_90_days_after_the_first_run(on_day):
    from analytics import queries

    on_day("2025-12-05", orders={50: "50,1,36319,Moon Walk,2025-11-01,,2025-11-02,,,0,1,40.00,0,,,Ready"})
    on_day("2026-03-05")
    found = queries.current().ledger()
    # Owed 40 then; sold on credit since: 50.25 (paid four days later), 20, 15 and 30; of the 155.25, 35 are still owed.
    assert found.start == date(2025, 12, 5)
    whole = performance(found).row(0, named=True)
    assert (whole["start_receivables"], whole["credit_sales_since"]) == (40.0, 115.25)
    assert whole["collection_effectiveness"] == pytest.approx((40 + 115.25 - 35) / (40 + 115.25))
