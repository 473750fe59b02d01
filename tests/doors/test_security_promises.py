"""SECURITY.md promises nothing that no test holds: each promise names tests, and each of these exists and can fail."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from doors.door_files import ROOT
from ops_agent.adapters.terraform import engine
from ops_agent.model.errors import PolicyViolation

TEXT = (ROOT / "SECURITY.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| ([^|]+) \| `(tests/[\w/]+\.py)::(test_\w+)` \|$", TEXT, re.MULTILINE)


@cache
def functions(path: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_promise_has_a_row_and_every_row_of_the_table_is_read_here() -> None:
    promises = re.findall(r"^(\d+)\. \*\*", TEXT, re.MULTILINE)
    assert sorted({number for number, *_ in ROWS}, key=int) == promises
    assert len(ROWS) == len(re.findall(r"^\| \d+ \|", TEXT, re.MULTILINE))


@pytest.mark.parametrize(("path", "name"), [(path, name) for _, _, path, name in ROWS], ids=[name for *_, name in ROWS])
def test_the_test_that_a_promise_names_exists_and_asserts_something(path: str, name: str) -> None:
    assert (ROOT / path).is_file(), f"{path} is gone: name the test that holds the promise now, in SECURITY.md"
    assert name in functions(path), f"{path} has no {name}: name the test that holds the promise now, in SECURITY.md"
    body = list(ast.walk(functions(path)[name]))
    skipped = [
        ast.unparse(d)
        for d in functions(path)[name].decorator_list
        if re.search(r"mark\.(skip|xfail|proof)\b", ast.unparse(d))
    ]
    raises = any(isinstance(n, ast.Call) and "raises" in ast.unparse(n.func) for n in body)
    helped = any(isinstance(n, ast.Call) for n in body)
    assert not skipped, f"{name} does not run in every suite: {skipped}"
    assert raises or helped or any(isinstance(n, ast.Assert) for n in body)


def test_the_commands_that_the_first_promise_names_are_those_that_can_be_built() -> None:
    """A new command of Terraform is a change of a promise."""
    promise = re.search(r"^1\. (.+?)^2\. ", TEXT, re.DOTALL | re.MULTILINE)
    assert promise is not None
    named = set(re.findall(r"`([a-z]+)`", promise[1]))
    assert {words[0] for words in engine._ALLOWED} <= named
    for forbidden in ("apply", "destroy", "state", "import", "console", "force-unlock", "workspace"):
        with pytest.raises(PolicyViolation):
            engine.TerraformCommand((forbidden,))
