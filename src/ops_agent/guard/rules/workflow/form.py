"""Workflows are read strictly (F09 of the security bar)."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.guard.rule import Hit, UnreadableFile, WorkflowFile
from ops_agent.model.workflow import Job, Step, Workflow


def unreadable_workflow(file: UnreadableFile) -> Iterator[Hit]:
    """A workflow cannot be read without doubt.

    Duplicate keys, anchors, merge keys, tags, tabs and a quoted `on` mean different things to different readers.

    Remedy: Write plain YAML: every key once, no anchors, blanks for indentation, `on:` without quotes.
    """
    if file.path.endswith((".yml", ".yaml")):
        yield Hit(path=file.path, line=file.reason.line, what=file.reason.what, anchor=file.text)


def unknown_key(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow has a key that this guard does not know.

    What is not known is not judged.

    Remedy: Correct the key's spelling, or leave it out.
    """
    parts: list[Workflow | Job | Step] = [
        file.workflow,
        *file.workflow.jobs,
        *(s for j in file.workflow.jobs for s in j.steps),
    ]
    for part in parts:
        for key in part.unknown_keys:
            yield file.hit(part, f"the key `{key}` is not known here", at=key)
