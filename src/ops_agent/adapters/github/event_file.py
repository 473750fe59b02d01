"""The event that started the run: GITHUB_EVENT_PATH, GITHUB_EVENT_NAME and the run's variables, read as frozen nouns.

Only `issues` with action `labeled` and `workflow_dispatch` are events of ours. Everything else, and whatever does not
have GitHub's shape, raises ConfigError which names the place (A06, A10, A11, A16, A18 of the security bar). Nothing
here asks the network.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ops_agent.adapters.github.parsing import GHOST
from ops_agent.config.inputs import LOOPBACK
from ops_agent.issue.selection import parse_references
from ops_agent.model.errors import ConfigError
from ops_agent.model.event import (
    Actor,
    ActorKind,
    Dispatched,
    Event,
    Issue,
    IssueRef,
    Labelled,
    Repository,
    RunIdentity,
)

# An issue's body has at most 262,144 bytes, six times that when every character is escaped; the rest of a payload is
# some 20 kB.
LARGEST_EVENT_BYTES = 2_000_000
_HINT = "The event file comes from GitHub's runner; start the workflow by `issues: types: [labeled]` or `workflow_dispatch`."
_VARIABLES = (
    *("GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_REPOSITORY"),
    *("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_ACTOR", "GITHUB_TRIGGERING_ACTOR"),
)
_PARTS = {"issues": ("action", "issue", "label", "repository", "sender"), "workflow_dispatch": ("repository", "sender")}


def read_event(environment: Mapping[str, str], issue_number: str = "") -> tuple[Event, RunIdentity]:
    """The event and the run from `environment` (`GITHUB_*` variables).

    `issue_number` is the action's input, which wins over the dispatch form's. Raises ConfigError: another event or
    action, a file that is missing, too large, not JSON or not of GitHub's shape, a repository that is not the run's, or
    an `issue_number` that names no issue (or, for a label, another issue).
    """
    require_job(environment)
    run = _run_identity(environment)
    name = environment["GITHUB_EVENT_NAME"]
    if name not in ("issues", "workflow_dispatch"):
        raise ConfigError(f"ops-agent does not work on the event {name[:60]!a}", hint=_HINT)
    payload = _Node(_load(Path(environment["GITHUB_EVENT_PATH"])), "event")
    action = payload["action"]
    if name == "issues" and not action.absent and action.text() != "labeled":
        raise ConfigError(f"ops-agent does not work on `issues` with the action {action.text()[:60]!a}", hint=_HINT)
    payload.require(_PARTS[name], name)
    repository = _repository(payload["repository"])
    if repository.full_name != run.repository:
        said = ascii(repository.full_name[:150])
        raise ConfigError(f"event.repository.full_name is {said}, but the run belongs to {run.repository}", hint=_HINT)
    sender = _sender(payload["sender"])
    if name == "workflow_dispatch":
        text = issue_number or _dispatch_input(payload)
        return Dispatched(
            repository=repository, sender=sender, issues=parse_references(text, run.repository, run.server_url)
        ), run
    issue = _issue(payload["issue"], run.repository)
    if issue_number and parse_references(issue_number, run.repository, run.server_url) != (issue.ref,):
        raise ConfigError(
            f"the label was put on {issue.ref}, but issue_number names another issue",
            hint="Leave issue_number empty for label events; dispatch the workflow to name issues by hand.",
        )
    return Labelled(repository=repository, issue=issue, label=payload["label"]["name"].text(), sender=sender), run


def require_job(environment: Mapping[str, str]) -> None:
    """Raises ConfigError that names every variable of a job that is missing, at once."""
    missing = [name for name in _VARIABLES if not environment.get(name)]
    if missing:
        known = ", ".join(missing)
        raise ConfigError(
            f"this is no GitHub Actions job: {known} {'is' if len(missing) == 1 else 'are'} not set",
            hint="Run this inside a GitHub Actions job, or use `ops-agent run --issue-file` on your own machine.",
        )


def _run_identity(environment: Mapping[str, str]) -> RunIdentity:
    numbers = {}
    for name in ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"):
        value = environment[name]
        if not (value.isascii() and value.isdigit() and len(value) <= 18 and int(value) > 0):
            raise ConfigError(f"{name} is {value[:40]!a}, not a number above 0", hint=_HINT)
        numbers[name] = int(value)
    server = (environment.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
    url = urlsplit(server)
    if not (url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK)) or not url.hostname:
        raise ConfigError(f"GITHUB_SERVER_URL is {server[:80]!a}, not an https address", hint=_HINT)
    return RunIdentity(
        repository=environment["GITHUB_REPOSITORY"],
        run_id=numbers["GITHUB_RUN_ID"],
        attempt=numbers["GITHUB_RUN_ATTEMPT"],
        actor=environment["GITHUB_ACTOR"],
        triggering_actor=environment["GITHUB_TRIGGERING_ACTOR"],
        server_url=server,
    )


def _load(path: Path) -> Any:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError("the event file (GITHUB_EVENT_PATH) is not a regular file", hint=_HINT)
            content = file.read(LARGEST_EVENT_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the event file (GITHUB_EVENT_PATH) cannot be read: {error.strerror}", hint=_HINT) from None
    if len(content) > LARGEST_EVENT_BYTES:
        raise ConfigError(f"the event file is larger than {LARGEST_EVENT_BYTES:,} bytes", hint=_HINT)
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ConfigError(f"the event file is not UTF-8 at byte {error.start}", hint=_HINT) from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"the event file is not JSON: line {error.lineno}, column {error.colno}: {error.msg}", hint=_HINT
        ) from None
    except RecursionError:
        raise ConfigError("the event file is nested too deeply", hint=_HINT) from None
    except ValueError as error:  # a number of more digits than Python converts
        raise ConfigError(f"the event file holds an unusable value: {error}", hint=_HINT) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ConfigError(f"the event file has the key {twice[:60]!a} twice in one object", hint=_HINT)
    return found


def _no_constant(name: str) -> Any:
    raise ConfigError(f"the event file holds {name}, which is not JSON", hint=_HINT)


class _Node:
    """A value of the payload and the path to it, so that every complaint names its place."""

    def __init__(self, value: Any, path: str) -> None:
        self._value, self._path = value, path

    def _wrong(self, expected: str) -> ConfigError:
        found = "nothing" if self._value is None else f"a JSON {type(self._value).__name__}"
        return ConfigError(f"{self._path} should be {expected}, found {found}", hint=_HINT)

    def require(self, names: tuple[str, ...], event: str) -> None:
        """Raises ConfigError that names every part of `event`'s payload that is not there."""
        missing = [f"{self._path}.{name}" for name in names if self[name].absent]
        if missing:
            empty = "an empty object" if not self._value else "it lacks " + ", ".join(missing)
            raise ConfigError(
                f"the event file (GITHUB_EVENT_PATH) is not what GitHub sends for `{event}`: {empty}", hint=_HINT
            )

    @property
    def absent(self) -> bool:
        return self._value is None

    def __getitem__(self, key: str) -> _Node:
        if not isinstance(self._value, dict):
            raise self._wrong("an object")
        return _Node(self._value.get(key), f"{self._path}.{key}")

    def text(self) -> str:
        if not isinstance(self._value, str):
            raise self._wrong("text")
        if any("\ud800" <= c <= "\udfff" for c in self._value):
            raise ConfigError(f"{self._path} holds half of a surrogate pair", hint=_HINT)
        return self._value

    def number(self) -> int:
        if not isinstance(self._value, int) or isinstance(self._value, bool) or not 0 < self._value < 2**63:
            raise self._wrong("a whole number above 0")
        return self._value

    def flag(self) -> bool:
        """False when it is not there: GitHub leaves `archived` and the like out of some payloads."""
        if self._value is not None and not isinstance(self._value, bool):
            raise self._wrong("true or false")
        return bool(self._value)

    def each(self) -> list[_Node]:
        if not isinstance(self._value, list):
            raise self._wrong("a list")
        return [_Node(value, f"{self._path}[{index}]") for index, value in enumerate(self._value)]


def _sender(node: _Node) -> Actor:
    kind = node["type"].text()
    if kind not in set(ActorKind):
        raise ConfigError(
            f"event.sender.type is {kind[:40]!a}, which is no kind of account that may ask for work", hint=_HINT
        )
    return Actor(login=node["login"].text(), id=node["id"].number(), kind=ActorKind(kind))


def _author(node: _Node) -> Actor:
    if node.absent:  # a deleted account
        return GHOST
    kind = node["type"].text()
    # An author decides nothing, so a kind that we do not know (Mannequin, ...) is only taken for the least trusted one.
    return Actor(
        login=node["login"].text(),
        id=node["id"].number(),
        kind=ActorKind(kind) if kind in set(ActorKind) else ActorKind.BOT,
    )


def _repository(node: _Node) -> Repository:
    repository = Repository(
        owner=node["owner"]["login"].text(),
        name=node["name"].text(),
        id=node["id"].number(),
        default_branch=node["default_branch"].text(),
        archived=node["archived"].flag(),
        disabled=node["disabled"].flag(),
    )
    if node["full_name"].text() != repository.full_name:
        raise ConfigError("event.repository.full_name does not match its owner and name", hint=_HINT)
    return repository


def _issue(node: _Node, repository: str) -> Issue:
    return Issue(
        ref=IssueRef(repository=repository, number=node["number"].number()),
        id=node["id"].number(),
        node_id=node["node_id"].text(),
        title=node["title"].text(),
        body="" if node["body"].absent else node["body"].text(),
        is_open=node["state"].text() == "open",
        is_pull_request=not node["pull_request"].absent,
        labels=tuple(label["name"].text() for label in node["labels"].each()),
        author=_author(node["user"]),
        url=node["html_url"].text(),
        locked=node["locked"].flag(),
    )


def _dispatch_input(payload: _Node) -> str:
    given = payload["inputs"]
    if given.absent or given["issue_number"].absent:
        raise ConfigError(
            "the dispatch names no issue", hint="Give the workflow's input `issue_number`, or the action's."
        )
    return given["issue_number"].text()
