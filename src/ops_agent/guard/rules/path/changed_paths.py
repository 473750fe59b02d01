"""Which paths a change may touch, and how much."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ops_agent.guard.paths import is_workflow, path_refusal
from ops_agent.guard.rule import ChangedPath, TextFile, WholeChange, hit, rule
from ops_agent.model.finding import Finding, Severity

_JOINER, _EMOJI_STYLE = "\u200d", "\ufe0f"
_BLANK_LETTERS = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_CARRIES_EMOJI = frozenset({"So", "Sk", "Me", "Po", "Nd", "Sm"})
_FAR_RIGHT = re.compile(r"\S[ \t]{80,}\S")
_STARTS_US = re.compile(rb"uses[\"']?\s*:\s*[\"']?\S*ops-agent\S*", re.IGNORECASE)


@rule(Severity.BLOCKS)
def allowed_path(changed: ChangedPath) -> Iterator[Finding]:
    """A path outside the allow-list is written or deleted.

    ops-agent writes Terraform, its documentation and workflows. It never writes the files of git, of Terraform itself
    or of its own policy, nor scripts, nor files that a tool loads on its own.

    Remedy: Leave this file alone; put the change into a `.tf`, `.tfvars`, `.md`, backend or workflow file.
    """
    refusal = path_refusal(changed.change.path, changed.change.after, changed.base.policy, changed.base.layout)
    if refusal:
        yield hit(path=changed.change.path, what=refusal, anchor=changed.change.path)


@rule(Severity.BLOCKS)
def own_workflow(changed: ChangedPath) -> Iterator[Finding]:
    """A workflow that starts ops-agent is changed or deleted, whatever its name.

    Its inputs set the accounts, the roles, the limits and whose label counts. By changing it, ops-agent would change
    its own limits.

    Remedy: Leave this workflow alone; ask a person to change it.
    """
    before = changed.change.before
    if before is not None and is_workflow(changed.change.path) and _STARTS_US.search(before):
        what = "it starts ops-agent on the base branch"
        yield hit(path=changed.change.path, what=what, anchor=changed.change.path)


@rule(Severity.BLOCKS)
def too_large(change: WholeChange) -> Iterator[Finding]:
    """The change is larger than a person can review.

    Limits on files and bytes keep a pull request reviewable and a mistake small.

    Remedy: Split the work: declare `needs_split` with a list of proposed sub-issues.
    """
    changes, limits = change.changes.written.changes, change.limits
    if len(changes) > limits.max_files:
        what = f"{len(changes)} files are changed; at most {limits.max_files} may be"
        yield hit(path=changes[0].path, what=what, anchor="files")
    total = sum(len(c.after or b"") for c in changes)
    if total > limits.max_total_bytes:
        what = f"{total:,} bytes; at most {limits.max_total_bytes:,} may be written"
        yield hit(path=changes[0].path, what=what, anchor="bytes")


@rule(Severity.BLOCKS)
def hidden_text(file: TextFile) -> Iterator[Finding]:
    """A file contains text that is invisible, or shown in another order.

    Direction marks display code in another order than it runs in, zero-width characters hide words from people but not
    from programs, control characters change what a terminal shows, and a long run of spaces pushes code out of view.
    Joiners inside of emoji are allowed.

    Remedy: Remove the hidden characters; start a new line instead of a long run of spaces.
    """
    for number, line in enumerate(file.text.split("\n"), start=1):
        hidden = next((c for place, c in enumerate(line) if not c.isascii() and _is_hidden(line, place)), None)
        control = next((c for c in line.removesuffix("\r") if c == "\x7f" or (c < " " and c != "\t")), None)
        for character in filter(None, (hidden, control)):
            what = f"the line contains the hidden character U+{ord(character):04X}"
            yield hit(path=file.path, line=number, what=what, anchor=line.strip())
        if not file.path.endswith(".md") and _FAR_RIGHT.search(line):
            what = "text is hidden behind more than 80 spaces"
            yield hit(path=file.path, line=number, what=what, anchor=line.strip())


def _is_hidden(line: str, place: int) -> bool:
    character = line[place]
    if character in (_JOINER, _EMOJI_STYLE):
        before = line[place - 1 : place]
        return before != _EMOJI_STYLE and (not before or unicodedata.category(before) not in _CARRIES_EMOJI)
    return (
        character in _BLANK_LETTERS
        or unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
        or "\ufe00" <= character < _EMOJI_STYLE
        or "\U000e0000" <= character <= "\U000e0fff"
    )


@rule(Severity.BLOCKS)
def look_alike_path(change: WholeChange) -> Iterator[Finding]:
    """A new path differs from an existing one only in case, or uses a file as a folder.

    On Windows and macOS two such files are one, so a person sees another file than the runner reads. Git cannot hold a
    folder and a file of the same name.

    Remedy: Use the existing spelling, or another name.
    """
    new = [c.path for c in change.changes.changes if c.before is None and c.after is not None]
    if not new:
        return
    spellings: dict[str, set[str]] = {}
    wanted = {p.casefold() for path in new for p in _with_folders(path)}
    tops = {path.casefold().split("/")[0] for path in new}
    for path in change.head.paths:
        if path.casefold().split("/")[0] in tops:
            for part in _with_folders(path):
                if part.casefold() in wanted:
                    spellings.setdefault(part.casefold(), set()).add(part)
    for path in new:
        parts = list(_with_folders(path))
        for part in parts:
            others = sorted(spellings.get(part.casefold(), set()) - {part})
            if others:
                yield hit(path=path, what=f"`{others[0]}` already exists", anchor=path)
        file = next((p for p in parts[:-1] if p in change.head.paths), None)
        if file is not None:
            yield hit(path=path, what=f"`{file}` is a file, so it cannot be a folder", anchor=path)


def _with_folders(path: str) -> Iterator[str]:
    """`a/b/c` -> `a`, `a/b`, `a/b/c`."""
    parts = path.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
