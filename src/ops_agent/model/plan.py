"""A terraform plan, read from `terraform show -json`: complete change accounting, values already masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sized
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ops_agent.model.finding import Finding


class Hidden(str):
    """In the place of a value that is not shown. Compare with `is`: a value that merely reads the same is a value."""

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
    CANNOT_TELL = "cannot tell without the account"

    @property
    def destroys(self) -> bool:
        return self in (ResourceAction.DELETE, ResourceAction.REPLACE_DELETE_FIRST, ResourceAction.REPLACE_CREATE_FIRST)

    @property
    def replaces(self) -> bool:
        return self.value.startswith("replace")

    @property
    def forgets(self) -> bool:
        return self in (ResourceAction.FORGET, ResourceAction.REPLACE_FORGET)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChange:
    """One entry of `resource_changes`. `before` and `after` are masked by both sensitive trees, and with UNKNOWN.
    `secrets` is equal for two changes whose hidden values are equal, in this process alone; empty when nothing is
    hidden as sensitive. `sources` is alike for what the configuration says where the plan does not show what comes of
    it: of what is known after apply, and of provisioners. `why` says of CANNOT_TELL, which only an offline plan has,
    what is missing.
    """

    address: str
    type: str
    action: ResourceAction
    mode: str = "managed"
    replace_paths: tuple[str, ...] = ()
    previous_address: str | None = None
    import_id: str | None = None
    before: Any = None
    after: Any = None
    changed_attributes: tuple[str, ...] = ()
    secrets: bytes = b""
    sources: bytes = b""
    why: str = ""

    @property
    def old(self) -> dict[str, Any]:
        """The attributes before; none for a creation, or when the whole resource is hidden."""
        return self.before if isinstance(self.before, dict) else {}

    @property
    def new(self) -> dict[str, Any]:
        """The attributes after; none for a destroy, or when the whole resource is hidden."""
        return self.after if isinstance(self.after, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputChange:
    """One entry of `output_changes`, masked alike. `references` are what its expression names, sorted."""

    name: str
    action: ResourceAction
    before: Any = None
    after: Any = None
    secrets: bytes = b""
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
    untold: int = 0

    @classmethod
    def of(cls, changes: Collection[ResourceChange], outputs: Sized) -> PlanCounts:
        """The counts of `changes` and `outputs`. A data source that goes is not counted: nothing real goes."""
        managed = [change for change in changes if change.mode == "managed"]
        kinds = Counter(change.action for change in managed)
        forgotten = kinds[ResourceAction.REPLACE_FORGET]
        replaced = kinds[ResourceAction.REPLACE_DELETE_FIRST] + kinds[ResourceAction.REPLACE_CREATE_FIRST]
        return cls(
            add=kinds[ResourceAction.CREATE] + replaced + forgotten,
            change=kinds[ResourceAction.UPDATE],
            destroy=kinds[ResourceAction.DELETE] + replaced,
            replace=replaced,
            import_=sum(change.import_id is not None for change in managed),
            move=sum(change.previous_address is not None for change in managed),
            forget=kinds[ResourceAction.FORGET] + forgotten,
            read=sum(change.action is ResourceAction.READ for change in changes),
            outputs=len(outputs),
            untold=kinds[ResourceAction.CANNOT_TELL],
        )

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
            (self.untold, "cannot be told"),
        ):
            if count > 0:
                words.append(f"{count} {word}")
        return ", ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformPlan:
    """A plan that was read whole.

    `text` is `terraform show -no-color` after redaction; `canonical_hash` is SHA-256 of the JSON without `timestamp`.
    `changes` leaves out what does not change, `unchanged` are these managed resources, masked too. `edges` are pairs
    (user, used) of changed resources, by the configuration's references; `invocations` are the provider actions that an
    apply would run. `log_groups` are the names of all CloudWatch log groups after an apply, also of those that stay as
    they are; an empty one is known only then. `made` is what the plan creates or sets on something that it creates
    (`plan.losses.made_here`). `standards` is advice (`plan.standards`), apart from the dangers. `notifies` are pairs of
    a changed alarm and a topic (without its key) where its actions come from, in whatever module.
    """

    changes: tuple[ResourceChange, ...]
    outputs: tuple[OutputChange, ...]
    drift: tuple[ResourceChange, ...]
    text: str
    canonical_hash: str
    dangers: tuple[Finding, ...] = ()
    standards: tuple[Finding, ...] = ()
    regions: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    invocations: tuple[str, ...] = ()
    log_groups: frozenset[str] = frozenset()
    unchanged: tuple[ResourceChange, ...] = ()
    made: frozenset[str] = frozenset()
    notifies: frozenset[tuple[str, str]] = frozenset()

    @property
    def counts(self) -> PlanCounts:
        return PlanCounts.of(self.changes, self.outputs)


class OfflineSide:
    """The base or the head of one environment as the offline plan sees it: only its maker looks inside."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflinePlan:
    """A plan without the account. `document` has the shape of `show -json`; `untold` are resources without an entry in
    it: they change, or may change, in a way that only the account decides. `refused` are errors that a plan with the
    account would end with too, each with the address of its resource.
    """

    document: bytes
    untold: tuple[ResourceChange, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
