"""When duties are due: rows of django-celery-beat, which people edit in the admin; its clock and the tick read them.

Made once (models.Made) after a migrate: what a person changes or removes stays so; an upgrade may bring new ones. All
on the business's clock. A schedule's start_time is the moment from which it counts as it stands: one that was only just
made, edited or switched on owes nothing from before.
"""

import json
from datetime import UTC, datetime, timedelta

from django.apps import apps
from django.conf import settings
from django.db.models.signals import pre_save
from django.utils import timezone

from operations import duties

TASK, TICK = "operations.duty", "operations.tick"
TICK_SECONDS = 30
TICK_NAME = "Look for what is left to do"
YEARS = 5  # so far back a schedule's last moment is looked for: 29 February comes every four years


def defaults() -> dict[str, dict[str, str]]:
    """Duty -> the crontab it starts with: the refresh at the business file's hour, what stands on it an hour later."""
    hour, minute = (str(int(part)) for part in settings.REFRESH_AT.split(":"))
    later = str((int(hour) + 1) % 24)
    return {
        "refresh": {"hour": hour, "minute": minute},
        "weekly report": {"hour": later, "minute": minute, "day_of_week": "1"},
        "monthly report": {"hour": later, "minute": minute, "day_of_month": "1"},
        "promises": {"hour": later, "minute": minute},
        "freshness": {"minute": "20"},
        "prune": {"hour": "3", "minute": "30"},
    }


def make(sender=None, **kwargs) -> None:
    """Make the schedules that were never made before (after every migrate)."""
    made, task_model, crontab_model, interval_model = (
        apps.get_model("operations", "Made"),
        *(apps.get_model("django_celery_beat", m) for m in ("PeriodicTask", "CrontabSchedule", "IntervalSchedule")),
    )
    now = timezone.now()
    for name, when in defaults().items():
        label = duties.DUTIES[name].label
        if not made.objects.get_or_create(key=f"schedule {name}")[1] or task_model.objects.filter(name=label).exists():
            continue
        rows = crontab_model.objects.filter(**_crontab(when))
        crontab = rows.first() or rows.create(**_crontab(when))
        task_model.objects.create(
            name=label, task=TASK, kwargs=json.dumps({"name": name}), crontab=crontab, start_time=now, last_run_at=now,
            expire_seconds=600, description=duties.DUTIES[name].about,
        )  # fmt: skip
    if made.objects.get_or_create(key="schedule tick")[1] and not task_model.objects.filter(task=TICK).exists():
        often = {"every": TICK_SECONDS, "period": "seconds"}
        interval = interval_model.objects.filter(**often).first() or interval_model.objects.create(**often)
        task_model.objects.create(
            name=TICK_NAME, task=TICK, interval=interval, last_run_at=now, expire_seconds=TICK_SECONDS - 5,
            description="Starts what should have happened and did not: duties, refreshes, messages, new exports.",
        )  # fmt: skip


def _crontab(when: dict[str, str]) -> dict[str, str]:
    """All fields of a crontab's row."""
    every = dict.fromkeys(("minute", "hour", "day_of_week", "day_of_month", "month_of_year"), "*")
    return every | when | {"timezone": settings.TIME_ZONE}


def connect() -> None:
    """Have schedules note by themselves since when they count, whoever saves them."""
    pre_save.connect(_note_since, sender=apps.get_model("django_celery_beat", "PeriodicTask"))


def _note_since(sender, instance, **kwargs) -> None:
    """Before a schedule is saved: one that is new, has another rhythm or was switched on counts from now."""
    if instance.task != TASK:
        return
    before = sender.objects.filter(pk=instance.pk).first() if instance.pk else None
    if before is None or before.crontab_id != instance.crontab_id or (instance.enabled and not before.enabled):
        instance.start_time = instance.last_run_at = timezone.now()


def of_duties() -> list:
    """The schedules of duties that are switched on, each with .duty, its duty's name."""
    found = apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(task=TASK, enabled=True)
    rows = []
    for row in found.select_related("crontab").order_by("pk"):
        row.duty = duty_of(row)
        if row.duty in duties.DUTIES and row.crontab:
            rows.append(row)
    return rows


def duty_of(row) -> str:
    """The name of the duty that a schedule is for; "" when it names none."""
    try:
        return str(json.loads(row.kwargs or "{}").get("name", ""))
    except (ValueError, AttributeError):
        return ""


def last_due(crontab, now: datetime) -> datetime | None:
    """The latest moment, up to and including `now`, at which a crontab's row is due; None: not in the last years."""
    rule, zone = crontab.schedule, crontab.timezone
    minutes, hours = sorted(rule.minute, reverse=True), sorted(rule.hour, reverse=True)
    today = now.astimezone(zone).date()
    for back in range(YEARS * 366):
        day = today - timedelta(days=back)
        fits = day.isoweekday() % 7 in rule.day_of_week and day.day in rule.day_of_month
        if not fits or day.month not in rule.month_of_year:
            continue
        for hour in hours:
            for minute in minutes:
                at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
                if at <= now:
                    return at
    return None


def owe(now: datetime) -> list:
    """Make the row of each schedule's latest due moment that has none; the rows."""
    rows = []
    for row in of_duties():
        due_at = last_due(row.crontab, now)
        if due_at and (row.start_time is None or due_at >= row.start_time):
            rows.append(duties.owe(row.duty, due_at, now))
    return rows


def carry_out_latest(name: str, now: datetime | None = None) -> str:
    """What the schedules of a duty owe since their latest moment; what came of it."""
    now = now or timezone.now()
    said = [duties.carry_out(duty, now) for duty in owe(now) if duty.name == name]
    return " ".join(filter(None, said)) or "Nothing is owed, or it is done."
