"""The second HCL reader: python-hcl2 must see the same blocks, labels, attributes and calls as the first one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO

from hcl2 import parser as hcl2_parser
from hcl2.postlexer import PostLexer
from lark import Lark, Token, Tree
from lark.exceptions import LarkError
from tree_sitter import Node

from ops_agent.model.terraform import Unreadable
from ops_agent.terraform.hcl_tree_sitter import ended, label_text, line_of, raw_text, syntax_tree, unescape


@dataclass(frozen=True, slots=True)
class _Seen:
    """One block or attribute as a reader saw it, and what it calls outside heredocs."""

    depth: int
    words: tuple[str, ...]
    line: int
    calls: tuple[tuple[str, int], ...] = ()


_LETTER = re.compile(r"[^\W\x00-\x7f]")
_PLAINER: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (_LETTER, "x"),
    (re.compile(r"/\*[^*\"\n]*\*/"), " "),
    (re.compile(r"(?:\n\s*(?:=>|\.[A-Za-z_][\w-]*))+,?"), lambda m: "".join(m[0].split()) + "\n" * m[0].count("\n")),
    (re.compile(r"(?<![\w-])([0-9.]+)-(?=[0-9])"), r"\1 - "),
    (re.compile(r"\bcore::"), ""),
    (re.compile(r"(?<=[$%]\{)~|~(?=\})|(?<![\w-])(?:!!|--)(?=[\w(!-])"), " "),
)
"""Forms that Terraform reads and python-hcl2 does not, and what says the same on the same lines, for a file that it
cannot read as it is: letters beside ASCII in names, comments inside of an expression, a line that begins with `=>` or
`.name`, a minus between digits, the namespace of built-in functions, strip markers, and a sign twice.
"""


def second_opinion(content: bytes) -> Unreadable | None:
    """What is unclear in a file that the first reader has read: python-hcl2 cannot read it, or sees something else."""
    text = f"{ended(content).decode()}\n"
    try:
        tree = _parser().parse(text)
    except LarkError as error:
        line = getattr(error, "line", 0)
        for pattern, plain in _PLAINER:
            text = pattern.sub(plain, text)
        try:
            tree = _parser().parse(text)
        except LarkError:
            return Unreadable(
                what="python-hcl2 cannot read it: write the expression in its plain form",
                line=line if line and line > 0 else 0,
            )
    theirs, ours = list(_of_lark(tree)), list(_of_tree_sitter(syntax_tree(content)))
    for their, our in zip(theirs, ours, strict=False):
        if their != our:
            return Unreadable(what=f"two readers disagree about `{' '.join(our.words)}`", line=our.line)
    if len(theirs) != len(ours):
        extra = max(theirs, ours, key=len)[min(len(theirs), len(ours))]
        return Unreadable(what=f"only one of two readers sees `{' '.join(extra.words)}`", line=extra.line)
    return None


@cache
def _parser() -> Lark:
    """python-hcl2's own parser, without the positions of every node: tokens have lines, and it is twice as fast."""
    grammar = BytesIO()
    hcl2_parser.parser().save(grammar)
    grammar.seek(0)
    parser = Lark.__new__(Lark)
    return parser._load(grammar, propagate_positions=False, postlex=PostLexer())


def _of_lark(tree: Tree[Token]) -> Iterator[_Seen]:
    pending: list[tuple[Tree[Token], int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        if node.data == "attribute":
            name, *rest = (c for c in node.children if isinstance(c, Tree))
            yield _Seen(depth, ("=", _lark_word(name)), _lark_line(name), _lark_calls(rest))
            continue
        if node.data == "block":
            header = [
                c
                for c in node.children
                if isinstance(c, Tree) and c.data in ("identifier", "keyword", "literal_value", "string")
            ]
            yield _Seen(depth, tuple(_lark_word(c) for c in header), _lark_line(header[0]))
            depth += 1
        pending.extend(
            (c, depth)
            for c in reversed(node.children)
            if isinstance(c, Tree) and c.data in ("body", "attribute", "block", "start")
        )


def _lark_line(node: Tree[Token]) -> int:
    return next(node.scan_values(lambda v: isinstance(v, Token))).line or 0


def _lark_word(node: Tree[Token]) -> str:
    tokens = "".join(str(t) for t in node.scan_values(lambda v: isinstance(v, Token)))
    return _LETTER.sub("x", unescape(tokens[1:-1]) if node.data == "string" else tokens)


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
            yield _Seen(depth, ("=", _our_word(node.children[0])), line_of(node), _tree_sitter_calls(node))
            continue
        if node.type == "block":
            header = [c for c in node.children if c.type in ("identifier", "string_lit")]
            yield _Seen(depth, tuple(map(_our_word, header)), line_of(node))
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
            name = "".join(raw_text(node.children[0]).split()).removeprefix("core::")
            calls[_LETTER.sub("x", name)] += 1
        pending.extend(node.children)
    return tuple(sorted(calls.items()))


def _our_word(node: Node) -> str:
    return _LETTER.sub("x", label_text(node))
