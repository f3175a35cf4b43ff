"""When duties are due: rows of django-celery-beat, which people edit in the admin; its clock and the tick read them.

Made once (models.Made) after a migrate: what a person changes or removes stays so; an upgrade may bring new ones. All
on the business's clock. A schedule's start_time is the moment from which it counts as it stands: one that was only just
made, edited or switched on owes nothing from before.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from celery.schedules import ParseException
from django.apps import apps
from django.conf import settings
from django.db.models.signals import pre_save
from django.utils import timezone

from analytics.access import require_whole
from operations import duties

log = logging.getLogger(__name__)

TASK, TICK = duties.TASK, "operations.tick"
TICK_SECONDS = 30
TICK_NAME = "Look for what is left to do"
EXPIRES = 600  # seconds: what the clock sent and nobody took up by then, a tick has done
DAYS = 5 * 366  # so far a moment is looked for: 29 February comes every four years
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
PARTS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")  # as a crontab has them


@dataclass(frozen=True)
class Rhythm:
    """When something is due, as people say it. kind: hourly, daily, weekly, monthly, or other: then `rule` says it, the
    five parts of a crontab. at: the time of day; of hourly the minutes count."""

    kind: str
    at: time = time(0)
    weekday: int = 1  # 0: Sunday
    day: int = 1  # of the month
    rule: str = ""

    def crontab(self) -> str:
        """The five parts of a crontab: minute, hour, day of month, month, day of week (0: Sunday)."""
        minute, hour = self.at.minute, self.at.hour
        return {
            "hourly": f"{minute} * * * *",
            "daily": f"{minute} {hour} * * *",
            "weekly": f"{minute} {hour} * * {self.weekday}",
            "monthly": f"{minute} {hour} {self.day} * *",
        }.get(self.kind, " ".join(self.rule.split()))

    def words(self) -> str:
        """"every day at 06:00"."""
        at = f"at {self.at:%H:%M}"
        return {
            "hourly": f"every hour at {self.at:%M} past",
            "daily": f"every day {at}",
            "weekly": f"every {WEEKDAYS[self.weekday % 7]} {at}",
            "monthly": f"on day {self.day} of every month {at}",
        }.get(self.kind, f"by the rule {self.crontab()}")


def rhythm_of(crontab) -> Rhythm:
    """How people would say a crontab's row."""
    parts = {part: getattr(crontab, part).replace(" ", "") for part in PARTS}
    rule = " ".join(parts.values())
    number = {part: int(value) for part, value in parts.items() if value.isdecimal()}
    every = frozenset(part for part, value in parts.items() if value == "*")
    kind = {
        frozenset(PARTS[1:]): "hourly",
        frozenset(PARTS[2:]): "daily",
        frozenset(PARTS[2:4]): "weekly",
        frozenset(PARTS[3:]): "monthly",
    }.get(every)
    if kind is None or len(number) + len(every) < len(PARTS):
        return Rhythm("other", rule=rule)
    at = time(number.get("hour", 0), number["minute"])
    return Rhythm(kind, at, number.get("day_of_week", 1) % 7, number.get("day_of_month", 1), rule)


def defaults() -> dict[str, Rhythm]:
    """Duty -> when it is due to begin with: the refresh at the business file's hour, what needs it an hour later."""
    refresh = time.fromisoformat(settings.REFRESH_AT)
    later = refresh.replace(hour=(refresh.hour + 1) % 24)
    return {
        "refresh": Rhythm("daily", refresh),
        "weekly report": Rhythm("weekly", later, weekday=1),
        "monthly report": Rhythm("monthly", later, day=1),
        "promises": Rhythm("daily", later),
        "freshness": Rhythm("hourly", time(0, 20)),
        "prune": Rhythm("daily", time(3, 30)),
    }


# --- The rows --------------------------------------------------------------------------------------------------------


def make(sender=None, **kwargs) -> None:
    """Make the schedules that were never made before (after every migrate)."""
    made, task_model, interval_model = (
        apps.get_model("operations", "Made"),
        *(apps.get_model("django_celery_beat", m) for m in ("PeriodicTask", "IntervalSchedule")),
    )
    now, rows = timezone.now(), []
    for name, rhythm in defaults().items():
        label = duties.DUTIES[name].label
        if made.objects.get_or_create(key=f"schedule {name}")[1] and not task_model.objects.filter(name=label).exists():
            rows.append(task_model(name=label, start_time=now, **_fields(name, rhythm)))
    if made.objects.get_or_create(key="schedule tick")[1] and not task_model.objects.filter(task=TICK).exists():
        often = interval_model.objects.filter(every=TICK_SECONDS, period="seconds")
        interval = often.first() or often.create(every=TICK_SECONDS, period="seconds")
        rows.append(task_model(name=TICK_NAME, task=TICK, interval=interval, expire_seconds=TICK_SECONDS - 5))
    if rows:
        for row in rows:
            row.last_run_at = now
        task_model.objects.bulk_create(rows)  # in bulk: no entry of the trail
        apps.get_model("django_celery_beat", "PeriodicTasks").update_changed()


def _fields(duty: str, rhythm: Rhythm) -> dict:
    """What the row of a duty's schedule says."""
    crontab_model = apps.get_model("django_celery_beat", "CrontabSchedule")
    when = dict(zip(PARTS, rhythm.crontab().split(), strict=True)) | {"timezone": settings.TIME_ZONE}
    same = crontab_model.objects.filter(**when)
    return {
        "task": TASK, "kwargs": json.dumps({"name": duty}), "crontab": same.first() or same.create(**when),
        "expire_seconds": EXPIRES, "description": rhythm.words(),
    }  # fmt: skip


def save(row, duty: str, rhythm: Rhythm, *, user):
    """Write a new or changed schedule. PermissionDenied without the right, or for who is kept to a store."""
    from operations import audit

    right = "add" if row.pk is None else "change"
    require_whole(user, f"operations.{right}_schedule")
    for name, value in _fields(duty, rhythm).items():
        setattr(row, name, value)
    if row.pk is None:
        row.name = _free_name(duties.DUTIES[duty].label, type(row).objects.values_list("name", flat=True))
    with audit.acting(user):
        row.save()
    return row


def _free_name(label: str, taken: Iterable[str]) -> str:
    taken, number = set(taken), 2
    if label not in taken:
        return label
    while f"{label} ({number})" in taken:
        number += 1
    return f"{label} ({number})"


def connect() -> None:
    """Have schedules note by themselves since when they count, whoever saves them."""
    for model in (apps.get_model("django_celery_beat", "PeriodicTask"), apps.get_model("operations", "Schedule")):
        pre_save.connect(_note_since, sender=model)


def _note_since(sender, instance, **kwargs) -> None:
    """Before a schedule is saved: one that is new, has another rhythm or was switched on counts from now."""
    if instance.task != TASK:
        return
    before = sender.objects.filter(pk=instance.pk).first() if instance.pk else None
    if before is None or before.crontab_id != instance.crontab_id or (instance.enabled and not before.enabled):
        instance.start_time = instance.last_run_at = timezone.now()


def count_from_now() -> None:
    """What fell due before is owed no more: after a restore it would be told to everybody once more."""
    task_model, now = apps.get_model("django_celery_beat", "PeriodicTask"), timezone.now()
    task_model.objects.filter(task=TASK).update(start_time=now, last_run_at=now)
    apps.get_model("django_celery_beat", "PeriodicTasks").update_changed()


def duty_of(row) -> str:
    """The name of the duty that a schedule is for; "" when it names none that we know."""
    try:
        name = json.loads(row.kwargs or "{}").get("name")
    except (ValueError, AttributeError):
        return ""
    return name if isinstance(name, str) and name in duties.DUTIES else ""


# --- Moments ---------------------------------------------------------------------------------------------------------


def last_due(crontab, now: datetime) -> datetime | None:
    """The latest moment, up to and including `now`, at which a crontab's row is due; None: not in the last years."""
    today = now.astimezone(crontab.timezone).date()
    days = (today - timedelta(days=n) for n in range(DAYS))
    return next((at for at in _moments(crontab, days, backwards=True) if at <= now), None)


def next_due(crontab, now: datetime) -> datetime | None:
    """The first moment after `now` at which it is due."""
    today = now.astimezone(crontab.timezone).date()
    days = (today + timedelta(days=n) for n in range(DAYS))
    return next((at for at in _moments(crontab, days) if at > now), None)


def _moments(crontab, days: Iterable[date], backwards: bool = False) -> Iterator[datetime]:
    """The moments of these days at which a crontab's row is due, in UTC. ValueError for a rule that is none."""
    try:
        rule = crontab.schedule
    except (ParseException, ValueError, KeyError) as error:
        raise ValueError("Its rule can't be read.") from error
    for day in days:
        wanted = day.isoweekday() % 7 in rule.day_of_week and day.day in rule.day_of_month
        if wanted and day.month in rule.month_of_year:
            for hour in sorted(rule.hour, reverse=backwards):
                for minute in sorted(rule.minute, reverse=backwards):
                    yield datetime.combine(day, time(hour, minute), crontab.timezone).astimezone(UTC)


def owe(now: datetime) -> list[duties.Duty]:
    """The row of each schedule's latest due moment, made where there is none. Schedules that are off owe nothing."""
    rows = []
    for schedule in _enabled().select_related("crontab").order_by("pk"):
        duty = duty_of(schedule)
        try:
            due_at = last_due(schedule.crontab, now) if duty and schedule.crontab else None
        except ValueError as error:
            log.error("schedule %s owes nothing: %s", schedule.pk, error)
            continue
        if due_at and (schedule.start_time is None or due_at >= schedule.start_time):
            rows.append(duties.owe(duty, due_at, now))
    return rows


def is_on(duty: str) -> bool:
    """Has a duty a schedule that is switched on?"""
    return any(duty_of(schedule) == duty for schedule in _enabled())


def _enabled():
    return apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(task=TASK, enabled=True)


def carry_out_latest(name: str) -> str:
    """Do what the schedules of a duty owe since their latest moment; what came of it."""
    said = [duties.carry_out(duty) for duty in owe(timezone.now()) if duty.name == name]
    return " ".join(filter(None, said)) or "Nothing is owed, or it is done."
