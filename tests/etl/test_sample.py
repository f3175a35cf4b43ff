"""The generator of sample exports: same seed, same bytes; the shape of the real files; dirt that is counted."""

import datetime as dt
import hashlib
import re
from pathlib import Path

import polars as pl
import pytest

from etl.errors import MoonwalkError
from etl.sample import COLUMNS, DIRT, FILES, Summary, make_exports

GOLDEN = Path(__file__).parents[1] / "golden" / "exports"
UNTIL = dt.date(2026, 3, 4)
AS_OF = dt.date(2026, 3, 5)
FORMATS = {
    "%Y-%m-%d": r"\d{4}-\d\d-\d\d",
    "%Y-%m-%d %H:%M:%S": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "%d %b %Y": r"\d{1,2} [A-Z][a-z]{2} \d{4}",
    "%d %b %Y %H:%M": r"\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d",
    "serial": r"\d{5}",
    "serial.0": r"\d{5}\.0",
}


def day_of(text: str) -> dt.date:
    """The date of a cell, read independently of the program under test."""
    for form, pattern in FORMATS.items():
        if re.fullmatch(pattern, text):
            if form.startswith("serial"):
                return dt.date(1899, 12, 30) + dt.timedelta(days=int(text[:5]))
            return dt.datetime.strptime(text, form).date()
    raise AssertionError(f"not a date the exports write: {text!r}")


def read(summary: Summary, kind: str) -> pl.DataFrame:
    return pl.read_csv(summary.files[kind], infer_schema=False)


def days(frame: pl.DataFrame, column: str) -> list[dt.date]:
    return [day_of(text) for text in frame[column].drop_nulls()]


def digests(summary: Summary) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in summary.files.values()}


def money(frame: pl.DataFrame, column: str = "Total") -> pl.Series:
    return frame[column].cast(pl.Decimal(12, 2))


def consumers(frame: pl.DataFrame, customers: pl.DataFrame) -> pl.DataFrame:
    business = customers.filter(pl.col("Business ID").is_not_null())["Customer ID"]
    return frame.filter(~pl.col("Customer ID").is_in(business.implode()))


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Summary:
    return make_exports(tmp_path_factory.mktemp("sample"), until=UNTIL)


@pytest.fixture(scope="module")
def frames(sample) -> dict[str, pl.DataFrame]:
    return {kind: read(sample, kind) for kind in FILES}


def test_it_names_and_shapes_the_files_like_the_golden_ones(sample, frames):
    assert {path.name for path in sample.out_dir.iterdir()} == {path.name for path in GOLDEN.glob("*.csv")}
    for kind, frame in frames.items():
        golden = pl.read_csv(GOLDEN / sample.files[kind].name, infer_schema=False)
        assert frame.columns == golden.columns
        assert frame.height == sample.rows[kind]
        assert golden.height * 0.75 < frame.height < golden.height * 1.25, kind
        empty = {name for name in golden.columns if golden[name].null_count() == golden.height}
        assert {name for name in frame.columns if frame[name].null_count() == frame.height} == empty


def test_it_repeats_itself_byte_by_byte(sample, tmp_path):
    again = make_exports(tmp_path / "again", until=UNTIL)
    assert digests(again) == digests(sample)
    other = make_exports(tmp_path / "other", until=UNTIL, seed=2)
    assert not set(digests(other).values()) & set(digests(sample).values())


def test_it_repeats_itself_when_messy(tmp_path):
    made = [make_exports(tmp_path / name, scale=0.1, until=UNTIL, messy=0.05) for name in ("one", "two")]
    assert digests(made[0]) == digests(made[1])
    assert made[0].dirt == made[1].dirt


def test_the_next_day_continues_the_same_history(sample, frames, tmp_path):
    before = make_exports(tmp_path, until=UNTIL - dt.timedelta(days=1))
    fixed = ["Order ID", "Placed", "Customer ID", "Store ID", "Pieces", "Total", "Ready By"]
    orders = read(before, "orders")
    later = frames["orders"].join(orders.select("Order ID", "Store ID"), on=["Order ID", "Store ID"], how="semi")
    same = orders.filter(pl.col("Store ID").is_in(["36319", "38516"]))
    later = later.filter(pl.col("Store ID").is_in(["36319", "38516"]))
    joined = same.select(fixed).join(later.select(fixed), on=fixed, how="semi")
    assert joined.height > same.height - 30  # the handful of odd stores is drawn anew
    assert frames["orders"].height > orders.height
    paid = dict(zip(orders["Order ID"] + orders["Store Name"], orders["Paid"], strict=True))
    now = dict(
        zip(frames["orders"]["Order ID"] + frames["orders"]["Store Name"], frames["orders"]["Paid"], strict=True)
    )
    assert not [key for key, value in paid.items() if value == "1" and now.get(key) == "0"]
    assert [key for key, value in paid.items() if value == "0" and now.get(key) == "1"]
    assert read(before, "legacy").equals(frames["legacy"])


def test_dates_mix_every_format_and_never_lie_after_the_exports(frames):
    columns = {
        "customers": ["Signed Up Date"],
        "orders": ["Placed", "Cleaned", "Collected", "Pickup Date", "Payment Date"],
        "items": ["Placed"],
        "invoices": ["Payment Date"],
        "legacy": ["Placed", "Cleaned", "Collected", "Pickup Date"],
    }
    for kind, names in columns.items():
        for name in names:
            found = days(frames[kind], name)
            assert min(found) >= dt.date(2024, 1, 1), (kind, name)
            assert max(found) < AS_OF, (kind, name)
    for kind in ("orders", "items", "legacy"):
        texts = frames[kind]["Placed"].unique().to_list()
        missing = [form for form, p in FORMATS.items() if not any(re.fullmatch(p, text) for text in texts)]
        assert missing == []
    assert any(re.match(r"\d [A-Z]", text) for text in frames["orders"]["Placed"])  # 1 May 2026


def test_it_has_26_months_and_two_overlapping_systems(frames):
    legacy, orders = days(frames["legacy"], "Placed"), days(frames["orders"], "Placed")
    assert min(legacy) == dt.date(2024, 1, 1)
    assert dt.date(2025, 2, 8) <= min(orders) < dt.date(2025, 2, 15)
    assert min(orders) < max(legacy) <= dt.date(2025, 3, 15)
    assert max(orders) == UNTIL
    months = {(day.year, day.month) for day in legacy + orders}
    assert len(months) == 27
    assert set(frames["legacy"]["Paid"]) == {"0"}


def test_the_year_has_seasons_and_the_week_a_rhythm(tmp_path):
    """At scale 5, so that chance does not decide."""
    made = make_exports(tmp_path, scale=5, until=UNTIL)
    orders = days(read(made, "legacy"), "Placed") + days(read(made, "orders"), "Placed")
    by_month = {month: sum((d.year, d.month) == month for d in orders) for month in [(2024, 8), (2024, 12), (2025, 12)]}
    assert by_month[2024, 8] < by_month[2024, 12] * 0.8
    weekday = [sum(d.weekday() == day for d in orders) for day in range(7)]
    assert weekday[4] < min(weekday[:4]) * 0.75
    assert weekday[5] > max(weekday[:4]) * 1.2
    items = read(made, "items").filter(pl.col("Item").is_in(["Kandura", "Shirt", "Abaya", "Trouser"]))
    items = items.with_columns(day=pl.Series(days(items, "Placed")), dress=pl.col("Item").is_in(["Kandura", "Abaya"]))
    share = pl.col("dress").mean()
    before_eid = items.filter(pl.col("day").is_between(dt.date(2025, 3, 21), dt.date(2025, 3, 28))).select(share).item()
    ordinary = items.filter(pl.col("day").dt.month() == 10).select(share).item()
    assert before_eid > ordinary * 1.25


def test_ids_and_orders_look_like_the_exports(frames):
    customers, orders, legacy = frames["customers"], frames["orders"], frames["legacy"]
    assert customers["Customer ID"].is_unique().all()
    assert legacy["Order ID"].str.contains(r"^R-?\d{5}$").all()
    assert {text[:2] for text in legacy["Order ID"]} == {"R-", "R1", "R2"}
    assert orders.select(pl.struct("Order ID", "Store Name").is_unique()).to_series().all()
    assert set(orders["Store Name"]) >= {"Moon Walk - AD", "Hielo Laundry", "Lime Test Store"}
    assert orders.filter(pl.col("Store ID") == "40001").height >= 2
    assert orders.filter(pl.col("Store ID").is_null()).height >= 1
    assert customers["Phone"].drop_nulls().str.contains(r"^(\+9715\d{8}|\+0)$").all()
    assert customers["Email"].drop_nulls().str.contains(r"(?i)@example\.com$").all()
    assert frames["items"]["Address"].drop_nulls().str.contains("\n").any()
    assert frames["items"]["Item Notes"].drop_nulls().str.contains('"').any()
    assert orders["Notes"].drop_nulls().str.contains(",").any()


def test_items_add_up_to_their_orders(frames):
    key = ["Order ID", "Store ID"]
    items = frames["items"].with_columns(amount=money(frames["items"]), pieces=pl.col("Quantity").cast(pl.Int64))
    sums = items.group_by(key).agg(pl.col("amount", "pieces").sum())
    orders = frames["orders"].with_columns(total=money(frames["orders"]), held=pl.col("Pieces").cast(pl.Int64))
    both = orders.join(sums, on=key)
    assert both.height > orders.height * 0.85
    assert both.select((pl.col("amount") == pl.col("total")).mean()).item() > 0.99
    assert both.select((pl.col("pieces") == pl.col("held")).all()).item()
    placed = frames["items"].join(orders.select(*key, ordered="Placed"), on=key)
    assert placed.select((pl.col("Placed") == pl.col("ordered")).all()).item()


def test_it_has_the_known_gaps(frames):
    customers, orders, items = frames["customers"], frames["orders"], frames["items"]
    bought = consumers(items, customers)
    orphans = bought.join(orders.select("Order ID").unique(), on="Order ID", how="anti")
    assert 0.03 < orphans.height / bought.height < 0.07
    missing = orders.join(customers.select("Customer ID"), on="Customer ID", how="anti")
    assert set(missing["Store ID"].drop_nulls()) >= {"36319", "38516"}
    assert missing["Customer ID"].n_unique() < 0.03 * customers.height
    assert customers["Name"].drop_nulls().is_duplicated().sum() >= 4


def test_business_accounts_have_numbers_invoices_and_no_payment_dates(frames):
    customers, orders = frames["customers"], frames["orders"]
    business = customers.filter(pl.col("Business ID").is_not_null())
    assert business.height == 14
    rows = orders.filter(pl.col("Customer ID").is_in(business["Customer ID"].implode()))
    assert 150 < rows.height < 330
    assert set(rows["Payment Type"]) == {"Invoice"}
    assert rows["Order ID"].cast(pl.Int64).min() == 900_001
    assert rows["Payment Date"].null_count() == rows.height
    assert consumers(orders, customers)["Order ID"].cast(pl.Int64).max() < 700_000
    billed = money(frames["invoices"].filter(pl.col("Customer").is_in(business["Name"].implode())), "Amount").sum()
    assert 0 < billed <= money(rows.filter(pl.col("Paid") == "1")).sum()


def test_receivables_are_spread_over_all_ages(frames):
    orders = consumers(frames["orders"], frames["customers"]).filter(pl.col("Store ID").is_in(["36319", "38516"]))
    unpaid = orders.filter((pl.col("Paid") == "0") & pl.col("Cleaned").is_not_null())
    assert 550 < unpaid.height < 900
    assert 16_000 < money(unpaid).sum() < 27_000
    ages = [(AS_OF - day).days for day in days(unpaid, "Placed")]
    buckets = [sum(low <= age <= high for age in ages) for low, high in [(0, 30), (31, 60), (61, 90), (91, 9999)]]
    assert min(buckets) > 40
    paid = orders.filter(pl.col("Paid") == "1")
    assert 0.55 < 1 - paid["Payment Date"].null_count() / paid.height < 0.75
    coverage = 1 - orders["Payment Date"].null_count() / orders.height
    assert 0.25 < coverage < 0.60


def test_the_last_days_are_still_in_cleaning(frames):
    orders = frames["orders"].with_columns(day=pl.Series(days(frames["orders"], "Placed")))
    waiting = orders.filter(pl.col("Cleaned").is_null())
    assert set(waiting["Status"]) == {"Cleaning"}
    assert waiting["Collected"].null_count() == waiting.height
    today, month_ago = UNTIL, UNTIL - dt.timedelta(days=30)
    assert orders.filter(day=today)["Cleaned"].null_count() > 0.6 * orders.filter(day=today).height
    old = orders.filter(pl.col("day") < month_ago)
    assert 0 < old["Cleaned"].null_count() < 0.02 * old.height


def test_invoices_match_customers_by_normalised_name(frames):
    def plain(names: pl.Series) -> set[str]:
        return {re.sub(r"[\s\-.',]", "", name.upper()) for name in names.drop_nulls()}

    invoices, known = frames["invoices"], plain(frames["customers"]["Name"])
    strangers = plain(invoices["Customer"]) - known
    assert strangers
    assert all(name.startswith("WALKINCUSTOMER") for name in strangers)
    written = set(invoices["Customer"]) - set(frames["customers"]["Name"])
    assert any(name.isupper() for name in written)
    assert any(name.islower() for name in written)
    assert any(name != name.strip() for name in written)
    subscriptions = invoices.filter(pl.col("Reference").str.to_uppercase().str.starts_with("SUBSCRIPTION"))
    assert 60 < subscriptions.height < 130
    assert invoices["Payment Date"].null_count() >= 1


@pytest.mark.parametrize("scale", [0.01, 0.1, 2.5])
def test_it_scales(scale, tmp_path, sample):
    made = make_exports(tmp_path, scale=scale, until=UNTIL)
    for kind in FILES:
        assert read(made, kind).columns == COLUMNS[kind]
        assert made.rows[kind] >= 1
    if scale >= 0.1:
        ratio = made.rows["orders"] / sample.rows["orders"] / scale
        assert 0.6 < ratio < 1.5
        assert read(made, "customers")["Business ID"].drop_nulls().len() == max(1, round(14 * scale))


@pytest.mark.parametrize("until", [dt.date(2025, 12, 31), dt.date(2028, 2, 29), dt.date(2090, 7, 1)])
def test_it_ends_on_any_day(until, tmp_path):
    made = make_exports(tmp_path, scale=0.2, until=until)
    assert made.as_of == until + dt.timedelta(days=1)
    assert made.files["orders"].name == f"CC-Orders-{made.as_of}.csv"
    placed = days(read(made, "orders"), "Placed")
    assert until - dt.timedelta(days=3) <= max(placed) <= until
    first = min(days(read(made, "legacy"), "Placed"))
    assert (first.year, first.month) == (made.start.year, made.start.month)
    assert (made.as_of.year - first.year) * 12 + made.as_of.month - first.month == 26


def test_it_ends_yesterday_by_default(tmp_path):
    made = make_exports(tmp_path, scale=0.02)
    assert dt.date.today() - made.as_of <= dt.timedelta(days=1)  # midnight may pass in between
    assert made.until == made.as_of - dt.timedelta(days=1)


def test_a_young_business_has_no_old_system(tmp_path):
    made = make_exports(tmp_path, scale=0.5, until=UNTIL, start=dt.date(2026, 3, 1))
    assert "legacy" not in made.files
    assert not (tmp_path / "RePos_Archive.csv").exists()
    assert min(days(read(made, "orders"), "Placed")) >= dt.date(2026, 3, 1)


@pytest.mark.parametrize(("start", "old"), [(dt.date(2026, 2, 1), False), (dt.date(2025, 9, 10), True)])
def test_a_shorter_history_still_reaches_its_last_day(start, old, tmp_path):
    made = make_exports(tmp_path, until=UNTIL, start=start)
    assert ("legacy" in made.files) is old
    assert max(days(read(made, "orders"), "Placed")) == UNTIL
    assert min(days(read(made, "legacy" if old else "orders"), "Placed")) >= start


def test_dirt_is_counted_and_touches_what_it_says(sample, tmp_path):
    made = make_exports(tmp_path, until=UNTIL, messy=0.02)
    assert set(made.dirt) == {f"{kind}.{name}" for kind in FILES for name in DIRT[kind]}
    for kind in FILES:
        clean, dirty = read(sample, kind), read(made, kind)
        counts = {name.split(".")[1]: n for name, n in made.dirt.items() if name.startswith(f"{kind}.")}
        repeats = sum(n for name, n in counts.items() if name.startswith("dup_"))
        assert dirty.height == clean.height + repeats
        assert sum(counts.values()) == pytest.approx(max(0.02 * clean.height, len(counts)), abs=len(counts))
        unchanged = dirty.join(clean, on=clean.columns, how="semi", nulls_equal=True).height
        touched = dirty.height - unchanged
        # exact repeats still equal a clean row; an odd value may by chance equal the old one
        same_row = counts.get("dup_row", 0) + counts.get("dup_same", 0)
        assert 0.8 * (sum(counts.values()) - same_row) <= touched <= sum(counts.values())
        assert clean.is_unique().all()
        assert dirty.is_duplicated().sum() == 2 * same_row
    orders = read(made, "orders")
    assert orders["Order ID"].null_count() == made.dirt["orders.blank_order"]
    assert orders["Customer ID"].null_count() == made.dirt["orders.blank_customer"]
    assert read(made, "items")["Section"].null_count() == made.dirt["items.null_section"]
    assert read(made, "legacy").filter(pl.col("Store ID") == "99999").height == made.dirt["legacy.unknown_store"]
    recleaned = orders.filter(pl.col("Cleaned").str.ends_with(" 09:30:00"))
    assert recleaned.height >= made.dirt["orders.dup_recleaned"]


def test_every_kind_of_dirt_of_the_golden_set_is_known():
    import json

    golden = json.loads((GOLDEN.parent / "messy" / "what-is-dirty.json").read_text())["dirt"]
    assert {f"{kind}.{name}" for kind in FILES for name in DIRT[kind]} == set(golden)


def test_a_little_dirt_in_a_small_set_still_works(tmp_path):
    made = make_exports(tmp_path, scale=0.01, until=UNTIL, messy=0.5)
    for kind in FILES:
        rows = sum(n for name, n in made.dirt.items() if name.startswith(f"{kind}."))
        assert 1 <= rows <= made.rows[kind]


@pytest.mark.parametrize(
    "bad", [{"scale": 0}, {"scale": -1}, {"messy": 1.5}, {"messy": -0.1}, {"start": dt.date(2027, 1, 1)}]
)
def test_it_refuses_impossible_arguments(bad, tmp_path):
    with pytest.raises(MoonwalkError):
        make_exports(tmp_path, until=UNTIL, **bad)
    assert list(tmp_path.iterdir()) == []
