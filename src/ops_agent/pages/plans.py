"""The plans of all targets: one line each, one table of changes with how to undo them, and their text, cut to fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from ops_agent.model.plan import Hidden, PlanCounts, ResourceAction, ResourceChange, TerraformPlan
from ops_agent.model.verification import Evidence, TargetVerification
from ops_agent.pages.fragments import Overflow, details, grouped, joined
from ops_agent.pages.graph import graph
from ops_agent.pages.terraform_show import OUTPUTS, ResourceText, as_diff, outputs_in, pieces_of
from ops_agent.plan.undo import Undo, undo_of
from ops_agent.text.markdown import cell, code, fence_verbatim, one_line

MAX_ROWS: Final = 60
MAX_PLAN_TEXT: Final = 1_000_000
"""Code points of one plan that are rendered at all: more than a pull request and a job summary hold together."""
_HARDEST: Final = tuple(Undo)
_SIGNS: Final = {ResourceAction.CREATE: "+", ResourceAction.DELETE: "-"}
_EMPTY_BLOCK = "```diff\n\n```"
_MAX_TITLES = 8_000
_LEAST_PLAN = 2_000
"""Code points: with less than this for each plan, graphs and evidence make way."""


def name_of(target: TargetVerification) -> str:
    """`infra` (dev), as Markdown."""
    return f"{code(target.target.root.path)} ({cell(target.target.environment.name)})"


def names_of(targets: Iterable[TargetVerification]) -> str:
    """`infra` (dev, prod), or `queues`, `topics` (each dev, prod): each root once, by equal environments. Markdown."""
    environments = grouped((one.target.root.path, cell(one.target.environment.name)) for one in targets)
    roots = grouped((", ".join(names), code(root)) for root, names in environments.items())
    return "; ".join(f"{', '.join(same)} ({'each ' if len(same) > 1 else ''}{names})" for names, same in roots.items())


def headline(target: TargetVerification) -> str:
    """One line of Markdown: the counts of this change set, loud for what hurts. `cautions` says why there is none."""
    if target.plan is None:
        return "**not planned**"
    counts = PlanCounts.of(target.caused, target.caused_outputs)
    line, *loud = counts.line.split(", ")
    words = [f"`{line}`", *(f"**{word}**" if word.split()[-1].isupper() else word for word in loud)]
    if counts.read:
        words.append(f"{counts.read} read at apply")
    if counts.outputs:
        words.append(f"{counts.outputs} output{'s' if counts.outputs > 1 else ''}")
    if not target.caused and not target.caused_outputs:
        words = ["no changes"]
    pending = len(target.pending) + len(target.pending_outputs)
    if pending:
        lost = sum(change.action.destroys for change in target.pending)
        words.append(f"{pending} pending on the base branch{f' (**{lost} DESTROYED by an apply**)' if lost else ''}")
    return ", ".join([*words, *(["**offline**"] if target.offline else [])])


# What a change set does to each resource, and how to undo it.


def changes_table(targets: Sequence[TargetVerification]) -> str:
    """One table over all plans, the hardest to undo first; what several share is one row. Empty without changes."""
    planned = [target for target in targets if target.plan is not None]
    owners = grouped((row, target) for target in planned for row in dict.fromkeys(_rows(target)))
    if not owners:
        return ""
    alike = all(len(where) == len(planned) for where in owners.values())
    undos = {undo for *_, undo in owners}
    same_undo = next(iter(undos)) if len(undos) == 1 and len(owners) > 1 else ""
    head = f"Changes in {names_of(planned)}{', the same in each' if len(planned) > 1 else ''}:" if alike else "Changes:"
    columns = ["Change", "Resource", *([] if alike else ["Target"]), *([] if same_undo else ["Undo"])]
    lines = [f"{head}\n", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for (_, _, kind, resource, undo), where in sorted(owners.items(), key=lambda entry: entry[0])[:MAX_ROWS]:
        cells = [kind, resource, *([] if alike else [names_of(where)]), *([] if same_undo else [undo])]
        lines.append(f"| {' | '.join(cells)} |")
    if same_undo:
        lines.append(f"\nUndo of each: {same_undo}.")
    if len(owners) > MAX_ROWS:
        lines.append(f"\nand {len(owners) - MAX_ROWS:,} more: see the plans")
    return "\n".join(lines)


def _rows(target: TargetVerification) -> list[tuple[int, str, str, str, str]]:
    """(rank, address, change, resource, undo); the first two order the rows."""
    made = target.plan.made if target.plan else frozenset()
    rows = []
    for change in (change for change in target.caused if change.mode == "managed"):
        undo = undo_of(change, made, target.prevented)
        kind = f"**{change.action.value.upper()}**" if change.action.destroys else change.action.value
        moved = f" (was {code(change.previous_address)})" if change.previous_address else ""
        words = cell(undo.why) if undo.word is Undo.PLAIN else f"**{undo.word.value}**: {cell(undo.why)}"
        rows.append((_HARDEST.index(undo.word), change.address, kind, f"{code(change.address)}{moved}", words))
    return rows


# The plans as text.


def plans_text(targets: tuple[TargetVerification, ...], budget: int, overflow: Overflow) -> str:
    """Every plan as Markdown within `budget` code points: whole resources, in fair shares; then graphs and evidence.

    Counts, and why a target has no plan, are at the top of the pull request and not here again.
    """
    if not targets:
        return "No Terraform root is affected by this change."
    planned = [target for target in targets if target.plan]
    changing = [t for t in planned if t.plan and (t.plan.changes or t.plan.outputs or t.plan.drift)]
    still = [target for target in planned if target not in changing]
    without = [target for target in targets if target.plan is None]
    notes = [f"No changes in {names_of(still)}."] if still else []
    notes += [f"No plan for {names_of(without)}; *Infrastructure changes* says why."] if without else []
    note = "\n\n".join(notes)
    if len(note) > _MAX_TITLES:
        overflow.add("Targets without changes or without a plan", note)
        note = (
            f"**{len(still) + len(without)} targets without changes or without a plan are listed in the job summary.**"
        )
    fitting = sum(total <= _MAX_TITLES for total in accumulate(len(_title(target)) for target in changing))
    shown, beyond = changing[: max(1, fitting)], changing[max(1, fitting) :]
    if beyond:
        note += f"\n\n**{len(beyond)} more targets in the job summary.**"
    tail = _graphs_and_evidence(shown)
    room = budget - len(note) - sum(len(details(_title(target), "")) + 4 for target in shown) - 200
    if tail and room - len(tail) < _LEAST_PLAN * len(shown):
        overflow.add("Graphs and evidence of the plans", tail)
        tail = "*(graphs and evidence of the plans are in the job summary)*"
    room -= len(tail)
    parts = []
    for index, target in enumerate([*shown, *beyond]):
        pieces, unread = diff_pieces(target)
        block = fill_block(pieces, max(0, room // (len(shown) - index)) if index < len(shown) else 0, unread)
        room -= len(block.markdown)
        if block.left_out:
            rest = fence_verbatim("\n\n".join(block.left_out), "diff")
            overflow.add(f"Plan of {one_line(str(target.target))}: resources that did not fit", rest)
        parts += [details(_title(target), block.markdown)] if index < len(shown) and block.markdown else []
    return joined(*parts, note.strip(), tail)


def _title(target: TargetVerification) -> str:
    return f"{'Offline plan' if target.offline else 'Plan'} of {target.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBlock:
    """A `diff` block that holds whole resources; `left_out` are the resources that did not fit, as lines of a diff."""

    markdown: str
    left_out: tuple[str, ...] = ()


def fill_block(pieces: list[str], budget: int, beyond: int = 0) -> PlanBlock:
    """As many whole pieces as fit in `budget` code points, fence and mark included; smaller ones pass a large one."""
    room = budget - len(_EMPTY_BLOCK) - 80
    kept: list[str] = []
    left: list[str] = []
    ticks = 0
    for piece in pieces:
        widest = max(ticks, _widest(piece))
        if len(piece) + 2 + 2 * (widest - ticks) <= room:
            room -= len(piece) + 2 + 2 * (widest - ticks)
            ticks = widest
            kept.append(piece)
        else:
            left.append(piece)
    parts = [fence_verbatim("\n\n".join(kept), "diff")] if kept else []
    missing = len(left) + beyond
    if missing:
        noun = f"{'more ' if kept else ''}resource{'s' if missing > 1 else ''}"
        parts.append(f"**{missing:,} {noun} in the job summary.**")
    return PlanBlock(markdown="\n\n".join(parts), left_out=tuple(left))


def _widest(piece: str) -> int:
    return max((len(run) for run in piece.split() if "`" in run), default=0) if "`" in piece else 0


def diff_pieces(target: TargetVerification) -> tuple[list[str], int]:
    """The plan as lines of a diff, one text for each resource, and how many resources are beyond MAX_PLAN_TEXT.

    What destroys comes first, then this change's own, then what is pending on the base branch, then drift.
    """
    plan = target.plan
    if plan is None:
        return [], 0
    by_address = {change.address: change for change in plan.changes}
    found = pieces_of(plan.text, by_address.keys() | {change.address for change in plan.drift}) or _without_text(plan)
    pending = {output.name for output in target.pending_outputs}
    ranked: list[tuple[tuple[bool, bool, bool, int], str, ResourceText]] = []
    for piece, is_pending in (part for one in found for part in _outputs_apart(one, pending)):
        is_ours = not is_pending and (target.own is None or piece.address is None or piece.address in target.own)
        change = by_address.get(piece.address or "")
        rank = (piece.drift, not is_ours, change is None or not change.action.destroys, len(ranked))
        mark = "" if is_ours else "# pending on the base branch:\n"
        ranked.append((rank, "# changed outside of Terraform:\n" if piece.drift else mark, piece))
    rendered: list[str] = []
    room = MAX_PLAN_TEXT
    for _, mark, piece in sorted(ranked, key=lambda entry: entry[0]):
        room -= len(piece.text)
        if room < 0:
            break
        rendered.append(mark + as_diff(piece.text))
    return rendered, len(ranked) - len(rendered)


def _outputs_apart(piece: ResourceText, pending: set[str]) -> list[tuple[ResourceText, bool]]:
    """`piece`, or the outputs in it as two: this change's, and those that are pending (True)."""
    parted = outputs_in(piece.text, pending) if pending and piece.address is None else None
    if parted is None:
        return [(piece, False)]
    theirs, ours = parted
    return [(replace(piece, text=text), is_theirs) for text, is_theirs in ((ours, False), (theirs, True)) if text]


def _without_text(plan: TerraformPlan) -> tuple[ResourceText, ...]:
    """An offline plan has no text of Terraform's: each resource with its values, then the outputs, in lines that
    `as_diff` and `outputs_in` read as Terraform's.
    """
    pieces = []
    for change in plan.changes:
        sign = _SIGNS.get(change.action, "~")
        title = f"  {sign} {one_line(change.address)} ({change.action.value})"
        pieces.append(ResourceText(change.address, "\n".join([title, *_values(change, sign)])))
    if plan.outputs:
        signs = [(_SIGNS.get(output.action, "~"), output) for output in plan.outputs]
        lines = [f"  {sign} {one_line(o.name)} = {_difference(sign, o.before, o.after)}" for sign, o in signs]
        pieces.append(ResourceText(None, "\n".join([OUTPUTS, *lines])))
    return tuple(pieces)


def _values(change: ResourceChange, sign: str) -> Iterator[str]:
    """One line for each attribute that differs, or that is set on what is created or destroyed."""
    if change.why:
        yield f"      # {one_line(change.why)}"
    names = change.changed_attributes if sign == "~" else sorted(change.old | change.new)
    forcing = {path.split(".")[0] for path in change.replace_paths}
    for name in names:
        old, new = change.old.get(name), change.new.get(name)
        if sign != "~" and (old if sign == "-" else new) in (None, [], {}):
            continue
        forces = " # forces replacement" if name in forcing else ""
        yield f"      {sign} {one_line(name)} = {_difference(sign, old, new)}{forces}"


def _difference(sign: str, old: object, new: object) -> str:
    return f"{_written(old)} -> {_written(new)}" if sign == "~" else _written(old if sign == "-" else new)


def _written(value: object) -> str:
    """A planned value as JSON in one line, whole; what is hidden in words."""
    return str(value) if isinstance(value, Hidden) else json.dumps(value, ensure_ascii=False, sort_keys=True)


# Graphs and evidence.


def _graphs_and_evidence(targets: Sequence[TargetVerification]) -> str:
    drawn = [
        f"Dependencies in {names_of(of)}:\n\n{graphs[0]}" for of, graphs in _shared(targets, lambda t: [_picture(t)])
    ]
    facts = [
        f"{names_of(of)}:\n\n" + "\n".join(items) for of, items in _shared(targets, lambda t: _evidence(t.evidence))
    ]
    return joined(*drawn, details("What the plans were made from", joined(*facts)) if facts else "")


def _shared(
    targets: Sequence[TargetVerification], entries: Callable[[TargetVerification], Iterable[str]]
) -> list[tuple[list[TargetVerification], list[str]]]:
    """(targets, the entries that exactly these share), the widest group first; entries keep their order."""
    found = (
        (entry, number) for number, target in enumerate(targets) for entry in dict.fromkeys(entries(target)) if entry
    )
    groups = grouped((tuple(numbers), entry) for entry, numbers in grouped(found).items())
    ordered = sorted(groups.items(), key=lambda group: (-len(group[0]), group[0]))
    return [([targets[number] for number in numbers], lines) for numbers, lines in ordered]


def _picture(target: TargetVerification) -> str:
    """The graph of what this change set does, as a `mermaid` block; empty where nothing depends on anything."""
    drawn = graph(target.plan, target.caused) if target.plan else ""
    return fence_verbatim(drawn, "mermaid") if " --> " in drawn else ""


def _evidence(found: Evidence | None) -> list[str]:
    """What this plan was made from, as list items; the provenance says what all plans of a run share."""
    if found is None:
        return []
    facts = [
        ("account (from STS)", found.account),
        ("lock file (SHA-256)", found.lock_file),
        ("variable files (SHA-256)", found.var_files),
        ("plan JSON without its timestamp (SHA-256)", found.plan_json),
        *(("provider", provider) for provider in found.providers),
        *(("remote module", module) for module in found.modules),
    ]
    return [f"- {name}: {code(fact)}" for name, fact in facts if fact]
