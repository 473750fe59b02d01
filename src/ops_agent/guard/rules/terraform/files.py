"""Files that Terraform and its providers read on the machine that plans or applies."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from ops_agent.guard.data import table
from ops_agent.guard.functions import ANY_FILE, climbs
from ops_agent.guard.rule import Piece, TerraformFile, WholeChange, hit, hit_at, rule
from ops_agent.guard.rules.terraform.execution import READS, is_unlisted, reveals
from ops_agent.guard.tree import SourceTree
from ops_agent.guard.values import (
    INPUT,
    Instance,
    Scope,
    evaluate,
    instances_in,
    instances_of,
    possible_values,
    scopes_of,
    sources_of,
    with_scopes,
)
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.terraform import UNKNOWN, Block, Expression, ExpressionKind, Unreadable
from ops_agent.terraform.hcl_tree_sitter import read_template
from ops_agent.terraform.layout import targets

_CONTENT = frozenset({"file", "filebase64", "templatefile"})
_HOLDS_SECRETS = re.compile(
    r"tfplan|plan\.(out|json)|.*\.(tfstate|tfplan|pem|key)(\..*)?|credentials(\..*)?", re.IGNORECASE
)
_DECODES = frozenset({"textdecodebase64", "base64decode", "base64gunzip", "urldecode"})
_DECODES |= {"yamldecode", "csvdecode", "rsadecrypt", "regex", "regexall"}
UNDETERMINED = "a path that the source does not determine"


@rule(Severity.BLOCKS)
def file_function(file: TerraformFile) -> Iterator[Finding]:
    """A function reads a file that is not in the repository, or whose path the source does not determine.

    `file("/proc/self/environ")` prints the environment in the plan. The path is evaluated as Terraform does it, with
    literals, locals, variables and loops, and must name a file of the repository that is no state, plan or key.

    Remedy: Name a file of the repository below `${path.module}`, using literals, locals, variables with a value or
    `fileset`; or write the content into the configuration.
    """
    for piece in file.pieces():
        for call, whys in _reads_of(piece, file.tree, file.directory):
            for why in whys:
                yield file.hit(piece, f"`{call.name}` reads {why}", call.children[0])


@rule(Severity.BLOCKS)
def unsafe_template(file: TerraformFile) -> Iterator[Finding]:
    """A template calls a function that a configuration may not call, or cannot be parsed.

    `templatefile` evaluates the expressions of another file at plan time: `${file("/proc/self/environ")}` in a template
    is as dangerous as in the configuration.

    Remedy: Use another template, or write the text in the configuration as a quoted string.
    """
    for piece in file.pieces():
        for instance in instances_in(file.directory, file.tree):
            for call, path in templates_of(piece, instance):
                for what, line in unsafe_calls(path, file.tree):
                    content = file.tree.read(path).decode(errors="replace")
                    at = call.children[0]  # what the template is given is the business of another rule
                    yield hit_at(path, piece, f"{what} (read by `{piece.name}`)", at, line=line, also=content)


@rule(Severity.BLOCKS)
def written_file_read(change: WholeChange) -> Iterator[Finding]:
    """Terraform reads a file that this change writes.

    A document or variable file that `file` or `templatefile` reads becomes a policy, a script or a template, and no
    other rule judges it as one.

    Remedy: Write the content into the configuration, where it is judged; leave files alone that the configuration
    reads.
    """
    changed = frozenset(change.changes.paths)
    found: dict[tuple[str, int, str], Finding] = {}
    for target in targets(change.head.affected_roots(changed)):
        for instance in instances_of(target, change.head):
            for path, block in instance.blocks("resource", "data", "module", "output", "locals", "provider"):
                for call, read in _written(block, instance, changed):
                    what = f"`{path}` line {call.line} reads `{read}`, which this change writes"
                    found[path, call.line, read] = hit(path=read, what=what, anchor=read)
    yield from found.values()


@rule(Severity.BLOCKS)
def uploaded_file(file: TerraformFile) -> Iterator[Finding]:
    """A resource uploads a file that is not in the repository.

    The provider reads `filename`, `source` or `zip_file` on the machine that applies: `/proc/self/environ` as an object
    or as a function's code gives that machine's secrets away. Hidden files, states and saved plans are refused too.

    Remedy: Name a file of the repository below `${path.module}`, using literals, locals or `fileset`.
    """
    yield from (hit for is_known, hit in _uploads(file) if is_known)


@rule(Severity.WARNING)
def undetermined_upload(file: TerraformFile) -> Iterator[Finding]:
    """A resource uploads a file whose path the source does not determine.

    A value from outside of the repository decides which file of the machine that applies is uploaded.

    Remedy: Name the file using literals, locals, `fileset` or the `output_path` of an `archive_file`.
    """
    yield from (hit for is_known, hit in _uploads(file) if not is_known)


def _uploads(file: TerraformFile) -> Iterator[tuple[bool, Finding]]:
    for block in file.source.of_type("resource", "data"):
        for attribute in (block.attribute(name) for name in _file_arguments(block)):
            if attribute is None:
                continue
            found: dict[str, bool] = {}
            for instance in instances_in(file.directory, file.tree):
                for value in _values(attribute.expression, block, instance):
                    if isinstance(value, str) and _leaves(whole_path(value, instance)):
                        found[f"`{value[:80]}`"] = True
                    elif not isinstance(value, str) and value is not None:
                        found[UNDETERMINED] = False
            for why, is_known in found.items():
                what = f"`{attribute.name}` of `{block.name}` is {why}"
                yield is_known, hit_at(file.path, block, what, attribute, also=why)


def _file_arguments(block: Block) -> tuple[str, ...]:
    return table("file_arguments").get(block.label if block.type == "resource" else f"data.{block.label}", ())


def _values(expression: Expression, block: Block, instance: Instance) -> Iterator[object]:
    """What a path can be; that of an archive is where `archive_file` writes it."""
    steps = expression.steps
    if steps[-1:] == ("output_path",) and "archive_file" in steps[:2]:
        name = ".".join(map(str, steps[: 3 if steps[0] == "data" else 2]))
        paths = [a.expression for b in instance.named.get(name, ()) if (a := b.attribute("output_path"))]
        expression = paths[0] if len(paths) == 1 else expression
    for scope in scopes_of(block, instance.scope):
        yield from possible_values(expression, scope)


# Calls of functions that read files.


def _reads_of(piece: Piece, tree: SourceTree, directory: str) -> Iterator[tuple[Expression, list[str]]]:
    """Calls in a piece with what is wrong about their paths, in all instances of the module."""
    found: dict[int, tuple[Expression, dict[str, None]]] = {}
    is_reading = any(is_read(e) for _, e in piece.expressions())
    for instance in instances_in(directory, tree) if is_reading else ():
        for call, scope in calls(piece.block, [e for _, e in piece.values], instance):
            whys = found.setdefault(id(call), (call, {}))[1]
            whys.update(dict.fromkeys(objections(call, scope, instance, tree)))
    yield from ((call, list(whys)) for call, whys in found.values())


def is_read(expression: Expression) -> bool:
    """True for a call of a function that reads files."""
    return bool(READS.fullmatch(expression.function) and expression.children)


def calls(block: Block | None, values: list[Expression], instance: Instance) -> Iterator[tuple[Expression, Scope]]:
    """Every call of a function that reads files, with what names are there."""
    values = [value for value in values if any(is_read(e) for e in value.walk())]
    if not values:
        return
    for scope in scopes_of(block, instance.scope) if block is not None else [instance.scope]:
        for value in values:
            yield from ((e, s) for e, s in with_scopes(value, scope) if is_read(e))


def objections(call: Expression, scope: Scope, instance: Instance, tree: SourceTree) -> Iterator[str]:
    """What is wrong with the path of a call. What only the callers of a module for others give is not."""
    is_for_others = not any(r.path == instance.root and r.environments for r in tree.layout.roots)
    yield from _other_paths(call.children[0], scope)
    for value in possible_values(call.children[0], scope):
        if not isinstance(value, str):
            if value is not None and not (is_for_others and sources_of(call.children[0], scope) == {INPUT}):
                yield UNDETERMINED
            continue
        path = whole_path(value, instance)
        if call.name == "fileset":
            pattern = evaluate(call.children[1], scope) if len(call.children) > 1 else UNKNOWN
            is_open = pattern is UNKNOWN and is_for_others and sources_of(call.children[1], scope) == {INPUT}
            if _leaves(path) or not (is_open or (isinstance(pattern, str) and not climbs(pattern))):
                yield f"`{value[:80]}` by a pattern that may lead out of the repository"
        elif _leaves(path) if call.name in _CONTENT else _is_outside(path):
            yield f"`{value[:80]}`"
        elif call.name in _CONTENT and ANY_FILE not in value and not tree.holds(path):
            yield f"`{path}`, which is not a file of the repository"


def _other_paths(expression: Expression, scope: Scope) -> Iterator[str]:
    """Parts of a path, however chosen, that are a path out of the repository by themselves: which part Terraform takes
    is not left to our own evaluation.
    """
    pending, seen = [(expression, scope, False)], set[int]()
    while pending:
        inner, at, is_piece = pending.pop()
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        value = UNKNOWN if is_piece else evaluate(inner, at)
        if isinstance(value, str) and value != "/" and value.startswith(("/", "~")):
            yield f"`{value[:80]}`"
        if value is UNKNOWN and inner.function in _DECODES:
            yield UNDETERMINED
        is_text = inner.kind is ExpressionKind.TEMPLATE
        pending += [(c, at, is_text and c.kind is ExpressionKind.LITERAL) for c in inner.children]
        bound = at.bound(inner)
        if bound is not None:
            pending.append((bound.expression, bound.scope, is_piece or len(inner.steps) > 2))


def templates_of(piece: Piece, instance: Instance) -> Iterator[tuple[Expression, str]]:
    """Calls of `templatefile` with the paths that they read."""
    if any(e.function == "templatefile" for _, e in piece.expressions()):
        for call, scope in calls(piece.block, [e for _, e in piece.values], instance):
            for value in possible_values(call.children[0], scope) if call.name == "templatefile" else ():
                if isinstance(value, str):
                    yield call, whole_path(value, instance)


def unsafe_calls(path: str, tree: SourceTree) -> Iterator[tuple[str, int]]:
    """What a template calls and may not, with the line."""
    if not tree.holds(path):
        return
    template = read_template(tree.read(path).decode(errors="replace"))
    if isinstance(template, Unreadable):
        yield f"it cannot be read: {template.what}", max(template.line - 1, 0)
        return
    for inner in template.walk():
        line = max(inner.line - 1, 1)  # the reader sees the template as a heredoc's second line
        if reveals(inner) or is_read(inner):
            yield f"it calls `{inner.name}`", line
        elif is_unlisted(inner):
            yield f"it calls `{inner.name}`, which is not a known function", line


def _written(block: Block, instance: Instance, changed: frozenset[str]) -> Iterator[tuple[Expression, str]]:
    for call, scope in calls(block, [a.expression for b in block.walk() for a in b.attributes], instance):
        if call.name not in _CONTENT:
            continue
        for value in possible_values(call.children[0], scope):
            pattern = value if isinstance(value, str) else _pattern(call.children[0], scope)
            whole = whole_path(pattern.replace(ANY_FILE, "*"), instance) if pattern else ""
            yield from ((call, path) for path in sorted(changed) if fnmatchcase(path, whole))


def _pattern(expression: Expression, scope: Scope) -> str:
    """A path with `*` for what is not known; empty when nothing of it is."""
    if expression.kind is not ExpressionKind.TEMPLATE:
        return ""
    parts = [evaluate(child, scope) for child in expression.children]
    return "".join(str(p) if isinstance(p, str | int) else "*" for p in parts)


def whole_path(value: str, instance: Instance) -> str:
    """A path below the repository, absolute or climbing when it leads out of it."""
    if value.startswith(("/", "~")) or "\\" in value or "\x00" in value or not value:
        return f"/{value}"
    return posixpath.normpath(posixpath.join(instance.root, value))


def _is_outside(path: str) -> bool:
    """True for what is not in the repository, or is hidden."""
    return path.startswith("/") or any(s.startswith(".") and s != "." for s in path.split("/"))


def _leaves(path: str) -> bool:
    """True for what is not in the repository, is hidden, or holds secrets."""
    return _is_outside(path) or any(_HOLDS_SECRETS.fullmatch(s) for s in path.split("/"))
