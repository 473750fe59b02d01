"""The source rules over what people wrote: the changes of a checkout, or all of it (guard/data/people.txt)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ops_agent.config.settings import Settings
from ops_agent.guard.data import table
from ops_agent.guard.judge import judge
from ops_agent.guard.paths import is_backend_file, is_workflow
from ops_agent.guard.rule import Rule, RuleFunction
from ops_agent.guard.rules import TABLE
from ops_agent.guard.tree import FilesInMemory, SourceTree
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.model.policy import Policy
from ops_agent.model.ports import Linters
from ops_agent.run.judge import lint
from ops_agent.terraform.modules import is_configuration

_WITHOUT_DEFAULT = ("aws_accounts", "aws_region")
_MAX_FINDINGS = 10_000


def without_defaults(settings: Settings, inputs: Mapping[str, str]) -> tuple[Policy, tuple[str, ...]]:
    """The policy without the accounts and the region that nobody gave, and the names of those inputs."""
    missing = tuple(name for name in _WITHOUT_DEFAULT if not inputs.get(f"INPUT_{name.upper()}", "").strip())
    policy = replace(settings.policy, accounts={}) if "aws_accounts" in missing else settings.policy
    return replace(policy, region="") if "aws_region" in missing else policy, missing


def judge_change(
    linters: Linters, changes: ChangeSet, base: SourceTree, missing: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Every finding about a change by people, without the rules that need a `missing` input. Whether an action's commit
    is its tag's is not asked: that needs GitHub. Pictures and other binary files are no part of it.
    """
    texts = tuple(c for c in changes.changes if is_judged(c.path) or b"\0" not in (c.after or c.before or b"")[:8000])
    changes = replace(changes, changes=texts)
    rules = rules_for_people("agent", *missing)
    return judge(changes, base, base.policy, lint=lint(linters, changes), table=rules, most=_MAX_FINDINGS).findings


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
    contents = {path: read(path) for path in sorted(paths) if path.startswith(scope) and is_judged(path)}
    changes = ChangeSet(
        base_commit="0" * 40,
        changes=tuple(FileChange(path=p, before=c if is_workflow(p) else None, after=c) for p, c in contents.items()),
    )
    base = SourceTree(FilesInMemory({p for p in paths if p not in contents or is_workflow(p)}, read), policy)
    linted = lint(linters, replace(changes, changes=tuple(replace(c, before=None) for c in changes.changes)))
    rules, both = rules_for_people("agent", "change", *missing), replace(linted, base=linted.head)
    found = judge(changes, base, policy, lint=both, table=rules, most=_MAX_FINDINGS).findings
    return tuple(replace(finding, pre_existing=False) for finding in found)


def is_judged(path: str) -> bool:
    """True for what is judged of a whole tree: Terraform with its variable and backend files, and workflows."""
    is_terraform = is_configuration(path) or path.endswith((".tfvars", ".tfvars.json")) or is_backend_file(path)
    return is_terraform or is_workflow(path)


def unjudged(
    path: str, what: str, remedy: str = "Replace it by a regular file of at most 1 MB, or review it by hand."
) -> Finding:
    """The finding about a file that nobody has judged."""
    return Finding(rule="check/files", what=what, place=Place(path=path), remedy=remedy)


def rules_for_people(*left_out: str) -> tuple[Rule, ...]:
    """The rules as they hold for people, without those of the entries `left_out`."""
    of, without = table("people"), {rule for entry in left_out for rule in table("people")[entry]}
    rules = []
    for rule in (r for r in TABLE if r.id not in without):
        severity = Severity.DECISION if rule.id in of["decision"] else rule.severity
        is_limited = rule.id in of["infrastructure"]
        function = partial(_in_infrastructure, rule.function) if is_limited else rule.function
        rules.append(replace(rule, severity=severity, function=function))
    return tuple(rules)


def _in_infrastructure(function: RuleFunction, subject: Any) -> Iterator[Finding]:
    if is_judged(subject.path) or subject.path.endswith((".md", ".tftpl", ".tpl")):
        yield from function(subject)
