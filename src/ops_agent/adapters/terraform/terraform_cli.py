"""ports.Terraform: terraform, tofu or the embedded engine, in the sandbox."""

from __future__ import annotations

import atexit
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ops_agent.adapters.network import DIRECT, Network
from ops_agent.adapters.terraform import commands
from ops_agent.adapters.terraform.cells import Cell, copy_tree
from ops_agent.adapters.terraform.cli_config import Method
from ops_agent.adapters.terraform.confinement import memory_left
from ops_agent.adapters.terraform.diagnostics import finding, from_fmt, from_text
from ops_agent.adapters.terraform.engine import (
    Program,
    all_programs,
    ended_well,
    find_program,
    open_directories,
    read_engine,
)
from ops_agent.adapters.terraform.module_fetch import ModuleAccess, RemoteModules
from ops_agent.adapters.terraform.offline_plan import Seen, base_sides, described, plan_offline
from ops_agent.adapters.terraform.placeholders import placeholders
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.providers import Providers, locked_configuration
from ops_agent.adapters.terraform.reach import Buckets, Reach, reach
from ops_agent.adapters.terraform.sandbox import Sandbox, prove
from ops_agent.adapters.terraform.workspace import Workspace
from ops_agent.model.errors import ToolchainError
from ops_agent.model.plan import OfflinePlan, OfflineSide
from ops_agent.model.policy import Policy
from ops_agent.model.ports import CredentialLease, TerraformWorkspace
from ops_agent.model.terraform import DescribedType, EngineWish, FetchedModules, TerraformRoot, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.plan.sides import Side
from ops_agent.terraform.buckets import named_buckets, needs_path_style, state_buckets
from ops_agent.terraform.modules import LOCK_FILE
from ops_agent.terraform.versions import is_as_pinned, unmet

# Terraform and one AWS provider while they plan: 164 MB with 3.39, about 700 MB with 5.100.
PLAN_BYTES = 768 << 20
_BACKEND = re.compile(r'\bbackend\s+"s3"\s*\{[^{}]*')
_T = TypeVar("_T")


class TerraformCli:
    """All Terraform of one run. Cheap to build; the sandbox is made at the first command. Close it, or use it as a
    context manager.

    `mirror`: a provider mirror's directory, or empty: the runner's own methods of `installation`, else the registries;
    allow-listed providers only. `closed`: directories that
    no program may come from (the workspace). `overlay`: files that an emulator's harness adds to every root module;
    `backend_settings`: one more backend file of the harness; `extra_variables`: further variables for its children.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        binary: str = "auto",
        mirror: str = "",
        path_variable: str = "/usr/local/bin:/usr/bin:/bin",
        closed: Iterable[Path] = (),
        patience: Patience | None = None,
        overlay: Mapping[str, bytes] | None = None,
        backend_settings: bytes = b"",
        extra_variables: Mapping[str, str] | None = None,
        modules: ModuleAccess | None = None,
        kept: Callable[[], Iterable[Path]] = tuple,
        network: Network = DIRECT,
        installation: Callable[[], tuple[Method, ...] | None] = lambda: None,
    ) -> None:
        self._policy, self._binary, self._mirror = policy, binary, mirror
        self._kept, self._network, self._installation = kept, network, installation
        self._program: Program | None = None
        self._chosen_for: tuple[EngineWish, ...] | None = None
        self._path_variable, self._closed = path_variable, tuple(closed)
        self._patience = patience or Patience()
        self._overlay, self._backend_settings = dict(overlay or {}), backend_settings
        self._extra, self._access = dict(extra_variables or {}), modules or ModuleAccess()
        self._lock, self._made = threading.RLock(), dict[str, Any]()
        self._fetched = set[tuple[Path, str, tuple[str, ...] | None]]()

    def _once(self, name: str, make: Callable[[], _T]) -> _T:
        """What `make` gives, made once whichever thread asks first."""
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            made: _T = self._made[name]
            return made

    @property
    def _sandbox(self) -> Sandbox:
        def make() -> Sandbox:
            atexit.register(self.close)
            program = self._program or find_program(self._binary, self._path_variable, self._closed)
            return Sandbox(program, self._network)

        return self._once("sandbox", make)

    @property
    def _providers(self) -> Providers:
        def make() -> Providers:
            methods = None if self._mirror else self._installation()
            tokens = self._access.credentials.registry_tokens()
            made = Providers(self._mirror, self._policy.allowed_providers, self._sandbox.root, methods, tokens)
            self._sandbox.share(made.shared, *made.mirrors)
            return made

        return self._once("providers", make)

    @property
    def _modules(self) -> RemoteModules:
        path = os.pathsep.join(map(str, open_directories(self._path_variable, self._closed)))
        return self._once("modules", lambda: RemoteModules(self._sandbox, self._access, path))

    def engine(self) -> str:
        def ask() -> str:
            with self._cell() as cell:
                patience = Patience(deadline=60)
                answer = self._sandbox.run(cell, commands.VERSION, self._variables(None), patience=patience)
            return read_engine(self._sandbox.program, answer)

        return self._once("engine", ask)

    def choose_engine(self, wishes: Sequence[EngineWish]) -> None:
        def rank(engine: str) -> tuple[int, int]:
            name, version, *_ = [*engine.split(), "", ""]
            kind = "tofu" if name == "OpenTofu" else "terraform"
            met = [wish for wish in wishes if engine and unmet(wish, kind, version) is None]
            return len(met), sum(is_as_pinned(wish, kind, version) for wish in met)

        with self._lock:
            if self._chosen_for == tuple(wishes):
                return
            self._chosen_for = tuple(wishes)
            best, taken = (-1, -1), None
            for program, version in all_programs(self._binary, self._path_variable, self._kept(), self._closed):
                named = f"{'OpenTofu' if program.kind == 'tofu' else 'Terraform'} {version}" if version else ""
                if named and rank(named) <= best:
                    continue
                self._use(program)
                with suppress(ToolchainError):
                    if rank(self.engine()) > best:
                        best, taken = rank(self.engine()), program
                if best == (len(wishes), len(wishes)):
                    break
            if taken is not self._program:
                self._use(taken)

    def _use(self, program: Program | None) -> None:
        """Begin anew with another program, unless it is this one."""
        sandbox: Sandbox | None = self._made.get("sandbox")
        if program is None or program != (sandbox.program if sandbox else self._program):
            self.close()
            self._made.clear()
            self._fetched.clear()
        self._program = program

    def self_test(self) -> str:
        """Once per process. Raises ToolchainError."""
        self.engine()
        self._once("proof", lambda: prove(self._sandbox, self._variables(None)))
        return str(self._sandbox.confinement)

    def warm_up(self) -> None:
        def test() -> None:
            with suppress(Exception):  # who needs the engine tries again, and is told
                self.self_test()

        threading.Thread(target=test, name="engine", daemon=True).start()

    def parallel(self) -> int:
        return max(1, min(len(os.sched_getaffinity(0)), memory_left() // PLAN_BYTES))

    def cancel(self) -> None:
        """Kill every running child at once. Safe from any thread and from a signal handler's exception."""
        if (sandbox := self._made.get("sandbox")) is not None:
            sandbox.children.cancel()

    def close(self) -> None:
        atexit.unregister(self.close)
        if (sandbox := self._made.get("sandbox")) is not None:
            sandbox.close()

    def __enter__(self) -> TerraformCli:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fmt(self, tree: Path, root: TerraformRoot) -> CheckResult:
        """`fmt -check` over the root, its modules and its environments' files; a finding per file (exit code 3) or
        syntax error (2).
        """
        with self._cell() as cell:
            copy_tree(tree, cell.work, root, root.environments, whole=False)
            self._sandbox.hand_over(cell)
            result = self._sandbox.run(cell, commands.FMT, self._variables(None), patience=self._patience)
        ended_well(result, f"terraform fmt for {root.path}")
        output, words = (stream.decode(errors="replace") for stream in (result.stdout, result.stderr))
        found = from_fmt(output)
        if result.returncode not in (0, 3):
            unread = from_text("fmt", "", words)
            found = (*found, *unread) or (finding("fmt", root.path, words.strip() or "terraform fmt failed"),)
        status = CheckStatus.PASSED if result.returncode == 0 else CheckStatus.FAILED
        return CheckResult(
            name="fmt", subject=root.path, status=status, findings=found, output=output[:20_000], seconds=result.seconds
        )

    def formatted(self, tree: Path, root: TerraformRoot) -> dict[str, bytes]:
        with self._cell() as cell:
            copy_tree(tree, cell.work, root, root.environments, whole=False)
            self._sandbox.give(cell)
            result = self._sandbox.run(cell, commands.FORMAT, self._variables(None), patience=self._patience)
            ended_well(result, f"terraform fmt for {root.path}")
            # It prints the files that it changed. What it cannot read it leaves alone; `fmt` reports that.
            names = result.stdout.decode(errors="replace").splitlines()
            places = {name: cell.work / name for name in names if ".." not in name.split("/")}
            return {
                name: place.read_bytes() for name, place in places.items() if place.is_file() and not place.is_symlink()
            }

    def fetch_modules(self, root: TerraformRoot, files: Mapping[str, bytes]) -> CheckResult:
        return self._modules.fetch(root, files)

    def fetched_modules(self, root: TerraformRoot) -> FetchedModules:
        return self._modules.read(root)

    @contextmanager
    def workspace(
        self,
        tree: Path,
        target: TerraformTarget,
        lease: CredentialLease | None,
        *,
        providers: tuple[str, ...] | None = None,
        buckets: frozenset[str] | None = frozenset(),
    ) -> Iterator[Workspace]:
        """A copy of the tree with its own data directory; gone, with every plan file, when the context closes."""
        with self._cell() as made:
            directory = self._fill(made, tree, target)
            missing_modules = self._modules.give(made, target.root)
            backend_files = [made.work / target.environment.backend_file] if target.environment.backend_file else []
            if self._backend_settings:
                backend_files.append(made.work / "ops-agent-emulator.tfbackend")
                backend_files[-1].write_bytes(self._backend_settings)
            var_files = tuple(made.work / path for path in target.environment.var_files)
            reach_with = self._reach_with(lease, buckets, backend_files, directory.glob("*.tf"))
            cell = replace(made, reach=reach_with(b""))
            if not missing_modules:
                self._fetch_providers(tree, target, providers)
            self._providers.complete(directory / LOCK_FILE)
            missing = placeholders(directory, var_files)
            # Without a lock file init writes one, so the root's directory (not its files) must be writable.
            self._sandbox.hand_over(cell, () if (directory / LOCK_FILE).is_file() else (directory,))
            given = {f"TF_VAR_{name}": value for name, value in missing.items()}
            yield Workspace(
                sandbox=self._sandbox,
                cell=cell,
                target=target,
                variables={**self._variables(lease, providers), **given},
                backend_files=tuple(backend_files) if target.root.has_backend else (),
                var_files=var_files,
                leased=lease is not None,
                patience=self._patience,
                region=self._policy.region,
                placeholders=tuple(sorted(missing)),
                lock=lambda: self._completed_lock_file(tree, target, providers),
                modules=self._modules.names(target.root),
                missing_modules=missing_modules,
                fill=lambda tree: self._fill(cell, tree, target),
                reach_with=reach_with if lease is not None and buckets is not None else None,
            )

    def offline_bases(self, workspaces: Sequence[TerraformWorkspace]) -> list[OfflineSide | str]:
        own = [one for one in workspaces if isinstance(one, Workspace)]
        return [*base_sides(own, self._seen(own))]

    def plan_offline(
        self, workspaces: Sequence[TerraformWorkspace], bases: Sequence[OfflineSide | str | None]
    ) -> list[tuple[CheckResult, OfflinePlan | None]]:
        own = [one for one in workspaces if isinstance(one, Workspace)]
        sides = [base if isinstance(base, Side | str) else Side() for base in bases]
        return plan_offline(own, sides, self._seen(own))

    def describe(self, workspace: TerraformWorkspace, type_: str, *, data: bool) -> DescribedType | tuple[str, ...]:
        (own,) = [one for one in (workspace,) if isinstance(one, Workspace)]
        return described(own, self._seen([own]), type_, data=data)

    def _seen(self, workspaces: Sequence[Workspace]) -> Seen:
        return self._once(f"seen {workspaces[0].target.root.path}", Seen)

    def _fill(self, cell: Cell, tree: Path, target: TerraformTarget) -> Path:
        """Copy the tree and the harness's files to the cell; returns the root's directory."""
        copy_tree(tree, cell.work, target.root, (target.environment,))
        directory = cell.work / target.root.path
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in self._overlay.items():
            (directory / name).write_bytes(content)
        return directory

    def _fetch_providers(self, tree: Path, target: TerraformTarget, providers: tuple[str, ...] | None) -> None:
        """Before the first of a root's targets: fetch its providers, unless a mirror has them unpacked. The real init
        reports a failure.
        """
        with self._lock:
            if not self._providers.are_unpacked and (tree, target.root.path, providers) not in self._fetched:
                self._fetch_with_tokens(tree / target.root.path / LOCK_FILE, providers)
                with self._installed(tree, target, providers) as cell:
                    if cell is not None:
                        lock = cell.work / target.root.path / LOCK_FILE
                        self._providers.take(cell.data / "providers", lock)
                self._fetched.add((tree, target.root.path, providers))

    def _fetch_with_tokens(self, lock_file: Path, providers: tuple[str, ...] | None) -> None:
        """Providers of hosts that were given a token, in the locked versions. Terraform gets the tokens for a root that
        our own code writes, and starts nothing; no cell that runs anybody else's files has them.
        """
        entries = self._providers.behind_tokens(lock_file, providers)
        if not entries:
            return
        with self._cell() as cell:
            own, lock = cell.work / "main.tf", cell.work / LOCK_FILE
            for place, text in zip((own, lock), locked_configuration(entries), strict=True):
                place.write_text(text, encoding="utf-8")
            self._sandbox.hand_over(cell)
            credentials = self._access.credentials
            variables = credentials.variables(credentials.registry_tokens())
            settings = self._providers.settings(providers, anew=True, with_tokens=True)
            made = self._sandbox.run_unconfined(
                cell,
                commands.init(lock_read_only=True),
                variables | {"TF_CLI_CONFIG_FILE": str(settings)},
                patience=self._patience,
                cwd=cell.work,
                in_vain=lambda: False,
            )
            if made.returncode == 0:
                self._providers.take(cell.data / "providers", lock)

    def _completed_lock_file(
        self, tree: Path, target: TerraformTarget, providers: tuple[str, ...] | None
    ) -> bytes | None:
        """The lock file with entries for providers that it lacks, made in a copy; None when no source serves them."""
        with self._installed(tree, target, providers, completes_lock=True) as cell:
            lock = cell.work / target.root.path / LOCK_FILE if cell is not None else None
            return lock.read_bytes() if lock is not None and lock.is_file() and not lock.is_symlink() else None

    @contextmanager
    def _installed(
        self,
        tree: Path,
        target: TerraformTarget,
        providers: tuple[str, ...] | None,
        *,
        completes_lock: bool = False,
    ) -> Iterator[Cell | None]:
        """A cell after an `init` without a backend; None when it failed."""
        with self._cell() as cell:
            directory = self._fill(cell, tree, target)
            self._modules.give(cell, target.root)
            lock = directory / LOCK_FILE
            read_only = lock.is_file() and not completes_lock
            writable = () if read_only else (directory, lock) if lock.is_file() else (directory,)
            anew = self._providers.complete(lock)
            self._sandbox.hand_over(cell, writable)
            command, variables = commands.init(lock_read_only=read_only), self._variables(None, providers, anew=anew)
            made = self._sandbox.run(cell, command, variables, cwd=directory, patience=self._patience)
            yield cell if made.returncode == 0 else None

    def _reach_with(
        self,
        lease: CredentialLease | None,
        known: frozenset[str] | None,
        backend_files: Iterable[Path],
        configuration: Iterable[Path],
    ) -> Callable[[bytes], Reach]:
        """What a target's children may reach, given its state: of the region's buckets those that are `known`, those of
        its backend and of its state; all when `known` is None.
        """
        leased = lease.variables.values() if lease else None
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in backend_files if path.is_file()]
        for path in configuration:
            texts += _BACKEND.findall(path.read_text(encoding="utf-8", errors="replace"))
        own = (known or frozenset()) | named_buckets(texts) | frozenset(self._policy.allowed_buckets)

        def with_state(state: bytes) -> Reach:
            names = own | state_buckets(state)
            buckets = None if known is None else Buckets(names, needs_path_style(names, texts))
            return self._reach(leased, buckets)

        return with_state

    def _reach(self, leased: Iterable[str] | None = None, buckets: Buckets | None = None) -> Reach:
        files = (*self._overlay.values(), self._backend_settings)
        harness = (*(content.decode(errors="replace") for content in files), *self._extra.values())
        providers = self._providers
        return reach(
            self._policy,
            lease=leased,
            harness=(*harness, *(f"https://{place}" for place in providers.network_mirrors)),
            registries=providers.asks_registries,
            mirrors=providers.network_mirrors,
            buckets=buckets,
        )

    def _cell(self) -> AbstractContextManager[Cell]:
        return self._sandbox.cell(self._reach())

    def _variables(
        self, lease: CredentialLease | None, providers: tuple[str, ...] | None = None, *, anew: bool = False
    ) -> dict[str, str]:
        common = {
            "TF_CLI_CONFIG_FILE": str(self._providers.settings(providers, anew=anew)),
            **dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), self._policy.region),
        }
        return {**common, **self._extra, **(lease.variables if lease else {})}
