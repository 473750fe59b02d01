"""What it takes to undo each kind of change."""

from __future__ import annotations

from typing import Any

import pytest

from ops_agent.plan.undo import Undo, undo_of
from plan.plan_samples import change, plan_document, read


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (change("aws_cloudwatch_metric_alarm.a", "create", after={}), Undo.PLAIN),
        (change("aws_ssm_parameter.p", "create", after={}), Undo.PLAIN),
        (change("aws_vpc.v", "create", after={}), Undo.PLAIN),
        (change("aws_sqs_queue.q", "create", after={}), Undo.HOLDS_DATA),
        (change("aws_dynamodb_table.t", "create", after={}), Undo.HOLDS_DATA),
        (change("aws_kms_key.k", "create", after={}), Undo.DELAYED),
        (change("aws_dynamodb_table.t", "create", after={"deletion_protection_enabled": True}), Undo.PROTECTED),
        (change("aws_cognito_user_pool.p", "create", after={"deletion_protection": "ACTIVE"}), Undo.PROTECTED),
        (change("aws_kms_key.k", "delete", before={"deletion_window_in_days": 7}), Undo.LOSES_DATA),
        (change("aws_sqs_queue.q", "update", before={"a": 1}, after={"a": 2}), Undo.PLAIN),
        (
            change("aws_db_instance.d", "update", before={"engine_version": "14"}, after={"engine_version": "15"}),
            Undo.ONE_WAY,
        ),
        (
            change(
                "aws_cloudwatch_log_group.g", "update", before={"retention_in_days": 30}, after={"retention_in_days": 7}
            ),
            Undo.LOSES_DATA,
        ),
        (
            change(
                "aws_cloudwatch_log_group.g", "update", before={"retention_in_days": 7}, after={"retention_in_days": 30}
            ),
            Undo.PLAIN,
        ),
        (change("aws_dynamodb_table.t", "delete", before={}), Undo.LOSES_DATA),
        (change("aws_cloudwatch_metric_alarm.a", "delete", "create", before={}, after={}), Undo.RECREATE),
        (change("aws_sqs_queue.q", "forget", before={}), Undo.RECREATE),
        (change("other_thing.q", "delete", before={}), Undo.CANNOT_TELL),
        (
            change("aws_sqs_queue.q", "no-op", before={}, after={}, previous_address="aws_sqs_queue.p"),
            Undo.PLAIN,
        ),
    ],
)
def test_each_change_says_whether_it_can_be_undone(entry: dict[str, Any], word: Undo) -> None:
    assessed = undo_of(read(plan_document(entry)).changes[0])
    assert assessed.word is word
    assert assessed.why


def test_a_key_says_after_how_many_days_it_is_gone() -> None:
    for window, days in ((None, 30), (7, 7)):
        entry = change("aws_kms_key.k", "create", after={"deletion_window_in_days": window})
        assert f"it is deleted {days} days later" in undo_of(read(plan_document(entry)).changes[0]).why


def test_what_the_code_protects_from_a_destroy_says_so() -> None:
    entry = change('module.a["x"].aws_sqs_queue.q[0]', "create", after={}, type="aws_sqs_queue")
    assessed = undo_of(read(plan_document(entry)).changes[0], prevented={"aws_sqs_queue.q"})
    assert (assessed.word, "remove `prevent_destroy`" in assessed.why) == (Undo.PROTECTED, True)


COMPLIANCE = {"rule": [{"default_retention": [{"mode": "COMPLIANCE", "days": 3650}]}]}


@pytest.mark.parametrize(
    ("type_", "after", "word"),
    [
        ("aws_backup_vault_lock_configuration", {"changeable_for_days": 3}, Undo.ONE_WAY),
        ("aws_backup_vault_lock_configuration", {"changeable_for_days": None, "min_retention_days": 7}, Undo.PLAIN),
        ("aws_glacier_vault_lock", {"complete_lock": True}, Undo.ONE_WAY),
        ("aws_glacier_vault_lock", {"complete_lock": False}, Undo.PLAIN),
        ("aws_s3_bucket_object_lock_configuration", COMPLIANCE, Undo.ONE_WAY),
        (
            "aws_s3_bucket_object_lock_configuration",
            {"rule": [{"default_retention": [{"mode": "GOVERNANCE"}]}]},
            Undo.PLAIN,
        ),
        ("aws_rds_reserved_instance", {}, Undo.ONE_WAY),
        ("aws_organizations_account", {}, Undo.ONE_WAY),
        ("aws_route53domains_domain", {}, Undo.ONE_WAY),
        ("aws_kms_replica_key", {"deletion_window_in_days": 7}, Undo.DELAYED),
        ("aws_kms_external_key", {}, Undo.DELAYED),
        ("aws_secretsmanager_secret", {}, Undo.DELAYED),
        ("aws_secretsmanager_secret", {"recovery_window_in_days": 0}, Undo.PLAIN),
    ],
)
def test_what_binds_for_good_is_not_undone_by_destroying_it(type_: str, after: dict[str, Any], word: Undo) -> None:
    assessed = undo_of(read(plan_document(change(f"{type_}.x", "create", after=after))).changes[0])
    assert assessed.word is word
    assert " 0 days" not in assessed.why


def test_a_creation_says_what_is_lost_when_it_is_destroyed_again() -> None:
    assessed = undo_of(read(plan_document(change("aws_sqs_queue.q", "create", after={}))).changes[0])
    assert (assessed.word.value, assessed.why) == ("loses data once in use", "destroy it; then messages in it are lost")
