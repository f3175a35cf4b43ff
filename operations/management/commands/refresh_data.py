"""manage.py refresh_data: from the exports to what the pages show."""

import json
import logging
import sys
from pathlib import Path

from django.core.management.base import BaseCommand
from django.db import DatabaseError

RESULTS = {
    "published": "Published",
    "held": "Held",
    "checked": "Checked, nothing published",
    "nothing_new": "Nothing new",
    "refused": "Refused",
    "failed": "Failed",
    "publishing": "Not live yet",
}


class Command(BaseCommand):
    help = (
        "Read the newest exports, check them, and publish the figures. Exit code 0: done, or nothing new; "
        "1: refused or failed, the last good data stays live; 2: wrong usage; 3: held, because a closed month's "
        "revenue moved by more than the limit: the last good data stays live until a person decides (manage.py "
        "warehouse held)."
    )
    requires_system_checks = []  # they load every dashboard: half of the time of a refresh with nothing new

    def add_arguments(self, parser):
        parser.add_argument("--exports", metavar="DIR", help="folder of the exports (default: MOONWALK_EXPORTS_DIR)")
        parser.add_argument(
            "--force",
            action="store_true",
            help="publish although nothing changed, these exports were rolled back or discarded, or closed months "
            "moved by more than the limit",
        )
        parser.add_argument("--dry-run", action="store_true", help="build and check, publish nothing")
        parser.add_argument("--json", action="store_true", help="print the manifest as JSON, and nothing else")

    def handle(self, *, exports, force, dry_run, json: bool, **options):
        if exports and not Path(exports).is_dir():
            self.stderr.write(f"There is no folder {exports}: give one that holds the exports.")
            sys.exit(2)
        logging.getLogger("operations").setLevel(logging.WARNING)  # the output below says the same
        arguments = {"trigger": "command", "exports_dir": exports, "force": force, "dry_run": dry_run}
        try:
            run = _quietly(arguments) if json else _with_a_bar(arguments)
        except DatabaseError as error:
            return self._stop(json, f"The database can't be used ({error}). Is it set up? `manage.py migrate` does it.")
        except KeyboardInterrupt:
            self.stderr.write("Stopped. The last good data stays live.")
            sys.exit(130)
        except Exception as error:
            from etl.errors import MoonwalkError

            if not isinstance(error, MoonwalkError):
                raise
            return self._stop(json, str(error))
        if json:
            self._print_json(run)
        else:
            _report(run)
        if run.state in ("refused", "failed", "publishing"):
            sys.exit(1)
        if run.state == "held":
            sys.exit(3)
        return None

    def _print_json(self, run):
        if run.state in ("refused", "failed", "publishing"):
            content = {"result": run.state, "error": run.error_for_output}
        else:
            content = {**run.manifest, "result": run.state, **({"moved": run.moved} if run.moved else {})}
        if run.state == "nothing_new" and run.warnings:
            content["warnings"] = [*content.get("warnings", []), *run.warnings]
        self.stdout.write(json.dumps(content, indent=1))

    def _stop(self, as_json: bool, error: str):
        if as_json:
            self.stdout.write(json.dumps({"result": "refused", "error": error}, indent=1))
        else:
            self.stderr.write(error)
        sys.exit(1)


def _quietly(arguments: dict):
    from operations.refresh import refresh

    return refresh(**arguments)


def _with_a_bar(arguments: dict):
    """The refresh under a progress bar on stderr, where that is a terminal."""
    from operations.management.bars import bar
    from operations.refresh import refresh

    with bar() as tell:
        return refresh(**arguments, on_progress=lambda e: tell(e.percent / 100, f"{e.step}: {e.message}"))


def _report(run) -> None:
    """What happened, for a person: one table a refresh, then warnings, then one line that says how it ended."""
    from rich.markup import escape

    from operations.management import bars

    console = bars.console()
    if run.state in ("published", "checked", "held"):
        console.print(_files_table(run.manifest))
        for line in _rejected(run.manifest.get("rejected", {})):
            console.print(escape(line), soft_wrap=True)
        steps = "  ".join(f"{step} {seconds:.2f}" for step, seconds in run.seconds.items())
        console.print(f"Seconds by step: {steps}  (together {sum(run.seconds.values()):.2f})")
        for table, count in run.counts.items():
            console.print(
                f"{table.capitalize()} in the database: {count['added']:,} added, {count['changed']:,} changed, "
                f"{count['gone']:,} no longer in the export"
            )
    if run.moved:
        console.print(moved_table(run))
    for warning in run.warnings:
        console.print(f"[yellow]Warning:[/] {escape(str(warning))}", soft_wrap=True)
    if run.error:
        console.print(f"[red]{RESULTS[run.state]}:[/] {escape(run.error_for_output)}", soft_wrap=True)
        console.print("The last good data stays live.")
    elif run.state == "held":
        console.print(
            f"[yellow]Held:[/] build {run.build_id}, exports of {run.as_of}. {_why_held(run)} Nothing of it is on a "
            f"page or at the desk yet. Publish it with `manage.py warehouse release {run.pk}`, or remove it with "
            f"`manage.py warehouse discard {run.pk}`.",
            soft_wrap=True,
        )
    else:
        style = "green" if run.state == "published" else "bold"
        console.print(
            f"[{style}]{RESULTS[run.state]}:[/] build {run.build_id or run.manifest.get('build_id', '-')}, "
            f"exports of {run.as_of or '-'}",
            soft_wrap=True,
        )


def _why_held(run) -> str:
    from operations.moved import listed, over

    months = listed(over(run))
    return f"Revenue of {months} moves by more than the limit." if months else "Closed months can't be compared."


def moved_table(run):
    """Every figure of closed months that a build moves, its revenue first; what is over the limit says so."""
    from rich.table import Table

    from operations.moved import months

    table = Table(box=None, pad_edge=False)
    table.add_column("Month", no_wrap=True)
    table.add_column("Figure")
    for name in ("Live now", "In this build", "Change", "In %"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for month in months(run):
        for line in (*month.revenue, *month.others):
            said = "over the limit" if line.over else ""
            table.add_row(month.label, line.label, line.before, line.after, line.change, line.percent, said)
    return table


def _rejected(places: dict) -> list[str]:
    """A line a file and rule of a dry run, which keeps no rejected rows: where they stand in the export."""
    return [
        f"{found['file']}: {rule} in row{'s' if found['count'] > 1 else ''} {', '.join(map(str, found['rows']))}"
        + (f" and {found['count'] - len(found['rows']):,} more" if found["count"] > len(found["rows"]) else "")
        for rules in places.values()
        for rule, found in rules.items()
    ]


def _files_table(manifest: dict):
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("File", no_wrap=True)
    for name in ("Rows read", "Loaded", "Excluded", "Quarantined"):
        table.add_column(name, justify="right")
    table.add_column("Why")
    for kind, file in manifest.get("files", {}).items():
        excluded, quarantined = file.get("excluded", {}), file.get("quarantined", {})
        why = ", ".join(f"{reason} {n:,}" for reason, n in {**excluded, **quarantined}.items())
        table.add_row(
            file.get("file") or kind,
            f"{file['read']:,}",
            f"{file['loaded']:,}",
            f"{sum(excluded.values()):,}",
            f"{sum(quarantined.values()):,}",
            why,
        )
    return table
