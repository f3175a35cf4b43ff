"""Refreshes: what each did and how long it took, whether its rows add up, what was set aside; starting, undoing, and
deciding about a build that is held."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import display

from analytics import exports, formats
from analytics.access import may_whole
from analytics.admin_lists import (
    Cell,
    HiddenFromStores,
    ListAdmin,
    LookedAt,
    MomentsFilter,
    link,
    moment,
    people_filter,
    tag,
    yes_no,
)
from analytics.models import AlertEvent
from analytics.tables import Column, Table
from etl.errors import MoonwalkError
from operations import held, moved, quarantine, refresh, uploads
from operations.admin.deliveries import deliveries_of
from operations.admin.shared import Button, admin_url, page, person
from operations.lock import RefreshBusy
from operations.models import Order, RefreshRun

if TYPE_CHECKING:
    from etl.warehouse import BuildInfo

log = logging.getLogger(__name__)

NAME = "admin:operations_refreshrun"
TONES = {
    "published": "good", "checked": "good", "nothing_new": "info", "running": "warn", "publishing": "warn",
    "queued": "warn", "held": "warn", "released": "good", "discarded": "info", "refused": "bad", "failed": "bad",
}  # fmt: skip
STEPS = {
    "find": "find the files", "read": "read them", "stage": "check and clean rows", "marts": "make the tables",
    "checks": "check the figures", "insights": "insights", "compare": "closed months with what is live",
    "sync": "customers and orders into the database", "publish": "go live",
}  # fmt: skip

UPGRADE = (
    "The exports are those that are live, worked out by a newer version of Moonwalk: payments that staff record from "
    "now on reach the figures when it is published, by a forced refresh or with newer exports."
)
BACK, BACK_TO_EXPORTS = "Roll back to this build", "Roll back to these exports"


@admin.register(RefreshRun)
class RefreshRunAdmin(HiddenFromStores, LookedAt, ListAdmin):
    """Who may look at refreshes has the view permission; who may start one or go back, the add permission. All of it is
    of the whole business: not for a person kept to one store."""

    list_display = ("started", "outcome", "trigger", "who", "as_of", "build", "took", "rows_read", "rows_rejected",
                    "warned")  # fmt: skip
    list_filter = (
        ("state", ChoicesDropdownFilter), ("trigger", ChoicesDropdownFilter), people_filter("started_by", "person"),
        ("started_at", MomentsFilter), ("dry_run", BooleanRadioFilter), ("forced", BooleanRadioFilter),
    )  # fmt: skip
    search_fields = ("build_id", "error")
    search_help_text = "Build, or words of an error"
    date_hierarchy = "started_at"
    list_about = "Each line is one time that the figures were made anew. Click one to see what went in and what didn't."
    list_before_template = "admin/operations/refreshrun/start.html"
    change_form_outer_before_template = "admin/operations/refreshrun/run.html"
    fieldsets = (
        (None, {"fields": ("live", "warning_list", ("trigger", "who", "as_of"),
                           ("started", "finished", "took"), ("build", "checked_only", "was_forced"))}),
        ("Who was told", {"fields": ("told",)}),
        ("Rows of each file", {"fields": ("files", "synced")}),
        ("Steps", {"fields": ("steps",)}),
        ("For whoever looks after Moonwalk", {"fields": ("exports_dir", "fingerprint", "manifest_shown")}),
    )  # fmt: skip
    readonly_fields = ("live", "warning_list", "who", "started", "finished", "took", "build", "files", "synced",
                       "steps", "manifest_shown", "checked_only", "was_forced", "told")  # fmt: skip
    cells = (
        Cell(Column("started", "Started"), lambda r: moment(r.started_at)),
        Cell(Column("state", "Outcome"), lambda r: r.get_state_display()),
        Cell(Column("trigger", "Started by"), lambda r: r.get_trigger_display()),
        Cell(Column("who", "Person"), lambda r: person(r.started_by) if r.started_by else None),
        Cell(Column("as_of", "Exports of", "date"), lambda r: r.as_of),
        Cell(Column("build", "Build"), lambda r: r.build_id),
        Cell(Column("took", "Seconds", "ratio"), lambda r: seconds(r)),
        Cell(Column("read", "Rows read", "count"), lambda r: tally(r)["read"]),
        Cell(Column("loaded", "Loaded", "count"), lambda r: tally(r)["loaded"]),
        Cell(Column("excluded", "Left out", "count"), lambda r: tally(r)["excluded"]),
        Cell(Column("quarantined", "Set aside", "count"), lambda r: tally(r)["quarantined"]),
        Cell(Column("error", "What went wrong"), lambda r: r.error),
    )

    class Media:
        js = ("operations/refresh.js",)

    @staticmethod
    def may_start(request) -> bool:
        return may_whole(request.user, "operations.add_refreshrun")

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("started_by", "decided_by").defer("moved", "moved_orders")

    def fill(self, request, rows):
        house = refresh.warehouse()
        current = house.current()
        inputs = house.manifest(current).get("inputs") if current else None
        for run in rows:
            run._live = bool(run.build_id) and run.build_id == current
            run._exports_live = run.state == run.State.PUBLISHED and run.manifest.get("inputs", "") == inputs

    def get_object(self, request, object_id, from_field=None):
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            self.fill(request, [found])
        return found

    def get_urls(self):
        wrap, name = self.admin_site.admin_view, "operations_refreshrun_"
        return [
            path("start/", wrap(require_POST(self.start_view)), name=f"{name}start"),
            path("<int:pk>/progress/", wrap(self.progress_view), name=f"{name}progress"),
            path("<int:pk>/rollback/", wrap(self.rollback_view), name=f"{name}rollback"),
            path("<int:pk>/release/", wrap(self.release_view), name=f"{name}release"),
            path("<int:pk>/discard/", wrap(self.discard_view), name=f"{name}discard"),
            path("<int:pk>/orders.<str:form>", wrap(self.orders_view), name=f"{name}orders"),
            path("<int:pk>/quarantine/<slug:kind>/", wrap(self.quarantine_view), name=f"{name}quarantine"),
            *super().get_urls(),
        ]

    def get_fieldsets(self, request, obj=None):
        found = super().get_fieldsets(request, obj)
        return [("What went wrong", {"fields": ["error"]}), *found] if obj and obj.error else found

    def list_links(self, request):
        uploading = page(request.user, "upload", "upload")
        return [("Upload newer exports", uploading)] if uploading else []

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if obj is not None:
            may = self.may_start(request)
            context |= {"buttons": self.buttons(request, obj), "may_start": may, "held": what_moves(obj, request.user)}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def buttons(self, request, run: RefreshRun) -> list[Button]:
        found, name = [], Path(run.exports_dir).name
        if self.may_start(request) and (build := way_back(run)):
            back = reverse("admin:operations_refreshrun_rollback", args=[run.pk])
            found.append(Button(BACK if build.build_id == run.build_id else BACK_TO_EXPORTS, back))
        if run.state == run.State.NOTHING_NEW and (waits := moved.waits_for(request.user)):
            url = reverse("admin:operations_refreshrun_change", args=[waits.pk])
            found.append(Button("The refresh that is held", url))
        if run.trigger == run.Trigger.UPLOAD and uploads.mine(name, request.user):
            found.append(Button("The files it was uploaded with", reverse("uploaded", args=[name])))
        if url := page(request.user, "upload", "upload"):
            found.append(Button("Upload newer exports", url))
        return found

    # Views

    def changelist_view(self, request, extra_context=None):
        return super().changelist_view(request, {"may_start": self.may_start(request), **(extra_context or {})})

    def start_view(self, request):
        if not self.may_start(request):
            raise PermissionDenied
        return self._started(request, force=bool(request.POST.get("force")))

    def rollback_view(self, request, pk):
        """GET: what going back means, and a button. POST: goes back to the build of this run."""
        if not self.may_start(request):
            raise PermissionDenied
        run = self._run(pk)
        build = way_back(run)
        if build is None:
            messages.error(request, "This build is live already, or no longer kept: there is no going back to it.")
            return redirect("admin:operations_refreshrun_change", pk)
        if request.method == "POST":
            return self._started(request, trigger=run.Trigger.ROLLBACK, build_id=build.build_id)
        left = [b for b in refresh.warehouse().builds() if b.manifest.get("published") and b.created > build.created]
        context = self.admin_site.each_context(request) | {
            "title": BACK if build.build_id == run.build_id else BACK_TO_EXPORTS, "opts": self.opts, "run": run,
            "build": build, "left": left,
        }  # fmt: skip
        return TemplateResponse(request, "admin/operations/refreshrun/rollback.html", context)

    def release_view(self, request, pk):
        """GET: what publishing a held build means, and a button. POST: publishes it."""
        run = self._to_decide(request, pk)
        if run.state != run.State.HELD:
            return self._too_late(request, run)
        if why := held.why_not(refresh.warehouse(), run):
            messages.error(request, why)
            return redirect("admin:operations_refreshrun_change", pk)
        if request.method == "POST":
            return self._led(request, lambda: refresh.release(run, request.user))
        said = [
            f"Every page and the desk then show build {run.build_id}: exports of {formats.day(run.as_of)}. Payments "
            "recorded since it was made follow at once. You can go back afterwards, as from every build."
        ]
        return self._asked(request, run, "Publish the held build", "Publish", said, danger=False)

    def discard_view(self, request, pk):
        """GET: what discarding a held build means, and a button. POST: removes it."""
        run = self._to_decide(request, pk)
        if run.state != run.State.HELD:
            return self._too_late(request, run)
        if request.method == "POST":
            try:
                held.discard(refresh.warehouse(), run, request.user)
            except MoonwalkError:  # somebody was quicker
                return self._too_late(request, run)
            messages.success(request, f"Build {run.build_id} was discarded. What is live stays.")
            return redirect("admin:operations_refreshrun_change", pk)
        said = [
            "What is live stays. These very exports are not published any more, unless a refresh is forced: mend them "
            "in CleanCloud and export again.",
            *([UPGRADE] if held.is_an_upgrade(refresh.warehouse(), run) else []),
        ]
        return self._asked(request, run, "Discard the held build", "Discard", said, danger=True)

    def _to_decide(self, request, pk) -> RefreshRun:
        if not self.may_start(request):
            raise PermissionDenied
        return self._run(pk)

    def _too_late(self, request, run: RefreshRun):
        """To the run's page, whose first words are what was decided, by whom."""
        if run.state not in held.WERE_HELD:
            messages.error(request, held.decision(run))
        elif request.method == "POST":
            messages.error(request, "What you asked for was not done: somebody decided before you, as said below.")
        else:
            messages.info(request, "Nothing is left to decide here.")
        return redirect("admin:operations_refreshrun_change", run.pk)

    def _asked(self, request, run: RefreshRun, title: str, yes: str, said: list[str], danger: bool):
        """The page that asks once more."""
        context = self.admin_site.each_context(request) | {
            "title": title, "yes": yes, "said": said, "danger": danger, "opts": self.opts, "run": run,
            "months": moved.months(run, addresses(run, request.user)),
        }  # fmt: skip
        return TemplateResponse(request, "admin/operations/refreshrun/decide.html", context)

    def _started(self, request, **what):
        return self._led(request, lambda: refresh.start(user=request.user, **what))

    def _led(self, request, start):
        """Start a refresh and lead to its page; where that can't be now, say why."""
        try:
            run = start()
        except RefreshBusy as busy:
            messages.warning(request, str(busy))
            run = busy.run
        except MoonwalkError as error:
            messages.error(request, str(error))
            run = None
        if run is None:
            return redirect("admin:operations_refreshrun_changelist")
        return redirect("admin:operations_refreshrun_change", run.pk)

    def progress_view(self, request, pk):
        """{"state", "words", "progress", "under_way"} of a run, for the bar on its page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self._run(pk)
        return JsonResponse(
            {"state": run.state, "words": _words(run), "progress": run.progress, "under_way": run.is_under_way}
        )

    def quarantine_view(self, request, pk, kind):
        """The rows of one export that were set aside, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self._run(pk)
        try:
            content = quarantine.csv_of(run, kind)
        except FileNotFoundError:
            raise Http404("No rows of this file were set aside, or they are no longer kept.") from None
        except MoonwalkError as error:
            messages.error(request, str(error))
            return redirect("admin:operations_refreshrun_change", pk)
        return FileResponse(
            content, as_attachment=True, filename=f"quarantined-{kind}-{run.build_id}.csv", content_type="text/csv"
        )

    def orders_view(self, request, pk, form):
        """All orders that move the months over the limit of a run that is or was held, as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self._run(pk)
        try:
            found = held.orders(refresh.warehouse(), run)
        except MoonwalkError as error:
            messages.error(request, str(error))
            return redirect("admin:operations_refreshrun_change", pk)
        if found is None:
            raise Http404("These orders can't be compared any more.")
        table = Table("orders", "Orders that move closed months", moved.COLUMNS, moved.as_rows(found))
        about = {"Refresh": str(run.pk), "Build": run.build_id, "Written": moment(timezone.now())}
        log.info("user %s took along %s orders that move closed months", request.user.pk, found.height)
        return exports.file_response([table], form, f"orders-that-move-{run.build_id}", about)

    def _run(self, pk) -> RefreshRun:
        try:
            return RefreshRun.objects.get(pk=pk)
        except RefreshRun.DoesNotExist:
            raise Http404 from None

    # Columns and fields

    checked_only = yes_no("dry_run", "check only")
    was_forced = yes_no("forced", "forced")

    @display(description="started", ordering="started_at")
    def started(self, run):
        return moment(run.started_at)

    @display(description="finished")
    def finished(self, run):
        return moment(run.finished_at) or "–"

    @display(description="outcome", ordering="state")
    def outcome(self, run):
        return tag(TONES[run.state], run.get_state_display())

    @display(description="person", ordering="started_by__username")
    def who(self, run):
        return person(run.started_by)

    @display(description="build", ordering="build_id")
    def build(self, run):
        if run._live:
            return format_html("{} <b>(live)</b>", run.build_id)
        return format_html("{} (its exports are live)", run.build_id) if run._exports_live else run.build_id or "–"

    @display(description="took")
    def took(self, run):
        return f"{seconds(run):.1f} s" if run.finished_at else "–"

    @display(description="rows read")
    def rows_read(self, run):
        return _number(tally(run)["read"])

    @display(description="rows set aside")
    def rows_rejected(self, run):
        return _number(tally(run)["quarantined"])

    @display(description="warnings")
    def warned(self, run):
        return len(run.warnings) or "–"

    @display(description="state")
    def live(self, run):
        context = {"run": run, "words": _words(run), "whereabouts": whereabouts(run)}
        return render_to_string("admin/operations/refreshrun/live.html", context)

    @display(description="messages")
    def told(self, run):
        here = reverse("admin:operations_refreshrun_change", args=[run.pk])
        if not run.deliveries.exists() and AlertEvent.objects.filter(url=here).exists():
            return "Nobody could be told: none of those to tell has an e-mail address and may open this page."
        return deliveries_of(run)

    @display(description="rows")
    def files(self, run):
        rows = [{"kind": kind, **_sums(f)} for kind, f in run.manifest.get("files", {}).items()]
        kept = quarantine.kinds_kept(run)
        return render_to_string("admin/operations/refreshrun/files.html", {"run": run, "rows": rows, "kept": kept})

    @display(description="seconds by step")
    def steps(self, run):
        whole = sum(run.seconds.values())
        longest = max(run.seconds.values(), default=0)
        rows = [
            (STEPS.get(step, step), step, value, 100 * value / whole if whole else 0, value / longest if longest else 0)
            for step, value in run.seconds.items()
        ]
        return render_to_string("admin/operations/refreshrun/steps.html", {"rows": rows, "sum": whole})

    @display(description="warnings")
    def warning_list(self, run):
        return render_to_string("admin/operations/refreshrun/warnings.html", {"warnings": run.warnings})

    @display(description="rows in the database")
    def synced(self, run):
        return (
            "; ".join(
                f"{table}: {n['added']:,} added, {n['changed']:,} changed, {n['gone']:,} no longer in the export"
                for table, n in run.counts.items()
            )
            or "–"
        )

    @display(description="manifest")
    def manifest_shown(self, run):
        parts = [(name, json.dumps(value, indent=2, ensure_ascii=False)) for name, value in run.manifest.items()]
        plain = [(name, value) for name, value in parts if "\n" not in value]
        long = [(name, value, value.count("\n") - 1) for name, value in parts if "\n" in value]
        return render_to_string("admin/operations/refreshrun/manifest.html", {"plain": plain, "long": long})


def what_moves(run: RefreshRun, user) -> dict | None:
    """What stands on top of the page of a run that is or was held, or that moved closed months on a person's word:
    title, sentences, the months with their orders, where all of these can be taken along, and where to decide."""
    State, names = run.State, moved.listed(moved.over(run))
    if run.state not in held.WERE_HELD and not run.moved:
        return None
    what = f"revenue of {names} moves by more than the limit" if names else "closed months can't be compared"
    found = {"months": moved.months(run, addresses(run, user)), "waits": run.state == State.HELD, "said": []}
    found["opened"] = next((month.label for month in found["months"] if month.orders), "")
    if found["opened"] and held.compared(refresh.warehouse(), run):
        found["downloads"] = exports.links(lambda form: reverse(f"{NAME}_orders", args=[run.pk, form]))
    if run.state != State.HELD:
        found |= {"before": "Before", "after": "After"}  # what is live now may be another build by now
        if run.state in held.WERE_HELD:
            title = held.decision(run)
        elif run.state == State.CHECKED:
            title = f"A refresh with these files would be held: {what}"
        else:
            title = f"Published on somebody's word: {what}"
        return found | {"title": title}
    found["said"] = [
        "Nothing of this build is on any page or at the desk yet. Publish it when the change is right: a correction, "
        "an order that was entered late. Discard it when it isn't: a wrong file, a slip of the keyboard."
    ]
    why = held.why_not(refresh.warehouse(), run)
    decide = {name: reverse(f"{NAME}_{name}", args=[run.pk]) for name in ("release", "discard")}
    if why:
        found["said"].append(why)
    if may_whole(user, "operations.add_refreshrun"):
        found |= {"publish": "" if why else decide["release"], "discard": decide["discard"]}
    return found | {"title": f"Held: {what}"}


def addresses(run: RefreshRun, user) -> dict[str, str]:
    """The pages of the orders that moved a run's months most, by number, of those that are at the desk."""
    numbers = {row["order_id"] for month in run.moved_orders for row in month["orders"]}
    if not numbers or not user.has_perm("operations.view_order"):
        return {}
    return {pk: admin_url("order", pk) for pk in Order.objects.filter(pk__in=numbers).values_list("pk", flat=True)}


def way_back(run: RefreshRun) -> "BuildInfo | None":
    """The build to go back to for what this run published: its own where it is kept, else the newest one kept of the
    same exports, which has later payments too. None: that is live (payments aside), or nothing of it is kept."""
    house, build = refresh.warehouse(), _kept(run)
    live = house.manifest(house.current()) if house.current() else {}
    return build if build and house.base_of(build.manifest) != house.base_of(live) else None


def _kept(run: RefreshRun) -> "BuildInfo | None":
    if run.state != RefreshRun.State.PUBLISHED or not run.build_id:
        return None
    kept = [b for b in refresh.warehouse().builds() if b.manifest.get("published")]
    own = [b for b in kept if b.build_id == run.build_id]
    same = own or [b for b in kept if b.inputs == run.manifest.get("inputs")]
    return same[0] if same else None


def whereabouts(run: RefreshRun) -> str:
    """Where the exports of a run are whose own build is not live; "" where there is nothing to say of it."""
    if run.state != RefreshRun.State.PUBLISHED or not run.build_id or run._live:
        return ""
    build = _kept(run)
    if build is None:
        return f"No longer kept: the builds of the last {refresh.KEEP_SETS} sets of exports are."
    if build.build_id == run.build_id:
        return "Its exports are live, with later payments." if way_back(run) is None else ""
    made = RefreshRun.objects.filter(build_id=build.build_id, state=RefreshRun.State.PUBLISHED).last()
    there = link(reverse("admin:operations_refreshrun_change", args=[made.pk]), f"refresh {made.pk}") if made else "–"
    end = "they are live." if way_back(run) is None else "rolling back leads there."
    return format_html("Its exports live on in {}, with later payments: {}", there, end)


def seconds(run: RefreshRun) -> float | None:
    return (run.finished_at - run.started_at).total_seconds() if run.finished_at else None


def tally(run: RefreshRun) -> dict[str, int | None]:
    """Rows of all files together: read, loaded, excluded, quarantined; None of a run that read none."""
    files = [_sums(f) for f in run.manifest.get("files", {}).values()]
    if not files:
        return dict.fromkeys(("read", "loaded", "excluded", "quarantined"))
    return {
        "read": sum(f["read"] for f in files), "loaded": sum(f["loaded"] for f in files),
        "excluded": sum(f["excluded_sum"] for f in files), "quarantined": sum(f["quarantined_sum"] for f in files),
    }  # fmt: skip


def _sums(file: dict) -> dict:
    """A file of the manifest with its sums, and whether read = loaded + left out + set aside."""
    excluded, aside = sum(file.get("excluded", {}).values()), sum(file.get("quarantined", {}).values())
    return file | {
        "excluded_sum": excluded, "quarantined_sum": aside,
        "adds_up": file.get("read") == file.get("loaded", 0) + excluded + aside,
    }  # fmt: skip


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _words(run: RefreshRun) -> str:
    """A run's state in a few words: "running, step marts"; "published at 06:00"."""
    if run.state == run.State.HELD:
        return f"held since {moment(run.finished_at)}: a person decides"
    if run.state in held.WERE_HELD and run.decided_at:
        became = "published" if run.state == run.State.RELEASED else "discarded"
        return f"held since {moment(run.finished_at)}, then {became} on {moment(run.decided_at)}"
    if run.is_under_way:
        return f"{run.get_state_display()}, step {run.step}" if run.step else run.get_state_display()
    return f"{run.get_state_display()} at {timezone.localtime(run.finished_at):%H:%M:%S}"
