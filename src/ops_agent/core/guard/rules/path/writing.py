"""Which paths a change may touch, and how much."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.core.guard.paths import is_workflow, path_refusal
from ops_agent.core.guard.subjects import ChangedPath, Hit, WholeChange

_STARTS_US = re.compile(rb"uses[\"']?\s*:\s*[\"']?\S*ops-agent\S*", re.IGNORECASE)


def allowed_path(changed: ChangedPath) -> Iterator[Hit]:
    """A path outside the allow-list is written or deleted.

    The agent's domain is Terraform, its documentation and workflows. Git's, Terraform's and the policy's own files, scripts and whatever
    is loaded silently are closed for good.

    Remedy: Leave this file alone; put the change into a `.tf`, `.tfvars`, `.md`, backend or workflow file.
    """
    refusal = path_refusal(changed.change.path, changed.change.after, changed.policy, changed.layout)
    if refusal:
        yield Hit(path=changed.change.path, line=0, what=refusal, anchor=changed.change.path)


def own_workflow(changed: ChangedPath) -> Iterator[Hit]:
    """A workflow that starts ops-agent is changed or deleted, whatever its name.

    Its inputs name the accounts, the roles, the limits and the people whose label counts: whoever writes it writes this agent's own bounds.

    Remedy: Leave this workflow to a person.
    """
    before = changed.change.before
    if before is not None and is_workflow(changed.change.path) and _STARTS_US.search(before):
        yield Hit(path=changed.change.path, line=0, what="it starts ops-agent on the base branch", anchor=changed.change.path)


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
