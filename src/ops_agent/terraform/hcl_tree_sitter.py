"""The first HCL reader: tree-sitter's tree as a TerraformSource (docs/decisions/0004-two-hcl-readers.md)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import tree_sitter_hcl
from tree_sitter import Language, Node, Parser, Query, QueryCursor

from ops_agent.model.terraform import (
    Attribute,
    Block,
    Expression,
    ExpressionKind,
    PathStep,
    Scalar,
    TerraformSource,
    Unreadable,
)

MAX_BYTES = 200_000
MAX_NESTING = 60
MAX_TREE_DEPTH = 250
MAX_NODES = 250_000

_BRACKETS = re.compile(rb"[\[\](){}]")
# Terraform reads any run of two or more `$` before a brace as text; tree-sitter takes an odd-length run for an
# interpolation.
_ODD_ESCAPE = re.compile(rb"(?<!\$)\$((?:\$\$)+\{)|(?<!%)%((?:%%)+\{)")
# tree-sitter's grammar wants a fraction before an exponent. The zeros are taken out of every text again.
_HAS_EXPONENT = re.compile(rb"[0-9][eE][+-]?[0-9]")
_EXPONENT = re.compile(rb"[A-Za-z_\x80-\xff][\w\x80-\xff-]*|\.[0-9]+|([0-9]+)(?=[eE][+-]?[0-9])")
_FRACTION = "." + "0" * 23
# Terraform trims every white space of Unicode around the mark that ends a heredoc; the readers trim fewer.
_ODD_END = re.compile(r"^(?=[^\n]*[^\S \t\r\n])[^\S\n]*[\w-]+[^\S\n]*$", re.MULTILINE)
_LANGUAGE = Language(tree_sitter_hcl.language())
_CALLS = Query(_LANGUAGE, "(function_call) @call")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t"}
_ACCESSORS = ("get_attr", "index", "splat")
PLACEHOLDERS = {"$": b"\x01", "%": b"\x02"}
"""What the reader puts in the place of a `$` or `%` that tree-sitter would misread."""
_SIGN_OF = {ord(byte.decode()): sign for sign, byte in PLACEHOLDERS.items()}
# Between the children of these, white space is text that belongs to no node.
_OF_TEXT = ("quoted_template", "heredoc_template", "template_if", "template_for")
_OF_HEREDOC = {"heredoc_start", "heredoc_identifier"}


@lru_cache(maxsize=256)
def read_terraform(content: bytes) -> TerraformSource | Unreadable:
    """One configuration, variable or backend file (UTF-8); Unreadable when too large, too deep, or not plainly HCL."""
    return _unfit(content) or _read(content, None)


def read_blocks(content: bytes, whole: Collection[str]) -> TerraformSource | Unreadable:
    """The blocks of a file with type and labels; only those of the types in `whole` have a body. About ten times faster
    than read_terraform; skips its byte checks.
    """
    return _too_large(content) or _read(content, whole)


def _read(content: bytes, whole: Collection[str] | None) -> TerraformSource | Unreadable:
    root = syntax_tree(content)
    try:
        return _odd(root, is_deep=whole is None) or _source(root, whole)
    except (RecursionError, UnicodeDecodeError):
        return Unreadable(what="expressions are nested too deeply to be read safely")
    except ValueError:
        return Unreadable(what="it holds a number that HCL does not have, or one that is too long")


def syntax_tree(content: bytes) -> Node:
    """tree-sitter's own tree of a file."""

    def escaped(found: re.Match[bytes]) -> bytes:
        return PLACEHOLDERS["$"] + found[1] if found[1] else PLACEHOLDERS["%"] + found[2]

    plain = _ODD_ESCAPE.sub(escaped, ended(content))
    if _HAS_EXPONENT.search(plain):
        plain = _EXPONENT.sub(lambda found: found[0] + (_FRACTION.encode() if found[1] else b""), plain)
    return Parser(_LANGUAGE).parse(plain).root_node


def ended(content: bytes) -> bytes:
    """`content` with a final newline, which both parsers need, and without a byte order mark at its start, which
    Terraform skips.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    return content if content.endswith(b"\n") else content + b"\n"


@lru_cache(maxsize=256)
def read_template(text: str) -> Expression | Unreadable:
    """A template outside quotes (a file for `templatefile`, a string of JSON syntax): backslashes mean themselves."""
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


def _too_large(content: bytes) -> Unreadable | None:
    if len(content) <= MAX_BYTES:
        return None
    return Unreadable(what=f"it has {len(content):,} bytes; at most {MAX_BYTES:,} are read")


def _unfit(content: bytes) -> Unreadable | None:
    if too_large := _too_large(content):
        return too_large
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return Unreadable(what="it is not UTF-8")
    if any(odd in content for odd in (b"\x00", *PLACEHOLDERS.values())):
        return Unreadable(what="it holds a control character")
    if _FRACTION.encode() in content:
        return Unreadable(what="it holds a number with too many zeros")
    if b"\r" in content.replace(b"\r\n", b""):
        return Unreadable(what="it holds a carriage return that does not end a line")
    if _ODD_END.search(text):
        return Unreadable(what="a line that may end a heredoc holds a white space other than blanks and tabs")
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
        return _first_error(root)
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


def _first_error(root: Node) -> Unreadable:
    node = root
    while not (node.is_error or node.is_missing):
        broken = next((c for c in node.children if c.has_error or c.is_missing), None)
        if broken is None:
            break
        node = broken
    if node.is_missing and node.type in ("}", "]", ")", "heredoc_identifier", "quoted_template_end"):
        while node.parent is not None and node.start_byte == node.end_byte:
            node = node.parent
        return Unreadable(what="what this line opens is not closed", line=_unclosed_line(node))
    last = node.children[-1] if node.is_error and node.children else node
    return Unreadable(what="it is not HCL that can be read without doubt", line=line_of(last))


def _unclosed_line(node: Node) -> int:
    """Where what lacks its end begins. The parser misses the brace of the outermost block; people indent, so that what
    ends in another column than its line begins in is the one.
    """
    first, pending = node.start_point.row, node.children[::-1]
    lines = [line.removesuffix(b"\r") for line in (node.text or b"").split(b"\n")]
    while pending:
        inner = pending.pop()
        start, end = inner.start_point.row, inner.end_point
        indent = len(lines[start - first]) - len(lines[start - first].lstrip())
        if inner.type in ("block", "object", "tuple") and first < start < end.row and end.column - 1 != indent:
            return line_of(inner)
        pending += inner.children[::-1]
    return line_of(node)


def _source(root: Node, whole: Collection[str] | None) -> TerraformSource | Unreadable:
    body = next((c for c in root.children if c.type == "body"), None)
    attributes, blocks, _ = _members(body, whole)
    source = TerraformSource(blocks=blocks, attributes=attributes)
    return _duplicates(source) or (_dropped(root, source) if whole is None else None) or source


def _dropped(root: Node, source: TerraformSource) -> Unreadable | None:
    """A call that the tree has and `source` has not: what no rule sees must not pass."""
    calls = QueryCursor(_CALLS).captures(root).get("call", [])
    if not calls:
        return None
    of_blocks = (attribute for block in source.blocks for b in block.walk() for attribute in b.attributes)
    expressions = (e for a in (*source.attributes, *of_blocks) for e in a.expression.walk())
    is_whole = sum(e.kind is ExpressionKind.CALL for e in expressions) == len(calls)
    return None if is_whole else Unreadable(what="a function call in it was not understood")


def _members(
    body: Node | None, whole: Collection[str] | None = None
) -> tuple[tuple[Attribute, ...], tuple[Block, ...], list[str]]:
    """A body's attributes and blocks, and the text of each in order."""
    attributes, blocks, texts = [], [], []
    for child in body.children if body is not None else ():
        if child.type == "attribute":
            name, value = label_text(child.children[0]), child.children[-1]
            expression = replace(_expression(value), text=plain_text(value))
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


def line_of(node: Node) -> int:
    return node.start_point[0] + 1


def raw_text(node: Node) -> str:
    text = (node.text or b"").decode().replace(_FRACTION, "")
    return text.translate(_SIGN_OF) if "\x01" in text or "\x02" in text else text


def plain_text(node: Node) -> str:
    """The leaves' text joined by blanks, without comments: equal for any layout of the same code."""
    return " ".join(t for t in _leaves(node) if t)


def _leaves(node: Node) -> Iterator[str]:
    if node.type == "comment":
        return
    if node.child_count == 0 or node.type in ("legacy_index", "numeric_lit"):
        yield raw_text(node).strip() if node.type != "template_literal" else raw_text(node)
        return
    for child in node.children:
        yield from _leaves(child)


def unescape(text: str) -> str:
    """A quoted string's text with HCL's escapes undone: `\\u0066` is `f`."""

    def one(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        if code:
            number = int(code, 16)
            return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"
        return _SIMPLE.get(match[3], match[3])

    return unmark(_ESCAPE.sub(one, text))


def unmark(text: str) -> str:
    """`$${` and `%%{` are how HCL writes `${` and `%{` as plain text."""
    return text.replace("$${", "${").replace("%%{", "%{")


def label_text(node: Node) -> str:
    """A name or label, with or without quotes, after escapes."""
    if node.type == "string_lit":
        return unescape(raw_text(node)[1:-1])
    return raw_text(node)


def _expression(node: Node) -> Expression:
    """The expression of `node`; the reader's depth limit bounds the recursion."""
    terms = _terms(node.children)
    if len(terms) == 1:
        return terms[0]
    return _make(ExpressionKind.OTHER, node, children=tuple(terms))


def _terms(nodes: list[Node]) -> list[Expression]:
    """Operands among `nodes`: punctuation and operators fall away, accessors join the operand before them."""
    terms: list[Expression] = []
    for node in nodes:
        if node.type in _ACCESSORS and terms:
            terms[-1] = _access(terms[-1], node)
        elif node.is_named and node.type != "comment":
            terms.extend(_term(node))
    return terms


def _term(node: Node) -> list[Expression]:
    match node.type:
        case "expression" | "operation":
            return [_expression(node)]
        case "numeric_lit" | "bool_lit" | "null_lit" | "string_lit":
            return [_make(ExpressionKind.LITERAL, node, value=_scalar(node))]
        case "variable_expr":
            return [_make(ExpressionKind.REFERENCE, node, steps=(raw_text(node.children[0]),))]
        case "quoted_template" | "heredoc_template":
            return [_template(node)]
        case "function_call":
            return [_call(node)]
        case "tuple":
            return [_make(ExpressionKind.TUPLE, node, children=tuple(_terms(node.children)))]
        case "object":
            return [_object(node)]
        case "conditional":
            return [_make(ExpressionKind.CONDITIONAL, node, children=tuple(_terms(node.children)))]
        case "for_tuple_expr" | "for_object_expr":
            return [_for(node)]
        case "binary_operation" | "unary_operation":
            operator = "".join(raw_text(c) for c in node.children if not c.is_named)
            return [_make(ExpressionKind.OTHER, node, name=operator, children=tuple(_terms(node.children)))]
        case _:
            return _terms(node.children)


def _call(node: Node) -> Expression:
    name = "".join(raw_text(node.children[0]).split()).removeprefix("core::")
    arguments = tuple(_terms(node.children[1:]))
    return _make(ExpressionKind.CALL, node, name=name, children=arguments)


def _object(node: Node) -> Expression:
    children: list[Expression] = []
    for element in (c for c in node.children if c.type == "object_elem"):
        expressions = [c for c in element.children if c.type == "expression"]
        children += [_key(expressions[0]), _expression(expressions[-1])]
    return _make(ExpressionKind.OBJECT, node, children=tuple(children))


def _key(node: Node) -> Expression:
    key = _expression(node)
    is_bare_word = key.kind is ExpressionKind.REFERENCE and len(key.steps) == 1 and not raw_text(node).startswith("(")
    return _make(ExpressionKind.LITERAL, node, value=key.steps[0]) if is_bare_word else key


def _for(node: Node) -> Expression:
    intro = next(c for c in node.children if c.type == "for_intro")
    condition = next((c for c in node.children if c.type == "for_cond"), None)
    bodies = [c for c in node.children if c.type == "expression"]
    names = [raw_text(c) for c in intro.children if c.type == "identifier"]
    parts = [*_terms(intro.children)[-1:], *(_expression(b) for b in bodies)]
    parts += _terms(condition.children)[-1:] if condition is not None else []
    is_map = len(bodies) == 2
    return _make(ExpressionKind.FOR, node, is_map=is_map, name=",".join(names), children=tuple(parts))


def _template(node: Node) -> Expression:
    quoted = node.type == "quoted_template"
    parts = _parts(node, quoted)
    if all(p.kind is ExpressionKind.LITERAL for p in parts):
        return _make(ExpressionKind.LITERAL, node, value="".join(_shown(p.value) for p in parts))
    return _make(ExpressionKind.TEMPLATE, node, children=tuple(parts))


def _parts(node: Node, quoted: bool) -> list[Expression]:
    parts: list[Expression] = []
    before: Node | None = None
    for child in node.children:
        if before is not None and node.type in _OF_TEXT and not {before.type, child.type} & _OF_HEREDOC:
            blank = (node.text or b"")[before.end_byte - node.start_byte : child.start_byte - node.start_byte]
            parts += [_make(ExpressionKind.LITERAL, child, value=blank.decode())] if blank else []
        before = child
        if child.type == "template_literal":
            text = raw_text(child)
            parts.append(_make(ExpressionKind.LITERAL, child, value=unescape(text) if quoted else unmark(text)))
        elif child.type == "template_interpolation":
            inner = _terms(child.children)
            parts.append(_make(ExpressionKind.OTHER, child, children=tuple(inner)) if len(inner) != 1 else inner[0])
        elif child.type.startswith("template_") and child.child_count:
            parts.append(_make(ExpressionKind.OTHER, child, children=tuple(_parts(child, quoted))))
        elif child.type == "expression":
            parts.append(_expression(child))
    return parts


def _access(term: Expression, node: Node) -> Expression:
    steps, computed = _steps(node)
    if term.kind is ExpressionKind.REFERENCE:
        return Expression(
            kind=term.kind, line=term.line, steps=(*term.steps, *steps), children=(*term.children, *computed)
        )
    if term.kind is ExpressionKind.OTHER and term.steps:
        return replace(term, steps=(*term.steps, *steps), children=(*term.children, *computed))
    return Expression(kind=ExpressionKind.OTHER, line=term.line, steps=steps, children=(term, *computed))


def _steps(node: Node) -> tuple[tuple[PathStep, ...], tuple[Expression, ...]]:
    if node.type == "get_attr":
        return (raw_text(node.children[-1]),), ()
    if node.type == "splat":  # what follows `[*]` is inside of it
        behind = [_steps(inner) for inner in node.children[0].children if inner.type in _ACCESSORS]
        return (None, *(s for steps, _ in behind for s in steps)), tuple(c for _, computed in behind for c in computed)
    inner = node.children[0]
    if inner.type == "legacy_index":
        return (int(raw_text(inner).removeprefix(".")),), ()
    index = _terms(inner.children)
    literal = index[0].value if len(index) == 1 and index[0].kind is ExpressionKind.LITERAL else None
    if isinstance(literal, str) or (isinstance(literal, int) and not isinstance(literal, bool)):
        return (literal,), ()
    return (None,), tuple(index)


def _make(kind: ExpressionKind, node: Node, **parts: Any) -> Expression:
    return Expression(kind=kind, line=line_of(node), **parts)


def _shown(value: Scalar) -> str:
    """A literal as a template shows it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _scalar(node: Node) -> Scalar:
    text = raw_text(node)
    match node.type:
        case "string_lit":
            return label_text(node)
        case "bool_lit":
            return text == "true"
        case "null_lit":
            return None
        case _:
            try:
                return int(text)
            except ValueError:
                number = float(text)
                return int(number) if number.is_integer() else number
