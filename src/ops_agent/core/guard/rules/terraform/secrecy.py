"""Secrets of the state are passed on whole: what is computed from one tells it, whatever mark Terraform puts on it."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.core.guard.influences import Influences
from ops_agent.core.guard.subjects import Hit, RootInEnvironment, TerraformFile
from ops_agent.core.guard.values import Instance
from ops_agent.domain.terraform_source import Expression, ExpressionKind

_DECIDES = frozenset({"count", "for_each", "condition", "enabled"})
# Never fail for a value, and keep its mark.
_WHOLE = frozenset(
    {"jsonencode", "yamlencode", "base64encode", "urlencode", "sensitive", "merge", "concat", "tostring", "join", "ephemeralasnull"}
)


def secret_computed(root: RootInEnvironment) -> Iterator[Hit]:
    """Something is computed from a secret of the state.

    Terraform marks a secret, and loses the mark: `can(regex("^a", aws_db_instance.main.password))` is an open yes or no, `count` shows a
    number, and what fails names itself. A list of these is the password.

    Remedy: Pass the value on whole (as an argument, in a quoted template or by `jsonencode`), or leave it out.
    """
    influences = Influences(root.instances, root.tree)
    seen: set[tuple[str, str, str]] = set()
    for instance in root.instances:
        for path, source in instance.files:
            file = TerraformFile(path=path, kind="configuration", source=source, tree=root.tree, policy=root.policy)
            for piece in file.pieces():
                for name, expression in piece.values:
                    secret = _computed(name, expression, instance, influences)
                    if secret is not None and (path, piece.anchor, secret) not in seen:
                        seen.add((path, piece.anchor, secret))
                        what = f"`{piece.name}` computes with `{secret}` in `{name}`"
                        yield Hit(path=path, line=expression.line, what=what, anchor=f"{piece.anchor} {secret}")


def _computed(name: str, expression: Expression, instance: Instance, influences: Influences) -> str | None:
    """The secret that decides something in `expression`, None when there is none."""
    if name in _DECIDES:
        return influences.secret(expression, instance.scope)
    pending = [expression]
    while pending:
        inner = pending.pop()
        asked: tuple[Expression, ...] = ()
        match inner.kind:
            case ExpressionKind.REFERENCE | ExpressionKind.OTHER:
                asked = inner.children
            case ExpressionKind.CALL if inner.name not in _WHOLE:
                asked = inner.children
            case ExpressionKind.CONDITIONAL:
                asked = inner.children[:1]
        secret = next((s for e in asked if (s := influences.secret(e, instance.scope)) is not None), None)
        if secret is not None:
            return secret
        pending.extend(inner.children)
    return None
