"""How a recorded delivery leaves the house: as an e-mail, or to a Slack-compatible webhook.

Whatever goes wrong is said in a sentence of our own: what a mail server or a webhook answers may hold an address, and
the webhook's own address is a secret.
"""

import hashlib
import smtplib
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parseaddr, parsedate_to_datetime

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection
from django.core.validators import validate_email
from django.template.loader import render_to_string
from django.utils import timezone

from analytics.access import can_see
from etl.errors import MoonwalkError
from operations.models import Delivery

SLACK_SECONDS = (5, 10, 10, 10)  # to connect, to read, to write, for a free connection
SLACK_LONGEST = 3000  # characters: what Slack shows of a message without folding it away
NO_MAIL_SERVER = "No mail server: set EMAIL_URL."
NO_WEBHOOK = "No webhook: set MOONWALK_SLACK_WEBHOOK."
# What is said where somebody is about to send, by kind.
MAIL_UNSET = "No mail server is set: an e-mail leaves only if this machine has one of its own. Set EMAIL_URL."
SLACK_UNSET = "No webhook is set: nothing goes to Slack. Set MOONWALK_SLACK_WEBHOOK."
NOTION_UNSET = "Notion is not set up. Set MOONWALK_NOTION_TOKEN and MOONWALK_NOTION_PAGE."


class TryAgain(Exception):
    """It did not go now and may go later. reason: a sentence without personal data; after: seconds that the other side
    asks us to wait, None: as usual."""

    def __init__(self, reason: str, after: float | None = None):
        super().__init__(reason)
        self.after = after


class Hopeless(Exception):
    """It can't go, however often it is tried, until a person mends something. Its text: a sentence without personal
    data."""


def unset(kind: str) -> str:
    """What this installation lacks to send by a kind (models.DeliveryKind), in words; "": nothing."""
    is_set, words = {
        Delivery.Kind.MAIL: (settings.EMAIL_URL, MAIL_UNSET),
        Delivery.Kind.SLACK: (settings.SLACK_WEBHOOK, SLACK_UNSET),
        Delivery.Kind.NOTION: (settings.NOTION_TOKEN and settings.NOTION_PAGE, NOTION_UNSET),
    }[kind]
    return "" if is_set else words


def address_of(url: str) -> str:
    """What a link in a message leads to: an address of this site as people reach it; others as they are."""
    return f"{settings.SITE_URL}{url}" if url.startswith("/") else url


# E-mail --------------------------------------------------------------------------------------------------------------


def by_mail(delivery: Delivery) -> None:
    """One e-mail to one person. Raises TryAgain, Hopeless."""
    to = delivery.recipient
    try:
        validate_email(to)
    except ValidationError:
        raise Hopeless("This is no e-mail address: correct the person's, then let it be recorded anew.") from None
    _still_theirs(delivery)
    post(_mail(delivery))


def _still_theirs(delivery: Delivery) -> None:
    """It may have waited for days: who left, or may not read a report any more, gets none. Raises Hopeless."""
    users = get_user_model().objects.filter(is_active=True, email__icontains=delivery.recipient)
    users = [user for user in users if user.email.strip().lower() == delivery.recipient.lower()]
    if not users:
        raise Hopeless("Nobody active has this address any more.")
    if delivery.content.get("attachments") and not any(can_see(user, "report") for user in users):
        raise Hopeless("Whoever has this address may not open the board report any more.")


def post(mail: EmailMessage) -> None:
    """Hand an e-mail to the mail server. Raises TryAgain, Hopeless: by its answer's number, its words may hold an
    address."""
    with _mail_errors():
        connection = get_connection()
        connection.open()
        try:
            connection.send_messages([mail])
        finally:
            # The mail is gone: a server that hangs up instead of saying goodbye takes nothing back.
            with suppress(Exception):
                connection.close()


def _mail(delivery: Delivery) -> EmailMultiAlternatives:
    content = delivery.content
    context = {
        "subject": content["subject"], "text": content["text"], "lines": pairs(content.get("lines", ())),
        "url": address_of(content.get("url", "")), "site": settings.SITE_URL,
        "attachments": len(content.get("attachments", ())),
    }  # fmt: skip
    mail = EmailMultiAlternatives(
        " ".join(content["subject"].split()),  # one line: it is a header
        render_to_string("mail/message.txt", context),
        settings.DEFAULT_FROM_EMAIL,
        [delivery.recipient],
        # Auto-Submitted: no holiday notice comes back.
        headers={"Message-ID": message_id(delivery), "Auto-Submitted": "auto-generated"},
    )
    mail.attach_alternative(render_to_string("mail/message.html", context), "text/html")
    for what in content.get("attachments", ()):
        name, data = _attachment(what)
        mail.attach(name, data, "application/pdf")
    return mail


def message_id(delivery: Delivery) -> str:
    """The same at every attempt, so that a mail program shows an e-mail whose answer was lost once; another one when a
    person had it sent again, as the first would hide it."""
    seed = f"{delivery.key}\n{delivery.content.get('again', 0)}"
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{hashlib.sha256(seed.encode()).hexdigest()[:32]}@{domain}>"


def pairs(lines: Sequence) -> list[tuple[str, str]]:
    """Lines of a message as (label, value); a plain line has no value."""
    return [(line, "") if isinstance(line, str) else (str(line[0]), str(line[1])) for line in lines]


def _attachment(what: dict) -> tuple[str, bytes]:
    """(file name, content) of an attachment, made now."""
    from analytics import report  # brings Polars and DuckDB, which nothing else here needs

    try:
        return report.attachment(what)
    except MoonwalkError as error:
        raise TryAgain(f"The report could not be made: {error}") from error


@contextmanager
def _mail_errors():
    """What a mail server says, as TryAgain or Hopeless."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise _refusal(error.smtp_code, "the name and password of EMAIL_URL") from None
    except smtplib.SMTPRecipientsRefused as error:
        code = max((code for code, _ in error.recipients.values()), default=550)
        raise _refusal(code, "this address") from None
    except smtplib.SMTPSenderRefused as error:
        raise _refusal(error.smtp_code, "the sender, DEFAULT_FROM_EMAIL") from None
    except smtplib.SMTPResponseException as error:
        raise _refusal(error.smtp_code, "the message") from None
    except smtplib.SMTPNotSupportedError:
        raise Hopeless("The mail server can't do what EMAIL_URL asks of it (encryption, or signing in).") from None
    except (smtplib.SMTPException, OSError) as error:
        if not settings.EMAIL_URL and isinstance(error, ConnectionRefusedError):
            raise TryAgain(NO_MAIL_SERVER) from None
        if isinstance(error, (smtplib.SMTPServerDisconnected, TimeoutError)):  # smtplib tells the two not apart
            raise TryAgain("The mail server hung up, or did not answer in time.") from None
        raise TryAgain(f"The mail server can't be reached ({type(error).__name__}).") from None


def _refusal(code: int, what: str) -> TryAgain | Hopeless:
    if 500 <= code < 600:
        return Hopeless(f"The mail server refuses {what} ({code}).")
    return TryAgain(f"The mail server does not take {what} now ({code}).")


# Slack ---------------------------------------------------------------------------------------------------------------


def by_slack(delivery: Delivery) -> None:
    """One message to the webhook. Raises TryAgain, Hopeless."""
    import httpx  # here, as every process that starts would pay for it

    if not settings.SLACK_WEBHOOK:
        raise Hopeless(NO_WEBHOOK)
    words = slack_text(delivery.content["text"], delivery.content.get("url", ""))
    try:
        # Only the answer's head is read: a webhook has nothing more to say. A redirect is not followed.
        with httpx.stream("POST", settings.SLACK_WEBHOOK, json={"text": words}, timeout=SLACK_SECONDS) as answer:
            status, after = answer.status_code, seconds_to_wait(answer.headers.get("Retry-After"))
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise Hopeless("MOONWALK_SLACK_WEBHOOK is not the address of a webhook.") from None
    except httpx.TimeoutException:
        raise TryAgain("Slack did not answer in time.") from None
    except httpx.HTTPError as error:
        raise TryAgain(f"Slack can't be reached ({type(error).__name__}).") from None
    if status in (408, 429) or status >= 500:
        raise TryAgain(f"Slack does not take messages now ({status}).", after)
    if not 200 <= status < 300:
        raise Hopeless(f"Slack refuses the message ({status}): is MOONWALK_SLACK_WEBHOOK still valid?")


def slack_text(text: str, url: str = "") -> str:
    """A message as Slack reads it: its three signs escaped, so long that it isn't folded away, the link last."""
    short = text if len(text) <= SLACK_LONGEST else f"{text[: SLACK_LONGEST - 1].rstrip()}…"
    link = f"\n<{_escaped(address_of(url)).replace('|', '%7C')}|Open the page>" if url else ""
    return _escaped(short) + link


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def seconds_to_wait(header: str | None) -> float | None:
    """Retry-After of an HTTP answer in seconds; it may be a number or a date. None: it says nothing sensible."""
    if not header:
        return None
    with suppress(ValueError):
        return max(0.0, float(header))
    with suppress(ValueError, TypeError):
        at = parsedate_to_datetime(header)
        at = at if timezone.is_aware(at) else at.replace(tzinfo=UTC)
        return max(0.0, (at - datetime.now(UTC)).total_seconds())
    return None
