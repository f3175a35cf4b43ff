"""One refresh: what it publishes, what it refuses, what it leaves alone."""

import os
import re
import subprocess
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone

from etl import pipeline
from etl.errors import MoonwalkError, WarehouseError
from operations import lock, refresh, services, tick
from operations.models import Customer, FollowUp, Order, RefreshLock, RefreshRun
from tests.operations import exports

pytestmark = pytest.mark.django_db
State = RefreshRun.State


@pytest.fixture
def folder(data_dir):
    return exports.write(data_dir / "exports")


def run(**arguments) -> RefreshRun:
    return refresh.refresh(trigger="command", **arguments)


def rows(build_id: str | None, sql: str) -> list[tuple]:
    with closing(refresh.warehouse().connect(build_id)) as con:
        return con.execute(sql).fetchall()


# --- What a refresh brings -----------------------------------------------------------------------------------------


def test_it_publishes_and_syncs(folder, people):
    found = run(user=people["root"])
    assert (found.state, found.error) == (State.PUBLISHED, "")
    assert refresh.warehouse().current() == found.build_id
    assert (found.as_of, found.progress, found.started_by) == (date(2026, 3, 5), 100, people["root"])
    assert set(found.seconds) == set(refresh.SHARES)
    assert found.manifest["files"]["orders"]["read"] == 4
    assert found.counts == {
        "customers": {"added": 3, "changed": 0, "gone": 0},
        "orders": {"added": 4, "changed": 0, "gone": 0},
    }
    order = Order.objects.get(pk="M-00101")
    assert (order.customer_id, order.store, order.total, order.paid, order.pieces, order.status) == (
        "CC-0001", "Moon Walk", Decimal("50.25"), True, 4, "Completed")  # fmt: skip
    assert (order.placed, order.collected, order.delivery) == (date(2026, 2, 1), date(2026, 2, 5), True)
    dana = Customer.objects.get(pk="CC-0001")
    assert (dana.name, dana.phone, dana.area, dana.signed_up, dana.cohort_month) == (
        "Dana Haddad", "+971 50 000 0001", "Inside Abu Dhabi", date(2025, 1, 10), "2025-01")  # fmt: skip
    assert RefreshLock.objects.get().holder == ""


def test_a_customer_known_from_orders_alone_gets_a_row(folder):
    run()
    stranger = Customer.objects.get(pk="CC-0003")
    assert (stranger.in_latest_export, stranger.orders.get().pk) == (False, "M-00103")


def test_a_text_longer_than_its_column_is_cut(folder):
    exports.write(folder, customers={1: exports.CUSTOMERS[1].replace("Dana Haddad", "D" * 1000)})
    assert run().state == State.PUBLISHED
    assert Customer.objects.get(pk="CC-0001").name == "D" * 300


@pytest.mark.sqlite_suffices
def test_published_files_are_there_for_excel(folder, data_dir):
    run()
    assert "CC-0001" in (data_dir / "published" / "customers.csv").read_text(encoding="utf-8-sig")
    assert (data_dir / "published" / "sales.parquet").stat().st_size > 0


def test_only_changed_rows_are_written(folder):
    run()
    before = dict(Order.objects.values_list("pk", "synced_at"))
    paid = exports.ORDERS | {102: exports.ORDERS[102].replace("20.00,0,,", "20.00,1,Cash,2026-03-01")}
    exports.write(folder, orders=paid)
    found = run()
    assert found.counts["orders"] == {"added": 0, "changed": 1, "gone": 0}
    assert found.counts["customers"] == {"added": 0, "changed": 0, "gone": 0}
    after = dict(Order.objects.values_list("pk", "synced_at"))
    assert {pk for pk in after if after[pk] != before[pk]} == {"M-00102"}
    assert Order.objects.get(pk="M-00102").paid


def test_rows_gone_are_kept_and_marked_and_come_back(folder, people):
    run()
    services.followup_save(FollowUp(note="Call her back", order=Order.objects.get(pk="H-00201")), user=people["dana"])
    exports.write(folder, orders={n: r for n, r in exports.ORDERS.items() if n != 201},
                  customers={1: exports.CUSTOMERS[1]})  # fmt: skip
    found = run()
    assert (found.counts["orders"]["gone"], found.counts["customers"]["gone"]) == (1, 1)
    assert not Order.objects.get(pk="H-00201").in_latest_export
    assert not Customer.objects.get(pk="CC-0002").in_latest_export
    assert FollowUp.objects.get().order_id == "H-00201"
    exports.write(folder)
    found = run()
    assert found.counts["orders"] == {"added": 0, "changed": 1, "gone": 0}
    assert Order.objects.get(pk="H-00201").in_latest_export


@pytest.mark.sqlite_suffices
def test_progress_never_goes_back(folder):
    told = []
    run(on_progress=told.append)
    percents = [event.percent for event in told]
    assert percents == sorted(percents)
    assert {event.step for event in told} == set(refresh.SHARES)
    assert sum(refresh.SHARES.values()) == 100


# --- Nothing new, force, dry run -----------------------------------------------------------------------------------


@pytest.mark.sqlite_suffices
def test_unchanged_exports_are_nothing_new(folder, monkeypatch):
    first = run()
    monkeypatch.setattr(pipeline, "_stage", lambda *a: pytest.fail("it read the files"))
    second = run()
    assert (second.state, second.build_id) == (State.NOTHING_NEW, first.build_id)
    assert second.manifest["files"] == first.manifest["files"]
    assert len(refresh.warehouse().builds()) == 1


@pytest.mark.sqlite_suffices
def test_force_builds_all_the_same(folder, monkeypatch):
    run()
    assert run_later(monkeypatch, force=True).state == State.PUBLISHED
    assert len(refresh.warehouse().builds()) == 2


def run_later(monkeypatch, seconds: int = 2, **arguments) -> RefreshRun:
    """A run whose build gets a name of its own, as names hold the second."""

    class Later(pipeline.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) + timedelta(seconds=seconds)

    monkeypatch.setattr(pipeline, "datetime", Later)
    return run(**arguments)


@pytest.mark.sqlite_suffices
def test_a_database_that_was_lost_is_filled_again(folder, monkeypatch):
    run()
    Order.objects.all().delete()
    RefreshRun.objects.all().delete()
    assert run_later(monkeypatch).state == State.PUBLISHED
    assert Order.objects.count() == 4


@pytest.mark.sqlite_suffices
def test_a_dry_run_publishes_nothing(folder):
    found = run(dry_run=True)
    assert (found.state, found.manifest["files"]["orders"]["loaded"]) == (State.CHECKED, 4)
    assert refresh.warehouse().current() is None
    assert refresh.warehouse().builds() == []
    assert Order.objects.count() == 0


# --- What is left on disk ------------------------------------------------------------------------------------------

BROKEN = exports.ORDERS | {104: ",1,36319,Moon Walk,2026-02-01,,2026-02-09,,,0,1,9.00,0,,,Ready"}


def builds_with_rows_set_aside(data_dir) -> list[str]:
    return sorted(p.name for p in (data_dir / "quarantine").iterdir())


def builds_on_disk(data_dir) -> list[str]:
    return sorted(p.stem for p in (data_dir / "warehouse").glob("*.duckdb"))


@pytest.mark.parametrize("key", ["", "correct horse battery staple"])
@pytest.mark.sqlite_suffices
def test_a_dry_run_leaves_no_rows_behind_but_says_where_they_were(folder, data_dir, settings, key):
    settings.WAREHOUSE_KEY = key
    exports.write(folder, orders=BROKEN | {105: BROKEN[104].replace("9.00", "8.00")})
    found = run(dry_run=True)
    assert found.manifest["files"]["orders"]["quarantined"] == {"no order ID": 2}
    assert found.manifest["rejected"] == {
        "orders": {"no order ID": {"file": "CC-Orders-2026-03-05.csv", "count": 2, "rows": [6, 7]}}
    }
    assert builds_with_rows_set_aside(data_dir) == builds_on_disk(data_dir) == []


@pytest.mark.sqlite_suffices
def test_exports_that_were_rolled_back_leave_no_rows_behind(folder, data_dir):
    first = run()
    exports.write(folder, orders=BROKEN)
    second = run()
    refresh.rollback()
    assert run().state == State.NOTHING_NEW
    assert builds_on_disk(data_dir) == sorted([first.build_id, second.build_id])
    assert builds_with_rows_set_aside(data_dir) == [second.build_id]


@pytest.mark.parametrize("where", ["operations.refresh.enrich_candidate", "operations.sync.sync"])
@pytest.mark.sqlite_suffices
def test_a_failure_after_the_build_leaves_no_rows_behind(folder, data_dir, monkeypatch, where):
    exports.write(folder, orders=BROKEN)
    monkeypatch.setattr(where, lambda *a: 1 / 0)
    assert run().state == State.FAILED
    assert builds_with_rows_set_aside(data_dir) == builds_on_disk(data_dir) == []


@pytest.mark.sqlite_suffices
def test_what_a_dead_refresh_left_is_gone_after_the_next_even_when_nothing_is_new(folder, data_dir):
    exports.write(folder, orders=BROKEN)
    live = run()
    for build_id in ("20260301-060000-finished", "20260301-060000-unfinished"):
        (data_dir / "warehouse" / f"{build_id}.duckdb").write_bytes(b"half")
        (data_dir / "quarantine" / build_id).mkdir()
        (data_dir / "quarantine" / build_id / "orders.csv").write_text("Dana Haddad")
    manifest = {k: v for k, v in live.manifest.items() if k != "published"}
    refresh.warehouse().write_manifest("20260301-060000-finished", manifest)
    (data_dir / "quarantine" / "20260301-060000-staged").mkdir()
    kept = sorted(p.name for p in (data_dir / "landing").iterdir())
    (data_dir / "landing" / ".0a1b.csv.sealed.partial").write_text("Dana Haddad")
    assert run().state == State.NOTHING_NEW
    assert builds_on_disk(data_dir) == builds_with_rows_set_aside(data_dir) == [live.build_id]
    assert sorted(p.name for p in (data_dir / "landing").iterdir()) == kept


# --- What goes wrong -----------------------------------------------------------------------------------------------


@pytest.mark.sqlite_suffices
def test_bad_input_is_refused_and_the_old_data_stays(folder):
    first = run()
    file = folder / "CC-Orders-2026-03-05.csv"
    file.write_text(file.read_text().replace("Cleaned,", "Washed,", 1))
    found = run()
    assert found.state == State.REFUSED
    assert "CC-Orders-2026-03-05.csv" in found.error
    assert "Cleaned" in found.error
    assert refresh.warehouse().current() == first.build_id
    assert Order.objects.count() == 4


@pytest.mark.parametrize("where", ["operations.refresh.enrich_candidate", "operations.sync._write"])
def test_a_surprise_leaves_the_old_build_and_no_candidate(folder, monkeypatch, where, caplog):
    first = run()
    exports.write(folder, customers={1: exports.CUSTOMERS[1].replace("Haddad", "Aziz"), 2: exports.CUSTOMERS[2]})
    name = exports.CUSTOMERS[1].split(",")[1]
    with monkeypatch.context() as patch:
        patch.setattr(where, lambda *a: (_ for _ in ()).throw(ValueError(f"about {name}")))
        found = run()
    assert (found.state, found.error) == (State.FAILED, f"ValueError: about {name}")
    assert name not in caplog.text, "the log may hold no customer's name"
    assert refresh.warehouse().current() == first.build_id
    assert [b.build_id for b in refresh.warehouse().builds()] == [first.build_id]
    assert Customer.objects.get(pk="CC-0001").name == "Dana Haddad"
    assert run().state == State.PUBLISHED


@pytest.mark.sqlite_suffices
def test_a_pointer_that_cannot_be_moved_is_moved_by_the_next_refresh(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("etl.warehouse.Warehouse.publish", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
        stuck = run()
    assert (stuck.state, stuck.error) == (State.PUBLISHING, "OSError: disk full")
    assert run().state == State.NOTHING_NEW
    stuck.refresh_from_db()
    assert (stuck.state, stuck.error) == (State.PUBLISHED, "")
    assert refresh.warehouse().current() == stuck.build_id


FULL = OSError(28, "No space left on device")


def test_a_disk_that_stays_full_while_publishing_is_said_and_nothing_else_begins(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("etl.warehouse.Warehouse.publish", lambda *a: (_ for _ in ()).throw(FULL))
        stuck = run()
        said = f"The build of refresh {stuck.pk} can't be made live: No space left on device. See to the disk of "
        for again in (run, refresh.recover):
            with pytest.raises(MoonwalkError, match=re.escape(said)):
                again()
        assert tick.run()[0].startswith(said)
        waits = services.run_queue(trigger="schedule")
        assert refresh.run_queued(waits.pk).state == State.QUEUED
        stood_by = services.run_queue(trigger="button")
        assert refresh.run_queued(stood_by.pk).state == State.FAILED
    for one in (stuck, waits, stood_by):
        one.refresh_from_db()
        assert one.error.startswith(said) and one.error_for_output == one.error
    assert (stuck.state, RefreshRun.objects.count()) == (State.PUBLISHING, 3)
    assert refresh.recover()
    stuck.refresh_from_db()
    assert (stuck.state, stuck.error) == (State.PUBLISHED, "")


@pytest.mark.parametrize(("redis", "says"), [("", "manage.py tick"), ("redis://127.0.0.1:1/0", "Celery worker")])
@pytest.mark.sqlite_suffices
def test_a_run_that_nobody_took_up_says_who_would_have(folder, settings, redis, says):
    late = services.run_queue(trigger="schedule")
    RefreshRun.objects.update(started_at=timezone.now() - timedelta(days=2))
    settings.REDIS_URL = redis
    run(dry_run=True)
    late.refresh_from_db()
    assert late.state == State.FAILED and says in late.error


@pytest.mark.sqlite_suffices
def test_files_for_excel_that_cannot_be_written_are_a_warning(folder, monkeypatch):
    monkeypatch.setattr(pipeline, "publish_files", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full")))
    found = run()
    assert found.state == State.PUBLISHED
    assert any("disk full" in warning for warning in found.warnings)


@pytest.mark.sqlite_suffices
def test_ctrl_c_ends_the_run(folder, monkeypatch):
    monkeypatch.setattr(pipeline, "build", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run()
    assert RefreshRun.objects.get().state == State.FAILED
    assert RefreshLock.objects.get().holder == ""


# --- One at a time -------------------------------------------------------------------------------------------------


def test_a_second_refresh_is_told_about_the_first(folder):
    first = services.run_open(trigger="command")
    services.run_progress(first, step="marts", progress=41)
    with lock.Lock() as held:
        held.attach(first)
        with pytest.raises(lock.RefreshBusy, match=r"already running since \d\d:\d\d:\d\d \(step marts, 41 %\)"):
            run()
    assert run().state == State.PUBLISHED


@pytest.mark.sqlite_suffices
def test_a_second_click_says_since_when_the_first_waits(folder, monkeypatch, people):
    monkeypatch.setattr(refresh, "_run_in_thread", lambda run_id: None)  # a worker that is slow to come
    first = refresh.start(user=people["root"])
    with pytest.raises(lock.RefreshBusy, match=r"already waiting for its turn since \d\d:\d\d:\d\d\. Wait") as busy:
        refresh.start(user=people["root"])
    assert busy.value.run == first
    with lock.Lock(), pytest.raises(lock.RefreshBusy, match="already waiting") as busy:  # taken, its run not yet told
        refresh.start(user=people["root"])
    assert busy.value.run == first
    RefreshRun.objects.all().delete()
    with lock.Lock(), pytest.raises(lock.RefreshBusy, match="already running; it has only just begun"):
        refresh.start(user=people["root"])


def test_a_dead_process_on_this_machine_loses_the_lock_at_once(folder):
    ended = subprocess.Popen(["true"])  # no fork of this process: a test run that is large by now may not be doubled
    ended.wait()
    hold(pid=ended.pid, age=timedelta(0))
    assert run().state == State.PUBLISHED


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
@pytest.mark.sqlite_suffices
def test_a_killed_process_whose_parent_has_not_looked_yet_is_dead(folder):
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # ended, and its number still taken
    try:
        os.kill(ended.pid, 0)
        hold(pid=ended.pid, age=timedelta(0))
        assert run().state == State.PUBLISHED
    finally:
        ended.wait()


def test_a_living_process_on_this_machine_keeps_the_lock_though_its_heartbeat_is_held_back(folder):
    """A first load's transaction may take minutes, in which SQLite takes no heartbeat."""
    hold(pid=os.getppid(), age=lock.STALE_AFTER * 20)
    assert lock.running()
    with pytest.raises(lock.RefreshBusy):
        run()
    hold(pid=os.getppid(), age=lock.REUSED_AFTER + timedelta(seconds=1))  # its number is another process's by now
    assert lock.running() is None
    assert run().state == State.PUBLISHED


def test_a_sign_of_life_between_look_and_take_keeps_the_lock(folder, monkeypatch):
    hold(host="another-machine", age=lock.STALE_AFTER * 2)
    judge = lock._is_dead

    def judge_slowly(row):
        dead = judge(row)
        RefreshLock.objects.update(heartbeat_at=timezone.now())
        return dead

    monkeypatch.setattr(lock, "_is_dead", judge_slowly)
    with pytest.raises(lock.RefreshBusy):
        run()
    assert RefreshLock.objects.get().holder == "somebody"


def test_a_process_elsewhere_loses_it_after_missed_heartbeats(folder):
    hold(host="another-machine", age=timedelta(seconds=30))
    with pytest.raises(lock.RefreshBusy):
        run()
    hold(host="another-machine", age=lock.STALE_AFTER + timedelta(seconds=1))
    assert run().state == State.PUBLISHED


def hold(*, age: timedelta, host: str = "", pid: int = 1) -> None:
    host = host or lock.socket.gethostname()
    RefreshLock.objects.filter(pk=1).update(holder="somebody", host=host, pid=pid, heartbeat_at=timezone.now() - age)


def test_whoever_was_taken_for_dead_writes_nothing(folder, monkeypatch):
    """The first process slept through its heartbeats, a second one took over: the first may not sync any more."""

    def taken_over(*args):
        RefreshLock.objects.update(holder="the second process")

    monkeypatch.setattr(refresh, "enrich_candidate", taken_over)
    found = run()
    assert found.state == State.FAILED
    assert "LockLost" in found.error
    assert Order.objects.count() == 0
    assert refresh.warehouse().current() is None
    assert RefreshLock.objects.get().holder == "the second process"


def test_the_heartbeat_beats(folder, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.01)
    beats = []
    monkeypatch.setattr(lock.Lock, "_touch", lambda self, **k: beats.append(self.token))
    with lock.Lock() as held:
        held._stop.wait(0.5)
    assert len(beats) > 5
    assert not held._thread.is_alive()


def test_dead_runs_are_marked(folder):
    running = services.run_open(trigger="schedule")
    services.run_progress(running, step="stage", progress=30)
    queued = services.run_queue(trigger="button")
    RefreshRun.objects.filter(pk=queued.pk).update(started_at=timezone.now() - timedelta(hours=1))
    fresh = services.run_queue(trigger="button")
    run()
    for dead in (running, queued, fresh):
        dead.refresh_from_db()
    assert (running.state, running.error) == (State.FAILED, "The process ended at step stage without a word.")
    assert (queued.state, "manage.py tick" in queued.error) == (State.FAILED, True)
    assert fresh.state == State.QUEUED


def test_a_run_that_was_ended_is_never_written_again(folder):
    found = services.run_open(trigger="command")
    services.run_mark_failed(RefreshRun.objects.get(pk=found.pk), error="taken over")
    with pytest.raises(services.RunEnded):
        services.run_progress(found, step="marts", progress=50)
    assert RefreshRun.objects.get(pk=found.pk).progress == 0


# --- Going back ----------------------------------------------------------------------------------------------------


@pytest.fixture
def two_builds(folder):
    first = run()
    exports.write(folder, orders={n: r for n, r in exports.ORDERS.items() if n != 201})
    return first, run()


def test_a_rollback_takes_customers_and_orders_along(two_builds):
    first, second = two_builds
    assert not Order.objects.get(pk="H-00201").in_latest_export
    back = refresh.rollback()
    assert (back.state, back.build_id, back.trigger) == (State.PUBLISHED, first.build_id, "rollback")
    assert refresh.warehouse().current() == first.build_id
    assert Order.objects.get(pk="H-00201").in_latest_export
    assert refresh.warehouse().rolled_back() == {second.manifest["inputs"]}


@pytest.mark.sqlite_suffices
def test_rolled_back_exports_come_back_by_force_alone(two_builds, monkeypatch):
    first, _ = two_builds
    refresh.rollback()
    again = run_later(monkeypatch, 2)
    assert (again.state, again.build_id) == (State.NOTHING_NEW, first.build_id)
    assert "rolled back" in again.warnings[0]
    assert len(refresh.warehouse().builds()) == 2
    forced = run_later(monkeypatch, 4, force=True)
    assert forced.state == State.PUBLISHED
    assert not refresh.warehouse().rolled_back()


@pytest.mark.sqlite_suffices
def test_newer_exports_are_published_after_a_rollback(two_builds, folder):
    refresh.rollback()
    exports.write(folder, day="2026-03-06")
    assert run().state == State.PUBLISHED


@pytest.mark.sqlite_suffices
def test_forward_again(two_builds):
    _, second = two_builds
    refresh.rollback()
    assert refresh.rollback(second.build_id).build_id == second.build_id
    assert not refresh.warehouse().rolled_back()


@pytest.mark.sqlite_suffices
def test_there_is_no_way_back_from_the_first_build(folder):
    run()
    with pytest.raises(WarehouseError, match="no earlier"):
        refresh.rollback()
    with pytest.raises(WarehouseError, match="no published build 20260101-000000-abcdef"):
        refresh.rollback("20260101-000000-abcdef")


@pytest.mark.full
def test_old_sets_of_exports_and_their_quarantine_go(folder, data_dir):
    for day in range(1, 8):
        broken = exports.ORDERS | {104: f",1,36319,Moon Walk,2026-02-0{day},,2026-02-09,,,0,1,9.00,0,,,Ready"}
        exports.write(folder, orders=broken, day=f"2026-03-0{day}")
        assert run().manifest["files"]["orders"]["quarantined"] == {"no order ID": 1}
    kept = {b.build_id for b in refresh.warehouse().builds()}
    assert len(kept) == refresh.KEEP_SETS == 5
    assert {p.name for p in (data_dir / "quarantine").iterdir()} == kept


# --- Encrypted -----------------------------------------------------------------------------------------------------


@pytest.mark.sqlite_suffices
def test_an_encrypted_refresh(folder, settings, data_dir):
    settings.WAREHOUSE_KEY = "correct horse battery staple"
    assert run().state == State.PUBLISHED
    assert rows(None, "SELECT count(*) FROM orders") == [(4,)]
    assert "Dana" not in (data_dir / "published" / "customers.csv").read_text(encoding="utf-8-sig")
    settings.WAREHOUSE_KEY = "wrong"
    with pytest.raises(WarehouseError, match="MOONWALK_WAREHOUSE_KEY"):
        rows(None, "SELECT 1")


@pytest.mark.sqlite_suffices
def test_a_file_that_lost_many_rows_is_told_loudly(folder):
    assert not [w for w in run().warnings if "IMPORTANT" in w]
    exports.write(folder, orders=dict(list(exports.ORDERS.items())[:1]))
    [told] = [w for w in run().warnings if w.startswith("IMPORTANT: CC-Orders")]
    assert f"has 1 rows, the last one had {len(exports.ORDERS)}" in told


@pytest.mark.sqlite_suffices
def test_another_key_or_none_does_not_pass_for_nothing_new(folder, settings):
    settings.WAREHOUSE_KEY = "a key"
    first = run()
    for key, said in (("another", "does not open build"), ("", "is encrypted but MOONWALK_WAREHOUSE_KEY is not set")):
        settings.WAREHOUSE_KEY = key
        refused = run()
        assert refused.state == RefreshRun.State.REFUSED and said in refused.error
        assert refresh.warehouse().current() == first.build_id
    settings.WAREHOUSE_KEY = "another"
    assert run(force=True).state == RefreshRun.State.PUBLISHED
