"""The code host over the wire against the embedded GitHub, which is checked against GitHub's published descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ops_agent.adapters.github.github_code_host import GitHubCodeHost, connect
from ops_agent.adapters.github.github_retry import RetryPolicy
from ops_agent.domain.change_set import ChangeSet, FileChange
from ops_agent.domain.event import Actor, ActorKind, IssueRef, Permission
from ops_agent.errors import (
    Conflict,
    GitHubError,
    NeedsWorkflowsPermission,
    NotFound,
    NotPermitted,
    OpsAgentError,
    RateLimited,
)
from ops_agent.ports import TokenAbilities
from publication.github_world import BOT_ID, FILES, FakeClock, Stage, Theatre

PREFIX = "ops-agent/issue-"


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    built = Theatre()
    yield built
    built.github.stop()


@pytest.fixture
def here(theatre: Theatre) -> Stage:
    return theatre.stage()


def host(here: Stage, token: str | None = None, **options: Any) -> GitHubCodeHost:
    return GitHubCodeHost(connect(token or here.token, {"GITHUB_API_URL": here.github.base_url}, here.clock, RetryPolicy(**options)))


def name(here: Stage) -> str:
    return here.repository.full_name


def ref(here: Stage, number: int = 12) -> IssueRef:
    return IssueRef(repository=name(here), number=number)


def file_change(path: str, after: bytes | None, before: bytes | None = None) -> FileChange:
    return FileChange(path=path, before=before, after=after)


def change_set(base: str, *changes: FileChange) -> ChangeSet:
    return ChangeSet(base_commit=base, changes=changes)


# --- reading ------------------------------------------------------------------------------------------------------------------------


def test_the_viewer_of_an_app_is_its_bot_and_is_asked_once(here: Stage) -> None:
    found = host(here)
    assert found.viewer() == found.viewer() == Actor(login="ops-agent[bot]", id=BOT_ID, kind=ActorKind.BOT)
    assert len(here.github.recorder.of("viewer")) == 1


def test_a_repository_is_described(here: Stage) -> None:
    found = host(here).repository(name(here))
    assert (found.full_name, found.id, found.default_branch, found.archived) == (name(here), here.repository.id, "main", False)


def test_a_repository_that_is_not_there_is_not_found(here: Stage) -> None:
    for unknown in (f"{name(here)}-x", "nobody/here", "no-slash", "a/../b", "../x"):
        with pytest.raises(NotFound):
            host(here).repository(unknown)


@pytest.mark.parametrize("role", list(Permission))
def test_a_permission_is_the_role_that_github_names(here: Stage, role: Permission) -> None:
    here.repository.add_person("petra", role=role.value)
    assert host(here).permission(name(here), "petra") is role


def test_somebody_whom_github_does_not_know_has_no_permission(here: Stage) -> None:
    """A17: fail closed."""
    assert host(here).permission(name(here), "nobody-at-all") is Permission.NONE


def test_a_custom_role_counts_as_what_it_grants(here: Stage) -> None:
    here.github.faults.on("collaborators").answer(200, body={"permission": "write", "role_name": "release-manager"})
    assert host(here).permission(name(here), "maria") is Permission.WRITE


def test_a_permission_that_cannot_be_read_is_an_error(here: Stage) -> None:
    """A17."""
    here.github.faults.on("collaborators", times=None).answer(500)
    with pytest.raises(GitHubError):
        host(here).permission(name(here), "maria")


def test_an_issue_is_read_whole(here: Stage) -> None:
    found = host(here).issue(ref(here))
    assert found.ref == ref(here) and found.title == here.issue.title and found.labels == ("ready",) and found.is_open
    assert found.author.login == "maria" and not found.is_pull_request and found.node_id == here.issue.node_id


def test_an_issue_that_was_transferred_deleted_or_never_was_is_not_found(here: Stage) -> None:
    """M12: the redirect of a transfer is not followed."""
    other = here.github.add_repository(f"{name(here)}-other", dict(FILES))
    here.add_issue(20).transfer(other)
    here.add_issue(21).delete()
    for number in (20, 21, 99):
        here.github.recorder.restart()
        with pytest.raises(NotFound):
            host(here).issue(ref(here, number))
        assert len(here.github.recorder.calls) == 1


def test_an_answer_from_another_repository_is_refused(here: Stage) -> None:
    """M12: even when GitHub answers 200 for an issue that now lives elsewhere."""
    other = here.github.add_repository(f"{name(here)}-elsewhere", dict(FILES))
    moved = GitHubCodeHost(connect(here.token, {"GITHUB_API_URL": here.github.base_url}, here.clock))
    other.add_issue("[ops] x", "y", author="maria", number=12)
    answer = moved._http.rest("GET", f"/repos/{other.full_name}/issues/12", "reading")
    here.github.faults.on("GET /repos/{owner}/{repo}/issues/{issue_number}").answer(200, body=answer)
    with pytest.raises(NotFound, match="transferred"):
        moved.issue(ref(here))


def test_events_come_oldest_first_with_their_labels(here: Stage) -> None:
    here.issue.edit(title="[ops] Other", by="maria")
    here.issue.remove_label("ready", by="maria")
    here.issue.add_label("[ops]", by="joao")
    events = [e for e in host(here).issue_events(ref(here)) if e.kind in ("labeled", "unlabeled", "renamed")]
    assert [(e.kind, e.label, e.actor.login if e.actor else None) for e in events] == [
        ("labeled", "ready", "maria"),
        ("renamed", None, "maria"),
        ("unlabeled", "ready", "maria"),
        ("labeled", "[ops]", "joao"),
    ]


def test_lists_are_complete_beyond_one_page(here: Stage) -> None:
    """Trap 6: more than 100 of anything; calls are linear in pages."""
    parent = here.add_issue(30)
    for number in range(31, 131):
        parent.add_sub_issue(here.repository.add_issue(f"[ops] {number}", "", author="maria", number=number))
    for count in range(101):
        here.issue.comment(f"comment {count}", by="joao")
    here.github.recorder.restart()
    assert [i.ref.number for i in host(here).sub_issues(ref(here, 30))] == list(range(31, 131))
    assert len(here.github.recorder.calls) == 1
    assert len(host(here).comments(ref(here))) == 101
    assert len(here.github.recorder.calls) == 3


def test_families_and_blockers(here: Stage) -> None:
    parent, blocker = here.add_issue(40), here.add_issue(41)
    parent.add_sub_issue(here.issue)
    here.issue.block(blocker)
    assert host(here).parent(ref(here)) == ref(here, 40)
    assert host(here).parent(ref(here, 40)) is None
    assert [b.ref.number for b in host(here).blockers(ref(here))] == [41]


def test_heads_of_branches(here: Stage) -> None:
    assert host(here).branch_head(name(here), "main") == here.repository.head()
    assert host(here).branch_head(name(here), "mai") is None
    empty = here.github.add_repository(f"{name(here)}-empty")
    assert host(here).branch_head(empty.full_name, "main") is None  # M19


def test_commits_of_a_branch_come_oldest_first_with_their_authors(here: Stage) -> None:
    base = here.repository.head()
    here.repository.create_branch(f"{PREFIX}12", base)
    first = here.repository.commit(f"{PREFIX}12", {"a.txt": "1"}, "one", by="maria")
    second = here.repository.commit(f"{PREFIX}12", {"b.txt": "2"}, "two", by="joao")
    found = host(here).branch_commits(name(here), base, second)
    assert [(sha, author.login if author else None) for sha, author in found] == [(first, "maria"), (second, "joao")]
    assert host(here).branch_commits(name(here), second, base) == ()


def test_a_run_is_finished_running_or_unknown(here: Stage) -> None:
    here.repository.add_run(7, status="completed")
    here.repository.add_run(8)
    blind = here.github.actions_token(here.repository, contents="write")
    assert host(here).run_is_finished(name(here), 7) is True
    assert host(here).run_is_finished(name(here), 8) is False
    assert host(here).run_is_finished(name(here), 9) is None
    assert host(here).run_is_finished(name(here), 0) is None
    assert host(here, blind).run_is_finished(name(here), 7) is None


def test_actions_resolve_to_commits_through_annotated_tags(here: Stage) -> None:
    action = (
        here.github.add_repository("actions/checkout", {"action.yml": "name: x"}, private=False)
        if "actions/checkout" not in here.github.repositories
        else here.github.repositories["actions/checkout"]
    )
    head = action.head()
    action.tags["v4"] = head
    assert host(here).resolve_action("actions/checkout/sub/folder", "v4") == head
    assert host(here).resolve_action("actions/checkout", "main") == head
    assert host(here).resolve_action("actions/checkout", "v99") is None
    assert host(here).resolve_action("actions/nothing", "v1") is None
    tag, sha = "1" * 40, "2" * 40
    here.github.faults.on("git/ref").answer(200, body={"ref": "refs/tags/v5", "object": {"type": "tag", "sha": tag}})
    here.github.faults.on(f"git/tags/{tag}").answer(200, body={"object": {"type": "commit", "sha": sha}})
    assert host(here).resolve_action("actions/checkout", "v5") == sha


# --- abilities ----------------------------------------------------------------------------------------------------------------------

ALL = TokenAbilities(contents=True, pull_requests=True, issues=True, workflows=True)


def test_abilities_are_told_without_changing_anything(here: Stage) -> None:
    github = here.github
    tokens = {
        github.app_token("ops-agent", bot_id=BOT_ID): ALL,
        github.actions_token(here.repository): TokenAbilities(contents=True, pull_requests=True, issues=True, workflows=False),
        github.actions_token(here.repository, contents="read"): TokenAbilities(
            contents=False, pull_requests=False, issues=False, workflows=False
        ),
        github.classic_token("maria", "repo"): TokenAbilities(contents=True, pull_requests=True, issues=True, workflows=False),
        github.classic_token("maria", "repo", "workflow"): ALL,
        github.fine_grained_token("maria", [here.repository], contents="write", issues="read", pull_requests="write"): TokenAbilities(
            contents=True, pull_requests=True, issues=False, workflows=None
        ),
    }
    github.faults.on("GET /apps").answer(200, body={"slug": "ops-agent", "permissions": {"contents": "write", "workflows": "write"}})
    before = (dict(here.repository.branches), len(here.repository.issues))
    for token, expected in tokens.items():
        found = host(here, token)
        assert found.token_abilities(name(here)) == expected
        github.recorder.restart()
        assert found.token_abilities(name(here)) == expected and github.recorder.calls == []
    assert (dict(here.repository.branches), len(here.repository.issues)) == before


def test_an_app_that_does_not_ask_for_workflows_cannot_write_them(here: Stage) -> None:
    here.github.faults.on("GET /apps").answer(200, body={"slug": "ops-agent", "permissions": {"contents": "write"}})
    assert host(here).token_abilities(name(here)).workflows is False
    here.github.faults.on("GET /apps").answer(404, body={"message": "Not Found"})
    assert host(here).token_abilities(name(here)).workflows is None


def test_an_ability_that_cannot_be_asked_for_is_unknown(here: Stage) -> None:
    here.github.faults.on("POST", times=None).answer(500)
    found = host(here).token_abilities(name(here))
    assert (found.contents, found.pull_requests, found.issues) == (None, None, None)


# --- writing ------------------------------------------------------------------------------------------------------------------------


def test_a_comment_is_made_edited_and_deleted(here: Stage) -> None:
    found = host(here)
    made = found.create_comment(ref(here), "Hello\n")
    assert made.author.id == BOT_ID and made.body.strip() == "Hello"
    found.update_comment(name(here), made.id, "Bye")
    assert [c.body for c in found.comments(ref(here))] == ["Bye"]
    found.delete_comment(name(here), made.id)
    found.delete_comment(name(here), made.id)
    assert found.comments(ref(here)) == ()


def test_a_branch_can_be_created_once(here: Stage) -> None:
    """The lock."""
    base = here.repository.head()
    assert host(here).create_branch(name(here), f"{PREFIX}12", base) is True
    assert host(here).create_branch(name(here), f"{PREFIX}12", base) is False


def test_a_branch_whose_creation_was_not_answered_counts_as_taken(here: Stage) -> None:
    """Nobody can tell whose it is, so nobody wins by the branch alone."""
    here.github.faults.on("POST /repos/{owner}/{repo}/git/refs").drop_after()
    assert host(here).create_branch(name(here), f"{PREFIX}12", here.repository.head()) is False


def test_deleting_a_branch_twice_is_fine(here: Stage) -> None:
    host(here).create_branch(name(here), f"{PREFIX}12", here.repository.head())
    host(here).delete_branch(name(here), f"{PREFIX}12")
    host(here).delete_branch(name(here), f"{PREFIX}12")
    assert here.branches == {}


def test_a_commit_adds_changes_and_deletes(here: Stage) -> None:
    base = here.repository.head()
    found = host(here)
    found.create_branch(name(here), f"{PREFIX}12", base)
    made = found.commit_changes(
        name(here),
        f"{PREFIX}12",
        base,
        "Headline",
        "Body",
        change_set(base, file_change("a/ö.bin", b"\x00\xff"), file_change("README.md", None, b""), file_change("infra/main.tf", b"x", b"")),
    )
    files = here.repository.files(f"{PREFIX}12")
    assert files["a/ö.bin"] == b"\x00\xff" and "README.md" not in files and files["infra/main.tf"] == b"x"
    assert here.repository.head(f"{PREFIX}12") == made


def test_a_commit_on_a_head_that_moved_is_a_conflict(here: Stage) -> None:
    """M07."""
    base = here.repository.head()
    host(here).create_branch(name(here), f"{PREFIX}12", base)
    here.repository.commit(f"{PREFIX}12", {"x": "y"}, "theirs", by="maria")
    with pytest.raises(Conflict):
        host(here).commit_changes(name(here), f"{PREFIX}12", base, "h", "b", change_set(base, file_change("a", b"1")))


def test_a_lost_commit_is_found_again_but_a_strangers_is_not_taken_for_ours(here: Stage) -> None:
    """M04."""
    base = here.repository.head()
    found = host(here)
    found.create_branch(name(here), f"{PREFIX}12", base)
    here.github.faults.on("createCommitOnBranch").drop_after()
    made = found.commit_changes(name(here), f"{PREFIX}12", base, "h", "b", change_set(base, file_change("a", b"1")))
    assert made == here.repository.head(f"{PREFIX}12") and len(here.github.recorder.of("createCommitOnBranch")) == 1
    here.github.faults.on("createCommitOnBranch").run(lambda: here.repository.commit(f"{PREFIX}12", {"x": "y"}, "theirs", by="maria"))
    here.github.faults.on("createCommitOnBranch").drop_before()
    with pytest.raises(Conflict):
        found.commit_changes(name(here), f"{PREFIX}12", made, "h", "b", change_set(made, file_change("c", b"1")))


def test_workflow_files_need_their_own_permission(here: Stage) -> None:
    """M11, T11."""
    base, token = here.repository.head(), here.github.actions_token(here.repository)
    found = host(here, token)
    found.create_branch(name(here), f"{PREFIX}12", base)
    change = change_set(base, file_change(".github/workflows/ci.yml", b"on: push", b""))
    with pytest.raises(NeedsWorkflowsPermission, match="workflows"):
        found.commit_changes(name(here), f"{PREFIX}12", base, "h", "b", change)
    here.github.faults.on("createCommitOnBranch").answer(
        200, body={"data": None, "errors": [{"type": "FORBIDDEN", "message": "Resource not accessible by integration"}]}
    )
    with pytest.raises(NeedsWorkflowsPermission):
        found.commit_changes(name(here), f"{PREFIX}12", base, "h", "b", change)


def test_rules_of_the_repository_are_named(here: Stage) -> None:
    """M09, J11: permanent, asked once, the rule in GitHub's words."""
    here.repository.protect("ops-agent/*", "creation")
    here.github.recorder.restart()
    with pytest.raises(NotPermitted, match="creations being restricted"):
        host(here).create_branch(name(here), f"{PREFIX}12", here.repository.head())
    assert len(here.github.recorder.calls) == 1


def test_the_setting_that_forbids_pull_requests_is_named(here: Stage) -> None:
    """M10."""
    here.repository.actions_may_open_pull_requests = False
    found = host(here, here.github.actions_token(here.repository))
    base = here.repository.head()
    found.create_branch(name(here), f"{PREFIX}12", base)
    found.commit_changes(name(here), f"{PREFIX}12", base, "h", "b", change_set(base, file_change("a", b"1")))
    with pytest.raises(NotPermitted) as refused:
        found.create_pull_request(name(here), f"{PREFIX}12", "main", "t", "b", False)
    assert "Allow GitHub Actions to create and approve pull requests" in refused.value.hint


def open_pull(here: Stage, number: int = 12, path: str = "a") -> Any:
    found, base = host(here), here.repository.head()
    found.create_branch(name(here), f"{PREFIX}{number}", base)
    found.commit_changes(name(here), f"{PREFIX}{number}", base, "h", "b", change_set(base, file_change(path, b"1")))
    return found.create_pull_request(name(here), f"{PREFIX}{number}", "main", "t", f"Closes #{number}", True)


def test_a_pull_request_is_created_once_and_updated_in_place(here: Stage) -> None:
    """M05."""
    made = open_pull(here)
    again = host(here).create_pull_request(name(here), f"{PREFIX}12", "main", "t2", "b2", False)
    assert again.number == made.number and made.draft and made.is_open and not made.merged and made.author_id == BOT_ID
    changed = host(here).update_pull_request(name(here), made.number, "new title", "new body")
    assert (changed.title, changed.body) == ("new title", "new body")
    host(here).set_draft(made, False)
    host(here).add_labels(name(here), made.number, ("one", "two"))
    (found,) = host(here).pull_requests_of_branch(name(here), f"{PREFIX}12")
    assert not found.draft and set(found.labels) == {"one", "two"}


def test_where_there_are_no_drafts_the_pull_request_is_made_ready(here: Stage) -> None:
    refusal = {"message": "Validation Failed", "errors": [{"message": "Draft pull requests are not supported in this repository."}]}
    here.github.faults.on("POST /repos/{owner}/{repo}/pulls").answer(422, body=refusal)
    assert open_pull(here).draft is False


def test_pull_requests_are_found_by_branch_and_by_prefix(here: Stage) -> None:
    one, two = open_pull(here, 12), open_pull(here, 13, "b")
    here.repository.pull_request(one.number).close(by="maria")
    assert [(p.number, p.is_open) for p in host(here).pull_requests_of_branch(name(here), f"{PREFIX}12")] == [(one.number, False)]
    assert [p.number for p in host(here).open_pull_requests(name(here), PREFIX)] == [two.number]
    assert host(here).pull_request_files(name(here), two.number) == ("b",)


def test_reviews_of_a_deleted_account_are_read(here: Stage) -> None:
    """Trap 6: null authors."""
    made = open_pull(here)
    here.repository.pull_request(made.number).review("CHANGES_REQUESTED", "please", by="maria")
    (found,) = host(here).reviews(name(here), made.number)
    assert (found.verdict, found.author.login, found.body) == ("CHANGES_REQUESTED", "maria", "please")
    body = [{"id": 1, "user": None, "state": "COMMENTED", "body": None, "submitted_at": "2026-11-20T10:00:00Z"}]
    here.github.faults.on("reviews").answer(200, body=body)
    assert host(here).reviews(name(here), made.number)[0].author.login == "ghost"


# --- what goes wrong ------------------------------------------------------------------------------------------------------------------


def test_a_secondary_limit_is_waited_for(here: Stage) -> None:
    """M01."""
    here.github.faults.on("GET /repos/{owner}/{repo}", times=1).secondary_rate_limit(retry_after=7)
    here.clock.slept.clear()
    host(here).repository(name(here))
    assert here.clock.slept[0] >= 7


def test_a_primary_limit_with_a_far_reset_ends_the_run_with_the_time(theatre: Theatre) -> None:
    """M02, for REST and for GraphQL."""
    here = theatre.stage()
    here.github.rate.exhaust(here.token, reset_in=2400)
    here.clock.slept.clear()
    for call in (lambda: host(here).repository(name(here)), lambda: host(here).viewer()):
        with pytest.raises(RateLimited, match=r"4[01] minutes"):
            call()
    assert here.clock.slept == []


def test_the_budget_of_waiting_is_one_for_the_whole_run(here: Stage) -> None:
    """Rule 36."""
    found = host(here, budget=20)
    here.github.faults.on("GET /repos/{owner}/{repo}", times=None).secondary_rate_limit(retry_after=8)
    here.clock.slept.clear()
    for _ in range(3):
        with pytest.raises(RateLimited):
            found.repository(name(here))
    assert sum(here.clock.slept) <= 20


def test_an_expired_token_stops_the_run_with_what_to_do(here: Stage) -> None:
    """M17."""
    token = here.github.app_token("ops-agent", bot_id=BOT_ID)
    found = host(here, token)
    here.github.revoke(token)
    with pytest.raises(GitHubError, match="Bad credentials") as refused:
        found.repository(name(here))
    assert "expired" in refused.value.hint and refused.value.conclusion.retryable


def test_a_missing_permission_is_named(here: Stage) -> None:
    token = here.github.actions_token(here.repository, contents="read")
    with pytest.raises(NotPermitted) as refused:
        host(here, token).create_comment(ref(here), "x")
    assert "issues: write" in refused.value.hint


def test_graphql_errors_in_a_200_are_failures(here: Stage) -> None:
    """M18."""
    here.github.faults.on("query viewer").answer(200, body={"data": None, "errors": [{"message": "Field 'x' doesn't exist"}]})
    with pytest.raises(GitHubError, match="doesn't exist"):
        host(here).viewer()


@pytest.mark.parametrize("body", [[], {"login": 3}, "text", None, {"id": "x", "owner": None}])
def test_an_answer_of_another_shape_is_an_error_of_ours(here: Stage, body: Any) -> None:
    here.github.faults.on("GET /repos/{owner}/{repo}").answer(200, body=body if body is not None else {})
    with pytest.raises(GitHubError):
        host(here).repository(name(here))


@pytest.mark.parametrize("break_it", ["drop", "unauthorised", "html", "echo"])
def test_no_error_holds_the_token(here: Stage, break_it: str) -> None:
    """G11: neither the text nor any exception behind it."""
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
        host(here).repository(name(here))
    seen: list[BaseException | None] = [refused.value]
    while seen[-1] is not None:
        seen.append(seen[-1].__cause__ or seen[-1].__context__)
    assert len(seen) == 2, "another exception hangs behind ours"
    assert here.token not in repr(refused.value) and here.token not in str(refused.value)


def test_proxies_and_certificates_of_the_environment_are_ignored(here: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """K11."""
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert host(here).base_tree(name(here), here.repository.head()).read("README.md") == FILES["README.md"].encode()


def test_a_redirect_to_a_foreign_host_is_not_followed(here: Stage) -> None:
    """The archive's address must be GitHub's; without it the files come one by one."""
    here.github.faults.on("tarball", times=None).answer(302, body={}, headers={"Location": "http://192.0.2.1/x.tar.gz"})
    with pytest.raises(GitHubError, match="not its own"):
        host(here).base_tree(name(here), here.repository.head()).read("README.md")


def test_a_server_that_does_not_answer_is_given_up_after_its_time() -> None:
    """Every request has a timeout."""
    import socket

    clock = FakeClock()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        from ops_agent.adapters.github.github_http import GitHubHttp

        http = GitHubHttp("ghs_x", clock, lambda: 0.0, api_url=url, timeout_seconds=1, policy=RetryPolicy(attempts=2))
        with pytest.raises(GitHubError, match="could not be reached"):
            GitHubCodeHost(http).repository("a/b")
