"""The team's conventions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import TerraformFile, rule
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.terraform import Expression, ExpressionKind

_ENVIRONMENT_NAMES = re.compile(r"dev|development|prod|production|prd|staging|stg|homolog|hml", re.IGNORECASE)
_ENVIRONMENT_WORD = re.compile(rf"(^|[-_./:])({_ENVIRONMENT_NAMES.pattern})($|[-_./:])", re.IGNORECASE)
# Paths of machines and services, and commands: `/dev/null` is no environment.
_NO_NAME = re.compile(
    r".*(path|command|entry_?point|device|mount|health_?check|file|dir|directory|matcher|script).*", re.IGNORECASE
)
_DEVICE = re.compile(r"/dev/[a-z0-9/]+")
_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAG_VALUE_LENGTH = 256


@rule(Severity.NOTICE)
def hard_coded_environment(file: TerraformFile) -> Iterator[Finding]:
    """An environment's name is hard-coded in shared code.

    All environments share the code, so their names come from variables. Allowed are lists of valid values in a
    variable's validation, and paths and commands of machines.

    Remedy: Use `var.environment`, or a map over it.
    """
    if file.kind != "configuration" or file.environment is not None:
        return
    for piece in file.pieces():
        if piece.block is not None and piece.block.type in ("variable", "terraform", "moved", "module"):
            continue
        for name, value in piece.values:
            excused = {id(e) for o in value.walk() if o.kind is ExpressionKind.OBJECT for e in _excused(o)}
            for expression in value.walk() if not _NO_NAME.fullmatch(name) else ():
                text = expression.value if expression.kind is ExpressionKind.LITERAL else None
                if isinstance(text, str) and id(expression) not in excused and _names_environment(text):
                    yield file.hit(piece, f"`{text[:60]}` names an environment", expression)


@rule(Severity.NOTICE)
def tag_form(file: TerraformFile) -> Iterator[Finding]:
    """A tag does not follow the tagging standard.

    Where all `required_tags` are kebab-case, so are other keys. AWS accepts values of at most 256 characters.

    Remedy: Rename the key to kebab-case, or shorten the value.
    """
    required = file.policy.required_tags
    is_kebab = bool(required) and all(map(_KEBAB.fullmatch, required))
    for block in file.source.of_type("resource", "provider"):
        for attribute, expression in block.expressions():
            if attribute.name == "tags":
                for key, value in expression.pairs:
                    is_named = key.value == "Name" or key.value in file.policy.tag_values
                    if is_kebab and isinstance(key.value, str) and not (is_named or _KEBAB.fullmatch(key.value)):
                        yield file.hit(block, f"the tag key `{key.value}` is not kebab-case", key)
                    if isinstance(value.value, str) and len(value.value) > _TAG_VALUE_LENGTH:
                        what = f"the value of `{key.value}` has more than {_TAG_VALUE_LENGTH} characters"
                        yield file.hit(block, what, value)


@rule(Severity.NOTICE)
def undescribed_variable(file: TerraformFile) -> Iterator[Finding]:
    """A variable or output has no type or description.

    Others must be able to use it without asking its author.

    Remedy: Add `type` and `description`.
    """
    for block in file.source.of_type("variable", "output"):
        wanted = ("type", "description") if block.type == "variable" else ("description",)
        missing = [name for name in wanted if name not in block.members]
        if missing:
            names = " and no ".join(missing)
            yield file.hit(block, f"`{block.name}` has no {names}", names)


def _names_environment(text: str) -> bool:
    """True for a name that has an environment's in it; commands, sentences and devices are no names."""
    if any(c.isspace() for c in text):
        return False
    return _ENVIRONMENT_WORD.search(_DEVICE.sub("", text)) is not None


def _excused(value: Expression) -> Iterator[Expression]:
    """Keys of an object; the values below keys for paths and commands; those of a map over the environments."""
    keys, values = value.children[::2], value.children[1::2]
    yield from keys
    is_map = all(isinstance(k.value, str) and _ENVIRONMENT_NAMES.fullmatch(k.value) for k in keys)
    for key, inner in zip(keys, values, strict=True):
        if is_map or _NO_NAME.fullmatch(str(key.value)):
            yield from inner.walk()
