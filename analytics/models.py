"""What people save about figures: the store a person is kept to, share links, tokens of the API.

The figures themselves are in the warehouse. What a row here allows is decided in analytics/access.py and
analytics/share.py; here are the rows, what is true of every one of them, and the API's tokens from making to finding.
"""

import hashlib
import secrets
from datetime import date, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length
from django.db.models.lookups import Exact
from django.utils import timezone

from analytics.metrics import METRICS, SPLIT_WORDS
from etl.business import load_business
from etl.errors import BusinessError

TOKEN_PREFIX = "mw_"  # so that a token found in a file or a log is known for what it is
SHOWN = 8  # characters of a token that lists show, its prefix included
SEEN_EVERY = timedelta(minutes=1)  # a token or link used often is written down no oftener


def store_names() -> tuple[str, ...]:
    """The stores of the business file that the settings name. Raises BusinessError when it can't be read."""
    return load_business(settings.BUSINESS_FILE).store_names


class StoreAccess(models.Model):
    """A person kept to one store. Without a row a person sees every store that the pages of their roles show."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="store_access", verbose_name="person"
    )
    store = models.CharField(
        "only the store",
        max_length=100,
        help_text="This person then sees figures, customers and orders of this store alone.",
    )

    class Meta:
        verbose_name = "store restriction"
        constraints = [models.CheckConstraint(condition=~Q(store=""), name="store_access_names_a_store")]

    def __str__(self) -> str:
        return f"only {self.store}"

    def clean(self) -> None:
        """The store must be one of the business file: under any other name the person would see nothing."""
        try:
            known = store_names()
        except BusinessError as error:
            raise ValidationError(f"The business file can't be read, so no store can be chosen: {error}") from None
        if self.store not in known:
            raise ValidationError({"store": f"There is no store “{self.store}”: choose one of {', '.join(known)}."})


class ShareLink(models.Model):
    """One tab of a page, shown read-only to whoever holds the link until it expires or is revoked.

    `query` is the tab's address behind the question mark. `store`: its maker was kept to that store when the link was
    made, and the link stays kept to it; "": not kept to any.
    """

    page = models.CharField("page", max_length=40)
    query = models.CharField("tab and filters", max_length=1000, blank=True)
    title = models.CharField("title", max_length=120)
    store = models.CharField("only the store", max_length=100, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="share_links", verbose_name="made by"
    )
    created_at = models.DateTimeField("made", default=timezone.now, editable=False)
    expires_at = models.DateTimeField("valid until")
    revoked_at = models.DateTimeField("revoked", null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="revoked by"
    )
    last_used_at = models.DateTimeField("last opened", null=True, blank=True)
    uses = models.PositiveIntegerField("times opened", default=0)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="share_link_by_time"),
            models.Index(fields=["created_by", "-created_at"], name="share_link_by_person"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(page=""), name="share_link_has_a_page"),
            models.CheckConstraint(
                condition=~Q(title=""), name="share_link_has_a_title", violation_error_message="Give the link a title."
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="share_link_expires_later"),
            models.CheckConstraint(
                condition=Q(revoked_by__isnull=True) | Q(revoked_at__isnull=False), name="share_link_revoked_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(uses=0, last_used_at__isnull=True) | Q(uses__gt=0, last_used_at__isnull=False),
                name="share_link_used_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def expired(self) -> bool:
        return self.expires_at <= timezone.now()


class ApiToken(models.Model):
    """A password of a program that reads the API for a person, with that person's rights. Only its hash is kept."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens", verbose_name="reads as"
    )
    name = models.CharField("what uses it", max_length=80, help_text="Such as “Notion table of sales”.")
    token_hash = models.CharField("hash of the token", max_length=64, unique=True, editable=False)
    shown = models.CharField("begins with", max_length=SHOWN, editable=False)
    created_at = models.DateTimeField("made", default=timezone.now, editable=False)
    last_used_at = models.DateTimeField("last used", null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField("revoked", null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API token"
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["user", "-created_at"], name="api_token_by_person")]
        constraints = [
            models.CheckConstraint(
                condition=~Q(name=""), name="api_token_has_a_name", violation_error_message="Say what uses the token."
            ),
            models.CheckConstraint(condition=Exact(Length("token_hash"), 64), name="api_token_hash_is_sha256"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.shown}…)"


def _hash(text: str) -> str:
    """A token has 256 random bits, so a plain sha256 keeps it: a slow hash is for what people make up."""
    return hashlib.sha256(text.encode()).hexdigest()


def api_token_make(user, name: str) -> tuple[ApiToken, str]:
    """A new token of a person and its text, which is not kept anywhere: whoever asked must write it down now."""
    text = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(user=user, name=name, token_hash=_hash(text), shown=text[:SHOWN])
    token.full_clean()
    token.save(force_insert=True)
    return token, text


def api_token_find(text: str) -> ApiToken | None:
    """The token with this text when it still counts, its user with it; None: unknown, revoked, or the user inactive.

    Writes down that it was used, at most once a minute. One query, two where that is written.
    """
    if not text.startswith(TOKEN_PREFIX):
        return None
    found = ApiToken.objects.select_related("user").filter(
        token_hash=_hash(text), revoked_at__isnull=True, user__is_active=True
    )
    token = found.first()
    now = timezone.now()
    if token and (token.last_used_at is None or now - token.last_used_at >= SEEN_EVERY):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        token.last_used_at = now
    return token


def api_token_revoke(token: ApiToken) -> None:
    """It never counts again; revoked already: as it is."""
    ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())
    token.refresh_from_db()


# --- Alerts, reports and targets: who is told what, and what is aimed at --------------------------------------------


class AlertRule(models.Model):
    """When somebody is to be told: of a figure that a person chose, or one of the four that came with the house."""

    class Kind(models.TextChoices):
        METRIC = "metric", "a figure"
        REFRESH_FAILED = "refresh_failed", "a refresh failed"
        REFRESH_LATE = "refresh_late", "the figures are late"
        QUARANTINE = "quarantine", "rows were set aside"
        CLOSED_MONTH = "closed_month", "a closed month's revenue moved"

    class Condition(models.TextChoices):
        ABOVE = "above", "is above"
        BELOW = "below", "is below"
        CHANGE = "change", "changes by more than"  # on the period before, either way, in %
        MISSING = "missing", "is missing"

    class Grain(models.TextChoices):
        WEEK = "week", "week"
        MONTH = "month", "month"

    kind = models.CharField("about", max_length=20, choices=Kind, default=Kind.METRIC, editable=False)
    name = models.CharField("name", max_length=100)
    metric = models.CharField("figure", max_length=60, blank=True)
    split = models.CharField("one by one for each", max_length=40, blank=True)
    store = models.CharField("only the store", max_length=100, blank=True)
    grain = models.CharField("of a closed", max_length=10, choices=Grain, default=Grain.MONTH)
    condition = models.CharField("when it", max_length=10, choices=Condition, default=Condition.BELOW)
    limit = models.DecimalField("limit", max_digits=14, decimal_places=4, null=True, blank=True)
    people = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="+", verbose_name="who is told",
        help_text="Nobody chosen: everybody of Management.",
    )  # fmt: skip
    by_mail = models.BooleanField("by e-mail", default=True)
    by_slack = models.BooleanField("in Slack", default=True, help_text="Where the installation has a webhook.")
    paused = models.BooleanField("paused", default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", editable=False,
        verbose_name="made by",
    )  # fmt: skip
    created_at = models.DateTimeField("made", default=timezone.now, editable=False)

    class Meta:
        ordering = ["kind", "name", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(name=""), name="alert_rule_has_a_name", violation_error_message="Give the rule a name."
            ),
            models.CheckConstraint(condition=~Q(kind="metric") | ~Q(metric=""), name="alert_rule_of_a_figure_names_it"),
            models.UniqueConstraint(fields=["kind"], condition=~Q(kind="metric"), name="alert_rule_built_in_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def built_in(self) -> bool:
        return self.kind != self.Kind.METRIC

    def clean(self) -> None:
        """A rule that could never be judged isn't kept. Errors are by field, in sentences."""
        if self.kind == self.Kind.REFRESH_FAILED:
            self.limit = None
        elif self.built_in:
            self._needs_a_limit(above_0=True)
        else:
            self._clean_figure()
        if not (self.by_mail or self.by_slack):
            raise ValidationError({"by_mail": "Choose e-mail, Slack or both: without either nobody is told."})

    def _clean_figure(self) -> None:
        metric = METRICS.get(self.metric)
        if metric is None:
            raise ValidationError({"metric": f"There is no figure “{self.metric}”: choose one of the list."})
        if self.grain not in metric.grains:
            raise ValidationError({"grain": f"{metric.label} is counted by month alone: choose a closed month."})
        if self.split and self.split not in metric.splits:
            said = f"{metric.label} isn't counted by {SPLIT_WORDS.get(self.split, self.split)}"
            known = ", ".join(SPLIT_WORDS[s] for s in metric.splits) or "none"
            raise ValidationError({"split": f"{said}: choose {known}{', or none' if metric.splits else ''}."})
        if self.store:
            self._clean_store(metric)
        if self.condition == self.Condition.MISSING:
            self.limit = None
        else:
            self._needs_a_limit(above_0=self.condition == self.Condition.CHANGE)

    def _clean_store(self, metric) -> None:
        if metric.whole:
            raise ValidationError({"store": f"{metric.label} is a figure of the whole business: leave the store open."})
        if self.split == "store":
            raise ValidationError({"store": "Choose one store, or one by one for each store, not both."})
        try:
            known = store_names()
        except BusinessError as error:
            raise ValidationError({"store": f"The business file can't be read: {error}"}) from None
        if self.store not in known:
            raise ValidationError({"store": f"There is no store “{self.store}”: choose one of {', '.join(known)}."})

    def _needs_a_limit(self, above_0: bool) -> None:
        if self.limit is None:
            raise ValidationError({"limit": "Say from which value on somebody is to be told."})
        if above_0 and self.limit <= 0:
            raise ValidationError({"limit": "Choose a limit above 0."})


class AlertEvent(models.Model):
    """A rule that was met: once a rule and period, whatever happens after. `period`: 2026-02, 2026-W07, or what a
    built-in rule counts by (a day, a set of exports)."""

    rule = models.ForeignKey(AlertRule, models.CASCADE, related_name="events", verbose_name="rule")
    period = models.CharField("period", max_length=100)
    headline = models.CharField("headline", max_length=300)
    detail = models.TextField("detail", blank=True)
    figures = models.JSONField("figures", default=list, blank=True)
    url = models.CharField("page", max_length=500, blank=True)
    build_id = models.CharField("build", max_length=100, blank=True)
    at = models.DateTimeField("at", default=timezone.now)

    class Meta:
        verbose_name = "alert"
        ordering = ["-at", "-pk"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["rule", "period"], name="alert_once_a_rule_and_period")]

    def __str__(self) -> str:
        return self.headline


class ReportMail(models.Model):
    """Who gets the board report of a closed week or month: one row each, made with the house."""

    class Grain(models.TextChoices):
        WEEK = "week", "every week"
        MONTH = "month", "every month"

    grain = models.CharField("which", max_length=10, choices=Grain, unique=True, editable=False)
    people = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="+", verbose_name="who gets it",
        help_text="Nobody chosen: everybody of Management.",
    )  # fmt: skip
    by_slack = models.BooleanField("its insights in Slack", default=True)
    paused = models.BooleanField("paused", default=False)

    class Meta:
        verbose_name = "report by mail"
        verbose_name_plural = "reports by mail"
        ordering = ["grain"]
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return f"The board report, {self.get_grain_display()}"


class Target(models.Model):
    """What a metric is to reach in a month: of the whole business, or of one store."""

    metric = models.CharField("figure", max_length=60)
    month = models.CharField("month", max_length=7, help_text="2026-02")
    store = models.CharField("only the store", max_length=100, blank=True)
    value = models.DecimalField("target", max_digits=14, decimal_places=4)

    class Meta:
        ordering = ["-month", "metric", "store"]
        constraints = [
            models.UniqueConstraint(
                fields=["metric", "month", "store"], name="target_once",
                violation_error_message="There is a target of this figure, month and store already.",
            ),
            models.CheckConstraint(condition=Q(value__gt=0), name="target_is_above_0"),
        ]  # fmt: skip

    def __str__(self) -> str:
        figure = METRICS[self.metric].label if self.metric in METRICS else self.metric
        month = f"{date.fromisoformat(f'{self.month}-01'):%B %Y}" if len(self.month) == 7 else self.month
        return ", ".join(filter(None, (figure, month, self.store)))
