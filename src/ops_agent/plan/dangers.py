"""The danger list: what a reviewer must look at, by the plan's values: yes, no, or cannot tell until apply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import collapse_addresses, ip_network
from typing import Any, Final

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import UNKNOWN, Hidden, ResourceAction, ResourceChange
from ops_agent.plan.configuration import configured, without_key
from ops_agent.plan.deliveries import Known, delivery_findings
from ops_agent.plan.findings import finding, rank, table
from ops_agent.plan.iam import POLICY_DOCUMENTS, Trust, access_findings, policy_findings
from ops_agent.plan.losses import losses, made_here
from ops_agent.plan.masking import blocks, every, has_sensitive, number

_STATEFUL: Final[dict[str, str]] = {type_: lost for lost, types in table("stateful").items() for type_ in types}
"""Resource type -> what is lost with it: a new resource of the same name does not bring it back."""
_ARGUMENTS: Final = table("arguments")
DELETION_WINDOWS: Final[dict[str, str]] = _ARGUMENTS["deletion_windows"]
"""Resource type -> its argument with the days between a destroy and the deletion."""
_RANGES: Final[list[str]] = _ARGUMENTS["address_ranges"]
_JUDGED: Final = frozenset(
    {*POLICY_DOCUMENTS, *_RANGES, *_ARGUMENTS["other_judged"]}
    | {path.split(".")[0] for row in _ARGUMENTS["opened"] for path in row["paths"]}
)
"""The arguments that the checks of this package read."""
_ON: Final = (True, "ACTIVE")
"""A user pool's deletion protection is the string `ACTIVE`, not `true`."""
_OFF: Final = (False, None, "", "OFF", "DISABLED", "optional")
_WIDEST: Final = {4: (8, (ip_network("10.0.0.0/8"),)), 6: (16, (ip_network("fc00::/7"), ip_network("fe80::/10")))}
"""By the version of IP: a range with no longer prefix is the public, or a good part of it, but for the private ones."""
_CANNOT_TELL: Final = "cannot tell until apply"
_WEB_PORTS: Final = ("on port 80", "on port 443")
"""What a public load balancer listens on; who lets these in from everywhere runs a web server."""
_EVERY_PROTOCOL: Final = ("-1", "all")
_ICMP: Final = ("icmp", "icmpv6", "1", "58")
_LOGGING: Final[dict[str, str]] = _ARGUMENTS["logging"]
_WATCHING: Final[dict[str, str]] = _ARGUMENTS["watching"]
_NETWORK_ACLS: Final = ("aws_network_acl", "aws_default_network_acl", "aws_network_acl_rule")
"""These let in what security groups keep out, so an open one is only mentioned (VPC user guide, "Network ACLs")."""
_FAILED: Final = {"fail": "fails", "error": "cannot be evaluated"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What dangers are judged by beside a change itself: whom to trust, where data may go, what the plan creates."""

    trust: Trust = Trust()
    ends: Known | None = None
    made: frozenset[str] = frozenset()


def dangers_of(
    changes: Iterable[ResourceChange],
    invocations: Iterable[str] = (),
    trust: Trust = Trust(),  # noqa: B008 - frozen
    ends: Known | None = None,
    made: frozenset[str] | None = None,
) -> tuple[Finding, ...]:
    """Every danger of `changes` and of provider actions, the worst first, in the plan's order within. Without `ends`
    deliveries are not judged. `made`: see `losses.made_here`.
    """
    managed = [change for change in changes if change.mode == "managed"]
    around = Surroundings(trust, ends, made_here(managed) if made is None else made)
    found = [one for change in managed for one in _of_change(change, around)]
    found += [finding("runs-an-action", address, "the apply runs this provider action") for address in invocations]
    return tuple(sorted(found, key=rank))


def provisioner_findings(plan: dict[str, Any], changes: Iterable[ResourceChange]) -> Iterator[Finding]:
    """One for each changed resource whose configuration has provisioners. An update in place runs none.

    The source rules let the agent write none; but one in a module from outside, or on the base branch, runs with what
    the change hands to it, and no line of the plan's text shows it.
    """
    runs = {
        address: sorted({str(one.get("type"))[:60] for one in blocks(resource.get("provisioners"))})
        for address, resource, _ in configured(plan)
        if resource.get("provisioners")
    }
    for change in changes if runs else ():
        if change.mode == "managed" and (change.action is ResourceAction.CREATE or change.action.destroys):
            kinds = runs.get(without_key(change.address))
            if kinds:
                may = "may run" if change.action is ResourceAction.DELETE else "runs"
                why = f"the apply {may} its provisioners ({', '.join(kinds)}), which no plan shows"
                yield finding("runs-a-program", change.address, why)


def failed_checks(plan: dict[str, Any]) -> Iterator[Finding]:
    """A notice for each `check` block that fails, where Terraform only warns. Other conditions stop the plan."""
    for check in blocks(plan.get("checks")):
        address = check.get("address")
        if isinstance(address, dict) and address.get("kind") == "check" and check.get("status") in _FAILED:
            problems = [p for instance in blocks(check.get("instances")) for p in blocks(instance.get("problems"))]
            words = "; ".join(str(problem.get("message"))[:300] for problem in problems[:3])
            why = f"the check {_FAILED[check['status']]}: {words or 'no message'}"
            yield finding("check-failed", str(address.get("to_display", "check")), why)


def is_protected(values: dict[str, Any]) -> str:
    """The argument that keeps the resource from being destroyed; empty when none does."""
    return next((name for name in _ARGUMENTS["deletion_protection"] if values.get(name) in _ON), "")


def lost_with(type_: str) -> str:
    """What is lost when a resource of this type is destroyed; empty when an equal one can be created."""
    return _STATEFUL.get(type_, "")


def _of_change(change: ResourceChange, around: Surroundings) -> Iterator[Finding]:
    yield from _destroyed(change)
    if change.action is ResourceAction.CANNOT_TELL:
        lost = lost_with(change.type)
        why = f"{change.why}; if it is replaced: {lost}" if lost else change.why
        yield finding("cannot-tell", change.address, why, None if lost else Severity.NOTICE)
    if change.action.forgets:
        yield finding("forgotten", change.address, "Terraform forgets it: it stays in the account, unmanaged")
        if change.type in _LOGGING:
            why = f"nothing keeps it on when Terraform forgets it; without it {_LOGGING[change.type]}"
            yield finding("logging-off", change.address, why)
    yield from losses(change, around.made)
    if isinstance(change.after, Hidden):
        yield finding("hidden-value", change.address, "all of it is hidden: nobody can see what it does")
    if change.action is not ResourceAction.DELETE and isinstance(change.after, dict):
        for check in _CHECKS:
            yield from check(change)
        for check_with in (_open_network, _opened):
            yield from check_with(change, around.trust)
        yield from policy_findings(change, around.trust)
        if around.ends is not None:
            yield from delivery_findings(change, around.ends)


def _destroyed(change: ResourceChange) -> Iterator[Finding]:
    if not change.action.destroys:
        return
    verb = "replaced" if change.action.replaces else "destroyed"
    if change.action.replaces and change.replace_paths:
        verb += f" ({', '.join(change.replace_paths[:3])} changes)"
    if lost := lost_with(change.type):
        yield finding("destroys-stateful", change.address, f"is {verb}: {lost}")
    else:
        yield finding("destroys", change.address, f"is {verb}")
    if change.old.get("skip_final_snapshot") is True:
        why = "`skip_final_snapshot` is true: it is destroyed without a final snapshot"
        yield finding("no-final-snapshot", change.address, why)
    if change.type in _LOGGING:
        yield finding("logging-off", change.address, f"is {verb}: {_LOGGING[change.type]}")
    if change.type in _WATCHING and change.action is ResourceAction.DELETE:
        yield finding("logging-off", change.address, f"is {verb}: {_WATCHING[change.type]}", Severity.DECISION)
    for name in ("force_destroy", "force_delete"):
        if change.old.get(name) is True:
            yield finding("destroys-contents", change.address, f"`{name}` is true: its contents are deleted with it")


def _protection(change: ResourceChange) -> Iterator[Finding]:
    for name in _ARGUMENTS["deletion_protection"]:
        if change.old.get(name) in _ON and change.new.get(name) not in _ON:
            if isinstance(change.new.get(name), Hidden):
                yield _unsure("protection-off", change, f"whether `{name}` stays on")
            else:
                yield finding("protection-off", change.address, f"`{name}` is switched off")
    for name in _ARGUMENTS["makes_destroy_easy"]:
        is_default = change.action is ResourceAction.CREATE and name == "delete_automated_backups"
        if _becomes(change, name, True) and change.old.get(name) is not True and not is_default:
            yield finding("destroy-made-easy", change.address, f"`{name}` becomes true")
    retention = "backup_retention_period"
    if retention in change.changed_attributes and number(change.new.get(retention)) == 0:
        yield finding("no-backups", change.address, f"`{retention}` is 0: no backups are kept")
    window = DELETION_WINDOWS.get(change.type, "")
    old, new = number(change.old.get(window)), number(change.new.get(window))
    if change.type == "aws_secretsmanager_secret" and new == 0:
        yield finding("destroy-made-easy", change.address, f"`{window}` is 0: a deleted secret cannot be restored")
    elif old and new and new < old:
        why = f"`{window}` decreases from {old:g} to {new:g}: less time to notice a deletion"
        yield finding("destroy-made-easy", change.address, why, Severity.NOTICE)


def _off(change: ResourceChange) -> Iterator[Finding]:
    """Logging and protections that an update switches off, by the table `switched_off`."""
    for row in _ARGUMENTS["switched_off"]:
        for path in row["paths"] if row["type"] == change.type and change.old else ():
            if path.split(".")[0] not in change.changed_attributes:
                continue
            was, stays = (
                {one for one in every(values, path) if isinstance(one, Hidden) or one not in _OFF}
                for values in (change.old, change.new)
            )
            if gone := was - stays if row.get("each") or not stays else ():
                if any(isinstance(one, Hidden) for one in stays):
                    yield _unsure(row["rule"], change, f"whether `{path}` stays on")
                else:
                    what = f" ({', '.join(sorted(map(str, gone)))})" if row.get("each") else ""
                    yield finding(row["rule"], change.address, f"`{path}` is switched off{what}: {row['lost']}")


def _open_network(change: ResourceChange, trust: Trust) -> Iterator[Finding]:
    ingress = change.new.get("ingress")
    if (
        "ingress" in change.changed_attributes
        and isinstance(ingress, Hidden)
        and trust.known.is_open(change, "ingress")
    ):
        yield _unsure("open-to-everyone", change, "what `ingress` lets in")
    rules = [("ingress", rule) for rule in blocks(ingress)] if "ingress" in change.changed_attributes else []
    is_ingress = change.new.get("type") == "ingress" or change.new.get("egress") is False
    if change.type == "aws_vpc_security_group_ingress_rule" or (
        change.type in ("aws_security_group_rule", "aws_network_acl_rule") and is_ingress
    ):
        rules.append(("", change.new))
    for block, rule in rules:
        if "deny" in (rule.get("rule_action"), rule.get("action")):
            continue
        for name in _RANGES if block == "" else ():
            if UNKNOWN in _texts(rule.get(name)) and trust.known.is_open(change, name):
                yield _unsure("open-to-everyone", change, "which addresses it lets in")
        texts = [text for name in _RANGES for text in _texts(rule.get(name))]
        if block and UNKNOWN in texts and trust.known.is_open(change, block):
            yield _unsure("open-to-everyone", change, "which addresses it lets in")
        if open_to := _public_ranges(texts):
            where = _ports(rule)
            is_web = where in _WEB_PORTS
            how = Severity.NOTICE if is_web or change.type in _NETWORK_ACLS else Severity.DECISION
            yield finding("open-to-everyone", change.address, f"lets in {' and '.join(open_to)} {where}", how)


def _ports(rule: dict[str, Any]) -> str:
    """Where a rule of a network lets in. AWS takes no notice of its ports when the protocol is every one."""
    protocol = rule.get("protocol") or rule.get("ip_protocol") or ""
    first, last = rule.get("from_port"), rule.get("to_port")
    if protocol in _EVERY_PROTOCOL or (not protocol and not first and not last):
        return "on every port and protocol"
    if protocol in _ICMP:
        return "by ICMP"
    if isinstance(protocol, Hidden) or not isinstance(first, int) or not isinstance(last, int):
        return "on ports that only the apply shows"
    return f"on port {first}" if first == last else f"on ports {first} to {last}"


def _texts(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _public_ranges(texts: Iterable[str]) -> list[str]:
    """The ranges that let in the public, or a good part of it; halves of one are put together first."""
    networks: dict[int, list[Any]] = {4: [], 6: []}
    for text in texts:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            continue
        networks[network.version].append(network)
    found = []
    for version, (longest, private) in _WIDEST.items():
        for network in collapse_addresses(networks[version]):
            if network.prefixlen <= longest and not any(network.subnet_of(one) for one in private):
                found.append(str(network))
    return found


def _opened(change: ResourceChange, trust: Trust) -> Iterator[Finding]:
    """What the table `opened` names: an argument with one of these values lets everyone in. Its first row decides."""
    seen = set[str]()
    for row in _ARGUMENTS["opened"]:
        for path in row["paths"] if change.type in row.get("types", [change.type]) else ():
            argument = path.split(".")[0]
            if argument not in change.changed_attributes or path in seen:
                continue
            seen.add(path)
            weight = Severity[row["weighs"]] if "weighs" in row else None
            for value in every(change.new, path):
                if value is UNKNOWN and trust.known.is_open(change, argument):
                    yield _unsure(row["rule"], change, f"what `{path}` is")
                elif not isinstance(value, Hidden) and value in row["on"]:
                    shown = str(value).lower() if isinstance(value, bool) else value or "not set any more"
                    means = row.get("means") or _MEANS[row["rule"]]
                    yield finding(row["rule"], change.address, f"`{path}` is {shown}: {means}", weight)


_MEANS: Final = {
    "public-data": "everyone may reach what it holds",
    "public-function": "anyone may call it",
    "public-address": "it can be reached from the internet",
}


def _unencrypted(change: ResourceChange) -> Iterator[Finding]:
    for name in _ARGUMENTS["encryption"]:
        if _becomes(change, name, False):
            yield finding("unencrypted", change.address, f"`{name}` is false")
    for block in blocks(change.new.get("server_side_encryption")):
        if block.get("enabled") is False and change.type != "aws_dynamodb_table":
            yield finding("unencrypted", change.address, "`server_side_encryption` is off")
    is_http = change.type in ("aws_lb_listener", "aws_alb_listener") and change.new.get("protocol") == "HTTP"
    if is_http and not any(one.get("type") == "redirect" for one in blocks(change.new.get("default_action"))):
        yield finding("unencrypted", change.address, "listens on plain HTTP")


def _start_script(change: ResourceChange) -> Iterator[Finding]:
    for name in ("user_data", "user_data_base64"):
        script = change.new.get(name)
        if name not in change.changed_attributes or script in (None, ""):
            continue
        if script is not UNKNOWN:
            yield finding("runs-code", change.address, f"`{name}` runs as root when it starts")
        elif change.action is not ResourceAction.CREATE:
            yield _unsure("runs-code", change, f"what `{name}` runs when it starts")


def _hidden(change: ResourceChange) -> Iterator[Finding]:
    """What is judged by its value and marked sensitive, so that neither these checks nor a reviewer see it."""
    for name in change.changed_attributes:
        if name in _JUDGED and has_sensitive(change.new.get(name)):
            why = f"`{name}` is marked sensitive: nobody can see what it allows"
            yield finding("hidden-value", change.address, why)


def _becomes(change: ResourceChange, name: str, value: bool) -> bool:
    return change.new.get(name) is value and name in change.changed_attributes


def _unsure(rule: str, change: ResourceChange, what: str) -> Finding:
    return finding(rule, change.address, f"{_CANNOT_TELL} {what}", Severity.DECISION, certain=False)


_CHECKS: Final[tuple[Callable[[ResourceChange], Iterator[Finding]], ...]] = (
    _protection,
    _off,
    _unencrypted,
    _start_script,
    access_findings,
    _hidden,
)
