"""Environment in, exit code out: hardens the process, runs one command, and is the only error boundary."""

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
from ops_agent.config.arguments import parse
from ops_agent.model.errors import OpsAgentError, as_error
from ops_agent.model.outcome import Conclusion

_WITH_OUTPUTS = ("run", "select", "verify")
"""Commands whose output `conclusion` the next step may ask for."""
_SECONDS_TO_CLEAN_UP = {int(signal.SIGINT): 4.5, int(signal.SIGTERM): 2.0}


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
        from ops_agent.cli import COMMANDS

        return COMMANDS[command.name](command, environment)
    except BrokenPipeError:
        # As of any program whose reader left; never 0: what was not written may have been a failure.
        return 128 + signal.SIGPIPE
    except (Exception, KeyboardInterrupt) as broken:
        return end_with(as_error(broken), command.name, environment)


def end_with(error: OpsAgentError, command: str, environment: Mapping[str, str]) -> int:
    """Show `error` to people; returns its exit code. Never raises.

    In a job, `run`, `select` and `verify` write the annotations, the job summary and the output `conclusion` that every
    other end has; elsewhere the error goes to stderr.
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
    # Imported here: nothing that could have broken may be needed before something has.
    from ops_agent.config.settings import read_inputs
    from ops_agent.run.report import report_error
    from ops_agent.wiring import redactor_of, reporter_of

    redactor = redactor_of(read_inputs(environment).settings.secrets, environment)
    return report_error(reporter_of(redactor, on_runner=True), redactor.redact, ref=None, error=error, seconds=0.0)


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
