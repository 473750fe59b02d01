"""What is said when a command breaks before, or outside of, a work item's own report: on stderr, and on the page of its job."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress

from ops_agent.errors import OpsAgentError

_WITH_OUTPUTS = ("run", "select")
"""Commands whose output `conclusion` the next step may ask for."""


def end_with(error: OpsAgentError, command: str, environment: Mapping[str, str]) -> int:
    """Tell `error` to people; returns its exit code. Never raises.

    In a job, `run` and `select` write the annotations, the job summary and the output `conclusion` that every other end has.
    """
    if command in _WITH_OUTPUTS and environment.get("GITHUB_ACTIONS") == "true":
        with suppress(Exception):
            return _on_the_job_page(error, environment)
    lines = [f"error: {error.conclusion}: {error}"]
    lines += [f"  - {problem}" for problem in getattr(error, "problems", ())]
    lines += [f"  - {finding.place}: {finding.what}" for finding in error.findings]
    lines.append(f"hint: {error.hint}")
    with suppress(OSError, ValueError):
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()
    return error.exit_code


def _on_the_job_page(error: OpsAgentError, environment: Mapping[str, str]) -> int:
    # Here, for nothing that could have broken may be needed before something has.
    from ops_agent.settings import Settings
    from ops_agent.stages.report import tell_error
    from ops_agent.wiring import redactor_of, reporter_of

    settings, _ = Settings.read_inputs(environment)
    redactor = redactor_of(settings, environment)
    return tell_error(reporter_of(redactor, on_runner=True), redactor.redact, ref=None, error=error, seconds=0.0)
