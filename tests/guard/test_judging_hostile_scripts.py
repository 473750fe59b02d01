"""A script that is made to be slow is judged in linear time: no rule scans from every position to the end."""

from __future__ import annotations

import json
from itertools import count

import pytest

from growth import assert_linear
from ops_agent.guard.judge import judge
from ops_agent.guard.tree import FilesInMemory
from ops_agent.model.change_set import ChangeSet, FileChange
from ops_agent.model.policy import Policy
from ops_agent.workflows.shell import MAX_CHARACTERS

WORKFLOW = ".github/workflows/checks.yml"
SCRIPT = "scripts/check.sh"
HEAD = "name: checks\non: push\npermissions: {}\njobs:\n  checks:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: "
NOTES = "infra/README.md"
BASE = {NOTES: b"notes\n", WORKFLOW: f"{HEAD}bash {SCRIPT}\n".encode(), SCRIPT: b"echo checked\n"}
UNITS = (
    *(
        "\n",
        "/a",
        "a/",
        "//",
        "/*",
        "$A/",
        "(",
        ";",
        "|",
        "| ",
        '\\"',
        '"',
        "'",
        "`",
        "$(",
        "${{ ",
        "${a ",
        "${",
        "<<E\n",
        "a=b ",
        "{",
        "!",
    ),
    *(
        "aws a ",
        "curl a ",
        "docker a ",
        "git -a=b -a=b ",
        "-C -C ",
        "aws iam  ",
        "npm ",
        "pip a ",
        "terraform -a ",
        "terraform a ",
        "sudo -E ",
        "X=1 ",
        "chmod -R ",
    ),
    *("for x in a; do ", "bash -c '", "echo a | ", "find . -exec ", "aaaa", "0", "#", "[[ ", "<<E ", "\\\n", "|\n"),
    *("sudo apt install a ", "sudo apt install ", ";sudo apt install a", "gh pr "),
    *("a=x.md ", "bash x.md;", "bash $a;", "eval $a\n", "$a\n", "$(cat x.md)", "{a,", "< x.md ", "for a in x.md;"),
)
fresh = count()


def judged(path: str, text: str, base: dict[str, bytes] = BASE) -> list[str]:
    change = FileChange(path=path, before=base[path], after=text.encode())
    verdict = judge(ChangeSet(base_commit="a" * 40, changes=(change,)), FilesInMemory.of(base), Policy())
    return [finding.what for finding in verdict.findings]


@pytest.mark.parametrize("unit", UNITS)
def test_a_hostile_script_is_judged_in_linear_time(unit: str) -> None:
    def judge_both(size: int) -> None:
        script = f"echo {next(fresh)}\n{unit * (size // len(unit))}"  # what was judged before is remembered
        judged(WORKFLOW, f"{HEAD}{json.dumps(script)}\n")
        judged(NOTES, "other notes\n", {**BASE, SCRIPT: script.encode()})

    assert_linear(judge_both, 2_000)


def test_a_script_that_is_too_long_to_be_judged_is_refused() -> None:
    script = "echo a\n" * (MAX_CHARACTERS // 7 + 1)
    assert any("too long to be judged" in what for what in judged(WORKFLOW, f"{HEAD}{json.dumps(script)}\n"))
