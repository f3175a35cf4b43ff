"""Which refresh this thread works on, for the log: the number of its run."""

from contextvars import ContextVar

number: ContextVar[int | None] = ContextVar("operations_current_run", default=None)
