"""The wiring: settings, URLs, Celery and the server entry points. Nothing here knows a figure."""
