"""Uploads: what a person drops, what they are told of it, what becomes of it; and what strangers' files can't do.

The laundry of tests/operations/exports.py as published: February earns 50.25 + 20 + 15 + 30 of orders and 300 of a
subscription: Dhs 415.25.
"""

import gzip
import io
import json
import os
import re
import shutil
import uuid
import zipfile
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from etl import landing, pipeline
from etl.warehouse import Warehouse
from operations import examine, inputs, lock, refresh, services, uploads
from operations.models import Order, RefreshRun
from tests.conftest import GOLDEN, point_settings_at
from tests.operations import exports

pytestmark = pytest.mark.django_db
PAGE = "/operations/upload/"
ORDERS_HEAD = ("Order ID,Customer ID,Store ID,Store Name,Placed,Ready By,Cleaned,Collected,Pickup Date,Delivery,Pieces,"
               "Total,Paid,Payment Type,Payment Date,Status")  # fmt: skip
NEWER = "CC-Orders-2026-03-06.csv"


class AtOnce:
    """A thread that is through when it was started."""

    def __init__(self, target, args=(), **_):
        self.target, self.args = target, args

    def start(self):
        self.target(*self.args)


class Never(AtOnce):
    def start(self):
        pass


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """The check is made at once; a refresh waits for settled()."""
    monkeypatch.setattr(uploads, "threading", SimpleNamespace(Thread=AtOnce))
    monkeypatch.setattr(refresh, "threading", SimpleNamespace(Thread=Never))


@pytest.fixture
def folder(data_dir) -> Path:
    return exports.write(data_dir / "exports")


@pytest.fixture(scope="session")
def built_laundry(tmp_path_factory) -> Path:
    """A data folder with the laundry built and published, and its exports. Look, don't touch."""
    data = tmp_path_factory.mktemp("laundry")
    build = pipeline.build(exports.write(data / "exports"), data)
    house = Warehouse(data / "warehouse")
    refresh.enrich_candidate(house, build.build_id, build.manifest)
    house.publish(build.build_id)
    return data


@pytest.fixture
def live(built_laundry, data_dir) -> str:
    """The laundry is live, as `published`, but the database knows nothing of it yet: the id of its build."""
    shutil.copytree(built_laundry, data_dir)
    return refresh.warehouse().current()


@pytest.fixture
def published(first_refresh) -> RefreshRun:
    return first_refresh()


def orders(**changed: str | None) -> bytes:
    """The Orders export; m102="..." replaces a row, None leaves it out."""
    rows = {f"m{n}": row for n, row in exports.ORDERS.items()} | changed
    return "\n".join([ORDERS_HEAD, *(row for row in rows.values() if row)]).encode() + b"\n"


def changed_orders() -> bytes:
    """M-00102 costs 25 instead of 20, M-00103 (15) is gone, M-00104 (9, of March) is new."""
    return orders(
        m102=exports.ORDERS[102].replace("20.00", "25.00"),
        m103=None,
        m104="104,1,36319,Moon Walk,2026-03-01,2026-03-03,2026-03-02,,,0,1,9.00,0,,,Ready",
    )


def drop(client, files: dict[str, bytes]):
    """The answer to files dropped under these names, where it leads."""
    return client.post(PAGE, {"files": [SimpleUploadedFile(n, c) for n, c in files.items()]}, follow=True)


def text(answer) -> str:
    """The words of a page."""
    main = re.search(r"<main.*</main>", answer.content.decode(), re.S)[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def the_upload() -> inputs.Upload:
    (found,) = inputs.every()
    return found


def report() -> dict:
    check = the_upload().read("check")
    assert (check["state"], check["errors"]) == ("done", [])
    return check


def settled(client, upload=None) -> RefreshRun:
    """Press "Refresh with these" and let the refresh run."""
    upload = upload or the_upload()
    answer = client.post(f"{PAGE}{upload.id}/publish/", ticks(upload))
    assert answer.status_code == 302
    run = RefreshRun.objects.latest("pk")
    refresh.run_queued(run.pk)
    run.refresh_from_db()
    return run


def ticks(upload=None) -> dict[str, str]:
    """A yes to everything that the page asks."""
    return dict.fromkeys(uploads.asked((upload or the_upload()).read("check")), "on")


def live_orders() -> set[str]:
    with closing(refresh.warehouse().connect()) as con:
        return {row[0] for row in con.execute("SELECT order_id FROM orders").fetchall()}


# --- What a person is told -----------------------------------------------------------------------------------------


@pytest.mark.sqlite_suffices
def test_it_tells_what_the_files_would_change(as_, live):
    answer = drop(as_("layla"), {NEWER: changed_orders()})
    check = report()
    assert check["rows"]["orders"] == {"new": 1, "changed": 1, "gone": 1, "before": 4}
    unchanged = {kind: rows for kind, rows in check["rows"].items() if kind != "orders"}
    assert all((r["new"], r["changed"], r["gone"]) == (0, 0, 0) for r in unchanged.values())
    # February: 50.25 + 25 + 30 + 300; March is not over.
    whole, store = check["moved"]
    assert whole.pop("share") == store.pop("share") == pytest.approx(-10 / 415.25 * 100)
    moved = {"month": "2026-02", "label": "Feb 2026", "metric": "revenue", "difference": -10.0}
    assert whole == moved | {"store": "", "before": 415.25, "after": 405.25}
    assert store == moved | {"store": "Moon Walk", "before": 385.25, "after": 375.25}
    said = text(answer)
    assert "Feb 2026 over the limit Dhs 415.25 Dhs 405.25 −Dhs 10.00" in said
    assert said.count("Feb 2026 over the limit") == 1, "the store that moved as the whole did is no line of its own"
    assert "1 month, together −Dhs 10.00." in said
    assert "Exports of 5 Mar 2026 6 Mar 2026" in said
    assert "CC-Customers-2026-03-05.csv (not uploaded: as in the last refresh" in said
    assert "Refresh with these" in said
    assert live_orders() == {"M-00101", "M-00102", "M-00103", "H-00201"}, "nothing is changed yet"


@pytest.mark.sqlite_suffices
def test_a_changed_item_line_is_one_change(as_, live, data_dir):
    """Of two lines of an order one changes its price, another order's line is gone, a new line joins."""
    items = (data_dir / "exports" / "CC-Items-2026-03-05.csv").read_text().splitlines()
    head, lines = items[0], {line.split(",")[0]: line for line in items[1:]}
    lines["101"] = lines["101"].replace(",10.00,", ",11.00,")
    del lines["201"]
    new = lines["102"].replace("Shirt", "Suit")
    drop(as_("layla"), {"CC-Items-2026-03-05.csv": "\n".join([head, *lines.values(), new]).encode()})
    assert report()["rows"]["items"] == {"new": 1, "changed": 1, "gone": 1, "before": 4}


@pytest.mark.full
def test_the_same_rows_in_other_formats_change_nothing(as_, golden_build, settings, tmp_path):
    """The golden exports as XLSX, Parquet and JSON: dates, money and IDs read the same."""
    data = tmp_path / "data"
    shutil.copytree(golden_build, data)
    point_settings_at(settings, data, tmp_path / "none")
    files = {}
    for path in sorted((GOLDEN / "exports").glob("*.csv")):
        frame, out = pl.read_csv(path, infer_schema=False), io.BytesIO()
        if "Orders" in path.name:
            frame.write_excel(out)
            files["orders of march 2026-03-05.xlsx"] = out.getvalue()
        elif "Items" in path.name:
            frame.write_parquet(out)
            files["CC-Items-2026-03-05.parquet"] = out.getvalue()
        elif "Customers" in path.name:
            files["CC-Customers-2026-03-05.json"] = frame.write_json().encode()
        elif "Invoices" in path.name:
            files["CC-Invoices-2026-03-05.txt"] = frame.write_csv(separator=";").encode("utf-16")
    answer = drop(as_("farid"), files)
    check = report()
    assert {kind: (r["new"], r["changed"], r["gone"]) for kind, r in check["rows"].items()} == dict.fromkeys(
        ("customers", "orders", "items", "invoices", "legacy"), (0, 0, 0)
    )
    assert check["moved"] == []
    assert {f["kind"]: f["title"] for f in check["files"]}["orders"] == "Orders"
    assert "Their revenue stays as it is." in text(answer)


@pytest.mark.sqlite_suffices
def test_messy_files_are_told_rule_by_rule(as_, golden_build, settings, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(golden_build, data)
    point_settings_at(settings, data, tmp_path / "none")
    client = as_("layla")
    answer = drop(client, {path.name: path.read_bytes() for path in (GOLDEN / "messy").glob("*.csv")})
    check = report()
    dirt = json.loads((GOLDEN / "messy" / "what-is-dirty.json").read_text())
    assert {kind: tally["read"] for kind, tally in check["tallies"].items()} == dirt["file_rows"]
    for tally in check["tallies"].values():
        assert tally["read"] == tally["loaded"] + sum(tally["excluded"].values()) + sum(tally["quarantined"].values())
    assert {m["month"]: m["before"] for m in check["moved"] if not m["store"]}["2026-02"] == 25580.20
    rules = check["rejected"]["orders"]
    assert rules["no order ID"]["count"] == dirt["dirt"]["orders.blank_order"]
    first = rules["unreadable Placed"]["rows"][0]
    assert re.search(rf"CC-Orders-2026-03-05.csv: rows {first:,}, .*: unreadable Placed", text(answer))
    rows = client.get(f"{PAGE}{the_upload().id}/rejected/orders/")
    assert rows["Content-Disposition"].startswith("attachment")
    kept = pl.read_csv(b"".join(rows.streaming_content), infer_schema=False)
    assert kept.height == sum(rule["count"] for rule in rules.values())
    assert client.get(f"{PAGE}{the_upload().id}/rejected/legacies/").status_code == 404


@pytest.mark.sqlite_suffices
def test_the_first_rows_are_shown_and_escaped(as_, live):
    rows = exports.CUSTOMERS | {3: '3,"<img src=x onerror=alert(1)>",36319,Moon Walk,2026-01-01,1,,=1+1,x@example.com'}
    head = "Customer ID,Name,Store ID,Store Name,Signed Up Date,Route #,Business ID,Phone,Email"
    content = "\n".join([head, *rows.values()]).encode()
    answer = drop(as_("layla"), {'"><b>CC.csv': content})
    page = answer.content.decode()
    assert "<img" not in page and "<b>CC" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "Dana Haddad" in page and "Recognised as Customers" in page
    assert "cells that begin like a formula: 1 (first: row 4, column Phone)" in page
    assert answer["Cache-Control"] == "private, no-store"


@pytest.mark.sqlite_suffices
def test_a_month_that_is_over_and_moves_is_asked_about(as_, live):
    """1 % of February is 4.1525: M-00102 at 24.16 for 20.00 is over it; at 24.15 it is no word worth."""
    question = "I have seen that revenue of Feb 2026 moves, and it is right: publish it."
    answer = drop(as_("layla"), {NEWER: orders(m102=exports.ORDERS[102].replace(",20.00,", ",24.16,"))})
    assert question in text(answer) and "over the limit" in text(answer)
    answer = drop(as_("layla"), {NEWER: orders(m102=exports.ORDERS[102].replace(",20.00,", ",24.15,"))})
    assert question not in text(answer) and "over the limit" not in text(answer)


@pytest.mark.sqlite_suffices
@pytest.mark.parametrize(("kept_back", "given"), [("seen", {"sure": "on"}), ("sure", {"seen": "on"})])
def test_the_server_asks_for_every_tick(as_, live, kept_back, given):
    """Two of four orders are gone: of that, and of February, a person must say that they saw it."""
    client = as_("layla")
    drop(client, {NEWER: orders(m101=None, m102=None)})
    assert set(ticks()) == {kept_back, *given}
    answer = client.post(f"{PAGE}{the_upload().id}/publish/", given, follow=True)
    assert "Nothing was published: read what these files would change, and tick what is asked" in text(answer)
    assert not RefreshRun.objects.exists()
    assert settled(client).state == "published"


@pytest.mark.sqlite_suffices
def test_a_file_that_lost_a_good_part_of_its_rows_is_told(as_, live):
    answer = drop(as_("layla"), {NEWER: orders(m101=None, m102=None)})
    assert report()["rows"]["orders"]["gone"] == 2
    assert f"IMPORTANT: {NEWER} has 2 rows, the last one had 4" in text(answer)
    assert "IMPORTANT: 2 of the 4 rows of Orders in the last refresh are gone" in text(answer)


@pytest.mark.sqlite_suffices
def test_older_files_are_told(as_, live, data_dir):
    answer = drop(as_("layla"), {"CC-Orders-2026-03-01.csv": orders(), "c.csv": customers()})
    said = text(answer)
    assert "CC-Orders-2026-03-05.csv in the exports folder is newer than CC-Orders-2026-03-01.csv" in said
    # Items and Invoices of the last refresh are of 5 March: that stays the day of the figures.
    assert report()["as_of"] == "2026-03-05"
    folder = data_dir / "exports"
    others = {path.name.replace("03-05", "03-01"): path.read_bytes() for path in folder.glob("*.csv")}
    assert "older than what is published (5 Mar 2026)" in text(drop(as_("layla"), others))


def customers() -> bytes:
    head = "Customer ID,Name,Store ID,Store Name,Signed Up Date,Route #,Business ID,Phone,Email"
    return "\n".join([head, *exports.CUSTOMERS.values()]).encode() + b"\n"


# --- Dates of files without one ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "day", "why"),
    [
        ({"orders.csv": orders()}, "2026-03-05", "that of the other files counts"),  # newest Placed: 20 February
        ({"orders.csv": orders(m104="104,1,36319,Moon Walk,2026-03-09,,,,,0,1,9.00,0,,,Ready")}, "2026-03-09",
         "the newest Placed counts"),
        ({"orders.csv": orders(), "CC-Customers-2026-03-12.csv": customers()}, "2026-03-12",
         "that of the other files counts"),
    ],
)  # fmt: skip
@pytest.mark.sqlite_suffices
def test_a_file_without_a_date_gets_one_that_is_not_too_old(as_, live, files, day, why):
    drop(as_("layla"), files)
    (file,) = [f for f in report()["files"] if f["kind"] == "orders"]
    assert (file["day"], file["name"]) == (day, f"CC-Orders-{day}.csv")
    assert why in file["dated"]


@pytest.mark.sqlite_suffices
def test_a_date_to_come_is_refused(as_, live):
    answer = drop(as_("layla"), {"CC-Orders-2062-01-01.csv": orders()})
    assert "its name says 1 Jan 2062, which is still to come" in text(answer)
    assert "Refresh with these" not in text(answer)


# --- What is missing -----------------------------------------------------------------------------------------------


@pytest.mark.sqlite_suffices
def test_at_first_what_is_missing_comes_from_the_exports_folder(as_, folder, people):
    answer = drop(as_("layla"), {NEWER: changed_orders()})
    said = text(answer)
    assert "CC-Items-2026-03-05.csv (not uploaded: from the exports folder, as nothing was published yet)" in said
    assert report()["rows"]["orders"] == {"new": 4, "changed": 0, "gone": 0, "before": 0}
    assert settled(as_("layla")).state == "published"
    assert live_orders() == {"M-00101", "M-00102", "M-00104", "H-00201"}


@pytest.mark.sqlite_suffices
def test_at_first_without_an_exports_folder_all_are_needed(as_, data_dir, people):
    said = text(drop(as_("layla"), {NEWER: changed_orders()}))
    for title in ("Customers", "Items", "Invoices"):
        assert f"There is no {title} export" in said
    assert "RePOS" not in said and "Refresh with these" not in said


@pytest.mark.sqlite_suffices
def test_an_upload_alone_is_enough(as_, folder, data_dir, people):
    """No exports folder at all: everything by upload, then a part of it, then a refresh as every morning."""
    files = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    shutil.rmtree(folder)
    drop(as_("layla"), files)
    assert settled(as_("layla")).state == "published"
    drop(as_("layla"), {NEWER: changed_orders()})
    assert settled(as_("layla"), uploads.of(RefreshRun.objects.latest("pk").started_by)[0]).state == "published"
    assert refresh.refresh(trigger="command").state == "nothing_new"
    assert live_orders() == {"M-00101", "M-00102", "M-00104", "H-00201"}


# --- Publishing ----------------------------------------------------------------------------------------------------


@pytest.mark.sqlite_suffices
def test_refresh_with_these(as_, people, published):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    upload = the_upload()
    run = settled(client)
    assert (run.state, run.trigger, run.started_by) == ("published", "upload", people["layla"])
    assert live_orders() == {"M-00101", "M-00102", "M-00104", "H-00201"}
    assert str(Order.objects.get(pk="M-00102").total) == "25.00"
    said = text(client.get(f"{PAGE}{upload.id}/"))
    assert "Every page shows the new figures" in said
    assert "Orders: 1 added, 1 changed, 1 no longer in the export" in said
    assert {p.name for p in upload.folder.iterdir()} == {"about.json", "run.json"}, "the files are gone from here"


def test_the_next_refresh_stands_on_what_was_uploaded(as_, published, folder):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    settled(client)
    assert refresh.refresh(trigger="schedule").state == "nothing_new"
    # Another kind becomes newer in the folder: the uploaded orders stay beside it.
    newer = (folder / "CC-Customers-2026-03-05.csv").read_text() + "4,Mona Aziz,36319,Moon Walk,2026-03-06,1,,,\n"
    (folder / "CC-Customers-2026-03-07.csv").write_text(newer)
    run = refresh.refresh(trigger="schedule")
    assert run.state == "published"
    assert run.manifest["files"]["customers"]["file"] == "CC-Customers-2026-03-07.csv"
    assert live_orders() == {"M-00101", "M-00102", "M-00104", "H-00201"}
    assert list(run.manifest["uploaded"]) == ["orders"]
    # Newer orders in the folder: these count.
    (folder / "CC-Orders-2026-03-08.csv").write_bytes(orders())
    run = refresh.refresh(trigger="schedule")
    assert (run.state, "uploaded" in run.manifest) == ("published", False)
    assert live_orders() == {"M-00101", "M-00102", "M-00103", "H-00201"}


@pytest.mark.sqlite_suffices
def test_of_one_day_the_later_file_counts(as_, published, folder):
    """The folder's file has the same name and date; the upload came later, until the folder's changes again."""
    client = as_("layla")
    drop(client, {"CC-Orders-2026-03-05.csv": changed_orders()})
    assert settled(client).state == "published"
    assert refresh.refresh(trigger="schedule").state == "nothing_new"
    (folder / "CC-Orders-2026-03-05.csv").write_bytes(orders(m101=None))
    later = timezone.now().timestamp() + 60
    os.utime(folder / "CC-Orders-2026-03-05.csv", (later, later))
    assert refresh.refresh(trigger="schedule").state == "published"
    assert live_orders() == {"M-00102", "M-00103", "H-00201"}


def test_going_back_goes_back_to_the_files_too(as_, published):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    settled(client)
    refresh.rollback()
    assert refresh.refresh(trigger="schedule").state == "nothing_new"
    assert live_orders() == {"M-00101", "M-00102", "M-00103", "H-00201"}
    answer = drop(client, {NEWER: changed_orders()})
    assert "Somebody went back behind these very files" in text(answer)
    upload = uploads.of(answer.wsgi_request.user)[0]
    assert settled(client, upload).state == "published", "told so, they mean it"
    assert "M-00104" in live_orders()


@pytest.mark.sqlite_suffices
def test_two_clicks_are_one_refresh(as_, live):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    for _ in range(2):
        client.post(f"{PAGE}{the_upload().id}/publish/", ticks())
    assert RefreshRun.objects.filter(state="queued").count() == 1
    refresh.run_queued(RefreshRun.objects.latest("pk").pk)
    client.post(f"{PAGE}{the_upload().id}/publish/")
    assert RefreshRun.objects.count() == 1


@pytest.mark.sqlite_suffices
def test_a_click_that_died_holds_nobody_up_for_long(as_, live):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    turn = the_upload().folder / "run.turn"
    turn.touch()
    assert "being published already" in text(client.post(f"{PAGE}{the_upload().id}/publish/", ticks(), follow=True))
    os.utime(turn, (0, 0))
    assert settled(client).state == "published"


@pytest.mark.sqlite_suffices
def test_while_another_refresh_runs_it_waits(as_, live):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    with lock.Lock():
        answer = client.post(f"{PAGE}{the_upload().id}/publish/", ticks(), follow=True)
    assert "A refresh is already running" in text(answer)
    assert settled(client).state == "published"


def test_it_is_compared_anew_when_another_refresh_went_live(as_, live, data_dir):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    more = exports.ORDERS | {105: exports.ORDERS[102].replace("102,", "105,", 1)}
    exports.write(data_dir / "exports", orders=more, day="2026-03-06")
    assert refresh.refresh(trigger="command").state == "published"
    answer = client.post(f"{PAGE}{the_upload().id}/publish/", ticks(), follow=True)
    assert "Another refresh went live meanwhile" in text(answer)
    assert report()["rows"]["orders"] == {"new": 1, "changed": 1, "gone": 2, "before": 5}
    assert settled(client).state == "published"


@pytest.mark.sqlite_suffices
def test_a_payment_meanwhile_is_no_other_refresh(as_, people, published):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    services.order_mark_paid(
        ["M-00102"], method="Cash", paid_on=date(2026, 3, 4), user=people["root"], request_key=uuid.uuid4()
    )
    refresh.include_payments()
    assert refresh.warehouse().current() != published.build_id
    client.post(f"{PAGE}{the_upload().id}/publish/", ticks(), follow=True)
    assert settled(client).state == "published"


@pytest.mark.sqlite_suffices
def test_a_refresh_that_fails_leaves_the_good_data_and_the_files(as_, live, monkeypatch):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    monkeypatch.setattr(refresh, "enrich_candidate", broken)
    assert settled(client).state == "failed"
    assert live_orders() == {"M-00101", "M-00102", "M-00103", "H-00201"}
    said = text(client.get(f"{PAGE}{the_upload().id}/"))
    assert "The refresh with these files failed. The last good data stays." in said and "Refresh with these" in said
    assert "CC-0001" not in said and "secret" not in said
    monkeypatch.undo()
    monkeypatch.setattr(refresh, "threading", SimpleNamespace(Thread=Never))
    assert settled(client).state == "published"


def broken(*_):
    raise RuntimeError("a secret of CC-0001")


@pytest.mark.sqlite_suffices
def test_nothing_new_is_said(as_, published, folder):
    client = as_("layla")
    answer = drop(client, {p.name: p.read_bytes() for p in folder.glob("*.csv")})
    assert "These files hold what is published already." in text(answer)
    assert settled(client).state == "nothing_new"
    assert "Nothing new" in text(client.get(f"{PAGE}{the_upload().id}/"))


@pytest.mark.sqlite_suffices
def test_progress_is_told(as_, people, live, monkeypatch):
    client = as_("layla")
    monkeypatch.setattr(uploads, "threading", SimpleNamespace(Thread=Never))
    answer = drop(client, {NEWER: changed_orders()})
    address = f"{PAGE}{the_upload().id}/progress/"
    assert f'data-refresh-progress="{address}"' in answer.content.decode()
    assert client.get(address).json() == {
        "state": "checking", "words": "Looking at the files", "progress": 0, "under_way": True}  # fmt: skip
    assert "still being checked" in text(client.post(f"{PAGE}{the_upload().id}/publish/", follow=True))
    examine.examine(the_upload())
    assert client.get(address).json() == {"state": "done", "words": "", "progress": 100, "under_way": False}
    client.post(f"{PAGE}{the_upload().id}/publish/", ticks())
    run = RefreshRun.objects.latest("pk")
    assert client.get(address).json()["words"] == "Waiting for its turn"
    services.run_open(trigger="button", queued=run)
    services.run_progress(run, step="marts", progress=44)
    assert client.get(address).json() == {
        "state": "running",
        "words": "Refreshing: writing the warehouse",
        "progress": 44,
        "under_way": True,
    }


@pytest.mark.sqlite_suffices
def test_a_check_that_died_can_be_made_again(as_, live, monkeypatch):
    client = as_("layla")
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "threading", SimpleNamespace(Thread=Never))
        drop(client, {NEWER: changed_orders()})
    upload = the_upload()
    upload.write("check", upload.read("check") | {"at": (timezone.now() - timedelta(seconds=91)).isoformat()})
    assert "The check broke off" in text(client.get(f"{PAGE}{upload.id}/"))
    client.post(f"{PAGE}{upload.id}/check/")
    assert report()["rows"]["orders"]["new"] == 1


@pytest.mark.sqlite_suffices
def test_a_reader_that_panics_is_an_error_not_an_end(as_, live, monkeypatch):
    class Panic(BaseException):
        """As Polars' own: no Exception."""

    def panic(*_):
        raise Panic("rows of Dana Haddad")

    monkeypatch.setattr(examine, "_read_all", panic)
    said = text(drop(as_("layla"), {NEWER: changed_orders()}))
    assert "The files could not be checked (Panic)" in said and "Dana Haddad" not in said


# --- Discarding ----------------------------------------------------------------------------------------------------


@pytest.mark.sqlite_suffices
def test_discard(as_, published):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    upload = the_upload()
    answer = client.post(f"{PAGE}{upload.id}/discard/", follow=True)
    assert "The files were discarded. Nothing was changed." in text(answer)
    assert list(inputs.root().iterdir()) == []
    page = f"{PAGE}{upload.id}/"
    for again in (client.get(page, follow=True), client.post(f"{page}discard/", follow=True)):
        assert again.redirect_chain == [(PAGE, 302)]
        assert "These files were discarded." in text(again), "back in the browser, or pressed twice"
    assert as_("omar").get(page).status_code in (403, 404), "of another's it is not said"
    assert refresh.refresh(trigger="command").state == "nothing_new"


@pytest.mark.sqlite_suffices
def test_not_while_a_refresh_reads_them(as_, live):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    client.post(f"{PAGE}{the_upload().id}/publish/", ticks())
    answer = client.post(f"{PAGE}{the_upload().id}/discard/", follow=True)
    assert "A refresh is under way with these files" in text(answer)
    refresh.run_queued(RefreshRun.objects.latest("pk").pk)
    assert "M-00104" in live_orders()


@pytest.mark.sqlite_suffices
def test_new_files_replace_the_persons_earlier_ones(as_, live):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    first = the_upload()
    assert "are still here" in text(client.get(PAGE))
    drop(client, {NEWER: orders()})
    assert the_upload().id != first.id
    drop(as_("farid"), {NEWER: orders()})
    assert len(inputs.every()) == 2, "another person's stay"


@pytest.mark.sqlite_suffices
def test_after_a_day_they_are_gone(as_, live):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    upload = the_upload()
    stray = inputs.root() / "opened-and-forgotten"
    stray.mkdir()
    left_open = inputs.root() / f"{inputs.OPENED}x"
    left_open.mkdir()
    for folder in (stray, left_open):
        os.utime(folder, (0, 0))
    inputs.sweep()
    assert [u.id for u in inputs.every()] == [upload.id]
    assert sorted(p.name for p in inputs.root().iterdir()) == [upload.id]
    about = upload.about | {"created": (timezone.now() - timedelta(hours=24, seconds=1)).isoformat()}
    upload.write("about", about)
    refresh.refresh(trigger="schedule")
    assert list(inputs.root().iterdir()) == []


@pytest.mark.sqlite_suffices
def test_a_refresh_of_files_that_are_gone_says_so(as_, live):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    client.post(f"{PAGE}{the_upload().id}/publish/", ticks())
    inputs.drop(the_upload())
    run = refresh.run_queued(RefreshRun.objects.latest("pk").pk)
    assert (run.state, run.error) == (
        "refused", "The uploaded files are gone (they are kept for a day): upload them again.")  # fmt: skip


# --- What is refused -----------------------------------------------------------------------------------------------


def in_workbook(extra: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame({"Order ID": ["1"], "Customer ID": ["1"]}).write_excel(out)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as book:
        for name, content in extra.items():
            book.writestr(name, content)
    return out.getvalue()


HALF = orders()[:-30]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("orders.csv.gz", gzip.compress(orders()), "orders.csv.gz is packed (gzip)"),
        ("orders.csv", gzip.compress(b"x" * 5_000_000), "orders.csv is packed (gzip)"),
        ("orders.xlsx", in_workbook({"xl/worksheets/sheet7.xml": b"0" * 12_000_000}), "unpacks to more than 10 MB"),
        ("orders.xlsx", in_workbook({"xl/worksheets/sheet7.xml": b'<c r="D9"><f>A1</f></c>'}), "row 9, column D"),
        ("orders.xlsx", b"PK\x03\x04 no more", "orders.xlsx is not whole"),
        ("orders.pdf", b"%PDF-1.4 ...", "orders.pdf is no export"),
        ("CC-Orders.csv", b"<html>Sign in</html>", "CC-Orders.csv is a web page"),
        ("CC-Orders.csv", b"\n\n", "CC-Orders.csv is empty"),
        ("CC-Orders.csv", b"\0" * 10_000, "CC-Orders.csv is damaged, nothing but zeros are in it"),
        ("../../CC-Orders-2026-03-06.csv", HALF, "CC-Orders-2026-03-06.csv breaks off in the middle of row 5"),
        ("CC-Orders.json", b'[{"Order ID": "1", "Cust', "CC-Orders.json cannot be read"),
        ("CC-Customers.csv", orders(), "CC-Customers.csv holds Orders, not Customers"),
        ("CC-Orders.csv", orders().replace(b",Paid,", b",Was Paid,"), "CC-Orders.csv: the column Paid is missing"),
        ("CC-Orders.csv", ORDERS_HEAD.encode() + b"\n", "CC-Orders.csv has no rows"),
        ("names.csv", b"First,Last\na,b\n", "None of these files is an export"),
        ("Excel_Orders.csv", orders(), "Excel_Orders.csv was left out"),
    ],
)
@pytest.mark.sqlite_suffices
def test_a_file_that_is_no_good_is_refused_in_words(as_, settings, live, name, content, words):
    settings.UPLOAD_BYTES = 1 << 20
    client = as_("layla")
    answer = drop(client, {name: content})
    said = text(answer)
    assert words in said, said
    assert "The last good data stays." in said
    for upload in inputs.every():
        client.post(f"{PAGE}{upload.id}/publish/")
    assert not RefreshRun.objects.exists()
    assert refresh.warehouse().current() == live


@pytest.mark.sqlite_suffices
def test_files_that_cannot_be_used_are_not_offered_as_if_they_could(as_, live):
    client = as_("layla")
    drop(client, {"x.csv": b"First,Last\na,b\n"})
    assert "can't be used as they are: see why" in text(client.get(PAGE))
    drop(client, {NEWER: changed_orders()})
    assert "are still here: look at them" in text(client.get(PAGE))


@pytest.mark.sqlite_suffices
def test_one_bad_file_holds_up_all(as_, live):
    client = as_("layla")
    answer = drop(client, {NEWER: changed_orders(), "more.csv": gzip.compress(b"x")})
    assert "more.csv is packed" in text(answer) and "Refresh with these" not in text(answer)
    client.post(f"{PAGE}{the_upload().id}/publish/", ticks())
    assert not RefreshRun.objects.exists()


@pytest.mark.sqlite_suffices
def test_two_files_of_one_kind(as_, live):
    client = as_("layla")
    said = text(drop(client, {"a.csv": orders(), "b.csv": changed_orders()}))
    assert "a.csv and b.csv both hold Orders: drop only the one that is to count." in said
    said = text(drop(client, {NEWER: changed_orders(), "CC-Orders-2026-03-04.csv": orders()}))
    assert f"CC-Orders-2026-03-04.csv was left out: {NEWER} holds newer Orders." in said
    assert report()["rows"]["orders"]["new"] == 1
    drop(client, {"a.csv": orders(), "copy of a.csv": orders()})
    assert len(report()["files"]) == 1


@pytest.mark.sqlite_suffices
def test_too_much_is_refused(as_, settings, live):
    settings.UPLOAD_BYTES = 2000
    client = as_("layla")
    answer = drop(client, {"a.csv": orders(), "b.csv": b"x" * 5000})
    assert "b.csv: these files are larger than 0 MB together" in text(answer)
    assert [f["shown"] for f in the_upload().about["files"]] == ["a.csv"]
    answer = client.post(PAGE, {"files": SimpleUploadedFile("a.csv", b"x" * (2 << 20))})
    assert answer.status_code == 413
    settings.UPLOAD_BYTES = 1 << 20
    answer = drop(client, {f"{n}.csv": b"x" for n in range(13)})
    assert "Only 12 files are taken at once" in text(answer)


@pytest.mark.sqlite_suffices
def test_no_file_is_no_upload(as_, live):
    answer = as_("layla").post(PAGE, {})
    assert answer.status_code == 400 and "no file was sent" in text(answer)
    assert inputs.every() == []


# --- Whose it is ---------------------------------------------------------------------------------------------------


@pytest.mark.sqlite_suffices
def test_it_is_its_owners_alone(as_, live):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    upload = the_upload()
    for other in ("farid", "root"):
        client = as_(other)
        assert [client.get(f"{PAGE}{upload.id}/{page}").status_code for page in ("", "progress/")] == [404, 404]
        for action in ("publish", "discard", "check"):
            assert client.post(f"{PAGE}{upload.id}/{action}/").status_code == 404
        assert "still here" not in text(client.get(PAGE))
    assert upload.folder.is_dir() and not RefreshRun.objects.exists()


@pytest.mark.parametrize("name", ["omar", "sara", "dana", "noor", "hala"])
@pytest.mark.sqlite_suffices
def test_who_may_not_upload(as_, live, name):
    """hala is a manager, but kept to one store: exports are of the whole business."""
    client = as_(name)
    assert client.post(PAGE, {"files": SimpleUploadedFile(NEWER, orders())}).status_code == 403
    assert inputs.every() == []


@pytest.mark.sqlite_suffices
def test_a_form_of_another_site_is_refused_and_keeps_nothing(people, live):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["layla"])
    assert client.post(PAGE, {"files": SimpleUploadedFile(NEWER, orders())}).status_code == 403
    assert inputs.every() == []
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', client.get(PAGE).content.decode())[1]
    sent = {"files": SimpleUploadedFile(NEWER, orders()), "csrfmiddlewaretoken": token}
    assert client.post(PAGE, sent).status_code == 302


@pytest.mark.parametrize("wrong", ["..", "x", "A" * 22, "../../db.sqlite3", "A" * 21 + "/"])
@pytest.mark.sqlite_suffices
def test_an_id_is_never_a_path(as_, live, wrong):
    assert inputs.find(wrong) is None
    assert uploads.mine(wrong, as_("layla").get(PAGE).wsgi_request.user) is None


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("C:\\Users\\Layla\\orders.csv", "orders.csv"),
        ("../../etc/passwd", "passwd"),
        ("a\x00b\n\u202ecsv.exe", "abcsv.exe"),
        ("x" * 100 + ".csv", "x" * 60 + "…" + "x" * 15 + ".csv"),
        ("///", ""),
    ],
)
@pytest.mark.sqlite_suffices
def test_a_senders_name_is_only_for_sentences(sent, shown):
    assert uploads.shown_name(sent) == shown


@pytest.mark.sqlite_suffices
def test_only_this_account_reads_the_folder(as_, live):
    drop(as_("layla"), {"../../evil.csv": changed_orders()})
    upload = the_upload()
    assert [oct(folder.stat().st_mode)[-3:] for folder in (inputs.root(), upload.folder)] == ["700", "700"]
    assert sorted(p.name for p in upload.folder.iterdir()) == ["1.csv", "about.json", "check.json", "plan.json"]


# --- With a key ----------------------------------------------------------------------------------------------------


@pytest.fixture
def sealed(settings, folder, tmp_path, monkeypatch) -> RefreshRun:
    settings.WAREHOUSE_KEY = "a key of the tests"
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(inputs, "MEMORY", memory)
    run = refresh.refresh(trigger="command")
    assert run.state == "published", run.error
    return run


@pytest.mark.sqlite_suffices
def test_with_a_key_nothing_plain_stays(as_, sealed, settings):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    upload = the_upload()
    assert report()["rows"]["orders"]["new"] == 1
    assert all(p.name.endswith(landing.SEALED) for p in upload.folder.iterdir())
    everything = b"".join(p.read_bytes() for p in upload.folder.iterdir())
    assert b"Moon Walk" not in everything and b"Dana" not in everything
    assert list(inputs.MEMORY.iterdir()) == []
    assert settled(client).state == "published"
    assert "M-00104" in live_orders()
    assert refresh.refresh(trigger="schedule").state == "nothing_new"
    assert list(inputs.MEMORY.iterdir()) == []


@pytest.mark.full
def test_with_another_key_the_exports_folder_counts_again(as_, sealed, settings):
    client = as_("layla")
    drop(client, {NEWER: changed_orders()})
    settled(client)
    drop(client, {NEWER: orders()})
    settings.WAREHOUSE_KEY = "another key of the tests"
    assert inputs.every() == [], "what an old key sealed is nobody's any more"
    run = refresh.refresh(trigger="command", force=True)
    assert run.state == "published", run.error
    assert any("An uploaded file can't be taken again" in warning for warning in run.warnings)
    assert live_orders() == {"M-00101", "M-00102", "M-00103", "H-00201"}
