"""A refresh killed anywhere leaves the old build live and the next refresh whole.

Each test has a database file and a data folder of its own, in which a first refresh went through; then new exports
arrive and a refresh in a child process is killed with SIGKILL at one point.
"""

from pathlib import Path

import pytest

from operations.refresh import SHARES
from tests import databases
from tests.operations import exports
from tests.operations.house import House

pytestmark = pytest.mark.own_database
NEW = exports.ORDERS | {
    104: "104,2,36319,Moon Walk,2026-03-02,,2026-03-04,,,0,1,12.00,0,,,Ready",  # of a month that is not over
    101: exports.ORDERS[101].replace("50.25", "51.25"),
}
# Up to the commit the database has nothing of the new build; after it the next refresh finishes the run.
BEFORE_COMMIT = [
    *[step for step in SHARES if step != "publish"],
    "-operations.refresh:enrich_candidate",
    "-etl.warehouse:Warehouse.write_manifest",
    "+etl.warehouse:Warehouse.write_manifest",
    "+operations.sync:_write",
    "+operations.sync:sync",
    "-operations.services:run_mark_publishing",
    "+operations.services:run_mark_publishing",
]
AFTER_COMMIT = ["publish", "-etl.warehouse:Warehouse.publish"]
AFTER_POINTER = [
    "+etl.warehouse:Warehouse.publish",
    "+etl.pipeline:publish_files",
    "-operations.services:run_mark_published",
]
AFTER_ALL = ["+operations.services:run_mark_published", "+etl.warehouse:Warehouse.prune"]
QUICK = {"+operations.sync:sync", "-etl.warehouse:Warehouse.publish", "+etl.warehouse:Warehouse.publish"}


# While inputs are kept and rows set aside, with a key: "#" dies in the middle of sealing, its file half written.
SEALING = [
    "-etl.landing:seal",
    "#etl.landing:seal",
    "+etl.landing:seal",
    "+etl.landing:keep_input",
    "-etl.landing:keep_quarantine",
    "#etl.landing:keep_quarantine",
    "+etl.landing:keep_quarantine",
    "marts",
    "-operations.services:run_mark_publishing",
]
QUICK |= {"#etl.landing:seal"}


# What another database can break: its transaction, and what follows on it.
ON_EITHER = {"+operations.sync:sync"}


def points(names: list[str]) -> list:
    """The telling ones in every run of the tests, the others in the full matrix."""
    quick = QUICK & ON_EITHER if databases.ON_POSTGRESQL else QUICK
    return [name if name in quick else pytest.param(name, marks=pytest.mark.full) for name in names]


@pytest.fixture(scope="module")
def template(migrated, tmp_path_factory) -> Path:
    """A data folder after a first refresh."""
    house = House(migrated(tmp_path_factory.mktemp("template")))
    exports.write(house.root / "exports")
    first = house.refresh()
    assert first.stdout.strip() == "published", first.stderr
    return house.root


@pytest.fixture
def house(template, tmp_path) -> House:
    house = House(tmp_path / "data", like=template)
    exports.write(house.root / "exports", orders=NEW)
    return house


def kill(house: House, point: str, what: str = "refresh") -> str:
    """Kill a refresh at `point`; the id of the build that was live before."""
    before = house.warehouse.current()
    killed = house.refresh(point, what)
    assert killed.returncode == -9, f"it was to die at {point}: {killed.stdout} {killed.stderr}"
    return before


def assert_whole(house: House, old: str) -> None:
    """The next refresh brought everything: pages and desk agree on the new rows, nothing is left over."""
    after = house.refresh()
    assert after.stdout.split()[0] in ("published", "nothing_new"), after.stdout + after.stderr
    assert house.warehouse.current() != old
    assert house.orders() == house.built_orders()
    assert (house.orders()["M-00104"], house.orders()["M-00101"]) == ("12.00", "51.25")
    assert house.rows("SELECT count(*) FROM operations_refreshrun WHERE finished_at IS NULL") == [(0,)]
    assert house.rows("SELECT holder FROM operations_refreshlock") == [("",)]
    builds = {build.build_id for build in house.warehouse.builds()}
    assert {file.stem for file in (house.root / "warehouse").glob("*.duckdb")} == builds
    assert all(build.manifest["published"] for build in house.warehouse.builds())
    assert "M-00104" in (house.root / "published" / "orders.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize("point", points(BEFORE_COMMIT))
def test_killed_before_the_commit_nothing_has_changed(house, point):
    old = kill(house, point)
    assert house.warehouse.current() == old
    assert "M-00104" not in house.built_orders()
    assert house.orders()["M-00101"] == "50.25"
    assert house.rows("SELECT state FROM operations_refreshrun ORDER BY id DESC LIMIT 1") == [("running",)]
    assert_whole(house, old)
    assert house.rows("SELECT state FROM operations_refreshrun ORDER BY id") == [
        ("published",), ("failed",), ("published",)]  # fmt: skip


@pytest.mark.parametrize("point", points(AFTER_COMMIT))
def test_killed_between_commit_and_pointer_the_next_refresh_finishes_it(house, point):
    old = kill(house, point)
    assert house.warehouse.current() == old
    assert "M-00104" in house.orders()
    assert house.rows("SELECT state FROM operations_refreshrun ORDER BY id DESC LIMIT 1") == [("publishing",)]
    assert_whole(house, old)
    assert house.rows("SELECT state FROM operations_refreshrun ORDER BY id") == [
        ("published",), ("published",), ("nothing_new",)]  # fmt: skip


@pytest.mark.parametrize("point", points(AFTER_POINTER))
def test_killed_after_the_pointer_the_new_build_is_live(house, point):
    old = kill(house, point)
    assert house.built_orders()["M-00104"] == "12.00"
    assert_whole(house, old)
    assert house.rows("SELECT state FROM operations_refreshrun ORDER BY id") == [
        ("published",), ("published",), ("nothing_new",)]  # fmt: skip


@pytest.mark.parametrize("point", points(AFTER_ALL))
def test_killed_after_its_work_only_the_lock_is_left(house, point):
    old = kill(house, point)
    assert house.built_orders() == house.orders()
    assert house.rows("SELECT holder FROM operations_refreshlock") != [("",)]
    assert_whole(house, old)


# --- Held ----------------------------------------------------------------------------------------------------------

# M-00102 at 30.00 for 20.00: February is over, and moves by 2.4 %.
DECISIONS = {
    "refresh": ["compare", "-operations.services:run_mark_held", "+operations.services:run_mark_held",
                "+operations.held:hold"],
    "release": ["sync", "+operations.services:run_mark_released", "+operations.services:run_mark_publishing",
                "-etl.warehouse:Warehouse.publish", "+etl.warehouse:Warehouse.publish",
                "-operations.services:run_mark_published", "+etl.warehouse:Warehouse.prune"],
    "discard": ["-operations.services:run_mark_discarded", "+operations.services:run_mark_discarded",
                "+etl.warehouse:Warehouse.discard"],
}  # fmt: skip
TELLING_DECISION = ("release", "-etl.warehouse:Warehouse.publish")


def dearer(house: House) -> House:
    exports.write(house.root / "exports", orders=exports.ORDERS | {102: exports.ORDERS[102].replace("20.00", "30.00")})
    return house


@pytest.fixture(scope="module")
def held_template(template, tmp_path_factory) -> Path:
    """A data folder in which a build is held."""
    house = dearer(House(tmp_path_factory.mktemp("held") / "data", like=template))
    held = house.refresh()
    assert held.stdout.strip() == "held", held.stdout + held.stderr
    return house.root


def waiting(house: House) -> list[str]:
    """The builds that are held."""
    return [build for (build,) in house.rows("SELECT build_id FROM operations_refreshrun WHERE state = 'held'")]


@pytest.mark.parametrize(("what", "point"), [
    pytest.param(what, point, marks=[] if (what, point) == TELLING_DECISION and not databases.ON_POSTGRESQL
                 else pytest.mark.full)
    for what, points_of in DECISIONS.items() for point in points_of])  # fmt: skip
def test_killed_while_it_is_held_released_or_discarded(template, held_template, tmp_path, what, point):
    """The next refresh, of the same files, finds it whole: held once, live altogether, or gone."""
    house = dearer(House(tmp_path / "data", like=template if what == "refresh" else held_template))
    old = kill(house, point, what)
    live = house.built_orders()["M-00102"]
    assert live == ("30.00" if house.warehouse.current() != old else "20.00")
    assert house.orders()["M-00102"] == live or what == "release", "nothing is at the desk before it is on its way"
    after = house.refresh()
    assert after.stdout.split()[0] in ("held", "nothing_new"), after.stdout + after.stderr
    if what == "release" and waiting(house):  # it died before the commit
        again = house.refresh(what="release")
        assert again.stdout.strip() == "published", again.stdout + again.stderr
    if what == "release":
        assert waiting(house) == [] and house.orders()["M-00102"] == house.built_orders()["M-00102"] == "30.00"
        assert house.rows("SELECT count(*) FROM operations_refreshrun WHERE state = 'released'") == [(1,)]
    else:
        assert len(waiting(house)) == (0 if what == "discard" and point[0] == "+" else 1)
        assert (house.warehouse.current(), house.orders()["M-00102"]) == (old, "20.00")
    published = {build.build_id for build in house.warehouse.builds() if build.manifest.get("published")}
    assert {file.stem for file in (house.root / "warehouse").glob("*.duckdb")} == published | set(waiting(house))
    assert house.rows("SELECT count(*) FROM operations_refreshrun WHERE state IN ('running', 'publishing')") == [(0,)]


# --- With payments -------------------------------------------------------------------------------------------------

WITH_PAYMENTS = [
    "find",
    "marts",
    "-operations.sync:sync",
    "+operations.services:payments_mark_included",
    "+operations.services:run_mark_publishing",
    "-etl.warehouse:Warehouse.publish",
    "+etl.warehouse:Warehouse.publish",
    "-operations.services:run_mark_published",
    "+etl.warehouse:Warehouse.prune",
]
# Either kind of refresh may die anywhere: in every run each dies at points of its own.
TELLING = {("payments", "-etl.warehouse:Warehouse.publish")}
if not databases.ON_POSTGRESQL:
    TELLING.add(("refresh", "+etl.warehouse:Warehouse.publish"))
DEATHS = [
    pytest.param(what, point, marks=[] if (what, point) in TELLING else pytest.mark.full)
    for what in ("refresh", "payments")
    for point in WITH_PAYMENTS
]


@pytest.mark.parametrize(("what", "point"), DEATHS)
def test_killed_with_a_payment_waiting_it_is_neither_lost_nor_counted_twice(house, what, point):
    house.pay("M-00102", "5.00")
    kill(house, point, what)
    assert house.settled("M-00102") in [("0.00", "20.00"), ("5.00", "15.00")]
    assert house.rows("SELECT order_id, amount FROM operations_payment") == [("M-00102", 5)]
    house.pay("M-00102", "3.00")
    after = house.refresh(what="payments")
    assert after.stdout.split() == ["published"], after.stdout + after.stderr
    assert house.settled("M-00102") == ("8.00", "12.00")
    given = {build for (build,) in house.rows("SELECT included_in FROM operations_payment")}
    assert given <= {build for (build,) in house.rows(
        "SELECT build_id FROM operations_refreshrun WHERE state = 'published'")}  # fmt: skip
    assert house.rows("SELECT count(*) FROM operations_refreshrun WHERE finished_at IS NULL") == [(0,)]
    assert_whole(house, "")
    assert house.settled("M-00102") == ("8.00", "12.00")


# --- With a key ----------------------------------------------------------------------------------------------------

# Of people in the exports below, and one who is in rows set aside alone.
PERSONAL = [b"Haddad", b"Saleh", b"+971 50 000 000", b"omar@example.com", b"Nameless Nadia"]
UNNUMBERED = exports.CUSTOMERS | {3: ",Nameless Nadia,36319,Moon Walk,2025-03-12,2,,+971 50 000 0003,n@example.com"}


def plain_personal_data(house: House) -> list[str]:
    """The files of the data folder, exports and database aside, in which somebody's data can be read."""
    files = [p for p in house.root.rglob("*") if p.is_file() and p.relative_to(house.root).parts[0] != "exports"]
    return [str(p.relative_to(house.root)) for p in files
            if not p.name.startswith("db.sqlite3") and any(word in p.read_bytes() for word in PERSONAL)]  # fmt: skip


@pytest.fixture(scope="module")
def sealed_template(migrated, tmp_path_factory) -> Path:
    """A data folder after a first refresh with a key; a customer without a number is set aside."""
    house = House(migrated(tmp_path_factory.mktemp("sealed")), key="correct horse battery staple")
    exports.write(house.root / "exports", customers=UNNUMBERED)
    first = house.refresh()
    assert first.stdout.strip() == "published", first.stderr
    return house.root


@databases.full_on_postgresql
@pytest.mark.parametrize("point", points(SEALING))
def test_killed_with_a_key_no_personal_data_is_left_plain(sealed_template, tmp_path, point):
    house = House(tmp_path / "data", key="correct horse battery staple", like=sealed_template)
    changed = {n: row.replace(",2025-", ",2024-") for n, row in UNNUMBERED.items()}
    exports.write(house.root / "exports", customers=changed, orders=NEW)
    old = kill(house, point)
    assert plain_personal_data(house) == [], "not even until the next refresh"
    assert_whole(house, old)
    assert plain_personal_data(house) == []
    builds = {build.build_id for build in house.warehouse.builds()}
    assert {p.name for p in (house.root / "quarantine").iterdir()} == builds
    landed = [p.name for p in (house.root / "landing").iterdir()]
    assert all(name.endswith(".sealed") and not name.startswith(".") for name in landed), landed


@databases.full_on_postgresql
def test_without_a_key_personal_data_is_found_by_the_same_search(template):
    found = {name.split("/")[0] for name in plain_personal_data(House(template))}
    assert found == {"landing", "published", "warehouse"}


# --- At once -------------------------------------------------------------------------------------------------------


@databases.full_on_sqlite
def test_two_at_once_one_is_told_to_wait(house):
    first, second = (house.start("-m", "tests.operations.child") for _ in range(2))
    said = sorted(process.communicate(timeout=120)[0].strip() for process in (first, second))
    told = [words for words in said if "already running" in words]
    # They start within milliseconds of each other; one that comes late may find the other's work done.
    assert told or said == ["nothing_new", "published"], said
    assert_whole(house, "")
