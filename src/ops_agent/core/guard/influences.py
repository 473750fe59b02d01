"""What flows into an expression: the text of every variable's value, local, data source, resource and module behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ops_agent.core.guard.trees import SourceTree
from ops_agent.core.guard.values import Instance, Scope
from ops_agent.core.sources.module_calls import local_source
from ops_agent.domain.terraform_source import Block, Expression, ExpressionKind

_OWN = frozenset({"each", "count", "path", "self", "terraform"})
_MOST = 5_000

SECRET_ATTRIBUTE = re.compile(
    r"(.*_)?(password|passwords|passwd|secret|secret_string|secret_binary|secret_key|private_key|api_?key|access_key|auth_token|token|tokens"
    r"|preshared_key|plaintext|credentials|key_material|ses_smtp_password_v4|connection_string|shared_secret)|private_key_pem"
)
# Resources of the provider that keep a secret in the state.
HOLD_SECRETS = frozenset(
    {"aws_db_instance", "aws_rds_cluster", "aws_docdb_cluster", "aws_neptune_cluster", "aws_redshift_cluster", "aws_iam_access_key"}
    | {
        "aws_redshiftserverless_namespace",
        "aws_elasticache_replication_group",
        "aws_elasticache_user",
        "aws_memorydb_user",
        "aws_mq_broker",
    }
    | {"aws_secretsmanager_secret_version", "aws_ssm_parameter", "aws_iam_user_login_profile", "aws_iam_service_specific_credential"}
    | {
        "aws_cognito_user_pool_client",
        "aws_cognito_identity_provider",
        "aws_cognito_user",
        "aws_api_gateway_api_key",
        "aws_appsync_api_key",
    }
    | {"aws_opensearch_domain", "aws_elasticsearch_domain", "aws_directory_service_directory", "aws_dms_endpoint", "aws_glue_connection"}
    | {"aws_vpn_connection", "aws_transfer_connector", "aws_codebuild_source_credential", "aws_amplify_app", "aws_sns_platform_application"}
    | {"aws_acm_certificate", "aws_iam_server_certificate", "aws_lightsail_database", "aws_lightsail_key_pair", "aws_dynamodb_table_item"}
    | {"aws_fsx_ontap_file_system", "aws_fsx_windows_file_system", "aws_emr_cluster", "aws_workspaces_connection_alias"}
    | {"aws_lambda_function", "aws_ecs_task_definition", "aws_s3_object", "aws_s3_bucket_object", "terraform_data", "random_password"}
    | {"tls_private_key", "aws_kinesis_firehose_delivery_stream", "aws_lb_listener", "aws_cloudformation_stack", "aws_batch_job_definition"}
)
_OPEN_ATTRIBUTE = re.compile(
    r"id|ids|arn|arns|name|names|.*_(arn|arns|id|ids|name|names|type|enabled|version)|address|endpoint|.*_endpoint|port|hosted_zone_id|status"
    r"|engine|bucket|key|family|revision|tags|tags_all|domain_validation_options|description|cluster_identifier|identifier"
)


@dataclass
class Influences:
    """Of one root in one environment."""

    instances: tuple[Instance, ...]
    tree: SourceTree
    _by_scope: dict[int, Instance] = field(default_factory=dict)
    _sensitive: set[tuple[int, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._by_scope = {id(i.scope): i for i in self.instances}
        self._sensitive = {
            (id(i.scope), block.labels[0])
            for i in self.instances
            for _, source in i.files
            for block in source.of_type("variable")
            if block.labels and (a := block.attribute("sensitive")) is not None and a.expression.value is not False
        }

    def of(self, values: Iterable[tuple[str, Expression]], instance: Instance) -> frozenset[str]:
        """One text for each thing that `values`, as they stand in `instance`, depend on. What is beyond the limit counts as one more."""
        found: set[str] = set()
        seen: set[tuple[int, str]] = set()
        pending = [(expression, instance.scope) for _, expression in values]
        while pending:
            expression, scope = pending.pop()
            for inner in expression.walk():
                if inner.kind is not ExpressionKind.REFERENCE or inner.steps[0] in _OWN:
                    continue
                name = _name(inner)
                if (id(scope), name) in seen:
                    continue
                seen.add((id(scope), name))
                if len(seen) > _MOST:
                    return frozenset({*found, "more"})
                for text, value, where in self._behind(name, scope):
                    found.add(text)
                    if value is not None:
                        pending.append((value, where))
        return frozenset(found)

    def secret(self, expression: Expression, scope: Scope) -> str | None:
        """A secret of the state (or a sensitive variable) that `expression` holds or leads to, by its name; None when there is none."""
        seen: set[tuple[int, str]] = set()
        pending = [(expression, scope)]
        while pending:
            value, where = pending.pop()
            for inner in value.walk():
                if inner.kind is not ExpressionKind.REFERENCE or inner.steps[0] in _OWN:
                    continue
                name = ".".join("*" if step is None else str(step) for step in inner.steps)
                if (id(where), name) in seen:
                    continue
                seen.add((id(where), name))
                if len(seen) > _MOST or self._is_secret(inner, where):
                    return name
                pending += self._source(inner, where)
        return None

    def _is_secret(self, reference: Expression, scope: Scope) -> bool:
        kind, *rest = reference.steps
        if kind == "var":
            return (id(scope), str(rest[0]) if rest else "") in self._sensitive
        if kind in ("local", "data", "module") or not isinstance(kind, str) or "_" not in kind:
            return False
        steps = [step for step in rest[1:] if isinstance(step, str)]
        instance = self._by_scope.get(id(scope))
        blocks = _blocks_called(instance, _name(reference)) if instance is not None else ()
        if steps and any("for_each" in block.members for block in blocks) and None not in rest:
            steps = steps[1:]  # the key of one instance, which may be called `name`
        attribute = steps[-1] if steps else None
        if attribute is not None and SECRET_ATTRIBUTE.fullmatch(attribute):
            return True
        if kind not in HOLD_SECRETS:
            return False
        return attribute is None or not _OPEN_ATTRIBUTE.fullmatch(attribute)

    def _source(self, reference: Expression, scope: Scope) -> list[tuple[Expression, Scope]]:
        """Where the value comes from: a bound variable or local, an output of a module, the argument of the same name."""
        name = _name(reference)
        kind, _, rest = name.partition(".")
        if kind in ("var", "local"):
            bound = (scope.variables if kind == "var" else scope.locals).get(rest)
            return [(bound.expression, bound.scope)] if bound is not None else []
        instance = self._by_scope.get(id(scope))
        found: list[tuple[Expression, Scope]] = []
        for block in _blocks_called(instance, name) if instance is not None else ():
            wanted = {step for step in reference.steps[2:] if isinstance(step, str)}
            if block.type == "module" and instance is not None:
                called = local_source(instance.directory, block)
                for other in (i for i in self.instances if i.directory == called):
                    outputs = [b for _, s in other.files for b in s.of_type("output") if not wanted or b.labels[0] in wanted]
                    found += [(a.expression, other.scope) for b in outputs for a in b.attributes if a.name == "value"]
            else:
                found += [(a.expression, scope) for b in block.walk() for a in b.attributes if not wanted or a.name in wanted]
        return found

    def _behind(self, name: str, scope: Scope) -> Iterator[tuple[str, Expression | None, Scope]]:
        kind, _, rest = name.partition(".")
        if kind in ("var", "local"):
            bound = (scope.variables if kind == "var" else scope.locals).get(rest)
            if bound is not None:
                yield f"{name} = {bound.expression.text}", bound.expression, bound.scope
            return
        instance = self._by_scope.get(id(scope))
        for block in _blocks_called(instance, name) if instance is not None else ():
            yield block.text, None, scope
            for inner in block.walk():
                for attribute in inner.attributes:
                    yield block.text, attribute.expression, scope
            called = local_source(instance.directory, block) if block.type == "module" and instance is not None else None
            if called is not None:
                yield from ((text, None, scope) for text in self._of_module(called))

    def _of_module(self, directory: str) -> Iterator[str]:
        pending, seen = [directory], {directory}
        while pending:
            here = pending.pop()
            for path, source in self.tree.module(here):
                for block in source.blocks:
                    yield f"{path}: {block.text}"
                    called = local_source(here, block) if block.type == "module" else None
                    if called is not None and called not in seen:
                        seen.add(called)
                        pending.append(called)


def _name(reference: Expression) -> str:
    """`var.x`, `local.x`, `module.x`, `data.type.x`, `type.x`; a step that is computed ends it."""
    length = 3 if reference.steps[0] in ("data", "ephemeral") else 2
    return ".".join(str(step) for step in reference.steps[:length])


def _blocks_called(instance: Instance, name: str) -> Iterator[Block]:
    for _, source in instance.files:
        for block in source.blocks:
            prefix = "" if block.type == "resource" else f"{block.type}."
            if block.type in ("resource", "data", "ephemeral", "module") and f"{prefix}{'.'.join(block.labels)}" == name:
                yield block
