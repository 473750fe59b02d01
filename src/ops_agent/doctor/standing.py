"""The doctor's look at what stands on the base branch: can it be read and loaded, and does it keep to region, accounts and states?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ops_agent.core.guard.judge import judge
from ops_agent.core.guard.table import TABLE
from ops_agent.core.guard.trees import FilesInMemory
from ops_agent.core.sources.module_calls import is_configuration
from ops_agent.core.sources.run_obstacles import broken_files
from ops_agent.doctor.diagnosis import Diagnosis, Health
from ops_agent.domain.change_set import ChangeSet, FileChange
from ops_agent.domain.layout import Layout
from ops_agent.domain.verdict import Finding
from ops_agent.ports import BaseTree
from ops_agent.settings import Settings

STANDING_RULES: Final = frozenset(
    {"terraform/foreign-region", "terraform/foreign-account", "terraform/account-of-another-environment", "terraform/shared-state"}
)
"""The guard's rules about where things are. What else stands is the team's own matter until somebody changes it."""

_MOST: Final = 20


def check_standing(layout: Layout, tree: BaseTree, settings: Settings) -> Iterator[Diagnosis]:
    """A diagnosis for each place. FAIL when no root is left that Terraform can load: nothing could be verified then."""
    paths = [path for path, entry in tree.entries().items() if entry.is_regular]
    broken = broken_files(layout, paths, tree.read)
    health = Health.FAIL if broken and not loadable_roots(layout, broken) else Health.WARN
    yield from _named(broken, health, "")
    yield from _named(standing_findings(layout, tree, settings), Health.WARN, " It stands already: no change is stopped for it.")


def loadable_roots(layout: Layout, broken: tuple[Finding, ...]) -> tuple[str, ...]:
    """Roots that hold none of `broken`, nor do the modules that they reach; an environment's file spoils that environment only."""
    spoilt = {f.place.path.rpartition("/")[0] or "." for f in broken if is_configuration(f.place.path)}
    return tuple(root.path for root in layout.roots if not spoilt & {root.path, *root.local_modules})


def standing_findings(layout: Layout, tree: BaseTree, settings: Settings) -> tuple[Finding, ...]:
    """What the guard's own rules say of the base branch: its roots, their modules and the files of environments."""
    reached = {directory for root in layout.roots for directory in (root.path, *root.local_modules)}
    files = {p for root in layout.roots for e in root.environments for p in (e.backend_file, *e.var_files) if p}
    paths = [path for path, entry in tree.entries().items() if entry.is_regular]
    wanted = [p for p in sorted(paths) if p in files or (is_configuration(p) and (p.rpartition("/")[0] or ".") in reached)]
    changes = tuple(FileChange(path=p, before=content, after=content) for p in wanted for content in (tree.read(p),))
    rules = tuple(rule for rule in TABLE if rule.id in STANDING_RULES)
    return judge(
        ChangeSet(base_commit=tree.commit, changes=changes), FilesInMemory(paths, tree.read), settings.policy, table=rules
    ).findings


def _named(findings: tuple[Finding, ...], health: Health, more: str) -> Iterator[Diagnosis]:
    for finding in findings[:_MOST]:
        yield Diagnosis(subject="sources", health=health, what=f"{finding.place}: {finding.what}", hint=finding.remedy + more)
    if len(findings) > _MOST:
        yield Diagnosis(subject="sources", health=health, what=f"and {len(findings) - _MOST} more places like these")
