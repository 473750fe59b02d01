"""Outputs that the base commit's plan changes as well are not this change's: they are shown apart and not counted."""

from __future__ import annotations

from typing import Any

from ops_agent.model.plan import TerraformPlan
from ops_agent.pages.plans import diff_pieces, headline
from ops_agent.pages.terraform_show import outputs_in
from ops_agent.plan.difference import own_outputs
from pages.page_samples import target
from plan.plan_samples import captured, document, plan_document, read

HEAD = captured("outputs_only")


def base_with(**outputs: Any) -> TerraformPlan:
    """The captured plan with these `output_changes` instead, as the base commit's plan is read: without text."""
    return read(document("outputs_only") | {"output_changes": outputs})


def output(before: Any, after: Any, **more: Any) -> dict[str, Any]:
    known = {"after_unknown": False, "before_sensitive": False, "after_sensitive": False}
    return {"actions": ["update"], "before": before, "after": after} | known | more


def unknown(*references: str) -> TerraformPlan:
    """A plan whose output is known after apply, by an expression with these references."""
    source = {"root_module": {"outputs": {"arn": {"expression": {"references": list(references)}}}}}
    return read(plan_document(output_changes={"arn": output("a", None, after_unknown=True)}, configuration=source))


def test_an_output_that_the_base_changes_the_same_way_is_not_ours() -> None:
    same = document("outputs_only")["output_changes"]["o"]
    assert own_outputs(HEAD, base_with(o=same)) == {"p"}
    assert own_outputs(HEAD, base_with(o=output("one", "three"))) == {"o", "p"}
    assert own_outputs(HEAD, None) == {"o", "p"}
    assert own_outputs(HEAD, HEAD) == frozenset()


def test_a_sensitive_output_is_ours_when_its_value_differs() -> None:
    def hidden(value: str) -> TerraformPlan:
        sensitive = output("x", value, after_sensitive=True, before_sensitive=True)
        return read(plan_document(output_changes={"key": sensitive}))

    assert own_outputs(hidden("y"), hidden("y")) == frozenset()
    assert own_outputs(hidden("y"), hidden("z")) == {"key"}
    assert "y" not in str(hidden("y").outputs[0].after)


def test_an_unknown_output_is_compared_by_its_references() -> None:
    assert own_outputs(unknown("aws_sns_topic.a"), unknown("aws_sns_topic.a")) == frozenset()
    assert own_outputs(unknown("aws_sns_topic.b"), unknown("aws_sns_topic.a")) == {"arn"}


def test_pending_outputs_are_shown_apart_and_not_counted() -> None:
    one = target(plan=HEAD, own=frozenset(), own_outputs=frozenset({"p"}))
    assert headline(one) == "`+0 ~0 -0`, 1 output, 1 pending on the base branch"
    pieces, beyond = diff_pieces(one)
    assert beyond == 0
    assert pieces == [
        " Changes to Outputs:\n+   p = 3",
        '# pending on the base branch:\n Changes to Outputs:\n!   o = "one" -> "two"',
    ]
    none = target(plan=HEAD, own=frozenset(), own_outputs=frozenset())
    assert headline(none) == "no changes, 2 pending on the base branch"
    assert [piece.splitlines()[0] for piece in diff_pieces(none)[0]] == ["# pending on the base branch:"]


def test_without_a_base_plan_every_output_is_the_changes_own() -> None:
    one = target(plan=HEAD)
    assert [output.name for output in one.caused_outputs] == ["o", "p"]
    assert len(diff_pieces(one)[0]) == 1


def test_outputs_are_split_by_terraforms_own_lines_alone() -> None:
    text = "Changes to Outputs:\n  + a     = <<-EOT\n        + b = 1\n    EOT\n  ~ b     = {\n      ~ a = 1 -> 2\n    }"
    assert outputs_in(text, {"b"}) == (
        "Changes to Outputs:\n  ~ b     = {\n      ~ a = 1 -> 2\n    }",
        "Changes to Outputs:\n  + a     = <<-EOT\n        + b = 1\n    EOT",
    )
    assert outputs_in(text, {"a", "b"}) == (text, "")
    assert outputs_in("  # aws_sns_topic.a will be created\n  + b = 1", {"b"}) is None
