"""The strict reader of workflows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth import assert_linear
from ops_agent.model.terraform import Unreadable
from ops_agent.model.workflow import Workflow
from ops_agent.workflows.reader import read_workflow

TEXT = """name: x
on:
  push:
    branches: [main]
  workflow_dispatch:
    inputs:
      environment: {type: choice, options: [dev, prod]}
permissions:
  contents: read
env:
  ENVIRONMENT: dev
jobs:
  a:
    runs-on: [ubuntu-24.04]
    environment:
      name: prod
    needs: b
    services:
      db: {image: "x@sha256:1", options: --privileged}
    steps:
      - uses: actions/checkout@v4
        with: {persist-credentials: false}
      - run: |
          echo a
          echo b
        env: {X: 1}
  b:
    uses: o/r/.github/workflows/x.yml@v1
    secrets: inherit
"""


def read(text: str) -> Workflow:
    workflow = read_workflow(text.encode())
    assert isinstance(workflow, Workflow), workflow
    return workflow


def test_a_workflow_is_read_with_lines() -> None:
    workflow = read(TEXT)
    assert workflow.events == {"push", "workflow_dispatch"}
    assert workflow.triggers[0].filters == {"branches": ("main",)} and workflow.triggers[1].filled_inputs == (
        "environment",
    )
    assert workflow.permissions is not None and workflow.permissions.scopes == {"contents": "read"}
    a, b = workflow.jobs
    assert (a.environment, a.needs, a.runs_on, a.images[0].options) == (
        "prod",
        ("b",),
        ("ubuntu-24.04",),
        "--privileged",
    )
    assert (a.steps[0].uses, a.steps[0].uses_line, a.steps[0].with_) == (
        "actions/checkout@v4",
        21,
        {"persist-credentials": "false"},
    )
    assert a.steps[1].run == "echo a\necho b\n" and a.steps[1].env == {"X": "1"}
    run = next(t for t in workflow.texts if t.path[-1] == "run")
    assert [(line.line, line.text) for line in run.lines] == [(24, "echo a"), (25, "echo b")]
    assert b.uses == "o/r/.github/workflows/x.yml@v1"
    assert {t.text for t in workflow.texts} >= {"echo a\necho b\n", "inherit", "dev"}


def test_two_spellings_of_a_step_have_the_same_text() -> None:
    other = TEXT.replace("{persist-credentials: false}", "\n          'persist-credentials': false")
    assert read(TEXT).jobs[0].steps[0].text == read(other).jobs[0].steps[0].text


@pytest.mark.parametrize(
    "text",
    [
        TEXT + "permissions: write-all\n",
        TEXT.replace("on:", "On:", 1),
        TEXT.replace("on:", "true:", 1),
        TEXT.replace("name: x", "name: *a", 1),
        TEXT.replace("name: x", "name: &a x\nrun-name: &a y", 1),
        TEXT.replace("name: x", "&a name: x", 1),
        TEXT.replace("name: x", "name: &a x\n*a : y", 1),
        TEXT.replace("    needs: b", "    needs: &b [*b]", 1),
        TEXT.replace("name: x", "run-name: &a {b: c}\n<<: *a", 1),
        TEXT.replace("on:", "'on': push\non:", 1),
        TEXT.replace("name: x", "name: !!python/object:os.system x", 1),
        TEXT.replace("name: x", "%YAML 1.1\n---\nname: x", 1),
        TEXT + "---\na: b\n",
        TEXT.replace("  a:", "\ta:", 1),
        TEXT.replace("name: x", "name: x\rpermissions: write-all", 1),
        TEXT.replace("name: x", "name: x\u2028permissions: write-all", 1),
        TEXT.replace("  b:", "  A:", 1),
        "[]",
        "jobs: []\non: push\n",
        "on: push\njobs: {a: 1}\n",
        "? [a]\n: b\n",
    ],
)
def test_what_two_readers_could_read_differently_is_refused(text: str) -> None:
    assert isinstance(read_workflow(text.encode()), Unreadable)


@pytest.mark.parametrize(
    "bomb",
    [
        b"on: push\njobs: {j: {}}\na: &a0 [x,x,x,x,x,x,x,x]\n"
        + b"".join(b"b%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 8)) for n in range(1, 9)),
        b"on: push\njobs: {j: {}}\na: &a " + b"x" * 50_000 + b"\nb: [" + b"*a," * 20_000 + b"]",
        b"on: push\njobs: {j: {}}\na: &a0 [[[[[[[[[[x]]]]]]]]]]\n"
        + b"".join(b"b%d: &a%d [[[[[[*a%d]]]]]]\n" % (n, n, n - 1) for n in range(1, 9)),
        b"a: " + b"[" * 100_000,
        b"a: " + b"{a: " * 20_000,
        b"- " * 50_000,
        b"a: [" + b"1," * 55_000 + b"]",
        b"x" * 10_000_000,
    ],
)
def test_a_bomb_is_refused_in_linear_time(bomb: bytes) -> None:
    assert isinstance(read_workflow(bomb), Unreadable)
    assert_linear(lambda size: read_workflow(bomb[:size]), len(bomb) // 8)


def test_an_alias_is_what_its_anchor_holds_on_the_alias_line() -> None:
    text = TEXT.replace("      - run: |", "      - &again\n        run: |") + "  c:\n    steps:\n      - *again\n"
    first, again = read(text).jobs[0].steps[1], read(text).jobs[2].steps[0]
    assert (again.text, again.run) == (first.text, first.run)
    assert (again.line, first.line) == (text.count("\n"), 23)


def test_a_quoted_on_is_on() -> None:
    assert read(TEXT.replace("on:", "'on':", 1)) == read(TEXT)


@given(st.text(max_size=120))
def test_any_text_is_read_or_refused(text: str) -> None:
    read_workflow(text.encode("utf-8", "replace"))
    read_workflow(("on: push\njobs: {a: {steps: [" + text + "]}}").encode("utf-8", "replace"))
