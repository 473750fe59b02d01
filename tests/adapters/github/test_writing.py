"""What the adapters write: comments, branches, commits."""

from __future__ import annotations

import pytest

from adapters.github.calls import PREFIX, change_set, file_change, host, name, ref
from ops_agent.model.errors import Conflict, NeedsWorkflowsPermission, NotPermitted
from run.github_world import BOT_ID, Workplace


def test_a_comment_is_made_edited_and_deleted(here: Workplace) -> None:
    found = host(here)
    made = found.issues.create_comment(ref(here), "Hello\n")
    assert made.author.id == BOT_ID and made.body.strip() == "Hello"
    found.issues.update_comment(name(here), made.id, "Bye")
    assert [c.body for c in found.issues.comments(ref(here))] == ["Bye"]
    found.issues.delete_comment(name(here), made.id)
    found.issues.delete_comment(name(here), made.id)
    assert found.issues.comments(ref(here)) == ()


def test_a_branch_can_be_created_once(here: Workplace) -> None:
    """Creating the branch is the lock."""
    base = here.repository.head()
    assert host(here).branches.create(name(here), f"{PREFIX}12", base) is True
    assert host(here).branches.create(name(here), f"{PREFIX}12", base) is False


def test_a_branch_whose_creation_was_not_answered_counts_as_taken(here: Workplace) -> None:
    """It may be another run's, so no run wins by the branch alone."""
    here.github.faults.on("POST /repos/{owner}/{repo}/git/refs").drop_after()
    assert host(here).branches.create(name(here), f"{PREFIX}12", here.repository.head()) is False


def test_deleting_a_branch_twice_is_fine(here: Workplace) -> None:
    host(here).branches.create(name(here), f"{PREFIX}12", here.repository.head())
    host(here).branches.delete(name(here), f"{PREFIX}12")
    host(here).branches.delete(name(here), f"{PREFIX}12")
    assert here.branches == {}


def test_a_commit_adds_changes_and_deletes(here: Workplace) -> None:
    base = here.repository.head()
    found = host(here)
    found.branches.create(name(here), f"{PREFIX}12", base)
    made = found.branches.commit(
        name(here),
        f"{PREFIX}12",
        base,
        "Headline",
        "Body",
        change_set(
            base,
            file_change("a/ö.bin", b"\x00\xff"),
            file_change("README.md", None, b""),
            file_change("infra/main.tf", b"x", b""),
        ),
    )
    files = here.repository.files(f"{PREFIX}12")
    assert files["a/ö.bin"] == b"\x00\xff" and "README.md" not in files and files["infra/main.tf"] == b"x"
    assert here.repository.head(f"{PREFIX}12") == made


def test_a_commit_on_a_head_that_moved_is_a_conflict(here: Workplace) -> None:
    base = here.repository.head()
    host(here).branches.create(name(here), f"{PREFIX}12", base)
    here.repository.commit(f"{PREFIX}12", {"x": "y"}, "theirs", by="maria")
    with pytest.raises(Conflict):
        host(here).branches.commit(name(here), f"{PREFIX}12", base, "h", "b", change_set(base, file_change("a", b"1")))


def test_a_commit_whose_answer_was_lost_is_found_again_and_a_foreign_one_is_not_taken(here: Workplace) -> None:
    base = here.repository.head()
    found = host(here)
    found.branches.create(name(here), f"{PREFIX}12", base)
    here.github.faults.on("createCommitOnBranch").drop_after()
    made = found.branches.commit(name(here), f"{PREFIX}12", base, "h", "b", change_set(base, file_change("a", b"1")))
    assert made == here.repository.head(f"{PREFIX}12") and len(here.github.recorder.of("createCommitOnBranch")) == 1
    here.github.faults.on("createCommitOnBranch").run(
        lambda: here.repository.commit(f"{PREFIX}12", {"x": "y"}, "theirs", by="maria")
    )
    here.github.faults.on("createCommitOnBranch").drop_before()
    with pytest.raises(Conflict):
        found.branches.commit(name(here), f"{PREFIX}12", made, "h", "b", change_set(made, file_change("c", b"1")))


def test_workflow_files_need_their_own_permission(here: Workplace) -> None:
    base, token = here.repository.head(), here.github.actions_token(here.repository)
    found = host(here, token)
    found.branches.create(name(here), f"{PREFIX}12", base)
    change = change_set(base, file_change(".github/workflows/ci.yml", b"on: push", b""))
    with pytest.raises(NeedsWorkflowsPermission, match="workflows"):
        found.branches.commit(name(here), f"{PREFIX}12", base, "h", "b", change)
    here.github.faults.on("createCommitOnBranch").answer(
        200, body={"data": None, "errors": [{"type": "FORBIDDEN", "message": "Resource not accessible by integration"}]}
    )
    with pytest.raises(NeedsWorkflowsPermission):
        found.branches.commit(name(here), f"{PREFIX}12", base, "h", "b", change)


def test_a_ruleset_that_refuses_is_named(here: Workplace) -> None:
    """The failure is permanent, is not retried, and carries the rule in GitHub's words."""
    here.repository.protect("ops-agent/*", "creation")
    here.github.recorder.restart()
    with pytest.raises(NotPermitted, match="creations being restricted"):
        host(here).branches.create(name(here), f"{PREFIX}12", here.repository.head())
    assert len(here.github.recorder.calls) == 1
