"""Which files a refresh reads: those of the exports folder, those somebody uploaded, and what stays of earlier ones.

An upload is a folder under <data folder>/uploads, for its owner's eyes alone: the files as they came, sealed when there
is a key, and what is known about them as JSON. Files of an upload that went live are kept as every input is (by content
hash, etl/landing.py), and the live build's manifest names them: a later refresh takes them again until the exports
folder has newer ones. So going back to an earlier build goes back to its files too.
"""

import io
import json
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from etl.errors import ExportError, WarehouseError

KEPT_FOR = timedelta(days=1)
MEMORY = Path("/dev/shm")  # files that live in memory: with a key, nothing plain is to reach a disk
OPENED = "moonwalk-upload-"
OPEN_FOR = 3600  # seconds: a folder older than this was left by a process that died
_ID = re.compile(r"[A-Za-z0-9_-]{22}")


def root() -> Path:
    """The folder of all uploads."""
    return settings.DATA_DIR / "uploads"


def _key() -> str | None:
    return settings.WAREHOUSE_KEY or None


@dataclass(frozen=True)
class Upload:
    """One person's files in a folder of their own. `about`: owner (user id), created, files, refused."""

    folder: Path
    about: dict

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def created(self) -> datetime:
        return datetime.fromisoformat(self.about["created"])

    def write(self, name: str, content: dict) -> None:
        """Keep a piece of JSON under a name, whole or not at all."""
        write(self.folder, name, content)

    def read(self, name: str) -> dict:
        """A piece of JSON by its name; {} when there is none."""
        return read(self.folder, name)


def create(owner: int) -> Path:
    """A new, empty folder for an upload, readable by this account alone."""
    root().mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = root() / secrets.token_urlsafe(16)
    folder.mkdir(mode=0o700)
    write(folder, "about", {"owner": owner, "created": timezone.now().isoformat(), "files": [], "refused": []})
    return folder


def find(upload_id: str) -> Upload | None:
    """The upload of an id; None for anything else, whatever it says: an id is never used as a path before it fits."""
    if not _ID.fullmatch(upload_id):
        return None
    folder = root() / upload_id
    about = read(folder, "about") if folder.is_dir() else {}
    return Upload(folder, about) if about else None


def every() -> list[Upload]:
    """All uploads, the newest first."""
    found = [find(folder.name) for folder in root().iterdir()] if root().is_dir() else []
    return sorted((u for u in found if u), key=lambda u: u.created, reverse=True)


def write(folder: Path, name: str, content: dict) -> None:
    """Keep JSON in an upload's folder: sealed when there is a key, as it may quote customers' rows."""
    keep(folder, f"{name}.json", json.dumps(content).encode())


def read(folder: Path, name: str) -> dict:
    """JSON that write() kept; {} when it isn't there, or was sealed with another key."""
    try:
        return json.loads(content_of(folder, f"{name}.json"))
    except (FileNotFoundError, NotADirectoryError, WarehouseError):
        return {}


def keep(folder: Path, name: str, content: bytes) -> None:
    """Keep a file in an upload's folder, sealed when there is a key; whole or not at all."""
    from etl import landing

    if key := _key():
        landing.seal(io.BytesIO(content), folder / (name + landing.SEALED), key)
        return
    handle, partial = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(partial).replace(folder / name)


def content_of(folder: Path, name: str) -> bytes:
    """What keep() kept. Raises FileNotFoundError, or WarehouseError when the key is not its own."""
    from etl import landing

    sealed = folder / (name + landing.SEALED)
    return landing.open_kept(sealed if sealed.exists() else folder / name, _key())


def drop(upload: Upload) -> None:
    """Remove an upload with everything in it."""
    shutil.rmtree(upload.folder, ignore_errors=True)


def sweep() -> None:
    """Remove uploads older than a day, folders without a record, and what dead processes left open."""
    if root().is_dir():
        for folder in root().iterdir():
            upload = find(folder.name)
            old = time.time() - folder.stat().st_mtime > OPEN_FOR if upload is None else _ran_out(upload)
            if old:
                shutil.rmtree(folder, ignore_errors=True)
    for place in {MEMORY, root()}:
        for folder in place.glob(f"{OPENED}*") if place.is_dir() else ():
            with suppress(OSError):
                stat = folder.stat()
                if stat.st_uid == os.getuid() and time.time() - stat.st_mtime > OPEN_FOR:
                    shutil.rmtree(folder, ignore_errors=True)


def _ran_out(upload: Upload) -> bool:
    return timezone.now() - upload.created > KEPT_FOR


# --- Opened for reading --------------------------------------------------------------------------------------------


@contextmanager
def work_folder() -> Iterator[Path]:
    """A folder of this account alone for plain files, removed at the end; with a key in memory where there is room."""
    place = root()
    in_memory = bool(_key()) and MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    if in_memory and shutil.disk_usage(MEMORY).free > 4 * settings.UPLOAD_BYTES:
        place = MEMORY
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix=OPENED, dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def lay_out_kept(folder: Path, name: str, sha256: str) -> None:
    """Lay an earlier input out in a work folder, by its content hash. Raises WarehouseError when it isn't there any
    more, or was sealed with another key."""
    from etl import landing

    suffix = Path(name).suffix.lower()
    plain = settings.DATA_DIR / "landing" / (sha256 + suffix)
    sealed = plain.with_name(plain.name + landing.SEALED)
    if sealed.exists():
        (folder / name).write_bytes(landing.open_kept(sealed, _key()))
    elif plain.exists():
        (folder / name).symlink_to(plain)
    else:
        raise WarehouseError(f"{name} of an earlier refresh is no longer kept.")


@dataclass
class Inputs:
    """What a refresh reads: a folder of exports; `uploaded` says which of them came by upload (kind -> file, sha256,
    at), `warnings` what could not be taken. `sure`: what the build was made of (its base) against which somebody saw
    what these exports move of closed months, and said yes; "" for nobody."""

    folder: Path
    uploaded: dict[str, dict] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    sure: str = ""

    def remember(self, manifest: dict) -> None:
        """Write into a build's manifest which of its files came by upload, and the warnings."""
        files = manifest["files"]
        kept = {k: u for k, u in self.uploaded.items() if k in files and files[k]["sha256"] == u["sha256"]}
        if kept:
            manifest["uploaded"] = kept
        manifest["warnings"] = [*self.warnings, *manifest["warnings"]]


@contextmanager
def opened(folder: Path, live: dict) -> Iterator[Inputs]:
    """The exports to build from when a refresh is told to read `folder`; live: the manifest of the published build.

    An upload's folder stands for its files and those it takes over from the last refresh; the exports folder for its
    files and those uploaded since. Any other folder for itself. Raises ExportError, WarehouseError.
    """
    if folder.parent == root():
        upload = find(folder.name)
        plan = upload.read("plan") if upload else {}
        if not plan:
            raise ExportError("The uploaded files are gone (they are kept for a day): upload them again.")
        with work_folder() as work:
            yield _upload_laid_out(upload, plan, live, work)
    elif folder == Path(settings.EXPORTS_DIR) and live.get("uploaded"):
        with work_folder() as work:
            found = _exports_and_uploads(folder, live["uploaded"], work)
            try:
                yield found
            except ExportError as error:
                raise ExportError(str(error).replace(str(work), str(folder))) from error
    else:
        yield Inputs(folder)


def _upload_laid_out(upload: Upload, plan: dict, live: dict, work: Path) -> Inputs:
    for file in plan["files"]:
        (work / file["name"]).write_bytes(content_of(upload.folder, file["stored"]))
    for file in plan["kept"]:
        lay_out_kept(work, file["name"], file["sha256"])
    at = timezone.now().isoformat()
    new = {f["kind"]: {"file": f["name"], "sha256": f["sha256"], "at": at} for f in plan["files"] if f["mine"]}
    return Inputs(work, live.get("uploaded", {}) | new, sure=upload.read("sure").get("against", ""))


def _exports_and_uploads(folder: Path, uploaded: dict, work: Path) -> Inputs:
    """Links to the exports folder's files beside the uploaded ones, which carry the time of their upload: of each kind
    the newest then wins as ever."""
    from etl.sources import SUFFIXES

    found = Inputs(work, dict(uploaded))
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_file() and path.suffix.lower() in SUFFIXES:
            (work / path.name).symlink_to(path.resolve())
    for file in uploaded.values():
        name = file["file"]
        if (work / name).exists():
            name = f"{Path(name).stem} (uploaded){Path(name).suffix}"
        aside = work / "aside"
        aside.mkdir(exist_ok=True)
        try:
            lay_out_kept(aside, file["file"], file["sha256"])
        except WarehouseError as error:
            found.warnings.append(f"An uploaded file can't be taken again: {error} What the exports folder has counts.")
            continue
        # A copy, not a link: its time is to be that of the upload.
        shutil.copyfile(aside / file["file"], work / name)
        at = datetime.fromisoformat(file["at"]).timestamp()
        os.utime(work / name, (at, at))
    return found


@contextmanager
def of_build(manifest: dict) -> Iterator[Inputs]:
    """The files that a build was made of, as they are kept: for a rebuild of nothing else than these. Raises
    WarehouseError when one isn't there any more."""
    with work_folder() as work:
        for file in manifest["files"].values():
            lay_out_kept(work, file["file"], file["sha256"])
        yield Inputs(work, manifest.get("uploaded", {}))


def settle(folder: Path) -> None:
    """The files of an upload went live, or were live before: remove them. Its record stays for a day, so that its
    page can say so."""
    if folder.parent == root() and (upload := find(folder.name)):
        keep_these = ("about.json", "run.json")
        for file in upload.folder.iterdir():
            if not file.name.startswith(keep_these):
                file.unlink(missing_ok=True)
