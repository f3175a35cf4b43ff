"""The progress bar of commands that take a while: on stderr, gone when it is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar() -> Iterator[Callable[[float, str], None]]:
    """tell(done, words): how much of the whole is done (0..1), and what is being done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    percent, words = TextColumn("{task.percentage:>3.0f} %"), TextColumn("[dim]{task.description}")
    columns = (BarColumn(), percent, TimeElapsedColumn(), words)
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=1.0)
        yield lambda done, words: shown.update(task, completed=done, description=words)
