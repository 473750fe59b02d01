"""Amazon Bedrock's shape of the same API: the llm's id in the path, a signed request, AWS's binary event stream as the
answer.

Frame format: "vnd.amazon.eventstream" as botocore.eventstream reads it (prelude with CRC, string headers of type 7,
payload, CRC).
"""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

_PATH = re.compile(r"/model/([^/]+)/invoke-with-response-stream")


def as_messages_request(path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """The body as the Messages API would get it; None when `path` is not Bedrock's."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    rest = {name: value for name, value in body.items() if name != "anthropic_version"}
    return {"model": unquote(found.group(1)), "stream": True, **rest}


def frames(events: Iterable[bytes]) -> Iterator[bytes]:
    """Server-sent events as frames; an `error` event becomes an exception frame."""
    for event in events:
        data = event.split(b"data: ", 1)[1].strip()
        parsed = json.loads(data)
        if parsed["type"] == "ping":
            continue
        if parsed["type"] == "error":
            headers = {
                ":message-type": "exception",
                ":exception-type": "throttlingException",
                ":content-type": "application/json",
            }
            yield _frame(headers, json.dumps({"message": parsed["error"]["message"]}).encode())
            continue
        headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
        yield _frame(headers, json.dumps({"bytes": base64.b64encode(data).decode()}).encode())


def _frame(headers: dict[str, str], payload: bytes) -> bytes:
    packed = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))
