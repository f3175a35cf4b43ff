"""What leaves the house is a row first, then sent until it arrived or is given up: record(), deliver(), resend().

Nothing here fails what it is told of: a mail server that is down costs a refresh nothing. Sent by whoever comes first:
the queue right after the commit (REDIS_URL), the tick, a command. One claims the row by compare-and-swap and gives
signs of life; a claim without one is a dead worker's and taken over. So each goes at least once: who died between the
other side's "ok" and writing it down lets it go twice, an e-mail under the same Message-ID.
"""

import hashlib
import logging
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from traceback import format_tb

from auditlog.context import disable_auditlog
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from analytics.access import may_whole
from operations import audit, current_run, queue
from operations.models import Delivery, RefreshRun
from operations.services import Refused
from operations.transports import Hopeless, TryAgain

log = logging.getLogger(__name__)

TASK = "operations.deliver"
SENDERS = {  # what is called with the delivery; raises TryAgain, Hopeless
    Delivery.Kind.MAIL: "operations.transports.by_mail", Delivery.Kind.SLACK: "operations.transports.by_slack",
    Delivery.Kind.NOTION: "operations.notion.send",
}  # fmt: skip
State = Delivery.State
CLAIM_SECONDS = 40  # without a sign of life for so long a claim is a dead worker's
BEAT_SECONDS = 10
FIRST_WAIT, LONGEST_WAIT = 30, 3600  # seconds; doubled after each attempt
LONGEST_ASKED = 24 * 3600  # seconds that another side may ask us to wait
MOST_ATTEMPTS = 55  # doubling to an hour, then hourly: two days
MOST_SURPRISES = 12  # five hours: what nobody foresaw is rarely mended by waiting
IN_PROCESS_SECONDS = 30  # after so long a command, or a person's click, leaves the rest to the next round
KEEP = timedelta(days=180)


def record(
    kind: str,
    key: str,
    about: str,
    *,
    recipient: str = "",
    content: dict | None = None,
    run: RefreshRun | None = None,
    event=None,
) -> Delivery:
    """The delivery of this key, recorded now unless it was before; the queue is asked after the commit.

    content of an e-mail: {"subject", "text", "lines": [words or (label, value)], "url", "attachments": [what
    analytics.report.attachment makes a file of]}; of Slack {"text", "url"}; of Notion {"build_id"}. Nothing bulky.
    """
    key = _short(key)
    if found := Delivery.objects.filter(key=key).first():
        return found
    row = Delivery(
        kind=kind, key=key, about=about[:200], recipient=recipient, content=content or {}, run=run, event=event,
        next_attempt_at=timezone.now(),
    )  # fmt: skip
    Delivery.objects.bulk_create([row], ignore_conflicts=True)  # somebody may be recording the same
    row = Delivery.objects.get(key=key)
    _ask(row)
    return row


def _short(key: str) -> str:
    """A key that fits its column; a longer one by what tells it from others."""
    return key if len(key) <= 200 else f"{key[:150]}:{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _ask(row: Delivery) -> None:
    """Have the queue send it after the commit. Without one, or where it can't be reached, the next round does."""
    transaction.on_commit(lambda: queue.send(TASK, expires=queue.EXPIRES, pk=row.pk))


def due() -> QuerySet[Delivery]:
    """Whose moment has come, those of dead workers too; the longest waiting first."""
    under_way = Delivery.objects.filter(state__in=[State.WAITING, State.SENDING])
    return under_way.filter(next_attempt_at__lte=timezone.now()).order_by("next_attempt_at", "pk")


def deliver(pk: int) -> Delivery | None:
    """Send it, if its moment has come and nobody else does; the row as it is then. None: there was nothing to do."""
    row = _claim(pk)
    if row is None:
        return None
    with current_run.told(row.run_id):
        _attempt(row)
    row.refresh_from_db()
    return row


def deliver_due(only: Iterable[int] | None = None, seconds: float = IN_PROCESS_SECONDS) -> int:
    """One round in this process, of all that is due or of these alone; how many were sent.

    Where one of a kind can't go now the others of its kind wait too: each would wait for the same timeout. Begins none
    after `seconds`, or when the process is about to end.
    """
    until, sent, waits = time.monotonic() + seconds, 0, set()
    rows = due() if only is None else due().filter(pk__in=list(only))
    for pk, kind in list(rows.values_list("pk", "kind")):
        if time.monotonic() > until or not threading.main_thread().is_alive():
            break
        if kind not in waits and (row := deliver(pk)):
            sent += row.state == State.SENT
            if row.state == State.WAITING:
                waits.add(kind)
    return sent


def resend(delivery: Delivery, user) -> Delivery:
    """A person has it sent (again), whatever became of it. Refused while it is being sent, without the right, or
    for who is kept to a store."""
    if not may_whole(user, "operations.change_delivery"):
        raise Refused("You may not send messages again.")
    with audit.acting(user), transaction.atomic():
        row = Delivery.objects.select_for_update().get(pk=delivery.pk)
        if row.state == State.SENDING and row.next_attempt_at > timezone.now():
            raise Refused("It is being sent right now: see in a minute how it went.")
        if row.state == State.SENT:
            row.content = row.content | {"again": row.content.get("again", 0) + 1}
        row.state, row.attempts, row.next_attempt_at = State.WAITING, 0, timezone.now()
        row.sent_at, row.last_error = None, ""
        row.save()
        _ask(row)
    return row


def prune() -> int:
    """Forget what was sent or given up half a year ago, with the addresses in it; how many."""
    old = Delivery.objects.filter(state__in=[State.SENT, State.FAILED], created_at__lt=timezone.now() - KEEP)
    with disable_auditlog():
        return old.delete()[0]


# --- One attempt ---------------------------------------------------------------------------------------------------


def _claim(pk: int) -> Delivery | None:
    """The row, now this process's to send; None when it isn't due, or somebody else was quicker."""
    row = due().filter(pk=pk).first()
    if row is None:
        return None
    now = timezone.now()
    # Compare and swap: every claim changes the moment of the next attempt, so only one finds it as it was seen.
    claimed = Delivery.objects.filter(
        pk=pk, state=row.state, claimed_at=row.claimed_at, next_attempt_at=row.next_attempt_at
    ).update(
        state=State.SENDING, claimed_at=now, attempts=F("attempts") + 1,
        next_attempt_at=now + timedelta(seconds=CLAIM_SECONDS),
    )  # fmt: skip
    if not claimed:
        return None
    found = Delivery.objects.get(pk=pk)
    if row.state == State.SENDING:
        log.warning("delivery %s is taken over: whoever was sending it died", pk)
        if row.attempts >= MOST_SURPRISES:
            _give_up(found, "Each time whoever was sending it died.")
            return None
    return found


def _attempt(row: Delivery) -> None:
    """Send what this process has claimed, and write down how it went."""
    try:
        with _alive(row):
            import_string(SENDERS[row.kind])(row)
    except Hopeless as error:
        _give_up(row, str(error))
    except TryAgain as error:
        _later(row, str(error), error.after, MOST_ATTEMPTS)
    except SoftTimeLimitExceeded:  # the task's: the other side is slow, which passes
        _later(row, "It took too long.", None, MOST_ATTEMPTS)
    except Exception as error:  # its text may hold anything: where in the code says enough
        log.error("delivery %s: %s\n%s", row.pk, type(error).__name__, "".join(format_tb(error.__traceback__)))
        _later(row, f"Unexpected: {type(error).__name__}.", None, MOST_SURPRISES)
    else:
        # Whoever else claimed it meanwhile, taking this process for dead: it has arrived.
        Delivery.objects.filter(pk=row.pk).exclude(state=State.SENT).update(
            state=State.SENT, sent_at=timezone.now(), next_attempt_at=None, last_error=""
        )
        log.info("delivery %s (%s) sent at attempt %s", row.pk, row.kind, row.attempts)


@contextmanager
def _alive(row: Delivery) -> Iterator[None]:
    """While the block runs others see that somebody is at it, however long it takes."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            try:
                until = timezone.now() + timedelta(seconds=CLAIM_SECONDS)
                _mine(row).update(next_attempt_at=until)
            except Exception as error:  # a busy database: the next one may get through
                log.warning("the sign of life of delivery %s was not written: %s", row.pk, type(error).__name__)
            finally:
                connection.close()

    thread = threading.Thread(target=beat, name="delivery-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _mine(row: Delivery) -> QuerySet[Delivery]:
    """The row as long as this process's claim on it stands."""
    return Delivery.objects.filter(pk=row.pk, state=State.SENDING, claimed_at=row.claimed_at)


def _later(row: Delivery, reason: str, after: float | None, most: int) -> None:
    """It waits for the next attempt, or is given up after so many."""
    if row.attempts >= most:
        _give_up(row, reason)
        return
    _mine(row).update(state=State.WAITING, next_attempt_at=_next(row.attempts, after), last_error=reason[:500])
    log.warning("delivery %s (%s) waits after attempt %s: %s", row.pk, row.kind, row.attempts, reason)


def _next(attempts: int, after: float | None) -> datetime:
    """When to try again after so many attempts: a little apart from others that wait for the same; never before the
    other side wants it."""
    seconds = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempts - 1)) * random.uniform(0.8, 1.2)
    return timezone.now() + timedelta(seconds=max(seconds, min(after or 0, LONGEST_ASKED)))


def _give_up(row: Delivery, reason: str) -> None:
    _mine(row).update(state=State.FAILED, next_attempt_at=None, last_error=reason[:500])
    log.error("delivery %s (%s) is given up after attempt %s: %s", row.pk, row.kind, row.attempts, reason)
