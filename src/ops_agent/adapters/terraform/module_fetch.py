"""Modules from outside the repository: fetched once for each root, as its base commit calls them, and given to every
cell that the root is run in.

The fetch is Terraform's own `get`, outside the confinement, over files that people merged. Nothing of the llm's takes
part, and no provider is started or installed for it.
"""

from __future__ import annotations

import os
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ops_agent.adapters.terraform.cells import Cell
from ops_agent.adapters.terraform.commands import GET
from ops_agent.adapters.terraform.engine import ended_well, unexplained
from ops_agent.adapters.terraform.module_failures import CHECK, PLAIN_HTTP, VENDOR, at_call, failures, may_pass, refusal
from ops_agent.adapters.terraform.module_hosts import TRIES, ModuleCredentials, Registry, find_registries
from ops_agent.adapters.terraform.module_store import Kept, NotKept, install, keep, read_fetched, records_for, size_of
from ops_agent.adapters.terraform.processes import Ending, Patience
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.model.finding import Finding
from ops_agent.model.terraform import FetchedModules, TerraformRoot
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.terraform.module_sources import ModuleCall, SourceKind, module_calls, read_module_source, shown_source
from ops_agent.terraform.modules import is_configuration

# Clones hold their history until they are copied without it.
MOST_RAW = 1 << 30
_LOOK_EVERY, _MOST_LINES = 1.0, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleAccess:
    """How module hosts are reached. `variables` are the harness's (an emulated host's certificate); empty in every real
    run.
    """

    credentials: ModuleCredentials = field(default_factory=ModuleCredentials)
    variables: Mapping[str, str] = field(default_factory=dict)
    sleep: Callable[[float], None] = time.sleep
    say: Callable[[str], None] = lambda _: None
    patience: Patience = field(default_factory=lambda: Patience(deadline=180, grace=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fetched:
    """What a fetch gave. `calls` are the base's remote calls; `kept` is None when something failed, and `check` says
    what; `lines` name what came.
    """

    calls: tuple[ModuleCall, ...]
    check: CheckResult
    kept: Kept | None
    lines: tuple[str, ...]


class RemoteModules:
    """The modules of one run, by root. Safe from several threads. `path_variable` is where git is looked for."""

    def __init__(self, sandbox: Sandbox, access: ModuleAccess, path_variable: str) -> None:
        self._sandbox, self._access, self._path_variable = sandbox, access, path_variable
        self._lock = threading.Lock()
        self._fetched: dict[str, _Fetched] = {}

    def fetch(self, root: TerraformRoot, files: Mapping[str, bytes]) -> CheckResult:
        """Fetch for `root` once; later calls return the same result. `files` are the configuration files of the root
        and its local modules on the base commit, by path.

        What goes wrong is a failed check. Raises ToolchainError, NoSpace, Cancelled.
        """
        with self._lock:
            if root.path not in self._fetched:
                self._fetched[root.path] = self._fetch(root, files)
            return self._fetched[root.path].check

    def read(self, root: TerraformRoot) -> FetchedModules:
        """The Terraform of what came for `root`, to be judged; nothing when nothing came."""
        fetched = self._fetched.get(root.path)
        if fetched is None or fetched.kept is None:
            return FetchedModules()
        return read_fetched(root.path, fetched.calls, fetched.kept)

    def names(self, root: TerraformRoot) -> tuple[str, ...]:
        """A line for each module that came, with its version or commit."""
        fetched = self._fetched.get(root.path)
        return fetched.lines if fetched is not None else ()

    def give(self, cell: Cell, root: TerraformRoot) -> tuple[Finding, ...]:
        """Lay what the tree in `cell.work` calls and the base had into the cell's data directory; or why it is not
        there.

        A call that the base has not, with this source and version, gets nothing: its `init` fails with a finding of its
        own.
        """
        fetched = self._fetched.get(root.path)
        if fetched is None:
            return ()
        found = (Path(directory, name) for directory, _, names in os.walk(cell.work) for name in names)
        paths = [str(path.relative_to(cell.work)) for path in found if is_configuration(path.name)]
        calls = module_calls(root, paths, lambda path: (cell.work / path).read_bytes())
        if fetched.kept is None:
            wanted = {(call.source, call.version) for call in calls}
            gone = {(c.path, c.line) for c in fetched.calls if (c.source, c.version) not in wanted}
            return tuple(f for f in fetched.check.findings if (f.place.path, f.place.line) not in gone)
        install(cell, root.path, calls, records_for(calls, fetched.calls, fetched.kept), fetched.kept)
        return ()

    def _fetch(self, root: TerraformRoot, files: Mapping[str, bytes]) -> _Fetched:
        begun = time.monotonic()
        calls = tuple(call for call in module_calls(root, files, files.__getitem__) if call.is_remote)
        kept, problems = None, tuple(self._refusals(root, calls))
        if not problems:
            with self._sandbox.cell() as cell:
                for path, content in files.items():
                    copy = cell.work / path
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_bytes(content)
                self._sandbox.hand_over(cell)
                problems = self._get(cell, root, calls)
                if not problems:
                    kept, problems = self._keep(cell, root, calls)
        lines = tuple(_described(calls, kept)) if kept is not None else ()
        dropped = ", ".join(kept.dropped[:20]) if kept is not None else ""
        shown = [*lines, f"Left out, because they lead out of their module: {dropped}"] if dropped else lines
        check = CheckResult(
            name=CHECK,
            subject=root.path,
            status=CheckStatus.FAILED if problems else CheckStatus.PASSED,
            findings=problems,
            output="\n".join(shown)[:20_000],
            seconds=time.monotonic() - begun,
        )
        return _Fetched(calls=calls, check=check, kept=kept, lines=lines)

    def _refusals(self, root: TerraformRoot, calls: Sequence[ModuleCall]) -> Iterator[Finding]:
        """Calls that are not even tried. A registry is asked only when no call is refused for its source."""
        found = [refused for call in calls if (refused := refusal(root.path, call, self._access.credentials))]
        yield from found
        for call in calls if not found else ():
            source = read_module_source(call.source or "")
            if source.kind is SourceKind.REGISTRY and (
                problem := self._registries.get(source.host, Registry()).problem
            ):
                remedy = (
                    "Start the run again; or, if that other host is meant to have the token, give it an entry in "
                    "`module_credentials` too."
                )
                yield at_call(root.path, call, f"the token of `{source.host}` stays here, because {problem}", remedy)

    @cached_property
    def _registries(self) -> Mapping[str, Registry]:
        authority = self._access.variables.get("SSL_CERT_FILE", "")
        tokens = self._access.credentials.registry_tokens()
        return find_registries(tokens, authority=authority, sleep=self._access.sleep)

    def _get(self, cell: Cell, root: TerraformRoot, calls: Sequence[ModuleCall]) -> tuple[Finding, ...]:
        """Run `get`, again when no host gave an answer; returns the findings of the last try."""
        for attempt in range(1, TRIES + 1):
            problems = self._try(cell, root, calls)
            if not problems or attempt == TRIES or not may_pass(problems):
                break
            wait = 2.0**attempt
            why = textwrap.shorten(problems[0].what, 240, placeholder="…")
            tried = f"try {attempt} of at most {TRIES}, the next one in {wait:g} s"
            self._access.say(f"modules of {root.path}: {why}; {tried}")
            self._access.sleep(wait)
        return problems

    def _try(self, cell: Cell, root: TerraformRoot, calls: Sequence[ModuleCall]) -> tuple[Finding, ...]:
        patience, looked = self._access.patience, 0.0

        def is_too_large() -> bool:
            nonlocal looked
            if time.monotonic() - looked < _LOOK_EVERY:
                return False
            looked = time.monotonic()
            return size_of(cell.data, MOST_RAW) > MOST_RAW

        ended = self._sandbox.run_unconfined(
            cell, GET, self._variables(cell), patience=patience, cwd=cell.work / root.path, in_vain=is_too_large
        )
        if ended.ending is Ending.STOPPED:
            why = f"more than {MOST_RAW >> 20} MB came before it ended"
            remedy = "Use smaller module repositories, or pin `?depth=1` in the sources."
            return (at_call(root.path, calls[0], why, remedy),)
        if ended_well(ended, f"the fetch of the modules of {root.path}").returncode == 0:
            return ()
        # What an engine says when our deadline interrupts it is not why the modules did not come.
        text = "" if ended.ending is Ending.DEADLINE else ended.text
        why = f"`terraform get` {unexplained(ended, patience.deadline).removeprefix('It ')}"
        remedy = "Start the run again; the log of the host may say more."
        return failures(root.path, text, calls, self._access.credentials) or (
            at_call(root.path, calls[0], why, remedy),
        )

    def _variables(self, cell: Cell) -> dict[str, str]:
        """Our CLI configuration and the module hosts' tokens. A proxy that is none stops plain http."""
        served = {host: registry for host, registry in self._registries.items() if registry.modules}
        settings = cell.root / "modules.tfrc"
        blocks = "".join(registry.block(host) for host, registry in served.items())
        settings.write_text(f"disable_checkpoint = true\n{blocks}", encoding="utf-8")
        settings.chmod(0o644)
        return {
            "TF_CLI_CONFIG_FILE": str(settings),
            "PATH": self._path_variable,
            "HTTP_PROXY": f"http://{PLAIN_HTTP}",
            "TF_REGISTRY_CLIENT_TIMEOUT": "20",
            "TF_REGISTRY_DISCOVERY_RETRY": "0",
            **self._access.credentials.variables(served),
            **self._access.variables,
        }

    def _keep(
        self, cell: Cell, root: TerraformRoot, calls: Sequence[ModuleCall]
    ) -> tuple[Kept | None, tuple[Finding, ...]]:
        """What came, or why it is not kept: what a package calls must be allowed too."""
        try:
            kept = keep(cell.data / "modules", Path(tempfile.mkdtemp(prefix="modules-", dir=self._sandbox.root)))
            for record in kept.records:
                source = read_module_source(record.source) if record.package is not None else None
                if source is not None and source.kind is SourceKind.REFUSED:
                    raise NotKept(record.key, f"it comes from `{shown_source(record.source)}`, and {source.why}")
        except NotKept as refused:
            key = refused.key
            call = next((c for c in calls if key == c.key or key.startswith(f"{c.key}.")), calls[0])
            return None, (at_call(root.path, call, f"`{key}`: {refused}", f"Correct the module, or {VENDOR}."),)
        return kept, ()


def _described(calls: Iterable[ModuleCall], kept: Kept) -> Iterator[str]:
    """A line for each call: what was asked for, and what came (a version, a commit)."""
    by_key = {record.key: record for record in kept.records if record.package is not None}
    came = [(call, by_key[call.key]) for call in calls if call.key in by_key]
    for call, record in came[:_MOST_LINES]:
        commit = kept.commits.get(record.package or 0, "")
        what = [f"version {record.version}"] if record.version else []
        what += [f"commit {commit}"] if commit else []
        yield f"{call.key}: {shown_source(call.source or '')}" + (f" ({', '.join(what)})" if what else "")
    if len(came) > _MOST_LINES:
        yield f"and {len(came) - _MOST_LINES} more"
