"""The Celery app: its settings are the CELERY_* names of moonwalk/settings.py, its tasks are operations/tasks.py.

Worker and clock in one process: `celery -A moonwalk worker --beat --loglevel info`.
"""

import os

from celery import Celery
from celery.schedules import crontab
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moonwalk.settings")

app = Celery("moonwalk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect
def add_daily_refresh(sender, **kwargs) -> None:
    """Every day at the hour the business file names (`refresh_at`), on the business's clock (CELERY_TIMEZONE); and
    every five minutes a look for payments that are not in the figures yet."""
    hour, minute = settings.REFRESH_AT.split(":")
    sender.conf.beat_schedule = {
        "daily refresh": {"task": "operations.refresh", "schedule": crontab(hour=int(hour), minute=int(minute))},
        # Each payment asks for it too; this takes up what a worker that was killed left.
        "payments": {"task": "operations.payments", "schedule": 300.0},
    }
