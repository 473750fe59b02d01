"""What the written standards ask of planned values: tags, how long logs are kept, capacity, encryption at rest, private
buckets, logs and alarms. Advice about what a plan creates or changes, never a danger.

`data/standards.json` lists what is encrypted only when an argument says so, and what runs and should be watched; its
sources are the resource pages of the AWS provider and the documentation of each service. What AWS encrypts by itself
(buckets, queues, DynamoDB tables, log groups) is not on the list.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import UNKNOWN, Hidden, ResourceAction, ResourceChange
from ops_agent.model.policy import Policy
from ops_agent.plan.configuration import Origins, configured, inside, members, without_key
from ops_agent.plan.findings import finding, table
from ops_agent.plan.masking import at, blocks, has_unknown, number

UNWATCHED: Final = "plan/unwatched"
_CANNOT_TELL: Final = "cannot tell until apply"
_NOTHING: Final[tuple[object, ...]] = (None, "", [], {})
_TABLES: Final = table("standards")
_AT_REST: Final[dict[str, dict[str, Any]]] = _TABLES["at_rest"]
_COMPONENTS: Final[dict[str, dict[str, str]]] = _TABLES["components"]
_JOINS: Final = ("aws_cloudwatch_event_target", "aws_lambda_event_source_mapping")
"""Resources that only join others: an alarm on one end watches the other too."""
_STARTERS: Final = frozenset({"aws_cloudwatch_event_rule", "aws_scheduler_schedule", "aws_sqs_queue"})
"""What runs by starting something else: it is named only when that is not in the plan."""
_BLOCKS: Final = ("encrypt_at_rest", "root_block_device")
_GONE: Final = (ResourceAction.DELETE, ResourceAction.FORGET)


def standards_of(
    plan: dict[str, Any],
    changes: Iterable[ResourceChange],
    unchanged: Iterable[ResourceChange],
    edges: Iterable[tuple[str, str]],
    log_groups: Collection[str],
    origins: Origins,
    policy: Policy,
) -> tuple[Finding, ...]:
    """What is missing in `changes`, by the address of each instance; `pre_existing` where the old values lack it too.
    `edges` and `log_groups` are those of `TerraformPlan`.
    """
    kept = [one for one in changes if one.mode == "managed" and one.action not in _GONE]
    judge = _Judge(plan, kept, tuple(unchanged), tuple(edges), log_groups, origins, policy)
    return tuple(one for change in kept if isinstance(change.after, dict) for one in judge.of(change))


class _Judge:
    """The rules over one plan."""

    def __init__(
        self,
        plan: dict[str, Any],
        changes: list[ResourceChange],
        unchanged: tuple[ResourceChange, ...],
        edges: tuple[tuple[str, str], ...],
        log_groups: Collection[str],
        origins: Origins,
        policy: Policy,
    ) -> None:
        self._plan, self._all = plan, (*changes, *unchanged)
        self._edges, self._log_groups, self._origins = edges, log_groups, origins
        self._required, self._allowed = policy.required_tags, policy.tag_values

    def of(self, change: ResourceChange) -> Iterator[Finding]:
        for check in (self._tags, self._tag_values, self._retention, self._capacity, self._encryption):
            before = {one.what for one in check(change, change.old)} if change.old else set()
            for one in check(change, change.new):
                yield replace(one, pre_existing=one.what in before)
        if change.action is ResourceAction.CREATE:
            yield from self._bucket(change)
            yield from self._watched(change)

    # Tags.

    def _tags(self, change: ResourceChange, values: dict[str, Any]) -> Iterator[Finding]:
        keys, is_whole = self._tag_keys(change, values)
        missing = ", ".join(f"`{tag}`" for tag in self._required if tag not in keys)
        if missing and is_whole:
            yield finding("required-tags", change.address, f"has no tag {missing}")
        elif missing:
            yield _unsure("required-tags", change, f"whether it has the tags {missing}")

    def _tag_values(self, change: ResourceChange, values: dict[str, Any]) -> Iterator[Finding]:
        """Values that are known; the finding does not repeat them."""
        if change.type == "aws_autoscaling_group":
            pairs = [(block.get("key"), block.get("value")) for block in blocks(values.get("tag"))]
        else:
            pairs = [*members(values.get("tags_all")).items()] if change.type.startswith("aws_") else []
        for key, value in pairs:
            allowed = self._allowed.get(key, ()) if type(key) is str else ()
            if allowed and type(value) is str and value not in allowed:
                choices = ", ".join(f"`{one}`" for one in allowed)
                yield finding("tag-value", change.address, f"the value of its tag `{key}` is none of {choices}")

    def _tag_keys(self, change: ResourceChange, values: dict[str, Any]) -> tuple[Collection[str], bool]:
        """The keys that are known, and whether there are no others; a type without tags has all that are required."""
        if change.type == "aws_autoscaling_group":
            given = [values.get("tag"), values.get("tags")]
            keys = [block.get("key") for value in given for block in blocks(value)]
            return {key for key in keys if type(key) is str}, not any(
                isinstance(one, Hidden) for one in (*given, *keys)
            )
        if "tags_all" not in values or not change.type.startswith("aws_"):
            return self._required, True
        own, every = values.get("tags"), values["tags_all"]
        known = members(own).keys() | members(every).keys()
        if isinstance(every, dict) and not isinstance(own, Hidden):
            return known, True
        # With one unknown value in it the provider leaves all of `tags` unknown, and of `tags_all` shows the others.
        provider = self._providers.get(without_key(change.address), "")
        is_whole = not isinstance(own, Hidden) and not self._has_open_default_tags(provider)
        return known | self._default_tags.get(provider, set()), is_whole

    @cached_property
    def _providers(self) -> dict[str, str]:
        """Resources, without keys, and the provider block that each is planned by."""
        return {address: str(one.get("provider_config_key", "")) for address, one, _ in configured(self._plan)}

    @cached_property
    def _default_tags(self) -> dict[str, set[str]]:
        """The keys of each provider block's `default_tags` that are known: its constants, and what resources show."""
        blocks_of = members(inside(self._plan, "configuration", "provider_config"))
        found = {key: set(members(_default_tags(one).get("constant_value"))) for key, one in blocks_of.items()}
        for one in self._all:
            own, every = one.new.get("tags"), one.new.get("tags_all")
            if isinstance(every, dict) and not isinstance(own, Hidden):
                provider = self._providers.get(without_key(one.address), "")
                found.setdefault(provider, set()).update(every.keys() - members(own).keys())
        return found

    def _has_open_default_tags(self, provider: str) -> bool:
        tags = _default_tags(inside(self._plan, "configuration", "provider_config", provider))
        return bool(tags) and "constant_value" not in tags

    # Single values.

    def _retention(self, change: ResourceChange, values: dict[str, Any]) -> Iterator[Finding]:
        if change.type == "aws_cloudwatch_log_group" and values.get("log_group_class") != "DELIVERY":
            days = values.get("retention_in_days")
            if days is UNKNOWN:
                yield _unsure("log-retention", change, "how long it keeps its logs")
            elif not number(days):
                yield finding("log-retention", change.address, "keeps its logs for ever")

    def _capacity(self, change: ResourceChange, values: dict[str, Any]) -> Iterator[Finding]:
        mode: Any = "ON_DEMAND"
        if change.type == "aws_dynamodb_table":
            mode = values.get("billing_mode")
        elif change.type == "aws_kinesis_stream" and "stream_mode_details" in values:
            mode = at(values, "stream_mode_details.stream_mode")
            mode = None if mode is UNKNOWN and number(values.get("shard_count")) else mode
        if mode is UNKNOWN:
            yield _unsure("capacity-mode", change, "whether it is on demand")
        elif mode not in ("PAY_PER_REQUEST", "ON_DEMAND"):
            yield finding("capacity-mode", change.address, "has provisioned capacity")

    def _encryption(self, change: ResourceChange, values: dict[str, Any]) -> Iterator[Finding]:
        """What is left at a default. An argument of the resource itself that is `false` is the danger `unencrypted`."""
        if change.type == "aws_sqs_queue" and values.get("sqs_managed_sse_enabled") is False:
            if values.get("kms_master_key_id") in _NOTHING:
                yield finding("not-encrypted", change.address, "has no key, and `sqs_managed_sse_enabled` is false")
            return
        row = _AT_REST.get(change.type)
        if row is None or any(_is_given(values.get(name)) for name in row.get("inherits", ())):
            return
        path, first = row["path"], row["path"].split(".")[0]
        value, is_set = at(values, path), self._origins.sets(change.address, first)
        if value is UNKNOWN and is_set:
            if not first.endswith("_id"):  # a key that is known after the apply is a key
                yield _unsure("not-encrypted", change, f"whether `{path}` is on")
        elif row.get("account_decides") and (value is UNKNOWN or value is None):
            what = f"is encrypted only where the account does that by default: `{path}` is not set"
            yield finding("not-encrypted", change.address, what)
        elif value is UNKNOWN or value in (*_NOTHING, "NONE", "false") or (value is False and first in _BLOCKS):
            how = "not set" if value is UNKNOWN or value in _NOTHING else str(value)
            yield finding("not-encrypted", change.address, f"is not encrypted at rest: `{path}` is {how}")

    # What a plan holds beside a resource.

    def _bucket(self, change: ResourceChange) -> Iterator[Finding]:
        if change.type != "aws_s3_bucket":
            return
        name, own, is_open = change.new.get("bucket"), without_key(change.address), False
        for one in self._all:
            if one.type == "aws_s3_account_public_access_block":
                return
            if one.type == "aws_s3_bucket_public_access_block":
                target = one.new.get("bucket")
                sources = self._origins.of(one.address, "bucket") if isinstance(target, Hidden) else frozenset()
                if own in (sources or ()) or (target == name and not isinstance(target, Hidden)):
                    return
                is_open |= sources is None
        if is_open:
            yield _unsure("open-bucket", change, "whether a public access block of this plan is for it")
        else:
            yield finding("open-bucket", change.address, "has no public access block in this plan")

    def _watched(self, change: ResourceChange) -> Iterator[Finding]:
        row, chain = _COMPONENTS.get(change.type), self._chain(without_key(change.address))
        if row is None or ("only_with" in row and not change.new.get(row["only_with"])):
            return
        others = {_type_of(one) for one in chain} - _STARTERS
        if change.type in _STARTERS and (others or not self._starts(change)):
            return
        lacks = [lack] if (lack := self._without_logs(change, row)) else []
        is_watched = not self._alarmed.isdisjoint(chain)
        if not is_watched and not self._has_open_alarm:
            lacks.append("no alarm")
        if lacks:
            yield finding("unwatched", change.address, f"is new, with {' and '.join(lacks)} in this plan")
        if not is_watched and self._has_open_alarm:
            yield _unsure("unwatched", change, "whether an alarm watches it")

    def _without_logs(self, change: ResourceChange, row: dict[str, str]) -> str:
        if change.type == "aws_lambda_function":
            # AWS creates one that never expires.
            own = next((block.get("log_group") for block in blocks(change.new.get("logging_config"))), None)
            named = {f"/aws/lambda/{change.new.get('function_name')}", ""}
            return "" if own or not named.isdisjoint(self._log_groups) else "no log group"
        if "stage" in row:
            stages = [one for one in self._all if one.type == row["stage"]]
            return "" if any(one.new.get("access_log_settings") not in _NOTHING for one in stages) else "no access log"
        value = at(change.new, row["logs"]) if "logs" in row else UNKNOWN
        is_default = "logs" in row and not self._origins.sets(change.address, row["logs"].split(".")[0])
        return "no logs" if value in _NOTHING or (value is UNKNOWN and is_default) else ""

    @cached_property
    def _alarms(self) -> list[ResourceChange]:
        return [one for one in self._all if one.type == "aws_cloudwatch_metric_alarm"]

    @cached_property
    def _alarmed(self) -> frozenset[str]:
        """What an alarm refers to, or names in its dimensions."""
        text = "\n".join(json.dumps(_dimensions(alarm)) for alarm in self._alarms)
        names = ((one, one.new.get(_COMPONENTS[one.type]["name"])) for one in self._all if one.type in _COMPONENTS)
        named = {without_key(one.address) for one, name in names if type(name) is str and json.dumps(name) in text}
        used = {used for user, used in self._edges if _type_of(user) == "aws_cloudwatch_metric_alarm"}
        return frozenset(named | used).union(*(self._sources(alarm) or () for alarm in self._alarms))

    @cached_property
    def _has_open_alarm(self) -> bool:
        """Whether of some alarm nobody can tell before the apply what it watches."""
        return any(has_unknown(_dimensions(alarm)) and self._sources(alarm) is None for alarm in self._alarms)

    def _sources(self, alarm: ResourceChange) -> frozenset[str] | None:
        found = [self._origins.of(alarm.address, name) for name in _dimensions(alarm)]
        return frozenset().union(*(one or () for one in found)) if any(found) else None

    def _starts(self, change: ResourceChange) -> bool:
        """Whether something is started by it: of a queue, a consumer that this plan names or changes."""
        own = without_key(change.address)
        return change.type != "aws_sqs_queue" or any(
            used == own and _type_of(user) in _JOINS for user, used in self._edges
        )

    def _chain(self, own: str) -> set[str]:
        """`own` and what an alarm may watch in its place: what it starts, what starts it, and their dead letters."""
        found, left = {own}, [own]
        while left:
            new = self._neighbours.get(left.pop(), set()) - found
            found |= new
            left.extend(new)
        return found

    @cached_property
    def _neighbours(self) -> dict[str, set[str]]:
        ends: dict[str, set[str]] = {}
        found: dict[str, set[str]] = {}
        for user, used in self._edges:
            if _type_of(user) in _JOINS and _type_of(used) in _COMPONENTS:
                ends.setdefault(user, set()).add(used)
            if _type_of(user) in _STARTERS and _type_of(used) in _COMPONENTS:
                found.setdefault(user, set()).add(used)
        for joined in ends.values():
            for one in joined:
                found.setdefault(one, set()).update(joined - {one})
        return found


def _default_tags(provider: Any) -> dict[str, Any]:
    """The expression of a provider block's `default_tags`."""
    return members(next(blocks(inside(provider, "expressions", "default_tags")), {}).get("tags"))


def _dimensions(alarm: ResourceChange) -> dict[str, Any]:
    return {name: alarm.new.get(name) for name in ("dimensions", "metric_query")}


def _type_of(address: str) -> str:
    return address.split(".")[-2]


def _is_given(value: Any) -> bool:
    return value is not UNKNOWN and value not in _NOTHING


def _unsure(rule: str, change: ResourceChange, what: str) -> Finding:
    return finding(rule, change.address, f"{_CANNOT_TELL} {what}", Severity.NOTICE, certain=False)
