"""Functions that read files of the machine that plans (security-bar.md D06, D07, experiments X1 and X7)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ops_agent.core.guard.subjects import Hit, TerraformFile
from ops_agent.core.sources.reading_terraform import read_template
from ops_agent.domain.terraform_source import UNKNOWN, Expression, ExpressionKind, Unreadable

READS = re.compile(r"file|fileset|fileexists|templatefile|filebase64|filemd5|file(base64)?sha\d+")
_MAX_TEMPLATE_DEPTH = 5
_UPLOADS = re.compile(r"aws_(lambda_(function|layer_version)|s3_(bucket_)?object|synthetics_canary|elastic_beanstalk_\w+|gamelift_\w+)")


def file_function(file: TerraformFile) -> Iterator[Hit]:
    """A function reads a file by a path that is not plain, or that is not in the repository.

    `file("/proc/self/environ")` prints the environment in the plan. A path is open only as a literal below the module
    (`"${path.module}/policy.json"`) that names a file of the repository.

    Remedy: Write the path as a literal below `${path.module}` and make sure that the file is in the repository; or inline the content.
    """
    for piece in file.pieces():
        for _, expression in piece.expressions():
            for what, mark in _objections(expression, file, file.directory, 0):
                hit = file.hit_piece(piece, what, expression.line)
                yield Hit(path=hit.path, line=hit.line, what=hit.what, anchor=f"{hit.anchor}{mark}")


def uploaded_file(file: TerraformFile) -> Iterator[Hit]:
    """A resource takes a file from outside of the repository.

    The provider reads `filename` or `source` on the machine that applies: `/proc/self/environ` as an object or as a function's code carries
    that machine's secrets away.

    Remedy: Name a file of the repository below `${path.module}`.
    """
    for block in file.source.of_type("resource"):
        if not block.labels or not _UPLOADS.fullmatch(block.labels[0]):
            continue
        for attribute in block.attributes:
            if attribute.name not in ("filename", "source"):
                continue
            literals = [e.value for e in attribute.expression.walk() if e.kind is ExpressionKind.LITERAL and isinstance(e.value, str)]
            below_module = attribute.expression.kind is ExpressionKind.TEMPLATE and attribute.expression.children[0].steps[:1] == ("path",)
            for number, text in enumerate(literals):
                climbs = ".." in text.split("/") or text.startswith("~") or text.startswith(("/proc", "/dev", "/root", "/home"))
                if climbs or (number == 0 and text.startswith("/") and not below_module):
                    yield file.hit(block, f"`{attribute.name}` of `{block.name}` is `{text[:80]}`", attribute.line)
                    break


def _objections(expression: Expression, file: TerraformFile, directory: str, depth: int) -> Iterator[tuple[str, str]]:
    """What is wrong with one call, and what of another file it depends on."""
    if expression.kind is not ExpressionKind.CALL or not READS.fullmatch(expression.name):
        return
    path = _literal_path(expression.children[0], directory) if expression.children else None
    if path is None:
        yield f"`{expression.name}` reads a path that is not a literal below the module", ""
        return
    if expression.name == "fileset":
        pattern = expression.children[1].value if len(expression.children) > 1 else None
        if not isinstance(pattern, str) or ".." in pattern.split("/") or pattern.startswith("/"):
            yield "`fileset` has a pattern that is not a literal below its directory", ""
        return
    if path not in file.tree.paths:
        if expression.name != "fileexists":
            yield f"`{expression.name}` reads `{path}`, which is not a file of the repository", ""
        return
    if expression.name == "templatefile":
        yield from _in_template(path, file, directory, depth)


def _in_template(path: str, file: TerraformFile, directory: str, depth: int) -> Iterator[tuple[str, str]]:
    content = file.tree.read(path)
    mark = f" {content.decode(errors='replace')}"
    template = read_template(content.decode(errors="replace")) if depth < _MAX_TEMPLATE_DEPTH else Unreadable(what="templates are nested")
    if isinstance(template, Unreadable):
        yield f"the template `{path}` cannot be read: {template.what}", mark
        return
    for inner in template.walk():
        if inner.kind is ExpressionKind.CALL and (inner.name in ("nonsensitive", "templatestring") or "::" in inner.name):
            yield f"the template `{path}` calls `{inner.name}`", mark
        for what, _ in _objections(inner, file, directory, depth + 1):
            yield f"in the template `{path}`: {what}", mark


def _literal_path(expression: Expression, directory: str) -> str | None:
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
