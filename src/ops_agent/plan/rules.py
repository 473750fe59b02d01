"""Every rule over plans, by the id that a danger or a finding carries: the table behind docs/rules.md. A test compares
it with the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ops_agent.plan.dangers import LIFTED_BY_ALLOW_DESTROY


class Weight(Enum):
    """What a hit does; the value is the words of the page."""

    BLOCKS = "blocks"
    DANGER = "danger"
    EITHER = "danger or notice"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class PlanRule:
    """`name` is the part of the id behind `plan/`, `title` a sentence without a full stop."""

    name: str
    title: str
    weight: Weight = Weight.DANGER

    @property
    def id(self) -> str:
        return f"plan/{self.name}"

    @property
    def is_lifted_by_allow_destroy(self) -> bool:
        return self.id in LIFTED_BY_ALLOW_DESTROY


PLAN_TABLE: Final = (
    PlanRule("incomplete", "Terraform could not plan the whole change: some of it is deferred", Weight.BLOCKS),
    PlanRule(
        "destroys-stateful",
        "Something that holds data or an address people use is destroyed or replaced",
        Weight.BLOCKS,
    ),
    PlanRule(
        "secret-value", "A value that is, or looks like, a secret would be stored and shown in clear", Weight.BLOCKS
    ),
    PlanRule("foreign-region", "A region that is not the run's is named", Weight.BLOCKS),
    PlanRule(
        "unresolved-region",
        "The region cannot be seen; where the code itself sets it so on a resource, this blocks",
        Weight.EITHER,
    ),
    PlanRule("foreign-account", "An account that is not the organisation's is named"),
    PlanRule("other-account", "The account of another environment, or the organisation's root account, is named"),
    PlanRule("loses-data", "Stored data is deleted by the apply, or by a clock that it starts", Weight.EITHER),
    PlanRule("recovery-off", "What would bring data back, or tell what happened to it, is taken away", Weight.EITHER),
    PlanRule("one-way", "The old value cannot be set again", Weight.EITHER),
    PlanRule(
        "destroys-contents",
        "Something is destroyed together with all that it contains (`force_destroy`, `force_delete`)",
    ),
    PlanRule("no-final-snapshot", "A database is destroyed and no snapshot is kept"),
    PlanRule("no-backups", "No backups are kept from now on"),
    PlanRule(
        "protection-off", "A protection against deletion was on and is not, or cannot be told to be", Weight.EITHER
    ),
    PlanRule(
        "destroy-made-easy",
        "A later destroy asks fewer questions, keeps less, or leaves less time to notice it",
        Weight.EITHER,
    ),
    PlanRule("forgotten", "Terraform lets go of a resource: it stays in the account, managed by nobody"),
    PlanRule("takes-rights", "Rights that somebody has today are taken away"),
    PlanRule("locks-out", "A key is disabled, or a policy may lock out the team as well"),
    PlanRule("hidden-value", "A value that a reviewer must judge is marked sensitive"),
    PlanRule(
        "iam-wildcard",
        "A policy allows more than anything needs: `*`, a service's administration, a way to more rights",
    ),
    PlanRule("foreign-principal", "Everyone, or whoever a third party vouches for, is let in"),
    PlanRule("policy-unknown", "What a policy allows is known only after the apply", Weight.NOTICE),
    PlanRule("policy-unreadable", "A policy document cannot be read"),
    PlanRule(
        "open-to-everyone", "A network lets in every address, or it cannot be told from where it lets in", Weight.EITHER
    ),
    PlanRule("public-address", "A resource can be reached from the internet"),
    PlanRule("public-bucket", "A bucket is opened to the public"),
    PlanRule("public-function", "Anyone may call a function"),
    PlanRule("unencrypted", "Encryption is switched off, or a listener speaks plain HTTP"),
    PlanRule("runs-code", "A start script of a server changes", Weight.EITHER),
    PlanRule("runs-a-program", "An apply runs provisioners, which no plan shows"),
    PlanRule("runs-an-action", "An apply runs an action of a provider"),
    PlanRule("destroys", "Something without data of its own is destroyed or replaced", Weight.NOTICE),
    PlanRule("check-failed", "A `check` block does not hold, or cannot be evaluated", Weight.NOTICE),
)
