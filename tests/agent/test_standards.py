"""Which written standards the agent is given: which version, when, and how much of each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.agent_doubles import SMALL
from agent.briefings import briefing, fixed_boundary  # noqa: F401 - the fixture is for every test here
from builders import work_item
from ops_agent.agent.standards import (
    MAX_ALL,
    bundled,
    choose_standards,
    read_standard,
    shortened,
    standard_paths,
)
from ops_agent.model.conversation import SharedStandards, Standard
from ops_agent.model.work_item import Request

TWELVE = {
    "foundation-global-principles", "foundation-environment-constraints", "infrastructure-terraform",
    "ci-cd-github-actions", "ci-cd-terraform-integration", "aws-ecs", "aws-lambda", "aws-dynamodb", "aws-s3",
    "aws-secrets-manager", "aws-sns", "aws-cognito",
}  # fmt: skip


def test_no_bundled_standard_names_a_region_an_account_or_an_example_of_another() -> None:
    """Examples in standards are easily copied into a change."""
    for name, raw in bundled().items():
        assert "us-east-1" not in raw and "123456789012" not in raw, name
    assert set(bundled()) == TWELVE
    for name, raw in bundled().items():
        standard = read_standard(name, raw, "bundled")
        assert standard.description and standard.text.startswith("# ")
        assert standard.always or standard.globs


def test_the_repositorys_own_standard_replaces_the_bundled_one_and_the_callers_replaces_both() -> None:
    own = b'---\ndescription: "Ours"\nglobs: **/*.tf, infra/**\nalwaysApply: false\n---\nOUR TERRAFORM RULES'
    files = {**SMALL, ".claude/rules/infrastructure-terraform/RULE.md": own, "docs/tf.md": b"CALLER'S FILE"}
    system = briefing(files).system
    assert "OUR TERRAFORM RULES" in system
    assert "## infrastructure-terraform (.claude/rules/infrastructure-terraform/RULE.md)" in system
    assert "Every environment MUST have its own variable file" not in system
    assert "CALLER'S FILE" in briefing(files, standards="docs/tf.md").system
    assert "Just this text" in briefing(files, standards="Just this text\nand more").system
    given_file = {**files, "x/infrastructure-terraform/RULE.md": b"GIVEN"}
    assert "GIVEN" in briefing(given_file, standards="x/infrastructure-terraform/RULE.md").system
    assert "OUR TERRAFORM RULES" not in briefing(given_file, standards="x/infrastructure-terraform/RULE.md").system


def test_of_one_id_the_first_source_counts_and_what_could_not_be_had_is_kept_for_people() -> None:
    def shared(source: str, *ids: str, unavailable: tuple[str, ...] = ()) -> SharedStandards:
        found = (Standard(id=one, description="", text=f"{one} of {source}", source=source, always=True) for one in ids)
        return SharedStandards(found=tuple(found), unavailable=unavailable)

    files = {**SMALL, "rules/a/RULE.md": b"---\nalwaysApply: true\n---\na of the repository"}
    sources = (
        shared("org/standards@1a2b3c4", "a", "b", "aws-sns"),
        shared("page 81, version 4", "b", "c", unavailable=("The space OPS could not be read.",)),
    )
    made = briefing(files, shared=sources)
    assert {s.id: s.source for s in made.standards if s.id in {"a", "b", "c", "aws-sns"}} == {
        "a": "rules/a/RULE.md",
        "b": "org/standards@1a2b3c4",
        "c": "page 81, version 4",
        "aws-sns": "org/standards@1a2b3c4",
    }
    assert made.unavailable == ("The space OPS could not be read.",)


def test_an_earlier_place_of_a_standard_wins() -> None:
    paths = (
        ".cursor/rules/a/RULE.md",
        ".claude/rules/a/RULE.md",
        "rules/a/RULE.md",
        "rules/b/RULE.md",
        "rules/c/d/RULE.md",
        "x/rules/e/RULE.md",
    )
    assert standard_paths(paths) == {"a": ".cursor/rules/a/RULE.md", "b": "rules/b/RULE.md"}


def test_standards_are_chosen_by_always_by_path_and_by_words() -> None:
    """Always on, by glob, on request by their description."""
    ids = {s.id for s in briefing().standards}
    assert {"foundation-global-principles", "foundation-environment-constraints", "infrastructure-terraform"} <= ids
    assert not ids & {"aws-s3", "aws-dynamodb", "aws-cognito", "aws-sns"}
    bucket = replace(work_item(), request=Request(description="We need a bucket for exports"))
    assert "aws-s3" in {s.id for s in briefing(item=bucket).standards}
    assert "aws-ecs" in {s.id for s in briefing({**SMALL, "app/Dockerfile": b"FROM x"}).standards}
    assert "aws-lambda" in {s.id for s in briefing({**SMALL, "src/functions/a.py": b""}).standards}
    empty = briefing({"README.md": b""})
    assert "infrastructure-terraform" in {s.id for s in empty.standards}
    assert {s.id for s in empty.standards} | {s.id for s in empty.more_standards} == TWELVE
    assert "- aws-s3: S3 buckets" in empty.task


def test_examples_that_are_not_infrastructure_are_cut() -> None:
    text = "# A\n```python\nimport os\n```\nkeep\n```hcl\na = 1\n```\n~~~~ts\nx\n~~~~\n```\nplain\n```\n"
    assert "import os" not in shortened(text) and "~~~~" not in shortened(text)
    assert "a = 1" in shortened(text) and "plain" in shortened(text) and "keep" in shortened(text)
    assert shortened(text).count("is left out") == 2


def test_all_standards_together_are_bounded() -> None:
    many = [read_standard(f"s{n}", f"---\nalwaysApply: true\n---\n{'x' * 50_000}", "bundled") for n in range(20)]
    chosen, others = choose_standards(many, (), "")
    assert sum(len(s.text) for s in chosen) <= MAX_ALL
    assert len(chosen) + len(others) == 20 and others
    assert "cut here" in chosen[0].text


@given(st.text(max_size=200))
def test_any_text_can_be_read_as_a_standard(raw: str) -> None:
    standard = read_standard("x", f"---\n{raw}", "input")
    choose_standards([standard, read_standard("y", raw, "bundled")], ("infra/a.tf",), raw)


@pytest.mark.parametrize(
    "globs",
    [
        "globs: [\"**/*.tf\", 'x/**']",
        "globs: **/*.tf,x/**",
        "globs:\n  - '**/*.tf'\n  - x/**",
        "globs: \n- **/*.tf\n- x/**\n",
    ],
)
def test_globs_are_read_in_every_spelling(globs: str) -> None:
    assert read_standard("x", f"---\n{globs}\nalwaysApply: true\n---\ntext", "bundled").globs == ("**/*.tf", "x/**")
