"""What the tool `check` does: the judge first, then format and validation of the touched roots, without credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ops_agent.core.briefing.briefing import check_material, findings_material
from ops_agent.core.sources.init_inputs import init_inputs
from ops_agent.core.sources.layout import affected_roots, discover_layout
from ops_agent.domain.briefing import Briefing
from ops_agent.domain.change_set import ChangeSet
from ops_agent.domain.layout import TerraformRoot, TerraformTarget
from ops_agent.domain.verification import CheckResult, CheckStatus
from ops_agent.errors import ToolchainError
from ops_agent.ports import Scratch, World
from ops_agent.settings import Settings
from ops_agent.stages.converse_cells import KeptCells, not_run
from ops_agent.stages.judge import judge_sources, pin_actions
from ops_agent.stages.modules import fetch_modules
from ops_agent.stages.verify_jobs import run_all

MAX_ROOTS = 4


class QuickChecks:
    """The checks of one conversation. `close` it with the conversation."""

    def __init__(self, world: World, settings: Settings, briefing: Briefing, scratch: Scratch) -> None:
        self._world, self._settings, self._briefing, self._scratch = world, settings, briefing, scratch
        self._cells = KeptCells(world, settings.policy.allowed_providers)

    def run(self) -> dict[str, Any]:
        """Findings and checks as material for the llm. Nothing is executed while a rule blocks: init and validate run what was written."""
        world, settings, scratch = self._world, self._settings, self._scratch
        pinned = pin_actions(world, settings, scratch)
        changes = scratch.change_set()
        if not changes.changes:
            return {"passed": False, "note": "nothing is changed yet"}
        verdict = judge_sources(world, settings, self._briefing.work_item, scratch.base, changes)
        told: dict[str, Any] = {
            "changed": list(changes.paths),
            "findings": findings_material(tuple(f for f in verdict.findings if not f.pre_existing)),
        }
        if pinned:
            told["pinned"] = f"code replaced the tags of {len(pinned)} actions by commits: read the workflow again before you edit it"
        if verdict.blocked:
            return {"passed": False, **told, "note": "a finding blocks, so nothing was executed; mend it and check again"}
        results = list(self._terraform_checks(changes))
        failed = [r for r in results if r.status is CheckStatus.FAILED]
        told["checks"] = [check_material(r) for r in results]
        return {"passed": not failed, **told}

    def close(self) -> None:
        self._cells.close()

    def _terraform_checks(self, changes: ChangeSet) -> Iterator[CheckResult]:
        """Of each touched root, all roots side by side: fmt; then init, where the root has to be initialised, and validate."""
        world, scratch = self._world, self._scratch
        paths = scratch.paths()
        layout = discover_layout(paths, scratch.read, self._settings.policy)
        roots = affected_roots(layout, changes.paths)[:MAX_ROOTS]
        served = [root for root in roots if root.environments]
        broken = self._unusable(served)
        jobs: dict[str, Callable[[], tuple[CheckResult, ...]]] = {}
        for root in served:
            target = TerraformTarget(root=root, environment=root.environments[0])
            inputs = init_inputs(root, paths, scratch.read)
            jobs[f"validate {root.path}"] = (
                partial(self._cells.validate, scratch.root, target, inputs) if broken is None else partial(not_run, root, broken)
            )
        for root in roots:
            jobs[f"fmt {root.path}"] = partial(self._fmt, root)
        done = run_all(world, jobs)
        self._cells.keep_at_most(MAX_ROOTS)
        for root in roots:
            yield from (*done[f"fmt {root.path}"], *done.get(f"validate {root.path}", ()))

    def _fmt(self, root: TerraformRoot) -> tuple[CheckResult, ...]:
        return (self._world.terraform.fmt(self._scratch.root, root),)

    def _unusable(self, roots: list[TerraformRoot]) -> ToolchainError | None:
        """Why no root can be validated here, None when all can. Modules are fetched before any job, beside nothing of the llm's."""
        try:
            if roots:
                self._world.terraform.self_test()
                fetch_modules(self._world, self._scratch.base, roots)
        except ToolchainError as error:
            return error
        return None
