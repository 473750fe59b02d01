"""The tool that finds where a thing of Terraform is defined and used, by the parsed code and across module calls."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

from ops_agent.agent.reading import SEARCH_SECONDS
from ops_agent.agent.workbench import ToolRefusal, Workbench
from ops_agent.model.ports import ScratchRefusal
from ops_agent.model.terraform import Block, ExpressionKind, TerraformSource
from ops_agent.terraform.hcl_tree_sitter import read_terraform

_Step = tuple[str, ...]

MAX_PLACES: Final = 100
MAX_FILES: Final = 2_000
_ADDRESSED: Final[dict[str, _Step]] = {
    "resource": (),
    "data": ("data",),
    "variable": ("var",),
    "module": ("module",),
    "output": ("output",),
}
_NAME = re.compile(r"(?:(?:var|local|module|output)\.[\w-]+|(?:data\.)?[a-z][\w-]*\.[\w-]+)")


def find_references(
    bench: Workbench,
    address: Annotated[
        str, "`aws_sqs_queue.orders`, `data.aws_vpc.main`, `var.x`, `local.x`, `module.x` or `output.x`."
    ],
) -> Any:
    """Where something of Terraform is defined and used in every root and module, with file and line: what calls pass to
    a variable, who reads an output of a module, values in `.tfvars` and workflows. Ask before you rename or remove.
    """
    if not _NAME.fullmatch(address):
        raise ToolRefusal("`address` is an address in one module, such as `aws_sqs_queue.orders` or `var.name`")
    wanted = tuple(address.split("."))
    end = bench.clock.monotonic() + SEARCH_SECONDS
    found: dict[str, list[str]] = {"defined": [], "used": [], "passed": [], "values": []}
    paths = [path for path in bench.scratch.paths() if path.endswith((".tf", ".tfvars"))]
    notes = []
    for number, path in enumerate(paths):
        if number >= MAX_FILES or bench.clock.monotonic() > end:
            notes.append(f"looked at {number} of {len(paths)} files only")
            break
        source = _source(bench, path, wanted[-1])
        for kind, line, target in _places(source, path, wanted) if source is not None else ():
            found[kind].append(f"{path}:{line}{target}")
    if wanted[0] == "var":
        found["values"] += _in_workflows(bench, wanted[1])
    places = {kind: list(dict.fromkeys(lines)) for kind, lines in found.items() if lines}
    if more := sum(max(0, len(lines) - MAX_PLACES) for lines in places.values()):
        notes.append(f"{more} more places: use `search`")
    if not places:
        raise ToolRefusal(f"`{address}` is neither defined nor used in any Terraform file; `search` finds text")
    return {kind: lines[:MAX_PLACES] for kind, lines in places.items()} | ({"notes": notes} if notes else {})


def _source(bench: Workbench, path: str, word: str) -> TerraformSource | None:
    try:
        content = bench.scratch.read(path)
    except ScratchRefusal:
        return None
    source = read_terraform(content) if word.encode() in content else None
    return source if isinstance(source, TerraformSource) else None


def _places(source: TerraformSource, path: str, wanted: _Step) -> Iterator[tuple[str, int, str]]:
    """Every place of one file: what it is, its line, and which module a value is passed to."""
    if path.endswith(".tfvars"):
        if wanted[0] == "var":
            yield from (("values", one.line, "") for one in source.attributes if one.name == wanted[1])
        return
    for block in source.blocks:
        yield from (("defined", line, "") for line in _definitions(block, wanted))
        if block.type == "module" and wanted[0] == "var" and (passed := block.attribute(wanted[1])) is not None:
            yield "passed", passed.line, f" to {str(block.literal('source'))[:200]}"
        for _, expression in block.expressions():
            if expression.kind is ExpressionKind.REFERENCE and _is_use(expression.steps, wanted):
                yield "used", expression.line, ""


def _definitions(block: Block, wanted: _Step) -> Iterator[int]:
    if block.type == "locals":
        yield from (one.line for one in block.attributes if ("local", one.name) == wanted)
    elif ((*_ADDRESSED[block.type], *block.labels) if block.type in _ADDRESSED else ()) == wanted:
        yield block.line


def _is_use(steps: tuple[Any, ...], wanted: _Step) -> bool:
    """An output is used as `module.NAME.OUTPUT`, whatever the call is named."""
    if wanted[0] == "output":
        return len(steps) > 2 and steps[0] == "module" and wanted[1] in steps[2:4]
    return steps[: len(wanted)] == wanted


def _in_workflows(bench: Workbench, variable: str) -> Iterator[str]:
    """Lines of workflows that set the variable."""
    sets = re.compile(rf"TF_VAR_{re.escape(variable)}\b|-var[ =]['\"]?{re.escape(variable)}=")
    for path in bench.scratch.paths():
        if posixpath.dirname(path) == ".github/workflows":
            try:
                lines = bench.scratch.read(path).decode("utf-8", "replace").split("\n")
            except ScratchRefusal:
                continue
            yield from (f"{path}:{number}" for number, line in enumerate(lines, start=1) if sets.search(line))
