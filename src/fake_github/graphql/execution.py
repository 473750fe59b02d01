"""Parse, validate and execute one GraphQL request; GitHub's form of errors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
)

from fake_github.accounts import Account, Token
from fake_github.limits import exceeded_message
from fake_github.objects import Platform, Repository
from fake_github.refusals import Refusal
from fake_github.rest.routing import Answer, check_permission


@dataclass(frozen=True)
class Session:
    """What every resolver gets as `info.context`."""

    github: Platform
    token: Token

    @property
    def actor(self) -> Account:
        return self.token.account

    def check(self, repository: Repository, *needs: str) -> None:
        check_permission(repository, self.token, needs)


@cache
def schema() -> GraphQLSchema:
    return build_schema(resources.files("fake_github.schema").joinpath("github.graphql").read_text("utf-8"))


def _operation(body: Any) -> OperationDefinitionNode | None:
    try:
        return get_operation_ast(parse(body["query"]), body.get("operationName"))
    except (GraphQLError, KeyError, TypeError, AttributeError):
        return None


def operation_name(body: Any) -> str:
    """`query viewer`, `mutation createCommitOnBranch`: kind and root fields. `graphql` when it cannot be read."""
    operation = _operation(body)
    if operation is None:
        return "graphql"
    fields = [node.name.value for node in operation.selection_set.selections if hasattr(node, "name")]
    return f"{operation.operation.value} {','.join(fields)}"


def run_graphql(github: Platform, token: Token | None, body: Any, *, root: Any, within_limit: bool) -> Answer:
    """200 with `data` and `errors` for everything that GraphQL itself answers; raises Refusal 401 without a token, 400
    without a query.
    """
    if token is None:
        raise Refusal(401, "This endpoint requires you to be authenticated.")
    if not within_limit:
        return Answer(200, {"errors": [{"type": "RATE_LIMITED", "message": exceeded_message(token)}]})
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        raise Refusal(400, "A query attribute must be specified and must be a string.")
    try:
        document: DocumentNode = parse(body["query"])
    except GraphQLError as error:
        return Answer(200, {"errors": [_shape(error)]})
    if problems := validate(schema(), document):
        return Answer(200, {"errors": [_shape(problem) for problem in problems]})
    result = execute_sync(
        schema(),
        document,
        root_value=root,
        context_value=Session(github, token),
        variable_values=body.get("variables") or {},
        operation_name=body.get("operationName"),
    )
    answer: dict[str, Any] = {"data": result.data} if result.data is not None or not result.errors else {}
    if result.errors:
        answer["errors"] = [_shape(error) for error in result.errors]
        if any(error.path for error in result.errors):
            answer.setdefault("data", None)
    return Answer(200, answer)


def _shape(error: GraphQLError) -> dict[str, Any]:
    shaped: dict[str, Any] = {}
    if isinstance(error.original_error, Refusal):
        shaped["type"] = error.original_error.kind
    elif error.original_error is not None and not isinstance(error.original_error, GraphQLError):
        raise error.original_error
    if error.path:
        shaped["path"] = error.path
    if error.locations:
        shaped["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    return {**shaped, "message": error.message}
