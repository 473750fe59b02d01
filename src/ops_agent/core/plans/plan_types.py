"""AWS resource types that hold something which a new resource of the same name does not bring back."""

from __future__ import annotations

from typing import Final

_DATABASE = "its data goes with it"
_FILES = "what is stored in it goes with it"
_KEY = "everything encrypted with it becomes unreadable"
_QUEUE = "messages in it are lost"
_LOGS = "its log lines go with it"
_IDENTITY = "its users and their passwords cannot be brought back"
_NAME = "its name or address is given away and may not come back"
_REPOSITORY = "its images go with it"
_RECOVERY = "what it keeps to recover from is lost"

STATEFUL: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "aws_db_instance",
            "aws_rds_cluster",
            "aws_rds_cluster_instance",
            "aws_rds_global_cluster",
            "aws_dynamodb_table",
            "aws_dynamodb_table_item",
            "aws_dynamodb_global_table",
            "aws_docdb_cluster",
            "aws_docdb_cluster_instance",
            "aws_neptune_cluster",
            "aws_elasticache_cluster",
            "aws_elasticache_replication_group",
            "aws_elasticache_serverless_cache",
            "aws_memorydb_cluster",
            "aws_redshift_cluster",
            "aws_redshiftserverless_namespace",
            "aws_elasticsearch_domain",
            "aws_opensearch_domain",
            "aws_opensearchserverless_collection",
            "aws_timestreamwrite_table",
            "aws_timestreamwrite_database",
            "aws_keyspaces_table",
            "aws_keyspaces_keyspace",
            "aws_qldb_ledger",
            "aws_glue_catalog_database",
            "aws_glue_catalog_table",
            "aws_athena_database",
            "aws_docdbelastic_cluster",
            "aws_dsql_cluster",
            "aws_dax_cluster",
            "aws_timestreaminfluxdb_db_instance",
            "aws_lightsail_database",
            "aws_emr_cluster",
            "aws_kendra_index",
            "aws_prometheus_workspace",
            "aws_cloudtrail_event_data_store",
            "aws_cloudwatch_event_archive",
        ),
        _DATABASE,
    ),
    **dict.fromkeys(
        (
            "aws_s3_bucket",
            "aws_s3_object",
            "aws_s3_bucket_object",
            "aws_s3_directory_bucket",
            "aws_s3tables_table",
            "aws_efs_file_system",
            "aws_fsx_lustre_file_system",
            "aws_fsx_ontap_file_system",
            "aws_fsx_openzfs_file_system",
            "aws_fsx_windows_file_system",
            "aws_ebs_volume",
            "aws_instance",
            "aws_glacier_vault",
            "aws_codecommit_repository",
            "aws_s3tables_table_bucket",
            "aws_fsx_ontap_volume",
            "aws_fsx_openzfs_volume",
            "aws_lightsail_instance",
            "aws_lightsail_disk",
            "aws_workspaces_workspace",
            "aws_sagemaker_domain",
            "aws_codeartifact_domain",
            "aws_codeartifact_repository",
            "aws_kinesis_video_stream",
        ),
        _FILES,
    ),
    **dict.fromkeys(("aws_kms_key", "aws_kms_replica_key", "aws_kms_external_key", "aws_cloudhsm_v2_cluster"), _KEY),
    **dict.fromkeys(("aws_secretsmanager_secret", "aws_secretsmanager_secret_version", "aws_ssm_parameter"), "its value goes with it"),
    **dict.fromkeys(("aws_sqs_queue", "aws_kinesis_stream", "aws_msk_cluster", "aws_mq_broker"), _QUEUE),
    **dict.fromkeys(("aws_cloudwatch_log_group", "aws_cloudwatch_log_stream"), _LOGS),
    "aws_cloudtrail": "what happens in the account is not recorded any more",
    "aws_acmpca_certificate_authority": "certificates that it signed can neither be renewed nor revoked",
    **dict.fromkeys(
        ("aws_cognito_user_pool", "aws_cognito_user", "aws_cognito_identity_pool", "aws_iam_user", "aws_iam_access_key"), _IDENTITY
    ),
    **dict.fromkeys(
        ("aws_route53_zone", "aws_eip", "aws_apigatewayv2_api", "aws_api_gateway_rest_api", "aws_cloudfront_distribution", "aws_lb"), _NAME
    ),
    **dict.fromkeys(("aws_ecr_repository", "aws_ecrpublic_repository"), _REPOSITORY),
    **dict.fromkeys(
        ("aws_backup_vault", "aws_db_snapshot", "aws_db_cluster_snapshot", "aws_ebs_snapshot", "aws_ami", "aws_fsx_backup"), _RECOVERY
    ),
    **dict.fromkeys(("aws_eks_cluster",), "what runs in it stops, and its objects go with it"),
    **dict.fromkeys(("aws_vpc", "aws_subnet"), "what is attached to it stops"),
}
"""Type -> what is lost."""
