"""enrich(): the candidate's insights, and the hash that makes an upgrade rebuild."""

import ast
import shutil
from pathlib import Path

import polars as pl
import pytest

from analytics import enrich, queries
from etl import pipeline
from etl.business import load_business
from etl.checks import KEYS
from etl.errors import CheckError, WarehouseError
from etl.warehouse import Warehouse
from tests.etl.making import exports

BUSINESS = load_business()
ROOM = Path(enrich.__file__).parent


@pytest.fixture
def candidate(tmp_path):
    """A warehouse and the id of a build that waits to be published: two months of one order each."""
    orders = [
        {"Order ID": "1001", "Placed": "2026-01-10", "Cleaned": "2026-01-10", "Total": "100"},
        {"Order ID": "1002", "Placed": "2026-02-10", "Cleaned": "2026-02-10", "Total": "200"},
    ]
    build = pipeline.build(exports(tmp_path / "exports", orders=orders), tmp_path / "data")
    return Warehouse(tmp_path / "data" / "warehouse"), build.build_id


def test_it_fills_its_tables_once(candidate):
    house, build_id = candidate

    def filled(con) -> dict:
        tables = ("insights", "rfm", "lifetimes", "meta")
        return {t: sorted(con.execute(f"SELECT * FROM {t}").fetchall(), key=repr) for t in tables}

    with house.open_candidate(build_id) as con:
        first = enrich.enrich(con, BUSINESS)
        rows = filled(con)
        assert {t: first[t] for t in ("insights", "rfm", "lifetimes")} == {
            t: len(found) for t, found in rows.items() if t != "meta"
        }
        assert enrich.enrich(con, BUSINESS) == first  # again: replaced, not added
        assert filled(con) == rows
    with house.connect(build_id) as con:
        found = queries.insights(con, "month")
        for table in rows:
            same = con.execute(f"SELECT count(*) = count(DISTINCT ({KEYS[table]})) FROM {table}").fetchone()[0]
            assert same, f"the key of {table} does not hold"
    assert found[0] == {
        "period": "2026-02", "rule": "REV_MOM", "category": "Revenue", "headline": "Revenue 100 % above January",
        "detail": "Dhs 200 against Dhs 100.", "tone": "positive",
        "link": "/executive/?tab=trends&grain=month&period=2026-02&store=all",
    }  # fmt: skip

def test_a_published_build_is_not_touched(candidate):
    house, build_id = candidate
    house.publish(build_id)
    with pytest.raises(WarehouseError, match="never written again"), house.open_candidate(build_id) as con:
        enrich.enrich(con, BUSINESS)


def test_it_works_sealed(tmp_path):
    build = pipeline.build(exports(tmp_path / "exports"), tmp_path / "data", key="a key for the tests")
    house = Warehouse(tmp_path / "data" / "warehouse", "a key for the tests")
    with house.open_candidate(build.build_id) as con:
        written = enrich.enrich(con, BUSINESS)["insights"]
    with house.connect(build.build_id) as con:
        assert con.execute("SELECT count(*) FROM insights").fetchone() == (written,)
    assert written > 0


def test_exports_without_a_closed_period_say_nothing(tmp_path):
    day = {"Placed": "2026-03-04", "Cleaned": "2026-03-04"}
    folder = exports(tmp_path / "exports", orders=[day], invoices=[{"Payment Date": "2026-03-04"}])
    build = pipeline.build(folder, tmp_path / "data")
    with Warehouse(tmp_path / "data" / "warehouse").open_candidate(build.build_id) as con:
        assert enrich.enrich(con, BUSINESS)["insights"] == 0


@pytest.mark.parametrize("name", enrich.CODE)
def test_a_change_of_any_of_its_files_changes_the_hash(name, tmp_path, monkeypatch):
    for file in enrich.CODE:
        shutil.copy(ROOM / file, tmp_path / file)
    monkeypatch.setattr(enrich, "__file__", str(tmp_path / "enrich.py"))
    enrich.code_hash.cache_clear()
    before = enrich.code_hash()
    with (tmp_path / name).open("a") as file:
        file.write("# changed\n")
    enrich.code_hash.cache_clear()
    after = enrich.code_hash()
    enrich.code_hash.cache_clear()
    assert before != after


def test_the_hash_covers_all_that_insights_are_made_with():
    imported = {"enrich"}
    for file in enrich.CODE:
        for node in ast.walk(ast.parse((ROOM / file).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("analytics"):
                parts = node.module.split(".")
                imported |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    assert {f"{name}.py" for name in imported} <= set(enrich.CODE)


def test_a_key_that_does_not_hold_stops_it(tmp_path, monkeypatch):
    build = pipeline.build(exports(tmp_path / "exports"), tmp_path / "data")
    twice = enrich._replace

    def doubled(con, table, rows, *sql):
        return twice(con, table, pl.concat([rows, rows]) if table == "lifetimes" else rows, *sql)

    monkeypatch.setattr(enrich, "_replace", doubled)
    house = Warehouse(tmp_path / "data" / "warehouse")
    with pytest.raises(CheckError, match="lifetimes share the same customer_id"), \
            house.open_candidate(build.build_id) as con:  # fmt: skip
        enrich.enrich(con, BUSINESS)
