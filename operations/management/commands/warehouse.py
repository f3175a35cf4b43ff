"""manage.py warehouse: the builds on disk."""

import sys

from django.core.management.base import BaseCommand

from etl.errors import MoonwalkError


class Command(BaseCommand):
    help = "List the warehouse's builds, go back to an earlier one, decide about one that is held, or remove old ones."
    requires_system_checks = []

    def add_arguments(self, parser):
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="every build on disk, the newest first")
        back = actions.add_parser("rollback", help="go back to an earlier build, customers and orders included")
        back.add_argument("build", nargs="?", help="which one (default: the published one before the current)")
        actions.add_parser("held", help="the build that waits for a person's word, and what it moves of closed months")
        release = actions.add_parser("release", help="publish the build that a refresh held")
        discard = actions.add_parser("discard", help="remove the build that a refresh held; its exports stay out")
        for decision in (release, discard):
            decision.add_argument("run", type=int, metavar="RUN", help="the refresh's number, as `held` shows it")
        actions.add_parser("prune", help="remove builds older than the last five sets of exports")

    def handle(self, *, action, build=None, run=None, **options):
        from operations.refresh import warehouse

        try:
            if action == "list":
                self._list(warehouse())
            elif action == "rollback":
                self._rollback(build)
            elif action == "held":
                self._held()
            elif action == "release":
                self._release(_run(run))
            elif action == "discard":
                self._discard(_run(run))
            else:
                self._prune()
        except MoonwalkError as error:
            self.stderr.write(str(error))
            sys.exit(1)

    def _list(self, house):
        from rich.table import Table

        from operations.management import bars
        from operations.models import RefreshRun

        builds = house.builds()
        if not builds:
            self.stdout.write("There is no build yet: `manage.py refresh_data` makes the first one.")
            return
        table = Table(box=None, pad_edge=False)
        for name in ("Build", "Made", "Exports of", "Set"):
            table.add_column(name, no_wrap=True)
        table.add_column("MB", justify="right")
        table.add_column("State")
        held = dict(RefreshRun.objects.filter(state="held").values_list("build_id", "pk"))
        for build in builds:
            state = "[green]live[/]" if build.current else "" if build.manifest.get("published") else "never published"
            state = f"held by refresh {held[build.build_id]}" if build.build_id in held else state
            table.add_row(
                build.build_id,
                f"{build.created:%Y-%m-%d %H:%M:%S}",
                str(build.as_of),
                build.inputs[:8],
                f"{build.size / 1e6:.1f}",
                state,
            )
        bars.console().print(table)

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

    def _held(self):
        from operations.held import why_not
        from operations.management import bars
        from operations.management.commands.refresh_data import moved_table
        from operations.models import RefreshRun
        from operations.refresh import warehouse

        waits = RefreshRun.objects.filter(state="held").first()
        if waits is None:
            self.stdout.write("No build is held.")
            return
        self.stdout.write(f"Refresh {waits.pk} is held: build {waits.build_id}, exports of {waits.as_of}.")
        bars.console().print(moved_table(waits))
        self.stdout.write(
            why_not(warehouse(), waits)
            or f"`manage.py warehouse release {waits.pk}` publishes it, `... discard {waits.pk}` removes it."
        )

    def _release(self, held):
        from operations.held import decision
        from operations.refresh import release_now

        if held.state != "held":
            raise MoonwalkError(decision(held))
        run = release_now(held.build_id)
        if run.error:
            self.stderr.write(f"Not published: {run.error_for_output}")
            sys.exit(1)
        self.stdout.write(f"Live: build {run.build_id}, exports of {run.as_of}.")

    def _discard(self, held):
        from operations.held import discard
        from operations.refresh import warehouse

        discard(warehouse(), held, None)
        self.stdout.write(
            f"Removed: build {held.build_id}. Its exports are not published unless forced (refresh_data --force)."
        )

    def _prune(self):
        from operations.refresh import prune

        removed = prune()
        self.stdout.write(
            f"Removed {len(removed)} build{'s' if len(removed) != 1 else ''}"
            f"{': ' + ', '.join(removed) if removed else ''}."
        )


def _run(number: int):
    """The refresh of this number. Raises MoonwalkError when there is none."""
    from operations.models import RefreshRun

    run = RefreshRun.objects.filter(pk=number).first()
    if run is None:
        raise MoonwalkError(f"There is no refresh {number}: `manage.py warehouse held` shows which one is held.")
    return run
