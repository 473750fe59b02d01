"""Data that is lost without a destroy: retention that falls, backups and versions switched off, things that begin to expire.

Three-valued: a loss is certain, or it cannot be told until apply, or there is none. The danger list and the table of reversibility both
read this, so they agree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from ops_agent.core.plans.loss_lifecycles import EXPIRING, expiring
from ops_agent.core.plans.loss_tables import KEEPERS, ONE_WAY, SHORTENED, SWITCHED_OFF, SWITCHED_ON, Span, Switch
from ops_agent.core.plans.losses import CANNOT_TELL, LOSES_DATA, ONE_WAY_RULE, RECOVERY_OFF, Loss
from ops_agent.core.plans.plan_values import blocks
from ops_agent.domain.terraform_plan import Hidden, ResourceAction, ResourceChange

_COMPANIONS: Final = frozenset({"aws_s3_bucket_versioning", "aws_efs_backup_policy"})
"""Resources that only set something on another one, which may stand already when they are created."""
_VERSIONS: Final = {
    **dict.fromkeys(("aws_db_instance", "aws_rds_cluster", "aws_rds_global_cluster", "aws_docdb_cluster"), "engine_version"),
    **dict.fromkeys(("aws_neptune_cluster", "aws_elasticache_cluster", "aws_elasticache_replication_group"), "engine_version"),
    **dict.fromkeys(("aws_memorydb_cluster", "aws_opensearch_domain", "aws_mq_broker"), "engine_version"),
    "aws_elasticsearch_domain": "elasticsearch_version",
    "aws_msk_cluster": "kafka_version",
    "aws_eks_cluster": "version",
}
_SIZES: Final = {
    **dict.fromkeys(("aws_db_instance", "aws_rds_cluster"), "allocated_storage"),
    "aws_ebs_volume": "size",
    "aws_instance": "root_block_device.volume_size",
    "aws_opensearch_domain": "ebs_options.volume_size",
    "aws_elasticsearch_domain": "ebs_options.volume_size",
    "aws_msk_cluster": "broker_node_group_info.storage_info.ebs_storage_info.volume_size",
    **{f"aws_fsx_{kind}_file_system": "storage_capacity" for kind in ("lustre", "ontap", "openzfs", "windows")},
}
_TWO_PART_MAJOR: Final = ("mysql", "mariadb", "aurora-mysql")
_SWITCHED: Final = frozenset(switch.type for switch in (*SWITCHED_OFF, *SWITCHED_ON))
_SPANS: Final = {type_: tuple(span for span in SHORTENED if span.type == type_) for type_ in {span.type for span in SHORTENED}}
_KAFKA_RETENTION = re.compile(r"(?m)^[ \t]*(log\.retention\.(?:ms|minutes|hours|bytes))[ \t]*[=:][ \t]*(-?[0-9]{1,18})[ \t]*$")


def losses(change: ResourceChange, made: frozenset[str] = frozenset()) -> tuple[Loss, ...]:
    """What `change` loses beyond what its kind says (a destroy is its own danger). `made`: see `made_here`."""
    before = change.before if isinstance(change.before, dict) else {}
    after = change.after if isinstance(change.after, dict) else {}
    if change.mode != "managed":
        return ()
    match change.action:
        case ResourceAction.UPDATE:
            return tuple(loss for check in _ON_UPDATE for loss in check(change, before, after))
        case ResourceAction.CREATE if change.type in _COMPANIONS or change.type in EXPIRING:
            found = (*_set_on_something(change, after, made), *expiring(change, before, after, made))
            subject = after.get("repository" if change.type == "aws_ecr_lifecycle_policy" else "bucket")
            return tuple(map(_of_something_unknown, found)) if isinstance(subject, Hidden) else found
        case ResourceAction.DELETE if change.type in KEEPERS:
            return (Loss(RECOVERY_OFF, KEEPERS[change.type]),)
    return ()


def made_here(changes: Iterable[ResourceChange]) -> frozenset[str]:
    """Names of what this plan creates: nothing is stored there that could be lost. Pass it to `losses`."""
    found: set[str] = set()
    for change in changes:
        if change.action is ResourceAction.CREATE and isinstance(change.after, dict):
            name = change.after.get({"aws_s3_bucket": "bucket", "aws_ecr_repository": "name"}.get(change.type, ""))
            if type(name) is str:
                found.add(f"{change.type}:{name}")
    return frozenset(found)


def _of_something_unknown(loss: Loss) -> Loss:
    why = loss.why if not loss.known else f"{CANNOT_TELL} whether something is stored there already: {loss.why}"
    return replace(loss, why=why, known=False)


def _shortened(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Loss]:
    for span in _SPANS.get(change.type, ()):
        if span.path.split(".")[0] in change.changed_attributes:
            yield from _less(span, at(before, span.path), at(after, span.path))


def _less(span: Span, old: Any, new: Any) -> Iterator[Loss]:
    kept, keeps = _length(span, old), _length(span, new)
    if kept is None or keeps is None:
        if old == new and not isinstance(old, Hidden):
            return
        yield Loss(LOSES_DATA, f"{CANNOT_TELL} whether `{span.path}` falls: if so, {span.lost}", known=False)
    elif keeps < kept:
        yield Loss(LOSES_DATA, f"`{span.path}` falls from {_words(kept)} to {_words(keeps)}: {span.lost}")


def _length(span: Span, value: Any) -> float | None:
    number = number_of(span.default if value is None else value)
    return math.inf if number is not None and number == span.forever else number


def _words(length: float) -> str:
    return "no end" if math.isinf(length) else f"{length:g}" if length < 1_000_000 else f"{length:.0f}"


def _switched(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Loss]:
    for table, leaving in ((SWITCHED_OFF, True), (SWITCHED_ON, False)) if change.type in _SWITCHED else ():
        for switch in table:
            if switch.type == change.type and switch.path.split(".")[0] in change.changed_attributes:
                yield from _turned(switch, at(before, switch.path), at(after, switch.path), leaving=leaving)
    if change.type == "aws_dynamodb_table" and "ttl" in change.changed_attributes:
        old, new = at(before, "ttl.attribute_name"), at(after, "ttl.attribute_name")
        if old and new and old != new and at(before, "ttl.enabled") is True and at(after, "ttl.enabled") is not False:
            yield Loss(LOSES_DATA, "`ttl.attribute_name` changes: items whose new attribute is past are deleted")


def _turned(switch: Switch, old: Any, new: Any, *, leaving: bool) -> Iterator[Loss]:
    rule = LOSES_DATA if switch.deletes else RECOVERY_OFF
    danger, safe = (old, new) if leaving else (new, old)
    if isinstance(danger, Hidden) or isinstance(safe, Hidden):
        if danger in switch.on or isinstance(danger, Hidden):
            word = "stays on" if leaving else "was on"
            yield Loss(rule, f"{CANNOT_TELL} whether `{switch.path}` {word}: if not, {switch.lost}", known=False)
    elif danger in switch.on and safe not in switch.on:
        words = f"leaves {_value(old)}" if leaving else f"becomes {_value(new)}"
        yield Loss(rule, f"`{switch.path}` {words}: {switch.lost}")


def _set_on_something(change: ResourceChange, after: dict[str, Any], made: frozenset[str]) -> Iterator[Loss]:
    """A companion that is created may change what stood: its earlier value is not in the plan."""
    if change.type not in _COMPANIONS or f"aws_s3_bucket:{after.get('bucket')}" in made:
        return
    for switch in SWITCHED_OFF:
        value = at(after, switch.path)
        if switch.type == change.type and switch.path.endswith("status") and value not in (None, *switch.on):
            why = f"{CANNOT_TELL} what `{switch.path}` was: it becomes {_value(value)}; if it was on, {switch.lost}"
            yield Loss(RECOVERY_OFF, why, known=False)


def _versions(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Loss]:
    name = _VERSIONS.get(change.type, "")
    if name not in change.changed_attributes:
        return
    old, new = before.get(name), after.get(name)
    if type(old) is not str or type(new) is not str or not old:
        if old is not None:
            yield Loss(ONE_WAY_RULE, f"{CANNOT_TELL} to which `{name}` it goes: an engine cannot be downgraded", known=False)
        return
    length = 2 if before.get("engine") in _TWO_PART_MAJOR else 1
    was, becomes = _parts(old), _parts(new)
    now = ", at once and not in the maintenance window (`apply_immediately`)" if after.get("apply_immediately") is True else ""
    if becomes < was[: len(becomes)]:
        yield Loss(ONE_WAY_RULE, f"`{name}` falls from {old} to {new}: an engine cannot be downgraded, AWS refuses it", grave=False)
    elif was[: len(becomes)] != becomes:
        kind = "a major upgrade" if was[:length] != becomes[:length] else "an upgrade"
        why = f"`{name}` goes from {old} to {new}: {kind} cannot be taken back{now}"
        yield Loss(ONE_WAY_RULE, why, grave=was[:length] != becomes[:length] or bool(now))


def _sizes(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Loss]:
    path = _SIZES.get(change.type, "")
    if path.split(".")[0] not in change.changed_attributes:
        return
    old, new = number_of(at(before, path)), number_of(at(after, path))
    if old is not None and new is not None and new < old:
        yield Loss(ONE_WAY_RULE, f"`{path}` falls from {old:g} to {new:g}: storage cannot shrink, AWS refuses it", grave=False)
    elif old is not None and new is not None and new > old:
        yield Loss(ONE_WAY_RULE, f"`{path}` grows: storage can grow and not shrink", grave=None)


def _set_for_good(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Loss]:  # noqa: ARG001  one shape for all checks
    for name in change.changed_attributes:
        if name in ONE_WAY and before.get(name) not in (None, [], {}):
            yield Loss(ONE_WAY_RULE, ONE_WAY[name], grave=None)


def _kafka(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Loss]:
    if change.type != "aws_msk_configuration" or "server_properties" not in change.changed_attributes:
        return
    old, new = before.get("server_properties"), after.get("server_properties")
    if type(old) is not str or type(new) is not str:
        yield Loss(LOSES_DATA, f"{CANNOT_TELL} whether `server_properties` shortens the retention of topics", known=False)
        return
    kept, keeps = dict(_KAFKA_RETENTION.findall(old)), dict(_KAFKA_RETENTION.findall(new))
    for name, value in keeps.items():
        was = float(kept.get(name, "-1"))
        if float(value) >= 0 and (was < 0 or float(value) < was):
            yield Loss(LOSES_DATA, f"`{name}` becomes {value}: older messages are deleted on clusters that take this configuration")


def at(value: Any, path: str) -> Any:
    """What stands at `path`, a nested block being the first of its list; a hidden value on the way is the answer; None for nothing."""
    for name in path.split("."):
        value = next(blocks(value), {}).get(name) if not isinstance(value, Hidden) else value
    return next(iter(value), None) if isinstance(value, list) and value and isinstance(value[0], Hidden) else value


def number_of(value: Any) -> float | None:
    """A number, also when it is written as text; None for everything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    return float(value) if type(value) is str and re.fullmatch(r"-?[0-9]{1,18}", value) else None


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]{1,9}", version.partition("_")[2] or version))


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)[:60]


_ON_UPDATE: Final[tuple[Callable[[ResourceChange, dict[str, Any], dict[str, Any]], Iterable[Loss]], ...]] = (
    _shortened,
    _switched,
    _versions,
    _sizes,
    _set_for_good,
    _kafka,
    expiring,
)
