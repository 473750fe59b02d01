"""Data that is lost without a destroy: retention that falls, backups and versions switched off, things that begin to
expire.

Three-valued: a loss is certain, or it cannot be told until apply, or there is none. The danger list and the table of
reversibility both read this, so they agree.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import Hidden, ResourceAction, ResourceChange
from ops_agent.plan.values import blocks, has_unknown

# What keeps or bounds the life of data in AWS resources: arguments that must not fall, switch off or switch on without
# a reviewer's eye.
#
# Paths name an argument, or one inside a nested block (`point_in_time_recovery.enabled`). Units are the argument's own.
# Sources: the resource pages of the AWS provider (registry.terraform.io/providers/hashicorp/aws) and the API reference
# of each service.


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How long, or how much, is kept. `forever` is the value that means no end; `default` what AWS keeps when the
    argument is not set.
    """

    type: str
    path: str
    lost: str
    forever: int | None = None
    default: int | None = None


_LOGS = "older log lines are deleted"
_RECORDS = "older records are deleted"
_BACKUPS = "older automatic backups are deleted"
_SNAPSHOTS = "older snapshots are deleted"
_POINTS = "the time that one can go back to is shorter"

SHORTENED: Final[tuple[Span, ...]] = (
    Span(type="aws_cloudwatch_log_group", path="retention_in_days", lost=_LOGS, forever=0, default=0),
    Span(
        type="aws_cloudwatch_event_archive",
        path="retention_days",
        lost="older events are deleted",
        forever=0,
        default=0,
    ),
    Span(type="aws_cloudtrail_event_data_store", path="retention_period", lost="older events are deleted"),
    Span(type="aws_kinesis_stream", path="retention_period", lost=_RECORDS, default=24),
    Span(type="aws_kinesis_video_stream", path="data_retention_in_hours", lost="older video is deleted", default=0),
    Span(type="aws_sqs_queue", path="message_retention_seconds", lost="older messages are deleted", default=345_600),
    Span(
        type="aws_timestreamwrite_table",
        path="retention_properties.memory_store_retention_period_in_hours",
        lost=_RECORDS,
    ),
    Span(
        type="aws_timestreamwrite_table",
        path="retention_properties.magnetic_store_retention_period_in_days",
        lost=_RECORDS,
    ),
    Span(type="aws_iotanalytics_datastore", path="retention_period.number_of_days", lost=_RECORDS),
    Span(type="aws_iotanalytics_channel", path="retention_period.number_of_days", lost=_RECORDS),
    Span(type="aws_db_instance", path="backup_retention_period", lost=_BACKUPS),
    Span(
        type="aws_db_instance",
        path="performance_insights_retention_period",
        lost="older performance figures are deleted",
    ),
    Span(type="aws_db_instance_automated_backups_replication", path="retention_period", lost=_BACKUPS, default=7),
    Span(type="aws_rds_cluster", path="backup_retention_period", lost=_BACKUPS, default=1),
    Span(type="aws_rds_cluster", path="backtrack_window", lost=_POINTS, default=0),
    Span(type="aws_docdb_cluster", path="backup_retention_period", lost=_BACKUPS, default=1),
    Span(type="aws_docdbelastic_cluster", path="backup_retention_period", lost=_BACKUPS, default=1),
    Span(type="aws_neptune_cluster", path="backup_retention_period", lost=_BACKUPS, default=1),
    Span(type="aws_redshift_cluster", path="automated_snapshot_retention_period", lost=_SNAPSHOTS, default=1),
    Span(type="aws_redshift_cluster", path="manual_snapshot_retention_period", lost=_SNAPSHOTS, forever=-1, default=-1),
    Span(type="aws_redshift_cluster", path="snapshot_copy.retention_period", lost=_SNAPSHOTS, default=7),
    Span(type="aws_redshift_snapshot_copy", path="retention_period", lost=_SNAPSHOTS, default=7),
    Span(type="aws_elasticache_cluster", path="snapshot_retention_limit", lost=_SNAPSHOTS, default=0),
    Span(type="aws_elasticache_cluster", path="num_cache_nodes", lost="what the removed nodes hold is gone"),
    Span(type="aws_elasticache_replication_group", path="snapshot_retention_limit", lost=_SNAPSHOTS, default=0),
    Span(type="aws_elasticache_serverless_cache", path="snapshot_retention_limit", lost=_SNAPSHOTS, default=0),
    Span(type="aws_memorydb_cluster", path="snapshot_retention_limit", lost=_SNAPSHOTS, default=0),
    Span(type="aws_dynamodb_table", path="point_in_time_recovery.recovery_period_in_days", lost=_POINTS, default=35),
    *(
        Span(type=f"aws_fsx_{kind}_file_system", path="automatic_backup_retention_days", lost=_BACKUPS)
        for kind in ("lustre", "ontap", "openzfs", "windows")
    ),
)
"""Lowering one deletes what exists already and is older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """An argument with one value, or a few, that keep something. `lost` says what leaving them costs; `deletes`: at
    once, for good.
    """

    type: str
    path: str
    on: tuple[object, ...]
    lost: str
    deletes: bool = False


_OLD_VERSIONS = "what is overwritten or deleted from then on cannot be brought back"
_MAGNETIC = "magnetic_store_write_properties.enable_magnetic_store_writes"
_CONTINUOUS = "the backups that one could go back to are deleted"
_OVERWRITTEN = "what is stored can be deleted or overwritten from then on"
_COPIES = "what is written from then on is kept in one place only"
_UNSEEN = "what happens in the account from then on is not recorded"

SWITCHED_OFF: Final[tuple[Switch, ...]] = (
    Switch(type="aws_s3_bucket", path="versioning.enabled", on=(True,), lost=_OLD_VERSIONS),
    Switch(
        type="aws_s3_bucket_versioning",
        path="versioning_configuration.status",
        on=("Enabled",),
        lost=_OLD_VERSIONS,
    ),
    Switch(type="aws_s3_bucket", path="versioning.mfa_delete", on=(True,), lost=_OVERWRITTEN),
    Switch(
        type="aws_s3_bucket_versioning", path="versioning_configuration.mfa_delete", on=("Enabled",), lost=_OVERWRITTEN
    ),
    Switch(
        type="aws_s3_bucket",
        path="object_lock_configuration.rule.default_retention.mode",
        on=("COMPLIANCE",),
        lost=_OVERWRITTEN,
    ),
    Switch(
        type="aws_s3_bucket_object_lock_configuration",
        path="rule.default_retention.mode",
        on=("COMPLIANCE",),
        lost=_OVERWRITTEN,
    ),
    Switch(
        type="aws_dynamodb_table", path="point_in_time_recovery.enabled", on=(True,), lost=_CONTINUOUS, deletes=True
    ),
    Switch(
        type="aws_keyspaces_table",
        path="point_in_time_recovery.status",
        on=("ENABLED",),
        lost=_CONTINUOUS,
        deletes=True,
    ),
    Switch(type="aws_timestreamwrite_table", path=_MAGNETIC, on=(True,), lost=_RECORDS),
    Switch(
        type="aws_efs_backup_policy",
        path="backup_policy.status",
        on=("ENABLED", "ENABLING"),
        lost="no more backups are made",
    ),
    Switch(type="aws_dlm_lifecycle_policy", path="state", on=("ENABLED",), lost="no more snapshots are made"),
    Switch(type="aws_cloudtrail", path="enable_logging", on=(True,), lost=_UNSEEN),
    Switch(type="aws_cloudtrail", path="is_multi_region_trail", on=(True,), lost=_UNSEEN),
    Switch(type="aws_config_configuration_recorder_status", path="is_enabled", on=(True,), lost=_UNSEEN),
    Switch(type="aws_guardduty_detector", path="enable", on=(True,), lost="attacks are not noticed from then on"),
    Switch(
        type="aws_cloudtrail_event_data_store", path="termination_protection_enabled", on=(True,), lost=_OVERWRITTEN
    ),
)
"""Leaving one of the values `on`; for an argument of a protection against deletion see `dangers`."""

SWITCHED_ON: Final[tuple[Switch, ...]] = (
    Switch(
        type="aws_dynamodb_table",
        path="ttl.enabled",
        on=(True,),
        lost="items that are past their time are deleted",
        deletes=True,
    ),
    Switch(
        type="aws_keyspaces_table",
        path="ttl.status",
        on=("ENABLED",),
        lost="rows that are past their time are deleted",
        deletes=True,
    ),
)
"""Reaching one of the values `on` where it was not."""

KEEPERS: Final[dict[str, str]] = {
    "aws_s3_bucket_versioning": f"versioning is suspended: {_OLD_VERSIONS}",
    "aws_s3_bucket_replication_configuration": _COPIES,
    "aws_s3_bucket_object_lock_configuration": _OVERWRITTEN,
    "aws_backup_plan": "no more backups are made",
    "aws_backup_selection": "no more backups are made of what it selects",
    "aws_backup_vault_lock_configuration": "backups can be deleted before their time",
    "aws_backup_vault_policy": "backups may be deletable by more people",
    "aws_efs_backup_policy": "no more backups are made",
    "aws_efs_replication_configuration": _COPIES,
    "aws_dlm_lifecycle_policy": "no more snapshots are made",
    "aws_db_instance_automated_backups_replication": "the copies of the backups in the other place are deleted",
    "aws_redshift_snapshot_copy": "snapshots are kept in one place only from then on",
    "aws_cloudtrail": _UNSEEN,
    "aws_config_configuration_recorder": _UNSEEN,
    "aws_config_configuration_recorder_status": _UNSEEN,
    "aws_flow_log": "traffic from then on is not recorded",
    "aws_guardduty_detector": "its findings are deleted, and attacks are not noticed from then on",
}
"""Destroying one of these deletes nothing that is stored, and takes away what would bring it back, or what would tell
of it.
"""

ONE_WAY: Final[dict[str, str]] = {
    "storage_encrypted": "encryption cannot be changed in place",
    "enable_key_rotation": "rotated key material stays",
}
"""Arguments whose old value cannot be set again."""


# What is lost: one value that the danger list and the table of reversibility share.

LOSES_DATA: Final = "plan/loses-data"
"""Something that is stored is deleted by the apply or by a clock that it starts."""
RECOVERY_OFF: Final = "plan/recovery-off"
"""What would bring data back, or would tell what happened to it, is taken away."""
ONE_WAY_RULE: Final = "plan/one-way"
"""The old value cannot be set again."""
CANNOT_TELL: Final = "cannot tell until apply"


def _lost(rule: str, what: str, *, certain: bool = True, severity: Severity = Severity.DANGER) -> Finding:
    """What cannot be told before an apply is a notice. `losses` adds the address."""
    return Finding(rule=rule, what=what, severity=severity if certain else Severity.NOTICE, certain=certain)


# Lifecycle rules: what expires after the change and did not before. A rule that an older one covers already loses
# nothing.

EXPIRING: Final = frozenset({"aws_s3_bucket_lifecycle_configuration", "aws_ecr_lifecycle_policy"})
"""Types whose creation lets something expire that may stand already."""
_EVERYTHING: Final = "{}"
_WHAT: Final = {"expiration": "objects", "noncurrent_version_expiration": "old versions of objects"}


@dataclass(frozen=True, slots=True)
class _Expiry:
    """`what` of a selection (canonical JSON; `{}`: all) is deleted when it is older than `age` days, or on `date`, but
    `spared` ones.
    """

    what: str
    selection: str
    age: float = 0.0
    date: str = ""
    spared: float = 0.0

    def covers(self, other: _Expiry) -> bool:
        """True when whatever `other` deletes, this deletes too, no later."""
        same = self.what == other.what and self.selection in (_EVERYTHING, other.selection)
        return same and self.date == other.date and self.age <= other.age and self.spared <= other.spared


def expiring(
    change: ResourceChange, before: dict[str, Any], after: dict[str, Any], made: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """Losses by the rules of buckets, registries, backup plans and snapshot policies."""
    match change.type:
        case "aws_s3_bucket" if (
            change.action is not ResourceAction.CREATE and "lifecycle_rule" in change.changed_attributes
        ):
            yield from _bucket("lifecycle_rule", before, after)
        case "aws_s3_bucket_lifecycle_configuration" if "rule" in change.changed_attributes:
            if f"aws_s3_bucket:{after.get('bucket')}" not in made:
                yield from _bucket("rule", before, after)
        case "aws_ecr_lifecycle_policy" if "policy" in change.changed_attributes:
            if f"aws_ecr_repository:{after.get('repository')}" not in made:
                yield from _images(before.get("policy"), after.get("policy"))
        case "aws_backup_plan" if change.action is ResourceAction.UPDATE:
            yield from _backups(before, after)
        case "aws_dlm_lifecycle_policy" if (
            change.action is ResourceAction.UPDATE and "policy_details" in change.changed_attributes
        ):
            yield from _snapshots(before, after)


def _bucket(name: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Finding]:
    told = after.get(name)
    if any(isinstance(part, Hidden) for part in _deciding(told)):
        yield _lost(LOSES_DATA, f"{CANNOT_TELL} what `{name}` lets expire", certain=False)
    old = [expiry for rule in blocks(before.get(name)) for expiry in _expiries(rule)]
    for rule in blocks(told):
        for expiry in _expiries(rule):
            if not any(known.covers(expiry) for known in old):
                where = "" if expiry.selection == _EVERYTHING else f" that match {expiry.selection[:120]}"
                age = f"after {expiry.age:g} days" if not expiry.date else f"on {expiry.date[:10]}"
                spared = f", all but {expiry.spared:g}" if expiry.spared else ""
                named = f"rule {rule['id'][:60]}: " if type(rule.get("id")) is str else ""
                yield _lost(
                    LOSES_DATA,
                    f"{named}{_WHAT[expiry.what]}{where} are deleted {age}{spared}, those that stand already too",
                )


def _deciding(rules: Any) -> Iterator[Any]:
    """What must be known to tell what expires; the provider leaves other parts of a rule unknown at every creation."""
    for rule in rules if isinstance(rules, list) else [rules]:
        yield rule
        if isinstance(rule, dict):
            yield from (rule.get(name) for name in ("status", "enabled", *_WHAT))
            for block in (block for name in _WHAT for block in blocks(rule.get(name))):
                yield from (block.get(name) for name in ("days", "date", "noncurrent_days"))


def _expiries(rule: dict[str, Any]) -> Iterator[_Expiry]:
    if rule.get("status") == "Disabled" or rule.get("enabled") is False:
        return
    chosen = {key: rule.get(key) for key in ("prefix", "tags", "filter")}
    selection = json.dumps(_bare(chosen), sort_keys=True, default=str, ensure_ascii=False)
    for block in blocks(rule.get("expiration")):
        days, date = block.get("days"), block.get("date")
        if isinstance(days, int) and days > 0:
            yield _Expiry("expiration", selection, float(days))
        if type(date) is str and date:
            yield _Expiry("expiration", selection, date=date)
    for block in blocks(rule.get("noncurrent_version_expiration")):
        days = block.get("noncurrent_days", block.get("days"))
        spared = block.get("newer_noncurrent_versions")
        if isinstance(days, int) and days > 0:
            yield _Expiry("noncurrent_version_expiration", selection, float(days), spared=float(_int(spared)))


def _bare(value: Any) -> Any:
    """`value` without what is empty, a list of one block as the block: AWS 3 to 6 write the same filter in different
    ways.
    """
    if isinstance(value, dict):
        return {key: bare for key, item in value.items() if (bare := _bare(item)) not in (None, "", {}, [], 0)}
    if isinstance(value, list):
        bares = [bare for item in value if (bare := _bare(item)) not in (None, "", {}, [])]
        return bares[0] if len(bares) == 1 else bares
    return value


def _images(old: Any, new: Any) -> Iterator[Finding]:
    """A registry's policy is JSON: a rule deletes images by their number or their age."""
    rules, kept = _image_rules(new), _image_rules(old)
    if rules is None:
        yield _lost(LOSES_DATA, f"{CANNOT_TELL} which images `policy` lets expire", certain=False)
        return
    for selection, most in rules:
        if not any(selection == known and most >= number for known, number in kept or ()):
            yield _lost(
                LOSES_DATA,
                f"`policy` deletes images beyond {most:g} of {selection[:120]}, those that stand already too",
            )


def _image_rules(policy: Any) -> list[tuple[str, float]] | None:
    """(selection as canonical JSON without its number, the number) of every rule; None for what cannot be read."""
    if type(policy) is not str:
        return None
    try:
        parsed = json.loads(policy)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("rules"), list):
        return None
    found = []
    for rule in blocks(parsed["rules"]):
        selection = dict(rule["selection"]) if isinstance(rule.get("selection"), dict) else {}
        number = selection.pop("countNumber", 0)
        found.append((json.dumps(selection, sort_keys=True, ensure_ascii=False), float(_int(number))))
    return found


def _backups(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Finding]:
    rules = {str(rule.get("rule_name")): rule for rule in blocks(after.get("rule"))}
    for rule in blocks(before.get("rule")):
        name = str(rule.get("rule_name"))[:60]
        new = rules.get(str(rule.get("rule_name")))
        if new is None:
            known = not has_unknown(after.get("rule"))
            why = f"rule {name} goes: it makes no more backups" if known else f"{CANNOT_TELL} whether rule {name} stays"
            yield _lost(RECOVERY_OFF, why, certain=known)
            continue
        was, becomes = (next((b.get("delete_after") for b in blocks(r.get("lifecycle"))), None) for r in (rule, new))
        if isinstance(becomes, int) and becomes > 0 and (not was or becomes < _int(was)):
            yield _lost(RECOVERY_OFF, f"rule {name}: new backups are kept {becomes} days, not {was or 'without end'}")


def _snapshots(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Finding]:
    details = next(blocks(after.get("policy_details")), {})
    schedules = {str(one.get("name")): one for one in blocks(details.get("schedule"))}
    for old in blocks(next(blocks(before.get("policy_details")), {}).get("schedule")):
        name = str(old.get("name"))
        new = schedules.get(name)
        if new is None:
            known = not has_unknown(after.get("policy_details"))
            why = (
                f"schedule {name[:60]} goes: it makes no more snapshots"
                if known
                else f"{CANNOT_TELL} whether schedule {name[:60]} stays"
            )
            yield _lost(RECOVERY_OFF, why, certain=known)
            continue
        was, becomes = (next(blocks(one.get("retain_rule")), {}) for one in (old, new))
        for key in ("count", "interval"):
            if 0 < _int(becomes.get(key)) < _int(was.get(key)):
                yield _lost(
                    LOSES_DATA,
                    f"schedule {name[:60]} keeps {becomes[key]}, not {was[key]}: older snapshots are deleted",
                )


def _int(value: Any) -> int:
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return value
    return int(value) if type(value) is str and value.isascii() and value.isdigit() and len(value) < 10 else 0


_COMPANIONS: Final = frozenset({"aws_s3_bucket_versioning", "aws_efs_backup_policy"})
"""Resources that only set something on another one, which may stand already when they are created."""
_VERSIONS: Final = {
    **dict.fromkeys(
        ("aws_db_instance", "aws_rds_cluster", "aws_rds_global_cluster", "aws_docdb_cluster"), "engine_version"
    ),
    **dict.fromkeys(
        ("aws_neptune_cluster", "aws_elasticache_cluster", "aws_elasticache_replication_group"), "engine_version"
    ),
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
_SPANS: Final = {
    type_: tuple(span for span in SHORTENED if span.type == type_) for type_ in {span.type for span in SHORTENED}
}
_KAFKA_RETENTION = re.compile(
    r"(?m)^[ \t]*(log\.retention\.(?:ms|minutes|hours|bytes))[ \t]*[=:][ \t]*(-?[0-9]{1,18})[ \t]*$"
)


def losses(change: ResourceChange, made: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
    """What `change` loses beyond what its kind says (a destroy is its own danger). `made`: see `made_here`."""
    return tuple(replace(loss, address=change.address) for loss in _losses(change, made))


def _losses(change: ResourceChange, made: frozenset[str]) -> Iterable[Finding]:
    before = change.before if isinstance(change.before, dict) else {}
    after = change.after if isinstance(change.after, dict) else {}
    if change.mode != "managed":
        return ()
    match change.action:
        case ResourceAction.UPDATE:
            return (loss for check in _ON_UPDATE for loss in check(change, before, after))
        case ResourceAction.CREATE if change.type in _COMPANIONS or change.type in EXPIRING:
            found = (*_set_on_something(change, after, made), *expiring(change, before, after, made))
            subject = after.get("repository" if change.type == "aws_ecr_lifecycle_policy" else "bucket")
            return map(_of_something_unknown, found) if isinstance(subject, Hidden) else found
        case ResourceAction.DELETE if change.type in KEEPERS:
            return (_lost(RECOVERY_OFF, KEEPERS[change.type]),)
    return ()


def one_way(change: ResourceChange) -> Iterator[str]:
    """Why the old values of an update cannot be set again, where that is ordinary and no danger."""
    before = change.before if isinstance(change.before, dict) else {}
    after = change.after if isinstance(change.after, dict) else {}
    if change.action is not ResourceAction.UPDATE or change.mode != "managed":
        return
    path = _SIZES.get(change.type, "")
    if path.split(".")[0] in change.changed_attributes:
        old, new = number_of(at(before, path)), number_of(at(after, path))
        if old is not None and new is not None and new > old:
            yield f"`{path}` grows: storage can grow and not shrink"
    for name in change.changed_attributes:
        if name in ONE_WAY and before.get(name) not in (None, [], {}):
            yield ONE_WAY[name]


def made_here(changes: Iterable[ResourceChange]) -> frozenset[str]:
    """Names of what this plan creates: nothing is stored there that could be lost. Pass it to `losses`."""
    found: set[str] = set()
    for change in changes:
        if change.action is ResourceAction.CREATE and isinstance(change.after, dict):
            name = change.after.get({"aws_s3_bucket": "bucket", "aws_ecr_repository": "name"}.get(change.type, ""))
            if type(name) is str:
                found.add(f"{change.type}:{name}")
    return frozenset(found)


def _of_something_unknown(loss: Finding) -> Finding:
    doubt = f"{CANNOT_TELL} whether something is stored there already: " if loss.certain else ""
    return replace(loss, what=f"{doubt}{loss.what}", certain=False, severity=Severity.NOTICE)


def _shortened(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Finding]:
    for span in _SPANS.get(change.type, ()):
        if span.path.split(".")[0] in change.changed_attributes:
            yield from _less(span, at(before, span.path), at(after, span.path))


def _less(span: Span, old: Any, new: Any) -> Iterator[Finding]:
    kept, keeps = _length(span, old), _length(span, new)
    if kept is None or keeps is None:
        if old == new and not isinstance(old, Hidden):
            return
        yield _lost(LOSES_DATA, f"{CANNOT_TELL} whether `{span.path}` falls: if so, {span.lost}", certain=False)
    elif keeps < kept:
        yield _lost(LOSES_DATA, f"`{span.path}` falls from {_words(kept)} to {_words(keeps)}: {span.lost}")


def _length(span: Span, value: Any) -> float | None:
    number = number_of(span.default if value is None else value)
    return math.inf if number is not None and number == span.forever else number


def _words(length: float) -> str:
    return "no end" if math.isinf(length) else f"{length:g}" if length < 1_000_000 else f"{length:.0f}"


def _switched(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Finding]:
    for table, leaving in ((SWITCHED_OFF, True), (SWITCHED_ON, False)) if change.type in _SWITCHED else ():
        for switch in table:
            if switch.type == change.type and switch.path.split(".")[0] in change.changed_attributes:
                yield from _turned(switch, at(before, switch.path), at(after, switch.path), leaving=leaving)
    if change.type == "aws_dynamodb_table" and "ttl" in change.changed_attributes:
        old, new = at(before, "ttl.attribute_name"), at(after, "ttl.attribute_name")
        if old and new and old != new and at(before, "ttl.enabled") is True and at(after, "ttl.enabled") is not False:
            yield _lost(LOSES_DATA, "`ttl.attribute_name` changes: items whose new attribute is past are deleted")


def _turned(switch: Switch, old: Any, new: Any, *, leaving: bool) -> Iterator[Finding]:
    rule = LOSES_DATA if switch.deletes else RECOVERY_OFF
    danger, safe = (old, new) if leaving else (new, old)
    if isinstance(danger, Hidden) or isinstance(safe, Hidden):
        if danger in switch.on or isinstance(danger, Hidden):
            word = "stays on" if leaving else "was on"
            yield _lost(rule, f"{CANNOT_TELL} whether `{switch.path}` {word}: if not, {switch.lost}", certain=False)
    elif danger in switch.on and safe not in switch.on:
        words = f"leaves {_value(old)}" if leaving else f"becomes {_value(new)}"
        yield _lost(rule, f"`{switch.path}` {words}: {switch.lost}")


def _set_on_something(change: ResourceChange, after: dict[str, Any], made: frozenset[str]) -> Iterator[Finding]:
    """A companion that is created may change what stood: its earlier value is not in the plan."""
    if change.type not in _COMPANIONS or f"aws_s3_bucket:{after.get('bucket')}" in made:
        return
    for switch in SWITCHED_OFF:
        value = at(after, switch.path)
        if switch.type == change.type and switch.path.endswith("status") and value not in (None, *switch.on):
            why = f"{CANNOT_TELL} what `{switch.path}` was: it becomes {_value(value)}; if it was on, {switch.lost}"
            yield _lost(RECOVERY_OFF, why, certain=False)


def _versions(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Finding]:
    name = _VERSIONS.get(change.type, "")
    if name not in change.changed_attributes:
        return
    old, new = before.get(name), after.get(name)
    if type(old) is not str or type(new) is not str or not old:
        if old is not None:
            yield _lost(
                ONE_WAY_RULE, f"{CANNOT_TELL} to which `{name}` it goes: an engine cannot be downgraded", certain=False
            )
        return
    length = 2 if before.get("engine") in _TWO_PART_MAJOR else 1
    was, becomes = _parts(old), _parts(new)
    now = (
        ", at once and not in the maintenance window (`apply_immediately`)"
        if after.get("apply_immediately") is True
        else ""
    )
    if becomes < was[: len(becomes)]:
        yield _lost(
            ONE_WAY_RULE,
            f"`{name}` falls from {old} to {new}: an engine cannot be downgraded, AWS refuses it",
            severity=Severity.NOTICE,
        )
    elif was[: len(becomes)] != becomes:
        is_major = was[:length] != becomes[:length]
        kind = "a major upgrade" if is_major else "an upgrade"
        why = f"`{name}` goes from {old} to {new}: {kind} cannot be taken back{now}"
        yield _lost(ONE_WAY_RULE, why, severity=Severity.DANGER if is_major or now else Severity.NOTICE)


def _sizes(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Finding]:
    path = _SIZES.get(change.type, "")
    if path.split(".")[0] not in change.changed_attributes:
        return
    old, new = number_of(at(before, path)), number_of(at(after, path))
    if old is not None and new is not None and new < old:
        yield _lost(
            ONE_WAY_RULE,
            f"`{path}` falls from {old:g} to {new:g}: storage cannot shrink, AWS refuses it",
            severity=Severity.NOTICE,
        )


def _kafka(change: ResourceChange, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Finding]:
    if change.type != "aws_msk_configuration" or "server_properties" not in change.changed_attributes:
        return
    old, new = before.get("server_properties"), after.get("server_properties")
    if type(old) is not str or type(new) is not str:
        yield _lost(
            LOSES_DATA, f"{CANNOT_TELL} whether `server_properties` shortens the retention of topics", certain=False
        )
        return
    kept, keeps = dict(_KAFKA_RETENTION.findall(old)), dict(_KAFKA_RETENTION.findall(new))
    for name, value in keeps.items():
        was = float(kept.get(name, "-1"))
        if float(value) >= 0 and (was < 0 or float(value) < was):
            yield _lost(
                LOSES_DATA,
                f"`{name}` becomes {value}: older messages are deleted on clusters that take this configuration",
            )


def at(value: Any, path: str) -> Any:
    """What stands at `path`, a nested block being the first of its list; a hidden value on the way is the answer; None
    for nothing.
    """
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


_ON_UPDATE: Final[tuple[Callable[[ResourceChange, dict[str, Any], dict[str, Any]], Iterable[Finding]], ...]] = (
    _shortened,
    _switched,
    _versions,
    _sizes,
    _kafka,
    expiring,
)
