"""Keys of tags follow the tags that are required, and nothing is asked of them where none are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ops_agent.model.policy import Policy
from rules.judging import verdict_of

TAGGED = (
    b'resource "aws_sqs_queue" "x" {\n  name = "x"\n  tags = {\n    CostCenter = "7"\n    Cost_Code = "7"\n  }\n}\n'
)


@pytest.mark.parametrize(
    ("required", "found"),
    [
        (("environment", "service-name"), ["CostCenter", "Cost_Code"]),
        (("environment", "CostCenter"), []),
        ((), []),
    ],
)
def test_keys_are_kebab_case_where_all_required_ones_are(required: tuple[str, ...], found: list[str]) -> None:
    verdict = verdict_of({"infra/tags.tf": TAGGED}, policy=replace(Policy(), required_tags=required))
    said = [one.what for one in verdict.findings if one.rule == "terraform/tag-form"]
    assert [what.split("`")[1] for what in said] == found
