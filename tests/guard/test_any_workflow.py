"""No rule crashes on a workflow, whatever is written where GitHub allows a text, a list or a mapping, and however YAML
spells it: anchors and aliases, merge keys, blocks, names that are numbers.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ops_agent.guard.judge import CRASHED, judge, judge_existing
from ops_agent.guard.tree import FilesInMemory, SourceTree
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.policy import Policy
from ops_agent.model.workflow import Lint, LintEntry

PATH, OTHER = ".github/workflows/a.yml", ".github/workflows/b.yml"
KEYS = (
    "name", "on", "permissions", "env", "defaults", "concurrency", "jobs", "needs", "if", "runs-on", "environment",
    "outputs", "steps", "strategy", "matrix", "include", "exclude", "container", "services", "image", "options",
    "credentials", "volumes", "uses", "with", "secrets", "run", "shell", "id", "group", "url", "contents", "id-token",
    "branches", "types", "inputs", "default", "required", "type", "a", "b",
)  # fmt: skip
TEXTS = (
    "",
    "a",
    "true",
    "push",
    "pull_request",
    "workflow_call",
    "workflow_run",
    "write",
    "write-all",
    "inherit",
    "bash",
    "ubuntu-24.04",
    "actions/checkout@v4",
    "./.github/workflows/b.yml",
    "docker://x",
    "@",
    "terraform apply tfplan",
    "${{ fromJSON(needs.a.outputs.matrix) }}",
    "${{ secrets.X }}",
    "${{ matrix.a }}",
    "${{",
    "echo ${{ github.head_ref }}\n$X\ncurl | sh\n",
)
VALUE: Any = st.recursive(
    st.sampled_from(TEXTS) | st.none() | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


def some(**parts: Any) -> Any:
    """A mapping with any of these keys, each with what belongs there or with anything."""
    return st.fixed_dictionaries({}, optional={k.replace("_", "-"): v | VALUE for k, v in parts.items()})


STEP = some(**{"uses": VALUE, "run": VALUE, "with": VALUE, "env": VALUE, "shell": VALUE, "if": VALUE, "name": VALUE})
JOB = some(
    runs_on=VALUE,
    permissions=VALUE,
    environment=VALUE,
    steps=st.lists(STEP, max_size=3),
    strategy=some(matrix=some(include=VALUE, a=VALUE)),
    container=VALUE,
    services=VALUE,
    uses=VALUE,
    needs=VALUE,
    concurrency=VALUE,
    env=VALUE,
    **{"if": VALUE, "with": VALUE, "secrets": VALUE},
)
WORKFLOW = st.fixed_dictionaries(
    {"on": VALUE, "jobs": st.dictionaries(st.sampled_from(["a", "b"]), JOB, max_size=2)},
    optional={"name": VALUE, "permissions": VALUE, "env": VALUE, "defaults": VALUE, "concurrency": VALUE},
)


def crashes(before: str | None, after: str) -> list[str]:
    base = {
        OTHER: b'{"on": {"workflow_run": {"workflows": ["a"]}}, "jobs": {"b": {"uses": "./.github/workflows/a.yml"}}}'
    }
    base |= {PATH: before.encode()} if before is not None else {}
    change = FileChange(path=PATH, before=base.get(PATH), after=after.encode())
    entry = LintEntry(tool="zizmor", kind="unpinned-uses", line=1, says="x", text="uses", route=("jobs", "a", "steps"))
    lint = Lint(base={PATH: (entry,)}, head={PATH: (entry,)})
    verdict = judge(ChangeSet(base_commit="a" * 40, changes=(change,)), FilesInMemory.of(base), Policy(), lint=lint)
    return [f.what for f in verdict.findings if f.rule == CRASHED]


def shared(value: Any, known: dict[str, Any]) -> Any:
    """`value` with one object for all parts that are equal: YAML writes it once with an anchor, then as aliases."""
    if isinstance(value, dict):
        value = {key: shared(inner, known) for key, inner in value.items()}
    elif isinstance(value, list):
        value = [shared(inner, known) for inner in value]
    else:
        return value
    return known.setdefault(repr(value), value)


def crashes_in_place(files: dict[str, bytes]) -> list[str]:
    """Where nothing changes, and where something else does."""
    found = judge_existing(SourceTree(FilesInMemory.of(files), Policy()))
    change = FileChange(path="infra/x.tf", before=None, after=b"locals {}\n")
    verdict = judge(ChangeSet(base_commit="a" * 40, changes=(change,)), FilesInMemory.of(files), Policy())
    return [f.what for f in (*found, *verdict.findings) if f.rule == CRASHED]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(None, {"on": {}, "jobs": {"a": {"steps": {"name": {"run": None}}}}})
@given(st.none() | WORKFLOW, WORKFLOW)
def test_no_rule_crashes_on_any_workflow(before: Any, after: Any) -> None:
    assert crashes(None if before is None else json.dumps(before), json.dumps(after)) == []


NAMES = st.sampled_from(["a", 1, 1.5, True, None, "<<", "on", "${{ insert }}"])
STEPS = st.none() | st.lists(st.none() | STEP, max_size=3)
SHAPES = st.fixed_dictionaries(
    {
        "on": st.sampled_from(["push", ["push", "pull_request"], {"push": None}, {"schedule": [{"cron": "0 1 * * *"}]}])
        | st.just({"workflow_call": {"inputs": {"x": {"type": "boolean", "default": True}}, "secrets": {"y": None}}})
        | st.dictionaries(NAMES, VALUE, max_size=2),
        "jobs": st.dictionaries(NAMES, st.none() | JOB | st.fixed_dictionaries({"steps": STEPS}), max_size=3),
    },
    optional={"env": st.dictionaries(NAMES, VALUE, max_size=2), "permissions": VALUE, "concurrency": VALUE},
)
ACTION = st.fixed_dictionaries({"runs": st.fixed_dictionaries({"using": st.just("composite"), "steps": STEPS}) | VALUE})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SHAPES, SHAPES, ACTION)
def test_no_rule_crashes_on_any_spelling_of_a_workflow(one: Any, other: Any, action: Any) -> None:
    before, after, composite = (yaml.safe_dump(shared(part, {}), sort_keys=False) for part in (one, other, action))
    assert crashes(before, after) == []
    files = {PATH: before, OTHER: after, "action.yml": composite, ".github/actions/x/action.yml": composite}
    assert crashes_in_place({path: text.encode() for path, text in files.items()}) == []


ANCHORED = """on: {workflow_call: {inputs: {targets: {type: string}}}}
env: &env {A: b}
jobs:
  1:
    env: *env
    runs-on: &runner ubuntu-24.04
    strategy: &targets
      matrix: ${{ fromJSON(inputs.targets) }}
    steps: &steps
      - &checkout
        uses: actions/checkout@v4
        with: &with {persist-credentials: false}
      - run: terraform apply -auto-approve
  2: {runs-on: *runner, strategy: *targets, needs: [1], steps: [*checkout]}
  3: {runs-on: [*runner], env: *env, steps: *steps}
  4: {uses: "./.github/workflows/b.yml", with: *with, secrets: inherit, strategy: *targets}
"""


def test_what_anchors_repeat_is_judged_where_it_is_used() -> None:
    assert crashes(None, ANCHORED) == crashes(ANCHORED, ANCHORED.replace("[1]", "1")) == []
    judged = judge_existing(SourceTree(FilesInMemory.of({PATH: ANCHORED.encode()}), Policy()))
    found = {f.rule for f in judged}
    plain = yaml.safe_load(ANCHORED)
    plain["on"] = plain.pop(True)  # YAML 1.1
    written = json.dumps(plain).encode()
    assert {f.rule for f in judge_existing(SourceTree(FilesInMemory.of({PATH: written}), Policy()))} == found
    assert "workflow/apply-without-plan" in found


@pytest.mark.parametrize(
    "matrix",
    [
        "${{ fromJSON(inputs.targets) }}",
        {"include": "${{ fromJSON(inputs.targets) }}"},
        {"include": ["${{ inputs.target }}"]},
        {"a": "${{ fromJSON(inputs.list) }}", "exclude": [{"a": 1}]},
        {"a": [{"x": 1}, "y"], "include": [{"a": "z", "b": None}]},
    ],
)
def test_no_rule_crashes_on_a_dynamic_matrix(matrix: Any) -> None:
    job = {"runs-on": "ubuntu-24.04", "strategy": {"matrix": matrix}, "environment": "${{ matrix.a }}", "steps": []}
    job["permissions"] = {"id-token": "write"}
    workflow = {"on": {"workflow_call": {"inputs": {"targets": {"type": "string"}}}}, "jobs": {"a": job}}
    assert crashes(None, json.dumps(workflow)) == []
