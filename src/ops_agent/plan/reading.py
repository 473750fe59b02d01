"""From `terraform show -json` to a TerraformPlan: every kind of change accounted for, or the plan is refused."""

from __future__ import annotations

import codecs
import gc
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from ops_agent.model.errors import PolicyViolation, ToolchainError
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.plan import OutputChange, PlanCounts, ResourceAction, ResourceChange, TerraformPlan
from ops_agent.model.policy import Policy
from ops_agent.plan.dangers import dangers_of, program_dangers
from ops_agent.plan.references import edges_of
from ops_agent.plan.values import (
    PlaceFinder,
    SecretFinder,
    blocks,
    changed_keys,
    configured_secrets,
    leaves,
    masked,
    output_leaves,
    planned_leaves,
    secret_dangers,
)
from ops_agent.text.redaction import Redactor

# The entries of `resource_changes`, `resource_drift` and `output_changes`, typed and masked. An unknown kind refuses
# the plan.

_KINDS: Final[dict[tuple[str, ...], ResourceAction]] = {
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
"""https://developer.hashicorp.com/terraform/internals/json-format, "Change representation", and Terraform's own
jsonplan package.
"""

REPLACES: Final = frozenset(
    {ResourceAction.REPLACE_DELETE_FIRST, ResourceAction.REPLACE_CREATE_FIRST, ResourceAction.REPLACE_FORGET}
)


def read_entry(entry: Any, hidden: list[str]) -> ResourceChange | None:
    """One entry of `resource_changes` or `resource_drift`; None for what stays as it is. Masked strings are added to
    `hidden`.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("address"), str):
        raise ToolchainError("the plan holds a resource change without an address")
    address, change = entry["address"], entry.get("change")
    if entry.get("mode") == "ephemeral":
        return None
    if not isinstance(change, dict):
        raise ToolchainError(f"the plan does not say what happens to {address[:200]}")
    action = _kind(change, address)
    previous = entry.get("previous_address") if entry.get("previous_address") != address else None
    importing = change.get("importing")
    before = masked(change.get("before"), change.get("before_sensitive"), None, hidden)
    after = masked(change.get("after"), change.get("after_sensitive"), change.get("after_unknown"), hidden)
    if action is ResourceAction.NO_OP:
        if previous is not None:
            action = ResourceAction.MOVE
        elif importing is not None:
            action = ResourceAction.IMPORT
        else:
            return None
    return ResourceChange(
        address=address,
        type=str(entry.get("type", "")),
        provider=str(entry.get("provider_name", "")),
        action=action,
        mode=str(entry.get("mode", "managed")),
        reason=_text_or_none(entry.get("action_reason")),
        replace_paths=_paths(change.get("replace_paths")),
        previous_address=_text_or_none(previous),
        import_id=_import_id(importing),
        before=before,
        after=after,
        changed_attributes=_changed(change, before, after),
    )


def read_outputs(plan: dict[str, Any], hidden: list[str]) -> tuple[OutputChange, ...]:
    """Outputs that change, by name."""
    found = plan.get("output_changes") or {}
    if not isinstance(found, dict):
        raise ToolchainError("the plan's `output_changes` are not an object")
    outputs = []
    for name, change in sorted(found.items()):
        action = _kind(change, f"output {name}")
        after = masked(change.get("after"), change.get("after_sensitive"), change.get("after_unknown"), hidden)
        before = masked(change.get("before"), change.get("before_sensitive"), None, hidden)
        if action is not ResourceAction.NO_OP:
            sensitive = bool(change.get("after_sensitive") or change.get("before_sensitive"))
            outputs.append(
                OutputChange(
                    name=name,
                    action=action,
                    sensitive=sensitive,
                    before=before,
                    after=after,
                    references=_output_references(plan, name),
                )
            )
    return tuple(outputs)


def count(changes: tuple[ResourceChange, ...], outputs: tuple[OutputChange, ...]) -> PlanCounts:
    """As Terraform counts; deletes of data sources (nothing real goes) are not counted, as they are not there."""
    managed = [change for change in changes if change.mode == "managed"]
    by_kind = {kind: sum(change.action is kind for change in managed) for kind in ResourceAction}
    replaced = sum(by_kind[kind] for kind in REPLACES)
    destroyed = sum(change.action.destroys for change in managed)
    return PlanCounts(
        add=by_kind[ResourceAction.CREATE] + replaced,
        change=by_kind[ResourceAction.UPDATE],
        destroy=destroyed,
        replace=replaced - by_kind[ResourceAction.REPLACE_FORGET],
        import_=sum(change.import_id is not None for change in managed),
        move=sum(change.previous_address is not None for change in managed),
        forget=by_kind[ResourceAction.FORGET] + by_kind[ResourceAction.REPLACE_FORGET],
        read=sum(change.action is ResourceAction.READ for change in changes),
        outputs=len(outputs),
    )


def _output_references(plan: dict[str, Any], name: str) -> tuple[str, ...]:
    """What the output's expression names (`configuration`); nothing where the document does not say it."""
    found: Any = plan
    for key in ("configuration", "root_module", "outputs", name, "expression", "references"):
        found = found.get(key) if isinstance(found, dict) else None
    return tuple(sorted(str(reference) for reference in found)) if isinstance(found, list) else ()


def _kind(change: Any, whose: str) -> ResourceAction:
    kinds = change.get("actions") if isinstance(change, dict) else None
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise ToolchainError(f"the plan does not say what happens to {whose[:200]}")
    known = _KINDS.get(tuple(kinds))
    if known is None:
        raise ToolchainError(f"the plan holds a kind of change that is not known: {str(kinds)[:80]} for {whose[:200]}")
    return known


def _changed(change: dict[str, Any], before: Any, after: Any) -> tuple[str, ...]:
    """Also what differs below two equal masks: a value must not change unseen because it is sensitive."""
    if before is None or after is None:
        return changed_keys(before, after)
    marks = (change.get("before_sensitive"), change.get("after_sensitive"))
    marked = {key for tree in marks if isinstance(tree, dict) for key, said in tree.items() if said}
    if not marked:
        return changed_keys(before, after)
    hidden = {
        key
        for key in marked
        for raw in [(_of(change.get("before"), key), _of(change.get("after"), key))]
        if (raw[0] is not _of(before, key) or raw[1] is not _of(after, key)) and raw[0] != raw[1]
    }
    return tuple(sorted({*changed_keys(before, after), *hidden})) if hidden else changed_keys(before, after)


def _of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


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


def _paths(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(".".join(str(step) for step in path) if isinstance(path, list) else str(path) for path in value)


# `check` blocks that fail while planning: Terraform only warns, in a text that no reviewer of the pull request sees.

_FAILED: Final = {"fail": "fails", "error": "cannot be evaluated"}


def failed_checks(plan: dict[str, Any]) -> Iterator[Finding]:
    """A notice for each `check` block that does not hold; conditions of resources and variables stop the plan by
    themselves.
    """
    for check in blocks(plan.get("checks")):
        address = check.get("address")
        if isinstance(address, dict) and address.get("kind") == "check" and check.get("status") in _FAILED:
            problems = [
                problem for instance in blocks(check.get("instances")) for problem in blocks(instance.get("problems"))
            ]
            words = "; ".join(str(problem.get("message"))[:300] for problem in problems[:3])
            yield Finding(
                address=str(address.get("to_display", "check")),
                what=f"the check {_FAILED[check['status']]}: {words or 'it says no more'}",
                rule="plan/check-failed",
                severity=Severity.NOTICE,
            )


# Our counts against Terraform's own summary line: two readers of one plan must agree, or the plan is refused.

_LINE = re.compile(r"^Plan: ((?:[0-9]+ to [a-z]+(?:, )?)+)\.(?: Actions: [0-9]+ to invoke\.)?$", re.MULTILINE)
_PART = re.compile(r"([0-9]+) to ([a-z]+)")


def summary_of(text: str) -> dict[str, int] | None:
    """`{"add": 1, "change": 0, ...}` from the line `Plan: 1 to add, ...` of `terraform show`; None when there is no
    such line.

    The line stands at the margin. Text of people never does: `show` indents every value. The last one is Terraform's.
    """
    lines = _LINE.findall(text)
    return {word: int(number) for number, word in _PART.findall(lines[-1])} if lines else None


def check_summary(text: str, counts: PlanCounts, changes: tuple[ResourceChange, ...]) -> None:
    """Raises ToolchainError when `text` summarises another change than `counts`."""
    told = summary_of(text)
    kept = sum(change.action is ResourceAction.REPLACE_FORGET for change in changes)
    if told is None:
        if counts.add or counts.change or counts.destroy or counts.import_:
            raise ToolchainError(f"Terraform's text has no summary line, its JSON says {counts.line}")
        return
    ours = {"change": counts.change, "destroy": counts.destroy, "import": counts.import_}
    differing = [word for word, number in ours.items() if told.get(word, 0) != number]
    if not counts.add - kept <= told.get("add", 0) <= counts.add:
        differing.append("add")
    if "forget" in told and not counts.forget - kept <= told["forget"] <= counts.forget:
        differing.append("forget")
    unknown = told.keys() - {"add", "change", "destroy", "import", "forget"}
    if differing or unknown:
        words = ", ".join(sorted({*differing, *unknown}))
        raise ToolchainError(f"Terraform's summary ({_as_line(told)}) and its JSON ({counts.line}) differ in: {words}")


def _as_line(told: dict[str, int]) -> str:
    return ", ".join(f"{number} to {word}" for word, number in told.items())


# The JSON of a plan, read piece by piece: no second copy as text, no objects for what nobody asks about, and its hash
# on the way.
#
# `json.loads` builds the whole document at once: five times its size in memory, most of it for parts that are not used
# (`planned_values`, `prior_state`). Here a window of text slides over the bytes; a long list comes in batches, a part
# that is not wanted is only checked.

WINDOW: Final = 200_000
"""Characters that are held as text; a single value may need more. Small, so that what is decoded stays in the
processor's cache.
"""
_LEAST_BATCH: Final = 4_000
_NUMBER_TAIL: Final = 2
"""`1` may be the beginning of `1e+5`: so many characters more must be seen before a number is known to end."""
_BLANKS = re.compile(r"[ \t\n\r]*")
_FIRST_NAME = re.compile(r'\{"[^"\\]{1,60}"')


class PlanDocument:
    """One pass over the top level of a JSON object: `members`, and for each name one of `value`, `elements` or `skip`.

    `canonical_hash` is known after the pass. Raises ToolchainError for what is not one JSON object in UTF-8 with each
    name once.
    """

    def __init__(self, document: bytes, unhashed: frozenset[str] = frozenset()) -> None:
        self._bytes = memoryview(document)
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._scan = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode
        self._read = 0
        self._text = ""
        self._at = 0
        self._hashed_to = 0
        self._is_hashing = False
        self._unhashed = unhashed
        self._digest = hashlib.sha256()

    @property
    def canonical_hash(self) -> str:
        """SHA-256 over the JSON as it was written, without the `unhashed` members: two plans of the same change have
        the same hash.

        The engines write one line, their keys in a fixed order and no key twice. By hand, for `timestamp`, which no
        list holds after them: `terraform show -json FILE | sed -E 's/^(.*),"timestamp":"[^"]*"/\\1/' | sha256sum`.
        """
        return self._digest.hexdigest()

    def members(self) -> Iterator[str]:
        """The names of the document's members, in order. The value of each must be taken before the next is asked for."""
        if self._next() != "{":
            raise ToolchainError("the plan's JSON is not an object")
        self._at += 1
        seen: set[str] = set()
        opened = "{"
        while (mark := self._next()) != "}":
            if seen:
                self._expect(mark, ",")
            name = self._name()
            if name in seen:
                raise ToolchainError(f"the plan's JSON names `{name[:60]}` twice")
            seen.add(name)
            if name not in self._unhashed:
                self._feed(f"{opened}{json.dumps(name, ensure_ascii=False)}:")
                opened = ","
            self._hashed_to, self._is_hashing = self._at, name not in self._unhashed
            yield name
            self._flush()
            self._is_hashing = False
        self._at += 1
        if self._next():
            raise self._broken()
        self._feed("}\n" if opened == "," else "{}\n")

    def value(self) -> Any:
        """The member's value, whole."""
        return self._decoded()

    def elements(self, name: str) -> Iterator[Any]:
        """The elements of the member's list, a few of them in memory at a time; none for null. `name` is for the error."""
        if self._next() == "[":
            yield from self._list(wanted=True)
        elif self._decoded():
            raise ToolchainError(f"the plan's `{name}` are not a list")

    def skip(self) -> None:
        """The member's value is read, checked and hashed, and not kept."""
        opening = self._next()
        if opening not in ("{", "[") or self._is_small():
            self._decoded()
        elif opening == "[":
            for _ in self._list(wanted=False):
                pass
        else:
            self._at += 1
            mark, first = self._next(), True
            while mark != "}":
                if not first:
                    self._expect(mark, ",")
                self._name()
                self.skip()
                mark, first = self._next(), False
            self._at += 1

    def _is_small(self) -> bool:
        """Whether the next value ends within a few thousand characters: then it is not worth to be taken apart."""
        try:
            self._scan(self._text[self._at : self._at + _LEAST_BATCH], 0)
        except ValueError:
            return False
        return True

    def _list(self, *, wanted: bool) -> Iterator[Any]:
        self._at += 1
        size = WINDOW
        mark = self._next()
        while mark != "]":
            found = self._batch(size)
            size = min(WINDOW, size * 2) if found else max(_LEAST_BATCH, size // 2)
            if found or wanted:
                yield from found or [self._decoded()]
            else:
                self.skip()
            mark = self._next()
            if mark != "]":
                self._expect(mark, ",")
                mark = self._next()
                if mark == "]":
                    raise self._broken()
        self._at += 1

    def _batch(self, size: int) -> list[Any]:
        """As many elements as end within `size` characters, decoded in one go: they share the strings of their keys.
        None: cannot be told.

        The cut is a guess, before the last object that begins as this one does. It needs no proof: what decodes as a
        list when it stands in brackets is a list, and when the text's own bracket closes it first, it is the rest of
        this one.
        """
        while len(self._text) - self._at < size and self._more(size):
            pass
        first = _FIRST_NAME.match(self._text, self._at)
        cut = self._text.rfind("}," + first.group(), self._at, self._at + size) if first else -1
        if cut < 0:
            return []
        try:
            found, end = self._scan(f"[{self._text[self._at : cut + 1]}]", 0)
        except ValueError:
            return []
        self._at += end - 2
        return list(found)

    def _decoded(self) -> Any:
        """The next value, however long it is."""
        self._next()
        while True:
            held = len(self._text) - self._at
            try:
                value, end = self._scan(self._text, self._at)
            except ValueError:
                if not self._more(max(WINDOW, held)):
                    raise self._broken() from None
                continue
            if end + _NUMBER_TAIL < len(self._text) or not self._more(WINDOW):
                self._at = end
                return value

    def _name(self) -> str:
        name = self._decoded() if self._next() == '"' else None
        if not isinstance(name, str):
            raise self._broken()
        self._expect(self._next(), ":")
        return name

    def _next(self) -> str:
        """The next character that is not blank, which is not taken; empty at the end."""
        while True:
            found = _BLANKS.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(WINDOW):
                return ""

    def _expect(self, found: str, wanted: str) -> None:
        if found != wanted:
            raise self._broken()
        self._at += 1

    def _more(self, size: int) -> bool:
        """Slide the window: about `size` more characters after what is not taken yet; False at the document's end."""
        if self._read >= len(self._bytes):
            return False
        self._flush()
        piece = self._bytes[self._read : self._read + size]
        self._read += len(piece)
        try:
            text = self._utf8.decode(piece, final=self._read >= len(self._bytes))
        except UnicodeDecodeError:
            raise self._broken() from None
        self._text = self._text[self._at :] + text
        self._at = self._hashed_to = 0
        return True

    def _flush(self) -> None:
        if self._is_hashing and self._hashed_to < self._at:
            self._feed(self._text[self._hashed_to : self._at])
        self._hashed_to = self._at

    def _feed(self, text: str) -> None:
        self._digest.update(text.encode(errors="surrogatepass"))

    def _broken(self) -> ToolchainError:
        return ToolchainError(
            f"the plan's JSON cannot be read: broken at about byte {self._read} of {len(self._bytes)}"
        )


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


CUT_MARK = "\n... (cut)\n"
_STREAMED = ("resource_changes", "resource_drift")
_WHOLE = frozenset(
    {"format_version", "terraform_version", "variables", "configuration", "output_changes", "action_invocations"}
    | {"deferred_changes", "deferred_action_invocations", "applyable", "complete", "errored", "checks"}
)
"""Members that are used; the others (`planned_values`, `prior_state`, ...) say the same again or nothing about the
change.
"""
_REFUSED = (
    "Nothing was published. Change the configuration so that one plan holds the whole change, then start the run again."
)


def read_plan(
    document: bytes,
    text: str,
    policy: Policy,
    *,
    redact: Callable[[str], str] = str,
    account: str | None = None,
) -> TerraformPlan:
    """Read a plan whole; linear in its size.

    `document` is `show -json`, `text` is `show -no-color` of the same plan file: empty when none was made, and with
    CUT_MARK as its end when it was too long (its counts can then not be compared). `redact` is the run's redactor,
    `account` the 12-digit account that the plan was made against.

    Raises ToolchainError when the document is not one that we understand completely (another major format, an unknown
    kind of change, counts that differ from Terraform's own summary), PolicyViolation when the plan is errored,
    incomplete or defers changes.
    """
    try:
        with _without_collector():
            return _read(document, text, policy, redact, account)
    except RecursionError:
        raise ToolchainError("the plan's JSON is nested too deeply to be read") from None


def _read(
    document: bytes, text: str, policy: Policy, redact: Callable[[str], str], account: str | None
) -> TerraformPlan:
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
    """Python's cyclic collector walks a growing document again and again, in vain: JSON has no cycles (measured: a
    third of the time).
    """
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
    """(members that are read whole, changes, drift, log groups, canonical hash). What makes the plan unreadable as a
    whole is said first.

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
    return (
        plan,
        tuple(changes["resource_changes"]),
        tuple(changes["resource_drift"]),
        frozenset(log_groups),
        source.canonical_hash,
    )


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
        raise PolicyViolation(
            "the plan is incomplete: another plan and apply would follow, so it is not the whole change", hint=_REFUSED
        )


def _invocations(plan: dict[str, Any]) -> tuple[str, ...]:
    found = plan.get("action_invocations") or []
    if not isinstance(found, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("address"), str) for entry in found
    ):
        raise ToolchainError("the plan's `action_invocations` have an unknown shape")
    return tuple(entry["address"] for entry in found)
