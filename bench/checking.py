"""The agent's tool `check` after an edit, against the bare commands that it needs: `terraform validate` and one
`terraform test` for each environment.

Real engine, real AWS provider, no account. Both know the same: providers are installed, and the
base was planned before.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bench.frame import Column, Figure, say, take_turns
from bench.verification import bare, mark
from bench.verification_roots import ENVIRONMENTS, FilesBase, counting_mirror, files_of, starts_in
from ops_agent.adapters.scratch import scratch_tree
from ops_agent.adapters.terraform import commands
from ops_agent.adapters.terraform.offline_plan import TEST_FILE
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.adapters.terraform.workspace import Workspace
from ops_agent.config.settings import Settings
from ops_agent.guard.tree import source_tree
from ops_agent.model.conversation import Briefing
from ops_agent.model.policy import Policy
from ops_agent.model.ports import Scratch, World
from ops_agent.run.converse import Conversation
from ops_agent_demo.terraform import unpack_mirror, wheel_zips

AT_MOST = 1.5
EDITED, UNCHANGED, STARTS = "after an edit", "after an edit of a page", "provider starts"
STARTS_BY_FORMULA = 2 + 1 * len(ENVIRONMENTS) + 3
"""V for `validate`, M for each environment's mocked run, 3 for the plan of what is created (run/check.py)."""


def measure(runs: int) -> Figure:
    figure = Figure(
        title="Check",
        how=(
            "One root with four AWS resources and the environments dev and prod; before each round the agent edits one "
            "of them. Ours is the whole tool `check`: the source rules, `fmt`, `validate`, and an offline plan of both "
            "environments with values, replacements and dangers. The other way: `terraform validate` and the two "
            "`terraform test` runs on mocked providers that this needs, one after the other, without sandbox, in "
            "directories that were initialised before."
        ),
        columns=(
            Column(name=EDITED, unit="s", digits=2),
            Column(name=UNCHANGED, unit="ms", digits=0),
            Column(name=STARTS, unit="count", digits=0),
        ),
    )
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder, _Bench.open(Path(folder)) as bench:
        figure.samples = take_turns({"ops-agent": bench.ours, "bare commands": bench.theirs}, runs)
    figure.notes = [*_verdicts(figure.samples)]
    return figure


def _verdicts(samples: Mapping[str, Sequence[Mapping[str, float]]]) -> Iterator[str]:
    """Whether these samples meet the targets; ratios are of the rounds, taken in turn."""
    ours, theirs = samples.values()
    ratios = sorted(mine[EDITED] / bare[EDITED] for mine, bare in zip(ours, theirs, strict=True))
    ratio = ratios[len(ratios) // 2]
    yield f"{mark(ratio < AT_MOST)}: {ratio:.2f} times the bare commands (under {AT_MOST})"
    counted = {int(one[STARTS]) for one in ours}
    starts = ", ".join(map(str, sorted(counted)))
    yield f"{mark(counted == {STARTS_BY_FORMULA})}: {starts} provider starts, {STARTS_BY_FORMULA} by the formula"


@dataclass(kw_only=True)
class _Bench:
    conversation: Conversation
    scratch: Scratch
    folder: Path
    edits: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[_Bench]:
        folder.chmod(0o777)
        mirror = counting_mirror(unpack_mirror(wheel_zips()[:1], folder / "genuine"), folder)
        base = FilesBase(files_of(2, added=False))
        with ExitStack() as stack:
            scratch = stack.enter_context(scratch_tree(base))
            terraform = stack.enter_context(TerraformCli(policy=Policy(), binary="embedded", mirror=str(mirror)))
            nothing: Any = SimpleNamespace(check=lambda _: {}, resolve_action=lambda *_: None, monotonic=time.monotonic)
            world = SimpleNamespace(
                **dict.fromkeys(("llm", "clock", "linters", "branches", "reporter"), nothing),
                **{"terraform": terraform, "scratch": scratch_tree, "redact": str},
            )
            layout = source_tree(base, Policy()).layout
            briefing = Briefing(standards=(), layout=layout, system="", task="")
            conversation = Conversation(cast("World", world), Settings(), briefing, scratch)
            stack.callback(conversation.close)
            yield cls(conversation=conversation, scratch=scratch, folder=folder)

    def ours(self) -> Mapping[str, float]:
        """Seconds and provider starts of a check after an edit; milliseconds of one after an edit of a page."""
        found: dict[str, float] = {}
        for column, path, text in (
            (EDITED, "infra-0/topic.tf", 'resource "aws_sns_topic" "orders" {{\n  name = "orders-{}"\n}}\n'),
            (UNCHANGED, "infra-0/README.md", "# Orders {}\n"),
        ):
            self.scratch.write(path, text.format(next(self.edits)).encode())
            before, begun = self._starts(), time.monotonic()
            answer = self.conversation._check()
            found[column] = (time.monotonic() - begun) * (1 if column == EDITED else 1_000)
            if not answer["passed"] or answer["plans"][0]["environments"] != {"dev, prod": "+1 ~0 -0"}:
                raise RuntimeError(f"the check says {answer}")
            if column == EDITED:
                found[STARTS] = self._starts() - before
        say(f"  ours: {found}")
        return found

    def theirs(self) -> Mapping[str, float]:
        """The same three commands by hand, over copies of the files that our check left."""
        jobs = [(self._copied(number, one), one) for number, one in enumerate(self._cells())]
        begun = time.monotonic()
        for number, (place, one) in enumerate(jobs):
            directory = place / "work" / one.target.root.path
            variables = {"TF_DATA_DIR": str(place / "data"), "TF_CLI_CONFIG_FILE": one.variables["TF_CLI_CONFIG_FILE"]}
            files = tuple(place / "work" / path for path in one.target.environment.var_files)
            if number == 0:
                bare(commands.VALIDATE, directory, place, variables)
            bare(commands.test(TEST_FILE, files), directory, place, variables)
        seconds = time.monotonic() - begun
        starts = sum(starts_in(place) for place, _ in jobs)
        say(f"  theirs: {seconds:.2f} s, {starts} provider starts")
        return {EDITED: seconds, UNCHANGED: seconds * 1_000, STARTS: starts}

    def _cells(self) -> list[Workspace]:
        kept = self.conversation._checks._cells._kept
        return [cast("Workspace", one) for found in kept.values() for one in found.workspaces]

    def _starts(self) -> int:
        return sum(starts_in(one.cell.temporary) for one in self._cells())

    def _copied(self, number: int, one: Workspace) -> Path:
        place = self.folder / f"bare-{number}"
        shutil.rmtree(place, ignore_errors=True)
        for name in ("work", "data"):
            shutil.copytree(one.cell.root / name, place / name, symlinks=True)
        return place
