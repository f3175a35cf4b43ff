"""Following a number: the customers and the rows behind every metric add up to it; the page that leads to them."""

import csv
import io
import re
from decimal import Decimal
from html import unescape

import pytest

from analytics import queries
from analytics.dashboards import DASHBOARDS
from analytics.metrics import METRICS
from analytics.queries import Filters, QueryError, by_customer, query, rows
from tests.analytics import reading
from tests.conftest import GOLDEN
from tests.etl.making import Built, exports

pytestmark = pytest.mark.sqlite_suffices
MONTHS = ("2026-02", "2025-03", "2024-01", "2026-03")  # closed, of the change-over, of the old system, open
EVERYTHING = Filters()
ALL = [m for m in METRICS.values() if "month" in m.grains]
ADDITIVE = [m.name for m in ALL if m.additive]
COUNTS = [m.name for m in ALL if m.unit == "count" and not m.additive and not m.name.endswith("items")]
ROW_SUMS = [m.name for m in ALL if queries._row_value(m.name) and not queries.is_ratio(m.name)]


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    return Built(GOLDEN / "exports", tmp_path_factory.mktemp("golden")).con


def values(con, names: list[str], month: str, filters: Filters = EVERYTHING) -> dict:
    frame = query(con, names, "month", since=month, until=month, include_open=True, filters=filters)
    return {name: frame[name][0] for name in names}


def same(found, wanted) -> bool:
    return round(float(found or 0), 2) == round(float(wanted), 2)


def test_the_lists_below_hold_what_they_should():
    assert {"revenue", "items", "stops", "existing_revenue", "collection_gap", "express_items"} <= set(ADDITIVE)
    assert set(COUNTS) >= {"customers", "subscribers", "clients", "new_customers", "existing_customers",
                           "reactivated_customers", "multi_service_customers", "m1_customers"}  # fmt: skip
    assert set(ADDITIVE) <= set(ROW_SUMS) and "reactivated_revenue" in ROW_SUMS and "top20_spend_revenue" in ROW_SUMS


@pytest.mark.parametrize("month", MONTHS)
def test_the_customers_of_every_additive_metric_add_up_to_it(golden, month):
    wrong = {}
    for name, wanted in values(golden, ADDITIVE, month).items():
        found = by_customer(golden, name, "month", month)
        if wanted is not None and not (same(found.together, wanted) and same(found.frame["value"].sum(), wanted)):
            wrong[name] = (found.together, wanted)
    assert wrong == {}


@pytest.mark.parametrize("month", MONTHS)
def test_as_many_customers_are_listed_as_are_counted(golden, month):
    wrong = {}
    for name, wanted in values(golden, COUNTS, month).items():
        found = by_customer(golden, name, "month", month)
        if (len(found.frame), found.total, found.frame["customer_id"].n_unique()) != (wanted,) * 3:
            wrong[name] = (found.total, wanted)
    assert wrong == {}


@pytest.mark.parametrize("month", MONTHS)
def test_the_rows_of_every_sum_add_up_to_it(golden, month):
    wrong = {}
    for name, wanted in values(golden, ROW_SUMS, month).items():
        found = rows(golden, name, "month", month)
        added = sum((Decimal(str(v)) for v in found.frame["value"]), Decimal(0))
        if wanted is not None and not (same(found.together, wanted) and same(added, wanted)):
            wrong[name] = (found.together, wanted)
        assert (found.frame["value"] != 0).all(), f"{name} shows rows that add nothing"
    assert wrong == {}


@pytest.mark.parametrize("month", MONTHS)
def test_the_rows_of_every_count_are_of_as_many_customers(golden, month):
    wrong = {}
    for name, wanted in values(golden, COUNTS, month).items():
        found = rows(golden, name, "month", month)
        if found.frame["customer_id"].n_unique() != wanted:
            wrong[name] = (found.frame["customer_id"].n_unique(), wanted)
    assert wrong == {}


@pytest.mark.parametrize("filters", [
    Filters(store="Hielo"), Filters(area="Outer Abu Dhabi"), Filters(source="CC_2025"), Filters(payment_type="Cash"),
    Filters(service_type="Wash & Press"), Filters(store="Moon Walk", item_category="Home Linens"),
])  # fmt: skip
def test_with_filters_they_add_up_too(golden, filters):
    names = [n for n in ROW_SUMS if n in ADDITIVE and all(
        queries.can_filter(n, d) for d, v in vars(filters).items() if v
    )]  # fmt: skip
    assert names
    for name, wanted in values(golden, names, "2026-02", filters).items():
        assert same(by_customer(golden, name, "month", "2026-02", filters).together, wanted), name
        assert same(rows(golden, name, "month", "2026-02", filters).together, wanted), name


def test_every_metric_has_customers_and_rows_in_every_grain(golden):
    periods = {"day": "2026-02-14", "week": "2026-W07", "month": "2026-02", "quarter": "2026-Q1"}
    for metric in METRICS.values():
        for grain in metric.grains:
            customers = by_customer(golden, metric.name, grain, periods[grain], limit=3)
            found = rows(golden, metric.name, grain, periods[grain], limit=3)
            assert len(customers.frame) == min(3, customers.total) and len(found.frame) == min(3, found.total)
            assert list(customers.frame.columns) == [*queries.CUSTOMER, *queries.shown_parts(metric.name)]
            assert list(found.frame.columns) == [*queries.ROWS[found.mart], "value"]


def test_a_page_of_them_is_sorted_searched_and_counted(golden):
    whole = by_customer(golden, "revenue", "month", "2026-02")
    top = by_customer(golden, "revenue", "month", "2026-02", limit=5)
    assert top.total == whole.total and top.together == whole.together
    assert top.frame["value"].to_list() == sorted(whole.frame["value"], reverse=True)[:5]
    second = by_customer(golden, "revenue", "month", "2026-02", sort="customer_id", descending=False, limit=5, offset=5)
    assert second.frame["customer_id"].to_list() == sorted(whole.frame["customer_id"])[5:10]
    beyond = by_customer(golden, "revenue", "month", "2026-02", limit=5, offset=10_000)
    assert beyond.frame.equals(top.frame)
    one = top.frame.row(0, named=True)
    found = by_customer(golden, "revenue", "month", "2026-02", search=one["customer_id"].lower(), limit=50)
    assert (found.total, found.together) == (1, one["value"])
    behind = rows(golden, "revenue", "month", "2026-02", customer=one["customer_id"])
    assert behind.together == one["value"] and set(behind.frame["customer_id"]) == {one["customer_id"]}
    order = behind.frame["order_id"][0]
    assert rows(golden, "revenue", "month", "2026-02", search=order).frame["order_id"].to_list() == [order]


def test_what_is_searched_is_a_value_never_sql(golden):
    for search in ("%", "_", "x') OR 1=1 --", "$first"):
        assert by_customer(golden, "revenue", "month", "2026-02", search=search).total == 0
    quoted = by_customer(golden, "revenue", "month", "2026-02", search="'").frame["name"].to_list()
    assert quoted and all("'" in name for name in quoted)
    for bad in ("value; DROP TABLE sales", "phone", "", "1"):
        with pytest.raises(QueryError, match="There is no column"):
            by_customer(golden, "revenue", "month", "2026-02", sort=bad)
        with pytest.raises(QueryError, match="There is no column"):
            rows(golden, "revenue", "month", "2026-02", sort=bad)
    with pytest.raises(ValueError):
        rows(golden, "revenue", "month", "2026-02", limit="1; DROP TABLE sales")


@pytest.mark.parametrize(("how", "said"), [
    (("revenue", "month", "2031-02"), "There is no month '2031-02'"),
    (("revenue", "month", "2026-W07"), "is no month"),
    (("revenue", "century", "2026-02"), "There is no grain"),
    (("m1_customers", "week", "2026-W07"), "not counted by week"),
    (("revenue", "month", "2026-02", Filters(item_category="Home Linens")), "not counted by item category"),
    (("revenue", "month", "2026-02", Filters(store="Paris")), "There is no store 'Paris'"),
])  # fmt: skip
def test_a_question_that_does_not_fit_is_refused(golden, how, said):
    for ask in (by_customer, rows):
        with pytest.raises(QueryError, match=said):
            ask(golden, *how)


@pytest.fixture
def small(tmp_path):
    """Three customers worked by hand: 1 a client, 2 a subscriber, 3 with an order not cleaned yet."""
    folder = exports(
        tmp_path / "exports",
        customers=[{"Customer ID": str(i), "Name": f"C{i}"} for i in (1, 2, 3)],
        orders=[
            {"Order ID": "1", "Customer ID": "1", "Total": "40", "Delivery": "1", "Pickup Date": "2026-01-09"},
            {"Order ID": "2", "Customer ID": "1", "Total": "10", "Paid": "0", "Delivery": "1"},
            {"Order ID": "3", "Customer ID": "2", "Total": "30"},
            {"Order ID": "4", "Customer ID": "3", "Cleaned": ""},
        ],
        items=[{"Order ID": "1", "Quantity": "2"}, {"Order ID": "3", "Customer ID": "2", "Quantity": "5"}],
        invoices=[{"Invoice ID": "1", "Customer": "C2", "Reference": "Subscription", "Amount": "200",
                   "Payment Date": "2026-01-05"}],
    )  # fmt: skip
    return Built(folder, tmp_path / "data").con


def listed(found, *columns) -> list[tuple]:
    return [tuple(row[c] for c in columns) for row in found.frame.iter_rows(named=True)]


def test_small_cases_by_hand(small):
    def customers(name):
        return listed(by_customer(small, name, "month", "2026-01"), "customer_id", "value")

    def orders(name):
        return sorted(listed(rows(small, name, "month", "2026-01"), "order_id", "value"))

    assert customers("revenue") == [("CC-0002", 230), ("CC-0001", 50)]
    assert orders("revenue") == [("M-00001", 40), ("M-00002", 10), ("M-00003", 30), ("S-1", 200)]
    assert customers("clients") == [("CC-0001", 1)]
    assert listed(by_customer(small, "customers", "month", "2026-01"), "customer_id", "value", "revenue") == [
        ("CC-0001", 1, 50), ("CC-0002", 1, 230)
    ]  # fmt: skip
    assert orders("clients") == [("M-00001", None), ("M-00002", None)]
    assert customers("stops") == [("CC-0001", 3)]
    assert orders("stops") == [("M-00001", 2), ("M-00002", 1)]
    assert customers("collection_gap") == [("CC-0001", 10)]
    assert orders("collection_gap") == [("M-00002", 10)]
    assert customers("revenue_per_item") == [("CC-0002", 46), ("CC-0001", 25)]
    parts = by_customer(small, "revenue_per_item", "month", "2026-01")
    assert listed(parts, "customer_id", "revenue", "items") == [("CC-0002", 230, 5), ("CC-0001", 50, 2)]
    assert parts.together is None
    assert orders("subscriber_items") == [("M-00003", 5)]
    # C2 pays on the 5th, so the order cleaned on the 12th is under the subscription: worth two services.
    assert customers("multi_service_revenue") == [("CC-0002", 230)]
    assert orders("multi_service_revenue") == [("M-00003", 30), ("S-1", 200)]


def test_a_formula_that_looks_back_shows_its_parts(golden):
    found = by_customer(golden, "m1_customer_retention", "month", "2026-02")
    wanted = values(golden, ["m1_customers"], "2026-02")["m1_customers"]
    before = values(golden, ["m0_customers"], "2026-01")["m0_customers"]
    assert found.frame["m1_customers"].sum() == wanted and found.frame["before_m0_customers"].sum() == before
    assert found.frame["value"].null_count() == len(found.frame) and found.together is None
    assert rows(golden, "m1_customer_retention", "month", "2026-02").frame["customer_id"].n_unique() == wanted


@pytest.fixture
def hielo(golden_data):
    return queries.current("Hielo")


def test_a_person_kept_to_a_store_gets_rows_of_that_store_alone(hielo):
    found = hielo.rows("revenue", "month", "2026-02", limit=None)
    assert set(found.frame["store"]) == {"Hielo"}
    of_all = queries.current().rows("revenue", "month", "2026-02", limit=None)
    assert 0 < found.total < of_all.total
    alone = queries.current().by_customer("revenue", "month", "2026-02", filters=Filters(store="Hielo"))
    assert hielo.by_customer("revenue", "month", "2026-02").frame.equals(alone.frame)
    for ask in (hielo.rows, hielo.by_customer):
        with pytest.raises(QueryError, match="Your account shows Hielo alone"):
            ask("revenue", "month", "2026-02", filters=Filters(store="Moon Walk"))
        with pytest.raises(QueryError, match="of the whole business"):
            ask("m1_customers", "month", "2026-02")


# The page --------------------------------------------------------------------------------------------------------


@pytest.fixture
def get(as_, golden_data):
    """get("/follow/...", "omar") is the page's text for that person, entities resolved, tags and all."""

    def page(address: str, name: str = "layla", status: int = 200) -> str:
        response = as_(name).get(address)
        assert response.status_code == status, address
        return unescape(response.content.decode())

    return page


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def links(html: str, start: str = "/") -> list[str]:
    return [a for a in re.findall(r'href="([^"]+)"', html) if a.startswith(start)]


def part(html: str, name: str) -> str:
    """The element with this id, up to the next section's end."""
    return html[html.index(f'id="{name}"') :].split("</section>")[0]


def body(html: str) -> list[list[str]]:
    """The cells of the list behind the figure."""
    rows = re.findall(r"<tr>(.*?)</tr>", part(html, "behind").split("<tbody>")[1], re.S)
    return [[words(c) for c in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)] for row in rows]


@pytest.mark.django_db
def test_a_number_is_shown_split_and_broken_down(get):
    html = get("/follow/executive/revenue/?period=2026-02")
    text = words(html)
    assert "Revenue February 2026 · all stores" in text and "Dhs 25,580" in text
    assert "▲ +1.5 % on Jan 2026 (Dhs 25,200) better" in text
    split = words(part(html, "split"))
    assert re.search(r"Moon Walk Dhs 20,694 80\.9 % ▲ \+2\.1 % Hielo Dhs 4,886 19\.1 % ▼ −1\.1 %", split)
    assert "253 customers, together Dhs 25,580." in text and "1 to 50 of 253" in text
    assert len(body(html)) == 50


@pytest.mark.django_db
def test_each_row_of_a_split_leads_on_with_its_filter(get):
    html = get("/follow/executive/items/?period=2026-02&by=item_category")
    leads = [a for a in links(part(html, "split")) if "item_category=" in a]
    assert leads
    total = 0
    for lead in leads:
        narrowed = get(lead)
        assert "Category: " in part(narrowed, "content").split("halves")[0]
        total += int(re.search(r"item lines, together ([\d,]+)\.", words(get(f"{lead}&show=rows")))[1].replace(",", ""))
        assert "by=item_category" not in part(narrowed, "split")
    assert total == 3103


@pytest.mark.django_db
def test_a_customer_leads_to_their_orders_and_an_order_to_the_customer(get):
    html = get("/follow/executive/revenue/?period=2026-02&store=hielo")
    customer, name, _, _, value = body(html)[0]
    lead = next(a for a in links(part(html, "behind")) if f"customer={customer}" in a)
    orders = get(lead)
    assert f"together {value}." in words(orders) and f"Customer: {customer}" in words(orders)
    assert {row[2] for row in body(orders)} == {customer}
    back = next(a for a in links(part(orders, "behind"), "/customer/") if "find=" in a)
    assert back == f"/customer/{customer}/?find={body(orders)[0][0]}#{body(orders)[0][0]}"
    assert name in words(get(back))


@pytest.mark.django_db
def test_a_formula_is_written_out_with_links_to_its_parts(get):
    html = get("/follow/executive/revenue_per_item/?period=2026-02&store=hielo")
    said = re.search(r'<p class="formula">(.*?)</p>', html)[1]
    assert words(said) == "= Revenue / Items"
    for address, metric in zip(links(said), ("revenue", "items"), strict=True):
        assert address.startswith(f"/follow/executive/{metric}/?grain=month&period=2026-02&store=hielo")
        get(address)
    html = get("/follow/customers/m1_customer_retention/?period=2026-02")
    assert "M0 customers of the period before" in words(html)
    assert any("m0_customers" in a and "period=2026-01" in a for a in links(html))
    digital = get("/follow/finance/digital_share/?period=2026-02")
    said = words(re.search(r'<p class="formula">(.*?)</p>', digital)[1])
    top = "( Stripe collections + Terminal collections )"
    assert said == f"= {top} / ( Stripe collections + Terminal collections + Cash collections )"


@pytest.mark.django_db
def test_the_definition_is_one_click_away(get):
    html = get("/follow/executive/stops/")
    assert "/definitions/#stops" in links(html)
    assert 'id="stops"' in get("/definitions/")


@pytest.mark.django_db
def test_the_list_is_sorted_searched_and_leafed_through_by_its_address(get):
    html = get("/follow/executive/revenue/?period=2026-02&sort=name")
    names = [row[1] for row in body(html) if row[1] != "–"]
    assert names == sorted(names)
    assert 'aria-sort="ascending"' in html
    second = get(next(a for a in links(html) if "p=2" in a))
    assert body(second)[0][1] >= names[-1] and "51 to 100 of 253" in words(second)
    assert [len(body(get("/follow/executive/revenue/?period=2026-02&p=6")))] == [3]
    found = get("/follow/executive/revenue/?period=2026-02&q=o'connor")
    assert body(found) and all("O'Connor" in row[1] for row in body(found))
    assert "Nothing to show." in get("/follow/executive/revenue/?period=2026-02&q=%3Cscript%3E")


@pytest.mark.django_db
def test_what_is_looked_for_is_escaped(as_, golden_data):
    for name in ("q", "customer", "sort", "by"):
        assert b"<script>x" not in as_("layla").get(f"/follow/executive/revenue/?{name}=<script>x").content


@pytest.mark.django_db
@pytest.mark.parametrize("query", [
    "p=0", "p=-1", "p=99999999999", "p=x", "sort=phone", "sort=;DROP", "by=customer_id", "show=all", "customer=%27",
    "period=2031-01", "period=2026-W07", "store=paris", "area=<b>", "grain=day", "segment=nobody", "q=%00",
    "item_category=extras", "p=²",
])  # fmt: skip
def test_what_the_address_says_wrongly_breaks_nothing(get, query):
    get(f"/follow/executive/revenue/?{query}")


@pytest.mark.django_db
def test_a_filter_that_the_figure_does_not_know_is_said_to_be_left_out(get):
    html = get("/follow/executive/revenue_per_item/?period=2026-02&item_category=extras")
    found = reading.idle(html)
    assert list(found) == ["Category: Extras"] and reading.chips(html) == {}
    assert found["Category: Extras"].startswith("/follow/executive/revenue_per_item/?grain=month&period=2026-02")
    # Items alone know it: the part's number would be another there than here.
    part = re.search(r'<dt><a href="(/follow/executive/items/[^"]*)">', html)[1]
    assert "item_category" not in part
    assert "item_category=extras" in re.search(r'<p class="crumbs"><a href="([^"]+)"', html)[1]


@pytest.mark.django_db
def test_only_who_sees_the_page_follows_its_figures(get, client, golden_data):
    get("/follow/finance/collections/", "omar", 403)
    get("/follow/customers/new_customers/", "farid", 403)
    get("/follow/executive/revenue/", "noor", 403)
    get("/follow/executive/revenue/export.csv", "dana", 403)
    get("/follow/executive/days_to_payment/", "omar", 404)  # finance's alone
    get("/follow/executive/nothing/", "layla", 404)
    get("/follow/nothing/revenue/", "layla", 404)
    get("/follow/receivables/revenue/", "layla", 404)
    get("/follow/executive/revenue/export.pdf", "layla", 404)
    client.logout()
    for address in ("/follow/executive/revenue/", "/follow/nothing/revenue/", "/follow/executive/revenue/export.csv"):
        assert client.get(address)["Location"].startswith("/login/")


@pytest.mark.django_db
def test_a_person_kept_to_a_store_sees_that_one_alone_and_is_told_so(get):
    html = get("/follow/executive/revenue/?period=2026-02&show=rows", "hala")
    assert "Dhs 4,886" in words(html) and "Moon Walk" not in words(part(html, "behind"))
    assert "by=store" not in html and "<select name=\"store\"" not in html
    assert "by Store" not in html
    asked = get("/follow/executive/revenue/?store=moon-walk", "hala", 403)
    assert "Your account shows Hielo alone." in words(asked)
    assert "of the whole business" in get("/follow/customers/m1_customers/", "hala", 403)
    assert "of the whole business" in get("/follow/executive/revenue/?segment=champions", "hala", 403)
    get("/follow/executive/revenue/export.csv?store=moon-walk", "hala", 403)


@pytest.mark.django_db
def test_the_file_has_every_row_of_the_list_as_it_is_found(as_, golden_data):
    client = as_("layla")

    def lines_of(query: str) -> list[dict]:
        """Of the list, which stands below the split."""
        text = client.get(f"/follow/executive/revenue/export.csv?{query}").content.decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text.split("\r\n\r\n", 1)[1].split("\r\n", 1)[1], newline="")))

    lines = lines_of("period=2026-02&store=hielo&sort=name")
    assert list(lines[0]) == ["Customer", "Name", "Their store", "Area", "Revenue (Dhs)"]
    wanted = queries.current().query(["revenue"], "month", since="2026-02", until="2026-02", filters=Filters("Hielo"))
    assert sum(Decimal(line["Revenue (Dhs)"]) for line in lines) == Decimal(str(wanted["revenue"][0]))
    names = [line["Name"] for line in lines if line["Name"]]
    assert names == sorted(names) and len(lines) > 50
    orders = [line["Order"] for line in lines_of("period=2026-02&show=rows&q=S-")]
    assert orders and all(order.startswith("S-") for order in orders)
    text = client.get("/follow/executive/revenue/export.csv?period=2026-02").content.decode("utf-8-sig")
    split = list(csv.DictReader(io.StringIO(text.split("\r\n\r\n")[0].split("\r\n", 1)[1], newline="")))
    stores = queries.current().query(["revenue"], "month", split="store", since="2026-02", until="2026-02")
    assert text.startswith("Revenue by store\r\n") and len(split) == 2
    assert {line["Store"]: float(line["Revenue (Dhs)"]) for line in split} == dict(
        stores.select("store", "revenue").iter_rows()
    )
    book = client.get("/follow/executive/revenue/export.xlsx?period=2026-02")
    assert book.content[:2] == b"PK" and "revenue-customers-2026-02.xlsx" in book["Content-Disposition"]


@pytest.mark.django_db
def test_every_figure_of_every_page_can_be_followed(as_, golden_data):
    client = as_("layla")
    asked = ("period=2025-03", "period=2026-03&show=rows")  # a month of the change-over; the open one, by rows
    followed = [f"/follow/{page}/{name}/" for page, shown in DASHBOARDS.items() for name in sorted(shown.metrics)]
    addresses = [f"{address}?{query}" for address in followed for query in asked]
    assert [a for a in addresses if client.get(a).status_code != 200] == []
