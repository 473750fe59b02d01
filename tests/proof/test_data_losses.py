"""Data loss without a destroy is on the danger list, and the table of reversibility says the same (D21, O07)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops_agent.model.finding import Severity
from ops_agent.plan.dangers import lost_with
from ops_agent.plan.losses import DESTROYED
from ops_agent.plan.undo import Reversibility, reversibility
from proof.loss_samples import entry, found
from proof.proof_samples import change, plan_document, read


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
    ("plan/recovery-off", "aws_cloudtrail", {"enable_logging": True}, {"enable_logging": False}),
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
    built = entry(type_, before, after)
    dangers = found(built)
    assert [(danger.rule, danger.address, danger.severity) for danger in dangers] == [
        (name, f"{type_}.x", Severity.DANGER)
    ]
    assert not dangers[0].blocks
    assessed = reversibility(read(plan_document(built)).changes[0])
    if name == "plan/recovery-off":
        assert assessed.word is Reversibility.REVERSIBLE
    else:
        assert (assessed.word, assessed.why) == (Reversibility.IRREVERSIBLE, dangers[0].what)


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
    assert found(entry(type_, before, after)) == ()


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
def test_what_is_known_only_after_apply_is_a_notice_and_cannot_be_told(
    type_: str, before: Any, after: Any, unknown: Any
) -> None:
    built = entry(type_, before, after, unknown=unknown)
    dangers = found(built)
    assert {danger.severity for danger in dangers} == {Severity.NOTICE}
    assert all("cannot tell until apply" in danger.what for danger in dangers)
    word = reversibility(read(plan_document(built)).changes[0]).word
    assert word is (Reversibility.REVERSIBLE if dangers[0].rule == "plan/recovery-off" else Reversibility.UNKNOWN)


@pytest.mark.parametrize("type_", sorted(type_ for type_ in DESTROYED if not lost_with(type_)))
def test_destroying_what_keeps_data_safe_is_a_danger_that_does_not_block(type_: str) -> None:
    dangers = found(entry(type_, {"bucket": "b"}, None, "delete"))
    assert [(danger.rule, danger.severity, danger.blocks) for danger in dangers] == [
        ("plan/recovery-off", Severity.DANGER, False)
    ]


def test_a_lifecycle_for_a_bucket_that_stands_is_a_loss_and_for_a_new_one_is_none() -> None:
    configuration = entry(LIFECYCLE, None, {"bucket": "orders", "rule": [rule(30)]}, "create")
    bucket = change("aws_s3_bucket.new", "create", after={"bucket": "orders"})
    assert [danger.rule for danger in found(configuration)] == ["plan/loses-data"]
    assert found(configuration, bucket) == ()
    elsewhere = entry(LIFECYCLE, None, {"rule": [rule(30)]}, "create", unknown={"bucket": True})
    assert [danger.severity for danger in found(elsewhere)] == [Severity.NOTICE]


def test_suspending_the_versions_of_a_bucket_by_a_new_resource_cannot_be_told() -> None:
    suspended = entry(
        "aws_s3_bucket_versioning",
        None,
        {"bucket": "b", "versioning_configuration": [{"status": "Suspended"}]},
        "create",
    )
    assert [(danger.rule, danger.severity) for danger in found(suspended)] == [("plan/recovery-off", Severity.NOTICE)]
    enabled = entry(
        "aws_s3_bucket_versioning", None, {"bucket": "b", "versioning_configuration": [{"status": "Enabled"}]}, "create"
    )
    assert found(enabled) == ()


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
    assert [danger.severity for danger in found(entry(type_, before, after))] == ([severity] if severity else [])
