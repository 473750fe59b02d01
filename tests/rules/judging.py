"""Samples as changes: a sample becomes a change set against `tests/rules/base`, and is judged under every rule.

A sample is a file (`bad-x.tf`; a first line `# at: path` names its place) or a directory: files that are added, or
`base/` and `head/` with both sides (`path.deleted` takes a file away). `# allows: hashicorp/random` in it allows a
provider, `# allows: git::https://...` a module, `# allows: runs-on:big` a runner.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

from ops_agent.adapters.linters import WheelLinters
from ops_agent.guard.judge import judge
from ops_agent.guard.paths import is_workflow
from ops_agent.guard.pins import find_uses
from ops_agent.guard.tree import FilesInMemory
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.finding import Verdict
from ops_agent.model.policy import Policy
from ops_agent.model.workflow import Lint, LintEntries, LintEntry

HERE = Path(__file__).parent
TAGGED_COMMIT = "a" * 40
"""What every tag of every action means."""
_AT = re.compile(r"^(?:#|<!--) at: (\S+)")
_ALLOWS = re.compile(r"^# allows: (\S+)", re.MULTILINE)
_PLACES = {
    ".tf": "infra/sample.tf",
    ".tfvars": "infra/environments/dev/terraform.tfvars",
    ".hcl": "infra/backend/dev/backend.hcl",
    ".yml": ".github/workflows/sample.yml",
    ".md": "infra/README.md",
}


@cache
def base_files() -> dict[str, bytes]:
    return _files(HERE / "base")


def samples() -> dict[str, list[Path]]:
    """Rule id -> its samples."""
    found: dict[str, list[Path]] = {}
    for path in sorted(HERE.glob("*/*/*")):
        if path.name.startswith(("good-", "bad-")):
            found.setdefault("/".join(path.parts[-3:-1]), []).append(path)
    return found


def sides(sample: Path) -> tuple[dict[str, bytes], dict[str, bytes | None]]:
    """The base's files, and what the sample writes (None: deletes)."""
    base = dict(base_files())
    if sample.is_file():
        content = sample.read_bytes()
        at = _AT.match(content.decode())
        return base, {at[1] if at else _PLACES[sample.suffix]: content}
    two_sided = (sample / "head").is_dir()
    if (sample / "base").is_dir():
        base.update(_files(sample / "base"))
    written: dict[str, bytes | None] = {}
    for path, content in _files(sample / "head" if two_sided else sample).items():
        written[path.removesuffix(".deleted")] = None if path.endswith(".deleted") else content
    return base, written


def policy_of(sample: Path) -> Policy:
    """The usual policy and what the sample allows."""
    files = [sample] if sample.is_file() else [p for p in sample.rglob("*") if p.is_file()]
    allowed = {name for p in files for name in _ALLOWS.findall(p.read_bytes().decode(errors="replace"))}
    runners = tuple(name.removeprefix("runs-on:") for name in allowed if name.startswith("runs-on:"))
    secrets = tuple(name.removeprefix("secret:") for name in allowed if name.startswith("secret:"))
    allowed = {name for name in allowed if not name.startswith(("runs-on:", "secret:"))}
    modules = tuple(sorted(name for name in allowed if "::" in name))
    providers = tuple(f"registry.terraform.io/{name}" for name in sorted(allowed) if "::" not in name)
    usual = Policy()
    return replace(
        usual,
        allowed_modules=modules,
        allowed_providers=(*usual.allowed_providers, *providers),
        allowed_runners=runners,
        allowed_secrets=secrets,
    )


def change_set(base: dict[str, bytes], written: dict[str, bytes | None]) -> ChangeSet:
    changes = tuple(
        FileChange(path=p, before=base.get(p), after=c) for p, c in sorted(written.items()) if base.get(p) != c
    )
    return ChangeSet(base_commit="a" * 40, changes=changes)


def verdict_of(
    written: dict[str, bytes | None], base: dict[str, bytes] | None = None, policy: Policy | None = None
) -> Verdict:
    """Judge files written onto `base` (the samples' base when not given)."""
    base = dict(base_files()) if base is None else base
    changes = change_set(base, written)
    head = {c.path: c.after for c in changes.changes if c.after is not None}
    lint = Lint(base=_lint_of({c.path: c.before for c in changes.changes if c.before is not None}), head=_lint_of(head))
    pins = frozenset(f"{u.uses}@{u.ref}".casefold() for u in find_uses(changes) if u.ref == TAGGED_COMMIT)
    return judge(changes, FilesInMemory.of(base), policy or Policy(), lint=lint, known_pins=pins)


def _lint_of(files: dict[str, bytes]) -> LintEntries:
    """Nothing about a workflow that is not a sample's: our own rules must hold for variants without the linters'
    help.
    """
    return {path: linted().get(content, ()) for path, content in files.items() if is_workflow(path)}


@cache
def linted() -> dict[bytes, tuple[LintEntry, ...]]:
    """What the linters report about every workflow of every sample, by its content; asked once: it takes seconds."""
    contents = {
        content
        for paths in samples().values()
        for side in (side for path in paths for side in sides(path))
        for path, content in side.items()
        if is_workflow(path) and content is not None
    }
    named = {f"{number}.yml": content for number, content in enumerate(sorted(contents))}
    return {named[name]: entries for name, entries in WheelLinters().check(named).items()}


def _files(directory: Path) -> dict[str, bytes]:
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}
