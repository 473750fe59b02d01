"""One HTTP request for the AWS adapters: no redirect, no proxy from the environment, a time limit, a size limit."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ops_agent.errors import AwsError

_MOST = 1 << 20
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`date` is the server's Date header, for the clock check; empty when it sent none."""

    status: int
    body: bytes
    date: str = ""


class Unreachable(Exception):
    """No answer: refused, timed out, broken off. May be tried again. The text names host and cause, never a header or a body."""


def request(method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout: float = 10.0) -> Answer:
    """Raises Unreachable; AwsError for a URL that is neither https nor loopback (a token must not travel in clear)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise AwsError(f"Refused to send a token to {parts.scheme}://{host}: only https leaves the machine")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, path, body=body or None, headers=dict(headers))
        response = connection.getresponse()
        return Answer(status=response.status, body=response.read(_MOST), date=response.getheader("Date") or "")
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{host}: {type(error).__name__}") from None
    finally:
        connection.close()
