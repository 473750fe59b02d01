"""HCL text -> TerraformSource. Two independent readers must agree on what a file holds
(docs/decisions/0004-two-hcl-readers.md).
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

import tree_sitter_hcl
from tree_sitter import Language, Node, Parser

from ops_agent.model.terraform import (
    Attribute,
    Block,
    Expression,
    TerraformSource,
    Unreadable,
)
from ops_agent.terraform.hcl_expressions import ExpressionBuilder, label_text, line_of, plain_text

MAX_BYTES = 200_000
MAX_NESTING = 60
MAX_TREE_DEPTH = 250
MAX_NODES = 250_000

_BRACKETS = re.compile(rb"[\[\](){}]")
_UNCERTAIN_ESCAPE = re.compile(rb"\$\$\$\{|%%%\{")
_LANGUAGE = Language(tree_sitter_hcl.language())


@lru_cache(maxsize=2048)
def read_terraform(content: bytes, *, checked: bool = False) -> TerraformSource | Unreadable:
    """One `.tf`, `.tfvars` or backend file (UTF-8 bytes). Unreadable when it is too large, too deep, or when a reader
    cannot read it whole.

    Without `checked` only tree-sitter is asked (about 10 times faster): for files that are not judged, such as
    untouched ones in a layout.
    """
    if checked:
        source = read_terraform(content)
        if isinstance(source, Unreadable):
            return source
        # python-hcl2 takes half a second to load, and only files that are judged need it.
        from ops_agent.terraform.second_reader import disagreement

        text = _ended(content)
        return disagreement(text.decode(), Parser(_LANGUAGE).parse(text).root_node) or source
    refused = _too_much(content)
    if refused:
        return refused
    try:
        root = Parser(_LANGUAGE).parse(_ended(content)).root_node
        odd = _unusable_tree(root)
        if odd:
            return odd
        source = _source(root)
    except RecursionError:
        return Unreadable(what="expressions are nested too deeply to be read safely")
    return _duplicates(source) or source


def _ended(content: bytes) -> bytes:
    """Both readers want the last line to end."""
    return content if content.endswith(b"\n") else content + b"\n"


def read_template(text: str) -> Expression | Unreadable:
    """A template outside quotes, as in a file for `templatefile` or a string of JSON syntax: backslashes mean
    themselves.
    """
    mark = "TEMPLATE"
    while mark in text:
        mark += "E"
    wrapped = f"x = <<{mark}\n{text}\n{mark}\n".encode()
    refused = _too_much(wrapped)
    if refused:
        return refused
    root = Parser(_LANGUAGE).parse(wrapped).root_node
    odd = _unusable_tree(root)
    if odd:
        return odd
    try:
        source = _source(root)
    except RecursionError:
        return Unreadable(what="expressions are nested too deeply to be read safely")
    if len(source.attributes) != 1 or source.blocks:
        return Unreadable(what="it is not one template")
    return source.attributes[0].expression


def _too_much(content: bytes) -> Unreadable | None:
    if len(content) > MAX_BYTES:
        return Unreadable(what=f"it has {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        content.decode()
    except UnicodeDecodeError:
        return Unreadable(what="it is not UTF-8")
    if content.startswith(b"\xef\xbb\xbf") or b"\x00" in content:
        return Unreadable(what="it holds a byte order mark or a NUL byte")
    if b"\r" in content.replace(b"\r\n", b""):
        return Unreadable(what="it holds a carriage return that does not end a line")
    escape = _UNCERTAIN_ESCAPE.search(content)
    if escape:
        line = content.count(b"\n", 0, escape.start()) + 1
        return Unreadable(what="`$$${` and `%%%{` are read in two ways: write the text in another form", line=line)
    depth = 0
    for bracket in _BRACKETS.finditer(content):
        depth += 1 if bracket[0] in b"[({" else -1
        if depth > MAX_NESTING:
            line = content.count(b"\n", 0, bracket.start()) + 1
            return Unreadable(what=f"brackets are nested deeper than {MAX_NESTING}", line=line)
    return None


def _unusable_tree(root: Node) -> Unreadable | None:
    if root.descendant_count > MAX_NODES:
        return Unreadable(what=f"it has more than {MAX_NODES:,} syntax elements")
    if root.has_error:
        return Unreadable(what="it is not HCL that can be read without doubt", line=_first_error_line(root))
    cursor = root.walk()
    while True:
        if cursor.depth > MAX_TREE_DEPTH:
            return Unreadable(what="expressions are nested too deeply to be read safely")
        if cursor.goto_first_child() or cursor.goto_next_sibling():
            continue
        while cursor.goto_parent():
            if cursor.goto_next_sibling():
                break
        else:
            return None


def _first_error_line(root: Node) -> int:
    node = root
    while True:
        broken = next((c for c in node.children if c.has_error or c.is_missing), None)
        if broken is None or node.is_error or node.is_missing:
            return line_of(node)
        node = broken


def _source(root: Node) -> TerraformSource:
    body = next((c for c in root.children if c.type == "body"), None)
    if body is None:
        return TerraformSource()
    attributes, blocks = _members(body)
    return TerraformSource(blocks=blocks, attributes=attributes)


def _members(body: Node) -> tuple[tuple[Attribute, ...], tuple[Block, ...]]:
    attributes, blocks = [], []
    for child in body.children:
        if child.type == "attribute":
            name = label_text(child.children[0])
            expression = replace(ExpressionBuilder().build(child.children[-1]), text=plain_text(child.children[-1]))
            attributes.append(Attribute(name=name, expression=expression, line=line_of(child)))
        elif child.type == "block":
            blocks.append(_block(child))
    return tuple(attributes), tuple(blocks)


def _block(node: Node) -> Block:
    header = [c for c in node.children if c.type in ("identifier", "string_lit")]
    body = next((c for c in node.children if c.type == "body"), None)
    attributes, blocks = _members(body) if body is not None else ((), ())
    return Block(
        type=label_text(header[0]),
        labels=tuple(label_text(c) for c in header[1:]),
        attributes=attributes,
        blocks=blocks,
        line=line_of(node),
        text=plain_text(node),
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
