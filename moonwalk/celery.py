"""The Celery app: its settings are the CELERY_* names of moonwalk/settings.py, its tasks are operations/tasks.py, its
schedules rows of the database (operations/schedules.py).

A worker and one clock: `celery -A moonwalk worker --loglevel info`, `celery -A moonwalk beat --loglevel info`.
"""

import os

from celery import Celery, signals

from moonwalk import logs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moonwalk.settings")

app = Celery("moonwalk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
signals.setup_logging.connect(logs.like_the_rest, weak=False)
signals.before_task_publish.connect(logs.task_sent, weak=False)
signals.task_prerun.connect(logs.task_begun, weak=False)
signals.task_postrun.connect(logs.task_ended, weak=False)
