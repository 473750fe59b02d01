"""Lifecycle rules: what expires after the change and did not before. A rule that an older one covers already loses nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ops_agent.core.plans.losses import CANNOT_TELL, LOSES_DATA, RECOVERY_OFF, Loss
from ops_agent.core.plans.plan_values import blocks, has_unknown
from ops_agent.domain.terraform_plan import Hidden, ResourceAction, ResourceChange

EXPIRING: Final = frozenset({"aws_s3_bucket_lifecycle_configuration", "aws_ecr_lifecycle_policy"})
"""Types whose creation lets something expire that may stand already."""
_EVERYTHING: Final = "{}"
_WHAT: Final = {"expiration": "objects", "noncurrent_version_expiration": "old versions of objects"}


@dataclass(frozen=True, slots=True)
class _Expiry:
    """`what` of a selection (canonical JSON; `{}`: all) is deleted when it is older than `age` days, or on `date`, but `spared` ones."""

    what: str
    selection: str
    age: float = 0.0
    date: str = ""
    spared: float = 0.0

    def covers(self, other: _Expiry) -> bool:
        """True when whatever `other` deletes, this deletes too, no later."""
        same = self.what == other.what and self.selection in (_EVERYTHING, other.selection)
        return same and self.date == other.date and self.age <= other.age and self.spared <= other.spared


def expiring(change: ResourceChange, before: dict[str, Any], after: dict[str, Any], made: frozenset[str] = frozenset()) -> Iterator[Loss]:
    """Losses by the rules of buckets, registries, backup plans and snapshot policies."""
    match change.type:
        case "aws_s3_bucket" if change.action is not ResourceAction.CREATE and "lifecycle_rule" in change.changed_attributes:
            yield from _bucket("lifecycle_rule", before, after)
        case "aws_s3_bucket_lifecycle_configuration" if "rule" in change.changed_attributes:
            if f"aws_s3_bucket:{after.get('bucket')}" not in made:
                yield from _bucket("rule", before, after)
        case "aws_ecr_lifecycle_policy" if "policy" in change.changed_attributes:
            if f"aws_ecr_repository:{after.get('repository')}" not in made:
                yield from _images(before.get("policy"), after.get("policy"))
        case "aws_backup_plan" if change.action is ResourceAction.UPDATE:
            yield from _backups(before, after)
        case "aws_dlm_lifecycle_policy" if change.action is ResourceAction.UPDATE and "policy_details" in change.changed_attributes:
            yield from _snapshots(before, after)


def _bucket(name: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Loss]:
    told = after.get(name)
    if any(isinstance(part, Hidden) for part in _deciding(told)):
        yield Loss(LOSES_DATA, f"{CANNOT_TELL} what `{name}` lets expire", known=False)
    old = [expiry for rule in blocks(before.get(name)) for expiry in _expiries(rule)]
    for rule in blocks(told):
        for expiry in _expiries(rule):
            if not any(known.covers(expiry) for known in old):
                where = "" if expiry.selection == _EVERYTHING else f" that match {expiry.selection[:120]}"
                age = f"after {expiry.age:g} days" if not expiry.date else f"on {expiry.date[:10]}"
                spared = f", all but {expiry.spared:g}" if expiry.spared else ""
                named = f"rule {rule['id'][:60]}: " if type(rule.get("id")) is str else ""
                yield Loss(LOSES_DATA, f"{named}{_WHAT[expiry.what]}{where} are deleted {age}{spared}, those that stand already too")


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
    """`value` without what is empty, a list of one block as the block: AWS 3 to 6 write the same filter in different ways."""
    if isinstance(value, dict):
        return {key: bare for key, item in value.items() if (bare := _bare(item)) not in (None, "", {}, [], 0)}
    if isinstance(value, list):
        bares = [bare for item in value if (bare := _bare(item)) not in (None, "", {}, [])]
        return bares[0] if len(bares) == 1 else bares
    return value


def _images(old: Any, new: Any) -> Iterator[Loss]:
    """A registry's policy is JSON: a rule deletes images by their number or their age."""
    rules, kept = _image_rules(new), _image_rules(old)
    if rules is None:
        yield Loss(LOSES_DATA, f"{CANNOT_TELL} which images `policy` lets expire", known=False)
        return
    for selection, most in rules:
        if not any(selection == known and most >= number for known, number in kept or ()):
            yield Loss(LOSES_DATA, f"`policy` deletes images beyond {most:g} of {selection[:120]}, those that stand already too")


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


def _backups(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Loss]:
    rules = {str(rule.get("rule_name")): rule for rule in blocks(after.get("rule"))}
    for rule in blocks(before.get("rule")):
        name = str(rule.get("rule_name"))[:60]
        new = rules.get(str(rule.get("rule_name")))
        if new is None:
            known = not has_unknown(after.get("rule"))
            why = f"rule {name} goes: it makes no more backups" if known else f"{CANNOT_TELL} whether rule {name} stays"
            yield Loss(RECOVERY_OFF, why, known=known)
            continue
        was, becomes = (next((b.get("delete_after") for b in blocks(r.get("lifecycle"))), None) for r in (rule, new))
        if isinstance(becomes, int) and becomes > 0 and (not was or becomes < _int(was)):
            yield Loss(RECOVERY_OFF, f"rule {name}: new backups are kept {becomes} days, not {was or 'without end'}")


def _snapshots(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Loss]:
    details = next(blocks(after.get("policy_details")), {})
    schedules = {str(one.get("name")): one for one in blocks(details.get("schedule"))}
    for old in blocks(next(blocks(before.get("policy_details")), {}).get("schedule")):
        name = str(old.get("name"))
        new = schedules.get(name)
        if new is None:
            known = not has_unknown(after.get("policy_details"))
            why = f"schedule {name[:60]} goes: it makes no more snapshots" if known else f"{CANNOT_TELL} whether schedule {name[:60]} stays"
            yield Loss(RECOVERY_OFF, why, known=known)
            continue
        was, becomes = (next(blocks(one.get("retain_rule")), {}) for one in (old, new))
        for key in ("count", "interval"):
            if 0 < _int(becomes.get(key)) < _int(was.get(key)):
                yield Loss(LOSES_DATA, f"schedule {name[:60]} keeps {becomes[key]}, not {was[key]}: older snapshots are deleted")


def _int(value: Any) -> int:
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return value
    return int(value) if type(value) is str and value.isascii() and value.isdigit() and len(value) < 10 else 0
