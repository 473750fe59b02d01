"""From `terraform show -json` to a TerraformPlan: every kind of change accounted for, or the plan is refused."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ops_agent.core.plans.dangers import dangers_of
from ops_agent.core.plans.plan_places import PlaceFinder
from ops_agent.core.plans.plan_references import edges_of
from ops_agent.core.plans.plan_secrets import SecretFinder, configured_secrets, output_leaves, secret_dangers
from ops_agent.core.plans.plan_summary import check_summary
from ops_agent.core.plans.plan_values import leaves, planned_leaves
from ops_agent.core.plans.reading_plan_changes import count, read_drift, read_outputs, read_resources
from ops_agent.core.texts.redaction import Redactor
from ops_agent.domain.policy import Policy
from ops_agent.domain.terraform_plan import TerraformPlan
from ops_agent.errors import PolicyViolation, ToolchainError

CUT_MARK = "\n... (cut)\n"
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
    plan = _parsed(document)
    version = _known_format(plan)
    _refuse_partial(plan)
    hidden = configured_secrets(plan)
    changes = read_resources(plan, hidden)
    drift = read_drift(plan, hidden)
    outputs = read_outputs(plan, hidden)
    counts = count(changes, outputs)
    if text and not text.endswith(CUT_MARK):
        check_summary(text, counts, changes)
    finder, secret_finder = PlaceFinder(policy, account), SecretFinder(hidden, redact)
    finder.providers(plan)
    for change in changes:
        strings = planned_leaves(change)
        finder.add(change, strings)
        secret_finder.add(strings)
        secret_finder.add(leaves(change.before))
    for _, strings in output_leaves(plan):
        secret_finder.add(strings)
    places, secrets = finder.places(), secret_finder.secrets()
    invocations = _invocations(plan)
    return TerraformPlan(
        format_version=version,
        terraform_version=str(plan.get("terraform_version", "")),
        changes=changes,
        outputs=outputs,
        drift=drift,
        counts=counts,
        text=Redactor(secrets).redact(redact(text)),
        canonical_hash=_canonical_hash(plan),
        dangers=(*secret_dangers(changes, plan, secrets), *places.dangers, *dangers_of(changes, invocations)),
        applyable=plan.get("applyable") is not False,
        complete=True,
        regions=places.regions,
        accounts=places.accounts,
        edges=edges_of(plan, changes),
        invocations=invocations,
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
        gc.enable()


def _parsed(document: bytes) -> dict[str, Any]:
    try:
        plan = json.loads(document)
    except ValueError as broken:
        raise ToolchainError(f"the plan's JSON cannot be read: {broken.__class__.__name__} in {len(document)} bytes") from None
    if not isinstance(plan, dict):
        raise ToolchainError("the plan's JSON is not an object")
    return plan


def _known_format(plan: dict[str, Any]) -> str:
    version = plan.get("format_version")
    if not isinstance(version, str) or version.split(".")[0] != "1":
        raise ToolchainError(
            f"the plan's JSON has format version {str(version)[:20]!r}; this version of ops-agent reads 1.x",
            hint="Use a Terraform version that writes plan format 1.x, or update ops-agent.",
        )
    return version


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


def _canonical_hash(plan: dict[str, Any]) -> str:
    """SHA-256 over the JSON without `timestamp` and blanks: what `jq -c 'del(.timestamp)' plan.json | sha256sum` prints.

    Terraform writes its keys in a fixed order, so two plans of the same change have the same hash. Fed in parts, so that no second copy of
    the text is held.
    """
    encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    digest = hashlib.sha256()
    separator = "{"
    for key in plan:
        if key == "timestamp":
            continue
        digest.update(f"{separator}{encode(key)}:".encode(errors="surrogatepass"))
        separator = ","
        entries = plan[key]
        if isinstance(entries, list) and entries:
            for index, entry in enumerate(entries):
                digest.update((("," if index else "[") + encode(entry)).encode(errors="surrogatepass"))
            digest.update(b"]")
        else:
            digest.update(encode(entries).encode(errors="surrogatepass"))
    digest.update(b"}\n" if separator == "," else b"{}\n")
    return digest.hexdigest()
