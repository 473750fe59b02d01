"""PyGithub's requester, with our own rules: who may be asked, how long, how often, and what never happens twice.

* Reads (GET, GraphQL queries) and writes that set a value (PATCH, PUT, DELETE) are repeated by `RetryPolicy`. A POST or
  a mutation is
  repeated only when GitHub surely rejected it unprocessed (rate limits); when its answer was lost, `ensure` looks
    whether it was done
  (PyGithub's own `Retry` would send a POST again after a 5xx and create a pull request twice).
* No redirect is followed: a 301 is a transferred issue or a moved repository (M12 of the security bar).
* The environment's proxy, CA and netrc settings are ignored unless given as arguments (K11). Every request has a
  timeout.
* Errors are raised outside `except`, so no traceback carries the request and its Authorization header (G11).
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
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests
from github import Auth, Consts, GithubException
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester, RequestsResponse

from ops_agent.model.errors import Conflict, GitHubError, NeedsWorkflowsPermission, NotFound, NotPermitted, RateLimited
from ops_agent.model.ports import Clock

# The wire under PyGithub's requester: timeouts, streams, no ambient settings, no redirect followed.

TIMEOUT_SECONDS = 30
_LONG = 200_000


class _Answer(RequestsResponse):
    """A 301 without its target, so that PyGithub does not follow it."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(answer)
        if self.status in (301, 307, 308):
            self.headers.pop("location", None)


class _Connection:
    """What PyGithub's two connection classes lack: streams that are not read at once, no ambient settings, always a
    timeout.
    """

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


# When to ask GitHub again, and after how long: pure decisions, no clock and no dice of their own.
#
# Sources: docs.github.com "Best practices for using the REST API" (honour `retry-after`; without it and with
# `x-ratelimit-remaining: 0` wait until `x-ratelimit-reset`; else at least one minute for a secondary limit, then
# exponentially longer) and rule 36 of the security bar.

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
        spread = min(self.longest_wait, self.first_wait * 2.0 ** min(attempt - 1, 30))
        if failure.wait is not None:
            seconds = failure.wait + draw * min(spread, 1.0)
        elif failure.kind is FailureKind.SECONDARY:
            seconds = _SECONDARY_WAIT * 2.0 ** min(attempt - 1, 30) + draw * spread
        else:
            seconds = draw * spread
        return seconds if seconds <= budget_left else None


def retry_line(doing: str, failed: str, attempt: int, attempts: int, seconds: float) -> str:
    """One line for the log, before a wait of `seconds`: nobody should look at silence and guess."""
    return f"GitHub, {doing}: {failed}; that was try {attempt} of at most {attempts}, the next one in {seconds:.0f} s"


def classify(status: int | None, headers: Mapping[str, str], message: str, now: float) -> Failure:
    """What a failed answer means. `status` None: no answer came. `headers` have lower-case names; `now` in epoch
    seconds.
    """
    if status is None:
        return Failure(kind=FailureKind.LOST)
    told = _seconds(headers.get("retry-after"))
    words = message.lower()
    if status in (403, 429):
        exhausted = headers.get("x-ratelimit-remaining", "").strip() == "0"
        if words.startswith("api rate limit exceeded") or (
            exhausted and not any(p in words for p in _SECONDARY_PHRASES)
        ):
            return Failure(
                kind=FailureKind.PRIMARY,
                wait=told if told is not None else _until(headers.get("x-ratelimit-reset"), now),
            )
        if status == 429 or told is not None or any(phrase in words for phrase in _SECONDARY_PHRASES):
            wait = told if told is not None else (_until(headers.get("x-ratelimit-reset"), now) if exhausted else None)
            return Failure(kind=FailureKind.SECONDARY, wait=wait)
        return Failure(kind=FailureKind.PERMANENT)
    if status >= 500 or status == 408:
        return Failure(kind=FailureKind.SERVER, wait=told)
    return Failure(kind=FailureKind.PERMANENT)


def _seconds(text: str | None) -> float | None:
    """`Retry-After` in seconds; GitHub never sends the date form, so anything else counts as not sent."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return None
    return min(seconds, _LONGEST_HEADER_WAIT) if math.isfinite(seconds) and seconds >= 0 else None


def _until(reset: str | None, now: float) -> float:
    """Seconds until `x-ratelimit-reset` (epoch seconds); one more, because the second of the reset is not told. An hour
    when unreadable.
    """
    at = _seconds_since_epoch(reset)
    return 3600.0 if at is None else max(0.0, min(at - now, _LONGEST_HEADER_WAIT)) + 1.0


def _seconds_since_epoch(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


# GitHub's refusals in our words: which permission, which setting, which rule. No header, no URL with a query and no
# token in any text.

_LONGEST = 600
CREATE_PULL_REQUESTS_SETTING = "Allow GitHub Actions to create and approve pull requests"


class LostAnswer(Exception):
    """The connection broke or timed out: whether GitHub did what was asked is unknown. `what` names the kind, never the
    request.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def message_of(payload: Any) -> str:
    """GitHub's own words in an error body, REST or GraphQL, flattened to one short line."""
    if not isinstance(payload, dict):
        return ""
    words = [str(payload["message"])] if payload.get("message") else []
    errors = payload.get("errors")
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict):
            words.append(
                str(
                    error.get("message")
                    or " ".join(str(error[k]) for k in ("resource", "field", "code") if error.get(k))
                )
            )
        else:
            words.append(str(error))
    return re.sub(r"\s+", " ", ": ".join(w for w in words if w)).strip()[:_LONGEST]


def headers_of(error: GithubException) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in (error.headers or {}).items()}


def translate(error: GithubException | LostAnswer, doing: str, now: float, tries: int = 1) -> GitHubError:
    """The error of ours for a failed call. `doing` is a phrase such as `creating the branch x in o/r`; `now` in epoch
    seconds.
    """
    again = f" ({tries} attempts)" if tries > 1 else ""
    if isinstance(error, LostAnswer):
        return GitHubError(f"GitHub could not be reached while {doing}: {error.what}{again}.")
    words, headers = message_of(error.data), headers_of(error)
    if {"RATE_LIMITED", "RATE_LIMIT"} & graphql_types(error.data):
        return _rate_limited(doing, headers, now)
    kind = classify(error.status, headers, words, now).kind
    if kind in (FailureKind.PRIMARY, FailureKind.SECONDARY):
        return _rate_limited(doing, headers, now)
    refusal = _refusal(words, doing, headers) or _graphql_refusal(error.data, words, doing)
    if refusal is not None:
        return refusal
    if error.status == 401:
        return GitHubError(
            f"GitHub refused the token while {doing}: {words or 'bad credentials'}.",
            hint=(
                "The token has expired or was revoked (an App's token lives one hour). Start the run again; nothing"
                " was lost."
            ),
        )
    if error.status == 403:
        return NotPermitted(f"GitHub refused {doing}: {words or 'forbidden'}.", hint=_permission_hint(headers))
    if error.status in (301, 307, 308):
        return NotFound(
            f"What was asked for while {doing} has moved to another repository; ops-agent does not follow it there."
        )
    if error.status in (404, 410, 451):
        gone = {404: "not found, or the token may not see it", 410: "deleted", 451: "blocked for legal reasons"}[
            error.status
        ]
        return NotFound(f"GitHub answered {error.status} while {doing}: {gone}.")
    if error.status == 409:
        return Conflict(f"GitHub refused {doing}: {words or 'conflict'}.")
    return GitHubError(f"GitHub answered {error.status} while {doing}: {words or 'no reason given'}{again}.")


def graphql_types(payload: Any) -> set[str]:
    """The `type`s of GraphQL errors, upper case."""
    errors = payload.get("errors") if isinstance(payload, dict) else None
    return (
        {str(e.get("type")).upper() for e in errors if isinstance(e, dict) and e.get("type")}
        if isinstance(errors, list)
        else set()
    )


def _rate_limited(doing: str, headers: Mapping[str, str], now: float) -> RateLimited:
    reset = headers.get("x-ratelimit-reset", "")
    when = ""
    if reset.isdigit() and int(reset) < 1 << 40:
        at = datetime.fromtimestamp(int(reset), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        when = f"; it is open again at {at}, in {max(0, int(int(reset) - now)) // 60 + 1} minutes"
    elif "retry-after" in headers:
        when = f"; GitHub asks to wait {headers['retry-after'][:10]} seconds"
    return RateLimited(f"GitHub's rate limit is used up (while {doing}){when}.")


def _refusal(words: str, doing: str, headers: Mapping[str, str]) -> GitHubError | None:
    """Refusals that GitHub tells by their text only."""
    low = words.lower()
    if re.search(r"without `?workflows?`? (permission|scope)", low):
        return NeedsWorkflowsPermission(f"GitHub refused {doing}: {words.rstrip('.')}.")
    if "not permitted to create" in low and "pull request" in low:
        return NotPermitted(
            f"GitHub refused {doing}: {words}.",
            hint=f'Switch on "{CREATE_PULL_REQUESTS_SETTING}" (repository settings, Actions, General), or use a GitHub App token.',
        )
    if (
        "rule violations" in low
        or "push declined" in low
        or "protected branch" in low
        or "cannot create ref due to" in low
    ):
        return NotPermitted(
            f"A ruleset or branch protection refused {doing}: {words.rstrip('.')}.",
            hint=(
                "Let the token's App or user bypass the rule named above for ops-agent's branches, or choose "
                "another `branch_prefix`."
            ),
        )
    if "saml" in low or "sso" in headers.get("x-github-sso", "").lower():
        return NotPermitted(
            f"GitHub refused {doing}: {words}.", hint="Authorise the token for the organisation's single sign-on."
        )
    if "was archived" in low:
        return NotPermitted(
            f"GitHub refused {doing}: {words}.", hint="The repository is archived; nobody can write to it."
        )
    if "expected branch to point to" in low:
        return Conflict(f"The branch moved while {doing}: {words}.")
    if "resource not accessible by" in low or "must have push access" in low or "must have admin rights" in low:
        return NotPermitted(f"GitHub refused {doing}: {words}.", hint=_permission_hint(headers))
    return None


def _graphql_refusal(payload: Any, words: str, doing: str) -> GitHubError | None:
    types = graphql_types(payload)
    if "STALE_DATA" in types:
        return Conflict(f"The branch moved while {doing}: {words}.")
    if "NOT_FOUND" in types:
        return NotFound(f"GitHub does not know what was asked for while {doing}: {words}.")
    if types & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        return NotPermitted(f"GitHub refused {doing}: {words}.")
    return None


def _permission_hint(headers: Mapping[str, str]) -> str | None:
    """GitHub names the permission that an endpoint needs in this header, e.g. `issues=write; pull_requests=write`."""
    needed = headers.get("x-accepted-github-permissions", "")
    if not re.fullmatch(r"[a-z_=;, ]{3,200}", needed):
        return None
    return f"Give the token the permission `{needed.replace('=', ': ')}` (docs/setup/github-app.md) and start the run again."


T = TypeVar("T")
_MOST_PAGES = 300
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

    # --- what the adapters call
    # -------------------------------------------------------------------------------------------------

    def rest(self, verb: str, path: str, doing: str, body: Any = None, **parameters: Any) -> Any:
        """The JSON of one REST answer. Raises GitHubError. For POST use `ensure`, or accept that a lost answer is an
        error.
        """
        return self._translated(
            doing, lambda: self.requestJsonAndCheck(verb, path, parameters=parameters or None, input=body)[1]
        )

    def pages(self, path: str, doing: str, key: str | None = None, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, 100 a page; `key` names the list inside an object. Items that are not objects are left
        out.
        """
        url = path
        given: dict[str, Any] | None = {"per_page": 100, **parameters}
        for _ in range(_MOST_PAGES):
            headers, page = self._translated(doing, partial(self.requestJsonAndCheck, "GET", url, parameters=given))
            items = page.get(key) if key and isinstance(page, dict) else page
            yield from (item for item in items or [] if isinstance(item, dict))
            if (following := next_page(headers.get("link", ""))) is None:
                return
            url, given = following, None
        raise GitHubError(
            f"GitHub has more than {_MOST_PAGES} pages while {doing}; part of a list is not taken for the whole."
        )

    def graphql(self, query: str, doing: str, **variables: Any) -> dict[str, Any]:
        """`data` of one GraphQL query."""
        answer = self._translated(doing, lambda: self.graphql_query(query, variables)[1])
        return answer.get("data") or {}

    def reading(self, doing: str, read: Callable[[], T]) -> T:
        """What `read` makes of an answer; an answer of another shape than GitHub documents is a GitHubError."""
        return self._translated(doing, read)

    def ensure(self, doing: str, create: Callable[[], T], look: Callable[[], T | None]) -> T:
        """Do a write exactly once: when the answer to `create` is lost, `look` whether it was done, and only if not,
        try again.

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
        """The status with which GitHub refuses a POST that it cannot fulfil; None for a rate limit, a lost answer, or
        (never) success.
        """
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
        """The open stream behind a redirect target of GitHub's (an archive). The token goes along only to the API's own
        host.
        """
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
                    url,
                    headers=headers,
                    stream=True,
                    timeout=TIMEOUT_SECONDS,
                    allow_redirects=False,
                    proxies=proxies,
                    verify=verify,
                )
                if answer.status_code == 200:
                    return answer
                problem = f"answer {answer.status_code}"
            except requests.RequestException as error:
                problem = type(error).__name__
        raise GitHubError(f"GitHub could not be reached while {doing}: {problem}.")

    # --- PyGithub's one door to the wire
    # ----------------------------------------------------------------------------------------

    def requestJson(self, verb: str, url: str, *arguments: Any, **options: Any) -> tuple[int, dict[str, Any], str]:  # noqa: N802 - PyGithub's name
        """One request, repeated where that cannot do harm; a failed answer raises here already, so that GraphQL's
        errors are seen too.
        """
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
                self._sleep(
                    wait, f"{verb} {urlsplit(url).path}", lost or f"answer {status}, {failure.kind.value}", attempt
                )
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


def connect(
    token: str,
    environment: Mapping[str, str],
    clock: Clock,
    policy: RetryPolicy | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> GitHubHttp:
    """The connection of one run; all adapters share it, and its retry budget.

    `environment` is read for GITHUB_API_URL only (GitHub Enterprise Server); proxy and CA settings in it are ignored.
    """
    url = environment.get("GITHUB_API_URL") or Consts.DEFAULT_BASE_URL
    return GitHubHttp(token, clock, random.SystemRandom().random, api_url=url, policy=policy, say=say)


def repository_path(repository: str) -> str:
    """`owner/name` as a URL path; anything else is a bug or an attack and finds nothing."""
    owner, _, name = repository.partition("/")
    if not owner or not name or "/" in name or ".." in (owner, name):
        raise NotFound(f"{repository!r} is not the name of a repository (owner/name).")
    return f"{quote(owner, safe='')}/{quote(name, safe='')}"
