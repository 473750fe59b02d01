"""Amazon Bedrock through the SDK's own client, without boto3 (26 MB, of which the SDK uses two things).

Those two are ours: the signature of a request (adapters/aws/sts.py), and here the frames of "vnd.amazon.eventstream",
in which the events of the Messages API come back. The client overrides the two private methods of the SDK that ask
boto3 for them; the tests compare both with botocore.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from ops_agent.adapters.aws.broker import EARLY
from ops_agent.adapters.aws.sts import Credentials, signed_headers
from ops_agent.model.ports import Clock

BEDROCK_URL = "https://bedrock-runtime.{region}.amazonaws.com"
_MAX_FRAME = 24 << 20
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; 6 (bytes) and 7 (text) say their length."""

BedrockKeys = Callable[[], Credentials]
"""A new session of the invoke-only role."""


def bedrock_client(keys: BedrockKeys, clock: Clock, **given: Any) -> Any:
    """An `AnthropicBedrock`; `given` are its own arguments, without credentials. A session is made for the first
    request, and anew five minutes before it ends; what `keys` raises passes through.
    """
    from anthropic import AnthropicBedrock

    region: str = given.pop("region")

    class Client(AnthropicBedrock):
        session: Credentials | None = None

        def _prepare_request(self, request: Any) -> None:
            now = clock.now()
            if self.session is None or self.session.expires_at - now < EARLY:
                self.session = keys()
            url, body, content_type = str(request.url), request.read(), request.headers["content-type"]
            headers = signed_headers(
                url,
                body,
                credentials=self.session,
                region=region,
                now=now,
                service="bedrock",
                content_type=content_type,
            )
            request.headers.update(headers)

        def _make_sse_decoder(self) -> Any:
            return Frames()

    return Client(aws_region=region, **given)


class Frames:
    """The decoder of one answer, as the SDK's `Stream` uses it."""

    def iter_bytes(self, pieces: Iterator[bytes]) -> Iterator[Any]:
        """The events in the body's bytes, however they were cut. ValueError: they are no event stream."""
        held = b""
        for piece in pieces:
            held += piece
            while len(held) >= 12:
                size, _ = struct.unpack_from(">II", held)
                if zlib.crc32(held[:8]) != struct.unpack_from(">I", held, 8)[0] or not 16 <= size <= _MAX_FRAME:
                    raise ValueError("a frame of the event stream begins with a wrong checksum or length")
                if len(held) < size:
                    break
                frame, held = held[:size], held[size:]
                if (event := _event(frame)) is not None:
                    yield event


def _event(frame: bytes) -> Any:
    """The SDK's event in a frame; None for one that is no event of the Messages API. ValueError: damaged."""
    from anthropic._streaming import ServerSentEvent

    if zlib.crc32(frame[:-4]) != struct.unpack(">I", frame[-4:])[0]:
        raise ValueError("a frame of the event stream has a wrong checksum")
    try:
        end = 12 + struct.unpack_from(">I", frame, 4)[0]
        headers, payload = _headers(frame[12:end]), json.loads(frame[end:-4] or b"{}")
        if (kind := headers.get(":message-type")) != "event":
            name = headers.get(f":{kind}-type") or headers.get(":error-code") or "unknown"
            said = payload.get("message") or headers.get(":error-message") or "no reason given"
            return ServerSentEvent(event="error", data=json.dumps({"error": {"type": name, "message": said}}))
        if headers.get(":event-type") != "chunk":
            return None
        data = base64.b64decode(payload["bytes"]).decode()
        return ServerSentEvent(event=json.loads(data)["type"], data=data)
    except (AttributeError, IndexError, KeyError, TypeError, struct.error) as error:
        raise ValueError("a frame of the event stream cannot be read") from error


def _headers(packed: bytes) -> dict[str, str]:
    """The texts among the headers; others are stepped over."""
    headers: dict[str, str] = {}
    at = 0
    while at < len(packed):
        start = at + 1 + packed[at]
        name, kind, at = packed[at + 1 : start].decode(), packed[start], start + 1
        if kind in (6, 7):
            at += 2
            size = struct.unpack_from(">H", packed, at - 2)[0]
        else:
            size = _SIZES[kind]
        if kind == 7:
            headers[name] = packed[at : at + size].decode()
        at += size
    return headers
