"""Webhook payloads: what a workflow finds at GITHUB_EVENT_PATH."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ops_agent.demo.github.accounts import Account, AccountKind

if TYPE_CHECKING:
    from ops_agent.demo.github.issues import Issue, Label
    from ops_agent.demo.github.repositories import Repository

Payload = dict[str, Any]


def labeled(issue: Issue, label: Label, sender: Account) -> Payload:
    """`issues` with action `labeled`."""
    from ops_agent.demo.github.rest import issue_shapes, shapes  # noqa: PLC0415 - the shapes need the platform's types

    return {
        "action": "labeled",
        "issue": issue_shapes.issue(issue),
        "label": shapes.label(issue.repository, label),
        **_surroundings(issue.repository, sender),
    }


def workflow_dispatch(repository: Repository, sender: Account, inputs: Mapping[str, str]) -> Payload:
    return {
        "inputs": dict(inputs),
        "ref": f"refs/heads/{repository.default_branch}",
        "workflow": ".github/workflows/ops-agent.yml",
        **_surroundings(repository, sender),
    }


def _surroundings(repository: Repository, sender: Account) -> Payload:
    from ops_agent.demo.github.rest import shapes  # noqa: PLC0415

    github = repository.github
    payload = {"repository": shapes.repository(repository), "sender": shapes.account(github, sender)}
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
