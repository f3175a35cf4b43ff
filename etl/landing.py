"""Keep what came in: inputs by content hash, quarantined rows by build; encrypted when the warehouse is.

An encrypted file is `MW1`, 8 random bytes, then blocks of up to 1 MiB, each sealed with AES-256-GCM under the next
counter; the last block is marked as the last, so that a cut-off file does not pass for a whole one.
"""

import hashlib
import io
import os
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

import polars as pl

from etl.errors import ExportError, WarehouseError

MAGIC = b"MW1"
BLOCK = 1 << 20
SEALED = ".sealed"


@cache
def _cipher(key: str):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hashlib.scrypt(key.encode(), salt=b"moonwalk files", n=1 << 14, r=8, p=1, dklen=32))


class Sealer:
    """A file to write to: what goes in is encrypted into `out`, block by block. Whole only once close() was called; who
    stops before leaves a file that unseal() refuses."""

    def __init__(self, out: BinaryIO, key: str):
        self._out, self._cipher, self._nonce = out, _cipher(key), os.urandom(8)
        self._waiting, self._counter = bytearray(), 0
        out.write(MAGIC + self._nonce)

    def write(self, content: bytes) -> int:
        self._waiting += content
        while len(self._waiting) > BLOCK:  # the last block, full or not, waits for close() to mark it
            self._put(bytes(self._waiting[:BLOCK]), b"more")
            del self._waiting[:BLOCK]
        return len(content)

    def flush(self) -> None:
        """Nothing: a block goes out when it is full."""

    def close(self) -> None:
        self._put(bytes(self._waiting), b"last")
        self._waiting.clear()

    def _put(self, block: bytes, mark: bytes) -> None:
        self._out.write(self._cipher.encrypt(self._nonce + self._counter.to_bytes(4, "big"), block, mark))
        self._counter += 1


def seal(plain: BinaryIO, target: Path, key: str, sha256: str | None = None) -> bool:
    """Write what `plain` holds encrypted to `target`, whole or not at all: not when it lacks the content hash given."""
    content = hashlib.sha256()
    partial = target.with_name(f".{target.name}.partial")
    with partial.open("wb") as out:
        sealer = Sealer(out, key)
        while block := plain.read(BLOCK):
            content.update(block)
            sealer.write(block)
        sealer.close()
    if sha256 not in (None, content.hexdigest()):
        partial.unlink()
        return False
    partial.replace(target)
    return True


def unseal(path: Path, key: str, setting: str = "MOONWALK_WAREHOUSE_KEY") -> Iterator[bytes]:
    """The plain bytes of an encrypted file, block by block. Raises WarehouseError when the key, which is that of
    `setting`, is not its own."""
    from cryptography.exceptions import InvalidTag

    cipher = _cipher(key)
    with path.open("rb") as file:
        if file.read(3) != MAGIC:
            raise WarehouseError(f"{path.name} is not one of Moonwalk's encrypted files.")
        nonce = file.read(8)
        block, counter = file.read(BLOCK + 16), 0
        while True:
            following = file.read(BLOCK + 16)
            try:
                yield cipher.decrypt(nonce + counter.to_bytes(4, "big"), block, b"more" if following else b"last")
            except InvalidTag:
                raise WarehouseError(
                    f"The key in {setting} does not open {path.name}, or the file is damaged."
                ) from None
            if not following:
                return
            block, counter = following, counter + 1


def keep_input(source: Path, sha256: str, folder: Path, key: str | None) -> Path:
    """Keep a copy of an input under its content hash; one kept before is left as it is. Returns the copy's path.

    Raises ExportError when the file no longer has that content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (sha256 + source.suffix.lower() + (SEALED if key else ""))
    if target.exists():
        return target
    partial = target.with_name(f".{target.name}.partial")
    if key:
        with source.open("rb") as file:  # never a plain copy, not for a moment
            kept = seal(file, target, key, sha256)
    else:
        shutil.copyfile(source, partial)
        with partial.open("rb") as file:
            kept = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        partial.replace(target) if kept else partial.unlink()
    if not kept:
        raise ExportError(f"{source.name} changed while it was being read: wait for it, then refresh again.")
    return target


def seal_all(folder: Path, key: str) -> None:
    """Seal the plain files that lie in a folder and below from before there was a key."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith((SEALED, ".partial")):
            with path.open("rb") as file:
                seal(file, path.with_name(path.name + SEALED), key)
            path.unlink()


# What a spreadsheet would run as a formula begins so. A sign before a plain number makes no formula, but a phone
# number would be read as a number there.
RISKY, SIGNED_NUMBER = r"[=+\-@\t\r]", r"[+-][\d.,\s]+"


def escaped(text: str, signed: bool = False) -> str:
    """A text that a spreadsheet would take for more than text, with a quote before it. signed: leave a sign before a
    plain number alone, where all cells are text (amounts too), or where the form itself says that they are."""
    return "'" + text if re.match(RISKY, text) and not (signed and re.fullmatch(SIGNED_NUMBER, text)) else text


def _escaped(rows: pl.DataFrame) -> pl.DataFrame:
    """escaped(signed=True) of every text."""
    text = pl.col(pl.String)
    risky = text.str.contains(f"^{RISKY}") & ~text.str.contains(f"^{SIGNED_NUMBER}$")
    return rows.with_columns(pl.when(risky).then("'" + text).otherwise(text).name.keep())


def write_csv(rows: pl.DataFrame, target: Path | BinaryIO, bom: bool = True) -> None:
    """Write a CSV: no cell that runs as a formula; UTF-8 with BOM for people with Excel, without for programs."""
    _escaped(rows).write_csv(target, include_bom=bom)


def keep_quarantine(rows: pl.DataFrame, kind: str, folder: Path, key: str | None) -> Path:
    """Write quarantined rows of one kind as CSV (UTF-8 with BOM for Excel) into a build's quarantine folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.csv"
    if not key:
        write_csv(rows, path)
        return path
    text = io.BytesIO()
    write_csv(rows, text)
    text.seek(0)
    seal(text, path.with_name(path.name + SEALED), key)
    return path.with_name(path.name + SEALED)


def quarantine_files(data_dir: Path, build_id: str) -> dict[str, Path]:
    """kind -> file of quarantined rows of a build; empty when every row was fine."""
    folder = Path(data_dir) / "quarantine" / build_id
    return {p.name.split(".")[0]: p for p in sorted(folder.glob("*.csv*"))} if folder.is_dir() else {}


def open_kept(path: Path, key: str | None) -> bytes:
    """The plain bytes of a kept file, encrypted or not. Raises WarehouseError when it needs a key that is not set."""
    if path.name.endswith(SEALED):
        if not key:
            raise WarehouseError(f"{path.name} is encrypted: set MOONWALK_WAREHOUSE_KEY to the key it was made with.")
        return b"".join(unseal(path, key))
    return path.read_bytes()
