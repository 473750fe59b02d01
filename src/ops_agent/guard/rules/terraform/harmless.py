"""What new code may not have and standing code may be given other values for: it computes texts, or reads what AWS
publishes.
"""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.guard.narrowing import narrowed
from ops_agent.guard.positions import Position
from ops_agent.guard.rule import Piece
from ops_agent.model.terraform import Expression, ExpressionKind

_COMPUTE = frozenset({"cloudinit_config", "template_cloudinit_config", "null_data_source"})
_PUBLISHED = "/aws/service/"
_MOST = 200


def is_harmless(piece: Piece, position: Position, *, is_fetched: bool) -> bool:
    """True for a data source that only puts texts together, and for public parameters of AWS (the ids of images).

    The change cannot write the constants of a fetched module, so those of its own names are as good.
    """
    block = piece.block
    if block is None or block.type != "data" or not block.labels:
        return False
    if block.labels[0] in _COMPUTE:
        return True
    name = block.attribute("name") if block.labels[0] == "aws_ssm_parameter" else None
    return name is not None and all(
        _is_published(leaf) or (is_fetched and leaf.kind is ExpressionKind.LITERAL and where.scope is position.scope)
        for leaf, where in _leaves(name.expression, position)
    )


def _leaves(value: Expression, position: Position) -> Iterator[tuple[Expression, Position]]:
    """What a value can be, through locals, variables and both sides of a conditional."""
    pending, left = [(value, position)], _MOST
    while pending:
        left -= 1
        expression, where = pending.pop()
        names = {"var": where.scope.variables, "local": where.scope.locals}
        bound = (
            names.get(str(expression.steps[0]), {}).get(str(expression.steps[1])) if len(expression.steps) > 1 else None
        )
        if expression.kind is ExpressionKind.REFERENCE and bound is not None and left > 0:
            pending += narrowed(bound.expression, expression.steps[2:], Position(bound.scope, bound.block))
        elif expression.kind is ExpressionKind.CONDITIONAL and left > 0:
            pending += [(child, where) for child in expression.children[1:]]
        else:
            yield expression, where


def _is_published(leaf: Expression) -> bool:
    first = leaf.children[0] if leaf.kind is ExpressionKind.TEMPLATE and leaf.children else leaf
    return first.kind is ExpressionKind.LITERAL and isinstance(first.value, str) and first.value.startswith(_PUBLISHED)
