"""Pushing into Notion, over HTTP into a Notion of our own: what arrives, and what is never there twice.

Time is the tests' own for both sides: nobody sleeps, and the limit of 3 requests a second is still enforced.
"""

import json
from contextlib import closing
from datetime import timedelta
from io import StringIO

import httpx
import pytest
from django.core.management import call_command
from django.utils import timezone

from analytics import queries
from operations import deliveries, notion, notion_api, notion_upkeep
from operations.models import Delivery, NotionObject, RefreshRun
from operations.notion_upkeep import CHANGED, LEFT, MADE, RESTORED, Block, Piece, Row, Slot, Upkeep
from operations.tasks import deliver_task
from operations.transports import Hopeless, TryAgain
from tests import fake_notion
from tests.conftest import GOLDEN, wait_for
from tests.fake_notion import DONE_500, HALF_AN_ANSWER, LOSE_ANSWER, LOSE_REQUEST, FakeNotion
from tests.operations import exports
from tests.operations.house import House

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
MONTHS = ["2025-09", "2025-10", "2025-11", "2025-12", "2026-01", "2026-02"]
WEEKS = ["2025-W49", "2025-W50", "2025-W51", "2025-W52", "2026-W01", "2026-W02", "2026-W03", "2026-W04", "2026-W05",
         "2026-W06", "2026-W07", "2026-W08", "2026-W09"]  # fmt: skip
KPIS = ["customers", "items", "revenue", "stops"]
ROWS = [f"{kpi} {period}" for period in (*MONTHS, *WEEKS) for kpi in KPIS]  # 76
BLOCKS = 2 + (2 + 20) + (2 + 8)  # the golden build has all 20 monthly and all 8 weekly insights
SOME = [f"{kpi} 2026-02" for kpi in KPIS]


class Clock:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(notion_api, "time", made)
    monkeypatch.setattr(notion, "time", made)
    return made


@pytest.fixture
def workspace(settings, clock):
    """A Notion, and settings that name it; each test looks at `workspace.rows()`, `.blocks()`, `.lifetime`."""
    settings.SITE_URL = "https://moonwalk.example"
    with FakeNotion(clock=clock.monotonic) as server:
        settings.NOTION_URL, settings.NOTION_TOKEN, settings.NOTION_PAGE = server.url, server.token, fake_notion.PAGE
        yield server


@pytest.fixture
def few(monkeypatch):
    """Only the rows of February 2026, for tests that push very often."""
    every = notion.rows_of
    monkeypatch.setattr(notion, "rows_of", lambda build: [r for r in every(build) if r.key in SOME])


@pytest.fixture
def figures(golden_data, monkeypatch):
    """figures(**{"revenue 2026-02": 1.0}): from now on rows have these values."""
    every = notion.rows_of

    def change(values: dict) -> None:
        def rows(build):
            return [Row(r.key, r.values | {"Value": values.get(r.key, r.values["Value"])}) for r in every(build)]

        monkeypatch.setattr(notion, "rows_of", rows)

    return change


def actions(done: notion.Pushed) -> dict[str, int]:
    counts: dict[str, int] = {}
    for change in done.changes:
        counts[change.action] = counts.get(change.action, 0) + 1
    return counts


def row(workspace, key: str) -> dict:
    (found,) = [r for r in workspace.rows() if r["Key"] == key]
    return found


def first(workspace, kind: str, start: str) -> str:
    """The id of the block on the page that begins with these words."""
    found = [o["id"] for o in workspace.objects.values()
             if o.get("type") == kind and fake_notion.plain(o[kind]["rich_text"]).startswith(start)]  # fmt: skip
    return found[0]


def call(*arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("notion_push", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return end.code or 0, out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


# --- What arrives ----------------------------------------------------------------------------------------------------


def test_a_row_a_kpi_and_period_with_the_values_of_the_metrics(workspace, golden_data):
    notion.push()
    rows = {r["Key"]: r for r in workspace.rows()}
    assert list(rows) == ROWS
    for grain, periods in (("months", MONTHS), ("weeks", WEEKS)):
        for period in periods:
            for kpi in KPIS:
                assert rows[f"{kpi} {period}"]["Value"] == float(EXPECTED[grain][period][kpi])
    months = EXPECTED["months"]
    february = rows["revenue 2026-02"]
    assert february | {"id": ""} == {
        "id": "", "Name": "Revenue, Feb 2026", "Key": "revenue 2026-02", "Grain": "Month", "Metric": "Revenue",
        "Period": "February 2026", "Start": "2026-02-01", "Value": 25580.2, "Unit": "Dhs",
        "MoM / WoW": round(months["2026-02"]["revenue"] / months["2026-01"]["revenue"] - 1, 3),
        "YoY": round(months["2026-02"]["revenue"] / months["2025-02"]["revenue"] - 1, 3),
        "Link": "https://moonwalk.example/executive/?tab=snapshot&grain=month&period=2026-02&store=all",
    }  # fmt: skip
    assert (february["MoM / WoW"], february["YoY"]) == (0.015, -0.248)  # 25,580 against 25,200 and 34,017
    week = rows["items 2026-W09"]
    assert (week["Name"], week["Grain"], week["Start"]) == ("Items, Week 9, 2026", "Week", "2026-02-23")
    assert (week["Value"], week["Unit"], week["MoM / WoW"]) == (1043, "items", 0.503)  # 1,043 against 694
    assert week["YoY"] is None  # the old system kept no items


def test_the_page_says_headlines_and_insights_of_the_last_closed_periods(workspace, golden_data):
    notion.push()
    said = workspace.blocks()
    assert len(said) == BLOCKS + 1
    assert said[0] == ("heading_2", "Figures from Moonwalk")
    assert said[1][0] == "paragraph" and said[1][1].startswith("Data to 4 Mar 2026, refreshed ")
    assert said[2] == ("heading_3", "February 2026")
    assert said[3] == ("callout", "Customers 253 (−0.4 % on Jan 2026, −31.6 % on Feb 2025)\n"
                       "Items 3,103 (−6.5 % on Jan 2026)\n"
                       "Revenue Dhs 25,580 (+1.5 % on Jan 2026, −24.8 % on Feb 2025)\n"
                       "Stops 451 (−1.3 % on Jan 2026, +330 % on Feb 2025)")  # fmt: skip
    signs = [text[0] for kind, text in said[4:24]]
    assert signs == ["▼"] * 4 + ["▲"] * 6 + ["●"] * 10  # what needs attention first
    assert said[4][1] == "▼ Revenue 25 % below February 2025 (needs attention). Dhs 25,580 against Dhs 34,017."
    assert said[24] == ("heading_3", "Week 9, 2026 (23 Feb to 1 Mar)")
    assert said[25][0] == "callout" and len(said[26:34]) == 8
    assert said[34][0] == "child_database"
    stored = {r["headline"] for grain in ("month", "week") for r in queries.current().insights(grain)}
    assert len(stored) == 28 and all(any(headline in text for _, text in said) for headline in stored)


def test_no_customers_name_or_number_goes_out(workspace, golden_data):
    notion.push()
    with closing(queries.warehouse().connect()) as con:
        who = con.execute("SELECT name, phone, email, customer_id FROM customers").fetchall()
    private = {text.lower() for one in who for text in one if text and len(text) > 3}
    said = workspace.said().lower()
    assert len(private) > 1000
    assert not [text for text in private if f" {text} " in said or f'"{text}"' in said]


def test_what_is_new_is_appended_at_once_and_the_limit_is_kept(workspace, golden_data, clock):
    done = notion.push()
    assert actions(done) == {MADE: BLOCKS + 1 + 76}
    assert workspace.lifetime == BLOCKS + 1 + 76
    assert [len(body["children"]) for _, _, body in workspace.requests if "children" in body] == [BLOCKS]
    assert min(clock.slept) > 0 and clock.now - 1000 >= (len(workspace.requests) - 1) / 3 - 0.01
    assert not [s for s in clock.slept if s > 0.34]  # it was never told to wait


def test_a_second_push_writes_nothing(workspace, golden_data):
    notion.push()
    writes, before = len(workspace.writes), workspace.blocks()
    done = notion.push()
    assert (actions(done), len(workspace.writes), done.said()) == ({LEFT: BLOCKS + 76}, writes, "nothing to change")
    assert workspace.blocks() == before


def test_one_changed_figure_is_one_changed_row(workspace, figures):
    notion.push()
    lifetime, writes, there = workspace.lifetime, len(workspace.writes), row(workspace, "revenue 2026-02")
    figures({"revenue 2026-02": 25600.0})
    done = notion.push()
    assert [(c.name, c.action, c.detail) for c in done.changes if c.action != LEFT] == [
        ("revenue 2026-02", CHANGED, "Value 25580.2 → 25600.0")]  # fmt: skip
    assert row(workspace, "revenue 2026-02") == there | {"Value": 25600.0}
    (method, path, body) = workspace.writes[-1]
    assert (method, path, len(body["properties"])) == ("PATCH", f"/v1/pages/{there['id']}", 1)
    assert (workspace.lifetime, len(workspace.writes)) == (lifetime, writes + 1)


def test_rows_older_than_the_window_and_people_s_own_stay(workspace, golden_data, monkeypatch):
    every = notion.rows_of
    monkeypatch.setattr(notion, "rows_of", lambda b: [*every(b), Row("revenue 2019-01", {"Key": "revenue 2019-01"})])
    notion.push()
    monkeypatch.setattr(notion, "rows_of", every)
    mine = _person_adds_row(workspace, "Plan")
    note = workspace.add_block("paragraph", "What we decided on Monday")
    source = workspace.source()
    source["properties"]["Owner"] = {"id": "own", "name": "Owner", "type": "rich_text", "rich_text": {}}
    lifetime = workspace.lifetime
    assert notion.push().said() == "nothing to change"
    assert row(workspace, "revenue 2019-01")["Key"]
    assert [r["Name"] for r in workspace.rows() if r["id"] == mine] == ["Plan"]
    assert note in workspace.objects and workspace.lifetime == lifetime


def _person_adds_row(workspace, name: str, key: str = "") -> str:
    source = workspace.source()
    given = {"Name": {"title": fake_notion._text(name)}, "Key": {"rich_text": fake_notion._text(key)}}
    values = workspace._properties_of(source, given)
    page = workspace._new("page", str(fake_notion.uuid.uuid4()),
                          {"type": "data_source_id", "data_source_id": source["id"]}, fake_notion.PERSON,
                          properties=values)  # fmt: skip
    workspace.objects[page["id"]] = page
    return page["id"]


def test_rows_are_found_among_hundreds_page_by_page(workspace, golden_data):
    notion.push()
    for n in range(230):
        _person_adds_row(workspace, f"Row {n}")
    NotionObject.objects.all().delete()  # a restored backup: by their Key, then
    lifetime = workspace.lifetime
    asked = len(workspace.requests)
    assert notion.push().said() == "nothing to change"
    paged = [body for _, path, body in workspace.requests[asked:] if path.endswith("/query")]
    assert len(paged) == 4 and all("start_cursor" in body for body in paged[1:])  # 306 rows
    assert workspace.lifetime == lifetime
    asked = len(workspace.requests)
    assert notion.push().said() == "nothing to change"
    assert len(workspace.requests) - asked == 8


def test_years_of_older_rows_are_not_read_when_all_are_known(workspace, few, golden_data):
    notion.push()
    for n in range(230):
        old = _person_adds_row(workspace, f"Revenue of long ago {n}")
        workspace.objects[old]["created_time"] = f"2020-01-01T00:{n:03}"
    asked = len(workspace.requests)
    assert notion.push().said() == "nothing to change"
    assert [path for _, path, _ in workspace.requests[asked:]].count(workspace.requests[-1][1]) == 1


# --- Nothing twice ---------------------------------------------------------------------------------------------------


def _whole(workspace) -> None:
    assert [r["Key"] for r in workspace.rows()] == SOME
    assert len(workspace.blocks()) == BLOCKS + 1
    assert len(workspace.databases()) == 1
    assert workspace.lifetime == BLOCKS + 1 + len(SOME)


OFTEN = [LOSE_ANSWER, DONE_500]
SELDOM = [LOSE_REQUEST, HALF_AN_ANSWER, 500, 503, 409, (429, 2), 529]


@pytest.mark.parametrize("fault", OFTEN + [pytest.param(f, marks=pytest.mark.full) for f in SELDOM], ids=str)
def test_whatever_request_goes_wrong_nothing_is_there_twice(workspace, few, golden_data, fault):
    notion.push()
    for at in range(1, len(workspace.requests) + 1):
        _empty(workspace)
        workspace.faults = {at: fault}
        notion.push()
        assert not workspace.faults
        _whole(workspace)
        assert notion.push().said() == "nothing to change"
    assert at == 11  # page, blocks (a look first); database and source (a look first); a look for rows, 4 rows


@pytest.mark.parametrize("fault", [LOSE_ANSWER, pytest.param(LOSE_REQUEST, marks=pytest.mark.full)])
def test_a_push_that_dies_at_any_request_goes_on_at_the_next(workspace, few, golden_data, monkeypatch, fault):
    def die(self, failed, attempt, least):
        raise KeyboardInterrupt

    notion.push()
    requests = len(workspace.requests)
    for at in range(1, requests + 1):
        _empty(workspace)
        workspace.faults = {at: fault}
        with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
            dying.setattr(notion_api.Api, "_wait", die)
            notion.push()
        notion.push()
        _whole(workspace)


def test_lost_answers_of_changes_are_no_new_blocks(workspace, few, figures):
    notion.push()
    for at in range(1, 9):
        figures(dict.fromkeys(SOME, 1000.0 + at))
        workspace.faults = {at: LOSE_ANSWER, at + 2: DONE_500}
        assert actions(notion.push()) == {LEFT: BLOCKS, CHANGED: len(SOME)}
        assert {r["Value"] for r in workspace.rows()} == {1000.0 + at}
        _whole(workspace)


def _empty(workspace) -> None:
    """The workspace of the first day, and nothing remembered."""
    NotionObject.objects.all().delete()
    workspace.objects.clear()
    workspace.children.clear()
    workspace.requests.clear()
    workspace.lifetime, workspace.faults = 0, {}
    workspace.add_page(fake_notion.PAGE)


# --- What people do by hand ------------------------------------------------------------------------------------------


@pytest.fixture
def pushed(workspace, few, golden_data):
    """A workspace with a push in it."""
    notion.push()
    return workspace


def heal(workspace) -> dict[str, int]:
    """Push, look that all is whole, push again: nothing to change. What the first did, `unchanged` aside."""
    done = actions(notion.push())
    said = [text for kind, text in workspace.blocks() if kind != "child_database"]
    assert len(said) == BLOCKS and said[4].startswith("▼ Revenue 25 %")
    assert [r["Key"] for r in workspace.rows()] == SOME
    assert notion.push().said() == "nothing to change"
    done.pop(LEFT, None)
    return done


def test_a_block_in_the_trash_comes_back(pushed):
    pushed.throw_away(first(pushed, "paragraph", "▼ Revenue"))
    pushed.throw_away(first(pushed, "callout", "Customers"))
    assert heal(pushed) == {RESTORED: 2}
    _whole(pushed)


def test_a_block_gone_for_good_is_made_once_more_in_its_place(pushed):
    before = pushed.blocks()
    pushed.remove(first(pushed, "paragraph", "▼ Revenue"))
    pushed.remove(first(pushed, "paragraph", "▲ 26.1 %"))
    assert heal(pushed) == {MADE: 2}
    assert pushed.blocks() == before


@pytest.mark.parametrize("above", ["", "What this page is for"])
def test_the_first_of_our_blocks_gone_for_good_is_made_once_more_at_the_top(pushed, above):
    if above:
        note = pushed.add_block("paragraph", above)
        ids = pushed.children[pushed.objects[note]["parent"]["page_id"]]
        ids.insert(0, ids.pop())
    before = pushed.blocks()
    pushed.remove(first(pushed, "heading_2", "Figures"))
    pushed.remove(first(pushed, "paragraph", "Data to"))
    pushed.faults = {4: LOSE_ANSWER}
    assert notion.push().said() == "2 blocks new"
    assert pushed.blocks() == before
    assert notion.push().said() == "nothing to change"


def test_a_row_in_the_trash_comes_back_and_one_gone_for_good_is_made_once_more(pushed):
    pushed.throw_away(row(pushed, "revenue 2026-02")["id"])
    assert heal(pushed) == {RESTORED: 1}
    pushed.remove(row(pushed, "stops 2026-02")["id"])
    assert heal(pushed) == {MADE: 1}


def test_the_database_in_the_trash_comes_back_and_one_gone_for_good_is_made_once_more(pushed):
    (database,) = pushed.databases()
    pushed.throw_away(database["id"])
    assert heal(pushed) == {RESTORED: 1}
    pushed.remove(database["data_sources"][0]["id"])
    pushed.remove(database["id"])
    assert heal(pushed) == {MADE: 1 + len(SOME)}


def test_what_is_moved_into_a_column_is_kept_there(pushed):
    columns = pushed.add_block("column_list")
    column = pushed.add_block("column", parent=columns)
    moved = first(pushed, "paragraph", "▲ 26.1 %")
    pushed.move(moved, column)
    pushed.type_over(moved, "typed over")
    done = notion.push()
    assert [c.name for c in done.changes if c.action == CHANGED] == ["month insight 5"]
    assert pushed.blocks(column)[0][1].startswith("▲ 26.1 %")
    lifetime = pushed.lifetime
    NotionObject.objects.all().delete()  # a restored backup
    notion.push()
    assert pushed.lifetime <= lifetime + 1  # order alone tells what is what: here and there one may be made anew
    assert notion.push().said() == "nothing to change"


def test_our_part_as_a_whole_moved_into_a_column_is_found_there_without_any_memory(pushed):
    column = pushed.add_block("column", parent=pushed.add_block("column_list"))
    (database,) = pushed.databases()
    for block in list(pushed.children[database["parent"]["page_id"]])[: BLOCKS + 1]:
        pushed.move(block, column)
    lifetime = pushed.lifetime
    NotionObject.objects.all().delete()
    assert notion.push().said() == "nothing to change"
    pushed.remove(first(pushed, "paragraph", "▼ Revenue"))
    assert notion.push().said() == "1 block new"
    assert pushed.blocks(column)[4][1].startswith("▼ Revenue")
    assert pushed.lifetime == lifetime + 1


def test_a_block_typed_over_or_turned_into_another_kind_says_the_figures_again(pushed):
    block = first(pushed, "paragraph", "▼ Revenue")
    thing = pushed.objects[block]
    thing["type"], thing["quote"] = "quote", thing.pop("paragraph")
    pushed.type_over(block, "I think it is the weather")
    assert heal(pushed) == {CHANGED: 1}
    assert pushed.objects[block]["type"] == "quote"


def test_people_s_blocks_between_ours_are_never_taken_for_ours(pushed):
    note = pushed.add_block("paragraph", "A note of mine", after=first(pushed, "paragraph", "▼ Revenue"))
    last = pushed.add_block("paragraph", "", after=first(pushed, "paragraph", "● 63.9 %"))
    NotionObject.objects.all().delete()
    lifetime = pushed.lifetime
    assert notion.push().said() == "nothing to change"
    assert fake_notion.plain(pushed.objects[note]["paragraph"]["rich_text"]) == "A note of mine"
    assert pushed.objects[last]["paragraph"]["rich_text"] == []
    assert pushed.lifetime == lifetime


def test_fewer_insights_leave_empty_blocks_for_later_and_more_are_added(pushed, monkeypatch):
    every = queries.Snapshot.insights
    monkeypatch.setattr(queries.Snapshot, "insights", lambda self, grain: every(self, grain)[:5])
    done = notion.push()
    emptied = [c.name for c in done.changes if c.detail.startswith("emptied")]
    assert emptied == [f"month insight {n}" for n in range(6, 21)] + [f"week insight {n}" for n in range(6, 9)]
    assert pushed.blocks().count(("paragraph", "")) == 18
    _whole(pushed)
    NotionObject.objects.all().delete()
    assert notion.push().said() == "nothing to change"
    monkeypatch.setattr(queries.Snapshot, "insights", every)
    notion.push()
    _whole(pushed)
    assert "" not in [text for kind, text in pushed.blocks() if kind != "child_database"]
    more = {"period": "2026-02", "headline": "One more", "detail": "Indeed.", "tone": "neutral", "link": "/"}
    monkeypatch.setattr(queries.Snapshot, "insights", lambda self, g: [*every(self, g), more])
    pushed.faults = {3: LOSE_ANSWER}
    notion.push()
    assert pushed.blocks()[24] == ("paragraph", "● One more (good to know). Indeed.")
    assert pushed.lifetime == BLOCKS + 1 + len(SOME) + 1


def test_a_renamed_column_is_still_known_and_a_removed_one_comes_back(pushed):
    columns = pushed.source()["properties"]
    columns["Amount"] = columns.pop("Value") | {"name": "Amount"}
    del columns["Unit"]
    assert actions(notion.push()) == {LEFT: BLOCKS, RESTORED: 1, CHANGED: len(SOME)}
    assert (row(pushed, "revenue 2026-02")["Amount"], row(pushed, "revenue 2026-02")["Unit"]) == (25580.2, "Dhs")
    assert "Value" not in pushed.source()["properties"]
    assert notion.push().said() == "nothing to change"


def test_a_column_of_another_type_is_said_and_the_rest_is_pushed(pushed, figures):
    columns = pushed.source()["properties"]
    columns["Value"] |= {"type": "rich_text", "rich_text": {}}
    columns["YoY"] |= {"type": "rich_text", "rich_text": {}}
    pushed.throw_away(row(pushed, "stops 2026-02")["id"])
    with pytest.raises(Hopeless, match="the column Value is of type rich_text and should be number: change it back"):
        notion.push()
    assert len(pushed.rows()) == len(SOME)
    columns["Key"] |= {"type": "number", "number": {}}
    with pytest.raises(Hopeless, match=r"^In Moonwalk KPIs the column Key is of type number"):
        notion.push()


def test_a_database_with_another_source_and_a_renamed_title_is_still_ours(pushed):
    (database,) = pushed.databases()
    other = pushed._new("data_source", "aaaaaaaa-0000-4000-8000-000000000000",
                        {"type": "database_id", "database_id": database["id"]}, fake_notion.PERSON,
                        properties={})  # fmt: skip
    pushed.objects[other["id"]] = other
    database["data_sources"].insert(0, {"id": other["id"], "name": "Other"})
    database["title"] = []
    for forget in (False, True):
        if forget:
            NotionObject.objects.all().delete()
        done = notion.push()
        assert (done.said(), len(pushed.databases())) == ("nothing to change", 1)


def test_another_page_gets_blocks_and_rows_of_its_own(pushed, settings):
    settings.NOTION_PAGE = f"https://www.notion.so/Board-{'abcd' * 8}?pvs=4"
    pushed.add_page("abcd" * 8)
    assert actions(notion.push()) == {MADE: BLOCKS + 1 + len(SOME)}
    assert len(pushed.blocks("abcd" * 8)) == BLOCKS + 1
    settings.NOTION_PAGE = fake_notion.PAGE
    assert notion.push().said() == "nothing to change"


# --- Limits ----------------------------------------------------------------------------------------------------------


def test_blocks_go_in_as_many_requests_and_pieces_as_notion_wants(workspace):
    def keep(wanted: list[Block]) -> list[tuple]:
        told: list[tuple] = []
        Upkeep(api, fake_notion.PAGE, lambda *change: told.append(change)).keep_blocks(wanted)
        return told

    wanted = [Block(Slot("top", "heading"), (Piece(notion_upkeep.TITLE),)), Block(Slot("month", "heading"))]
    wanted += [Block(Slot("month", "insight", n), (Piece("x"),)) for n in range(1, 220)]
    wanted += [Block(Slot("week", "heading"), (Piece("😀" * 1500),))]  # 3,000 letters, as JavaScript counts
    with notion_api.Api() as api:
        keep(wanted)
        assert [len(b["children"]) for _, _, b in workspace.requests if "children" in b] == [100, 100, 22]
        assert workspace.blocks()[-1] == ("heading_3", "😀" * 1500)
        long = [Block(Slot("week", "insight", n), (Piece("x" * 30_000),)) for n in range(1, 31)]  # 0.9 MB
        keep([*wanted, *long])
        assert [text for _, text in workspace.blocks()][-30:] == ["x" * 30_000] * 30
        assert {action for _, _, action, _ in keep([*wanted, *long])} == {LEFT}


def test_retry_after_is_waited_for_and_a_long_one_is_left_to_the_delivery(workspace, few, golden_data, clock):
    workspace.faults = {2: (429, 7), 4: (529, 11)}
    notion.push()
    assert [s for s in clock.slept if s > 1] == [7, 11]
    workspace.faults = {1: (429, 90)}
    with pytest.raises(TryAgain) as later:
        notion.push()
    assert (later.value.after, max(clock.slept)) == (90, 11)


def test_what_goes_on_failing_is_left_to_the_delivery(workspace, few, golden_data):
    workspace.faults = dict.fromkeys(range(1, 6), 503)
    with pytest.raises(TryAgain, match=r"Notion could not do it now \(503\)"):
        notion.push()
    assert not workspace.requests
    notion.push()
    _whole(workspace)


def test_a_push_ends_after_its_time_and_goes_on_later(workspace, few, golden_data, monkeypatch):
    monkeypatch.setattr(notion_api, "PUSH_SECONDS", 2)
    tries = 0
    while True:
        tries += 1
        try:
            notion.push()
            break
        except TryAgain as error:
            assert "goes on where it stopped" in str(error)
    assert tries > 1
    _whole(workspace)


def test_a_push_does_not_sleep_past_its_time(workspace, few, golden_data, clock):
    """The task that sends it is stopped at some time: as a surprise, not as what goes on later."""
    began = clock.now
    workspace.faults = dict.fromkeys(range(1, 6), (429, 25))
    with pytest.raises(TryAgain, match="patience") as later:
        notion.push()
    assert later.value.after == 25 and clock.now - began <= notion_api.PUSH_SECONDS
    assert deliver_task.soft_time_limit > notion_api.PUSH_SECONDS + notion_api.REQUEST_SECONDS


def test_two_pushes_do_not_run_at_once_and_a_dead_one_is_taken_over(workspace, few, golden_data):
    with notion.OneAtATime(), pytest.raises(TryAgain, match="Another push"):
        notion.push()
    assert not workspace.requests
    dead = notion.OneAtATime().__enter__()
    NotionObject.objects.filter(key="push").update(pushed_at=timezone.now() - timedelta(seconds=61))
    notion.push()
    _whole(workspace)
    dead._looked = 0
    with pytest.raises(TryAgain, match="taken for dead"):
        dead.keep()
    dead.__exit__()


# --- What can't be mended by waiting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(401, "Notion refuses the token"), (403, "its capabilities"), (404, "Connections"), (400, "no page of Notion")],
)
def test_a_refusal_says_what_to_do(workspace, golden_data, status, sentence):
    workspace.faults = {1: status}
    with pytest.raises(Hopeless, match=sentence):
        notion.push()


def test_where_the_workspace_s_blocks_are_used_up_what_is_there_is_still_changed(pushed, figures):
    figures(dict.fromkeys(SOME, 7.0))
    pushed.remove(row(pushed, SOME[0])["id"])
    asked = len(pushed.requests)
    call("--dry-run")
    looks = len(pushed.requests) - asked
    pushed.faults = {looks + 4: 403}  # 3 rows changed, then one to be made
    with pytest.raises(Hopeless, match="blocks are used up"):
        notion.push()
    assert [r["Value"] for r in pushed.rows()] == [7.0, 7.0, 7.0]


def test_a_wrong_token_a_page_not_shared_and_one_in_the_trash(workspace, golden_data, settings):
    settings.NOTION_TOKEN = "ntn_wrong"
    with pytest.raises(Hopeless, match="MOONWALK_NOTION_TOKEN"):
        notion.push()
    settings.NOTION_TOKEN, settings.NOTION_PAGE = workspace.token, "f" * 32
    with pytest.raises(Hopeless, match="add the integration"):
        notion.push()
    settings.NOTION_PAGE = fake_notion.PAGE
    workspace.throw_away(str(fake_notion.uuid.UUID(fake_notion.PAGE)))
    with pytest.raises(Hopeless, match="in Notion's trash"):
        notion.push()


@pytest.mark.parametrize("token", ["ntn secret", "ntn_secret\n\n2", "ntn_sécret"])
def test_the_token_is_in_no_error_log_or_row(workspace, few, golden_data, settings, caplog, token):
    caplog.set_level("DEBUG")
    settings.NOTION_TOKEN = token
    with pytest.raises(Hopeless) as odd:
        notion.push()
    settings.NOTION_TOKEN = workspace.token
    workspace.faults = {1: 500, 3: LOSE_ANSWER}
    notion.push()
    workspace.faults = {2: 400}
    with pytest.raises(Hopeless) as refused:
        notion.push()
    said = f"{odd.value}{refused.value}{caplog.text}{list(NotionObject.objects.values())}{workspace.said()}"
    assert "secret" not in said and "sécret" not in said and workspace.token not in said


@pytest.mark.parametrize(
    "given",
    ["0123456789abcdef0123456789abcdef", "01234567-89ab-cdef-0123-456789abcdef", " 0123456789ABCDEF0123456789ABCDEF ",
     "https://www.notion.so/acme/Facade-0123456789abcdef0123456789abcdef?pvs=4&v=fedcba9876543210fedcba9876543210"],
)  # fmt: skip
def test_a_page_is_named_by_its_id_or_its_link(given):
    assert notion.page_id(given) == fake_notion.PAGE


@pytest.mark.parametrize("given", ["Board", "0123", "https://www.notion.so/acme/Board", "x" * 32])
def test_what_is_no_page_is_said(given):
    with pytest.raises(Hopeless, match="MOONWALK_NOTION_PAGE is no page"):
        notion.page_id(given)


# --- The command and the delivery ------------------------------------------------------------------------------------


def test_a_dry_run_touches_nothing_and_says_what_would_be(workspace, figures):
    code, out, _ = call("--dry-run")
    assert code == 0 and "Would push build" in out
    assert "34 blocks new, 1 database new, 76 rows new" in out
    assert not workspace.writes and not NotionObject.objects.exists()
    notion.push()
    writes = len(workspace.writes)
    figures({"stops 2026-W08": 1.0})
    workspace.throw_away(row(workspace, "items 2026-01")["id"])
    rows = list(NotionObject.objects.order_by("key").values())
    _, out, _ = call("--dry-run")
    assert (
        "stops 2026-W08  changed   Value 125.0 → 1.0" in out and "items 2026-01   restored  it was in the trash" in out
    )
    assert "34 blocks left as they are" in out and "75 rows left as they are" in out
    assert len(workspace.writes) == writes and list(NotionObject.objects.order_by("key").values()) == rows


def test_the_command_pushes_and_says_so(workspace, golden_data):
    build = queries.current().build_id
    code, out, _ = call()
    assert (code, out) == (0, f"Pushed build {build}: 34 blocks new, 1 database new, 76 rows new.\n")
    assert call()[1].endswith("nothing to change.\n")
    workspace.faults = {1: 401}
    code, _, err = call()
    assert (code, "MOONWALK_NOTION_TOKEN" in err) == (1, True)
    workspace.faults = dict.fromkeys(range(1, 6), LOSE_REQUEST)
    code, _, err = call()
    assert (code, "can't be reached" in err and "Try again in a minute" in err) == (1, True)


def test_without_settings_the_command_says_what_is_missing(golden_data, settings):
    settings.NOTION_TOKEN = settings.NOTION_PAGE = ""
    code, _, err = call()
    assert (code, "MOONWALK_NOTION_TOKEN and MOONWALK_NOTION_PAGE" in err) == (2, True)
    code, out, _ = call("--dry-run")
    assert code == 0 and "34 blocks new, 1 database new, 76 rows new" in out and "As if Notion were empty" in out


def a_run(**changed) -> RefreshRun:
    now = timezone.now()
    return RefreshRun.objects.create(**{
        "trigger": "command", "state": "published", "started_at": now, "finished_at": now, "heartbeat_at": now,
        "as_of": "2026-03-05", "build_id": "an-older-build"} | changed)  # fmt: skip


def test_a_published_refresh_is_one_delivery_of_the_live_build(workspace, few, golden_data):
    run = a_run()
    run.refresh_from_db()
    delivery = notion.after(run)
    assert notion.after(run) == delivery and Delivery.objects.count() == 1
    assert (delivery.kind, delivery.about, delivery.run, delivery.content) == (
        "notion", "Figures of 5 Mar 2026", run, {"build_id": "an-older-build"})  # fmt: skip
    assert deliveries.deliver(delivery.pk).state == "sent"
    _whole(workspace)  # the figures of the live build, which is another one


@pytest.mark.parametrize("changed", [{"state": "held"}, {"state": "failed"}, {"state": "nothing_new"},
                                     {"trigger": "payments"}, {"manifest": {"payments_alone": True}}],
                         ids=str)  # fmt: skip
def test_nothing_is_pushed_of_what_is_not_published_or_of_payments_alone(workspace, changed):
    assert notion.after(a_run(**changed)) is None
    assert not Delivery.objects.exists()


def test_nothing_is_recorded_where_notion_is_not_set_up(settings):
    settings.NOTION_TOKEN, settings.NOTION_PAGE = "ntn_x", ""
    assert notion.after(a_run()) is None


def test_a_delivery_waits_when_notion_does_and_is_given_up_when_a_person_must_act(workspace, few, golden_data):
    run = a_run()
    run.refresh_from_db()
    delivery = notion.after(run)
    workspace.faults = {1: (429, 300)}
    waiting = deliveries.deliver(delivery.pk)
    assert (waiting.state, waiting.last_error) == ("waiting", "Notion asks for patience (429).")
    assert waiting.next_attempt_at > timezone.now() + timedelta(seconds=290)
    Delivery.objects.update(next_attempt_at=timezone.now())
    workspace.faults = {1: 401}
    given_up = deliveries.deliver(delivery.pk)
    assert (given_up.state, given_up.last_error) == ("failed", notion_api.NO_TOKEN)
    assert not workspace.writes


AGE = """
from datetime import timedelta
from django.utils import timezone
from operations.models import NotionObject
NotionObject.objects.filter(key="push").update(pushed_at=timezone.now() - timedelta(seconds=61))
"""


@pytest.mark.full
@pytest.mark.own_database
def test_a_killed_process_leaves_nothing_that_the_next_makes_twice(tmp_path):
    """For real: processes, a server of its own, 3 requests a second."""
    house = House(tmp_path / "data")
    exports.write(house.root / "exports")
    assert house.run("manage.py", "migrate", "-v0").returncode == 0
    assert house.refresh().returncode == 0
    server = house.start("-m", "tests.fake_notion", "--port", "0")
    try:
        url = server.stdout.readline().split()[2].rstrip(",")
        house.environment |= {"MOONWALK_NOTION_TOKEN": fake_notion.TOKEN, "MOONWALK_NOTION_PAGE": fake_notion.PAGE,
                              "MOONWALK_NOTION_URL": url}  # fmt: skip
        push = house.start("manage.py", "notion_push")
        wait_for(lambda: httpx.get(f"{url}/_fake").json()["requests"] >= 10)
        push.kill()
        push.wait(10)
        rows = len(httpx.get(f"{url}/_fake").json()["rows"])
        again = house.run("manage.py", "notion_push")
        assert (again.returncode, "Another push to Notion is under way" in again.stderr) == (1, True)
        assert house.run("manage.py", "shell", "-c", AGE).returncode == 0  # a minute later
        assert house.run("manage.py", "notion_push").returncode == 0
        held = httpx.get(f"{url}/_fake").json()
    finally:
        server.kill()
        server.wait(10)
    keys = [row["Key"] for row in held["rows"]]
    assert 0 < rows < len(keys) == len(set(keys))
    assert held["databases"] == 1
    assert held["lifetime"] == len(keys) + len(held["blocks"])


def test_the_fake_has_a_lasting_rule_for_each_limit(workspace):
    """What the tests above rest on: it refuses what Notion refuses."""

    def ask(method, path, body=None, **headers):
        clock = workspace.clock.__self__
        clock.now += 1
        usual = {"Authorization": f"Bearer {workspace.token}", "Notion-Version": "2026-03-11"}
        return httpx.request(method, workspace.url + path, json=body, headers=usual | headers)

    page = f"/v1/blocks/{fake_notion.PAGE}/children"
    text = {"rich_text": [{"type": "text", "text": {"content": "x" * 2001}}]}
    block = {"type": "paragraph", "paragraph": {"rich_text": []}}
    assert ask("GET", page, **{"Authorization": "Bearer other"}).status_code == 401
    assert ask("GET", page, **{"Notion-Version": "2022-06-28"}).status_code == 400
    assert ask("GET", page + "?page_size=101").status_code == 400
    assert ask("PATCH", page, {"children": [{"type": "paragraph", "paragraph": text}]}).status_code == 400
    assert ask("PATCH", page, {"children": [block] * 101}).status_code == 400
    assert ask("PATCH", page, {"children": [block], "after": "x"}).status_code == 400
    assert ask("POST", "/v1/pages", {"parent": {"type": "database_id", "database_id": "x"}}).status_code == 400
    assert ask("GET", "/v1/blocks/" + "e" * 32).status_code == 404
    assert ask("PATCH", page, {"children": [block]}).status_code == 200
    answers = [httpx.get(workspace.url + page, headers={
        "Authorization": f"Bearer {workspace.token}", "Notion-Version": "2025-09-03"}) for _ in range(8)]  # fmt: skip
    assert [a.status_code for a in answers][-1] == 429 and int(answers[-1].headers["Retry-After"]) == 1
