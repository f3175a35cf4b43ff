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
NOBODY = "Nobody is told when a refresh fails or a figure needs attention."


def people(chosen: Iterable, page: str, store: str = "") -> list:
    """Whom to tell of the people chosen: active, with an e-mail address, and allowed to see `page`. Where none of them
    can be told, everybody of Management, and where nobody of it can, the superusers: somebody is to hear of it.

    store: whose figures they are, "" the whole business; who is kept to a store is told of its alone.
    """
    users = get_user_model().objects.order_by("pk")
    for wanted in (chosen, users.filter(groups__name=BY_DEFAULT), users.filter(is_superuser=True)):
        if told := [user for user in wanted if can_be_told(user, page, store)]:
            return sorted(told, key=lambda user: user.pk)
    return []


def can_be_told(user, page: str, store: str = "") -> bool:
    """Does an e-mail about `page` reach this person, and may they read it?"""
    return user.is_active and bool(user.email.strip()) and can_see(user, page) and store_of(user) in (None, store)


def anybody() -> bool:
    """Is anybody told when something goes wrong?"""
    return bool(settings.SLACK_WEBHOOK or people([], "settings"))


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
        log.warning("%s: nobody is told, as nobody who may see it has an e-mail address and there is no webhook", key)
    return found
