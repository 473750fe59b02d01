"""Whether the repository's rulesets let us create our branch and commit to it, asked before the llm is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Final

from ops_agent.model.event import Actor, ActorKind
from ops_agent.model.ports import BranchRule, World
from ops_agent.text.markdown import code

REMEDY: Final = (
    "Leave our branches out of the ruleset's target branches, let the token's App or user bypass the ruleset, or "
    "choose another `branch_prefix` (docs/setup/token.md)."
)
_COMMITTER: Final = "noreply@github.com"
"""GitHub's own, of every commit by the API."""
_MATCHES: Final[dict[str, tuple[str, Callable[[str, str], bool]]]] = {
    "starts_with": ("starts with", str.startswith),
    "ends_with": ("ends with", str.endswith),
    "contains": ("contains", str.__contains__),
    "regex": ("matches", lambda text, pattern: re.search(pattern, text) is not None),
}
_SETTLED_ELSEWHERE: Final = {
    "update": "updates are restricted",
    "pull_request": "every commit must come through a pull request",
    "merge_queue": "every commit must come through the merge queue",
    "required_status_checks": "status checks must pass before a commit arrives",
}
_IN_DOUBT: Final = {
    "required_deployments": "deployments must succeed before a commit arrives",
    "workflows": "workflows must pass before a commit arrives",
    "code_scanning": "code scanning must pass before a commit arrives",
}


@dataclass(frozen=True, slots=True)
class BranchRules:
    """What rulesets say about our branch: why GitHub refuses it for sure, why perhaps; the paths that they restrict,
    and what they want of commit messages, which is up to the llm.
    """

    refused: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()


NO_RULES: Final = BranchRules()


def branch_rules(world: World, repository: str, branch: str, *, is_new: bool) -> BranchRules:
    """One request, and one for each ruleset that stands in the way. `is_new`: the branch is still to be created; one
    that exists passed the rules for that. Raises GitHubError.
    """
    ruleset = cache(partial(world.branches.ruleset, repository))
    refused: list[str] = []
    doubtful: list[str] = []
    paths: list[str] = []
    messages: list[str] = []
    for rule in world.branches.rules(repository, branch):
        restricted = tuple(_restricted(rule))
        why, certain = _trouble(rule, branch, world.issues.viewer(), is_new=is_new)
        if not (why or restricted):
            continue
        name, bypass = ruleset(rule.ruleset)
        if bypass:
            continue
        paths += restricted
        if rule.kind == "commit_message_pattern":
            messages.append(why)
        elif why:
            sentence = f"The ruleset {code(name)} applies to our branch {code(branch)}: {why}"
            if certain and bypass is False:
                refused.append(f"{sentence}, and the token may not bypass it.")
            else:
                doubtful.append(f"{sentence}; GitHub may refuse the commit.")
    return BranchRules(tuple(refused), tuple(doubtful), tuple(dict.fromkeys(paths)), tuple(messages))


def _restricted(rule: BranchRule) -> Iterator[str]:
    """Paths that no commit may touch, as GitHub's patterns."""
    if rule.kind == "file_path_restriction":
        yield from map(str, rule.parameters.get("restricted_file_paths") or ())
    if rule.kind == "file_extension_restriction":
        for extension in rule.parameters.get("restricted_file_extensions") or ():
            yield f"**/*.{str(extension).lstrip('*.')}"


def _trouble(rule: BranchRule, branch: str, viewer: Actor, *, is_new: bool) -> tuple[str, bool]:
    """Why `rule` refuses our branch or its commit, empty when it does not, and whether that is certain.

    Not here: signatures (GitHub signs what its API commits), a linear history, forced updates and deletions.
    """
    if rule.kind == "creation" and is_new:
        return "creations are restricted", True
    if rule.kind in _SETTLED_ELSEWHERE:
        nothing = rule.kind == "required_status_checks" and not rule.parameters.get("required_status_checks")
        return "" if nothing else _SETTLED_ELSEWHERE[rule.kind], True
    if rule.kind in _IN_DOUBT:
        return _IN_DOUBT[rule.kind], False
    if rule.kind == "branch_name_pattern" and is_new:
        return _unlike(rule, "a branch's name", branch)
    if rule.kind == "commit_message_pattern":
        return _unlike(rule, "a commit's message", None)
    if rule.kind == "committer_email_pattern":
        return _unlike(rule, f"a committer's address (ours is {_COMMITTER})", _COMMITTER)[0], False
    if rule.kind == "commit_author_email_pattern":
        known = f"{viewer.id}+{viewer.login}@users.noreply.github.com" if viewer.kind is ActorKind.BOT else None
        return _unlike(rule, "an author's address", known)[0], False
    return "", False


def _unlike(rule: BranchRule, what: str, text: str | None) -> tuple[str, bool]:
    """What a rule with a pattern wants, and whether `text` (None: unknown) surely is not that; empty when it is."""
    pattern, negated = str(rule.parameters.get("pattern", "")), bool(rule.parameters.get("negate"))
    words, matches = _MATCHES.get(str(rule.parameters.get("operator")), ("matches", None))
    certain = False
    if text is not None and matches is not None:
        try:
            certain = matches(text, pattern) is negated
        except re.error:  # of another dialect than Python's
            pass
        else:
            if not certain:
                return "", False
    return f"{what} must be one that {'never ' if negated else ''}{words} {code(pattern)}", certain
