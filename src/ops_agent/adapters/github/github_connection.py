"""The wire under PyGithub's requester: timeouts, streams, no ambient settings, no redirect followed."""

from __future__ import annotations

import json
from typing import Any

import requests
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, RequestsResponse

TIMEOUT_SECONDS = 30
_LONG = 200_000


class _Answer(RequestsResponse):
    """A 301 without its target, so that PyGithub does not follow it."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(answer)
        if self.status in (301, 307, 308):
            self.headers.pop("location", None)


class _Connection:
    """What PyGithub's two connection classes lack: streams that are not read at once, no ambient settings, always a timeout."""

    proxy: str | None = None
    session: requests.Session
    timeout: int | None

    def seclude(self) -> None:
        self.session.trust_env = False
        self.timeout = self.timeout or TIMEOUT_SECONDS
        if self.proxy:
            self.session.proxies = {"http": self.proxy, "https": self.proxy}

    def getresponse(self) -> RequestsResponse:
        here: Any = self
        answer = self.session.request(
            here.verb,
            f"{here.protocol}://{here.host}:{here.port}{here.url}",
            headers=here.headers,
            data=here.input,
            timeout=self.timeout,
            verify=here.verify,
            stream=here.stream,
            allow_redirects=False,
        )
        return _Answer(answer)


class _Http(_Connection, HTTPRequestsConnectionClass):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.seclude()


class _Https(_Connection, HTTPSRequestsConnectionClass):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.seclude()


def connection_classes(proxy: str | None) -> tuple[type[_Http], type[_Https]]:
    return type("Http", (_Http,), {"proxy": proxy}), type("Https", (_Https,), {"proxy": proxy})


def next_page(link: str) -> str | None:
    """The `next` URL of a Link header."""
    for part in link.split(","):
        target, _, rest = part.partition(";")
        if 'rel="next"' in rest:
            return target.strip().strip("<>")
    return None


def is_whole(text: str) -> bool:
    """Whether `text` is empty or one JSON document. A long one is only looked at from behind: a listing can have 7 MB."""
    stripped = text.rstrip()
    if len(stripped) > _LONG:
        return stripped[-1] in "}]"
    return not stripped or stripped == "null" or json_or_none(stripped) is not None


def json_or_none(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
