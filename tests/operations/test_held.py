"""A build that moves what a closed month earned is held: a person decides before any of it reaches a page or the desk.

The laundry of exports.py earns Dhs 415.25 in February (385.25 at Moon Walk, 30.00 at Hielo), which is over on 5 March:
1 % is 4.1525. The golden business earns Dhs 25,199.97 in January 2026.
"""

import contextlib
import csv
import html
import io
import re
import shutil
from contextlib import closing
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from analytics import queries
from analytics.admin_lists import moment
from analytics.models import AlertRule
from etl.errors import MoonwalkError
from etl.warehouse import Warehouse
from operations import comparison, moved, refresh, services
from operations import held as held_builds
from operations.models import Customer, Order, Payment, RefreshRun
from tests.conftest import GOLDEN
from tests.operations import exports

pytestmark = pytest.mark.django_db
State = RefreshRun.State


@pytest.fixture
def closed_months_may_move():
    """Not here."""


@pytest.fixture
def first(first_refresh) -> RefreshRun:
    return first_refresh()


@pytest.fixture
def folder(first, data_dir):
    return data_dir / "exports"


def run(**arguments) -> RefreshRun:
    return refresh.refresh(trigger="command", **arguments)


def orders(**changed: str | None) -> dict:
    """The rows of the Orders export; m102="..." replaces one, None leaves it out."""
    rows = exports.ORDERS | {int(name[1:]): row for name, row in changed.items()}
    return {n: row for n, row in rows.items() if row}


def total_of_102(total: str) -> dict:
    return orders(m102=exports.ORDERS[102].replace(",20.00,", f",{total},"))


def held(folder, total: str = "30.00", **arguments) -> RefreshRun:
    """A refresh with M-00102 at this total for 20.00 (30.00: February 425.25), which is held."""
    exports.write(folder, orders=total_of_102(total))
    found = run(**arguments)
    assert found.state == State.HELD, found.error
    return found


def revenue(run: RefreshRun) -> list[tuple]:
    """What a run says of revenue: (month, store, before, after, over the limit)."""
    return [(m["month"], m["store"], m["before"], m["after"], m["over"]) for m in run.moved if m["metric"] == "revenue"]


def february() -> float:
    """What pages show."""
    with closing(refresh.warehouse().connect()) as con:
        return queries.query(con, ["revenue"], "month", since="2026-02", until="2026-02")["revenue"][0]


def desk() -> list:
    """All that a refresh may write of customers and orders."""
    return [*Customer.objects.order_by("pk").values(), *Order.objects.order_by("pk").values()]


def files(data_dir) -> dict[str, bytes]:
    """The files for Excel, and the pointer."""
    kept = [*(data_dir / "published").iterdir(), data_dir / "warehouse" / "current"]
    return {path.name: path.read_bytes() for path in kept}


def builds_on_disk(data_dir) -> set[str]:
    return {path.stem for path in (data_dir / "warehouse").glob("*.duckdb")}


# --- What is held --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def golden_first(tmp_path_factory):
    """A data folder in which the golden exports were built and published, as `golden_build`, to work on."""
    from etl import pipeline

    folder = tmp_path_factory.mktemp("golden-first")
    shutil.copytree(GOLDEN / "exports", folder / "exports")
    build = pipeline.build(folder / "exports", folder)
    house = Warehouse(folder / "warehouse")
    refresh.enrich_candidate(house, build.build_id, build.manifest)
    house.publish(build.build_id)
    return folder


def add_to_golden(data_dir, more: Decimal) -> None:
    """Order 5464, of Moon Walk in January, costs so much more."""
    path = data_dir / "exports" / "CC-Orders-2026-03-05.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    head = rows[0]
    (row,) = (r for r in rows[1:] if r[head.index("Order ID")] == "5464")
    row[head.index("Total")] = str(Decimal(row[head.index("Total")]) + more)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.sqlite_suffices
@pytest.mark.parametrize(("more", "state"), [("226.80", State.PUBLISHED), ("277.20", State.HELD)])
def test_a_closed_month_of_the_golden_business_moves_by_0_9_and_by_1_1_percent(golden_first, data_dir, more, state):
    """25,199.97 + 226.80 = 25,426.77 (0.90 %); + 277.20 = 25,477.17 (1.10 %), of it Moon Walk 20,259.63 + 277.20."""
    shutil.copytree(golden_first, data_dir, dirs_exist_ok=True)
    live = refresh.warehouse().current()
    add_to_golden(data_dir, Decimal(more))
    found = run()
    assert (found.state, found.error) == (state, "")
    with closing(refresh.warehouse().connect()) as con:
        january = queries.query(con, ["revenue"], "month", since="2026-01", until="2026-01")["revenue"][0]
    if state == State.PUBLISHED:
        assert (found.moved, january) == ([], 25426.77)
        return
    assert (refresh.warehouse().current(), january, Order.objects.count()) == (live, 25199.97, 0)
    assert revenue(found) == [
        ("2026-01", "", 25199.97, 25477.17, True), ("2026-01", "Moon Walk", 20259.63, 20536.83, True)]  # fmt: skip
    others = {m["metric"]: (round(m["before"], 4), round(m["after"], 4)) for m in found.moved if not m["store"]}
    # 254 customers; 3,320 items; of 25,199.97 was collected 22,115.19, and the order isn't paid
    assert others["revenue_per_customer"] == (round(25199.97 / 254, 4), round(25477.17 / 254, 4))
    assert others["revenue_per_item"] == (round(25199.97 / 3320, 4), round(25477.17 / 3320, 4))
    assert others["collection_gap"] == (3084.78, 3361.98)
    assert {"customers", "items", "collections"}.isdisjoint(others), "they stay as they are"
    assert {m["month"] for m in found.moved} == {"2026-01"}


@pytest.mark.parametrize(("total", "state"), [("24.15", State.PUBLISHED), ("24.16", State.HELD)])
def test_the_limit_is_one_percent_of_the_month(folder, total, state):
    exports.write(folder, orders=total_of_102(total))
    assert run().state == state


def test_what_goes_from_one_store_to_another_moves_too(folder):
    """M-00103 (15.00, 3.6 % of the month) turns out to be of Hielo: the whole stays at 415.25."""
    moved = exports.ORDERS[103].replace("36319,Moon Walk", "38516,Hielo")
    exports.write(folder, orders=orders(m103=moved))
    found = run()
    assert found.state == State.HELD
    assert revenue(found) == [
        ("2026-02", "Hielo", 30.0, 45.0, True), ("2026-02", "Moon Walk", 385.25, 370.25, True)]  # fmt: skip


def test_a_month_that_comes_out_of_nothing_and_one_that_vanishes(folder):
    """An order of January 2025 for 10.00 appears, and goes again."""
    old = exports.ORDERS[103].replace("103,3", "90,1").replace("2026-02", "2025-01").replace("15.00", "10.00")
    exports.write(folder, orders=orders(m90=old))
    found = run()
    assert found.state == State.HELD
    assert revenue(found)[-2:] == [
        ("2025-01", "", 0.0, 10.0, True), ("2025-01", "Moon Walk", 0.0, 10.0, True)]  # fmt: skip
    assert refresh.release_now(found.build_id).state == State.PUBLISHED
    exports.write(folder, day="2026-03-06")
    found = run()
    assert found.state == State.HELD
    assert revenue(found)[:2] == [
        ("2025-01", "", 10.0, 0.0, True), ("2025-01", "Moon Walk", 10.0, 0.0, True)]  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "paused", "state"),
    [("5", False, State.PUBLISHED), ("2", False, State.HELD), ("2", True, State.HELD), (None, False, State.HELD)],
)
def test_the_rules_limit_counts_and_1_percent_where_there_is_none(folder, limit, paused, state):
    """30.00 for 20.00 is 2.4 %. A rule that is paused tells nobody; a build is held all the same."""
    rules = AlertRule.objects.filter(kind="closed_month")
    if limit is None:
        rules.delete()
    elif not rules.update(limit=limit, paused=paused):
        AlertRule.objects.create(kind="closed_month", name="A month moved", limit=limit, paused=paused)
    exports.write(folder, orders=total_of_102("30.00"))
    assert run().state == state


@pytest.mark.sqlite_suffices
def test_the_first_build_the_open_month_and_a_dry_run_are_not_held(data_dir):
    folder = exports.write(data_dir / "exports")
    assert run().state == State.PUBLISHED
    march = "105,2,38516,Hielo,2026-03-02,2026-03-04,2026-03-03,,,0,1,900.00,0,,,Ready"
    exports.write(folder, orders=orders(m105=march))
    assert run().state == State.PUBLISHED
    exports.write(folder, orders=orders(m105=march, m101=None))
    checked = run(dry_run=True)
    assert checked.state == State.CHECKED
    assert revenue(checked)[0] == ("2026-02", "", 415.25, 365.0, True)
    assert run().state == State.HELD


@pytest.mark.sqlite_suffices
def test_a_persons_word_publishes_at_once(folder):
    exports.write(folder, orders=total_of_102("30.00"))
    found = run(force=True)
    assert (found.state, february()) == (State.PUBLISHED, 425.25)
    assert revenue(found)[0] == ("2026-02", "", 415.25, 425.25, True), "what moved stands on its page"
    exports.write(folder, orders=total_of_102("40.00"))
    assert (run(sure=True).state, february()) == (State.PUBLISHED, 435.25)


@pytest.mark.sqlite_suffices
def test_an_upgrade_is_held_when_figures_move(folder, monkeypatch):
    """Other code: another base of the same exports. It earns more: here by another file under the same hash."""
    monkeypatch.setattr("analytics.enrich.code_hash", lambda: "upgraded")
    assert run().state == State.PUBLISHED, "no figure moved"
    monkeypatch.setattr("analytics.enrich.code_hash", lambda: "upgraded again")
    monkeypatch.setattr(comparison, "closed_months", lambda before, after: [
        {"month": "2026-02", "label": "Feb 2026", "store": "", "metric": "revenue", "before": 415.25, "after": 500.0,
         "difference": 84.75, "share": 20.4}])  # fmt: skip
    held_then = run()
    assert held_then.state == State.HELD
    held_then.trigger = RefreshRun.Trigger.PAYMENTS
    assert not held_then.is_for_payments_alone, "a payment that met the upgrade first: somebody must be told"


@pytest.mark.sqlite_suffices
def test_a_live_build_that_cannot_be_asked_is_a_persons_matter_and_a_lost_one_is_not(first, folder, data_dir):
    """A table that an earlier version named otherwise; then the file is gone, and nobody sees a page any more."""
    import duckdb

    file = data_dir / "warehouse" / f"{first.build_id}.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute("DROP TABLE sales")
    exports.write(folder, orders=total_of_102("20.50"))
    found = run()
    assert (found.state, found.moved) == (State.HELD, [])
    assert "can't be compared" in found.warnings[0]
    file.unlink()
    exports.write(folder, orders=total_of_102("20.60"))
    found = run()
    assert found.state == State.PUBLISHED
    assert "were not compared" in found.warnings[0]


# --- While it is held ----------------------------------------------------------------------------------------------


BROKEN = "104,1,36319,Moon Walk,2026-02-01,,2026-02-09,,,0,1,9.00,0,,,Ready".replace("104,", ",", 1)


def test_nothing_of_it_reaches_a_page_or_the_desk(first, folder, data_dir, people, as_):
    services.customer_pay("CC-0001", Decimal("5.00"), method="Cash", paid_on=first.as_of, user=people["root"],
                          request_key=uuid4(), order_ids=["M-00102"])  # fmt: skip
    refresh.include_payments()
    before, at_desk, on_disk = files(data_dir), desk(), builds_on_disk(data_dir)
    page = as_("root").get("/executive/?period=2026-02").content.decode()
    exports.write(folder, orders=total_of_102("30.00") | {104: BROKEN}, customers={1: exports.CUSTOMERS[1]})
    found = run()
    assert (found.state, found.error, found.finished_at is not None) == (State.HELD, "", True)
    assert (files(data_dir), desk(), february()) == (before, at_desk, 415.25)
    shown = as_("root").get("/executive/?period=2026-02").content.decode()
    assert figures_of(shown) == figures_of(page) and "Dhs 425" not in shown
    assert builds_on_disk(data_dir) == on_disk | {found.build_id}
    assert found.manifest["files"]["orders"]["quarantined"] == {"no order ID": 1}
    assert (data_dir / "quarantine" / found.build_id).is_dir()
    assert found.build_id not in Payment.objects.values_list("included_in", flat=True)
    refresh.prune()
    assert builds_on_disk(data_dir) == on_disk | {found.build_id}
    assert refresh.warehouse().manifest(found.build_id)["held"]
    assert (data_dir / "quarantine" / found.build_id).is_dir()


def figures_of(page: str) -> list[str]:
    return re.findall(r"Dhs [\d,.]+", page)


def test_it_is_no_build_to_go_back_to(first, folder):
    found = held(folder)
    with pytest.raises(MoonwalkError, match="no earlier"):
        refresh.rollback()
    with pytest.raises(MoonwalkError, match="no published build"):
        refresh.rollback(found.build_id)
    assert refresh.warehouse().current() == first.build_id


def test_the_same_files_wait_and_newer_ones_take_its_place(folder, data_dir):
    found = held(folder)
    again = run()
    assert again.state == State.NOTHING_NEW
    assert again.warnings == [f"The build of these exports is held: refresh {found.pk} waits for somebody to decide."]
    second = held(folder, "31.00")
    found.refresh_from_db()
    assert (found.state, found.decided_at, found.decided_by) == (State.DISCARDED, None, None)
    assert found.warnings[0] == f"Nobody decided: refresh {second.pk} took its place."
    assert found.build_id not in builds_on_disk(data_dir) and second.build_id in builds_on_disk(data_dir)
    exports.write(folder, orders=total_of_102("20.50"))
    third = run()
    assert third.state == State.PUBLISHED
    second.refresh_from_db()
    assert (second.state, second.warnings[0]) == (
        State.DISCARDED, f"Nobody decided: refresh {third.pk} took its place.")  # fmt: skip
    assert builds_on_disk(data_dir) == {b.build_id for b in refresh.warehouse().builds()}
    assert second.build_id not in builds_on_disk(data_dir)
    assert held(folder).state == State.HELD, "what nobody decided about is asked about again"


def test_payments_do_not_wait_for_a_decision(first, folder, people):
    pay(people, first)
    found = held(folder)
    assert Payment.objects.get().included_in not in ("", found.build_id)
    pay(people, first)
    refresh.include_payments()
    assert "" not in Payment.objects.values_list("included_in", flat=True)
    assert RefreshRun.objects.get(pk=found.pk).state == State.HELD
    assert february() == 415.25


def pay(people, first) -> None:
    """Dana pays 5.00 of M-00102."""
    services.customer_pay("CC-0001", Decimal("5.00"), method="Cash", paid_on=first.as_of, user=people["root"],
                          request_key=uuid4(), order_ids=["M-00102"])  # fmt: skip


# --- Published -----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_threads(monkeypatch):
    """A queued run waits for run_queued()."""
    start = refresh.threading.Thread.start
    monkeypatch.setattr(
        refresh.threading.Thread, "start", lambda thread: None if thread.name == "refresh" else start(thread)
    )


def test_released_that_very_build_goes_live(folder, people, no_threads, monkeypatch):
    found = held(folder)
    with monkeypatch.context() as patch:
        patch.setattr("etl.pipeline.build", lambda *a, **k: pytest.fail("it was built anew"))
        queued = refresh.release(found, people["layla"])
        assert (queued.state, queued.trigger, queued.build_id) == (State.QUEUED, "release", found.build_id)
        ended = refresh.run_queued(queued.pk)
    assert (ended.state, ended.error, ended.build_id) == (State.PUBLISHED, "", found.build_id)
    assert ended.counts["orders"] == {"added": 0, "changed": 1, "gone": 0}
    assert "held" not in ended.manifest
    found.refresh_from_db()
    assert (found.state, found.decided_by) == (State.RELEASED, people["layla"])
    assert refresh.warehouse().current() == found.build_id
    assert (february(), str(Order.objects.get(pk="M-00102").total)) == (425.25, "30.00")
    assert run().state == State.NOTHING_NEW
    with pytest.raises(MoonwalkError, match=f"The build of refresh {found.pk} was published by layla on "):
        refresh.release(found, people["root"])


def test_payments_since_follow_it_at_once(first, folder, people):
    """Paid before it was made, while it waited (and given to a rebuild), and never yet given to any."""
    pay(people, first)
    found = held(folder)  # and a rebuild for the first payment
    pay(people, first)
    refresh.include_payments()
    pay(people, first)
    assert refresh.release_now(found.build_id).state == State.PUBLISHED
    old, *new = Payment.objects.order_by("pk").values_list("included_in", flat=True)
    assert old == found.build_id
    assert new == [refresh.warehouse().current()] * 2 and new[0] != found.build_id
    with closing(refresh.warehouse().connect()) as con:
        assert con.execute("SELECT collections, balance FROM sales WHERE order_id = 'M-00102'").fetchone() == (15, 15)
    assert february() == 425.25
    back = refresh.rollback()
    assert (back.state, february()) == (State.PUBLISHED, 415.25)
    assert "" not in Payment.objects.values_list("included_in", flat=True)
    with closing(refresh.warehouse().connect()) as con:
        assert con.execute("SELECT collections, balance FROM sales WHERE order_id = 'M-00102'").fetchone() == (15, 5)


def test_not_after_another_build_went_live(folder, people, no_threads):
    """Going back leaves it standing against a build that is live no more; its exports are then asked about anew."""
    exports.write(folder, orders=total_of_102("20.50"))
    assert run().state == State.PUBLISHED
    found = held(folder)
    queued = refresh.release(found, people["root"])
    refresh.rollback()
    ended = refresh.run_queued(queued.pk)
    assert ended.state == State.REFUSED
    assert "Another build went live since this one was compared" in ended.error and "Refresh anew" in ended.error
    assert "Another build went live" in held_builds.why_not(refresh.warehouse(), found)
    with pytest.raises(MoonwalkError, match="Another build went live"):
        refresh.release(found, people["root"])
    assert february() == 415.25
    again = run()
    assert again.state == State.HELD
    assert revenue(again)[0] == ("2026-02", "", 415.25, 425.25, True)
    found.refresh_from_db()
    assert found.state == State.DISCARDED


def test_a_build_that_is_gone_is_told(first, folder, people, data_dir):
    found = held(folder)
    refresh.warehouse().discard(found.build_id)
    with pytest.raises(MoonwalkError, match="is no longer there"):
        refresh.release(found, people["root"])
    assert run().state == State.HELD
    found.refresh_from_db()
    assert (found.state, found.warnings[0]) == (State.DISCARDED, "Its build is no longer kept: refresh anew.")


@pytest.mark.sqlite_suffices
def test_with_a_key_set_meanwhile_it_is_not_kept_plain(folder, settings, data_dir):
    found = held(folder)
    settings.WAREHOUSE_KEY = "correct horse battery staple"
    again = run()
    assert again.state == State.HELD, again.error
    assert found.build_id not in builds_on_disk(data_dir)
    assert refresh.release_now(again.build_id).state == State.PUBLISHED
    assert february() == 425.25


# --- Discarded -----------------------------------------------------------------------------------------------------


def test_discarded_it_is_gone_and_not_asked_about_again(first, folder, people, data_dir):
    found = held(folder)
    held_builds.discard(refresh.warehouse(), found, people["layla"])
    found.refresh_from_db()
    assert (found.state, found.decided_by) == (State.DISCARDED, people["layla"])
    assert builds_on_disk(data_dir) == {first.build_id}
    assert not (data_dir / "quarantine" / found.build_id).exists()
    again = run()
    assert again.state == State.NOTHING_NEW
    assert f"The build of refresh {found.pk} was discarded by layla on " in again.warnings[0]
    assert "“Refresh now” with “even if nothing changed” publishes them all the same" in again.warnings[0]
    assert builds_on_disk(data_dir) == {first.build_id}
    with pytest.raises(MoonwalkError, match="was discarded by layla"):
        held_builds.discard(refresh.warehouse(), found, people["root"])
    with pytest.raises(MoonwalkError, match="was discarded by layla"):
        refresh.release(found, people["root"])
    assert run(force=True).state == State.PUBLISHED
    exports.write(folder, day="2026-03-06")
    assert run(sure=True).state == State.PUBLISHED
    exports.write(folder, orders=total_of_102("30.00"))
    assert run(sure=True).state == State.PUBLISHED, "somebody published them since"


def test_of_two_who_decide_at_once_one_is_told(folder, people, monkeypatch):
    """Discarded between the look and the commit of the one who publishes: nothing of the build is left anywhere."""
    found = held(folder)
    at_desk = desk()
    sync = services.run_mark_released

    def meanwhile(held, *, user):
        RefreshRun.objects.filter(pk=held.pk).update(state=State.DISCARDED)
        sync(held, user=user)

    monkeypatch.setattr(services, "run_mark_released", meanwhile)
    ended = refresh.release_now(found.build_id)
    assert (ended.state, february(), desk()) == (State.REFUSED, 415.25, at_desk)
    assert ended.error == f"The build of refresh {found.pk} was discarded."


# --- Uploaded ------------------------------------------------------------------------------------------------------


def test_uploaded_and_ticked_it_is_published_without_asking_again(folder, data_dir, people, no_threads, monkeypatch):
    from types import SimpleNamespace

    from operations import examine, uploads

    monkeypatch.setattr(uploads, "threading", SimpleNamespace(Thread=lambda **_: SimpleNamespace(start=lambda: None)))
    held(folder)
    newer = exports.write(data_dir / "newer", orders=total_of_102("32.00")) / "CC-Orders-2026-03-05.csv"
    upload, _ = uploads.receive([uploads.Received(newer.name, newer.read_bytes())], user=people["layla"])
    examine.examine(upload)
    with pytest.raises(uploads.NotNow, match="tick what is asked"):
        uploads.publish(upload, user=people["layla"])
    queued = uploads.publish(upload, user=people["layla"], ticked=["seen"])
    assert refresh.run_queued(queued.pk).state == State.PUBLISHED
    assert february() == 427.25
    assert not RefreshRun.objects.filter(state=State.HELD).exists()


def test_uploaded_and_held_all_the_same_its_page_says_so(folder, people, no_threads, monkeypatch, data_dir, as_):
    """The limit was lowered between the look and the refresh; then somebody publishes it."""
    from types import SimpleNamespace

    from operations import examine, uploads

    monkeypatch.setattr(uploads, "threading", SimpleNamespace(Thread=lambda **_: SimpleNamespace(start=lambda: None)))
    newer = exports.write(data_dir / "newer", orders=total_of_102("20.50")) / "CC-Orders-2026-03-05.csv"
    upload, _ = uploads.receive([uploads.Received(newer.name, newer.read_bytes())], user=people["layla"])
    examine.examine(upload)
    queued = uploads.publish(upload, user=people["layla"])
    AlertRule.objects.filter(kind="closed_month").update(limit="0.1")
    ended = refresh.run_queued(queued.pk)
    assert ended.state == State.HELD
    address = reverse("uploaded", args=[upload.id])
    assert "The refresh with these files is held. A person decides" in words(as_("layla").get(address))
    assert refresh.release_now(ended.build_id).state == State.PUBLISHED
    assert "Every page shows the new figures" in words(as_("layla").get(address))


# --- On the run's page and the command line ------------------------------------------------------------------------


def url(page: str, *args) -> str:
    return reverse(f"admin:operations_refreshrun_{page}", args=args)


def words(answer) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def test_the_runs_page_shows_old_against_new_and_asks(folder, people, as_, no_threads):
    """10.00 more on M-00102: 2.41 % of February's 415.25; 425.25 over 3 customers, 141.75 for 138.42."""
    found = held(folder)
    client = as_("layla")
    page = words(client.get(url("change", found.pk)))
    assert "Held: revenue of Feb 2026 moves by more than the limit" in page
    assert "Revenue over the limit Dhs 415.25 Dhs 425.25 +Dhs 10.00 +2.41 %" in page
    assert "Revenue, Moon Walk over the limit Dhs 385.25 Dhs 395.25 +Dhs 10.00 +2.41 % of the month" in page
    assert "Revenue per customer Dhs 138.42 Dhs 141.75 +Dhs 3.33 +2.41 %" in page
    assert "Nothing of this build is on any page or at the desk yet." in page
    assert client.get(url("changelist")).status_code == 200
    asks = words(client.get(url("release", found.pk)))
    assert "Payments recorded since it was made follow at once" in asks and "+2.41 %" in asks
    assert not RefreshRun.objects.filter(trigger="release").exists(), "it only asks"
    answer = client.post(url("release", found.pk))
    queued = RefreshRun.objects.get(trigger="release")
    assert answer["Location"] == url("change", queued.pk)
    assert refresh.run_queued(queued.pk).state == State.PUBLISHED
    page = words(client.get(url("change", found.pk)))
    assert f"The build of refresh {found.pk} was published by layla on " in page
    found.refresh_from_db()
    assert f"held since {moment(found.finished_at)}, then published on {moment(found.decided_at)}" in page
    assert "Before After Change" in page and "Live now" not in page, "what is live now is the build itself"
    assert url("release", found.pk) not in client.get(url("change", found.pk)).content.decode()
    late = words(client.get(url("release", found.pk), follow=True))
    assert late.count("was published by layla") == 1 and "Nothing is left to decide here." in late


# February as it comes back: M-00101 dearer by 10.00, M-00102 cleaned in March, M-00103 left out, M-00104 new, H-00201
# not cleaned. 415.25 + 10.00 - 20.00 - 15.00 + 12.00 - 30.00 = 372.25, 43.00 less.
MOVED = {
    "m101": exports.ORDERS[101].replace("50.25", "60.25").replace("Completed", "=1+1"),
    "m102": exports.ORDERS[102].replace("2026-02-12", "2026-03-01").replace("Ready", "Completed"),
    "m103": None,
    "m104": "104,1,36319,Moon Walk,2026-02-20,2026-02-24,2026-02-23,,,0,1,12.00,0,,,Ready",
    "m201": exports.ORDERS[201].replace("2026-02-17,2026-02-19", ","),
}
BEHIND = [
    ("H-00201", "Hielo", "Dhs 30.00", "Dhs 0.00", "−Dhs 30.00", "no longer earned"),
    ("M-00102", "Moon Walk", "Dhs 20.00", "Dhs 0.00", "−Dhs 20.00", "moved to Mar 2026, status Ready → Completed"),
    ("M-00103", "Moon Walk", "Dhs 15.00", "Dhs 0.00", "−Dhs 15.00", "gone"),
    ("M-00104", "Moon Walk", "Dhs 0.00", "Dhs 12.00", "+Dhs 12.00", "new"),
    ("M-00101", "Moon Walk", "Dhs 50.25", "Dhs 60.25", "+Dhs 10.00",
     "total Dhs 50.25 → Dhs 60.25, status Completed → =1+1"),
]  # fmt: skip


def orders_shown(page: str) -> list[tuple]:
    """What a run's page says of the orders that moved its months."""
    tables = re.findall(r'<table class="mw-table mw-orders">.*?</table>', page, re.S)
    rows = [re.findall(r"<t[hd][^>]*data-label=[^>]*>(.*?)</t[hd]>", row, re.S) for table in tables
            for row in table.split("<tbody>")[1].split("</tr>")[:-1]]  # fmt: skip
    return [tuple(html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in row) for row in rows]


def test_the_runs_page_shows_the_orders_behind_a_month_the_biggest_first(folder, people, as_):
    exports.write(folder, orders=orders(**MOVED))
    found = run()
    assert revenue(found)[0] == ("2026-02", "", 415.25, 372.25, True)
    page = as_("layla").get(url("change", found.pk)).content.decode()
    assert orders_shown(page) == BEHIND
    assert "Orders that move Feb 2026: 5, those that move it most first" in page
    order = reverse("admin:operations_order_change", args=["H-00201"])
    assert order not in page, "Layla may open no order"
    page = as_("root").get(url("change", found.pk)).content.decode()
    assert f'<a href="{order}">H-00201</a>' in page
    assert reverse("admin:operations_order_change", args=["M-00104"]) not in page, "not at the desk yet"
    assert orders_shown(as_("layla").get(url("release", found.pk)).content.decode()) == BEHIND
    held_builds.discard(refresh.warehouse(), found, people["root"])
    page = as_("layla").get(url("change", found.pk)).content.decode()
    assert orders_shown(page) == BEHIND, "whoever asks later why it was discarded"
    assert url("orders", found.pk, "csv") not in page, "the build is gone"
    assert as_("layla").get(url("orders", found.pk, "csv")).status_code == 404


def test_all_orders_behind_closed_months_can_be_taken_along(folder, people, as_):
    """More of them than a page shows; what a spreadsheet would run stands in quotes; who may look at the run may."""
    exports.write(folder, orders=orders(**MOVED))
    found = run()
    (february,) = found.moved_orders
    first = [row["order_id"] for row in february["orders"]]
    assert (february["count"], first, february["rest"]) == (5, [row[0] for row in BEHIND], 0)
    with closing(refresh.warehouse().connect()) as was, closing(refresh.warehouse().connect(found.build_id)) as now:
        behind = comparison.orders(was, now, ["2026-02"])
    assert behind["difference"].sum() == Decimal("-43.00"), "what the month's revenue moves"
    found.moved_orders = comparison.most_moved(behind, 2)
    found.save()
    client = as_("layla")
    page = client.get(url("change", found.pk)).content.decode()
    assert orders_shown(page) == BEHIND[:2]
    assert "and 3 more, together +Dhs 7.00" in page  # 12.00 + 10.00 - 15.00
    assert url("orders", found.pk, "csv") in page
    answer = client.get(url("orders", found.pk, "csv"))
    assert answer["Content-Type"].startswith("text/csv") and "no-store" in answer["Cache-Control"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [(row["Order"], row["Change (Dhs)"]) for row in rows] == [
        ("H-00201", "-30.00"), ("M-00102", "-20.00"), ("M-00103", "-15.00"), ("M-00104", "12.00"),
        ("M-00101", "10.00")]  # fmt: skip
    assert rows[-1] == {
        "Month": "Feb 2026", "Order": "M-00101", "What changed": BEHIND[-1][-1], "Earned in it before (Dhs)": "50.25",
        "Earned in it after (Dhs)": "60.25", "Change (Dhs)": "10.00", "Store before": "Moon Walk",
        "Store after": "Moon Walk", "Status before": "Completed", "Status after": "'=1+1",
        "Total before (Dhs)": "50.25", "Total after (Dhs)": "60.25", "Month before": "Feb 2026",
        "Month after": "Feb 2026"}  # fmt: skip
    assert rows[1]["Month after"] == "Mar 2026" and rows[0]["Month after"] == rows[3]["Total before (Dhs)"] == ""
    assert "Haddad" not in answer.content.decode()
    assert client.get(url("orders", found.pk, "xlsx")).status_code == 200
    assert client.get(url("orders", found.pk, "pdf")).status_code == 404
    for name in ("farid", "hala"):
        assert as_(name).get(url("orders", found.pk, "csv")).status_code == 403
    assert Client().get(url("orders", found.pk, "csv")).status_code == 302


@pytest.mark.sqlite_suffices
def test_an_order_in_both_months_it_moved_between_in_another_store_or_a_business_accounts(folder):
    """M-00102 was cleaned in January; customer 2 is a business account; number 103 is of Hielo, so another order."""
    exports.write(
        folder,
        orders=orders(
            m102=exports.ORDERS[102].replace("2026-02-10", "2026-01-10").replace("2026-02-12", "2026-01-12"),
            m103=exports.ORDERS[103].replace("36319,Moon Walk", "38516,Hielo"),
        ),
        customers=exports.CUSTOMERS | {2: exports.CUSTOMERS[2].replace(",7,,", ",7,B-1,")},
    )
    found = run(dry_run=True)
    assert found.state == State.CHECKED
    february, january = moved.months(found)
    assert [(order.number, order.change, order.what) for order in february.orders] == [
        ("H-00201", "−Dhs 30.00", "now a business account's"), ("M-00102", "−Dhs 20.00", "moved to Jan 2026"),
        ("H-00103", "+Dhs 15.00", "new"), ("M-00103", "−Dhs 15.00", "gone")]  # fmt: skip
    assert [(order.number, order.before, order.after, order.what) for order in january.orders] == [
        ("M-00102", "Dhs 0.00", "Dhs 20.00", "moved from Feb 2026")]  # fmt: skip


def test_who_comes_too_late_is_told_once_that_theirs_was_not_done(folder, people, as_):
    """Two tabs: discarded in one, then both buttons pressed in the other; and one discarded at the very moment."""
    found = held(folder)
    held_builds.discard(refresh.warehouse(), found, people["root"])
    for decision in ("release", "discard"):
        page = words(as_("layla").post(url(decision, found.pk), follow=True))
        assert "What you asked for was not done: somebody decided before you" in page
        assert page.count("was discarded by root") == 1


def test_a_refresh_that_brought_nothing_new_leads_to_the_one_that_is_held(folder, as_):
    found = held(folder)
    again = run()
    assert again.state == State.NOTHING_NEW
    page = as_("layla").get(url("change", again.pk)).content.decode()
    assert "The refresh that is held" in page and f'href="{url("change", found.pk)}"' in page


def test_discarded_on_its_page(folder, people, as_, data_dir):
    found = held(folder)
    client = as_("layla")
    assert "mend them in CleanCloud and export again" in words(client.get(url("discard", found.pk)))
    said = words(client.post(url("discard", found.pk), follow=True))
    assert f"Build {found.build_id} was discarded. What is live stays." in said
    assert f"The build of refresh {found.pk} was discarded by layla on " in said
    assert found.build_id not in builds_on_disk(data_dir)
    assert "was discarded by layla" in words(client.post(url("release", found.pk), follow=True))


def test_one_that_cannot_be_published_any_more_says_why(folder, as_):
    exports.write(folder, orders=total_of_102("20.50"))
    assert run().state == State.PUBLISHED
    found = held(folder)
    refresh.rollback()
    page = as_("layla").get(url("change", found.pk)).content.decode()
    assert "Another build went live since this one was compared" in page
    assert url("release", found.pk) not in page and url("discard", found.pk) in page
    assert "Another build went live" in words(as_("layla").get(url("release", found.pk), follow=True))


def test_who_may_decide(folder, people, as_):
    """Farid looks at runs and decides nothing; Hala manages, kept to one store: it is of the whole business."""
    found = held(folder)
    people["farid"].user_permissions.add(Permission.objects.get(codename="view_refreshrun"))
    page = as_("farid").get(url("change", found.pk)).content.decode()
    assert "Held: revenue of Feb 2026" in page
    assert url("release", found.pk) not in page and url("discard", found.pk) not in page
    for name in ("farid", "hala"):
        for decision in ("release", "discard"):
            assert as_(name).get(url(decision, found.pk)).status_code == 403
            assert as_(name).post(url(decision, found.pk)).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["root"])
    assert [strict.post(url(decision, found.pk)).status_code for decision in ("release", "discard")] == [403, 403]
    found.refresh_from_db()
    assert found.state == State.HELD


def test_who_may_decide_is_led_to_it_from_everywhere(folder, as_):
    page = "/executive/"
    assert "Newer figures are held" not in as_("layla").get(page).content.decode()
    found = held(folder)
    for address in (page, reverse("admin:index")):
        assert url("change", found.pk) in as_("layla").get(address).content.decode()
        assert url("change", found.pk) not in as_("hala").get(address).content.decode()
    waits = [(n, words) for n, words, to in as_("layla").get(reverse("admin:index")).context["waiting"]
             if to == url("change", found.pk)]  # fmt: skip
    assert waits == [(1, "refresh held: publish or discard it")]


def command(*arguments) -> tuple[str, str, int]:
    """(stdout, stderr, exit code) of a command."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out):
        try:
            call_command(*arguments, stdout=out, stderr=err)
        except SystemExit as end:
            code = end.code
    return out.getvalue(), err.getvalue(), code


def test_the_command_says_held_and_the_warehouse_command_decides(folder, data_dir):
    exports.write(folder, orders=total_of_102("30.00"))
    out, _, code = command("refresh_data")
    found = RefreshRun.objects.first()
    assert (code, found.state) == (3, State.HELD)
    assert re.search(r"Feb 2026 +Revenue +Dhs 415.25 +Dhs 425.25 +\+Dhs 10.00 +\+2.41 % +over the limit", out)
    assert f"Held: build {found.build_id}" in out and f"manage.py warehouse release {found.pk}" in out
    out, _, code = command("warehouse", "held")
    assert code == 0 and "+2.41 %" in out and f"Refresh {found.pk} is held" in out
    assert f"held by refresh {found.pk}" in command("warehouse", "list")[0]
    out, _, code = command("warehouse", "discard", str(found.pk))
    assert (code, found.build_id in builds_on_disk(data_dir)) == (0, False)
    assert "was discarded on" in command("refresh_data")[0]
    _, err, code = command("warehouse", "release", str(found.pk))
    assert code == 1 and f"The build of refresh {found.pk} was discarded" in err
    exports.write(folder, orders=total_of_102("31.00"))
    assert command("refresh_data", "--json")[2] == 3
    found = RefreshRun.objects.first()
    out, _, code = command("warehouse", "release", str(found.pk))
    assert (code, out.strip()) == (0, f"Live: build {found.build_id}, exports of 2026-03-05.")
    assert february() == 426.25
    assert command("warehouse", "held")[0].strip() == "No build is held."
    assert command("warehouse", "release", "999")[2] == 1
