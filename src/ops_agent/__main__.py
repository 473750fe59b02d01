"""Environment in, exit code out. The only place that builds the world, and the only error boundary."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from types import FrameType

from ops_agent.adapters.terraform.sandbox_hardening import harden_this_process
from ops_agent.cli import Command, parse
from ops_agent.domain.outcome import Conclusion
from ops_agent.ending import end_with
from ops_agent.errors import ConfigError, as_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (architecture.md, exit codes). Never raises, never prints a stack trace."""
    harden_this_process()
    # Loading the SDKs makes a hundred thousand objects that stay; at Python's own threshold (700) the collector walks them again and again.
    gc.set_threshold(50_000, 20, 20)
    command = parse(sys.argv[1:] if arguments is None else arguments)
    environment = dict(os.environ)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        return _COMMANDS[command.name](command, environment)
    except BrokenPipeError:
        return 128 + signal.SIGPIPE  # as of any program whose reader left; never 0: what was not said may have been a failure
    except (Exception, KeyboardInterrupt) as broken:
        return end_with(as_error(broken), command.name, environment)


def _run(command: Command, environment: Mapping[str, str]) -> int:
    from ops_agent.running import run_event, run_local

    return run_local(command, environment) if command.issue_file else run_event(command, environment)


def _select(command: Command, environment: Mapping[str, str]) -> int:
    from ops_agent.running import run_select

    return run_select(command, environment)


def _doctor(command: Command, environment: Mapping[str, str]) -> int:
    from ops_agent.running import run_doctor

    return run_doctor(command, environment)


def _demo(command: Command, _environment: Mapping[str, str]) -> int:
    try:
        from ops_agent.demo import main as demo
    except ImportError as missing:
        raise ConfigError(f"the demo needs the package {missing.name}", hint="pip install 'ops-agent[demo]', or `make demo`.") from missing
    return demo(command.rest)


def _rules(_command: Command, _environment: Mapping[str, str]) -> int:
    from ops_agent.core.guard.documentation import render_rules

    sys.stdout.write(render_rules() + "\n")
    return 0


_SECONDS_TO_CLEAN_UP = {int(signal.SIGINT): 4.5, int(signal.SIGTERM): 2.0}

_COMMANDS = {"run": _run, "select": _select, "doctor": _doctor, "demo": _demo, "rules": _rules}


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """SIGINT and SIGTERM end a run alike: children die, the claim is released, the exit code is 130.

    A runner sends SIGINT, SIGTERM 7.5 s later, and kills 2.5 s after that: whatever a request under way is waiting for, this process is
    gone before. Further signals change nothing.
    """
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_IGN)
    last = threading.Timer(_SECONDS_TO_CLEAN_UP[number], os._exit, (Conclusion.CANCELLED.exit_code,))
    last.daemon = True
    last.start()
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
