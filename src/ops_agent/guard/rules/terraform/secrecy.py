"""Secrets of the state are passed on whole, to what keeps them: what is computed from one tells it, whatever mark
Terraform puts on it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.guard.rule import Hit, Piece, RootInEnvironment, TerraformFile, hit_at
from ops_agent.guard.secret_places import keeps_secret
from ops_agent.guard.secret_trace import SecretTrace, Surroundings, taken_from
from ops_agent.guard.values import Instance
from ops_agent.model.terraform import Expression, ExpressionKind

_DECIDES = frozenset({"count", "for_each", "condition", "enabled"})
# Never fail for a value, and keep its mark.
_WHOLE = frozenset(
    {
        "jsonencode",
        "yamlencode",
        "base64encode",
        "urlencode",
        "sensitive",
        "merge",
        "concat",
        "tostring",
        "join",
        "ephemeralasnull",
    }
)


def secret_computed(root: RootInEnvironment) -> Iterator[Hit]:
    """Something is computed from a secret of the state.

    Terraform marks a secret, and loses the mark: `can(regex("^a", aws_db_instance.main.password))` is an open yes or
    no, `count` shows a number, what fails names itself, and `terraform_data` gives it back without the mark. A list of
    these is the password. A secret is what the provider marks, and a short list of what it does not mark (a function's
    environment, user data).

    Remedy: Pass the value on whole (as an argument, in a quoted template or by `jsonencode`), or leave it out.
    """
    trace = SecretTrace(root.instances)
    seen: set[tuple[str, str, str]] = set()
    for instance, file, piece in _pieces(root):
        around = Surroundings(instance.scope, piece.block)
        for name, expression in piece.values:
            secret = _computed(name, expression, around, trace)
            if secret is not None and (file.path, piece.anchor, secret) not in seen:
                seen.add((file.path, piece.anchor, secret))
                what = f"`{piece.name}` computes with `{secret}` in `{name}`"
                yield hit_at(file.path, piece, what, expression, also=secret)


def secret_in_open_argument(root: RootInEnvironment) -> Iterator[Hit]:
    """A secret of the state goes into an argument that does not keep it.

    The provider quotes arguments in its error messages (`expected acl to be one of [...], got ...`) and builds ids,
    ARNs and addresses from them, all without Terraform's mark. Only arguments that the provider marks as secret,
    environments, user data and the like may take one.

    Remedy: Put the secret into Secrets Manager and hand over its ARN; otherwise pass it to an argument that is made for
    a secret.
    """
    trace = SecretTrace(root.instances)
    seen: set[tuple[str, str, str]] = set()
    for instance, file, piece in _pieces(root):
        if piece.block is None or piece.block.type not in ("resource", "data", "provider"):
            continue
        around = Surroundings(instance.scope, piece.block)
        type_ = piece.block.labels[0] if piece.block.labels else ""
        for path, attribute in piece.block.arguments():
            expression = attribute.expression
            if piece.block.type == "resource" and keeps_secret(type_, path):
                continue
            secret = trace.secret(expression, around, of_state=True)
            if (
                secret is not None
                and (file.path, piece.anchor, secret) not in seen
                and not _is_shape(path, expression, around, trace)
            ):
                seen.add((file.path, piece.anchor, secret))
                what = f"`{piece.name}` takes `{secret}` in `{'.'.join(path)}`"
                yield hit_at(file.path, piece, what, expression, also=secret)


def _pieces(root: RootInEnvironment) -> Iterator[tuple[Instance, TerraformFile, Piece]]:
    for instance in root.instances:
        for path, source in instance.files:
            file = TerraformFile(path=path, kind="configuration", source=source, tree=root.tree, policy=root.policy)
            yield from ((instance, file, piece) for piece in file.pieces())


def _is_shape(path: tuple[str, ...], expression: Expression, around: Surroundings, trace: SecretTrace) -> bool:
    return path[-1] in ("depends_on", "replace_triggered_by") or (
        path[-1] in _DECIDES and trace.tells_shape_only(expression, around)
    )


def _computed(name: str, expression: Expression, around: Surroundings, trace: SecretTrace) -> str | None:
    """The secret that decides something in `expression`, None when there is none."""
    if name in _DECIDES:
        return None if trace.tells_shape_only(expression, around) else trace.secret(expression, around)
    pending = [(expression, around)]
    while pending:
        inner, where = pending.pop()
        asked: tuple[Expression, ...] = ()
        deeper = [(c, where) for c in inner.children]
        match inner.kind:
            case ExpressionKind.REFERENCE:
                asked = (
                    (inner,) if inner.steps[0] == "terraform_data" and "input" not in inner.steps else inner.children
                )
            case ExpressionKind.OTHER:
                taken = taken_from(inner)
                asked = (inner,) if taken is None else taken.children
                deeper = deeper if taken is None else []
            case ExpressionKind.CALL if inner.name not in _WHOLE and not trace.tells_shape_only(inner, where):
                asked = inner.children
            case ExpressionKind.CONDITIONAL:
                asked = inner.children[:1]
            case ExpressionKind.FOR:
                first, loop = inner.children[0], where.inside(inner)
                deciding = [
                    (c, loop) for c, role in zip(inner.children[1:], str(inner.value), strict=True) if role != "v"
                ]
                deciding += [] if trace.tells_shape_only(first, where) else [(first, where)]
                secret = next((s for e, w in deciding if (s := trace.secret(e, w)) is not None), None)
                if secret is not None:
                    return secret
                deeper = [(first, where), *((c, loop) for c in inner.children[1:])]
        secret = next((s for e in asked if (s := trace.secret(e, where)) is not None), None)
        if secret is not None:
            return secret
        pending.extend(deeper)
    return None
