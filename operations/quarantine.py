"""Rows that a refresh set aside, for the page of its run. Which files there are the disk says, never the URL."""

import csv
import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from operations.models import RefreshRun

if TYPE_CHECKING:
    from etl.warehouse import Warehouse


def _files(run: RefreshRun) -> dict:
    from etl.landing import quarantine_files

    # A run whose build is another run's ("nothing new") shows that build's rows: they are what pages stand on.
    return quarantine_files(settings.DATA_DIR, run.build_id) if run.build_id else {}


def kinds_kept(run: RefreshRun) -> set[str]:
    """The kinds of export of which a run's build has rows set aside on disk."""
    return set(_files(run))


def csv_of(run: RefreshRun, kind: str) -> io.BytesIO:
    """The rows set aside of one kind, as CSV. Raises FileNotFoundError when there are none, WarehouseError when they
    are encrypted and the key isn't theirs."""
    from etl.landing import open_kept

    file = _files(run).get(kind)
    if file is None:
        raise FileNotFoundError(kind)
    return io.BytesIO(open_kept(file, settings.WAREHOUSE_KEY or None))


def places(build_id: str, most: int = 20, data_dir: Path | None = None) -> dict[str, dict[str, dict]]:
    """Where a build's rows were rejected, without what stands in them: {kind: {rule: {"file", "count", "rows"}}}, the
    numbers of the first `most` rows as they stand in the file. data_dir: where a build lies that is no one's yet."""
    from etl.landing import open_kept, quarantine_files

    found: dict[str, dict[str, dict]] = {}
    for kind, file in quarantine_files(data_dir or settings.DATA_DIR, build_id).items():
        text = open_kept(file, settings.WAREHOUSE_KEY or None).decode("utf-8-sig")
        for row in csv.DictReader(io.StringIO(text, newline="")):
            rule = found.setdefault(kind, {}).setdefault(row["rule"], {"file": row["file"], "count": 0, "rows": []})
            rule["count"] += 1
            if len(rule["rows"]) < most:
                rule["rows"].append(int(row["row"]))
    return found


def remove(build_id: str) -> None:
    """Remove the rows that one build set aside."""
    shutil.rmtree(settings.DATA_DIR / "quarantine" / build_id, ignore_errors=True)


def sweep(house: "Warehouse") -> None:
    """Remove rows set aside by builds that are gone: they hold people's names, and nobody can look at them any more."""
    root = settings.DATA_DIR / "quarantine"
    kept = {b.build_id for b in house.builds()}
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name not in kept:
            remove(folder.name)
