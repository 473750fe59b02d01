"""Attributes that the AWS provider marks `sensitive` or `write_only`. Written by docs/sensitive_attributes.py: do not
edit.

A line is a type and the paths of its attributes; `{}` says that a collection is marked, `@` in which versions when not
in all.
"""

from __future__ import annotations

VERSIONS = ("3.39.0", "5.100.0")
SENSITIVE = """
aws_acm_certificate private_key
aws_alb_listener default_action.authenticate_oidc.client_secret
aws_alb_listener_rule action.authenticate_oidc.client_secret
aws_amplify_app access_token@5.100.0 auto_branch_creation_config.basic_auth_credentials@5.100.0 basic_auth_credentials@5.100.0
    oauth_token@5.100.0
aws_amplify_branch basic_auth_credentials@5.100.0
aws_api_gateway_api_key value
aws_api_gateway_domain_name certificate_private_key
aws_appconfig_configuration_profile validator.content@5.100.0
aws_appconfig_hosted_configuration_version content@5.100.0
aws_appfabric_app_authorization credential.api_key_credential.api_key@5.100.0 credential.oauth2_credential.client_secret@5.100.0
aws_appflow_connector_profile connector_profile_config.connector_profile_credentials.amplitude.secret_key@5.100.0
    connector_profile_config.connector_profile_credentials.custom_connector.basic.password@5.100.0
    connector_profile_config.connector_profile_credentials.custom_connector.custom.credentials_map{}@5.100.0
    connector_profile_config.connector_profile_credentials.custom_connector.oauth2.access_token@5.100.0
    connector_profile_config.connector_profile_credentials.custom_connector.oauth2.client_secret@5.100.0
    connector_profile_config.connector_profile_credentials.google_analytics.access_token@5.100.0
    connector_profile_config.connector_profile_credentials.google_analytics.client_secret@5.100.0
    connector_profile_config.connector_profile_credentials.honeycode.access_token@5.100.0
    connector_profile_config.connector_profile_credentials.infor_nexus.secret_access_key@5.100.0
    connector_profile_config.connector_profile_credentials.marketo.access_token@5.100.0
    connector_profile_config.connector_profile_credentials.marketo.client_secret@5.100.0
    connector_profile_config.connector_profile_credentials.redshift.password@5.100.0
    connector_profile_config.connector_profile_credentials.salesforce.access_token@5.100.0
    connector_profile_config.connector_profile_credentials.sapo_data.basic_auth_credentials.password@5.100.0
    connector_profile_config.connector_profile_credentials.sapo_data.oauth_credentials.access_token@5.100.0
    connector_profile_config.connector_profile_credentials.service_now.password@5.100.0
    connector_profile_config.connector_profile_credentials.slack.access_token@5.100.0
    connector_profile_config.connector_profile_credentials.slack.client_secret@5.100.0
    connector_profile_config.connector_profile_credentials.snowflake.password@5.100.0
    connector_profile_config.connector_profile_credentials.trendmicro.api_secret_key@5.100.0
    connector_profile_config.connector_profile_credentials.veeva.password@5.100.0
    connector_profile_config.connector_profile_credentials.zendesk.access_token@5.100.0
    connector_profile_config.connector_profile_credentials.zendesk.client_secret@5.100.0
aws_appstream_directory_config service_account_credentials.account_password@5.100.0
aws_appsync_api_key key
aws_chime_voice_connector_termination_credentials credentials.password@5.100.0
aws_cloudcontrolapi_resource schema@5.100.0
aws_cloudwatch_event_connection auth_parameters.api_key.value@5.100.0 auth_parameters.basic.password@5.100.0
    auth_parameters.invocation_http_parameters.body.value@5.100.0 auth_parameters.invocation_http_parameters.header.value@5.100.0
    auth_parameters.invocation_http_parameters.query_string.value@5.100.0 auth_parameters.oauth.client_parameters.client_secret@5.100.0
    auth_parameters.oauth.oauth_http_parameters.body.value@5.100.0 auth_parameters.oauth.oauth_http_parameters.header.value@5.100.0
    auth_parameters.oauth.oauth_http_parameters.query_string.value@5.100.0
aws_codebuild_project secondary_sources.auth.resource@3.39.0 source.auth.resource@3.39.0
aws_codebuild_source_credential token
aws_codebuild_webhook secret
aws_codepipeline_webhook authentication_configuration.secret_token
aws_cognito_managed_user_pool_client client_secret@5.100.0
aws_cognito_user password@5.100.0 temporary_password@5.100.0
aws_cognito_user_pool_client client_secret
aws_connect_user password@5.100.0
aws_datasync_location_fsx_ontap_file_system protocol.smb.password@5.100.0
aws_datasync_location_fsx_windows_file_system password
aws_datasync_location_object_storage secret_key@5.100.0
aws_datasync_location_smb password
aws_db_instance password password_wo@5.100.0
aws_directory_service_directory password
aws_directory_service_radius_settings shared_secret@5.100.0
aws_directory_service_shared_directory notes@5.100.0
aws_dms_certificate certificate_pem certificate_wallet
aws_dms_endpoint kafka_settings.sasl_password@5.100.0 kafka_settings.ssl_client_key_password@5.100.0 password
    redis_settings.auth_password@5.100.0
aws_docdb_cluster master_password master_password_wo@5.100.0
aws_docdbelastic_cluster admin_user_password@5.100.0
aws_elasticache_replication_group auth_token
aws_elasticache_user authentication_mode.passwords{}@5.100.0 passwords{}@5.100.0
aws_elasticsearch_domain advanced_security_options.master_user_options.master_user_password
aws_elasticsearch_domain_saml_options saml_options.master_user_name@5.100.0
aws_emr_cluster kerberos_attributes.ad_domain_join_password kerberos_attributes.cross_realm_trust_principal_password
    kerberos_attributes.kdc_admin_password
aws_fsx_ontap_file_system fsx_admin_password@5.100.0
aws_fsx_ontap_storage_virtual_machine active_directory_configuration.self_managed_active_directory_configuration.password@5.100.0
    svm_admin_password@5.100.0
aws_fsx_windows_file_system self_managed_active_directory.password
aws_glue_connection athena_properties{}@5.100.0 connection_properties{}
aws_glue_job source_control_details.auth_token@5.100.0
aws_grafana_workspace_api_key key@5.100.0
aws_grafana_workspace_service_account_token key@5.100.0
aws_iam_access_key secret ses_smtp_password_v4
aws_iam_server_certificate private_key
aws_iam_service_specific_credential service_password@5.100.0
aws_iam_user_login_profile password@5.100.0
aws_iot_authorizer token_signing_public_keys{}@5.100.0
aws_iot_ca_certificate ca_certificate_pem@5.100.0 verification_certificate_pem@5.100.0
aws_iot_certificate ca_pem@5.100.0 certificate_pem private_key public_key
aws_kinesis_firehose_delivery_stream http_endpoint_configuration.access_key redshift_configuration.password
    snowflake_configuration.key_passphrase@5.100.0 snowflake_configuration.private_key@5.100.0
aws_kms_ciphertext plaintext
aws_kms_external_key key_material_base64
aws_kms_grant grant_token@5.100.0
aws_kms_replica_external_key key_material_base64@5.100.0
aws_lb_listener default_action.authenticate_oidc.client_secret
aws_lb_listener_rule action.authenticate_oidc.client_secret
aws_lightsail_database master_password@5.100.0
aws_memorydb_user authentication_mode.passwords{}@5.100.0
aws_mq_broker ldap_server_metadata.service_account_password user.password
aws_mwaa_environment airflow_configuration_options{}
aws_opensearch_domain advanced_security_options.master_user_options.master_user_password@5.100.0
aws_opensearch_domain_saml_options saml_options.master_user_name@5.100.0
aws_opsworks_application app_source.password app_source.ssh_key ssl_configuration.private_key
aws_opsworks_rds_db_instance db_password
aws_opsworks_stack custom_cookbooks_source.password custom_cookbooks_source.ssh_key
aws_pinpoint_adm_channel client_id client_secret
aws_pinpoint_apns_channel bundle_id certificate private_key team_id token_key token_key_id
aws_pinpoint_apns_sandbox_channel bundle_id certificate private_key team_id token_key token_key_id
aws_pinpoint_apns_voip_channel bundle_id certificate private_key team_id token_key token_key_id
aws_pinpoint_apns_voip_sandbox_channel bundle_id certificate private_key team_id token_key token_key_id
aws_pinpoint_baidu_channel api_key secret_key
aws_pinpoint_gcm_channel api_key service_json@5.100.0
aws_quicksight_data_source credentials.credential_pair.password@5.100.0 credentials.credential_pair.username@5.100.0
aws_rds_cluster master_password master_password_wo@5.100.0
aws_redshift_cluster master_password master_password_wo@5.100.0
aws_redshift_hsm_configuration hsm_partition_password@5.100.0
aws_redshiftserverless_namespace admin_user_password@5.100.0 admin_user_password_wo@5.100.0 admin_username@5.100.0
aws_s3_bucket_object_lock_configuration token@5.100.0
aws_s3_bucket_replication_configuration token@5.100.0
aws_s3_object_copy customer_key kms_encryption_context kms_key_id source_customer_key
aws_sagemaker_workforce oidc_config.client_secret@5.100.0
aws_secretsmanager_secret_version secret_binary secret_string secret_string_wo@5.100.0
aws_securitylake_subscriber_notification configuration.https_notification_configuration.authorization_api_key_value@5.100.0
aws_sesv2_email_identity dkim_signing_attributes.domain_signing_private_key@5.100.0
aws_sns_platform_application platform_credential platform_principal
aws_ssm_maintenance_window_task task_invocation_parameters.lambda_parameters.payload
    task_invocation_parameters.step_functions_parameters.input
aws_ssm_parameter value value_wo@5.100.0
aws_storagegateway_file_system_association password@5.100.0
aws_storagegateway_gateway smb_active_directory_settings.password smb_guest_password
aws_timestreaminfluxdb_db_instance password@5.100.0
aws_transfer_certificate certificate@5.100.0 certificate_chain@5.100.0 private_key@5.100.0
aws_transfer_server host_key post_authentication_login_banner@5.100.0 pre_authentication_login_banner@5.100.0
aws_verifiedaccess_trust_provider native_application_oidc_options.client_secret@5.100.0 oidc_options.client_secret@5.100.0
aws_vpn_connection customer_gateway_configuration@5.100.0 tunnel1_preshared_key tunnel2_preshared_key
aws_wafv2_api_key api_key@5.100.0
data.aws_api_gateway_api_key value
data.aws_cognito_user_pool_client client_secret@5.100.0
data.aws_dms_certificate certificate_pem@5.100.0 certificate_wallet@5.100.0
data.aws_ecr_authorization_token authorization_token password
data.aws_ecrpublic_authorization_token authorization_token@5.100.0 password@5.100.0
data.aws_eks_cluster_auth token
data.aws_elasticache_user passwords{}@5.100.0
data.aws_glue_connection athena_properties{}@5.100.0 connection_properties{}@5.100.0
data.aws_kms_ciphertext plaintext
data.aws_kms_secrets plaintext{}
data.aws_redshift_cluster_credentials db_password@5.100.0
data.aws_redshiftserverless_credentials db_password@5.100.0
data.aws_secretsmanager_secret_version secret_binary secret_string
data.aws_ssm_parameter value
data.aws_ssm_parameters_by_path values{}@5.100.0
ephemeral.aws_cognito_identity_openid_token_for_developer_identity token@5.100.0
ephemeral.aws_eks_cluster_auth token@5.100.0
ephemeral.aws_kms_secrets plaintext{}@5.100.0
ephemeral.aws_secretsmanager_random_password random_password@5.100.0
ephemeral.aws_secretsmanager_secret_version secret_binary@5.100.0 secret_string@5.100.0
ephemeral.aws_ssm_parameter value@5.100.0
"""
