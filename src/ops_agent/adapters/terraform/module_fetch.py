"""Modules from outside the repository: fetched once for each root, as its base commit calls them, and given to every
cell that the root is run in.

The fetch is Terraform's own `get`, outside the confinement, over files that people merged. Nothing of the llm's takes
part, and no provider is started or installed for it. Why a module was not fetched is a finding: which call in which
file, from which host, and what to do about it.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ops_agent.adapters.terraform.cells import Cell
from ops_agent.adapters.terraform.commands import GET
from ops_agent.adapters.terraform.diagnostics import (
    MODULE_TITLE,
    MOST,
    PrintedError,
    finding,
    from_text,
    printed_errors,
)
from ops_agent.adapters.terraform.engine import ended_well, unexplained
from ops_agent.adapters.terraform.module_hosts import TRIES, ModuleCredentials, Registry, find_registries
from ops_agent.adapters.terraform.module_store import Kept, NotKept, install, keep, read_fetched, records_for, size_of
from ops_agent.adapters.terraform.processes import ExitReason, Patience
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.model.finding import Finding, Place
from ops_agent.model.terraform import FetchedModules, TerraformRoot
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.terraform.module_sources import (
    ModuleCall,
    ModuleSource,
    SourceKind,
    module_calls,
    read_module_source,
    shown_source,
)
from ops_agent.terraform.modules import is_configuration

CHECK = "modules"
WRONG_BASE = "The base branch's modules cannot be loaded"
PLAIN_HTTP = "plain-http-is-refused.invalid"
VENDOR = "copy the module into the repository and call it by its path (`./modules/NAME`)"
_SETUP = "(docs/setup/modules.md)"
_GIVE = f"Give `{{name}}=<token that may read it>` in the input `module_credentials` {_SETUP}."
_STILL_THERE = "Check whether the module is still there under this name, and"

# Summaries of Terraform's errors that are about fetching.
_OF_FETCH = re.compile(
    r"Failed to download module|Error accessing remote module registry|Module not found|Failed to expand subdir globs|"
    r"Unresolvable module version|Unreadable module|Invalid (?:response|package location) from|"
    r"Unable to evaluate directory symlink|Failed to remove local"
)


def _answer(pattern: str, remedy: str, with_token: str = "") -> tuple[re.Pattern[str], str, str]:
    return re.compile(pattern, re.IGNORECASE), remedy, with_token or remedy


# Answers after which no other try helps, each with its remedy, and with the one when a token was given. The first that
# matches counts: a missing ref is also "not found".
_ANSWERS = (
    _answer(
        re.escape(PLAIN_HTTP),
        "Its host points to an address of plain http, which proves nothing about who answers. Serve it over https, "
        f"or {VENDOR}.",
    ),
    _answer(
        r"from proxy after CONNECT|CONNECT tunnel failed|proxyconnect",
        "The proxy of this network does not let {host} pass: allow it there (docs/setup/network.md).",
    ),
    _answer(
        r"SSL certificate problem|certificate verification failed|certificate signed by unknown|x509: certificate",
        "No certificate authority that this runner trusts signed the certificate of {host}: name yours in "
        "`ca_certificates` (docs/setup/network.md).",
    ),
    _answer(
        r"git must be available and on the PATH",
        "Install git on the runner, or use a source that needs none (a registry's archive).",
    ),
    _answer(
        r"invalid ref|pathspec|remote branch \S+ not found|couldn't find remote ref|unable to find remote ref",
        "The branch, tag or commit after `?ref=` is not there (any more): correct it in the repository.",
    ),
    _answer(
        r"no (?:available|matching|module) (?:releases|versions?)|Unresolvable module version|"
        r"matching the version constraint",
        "No version of the registry satisfies `{version}`: correct the constraint, or publish the version.",
    ),
    _answer(
        r"subdir .* not found|Unreadable module|does not contain|no such file or directory",
        "The path after `//` is not in the package: correct the source in the repository.",
    ),
    _answer(
        r"Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|\b40[13]\b|"
        r"unauthorized|forbidden|access denied",
        _GIVE,
        f"{{host}} does not take the given token for this module: check that it lives and may read it {_SETUP}.",
    ),
    _answer(
        r"not found|cannot be found|\b404\b|does not exist|does not appear to be a git",
        f"{_STILL_THERE} whether it is private: then give a token for {{host}} in `module_credentials` {_SETUP}.",
        f"{_STILL_THERE} whether the given token may read it {_SETUP}.",
    ),
)
_NO_ANSWER = (
    "From this runner {host} does not answer as a module host. Start the run again; if it repeats, open the way, or "
    f"{VENDOR}."
)
_NOISE = re.compile(r"Cloning into '[^']*'\.\.\. ?")
_FOLDER = re.compile(r'subdir "(?P<folder>[^"]+)" not found')
_INSIDE = re.compile(r"(?:^|/)modules/(?P<key>[^/]+)/")
# Clones hold their history until they are copied without it.
MAX_RAW = 1 << 30
_LOOK_EVERY, _MAX_LINES = 1.0, 40
_LONGEST_TRIES = 60.0
"""Seconds after which a fetch is not tried again: a host that lets everybody wait stays that way."""
_FROM, _ENDED = "cannot be fetched from `", "`terraform get`"


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
    """What a fetch gave. `calls` are the base's remote calls; `kept` is None when something failed (see `check`)."""

    calls: tuple[ModuleCall, ...]
    check: CheckResult
    kept: Kept | None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(_described(self.calls, self.kept)) if self.kept is not None else ()


class RemoteModules:
    """The modules of one run, by root. Safe from several threads. `path_variable` is where git is looked for."""

    def __init__(self, sandbox: Sandbox, access: ModuleAccess, path_variable: str) -> None:
        self._sandbox, self._access, self._path_variable = sandbox, access, path_variable
        self._lock = threading.Lock()
        self._fetched: dict[str, _Fetched] = {}
        self._verdicts: dict[object, tuple[str, str]] = {}

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
        return fetched.names if fetched is not None else ()

    def give(self, cell: Cell, root: TerraformRoot) -> tuple[Finding, ...]:
        """Lay what the tree in `cell.work` calls and the base had into the cell's data directory; or why it is not
        there.

        A call that the base has not, with this source and version, gets nothing: its `init` fails with a finding of its
        own.
        """
        fetched = self._fetched.get(root.path)
        if fetched is None:
            return ()
        paths = [str(path.relative_to(cell.work)) for path in cell.work.rglob("*") if is_configuration(path.name)]
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
                self._remember(problems, calls)
                if not problems:
                    kept, problems = self._keep(cell, root, calls)
        shown = [*_described(calls, kept)] if kept is not None else []
        if kept is not None and kept.dropped:
            shown.append(f"Left out, because they lead out of their module: {', '.join(kept.dropped[:20])}")
        check = CheckResult(
            name=CHECK,
            subject=root.path,
            status=CheckStatus.FAILED if problems else CheckStatus.PASSED,
            findings=problems,
            output="\n".join(shown)[:20_000],
            seconds=time.monotonic() - begun,
        )
        return _Fetched(calls=calls, check=check, kept=kept)

    def _refusals(self, root: TerraformRoot, calls: Sequence[ModuleCall]) -> Iterator[Finding]:
        """Calls that are not even tried: by their source, or because it failed another root already. A registry is
        asked only when there is none.
        """
        found = [refused for call in calls if (refused := refusal(root.path, call, self._access.credentials))]
        for call in calls:
            verdict = self._verdicts.get(read_module_source(call.source or "").host)
            verdict = verdict or self._verdicts.get((call.source, call.version))
            found += [at_call(root.path, call, *verdict)] if verdict else []
        yield from found
        remedy = (
            "Start the run again; or, if that other host is meant to have the token, give it an entry in "
            "`module_credentials` too."
        )
        for call in calls if not found else ():
            source = read_module_source(call.source or "")
            registry = self._registries.get(source.host) if source.kind is SourceKind.REGISTRY else None
            if registry is not None and registry.problem:
                why = f"the token of `{source.host}` stays here, because {registry.problem}"
                yield at_call(root.path, call, why, remedy)

    def _remember(self, problems: Iterable[Finding], calls: Sequence[ModuleCall]) -> None:
        """One verdict for the whole run: a host that gave no answer is not waited for again by another root, a source
        that it refused is not asked for again.
        """
        hosts = {read_module_source(call.source or "").host for call in calls}
        for found in problems:
            call = next((c for c in calls if (c.path, c.line) == (found.place.path, found.place.line)), None)
            why = found.what.partition(_FROM)[2].partition("`: ")[2]
            if call is None or not why or (why.startswith(_ENDED) and len(hosts) > 1):
                continue
            key = read_module_source(call.source or "").host if may_pass((found,)) else (call.source, call.version)
            self._verdicts[key] = (why, found.remedy)

    @cached_property
    def _registries(self) -> Mapping[str, Registry]:
        network, emulated = self._sandbox.network, self._access.variables.get("SSL_CERT_FILE")
        if emulated is not None:
            network = replace(network, bundle=Path(emulated))
        return find_registries(self._access.credentials.registry_tokens(), network, sleep=self._access.sleep)

    def _get(self, cell: Cell, root: TerraformRoot, calls: Sequence[ModuleCall]) -> tuple[Finding, ...]:
        """Run `get`, again when no host gave an answer soon; returns the findings of the last try."""
        begun = time.monotonic()
        for attempt in range(1, TRIES + 1):
            problems = self._try(cell, root, calls)
            is_last = attempt == TRIES or time.monotonic() - begun > _LONGEST_TRIES
            if not problems or is_last or not may_pass(problems):
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
            return size_of(cell.data, MAX_RAW) > MAX_RAW

        ended = self._sandbox.run_unconfined(
            cell, GET, self._variables(cell), patience=patience, cwd=cell.work / root.path, in_vain=is_too_large
        )
        if ended.ending is ExitReason.STOPPED:
            why = f"more than {MAX_RAW >> 20} MB came before it ended"
            remedy = "Use smaller module repositories, or pin `?depth=1` in the sources."
            return (at_call(root.path, calls[0], why, remedy),)
        if ended_well(ended, f"the fetch of the modules of {root.path}").returncode == 0:
            return ()
        # What an engine says when our deadline interrupts it is not why the modules did not come.
        text = "" if ended.ending is ExitReason.DEADLINE else ended.text
        why = f"{_ENDED} {unexplained(ended, patience.deadline).removeprefix('It ')}"
        remedy = "Start the run again; the log of the host may say more."
        return failures(root.path, text, calls, self._access.credentials) or (
            at_call(root.path, calls[0], why, remedy),
        )

    def _variables(self, cell: Cell) -> dict[str, str]:
        """Our CLI configuration and the module hosts' tokens. A proxy that is none stops plain http."""
        served = {host: registry for host, registry in self._registries.items() if registry.modules}
        settings, trusted = cell.root / "modules.tfrc", self._sandbox.trust.get("SSL_CERT_FILE")
        blocks = "".join(registry.block(host) for host, registry in served.items())
        settings.write_text(f"disable_checkpoint = true\n{blocks}", encoding="utf-8")
        settings.chmod(0o644)
        return {
            "TF_CLI_CONFIG_FILE": str(settings),
            "PATH": self._path_variable,
            "HTTP_PROXY": f"http://{PLAIN_HTTP}",
            "TF_REGISTRY_CLIENT_TIMEOUT": "20",
            "TF_REGISTRY_DISCOVERY_RETRY": "0",
            **({"GIT_SSL_CAINFO": trusted} if trusted else {}),
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
    for call, record in came[:_MAX_LINES]:
        commit = kept.commits.get(record.package or 0, "")
        what = [f"version {record.version}"] if record.version else []
        what += [f"commit {commit}"] if commit else []
        yield f"{call.key}: {shown_source(call.source or '')}" + (f" ({', '.join(what)})" if what else "")
    if len(came) > _MAX_LINES:
        yield f"and {len(came) - _MAX_LINES} more"


def at_call(root: str, call: ModuleCall, why: str, remedy: str) -> Finding:
    """A finding at the call of a module that is not fetched."""
    source = shown_source(call.source or "a computed source")
    what = f"Module `{call.key}` of the root `{root}` {_FROM}{source}`: {why}"
    found = finding(CHECK, "", textwrap.shorten(what, 1_000, placeholder="…"), title=MODULE_TITLE)
    return replace(found, place=Place(path=call.path, line=call.line), remedy=remedy)


def refusal(root: str, call: ModuleCall, credentials: ModuleCredentials) -> Finding | None:
    """Why `call` is not even tried, None when it is."""
    source = read_module_source(call.source or "")
    if source.kind is SourceKind.REFUSED:
        remedy = f"Take it from git or an archive over https, or from a registry; or {VENDOR}."
        return at_call(root, call, source.why, remedy)
    if source.kind is SourceKind.SSH and not credentials.serve(source):
        why = f"there is no ssh key here, and no token of `{source.host}` to fetch it over https instead"
        return at_call(root, call, why, _GIVE.format(name=source.host))
    return None


def failures(root: str, text: str, calls: Sequence[ModuleCall], credentials: ModuleCredentials) -> tuple[Finding, ...]:
    """Findings of what Terraform printed when it ended with an error; none when nothing in it is an error of
    Terraform's.
    """
    errors = [*printed_errors(text)][:MOST]
    if not any(_OF_FETCH.match(error.summary) for error in errors):
        # `get` of 1.15 loads what came, and gives no manifest when the base's own files are wrong.
        remedy = (
            "Correct this on the base branch first: modules from outside are fetched as the base branch calls them."
        )
        return tuple(replace(found, title=WRONG_BASE, remedy=remedy) for found in from_text(CHECK, root, text))
    return tuple(dict.fromkeys(_failure(root, error, calls, credentials) for error in errors))


def may_pass(findings: Sequence[Finding]) -> bool:
    """Whether another try may help: nothing of what was said is an answer of the host's."""
    return not any(f.title == WRONG_BASE or any(answer.search(f.what) for answer, *_ in _ANSWERS) for f in findings)


def _failure(root: str, error: PrintedError, calls: Sequence[ModuleCall], credentials: ModuleCredentials) -> Finding:
    place = posixpath.normpath(posixpath.join(root, error.file)) if error.file else root
    name, _, why = error.module or ("", "", error.text)
    why = shown_source(_NOISE.sub("", why)).strip(" .") or "the module was not found there"
    call = _call_of(error, place, name, calls)
    if call is None:
        found = finding(CHECK, root, why, file=error.file, line=error.line, title=MODULE_TITLE)
        return replace(found, remedy=_remedy(why, ModuleSource(kind=SourceKind.GIT), "", credentials))
    if error.line and (place, error.line) != (call.path, call.line):
        why = f"a module that it calls ({posixpath.basename(place)}): {why}"
    return at_call(root, call, why, _remedy(why, read_module_source(call.source or ""), call.version, credentials))


def _call_of(error: PrintedError, path: str, name: str, calls: Sequence[ModuleCall]) -> ModuleCall | None:
    """The call of the repository that an error is about: the one at that place, or the one whose package holds it."""
    at_place = next((c for c in calls if (c.path, c.line) == (path, error.line)), None)
    if at_place is not None:
        return at_place
    if folder := _FOLDER.search(error.detail):
        return next((c for c in calls if f"//{folder['folder']}" in (c.source or "")), None)
    if inside := _INSIDE.search(path):
        return next((c for c in calls if c.key == inside["key"]), None)
    return next((c for c in calls if name in (c.key, c.key.rpartition(".")[2])), None)


def _remedy(why: str, source: ModuleSource, version: str, credentials: ModuleCredentials) -> str:
    remedies = next((remedies for answer, *remedies in _ANSWERS if answer.search(why)), [_NO_ANSWER, _NO_ANSWER])
    return remedies[credentials.serve(source)].format(
        host=f"`{source.host}`" if source.host else "its host",
        name=source.host or "HOST",
        version=version or "any version",
    )
