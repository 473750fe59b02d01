"""What keeps or bounds the life of data in AWS resources: arguments that must not fall, switch off or switch on without a reviewer's eye.

Paths name an argument, or one inside a nested block (`point_in_time_recovery.enabled`). Units are the argument's own. Sources: the resource
pages of the AWS provider (registry.terraform.io/providers/hashicorp/aws) and the API reference of each service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How long, or how much, is kept. `forever` is the value that means no end; `default` what AWS keeps when the argument is not set."""

    type: str
    path: str
    lost: str
    forever: int | None = None
    default: int | None = None


_LOGS = "older log lines are deleted"
_RECORDS = "older records are deleted"
_BACKUPS = "older automatic backups are deleted"
_SNAPSHOTS = "older snapshots are deleted"
_POINTS = "the time that one can go back to is shorter"

SHORTENED: Final[tuple[Span, ...]] = (
    Span(type="aws_cloudwatch_log_group", path="retention_in_days", lost=_LOGS, forever=0, default=0),
    Span(type="aws_cloudwatch_event_archive", path="retention_days", lost="older events are deleted", forever=0, default=0),
    Span(type="aws_cloudtrail_event_data_store", path="retention_period", lost="older events are deleted"),
    Span(type="aws_kinesis_stream", path="retention_period", lost=_RECORDS, default=24),
    Span(type="aws_kinesis_video_stream", path="data_retention_in_hours", lost="older video is deleted", default=0),
    Span(type="aws_sqs_queue", path="message_retention_seconds", lost="older messages are deleted", default=345_600),
    Span(type="aws_timestreamwrite_table", path="retention_properties.memory_store_retention_period_in_hours", lost=_RECORDS),
    Span(type="aws_timestreamwrite_table", path="retention_properties.magnetic_store_retention_period_in_days", lost=_RECORDS),
    Span(type="aws_iotanalytics_datastore", path="retention_period.number_of_days", lost=_RECORDS),
    Span(type="aws_iotanalytics_channel", path="retention_period.number_of_days", lost=_RECORDS),
    Span(type="aws_db_instance", path="backup_retention_period", lost=_BACKUPS),
    Span(type="aws_db_instance", path="performance_insights_retention_period", lost="older performance figures are deleted"),
    Span(type="aws_db_instance_automated_backups_replication", path="retention_period", lost=_BACKUPS, default=7),
    Span(type="aws_rds_cluster", path="backup_retention_period", lost=_BACKUPS, default=1),
    Span(type="aws_rds_cluster", path="backtrack_window", lost=_POINTS, default=0),
    Span(type="aws_docdb_cluster", path="backup_retention_period", lost=_BACKUPS, default=1),
    Span(type="aws_docdbelastic_cluster", path="backup_retention_period", lost=_BACKUPS, default=1),
    Span(type="aws_neptune_cluster", path="backup_retention_period", lost=_BACKUPS, default=1),
    Span(type="aws_redshift_cluster", path="automated_snapshot_retention_period", lost=_SNAPSHOTS, default=1),
    Span(type="aws_redshift_cluster", path="manual_snapshot_retention_period", lost=_SNAPSHOTS, forever=-1, default=-1),
    Span(type="aws_redshift_cluster", path="snapshot_copy.retention_period", lost=_SNAPSHOTS, default=7),
    Span(type="aws_redshift_snapshot_copy", path="retention_period", lost=_SNAPSHOTS, default=7),
    Span(type="aws_elasticache_cluster", path="snapshot_retention_limit", lost=_SNAPSHOTS, default=0),
    Span(type="aws_elasticache_cluster", path="num_cache_nodes", lost="what the removed nodes hold is gone"),
    Span(type="aws_elasticache_replication_group", path="snapshot_retention_limit", lost=_SNAPSHOTS, default=0),
    Span(type="aws_elasticache_serverless_cache", path="snapshot_retention_limit", lost=_SNAPSHOTS, default=0),
    Span(type="aws_memorydb_cluster", path="snapshot_retention_limit", lost=_SNAPSHOTS, default=0),
    Span(type="aws_dynamodb_table", path="point_in_time_recovery.recovery_period_in_days", lost=_POINTS, default=35),
    *(
        Span(type=f"aws_fsx_{kind}_file_system", path="automatic_backup_retention_days", lost=_BACKUPS)
        for kind in ("lustre", "ontap", "openzfs", "windows")
    ),
)
"""Lowering one deletes what exists already and is older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """An argument with one value, or a few, that keep something. `lost` says what leaving them costs; `deletes`: at once, for good."""

    type: str
    path: str
    on: tuple[object, ...]
    lost: str
    deletes: bool = False


_VERSIONS = "what is overwritten or deleted from then on cannot be brought back"
_MAGNETIC = "magnetic_store_write_properties.enable_magnetic_store_writes"
_CONTINUOUS = "the backups that one could go back to are deleted"
_OVERWRITTEN = "what is stored can be deleted or overwritten from then on"
_COPIES = "what is written from then on is kept in one place only"
_UNSEEN = "what happens in the account from then on is not recorded"

SWITCHED_OFF: Final[tuple[Switch, ...]] = (
    Switch(type="aws_s3_bucket", path="versioning.enabled", on=(True,), lost=_VERSIONS),
    Switch(type="aws_s3_bucket_versioning", path="versioning_configuration.status", on=("Enabled",), lost=_VERSIONS),
    Switch(type="aws_s3_bucket", path="versioning.mfa_delete", on=(True,), lost=_OVERWRITTEN),
    Switch(type="aws_s3_bucket_versioning", path="versioning_configuration.mfa_delete", on=("Enabled",), lost=_OVERWRITTEN),
    Switch(type="aws_s3_bucket", path="object_lock_configuration.rule.default_retention.mode", on=("COMPLIANCE",), lost=_OVERWRITTEN),
    Switch(type="aws_s3_bucket_object_lock_configuration", path="rule.default_retention.mode", on=("COMPLIANCE",), lost=_OVERWRITTEN),
    Switch(type="aws_dynamodb_table", path="point_in_time_recovery.enabled", on=(True,), lost=_CONTINUOUS, deletes=True),
    Switch(type="aws_keyspaces_table", path="point_in_time_recovery.status", on=("ENABLED",), lost=_CONTINUOUS, deletes=True),
    Switch(type="aws_timestreamwrite_table", path=_MAGNETIC, on=(True,), lost=_RECORDS),
    Switch(type="aws_efs_backup_policy", path="backup_policy.status", on=("ENABLED", "ENABLING"), lost="no more backups are made"),
    Switch(type="aws_dlm_lifecycle_policy", path="state", on=("ENABLED",), lost="no more snapshots are made"),
    Switch(type="aws_cloudtrail", path="enable_logging", on=(True,), lost=_UNSEEN),
    Switch(type="aws_cloudtrail", path="is_multi_region_trail", on=(True,), lost=_UNSEEN),
    Switch(type="aws_config_configuration_recorder_status", path="is_enabled", on=(True,), lost=_UNSEEN),
    Switch(type="aws_guardduty_detector", path="enable", on=(True,), lost="attacks are not noticed from then on"),
    Switch(type="aws_cloudtrail_event_data_store", path="termination_protection_enabled", on=(True,), lost=_OVERWRITTEN),
)
"""Leaving one of the values `on`; for an argument of a protection against deletion see `dangers`."""

SWITCHED_ON: Final[tuple[Switch, ...]] = (
    Switch(type="aws_dynamodb_table", path="ttl.enabled", on=(True,), lost="items that are past their time are deleted", deletes=True),
    Switch(type="aws_keyspaces_table", path="ttl.status", on=("ENABLED",), lost="rows that are past their time are deleted", deletes=True),
)
"""Reaching one of the values `on` where it was not."""

KEEPERS: Final[dict[str, str]] = {
    "aws_s3_bucket_versioning": f"versioning is suspended: {_VERSIONS}",
    "aws_s3_bucket_replication_configuration": _COPIES,
    "aws_s3_bucket_object_lock_configuration": _OVERWRITTEN,
    "aws_backup_plan": "no more backups are made",
    "aws_backup_selection": "no more backups are made of what it selects",
    "aws_backup_vault_lock_configuration": "backups can be deleted before their time",
    "aws_backup_vault_policy": "backups may be deletable by more people",
    "aws_efs_backup_policy": "no more backups are made",
    "aws_efs_replication_configuration": _COPIES,
    "aws_dlm_lifecycle_policy": "no more snapshots are made",
    "aws_db_instance_automated_backups_replication": "the copies of the backups in the other place are deleted",
    "aws_redshift_snapshot_copy": "snapshots are kept in one place only from then on",
    "aws_cloudtrail": _UNSEEN,
    "aws_config_configuration_recorder": _UNSEEN,
    "aws_config_configuration_recorder_status": _UNSEEN,
    "aws_flow_log": "traffic from then on is not recorded",
    "aws_guardduty_detector": "its findings are deleted, and attacks are not noticed from then on",
}
"""Destroying one of these deletes nothing that is stored, and takes away what would bring it back, or what would tell of it."""

ONE_WAY: Final[dict[str, str]] = {
    "storage_encrypted": "encryption cannot be changed in place",
    "enable_key_rotation": "rotated key material stays",
}
"""Arguments whose old value cannot be set again."""
