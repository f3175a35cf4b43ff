"""Figures into Notion: the last closed months and weeks as rows of a database, headlines and insights on a page.

push() writes what the live build says, whoever asks and however late: an old build is never pushed over a newer one.
after() records a delivery for a published refresh, send() carries it out. Figures of the business as a whole, as
Executive Pulse has them; no customer's name, number or amount of their own goes out.
"""

import logging
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from analytics import queries
from analytics.dashboards import frame, insights
from analytics.dashboards.executive import EXECUTIVE
from analytics.formats import day, moment, with_unit
from analytics.metrics import METRICS
from etl.errors import MoonwalkError
from operations import deliveries
from operations.models import Delivery, NotionObject, RefreshRun
from operations.notion_api import Api, Invalid, Missing
from operations.notion_upkeep import LEFT, TITLE, Block, Piece, Row, Slot, Upkeep
from operations.transports import Hopeless, TryAgain, address_of

log = logging.getLogger(__name__)

KPIS = tuple(card.metric for card in EXECUTIVE.tab("snapshot").cards)
COLORS = {"positive": "green", "negative": "red", "neutral": "gray"}
UNITS = {"share": "%", "days": "days", "ratio": ""}  # of a count: what is counted
ONE_AT_A_TIME = "push"
ALIVE_SECONDS = 30  # without a sign of life for so long a push is a dead process's: sooner than its delivery is
BEAT_SECONDS, LOOK_SECONDS = 5, 5
NOT_SET = (
    "Notion is not set up: MOONWALK_NOTION_TOKEN and MOONWALK_NOTION_PAGE name the integration and the page that is "
    "shared with it. docs/notion.md says how."
)
NO_PAGE = "MOONWALK_NOTION_PAGE is no page of Notion: copy the page's link, or the 32 letters and digits at its end."
NOT_SHARED = (
    "Notion shows the integration no such page (404): open the page, ••• > Connections, add the integration; or set "
    "MOONWALK_NOTION_PAGE to the page you mean."
)
IN_TRASH = "The page that MOONWALK_NOTION_PAGE names is in Notion's trash: bring it back, or name another one."


class NotSetUp(MoonwalkError):
    """There is no token, or no page."""


@dataclass(frozen=True)
class Change:
    """One thing of a push. what: block, row, column, database; action: of notion_upkeep; detail: words, or ""."""

    what: str
    name: str
    action: str
    detail: str = ""


@dataclass
class Pushed:
    """What a push did, or in a dry run would do, with the figures of build_id."""

    build_id: str
    dry_run: bool
    changes: list[Change] = field(default_factory=list)

    def said(self) -> str:
        """“76 rows new, 34 blocks new”; “nothing to change”."""
        counts: dict[tuple[str, str], int] = {}
        for change in self.changes:
            if change.action != LEFT:
                key = (change.what, change.action)
                counts[key] = counts.get(key, 0) + 1
        parts = [f"{n} {what}{'s' if n > 1 else ''} {action}" for (what, action), n in counts.items()]
        return ", ".join(parts) or "nothing to change"


def is_set_up() -> bool:
    """Are figures to go into Notion?"""
    return bool(settings.NOTION_TOKEN and settings.NOTION_PAGE)


def after(run: RefreshRun) -> Delivery | None:
    """The delivery of a refresh's figures, recorded once; None where there is nothing to push: not set up, nothing
    published, or payments alone (which move none of the figures, and come along with the next refresh)."""
    if not is_set_up() or run.state != RefreshRun.State.PUBLISHED or run.is_for_payments_alone:
        return None
    about = f"Figures of {day(run.as_of)}" if run.as_of else "Figures"
    return deliveries.record(
        Delivery.Kind.NOTION, f"notion:{run.pk}", about, recipient="Notion", content={"build_id": run.build_id}, run=run
    )


def send(delivery: Delivery) -> None:
    """The sender of deliveries: the live build's figures, which may be newer than the delivery's. Raises TryAgain,
    Hopeless."""
    try:
        push()
    except NotSetUp as error:
        raise Hopeless(str(error)) from None
    except MoonwalkError as error:  # the warehouse: a key is missing, nothing is published
        raise TryAgain(str(error)) from None


def push(*, dry_run: bool = False, on_progress: Callable[[int, int, str], None] | None = None) -> Pushed:
    """Bring Notion to what the live build says; on_progress(done, of, what).

    A dry run only looks; without a token or page it looks at nothing, and everything would be new. Raises NotSetUp,
    TryAgain, Hopeless, WarehouseError.
    """
    if not dry_run and not is_set_up():
        raise NotSetUp(NOT_SET)
    build = queries.current()
    blocks, rows = blocks_of(build), rows_of(build)
    done = Pushed(build.build_id, dry_run)

    def told(what: str, name: str, action: str, detail: str) -> None:
        done.changes.append(Change(what, name, action, detail))
        if on_progress:
            on_progress(min(len(done.changes), len(blocks) + len(rows)), len(blocks) + len(rows), f"{what} {name}")

    if not is_set_up():
        _keep(Upkeep(None, "", told, dry=True), blocks, rows)
    elif dry_run:
        with Api() as api:
            _keep(Upkeep(api, _page(api), told, dry=True), blocks, rows)
    else:
        with OneAtATime() as turn, Api(turn.keep) as api:
            _keep(Upkeep(api, _page(api), told), blocks, rows)
    return done


def _keep(upkeep: Upkeep, blocks: list[Block], rows: list[Row]) -> None:
    try:
        upkeep.keep_blocks(blocks)
        upkeep.keep_rows(rows)
    except Missing:
        raise TryAgain("Something was removed in Notion during the push: it looks anew.") from None
    except Invalid as error:
        raise Hopeless(f"Notion does not take what was sent ({error})") from None
    if upkeep.notes:
        raise Hopeless(f"All else was pushed. {' '.join(upkeep.notes)}")


def page_id(text: str) -> str:
    """The id in a page's link, or the id itself: 32 hexadecimal digits. Raises Hopeless."""
    last = urlsplit(text.strip()).path.replace("-", "").lower()[-32:]
    if not re.fullmatch(r"[0-9a-f]{32}", last):
        raise Hopeless(NO_PAGE)
    return last


def _page(api: Api) -> str:
    """The portal page's id, after a look whether it is there."""
    page = page_id(settings.NOTION_PAGE)
    try:
        found = api.ask(api.client.pages.retrieve, page_id=page)
    except Missing:
        raise Hopeless(NOT_SHARED) from None
    except Invalid:  # it is a database, or a block
        raise Hopeless(NO_PAGE) from None
    if found.get("in_trash"):
        raise Hopeless(IN_TRASH)
    return page


class OneAtATime:
    """Held inside a `with` block: two pushes at once would both make what is missing. It is a row of the database, so
    that it holds between machines; a thread keeps it alive, and one of a push that died is taken over."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self._looked = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="notion-heartbeat", daemon=True)

    def __enter__(self) -> "OneAtATime":
        row, _ = NotionObject.objects.get_or_create(key=ONE_AT_A_TIME)
        now = timezone.now()
        free = Q(notion_id="") | Q(pushed_at__lt=now - timedelta(seconds=ALIVE_SECONDS))
        same = NotionObject.objects.filter(free, key=ONE_AT_A_TIME, notion_id=row.notion_id)
        if not same.update(notion_id=self.token, pushed_at=now):
            raise TryAgain("Another push to Notion is under way.")
        self._thread.start()
        return self

    def __exit__(self, *exc) -> None:
        self._end.set()
        self._thread.join()
        self._mine.update(notion_id="")

    @property
    def _mine(self) -> QuerySet[NotionObject]:
        return NotionObject.objects.filter(key=ONE_AT_A_TIME, notion_id=self.token)

    def keep(self) -> None:
        """Raises TryAgain where another push took this one for dead: nothing may be written then."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if not self._mine.exists():
            raise TryAgain("This push was taken for dead, and another one goes on.")

    def _beat(self) -> None:
        while not self._end.wait(BEAT_SECONDS):
            try:
                self._mine.update(pushed_at=timezone.now())
            except Exception as error:  # a busy database: the next one may get through
                log.warning("the sign of life of a push to Notion was not written: %s", type(error).__name__)
            finally:
                connection.close()


# --- What is pushed --------------------------------------------------------------------------------------------------


def rows_of(build: queries.Snapshot) -> list[Row]:
    """A row a KPI and period, the oldest period first: the last 6 closed months, then the last 13 closed ISO weeks."""
    found = []
    for grain in frame.GRAINS.values():
        for period in _closed(build, grain)[-grain.window :]:
            state = frame.read_state(EXECUTIVE, {"grain": grain.name, "period": period.key}, build)
            found += [_row(state, metric) for metric in KPIS]
    return found


def _row(state: frame.State, metric: str) -> Row:
    m, period, figures = METRICS[metric], state.period, state.figures
    value = figures.value(metric, period)
    before, year = figures.before(period), figures.year_before(period)
    on_before, on_year = figures.changes(metric, period)
    key = f"{metric} {period.key}"
    return Row(key, {
        "Name": f"{m.label}, {period.short}",
        "Key": key,
        "Grain": state.grain.label,
        "Metric": m.label,
        "Period": period.name,
        "Start": period.first_day.isoformat(),
        "Value": None if value is None else float(value),
        "Unit": frame.currency() if m.unit == "money" else UNITS.get(m.unit, m.label.lower()),
        "MoM / WoW": None if on_before.why else _moved(m.unit, value, figures.value(metric, before)),
        "YoY": None if on_year.why else _moved(m.unit, value, figures.value(metric, year)),
        "Link": address_of(state.url()),
    })  # fmt: skip


def _moved(unit: str, now, then) -> float:
    """A change as a number that reads as on the pages, 0.021 for +2.1 %; of a share in points of percent."""
    by = float(now) - float(then)
    return round(by if unit == "share" else by / abs(float(then)), 3)


def blocks_of(build: queries.Snapshot) -> list[Block]:
    """The portal page's blocks, from top to bottom."""
    found = [
        Block(Slot("top", "heading"), (Piece(TITLE),)),
        Block(Slot("top", "about"), _about(build)),
    ]
    for grain in frame.GRAINS.values():
        for period in _closed(build, grain)[-1:]:
            found += _section(frame.read_state(EXECUTIVE, {"grain": grain.name, "period": period.key}, build))
    return found


def _about(build: queries.Snapshot) -> tuple[Piece, ...]:
    made = datetime.fromisoformat(build.manifest["created"])
    to = date.fromisoformat(build.meta()["data_to"])
    return (
        Piece(f"Data to {day(to)}, refreshed {moment(made)}. "),
        Piece("Open the dashboards", url=address_of("/executive/")),
        Piece(". These blocks are written anew after each refresh: write beside them, not into them.", color="gray"),
    )


def _section(state: frame.State) -> list[Block]:
    """The last closed period: its name, the KPIs, and what the rules say of it, what needs attention first."""
    grain, period = state.grain.name, state.period
    found = insights.of_period(state.build, grain, period.key)
    return [
        Block(Slot(grain, "heading"), (Piece(period.name, url=address_of(state.url())),)),
        Block(Slot(grain, "headline"), _headline(state)),
        *(Block(Slot(grain, "insight", i), _insight(row)) for i, row in enumerate(found, 1)),
    ]


def _headline(state: frame.State) -> tuple[Piece, ...]:
    pieces = []
    for metric in KPIS:
        m = METRICS[metric]
        value = with_unit(state.figures.value(metric, state.period), m.unit, frame.currency())
        moved = ", ".join(change.said for change in state.figures.changes(metric, state.period) if change.said)
        pieces += [
            Piece(f"{'' if metric == KPIS[0] else chr(10)}{m.label} "),
            Piece(value, bold=True),
            *([Piece(f" ({moved})")] if moved else []),
        ]
    return tuple(pieces)


def _insight(row: dict) -> tuple[Piece, ...]:
    sign, _, word = insights.TONES[row["tone"]]
    return (
        Piece(f"{sign} ", color=COLORS[row["tone"]]),
        Piece(row["headline"], url=address_of(row["link"] or ""), bold=True),
        Piece(f" ({word}). {row['detail']}"),
    )


def _closed(build: queries.Snapshot, grain: frame.Grain) -> list[frame.Period]:
    return [p for p in frame.periods(build, grain.name) if p.closed]
