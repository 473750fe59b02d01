"""The pull request's text: six sections in the user's order, then verdict, criteria, what is not done, plans,
provenance.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate, groupby
from typing import Any, Final

from ops_agent.model.change_set import ChangeKind, ChangeSet, FileChange
from ops_agent.model.conversation import Ending, Transcript
from ops_agent.model.errors import RedactionFailed
from ops_agent.model.event import RunIdentity
from ops_agent.model.finding import Finding, Severity, Verdict
from ops_agent.model.plan import UNKNOWN, ResourceAction, ResourceChange
from ops_agent.model.proposal import Claim, Proposal
from ops_agent.model.terraform import Unreadable
from ops_agent.model.verification import CheckResult, CheckStatus, TargetVerification, Verification
from ops_agent.model.work_item import Criterion, WorkItem
from ops_agent.pages.plan_text import (
    PlanBlock,
    changes_table,
    diff_pieces,
    evidence,
    fill_block,
    folded,
    headline,
    is_own,
    name_of,
    names_of,
    picture,
    share,
)
from ops_agent.plan.rules import LIFTED_BY_ALLOW_DESTROY, is_final, rank
from ops_agent.plan.values import blocks
from ops_agent.text.markdown import cell, code, fence_verbatim, fit, list_item, neutralise, neutralise_commit, one_line
from ops_agent.text.templates import render
from ops_agent.workflows.reader import read_workflow

# The llm's words in the pull request: redacted, neutralised, cut with a visible mark, always after what code knows.

MOST_PROSE = 4_000
_SAYS_NOTHING = re.compile(r"(?i)[\s*_`-]*(?:none|nothing|n/?a|not applicable|no changes?|no)?[\s*_`.-]*")
"""What llms write where a section wants no words."""
_MOST_CELL = 300
MOST_CRITERIA = 50


@dataclass(slots=True)
class Overflow:
    """What did not fit, by title; the job summary shows it."""

    parts: list[str] = field(default_factory=list)

    def add(self, title: str, markdown: str) -> None:
        self.parts.append(f"### {title}\n\n{markdown}")

    @property
    def text(self) -> str:
        return "\n\n".join(self.parts)


def counted(number: int, noun: str) -> str:
    """`1 finding`, `1,200 findings`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def prose(title: str, text: str, redact: Callable[[str], str], overflow: Overflow, most: int = MOST_PROSE) -> str:
    """`text` as Markdown of at most `most` code points; the rest goes to `overflow` under `title`. Empty for `None.`"""
    clean = redact(text).strip()
    if not clean or _SAYS_NOTHING.fullmatch(clean):
        return ""
    kept = clean
    while len(shown := neutralise(kept)) > most:
        kept = kept[: len(kept) * 3 // 4]
        kept = kept[: kept.rfind("\n")] if "\n" in kept[len(kept) // 2 :] else kept
    rest = clean[len(kept) :].strip()
    if not rest:
        return shown
    overflow.add(title, neutralise(rest))
    return f"{shown}\n\n*(cut here: {len(rest):,} more characters in the job summary)*"


def said(facts: str, words: str) -> str:
    """A section: what code knows, then the llm's words under a line that says whose they are."""
    return f"{facts}\n\n*In the agent's words:*\n\n{words}" if words and facts else words or facts


def criteria_table(criteria: tuple[Criterion, ...], ending: Ending | None, redact: Callable[[str], str]) -> str:
    """Every acceptance criterion of the item with the agent's answer. A criterion without one says `not answered`."""
    if not criteria:
        return "The issue names no acceptance criteria."
    answers = {answer.criterion_id: answer for answer in (ending.criteria if ending else ())}
    lines = [
        "The answers are the agent's; the checks and the plan are the proof.",
        "",
        "| | Criterion | Met | How |",
        "|---|---|---|---|",
    ]
    for criterion in criteria[:MOST_CRITERIA]:
        answer = answers.get(criterion.id)
        met = _short(redact(answer.met)) if answer and answer.met.strip() else "**not answered**"
        how = _short(redact(answer.how)) if answer else ""
        lines.append(f"| {criterion.id} | {_short(redact(criterion.text))} | {met} | {how} |")
    if len(criteria) > MOST_CRITERIA:
        lines.append(f"| | and {len(criteria) - MOST_CRITERIA} more in the issue | | |")
    return "\n".join(lines)


def listed(entries: tuple[str, ...], redact: Callable[[str], str], most: int = 20) -> str:
    """Short texts of the llm as a list."""
    return "\n".join(f"- {_short(redact(entry))}" for entry in entries[:most] if entry.strip())


def _short(text: str) -> str:
    return cell(text if len(text) <= _MOST_CELL else text[:_MOST_CELL] + "…")


# The plans of all targets in one text of a given length.

_MOST_TITLES = 8_000
_LEAST_PLAN = 2_000
"""Code points: with less than this for each plan, graphs and evidence make way."""


def plans(targets: tuple[TargetVerification, ...], budget: int, overflow: Overflow) -> str:
    """Every plan as Markdown within `budget` code points: whole resources, in fair shares; then graphs and evidence,
    equal ones once.

    Counts, and why a target has no plan, stand at the top of the text and not here again.
    """
    if not targets:
        return "No Terraform root is affected by this change."
    changing = [
        target
        for target in targets
        if target.plan and (target.plan.changes or target.plan.outputs or target.plan.drift)
    ]
    still = [target for target in targets if target.plan and target not in changing]
    without = [target for target in targets if target.plan is None]
    notes = [f"Nothing changes in {names_of(still)}."] if still else []
    notes += [f"No plan of {names_of(without)}: the reason stands under *Infrastructure changes*."] if without else []
    note = "\n\n".join(notes)
    if len(note) > _MOST_TITLES:
        overflow.add("Targets without changes or without a plan", note)
        note = f"**{len(still) + len(without)} roots and environments without changes or without a plan are named in the job summary.**"
    shown = changing[
        : max(1, sum(total <= _MOST_TITLES for total in accumulate(len(_title(target)) for target in changing)))
    ]
    beyond = changing[len(shown) :]
    if beyond:
        note += f"\n\n**{len(beyond)} more roots and environments in the job summary.**"
    tail = _tail(shown)
    room = budget - len(note) - sum(len(folded(_title(target), "")) + 4 for target in shown) - 200
    if tail and room - len(tail) < _LEAST_PLAN * len(shown):
        overflow.add("Graphs and evidence of the plans", tail)
        tail = "*(graphs and evidence of the plans are in the job summary)*"
    room -= len(tail)
    parts = []
    for index, target in enumerate([*shown, *beyond]):
        block = _plan_block(target, max(0, room // (len(shown) - index)) if index < len(shown) else 0)
        room -= len(block.markdown)
        if block.left_out:
            rest = fence_verbatim("\n\n".join(block.left_out), "diff")
            overflow.add(f"Plan of {one_line(str(target.target))}: resources that are not in the pull request", rest)
        parts += [folded(_title(target), block.markdown)] if index < len(shown) and block.markdown else []
    return "\n\n".join(part for part in (*parts, note.strip(), tail) if part)


def _title(target: TargetVerification) -> str:
    return f"{'MOCKED look at' if target.mocked else 'Plan of'} {target.target}"


def _tail(targets: Sequence[TargetVerification]) -> str:
    drawn = [
        f"What depends on what, in {names_of(of)}:\n\n{graphs[0]}"
        for of, graphs in _shared(targets, lambda t: [picture(t)])
    ]
    facts = [
        f"{names_of(of)}:\n\n" + "\n".join(items)
        for of, items in _shared(targets, lambda target: evidence(target.evidence))
    ]
    return "\n\n".join([*drawn, *([folded("What the plans were made from", "\n\n".join(facts))] if facts else [])])


def _shared(
    targets: Sequence[TargetVerification], entries: Callable[[TargetVerification], Iterable[str]]
) -> list[tuple[list[TargetVerification], list[str]]]:
    """(targets, the entries that exactly these share), the widest group first; entries keep their order."""
    owners: dict[str, list[int]] = {}
    for index, target in enumerate(targets):
        for entry in dict.fromkeys(entries(target)):
            if entry:
                owners.setdefault(entry, []).append(index)
    groups: dict[tuple[int, ...], list[str]] = {}
    for entry, indices in owners.items():
        groups.setdefault(tuple(indices), []).append(entry)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[0]), group[0]))
    return [([targets[index] for index in indices], lines) for indices, lines in ordered]


def _plan_block(target: TargetVerification, room: int) -> PlanBlock:
    pieces, beyond = diff_pieces(target)
    return fill_block(pieces, room, beyond) if pieces else PlanBlock(markdown="")


# What code knows about every root and environment at once: the worst first, and what several of them share said once,
# with their names.

MOST_DANGERS: Final = 40
_MOCKED = (
    "A **mocked** look compares the sources of base and change, each planned from nothing with invented answers in "
    "place of AWS. "
    "It cannot show replaces, moves, drift, or what depends on what exists in the account."
)


def headlines(targets: Sequence[TargetVerification]) -> str:
    """One line for each target, as a table; empty without targets."""
    if not targets:
        return ""
    rows = [f"| {name_of(target)} | {headline(target)} |" for target in targets]
    return "\n".join(["| Root and environment | Plan |", "|---|---|", *rows])


def dangers(targets: Sequence[TargetVerification]) -> list[str]:
    """Everything that a reviewer should look at, as Markdown items over all targets, the worst first whichever target
    it is in.

    What stood before is counted, but for what cannot be brought back: an apply does that too.
    """
    owners: dict[Finding, list[TargetVerification]] = {}
    standing: dict[Finding, list[TargetVerification]] = {}
    for target in targets:
        for danger in dict.fromkeys(target.plan.dangers if target.plan else ()):
            (owners if is_own(danger, target) else standing).setdefault(danger, []).append(target)
    ranked = sorted(owners, key=rank)
    lines = [f"- {_mark(one)}{_told(one, owners[one], targets)}" for one in ranked]
    final = [one for one in sorted(standing, key=rank) if one.severity is not Severity.NOTICE and is_final(one)]
    lines += [f"- **stood before, and an apply does it too:** {_told(one, standing[one], targets)}" for one in final]
    more = sum(len(where) for one, where in standing.items() if one not in final)
    return lines + ([f"- {more} more stood before this change"] if more else [])


def danger_list(lines: Sequence[str], most: int = MOST_DANGERS, rest: str = "in the job summary") -> str:
    """The first `most` of `lines` under their title; what is left out is counted, and `rest` says where it stands.
    Empty without lines.
    """
    if not lines:
        return ""
    more = [f"- **and {len(lines) - most:,} more {rest}**"] if len(lines) > most else []
    return "\n".join(["**Look at these first:**\n", *lines[:most], *more])


def cautions(targets: Sequence[TargetVerification]) -> str:
    """A warning that cannot be overlooked: what was not planned as an apply would do it, and why; empty when all of it
    was.
    """
    without = [target for target in targets if target.plan is None or target.mocked]
    parts = []
    if without:
        lines = ["> **Not planned against the account**"]
        by_reason: dict[tuple[str, bool], list[TargetVerification]] = {}
        for target in without:
            by_reason.setdefault((cell(target.unplanned or "no plan was made"), target.plan is not None), []).append(
                target
            )
        lines += [
            f"> - {names_of(same)}{', mocked' if mocked else ', no plan'}: {reason}"
            for (reason, mocked), same in by_reason.items()
        ]
        lines += [">", f"> {_MOCKED}"] if any(target.plan for target in without) else []
        parts.append("\n".join(lines))
    invented = sorted((target for target in targets if target.placeholders), key=lambda target: target.placeholders)
    for names, same in groupby(invented, key=lambda target: target.placeholders):
        values = ", ".join(code(name) for name in names)
        parts.append(
            f"> **Planned with invented values** in {names_of(same)}: the repository has none for {values}. An apply uses others."
        )
    return "\n>\n".join(["> [!WARNING]\n" + parts[0], *parts[1:]]) if parts else ""


def _mark(danger: Finding) -> str:
    if danger.severity is Severity.BLOCKS and danger.rule not in LIFTED_BY_ALLOW_DESTROY:
        return "**BLOCKS** "
    return "" if danger.severity is Severity.NOTICE else "**DANGER** "


def _told(danger: Finding, found: Sequence[TargetVerification], targets: Sequence[TargetVerification]) -> str:
    return f"{code(danger.address)}{_where(found, targets)}: {cell(danger.what)} ({code(danger.rule)})"


def _where(found: Sequence[TargetVerification], targets: Sequence[TargetVerification]) -> str:
    return f" in {names_of(found)}" if len(targets) > 1 else ""


# What code knows about a change, as Markdown: the first lines of each section, before the llm's words.

MOST_FILES = 40
_MOST_FACTS = 30
_FEW = 3
_TERRAFORM = (".tf", ".tfvars", ".hcl", ".tf.json", ".tfvars.json", ".tfbackend", ".tofu")


def is_workflow(path: str) -> bool:
    """True for a file that GitHub Actions runs or that needs the `workflows` permission."""
    return path.casefold().startswith(".github/")


def infrastructure(changes: ChangeSet, verification: Verification, overflow: Overflow) -> str:
    """What is not certain, counts per target, the danger list, what changes, and the files; dangers that are too many
    go to `overflow`.
    """
    targets = verification.targets
    found = dangers(targets)
    if found[MOST_DANGERS:]:
        overflow.add("Look at these first, continued", "\n".join(found[MOST_DANGERS:]))
    files = [change for change in changes.changes if not is_workflow(change.path)]
    named = f"Files: {_files(files)}." if files else "No infrastructure file is changed."
    parts = (cautions(targets), headlines(targets), danger_list(found), changes_table(targets), named)
    return "\n\n".join(part for part in parts if part)


def ci_cd(changes: ChangeSet, verification: Verification, left_out: tuple[str, ...], patch: str = "") -> str:
    """Changed workflows with their triggers and jobs, `patch` (Markdown) of those `left_out`, and commands to plan and
    apply.
    """
    files = [change for change in changes.changes if is_workflow(change.path)]
    parts: list[str] = []
    if files:
        parts.append(
            "> [!IMPORTANT]\n> **CI changes: review before approving runs.** A workflow on this branch runs with "
            "this branch's text."
        )
        parts.append("\n".join(_workflow(change, change.path in left_out) for change in files[:MOST_FILES]))
    else:
        parts.append("No workflow is changed.")
    parts += [patch] if patch else []
    commands = list(dict.fromkeys(line for target in verification.targets for line in _commands(target)))
    if commands:
        more = [f"- and {len(commands) - _MOST_FACTS} more"] if len(commands) > _MOST_FACTS else []
        steps = "\n".join(
            [
                "After the merge, on the base branch; compare each plan with the one shown here before its apply:\n",
                *commands[:_MOST_FACTS],
                *more,
            ]
        )
        parts.append(folded("How to plan and apply by hand", steps))
    return "\n\n".join(parts)


def observability(verification: Verification) -> str:
    """Log groups, alarms and health checks among the planned changes; what runs code and has none is named."""
    own = [
        (change, target.plan.log_groups)
        for target in verification.targets
        if target.plan
        for change in share(target, target.plan).own
        if change.mode == "managed" and isinstance(change.after, dict)
    ]
    lines = list(
        dict.fromkeys(line for change, groups in own if not _gone(change) for line in _observed(change, groups))
    )
    if not lines:
        return (
            "The plan changes no log group, alarm or health check."
            if own
            else "No planned resource to say something about."
        )
    more = [f"- and {len(lines) - _MOST_FACTS} more"] if len(lines) > _MOST_FACTS else []
    return "\n".join(lines[:_MOST_FACTS] + more)


def checks_table(verification: Verification) -> str:
    """Every check with the word that code gives it: what failed first, then what was not run; one row for each check
    and word.
    """
    rows: dict[tuple[int, str, CheckStatus], list[str]] = {}
    order = (CheckStatus.FAILED, CheckStatus.NOT_RUN, CheckStatus.PASSED)
    results = [(check.name, check.subject, check.status) for check in verification.all_checks]
    results += [
        ("plan", str(target.target), CheckStatus.NOT_RUN) for target in verification.targets if target.unplanned
    ]
    for name, subject, status in results:
        rows.setdefault((order.index(status), name, status), []).append(subject)
    if not rows:
        return "No check was run."
    everywhere = {str(target.target) for target in verification.targets}
    lines = ["| Check | Result | Of |", "|---|---|---|"]
    for (_, name, status), subjects in sorted(rows.items(), key=lambda row: row[0][0]):
        word = status.value if status is CheckStatus.PASSED else f"**{status.value}**"
        distinct = list(dict.fromkeys(subjects))
        if status is CheckStatus.PASSED and len(distinct) > _FEW and set(distinct) == everywhere:
            lines.append(f"| {cell(name)} | {word} | every root and environment ({len(distinct)}) |")
            continue
        more = f" and {len(distinct) - _MOST_FACTS} more" if len(distinct) > _MOST_FACTS else ""
        lines.append(
            f"| {cell(name)} | {word} | {', '.join(code(subject) for subject in distinct[:_MOST_FACTS])}{more} |"
        )
    silent = [check for check in verification.all_checks if check.status is CheckStatus.NOT_RUN and check.output]
    lines += (
        [
            "",
            *(
                f"- {cell(check.name)} of {code(check.subject)}: {cell(check.output[:300])}"
                for check in silent[:_MOST_FACTS]
            ),
        ]
        if silent
        else []
    )
    return "\n".join(lines)


def _files(files: list[FileChange]) -> str:
    """The worst first: deleted, modified, added."""
    order = (ChangeKind.DELETED, ChangeKind.MODIFIED, ChangeKind.ADDED)
    shown = sorted(files, key=lambda change: order.index(change.kind))[:MOST_FILES]
    words = [
        f"{kind.value} {', '.join(code(one.path) for one in same)}"
        for kind, same in groupby(shown, key=lambda change: change.kind)
    ]
    return "; ".join(words) + (f"; and {len(files) - MOST_FILES} more" if len(files) > MOST_FILES else "")


def _workflow(change: FileChange, is_left_out: bool) -> str:
    note = " **not committed, see the patch below**" if is_left_out else ""
    line = f"- {code(change.path)} ({change.kind.value}){note}"
    if change.after is None:
        return line
    read = read_workflow(change.after)
    if isinstance(read, Unreadable):
        return line
    triggers = ", ".join(code(trigger.event) for trigger in read.triggers[:20])
    jobs = ", ".join(code(job.id) for job in read.jobs[:20])
    return f"{line}: on {triggers}; jobs {jobs}"


def _commands(target: TargetVerification) -> Iterator[str]:
    root, environment = target.target.root, target.target.environment
    inside = "" if root.path == "." else root.path + "/"
    backend = shlex.quote(_relative(environment.backend_file, inside)) if environment.backend_file else ""
    # Without -reconfigure, init refuses the second environment, and what it offers instead copies the first one's state
    # there.
    chosen = f" -reconfigure -backend-config={backend}" if backend else ""
    variables = "".join(f" -var-file={shlex.quote(_relative(path, inside))}" for path in environment.var_files)
    saved = shlex.quote(f"{environment.name}.tfplan")
    steps = f"terraform init{chosen} && terraform plan{variables} -out={saved}"
    yield f"- {cell(environment.name)}, in {code(root.path)}: {code(steps)}, then {code(f'terraform apply {saved}')}"


def _relative(path: str, inside: str) -> str:
    return path[len(inside) :] if inside and path.startswith(inside) else path


def _gone(change: ResourceChange) -> bool:
    return change.action in (ResourceAction.DELETE, ResourceAction.FORGET)


def _observed(change: ResourceChange, log_groups: frozenset[str]) -> Iterator[str]:
    after: dict[str, Any] = change.after
    where = code(change.address)
    match change.type:
        case "aws_cloudwatch_log_group":
            days = after.get("retention_in_days")
            kept = (
                "retention known after apply"
                if days is UNKNOWN
                else f"kept {days} days"
                if days
                else "**kept for ever**"
            )
            yield f"- Logs: {where} holds {_named(after.get('name'))}, {kept}"
        case "aws_cloudwatch_metric_alarm":
            yield f"- Alarm: {where} on {_named(after.get('metric_name'))}"
        case "aws_lambda_function":
            yield from _function(change, log_groups)
        case "aws_ecs_task_definition":
            yield from _task(change)
        case "aws_lb_target_group" | "aws_alb_target_group":
            path = next((block.get("path") for block in blocks(after.get("health_check"))), None)
            yield f"- Health check: {where}" + (f" asks for {_named(path)}" if path else " has the default one")
        case "aws_route53_health_check":
            yield f"- Health check: {where} of {_named(after.get('fqdn') or after.get('ip_address'))}"


def _function(change: ResourceChange, log_groups: frozenset[str]) -> Iterator[str]:
    own_group = next((block.get("log_group") for block in blocks(change.after.get("logging_config"))), None)
    named = f"/aws/lambda/{change.after.get('function_name')}"
    if change.action is ResourceAction.CREATE and not own_group and not log_groups & {named, ""}:
        yield f"- **No log group** in this configuration for {code(change.address)}: Lambda makes one that is kept for ever"


def _task(change: ResourceChange) -> Iterator[str]:
    definitions = change.after.get("container_definitions")
    try:
        containers = json.loads(definitions) if isinstance(definitions, str) and definitions is not UNKNOWN else None
    except (ValueError, RecursionError):
        containers = None
    if containers is None:
        yield f"- Containers of {code(change.address)}: cannot tell until apply where they log"
        return
    for container in blocks(containers):
        logs = container.get("logConfiguration")
        options = logs.get("options") if isinstance(logs, dict) else None
        group = options.get("awslogs-group") if isinstance(options, dict) else None
        said = f"logs to {_named(group)}" if group else "logs by its driver" if logs else "**logs nowhere**"
        checked = "has a health check" if container.get("healthCheck") else "has no health check of its own"
        yield f"- Container {_named(container.get('name'))} of {code(change.address)} {said}, {checked}"


def _named(value: object) -> str:
    return "something known after apply" if value is UNKNOWN else code(str(value))


# The guard's verdict and the run's provenance, as Markdown. Every word of status is code's (J12 of the security bar).

MOST_FINDINGS = 30
_MOST_FAILED = 20
_ELSEWHERE = "in the job summary"


def verdict_text(verdict: Verdict, redact: Callable[[str], str], overflow: Overflow) -> str:
    """Passed or blocked, and by what it was judged; then findings: what blocks, what is mentioned, what stood on the
    base already.
    """
    blocking = verdict.blocking
    mentioned = [f for f in verdict.findings if f.severity is not Severity.BLOCKS and not f.pre_existing]
    standing = [f for f in verdict.findings if f.pre_existing]
    word = f"**blocked** by {counted(len(blocking), 'finding')}" if blocking else "**passed**"
    parts = [f"{word}: {_judged(verdict)}."]
    for title, group in (("Blocks", blocking), ("Mentioned", mentioned)):
        if group:
            parts.append(f"{title}:\n\n{findings_list(group, redact, rest=_ELSEWHERE)}")
    if standing:
        listed = findings_list(standing, redact, rest=_ELSEWHERE)
        parts.append(
            folded(
                f"{counted(len(standing), 'finding')} that stood on the base commit already, untouched by this change",
                listed,
            )
        )
    for title, group in (("Findings", [*blocking, *mentioned]), ("Findings on the base commit", standing)):
        if len(group) > MOST_FINDINGS:
            overflow.add(f"{title}, all of them", findings_list(group, redact, len(group)))
    return "\n\n".join(parts)


def _judged(verdict: Verdict) -> str:
    """A rule counts when the change has something that it is about; rules over plans look at every plan, so their
    number says nothing.
    """
    of_files = sum(not rule.startswith("plan/") for rule in verdict.rules_run)
    plans = (
        "all rules over plans judged the plans" if of_files < len(verdict.rules_run) else "there was no plan to judge"
    )
    return f"{counted(of_files, 'rule')} had something to judge in the changed files; {plans}"


def failed_text(failed: Iterable[CheckResult], redact: Callable[[str], str]) -> str:
    """What failed and why, with file and line; empty when nothing failed."""
    parts = []
    for check in failed:
        why = findings_list(check.findings, redact) if check.findings else "- it says no more"
        parts.append(f"**{cell(check.name)}** of {code(check.subject)} failed:\n\n{why}")
    more = [f"**and {len(parts) - _MOST_FAILED} more failed checks**"] if len(parts) > _MOST_FAILED else []
    return "\n\n".join([*parts[:_MOST_FAILED], *more])


def findings_list(
    findings: Iterable[Finding], redact: Callable[[str], str], most: int = MOST_FINDINGS, rest: str = ""
) -> str:
    """One item per finding, at most `most`; several of one rule stand together below the remedy; `rest` says where the
    others are.
    """
    everything = tuple(findings)
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in everything[:most]:
        groups.setdefault((finding.rule, finding.remedy), []).append(finding)
    lines: list[str] = []
    for (rule, remedy), same in groups.items():
        what = [f"{code(redact(str(f.place)))}: {list_item(redact(f.what))}" for f in same]
        todo = f" {list_item(redact(remedy))}" if remedy else ""
        lines += (
            [f"- {what[0]} ({code(rule)}){todo}"]
            if len(same) == 1
            else [f"- {code(rule)}:{todo}", *(f"  - {one}" for one in what)]
        )
    if len(everything) > most:
        lines.append(f"- **and {len(everything) - most:,} more{rest and ' '}{rest}**")
    return "\n".join(lines)


def provenance(
    item: WorkItem,
    claim: Claim,
    transcript: Transcript,
    changes: ChangeSet,
    verification: Verification,
    run: RunIdentity | None,
) -> str:
    """Who approved what, and what was taken out of the issue's text before the llm saw it (B11); folded: hashes,
    versions, cost.

    What all plans were made from stands here, once; what one plan alone was made from stands below the plans.
    """
    act = "a dispatch" if item.approval.by_dispatch else "a label"
    usage = transcript.usage
    approval = item.approval
    spent = f"{counted(transcript.turn_count, 'turn')}, ${usage.cost_usd:.2f}, {usage.tokens_in_words}"
    policies = dict.fromkeys(
        target.evidence.policy for target in verification.targets if target.evidence and target.evidence.policy
    )
    shown = [f"- approved by {cell(approval.by.login)} with {act} on {cell(_in_utc(approval.at))}"]
    removed = sum(item.removed.values())
    if removed:
        kinds = ", ".join(f"{count} {one_line(kind)}" for kind, count in sorted(item.removed.items()))
        shown.append(f"- **{counted(removed, 'hidden element')} removed** from the issue's text: {cell(kinds)}")
    if run is not None and run.run_id:
        shown.append(f"- [run {run.run_id}, attempt {run.attempt}]({run.url})")
    standards = transcript.extra.get("standards")
    lines = [
        f"- base: {code(item.base_branch)} at {code(claim.base_commit)}",
        f"- SHA-256 of the approved title and text: {code(approval.content_hash)}",
        f"- change set (SHA-256): {code(changes.digest)}",
        *(f"- policy (SHA-256): {code(policy)}" for policy in policies),
        *([f"- engine: {code(verification.engine)}"] if verification.engine else []),
        f"- language model: {code(transcript.llm_id or 'unknown')}, {spent}",
        *([f"- standards: {cell(standards)}"] if standards else []),
    ]
    return "\n".join(shown) + "\n\n" + folded("Commits, hashes, versions, cost", "\n".join(lines))


def _in_utc(at: str) -> str:
    """A time as GitHub writes it (`2026-11-20T10:00:00Z`), whichever way it came; what is no time stays as it is."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return at
    return f"{found.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if found.tzinfo else at


MOST_BODY = 60_000
"""Code points. GitHub refuses a body above 65,536; publication adds notes and its record."""
_MOST_OVERFLOW = 900_000
_MOST_PATCH = 12_000
_MOST_TITLE = 120
_MOST_HEADLINE = 72
_MOST_COMMIT_BODY = 2_000
_MOST_SECTIONS = 42_000
_SLACK = 500
_ACTIVE_IN_PATCH = re.compile(
    r"(?i)(?<=[^\w@])@(?=[a-z0-9])|#(?=[0-9])|(?<=gh)-(?=[0-9])|(?<=/issues)/(?=[0-9])|(?<=/pull)/(?=[0-9])"
    r"|\[(?=(?:skip|no) (?:ci|actions)\]|(?:ci|actions) skip\])"
)
_IN_ITS_PLACE = {"@": "＠", "#": "＃", "[": "［", "-": "\u2011", "/": "／"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything that the text is made of. `patch` is a unified diff of the workflow files `left_out`."""

    item: WorkItem
    claim: Claim
    changes: ChangeSet
    verdict: Verdict
    verification: Verification
    transcript: Transcript
    redact: Callable[[str], str]
    template: str
    title_prefix: str = "[ops]"
    run: RunIdentity | None = None
    left_out: tuple[str, ...] = ()
    patch: str = ""

    @property
    def ending(self) -> Ending | None:
        return self.transcript.ending

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Why this must not be merged as it is, in code's words; empty when every check passed and the agent said that
        it is done.
        """
        failed = self.verification.failed
        reasons = []
        if self.verdict.blocked:
            reasons.append(f"the guard blocks it with {counted(len(self.verdict.blocking), 'finding')}")
        if failed:
            reasons.append(
                f"{counted(len(failed), 'check')} failed ({', '.join(sorted({cell(check.name) for check in failed}))})"
            )
        if self.ending is None:
            reasons.append("the agent did not finish")
        return tuple(reasons)


def build_proposal(material: Material) -> Proposal:
    """Title, body, commit message and overflow; redacted twice: each text before it is neutralised, and the whole at
    the end.
    """
    overflow = Overflow()
    holes = _sections(material, overflow)
    holes = _fitted(holes, overflow)
    bare = render(material.template, plans="", **holes)
    holes["plans"] = plans(material.verification.targets, MOST_BODY - _SLACK - len(bare), overflow)
    body = material.redact(render(material.template, **holes))
    if len(body) > MOST_BODY:
        raise RedactionFailed(f"the text grew to {len(body):,} characters when it was redacted")
    left = material.redact(overflow.text)
    if len(left) > _MOST_OVERFLOW:
        left = left[:_MOST_OVERFLOW].rsplit("\n### ", 1)[0] + "\n\n*(the rest does not fit a job summary)*"
    headline_text = _headline(material)
    return Proposal(
        title=material.redact(f"{material.title_prefix} {headline_text}".strip()[:_MOST_TITLE]),
        body=body,
        commit_headline=material.redact(headline_text[:_MOST_HEADLINE].strip()),
        commit_body=material.redact(_commit_body(material)),
        draft=bool(material.unfinished),
        overflow=left,
    )


def _sections(material: Material, overflow: Overflow) -> dict[str, str]:
    item, ending, verification = material.item, material.ending, material.verification
    redact, changes = material.redact, material.changes

    def words(title: str, text: str) -> str:
        return prose(title, text, redact, overflow)

    checks = checks_table(verification)
    failed = failed_text(verification.failed, redact)
    return {
        "description": said(_about(material), words("Description", ending.description if ending else "")),
        "infrastructure": said(
            infrastructure(changes, verification, overflow),
            words("Infrastructure changes", ending.infrastructure if ending else ""),
        ),
        "ci_cd": said(
            ci_cd(changes, verification, material.left_out, _patch(material, overflow)),
            words("CI/CD changes", ending.ci_cd if ending else ""),
        ),
        "observability": said(
            observability(verification), words("Observability & logging", ending.observability if ending else "")
        ),
        "validation": said(f"{checks}\n\n{failed}".strip(), words("Validation", ending.validation if ending else "")),
        "linked_issue": linked_issue(item),
        "verdict": verdict_text(material.verdict, redact, overflow),
        "criteria": criteria_table(item.request.criteria, ending, redact),
        "not_done": _not_done(material, overflow),
        "provenance": provenance(item, material.claim, material.transcript, changes, verification, material.run),
    }


def _fitted(holes: dict[str, str], overflow: Overflow) -> dict[str, str]:
    """The sections, cut so that at least a quarter of the body is left for the plans."""
    kept, rest = fit(holes, _MOST_SECTIONS)
    for name, markdown in rest.items():
        title = name.replace("_", " ").capitalize()
        overflow.add(f"{title}, continued", markdown)
        kept[name] += "\n\n*(cut here: the rest is in the job summary)*"
    return kept


def linked_issue(item: WorkItem) -> str:
    """The one closing keyword, for the sub-issue; the parent without a keyword; and a sentence when GitHub will not act
    on it.
    """
    ref = item.issue.ref
    same = ref.repository.casefold() == item.target.full_name.casefold()
    lines = [f"Closes #{ref.number}" if same else f"Closes {ref.repository}#{ref.number}"]
    if item.parent is not None:
        near = item.parent.repository.casefold() == item.target.full_name.casefold()
        lines.append(f"Parent issue: {'' if near else item.parent.repository}#{item.parent.number}")
    if item.base_branch != item.target.default_branch:
        lines.append(
            f"This goes to {code(item.base_branch)}, not to the default branch {code(item.target.default_branch)}: GitHub will neither "
            "link the issue nor close it at the merge."
        )
    return "\n\n".join(lines)


def _about(material: Material) -> str:
    lines = [f"For the work item *{cell(material.redact(material.item.title))}*."]
    if material.unfinished:
        lines.insert(0, f"> [!WARNING]\n> **Not ready to merge**: {'; '.join(material.unfinished)}.")
    lines += [f"- {cell(material.redact(warning))}" for warning in material.item.warnings[:20]]
    return "\n\n".join(lines)


def _not_done(material: Material, overflow: Overflow) -> str:
    ending = material.ending
    parts = []
    if material.transcript.soft_limit_reached:
        parts.append("The run came near its limit of turns, cost or time, and the agent was told to finish.")
    if ending is not None:
        parts.append(prose("Not done", ending.not_done, material.redact, overflow))
        for title, entries in (("Proposed issues", ending.proposed_issues), ("Open questions", ending.questions)):
            found = listed(entries, material.redact)
            parts.append(f"{title}:\n\n{found}" if found else "")
    return "\n\n".join(part for part in parts if part)


def _patch(material: Material, overflow: Overflow) -> str:
    """Workflow files that the token may not write, to be applied by a person."""
    if not material.patch:
        return ""
    clean = material.redact(material.patch)
    inert = _ACTIVE_IN_PATCH.sub(lambda found: _IN_ITS_PLACE[found.group()], clean)
    note = "The token may not write workflow files, so they are not in the commit. Apply this patch with `git apply`"
    note += " (some of its characters were replaced, it does not apply as it is):" if inert != material.patch else ":"
    block = fence_verbatim(inert.rstrip("\n"), "diff")
    if len(block) > _MOST_PATCH:
        overflow.add("Patch of the workflow files", block)
        return f"{note[:-1]}; it is in the job summary."
    return f"{note}\n\n{folded('Patch of the workflow files', block, is_open=True)}"


def _headline(material: Material) -> str:
    """One line for title and commit: the llm's wish as plain text, else the issue's title; never with our prefix twice."""
    wish = material.ending.title if material.ending else ""
    prefix = material.title_prefix.casefold()
    for text in (wish, material.item.title):
        plain = one_line(neutralise_commit(material.redact(text)))
        while prefix and plain.casefold().startswith(prefix):
            plain = plain[len(prefix) :].lstrip(" :-")
        if plain:
            return plain
    return f"Change for issue {material.item.issue.ref.number}"


def _commit_body(material: Material) -> str:
    words = neutralise_commit(material.redact(material.ending.description if material.ending else ""))[
        :_MOST_COMMIT_BODY
    ].strip()
    return f"{words}\n\nWork item: {material.item.issue.ref}".strip()
