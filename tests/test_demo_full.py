"""make demo-full: all servers with one command, each started again when it is killed, none left behind."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import ROOT, free_port, wait_for
from tests.databases import full_on_postgresql
from tests.operations import exports
from tests.operations.house import House

pytestmark = pytest.mark.own_database
SERVERS = {"redis-server": "redis", "gunicorn": "web", "worker": "worker", "beat": "clock"}


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def servers(command: subprocess.Popen) -> dict[str, int]:
    """Name -> process number of each server that runs."""
    found = {}
    for pid in (pid for supervisor in children(command.pid) for pid in children(supervisor)):
        with suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_text()
            found |= {name: pid for word, name in SERVERS.items() if word in line}
    return found


@full_on_postgresql
def test_without_redis_it_says_what_to_install(tmp_path):
    said = subprocess.run(
        [sys.executable, "scripts/demo_full.py"], cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (said.returncode, said.stderr) == (1, "Redis is not installed: on Debian, apt-get install redis-server.\n")


@pytest.mark.full
def test_every_server_comes_back_and_ctrl_c_ends_them_all(tmp_path):
    assert shutil.which("redis-server"), "`make test` installs it"
    house, port = House(tmp_path / "data"), free_port()
    exports.settled(exports.write(house.root / "exports"))
    house.environment["MOONWALK_DEMO_PASSWORD"] = "for-the-tests-only"
    log = tmp_path / "log"
    with log.open("w") as out:
        command = subprocess.Popen(house.command("scripts/demo_full.py", "--port", str(port)), cwd=ROOT,
                                   env=house.environment, stdout=out, stderr=out, start_new_session=True)  # fmt: skip

    def answers() -> bool:
        with suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/login/", timeout=5).status == 200
        return False

    everything = {}
    try:
        wait_for(lambda: "Moonwalk is at" in log.read_text(), 120, every=0.5)
        before = wait_for(lambda: len(found := servers(command)) == 4 and found, 20)
        for name, pid in before.items():
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda name=name, pid=pid: servers(command).get(name, pid) != pid, 30)
        wait_for(answers, 60, every=0.5)
        everything = wait_for(lambda: len(found := servers(command)) == 4 and found, 20)
        # What is due is done: by the clock that came back, through the Redis that came back, in the new worker.
        owed = house.run("-c", OWED)
        assert owed.returncode == 0, owed.stderr
        wait_for(lambda: house.rows("SELECT state FROM operations_duty") == [("done",)], 120, every=0.5)
    finally:
        command.send_signal(signal.SIGINT)
        command.wait(90)
    assert not [pid for pid in everything.values() if Path(f"/proc/{pid}").exists()], log.read_text()
    assert not answers()


OWED = """
import django, os
os.environ["DJANGO_SETTINGS_MODULE"] = "moonwalk.settings"
django.setup()
from django.utils import timezone
from operations import duties
duties.owe("prune", timezone.now())
"""
