"""The refresh: exports -> candidate build -> database -> published. One door for command, task and button.

Order of things, so that a process killed anywhere leaves the old build live and the next refresh whole:
everything up to the database transaction touches a candidate alone; the transaction syncs customers and orders and
marks the run "publishing" together; then the pointer moves in one atomic step. A run found "publishing" died between
those two and is finished first by whoever comes next.

A build that moves what a closed month earned by more than the limit waits there, before the transaction: it is held
(held.py), and release() publishes that very build.

Staff's payments go into every build. Which of them a published build was given stands on each (included_in), written in
the transaction that makes it the one to publish; as long as one waits, the live build's own exports are built again.
"""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from etl.errors import MoonwalkError, WarehouseError
from operations import current_run, held, inputs, quarantine, queue, services
from operations.lock import Lock, RefreshBusy, purpose_of, running
from operations.models import Payment, RefreshRun, unexpected

if TYPE_CHECKING:
    import polars as pl

    from etl.warehouse import Warehouse

log = logging.getLogger(__name__)

# What a step takes of the whole, in %, as measured at the size of one business.
SHARES = {"find": 2, "read": 18, "stage": 20, "marts": 20, "checks": 8, "insights": 6, "compare": 1, "sync": 15,
          "publish": 10}  # fmt: skip
KEEP_SETS = 5
MUCH_SMALLER = 0.8
QUEUE_PATIENCE = timedelta(minutes=15)  # without Redis a run that waits longer was left by a process that ended
WORKER_PATIENCE = timedelta(days=1)  # with Redis it waits for a worker
TRY_AGAIN = timedelta(hours=1)
Trigger = RefreshRun.Trigger
State = RefreshRun.State
LIVE = (State.PUBLISHED, State.NOTHING_NEW)
# After these ends payments follow: a bad file, or figures that a person must look at first, keep none waiting.
DECIDED = (*LIVE, State.REFUSED, State.HELD)
NO_WORKER = "No worker took it up: is the Celery worker running?"
NOBODY = "Nobody carried it out: the command manage.py tick does (docs/schedules.md)."
# As the tick beside the button says it; the command's own switch is in its help.
FORCED = "“Refresh now” with “even if nothing changed” publishes them all the same, as does the switch --force."
BY_THE_CLOCK = (Trigger.SCHEDULE, Trigger.WATCH, Trigger.RETRY)  # whoever does them is at it already, without Redis
# What nobody stands by for is done again when its process dies, so often.
REPEATED = (Trigger.SCHEDULE, Trigger.WATCH, Trigger.BUTTON, Trigger.UPLOAD, Trigger.RELEASE)
MOST_REPEATS = 3
PAYMENTS_PATIENCE = 120  # seconds that a refresh waits for a rebuild for payments, which nobody asked for by name


@dataclass(frozen=True)
class Event:
    """One sign of progress: the step, how much of the whole is done (0..100), and a word for a person."""

    step: str
    percent: int
    message: str = ""


class Progress:
    """Passes progress on to a run's record (at most once a second within a step) and to `listener`."""

    def __init__(self, run: RefreshRun, listener: Callable[[Event], None] | None):
        self.run, self.listener = run, listener
        self.seconds: dict[str, float] = {}
        self._written = 0.0
        self._percent = 0

    def tell(self, step: str, done: float = 0.0, message: str = "", record: bool = True) -> None:
        """`done` is the step's own share, 0..1. `record` False: inside a transaction, where nobody would see it."""
        before = sum(list(SHARES.values())[: list(SHARES).index(step)])
        # Reading and staging take turns, file by file: the bar never goes back.
        self._percent = max(self._percent, min(99, round(before + SHARES[step] * done)))
        event = Event(step, self._percent, message)
        if record and (step != self.run.step or time.monotonic() - self._written > 1):
            self._written = time.monotonic()
            services.run_progress(self.run, step=step, progress=event.percent)
        if self.listener:
            self.listener(event)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step of the refresh's own: told at its start, timed."""
        self.tell(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)


def warehouse() -> "Warehouse":
    """The warehouse that the settings name."""
    from analytics import queries  # only here: it brings DuckDB and Polars, and the admin imports this module

    return queries.warehouse()


def refresh(
    *,
    trigger: str,
    user=None,
    exports_dir: Path | str | None = None,
    force: bool = False,
    sure: bool = False,
    dry_run: bool = False,
    on_progress: Callable[[Event], None] | None = None,
    queued: RefreshRun | None = None,
) -> RefreshRun:
    """Build from the newest exports and publish. Returns the run's record, ended: its state and `error` say how.

    force: a person's word for all of it: publish although nothing changed, these exports were rolled back or discarded,
    or closed months moved. sure: their word for the last alone. dry_run: build and check, publish nothing. queued: the
    record that waited for this call. Raises RefreshBusy while another refresh runs.
    """
    folder = Path(exports_dir or settings.EXPORTS_DIR)
    with _alone(queued) as (lock, house):
        run = _begin(
            lock, trigger=trigger, user=user, force=force, dry_run=dry_run, exports_dir=str(folder), queued=queued
        )
        with _recorded(run):
            progress = Progress(run, on_progress)
            _build_and_publish(run, lock, house, lambda live: inputs.opened(folder, live), progress, sure)
            if run.state in LIVE:
                inputs.settle(folder)
        if not dry_run and run.state in DECIDED:
            _follow_payments(lock, house)
    _after(run)
    return run


def payments_waiting() -> bool:
    """Is there a payment or void that no published build was given yet, or a build that waits to be finished?

    After a rebuild that could not take them in, only new ones count for an hour: it would not work now either.
    """
    waiting, last = Payment.objects.filter(included_in=""), RefreshRun.objects.filter(trigger=Trigger.PAYMENTS).first()
    if last and last.finished_at and (last.error or last.warnings and last.state == State.NOTHING_NEW):
        since = last.started_at - timedelta(minutes=1)  # one may have been written before it and committed after
        waiting = waiting.filter(created_at__gt=since) if timezone.now() < last.started_at + TRY_AGAIN else waiting
    return waiting.exists() or RefreshRun.objects.filter(state=State.PUBLISHING).exists()


def include_payments() -> None:
    """Bring payments that wait into the figures: the live build's exports once more, with them. Nothing else changes.

    Each rebuild has a run of its own, which says how it went. Raises RefreshBusy while another refresh runs.
    """
    with Lock() as lock:
        house = warehouse()
        _tidy_up(house)
        _follow_payments(lock, house)


@contextmanager
def _alone(queued: RefreshRun | None = None) -> Iterator[tuple[Lock, "Warehouse"]]:
    """The lock, after a rebuild for payments if one is under way; and the warehouse, tidied up.

    Raises RefreshBusy while another refresh runs.

    A worker doesn't wait: `queued` stays so and the clock's next tick asks again, else nobody would be free for it.
    """
    until = time.monotonic() + (0 if queued and settings.REDIS_URL else PAYMENTS_PATIENCE)
    with ExitStack() as stack:
        while True:
            try:
                lock = stack.enter_context(Lock())
                break
            except RefreshBusy as busy:
                if not _for_payments(busy.run) or time.monotonic() > until:
                    raise
                time.sleep(0.5)
        house = warehouse()
        _tidy_up(house, but=queued)
        yield lock, house


def _begin(lock: Lock, **what) -> RefreshRun:
    """The record of a run that begins (services.run_open()), named by the lock."""
    run = services.run_open(**what)
    lock.attach(run)
    return run


def _for_payments(run: RefreshRun | None) -> bool:
    return run is not None and run.trigger == Trigger.PAYMENTS


def start(
    *,
    user=None,
    force: bool = False,
    exports_dir: Path | str = "",
    trigger: str = Trigger.BUTTON,
    build_id: str = "",
) -> RefreshRun:
    """Queue a refresh, and return its record at once.

    exports_dir: an upload's folder; none: the exports folder. build_id: with Trigger.ROLLBACK the build to go back to.
    With REDIS_URL a Celery worker runs it, as soon as it can; else a thread of this process, or the tick that asked for
    it. Raises RefreshBusy while one is under way.
    """
    busy, waiting = running(), waiting_run()
    if busy and _for_payments(busy.run):
        busy = None  # the refresh waits for it
    if waiting and not busy and trigger not in BY_THE_CLOCK:
        ask(waiting)  # its process may have ended
    if busy or waiting:
        raise RefreshBusy(busy.run if busy and busy.run else waiting, purpose_of(busy) if busy else "")
    run = services.run_queue(
        trigger=trigger, user=user, force=force, exports_dir=str(exports_dir), build_id=build_id
    )
    if settings.REDIS_URL or trigger not in BY_THE_CLOCK:
        ask(run)
    return run


def waiting_run() -> RefreshRun | None:
    """The run whose turn is next, unless it waits for longer than anybody would."""
    waiting = RefreshRun.objects.filter(state=State.QUEUED, started_at__gt=_patience())
    return waiting.order_by("started_at", "pk").first()


def _patience() -> datetime:
    """What waits since before then waits for longer than anybody would."""
    return timezone.now() - (WORKER_PATIENCE if settings.REDIS_URL else QUEUE_PATIENCE)


def ask(run: RefreshRun) -> None:
    """Have a run that waits carried out: by a worker, or by a thread of this process. May be repeated."""
    if not settings.REDIS_URL:
        # A server that is asked to stop lets it end first (catch_up.finish).
        threading.Thread(target=_run_in_thread, args=(run.pk,), name="refresh").start()
    elif not queue.send("operations.refresh", run_id=run.pk):
        with suppress(services.RunEnded):
            services.run_note_error(
                run, error="The queue can't be reached: is Redis running at REDIS_URL? It starts when it is."
            )


def run_queued(run_id: int) -> RefreshRun | None:
    """Carry out a queued refresh; None when it was taken up or given up already (a task may be delivered twice).

    While another refresh runs, or the one before can't be finished, it stays queued: the clock's next tick asks again.
    """
    run = RefreshRun.objects.filter(pk=run_id, state=State.QUEUED).select_related("started_by").first()
    if run is None:
        return None
    try:
        return _carry_out(run)
    except services.RunEnded:
        return None
    except MoonwalkError as error:  # before it began: another one runs, or the disk is full
        if not settings.REDIS_URL and run.trigger not in BY_THE_CLOCK:
            services.run_not_started(run, error=str(error))
        elif not isinstance(error, RefreshBusy):
            with suppress(services.RunEnded):
                services.run_note_error(run, error=str(error))
        return run


def _carry_out(run: RefreshRun) -> RefreshRun:
    asked, _ = _asked_for(run)
    if asked.trigger == Trigger.ROLLBACK:
        return rollback(run.build_id, user=run.started_by, queued=run)
    if asked.trigger == Trigger.RELEASE:
        return release_now(run.build_id, user=run.started_by, queued=run)
    return refresh(
        trigger=run.trigger, user=run.started_by, force=run.forced, exports_dir=run.exports_dir or None, queued=run
    )


def _asked_for(run: RefreshRun) -> tuple[RefreshRun, int]:
    """The run that somebody or the clock asked for, of which this is the repetition, and which repetition it is."""
    repeats = 0
    while run.trigger == Trigger.RETRY and run.retry_of:
        run, repeats = run.retry_of, repeats + 1
    return run, repeats


def _run_in_thread(run_id: int) -> None:
    try:
        run_queued(run_id)
    finally:
        connection.close()


def rollback(build_id: str | None = None, *, user=None, queued: RefreshRun | None = None) -> RefreshRun:
    """Go back to an earlier build (none named: the last one of other exports or code), customers and orders included.

    The exports of the builds left behind are not published again unless forced. Payments are not undone by this: those
    that the earlier build did not have follow at once. queued: the record that waited for this call. Raises
    RefreshBusy; WarehouseError when there is no such build (of a queued one its record says so).
    """
    with _alone(queued) as (lock, house):
        target = house.earlier(build_id) if queued is None else ""
        run = _begin(lock, trigger=Trigger.ROLLBACK, user=user, queued=queued)
        with _recorded(run):
            target = target or house.earlier(build_id)
            _publish_kept(run, lock, house, house.manifest(target), lambda: _leave_payments(target))
        if run.state == State.PUBLISHED:
            _follow_payments(lock, house)
    _after(run)
    return run


def release(run: RefreshRun, user) -> RefreshRun:
    """Queue the publishing of the build that `run` holds, as start() does; the record of the run that does it.

    Raises MoonwalkError where it can't be published (as things stand now; it is looked at again then), RefreshBusy.
    """
    held.releasable(warehouse(), run)
    return start(trigger=Trigger.RELEASE, user=user, build_id=run.build_id)


def release_now(build_id: str, *, user=None, queued: RefreshRun | None = None) -> RefreshRun:
    """Publish that very build, which is held: customers and orders, then the pointer, then payments made since.

    Returns its run: refused, with a sentence, where the build can't be published any more. Raises RefreshBusy.
    """
    with _alone(queued) as (lock, house):
        run = _begin(lock, trigger=Trigger.RELEASE, user=user, queued=queued)
        with _recorded(run):
            holds = RefreshRun.objects.filter(build_id=build_id, state__in=held.WERE_HELD).first()
            manifest = held.releasable(house, holds)
            del manifest["held"]
            _publish_kept(run, lock, house, manifest, lambda: held.let_go(holds, run))
        if run.state == State.PUBLISHED:
            _follow_payments(lock, house)
    _after(run)
    return run


def recover() -> bool:
    """Finish what a dead refresh left, or queue it again; False when there is nothing like that. Raises RefreshBusy."""
    if running() or not RefreshRun.objects.filter(state__in=RefreshRun.STARTED).exists():
        return False
    with Lock():
        _tidy_up(warehouse())
    return True


def prune() -> list[str]:
    """Remove builds older than the last five sets of exports, and what dead refreshes left. Raises RefreshBusy."""
    with Lock():
        house = warehouse()
        _tidy_up(house)
        return _prune(house)


# --- Steps ---------------------------------------------------------------------------------------------------------


def _build_and_publish(
    run: RefreshRun,
    lock: Lock,
    house: "Warehouse",
    opened: Callable[[dict], AbstractContextManager[inputs.Inputs]],
    progress: Progress,
    sure: bool = False,
) -> bool:
    """Build and publish what opened(the live build's manifest) gives. Did what staff recorded go in (or was it in)?"""
    from analytics.enrich import code_hash
    from etl import pipeline

    live = house.manifest(house.current()) if house.current() else {}
    if live.get("encrypted") and not run.forced:
        _require_its_key(house)
    payments, waiting = _staff_payments()
    with opened(live) as found:
        build = pipeline.build(
            found.folder,
            settings.DATA_DIR,
            business_file=settings.BUSINESS_FILE,
            key=settings.WAREHOUSE_KEY or None,
            code_extra=code_hash(),  # an upgrade of the rules rebuilds
            last_fingerprint=None if run.forced else _live_fingerprint(house),
            payments=payments,
            on_progress=lambda p: progress.tell(p.step, p.done, p.message),
        )
    if build is None:
        with transaction.atomic():
            lock.verify()
            if not run.dry_run:
                services.payments_mark_included(waiting, build_id=house.current())
            _nothing_new(run, house)
        return True
    try:
        manifest = dict(build.manifest)
        found.remember(manifest)
        manifest["warnings"] = [*shrunk(live, manifest), *manifest["warnings"]]
        same = house.base_of(manifest) == house.base_of(live)
        manifest["payments_alone"] = same and not run.forced and manifest["fingerprint"] != live["fingerprint"]
        sure = sure or run.forced or bool(found.sure) and found.sure == house.base_of(live)
        if not run.forced and not same and (why := _left_out(house, manifest, live, sure)):
            held.remove_candidate(house, build.build_id)
            _nothing_new(run, house, why)
            return False
        with progress.step("insights"):
            enrich_candidate(house, build.build_id, manifest, _receivables_on_record())
        with progress.step("compare"):
            moved = held.Moved() if same or not live else held.compare(house, manifest)
        manifest["seconds"] = manifest["seconds"] | progress.seconds
        if run.dry_run:
            manifest["rejected"] = quarantine.places(build.build_id)
            held.remove_candidate(house, build.build_id)
            services.run_mark_checked(run, manifest=manifest, moved=moved.figures, moved_orders=moved.orders)
            return False
        if moved.asks and not sure:
            manifest["held"] = {"against": house.base_of(live), "payments": waiting}
        house.write_manifest(build.build_id, manifest)
        if "held" in manifest:
            held.hold(run, lock, manifest, moved)
            _drop_candidates(house)
            return False
        if moved.figures:
            services.run_note_moved(run, moved=moved.figures, moved_orders=moved.orders)
        with closing(house.connect(build.build_id)) as con:

            def mark() -> None:
                services.payments_mark_included(waiting, build_id=build.build_id)
                if not manifest["payments_alone"]:
                    held.supersede(run)

            _sync(run, lock, con, manifest, progress, mark)
    except BaseException:
        if run.state not in (State.PUBLISHING, State.HELD):
            held.remove_candidate(house, build.build_id)
        raise
    _publish(run, house, manifest, progress)
    return True


def _staff_payments() -> tuple["pl.DataFrame", list[int]]:
    """All payments that staff recorded, as the pipeline takes them, and which rows no published build was given yet
    (payments and voids). One question, so that both are of one moment."""
    import polars as pl

    from etl import pipeline

    rows = Payment.objects.order_by("pk").values_list(
        "pk", "voids_id", "order_id", "amount", "method", "paid_on", "included_in"
    )
    net: dict[int, list] = {}
    waiting = []
    for pk, voids, order_id, amount, method, paid_on, included_in in rows:
        if voids is None:
            net[pk] = [pk, order_id, amount, method, paid_on]
        else:
            net[voids][2] += amount  # a counter-row comes after the row that it voids
        if not included_in:
            waiting.append(pk)
    return pl.DataFrame(list(net.values()), schema=pipeline.PAYMENTS, orient="row"), waiting


def _follow_payments(lock: Lock, house: "Warehouse") -> None:
    """While payments wait: the live build's own exports once more, with them.

    Ends with the first rebuild that does not bring them in (what failed or was rolled back would fail again).
    """
    while house.current() and Payment.objects.filter(included_in="").exists():
        run = _begin(lock, trigger=Trigger.PAYMENTS)
        went_in = False
        with _recorded(run):
            went_in = _build_and_publish(run, lock, house, inputs.of_build, Progress(run, None))
        if not went_in or run.state not in LIVE:
            return


def _leave_payments(build_id: str) -> None:
    """Payments that only builds made after this one were given wait again."""
    made = RefreshRun.objects.filter(state=State.PUBLISHED).exclude(trigger=Trigger.ROLLBACK)
    first = made.filter(build_id=build_id).order_by("started_at").first()
    given = Payment.objects.exclude(included_in__in=["", build_id])
    if first:
        later = made.filter(started_at__gt=first.started_at).values_list("build_id", flat=True)
        given = given.filter(included_in__in=list(later))
    services.payments_mark_waiting(given)


def _require_its_key(house: "Warehouse") -> None:
    """Raises WarehouseError unless the key opens the live, encrypted build: another one makes pages unreadable, and
    none would lay customers' names open."""
    if not settings.WAREHOUSE_KEY:
        raise WarehouseError(
            "The live build is encrypted but MOONWALK_WAREHOUSE_KEY is not set: a refresh would write customers' names "
            "in plain text. Set the key, or refresh with --force if you mean it."
        )
    house.connect().close()


def shrunk(before: dict, now: dict) -> list[str]:
    """A loud word for each file that lost a good part of its rows since the last build: an export may be cut off."""
    said = []
    for kind, file in now["files"].items():
        had = before.get("files", {}).get(kind, {}).get("read", 0)
        if file["read"] < MUCH_SMALLER * had:
            said.append(
                f"IMPORTANT: {file['file']} has {file['read']:,} rows, the last one had {had:,}: see whether the "
                "download is whole. If it is not, roll back (manage.py warehouse rollback) and download it again."
            )
    return said


def enrich_candidate(house: "Warehouse", build_id: str, manifest: dict, history: Iterable[dict] = ()) -> None:
    """Let analytics write what needs metrics (insights) into the candidate; its warnings join the manifest's.

    history: what was owed on earlier days. What is owed now joins the manifest, so that later runs have it.
    """
    from analytics.enrich import enrich
    from etl.business import load_business

    with house.open_candidate(build_id) as con:
        found = enrich(con, load_business(settings.BUSINESS_FILE), history)
    manifest["warnings"] = [*manifest.get("warnings", []), *found.get("warnings", [])]
    manifest["receivables"] = found["receivables"]


def _sync(
    run: RefreshRun,
    lock: Lock,
    con,
    manifest: dict,
    progress: Progress,
    mark_payments: Callable[[], None],
) -> None:
    """One transaction: customers and orders of the build, its payments marked, and the run marked publishing."""
    from operations.sync import sync

    try:
        with progress.step("sync"), transaction.atomic():
            lock.verify()
            counts = sync(con, lambda done: progress.tell("sync", done, record=False))
            mark_payments()
            services.run_mark_publishing(run, build_id=manifest["build_id"], counts=counts, manifest=manifest)
    except BaseException:
        run.state = State.RUNNING  # as the database has it: nothing of the transaction is left
        raise


def _publish_kept(
    run: RefreshRun, lock: Lock, house: "Warehouse", manifest: dict, mark_payments: Callable[[], None]
) -> None:
    """Publish a build that stands there whole, an earlier one or one that was held: database, then pointer."""
    manifest = manifest | {"seconds": {}}  # nothing was built: only this run's own steps count
    progress = Progress(run, None)
    with closing(house.connect(manifest["build_id"])) as con:
        _sync(run, lock, con, manifest, progress, mark_payments)
    _publish(run, house, manifest, progress)


def _publish(run: RefreshRun, house: "Warehouse", manifest: dict, progress: Progress | None = None) -> None:
    """Move the pointer, write the files for Excel, mark the run published, prune. May be repeated."""
    progress = progress or Progress(run, None)
    with progress.step("publish"):
        if run.trigger == Trigger.ROLLBACK:
            house.rollback(run.build_id)
        else:
            house.publish(run.build_id)
        warnings = _publish_files(house, run.build_id)
    services.run_mark_published(
        run,
        manifest=manifest
        | {
            "seconds": manifest.get("seconds", {}) | progress.seconds,
            "warnings": [*manifest.get("warnings", []), *warnings],
        },
    )
    _prune(house)


def _publish_files(house: "Warehouse", build_id: str) -> list[str]:
    """The marts as CSV and Parquet. The build is live already: a full disk here is a warning, no failure."""
    from etl import pipeline

    try:
        pipeline.publish_files(
            house, build_id, settings.DATA_DIR / "published", with_personal_data=not settings.WAREHOUSE_KEY
        )
    except (OSError, MoonwalkError) as error:
        log.error("the files of build %s were not published: %s", build_id, type(error).__name__)
        return [f"The files in {settings.DATA_DIR / 'published'} are those of an earlier build: {error}"]
    return []


def _drop_candidates(house: "Warehouse") -> None:
    """Remove builds that were never published, unfinished ones too: all but those that are held. Only with the lock."""
    kept = held.builds()
    for file in house.root.glob("*.duckdb"):  # builds() leaves unfinished ones out
        if file.stem not in kept and file.stem != house.current() and not house.manifest(file.stem).get("published"):
            held.remove_candidate(house, file.stem)


def _prune(house: "Warehouse") -> list[str]:
    """Remove builds older than the last sets of exports, and the rows they set aside; the builds' ids."""
    _drop_candidates(house)
    removed = house.prune(KEEP_SETS, protect=held.builds())
    quarantine.sweep(house)
    return removed


def _nothing_new(run: RefreshRun, house: "Warehouse", *warnings: str) -> None:
    current = house.current() or ""
    services.run_mark_nothing_new(
        run, build_id=current, manifest=house.manifest(current) if current else {}, warnings=list(warnings)
    )


# --- What came before ----------------------------------------------------------------------------------------------


def _tidy_up(house: "Warehouse", but: RefreshRun | None = None) -> None:
    """Finish the run that died between commit and pointer, mark dead ones failed, drop what they left on disk.

    Called with the lock held: every run still under way is a dead one's (`but` aside, which is about to start), and
    nobody is writing a file. Raises WarehouseError where the disk doesn't let the first be finished: nothing else may
    begin then.
    """
    for run in RefreshRun.objects.filter(state=State.PUBLISHING):
        try:
            _publish(run, house, run.manifest)
            log.warning("finished refresh %s, which died before its build %s was live", run.pk, run.build_id)
        except WarehouseError as error:
            services.payments_mark_waiting(Payment.objects.filter(included_in=run.build_id))
            _broke_off(run, f"The process ended before the build was live, and now: {error}")
        except OSError as error:  # a full disk: the run stays as it is, and whoever comes next tries again
            said = f"The build of refresh {run.pk} can't be made live: {error.strerror or type(error).__name__}."
            said = f"{said} See to the disk of {settings.DATA_DIR}: it is tried again until it goes."
            with suppress(services.RunEnded):
                services.run_note_error(run, error=said)
            raise WarehouseError(said) from error
    for run in RefreshRun.objects.filter(state=State.RUNNING):
        _broke_off(run, f"The process ended at step {run.step or 'start'} without a word.")
    late = RefreshRun.objects.filter(state=State.QUEUED, started_at__lt=_patience())
    for run in late.exclude(pk=but.pk if but else None):
        services.run_mark_failed(run, error=NO_WORKER if settings.REDIS_URL else NOBODY)
    held.supersede_lost(house)
    _drop_candidates(house)
    quarantine.sweep(house)
    inputs.sweep()
    for unfinished in (settings.DATA_DIR / "landing").glob(".*.partial"):
        unfinished.unlink(missing_ok=True)


def _broke_off(run: RefreshRun, error: str) -> None:
    """End a run whose process died. What nobody stands by for waits for its turn again."""
    asked, repeats = _asked_for(run)
    by_button = asked.trigger == Trigger.ROLLBACK and asked.started_by_id
    if not (asked.trigger in REPEATED or by_button):
        services.run_mark_failed(run, error=error)
    elif repeats < MOST_REPEATS:
        build_id = asked.build_id if asked.trigger in (Trigger.ROLLBACK, Trigger.RELEASE) else ""
        services.run_repeat(run, error=error, asked=asked, build_id=build_id)
    else:
        services.run_mark_failed(run, error=f"{error} It was tried {repeats + 1} times.")


def _live_fingerprint(house: "Warehouse") -> str | None:
    """What the current build was made of, if the database was synced with that build; else None: build again."""
    current = house.current()
    last = RefreshRun.objects.filter(state=State.PUBLISHED).first()
    if not current or last is None or last.build_id != current:
        return None
    return house.manifest(current).get("fingerprint")


def _left_out(house: "Warehouse", manifest: dict, live: dict, sure: bool) -> str:
    """Why a candidate is not published although it is new: somebody decided so about these exports, or has yet to; ""
    when nothing speaks against it."""
    if _was_rolled_back(house, manifest):
        return (
            f"These exports went into a build that somebody rolled back: they are not published again. {FORCED}"
        )
    states = (State.PUBLISHED, *held.WERE_HELD)
    inputs_of = RefreshRun.objects.filter(manifest__inputs=manifest["inputs"], state__in=states)
    for run in inputs_of.select_related("decided_by").order_by("-finished_at", "-pk"):
        same = house.base_of(run.manifest) == house.base_of(manifest)
        if not same and manifest["inputs"] == live.get("inputs"):
            continue  # the exports that are live, made by other code: it says nothing of this one
        if run.state == State.DISCARDED and run.decided_at:
            return f"{held.decision(run)} Its exports are not published. {FORCED}"
        if run.state == State.HELD and same and run.manifest["held"]["against"] == house.base_of(live) and not sure:
            return f"The build of these exports is held: refresh {run.pk} waits for somebody to decide."
        if run.state == State.PUBLISHED:
            return ""
    return ""


def _was_rolled_back(house: "Warehouse", manifest: dict) -> bool:
    """Did somebody go back behind these exports, or behind the same exports under this very code? Payments say nothing
    about it: they are not undone by going back."""
    left = {house.base_of(b.manifest) for b in house.builds() if b.manifest.get("rolled_back")}
    return manifest["inputs"] in house.rolled_back() or house.base_of(manifest) in left


def _receivables_on_record() -> list[dict]:
    """What was owed on the days of published runs: of each day as its newest run said, rolled-back ones left out."""
    live: list[tuple[str, list[dict]]] = []  # the builds published so far that nobody went back behind, oldest first
    runs = RefreshRun.objects.filter(state=State.PUBLISHED).order_by("finished_at", "pk")
    for trigger, build_id, rows in runs.values_list("trigger", "build_id", "manifest__receivables").iterator():
        place = next((i for i, (known, _) in enumerate(live) if known == build_id), None)
        if trigger == Trigger.ROLLBACK and place is not None:
            live = live[:place]
        live.append((build_id, rows or []))
    by_day = {row["as_of"]: rows for _, rows in live for row in rows[:1]}
    return [row for rows in by_day.values() for row in rows]


@contextmanager
def _recorded(run: RefreshRun) -> Iterator[None]:
    """What is logged inside is about this run, and whatever ends it ends up in its record."""
    with current_run.told(run.pk), _to_its_end(run):
        yield


@contextmanager
def _to_its_end(run: RefreshRun) -> Iterator[None]:
    """Bad input and surprises go into the run's record and don't travel further, a Ctrl-C does."""
    log.info("refresh %s: START (%s)", run.pk, run.trigger)
    try:
        yield
    except services.RunEnded:
        log.error("refresh %s was ended by another process", run.pk)
    except MoonwalkError as error:
        _end(run, services.run_mark_refused, str(error))
    except Exception as error:
        # Where it happened goes to the log; what it said may hold a customer's data and stays in the database.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("refresh %s failed: %s\n%s", run.pk, type(error).__name__, where)
        _end(run, services.run_mark_failed, unexpected(error))
    except BaseException:
        _end(run, services.run_mark_failed, "Stopped by hand.")
        raise
    finally:
        run.refresh_from_db()
        log.info("refresh %s: DONE (%s) build=%s seconds=%s", run.pk, run.state, run.build_id, run.seconds)


def _after(run: RefreshRun) -> None:
    """Alerts and deliveries follow an ended run."""
    from operations import aftermath

    aftermath.after(run)


def _end(run: RefreshRun, mark: Callable, error: str) -> None:
    """Mark a run's end; one whose database part is committed stays "publishing": the next refresh finishes it."""
    if run.state == State.PUBLISHING:
        services.run_note_error(run, error=error)
    else:
        mark(run, error=error)
