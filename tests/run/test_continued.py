"""The scratch tree of a branch that is continued, and whose a finding is."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from doubles.tree import MemoryTree
from ops_agent.adapters.scratch import scratch_tree
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.run.continued import Continued, Start, written

names = st.sampled_from(["a.tf", "b.tf", "d/e.tf", "d/f.tf"])
files = st.dictionaries(names, st.binary(min_size=1, max_size=3), max_size=4)


def start_of(base: dict[str, bytes], branch: dict[str, bytes]) -> Start:
    changed = sorted(path for path in {*base, *branch} if base.get(path) != branch.get(path))
    changes = tuple(FileChange(path=p, before=base.get(p), after=branch.get(p)) for p in changed)
    head: Any = MemoryTree(branch)
    below: Any = MemoryTree(base)
    return Start(base=below, head=head, stored=head, changes=ChangeSet(base_commit=below.commit, changes=changes))


@hypothesis_settings(deadline=None, max_examples=50)
@given(base=files, branch=files, wanted=st.dictionaries(names, st.one_of(st.none(), st.binary(min_size=1, max_size=3))))
def test_the_change_set_is_against_the_base_and_the_edits_are_against_the_branch(
    base: dict[str, bytes], branch: dict[str, bytes], wanted: dict[str, bytes | None]
) -> None:
    start, final = start_of(base, branch), dict(branch)
    with scratch_tree(start.head) as inner:
        scratch = Continued(inner, start)
        for path, content in wanted.items():
            if content is not None:
                scratch.write(path, content)
                final[path] = content
            elif path in final:
                scratch.delete(path)
                del final[path]
        changes, edits = scratch.change_set(), scratch.edits()
        commit = written(start, scratch, changes)
    assert {c.path: (c.before, c.after) for c in changes.changes} == {
        p: (base.get(p), final.get(p)) for p in {*base, *final} if base.get(p) != final.get(p)
    }
    assert {c.path: (c.before, c.after) for c in edits.changes} == {
        p: (branch.get(p), final.get(p)) for p in {*branch, *final} if branch.get(p) != final.get(p)
    }
    assert commit.changes == edits.changes


def test_a_lock_file_that_code_completed_is_written_too() -> None:
    start = start_of({"a.tf": b"1", "lock": b"old"}, {"a.tf": b"2", "lock": b"old"})
    with scratch_tree(start.head) as inner:
        scratch = Continued(inner, start)
        scratch.write("a.tf", b"3")
        completed = FileChange(path="lock", before=b"old", after=b"new")
        found = scratch.change_set()
        commit = written(start, scratch, ChangeSet(base_commit=found.base_commit, changes=(*found.changes, completed)))
    assert [(c.path, c.before, c.after) for c in commit.changes] == [("a.tf", b"2", b"3"), ("lock", b"old", b"new")]
