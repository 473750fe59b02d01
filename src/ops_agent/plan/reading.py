"""From `terraform show -json` to a TerraformPlan: every kind of change accounted for, or the plan is refused."""

from __future__ import annotations

import gc
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar

from ops_agent.model.errors import PolicyViolation, ToolchainError
from ops_agent.model.plan import OutputChange, PlanCounts, ResourceAction, ResourceChange, TerraformPlan
from ops_agent.model.policy import Policy
from ops_agent.plan.configuration import (
    ALARMS,
    Origins,
    Written,
    answers,
    configured_secrets,
    edges_of,
    inside,
    output_references,
)
from ops_agent.plan.dangers import dangers_of, failed_checks, provisioner_findings
from ops_agent.plan.deliveries import known_ends
from ops_agent.plan.iam import Trust
from ops_agent.plan.losses import made_here
from ops_agent.plan.masking import (
    Leaf,
    changed_keys,
    digest_of,
    leaves,
    masked,
    planned_leaves,
    secrets_of,
    without,
)
from ops_agent.plan.regions_and_accounts import RegionAndAccountFinder
from ops_agent.plan.secret_values import secret_findings, secrets_among
from ops_agent.plan.standards import standards_of
from ops_agent.text.redaction import Redactor

_T = TypeVar("_T", ResourceChange, OutputChange)
CUT_MARK: Final = "\n... (cut)\n"
MAX_PLAN_BYTES: Final = 200_000_000
"""Of JSON: about 90,000 changes. Reading takes about seven times as much memory."""
_ACTIONS: Final[dict[tuple[str, ...], ResourceAction]] = {
    ("no-op",): ResourceAction.NO_OP,
    ("create",): ResourceAction.CREATE,
    ("read",): ResourceAction.READ,
    ("update",): ResourceAction.UPDATE,
    ("delete",): ResourceAction.DELETE,
    ("forget",): ResourceAction.FORGET,
    ("delete", "create"): ResourceAction.REPLACE_DELETE_FIRST,
    ("create", "delete"): ResourceAction.REPLACE_CREATE_FIRST,
    ("create", "forget"): ResourceAction.REPLACE_FORGET,
}
"""https://developer.hashicorp.com/terraform/internals/json-format, "Change representation"; Terraform's jsonplan."""
_NAMES_THE_ACCOUNT: Final = ("plan/foreign-principal", "plan/new-destination")
"""Rules whose finding says more about a foreign account than that it is named."""
_REFUSED: Final = (
    "Nothing was published. Change the configuration so that one plan holds the whole change, then start the run again."
)


def read_plan(
    document: bytes,
    text: str,
    policy: Policy,
    *,
    redact: Callable[[str], str] = str,
    account: str | None = None,
    known_accounts: Collection[str] = (),
    untold: Collection[ResourceChange] = (),
    written: Written = lambda _: (),
) -> TerraformPlan:
    """Read a plan whole; linear in its size.

    `document` is `show -json`, `text` is `show -no-color` of the same plan file: empty when none was made, and with
    CUT_MARK as its end when it was too long (its counts can then not be compared). `redact` is the run's redactor,
    `account` the 12-digit account that the plan was made against, `known_accounts` those of AWS and image publishers:
    no strangers where they are named, and nobody to trust or to send data to. `untold` is what an offline plan cannot
    tell, to be listed among its changes. `written` says what the sources write where the plan knows no value.

    Raises ToolchainError when the document is not one that we understand completely (another major format, an unknown
    kind of change, counts that differ from Terraform's own summary, more than MAX_PLAN_BYTES), PolicyViolation when
    the plan is errored, incomplete or defers changes.
    """
    try:
        with _without_collector():
            return _read(document, text, policy, redact, account, known_accounts, untold, written)
    except RecursionError:
        raise ToolchainError("the plan's JSON is nested too deeply to be read") from None


def _read(
    document: bytes,
    text: str,
    policy: Policy,
    redact: Callable[[str], str],
    account: str | None,
    known_accounts: Collection[str],
    untold: Collection[ResourceChange],
    written: Written,
) -> TerraformPlan:
    plan = _parsed(document)
    hidden = configured_secrets(plan)
    entries = _entries(plan, "resource_changes")
    origins = Origins(plan, written)
    resources = _changes(entries, hidden, origins)
    changes = (
        *(one for one in resources if one.action is not ResourceAction.NO_OP),
        *(replace(one, why=redact(one.why)) for one in untold),
    )
    drift = tuple(
        one
        for one in _changes(_entries(plan, "resource_drift"), hidden, origins)
        if one.action is not ResourceAction.NO_OP
    )
    unchanged = tuple(one for one in resources if one.action is ResourceAction.NO_OP and one.mode == "managed")
    outputs = _outputs(plan, hidden)
    counts = PlanCounts.of(changes, outputs)
    if text and not text.endswith(CUT_MARK):
        _check_summary(text, counts, changes)
    named, shown = RegionAndAccountFinder(policy, account, known_accounts), set[Leaf]()
    for change in changes:
        strings = set(planned_leaves(change))
        named.add(change, strings)
        shown |= strings
        shown.update(leaves(change.before))
    invocations = _entries(plan, "action_invocations")
    for entry in invocations:
        strings = set(leaves(entry))
        named.add_strings(_address(entry), strings)
        shown |= strings
    for output in outputs:
        shown.update(leaves([output.before, output.after], output.name))
    for other in (*drift, *unchanged):  # pages show the one, evidence compares the other
        shown.update(leaves(other.after))
        if other.before != other.after:
            shown.update(leaves(other.before))
    ours = frozenset(policy.accounts.values())
    made = made_here(changes, origins.of)
    ends = known_ends(ours, changes, unchanged, origins.is_open, origins.texts, plan["answers"])
    trust = Trust(ends, frozenset(known_accounts), policy.owner, origins.document, origins.is_set)
    where, secrets = named.found(plan), secrets_among(shown, hidden, redact)
    known = Redactor(secrets)
    dangers = dangers_of(changes, map(_address, invocations), trust, ends, made)
    judged = {(one.rule, one.address) for one in dangers}
    edges, log_groups = edges_of(plan, changes), _log_groups(entries)
    judged |= {("plan/foreign-account", one.address) for one in dangers if one.rule in _NAMES_THE_ACCOUNT}
    return TerraformPlan(
        changes=_without(changes, secrets, known.redact),
        outputs=_without(outputs, secrets, known.redact),
        drift=_without(drift, secrets, known.redact),
        text=known.redact(redact(text)),
        canonical_hash=canonical_hash(document),
        dangers=(
            *secret_findings(changes, outputs, secrets),
            *(one for one in where.findings if (one.rule, one.address) not in judged),
            *provisioner_findings(plan, changes),
            *dangers,
            *failed_checks(plan),
        ),
        regions=where.regions,
        accounts=where.accounts,
        standards=standards_of(plan, changes, unchanged, edges, log_groups, origins, policy),
        edges=edges,
        invocations=tuple(map(_address, invocations)),
        log_groups=log_groups,
        unchanged=_without(unchanged, secrets, known.redact),
        made=made,
        notifies=frozenset(
            (one.address, topic)
            for one in changes
            if one.type in ALARMS
            for topic in origins.of(one.address, "alarm_actions") or ()
        ),
    )


# The document.

_TIME = re.compile(rb',"timestamp":"[^"\\]*"(?=(?:,"[a-z_]+":(?:true|false))*\}\s*\Z)')


def canonical_hash(document: bytes) -> str:
    """SHA-256 of a plan's JSON without its `timestamp`: two plans of the same change have the same hash.

    The engines write one line, their keys in a fixed order, with nothing but flags after the time. By hand:
    `terraform show -json FILE | sed -E 's/^(.*),"timestamp":"[^"]*"/\\1/' | sha256sum`.
    """
    at = document.rfind(b',"timestamp":"')
    found = _TIME.match(document, at) if at >= 0 else None
    parts = (document[: found.start()], document[found.end() :]) if found else (b"", document)
    digest = hashlib.sha256(parts[0])
    digest.update(parts[1].rstrip() + b"\n")
    return digest.hexdigest()


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's cyclic collector walks a growing document in vain, for a third of the time: JSON has no cycles."""
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


def _without(changes: tuple[_T, ...], secrets: Collection[str], redact: Callable[[str], str]) -> tuple[_T, ...]:
    """The same changes with the secrets that Terraform's marks miss hidden too, and still compared with others."""
    return tuple(_without_in(one, secrets, redact) for one in changes) if secrets else changes


def _without_in(change: _T, secrets: Collection[str], redact: Callable[[str], str]) -> _T:
    before, after = (without(value, secrets, redact) for value in (change.before, change.after))
    if (before, after) == (change.before, change.after):
        return change
    return replace(change, before=before, after=after, secrets=change.secrets + digest_of(change.before, change.after))


def _parsed(document: bytes) -> dict[str, Any]:
    """The document's members, of a format that is known and a plan that is whole."""
    if len(document) > MAX_PLAN_BYTES:
        size, most = (f"{number / 1e6:,.0f} MB" for number in (len(document), MAX_PLAN_BYTES))
        raise ToolchainError(
            f"the plan has {size} of JSON, and ops-agent reads at most {most}",
            hint="Split the root into smaller ones, then start the run again.",
        )
    try:
        plan = json.loads(document.decode(), parse_constant=_refuse_constant)
    except ValueError as error:
        raise ToolchainError(f"the plan's JSON cannot be read: {error}") from None
    if not isinstance(plan, dict):
        raise ToolchainError("the plan's JSON is not an object")
    plan["answers"] = list(answers(plan))
    for repeated in ("planned_values", "prior_state", "relevant_attributes"):
        plan.pop(repeated, None)
    version = plan.get("format_version")
    if not isinstance(version, str) or version.split(".")[0] != "1":
        raise ToolchainError(
            f"the plan's JSON has format version {str(version)[:20]!r}; this version of ops-agent reads 1.x",
            hint="Use a Terraform version that writes plan format 1.x, or update ops-agent.",
        )
    if plan.get("errored") is True:
        raise PolicyViolation("the plan is errored: Terraform wrote it although planning failed, so it shows nothing")
    if plan.get("deferred_changes") or plan.get("deferred_action_invocations"):
        raise PolicyViolation("the plan defers changes to a later run, so it is not the whole change", hint=_REFUSED)
    if plan.get("complete") is False:
        raise PolicyViolation(
            "the plan is incomplete: another plan and apply would follow, so it is not the whole change", hint=_REFUSED
        )
    return plan


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _entries(plan: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of the list `name`, each with an address."""
    found = plan.get(name) or []
    if not isinstance(found, list):
        raise ToolchainError(f"the plan's `{name}` are not a list")
    if not all(isinstance(entry, dict) and isinstance(entry.get("address"), str) for entry in found):
        raise ToolchainError(f"the plan's `{name}` hold an entry without an address")
    return found


def _address(entry: dict[str, Any]) -> str:
    return str(entry["address"])


# The entries of `resource_changes`, `resource_drift` and `output_changes`, typed and masked.


def _changes(entries: list[dict[str, Any]], hidden: list[str], origins: Origins) -> tuple[ResourceChange, ...]:
    """Every entry but the ephemeral ones; masked strings are added to `hidden`."""
    return tuple(change for entry in entries if (change := _change(entry, hidden, origins)) is not None)


def _change(entry: dict[str, Any], hidden: list[str], origins: Origins) -> ResourceChange | None:
    address = _address(entry)
    change: Any = entry.get("change")
    if entry.get("mode") == "ephemeral":
        return None
    action = _action(change, address)
    previous = entry.get("previous_address") if entry.get("previous_address") != address else None
    importing = change.get("importing")
    before = masked(change.get("before"), change.get("before_sensitive"), None, hidden)
    after = masked(change.get("after"), change.get("after_sensitive"), change.get("after_unknown"), hidden)
    if action is ResourceAction.NO_OP:
        if previous is not None:
            action = ResourceAction.MOVE
        elif importing is not None:
            action = ResourceAction.IMPORT
    paths = change.get("replace_paths")
    return ResourceChange(
        address=address,
        type=str(entry.get("type", "")),
        action=action,
        mode=str(entry.get("mode", "managed")),
        replace_paths=tuple(map(_path, paths)) if isinstance(paths, list) else (),
        previous_address=None if previous is None else str(previous),
        import_id=_import_id(importing),
        before=before,
        after=after,
        changed_attributes=_changed(change, before, after),
        secrets=secrets_of(change, before, after),
        sources=origins.sources(address, change.get("after_unknown")),
    )


def _action(change: Any, whose: str) -> ResourceAction:
    actions = change.get("actions") if isinstance(change, dict) else None
    if not isinstance(actions, list) or not all(isinstance(action, str) for action in actions):
        raise ToolchainError(f"the plan does not say what happens to {whose[:200]}")
    known = _ACTIONS.get(tuple(actions))
    if known is None:
        raise ToolchainError(f"the plan holds an unknown kind of change: {str(actions)[:80]} for {whose[:200]}")
    return known


def _changed(change: dict[str, Any], before: Any, after: Any) -> tuple[str, ...]:
    """Also what differs below two equal masks: a value must not change unseen because it is sensitive."""
    shown = changed_keys(before, after)
    if before is None or after is None:
        return shown
    marks = (change.get("before_sensitive"), change.get("after_sensitive"))
    marked = {key for tree in marks if isinstance(tree, dict) for key, mark in tree.items() if mark}
    hidden = {
        key
        for key in marked
        for old, new in [(inside(change, "before", key), inside(change, "after", key))]
        if old != new and (old is not inside(before, key) or new is not inside(after, key))
    }
    return tuple(sorted({*shown, *hidden})) if hidden else shown


def _path(steps: Any) -> str:
    return ".".join(map(str, steps)) if isinstance(steps, list) else str(steps)


def _import_id(importing: Any) -> str | None:
    """The id, the identity as JSON, or `(unknown)`: the object's contents are all optional."""
    if importing is None or importing is False:
        return None
    if isinstance(importing, dict):
        if isinstance(importing.get("id"), str):
            return str(importing["id"])
        if importing.get("identity"):
            return json.dumps(importing["identity"], sort_keys=True)[:500]
    return "(unknown)"


def _outputs(plan: dict[str, Any], hidden: list[str]) -> tuple[OutputChange, ...]:
    """Outputs that change, by name."""
    found = plan.get("output_changes") or {}
    if not isinstance(found, dict):
        raise ToolchainError("the plan's `output_changes` are not an object")
    outputs = []
    for name, change in sorted(found.items()):
        action = _action(change, f"output {name}")
        after = masked(change.get("after"), change.get("after_sensitive"), change.get("after_unknown"), hidden)
        before = masked(change.get("before"), change.get("before_sensitive"), None, hidden)
        if action is not ResourceAction.NO_OP:
            outputs.append(
                OutputChange(
                    name=name,
                    action=action,
                    before=before,
                    after=after,
                    secrets=secrets_of(change, before, after),
                    references=output_references(plan, name),
                )
            )
    return tuple(outputs)


def _log_groups(entries: list[dict[str, Any]]) -> frozenset[str]:
    """Names of the log groups after an apply, also of those that do not change; empty for one known only then."""
    groups = (entry["change"].get("after") for entry in entries if entry.get("type") == "aws_cloudwatch_log_group")
    names = (group.get("name") for group in groups if isinstance(group, dict))
    return frozenset(name if isinstance(name, str) else "" for name in names)


# Our counts against Terraform's own summary line: two readers of one plan must agree, or the plan is refused.

_LINE = re.compile(r"^Plan: ((?:[0-9]+ to [a-z]+(?:, )?)+)\.(?: Actions: [0-9]+ to invoke\.)?$", re.MULTILINE)
_PART = re.compile(r"([0-9]+) to ([a-z]+)")


def summary_of(text: str) -> dict[str, int] | None:
    """`{"add": 1, "change": 0, ...}` from the line `Plan: 1 to add, ...` of `terraform show`; None without one.

    The line begins at the margin, where user text never does: `show` indents every value. The last one is Terraform's.
    """
    lines = _LINE.findall(text)
    return {word: int(number) for number, word in _PART.findall(lines[-1])} if lines else None


def _check_summary(text: str, counts: PlanCounts, changes: tuple[ResourceChange, ...]) -> None:
    theirs = summary_of(text)
    if theirs is None:
        if counts.add or counts.change or counts.destroy or counts.import_:
            raise ToolchainError(f"Terraform's text has no summary line, its JSON says {counts.line}")
        return
    kept = sum(change.action is ResourceAction.REPLACE_FORGET for change in changes)
    ours = {"change": counts.change, "destroy": counts.destroy, "import": counts.import_}
    differing = {word for word, number in ours.items() if theirs.get(word, 0) != number}
    if not counts.add - kept <= theirs.get("add", 0) <= counts.add:
        differing.add("add")
    if "forget" in theirs and not counts.forget - kept <= theirs["forget"] <= counts.forget:
        differing.add("forget")
    differing |= theirs.keys() - {"add", "change", "destroy", "import", "forget"}
    if differing:
        words = ", ".join(f"{number} to {word}" for word, number in theirs.items())
        raise ToolchainError(
            f"Terraform's summary ({words}) and its JSON ({counts.line}) differ in: {', '.join(sorted(differing))}"
        )
