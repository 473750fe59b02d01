"""Values against what the agent says that they are: paths into values, patterns, comparison."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from ops_agent.model.conversation import Assertion
from ops_agent.model.plan import Hidden
from ops_agent.plan.masking import number, parsed_json

COMPARE: Final = frozenset({"equals", "not_equals", "contains", "matches", "at_least", "at_most"})
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
_MAX_SHOWN: Final = 120
_MAX_VALUES: Final = 2_000
_FAR: Final = 1_000
"""How many times the planned value a bound may be."""
_OPEN: Final = ("0.0.0.0/0", "::/0", "true", "false")
"""What is worth not to be, beside patterns: of everything else there is too much that a value is not."""


def is_like(pattern: str, text: str) -> bool:
    """Whether `text` is as `pattern` says, in which `*` stands for any characters; linear."""
    first, *rest = re.split(r"\*+", pattern)
    if not rest:
        return text == first
    *middle, last = rest
    at = len(first)
    for piece in middle:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return text.startswith(first) and text.endswith(last) and at <= len(text) - len(last)


def steps_of(key: str) -> list[str]:
    return [step.strip("[]\"'") for step in _STEP.findall(key)]


def values_at(value: Any, steps: list[str]) -> Iterator[Any]:
    """Every value at the path. Nested blocks are lists: a name goes into each element. JSON in a text is entered."""
    if isinstance(value, Hidden):
        yield value
        return
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    inner = parsed_json(value) if type(value) is str else value
    if isinstance(inner, dict):
        chosen = inner.values() if step == "*" else [inner[step]] if step in inner else []
        for one in chosen:
            yield from values_at(one, rest)
    elif isinstance(inner, list) and step == "*":
        for one in inner[:_MAX_VALUES]:
            yield from values_at(one, rest)
    elif isinstance(inner, list) and step.isdigit():
        yield from values_at(inner[int(step)], rest) if int(step) < len(inner) else ()
    elif isinstance(inner, list):
        for one in inner[:_MAX_VALUES]:
            yield from values_at(one, steps)


# Comparison: of values as Terraform shows them with the text that the agent gives.


def compared(assertion: Assertion, values: list[Any]) -> bool | None:
    """Whether all of the values are as asked, of a list all its elements; for `contains` and `exists` one is enough.
    None when that depends on a hidden value.
    """
    if assertion.op in COMPARE - {"contains"} and not isinstance(parsed_json(assertion.value), list):
        values = [inner for value in values for inner in (value if _is_plain(value) else [value])]
    shown = [value for value in values if not isinstance(value, Hidden)]
    present = [value for value in shown if value is not None and value not in ("", [], {})]
    is_hidden = len(shown) < len(values)
    op, asked = assertion.op, assertion.value
    if op == "exists":
        return True if present else None if is_hidden else False
    if op == "absent":
        return False if present else None if is_hidden else True
    if op == "contains":
        several = len(values) > 1
        if any(_satisfies(op, value, asked) or (several and _equal(value, asked)) for value in present):
            return True
        return None if is_hidden else False
    if len(present) < len(shown) or not values:
        return False
    if op == "not_equals":
        wrong = any(_equal(value, asked) for value in present)
    else:
        wrong = not all(_satisfies(op, value, asked) for value in present)
    return False if wrong else None if is_hidden else True


def shows_little(assertion: Assertion, values: list[Any], before: list[Any]) -> str:
    """Why what holds of `values` would hold of nearly anything, as a clause that says what to name instead; else empty.
    `before` are the values without the change.
    """
    op, asked = assertion.op, assertion.value
    if op == "not_equals" and not ("*" in asked or asked.strip().casefold() in _OPEN or _holds_one(before, asked)):
        return f"is not {short(asked)}, as nearly anything: say with `equals` what it is"
    found = [number(value) for value in values]
    bound = number(asked) if op == "at_most" else None
    if bound is not None and all(one is not None and bound > _FAR * max(1, abs(one)) for one in found):
        return f"{as_seen(values)}, far below {short(asked)}: name the bound that is asked for"
    return ""


def _holds_one(values: list[Any], asked: str) -> bool:
    flat = (inner for value in values for inner in (value if isinstance(value, list) else [value]))
    return any(_equal(value, asked) for value in flat if value is not None and not isinstance(value, Hidden))


def _is_plain(value: Any) -> bool:
    """Whether it is a list that holds something, and neither lists nor maps."""
    return isinstance(value, list) and bool(value) and not any(isinstance(inner, list | dict) for inner in value)


def _satisfies(op: str, value: Any, wanted: str) -> bool:
    if op == "equals":
        return _equal(value, wanted)
    if op == "contains":
        if isinstance(value, list):
            return any(_equal(one, wanted) or (isinstance(one, str) and wanted in one) for one in value)
        return wanted in value if isinstance(value, dict | str) else False
    if op == "matches":
        return isinstance(value, str) and is_like(wanted, value)
    ours, theirs = number(value), number(wanted)
    if ours is None or theirs is None:
        return False
    return ours >= theirs if op == "at_least" else ours <= theirs if op == "at_most" else False


def _equal(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted.strip().casefold() == str(value).casefold()
    if isinstance(value, dict | list):
        return bool(parsed_json(wanted) == value)
    ours, theirs = number(value), number(wanted)
    if ours is not None and theirs is not None:
        return ours == theirs
    document = parsed_json(wanted)
    return str(value) == wanted or (isinstance(document, dict | list) and bool(parsed_json(value) == document))


def as_asked(assertion: Assertion) -> str:
    return f"{assertion.op} {short(assertion.value)}".rstrip()


def quoted(text: str) -> str:
    """The agent's words in ours: they cannot leave the code span."""
    flat = " ".join(text.replace("`", "'").split())
    return f"`{flat[:_MAX_SHOWN]}…`" if len(flat) > _MAX_SHOWN else f"`{flat}`"


def as_seen(values: list[Any]) -> str:
    shown = [short(value) for value in values if value is not None]
    return f"is {', '.join(shown[:3])}{' and more' if len(shown) > 3 else ''}" if shown else "has no value"


def short(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return quoted(text) if text else ""
