"""Judging is fast: 50 files of 200 lines cold, and linear (bar: 2x input, at most 2.5x time)."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import sys, time
begun = time.process_time()
from ops_agent.core.guard.judge import judge
from ops_agent.core.guard.trees import FilesInMemory
from ops_agent.domain.change_set import ChangeSet, FileChange
from ops_agent.domain.policy import Policy
block = 'resource "aws_sqs_queue" "q%d_%d" {\\n  name = "a-${var.x}"\\n  delay_seconds = 1 + 2\\n'
block += '  tags = { a = upper("b"), c = var.d["e"] }\\n}\\n\\n'
def text(i):
    return "".join(block % (i, j) for j in range(33)).encode()
def change(count):
    files = [FileChange(path=f"infra/f{i}.tf", before=None, after=text(i)) for i in range(count)]
    return ChangeSet(base_commit="a" * 40, changes=tuple(files))
verdict = judge(change(int(sys.argv[1])), FilesInMemory.of({}), Policy())
assert not verdict.blocked, verdict.blocking
print(time.process_time() - begun)
"""


def _seconds(files: int) -> float:
    result = subprocess.run([sys.executable, "-c", _PROGRAM, str(files)], capture_output=True, text=True, check=True)
    return float(result.stdout)


@pytest.mark.proof
def test_fifty_files_of_two_hundred_lines_are_judged_in_ten_seconds_from_a_cold_start() -> None:
    assert _seconds(50) < 10


@pytest.mark.proof
def test_twice_the_files_take_at_most_two_and_a_half_times_as_long() -> None:
    assert _seconds(40) < 2.5 * _seconds(20) + 0.3


def test_ten_files_are_judged_in_four_seconds_from_a_cold_start() -> None:
    assert _seconds(10) < 4
