"""Data loss without a destroy is on the danger list, and the undo column says the same; each table row by row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.model.finding import Severity
from ops_agent.plan.dangers import lost_with
from ops_agent.plan.losses import DESTROYED, SHORTENED, SWITCHED_OFF, SWITCHED_ON, Retention, losses
from ops_agent.plan.undo import Undo, undo_of
from plan.plan_samples import change, loss_entry, losses_found, nested, plan_document, read


def rule(days: int | None = None, *, status: str = "Enabled", prefix: str = "", **more: Any) -> dict[str, Any]:
    expiration = [{"days": days, "date": None, "expired_object_delete_marker": False}] if days else []
    return {
        "id": "r",
        "status": status,
        "filter": [{"prefix": prefix}],
        "expiration": expiration,
        "noncurrent_version_expiration": [],
    } | more


def old_versions(days: int, newer: int | None = None) -> dict[str, Any]:
    return rule(noncurrent_version_expiration=[{"noncurrent_days": days, "newer_noncurrent_versions": newer}])


LIFECYCLE = "aws_s3_bucket_lifecycle_configuration"
BUCKET = {"bucket": "orders"}
PROPERTIES = "auto.create.topics.enable=true\nlog.retention.hours = {}\n"


def images(number: int, prefix: str = "v") -> str:
    selection = {
        "tagStatus": "tagged",
        "tagPrefixList": [prefix],
        "countType": "imageCountMoreThan",
        "countNumber": number,
    }
    return json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})


def backup(days: int | None, name: str = "daily") -> dict[str, Any]:
    return {"rule": [{"rule_name": name, "lifecycle": [{"delete_after": days}]}]}


def snapshots(count: int) -> dict[str, Any]:
    return {"policy_details": [{"schedule": [{"name": "daily", "retain_rule": [{"count": count}]}]}]}


CERTAIN: list[tuple[str, str, Any, Any]] = [
    ("plan/loses-data", "aws_cloudwatch_log_group", {"retention_in_days": 0}, {"retention_in_days": 7}),
    ("plan/loses-data", "aws_cloudwatch_log_group", {"retention_in_days": None}, {"retention_in_days": 3653}),
    ("plan/loses-data", "aws_cloudwatch_log_group", {"retention_in_days": "30"}, {"retention_in_days": 7}),
    ("plan/loses-data", "aws_sqs_queue", {"message_retention_seconds": None}, {"message_retention_seconds": 60}),
    ("plan/loses-data", "aws_kinesis_stream", {"retention_period": 168}, {"retention_period": None}),
    ("plan/loses-data", "aws_db_instance", {"backup_retention_period": 7}, {"backup_retention_period": 0}),
    (
        "plan/loses-data",
        "aws_redshift_cluster",
        {"manual_snapshot_retention_period": -1},
        {"manual_snapshot_retention_period": 30},
    ),
    (
        "plan/loses-data",
        "aws_dynamodb_table",
        {"ttl": [{"enabled": False}]},
        {"ttl": [{"enabled": True, "attribute_name": "t"}]},
    ),
    ("plan/loses-data", "aws_dynamodb_table", {"ttl": []}, {"ttl": [{"enabled": True, "attribute_name": "t"}]}),
    (
        "plan/loses-data",
        "aws_dynamodb_table",
        {"ttl": [{"enabled": True, "attribute_name": "a"}]},
        {"ttl": [{"enabled": True, "attribute_name": "b"}]},
    ),
    (
        "plan/loses-data",
        "aws_dynamodb_table",
        {"point_in_time_recovery": [{"enabled": True}]},
        {"point_in_time_recovery": []},
    ),
    ("plan/loses-data", LIFECYCLE, BUCKET | {"rule": []}, BUCKET | {"rule": [rule(30)]}),
    ("plan/loses-data", LIFECYCLE, BUCKET | {"rule": [rule(30)]}, BUCKET | {"rule": [rule(1)]}),
    ("plan/loses-data", LIFECYCLE, BUCKET | {"rule": [rule(30, prefix="a/")]}, BUCKET | {"rule": [rule(30)]}),
    ("plan/loses-data", LIFECYCLE, BUCKET | {"rule": [rule(30, status="Disabled")]}, BUCKET | {"rule": [rule(30)]}),
    ("plan/loses-data", LIFECYCLE, BUCKET | {"rule": [old_versions(30, 5)]}, BUCKET | {"rule": [old_versions(30)]}),
    ("plan/loses-data", LIFECYCLE, BUCKET | {"rule": [old_versions(30)]}, BUCKET | {"rule": [rule(30)]}),
    (
        "plan/loses-data",
        LIFECYCLE,
        BUCKET,
        BUCKET | {"rule": [rule(expiration=[{"date": "2027-01-01T00:00:00Z", "days": 0}])]},
    ),
    ("plan/loses-data", "aws_s3_bucket", {}, {"lifecycle_rule": [{"enabled": True, "expiration": [{"days": 1}]}]}),
    (
        "plan/loses-data",
        "aws_s3_bucket",
        {},
        {"lifecycle_rule": [{"enabled": True, "noncurrent_version_expiration": [{"days": 1}]}]},
    ),
    ("plan/loses-data", "aws_ecr_lifecycle_policy", {"policy": images(10)}, {"policy": images(9)}),
    ("plan/loses-data", "aws_ecr_lifecycle_policy", {"policy": images(10)}, {"policy": images(10, "release")}),
    ("plan/loses-data", "aws_dlm_lifecycle_policy", snapshots(14), snapshots(2)),
    (
        "plan/loses-data",
        "aws_msk_configuration",
        {"server_properties": PROPERTIES.format(168)},
        {"server_properties": PROPERTIES.format(1)},
    ),
    (
        "plan/loses-data",
        "aws_msk_configuration",
        {"server_properties": ""},
        {"server_properties": "log.retention.ms=1000"},
    ),
    (
        "plan/recovery-off",
        "aws_s3_bucket_versioning",
        {"versioning_configuration": [{"status": "Enabled"}]},
        {"versioning_configuration": [{"status": "Suspended"}]},
    ),
    ("plan/recovery-off", "aws_s3_bucket", {"versioning": [{"enabled": True}]}, {"versioning": [{"enabled": False}]}),
    ("plan/recovery-off", "aws_s3_bucket", {"versioning": [{"enabled": True}]}, {"versioning": []}),
    ("plan/recovery-off", "aws_backup_plan", backup(35), backup(7)),
    ("plan/recovery-off", "aws_backup_plan", backup(None), backup(7)),
    ("plan/recovery-off", "aws_backup_plan", backup(35), backup(35, "weekly")),
    ("plan/one-way", "aws_db_instance", {"engine": "postgres", "engine_version": "14.9"}, {"engine_version": "15"}),
    ("plan/one-way", "aws_db_instance", {"engine": "mysql", "engine_version": "8.0.32"}, {"engine_version": "8.4.1"}),
    (
        "plan/one-way",
        "aws_db_instance",
        {"engine_version": "14.1"},
        {"engine_version": "14.9", "apply_immediately": True},
    ),
    ("plan/one-way", "aws_eks_cluster", {"version": "1.29"}, {"version": "2.0"}),
]


@pytest.mark.parametrize(("name", "type_", "before", "after"), CERTAIN)
def test_a_loss_without_a_destroy_is_a_danger_and_is_called_irreversible(
    name: str, type_: str, before: Any, after: Any
) -> None:
    built = loss_entry(type_, before, after)
    dangers = losses_found(built)
    assert [(danger.rule, danger.address, danger.severity) for danger in dangers] == [
        (name, f"{type_}.x", Severity.DECISION)
    ]
    assert not dangers[0].blocks
    assessed = undo_of(read(plan_document(built)).changes[0])
    if name == "plan/recovery-off":
        assert assessed.word is Undo.PLAIN
    else:
        word = Undo.LOSES_DATA if name == "plan/loses-data" else Undo.ONE_WAY
        assert (assessed.word, assessed.why) == (word, dangers[0].what)


@pytest.mark.parametrize(
    ("type_", "before", "after"),
    [
        ("aws_cloudwatch_log_group", {"retention_in_days": 7}, {"retention_in_days": 0}),
        ("aws_cloudwatch_log_group", {"retention_in_days": 7}, {"retention_in_days": None}),
        (
            "aws_cloudwatch_log_group",
            {"retention_in_days": 7, "kms_key_id": "a"},
            {"retention_in_days": 7, "kms_key_id": "b"},
        ),
        ("aws_sqs_queue", {"message_retention_seconds": 345_600}, {"message_retention_seconds": None}),
        (
            "aws_dynamodb_table",
            {"ttl": [{"enabled": True, "attribute_name": "a"}]},
            {"ttl": [{"enabled": False, "attribute_name": ""}]},
        ),
        ("aws_dynamodb_table", {"point_in_time_recovery": []}, {"point_in_time_recovery": [{"enabled": True}]}),
        (LIFECYCLE, BUCKET | {"rule": [rule(30)]}, BUCKET | {"rule": [rule(90)]}),
        (LIFECYCLE, BUCKET | {"rule": [rule(30)]}, BUCKET | {"rule": [rule(30), rule(30, prefix="logs/")]}),
        (LIFECYCLE, BUCKET | {"rule": [rule(30)]}, BUCKET | {"rule": []}),
        (
            LIFECYCLE,
            BUCKET,
            BUCKET
            | {
                "rule": [
                    rule(status="Disabled"),
                    rule(abort_incomplete_multipart_upload=[{"days_after_initiation": 1}]),
                ]
            },
        ),
        (LIFECYCLE, BUCKET, BUCKET | {"rule": [rule(expiration=[{"expired_object_delete_marker": True, "days": 0}])]}),
        ("aws_ecr_lifecycle_policy", {"policy": images(10)}, {"policy": images(20)}),
        ("aws_dlm_lifecycle_policy", snapshots(2), snapshots(14)),
        ("aws_backup_plan", backup(7), backup(35)),
        ("aws_backup_plan", backup(7), backup(None)),
        (
            "aws_msk_configuration",
            {"server_properties": PROPERTIES.format(1)},
            {"server_properties": PROPERTIES.format(2)},
        ),
        ("aws_s3_bucket", {"versioning": [{"enabled": False}]}, {"versioning": [{"enabled": True}]}),
    ],
)
def test_keeping_more_or_the_same_loses_nothing(type_: str, before: Any, after: Any) -> None:
    assert losses_found(loss_entry(type_, before, after)) == ()


@pytest.mark.parametrize(
    ("type_", "before", "after", "unknown"),
    [
        ("aws_cloudwatch_log_group", {"retention_in_days": 7}, {}, {"retention_in_days": True}),
        ("aws_db_instance", {"backup_retention_period": 7}, {}, {"backup_retention_period": True}),
        ("aws_dynamodb_table", {"point_in_time_recovery": [{"enabled": True}]}, {}, {"point_in_time_recovery": True}),
        ("aws_dynamodb_table", {"ttl": []}, {"ttl": [{}]}, {"ttl": [{"enabled": True}]}),
        (LIFECYCLE, BUCKET | {"rule": []}, BUCKET, {"rule": True}),
        (
            LIFECYCLE,
            BUCKET | {"rule": []},
            BUCKET | {"rule": [rule(expiration=[{}])]},
            {"rule": [{"expiration": [{"days": True}]}]},
        ),
        ("aws_ecr_lifecycle_policy", {"policy": images(9)}, {}, {"policy": True}),
        ("aws_backup_plan", backup(7), {}, {"rule": True}),
        ("aws_msk_configuration", {"server_properties": ""}, {}, {"server_properties": True}),
        ("aws_db_instance", {"engine_version": "14"}, {}, {"engine_version": True}),
    ],
)
def test_a_loss_known_only_after_apply_needs_a_decision(type_: str, before: Any, after: Any, unknown: Any) -> None:
    built = loss_entry(type_, before, after, unknown=unknown)
    dangers = losses_found(built)
    assert {danger.severity for danger in dangers} == {Severity.DECISION}
    assert all("cannot tell until apply" in danger.what for danger in dangers)
    word = undo_of(read(plan_document(built)).changes[0]).word
    assert word is (Undo.PLAIN if dangers[0].rule == "plan/recovery-off" else Undo.CANNOT_TELL)


@pytest.mark.parametrize("type_", sorted(type_ for type_ in DESTROYED if not lost_with(type_)))
def test_destroying_what_keeps_data_safe_is_a_danger_that_does_not_block(type_: str) -> None:
    dangers = losses_found(loss_entry(type_, {"bucket": "b"}, None, "delete"))
    assert [(danger.rule, danger.severity, danger.blocks) for danger in dangers] == [
        ("plan/recovery-off", Severity.DECISION, False)
    ]


def test_a_lifecycle_rule_loses_data_of_an_existing_bucket_and_none_of_a_new_one() -> None:
    configuration = loss_entry(LIFECYCLE, None, {"bucket": "orders", "rule": [rule(30)]}, "create")
    bucket = change("aws_s3_bucket.new", "create", after={"bucket": "orders"})
    assert [danger.rule for danger in losses_found(configuration)] == ["plan/loses-data"]
    assert losses_found(configuration, bucket) == ()
    elsewhere = loss_entry(LIFECYCLE, None, {"rule": [rule(30)]}, "create", unknown={"bucket": True})
    assert [danger.severity for danger in losses_found(elsewhere)] == [Severity.DECISION]


def test_a_new_resource_that_suspends_versioning_needs_a_decision() -> None:
    suspended = loss_entry(
        "aws_s3_bucket_versioning",
        None,
        {"bucket": "b", "versioning_configuration": [{"status": "Suspended"}]},
        "create",
    )
    assert [(danger.rule, danger.severity) for danger in losses_found(suspended)] == [
        ("plan/recovery-off", Severity.DECISION)
    ]
    enabled = loss_entry(
        "aws_s3_bucket_versioning", None, {"bucket": "b", "versioning_configuration": [{"status": "Enabled"}]}, "create"
    )
    assert losses_found(enabled) == ()


@pytest.mark.parametrize(
    ("type_", "before", "after", "severity"),
    [
        ("aws_db_instance", {"engine_version": "14.1"}, {"engine_version": "14.9"}, Severity.NOTICE),
        ("aws_db_instance", {"engine_version": "15.1"}, {"engine_version": "14.9"}, Severity.NOTICE),
        ("aws_ebs_volume", {"size": 100}, {"size": 50}, Severity.NOTICE),
        ("aws_ebs_volume", {"size": 50}, {"size": 100}, None),
        ("aws_db_instance", {"engine_version": "14.9"}, {"engine_version": "14"}, None),
    ],
)
def test_what_aws_refuses_or_what_only_grows_is_no_danger(
    type_: str, before: Any, after: Any, severity: Severity | None
) -> None:
    assert [danger.severity for danger in losses_found(loss_entry(type_, before, after))] == (
        [severity] if severity else []
    )


LIFECYCLE = "aws_s3_bucket_lifecycle_configuration"


@pytest.mark.parametrize("span", SHORTENED, ids=lambda span: f"{span.type}.{span.path}")
def test_a_value_that_is_marked_sensitive_does_not_hide_a_shorter_retention(span: Retention) -> None:
    top = span.path.split(".")[0]
    for before_mark in (False, {top: True}):
        built = loss_entry(span.type, nested(span.path, 30), nested(span.path, 1), sensitive={top: True})
        built["change"]["before_sensitive"] = before_mark
        assert {danger.severity for danger in losses_found(built)} == {Severity.DECISION}


@given(
    span=st.sampled_from(SHORTENED),
    old=st.one_of(st.none(), st.integers(1, 10**6)),
    new=st.one_of(st.none(), st.integers(1, 10**6)),
)
def test_a_length_is_lost_exactly_when_less_is_kept(span: Retention, old: int | None, new: int | None) -> None:
    def kept(value: int | None) -> float | None:
        length = span.default if value is None else value
        return float("inf") if length is not None and length == span.forever else length

    dangers = losses_found(loss_entry(span.type, nested(span.path, old), nested(span.path, new)))
    shortened = [danger for danger in dangers if danger.rule == "plan/loses-data"]
    was, becomes = kept(old), kept(new)
    if old == new:
        assert not shortened
    elif was is None or becomes is None:
        assert [danger.severity for danger in shortened] == [Severity.DECISION]
    else:
        assert bool(shortened) == (becomes < was)
        assert all(danger.severity is Severity.DECISION for danger in shortened)


@pytest.mark.parametrize("switch", [*SWITCHED_OFF, *SWITCHED_ON], ids=lambda switch: f"{switch.type}.{switch.path}")
def test_every_switch_is_seen_in_its_bad_direction_only(switch: Any) -> None:
    on, off = nested(switch.path, switch.on[0]), nested(switch.path, "other")
    bad, good = (on, off), (off, on)
    if switch in SWITCHED_ON:
        bad, good = good, bad
    rules = {"plan/loses-data" if switch.deletes else "plan/recovery-off"}
    assert {danger.rule for danger in losses_found(loss_entry(switch.type, *bad))} == rules
    assert losses_found(loss_entry(switch.type, *good)) == ()


JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=5),
        st.sampled_from(["Enabled", "{}", "1"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["days", "enabled", "rule", "x"]), inner, max_size=3),
    ),
    max_leaves=8,
)
NAMES = {(span.type, span.path.split(".")[0]) for span in SHORTENED} | {
    (s.type, s.path.split(".")[0]) for s in (*SWITCHED_OFF, *SWITCHED_ON)
}
NAMES |= {
    (LIFECYCLE, "rule"),
    ("aws_s3_bucket", "lifecycle_rule"),
    ("aws_ecr_lifecycle_policy", "policy"),
    ("aws_backup_plan", "rule"),
}
NAMES |= {
    ("aws_dlm_lifecycle_policy", "policy_details"),
    ("aws_msk_configuration", "server_properties"),
    ("aws_db_instance", "engine_version"),
}


@given(name=st.sampled_from(sorted(NAMES)), before=JUNK, after=JUNK, action=st.sampled_from(["update", "create"]))
def test_values_of_any_shape_are_judged_without_an_error(
    name: tuple[str, str], before: Any, after: Any, action: str
) -> None:
    type_, attribute = name
    plan = read(
        plan_document(
            loss_entry(type_, None if action == "create" else {attribute: before}, {attribute: after}, action)
        )
    )
    for read_change in plan.changes:
        assert all(loss.what for loss in losses(read_change))
        assert undo_of(read_change).why


def test_what_expires_is_said_in_words() -> None:
    """Never a piece of JSON, and of many conditions the first ones with the number of the others."""
    tags = dict.fromkeys(("category", "channel", "environment", "feature", "service-name"), "x" * 40)
    prefix = "a-very-long-prefix/of/something/that/is/long/enough/to/be/cut/somewhere/"
    both = {"filter": [{"and": [{"prefix": prefix, "tags": tags}]}]}
    texts = []
    for more in (both, {"filter": [{"tag": [{"key": "keep", "value": "no"}]}]}, {"prefix": "logs/"}, {}):
        rule = {"status": "Enabled", "expiration": [{"days": 1}]} | more
        built = loss_entry("aws_s3_bucket_lifecycle_configuration", {"bucket": "b"}, {"bucket": "b", "rule": [rule]})
        texts += [one.what for one in losses_found(built)]
    assert texts[0].startswith(f"objects with prefix `{prefix}`, tag `category = xxx")
    assert texts[0].endswith("` and 1 more are deleted after 1 days, existing ones too")
    assert texts[1:] == [
        "objects with tag `keep = no` are deleted after 1 days, existing ones too",
        "objects with prefix `logs/` are deleted after 1 days, existing ones too",
        "objects are deleted after 1 days, existing ones too",
    ]
    found = []
    for selection in (
        {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},
        {"tagPrefixList": ["v", "w"], "countType": "imageCountMoreThan", "countNumber": 9},
        {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9},
    ):
        policy = json.dumps({"rules": [{"selection": selection}]})
        found += losses_found(loss_entry("aws_ecr_lifecycle_policy", {"policy": "{}"}, {"policy": policy}))
    assert [one.what for one in found] == [
        "`policy` deletes images pushed more than 14 days ago with tag status `untagged`, existing ones too",
        "`policy` deletes all but the newest 9 images with tag prefix list `v`, tag prefix list `w`, existing ones too",
        "`policy` deletes all but the newest 9 images with tag status `any`, existing ones too",
    ]
    assert not any(mark in one for one in (*texts, *(f.what for f in found)) for mark in '{}"')
