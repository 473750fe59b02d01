"""Files that Terraform reads while it plans: templates run their expressions, and what this change writes is no input
of the same plan.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from ops_agent.guard.rule import Hit, TerraformFile, WholeChange, hit_at
from ops_agent.guard.rules.terraform.lists import is_unlisted
from ops_agent.guard.rules.terraform.reading import literal_path, objections
from ops_agent.guard.values import Instance, evaluate, instances_of, possible_values
from ops_agent.model.terraform import UNKNOWN, Expression, ExpressionKind, Unreadable
from ops_agent.terraform.hcl import read_template
from ops_agent.terraform.layout import affected_roots, targets

_CONTENT = frozenset({"file", "filebase64", "templatefile"})
_REVEALING = frozenset({"nonsensitive", "templatestring"})


def unsafe_template(file: TerraformFile) -> Iterator[Hit]:
    """A template calls what a configuration may not call, or cannot be read.

    `templatefile` runs the expressions of another file while Terraform plans: `${file("/proc/self/environ")}` in a
    template is as bad as in the configuration. Every call in it is judged; a template that cannot be read without doubt
    is refused.

    Remedy: Use another template, or write the text in the configuration as a quoted string.
    """
    for piece in file.pieces():
        for _, expression in piece.expressions():
            if (
                expression.kind is not ExpressionKind.CALL
                or expression.name != "templatefile"
                or not expression.children
            ):
                continue
            path = literal_path(expression.children[0], file.directory)
            if path is None or not file.tree.holds(path):
                continue
            content = file.tree.read(path).decode(errors="replace")
            for what, line in _objections_to(content, file):
                yield hit_at(path, piece, f"{what} (read by `{piece.name}`)", expression, line=line, also=content)


def written_file_read(change: WholeChange) -> Iterator[Hit]:
    """Terraform reads a file that this change writes.

    A document or a variable file that `file` or `templatefile` reads is code in disguise: a policy, a script, a
    template that no other rule looks at.

    Remedy: Write the content into the configuration, where it is judged; leave files alone that the configuration
    reads.
    """
    changed = frozenset(change.changes.paths)
    seen: set[tuple[str, int, str]] = set()
    for target in targets(affected_roots(change.head.layout, changed)):
        for instance in instances_of(target, change.head):
            for path, line, read in _reads(instance, target.root.path, changed):
                if (path, line, read) not in seen:
                    seen.add((path, line, read))
                    yield Hit(
                        path=read,
                        line=0,
                        what=f"`{path}` line {line} reads `{read}`, which this change writes",
                        anchor=read,
                    )


def _objections_to(content: str, file: TerraformFile) -> Iterator[tuple[str, int]]:
    template = read_template(content)
    if isinstance(template, Unreadable):
        yield f"it cannot be read: {template.what}", max(template.line - 1, 0)
        return
    for inner in template.walk():
        line = max(inner.line - 1, 1)  # the reader sees the template as a heredoc's second line
        if inner.kind is ExpressionKind.CALL:
            if inner.name in _REVEALING or "::" in inner.name or inner.name == "templatefile":
                yield f"it calls `{inner.name}`", line
            elif is_unlisted(inner):
                yield f"it calls `{inner.name}`, which is not a known function", line
            for what in objections(inner, file):
                yield what, line


def _reads(instance: Instance, root: str, changed: frozenset[str]) -> Iterator[tuple[str, int, str]]:
    for path, source in instance.files:
        for block in source.blocks:
            calls = [e for _, e in block.expressions() if e.kind is ExpressionKind.CALL and e.children]
            found = {read for e in calls if e.name == "fileset" for read in _of_set(e, instance, root, changed)}
            for call in (e for e in calls if e.name in _CONTENT):
                values = possible_values(call.children[0], instance.scope)
                named = {posixpath.normpath(posixpath.join(root, v)) for v in values if isinstance(v, str)}
                if UNKNOWN in values:
                    named |= found or _like(call.children[0], instance, root, changed)
                yield from ((path, call.line, read) for read in sorted(named & changed))


def _of_set(call: Expression, instance: Instance, root: str, changed: frozenset[str]) -> Iterator[str]:
    directory, pattern = (evaluate(c, instance.scope) for c in (*call.children, *call.children)[:2])
    if isinstance(directory, str) and isinstance(pattern, str):
        whole = posixpath.normpath(posixpath.join(root, directory, pattern))
        yield from (path for path in changed if fnmatchcase(path, re.sub(r"\{[^}]*\}", "*", whole.replace("**/", "*"))))


def _like(expression: Expression, instance: Instance, root: str, changed: frozenset[str]) -> set[str]:
    """Changed files that a path with unknown parts can mean."""
    if expression.kind is not ExpressionKind.TEMPLATE:
        return set()
    parts = [evaluate(c, instance.scope) for c in expression.children]
    text = "".join(p if isinstance(p, str) else "*" for p in parts)
    whole = posixpath.normpath(posixpath.join(root, text))
    return {path for path in changed if fnmatchcase(path, whole)}
