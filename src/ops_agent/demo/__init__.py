"""The whole path on this machine: an embedded GitHub, AWS and language model, and the action run by a real workflow engine.

`ops-agent demo` and `make demo` end here; the parts (`github`, `aws`, `llm`) serve the tests too.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run the demo with its arguments (`--help` names them); returns an exit code, 0 when the scenario ended as it should."""
    from ops_agent.demo.run import run_demo

    return run_demo(argv)
