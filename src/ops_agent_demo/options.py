"""The demo's command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops_agent_demo.story import SCENARIOS


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`llm` is script or anthropic; `output` is the folder for pages, plan, diff and transcript."""

    scenario: str
    llm: str
    use_act: bool
    serve: bool
    output: Path
    verbose: bool


def read_options(argv: Sequence[str]) -> Options:
    """Exits 2 with a usage line when the arguments make no sense."""
    parser = argparse.ArgumentParser(
        prog="make demo",
        description=(
            "An issue becomes a pull request on this machine: real Terraform, the real action, an embedded "
            "GitHub and AWS."
        ),
    )
    parser.add_argument(
        "--scenario",
        choices=SCENARIOS,
        default=SCENARIOS[0],
        help="one labelled issue, or a parent with its sub-issues",
    )
    parser.add_argument(
        "--llm", choices=("script", "anthropic"), default="script", help="a script, or the real API (ANTHROPIC_API_KEY)"
    )
    parser.add_argument(
        "--no-act", dest="use_act", action="store_false", help="run the action's step without the workflow engine act"
    )
    parser.add_argument("--serve", action="store_true", help="keep the embedded GitHub up afterwards, to click through")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), metavar="DIR", help="default: demo-output")
    parser.add_argument("--verbose", action="store_true", help="show the job's whole log")
    known = parser.parse_args(list(argv))
    return Options(
        scenario=known.scenario,
        llm=known.llm,
        use_act=known.use_act,
        serve=known.serve,
        output=known.output.resolve(),
        verbose=known.verbose,
    )
