"""No rule crashes on a workflow, whatever is written where GitHub allows a text, a list or a mapping."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ops_agent.guard.judge import judge
from ops_agent.guard.tree import FilesInMemory
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
    return [f.what for f in verdict.findings if f.rule == "guard/rule-crashed"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(None, {"on": {}, "jobs": {"a": {"steps": {"name": {"run": None}}}}})
@given(st.none() | WORKFLOW, WORKFLOW)
def test_no_rule_crashes_on_any_workflow(before: Any, after: Any) -> None:
    assert crashes(None if before is None else json.dumps(before), json.dumps(after)) == []


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
