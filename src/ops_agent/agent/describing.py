"""Tools that say what arguments a type has, by the schema of the provider in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from ops_agent.agent.workbench import Answer, ToolRefusal, Workbench
from ops_agent.model.terraform import DescribedType

MAX_DEPTH: Final = 3
MAX_CHARACTERS: Final = 10_000
MAX_WORDS: Final = 120
_Type = Annotated[str, "`aws_sqs_queue`; a block of it alone is `aws_lambda_function.vpc_config`."]


def describe(bench: Workbench, type: _Type) -> Answer:  # noqa: A002 - the llm reads it
    """Arguments and blocks of a resource type as the provider in use has them: types, required (else optional),
    computed, sensitive, deprecated, how many blocks, what forces a replacement. Ask before you write what you are not
    sure of.
    """
    return _described(bench, type, data=False)


def describe_data(bench: Workbench, type: _Type) -> Answer:  # noqa: A002
    """Arguments and blocks of a data source, as `describe` gives those of a resource type."""
    return _described(bench, type, data=True)


def _described(bench: Workbench, wanted: str, *, data: bool) -> Answer:
    type_, *path = wanted.removeprefix("data.").split(".")
    if bench.descriptions_left <= 0:
        raise ToolRefusal("no more types are described in this run: `check` says what is wrong")
    bench.descriptions_left -= 1
    found = bench.describe(type_, data)
    block = found.block
    for name in path:
        nested = (block.get("block_types") or {}).get(name)
        if nested is None:
            raise ToolRefusal(f"`{type_}` has no block {'.'.join(path)[:100]}")
        block = nested.get("block") or {}
    lines, length, shown = [*_lines(block, found, tuple(path))], 0, 0
    while shown < len(lines) and length + len(lines[shown]) < MAX_CHARACTERS:
        length += len(lines[shown]) + 1
        shown += 1
    if shown < len(lines):
        lines = [*lines[:shown], f"... {len(lines) - shown} more lines: ask for one block, as {type_}.BLOCK"]
    if not data and found.forces is None:
        lines.append(f"What forces a replacement the provider does not tell here ({found.why}): `check` shows it.")
    return Answer(texts=((f"{wanted[:200]} of {found.source}", "\n".join(lines)),))


def _lines(block: Mapping[str, Any], found: DescribedType, path: tuple[str, ...], depth: int = 0) -> Iterator[str]:
    """What is required first; what can only be read last, by name."""
    attributes = sorted((block.get("attributes") or {}).items(), key=lambda one: (not one[1].get("required"), one[0]))
    indent, read_only = "  " * depth, list[str]()
    for name, attribute in attributes:
        if not (attribute.get("required") or attribute.get("optional")):
            read_only.append(name)
            continue
        kind = _kind(attribute.get("type") or attribute.get("nested_type"))
        marks = [mark for mark in ("required", "computed", "sensitive", "deprecated") if attribute.get(mark)]
        marks += ["forces replacement"] if _forces(found, (*path, name)) else []
        words = " ".join(str(attribute.get("description") or "").split())[:MAX_WORDS]
        yield f"{indent}{name}: {', '.join((kind, *marks))}{f' - {words}' if words else ''}"
    for name, nested in sorted((block.get("block_types") or {}).items()):
        least, most = nested.get("min_items") or 0, nested.get("max_items") or 0
        count = f"exactly {most}" if least == most and most else f"{least} to {most}" if most else f"at least {least}"
        inner = nested.get("block") or {}
        marks = ["deprecated"] if inner.get("deprecated") else []
        marks += ["forces replacement"] if _forces(found, (*path, name)) else []
        mode = nested.get("nesting_mode")
        yield f"{indent}{name} {{}}: {', '.join((f'block ({mode}), {count}', *marks))}"
        if depth + 1 < MAX_DEPTH:
            yield from _lines(inner, found, (*path, name), depth + 1)
        elif inner:
            yield f"{indent}  ..."
    if read_only:
        yield f"{indent}to read only: {', '.join(read_only)}"


def _forces(found: DescribedType, path: tuple[str, ...]) -> bool:
    return found.forces is not None and path in found.forces


def _kind(type_: Any) -> str:
    """`set(string)` of `["set", "string"]`."""
    if isinstance(type_, list) and len(type_) == 2:
        kind, inner = type_
        if isinstance(inner, dict):
            return f"{kind}({{{', '.join(f'{name} = {_kind(one)}' for name, one in sorted(inner.items()))}}})"
        return f"{kind}({_kind(inner)})"
    return type_ if isinstance(type_, str) else "any" if type_ is None else "object"
