"""The watch over the exports folder: what starts a refresh by itself, what is waited for, what is let be."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from operations import refresh, services, watch
from operations.lock import Lock
from operations.models import FolderWatch, RefreshRun
from tests.operations import exports

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]
WRITTEN = datetime(2026, 3, 6, 5, tzinfo=UTC)  # when the files of this test are put there
Trigger, State = RefreshRun.Trigger, RefreshRun.State
CHANGED = exports.ORDERS | {102: exports.ORDERS[102].replace(",20.00,", ",99.00,")}


@pytest.fixture
def folder(data_dir) -> Path:
    """The exports folder before anything was refreshed."""
    folder = data_dir / "exports"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def live(first_refresh, data_dir) -> Path:
    """The exports folder, its files refreshed from; the watch has looked."""
    first_refresh()
    folder = data_dir / "exports"
    written(folder, -3600)
    rounds(0, 30)
    assert not asked()
    return folder


def written(folder: Path, seconds: float = 0, only: str = "CC-") -> Path:
    """Let the files be written so many seconds after WRITTEN."""
    at = WRITTEN.timestamp() + seconds
    for path in folder.iterdir():
        if path.name.startswith(only):
            os.utime(path, (at, at))
    return folder


def rounds(*seconds: float) -> list[str]:
    """Look at these seconds after WRITTEN; what was done, together."""
    return [said for at in seconds for said in watch.watch(WRITTEN + timedelta(seconds=at))]


def asked() -> list[str]:
    return list(RefreshRun.objects.filter(trigger=Trigger.WATCH).values_list("state", flat=True))


# --- A new set -------------------------------------------------------------------------------------------------------


def test_new_exports_start_a_refresh_once_they_are_settled(live):
    exports.write(live, orders=CHANGED, day="2026-03-06")
    written(live)
    assert rounds(5, 15, 24) == [], "first seen at 5 s"
    said = rounds(30)
    run = RefreshRun.objects.get(trigger=Trigger.WATCH)
    assert said == [f"New exports: refresh {run.pk} was asked for."]
    assert rounds(60, 90, 3600) == [], "that set is done with"
    ended = refresh.run_queued(run.pk)
    assert (ended.state, str(ended.as_of)) == (State.PUBLISHED, "2026-03-06")


def test_the_first_set_of_a_new_installation(folder):
    written(exports.write(folder))
    assert len(rounds(0, 30)) == 1
    assert refresh.run_queued(RefreshRun.objects.get().pk).state == State.PUBLISHED


def test_a_file_that_grows_is_waited_for(live):
    exports.write(live, orders=CHANGED, day="2026-03-06")
    orders = live / "CC-Orders-2026-03-06.csv"
    whole = orders.read_bytes()
    for second in range(0, 300, 30):  # a slow download: at each look it is longer
        orders.write_bytes(whole[: 50 + second])
        written(live, second)
        assert rounds(second + 1) == []
    orders.write_bytes(whole)
    written(live, 300)
    assert rounds(301, 315) == []
    assert len(rounds(331)) == 1


@pytest.mark.parametrize("name", ["CC-Orders-2026-03-06.csv.part", "CC-Orders-2026-03-06.csv.crdownload",
                                  "Unconfirmed 4711.crdownload"])  # fmt: skip
def test_a_file_that_a_browser_loads_is_waited_for(live, name):
    exports.write(live, orders=CHANGED, day="2026-03-06")
    (live / name).write_bytes(b"Order ID,")
    written(live, only="")
    assert rounds(0, 60, 600) == []
    (live / name).unlink()
    assert len(rounds(630, 660)) == 1


@pytest.mark.parametrize("name", ["~$CC-Orders-2026-03-07.xlsx", ".CC-Orders-2026-03-07.csv", "notes.docx", "a.zip"])
def test_what_is_no_export_is_not_looked_at(live, name):
    (live / name).write_bytes(b"x")
    assert rounds(0, 60, 1200) == []
    assert not asked()


def test_an_empty_file_is_one_that_has_only_just_begun(live):
    exports.write(live, orders=CHANGED, day="2026-03-06")
    (live / "CC-Items-2026-03-06.csv").write_bytes(b"")
    written(live)
    assert rounds(0, 60) == []


@pytest.mark.parametrize(("name", "content"), [("Unconfirmed 4711.crdownload", b"Order ID,"),
                                               ("CC-Orders-2026-02-01.csv", b"")])  # fmt: skip
def test_what_nobody_finished_long_ago_holds_nothing_up(live, name, content):
    """A download that was broken off, a file that never got its rows: left over, and new exports come every day."""
    (live / name).write_bytes(content)
    written(live, -16 * 60, only="")
    made = exports.write(live.parent / "made", orders=CHANGED, day="2026-03-06")
    for path in made.iterdir():
        path.rename(live / path.name)
    for path in live.glob("*-2026-03-06.csv"):
        written(live, only=path.name)
    assert len(rounds(0, 30)) == 1


def test_what_is_never_finished_is_waited_for_a_quarter_of_an_hour(live):
    exports.write(live, orders=CHANGED, day="2026-03-06")
    (live / "Unconfirmed 4711.crdownload").write_bytes(b"Order ID,")
    written(live, only="")
    assert rounds(0, 30, 890) == []
    assert len(rounds(930, 960)) == 1


def test_an_export_that_stays_empty_is_refused_with_a_sentence(live):
    exports.write(live, orders=CHANGED, day="2026-03-06")
    (live / "CC-Items-2026-03-06.csv").write_bytes(b"")
    written(live)
    assert rounds(0, 890) == []
    (said,) = rounds(930, 960, 1900, 1960)
    assert "CC-Items-2026-03-06.csv" in said
    assert rounds(2000, 7200) == []


def test_a_clock_that_is_ahead_holds_nothing_up(live):
    """A file server whose clock is an hour fast: that nothing changed between two looks is enough."""
    exports.write(live, orders=CHANGED, day="2026-03-06")
    written(live, 3600)
    assert len(rounds(0, 30)) == 1


# --- Not a new set ---------------------------------------------------------------------------------------------------


def test_the_live_figures_own_files_start_nothing(live):
    """Touched, copied anew, another name: the content is what is live."""
    written(live, 100)
    (live / "CC-Orders-2026-03-05.csv").rename(live / "CC-Orders-2026-03-05 (1).csv")
    assert rounds(130, 160, 190) == []
    assert not asked()
    assert FolderWatch.objects.get().tried == watch.look(live, WRITTEN)


def test_some_other_file_beside_them_starts_nothing(live):
    (live / "readme.txt").write_text("for the new colleague")
    written(live, 0, only="readme")
    assert rounds(30, 60) == []
    assert not asked()


def test_a_set_that_was_refused_is_not_tried_again(live):
    exports.write(live, day="2026-03-06")
    (live / "CC-Items-2026-03-06.csv").write_text("Order ID,Item\n1,Shirt\n")
    written(live)
    (said,) = rounds(0, 30, 60, 930)
    assert "CC-Items-2026-03-06.csv: the column Placed is missing" in said
    assert refresh.run_queued(RefreshRun.objects.get(trigger=Trigger.WATCH).pk).state == State.REFUSED
    assert rounds(960, 7200) == []
    exports.write(live, orders=CHANGED, day="2026-03-06")
    written(live, 7300)
    assert len(rounds(7330, 7360)) == 1, "the mended set is another one"


def test_nothing_is_tried_while_another_refresh_runs_and_then_it_is(live):
    exports.write(live, orders=CHANGED, day="2026-03-06")
    written(live)
    with Lock():
        assert rounds(0, 30, 60) == []
    waiting = services.run_queue(trigger="schedule")
    refresh.RefreshRun.objects.filter(pk=waiting.pk).update(state=State.FAILED, finished_at=WRITTEN)
    assert len(rounds(90)) == 1


def test_an_empty_or_missing_folder_is_no_set(folder):
    assert rounds(0, 30, 60) == []
    folder.rmdir()
    assert rounds(90) == []
    assert not RefreshRun.objects.exists()


# --- Not a whole set -------------------------------------------------------------------------------------------------


def test_the_rest_of_a_set_is_waited_for_a_quarter_of_an_hour(live):
    """Orders of today beside Items of yesterday: somebody is downloading one after the other."""
    old = (live / "CC-Items-2026-03-05.csv").read_bytes()
    exports.write(live, orders=CHANGED, day="2026-03-06")
    items = live / "CC-Items-2026-03-06.csv"
    late = items.read_bytes()
    items.unlink()
    (live / "CC-Items-2026-03-05.csv").write_bytes(old)
    written(live)
    assert rounds(0, 60, 600) == []
    items.write_bytes(late)
    written(live, 610)
    assert len(rounds(630, 660)) == 1


def test_then_it_goes_with_what_is_there_and_says_so(live):
    items = (live / "CC-Items-2026-03-05.csv").read_bytes()
    exports.write(live, orders=CHANGED, day="2026-03-06")
    (live / "CC-Items-2026-03-06.csv").unlink()
    (live / "CC-Items-2026-03-05.csv").write_bytes(items)
    written(live)
    assert rounds(0, 890) == []
    (said,) = rounds(901)
    assert said.endswith("Older than the rest: CC-Items-2026-03-05.csv.")
    run = refresh.run_queued(RefreshRun.objects.get(trigger=Trigger.WATCH).pk)
    assert run.state == State.PUBLISHED
    assert any("carry different dates" in warning for warning in run.warnings), run.warnings


def test_a_missing_kind_is_waited_for_too_and_then_refused_with_a_sentence(folder):
    exports.write(folder)
    (folder / "CC-Invoices-2026-03-05.csv").unlink()
    written(folder)
    assert rounds(0, 600) == []
    assert len(rounds(901)) == 1
    run = refresh.run_queued(RefreshRun.objects.get().pk)
    assert (run.state, "No export of Invoices" in run.error) == (State.REFUSED, True)


def test_files_without_a_date_are_whole_once_each_is_new(live):
    def undated(kind: str, content: bytes) -> None:
        (live / f"CC-{kind}.csv").write_bytes(content)

    for path in sorted(live.glob("CC-*-2026-03-05.csv")):
        undated(path.name.split("-")[1], path.read_bytes())
        path.unlink()
    for kind in ("Customers", "Orders", "Items"):
        undated(kind, (live / f"CC-{kind}.csv").read_bytes() + b"\n")
    written(live)
    assert rounds(0, 30) == [], "the invoices are those of the live figures"
    undated("Invoices", (live / "CC-Invoices.csv").read_bytes() + b"\n")
    written(live, 40)
    assert len(rounds(60, 90)) == 1
