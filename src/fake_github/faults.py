"""What may go wrong on the wire, planned per call.

`github.faults.at(3).drop_after()`, `github.faults.on("createCommitOnBranch").answer(502)`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from fake_github.recorder import Call

MALFORMED = b'{"message": "half an ans'
HTML_ERROR = b"<html><body><h1>Unicorn!</h1></body></html>"


class Deed(Enum):
    DROP = auto()
    ANSWER = auto()
    DELAY = auto()
    RUN = auto()


@dataclass(slots=True)
class Fault:
    """One planned fault. `after` means: the server did what was asked, then the fault happens to the answer."""

    matches: Callable[[Call], bool]
    times: int | None
    skip: int
    deed: Deed | None = None
    after: bool = False
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    seconds: float = 0.0
    code: Callable[[], Any] | None = None
    hits: int = 0

    def drop_before(self) -> Fault:
        """Close the connection, nothing was done."""
        self.deed = Deed.DROP
        return self

    def drop_after(self) -> Fault:
        """Do what was asked, then close the connection without an answer."""
        self.deed, self.after = Deed.DROP, True
        return self

    def answer(
        self, status: int, *, after: bool = False, body: Any = None, headers: dict[str, str] | None = None
    ) -> Fault:
        """Answer with this status; `body` is sent as JSON (GitHub's 5xx pages are HTML: the default)."""
        self.deed, self.after, self.status = Deed.ANSWER, after, status
        self.content = HTML_ERROR if body is None else json.dumps(body).encode()
        self.headers = {
            "Content-Type": "text/html" if body is None else "application/json; charset=utf-8",
            **(headers or {}),
        }
        return self

    def malformed(self, *, after: bool = True) -> Fault:
        """Answer 200 with JSON that is cut off."""
        self.answer(200, after=after, body={})
        self.content = MALFORMED
        return self

    def secondary_rate_limit(self, *, retry_after: int | None = 1, status: int = 403) -> Fault:
        page = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"
        body = {
            "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            "documentation_url": f"{page}#about-secondary-rate-limits",
        }
        return self.answer(status, body=body, headers={} if retry_after is None else {"Retry-After": str(retry_after)})

    def delay(self, seconds: float, *, after: bool = False) -> Fault:
        self.deed, self.seconds, self.after = Deed.DELAY, seconds, after
        return self

    def run(self, code: Callable[[], Any], *, after: bool = False) -> Fault:
        """Run `code` while the call is in flight, e.g. a person edits the issue. It may use the builder: no lock is
        held.
        """
        self.deed, self.code, self.after = Deed.RUN, code, after
        return self

    @property
    def name(self) -> str:
        words = {
            Deed.DROP: "dropped",
            Deed.ANSWER: f"answered {self.status}",
            Deed.DELAY: f"delayed {self.seconds} s",
            Deed.RUN: "ran code",
        }
        return f"{words[self.deed]} {'after' if self.after else 'before'}" if self.deed else "nothing planned"


class FaultPlan:
    """Faults in the order in which they were planned; each matching one happens, until one of them ends the call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.faults: list[Fault] = []

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self.faults.append(fault)
        return fault

    def at(self, call: int, *, onwards: bool = False) -> Fault:
        """For call number `call` of the recorder; `onwards` for it and all that follow (the server is gone)."""
        return self._add(Fault(lambda c: c.number >= call if onwards else c.number == call, None, 0))

    def on(self, operation: str, *, times: int | None = 1, skip: int = 0) -> Fault:
        """For calls whose operation, or whose path, contains `operation`.

        The first `times` of them (None: always), after letting `skip` pass.
        """
        return self._add(Fault(lambda c: operation in c.operation or operation in c.path, times, skip))

    def clear(self) -> None:
        with self._lock:
            self.faults = []

    def due(self, call: Call, *, after: bool) -> list[Fault]:
        """The faults that happen to `call` now; taking them uses them up."""
        with self._lock:
            return [
                fault
                for fault in self.faults
                if fault.deed and fault.after is after and fault.matches(call) and _use(fault)
            ]


def _use(fault: Fault) -> bool:
    fault.hits += 1
    return fault.hits > fault.skip and (fault.times is None or fault.hits <= fault.skip + fault.times)
