"""What templates of the desk need: who may do what, the way back from a message, money."""

from django import template

from operations.acts import may as may_do
from operations.acts import money as in_words

register = template.Library()
UNDO = {  # what a message's tag names -> the action that takes it back, and what that calls its subject
    "payments": ("void-payment", "payment"),
    "followups": ("void-followup", "followup"),
    "corrections": ("correct", "customer"),
}


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
    """What takes back what a message tells: {"what", "name", "ids"} of an act, from its tag "undo payments 12,13"."""
    words = (message.extra_tags or "").split()
    if len(words) != 3 or words[0] != "undo" or words[1] not in UNDO:
        return None
    what, name = UNDO[words[1]]
    return {"what": what, "name": name, "ids": words[2].split(",")}
