"""Files that point Terraform at the emulated AWS. The harness adds them to a copy; no agent writes such a thing."""

from __future__ import annotations

OVERLAY_NAME = "zz_embedded_aws_override.tf"

# Names of the provider's `endpoints` block that 3.39 and 5.100 both know (measured with `providers schema`).
_SERVICES = """
acm acmpca apigateway applicationautoscaling appsync athena autoscaling backup batch cloudformation cloudfront
cloudtrail cloudwatch cloudwatchevents cloudwatchlogs codebuild cognitoidentity cognitoidp configservice dynamodb ec2
ecr ecs efs eks elasticache elb es firehose glue guardduty iam kinesis kms lambda organizations rds redshift
resourcegroups resourcegroupstaggingapi route53 route53resolver s3 s3control secretsmanager
servicediscovery ses shield sns sqs ssm stepfunctions sts synthetics waf wafv2 xray
"""


def provider_overlay(endpoint: str) -> bytes:
    """An override file: every service of the provider `aws` at `endpoint`, nothing validated against the real AWS."""
    lines = "".join(f"    {service} = {_quoted(endpoint)}\n" for service in _SERVICES.split())
    return (
        'provider "aws" {\n'
        "  skip_credentials_validation = true\n"
        "  skip_metadata_api_check     = true\n"
        "  skip_region_validation      = true\n"
        "  s3_force_path_style         = true\n"
        f"  endpoints {{\n{lines}  }}\n}}\n"
    ).encode()


def backend_overrides(endpoint: str) -> bytes:
    """A second `-backend-config` file for an S3 backend."""
    url = _quoted(endpoint)
    return (
        "use_path_style              = true\n"
        "skip_credentials_validation = true\n"
        "skip_requesting_account_id  = true\n"
        "skip_metadata_api_check     = true\n"
        "skip_region_validation      = true\n"
        "skip_s3_checksum            = true\n"
        f"endpoints = {{ s3 = {url}, sts = {url}, iam = {url}, dynamodb = {url} }}\n"
    ).encode()


def _quoted(text: str) -> str:
    return f'"{text}"'
