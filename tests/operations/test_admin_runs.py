"""The pages of refreshes: steps and their shares, rows that add up, what was set aside, and the way back."""

import re
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from analytics import queries
from analytics.models import StoreAccess
from operations import refresh, services, uploads
from operations.models import Order, RefreshRun
from tests.operations import exports

pytestmark = pytest.mark.django_db
BROKEN = exports.ORDERS | {104: ",1,36319,Moon Walk,2026-02-01,,2026-02-09,,,0,1,9.00,0,,,Ready"}


@pytest.fixture
def first(first_refresh) -> RefreshRun:
    """A refresh with one row set aside (an order without a number)."""
    return first_refresh(orders=BROKEN)


@pytest.fixture
def second(first, data_dir) -> RefreshRun:
    """The next day's exports, in which M-00102 is 99.00."""
    changed = exports.ORDERS[102].replace(",20.00,", ",99.00,")
    exports.write(data_dir / "exports", orders=exports.ORDERS | {102: changed}, day="2026-03-06")
    return refresh.refresh(trigger="command")


def url(page: str = "changelist", *args) -> str:
    return reverse(f"admin:operations_refreshrun_{page}", args=args)


def now(monkeypatch):
    """A queued run does its work at once, in the test's own transaction."""
    start = refresh.threading.Thread.start

    def at_once(thread):
        refresh.run_queued(*thread._args) if thread.name == "refresh" else start(thread)

    monkeypatch.setattr(refresh.threading.Thread, "start", at_once)


def total(order: str = "M-00102") -> str:
    return str(Order.objects.get(pk=order).total)


def test_the_list_tells_what_each_did(as_, first, second):
    page = as_("root").get(url())
    rows = page.content.decode()
    assert rows.count("<b>(live)</b>") == 1
    assert re.search(rf"{second.build_id} <b>\(live\)</b>", rows)
    # 5 orders read in the first (one set aside), 4 in the second; 2 customers, 5 and 4 items, 1 invoice each
    assert [row.pk for row in page.context["cl"].result_list] == [second.pk, first.pk]
    read = [int(n.replace(",", "")) for n in re.findall(r"field-rows_read[^>]*>([\d,]+)<", rows)]
    files = [sum(f["read"] for f in run.manifest["files"].values()) for run in (second, first)]
    assert read == files
    assert re.findall(r"field-rows_rejected[^>]*>([\d,]+)<", rows)[-1] == str(
        sum(sum(f["quarantined"].values()) for f in first.manifest["files"].values()))  # fmt: skip


def test_rows_of_every_file_add_up_on_the_page(as_, first):
    page = as_("root").get(url("change", first.pk)).content.decode()
    rows = re.findall(r'<th scope="row" data-label="File">(.*?)</tr>', page, re.S)
    assert len(rows) == len(first.manifest["files"]) >= 4
    for row in rows:
        read, loaded, left, aside = (
            int(re.search(rf'data-label="{label}">(?:<div>)?([\d,]+)', row)[1].replace(",", ""))
            for label in ("Rows read", "Loaded", "Left out", "Set aside")
        )
        assert read == loaded + left + aside
        assert "yes" in row
    (orders,) = (row for row in rows if row.startswith("CC-Orders"))
    assert re.search(r'data-label="Rows read">5<', orders)
    assert "no order ID: 1" in orders
    assert url("quarantine", first.pk, "orders") in orders


def test_a_file_that_does_not_add_up_says_so(as_, first):
    first.manifest["files"]["orders"]["loaded"] -= 1
    RefreshRun.objects.filter(pk=first.pk).update(manifest=first.manifest)
    page = as_("root").get(url("change", first.pk)).content.decode()
    assert page.count("<b>no</b>") == 1


def test_steps_have_their_share_of_the_time(as_, first):
    """1.5 + 0.5 seconds: 75 % and 25 %."""
    RefreshRun.objects.filter(pk=first.pk).update(seconds={"marts": 1.5, "publish": 0.5})
    page = as_("root").get(url("change", first.pk)).content.decode()
    assert re.findall(r'<td class="mw-number">([\d.]+)</td><td class="mw-number">(\d+) %</td>', page) == [
        ("1.50", "75"), ("0.50", "25"), ("2.00", "100")]  # fmt: skip


def test_the_manifest_is_there_to_read(as_, first):
    page = as_("root").get(url("change", first.pk)).content.decode()
    assert re.search(r"<summary>files <span[^>]*>\d+ lines</span></summary>", page)
    assert first.manifest["fingerprint"] in page
    assert "&quot;read&quot;: 5" in page


def test_going_back_asks_first_and_then_goes_back(as_, first, second, monkeypatch):
    now(monkeypatch)
    client = as_("root")
    assert total() == "99.00"
    assert "Roll back to this build" in client.get(url("change", first.pk)).content.decode()
    assert "Roll back to this build" not in client.get(url("change", second.pk)).content.decode(), "it is live"
    page = client.get(url("rollback", first.pk)).content.decode()
    assert first.build_id in page
    assert "1 later build is left behind" in page
    assert queries.warehouse().current() == second.build_id, "it only asks"
    answer = client.post(url("rollback", first.pk))
    run = RefreshRun.objects.get(trigger="rollback")
    assert answer["Location"] == url("change", run.pk)
    assert (run.state, run.build_id, run.started_by.username) == ("published", first.build_id, "root")
    assert queries.warehouse().current() == first.build_id
    assert total() == "20.00"
    assert "Roll back to this build" in client.get(url("change", second.pk)).content.decode(), "and forth again"


def test_no_way_back_to_a_build_that_is_gone_or_live(as_, first, second):
    client = as_("root")
    answer = client.post(url("rollback", second.pk), follow=True)
    assert "This build is live already" in answer.content.decode()
    refresh.warehouse().discard(first.build_id)
    assert "Roll back" not in client.get(url("change", first.pk)).content.decode()
    assert "no longer kept" in client.get(url("rollback", first.pk), follow=True).content.decode()
    assert client.get(url("rollback", 999)).status_code == 404
    assert not RefreshRun.objects.filter(trigger="rollback").exists()


def test_back_to_exports_whose_build_gave_way_to_one_with_a_payment(as_, people, first, second, data_dir, monkeypatch):
    """first, second, a payment (third build, of second's exports), then newer exports: of second's set the third alone
    is kept, and second's page goes back to it."""
    now(monkeypatch)
    paying = {"method": "Cash", "paid_on": second.as_of, "user": people["root"], "request_key": uuid4()}
    services.customer_pay("CC-0001", Decimal("5.00"), order_ids=["M-00102"], **paying)
    refresh.include_payments()
    third = RefreshRun.objects.get(trigger="payments")
    client = as_("root")
    page = client.get(url("change", second.pk)).content.decode()
    assert "Roll back to" not in page, "its exports are live: going back would bring the payment in again"
    assert len(re.findall(rf"{second.build_id} \(its exports are live\)", client.get(url()).content.decode())) == 1
    exports.write(data_dir / "exports", day="2026-03-07")
    fourth = refresh.refresh(trigger="command")
    assert second.build_id not in [b.build_id for b in refresh.warehouse().builds()]
    page = client.get(url("change", second.pk)).content.decode()
    assert "Roll back to these exports" in page
    assert re.search(rf'href="{url("change", third.pk)}">refresh {third.pk}</a>, with later payments', page)
    page = client.get(url("rollback", second.pk)).content.decode()
    assert third.build_id in page and "1 later build is left behind" in page
    assert total() == "20.00" and fourth.build_id == queries.warehouse().current()
    client.post(url("rollback", second.pk))
    assert queries.warehouse().current() == third.build_id
    assert total() == "99.00"


def test_the_list_tells_which_exports_are_live_after_going_back_and_a_payment(as_, people, first, second, monkeypatch):
    now(monkeypatch)
    as_("root").post(url("rollback", first.pk))
    paying = {"method": "Cash", "paid_on": second.as_of, "user": people["root"], "request_key": uuid4()}
    services.customer_pay("CC-0001", Decimal("5.00"), order_ids=["M-00102"], **paying)
    refresh.include_payments()
    rows = as_("root").get(url()).content.decode()
    builds = re.findall(r'field-build[^>]*>([^<(]+)(?:\(| )*(?:<b>)?\(?([a-z ]*)', rows)
    live = queries.warehouse().current()
    assert [(b.strip(), words) for b, words in builds] == [
        (live, "live"), (first.build_id, "its exports are live"), (second.build_id, ""),
        (first.build_id, "its exports are live")]  # fmt: skip
    assert first.build_id != live


def test_a_build_that_vanished_meanwhile_is_told_on_the_run(as_, first, second, monkeypatch):
    """Queued while it was there, gone when its turn comes."""
    run = refresh.services.run_queue(trigger="rollback", build_id=first.build_id)
    refresh.warehouse().discard(first.build_id)
    ended = refresh.run_queued(run.pk)
    assert ended.state == "refused"
    assert f"There is no published build {first.build_id}" in ended.error
    assert queries.warehouse().current() == second.build_id


def test_going_back_waits_for_a_refresh_under_way(as_, first, second, monkeypatch):
    monkeypatch.setattr(refresh, "ask", lambda run: None)  # a worker that is slow to come
    services.run_queue(trigger="button")
    answer = as_("root").post(url("rollback", first.pk), follow=True)
    assert "A refresh is already waiting for its turn" in answer.content.decode()
    assert queries.warehouse().current() == second.build_id


def test_who_may_go_back(as_, people, first, second):
    dana = people["dana"]
    assert as_("dana").get(url("rollback", first.pk)).status_code == 403
    dana.user_permissions.add(Permission.objects.get(codename="view_refreshrun"))
    client = as_("dana")
    assert "Roll back" not in client.get(url("change", first.pk)).content.decode()
    assert "Refresh now" not in client.get(url()).content.decode()
    assert client.post(url("rollback", first.pk)).status_code == 403
    dana.user_permissions.add(Permission.objects.get(codename="add_refreshrun"))
    assert as_("dana").get(url("rollback", first.pk)).status_code == 200
    StoreAccess.objects.create(user=dana, store="Hielo")
    client = as_("dana")
    assert client.get(url("rollback", first.pk)).status_code == 403
    assert client.post(url("rollback", first.pk)).status_code == 403
    assert not RefreshRun.objects.filter(trigger="rollback").exists()


def test_a_refresh_is_started_from_a_runs_page_by_who_may(as_, people, first, monkeypatch):
    """Nothing new came since: the new run says so. Dana looks at runs, and starts none."""
    now(monkeypatch)
    page = as_("root").get(url("change", first.pk)).content.decode()
    form = re.search(rf'<form method="post" action="{url("start")}".*?</form>', page, re.S)[0]
    assert "Refresh now" in form and 'name="csrfmiddlewaretoken"' in form
    answer = as_("root").post(url("start"))
    run = RefreshRun.objects.latest("started_at")
    assert (answer["Location"], run.started_by, run.state) == (url("change", run.pk), people["root"], "nothing_new")
    people["dana"].user_permissions.add(Permission.objects.get(codename="view_refreshrun"))
    assert url("start") not in as_("dana").get(url("change", first.pk)).content.decode()


def test_a_run_of_uploaded_files_says_so_and_leads_to_them(as_, people, first, data_dir, monkeypatch):
    monkeypatch.setattr(refresh.threading.Thread, "start", lambda self: None)
    folder = uploads.inputs.create(people["root"].pk)
    run = refresh.start(user=people["root"], exports_dir=folder, trigger=RefreshRun.Trigger.UPLOAD)
    page = as_("root").get(url("change", run.pk)).content.decode()
    assert "uploaded files" in page
    assert reverse("uploaded", args=[folder.name]) in page
    people["farid"].user_permissions.add(Permission.objects.get(codename="view_refreshrun"))
    page = as_("farid").get(url("change", run.pk)).content.decode()
    assert reverse("uploaded", args=[folder.name]) not in page, "another's upload"
    assert reverse("upload") in page


# --- Around every page -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "there", "absent"),
    [
        ("dana", ["/operations/receivables/", "/admin/operations/payment/"],
         ["/executive/", "/admin/operations/refreshrun/", "/admin/auth/user/", "/operations/upload/"]),
        ("farid", ["/executive/", "/finance/", "/operations/receivables/", "/operations/upload/",
                   "/admin/operations/level/"], ["/customers/", "/admin/auditlog/logentry/"]),
        ("root", ["/executive/", "/customers/", "/operations/", "/finance/", "/operations/receivables/",
                  "/operations/upload/", "/admin/operations/refreshrun/", "/admin/auditlog/logentry/",
                  "/admin/analytics/sharelink/", "/admin/auth/user/"], []),
    ],
)  # fmt: skip
def test_the_sidebar_leads_where_one_may_go(as_, name, there, absent):
    client = as_(name)
    context = client.get(reverse("admin:index")).context
    links = [item["link"] for group in context["sidebar_navigation"] for item in group["items"]]
    assert set(there) <= set(links)
    assert not set(absent) & set(links)
    for link in links:
        if link.startswith("/admin/"):
            assert client.get(link).status_code == 200, link


@pytest.mark.parametrize("name", ["dana", "root"])
def test_the_search_of_every_page_is_in_the_admin_too(as_, name, data_dir):
    for address in (reverse("admin:index"), reverse("admin:operations_customer_changelist")):
        page = as_(name).get(address).content.decode()
        form = re.search(rf'<form[^>]* action="{reverse("search")}" role="search".*?</form>', page, re.S)[0]
        assert 'name="q"' in form and "method" not in form


def test_the_search_is_not_for_who_may_open_no_customer(as_, people, data_dir):
    people["noor"].is_staff = True
    people["noor"].save()
    page = as_("noor").get(reverse("admin:index"))
    assert page.status_code == 200 and reverse("search") not in page.content.decode()


def test_the_first_page_tells_what_waits(as_, people, data_dir):
    from tests.operations import books

    books.write()
    services.assign(["CC-0001", "CC-0003"], people["dana"], user=people["dana"])
    services.order_mark_paid(["M-00102", "M-00104"], **books.paying(people["dana"]))
    waits = {words: (n, address) for n, words, address in as_("dana").get(reverse("admin:index")).context["waiting"]}
    assert waits["customers assigned to me"][0] == 2
    assert waits["payments on their way into the figures"][0] == 2
    assert waits["promises broken"][0] == 0
    for n, address in waits.values():
        assert as_("dana").get(address).context["cl"].result_count == n
