"""What the adapters read: people, issues, families, branches, runs, actions."""

from __future__ import annotations

import pytest

from adapters.github.calls import PREFIX, host, name, ref
from ops_agent.model.errors import GitHubError, NotFound
from ops_agent.model.event import Actor, ActorKind, Permission
from run.github_world import BOT_ID, FILES, Workplace


def test_the_viewer_of_an_app_is_its_bot_and_is_asked_once(here: Workplace) -> None:
    found = host(here)
    assert (
        found.issues.viewer() == found.issues.viewer() == Actor(login="ops-agent[bot]", id=BOT_ID, kind=ActorKind.BOT)
    )
    assert len(here.github.recorder.of("viewer")) == 1


def test_a_repository_is_described(here: Workplace) -> None:
    found = host(here).issues.repository(name(here))
    assert (found.full_name, found.id, found.default_branch, found.archived) == (
        name(here),
        here.repository.id,
        "main",
        False,
    )


def test_a_repository_that_is_not_there_is_not_found(here: Workplace) -> None:
    for unknown in (f"{name(here)}-x", "nobody/here", "no-slash", "a/../b", "../x"):
        with pytest.raises(NotFound):
            host(here).issues.repository(unknown)


@pytest.mark.parametrize("role", list(Permission))
def test_a_permission_is_the_role_that_github_names(here: Workplace, role: Permission) -> None:
    here.repository.add_person("petra", role=role.value)
    assert host(here).issues.permission(name(here), "petra") is role


def test_an_account_that_github_does_not_know_has_no_permission(here: Workplace) -> None:
    """Fail closed."""
    assert host(here).issues.permission(name(here), "nobody-at-all") is Permission.NONE


def test_a_custom_role_counts_as_what_it_grants(here: Workplace) -> None:
    here.github.faults.on("collaborators").answer(200, body={"permission": "write", "role_name": "release-manager"})
    assert host(here).issues.permission(name(here), "maria") is Permission.WRITE


def test_a_permission_that_cannot_be_read_is_an_error(here: Workplace) -> None:
    here.github.faults.on("collaborators", times=None).answer(500)
    with pytest.raises(GitHubError):
        host(here).issues.permission(name(here), "maria")


def test_an_issue_is_read_whole(here: Workplace) -> None:
    found = host(here).issues.issue(ref(here))
    assert found.ref == ref(here) and found.title == here.issue.title and found.labels == ("ready",) and found.is_open
    assert found.author.login == "maria" and not found.is_pull_request and found.node_id == here.issue.node_id


def test_an_issue_that_was_transferred_deleted_or_never_was_is_not_found(here: Workplace) -> None:
    """The redirect of a transfer is not followed."""
    other = here.github.add_repository(f"{name(here)}-other", dict(FILES))
    here.add_issue(20).transfer(other)
    here.add_issue(21).delete()
    for number in (20, 21, 99):
        here.github.recorder.restart()
        with pytest.raises(NotFound):
            host(here).issues.issue(ref(here, number))
        assert len(here.github.recorder.calls) == 1


def test_an_answer_from_another_repository_is_refused(here: Workplace) -> None:
    """Even when GitHub answers 200 for an issue that is now in another repository."""
    other = here.github.add_repository(f"{name(here)}-elsewhere", dict(FILES))
    moved = host(here)
    other.add_issue("[ops] x", "y", author="maria", number=12)
    answer = moved.http.get(f"/repos/{other.full_name}/issues/12", "reading", lambda found: found)
    here.github.faults.on("GET /repos/{owner}/{repo}/issues/{issue_number}").answer(200, body=answer)
    with pytest.raises(NotFound, match="transferred"):
        moved.issues.issue(ref(here))


def test_events_come_oldest_first_with_their_labels(here: Workplace) -> None:
    here.issue.edit(title="[ops] Other", by="maria")
    here.issue.remove_label("ready", by="maria")
    here.issue.add_label("[ops]", by="joao")
    events = [e for e in host(here).issues.timeline(ref(here)) if e.kind in ("labeled", "unlabeled", "renamed")]
    assert [(e.kind, e.label, e.actor.login if e.actor else None) for e in events] == [
        ("labeled", "ready", "maria"),
        ("renamed", None, "maria"),
        ("unlabeled", "ready", "maria"),
        ("labeled", "[ops]", "joao"),
    ]


def test_lists_are_complete_beyond_one_page(here: Workplace) -> None:
    """More than 100 of anything; calls are linear in pages."""
    parent = here.add_issue(30)
    for number in range(31, 131):
        parent.add_sub_issue(here.repository.add_issue(f"[ops] {number}", "", author="maria", number=number))
    for count in range(101):
        here.issue.comment(f"comment {count}", by="joao")
    here.github.recorder.restart()
    assert [i.ref.number for i in host(here).issues.sub_issues(ref(here, 30))] == list(range(31, 131))
    assert len(here.github.recorder.calls) == 1
    assert len(host(here).issues.comments(ref(here))) == 101
    assert len(here.github.recorder.calls) == 3


def test_parents_and_blockers_are_read(here: Workplace) -> None:
    parent, blocker = here.add_issue(40), here.add_issue(41)
    parent.add_sub_issue(here.issue)
    here.issue.block(blocker)
    assert host(here).issues.parent(ref(here)) == ref(here, 40)
    assert host(here).issues.parent(ref(here, 40)) is None
    assert [b.ref.number for b in host(here).issues.blockers(ref(here))] == [41]


def test_the_head_of_a_branch_is_read(here: Workplace) -> None:
    assert host(here).branches.head(name(here), "main") == here.repository.head()
    assert host(here).branches.head(name(here), "mai") is None
    empty = here.github.add_repository(f"{name(here)}-empty")
    assert host(here).branches.head(empty.full_name, "main") is None


def test_commits_of_a_branch_come_oldest_first_with_their_authors(here: Workplace) -> None:
    base = here.repository.head()
    here.repository.create_branch(f"{PREFIX}12", base)
    first = here.repository.commit(f"{PREFIX}12", {"a.txt": "1"}, "one", by="maria")
    second = here.repository.commit(f"{PREFIX}12", {"b.txt": "2"}, "two", by="joao")
    found = host(here).branches.commits_between(name(here), base, second)
    assert [(sha, author.login if author else None) for sha, author in found] == [(first, "maria"), (second, "joao")]
    assert host(here).branches.commits_between(name(here), second, base) == ()


def test_a_run_is_finished_running_or_unknown(here: Workplace) -> None:
    here.repository.add_run(7, status="completed")
    here.repository.add_run(8)
    blind = here.github.actions_token(here.repository, contents="write")
    assert host(here).issues.run_is_finished(name(here), 7) is True
    assert host(here).issues.run_is_finished(name(here), 8) is False
    assert host(here).issues.run_is_finished(name(here), 9) is None
    assert host(here).issues.run_is_finished(name(here), 0) is None
    assert host(here, blind).issues.run_is_finished(name(here), 7) is None


def test_actions_resolve_to_commits_through_annotated_tags(here: Workplace) -> None:
    action = (
        here.github.add_repository("actions/checkout", {"action.yml": "name: x"}, private=False)
        if "actions/checkout" not in here.github.repositories
        else here.github.repositories["actions/checkout"]
    )
    head = action.head()
    action.tags["v4"] = head
    assert host(here).branches.resolve_action("actions/checkout/sub/folder", "v4") == head
    assert host(here).branches.resolve_action("actions/checkout", "main") == head
    assert host(here).branches.resolve_action("actions/checkout", "v99") is None
    assert host(here).branches.resolve_action("actions/nothing", "v1") is None
    tag, sha = "1" * 40, "2" * 40
    here.github.faults.on("git/ref").answer(200, body={"ref": "refs/tags/v5", "object": {"type": "tag", "sha": tag}})
    here.github.faults.on(f"git/tags/{tag}").answer(200, body={"object": {"type": "commit", "sha": sha}})
    one = host(here)
    assert one.branches.resolve_action("actions/checkout", "v5") == sha
    assert one.branches.resolve_action("actions/checkout/sub", "v5") == sha, (
        "asked again it would find no v5: a run sees one commit of a tag"
    )
