"""The demo's fortnight at the desk: what is there afterwards, once, on invented exports alone.

46 consumers with two unpaid orders each (30 + 10 n and 5, n their number), all of January: customer 46 owes most.
"""

import json
import threading
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.utils import timezone

from analytics.models import Target
from analytics.targets import offered
from operations import catch_up, demo, refresh, services
from operations.management.commands.demo import STAMP
from operations.models import Customer, FollowUp, Message, Order, Payment
from operations.money import Promise
from operations.standing import last_promises
from tests.operations import exports

pytestmark = pytest.mark.django_db
CUSTOMERS = {
    n: f"{n},Client {n},36319,Moon Walk,2025-01-10,2,,+9715000001{n:02},c{n}@example.com" for n in range(1, 47)
}
ORDERS = {
    number: f"{number},{n},36319,Moon Walk,2026-01-05,,2026-01-08,,,0,1,{total}.00,0,,,Ready"
    for n in CUSTOMERS
    for number, total in ((200 + 2 * n, 30 + 10 * n), (201 + 2 * n, 5))
}


@pytest.fixture
def invented(data_dir, django_user_model):
    """Exports as `make demo` invents them, refreshed, with the two people who work at the desk."""
    folder = exports.write(data_dir / "exports", customers=CUSTOMERS, orders=ORDERS)
    files = sorted(p.name for p in folder.iterdir())
    (folder / STAMP).write_text(json.dumps({"made": date.today().isoformat(), "files": files}))
    for name in ("desk", "finance"):
        django_user_model.objects.create_user(name).groups.add(Group.objects.get(name=name.capitalize()))
    assert refresh.refresh(trigger="command").state == "published"
    return folder


def make_demo(monkeypatch) -> str:
    monkeypatch.setattr("operations.management.commands.demo.call_command", lambda *a, **k: None)
    out = StringIO()
    call_command("demo", stdout=out)
    return out.getvalue()


def rows() -> list[int]:
    return [model.objects.count() for model in (FollowUp, Payment, Message)]


def test_a_fortnight_at_the_desk_leaves_something_of_everything(invented, monkeypatch, no_refresh_by_itself):
    assert "A fortnight at the desk" in make_demo(monkeypatch)
    today = timezone.localdate()
    # 4 broken, of one of which a part came; 6 pending; 2 kept
    states = Counter(promise.state for promise in last_promises(today).values())
    assert states == {Promise.BROKEN: 4, Promise.PENDING: 6, Promise.KEPT: 2}
    assert Customer.objects.filter(assigned_to__username="desk").count() == 36 + 1
    assert Customer.objects.filter(assigned_to__username="finance").count() == 8
    assert Message.objects.count() == 8 + 2, "of the 44 who are assigned, and in a round of the other two"
    assert set(Message.objects.values_list("language", flat=True)) == {"en", "ar"}
    assert "Dhs" in Message.objects.filter(language="en").first().text
    outcomes = {"", "promised", "reached", "not reached", "disputed", "refused", "wrong number", "left word"}
    assert set(FollowUp.objects.values_list("outcome", flat=True)) == outcomes
    assert Customer.objects.filter(do_not_contact=True).count() == 1
    # Five paid in full; of a void nothing is left
    settled = Order.objects.with_balance().filter(balance=0).values("customer").distinct().count()
    assert settled == 5
    (counter,) = Payment.objects.filter(voids__isnull=False)
    assert counter.amount == -counter.voids.amount
    # A correction without a conflict, one with: CleanCloud's newer export has a third phone
    (torn,) = Customer.objects.with_conflicts()
    assert [(c.field, c.ours, c.theirs) for c in torn.conflicts] == [("phone", "+971 50 555 0142", "+971505550199")]
    assert Customer.objects.filter(own_email__isnull=False).count() == 1


def test_the_figures_have_it_and_nothing_runs_behind(
    invented, monkeypatch, no_refresh_by_itself, django_capture_on_commit_callbacks
):
    make_demo(monkeypatch)
    assert not Payment.objects.filter(included_in="").exists()
    assert no_refresh_by_itself == []
    assert [t.name for t in threading.enumerate() if t.name in catch_up.THREADS] == []
    with refresh.warehouse().connect() as con:
        paid = con.execute("SELECT sum(paid_here) FROM sales").fetchone()[0]
    assert paid == sum(Payment.objects.values_list("amount", flat=True)) > 0
    # and afterwards payments are followed as ever
    order = Order.objects.outstanding().first()
    user = demo.get_user_model().objects.get(username="desk")
    with django_capture_on_commit_callbacks(execute=True):
        today = timezone.localdate()
        services.order_mark_paid([order.pk], method="Cash", paid_on=today, user=user, request_key=demo.KEYS)
    assert no_refresh_by_itself == ["asked"]


def test_each_day_had_its_own_clock(invented, monkeypatch):
    real = timezone.now
    make_demo(monkeypatch)
    assert timezone.now is real
    today, days = timezone.localdate(), set()
    for row in [*FollowUp.objects.all(), *Payment.objects.all(), *Message.objects.all()]:
        day = timezone.localdate(row.created_at)
        days.add((today - day).days)
        assert row.created_at <= timezone.now()
        if isinstance(row, Payment):
            assert row.paid_on == day
        elif isinstance(row, FollowUp) and row.promise_on:
            assert row.promise_on > day, "as the service would have it that day"
    assert {0, 1, 2, 9, 13} <= days <= set(range(14))


def test_a_second_time_adds_nothing(invented, monkeypatch):
    make_demo(monkeypatch)
    before, live = rows(), refresh.warehouse().current()
    # who owes most is the first to break a promise; its request has the same key on every machine
    most = FollowUp.objects.promises().order_by("-promise_amount").first()
    assert (most.customer_id, most.promise_amount) == ("CC-0046", 495)
    assert most.request_key == demo.uuid.uuid5(demo.KEYS, "CC-0046 promise 9")
    assert "fortnight" not in make_demo(monkeypatch)
    assert (rows(), refresh.warehouse().current()) == (before, live)

    # Nor are exports invented anew under this work once another month has begun: they would be of other people.
    files = json.loads((invented / STAMP).read_text())["files"]
    old = (date.today().replace(day=1) - timedelta(days=40)).isoformat()
    (invented / STAMP).write_text(json.dumps({"made": old, "files": files}))
    assert f"The exports stay as of {old}" in make_demo(monkeypatch)
    assert sorted(p.name for p in invented.iterdir() if p.name != STAMP) == files


def test_a_fortnight_that_broke_off_left_nothing_and_is_played_whole(invented, monkeypatch):
    monkeypatch.setattr("operations.services.preferences_save", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        demo.furnish(invented, [])
    assert rows() == [0, 0, 0]
    monkeypatch.undo()
    monkeypatch.setattr("operations.catch_up.ask", lambda: None)
    assert demo.furnish(invented, [])
    assert min(rows()) > 0


def test_fewer_debtors_make_a_shorter_fortnight(invented):
    Order.objects.exclude(customer__in=["CC-0001", "CC-0002"]).update(paid=True)
    assert demo.furnish(invented, [])
    assert set(FollowUp.objects.values_list("customer", flat=True)) == {"CC-0001", "CC-0002"}


def test_nobody_owing_is_no_error(invented):
    Order.objects.update(paid=True)
    assert demo.furnish(invented, [])
    assert rows() == [0, 0, 0]


def test_where_somebody_works_already_nothing_is_added(invented, monkeypatch):
    user = demo.get_user_model().objects.get(username="desk")
    services.note_add("CC-0001", "Mine.", user=user, request_key=demo.KEYS)
    assert "fortnight" not in make_demo(monkeypatch)
    assert rows() == [1, 0, 0]


@pytest.mark.parametrize("own", ["no stamp", "a file beside"])
def test_never_on_somebodys_own_exports(invented, monkeypatch, own):
    if own == "no stamp":
        (invented / STAMP).unlink()
    else:
        (invented / "my-own.csv").write_text("a,b\n")
    before = {p.name: p.read_bytes() for p in invented.iterdir()}
    assert "fortnight" not in make_demo(monkeypatch)
    assert rows() == [0, 0, 0]
    assert {p.name: p.read_bytes() for p in invented.iterdir()} == before


def test_half_is_whole_money_and_never_more_than_all():
    def half(owed):
        return demo.Debtor(Customer(pk="CC-1"), Decimal(owed)).half

    assert [half("25.00"), half("0.50"), half("100.10"), half("1.20")] == [
        Decimal("13.00"), Decimal("0.50"), Decimal("51.00"), Decimal("1.00")]  # fmt: skip


def test_targets_of_this_month_and_the_last_once(golden_data):
    """Revenue of November to January: 23,895.30, 24,700.00, 25,200.40 or so; their mean x 1.05 is 25,828: 26,000."""
    assert demo.set_targets()
    found = {(t.metric, t.month): t.value for t in Target.objects.all()}
    assert found["revenue", "2026-02"] == found["revenue", "2026-03"] == 26000
    assert {month for _, month in found} == {"2026-02", "2026-03"}
    assert {metric for metric, _ in found} == set(demo.GOALS) <= set(offered())
    Target.objects.all().delete()
    assert not demo.set_targets() and not Target.objects.exists(), "removed, so not made again"


def test_somebodys_own_targets_are_left_alone(golden_data):
    Target.objects.create(metric="revenue", month="2026-02", value=5)
    assert not demo.set_targets()
    assert Target.objects.count() == 1
