"""The value of a workflow's expression, as far as it is known before the workflow runs.

Operators, truth and comparison follow GitHub's documentation "Evaluate expressions in workflows and actions": `&&` and
`||` give an operand, texts are compared without regard to case, values of unlike type as numbers, and an input that
nobody gave is empty (so is `null`: both are 0 as numbers).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from ops_agent.workflows.expressions import parts_of

Value = str | bool | float | None
"""A known value; None when it cannot be told."""

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<operator>&&|\|\||==|!=|<=|>=|[!<>(),\[\]])"
    r"|(?P<name>[A-Za-z_][\w-]*(?:\s*\.\s*(?:[A-Za-z_][\w-]*|\*))*)|(?P<number>-?[0-9.]+))"
)
_NUMBER = re.compile(r"(?:-?[0-9]+(?:\.[0-9]+)?)?")
_STATUS: Final[dict[str, Value]] = {"success": True, "always": True, "failure": False, "cancelled": False}
"""Status functions in a run in which nothing fails."""
_PREDICATES: Final[dict[str, Callable[[str, str], bool]]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}
_MAX_CHARACTERS: Final = 4_000
_MAX_DEPTH: Final = 40


def evaluate(expression: str, known: Mapping[str, Value]) -> Value:
    """The value of the inside of `${{ }}`. `known` has values by lower-case name (`github.ref_name`); a name that ends
    in a dot stands for all below it (`inputs.`). What is not known, or no expression, gives None.
    """
    if len(expression) > _MAX_CHARACTERS:
        return None
    try:
        reader = _Reader(expression, known)
        value = reader.either(0)
        return value if reader.at_end() else None
    except ValueError:
        return None


def holds(condition: str, known: Mapping[str, Value]) -> bool | None:
    """Whether a job or step with this `if` runs; None when it cannot be told. An empty condition holds."""
    if not condition.strip():
        return True
    parts = [part for part in parts_of(condition.strip()) if part.text.strip()]
    if len(parts) > 1 and any(part.is_expression for part in parts):
        return True  # text around an expression makes a text, and a text is true
    value = evaluate(parts[0].text, known)
    return None if value is None else bool(value)


def written_out(text: str, known: Mapping[str, Value], unknown: str | None = None) -> str | None:
    """`text` with the values of its expressions, and `unknown` for what is not known; without `unknown`, None then."""
    pieces = []
    for part in parts_of(text):
        value = evaluate(part.text, known) if part.is_expression else part.text
        written = unknown if value is None else _text(value)
        if written is None:
            return None
        pieces.append(written)
    return "".join(pieces)


def _text(value: str | bool | float) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value).lower()


def _are_equal(one: Value, other: Value) -> bool | None:
    """None when one of them is not known, or a text that is no number meets another type (a matrix and an input do not
    tell here which type they have).
    """
    if one is None or other is None:
        return None
    if type(one) is type(other):
        return _text(one).casefold() == _text(other).casefold()
    numbers = _number(one), _number(other)
    return None if None in numbers else numbers[0] == numbers[1]


def _number(value: str | bool | float) -> float | None:
    if isinstance(value, str):
        return float(value.strip() or 0) if _NUMBER.fullmatch(value.strip()) else None
    return float(value)


class _Reader:
    """Recursive descent over the tokens of one expression; each method returns the value of what it has read."""

    def __init__(self, expression: str, known: Mapping[str, Value]) -> None:
        self._known = known
        self._tokens: list[tuple[str, str]] = []
        position, end = 0, len(expression.rstrip())
        while position < end:
            found = _TOKEN.match(expression, position)
            if found is None or found.lastgroup is None:
                raise ValueError(expression[position:])
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()
        self._next = 0

    def at_end(self) -> bool:
        return self._next == len(self._tokens)

    def either(self, depth: int) -> Value:
        value = self._both(depth)
        while self._takes("||"):
            other = self._both(depth)
            # An unknown left side may be true; both sides equal is the one case where that does not matter.
            value = (value or other) if value is not None else (other if other == value else None)
        return value

    def _both(self, depth: int) -> Value:
        value = self._compared(depth)
        while self._takes("&&"):
            other = self._compared(depth)
            if value is None:
                value = False if other is False or other == "" else None
            elif value:
                value = other
        return value

    def _compared(self, depth: int) -> Value:
        value = self._single(depth)
        for operator in ("==", "!="):
            if self._takes(operator):
                other = self._single(depth)
                same = _are_equal(value, other)
                return None if same is None else same is (operator == "==")
        if self._peek() in ("<", ">", "<=", ">="):
            self._next += 1
            self._single(depth)
            return None
        return value

    def _single(self, depth: int) -> Value:
        if depth > _MAX_DEPTH or self.at_end():
            raise ValueError("too deep, or cut off")
        kind, text = self._tokens[self._next]
        self._next += 1
        if text == "!" and kind == "operator":
            value = self._single(depth + 1)
            return None if value is None else not value
        if text == "(" and kind == "operator":
            value = self.either(depth + 1)
            self._must(")")
            return value
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text)
        if kind != "name":
            raise ValueError(text)
        return self._named("".join(text.split()).lower(), depth)

    def _named(self, name: str, depth: int) -> Value:
        if self._takes("("):
            arguments = []
            while not self._takes(")"):
                arguments.append(self.either(depth + 1))
                if self._peek() != ")":
                    self._must(",")
            return _called(name, arguments)
        if name in ("true", "false"):
            return name == "true"
        if name == "null":
            return ""
        if self._takes("["):
            self.either(depth + 1)
            self._must("]")
            return None
        if name in self._known:
            return self._known[name]
        return next(
            (value for prefix, value in self._known.items() if prefix[-1] == "." and name.startswith(prefix)), None
        )

    def _peek(self) -> str:
        kind, text = self._tokens[self._next] if not self.at_end() else ("", "")
        return text if kind == "operator" else ""

    def _takes(self, operator: str) -> bool:
        taken = self._peek() == operator
        self._next += taken
        return taken

    def _must(self, operator: str) -> None:
        if not self._takes(operator):
            raise ValueError(f"{operator} is missing")


def _called(name: str, arguments: list[Value]) -> Value:
    if name in _STATUS and not arguments:
        return _STATUS[name]
    if name in _PREDICATES and len(arguments) == 2:
        one, other = arguments
        return (
            None if one is None or other is None else _PREDICATES[name](_text(one).casefold(), _text(other).casefold())
        )
    if name == "format" and arguments and all(a is not None for a in arguments):
        pattern, *values = (_text(a) for a in arguments if a is not None)
        return re.sub(r"\{(\d+)\}", lambda m: values[int(m[1])] if int(m[1]) < len(values) else m[0], pattern)
    return None
