"""Standing code that is open to values from elsewhere: who changes the values answers for what the code does with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from ops_agent.core.guard.influences import Influences
from ops_agent.core.guard.positions import Position
from ops_agent.core.guard.rules.terraform.execution import (
    external_data_source,
    provisioner,
    revealing_function,
    secret_data_source,
    unknown_block,
)
from ops_agent.core.guard.rules.terraform.lists import unlisted_data_source
from ops_agent.core.guard.rules.terraform.providers import OPEN_ARGUMENTS, provider_argument
from ops_agent.core.guard.rules.terraform.reading import READS, file_function
from ops_agent.core.guard.rules.terraform.templates import unsafe_template
from ops_agent.core.guard.subjects import Hit, Piece, RootInEnvironment, TerraformFile
from ops_agent.domain.terraform_source import Attribute, Expression, ExpressionKind

_Placed = tuple[Expression, Position]
_WHETHER = ("count", "for_each")
_REVEALING = frozenset({"nonsensitive", "templatestring"})


def _all(piece: Piece, position: Position) -> Iterator[_Placed]:
    return ((expression, position) for _, expression in piece.values)


def _of_programs(piece: Piece, position: Position) -> Iterator[_Placed]:
    """What a provisioner says, whether it runs, and for resources that are there to run it also when."""
    block = piece.block
    if block is None or not block.labels[:1] or not block.labels[0].startswith("aws_"):
        return _all(piece, position)
    inner = (b for outer in block.walk() if outer.kind in ("provisioner", "connection") for b in outer.walk())
    return _placed([*(a for a in block.attributes if a.name in _WHETHER), *(a for b in inner for a in b.attributes)], position)


def _of_calls(piece: Piece, position: Position) -> Iterator[_Placed]:
    for _, value in piece.values:
        for inner, where in position.walk(value):
            if inner.kind is ExpressionKind.CALL and READS.fullmatch(inner.name):
                yield from ((path, where) for path in inner.children[: 2 if inner.name == "fileset" else 1])
            elif inner.kind is ExpressionKind.CALL and inner.name in _REVEALING:
                yield inner, where


def _of_templates(piece: Piece, position: Position) -> Iterator[_Placed]:
    for _, value in piece.values:
        yield from ((e, where) for e, where in position.walk(value) if e.kind is ExpressionKind.CALL and e.name == "templatefile")


def _of_providers(piece: Piece, position: Position) -> Iterator[_Placed]:
    block = piece.block
    if block is None:
        return _all(piece, position)
    inner = [b for closed in block.blocks if closed.kind not in OPEN_ARGUMENTS for b in closed.walk()]
    return _placed([*(a for a in block.attributes if a.name not in OPEN_ARGUMENTS), *(a for b in inner for a in b.attributes)], position)


def _of_others(piece: Piece, position: Position) -> Iterator[_Placed]:
    """All of a block that is not open to the agent; of a `check` the data sources that it asks, not what it compares."""
    block = piece.block
    if block is None or block.type != "check":
        return _all(piece, position)
    return _placed([a for asked in block.blocks if asked.type == "data" for a in asked.attributes], position)


def _placed(attributes: list[Attribute], position: Position) -> Iterator[_Placed]:
    return ((a.expression, position) for a in attributes)


# What a rule objects to, and the part of the code whose values matter to it.
_Part = Callable[[Piece, Position], Iterator[_Placed]]
_DANGEROUS: tuple[tuple[Callable[[TerraformFile], Iterator[Hit]], _Part], ...] = (
    (external_data_source, _all),
    (secret_data_source, _all),
    (unlisted_data_source, _all),
    (provisioner, _of_programs),
    (unknown_block, _of_others),
    (revealing_function, _of_calls),
    (file_function, _of_calls),
    (unsafe_template, _of_templates),
    (provider_argument, _of_providers),
)


def steered_code(root: RootInEnvironment) -> Iterator[Hit]:
    """Code that stands and does what new code may not is given other values.

    `file(var.path)` is as dangerous as the path that a variable file, a local, a loop, a module call or a resource hands to it; so are a
    provider's endpoint, a data source's address and a provisioner's command.

    Remedy: Leave what flows into this code as it is; ask people to change it.
    """
    standing: dict[str, tuple[tuple[Hit, _Part, Piece], ...]] = {}
    influences = Influences(root.instances, root.tree)
    for instance in root.instances:
        for path, source in instance.files:
            file = TerraformFile(path=path, kind="configuration", source=source, tree=root.tree, policy=root.policy)
            if path not in standing:
                standing[path] = tuple(_standing(file))
            for hit, part, piece in standing[path]:
                behind = influences.of(part(piece, Position(instance.scope, piece.block)))
                if behind:
                    digest = hashlib.sha256("\n".join(sorted(behind)).encode()).hexdigest()
                    what = f"{hit.what}, and what flows into it changes in {root.target}"
                    yield Hit(path=path, line=hit.line, what=what, anchor=f"{hit.anchor} {digest}")


def _standing(file: TerraformFile) -> Iterator[tuple[Hit, _Part, Piece]]:
    pieces = tuple(file.pieces())
    for rule, part in _DANGEROUS:
        for hit in rule(file):
            piece = next((p for p in pieces if hit.anchor.startswith(p.anchor)), None)
            if piece is not None:
                yield hit, part, piece
