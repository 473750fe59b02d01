"""The command line: `ops-agent run | select | verify | doctor | judge | rules`. Arguments in, a `Command` out."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops_agent import __version__
from ops_agent.config.inputs import is_branch_name

OUTPUT = Path("ops-agent-output")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What was asked for. `inputs` are `--input name=value` pairs, laid over the environment's `INPUT_*`; `repository`
    is None when nobody named one. `base` and `write_baseline` are of `judge`, `format` is of `judge` and `doctor`,
    `record` and `page` are of `replay`, what follows is of `eval`.
    """

    name: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    repository: Path | None = None
    issue_file: Path | None = None
    output: Path = OUTPUT
    branch: str | None = None
    environments: tuple[str, ...] = ()
    base: str | None = None
    format: str = "text"
    write_baseline: bool = False
    record: Path | None = None
    page: Path | None = None
    items: Path | None = None
    only: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    recorded: bool = False
    results: Path | None = None
    jobs: int = 1
    max_cost: float = float("inf")
    again: bool = False


def parse(arguments: Sequence[str]) -> Command:
    """The command in `arguments` (without the program's name). Exits 2 with a usage line when they make no sense."""
    parser = _parser()
    given = vars(parser.parse_args(list(arguments)))
    branch = given.get("branch")
    if branch is not None and not is_branch_name(branch):
        parser.error(f"--branch {branch!a} is not a branch name that git accepts")
    inputs = {}
    for pair in given.get("input") or ():
        name, equals, text = pair.partition("=")
        if not equals or not name:
            parser.error(f"--input wants name=value, not {pair!r}")
        inputs[name] = text
    return Command(
        name=given["command"],
        inputs=inputs,
        repository=given.get("repo"),
        issue_file=given.get("issue_file"),
        output=given.get("output", OUTPUT),
        branch=branch,
        environments=tuple(given.get("environment") or ()),
        base=given.get("base"),
        format=given.get("format", "text"),
        write_baseline=given.get("write_baseline", False),
        record=given.get("record"),
        page=given.get("page"),
        items=given.get("items"),
        only=tuple(given.get("item") or ()),
        models=tuple(given.get("model") or ()),
        recorded=given.get("recorded", False),
        results=given.get("results"),
        jobs=given.get("jobs", 1),
        max_cost=given.get("max_cost", float("inf")),
        again=given.get("again", False),
    )


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError("a number from 1 to 64")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ops-agent",
        description="An approved issue becomes a pull request with Terraform, its plan, and the proof that it is safe.",
        epilog="Inputs come from the action's `with:` (INPUT_* variables) or from --input; docs/inputs.md lists them.",
    )
    parser.add_argument("--version", action="version", version=f"ops-agent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    inputs = argparse.ArgumentParser(add_help=False)
    inputs.add_argument(
        "--input", action="append", metavar="NAME=VALUE", help="an input of action.yml; may be repeated"
    )

    run = commands.add_parser("run", parents=[inputs], help="work on the event's issue, or on a local file")
    local = run.add_argument_group("a run on this machine, without GitHub")
    local.add_argument(
        "--issue-file", type=Path, metavar="ITEM.md", help="the issue: first line `# [ops] title`, then its text"
    )
    local.add_argument("--repo", type=Path, metavar="PATH", help="a git checkout; its HEAD is the base (default: here)")
    local.add_argument(
        "--environment", action="append", metavar="NAME", help="plan only this environment; may be repeated"
    )
    local.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR", help="patch and pull request text")
    local.add_argument(
        "--branch", metavar="NAME", help="also create this local branch with the commit (never moves an existing one)"
    )

    commands.add_parser("select", parents=[inputs], help="choose the work items of an event and write the job matrix")
    doctor = commands.add_parser(
        "doctor", parents=[inputs], help="check inputs, repository, token, board, AWS, network and toolchain"
    )
    doctor.add_argument("--repo", type=Path, metavar="PATH", help="a checkout whose layout is shown (default: here)")
    doctor.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        default="text",
        help="one JSON object (docs/doctor.md)",
    )
    judge = commands.add_parser(
        "judge",
        parents=[inputs],
        help="hold a checkout against the rules: no GitHub, no model, no network, nothing is executed",
        epilog="Exit code 0: nothing blocks; 3: something blocks; 2: it could not be judged. docs/judge.md says more.",
    )
    judge.add_argument(
        "repo",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="PATH",
        help="a directory of a git checkout (default: here)",
    )
    judge.add_argument(
        "--base",
        metavar="REV",
        help="judge only what differs from this commit, uncommitted and untracked files included",
    )
    judge.add_argument("--format", choices=("text", "json", "sarif"), default="text", help="default: text")
    judge.add_argument(
        "--write-baseline", action="store_true", help="write what blocks now into .github/ops-agent-baseline.yml"
    )
    commands.add_parser(
        "verify", parents=[inputs], help="verify a pull request's head: rules, plan, dangers; makes no model calls"
    )
    replay = commands.add_parser("replay", help="show the record of a run (`execution_file`) as one HTML page")
    replay.add_argument("record", type=Path, metavar="FILE", help="the record, as `upload_transcript: true` keeps it")
    replay.add_argument(
        "--output", dest="page", type=Path, metavar="PAGE.html", help="default: beside the record, with .html"
    )
    evaluation = commands.add_parser(
        "eval", parents=[inputs], help="run work items with a known right outcome against models, and compare them"
    )
    evaluation.add_argument("items", type=Path, metavar="DIR", help="one folder for each item (docs/eval.md)")
    evaluation.add_argument("--item", action="append", metavar="NAME", help="only this item; may be repeated")
    evaluation.add_argument("--model", action="append", metavar="ID", help="a model to compare; may be repeated")
    evaluation.add_argument(
        "--recorded", action="store_true", help="play the items' recordings: no model, no key, no cost"
    )
    evaluation.add_argument(
        "--results", type=Path, metavar="DIR", help="default: ops-agent-eval; what is done stays done"
    )
    evaluation.add_argument("--again", action="store_true", help="run also what has a result")
    evaluation.add_argument("--jobs", type=_count, default=1, metavar="N", help="so many runs at a time (default: 1)")
    evaluation.add_argument(
        "--max-cost", type=float, default=float("inf"), metavar="USD", help="begin no run when so much is spent"
    )
    commands.add_parser("rules", help="print every guard rule as Markdown")
    return parser
