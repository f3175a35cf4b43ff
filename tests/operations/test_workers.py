"""Workers that send deliveries, each a process with a connection of its own, on SQLite and on PostgreSQL: each goes
once, and what a killed one was sending goes again."""

import subprocess
from collections import Counter

import pytest

from tests.conftest import wait_for
from tests.operations.house import House
from tests.sinks import LATE, Webhook

pytestmark = pytest.mark.own_database

RECORD = """
from operations import deliveries
for n in range({n}):
    deliveries.record("slack", f"{name} {{n}}", "About", content={{"text": f"{name} {{n}}"}})
"""
# Waits for the file, then sends whatever is due. A claim counts as a dead worker's after two seconds.
WORK = """
import time, sys, pathlib
import django; django.setup()
from operations import deliveries
deliveries.CLAIM_SECONDS = 2
found = list(deliveries.due().values_list("pk", flat=True))
print("ready", flush=True)
while not pathlib.Path({gate!r}).exists():
    time.sleep(0.005)
for pk in found:
    deliveries.deliver(pk)
"""


@pytest.fixture(scope="module")
def webhook():
    with Webhook() as sink:
        yield sink


@pytest.fixture(scope="module")
def house(migrated, tmp_path_factory, webhook) -> House:
    """A database of its own."""
    house = House(migrated(tmp_path_factory.mktemp("workers") / "data"))
    house.environment |= {"DJANGO_SETTINGS_MODULE": "moonwalk.settings", "MOONWALK_SLACK_WEBHOOK": webhook.url}
    return house


def record(house: House, name: str, n: int) -> None:
    house.shell(RECORD.format(name=name, n=n))


def worker(house: House, gate) -> subprocess.Popen:
    """One that has seen what is due and waits for the gate."""
    found = house.start("-c", WORK.format(gate=str(gate)))
    assert found.stdout.readline() == "ready\n"
    return found


def state(house: House, name: str) -> list[tuple]:
    return house.rows(f"SELECT state, attempts FROM operations_delivery WHERE key LIKE '{name} %'")


def test_of_three_workers_that_see_the_same_each_message_is_sent_by_one(house, webhook, tmp_path):
    record(house, "at once", 12)
    workers = [worker(house, tmp_path / "gate") for _ in range(3)]
    (tmp_path / "gate").touch()
    for one in workers:
        _, errors = one.communicate(timeout=60)
        assert one.returncode == 0, errors
    assert Counter(said["text"] for said in webhook.said) == {f"at once {n}": 1 for n in range(12)}
    assert state(house, "at once") == [("sent", 1)] * 12


def test_what_a_killed_worker_was_sending_goes_again_once_its_claim_is_over(house, webhook, tmp_path):
    record(house, "killed", 1)
    (tmp_path / "gate").touch()
    webhook.will(LATE)
    first = worker(house, tmp_path / "gate")
    wait_for(lambda: {"text": "killed 0"} in webhook.said)
    first.kill()
    first.communicate()
    assert state(house, "killed") == [("sending", 1)]

    def taken_over() -> bool:
        assert worker(house, tmp_path / "gate").wait(60) == 0
        return state(house, "killed") == [("sent", 2)]

    wait_for(taken_over)
    assert [said["text"] for said in webhook.said].count("killed 0") == 2, "at least once: nobody knew that it arrived"
