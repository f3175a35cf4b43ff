"""What staff own (payments, follow-ups, messages, corrections), what exports bring for them to look at (customers,
orders), and the record of refreshes.

Imported columns belong to CleanCloud: only the refresh writes them. What staff write has rows or columns of its own,
which no refresh touches. Only operations.services writes those.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import Case, F, OuterRef, Q, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce, Collate, Greatest, Round
from django_celery_beat.models import PeriodicTask

from operations.defaults import PLACEHOLDERS, placeholders_in

MONEY = models.DecimalField(max_digits=12, decimal_places=2)
NOTHING = Decimal("0.00")


class Channel(models.TextChoices):
    """How staff and a customer met. A note is written without meeting anybody."""

    NOTE = "note", "note"
    CALL = "call", "call"
    WHATSAPP = "whatsapp", "WhatsApp"
    EMAIL = "email", "e-mail"
    VISIT = "visit", "visit"


CONTACT = (Channel.CALL, Channel.WHATSAPP, Channel.EMAIL, Channel.VISIT)
WRITTEN = [(c.value, c.label) for c in (Channel.WHATSAPP, Channel.EMAIL)]  # what a message can be sent by


class Language(models.TextChoices):
    ENGLISH = "en", "English"
    ARABIC = "ar", "Arabic"


def in_order(rows: models.QuerySet) -> models.QuerySet:
    """Sorted by key byte by byte, as Python sorts text. Whoever locks several customers or orders does so in this
    order, the refresh too: nobody then waits for one who waits for them."""
    return rows.order_by(Collate(F("pk"), "C" if connection.vendor == "postgresql" else "BINARY"))


def _one_of(field: str, choices, name: str, blank: bool = False) -> models.CheckConstraint:
    """The database knows the choices too: a row written past a form keeps to them."""
    values = [*([""] if blank else []), *(value for value, _ in choices)]
    return models.CheckConstraint(condition=Q(**{f"{field}__in": values}), name=name)


def _person(verbose: str, on_delete=models.SET_NULL, **more) -> models.ForeignKey:
    null = on_delete is models.SET_NULL
    return models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete, null=null, editable=False, related_name="+", verbose_name=verbose, **more
    )


class ImportedRow(models.Model):
    """What every row that comes from an export carries beside its own columns."""

    in_latest_export = models.BooleanField(
        "in the latest export",
        default=True,
        db_index=True,
        help_text="No: the row is kept from an earlier export; the latest one no longer had it.",
    )
    row_hash = models.CharField("hash of the imported columns", max_length=64, editable=False)
    synced_at = models.DateTimeField("last changed by a refresh", editable=False)

    class Meta:
        abstract = True


# What staff may correct of a customer: the imported column, and how long a correction may be.
CORRECTABLE = ("name", "phone", "email", "route")


@dataclass(frozen=True)
class Conflict:
    """The export changed a value that staff had corrected: `ours` is shown until somebody chooses."""

    field: str
    ours: str
    theirs: str
    replaced: str  # what the export said when the correction was made


def _conflict_in(field: str) -> Q:
    """Corrected, and the export has since changed to something else than the correction."""
    own, over = f"own_{field}", f"over_{field}"
    return Q(**{f"{own}__isnull": False}) & ~Q(**{field: F(over)}) & ~Q(**{field: F(own)})


def _corrected() -> Q:
    found = Q()
    for field in CORRECTABLE:
        found |= Q(**{f"own_{field}__isnull": False})
    return found


class CustomerQuerySet(models.QuerySet):
    def with_conflicts(self):
        """Those of whom the export changed a value that staff had corrected."""
        found = Q()
        for field in CORRECTABLE:
            found |= _conflict_in(field)
        return self.filter(found)

    def with_shown(self):
        """With _name, _phone, _email, _route: what is shown of each, for sorting and searching in the database."""
        return self.annotate(**{f"_{field}": Coalesce(f"own_{field}", field) for field in CORRECTABLE})


def _own(verbose: str, length: int) -> models.CharField:
    return models.CharField(verbose, max_length=length, null=True, blank=True, editable=False)  # noqa: DJ001  (null: none)


class Customer(ImportedRow):
    """One customer of CleanCloud (CC-0001) or of the old system (MW-0001); the two are never linked.

    own_*: what staff corrected (null: nothing); over_*: the imported value that the correction replaced. The columns
    below them are staff's too, and so is phone_key: the shown phone as phones.phone_key() has it. assigned_to,
    next_action_on and last_contact_at repeat what the customer's follow-ups and messages say, for lists to sort by:
    services.py works them out anew from those rows with every write.
    """

    customer_id = models.CharField("customer", max_length=40, primary_key=True)
    source = models.CharField("system", max_length=20)
    name = models.CharField("name", max_length=300, blank=True)
    phone = models.CharField("phone", max_length=100, blank=True)
    email = models.CharField("e-mail", max_length=320, blank=True)
    store = models.CharField("store", max_length=100, blank=True)
    area = models.CharField("area", max_length=100, blank=True)
    route = models.CharField("route", max_length=40, blank=True)
    signed_up = models.DateField("signed up", null=True, blank=True)
    cohort_month = models.CharField(
        "customer since", max_length=7, blank=True, help_text="Month of sign-up or first order."
    )
    b2b = models.BooleanField("business account", default=False)
    # Staff's
    own_name = _own("corrected name", 300)
    own_phone = _own("corrected phone", 100)
    own_email = _own("corrected e-mail", 320)
    own_route = _own("corrected route", 40)
    over_name = _own("name it replaced", 300)
    over_phone = _own("phone it replaced", 100)
    over_email = _own("e-mail it replaced", 320)
    over_route = _own("route it replaced", 40)
    phone_key = models.CharField("phone in digits", max_length=40, blank=True, editable=False, db_index=True)
    do_not_contact = models.BooleanField("do not contact", default=False)
    preferred_channel = models.CharField(
        "preferred channel", max_length=10, blank=True, choices=[c for c in Channel.choices if c[0] != Channel.NOTE]
    )
    language = models.CharField("language", max_length=2, choices=Language, default=Language.ENGLISH)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="assigned_customers",
        verbose_name="assigned to",
    )
    next_action_on = models.DateField("next action", null=True, blank=True, editable=False)
    last_contact_at = models.DateTimeField("last contact", null=True, blank=True, editable=False)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        ordering = ["name", "customer_id"]
        permissions = [
            ("correct_customer", "Can correct a customer's name, phone, e-mail and route"),
            ("assign_customer", "Can assign customers to people"),
        ]
        indexes = [
            models.Index(fields=["name", "customer_id"], name="customer_by_name"),
            models.Index(fields=["phone"], name="customer_by_phone"),
            models.Index(fields=["signed_up"], name="customer_by_signed_up"),
            models.Index(fields=["next_action_on"], name="customer_by_next_action"),
            models.Index(fields=["last_contact_at"], name="customer_by_last_contact"),
            models.Index(fields=["customer_id"], name="customer_corrected", condition=_corrected()),
        ]
        constraints = [
            _one_of("preferred_channel", [(c.value, "") for c in CONTACT], "customer_preferred_channel", blank=True),
            _one_of("language", Language.choices, "customer_language"),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"own_{field}__isnull": True, f"over_{field}__isnull": True})
                    | Q(**{f"own_{field}__isnull": False, f"over_{field}__isnull": False}),
                    name=f"customer_{field}_corrects_something",
                )
                for field in CORRECTABLE
            ),
        ]

    def __str__(self) -> str:
        return f"{self.shown_name} ({self.customer_id})" if self.shown_name else self.customer_id

    def shown(self, field: str) -> str:
        """One of CORRECTABLE as staff see it: their correction, else the export's value."""
        own = getattr(self, f"own_{field}")
        return getattr(self, field) if own is None else own

    @property
    def shown_name(self) -> str:
        return self.shown("name")

    @property
    def shown_phone(self) -> str:
        return self.shown("phone")

    @property
    def shown_email(self) -> str:
        return self.shown("email")

    @property
    def shown_route(self) -> str:
        return self.shown("route")

    @property
    def conflicts(self) -> list[Conflict]:
        """What the export changed under a correction; nothing once it says the same as the correction."""
        found = []
        for field in CORRECTABLE:
            own, over, theirs = (getattr(self, f"{part}{field}") for part in ("own_", "over_", ""))
            if own is not None and theirs not in (over, own):
                found.append(Conflict(field, own, theirs, over))
        return found


class OrderQuerySet(models.QuerySet):
    def with_balance(self):
        """With paid_here (payments recorded by staff, net of voids) and balance: what is still to be paid, never below
        0; 0 once the export says paid. Of every order, earned or not. SQLite adds DECIMALs as floats: hence Round."""
        here = Payment.objects.filter(order=OuterRef("pk")).order_by().values("order").annotate(sum=Sum("amount"))
        paid_here = Coalesce(Subquery(here.values("sum"), output_field=MONEY), Value(NOTHING), output_field=MONEY)
        left = Round(F("total") - F("paid_here"), precision=2, output_field=MONEY)
        return self.annotate(paid_here=paid_here).annotate(
            balance=Case(
                When(paid=True, then=Value(NOTHING)),
                default=Greatest(left, Value(NOTHING), output_field=MONEY),
                output_field=MONEY,
            )
        )

    def earned(self):
        """Cleaned, and still in the export: what figures count."""
        return self.filter(cleaned__isnull=False, in_latest_export=True)

    def outstanding(self):
        """Earned orders with a balance, business accounts' included (b2b tells them apart); with_balance() of them."""
        return self.earned().filter(paid=False).with_balance().filter(balance__gt=0)


class Order(ImportedRow):
    """One CleanCloud order, business accounts included. Orders of the old system are in the warehouse alone."""

    order_id = models.CharField("order", max_length=40, primary_key=True)
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="orders", verbose_name="customer")
    store = models.CharField("store", max_length=100, blank=True)
    status = models.CharField("status", max_length=100, blank=True)
    placed = models.DateField("placed", null=True, blank=True)
    ready_by = models.DateField("ready by", null=True, blank=True)
    cleaned = models.DateField("cleaned", null=True, blank=True)
    collected = models.DateField("collected", null=True, blank=True)
    pickup_date = models.DateField("picked up from the customer", null=True, blank=True)
    delivery = models.BooleanField("delivered", default=False)
    pieces = models.IntegerField("pieces", null=True, blank=True)
    total = models.DecimalField("total", max_digits=12, decimal_places=2)
    paid = models.BooleanField("paid", default=False)
    payment_type = models.CharField("payment method", max_length=40, blank=True)
    payment_date = models.DateField("paid on", null=True, blank=True)
    b2b = models.BooleanField("business account", default=False)

    objects = OrderQuerySet.as_manager()

    class Meta:
        ordering = ["-placed", "-order_id"]
        indexes = [
            models.Index(fields=["-placed", "-order_id"], name="order_by_placed"),
            models.Index(fields=["customer", "-placed"], name="order_by_customer"),
            models.Index(fields=["paid", "-placed"], name="order_by_paid"),
            models.Index(fields=["store", "-placed"], name="order_by_store"),
            models.Index(
                fields=["customer", "placed"],
                name="order_open_by_customer",
                condition=Q(paid=False, cleaned__isnull=False, in_latest_export=True),
            ),
        ]

    def __str__(self) -> str:
        return self.order_id

    @property
    def since(self) -> date | None:
        """The day it is owed since: placed, or earned where that is unknown. None: neither is known."""
        return self.placed or self.cleaned


class PaymentQuerySet(models.QuerySet):
    def delete(self):
        raise TypeError("A payment is voided by a counter-row (services.payment_void), never deleted.")


class Payment(models.Model):
    """Money that staff took for an order, or the counter-row that voids such a payment (amount = minus the original's).

    Facts are rows: what an order still owes is its total less the sum of its rows here. request_key: of the click that
    made it; with the order it is unique, so a double click or a retry pays once. included_in: the published build it
    went into, "" until then.
    """

    order = models.ForeignKey(Order, models.PROTECT, related_name="payments", verbose_name="order")
    amount = models.DecimalField("amount", max_digits=12, decimal_places=2)
    method = models.CharField("method", max_length=40)
    paid_on = models.DateField("paid on")
    reference = models.CharField("reference", max_length=100, blank=True)
    note = models.TextField("note", blank=True)
    created_by = _person("recorded by", models.PROTECT)
    created_at = models.DateTimeField("recorded", auto_now_add=True)
    voids = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, editable=False, related_name="voided_by", verbose_name="voids"
    )
    request_key = models.UUIDField("request", default=uuid.uuid4, editable=False)
    included_in = models.CharField("in the figures since build", max_length=100, blank=True, editable=False)

    objects = PaymentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        default_permissions = ("add", "view")
        permissions = [("void_payment", "Can void any payment (one's own of today: everybody who may add one)")]
        indexes = [
            models.Index(fields=["order", "created_at"], name="payment_by_order"),
            models.Index(fields=["-created_at", "-id"], name="payment_by_time"),
            models.Index(fields=["-paid_on", "method"], name="payment_by_day"),
            models.Index(fields=["created_by", "-created_at"], name="payment_by_person"),
            models.Index(fields=["id"], name="payment_not_included", condition=Q(included_in="")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["order", "request_key"], name="payment_once_a_request"),
            models.CheckConstraint(
                condition=Q(voids__isnull=True, amount__gt=0) | Q(voids__isnull=False, amount__lt=0),
                name="payment_positive_or_a_void",
            ),
            models.CheckConstraint(condition=~Q(method=""), name="payment_has_a_method"),
            models.CheckConstraint(
                condition=Q(voids__isnull=True) | ~Q(note=""),
                name="payment_void_says_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order_id}: {self.amount}"

    @property
    def is_void(self) -> bool:
        """A counter-row itself, or voided by one."""
        return self.voids_id is not None or hasattr(self, "voided_by")

    def delete(self, *args, **kwargs):
        raise TypeError("A payment is voided by a counter-row (services.payment_void), never deleted.")


class Outcome(models.TextChoices):
    """What came of a contact."""

    REACHED = "reached", "reached"
    NOT_REACHED = "not reached", "not reached"
    PROMISED = "promised", "promised to pay"
    REFUSED = "refused", "refuses to pay"
    DISPUTED = "disputed", "disputes the amount"
    WRONG_NUMBER = "wrong number", "wrong number"
    LEFT_WORD = "left word", "left a message"


class FollowUpQuerySet(models.QuerySet):
    def standing(self):
        """Those not voided."""
        return self.filter(voided_at__isnull=True)

    def promises(self):
        return self.standing().filter(promise_on__isnull=False)


class FollowUp(models.Model):
    """What somebody did or wrote about a customer or one of their orders: a note, a contact, a promise, who takes over.

    A promise (promise_amount by promise_on) is measured on promised_orders, the orders that were open when it was
    made, which then owed promise_balance together: it is kept once they owe promise_amount less. sets_next_action:
    next_action_on (null: none any more) became the customer's; sets_assignee: likewise assigned_to (null: nobody).
    Undone: voided_at is set, the row stays.
    """

    customer = models.ForeignKey(  # a form may leave it empty: it is then the order's
        Customer, models.PROTECT, blank=True, related_name="follow_ups", verbose_name="customer"
    )
    order = models.ForeignKey(
        Order, models.PROTECT, null=True, blank=True, related_name="follow_ups", verbose_name="order"
    )
    note = models.TextField("note")
    channel = models.CharField("channel", max_length=10, choices=Channel, default=Channel.NOTE)
    outcome = models.CharField("outcome", max_length=20, choices=Outcome, blank=True)
    promise_amount = models.DecimalField("promised", max_digits=12, decimal_places=2, null=True, blank=True)
    promise_on = models.DateField("promised for", null=True, blank=True)
    promise_balance = models.DecimalField(
        "owed when promised", max_digits=12, decimal_places=2, null=True, editable=False
    )
    promised_orders = models.ManyToManyField(Order, related_name="promises", editable=False)
    next_action_on = models.DateField("next action", null=True, blank=True)
    sets_next_action = models.BooleanField("sets the next action", default=False, editable=False)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="assigned to",
    )
    sets_assignee = models.BooleanField("assigns", default=False, editable=False)
    request_key = models.UUIDField("request", null=True, unique=True, editable=False)
    created_by = _person("written by")
    created_at = models.DateTimeField("written", auto_now_add=True)
    changed_by = _person("last changed by")
    changed_at = models.DateTimeField("last changed", null=True, editable=False)
    voided_by = _person("voided by")
    voided_at = models.DateTimeField("voided", null=True, editable=False)
    void_reason = models.CharField("why voided", max_length=300, blank=True, editable=False)

    objects = FollowUpQuerySet.as_manager()

    class Meta:
        verbose_name = "follow-up"
        ordering = ["-created_at", "-pk"]
        permissions = [("void_followup", "Can void any follow-up (one's own of today: everybody who may add one)")]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="follow_up_by_time"),
            models.Index(fields=["customer", "-created_at"], name="follow_up_by_customer"),
            models.Index(fields=["order", "-created_at"], name="follow_up_by_order"),
            models.Index(
                fields=["customer", "-created_at"],
                name="follow_up_promises",
                condition=Q(promise_on__isnull=False, voided_at__isnull=True),
            ),
            models.Index(fields=["promise_on"], name="follow_up_by_promise", condition=Q(promise_on__isnull=False)),
            models.Index(
                fields=["next_action_on"], name="follow_up_by_next_action", condition=Q(next_action_on__isnull=False)
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(note="")
                | ~Q(outcome="")
                | ~Q(channel="note")
                | Q(promise_on__isnull=False)
                | Q(sets_next_action=True)
                | Q(sets_assignee=True),
                name="follow_up_says_something",
                violation_error_message="Write a note.",
            ),
            models.CheckConstraint(
                condition=Q(promise_amount__isnull=True, promise_on__isnull=True, promise_balance__isnull=True)
                | Q(
                    promise_amount__isnull=False,  # said of each: a comparison with nothing is neither true nor false,
                    promise_on__isnull=False,  # and a check takes that for true
                    promise_balance__isnull=False,
                    promise_amount__gt=0,
                    promise_balance__gte=F("promise_amount"),
                ),
                name="follow_up_promise_is_whole",
                violation_error_message="A promise has an amount and a day, and no more is promised than is owed.",
            ),
            models.CheckConstraint(
                condition=Q(next_action_on__isnull=True) | Q(sets_next_action=True),
                name="follow_up_next_action_is_set",
            ),
            models.CheckConstraint(
                condition=Q(assigned_to__isnull=True) | Q(sets_assignee=True), name="follow_up_assignee_is_set"
            ),
            models.CheckConstraint(
                condition=Q(voided_at__isnull=False) | Q(voided_by__isnull=True, void_reason=""),
                name="follow_up_voided_whole",
            ),
            _one_of("channel", Channel.choices, "follow_up_channel"),
            _one_of("outcome", Outcome.choices, "follow_up_outcome", blank=True),
        ]

    def __str__(self) -> str:
        subject = self.order_id or self.customer_id
        return f"{subject}: {self.note[:60] or self.get_outcome_display() or self.get_channel_display()}"

    def clean(self) -> None:
        if self.customer_id is None and self.order is not None:
            self.customer_id = self.order.customer_id
        if self.customer_id is None:
            raise ValidationError("Choose a customer or an order.")
        if self.order and self.order.customer_id != self.customer_id:
            raise ValidationError({"order": f"Order {self.order_id} is another customer's: {self.order.customer}."})


MOST_DAYS = 3650  # that a level may wait


class Level(models.Model):
    """A step of reminding: reached by a customer whose oldest open order is days_from days overdue and who owes
    amount_from or more. Of those reached, the one with the highest position counts."""

    name = models.CharField("name", max_length=60, unique=True)
    position = models.PositiveSmallIntegerField("position", unique=True, help_text="1 comes first.")
    days_from = models.PositiveIntegerField("days overdue, at least")
    amount_from = models.DecimalField("owed, at least", max_digits=12, decimal_places=2, default=NOTHING)
    channel = models.CharField(
        "by", max_length=10, choices=[c for c in Channel.choices if c[0] != Channel.NOTE], default=Channel.WHATSAPP
    )
    active = models.BooleanField("in use", default=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="level_has_a_name"),
            models.CheckConstraint(condition=Q(amount_from__gte=0), name="level_amount_is_not_negative"),
            _one_of("channel", [(c.value, "") for c in CONTACT], "level_channel"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self):
        if self.days_from is not None and self.days_from > MOST_DAYS:
            raise ValidationError({"days_from": f"At most {MOST_DAYS:,} days (ten years)."})


class MessageTemplate(models.Model):
    """What a message at a level says, in one language for one channel; no level: at any time. {placeholders} are
    filled in when it is sent."""

    level = models.ForeignKey(
        Level, models.CASCADE, null=True, blank=True, related_name="templates", verbose_name="level"
    )
    channel = models.CharField("channel", max_length=10, choices=WRITTEN)
    language = models.CharField("language", max_length=2, choices=Language)
    subject = models.CharField("subject", max_length=200, blank=True, help_text="Of an e-mail.")
    text = models.TextField("text")

    class Meta:
        verbose_name = "message template"
        ordering = ["level__position", "channel", "language"]
        constraints = [
            models.UniqueConstraint(
                fields=["level", "channel", "language"],
                name="template_once_a_level",
                violation_error_message="This level has a template of this channel and language already.",
            ),
            models.UniqueConstraint(
                fields=["channel", "language"],
                condition=Q(level__isnull=True),
                name="template_once_without_level",
                violation_error_message="There is a template of this channel and language without a level already.",
            ),
            models.CheckConstraint(condition=~Q(text=""), name="template_has_text"),
            models.CheckConstraint(
                condition=~Q(channel="email") | ~Q(subject=""),
                name="template_email_has_a_subject",
                violation_error_message="An e-mail needs a subject.",
            ),
            _one_of("channel", WRITTEN, "template_channel"),
            _one_of("language", Language.choices, "template_language"),
        ]

    def __str__(self) -> str:
        level = self.level.name if self.level_id else "Any time"
        return f"{level}, {self.get_channel_display()}, {self.get_language_display()}"

    def clean(self) -> None:
        for field in ("subject", "text"):
            try:
                unknown = sorted(placeholders_in(getattr(self, field)) - set(PLACEHOLDERS))
            except ValueError as error:
                raise ValidationError({field: f"Check the braces: {error}."}) from None
            if unknown:
                known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
                raise ValidationError({field: f"There is no {{{unknown[0]}}}; there are {known}."})


class MessageState(models.TextChoices):
    OPENED = "opened", "opened"  # whether the person pressed "send" there isn't known here
    SENDING = "sending", "being sent"  # a process that died here leaves it so: nobody knows, and nothing is resent
    SENT = "sent", "sent"
    FAILED = "failed", "not sent"


class Message(models.Model):
    """A message to a customer: opened in WhatsApp or a mail program by staff, or sent from here by e-mail."""

    State = MessageState

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="messages", verbose_name="customer")
    level = models.ForeignKey(Level, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="level")
    channel = models.CharField("channel", max_length=10, choices=WRITTEN)
    language = models.CharField("language", max_length=2, choices=Language)
    sent_to = models.CharField("to", max_length=320)
    subject = models.CharField("subject", max_length=200, blank=True)
    text = models.TextField("text")
    state = models.CharField("state", max_length=10, choices=MessageState, default=MessageState.OPENED)
    error = models.CharField("what went wrong", max_length=300, blank=True)
    request_key = models.UUIDField("request", unique=True, default=uuid.uuid4, editable=False)
    created_by = _person("by")
    created_at = models.DateTimeField("at", auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        default_permissions = ("add", "view")
        indexes = [
            models.Index(fields=["customer", "-created_at"], name="message_by_customer"),
            models.Index(fields=["-created_at", "-id"], name="message_by_time"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(text="") & ~Q(sent_to=""), name="message_says_something_to_somebody"),
            models.CheckConstraint(condition=Q(state="failed") | Q(error=""), name="message_error_is_of_a_failed_one"),
            _one_of("channel", WRITTEN, "message_channel"),
            _one_of("language", Language.choices, "message_language"),
            _one_of("state", MessageState.choices, "message_state"),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} to {self.customer_id}, {self.get_state_display()}"


class Made(models.Model):
    """What the program made once by itself (levels, templates, rights of roles): what a person removed stays away."""

    key = models.CharField(max_length=100, primary_key=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.key


_UNEXPECTED = re.compile(r"(\w+): ")  # no sentence of our own begins with one word and a colon


def unexpected(error: BaseException) -> str:
    """How a run's record keeps an exception that nobody foresaw: "Type: what it said"."""
    return f"{type(error).__name__}: {error}"


class RefreshRun(models.Model):
    """The record of one refresh: what it did, how long it took, and why it stopped when it did."""

    class Trigger(models.TextChoices):
        COMMAND = "command", "command line"
        BUTTON = "button", "button"
        UPLOAD = "upload", "uploaded files"
        SCHEDULE = "schedule", "every morning"
        WATCH = "watch", "new exports in the folder"
        RETRY = "retry", "one that broke off"
        RELEASE = "release", "a held build, published"
        ROLLBACK = "rollback", "return to an earlier build"
        PAYMENTS = "payments", "payments recorded here"

    class State(models.TextChoices):
        QUEUED = "queued", "waiting for its turn"
        RUNNING = "running", "running"
        PUBLISHING = "publishing", "publishing"  # the database is synced, the pointer not yet moved
        PUBLISHED = "published", "published"
        HELD = "held", "held: a person decides"  # its build is kept, and nothing of it was seen by anybody
        RELEASED = "released", "held, then published"  # the run that published it is of its own
        DISCARDED = "discarded", "held, then discarded"
        CHECKED = "checked", "checked only"  # a dry run that went through
        NOTHING_NEW = "nothing_new", "nothing new"
        REFUSED = "refused", "refused"  # bad input: the message says what to do
        FAILED = "failed", "failed"

    STARTED = (State.RUNNING, State.PUBLISHING)
    UNDERWAY = (State.QUEUED, *STARTED)

    trigger = models.CharField("started by", max_length=20, choices=Trigger)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="person"
    )
    state = models.CharField("state", max_length=20, choices=State, default=State.RUNNING)
    dry_run = models.BooleanField("check only", default=False)
    forced = models.BooleanField("forced", default=False)
    step = models.CharField("step", max_length=20, blank=True)
    progress = models.PositiveSmallIntegerField("progress in %", default=0)
    started_at = models.DateTimeField("started")
    finished_at = models.DateTimeField("finished", null=True, blank=True)
    heartbeat_at = models.DateTimeField("last sign of life")
    exports_dir = models.CharField("folder of the exports", max_length=1000, blank=True)
    as_of = models.DateField("exports of", null=True, blank=True)
    build_id = models.CharField("build", max_length=100, blank=True)
    fingerprint = models.CharField("fingerprint of what went in", max_length=100, blank=True)
    seconds = models.JSONField("seconds by step", default=dict, blank=True)
    counts = models.JSONField("rows synced", default=dict, blank=True)
    warnings = models.JSONField("warnings", default=list, blank=True)
    error = models.TextField("what went wrong", blank=True)
    manifest = models.JSONField("manifest", default=dict, blank=True)
    retry_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="retries", verbose_name="again for"
    )
    # Of a held build: [{"month", "label", "metric", "before", "after"}], and who decided what became of it.
    moved = models.JSONField("what moved", default=list, blank=True)
    # And the orders that move each month over the limit most: comparison.most_moved().
    moved_orders = models.JSONField("orders that moved", default=list, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="decided by"
    )
    decided_at = models.DateTimeField("decided", null=True, blank=True)
    followed_up = models.BooleanField("alerts judged, deliveries recorded", default=False, editable=False)
    follow_at = models.DateTimeField(null=True, blank=True, editable=False)  # when what failed of it is tried again

    class Meta:
        verbose_name = "refresh"
        verbose_name_plural = "refreshes"
        ordering = ["-started_at", "-pk"]
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="run_by_start"),
            models.Index(fields=["state", "-started_at"], name="run_by_state"),
            models.Index(fields=["build_id"], name="run_by_build"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(progress__lte=100), name="run_progress_is_a_percentage"),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "publishing"], finished_at__isnull=True)
                | Q(
                    state__in=[
                        "published", "held", "released", "discarded", "checked", "nothing_new", "refused", "failed",
                    ],
                    finished_at__isnull=False,
                ),
                name="run_is_finished_or_under_way",
            ),
        ]

    def __str__(self) -> str:
        return f"Refresh {self.pk}: {self.get_state_display()}"

    @property
    def is_under_way(self) -> bool:
        return self.state in self.UNDERWAY

    @property
    def is_for_payments_alone(self) -> bool:
        """Only what staff recorded went into its build anew: nobody is told (no report, no alert). A held one aside."""
        if self.state == self.State.HELD:
            return False
        return self.trigger == self.Trigger.PAYMENTS or bool(self.manifest.get("payments_alone"))

    @property
    def error_for_output(self) -> str:
        """The error as a terminal, a log or cron's mail may have it: of a surprise only its type, as its text may
        hold a customer's data. Sentences of our own stay whole."""
        surprise = _UNEXPECTED.match(self.error) if self.state in (self.State.FAILED, self.State.PUBLISHING) else None
        return f"{surprise[1]}. What it said: see the run's page in the admin." if surprise else self.error


class RefreshLock(models.Model):
    """One row, number 1: who is refreshing now. An empty holder: nobody is."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    holder = models.CharField(max_length=40, blank=True)
    run = models.ForeignKey(RefreshRun, models.SET_NULL, null=True, blank=True, related_name="+")
    host = models.CharField(max_length=255, blank=True)
    pid = models.PositiveIntegerField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="refresh_lock_is_one_row")]

    def __str__(self) -> str:
        return self.holder or "free"


class Duty(models.Model):
    """What a schedule owes at a moment: one row, done once however often it is asked for, and asked for until it is.

    The clock makes it when the moment has come (operations/duties.py), the queue carries it out. A lost queue or worker
    loses nothing: the clock looks for rows that nobody has done.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        RUNNING = "running", "under way"
        DONE = "done", "done"
        FAILED = "failed", "given up"

    name = models.CharField("duty", max_length=60)
    due_at = models.DateTimeField("due")
    noticed_at = models.DateTimeField("noticed", help_text="After an outage much later than it was due.")
    state = models.CharField("state", max_length=10, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField("attempts", default=0)
    died = models.PositiveSmallIntegerField(
        "died", default=0, help_text="So many attempts in a row ended with their process, without a word."
    )
    next_attempt_at = models.DateTimeField("next attempt")
    claimed_at = models.DateTimeField("last begun", null=True, blank=True)
    done_at = models.DateTimeField("done at", null=True, blank=True)
    outcome = models.CharField("what came of it", max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "duties"
        ordering = ["-due_at", "name"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["state", "next_attempt_at"], name="duty_by_state")]
        constraints = [
            models.UniqueConstraint(fields=["name", "due_at"], name="duty_once_a_moment"),
            models.CheckConstraint(
                condition=Q(state="done", done_at__isnull=False) | ~Q(state="done") & Q(done_at__isnull=True),
                name="duty_is_done_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.get_state_display()}"


class Schedule(PeriodicTask):
    """When a duty is due, as people edit it: django-celery-beat's row, whose description says the rhythm in words
    (operations/schedules.py)."""

    class Meta:
        proxy = True
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class FolderWatch(models.Model):
    """One row, number 1: what the watch over the exports folder saw last and which set of exports it had refreshed
    from last (operations/watch.py)."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seen = models.JSONField(default=dict)  # file name -> [size in bytes, time of its last change in ns]
    seen_at = models.DateTimeField(null=True)  # since when it looks like this
    tried = models.JSONField(default=dict)  # the same, of the set that was last done with
    hashes = models.JSONField(default=dict)  # kind of export -> sha256, of that set

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(id=1), name="folder_watch_is_one_row")]

    def __str__(self) -> str:
        return "the exports folder"


class DeliveryKind(models.TextChoices):
    MAIL = "mail", "e-mail"
    SLACK = "slack", "Slack"
    NOTION = "notion", "Notion"


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "waiting"
    SENDING = "sending", "being sent"
    SENT = "sent", "sent"
    FAILED = "failed", "given up"


class Delivery(models.Model):
    """Something that leaves the house: an e-mail, a message to Slack, a push to Notion. Recorded first, then sent,
    again and again until it arrived or is given up; a person may have it sent again."""

    Kind, State = DeliveryKind, DeliveryState

    key = models.CharField("key", max_length=200, unique=True, help_text="What is recorded twice is sent once.")
    kind = models.CharField("by", max_length=10, choices=DeliveryKind)
    about = models.CharField("about", max_length=200)
    recipient = models.CharField("to", max_length=320, blank=True)
    content = models.JSONField("content", default=dict, blank=True)
    run = models.ForeignKey(
        RefreshRun, models.SET_NULL, null=True, blank=True, related_name="deliveries", verbose_name="refresh"
    )
    event = models.ForeignKey(
        "analytics.AlertEvent", models.SET_NULL, null=True, blank=True, related_name="deliveries", verbose_name="alert"
    )
    state = models.CharField("state", max_length=10, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField("attempts", default=0)
    next_attempt_at = models.DateTimeField("next attempt", null=True, blank=True)
    claimed_at = models.DateTimeField("last begun", null=True, blank=True)
    last_error = models.CharField("last error", max_length=500, blank=True)
    created_at = models.DateTimeField("recorded", auto_now_add=True)
    sent_at = models.DateTimeField("sent at", null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-created_at", "-pk"]
        default_permissions = ("view", "change")  # change: to send it again
        indexes = [
            models.Index(fields=["state", "next_attempt_at"], name="delivery_by_state"),
            models.Index(fields=["-created_at", "-id"], name="delivery_by_time"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="sent", sent_at__isnull=False) | ~Q(state="sent") & Q(sent_at__isnull=True),
                name="delivery_is_sent_at_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["waiting", "sending"]) | Q(next_attempt_at__isnull=False),
                name="delivery_under_way_has_a_next_attempt",
            ),
            _one_of("kind", DeliveryKind.choices, "delivery_kind"),
            _one_of("state", DeliveryState.choices, "delivery_state"),
        ]

    def __str__(self) -> str:
        return f"{self.about}, {self.get_kind_display()}"


class NotionObject(models.Model):
    """What was made in Notion, so that the next push finds it: our key -> its id there, and a hash of what it says."""

    key = models.CharField(max_length=200, primary_key=True)
    notion_id = models.CharField(max_length=64)
    content_hash = models.CharField(max_length=64, blank=True)
    pushed_at = models.DateTimeField(auto_now=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.key
