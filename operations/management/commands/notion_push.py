"""manage.py notion_push: the live build's figures into Notion, now."""

import sys

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = (
        "Write the KPIs and insights of the live build into Notion. Exit code 0: done; 1: it did not go, the sentence "
        "says why; 2: Notion is not set up."
    )
    requires_system_checks = []  # nothing of them concerns Notion

    def add_arguments(self, parser):
        parser.add_argument("--dry-run", action="store_true", help="say what would be made and changed, touch nothing")

    def handle(self, *, dry_run, **options):
        from etl.errors import MoonwalkError
        from operations import notion
        from operations.management.bars import bar
        from operations.transports import Hopeless, TryAgain

        try:
            with bar(counted=True) as tell:
                done = notion.push(dry_run=dry_run, on_progress=lambda done, of, what: tell(done, what, of))
        except notion.NotSetUp as error:
            self._stop(str(error), 2)
        except TryAgain as error:
            self._stop(f"{error} Try again in a minute: it goes on where it stopped.", 1)
        except (Hopeless, MoonwalkError) as error:
            self._stop(str(error), 1)
        except KeyboardInterrupt:
            self._stop("Stopped. The next push goes on where this one stopped.", 130)
        if dry_run:
            self._table(done)
            if not notion.is_set_up():
                self.stdout.write(f"As if Notion were empty. {notion.NOT_SET}")
        verb = "Would push" if dry_run else "Pushed"
        self.stdout.write(f"{verb} build {done.build_id}: {done.said()}.")

    def _stop(self, sentence: str, code: int):
        self.stderr.write(sentence)
        sys.exit(code)

    def _table(self, done):
        """A line a thing that would be made or changed; how many are left as they are, in one."""
        from rich.table import Table

        from operations.management import bars
        from operations.notion_upkeep import LEFT

        console = bars.console(self.stdout._out)
        table = Table(box=None, pad_edge=False)
        for name in ("What", "Name", "Would be", "What of it"):
            table.add_column(name, no_wrap=name != "What of it")
        left: dict[str, int] = {}
        for change in done.changes:
            if change.action == LEFT:
                left[change.what] = left.get(change.what, 0) + 1
            else:
                table.add_row(change.what, change.name, change.action, change.detail)
        if table.rows:
            console.print(table)
        for what, count in left.items():
            console.print(f"{count} {what}{'s' if count > 1 else ''} left as they are.")
