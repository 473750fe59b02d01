"""PyGithub's requester, with our own rules: who may be asked, how long, how often, and what never happens twice.

* Reads (GET, GraphQL queries) and writes that set a value (PATCH, PUT, DELETE) are repeated by `RetryPolicy`. A POST or a mutation is
  repeated only when GitHub surely rejected it unprocessed (rate limits); when its answer was lost, `ensure` looks whether it was done
  (PyGithub's own `Retry` would send a POST again after a 5xx and create a pull request twice).
* No redirect is followed: a 301 is a transferred issue or a moved repository (M12 of the security bar).
* The environment's proxy, CA and netrc settings are ignored unless given as arguments (K11). Every request has a timeout.
* Errors are raised outside `except`, so no traceback carries the request and its Authorization header (G11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from github import Auth, Consts, GithubException
from github.Requester import Requester

from ops_agent.adapters.github.github_connection import TIMEOUT_SECONDS, connection_classes, is_whole, json_or_none, next_page
from ops_agent.adapters.github.github_errors import LostAnswer, graphql_types, headers_of, message_of, translate
from ops_agent.adapters.github.github_retry import Failure, FailureKind, RetryPolicy, classify, retry_line
from ops_agent.errors import GitHubError
from ops_agent.ports import Clock

T = TypeVar("T")
_MOST_PAGES = 300
_SAFE_TO_REPEAT = ("GET", "HEAD", "PATCH", "PUT", "DELETE")


class GitHubHttp(Requester):
    """One per run: PyGithub's requester plus the run's retry budget. `draw` is uniform in [0, 1), `say` gets a line for each retry."""

    def __init__(
        self,
        token: str,
        clock: Clock,
        draw: Callable[[], float],
        *,
        api_url: str = Consts.DEFAULT_BASE_URL,
        policy: RetryPolicy | None = None,
        proxy: str | None = None,
        ca_bundle: str | None = None,
        timeout_seconds: int = TIMEOUT_SECONDS,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(
            auth=Auth.Token(token),
            base_url=api_url.rstrip("/"),
            timeout=timeout_seconds,
            user_agent="ops-agent",
            per_page=100,
            verify=ca_bundle or True,
            retry=None,
            pool_size=None,
        )
        http, https = connection_classes(proxy)
        # PyGithub offers a class-wide injection only, which would reach every other client in this process.
        self._Requester__httpConnectionClass = http
        self._Requester__httpsConnectionClass = https
        self._Requester__connectionClass = https if self.scheme == "https" else http
        self._token, self._clock, self._draw, self._say = token, clock, draw, say
        self._policy = policy or RetryPolicy()
        self._budget_left = self._policy.budget
        self._proxy, self._ca_bundle = proxy, ca_bundle

    @property
    def now(self) -> float:
        return self._clock.now()

    # --- what the adapters call -------------------------------------------------------------------------------------------------

    def rest(self, verb: str, path: str, doing: str, body: Any = None, **parameters: Any) -> Any:
        """The JSON of one REST answer. Raises GitHubError. For POST use `ensure`, or accept that a lost answer is an error."""
        return self._translated(doing, lambda: self.requestJsonAndCheck(verb, path, parameters=parameters or None, input=body)[1])

    def pages(self, path: str, doing: str, key: str | None = None, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, 100 a page; `key` names the list inside an object. Items that are not objects are left out."""
        url = path
        given: dict[str, Any] | None = {"per_page": 100, **parameters}
        for _ in range(_MOST_PAGES):
            headers, page = self._translated(doing, partial(self.requestJsonAndCheck, "GET", url, parameters=given))
            items = page.get(key) if key and isinstance(page, dict) else page
            yield from (item for item in items or [] if isinstance(item, dict))
            if (following := next_page(headers.get("link", ""))) is None:
                return
            url, given = following, None
        raise GitHubError(f"GitHub has more than {_MOST_PAGES} pages while {doing}; part of a list is not taken for the whole.")

    def graphql(self, query: str, doing: str, **variables: Any) -> dict[str, Any]:
        """`data` of one GraphQL query."""
        answer = self._translated(doing, lambda: self.graphql_query(query, variables)[1])
        return answer.get("data") or {}

    def reading(self, doing: str, read: Callable[[], T]) -> T:
        """What `read` makes of an answer; an answer of another shape than GitHub documents is a GitHubError."""
        return self._translated(doing, read)

    def ensure(self, doing: str, create: Callable[[], T], look: Callable[[], T | None]) -> T:
        """Do a write exactly once: when the answer to `create` is lost, `look` whether it was done, and only if not, try again.

        `create` calls the raw requester (requestJsonAndCheck, graphql_named_mutation), `look` the methods above.
        """
        for attempt in range(1, self._policy.attempts + 1):
            lost: GithubException | LostAnswer
            try:
                return create()
            except (GithubException, LostAnswer) as error:
                lost = error
            failure = self._failure_of(lost)
            if failure.kind in (FailureKind.LOST, FailureKind.SERVER):
                done = look()
                if done is not None:
                    return done
            wait = self._policy.wait(failure, attempt, self._budget_left, self._draw())
            if wait is None or failure.kind.rejected_unprocessed:
                break
            self._sleep(wait, doing, failure.kind.value, attempt)
        raise self._scrubbed(translate(lost, doing, self.now, attempt))

    def probe(self, path: str, impossible: dict[str, str]) -> int | None:
        """The status with which GitHub refuses a POST that it cannot fulfil; None for a rate limit, a lost answer, or (never) success."""
        try:
            self.requestJsonAndCheck("POST", path, input=impossible)
        except GithubException as error:
            if self._failure_of(error).kind is FailureKind.PERMANENT:
                return error.status
        except LostAnswer:
            pass
        return None

    def redirect(self, path: str, doing: str) -> str:
        """Where GitHub sends us for a download. The URL may hold a token: never show it."""
        location = self._translated(doing, lambda: self.requestJsonAndCheck("GET", path)[0].get("location"))
        if not isinstance(location, str) or not location:
            raise GitHubError(f"GitHub did not redirect while {doing}.")
        return location

    def download(self, url: str, doing: str) -> requests.Response:
        """The open stream behind a redirect target of GitHub's (an archive). The token goes along only to the API's own host."""
        parts, api = urlsplit(url), self.hostname
        apex = api.removeprefix("api.")
        same = parts.netloc == self.hostname_and_port or (parts.hostname == api and parts.port is None)
        if parts.scheme not in {self.scheme, "https"} or not (same or (parts.hostname or "").endswith(f".{apex}")):
            raise GitHubError(f"GitHub redirected to a host that is not its own while {doing}.")
        with requests.Session() as session:
            session.trust_env = False
            session.auth = Requester.noopAuth
            headers = {"User-Agent": "ops-agent"} | ({"Authorization": f"token {self._token}"} if same else {})
            proxies = {"http": self._proxy, "https": self._proxy} if self._proxy else None
            verify: bool | str = self._ca_bundle or True
            problem = "connection lost"
            try:
                answer = session.get(
                    url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS, allow_redirects=False, proxies=proxies, verify=verify
                )
                if answer.status_code == 200:
                    return answer
                problem = f"answer {answer.status_code}"
            except requests.RequestException as error:
                problem = type(error).__name__
        raise GitHubError(f"GitHub could not be reached while {doing}: {problem}.")

    # --- PyGithub's one door to the wire ----------------------------------------------------------------------------------------

    def requestJson(self, verb: str, url: str, *arguments: Any, **options: Any) -> tuple[int, dict[str, Any], str]:  # noqa: N802 - PyGithub's name
        """One request, repeated where that cannot do harm; a failed answer raises here already, so that GraphQL's errors are seen too."""
        body = options.get("input", arguments[2] if len(arguments) > 2 else None)
        query = body.get("query") if isinstance(body, dict) and url == self.graphql_url else None
        repeatable = verb in _SAFE_TO_REPEAT or (isinstance(query, str) and not query.lstrip().startswith("mutation"))
        attempt = 0
        while True:
            attempt += 1
            status: int | None = None
            headers: dict[str, Any] = {}
            text = lost = ""
            try:
                status, headers, text = super().requestJson(verb, url, *arguments, **options)
            except requests.Timeout:
                lost = f"no answer within {TIMEOUT_SECONDS} s"
            except (requests.RequestException, OSError) as error:
                lost = f"connection lost ({type(error).__name__})"
            except (ValueError, RecursionError):
                lost = "an answer that cannot be read"
            if status is not None and status < 300 and not is_whole(text):
                status, lost = None, "an answer that is cut off"
            failure = self._failure(status, headers, text, query is not None)
            if failure is None and status is not None:
                return status, headers, text
            assert failure is not None  # noqa: S101 - for the type checker: a missing answer is always a failure
            wait = self._policy.wait(failure, attempt, self._budget_left, self._draw())
            if wait is not None and (repeatable or failure.kind.rejected_unprocessed):
                self._sleep(wait, f"{verb} {urlsplit(url).path}", lost or f"answer {status}, {failure.kind.value}", attempt)
                continue
            if status is None:
                raise LostAnswer(f"{lost}{f', {attempt} attempts' if attempt > 1 else ''}")
            if 300 <= status < 400:
                raise GithubException(status, {"message": "moved"}, headers)
            return status, headers, text

    def _failure(self, status: int | None, headers: dict[str, Any], text: str, is_graphql: bool) -> Failure | None:
        if status is None:
            return Failure(kind=FailureKind.LOST)
        low = {str(k).lower(): str(v) for k, v in headers.items()}
        if status >= 400:
            return classify(status, low, message_of(json_or_none(text)), self.now)
        if status in (301, 303, 307, 308):
            return Failure(kind=FailureKind.PERMANENT)
        if is_graphql:
            answer = json_or_none(text)
            if not isinstance(answer, dict):
                return Failure(kind=FailureKind.SERVER)
            if {"RATE_LIMITED", "RATE_LIMIT"} & graphql_types(answer):
                return classify(403, low | {"x-ratelimit-remaining": "0"}, "api rate limit exceeded", self.now)
            if "something went wrong while executing your query" in message_of(answer).lower():
                return Failure(kind=FailureKind.SERVER)
        return None

    def _failure_of(self, error: GithubException | LostAnswer) -> Failure:
        if isinstance(error, LostAnswer):
            return Failure(kind=FailureKind.LOST)
        if "something went wrong while executing your query" in message_of(error.data).lower():
            return Failure(kind=FailureKind.SERVER)
        return classify(error.status, headers_of(error), message_of(error.data), self.now)

    def _sleep(self, seconds: float, doing: str, failed: str, attempt: int) -> None:
        self._say(retry_line(doing, failed, attempt, self._policy.attempts, seconds))
        self._budget_left -= seconds
        self._clock.sleep(seconds)

    def _translated(self, doing: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except (GithubException, LostAnswer) as error:
            failed = translate(error, doing, self.now)
        except AssertionError:
            failed = GitHubError(f"GitHub pointed to a host that is not its own while {doing}.")
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            failed = GitHubError(f"GitHub's answer while {doing} has an unknown shape ({type(error).__name__}).")
        raise self._scrubbed(failed)

    def _scrubbed(self, error: GitHubError) -> GitHubError:
        """The same error without the token, should GitHub ever echo it."""
        if self._token and self._token in str(error):
            return type(error)(str(error).replace(self._token, "***"), hint=error.hint)
        return error
