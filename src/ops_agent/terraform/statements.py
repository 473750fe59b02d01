"""What a configuration says about resources beside their arguments: lifecycle, provider, moved, removed and import."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ops_agent.model.terraform import Block, Expression, ExpressionKind, TerraformSource, Unreadable
from ops_agent.terraform.modules import is_configuration, read_source

Parts = tuple[tuple[str, str], ...]
"""An address as names with their keys as written: `module.a["x"].aws_sqs_queue.q[0]` is `(("module", ""), ("a",
'["x"]'), ("aws_sqs_queue", ""), ("q", "[0]"))`.
"""
Module = tuple[str, ...]
"""Names of the calls that lead to a module; empty for the root."""
_PART: Final = re.compile(r'\.?([A-Za-z_][\w-]*)(\[(?:"(?:[^"\\]|\\.)*"|\d+)\])?')
_STEP: Final = re.compile(r'\[\s*(?:"(?:[^"\\]|\\.)*"|\d+)\s*\]|[A-Za-z_][\w-]*')
_MOST_LINES: Final = 300
_STATE: Final = ("data", "terraform_remote_state")
_LISTED: Final = re.compile(r"(?:^|_)(?:ids|arns|names|azs|zones|subnets|groups|cidrs|blocks|endpoints|urls|ips|list)$")
_RUN: Final = frozenset({"provisioner", "action_trigger", "action"})


Shape = Literal["list", "text"] | frozenset[str]


def parts_of(address: str) -> Parts:
    return tuple((name, key) for name, key in _PART.findall(address))


def joined(parts: Parts) -> str:
    return ".".join(name + key for name, key in parts)


def module_of(parts: Parts) -> Module:
    """The module that an address (or a part of it) lies in."""
    names: list[str] = []
    while len(parts) >= 2 and parts[0] == ("module", ""):
        names, parts = [*names, parts[1][0]], parts[2:]
    return tuple(names)


def module_prefix(address: str) -> str:
    """`module.a["x"].` of `module.a["x"].aws_sqs_queue.q`."""
    parts = parts_of(address)
    inside = parts[: 2 * len(module_of(parts))]
    return f"{joined(inside)}." if inside else ""


def config_address(address: str) -> tuple[Module, str]:
    """The module, and the address in it without a key: where the block of an instance is found."""
    parts = parts_of(address)
    module = module_of(parts)
    return module, ".".join(name for name, _ in parts[2 * len(module) :])


@dataclass(frozen=True, slots=True)
class Statement:
    """`moved` (from `old` to `new`), `removed` with `destroy = false` (of `old`) or `import` (to `new`)."""

    module: Module
    old: Parts = ()
    new: Parts = ()

    def applied(self, address: str) -> str | None:
        """Where `address` goes by this statement, None when it is not concerned; an empty text when it is removed."""
        parts = parts_of(address)
        inside, rest = parts[: 2 * len(self.module)], parts[2 * len(self.module) :]
        if module_of(inside) != self.module or len(rest) < len(self.old) or not self.old:
            return None
        here, below = rest[: len(self.old)], rest[len(self.old) :]
        (name, key), (old_name, old_key) = here[-1], self.old[-1]
        if here[:-1] != self.old[:-1] or name != old_name or (below and self.old[0][0] != "module"):
            return None
        if not self.new:
            return "" if old_key in ("", key) else None
        new_name, new_key = self.new[-1]
        if old_key == new_key == "":
            return joined((*inside, *self.new[:-1], (new_name, key), *below))
        return joined((*inside, *self.new, *below)) if key == old_key else None


@dataclass(frozen=True, kw_only=True)
class Statements:
    """`blocks` are those of resources and data sources by module and address, `providers` the root's by `aws` or
    `aws.alias` with the expressions of some arguments, `calls` the `module` blocks, by the module that they call.
    `files` name the file of each of the `blocks`, `outputs` are the root's with what each value refers to, `states` the
    outputs that are read of other states, by the whole address of the data source: each a list, an object with these
    keys, or a text. `runs` names what an apply would run beside providers: a provisioner or an action, wherever it is
    written.
    """

    blocks: Mapping[tuple[Module, str], Block] = field(default_factory=dict)
    files: Mapping[tuple[Module, str], str] = field(default_factory=dict)
    providers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    calls: Mapping[Module, Block] = field(default_factory=dict)
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    moved: tuple[Statement, ...] = ()
    removed: tuple[Statement, ...] = ()
    imported: tuple[Statement, ...] = ()
    unreadable: str = ""
    states: Mapping[str, Mapping[str, Shape]] = field(default_factory=dict)
    runs: str = ""

    @property
    def single(self) -> Iterator[tuple[str, str, str]]:
        """Address, mode and type of each resource that has exactly one instance for sure."""
        many = [m for m, call in self.calls.items() if {"count", "for_each"} & call.members]
        for (module, address), block in self.blocks.items():
            if not {"count", "for_each"} & block.members and not any(module[: len(m)] == m for m in many):
                mode = "data" if block.type == "data" else "managed"
                yield _whole(module, address), mode, block.labels[0]

    @property
    def addresses(self) -> Iterator[str]:
        """Of every block of a resource or data source, without keys."""
        return (_whole(module, address) for module, address in self.blocks)

    def provider_of(self, address: str) -> str:
        """The root's provider configuration of an instance: `aws` or `aws.alias`."""
        module, place = config_address(address)
        block = self.blocks.get((module, place))
        name = _reference(block.attribute("provider")) if block is not None else ""
        name = name or place.removeprefix("data.").partition("_")[0]
        while module:
            call = self.calls.get(module)
            given = call.attribute("providers") if call is not None else None
            if given is not None:
                pairs = given.expression.children
                for key, value in zip(pairs[::2], pairs[1::2], strict=False):
                    if _words(key) == name:
                        name = _words(value)
                        break
            module = module[:-1]
        return name

    def place_of(self, address: str) -> tuple[str, int]:
        """File and line of an instance's block; an empty name when it has none."""
        place = config_address(address)
        return (self.files[place], self.blocks[place].line) if place in self.blocks else ("", 0)

    def moved_to(self, address: str) -> str:
        """Where `address` of the base is on the head, by the `moved` blocks, one after another."""
        for _ in range(len(self.moved)):
            new = next((new for s in self.moved if (new := s.applied(address)) not in (None, "", address)), None)
            if new is None:
                break
            address = new
        return address

    def is_forgotten(self, address: str) -> bool:
        return any(s.applied(address) == "" for s in self.removed)

    def is_imported(self, address: str) -> bool:
        return any(Statement(s.module, s.new).applied(address) == "" for s in self.imported)

    def lifecycle(self, address: str) -> dict[str, Any]:
        """The literal arguments of an instance's `lifecycle`, `ignore_changes` as texts."""
        found: dict[str, Any] = {}
        for block in self._lifecycles(address):
            for name in ("create_before_destroy", "prevent_destroy"):
                if block.literal(name) is not None:
                    found[name] = str(block.literal(name)).lower() == "true"
            if (ignored := block.attribute("ignore_changes")) is not None:
                texts = [_path(inner) for inner in ignored.expression.children]
                found["ignore_changes"] = "all" if _words(ignored.expression) == "all" else texts
        return found

    def triggers(self, address: str) -> Iterator[tuple[str, str]]:
        """What `replace_triggered_by` names: an address of the module without a key, and the attribute or empty."""
        for block in self._lifecycles(address):
            if (triggers := block.attribute("replace_triggered_by")) is not None:
                for inner in triggers.expression.children:
                    words = [str(step) for step in inner.steps if isinstance(step, str)]
                    if len(words) >= 2:
                        yield module_prefix(address) + ".".join(words[:2]), words[2] if len(words) > 2 else ""

    def _lifecycles(self, address: str) -> Iterator[Block]:
        block = self.blocks.get(config_address(address))
        return (inner for inner in (block.blocks if block else ()) if inner.type == "lifecycle")


def _whole(module: Module, address: str) -> str:
    return "".join(f"module.{name}." for name in module) + address


def implied(address: str, known: Collection[str]) -> str:
    """`address`, or what it is among `known` because its block got or lost a `count`: `q` and `q[0]`."""
    other = address.removesuffix("[0]") if address.endswith("[0]") else f"{address}[0]"
    return other if address not in known and other in known else address


def read_statements(modules: Mapping[Module, Mapping[str, bytes]]) -> Statements:
    """Of all modules, each with its files by path. A file that cannot be read makes the whole `unreadable`."""
    blocks: dict[tuple[Module, str], Block] = {}
    paths: dict[tuple[Module, str], str] = {}
    providers: dict[str, Mapping[str, str]] = {}
    calls: dict[Module, Block] = {}
    outputs: dict[str, tuple[str, ...]] = {}
    states: dict[tuple[Module, str], dict[str, Shape]] = {}
    runs = ""
    found: dict[str, list[Statement]] = {"moved": [], "removed": [], "import": []}
    for module, files in modules.items():
        # Override files come last, so that they win.
        for name in sorted((n for n in files if is_configuration(n)), key=lambda n: ("override." in n, n)):
            source = read_source(name, files[name])
            if isinstance(source, Unreadable):
                return Statements(unreadable=f"{name}: {source.what}")
            # Of every block: one of an override file joins the resource that `blocks` has from another file.
            runs = runs or next((b.kind for block in source.blocks for b in block.walk() if b.kind in _RUN), "")
            for block in source.blocks:
                for state, output, shape in _outputs_of_states(block):
                    _join(states.setdefault((module, state), {}), output, shape)
                if block.type in ("resource", "data") and len(block.labels) == 2:
                    address = ".".join(("data", *block.labels) if block.type == "data" else block.labels)
                    blocks.setdefault((module, address), block)
                    paths.setdefault((module, address), name)
                elif block.type == "provider" and block.labels and not module:
                    key = ".".join(filter(None, (block.labels[0], str(block.literal("alias") or ""))))
                    providers.setdefault(key, dict(_arguments(block, files[name].decode(errors="replace"))))
                elif block.type == "output" and block.labels and not module:
                    value = block.attribute("value")
                    outputs[block.labels[0]] = tuple(_references(value.expression)) if value is not None else ()
                elif block.type == "module" and block.labels:
                    calls.setdefault((*module, block.labels[0]), block)
                elif block.type in found:
                    forgets = any(b.literal("destroy") in (False, "false") for b in block.blocks)
                    if block.type != "removed" or forgets:
                        found[block.type].append(Statement(module, _address(block, "from"), _address(block, "to")))
    return Statements(
        blocks=blocks,
        files=paths,
        providers=providers,
        calls=calls,
        outputs=outputs,
        moved=tuple(found["moved"]),
        removed=tuple(found["removed"]),
        imported=tuple(found["import"]),
        states={_whole(*key): states.get(key, {}) for key in blocks if key[1].startswith(f"{'.'.join(_STATE)}.")},
        runs=runs,
    )


def _outputs_of_states(block: Block) -> Iterator[tuple[str, str, Shape]]:
    """Which outputs of which `terraform_remote_state` a block reads, and what each seems to be: how it is used says so,
    else its name.
    """
    attributes = (attribute for inner in block.walk() for attribute in inner.attributes)
    for reference in (e for a in attributes for e in a.expression.walk() if e.steps[:2] == _STATE):
        steps = reference.steps
        at = next((n for n, step in enumerate(steps[3:5], 3) if step == "outputs"), len(steps))
        if len(steps) > at + 1 and isinstance(output := steps[at + 1], str):
            below = steps[at + 2 : at + 3]
            is_list = isinstance(below[0], int | None) if below else _LISTED.search(output)
            shape: Shape = "list" if is_list else frozenset(map(str, below)) or "text"
            yield ".".join((*_STATE, str(steps[2]))), output, shape


def _join(outputs: dict[str, Shape], output: str, shape: Shape) -> None:
    """Keep what is known best: an object's keys, then a list."""
    known = outputs.get(output, "text")
    if isinstance(shape, frozenset):
        outputs[output] = shape | (known if isinstance(known, frozenset) else frozenset())
    elif shape == "list" or output not in outputs:
        outputs[output] = known if isinstance(known, frozenset) else shape


def _arguments(provider: Block, text: str) -> Iterator[tuple[str, str]]:
    """The source of those arguments of a provider block that decide what is planned, where it can be cut out."""
    for block, path in ((provider, "region"), *((b, "tags") for b in provider.blocks if b.type == "default_tags")):
        attribute = block.attribute(path)
        if attribute is not None and (source := expression_source(text, path, attribute.expression, attribute.line)):
            yield ("default_tags" if path == "tags" else path), source


def expression_source(text: str, name: str, expression: Expression, line: int) -> str:
    """The source of `name = expression`, which starts on `line` of `text`; empty when it cannot be cut out."""
    if line == 0:
        return ""
    lines = text.splitlines()[line - 1 :][:_MOST_LINES]
    start = re.search(rf"(?<![\w-]){re.escape(name)}\s*=", lines[0]) if lines else None
    if start is None:
        return ""
    so_far = lines[0][start.end() :]
    for following in (*lines[1:], None):
        candidate = so_far
        while candidate:
            source = read_source("x.tf", f"x = {candidate}\n".encode())
            if isinstance(source, TerraformSource) and len(source.attributes) == 1 and not source.blocks:
                if source.attributes[0].expression.spelling == expression.spelling:
                    return candidate.strip()
                break
            if not candidate.rstrip().endswith("}"):
                break
            candidate = candidate.rstrip()[:-1]
        if following is None:
            break
        so_far = f"{so_far}\n{following}"
    return ""


def _address(block: Block, name: str) -> Parts:
    """The address that an argument of a statement names."""
    attribute = block.attribute(name)
    if attribute is None:
        return ()
    expression = attribute.expression
    if isinstance(expression.value, str):
        return parts_of(expression.value)
    found: list[tuple[str, str]] = []
    for step, written in zip(expression.steps, _STEP.findall(expression.text), strict=False):
        if step is None:
            break  # a computed key: any
        if written.startswith("[") and found:
            key = f'["{step}"]' if isinstance(step, str) else f"[{step}]"
            found[-1] = (found[-1][0], key)
        else:
            found.append((str(step), ""))
    return tuple(found)


def _reference(attribute: Any) -> str:
    return _words(attribute.expression) if attribute is not None else ""


def _references(expression: Expression) -> Iterator[str]:
    if expression.kind is ExpressionKind.REFERENCE:
        yield _words(expression)
    for inner in expression.children:
        yield from _references(inner)


def _words(expression: Expression) -> str:
    """`aws.logs`, written as a reference or as a text."""
    return ".".join(map(str, expression.steps)) if expression.steps else str(expression.value or "")


def _path(expression: Expression) -> str:
    """`tags["x"]` of the reference to it."""
    if not expression.steps:
        return str(expression.value or "")
    found = str(expression.steps[0])
    for before, step in zip(expression.steps, expression.steps[1:], strict=False):
        # A name after an index is an attribute of a block; any other is a key of a map.
        found += f".{step}" if isinstance(before, int) else f"[{json.dumps(step)}]"
    return found
