"""What an upload would bring: its files recognised, read, checked by a build that is never published, and compared.

Everything happens in a work folder that is gone at the end; what is kept is the report, as plain JSON for the page.
"""

import hashlib
import logging
import time
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from analytics.formats import moment
from etl.errors import ExportError, MoonwalkError, WarehouseError
from operations import inputs, quarantine, refresh

if TYPE_CHECKING:
    import polars as pl

    from etl.sources import Export
    from etl.warehouse import Warehouse

log = logging.getLogger(__name__)

PREVIEW_ROWS, PREVIEW_COLUMNS, PREVIEW_CELL = 5, 40, 60
# What each step takes of the whole, in %, as measured at the size of one business.
STEPS = {"find": 12, "read": 20, "stage": 20, "marts": 60, "checks": 80}
DATED_BY = {"orders": "Placed", "items": "Placed", "invoices": "Payment Date"}


@dataclass
class File:
    """An uploaded file whose kind is known. path: where it lies open; name: what a refresh calls it."""

    stored: str
    shown: str
    sha256: str
    path: Path
    kind: str
    named: date | None
    name: str = ""
    report: dict = field(default_factory=dict)


@dataclass
class Found:
    """The usable files by kind, remarks (files left out), and errors, which stop everything."""

    files: dict[str, File] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def examine(upload: inputs.Upload) -> None:
    """Check an upload and keep the report as its "check", telling progress there meanwhile. Never raises: what goes
    wrong is in the report's errors."""
    last = 0.0

    def tell(percent: int, words: str) -> None:
        nonlocal last
        if time.monotonic() - last > 0.2:
            last = time.monotonic()
            _note(upload, {"state": "checking", "percent": percent, "words": words})

    started = time.perf_counter()
    try:
        report = _report(upload, tell)
    except MoonwalkError as error:
        report = {"errors": [str(error)]}
    except BaseException as error:  # a reader that panics raises no Exception
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("the check of an upload failed: %s\n%s", type(error).__name__, where)
        report = {"errors": [f"The files could not be checked ({type(error).__name__}). Download them again; if it "
                             "stays so, put them into the exports folder and refresh."]}  # fmt: skip
    _note(upload, {"state": "done", "seconds": round(time.perf_counter() - started, 2)} | report)


def _note(upload: inputs.Upload, content: dict) -> None:
    with suppress(FileNotFoundError):  # discarded meanwhile
        upload.write("check", {"at": timezone.now().isoformat()} | content)


def _report(upload: inputs.Upload, tell: Callable[[int, str], None]) -> dict:
    house = refresh.warehouse()
    live_id = house.current() or ""
    live = house.manifest(live_id) if live_id else {}
    with inputs.work_folder() as work:
        tell(2, "Opening the files")
        found = _recognised(upload, work)
        # Payments that come in meanwhile change nothing about the files: not the build's id, but what it is made of.
        report = {"against": house.base_of(live) or "", "notes": found.notes, "errors": found.errors}
        if found.errors:
            return report
        tell(8, "Reading the files")
        _read_all(found, live)
        report |= {"files": [found.files[kind].report for kind in sorted(found.files, key=_place)]}
        if found.errors:
            return report
        plan = _lay_out(upload, found, live, work)
        report |= {"kept": plan["others"], "errors": found.errors}
        if found.errors:
            return report
        report |= _built(found, live, house, work, upload, tell)
        upload.write("plan", {"files": plan["files"], "kept": plan["kept"]})
    return report


def _place(kind: str) -> int:
    from etl.sources import KINDS

    return KINDS.index(kind)


# --- Recognising ---------------------------------------------------------------------------------------------------


def _recognised(upload: inputs.Upload, work: Path) -> Found:
    """The files laid out in work/in, each under its kind; of several of one kind the newest by the date in its name."""
    from etl import screening

    found, here, listed = Found(), work / "in", upload.about["files"]
    here.mkdir()
    for file in listed:
        (here / file["stored"]).write_bytes(inputs.content_of(upload.folder, file["stored"]))
    on_trial = {here / f["stored"]: f["shown"] for f in listed if not f["stored"].endswith(".csv")}
    broken = screening.try_reading(on_trial)
    for told in listed:
        path = here / told["stored"]
        if path in broken:
            found.errors.append(broken[path])
            continue
        try:
            file = _recognise(told, path, found)
        except ExportError as error:
            found.errors.append(_say(error, path.name, told["shown"]))
            continue
        if file:
            _keep_newer(found, file)
    if not found.files and not found.errors:
        found.errors.append("None of these files is an export that Moonwalk reads: drop Customers, Orders, Items, "
                            "Invoices or the RePOS archive, as CleanCloud exports them.")  # fmt: skip
    return found


def _say(error: Exception | str, name: str, shown: str) -> str:
    """A sentence about a file under the name that its owner knows."""
    return str(error).replace(name, shown)


def _recognise(told: dict, path: Path, found: Found) -> File | None:
    """The file with its kind; None for one that is left out, with a note. Raises ExportError for one that is broken, or
    holds something else than its name says."""
    from etl import sources

    shown = told["shown"]
    if shown.lower().startswith("excel_"):
        found.notes.append(f"{shown} was left out: names that begin with Excel_ are no exports.")
        return None
    kind = sources.kind_in_name(shown) or sources.recognise(sources.headers(path))
    if kind is None:
        found.notes.append(f"{shown} was left out: its columns belong to none of the exports.")
        return None
    named = sources.date_in_name(shown)
    if named and named > _today():
        raise ExportError(
            f"{shown}: its name says {named:%-d %b %Y}, which is still to come. All figures would stand on that day: "
            "give the file its right date and drop it again."
        )
    sources.check_kind(sources.Source(kind, path, named))
    return File(told["stored"], shown, told["sha256"], path, kind, named)


def _today() -> date:
    return datetime.now(ZoneInfo(settings.TIME_ZONE)).date()


def _keep_newer(found: Found, file: File) -> None:
    from etl.sources import TITLES

    other = found.files.get(file.kind)
    if other is None or other.sha256 == file.sha256:
        found.files[file.kind] = other or file
        return
    title = TITLES[file.kind]
    if not other.named or not file.named or other.named == file.named:
        found.errors.append(f"{other.shown} and {file.shown} both hold {title}: drop only the one that is to count.")
        return
    newer, older = (file, other) if file.named > other.named else (other, file)
    found.files[file.kind] = newer
    found.notes.append(f"{older.shown} was left out: {newer.shown} holds newer {title}.")


# --- Reading -------------------------------------------------------------------------------------------------------


def _read_all(found: Found, live: dict) -> None:
    """Read each file: its date, its name for the refresh, its first rows. What can't be read is an error."""
    from etl import sources

    exports = {}
    for kind, file in list(found.files.items()):
        try:
            exports[kind] = sources.read(sources.Source(kind, file.path, file.named), [])
        except ExportError as error:
            found.errors.append(_say(error, file.path.name, file.shown))
            file.report = {"kind": kind, "title": sources.TITLES[kind], "shown": file.shown}
    known = [f.named for f in found.files.values() if f.named]
    base = max(known) if known else date.fromisoformat(live["as_of"]) if live.get("as_of") else None
    for kind, export in exports.items():
        file = found.files[kind]
        day, said = (file.named, "") if file.named or kind == "legacy" else _day_of(kind, export, base)
        dated = f"-{day}" if day else ""
        suffix = Path(file.stored).suffix
        file.name = f"RePos_Archive{dated}{suffix}" if kind == "legacy" else f"CC-{sources.TITLES[kind]}{dated}{suffix}"
        file.named = day
        file.report = _file_report(file, export.raw, said)


def _day_of(kind: str, export: "Export", base: date | None) -> tuple[date, str]:
    """The date of an export whose name has none, and how it was found: never before the others' (or the last
    refresh's), else the next refresh would take an older file for the newer one."""
    from etl.business import load_business
    from etl.staging import dates

    newest = None
    if column := DATED_BY.get(kind):
        days = dates(export.frame[column], load_business(settings.BUSINESS_FILE).month_day_year)
        newest = days.filter(days <= _today()).max()
    day = max((d for d in (newest, base) if d), default=_today())
    if newest and newest == day:
        return day, f"its name has no date: the newest {column} counts"
    return day, "its name has no date: that of the other files counts" if base else "its name has no date: today counts"


def _file_report(file: File, raw: "pl.DataFrame", said: str) -> dict:
    """What the page shows of a file: the facts, and its first rows as they stand in it."""
    import polars as pl

    from etl.sources import TITLES

    columns = [c for c in raw.columns if not c.startswith("#")]
    some = raw.head(PREVIEW_ROWS).select(columns[:PREVIEW_COLUMNS])
    cut = [[c if len(c) <= PREVIEW_CELL else c[: PREVIEW_CELL - 1] + "…" for c in row] for row in some.rows()]
    like = raw.select(pl.col(columns).str.contains(r"^\s*[=@]"))
    formulas = int(like.sum().sum_horizontal()[0])
    first = ""
    if formulas:
        column = next(c for c in columns if like[c].any())
        first = f"row {raw['#row'][int(like[column].arg_true()[0])]}, column {column}"
    return {
        "kind": file.kind, "title": TITLES[file.kind], "shown": file.shown, "name": file.name, "rows": raw.height,
        "day": file.named.isoformat() if file.named else "", "dated": said, "columns": columns[:PREVIEW_COLUMNS],
        "more_columns": max(0, len(columns) - PREVIEW_COLUMNS), "preview": cut, "formulas": formulas,
        "first_formula": first,
    }  # fmt: skip


# --- Building and comparing ----------------------------------------------------------------------------------------


def _lay_out(upload: inputs.Upload, found: Found, live: dict, work: Path) -> dict:
    """Lay the files out for a build in work/exports, with what the last refresh used of kinds that were not uploaded.

    Without a last refresh (or its copies) they come from the exports folder. Returns the plan that a refresh follows
    later: files (of the upload's folder), kept (by content hash); and others, for the page.
    """
    from etl import sources

    folder = work / "exports"
    folder.mkdir()
    files, kept, others = [], [], []
    for kind, file in found.files.items():
        file.path.rename(folder / file.name)
        files.append({"kind": kind, "name": file.name, "stored": file.stored, "sha256": file.sha256, "mine": True})
    for kind in sources.KINDS:
        if kind in found.files:
            continue
        last = live.get("files", {}).get(kind)
        with suppress(WarehouseError):
            if last:
                inputs.lay_out_kept(folder, last["file"], last["sha256"])
                kept.append({"kind": kind, "name": last["file"], "sha256": last["sha256"]})
                others.append(_other(kind, last["file"], f"as in the last refresh, {_when(live)}"))
                continue
        if source := _of_the_folder(kind):
            content, stored = source.path.read_bytes(), f"folder-{kind}{source.path.suffix.lower()}"
            (folder / source.path.name).write_bytes(content)
            inputs.keep(upload.folder, stored, content)
            sha256 = hashlib.sha256(content).hexdigest()
            files.append({"kind": kind, "name": source.path.name, "stored": stored, "sha256": sha256, "mine": False})
            others.append(_other(kind, source.path.name, "from the exports folder, as nothing was published yet"))
        elif kind not in sources.OPTIONAL_KINDS:
            found.errors.append(
                f"There is no {sources.TITLES[kind]} export: it is not among these files, and there is none of an "
                "earlier refresh. Download it from CleanCloud and drop all files together."
            )
    return {"files": files, "kept": kept, "others": others}


def _other(kind: str, name: str, origin: str) -> dict:
    from etl.sources import TITLES

    return {"kind": kind, "title": TITLES[kind], "name": name, "origin": origin}


def _when(live: dict) -> str:
    return moment(datetime.fromisoformat(live["created"]))


def _of_the_folder(kind: str):
    """The newest export of a kind in the exports folder, or None."""
    from etl import sources

    folder = Path(settings.EXPORTS_DIR)
    return sources.newest(folder).get(kind) if folder.is_dir() else None


def _built(found: Found, live: dict, house: "Warehouse", work: Path, upload: inputs.Upload, tell: Callable) -> dict:
    """Build from work/exports aside, compare with the live build, and say what a person must know before publishing."""
    from etl import pipeline
    from etl.landing import open_kept, quarantine_files
    from etl.warehouse import Warehouse
    from operations import comparison

    key, aside = settings.WAREHOUSE_KEY or None, work / "data"
    shown = {file.name: file.shown for file in found.files.values()}

    def on_progress(p: pipeline.Progress) -> None:
        tell(STEPS[p.step] + round(20 * p.done), p.message)

    try:
        build = pipeline.build(
            work / "exports", aside, business_file=settings.BUSINESS_FILE, key=key, on_progress=on_progress
        )
    except ExportError as error:
        raise ExportError(_in_their_words(str(error), shown, work)) from error
    tell(90, "Comparing with the last refresh")
    manifest = build.manifest
    with closing(Warehouse(aside / "warehouse", key).connect(build.build_id)) as after:
        if live:
            with closing(house.connect()) as before:
                rows, moved = comparison.rows(before, after), comparison.closed_months(before, after)
        else:
            rows, moved = comparison.rows(None, after), []
    rejected = quarantine.places(build.build_id, data_dir=aside)
    for kind, file in quarantine_files(aside, build.build_id).items():
        inputs.keep(upload.folder, f"rejected-{kind}.csv", open_kept(file, key))
    warnings = [*_order_of_things(found, live, manifest), *refresh.shrunk(live, manifest), *manifest["warnings"]]
    return {
        "as_of": manifest["as_of"], "data_to": manifest["data_to"], "was": live.get("as_of", ""),
        "rows": {kind: vars(difference) for kind, difference in rows.items()}, "moved": moved,
        "tallies": manifest["files"], "rejected": rejected,
        "warnings": [_in_their_words(w, shown, work) for w in warnings],
        "inputs": manifest["inputs"], "same": manifest["inputs"] == live.get("inputs"),
        "left": manifest["inputs"] in house.rolled_back(),
    }  # fmt: skip


def _in_their_words(text: str, shown: dict[str, str], work: Path) -> str:
    for name, theirs in shown.items():
        text = text.replace(name, theirs)
    return text.replace(f" in {work / 'exports'}", "")


def _order_of_things(found: Found, live: dict, manifest: dict) -> list[str]:
    """Words about dates that run backwards."""
    from etl import sources

    said = []
    if live and manifest["as_of"] < live["as_of"]:
        said.append(
            f"IMPORTANT: these exports are of {_day(manifest['as_of'])}, older than what is published "
            f"({_day(live['as_of'])}): all figures would go back to that day."
        )
    folder = Path(settings.EXPORTS_DIR)
    there = sources.newest(folder) if folder.is_dir() else {}
    for kind, file in found.files.items():
        source = there.get(kind)
        if source and source.named and file.named and source.named > file.named:
            said.append(
                f"{source.path.name} in the exports folder is newer than {file.shown}: the next refresh from that "
                "folder will take it again."
            )
    return said


def _day(iso: str) -> str:
    return f"{date.fromisoformat(iso):%-d %b %Y}"
