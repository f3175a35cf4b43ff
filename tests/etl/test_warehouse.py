"""Snapshots: made aside, published in one step, never written again; encrypted; rolled back; pruned."""

import pytest

from etl.errors import WarehouseError
from etl.warehouse import Warehouse


def make(house: Warehouse, build_id: str, day: int, inputs: str | None = None, publish=True) -> None:
    with house.open_candidate(build_id) as con:
        con.execute("CREATE TABLE t AS SELECT ? AS x", [build_id])
    created = f"2026-03-{day:02d}T06:00:00+04:00"
    house.write_manifest(build_id, {"created": created, "as_of": "2026-03-01", "inputs": inputs or build_id})
    if publish:
        house.publish(build_id)


@pytest.fixture(params=[None, "a key"], ids=["plain", "encrypted"])
def house(request, tmp_path):
    return Warehouse(tmp_path / "warehouse", request.param)


def test_a_published_build_is_the_one_that_is_read(house):
    make(house, "20260301-a", 1)
    make(house, "20260302-b", 2)
    assert house.current() == "20260302-b"
    assert house.connect().execute("FROM t").fetchall() == [("20260302-b",)]
    assert house.connect("20260301-a").execute("FROM t").fetchall() == [("20260301-a",)]


def test_a_connection_only_reads(house):
    make(house, "20260301-a", 1)
    with pytest.raises(Exception, match="read-only"):
        house.connect().execute("CREATE TABLE u (x INT)")


def test_a_reader_keeps_its_build_while_the_next_is_made_and_published(house):
    make(house, "20260301-a", 1)
    reader = house.connect()
    make(house, "20260302-b", 2)
    assert reader.execute("FROM t").fetchall() == [("20260301-a",)]


def test_a_published_build_is_never_written_again(house):
    make(house, "20260301-a", 1)
    make(house, "20260302-b", 2)
    for build_id in ("20260301-a", "20260302-b"):
        with pytest.raises(WarehouseError, match="never written again"), house.open_candidate(build_id):
            pass


def test_the_plain_text_of_an_encrypted_build_is_nowhere_on_disk(tmp_path):
    for key, visible in (("a key", False), (None, True)):
        house = Warehouse(tmp_path / str(visible), key)
        with house.open_candidate("20260301-a") as con:
            con.execute("CREATE TABLE t AS SELECT 'Amina Haddad of Reem Island' AS name")
        found = [p for p in house.root.rglob("*") if p.is_file() and b"Amina Haddad" in p.read_bytes()]
        assert bool(found) is visible


@pytest.mark.parametrize(
    ("made_with", "opened_with", "said"),
    [
        ("a key", "another", "MOONWALK_WAREHOUSE_KEY does not open"),
        ("a key", None, "is encrypted: set MOONWALK_WAREHOUSE_KEY"),
        (None, "a key", "is not encrypted but MOONWALK_WAREHOUSE_KEY is set"),
    ],
)
def test_a_wrong_or_missing_key_gives_a_plain_message(tmp_path, made_with, opened_with, said):
    make(Warehouse(tmp_path, made_with), "20260301-a", 1)
    with pytest.raises(WarehouseError, match=said):
        Warehouse(tmp_path, opened_with).connect()


def test_no_build_and_no_such_build_are_said(house):
    with pytest.raises(WarehouseError, match="There is no data yet"):
        house.connect()
    with pytest.raises(WarehouseError, match="There is no build 20990101-x"):
        house.connect("20990101-x")
    with pytest.raises(WarehouseError, match="is no build"):
        house.connect("../../etc/passwd")


def test_rollback_goes_one_published_build_back_and_remembers_what_was_left(house):
    make(house, "20260301-a", 1)
    make(house, "20260302-b", 2, publish=False)
    make(house, "20260303-c", 3)
    house.rollback(house.earlier())
    assert house.current() == "20260301-a"
    assert house.rolled_back() == {"20260303-c"}
    house.publish("20260303-c")
    assert house.rolled_back() == set()


def test_rollback_to_a_named_build_or_to_none(house):
    for day in (1, 2, 3):
        make(house, f"2026030{day}-a", day)
    make(house, "20260304-b", 4, publish=False)
    house.rollback("20260301-a")
    assert house.current() == "20260301-a"
    with pytest.raises(WarehouseError, match="no earlier published build"):
        house.earlier()
    for unknown in ("20990101-x", "20260304-b"):
        with pytest.raises(WarehouseError, match=f"There is no published build {unknown}"):
            house.rollback(unknown)
    assert house.current() == "20260301-a"


def test_prune_keeps_the_last_sets_of_exports_and_every_rebuild_of_the_newest(house):
    for day, inputs in enumerate(["s1", "s2", "s2", "s3", "s4", "s4"], 1):
        make(house, f"2026030{day}-a", day, inputs)
    assert sorted(house.prune(keep=3)) == ["20260301-a", "20260302-a"]
    assert [b.build_id[7] for b in house.builds()] == ["6", "5", "4", "3"]


def test_with_a_key_prune_removes_builds_from_before_there_was_one(tmp_path):
    plain, sealed = Warehouse(tmp_path), Warehouse(tmp_path, "a key")
    for house, day in ((plain, 1), (sealed, 2)):
        make(house, f"2026030{day}-a", day)
        house.write_manifest(f"2026030{day}-a", house.manifest(f"2026030{day}-a") | {"encrypted": bool(house.key)})
    assert sealed.prune() == ["20260301-a"]


def test_prune_spares_the_published_build_and_removes_unfinished_files(house):
    for day in (1, 2, 3):
        make(house, f"2026030{day}-a", day)
    house.rollback("20260301-a")
    with house.open_candidate("20260304-dead") as con:
        con.execute("CREATE TABLE t (x INT)")
    assert house.prune(keep=1) == ["20260302-a"]
    assert sorted(p.name for p in house.root.glob("*.duckdb")) == ["20260301-a.duckdb", "20260303-a.duckdb"]
    with pytest.raises(WarehouseError, match="stays"):
        house.discard("20260301-a")
