"""The pages of actions: a form on a page of its own or as a part for the dialog (static/operations/act.js), what comes
after it, and statements as files. What each action is: acts.py."""

from dataclasses import replace
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from analytics.access import contacts_of, page_required
from analytics.dashboards import frame
from analytics.exports import TYPES
from operations import acts, statements
from operations import messages as letters
from operations.acts import may
from operations.models import Channel, Language, Message
from operations.phones import phone_key
from operations.scope import customers_for, messages_for
from operations.sending import Send
from operations.services import Refused

PDF = "application/pdf"
ACTS: dict[str, type[acts.Act]] = {
    "pay": acts.Pay, "promise": acts.Promise, "note": acts.Note, "send": Send, "assign": acts.Assign,
    "next-action": acts.NextAction, "void-payment": acts.VoidPayment, "void-followup": acts.VoidFollowUp,
    "correct": acts.Correct, "choose": acts.Choose, "preferences": acts.Preferences,
}  # fmt: skip


@page_required("receivables")
@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, what: str) -> HttpResponse:
    """An action's form; POST does it. Without a request_key a POST only opens the form: so many customers may be
    chosen that they don't fit into an address. So does one with `look`, which keeps what was filled in."""
    if what not in ACTS:
        raise Http404
    if not may(request.user, what):
        raise PermissionDenied
    if what == "send" and request.method != "POST" and "message" in request.GET:
        return _sent(request)
    try:
        doing = ACTS[what](request)
        filled = request.method == "POST" and "request_key" in request.POST
        if not filled:
            doing.check()
            return _show(request, what, doing, doing.form())
    except Refused as error:
        return _refused(request, ACTS[what].title, str(error))
    form = doing.form(request.POST)
    valid = form.is_valid()
    if "look" in request.POST:
        return _show(request, what, doing, form)
    if valid:
        try:
            return _after(request, doing, doing.do(form.cleaned_data))
        except Refused as error:
            form.add_error(None, str(error))
    return _show(request, what, doing, form, 400)


def back_of(request: HttpRequest, doing: acts.Act | None = None) -> str:
    """Where a form leads afterwards: `back` if it is an address of this site, else the customer, else the worklist."""
    back = request.POST.get("back") or request.GET.get("back") or ""
    if back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        return iri_to_uri(back)
    one = doing.single if doing else None
    return reverse("customer", args=[one.pk]) if one else reverse("receivables")


def _is_part(request: HttpRequest) -> bool:
    return request.headers.get("X-Part") == "1"


def _answer(request: HttpRequest, context: dict, status: int = 200) -> HttpResponse:
    """A page, or only its part for the dialog. It names customers: no cache keeps it."""
    part = _is_part(request)
    context |= {"here": "receivables", "part": part, "h": "h2" if part else "h1"}
    response = render(request, "operations/act_part.html" if part else "operations/act.html", context, status=status)
    response["Cache-Control"] = "private, no-store"
    response["Vary"] = "X-Part, Cookie"
    if part:
        response["X-Part"] = "1"
    return response


def _show(request: HttpRequest, what: str, doing: acts.Act, form, status: int = 200) -> HttpResponse:
    context = {
        "doing": doing, "form": form, "back": back_of(request, doing), "kept": doing.kept(), "title": doing.title,
        "action": reverse("act", args=[what]), "body": f"operations/act_{doing.template}.html",
        "buttons": f"operations/act_{doing.template}_buttons.html",
    }  # fmt: skip
    return _answer(request, context | doing.context(form), status)


def _refused(request: HttpRequest, title: str, text: str) -> HttpResponse:
    """There is no form to show, and why."""
    context = {"title": title, "refused": text, "back": back_of(request)}
    return _answer(request, context, 200 if request.method == "GET" else 400)


def _after(request: HttpRequest, doing: acts.Act, done) -> HttpResponse:
    getattr(messages, done.level)(request, done.text, extra_tags=f"undo {done.undo}" if done.undo else "")
    following = back_of(request, doing)
    if done.sent and done.sent.state == Message.State.OPENED:
        if _is_part(request):
            response = _opening(request, done.sent, following)
            response["X-Next"] = following
            return response
        following = f"{request.path}?{urlencode({'message': done.sent.pk, 'back': following})}"
    if _is_part(request):
        return HttpResponse(status=204, headers={"X-Next": following})
    response = HttpResponseRedirect(following)
    response.status_code = 303
    return response


def _sent(request: HttpRequest) -> HttpResponse:
    """The message that was just recorded, with the link that opens it: no form may lead to another site."""
    number = request.GET["message"]
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise Http404
    message = messages_for(request.user).filter(pk=number, state=Message.State.OPENED).first()
    if message is None:
        raise Http404
    back = back_of(request) if "back" in request.GET else reverse("customer", args=[message.customer_id])
    return _opening(request, message, back)


def _opening(request: HttpRequest, message: Message, back: str) -> HttpResponse:
    by_mail = message.channel == Channel.EMAIL
    try:
        if by_mail:
            link = letters.mailto_link(message.sent_to.strip(), message.subject, message.text)
        else:
            link = letters.whatsapp_link(phone_key(message.sent_to), message.text)
    except Refused as error:
        return _refused(request, "Send a message", str(error))
    context = {"title": "Now send it", "link": link, "by_mail": by_mail, "back": back, "message": message}
    return _answer(request, context)


# --- Statements ----------------------------------------------------------------------------------------------------


@page_required("receivables")
@require_http_methods(["GET", "HEAD", "POST"])
def statement(request: HttpRequest, form: str) -> HttpResponse:
    """Statements of account: of one customer as PDF or XLSX, of several as one PDF.

    language: en or ar, else each customer's own; download=1: as a file instead of in the browser.
    """
    if form not in ("pdf", "xlsx"):
        raise Http404
    said = request.POST if request.method == "POST" else request.GET
    ids = list(dict.fromkeys(value for value in said.getlist("customer") if value))
    try:
        content, name = _statement_file(request.user, ids, form, said.get("language", ""))
    except Refused as error:
        return _refused(request, "Statement of account", str(error))
    where = "attachment" if form == "xlsx" or said.get("download") else "inline"
    headers = {"Content-Disposition": f'{where}; filename="{name}"', "Cache-Control": "private, no-store"}
    return HttpResponse(content, content_type=PDF if form == "pdf" else TYPES[form], headers=headers)


def _statement_file(user, ids: list[str], form: str, language: str) -> tuple[bytes, str]:
    """Content and name. Refused, in words, for none, for too many, for a language that is none."""
    if not ids:
        raise Refused("Choose a customer first.")
    if language and language not in Language.values:
        raise Refused("A statement is in English (en) or Arabic (ar).")
    if form == "xlsx" and len(ids) > 1:
        raise Refused("A workbook holds the statement of one customer: several go into one PDF.")
    if len(ids) > statements.MOST:
        raise Refused(f"{len(ids):,} statements are too many at once; print up to {statements.MOST}.")
    if any("\x00" in pk for pk in ids) or customers_for(user).filter(pk__in=ids).count() < len(ids):
        raise Http404
    found = [reachable(s, user) for s in statements.statements_of(ids, user, language=language or None)]
    first, business = found[0], frame.business()
    if form == "xlsx":
        return statements.statement_xlsx(first, business), statements.file_name(first, "xlsx")
    name = statements.file_name(first, "pdf") if len(found) == 1 else _several_name(found)
    return statements.statements_pdf(found, business), name


def _several_name(found: list[statements.Statement]) -> str:
    """statements-2026-03-05-en.pdf; without a language where each has its customer's own."""
    languages = {statement.language for statement in found}
    return f"statements-{found[0].as_of.isoformat()}{'-' + languages.pop() if len(languages) == 1 else ''}.pdf"


def reachable(found: statements.Statement, user) -> statements.Statement:
    """A statement without what this person may not see of how to reach its customer."""
    ways = contacts_of(user)
    party = replace(found.customer, **{way: "" for way in ("phone", "email") if way not in ways})
    return replace(found, customer=party)
