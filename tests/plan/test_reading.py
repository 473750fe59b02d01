"""Every kind of change is accounted for, or the plan is refused. Counts are Terraform's; the hash forgets the time."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.model.errors import PolicyViolation, ToolchainError
from ops_agent.model.finding import Severity
from ops_agent.model.plan import PlanCounts, ResourceAction
from ops_agent.model.policy import Policy
from ops_agent.plan import reading
from ops_agent.plan.configuration import without_key
from ops_agent.plan.reading import CUT_MARK, canonical_hash, read_plan, summary_of
from plan.plan_samples import CAPTURED, PLANS, captured, change, plan_document, read, text_of

EXPECTED = {
    "no_change": PlanCounts(),
    "create": PlanCounts(add=2),
    "update": PlanCounts(change=1),
    "delete": PlanCounts(destroy=1),
    "replace": PlanCounts(add=1, destroy=1, replace=1),
    "replace_create_first": PlanCounts(add=1, destroy=1, replace=1),
    "forget": PlanCounts(forget=1),
    "move": PlanCounts(move=1),
    "move_and_update": PlanCounts(change=1, move=1),
    "import": PlanCounts(import_=1),
    "outputs_only": PlanCounts(outputs=2),
    "aws_read": PlanCounts(add=2, read=1),
    "aws_dangers": PlanCounts(add=7),
    "aws_standards": PlanCounts(add=38),
    "sensitive": PlanCounts(add=1, outputs=1),
    "hostile_text": PlanCounts(change=2, outputs=1),
    "check_fails": PlanCounts(add=1),
    "through_modules": PlanCounts(add=4),
}


@pytest.mark.parametrize("name", CAPTURED)
def test_counts_of_a_real_plan_are_those_of_terraforms_own_summary(name: str) -> None:
    plan = captured(name)
    assert plan.counts == EXPECTED[name]
    summary = summary_of(text_of(name))
    if summary is not None:
        assert (summary["add"], summary["change"], summary["destroy"]) == (
            plan.counts.add,
            plan.counts.change,
            plan.counts.destroy,
        )


@pytest.mark.parametrize("name", sorted(EXPECTED.keys() - {"no_change"}))
def test_no_plan_that_does_something_looks_empty(name: str) -> None:
    plan = captured(name)
    assert plan.changes or plan.outputs


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (["create"], ResourceAction.CREATE),
        (["read"], ResourceAction.READ),
        (["update"], ResourceAction.UPDATE),
        (["delete"], ResourceAction.DELETE),
        (["forget"], ResourceAction.FORGET),
        (["delete", "create"], ResourceAction.REPLACE_DELETE_FIRST),
        (["create", "delete"], ResourceAction.REPLACE_CREATE_FIRST),
        (["create", "forget"], ResourceAction.REPLACE_FORGET),
    ],
)
def test_each_kind_of_change_is_read(actions: list[str], expected: ResourceAction) -> None:
    plan = read(plan_document(change("aws_sqs_queue.q", *actions, before={}, after={})))
    assert [c.action for c in plan.changes] == [expected]


@pytest.mark.parametrize(
    "actions",
    [[], ["destroy"], ["create", "update"], ["create", "delete", "create"], ["CREATE"], "create", None, [1], {"a": 1}],
)
def test_an_unknown_kind_of_change_refuses_the_plan(actions: Any) -> None:
    entry = change("aws_sqs_queue.q", "create", after={})
    entry["change"]["actions"] = actions
    with pytest.raises(ToolchainError, match=r"aws_sqs_queue\.q"):
        read(plan_document(entry))


@pytest.mark.parametrize("version", ["2.0", "0.1", "", None, 1, "x"])
def test_an_unknown_major_format_refuses_the_plan(version: Any) -> None:
    with pytest.raises(ToolchainError, match="format version"):
        read(plan_document(format_version=version))


def test_a_new_minor_format_with_new_properties_is_read() -> None:
    assert read(plan_document(change("a.b", "create", after={}), format_version="1.99", news={"x": 1})).counts.add == 1


@pytest.mark.parametrize(
    "top",
    [
        {"errored": True},
        {"complete": False},
        {"deferred_changes": [{"reason": "unknown"}]},
        {"deferred_action_invocations": [{"reason": "unknown"}]},
    ],
)
def test_a_plan_that_is_not_the_whole_change_is_refused(top: dict[str, Any]) -> None:
    with pytest.raises(PolicyViolation):
        read(plan_document(**top))


def test_a_plan_file_that_terraform_left_after_an_error_is_refused() -> None:
    """It is written all the same, and looks like a plan with fewer changes."""
    left = PLANS / "refused" / "errored.json"
    assert json.loads(left.read_bytes())["resource_changes"]
    with pytest.raises(PolicyViolation, match="errored"):
        read_plan(left.read_bytes(), left.with_suffix(".txt").read_text(encoding="utf-8"), Policy())


def test_a_failed_check_block_is_a_notice_with_its_message() -> None:
    assert [(d.address, d.rule, d.severity, d.what) for d in captured("check_fails").dangers] == [
        ("check.health", "plan/check-failed", Severity.NOTICE, "the check fails: the input is not two")
    ]


@pytest.mark.parametrize(
    "document_bytes",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"format_version": "1.2", "resource_changes": 3}'],
)
def test_what_is_no_plan_is_refused(document_bytes: bytes) -> None:
    with pytest.raises(ToolchainError):
        read_plan(document_bytes, "", Policy())


@pytest.mark.parametrize(
    "text",
    [
        "Plan: 0 to add, 0 to change, 0 to destroy.\n",
        "Plan: 1 to add, 0 to change, 1 to destroy.\n",
        "Plan: 1 to import, 1 to add, 0 to change, 0 to destroy.\n",
        "Plan: 1 to add, 0 to change, 0 to destroy, 4 to frobnicate.\n",
        "No changes.\n",
        "    Plan: 1 to add, 0 to change, 0 to destroy.\n",
    ],
)
def test_a_summary_line_with_other_counts_refuses_the_plan(text: str) -> None:
    with pytest.raises(ToolchainError, match=r"differ in|no summary line"):
        read(plan_document(change("a.b", "create", after={})), text)


def test_the_counts_of_a_cut_text_are_not_compared() -> None:
    assert read(plan_document(change("a.b", "create", after={})), "Terraform will perform" + CUT_MARK).counts.add == 1


def test_opentofus_and_newer_summaries_are_understood() -> None:
    forget = plan_document(change("a.b", "forget", before={}))
    assert read(forget, "Plan: 0 to add, 0 to change, 0 to destroy, 1 to forget.\n").counts.forget == 1
    acting = plan_document(
        change("a.b", "create", after={}),
        action_invocations=[{"address": "action.aws_lambda_invoke.x", "type": "aws_lambda_invoke"}],
    )
    plan = read(acting, "Plan: 1 to add, 0 to change, 0 to destroy. Actions: 1 to invoke.\n")
    assert plan.invocations == ("action.aws_lambda_invoke.x",)
    assert any(d.rule == "plan/runs-an-action" for d in plan.dangers)


def test_moves_and_imports_keep_where_they_come_from() -> None:
    assert captured("move").changes[0].previous_address == "terraform_data.a"
    assert captured("import").changes[0].import_id == "from-before"
    identity = change("a.b", "no-op", before={}, after={}, change={"importing": {"identity": {"arn": "x"}}})
    assert read(plan_document(identity)).changes[0].import_id == '{"arn": "x"}'
    assert (
        read(plan_document(change("a.b", "update", before={}, after={}, change={"importing": {}}))).counts.import_ == 1
    )


def test_another_terraform_version_gives_another_hash() -> None:
    document = (PLANS / "update.json").read_bytes()
    newer = re.sub(rb'"terraform_version":"[^"]*"', b'"terraform_version":"1.2.3"', document)
    assert read_plan(newer, "", Policy()).canonical_hash != captured("update").canonical_hash


def test_edges_follow_references_between_changed_resources() -> None:
    assert captured("create").edges == (("terraform_data.b", "terraform_data.a"),)
    assert captured("aws_read").edges == (("aws_sqs_queue_policy.p", "aws_sqs_queue.q"),)


def test_edges_follow_outputs_and_variables_of_modules() -> None:
    reader = "module.outer.module.reader.terraform_data.reader"
    assert captured("through_modules").edges == (
        (reader, "module.topic.terraform_data.topic"),
        ("terraform_data.last", reader),
    )


def test_edges_of_an_offline_plan_are_what_its_values_come_from() -> None:
    user, used = change("module.b.t.user", "create", after={}), change('module.a["x"].t.used[0]', "create", after={})
    origins = {"module.b.t.user": {"name": ['module.a["x"].t.used[0]', "data.t.other"], "same": ["module.b.t.user"]}}
    edges = read(plan_document(user, used, origins=origins)).edges
    assert edges == (("module.b.t.user", "module.a.t.used"),)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("a.b", "a.b"),
        ("a.b[0]", "a.b"),
        ('module.m["x]\\"y"].a.b["]"]', "module.m.a.b"),
        ("a.b[", "a.b"),
        ("", ""),
    ],
)
def test_instance_keys_are_removed_from_addresses(address: str, expected: str) -> None:
    assert without_key(address) == expected


def test_every_captured_plan_has_its_text() -> None:
    assert len(CAPTURED) == len(EXPECTED)
    assert all((PLANS / f"{name}.txt").is_file() for name in CAPTURED)


TIME = "2026-11-23T10:00:00Z"
TEXT = st.text(alphabet=st.sampled_from('a"\\/<>&{}[],: \u2028\u00e9\U0001f600\x7f\n\t'), max_size=12)
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(), TEXT, st.just(TIME)),
    lambda inner: st.dictionaries(st.one_of(TEXT, st.just("timestamp")), inner, max_size=4),
    max_leaves=15,
)


def written(plan: dict[str, object]) -> bytes:
    """As Terraform writes it: one line, no blanks."""
    return json.dumps(plan, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize("name", CAPTURED)
def test_the_hash_of_a_real_plan_is_what_sha256sum_prints_without_its_time(name: str) -> None:
    document = (PLANS / f"{name}.json").read_bytes()
    without_time, count = re.subn(rb'^(.*),"timestamp":"[^"]*"', rb"\1", document)
    assert count == 1
    assert canonical_hash(document) == hashlib.sha256(without_time.rstrip() + b"\n").hexdigest()
    assert canonical_hash(without_time) == canonical_hash(document)


@given(first=VALUES, second=VALUES)
def test_only_the_plans_own_time_is_left_out_of_the_hash(first: object, second: object) -> None:
    """A resource may have an attribute that is called `timestamp` too."""

    def digest(value: object, time: str = TIME) -> str:
        return canonical_hash(written({"resource_changes": value, "timestamp": time, "complete": True}))

    assert digest(first) == digest(first, time="2027-01-01T00:00:00Z")
    assert (digest(first) == digest(second)) == (written({"x": first}) == written({"x": second}))
    without_time = {"resource_changes": {"timestamp": TIME}}
    assert canonical_hash(written(without_time)) != canonical_hash(written({"resource_changes": {}}))


@pytest.mark.parametrize(
    "document",
    [
        b'{"format_version": "1.2",}',
        b'{"format_version": "1.2", "resource_changes": [1,]}',
        b'{"format_version": "1.2", "a": NaN}',
        b'{"format_version": "1.2"} x',
        b'{"format_version" "1.2"}',
        b'{"format_version": "1.2", "a": "\xff"}',
        '{"format_version": "1.2"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"format_version": "1.2"}',
    ],
)
def test_what_is_not_one_json_object_in_utf8_is_refused(document: bytes) -> None:
    with pytest.raises(ToolchainError):
        read_plan(document, "", Policy())


def test_a_plan_with_too_much_json_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    document = written(plan_document(change("a.b", "create", after={})))
    monkeypatch.setattr(reading, "MAX_PLAN_BYTES", len(document))
    assert read_plan(document, "", Policy()).counts.add == 1
    monkeypatch.setattr(reading, "MAX_PLAN_BYTES", len(document) - 1)
    with pytest.raises(ToolchainError, match="at most") as refused:
        read_plan(document, "", Policy())
    assert "Split the root" in refused.value.hint


def test_an_unknown_format_is_reported_before_a_wrong_entry() -> None:
    plan = plan_document(change("a.b", "frobnicate"), format_version="2.0")
    with pytest.raises(ToolchainError, match="format version"):
        read_plan(json.dumps(plan).encode(), "", Policy())
