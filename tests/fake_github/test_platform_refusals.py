"""The platform refuses with GitHub's status codes and words, and every refusal is valid by the description."""

from __future__ import annotations

from typing import Any

import pytest

R = "/repos/DrivvenConsulting/orders"
APP, PAT = "Resource not accessible by integration", "Resource not accessible by personal access token"


def test_a_wrong_or_revoked_token_is_bad_credentials(org: Any) -> None:
    """A token that expires in the middle of a run answers 401."""
    wire = org.app
    wire.get(R)
    org.github.revoke(wire.token)
    assert wire.refused("GET", R) == (401, "Bad credentials")
    assert org.wire("ghs_nonsense").refused("GET", R) == (401, "Bad credentials")


def test_without_a_token_a_private_repository_does_not_exist(org: Any) -> None:
    nobody = org.wire(None)
    assert nobody.refused("GET", R) == (404, "Not Found")
    assert nobody.refused("GET", "/user") == (401, "Requires authentication")
    org.orders.private = False
    assert nobody.get(R)["full_name"] == "DrivvenConsulting/orders"
    assert nobody.refused("POST", f"{R}/issues/12/comments", {"body": "x"})[0] == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "accepted"),
    [
        ("GET", "/git/ref/heads/main", None, "contents=read"),
        ("POST", "/git/refs", {"ref": "refs/heads/x", "sha": "0" * 40}, "contents=write"),
        ("POST", "/pulls", {"title": "t", "head": "x", "base": "main"}, "pull_requests=write"),
        ("POST", "/issues/12/comments", {"body": "x"}, "issues=write; pull_requests=write"),
        ("GET", "/issues/12/sub_issues", None, "issues=read"),
        ("GET", "/actions/runs/1", None, "actions=read"),
    ],
)
def test_a_missing_permission_is_named_in_the_header(
    org: Any, method: str, path: str, body: Any, accepted: str
) -> None:
    answer = org.wire(org.github.app_token(metadata="read"))(method, R + path, body)
    assert (answer.status_code, answer.json()["message"]) == (403, APP)
    assert answer.headers["X-Accepted-GitHub-Permissions"] == accepted


def test_read_is_not_write(org: Any) -> None:
    wire = org.wire(org.github.actions_token(org.orders, issues="read"))
    wire.get(f"{R}/issues/12/comments")
    assert wire.refused("POST", f"{R}/issues/12/comments", {"body": "x"}) == (403, APP)


def test_a_token_of_another_repository_does_not_see_this_one(org: Any) -> None:
    other = org.github.add_repository("DrivvenConsulting/other", {"a": "b"})
    assert org.wire(org.github.actions_token(other)).refused("GET", R) == (404, "Not Found")


def test_github_token_cannot_ask_who_it_is_and_shows_no_push_permission(org: Any) -> None:
    wire = org.wire(org.github.actions_token(org.orders))
    assert wire.refused("GET", "/user") == (403, APP)
    org.orders.add_person("github-actions[bot]", role="write")
    assert set(wire.get(R)["permissions"].values()) == {False}


def test_a_persons_token_does_what_the_person_may(org: Any) -> None:
    tom = org.wire(org.github.fine_grained_token("tom", [org.orders], contents="write", issues="write"))
    assert tom.get(R)["permissions"] == {"admin": False, "maintain": False, "push": False, "triage": True, "pull": True}
    tom("POST", f"{R}/issues/12/labels", {"labels": ["ready"]}).raise_for_status()
    head = org.orders.head()
    assert tom.refused("POST", f"{R}/git/refs", {"ref": "refs/heads/x", "sha": head}) == (403, PAT)


def test_a_classic_token_reports_its_scopes(org: Any) -> None:
    answer = org.wire(org.github.classic_token("maria", "repo", "read:project"))("GET", "/user")
    assert answer.headers["X-OAuth-Scopes"] == "repo, read:project"


@pytest.mark.parametrize("area", ["workflows", "organization_projects"])
def test_github_token_can_never_have_these_permissions(org: Any, area: str) -> None:
    with pytest.raises(ValueError, match=area):
        org.github.actions_token(org.orders, **{area: "write"})


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ("maria", ("write", "write")),
        ("tom", ("read", "triage")),
        ("stranger", ("none", "none")),
        ("DrivvenConsulting", ("admin", "admin")),
    ],
)
def test_a_persons_role_is_reported_in_both_fields(org: Any, login: str, expected: tuple[str, str]) -> None:
    org.github.add_account("stranger")
    shown = org.app.get(f"{R}/collaborators/{login}/permission")
    assert (shown["permission"], shown["role_name"]) == expected


def test_an_unknown_login_has_no_permission_to_read(org: Any) -> None:
    assert org.app.refused("GET", f"{R}/collaborators/nobody/permission") == (404, "nobody is not a user")


def test_a_transferred_issue_redirects_a_deleted_one_is_gone(org: Any) -> None:
    other = org.github.add_repository("DrivvenConsulting/other", {"a": "b"})
    org.orders.add_issue("gone", author="maria", number=13).delete()
    org.issue.transfer(other)
    moved = org.app("GET", f"{R}/issues/12")
    assert (moved.status_code, moved.json()["message"]) == (301, "Moved Permanently")
    assert moved.headers["Location"] == f"{org.github.base_url}/repositories/{other.id}/issues/1"
    assert (
        org.app("GET", moved.headers["Location"].removeprefix(org.github.base_url)).json()["title"]
        == "[ops] Queue for orders"
    )
    assert org.app.refused("GET", f"{R}/issues/13") == (410, "This issue was deleted")
    assert org.app.refused("GET", f"{R}/issues/99") == (404, "Not Found")
    assert org.app.refused("POST", f"{R}/issues/12/comments", {"body": "x"})[0] == 301


def test_a_locked_issue_takes_comments_of_writers_only(org: Any) -> None:
    org.issue.lock(by="maria")
    assert org.app.refused("POST", f"{R}/issues/12/comments", {"body": "x"}) == (
        403,
        "Unable to create comment because issue is locked.",
    )
    maria = org.wire(org.github.classic_token("maria", "repo"))
    assert maria("POST", f"{R}/issues/12/comments", {"body": "x"}).status_code == 201


def test_an_archived_repository_is_read_only(org: Any) -> None:
    org.orders.archived = True
    assert org.app.get(R)["archived"] is True
    assert org.app.refused("POST", f"{R}/issues/12/comments", {"body": "x"}) == (
        403,
        "Repository was archived so is read-only.",
    )


def test_an_empty_repository_has_no_git(org: Any) -> None:
    org.github.add_repository("DrivvenConsulting/empty")
    for path in ("/git/ref/heads/main", "/commits", "/git/trees/main"):
        assert org.app.refused("GET", f"/repos/DrivvenConsulting/empty{path}") == (409, "Git Repository is empty.")


def test_after_the_default_branch_was_renamed_the_old_name_is_gone(org: Any) -> None:
    org.orders.rename_default_branch("trunk")
    assert org.app.get(R)["default_branch"] == "trunk"
    assert org.app.refused("GET", f"{R}/git/ref/heads/main") == (404, "Not Found")


@pytest.mark.parametrize(
    ("ref", "sha", "message"),
    [
        ("refs/heads/main", "head", "Reference already exists"),
        ("refs/heads/new", "0" * 40, "Object does not exist"),
        ("refs/heads/main/new", "head", "Reference update failed"),
        ("heads/new", "head", "Reference name must start with 'refs/' and contain at least two slashes."),
    ],
)
def test_a_branch_that_cannot_be_created_is_422(org: Any, ref: str, sha: str, message: str) -> None:
    body = {"ref": ref, "sha": org.orders.head() if sha == "head" else sha}
    assert org.app.refused("POST", f"{R}/git/refs", body) == (422, message)


def test_a_ruleset_names_the_rule(org: Any) -> None:
    org.orders.protect("ops-agent/*", "creation")
    org.orders.protect("main", "deletion", "update")
    status, message = org.app.refused(
        "POST", f"{R}/git/refs", {"ref": "refs/heads/ops-agent/issue-12", "sha": org.orders.head()}
    )
    assert status == 422 and message.startswith(
        "Repository rule violations found\n\nCannot create ref due to creations being restricted."
    )
    assert org.app.refused("DELETE", f"{R}/git/refs/heads/main")[0] == 422
    assert "ops-agent/issue-12" not in org.orders.branches and "main" in org.orders.branches


def test_a_ref_moves_forward_only(org: Any) -> None:
    old = org.orders.head()
    org.orders.commit("main", {"b": "c"}, "b", by="maria")
    assert org.app.refused("PATCH", f"{R}/git/refs/heads/main", {"sha": old}) == (422, "Update is not a fast forward")
    assert org.app.refused("DELETE", f"{R}/git/refs/heads/none") == (422, "Reference does not exist")


def test_a_pull_request_that_cannot_be_opened_says_why(org: Any) -> None:
    org.orders.create_branch("same", org.orders.head())
    org.orders.commit("work", {"a": "b"}, "a", by="maria")
    org.orders.open_pull_request("first", head="work", by="maria")

    def errors(**body: Any) -> Any:
        answer = org.app("POST", f"{R}/pulls", {"title": "t", "base": "main", **body})
        assert (answer.status_code, answer.json()["message"]) == (422, "Validation Failed")
        return answer.json()["errors"]

    assert errors(head="work")[0]["message"] == "A pull request already exists for DrivvenConsulting:work."
    assert errors(head="same")[0]["message"] == "No commits between main and same"
    assert errors(head="none") == [{"resource": "PullRequest", "field": "head", "code": "invalid"}]
    assert errors(head="work", base="none")[0]["field"] == "base"
    assert errors(head="work", body="x" * 65_537)[0]["message"] == "body is too long (maximum is 65536 characters)"


def test_actions_may_be_forbidden_to_open_pull_requests(org: Any) -> None:
    """GITHUB_TOKEN is refused, an app is not."""
    org.orders.actions_may_open_pull_requests = False
    org.orders.commit("work", {"a": "b"}, "a", by="maria")
    body = {"title": "t", "head": "work", "base": "main"}
    actions = org.wire(org.github.actions_token(org.orders))
    assert actions.refused("POST", f"{R}/pulls", body) == (
        403,
        "GitHub Actions is not permitted to create or approve pull requests.",
    )
    assert org.app("POST", f"{R}/pulls", body).status_code == 201


def test_a_body_may_have_65536_code_points(org: Any) -> None:
    ok = org.app("POST", f"{R}/issues/12/comments", {"body": "\U0001f600" * 65_536})
    assert ok.status_code == 201 and len(ok.json()["body"]) == 65_536
    long = org.app("POST", f"{R}/issues/12/comments", {"body": "x" * 65_537}).json()
    assert long["errors"][0] == {
        "resource": "IssueComment", "field": "data", "code": "unprocessable",
        "message": "Body is too long (maximum is 65536 characters)",
    }  # fmt: skip


def test_a_parent_takes_a_hundred_sub_issues_and_a_child_one_parent(org: Any) -> None:
    parent = org.orders.add_issue("Parent", author="maria")
    children = [parent.add_sub_issue(org.orders.add_issue(f"{i}", author="maria")) for i in range(100)]
    answer = org.app("POST", f"{R}/issues/{parent.number}/sub_issues", {"sub_issue_id": org.issue.id})
    assert answer.status_code == 422 and "100" in answer.json()["errors"][0]["message"]
    answer = org.app("POST", f"{R}/issues/12/sub_issues", {"sub_issue_id": children[0].id})
    assert answer.status_code == 422 and "one parent" in answer.json()["errors"][0]["message"]


def test_an_exhausted_rate_limit_is_403_with_the_reset_and_graphql_says_it_in_a_200(org: Any) -> None:
    wire = org.app
    assert wire("GET", R).headers["X-RateLimit-Remaining"] == "4999"
    org.github.rate.exhaust(wire.token, reset_in=2400)
    answer = wire("GET", R)
    assert answer.status_code == 403 and answer.json()["message"].startswith(
        "API rate limit exceeded for installation ID "
    )
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert 2390 <= int(answer.headers["X-RateLimit-Reset"]) - org.github.clock() <= 2400
    assert wire.query("{viewer{login}}")["errors"][0]["type"] == "RATE_LIMITED"


def test_nonsense_is_a_400_or_404_never_a_crash(unchecked: Any) -> None:
    org = unchecked
    assert org.app.refused("GET", "/repos/DrivvenConsulting/orders/nonsense") == (404, "Not Found")
    assert org.app.refused("GET", f"{R}/issues/abc") == (404, "Not Found")
    assert org.app.refused("POST", f"{R}/git/refs", {}) == (422, 'Invalid request.\n\n"ref" wasn\'t supplied.')
    assert org.app.refused("POST", f"{R}/git/refs", [1])[0] == 422
    broken = org.app("GET", R)
    assert broken.status_code == 200
