"""The event that started the run: GITHUB_EVENT_PATH, GITHUB_EVENT_NAME and the run's variables, read as frozen nouns;
who may start a run is decided in `issue/admission.py`.

`run` and `select` accept `issues` with action `labeled` or `closed` and `workflow_dispatch`; `run` also a pull request
that was closed; `verify` accepts `pull_request_target`, `push` and `workflow_dispatch`. Everything else, and whatever
does not have GitHub's shape, raises ConfigError which names the place. Nothing here asks the network.
"""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ops_agent.adapters.github import parsing
from ops_agent.adapters.github.parsing import JsonPart, Misshapen
from ops_agent.config.inputs import LOOPBACK
from ops_agent.issue.references import parse_references
from ops_agent.model.errors import ConfigError
from ops_agent.model.event import (
    Actor,
    ActorKind,
    Closed,
    Dispatched,
    Event,
    Labelled,
    PullRequestClosed,
    Repository,
    RunIdentity,
    VerificationAsked,
)

LARGEST_EVENT_BYTES = 2_000_000
"""An issue's body has at most 262,144 bytes, six times that when all is escaped; the rest of a payload some 20 kB."""
_VARIABLES = (
    "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT",
    "GITHUB_ACTOR", "GITHUB_TRIGGERING_ACTOR",
)  # fmt: skip


_PARTS = {"labeled": ("issue", "label"), "closed": ("issue",)}
_PULL_REQUEST_EVENTS = ("pull_request", "pull_request_target")


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
        raise _unusable(f"ops-agent does not work on the event {name[:60]!a}")
    payload = _load(Path(environment["GITHUB_EVENT_PATH"]))
    if not isinstance(payload, dict):
        raise _unusable(f"event should be an object, found a JSON {type(payload).__name__}")
    action = payload.get("action", "labeled")
    if name == "issues" and action not in _PARTS:
        raise _unusable(f"ops-agent does not work on `issues` with the action {str(action)[:60]!a}")
    _require_parts(name, payload, _PARTS[action] if name == "issues" else ())
    try:
        return _event(name, JsonPart(payload, "event"), payload, run, issue_number), run
    except Misshapen as error:
        raise _unusable(str(error)) from None


def is_about_a_pull_request(environment: Mapping[str, str]) -> bool:
    """Whether `run` was started by a pull request, to read with `read_closed_pull_request`."""
    return environment.get("GITHUB_EVENT_NAME") in _PULL_REQUEST_EVENTS


def read_closed_pull_request(environment: Mapping[str, str]) -> tuple[PullRequestClosed, RunIdentity]:
    """A pull request that was closed, merged or not. Raises ConfigError as `read_event` does, and for every other
    action: nothing starts by a pull request.
    """
    require_job(environment)
    run = _run_identity(environment)
    name = environment["GITHUB_EVENT_NAME"]
    payload = _load(Path(environment["GITHUB_EVENT_PATH"]))
    action = payload.get("action") if isinstance(payload, dict) else None
    if action != "closed":
        raise _unusable(f"ops-agent does not work on `{name}` with the action {str(action)[:60]!a}")
    _require_parts(name, payload, ("pull_request",))
    try:
        event = JsonPart(payload, "event")
        repository, sender = _surroundings(event, payload, run)
        number = event.part("pull_request").number("number")
    except Misshapen as error:
        raise _unusable(str(error)) from None
    return PullRequestClosed(repository=repository, number=number, sender=sender), run


def _require_parts(name: str, payload: dict[str, Any], parts: tuple[str, ...]) -> None:
    if missing := [f"event.{part}" for part in (*parts, "repository", "sender") if payload.get(part) is None]:
        what = f"it lacks {', '.join(missing)}" if payload else "an empty object"
        raise _unusable(f"the event file (GITHUB_EVENT_PATH) is not what GitHub sends for `{name}`: {what}")


def read_pull_request_event(
    environment: Mapping[str, str], issue_number: str = ""
) -> tuple[VerificationAsked, RunIdentity]:
    """What `verify` is asked for: a pull request by its event or, in a dispatch, by number; all of ours after a push.

    Of the payload only numbers and names are used: what is verified is read from GitHub. Raises ConfigError as
    `read_event` does, and for `pull_request`, whose workflow comes from the pull request itself.
    """
    require_job(environment)
    run = _run_identity(environment)
    name = environment["GITHUB_EVENT_NAME"]
    if name == "pull_request":
        hint = "Use `pull_request_target`: its workflow comes from the default branch (docs/verify.md)."
        raise ConfigError("with `pull_request` a pull request could change its own verification", hint=hint)
    if name not in ("pull_request_target", "push", "workflow_dispatch"):
        raise ConfigError(
            f"`verify` does not work on the event {name[:60]!a}",
            hint="Start it by `pull_request_target`, `push` to the base branch, or `workflow_dispatch`.",
        )
    payload = _load(Path(environment["GITHUB_EVENT_PATH"]))
    if not isinstance(payload, dict) or not isinstance(payload.get("repository"), dict):
        raise _unusable(f"the event file (GITHUB_EVENT_PATH) is not what GitHub sends for `{name}`")
    try:
        repository = parsing.repository(payload["repository"], "event.repository")
        if repository.full_name != run.repository:
            said = ascii(repository.full_name[:150])
            raise _unusable(f"event.repository.full_name is {said}, but the run belongs to {run.repository}")
        event = JsonPart(payload, "event")
        if name == "push":
            return VerificationAsked(repository=repository, pushed_branch=_branch(event.text("ref"))), run
        if name == "pull_request_target":
            number = event.part("pull_request").number("number")
            return VerificationAsked(repository=repository, numbers=(number,)), run
        form = event.part("inputs").maybe("issue_number", str) if event.maybe("inputs", dict) else None
    except Misshapen as error:
        raise _unusable(str(error)) from None
    refs = parse_references(issue_number or form or "", run.repository, run.server_url)
    if others := [str(ref) for ref in refs if ref.repository != run.repository]:
        raise ConfigError(f"{others[0]} is not in {run.repository}", hint="Verify pull requests of this repository.")
    return VerificationAsked(repository=repository, numbers=tuple(ref.number for ref in refs)), run


def _branch(ref: str) -> str:
    if not ref.startswith("refs/heads/"):
        raise ConfigError(f"the push is to {ref[:80]!a}", hint="Run `verify` on pushes to branches, not to tags.")
    return ref.removeprefix("refs/heads/")


def _surroundings(event: JsonPart, payload: dict[str, Any], run: RunIdentity) -> tuple[Repository, Actor]:
    """Where it happened and by whom. Raises Misshapen, and ConfigError for what is not this run's."""
    repository = parsing.repository(payload["repository"], "event.repository")
    full_name = event.part("repository").text("full_name")
    if full_name != run.repository or full_name != repository.full_name:
        said = ascii(full_name[:150])
        raise _unusable(f"event.repository.full_name is {said}, but the run belongs to {run.repository}")
    kind, sender = event.part("sender").text("type"), event.actor("sender")
    if sender is None or kind not in set(ActorKind):
        raise _unusable(f"event.sender.type is {kind[:40]!a}, which is no kind of account that may ask for work")
    return repository, sender


def _event(name: str, event: JsonPart, payload: dict[str, Any], run: RunIdentity, issue_number: str) -> Event:
    """Raises Misshapen, and ConfigError for what is not this run's."""
    repository, sender = _surroundings(event, payload, run)
    if name == "workflow_dispatch":
        form = event.part("inputs").maybe("issue_number", str) if event.maybe("inputs", dict) else None
        if not issue_number and form is None:
            hint = "Give the workflow's input `issue_number`, or the action's."
            raise ConfigError("the dispatch names no issue", hint=hint)
        refs = parse_references(issue_number or form or "", run.repository, run.server_url)
        return Dispatched(repository=repository, sender=sender, issues=refs)
    issue = parsing.issue(payload["issue"], run.repository, "event.issue")
    named = parse_references(issue_number, run.repository, run.server_url) if issue_number else ()
    if payload.get("action") == "closed":
        return Closed(repository=repository, issue=issue, sender=sender, only=named)
    if named and named != (issue.ref,):
        raise ConfigError(
            f"the label was applied to {issue.ref}, but issue_number names another issue",
            hint="Leave issue_number empty for label events; dispatch the workflow to name issues by hand.",
        )
    return Labelled(repository=repository, issue=issue, label=event.part("label").text("name"), sender=sender)


def _unusable(what: str) -> ConfigError:
    start = "start the workflow by `issues: types: [labeled, closed]` or `workflow_dispatch`"
    return ConfigError(what, hint=f"The event file comes from GitHub's runner; {start}.")


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
            raise _unusable(f"{name} is {value[:40]!a}, not a number above 0")
        numbers[name] = int(value)
    server = (environment.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
    url = urlsplit(server)
    if not (url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK)) or not url.hostname:
        raise _unusable(f"GITHUB_SERVER_URL is {server[:80]!a}, not an https address")
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
                raise _unusable("the event file (GITHUB_EVENT_PATH) is not a regular file")
            content = file.read(LARGEST_EVENT_BYTES + 1)
    except OSError as error:
        raise _unusable(f"the event file (GITHUB_EVENT_PATH) cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_EVENT_BYTES:
        raise _unusable(f"the event file is larger than {LARGEST_EVENT_BYTES:,} bytes")
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
        json.dumps(found, ensure_ascii=False).encode()
        return found
    except UnicodeDecodeError as error:
        raise _unusable(f"the event file is not UTF-8 at byte {error.start}") from None
    except UnicodeEncodeError:
        raise _unusable("the event file holds half of a surrogate pair") from None
    except json.JSONDecodeError as error:
        raise _unusable(f"the event file is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _unusable("the event file is nested too deeply") from None
    except ValueError as error:  # a number of more digits than Python converts
        raise _unusable(f"the event file holds an unusable value: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _unusable(f"the event file has the key {twice[:60]!a} twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise _unusable(f"the event file holds {name}, which is not JSON")
