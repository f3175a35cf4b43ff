"""Two people (and a refresh) at the same rows at the same time, each in a process with a connection of its own.

On SQLite, and on PostgreSQL, which locks row by row. Dana Haddad (CC-0001) owes
20.00 for M-00102; forty more orders of hers, M-01001 to M-01040, are open with 10.00 each.
"""

import json
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import wait_for
from tests.databases import ON_POSTGRESQL, full_on_sqlite
from tests.operations import exports
from tests.operations.house import House

pytestmark = pytest.mark.own_database
MANY = [f"M-{n:05}" for n in range(1001, 1041)]
ORDERS = exports.ORDERS | {
    n: f"{n},1,36319,Moon Walk,2026-02-{n % 20 + 1:02},,2026-02-25,,,0,1,10.00,0,,,Ready" for n in range(1001, 1041)
}
PEOPLE = """
from django.contrib.auth.models import Group, User
for name in ("dana", "farid"):
    User.objects.create_user(name).groups.add(Group.objects.get(name="Finance"))
"""


class Desk(House):
    """A house whose children are people at the desk."""

    _files = 0

    def file(self) -> str:
        self._files += 1
        return str(self.root / f"signal-{self._files}")

    def begin(self, do: str, *args, user: str = "dana", hold=None, die: str = "", gate: str = "", **more) -> "Child":
        orders = {"do": do, "args": args, "more": more, "user": user}
        if hold:
            orders["hold"] = hold
        if die:
            orders["die"] = die
        if gate:
            orders |= {"go": gate, "ready": self.file()}
        return Child(orders, self.start("-m", "tests.operations.desk_child", json.dumps(orders)))

    def do(self, do: str, *args, **more) -> dict:
        return self.begin(do, *args, **more).answer()

    def at_once(self, *calls: tuple[str, list, dict]) -> list[dict]:
        """The answers of children that begin in the same moment."""
        gate = self.file()
        children = [self.begin(do, *args, gate=gate, **more) for do, args, more in calls]
        wait_for(lambda: all(Path(child.orders["ready"]).exists() for child in children), 60)
        Path(gate).touch()
        return [child.answer() for child in children]

    def until_waiting(self, children: int) -> None:
        """Until so many children wait for a lock. A file's lock can't be asked: there it is a matter of time."""
        if not ON_POSTGRESQL:
            return time.sleep(3)
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return wait_for(lambda: self.rows(sql)[0][0] >= children, 60)

    def payments(self) -> list[tuple[str, str]]:
        sql = "SELECT order_id, amount FROM operations_payment ORDER BY order_id, id"
        return [(order, f"{amount:.2f}") for order, amount in self.rows(sql)]

    def customer(self, *columns: str) -> tuple:
        sql = f"SELECT {', '.join(columns)} FROM operations_customer WHERE customer_id = 'CC-0001'"
        return self.rows(sql)[0]


class Child:
    """A process that was given its orders."""

    def __init__(self, orders: dict, process: subprocess.Popen):
        self.orders, self.process = orders, process

    @property
    def waits(self) -> bool:
        return self.process.poll() is None

    def answer(self) -> dict:
        out, error = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, error
        return json.loads(out.splitlines()[-1])

    def dies(self) -> None:
        self.process.communicate(timeout=120)
        assert self.process.returncode == -9


@pytest.fixture(scope="module")
def template(migrated, tmp_path_factory):
    """After a first refresh, with two people at the desk."""
    desk = Desk(migrated(tmp_path_factory.mktemp("desk")))
    exports.write(desk.root / "exports", orders=ORDERS)
    desk.shell(PEOPLE)
    desk.manage("refresh_data")
    assert desk.rows("SELECT count(*) FROM operations_order") == [(44,)]
    return desk


@pytest.fixture
def desk(template, tmp_path):
    return Desk(tmp_path / "desk", like=template.root)


def paying(**more) -> dict:
    return {"method": "Cash", "paid_on": "2026-03-05", "request_key": str(uuid4())} | more


# --- Two payments --------------------------------------------------------------------------------------------------


def test_a_double_click_pays_once(desk):
    click = paying()
    answers = desk.at_once(*[("order_mark_paid", [["M-00102"]], click)] * 3)
    assert desk.payments() == [("M-00102", "20.00")]
    (payment,) = desk.rows("SELECT id FROM operations_payment")
    assert answers == [{"made": [payment[0]]}] * 3, "each is told of the one payment"


@full_on_sqlite
def test_two_people_mark_one_order_paid(desk):
    answers = desk.at_once(
        ("order_mark_paid", [["M-00102"]], paying()),
        ("order_mark_paid", [["M-00102"]], paying(user="farid")),
        ("customer_pay", ["CC-0001"], paying(amount="20.00", order_ids=["M-00102"])),
    )
    assert desk.payments() == [("M-00102", "20.00")]
    assert sorted(len(answer.get("made", [])) for answer in answers) == [0, 0, 1]
    assert desk.rows("SELECT count(*) FROM auditlog_logentry WHERE object_repr LIKE 'payment %'") == [(1,)]


@full_on_sqlite
def test_two_part_payments_never_pay_more_than_is_owed(desk):
    part = {"amount": "12.00", "order_ids": ["M-00102"]}
    answers = desk.at_once(*[("customer_pay", ["CC-0001"], paying(**part)) for _ in range(3)])
    assert desk.payments() == [("M-00102", "12.00")]
    refused = [answer["refused"] for answer in answers if "refused" in answer]
    assert refused == ["Dhs 12.00 is more than is owed: Dhs 8.00."] * 2


@full_on_sqlite
def test_one_payment_is_undone_once(desk):
    (payment,) = desk.do("order_mark_paid", ["M-00102"], **paying())["made"]
    undo = {"reason": "typed wrong"}
    answers = desk.at_once(*[("payment_void", [payment], undo | {"request_key": str(uuid4())}) for _ in range(3)])
    assert desk.payments() == [("M-00102", "20.00"), ("M-00102", "-20.00")]
    assert len({tuple(answer["made"]) for answer in answers}) == 1


@full_on_sqlite
def test_many_orders_chosen_in_opposite_orders_wait_for_nobody_for_ever(desk):
    """Locks taken in the order of choosing would wait in a ring, which PostgreSQL breaks with an error."""
    answers = desk.at_once(
        ("order_mark_paid", [MANY], paying()),
        ("order_mark_paid", [MANY[::-1]], paying(user="farid")),
        ("customer_pay", ["CC-0001"], paying(amount="100.00", order_ids=MANY[20:] + MANY[:20])),
    )
    assert sum(float(amount) for _, amount in desk.payments()) == 400
    assert len({order for order, _ in desk.payments()}) == 40
    assert all(set(answer) <= {"made", "refused"} for answer in answers)


# --- While another's transaction is open ---------------------------------------------------------------------------


def holding(desk, point: str) -> tuple[list, Path, Path]:
    held, let_go = desk.file(), desk.file()
    return [point, held, let_go], Path(held), Path(let_go)


@full_on_sqlite
def test_the_second_waits_for_the_first_and_sees_what_it_did(desk):
    hold, held, let_go = holding(desk, "operations.models:Payment.save")
    first = desk.begin("order_mark_paid", ["M-00102"], hold=hold, **paying())
    wait_for(held.exists, 60)
    second = desk.begin("order_mark_paid", ["M-00102"], user="farid", **paying())
    third = desk.begin("note_add", "CC-0001", "Comes on Friday", user="farid", request_key=str(uuid4()))
    if ON_POSTGRESQL:
        assert third.answer()["made"], "another row: nobody waits"
    desk.until_waiting(1)
    assert second.waits
    assert desk.payments() == [], "nothing is committed yet"
    let_go.touch()
    assert (len(first.answer()["made"]), second.answer()["made"]) == (1, [])
    assert desk.payments() == [("M-00102", "20.00")]
    third.process.wait(60)  # on SQLite it waited for the file
    assert desk.rows("SELECT count(*) FROM operations_followup") == [(1,)]


@full_on_sqlite
def test_of_two_corrections_the_second_is_refused(desk):
    hold, held, let_go = holding(desk, "operations.models:Customer.save")
    seen = {"seen": "+971 50 000 0001"}
    first = desk.begin("correction_save", "CC-0001", "phone", "055 111 2222", hold=hold, **seen)
    wait_for(held.exists, 60)
    second = desk.begin("correction_save", "CC-0001", "phone", "055 333 4444", user="farid", **seen)
    desk.until_waiting(1)
    assert second.waits
    let_go.touch()
    assert first.answer()["made"] == ["CC-0001"]
    assert "changed meanwhile, to “055 111 2222”" in second.answer()["refused"]
    assert desk.customer("own_phone", "phone_key") == ("055 111 2222", "971551112222")


# --- A refresh meanwhile -------------------------------------------------------------------------------------------

CHANGED = {1: exports.CUSTOMERS[1].replace("0001,", "0009,")}


@full_on_sqlite
def test_a_refresh_waits_for_an_edit_and_keeps_it(desk):
    """The edit is under way, not committed, when the refresh wants to write the same customer and orders."""
    exports.write(desk.root / "exports", customers=exports.CUSTOMERS | CHANGED, orders=ORDERS, day="2026-03-06")
    hold, held, let_go = holding(desk, "operations.models:Customer.save")
    edit = desk.begin("correction_save", "CC-0001", "phone", "055 111 2222", hold=hold)
    wait_for(held.exists, 60)
    refresh = desk.begin("refresh")
    desk.until_waiting(1)
    assert refresh.waits
    assert desk.customer("phone", "own_phone") == ("+971 50 000 0001", None)
    let_go.touch()
    assert edit.answer()["made"] == ["CC-0001"]
    assert refresh.answer()["state"] == "published"
    assert desk.customer("phone", "own_phone", "over_phone", "phone_key") == (
        "+971 50 000 0009", "055 111 2222", "+971 50 000 0001", "971551112222")  # fmt: skip


@full_on_sqlite
def test_an_edit_waits_for_a_refresh_and_sees_what_it_brought(desk):
    """The export says paid, and brings another phone, in a transaction that is not committed yet."""
    paid = ORDERS | {102: ORDERS[102].replace("20.00,0,,", "20.00,1,Cash,2026-03-01")}
    exports.write(desk.root / "exports", customers=exports.CUSTOMERS | CHANGED, orders=paid, day="2026-03-06")
    hold, held, let_go = holding(desk, "operations.sync:sync")
    refresh = desk.begin("refresh", hold=hold)
    wait_for(held.exists, 60)
    payment = desk.begin("order_mark_paid", ["M-00102", "M-01001"], **paying())
    edit = desk.begin("correction_save", "CC-0001", "phone", "055 111 2222", seen="+971 50 000 0001")
    desk.until_waiting(2)
    assert payment.waits
    assert edit.waits
    let_go.touch()
    assert refresh.answer()["state"] == "published"
    assert len(payment.answer()["made"]) == 1
    assert desk.payments() == [("M-01001", "10.00")], "M-00102 is paid in the export by now"
    assert "changed meanwhile, to “+971 50 000 0009”" in edit.answer()["refused"]
    assert desk.customer("own_phone", "phone_key") == (None, "971500000009")


@full_on_sqlite
def test_a_refresh_and_payments_of_many_orders_end(desk):
    """Both lock the same forty orders; the refresh changes every one of them."""
    dearer = {n: row.replace("10.00,0", "11.00,0") for n, row in ORDERS.items()}
    exports.write(desk.root / "exports", orders=dearer, day="2026-03-06")
    hold, held, let_go = holding(desk, "operations.sync:_lock")
    refresh = desk.begin("refresh", hold=hold)
    wait_for(held.exists, 60)
    payment = desk.begin("order_mark_paid", MANY[::-1], **paying())
    desk.until_waiting(1)
    let_go.touch()
    assert refresh.answer()["state"] == "published"
    assert len(payment.answer()["made"]) == 40
    assert {amount for _, amount in desk.payments()} <= {"10.00", "11.00"}
    assert desk.rows("SELECT count(*) FROM operations_order WHERE total = 11") == [(40,)]


# --- Killed in the middle ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["operations.models:Payment.save", "operations.services:_record"])
def test_killed_before_the_commit_nothing_is_written_and_the_retry_pays_once(desk, point):
    click = paying()
    desk.begin("order_mark_paid", ["M-00102", "M-01001"], die=point, **click).dies()
    assert desk.payments() == []
    assert desk.rows("SELECT count(*) FROM auditlog_logentry WHERE object_repr LIKE 'payment %'") == [(0,)]
    for _ in range(2):
        assert len(desk.do("order_mark_paid", ["M-00102", "M-01001"], **click)["made"]) == 2
    assert desk.payments() == [("M-00102", "20.00"), ("M-01001", "10.00")]


@full_on_sqlite
def test_killed_after_the_commit_the_retry_pays_nothing_more(desk):
    click = paying()
    desk.begin("order_mark_paid", ["M-00102"], die="django.db.transaction:Atomic.__exit__", **click).dies()
    assert desk.payments() == [("M-00102", "20.00")]
    assert len(desk.do("order_mark_paid", ["M-00102"], **click)["made"]) == 1
    assert desk.payments() == [("M-00102", "20.00")]


def test_a_refresh_killed_in_the_middle_takes_no_edit_along(desk):
    desk.do("order_mark_paid", ["M-00102"], **paying())
    desk.do("correction_save", "CC-0001", "phone", "055 111 2222")
    desk.do("note_add", "CC-0001", "Comes on Friday", request_key=str(uuid4()))
    exports.write(desk.root / "exports", customers=exports.CUSTOMERS | CHANGED, orders=ORDERS, day="2026-03-06")
    ours = ("055 111 2222", "+971 50 000 0001", "971551112222")
    desk.begin("refresh", die="operations.sync:sync").dies()
    assert desk.customer("phone", "own_phone", "over_phone", "phone_key") == ("+971 50 000 0001", *ours)
    assert desk.do("refresh")["state"] == "published"
    assert desk.customer("phone", "own_phone", "over_phone", "phone_key") == ("+971 50 000 0009", *ours)
    assert desk.payments() == [("M-00102", "20.00")]
    assert desk.rows("SELECT note FROM operations_followup") == [("Comes on Friday",)]
