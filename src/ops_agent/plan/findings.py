"""The rules over plans: what the modules of this package may find, and with what weight (docs/rules.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.work_item import ALLOW_ACCESS, ALLOW_DESTROY

BLOCKS, DECISION, NOTICE = Severity.BLOCKS, Severity.DECISION, Severity.NOTICE


@dataclass(frozen=True, slots=True)
class PlanRule:
    """`title` is a sentence without a full stop; `severities` are what its findings may weigh, the usual one first.

    `lifted_by`: the label with which a writer allows what blocks; it is on the danger list all the same.
    """

    name: str
    title: str
    severities: tuple[Severity, ...] = (DECISION,)
    remedy: str = ""
    lifted_by: str = ""

    @property
    def id(self) -> str:
        return f"plan/{self.name}"


_LABEL: Final = (
    f"If it must be, a person with write permission adds the label `{ALLOW_ACCESS}` to the issue, and then the label "
    "that starts a run."
)
_GRANT: Final = "Allow only the actions and resources that are needed. " + _LABEL
_PRIVATE: Final = "Keep it private. " + _LABEL

DANGERS: Final = (
    PlanRule(
        "destroys-stateful",
        "Something that holds data, or an address that people use, is destroyed or replaced",
        (BLOCKS,),
        "Keep the resource; if it must go, a person with write permission adds the label `allow-destroy` to the issue, "
        "and then the label that starts a run.",
        lifted_by=ALLOW_DESTROY,
    ),
    PlanRule(
        "secret-value",
        "A value that is a secret, or looks like one, would be stored and shown in clear text",
        (BLOCKS,),
        "Refer to the secret by its name or ARN, or mark the variable or output as sensitive.",
    ),
    PlanRule("foreign-region", "A region other than the run's", (BLOCKS,), "Use the run's region only."),
    PlanRule(
        "unresolved-region",
        "The region cannot be seen in the plan; when the code itself sets it on a resource, this blocks",
        (DECISION, BLOCKS, NOTICE),
        "Set the region to a constant, or to a variable of the root module.",
    ),
    PlanRule("foreign-account", "An account that is not one of the inputs'"),
    PlanRule("other-account", "The account of another environment, or the organisation's root account"),
    PlanRule("loses-data", "The apply deletes stored data, or lets it expire", (DECISION, NOTICE)),
    PlanRule("recovery-off", "Backups, versions, audit logs or their protection are removed", (DECISION, NOTICE)),
    PlanRule("one-way", "The old value cannot be set again", (DECISION, NOTICE)),
    PlanRule("destroys-contents", "A resource is destroyed with all its contents (`force_destroy`, `force_delete`)"),
    PlanRule("no-final-snapshot", "A database is destroyed without a final snapshot"),
    PlanRule("no-backups", "Automatic backups are switched off"),
    PlanRule(
        "protection-off",
        "Deletion protection, or another protection, is switched off or not known to stay on",
        (BLOCKS, DECISION),
        "Keep it. " + _LABEL,
        lifted_by=ALLOW_ACCESS,
    ),
    PlanRule("destroy-made-easy", "A later destroy keeps less, or leaves less time to notice it", (DECISION, NOTICE)),
    PlanRule("forgotten", "Terraform forgets a resource: it stays in the account, unmanaged"),
    PlanRule("takes-rights", "Permissions that somebody has today are taken away"),
    PlanRule("locks-out", "A key is disabled, or a policy may lock everyone out"),
    PlanRule("hidden-value", "A value that a reviewer must judge is marked sensitive"),
    PlanRule("administrator", "Every action is allowed", (BLOCKS, DECISION), _GRANT, lifted_by=ALLOW_ACCESS),
    PlanRule(
        "iam-wildcard",
        "A policy allows too much: all of a service, or a way to more permissions",
        (DECISION, NOTICE),
        _GRANT,
    ),
    PlanRule(
        "foreign-principal",
        "Everyone, another account, or whoever an identity provider names, gets access",
        (BLOCKS, DECISION),
        "Name the principal, or close the statement with a condition on accounts, ARNs or the organization. " + _LABEL,
        lifted_by=ALLOW_ACCESS,
    ),
    PlanRule(
        "new-destination",
        "Data goes to a host, an account or a bucket that the base branch does not know",
        (BLOCKS, DECISION),
        "Deliver to a host or account that the repository uses already. " + _LABEL,
        lifted_by=ALLOW_ACCESS,
    ),
    PlanRule(
        "logging-off",
        "Audit, access, flow or threat logging, a firewall or an alarm is taken away, or not known to stay",
        (BLOCKS, DECISION),
        "Keep it. " + _LABEL,
        lifted_by=ALLOW_ACCESS,
    ),
    PlanRule(
        "policy-unknown",
        "What a policy allows is known only after the apply",
        remedy="Write actions and principals as constants, in `data.aws_iam_policy_document`.",
    ),
    PlanRule("policy-unreadable", "A policy document cannot be read"),
    PlanRule(
        "open-to-everyone",
        "A network lets in every address or a large part of them, or they are known only after the apply",
        (DECISION, NOTICE),
    ),
    PlanRule("public-address", "A resource can be reached from the internet"),
    PlanRule(
        "public-data",
        "A data store or a snapshot is opened to the public, or not known to stay private",
        (BLOCKS, DECISION),
        _PRIVATE,
        lifted_by=ALLOW_ACCESS,
    ),
    PlanRule(
        "public-function",
        "Anyone may call a function, or who may is known only after the apply",
        (BLOCKS, DECISION),
        _PRIVATE,
        lifted_by=ALLOW_ACCESS,
    ),
    PlanRule("unencrypted", "Encryption is switched off, or a listener speaks plain HTTP"),
    PlanRule("runs-code", "The start script of a server changes", (DECISION, NOTICE)),
    PlanRule("runs-a-program", "The apply runs provisioners, which no plan shows"),
    PlanRule("runs-an-action", "The apply runs an action of a provider"),
    PlanRule("destroys", "Something without data of its own is destroyed or replaced", (NOTICE,)),
    PlanRule(
        "cannot-tell",
        "Whether a resource is changed in place or replaced cannot be told without the account",
        (DECISION, NOTICE),
        "Plan this environment with its account before the merge, or look the value up there.",
    ),
    PlanRule("check-failed", "A `check` block fails, or cannot be evaluated", (NOTICE,)),
)
STANDARDS: Final = (
    PlanRule(
        "required-tags",
        "A resource lacks tags that `required_tags` names",
        (Severity.WARNING, NOTICE),
        "Put the tags into `default_tags` of the provider, or set `tags = local.tags`.",
    ),
    PlanRule(
        "tag-value",
        "A tag has a value that `tag_values` does not allow",
        (Severity.WARNING,),
        "Take the value from a variable, or from a map over it.",
    ),
    PlanRule(
        "log-retention", "A log group keeps its logs for ever", (NOTICE,), "Set `retention_in_days` from a variable."
    ),
    PlanRule(
        "capacity-mode",
        "A table or a stream is not on demand",
        (NOTICE,),
        'Set `billing_mode = "PAY_PER_REQUEST"` (a stream: `stream_mode_details`) and remove the capacities.',
    ),
    PlanRule(
        "not-encrypted",
        "Something that AWS does not encrypt by itself is left unencrypted at rest",
        (NOTICE,),
        "Switch encryption on, or name a key that those who use it may use.",
    ),
    PlanRule(
        "open-bucket",
        "A new bucket has no public access block of its own",
        (NOTICE,),
        "Add `aws_s3_bucket_public_access_block` with all four arguments on.",
    ),
    PlanRule(
        "unwatched",
        "Something new that runs has no logs or no alarm",
        (NOTICE,),
        "Add a log group with `retention_in_days` and an alarm that notifies somebody, or say in the pull "
        "request what watches it.",
    ),
)
"""Advice about what a change creates or changes: listed with the findings over files, not among the dangers."""
PLAN_TABLE: Final = (*DANGERS, *STANDARDS)
_BY_NAME: Final = {rule.name: rule for rule in PLAN_TABLE}
LIFTED_BY: Final = {rule.id: rule.lifted_by for rule in PLAN_TABLE if rule.lifted_by}
"""Rule -> the label that lifts it."""


def finding(name: str, address: str, what: str, severity: Severity | None = None, *, certain: bool = True) -> Finding:
    """A finding of the rule called `name`; without a severity it has the rule's usual one."""
    rule = _BY_NAME[name]
    weight = rule.severities[0] if severity is None else severity
    if weight not in rule.severities:
        raise ValueError(f"{rule.id} cannot be of the severity {weight.name}")
    return Finding(
        rule=rule.id,
        what=what,
        severity=weight,
        address=address,
        title=rule.title,
        remedy=rule.remedy or "Change the configuration, or tell the reviewer why it is meant.",
        certain=certain,
    )


def rank(found: Finding) -> tuple[Severity, bool, bool]:
    """Sorts findings of plans: the heaviest first, then destroys, then what loses data."""
    return found.severity, not found.rule.startswith("plan/destroys"), found.rule != "plan/loses-data"


def is_final(found: Finding) -> bool:
    """Whether something is lost that the old code does not bring back: a destroyed resource, or data."""
    return found.rule.startswith("plan/destroys") or found.rule == "plan/loses-data"


def table(name: str) -> Any:
    """A data file of this package, parsed."""
    return json.loads(files(__package__).joinpath("data", f"{name}.json").read_text(encoding="utf-8"))
