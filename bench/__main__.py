"""`python -m bench [--only NAME] [--runs N]`: measure the figures and write bench/results.json and bench/results.md."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from bench.frame import as_markdown, say, write_results

FIGURES = ("checking", "first_request", "growth", "installation", "judging", "plans", "roots", "verification")
"""Modules of this package, each with `measure(runs) -> Figure`."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=FIGURES, help="measure this figure; may be repeated")
    parser.add_argument("--runs", type=int, default=7, help="rounds after one to warm up (default 7)")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent, help="folder of results.json and results.md"
    )
    options = parser.parse_args()
    figures = {}
    for name in options.only or FIGURES:
        say(f"measuring {name} ...")
        figures[name] = importlib.import_module(f"bench.{name}").measure(options.runs)
        sys.stdout.write(as_markdown(figures[name]) + "\n")
    write_results(figures, "make bench" + (f' ARGS="{" ".join(sys.argv[1:])}"' if sys.argv[1:] else ""), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
