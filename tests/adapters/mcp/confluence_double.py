"""A Confluence as its REST API shows it (`/rest/api/search`, `/rest/api/content/{id}`), for the real MCP server.

It understands the CQL that we write and answers 400 to anything else, as Confluence does. The names that Atlassian's
published schema of Cloud v1 requires are there (SearchPageResponseSearchResult, SearchResult, Content); a space comes
only with a page, as a search does not expand it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "confluence-token-4711"
_TERM = re.compile(
    r'(?P<field>title|text|label|space|type)\s*(?P<op>=|~|IN)\s*(?P<value>"(?:[^"\\]|\\.)*"|page|\((?:[^()"]|"(?:[^"\\]|\\.)*")*\))'
)


@dataclass(slots=True)
class Page:
    id: str
    space: str
    title: str
    body: str
    version: int = 1
    labels: tuple[str, ...] = ()


@dataclass(slots=True)
class Confluence:
    url: str
    pages: list[Page]
    statuses: list[int] = field(default_factory=list)
    """Statuses that the next requests get in place of an answer."""
    requests: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    cql: list[str] = field(default_factory=list)


def matches(cql: str, page: Page) -> bool:
    """Whether CQL of `A AND (B OR C)` matches. Raises ValueError for what is none."""
    words: list[str] = []

    def term(found: re.Match[str]) -> str:
        values = [re.sub(r"\\(.)", r"\1", v) for v in re.findall(r'"((?:[^"\\]|\\.)*)"', found["value"])] or ["page"]
        text = {
            "title": page.title,
            "text": f"{page.title} {re.sub('<[^>]+>', ' ', page.body)}",
        }.get(found["field"], "").casefold()
        if found["op"] == "~":
            held = any(
                re.search(
                    rf"\b{re.escape(v.casefold().removesuffix('*'))}{'' if v.endswith('*') else chr(92) + 'b'}", text
                )
                for v in values
            )
        else:
            own = {"space": (page.space,), "type": ("page",), "label": page.labels}[found["field"]]
            held = bool({*values} & {*own})
        words.append(str(held))
        return f" {held} "

    left = _TERM.sub(term, cql)
    if not re.fullmatch(r"(?:\s|\(|\)|AND\b|OR\b|True\b|False\b)+", left):
        raise ValueError(f"Could not parse cql : {cql}")
    return bool(eval(left.lower().replace("true", "True").replace("false", "False"), {"__builtins__": {}}))


def _content(url: str, page: Page, *, with_body: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": page.id,
        "type": "page",
        "status": "current",
        "title": page.title,
        "space": {
            "id": 1,
            "key": page.space,
            "name": f"Space {page.space}",
            "type": "global",
            "status": "current",
            "_links": {},
        },
        "version": {
            "by": {"type": "known", "displayName": "Ana"},
            "when": "2026-10-01T08:00:00.000Z",
            "number": page.version,
            "minorEdit": False,
        },
        "history": {
            "latest": True,
            "createdBy": {"type": "known", "displayName": "Ana"},
            "createdDate": "2026-01-01T08:00:00.000Z",
        },
        "macroRenderedOutput": {},
        "_expandable": {"container": f"/rest/api/space/{page.space}"},
        "_links": {"webui": f"/display/{page.space}/{page.id}", "self": f"{url}/rest/api/content/{page.id}"},
    }
    if not with_body:
        del shown["space"]
        shown["_expandable"]["space"] = f"/rest/api/space/{page.space}"
    else:
        shown["body"] = {
            name: {"value": page.body, "representation": name, "_expandable": {}} for name in ("storage", "view")
        }
    return shown


@contextmanager
def confluence(pages: list[Page]) -> Iterator[Confluence]:
    """A Confluence on loopback until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            made.writes.append(self.path)
            self._answer(403, {"statusCode": 403, "message": "read only"})

        do_PUT = do_DELETE = do_POST  # noqa: N815

        def do_GET(self) -> None:
            made.requests.append(self.path)
            parts = urlsplit(self.path)
            if made.statuses:
                status = made.statuses.pop(0)
                self._answer(status, {"statusCode": status, "message": f"status {status}"})
            elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._answer(401, {"statusCode": 401, "message": "Unauthorized"})
            elif parts.path == "/rest/api/search":
                query = parse_qs(parts.query)
                made.cql.append(query["cql"][0])
                try:
                    found = [p for p in made.pages if matches(query["cql"][0], p)]
                except ValueError as error:
                    self._answer(400, {"statusCode": 400, "message": str(error)})
                    return
                found = found[: int(query.get("limit", ["25"])[0])]
                self._answer(200, _search(made.url, query["cql"][0], found))
            elif parts.path == "/rest/api/user/current":
                self._answer(200, {"type": "known", "username": "ops-agent", "displayName": "ops-agent"})
            elif one := re.fullmatch(r"/rest/api/content/(\d+)", parts.path):
                page = next((p for p in made.pages if p.id == one[1]), None)
                missing = {"statusCode": 404, "message": f"No content found with id: {one[1]}"}
                self._answer(200, _content(made.url, page, with_body=True)) if page else self._answer(404, missing)
            else:
                self._answer(404, {"statusCode": 404, "message": "null for uri"})

        def _answer(self, status: int, body: Any) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Confluence(url=f"http://127.0.0.1:{server.server_address[1]}", pages=pages)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def _search(url: str, cql: str, found: list[Page]) -> dict[str, Any]:
    return {
        "results": [
            {
                "content": _content(url, page, with_body=False),
                "title": page.title,
                "excerpt": re.sub("<[^>]+>", " ", page.body)[:100],
                "url": f"/display/{page.space}/{page.id}",
                "resultGlobalContainer": {"title": f"Space {page.space}", "displayUrl": f"/display/{page.space}"},
                "breadcrumbs": [],
                "entityType": "content",
                "iconCssClass": "aui-icon content-type-page",
                "lastModified": "2026-10-01T08:00:00.000Z",
                "friendlyLastModified": "Oct 01, 2026",
                "score": 0.0,
            }
            for page in found
        ],
        "start": 0,
        "limit": 25,
        "size": len(found),
        "totalSize": len(found),
        "cqlQuery": cql,
        "searchDuration": 3,
        "_links": {"base": url, "context": ""},
    }
