"""Modules that a change touches and no root calls: no plan shows what they do, so they are checked by themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ops_agent.guard.providers import takes_configurations
from ops_agent.guard.tree import SourceTree
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.terraform import NO_ENVIRONMENT, TerraformRoot, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.run.base_failures import BaseFailures
from ops_agent.run.target import Head, fmt, redacted, validated
from ops_agent.terraform.modules import directory_of, is_configuration


def uncalled_modules(after: SourceTree, changes: ChangeSet) -> tuple[TerraformRoot, ...]:
    """The directories of changed configuration that no root of `after` loads, there or through symbolic links, each as
    a root without environments.
    """
    loaded = {c.leads_to or c.path for c in changes.changes if directory_of(c.path) in after.reached_directories}
    written = {c.path for c in changes.written.changes if c.after is not None and is_configuration(c.path)} - loaded
    return tuple(TerraformRoot(path=path, environments=()) for path in sorted(set(map(directory_of, written))))


def check_module(
    head: Head, module: TerraformRoot, after: SourceTree, known: BaseFailures, untouched: Path
) -> tuple[CheckResult, ...]:
    """fmt and validate of one module. What it fails on the base commit too, whose files are in `untouched`, is
    `ON_BASE`. With `configuration_aliases` it is not validated: Terraform fails such a module without a caller
    (https://github.com/hashicorp/terraform/issues/28490).
    """
    if takes_configurations(after, module.path):
        why = "its callers give it provider configurations (`configuration_aliases`), which `validate` needs"
        alone = CheckResult(name="validate", subject=module.path, status=CheckStatus.NOT_RUN, output=why)
        return fmt(head, module), alone
    result = _validated(head, module, head.tree)
    on_base = head.base.entries()
    if result.status is CheckStatus.FAILED and any(directory_of(path) == module.path for path in on_base):
        known.note(_validated(head, module, untouched), untouched)
        result = known.excused(result, module.path, head.read)
    return fmt(head, module), result


def _validated(head: Head, module: TerraformRoot, tree: Path) -> CheckResult:
    """`validate`, not run where `init` fails: versions and remote modules may be what only a caller brings."""
    target = TerraformTarget(root=module, environment=NO_ENVIRONMENT)
    with head.terraform.workspace(tree, target, None, providers=head.providers(module, None)) as workspace:
        ready = redacted(workspace.init(), head.redact)
        if ready.status is CheckStatus.FAILED:
            return replace(ready, name="validate", subject=module.path, status=CheckStatus.NOT_RUN)
        return validated(head, target, workspace)
