"""Environment in, exit code out. The only place that builds the world, and the only error boundary."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType

from ops_agent.adapters.terraform.sandbox import harden_this_process
from ops_agent.config.arguments import Command, parse
from ops_agent.model.errors import OpsAgentError, as_error
from ops_agent.model.outcome import Conclusion

# What is said when a command breaks before, or outside of, a work item's own report: on stderr, and on the page of its
# job.

_WITH_OUTPUTS = ("run", "select")
"""Commands whose output `conclusion` the next step may ask for."""


def end_with(error: OpsAgentError, command: str, environment: Mapping[str, str]) -> int:
    """Tell `error` to people; returns its exit code. Never raises.

    In a job, `run` and `select` write the annotations, the job summary and the output `conclusion` that every other end
    has.
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
    from ops_agent.config.settings import read_inputs
    from ops_agent.run.report import report_error
    from ops_agent.wiring import redactor_of, reporter_of

    redactor = redactor_of(read_inputs(environment).settings, environment)
    return report_error(reporter_of(redactor, on_runner=True), redactor.redact, ref=None, error=error, seconds=0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (docs/outcomes.md). Never raises, never prints a stack trace."""
    harden_this_process()
    # Loading the SDKs makes a hundred thousand objects that stay; at Python's own threshold (700) the collector walks
    # them again and again.
    gc.set_threshold(50_000, 20, 20)
    command = parse(sys.argv[1:] if arguments is None else arguments)
    environment = dict(os.environ)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        return _COMMANDS[command.name](command, environment)
    except BrokenPipeError:
        return (
            128 + signal.SIGPIPE
        )  # as of any program whose reader left; never 0: what was not said may have been a failure
    except (Exception, KeyboardInterrupt) as broken:
        return end_with(as_error(broken), command.name, environment)


def _run(command: Command, environment: Mapping[str, str]) -> int:
    from ops_agent.cli import run_event, run_local

    return run_local(command, environment) if command.issue_file else run_event(command, environment)


def _select(command: Command, environment: Mapping[str, str]) -> int:
    from ops_agent.cli import run_select

    return run_select(command, environment)


def _doctor(command: Command, environment: Mapping[str, str]) -> int:
    from ops_agent.cli import run_doctor

    return run_doctor(command, environment)


def _rules(_command: Command, _environment: Mapping[str, str]) -> int:
    from ops_agent.pages.rules_page import render_rules

    sys.stdout.write(render_rules() + "\n")
    return 0


_SECONDS_TO_CLEAN_UP = {int(signal.SIGINT): 4.5, int(signal.SIGTERM): 2.0}

_COMMANDS = {"run": _run, "select": _select, "doctor": _doctor, "rules": _rules}


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """SIGINT and SIGTERM end a run alike: children die, the claim is released, the exit code is 130.

    A runner sends SIGINT, SIGTERM 7.5 s later, and kills 2.5 s after that: whatever a request under way is waiting for,
    this process is gone before. Further signals change nothing.
    """
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_IGN)
    last = threading.Timer(_SECONDS_TO_CLEAN_UP[number], os._exit, (Conclusion.CANCELLED.exit_code,))
    last.daemon = True
    last.start()
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
