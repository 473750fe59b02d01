"""A real Confluence MCP server, as it is on the package index, in front of a Confluence on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.mcp.confluence_double import TOKEN, Confluence, Page, confluence
from ops_agent.adapters.mcp.wiki import McpWiki
from ops_agent.agent.standards.confluence import queries, standards_of
from ops_agent.model.wiki import McpServer

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]

VERSION = "0.23.1"
PAGES = (
    Page("101", "OPS", "S3 standard", "<h1>S3</h1><p>Buckets use <strong>SSE-KMS</strong>.</p>", 4),
    Page("102", "OPS", "Guidelines for storage", "<p>An S3 bucket has a lifecycle.</p>", 2, ("guideline",)),
    Page("103", "OPS", "Terraform conventions", "<p>One root for Terraform.</p>"),
    Page("104", "OPS", "Minutes", "<p>S3 was discussed.</p>"),
    Page("201", "HR", "S3 standard of HR", "<p>S3 and Terraform.</p>"),
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In an environment of its own: it needs another version of the SDK than the client."""
    place = tmp_path_factory.mktemp("mcp-atlassian")
    subprocess.run([sys.executable, "-I", "-m", "venv", str(place)], check=True)
    wanted = f"mcp-atlassian=={VERSION}"
    subprocess.run([str(place / "bin/python"), "-m", "pip", "install", "--quiet", wanted], check=True)
    return place / "bin/mcp-atlassian"


@pytest.fixture
def team() -> Iterator[Confluence]:
    with confluence([*PAGES]) as made:
        yield made


def asked(team: Confluence, program: Path, token: str = TOKEN) -> McpWiki:
    environment = {"CONFLUENCE_URL": team.url, "CONFLUENCE_PERSONAL_TOKEN": token, "READ_ONLY_MODE": "true"}
    server = McpServer(name="confluence", command=str(program), environment=environment)
    return McpWiki(servers=(server,), spaces=("OPS",), path_variable="/usr/bin:/bin", pause=0.1)


def test_its_pages_become_standards_with_number_and_version(team: Confluence, program: Path) -> None:
    answer = asked(team, program).find(queries(("OPS",), "[ops] a bucket for orders"))
    assert answer.problems == ()
    assert [(page.id, page.version, page.space) for page in answer.pages] == [
        ("101", 4, "OPS"),
        ("102", 2, "OPS"),
        ("103", 1, "OPS"),
    ]
    first, *_ = standards_of(answer).found
    assert first.source == "Confluence: S3 standard, page 101, version 4"
    assert "Buckets use **SSE-KMS**." in first.text and "<" not in first.text
    assert all(cql.startswith('space IN ("OPS") AND type = page AND ') for cql in team.cql) and len(team.cql) == 3
    assert team.writes == []


@pytest.mark.parametrize("status", [401, 403, 429, 503])
def test_a_confluence_that_refuses_or_is_ill_is_a_problem(team: Confluence, program: Path, status: int) -> None:
    team.statuses = [status] * 50
    answer = asked(team, program).find(queries(("OPS",), "a bucket"))
    assert answer.pages == () and len(answer.problems) == 1, answer
    assert len(team.requests) <= 20, "the attempts are bounded"


def test_a_confluence_that_is_ill_for_a_moment_is_asked_again(team: Confluence, program: Path) -> None:
    team.statuses = [503]
    answer = asked(team, program).find(queries(("OPS",), "a bucket"))
    assert [page.id for page in answer.pages] == ["101", "102", "103"] and answer.problems == ()


@contextmanager
def served(team: Confluence, program: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [str(program), "--transport", "streamable-http", "--host", "127.0.0.1", "--port", str(port)]
    variables = {"CONFLUENCE_URL": team.url, "CONFLUENCE_PERSONAL_TOKEN": "none-of-its-own", "READ_ONLY_MODE": "true"}
    variables |= {"PATH": os.defpath, "HOME": str(program.parent)}
    with subprocess.Popen(words, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            running.kill()


def test_it_is_asked_over_streamable_http_with_the_token_as_a_header(team: Confluence, program: Path) -> None:
    with served(team, program) as url:
        remote = McpServer(name="confluence", url=url, headers={"Authorization": f"Token {TOKEN}"})
        wiki = replace(asked(team, program), servers=(remote,))
        answer = wiki.find(queries(("OPS",), "a bucket"))
        nobody = replace(wiki, servers=(replace(remote, headers={}),)).find(queries(("OPS",), "a bucket"))
    assert [page.id for page in answer.pages] == ["101", "102", "103"] and answer.problems == ()
    assert nobody.pages == () and len(nobody.problems) == 1
