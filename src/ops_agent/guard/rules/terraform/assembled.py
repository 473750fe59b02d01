"""Regions and accounts that are put together from parts: everything that the source tells is computed as Terraform
would (D10, D20).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, RootInEnvironment, accounts_in, foreign_regions, hit_at
from ops_agent.guard.values import Instance, Scope, depends_on_source_alone, evaluate, texts
from ops_agent.model.policy import ROOT
from ops_agent.model.terraform import UNKNOWN, Attribute, Block, Expression, ExpressionKind
from ops_agent.terraform.layout import canonical

_MADE = (ExpressionKind.TEMPLATE, ExpressionKind.CALL, ExpressionKind.FOR, ExpressionKind.OTHER)
_ZONE_ARGUMENT = re.compile(r"(.+_)?(availability_zones?|zone_ids?)|service_name")
_HOLE = 0xE000  # private use: stands for the n-th unknown part of a text
_PLACES = re.compile(
    r"arn:[^:\s]*:[^:\s]*:([^:\s]*):([^:\s]*)|([^\s/.\"]*)\.(?:dkr\.ecr\.)|([^\s/.\"]*)\.(?:amazonaws\.com|on\.aws|api\.aws)"
    r"|com\.amazonaws\.([^\s.\"]*)"
)


def assembled_region(root: RootInEnvironment) -> Iterator[Hit]:
    """Another region is put together from parts.

    A name such as `"us-${var.side}-1"` means another region once the environment's values are filled in. What stands
    where an ARN, an address or a zone has its region, is made of constants only and still cannot be computed here, is
    refused.

    Remedy: Use the policy's region as it is; do not compute region names.
    """
    for instance, path, block, attribute, expression in _made(root):
        value = evaluate(expression, instance.scope)
        for text in texts(value):
            for region in foreign_regions(text, root.policy.region):
                what = f"`{attribute.name}` becomes `{region}` in {root.target}"
                yield hit_at(path, block, what, expression, also=region)
        if _hides_a_place(expression, value, attribute, instance.scope):
            what = f"`{attribute.name}` of `{block.name}` computes a region or account in a way that is not understood here"
            yield hit_at(path, block, what, expression, also="hidden")


def assembled_account(root: RootInEnvironment) -> Iterator[Hit]:
    """An account that is not the environment's is put together from parts.

    `"${"1234"}${"56789012"}"`, `join`, `format` or a number that is added up means an account as much as its digits in
    one piece.

    Remedy: Use `data.aws_caller_identity.current.account_id`, or a variable that each environment's file fills.
    """
    environment = canonical(root.target.environment.name)
    of_account = {account: canonical(name) for name, account in root.policy.accounts.items()}
    for instance, path, block, attribute, expression in _made(root):
        for text in texts(evaluate(expression, instance.scope)):
            for account in accounts_in(text):
                owner = of_account.get(account)
                if owner not in (environment, ROOT) and (owner is None or environment in of_account.values()):
                    whose = f"of `{owner}`" if owner else "of nobody in the policy"
                    what = f"`{attribute.name}` becomes the account `{account}` {whose} in {root.target}"
                    yield hit_at(path, block, what, expression, also=f"{account} {root.target.environment.name}")


def _made(root: RootInEnvironment) -> Iterator[tuple[Instance, str, Block, Attribute, Expression]]:
    """Every expression that makes text or lists of parts."""
    for instance in root.instances:
        for path, source in instance.files:
            for block in source.blocks:
                for attribute, expression in block.expressions():
                    if expression.kind in _MADE:
                        yield instance, path, block, attribute, expression


def _hides_a_place(expression: Expression, value: object, attribute: Attribute, scope: Scope) -> bool:
    if value is UNKNOWN and expression is attribute.expression and _ZONE_ARGUMENT.fullmatch(attribute.name):
        return depends_on_source_alone(expression, scope)
    parts = list(_parts(expression, scope))
    holes = [p for p in parts if isinstance(p, Expression)]
    if not holes:
        return False
    numbers = iter(range(len(holes)))
    text = "".join(p if isinstance(p, str) else chr(_HOLE + next(numbers)) for p in parts)
    hidden = {ord(c) - _HOLE for found in _PLACES.finditer(text) for group in found.groups() if group for c in group}
    return any(depends_on_source_alone(holes[n], scope) for n in hidden if 0 <= n < len(holes))


def _parts(expression: Expression, scope: Scope) -> Iterator[str | Expression]:
    """A text's parts in order, as far as `join`, `format` and quotes put it together: known text, and expressions that
    are not known.
    """
    children, between = expression.children, ""
    if expression.kind is ExpressionKind.CALL:
        first = evaluate(children[0], scope) if children else UNKNOWN
        if not isinstance(first, str) or expression.name not in ("join", "format"):
            return
        if expression.name == "join":
            between = first
            children = tuple(i for c in children[1:] for i in (c.children if c.kind is ExpressionKind.TUPLE else (c,)))
        else:
            yield from _formatted(first, children[1:], scope)
            return
    elif expression.kind is not ExpressionKind.TEMPLATE:
        return
    for number, child in enumerate(children):
        if number:
            yield between
        yield _known(child, scope)


def _formatted(pattern: str, arguments: tuple[Expression, ...], scope: Scope) -> Iterator[str | Expression]:
    left = iter(arguments)
    for piece in re.split(r"(%[^a-zA-Z%]*[a-zA-Z])", pattern):
        argument = next(left, None) if re.fullmatch(r"%[^a-zA-Z%]*[a-zA-Z]", piece) else None
        yield piece if argument is None else _known(argument, scope)


def _known(expression: Expression, scope: Scope) -> str | Expression:
    value = evaluate(expression, scope)
    return str(value) if isinstance(value, str | int | float) else expression
