"""Snapshot files of the warehouse: create, encrypt, publish, list, roll back, prune, open read-only.

One build is one file `<build_id>.duckdb` with its `<build_id>.json` (the manifest) beside it; `current` holds the id
of the published one. A build gets a new name each time: DuckDB keeps one instance a path within a process, so a file
replaced under its old name would go on serving old data.
"""

import json
import os
import re
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import duckdb

from etl.errors import WarehouseError

REBUILDS = 3  # of one base that stay: a reader may be about to open the one before
_BUILD_ID = re.compile(r"^[0-9A-Za-z][0-9A-Za-z-]{5,60}$")


@dataclass(frozen=True)
class BuildInfo:
    """One build on disk. `created` is local to the business; `size` in bytes; `inputs` names its set of exports."""

    build_id: str
    created: datetime
    as_of: str
    size: int
    current: bool
    inputs: str
    manifest: dict


@cache
def _httpfs() -> str | None:
    """The path of the extension that writes encrypted files, from its wheel (DuckDB would download it otherwise)."""
    try:
        import duckdb_extension_httpfs
    except ImportError:
        return None
    found = sorted(Path(duckdb_extension_httpfs.__path__[0]).rglob("httpfs.duckdb_extension"))
    return str(found[-1]) if found else None


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Warehouse:
    """The builds under one folder. `key` encrypts and decrypts them (AES-256); None or "" leaves them plain."""

    def __init__(self, root: Path | str, key: str | None = None):
        self.root = Path(root)
        self.key = key or None

    # Paths -------------------------------------------------------------------------------------------------------

    def path(self, build_id: str) -> Path:
        """The file of a build. Raises WarehouseError for a name that is none."""
        if not _BUILD_ID.match(build_id):
            raise WarehouseError(f"{build_id!r} is no build: `manage.py warehouse list` shows them.")
        return self.root / f"{build_id}.duckdb"

    def manifest(self, build_id: str) -> dict:
        """The manifest of a build; {} when it has none."""
        try:
            return json.loads(self.path(build_id).with_suffix(".json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    @staticmethod
    def base_of(manifest: dict) -> str | None:
        """What a build was made of, payments aside: two builds of one base differ by what staff recorded alone."""
        return manifest.get("base") or manifest.get("fingerprint")

    def write_manifest(self, build_id: str, manifest: dict) -> None:
        """Keep a build's manifest beside it, whole or not at all."""
        _write_atomically(self.path(build_id).with_suffix(".json"), json.dumps(manifest, indent=1))

    def current(self) -> str | None:
        """The id of the published build; None when nothing was published yet."""
        try:
            return (self.root / "current").read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None

    def builds(self) -> list[BuildInfo]:
        """Every finished build, the newest first. A file without a manifest is an unfinished one and is left out."""
        current, found = self.current(), []
        for path in self.root.glob("*.duckdb"):
            manifest = self.manifest(path.stem)
            if manifest:
                created = datetime.fromisoformat(manifest["created"])
                found.append(
                    BuildInfo(
                        path.stem,
                        created,
                        manifest["as_of"],
                        path.stat().st_size,
                        path.stem == current,
                        manifest["inputs"],
                        manifest,
                    )  # fmt: skip
                )
        return sorted(found, key=lambda b: (b.created, b.build_id), reverse=True)

    # Opening -----------------------------------------------------------------------------------------------------

    def _open(self, path: Path, read_only: bool, writing: bool = False) -> duckdb.DuckDBPyConnection:
        home = self.root / ".duckdb"  # an own folder: a filled home folder would hide a missing step
        con = duckdb.connect(
            ":memory:",
            config={
                "extension_directory": str(home),
                "temp_directory": str(home / "tmp"),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "python_enable_replacements": "false",
                # Order costs memory at scale; marts that care sort themselves.
                "preserve_insertion_order": "true",
            },
        )
        try:
            con.execute("SET enable_progress_bar = false")  # the refresh has its own
            options = ["READ_ONLY"] if read_only else []
            if self.key:
                con.execute("SET temp_file_encryption = true")  # what does not fit in memory lies on disk for a while
                options.append(f"ENCRYPTION_KEY {_quote(self.key)}")
                if writing:
                    extension = _httpfs()
                    if not extension:
                        raise WarehouseError(
                            "Encrypting the warehouse needs the package duckdb-extension-httpfs of DuckDB's own "
                            f"version ({duckdb.__version__}): install requirements.txt again."
                        )
                    con.execute(f"LOAD {_quote(extension)}")
            con.execute(f"ATTACH {_quote(str(path))} AS warehouse" + (f" ({', '.join(options)})" if options else ""))
            con.execute("USE warehouse")
        except duckdb.Error as error:
            con.close()
            raise WarehouseError(self._say(path, error)) from error
        except BaseException:
            con.close()
            raise
        return con

    def _say(self, path: Path, error: Exception) -> str:
        text = str(error)
        if "rong encryption key" in text:
            return (
                f"The key in MOONWALK_WAREHOUSE_KEY does not open build {path.stem}: set the key it "
                "was made with, or refresh with --force to build anew with this one."
            )
        if "encrypted" in text.lower() and not self.key:
            return f"Build {path.stem} is encrypted: set MOONWALK_WAREHOUSE_KEY to the key it was made with."
        if self.key and "not encrypted" in text.lower():
            return (
                f"Build {path.stem} is not encrypted but MOONWALK_WAREHOUSE_KEY is set: refresh with --force to build "
                "an encrypted one."
            )
        return f"Build {path.stem} cannot be opened: {text.splitlines()[0]}"

    def connect(self, build_id: str | None = None) -> duckdb.DuckDBPyConnection:
        """A read-only connection to a build (none named: the published one); its tables need no schema prefix.

        Raises WarehouseError when there is no such build, or the key is wrong or missing.
        """
        build_id = build_id or self.current()
        if not build_id:
            raise WarehouseError("There is no data yet: put the exports in the exports folder and refresh.")
        path = self.path(build_id)
        if not path.exists():
            raise WarehouseError(f"There is no build {build_id}: `manage.py warehouse list` shows those there are.")
        return self._open(path, read_only=True)

    @contextmanager
    def open_candidate(self, build_id: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-write connection to a build never published. Raises WarehouseError for a published one."""
        if build_id == self.current() or self.manifest(build_id).get("published"):
            raise WarehouseError(f"Build {build_id} was published and is never written again.")
        self.root.mkdir(parents=True, exist_ok=True)
        con = self._open(self.path(build_id), read_only=False, writing=True)
        try:
            yield con
            con.execute("CHECKPOINT warehouse")
        finally:
            con.close()

    # Publishing --------------------------------------------------------------------------------------------------

    def publish(self, build_id: str) -> None:
        """Make a finished build the one that pages read, in one atomic step."""
        manifest = self.manifest(build_id)
        if not manifest or not self.path(build_id).exists():
            raise WarehouseError(f"There is no finished build {build_id} to publish.")
        if not manifest.get("published") or manifest.get("rolled_back"):
            manifest.pop("rolled_back", None)
            manifest["published"] = datetime.now().astimezone().isoformat(timespec="seconds")
            self.write_manifest(build_id, manifest)
        _write_atomically(self.root / "current", build_id + "\n")

    def earlier(self, build_id: str | None = None) -> str:
        """The published build to go back to: the one named, else the last one before the current that is made of
        something else than it (payments aside: they would only come in again) and that nobody left. Raises
        WarehouseError when there is none, or when it can't be opened."""
        builds = [b for b in self.builds() if b.manifest.get("published")]
        if build_id is None:
            current = next((i for i, b in enumerate(builds) if b.current), len(builds))
            base = self.base_of(builds[current].manifest) if builds[current:] else None
            others = [
                b for b in builds[current + 1 :]
                if not b.manifest.get("rolled_back") and (base is None or self.base_of(b.manifest) != base)
            ]  # fmt: skip
            if not others:
                raise WarehouseError("There is no earlier published build to roll back to.")
            build_id = others[0].build_id
        elif build_id not in {b.build_id for b in builds}:
            raise WarehouseError(
                f"There is no published build {build_id}: `manage.py warehouse list` shows those there are."
            )
        self.connect(build_id).close()
        return build_id

    def rollback(self, build_id: str) -> None:
        """Make a build that earlier() gave the one that pages read; what was published after it counts as left."""
        builds = self.builds()
        target = next(b for b in builds if b.build_id == self.earlier(build_id))
        for build in builds:  # so that the next refresh does not publish the same inputs again by itself
            later = build.created > target.created and build.build_id != build_id
            if later and build.manifest.get("published") and not build.manifest.get("rolled_back"):
                stamp = datetime.now().astimezone().isoformat(timespec="seconds")
                self.write_manifest(build.build_id, build.manifest | {"rolled_back": stamp})
        self.publish(build_id)

    def rolled_back(self) -> set[str]:
        """The `inputs` of builds somebody rolled back: not published again without being told to."""
        current = self.current()
        builds = self.builds()
        live = {b.inputs for b in builds if b.build_id == current}
        return {b.inputs for b in builds if b.manifest.get("rolled_back")} - live

    def discard(self, build_id: str) -> None:
        """Remove a build that is not the published one, with its manifest."""
        if build_id == self.current():
            raise WarehouseError(f"Build {build_id} is the published one and stays.")
        path = self.path(build_id)
        for file in (path.with_suffix(".json"), path, path.with_name(path.name + ".wal")):
            file.unlink(missing_ok=True)

    def prune(self, keep: int = 5, protect: Collection[str] = ()) -> list[str]:
        """Remove builds beyond the last `keep` sets of exports, and unfinished files; return their ids.

        Rebuilds of one set of exports (a payment, an upgrade) count as one set; of an older set only the newest stays,
        of the newest set the last rebuilds for payments. With a key, plain builds go too. protect: builds that stay
        and count for none of this, as nobody has published them yet.
        """
        sets: list[str] = []
        bases: list[str | None] = []
        removed = []
        for build in self.builds():
            if build.build_id in protect:
                continue
            bases.append(self.base_of(build.manifest))
            first = build.inputs not in sets
            if first:
                sets.append(build.inputs)
            newest_set = build.inputs == sets[0]
            recent = newest_set and (bases[-1] is None or bases.count(bases[-1]) <= REBUILDS)
            stays = build.current or (len(sets) <= keep and (first or recent))
            if self.key and build.manifest.get("encrypted") is False and not build.current:
                stays = False  # from before there was a key: anybody can read it and nobody can publish it
            if not stays:
                removed.append(build.build_id)
        finished = {b.build_id for b in self.builds()}
        stray = [p.stem for p in self.root.glob("*.duckdb") if p.stem not in finished and p.stem not in protect]
        for build_id in removed + stray:
            self.discard(build_id)
        return removed


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
