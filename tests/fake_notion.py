"""A Notion of our own: what Moonwalk uses of its API, over HTTP, with its limits and its moods.

    with FakeNotion() as notion:            # in this process, on a free port
        settings.NOTION_URL = notion.url
    python -m tests.fake_notion --port 8099 # as a process; GET /_fake has all it holds, POST /_fake sets faults

It enforces what Notion does: the token, a version with data sources (2025-09-03 or newer), known parameters, the types
of properties, 3 requests a second on average, 100 blocks an append, 100 rows a page, 2,000 characters a text, 500 KB a
request; what is in the trash can't be edited. `faults` says what goes wrong at which request. `lifetime` counts the
blocks that were ever made, as free workspaces do.
"""

import argparse
import itertools
import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "ntn_for_the_tests_only"
PAGE = "0123456789abcdef0123456789abcdef"
BOT, PERSON = "b07b07b0-0000-4000-8000-000000000000", "9e750000-0000-4000-8000-000000000000"
OLDEST, IN_TRASH_ALONE = "2025-09-03", "2026-03-11"  # versions: with data sources; without `archived` and `after`
PER_SECOND, BURST = 3, 6
MOST = 100
LONGEST_TEXT, LARGEST = 2000, 500_000
TEXT_BLOCKS = ("paragraph", "callout", "heading_1", "heading_2", "heading_3", "toggle", "quote", "bulleted_list_item")
PLAIN_BLOCKS = ("column_list", "column", "divider")
ARCHIVED = "Can't edit block that is archived. You must unarchive the block before editing."
# What a fault does: refuse, carry it out and lose the answer, or lose the request.
LOSE_ANSWER, LOSE_REQUEST, HALF_AN_ANSWER = "lose the answer", "lose the request", "half an answer"
DONE_500 = "done, and 500"
CODES = {400: "validation_error", 401: "unauthorized", 403: "restricted_resource", 404: "object_not_found",
         409: "conflict_error", 429: "rate_limited", 500: "internal_server_error", 502: "bad_gateway",
         503: "service_unavailable", 504: "gateway_timeout", 529: "service_overload"}  # fmt: skip


class Refused(Exception):
    """An answer that is no success: its status and message."""

    def __init__(self, status: int, message: str, **headers: str):
        super().__init__(message)
        self.status, self.headers = status, headers


def need(true: object, message: str, status: int = 400) -> None:
    if not true:
        raise Refused(status, message)


def plain(text: list[dict]) -> str:
    return "".join(piece["plain_text"] for piece in text)


class FakeNotion:
    """The workspace and the server. clock: seconds, for the limit; None as token or page: anything goes, no page."""

    def __init__(self, port: int = 0, clock: Callable[[], float] = time.monotonic, token: str = TOKEN):
        self.clock, self.token = clock, token
        self.objects: dict[str, dict] = {}  # pages, blocks, databases, data sources by id
        self.children: dict[str, list[str]] = {}  # blocks of a page or block, in their order
        self.faults: dict[int, object] = {}  # which request (1: the next) -> a status, (status, Retry-After), or a mood
        self.requests: list[tuple[str, str, dict]] = []  # method, path, body of every one that was let in
        self.lifetime = 0
        self._budget, self._filled = float(BURST), clock()
        self._moment = itertools.count()
        self._lock = threading.RLock()
        self.add_page(PAGE)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FakeNotion":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self) -> None:
        self._server.serve_forever()

    # --- What a test does as a person, or looks at -------------------------------------------------------------------

    def add_page(self, page: str) -> str:
        page = str(uuid.UUID(page))
        self.objects[page] = self._new("page", page, {"type": "workspace", "workspace": True}, PERSON, properties={})
        return page

    def add_block(self, kind: str, text: str = "", parent: str = PAGE, after: str | None = None) -> str:
        """A block that a person writes; `after` another one."""
        parent = str(uuid.UUID(parent))
        content = {"rich_text": self._rich(_text(text), "here")} if kind in TEXT_BLOCKS else {}
        block = self._add_block(parent, kind, content, PERSON)
        if after:
            self._move_behind(parent, block["id"], after)
        return block["id"]

    def move(self, block: str, parent: str) -> None:
        """A person drags a block somewhere else."""
        for ids in self.children.values():
            if block in ids:
                ids.remove(block)
        self.children.setdefault(parent, []).append(block)
        kind = "page_id" if self.objects[parent]["object"] == "page" else "block_id"
        self.objects[block]["parent"] = {"type": kind, kind: parent}

    def throw_away(self, thing: str) -> None:
        self.objects[thing]["in_trash"] = True

    def remove(self, thing: str) -> None:
        """Gone for good: out of the trash too."""
        del self.objects[thing]
        for ids in self.children.values():
            if thing in ids:
                ids.remove(thing)

    def type_over(self, block: str, text: str) -> None:
        thing = self.objects[block]
        thing[thing["type"]]["rich_text"] = self._rich(_text(text), "here")

    @property
    def writes(self) -> list[tuple[str, str, dict]]:
        """The requests that make or change something."""
        reads = re.compile(r"/(query|search)$")
        return [r for r in self.requests if r[0] != "GET" and not reads.search(r[1])]

    def databases(self) -> list[dict]:
        return [o for o in self.objects.values() if o["object"] == "database" and not o["in_trash"]]

    def source(self) -> dict:
        """The data source of the only database."""
        (database,) = self.databases()
        return self.objects[database["data_sources"][0]["id"]]

    def rows(self) -> list[dict]:
        """The rows that aren't in the trash, by the names of their columns; "id" is the page's."""
        found = []
        for page in self._rows(self.source()["id"]):
            found.append({"id": page["id"]} | {n: _value(p) for n, p in self._shown(page)["properties"].items()})
        return found

    def blocks(self, parent: str = PAGE) -> list[tuple[str, str]]:
        """(type, text) of a page's blocks from top to bottom, the trash aside."""
        listed = self._listed(str(uuid.UUID(parent)))
        return [(b["type"], plain(b[b["type"]].get("rich_text", []))) for b in listed]

    def said(self) -> str:
        """All that anybody ever sent."""
        return json.dumps([body for _, _, body in self.requests], ensure_ascii=False)

    # --- The workspace -----------------------------------------------------------------------------------------------

    def _new(self, kind: str, thing: str, parent: dict, by: str, **more) -> dict:
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(self._moment))
        return {
            "object": kind, "id": thing, "parent": parent, "in_trash": False, "created_time": at.isoformat(),
            "created_by": {"object": "user", "id": by}, **more,
        }  # fmt: skip

    def _add_block(self, parent: str, kind: str, content: dict, by: str, thing: str = "") -> dict:
        thing = thing or str(uuid.uuid4())
        of = "page_id" if self.objects[parent]["object"] == "page" else "block_id"
        block = self._new("block", thing, {"type": of, of: parent}, by, type=kind, **{kind: content})
        self.objects[thing] = block
        self.children.setdefault(parent, []).append(thing)
        self.lifetime += 1
        return block

    def _move_behind(self, parent: str, block: str, after: str) -> None:
        ids = self.children[parent]
        ids.remove(block)
        ids.insert(ids.index(after) + 1, block)

    def _get(self, thing: str, *kinds: str) -> dict:
        try:
            thing = str(uuid.UUID(thing))
        except ValueError:
            raise Refused(400, "path failed validation: id should be a valid uuid") from None
        found = self.objects.get(thing)
        need(found and found["object"] in kinds, f"Could not find {kinds[0]} with ID: {thing}.", 404)
        return found

    def _listed(self, parent: str) -> list[dict]:
        found = []
        for thing in self.children.get(parent, []):
            block = self.objects[thing]
            if block["object"] == "database":  # stands on its page as a block of its own
                title = plain(block["title"])
                block = block | {"object": "block", "type": "child_database", "child_database": {"title": title}}
            if not block["in_trash"]:
                found.append(block | {"has_children": bool(self.children.get(thing)) and block["object"] == "block"})
        return found

    def _rows(self, source: str) -> list[dict]:
        of = ("data_source_id", source)
        pages = [o for o in self.objects.values() if o["object"] == "page" and of in o["parent"].items()]
        return [p for p in pages if not p["in_trash"]]

    def _shown(self, page: dict) -> dict:
        """A row as the API gives it: every column by its name, empty ones too."""
        source = self.objects.get(page["parent"].get("data_source_id", ""))
        if not source:
            return page
        empty = {"title": [], "rich_text": []}
        shown = {
            name: {"id": p["id"], "type": p["type"],
                   p["type"]: page["properties"].get(p["id"], {}).get(p["type"], empty.get(p["type"]))}
            for name, p in source["properties"].items()
        }  # fmt: skip
        return page | {"properties": shown}

    def _rich(self, text: object, where: str) -> list[dict]:
        need(isinstance(text, list), f"body failed validation: {where} should be an array.")
        need(len(text) <= MOST, f"body failed validation: {where}.length should be ≤ `100`.")
        made = []
        for piece in text:
            _only(piece, where, "type", "text", "annotations")
            _only(piece["text"], where, "content", "link")
            content, link = piece["text"]["content"], piece["text"].get("link")
            wide = len(content.encode("utf-16-le")) // 2
            need(wide <= LONGEST_TEXT, f"{where}.text.content.length should be ≤ `2000`, instead was `{wide}`.")
            need(link is None or re.match(r"https?://\S+$", link["url"]), f"{where}: Invalid URL for link.")
            style = {"bold": False, "italic": False, "color": "default"} | piece.get("annotations", {})
            made.append({"type": "text", "text": {"content": content, "link": link}, "annotations": style,
                         "plain_text": content, "href": link and link["url"]})  # fmt: skip
        return made

    def _value_of(self, column: dict, given: object, name: str) -> dict:
        """A property's value as it is kept. Refuses another type than the column's."""
        kind = column["type"]
        need(isinstance(given, dict) and kind in given, f"{name} is expected to be {kind}.")
        value = given[kind]
        if kind in ("title", "rich_text"):
            return {kind: self._rich(value, name)}
        if kind == "number":
            need(value is None or type(value) in (int, float), f"{name}: no number")
        elif kind == "select" and value is not None:
            need(isinstance(value.get("name"), str) and 0 < len(value["name"]) <= 100, f"{name}: no option")
            need("," not in value["name"], "Invalid select option, commas not allowed.")
        elif kind == "date" and value is not None:
            need(re.fullmatch(r"\d{4}-\d\d-\d\d", str(value.get("start"))), f"{name}.date.start: no ISO 8601 date")
            date.fromisoformat(value["start"])
        elif kind == "url":
            need(value is None or 0 < len(value) <= LONGEST_TEXT, f"{name}: no URL")
        return {kind: value}

    def _properties_of(self, source: dict, given: dict) -> dict:
        """Values by the id of their column; given by name or id."""
        columns = source["properties"]
        by_id = {p["id"]: p for p in columns.values()}
        made = {}
        for name, value in given.items():
            column = columns.get(name) or by_id.get(name)
            need(column, f"{name} is not a property that exists.")
            made[column["id"]] = self._value_of(column, value, name)
        return made

    def _columns_of(self, given: dict) -> dict:
        made = {}
        for name, schema in given.items():
            (kind,) = [k for k in schema if k != "name"]
            need(kind in ("title", "rich_text", "number", "select", "date", "url"), f"{name}: unknown type {kind}")
            number = "title" if kind == "title" else f"%3A{len(name)}{name[0]}{next(self._moment)}"
            made[name] = {"id": number, "name": name, "type": kind, kind: schema[kind]}
        return made

    # --- Requests ----------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict, body: object, headers) -> dict:
        """What Notion says to a request. Raises Refused."""
        need(headers.get("Authorization") == f"Bearer {self.token}", "API token is invalid.", 401)
        version = headers.get("Notion-Version", "")
        need(re.fullmatch(r"\d{4}-\d\d-\d\d", version), "Notion-Version header failed validation")
        need(version >= OLDEST, f"Notion-Version {version} knows no data sources")
        self._limit()
        need(isinstance(body, dict), "Error parsing JSON body.")
        if version >= IN_TRASH_ALONE:
            for old in ("archived", "after"):
                need(old not in body, f"body failed validation: body.{old} should be not present")
        for pattern, of_method, act in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and method == of_method:
                self.requests.append((method, path, body))
                return act(self, *found.groups(), body | query)
        raise Refused(400, "Invalid request URL.")

    def _limit(self) -> None:
        """3 a second on average, a few more in a burst."""
        now = self.clock()
        self._budget = min(BURST, self._budget + (now - self._filled) * PER_SECOND)
        self._filled = now
        if self._budget < 1 - 1e-9:
            raise Refused(429, "You have been rate limited.", **{"Retry-After": "1"})
        self._budget -= 1

    def me(self, body) -> dict:
        return {"object": "user", "id": BOT, "type": "bot", "bot": {}}

    def get_page(self, page, body) -> dict:
        return self._shown(self._get(page, "page"))

    def make_page(self, body) -> dict:
        _only(body, "body", "parent", "properties")
        parent = body["parent"]
        need(parent.get("type") == "data_source_id", "body.parent: a row's parent is a data source")
        source = self._get(parent["data_source_id"], "data_source")
        need(not source["in_trash"], "Can't edit a data source that is in the trash.")
        values = self._properties_of(source, body["properties"])
        page = self._new("page", str(uuid.uuid4()), parent, BOT, properties=values, url="https://www.notion.so/x")
        self.objects[page["id"]] = page
        self.lifetime += 1
        return self._shown(page)

    def change_page(self, page, body) -> dict:
        _only(body, "body", "properties", "in_trash")
        page = self._get(page, "page")
        if "properties" in body:
            need(not page["in_trash"], "Can't edit a page that is in the trash.")
            source = self._get(page["parent"]["data_source_id"], "data_source")
            page["properties"] |= self._properties_of(source, body["properties"])
        page["in_trash"] = body.get("in_trash", page["in_trash"])
        return self._shown(page)

    def get_block(self, block, body) -> dict:
        return self._get(block, "block", "page")

    def change_block(self, block, body) -> dict:
        block = self._get(block, "block")
        _only(body, "body", "in_trash", block["type"])
        if block["type"] in body:
            need(not block["in_trash"], ARCHIVED)
            _only(body[block["type"]], "body", "rich_text", "color", "icon")
            block[block["type"]] |= {"rich_text": self._rich(body[block["type"]]["rich_text"], "rich_text")}
        block["in_trash"] = body.get("in_trash", block["in_trash"])
        return block

    def list_children(self, block, query) -> dict:
        thing = self._get(block, "page", "block")
        return _page_of(self._listed(thing["id"]), query)

    def append(self, block, body) -> dict:
        _only(body, "body", "children", "position")
        parent = self._get(block, "page", "block")
        need(not parent["in_trash"], ARCHIVED)
        need(len(body["children"]) <= MOST, "body.children.length should be ≤ `100`")
        made = []
        for child in body["children"]:
            kind = child.get("type")
            need(kind in (*TEXT_BLOCKS, *PLAIN_BLOCKS), f"body.children: unknown type {kind}")
            _only(child, "body.children", "object", "type", kind)
            content = dict(child[kind])
            if kind in TEXT_BLOCKS:
                content["rich_text"] = self._rich(content["rich_text"], "body.children.rich_text")
            made.append((kind, content))
        after = None
        if "position" in body:
            need(body["position"]["type"] in ("after_block", "start", "end"), "body.position: unknown")
        if body.get("position", {}).get("type") == "after_block":
            after = self._get(body["position"]["after_block"]["id"], "block", "database")["id"]
            need(after in self.children.get(parent["id"], []), "body.position: not a child of this block", 404)
        blocks = [self._add_block(parent["id"], kind, content, BOT) for kind, content in made]
        if body.get("position", {}).get("type") == "start":
            ids = self.children[parent["id"]]
            ids[:] = ids[-len(blocks) :] + ids[: -len(blocks)]
        for new in blocks:
            if after:
                self._move_behind(parent["id"], new["id"], after)
                after = new["id"]
        return {"object": "list", "results": blocks, "has_more": False, "next_cursor": None}

    def make_database(self, body) -> dict:
        _only(body, "body", "parent", "title", "description", "is_inline", "initial_data_source")
        need(body["parent"].get("type") == "page_id", "body.parent.type should be `page_id`")
        page = self._get(body["parent"]["page_id"], "page")
        columns = self._columns_of(body["initial_data_source"]["properties"])
        need([p["type"] for p in columns.values()].count("title") == 1, "Title is not provided")
        thing, source = str(uuid.uuid4()), str(uuid.uuid4())
        title = self._rich(body["title"], "body.title")
        parent = {"type": "page_id", "page_id": page["id"]}
        self.objects[thing] = self._new(
            "database", thing, parent, BOT, title=title, is_inline=body.get("is_inline", False),
            description=self._rich(body.get("description", []), "body.description"),
            data_sources=[{"id": source, "name": plain(title)}],
        )  # fmt: skip
        of = {"type": "database_id", "database_id": thing}
        self.objects[source] = self._new("data_source", source, of, BOT, properties=columns, title=title)
        self.children.setdefault(page["id"], []).append(thing)
        self.lifetime += 1
        return self.objects[thing]

    def get_database(self, thing, body) -> dict:
        return self._get(thing, "database")

    def change_database(self, thing, body) -> dict:
        _only(body, "body", "in_trash")
        database = self._get(thing, "database")
        database["in_trash"] = body["in_trash"]
        return database

    def get_source(self, source, body) -> dict:
        return self._get(source, "data_source")

    def change_source(self, source, body) -> dict:
        _only(body, "body", "properties")
        source = self._get(source, "data_source")
        need(not source["in_trash"], "Can't edit a data source that is in the trash.")
        new = {n: s for n, s in body["properties"].items() if n not in source["properties"]}
        source["properties"] |= self._columns_of(new)
        return source

    def query(self, source, body) -> dict:
        _only(body, "body", "filter", "sorts", "start_cursor", "page_size")
        source = self._get(source, "data_source")
        pages = [self._shown(p) for p in self._rows(source["id"])]
        if wanted := body.get("filter"):
            by_id = {p["id"]: n for n, p in source["properties"].items()}
            name = by_id.get(wanted["property"], wanted["property"])
            need(name in source["properties"], f"Could not find property with name or id: {name}")
            kind = source["properties"][name]["type"]
            need(set(wanted) == {"property", kind}, f"database property {name} does not match filter")
            pages = [p for p in pages if _value(p["properties"][name]) == wanted[kind]["equals"]]
        for sort in body.get("sorts", []):
            need(sort["timestamp"] == "created_time", "body.sorts: unknown")
            pages.sort(key=lambda p: p["created_time"], reverse=sort["direction"] == "descending")
        return _page_of(pages, body)


ID = r"([0-9a-fA-F-]+)"
ROUTES: list[tuple[str, str, Callable[..., dict]]] = [
    (r"/v1/users/me", "GET", FakeNotion.me),
    (rf"/v1/pages/{ID}", "GET", FakeNotion.get_page),
    (rf"/v1/pages/{ID}", "PATCH", FakeNotion.change_page),
    (r"/v1/pages", "POST", FakeNotion.make_page),
    (rf"/v1/blocks/{ID}", "GET", FakeNotion.get_block),
    (rf"/v1/blocks/{ID}", "PATCH", FakeNotion.change_block),
    (rf"/v1/blocks/{ID}/children", "GET", FakeNotion.list_children),
    (rf"/v1/blocks/{ID}/children", "PATCH", FakeNotion.append),
    (r"/v1/databases", "POST", FakeNotion.make_database),
    (rf"/v1/databases/{ID}", "GET", FakeNotion.get_database),
    (rf"/v1/databases/{ID}", "PATCH", FakeNotion.change_database),
    (rf"/v1/data_sources/{ID}", "GET", FakeNotion.get_source),
    (rf"/v1/data_sources/{ID}", "PATCH", FakeNotion.change_source),
    (rf"/v1/data_sources/{ID}/query", "POST", FakeNotion.query),
]


def _only(given: object, where: str, *known: str) -> None:
    need(isinstance(given, dict), f"body failed validation: {where} should be an object.")
    for name in given:
        need(name in known, f"body failed validation: {where}.{name} should be not present.")


def _text(text: str) -> list[dict]:
    return [{"type": "text", "text": {"content": text}}] if text else []


def _value(found: dict) -> object:
    value = found[found["type"]]
    if found["type"] in ("title", "rich_text"):
        return plain(value)
    if isinstance(value, dict):
        return value.get("name", value.get("start"))
    return value


def _page_of(things: list[dict], asked: dict) -> dict:
    """A page of a list, from its cursor on."""
    size = int(asked.get("page_size", MOST))
    need(0 < size <= MOST, "page_size should be ≤ `100`")
    start = 0
    if cursor := asked.get("start_cursor"):
        start = next((i for i, t in enumerate(things) if t["id"] == cursor), -1)
        need(start >= 0, "The start_cursor provided is invalid")
    more = things[start + size :][:1]
    return {"object": "list", "results": things[start : start + size], "has_more": bool(more),
            "next_cursor": more[0]["id"] if more else None}  # fmt: skip


def _handler(notion: FakeNotion) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept, as Notion keeps them
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            raw = self.rfile.read(size)
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            with notion._lock:
                if path == "/_fake":
                    return self._fake(raw)
                fault = notion.faults.pop(1, None)
                notion.faults = {n - 1: what for n, what in notion.faults.items()}
                if fault == LOSE_REQUEST:
                    return self._hang_up()
                status, headers, answer = self._answer(path, query, raw, fault)
            if fault == LOSE_ANSWER:
                return self._hang_up()
            if fault == DONE_500:
                status, answer = 500, _error(500, "Unexpected error.")
            return self._send(status, answer, headers, half=fault == HALF_AN_ANSWER)

        def _answer(self, path: str, query: dict, raw: bytes, fault: object) -> tuple[int, dict, dict]:
            try:
                if isinstance(fault, int):
                    raise Refused(fault, "A fault of the test.")
                if isinstance(fault, tuple):
                    raise Refused(fault[0], "A fault of the test.", **{"Retry-After": str(fault[1])})
                need(len(raw) <= LARGEST, "body.length should be ≤ `500000`.", 413)
                try:
                    body = json.loads(raw) if raw else {}
                except ValueError:
                    body = None
                return 200, {}, notion.answer(self.command, path, query, body, self.headers)
            except Refused as error:
                return error.status, error.headers, _error(error.status, str(error))

        def _send(self, status: int, answer: dict, headers: dict, half: bool = False) -> None:
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw[: len(raw) // 2] if half else raw)
            self.close_connection = self.close_connection or half

        def _hang_up(self) -> None:
            self.close_connection = True

        def _fake(self, raw: bytes) -> None:
            """For tests in another process: all that it holds; or faults, {"3": "lose the answer"}."""
            if raw:
                notion.faults |= {int(n): what for n, what in json.loads(raw).items()}
            rows = notion.rows() if notion.databases() else []
            held = {
                "databases": len(notion.databases()), "rows": rows, "blocks": notion.blocks(),
                "lifetime": notion.lifetime, "requests": len(notion.requests), "writes": len(notion.writes),
            }  # fmt: skip
            self._send(200, held, {})

        do_GET = do_POST = do_PATCH = _serve

        def log_message(self, *args) -> None:
            pass

    return Handler


def _error(status: int, message: str) -> dict:
    return {"object": "error", "status": status, "code": CODES.get(status, "invalid_request"), "message": message}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--token", default=TOKEN)
    given = parser.parse_args()
    server = FakeNotion(given.port, token=given.token)
    print(f"Notion at {server.url}, page {PAGE}", flush=True)
    server.serve()
