"""Judging costs in proportion to the files that changed; the closer ratio is a figure of `make bench`."""

from __future__ import annotations

from itertools import count

from growth import assert_linear
from ops_agent.guard.judge import judge
from ops_agent.guard.tree import FilesInMemory
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.policy import Policy

BLOCK = """resource "aws_sqs_queue" "q%d_%d_%d" {
  name          = "a-${var.x}"
  delay_seconds = 1 + 2
  tags          = { a = upper("b"), c = var.d["e"] }
}
"""


def test_judging_is_linear_in_the_number_of_files() -> None:
    fresh = count()

    def judged(size: int) -> None:
        run = next(fresh)  # a text that was read before would cost nothing
        texts = ["".join(BLOCK % (run, i, j) for j in range(10)) for i in range(size)]
        files = [FileChange(path=f"infra/f{i}.tf", before=None, after=text.encode()) for i, text in enumerate(texts)]
        verdict = judge(ChangeSet(base_commit="a" * 40, changes=tuple(files)), FilesInMemory.of({}), Policy())
        assert not verdict.blocked, verdict.blocking

    assert_linear(judged, 3)


LOOPS = """resource "aws_sqs_queue" "q%d_%d" {
  for_each = toset([for n in range(200) : tostring(n)])
  name     = join("", [for a in range(200) : join("", [for b in range(200) : "${a}${b}${each.key}"])])
}
"""


def test_loops_inside_of_loops_are_judged_in_linear_time() -> None:
    fresh = count()

    def judged(size: int) -> None:
        run = next(fresh)
        file = FileChange(path="infra/a.tf", before=None, after="".join(LOOPS % (run, i) for i in range(size)).encode())
        judge(ChangeSet(base_commit="a" * 40, changes=(file,)), FilesInMemory.of({}), Policy())

    assert_linear(judged, 2)
