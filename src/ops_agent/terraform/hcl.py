"""HCL text -> TerraformSource. Two independent readers must agree on what a file holds
(docs/decisions/0004-two-hcl-readers.md).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import hcl2
import tree_sitter_hcl
from lark import Token, Tree
from lark.exceptions import LarkError
from tree_sitter import Language, Node, Parser

from ops_agent.model.terraform import (
    Attribute,
    Block,
    Expression,
    ExpressionKind,
    Scalar,
    Step,
    TerraformSource,
    Unreadable,
)

# tree-sitter nodes of HCL -> Expression.

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t"}
_ACCESSORS = ("get_attr", "index", "splat")
_QUOTES = ("quoted_template_start", "quoted_template_end", "heredoc_start", "heredoc_identifier")


def line_of(node: Node) -> int:
    return node.start_point[0] + 1


def raw_text(node: Node) -> str:
    return (node.text or b"").decode()


def plain_text(node: Node) -> str:
    """The leaves' text joined by blanks, without comments: equal for any layout of the same code. Text inside quotes
    stays as it is.
    """
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
        return unescape("".join(raw_text(c) for c in node.children if c.type not in _QUOTES))
    return raw_text(node)


class ExpressionBuilder:
    """Builds one attribute's expression; recursion is bounded by the reader's depth limit."""

    def build(self, node: Node) -> Expression:
        """The expression that `node` stands for."""
        terms = self._terms(node.children)
        if len(terms) == 1:
            return terms[0]
        return self._make(ExpressionKind.OTHER, node, children=tuple(terms))

    def _terms(self, nodes: list[Node]) -> list[Expression]:
        """Operands among `nodes`: punctuation and operators fall away, accessors join the operand before them."""
        terms: list[Expression] = []
        for node in nodes:
            if node.type in _ACCESSORS and terms:
                terms[-1] = self._access(terms[-1], node)
            elif node.is_named and node.type != "comment":
                terms.extend(self._term(node))
        return terms

    def _term(self, node: Node) -> list[Expression]:
        match node.type:
            case "expression" | "operation" | "collection_value" | "literal_value" | "template_expr" | "for_expr":
                return [self.build(node)] if node.type in ("expression", "operation") else self._terms(node.children)
            case "numeric_lit" | "bool_lit" | "null_lit" | "string_lit":
                return [self._make(ExpressionKind.LITERAL, node, value=_scalar(node))]
            case "variable_expr":
                return [self._make(ExpressionKind.REFERENCE, node, steps=(raw_text(node.children[0]),))]
            case "quoted_template" | "heredoc_template":
                return [self._template(node)]
            case "function_call":
                return [self._call(node)]
            case "tuple":
                return [self._make(ExpressionKind.TUPLE, node, children=tuple(self._terms(node.children)))]
            case "object":
                return [self._object(node)]
            case "conditional":
                return [self._make(ExpressionKind.CONDITIONAL, node, children=tuple(self._terms(node.children)))]
            case "for_tuple_expr" | "for_object_expr":
                return [self._for(node)]
            case "binary_operation" | "unary_operation":
                return [self._make(ExpressionKind.OTHER, node, children=tuple(self._terms(node.children)))]
            case _:
                return self._terms(node.children)

    def _call(self, node: Node) -> Expression:
        name = "".join(raw_text(node.children[0]).split()).removeprefix("core::")
        arguments = tuple(self._terms(node.children[1:]))
        return self._make(ExpressionKind.CALL, node, name=name, children=arguments)

    def _object(self, node: Node) -> Expression:
        children: list[Expression] = []
        for element in (c for c in node.children if c.type == "object_elem"):
            expressions = [c for c in element.children if c.type == "expression"]
            children += [self._key(expressions[0]), self.build(expressions[-1])]
        return self._make(ExpressionKind.OBJECT, node, children=tuple(children))

    def _key(self, node: Node) -> Expression:
        key = self.build(node)
        is_bare_word = (
            key.kind is ExpressionKind.REFERENCE and len(key.steps) == 1 and not raw_text(node).startswith("(")
        )
        return self._make(ExpressionKind.LITERAL, node, value=key.steps[0]) if is_bare_word else key

    def _for(self, node: Node) -> Expression:
        intro = next(c for c in node.children if c.type == "for_intro")
        condition = next((c for c in node.children if c.type == "for_cond"), None)
        bodies = [c for c in node.children if c.type == "expression"]
        names = [raw_text(c) for c in intro.children if c.type == "identifier"]
        parts = [*self._terms(intro.children)[-1:], *(self.build(b) for b in bodies)]
        parts += self._terms(condition.children)[-1:] if condition is not None else []
        shape = ("kv" if len(bodies) == 2 else "v") + ("c" if condition is not None else "")
        return self._make(ExpressionKind.FOR, node, value=shape, name=",".join(names), children=tuple(parts))

    def _template(self, node: Node) -> Expression:
        quoted = node.type == "quoted_template"
        parts = self._parts(node, quoted)
        if all(p.kind is ExpressionKind.LITERAL for p in parts):
            return self._make(ExpressionKind.LITERAL, node, value="".join(_shown(p.value) for p in parts))
        return self._make(ExpressionKind.TEMPLATE, node, children=tuple(parts))

    def _parts(self, node: Node, quoted: bool) -> list[Expression]:
        parts: list[Expression] = []
        for child in node.children:
            if child.type == "template_literal":
                text = raw_text(child)
                parts.append(
                    self._make(ExpressionKind.LITERAL, child, value=unescape(text) if quoted else unmark(text))
                )
            elif child.type == "template_interpolation":
                inner = self._terms(child.children)
                parts.append(
                    self._make(ExpressionKind.OTHER, child, children=tuple(inner)) if len(inner) != 1 else inner[0]
                )
            elif child.type.startswith("template_") and child.child_count:
                parts.append(self._make(ExpressionKind.OTHER, child, children=tuple(self._parts(child, quoted))))
            elif child.type == "expression":
                parts.append(self.build(child))
        return parts

    def _access(self, term: Expression, node: Node) -> Expression:
        steps, computed = self._steps(node)
        if term.kind is ExpressionKind.REFERENCE:
            return Expression(
                kind=term.kind, line=term.line, steps=(*term.steps, *steps), children=(*term.children, *computed)
            )
        if term.kind is ExpressionKind.OTHER and term.steps:
            return replace(term, steps=(*term.steps, *steps), children=(*term.children, *computed))
        return Expression(kind=ExpressionKind.OTHER, line=term.line, steps=steps, children=(term, *computed))

    def _steps(self, node: Node) -> tuple[tuple[Step, ...], tuple[Expression, ...]]:
        if node.type == "get_attr":
            return (raw_text(node.children[-1]),), ()
        if node.type == "splat":
            return (None,), ()
        inner = node.children[0]
        if inner.type == "legacy_index":
            return (int(raw_text(inner).removeprefix(".")),), ()
        index = self._terms(inner.children)
        literal = index[0].value if len(index) == 1 and index[0].kind is ExpressionKind.LITERAL else None
        if isinstance(literal, str) or (isinstance(literal, int) and not isinstance(literal, bool)):
            return (literal,), ()
        return (None,), tuple(index)

    @staticmethod
    def _make(
        kind: ExpressionKind,
        node: Node,
        *,
        value: Scalar = None,
        name: str = "",
        steps: tuple[Step, ...] = (),
        children: tuple[Expression, ...] = (),
    ) -> Expression:
        return Expression(kind=kind, line=line_of(node), value=value, name=name, steps=steps, children=children)


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
                return float(text)


# The second opinion: python-hcl2 reads the same text, and both readers must see the same blocks, labels, attributes and
# calls.


@dataclass(frozen=True, slots=True)
class _Seen:
    """One block or attribute as a reader saw it: its words, its line, how deep it stands, and what it calls outside
    heredocs.
    """

    depth: int
    words: tuple[str, ...]
    line: int
    calls: tuple[tuple[str, int], ...] = ()


def disagreement(text: str, root: Node) -> Unreadable | None:
    """Unreadable when python-hcl2 cannot read `text` or sees other blocks, attributes or calls than tree-sitter did;
    else None.
    """
    try:
        tree = hcl2.parses_to_tree(text)
    except LarkError as error:
        line = getattr(error, "line", 0)
        return Unreadable(
            what="python-hcl2 cannot read it: write the expression in its plain form",
            line=line if line and line > 0 else 0,
        )
    theirs, ours = list(_of_lark(tree)), list(_of_tree_sitter(root))
    for their, our in zip(theirs, ours, strict=False):
        if their != our:
            return Unreadable(what=f"two readers disagree about `{' '.join(our.words)}`", line=our.line)
    if len(theirs) != len(ours):
        extra = max(theirs, ours, key=len)[min(len(theirs), len(ours))]
        return Unreadable(what=f"only one of two readers sees `{' '.join(extra.words)}`", line=extra.line)
    return None


def _of_lark(tree: Tree[Token]) -> Iterator[_Seen]:
    pending: list[tuple[Tree[Token], int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        if node.data == "attribute":
            name, *rest = (c for c in node.children if isinstance(c, Tree))
            yield _Seen(depth, ("=", _lark_word(name)), node.meta.line, _lark_calls(rest))
            continue
        if node.data == "block":
            header = [
                c
                for c in node.children
                if isinstance(c, Tree) and c.data in ("identifier", "keyword", "literal_value", "string")
            ]
            yield _Seen(depth, tuple(_lark_word(c) for c in header), node.meta.line)
            depth += 1
        pending.extend(
            (c, depth)
            for c in reversed(node.children)
            if isinstance(c, Tree) and c.data in ("body", "attribute", "block", "start")
        )


def _lark_word(node: Tree[Token]) -> str:
    tokens = "".join(str(t) for t in node.scan_values(lambda v: isinstance(v, Token)))
    return unescape(tokens[1:-1]) if node.data == "string" else tokens


def _lark_calls(nodes: list[Tree[Token]]) -> tuple[tuple[str, int], ...]:
    calls: Counter[str] = Counter()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node.data == "function_call":
            calls["".join(_lark_word(c) if isinstance(c, Tree) else str(c) for c in _before_arguments(node))] += 1
        pending.extend(c for c in node.children if isinstance(c, Tree))
    return tuple(sorted(calls.items()))


def _before_arguments(node: Tree[Token]) -> Iterator[Tree[Token] | Token]:
    for child in node.children:
        if isinstance(child, Token) and child.type == "LPAR":
            return
        yield child


def _of_tree_sitter(root: Node) -> Iterator[_Seen]:
    pending: list[tuple[Node, int]] = [(root, 0)]
    while pending:
        node, depth = pending.pop()
        if node.type == "attribute":
            yield _Seen(depth, ("=", label_text(node.children[0])), line_of(node), _tree_sitter_calls(node))
            continue
        if node.type == "block":
            header = [c for c in node.children if c.type in ("identifier", "string_lit")]
            yield _Seen(depth, tuple(label_text(c) for c in header), line_of(node))
            depth += 1
        pending.extend((c, depth) for c in reversed(node.children) if c.type in ("body", "attribute", "block"))


def _tree_sitter_calls(attribute: Node) -> tuple[tuple[str, int], ...]:
    calls: Counter[str] = Counter()
    pending = [attribute]
    while pending:
        node = pending.pop()
        if node.type == "heredoc_template":
            continue
        if node.type == "function_call":
            calls["".join(raw_text(node.children[0]).split())] += 1
        pending.extend(node.children)
    return tuple(sorted(calls.items()))


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
