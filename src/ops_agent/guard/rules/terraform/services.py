"""What the standards ask of services: shown to the reviewer and to the agent, never blocking."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, TerraformFile
from ops_agent.model.terraform import Attribute, Block, ExpressionKind

_SECRET_WORD = re.compile(r"(?i)(^|_)(password|secret|token|api_?key|private_?key|credentials?)($|_)")
_SERVERS = frozenset(
    {
        "aws_instance",
        "aws_launch_template",
        "aws_launch_configuration",
        "aws_autoscaling_group",
        "aws_spot_instance_request",
    }
)
_PUBLIC_ACLS = frozenset({"public-read", "public-read-write", "authenticated-read", "website"})
_BLOCK_PUBLIC = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")


def lambda_without_log_group(file: TerraformFile) -> Iterator[Hit]:
    """A Lambda function has no log group of its own.

    Without one AWS makes it at the first call, kept for ever and outside of Terraform.

    Remedy: Add `aws_cloudwatch_log_group` named `/aws/lambda/<function>` with `retention_in_days`.
    """
    if not _module_has(file, "aws_cloudwatch_log_group"):
        for block in _resources(file, "aws_lambda_function"):
            yield file.hit(block, f"`{block.name}` has no log group in this module", "log group")


def lambda_limits(file: TerraformFile) -> Iterator[Hit]:
    """A Lambda function does not say its timeout and memory.

    The defaults (3 seconds, 128 MB) are seldom what is meant.

    Remedy: Set `timeout` and `memory_size`.
    """
    for block in _resources(file, "aws_lambda_function"):
        missing = [n for n in ("timeout", "memory_size") if n not in block.members]
        if missing:
            names = " and no ".join(missing)
            yield file.hit(block, f"`{block.name}` has no {names}", names)


def secret_in_environment(file: TerraformFile) -> Iterator[Hit]:
    """An environment variable of a function or task seems to carry a secret.

    Everyone who may describe the function reads it, and so does the state.

    Remedy: Pass the secret's ARN, or use `secrets` of the container definition.
    """
    for block in _resources(file, "aws_lambda_function", "aws_ecs_task_definition"):
        for attribute, expression in block.expressions():
            if (
                attribute.name not in ("variables", "environment", "container_definitions")
                or expression.kind is not ExpressionKind.OBJECT
            ):
                continue
            pairs = list(zip(expression.children[::2], expression.children[1::2], strict=True))
            named = {str(k.value): v for k, v in pairs if isinstance(k.value, str)}
            names = [str(named["name"].value)] if "name" in named and "value" in named else list(named)
            for name in names:
                if _SECRET_WORD.search(name) and not name.lower().endswith(("_arn", "_name", "_id")):
                    yield file.hit(
                        block, f"`{block.name}` has the environment variable `{name}`", name, line=expression.line
                    )


def table_capacity(file: TerraformFile) -> Iterator[Hit]:
    """A DynamoDB table is not on demand.

    The standard for DynamoDB is on-demand capacity, always.

    Remedy: Set `billing_mode = "PAY_PER_REQUEST"` and leave capacities out.
    """
    for block in _resources(file, "aws_dynamodb_table"):
        mode = block.attribute("billing_mode")
        if mode is None or (
            mode.expression.kind is ExpressionKind.LITERAL and mode.expression.value != "PAY_PER_REQUEST"
        ):
            yield file.hit(block, f"`{block.name}` has provisioned capacity", mode or "billing_mode")


def bucket_protection(file: TerraformFile) -> Iterator[Hit]:
    """A bucket's public access is not blocked, or its encryption is not written down.

    By the standard for S3, buckets are private and encrypted.

    Remedy: Add `aws_s3_bucket_public_access_block` with all four switches on, and
    `aws_s3_bucket_server_side_encryption_configuration`.
    """
    for block in _resources(file, "aws_s3_bucket"):
        if not _module_has(file, "aws_s3_bucket_public_access_block"):
            yield file.hit(block, f"`{block.name}` has no public access block in this module", "public access block")
        encrypted = "server_side_encryption_configuration" in block.members
        if not encrypted and not _module_has(file, "aws_s3_bucket_server_side_encryption_configuration"):
            yield file.hit(block, f"`{block.name}` has no encryption in this module", "encryption")


def public_bucket(file: TerraformFile) -> Iterator[Hit]:
    """A bucket is opened to the public.

    By the standard for S3, no bucket is public.

    Remedy: Serve public files by CloudFront with origin access control; keep the bucket private.
    """
    for block in _resources(file, "aws_s3_bucket", "aws_s3_bucket_acl"):
        acl = block.attribute("acl")
        if acl is not None and acl.expression.value in _PUBLIC_ACLS:
            yield file.hit(block, f"`{block.name}` has the acl `{acl.expression.value}`", acl)
    for block in _resources(file, "aws_s3_bucket_public_access_block", "aws_s3_account_public_access_block"):
        for name in _BLOCK_PUBLIC:
            switch = block.attribute(name)
            if switch is None or switch.expression.value is False:
                yield file.hit(block, f"`{block.name}` leaves `{name}` off", switch or name)


def hard_coded_bucket_name(file: TerraformFile) -> Iterator[Hit]:
    """A bucket's name is a literal.

    Names of buckets are unique in the world and differ by environment.

    Remedy: Build the name from variables, e.g. `"${var.service_name}-${var.environment}-files"`.
    """
    if file.kind == "configuration" and file.environment is None:
        for block in _resources(file, "aws_s3_bucket"):
            bucket = block.attribute("bucket")
            if bucket is not None and bucket.expression.kind is ExpressionKind.LITERAL:
                yield file.hit(block, f"`{block.name}` is named `{bucket.expression.value}`", bucket)


def server(file: TerraformFile) -> Iterator[Hit]:
    """A server that runs all the time.

    Managed and serverless services come first; containers run on Fargate, not on EC2.

    Remedy: Use Lambda, Fargate or a managed service, or say in the pull request why a server is needed.
    """
    for block in _resources(file, *sorted(_SERVERS)):
        yield file.hit(block, f"`{block.name}` is a server", "server")
    for block in _resources(file, "aws_ecs_service"):
        launch = block.attribute("launch_type")
        if launch is not None and launch.expression.value == "EC2":
            yield file.hit(block, f"`{block.name}` runs on EC2", launch)


def task_logging(file: TerraformFile) -> Iterator[Hit]:
    """A container has no log configuration or no health check.

    Containers write to CloudWatch and say whether they are well.

    Remedy: Add `logConfiguration` with the `awslogs` driver and `healthCheck` to the container definition.
    """
    for block in _resources(file, "aws_ecs_task_definition"):
        definitions = block.attribute("container_definitions")
        keys = _words(definitions)
        for wanted in ("logConfiguration", "healthCheck"):
            if definitions is not None and keys and wanted not in keys:
                yield file.hit(block, f"`{block.name}` has no `{wanted}`", wanted, line=definitions.line)


def managed_secret_value(file: TerraformFile) -> Iterator[Hit]:
    """A secret's value is managed by Terraform.

    The value stands in the state and in the plan.

    Remedy: Create the secret only, and let people or rotation fill it.
    """
    for block in _resources(file, "aws_secretsmanager_secret_version"):
        for name in ("secret_string", "secret_binary"):
            if name in block.members:
                yield file.hit(block, f"`{block.name}` sets the value", block.attribute(name) or name)


def _resources(file: TerraformFile, *types: str) -> Iterator[Block]:
    return (b for b in file.source.of_type("resource") if b.labels and b.labels[0] in types)


def _module_has(file: TerraformFile, type_: str) -> bool:
    return any(
        b.labels[:1] == (type_,) for _, source in file.tree.module(file.directory) for b in source.of_type("resource")
    )


def _words(attribute: Attribute | None) -> frozenset[str]:
    if attribute is None:
        return frozenset()
    return frozenset(str(e.value) for e in attribute.expression.walk() if e.kind is ExpressionKind.LITERAL)
