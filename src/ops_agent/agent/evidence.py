"""Evidence for acceptance criteria as the llm gives it, and the tool that tries it before the end."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ops_agent.agent.workbench import COMPLETE, Entries, ToolRefusal, Workbench
from ops_agent.model.conversation import Assertion

Operator = Literal[
    "equals",
    "not_equals",
    "contains",
    "matches",
    "at_least",
    "at_most",
    "exists",
    "absent",
    "created",
    "updated",
    "destroyed",
]


class Evidence(BaseModel):
    """Something that code can look at to see that a criterion is met. Comments, Markdown, texts and names for people
    are no evidence.
    """

    model_config = COMPLETE

    kind: Literal["plan", "workflow", "terraform"] = Field(
        description="`plan`: a planned value; `workflow`: a key of a workflow; `terraform`: what the code says, for "
        "what no plan shows (a lifecycle, a validation, what is known after the apply). Text for people, such as "
        "`.md`, is no evidence: such a criterion has none."
    )
    where: str = Field(
        description="A resource's address as in the plan (`*` for any characters; without a key at the end all "
        "instances), or `output.NAME`, or the file's path."
    )
    key: str = Field(
        "",
        description="The attribute's path (`redrive_policy.maxReceiveCount`, JSON in a text is entered), or the key's "
        "in the workflow (`jobs.plan.steps.*.run`), or block and argument in the code "
        "(`resource.aws_sqs_queue.orders.lifecycle.prevent_destroy`). Empty for created, updated, destroyed.",
    )
    op: Operator = Field(
        description="`contains`: a part of a text, or one of several values; every other operator asks all values "
        "that the key leads to; `matches` knows `*`; created, updated and destroyed ask what the plan does. "
        "`not_equals` shows something only of what it was before, or of a pattern such as `*`."
    )
    value: str = Field(
        "", description="What the value is compared with, as text; what code computes is `${var.name}` there."
    )
    environments: list[str] = Field(
        default_factory=list, description="Only in these environments; empty: in every one that is planned."
    )

    @property
    def assertion(self) -> Assertion:
        return Assertion(**self.model_dump() | {"environments": tuple(self.environments)})


def _bare(schema: dict[str, Any]) -> None:
    schema["required"] = list(schema["properties"])
    for field in schema["properties"].values():
        field.pop("description")


class TriedEvidence(Evidence):
    """The same fields, which are described once."""

    model_config = ConfigDict(json_schema_extra=_bare)


def assert_(
    bench: Workbench,
    evidence: Annotated[Entries[TriedEvidence], "What to try; the fields are those of `finish`."],
) -> Any:
    """Try evidence before `finish`: for each whether it holds in the files and in the offline plan of what you have
    changed, and what was seen. It takes one of the checks only when something changed since the last one.
    """
    if bench.checked_at != bench.writes:
        if bench.checks_left <= 0:
            raise ToolRefusal("no checks are left in this run; finish, the action looks at the evidence anyway")
        bench.checks_left -= 1
    found = bench.look([one.assertion for one in evidence])
    bench.checked_at = bench.writes
    return found
