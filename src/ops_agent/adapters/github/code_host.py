"""GitHub as ports.CodeHost, on PyGithub's requester.

PyGithub's classes for the answers are not used: reading `merged` of a listed pull request costs a hidden request, its
timeline events have no label, and a tree of 200,000 entries takes hundreds of megabytes. The number of requests of a
run is part of what we promise, so each one is written down, here and in the modules beside this one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from github import Consts

from ops_agent.adapters.github.client import GitHubHttp, RetryPolicy
from ops_agent.adapters.github.issues import repository_path
from ops_agent.adapters.github.pull_requests import GitHubPullRequests
from ops_agent.model.errors import NotFound, NotPermitted
from ops_agent.model.ports import Clock, TokenAbilities

_ACTIONS_BOT = "github-actions[bot]"
_PROBE = "ops-agent-permission-probe"
_MEANING_OF_REFUSAL = {422: True, 403: False, 404: False}


def connect(token: str, environment: Mapping[str, str], clock: Clock, policy: RetryPolicy | None = None) -> GitHubHttp:
    """The connection of one run; code host and board share it, and its retry budget.

    `environment` is read for GITHUB_API_URL only (GitHub Enterprise Server); proxy and CA settings in it are ignored
    (K11).
    """
    url = environment.get("GITHUB_API_URL") or Consts.DEFAULT_BASE_URL
    return GitHubHttp(token, clock, random.SystemRandom().random, api_url=url, policy=policy)


class GitHubCodeHost(GitHubPullRequests):
    """ports.CodeHost."""

    def __init__(self, http: GitHubHttp) -> None:
        super().__init__(http)
        self._abilities: dict[str, TokenAbilities] = {}

    def token_abilities(self, repository: str) -> TokenAbilities:
        """Asked once per run and repository; nothing is created and nothing changes.

        `workflows`: GITHUB_TOKEN has no such permission at all (docs.github.com, permissions of the GITHUB_TOKEN). An
        App's own page (`GET /apps/{slug}`) lists what the App asks for: without `workflows: write` there, no token of
        it can have it; with it the installation may still have been narrowed, and the commit tells. A classic token
        lists its scopes in `X-OAuth-Scopes` (`workflow`). A fine-grained token does not tell.

        The others are requests that GitHub must refuse as invalid (422) after it checked the permission (403, or 404
        where it hides what a token may not write): a ref whose name does not begin with `refs/` and whose commit is all
        zeros (REST "Create a reference": the name must begin with `refs` and have two slashes); a pull request with an
        empty title from a branch that does not exist to itself; an issue without its required title. The setting "Allow
        GitHub Actions to create and approve pull requests" is told by GitHub only when a pull request is really
        created.
        """
        if repository not in self._abilities:
            path = f"/repos/{repository_path(repository)}"
            contents = self._may_write(f"{path}/git/refs", {"ref": _PROBE, "sha": "0" * 40})
            pull_requests = self._may_write(f"{path}/pulls", {"title": "", "head": _PROBE, "base": _PROBE})
            issues = self._may_write(f"{path}/issues", {})
            self._abilities[repository] = TokenAbilities(
                contents=contents, pull_requests=pull_requests, issues=issues, workflows=self._may_write_workflows()
            )
        return self._abilities[repository]

    def _may_write(self, path: str, impossible: dict[str, str]) -> bool | None:
        return _MEANING_OF_REFUSAL.get(self._http.probe(path, impossible) or 0)

    def _may_write_workflows(self) -> bool | None:
        viewer = self.viewer()
        if viewer.login == _ACTIONS_BOT:
            return False
        if viewer.login.endswith("[bot]"):
            try:
                app = self._http.rest(
                    "GET", f"/apps/{viewer.login.removesuffix('[bot]')}", "reading what the App asks for"
                )
            except (NotFound, NotPermitted):
                return None
            permissions = app.get("permissions") if isinstance(app, dict) else None
            return permissions.get("workflows") == "write" if isinstance(permissions, dict) else None
        scopes = self._http.oauth_scopes
        return None if scopes is None else "workflow" in scopes
