"""The source rules over what people wrote: the changes of a checkout, or all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ops_agent.config.settings import Settings
from ops_agent.guard.judge import judge
from ops_agent.guard.paths import is_backend_file, is_workflow
from ops_agent.guard.rule import Rule, RuleFunction
from ops_agent.guard.rules import TABLE
from ops_agent.guard.tree import FilesInMemory, SourceTree
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.policy import Policy
from ops_agent.model.ports import Linters
from ops_agent.run.judge import lint
from ops_agent.terraform.modules import is_configuration

OF_THE_AGENT = frozenset(
    {
        "path/allowed-path",
        "path/own-workflow",
        "path/too-large",
        "terraform/written-file-read",
        "workflow/executed-file",
    }
)
"""Bounds of what the agent may write. People write scripts, templates, lock files and this agent's own workflow."""
SHOWN_TO_PEOPLE = frozenset({"terraform/backend-changed", "terraform/backend-file-changed"})
"""The agent asks people to do this. When people do it, it is a danger that heads the list, and does not block."""
OF_A_CHANGE = frozenset({"workflow/privileged-step"})
"""Says that something is new where people decided on it before: of a whole tree it would say that of everything."""
_IN_INFRASTRUCTURE = frozenset({"path/hidden-text", "secret/random-text"})
"""Right about infrastructure and workflows, and noise about lock files, tests and minified code."""
_INPUTS = {
    "aws_accounts": frozenset(
        {
            "terraform/foreign-account",
            "terraform/misplaced-account",
            "terraform/account-of-another-environment",
            "terraform/assembled-account",
            "terraform/root-account",
            "terraform/documented-foreign-account",
            "terraform/missing-environment-file",
        }
    ),
    "aws_region": frozenset(
        {
            "terraform/foreign-region",
            "terraform/assembled-region",
            "terraform/provider-region",
            "terraform/resource-region",
            "workflow/workflow-region",
        }
    ),
}
"""What the rules cannot know without an input: no default is made up for people's repositories."""
_MOST_FINDINGS = 10_000


def without_defaults(settings: Settings, inputs: Mapping[str, str]) -> tuple[Policy, tuple[str, ...]]:
    """The policy without the accounts and the region that nobody gave, and the names of those inputs."""
    missing = tuple(name for name in _INPUTS if not inputs.get(f"INPUT_{name.upper()}", "").strip())
    policy = settings.policy
    if "aws_accounts" in missing:
        policy = replace(policy, accounts={})
    return replace(policy, region="") if "aws_region" in missing else policy, missing


def rules_for_people(missing: tuple[str, ...], *, whole: bool) -> tuple[Rule, ...]:
    """The rules that are right about what people write, without those that need an input that is `missing`."""
    left_out = OF_THE_AGENT.union(*(_INPUTS[name] for name in missing), OF_A_CHANGE if whole else ())
    return tuple(_for_people(rule) for rule in TABLE if rule.id not in left_out)


def _for_people(rule: Rule) -> Rule:
    if rule.id in SHOWN_TO_PEOPLE:
        return replace(rule, severity=Severity.DANGER)
    return replace(rule, function=_in_infrastructure(rule.function)) if rule.id in _IN_INFRASTRUCTURE else rule


def _in_infrastructure(function: RuleFunction) -> RuleFunction:
    def limited(subject: Any) -> Iterator[Finding]:
        if is_judged(subject.path) or subject.path.endswith((".md", ".tftpl", ".tpl")):
            yield from function(subject)

    return limited


def judge_change(
    linters: Linters, changes: ChangeSet, base: SourceTree, missing: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Every finding about a change of people. Whether an action's commit is its tag's is not asked: that needs GitHub."""
    table = rules_for_people(missing, whole=False)
    return judge(changes, base, base.policy, lint=lint(linters, changes), table=table, most=_MOST_FINDINGS).findings


def judge_tree(
    linters: Linters,
    paths: frozenset[str],
    read: Callable[[str], bytes],
    scope: str,
    policy: Policy,
    missing: tuple[str, ...],
) -> tuple[Finding, ...]:
    """Every finding about the Terraform and the workflows below `scope` (`infra/`; empty: all) of a tree.

    Terraform is judged as if all of it were new. Workflows are judged as they are: which environments, images and
    runners are in use is for them a fact of the repository.
    """
    judged = sorted(path for path in paths if path.startswith(scope) and is_judged(path))
    changes = tuple(
        FileChange(path=path, before=read(path) if is_workflow(path) else None, after=read(path)) for path in judged
    )
    base = SourceTree(FilesInMemory(paths - {c.path for c in changes if c.before is None}, read), policy)
    change_set = ChangeSet(base_commit="0" * 40, changes=changes)
    linted = lint(linters, ChangeSet(base_commit="", changes=tuple(replace(c, before=None) for c in changes)))
    table = rules_for_people(missing, whole=True)
    found = judge(
        change_set, base, policy, lint=replace(linted, base=linted.head), table=table, most=_MOST_FINDINGS
    ).findings
    return tuple(replace(finding, pre_existing=False) for finding in found)


def is_judged(path: str) -> bool:
    """True for what is judged of a whole tree: Terraform with its variable and backend files, and workflows."""
    is_terraform = is_configuration(path) or path.endswith((".tfvars", ".tfvars.json")) or is_backend_file(path)
    return is_terraform or is_workflow(path)
