"""Targets in the administration: the form, the list, and files that are checked as a whole before a row is written."""

import csv
import io
import re
from datetime import date
from decimal import Decimal
from html import unescape

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from analytics import target_files
from analytics.metrics import METRICS
from analytics.models import Target
from analytics.target_files import Wrong, check, read_metric, read_month, read_store, read_value, written
from analytics.targets import offered, target_delete, target_save, targets_save

pytestmark = pytest.mark.django_db


def url(page: str = "changelist", *args) -> str:
    return reverse(f"admin:analytics_target_{page}", args=args)


def there() -> set[tuple]:
    return {(t.metric, t.month, t.store, t.value) for t in Target.objects.all()}


def csv_of(*lines: str, encoding: str = "utf-8") -> bytes:
    return "\n".join(("metric,month,store,target", *lines)).encode(encoding)


def faults(data: bytes) -> list[str]:
    found = check(data)
    assert found.faults and not found.rows
    return [str(fault) for fault in found.faults]


# --- What people type -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "unit", "value"), [
    ("25000", "money", "25000"), ("1,234.50", "money", "1234.50"), ("Dhs 1,234", "money", "1234"),
    ("AED 1,234.5", "money", "1234.5"), ("1,234 Dhs", "money", "1234"), ("Dhs. 12", "money", "12"),
    ("95", "share", "0.95"), ("95 %", "share", "0.95"), ("95%", "share", "0.95"), ("14.75", "share", "0.1475"),
    ("0.5 %", "share", "0.005"), ("120", "share", "1.2"), ("2.5", "days", "2.5"), ("2 days", "days", "2"),
    ("1,234", "count", "1234"), ("12.25", "ratio", "12.25"), ("1\N{NO-BREAK SPACE}", "count", "1"),
])  # fmt: skip
def test_amounts_as_people_write_them(text, unit, value):
    assert read_value(text, unit) == Decimal(value)
    assert read_value(written(Decimal(value), unit), unit) == Decimal(value)


@pytest.mark.parametrize(("text", "unit", "why"), [
    ("", "money", "Write what"), ("lots", "money", "is no number"), ("1,5", "money", "is no number"),
    ("1.234,50", "money", "is no number"), ("12,34", "count", "is no number"), ("1e9", "money", "is no number"),
    ("NaN", "money", "is no number"), ("-5", "money", "above 0"), ("0", "money", "above 0"),
    ("0 %", "share", "above 0"),
    ("0.95", "share", "write shares in %"), ("1", "share", "write shares in %"), ("14.755", "share", "decimals"),
    ("1.23456", "days", "decimals"), ("99999999999", "money", "too much"), ("1" * 40, "count", "too much"),
    ("1" * 40, "share", "too much"), ("5 %", "money", "is no number"),
    ("=1+1", "money", "is no number"),
])  # fmt: skip
def test_amounts_that_cannot_be_taken_say_what_to_do(text, unit, why):
    with pytest.raises(Wrong, match=why):
        read_value(text, unit)


@pytest.mark.parametrize(
    "text", ["2026-02", "2026/2", "Feb-26", "Feb 2026", "february 2026", "2026-02-01", " 2026.02 "]
)
def test_months_as_spreadsheets_make_them(text):
    assert read_month(text) == "2026-02"


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "02/2026", "2026-02-14", "01/02/2026", "Febuary", "1926-02"])
def test_what_is_no_month(text):
    with pytest.raises(Wrong, match="like 2026-02"):
        read_month(text)


def test_metrics_and_stores_by_any_of_their_names():
    assert [read_metric(text) for text in ("revenue", "Revenue", " m1 retention of customers ")] == [
        "revenue", "revenue", "m1_customer_retention"]  # fmt: skip
    assert [read_store(text, "revenue") for text in ("Hielo", "hielo", "moon-walk", "", "All stores")] == [
        "Hielo", "Hielo", "Moon Walk", "", ""]  # fmt: skip
    with pytest.raises(Wrong, match="did you mean revenue"):
        read_metric("revenu")
    with pytest.raises(Wrong, match="stands on no card"):
        read_metric("legacy_rows")
    with pytest.raises(Wrong, match="write one of Moon Walk, Hielo"):
        read_store("Dubai", "revenue")
    with pytest.raises(Wrong, match="leave the store empty"):
        read_store("Hielo", "m0_customers")
    labels = [METRICS[name].label.casefold() for name in offered()]
    assert len(set(labels)) == len(labels), "two metrics under one label could not be told apart"


# --- Files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [
    csv_of("revenue,2026-02,,25000", "Digital share,Feb-26,hielo,70%"),
    csv_of('revenue,2026-02,,"25,000.00"', "digital_share,2026-02,Hielo,70", encoding="utf-8-sig"),
    csv_of('revenue,2026-02,,"Dhs 25,000"', "digital_share,2026-02,Hielo,70 %", encoding="utf-16"),
    csv_of("revenue;2026-02;;25,000", "digital_share;2026-02;Hielo;70%").replace(b"metric,month,store,target",
                                                                                   b"Metric; Month; Store; Target"),
    b"sep=;\r\ntarget;metric;month;store\r\n25000;revenue;2026-02;\r\n;;;\r\n70;digital_share;2026-02;Hielo\r\n",
    csv_of("revenue\t2026-02\t\t25000", "digital_share\t2026-02\tHielo\t70").replace(b"metric,month,store,target",
                                                                                      b"metric\tmonth\tstore\ttarget"),
    csv_of("revenue,2026-02,,25000,,", "digital_share,2026-02,Hielo,70,,"),
])  # fmt: skip
def test_files_of_every_kind_of_spreadsheet(data):
    found = check(data)
    assert found.faults == ()
    targets_save(found.rows, user=None)
    assert there() == {
        ("revenue", "2026-02", "", Decimal(25000)), ("digital_share", "2026-02", "Hielo", Decimal("0.7"))
    }  # fmt: skip


def test_what_is_new_changed_and_as_it_was():
    Target.objects.create(metric="revenue", month="2026-02", value=25000)
    Target.objects.create(metric="revenue", month="2026-03", value=25000)
    Target.objects.create(metric="items", month="2026-03", value=1)
    found = check(csv_of("revenue,2026-02,,25000", "revenue,2026-03,,26000", "revenue,2026-02,Hielo,5000",
                         "customers,2026-02,,", ""))  # fmt: skip
    assert found.summary == "1 new, 1 changed, 1 as they were, 1 row without a target left out"
    targets_save(found.rows, user=None)
    assert there() == {
        ("revenue", "2026-02", "", Decimal(25000)), ("revenue", "2026-03", "", Decimal(26000)),
        ("revenue", "2026-02", "Hielo", Decimal(5000)), ("items", "2026-03", "", Decimal(1)),
    }  # fmt: skip


def test_a_store_column_may_be_missing():
    assert [row.store for row in check(b"metric,month,target\nrevenue,2026-02,25000\n").rows] == [""]


def test_every_fault_is_named_by_row_and_column():
    assert faults(csv_of(
        "revenu,2026-02,,25000", "revenue,Febuary,,25000", "revenue,2026-02,Dubai,-5", "revenue,2026-02,,25000",
        "Revenue,Feb-26,all,26000", "revenue,2026-04,,1,500", "m0_customers,2026-02,Hielo,50",
    )) == [
        "Row 2, metric: There is no metric “revenu”: did you mean revenue?",
        "Row 3, month: “Febuary” is no month: write it like 2026-02.",
        "Row 4, store: There is no store “Dubai”: write one of Moon Walk, Hielo, or nothing for the whole business.",
        "Row 4, target: A target is above 0.",
        "Row 6: It is the same metric, month and store as row 5: keep one.",
        "Row 7: It has more cells than the first line: write 1234 for 1,234.",
        "Row 8, store: M0 customers is a figure of the whole business: leave the store empty.",
    ]  # fmt: skip


@pytest.mark.parametrize(("data", "why"), [
    (b"", "The file is empty."),
    (b"\x00" * 100, "The file is empty."),
    (bytes(range(1, 256)), "The file can't be read as CSV: save it again as CSV UTF-8."),
    (b"metric,month,store\nrevenue,2026-02,\n", "Row 1, target: The column is missing"),
    (b"metric,month,stor,target\nrevenue,2026-02,Hielo,5\n", "Row 1, stor: There is no such column"),
    (b"metric,month,store,target,target\nrevenue,2026-02,,5,6\n", "Row 1, target: The column is there twice"),
    (b"PK\x03\x04 a workbook", "This is a workbook"),
    (b'metric,month,store,target\n"revenue,2026-02,,5\n', "can't be read as CSV"),
    (b"\x00\x01\x02\x03" * 50, "The file can't be read as CSV: save it again as CSV UTF-8."),
    (b"x" * (target_files.MOST_BYTES + 1), "too big"),
    (csv_of(*["revenue,2026-02,,5"] * (target_files.MOST_ROWS + 1)), "more than 5,000 rows"),
])  # fmt: skip
def test_what_is_no_list_of_targets(data, why):
    assert any(why in said for said in faults(data)), faults(data)


def test_a_download_comes_back_as_it_was():
    for i, name in enumerate(offered()):
        value = Decimal("0.005") if METRICS[name].unit == "share" else Decimal("1234.5") + i
        Target.objects.create(metric=name, month="2026-02", store="" if METRICS[name].whole else "Hielo", value=value)
    found = check(target_files.as_csv(Target.objects.all()))
    assert (found.faults, found.summary) == ((), f"{len(offered())} as they were")


def test_what_a_spreadsheet_would_run_is_only_text():
    Target.objects.create(metric="revenue", month="2026-02", store="=1+1", value=5)
    assert "'=1+1" in target_files.as_csv(Target.objects.all()).decode()
    assert "There is no store “=1+1”" in faults(target_files.as_csv(Target.objects.all()))[0]


def test_the_template_is_read_as_nothing_to_write():
    found = check(target_files.template("2026-04"))
    assert (found.rows, found.left_out) == ((), len(offered()))


def test_a_file_is_written_whole_or_not_at_all(monkeypatch):
    found = check(csv_of("revenue,2026-02,,25000", "items,2026-02,,3000"))
    real = Target.save
    monkeypatch.setattr(Target, "save", lambda self, **how: 1 / 0 if self.metric == "items" else real(self, **how))
    with pytest.raises(ZeroDivisionError):
        targets_save(found.rows, user=None)
    assert there() == set()


# --- In the administration --------------------------------------------------------------------------------------------


def filled(**more) -> dict:
    return {"metric": "digital_share", "month": "2026-02", "store": "", "value": "70"} | more


def test_a_target_by_hand_in_its_unit(as_):
    client = as_("layla")
    assert client.post(url("add"), filled()).status_code == 302
    assert there() == {("digital_share", "2026-02", "", Decimal("0.7"))}
    target = Target.objects.get()
    page = client.get(url("change", target.pk)).content.decode()
    assert re.search(r'<input type="month"[^>]*value="2026-02"', page)
    assert re.search(r'name="value"[^>]*value="70"|value="70"[^>]*name="value"', page)
    client.post(url("change", target.pk), filled(metric="revenue", value="Dhs 25,000", store="Hielo"))
    assert there() == {("revenue", "2026-02", "Hielo", Decimal(25000))}


@pytest.mark.parametrize(("more", "why"), [
    ({"value": "0.7"}, "write shares in %"), ({"value": ""}, "required"), ({"month": "soon"}, "is no month"),
    ({"metric": ""}, "required"), ({"metric": "legacy_rows"}, "Select a valid choice"),
    ({"store": "Dubai"}, "Select a valid choice"),
    ({"metric": "m0_customers", "store": "Hielo", "value": "5"}, "leave the store empty"),
    ({"metric": "revenue", "value": "5"}, "There is a target of this figure, month and store already"),
])  # fmt: skip
def test_what_cannot_be_a_target(as_, more, why):
    Target.objects.create(metric="revenue", month="2026-02", value=25000)
    answer = as_("layla").post(url("add"), filled(**more))
    assert answer.status_code == 200
    assert why in unescape(answer.content.decode())
    assert Target.objects.count() == 1


def test_a_target_of_a_store_that_closed_can_still_be_changed(as_):
    target = Target.objects.create(metric="revenue", month="2026-02", store="Old Store", value=25000)
    page = as_("layla").get(url("change", target.pk)).content.decode()
    assert "Old Store" in page


def test_the_list_and_its_files(as_):
    Target.objects.create(metric="digital_share", month="2026-02", store="Hielo", value=Decimal("0.7"))
    Target.objects.create(metric="revenue", month="2026-03", value=25000)
    Target.objects.create(metric="gone", month="2026-01", value=5)
    client = as_("layla")
    html = client.get(url()).content.decode()
    assert [words for words in ("Digital share", "Feb 2026", "70.0 %", "Dhs 25,000", "the whole business", "gone")
            if words not in html] == []  # fmt: skip
    shown = client.get(url(), {"metric": "digital_share"}).context["cl"].result_list
    assert [target.metric for target in shown] == ["digital_share"]
    rows = list(csv.reader(io.StringIO(client.get(url("export", "csv")).content.decode("utf-8-sig"))))
    assert rows[1:3] == [["Revenue", "2026-03", "", "Dhs 25,000", "revenue"],
                         ["Digital share", "2026-02", "Hielo", "70.0 %", "digital_share"]]  # fmt: skip
    plain = client.get(url("csv"))
    assert plain["Content-Disposition"] == 'attachment; filename="moonwalk-targets.csv"'
    assert plain.content.decode("utf-8-sig").splitlines() == [
        "metric,month,store,target", "revenue,2026-03,,25000", "digital_share,2026-02,Hielo,70"]  # fmt: skip
    template = client.get(url("template")).content.decode("utf-8-sig")
    assert template.startswith("metric,month,store,target\r\ncustomers,20")


def test_an_upload_is_shown_then_written(as_):
    Target.objects.create(metric="revenue", month="2026-02", value=20000)
    client = as_("layla")
    file = SimpleUploadedFile("t.csv", csv_of('revenue,2026-02,,"25,000"', "items,2026-02,,3000", encoding="utf-8-sig"))
    page = unescape(client.post(url("upload"), {"file": file}).content.decode())
    assert "1 new, 1 changed" in page and "Dhs 25,000" in page and "Dhs 20,000" in page
    assert there() == {("revenue", "2026-02", "", Decimal(20000))}
    text = re.search(r'name="text" value="(.*?)">', page, re.S)[1]
    answer = client.post(url("upload"), {"text": text}, follow=True)
    assert "Targets written: 1 new, 1 changed." in answer.content.decode()
    assert there() == {("revenue", "2026-02", "", Decimal(25000)), ("items", "2026-02", "", Decimal(3000))}


def test_an_upload_with_a_fault_writes_nothing(as_):
    client = as_("layla")
    bad = csv_of("revenue,2026-02,,25000", "items,2026-02,,=1+1")
    for sent in ({"file": SimpleUploadedFile("t.csv", bad)}, {"text": bad.decode()}):
        page = unescape(client.post(url("upload"), sent).content.decode())
        assert "Nothing was written" in page and "Row 3, target: “=1+1” is no number" in page
        assert "Write these targets" not in page
    assert there() == set()
    assert "Choose a file" in client.post(url("upload"), {}).content.decode()


def test_an_upload_that_changes_nothing_says_so(as_):
    Target.objects.create(metric="revenue", month="2026-02", value=25000)
    file = SimpleUploadedFile("t.csv", csv_of("revenue,2026-02,,25000"))
    page = as_("layla").post(url("upload"), {"file": file}).content.decode()
    assert "There is nothing to write" in page and "Write these targets" not in page


def test_what_a_file_says_is_shown_and_not_obeyed(as_):
    data = csv_of('"<script>alert(1)</script>",2026-02,,5')
    page = as_("layla").post(url("upload"), {"file": SimpleUploadedFile("t.csv", data)}).content.decode()
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page


def test_who_may_and_who_sees_what(as_, people):
    whole = Target.objects.create(metric="revenue", month="2026-02", value=25000)
    hielo = Target.objects.create(metric="revenue", month="2026-02", store="Hielo", value=5000)
    for name in ("dana", "farid", "omar"):
        client = as_(name)
        assert {client.get(url(page)).status_code for page in ("changelist", "add", "upload", "csv", "template")} <= {
            302, 403}, name  # fmt: skip
    client = as_("hala")  # kept to Hielo: looks, decides nothing
    html = client.get(url()).content.decode()
    assert "Dhs 5,000" in html and "Dhs 25,000" not in html and "Upload" not in html.split("mw-top")[-1]
    assert "25000" not in client.get(url("csv")).content.decode() + client.get(url("export", "csv")).content.decode()
    assert client.get(url("change", whole.pk)).status_code == 302
    assert client.post(url("change", hielo.pk), filled()).status_code == 403
    assert client.post(url("upload"), {"text": csv_of("revenue,2026-02,,1").decode()}).status_code == 403
    assert client.post(url("add"), filled()).status_code == 403
    assert Target.objects.get(pk=hielo.pk).value == 5000 and Target.objects.count() == 2


@pytest.mark.parametrize(("name", "may"), [("layla", True), ("hala", False), ("dana", False)])
def test_whoever_calls_the_services_needs_the_right_too(people, name, may):
    there_is = Target.objects.create(metric="items", month="2026-02", value=5)
    rows = check(csv_of("revenue,2026-02,,25000")).rows
    for write in (
        lambda: targets_save(rows, user=people[name]),
        lambda: target_save(Target(metric="stops", month="2026-02", value=5), user=people[name]),
        lambda: target_delete(there_is, user=people[name]),
    ):
        if may:
            write()
        else:
            with pytest.raises(PermissionDenied):
                write()
    assert {t.metric for t in Target.objects.all()} == ({"revenue", "stops"} if may else {"items"})


def test_the_list_asks_the_same_for_many_targets(as_, django_assert_max_num_queries):
    client = as_("layla")
    for i in range(40):
        Target.objects.create(metric=offered()[i], month="2026-02", value=5)
    with django_assert_max_num_queries(25):
        assert client.get(url()).status_code == 200


def test_a_new_form_begins_with_this_month(as_):
    page = as_("layla").get(url("add")).content.decode()
    assert f'value="{date.today():%Y-%m}"' in page
