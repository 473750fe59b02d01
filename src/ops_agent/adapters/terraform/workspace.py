"""One target in a cell of its own: init, validate, plan, in this order."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ops_agent.adapters.terraform import engine as commands
from ops_agent.adapters.terraform.confinement import Cell
from ops_agent.adapters.terraform.diagnostics import finding, from_json, from_text, json_lines, unreachable
from ops_agent.adapters.terraform.egress import Reach
from ops_agent.adapters.terraform.engine import drop, ended_well, text_of, took_plan
from ops_agent.adapters.terraform.mocked_plan import TEST_FILE, look_file, plan_document
from ops_agent.adapters.terraform.processes import Capped, ChildResult, Ending, Patience
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.model.errors import ConfigError, NoSpace, ToolchainError
from ops_agent.model.finding import Finding
from ops_agent.model.ports import PlanFiles
from ops_agent.model.terraform import TerraformRoot, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.plan.reading import MOST_PLAN_BYTES

# A target's own copy of the tree: regular files only, nothing of Terraform's or git's insides.

MOST_FILES, MOST_BYTES = 20_000, 200 << 20
_SHUT_DIRECTORIES = frozenset({".git", ".terraform", "terraform.d", ".terragrunt-cache", "node_modules", ".venv"})
_SHUT_FILES = re.compile(r"(?i)\.terraformrc|terraform\.rc|.*\.tfrc|.*\.tfplan|.*\.tfstate(\..*)?|\.tofurc|tofu\.rc")


def copy_tree(tree: Path, work: Path, only: tuple[str, ...], *, whole: bool = True) -> None:
    """Copy `tree` to `work`, whole; or, when it is larger than a sandbox takes, the paths in `only` (relative
    directories and files).

    Whole, because configurations read files beside their root (policies, zips). Raises ConfigError when `only` is too
    large too.
    """
    files = _listed(tree, (".",)) if whole else None
    if files is None:
        files = _listed(tree, only)
    if files is None:
        raise ConfigError(
            f"The Terraform directories hold more than {MOST_FILES:,} files or {MOST_BYTES >> 20} MB: {', '.join(only)}"
        )
    for relative in files:
        place = work / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree / relative, place, follow_symlinks=False)


def empty(directory: Path) -> None:
    """Remove all that is in `directory`; no link is followed."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def needed(root: TerraformRoot, target: TerraformTarget | None = None) -> tuple[str, ...]:
    """Paths without which a target cannot be planned."""
    files = ()
    if target is not None:
        backend = target.environment.backend_file
        files = (*((backend,) if backend else ()), *target.environment.var_files)
    return (root.path, *root.local_modules, *files)


def snapshot(work: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time (ns) of every file below `work`, to see afterwards what a provider wrote there."""
    return {
        str(path.relative_to(work)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in work.rglob("*")
        if not path.is_dir()
    }


def _listed(tree: Path, starts: tuple[str, ...]) -> list[str] | None:
    """Relative paths of the regular files below `starts`, None when they are more than a sandbox takes."""
    found: dict[str, None] = {}
    size = 0
    for start in starts:
        for path in _regular(tree / start):
            relative = str(path.relative_to(tree))
            if relative not in found:
                found[relative] = None
                size += path.lstat().st_size
            if len(found) > MOST_FILES or size > MOST_BYTES:
                return None
    return list(found)


def _regular(start: Path) -> Iterator[Path]:
    if start.is_file() and not start.is_symlink():
        yield start
        return
    for directory, directories, names in os.walk(start):
        directories[:] = sorted(d for d in directories if d not in _SHUT_DIRECTORIES)
        for name in sorted(names):
            path = Path(directory, name)
            if not _SHUT_FILES.fullmatch(name) and path.is_file() and not path.is_symlink():
                yield path


LOCK_FILE = ".terraform.lock.hcl"
ROOM = 1 << 20
# A mocked plan prints the provider's schemas beside the plan: 14 MB with 5.100.
MOST_MOCKED = 64 << 20
MOST_STATE = 256 << 20
_LOCK_MUST_CHANGE = "Provider dependency changes detected"


@dataclass(slots=True, kw_only=True)
class Workspace:
    """ports.TerraformWorkspace. `variables` join the bare environment of every child; `with_backend` is False for a
    target without a role.

    `modules` names what came from outside; `missing_modules` says what did not, and then init is not even tried.
    `overlay` are the harness's files of the root. `lock` makes the lock file's bytes when the one in the tree lacks an
    allow-listed provider (our code writes it, never the llm).
    """

    sandbox: Sandbox
    cell: Cell
    target: TerraformTarget
    variables: Mapping[str, str]
    backend_files: tuple[Path, ...]
    var_files: tuple[Path, ...]
    with_backend: bool
    patience: Patience
    region: str
    placeholders: tuple[str, ...] = ()
    lock: Callable[[], bytes | None] = lambda: None
    lock_file_update: bytes | None = None
    modules: tuple[str, ...] = ()
    missing_modules: tuple[Finding, ...] = ()
    overlay: Mapping[str, bytes] = field(default_factory=dict)
    reach_with: Callable[[bytes], Reach] | None = None
    """What the plan may reach, given the state; None leaves the cell's reach as it is."""
    _before: dict[str, tuple[int, int]] = field(default_factory=dict)
    _refused: list[str] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        return self.cell.work / self.target.root.path

    def init(self) -> CheckResult:
        """Backend, modules and providers. A lock file is read only; entries for a new allow-listed provider are made by
        our code.
        """
        if self.missing_modules:
            return CheckResult(
                name="init", subject=str(self.target), status=CheckStatus.FAILED, findings=self.missing_modules
            )
        locked = (self.directory / LOCK_FILE).is_file()
        result = self._init(locked)
        if locked and result.returncode == 1 and _LOCK_MUST_CHANGE in text_of(result):
            self.lock_file_update = self.lock()
            if self.lock_file_update is not None:
                (self.directory / LOCK_FILE).write_bytes(self.lock_file_update)
                self.sandbox.hand_over(self.cell)
                result = self._init(True)
        self._before = snapshot(self.cell.work)
        if result.returncode == 0:
            if self.reach_with is not None:
                state = self._run(commands.STATE, sink=Capped(MOST_STATE, 10**9, into=(pulled := bytearray())))
                known = bytes(pulled) if state.returncode == 0 else b""
                self.cell = replace(self.cell, reach=self.reach_with(known))
            return self._check("init", result, ())
        found = from_text("init", self.target.root.path, text_of(result))
        return self._check("init", result, found or (self._unexplained("init", result),))

    def _init(self, locked: bool) -> ChildResult:
        files = self.backend_files if self.with_backend else ()
        return self._run(commands.init(backend_files=files, backend=self.with_backend, lock_read_only=locked))

    def refresh(self, tree: Path) -> None:
        """Whatever a child left in the working directory goes, but for the lock file that init wrote; now nothing there
        is writable.
        """
        lock = self.directory / LOCK_FILE
        locked = lock.read_bytes() if lock.is_file() and not lock.is_symlink() else None
        empty(self.cell.work)
        copy_tree(tree, self.cell.work, needed(self.target.root, self.target))
        self.directory.mkdir(parents=True, exist_ok=True)
        for name, content in {**self.overlay, **({LOCK_FILE: locked} if locked is not None else {})}.items():
            (self.directory / name).write_bytes(content)
        self.sandbox.hand_over(self.cell)
        self._before = snapshot(self.cell.work)

    def validate(self) -> CheckResult:
        result = self._run(commands.VALIDATE)
        answer = next(iter(json_lines(result.stdout.replace(b"\n", b" "))), {})
        diagnostics = answer.get("diagnostics")
        found = from_json("validate", self.target.root.path, diagnostics if isinstance(diagnostics, list) else ())
        if result.returncode != 0 and not any(f.blocks for f in found):
            found = (*found, self._unexplained("validate", result))
        return self._check("validate", result, found)

    def plan(self, *, with_text: bool = True) -> tuple[CheckResult, PlanFiles | None]:
        """The plan and what it shows. A plan file that was written despite errors is deleted: it would look like "no
        changes".
        """
        plan_file = self.cell.out / "plan.tfplan"
        stream = _Diagnostics()
        result = self._run(commands.plan(out=plan_file, var_files=self.var_files), sink=stream)
        found = from_json("plan", self.target.root.path, stream.found)
        written = self._written()
        if result.returncode not in (0, 2) or written or not took_plan(plan_file):
            drop(plan_file)
            if not any(f.blocks for f in (*found, *written)):
                found = (*found, self._unexplained("plan", result))
            return self._check("plan", result, (*found, *written)), None
        try:
            json_path = self._show_json(plan_file)
            text = self._show_text(plan_file) if with_text else ""
        finally:
            drop(plan_file)
        check = self._check("plan", result, found)
        left = PlanFiles(json_path=json_path, text=text, changes_present=result.returncode == 2)
        return check, left if check.status is CheckStatus.PASSED else None

    def mocked_plan(self) -> tuple[CheckResult, bytes | None]:
        """See terraform_mocks. Our file joins the copy, never the change set."""
        root = self.target.root
        directories = (self.directory, *(self.cell.work / path for path in root.local_modules))
        text = look_file(
            directories, self.directory, account=self.target.environment.account or "000000000000", region=self.region
        )
        (self.directory / TEST_FILE).write_text(text)
        self.sandbox.hand_over(self.cell)
        made = bytearray()
        result = self._run(commands.mocked_test(TEST_FILE, self.var_files), sink=Capped(MOST_MOCKED, into=made))
        lines = json_lines(bytes(made))
        document = plan_document(lines) if result.returncode == 0 else None
        check = self._check("mocked plan", result, ())
        if document is None and check.status is CheckStatus.PASSED:
            found = from_json("plan", root.path, (line.get("diagnostic") for line in lines))
            why = "; ".join(f.what for f in found[:3]) or f"terraform test ended with exit code {result.returncode}"
            check = replace(
                check, status=CheckStatus.NOT_RUN, output=f"With mocked providers this could not be evaluated: {why}"
            )
        return replace(check, seconds=result.seconds), document

    def _show_json(self, plan_file: Path) -> Path:
        """Stream `show -json` into a private file (0600), never in memory."""
        path, left = self.cell.kept / "plan.json", MOST_PLAN_BYTES
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR), "wb") as out:

            def sink(chunk: bytes) -> None:
                nonlocal left
                left -= len(chunk)
                if left < 0:
                    raise ToolchainError(
                        f"The plan of {self.target} has more than {MOST_PLAN_BYTES / 1e6:.0f} MB of JSON"
                    )
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
        if shutil.disk_usage(self.cell.out).free < ROOM:
            raise NoSpace(f"No space left on the runner's disk for the plan of {self.target}")
        last = " ".join(text_of(result).split())[-300:]
        raise ToolchainError(
            f"`terraform show` of the plan of {self.target} failed with exit code {result.returncode}: {last}"
        )

    def _run(self, command: commands.TerraformCommand, sink: Callable[[bytes], None] | None = None) -> ChildResult:
        result = self.sandbox.run(
            self.cell, command, self.variables, cwd=self.directory, patience=self.patience, sink=sink
        )
        self._refused += [f"`terraform {command.argv[0]}` tried to reach {place}: refused." for place in result.refused]
        return ended_well(result, f"terraform {command.argv[0]} for {self.target}")

    def _written(self) -> tuple[Finding, ...]:
        """Files that a provider made or changed in the copy: never part of the change set, but no provider of ours does
        that.
        """
        after = snapshot(self.cell.work)
        changed = sorted(
            path for path in after.keys() | self._before.keys() if after.get(path) != self._before.get(path)
        )
        return tuple(
            finding("plan", "", "The plan wrote to the working directory. The file is not taken over.", file=path)
            for path in changed[:10]
        )

    def _unexplained(self, check: str, result: ChildResult) -> Finding:
        """For a failing exit code that no diagnostic explains."""
        last = [line.strip() for line in text_of(result).splitlines() if line.strip()][-5:]
        code = f"exit code {result.returncode}" + (
            " but left no plan" if check == "plan" and result.returncode in (0, 2) else ""
        )
        what = f"It ended with {code}" + (f": {' '.join(last)}" if last else " and said nothing.")
        if result.ending is Ending.STOPPED:
            what = "It was stopped, because nothing that comes of it could be used."
        if result.ending is Ending.DEADLINE:
            what = f"It did not end within {self.patience.deadline:.0f} s and was stopped."
        return finding(check, self.target.root.path, what[:2_000])

    def _check(self, name: str, result: ChildResult, found: tuple[Finding, ...]) -> CheckResult:
        found = (*found, *(unreachable(name, self.target.root.path, what) for what in dict.fromkeys(self._refused)))
        self._refused.clear()
        status = CheckStatus.FAILED if any(f.blocks for f in found) else CheckStatus.PASSED
        output = "" if name == "validate" else text_of(result)[:20_000]
        return CheckResult(
            name=name, subject=str(self.target), status=status, findings=found, output=output, seconds=result.seconds
        )


class _Diagnostics:
    """A sink for `plan -json`: keeps the diagnostics, lets the rest go by, whatever its size."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self._rest = bytearray()
        self._skip = False

    def __call__(self, chunk: bytes) -> None:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._rest += line
            if not self._skip and len(self.found) < 100 and b'"diagnostic"' in self._rest:
                self.found += [
                    entry["diagnostic"]
                    for entry in json_lines(bytes(self._rest))
                    if isinstance(entry.get("diagnostic"), dict)
                ]
            self._rest.clear()
            self._skip = False
        if len(self._rest) + len(rest) > 1 << 20:
            self._skip = True
            self._rest.clear()
        elif not self._skip:
            self._rest += rest
