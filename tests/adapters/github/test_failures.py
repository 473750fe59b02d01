"""Failures between ops-agent and GitHub, and the error that reports each."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from adapters.github.calls import host, host_over, name, ref
from doubles.clock import FakeClock
from ops_agent.adapters.github.client import GitHubHttp, connect
from ops_agent.adapters.github.failures import RetryPolicy
from ops_agent.model.errors import GitHubError, NotPermitted, OpsAgentError, RateLimited
from run.github_world import BOT_ID, FILES, SharedGitHub, Workplace


def test_a_secondary_limit_is_waited_for(here: Workplace) -> None:
    here.github.faults.on("GET /repos/{owner}/{repo}", times=1).secondary_rate_limit(retry_after=7)
    here.clock.slept.clear()
    host(here).issues.repository(name(here))
    assert here.clock.slept[0] >= 7


def test_a_primary_limit_with_a_far_reset_ends_the_run_with_the_time(shared_github: SharedGitHub) -> None:
    """For REST and for GraphQL."""
    here = shared_github.workplace()
    here.github.rate.exhaust(here.token, reset_in=2400)
    here.clock.slept.clear()
    for call in (lambda: host(here).issues.repository(name(here)), lambda: host(here).issues.viewer()):
        with pytest.raises(RateLimited, match=r"4[01] minutes"):
            call()
    assert here.clock.slept == []


def test_the_budget_of_waiting_is_one_for_the_whole_run(here: Workplace) -> None:
    found = host(here, budget=20)
    here.github.faults.on("GET /repos/{owner}/{repo}", times=None).secondary_rate_limit(retry_after=8)
    here.clock.slept.clear()
    for _ in range(3):
        with pytest.raises(RateLimited):
            found.issues.repository(name(here))
    assert sum(here.clock.slept) <= 20


def test_an_expired_token_stops_the_run_with_what_to_do(here: Workplace) -> None:
    token = here.github.app_token("ops-agent", bot_id=BOT_ID)
    found = host(here, token)
    here.github.revoke(token)
    with pytest.raises(GitHubError, match="Bad credentials") as refused:
        found.issues.repository(name(here))
    assert "expired" in refused.value.hint and refused.value.conclusion.retryable


def test_a_missing_permission_is_named(here: Workplace) -> None:
    token = here.github.actions_token(here.repository, contents="read")
    with pytest.raises(NotPermitted) as refused:
        host(here, token).issues.create_comment(ref(here), "x")
    assert "issues: write" in refused.value.hint


def test_graphql_errors_in_a_200_are_failures(here: Workplace) -> None:
    here.github.faults.on("query viewer").answer(
        200, body={"data": None, "errors": [{"message": "Field 'x' doesn't exist"}]}
    )
    with pytest.raises(GitHubError, match="doesn't exist"):
        host(here).issues.viewer()


@pytest.mark.parametrize("body", [[], {"login": 3}, "text", None, {"id": "x", "owner": None}])
def test_an_answer_of_an_unknown_shape_is_a_github_error(here: Workplace, body: Any) -> None:
    here.github.faults.on("GET /repos/{owner}/{repo}").answer(200, body=body if body is not None else {})
    with pytest.raises(GitHubError):
        host(here).issues.repository(name(here))


@pytest.mark.parametrize("break_it", ["drop", "unauthorised", "html", "echo"])
def test_no_error_holds_the_token(here: Workplace, break_it: str) -> None:
    """Neither the text nor any exception behind it."""
    fault = here.github.faults.on("GET /repos/{owner}/{repo}", times=None)
    if break_it == "drop":
        fault.drop_before()
    elif break_it == "unauthorised":
        fault.answer(401, body={"message": "Bad credentials"})
    elif break_it == "html":
        fault.answer(502)
    else:
        fault.answer(422, body={"message": f"the token {here.token} is odd"})
    with pytest.raises(OpsAgentError) as refused:
        host(here).issues.repository(name(here))
    seen: list[BaseException | None] = [refused.value]
    while seen[-1] is not None:
        seen.append(seen[-1].__cause__ or seen[-1].__context__)
    assert len(seen) == 2, "another exception hangs behind ours"
    assert here.token not in repr(refused.value) and here.token not in str(refused.value)


def test_proxies_and_certificates_of_the_environment_are_ignored(
    here: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert host(here).branches.tree(name(here), here.repository.head()).read("README.md") == FILES["README.md"].encode()


def test_a_redirect_to_a_foreign_host_is_not_followed(here: Workplace) -> None:
    """The archive's address must be GitHub's; without it the files come one by one."""
    here.github.faults.on("tarball", times=None).answer(302, body={}, headers={"Location": "http://192.0.2.1/x.tar.gz"})
    with pytest.raises(GitHubError, match="not its own"):
        host(here).branches.tree(name(here), here.repository.head()).read("README.md")


def test_a_server_that_does_not_answer_is_given_up_after_its_time() -> None:
    """Every request has a timeout."""
    import socket

    clock = FakeClock()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        http = GitHubHttp("ghs_x", clock, lambda: 0.0, api_url=url, timeout_seconds=1, policy=RetryPolicy(attempts=2))
        with pytest.raises(GitHubError, match="could not be reached"):
            host_over(http).issues.repository("a/b")


def test_a_list_without_an_end_is_an_error_not_a_shorter_list(here: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event that removed a label may be on a page that was not read."""
    monkeypatch.setattr("ops_agent.adapters.github.client._MAX_PAGES", 2)
    for count in range(201):
        here.issue.comment(f"comment {count}", by="joao")
    with pytest.raises(GitHubError, match="more than 2 pages"):
        host(here).issues.comments(ref(here))


BOMBS = {
    "long and deep": "[" * 200_000 + "]" * 200_000,
    "short and deep": "[" * 99_000 + "]" * 99_000,
    "deep objects": '{"a":' * 30_000 + "1" + "}" * 30_000,
    "never closed": "{" * 250_000,
    "a number of 10,000 digits": "9" * 10_000,
    "half a surrogate": "\ud800",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_an_answer_that_no_parser_accepts_is_a_github_error(bomb: str) -> None:
    """An answer that is not GitHub's ends the run with a defined conclusion, for REST and for GraphQL."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = bomb.encode("utf-8", "surrogatepass")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = host_over(connect("ghs_x", {"GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}"}, FakeClock()))
        try:
            for ask in (lambda: found.issues.repository("a/b"), found.issues.viewer):
                with pytest.raises(GitHubError):
                    ask()
        finally:
            server.shutdown()
