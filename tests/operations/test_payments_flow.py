"""Payments recorded here, on their way into the figures: none lost, none counted twice, one refresh at a time."""

import threading
import uuid
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from operations import catch_up, lock, refresh, services
from operations.models import Order, Payment, RefreshLock, RefreshRun
from tests.operations import exports
from tests.operations.test_refresh import run, run_later

pytestmark = pytest.mark.django_db
State, Trigger = RefreshRun.State, RefreshRun.Trigger
PAID_ON = date(2026, 3, 4)


@pytest.fixture
def folder(data_dir):
    return exports.write(data_dir / "exports")


@pytest.fixture
def live(first_refresh) -> RefreshRun:
    """The laundry of tests.operations.exports, published: M-00102 owes 20, M-00103 owes 15, all of February."""
    return first_refresh()


@pytest.fixture
def pay(people):
    """pay("M-00102", "5.00") records a payment; the row."""

    def record(order: str, amount: str, method: str = "Cash") -> Payment:
        customer = Order.objects.get(pk=order).customer_id
        how = {"method": method, "paid_on": PAID_ON, "user": people["root"], "request_key": uuid.uuid4()}
        return services.customer_pay(customer, Decimal(amount), order_ids=[order], **how)[0]

    return record


def void(payment: Payment, people) -> Payment:
    return services.payment_void(payment.pk, reason="a slip", user=people["root"], request_key=uuid.uuid4())


def money(order: str) -> tuple:
    """What pages see of an order: total, collections, balance."""
    with closing(refresh.warehouse().connect()) as con:
        found = con.execute("SELECT total, collections, balance FROM sales WHERE order_id = ?", [order]).fetchone()
    return tuple(float(v) for v in found) if found else ()


def runs() -> list[tuple[str, str]]:
    return list(RefreshRun.objects.order_by("pk").values_list("trigger", "state"))


def waiting() -> int:
    return Payment.objects.filter(included_in="").count()


# --- In, and only once ---------------------------------------------------------------------------------------------


def test_a_payment_reaches_the_figures(live, pay):
    assert money("M-00102") == (20, 0, 20)
    assert not refresh.payments_waiting()
    payment = pay("M-00102", "7.50")
    assert refresh.payments_waiting()
    refresh.include_payments()
    assert money("M-00102") == (20, 7.5, 12.5)
    payment.refresh_from_db()
    assert payment.included_in == refresh.warehouse().current() != live.build_id
    made = RefreshRun.objects.first()
    assert (made.trigger, made.state, made.is_for_payments_alone) == (Trigger.PAYMENTS, State.PUBLISHED, True)
    nothing = {"added": 0, "changed": 0, "gone": 0}
    assert made.counts == {"customers": nothing, "orders": nothing}, "the desk's rows stay"
    assert made.manifest["payments"] == {"counted": {"payments": 1, "amount": "7.50", "counted": "7.50"}}
    assert not live.is_for_payments_alone
    refresh.include_payments()
    assert runs() == [("command", "published"), ("payments", "published")], "nothing waits: nothing runs"


def test_the_next_refresh_takes_payments_along(live, pay, folder, monkeypatch):
    pay("M-00102", "20.00", "Terminal")
    found = run_later(monkeypatch)
    assert (found.state, found.is_for_payments_alone, waiting()) == (State.PUBLISHED, True, 0)
    assert money("M-00102") == (20, 20, 0)
    exports.write(folder, day="2026-03-06")
    assert not run_later(monkeypatch, 4).is_for_payments_alone
    assert money("M-00102") == (20, 20, 0)
    assert run_later(monkeypatch, 6).state == State.NOTHING_NEW
    assert not run_later(monkeypatch, 8, force=True).is_for_payments_alone


def test_when_the_export_says_paid_nothing_counts_twice(live, pay, folder):
    payment = pay("M-00102", "20.00")
    refresh.include_payments()
    before = money("M-00102")
    paid = exports.ORDERS | {102: exports.ORDERS[102].replace("20.00,0,,", "20.00,1,Cash,2026-03-04")}
    exports.write(folder, orders=paid, day="2026-03-06")
    found = run()
    assert money("M-00102") == before == (20, 20, 0)
    assert found.manifest["payments"] == {"paid in the export": {"payments": 1, "amount": "20.00", "counted": "0.00"}}
    assert Payment.objects.get() == payment


def test_a_void_takes_it_out_again(live, pay, people):
    payment = pay("M-00102", "20.00")
    refresh.include_payments()
    counter = void(payment, people)
    refresh.include_payments()
    assert money("M-00102") == (20, 0, 20)
    counter.refresh_from_db()
    assert counter.included_in == refresh.warehouse().current()
    assert RefreshRun.objects.first().manifest["fingerprint"] == live.manifest["fingerprint"]


@pytest.mark.sqlite_suffices
def test_paid_and_voided_before_any_build_there_is_nothing_to_build(live, pay, people):
    void(pay("M-00102", "20.00"), people)
    assert waiting() == 2
    refresh.include_payments()
    assert (runs()[-1], waiting()) == (("payments", "nothing_new"), 0)
    assert set(Payment.objects.values_list("included_in", flat=True)) == {live.build_id}
    assert refresh.warehouse().current() == live.build_id


@pytest.mark.sqlite_suffices
def test_a_rebuild_for_payments_takes_no_new_exports(live, pay, folder):
    exports.write(folder, orders=exports.ORDERS | {104: exports.ORDERS[103].replace("103,", "104,", 1)})
    pay("M-00102", "20.00")
    refresh.include_payments()
    assert (money("M-00102"), money("M-00104")) == ((20, 20, 0), ())
    assert run().state == State.PUBLISHED
    assert (money("M-00102"), money("M-00104")) == ((20, 20, 0), (15, 0, 15))


@pytest.mark.parametrize("key", ["", "correct horse battery staple"])
@pytest.mark.sqlite_suffices
def test_it_needs_no_exports_folder(folder, people, pay, settings, key):
    settings.WAREHOUSE_KEY = key
    run()
    for file in folder.iterdir():
        file.unlink()
    pay("M-00102", "20.00")
    refresh.include_payments()
    assert (money("M-00102"), waiting()) == ((20, 20, 0), 0)


@pytest.mark.sqlite_suffices
def test_a_bad_file_keeps_no_payment_waiting(live, pay, folder):
    (folder / "CC-Orders-2026-03-06.csv").write_text("Order ID,Customer ID,Placed,Total,Status\n1,1,2026-01-01,5,X\n")
    pay("M-00102", "20.00")
    assert run().state == State.REFUSED
    assert (runs()[-1], money("M-00102"), waiting()) == (("payments", "published"), (20, 20, 0), 0)


def test_a_payment_made_during_a_refresh_follows_it_under_the_same_lock(live, pay, folder, monkeypatch):
    first = pay("M-00102", "5.00")
    enrich = refresh.enrich_candidate
    later = []

    def pay_meanwhile(*arguments):
        if len(later) < 2:
            later.append(pay("M-00102", "4.00"))
        return enrich(*arguments)

    monkeypatch.setattr(refresh, "enrich_candidate", pay_meanwhile)
    exports.write(folder, day="2026-03-06")
    found = run()
    assert (found.trigger, found.state) == ("command", State.PUBLISHED)
    assert runs()[1:] == [("command", "published"), ("payments", "published"), ("payments", "published")]
    assert (money("M-00102"), waiting()) == ((20, 13, 7), 0)
    first.refresh_from_db()
    builds = [first.included_in, *(Payment.objects.get(pk=p.pk).included_in for p in later)]
    assert builds == list(RefreshRun.objects.order_by("pk").values_list("build_id", flat=True))[1:]


@pytest.mark.sqlite_suffices
def test_a_dry_run_counts_payments_and_marks_none(live, pay):
    pay("M-00102", "20.00")
    found = run(dry_run=True)
    assert found.manifest["payments"]["counted"]["counted"] == "20.00"
    assert (waiting(), money("M-00102"), refresh.warehouse().current()) == (1, (20, 0, 20), live.build_id)
    assert len(runs()) == 2


def test_an_order_gone_from_the_export_keeps_its_payment(live, pay, folder):
    payment = pay("M-00102", "20.00")
    refresh.include_payments()
    exports.write(folder, orders={n: r for n, r in exports.ORDERS.items() if n != 102}, day="2026-03-06")
    found = run()
    assert found.manifest["payments"] == {
        "not in the exports": {"payments": 1, "amount": "20.00", "counted": "0.00", "orders": ["M-00102"]}}  # fmt: skip
    assert (money("M-00102"), Order.objects.get(pk="M-00102").in_latest_export) == ((), False)
    assert Payment.objects.get() == payment
    exports.write(folder, day="2026-03-07")
    run()
    assert money("M-00102") == (20, 20, 0)


# --- What goes wrong -----------------------------------------------------------------------------------------------


def test_a_rebuild_that_fails_is_tried_once_and_its_payment_waits(live, pay, monkeypatch):
    pay("M-00102", "20.00")
    Payment.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    with monkeypatch.context() as patch:
        patch.setattr(refresh, "enrich_candidate", lambda *a: 1 / 0)
        refresh.include_payments()
    assert runs()[1:] == [("payments", "failed")]
    assert (waiting(), money("M-00102")) == (1, (20, 0, 20))
    assert not refresh.payments_waiting(), "the clock does not try every five minutes what just failed"
    pay("M-00103", "15.00")
    assert refresh.payments_waiting(), "a new payment does"
    refresh.include_payments()
    assert (waiting(), money("M-00102"), money("M-00103")) == (0, (20, 20, 0), (15, 15, 0))


@pytest.mark.sqlite_suffices
def test_after_an_hour_it_is_tried_again(live, pay, monkeypatch):
    pay("M-00102", "20.00")
    Payment.objects.update(created_at=timezone.now() - timedelta(minutes=70))
    with monkeypatch.context() as patch:
        patch.setattr(refresh, "enrich_candidate", lambda *a: 1 / 0)
        refresh.include_payments()
    RefreshRun.objects.filter(trigger=Trigger.PAYMENTS).update(started_at=timezone.now() - timedelta(minutes=61))
    assert refresh.payments_waiting()


@pytest.mark.sqlite_suffices
def test_a_pointer_that_cannot_be_moved_is_moved_by_the_next_look(live, pay, monkeypatch):
    pay("M-00102", "20.00")
    with monkeypatch.context() as patch:
        patch.setattr("etl.warehouse.Warehouse.publish", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
        refresh.include_payments()
    assert (runs()[-1], waiting(), money("M-00102")) == (("payments", "publishing"), 0, (20, 0, 20))
    assert refresh.payments_waiting()
    refresh.include_payments()
    assert (runs()[-1], money("M-00102")) == (("payments", "published"), (20, 20, 0))


@pytest.mark.sqlite_suffices
def test_a_build_that_was_lost_before_it_went_live_gives_its_payments_back(live, pay, monkeypatch):
    payment = pay("M-00102", "20.00")
    with monkeypatch.context() as patch:
        patch.setattr("etl.warehouse.Warehouse.publish", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
        refresh.include_payments()
    payment.refresh_from_db()
    refresh.warehouse().discard(payment.included_in)
    refresh.include_payments()
    assert runs()[1:] == [("payments", "failed"), ("payments", "published")]
    assert (waiting(), money("M-00102")) == (0, (20, 20, 0))


@pytest.mark.sqlite_suffices
def test_inputs_no_longer_kept_are_a_word_on_the_run(live, pay, data_dir):
    pay("M-00102", "20.00")
    for file in (data_dir / "landing").iterdir():
        file.unlink()
    refresh.include_payments()
    last = RefreshRun.objects.first()
    assert (last.state, last.error) == (
        State.REFUSED, "CC-Customers-2026-03-05.csv of an earlier refresh is no longer kept.")  # fmt: skip
    assert run().state == State.PUBLISHED, "the exports folder still has them"
    assert (waiting(), money("M-00102")) == (0, (20, 20, 0))


# --- Going back ----------------------------------------------------------------------------------------------------

CLEANED_LATER = exports.ORDERS | {102: exports.ORDERS[102].replace("20.00", "21.00")}


@pytest.mark.full
def test_going_back_takes_the_exports_back_but_no_payment(live, pay, folder, monkeypatch):
    pay("M-00102", "5.00")
    refresh.include_payments()
    exports.write(folder, orders=CLEANED_LATER, day="2026-03-06")
    run_later(monkeypatch)
    pay("M-00102", "6.00")
    refresh.include_payments()
    assert money("M-00102") == (21, 11, 10)
    left = refresh.warehouse().current()
    back = refresh.rollback()
    # Behind the newer exports, not just behind the last payment; the payment of 6 that the build lacks follows at once.
    assert (back.trigger, back.state) == ("rollback", State.PUBLISHED)
    assert (money("M-00102"), waiting()) == ((20, 11, 9), 0)
    assert runs()[-2:] == [("rollback", "published"), ("payments", "published")]
    # Now and with every later payment the exports that were left stay out.
    assert run_later(monkeypatch, 9).state == State.NOTHING_NEW
    pay("M-00102", "1.00")
    assert run_later(monkeypatch, 12).state == State.NOTHING_NEW
    assert (runs()[-1], money("M-00102"), waiting()) == (("payments", "published"), (20, 12, 8), 0)
    # And going back once more does not go "back" to the build that was left.
    with pytest.raises(refresh.WarehouseError, match="no earlier"):
        refresh.rollback()
    forward = refresh.rollback(left)
    assert (forward.build_id, money("M-00102"), waiting()) == (left, (21, 12, 9), 0)


@pytest.mark.full
def test_old_rebuilds_for_payments_go(live, pay):
    for _ in range(6):
        pay("M-00102", "1.00")
        refresh.include_payments()
    builds = refresh.warehouse().builds()
    assert (len(builds), builds[0].current, money("M-00102")) == (3, True, (20, 6, 14))


# --- One at a time -------------------------------------------------------------------------------------------------


def under_way(trigger: str) -> lock.Lock:
    """Another refresh, of this trigger, holds the lock."""
    held = lock.Lock().__enter__()
    held.attach(services.run_open(trigger=trigger))
    return held


@pytest.mark.sqlite_suffices
def test_a_refresh_waits_for_a_rebuild_for_payments_but_for_no_other(live, folder, monkeypatch):
    exports.write(folder, day="2026-03-06")
    held = under_way("command")
    with pytest.raises(lock.RefreshBusy):
        run()
    held.__exit__()
    held = under_way("payments")
    looked = []

    def soon(seconds):
        looked.append(seconds)
        held.__exit__()

    monkeypatch.setattr(refresh.time, "sleep", soon)
    assert (run().state, looked) == (State.PUBLISHED, [0.5])


@pytest.mark.sqlite_suffices
def test_a_worker_does_not_wait_but_the_run_does(live, people, folder, settings, monkeypatch, pay):
    """The payments' end asks for it: its process is free for ticks and messages meanwhile."""
    asked = []
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("operations.queue.send", lambda task, **what: asked.append((task, what)) or True)
    exports.write(folder, day="2026-03-06")
    held = under_way("payments")
    waits = refresh.start(user=people["root"])
    monkeypatch.setattr(refresh.time, "sleep", lambda seconds: pytest.fail("it waits"))
    assert refresh.run_queued(waits.pk).state == State.QUEUED
    held.__exit__()
    pay("M-00102", "5.00")
    catch_up.catch_up()
    assert asked == [("operations.refresh", {"run_id": waits.pk})] * 2
    assert refresh.run_queued(waits.pk).state == State.PUBLISHED


@pytest.mark.sqlite_suffices
def test_the_button_is_not_told_to_wait_for_a_payment(live, people, monkeypatch):
    monkeypatch.setattr(refresh, "_run_in_thread", lambda run_id: None)
    held = under_way("payments")
    assert refresh.start(user=people["root"]).state == State.QUEUED
    held.__exit__()


@pytest.mark.sqlite_suffices
def test_going_back_waits_for_a_rebuild_for_payments_too(live, people, folder, monkeypatch):
    exports.write(folder, day="2026-03-06")
    assert run().state == State.PUBLISHED
    monkeypatch.setattr(refresh, "_run_in_thread", lambda run_id: None)
    held = under_way("payments")
    asked = refresh.start(user=people["root"], trigger=Trigger.ROLLBACK, build_id=live.build_id)
    monkeypatch.setattr(refresh.time, "sleep", lambda seconds: held.__exit__())
    assert (refresh.run_queued(asked.pk).state, refresh.warehouse().current()) == (State.PUBLISHED, live.build_id)


@pytest.mark.sqlite_suffices
def test_whoever_finds_a_refresh_under_way_looks_again_when_it_ended(live, pay, monkeypatch):
    held = under_way("button")
    pay("M-00102", "20.00")
    waits = []

    def soon(seconds):
        waits.append(waiting())
        if len(waits) == 3:
            held.__exit__()

    monkeypatch.setattr(catch_up.time, "sleep", soon)
    catch_up.catch_up()
    assert (waits, waiting(), money("M-00102")) == ([1, 1, 1], 0, (20, 20, 0))
    assert RefreshLock.objects.get().holder == ""


@pytest.mark.sqlite_suffices
def test_what_the_other_refresh_took_along_is_not_built_again(live, pay, monkeypatch):
    held = under_way("button")
    pay("M-00102", "20.00")

    def the_other_one_takes_it(seconds):
        Payment.objects.update(included_in="a build")
        held.__exit__()

    monkeypatch.setattr(catch_up.time, "sleep", the_other_one_takes_it)
    before = len(runs())
    catch_up.catch_up()
    assert len(runs()) == before


# --- The queue -----------------------------------------------------------------------------------------------------


@pytest.mark.sqlite_suffices
def test_a_commit_asks_for_a_refresh_a_rollback_and_a_repetition_do_not(
    live, people, django_capture_on_commit_callbacks, no_refresh_by_itself
):
    key = uuid.uuid4()
    how = {"method": "Cash", "paid_on": PAID_ON, "user": people["root"], "request_key": key}
    with django_capture_on_commit_callbacks(execute=True):
        services.order_mark_paid(["M-00102"], **how)
        assert no_refresh_by_itself == [], "not before the commit"
    assert no_refresh_by_itself == ["asked"]
    with django_capture_on_commit_callbacks(execute=True):
        services.order_mark_paid(["M-00102"], **how)
    assert no_refresh_by_itself == ["asked"]


class Threads:
    """The worker's thread, with what it does replaced: no database of a test is there on other threads."""

    def __init__(self, monkeypatch, work):
        monkeypatch.setattr(catch_up, "SETTLE_SECONDS", 0)
        monkeypatch.setattr(catch_up, "catch_up", work)

    def ended(self) -> bool:
        thread = catch_up._thread
        if thread:
            thread.join(10)
        return catch_up._thread is None


@pytest.mark.sqlite_suffices
def test_without_redis_one_thread_at_a_time_looks_and_looks_again_when_asked_meanwhile(monkeypatch):
    at_once, most, looks = [], [], []
    go_on = threading.Event()

    def work():
        at_once.append(1)
        most.append(len(at_once))
        looks.append(threading.current_thread().name)
        go_on.wait(10)
        at_once.pop()

    threads = Threads(monkeypatch, work)
    for _ in range(5):
        catch_up._wake()
    while not looks:
        pass
    for _ in range(5):  # while the first look is under way
        catch_up._wake()
    go_on.set()
    assert threads.ended()
    assert (max(most), looks) == (1, ["payments", "payments"])


@pytest.mark.sqlite_suffices
def test_a_look_that_fails_is_no_end(monkeypatch, caplog):
    looks = []

    def work():
        looks.append(1)
        raise ValueError("about Dana Haddad")

    threads = Threads(monkeypatch, work)
    catch_up._wake()
    assert threads.ended()
    catch_up._wake()
    assert threads.ended()
    assert len(looks) == 2
    assert "ValueError" in caplog.text and "Dana" not in caplog.text


@pytest.mark.sqlite_suffices
def test_a_queue_out_of_reach_spoils_no_payment(settings, monkeypatch, caplog):
    monkeypatch.undo()  # the real queue()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("moonwalk.celery.app.send_task", lambda *a, **k: (_ for _ in ()).throw(OSError("refused")))
    catch_up.on_payments_changed(Payment)
    assert "OSError" in caplog.text
