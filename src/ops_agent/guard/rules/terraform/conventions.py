"""The team's conventions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, TerraformFile
from ops_agent.guard.tree import SourceTree
from ops_agent.model.terraform import Block, Expression, ExpressionKind

REQUIRED_TAGS = ("environment", "service-name", "category", "feature", "channel")
_ENVIRONMENT_NAMES = re.compile(r"dev|development|prod|production|prd|staging|stg|homolog|hml", re.IGNORECASE)
_ENVIRONMENT_WORD = re.compile(rf"(^|[-_./:])({_ENVIRONMENT_NAMES.pattern})($|[-_./:])", re.IGNORECASE)
_TAGGABLE = frozenset(
    {
        "aws_sqs_queue",
        "aws_sns_topic",
        "aws_dynamodb_table",
        "aws_lambda_function",
        "aws_iam_role",
        "aws_iam_policy",
        "aws_s3_bucket",
    }
    | {
        "aws_cloudwatch_log_group",
        "aws_cloudwatch_metric_alarm",
        "aws_ecs_cluster",
        "aws_ecs_service",
        "aws_ecs_task_definition",
    }
    | {
        "aws_ecr_repository",
        "aws_kms_key",
        "aws_secretsmanager_secret",
        "aws_ssm_parameter",
        "aws_lb",
        "aws_lb_target_group",
    }
    | {
        "aws_security_group",
        "aws_vpc",
        "aws_subnet",
        "aws_cognito_user_pool",
        "aws_api_gateway_rest_api",
        "aws_apigatewayv2_api",
    }
    | {
        "aws_sfn_state_machine",
        "aws_cloudwatch_event_rule",
        "aws_db_instance",
        "aws_rds_cluster",
        "aws_elasticache_cluster",
    }
    | {
        "aws_kinesis_stream",
        "aws_kinesis_firehose_delivery_stream",
        "aws_instance",
        "aws_efs_file_system",
        "aws_budgets_budget",
    }
)
_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAG_VALUE_LENGTH = 256


def hard_coded_environment(file: TerraformFile) -> Iterator[Hit]:
    """An environment's name is hard-coded in shared code.

    The same code serves dev and prod; names of environments come from variables. A list of the allowed values in a
    variable's validation is fine.

    Remedy: Use `var.environment`, or a map over it.
    """
    if file.kind != "configuration" or file.environment is not None:
        return
    for piece in file.pieces():
        if piece.block is not None and piece.block.type in ("variable", "terraform", "moved", "module"):
            continue
        excused = {
            id(e) for _, o in piece.expressions() if o.kind is ExpressionKind.OBJECT for e in _map_over_environments(o)
        }
        for _, expression in piece.expressions():
            text = expression.value
            if expression.kind is not ExpressionKind.LITERAL or not isinstance(text, str) or id(expression) in excused:
                continue
            if _ENVIRONMENT_NAMES.fullmatch(text) or _ENVIRONMENT_WORD.search(text):
                yield file.hit(piece, f"`{text[:60]}` names an environment", expression)


def required_tags(file: TerraformFile) -> Iterator[Hit]:
    """A resource lacks tags that the standard demands.

    By the tagging standard every taggable resource carries environment, service-name, category, feature and channel, on
    itself or by the provider's `default_tags`.

    Remedy: Put the tags into `default_tags` of the provider, or `tags = local.tags`.
    """
    if file.kind != "configuration":
        return
    inherited = _default_tag_keys(file.tree, file.directory)
    for block in file.source.of_type("resource"):
        if not block.labels or block.labels[0] not in _TAGGABLE:
            continue
        tags = block.attribute("tags")
        own = _keys(tags.expression) if tags else frozenset()
        missing = [t for t in REQUIRED_TAGS if own is not None and inherited is not None and t not in own | inherited]
        if missing:
            names = ", ".join(missing)
            yield file.hit(
                block, f"`{block.name}` has no tag {names}", f"tags {names}", line=tags.line if tags else None
            )


def tag_form(file: TerraformFile) -> Iterator[Hit]:
    """A tag is not written as the standard says.

    By the tagging standard keys are kebab-case; AWS takes values of at most 256 characters.

    Remedy: Rename the key to kebab-case, shorten the value.
    """
    for block in file.source.of_type("resource", "provider"):
        for attribute, expression in block.expressions():
            if attribute.name != "tags" or expression.kind is not ExpressionKind.OBJECT:
                continue
            for key, value in zip(expression.children[::2], expression.children[1::2], strict=True):
                if isinstance(key.value, str) and not _KEBAB.fullmatch(key.value) and key.value != "Name":
                    yield file.hit(block, f"the tag key `{key.value}` is not kebab-case", key)
                if isinstance(value.value, str) and len(value.value) > _TAG_VALUE_LENGTH:
                    what = f"the value of `{key.value}` has more than {_TAG_VALUE_LENGTH} characters"
                    yield file.hit(block, what, value)


def undescribed_variable(file: TerraformFile) -> Iterator[Hit]:
    """A variable or output has no type or description.

    Explicit code is read without its author.

    Remedy: Add `type` and `description`.
    """
    for block in file.source.of_type("variable", "output"):
        wanted = ("type", "description") if block.type == "variable" else ("description",)
        missing = [name for name in wanted if name not in block.members]
        if missing:
            names = " and no ".join(missing)
            yield file.hit(block, f"`{block.name}` has no {names}", names)


def _map_over_environments(expression: Expression) -> Iterator[Expression]:
    """Keys of any object, and the values of an object whose keys are names of environments (a map over the variable)."""
    keys = expression.children[::2]
    yield from keys
    if all(isinstance(k.value, str) and _ENVIRONMENT_NAMES.fullmatch(k.value) for k in keys):
        for value in expression.children[1::2]:
            yield from value.walk()


def _keys(expression: Expression) -> frozenset[str] | None:
    """Keys of an object or of objects merged; None when the source does not tell."""
    if expression.kind is ExpressionKind.OBJECT and all(isinstance(k.value, str) for k in expression.children[::2]):
        return frozenset(str(k.value) for k in expression.children[::2])
    return None


def _default_tag_keys(tree: SourceTree, directory: str) -> frozenset[str] | None:
    """Keys of `default_tags` of the provider that serves a directory: its own, or those of the roots that call it;
    None: not told.
    """
    holders = dict.fromkeys([directory, *tree.roots_of(directory)])
    found: set[str] = set()
    for holder in holders:
        for _, source in tree.module(holder):
            for block in source.of_type("provider"):
                for tags in _default_tags(block):
                    keys = _keys(tags)
                    if keys is None:
                        return None
                    found |= keys
    return frozenset(found)


def _default_tags(provider: Block) -> Iterator[Expression]:
    for inner in provider.blocks:
        if inner.kind == "default_tags":
            yield from (a.expression for b in inner.walk() for a in b.attributes if a.name == "tags")
