"""Every request that reached the API, in order of arrival, with its answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Call:
    """One request. `number` counts from 1; `operation` is `METHOD template` for REST, `query x` or `mutation x` (root
    field) for GraphQL.

    `status` is 0 when no answer left the server; `committed` says whether the request was carried out (an answer may be
    lost after that).
    """

    number: int
    method: str
    path: str
    query: dict[str, str]
    body: Any
    template: str = ""
    operation: str = ""
    token: str = ""
    status: int = 0
    answer: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    committed: bool = False
    fault: str = ""

    @property
    def writes(self) -> bool:
        return self.operation.startswith("mutation") or (self.method != "GET" and self.path != "/graphql")

    def __str__(self) -> str:
        fault = f" [{self.fault}]" if self.fault else ""
        return (
            f"{self.number:3} {self.operation or self.method + ' ' + self.path} -> {self.status or 'no answer'}{fault}"
        )


class Recorder:
    """`calls` is the list; `restart()` forgets them and counts from 1 again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls: list[Call] = []

    def restart(self) -> None:
        with self._lock:
            self.calls = []

    def open(self, method: str, path: str, query: dict[str, str], body: Any) -> Call:
        with self._lock:
            call = Call(len(self.calls) + 1, method, path, query, body)
            self.calls.append(call)
            return call

    def of(self, operation: str) -> list[Call]:
        """Calls whose operation contains `operation`, e.g. `createCommitOnBranch` or `POST
        /repos/{owner}/{repo}/pulls`.
        """
        return [call for call in self.calls if operation in call.operation]

    @property
    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.writes]

    def __str__(self) -> str:
        return "\n".join(map(str, self.calls))
