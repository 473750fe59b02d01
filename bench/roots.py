"""Repositories of many roots: the doctor, and a run that changes one root, until its first request."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.first_request import ours
from bench.frame import Column, Figure, take_turns
from bench.judging import tree, write

SIZES = (160, 1_000)
AT_MOST = {160: 20.0, 1_000: 60.0}
DOCTOR, RUN = "doctor", "first request of a run"
_FILES_OF_A_ROOT = 9
_WORKFLOW = """name: plan-{number}
on:
  pull_request:
    paths: [services/service{number}/**]
permissions: {{contents: read}}
jobs:
  plan:
    runs-on: ubuntu-24.04
    steps: &steps
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683
        with: {{persist-credentials: false}}
      - run: terraform -chdir=services/service{number} validate
  again: {{runs-on: ubuntu-24.04, steps: *steps}}
"""


def measure(runs: int) -> Figure:
    figure = Figure(
        title="Many roots",
        how=(
            "Generated repositories of services in two environments each, with modules that they share and a workflow "
            "for every tenth. The doctor as on a laptop, whole; a run from the start of its process to its first "
            "request. Beside them: one `git cat-file` of all files, which is the least that anybody must read."
        ),
        columns=(
            Column(name=DOCTOR, unit="s"),
            Column(name="of it processor", unit="s"),
            Column(name="lines", unit="count", digits=0),
            Column(name=RUN, unit="s"),
            Column(name="git reads all files", unit="s"),
        ),
        compare=False,
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o755)  # Terraform runs as another user
        competitors = {}
        for size in SIZES:
            place = repository(Path(folder, str(size), "services"), size)
            competitors[f"{size:,} roots"] = partial(_times, place, ours(place.parent, place))
        figure.samples = take_turns(competitors, min(runs, 3))
    for size, samples in zip(SIZES, figure.samples.values(), strict=True):
        seconds = sorted(sample[DOCTOR] for sample in samples)[len(samples) // 2]
        met = "met" if seconds <= AT_MOST[size] else "**missed**"
        figure.notes = [*figure.notes, f"{met}: {size:,} roots in {seconds:.1f} s (at most {AT_MOST[size]:.0f})"]
    return figure


def repository(folder: Path, roots: int) -> Path:
    """A git repository with at least so many roots."""
    files = {path: text.replace(b"~> 5.0", b">= 3.39") for path, text in tree(roots * _FILES_OF_A_ROOT).items()}
    files |= {
        f".github/workflows/plan-{number}.yml": _WORKFLOW.format(number=number).encode()
        for number in range(0, roots, 10)
    }
    write(folder, files)
    for step in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "base"]):
        options = ["-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "gc.auto=0"]
        subprocess.run(["git", *options, *step], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607
    return folder


def _times(place: Path, run: Callable[[], Mapping[str, float]]) -> Mapping[str, float]:
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-I", "-m", "ops_agent", "doctor", "--repo", str(place)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(place.parent), "INPUT_AWS_REGION": "sa-east-1"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout  # noqa: S603
    doctor, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    names = subprocess.run(["git", "ls-tree", "-r", "HEAD"], cwd=place, capture_output=True, check=True).stdout  # noqa: S607
    blobs = b"".join(line.split()[2] + b"\n" for line in names.splitlines())
    subprocess.run(["git", "cat-file", "--batch"], input=blobs, cwd=place, capture_output=True, check=True)  # noqa: S607
    read = time.monotonic() - begun
    return {
        DOCTOR: doctor,
        "of it processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "lines": float(said.count("\n")),
        RUN: run()["time"],
        "git reads all files": read,
    }
