"""Arguments by which a provider takes a file from the machine that applies."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace

from ops_agent.guard.influences import blocks_called, name_of
from ops_agent.guard.rule import Hit, RootInEnvironment, hit_at
from ops_agent.guard.values import MAX_LOOP, Instance, Scope, evaluate, possible_values
from ops_agent.model.terraform import UNKNOWN, Block, Expression, ExpressionKind

_TAKES_A_FILE = {
    "aws_lambda_function": "filename",
    "aws_lambda_layer_version": "filename",
    "aws_s3_object": "source",
    "aws_s3_bucket_object": "source",
    "aws_synthetics_canary": "zip_file",
    "aws_gamelift_script": "zip_file",
}
_HOLDS_SECRETS = re.compile(
    r"tfplan|plan\.(out|json)|.*\.(tfstate|tfplan|pem|key)(\..*)?|credentials(\..*)?", re.IGNORECASE
)


def uploaded_file(root: RootInEnvironment) -> Iterator[Hit]:
    """A resource takes a file from outside of the repository, or one that the source does not tell.

    The provider reads `filename`, `source` or `zip_file` on the machine that applies: `/proc/self/environ` as an object
    or as a function's code carries that machine's secrets away. The path is put together from locals, variables and
    `for_each` as Terraform does it; what does not resolve is refused, and so are hidden files, states and saved plans.

    Remedy: Name a file of the repository below `${path.module}`, by literals, locals or `fileset`.
    """
    for instance in root.instances:
        for path, source in instance.files:
            for block in source.of_type("resource"):
                attribute = block.attribute(_TAKES_A_FILE.get(block.labels[0] if block.labels else "", ""))
                if attribute is None:
                    continue
                for why in dict.fromkeys(_objections(block, attribute.expression, instance, root.target.root.path)):
                    what = f"`{attribute.name}` of `{block.name}` is {why} in {root.target}"
                    yield hit_at(path, block, what, attribute, also=f"{why} {root.target.environment.name}")


def _objections(block: Block, expression: Expression, instance: Instance, root: str) -> Iterator[str]:
    for scope in _scopes(block, instance.scope):
        for value in possible_values(expression, scope):
            named = _archive(expression, instance, scope) if value is UNKNOWN else value
            if named is None:
                continue
            if not isinstance(named, str):
                yield "a path that the source does not tell"
            elif _leaves(root, named):
                yield f"`{named[:80]}`"


def _scopes(block: Block, scope: Scope) -> Iterator[Scope]:
    """The scope of each instance: what `each` and `count` are in it, as far as the source tells."""
    over = block.attribute("for_each")
    if over is None:
        yield replace(scope, iterators={"count": {"index": 0}})
        return
    collection = evaluate(over.expression, scope)
    items = (
        list(collection.items())
        if isinstance(collection, dict)
        else [(i, i) for i in collection]
        if isinstance(collection, list)
        else []
    )
    if not items or len(items) > MAX_LOOP:
        items = [(UNKNOWN, UNKNOWN)]
    for key, value in items:
        yield replace(scope, iterators={"each": {"key": key, "value": value}})


def _archive(expression: Expression, instance: Instance, scope: Scope) -> object:
    """Where an archive of `archive_file` is written; UNKNOWN for every other expression."""
    if (
        expression.kind is not ExpressionKind.REFERENCE
        or expression.steps[-1] != "output_path"
        or "archive_file" not in expression.steps[:2]
    ):
        return UNKNOWN
    blocks = list(blocks_called(instance, name_of(expression)))
    paths = [a for b in blocks if (a := b.attribute("output_path")) is not None]
    return evaluate(paths[0].expression, scope) if len(paths) == 1 else UNKNOWN


def _leaves(root: str, named: str) -> bool:
    """True when a path, as it counts from the root's directory, is not of the repository or is one that holds secrets."""
    if not named or named.startswith(("/", "~")) or "\\" in named or "\x00" in named:
        return True
    segments = posixpath.normpath(posixpath.join(root, named)).split("/")
    return any(s.startswith(".") or _HOLDS_SECRETS.fullmatch(s) for s in segments)
