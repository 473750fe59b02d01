"""Which paths a change may touch, and how much."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.core.guard.paths import path_refusal
from ops_agent.core.guard.subjects import ChangedPath, Hit, WholeChange


def allowed_path(changed: ChangedPath) -> Iterator[Hit]:
    """A path outside the allow-list is written or deleted.

    The agent's domain is Terraform, its documentation and workflows. Git's, Terraform's and the policy's own files, scripts and whatever
    is loaded silently are closed for good.

    Remedy: Leave this file alone; put the change into a `.tf`, `.tfvars`, `.md`, backend or workflow file.
    """
    refusal = path_refusal(changed.change.path, changed.change.after, changed.policy, changed.layout)
    if refusal:
        yield Hit(path=changed.change.path, line=0, what=refusal, anchor=changed.change.path)


def too_large(change: WholeChange) -> Iterator[Hit]:
    """The change is larger than a person can review.

    Quotas on files and bytes keep a pull request reviewable and a mistake small.

    Remedy: Split the work: declare `needs_split` with a proposed list of sub-issues.
    """
    changes, limits = change.changes.changes, change.limits
    if len(changes) > limits.max_files:
        yield Hit(path=changes[0].path, line=0, what=f"{len(changes)} files are changed; at most {limits.max_files} may be", anchor="files")
    total = sum(len(c.after or b"") for c in changes)
    if total > limits.max_total_bytes:
        yield Hit(path=changes[0].path, line=0, what=f"{total:,} bytes; at most {limits.max_total_bytes:,} may be written", anchor="bytes")
