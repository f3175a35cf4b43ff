"""Pages of what staff do outside the admin."""

import io

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadhandler import FileUploadHandler
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from analytics.access import page_required
from etl.errors import MoonwalkError
from etl.sources import KINDS, OPTIONAL_KINDS, TITLES
from operations import inputs, moved, refresh, uploads
from operations.models import RefreshRun
from operations.site import may_enter

# --- Uploads -------------------------------------------------------------------------------------------------------

REFUSED_UNREAD = 4  # times the limit: so much is still read, to answer in words instead of breaking the connection off


class Receiver(FileUploadHandler):
    """Keeps what is sent in memory, as far as the limit goes: nothing plain reaches a disk before it was looked at."""

    def __init__(self, most: int):
        super().__init__()
        self.files: list[uploads.Received] = []
        self._left = most

    def new_file(self, *args, **kwargs):
        super().new_file(*args, **kwargs)
        self._kept = io.BytesIO() if len(self.files) < uploads.MOST_FILES else None

    def receive_data_chunk(self, raw_data, start):
        self._left -= len(raw_data)
        if self._left < 0:
            self._kept = None
        if self._kept is not None:
            self._kept.write(raw_data)

    def file_complete(self, file_size):
        content = None if self._kept is None else self._kept.getvalue()
        self._kept = None
        self.files.append(uploads.Received(self.file_name or "", content))


@csrf_exempt  # the token is looked at below, in _upload: reading it reads the files, which needs their receiver first
@page_required("upload")
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """The page to drop exports on."""
    receiver = Receiver(settings.UPLOAD_BYTES)
    if request.method == "POST":
        if int(request.META.get("CONTENT_LENGTH") or 0) > REFUSED_UNREAD * settings.UPLOAD_BYTES + 2**20:
            return _start(request, [uploads.too_large()], 413)
        request.upload_handlers = [receiver]
    return _upload(request, receiver)


@csrf_protect
def _upload(request: HttpRequest, receiver: Receiver) -> HttpResponse:
    if request.method != "POST":
        return _start(request)
    request.FILES  # noqa: B018 (reads the files, should nobody have done it for the token)
    if not receiver.files:
        return _start(request, ["Choose the files first: no file was sent."], 400)
    made, refused = uploads.receive(receiver.files, user=request.user)
    return redirect("uploaded", made.id) if made else _start(request, refused, 400)


def _start(request: HttpRequest, refused: list[str] | None = None, status: int = 200) -> HttpResponse:
    house = refresh.warehouse()
    live = house.manifest(house.current()) if house.current() else {}
    files = live.get("files", {})
    kinds = [
        {"title": TITLES[k], "optional": k in OPTIONAL_KINDS, "file": files.get(k, {}).get("file", ""),
         "rows": files.get(k, {}).get("read")} for k in KINDS
    ]  # fmt: skip
    waiting = [(u, uploads.is_useless(u)) for u in uploads.of(request.user) if not _went_live(u)]
    context = {
        "here": "upload", "kinds": kinds, "live": live, "refused": refused or [], "waiting": waiting,
        "most_mb": settings.UPLOAD_BYTES // 2**20, "most_bytes": settings.UPLOAD_BYTES,
        "most_files": uploads.MOST_FILES,
    }  # fmt: skip
    return render(request, "operations/upload.html", context, status=status)


def _went_live(found: inputs.Upload) -> bool:
    run = uploads.run_of(found)
    return run is not None and run.state in (*refresh.LIVE, RefreshRun.State.RELEASED)


DISCARDED = "uploads_discarded"  # in a session: the ids of the last uploads that its reader discarded


def _was_discarded(request: HttpRequest, upload_id: str) -> bool:
    """Did the reader discard this very upload? Then going back to its page, or pressing twice, is told so."""
    if upload_id not in request.session.get(DISCARDED, ()) or inputs.find(upload_id):
        return False
    messages.info(request, "These files were discarded. Nothing was changed.")
    return True


def _mine(request: HttpRequest, upload_id: str) -> inputs.Upload:
    """The reader's own upload; 404 for another's, which says not even that there is one."""
    found = uploads.mine(upload_id, request.user)
    if found is None:
        raise Http404
    return found


@page_required("upload")
@require_GET
def uploaded(request: HttpRequest, upload_id: str) -> HttpResponse:
    """What an upload would bring, or how far its check or its refresh is, or what came of it."""
    if _was_discarded(request, upload_id):
        return redirect("upload")
    found = _mine(request, upload_id)
    run, check = uploads.run_of(found), uploads.check_of(found)
    ended = run is not None and not run.is_under_way
    context = {
        "here": "upload", "upload": found, "check": check, "run": run, "live_now": ended and _went_live(found),
        "words": _progress(run, check)["words"], "percent": _progress(run, check)["progress"],
        "report": _report(found, check) if check.get("state") == "done" and not check["errors"] else None,
        "refusal": uploads.refusal(found, check) if check.get("state") == "done" else "",
        "run_url": _run_url(request, run), "counts": run.counts.items() if run else (),
    }  # fmt: skip
    response = render(request, "operations/uploaded.html", context)
    response["Cache-Control"] = "private, no-store"  # it quotes customers' rows
    return response


def _run_url(request: HttpRequest, run: RefreshRun | None) -> str:
    """The run's page in the admin, for those whom it opens to."""
    if run and may_enter(request.user) and request.user.has_perm("operations.view_refreshrun"):
        return reverse("admin:operations_refreshrun_change", args=[run.pk])
    return ""


def _report(found: inputs.Upload, check: dict) -> dict:
    """The report in words and rows for the page."""
    mine = {file["kind"]: file for file in check["files"]}
    others = {file["kind"]: file for file in check["kept"]}
    kinds = []
    for kind in KINDS:
        tally, rows = check["tallies"].get(kind), check["rows"][kind]
        if tally is None and not any(rows.values()):
            continue
        kinds.append({
            "kind": kind, "title": TITLES[kind], "mine": mine.get(kind), "other": others.get(kind), "tally": tally,
            "rows": rows, "left_out": sum(tally["excluded"].values()) if tally else 0,
            "set_aside": sum(tally["quarantined"].values()) if tally else 0,
            "many_gone": uploads.many_gone(rows),
            "rules": _rules(mine.get(kind), check["rejected"].get(kind, {})),
        })  # fmt: skip
    rejected = any(row["rules"] for row in kinds)
    whole = [m for m in check["moved"] if not m["store"]]
    return {"kinds": kinds, "months": _months(check), "rejected": rejected, "first": not check["against"],
            "loud": [_gone(row) for row in kinds if row["many_gone"]], "moved": len(whole),
            "months_change": _signed(sum(m["difference"] for m in whole)), "formulas": _formulas(check),
            "asked": uploads.asked(check), "left": uploads.left(check)}  # fmt: skip


def _months(check: dict) -> list[dict]:
    """Revenue of closed months that would move, ready to show: of the whole business, and of a store where its own move
    is over the limit and not that of the whole."""
    from operations import comparison

    limit = comparison.closed_month_limit()
    rows = [m | {"over": comparison.is_over(m, limit)} for m in check["moved"]]
    told = {m["month"]: m["difference"] for m in rows if not m["store"]}
    return [
        {"label": m["label"], "store": m["store"], "over": m["over"],
         "before": moved.figure(m["before"]), "after": moved.figure(m["after"]), "change": _signed(m["difference"])}
        for m in rows if not m["store"] or m["over"] and m["difference"] != told.get(m["month"])
    ]  # fmt: skip


def _gone(row: dict) -> str:
    gone, before = (f"{row['rows'][name]:,}" for name in ("gone", "before"))
    return (
        f"IMPORTANT: {gone} of the {before} rows of {row['title']} in the last refresh are gone: see whether the "
        "download is whole, and of the same days and stores."
    )


def _signed(money: float) -> str:
    """10.5 -> "+Dhs 10.50"."""
    return moved.signed(money, moved.figure(abs(money)))


def _rules(file: dict | None, places: dict) -> list[str]:
    """One sentence a rule: "orders.csv: rows 7, 12 and 3 more: unreadable Total"."""
    said = []
    for rule, place in places.items():
        numbers, count = place["rows"][:8], place["count"]
        more = f" and {count - len(numbers):,} more" if count > len(numbers) else ""
        name = file["shown"] if file else place["file"]
        listed = ", ".join(f"{n:,}" for n in numbers)
        said.append(f"{name}: row{'s' if count > 1 else ''} {listed}{more}: {rule}")
    return said


def _formulas(check: dict) -> list[str]:
    return [
        f"{f['shown']}: cells that begin like a formula: {f['formulas']:,} (first: {f['first_formula']}). They are "
        "kept as text and never run, and files that Moonwalk writes mark them as text."
        for f in check["files"] if f["formulas"]
    ]  # fmt: skip


def _progress(run: RefreshRun | None, check: dict) -> dict:
    """{"state", "words", "progress", "under_way"} of the refresh, or before it of the check: as the admin does."""
    if run is not None and run.is_under_way:
        waiting = run.state == RefreshRun.State.QUEUED
        words = "Waiting for its turn" if waiting else f"Refreshing: {STEPS.get(run.step, 'starting')}"
        return {"state": run.state, "words": words, "progress": run.progress, "under_way": True}
    checking = check.get("state") == "checking"
    words = check.get("words", "") if checking else ""
    return {"state": check.get("state", ""), "words": words, "progress": check.get("percent", 100),
            "under_way": checking}  # fmt: skip


STEPS = {
    "find": "looking at the files", "read": "reading", "stage": "sorting out", "marts": "writing the warehouse",
    "checks": "checking the figures", "insights": "working out insights", "compare": "comparing with what is live",
    "sync": "bringing customers and orders up to date", "publish": "going live",
}  # fmt: skip


@page_required("upload")
@require_GET
def upload_progress(request: HttpRequest, upload_id: str) -> JsonResponse:
    """How far the check or the refresh of an upload is, for the bar on its page."""
    found = _mine(request, upload_id)
    return JsonResponse(_progress(uploads.run_of(found), uploads.check_of(found)))


@page_required("upload")
@require_POST
def upload_check(request: HttpRequest, upload_id: str) -> HttpResponse:
    """Checks the files anew, after a check that broke off."""
    found = _mine(request, upload_id)
    if uploads.check_of(found).get("state") != "checking":
        uploads.start_check(found)
    return redirect("uploaded", found.id)


@page_required("upload")
@require_POST
def upload_publish(request: HttpRequest, upload_id: str) -> HttpResponse:
    """Refreshes with these files."""
    found = _mine(request, upload_id)
    try:
        uploads.publish(found, user=request.user, ticked=request.POST.keys())
    except MoonwalkError as error:  # busy, not now, no queue: each says so itself
        messages.warning(request, str(error))
    return redirect("uploaded", found.id)


@page_required("upload")
@require_POST
def upload_discard(request: HttpRequest, upload_id: str) -> HttpResponse:
    """Removes the files."""
    if _was_discarded(request, upload_id):
        return redirect("upload")
    found = _mine(request, upload_id)
    try:
        uploads.discard(found)
    except uploads.NotNow as error:
        messages.warning(request, str(error))
        return redirect("uploaded", found.id)
    request.session[DISCARDED] = [*request.session.get(DISCARDED, []), found.id][-10:]
    messages.success(request, "The files were discarded. Nothing was changed.")
    return redirect("upload")


@page_required("upload")
@require_GET
def upload_rejected(request: HttpRequest, upload_id: str, kind: str) -> HttpResponse:
    """The rows of one file that would be set aside, as CSV."""
    found = _mine(request, upload_id)
    if kind not in KINDS:
        raise Http404
    try:
        content = inputs.content_of(found.folder, f"rejected-{kind}.csv")
    except (FileNotFoundError, MoonwalkError):
        raise Http404 from None
    name = f"set-aside-{kind}.csv"
    return FileResponse(io.BytesIO(content), as_attachment=True, filename=name, content_type="text/csv")
