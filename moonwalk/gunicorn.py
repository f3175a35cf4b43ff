"""How gunicorn serves Moonwalk: `gunicorn moonwalk.wsgi --config moonwalk/gunicorn.py`."""

from moonwalk import logs

threads = 4
timeout = 120
# django-plotly-dash keeps a little of every dashboard it ever drew: a worker is renewed before that weighs.
max_requests = 20_000
max_requests_jitter = 2_000
loglevel = "warning"
logconfig_dict = logs.for_gunicorn()
# A refresh that a worker runs in process may end before the worker does.
graceful_timeout = 60


def post_worker_init(worker) -> None:
    """Payments that a killed process left out of the figures."""
    from operations.catch_up import at_start

    at_start()


def worker_exit(server, worker) -> None:
    """A worker that is asked to stop ends the refresh it runs first."""
    from operations.catch_up import finish

    finish()
