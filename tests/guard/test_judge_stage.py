"""The stage: sources by the narrowed policy and known commits, plans with the danger list."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from doubles.linters import QuietLinters
from doubles.tree import MemoryTree
from ops_agent.config.policy_file import narrow_by_policy_file
from ops_agent.config.settings import Settings
from ops_agent.model.errors import ConfigError, ToolchainError
from ops_agent.model.finding import Finding, Verdict
from ops_agent.model.plan import ResourceAction, ResourceChange, TerraformPlan
from ops_agent.model.terraform import Environment, TerraformRoot, TerraformTarget
from ops_agent.model.verification import TargetVerification, Verification
from ops_agent.plan.findings import PLAN_TABLE, finding
from ops_agent.run.judge import judge_plans, judge_sources
from rules.judging import base_files, change_set

COMMIT = "c" * 40
WORKFLOW = (
    "on:\n  workflow_dispatch:\npermissions: {}\njobs:\n  x:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: "
)
PATH = ".github/workflows/x.yml"


def sources(
    written: dict[str, bytes | None],
    base: dict[str, bytes] | None = None,
    tags: dict[str, str] | None = None,
    linters: QuietLinters | None = None,
) -> Verdict:
    files = base_files() if base is None else base
    world: Any = SimpleNamespace(
        branches=SimpleNamespace(resolve_action=lambda uses, ref: (tags or {}).get(f"{uses}@{ref}")),
        terraform=None,
        linters=linters or QuietLinters(),
    )
    base_tree = MemoryTree(files)
    return judge_sources(world, narrow_by_policy_file(Settings(), base_tree), base_tree, change_set(files, written))


def blocking(verdict: Verdict) -> set[str]:
    return {f.rule for f in verdict.blocking}


def test_a_commit_is_known_by_its_tag_or_from_the_base_and_no_other_way() -> None:
    line = f"{WORKFLOW}actions/checkout@{COMMIT} # v4\n".encode()
    assert not blocking(sources({PATH: line}, tags={"actions/checkout@v4": COMMIT}))
    assert blocking(sources({PATH: line}, tags={"actions/checkout@v4": "d" * 40})) == {"workflow/unknown-commit"}
    assert blocking(sources({PATH: line})) == {"workflow/unknown-commit"}
    bare = f"{WORKFLOW}actions/checkout@{COMMIT}\n".encode()
    assert blocking(sources({PATH: bare})) == {"workflow/unknown-commit"}
    base = {**base_files(), ".github/workflows/old.yml": line}
    assert not blocking(sources({PATH: bare}, base))


def test_the_linters_look_at_changed_workflows_before_and_after_and_at_nothing_else() -> None:
    places = [f".github/workflows/{name}.yml" for name in ("changed", "new", "old", "same")]
    changed, new, old, same = places
    text = f"{WORKFLOW}actions/checkout@v4\n".encode()
    linters = QuietLinters()
    base = {**base_files(), changed: text, old: text, same: text}
    sources({changed: b"# moved\n" + text, new: text, old: None, "infra/x.tf": b""}, base, linters=linters)
    assert linters.asked == [(changed, old), (changed, new)]


def test_a_broken_linter_ends_the_run() -> None:
    broken: Any = SimpleNamespace(check=Mock(side_effect=ToolchainError("zizmor is not installed")))
    with pytest.raises(ToolchainError):
        sources({PATH: f"{WORKFLOW}actions/checkout@v4\n".encode()}, linters=broken)


def test_an_unreadable_policy_file_stops_with_every_problem() -> None:
    with pytest.raises(ConfigError) as stopped:
        sources({}, {**base_files(), ".github/ops-agent.yml": b"a: 1\nb: 2\n"})
    assert len(stopped.value.problems) == 2


def test_the_policy_file_closes_a_path() -> None:
    policy = b"closed_paths: [infra/main.tf]\n"
    verdict = sources({"infra/main.tf": b"# nothing\n"}, {**base_files(), ".github/ops-agent.yml": policy})
    assert any("closes" in f.what for f in verdict.blocking)


def plan(*dangers: Finding) -> TerraformPlan:
    changes = tuple(
        ResourceChange(address=d.address, type="aws_dynamodb_table", action=ResourceAction.DELETE) for d in dangers
    )
    return TerraformPlan(
        changes=changes,
        outputs=(),
        drift=(),
        text="",
        canonical_hash="",
        dangers=dangers,
    )


def plans(made: TerraformPlan | None, labels: tuple[str, ...] = (), own: frozenset[str] | None = None) -> Verdict:
    environment = Environment(name="dev", account=None, backend_file=None)
    target = TerraformTarget(root=TerraformRoot(path="infra", environments=(environment,)), environment=environment)
    verification = Verification(engine="x", targets=(TargetVerification(target=target, checks=(), plan=made, own=own),))
    return judge_plans(labels, Verdict(findings=(), rules_run=()), verification)


DESTROYS = finding("destroys-stateful", "aws_dynamodb_table.orders", "is destroyed: its data is deleted")
FOREIGN = finding("foreign-region", "aws_sqs_queue.x", "names region us-east-1")
NOTICE = finding("destroys", "aws_sqs_queue.x", "is destroyed")


def test_destroying_something_stateful_blocks_and_says_which_label_opens_it() -> None:
    (blocked,) = plans(plan(DESTROYS, NOTICE)).blocking
    assert blocked.rule == "plan/destroys-stateful"
    assert "allow-destroy" in blocked.remedy
    assert "aws_dynamodb_table.orders" in blocked.what


def test_a_writers_label_lifts_destroying_and_nothing_else() -> None:
    assert blocking(plans(plan(DESTROYS, FOREIGN), labels=("allow-destroy",))) == {"plan/foreign-region"}


def test_what_the_change_does_not_cause_is_not_blamed() -> None:
    assert not plans(plan(DESTROYS), own=frozenset()).blocked
    assert plans(plan(DESTROYS), own=frozenset({DESTROYS.address})).blocked


def test_a_danger_of_a_provider_is_blamed_whatever_the_change_causes() -> None:
    made = plan()
    made = TerraformPlan(**{f: getattr(made, f) for f in made.__dataclass_fields__} | {"dangers": (FOREIGN,)})
    assert plans(made, own=frozenset()).blocked


def test_a_target_without_a_plan_does_not_block() -> None:
    assert not plans(None).blocked


def test_every_rule_over_plans_ran_when_a_plan_was_read_and_none_without_one() -> None:
    assert plans(plan()).rules_run == tuple(rule.id for rule in PLAN_TABLE)
    assert plans(None).rules_run == ()


UNTAGGED = finding("required-tags", 'module.q["a"].aws_sqs_queue.x[0]', "has no tag `feature`")
WHERE = "module.q.aws_sqs_queue.x"


def standards(
    *given: tuple[str, tuple[Finding, ...]], own: frozenset[str] | None = None
) -> list[tuple[str, str, bool]]:
    """(address, what, whether it is pre-existing) of what the plans of these targets (`root environment`) lack."""
    targets = []
    for name, found in given:
        root, _, environment = name.partition(" ")
        made = Environment(name=environment, account=None, backend_file=None)
        where = TerraformTarget(root=TerraformRoot(path=root, environments=(made,)), environment=made)
        targets.append(TargetVerification(target=where, checks=(), plan=replace(plan(), standards=found), own=own))
    verdict = judge_plans((), Verdict(findings=(), rules_run=()), Verification(engine="x", targets=tuple(targets)))
    assert not verdict.blocked and all(f.remedy and f.title and not f.place.path for f in verdict.findings)
    return [(f.address, f.what, f.pre_existing) for f in verdict.findings]


def test_what_a_resource_lacks_is_said_once_for_its_instances_and_environments() -> None:
    other = replace(UNTAGGED, address='module.q["b"].aws_sqs_queue.x[0]')
    old = replace(UNTAGGED, pre_existing=True)
    same = standards(("infra dev", (UNTAGGED, other)), ("infra prod", (other,)))
    assert same == [(WHERE, "has no tag `feature`", False)]
    assert standards(("infra dev", (UNTAGGED,)), ("infra prod", ())) == [
        (WHERE, "has no tag `feature` in infra (dev)", False)
    ]
    two = standards(("infra dev", (UNTAGGED,)), ("network dev", (old,)))
    assert two == [
        (WHERE, "has no tag `feature` in infra (dev)", False),
        (WHERE, "has no tag `feature` in network (dev)", True),
    ]
    assert standards(("infra dev", (old,)), ("infra prod", (other,))) == [(WHERE, "has no tag `feature`", False)]
    assert standards(("infra dev", (UNTAGGED,)), own=frozenset({other.address})) == []
