"""One target in a cell of its own: init, validate, plan, in this order."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ops_agent.adapters.terraform import commands
from ops_agent.adapters.terraform.cells import Cell, empty, snapshot
from ops_agent.adapters.terraform.diagnostics import finding, from_json, from_text, json_lines, unreachable
from ops_agent.adapters.terraform.engine import ended_well, unexplained
from ops_agent.adapters.terraform.processes import Capped, ChildResult, Patience
from ops_agent.adapters.terraform.reach import Reach
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.model.errors import NoSpace, ToolchainError
from ops_agent.model.finding import Finding
from ops_agent.model.ports import PlanFiles
from ops_agent.model.terraform import TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.plan.reading import MAX_PLAN_BYTES
from ops_agent.terraform.modules import LOCK_FILE

_LEAST_ROOM = 1 << 20
_MAX_STATE = 256 << 20
_LOCK_MUST_CHANGE = "Provider dependency changes detected"


@dataclass(slots=True, kw_only=True)
class Workspace:
    """ports.TerraformWorkspace. `variables` join the bare environment of every child. `leased`: they give credentials,
    so there is a backend, and what `plan` reports may hold values of the state.

    `modules` names what came from outside; `missing_modules` says what did not, and then init is not even tried.
    `fill` copies a tree to the cell. `lock` makes the lock file's bytes when the one in the tree lacks an
    allow-listed provider (our code writes it, never the llm). `reach_with` says what the plan may reach, given the
    state; None leaves the cell's reach as it is.
    """

    sandbox: Sandbox
    cell: Cell
    target: TerraformTarget
    variables: Mapping[str, str]
    backend_files: tuple[Path, ...]
    var_files: tuple[Path, ...]
    leased: bool
    patience: Patience
    region: str
    fill: Callable[[Path], object]
    placeholders: tuple[str, ...]
    modules: tuple[str, ...]
    missing_modules: tuple[Finding, ...]
    lock: Callable[[], bytes | None]
    reach_with: Callable[[bytes], Reach] | None
    lock_file_update: bytes | None = None
    _before: dict[str, tuple[int, int]] = field(default_factory=dict)
    _refused: dict[str, None] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        return self.cell.work / self.target.root.path

    def init(self) -> CheckResult:
        """Backend, modules and providers. A lock file is read only; entries for a new allow-listed provider are made by
        our code.
        """
        if self.missing_modules:
            failed, subject = CheckStatus.FAILED, str(self.target)
            return CheckResult(name="init", subject=subject, status=failed, findings=self.missing_modules)
        lock = self.directory / LOCK_FILE
        locked = lock.is_file()
        result = self._init(locked)
        if locked and result.returncode == 1 and _LOCK_MUST_CHANGE in result.text:
            self.lock_file_update = self.lock()
            if self.lock_file_update is not None:
                lock.write_bytes(self.lock_file_update)
                self.sandbox.hand_over(self.cell)
                result = self._init(True)
        self._before = snapshot(self.cell.work)
        found = from_text("init", self.target.root.path, result.text) if result.returncode != 0 else ()
        if self.reach_with is not None and result.returncode == 0:
            pulled = Capped(_MAX_STATE, 10**9)
            state = self._run(commands.STATE, sink=pulled)
            known = bytes(pulled.kept) if state.returncode == 0 else b""
            self.cell = replace(self.cell, reach=self.reach_with(known))
        return self._check("init", result, found, failed=result.returncode != 0)

    def refresh(self, tree: Path) -> None:
        """Fill the working directory anew; of what a child left there, only the lock file that init wrote is kept.

        Now nothing there is writable for a child.
        """
        lock = self.directory / LOCK_FILE
        kept = lock.read_bytes() if lock.is_file() and not lock.is_symlink() else None
        empty(self.cell.work)
        self.fill(tree)
        if kept is not None:
            lock.write_bytes(kept)
        self.sandbox.hand_over(self.cell)
        self._before = snapshot(self.cell.work)

    def validate(self) -> CheckResult:
        result = self._run(commands.VALIDATE)
        answer = json_lines(result.stdout.replace(b"\n", b" "))
        diagnostics = answer[0].get("diagnostics") if answer else ()
        found = from_json("validate", self.target.root.path, diagnostics if isinstance(diagnostics, list) else ())
        return self._check("validate", result, found, failed=result.returncode != 0)

    def plan(self, *, with_text: bool = True) -> tuple[CheckResult, PlanFiles | None]:
        """The plan and what it shows. Nothing is read of a plan file that was written despite errors, which would look
        like "no changes"; and none is left.
        """
        try:
            return self._plan(self.cell.out / "plan.tfplan", with_text)
        finally:
            empty(self.cell.out)

    def _plan(self, plan_file: Path, with_text: bool) -> tuple[CheckResult, PlanFiles | None]:
        stream = _Diagnostics()
        result = self._run(commands.plan(out=plan_file, var_files=self.var_files), sink=stream)
        found = (*from_json("plan", self.target.root.path, stream.found, withhold=self.leased), *self._written())
        failed = result.returncode not in (0, 2) or plan_file.is_symlink() or not plan_file.is_file()
        left = None
        if not failed and not any(f.blocks for f in found):
            json_path = self._show_json(plan_file)
            text = self._show_text(plan_file) if with_text else ""
            left = PlanFiles(json_path=json_path, text=text, changes_present=result.returncode == 2)
        check = self._check("plan", result, found, failed=failed)
        return check, left if check.status is CheckStatus.PASSED else None

    def _init(self, locked: bool) -> ChildResult:
        files = self.backend_files if self.leased else None
        return self._run(commands.init(backend_files=files, lock_read_only=locked))

    def _show_json(self, plan_file: Path) -> Path:
        """Stream `show -json` into a private file (0600), never in memory."""
        path, left = self.cell.kept / "plan.json", MAX_PLAN_BYTES
        path.touch(0o600)
        with path.open("wb") as out:

            def sink(chunk: bytes) -> None:
                nonlocal left
                left -= len(chunk)
                if left < 0:
                    most = f"{MAX_PLAN_BYTES / 1e6:.0f} MB"
                    raise ToolchainError(f"The plan of {self.target} has more than {most} of JSON")
                out.write(chunk)

            self._shown(self._run(commands.show(plan_file, json=True), sink=sink))
        return path

    def _show_text(self, plan_file: Path) -> str:
        """From `show`, not from `plan`: it leaves out warnings, which the llm's `check` blocks can write."""
        result = self._shown(self._run(commands.show(plan_file, json=False)))
        return result.stdout.decode(errors="replace") + ("\n... (cut)\n" if result.truncated else "")

    def _shown(self, result: ChildResult) -> ChildResult:
        if result.returncode == 0:
            return result
        # Terraform does not notice that its plan file was cut short by a full disk.
        if shutil.disk_usage(self.cell.out).free < _LEAST_ROOM:
            raise NoSpace(f"No space left on the runner's disk for the plan of {self.target}")
        # Never its output: that is the plan.
        said = " ".join(result.stderr.decode(errors="replace").split())[-300:]
        how = f"exit code {result.returncode}: {said}"
        raise ToolchainError(f"`terraform show` of the plan of {self.target} failed with {how}")

    def run_in(
        self,
        directory: Path,
        command: commands.TerraformCommand,
        sink: Callable[[bytes], None] | None = None,
    ) -> ChildResult:
        """A command in a directory of the cell. Raises what `ended_well` does."""
        result = self.sandbox.run(self.cell, command, self.variables, cwd=directory, patience=self.patience, sink=sink)
        return ended_well(result, f"terraform {command.argv[0]} for {self.target}")

    def _run(self, command: commands.TerraformCommand, sink: Callable[[bytes], None] | None = None) -> ChildResult:
        result, name = self.run_in(self.directory, command, sink), command.argv[0]
        self._refused |= dict.fromkeys(f"`terraform {name}` tried to reach {p}: refused." for p in result.refused)
        return result

    def _written(self) -> tuple[Finding, ...]:
        """Files that a provider made or changed in the copy: never part of the change set, but no provider of ours does
        that.
        """
        after = snapshot(self.cell.work)
        changed = sorted({path for path, _ in after.items() ^ self._before.items()})
        what = "The plan wrote to the working directory. The file is not taken over."
        return tuple(finding("plan", "", what, file=path) for path in changed[:10])

    def _check(
        self, name: str, result: ChildResult, found: tuple[Finding, ...] = (), *, failed: bool = False
    ) -> CheckResult:
        """The check of a command with what it found and what it tried to reach. One that `failed` has a finding that
        blocks, whether something that was printed explains it or not.
        """
        root = self.target.root.path
        if failed and not any(f.blocks for f in found):
            is_plan = name == "plan"
            withhold = is_plan and self.leased
            why = unexplained(result, self.patience.deadline, is_plan=is_plan, withhold=withhold)
            found = (*found, finding(name, root, why))
        found = (*found, *(unreachable(name, root, what) for what in self._refused))
        self._refused.clear()
        return CheckResult(
            name=name,
            subject=str(self.target),
            status=CheckStatus.FAILED if any(f.blocks for f in found) else CheckStatus.PASSED,
            findings=found,
            output=result.text[:20_000] if name == "init" else "",
            seconds=result.seconds,
        )


class _Diagnostics:
    """A sink for `plan -json`: keeps the diagnostics, lets the rest go by, whatever its size."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self._rest = b""

    def __call__(self, chunk: bytes) -> None:
        *lines, rest = (self._rest + chunk).split(b"\n")
        # The end of a line that was too long is no JSON, and passed over.
        self._rest = rest if len(rest) <= 1 << 20 else b""
        for entry in (e for line in lines if b'"diagnostic"' in line for e in json_lines(line)):
            if len(self.found) < 100 and isinstance(entry.get("diagnostic"), dict):
                self.found.append(entry["diagnostic"])
