"""What discovery cannot tell: as findings, and as lines of the policy file that answer it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from ops_agent.core.sources.layout_files import RootFiles
from ops_agent.domain.layout import TerraformRoot
from ops_agent.domain.verdict import Finding, Place

_ADD = "Add the file, or map roots and environments under `layout:` in `.github/ops-agent.yml` (docs/setup/policy-file.md)."
_MAP = "Write the mapping that `ops-agent doctor` prints into `.github/ops-agent.yml` (docs/setup/policy-file.md)."
UNREAD_REMEDY = "Correct the file on the base branch, or let the issue ask for exactly that."
NO_ROOT_REMEDY = (
    "Give the directory that Terraform runs in a backend (`backend/ENVIRONMENT/backend.hcl` beside it for each environment), or map it "
    "under `layout:` in `.github/ops-agent.yml` (docs/setup/policy-file.md)."
)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_MISSING = "WRITE-THE-PATH-OF-ITS-BACKEND-FILE"
_STACKS = (".tfstack.hcl", ".tfcomponent.hcl", ".tfdeploy.hcl")
_TERRAGRUNT = ("terragrunt.hcl", "terragrunt.hcl.json", "terragrunt.stack.hcl")


def layout_finding(rule: str, path: str, what: str, remedy: str = _ADD, *, blocks: bool = False) -> Finding:
    """A finding about the layout; discovery's own never block. `rule` is the last part of its id."""
    return Finding(
        rule=f"layout/{rule}",
        title="The repository's layout leaves a question open",
        place=Place(path=path),
        what=what,
        remedy=remedy,
        blocks=blocks,
    )


def open_question(rule: str, path: str, what: str) -> Finding:
    """A finding that a mapping answers."""
    return layout_finding(rule, path, what, _MAP)


def foreign_tools(paths: Iterable[str]) -> list[Finding]:
    """Tools that decide what Terraform runs with, and that are not run here: what they generate or hand over is not seen."""
    found: dict[str, str] = {}
    for path in sorted(paths):
        name = path.rpartition("/")[2]
        if name in _TERRAGRUNT:
            found.setdefault("terragrunt", path)
        elif name.endswith(_STACKS):
            found.setdefault("stacks", path)
    findings = []
    if "terragrunt" in found:
        what = "Terragrunt is not supported: ops-agent does not see the backends and inputs that it makes, and plans nothing that it runs"
        remedy = "Map the roots that plain Terraform can run, if there are any; changes of the others are judged by their text alone."
        findings.append(layout_finding("terragrunt", found["terragrunt"], what, remedy))
    if "stacks" in found:
        what = "Terraform Stacks are not supported: components and deployments are not planned"
        findings.append(layout_finding("stacks", found["stacks"], what, "Changes of them are judged by their text alone."))
    return findings


def mapping_lines(roots: Iterable[tuple[TerraformRoot, RootFiles]]) -> str:
    """The `layout:` of the policy file for roots with open questions: the candidates that were found, the others as comments.

    A path that nobody can know stands in capitals; with it the file does not pass as it is, on purpose.
    """
    lines: list[str] = []
    for root, files in roots:
        settled = {e.name: e for e in root.environments if not e.unsettled}
        names = dict.fromkeys([*(e.name for e in root.environments), *(c.name for c in files.by_environment.values())])
        lines += [f"  - root: {_text(root.path)}", "    environments:"]
        by_name = {c.name: c for c in files.by_environment.values()}
        for name in names or {"dev": None}:
            if name in settled:
                kept = settled[name]
                backends, variables = [kept.backend_file] if kept.backend_file else [], list(kept.var_files)
            else:
                candidates = by_name.get(name)
                backends = list(candidates.backends) if candidates else []
                variables = list(candidates.variables) if candidates else []
            wants_backend = root.has_backend and name not in settled
            given = [f"backend: {_text(backends[0] if backends else _MISSING)}"] if backends or wants_backend else []
            given += [f"variables: [{', '.join(_text(v) for v in variables)}]"] if variables else []
            others = f"  # or {', '.join(_text(b) for b in backends[1:])}: keep the one of this root" if len(backends) > 1 else ""
            lines.append(f"      {_text(name)}: {{ {', '.join(given)} }}{others}" if given else f"      {_text(name)}: {{}}")
        loose = [*files.contradictory, *files.unnamed]
        lines += [f"      # of no environment, or of two: {', '.join(_text(path) for path in loose[:5])}"] if loose else []
    return "\n".join(["layout:", *lines]) if lines else ""


def _text(value: str) -> str:
    return value if _PLAIN.fullmatch(value) and not value.isdigit() else json.dumps(value)
