"""`${{ }}` in a text of a workflow, cut as GitHub cuts it: `}}` inside of a quoted string ends nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_STRING_OR_END = re.compile(r"'[^']*(?:'|$)|\}\}", re.DOTALL)  # a string without an end ends nothing either


@dataclass(frozen=True, slots=True)
class TextPart:
    """A stretch of a text: literal, or the inside of an expression. `closed` is False for an expression without its
    end.
    """

    text: str
    is_expression: bool
    closed: bool = True


def parts_of(text: str) -> Iterator[TextPart]:
    """The whole of `text`, part by part; an expression that is not closed reaches to the end."""
    position = 0
    while (start := text.find("${{", position)) >= 0:
        if start > position:
            yield TextPart(text[position:start], False)
        end = next((m for m in _STRING_OR_END.finditer(text, start + 3) if m[0] == "}}"), None)
        if end is None:
            yield TextPart(text[start + 3 :], True, closed=False)
            return
        yield TextPart(text[start + 3 : end.start()], True)
        position = end.end()
    if position < len(text):
        yield TextPart(text[position:], False)


def terms(expression: str, operator: str) -> list[str]:
    """The operands of `operator` (`||` or `&&`) at the top of an expression: not those inside of parentheses or
    strings.
    """
    found, depth, last = [], 0, 0
    for token in re.finditer(r"'[^']*'|[()\[\]]|\|\||&&", expression):
        depth += (token[0] in ("(", "[")) - (token[0] in (")", "]"))
        if token[0] == operator and depth == 0:
            found.append(expression[last : token.start()])
            last = token.end()
    return [*found, expression[last:]]


def unwrapped(expression: str) -> str:
    """Without blanks and without parentheses around all of it."""
    text = expression.strip()
    while text.startswith("(") and text.endswith(")"):
        depth = 0
        for token in re.finditer(r"'[^']*'|[()]", text):
            depth += (token[0] == "(") - (token[0] == ")")
            if depth == 0 and token.end() < len(text):
                return text
        if depth != 0:
            return text
        text = text[1:-1].strip()
    return text
