"""The workflow's step without a workflow engine: the same command and environment, read from action.yml and the
consumer's workflow.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ops_agent_demo.act_run import WORKFLOW, checkout
from ops_agent_demo.job import Job, JobEnd, LogLine, StepOutput
from ops_agent_demo.story import REPOSITORY

_EXPRESSION = re.compile(r"\$\{\{\s*(\w+)\.(\w+)\s*\}\}")


def run_plainly(
    job: Job, folder: Path, listen: Callable[[LogLine], None], started: Callable[[int], None] = lambda _: None
) -> JobEnd:
    """Run `python -I -m ops_agent {command}` as the action does, with files for outputs and summary as a runner
    gives them.

    `listen` gets every line of the log as it appears, `started` the process id.
    """
    event, output, summary = folder / "event.json", folder / "output", folder / "summary"
    event.write_text(json.dumps(job.event), encoding="utf-8")
    for empty in (output, summary):
        empty.touch()
    (folder / "temp").mkdir()
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": job.event_name,
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_ACTOR": job.actor,
        "RUNNER_TEMP": str(folder / "temp"),
        **job.variables,
        **_inputs(job),
    }
    end, step = JobEnd(), StepOutput()
    command = [sys.executable, "-I", "-m", "ops_agent", job.command]
    with subprocess.Popen(  # noqa: S603
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder / "temp",
        start_new_session=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        started(process.pid)
        try:
            for raw in process.stdout:
                line = step.read(raw.decode(errors="replace").rstrip("\n"))
                if line is not None:
                    end.take(line)
                    listen(line)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
    for name, text in read_outputs(output.read_text(encoding="utf-8")).items():
        end.take(LogLine(kind="output", name=name, text=text))
    end.take(LogLine(kind="summary", text=summary.read_text(encoding="utf-8")))
    end.exit_code = process.returncode
    return end


def read_outputs(text: str) -> dict[str, str]:
    """The file behind GITHUB_OUTPUT: `name=value` lines and `name<<mark` blocks."""
    outputs: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, marked, mark = line.partition("<<")
        if marked and "=" not in name:
            block = []
            for inner in lines:
                if inner == mark:
                    break
                block.append(inner)
            outputs[name] = "\n".join(block)
        elif "=" in line:
            name, _, outputs_value = line.partition("=")
            outputs[name] = outputs_value
    return outputs


def _inputs(job: Job) -> dict[str, str]:
    """`INPUT_*` as the composite action hands them over: its defaults, and what the consumer's workflow sets."""
    root = checkout()
    declared = yaml.safe_load((root / "action.yml").read_text(encoding="utf-8"))["inputs"] if root else {}
    workflow = yaml.safe_load(job.files[WORKFLOW])
    step: dict[str, Any] = next(
        s for s in workflow["jobs"]["run"]["steps"] if str(s.get("uses", "")).startswith("org/ops-agent@")
    )
    known: dict[str, Mapping[str, str]] = {
        "secrets": job.secrets,
        "vars": job.repository_variables,
        "inputs": job.event.get("inputs") or {},
        "github": {},
    }
    given = {name: entry.get("default", "") for name, entry in declared.items() if name != "command"} | step["with"]
    return {f"INPUT_{name.upper()}": _filled(str(text), known) for name, text in given.items()}


def _filled(text: str, known: Mapping[str, Mapping[str, str]]) -> str:
    return _EXPRESSION.sub(lambda found: known.get(found[1], {}).get(found[2], ""), text)
