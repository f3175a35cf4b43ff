"""One refresh: what it publishes, what it refuses, what it leaves alone."""

import os
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from etl import pipeline
from etl.errors import WarehouseError
from operations import lock, refresh, services
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
    services.followup_add(note="Call her back", user=people["dana"], order=Order.objects.get(pk="H-00201"))
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


def test_progress_never_goes_back(folder):
    told = []
    run(on_progress=told.append)
    percents = [event.percent for event in told]
    assert percents == sorted(percents)
    assert {event.step for event in told} == set(refresh.SHARES)
    assert sum(refresh.SHARES.values()) == 100


# --- Nothing new, force, dry run -----------------------------------------------------------------------------------


def test_unchanged_exports_are_nothing_new(folder, monkeypatch):
    first = run()
    monkeypatch.setattr(pipeline, "_stage", lambda *a: pytest.fail("it read the files"))
    second = run()
    assert (second.state, second.build_id) == (State.NOTHING_NEW, first.build_id)
    assert second.manifest["files"] == first.manifest["files"]
    assert len(refresh.warehouse().builds()) == 1


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


def test_a_database_that_was_lost_is_filled_again(folder, monkeypatch):
    run()
    Order.objects.all().delete()
    RefreshRun.objects.all().delete()
    assert run_later(monkeypatch).state == State.PUBLISHED
    assert Order.objects.count() == 4


def test_a_dry_run_publishes_nothing(folder):
    found = run(dry_run=True)
    assert (found.state, found.manifest["files"]["orders"]["loaded"]) == (State.CHECKED, 4)
    assert refresh.warehouse().current() is None
    assert refresh.warehouse().builds() == []
    assert Order.objects.count() == 0


# --- What goes wrong -----------------------------------------------------------------------------------------------


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


def test_a_pointer_that_cannot_be_moved_is_moved_by_the_next_refresh(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("etl.warehouse.Warehouse.publish", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
        stuck = run()
    assert (stuck.state, stuck.error) == (State.PUBLISHING, "OSError: disk full")
    assert run().state == State.NOTHING_NEW
    stuck.refresh_from_db()
    assert (stuck.state, stuck.error) == (State.PUBLISHED, "")
    assert refresh.warehouse().current() == stuck.build_id


def test_files_for_excel_that_cannot_be_written_are_a_warning(folder, monkeypatch):
    monkeypatch.setattr(pipeline, "publish_files", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full")))
    found = run()
    assert found.state == State.PUBLISHED
    assert any("disk full" in warning for warning in found.warnings)


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


def test_a_dead_process_on_this_machine_loses_the_lock_at_once(folder):
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    hold(pid=dead, age=timedelta(0))
    assert run().state == State.PUBLISHED


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
    assert (queued.state, "Celery worker" in queued.error) == (State.FAILED, True)
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


def test_newer_exports_are_published_after_a_rollback(two_builds, folder):
    refresh.rollback()
    exports.write(folder, day="2026-03-06")
    assert run().state == State.PUBLISHED


def test_forward_again(two_builds):
    _, second = two_builds
    refresh.rollback()
    assert refresh.rollback(second.build_id).build_id == second.build_id
    assert not refresh.warehouse().rolled_back()


def test_there_is_no_way_back_from_the_first_build(folder):
    run()
    with pytest.raises(WarehouseError, match="no earlier"):
        refresh.rollback()
    with pytest.raises(WarehouseError, match="no published build 20260101-000000-abcdef"):
        refresh.rollback("20260101-000000-abcdef")


def test_old_sets_of_exports_and_their_quarantine_go(folder, data_dir):
    for day in range(1, 8):
        broken = exports.ORDERS | {104: f",1,36319,Moon Walk,2026-02-0{day},,2026-02-09,,,0,1,9.00,0,,,Ready"}
        exports.write(folder, orders=broken, day=f"2026-03-0{day}")
        assert run().manifest["files"]["orders"]["quarantined"] == {"no order ID": 1}
    kept = {b.build_id for b in refresh.warehouse().builds()}
    assert len(kept) == refresh.KEEP_SETS == 5
    assert {p.name for p in (data_dir / "quarantine").iterdir()} == kept


# --- Encrypted -----------------------------------------------------------------------------------------------------


def test_an_encrypted_refresh(folder, settings, data_dir):
    settings.WAREHOUSE_KEY = "correct horse battery staple"
    assert run().state == State.PUBLISHED
    assert rows(None, "SELECT count(*) FROM orders") == [(4,)]
    assert "Dana" not in (data_dir / "published" / "customers.csv").read_text(encoding="utf-8-sig")
    settings.WAREHOUSE_KEY = "wrong"
    with pytest.raises(WarehouseError, match="MOONWALK_WAREHOUSE_KEY"):
        rows(None, "SELECT 1")
