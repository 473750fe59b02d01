"""What the standards ask of services, and what keeps existing resources: shown to the reviewer and to the agent, never
blocking.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf

from ops_agent.guard.data import table
from ops_agent.guard.rule import TerraformFile, WholeChange, hit_at, rule
from ops_agent.guard.tree import SourceTree
from ops_agent.guard.values import Scope, evaluate, instances_of
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.terraform import UNKNOWN, Attribute, Block, Expression, ExpressionKind, TerraformTarget
from ops_agent.terraform.layout import targets

_SECRET_WORD = re.compile(r"(?i)(^|_)(password|secret|token|api_?key|private_?key|credentials?)($|_)")
_SERVERS = (
    "aws_autoscaling_group",
    "aws_instance",
    "aws_launch_configuration",
    "aws_launch_template",
    "aws_spot_instance_request",
)
_PUBLIC_ACLS = frozenset({"public-read", "public-read-write", "authenticated-read", "website"})
_BLOCK_PUBLIC = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")


@rule(Severity.NOTICE)
def lambda_limits(file: TerraformFile) -> Iterator[Finding]:
    """A Lambda function has no timeout or memory size.

    The defaults (3 seconds, 128 MB) are rarely right.

    Remedy: Set `timeout` and `memory_size`.
    """
    for block in _resources(file, "aws_lambda_function"):
        missing = [n for n in ("timeout", "memory_size") if n not in block.members]
        if missing:
            names = " and no ".join(missing)
            yield file.hit(block, f"`{block.name}` has no {names}", names)


@rule(Severity.NOTICE)
def secret_in_environment(file: TerraformFile) -> Iterator[Finding]:
    """An environment variable of a function or task seems to hold a secret.

    Everyone who may describe the function can read it, and it is in the state.

    Remedy: Pass the secret's ARN, or use `secrets` of the container definition.
    """
    for block in _resources(file, "aws_lambda_function", "aws_ecs_task_definition"):
        for attribute, expression in block.expressions():
            if attribute.name not in ("variables", "environment", "container_definitions"):
                continue
            named = {k.value: v for k, v in expression.pairs if isinstance(k.value, str)}
            names = [str(named["name"].value)] if "name" in named and "value" in named else list(named)
            for name in names:
                if _SECRET_WORD.search(name) and not name.lower().endswith(("_arn", "_name", "_id")):
                    yield file.hit(
                        block, f"`{block.name}` has the environment variable `{name}`", name, line=expression.line
                    )


@rule(Severity.NOTICE)
def public_bucket(file: TerraformFile) -> Iterator[Finding]:
    """A bucket is opened to the public.

    The standard for S3 allows no public bucket.

    Remedy: Keep the bucket private, and serve public files through CloudFront with origin access control.
    """
    for block in _resources(file, "aws_s3_bucket", "aws_s3_bucket_acl"):
        acl = block.literal("acl")
        if acl in _PUBLIC_ACLS:
            yield file.hit(block, f"`{block.name}` has the acl `{acl}`", block.attribute("acl"))
    for block in _resources(file, "aws_s3_bucket_public_access_block", "aws_s3_account_public_access_block"):
        for name in _BLOCK_PUBLIC:
            switch = block.attribute(name)
            if switch is None or switch.expression.value is False:
                yield file.hit(block, f"`{block.name}` leaves `{name}` off", switch or name)


@rule(Severity.NOTICE)
def hard_coded_bucket_name(file: TerraformFile) -> Iterator[Finding]:
    """A bucket's name is a literal.

    Bucket names are unique in the world, so each environment needs another one.

    Remedy: Build the name from variables, for example `"${var.service_name}-${var.environment}-files"`.
    """
    if file.kind == "configuration" and file.environment is None:
        for block in _resources(file, "aws_s3_bucket"):
            bucket = block.attribute("bucket")
            if bucket is not None and bucket.expression.kind is ExpressionKind.LITERAL:
                yield file.hit(block, f"`{block.name}` is named `{bucket.expression.value}`", bucket)


@rule(Severity.NOTICE)
def server(file: TerraformFile) -> Iterator[Finding]:
    """A server runs all the time.

    The standard prefers managed and serverless services; containers run on Fargate, not on EC2.

    Remedy: Use Lambda, Fargate or a managed service, or say in the pull request why a server is needed.
    """
    for block in _resources(file, *_SERVERS):
        yield file.hit(block, f"`{block.name}` is a server", "server")
    for block in _resources(file, "aws_ecs_service"):
        if block.literal("launch_type") == "EC2":
            yield file.hit(block, f"`{block.name}` runs on EC2", block.attribute("launch_type"))


@rule(Severity.NOTICE)
def task_logging(file: TerraformFile) -> Iterator[Finding]:
    """A container has no log configuration or no health check.

    Containers log to CloudWatch and report their health.

    Remedy: Add `logConfiguration` with the `awslogs` driver and `healthCheck` to the container definition.
    """
    for block in _resources(file, "aws_ecs_task_definition"):
        definitions = block.attribute("container_definitions")
        keys = _words(definitions)
        for wanted in ("logConfiguration", "healthCheck"):
            if definitions is not None and keys and wanted not in keys:
                yield file.hit(block, f"`{block.name}` has no `{wanted}`", wanted, line=definitions.line)


@rule(Severity.NOTICE)
def managed_secret_value(file: TerraformFile) -> Iterator[Finding]:
    """Terraform manages a secret's value.

    The value is in the state and in the plan.

    Remedy: Create only the secret, and let a person or rotation set its value.
    """
    for block in _resources(file, "aws_secretsmanager_secret_version"):
        for name in ("secret_string", "secret_binary"):
            if name in block.members:
                yield file.hit(block, f"`{block.name}` sets the value", block.attribute(name) or name)


def _resources(file: TerraformFile, *types: str) -> Iterator[Block]:
    return (b for b in file.source.of_type("resource") if b.label in types)


def _words(attribute: Attribute | None) -> frozenset[str]:
    if attribute is None:
        return frozenset()
    return frozenset(str(e.value) for e in attribute.expression.walk() if e.kind is ExpressionKind.LITERAL)


# What keeps an existing resource, base against head, in the values of each environment.

_ALL = "all"
_LISTS = ("lifecycle.ignore_changes", "lifecycle.replace_triggered_by")


@rule(Severity.WARNING)
def weakened_protection(change: WholeChange) -> Iterator[Finding]:
    """A protection of a resource is removed or weakened.

    `prevent_destroy`, deletion protection, final snapshots and waiting times help when a plan is wrong;
    `ignore_changes` hides differences from every later plan. Values are computed for each environment, so a change of a
    variable file counts too.

    Remedy: Leave the protection in place; if the issue asks for this, say so in the pull request.
    """
    found: dict[tuple[str, str], Finding] = {}
    for target in targets(change.head.affected_roots(change.changes.paths)):
        before, after = _protected(target, change.base), _protected(target, change.head)
        moved = _moved(target, change.head)
        for (module, name), old in before.items():
            new = after.get((module, name)) or after.get((module, moved.get(name, name)))
            path, block, now = new or old
            for what in _lost(old[1].name, old[2], now if new else None):
                hit = hit_at(path, block, what, what, line=block.line if new else 0)
                found.setdefault((path, what), hit)
        for key, (path, block, values) in after.items():
            if key not in before and values.get(_LISTS[0]) == _ALL:
                what = f"`{block.name}` ignores all changes: no plan will show what differs"
                found.setdefault((path, what), hit_at(path, block, what, "ignore_changes", line=block.line))
    yield from found.values()


_Protected = tuple[str, Block, dict[str, object]]


def _protected(target: TerraformTarget, tree: SourceTree) -> dict[tuple[str, str], _Protected]:
    """Resources by the path of their module and their name, with their file and what their protections say."""
    found: dict[tuple[str, str], _Protected] = {}
    for instance in instances_of(target, tree):
        for path, block in instance.blocks("resource"):
            arguments = ((".".join(where), a.expression) for where, a in block.arguments())
            values = {name: v for name, e in arguments if (v := _protection(name, e, instance.scope)) is not None}
            found[instance.path, ".".join(block.labels)] = path, block, values
    return found


def _protection(name: str, expression: Expression, scope: Scope) -> object:
    if name in _LISTS:
        return _ALL if expression.steps == (_ALL,) else frozenset(_spelled(c) for c in expression.children)
    return evaluate(expression, scope) if any(name in names for names in table("protections").values()) else None


def _spelled(expression: Expression) -> str:
    if expression.kind is ExpressionKind.LITERAL:
        return str(expression.value)
    return ".".join("*" if s is None else str(s) for s in expression.steps)


def _moved(target: TerraformTarget, tree: SourceTree) -> dict[str, str]:
    """Old name -> new name of resources, as `moved` blocks of the root and its modules say."""
    blocks = [b for i in instances_of(target, tree) for _, b in i.blocks("moved")]
    ends = [{a.name: _spelled(a.expression) for a in b.attributes} for b in blocks]
    return {end.get("from", ""): end.get("to", "") for end in ends}


def _lost(name: str, old: dict[str, object], new: dict[str, object] | None) -> Iterator[str]:
    """What a resource's protections lose; `new` is None when it is gone."""
    kinds = table("protections")
    if new is None:
        kept = sorted(key for key in kinds["on"] if _is_on(old.get(key)))
        if kept:
            yield f"`{name}` is removed, and `{'`, `'.join(kept)}` with it"
        return
    for kind, keys in kinds.items():
        for key in keys:
            first, second = old.get(key), new.get(key)
            if _strength(kind, key, second) < _strength(kind, key, first):
                yield f"`{key}` of `{name}` changes from {_shown(first)} to {_shown(second)}"
    for key in _LISTS:
        first, second = old.get(key, frozenset()), new.get(key, frozenset())
        if second == _ALL and first != _ALL:
            yield f"`{name}` ignores all changes: no plan will show what differs"
        elif isinstance(first, frozenset) and isinstance(second, frozenset) and second - first:
            yield f"`{key}` of `{name}` now names `{'`, `'.join(sorted(second - first))}`"


def _is_on(value: object) -> bool:
    return value is True or value in ("true", "Enabled", "enabled")


def _strength(kind: str, key: str, value: object) -> float:
    """How much a value protects: one that has to be on, off, or a large number."""
    if kind == "on":
        return float(_is_on(value))
    if kind == "off":
        return -1 if _is_on(value) else -0.5 if value is UNKNOWN else 0
    if not isinstance(value, int):
        return -1
    return inf if key == "retention_in_days" and value == 0 else value  # 0 keeps log lines for ever


def _shown(value: object) -> str:
    return "no value" if value is None else "an unknown value" if value is UNKNOWN else f"`{str(value).lower()}`"
