"""The watch over the exports folder: new files that are whole and settled start a refresh by themselves.

Whoever puts the files there finds the rule in docs/schedules.md. The row FolderWatch remembers what the folder looked
like (two looks are compared) and which set was last done with (a refused one isn't tried again and again).
"""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings

from etl.errors import ExportError, WarehouseError
from operations.lock import RefreshBusy
from operations.models import FolderWatch, RefreshRun

log = logging.getLogger(__name__)

SETTLED = timedelta(seconds=20)  # so long nothing of the folder has changed: no file is being written any more
PATIENCE = timedelta(minutes=15)  # so long the rest of a set is waited for
UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", ".filepart", ".opdownload")
# A name of the future: a file server whose clock is ahead. How long ago it changed is then not known.
AHEAD = timedelta(minutes=1)

Look = dict[str, list[int]]


def look(folder: Path, now: datetime) -> Look:
    """What lies in the folder: name -> [size in bytes, time of the last change in ns]. Only what may be an export, and
    what a browser is still loading: one that has not changed for PATIENCE was given up."""
    from etl.sources import SUFFIXES

    found: Look = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        name = path.name.lower()
        if name.startswith((".", "~$")) or not name.endswith((*SUFFIXES, *UNFINISHED)):
            continue
        try:
            stat = path.stat()
        except OSError:  # gone, or renamed as it is whole
            continue
        if path.is_file() and not (_unfinished(name, stat.st_size) and _age(stat.st_mtime_ns, now) > PATIENCE):
            found[path.name] = [stat.st_size, stat.st_mtime_ns]
    return found


def _unfinished(name: str, size: int) -> bool:
    return name.lower().endswith(UNFINISHED) or not size


def _age(changed_ns: int, now: datetime) -> timedelta:
    return now - datetime.fromtimestamp(changed_ns / 1e9, UTC)


def being_written(seen: Look, now: datetime) -> str:
    """The name of a file that is not whole yet, by its name, its size or how lately it changed; "" when all are."""
    for name, (size, changed_ns) in seen.items():
        if _unfinished(name, size) or -AHEAD < _age(changed_ns, now) < SETTLED:
            return name
    return ""


def watch(now: datetime) -> list[str]:
    """Look at the exports folder; start a refresh when there is a new set in it. A sentence on what was done."""
    folder = Path(settings.EXPORTS_DIR)
    seen = look(folder, now)
    row, _ = FolderWatch.objects.get_or_create(pk=1)
    if not seen or seen == row.tried:
        return []
    if seen != row.seen or row.seen_at is None:
        FolderWatch.objects.filter(pk=1).update(seen=seen, seen_at=now)
        return []
    unchanged = now - row.seen_at
    if unchanged < SETTLED or unchanged < PATIENCE and being_written(seen, now):
        return []
    try:
        hashes, missing = _examined(folder)
    except ExportError as error:
        hashes, missing = {}, str(error)
    if look(folder, now) != seen:
        return []
    if hashes and hashes in (row.hashes, _live()):
        _done_with(seen, hashes)
        return []
    if missing and now - row.seen_at < PATIENCE:
        return []
    return _start(seen, hashes, missing)


def _start(seen: Look, hashes: dict, missing: str) -> list[str]:
    from operations import refresh

    try:
        run = refresh.start(trigger=RefreshRun.Trigger.WATCH)
    except RefreshBusy:
        return []  # the next round looks again
    _done_with(seen, hashes)
    if missing:
        log.warning("refresh %s of the exports folder begins with an incomplete set", run.pk)
    return [f"New exports: refresh {run.pk} was asked for." + (f" {missing}" if missing else "")]


def _done_with(seen: Look, hashes: dict) -> None:
    FolderWatch.objects.filter(pk=1).update(tried=seen, hashes=hashes)


def _examined(folder: Path) -> tuple[dict[str, str], str]:
    """The newest export of each kind (kind -> sha256), and what the set lacks to be whole, in a sentence; "" nothing.

    Whole is a set whose files carry one date; where one has no date in its name, it must be another than the one the
    live figures are made of. Raises ExportError when a kind is missing altogether, or a file is not what it says.
    """
    from etl import sources

    found = sources.find(folder)
    sources.hash_sources(found)
    hashes = {kind: source.sha256 for kind, source in found.items()}
    day, live, old = max((s.named for s in found.values() if s.named), default=None), _live(), []
    for kind, source in found.items():
        late = source.named < day if source.named else live.get(kind) == source.sha256
        if late and kind not in sources.OPTIONAL_KINDS:
            old.append(source.path.name)
    return hashes, f"Older than the rest: {', '.join(old)}." if old else ""


def _live() -> dict[str, str]:
    """What the live build is made of: kind -> sha256. {} when there is none."""
    from operations import refresh

    house = refresh.warehouse()
    try:
        files = house.manifest(house.current())["files"] if house.current() else {}
    except (WarehouseError, KeyError):
        return {}
    return {kind: file["sha256"] for kind, file in files.items()}
