"""Terraform in our own types: files, blocks and expressions as written; roots and environments; fetched modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import cached_property
from typing import Any, Final

from ops_agent.model.finding import Place

Scalar = str | int | float | bool | None
PathStep = str | int | None


class Unknown(Enum):
    """A value that cannot be read from the source alone."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN
UNSEEN = "${unseen}"
"""The same inside of texts, beside references (`${aws_sqs_queue.q.arn}`) and literals."""


class ExpressionKind(StrEnum):
    LITERAL = "literal"
    REFERENCE = "reference"
    TEMPLATE = "template"
    CALL = "call"
    TUPLE = "tuple"
    OBJECT = "object"
    CONDITIONAL = "conditional"
    FOR = "for"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One expression of HCL.

    `value` is a literal's value after escapes. `name` is a call's function in lower-level form (`core::file` is `file`,
    blanks removed), or an operator. `steps` is a reference's path (`var.a["b"][0]` is `("var", "a", "b", 0)`; None is a
    splat or an index that is computed), and of anything else the path into its value (`values(x)[0].arn` is an `other`
    with `(0, "arn")` and the call as its first child). `children` are parts of a template or tuple, arguments of a
    call, key and value in turn of an object, condition and both results of a conditional, computed indices of a
    reference, and every sub-expression of anything else. A `for` has its iterators as `name` (`k,v`) and as `children`
    the collection, the key if it makes a map (`is_map`), the value, and the condition if there is one. `text` is the
    source without comments and layout, given for the whole expression of an attribute and empty inside it. `line`
    counts from 1.
    """

    kind: ExpressionKind
    line: int
    text: str = ""
    value: Scalar = None
    name: str = ""
    steps: tuple[PathStep, ...] = ()
    children: tuple[Expression, ...] = ()
    is_map: bool = False

    @property
    def spelling(self) -> str:
        """Equal for two expressions that are written alike, in whatever place and layout."""
        inner = " ".join(child.spelling for child in self.children)
        return f"({self.kind}{' of a map' if self.is_map else ''} {self.name} {self.value!r} {self.steps} {inner})"

    @property
    def condition(self) -> tuple[Expression, ...]:
        """The condition of a `for`; empty without one, and for other expressions."""
        return self.children[3 if self.is_map else 2 :] if self.kind is ExpressionKind.FOR else ()

    @property
    def function(self) -> str:
        """The function that a call calls; empty for other expressions."""
        return self.name if self.kind is ExpressionKind.CALL else ""

    @property
    def pairs(self) -> tuple[tuple[Expression, Expression], ...]:
        """Keys and values of an object; none for other expressions."""
        of_object = self.children if self.kind is ExpressionKind.OBJECT else ()
        return tuple(zip(of_object[::2], of_object[1::2], strict=True))

    def walk(self) -> Iterator[Expression]:
        """This expression and every one inside it."""
        pending = [self]
        while pending:
            expression = pending.pop()
            yield expression
            pending.extend(reversed(expression.children))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """`name = expression`. `line` counts from 1."""

    name: str
    expression: Expression
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block. `text` is its source without comments and layout: two blocks with the same text mean the same."""

    type: str
    labels: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    blocks: tuple[Block, ...]
    line: int
    text: str

    @property
    def name(self) -> str:
        """How people call it: `resource "aws_sqs_queue" "orders"`."""
        return " ".join([self.type, *(f'"{label}"' for label in self.labels)])

    @property
    def label(self) -> str:
        """Its first label, the type of a resource or data source; empty without one."""
        return self.labels[0] if self.labels else ""

    @property
    def members(self) -> frozenset[str]:
        """Names of its attributes and nested blocks (`dynamic "x"` is `x`), which JSON syntax does not distinguish."""
        return frozenset(name for name, _ in self.parts)

    @property
    def parts(self) -> tuple[tuple[str, Attribute | Block], ...]:
        """Its attributes and nested blocks by those names."""
        return (*((a.name, a) for a in self.attributes), *((b.kind, b) for b in self.blocks))

    @property
    def kind(self) -> str:
        """The block's type; for `dynamic "x"` it is `x`."""
        return self.labels[0] if self.type == "dynamic" and self.labels else self.type

    def attribute(self, name: str) -> Attribute | None:
        return next((a for a in self.attributes if a.name == name), None)

    def literal(self, name: str) -> Scalar:
        """The value of an argument that is written out; None when it is computed or not there."""
        attribute = self.attribute(name)
        return attribute.expression.value if attribute is not None else None

    def walk(self) -> Iterator[Block]:
        """This block and every one inside it."""
        yield self
        for block in self.blocks:
            yield from block.walk()

    def arguments(self, *before: str) -> Iterator[tuple[tuple[str, ...], Attribute]]:
        """Every argument with its path (`("origin", "custom_header", "value")`), without `dynamic` and `content`."""
        for attribute in self.attributes:
            yield (*before, attribute.name), attribute
        for inner in self.blocks:
            path = before if self.type == "dynamic" and inner.type == "content" else (*before, inner.kind)
            yield from inner.arguments(*path)

    def expressions(self) -> Iterator[tuple[Attribute, Expression]]:
        """Every expression at any depth, with its attribute."""
        for block in self.walk():
            for attribute in block.attributes:
                for expression in attribute.expression.walk():
                    yield attribute, expression


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformSource:
    """One file that was read whole. Variable and backend files have attributes at the top and no blocks."""

    blocks: tuple[Block, ...] = ()
    attributes: tuple[Attribute, ...] = ()

    def of_type(self, *types: str) -> Iterator[Block]:
        return (b for b in self.blocks if b.type in types)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file that a reader refused: `what` is one sentence, `line` counts from 1 (0: the whole file)."""

    what: str
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment of a root. Paths are relative to the repository's root; None or empty: the file is missing.

    `account` is the 12-digit AWS account by the action's inputs. `unsettled` says in one sentence why it must not be
    planned: which of its files are meant, or which state, is unclear. A guess would be worse than no plan.
    """

    name: str
    account: str | None
    backend_file: str | None
    var_files: tuple[str, ...] = ()
    unsettled: str = ""


NO_ENVIRONMENT: Final = Environment(name="default", account=None, backend_file=None)
"""Where a root without environments is planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformRoot:
    """A root module: its directory (`.`: the repository's root), and the local modules that it reaches at any depth."""

    path: str
    environments: tuple[Environment, ...]
    local_modules: tuple[str, ...] = ()
    has_backend: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All roots of a repository, and its workflow files. `linked` are the directories of files that roots, modules and
    environments have through symbolic links.
    """

    roots: tuple[TerraformRoot, ...]
    workflows: tuple[str, ...]
    linked: tuple[str, ...] = ()

    @property
    def environment_names(self) -> tuple[str, ...]:
        return tuple(sorted({e.name for r in self.roots for e in r.environments}))


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformTarget:
    """One root in one environment: what a plan is made for."""

    root: TerraformRoot
    environment: Environment

    def __str__(self) -> str:
        return f"{self.root.path} ({self.environment.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineWish:
    """What one root asks of the engine. `required` are the constraints of `required_version`, each with its place;
    `loads_tofu` is a file that only OpenTofu loads; `pinned` is what a version file names: `terraform` or `tofu`, the
    exact version, and the place.
    """

    required: tuple[tuple[Place, str], ...] = ()
    loads_tofu: Place | None = None
    pinned: tuple[str, str, Place] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedEnvironment:
    """One environment as the policy file names it. Paths are relative to the repository's root."""

    name: str
    backend_file: str | None = None
    var_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedRoot:
    """One root module as the policy file names it: it replaces what discovery would guess for this directory."""

    path: str
    environments: tuple[MappedEnvironment, ...]


@dataclass(frozen=True, kw_only=True)
class FetchedModules:
    """The Terraform of the modules from outside that a base commit calls, to be judged as data.

    `files` are configurations and templates by path, each below a directory that no path of a repository can have.
    `by_source` leads from the `(source, version)` of a call in the repository to the directory of what came for it,
    `by_call` from a fetched directory and the name of a call in it to the directory of what that calls.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    by_source: Mapping[tuple[str, str], str] = field(default_factory=dict)
    by_call: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def directories(self) -> frozenset[str]:
        return frozenset(self.by_source.values()) | frozenset(self.by_call.values())

    @classmethod
    def joined(cls, parts: Iterable[FetchedModules]) -> FetchedModules:
        """All of several roots; of two that answer for one source the first one counts."""
        files: dict[str, bytes] = {}
        by_source: dict[tuple[str, str], str] = {}
        by_call: dict[tuple[str, str], str] = {}
        for part in parts:
            files.update(part.files)
            by_source = {**part.by_source, **by_source}
            by_call.update(part.by_call)
        return cls(files=files, by_source=by_source, by_call=by_call)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedType:
    """A type of resource or data source in the provider's own words: the provider's address, and the block of its
    schema as `providers schema -json` has it. `forces` are the paths of arguments whose change replaces the resource;
    None when that could not be found out, and `why`.
    """

    source: str
    block: Mapping[str, Any]
    forces: frozenset[tuple[str, ...]] | None = None
    why: str = ""
