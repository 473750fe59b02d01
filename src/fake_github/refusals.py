"""GitHub's refusals, in GitHub's words. Adapters decide by some of these texts, so those are part of the contract.

The ones that adapters decide by (permissions, rate limits, workflow files, rulesets, pull requests by Actions, a moved
head) follow published logs and documentation of the real service, read in November 2026. The others have its status
codes and shapes; their words are from memory. None was compared with github.com itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DOCUMENTATION = "https://docs.github.com/rest"
BODY_LIMIT = 65_536
TITLE_LIMIT = 256


class Refusal(Exception):
    """A 4xx answer. `kind` is GraphQL's error type for the same refusal; `errors` are the entries of a 422."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "UNPROCESSABLE",
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.errors = [dict(e) for e in errors]
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"message": self.message}
        if self.errors:
            body["errors"] = self.errors
        return {**body, "documentation_url": DOCUMENTATION, "status": str(self.status), **self.extra}


def not_found() -> Refusal:
    return Refusal(404, "Not Found", kind="NOT_FOUND")


def unresolved(type_name: str, by: str) -> Refusal:
    """GraphQL's 404, e.g. `Could not resolve to a ProjectV2 with the number 6.`"""
    return Refusal(
        404,
        f"Could not resolve to {'an' if type_name[0] in 'AEIOU' else 'a'} {type_name} with the {by}.",
        kind="NOT_FOUND",
    )


def unresolved_node(node_id: str) -> Refusal:
    return Refusal(404, f"Could not resolve to a node with the global id of '{node_id}'", kind="NOT_FOUND")


def bad_credentials() -> Refusal:
    return Refusal(401, "Bad credentials")


def requires_authentication() -> Refusal:
    return Refusal(401, "Requires authentication")


def not_accessible(*, integration: bool, accepted: str = "") -> Refusal:
    by = "integration" if integration else "personal access token"
    headers = {"X-Accepted-GitHub-Permissions": accepted} if accepted else {}
    return Refusal(403, f"Resource not accessible by {by}", kind="FORBIDDEN", headers=headers)


def archived() -> Refusal:
    return Refusal(403, "Repository was archived so is read-only.", kind="FORBIDDEN")


def pull_requests_by_actions_forbidden() -> Refusal:
    return Refusal(403, "GitHub Actions is not permitted to create or approve pull requests.", kind="FORBIDDEN")


def workflow_permission_missing(path: str, *, integration: bool) -> Refusal:
    who, needed = (
        ("a GitHub App", "`workflows` permission") if integration else ("a Personal Access Token", "`workflow` scope")
    )
    return Refusal(
        403, f"refusing to allow {who} to create or update workflow `{path}` without {needed}", kind="FORBIDDEN"
    )


def locked() -> Refusal:
    return Refusal(403, "Unable to create comment because issue is locked.", kind="FORBIDDEN")


def issue_deleted() -> Refusal:
    return Refusal(410, "This issue was deleted", kind="NOT_FOUND")


def moved(location: str) -> Refusal:
    return Refusal(301, "Moved Permanently", kind="NOT_FOUND", headers={"Location": location}, extra={"url": location})


def empty_repository() -> Refusal:
    return Refusal(409, "Git Repository is empty.")


def unprocessable(message: str) -> Refusal:
    return Refusal(422, message)


def invalid(resource: str, field: str, code: str = "invalid", message: str = "") -> Refusal:
    error = {"resource": resource, "field": field, "code": code, **({"message": message} if message else {})}
    return Refusal(422, "Validation Failed", errors=[error])


def custom(resource: str, message: str) -> Refusal:
    return Refusal(422, "Validation Failed", errors=[{"resource": resource, "code": "custom", "message": message}])


def missing(*names: str) -> Refusal:
    listed = ", ".join(f'"{n}"' for n in names)
    return Refusal(422, f"Invalid request.\n\n{listed} wasn't supplied.")


def rule_violated(*rules: str) -> Refusal:
    return Refusal(422, "Repository rule violations found\n\n" + "".join(f"{rule}\n\n" for rule in rules))


def stale_head(expected: str) -> Refusal:
    return Refusal(
        409, f'Expected branch to point to "{expected}" but it did not.  Pull and try again.', kind="STALE_DATA"
    )


def check_issue_text(title: str | None = None, body: str | None = None) -> None:
    """Limits of an issue's or pull request's text, counted in code points."""
    if title is not None and not title.strip():
        raise invalid("Issue", "title", "missing_field")
    if title is not None and len(title) > TITLE_LIMIT:
        raise invalid("Issue", "title", "custom", f"title is too long (maximum is {TITLE_LIMIT} characters)")
    if body is not None and len(body) > BODY_LIMIT:
        raise invalid("Issue", "body", "custom", f"body is too long (maximum is {BODY_LIMIT} characters)")


def check_comment(body: str) -> None:
    if not body.strip():
        raise invalid("IssueComment", "data", "unprocessable", "Body cannot be blank")
    if len(body) > BODY_LIMIT:
        raise invalid("IssueComment", "data", "unprocessable", f"Body is too long (maximum is {BODY_LIMIT} characters)")
