"""The audit trail: who changed what, when and from where, as entries of django-auditlog.

Entries tell the rows of customers by their numbers: what a customer is called, how to reach them and what was written
about them stays in the rows themselves, an entry says only that it changed. Rules, targets, schedules and what else is
the house's own go by the names that people gave them. Imports are no edits: the refresh writes in bulk, which leaves no
entries.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.contrib.contenttypes.models import ContentType
from django.db.models.signals import pre_save

from analytics.models import AlertRule, ReportMail, Target
from operations import models

MASK = "(not kept here)"
PERSONAL = {
    "Customer": [f"{part}_{field}" for part in ("own", "over") for field in models.CORRECTABLE],
    "FollowUp": ["note", "void_reason"],
    "Payment": ["note", "reference"],
    "Message": ["sent_to", "subject", "text", "error"],
    "Delivery": ["recipient", "content"],
}
# Of no customer: what these are called may stand in an entry, and says more than a number.
NAMED = (models.Level, models.MessageTemplate, models.Delivery, models.Schedule, AlertRule, ReportMail, Target)
# Of a customer only what staff may change; what repeats other rows (assigned_to ...) is in those rows' entries.
CUSTOMER_FIELDS = [*PERSONAL["Customer"], "do_not_contact", "preferred_channel", "language"]


@dataclass(frozen=True)
class Origin:
    """Where writes come from: who, from which address on the network, through which door ("POST /operations/...",
    "": the server itself), and a number that all entries of one request share."""

    user: Any = None
    address: str | None = None
    door: str = ""
    number: str = ""


_origin: ContextVar[Origin | None] = ContextVar("operations_audit_origin", default=None)


@contextmanager
def acting(user) -> Iterator[None]:
    """What is written inside is `user`'s doing; address and door stay those of the request, if there is one."""
    token = _origin.set(replace(_origin.get() or Origin(number=uuid.uuid4().hex), user=user))
    try:
        yield
    finally:
        _origin.reset(token)


class Middleware:
    """Remembers a request's origin while it is answered; the person is asked for only when something is written.

    The address is the connection's own: a header could be made up by anybody. Behind a proxy that is the proxy's.
    """

    def __init__(self, get_response: Callable):
        self.get_response = get_response

    def __call__(self, request):
        user = _Later(request)
        door = f"{request.method} {request.path}"[:300]
        token = _origin.set(Origin(user, request.META.get("REMOTE_ADDR") or None, door, uuid.uuid4().hex))
        try:
            return self.get_response(request)
        finally:
            _origin.reset(token)


@dataclass(frozen=True)
class _Later:
    """The person of a request, who isn't known yet when the request comes in."""

    request: Any

    def user(self):
        return getattr(self.request, "user", None)


def _fill_in(sender, instance: LogEntry, **kwargs) -> None:
    """Before an entry is written: by whom, from where; a customer's row by its number instead of its name."""
    origin = _origin.get() or Origin()
    user = origin.user.user() if isinstance(origin.user, _Later) else origin.user
    if user is not None and user.is_authenticated:
        instance.actor = user
    instance.remote_addr = origin.address
    instance.cid = origin.number or None
    instance.additional_data = {"from": origin.door or "server"}
    instance.object_repr = _called(instance)


def _called(entry: LogEntry) -> str:
    """alert rule “Revenue is low”; payment 7."""
    kind = entry.content_type
    own = next((m for m in NAMED if ContentType.objects.get_for_model(m) == kind), None)
    return f"{own._meta.verbose_name} “{entry.object_repr}”" if own else f"{kind.name} {entry.object_pk}"


def masked(value: str) -> str:
    """What an entry has in place of a personal value: that there was one."""
    return MASK if value not in ("", "None", None) else value


# Of a schedule what people say of it: the clock writes the rest every half minute.
SCHEDULE_FIELDS = ["name", "enabled", "description"]


def connect() -> None:
    """Keep entries of all that staff own; called once, when the app is ready."""
    for model in (
        models.Customer, models.FollowUp, models.Payment, models.Message, models.Level, models.MessageTemplate,
        AlertRule, ReportMail, Target,
        models.Delivery,  # only that a person had it sent again: nothing else writes one by saving it
    ):  # fmt: skip
        own = [field.name for field in model._meta.concrete_fields]  # named: else it asks for related rows too
        auditlog.register(
            model,
            include_fields=CUSTOMER_FIELDS if model is models.Customer else own,
            mask_fields=list(PERSONAL.get(model.__name__, ())),
            mask_callable="operations.audit.masked",
        )
    auditlog.register(models.Schedule, include_fields=SCHEDULE_FIELDS)
    pre_save.connect(_fill_in, sender=LogEntry, dispatch_uid="operations.audit")
