"""One plan for a reviewer: a line, a graph, the plan as a `diff` block cut by whole resources, the evidence."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from ops_agent.model.finding import Finding
from ops_agent.model.plan import OutputChange, PlanCounts, ResourceAction, ResourceChange, TerraformPlan
from ops_agent.model.verification import Evidence, TargetVerification
from ops_agent.pages.graph import graph
from ops_agent.plan.losses import made_here
from ops_agent.plan.undo import Reversibility, reversibility
from ops_agent.text.markdown import cell, code, fence_verbatim, inert, one_line

# The text of `terraform show -no-color`: cut into one piece per resource, and made into the lines of a `diff` block.
# Linear.

_HEADER = re.compile(r" {1,2}# (?=\S)")
_WORDS = re.compile(r" (?:will (?:be|no)|must be|has been|has (?:moved|changed)|is tainted|may have|should be)\b")
_MOVED: Final = " has moved to "
_SIGN = re.compile(r"( *)(-/\+|\+/-|[-+~])(?= |$)")
_HEREDOC = re.compile(r"(?:^| )<<-?([A-Z]+)(?: # forces replacement)?$")
_OUTPUT = re.compile(r" {2}[-+~] ([^ ]+) +=")
_OUTPUTS: Final = "Changes to Outputs:"
_COLOURS: Final = {"+": "+", "-": "-", "~": "!", "-/+": "-", "+/-": "!"}
_DRIFT: Final = ("Note: Objects have changed", "Terraform detected the following changes made outside")
_PLANNED: Final = ("Terraform will perform", "Terraform used the selected", _OUTPUTS)
_MOST_WORDS = 20


@dataclass(frozen=True, slots=True)
class Piece:
    """The lines of one resource, or of the outputs (`address` None); `drift` marks what changed outside of Terraform."""

    address: str | None
    text: str
    drift: bool = False


def pieces_of(text: str, known: Collection[str]) -> tuple[Piece, ...]:
    """`text` by resource, in its order, without the key of symbols and Terraform's advice. `known` are the addresses of
    the plan's JSON.

    Terraform's own lines stand at the margin or, as a resource's header, two columns in; what people wrote is always
    further in.
    """
    return tuple(piece for piece in _pieces(text, known) if piece.text)


def outputs_in(text: str, names: Collection[str]) -> tuple[str, str] | None:
    """The piece of the outputs as two: those called `names`, and the others (either may be empty). None for any other
    text.

    An output's own line has its sign two columns in; whatever belongs to its value is further in.
    """
    title, *lines = text.split("\n")
    if title != _OUTPUTS:
        return None
    parts: tuple[list[str], list[str]] = ([], [])
    current = parts[1]
    for line in lines:
        output = _OUTPUT.match(line)
        if output:
            current = parts[0] if output.group(1) in names else parts[1]
        current.append(line)
    named, others = ("\n".join([title, *part]) if part else "" for part in parts)
    return named, others


def as_diff(text: str) -> str:
    """`text` inert, each line's sign moved to the first column: `+` and `-` as they are, `!` for a change in place.

    A line of a heredoc is coloured by Terraform's own sign at its own column, never by what the line begins with.
    """
    return "\n".join(_diff_lines(inert(text).split("\n")))


def _pieces(text: str, known: Collection[str]) -> Iterator[Piece]:
    lines: list[str] = []
    address: str | None = None
    drift = inside = False
    for line in text.split("\n"):
        header = _HEADER.match(line)
        if header and not (lines and _HEADER.match(lines[-1])):
            yield Piece(address, "\n".join(lines).strip("\n"), drift)
            lines, inside = [line], True
            address = _address(line[header.end() :], known)
        elif line and line[0] != " " and not _SIGN.match(line):
            yield Piece(address, "\n".join(lines).strip("\n"), drift)
            drift = line.startswith(_DRIFT) or (drift and not line.startswith(_PLANNED))
            inside = line.startswith(_OUTPUTS)
            lines, address = [line] if inside else [], None
        elif inside:
            lines.append(line)
    yield Piece(address, "\n".join(lines).strip("\n"), drift)


def _address(header: str, known: Collection[str]) -> str | None:
    """The address that `header` begins with (a move: ends with). A key may hold Terraform's words, so the address must
    be a known one.
    """
    for number, words in enumerate(_WORDS.finditer(header)):
        if number >= _MOST_WORDS:
            break
        if header[: words.start()] in known:
            return header[: words.start()]
        if header.startswith(_MOVED, words.start()) and header[words.start() + len(_MOVED) :] in known:
            return header[words.start() + len(_MOVED) :]
    return None


def _diff_lines(lines: list[str]) -> Iterator[str]:
    terminator: str | None = None
    column, around = 0, " "
    for line in lines:
        if terminator is not None:
            if line.startswith(terminator):
                terminator = None
                yield _coloured(line, around)
            elif line[column : column + 2] in ("+ ", "- ") and not line[:column].strip():
                yield _coloured(line[:column] + " " + line[column + 1 :], line[column])
            else:
                yield _coloured(line, around)
            continue
        sign = _SIGN.match(line)
        colour = _COLOURS[sign.group(2)] if sign else " "
        if "<<" in line and (heredoc := _HEREDOC.search(line)):
            start = len(line) - len(line.lstrip(" ")) + (2 if sign else 0)
            terminator, column = " " * start + heredoc.group(1), start + 2
            around = colour if colour in "+-" else " "
        if sign and line.startswith("-/+"):
            yield line
        elif sign and len(sign.group(2)) == 1:
            yield _coloured(line[: sign.end(1)] + " " + line[sign.end() :], colour)
        else:
            yield _coloured(line, colour)


def _coloured(line: str, colour: str) -> str:
    """`line` with `colour` in its first column, which is blank in all but Terraform's own lines at the margin."""
    return (colour + (line[1:] if line.startswith(" ") else line)).rstrip()


T = TypeVar("T")
_NO_RESOURCE = ("provider ", "output.", "check.", "action.")
_EMPTY_BLOCK = "```diff\n\n```"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Changes of one plan, told apart: caused by this change set, and standing on the base already."""

    own: tuple[ResourceChange, ...]
    before: tuple[ResourceChange, ...]
    own_outputs: tuple[OutputChange, ...]
    outputs_before: tuple[OutputChange, ...]


def share(target: TargetVerification, plan: TerraformPlan) -> Shared:
    """All changes are `own` when the base could not be planned."""
    own, before = _parted(plan.changes, lambda change: target.own is None or change.address in target.own)
    own_outputs, outputs_before = _parted(
        plan.outputs, lambda output: target.own_outputs is None or output.name in target.own_outputs
    )
    return Shared(own=own, before=before, own_outputs=own_outputs, outputs_before=outputs_before)


def name_of(target: TargetVerification) -> str:
    """`infra` (dev), as Markdown."""
    return f"{code(target.target.root.path)} ({cell(target.target.environment.name)})"


def names_of(targets: Iterable[TargetVerification]) -> str:
    """`infra` (dev, prod), or `queues`, `topics` (each dev, prod): each root once, those of the same environments
    together. Markdown.
    """
    environments: dict[str, list[str]] = {}
    for target in targets:
        environments.setdefault(target.target.root.path, []).append(cell(target.target.environment.name))
    roots: dict[str, list[str]] = {}
    for root, names in environments.items():
        roots.setdefault(", ".join(names), []).append(code(root))
    return "; ".join(f"{', '.join(same)} ({'each ' if len(same) > 1 else ''}{names})" for names, same in roots.items())


def headline(target: TargetVerification) -> str:
    """One line of Markdown: the counts of this change set, loud for what hurts. Why there is no plan stands elsewhere,
    once.
    """
    plan = target.plan
    if plan is None:
        return "**not planned**"
    shared = share(target, plan)
    counted = PlanCounts.of(shared.own, shared.own_outputs)
    line, *loud = counted.line.split(", ")
    words = [f"`{line}`", *(f"**{word}**" if word.isupper() or word.split()[-1].isupper() else word for word in loud)]
    if counted.read:
        words.append(f"{counted.read} read at apply")
    if counted.outputs:
        words.append(f"{counted.outputs} output{'s' if counted.outputs > 1 else ''}")
    if not shared.own and not shared.own_outputs:
        words = ["no changes"]
    stood = len(shared.before) + len(shared.outputs_before)
    if stood:
        lost = sum(change.action.destroys for change in shared.before)
        words.append(f"{stood} that stood before this change{f' (**{lost} DESTROYED by an apply**)' if lost else ''}")
    if target.mocked:
        words.append("**mocked**")
    return ", ".join(words)


def is_own(danger: Finding, target: TargetVerification) -> bool:
    """Whether the change set causes it. What is no resource has no base to be compared with: it is shown."""
    address = danger.address
    return target.own is None or address in target.own or address.startswith(_NO_RESOURCE) or ".action." in address


def picture(target: TargetVerification) -> str:
    """The graph of what this change set does, as a `mermaid` block; empty where nothing depends on anything: the table
    says the rest.
    """
    if target.plan is None:
        return ""
    own = share(target, target.plan).own
    drawn = graph(target.plan, own)
    return fence_verbatim(drawn, "mermaid") if " --> " in drawn else ""


def evidence(found: Evidence | None) -> list[str]:
    """What this plan was made from, as Markdown items; what every plan of a run shares stands in the text's provenance."""
    if found is None:
        return []
    facts = [
        ("account (from STS)", found.account),
        ("lock file (SHA-256)", found.lock_file),
        ("variable files (SHA-256)", found.var_files),
        ("plan JSON without its time (SHA-256)", found.plan_json),
        *(("provider", provider) for provider in found.providers),
        *(("module from outside", module) for module in found.modules),
    ]
    return [f"- {name}: {code(fact)}" for name, fact in facts if fact]


def folded(summary: str, content: str, *, is_open: bool = False) -> str:
    """A collapsible part. `summary` is plain text from anywhere."""
    return f"<details{' open' if is_open else ''}><summary>{html.escape(one_line(summary))}</summary>\n\n{content}\n\n</details>"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBlock:
    """A `diff` block that holds whole resources; `left_out` are the resources that did not fit, as lines of a diff."""

    markdown: str
    left_out: tuple[str, ...] = ()


MOST_PLAN_TEXT = 1_000_000
"""Code points of one plan that are rendered at all: more than a pull request and a job summary hold together."""


def diff_pieces(target: TargetVerification) -> tuple[list[str], int]:
    """The plan as lines of a diff, one text per resource, and how many resources are beyond MOST_PLAN_TEXT.

    What destroys comes first, then this change's own, then what stood before, then drift.
    """
    plan = target.plan
    if plan is None:
        return [], 0
    by_address = {change.address: change for change in plan.changes}
    found = pieces_of(plan.text, by_address.keys() | {change.address for change in plan.drift}) or _without_text(plan)
    pieces, standing = _outputs_apart(found, share(target, plan))

    def is_own(index: int) -> bool:
        address = pieces[index].address
        return index not in standing and (target.own is None or address is None or address in target.own)

    def rank(index: int) -> tuple[bool, bool, bool, int]:
        change = by_address.get(pieces[index].address or "")
        return pieces[index].drift, not is_own(index), change is None or not change.action.destroys, index

    rendered: list[str] = []
    room = MOST_PLAN_TEXT
    for index in sorted(range(len(pieces)), key=rank):
        piece = pieces[index]
        room -= len(piece.text)
        if room < 0:
            break
        note = (
            "# changed outside of Terraform:\n"
            if piece.drift
            else ""
            if is_own(index)
            else "# stood before this change:\n"
        )
        rendered.append(note + as_diff(piece.text))
    return rendered, len(pieces) - len(rendered)


def _outputs_apart(pieces: tuple[Piece, ...], shared: Shared) -> tuple[list[Piece], set[int]]:
    """`pieces` with the outputs that stood before in a piece of their own; the indices of such pieces."""
    parted: list[Piece] = []
    standing: set[int] = set()
    names = {output.name for output in shared.outputs_before}
    for piece in pieces:
        told = outputs_in(piece.text, names) if names and piece.address is None else None
        if told is None:
            parted.append(piece)
            continue
        theirs, ours = told
        parted += [replace(piece, text=ours)] if ours else []
        if theirs:
            standing.add(len(parted))
            parted.append(replace(piece, text=theirs))
    return parted, standing


def _without_text(plan: TerraformPlan) -> tuple[Piece, ...]:
    """A plan that Terraform wrote no text for (a mocked look): each resource with the names of the attributes that
    differ.
    """
    pieces = []
    for change in plan.changes:
        sign = "-" if change.action is ResourceAction.DELETE else "+" if change.action is ResourceAction.CREATE else "~"
        names = [f"      {sign} {name}" for name in change.changed_attributes] if sign == "~" else []
        pieces.append(
            Piece(change.address, "\n".join([f"  {sign} {one_line(change.address)} ({change.action.value})", *names]))
        )
    return tuple(pieces)


def fill_block(pieces: list[str], budget: int, beyond: int = 0) -> PlanBlock:
    """As many whole pieces as fit in `budget` code points, fence and mark included; a piece that does not fit lets
    smaller ones pass.
    """
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
    block = fence_verbatim("\n\n".join(kept), "diff") if kept else ""
    more = "more " if kept else ""
    mark = (
        f"**{len(left) + beyond:,} {more}resource{'s' if len(left) + beyond > 1 else ''} in the job summary.**"
        if left or beyond
        else ""
    )
    return PlanBlock(markdown="\n\n".join(part for part in (block, mark) if part), left_out=tuple(left))


def _widest(piece: str) -> int:
    return max((len(run) for run in piece.split() if "`" in run), default=0) if "`" in piece else 0


def _parted(found: tuple[T, ...], is_own: Callable[[T], bool]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    return tuple(one for one in found if is_own(one)), tuple(one for one in found if not is_own(one))


# What a change set does to each resource of all plans, and whether it can be taken back.

MOST_ROWS: Final = 60
_ORDER: Final = (Reversibility.IRREVERSIBLE, Reversibility.UNKNOWN, Reversibility.RECREATABLE, Reversibility.REVERSIBLE)


def changes_table(targets: Sequence[TargetVerification]) -> str:
    """One table over all plans, the hardest to take back first; what several of them have is one row. Empty: nothing
    changes.
    """
    planned = [target for target in targets if target.plan is not None]
    owners: dict[tuple[int, str, str, str, str], list[TargetVerification]] = {}
    for target in planned:
        for row in dict.fromkeys(_rows(target)):
            owners.setdefault(row, []).append(target)
    if not owners:
        return ""
    alike = all(len(where) == len(planned) for where in owners.values())
    head = f"What changes in {names_of(planned)}{', alike' if len(planned) > 1 else ''}:" if alike else "What changes:"
    columns = ("Change", "Resource", "Taking it back") if alike else ("Change", "Resource", "Where", "Taking it back")
    lines = [f"{head}\n", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for (_, _, kind, resource, back), where in sorted(owners.items(), key=lambda entry: entry[0])[:MOST_ROWS]:
        lines.append(f"| {' | '.join((kind, resource, back) if alike else (kind, resource, names_of(where), back))} |")
    if len(owners) > MOST_ROWS:
        lines.append(f"\nand {len(owners) - MOST_ROWS:,} more: see the plans")
    return "\n".join(lines)


def _rows(target: TargetVerification) -> list[tuple[int, str, str, str, str]]:
    """(rank, address, change, resource, taking it back); the first two order the rows."""
    if target.plan is None:
        return []
    made = made_here(target.plan.changes)
    return [_row(change, made) for change in share(target, target.plan).own if change.mode == "managed"]


def _row(change: ResourceChange, made: frozenset[str]) -> tuple[int, str, str, str, str]:
    back = reversibility(change, made)
    kind = f"**{change.action.value.upper()}**" if change.action.destroys else change.action.value
    moved = f" (was {code(change.previous_address)})" if change.previous_address else ""
    return (
        _ORDER.index(back.word),
        change.address,
        kind,
        f"{code(change.address)}{moved}",
        f"{back.word.value}: {cell(back.why)}",
    )
