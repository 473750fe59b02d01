"""What a token may do, asked without changing anything."""

from __future__ import annotations

from adapters.github.calls import host, name
from ops_agent.model.ports import TokenAbilities
from run.github_world import BOT_ID, Workplace

ALL = TokenAbilities(contents=True, pull_requests=True, issues=True, workflows=True)


def test_abilities_are_found_without_changing_anything(here: Workplace) -> None:
    github = here.github
    tokens = {
        github.app_token("ops-agent", bot_id=BOT_ID): ALL,
        github.actions_token(here.repository): TokenAbilities(
            contents=True, pull_requests=True, issues=True, workflows=False
        ),
        github.actions_token(here.repository, contents="read"): TokenAbilities(
            contents=False, pull_requests=False, issues=False, workflows=False
        ),
        github.classic_token("maria", "repo"): TokenAbilities(
            contents=True, pull_requests=True, issues=True, workflows=False
        ),
        github.classic_token("maria", "repo", "workflow"): ALL,
        github.fine_grained_token(
            "maria", [here.repository], contents="write", issues="read", pull_requests="write"
        ): TokenAbilities(contents=True, pull_requests=True, issues=False, workflows=None),
    }
    github.faults.on("GET /apps").answer(
        200, body={"slug": "ops-agent", "permissions": {"contents": "write", "workflows": "write"}}
    )
    before = (dict(here.repository.branches), len(here.repository.issues))
    for token, expected in tokens.items():
        found = host(here, token)
        assert found.issues.token_abilities(name(here)) == expected
        github.recorder.restart()
        assert found.issues.token_abilities(name(here)) == expected and github.recorder.calls == []
    assert (dict(here.repository.branches), len(here.repository.issues)) == before


def test_an_app_that_does_not_ask_for_workflows_cannot_write_them(here: Workplace) -> None:
    here.github.faults.on("GET /apps").answer(200, body={"slug": "ops-agent", "permissions": {"contents": "write"}})
    assert host(here).issues.token_abilities(name(here)).workflows is False
    here.github.faults.on("GET /apps").answer(404, body={"message": "Not Found"})
    assert host(here).issues.token_abilities(name(here)).workflows is None


def test_an_ability_that_cannot_be_asked_for_is_unknown(here: Workplace) -> None:
    here.github.faults.on("POST", times=None).answer(500)
    found = host(here).issues.token_abilities(name(here))
    assert (found.contents, found.pull_requests, found.issues) == (None, None, None)
