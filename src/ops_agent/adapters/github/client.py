"""PyGithub's requester, with our own rules: who may be asked, how long, how often, and what never happens twice.

* Reads (GET, GraphQL queries) and writes that set a value (PATCH, PUT, DELETE) are repeated by `RetryPolicy`. A POST or
  a mutation is repeated only when GitHub surely rejected it unprocessed (rate limits); when its answer was lost,
  `ensure` checks whether it was done. (PyGithub's own `Retry` would send a POST again after a 5xx and create a pull
  request twice.)
* No redirect is followed: a 301 is a transferred issue or a moved repository.
* The environment's proxy, CA and netrc settings are ignored. Every request has a timeout.
* Errors are raised outside `except`, so no traceback carries the request and its Authorization header.

PyGithub's classes for the answers are not used: reading `merged` of a listed pull request costs a hidden request, its
timeline events have no label, and a tree of 200,000 entries takes hundreds of megabytes. The number of requests of a run
is part of what we promise, so each one is written down in the adapters beside this module.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests
from github import Auth, Consts
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester, RequestsResponse

from ops_agent.model.errors import Conflict, GitHubError, NeedsWorkflowsPermission, NotFound, NotPermitted, RateLimited
from ops_agent.model.ports import Clock

T = TypeVar("T")
TIMEOUT_SECONDS = 30
CREATE_PULL_REQUESTS_SETTING = "Allow GitHub Actions to create and approve pull requests"
_MOST_PAGES = 300
_LONG_ANSWER = 200_000
_LONGEST_WORDS = 600
_SAFE_TO_REPEAT = ("GET", "HEAD", "PATCH", "PUT", "DELETE")


class GitHubHttp(Requester):
    """One per run: PyGithub's requester plus the run's retry budget. `draw` is uniform in [0, 1), `say` gets a line for
    each retry.
    """

    def __init__(
        self,
        token: str,
        clock: Clock,
        draw: Callable[[], float],
        *,
        api_url: str = Consts.DEFAULT_BASE_URL,
        policy: RetryPolicy | None = None,
        timeout_seconds: int = TIMEOUT_SECONDS,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(
            auth=Auth.Token(token),
            base_url=api_url.rstrip("/"),
            timeout=timeout_seconds,
            user_agent="ops-agent",
            per_page=100,
            verify=True,
            retry=None,
            pool_size=None,
        )
        self._token, self._clock, self._draw, self._say = token, clock, draw, say
        self._policy = policy or RetryPolicy()
        self._budget_left = self._policy.budget

    # What the adapters call.

    def get(self, path: str, doing: str, read: Callable[[Any], T], **parameters: Any) -> T:
        """What `read` makes of the JSON of one answer. `doing` is a phrase such as `reading the branch x of o/r`.

        Raises GitHubError, as every method here: what GitHub refuses, and an answer of another shape than it documents.
        """
        return self._translated(doing, lambda: read(self.requestJsonAndCheck("GET", path, parameters)[1]))

    def write(
        self, verb: str, path: str, doing: str, body: Any = None, read: Callable[[Any], Any] = lambda _: None
    ) -> Any:
        """A write that sets a value (PATCH, PUT, DELETE). What creates something goes through `ensure`."""
        return self._translated(doing, lambda: read(self.requestJsonAndCheck(verb, path, input=body)[1]))

    def items(
        self, path: str, doing: str, read: Callable[[dict[str, Any]], T], key: str | None = None, **parameters: Any
    ) -> tuple[T, ...]:
        """What `read` makes of every item of a list, 100 a page; `key` names the list inside an object. Items that are
        not objects are left out.
        """
        return self._translated(doing, lambda: tuple(map(read, self._pages(path, doing, key, parameters))))

    def _pages(self, path: str, doing: str, key: str | None, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        url = path
        given: dict[str, Any] | None = {"per_page": 100, **parameters}
        for _ in range(_MOST_PAGES):
            headers, page = self.requestJsonAndCheck("GET", url, parameters=given)
            items = page.get(key) if key and isinstance(page, dict) else page
            yield from (item for item in items or [] if isinstance(item, dict))
            following = re.search(r'<([^>]*)>;[^,]*rel="next"', headers.get("link", ""))
            if following is None:
                return
            url, given = following[1], None
        raise GitHubError(
            f"GitHub has more than {_MOST_PAGES} pages while {doing}; part of a list is not taken for the whole."
        )

    def graphql(self, query: str, doing: str, read: Callable[[dict[str, Any]], T], **variables: Any) -> T:
        """What `read` makes of `data` of one GraphQL query."""
        return self._translated(doing, lambda: read(self.graphql_query(query, variables)[1].get("data") or {}))

    def post(self, path: str, body: Any) -> Any:
        """The JSON of one answer; for `create` of `ensure` only."""
        return self.requestJsonAndCheck("POST", path, input=body)[1]

    def mutate(self, name: str, given: dict[str, Any], wanted: str) -> Any:
        """The answer to one GraphQL mutation; for `create` of `ensure` only."""
        return self.graphql_named_mutation(name, given, wanted)[1]

    def ensure(self, doing: str, create: Callable[[], T], look: Callable[[], T | None] = lambda: None) -> T:
        """Do a write exactly once: when the answer to `create` is lost, `look` whether it was done, and only if not,
        try again.

        `create` calls `post` or `mutate`, `look` the methods that read. A write that may be done twice needs no look.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._shaped(doing, create)
            except Refused as error:
                refused = error
            kind = refused.failure.kind
            if kind in (FailureKind.LOST, FailureKind.SERVER):
                done = look()
                if done is not None:
                    return done
            wait = self._policy.wait(refused.failure, attempt, self._budget_left, self._draw())
            if wait is None or kind.rejected_unprocessed:
                break
            self._sleep(wait, doing, kind.value, attempt)
        refused.attempts = attempt
        raise self._scrubbed(_error_for(refused, doing, self._clock.now()))

    def probe(self, path: str, impossible: dict[str, str]) -> int | None:
        """The status with which GitHub refuses a POST that it cannot fulfil; None for a rate limit, a lost answer, or
        (never) success.
        """
        try:
            self.requestJsonAndCheck("POST", path, input=impossible)
        except Refused as refused:
            return refused.status if refused.failure.kind is FailureKind.PERMANENT else None
        return None

    def redirect(self, path: str, doing: str) -> str:
        """Where GitHub sends us for a download. The URL may hold a token: never show it."""
        location = self._translated(doing, lambda: self.requestJsonAndCheck("GET", path)[0].get("location"))
        if not isinstance(location, str) or not location:
            raise GitHubError(f"GitHub did not redirect while {doing}.")
        return location

    def download(self, url: str, doing: str) -> requests.Response:
        """The open stream behind a redirect target of GitHub's (an archive). The token goes along only to the API's own
        host.
        """
        parts, api = urlsplit(url), self.hostname
        apex = api.removeprefix("api.")
        same = parts.netloc == self.hostname_and_port or (parts.hostname == api and parts.port is None)
        if parts.scheme not in {self.scheme, "https"} or not (same or (parts.hostname or "").endswith(f".{apex}")):
            raise GitHubError(f"GitHub redirected to a host that is not its own while {doing}.")
        headers = {"User-Agent": "ops-agent"} | ({"Authorization": f"token {self._token}"} if same else {})
        with requests.Session() as session:
            session.trust_env = False
            session.auth = Requester.noopAuth
            try:
                answer = session.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS, allow_redirects=False)
                if answer.status_code == 200:
                    return answer
                problem = f"answer {answer.status_code}"
            except requests.RequestException as error:
                problem = type(error).__name__
        raise GitHubError(f"GitHub could not be reached while {doing}: {problem}.")

    # PyGithub's one way to the wire.

    def requestJson(self, verb: str, url: str, *arguments: Any, **options: Any) -> tuple[int, dict[str, Any], str]:  # noqa: N802 - PyGithub's name
        """One request, repeated where that cannot do harm. Raises Refused for every failure, errors of GraphQL
        included.
        """
        body = options.get("input", arguments[2] if len(arguments) > 2 else None)
        query = body.get("query") if isinstance(body, dict) and url == self.graphql_url else None
        repeatable = verb in _SAFE_TO_REPEAT or (isinstance(query, str) and not query.lstrip().startswith("mutation"))
        attempt = 0
        while True:
            attempt += 1
            try:
                status, headers, text = super().requestJson(verb, url, *arguments, **options)
                refused = _refusal(status, headers, text, is_graphql=query is not None, now=self._clock.now())
                if refused is None:
                    return status, headers, text
            except requests.Timeout:
                refused = _lost(f"no answer within {TIMEOUT_SECONDS} s")
            except (requests.RequestException, OSError) as error:
                refused = _lost(f"connection lost ({type(error).__name__})")
            except (ValueError, RecursionError):
                refused = _lost("an answer that cannot be read")
            refused.attempts = attempt
            wait = self._policy.wait(refused.failure, attempt, self._budget_left, self._draw())
            if wait is None or not (repeatable or refused.failure.kind.rejected_unprocessed):
                raise refused
            self._sleep(wait, f"{verb} {urlsplit(url).path}", refused.seen, attempt)

    def _sleep(self, seconds: float, doing: str, failed: str, attempt: int) -> None:
        self._say(
            f"GitHub, {doing}: {failed}; that was try {attempt} of at most {self._policy.attempts}, "
            f"the next one in {seconds:.0f} s"
        )
        self._budget_left -= seconds
        self._clock.sleep(seconds)

    def _translated(self, doing: str, call: Callable[[], T]) -> T:
        try:
            return self._shaped(doing, call)
        except Refused as refused:
            failed = _error_for(refused, doing, self._clock.now())
        raise self._scrubbed(failed)

    def _shaped(self, doing: str, call: Callable[[], T]) -> T:
        try:
            return call()
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


def connect(
    token: str,
    environment: Mapping[str, str],
    clock: Clock,
    policy: RetryPolicy | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> GitHubHttp:
    """The connection of one run; all adapters share it, and its retry budget.

    `environment` is read for GITHUB_API_URL only (GitHub Enterprise Server).
    """
    url = environment.get("GITHUB_API_URL") or Consts.DEFAULT_BASE_URL
    return GitHubHttp(token, clock, random.SystemRandom().random, api_url=url, policy=policy, say=say)


def in_repository(repository: str, path: str = "") -> str:
    """The path of the API below a repository (`owner/name`); another name is a bug or an attack and finds nothing."""
    owner, _, name = repository.partition("/")
    if not owner or not name or "/" in name or ".." in (owner, name):
        raise NotFound(f"{repository!r} is not the name of a repository (owner/name).")
    return f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}{path}"


class _Connection:
    """What PyGithub's two connection classes lack: no ambient settings, and a 301 without its target, so that it is not
    followed.
    """

    session: requests.Session

    def getresponse(self) -> RequestsResponse:
        self.session.trust_env = False
        answer: RequestsResponse = super().getresponse()  # type: ignore[misc]  # of the class beside this one
        if answer.status in (301, 307, 308):
            answer.headers.pop("location", None)
        return answer


class _Http(_Connection, HTTPRequestsConnectionClass): ...


class _Https(_Connection, HTTPSRequestsConnectionClass): ...


# On our class only: no other client in this process is meant. (`injectConnectionClasses` would give up keep-alive.)
GitHubHttp._Requester__httpConnectionClass = _Http  # type: ignore[attr-defined]
GitHubHttp._Requester__httpsConnectionClass = _Https  # type: ignore[attr-defined]


# When to ask GitHub again, and after how long: pure decisions, no clock and no dice of their own.
#
# By docs.github.com "Best practices for using the REST API": honour `retry-after`; without it and with
# `x-ratelimit-remaining: 0` wait until `x-ratelimit-reset`; else at least one minute for a secondary limit, then
# exponentially longer.

_SECONDARY_WAIT = 60.0
_LONGEST_HEADER_WAIT = 24 * 3600.0
_SECONDARY_PHRASES = ("secondary rate limit", "abuse detection", "please wait a few minutes before you try again")


class FailureKind(StrEnum):
    """What kind of failure an answer (or no answer) is. Only PERMANENT is never asked again."""

    LOST = "connection lost or timed out"
    SERVER = "server error"
    SECONDARY = "secondary rate limit"
    PRIMARY = "primary rate limit"
    PERMANENT = "permanent"

    @property
    def rejected_unprocessed(self) -> bool:
        """True when GitHub surely did nothing: even a write may be sent again."""
        return self in (FailureKind.SECONDARY, FailureKind.PRIMARY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed answer. `wait` is what GitHub itself asks us to wait, in seconds, None when it does not say."""

    kind: FailureKind
    wait: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to try. Times in seconds; `attempts` counts requests for one call; the budget is for a whole run."""

    first_wait: float = 1.0
    longest_wait: float = 30.0
    attempts: int = 5
    budget: float = 300.0

    def wait(self, failure: Failure, attempt: int, budget_left: float, draw: float) -> float | None:
        """Seconds before the next request, or None to give up.

        `attempt` counts from 1, `draw` is uniform in [0, 1): full jitter, and never shorter than GitHub asked for.
        """
        if failure.kind is FailureKind.PERMANENT or attempt >= self.attempts:
            return None
        factor = 2.0 ** min(attempt - 1, 30)
        spread = min(self.longest_wait, self.first_wait * factor)
        if failure.wait is not None:
            seconds = failure.wait + draw * min(spread, 1.0)
        elif failure.kind is FailureKind.SECONDARY:
            seconds = _SECONDARY_WAIT * factor + draw * spread
        else:
            seconds = draw * spread
        return seconds if seconds <= budget_left else None


def classify(status: int | None, headers: Mapping[str, str], message: str, now: float) -> Failure:
    """What a failed answer means. `status` None: no answer came. `headers` have lower-case names; `now` in epoch
    seconds.
    """
    if status is None:
        return Failure(kind=FailureKind.LOST)
    asked = _seconds(headers.get("retry-after"))
    if status in (403, 429):
        words = message.lower()
        exhausted = headers.get("x-ratelimit-remaining", "").strip() == "0"
        until_reset = _until(headers.get("x-ratelimit-reset"), now)
        secondary = any(phrase in words for phrase in _SECONDARY_PHRASES)
        if words.startswith("api rate limit exceeded") or (exhausted and not secondary):
            return Failure(kind=FailureKind.PRIMARY, wait=until_reset if asked is None else asked)
        if status == 429 or asked is not None or secondary:
            wait = until_reset if asked is None and exhausted else asked
            return Failure(kind=FailureKind.SECONDARY, wait=wait)
        return Failure(kind=FailureKind.PERMANENT)
    if status >= 500 or status == 408:
        return Failure(kind=FailureKind.SERVER, wait=asked)
    return Failure(kind=FailureKind.PERMANENT)


def _seconds(text: str | None) -> float | None:
    """`Retry-After` in seconds; GitHub never sends the date form, so anything else counts as not sent."""
    seconds = _number(text)
    return min(seconds, _LONGEST_HEADER_WAIT) if seconds is not None and seconds >= 0 else None


def _until(reset: str | None, now: float) -> float:
    """Seconds until `x-ratelimit-reset` (epoch seconds), and one more, because the reset may come late in its second.
    An hour when unreadable.
    """
    at = _number(reset)
    return 3600.0 if at is None else max(0.0, min(at - now, _LONGEST_HEADER_WAIT)) + 1.0


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


# What GitHub refused, and our error for it: which permission, which setting, which rule. No header, no URL with
# a query and no token in any text.


class Refused(Exception):
    """GitHub did not do what was asked; or nobody knows whether it did (`status` None). `seen` names the failure for the
    log, `words` are GitHub's own.
    """

    def __init__(
        self, failure: Failure, seen: str, status: int | None = None, payload: Any = None, headers: Any = None
    ) -> None:
        super().__init__(seen)
        self.failure, self.seen, self.status = failure, seen, status
        self.words = _words(payload)
        self.types = _graphql_types(payload)
        self.headers: Mapping[str, str] = headers or {}
        self.attempts = 1


def _lost(seen: str) -> Refused:
    return Refused(Failure(kind=FailureKind.LOST), seen)


def _refusal(status: int, headers: Mapping[str, Any], text: str, *, is_graphql: bool, now: float) -> Refused | None:
    """What is wrong with an answer; None when nothing is."""
    low = {str(name).lower(): str(value) for name, value in headers.items()}
    payload = _json_or_none(text) if is_graphql or status >= 400 else None

    def refused(failure: Failure, status: int = status) -> Refused:
        return Refused(failure, f"answer {status}, {failure.kind.value}", status, payload, low)

    if status >= 400:
        return refused(classify(status, low, _words(payload), now))
    if status in (301, 303, 307, 308):
        return refused(Failure(kind=FailureKind.PERMANENT))
    if status < 300 and not _is_whole(text):
        return _lost("an answer that is cut off")
    if not is_graphql:
        return None
    if not isinstance(payload, dict):
        return refused(Failure(kind=FailureKind.SERVER))
    if {"RATE_LIMITED", "RATE_LIMIT"} & _graphql_types(payload):
        return refused(classify(403, low | {"x-ratelimit-remaining": "0"}, "api rate limit exceeded", now))
    if "something went wrong while executing your query" in _words(payload).lower():
        return refused(Failure(kind=FailureKind.SERVER))
    return refused(Failure(kind=FailureKind.PERMANENT), 400) if "errors" in payload else None


def _is_whole(text: str) -> bool:
    """Whether `text` is empty or one JSON document. Of a long one only the end is checked: a listing can have 7 MB."""
    stripped = text.rstrip()
    if len(stripped) > _LONG_ANSWER:
        return stripped[-1] in "}]"
    return not stripped or stripped == "null" or _json_or_none(stripped) is not None


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _words(payload: Any) -> str:
    """GitHub's own words in an error body, REST or GraphQL, flattened to one short line."""
    if not isinstance(payload, dict):
        return ""
    words = [str(payload["message"])] if payload.get("message") else []
    errors = payload.get("errors")
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict):
            parts = (str(error[key]) for key in ("resource", "field", "code") if error.get(key))
            words.append(str(error.get("message") or " ".join(parts)))
        else:
            words.append(str(error))
    return re.sub(r"\s+", " ", ": ".join(w for w in words if w)).strip()[:_LONGEST_WORDS]


def _graphql_types(payload: Any) -> set[str]:
    """The `type`s of GraphQL errors, upper case."""
    errors = payload.get("errors") if isinstance(payload, dict) else None
    found = errors if isinstance(errors, list) else []
    return {str(error["type"]).upper() for error in found if isinstance(error, dict) and error.get("type")}


_BY_WORDS: tuple[tuple[str, type[GitHubError], str, str | None], ...] = (
    (r"without `?workflows?`? (permission|scope)", NeedsWorkflowsPermission, "GitHub refused", None),
    (
        r"not permitted to create.*pull request",
        NotPermitted,
        "GitHub refused",
        f'Switch on "{CREATE_PULL_REQUESTS_SETTING}" (repository settings, Actions, General), or use a GitHub App token.',
    ),
    (
        r"rule violations|push declined|protected branch|cannot create ref due to",
        NotPermitted,
        "A ruleset or branch protection refused",
        "Let the token's App or user bypass the rule named above for our branches, or choose another `branch_prefix`.",
    ),
    (r"saml", NotPermitted, "GitHub refused", "Authorise the token for the organisation's single sign-on."),
    (r"was archived", NotPermitted, "GitHub refused", "The repository is archived; nobody can write to it."),
    (r"expected branch to point to", Conflict, "The branch moved while", None),
)
"""Refusals that differ only in GitHub's words: pattern, error, how it begins, and what to do."""
_GONE = {404: "not found, or the token may not see it", 410: "deleted", 451: "blocked for legal reasons"}


def _error_for(refused: Refused, doing: str, now: float) -> GitHubError:
    """Our error for a failed call."""
    status, headers, types = refused.status, refused.headers, refused.types
    words = refused.words.rstrip(".")
    again = f" ({refused.attempts} attempts)" if refused.attempts > 1 else ""
    if status is None:
        return GitHubError(f"GitHub could not be reached while {doing}: {refused.seen}{again}.")
    if refused.failure.kind.rejected_unprocessed:
        return RateLimited(f"GitHub's rate limit is used up (while {doing}){_when(headers, now)}.")
    searched = words.lower() + (" saml" if "sso" in headers.get("x-github-sso", "").lower() else "")
    for pattern, kind, beginning, hint in _BY_WORDS:
        if re.search(pattern, searched):
            return kind(f"{beginning} {doing}: {words}.", hint=hint)
    if "STALE_DATA" in types:
        return Conflict(f"The branch moved while {doing}: {words}.")
    if "NOT_FOUND" in types:
        return NotFound(f"GitHub does not know what was asked for while {doing}: {words}.")
    if status == 401:
        return GitHubError(
            f"GitHub refused the token while {doing}: {words or 'bad credentials'}.",
            hint="The token has expired or was revoked (an App's token lives one hour). Start the run again; nothing "
            "was lost.",
        )
    lacking = re.search(r"resource not accessible by|must have push access|must have admin rights", searched)
    if status == 403 or lacking or types & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        return NotPermitted(f"GitHub refused {doing}: {words or 'forbidden'}.", hint=_permission_hint(headers))
    if status in (301, 307, 308):
        return NotFound(
            f"What was asked for while {doing} has moved to another repository; ops-agent does not follow it there."
        )
    if status in _GONE:
        return NotFound(f"GitHub answered {status} while {doing}: {_GONE[status]}.")
    if status == 409:
        return Conflict(f"GitHub refused {doing}: {words or 'conflict'}.")
    return GitHubError(f"GitHub answered {status} while {doing}: {words or 'no reason given'}{again}.")


def _when(headers: Mapping[str, str], now: float) -> str:
    reset = headers.get("x-ratelimit-reset", "")
    if reset.isdigit() and int(reset) < 1 << 40:
        at = datetime.fromtimestamp(int(reset), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"; it is open again at {at}, in {max(0, int(int(reset) - now)) // 60 + 1} minutes"
    return f"; GitHub asks to wait {headers['retry-after'][:10]} seconds" if "retry-after" in headers else ""


def _permission_hint(headers: Mapping[str, str]) -> str | None:
    """GitHub names the permission that an endpoint needs in this header, e.g. `issues=write; pull_requests=write`."""
    needed = headers.get("x-accepted-github-permissions", "")
    if not re.fullmatch(r"[a-z_=;, ]{3,200}", needed):
        return None
    return f"Give the token the permission `{needed.replace('=', ': ')}` (docs/setup/github-app.md) and start the run again."
