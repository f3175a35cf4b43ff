"""The wiring: settings, URLs, Celery and the server entry points. Nothing here knows a figure."""

__version__ = "0.1.0"  # that of pyproject.toml
