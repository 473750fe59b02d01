"""Webhook payloads: what a workflow finds at GITHUB_EVENT_PATH."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fake_github.accounts import Account, AccountKind
from fake_github.objects import Issue, Label, PullRequest, Repository
from fake_github.rest import shapes

Payload = dict[str, Any]
# The published payload schemas (which the tests check against) are older than these fields of the REST API.
_REST_ONLY = frozenset(
    {
        "user_view_type",
        "closed_by",
        "sub_issues_summary",
        "issue_dependencies_summary",
        "parent_issue_url",
        "network_count",
        "subscribers_count",
    }
)


def _as_payload(shape: Any) -> Any:
    if isinstance(shape, list):
        return [_as_payload(one) for one in shape]
    return {k: _as_payload(v) for k, v in shape.items() if k not in _REST_ONLY} if isinstance(shape, dict) else shape


def labeled(issue: Issue, label: Label, sender: Account) -> Payload:
    """`issues` with action `labeled`."""
    return {
        "action": "labeled",
        "issue": _as_payload(shapes.issue(issue)),
        "label": shapes.label(issue.repository, label),
        **_surroundings(issue.repository, sender),
    }


def closed(issue: Issue, sender: Account) -> Payload:
    """`issues` with action `closed`."""
    described = _as_payload(shapes.issue(issue))
    return {"action": "closed", "issue": described, **_surroundings(issue.repository, sender)}


def pull_request(pull: PullRequest, action: str, sender: Account) -> Payload:
    """`pull_request` and `pull_request_target`, which have the same payload."""
    shown = shapes.pull_request(pull)
    for side in ("head", "base"):
        shown[side]["repo"] = _described(shown[side]["repo"])
    return {
        "action": action,
        "number": pull.number,
        "pull_request": _as_payload(shown),
        **_surroundings(pull.repository, sender),
    }


def push(repository: Repository, branch: str, before: str, sender: Account) -> Payload:
    """`push` to a branch, without the commits: nobody here reads them."""
    after = repository.head(branch)
    return {"ref": f"refs/heads/{branch}", "before": before, "after": after, **_surroundings(repository, sender)}


def workflow_dispatch(repository: Repository, sender: Account, inputs: Mapping[str, str]) -> Payload:
    return {
        "inputs": dict(inputs),
        "ref": f"refs/heads/{repository.default_branch}",
        "workflow": ".github/workflows/ops-agent.yml",
        **_surroundings(repository, sender),
    }


def _described(repository: Payload) -> Payload:
    """A repository as payloads show it."""
    kept = {name: value for name, value in repository.items() if name != "organization"}
    return kept | {"web_commit_signoff_required": False, "custom_properties": {}}


def _surroundings(repository: Repository, sender: Account) -> Payload:
    github = repository.github
    described = _described(shapes.repository(repository))
    payload: Payload = _as_payload({"repository": described, "sender": shapes.account(github, sender)})
    if repository.owner.kind is AccountKind.ORGANIZATION:
        base = f"{github.base_url}/orgs/{repository.owner.login}"
        payload["organization"] = {
            "login": repository.owner.login,
            "id": repository.owner.id,
            "node_id": repository.owner.node_id,
            "url": base,
            **{f"{name}_url": f"{base}/{name}" for name in ("repos", "events", "hooks", "issues")},
            "members_url": f"{base}/members{{/member}}",
            "public_members_url": f"{base}/public_members{{/member}}",
            "avatar_url": f"{github.base_url}/avatars/u/{repository.owner.id}",
            "description": None,
        }
    return payload
