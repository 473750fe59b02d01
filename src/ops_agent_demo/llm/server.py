"""The HTTP server: `POST /v1/messages` (streaming and not), `/v1/messages/count_tokens`, `/v1/oauth/token`, on
127.0.0.1 only.

Bedrock's `POST /model/{id}/invoke-with-response-stream` is answered too, for the sessions that `keys_of` knows,
and Vertex AI's `.../models/{id}:streamRawPredict`, with Google's `/v1/token`.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote

from ops_agent_demo.llm import bedrock, wire
from ops_agent_demo.llm.script import AFTER_THE_END, Answer, Exchange, Player, Script

_REFUSALS: dict[str, tuple[int, str, str, str | None]] = {
    "rate_limit": (429, "rate_limit_error", "Too many requests.", None),
    "overloaded": (529, "overloaded_error", "Overloaded", None),
    "server_error": (500, "api_error", "Internal server error", None),
    "too_long": (400, "invalid_request_error", "prompt is too long: 1200000 tokens > 1000000 maximum", None),
    "no_model": (404, "not_found_error", "model: there is no such model", None),
    "unknown_field": (400, "invalid_request_error", "context_management: Extra inputs are not permitted", None),
    "unauthorised": (401, "authentication_error", "invalid x-api-key", None),
    "spend_limit": (429, "rate_limit_error", "The monthly limit is reached.", "enforced_spend_limit_reached"),
}

_VERTEX = re.compile(r"/projects/[^/]+/locations/[^/]+/publishers/anthropic/models/([^/:]+):streamRawPredict")

TokenExchange = Callable[[Mapping[str, Any]], tuple[int, dict[str, Any]]]
"""The body of a token exchange in, status and answer out."""


class LlmServer:
    """A context manager; `url` is the base URL. `requests` holds every accepted body, `problems` why others were
    refused.

    `pause` seconds pass between two pieces of a stream; `rechunk` cuts its bytes anew; `exchange` answers token
    exchanges; `keys_of` knows the keys that sign for Bedrock, which is in `region`.
    """

    def __init__(
        self,
        scripts: Iterable[Script] = (),
        *,
        pause: float = 0.0,
        stall_seconds: float = 300.0,
        exchange: TokenExchange | None = None,
        rechunk: Callable[[bytes], Iterable[bytes]] | None = None,
        keys_of: bedrock.KeysOf = lambda _: None,
        region: str = "sa-east-1",
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.request_bytes: list[int] = []
        self.headers: list[dict[str, str]] = []
        self.problems: list[str] = []
        self._scripts = tuple(scripts)
        self._players: dict[str, Player] = {}
        self._pending: dict[str, Answer | None] = {}
        self._lock = threading.Lock()
        self._cache = wire.CacheOfPrefixes()
        self._pause = pause
        self._stall = stall_seconds
        self._exchange = exchange
        self._rechunk = rechunk
        self.keys_of = keys_of
        self.region = region
        self._closing = threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> LlmServer:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()

    def answer(self, exchange: Exchange) -> Answer:
        """The script's next answer to this conversation (identified by its first message)."""
        first = exchange.first_text
        with self._lock:
            player = self._players.get(first)
            if player is None:
                script = next((s for s in self._scripts if s.match in first), None)
                if script is None:
                    return Answer(text=AFTER_THE_END)
                player = self._players[first] = script.play()
                next(player)
            try:
                return player.send(exchange)
            except StopIteration:
                return Answer(text=AFTER_THE_END)

    def take(self, body: dict[str, Any], size: int, headers: Mapping[str, str]) -> int:
        """Keep a sound request; its number."""
        with self._lock:
            self.requests.append(body)
            self.request_bytes.append(size)
            self.headers.append(dict(headers))
            return len(self.requests)

    def usage(self, body: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
        size = len(answer.text) + len(answer.thinking) + sum(len(json.dumps(dict(a))) for _, a in answer.calls)
        with self._lock:
            counted = self._cache.usage(body, size)
        return counted if answer.usage is None else dict(answer.usage)

    def exchange_token(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if self._exchange is None:
            return 404, wire.error_body("not_found_error", "there is no token endpoint here")
        return self._exchange(body)

    def wait_out(self, seconds: float) -> None:
        """Sleep, but not beyond the server's end."""
        self._closing.wait(seconds)

    @property
    def stall_seconds(self) -> float:
        return self._stall

    def pieces(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The body's parts as they are written to the socket."""
        if self._rechunk is not None:
            yield from self._rechunk(b"".join(parts))
            return
        for part in parts:
            if self._pause:
                time.sleep(self._pause)
            yield part


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[LlmServer]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        sent = self.rfile.read(size)
        try:
            body = json.loads(sent)
        except ValueError:
            return self._json(400, wire.error_body("invalid_request_error", "the body is not JSON"))
        path = self.path.split("?")[0]
        if path in ("/v1/oauth/token", "/v1/token"):
            status, answer = self.owner.exchange_token(body)
            return self._json(status, answer)
        if path == "/v1/messages/count_tokens":
            return self._json(200, {"input_tokens": size // 4})
        signed = bedrock.as_messages_request(path, body)
        body = body if signed is None else signed
        if at_vertex := _VERTEX.fullmatch(path):
            version = body.pop("anthropic_version", None)
            body |= {"model": unquote(at_vertex[1])} if version else {}
        if path != "/v1/messages" and signed is None and not at_vertex:
            return self._json(404, wire.error_body("not_found_error", f"no such path: {path}"))
        if signed is not None:
            owner = self.owner
            refused = bedrock.refusal(self.path, dict(self.headers.items()), sent, owner.keys_of, owner.region)
            if refused is not None:
                owner.problems.append(": ".join(refused))
                return self._fail(refused[0], refused[1])
        if not (self.headers.get("x-api-key") or self.headers.get("authorization")):
            return self._json(401, wire.error_body("authentication_error", "x-api-key header is required"))
        is_beta = "context-management-2025-06-27" in (self.headers.get("anthropic-beta") or "")
        if problem := wire.request_problem(body, is_beta=is_beta):
            self.owner.problems.append(problem)
            if signed is not None:
                return self._fail("ValidationException", problem)
            return self._json(400, wire.error_body("invalid_request_error", problem))
        number = self.owner.take(body, size, dict(self.headers.items()))
        return self._answer(body, number, self.owner.answer(Exchange(body=body)), signed is not None)

    def _answer(self, body: dict[str, Any], number: int, answer: Answer, framed: bool) -> None:
        if framed and answer.fault and bedrock.error(answer.fault, answer.text):
            return self._fail(answer.fault, answer.text)
        if answer.fault in _REFUSALS:
            status, kind, text, code = _REFUSALS[answer.fault]
            return self._json(status, wire.error_body(kind, text, code), answer.headers)
        if answer.fault == "reset":
            return self._break_off()
        whole = wire.message(answer, number, str(body["model"]), self.owner.usage(body, answer))
        if not body.get("stream"):
            return self._json(200, whole)
        self.send_response(200)
        self.send_header(
            "content-type", "application/vnd.amazon.eventstream" if framed else "text/event-stream; charset=utf-8"
        )
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            return self._stream(answer, list(wire.events(whole, answer.raw_arguments)), framed)
        except (BrokenPipeError, ConnectionResetError):
            return None

    def _stream(self, answer: Answer, parts: list[bytes], framed: bool) -> None:
        if answer.fault == "sse_overloaded":
            parts = [*parts[: len(parts) // 2], wire.error_event("overloaded_error", "Overloaded")]
        elif answer.fault in ("cut", "stall"):
            parts = parts[: len(parts) // 2]
        elif answer.fault == "cut_in_tool":
            parts = parts[: next(n for n, p in enumerate(parts) if b"input_json_delta" in p) + 1]
        for piece in self.owner.pieces(bedrock.frames(parts) if framed else parts):
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
        if answer.fault == "stall":
            self.owner.wait_out(self.owner.stall_seconds)
        if answer.fault in ("cut", "cut_in_tool", "stall"):
            return self._break_off()
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _break_off(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _fail(self, fault: str, text: str) -> None:
        """A refusal in Bedrock's words."""
        status, headers, body = bedrock.error(fault, text) or (500, {}, {})
        self._json(status, body, headers)

    def _json(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        """Nothing: the requests are kept in `LlmServer.requests`."""
