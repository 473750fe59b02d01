"""The only place of the replay that touches ops-agent: a change and derived settings in, findings out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from corpus.derived_settings import DerivedSettings
from ops_agent.adapters.linters import WheelLinters
from ops_agent.guard.judge import judge
from ops_agent.guard.paths import is_workflow
from ops_agent.guard.pins import find_uses, is_commit, pin
from ops_agent.guard.tree import FilesInMemory
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.finding import Finding
from ops_agent.model.policy import Policy
from ops_agent.model.workflow import Lint

CRASHED = "guard/rule-crashed"


class Side(NamedTuple):
    """One changed file; None: it does not exist on that side."""

    path: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A finding that blocks and that the base does not have.

    `text` is the line that it is about. `is_own`: the commit wrote that line, or the finding is about a whole file.
    `aside` says why it does not count, empty when it does.
    """

    rule: str
    path: str
    line: int
    what: str
    text: str
    is_own: bool
    aside: str


def warm_up() -> None:
    """Load what every run loads once (parsers, tables), so that no commit pays for it."""
    terraform = b'variable "name" {\n  description = "Its name."\n  type        = string\n}\n'
    workflow = b"on: push\njobs: {}\n"
    sides = [Side("main.tf", None, terraform), Side(".github/workflows/test.yml", None, workflow)]
    refusals(DerivedSettings(), (), lambda _: b"", sides)


def refusals(
    settings: DerivedSettings, paths: Collection[str], read: Callable[[str], bytes], sides: Iterable[Side]
) -> list[Refusal]:
    """Judge a change against a base of `paths`. A rule that crashes is a refusal by the rule `CRASHED`."""
    changes = ChangeSet(
        base_commit="0" * 40,
        changes=tuple(FileChange(path=s.path, before=s.before, after=s.after) for s in sorted(sides)),
    )
    policy = _policy(settings)
    pinned, pins = _pinned(changes, policy, settings.pins)
    verdict = judge(pinned, FilesInMemory(paths, read), policy, known_pins=pins, lint=_lint(pinned))
    return [_refusal(finding, changes, settings) for finding in verdict.blocking]


def _lint(changes: ChangeSet) -> Lint:
    workflows = [c for c in changes.changes if is_workflow(c.path)]
    before = {c.path: c.before for c in workflows if c.before is not None}
    return Lint(
        base=WheelLinters().check(before),
        head=WheelLinters().check({c.path: c.after for c in workflows if c.after is not None}),
    )


def _refusal(finding: Finding, changes: ChangeSet, settings: DerivedSettings) -> Refusal:
    path, line = finding.place.path, finding.place.line
    changed = next((c for c in changes.changes if c.path == path), None)
    before, after = ((side or b"").decode(errors="replace").split("\n") for side in _sides(changed))
    text = after[line - 1].strip() if 0 < line <= len(after) else ""
    is_own = changed is not None and text not in {known.strip() for known in before if line}
    return Refusal(finding.rule, path, line, finding.what, text, is_own, _aside(finding, settings))


def _sides(changed: FileChange | None) -> tuple[bytes | None, bytes | None]:
    return (changed.before, changed.after) if changed else (None, None)


def _policy(settings: DerivedSettings) -> Policy:
    usual = Policy()
    return Policy(
        region=settings.region or usual.region,
        accounts=settings.accounts,
        allowed_providers=(*usual.allowed_providers, *sorted(settings.providers)),
        allowed_modules=tuple(sorted(settings.modules)),
        allowed_uses=tuple(sorted({*usual.allowed_uses, *settings.uses})),
        allowed_secrets=tuple(sorted(settings.secrets)),
        allowed_permissions=tuple(sorted(settings.permissions)),
        account_files=(*usual.account_files, *sorted(p.replace("[", "[[]") for p in settings.account_files)),
    )


def _pinned(changes: ChangeSet, policy: Policy, pins: frozenset[str]) -> tuple[ChangeSet, frozenset[str]]:
    """What a run does before it judges: tags of allowed actions become commits, a commit beside its tag is looked up.

    No network here: a tag's commit is made up, and a commit beside a tag is believed.
    """
    allowed = {u.casefold() for u in policy.allowed_uses}
    used = [u for u in find_uses(changes) if u.name.casefold() in allowed]
    commits = {
        (u.uses, u.ref): hashlib.sha1(f"{u.uses}@{u.ref}".encode()).hexdigest() for u in used if not is_commit(u.ref)
    }
    known = {*pins, *(f"{uses}@{commit}" for (uses, _), commit in commits.items())}
    known |= {f"{u.uses}@{u.ref}" for u in used if is_commit(u.ref) and u.tag and not is_commit(u.tag)}
    return pin(changes, commits), frozenset(k.casefold() for k in known)


def _aside(finding: Finding, settings: DerivedSettings) -> str:
    if finding.rule.startswith("path/"):
        return "holds for an agent only"
    named = {region for region in settings.regions if f"`{region}" in finding.what}
    if "region" in finding.rule and named and named != {settings.region}:
        return "a second region of the repository"
    return ""
