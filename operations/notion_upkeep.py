"""What stands in Notion, kept as it should be: found again, changed where it differs, made only where it is missing.

Nothing is removed and made anew: a free workspace counts every block that it ever had. What we made is remembered by
its id (NotionObject). Where that is lost (a restored backup, a lost answer), blocks and the database are known by who
made them, this integration, and by their order on the page, rows by their Key. What people add, move or rename stays.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from operations.models import NotionObject
from operations.notion_api import PAGE, Api, Invalid, Missing
from operations.transports import Hopeless

MADE, CHANGED, RESTORED, LEFT = "new", "changed", "restored", "unchanged"
DATABASE = "Moonwalk KPIs"
ABOUT_DATABASE = "A row a figure and period, written by Moonwalk after each refresh. Columns and rows of yours stay."
PERCENT = {"format": "percent"}
# The database's columns: name -> (type, how it is shown). Names may be changed in Notion, types may not.
COLUMNS: dict[str, tuple[str, dict]] = {
    "Name": ("title", {}),
    "Key": ("rich_text", {}),
    "Grain": ("select", {}),
    "Metric": ("select", {}),
    "Period": ("rich_text", {}),
    "Start": ("date", {}),
    "Value": ("number", {"format": "number_with_commas"}),
    "Unit": ("select", {}),
    "MoM / WoW": ("number", PERCENT),
    "YoY": ("number", PERCENT),
    "Link": ("url", {}),
}
SECTIONS = ("top", "month", "week")
PARTS = ("heading", "about", "headline", "insight")
HEADINGS = {"top": "heading_2", "month": "heading_3", "week": "heading_3"}
TYPES = {"about": "paragraph", "headline": "callout", "insight": "paragraph"}
TITLE = "Figures from Moonwalk"
# Blocks whose text can be written, as a person may have turned one of ours into another of these.
WITH_TEXT = {
    "paragraph", "callout", "quote", "toggle", "to_do", "bulleted_list_item", "numbered_list_item",
    "heading_1", "heading_2", "heading_3", "heading_4",
}  # fmt: skip
# What people arrange a page with: blocks of ours may stand inside.
LAYOUT = {"column_list", "column", "toggle", "callout", "quote", "synced_block", "heading_1", "heading_2", "heading_3"}
LONGEST_TEXT = 2000  # in one piece of text, as JavaScript counts: in UTF-16
MOST_PIECES = 100
LARGEST = 400_000  # bytes of blocks at once; Notion takes 500,000 with all around them


@dataclass(frozen=True)
class Piece:
    """A piece of text in one style."""

    text: str
    url: str = ""
    bold: bool = False
    color: str = "default"


@dataclass(frozen=True)
class Slot:
    """A block's place in our part of the page: section, part, and of insights which."""

    section: str
    part: str
    number: int = 0

    def __str__(self) -> str:
        return f"{self.section} {self.part}" + (f" {self.number}" if self.number else "")

    @classmethod
    def named(cls, name: str) -> "Slot":
        section, part, *number = name.split()
        return cls(section, part, int(number[0]) if number else 0)

    @property
    def order(self) -> tuple:
        return SECTIONS.index(self.section), PARTS.index(self.part), self.number

    @property
    def type(self) -> str:
        return HEADINGS[self.section] if self.part == "heading" else TYPES[self.part]


@dataclass(frozen=True)
class Block:
    """A block as it should be. Without text: a spare one, kept for later."""

    slot: Slot
    text: tuple[Piece, ...] = ()


@dataclass(frozen=True)
class Row:
    """A row as it should be. values: of COLUMNS -> text, number, ISO date, or None."""

    key: str
    values: dict


def in_pieces(text: Sequence[Piece]) -> list[dict]:
    """Rich text as Notion takes it: no piece too long, not too many."""
    made = [
        {
            "type": "text",
            "text": {"content": part, "link": {"url": piece.url} if piece.url else None},
            "annotations": {"bold": piece.bold, "color": piece.color},
        }
        for piece in text
        for part in _parts(piece.text)
    ]
    return made[:MOST_PIECES]


def _parts(text: str) -> Iterator[str]:
    part, size = "", 0
    for letter in text:
        wide = 1 + (ord(letter) > 0xFFFF)
        if size + wide > LONGEST_TEXT:
            yield part
            part, size = "", 0
        part, size = part + letter, size + wide
    if part:
        yield part


def _read(pieces: Sequence[dict]) -> list[list]:
    """Rich text, wanted or found, to compare."""
    return [
        [p["text"]["content"], (p["text"].get("link") or {}).get("url"), p["annotations"]["bold"],
         p["annotations"]["color"]]
        if p["type"] == "text" else [p.get("plain_text", ""), p["type"]]
        for p in pieces
    ]  # fmt: skip


def _written(kind: str, value) -> dict:
    """A value of a column as Notion takes it."""
    if kind in ("title", "rich_text"):
        return {kind: in_pieces([Piece(value)] if value else [])}
    if kind == "select":
        return {kind: {"name": value} if value else None}
    if kind == "date":
        return {kind: {"start": value} if value else None}
    return {kind: value}


def _shown(kind: str, found: dict):
    """A value of a column as it is in Notion."""
    value = found.get(kind)
    if kind in ("title", "rich_text"):
        return "".join(p.get("plain_text") or p.get("text", {}).get("content", "") for p in value or ())
    if kind in ("select", "date"):
        return (value or {}).get("name" if kind == "select" else "start")
    return value


def _digest(wanted, shown) -> str:
    return hashlib.sha256(json.dumps([wanted, shown], sort_keys=True).encode()).hexdigest()


class Upkeep:
    """One push into one page. `api` None: nothing is read, as if Notion were empty (dry runs alone).

    told(what, name, action, detail): each thing as it is done, or would be. notes: what a person has to mend.
    """

    def __init__(self, api: Api | None, page: str, told: Callable[[str, str, str, str], None], *, dry: bool = False):
        self.api, self.page, self.told, self.dry = api, page, told, dry
        self.notes: list[str] = []
        self._known = {}
        for row in NotionObject.objects.filter(key__startswith=f"{page} "):
            self._known[row.key.partition(" ")[2]] = row
        self._bot = ""

    # --- What is remembered ------------------------------------------------------------------------------------------

    def _remember(self, name: str, notion_id: str, content_hash: str = "") -> None:
        known = self._known.get(name)
        if self.dry or (known and (known.notion_id, known.content_hash) == (notion_id, content_hash)):
            return
        self._known[name], _ = NotionObject.objects.update_or_create(
            key=f"{self.page} {name}", defaults={"notion_id": notion_id, "content_hash": content_hash}
        )

    def _forget(self, *starts: str) -> None:
        gone = [name for name in self._known if name.startswith(starts)]
        for name in gone:
            row = self._known.pop(name)
            if not self.dry:
                row.delete()

    def _all_known(self, start: str) -> dict[str, NotionObject]:
        return {name.removeprefix(start): row for name, row in self._known.items() if name.startswith(start)}

    def _same(self, name: str, wanted, shown) -> bool:
        """Is it as it should be? Also when Notion gives our words back a little otherwise than it got them."""
        known = self._known.get(name)
        return wanted == shown or bool(known and known.content_hash == _digest(wanted, shown))

    @property
    def _me(self) -> str:
        """The integration's user: whoever made what we made."""
        if not self._bot:
            self._bot = self.api.ask(self.api.client.users.me)["id"]
        return self._bot

    def _is_mine(self, thing: dict) -> bool:
        return thing.get("created_by", {}).get("id") == self._me

    def _children(self, block_id: str, deep: bool) -> Iterator[dict]:
        """The blocks of a page from top to bottom; deep: those inside columns, toggles and the like too."""
        for block in self.api.every(self.api.client.blocks.children.list, block_id=block_id):
            yield block
            if deep and block.get("has_children") and block["type"] in LAYOUT:
                yield from self._children(block["id"], deep)

    # --- Blocks ------------------------------------------------------------------------------------------------------

    def keep_blocks(self, wanted: Sequence[Block]) -> None:
        """Our part of the page: each block in its place, spare ones empty."""
        there = self._blocks_there({block.slot for block in wanted}) if self.api else {}
        named = {block.slot for block in wanted}
        spare = [Block(slot) for slot in there if slot not in named]
        missing, before = [], None
        for block in sorted([*wanted, *spare], key=lambda b: b.slot.order):
            found = there.get(block.slot)
            if found is None:
                missing.append(block)
                continue
            self._append(missing, before, found)
            missing, before = [], found
            self._keep_block(block, found)
        self._append(missing, before, None)

    def _keep_block(self, block: Block, found: dict) -> None:
        name, kind = f"block {block.slot}", found["type"]
        text = in_pieces(block.text)
        wanted, shown = _read(text), _read(found[kind]["rich_text"])
        if self._same(name, wanted, shown):
            self._remember(name, found["id"], _digest(wanted, shown))
            self.told("block", str(block.slot), LEFT, "")
            return
        if not self.dry:
            update = self.api.client.blocks.update
            answer = self.api.ask(update, block_id=found["id"], **{kind: {"rich_text": text}})
            self._remember(name, found["id"], _digest(wanted, _read(answer[kind]["rich_text"])))
        self.told("block", str(block.slot), CHANGED, _short(block))

    def _append(self, blocks: Sequence[Block], after: dict | None, ahead_of: dict | None) -> None:
        """Blocks that are missing between two of ours; at the page's end where none of ours is there."""
        for some in _batches(blocks):
            if not self.dry:
                after = self._append_at_once(some, after, ahead_of)
            for block in some:
                self.told("block", str(block.slot), MADE, _short(block))

    def _append_at_once(self, blocks: Sequence[Block], after: dict | None, ahead_of: dict | None) -> dict:
        """As many blocks as go at once; the last of them."""
        slots = [block.slot for block in blocks]

        def find() -> dict | None:
            there = self._blocks_there(set(slots))
            return {"results": [there[s] for s in slots]} if all(s in there for s in slots) else None

        parent, where = self._place(after, ahead_of)
        append = self.api.client.blocks.children.append
        answer = self.api.make(append, find, block_id=parent, children=[_as_new(b) for b in blocks], **where)
        made = answer["results"] if len(answer["results"]) == len(blocks) else (find() or answer)["results"]
        for block, new in zip(blocks, made, strict=True):
            shown = _read(new[new["type"]]["rich_text"])
            self._remember(f"block {block.slot}", new["id"], _digest(_read(in_pieces(block.text)), shown))
        return made[-1]

    def _place(self, after: dict | None, ahead_of: dict | None) -> tuple[str, dict]:
        """Where to append: the parent's id, and behind which of its blocks."""
        beside = after or ahead_of
        if beside is None:
            return self.page, {}
        parent = beside["parent"].get(beside["parent"]["type"], self.page)
        if after is None:
            for block in self._children(parent, deep=False):
                if block["id"] == beside["id"]:
                    break
                after = block
        if after is None:
            return parent, {"position": {"type": "start"}}
        return parent, {"position": {"type": "after_block", "after_block": {"id": after["id"]}}}

    def _blocks_there(self, wanted: set[Slot]) -> dict[Slot, dict]:
        """Our blocks as they stand in Notion. What a person put into the trash comes back."""
        known = {Slot.named(name): row.notion_id for name, row in self._all_known("block ").items()}
        listed = list(self._children(self.page, deep=not known))
        by_id = {block["id"]: block for block in listed}
        there = {}
        for slot, notion_id in known.items():
            found = by_id.get(notion_id) or self._elsewhere(slot, notion_id)
            if found and found["type"] in WITH_TEXT:
                there[slot] = found
            else:
                self._forget(f"block {slot}")
        if wanted - there.keys():
            self._adopt(listed, there)
        return there

    def _elsewhere(self, slot: Slot, notion_id: str) -> dict | None:
        """A block that isn't on the page's first level: moved into a column, or thrown away and now brought back."""
        blocks = self.api.client.blocks
        try:
            found = self.api.ask(blocks.retrieve, block_id=notion_id)
            if found.get("in_trash"):
                found = found if self.dry else self.api.ask(blocks.update, block_id=notion_id, in_trash=False)
                self.told("block", str(slot), RESTORED, "it was in the trash")
        except (Missing, Invalid):
            return None
        return found

    def _adopt(self, listed: Sequence[dict], there: dict[Slot, dict]) -> None:
        """Blocks that this integration made and nobody remembers, by what stands above them."""
        slots = {block["id"]: slot for slot, block in there.items()}
        above: Slot | None = None
        for block in listed:
            slot = slots.get(block["id"])
            if slot is None:
                slot = _guess(block, above)
                if slot is None or slot in there or not self._is_mine(block):
                    continue
                there[slot] = block
                self._remember(f"block {slot}", block["id"])
            above = slot

    # --- The database and its rows -----------------------------------------------------------------------------------

    def keep_rows(self, wanted: Sequence[Row]) -> None:
        """The database on the page, and in it these rows; others stay as they are."""
        source = self._source() if self.api else None
        if source is None:
            if self.api is None or self.dry:
                self.told("database", DATABASE, MADE, "")
                for row in wanted:
                    self.told("row", row.key, MADE, "")
                return
            source = self._make_database()
        ids = self._columns(source)
        there = self._rows_there(source["id"], ids["Key"], wanted)
        for row in wanted:  # changes first: they go in a workspace whose blocks are used up, too
            if row.key in there:
                self._keep_row(row, there[row.key], ids)
        for row in wanted:
            if row.key not in there:
                self._make_row(row, source["id"], ids)

    def _keep_row(self, row: Row, found: dict, ids: dict[str, str]) -> None:
        name, wanted = f"row {row.key}", {c: row.values.get(c) for c in ids}
        shown = _values(found, ids)
        if self._same(name, wanted, shown):
            self._remember(name, found["id"], _digest(wanted, shown))
            self.told("row", row.key, LEFT, "")
            return
        differ = [c for c in ids if wanted[c] != shown[c]]
        if not self.dry:
            new = {ids[c]: _written(COLUMNS[c][0], wanted[c]) for c in differ}
            answer = self.api.ask(self.api.client.pages.update, page_id=found["id"], properties=new)
            self._remember(name, found["id"], _digest(wanted, _values(answer, ids)))
        self.told("row", row.key, CHANGED, ", ".join(f"{c} {shown[c]} → {wanted[c]}" for c in differ))

    def _make_row(self, row: Row, source: str, ids: dict[str, str]) -> None:
        if not self.dry:
            wanted = {c: row.values.get(c) for c in ids}
            full = {ids[c]: _written(COLUMNS[c][0], v) for c, v in wanted.items() if v is not None}
            answer = self.api.make(
                self.api.client.pages.create, lambda: self._row(source, ids["Key"], row.key),
                parent={"type": "data_source_id", "data_source_id": source}, properties=full,
            )  # fmt: skip
            self._remember(f"row {row.key}", answer["id"], _digest(wanted, _values(answer, ids)))
        self.told("row", row.key, MADE, "")

    def _row(self, source: str, key_id: str, key: str) -> dict | None:
        """The row of this Key, if there is one."""
        query = self.api.client.data_sources.query
        same = {"property": key_id, "rich_text": {"equals": key}}
        return next(self.api.every(query, data_source_id=source, filter=same), None)

    def _rows_there(self, source: str, key_id: str, wanted: Sequence[Row]) -> dict[str, dict]:
        """Our rows as they stand in Notion, by key: known by id, else by what stands in Key, the oldest of several.

        Newest first, as long as one is missing: years of older rows are not read each time.
        """
        keys = {row.key for row in wanted}
        known = {row.notion_id: key for key, row in self._all_known("row ").items() if key in keys}
        found, by_key = {}, {}
        newest = [{"timestamp": "created_time", "direction": "descending"}]
        for page in self.api.every(self.api.client.data_sources.query, data_source_id=source, sorts=newest):
            key = known.get(page["id"])
            if key:
                found[key] = page
            else:
                by_key[_values(page, {"Key": key_id})["Key"]] = page
            if len(found) == len(keys):
                return found
        for key, page in by_key.items():
            if key in keys:
                found.setdefault(key, page)
        for notion_id, key in known.items():
            if key not in found and (page := self._thrown_away(source, notion_id, key)):
                found[key] = page
        return found

    def _thrown_away(self, source: str, notion_id: str, key: str) -> dict | None:
        """A row that a person put into the trash, brought back; None when it is gone for good, or moved elsewhere."""
        pages = self.api.client.pages
        try:
            page = self.api.ask(pages.retrieve, page_id=notion_id)
            if not page.get("in_trash") or page["parent"].get("data_source_id") != source:
                return None
            page = page if self.dry else self.api.ask(pages.update, page_id=notion_id, in_trash=False)
        except (Missing, Invalid):
            return None
        self.told("row", key, RESTORED, "it was in the trash")
        return page

    def _source(self) -> dict | None:
        """Our data source: the one remembered, or one of a database that we once made on the page."""
        known = self._known.get("database")
        database = self._known_database(known.notion_id) if known else None
        found = self._ours(database) if database else None
        if found is None:
            for database in self._databases_on_page():
                if found := self._ours(database):
                    break
        if found:
            self._remember("database", database["id"])
            self._remember("source", found["id"])
        return found

    def _known_database(self, notion_id: str) -> dict | None:
        databases = self.api.client.databases
        try:
            found = self.api.ask(databases.retrieve, database_id=notion_id)
            if found.get("in_trash"):
                found = found if self.dry else self.api.ask(databases.update, database_id=notion_id, in_trash=False)
                self.told("database", DATABASE, RESTORED, "it was in the trash")
        except (Missing, Invalid):
            return None
        return found

    def _databases_on_page(self) -> Iterator[dict]:
        """Only on the page, not in the whole workspace: that may hold another installation's."""
        for block in self._children(self.page, deep=True):
            if block["type"] == "child_database" and self._is_mine(block):
                yield self.api.ask(self.api.client.databases.retrieve, database_id=block["id"])

    def _ours(self, database: dict) -> dict | None:
        """The data source of a database that is ours: a person may have added others to it."""
        known = self._known.get("source")
        listed = [source["id"] for source in database["data_sources"]]
        first = sorted(listed, key=lambda i: not (known and i == known.notion_id))
        for source_id in first:
            source = self.api.ask(self.api.client.data_sources.retrieve, data_source_id=source_id)
            if (known and source_id == known.notion_id) or len(COLUMNS.keys() & source["properties"].keys()) > 5:
                return source
        return None

    def _make_database(self) -> dict:
        self._forget("row ", "column ", "database", "source")

        def find() -> dict | None:
            return next((d for d in self._databases_on_page() if self._ours(d)), None)

        made = self.api.make(
            self.api.client.databases.create, find,
            parent={"type": "page_id", "page_id": self.page}, is_inline=True,
            title=[{"type": "text", "text": {"content": DATABASE}}],
            description=[{"type": "text", "text": {"content": ABOUT_DATABASE}}],
            initial_data_source={"properties": {name: {kind: how} for name, (kind, how) in COLUMNS.items()}},
        )  # fmt: skip
        source = self.api.ask(self.api.client.data_sources.retrieve, data_source_id=made["data_sources"][0]["id"])
        self._remember("database", made["id"])
        self._remember("source", source["id"])
        self.told("database", DATABASE, MADE, "")
        return source

    def _columns(self, source: dict) -> dict[str, str]:
        """Our columns' ids, by which a renamed one is still known; one that was removed is added again."""
        ids, missing = {}, {}
        by_id = {p["id"]: p for p in source["properties"].values()}
        for name, (kind, how) in COLUMNS.items():
            known = self._known.get(f"column {name}")
            found = by_id.get(known.notion_id) if known else None
            found = found or source["properties"].get(name)
            if kind == "title":
                found = next(p for p in by_id.values() if p["type"] == "title")
            if found is None:
                missing[name] = {kind: how}
            elif found["type"] == kind:
                ids[name] = found["id"]
            else:
                self.notes.append(
                    f"In {DATABASE} the column {found['name']} is of type {found['type']} and should be {kind}: change "
                    "it back, or delete it and it is made again."
                )
        if "Key" not in ids and "Key" not in missing:
            raise Hopeless(" ".join(self.notes))  # without it a row could be made twice
        if missing:
            ids |= self._add_columns(source["id"], missing)
        for name, column in ids.items():
            self._remember(f"column {name}", column)
        return ids

    def _add_columns(self, source: str, missing: dict[str, dict]) -> dict[str, str]:
        for name in missing:
            self.told("column", name, RESTORED, "it was removed")
        if self.dry:
            return {name: name for name in missing}
        answer = self.api.ask(self.api.client.data_sources.update, data_source_id=source, properties=missing)
        return {name: answer["properties"][name]["id"] for name in missing}


def _as_new(block: Block) -> dict:
    kind = block.slot.type
    looks = {"icon": {"type": "emoji", "emoji": "📊"}, "color": "gray_background"} if kind == "callout" else {}
    return {"object": "block", "type": kind, kind: {"rich_text": in_pieces(block.text)} | looks}


def _short(block: Block) -> str:
    """The beginning of a block's words, for a table."""
    words = " ".join("".join(piece.text for piece in block.text).split())
    return f"{words[:70]}…" if len(words) > 71 else words or "emptied: nothing to say"


def _batches(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """As many at once as Notion takes: PAGE, and LARGEST in all."""
    some, size = [], 0
    for block in blocks:
        own = len(json.dumps(_as_new(block)))
        if some and (len(some) == PAGE or size + own > LARGEST):
            yield some
            some, size = [], 0
        some, size = [*some, block], size + own
    if some:
        yield some


def _guess(block: dict, above: Slot | None) -> Slot | None:
    """Which block of ours this may be, from its type and the one of ours above it."""
    kind = block["type"]
    if kind == HEADINGS["top"]:
        text = "".join(piece[0] for piece in _read(block[kind]["rich_text"]))
        return Slot("top", "heading") if text == TITLE else None
    if above is None:
        return None
    if kind == HEADINGS["month"] and above.section != SECTIONS[-1]:
        return Slot(SECTIONS[SECTIONS.index(above.section) + 1], "heading")
    if above.section == "top":
        return Slot("top", "about") if kind == "paragraph" else None
    if kind == "callout":
        return Slot(above.section, "headline")
    return Slot(above.section, "insight", above.number + 1) if kind == "paragraph" else None


def _values(page: dict, ids: dict[str, str]) -> dict:
    """What stands in our columns of a row: name -> text, number, ISO date, or None."""
    by_id = {p["id"]: p for p in page["properties"].values()}
    return {name: _shown(COLUMNS[name][0], by_id.get(column, {})) for name, column in ids.items()}
