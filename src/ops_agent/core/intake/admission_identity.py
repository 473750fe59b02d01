"""Whether an issue is one of ours: its title starts with exactly the prefix, or it carries the role label."""

from __future__ import annotations

import unicodedata

from ops_agent.domain.event import Issue, IssueRef
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.settings import Settings


def same(left: str, right: str) -> bool:
    """Labels, logins and status names are compared without case, as GitHub does."""
    return left.casefold() == right.casefold()


def has_prefix(title: str, prefix: str) -> bool:
    """True when `title` in NFC starts with `prefix`, code point by code point, and no mark or invisible character continues it."""
    normal = unicodedata.normalize("NFC", title)
    following = normal[len(prefix) : len(prefix) + 1]
    continued = bool(following) and unicodedata.category(following)[0] in "MC"
    return normal.startswith(unicodedata.normalize("NFC", prefix)) and not continued


def is_ours(settings: Settings, issue: Issue) -> bool:
    role = settings.role_label
    return has_prefix(issue.title, settings.title_prefix) or (bool(role) and any(same(label, role) for label in issue.labels))


def lacks_identity(settings: Settings, ref: IssueRef) -> Stopped:
    role = f" or carries the label `{settings.role_label}`" if settings.role_label else ""
    return Stopped(
        conclusion=Conclusion.DECLINED,
        reason=f"{ref} is not a work item of ops-agent: only an issue whose title starts with exactly `{settings.title_prefix}`{role} is.",
        remedy=f"Start its title with `{settings.title_prefix}` when it is infrastructure work, and put the label again.",
        quiet=True,
    )
