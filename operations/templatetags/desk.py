"""What templates of the desk need: who may do what, the way back from a message, money."""

from urllib.parse import parse_qsl

from django import template

from operations.acts import may as may_do
from operations.acts import money as in_words

register = template.Library()
UNDO = {"payments": ("void-payment", "payment"), "followups": ("void-followup", "followup")}


@register.filter
def may(user, what: str) -> bool:
    """{% if user|may:"pay" %}: whether this person may do an action (acts.PERMISSIONS) at all."""
    return may_do(user, what)


@register.filter
def in_money(amount) -> str:
    """Dhs 1,234.50"""
    return in_words(amount)


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
