"""What the tool `check` does: the judge first, then format and validation of the touched roots, without credentials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ops_agent.core.briefing.briefing import check_material, findings_material
from ops_agent.core.sources.layout import affected_roots, discover_layout
from ops_agent.domain.briefing import Briefing
from ops_agent.domain.change_set import ChangeSet
from ops_agent.domain.layout import TerraformRoot, TerraformTarget
from ops_agent.domain.verification import CheckResult, CheckStatus
from ops_agent.errors import ToolchainError
from ops_agent.ports import Scratch, World
from ops_agent.settings import Settings
from ops_agent.stages.judge import judge_sources, pin_actions
from ops_agent.stages.modules import fetch_modules

MAX_ROOTS = 4


def quick_check(world: World, settings: Settings, briefing: Briefing, scratch: Scratch) -> dict[str, Any]:
    """Findings and checks as material for the llm. Nothing is executed while a rule blocks: init and validate run what was written."""
    pinned = pin_actions(world, settings, scratch)
    changes = scratch.change_set()
    if not changes.changes:
        return {"passed": False, "note": "nothing is changed yet"}
    verdict = judge_sources(world, settings, briefing.work_item, scratch.base, changes)
    told: dict[str, Any] = {
        "changed": list(changes.paths),
        "findings": findings_material(tuple(f for f in verdict.findings if not f.pre_existing)),
    }
    if pinned:
        told["pinned"] = f"code replaced the tags of {len(pinned)} actions by commits: read the workflow again before you edit it"
    if verdict.blocked:
        return {"passed": False, **told, "note": "a finding blocks, so nothing was executed; mend it and check again"}
    results = list(_terraform_checks(world, settings, scratch, changes))
    failed = [r for r in results if r.status is CheckStatus.FAILED]
    told["checks"] = [check_material(r) for r in results]
    return {"passed": not failed, **told}


def _terraform_checks(world: World, settings: Settings, scratch: Scratch, changes: ChangeSet) -> Iterator[CheckResult]:
    layout = discover_layout(scratch.paths(), scratch.read, settings.policy)
    for root in affected_roots(layout, changes.paths)[:MAX_ROOTS]:
        yield world.terraform.fmt(scratch.root, root)
        yield from _validation(world, scratch, root)


def _validation(world: World, scratch: Scratch, root: TerraformRoot) -> Iterator[CheckResult]:
    if not root.environments:
        return
    target = TerraformTarget(root=root, environment=root.environments[0])
    try:
        world.terraform.self_test()
        fetch_modules(world, scratch.base, (root,))
        with world.terraform.workspace(scratch.root, target, None) as workspace:
            init = workspace.init()
            yield init
            if init.status is CheckStatus.PASSED:
                yield workspace.validate()
    except ToolchainError as error:
        yield CheckResult(name="validate", subject=root.path, status=CheckStatus.NOT_RUN, output=str(error))
