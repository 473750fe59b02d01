"""What may run while Terraform plans is on lists: whatever is new or unknown stays closed (SECURITY.md, promise 7)."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.guard.rule import Hit, TerraformFile
from ops_agent.guard.rules.terraform.reading import READS
from ops_agent.model.terraform import Expression, ExpressionKind


def _words(text: str, prefix: str = "") -> frozenset[str]:
    return frozenset(f"{prefix}{word}" for word in text.split())


# Describe infrastructure, or compute a document. Left out on purpose: everything that answers with contents, code,
# environment variables, user data, keys or passwords, that reads any resource by name (`aws_cloudcontrolapi_resource`),
# or that runs something (`aws_ecs_task_execution`).
_DATA_SOURCES = _words(
    """
    acm_certificate acmpca_certificate_authority alb alb_listener alb_target_group ami ami_ids api_gateway_domain_name
    api_gateway_resource api_gateway_rest_api api_gateway_vpc_link apigatewayv2_api apigatewayv2_apis apigatewayv2_vpc_link arn
    autoscaling_group autoscaling_groups availability_zone availability_zones backup_plan backup_selection backup_vault
    billing_service_account caller_identity canonical_user_id cloudformation_type cloudfront_cache_policy cloudfront_distribution
    cloudfront_log_delivery_canonical_user_id cloudfront_origin_access_control cloudfront_origin_access_identities
    cloudfront_origin_access_identity cloudfront_origin_request_policy cloudfront_realtime_log_config cloudfront_response_headers_policy
    cloudtrail_service_account cloudwatch_event_bus cloudwatch_event_buses cloudwatch_event_source
    cloudwatch_log_data_protection_policy_document cloudwatch_log_group cloudwatch_log_groups codeartifact_repository_endpoint
    codestarconnections_connection cognito_user_group cognito_user_groups cognito_user_pool cognito_user_pool_clients
    cognito_user_pool_signing_certificate cognito_user_pools customer_gateway db_cluster_snapshot db_event_categories db_instance
    db_instances db_parameter_group db_proxy db_snapshot db_subnet_group default_tags docdb_engine_version docdb_orderable_db_instance
    dx_connection dx_gateway dx_location dx_locations dynamodb_table dynamodb_tables ebs_default_kms_key ebs_encryption_by_default
    ebs_snapshot ebs_snapshot_ids ebs_volume ebs_volumes ec2_coip_pool ec2_instance_type ec2_instance_type_offering
    ec2_instance_type_offerings ec2_instance_types ec2_managed_prefix_list ec2_managed_prefix_lists ec2_transit_gateway
    ec2_transit_gateway_attachment ec2_transit_gateway_attachments ec2_transit_gateway_peering_attachment
    ec2_transit_gateway_route_table ec2_transit_gateway_route_tables ec2_transit_gateway_vpc_attachment
    ec2_transit_gateway_vpc_attachments ec2_transit_gateway_vpn_attachment ecr_image ecr_images ecr_lifecycle_policy_document
    ecr_pull_through_cache_rule ecr_repositories ecr_repository ecs_cluster ecs_clusters ecs_service efs_access_point efs_access_points
    efs_file_system efs_mount_target eip eips eks_access_entry eks_addon eks_addon_version eks_cluster eks_cluster_versions eks_clusters
    eks_node_group eks_node_groups elastic_beanstalk_hosted_zone elastic_beanstalk_solution_stack elasticache_cluster
    elasticache_replication_group elasticache_serverless_cache elasticache_subnet_group elasticsearch_domain elb elb_hosted_zone_id
    elb_service_account globalaccelerator_accelerator guardduty_detector iam_account_alias iam_group iam_instance_profile
    iam_instance_profiles iam_openid_connect_provider iam_policy iam_policy_document iam_role iam_roles iam_server_certificate
    iam_session_context iam_user iam_users instances internet_gateway ip_ranges kinesis_firehose_delivery_stream kinesis_stream
    kinesis_stream_consumer kms_alias kms_custom_key_store kms_key kms_public_key lambda_alias lambda_code_signing_config
    lambda_function_url lambda_functions lambda_layer_version lb lb_hosted_zone_id lb_listener lb_listener_rule lb_target_group
    lb_trust_store lbs memorydb_cluster memorydb_subnet_group mq_broker mq_broker_engine_types mq_broker_instance_type_offerings
    msk_bootstrap_brokers msk_broker_nodes msk_cluster msk_kafka_version nat_gateway nat_gateways neptune_engine_version
    neptune_orderable_db_instance network_acls network_interface network_interfaces opensearch_domain organizations_organization
    organizations_organizational_unit organizations_organizational_units partition prefix_list rds_certificate rds_cluster
    rds_cluster_parameter_group rds_clusters rds_engine_version rds_orderable_db_instance rds_reserved_instance_offering
    redshift_cluster redshift_orderable_cluster redshift_service_account redshift_subnet_group region regions
    resourcegroupstaggingapi_resources route route53_delegation_set route53_profiles route53_resolver_endpoint route53_resolver_rule
    route53_resolver_rules route53_zone route53_zones route_table route_tables s3_account_public_access_block s3_bucket s3_bucket_policy
    s3_bucket_replication_configuration secretsmanager_random_password secretsmanager_secret secretsmanager_secrets security_group
    security_group_rule security_groups service service_discovery_dns_namespace service_discovery_http_namespace
    service_discovery_service service_principal servicequotas_service servicequotas_service_quota ses_active_receipt_rule_set
    ses_domain_identity ses_email_identity sesv2_configuration_set sesv2_dedicated_ip_pool sesv2_email_identity sfn_activity sfn_alias
    sns_topic sqs_queue sqs_queues ssm_patch_baseline ssoadmin_instances subnet subnet_ids subnets synthetics_runtime_version
    synthetics_runtime_versions vpc vpc_dhcp_options vpc_endpoint vpc_endpoint_service vpc_ipam vpc_ipam_pool vpc_ipam_pools vpc_ipams
    vpc_peering_connection vpc_peering_connections vpc_security_group_rule vpc_security_group_rules vpcs vpn_gateway waf_rule
    waf_web_acl wafregional_rule wafregional_web_acl wafv2_ip_set wafv2_regex_pattern_set wafv2_rule_group wafv2_web_acl
    """,
    prefix="aws_",
)
_FUNCTIONS = _words(
    """
    abs abspath alltrue anytrue base64decode base64encode base64gunzip base64gzip base64sha256 base64sha512 basename bcrypt can ceil
    chomp chunklist cidrcontains cidrhost cidrnetmask cidrsubnet cidrsubnets coalesce coalescelist compact concat contains convert
    csvdecode dirname distinct element endswith ephemeralasnull flatten floor format formatdate formatlist indent index issensitive join
    jsondecode jsonencode keys length list log lookup lower map matchkeys max md5 merge min one parseint pathexpand plantimestamp pow
    range regex regexall replace reverse rsadecrypt sensitive setintersection setproduct setsubtract setunion sha1 sha256 sha512 signum
    slice sort split startswith strcontains strrev substr sum textdecodebase64 textencodebase64 timeadd timecmp timestamp title tobool
    tolist tomap tonumber toset tostring transpose trim trimprefix trimspace trimsuffix try type upper urldecode urlencode uuid uuidv5
    values yamldecode yamlencode zipmap
    """
)
# What a variable's `type` is written with, beside `list` and `map`.
_TYPES = _words("object optional set tuple")
# Judged by rules of their own.
_JUDGED = frozenset({"nonsensitive", "templatestring"})


def unlisted_data_source(file: TerraformFile) -> Iterator[Hit]:
    """A data source is not on the list of those that only describe infrastructure.

    A data source may answer with a function's environment, user data, a key's value or any resource at all, and some
    start tasks. Ephemeral resources fetch secrets by design.

    Remedy: Pass what is needed by a variable; ask the maintainers of ops-agent to list the data source if it only
    describes.
    """
    for block in file.source.of_type("data", "ephemeral"):
        type_ = block.labels[0] if block.labels else ""
        if block.type == "ephemeral" or (type_.startswith("aws_") and type_ not in _DATA_SOURCES):
            yield file.hit(block, f"`{block.name}` is not on the list")


def unlisted_function(file: TerraformFile) -> Iterator[Hit]:
    """A function is not known.

    What a function of a future version reads or reveals is not known here.

    Remedy: Use a function of Terraform 1.5 to 1.14.
    """
    for piece in file.pieces():
        for _, expression in piece.expressions():
            if is_unlisted(expression):
                yield file.hit(piece, f"`{expression.name}` is not a known function", expression)


def is_unlisted(expression: Expression) -> bool:
    """True for a call of a function that no rule knows."""
    if expression.kind is not ExpressionKind.CALL or "::" in expression.name or expression.name in _JUDGED:
        return False
    return expression.name not in _FUNCTIONS | _TYPES and not READS.fullmatch(expression.name)
