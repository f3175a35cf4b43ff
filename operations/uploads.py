"""Uploads: exports that somebody drops on a page, looked at first, then refreshed with or discarded.

Nothing an uploader says is a path here: files get names of our own, and an upload is found by a random id that only its
owner may use. Who may upload at all: analytics/access.py, page "upload".
"""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from etl.errors import ExportError, MoonwalkError
from operations import examine, held, inputs, refresh
from operations.models import RefreshRun

log = logging.getLogger(__name__)

MOST_FILES = 12
TURN_SECONDS = 60  # a click that holds its turn for longer died
BROKEN_OFF = timedelta(seconds=90)  # a check that has said nothing for so long died with its process


class NotNow(MoonwalkError):
    """What was asked can't be done as things stand; the text says why."""


@dataclass(frozen=True)
class Received:
    """A file as it arrived: the name its sender gave it (for sentences alone) and its bytes; None: it was too large."""

    name: str
    content: bytes | None


def shown_name(name: str) -> str:
    """A sender's file name as it may stand in a sentence: no folders, nothing that doesn't print, no more than 80
    characters."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    clean = "".join(c for c in last if c.isprintable()).strip()
    return clean if len(clean) <= 80 else f"{clean[:60]}…{clean[-19:]}"


def receive(files: list[Received], *, user) -> tuple[inputs.Upload | None, list[str]]:
    """Keep what arrived as a new upload of this person's, in place of their earlier ones, and start checking it.

    Returns it (None when no file can be used) and a sentence for each file that was refused.
    """
    from etl import screening

    inputs.sweep()
    good, refused = [], []
    for number, file in enumerate(files[:MOST_FILES], 1):
        name = shown_name(file.name) or f"File {number}"
        try:
            if file.content is None:
                raise ExportError(f"{name}: these files are larger than {_limit()} together. {_instead()}")
            good.append((number, name, screening.screen(file.content, name, settings.UPLOAD_BYTES), file.content))
        except ExportError as error:
            refused.append(str(error))
    if len(files) > MOST_FILES:
        refused.append(f"Only {MOST_FILES} files are taken at once; an upload has five at most: drop fewer.")
    if not good:
        return None, refused
    for earlier in of(user):
        if _run_under_way(earlier) is None:
            inputs.drop(earlier)
    folder = inputs.create(user.pk)
    listed = []
    for number, name, suffix, content in good:
        stored = f"{number}{suffix}"
        inputs.keep(folder, stored, content)
        sha256 = hashlib.sha256(content).hexdigest()
        listed.append({"stored": stored, "shown": name, "bytes": len(content), "sha256": sha256})
    about = inputs.read(folder, "about") | {"files": listed, "refused": refused}
    inputs.write(folder, "about", about)
    upload = inputs.Upload(folder, about)
    log.info("upload of user %s: %s files, %s refused", user.pk, len(listed), len(refused))
    start_check(upload)
    return upload, refused


def _limit() -> str:
    return f"{settings.UPLOAD_BYTES // 2**20:,} MB"


def _instead() -> str:
    return "Put them into the exports folder instead, or let an administrator raise MOONWALK_UPLOAD_MB."


def too_large() -> str:
    """What to say of an upload that is not even read."""
    return f"These files are larger than {_limit()} together. {_instead()}"


def of(user) -> list[inputs.Upload]:
    """This person's uploads, the newest first."""
    return [upload for upload in inputs.every() if upload.about["owner"] == user.pk]


def mine(upload_id: str, user) -> inputs.Upload | None:
    """The upload of an id when it is this person's own; None otherwise, whoever asks."""
    upload = inputs.find(upload_id)
    return upload if upload and upload.about["owner"] == user.pk else None


# --- Checking ------------------------------------------------------------------------------------------------------


def start_check(upload: inputs.Upload) -> None:
    """Check the files on a thread of this process; how far it is stands in the upload's "check"."""
    start = {"state": "checking", "percent": 0, "words": "Looking at the files", "at": timezone.now().isoformat()}
    upload.write("check", start)
    threading.Thread(target=examine.examine, args=(upload,), name="upload-check", daemon=True).start()


def check_of(upload: inputs.Upload) -> dict:
    """The report, or how far the check is; state "broken" when it died with its process."""
    check = upload.read("check")
    if check.get("state") == "checking" and timezone.now() - datetime.fromisoformat(check["at"]) > BROKEN_OFF:
        return {"state": "broken"}
    return check


def is_useless(upload: inputs.Upload) -> bool:
    """Did the check find that these files can't be used as they are?"""
    return bool(check_of(upload).get("errors") or upload.about["refused"])


def refusal(upload: inputs.Upload, check: dict) -> str:
    """Why these files can't be refreshed with; "" when they can."""
    if check.get("state") != "done":
        return "These files are still being checked: wait a moment."
    if is_useless(upload):
        return "These files can't be used as they are: discard them, mend what is said above, and drop them again."
    return ""


def left(check: dict) -> bool:
    """Did somebody go back behind these very exports, or discard what was made of them?"""
    return check["left"] or held.was_discarded(check["inputs"])


def asked(check: dict) -> dict[str, str]:
    """What a person must say yes to before these files are published: name -> words, each a tick on the page.

    "seen": revenue of closed months that moves by more than the limit, which a refresh would else be held for; "sure":
    whatever is marked IMPORTANT.
    """
    ticks = {}
    if months := over(check):
        names = " and ".join(", ".join(months).rsplit(", ", 1))
        ticks["seen"] = f"I have seen that revenue of {names} moves, and it is right: publish it."
    if important(check):
        ticks["sure"] = "I looked at what is marked IMPORTANT: refresh all the same."
    return ticks


def over(check: dict) -> list[str]:
    """Closed months whose revenue would move by more than the limit, the newest first: Feb 2026."""
    from operations import comparison

    limit = comparison.closed_month_limit()
    return list(dict.fromkeys(m["label"] for m in check["moved"] if comparison.is_over(m, limit)))


def important(check: dict) -> bool:
    """Is there anything that the page marks IMPORTANT?"""
    return any(map(many_gone, check["rows"].values())) or any("IMPORTANT" in text for text in check["warnings"])


def many_gone(rows: dict) -> bool:
    """Is a good part of an export's rows gone since the last refresh?"""
    return rows["before"] > 0 and rows["gone"] > rows["before"] * (1 - refresh.MUCH_SMALLER)


# --- Publishing ----------------------------------------------------------------------------------------------------


def run_of(upload: inputs.Upload) -> RefreshRun | None:
    """The last refresh that was started with these files."""
    return RefreshRun.objects.filter(pk=upload.read("run").get("id")).first()


def _run_under_way(upload: inputs.Upload) -> RefreshRun | None:
    run = run_of(upload)
    return run if run and run.is_under_way else None


def publish(upload: inputs.Upload, *, user, ticked: Collection[str] = ()) -> RefreshRun:
    """Queue a refresh with these files and return its record; a second click gets the first one's. ticked: the names
    of asked() that the person said yes to.

    Raises NotNow when the check found errors, stands against other files than those of the published build (it is
    then made anew), or something asked was not said yes to; RefreshBusy while another refresh runs, MoonwalkError when
    the queue can't be reached.
    """
    turn = upload.folder / "run.turn"
    with suppress(FileNotFoundError):
        if time.time() - turn.stat().st_mtime > TURN_SECONDS:
            turn.unlink()
    try:
        os.close(os.open(turn, os.O_CREAT | os.O_EXCL, 0o600))  # of two clicks at once one goes on
    except FileExistsError:
        if run := run_of(upload):
            return run
        raise NotNow("These files are being published already: look again in a moment.") from None
    try:
        run = run_of(upload)
        if run and (run.is_under_way or run.state == RefreshRun.State.PUBLISHED):
            return run
        check = check_of(upload)
        if why := refusal(upload, check):
            raise NotNow(why)
        house = refresh.warehouse()
        live = house.manifest(house.current()) if house.current() else {}
        if check["against"] != (house.base_of(live) or ""):
            start_check(upload)
            raise NotNow("Another refresh went live meanwhile: the files are compared again. Look, then decide.")
        ticks = asked(check)
        if ticks.keys() - set(ticked):
            raise NotNow("Nothing was published: read what these files would change, and tick what is asked below it.")
        if "seen" in ticks:
            upload.write("sure", {"against": check["against"]})
        # Told on the page that these files were rolled back or discarded, they mean it.
        run = refresh.start(
            user=user, force=left(check), exports_dir=upload.folder, trigger=RefreshRun.Trigger.UPLOAD
        )
        upload.write("run", {"id": run.pk})
        return run
    finally:
        turn.unlink(missing_ok=True)


def discard(upload: inputs.Upload) -> None:
    """Remove the files. Raises NotNow while a refresh reads them."""
    if _run_under_way(upload):
        raise NotNow("A refresh is under way with these files: wait for its end.")
    inputs.drop(upload)
