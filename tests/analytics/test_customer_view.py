"""One customer: what the page says of them, against the exports worked by hand and against the whole."""

import csv
import io
import re
from datetime import date
from decimal import Decimal
from html import unescape

import pytest

from analytics import customer_view, queries
from tests.etl.making import Built, exports


@pytest.fixture
def built(tmp_path):
    """Customer 1 with orders in both stores, one not cleaned and an orphan's items; 2 a subscriber; 3 of the old
    system; 4 a business account; 5 signed up alone."""
    folder = exports(
        tmp_path / "exports",
        customers=[
            {"Customer ID": "1", "Name": "Amina"},
            {"Customer ID": "2", "Name": "Omar", "Phone": "", "Email": ""},
            {"Customer ID": "4", "Name": "Hotel", "Business ID": "77"},
            {"Customer ID": "5", "Name": "Noor"},
        ],
        orders=[
            {"Order ID": "1", "Customer ID": "1", "Total": "40", "Cleaned": "2026-01-12", "Paid": "0"},
            {"Order ID": "2", "Customer ID": "1", "Total": "25", "Cleaned": "2026-02-03", "Store ID": "38516",
             "Store Name": "Hielo"},
            {"Order ID": "3", "Customer ID": "1", "Total": "99", "Placed": "2026-03-04", "Cleaned": "", "Paid": "0"},
            {"Order ID": "4", "Customer ID": "4", "Total": "500", "Paid": "0"},
        ],
        items=[
            {"Order ID": "1", "Quantity": "2"}, {"Order ID": "1", "Item": "Trouser", "Quantity": "1"},
            {"Order ID": "900", "Customer ID": "1", "Quantity": "4", "Placed": "2026-02-20"},
            {"Order ID": "3", "Customer ID": "1", "Quantity": "9"},
        ],
        invoices=[
            {"Invoice ID": "1", "Customer": "Omar", "Reference": "Subscription", "Amount": "200"},
            {"Invoice ID": "2", "Customer": "Omar", "Reference": "INV-2", "Amount": "15"},
        ],
        legacy=[{"Order ID": "R-10001", "Customer ID": "7", "Customer": "Zaid", "Total": "30"}],
    )  # fmt: skip
    return Built(folder, tmp_path / "data").con


def test_what_a_customer_did_in_all_by_hand(built):
    who = queries.customer(built, "CC-0001")
    # 40 + 25 earned; the third is not cleaned; 2 + 1 items and an orphan's 4; 40 is unpaid.
    assert (who["name"], who["revenue"], who["orders"], who["items"], who["balance"]) == ("Amina", 65, 2, 7, 40)
    assert (who["first_earned"], who["last_earned"]) == (date(2026, 1, 12), date(2026, 2, 3))
    assert who["average_order"] == 32.5
    found, total = queries.customer_history(built, "CC-0001")
    assert total == 4
    assert found["order_id"].to_list() == ["M-00003", "M-00900", "H-00002", "M-00001"]  # two on one day: by ID
    assert found["kind"].to_list() == ["Order", "Items alone", "Order", "Order"]
    months = queries.customer_months(built, "CC-0001")
    assert months["first_day"].to_list() == [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)]
    assert months["revenue"].to_list() == [40, 25, 0] and months["closed"].to_list() == [True, True, False]


def test_payments_and_the_old_system_are_in_the_history(built):
    who = queries.customer(built, "CC-0002")
    assert (who["revenue"], who["orders"], who["average_order"], who["balance"]) == (200, 0, None, 0)
    found, _ = queries.customer_history(built, "CC-0002", sort="total")
    assert found.select("kind", "total", "collections").rows() == [
        ("Subscription", 200, 200), ("Invoice Payment", 0, 15)
    ]  # fmt: skip
    old = queries.customer(built, "MW-0007")
    assert (old["name"], old["revenue"], old["balance"], old["source"]) == ("Zaid", 30, 0, "Legacy")
    found = queries.customer_history(built, "MW-0007")[0]
    assert found.select("order_id", "total", "collections", "paid").rows() == [("R-10001", 30, None, None)]


def test_a_business_account_has_its_orders_too(built):
    who = queries.customer(built, "CC-0004")
    assert (who["b2b"], who["revenue"], who["orders"], who["balance"]) == (True, 500, 1, 500)
    assert queries.customer_history(built, "CC-0004")[0]["order_id"].to_list() == ["M-00004"]


def test_someone_who_only_signed_up_has_a_page(built):
    who = queries.customer(built, "CC-0005")
    assert (who["revenue"], who["orders"], who["last_earned"]) == (0, 0, None)
    assert queries.customer_history(built, "CC-0005")[1] == 0 and queries.customer_months(built, "CC-0005").is_empty()


def test_one_store_alone(built):
    who = queries.customer(built, "CC-0001", "Hielo")  # of Moon Walk, with an order there
    assert (who["revenue"], who["orders"], who["items"], who["balance"]) == (25, 1, 0, 0)
    assert queries.customer_history(built, "CC-0001", "Hielo")[0]["order_id"].to_list() == ["H-00002"]
    assert queries.customer_months(built, "CC-0001", "Hielo")["revenue"].to_list() == [25, 0]
    assert queries.customer(built, "CC-0002", "Hielo") is None
    assert queries.customer(built, "CC-0005", "Hielo") is None
    assert queries.customer(built, "CC-0005", "Moon Walk")["revenue"] == 0  # theirs, if without an order
    assert queries.customer(built, "CC-0099") is None


def test_the_history_is_sorted_by_a_known_column_only(built):
    with pytest.raises(queries.QueryError, match="There is no column"):
        queries.customer_history(built, "CC-0001", sort="phone; DROP TABLE sales")
    found, total = queries.customer_history(built, "CC-0001", sort="total", descending=False, limit=2, offset=2)
    assert (len(found), total) == (2, 4)
    assert len(queries.customer_history(built, "CC-0001", limit=2, offset=40)[0]) == 2


def test_everybody_together_are_the_whole(golden_data):
    build = queries.current()
    con = build.cursor()
    ids = [r[0] for r in con.execute("SELECT customer_id FROM customers WHERE NOT b2b USING SAMPLE 60").fetchall()]
    for one in ids:
        wanted = con.execute(
            "SELECT coalesce(sum(total), 0) FROM sales WHERE earned_date IS NOT NULL AND customer_id = ?", [one]
        ).fetchone()[0]
        months = build.customer_months(one)
        assert build.customer(one)["revenue"] == wanted == (months["revenue"].sum() or 0), one


@pytest.mark.parametrize(("top", "step"), [(1348, 500), (990, 200), (5, 1), (25, 5), (100, 50), (61, 20), (9999, 2000)])
def test_the_axis_goes_in_round_steps(top, step):
    assert customer_view._step(top) == step and 1 < top / step <= 5


def test_the_chart_stands_on_zero_and_marks_the_month_that_is_not_over():
    months = [
        {"first_day": date(2026, 1, 1), "closed": True, "revenue": Decimal(300), "orders": 2},
        {"first_day": date(2026, 2, 1), "closed": True, "revenue": Decimal(0), "orders": 0},
        {"first_day": date(2026, 3, 1), "closed": False, "revenue": Decimal(150), "orders": 1},
    ]
    chart = customer_view._chart(months)
    assert [b["height"] for b in chart["bars"]] == [100, 0, 50]
    assert [b["so_far"] for b in chart["bars"]] == [False, False, True]
    assert [(s["at"], s["label"]) for s in chart["steps"]] == [(0, "0"), (33.33, "100"), (66.67, "200"), (100, "300")]
    long = [{"first_day": date(2024 + n // 12, n % 12 + 1, 1), "closed": True, "revenue": 9, "orders": 1}
            for n in range(3, 27)]  # fmt: skip
    told = [(b["tick"], b["year"]) for b in customer_view._chart(long)["bars"] if b["tick"] or b["year"]]
    assert told == [("Jun", "2024"), ("Sep", ""), ("Dec", ""), ("Mar", "2025"), ("Jun", ""), ("Sep", ""), ("Dec", ""),
                    ("Mar", "2026")]  # fmt: skip
    assert customer_view._chart([months[1]]) is None and customer_view._chart([]) is None


# The page --------------------------------------------------------------------------------------------------------

pages = pytest.mark.django_db


@pytest.fixture
def get(as_, golden_data):
    def page(address: str, name: str = "layla", status: int = 200) -> str:
        response = as_(name).get(address)
        assert response.status_code == status, address
        return unescape(response.content.decode())

    return page


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def someone(sql: str) -> str:
    return queries.current().cursor().execute(sql).fetchone()[0]


@pages
def test_the_page_says_who_what_where_they_stand_and_why(get):
    best = someone("SELECT customer_id FROM rfm WHERE month = '2026-02-01' ORDER BY monetary DESC, customer_id LIMIT 1")
    build = queries.current()
    who, standing = build.customer(best), build.customer_standing(best)
    text = words(get(f"/customer/{best}/"))
    assert who["name"] in text and f"Revenue Dhs {who['revenue']:,.0f} of all time" in text
    assert standing["rfm"]["segment"] in text and f"Monetary {standing['rfm']['m']} of 5" in text
    assert f"last came {standing['rfm']['recency_days']} day" in text
    assert f"{standing['rfm']['frequency']} order" in text and "What to do:" in text
    assert "Next 12 weeks" in text and "Still a customer" in text
    assert "Among the 717 customers with revenue in the 6 months to the end of February 2026." in text


@pages
def test_the_history_has_items_beneath_each_order(get):
    order, one = queries.current().cursor().execute(
        "SELECT order_id, customer_id FROM items WHERE NOT b2b AND NOT orphan GROUP BY ALL HAVING count(*) > 2 "
        "ORDER BY order_id DESC LIMIT 1"
    ).fetchone()  # fmt: skip
    html = get(f"/customer/{one}/?find={order}")
    both = rf'<tr id="{order}" class="chosen">(.*?)</tr><tr class="lines">(.*?)</tr>'
    row, beneath = re.search(both, html, re.S).groups()
    lines = queries.current().customer_items([order])
    assert beneath.count("<li>") == len(lines) > 2 and "<details class=\"lines\" open>" in row
    assert lines["item"][0] in words(beneath)


@pages
def test_a_long_history_is_leafed_through_and_sorted(get):
    one = someone("SELECT customer_id FROM sales GROUP BY ALL HAVING count(*) > 60 ORDER BY count(*) DESC LIMIT 1")
    html = get(f"/customer/{one}/?sort=-total")
    amounts = re.findall(r"Dhs ([\d,.]+)</td></tr>", html)
    numbers = [float(a.replace(",", "")) for a in amounts]
    assert len(numbers) == 50 and numbers == sorted(numbers, reverse=True)
    assert f'href="/customer/{one}/?sort=-total&p=2#history"' in html
    get(f"/customer/{one}/?sort=-total&p=2")
    assert get(f"/customer/{one}/?p=999&sort=phone")


@pages
@pytest.mark.parametrize(("name", "phone", "email"), [
    ("layla", True, True), ("omar", True, True), ("sara", True, False), ("farid", True, True), ("dana", True, True),
    ("root", True, True),
])  # fmt: skip
def test_who_sees_how_to_reach_a_customer(get, name, phone, email):
    one = someone("SELECT customer_id FROM customers WHERE phone IS NOT NULL AND email IS NOT NULL ORDER BY 1 LIMIT 1")
    who = queries.current().customer(one)
    html = get(f"/customer/{one}/", name)
    assert (who["phone"] in html, who["email"] in html) == (phone, email)


@pages
def test_a_person_kept_to_a_store_sees_what_happened_there_alone(get):
    one = someone(
        "SELECT customer_id FROM sales WHERE earned_date IS NOT NULL AND source = 'CC_2025' GROUP BY customer_id "
        "HAVING count(DISTINCT store) = 2 AND min(store::VARCHAR) = 'Hielo' ORDER BY 1 LIMIT 1"
    )
    html = get(f"/customer/{one}/", "hala")
    kept = queries.current("Hielo").customer(one)
    assert f"Dhs {kept['revenue']:,.0f}" in words(html) or f"Dhs {kept['revenue']:,.2f}" in words(html)
    assert kept["revenue"] < queries.current().customer(one)["revenue"]
    history = html[html.index('id="history"') :]
    assert 'id="H-' in history and 'id="M-' not in history
    assert 'id="segment"' not in html and "Still a customer" not in html and "Customer since" not in html
    elsewhere = someone(
        "SELECT customer_id FROM customers AS c WHERE store = 'Moon Walk' AND NOT EXISTS (FROM sales AS s "
        "WHERE s.customer_id = c.customer_id AND s.store = 'Hielo') AND NOT EXISTS (FROM items AS i "
        "WHERE i.customer_id = c.customer_id AND i.store = 'Hielo') AND NOT b2b LIMIT 1"
    )
    get(f"/customer/{elsewhere}/", "hala", 404)
    get(f"/customer/{elsewhere}/export.csv", "hala", 404)
    with pytest.raises(queries.QueryError, match="of the whole business"):
        queries.current("Hielo").customer_standing(one)


@pages
def test_there_is_no_page_for_nobody(get):
    for address in ("/customer/CC-9999999/", "/customer/'/", "/customer/x%00/", "/customer/CC-0001/export.pdf"):
        get(address, status=404)
    get("/customer/CC-0001/", "noor", 403)


@pages
def test_the_whole_history_can_be_taken_along(as_, golden_data):
    one = someone("SELECT customer_id FROM sales GROUP BY ALL HAVING count(*) > 60 ORDER BY count(*) DESC LIMIT 1")
    response = as_("layla").get(f"/customer/{one}/export.csv")
    months, text = (part.split("\r\n", 1)[1] for part in response.content.decode("utf-8-sig").split("\r\n\r\n"))
    known = queries.current().customer_months(one).sort("first_day", descending=True)
    assert [float(line["Revenue (Dhs)"]) for line in csv.DictReader(io.StringIO(months))] == [
        float(revenue) for revenue in known["revenue"]
    ]
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == queries.current().customer_history(one)[1] > 60
    earned = [line for line in lines if line["Earned"]]
    assert sum(Decimal(line["Amount (Dhs)"] or 0) for line in earned) == queries.current().customer(one)["revenue"]


@pages
def test_no_name_is_logged(get, caplog):
    best = someone("SELECT customer_id FROM customers WHERE name IS NOT NULL ORDER BY 1 LIMIT 1")
    name = queries.current().customer(best)["name"]
    with caplog.at_level("DEBUG"):
        get(f"/customer/{best}/")
        get(f"/follow/executive/revenue/?period=2026-02&show=rows&customer={best}")
    assert name not in caplog.text
