"""GraphQL: GitHub's schema decides what may be asked, the platform answers in GitHub's words."""

from __future__ import annotations

import base64
from typing import Any

import pytest

COMMIT = """mutation($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) {
    commit { oid message signature { isValid wasSignedByGitHub } } ref { name target { oid } }
  }
}"""
CARD = """query($url: URI!) { resource(url: $url) { ... on Issue { projectItems(first: 10) { nodes {
  id project { id number field(name: "Status") { ... on ProjectV2SingleSelectField { id options { id name } } } }
  fieldValueByName(name: "Status") { ... on ProjectV2ItemFieldSingleSelectValue { name optionId } } } } } } }"""
MOVE = """mutation($input: UpdateProjectV2ItemFieldValueInput!) {
  updateProjectV2ItemFieldValue(input: $input) { projectV2Item { id } } }"""


def commit_input(
    org: Any, *, head: str = "", branch: str = "main", add: dict[str, bytes] | None = None, delete: tuple[str, ...] = ()
) -> Any:
    return {
        "branch": {"repositoryNameWithOwner": "DrivvenConsulting/orders", "branchName": branch},
        "expectedHeadOid": head or org.orders.branches.get(branch, "0" * 40),
        "message": {"headline": "Add the queue", "body": "With its DLQ."},
        "fileChanges": {
            "additions": [{"path": p, "contents": base64.b64encode(c).decode()} for p, c in (add or {}).items()],
            "deletions": [{"path": p} for p in delete],
        },
    }


def error(answer: Any) -> tuple[str, str]:
    assert len(answer["errors"]) == 1
    return answer["errors"][0]["type"], answer["errors"][0]["message"]


def test_a_commit_by_the_api_is_verified_and_holds_exactly_the_bytes(org: Any) -> None:
    org.orders.commit("main", {"run.sh": "old\n"}, "Executable", by="maria", modes={"run.sh": "100755"})
    before = org.orders.head()
    given = commit_input(org, add={"infra/queue.tf": bytes(range(256)), "run.sh": b"new\n"}, delete=("README.md",))
    made = org.app.query(COMMIT, input=given)["data"]["createCommitOnBranch"]
    assert made["commit"]["signature"] == {"isValid": True, "wasSignedByGitHub": True}
    assert made["commit"]["message"] == "Add the queue\n\nWith its DLQ."
    assert made["ref"]["target"]["oid"] == made["commit"]["oid"] == org.orders.head()
    assert org.orders.store.commits[org.orders.head()].parents == (before,)
    assert org.orders.file("main", "infra/queue.tf") == bytes(range(256))
    assert org.orders.file("main", "README.md") is None
    assert org.orders.store.files(org.orders.head())["run.sh"].mode == "100755"


def test_a_head_that_moved_refuses_the_commit(org: Any) -> None:
    old = org.orders.head()
    new = org.orders.commit("main", {"x": "y"}, "first", by="maria")
    answer = org.app.query(COMMIT, input=commit_input(org, head=old, add={"a": b"b"}))
    assert error(answer) == ("STALE_DATA", f'Expected branch to point to "{old}" but it did not.  Pull and try again.')
    assert answer["data"] == {"createCommitOnBranch": None}
    assert org.orders.head() == new


def test_a_workflow_file_needs_the_workflows_permission(org: Any) -> None:
    """GITHUB_TOKEN never has it, an app may have it, a classic token needs the scope."""
    given = commit_input(org, add={".github/workflows/plan.yml": b"on: push\n"})
    tokens = (
        org.github.actions_token(org.orders),
        org.github.app_token(contents="write"),
        org.github.classic_token("maria", "repo"),
    )
    words = ("a GitHub App", "a GitHub App", "a Personal Access Token")
    for token, who in zip(tokens, words, strict=True):
        kind, message = error(org.wire(token).query(COMMIT, input=given))
        needed = "`workflow` scope" if "Personal" in who else "`workflows` permission"
        assert kind == "FORBIDDEN"
        assert (
            message
            == f"refusing to allow {who} to create or update workflow `.github/workflows/plan.yml` without {needed}"
        )
    assert org.orders.file("main", ".github/workflows/plan.yml") is None
    assert "errors" not in org.app.query(COMMIT, input=given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"delete": ("none.tf",)}, "A path was requested for deletion which does not exist as of commit oid"),
        ({"add": {"../x": b""}}, "invalid"),
        ({"add": {".git/config": b""}}, "invalid"),
        ({"add": {"README.md/x": b""}}, "both a file and a folder"),
        ({"branch": "none", "add": {"x": b""}}, "could not be found"),
    ],
)
def test_an_impossible_change_is_refused_whole(org: Any, changes: Any, message: str) -> None:
    head = org.orders.head()
    assert message in error(org.app.query(COMMIT, input=commit_input(org, **changes)))[1]
    assert org.orders.head() == head


def test_a_rule_refuses_the_commit(org: Any) -> None:
    org.orders.protect("main", "pull_request")
    assert (
        "Changes must be made through a pull request."
        in error(org.app.query(COMMIT, input=commit_input(org, add={"a": b"b"})))[1]
    )


def test_contents_write_is_needed(org: Any) -> None:
    reader = org.wire(org.github.actions_token(org.orders, contents="read"))
    answer = reader.query(COMMIT, input=commit_input(org, add={"a": b"b"}))
    assert error(answer) == ("FORBIDDEN", "Resource not accessible by integration")


def test_the_board_is_found_from_the_issue_and_moved(org: Any) -> None:
    wire = org.app
    card = wire.query(CARD, url=org.issue.url)["data"]["resource"]["projectItems"]["nodes"][0]
    assert (card["project"]["number"], card["fieldValueByName"]["name"]) == (6, "Ready")
    options = {o["name"]: o["id"] for o in card["project"]["field"]["options"]}
    given = {"projectId": card["project"]["id"], "itemId": card["id"], "fieldId": card["project"]["field"]["id"]}
    assert "errors" not in wire.query(MOVE, input={**given, "value": {"singleSelectOptionId": options["In Progress"]}})
    assert org.board.column(org.issue) == "In Progress"
    wrong = wire.query(MOVE, input={**given, "value": {"singleSelectOptionId": "none"}})
    assert error(wrong) == ("VALIDATION", "The single select option Id does not belong to the field")


def test_adding_an_issue_twice_gives_the_same_card(org: Any) -> None:
    text = "mutation($input: AddProjectV2ItemByIdInput!) { addProjectV2ItemById(input: $input) { item { id } } }"
    given = {"projectId": org.board.node_id, "contentId": org.issue.node_id}
    first, second = (org.app.query(text, input=given)["data"]["addProjectV2ItemById"]["item"]["id"] for _ in range(2))
    assert first == second and len(org.board.cards) == 1


def test_a_token_without_the_organisations_projects_receives_no_board(org: Any) -> None:
    """The words by which a missing permission is known."""
    actions = org.wire(org.github.actions_token(org.orders))
    found = actions.query('{ organization(login: "DrivvenConsulting") { projectV2(number: 6) { id } } }')
    assert error(found) == ("NOT_FOUND", "Could not resolve to a ProjectV2 with the number 6.")
    assert error(actions.query(CARD, url=org.issue.url)) == ("FORBIDDEN", "Resource not accessible by integration")
    missing = org.app.query('{ organization(login: "DrivvenConsulting") { projectV2(number: 7) { id } } }')
    assert error(missing) == ("NOT_FOUND", "Could not resolve to a ProjectV2 with the number 7.")


def test_a_draft_becomes_ready_and_a_draft_again(org: Any) -> None:
    org.orders.commit("work", {"a": "b"}, "a", by="maria")
    pull = org.orders.open_pull_request("t", head="work", by="maria", draft=True)
    for name, draft in (("markPullRequestReadyForReview", False), ("convertPullRequestToDraft", True)):
        text = f"mutation($id: ID!) {{ {name}(input: {{pullRequestId: $id}}) {{ pullRequest {{ isDraft }} }} }}"
        assert org.app.query(text, id=pull.node_id)["data"][name]["pullRequest"]["isDraft"] is draft
        assert pull.draft is draft
    reader = org.wire(org.github.actions_token(org.orders, pull_requests="read"))
    assert error(reader.query(text, id=pull.node_id))[0] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("kind", "login", "number"), [("app", "ops-agent[bot]", 900), ("actions", "github-actions[bot]", 41898282)]
)
def test_the_viewer_is_the_tokens_account(org: Any, kind: str, login: str, number: int) -> None:
    token = org.github.app_token(bot_id=900) if kind == "app" else org.github.actions_token(org.orders)
    assert org.wire(token).query("{ viewer { login databaseId } }")["data"]["viewer"] == {
        "login": login,
        "databaseId": number,
    }


def test_what_the_schema_does_not_know_is_refused_before_anything_happens(unchecked: Any) -> None:
    answer = unchecked.app.query("{ viewer { shoeSize } }")
    assert "data" not in answer and "shoeSize" in answer["errors"][0]["message"]
    wrong = unchecked.app.query(COMMIT, input={"branch": {}})
    assert "expectedHeadOid" in wrong["errors"][0]["message"] or "provided" in wrong["errors"][0]["message"]
    assert unchecked.app("POST", "/graphql", {"query": 5}).status_code == 400
    assert unchecked.wire(None)("POST", "/graphql", {"query": "{viewer{login}}"}).status_code == 401


def test_a_connection_needs_a_page_size(org: Any) -> None:
    wanted = "... on Issue { labels(first: $first) { totalCount } }"
    text = f"query($url: URI!, $first: Int) {{ resource(url: $url) {{ {wanted} }} }}"
    assert error(org.app.query(text, url=org.issue.url))[0] == "MISSING_PAGINATION_BOUNDARIES"
    assert error(org.app.query(text, url=org.issue.url, first=101))[0] == "EXCESSIVE_PAGINATION"


def test_sub_issues_and_their_parent_are_seen_in_graphql(org: Any) -> None:
    parent = org.orders.add_issue("Parent", author="maria")
    parent.add_sub_issue(org.issue)
    text = """query($url: URI!) { resource(url: $url) {
      ... on Issue { parent { number subIssues(first: 5) { nodes { number } } } } } }"""
    assert org.app.query(text, url=org.issue.url)["data"]["resource"]["parent"] == {
        "number": parent.number,
        "subIssues": {"nodes": [{"number": 12}]},
    }
