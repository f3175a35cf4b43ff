"""What a page of figures says, read out of its HTML: cards, tables, chips, messages."""

import re
from dataclasses import dataclass, field
from html import unescape


def words(html: str) -> str:
    """HTML without tags, entities resolved, single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@dataclass(frozen=True)
class CardSeen:
    """A card as it reads: value "Dhs 25,580"; parts: label -> value; said: all its words."""

    label: str
    value: str
    said: str
    parts: dict[str, str] = field(default_factory=dict)


def cards(html: str) -> dict[str, CardSeen]:
    """metric (or a fact's name) -> its card, the way to its definition left out."""
    found = {}
    for metric, card in re.findall(r'<section class="card kpi".*?data-metric="([\w-]+)">(.*?)</section>', html, re.S):
        card = re.sub(r'<a class="what".*?</a>', "", card, flags=re.S)
        label = words(re.search(r"<h2.*?</h2>", card, re.S)[0])
        value = words(re.search(r'<p class="val">(.*?)</p>', card, re.S)[1])
        pairs = re.findall(r"<dt>(.*?)</dt>\s*<dd[^>]*>(.*?)</dd>", card, re.S)
        assert metric not in found, f"two cards of {metric}"
        found[metric] = CardSeen(label, value, words(card), {words(k): words(v) for k, v in pairs})
    return found


def tables(html: str) -> dict[str, list[list[str]]]:
    """Every table of a tab by its id, a chart's among them: rows of cells, the head first."""
    found = {}
    places = r'<(?:div class="under" data-table|section class="card table" id)="([\w-]+)">.*?(<table>.*?</table>)'
    for name, table in re.findall(places, html, re.S):
        rows = re.findall(r"<tr.*?</tr>", table, re.S)
        found[name] = [[words(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in rows]
    return found


def chips(html: str) -> dict[str, str]:
    """The filters above the cards: words -> the address without it."""
    found = re.findall(r'<a href="([^"]+)" class="chip">(.*?) <span', html, re.S)
    return {words(label): unescape(url) for url, label in found}


def idle(html: str) -> dict[str, str]:
    """The filters that count for nothing on this page, as it says: words -> the address without it."""
    found = re.findall(r'<a href="([^"]+)" class="chip idle">(.*?) does not apply here <span', html, re.S)
    return {words(label): unescape(url) for url, label in found}


def messages(html: str) -> list[str]:
    """What the page says of an address that it could not follow."""
    main = html.split("<footer")[0]
    return [words(m) for m in re.findall(r'<p class="say" role="status">(.*?)</p>', main, re.S)]
