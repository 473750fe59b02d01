"""The HTTP server on loopback: a thread per connection, a port of the system's choice."""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response


class ConnectionDropped(Exception):
    """The planned fault: no answer leaves the server, the connection closes."""


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without it each small answer on a kept connection waits for the client's delayed acknowledgement (40 ms).
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's signature
        """No access log: the recorder is the log."""


class LoopbackServer:
    """Serves `answer` on a loopback port; `answer` may raise ConnectionDropped."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self._answer = answer
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def _bind(self) -> BaseWSGIServer:
        if self._server is None:
            self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_Quiet)
        return self._server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._bind().port}"

    def start(self) -> None:
        server = self._bind()
        if self._thread is None:
            self._thread = threading.Thread(
                target=server.serve_forever, args=(0.02,), name="embedded-github", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Close the port and every open connection. The state stays; the object cannot be started again on the same
        port.
        """
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is not None:
            if thread is not None:
                server.shutdown()
                thread.join(5)
            server.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        connection: socket.socket = environ["werkzeug.socket"]
        self._connections.add(connection)
        request = Request(environ)
        try:
            response = self._answer(request)
        except ConnectionDropped:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            raise ConnectionError("dropped by the fault plan") from None
        return response(environ, start_response)
