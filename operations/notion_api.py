"""Talking to Notion: never faster than it wants, once more where that can help, and no answer taken for granted.

Api.ask()    what may be repeated freely: a look, a list, a change of what exists
Api.make()   what would be there twice if it were repeated: after a lost answer it is looked for first

What went wrong is said in sentences of our own. The token is in none of them, in no log and in no error.
"""

import logging
import random
import re
import time
from collections.abc import Callable, Iterator

import httpx
from django.conf import settings
from notion_client import Client
from notion_client.errors import HTTPResponseError, RequestTimeoutError

from operations.transports import Hopeless, TryAgain, seconds_to_wait

log = logging.getLogger(__name__)

VERSION = "2026-03-11"  # of Notion's API: data sources (2025-09-03), and in_trash instead of archived
PER_SECOND = 3
# Notion itself ends a request after 60 seconds: who waits longer knows that nothing is made behind their back.
REQUEST_SECONDS, CONNECT_SECONDS = 65, 10
LOOK_AFTER = 3  # seconds from a lost answer to the look whether it was carried out
TRIES = 5  # of one request, before the whole push waits
# So long a push may take, its last request aside; the delivery's next attempt goes on from there. Both together stay
# below the time limit of the task (operations/tasks.py).
PUSH_SECONDS = 60
PAGE = 100  # of a list: as much as Notion gives, and as many blocks as it takes at once

NO_TOKEN = "Notion refuses the token (401): make a new one for the integration and set MOONWALK_NOTION_TOKEN."
NO_RIGHT = (
    "Notion lets the integration do too little (403): tick “Read content”, “Update content” and “Insert content” among "
    "its capabilities; in a free workspace see too whether its blocks are used up."
)
ODD_TOKEN = "MOONWALK_NOTION_TOKEN has characters that no token has: copy it once more, without spaces or quotes."


class Missing(Exception):
    """Notion has no such object, or doesn't show it to this integration (404)."""


class Invalid(Exception):
    """Notion doesn't take what was sent (400); its words. They may quote figures, never the token."""


class _Failed(Exception):
    """One request without a good answer. unsure: it may have been carried out; after: seconds that Notion asks for."""

    def __init__(self, reason: str, *, unsure: bool, after: float | None = None):
        super().__init__(reason)
        self.unsure, self.after = unsure, after


class Api:
    """Notion for one push. `alive` is called before each request: it raises when the push should end."""

    def __init__(self, alive: Callable[[], None] = lambda: None):
        token = settings.NOTION_TOKEN.strip()
        if not re.fullmatch(r"[\x21-\x7e]+", token):  # httpx would quote it in its complaint
            raise Hopeless(ODD_TOKEN)
        quiet = log.getChild("client")  # what matters is said below; the library's own words may hold ours
        self.client = Client(
            auth=token, base_url=settings.NOTION_URL, notion_version=VERSION, timeout_ms=REQUEST_SECONDS * 1000,
            retry=False, logger=quiet, log_level=logging.CRITICAL,
        )  # fmt: skip
        self.client.client.timeout = httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS)
        self._alive = alive
        self._until = time.monotonic() + PUSH_SECONDS
        self._next = time.monotonic()

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *exc) -> None:
        self.client.close()

    def ask(self, call: Callable, **what) -> dict:
        """The answer to call(**what). Raises Missing, Invalid, TryAgain, Hopeless."""
        return self._until_answered(call, what)

    def make(self, call: Callable, find: Callable[[], dict | None], **what) -> dict:
        """The same for what would be there twice: when it is unsure whether it was made, find() looks before it is made
        again."""
        return self._until_answered(call, what, find)

    def every(self, call: Callable, **what) -> Iterator[dict]:
        """All of a list, page by page."""
        cursor = None
        while True:
            more = {"start_cursor": cursor} if cursor else {}
            answer = self.ask(call, page_size=PAGE, **what, **more)
            yield from answer["results"]
            cursor = answer.get("next_cursor")
            if not answer.get("has_more") or not cursor:
                return

    def _until_answered(self, call: Callable, what: dict, find: Callable[[], dict | None] | None = None) -> dict:
        failed = None
        for attempt in range(TRIES):
            try:
                return self._once(call, what)
            except _Failed as error:
                failed = error
            log.warning("Notion, attempt %s: %s", attempt + 1, failed)
            look = find and failed.unsure
            self._wait(failed, attempt, LOOK_AFTER if look else 0)
            if look and (found := find()):
                return found
        raise TryAgain(str(failed))

    def _once(self, call: Callable, what: dict) -> dict:
        self._pace()
        self._alive()
        try:
            return call(**what)
        except RequestTimeoutError:
            raise _Failed("Notion did not answer in time.", unsure=True) from None
        except HTTPResponseError as error:
            raise _refusal(error) from None
        except (httpx.TransportError, ValueError) as error:  # ValueError: half an answer
            raise _Failed(f"Notion can't be reached ({type(error).__name__}).", unsure=True) from None

    def _pace(self) -> None:
        now = time.monotonic()
        if now > self._until:
            raise TryAgain("Notion takes long: the push goes on where it stopped.")
        if self._next > now:
            time.sleep(self._next - now)
        self._next = max(now, self._next) + 1 / PER_SECOND

    def _wait(self, failed: _Failed, attempt: int, least: float) -> None:
        seconds = failed.after if failed.after is not None else min(2**attempt, 8) * random.uniform(0.75, 1.25)
        seconds = max(seconds, least)
        if time.monotonic() + seconds > self._until:
            raise TryAgain(str(failed), seconds)
        time.sleep(seconds)


def _refusal(error: HTTPResponseError) -> Exception:
    """What an answer that is no success means."""
    status = error.status
    if status in (429, 529):
        after = seconds_to_wait(error.headers.get("Retry-After"))
        return _Failed(f"Notion asks for patience ({status}).", unsure=False, after=after)
    if status in (408, 409) or status >= 500:
        return _Failed(f"Notion could not do it now ({status}).", unsure=True)
    if status == 401:
        return Hopeless(NO_TOKEN)
    if status == 403:
        return Hopeless(NO_RIGHT)
    if status == 404:
        return Missing()
    return Invalid(f"{status}: {' '.join(str(error).split())[:300]}")
