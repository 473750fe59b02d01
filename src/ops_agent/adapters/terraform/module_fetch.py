"""Fetch the modules that a root's base commit calls: Terraform's own `get`, outside the confined cells, over files that people merged.

Nothing of the llm's takes part: the files are the base commit's. No provider is started or installed for it. While it runs no other child
lives, because one with the same uid could read its environment, where the module hosts' tokens are.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops_agent.adapters.terraform import sandbox_child
from ops_agent.adapters.terraform.module_credentials import ModuleCredentials
from ops_agent.adapters.terraform.module_failures import CHECK, PLAIN_HTTP, cut_at_word, failures, found, is_passing, refusal
from ops_agent.adapters.terraform.module_registries import Registries, host_blocks
from ops_agent.adapters.terraform.module_store import Kept, Refused, keep, size_of
from ops_agent.adapters.terraform.sandbox import Cell, Sandbox, bare_environment
from ops_agent.adapters.terraform.subprocesses import Children, ChildResult, Ending, Patience
from ops_agent.adapters.terraform.terraform_commands import GET
from ops_agent.adapters.terraform.terraform_endings import ended_well
from ops_agent.core.sources.module_sources import ModuleCall, SourceKind, module_calls, read_module_source, shown_source
from ops_agent.domain.layout import TerraformRoot
from ops_agent.domain.verdict import Finding
from ops_agent.domain.verification import CheckResult, CheckStatus

TRIES = 3
# Clones hold their history until they are copied without it.
MOST_RAW = 1 << 30
_EACH, _MOST_NAMES = 1.0, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleAccess:
    """How module hosts are reached. `variables` are the harness's (an emulated host's certificate); empty in every real run."""

    credentials: ModuleCredentials = field(default_factory=ModuleCredentials)
    variables: Mapping[str, str] = field(default_factory=dict)
    path_variable: str = "/usr/bin:/bin"
    sleep: Callable[[float], None] = time.sleep
    say: Callable[[str], None] = lambda _: None
    patience: Patience = field(default_factory=lambda: Patience(deadline=180))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a fetch gave. `calls` are the base's remote calls; `kept` is None when something failed, and `check` says what."""

    calls: tuple[ModuleCall, ...]
    check: CheckResult
    kept: Kept | None = None
    names: tuple[str, ...] = ()


class ModuleFetch:
    """Fetches for one sandbox. `cancel` ends what runs."""

    def __init__(self, sandbox: Sandbox, access: ModuleAccess) -> None:
        self._sandbox, self._access = sandbox, access
        self._children, self._cancelled = Children(), threading.Event()
        authority = access.variables.get("SSL_CERT_FILE", "")
        self._registries = Registries(access.credentials.tokens, authority=authority, sleep=access.sleep)

    def cancel(self) -> None:
        self._cancelled.set()
        self._children.cancel()

    def fetch(self, root: TerraformRoot, files: Mapping[str, bytes]) -> Fetched:
        """Fetch for `root`; `files` are the configuration files of the root and its local modules on the base commit, by path.

        What goes wrong is a failed check. Raises ToolchainError, NoSpace, Cancelled.
        """
        begun = time.monotonic()
        calls = module_calls(root, files, files.__getitem__)
        remote = tuple(call for call in calls if call.is_remote)
        refused = tuple(f for call in remote if (f := self._refusal(root, call)) is not None)
        refused = refused or tuple(self._closed_registries(root, remote))
        if refused:
            return Fetched(calls=remote, check=_check(root, refused, begun))
        cell = self._sandbox.open_cell()
        try:
            for path, content in files.items():
                place = cell.work / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            self._sandbox.hand_over(cell)
            problems = self._get(cell, root, remote)
            if problems:
                return Fetched(calls=remote, check=_check(root, problems, begun))
            return self._keep(cell, root, remote, begun)
        finally:
            self._sandbox.close_cell(cell)

    def _refusal(self, root: TerraformRoot, call: ModuleCall) -> Finding | None:
        return refusal(root.path, call, read_module_source(call.source or ""), self._access.credentials)

    def _closed_registries(self, root: TerraformRoot, calls: Iterable[ModuleCall]) -> Iterator[Finding]:
        known = self._registries.known()
        for call in calls:
            source = read_module_source(call.source or "")
            problem = known[source.host].problem if source.kind is SourceKind.REGISTRY and source.host in known else ""
            if problem:
                remedy = (
                    "Start the run again; or, if that other host is meant to have the token, give it an entry in `module_credentials` too."
                )
                yield found(root.path, call, f"the token of `{source.host}` stays here, because {problem}", remedy)

    def _get(self, cell: Cell, root: TerraformRoot, calls: Sequence[ModuleCall]) -> tuple[Finding, ...]:
        """Run `get`, again when no host gave an answer; what stands against it at last."""
        problems: tuple[Finding, ...] = ()
        for attempt in range(1, TRIES + 1):
            with self._sandbox.children.quiet():
                ended, too_large = self._run(cell, root)
            if too_large:
                why = f"more than {MOST_RAW >> 20} MB came before it ended"
                return (found(root.path, calls[0], why, "Use smaller module repositories, or pin `?depth=1` in the sources."),)
            if ended.returncode == 0:
                return ()
            # What an engine says when our deadline interrupts it is not why the modules did not come.
            streams = () if ended.ending is Ending.DEADLINE else (ended.stdout, ended.stderr)
            text = "\n".join(stream.decode(errors="replace") for stream in streams)
            problems = failures(root.path, text, calls, self._access.credentials) or (
                found(
                    root.path,
                    calls[0],
                    _unexplained(ended, self._access.patience),
                    "Start the run again; the log of the host may say more.",
                ),
            )
            if attempt == TRIES or not is_passing(problems):
                break
            wait = 2.0**attempt
            why = cut_at_word(problems[0].what, 240)
            self._access.say(f"modules of {root.path}: {why}; try {attempt} of at most {TRIES}, the next one in {wait:g} s")
            self._access.sleep(wait)
        return problems

    def _run(self, cell: Cell, root: TerraformRoot) -> tuple[ChildResult, bool]:
        """One `get` in the cell's directories, as its user, with what module hosts need; and whether it was stopped for its size."""
        program = self._sandbox.program
        spec = {"uid": cell.uid, "gid": cell.uid, "library": str(program.path) if program.embedded else None}
        ended, too_large = threading.Event(), threading.Event()
        children = self._children = Children()
        if self._cancelled.is_set():
            children.cancel()

        def watch() -> None:
            while not ended.wait(_EACH):
                if size_of(cell.data, MOST_RAW) > MOST_RAW:
                    too_large.set()
                    children.cancel()
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            result = children.run(
                [sys.executable, "-I", "-S", sandbox_child.__file__, json.dumps(spec), str(program.path), *GET.argv],
                variables=self._environment(cell),
                cwd=cell.work / root.path,
                patience=self._access.patience,
                uid=cell.uid,
            )
        finally:
            ended.set()
            watcher.join()
        return (result, True) if too_large.is_set() else (ended_well(result, f"the fetch of the modules of {root.path}"), False)

    def _environment(self, cell: Cell) -> dict[str, str]:
        """From nothing: paths of the cell, our CLI configuration, the module hosts' tokens. A proxy that is none stops plain http."""
        registries = self._registries.known()
        cli_file = cell.root / "modules.tfrc"
        cli_file.write_text(f"disable_checkpoint = true\n{host_blocks(registries)}", encoding="utf-8")
        cli_file.chmod(0o644)
        return {
            **bare_environment(cell),
            "TF_CLI_CONFIG_FILE": str(cli_file),
            "PATH": self._access.path_variable,
            "HTTP_PROXY": f"http://{PLAIN_HTTP}",
            "TF_REGISTRY_CLIENT_TIMEOUT": "20",
            "TF_REGISTRY_DISCOVERY_RETRY": "0",
            **self._access.credentials.variables([host for host, registry in registries.items() if registry.modules]),
            **self._access.variables,
        }

    def _keep(self, cell: Cell, root: TerraformRoot, calls: tuple[ModuleCall, ...], begun: float) -> Fetched:
        folder = Path(tempfile.mkdtemp(prefix="modules-", dir=self._sandbox.root))
        try:
            kept = keep(cell.data / "modules", folder)
            for record in kept.records:
                source = read_module_source(record.source) if record.package is not None else None
                if source is not None and source.kind is SourceKind.REFUSED:
                    raise Refused(record.key, f"it comes from `{shown_source(record.source)}`, and {source.why}")
        except Refused as refused:
            remedy = "Correct the module, or copy it into the repository and call it by its path (`./modules/NAME`)."
            problem = found(root.path, _nearest(calls, refused.key), f"`{refused.key}`: {refused}", remedy)
            return Fetched(calls=calls, check=_check(root, (problem,), begun))
        every = tuple(_described(calls, kept))
        names = (*every[:_MOST_NAMES], *([f"and {len(every) - _MOST_NAMES} more"] if len(every) > _MOST_NAMES else []))
        dropped = [f"Left out, because they lead out of their module: {', '.join(kept.dropped[:20])}"] if kept.dropped else []
        return Fetched(calls=calls, check=_check(root, (), begun, "\n".join([*names, *dropped])), kept=kept, names=names)


def open_path(path_variable: str, closed: Iterable[Path]) -> str:
    """Of PATH the absolute directories outside of `closed` (the workspace): where git may come from."""
    shut = tuple(directory.resolve() for directory in closed)
    parts = [part for part in path_variable.split(":") if part.startswith("/")]
    return ":".join(part for part in parts if not any(Path(part).resolve().is_relative_to(directory) for directory in shut))


def _described(calls: Iterable[ModuleCall], kept: Kept) -> Iterable[str]:
    """A line for each call: what was asked for, and what came (a version, a commit)."""
    by_key = {record.key: record for record in kept.records}
    for call in calls:
        record = by_key.get(call.key)
        if record is None or record.package is None:
            continue
        commit = kept.commits.get(record.package, "")
        came = [f"version {record.version}"] if record.version else []
        came += [f"commit {commit}"] if commit else []
        yield f"{call.key}: {shown_source(call.source or '')}" + (f" ({', '.join(came)})" if came else "")


def _nearest(calls: Sequence[ModuleCall], key: str) -> ModuleCall:
    """The call of the repository through which `key` came."""
    return next((c for c in calls if key == c.key or key.startswith(f"{c.key}.")), calls[0])


def _unexplained(ended: ChildResult, patience: Patience) -> str:
    if ended.ending is Ending.DEADLINE:
        return f"it did not end within {patience.deadline:.0f} s and was stopped"
    said = ended.stderr.decode(errors="replace").split()
    return f"`terraform get` ended with exit code {ended.returncode}: {' '.join(said)[-300:]}"


def _check(root: TerraformRoot, findings: tuple[Finding, ...], begun: float, output: str = "") -> CheckResult:
    status = CheckStatus.FAILED if findings else CheckStatus.PASSED
    return CheckResult(
        name=CHECK, subject=root.path, status=status, findings=findings, output=output[:20_000], seconds=time.monotonic() - begun
    )
