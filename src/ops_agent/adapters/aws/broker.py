"""Credentials over loopback: what a child holds is a URL and a token that are worthless after one context.

The AWS SDKs in Terraform ask it through AWS_CONTAINER_CREDENTIALS_FULL_URI and refresh through it before expiry.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ops_agent.adapters.aws.sts import Credentials
from ops_agent.model.errors import OpsAgentError

EARLY = 300.0


class Broker:
    """A context manager. `mint` makes fresh credentials when less than five minutes of the last ones remain."""

    def __init__(
        self, mint: Callable[[], Credentials], first: Credentials, *, now: Callable[[], float] = time.time
    ) -> None:
        self._mint, self._credentials, self._now = mint, first, now
        self._lock = threading.Lock()
        self._token = secrets.token_urlsafe(32)
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.failure: OpsAgentError | None = None

    @property
    def variables(self) -> dict[str, str]:
        """For the children's environment: no credential in it."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self._server.server_port}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self._token,
        }

    def answer(self, path: str, token: str) -> tuple[int, dict[str, str]]:
        """Status and JSON for one request. Wrong token or path: 403, without a reason."""
        if not hmac.compare_digest(token.encode(), self._token.encode()) or path != "/credentials":
            return 403, {"code": "AccessDenied", "message": "denied"}
        try:
            credentials = self._fresh()
        except OpsAgentError as error:
            self.failure = error
            return 500, {"code": type(error).__name__, "message": "fresh credentials could not be made"}
        expiration = datetime.fromtimestamp(credentials.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 200, {
            "AccessKeyId": credentials.access_key,
            "SecretAccessKey": credentials.secret_key,
            "Token": credentials.session_token,
            "Expiration": expiration,
        }

    def _fresh(self) -> Credentials:
        with self._lock:
            if self._credentials.expires_at - self._now() < EARLY:
                self._credentials = self._mint()
            return self._credentials

    def __enter__(self) -> Broker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], broker: Broker) -> None:
        super().__init__(address, _Request)
        self.broker = broker

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that disconnects is not an error; no part of a request is ever printed."""


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        status, body = self.server.broker.answer(self.path, self.headers.get("Authorization", ""))
        data = json.dumps(body).encode()
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Requests are not logged."""
