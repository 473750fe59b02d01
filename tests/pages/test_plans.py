"""A plan for a reviewer: coloured by Terraform's signs only, cut by whole resources, loud where it hurts, inert
everywhere.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_agent.model.plan import TerraformPlan
from ops_agent.pages.fragments import Overflow
from ops_agent.pages.graph import MAX_NODES, graph
from ops_agent.pages.plans import diff_pieces, fill_block, headline, plans_text
from ops_agent.pages.results import danger_lines
from ops_agent.pages.terraform_show import as_diff, pieces_of
from ops_agent.run.publish import closing_references
from pages.page_samples import target
from plan.plan_samples import CAPTURED, captured, change, document, plan_document, read, text_of


def known(name: str) -> set[str]:
    return {entry["address"] for entry in document(name).get("resource_changes", [])}


@pytest.mark.parametrize("name", sorted(set(CAPTURED) - {"no_change"}))
def test_every_change_of_a_real_plan_has_its_piece_and_nothing_is_lost(name: str) -> None:
    plan = captured(name)
    pieces = pieces_of(text_of(name), known(name))
    assert {p.address for p in pieces if p.address} == {c.address for c in plan.changes}
    assert any(p.text.startswith("Changes to Outputs") for p in pieces) == bool(plan.outputs)
    shown = "\n".join(p.text for p in pieces)
    for line in text_of(name).split("\n"):
        if line.startswith("    "):
            assert line in shown


def test_a_header_inside_a_value_is_no_header() -> None:
    pieces = pieces_of(text_of("hostile_text"), known("hostile_text"))
    assert [p.address for p in pieces] == [
        "terraform_data.a",
        'terraform_data.k["@org/team \\"q\\" ``` </details> Closes #1"]',
        None,
    ]


def test_only_terraforms_own_signs_colour_a_heredoc() -> None:
    """A YAML list in a value is not a deletion."""
    coloured = as_diff(text_of("hostile_text"))
    assert "\n-           - yaml one" in coloured
    assert "\n+           - yaml two" in coloured
    assert "\n            - yaml one" in coloured
    assert "\n!       input  = <<-EOT" in coloured
    assert "\n+       - b" in coloured, "a line of an added heredoc is added, dash or not"


def test_signs_move_to_the_first_column_and_nothing_else_moves() -> None:
    lines = as_diff(text_of("replace") + text_of("replace_create_first") + text_of("delete")).split("\n")
    assert any(line.startswith("-/+ resource") for line in lines)
    assert any(line.startswith("!+/- resource") for line in lines)
    assert any(line.startswith("-   resource") for line in lines)


def test_drift_is_kept_apart_from_planned_changes() -> None:
    text = (
        "Note: Objects have changed outside of Terraform\n\nTerraform detected the following changes made outside of"
        " Terraform since the\n"
        'last "terraform apply":\n\n  # a.b has changed\n  ~ resource "a" "b" {\n    }\n\n\n'
        "Unless you have made equivalent changes\n\n"
        "Terraform used the selected providers\n\nTerraform will perform the following actions:\n\n"
        '  # a.c will be created\n  + resource "a" "c" {\n'
        "    }\n\nPlan: 1 to add, 0 to change, 0 to destroy.\n"
    )
    assert [(p.address, p.drift) for p in pieces_of(text, {"a.b", "a.c"})] == [("a.b", True), ("a.c", False)]


def test_headlines_are_loud_for_what_hurts() -> None:
    assert headline(target(plan=captured("create"))) == "`+2 ~0 -0`"
    assert headline(target(plan=captured("replace"))) == "`+1 ~0 -1`, **1 REPLACE**"
    assert headline(target(plan=captured("delete"))) == "`+0 ~0 -1`, **1 DESTROY**"
    assert headline(target(plan=captured("move"))) == "`+0 ~0 -0`, 1 move"
    assert headline(target(plan=captured("outputs_only"))) == "`+0 ~0 -0`, 2 outputs"
    assert headline(target(plan=captured("no_change"))) == "no changes"
    assert headline(target(unplanned="no role")) == "**not planned**"
    assert headline(target(plan=captured("create"), offline=True)) == "`+2 ~0 -0`, **offline**"


def test_a_change_pending_on_the_base_branch_is_not_counted_as_this_change() -> None:
    one = target(plan=captured("create"), own=frozenset({"terraform_data.b"}))
    assert headline(one) == "`+1 ~0 -0`, 1 pending on the base branch"
    assert [c.address for c in one.caused] == ["terraform_data.b"]
    pieces, _ = diff_pieces(one)
    assert "terraform_data.b" in pieces[0]
    assert pieces[1].startswith("# pending on the base branch:")


def test_dangers_of_this_change_come_first_and_the_rest_is_counted() -> None:
    own = target(plan=captured("aws_dangers"), own=frozenset({"aws_iam_policy.all", "aws_sqs_queue.foreign"}))
    lines = danger_lines([own])
    assert lines[0].startswith("- **BLOCKS** `aws_sqs_queue.foreign`")
    assert all("aws_db_instance" not in line for line in lines)
    assert lines[-1].endswith("pending on the base branch")


def test_a_pending_destroy_is_on_the_danger_list_all_the_same() -> None:
    """An apply does the whole plan: a destroy that an earlier merge left open happens with this one."""
    database = change("aws_db_instance.main", "delete", before={"identifier": "main"})
    queue = change("aws_sqs_queue.q", "create", after={"name": "q"})
    group = change("aws_security_group.g", "create", after={"ingress": [{"cidr_blocks": ["0.0.0.0/0"]}]})
    one = target(plan=read(plan_document(database, queue, group)), own=frozenset({"aws_sqs_queue.q"}))
    pending, counted = danger_lines([one])
    assert (
        pending.startswith("- **pending on the base branch, an apply does it too:** `aws_db_instance.main`: ")
        and "destroys-stateful" in pending
    )
    assert counted == "- 1 more pending on the base branch"
    assert headline(one) == "`+1 ~0 -0`, 2 pending on the base branch (**1 DESTROYED by an apply**)"


def test_a_piece_that_does_not_fit_lets_smaller_ones_pass_and_is_named() -> None:
    block = fill_block(["+ small", "x" * 5_000, "+ also small"], 1_000)
    assert "+ small" in block.markdown
    assert "+ also small" in block.markdown
    assert "**1 more resource in the job summary.**" in block.markdown
    assert block.left_out == ("x" * 5_000,)


@given(st.lists(st.text("ab `\n+-", max_size=120), max_size=20), st.integers(0, 900))
def test_a_block_never_exceeds_its_budget_nor_loses_a_piece(pieces: list[str], budget: int) -> None:
    block = fill_block(pieces, budget)
    assert len(block.markdown) <= max(budget, 80)
    kept = [p for p in pieces if p not in block.left_out]
    assert all(p in block.markdown for p in kept)
    assert len(block.left_out) <= len(pieces)


def test_a_plan_with_no_text_is_shown_from_its_values() -> None:
    """An offline plan has no text of Terraform's."""
    entries = (
        change("aws_sqs_queue.q", "update", before={"a": 1, "b": 1}, after={"a": 2, "b": 1}),
        change(
            "aws_sns_topic.t", "create", after={"name": "t\n```", "e": None}, change={"after_unknown": {"arn": True}}
        ),
        change(
            "aws_vpc.v",
            "delete",
            "create",
            before={"cidr": "a", "x": {"y": 1}},
            after={"cidr": "b", "x": {"y": 1}},
            change={"replace_paths": [["cidr"]]},
        ),
    )
    outputs = {
        "url": {"actions": ["create"], "before": None, "after_unknown": True},
        "old": {"actions": ["delete"], "before": "a", "after": None},
        "days": {"actions": ["update"], "before": 4, "after": 14},
    }
    planned = target(plan=read(plan_document(*entries, output_changes=outputs)), offline=True)
    pieces, _ = diff_pieces(planned)
    assert pieces == [
        '!   aws_vpc.v (replace (delete first))\n!       cidr = "a" -> "b" # forces replacement',
        "!   aws_sqs_queue.q (update)\n!       a = 1 -> 2",
        '+   aws_sns_topic.t (create)\n+       arn = (known after apply)\n+       name = "t\\n```"',
        ' Changes to Outputs:\n!   days = 4 -> 14\n-   old = "a"\n+   url = (known after apply)',
    ]
    *_, ours, theirs = diff_pieces(replace(planned, own_outputs=frozenset({"days"})))[0]
    assert ours == " Changes to Outputs:\n!   days = 4 -> 14"
    assert theirs.startswith("# pending on the base branch:\n Changes to Outputs:\n-   old") and "days" not in theirs


def test_the_graph_shows_the_worst_first_and_is_capped() -> None:
    many = [change(f"aws_sqs_queue.q{n}", "create", after={}) for n in range(60)] + [
        change("aws_dynamodb_table.t", "delete", before={})
    ]
    plan = read(plan_document(*many))
    drawn = graph(plan, plan.changes)
    assert drawn.count(":::created") == MAX_NODES - 1
    assert 'n0["aws_dynamodb_table.t"]:::destroyed' in drawn
    assert 'more["21 more"]' in drawn


def test_instances_of_one_resource_are_one_node() -> None:
    plan = read(plan_document(*(change(f'aws_sqs_queue.q["{n}"]', "create", after={}) for n in range(3))))
    assert 'n0["aws_sqs_queue.q x 3"]:::created' in graph(plan, plan.changes)


@given(st.text(max_size=40))
def test_a_label_of_the_graph_cannot_leave_its_quotes(key: str) -> None:
    plan = read(plan_document(change(f"aws_sqs_queue.{key}", "create", after={})))
    line = graph(plan, plan.changes).split("\n")[1]
    assert line.count('"') == 2
    assert not set(line) & set("@#<>`;&\\")


def fences_are_balanced(markdown: str) -> bool:
    fence = ""
    for line in markdown.split("\n"):
        ticks = len(line) - len(line.lstrip("`"))
        if fence:
            fence = "" if line == fence else fence
        elif ticks >= 3:
            fence = "`" * ticks
    return not fence


HOSTILE = st.text(st.sampled_from("ab`@#1\n\"'<>|[]{}$\\-+~*_ /:") | st.characters(), max_size=25)


@st.composite
def hostile_plans(draw: st.DrawFn) -> TerraformPlan:
    """A consistent plan whose every word is hostile: JSON and the text that Terraform would write for it."""
    entries: list[dict[str, Any]] = []
    lines = ["Terraform will perform the following actions:", ""]
    for number in range(draw(st.integers(0, 5))):
        key, value = draw(HOSTILE), draw(HOSTILE)
        address = f"aws_sqs_queue.q{number}[{json.dumps(key, ensure_ascii=False)}]"
        entries.append(change(address, "create", after={"name": value, "policy": value}))
        lines += [f"  # {address} will be created", '  + resource "aws_sqs_queue" "q" {']
        lines += ["      + name = <<-EOT", *(" " * 12 + part for part in value.split("\n")), "        EOT", "    }", ""]
    lines.append(f"Plan: {len(entries)} to add, 0 to change, 0 to destroy.")
    return read(plan_document(*entries), "\n".join(lines) if entries else "No changes.\n")


@given(hostile_plans(), st.integers(500, 20_000))
@settings(max_examples=150, deadline=None)
def test_any_plan_is_rendered_within_the_budget_balanced_and_inert(plan: TerraformPlan, budget: int) -> None:
    overflow = Overflow()
    body = plans_text((target(plan=plan), target("prod", plan=plan)), budget, overflow)
    assert len(body) <= max(budget, 1_500)
    for text in (body, overflow.text):
        assert fences_are_balanced(text)
        assert "@" not in text
        assert not closing_references(text, "o/r")
