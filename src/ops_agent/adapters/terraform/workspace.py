"""One target in a cell of its own: init, validate, plan, in this order."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ops_agent.adapters.terraform import commands
from ops_agent.adapters.terraform.cells import Cell
from ops_agent.adapters.terraform.copies import copy_tree, empty, needed, snapshot
from ops_agent.adapters.terraform.diagnostics import finding, from_json, from_text, json_lines, unreachable
from ops_agent.adapters.terraform.engine import ended_well, unexplained
from ops_agent.adapters.terraform.mocked_plan import MOCKS_FILE, mocks_file, plan_document
from ops_agent.adapters.terraform.processes import Capped, ChildResult, Patience
from ops_agent.adapters.terraform.reach import Reach
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.model.errors import NoSpace, ToolchainError
from ops_agent.model.finding import Finding
from ops_agent.model.ports import PlanFiles
from ops_agent.model.terraform import TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.plan.reading import MOST_PLAN_BYTES

LOCK_FILE = ".terraform.lock.hcl"
_LEAST_ROOM = 1 << 20
# A mocked plan prints the provider's schemas beside the plan: 14 MB with 5.100.
_MOST_MOCKED = 64 << 20
_MOST_STATE = 256 << 20
_LOCK_MUST_CHANGE = "Provider dependency changes detected"


@dataclass(slots=True, kw_only=True)
class Workspace:
    """ports.TerraformWorkspace. `variables` join the bare environment of every child. `leased`: they give credentials,
    so there is a backend, and what `plan` reports may hold values of the state.

    `modules` names what came from outside; `missing_modules` says what did not, and then init is not even tried.
    `overlay` are the harness's files of the root. `lock` makes the lock file's bytes when the one in the tree lacks an
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
    placeholders: tuple[str, ...] = ()
    lock: Callable[[], bytes | None] = lambda: None
    lock_file_update: bytes | None = None
    modules: tuple[str, ...] = ()
    missing_modules: tuple[Finding, ...] = ()
    overlay: Mapping[str, bytes] = field(default_factory=dict)
    reach_with: Callable[[bytes], Reach] | None = None
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
        if result.returncode != 0:
            return self._failed("init", result, from_text("init", self.target.root.path, result.text))
        if self.reach_with is not None:
            pulled = Capped(_MOST_STATE, 10**9)
            state = self._run(commands.STATE, sink=pulled)
            known = bytes(pulled.kept) if state.returncode == 0 else b""
            self.cell = replace(self.cell, reach=self.reach_with(known))
        return self._check("init", result)

    def refresh(self, tree: Path) -> None:
        """Whatever a child left in the working directory goes, but for the lock file that init wrote; now nothing there
        is writable.
        """
        lock = self.directory / LOCK_FILE
        kept = {LOCK_FILE: lock.read_bytes()} if lock.is_file() and not lock.is_symlink() else {}
        empty(self.cell.work)
        copy_tree(tree, self.cell.work, needed(self.target.root, self.target))
        self.directory.mkdir(parents=True, exist_ok=True)
        for name, content in {**self.overlay, **kept}.items():
            (self.directory / name).write_bytes(content)
        self.sandbox.hand_over(self.cell)
        self._before = snapshot(self.cell.work)

    def validate(self) -> CheckResult:
        result = self._run(commands.VALIDATE)
        answer = next(iter(json_lines(result.stdout.replace(b"\n", b" "))), {})
        diagnostics = answer.get("diagnostics")
        found = from_json("validate", self.target.root.path, diagnostics if isinstance(diagnostics, list) else ())
        return (
            self._check("validate", result, found)
            if result.returncode == 0
            else self._failed("validate", result, found)
        )

    def plan(self, *, with_text: bool = True) -> tuple[CheckResult, PlanFiles | None]:
        """The plan and what it shows. A plan file that was written despite errors is deleted: it would look like "no
        changes".
        """
        plan_file, stream = self.cell.out / "plan.tfplan", _Diagnostics()
        try:
            result = self._run(commands.plan(out=plan_file, var_files=self.var_files), sink=stream)
            found = from_json("plan", self.target.root.path, stream.found, withhold=self.leased)
            written = self._written()
            if result.returncode not in (0, 2) or written or not _took(plan_file):
                return self._failed("plan", result, (*found, *written)), None
            json_path = self._show_json(plan_file)
            text = self._show_text(plan_file) if with_text else ""
        finally:
            _drop(plan_file)
        check = self._check("plan", result, found)
        left = PlanFiles(json_path=json_path, text=text, changes_present=result.returncode == 2)
        return check, left if check.status is CheckStatus.PASSED else None

    def mocked_plan(self) -> tuple[CheckResult, bytes | None]:
        """See mocked_plan.py. Our file joins the copy, never the change set."""
        root = self.target.root
        directories = (self.directory, *(self.cell.work / path for path in root.local_modules))
        account = self.target.environment.account or "000000000000"
        (self.directory / MOCKS_FILE).write_text(
            mocks_file(directories, self.directory, account=account, region=self.region)
        )
        self.sandbox.hand_over(self.cell)
        made = Capped(_MOST_MOCKED)
        result = self._run(commands.mocked_test(MOCKS_FILE, self.var_files), sink=made)
        lines = json_lines(bytes(made.kept))
        document = plan_document(lines) if result.returncode == 0 else None
        check = self._check("mocked plan", result)
        if document is None and check.status is CheckStatus.PASSED:
            found = from_json("plan", root.path, (line.get("diagnostic") for line in lines))
            why = "; ".join(f.what for f in found[:3]) or f"terraform test ended with exit code {result.returncode}"
            output = f"With mocked providers this could not be evaluated: {why}"
            check = replace(check, status=CheckStatus.NOT_RUN, output=output)
        return check, document

    def _init(self, locked: bool) -> ChildResult:
        files = self.backend_files if self.leased else ()
        return self._run(commands.init(backend_files=files, backend=self.leased, lock_read_only=locked))

    def _show_json(self, plan_file: Path) -> Path:
        """Stream `show -json` into a private file (0600), never in memory."""
        path, left = self.cell.kept / "plan.json", MOST_PLAN_BYTES
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR), "wb") as out:

            def sink(chunk: bytes) -> None:
                nonlocal left
                left -= len(chunk)
                if left < 0:
                    most = f"{MOST_PLAN_BYTES / 1e6:.0f} MB"
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

    def _run(self, command: commands.TerraformCommand, sink: Callable[[bytes], None] | None = None) -> ChildResult:
        result = self.sandbox.run(
            self.cell, command, self.variables, cwd=self.directory, patience=self.patience, sink=sink
        )
        name = command.argv[0]
        self._refused |= dict.fromkeys(f"`terraform {name}` tried to reach {p}: refused." for p in result.refused)
        return ended_well(result, f"terraform {name} for {self.target}")

    def _written(self) -> tuple[Finding, ...]:
        """Files that a provider made or changed in the copy: never part of the change set, but no provider of ours does
        that.
        """
        after = snapshot(self.cell.work)
        changed = sorted({path for path, _ in after.items() ^ self._before.items()})
        what = "The plan wrote to the working directory. The file is not taken over."
        return tuple(finding("plan", "", what, file=path) for path in changed[:10])

    def _failed(self, name: str, result: ChildResult, found: tuple[Finding, ...]) -> CheckResult:
        """A check that did not pass, whether something that was printed explains it or not."""
        if not any(f.blocks for f in found):
            is_plan = name == "plan"
            withhold = is_plan and self.leased
            why = unexplained(result, self.patience.deadline, is_plan=is_plan, withhold=withhold)
            found = (*found, finding(name, self.target.root.path, why))
        return self._check(name, result, found)

    def _check(self, name: str, result: ChildResult, found: tuple[Finding, ...] = ()) -> CheckResult:
        found = (*found, *(unreachable(name, self.target.root.path, what) for what in self._refused))
        self._refused.clear()
        return CheckResult(
            name=name,
            subject=str(self.target),
            status=CheckStatus.FAILED if any(f.blocks for f in found) else CheckStatus.PASSED,
            findings=found,
            output=result.text[:20_000] if name == "init" else "",
            seconds=result.seconds,
        )


def _took(plan_file: Path) -> bool:
    """Make the plan file that a child left ours alone to read. False when there is none: nothing, a link, a directory."""
    try:
        if not stat.S_ISREG(plan_file.lstat().st_mode):
            return False
        plan_file.chmod(0o600)
    except FileNotFoundError:
        return False
    return True


def _drop(plan_file: Path) -> None:
    """Remove whatever is at the plan file's path."""
    if plan_file.is_dir() and not plan_file.is_symlink():
        shutil.rmtree(plan_file, ignore_errors=True)
    else:
        plan_file.unlink(missing_ok=True)


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
