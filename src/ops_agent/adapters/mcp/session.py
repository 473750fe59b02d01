"""One conversation with one MCP server, in a process of its own: `python -I -m ops_agent.adapters.mcp.session REQUEST`.

REQUEST is a JSON file that is removed once it was read: `server` (`command` and `arguments`, or `url` and `headers`),
`queries` (CQL), `spaces`, `pages` (how many), `seconds`, `pause` (before another
attempt), and for a `url` perhaps `proxy` and `certificates`. One JSON
document goes to standard output: `tools`, `pages`, `problem` (empty when all went well). The environment of this
process is the server's. Two tools are called, whatever the server offers and says of them; what it asks of its client
(sampling, roots, elicitation) is refused by the SDK, because nothing here answers it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

SEARCH, GET_PAGE = "confluence_search", "confluence_get_page"
READ_ONLY = (SEARCH, GET_PAGE)
MAX_LISTS, MAX_HITS, MAX_ATTEMPTS = 20, 25, 3
MAX_TEXT, MAX_MESSAGE = 400_000, 8 << 20
_CALL_SECONDS = 30.0
_PAGE_ID = re.compile(r"[0-9]{1,20}")
_FINAL = re.compile(r"(?i)\b40[0134]\b|unauthori[sz]ed|forbidden|permission|authentication|not found")
"""Answers that another attempt does not change."""

Call = Callable[[str, dict[str, Any]], Awaitable[Any]]


class Unavailable(Exception):
    """What the server did not give, and why, for people."""


def main(argv: list[str]) -> None:
    logging.disable()  # the SDK logs what it was sent
    place = Path(argv[1])
    request = json.loads(place.read_bytes())
    place.unlink()

    import anyio

    answer: dict[str, Any] = {"tools": [], "pages": [], "problem": ""}
    try:
        anyio.run(_converse, request, answer)
    except BaseException as broken:
        status = f" (HTTP status {request['status']})" if "status" in request else ""
        answer["problem"] = f"{_reason(broken)}{status}"
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # no thread and no generator of the SDK is waited for: the parent ends what is left


async def _converse(request: dict[str, Any], answer: dict[str, Any]) -> None:
    """Fill `answer`; what was found before something failed stays. Raises whatever the SDK raises."""
    import anyio
    from mcp import Client
    from mcp.types import Implementation

    from ops_agent import __version__

    with anyio.fail_after(request["seconds"]):
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                Client(
                    await _transport(stack, request),
                    read_timeout_seconds=_CALL_SECONDS,
                    client_info=Implementation(name="ops-agent", version=__version__),
                )
            )
            answer["tools"] = [name for name in READ_ONLY if name in await _offered(client)]
            if lacking := [name for name in READ_ONLY if name not in answer["tools"]]:
                raise Unavailable(f"the server offers no `{'` and no `'.join(lacking)}`")

            async def call(tool: str, arguments: dict[str, Any]) -> Any:
                return await called(client, tool, arguments, request["pause"])

            await find_pages(call, request, answer["pages"])


async def _transport(stack: AsyncExitStack, request: dict[str, Any]) -> Any:
    server = request["server"]
    if server["command"]:
        from mcp import StdioServerParameters, stdio_client

        return stdio_client(
            StdioServerParameters(command=server["command"], args=server["arguments"], env=dict(os.environ)),
            errlog=sys.stderr,
        )
    import ssl

    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async def note(response: Any) -> None:
        if response.status_code in (401, 403, 407, 429) or response.status_code >= 500:
            request["status"] = response.status_code  # of the others some belong to the handshake

    client = httpx2.AsyncClient(
        event_hooks={"response": [note]},
        headers=server["headers"],
        verify=ssl.create_default_context(cafile=request["certificates"] or None),
        proxy=request["proxy"] or None,
        trust_env=False,
        timeout=_CALL_SECONDS,
    )
    await stack.enter_async_context(client)
    return streamable_http_client(server["url"], http_client=client, max_sse_event_size=MAX_MESSAGE)


async def _offered(client: Any) -> set[str]:
    names: set[str] = set()
    cursor = None
    for _ in range(MAX_LISTS):
        listed = await client.list_tools(cursor=cursor)
        names.update(tool.name for tool in listed.tools)
        cursor = listed.next_cursor
        if not cursor:
            break
    return names


async def called(client: Any, tool: str, arguments: dict[str, Any], pause: float) -> Any:
    """The JSON that a read-only tool answers with. What may pass by itself (429, 5xx, silence) is tried again. Raises
    Unavailable.
    """
    import anyio

    if tool not in READ_ONLY:
        raise Unavailable(f"`{tool}` is not one of the tools that are used")
    why = ""
    for attempt in range(MAX_ATTEMPTS):
        if attempt:
            await anyio.sleep(pause * attempt)
        try:
            result = await client.call_tool(tool, arguments)
        except Exception as broken:
            why = _reason(broken)
        else:
            text = "".join(part.text for part in result.content if part.type == "text")
            answer = _as_json(text)
            error = answer.get("error") if isinstance(answer, dict) else None
            if not result.is_error and error is None:
                if answer is None:
                    raise Unavailable(f"`{tool}`: the answer is no JSON of at most {MAX_MESSAGE >> 20} MB")
                return answer
            why = str(error or text)[:1_000]
        if _FINAL.search(why):
            break
    raise Unavailable(f"`{tool}`: {why}")


def _as_json(text: str) -> Any:
    if len(text) > MAX_MESSAGE:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


async def find_pages(call: Call, request: dict[str, Any], pages: list[dict[str, Any]]) -> None:
    """Add to `pages` what the queries find, in their order, each page once, from allowed spaces only. One page that
    cannot be read does not keep the others away. Raises Unavailable.
    """
    spaces, most = set(request["spaces"]), request["pages"]
    wanted: dict[str, None] = {}
    for query in request["queries"]:
        if len(wanted) >= most:
            break
        hits = await call(SEARCH, {"query": query, "limit": MAX_HITS})
        for hit in hits if isinstance(hits, list) else []:  # a hit need not name its space; a page does
            if isinstance(hit, dict) and _space(hit) in (*spaces, "") and (page_id := _id(hit)):
                wanted[page_id] = None
    failed = ""
    for page_id in [*wanted][:most]:
        try:
            found = await call(GET_PAGE, {"page_id": page_id, "include_metadata": True, "convert_to_markdown": True})
        except Unavailable as broken:
            failed = failed or str(broken)
            continue
        page = found.get("metadata", found) if isinstance(found, dict) else {}
        if isinstance(page, dict) and _id(page) == page_id and _space(page) in spaces:
            pages.append(_page(page_id, page))
    if failed:
        raise Unavailable(failed)


def _page(page_id: str, page: dict[str, Any]) -> dict[str, Any]:
    content, version = page.get("content"), page.get("version")
    text = content.get("value", "") if isinstance(content, dict) else content or ""
    return {
        "id": page_id,
        "version": version if isinstance(version, int) and 0 <= version < 1 << 31 else 0,
        "space": _space(page),
        "title": str(page.get("title", ""))[:1_000],
        "text": str(text)[:MAX_TEXT],
    }


def _id(found: dict[str, Any]) -> str:
    """The page's number, empty for anything else: it becomes part of an address at Confluence."""
    page_id = str(found.get("id", ""))
    return page_id if _PAGE_ID.fullmatch(page_id) else ""


def _space(found: dict[str, Any]) -> str:
    space = found.get("space")
    return str(space.get("key", "")) if isinstance(space, dict) else ""


def _reason(broken: BaseException) -> str:
    """The innermost reason of a failure, in one line."""
    while isinstance(broken, BaseExceptionGroup) and broken.exceptions:
        broken = broken.exceptions[0]
    if isinstance(broken, TimeoutError):
        return "it did not answer in time"
    if isinstance(broken, ModuleNotFoundError) and (broken.name or "").split(".")[0] == "mcp":
        return "the package `mcp` is not installed here (`pip install 'ops-agent[mcp]'`)"
    text = " ".join(str(broken).split())
    return (text or type(broken).__name__)[:500]


if __name__ == "__main__":
    main(sys.argv)
