"""The repository's policy file narrows what is allowed and never widens it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles.tree import MemoryTree
from ops_agent.config.policy_file import PolicyFile, narrow, narrow_by_policy_file
from ops_agent.config.settings import Settings
from ops_agent.model.errors import ConfigError
from ops_agent.model.policy import AWS_PROVIDERS, Limits, Policy

AWS = "registry.terraform.io/hashicorp/aws"
WIDE = Settings(
    policy=Policy(
        allowed_modules=("git::https://github.com/DrivvenConsulting/",),
        allowed_permissions=("packages", "issues"),
        allowed_runners=("big", "group:team"),
    ),
    environments=("dev", "prod"),
)


def test_a_silent_file_changes_nothing() -> None:
    assert narrow(WIDE, PolicyFile()) == WIDE
    assert narrow_by_policy_file(WIDE, MemoryTree({})) == WIDE


def test_every_limit_can_be_narrowed() -> None:
    narrowed = narrow(
        WIDE,
        PolicyFile(
            allowed_providers=(AWS,),
            allowed_modules=("git::https://github.com/DrivvenConsulting/modules",),
            allowed_uses=("Actions/Checkout",),
            allowed_secrets=(),
            allowed_permissions=("packages",),
            allowed_runners=("BIG",),
            workflows=False,
            environments=("dev",),
            max_files=5,
            max_turns=7,
            max_cost_usd=0.5,
            closed_paths=("infra/legacy/**",),
            required_tags=("cost-center",),
            tag_values={"environment": ("production",), "cost-center": ("7", "8")},
        ),
    )
    assert narrowed.policy.allowed_providers == (AWS,)
    assert narrowed.policy.allowed_modules == ("git::https://github.com/DrivvenConsulting/modules",)
    assert narrowed.policy.allowed_uses == ("Actions/Checkout",)
    assert narrowed.policy.allowed_permissions == ("packages",)
    assert narrowed.policy.allowed_runners == ("BIG",)
    assert not narrowed.policy.allow_workflow_files and narrowed.policy.closed_paths == ("infra/legacy/**",)
    assert narrowed.policy.required_tags == (*Policy().required_tags, "cost-center")
    assert narrowed.policy.tag_values == {"environment": ("production",), "cost-center": ("7", "8")}
    assert narrowed.environments == ("dev",)
    assert narrowed.limits == replace(Limits(), max_files=5, max_turns=7, max_cost_usd=0.5)


def test_a_provider_without_its_registry_means_it_in_every_allowed_one() -> None:
    assert narrow(WIDE, PolicyFile(allowed_providers=("hashicorp/aws",))).policy.allowed_providers == AWS_PROVIDERS


def test_everything_that_would_widen_is_refused_at_once() -> None:
    file = PolicyFile(
        allowed_providers=("evil/aws", "evil.example/hashicorp/aws"),
        allowed_modules=("git::https://github.com/",),
        allowed_uses=("evil/action",),
        allowed_secrets=("PROD_KEY",),
        allowed_permissions=("contents",),
        allowed_runners=("huge",),
        workflows=True,
        environments=("qa",),
        tag_values={"environment": ("qa",)},
        max_files=51,
        max_turns=81,
        max_cost_usd=5.01,
    )
    with pytest.raises(ConfigError) as caught:
        narrow(replace(WIDE, policy=replace(WIDE.policy, allow_workflow_files=False)), file)
    assert len(caught.value.problems) == 13


WORDS = st.lists(st.sampled_from([*Policy().allowed_providers, "hashicorp/aws", "aws", "", "x/y/z"]), max_size=4).map(
    tuple
)


@given(WORDS, st.integers(0, 200), st.floats(0, 20))
def test_no_policy_file_widens_a_limit(providers: tuple[str, ...], number: int, money: float) -> None:
    try:
        narrowed = narrow(WIDE, PolicyFile(allowed_providers=providers, max_turns=number, max_cost_usd=money))
    except ConfigError:
        return
    assert set(narrowed.policy.allowed_providers) <= set(WIDE.policy.allowed_providers)
    assert (
        narrowed.limits.max_turns <= WIDE.limits.max_turns and narrowed.limits.max_cost_usd <= WIDE.limits.max_cost_usd
    )


def test_the_file_is_read_from_the_base_commit_and_an_unreadable_one_stops_the_run() -> None:
    path = ".github/ops-agent.yml"
    assert narrow_by_policy_file(WIDE, MemoryTree({path: b"max_turns: 3\n"})).limits.max_turns == 3
    for broken in (
        MemoryTree({path: b"max_turn: 3\n"}),
        MemoryTree({path: b"max_turns: [\n"}),
        MemoryTree({path: b"x"}, modes={path: "120000"}),
        MemoryTree({path: b"max_turns: 900\n"}),
    ):
        with pytest.raises(ConfigError):
            narrow_by_policy_file(WIDE, broken)


def test_unreadable_lines_do_not_hide_lines_that_would_widen() -> None:
    """docs/setup/policy-file.md: all problems at once."""
    text = (
        b"workflows: maybe\nmax_turn: 3\nmax_files: 9999\nmax_turns: 900\n"
        b"allowed_modules: ['git::https://']\nallowed_uses: [evil/action]\n"
    )
    with pytest.raises(ConfigError) as caught:
        narrow_by_policy_file(WIDE, MemoryTree({".github/ops-agent.yml": text}))
    first, second, *wider = caught.value.problems
    assert first == "line 1: `workflows`: 'maybe' is neither true nor false; write true or false" and second.startswith(
        "line 2: `max_turn` is not known"
    )
    assert sorted(wider) == [
        (
            "`allowed_modules`: 'git::https://' is not allowed by the input `allowed_modules`, and the file can only "
            "take away"
        ),
        "`allowed_uses`: 'evil/action' is not allowed by the input `allowed_uses`, and the file can only take away",
        "`max_files`: 9999 is more than the built-in limit of 50",
        "`max_turns`: 900 is more than the 80 of the input `max_turns`",
    ]
    assert "Correct `.github/ops-agent.yml` on the base branch" in caught.value.hint


def test_an_input_that_is_named_in_a_problem_exists() -> None:
    from ops_agent.config import policy_file

    Settings.from_inputs({f"INPUT_{name.upper()}": "" for name in policy_file._INPUTS})
