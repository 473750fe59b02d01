"""PyGithub's requester, with our own rules: who may be asked, how long, how often, and what never happens twice.

* Reads (GET, GraphQL queries) and writes that set a value (PATCH, PUT, DELETE) are repeated by `RetryPolicy`. A POST or
  a mutation is repeated only when GitHub surely rejected it unprocessed (rate limits); when its answer was lost,
  `ensure` checks whether it was done. (PyGithub's own `Retry` would send a POST again after a 5xx and create a pull
  request twice.)
* No redirect is followed: a 301 is a transferred issue or a moved repository.
* The environment's proxy, CA and netrc settings are ignored: what the run may use of them is given as a `Network`.
  Every request has a timeout.
* Errors are raised outside `except`, so no traceback carries the request and its Authorization header.

PyGithub's classes for the answers are not used: reading `merged` of a listed pull request costs a hidden request, its
timeline events have no label, and a tree of 200,000 entries takes hundreds of megabytes. The number of requests of a
run is part of what we promise, so each one is written down in the adapters beside this module.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests
from github import Auth, Consts, GithubException
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester, RequestsResponse

from ops_agent.adapters.github.failures import FailureKind, RequestFailed, RetryPolicy, error_for, lost, refusal
from ops_agent.adapters.github.parsing import Misshapen
from ops_agent.adapters.network import DIRECT, Network, explained
from ops_agent.config.inputs import LOOPBACK
from ops_agent.model.errors import ConfigError, GitHubError, NotFound
from ops_agent.model.ports import Clock

T = TypeVar("T")
TIMEOUT_SECONDS = 30
_MAX_PAGES = 300


class GitHubHttp(Requester):
    """One per run: PyGithub's requester plus the run's retry budget. `draw` is uniform in [0, 1), `say` gets a line for
    each retry. Methods raise GitHubError: what GitHub refuses, and an answer of another shape than it documents.

    `doing` is a phrase such as `reading the branch x of o/r`; `read` makes a noun of the answer's JSON.
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
        network: Network = DIRECT,
    ) -> None:
        # On this object only: no other client in this process is meant. (`injectConnectionClasses` would give up
        # keep-alive.)
        self._Requester__httpConnectionClass = partial(_Http, network=network)
        self._Requester__httpsConnectionClass = partial(_Https, network=network)
        self._network = network
        super().__init__(
            auth=Auth.Token(token),
            base_url=api_url.rstrip("/"),
            timeout=timeout_seconds,
            user_agent="ops-agent",
            per_page=100,
            verify=network.verify,
            retry=None,
            pool_size=None,
        )
        self._token, self._clock, self._draw, self._say = token, clock, draw, say
        self._policy = policy or RetryPolicy()
        self._budget_left = self._policy.budget

    def get(self, path: str, doing: str, read: Callable[[Any], T], **parameters: Any) -> T:
        return self._translated(doing, lambda: read(self.requestJsonAndCheck("GET", path, parameters)[1]))

    def write(
        self, verb: str, path: str, doing: str, body: Any = None, read: Callable[[Any], Any] = lambda _: None
    ) -> Any:
        """A write that sets a value (PATCH, PUT, DELETE). A write that creates something goes through `ensure`."""
        return self._translated(doing, lambda: read(self.requestJsonAndCheck(verb, path, input=body)[1]))

    def items(
        self, path: str, doing: str, read: Callable[[dict[str, Any]], T], key: str | None = None, **parameters: Any
    ) -> tuple[T, ...]:
        """Every item of a list, 100 a page; `key` names the list inside an object. Anything that is not an object is
        left out.
        """
        return self._translated(doing, lambda: tuple(map(read, self._pages(path, doing, key, parameters))))

    def _pages(self, path: str, doing: str, key: str | None, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        url = path
        given: dict[str, Any] | None = {"per_page": 100, **parameters}
        for _ in range(_MAX_PAGES):
            headers, page = self.requestJsonAndCheck("GET", url, parameters=given)
            items = page.get(key) if key and isinstance(page, dict) else page
            yield from (item for item in items or [] if isinstance(item, dict))
            following = re.search(r'<([^>]*)>;[^,]*rel="next"', headers.get("link", ""))
            if following is None:
                return
            url, given = following[1], None
        raise GitHubError(
            f"GitHub has more than {_MAX_PAGES} pages while {doing}; part of a list is not taken for the whole."
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
        """Do a write exactly once: when the answer to `create` is lost, `look` checks whether it was done; only if not,
        it is tried again.

        `create` calls `post` or `mutate`; `look` only reads. A write that may be done twice needs no `look`.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return _shaped(doing, create)
            except RequestFailed as error:
                refused = error
            kind = refused.failure.kind
            if kind in (FailureKind.LOST, FailureKind.SERVER) and (done := look()) is not None:
                return done
            if kind.is_rate_limit or not self._waited(refused, doing, kind.value, attempt):
                break
        refused.attempts = attempt
        raise error_for(refused, doing, self._clock.now())

    def probe(self, path: str, impossible: dict[str, str]) -> int | None:
        """The status with which GitHub refuses a POST that it cannot fulfil; None when it does not say."""
        try:
            self.requestJsonAndCheck("POST", path, input=impossible)
        except RequestFailed as refused:
            return refused.status if refused.failure.kind is FailureKind.PERMANENT else None
        return None

    def redirect(self, path: str, doing: str) -> str:
        """Where GitHub sends us for a download. The URL may hold a token: never show it."""
        location = self._translated(doing, lambda: self.requestJsonAndCheck("GET", path)[0].get("location"))
        if not isinstance(location, str) or not location:
            raise GitHubError(f"GitHub did not redirect while {doing}.")
        return location

    def download(self, url: str, doing: str, hosts: tuple[str, ...] = ()) -> requests.Response:
        """The open stream behind a redirect target of GitHub's, which PyGithub would read into memory whole.

        The token is sent only to the API's own host. `hosts` are ends of other names that GitHub may redirect to.
        """
        parts, api = urlsplit(url), self.hostname
        same = parts.netloc == self.hostname_and_port or (parts.hostname == api and parts.port is None)
        ours = same or (parts.hostname or "").endswith((f".{api.removeprefix('api.')}", *hosts))
        if parts.scheme not in {self.scheme, "https"} or not ours:
            raise GitHubError(f"GitHub redirected to a host that is not its own while {doing}.")
        headers = {"User-Agent": "ops-agent"} | ({"Authorization": f"token {self._token}"} if same else {})
        with requests.Session() as session:
            session.trust_env = False
            session.proxies, session.verify = self._network.proxies(url), self._network.verify
            session.auth = Requester.noopAuth
            try:
                answer = session.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS, allow_redirects=False)
                if answer.status_code == 200:
                    return answer
                problem = f"answer {answer.status_code}"
            except requests.RequestException as error:
                problem = explained(error) or type(error).__name__
        raise GitHubError(f"GitHub could not be reached while {doing}: {problem}.")

    def requestJsonAndCheck(  # noqa: N802 - PyGithub's name
        self, verb: str, url: str, *arguments: Any, **options: Any
    ) -> tuple[dict[str, Any], Any]:
        """PyGithub's one way to the wire: one request, repeated where that cannot do harm.

        Raises RequestFailed for every failure, errors of GraphQL included.
        """
        query = options["input"]["query"].lstrip() if url == self.graphql_url else ""
        repeatable = verb != "POST" or (query and not query.startswith("mutation"))
        attempt = 0
        while True:
            attempt += 1
            try:
                headers, found = super().requestJsonAndCheck(verb, url, *arguments, **options)
                body = found if isinstance(found, dict) else {}
                is_text = isinstance(body.get("data"), str) and "location" not in headers  # PyGithub wraps it so
                if is_text or (query and not body):
                    refused = lost("an answer that cannot be read")
                elif query and "errors" in body:
                    refused = self._refusal(400, headers, body)
                else:
                    return headers, found
            except GithubException as error:
                refused = self._refusal(error.status, error.headers or {}, error.data)
            except _Moved as moved:
                refused = self._refusal(moved.status, {}, None)
            except requests.Timeout:
                refused = lost(f"no answer within {TIMEOUT_SECONDS} s")
            except (requests.RequestException, OSError) as problem:
                why = explained(problem)
                refused = lost(why or f"connection lost ({type(problem).__name__})", passes=why is None)
            except (AttributeError, ValueError, RecursionError):  # PyGithub's parser and its createException
                refused = lost("an answer that cannot be read")
            refused.attempts = attempt
            may = repeatable or refused.failure.kind.is_rate_limit
            if not may or not self._waited(refused, f"{verb} {urlsplit(url).path}", str(refused), attempt):
                raise refused

    def _refusal(self, status: int, headers: Mapping[str, str], payload: Any) -> RequestFailed:
        return refusal(status, headers, payload, now=self._clock.now(), secret=self._token)

    def _waited(self, refused: RequestFailed, doing: str, failed: str, attempt: int) -> bool:
        """Wait for the next try; False when there is none."""
        wait = self._policy.wait(refused.failure, attempt, self._budget_left, self._draw())
        if wait is not None:
            tried = f"that was try {attempt} of at most {self._policy.attempts}, the next one in {wait:.0f} s"
            self._say(f"GitHub, {doing}: {failed}; {tried}")
            self._budget_left -= wait
            self._clock.sleep(wait)
        return wait is not None

    def _translated(self, doing: str, call: Callable[[], T]) -> T:
        try:
            return _shaped(doing, call)
        except RequestFailed as refused:
            failed = error_for(refused, doing, self._clock.now())
        raise failed


def _shaped(doing: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except AssertionError:
        what = f"GitHub pointed to a host that is not its own while {doing}."
    except Misshapen as error:
        what = f"GitHub's answer while {doing} has an unknown shape: {error}."
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        what = f"GitHub's answer while {doing} has an unknown shape ({type(error).__name__})."
    raise GitHubError(what)


def connect(
    token: str,
    environment: Mapping[str, str],
    clock: Clock,
    policy: RetryPolicy | None = None,
    say: Callable[[str], None] = lambda _: None,
    network: Network = DIRECT,
) -> GitHubHttp:
    """The connection of one run; all adapters share it, and its retry budget.

    `environment` is read for GITHUB_API_URL only (GitHub Enterprise Server). Raises ConfigError.
    """
    url = environment.get("GITHUB_API_URL") or Consts.DEFAULT_BASE_URL
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        what = f"GITHUB_API_URL of the runner is {url[:80]!a}, not an https address; no token is sent there"
        raise ConfigError(what, hint="Serve GitHub Enterprise Server over https (docs/setup/network.md).")
    return GitHubHttp(token, clock, random.SystemRandom().random, api_url=url, policy=policy, say=say, network=network)


def in_repository(repository: str, path: str = "") -> str:
    """The path of the API below a repository (`owner/name`); any other name is a bug or an attack, and is not found."""
    owner, _, name = repository.partition("/")
    if not owner or not name or "/" in name or ".." in (owner, name):
        raise NotFound(f"{repository!r} is not the name of a repository (owner/name).")
    return f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}{path}"


class _Moved(Exception):
    """A redirect, which PyGithub would follow."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Connection:
    """What PyGithub's two connection classes lack: no ambient settings, and no redirect."""

    session: requests.Session

    def __init__(self, host: str, *arguments: Any, network: Network, **options: Any) -> None:
        super().__init__(host, *arguments, **options)  # type: ignore[call-arg]  # of the class beside this one
        self.session.trust_env = False
        self.session.proxies = network.proxies(f"https://{host}")

    def getresponse(self) -> RequestsResponse:
        answer: RequestsResponse = super().getresponse()  # type: ignore[misc]  # of the class beside this one
        if answer.status in (301, 303, 307, 308):
            raise _Moved(answer.status)
        return answer


class _Http(_Connection, HTTPRequestsConnectionClass): ...


class _Https(_Connection, HTTPSRequestsConnectionClass): ...
