"""Tools that change files. Every write is judged for its path and content first."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from ops_agent.agent.briefing import plain_name
from ops_agent.agent.diffs import diff, nearest
from ops_agent.agent.workbench import STRICT, Answer, Entries, PlainPath, RepositoryPath, ToolRefusal, Workbench
from ops_agent.model.ports import ScratchRefusal

MAX_SHOWN = 24_000
"""Characters of all diffs of one call."""


class Edit(BaseModel):
    """A file written whole, or one place of it."""

    model_config = STRICT

    path: PlainPath = Field(description="Path relative to the repository's root.")
    old: str = Field(
        "",
        description="Text that occurs exactly once in the file, white space included. Leave it out for a whole file.",
    )
    new: str = Field(description="What replaces `old`; without `old` the whole file. UTF-8, `\\n` line ends.")


def edit(
    bench: Workbench,
    edits: Annotated[
        Entries[Edit],
        "All changes that you know by now, in any number of files. Those of one file are made in this order.",
    ],
) -> Answer:
    """Write files whole, or replace pieces of them: many files and places in one call.

    A file is written with all of its edits or not at all; `not_written` says which were not and why, and only those are
    to be sent again. Code then formats Terraform, pins actions, and judges by the rules over sources; the answer has
    the findings of these files, and as a diff what differs from before, or in a new file from what you sent: read
    nothing again.
    """
    if not edits:
        raise ToolRefusal("`edits` is empty")
    before: dict[str, bytes | None] = {}
    sent: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    for path in dict.fromkeys(one.path for one in edits):
        try:
            before[path] = _content(bench, path)
            content = _edited(bench, path, before[path], [one for one in edits if one.path == path])
            bench.allow(path, content)
            if before[path] != content:
                bench.scratch.write(path, content)
                bench.writes += 1
            sent[path] = content
        except (ToolRefusal, ScratchRefusal) as refusal:
            refused[plain_name(path)] = str(refusal)
    if not sent:
        raise ToolRefusal("; ".join(f"`{path}`: {why}" if len(refused) > 1 else why for path, why in refused.items()))
    changed = [path for path in sent if before[path] != sent[path]]
    facts: dict[str, Any] = {
        "not_written": refused,
        "written": changed,
        "had_this_content": [path for path in sent if path not in changed],
        **(bench.settle(changed) if changed else {}),
    }
    texts, room = [], MAX_SHOWN
    for path in changed:
        old, after = before[path], bench.scratch.read(path)
        shown = diff(sent[path] if old is None else old, after, room)
        what = ("" if after == sent[path] else "as code changed it, ") if old is None else ""
        if shown:
            texts.append((f"{path}, {what}as a diff", shown))
            room -= len(shown)
    return Answer({name: fact for name, fact in facts.items() if fact}, tuple(texts), failed=bool(refused))


def _content(bench: Workbench, path: str) -> bytes | None:
    """What the file holds; None when it cannot be read: most often there is none yet."""
    try:
        return bench.scratch.read(path)
    except ScratchRefusal:
        return None


def _edited(bench: Workbench, path: str, before: bytes | None, edits: list[Edit]) -> bytes:
    """The file's new content. Raises ToolRefusal, ScratchRefusal when an edit does not fit."""
    content = before
    for number, one in enumerate(edits, start=1):
        which = f"edit {number} of this file: " if len(edits) > 1 else ""
        if one.old:
            content = _replaced(bench.scratch.read(path) if content is None else content, one.old, one.new, which)
        elif "old" in one.model_fields_set and content:
            raise ToolRefusal(f"{which}`old` is empty; leave it out to replace the whole file")
        else:
            content = one.new.encode()
    return content or b""


def _replaced(content: bytes, old: str, new: str, which: str) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ToolRefusal(f"{which}the file is not UTF-8, so it is not edited in place") from None
    if "\r\n" in text and "\r\n" not in old:
        old, new = old.replace("\n", "\r\n"), new.replace("\r\n", "\n").replace("\n", "\r\n")
    count = text.count(old)
    if count == 1:
        return text.replace(old, new).encode()
    if count == 0:
        raise ToolRefusal(f"{which}`old` occurs nowhere in the file. {nearest(text, old, new)}")
    places, start = list[str](), -1
    while len(places) < min(count, 10):
        start = text.find(old, start + 1)
        places.append(str(text.count("\n", 0, start) + 1))
    raise ToolRefusal(
        f"{which}`old` occurs {count} times, in lines {', '.join(places)}; it must occur exactly once: take more lines"
    )


def move(
    bench: Workbench,
    path: RepositoryPath,
    to: Annotated[PlainPath, "The new path, where there is no file yet."],
) -> Any:
    """Move or rename a file. Within a module that means nothing to Terraform; in another one its resources are created
    anew, and destroyed where they were.
    """
    content = bench.scratch.read(path)
    bench.allow(path, None)
    bench.allow(to, content)
    if _content(bench, to) is not None:
        raise ToolRefusal(f"there is a file `{to}` already")
    bench.scratch.write(to, content)
    try:
        bench.scratch.delete(path)
    except ScratchRefusal:
        bench.scratch.delete(to)
        raise
    bench.writes += 1
    return {"moved": path, "to": to}


def delete(bench: Workbench, path: RepositoryPath) -> Any:
    """Delete a file. Apply destroys the resources that leave with it: deletions of stateful ones are blocked."""
    bench.allow(path, None)
    bench.scratch.delete(path)
    bench.writes += 1
    return {"deleted": path}
