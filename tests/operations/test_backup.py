"""A backup, everything destroyed, and back: the same figures, payments and people; on SQLite and PostgreSQL.

Each house here is a data folder with a database of its own, worked on by processes alone.
"""

import hashlib
import io
import json
import os
import re
import stat
import tarfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from operations import backup
from tests import databases
from tests.conftest import PASSWORD
from tests.databases import ON_POSTGRESQL, full_on_postgresql, full_on_sqlite
from tests.operations import exports
from tests.operations.house import House

pytestmark = pytest.mark.own_database
KEY = "a warehouse key of these tests"
BACKUP_KEY = "a backup key of these tests"

# What a person would look at before and after: who may sign in, what was paid, what the pages show.
LOOK = """
import json, os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "moonwalk.settings"
django.setup()
from contextlib import closing
from django.contrib.auth import authenticate, get_user_model
from django.test import RequestFactory
from analytics import queries
from operations.models import Customer, Payment, RefreshRun
house = queries.warehouse()
with closing(house.connect()) as con:
    sales = con.execute("SELECT order_id, total, collections, balance FROM sales ORDER BY 1").fetchall()
    insights = con.execute("SELECT count(*) FROM insights").fetchone()
users = get_user_model().objects.order_by("pk")
found = {
    "build": house.current(), "builds": [(b.build_id, b.inputs) for b in house.builds()], "sales": sales,
    "insights": insights,
    "groups": [(u.username, u.email, sorted(g.name for g in u.groups.all())) for u in users],
    "signs in": [bool(u.check_password("PASSWORD")) for u in users],
    "payments": list(Payment.objects.order_by("pk").values()),
    "customers": list(Customer.objects.order_by("pk").values()),
    "runs": list(RefreshRun.objects.order_by("pk").values()),
}
print(json.dumps(found, default=str))
""".replace("PASSWORD", PASSWORD)


def look(house: House) -> dict:
    run = house.run("-c", LOOK)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


# A house with a refresh, a person with a password, a payment in the figures and one that waits.
MAKE = """
import os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = "moonwalk.settings"
django.setup()
from django.contrib.auth import get_user_model
get_user_model().objects.create_superuser("root", "root@example.com", "PASSWORD")
from django_celery_beat.models import PeriodicTask
from operations import catch_up, refresh
from tests.operations import child
PeriodicTask.objects.update(start_time="2026-01-01T00:00:00Z")
run = refresh.refresh(trigger="command")
assert run.state == "published", run.error
child.pay("M-00102", "5.00", "queue")
child.pay("M-00102", "1.50")
""".replace("PASSWORD", PASSWORD)


class Worked(House):
    """Such a house, as it looked then."""

    def __init__(self, root: Path, key: str):
        super().__init__(root, key)
        exports.write(root / "exports")
        made = self.run("-c", MAKE)
        assert made.returncode == 0, made.stderr
        self.looked = look(self)


@pytest.fixture(scope="module")
def worked(migrated, tmp_path_factory) -> Callable[[str], Worked]:
    """The worked house of a warehouse key."""
    made: dict[str, Worked] = {}

    def ask(key: str) -> Worked:
        if key not in made:
            made[key] = Worked(migrated(tmp_path_factory.mktemp("worked") / "data"), key)
        return made[key]

    return ask


def a_house(tmp_path: Path, name: str, key: str = "", **more: str) -> House:
    """An empty house: no data folder, and a database without a table."""
    house = House(tmp_path / name, key)
    house.environment |= more
    return house


def back_up(house: House, target: Path, **more: str) -> str:
    house.environment |= {"MOONWALK_BACKUP_KEY": ""} | more
    made = house.run("manage.py", "backup", "--out", str(target))
    assert made.returncode == 0, made.stderr
    return made.stdout + made.stderr


def bring_back(house: House, source: Path, *options: str) -> tuple[int, str]:
    run = house.run("manage.py", "restore", str(source), *options)
    return run.returncode, run.stdout + run.stderr


def in_full(elsewhere: bool) -> list:
    """Where the other database shows it too, in the full matrix alone."""
    return [pytest.mark.full] if elsewhere else []


@pytest.mark.parametrize(
    ("key", "backup_key"),
    [pytest.param("", "", marks=in_full(not ON_POSTGRESQL), id="plain"),
     pytest.param(KEY, BACKUP_KEY, marks=in_full(ON_POSTGRESQL), id="with keys")],
)  # fmt: skip
def test_everything_destroyed_and_brought_back(worked, tmp_path, key, backup_key):
    house, file = worked(key), tmp_path / "one.moonwalk"
    before = house.looked
    said = back_up(house, file, MOONWALK_BACKUP_KEY=backup_key)
    assert ("NOT ENCRYPTED" in said) is not bool(backup_key)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    plain = re.compile(rb"operations|M-00102|landing|root@example")
    assert bool(plain.search(file.read_bytes())) is False, "compressed at least"
    secret = (house.root / "secret_key").read_text()

    # A new machine: no data folder, no database.
    new = a_house(tmp_path, "new", key, MOONWALK_BACKUP_KEY=backup_key)
    code, said = bring_back(new, file)
    assert code == 0, said
    assert look(new) == before
    assert before["signs in"] == [True]
    assert ((new.root / "secret_key").read_text() == secret) is bool(backup_key)
    assert ("share links made before open no more" in said) is not bool(backup_key)
    count = "SELECT count(*) FROM django_celery_beat_periodictask WHERE task = 'operations.duty' AND start_time"
    assert (house.rows(f"{count} < '2026-02-01'"), new.rows(f"{count} < '2026-02-01'")) == ([(6,)], [(0,)])
    assert new.rows(f"{count} > '2026-02-01'") == [(6,)] and "Schedules count from now" in said
    # It goes on from here: new rows get new numbers, and the payment that waited goes into the figures with a new one.
    new.pay("M-00102", "1.00", "queue")
    assert new.settled("M-00102") == ("7.50", "12.50")
    assert len(new.rows("SELECT 1 FROM operations_payment")) == 3
    assert sorted(p.name for p in new.root.iterdir() if p.name.startswith((".", "restore"))) == []


@pytest.mark.skipif(not ON_POSTGRESQL, reason="needs both databases")
def test_from_postgresql_into_sqlite(worked, written, tmp_path):
    new = House(tmp_path / "new")
    del new.environment["DATABASE_URL"]
    assert bring_back(new, written[""])[0] == 0
    assert (new.root / "db.sqlite3").exists()
    assert look(new) == worked("").looked


@full_on_postgresql
def test_a_house_that_holds_something_is_replaced_only_with_force(worked, written, tmp_path):
    databases.copy(worked("").root, tmp_path / "other")
    other = House(tmp_path / "other")
    other.pay("M-00102", "2.00")
    (other.root / "uploads" / "left").mkdir(parents=True)
    paid = "SELECT amount, included_in FROM operations_payment ORDER BY id"
    changed = other.rows(paid)
    code, said = bring_back(other, written[""])
    assert code == 1
    assert "This installation holds something already (1 user, 2 refreshes, build 2" in said
    assert other.rows(paid) == changed
    assert bring_back(other, written[""], "--force")[0] == 0
    assert other.rows(paid) == worked("").rows(paid)
    assert other.warehouse.current() == worked("").warehouse.current()
    assert not (other.root / "uploads").exists(), "somebody else's now"


KILLED = """
import os, signal, django
os.environ["DJANGO_SETTINGS_MODULE"] = "moonwalk.settings"
django.setup()
from django.core.management import call_command
from operations import backup
done = backup._Swap.do

def deadly(self, names):
    done(self, names)
    os.kill(os.getpid(), signal.SIGKILL)

backup._Swap.do = deadly
call_command("restore", "FILE", force=True)
"""


@pytest.mark.full
def test_a_restore_that_is_killed_as_things_change_places_says_so_and_is_done_again(worked, written, tmp_path):
    databases.copy(worked("").root, tmp_path / "other")
    other = House(tmp_path / "other")
    other.pay("M-00102", "2.00")
    assert other.run("-c", KILLED.replace("FILE", str(written[""]))).returncode == -9
    assert len(other.rows("SELECT 1 FROM operations_payment")) == 3, "the database is as it was"
    assert "moonwalk.E007" in other.run("manage.py", "check").stderr
    code, said = bring_back(other, written[""], "--force")
    assert code == 0, said
    assert look(other) == worked("").looked
    assert sorted(p.name for p in other.root.iterdir() if p.name.startswith((".", "restore"))) == []


# --- A file that is not what was written ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(worked, tmp_path_factory) -> dict[str, Path]:
    """By backup key: a backup of the house without a warehouse key."""
    made = {}
    for key in ("", BACKUP_KEY):
        made[key] = tmp_path_factory.mktemp("written") / "one.moonwalk"
        back_up(worked(""), made[key], MOONWALK_BACKUP_KEY=key)
    return made


def rewritten(file: Path, target: Path, change, whole: bool = False) -> Path:
    """A backup whose parts, name -> content, went through change(); whole: with the hashes of what they are now."""
    with tarfile.open(file, "r:gz") as tar:
        parts = {info.name: tar.extractfile(info).read() for info in tar}
    change(parts)
    if whole:
        contents = json.loads(parts.pop("contents.json"))
        contents["parts"] = {name: [len(c), hashlib.sha256(c).hexdigest()] for name, c in parts.items()}
        contents["rows"] = sum(c.count(b"\n") - 1 for name, c in parts.items() if name.endswith(".jsonl"))
        parts["contents.json"] = json.dumps(contents).encode()
    with tarfile.open(target, "w:gz") as tar:
        for name, content in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target


def of_part(name: str, change):
    def go(parts: dict) -> None:
        found = next(n for n in parts if re.search(name, n))
        parts[found] = change(parts[found])

    return go


def newer(content: bytes) -> bytes:
    about = json.loads(content)
    about["version"], about["migrations"]["operations"] = "9.9.9", ["0099_from_the_future"]
    return json.dumps(about).encode()


DAMAGED = "is damaged or cut off: take another backup. Nothing was changed."
BROKEN = {
    "a figure changed": (of_part(r"operations\.payment", lambda c: c.replace(b"5.00", b"9.00")), DAMAGED),
    "a part less": (lambda parts: parts.pop(next(n for n in parts if "landing" in n)), DAMAGED),
    "no end": (lambda parts: parts.pop("contents.json"), DAMAGED),
    "a way out": (lambda parts: parts.update({"files/landing/../../x": parts.pop("contents.json")}), DAMAGED),
    "a newer version": (of_part("about", newer), "made by Moonwalk 9.9.9, which is newer than this one (0.1.0)"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("how", BROKEN)
def test_a_backup_that_was_changed_changes_nothing(written, tmp_path, data_dir, how):
    change, says = BROKEN[how]
    with pytest.raises(backup.BackupError, match=re.escape(says)):
        backup.restore(rewritten(written[""], tmp_path / "changed", change))
    assert list(data_dir.iterdir()) == []


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", BACKUP_KEY])
@pytest.mark.parametrize("left", [0.4, 0.97, None])
def test_a_file_that_was_cut_off_changes_nothing(written, tmp_path, data_dir, settings, key, left):
    settings.BACKUP_KEY = key
    whole = written[key].read_bytes()
    (tmp_path / "cut").write_bytes(whole[: int(len(whole) * left)] if left else whole[:-20])
    with pytest.raises(backup.BackupError, match="damaged"):
        backup.restore(tmp_path / "cut")
    assert list(data_dir.iterdir()) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", ["", BACKUP_KEY])
def test_a_byte_that_changed_far_inside_is_found(data_dir, tmp_path, settings, key):
    """In a backup of several blocks, whose first ones open."""
    settings.BACKUP_KEY = key
    (data_dir / "landing").mkdir(parents=True)
    (data_dir / "landing" / "large.csv").write_bytes(os.urandom(3 << 20))
    backup.make(tmp_path / "one")
    content = bytearray((tmp_path / "one").read_bytes())
    content[2 << 20] ^= 1
    (tmp_path / "one").write_bytes(content)
    with pytest.raises(backup.BackupError, match=re.escape(DAMAGED)):
        backup.restore(tmp_path / "one", force=True)
    assert [p.name for p in data_dir.iterdir()] == ["landing"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "says"),
    [("", "one.moonwalk is encrypted: set MOONWALK_BACKUP_KEY to the key it was made with."),
     ("another", "The key in MOONWALK_BACKUP_KEY does not open one.moonwalk, or the file is damaged.")],
)  # fmt: skip
def test_another_key_opens_nothing(written, data_dir, settings, key, says):
    settings.BACKUP_KEY = key
    with pytest.raises(backup.BackupError, match=re.escape(says)):
        backup.restore(written[BACKUP_KEY])


@pytest.mark.django_db
@pytest.mark.parametrize("content", [b"", b"not a backup at all", b"PK\x03\x04"])
def test_any_other_file_is_told_apart(tmp_path, data_dir, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(backup.BackupError, match="file is no backup of Moonwalk's"):
        backup.restore(tmp_path / "file")


def twice(content: bytes) -> bytes:
    """The last row once more: whole for the hashes, refused by the database."""
    return content + content.splitlines(keepends=True)[-1]


@full_on_sqlite
def test_rows_that_the_database_refuses_change_nothing(written, tmp_path):
    changed = rewritten(written[""], tmp_path / "changed", of_part(r"operations\.order/", twice), whole=True)
    new = a_house(tmp_path, "new")
    code, said = bring_back(new, changed)
    assert (code, said) == (1, "The database can't be written (IntegrityError). Nothing was changed.\n")
    there = [p.name for p in new.root.iterdir() if p.name != "secret_key" and not p.name.startswith("db.sqlite3")]
    assert there == []
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'" if ON_POSTGRESQL else (
        "SELECT name FROM sqlite_master")  # fmt: skip
    assert new.rows(tables) == []


OLDER = [("operations", "0005"), ("analytics", "0001")]


def as_of_an_older_version(parts: dict) -> None:
    """What a backup of the version before would hold: its tables and columns alone."""
    loader = MigrationLoader(None)
    about = json.loads(parts["about.json"])
    names = {app: next(n for a, n in loader.graph.nodes if a == app and n[:4] == name[:4]) for app, name in OLDER}
    about["migrations"] |= {app: [name] for app, name in names.items()}
    parts["about.json"] = json.dumps(about).encode()
    nodes = [(app, name) for app, all_of in about["migrations"].items() for name in all_of]
    models = {m._meta.label_lower: m for m in loader.project_state(nodes).apps.get_models(include_auto_created=True)}
    for part in [name for name in parts if name.endswith(".jsonl")]:
        lines = [json.loads(line) for line in parts[part].splitlines()]
        if (model := models.get(lines[0]["model"])) is None:
            del parts[part]
            continue
        columns = [f.attname for f in model._meta.concrete_fields]
        kept = [i for i, name in enumerate(lines[0]["fields"]) if name in columns]
        head = lines[0] | {"fields": [lines[0]["fields"][i] for i in kept]}
        changed = [head, *([row[i] for i in kept] for row in lines[1:])]
        parts[part] = "".join(json.dumps(line) + "\n" for line in changed).encode()


@full_on_sqlite
def test_a_backup_of_an_older_version_is_brought_up_to_this_one(worked, written, tmp_path):
    older = rewritten(written[""], tmp_path / "older", as_of_an_older_version, whole=True)
    new = a_house(tmp_path, "new")
    code, said = bring_back(new, older)
    assert code == 0, said
    was, now = worked("").looked, look(new)
    for part in ("build", "sales", "payments", "customers", "groups", "signs in"):
        assert now[part] == was[part], part
    last = "SELECT max(name) FROM django_migrations WHERE app = 'operations'"
    assert new.rows(last) == worked("").rows(last)
    assert new.rows("SELECT count(*) FROM analytics_alertrule") == [(4,)]


@pytest.mark.django_db
def test_what_fell_due_before_a_restore_is_owed_no_more():
    from django_celery_beat.models import PeriodicTask

    from operations import schedules

    now = timezone.now()
    PeriodicTask.objects.update(start_time=now - timedelta(days=40))
    assert len(schedules.owe(now)) == 6
    schedules.count_from_now()
    assert schedules.owe(timezone.now()) == []


# --- Making one -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_while_one_is_made_nobody_refreshes_and_reads_why(data_dir, tmp_path):
    from operations import refresh
    from operations.lock import Lock, RefreshBusy, running

    heard = []

    def ask(done: float, words: str) -> None:
        for begin in (lambda: refresh.start(trigger="button"), lambda: Lock().__enter__()):
            with pytest.raises(RefreshBusy) as busy:
                begin()
            heard.append(str(busy.value))

    backup.make(tmp_path / "one", ask)
    assert set(heard) == {"A backup is being made. Wait for it to end, then try again."}
    assert running() is None


@pytest.mark.django_db(transaction=True)
def test_what_a_killed_one_left_is_removed_by_the_next(data_dir, tmp_path):
    left, somebody_at_it = tmp_path / ".moonwalk-a1.partial", tmp_path / ".moonwalk-b2.partial"
    for file in (left, somebody_at_it):
        file.write_text("everybody's data")
    os.utime(left, (0, 0))
    backup.make(tmp_path / "one")
    assert sorted(tmp_path.glob(".*.partial")) == [somebody_at_it]


@pytest.mark.django_db(transaction=True)
def test_while_a_refresh_runs_none_is_made(data_dir, tmp_path, monkeypatch):
    from operations.lock import Lock, RefreshBusy

    monkeypatch.setattr(backup, "PATIENCE", 0)
    said = []
    with Lock(), pytest.raises(RefreshBusy, match="A refresh is already running"):
        backup.make(tmp_path / "to" / "one", lambda done, words: said.append(words))
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_a_folder_that_cannot_be_written_is_said(data_dir, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(backup.BackupError, match=f"can't be written to {tmp_path}/file: "):
        backup.make(tmp_path / "file" / "one")


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_leaves_nothing_behind(data_dir, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("operations.backup.os.fsync", full)
    with pytest.raises(backup.BackupError, match="No space left on device"):
        backup.make(tmp_path / "to" / "one")
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_the_newest_stay(data_dir, tmp_path, capsys):
    from django.core.management import call_command

    for day in range(1, 6):
        (tmp_path / f"moonwalk-2026-03-0{day}-030000.moonwalk").write_text("")
    (tmp_path / "moonwalk-before-the-move.moonwalk").write_text("")
    call_command("backup", out=str(tmp_path), keep=2)
    left = sorted(p.name for p in tmp_path.glob("*.moonwalk"))
    assert left[0] == "moonwalk-2026-03-05-030000.moonwalk"
    assert len(left) == 3 and left[-1] == "moonwalk-before-the-move.moonwalk"
    assert "NOT ENCRYPTED" in capsys.readouterr().out


def test_a_restore_that_was_cut_off_is_an_error_of_the_installation(data_dir):
    from operations.checks import restore_came_to_its_end

    assert restore_came_to_its_end(None) == []
    data_dir.mkdir()
    (data_dir / backup.CUT_OFF).touch()
    assert [(e.id, bool(e.hint)) for e in restore_came_to_its_end(None)] == [("moonwalk.E007", True)]
