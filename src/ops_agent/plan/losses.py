"""Data that is lost without a destroy: shorter retention, backups and versions switched off, objects that begin to
expire. The danger list and the undo column both read this, so they agree.

`data/losses.json` lists the arguments; its sources are the resource pages of the AWS provider and the API reference of
each service. A path names an argument, or one inside a nested block (`point_in_time_recovery.enabled`); units are the
argument's own.
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
from ops_agent.plan.configuration import without_key
from ops_agent.plan.findings import finding, table
from ops_agent.plan.masking import at, blocks, every, has_unknown, number, parsed_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """An argument that says how long, or how much, is kept: lowering it deletes what is older. `forever` is the value
    that means no end; `default` what AWS keeps when the argument is not set.
    """

    type: str
    path: str
    lost: str
    forever: int | None = None
    default: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """An argument with one value, or a few (`on`), that keep something, or that delete it. `lost` says what changing it
    costs; `deletes`: at once, for good.
    """

    type: str
    path: str
    on: tuple[object, ...]
    lost: str
    deletes: bool = False


_TABLES: Final = table("losses")
SHORTENED: Final = tuple(Retention(**row) for row in _TABLES["shortened"])
SWITCHED_OFF: Final = tuple(Switch(**row | {"on": tuple(row["on"])}) for row in _TABLES["switched_off"])
"""Leaving one of the values `on` costs something; deletion protection is in `dangers`."""
SWITCHED_ON: Final = tuple(Switch(**row | {"on": tuple(row["on"])}) for row in _TABLES["switched_on"])
"""Reaching one of the values `on` costs something."""
DESTROYED: Final[dict[str, str]] = _TABLES["destroyed"]
"""Destroying one of these types deletes nothing that is stored, and removes what would bring it back, or report it."""
_ONE_WAY: Final[dict[str, str]] = _TABLES["one_way"]
_VERSIONS: Final[dict[str, str]] = _TABLES["versions"]
_SIZES: Final[dict[str, str]] = _TABLES["sizes"]

_LOSES_DATA: Final = "loses-data"
_RECOVERY_OFF: Final = "recovery-off"
_ONE_WAY_RULE: Final = "one-way"
_CANNOT_TELL: Final = "cannot tell until apply"
_COMPANIONS: Final = frozenset({"aws_s3_bucket_versioning", "aws_efs_backup_policy"})
"""Resources that only set something on another one, which may exist already when they are created."""
_EXPIRING: Final = frozenset({"aws_s3_bucket_lifecycle_configuration", "aws_ecr_lifecycle_policy"})
"""Types whose creation lets objects expire that may exist already."""
_TWO_PART_MAJOR: Final = ("mysql", "mariadb", "aurora-mysql")
_KAFKA_RETENTION = re.compile(
    r"(?m)^[ \t]*(log\.retention\.(?:ms|minutes|hours|bytes))[ \t]*[=:][ \t]*(-?[0-9]{1,18})[ \t]*$"
)


def losses(change: ResourceChange, made: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
    """What `change` loses, beyond a destroy, which is a danger of its own. `made`: see `made_here`."""
    if change.mode != "managed":
        return ()
    found: Iterable[Finding] = ()
    if change.action is ResourceAction.UPDATE:
        found = (loss for check in _ON_UPDATE for loss in check(change))
    elif change.action is ResourceAction.CREATE and change.type in _COMPANIONS | _EXPIRING:
        found = (*_set_on_another(change, made), *_expiring(change, made))
        if change.address in made:
            found = ()
        elif isinstance(change.new.get(_target(change)), Hidden):
            found = map(_of_something_unknown, found)
    elif change.action is ResourceAction.DELETE and change.type in DESTROYED:
        found = (_lost(_RECOVERY_OFF, DESTROYED[change.type]),)
    return tuple(replace(loss, address=change.address) for loss in found)


def one_way(change: ResourceChange) -> Iterator[str]:
    """Why the old values of an update cannot be set again, where that is ordinary and no danger."""
    if change.action is not ResourceAction.UPDATE or change.mode != "managed":
        return
    path, old, new = _size(change)
    if old is not None and new is not None and new > old:
        yield f"`{path}` increases: storage cannot shrink again"
    for name in change.changed_attributes:
        if name in _ONE_WAY and change.old.get(name) not in (None, [], {}):
            yield _ONE_WAY[name]


def binds(change: ResourceChange) -> str:
    """Why a creation cannot be undone; empty when it can. Sources: the user guides of the services (AWS Backup, "Vault
    Lock"; S3, "Object Lock"; S3 Glacier, "Vault Lock"; Organizations, "Closing a member account"; Shield, RDS and Route
    53, pricing).
    """
    for row in _TABLES["one_way_creates"]:
        values = every(change.new, row["path"]) if "path" in row else [True]
        if row["type"] == change.type and any(
            value is not None and value in row.get("on", [value]) for value in values
        ):
            return str(row["why"])
    return ""


Sources = Callable[[str, str], frozenset[str] | None]
"""The resources that an unknown value comes from, by address and argument; None when that cannot be told."""


def made_here(changes: Iterable[ResourceChange], sources: Sources = lambda *_: None) -> frozenset[str]:
    """What this plan creates, by name, and the addresses of what is set on something that it creates: nothing is stored
    there that could be lost. Pass it to `losses`.
    """
    changes = tuple(changes)
    names = {"aws_s3_bucket": "bucket", "aws_ecr_repository": "name"}
    created = [change for change in changes if change.action is ResourceAction.CREATE and change.type in names]
    named = {f"{change.type}:{name}" for change in created if type(name := change.new.get(names[change.type])) is str}
    new = {without_key(change.address) for change in created}
    return frozenset(named) | {
        change.address
        for change in changes
        if change.type in _COMPANIONS | _EXPIRING and (sources(change.address, _target(change)) or {""}) <= new
    }


def _target(change: ResourceChange) -> str:
    """The argument of a companion that names what it sets something on."""
    return "repository" if change.type.startswith("aws_ecr") else "bucket"


def is_recovery(loss: Finding) -> bool:
    """Whether only what would bring data back is lost: the old values undo that."""
    return loss.rule == f"plan/{_RECOVERY_OFF}"


def _lost(rule: str, what: str, severity: Severity = Severity.DECISION) -> Finding:
    """A loss; `losses` adds the address."""
    return finding(rule, "", what, severity)


def _maybe_lost(rule: str, what: str) -> Finding:
    return finding(rule, "", f"{_CANNOT_TELL} {what}", certain=False)


def _of_something_unknown(loss: Finding) -> Finding:
    doubt = f"{_CANNOT_TELL} whether something is stored there already: " if loss.certain else ""
    return replace(loss, what=f"{doubt}{loss.what}", severity=Severity.DECISION, certain=False)


def _changes(change: ResourceChange, path: str) -> bool:
    return path.split(".")[0] in change.changed_attributes


def _shortened(change: ResourceChange) -> Iterator[Finding]:
    for span in SHORTENED:
        if span.type == change.type and _changes(change, span.path):
            old, new = at(change.old, span.path), at(change.new, span.path)
            kept, keeps = _length(span, old), _length(span, new)
            if kept is None or keeps is None:
                if old != new or isinstance(old, Hidden):
                    yield _maybe_lost(_LOSES_DATA, f"whether `{span.path}` decreases: if so, {span.lost}")
            elif keeps < kept:
                words = f"`{span.path}` decreases from {_words(kept)} to {_words(keeps)}: {span.lost}"
                yield _lost(_LOSES_DATA, words)


def _length(span: Retention, value: Any) -> float | None:
    length = number(span.default if value is None else value)
    return math.inf if length is not None and length == span.forever else length


def _words(length: float) -> str:
    return "no end" if math.isinf(length) else f"{length:g}" if length < 1_000_000 else f"{length:.0f}"


def _switched(change: ResourceChange) -> Iterator[Finding]:
    for switches, keeps in ((SWITCHED_OFF, True), (SWITCHED_ON, False)):
        for switch in switches:
            if switch.type == change.type and _changes(change, switch.path):
                yield from _turned(switch, at(change.old, switch.path), at(change.new, switch.path), keeps=keeps)
    if change.type == "aws_dynamodb_table" and "ttl" in change.changed_attributes:
        old, new = at(change.old, "ttl.attribute_name"), at(change.new, "ttl.attribute_name")
        was_on, stays_on = at(change.old, "ttl.enabled") is True, at(change.new, "ttl.enabled") is not False
        if old and new and old != new and was_on and stays_on:
            yield _lost(_LOSES_DATA, "`ttl.attribute_name` changes: items that are expired by it are deleted")


def _turned(switch: Switch, old: Any, new: Any, *, keeps: bool) -> Iterator[Finding]:
    """`keeps`: the values `on` keep something, so leaving them is the loss; else reaching them is."""
    rule = _LOSES_DATA if switch.deletes else _RECOVERY_OFF
    held, other = (old, new) if keeps else (new, old)
    if isinstance(held, Hidden) or isinstance(other, Hidden):
        if held in switch.on or isinstance(held, Hidden):
            word = "stays on" if keeps else "was on"
            yield _maybe_lost(rule, f"whether `{switch.path}` {word}: if not, {switch.lost}")
    elif held in switch.on and other not in switch.on:
        words = f"is no longer {_value(old)}" if keeps else f"becomes {_value(new)}"
        yield _lost(rule, f"`{switch.path}` {words}: {switch.lost}")


def _set_on_another(change: ResourceChange, made: frozenset[str]) -> Iterator[Finding]:
    """The earlier value of what a companion sets is not in the plan."""
    if f"aws_s3_bucket:{change.new.get('bucket')}" in made:
        return
    for switch in SWITCHED_OFF:
        value = at(change.new, switch.path)
        is_status = switch.type == change.type and switch.path.endswith("status")
        if change.type in _COMPANIONS and is_status and value not in (None, *switch.on):
            words = f"what `{switch.path}` was: it becomes {_value(value)}; if it was on, {switch.lost}"
            yield _maybe_lost(_RECOVERY_OFF, words)


def _versions(change: ResourceChange) -> Iterator[Finding]:
    name = _VERSIONS.get(change.type, "")
    old, new = change.old.get(name), change.new.get(name)
    if name not in change.changed_attributes or old is None:
        return
    if type(old) is not str or type(new) is not str or not old:
        yield _maybe_lost(_ONE_WAY_RULE, f"what `{name}` becomes: an engine cannot be downgraded")
        return
    was, becomes = _parts(old), _parts(new)
    if becomes < was[: len(becomes)]:
        words = f"`{name}` decreases from {old} to {new}: AWS refuses it, an engine cannot be downgraded"
        yield _lost(_ONE_WAY_RULE, words, Severity.NOTICE)
    elif was[: len(becomes)] != becomes:
        length = 2 if change.old.get("engine") in _TWO_PART_MAJOR else 1
        is_major = was[:length] != becomes[:length]
        now = change.new.get("apply_immediately") is True
        when = ", and it happens at once, not in the maintenance window (`apply_immediately`)" if now else ""
        words = (
            f"`{name}` changes from {old} to {new}: {'a major' if is_major else 'an'} upgrade cannot be undone{when}"
        )
        yield _lost(_ONE_WAY_RULE, words, Severity.DECISION if is_major or now else Severity.NOTICE)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]{1,9}", version.partition("_")[2] or version))


def _shrinking(change: ResourceChange) -> Iterator[Finding]:
    path, old, new = _size(change)
    if old is not None and new is not None and new < old:
        words = f"`{path}` decreases from {old:g} to {new:g}: AWS refuses it, storage cannot shrink"
        yield _lost(_ONE_WAY_RULE, words, Severity.NOTICE)


def _size(change: ResourceChange) -> tuple[str, float | None, float | None]:
    path = _SIZES.get(change.type, "")
    if not _changes(change, path):
        return path, None, None
    return path, number(at(change.old, path)), number(at(change.new, path))


def _kafka(change: ResourceChange) -> Iterator[Finding]:
    name = "server_properties"
    if change.type != "aws_msk_configuration" or name not in change.changed_attributes:
        return
    old, new = change.old.get(name), change.new.get(name)
    if type(old) is not str or type(new) is not str:
        yield _maybe_lost(_LOSES_DATA, f"whether `{name}` shortens the retention of topics")
        return
    kept = dict(_KAFKA_RETENTION.findall(old))
    for setting, value in dict(_KAFKA_RETENTION.findall(new)).items():
        was = float(kept.get(setting, "-1"))
        if float(value) >= 0 and (was < 0 or float(value) < was):
            words = f"`{setting}` becomes {value}: clusters with this configuration delete older messages"
            yield _lost(_LOSES_DATA, words)


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)[:60]


# Lifecycle rules: what expires after the change and did not before. A rule that an older one covers loses nothing.

_EVERYTHING: Final = "{}"
_WHAT: Final = {"expiration": "objects", "noncurrent_version_expiration": "old versions of objects"}


@dataclass(frozen=True, slots=True)
class _Expiry:
    """`what` of a selection (JSON; `{}`: all) is deleted after `age` days, or on `date`, but `spared` ones."""

    what: str
    selection: str
    age: float = 0.0
    date: str = ""
    spared: float = 0.0

    def covers(self, other: _Expiry) -> bool:
        """True when whatever `other` deletes, this deletes too, no later."""
        same = self.what == other.what and self.selection in (_EVERYTHING, other.selection)
        return same and self.date == other.date and self.age <= other.age and self.spared <= other.spared


def _expiring(change: ResourceChange, made: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """Losses by the rules of buckets, registries, backup plans and snapshot policies."""
    is_update = change.action is ResourceAction.UPDATE
    match change.type:
        case "aws_s3_bucket" if is_update and "lifecycle_rule" in change.changed_attributes:
            yield from _objects("lifecycle_rule", change)
        case "aws_s3_bucket_lifecycle_configuration" if "rule" in change.changed_attributes:
            if f"aws_s3_bucket:{change.new.get('bucket')}" not in made:
                yield from _objects("rule", change)
        case "aws_ecr_lifecycle_policy" if "policy" in change.changed_attributes:
            if f"aws_ecr_repository:{change.new.get('repository')}" not in made:
                yield from _images(change)
        case "aws_backup_plan" if is_update:
            yield from _backups(change)
        case "aws_dlm_lifecycle_policy" if is_update and "policy_details" in change.changed_attributes:
            yield from _snapshots(change)


def _objects(name: str, change: ResourceChange) -> Iterator[Finding]:
    if any(isinstance(part, Hidden) for part in _deciding(change.new.get(name))):
        yield _maybe_lost(_LOSES_DATA, f"what `{name}` lets expire")
    old = [expiry for rule in blocks(change.old.get(name)) for expiry in _expiries(rule)]
    for rule in blocks(change.new.get(name)):
        for expiry in _expiries(rule):
            if not any(known.covers(expiry) for known in old):
                where = "" if expiry.selection == _EVERYTHING else f" with {_in_words(json.loads(expiry.selection))}"
                age = f"after {expiry.age:g} days" if not expiry.date else f"on {expiry.date[:10]}"
                spared = f", all but {expiry.spared:g}" if expiry.spared else ""
                named = f"rule {rule['id'][:60]}: " if type(rule.get("id")) is str else ""
                words = f"{named}{_WHAT[expiry.what]}{where} are deleted {age}{spared}, existing ones too"
                yield _lost(_LOSES_DATA, words)


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
        spared = number(block.get("newer_noncurrent_versions")) or 0.0
        if isinstance(days, int) and days > 0:
            yield _Expiry("noncurrent_version_expiration", selection, float(days), spared=spared)


def _bare(value: Any) -> Any:
    """`value` without what is empty, a list of one block as the block: AWS 3 to 6 write filters in different ways."""
    if isinstance(value, dict):
        return {key: bare for key, item in value.items() if (bare := _bare(item)) not in (None, "", {}, [], 0)}
    if isinstance(value, list):
        bares = [bare for item in value if (bare := _bare(item)) not in (None, "", {}, [])]
        return bares[0] if len(bares) == 1 else bares
    return value


def _in_words(selection: Any) -> str:
    """What a filter chooses, one condition after the other, never cut inside of one; of many the first ones."""
    found = [f"{name} `{value}`" for name, value in _conditions(selection, "")]
    more = len(found) - _MOST_CONDITIONS
    return ", ".join(found[:_MOST_CONDITIONS]) + (f" and {more} more" if more > 0 else "")


_MOST_CONDITIONS: Final = 5


def _conditions(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value.keys() == {"key", "value"}:
        yield "tag", f"{value['key']} = {value['value']}"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _conditions(f"{key} = {inner}" if name == "tags" else inner, "tag" if name == "tags" else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _conditions(inner, name)
    else:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).lower()
        yield words, str(value)


def _images(change: ResourceChange) -> Iterator[Finding]:
    """A registry's policy is JSON: a rule deletes images by their number or their age."""
    rules, kept = _image_rules(change.new.get("policy")), _image_rules(change.old.get("policy"))
    if rules is None:
        yield _maybe_lost(_LOSES_DATA, "which images `policy` lets expire")
        return
    for selection, most in rules:
        if not any(selection == known and most >= before for known, before in kept or ()):
            chosen = json.loads(selection)
            by_age = chosen.pop("countType", "") == "sinceImagePushed"
            unit = chosen.pop("countUnit", "days")
            what = f"images pushed more than {most:g} {unit} ago" if by_age else f"all but the newest {most:g} images"
            where = f" with {_in_words(chosen)}" if chosen else ""
            yield _lost(_LOSES_DATA, f"`policy` deletes {what}{where}, existing ones too")


def _image_rules(policy: Any) -> list[tuple[str, float]] | None:
    """(selection as canonical JSON without its number, the number) of every rule; None for what cannot be read."""
    parsed = parsed_json(policy)
    if not isinstance(parsed, dict) or not isinstance(parsed.get("rules"), list):
        return None
    found = []
    for rule in blocks(parsed["rules"]):
        selection = dict(rule["selection"]) if isinstance(rule.get("selection"), dict) else {}
        most = number(selection.pop("countNumber", 0)) or 0.0
        found.append((json.dumps(selection, sort_keys=True, ensure_ascii=False), most))
    return found


def _backups(change: ResourceChange) -> Iterator[Finding]:
    rules = {str(rule.get("rule_name")): rule for rule in blocks(change.new.get("rule"))}
    for rule in blocks(change.old.get("rule")):
        name = str(rule.get("rule_name"))
        if name not in rules:
            yield _gone(f"rule {name[:60]}", "backups", change.new.get("rule"))
            continue
        was, becomes = (
            next((b.get("delete_after") for b in blocks(r.get("lifecycle"))), None) for r in (rule, rules[name])
        )
        if isinstance(becomes, int) and becomes > 0 and (not was or becomes < (number(was) or 0)):
            words = f"rule {name[:60]}: new backups are kept {becomes} days, not {was or 'without end'}"
            yield _lost(_RECOVERY_OFF, words)


def _snapshots(change: ResourceChange) -> Iterator[Finding]:
    details = "policy_details"
    old, new = (next(blocks(values.get(details)), {}) for values in (change.old, change.new))
    schedules = {str(one.get("name")): one for one in blocks(new.get("schedule"))}
    for schedule in blocks(old.get("schedule")):
        name = str(schedule.get("name"))
        if name not in schedules:
            yield _gone(f"schedule {name[:60]}", "snapshots", change.new.get(details))
            continue
        was, becomes = (next(blocks(one.get("retain_rule")), {}) for one in (schedule, schedules[name]))
        for key in ("count", "interval"):
            if 0 < (number(becomes.get(key)) or 0) < (number(was.get(key)) or 0):
                words = f"schedule {name[:60]} keeps {becomes[key]}, not {was[key]}: older snapshots are deleted"
                yield _lost(_LOSES_DATA, words)


def _gone(name: str, makes: str, instead: Any) -> Finding:
    if has_unknown(instead):
        return _maybe_lost(_RECOVERY_OFF, f"whether {name} stays")
    return _lost(_RECOVERY_OFF, f"{name} is removed: it makes no more {makes}")


_ON_UPDATE: Final[tuple[Callable[[ResourceChange], Iterator[Finding]], ...]] = (
    _shortened,
    _switched,
    _versions,
    _shrinking,
    _kafka,
    _expiring,
)
