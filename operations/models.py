"""What staff own (follow-ups), what exports bring for them to look at (customers, orders), and the record of refreshes.

Imported columns belong to CleanCloud: only the refresh writes them. What staff write has rows of its own, which no
refresh touches.
"""

import re

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q


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


class Customer(ImportedRow):
    """One customer of CleanCloud (CC-0001) or of the old system (MW-0001); the two are never linked."""

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

    class Meta:
        ordering = ["name", "customer_id"]
        indexes = [
            models.Index(fields=["name", "customer_id"], name="customer_by_name"),
            models.Index(fields=["phone"], name="customer_by_phone"),
            models.Index(fields=["signed_up"], name="customer_by_signed_up"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.customer_id})" if self.name else self.customer_id


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

    class Meta:
        ordering = ["-placed", "-order_id"]
        indexes = [
            models.Index(fields=["-placed", "-order_id"], name="order_by_placed"),
            models.Index(fields=["customer", "-placed"], name="order_by_customer"),
            models.Index(fields=["paid", "-placed"], name="order_by_paid"),
            models.Index(fields=["store", "-placed"], name="order_by_store"),
        ]

    def __str__(self) -> str:
        return self.order_id


class FollowUp(models.Model):
    """A note that somebody wrote on a customer, on an order, or on both."""

    customer = models.ForeignKey(
        Customer, models.PROTECT, null=True, blank=True, related_name="follow_ups", verbose_name="customer"
    )
    order = models.ForeignKey(
        Order, models.PROTECT, null=True, blank=True, related_name="follow_ups", verbose_name="order"
    )
    note = models.TextField("note")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        verbose_name="written by",
    )
    created_at = models.DateTimeField("written", auto_now_add=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        verbose_name="last changed by",
    )
    changed_at = models.DateTimeField("last changed", null=True, editable=False)

    class Meta:
        verbose_name = "follow-up"
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="follow_up_by_time"),
            models.Index(fields=["customer", "-created_at"], name="follow_up_by_customer"),
            models.Index(fields=["order", "-created_at"], name="follow_up_by_order"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(customer__isnull=False) | Q(order__isnull=False),
                name="follow_up_has_a_subject",
                violation_error_message="Choose a customer or an order.",
            ),
            models.CheckConstraint(
                condition=~Q(note=""), name="follow_up_says_something", violation_error_message="Write a note."
            ),
        ]

    def __str__(self) -> str:
        subject = self.order_id or self.customer_id
        return f"{subject}: {self.note[:60]}"

    def clean(self) -> None:
        if self.order and self.customer_id and self.order.customer_id != self.customer_id:
            raise ValidationError({"order": f"Order {self.order_id} is another customer's: {self.order.customer}."})


_UNEXPECTED = re.compile(r"(\w+): ")  # no sentence of our own begins with one word and a colon


def unexpected(error: BaseException) -> str:
    """How a run's record keeps an exception that nobody foresaw: "Type: what it said"."""
    return f"{type(error).__name__}: {error}"


class RefreshRun(models.Model):
    """The record of one refresh: what it did, how long it took, and why it stopped when it did."""

    class Trigger(models.TextChoices):
        COMMAND = "command", "command line"
        BUTTON = "button", "button"
        SCHEDULE = "schedule", "every morning"
        ROLLBACK = "rollback", "return to an earlier build"

    class State(models.TextChoices):
        QUEUED = "queued", "waiting for its turn"
        RUNNING = "running", "running"
        PUBLISHING = "publishing", "publishing"  # the database is synced, the pointer not yet moved
        PUBLISHED = "published", "published"
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
                | Q(state__in=["published", "checked", "nothing_new", "refused", "failed"], finished_at__isnull=False),
                name="run_is_finished_or_under_way",
            ),
        ]

    def __str__(self) -> str:
        return f"Refresh {self.pk}: {self.get_state_display()}"

    @property
    def is_under_way(self) -> bool:
        return self.state in self.UNDERWAY

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
