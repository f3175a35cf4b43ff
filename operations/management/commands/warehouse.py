"""manage.py warehouse: the builds on disk."""

import sys

from django.core.management.base import BaseCommand

from etl.errors import MoonwalkError


class Command(BaseCommand):
    help = "List the warehouse's builds, go back to an earlier one, or remove old ones."
    requires_system_checks = []

    def add_arguments(self, parser):
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="every build on disk, the newest first")
        back = actions.add_parser("rollback", help="go back to an earlier build, customers and orders included")
        back.add_argument("build", nargs="?", help="which one (default: the published one before the current)")
        actions.add_parser("prune", help="remove builds older than the last five sets of exports")

    def handle(self, *, action, build=None, **options):
        from operations.refresh import warehouse

        try:
            if action == "list":
                self._list(warehouse())
            elif action == "rollback":
                self._rollback(build)
            else:
                self._prune()
        except MoonwalkError as error:
            self.stderr.write(str(error))
            sys.exit(1)

    def _list(self, house):
        from rich.console import Console
        from rich.table import Table

        builds = house.builds()
        if not builds:
            self.stdout.write("There is no build yet: `manage.py refresh_data` makes the first one.")
            return
        table = Table(box=None, pad_edge=False)
        for name in ("Build", "Made", "Exports of", "Set"):
            table.add_column(name, no_wrap=True)
        table.add_column("MB", justify="right")
        table.add_column("State")
        for build in builds:
            state = "[green]live[/]" if build.current else "" if build.manifest.get("published") else "never published"
            table.add_row(
                build.build_id,
                f"{build.created:%Y-%m-%d %H:%M:%S}",
                str(build.as_of),
                build.inputs[:8],
                f"{build.size / 1e6:.1f}",
                state,
            )
        console = Console(highlight=False)
        # Whole lines also where the output goes to a file or another program.
        console.print(table) if console.is_terminal else Console(highlight=False, width=160).print(table)

    def _rollback(self, build_id):
        from operations.refresh import rollback

        run = rollback(build_id)
        if run.error:
            self.stderr.write(f"Not rolled back: {run.error_for_output}")
            sys.exit(1)
        self.stdout.write(
            f"Live again: build {run.build_id}, exports of {run.as_of}. The exports of later builds are not "
            "published again unless forced (refresh_data --force)."
        )

    def _prune(self):
        from operations.refresh import prune

        removed = prune()
        self.stdout.write(
            f"Removed {len(removed)} build{'s' if len(removed) != 1 else ''}"
            f"{': ' + ', '.join(removed) if removed else ''}."
        )
