"""New values for existing code that new code may not have: who changes the values answers for what the code does with
them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ops_agent.guard.data import table
from ops_agent.guard.parts import Position
from ops_agent.guard.rule import WholeChange, hit, rule
from ops_agent.guard.rules.terraform.execution import STATE_BLOCKS, is_issuer, is_open, reveals, runs, shows_published
from ops_agent.guard.rules.terraform.files import calls, is_read, objections, unsafe_calls, whole_path
from ops_agent.guard.rules.terraform.sources import open_arguments
from ops_agent.guard.taint import Taint
from ops_agent.guard.tree import SourceTree
from ops_agent.guard.values import Instance, Scope, affected_targets, instances_of, possible_values
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.terraform import Attribute, Block, Expression, TerraformTarget

_UNOPENED = STATE_BLOCKS | {"action", "list", "run"}


class _Use(Enum):
    """What code does with a value."""

    WHILE_PLANNING = "runs or reads while Terraform plans"
    COMMAND = "can reach a command"
    OTHER = "is not open to the agent"


@dataclass(frozen=True, slots=True)
class _Sink:
    """A value in a place that new code may not fill. `is_safe`: new code may have the value that it has now.
    `is_given`: the value itself is passed on.
    """

    use: _Use
    path: str
    block: Block
    name: str
    expression: Expression
    position: Position
    is_safe: bool = False
    is_given: bool = False


@rule(Severity.BLOCKS)
def changed_plan_input(change: WholeChange) -> Iterator[Finding]:
    """The change feeds new values into code that runs or reads while Terraform plans.

    The program of `external`, the address of `http`, a provider's endpoint and the path of `file` are as dangerous when
    a variable file, a local, a module call or a resource sets them. This includes modules from outside that the base
    branch calls.

    Remedy: Undo the change of this value; ask a person to make it.
    """
    yield from _hits(change, _Use.WHILE_PLANNING)
    for target in affected_targets(change.head, change.changes.paths):
        if _is_beyond(target, change.head) and not _is_beyond(target, change.base):
            where = target.root.path
            what = f"`{where}` calls more modules, or deeper ones, than are judged"
            yield hit(path=where, what=what, anchor=what)


@rule(Severity.DECISION)
def changed_command(change: WholeChange) -> Iterator[Finding]:
    """The change feeds new values into existing privileged code.

    An existing provisioner, `user_data`, container command or document script gets another value from a variable file,
    a local, a module call or a resource. It does not run while Terraform plans, but it does after the merge.

    Remedy: Check the command with its new value before the merge.
    """
    yield from _hits(change, _Use.COMMAND)


@rule(Severity.WARNING)
def changed_privileged_value(change: WholeChange) -> Iterator[Finding]:
    """The change feeds new values into existing code that ops-agent may not write.

    The base branch has the `nonsensitive`, the `import`, the secret that is read or the like; the value that it gets is
    new.

    Remedy: Check the new value before the merge.
    """
    yield from _hits(change, _Use.OTHER)


def _hits(change: WholeChange, use: _Use) -> Iterator[Finding]:
    found: dict[tuple[str, int, str], Finding] = {}
    for sink, target in change.head.remembered("changed inputs", lambda: tuple(_changed(change))):
        if sink.use is use:
            line = sink.expression.line
            code = f"`{sink.name}` of `{sink.block.name}` in {target} {use.value}"
            what = f"The change feeds new values into existing privileged code: {code}"
            found.setdefault((sink.path, line, sink.name), hit(path=sink.path, line=line, what=what, anchor=what))
    yield from found.values()


def _changed(change: WholeChange) -> Iterator[tuple[_Sink, TerraformTarget]]:
    """Sinks that exist on the base and have other values on the head."""
    anywhere: dict[tuple[str, ...], set[str]] = {}  # by the code alone: code that moves keeps its values
    for target in affected_targets(change.base, change.changes.paths):
        for key, values in _values(target, change.base).items():
            anywhere.setdefault(key[1:], set()).update(values)
    for target in affected_targets(change.head, change.changes.paths) if anywhere else ():
        before = _values(target, change.base)
        for key, values in _values(target, change.head).items():
            known = set(before[key]) if key in before else anywhere.get(key[1:])
            for digest, sink in values.items():
                if known is not None and digest not in known and not sink.is_safe:
                    yield sink, target
                    break


def _is_beyond(target: TerraformTarget, tree: SourceTree) -> bool:
    """True when not every module of a root is followed."""
    instances = instances_of(target, tree)
    called = [(i.directory, tree.called(i.directory, block)) for i in instances for _, block in i.blocks("module")]
    return sum(to not in (None, caller) for caller, to in called) >= len(instances)


def _values(target: TerraformTarget, tree: SourceTree) -> dict[tuple[str, ...], dict[str, _Sink]]:
    """Sinks by their code, each with a digest of all that is behind it in one instance or another."""
    instances = instances_of(target, tree)
    taint = Taint(instances)
    found: dict[tuple[str, ...], dict[str, _Sink]] = {}
    for instance in instances:
        for sink in _sinks(instance, tree):
            code = sink.expression.spelling
            behind = [*sorted(taint.behind(sink.expression, sink.position)), code]
            digest = hashlib.sha256("\n".join(behind).encode()).hexdigest()
            key = (instance.directory, sink.block.name, sink.name, "" if sink.is_given else code)
            found.setdefault(key, {})[digest] = sink
    return found


def _sinks(instance: Instance, tree: SourceTree) -> Iterator[_Sink]:
    for path, source in instance.files:
        for block in source.blocks:
            position = Position(instance.scope, block)
            for use, attributes in _privileged(block, instance, tree):
                for a in attributes:
                    yield _Sink(use, path, block, a.name, a.expression, position)
            for keys, attribute in _commands(block):
                for inner, where in position.walk(attribute.expression) if keys else [(attribute.expression, position)]:
                    for value in _of_keys(inner, keys) if keys else [inner]:
                        yield _Sink(_Use.COMMAND, path, block, attribute.name, value, where)
            yield from _called(path, block, instance, tree)
            called = tree.called(instance.directory, block) if block.type == "module" else None
            if called is not None and any(tree.unread(called)):  # it may do anything with what it is given
                for a in block.attributes:
                    yield _Sink(_Use.WHILE_PLANNING, path, block, a.name, a.expression, position, is_given=True)


def _privileged(block: Block, instance: Instance, tree: SourceTree) -> Iterator[tuple[_Use, list[Attribute]]]:
    """Arguments of what the agent may not write."""
    everything = [a for b in block.walk() for a in b.attributes]
    if block.type in ("data", "ephemeral"):
        if not is_open(block, instance.directory, tree) or not is_issuer(block, instance.directory, tree):
            yield _Use.WHILE_PLANNING if runs(block) else _Use.OTHER, everything
    elif block.type == "provider":
        for name, part in block.parts:
            if name not in open_arguments(block, tree, instance.directory):
                inner = [part] if isinstance(part, Attribute) else [a for b in part.walk() for a in b.attributes]
                yield _Use.OTHER if name.startswith("assume_role") else _Use.WHILE_PLANNING, inner
    elif block.type == "resource":
        run = [b for outer in block.walk() if outer.kind in ("provisioner", "connection") for b in outer.walk()]
        yield _Use.COMMAND, [a for b in run for a in b.attributes]
    elif block.type in _UNOPENED:
        asked = [a for b in block.blocks if b.type == "data" for a in b.attributes]
        yield _Use.WHILE_PLANNING, asked
        yield _Use.OTHER, [a for a in everything if a not in asked and block.type != "check"]


def _commands(block: Block) -> Iterator[tuple[tuple[str, ...], Attribute]]:
    """Arguments that hold commands, with the keys of the objects in them that do (empty: all of it)."""
    listed = table("command_arguments").get(block.label if block.type == "resource" else "", ())
    for path, attribute in block.arguments() if listed else ():
        keys = [p.partition("#")[2] for p in listed if p.partition("#")[0] == ".".join(path)]
        if keys:
            yield tuple(filter(None, keys)), attribute


def _of_keys(expression: Expression, keys: tuple[str, ...]) -> Iterator[Expression]:
    return (value for key, value in expression.pairs if key.value in keys)


def _called(path: str, block: Block, instance: Instance, tree: SourceTree) -> Iterator[_Sink]:
    """Arguments of functions that read files or reveal."""
    for attribute in (a for b in block.walk() for a in b.attributes):
        if not any(is_read(e) or reveals(e) for e in attribute.expression.walk()):
            continue
        placed = list(calls(block, [attribute.expression], instance))
        odd = {id(call) for call, scope in placed if any(objections(call, scope, instance, tree))}
        running = {id(call) for call, scope in placed if _runs(call, scope, instance, tree)}
        for call, where in Position(instance.scope, block).walk(attribute.expression):
            if is_read(call):
                for n, value in enumerate(call.children):
                    is_path = n == 0 or call.name == "fileset"
                    is_safe = id(call) not in (odd if is_path else running)
                    if is_path or call.name == "templatefile":
                        yield _Sink(_Use.WHILE_PLANNING, path, block, call.name, value, where, is_safe)
            elif reveals(call) and not shows_published(call, instance.directory, tree):
                yield _Sink(_Use.OTHER, path, block, call.name, call, where)


def _runs(call: Expression, scope: Scope, instance: Instance, tree: SourceTree) -> bool:
    """True for a template that does with its values what new code may not."""
    values = possible_values(call.children[0], scope) if call.name == "templatefile" else ()
    return any(any(unsafe_calls(whole_path(v, instance), tree)) for v in values if isinstance(v, str))
