"""Actions that ask before they write: a page that says what will happen, to which rows, and wants what it takes.

The same page is reached from a list (its action, for all rows ticked) and from a row's own page (a button).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from operations.services import MOST_AT_ONCE, Refused

SHOWN = 20  # rows that the page names


class Question(forms.Form):
    """What an action wants to know. request_key: of the page as it was opened, so that a double click counts once."""

    use_required_attribute = True
    request_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, request, rows: Sequence, data=None):
        super().__init__(data, initial={"request_key": uuid4()} | self.first(request, rows), label_suffix="")

    def first(self, request, rows: Sequence) -> dict:
        """What stands in the fields at first."""
        return {}


class Click(forms.UUIDField):
    """A hidden number of the form as it was opened: sent twice it does its work once. It is nothing that was filled
    in: an inline form that holds only this is empty."""

    def __init__(self):
        super().__init__(widget=forms.HiddenInput, required=False)

    def has_changed(self, initial, data):
        return False


class Day(forms.DateField):
    """A day, picked in the browser's own calendar."""

    def __init__(self, **kwargs):
        kwargs.setdefault("widget", UnfoldAdminTextInputWidget(attrs={"type": "date"}))
        super().__init__(input_formats=["%Y-%m-%d"], **kwargs)
        self.widget.format_value = lambda value: value.isoformat() if hasattr(value, "isoformat") else value


def choice(label: str, choices, **more) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=choices, widget=UnfoldAdminSelectWidget, **more)


def line(label: str, **more) -> forms.CharField:
    return forms.CharField(label=label, widget=UnfoldAdminTextInputWidget, **more)


def text(label: str, **more) -> forms.CharField:
    return forms.CharField(label=label, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "dir": "auto"}), **more)


@dataclass(frozen=True)
class Asked:
    """An action. slug: in its address; words: in lists and on buttons; button: what does it in the end.

    permission: of operations, without which nobody is offered it. about(rows) -> the sentence on top; listed(row) ->
    the cells that name a row, under `heads`; do(request, rows, data) -> what was done, in words. It raises Refused.
    danger: the button is red.
    """

    slug: str
    words: str
    button: str
    permission: str
    form: type[Question]
    about: Callable[[Sequence], str]
    heads: Sequence[str]
    listed: Callable[[Any], Sequence]
    do: Callable[[Any, Sequence, dict], str]
    danger: bool = False

    def open_to(self, user) -> bool:
        return user.has_perm(f"operations.{self.permission}")


class AskingAdmin:
    """For a ModelAdmin with actions that ask: `asks`."""

    asks: tuple[Asked, ...] = ()

    def get_urls(self):
        name = f"{self.opts.app_label}_{self.opts.model_name}_ask"
        return [path("ask/<slug:slug>/", self.admin_site.admin_view(self.ask_view), name=name), *super().get_urls()]

    def get_actions(self, request):
        found = super().get_actions(request)
        found.pop("delete_selected", None)  # delete is not offered where a void exists
        for asked in self.asks:
            if asked.open_to(request.user):
                found[asked.slug] = (partial(_from_list, asked=asked), asked.slug, asked.words)
        return found

    def ask_url(self, slug: str, pk) -> str:
        """The address that asks about one row and leads back to its page."""
        return reverse(f"admin:operations_{self.opts.model_name}_ask", args=[slug]) + "?" + urlencode({"id": pk})

    def ask_view(self, request, slug: str):
        """GET ?id=...: the question. POST ids (a line each), back, and the form's fields: does it."""
        asked = next((asked for asked in self.asks if asked.slug == slug), None)
        if asked is None:
            raise Http404
        if not asked.open_to(request.user):
            raise PermissionDenied
        sent = request.POST if request.method == "POST" else None
        ids = sent.get("ids", "").splitlines() if sent else request.GET.getlist("id")
        try:
            rows = list(self.get_queryset(request).filter(pk__in=ids[: MOST_AT_ONCE + 1]))
        except (ValueError, ValidationError):
            raise Http404 from None
        one = len(ids) == 1
        back = reverse(f"admin:operations_{self.opts.model_name}_change", args=ids) if one else ""
        return self.ask(request, asked, rows, sent.get("back", "") if sent else back, sent)

    def ask(self, request, asked: Asked, rows: list, back: str, sent=None):
        """The page that asks; with `sent` filled in rightly, what it asked for is done and it leads back."""
        here = reverse(f"admin:operations_{self.opts.model_name}_changelist")
        if not url_has_allowed_host_and_scheme(back, None) or not back.startswith("/"):
            back = here
        if not rows or len(rows) > MOST_AT_ONCE:
            why = f"Choose up to {MOST_AT_ONCE:,} at once." if rows else "They are not there any more."
            messages.error(request, why)
            return redirect(back if rows else here)
        form = asked.form(request, rows, sent)
        if sent is not None and form.is_valid():
            try:
                said = asked.do(request, rows, form.cleaned_data)
            except (Refused, PermissionDenied) as error:
                form.add_error(None, str(error) or "Your account doesn't allow this.")
            else:
                messages.success(request, said)
                return redirect(back)
        context = self.admin_site.each_context(request) | {
            "title": asked.words.rstrip("…"), "opts": self.opts, "asked": asked, "form": form, "back": back,
            "about": asked.about(rows), "rows": [asked.listed(row) for row in rows[:SHOWN]],
            "more": len(rows) - SHOWN if len(rows) > SHOWN else 0, "ids": "\n".join(str(row.pk) for row in rows),
            "action": reverse(f"admin:operations_{self.opts.model_name}_ask", args=[asked.slug]),
        }  # fmt: skip
        return TemplateResponse(request, "admin/operations/ask.html", context)


def _from_list(admin, request, queryset, asked: Asked):
    """A list's action: asks about the rows that are ticked, or about all that the list shows."""
    rows = list(queryset[: MOST_AT_ONCE + 1])
    return admin.ask(request, asked, rows, request.get_full_path())
