"""Which refresh this thread works on, for the log: the number of its run."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

number: ContextVar[int | None] = ContextVar("operations_current_run", default=None)


@contextmanager
def told(run_id: int | None) -> Iterator[None]:
    """What is logged inside is about this refresh; about none without a number."""
    token = number.set(run_id)
    try:
        yield
    finally:
        number.reset(token)
