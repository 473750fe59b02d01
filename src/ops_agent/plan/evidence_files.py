"""What evidence is looked for in files: keys of workflows, and blocks and arguments of Terraform."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ops_agent.model.conversation import Assertion
from ops_agent.model.terraform import Attribute, Block, Expression, ExpressionKind, TerraformSource
from ops_agent.model.workflow import Workflow
from ops_agent.plan.evidence_values import steps_of
from ops_agent.terraform.hcl_tree_sitter import read_terraform
from ops_agent.workflows import evaluation
from ops_agent.workflows.reader import read_workflow
from ops_agent.workflows.shell import commands_of, script_lines

# Workflows.


def in_workflow(assertion: Assertion, content: bytes) -> list[Any] | str:
    """The values of a key of a workflow: `jobs.plan.environment`, `jobs.plan.steps.*.run`; or why there are none."""
    workflow = read_workflow(content)
    if not isinstance(workflow, Workflow):
        return "is not a workflow that can be read"
    steps = tuple(steps_of(assertion.key))
    below = assertion.op in ("exists", "absent")
    never = tuple(_never_run(workflow))
    found = [
        text
        for text in workflow.texts
        if _is_at(text.path, steps, below=below) and not any(text.path[: len(one)] == one for one in never)
    ]
    return [_commands(text.text) if text.path[-1] == "run" else text.text for text in found]


def _never_run(workflow: Workflow) -> Iterator[tuple[str, ...]]:
    """The places of the jobs and steps whose condition is always false."""
    never = {job.id for job in workflow.jobs if evaluation.holds(job.condition, {}) is False}
    for _ in workflow.jobs:  # GitHub skips what needs a skipped job, unless its condition says otherwise
        never |= {job.id for job in workflow.jobs if never & set(job.needs) and "()" not in job.condition}
    yield from (("jobs", name) for name in never)
    for job in workflow.jobs:
        for at, step in enumerate(job.steps):
            if evaluation.holds(step.condition, {}) is False:
                yield ("jobs", job.id, "steps", str(at))


def _is_at(path: tuple[str, ...], steps: tuple[str, ...], *, below: bool) -> bool:
    """Whether a scalar is the key's value or, if that is a list, one of it; or anything `below` the key."""
    more = path[len(steps) :]
    ends_here = not more or (len(more) == 1 and more[0].isdigit())
    return (
        (below or ends_here)
        and all(s in ("*", name) for s, name in zip(steps, path, strict=False))
        and len(path) >= len(steps)
    )


_SAYS: Final = frozenset({"echo", "printf", ":", "true", "false"})


def _commands(script: str) -> str:
    """The lines of a script without comments, and without those that only print something, do nothing or never run."""
    found, says, depth, dead = list[str](), False, 0, 0
    for line in script_lines(script):
        if not line.is_text:
            says = _only_says(line.text)
            words = _NESTS.findall(line.text)
            depth += sum(-1 if word in ("fi", "done", "esac", "}") else 1 for word in words)
            if depth <= 0 and line.text in ("exit", "exit 0") and not dead:
                break
            if not dead and re.match(r"if +false\b", line.text):
                if words[-1:] == ["fi"]:
                    continue
                dead = depth
            if dead and (depth < dead or (depth == dead and re.match("else|elif", line.text))):
                dead = 0
        if not says and not dead:
            found.append(line.text)
    return "\n".join(found)


_NESTS = re.compile(
    r"(?:^|[;&|]|\b(?:then|do|else)\b)\s*(?:[\w-]+ *\(\) *)?"
    r"(if|for|while|until|case|fi|done|esac|\{|\})(?![\w{])"
)
_NOWHERE = re.compile(r"[0-9&]*>+ *(?:/dev/null|&[12])\b|<<-? *[\"']?\w+[\"']?")


def _only_says(line: str) -> bool:
    if "<<" in line and re.match(r"cat\b", line):
        return not set("|>$`") & set(_NOWHERE.sub("", line))
    line = _NOWHERE.sub("", line)
    return not set("|>$`") & set(line) and all(words[0] in _SAYS for words in commands_of(line))


# Terraform.

_APART = re.compile(r" ?([.(\[]) ?| (?=[)\],])")
"""Blanks that the reader puts between the parts of an expression and that people do not."""


def in_terraform(assertion: Assertion, content: bytes) -> list[Any] | str:
    """The values of a block or argument: `resource.aws_sqs_queue.a.lifecycle.prevent_destroy`, `moved.to`; or why there
    are none. A block that is there counts as a value; what is no literal is shown as `${var.name}`.
    """
    source = read_terraform(content)
    if not isinstance(source, TerraformSource):
        return f"cannot be read: {source.what}"
    steps = steps_of(assertion.key)
    top = [(attribute.name, attribute) for attribute in source.attributes]
    return [*_parts(top, steps), *(value for block in source.blocks for value in _of_block(block, steps))]


def _of_block(block: Block, steps: Sequence[str]) -> Iterator[Any]:
    """`steps` begin with the block's type and labels."""
    own = (block.type, *block.labels)
    if len(steps) >= len(own) and all(step in ("*", name) for step, name in zip(steps, own, strict=False)):
        yield from _inside(block, steps[len(own) :])


def _inside(block: Block, steps: Sequence[str]) -> Iterator[Any]:
    if not steps:
        yield dict.fromkeys(block.members, True) or True
    elif block.type == "dynamic":
        for content in (inner for inner in block.blocks if inner.type == "content"):
            yield from _inside(content, steps)
    else:
        yield from _parts(block.parts, steps)


def _parts(parts: Sequence[tuple[str, Attribute | Block]], steps: Sequence[str]) -> Iterator[Any]:
    for name, part in parts:
        if steps[0] not in ("*", name):
            continue
        if isinstance(part, Block):
            yield from _inside(part, steps[1:])
        else:
            yield from _at(part.expression, steps[1:])


def _at(expression: Expression, steps: Sequence[str]) -> Iterator[Any]:
    if expression.function == "jsonencode" and len(expression.children) == 1:
        yield from _at(expression.children[0], steps)
    elif not steps:
        yield _written(expression)
    elif expression.kind is ExpressionKind.TUPLE:
        chosen = expression.children
        if steps[0].isdigit():
            chosen = chosen[int(steps[0]) : int(steps[0]) + 1]
        for one in chosen:
            yield from _at(one, steps[1:] if steps[0].isdigit() or steps[0] == "*" else steps)
    else:
        for key, value in expression.pairs:
            if steps[0] in ("*", str(_written(key))):
                yield from _at(value, steps[1:])


def _written(expression: Expression) -> Any:
    """A literal as it is, what is computed as text in `${}`, which no literal can imitate."""
    match expression.kind:
        case ExpressionKind.LITERAL:
            value = expression.value
            return value.replace("${", "$${") if isinstance(value, str) else value
        case ExpressionKind.TUPLE:
            return [_written(child) for child in expression.children]
        case ExpressionKind.OBJECT:
            return {str(_written(key)): _written(value) for key, value in expression.pairs}
        case ExpressionKind.TEMPLATE:
            return "".join(str(_written(child)) for child in expression.children)
        case ExpressionKind.REFERENCE:
            return f"${{{'.'.join('*' if step is None else str(step) for step in expression.steps)}}}"
    return (
        f"${{{_APART.sub(lambda found: found[1] or '', expression.text) or expression.name or expression.kind.value}}}"
    )
