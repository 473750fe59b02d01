"""GitHub's refusals in our words: which permission, which setting, which rule. No header, no URL with a query and no token in any text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from github import GithubException

from ops_agent.adapters.github.github_retry import FailureKind, classify
from ops_agent.errors import Conflict, GitHubError, NeedsWorkflowsPermission, NotFound, NotPermitted, RateLimited

_LONGEST = 600
CREATE_PULL_REQUESTS_SETTING = "Allow GitHub Actions to create and approve pull requests"


class LostAnswer(Exception):
    """The connection broke or timed out: whether GitHub did what was asked is unknown. `what` names the kind, never the request."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def message_of(payload: Any) -> str:
    """GitHub's own words in an error body, REST or GraphQL, flattened to one short line."""
    if not isinstance(payload, dict):
        return ""
    words = [str(payload["message"])] if payload.get("message") else []
    errors = payload.get("errors")
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict):
            words.append(str(error.get("message") or " ".join(str(error[k]) for k in ("resource", "field", "code") if error.get(k))))
        else:
            words.append(str(error))
    return re.sub(r"\s+", " ", ": ".join(w for w in words if w)).strip()[:_LONGEST]


def headers_of(error: GithubException) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in (error.headers or {}).items()}


def translate(error: GithubException | LostAnswer, doing: str, now: float, tries: int = 1) -> GitHubError:
    """The error of ours for a failed call. `doing` is a phrase such as `creating the branch x in o/r`; `now` in epoch seconds."""
    again = f" ({tries} attempts)" if tries > 1 else ""
    if isinstance(error, LostAnswer):
        return GitHubError(f"GitHub could not be reached while {doing}: {error.what}{again}.")
    words, headers = message_of(error.data), headers_of(error)
    if {"RATE_LIMITED", "RATE_LIMIT"} & graphql_types(error.data):
        return _rate_limited(doing, headers, now)
    kind = classify(error.status, headers, words, now).kind
    if kind in (FailureKind.PRIMARY, FailureKind.SECONDARY):
        return _rate_limited(doing, headers, now)
    refusal = _refusal(words, doing, headers) or _graphql_refusal(error.data, words, doing)
    if refusal is not None:
        return refusal
    if error.status == 401:
        return GitHubError(
            f"GitHub refused the token while {doing}: {words or 'bad credentials'}.",
            hint="The token has expired or was revoked (an App's token lives one hour). Start the run again; nothing was lost.",
        )
    if error.status == 403:
        return NotPermitted(f"GitHub refused {doing}: {words or 'forbidden'}.", hint=_permission_hint(headers))
    if error.status in (301, 307, 308):
        return NotFound(f"What was asked for while {doing} has moved to another repository; ops-agent does not follow it there.")
    if error.status in (404, 410, 451):
        gone = {404: "not found, or the token may not see it", 410: "deleted", 451: "blocked for legal reasons"}[error.status]
        return NotFound(f"GitHub answered {error.status} while {doing}: {gone}.")
    if error.status == 409:
        return Conflict(f"GitHub refused {doing}: {words or 'conflict'}.")
    return GitHubError(f"GitHub answered {error.status} while {doing}: {words or 'no reason given'}{again}.")


def graphql_types(payload: Any) -> set[str]:
    """The `type`s of GraphQL errors, upper case."""
    errors = payload.get("errors") if isinstance(payload, dict) else None
    return {str(e.get("type")).upper() for e in errors if isinstance(e, dict) and e.get("type")} if isinstance(errors, list) else set()


def _rate_limited(doing: str, headers: Mapping[str, str], now: float) -> RateLimited:
    reset = headers.get("x-ratelimit-reset", "")
    when = ""
    if reset.isdigit() and int(reset) < 1 << 40:
        at = datetime.fromtimestamp(int(reset), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        when = f"; it is open again at {at}, in {max(0, int(int(reset) - now)) // 60 + 1} minutes"
    elif "retry-after" in headers:
        when = f"; GitHub asks to wait {headers['retry-after'][:10]} seconds"
    return RateLimited(f"GitHub's rate limit is used up (while {doing}){when}.")


def _refusal(words: str, doing: str, headers: Mapping[str, str]) -> GitHubError | None:
    """Refusals that GitHub tells by their text only."""
    low = words.lower()
    if re.search(r"without `?workflows?`? (permission|scope)", low):
        return NeedsWorkflowsPermission(f"GitHub refused {doing}: {words.rstrip('.')}.")
    if "not permitted to create" in low and "pull request" in low:
        return NotPermitted(
            f"GitHub refused {doing}: {words}.",
            hint=f'Switch on "{CREATE_PULL_REQUESTS_SETTING}" (repository settings, Actions, General), or use a GitHub App token.',
        )
    if "rule violations" in low or "push declined" in low or "protected branch" in low or "cannot create ref due to" in low:
        return NotPermitted(
            f"A ruleset or branch protection refused {doing}: {words.rstrip('.')}.",
            hint="Let the token's App or user bypass the rule named above for ops-agent's branches, or choose another `branch_prefix`.",
        )
    if "saml" in low or "sso" in headers.get("x-github-sso", "").lower():
        return NotPermitted(f"GitHub refused {doing}: {words}.", hint="Authorise the token for the organisation's single sign-on.")
    if "was archived" in low:
        return NotPermitted(f"GitHub refused {doing}: {words}.", hint="The repository is archived; nobody can write to it.")
    if "expected branch to point to" in low:
        return Conflict(f"The branch moved while {doing}: {words}.")
    if "resource not accessible by" in low or "must have push access" in low or "must have admin rights" in low:
        return NotPermitted(f"GitHub refused {doing}: {words}.", hint=_permission_hint(headers))
    return None


def _graphql_refusal(payload: Any, words: str, doing: str) -> GitHubError | None:
    types = graphql_types(payload)
    if "STALE_DATA" in types:
        return Conflict(f"The branch moved while {doing}: {words}.")
    if "NOT_FOUND" in types:
        return NotFound(f"GitHub does not know what was asked for while {doing}: {words}.")
    if types & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        return NotPermitted(f"GitHub refused {doing}: {words}.")
    return None


def _permission_hint(headers: Mapping[str, str]) -> str | None:
    """GitHub names the permission that an endpoint needs in this header, e.g. `issues=write; pull_requests=write`."""
    needed = headers.get("x-accepted-github-permissions", "")
    if not re.fullmatch(r"[a-z_=;, ]{3,200}", needed):
        return None
    return f"Give the token the permission `{needed.replace('=', ': ')}` (docs/setup/github-app.md) and start the run again."
