"""The Celery app: its settings are the CELERY_* names of moonwalk/settings.py, its tasks are operations/tasks.py.

Worker and clock in one process: `celery -A moonwalk worker --beat --loglevel info`.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moonwalk.settings")

app = Celery("moonwalk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
