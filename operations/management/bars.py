"""What commands show: a progress bar on stderr, gone when it is done; tables, in whole lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

WIDE = 160  # columns of a log file, or of another program that reads: whole lines


@contextmanager
def bar(*, counted: bool = False) -> Iterator[Callable[[float, str], None]]:
    """tell(done, words): how much of the whole is done (0..1), and what is being done. counted: tell(done, words, of)
    says how many of how many."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    so_far = MofNCompleteColumn() if counted else TextColumn("{task.percentage:>3.0f} %")
    columns = (BarColumn(), so_far, TimeElapsedColumn(), TextColumn("[dim]{task.description}"))
    shown_on = console(stderr=True)
    with Progress(*columns, console=shown_on, transient=True, disable=not shown_on.is_terminal) as shown:
        task = shown.add_task("", total=None if counted else 1.0)
        yield lambda done, words, of=1.0: shown.update(task, completed=done, total=of, description=words)


def console(file: TextIO | None = None, *, stderr: bool = False):
    """A rich.console.Console on stdout, stderr or this file, with whole lines where it is no terminal."""
    from rich.console import Console

    made = Console(file=file, stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = WIDE
    return made
