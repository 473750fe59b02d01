"""Check what went over the wire against GitHub's published descriptions.

    from github_descriptions import Checker
    Checker().assert_all_valid(github.recorder)

Every recorded request (path, query, body) and every answer (status, body) is validated against a slice of GitHub's
OpenAPI description; GraphQL requests against the slice of its schema (the answers are type-checked by the execution
itself). `validate_webhook` does the same for payloads. The slices are made by tests/fake_github/slice_descriptions.py.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from graphql import GraphQLError, get_operation_ast, parse, validate
from graphql.execution.values import get_variable_values

from fake_github.graphql.execution import schema as graphql_schema
from fake_github.recorder import Call, Recorder

DESCRIPTIONS = Path(__file__).parent / "fake_github" / "descriptions"
# GitHub documents these for the API as a whole, not for each operation.
ANYWHERE = {"401", "403", "404", "429"}
# Answers that GitHub gives although the operation's description does not list them.
UNLISTED = {
    ("POST /repos/{owner}/{repo}/git/refs", "409"): "an empty repository",
    ("GET /repos/{owner}/{repo}/issues/{issue_number}/events", "301"): "a transferred issue",
    ("GET /repos/{owner}/{repo}/issues/{issue_number}/timeline", "301"): "a transferred issue",
    ("GET /repos/{owner}/{repo}/issues/{issue_number}/comments", "301"): "a transferred issue",
    ("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", "301"): "a transferred issue",
    ("GET /repos/{owner}/{repo}/issues/{issue_number}/sub_issues", "301"): "a transferred issue",
}
_ADD_LABELS = "POST /repos/{owner}/{repo}/issues/{issue_number}/labels"
_BASIC_ERROR = {"$ref": "#/components/schemas/basic-error"}


@cache
def _rest() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DESCRIPTIONS / "rest.json").read_text())
    return loaded


@cache
def _validator(schema: str) -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(
        {**json.loads(schema), "components": _rest()["components"]}, validate_formats=True
    )


def _problems(schema: Any, instance: Any, where: str) -> list[str]:
    found = _validator(json.dumps(schema, sort_keys=True)).iter_errors(instance)
    return [f"{where}: {error.message[:300]} at /{'/'.join(map(str, error.instance_path))}" for error in found]


def _resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = _rest()
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def _typed(text: str, schema: dict[str, Any]) -> Any:
    """A query or path value as the JSON that its schema speaks of."""
    kinds = schema.get("type", "string")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "integer" in kinds and text.lstrip("-").isdigit():
        return int(text)
    if "boolean" in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return text


class Checker:
    """Stateless but for `seen`: the (operation, status) pairs that were validated."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()

    def assert_all_valid(self, recorder: Recorder) -> None:
        problems = self.problems(recorder)
        assert not problems, f"{len(problems)} departures from GitHub's description:\n" + "\n".join(problems[:20])

    def problems(self, recorder: Recorder) -> list[str]:
        return [
            f"call {call.number} {call.operation}: {problem}" for call in recorder.calls for problem in self.check(call)
        ]

    def check(self, call: Call) -> list[str]:
        """What is wrong with one call, as sentences."""
        if call.path == "/graphql":
            return _check_graphql(call)
        operation = _rest()["paths"].get(call.template, {}).get(call.method.lower())
        if operation is None:
            return ["the description's slice has no such operation"]
        self.seen.add((call.operation, call.status))
        return [*_check_request(call, operation), *_check_answer(call, operation)]


def _check_request(call: Call, operation: dict[str, Any]) -> list[str]:
    problems = []
    parameters = [_resolve(p) for p in operation.get("parameters", [])]
    known = {p["name"]: p for p in parameters if p["in"] == "query"}
    for name, text in call.query.items():
        if name not in known:
            problems.append(f"unknown query parameter {name!r}")
        else:
            problems += _problems(known[name]["schema"], _typed(text, known[name]["schema"]), f"query parameter {name}")
    problems += [
        f"query parameter {name} is missing"
        for name, p in known.items()
        if p.get("required") and name not in call.query
    ]
    described = operation.get("requestBody", {})
    # What GitHub refuses as invalid may be invalid: a probe for a permission is meant to be.
    if call.status == 422:
        return problems
    if "content" not in described:
        return problems + (["a body that the description does not know"] if call.body else [])
    if call.body is None:
        return problems + (["the body is missing"] if described.get("required") else [])
    schema = described["content"]["application/json"]["schema"]
    # PyGithub sends the labels as a bare list: a form that GitHub takes, and that its earlier descriptions list.
    body = {"labels": call.body} if call.operation == _ADD_LABELS and isinstance(call.body, list) else call.body
    problems += _problems(schema, body, "request body")
    properties = _resolve(schema).get("properties")
    if properties and isinstance(body, dict):
        problems += [f"unknown property {name!r} in the body" for name in body if name not in properties]
    return problems


def _check_answer(call: Call, operation: dict[str, Any]) -> list[str]:
    if call.status == 0 or call.fault.startswith("answered"):
        return []
    status = str(call.status)
    answer = operation["responses"].get(status)
    if answer is None:
        if status in ANYWHERE or (call.operation, status) in UNLISTED:
            return _problems(_BASIC_ERROR, call.answer, f"answer {status}")
        return [f"answers {status}, which the description does not list"]
    content = _resolve(answer).get("content", {})
    if not content:
        return []
    kind = call.headers.get("Content-Type", "").split(";")[0]
    if kind != "application/json":
        return [] if isinstance(call.answer, bytes) else [f"answers {kind}"]
    return _problems(content["application/json"]["schema"], call.answer, f"answer {status}")


def _check_graphql(call: Call) -> list[str]:
    if call.status in (401, 400):
        return []
    try:
        document = parse(call.body["query"])
    except GraphQLError as error:
        return [error.message]
    problems = [error.message for error in validate(graphql_schema(), document)]
    operation = get_operation_ast(document, call.body.get("operationName"))
    if problems or operation is None:
        return problems or ["no operation"]
    values = get_variable_values(
        graphql_schema(), operation.variable_definitions or (), call.body.get("variables") or {}
    )
    return [error.message for error in values] if isinstance(values, list) else []


def validate_webhook(payload: dict[str, Any], definition: str) -> list[str]:
    """Problems of a payload against a definition of the webhook schemas, e.g. `issues$labeled`."""
    whole = json.loads((DESCRIPTIONS / "webhooks.json").read_text())
    validator = jsonschema_rs.Draft7Validator({"$ref": f"#/definitions/{definition}", **whole}, validate_formats=True)
    return [
        f"{error.message[:300]} at /{'/'.join(map(str, error.instance_path))}"
        for error in validator.iter_errors(payload)
    ]
