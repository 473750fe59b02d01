"""HCL text -> TerraformSource. Two independent readers must agree on what a changed file holds
(docs/decisions/0004-two-hcl-readers.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache

import tree_sitter_hcl
from tree_sitter import Language, Node, Parser

from ops_agent.model.terraform import Attribute, Block, Expression, TerraformSource, Unreadable
from ops_agent.terraform.hcl_expressions import STANDINS, ExpressionBuilder, label_text, line_of, plain_text

MAX_BYTES = 200_000
MAX_NESTING = 60
MAX_TREE_DEPTH = 250
MAX_NODES = 250_000

_BRACKETS = re.compile(rb"[\[\](){}]")
# Terraform reads any run of two or more `$` before a brace as text; tree-sitter takes an odd one for an interpolation.
_ODD_ESCAPE = re.compile(rb"(?<!\$)\$((?:\$\$)+\{)|(?<!%)%((?:%%)+\{)")
_LANGUAGE = Language(tree_sitter_hcl.language())


@lru_cache(maxsize=256)
def read_terraform(content: bytes) -> TerraformSource | Unreadable:
    """One `.tf`, `.tfvars` or backend file (UTF-8 bytes) as tree-sitter reads it. Unreadable when it is too large, too
    deep, or not HCL without doubt.
    """
    return _unfit(content) or _read(content, None)


def second_opinion(content: bytes) -> Unreadable | None:
    """What python-hcl2, ten times slower, objects to in a file that `read_terraform` has read: for what is judged."""
    # It takes half a second to load, and only files that a change writes need it.
    from ops_agent.terraform.second_reader import disagreement

    return disagreement(_ended(content).decode(), _parsed(content))


def read_blocks(content: bytes, whole: Collection[str]) -> TerraformSource | Unreadable:
    """The blocks of a file with type and labels; only those of the types in `whole` have a body. Ten times faster."""
    return _read(content, whole) if len(content) <= MAX_BYTES else _unfit(content) or TerraformSource()


def _read(content: bytes, whole: Collection[str] | None) -> TerraformSource | Unreadable:
    root = _parsed(content)
    try:
        return _odd(root, is_deep=whole is None) or _source(root, whole)
    except (RecursionError, UnicodeDecodeError):
        return Unreadable(what="expressions are nested too deeply to be read safely")


def _parsed(content: bytes) -> Node:
    def escaped(found: re.Match[bytes]) -> bytes:
        return STANDINS["$"] + found[1] if found[1] else STANDINS["%"] + found[2]

    return Parser(_LANGUAGE).parse(_ODD_ESCAPE.sub(escaped, _ended(content))).root_node


def _ended(content: bytes) -> bytes:
    """Both readers want the last line to end."""
    return content if content.endswith(b"\n") else content + b"\n"


@lru_cache(maxsize=256)
def read_template(text: str) -> Expression | Unreadable:
    """A template outside quotes, as in a file for `templatefile` or a string of JSON syntax: backslashes mean
    themselves.
    """
    mark = "TEMPLATE"
    while mark in text:
        mark += "E"
    wrapped = f"x = <<{mark}\n{text}\n{mark}\n".encode()
    source = _unfit(wrapped) or _read(wrapped, None)
    if isinstance(source, Unreadable):
        return source
    if len(source.attributes) != 1 or source.blocks:
        return Unreadable(what="it is not one template")
    return source.attributes[0].expression


def _unfit(content: bytes) -> Unreadable | None:
    if len(content) > MAX_BYTES:
        return Unreadable(what=f"it has {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        content.decode()
    except UnicodeDecodeError:
        return Unreadable(what="it is not UTF-8")
    if content.startswith(b"\xef\xbb\xbf") or any(odd in content for odd in (b"\x00", *STANDINS.values())):
        return Unreadable(what="it holds a byte order mark or a control character")
    if b"\r" in content.replace(b"\r\n", b""):
        return Unreadable(what="it holds a carriage return that does not end a line")
    depth = 0
    for bracket in _BRACKETS.finditer(content):
        depth += 1 if bracket[0] in b"[({" else -1
        if depth > MAX_NESTING:
            line = content.count(b"\n", 0, bracket.start()) + 1
            return Unreadable(what=f"brackets are nested deeper than {MAX_NESTING}", line=line)
    return None


def _odd(root: Node, *, is_deep: bool) -> Unreadable | None:
    if root.descendant_count > MAX_NODES:
        return Unreadable(what=f"it has more than {MAX_NODES:,} syntax elements")
    if root.has_error:
        return Unreadable(what="it is not HCL that can be read without doubt", line=_first_error_line(root))
    cursor = root.walk()
    while is_deep:
        if cursor.depth > MAX_TREE_DEPTH:
            return Unreadable(what="expressions are nested too deeply to be read safely")
        if cursor.goto_first_child() or cursor.goto_next_sibling():
            continue
        while cursor.goto_parent():
            if cursor.goto_next_sibling():
                break
        else:
            return None
    return None


def _first_error_line(root: Node) -> int:
    node = root
    while True:
        broken = next((c for c in node.children if c.has_error or c.is_missing), None)
        if broken is None or node.is_error or node.is_missing:
            return line_of(node)
        node = broken


def _source(root: Node, whole: Collection[str] | None) -> TerraformSource | Unreadable:
    body = next((c for c in root.children if c.type == "body"), None)
    attributes, blocks, _ = _members(body, whole)
    source = TerraformSource(blocks=blocks, attributes=attributes)
    return _duplicates(source) or source


def _members(
    body: Node | None, whole: Collection[str] | None = None
) -> tuple[tuple[Attribute, ...], tuple[Block, ...], list[str]]:
    """A body's attributes and blocks, and the text of each in order."""
    attributes, blocks, texts = [], [], []
    for child in body.children if body is not None else ():
        if child.type == "attribute":
            name, value = label_text(child.children[0]), child.children[-1]
            expression = replace(ExpressionBuilder().build(value), text=plain_text(value))
            attributes.append(Attribute(name=name, expression=expression, line=line_of(child)))
            texts.append(f"{name} = {expression.text}")
        elif child.type == "block":
            blocks.append(_block(child, whole))
            texts.append(blocks[-1].text)
    return tuple(attributes), tuple(blocks), texts


def _block(node: Node, whole: Collection[str] | None) -> Block:
    header = [c for c in node.children if c.type in ("identifier", "string_lit")]
    type_, *labels = map(label_text, header)
    is_read = whole is None or type_ in whole
    body = next((c for c in node.children if c.type == "body"), None) if is_read else None
    attributes, blocks, texts = _members(body)
    return Block(
        type=type_,
        labels=tuple(labels),
        attributes=attributes,
        blocks=blocks,
        line=line_of(node),
        text=" ".join([*map(plain_text, header), "{", *texts, "}"]),
    )


def _duplicates(source: TerraformSource) -> Unreadable | None:
    bodies = [source.attributes, *(b.attributes for block in source.blocks for b in block.walk())]
    for attributes in bodies:
        seen: set[str] = set()
        for attribute in attributes:
            if attribute.name in seen:
                return Unreadable(what=f"the argument `{attribute.name}` is given twice", line=attribute.line)
            seen.add(attribute.name)
    return None
