"""State secrets may be passed unchanged to sensitive arguments; anything derived from one leaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ops_agent.guard.data import table, words
from ops_agent.guard.marks import keeps_secret, named_like_a_secret
from ops_agent.guard.parts import Position
from ops_agent.guard.rule import WholeChange, hit_at, rule
from ops_agent.guard.taint import Taint
from ops_agent.guard.tree import SourceTree
from ops_agent.guard.values import Instance, affected_targets, instances_of
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.terraform import Attribute, Block, Expression, ExpressionKind, TerraformTarget

_ORDER = frozenset({"depends_on", "replace_triggered_by", "ignore_changes", "provider", "providers"})
_DECODES = frozenset({"jsondecode", "yamldecode", "base64decode", "tonumber", "tobool"})
_SHOWN = frozenset({"condition", "error_message", "count", "for_each"})


@rule(Severity.BLOCKS)
def secret_computed(change: WholeChange) -> Iterator[Finding]:
    """A secret of the state is shown, or decides something that is shown.

    Some results of a secret are not marked as sensitive: `can(regex("^a", aws_db_instance.main.password))` is a visible
    yes or no, `count` is a visible number, a failing condition or an error message reveals a part. Enough of them
    reveal the password. Secrets are what the provider marks as sensitive, and a short list of what it does not mark (a
    function's environment, user data).

    Remedy: Pass the value unchanged to a sensitive argument or output, or leave it out.
    """
    for what, secret, path, block, attribute in _new(change, _shown):
        yield hit_at(path, block, f"`{block.name}` shows or depends on `{secret}` in `{what}`", attribute, also=secret)


@rule(Severity.BLOCKS)
def secret_in_open_argument(change: WholeChange) -> Iterator[Finding]:
    """A secret of the state goes into an argument that is not sensitive.

    The provider quotes arguments in error messages (`expected acl to be one of [...], got ...`) and builds ids, ARNs
    and addresses from them, without marking them as sensitive. Allowed are arguments that the provider marks as
    sensitive, environments, user data and the like, and what a data source reads where the base branch already uses it
    in such an argument.

    Remedy: Put the secret into Secrets Manager and pass its ARN, or pass the secret to a sensitive argument.
    """
    for what, secret, path, block, attribute in _new(change, _opened):
        yield hit_at(path, block, f"`{block.name}` puts `{secret}` into `{what}`", attribute, also=secret)


_Leak = tuple[str, str, str, Block, Attribute]
_Find = Callable[[Instance, SourceTree, Taint], Iterator[_Leak]]


def _new(change: WholeChange, find: _Find) -> Iterator[_Leak]:
    """Leaks on the head that the base does not have, each once: where, the secret, the file, the code."""
    seen: set[tuple[str, int, str]] = set()
    for target in affected_targets(change.head, change.changes.paths):
        after = list(_leaks(target, change.head, find))
        before = list(_leaks(target, change.base, find)) if after else []
        known = {(what, secret, block.name, a.expression.spelling) for what, secret, _, block, a in before}
        changed = {(what, b.name, a.expression.spelling) for what, _, _, b, a in after} if before else set()
        excused = _behind(target, change.base, changed) if changed else {}
        current = _behind(target, change.head, changed) if changed else {}
        read = [leak for leak in before if leak[1].startswith("data.") and find is _opened]
        usual = {secret for _, secret, _, _, _ in read} | {(w, b.name, a.expression.spelling) for w, _, _, b, a in read}
        for leak in after:
            what, secret, path, block, attribute = leak
            place = (what, block.name, attribute.expression.spelling)
            is_usual = secret in usual or (secret.startswith("data.") and place in usual)
            is_known = (what, secret, *place[1:]) in known and current.get(place, set()) <= excused.get(place, set())
            if not is_usual and not is_known and (path, attribute.line, secret) not in seen:
                seen.add((path, attribute.line, secret))
                yield leak


_Code = tuple[str, str, str]


def _behind(target: TerraformTarget, tree: SourceTree, codes: set[_Code]) -> dict[_Code, set[str]]:
    """What variables and locals put into code that leaks: a leak of the base with another question is a new one."""
    instances = instances_of(target, tree)
    taint, names = Taint(instances), {name for _, name, _ in codes}
    found: dict[_Code, set[str]] = {}
    for instance in instances:
        for block in (b for _, s in instance.files for b in s.blocks if b.name in names):
            for where, attribute in block.arguments():
                code = (".".join(where), block.name, attribute.expression.spelling)
                if code in codes:
                    texts = taint.behind(attribute.expression, Position(instance.scope, block))
                    found.setdefault(code, set()).update(
                        t for t in texts if t.startswith(("local.", "var.")) or t == "..."
                    )
    return found


def _leaks(target: TerraformTarget, tree: SourceTree, find: _Find) -> Iterator[_Leak]:
    instances = instances_of(target, tree)
    taint = Taint(instances)
    for instance in (i for i in instances if i.directory not in tree.fetched.directories):
        yield from find(instance, tree, taint)


def _shown(instance: Instance, tree: SourceTree, taint: Taint) -> Iterator[_Leak]:
    """Secrets in outputs, conditions, numbers of instances and arguments of modules whose files are not here."""
    for path, source in instance.files:
        for block in (b for b in source.blocks if b.type != "variable"):
            position = Position(instance.scope, block)
            for where, attribute in block.arguments():
                for asked, at in _asked(attribute.expression, position):
                    secret = taint.secret(asked, at)
                    if secret is not None:
                        yield ".".join(where), secret, path, block, attribute
    for path, block in instance.blocks("resource", "data", "provider", "module", "output", "check", "variable"):
        position = Position(instance.scope, block)
        for where, attribute in block.arguments():
            value, name = attribute.expression, where[-1]
            if name in ("count", "for_each") and taint.is_shape(value, position):
                continue
            if (
                name == "for_each" and block.attribute(name) is not attribute
            ):  # of `dynamic`: a plan shows each value apart
                value = Expression(kind=ExpressionKind.CALL, line=value.line, name="keys", children=(value,))
            if name in _SHOWN:
                is_shown = (
                    len(where) == 1
                    or where[-2] in ("assert", "precondition", "postcondition", "validation")
                    or name == "for_each"
                )
            elif block.type == "output":
                sensitive = block.attribute("sensitive")
                is_open = sensitive is None or sensitive.expression.value is not True
                is_shown = where == ("value",) and is_open and (not instance.path or _computes(value))
            else:
                is_unseen = block.type == "module" and tree.called(instance.directory, block) is None
                is_shown = is_unseen and name not in _ORDER and not named_like_a_secret(name) and _computes(value)
            # what a variable of this root is given is asked of by its own conditions: that is what they are for
            secret = taint.secret(value, position, variables=block.type != "variable") if is_shown else None
            if secret is not None:
                yield ".".join(where), secret, path, block, attribute


def _opened(instance: Instance, _: SourceTree, taint: Taint) -> Iterator[_Leak]:
    """Secrets in arguments that are not sensitive."""
    for path, block in instance.blocks("resource", "data", "provider"):
        position = Position(instance.scope, block)
        for where, attribute in block.arguments():
            is_meta = where[0] in ("lifecycle", "provisioner", "connection") or where[-1] == "for_each"
            if is_meta or (len(where) == 1 and where[0] in _ORDER | _SHOWN):
                continue
            if block.type == "resource" and keeps_secret(block.label, where):
                continue
            secret = taint.secret(attribute.expression, position, variables=False)
            if secret is not None:
                yield ".".join(where), secret, path, block, attribute


def _asked(expression: Expression, position: Position) -> Iterator[tuple[Expression, Position]]:
    """What functions show of marked values. The answers of `can` and `try` have no mark, wherever they go
    (`can(regex("^a", secret))`); error messages quote (`cidrhost(secret, 1)`: invalid CIDR address: hunter2).
    """
    for inner, where in position.walk(expression):
        if quoted := table("quoting_functions").get(inner.function):
            yield from ((c, where) for n, c in enumerate(inner.children) if str(n) in quoted)
        tried = {"can": inner.children, "try": inner.children[:-1]}.get(inner.function, ())
        yield from ((part, where) for part in tried if _computes(part, _DECODES))
        yield from ((choice, at) for part in tried for e, at in where.walk(part) for choice in _choosing(e))


def _choosing(expression: Expression) -> tuple[Expression, ...]:
    """What decides whether an expression has a value: indices, operands, conditions."""
    kind, parts = expression.kind, expression.children
    if kind is ExpressionKind.OTHER and expression.steps:
        return parts[1:]
    is_asked = kind is ExpressionKind.REFERENCE or (kind is ExpressionKind.OTHER and expression.name)
    return parts if is_asked else parts[:1] if kind is ExpressionKind.CONDITIONAL else ()


def _computes(expression: Expression, harmless: frozenset[str] = frozenset()) -> bool:
    """True when a function that is neither `harmless` nor passes its arguments on is called in `expression`."""
    return any(e.function and e.function not in harmless | words("passing_functions") for e in expression.walk())
