"""JSON of workflow runs and apps."""

from __future__ import annotations

from fake_github.accounts import READ, Account
from fake_github.platform import EmbeddedGitHub
from fake_github.repositories import Repository, WorkflowRun
from fake_github.rest import shapes
from fake_github.rest.shapes import Json


def run(r: Repository, one: WorkflowRun) -> Json:
    base = f"{shapes.api(r)}/actions/runs/{one.id}"
    links = {f"{n}_url": f"{base}/{n}" for n in ("jobs", "logs", "cancel", "rerun", "artifacts")}
    return {
        "id": one.id,
        "name": "ops-agent",
        "node_id": f"WFR_kwLO{one.id}",
        "head_branch": r.default_branch,
        "head_sha": r.branches.get(r.default_branch, "0" * 40),
        "path": ".github/workflows/ops-agent.yml",
        "display_title": "ops-agent",
        "run_number": 1,
        "event": one.event,
        "status": one.status,
        "conclusion": one.conclusion,
        "workflow_id": 1,
        "url": base,
        "html_url": f"{r.url}/actions/runs/{one.id}",
        "pull_requests": [],
        "created_at": r.created_at,
        "updated_at": r.created_at,
        "run_attempt": 1,
        **links,
        "check_suite_url": f"{shapes.api(r)}/check-suites/{one.id}",
        "workflow_url": f"{shapes.api(r)}/actions/workflows/1",
        "head_commit": None,
        "repository": shapes.repository_core(r),
        "head_repository": shapes.repository_core(r),
    }


def app(github: EmbeddedGitHub, slug: str, bot: Account) -> Json:
    """`integration`: what the App asks for, which an installation may have narrowed."""
    return {
        "id": bot.id + 1,
        "slug": slug,
        "node_id": f"A_kgDO{bot.id + 1}",
        "owner": shapes.account(github, github.account("ghost")),
        "name": slug,
        "description": None,
        "external_url": f"{github.base_url}/apps/{slug}",
        "html_url": f"{github.base_url}/apps/{slug}",
        "created_at": "2026-01-05T09:00:00Z",
        "updated_at": "2026-01-05T09:00:00Z",
        "permissions": {"metadata": READ, **github.app_permissions[slug]},
        "events": [],
    }
