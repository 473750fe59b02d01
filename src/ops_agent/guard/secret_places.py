"""Where secrets stand in resources and data sources: the provider's own marks, a list by hand of what it leaves out,
names as a last net.

What the provider marks neither `sensitive` nor `write_only` is printed by every plan, so nothing that is computed from
it is a leak. That makes the marks the exact boundary (sensitive_attributes.py, read on first use). Two things stand
beside them, and nothing else:

* `_HOLDERS`: arguments that the provider does not mark and that people fill with secrets (environments, user data,
  templates);
* `_NAMED_LIKE_A_SECRET`: for types that the marks do not know (newer providers, other providers).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from ops_agent.model.terraform import Step

_Path = tuple[str, ...]

_NAMED_LIKE_A_SECRET = re.compile(
    r"(.*_)?(password|passwords|passwd|passphrase|secret|secrets|secret_string|secret_binary|secret_key|private_key|api_?key|access_key"
    r"|auth_token|token|tokens|preshared_key|plaintext|credentials?|key_material|ses_smtp_password_v4|connection_string|shared_secret"
    r"|user_data|user_data_base64|environment|environment_variables?|result|plaintext_value)|private_key_(pem|openssh)|.*_wo"
)
# Not marked by the provider, and filled with secrets by people: how code gets its settings, and documents that carry
# them.
_HOLDERS = {
    "lambda_function": "environment.variables",
    "ecs_task_definition": "container_definitions",
    "batch_job_definition": "container_properties ecs_properties node_properties parameters"
    " eks_properties.pod_properties.containers.env.value",
    "instance": "user_data user_data_base64",
    "spot_instance_request": "user_data user_data_base64",
    "launch_configuration": "user_data user_data_base64",
    "launch_template": "user_data",
    "spot_fleet_request": "launch_specification.user_data",
    "lightsail_instance": "user_data",
    "lightsail_container_service_deployment_version": "container.environment",
    "elastic_beanstalk_environment": "setting.value",
    "elastic_beanstalk_configuration_template": "setting.value",
    "apprunner_service": "source_configuration.image_repository.image_configuration.runtime_environment_variables"
    " source_configuration.code_repository.code_configuration.code_configuration_values.runtime_environment_variables",
    "codebuild_project": "environment.environment_variable.value",
    "codepipeline": "stage.action.configuration",
    "amplify_app": "environment_variables",
    "amplify_branch": "environment_variables",
    "sagemaker_model": "container.environment primary_container.environment",
    "glue_job": "default_arguments non_overridable_arguments",
    "mwaa_environment": "airflow_configuration_options",
    "api_gateway_stage": "variables",
    "apigatewayv2_stage": "stage_variables",
    "cloudfront_distribution": "origin.custom_header.value",
    "lb_listener_rule": "condition.http_header.values",
    "alb_listener_rule": "condition.http_header.values",
    "cognito_identity_provider": "provider_details",
    "cloudformation_stack": "parameters template_body outputs",
    "cloudformation_stack_set": "parameters template_body",
    "dynamodb_table_item": "item",
    "s3_object": "content content_base64",
    "s3_bucket_object": "content content_base64",
    "ssm_document": "content",
    "sfn_state_machine": "definition",
    "elasticache_user": "passwords",
    "iot_topic_rule": "http.http_header.value",
    "kinesis_firehose_delivery_stream": "http_endpoint_configuration.request_configuration.common_attributes.value",
}
# Data sources that answer with what others keep there.
_ANSWERING = {
    "lambda_function": "environment",
    "lambda_invocation": "result",
    "s3_object": "body",
    "s3_bucket_object": "body",
    "instance": "user_data user_data_base64",
    "launch_configuration": "user_data",
    "launch_template": "user_data",
    "ssm_parameter": "insecure_value",
    "cloudformation_stack": "parameters outputs template_body",
    "cloudformation_export": "value",
    "dynamodb_table_item": "item",
    "ecs_task_definition": "container_definitions",
    "ecs_container_definition": "environment docker_labels",
    "kms_secrets": "plaintext",
    "ssm_document": "content",
}


def holds_secret(kind: str, type_: str, steps: Sequence[Step]) -> bool:
    """True when a reference by `steps` below one instance of `kind` (resource, data, ephemeral) can be or contain a
    secret.

    None among the steps is one that is computed; steps into a list are left out by the caller or stand as numbers.
    """
    if kind == "ephemeral":
        return True
    known = _places(kind, type_)
    if known is not None:
        return any(_meets(steps, path, opened) for path, opened in known)
    return not steps or any(s is None or (isinstance(s, str) and named_like_a_secret(s)) for s in steps)


def keeps_secret(type_: str, path: Sequence[str]) -> bool:
    """True when the argument at `path` of a resource is one that a secret may be given to: it is marked, or a holder."""
    known = _places("resource", type_)
    if known is not None:
        return any(tuple(path)[: len(place)] == place for place, _ in known)
    return any(named_like_a_secret(name) for name in path)


def named_like_a_secret(name: str) -> bool:
    """True for an attribute or output whose name says that it is one: the last net, where nothing better is known."""
    return _NAMED_LIKE_A_SECRET.fullmatch(name) is not None


def _places(kind: str, type_: str) -> tuple[tuple[_Path, bool], ...] | None:
    """Paths, and whether a collection or text stands there that one can step into; None for a type that is not known."""
    prefix = "data." if kind == "data" else ""
    marked = _marks().get(prefix + type_, ())
    by_hand = (
        (_ANSWERING if kind == "data" else _HOLDERS).get(type_.removeprefix("aws_"), "")
        if type_.startswith("aws_")
        else ""
    )
    found = (*marked, *((tuple(p.split(".")), True) for p in by_hand.split()))
    if found or (kind == "resource" and type_ in _known_types()):
        return found
    return None


def _meets(steps: Sequence[Step], path: _Path, opened: bool) -> bool:
    """Can `steps` lead to what stands at `path`, into it, or to something around it? A number steps into a list; None
    may be any step.
    """
    if not path:
        return opened or not any(isinstance(s, str) for s in steps)
    if not steps:
        return True
    first, rest = steps[0], steps[1:]
    if isinstance(first, int):
        return _meets(rest, path, opened)
    if first is None:
        return _meets(rest, path, opened) or _meets(rest, path[1:], opened)
    return first == path[0] and _meets(rest, path[1:], opened)


@cache
def _marks() -> dict[str, tuple[tuple[_Path, bool], ...]]:
    from ops_agent.guard.sensitive_attributes import SENSITIVE  # 11 kB that runs without secrets do not need

    found: dict[str, tuple[tuple[_Path, bool], ...]] = {}
    type_ = ""
    for line in SENSITIVE.strip().split("\n"):
        words = line.split()
        if not line.startswith(" "):
            type_ = words.pop(0)
        found[type_] = (*found.get(type_, ()), *(_place(word) for word in words))
    return found


def _place(word: str) -> tuple[_Path, bool]:
    path = word.partition("@")[0]
    return tuple(path.removesuffix("{}").split(".")), path.endswith("{}")


@cache
def _known_types() -> frozenset[str]:
    from ops_agent.guard.known_types import KNOWN_TYPES

    return frozenset(_types(KNOWN_TYPES))


def _types(text: str) -> Iterator[str]:
    service = ""
    for word in text.split():
        before, colon, names = word.removesuffix(",").rpartition(":")
        service = before if colon else service
        yield from (f"aws_{service}_{name}".removesuffix("_") for name in names.split(","))
