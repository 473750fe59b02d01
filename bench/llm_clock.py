"""A language model on loopback that any client may ask: it notes when the first request came and how large it was, and
says goodbye.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from ops_agent_demo.llm.script import Answer
from ops_agent_demo.llm.wire import events, message

_USAGE = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


class LlmClock:
    """A context manager. `first` is (time.monotonic at arrival, bytes of the body) of the first request that brought
    tools.
    """

    def __init__(self) -> None:
        self.first: tuple[float, int] | None = None
        self.asked = threading.Event()
        handler = type("Handler", (_Handler,), {"clock": self})
        self._http = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> LlmClock:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def take(self, at: float, size: int, body: dict[str, object]) -> None:
        if self.first is None and body.get("tools"):
            self.first = (at, size)
            self.asked.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A competitor that is killed resets its connections: nothing to say."""


class _Handler(BaseHTTPRequestHandler):
    clock: ClassVar[LlmClock]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        at = time.monotonic()
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.loads(raw)
        if "/v1/messages" not in self.path or "count_tokens" in self.path:
            return self._send(b'{"input_tokens": 1}', "application/json")
        self.clock.take(at, len(raw), body)
        whole = message(Answer(text="Nothing to do."), 1, str(body.get("model", "")), _USAGE)
        if body.get("stream"):
            return self._send(b"".join(events(whole)), "text/event-stream")
        return self._send(json.dumps(whole).encode(), "application/json")

    def do_GET(self) -> None:
        self._send(b"{}", "application/json")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, payload: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Nothing: the clock keeps what counts."""
