"""The whole way, over the golden exports, clean and dirty."""

import json
from collections import Counter
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from etl import checks, pipeline
from etl.errors import BusinessError, CheckError, ExportError
from etl.landing import open_kept, quarantine_files
from etl.warehouse import Warehouse
from tests.etl.making import Built, exports, quarantined_rows, write

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    return Built(GOLDEN / "exports", tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messy")
    return Built(GOLDEN / "messy", folder), folder


def totals(built: Built) -> list[dict]:
    rows = built.rows("""SELECT source::VARCHAR, kind::VARCHAR, count(*), sum(total), sum(collections),
        count(earned_date), coalesce(sum(total) FILTER (earned_date IS NOT NULL), 0) FROM sales GROUP BY ALL""")
    names = ("source", "kind", "rows", "total", "collections", "earned_rows", "earned_total")
    return [dict(zip(names, (float(v) if hasattr(v, "as_tuple") else v for v in row), strict=True)) for row in rows]


def test_golden_sales_are_as_expected(golden):
    assert golden.manifest["as_of"] == EXPECTED["as_of"]
    assert sorted(totals(golden), key=str) == sorted(EXPECTED["sales"], key=str)


def test_golden_cohorts_are_as_expected(golden):
    rows = golden.rows("""SELECT strftime(cohort_month, '%Y-%m'), months_since_cohort, customers FROM cohorts
        WHERE months_since_cohort <= 6 AND cohort_month + to_months(months_since_cohort) <= DATE '2026-02-01'""")
    counted: dict = {}
    for month, since, n in rows:
        counted.setdefault(month, {})[str(since)] = n
    want = {m: {k: v for k, v in row.items() if v} for m, row in EXPECTED["retention_counts"].items()}
    assert counted == want


@pytest.mark.parametrize("kind", ["customers", "orders", "items", "invoices", "legacy"])
def test_every_row_of_the_messy_exports_is_accounted_for(messy, kind):
    built, folder = messy
    file = built.file(kind)
    read = json.loads((GOLDEN / "messy" / "what-is-dirty.json").read_text())["file_rows"][kind]
    assert file["read"] == read
    assert read == file["loaded"] + sum(file["excluded"].values()) + sum(file["quarantined"].values())
    kept = quarantine_files(folder, built.build.build_id).get(kind)
    rules = Counter(row["rule"] for row in quarantined_rows(kept, None)) if kept else Counter()
    assert rules == file["quarantined"]


def test_the_messy_exports_lose_what_the_dirt_says_and_no_more(messy):
    built, _ = messy
    dirt = json.loads((GOLDEN / "messy" / "what-is-dirty.json").read_text())["dirt"]
    for kind in ("orders", "items", "legacy"):
        assert built.file(kind)["quarantined"]["no order ID"] == dirt[f"{kind}.blank_order"]
        assert built.file(kind)["excluded"]["exact duplicate row"] == dirt[f"{kind}.dup_row"]
    assert built.file("orders")["quarantined"]["no customer"] == dirt["orders.blank_customer"]
    assert built.file("orders")["excluded"]["superseded duplicate order"] == dirt["orders.dup_recleaned"]
    assert built.file("legacy")["quarantined"]["no customer"] == dirt["legacy.blank_customer"]
    assert built.file("customers")["excluded"] == {
        "exact duplicate row": dirt["customers.dup_same"],
        "superseded duplicate": dirt["customers.dup_other_name"],
    }
    # Dirt that only looks odd loses nothing: prefixes, spaces, stores told by name.
    assert built.file("legacy")["excluded"] == {"exact duplicate row": dirt["legacy.dup_row"]}


def tables(built: Built) -> dict[str, list]:
    names = [n for n in pipeline.MARTS if n != "meta"]
    return {n: built.rows(f"SELECT * FROM {n} ORDER BY ALL") for n in names}


def test_two_builds_of_the_same_inputs_are_equal_table_by_table(golden, tmp_path):
    again = Built(GOLDEN / "exports", tmp_path, key="a key")
    first, second = tables(golden), tables(again)
    assert first.keys() == second.keys()
    for name in first:
        assert first[name] == second[name], name
    assert again.manifest["files"] == golden.manifest["files"]
    assert again.manifest["inputs"] == golden.manifest["inputs"]


def test_unchanged_inputs_make_nothing_new_and_any_change_does(tmp_path):
    folder = exports(tmp_path / "exports")
    first = pipeline.build(folder, tmp_path / "data")
    last = {"last_fingerprint": first.fingerprint}
    assert pipeline.build(folder, tmp_path / "data", **last) is None
    assert pipeline.build(folder, tmp_path / "data", code_extra="upgraded", **last) is not None
    assert pipeline.build(folder, tmp_path / "data", key="a key", **last) is not None
    business = tmp_path / "business.toml"
    business.write_text((Path(pipeline.__file__).parent / "business.toml").read_text() + "\n# changed\n")
    assert pipeline.build(folder, tmp_path / "data", business_file=business, **last) is not None
    write(folder, "Orders", [{"Total": "41"}])
    assert pipeline.build(folder, tmp_path / "data", **last) is not None


def test_the_same_inputs_built_again_at_once_are_another_build(tmp_path):
    folder = exports(tmp_path / "exports")
    ids = [pipeline.build(folder, tmp_path / "data").build_id for _ in range(3)]
    assert len(set(ids)) == 3


def test_a_refused_build_leaves_nothing_behind(tmp_path):
    folder = exports(tmp_path / "exports", orders=[{}, {"Order ID": ""}])
    (folder / "CC-Items-2026-03-05.csv").write_bytes(b"Order ID,Placed,Item,Quantity,Total\n1001,2026-01-10,Shirt")
    with pytest.raises(ExportError, match="CC-Items-2026-03-05.csv breaks off"):
        pipeline.build(folder, tmp_path / "data")
    assert not list((tmp_path / "data").glob("warehouse/*.duckdb"))
    assert not list((tmp_path / "data").glob("quarantine/*/*"))


def test_a_failed_check_stops_the_build_and_says_which(tmp_path, monkeypatch):
    wrong = checks.Check("always wrong", "SELECT 1", "this check always finds a row")
    monkeypatch.setattr(checks, "CHECKS", [*checks.CHECKS, wrong])
    with pytest.raises(CheckError, match="this check always finds a row"):
        pipeline.build(exports(tmp_path / "exports"), tmp_path / "data")
    assert not list((tmp_path / "data").glob("warehouse/*.duckdb"))


def test_rows_that_do_not_add_up_stop_the_build():
    file = {"file": "x.csv", "read": 3, "loaded": 1, "excluded": {"B2B": 1}, "quarantined": {}}
    with pytest.raises(ExportError, match="3 rows of Orders were read but 2 accounted for"):
        pipeline._add_up({"orders": file})


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        ("INSERT INTO sales SELECT * FROM sales LIMIT 1", "sales key"),
        ("UPDATE sales SET total = total + 0.01 WHERE order_id = 'M-01001'", "revenue to the fils"),
        ("UPDATE sales SET collections = 1 WHERE kind = 'Invoice Payment'", "collections to the fils"),
        ("UPDATE items SET quantity = quantity + 1", "items to the fils"),
        ("UPDATE sales SET customer_id = 'CC-9999'", "sales customers"),
        ("UPDATE customer_months SET revenue = 0 WHERE store = 'All stores'", "customer months to the fils"),
        ("UPDATE customer_months SET orders = 2 WHERE store = 'All stores'", "orders of customer months"),
        ("DELETE FROM cohorts", "cohorts add up"),
        ("INSERT INTO cohorts SELECT * FROM cohorts LIMIT 1", "cohorts key"),
        ("UPDATE customers SET cohort_month = NULL", "everyone with a sale has a cohort"),
        ("UPDATE sales SET months_since_cohort = -1", "no sale before its cohort"),
        ("INSERT INTO periods SELECT * FROM periods LIMIT 1", "periods key"),
    ],
)
def test_the_checks_find_what_is_wrong(tmp_path, monkeypatch, spoil, check):
    run = checks.run

    def spoiled(con):
        run(con)  # fine as built
        con.execute(spoil)
        return run(con)

    monkeypatch.setattr(checks, "run", spoiled)
    with pytest.raises(CheckError, match=f"check '{check}'"):
        pipeline.build(exports(tmp_path / "exports"), tmp_path / "data")


def test_no_personal_data_lies_open_with_a_key(tmp_path):
    folder = exports(
        tmp_path / "exports", customers=[{"Name": "Amina Haddad"}, {"Customer ID": "", "Name": "Bilal Haddad"}]
    )
    built = Built(folder, tmp_path / "data", key="a key")
    pipeline.publish_files(built.warehouse, built.build.build_id, tmp_path / "data" / "published", False)
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (b"Haddad", b"amina@example.com", b"+971500000001"):
                assert secret not in content, path
    columns = pl.read_parquet_schema(tmp_path / "data" / "published" / "customers.parquet")
    assert not {"name", "phone", "email"} & set(columns)
    kept = quarantine_files(tmp_path / "data", built.build.build_id)["customers"]
    assert b"Bilal Haddad" in open_kept(kept, "a key")


def test_published_files_hold_every_mart_for_people_who_use_excel(tmp_path):
    built = Built(
        exports(tmp_path / "exports", customers=[{"Name": "=1+1", "Phone": "+971500000001"}]), tmp_path / "data"
    )
    out = tmp_path / "published"
    out.mkdir()
    (out / "old.csv").write_text("from an earlier build")
    pipeline.publish_files(built.warehouse, built.build.build_id, out, True)
    assert {p.name for p in out.iterdir()} == {f"{m}.{s}" for m in pipeline.MARTS for s in ("csv", "parquet")}
    text = (out / "customers.csv").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf") and b"'=1+1" in text
    assert pl.read_parquet(out / "customers.parquet")["name"].to_list() == ["=1+1"]
    assert pl.read_parquet(out / "sales.parquet").schema["total"] == pl.Decimal(12, 2)


def test_marts_have_the_types_they_promise(golden):
    types = dict(
        golden.rows("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'sales'")
    )
    assert types["total"] == types["collections"] == "DECIMAL(12,2)"
    assert types["earned_date"] == types["placed"] == "DATE"
    assert types["delivery"] == types["paid"] == "BOOLEAN"
    assert types["store"].startswith("ENUM") and types["payment_type"].startswith("ENUM")


@pytest.mark.parametrize("name", pipeline.STATEMENTS)
def test_every_mart_states_its_grain_first(name):
    text = (Path(pipeline.__file__).parent / "marts" / f"{name}.sql").read_text()
    head = "\n".join(line for line in text.splitlines() if line.startswith("--"))
    if name != "types":
        assert "Grain:" in head and "Key:" in head and "Meaning:" in head


def test_progress_is_told_step_by_step(tmp_path):
    told = []
    pipeline.build(exports(tmp_path / "exports"), tmp_path / "data", on_progress=told.append)
    steps = list(dict.fromkeys(p.step for p in told))
    assert steps == list(pipeline.STEPS)
    assert all(0 <= p.done <= 1 and p.message for p in told)


def test_a_business_without_an_archive_builds(golden, tmp_path):
    built = Built(exports(tmp_path / "exports"), tmp_path / "data")
    assert "legacy" not in built.manifest["files"]
    assert built.one("SELECT count(*) FROM sales WHERE source = 'Legacy'") == 0


def test_another_business_has_its_own_facts(tmp_path):
    text = (Path(pipeline.__file__).parent / "business.toml").read_text()
    text = text.replace('currency = "Dhs"', 'currency = "€"').replace('name = "Hielo"', 'name = "Uptown"')
    text = text.replace("valid_days = 30", "valid_days = 10").replace(
        "routes = { from = 1, to = 3 }", "routes = { from = 1, to = 1 }"
    )
    text = text.replace("routes = { from = 4 }", "routes = { from = 2 }").replace(
        "month_day_year = false", "month_day_year = true"
    )
    business = tmp_path / "b.toml"
    business.write_text(text)
    folder = exports(
        tmp_path / "exports",
        orders=[{"Placed": "1/10/2026", "Store ID": "38516"}],
        invoices=[{"Reference": "Subscription", "Payment Date": "2026-01-02"}],
    )
    built = Built(folder, tmp_path / "data", business_file=business)
    assert built.rows("SELECT store::VARCHAR, area::VARCHAR, placed FROM sales WHERE kind = 'Order'") == [
        ("Uptown", "Outer Abu Dhabi", date(2026, 1, 10))
    ]
    assert built.rows("SELECT valid_to FROM subscriptions") == [(date(2026, 1, 12),)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('currency = "Dhs"', "", "lacks the setting 'currency'"),
        ('store = "Moon Walk"', 'store = "Elsewhere"', "is none of the"),
        ('id = "38516"', 'id = "36319"', "two stores share the same id"),
        ('time_zone = "Asia/Dubai"', 'time_zone = "Mars/Base"', "wrong kind|lacks"),
        ("[[stores]]", "[[stores", "not valid TOML"),
        ('id = "38516"', 'id = "H-1"', "is no number"),
        ('name = "Hielo"', 'name = "***"', "can't stand in an address"),
        ('name = "Hielo"', 'name = "All"', "can't stand in an address"),
        ('name = "Hielo"', 'name = "Moon-Walk"', "differ by signs alone"),
        ('name = "Terminal"', 'name = "Card"', "the names are Cash, Other, Receivable, Stripe, Terminal"),
        ('"abaya"', '"---"', "would match everything"),
    ],
)
def test_a_wrong_business_file_is_refused_in_plain_words(tmp_path, old, new, said):
    text = (Path(pipeline.__file__).parent / "business.toml").read_text()
    assert old in text
    business = tmp_path / "b.toml"
    business.write_text(text.replace(old, new, 1))
    with pytest.raises(BusinessError, match=said):
        pipeline.build(exports(tmp_path / "exports"), tmp_path / "data", business_file=business)


def test_a_date_in_the_future_is_told_loudly(tmp_path):
    folder = exports(tmp_path / "exports", day="2099-01-01")
    warnings = pipeline.build(folder, tmp_path / "data").manifest["warnings"]
    assert [w for w in warnings if w.startswith("IMPORTANT") and "2099-01-01, lies in the future" in w]


def test_words_of_the_business_file_match_however_they_are_written(tmp_path):
    text = (Path(pipeline.__file__).parent / "business.toml").read_text()
    text = text.replace('"blazer"', '"Tee-Shirt"').replace('"CASH"', '"Bar Geld"')
    business = tmp_path / "b.toml"
    business.write_text(text)
    folder = exports(tmp_path / "exports", orders=[{"Payment Type": "bar geld"}], items=[{"Item": "tee shirt XL"}])
    built = Built(folder, tmp_path / "data", business_file=business)
    assert built.rows("SELECT payment_type::VARCHAR FROM sales WHERE kind = 'Order'") == [("Cash",)]
    assert built.rows("SELECT item_category::VARCHAR FROM items") == [("Professional Wear",)]


def test_a_key_seals_what_lay_open_before(tmp_path):
    folder = exports(
        tmp_path / "exports", customers=[{"Name": "Amina Haddad"}, {"Customer ID": "", "Name": "B Haddad"}]
    )
    Built(folder, tmp_path / "data").con.close()
    write(folder, "Orders", [{"Total": "41"}])
    Built(folder, tmp_path / "data", key="a key").con.close()
    for part in ("landing", "quarantine"):
        files = [p for p in (tmp_path / "data" / part).rglob("*") if p.is_file()]
        assert files and not [p for p in files if b"Haddad" in p.read_bytes()]


def test_only_the_manifest_finishes_a_build(tmp_path):
    house = Warehouse(tmp_path / "data" / "warehouse")
    with house.open_candidate("20260305-060000-dead"):
        pass
    assert house.builds() == []
