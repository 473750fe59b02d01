"""The real PyGithub speaks to the platform over the wire, where it has the call."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from github import GithubException, UnknownObjectException


def test_a_whole_run_by_pygithub(org: Any) -> None:
    org.github.label(org.issue, "ready", by="maria")
    parent = org.orders.add_issue("Parent", author="maria")
    parent.add_sub_issue(org.issue)
    client = org.pygithub(org.github.app_token(bot_id=900))
    repo = client.get_repo("DrivvenConsulting/orders")
    assert repo.get_collaborator_role_name("maria") == "write"
    issue = repo.get_issue(12)
    labelled, adopted = issue.get_timeline()
    assert (labelled.event, labelled.actor.login, labelled.raw_data["label"]["name"]) == ("labeled", "maria", "ready")
    assert adopted.event == "parent_issue_added"
    assert [s.number for s in repo.get_issue(parent.number).get_sub_issues()] == [12]
    comment = issue.create_comment("Claimed")
    comment.edit("Working")
    head = repo.get_git_ref("heads/main").object.sha
    repo.create_git_ref("refs/heads/ops-agent/issue-12", head)
    tree = repo.get_git_tree(head, recursive=True)
    blobs = {e.path: repo.get_git_blob(e.sha) for e in tree.tree if e.type == "blob"}
    assert base64.b64decode(blobs["README.md"].content) == b"# Orders\n"
    given = {
        "branch": {"repositoryNameWithOwner": repo.full_name, "branchName": "ops-agent/issue-12"},
        "expectedHeadOid": head,
        "message": {"headline": "Add the queue"},
        "fileChanges": {"additions": [{"path": "infra/queue.tf", "contents": base64.b64encode(b"# queue\n").decode()}]},
    }
    _, data = client.requester.graphql_named_mutation("createCommitOnBranch", given, "commit { oid }")
    assert data["commit"]["oid"] == org.orders.head("ops-agent/issue-12")
    pull = repo.create_pull(base="main", head="ops-agent/issue-12", title="Queue", body="Closes #12", draft=True)
    pull.add_to_labels("ops-agent")
    pull.mark_ready_for_review()
    assert [p.number for p in repo.get_pulls(state="all", head="DrivvenConsulting:ops-agent/issue-12")] == [pull.number]
    assert [f.filename for f in pull.get_files()] == ["infra/queue.tf"]
    assert repo.compare("main", "ops-agent/issue-12").ahead_by == 1
    stored = org.orders.pull_request(pull.number)
    assert (stored.draft, stored.closes, stored.author.id) == (False, [org.issue], 900)
    assert org.issue.comments[0].body == "Working"
    assert {"labeled", "renamed"} >= {e.event for e in pull.as_issue().get_events()} - {"ready_for_review"}
    repo.get_git_ref("heads/ops-agent/issue-12").delete()
    assert stored.state == "closed"


def test_pygithub_raises_what_it_raises_for_github(org: Any) -> None:
    repo = org.pygithub().get_repo("DrivvenConsulting/orders")
    with pytest.raises(UnknownObjectException):
        repo.get_issue(404)
    with pytest.raises(GithubException) as refused:
        repo.create_git_ref("refs/heads/main", org.orders.head())
    assert (refused.value.status, refused.value.message) == (422, "Reference already exists")
    with pytest.raises(UnknownObjectException, match="ProjectV2 with the number 7"):
        repo.requester.graphql_query('{ organization(login: "DrivvenConsulting") { projectV2(number: 7) { id } } }', {})


def test_pygithub_follows_pages(org: Any) -> None:
    for i in range(65):
        org.issue.comment(str(i), by="maria")
    assert [c.body for c in org.pygithub().get_repo("DrivvenConsulting/orders").get_issue(12).get_comments()] == [
        str(i) for i in range(65)
    ]
