"""Functions that read files of the machine that plans (D06, D07, experiments X1 and X7 of the security bar)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, TerraformFile
from ops_agent.model.terraform import UNKNOWN, Expression, ExpressionKind

READS = re.compile(r"file|fileset|fileexists|templatefile|filebase64|filemd5|file(base64)?sha\d+")


def file_function(file: TerraformFile) -> Iterator[Hit]:
    """A function reads a file by a path that is not plain, or that is not in the repository.

    `file("/proc/self/environ")` prints the environment in the plan. A path is open only as a literal below the module
    (`"${path.module}/policy.json"`) that names a file of the repository.

    Remedy: Write the path as a literal below `${path.module}` and make sure that the file is in the repository; or
    inline the content.
    """
    for piece in file.pieces():
        for _, expression in piece.expressions():
            for what in objections(expression, file):
                yield file.hit(piece, what, expression)


def objections(expression: Expression, file: TerraformFile) -> Iterator[str]:
    """What is wrong with one call."""
    if expression.kind is not ExpressionKind.CALL or not READS.fullmatch(expression.name):
        return
    path = literal_path(expression.children[0], file.directory) if expression.children else None
    if path is None:
        yield f"`{expression.name}` reads a path that is not a literal below the module"
        return
    if expression.name == "fileset":
        pattern = expression.children[1].value if len(expression.children) > 1 else None
        if not isinstance(pattern, str) or ".." in pattern.split("/") or pattern.startswith("/"):
            yield "`fileset` has a pattern that is not a literal below its directory"
        return
    if not file.tree.holds(path):
        if expression.name != "fileexists":
            yield f"`{expression.name}` reads `{path}`, which is not a file of the repository"
        return


def literal_path(expression: Expression, directory: str) -> str | None:
    """The repository path that a literal means, None when it is computed, absolute, or climbs out of the repository."""
    if expression.kind is ExpressionKind.LITERAL:
        relative = expression.value
    elif expression.kind is ExpressionKind.TEMPLATE and expression.children[0].steps == ("path", "module"):
        rest = [c.value if c.kind is ExpressionKind.LITERAL else UNKNOWN for c in expression.children[1:]]
        text = "".join(r for r in rest if isinstance(r, str))
        relative = text.removeprefix("/") if len(rest) == 1 and text.startswith("/") else None
    else:
        return None
    if not isinstance(relative, str) or not relative or relative.startswith(("/", "~")) or "\\" in relative:
        return None
    path = posixpath.normpath(posixpath.join(directory, relative))
    hidden = any(s.startswith(".") for s in path.split("/"))
    return None if path.startswith("..") or hidden or ".." in relative.split("/") else path
