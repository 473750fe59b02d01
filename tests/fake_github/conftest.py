"""A small organisation on the embedded GitHub, and two ways to speak to it: bare HTTP and PyGithub. Every test's
traffic is checked against GitHub's descriptions when the test ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from github import Auth, Github

from fake_github.objects import Board, Issue, Repository
from fake_github.platform import EmbeddedGitHub
from github_descriptions import Checker

BODY = "## Acceptance Criteria\n- [ ] a queue exists\n"


@dataclass
class Wire:
    """Bare HTTP with one token: what an adapter really receives."""

    github: EmbeddedGitHub
    token: str | None

    def __call__(
        self, method: str, path: str, body: Any = None, *, accept: str = "application/vnd.github+json", **query: Any
    ) -> requests.Response:
        headers = {"Accept": accept, **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        return requests.request(
            method,
            self.github.base_url + path,
            json=body,
            headers=headers,
            params=query,
            timeout=10,
            allow_redirects=False,
        )

    def get(self, path: str, **query: Any) -> Any:
        answer = self("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def query(self, text: str, **variables: Any) -> Any:
        answer = self("POST", "/graphql", {"query": text, "variables": variables})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        answer = self(method, path, body)
        return answer.status_code, answer.json()["message"]


@dataclass
class Organisation:
    github: EmbeddedGitHub
    orders: Repository
    issue: Issue
    board: Board

    def wire(self, token: str | None) -> Wire:
        return Wire(self.github, token)

    @property
    def app(self) -> Wire:
        """With the token of the app that has every permission ops-agent asks for."""
        return self.wire(self.github.app_token())

    def pygithub(self, token: str | None = None) -> Github:
        return Github(
            base_url=self.github.base_url,
            auth=Auth.Token(token or self.github.app_token()),
            seconds_between_requests=0,
            seconds_between_writes=0,
            retry=None,
        )


@pytest.fixture
def unchecked() -> Iterator[Organisation]:
    """The organisation, for tests that send nonsense on purpose."""
    with EmbeddedGitHub() as github:
        orders = github.add_repository(
            "DrivvenConsulting/orders", {"README.md": "# Orders\n", "infra/main.tf": "terraform {}\n"}
        )
        orders.add_person("maria", id=101, role="write")
        orders.add_person("tom", id=102, role="triage")
        board = github.add_board("DrivvenConsulting", number=6)
        issue = orders.add_issue("[ops] Queue for orders", BODY, author="maria", number=12)
        board.put(issue, "Ready")
        yield Organisation(github, orders, issue, board)


@pytest.fixture
def org(unchecked: Organisation) -> Iterator[Organisation]:
    """The organisation; whatever the test sent and got is valid by GitHub's own descriptions."""
    yield unchecked
    Checker().assert_all_valid(unchecked.github.recorder)
