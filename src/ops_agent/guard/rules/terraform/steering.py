"""Standing code that is open to values from elsewhere: who changes the values answers for what the code does with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from ops_agent.guard.influences import Influences
from ops_agent.guard.positions import Position
from ops_agent.guard.rule import Hit, Piece, RootWithValues, TerraformFile
from ops_agent.guard.rules.terraform.execution import (
    external_data_source,
    provisioner,
    revealing_function,
    secret_data_source,
    unknown_block,
)
from ops_agent.guard.rules.terraform.harmless import is_harmless
from ops_agent.guard.rules.terraform.lists import unlisted_data_source
from ops_agent.guard.rules.terraform.providers import OPEN_ARGUMENTS, provider_argument
from ops_agent.guard.rules.terraform.reading import READS, file_function
from ops_agent.guard.rules.terraform.templates import unsafe_template
from ops_agent.guard.values import Instance
from ops_agent.model.terraform import Attribute, Expression, ExpressionKind

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
    return _placed(
        [*(a for a in block.attributes if a.name in _WHETHER), *(a for b in inner for a in b.attributes)], position
    )


def _of_calls(piece: Piece, position: Position) -> Iterator[_Placed]:
    for _, value in piece.values:
        for inner, where in position.walk(value):
            if inner.kind is ExpressionKind.CALL and READS.fullmatch(inner.name):
                yield from ((path, where) for path in inner.children[: 2 if inner.name == "fileset" else 1])


def _of_revealing(piece: Piece, position: Position) -> Iterator[_Placed]:
    """What is handed over to be shown. What a data source reads is judged where it stands."""
    for _, value in piece.values:
        for inner, where in position.walk(value):
            if inner.kind is ExpressionKind.CALL and (inner.name in _REVEALING or "::" in inner.name):
                yield inner, where


def _of_templates(piece: Piece, position: Position) -> Iterator[_Placed]:
    for _, value in piece.values:
        yield from (
            (e, where)
            for e, where in position.walk(value)
            if e.kind is ExpressionKind.CALL and e.name == "templatefile"
        )


def _of_providers(piece: Piece, position: Position) -> Iterator[_Placed]:
    block = piece.block
    if block is None:
        return _all(piece, position)
    inner = [b for closed in block.blocks if closed.kind not in OPEN_ARGUMENTS for b in closed.walk()]
    return _placed(
        [*(a for a in block.attributes if a.name not in OPEN_ARGUMENTS), *(a for b in inner for a in b.attributes)],
        position,
    )


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
    (revealing_function, _of_revealing),
    (file_function, _of_calls),
    (unsafe_template, _of_templates),
    (provider_argument, _of_providers),
)


def steered_code(root: RootWithValues) -> Iterator[Hit]:
    """Code that stands and does what new code may not is given other values.

    `file(var.path)` is as dangerous as the path that a variable file, a local, a loop, a module call or a resource
    hands to it; so are a provider's endpoint, a data source's address and a provisioner's command. Modules from outside
    that the base calls are read too.

    Remedy: Leave what flows into this code as it is; ask people to change it.
    """
    instances = (*root.instances, *root.fetched)
    influences = Influences(instances, root.tree)
    hits = tuple(_steered(root, instances, influences))
    yield from _beyond_judging(root, instances, influences)
    yield from hits


def _steered(root: RootWithValues, instances: tuple[Instance, ...], influences: Influences) -> Iterator[Hit]:
    standing: dict[str, tuple[tuple[Hit, _Part, Piece], ...]] = {}
    seen: set[Hit] = set()
    for instance in instances:
        yield from _unread(root, instance, influences)
        for path, source in instance.files:
            file = TerraformFile(path=path, kind="configuration", source=source, tree=root.tree, policy=root.policy)
            if path not in standing:
                standing[path] = tuple(_standing(file))
            for hit, part, piece in standing[path]:
                if influences.is_spent:
                    return
                position = Position(instance.scope, piece.block)
                behind = influences.of(part(piece, position), computed=part is not _of_revealing)
                if behind and not is_harmless(
                    piece, position, is_fetched=instance.directory in root.tree.fetched.directories
                ):
                    what = f"{hit.what}, and what flows into it changes in {root.target}"
                    found = Hit(path=path, line=hit.line, what=what, anchor=f"{hit.anchor} {_digest(behind)}")
                    if found not in seen:  # one more call with the same values does nothing new
                        seen.add(found)
                        yield found


def _beyond_judging(root: RootWithValues, instances: tuple[Instance, ...], influences: Influences) -> Iterator[Hit]:
    """What was not followed, because there is too much of it: what flows into the rest would not be seen."""
    where = root.target.root.path
    if influences.is_spent:
        yield Hit(
            path=where,
            line=0,
            what=f"more flows into the code of `{where}` than can be followed",
            anchor=f"{where} too much",
        )
    calls = [(i.directory, block) for i in instances for _, source in i.files for block in source.of_type("module")]
    if sum(root.tree.called(directory, block) not in (None, directory) for directory, block in calls) >= len(instances):
        what = f"`{where}` calls more modules, or deeper ones, than are judged"
        yield Hit(path=where, line=0, what=what, anchor=f"{where} beyond judging")


def _unread(root: RootWithValues, instance: Instance, influences: Influences) -> Iterator[Hit]:
    """A standing file that cannot be read may do anything with the values of its module."""
    for path, why in root.tree.unread(instance.directory):
        given = sorted(instance.scope.variables.items())
        behind = influences.of((bound.expression, Position(bound.scope, bound.block)) for _, bound in given)
        behind |= {f"{name} = {bound.expression.text}" for name, bound in given}
        what = f"`{path}` cannot be read ({why.what}), and what its module is given changes in {root.target}"
        yield Hit(path=path, line=why.line, what=what, anchor=f"{path} {_digest(behind)}")


def _digest(behind: frozenset[str]) -> str:
    return hashlib.sha256("\n".join(sorted(behind)).encode()).hexdigest()


def _standing(file: TerraformFile) -> Iterator[tuple[Hit, _Part, Piece]]:
    pieces = tuple(file.pieces())
    for rule, part in _DANGEROUS:
        for hit in rule(file):
            before = [p for p in pieces if p.line <= hit.line] if hit.path == file.path else []
            piece = before[-1] if before else next((p for p in pieces if hit.anchor.startswith(p.name)), None)
            if piece is not None:
                yield hit, part, piece
