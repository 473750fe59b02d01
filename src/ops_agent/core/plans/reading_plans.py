"""From `terraform show -json` to a TerraformPlan: every kind of change accounted for, or the plan is refused."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ops_agent.core.plans.dangers import dangers_of
from ops_agent.core.plans.plan_checks import failed_checks
from ops_agent.core.plans.plan_document import PlanDocument
from ops_agent.core.plans.plan_places import PlaceFinder
from ops_agent.core.plans.plan_programs import program_dangers
from ops_agent.core.plans.plan_references import edges_of
from ops_agent.core.plans.plan_secrets import SecretFinder, configured_secrets, output_leaves, secret_dangers
from ops_agent.core.plans.plan_summary import check_summary
from ops_agent.core.plans.plan_values import leaves, planned_leaves
from ops_agent.core.plans.reading_plan_changes import count, read_entry, read_outputs
from ops_agent.core.texts.redaction import Redactor
from ops_agent.domain.policy import Policy
from ops_agent.domain.terraform_plan import ResourceChange, TerraformPlan
from ops_agent.errors import PolicyViolation, ToolchainError

CUT_MARK = "\n... (cut)\n"
_STREAMED = ("resource_changes", "resource_drift")
_WHOLE = frozenset(
    {"format_version", "terraform_version", "variables", "configuration", "output_changes", "action_invocations"}
    | {"deferred_changes", "deferred_action_invocations", "applyable", "complete", "errored", "checks"}
)
"""Members that are used; the others (`planned_values`, `prior_state`, ...) say the same again or nothing about the change."""
_REFUSED = "Nothing was published. Change the configuration so that one plan holds the whole change, then start the run again."


def read_plan(
    document: bytes,
    text: str,
    policy: Policy,
    *,
    redact: Callable[[str], str] = str,
    account: str | None = None,
) -> TerraformPlan:
    """Read a plan whole; linear in its size.

    `document` is `show -json`, `text` is `show -no-color` of the same plan file: empty when none was made, and with CUT_MARK as its end
    when it was too long (its counts can then not be compared). `redact` is the run's redactor, `account` the 12-digit account that the
    plan was made against.

    Raises ToolchainError when the document is not one that we understand completely (another major format, an unknown kind of change,
    counts that differ from Terraform's own summary), PolicyViolation when the plan is errored, incomplete or defers changes.
    """
    try:
        with _without_collector():
            return _read(document, text, policy, redact, account)
    except RecursionError:
        raise ToolchainError("the plan's JSON is nested too deeply to be read") from None


def _read(document: bytes, text: str, policy: Policy, redact: Callable[[str], str], account: str | None) -> TerraformPlan:
    hidden: list[str] = []
    finder, secret_finder = PlaceFinder(policy, account), SecretFinder(redact)

    def look(change: ResourceChange) -> None:
        strings = set(planned_leaves(change))
        finder.add(change, strings)
        secret_finder.add(strings)
        secret_finder.add(leaves(change.before))

    plan, changes, drift, log_groups, canonical_hash = _parsed(document, hidden, look)
    hidden += configured_secrets(plan)
    outputs = read_outputs(plan, hidden)
    counts = count(changes, outputs)
    if text and not text.endswith(CUT_MARK):
        check_summary(text, counts, changes)
    invocations = _invocations(plan)
    for entry in plan.get("action_invocations") or ():
        strings = set(leaves(entry))
        finder.named(str(entry.get("address")), strings)
        secret_finder.add(strings)
    for _, shown in output_leaves(plan):
        secret_finder.add(shown)
    places, secrets = finder.places(plan), secret_finder.secrets(hidden)
    return TerraformPlan(
        format_version=str(plan["format_version"]),
        terraform_version=str(plan.get("terraform_version", "")),
        changes=changes,
        outputs=outputs,
        drift=drift,
        counts=counts,
        text=Redactor(secrets).redact(redact(text)),
        canonical_hash=canonical_hash,
        dangers=(
            *secret_dangers(changes, plan, secrets),
            *places.dangers,
            *program_dangers(plan, changes),
            *dangers_of(changes, invocations),
            *failed_checks(plan),
        ),
        applyable=plan.get("applyable") is not False,
        complete=True,
        regions=places.regions,
        accounts=places.accounts,
        edges=edges_of(plan, changes),
        invocations=invocations,
        log_groups=log_groups,
    )


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's cyclic collector walks a growing document again and again, in vain: JSON has no cycles (measured: a third of the time)."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        # What is new counts as old, without a walk over it.
        gc.freeze()
        gc.unfreeze()
        gc.enable()


Parsed = tuple[dict[str, Any], tuple[ResourceChange, ...], tuple[ResourceChange, ...], frozenset[str], str]


def _parsed(document: bytes, hidden: list[str], look: Callable[[ResourceChange], None]) -> Parsed:
    """(members that are read whole, changes, drift, log groups, canonical hash). What makes the plan unreadable as a whole is said first.

    `look` sees each change while its values are still in the processor's cache.
    """
    plan: dict[str, Any] = {}
    changes: dict[str, list[ResourceChange]] = {name: [] for name in _STREAMED}
    refused: ToolchainError | None = None
    log_groups: set[str] = set()
    source = PlanDocument(document, unhashed=frozenset({"timestamp"}))
    for name in source.members():
        if name in _STREAMED:
            for entry in source.elements(name):
                try:
                    change = read_entry(entry, hidden) if refused is None else None
                except ToolchainError as error:
                    refused, change = error, None
                if refused is None and entry.get("type") == "aws_cloudwatch_log_group":
                    log_groups |= _kept_name(entry["change"])
                if change is not None:
                    changes[name].append(change)
                    if name == "resource_changes":
                        look(change)
        elif name in _WHOLE:
            plan[name] = source.value()
        else:
            source.skip()
    _known_format(plan)
    _refuse_partial(plan)
    if refused is not None:
        raise refused
    return plan, tuple(changes["resource_changes"]), tuple(changes["resource_drift"]), frozenset(log_groups), source.canonical_hash


def _kept_name(change: dict[str, Any]) -> set[str]:
    """The name that a resource has after an apply, empty when it is known only then; nothing for one that goes."""
    after = change.get("after")
    if not isinstance(after, dict):
        return set()
    name = after.get("name")
    return {name if isinstance(name, str) else ""}


def _known_format(plan: dict[str, Any]) -> None:
    version = plan.get("format_version")
    if not isinstance(version, str) or version.split(".")[0] != "1":
        raise ToolchainError(
            f"the plan's JSON has format version {str(version)[:20]!r}; this version of ops-agent reads 1.x",
            hint="Use a Terraform version that writes plan format 1.x, or update ops-agent.",
        )


def _refuse_partial(plan: dict[str, Any]) -> None:
    if plan.get("errored") is True:
        raise PolicyViolation("the plan is errored: Terraform wrote it although planning failed, so it shows nothing")
    if plan.get("deferred_changes") or plan.get("deferred_action_invocations"):
        raise PolicyViolation("the plan defers changes to a later run, so it is not the whole change", hint=_REFUSED)
    if plan.get("complete") is False:
        raise PolicyViolation("the plan is incomplete: another plan and apply would follow, so it is not the whole change", hint=_REFUSED)


def _invocations(plan: dict[str, Any]) -> tuple[str, ...]:
    found = plan.get("action_invocations") or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) and isinstance(entry.get("address"), str) for entry in found):
        raise ToolchainError("the plan's `action_invocations` have an unknown shape")
    return tuple(entry["address"] for entry in found)
