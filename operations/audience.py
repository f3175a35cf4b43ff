"""Who is told: the people chosen, those of them who may see it; and how: an e-mail each, one message in Slack."""

import logging
from collections.abc import Iterable, Sequence

from django.conf import settings
from django.contrib.auth import get_user_model

from analytics.access import can_see, store_of
from operations import deliveries
from operations.models import Delivery, RefreshRun

log = logging.getLogger(__name__)

BY_DEFAULT = "Management"


def people(chosen: Iterable, page: str, store: str = "") -> list:
    """Whom to tell of the people chosen (nobody: everybody of Management): active, with an e-mail address, and allowed
    to see `page`. store: whose figures they are, "" the whole business; who is kept to a store is told of its alone."""
    users = list(chosen) or get_user_model().objects.filter(groups__name=BY_DEFAULT)
    told = [
        user for user in users
        if user.is_active and user.email.strip() and can_see(user, page) and store_of(user) in (None, store)
    ]  # fmt: skip
    return sorted(told, key=lambda user: user.pk)


def tell(
    people: Iterable,
    *,
    key: str,
    about: str,
    subject: str,
    text: str,
    url: str,
    lines: Sequence = (),
    run: RefreshRun | None = None,
    event=None,
    attachments: Sequence[dict] = (),
    mail: bool = True,
    slack: bool = True,
) -> list[Delivery]:
    """Record an e-mail for each of `people` and, where the installation has a webhook, one message in Slack.

    Recorded twice under one key they go once. url: a path of this site, or a whole address. lines: words, or (label,
    value), beneath the text. attachments: see deliveries.record.
    """
    about_it = {"about": about, "run": run, "event": event}
    lines = [line if isinstance(line, str) else [str(part) for part in line] for line in lines]
    found = []
    for user in people if mail else ():
        content = {"subject": subject, "text": text, "lines": lines, "url": url, "attachments": list(attachments)}
        found.append(
            deliveries.record(
                Delivery.Kind.MAIL, f"{key}:{user.pk}", recipient=user.email.strip(), content=content, **about_it
            )
        )
    if slack and settings.SLACK_WEBHOOK:
        said = [line if isinstance(line, str) else ": ".join(line) for line in lines]
        content = {"text": "\n".join([subject, text, *said]), "url": url}
        found.append(deliveries.record(Delivery.Kind.SLACK, f"{key}:slack", content=content, **about_it))
    if not found:
        log.warning("%s: nobody is told, as nobody chosen has an e-mail address and there is no webhook", key)
    return found
