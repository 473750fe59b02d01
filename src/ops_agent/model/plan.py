"""A terraform plan, read from `terraform show -json` (format_version 1.x): complete change accounting, values already
masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ops_agent.model.finding import Finding


class Hidden(str):
    """Stands where a value is not shown. Compare with `is`: a value that merely reads the same is a value."""

    __slots__ = ()


UNKNOWN: Final = Hidden("(known after apply)")
SENSITIVE: Final = Hidden("(sensitive value)")


class ResourceAction(StrEnum):
    """What happens to one resource; a closed list, an unknown combination refuses the plan."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE_DELETE_FIRST = "replace (delete first)"
    REPLACE_CREATE_FIRST = "replace (create first)"
    REPLACE_FORGET = "replace (forget old)"
    READ = "read"
    FORGET = "forget"
    MOVE = "move"
    IMPORT = "import"
    NO_OP = "no-op"

    @property
    def destroys(self) -> bool:
        return self in (ResourceAction.DELETE, ResourceAction.REPLACE_DELETE_FIRST, ResourceAction.REPLACE_CREATE_FIRST)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChange:
    """One entry of `resource_changes`. `before` and `after` are masked by both sensitive trees; unknown values are the
    constant UNKNOWN.
    """

    address: str
    type: str
    provider: str
    action: ResourceAction
    mode: str = "managed"
    reason: str | None = None
    replace_paths: tuple[str, ...] = ()
    previous_address: str | None = None
    import_id: str | None = None
    before: Any = None
    after: Any = None
    changed_attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputChange:
    """One entry of `output_changes`, masked as a resource's change is. `references` are what its expression names,
    sorted.
    """

    name: str
    action: ResourceAction
    sensitive: bool
    before: Any = None
    after: Any = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCounts:
    """As Terraform counts: a replace is one add and one destroy; moves are not counted."""

    add: int = 0
    change: int = 0
    destroy: int = 0
    replace: int = 0
    import_: int = 0
    move: int = 0
    forget: int = 0
    read: int = 0
    outputs: int = 0

    @property
    def line(self) -> str:
        """`+3 ~1 -0`, with loud words for what hurts and for what the three numbers do not show."""
        words = [f"+{self.add} ~{self.change} -{self.destroy}"]
        for count, word in (
            (self.replace, "REPLACE"),
            (self.destroy - self.replace, "DESTROY"),
            (self.import_, "import"),
            (self.move, "move"),
            (self.forget, "forget"),
        ):
            if count > 0:
                words.append(f"{count} {word}")
        return ", ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformPlan:
    """A plan that was read whole.

    `text` is `terraform show -no-color` after redaction; `canonical_hash` is SHA-256 of the JSON without `timestamp`.
    `changes` leaves out what stays as it is. `edges` are pairs (user, used) of changed resources, by the
    configuration's references; `invocations` are the provider actions that an apply would run. `log_groups` are the
    names of all CloudWatch log groups after an apply, also of those that stay as they are; an empty one is known only
    then.
    """

    format_version: str
    terraform_version: str
    changes: tuple[ResourceChange, ...]
    outputs: tuple[OutputChange, ...]
    drift: tuple[ResourceChange, ...]
    counts: PlanCounts
    text: str
    canonical_hash: str
    dangers: tuple[Finding, ...] = ()
    applyable: bool = True
    complete: bool = True
    regions: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    invocations: tuple[str, ...] = ()
    log_groups: frozenset[str] = frozenset()
