"""Forms of the admin's own, and the actions of its lists: those of the desk (acts.py), for the rows that are ticked.

An action opens the desk's own form of it, which leads back to the list, so that every action has one form, one set of
words and one way to undo it, wherever it was begun.
"""

from dataclasses import dataclass
from functools import partial

from django import forms
from django.contrib import messages
from django.http import QueryDict
from unfold.widgets import UnfoldAdminTextInputWidget

from analytics.access import can_see
from operations import actions
from operations.acts import may
from operations.admin.shared import page
from operations.services import MOST_AT_ONCE


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


@dataclass(frozen=True)
class Offer:
    """An action of the desk in a list. what: of acts.PERMISSIONS; words: in the list of actions; rows: the parameter
    that names the list's rows in its form (customer, order, payment, followup)."""

    what: str
    words: str
    rows: str

    def open_to(self, user) -> bool:
        return can_see(user, "receivables") and may(user, self.what)

    def url(self, user, pk, back: str) -> str | None:
        """Where its form is for one row; None for who may not."""
        if not self.open_to(user):
            return None
        return page(user, "act", "receivables", self.what, **{self.rows: pk, "back": back})


class OfferingAdmin:
    """For a ModelAdmin whose list offers actions of the desk: `offers`."""

    offers: tuple[Offer, ...] = ()

    def get_actions(self, request):
        found = super().get_actions(request)
        found.pop("delete_selected", None)  # delete is not offered where a void exists
        for offer in self.offers:
            if offer.open_to(request.user):
                found[offer.what] = (partial(_open, offer=offer), offer.what, offer.words)
        return found


def _open(admin, request, queryset, offer: Offer):
    """The form of an action for the rows that are ticked, or for all that the list shows. So many don't fit into an
    address: it answers the list's own POST."""
    keys = list(queryset.values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
    if not keys or len(keys) > MOST_AT_ONCE:
        messages.error(request, f"Choose up to {MOST_AT_ONCE:,} at once." if keys else "They are not there any more.")
        return None
    said = QueryDict(mutable=True)
    said.setlist(offer.rows, [str(key) for key in keys])
    said["back"] = request.get_full_path()
    request.POST = said
    return actions.act(request, offer.what)
