"""Everything that can't be made again, in one file, and back: the database, the exports that went in, the builds with
the pointer to the live one, the rows set aside, the business file.

A backup is a tar of parts, compressed, and encrypted when there is a key (as landing files are). First comes what it
is (about.json), last the size and hash of every part (contents.json): a file without its end is no backup. Rows of the
database are JSON, a table in parts of a few MB, so that SQLite's come back into PostgreSQL and the other way round.

Made while nobody else may publish (the refresh's lock is held), so pointer, builds and database belong together.
Restored all or nothing: everything is unpacked aside and checked, the rows are loaded, then both change places.
"""

import contextlib
import gzip
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import connection
from django.utils import timezone

from etl.errors import MoonwalkError, WarehouseError
from operations import backup_rows as rows

FORMAT = 1
FOLDERS = ("landing", "warehouse", "quarantine")
SUFFIX, UNFINISHED = ".moonwalk", ".partial"
PART = 1 << 22  # bytes of rows that lie in memory at once
COMPRESSION = 3
PATIENCE = 15 * 60  # seconds that a backup waits for a refresh to end
PURPOSE = "A backup is being made"  # for who wants to refresh meanwhile
LEFT = 3600  # seconds without a byte: a file that is still unfinished then is a killed backup's
SECRET = "files/secret_key"
BUSINESS = "files/business.toml"
FROM_NOW = "Schedules count from now: a report or a check that fell due since this backup was made isn't made up for."
CUT_OFF = "restore-unfinished"  # in the data folder while files and rows change places
_PLACE = re.compile(r"files/(?:secret_key|business\.toml|(?:landing|warehouse|quarantine)(?:/[\w.-]+)+)")
Tell = Callable[[float, str], None]  # how much of the whole is done (0..1), and what is being done


class BackupError(MoonwalkError):
    """A backup can't be made, or not be restored; the sentence says why and what to do."""


def default_file() -> Path:
    """Where a backup goes when nobody says where: a folder in the data folder, the time as its name."""
    return settings.DATA_DIR / "backups" / f"moonwalk-{timezone.localtime():%Y-%m-%d-%H%M%S}{SUFFIX}"


def prune(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` of the backups that default_file() named in a folder."""
    old = sorted(folder.glob(f"moonwalk-????-??-??-??????{SUFFIX}"))[:-keep]
    for file in old:
        file.unlink()
    return old


# --- Making one ----------------------------------------------------------------------------------------------------


def make(target: Path, tell: Tell = lambda done, words: None) -> dict:
    """Write a backup to `target`, whole or not at all; what it holds: {"rows", "files", "bytes", "secret_key",
    "encrypted", "build"}. Raises BackupError, RefreshBusy when a refresh doesn't end within a quarter of an hour."""
    rows.require_migrated()
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(target.parent)
        # Readable for this account alone.
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".moonwalk-", suffix=UNFINISHED)
        partial = Path(name)
        with os.fdopen(handle, "wb") as out, _standing_still(tell) as lock:
            made = _write(out, tell)
            lock.verify()
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)
    except OSError as error:
        raise BackupError(f"The backup can't be written to {target.parent}: {error.strerror or error}.") from error
    finally:
        if partial:
            partial.unlink(missing_ok=True)
    return made | {"bytes": target.stat().st_size}


def _sweep(folder: Path) -> None:
    """Remove what killed backups left in a folder: gigabytes, and without a key everybody's data in plain."""
    for file in folder.glob(f".moonwalk-*{UNFINISHED}"):
        if time.time() - file.stat().st_mtime > LEFT:
            file.unlink(missing_ok=True)


@contextlib.contextmanager
def _standing_still(tell: Tell) -> Iterator:
    """Nobody refreshes inside; waits for whoever does now."""
    from operations.lock import Lock, RefreshBusy

    until = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as held:
        while True:
            try:
                lock = held.enter_context(Lock(purpose=PURPOSE))
                break
            except RefreshBusy:
                if time.monotonic() > until:
                    raise
                tell(0.0, "Waiting for a refresh to end")
                time.sleep(1)
        yield lock


def _write(out, tell: Tell) -> dict:
    from analytics import queries

    key = settings.BACKUP_KEY
    files = _files(bool(key))
    about = {
        "format": FORMAT,
        "version": settings.VERSION,
        "made": timezone.now().isoformat(timespec="seconds"),
        "engine": connection.vendor,
        "migrations": rows.applied(),
        "build": queries.warehouse().current() or "",
        "secret_key_left_out": (settings.DATA_DIR / "secret_key").is_file() and not key,
    }
    with _packing(out, key) as pack:
        pack.add("about.json", json.dumps(about).encode())
        counted = 0
        for name, lines, so_far, all_rows in rows.read(PART):
            pack.add(name, lines)
            counted = so_far
            tell(0.3 * so_far / max(1, all_rows), "Rows of the database")
        done, whole = 0, sum(path.stat().st_size for path in files.values()) or 1
        for name, path in files.items():
            with path.open("rb") as file:
                pack.stream(name, file, path.stat().st_size)
            done += path.stat().st_size
            tell(0.3 + 0.7 * done / whole, f"Files: {Path(name).parts[1]}")
        contents = pack.contents | {"rows": counted}
        pack.add("contents.json", json.dumps(contents).encode())
    return {"rows": counted, "files": len(files), "secret_key": SECRET in files, "encrypted": bool(key),
            "build": about["build"]}  # fmt: skip


def _files(encrypted: bool) -> dict[str, Path]:
    """Name in the backup -> file. The key that signs sessions and share links goes along in an encrypted one alone."""
    found = {}
    for folder in FOLDERS:
        root = settings.DATA_DIR / folder
        for path in sorted(root.rglob("*")) if root.is_dir() else ():
            name = f"files/{folder}/{path.relative_to(root).as_posix()}"
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            if path.is_file() and not hidden and _PLACE.fullmatch(name):
                found[name] = path
    house = settings.WAREHOUSE_DIR  # a build without a manifest is unfinished, and its end will never come
    for name in [n for n in found if n.endswith(".duckdb") and not (house / f"{Path(n).stem}.json").exists()]:
        del found[name]
    if Path(settings.BUSINESS_FILE).is_file():
        found[BUSINESS] = Path(settings.BUSINESS_FILE)
    kept = settings.DATA_DIR / "secret_key"
    if encrypted and kept.is_file():
        found[SECRET] = kept
    return found


class _Pack:
    """A tar that is written part by part, with the size and hash of each remembered."""

    def __init__(self, tar: tarfile.TarFile):
        self._tar = tar
        self.contents: dict = {"parts": {}}

    def add(self, name: str, content: bytes) -> None:
        self.stream(name, io.BytesIO(content), len(content))

    def stream(self, name: str, file, size: int) -> None:
        info, reader = tarfile.TarInfo(name), _Hashing(file)
        info.size, info.mode, info.mtime = size, 0o600, int(time.time())
        self._tar.addfile(info, reader)
        self.contents["parts"][name] = [size, reader.hexdigest()]


class _Hashing:
    """A file to read from, with the hash of what was read."""

    def __init__(self, file):
        self._file, self._hash = file, hashlib.sha256()
        self.hexdigest = self._hash.hexdigest

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._hash.update(content)
        return content


@contextlib.contextmanager
def _packing(out, key: str) -> Iterator[_Pack]:
    """A pack that ends in `out`, encrypted when there is a key."""
    from etl.landing import Sealer

    sealer = Sealer(out, key) if key else None
    with (
        gzip.GzipFile(fileobj=sealer or out, mode="wb", compresslevel=COMPRESSION, filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|") as tar,
    ):
        yield _Pack(tar)
    if sealer:
        sealer.close()


# --- Bringing one back ---------------------------------------------------------------------------------------------


def living() -> str:
    """What this installation holds that a restore would replace, in words; "" when it is empty."""
    from analytics import queries

    held = rows.living()
    if current := queries.warehouse().current():
        held.append(f"build {current}")
    if any((settings.DATA_DIR / "landing").glob("*")):
        held.append("kept exports")
    return ", ".join(held)


def restore(source: Path, *, force: bool = False, tell: Tell = lambda done, words: None) -> dict:
    """Bring a backup back, all or nothing. Returns {"rows", "build", "made", "notes": [sentences]}.

    Raises BackupError: for a file that is no whole backup, one of a newer version, another key; while a refresh runs;
    and for an installation that holds something, unless forced: then all of it is replaced.
    """
    if not force and (held := living()):
        raise BackupError(
            f"This installation holds something already ({held}). Restore into an empty one, or add --force to replace "
            "all of it."
        )
    rows.require_nobody_refreshes()
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = Path(tempfile.mkdtemp(prefix=".restore-", dir=settings.DATA_DIR))
    try:
        about, counted = _unpack(source, aside, tell)
        notes = _replace(aside, about, counted, tell)
    except OSError as error:
        raise BackupError(f"The backup can't be restored: {error.strerror or error}. Nothing was changed.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    for left in settings.DATA_DIR.glob(".restore-*"):  # of restores that were killed
        shutil.rmtree(left, ignore_errors=True)
    return {"rows": counted, "build": about["build"], "made": about["made"], "notes": notes}


def _unpack(source: Path, aside: Path, tell: Tell) -> tuple[dict, int]:
    """Unpack into a folder, every part compared with what was written; what the backup says of itself, its rows."""
    damaged = BackupError(f"{source.name} is damaged or cut off: take another backup. Nothing was changed.")
    whole, about, seen, contents = source.stat().st_size or 1, {}, {}, {}
    with source.open("rb") as file:
        plain = _plain(file, source)
        try:
            with tarfile.open(fileobj=gzip.GzipFile(fileobj=plain, mode="rb"), mode="r|") as tar:
                for info in tar:
                    reader = _Hashing(tar.extractfile(info) or io.BytesIO())
                    if info.name == "contents.json":
                        contents = json.loads(reader.read())
                        break
                    if info.name == "about.json":
                        about = json.loads(reader.read())
                        _require_known(about)
                    else:
                        _lay_down(aside, info.name, reader)
                    seen[info.name] = [info.size, reader.hexdigest()]
                    tell(0.5 * min(1.0, plain.tell() / whole), "Unpacking and comparing")
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, WarehouseError) as error:
            raise damaged from error
    if not about or seen != contents.get("parts"):
        raise damaged
    return about, contents["rows"]


def _require_known(about: dict) -> None:
    """Raises BackupError for a backup of a version that came after this one."""
    newer = about["format"] > FORMAT
    unknown = rows.unknown(about["migrations"])
    if newer or unknown:
        raise BackupError(
            f"This backup was made by Moonwalk {about['version']}, which is newer than this one ({settings.VERSION}): "
            "install that version or a later one, then restore. Nothing was changed."
        )


def _lay_down(aside: Path, name: str, reader: _Hashing) -> None:
    if not (_PLACE.fullmatch(name) or rows.PART_NAME.fullmatch(name)) or ".." in name:
        raise ValueError(name)
    target = aside / name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with target.open("wb") as out:
        shutil.copyfileobj(reader, out, 1 << 20)
    target.chmod(0o600)


class _Joined:
    """Blocks that come one by one, as a file to read from."""

    def __init__(self, blocks: Iterable[bytes]):
        self._blocks, self._left, self._read = iter(blocks), b"", 0

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._left) < size:
            block = next(self._blocks, None)
            if block is None:
                size = len(self._left)
                break
            self._left += block
        found, self._left = self._left[:size], self._left[size:]
        self._read += len(found)
        return found

    def tell(self) -> int:
        return self._read


def _plain(file: BinaryIO, source: Path) -> BinaryIO | _Joined:
    """What a backup holds once it is deciphered. Raises BackupError for what is none, and for a key that is missing or
    another one."""
    from etl.landing import MAGIC, unseal

    start = file.read(3)
    file.seek(0)
    if start[:2] == b"\x1f\x8b":
        return file
    if start != MAGIC:
        raise BackupError(f"{source.name} is no backup of Moonwalk's.")
    if not settings.BACKUP_KEY:
        raise BackupError(f"{source.name} is encrypted: set MOONWALK_BACKUP_KEY to the key it was made with.")
    blocks = unseal(source, settings.BACKUP_KEY, "MOONWALK_BACKUP_KEY")
    try:
        first = next(blocks)
    except WarehouseError as error:
        raise BackupError(str(error)) from error
    return _Joined(itertools.chain([first], blocks))


def _replace(aside: Path, about: dict, counted: int, tell: Tell) -> list[str]:
    """Load the rows and let files and rows change places with what is there; sentences about what to know."""
    from operations import schedules

    swap = _Swap(settings.DATA_DIR, aside)
    marker = settings.DATA_DIR / CUT_OFF
    try:
        with rows.replaced(aside / "database", about["migrations"], counted,
                           lambda done: tell(0.5 + 0.45 * done, "Rows into the database")):  # fmt: skip
            schedules.count_from_now()
            marker.touch()
            swap.do([*FOLDERS, "uploads", "published", *(["secret_key"] if (aside / SECRET).exists() else [])])
    except BaseException:
        swap.undo()
        marker.unlink(missing_ok=True)
        raise
    marker.unlink()
    tell(0.97, "Files for Excel")
    notes = [FROM_NOW, *_business_note(aside / BUSINESS), *_figures()]
    if about["secret_key_left_out"]:
        notes.append("SECRET_KEY was not in this backup: share links made before open no more. Passwords are as ever.")
    return notes


class _Swap:
    """Folders and files of the data folder that change places with restored ones, and back if need be."""

    def __init__(self, data_dir: Path, aside: Path):
        self._data, self._new, self._old = data_dir, aside / "files", aside / "before"
        self._done: list[str] = []

    def do(self, names: list[str]) -> None:
        self._old.mkdir()
        for name in names:
            if (self._data / name).exists():
                (self._data / name).rename(self._old / name)
            self._done.append(name)
            if (self._new / name).exists():
                (self._new / name).rename(self._data / name)

    def undo(self) -> None:
        for name in reversed(self._done):
            if (self._data / name).exists():
                (self._data / name).rename(self._new / name)
            if (self._old / name).exists():
                (self._old / name).rename(self._data / name)


def _business_note(kept: Path) -> list[str]:
    """The business file goes where the settings want it, where there is none; another one is never written over."""
    wanted = Path(settings.BUSINESS_FILE)
    if not kept.exists() or (wanted.exists() and wanted.read_bytes() == kept.read_bytes()):
        return []
    if not wanted.exists():
        wanted.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, wanted)
        return [f"The business file was brought back to {wanted}."]
    beside = settings.DATA_DIR / "business.toml"
    shutil.copyfile(kept, beside)
    return [
        f"The backup's business file differs from {wanted}: it is now {beside}. Name it in MOONWALK_BUSINESS_FILE if "
        "the figures are to stay as they were."
    ]


def _figures() -> list[str]:
    """Files for Excel of the live build, and its exports into an exports folder that is empty: the next refresh then
    finds nothing new instead of nothing."""
    from analytics import queries
    from etl import pipeline
    from operations import inputs

    house = queries.warehouse()
    current = house.current()
    if not current:
        return []
    try:
        house.connect().close()
        pipeline.publish_files(
            house, current, settings.DATA_DIR / "published", with_personal_data=not settings.WAREHOUSE_KEY
        )
        exports = settings.EXPORTS_DIR
        if not (exports.is_dir() and any(exports.iterdir())):
            exports.mkdir(parents=True, exist_ok=True)
            manifest = house.manifest(current)
            for kind, file in manifest["files"].items():
                if kind not in manifest.get("uploaded", {}):
                    inputs.lay_out_kept(exports, file["file"], file["sha256"])
            return [f"The live build's exports were laid into {exports}, which was empty."]
    except MoonwalkError as error:
        return [f"IMPORTANT: the figures can't be shown yet. {error}"]
    except OSError as error:  # an exports folder that is only to be read, say
        return [f"The figures are back; their files could not all be laid out ({error.strerror})."]
    return []
