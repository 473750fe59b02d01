"""The policy file is read strictly: every problem at once, with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.config.policy_file import PolicyFile, read_policy
from ops_agent.model.terraform import MappedEnvironment, MappedRoot

WHOLE = b"""# limits of this repository
allowed_uses:
  - actions/checkout
allowed_providers: [registry.terraform.io/hashicorp/aws]
workflows: false
environments: [dev]
max_files: 20
max_turns: 40
max_cost_usd: 2.50
closed_paths:
  - infra/network/*
layout:
  - root: stack
    environments:
      dev:
        backend: stack/a.cfg.hcl
        variables: [stack/a.tfvars]
"""


def test_a_whole_file_is_read() -> None:
    policy, problems, _ = read_policy(WHOLE)
    assert not problems
    assert policy == PolicyFile(
        allowed_uses=("actions/checkout",),
        allowed_providers=("registry.terraform.io/hashicorp/aws",),
        workflows=False,
        environments=("dev",),
        max_files=20,
        max_turns=40,
        max_cost_usd=2.5,
        closed_paths=("infra/network/*",),
        layout=policy.layout,
    )
    environment = MappedEnvironment(name="dev", backend_file="stack/a.cfg.hcl", var_files=("stack/a.tfvars",))
    assert [root.mapped() for root in policy.layout] == [MappedRoot(path="stack", environments=(environment,))]


def test_an_empty_file_says_nothing() -> None:
    assert read_policy(b"\n") == (PolicyFile(), (), ())


def test_every_problem_is_reported_at_once_with_its_line() -> None:
    policy, problems, _ = read_policy(
        b"regions: [us-east-1]\nworkflows: maybe\nmax_files: 0\nclosed_paths: [../x]\nlayout: [{root: /x}]\n"
    )
    assert policy == PolicyFile(), "nothing of a value that is wrong is kept"
    assert [p.split(":")[0] for p in problems] == ["line 1", "line 2", "line 3", "line 4", "line 5", "line 5"]


@pytest.mark.parametrize(
    "content",
    [
        b"a: 1\na: 2\n",
        b"- x\n",
        b"allowed_uses: x\n",
        b"allowed_uses: [{a: b}]\n",
        b"workflows: &x true\n",
        b"max_turns: 1e3\n",
        b"max_cost_usd: -1\n",
        b"layout: {}\n",
        b"layout: [{root: x, environments: {dev: {backend: /etc/passwd}}}]\n",
        b"\xff",
        b"a: [",
    ],
)
def test_what_is_not_understood_is_a_problem(content: bytes) -> None:
    assert read_policy(content)[1]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"allowed_modules: x\n", "line 1: `allowed_modules` must be a list"),
        (b"allowed_uses: [{a: b}]\n", "line 1: `allowed_uses` must hold texts only"),
        (b"layout: [x]\n", "line 1: `layout` must have keys with values"),
        (b"- x\n", "line 1: must be keys with values"),
    ],
)
def test_a_problem_says_what_must_be(content: bytes, problem: str) -> None:
    assert read_policy(content)[1] == (problem,)


@given(st.binary(max_size=100))
def test_any_bytes_give_a_policy_or_problems(content: bytes) -> None:
    policy, problems, _ = read_policy(content)
    assert isinstance(policy, PolicyFile) and all(problem.startswith("line ") for problem in problems)
