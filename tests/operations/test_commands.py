"""The commands as a person meets them: what they print, and their exit codes."""

import json
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from analytics.models import Target
from operations import refresh
from operations.models import RefreshRun
from tests.operations import exports

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]


@pytest.fixture
def folder(data_dir):
    return exports.write(data_dir / "exports")


def call(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of a command."""
    out, err = StringIO(), StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return end.code or 0, out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_refresh_data_tells_what_it_did(folder, capsys):
    code, _, _ = call("refresh_data")
    said = capsys.readouterr().out
    assert code == 0
    assert "CC-Orders-2026-03-05.csv" in said
    assert "Published: build" in said
    assert "exports of 2026-03-05" in said
    assert "4 added" in said


def test_json_is_the_manifest_and_nothing_else(folder, capsys):
    code, out, _ = call("refresh_data", "--json")
    manifest = json.loads(out)
    assert (code, manifest["result"], manifest["as_of"]) == (0, "published", "2026-03-05")
    assert set(manifest["files"]["orders"]) == {
        "file", "sha256", "read", "loaded", "excluded", "quarantined", "unreadable"}  # fmt: skip
    assert set(manifest["seconds"]) == set(refresh.SHARES)
    assert capsys.readouterr().out == ""
    code, out, _ = call("refresh_data", "--json")
    again = json.loads(out)
    assert (code, again["result"], again["build_id"]) == (0, "nothing_new", manifest["build_id"])
    assert again["files"] == manifest["files"]


def test_bad_input_is_exit_code_1(folder, capsys):
    call("refresh_data")
    (folder / "CC-Items-2026-03-05.csv").unlink()
    code, _, _ = call("refresh_data")
    said = capsys.readouterr().out
    assert code == 1
    assert "Refused: No export of Items" in said
    assert "The last good data stays live." in said
    code, out, _ = call("refresh_data", "--json")
    assert (code, json.loads(out)["result"]) == (1, "refused")
    assert "Items" in json.loads(out)["error"]


def test_a_dry_run_says_where_rows_were_rejected(folder, capsys):
    nameless = {n: f",1,36319,Moon Walk,2026-02-01,,2026-02-09,,,0,1,{n}.00,0,,,Ready" for n in range(104, 129)}
    exports.write(folder, orders=exports.ORDERS | nameless)
    assert call("refresh_data", "--dry-run")[0] == 0
    said = capsys.readouterr().out
    rows = ", ".join(map(str, range(6, 26)))
    assert f"CC-Orders-2026-03-05.csv: no order ID in rows {rows} and 5 more" in said


PHONE = "+971 50 123 4567"


@pytest.mark.parametrize("where", ["operations.sync._write", "etl.warehouse.Warehouse.publish"])
@pytest.mark.parametrize("command", [("refresh_data",), ("refresh_data", "--json"), ("demo",)], ids=" ".join)
def test_what_a_surprise_said_is_told_to_the_database_alone(folder, monkeypatch, capfd, caplog, where, command):
    """It may hold a customer's data, and cron mails what a command prints."""

    def surprise(*args):
        raise ValueError(f"cannot write {PHONE}")

    monkeypatch.setattr(where, surprise)
    monkeypatch.setattr("operations.management.commands.demo.call_command", lambda *a, **k: None)
    try:
        _, out, err = call(*command)
    except CommandError as error:
        out, err = str(error), ""
    captured = capfd.readouterr()
    said = out + err + captured.out + captured.err
    assert "ValueError" in said
    assert "see the run's page in the admin" in said
    assert PHONE not in said + caplog.text
    assert RefreshRun.objects.get().error == f"ValueError: cannot write {PHONE}"


def test_what_a_surprise_said_is_no_part_of_a_failed_rollback(folder, monkeypatch, caplog):
    call("refresh_data", "--json")
    exports.write(folder, day="2026-03-06")
    call("refresh_data", "--json")
    monkeypatch.setattr("operations.sync._sync_one", lambda *a: {}[PHONE])
    code, out, err = call("warehouse", "rollback")
    assert (code, "KeyError. What it said" in err) == (1, True)
    assert PHONE not in out + err + caplog.text


def test_sentences_of_our_own_are_told_whole(folder):
    for state in ("failed", "refused", "publishing"):
        for error in ("No worker took it up: is the Celery worker running?", "Stopped by hand.",
                      "The process ended at step marts without a word."):  # fmt: skip
            assert RefreshRun(state=state, error=error).error_for_output == error
    assert RefreshRun(state="refused", error="Orders: no column Total.").error_for_output == "Orders: no column Total."


def test_a_folder_that_is_not_there_is_wrong_usage(data_dir):
    code, _, err = call("refresh_data", "--exports", str(data_dir / "nowhere"))
    assert (code, "no folder" in err) == (2, True)
    assert not RefreshRun.objects.exists()
    with pytest.raises(CommandError):
        call("refresh_data", "--no-such-option")


def test_another_folder_may_be_named(tmp_path, data_dir):
    folder = exports.write(tmp_path / "elsewhere")
    code, out, _ = call("refresh_data", "--exports", str(folder), "--dry-run", "--json")
    assert (code, json.loads(out)["result"]) == (0, "checked")


def test_a_running_refresh_is_exit_code_1(folder):
    with refresh.Lock():
        code, out, _ = call("refresh_data", "--json")
    assert (code, "already running" in json.loads(out)["error"]) == (1, True)


def test_warehouse_lists_rolls_back_and_prunes(folder, capsys):
    assert "There is no build yet" in call("warehouse", "list")[1]
    call("refresh_data", "--json")
    exports.write(folder, day="2026-03-06")
    call("refresh_data", "--json")
    newest, oldest = refresh.warehouse().builds()
    call("warehouse", "list")
    lines = capsys.readouterr().out.splitlines()
    assert newest.build_id in lines[1]
    assert "live" in lines[1]
    assert oldest.build_id in lines[2]
    assert "live" not in lines[2]
    code, out, _ = call("warehouse", "rollback")
    assert (code, oldest.build_id in out) == (0, True)
    code, _, err = call("warehouse", "rollback")
    assert (code, "no earlier" in err) == (1, True)
    code, out, _ = call("warehouse", "prune")
    assert (code, out.strip()) == (0, "Removed 0 builds.")


# --- The demo ------------------------------------------------------------------------------------------------------


def test_the_demo_makes_everything_once(data_dir, monkeypatch, capsys, django_user_model):
    monkeypatch.setattr("operations.management.commands.demo.call_command", _small_demo(data_dir))
    _, first, _ = call("demo")
    users = dict(django_user_model.objects.values_list("username", "is_staff"))
    assert users == {
        "admin": True,
        "manager": False,
        "sales": False,
        "operations": False,
        "finance": False,
        "desk": False,
    }
    password = next(line.split()[1] for line in first.splitlines() if line.split()[:1] == ["desk"])
    assert django_user_model.objects.get(username="desk").check_password(password)
    assert refresh.warehouse().current()
    _, second, _ = call("demo")
    assert "The users are there already" in second
    assert "Inventing" not in second
    assert django_user_model.objects.get(username="desk").check_password(password)


def test_the_demo_leaves_somebodys_own_exports_alone(folder, monkeypatch):
    monkeypatch.setattr("operations.management.commands.demo.call_command", lambda *a, **k: None)
    before = sorted(folder.iterdir())
    _, said, _ = call("demo")
    assert f"Using the exports in {folder}" in said
    assert sorted(folder.iterdir()) == before


def test_the_demo_is_not_loaded_over_somebodys_own_data(folder, monkeypatch, tmp_path):
    own = exports.write(tmp_path / "own")
    call("refresh_data", "--exports", str(own))
    live = refresh.warehouse().current()
    monkeypatch.setattr("operations.management.commands.demo.call_command", lambda *a, **k: None)
    _, said, _ = call("demo")
    assert f"Your own data, from {own}, is live and stays" in said
    assert refresh.warehouse().current() == live


def test_the_demos_password_may_be_given(folder, monkeypatch, django_user_model):
    monkeypatch.setattr("operations.management.commands.demo.call_command", lambda *a, **k: None)
    monkeypatch.setenv("MOONWALK_DEMO_PASSWORD", "a-password-of-our-own")
    _, said, _ = call("demo")
    assert "a-password-of-our-own" not in said
    assert django_user_model.objects.get(username="sales").check_password("a-password-of-our-own")


def _small_demo(data_dir):
    """Instead of migrating and inventing a whole laundry: three customers."""

    def command(name, **options):
        if name == "make_sample_exports":
            exports.write(data_dir / "exports")

    return command


def test_targets_from_a_file_all_or_none(db, tmp_path):
    file = tmp_path / "targets.csv"
    file.write_text("metric;month;store;target\nrevenue;Feb-26;;25,000\ndigital_share;2026-02;Hielo;70%\n")
    out = StringIO()
    call_command("targets", file, dry_run=True, stdout=out)
    assert not Target.objects.exists()
    call_command("targets", file, stdout=out)
    assert out.getvalue() == "Would write: 2 new.\nWritten: 2 new.\n"
    assert {t.value for t in Target.objects.all()} == {Decimal(25000), Decimal("0.7")}
    file.write_text("metric,month,store,target\nrevenue,2026-03,,1\nrevenu,2026-03,,1\n")
    with pytest.raises(CommandError, match="Nothing was written.\nRow 3, metric: There is no metric “revenu”"):
        call_command("targets", file)
    with pytest.raises(CommandError, match="can't be read"):
        call_command("targets", tmp_path / "nothing.csv")
    assert Target.objects.count() == 2


def test_board_report_writes_the_last_closed_month_or_the_period_named(golden_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("board_report") == (0, "board-report-2026-02.pdf: the board report of February 2026.\n", "")
    assert (tmp_path / "board-report-2026-02.pdf").read_bytes().startswith(b"%PDF")
    week = tmp_path / "week.pdf"
    code, out, _ = call("board_report", "--period", "2026-W07", "--out", str(week))
    assert (code, out) == (0, f"{week}: the board report of Week 7, 2026 (9 Feb to 15 Feb).\n")
    assert week.stat().st_size > 10_000
    (tmp_path / "board").mkdir()
    assert call("board_report", "--out", "board")[1].startswith("board/board-report-2026-02.pdf: ")
    said = "board/board-report-2026-02-hielo.pdf: the board report of February 2026, Hielo alone.\n"
    assert call("board_report", "--store", "Hielo", "--out", "board") == (0, said, "")


@pytest.mark.parametrize(
    ("period", "words"),
    [
        ("2026-03", "2026-03 isn't over in this data, and a board report is made of closed months: 2024-01 to "
         "2026-02."),
        ("2026-13", "2026-13 is no month: write it like 2026-02."),
        ("2026-W60", "2026-W60 is no week: write it like 2026-W07."),
        ("March", "'March' is no month and no week: write it like 2026-02 or 2026-W07."),
    ],
)  # fmt: skip
def test_board_report_of_what_isnt_over_is_refused_with_exit_code_2(golden_data, tmp_path, monkeypatch, period, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError) as error:
        call_command("board_report", "--period", period)
    assert (str(error.value), error.value.returncode) == (words, 2)
    assert list(tmp_path.iterdir()) == []


def test_board_report_of_a_store_that_isnt_there_is_refused_with_exit_code_2(golden_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match="There is no store 'Dubai' in this data") as error:
        call_command("board_report", "--store", "Dubai")
    assert error.value.returncode == 2 and list(tmp_path.iterdir()) == []


def test_board_report_without_data_or_a_place_says_so(data_dir, golden_build, settings):
    with pytest.raises(CommandError, match="There is no data yet"):
        call_command("board_report")
    settings.WAREHOUSE_DIR = golden_build / "warehouse"
    with pytest.raises(CommandError, match="can't be written: No such file or directory"):
        call_command("board_report", "--out", str(data_dir / "nowhere" / "report.pdf"))
