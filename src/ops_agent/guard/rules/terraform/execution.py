"""What would run, or read secrets, while Terraform plans (D01, D02, D05, D08, D13, D14 of the security bar)."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.guard.rule import Hit, TerraformFile, UnreadableFile
from ops_agent.model.terraform import Block, ExpressionKind

_TOP_BLOCKS = frozenset(
    {"terraform", "provider", "resource", "data", "ephemeral", "module", "variable", "output", "locals", "moved"}
)
_TERRAFORM_MEMBERS = frozenset({"required_version", "required_providers", "backend", "cloud"})
_LABELS = {"resource": 2, "data": 2, "ephemeral": 2, "provider": 1, "module": 1, "variable": 1, "output": 1}
_SECRET_TYPES = frozenset(
    {
        "aws_kms_secret",
        "aws_kms_secrets",
        "aws_ecr_authorization_token",
        "aws_eks_cluster_auth",
        "aws_s3_object",
        "aws_s3_objects",
    }
    | {"aws_s3_bucket_object", "aws_s3_bucket_objects", "aws_lambda_invocation", "aws_codeartifact_authorization_token"}
    | {
        "aws_cognito_user_pool_client",
        "aws_dynamodb_table_item",
        "aws_iam_access_keys",
        "aws_rds_cluster_password",
        "aws_db_auth_token",
    }
    | {"aws_cloudformation_export", "aws_cloudformation_stack", "aws_athena_named_query", "aws_ssm_document"}
)
_SECRET_PREFIXES = ("aws_secretsmanager_", "aws_ssm_parameter")
_HARMLESS_SECRET_TYPES = frozenset({"aws_secretsmanager_secret", "aws_secretsmanager_secrets"})


def unreadable_file(file: UnreadableFile) -> Iterator[Hit]:
    """A Terraform file cannot be read without doubt.

    Terraform may read what a checker cannot. What two independent readers do not understand alike is not judged, so it
    may not leave.

    Remedy: Write plain HCL: no comment inside an expression, no `core::`, no `~` in `${ }`, one argument a line.
    """
    if not file.path.endswith((".yml", ".yaml")):
        yield Hit(path=file.path, line=file.reason.line, what=file.reason.what, anchor=file.text)


def external_data_source(file: TerraformFile) -> Iterator[Hit]:
    """A data source or ephemeral resource runs a program or reads from another system.

    `external` runs a program at plan time, `http` sends a request anywhere, `terraform_remote_state` and `tfe_outputs`
    read other states. Only data sources of the AWS provider are open.

    Remedy: Take the value from a variable, a resource of this configuration or a data source of the AWS provider.
    """
    for block in file.source.of_type("data", "ephemeral"):
        if block.labels and not block.labels[0].startswith("aws_"):
            yield file.hit(block, f"`{block.name}` is not a data source of the AWS provider")


def secret_data_source(file: TerraformFile) -> Iterator[Hit]:
    """A data source reads a secret, or runs something, while Terraform plans.

    Its answer lands in the plan and in the state in clear text; `aws_lambda_invocation` runs a function on every plan.

    Remedy: Pass the secret's ARN (`aws_secretsmanager_secret`) and let the service read the value at run time.
    """
    for block in file.source.of_type("data", "ephemeral"):
        type_ = block.labels[0] if block.labels else ""
        harmless = block.type == "data" and type_ in _HARMLESS_SECRET_TYPES
        if type_ in _SECRET_TYPES or (type_.startswith(_SECRET_PREFIXES) and not harmless):
            yield file.hit(block, f"`{block.name}` reads a secret or runs something at plan time")


def provisioner(file: TerraformFile) -> Iterator[Hit]:
    """A provisioner runs commands on the machine that applies.

    `local-exec`, `remote-exec` and `file` run what the text says, with whatever credentials are there.

    Remedy: Use a resource of the provider; do work at deployment time in a workflow step that people review.
    """
    for block in file.source.blocks:
        for inner in block.walk():
            if inner.kind in ("provisioner", "connection") and inner is not block:
                yield file.hit(block, f"`{block.name}` has a `{inner.kind}` block", inner)


def unknown_block(file: TerraformFile) -> Iterator[Hit]:
    """A block type that is not in the agent's domain.

    `action`, `import`, `removed`, `check`, `list`, `run`, `provider_meta` and block types of the future change state,
    run something or are not understood by this guard.

    Remedy: Use resource, data, module, variable, output, locals, provider, terraform or moved blocks; leave state
    surgery to people.
    """
    if file.kind != "configuration":
        for block in file.source.blocks:
            yield file.hit(block, f"a {file.kind} file holds arguments only, not `{block.name}`")
        return
    for attribute in file.source.attributes:
        anchor = attribute.expression.text
        yield Hit(
            path=file.path, line=attribute.line, what=f"`{attribute.name}` stands outside of any block", anchor=anchor
        )
    for block in file.source.blocks:
        if block.type not in _TOP_BLOCKS:
            yield file.hit(block, f"`{block.type}` blocks are not open to the agent")
        elif len(block.labels) != _LABELS.get(block.type, 0):
            what = f"`{block.name}` has {len(block.labels)} labels instead of {_LABELS.get(block.type, 0)}"
            yield file.hit(block, what, "labels")
        yield from _inner_blocks(file, block)


def _inner_blocks(file: TerraformFile, block: Block) -> Iterator[Hit]:
    if block.type == "terraform":
        for name, part in block.parts:
            if name not in _TERRAFORM_MEMBERS:
                yield file.hit(block, f"`{name}` in a `terraform` block is not open to the agent", part)
    for inner in block.walk():
        if inner.kind in ("action_trigger", "provider_meta") and inner is not block:
            yield file.hit(block, f"`{inner.kind}` is not open to the agent", inner)


def revealing_function(file: TerraformFile) -> Iterator[Hit]:
    """A function takes a secret's mark away, or belongs to a provider.

    `nonsensitive` prints a secret in the plan; functions of providers run code that this guard does not know;
    `templatestring` reads a template that is computed.

    Remedy: Keep the value sensitive; write the template as a quoted string or as a literal file for `templatefile`.
    """
    for piece in file.pieces():
        for _, expression in piece.expressions():
            if expression.kind is ExpressionKind.CALL and (
                expression.name in ("nonsensitive", "templatestring") or "::" in expression.name
            ):
                yield file.hit(piece, f"`{expression.name}` is called", expression)
