"""A connection to GitHub whose process dies at one of its requests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ops_agent.adapters.github.client import GitHubHttp


class Died(BaseException):
    """The process is gone: nothing of ours runs after it."""


def mortal(http: GitHubHttp, die_at: int, *, after: bool) -> GitHubHttp:
    """`http`, dying at its `die_at`-th request: before it is sent, or after GitHub did what it asked."""
    count = itertools.count(1)

    def deadly(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **options: Any) -> Any:
            number = next(count)
            if number == die_at and not after:
                raise Died
            answer = ask(*arguments, **options)
            if number >= die_at:
                raise Died
            return answer

        return asked

    http.requestJson = deadly(http.requestJson)  # type: ignore[method-assign]
    http.download = deadly(http.download)  # type: ignore[method-assign]
    return http
