"""What templates of the desk need: who may do what, the way back from a message, money."""

import logging
from urllib.parse import parse_qsl, urlencode

from django import template
from django.db import DatabaseError
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from analytics.access import can_see
from operations.acts import may as may_do
from operations.acts import money as in_words
from operations.money import Promise
from operations.moved import waits_for
from operations.receivables import BUSINESS, CONSUMERS, debts, is_due
from operations.site import may_enter
from operations.site import place as place_of

register = template.Library()
log = logging.getLogger(__name__)
UNDO = {"payments": ("void-payment", "payment"), "followups": ("void-followup", "followup")}


@register.filter
def may(user, what: str) -> bool:
    """{% if user|may:"pay" %}: whether this person may do an action (acts.PERMISSIONS) at all."""
    return may_do(user, what)


@register.simple_tag(takes_context=True)
def place(context) -> dict:
    """Where a page of the admin is, as the menu names it: {room, title, list}; nothing for a page of no list."""
    opts = context.get("opts") or getattr(context.get("original"), "_meta", None)
    try:
        list_ = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist") if opts else ""
    except NoReverseMatch:
        list_ = ""
    room, title = place_of(opts) if list_ else ("", "")
    return {"room": room, "title": title, "list": list_}


@register.filter
def in_money(amount) -> str:
    """Dhs 1,234.50"""
    return in_words(amount)


@register.simple_tag
def held_build(user) -> str:
    """The page of the run whose build is held, for who may decide about it; "" for others, and where none is."""
    try:
        run = waits_for(user) if may_enter(user) else None
    except DatabaseError:
        log.exception("whether a build is held can't be read")
        return ""
    return reverse("admin:operations_refreshrun_change", args=[run.pk]) if run else ""


@register.simple_tag
def desk_today(user) -> list[dict]:
    """What waits at the desk for who works there: {"count", "words", "url"} of promises that were broken and next
    actions whose day has come, each with the worklist that holds just those; nothing where none does."""
    if not can_see(user, "receivables"):
        return []
    today = timezone.localdate()
    try:
        owed = debts(user, today)
    except DatabaseError:
        log.exception("what waits at the desk can't be read")
        return []
    found = []
    for group, whose in ((CONSUMERS, ""), (BUSINESS, " of business accounts")):
        of = [debt for debt in owed if debt.group == group]
        broken = sum(debt.promise is Promise.BROKEN for debt in of)
        due = sum(is_due(debt, today) for debt in of)
        where = {"group": group} if group == BUSINESS else {}
        if broken:
            words = f"{broken} promise{'' if broken == 1 else 's'}{whose} {'was' if broken == 1 else 'were'} broken"
            found.append({"count": broken, "words": words, "url": _worklist(where | {"promise": Promise.BROKEN.value})})
        if due:
            words = f"{due} next action{'' if due == 1 else 's'}{whose} {'is' if due == 1 else 'are'} due"
            found.append({"count": due, "words": words, "url": _worklist(where | {"action": "due"})})
    return found


def _worklist(params: dict[str, str]) -> str:
    return f"{reverse('receivables')}?{urlencode(params)}"


@register.filter
def undo(message) -> dict | None:
    """What takes back what a message tells: {"what", "fields"} of an act, from its tag: "undo payments 12,13", or any
    action with what its form begins with, "undo preferences customer=CC-0001&language=ar"."""
    words = (message.extra_tags or "").split(" ", 2)
    if len(words) != 3 or words[0] != "undo":
        return None
    if words[1] in UNDO:
        what, name = UNDO[words[1]]
        return {"what": what, "fields": [(name, number) for number in words[2].split(",")]}
    return {"what": words[1], "fields": parse_qsl(words[2], keep_blank_values=True)}
