"""Fetch the modules that a root's base commit calls: Terraform's own `get`, outside the confined cells, over files that
people merged.

Nothing of the llm's takes part: the files are the base commit's. No provider is started or installed for it. While it
runs no other child lives, because one with the same uid could read its environment, where the module hosts' tokens are.
"""

from __future__ import annotations

import http.client
import json
import os
import posixpath
import re
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from ops_agent.adapters.terraform import sandbox_child
from ops_agent.adapters.terraform.confinement import Cell, bare_environment
from ops_agent.adapters.terraform.diagnostics import from_text
from ops_agent.adapters.terraform.engine import GET, ended_well
from ops_agent.adapters.terraform.module_store import Kept, Refused, keep, place, read_fetched, records_for, size_of
from ops_agent.adapters.terraform.processes import Children, ChildResult, Ending, Patience
from ops_agent.adapters.terraform.sandbox import Sandbox
from ops_agent.model.finding import Finding, Place
from ops_agent.model.terraform import FetchedModules, TerraformRoot
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.terraform.modules import (
    ModuleCall,
    ModuleSource,
    SourceKind,
    is_configuration,
    module_calls,
    read_module_source,
    shown_source,
)

# Credentials for module hosts, as git and Terraform take them from the environment: never in an argument, never on
# disk.
#
# git gets them by a credential helper of ours that answers for one host only. An extra header would follow a redirect
# to another host (measured with git 2.39: the second request there carries it); what a helper gave does not, because
# git asks anew for each host.

# GitHub, GitLab, Bitbucket and Azure take any name beside a token; GitHub documents this one.
_ANY_USER = "x-access-token"
# Read with `sh -c`; `$1` is git's verb. `path` (decoded) matters only where the answer is for one owner, who is not
# left by `..`.
_HELPER = (
    '!f() {{ test "$1" = get || return 0; path=; while IFS="=" read -r key value; do case "$key" in path) path=$value;; "") break;; esac; '
    'done; case "$path" in */../*) ;; {paths}) printf "username=%s\\npassword=%s\\n" "${user}" "${token}";; esac; }}; f'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleCredentials:
    """`tokens` maps `host[:port]` to a token, or to `user:token`. The run's own token serves git on its own host for
    one owner.

    `own_host` and `own_owner` are those of the repository that is changed; empty when the run has no token.
    """

    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    own_host: str = ""
    own_owner: str = ""
    own_token: str = field(default="", repr=False)

    def serve(self, source: ModuleSource) -> bool:
        """Whether anything is given for the source's host."""
        return source.host in self._hosts_of(source) or self._is_own(source)

    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any text."""
        given = (secret for token in self.tokens.values() for secret in (token, _split(token)[1]))
        return tuple(secret for secret in (*given, self.own_token) if secret)

    def rewritten(self, source: ModuleSource) -> bool:
        """Whether an ssh source is fetched over https, because a token for its host is given."""
        return source.kind is SourceKind.SSH and self.serve(source)

    def variables(self, registries: Collection[str] = ()) -> dict[str, str]:
        """The environment of git and Terraform: nobody's configuration, https only, no prompt, no hook, no submodule;
        and the tokens.

        Terraform gets those of `registries` only (hosts that were looked at, see module_registries).
        """
        settings: list[tuple[str, str]] = [
            ("credential.helper", ""),
            ("credential.useHttpPath", "true"),
            ("core.hooksPath", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("init.templateDir", ""),
            # go-getter updates submodules after each clone: with this none is active, so none is fetched.
            ("submodule.active", ":(exclude)*"),
            ("http.lowSpeedLimit", "1000"),
            ("http.lowSpeedTime", "30"),
        ]
        found: dict[str, str] = {}
        for number, (host, token) in enumerate(sorted(self.tokens.items())):
            user, secret = _split(token)
            found |= {f"OPS_USER_{number}": user, f"OPS_TOKEN_{number}": secret}
            found |= {f"TF_TOKEN_{_encoded(host)}": secret} if host in registries else {}
            settings += _git_settings(
                host, _HELPER.format(paths="*", user=f"OPS_USER_{number}", token=f"OPS_TOKEN_{number}")
            )
            settings += _from_ssh(host, "")
        if self.own_token and self.own_host and self.own_host not in self.tokens:
            found |= {"OPS_USER_OWN": _ANY_USER, "OPS_TOKEN_OWN": self.own_token}
            owner = "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in self.own_owner)
            settings += _git_settings(
                self.own_host,
                _HELPER.format(paths=f"{owner}/*", user="OPS_USER_OWN", token="OPS_TOKEN_OWN"),  # noqa: S106 - its name
            )
            settings += _from_ssh(self.own_host, f"{self.own_owner}/")
        return {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https",
            **_as_variables(settings),
            **found,
        }

    def _hosts_of(self, source: ModuleSource) -> Iterable[str]:
        if source.kind is SourceKind.SSH:
            return {host.partition(":")[0] for host in self.tokens}
        return self.tokens

    def _is_own(self, source: ModuleSource) -> bool:
        if not self.own_token or source.kind not in (SourceKind.GIT, SourceKind.SSH):
            return False
        own = self.own_host.partition(":")[0] if source.kind is SourceKind.SSH else self.own_host
        return source.host == own and source.owner.casefold() == self.own_owner.casefold()


def token_of(entry: str) -> str:
    """The token of an entry, without the user before it."""
    return _split(entry)[1]


def _split(token: str) -> tuple[str, str]:
    user, colon, secret = token.partition(":")
    return (user, secret) if colon else (_ANY_USER, token)


def _encoded(host: str) -> str:
    """A host as Terraform reads it from the name of a variable."""
    return host.replace("-", "__").replace(".", "_")


def _git_settings(host: str, helper: str) -> list[tuple[str, str]]:
    return [(f"credential.https://{host}.helper", helper)]


def _from_ssh(host: str, path: str) -> list[tuple[str, str]]:
    """ssh addresses of the host become https ones; the port of an https address says nothing about ssh's."""
    name = host.partition(":")[0]
    return [
        (f"url.https://{host}/{path}.insteadOf", f"{start}{path}")
        for start in (f"ssh://git@{name}/", f"ssh://{name}/", f"git@{name}:")
    ]


def _as_variables(settings: list[tuple[str, str]]) -> dict[str, str]:
    """Settings of git as the environment carries them (git-config, GIT_CONFIG_COUNT)."""
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


# Why a module was not fetched, as findings: which call in which file, from which host, and what to do about it.

CHECK, TITLE = "modules", "A module cannot be fetched"
WRONG_BASE = "The base branch's modules cannot be loaded"
_WRONG_REMEDY = "Correct this on the base branch first: modules from outside are fetched as the base branch calls them."
PLAIN_HTTP = "plain-http-is-refused.invalid"
_SETUP = "(docs/setup/modules.md)"
_VENDOR = "copy the module into the repository and call it by its path (`./modules/NAME`)"
_GIT_MISSING = re.compile(r"git must be available and on the PATH", re.IGNORECASE)
_DENIED = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|\b40[13]\b|unauthorized|forbidden|access denied",
    re.IGNORECASE,
)
_ABSENT = re.compile(r"not found|cannot be found|\b404\b|does not exist|does not appear to be a git", re.IGNORECASE)
_NO_REF = re.compile(
    r"invalid ref|pathspec|[Rr]emote branch \S+ not found|couldn't find remote ref|unable to find remote ref"
)
_NO_VERSION = re.compile(
    r"no (?:available|matching|module) (?:releases|versions?)|Unresolvable module version|matching the version constraint",
    re.IGNORECASE,
)
_NO_FOLDER = re.compile(
    r"subdir .* not found|Unreadable module|does not contain|no such file or directory", re.IGNORECASE
)
_OF_FETCH = re.compile(
    r"^Error: (?:Failed to download module|Error accessing remote module registry|Module not found|Failed to expand subdir globs|"
    r"Unresolvable module version|Unreadable module|Invalid (?:response|package location) from|Unable to evaluate directory symlink|"
    r"Failed to remove local)",
    re.MULTILINE,
)
_NOISE = re.compile(r"Cloning into '[^']*'\.\.\. ?")
_FOLDER = re.compile(r'subdir "(?P<folder>[^"]+)" not found')
_PLACE_INSIDE = re.compile(r"(?:^|/)modules/(?P<key>[^/]+)/")


def refusal(root: str, call: ModuleCall, source: ModuleSource, credentials: ModuleCredentials) -> Finding | None:
    """Why `call` is not even tried, None when it is."""
    if source.kind is SourceKind.REFUSED:
        return found(
            root, call, source.why, f"Take it from git or an archive over https, or from a registry; or {_VENDOR}."
        )
    if source.kind is SourceKind.SSH and not credentials.rewritten(source):
        why = f"there is no ssh key here, and no token of `{source.host}` to fetch it over https instead"
        return found(
            root,
            call,
            why,
            f"Give `{source.host}=<token that may read it>` in the input `module_credentials` {_SETUP}.",
        )
    return None


def found(root: str, call: ModuleCall, why: str, remedy: str) -> Finding:
    """A finding at the call."""
    source = shown_source(call.source or "a computed source")
    what = f"Module `{call.key}` of the root `{root}` cannot be fetched from `{source}`: {why}"
    return Finding(
        rule=f"check/{CHECK}",
        title=TITLE,
        place=Place(path=call.path, line=call.line),
        what=cut_at_word(what, 1_000),
        remedy=remedy,
    )


def cut_at_word(text: str, most: int) -> str:
    """`text` in at most `most` characters, cut where a word ends."""
    if len(text) <= most:
        return text
    kept = text[: most - 1]
    if (
        text[most - 1].isalnum() and (end := kept.rfind(" ")) > most // 2
    ):  # one long word is cut inside: better than nothing
        kept = kept[:end]
    return kept.rstrip(" ,;:.") + "…"


def failures(root: str, text: str, calls: Sequence[ModuleCall], credentials: ModuleCredentials) -> tuple[Finding, ...]:
    """Findings of what Terraform printed when it ended with an error; none when nothing in it is an error of
    Terraform's.
    """
    findings = []
    if not _OF_FETCH.search(text):
        # `get` of 1.15 loads what came, and gives no manifest when the base's own files are wrong.
        return tuple(replace(raw, title=WRONG_BASE, remedy=_WRONG_REMEDY) for raw in from_text(CHECK, root, text))
    for raw in from_text(CHECK, root, text):
        call = _call_of(raw, calls)
        said = raw.what.partition("cannot be fetched from `")[2].partition("`: ")[2] or raw.what
        why = shown_source(_NOISE.sub("", said)).strip(" .") or "the module was not found there"
        if call is None:
            remedy = _remedy(why, ModuleSource(kind=SourceKind.GIT), "", credentials)
            findings.append(replace(raw, title=TITLE, what=why, remedy=remedy))
            continue
        nested = raw.place.line > 0 and (raw.place.path, raw.place.line) != (call.path, call.line)
        why = f"a module that it calls ({posixpath.basename(raw.place.path)}): {why}" if nested else why
        findings.append(
            found(root, call, why, _remedy(why, read_module_source(call.source or ""), call.version, credentials))
        )
    return tuple(dict.fromkeys(findings))


def is_passing(findings: Sequence[Finding]) -> bool:
    """Whether another try may help: nothing of what was said is an answer of the host's."""
    if any(f.title == WRONG_BASE for f in findings):
        return False
    final = (_GIT_MISSING, _DENIED, _ABSENT, _NO_REF, _NO_VERSION, _NO_FOLDER)
    words = [f.what for f in findings]
    return bool(words) and not any(
        PLAIN_HTTP in said or any(pattern.search(said) for pattern in final) for said in words
    )


def _remedy(why: str, source: ModuleSource, version: str, credentials: ModuleCredentials) -> str:
    host = f"`{source.host}`" if source.host else "its host"
    given = credentials.serve(source)
    if PLAIN_HTTP in why:
        return f"Its host points to an address of plain http, which proves nothing about who answers. Serve it over https, or {_VENDOR}."
    if _GIT_MISSING.search(why):
        return "Install git on the runner, or use a source that needs none (a registry's archive)."
    if _NO_REF.search(why):
        return "The branch, tag or commit after `?ref=` is not there (any more): correct it in the repository."
    if _NO_VERSION.search(why):
        return f"No version of the registry satisfies `{version or 'any version'}`: correct the constraint, or publish the version."
    if _NO_FOLDER.search(why):
        return "The path after `//` is not in the package: correct the source in the repository."
    if _DENIED.search(why):
        if given:
            return (
                f"{host} does not take the given token for this module: check that it lives and may read it {_SETUP}."
            )
        return f"Give `{source.host or 'HOST'}=<token that may read it>` in the input `module_credentials` {_SETUP}."
    if _ABSENT.search(why):
        also = (
            "whether the given token may read it"
            if given
            else f"whether it is private: then give a token for {host} in `module_credentials`"
        )
        return f"Check whether the module is still there under this name, and {also} {_SETUP}."
    return f"From this runner {host} does not answer as a module host. Start the run again; if it repeats, open the way, or {_VENDOR}."


def _call_of(raw: Finding, calls: Sequence[ModuleCall]) -> ModuleCall | None:
    """The call of the repository that a finding is about: the one at that place, or the one whose package holds the
    place.
    """
    at_place = next((c for c in calls if (c.path, c.line) == (raw.place.path, raw.place.line)), None)
    if at_place is not None:
        return at_place
    folder = _FOLDER.search(raw.what)
    if folder is not None:
        return next((c for c in calls if f"//{folder['folder']}" in (c.source or "")), None)
    inside = _PLACE_INSIDE.search(raw.place.path)
    keys = [inside["key"]] if inside else re.findall(r"[Mm]odule `([^`]+)`", raw.what)
    return next(
        (c for c in calls for key in keys if c.key == key or (inside is None and c.key.rpartition(".")[2] == key)), None
    )


# Where a private registry's modules are, asked by our own code, so that its token reaches no other host.
#
# Terraform follows a redirect of the discovery document, and an address in it, to any host, and sends the token there
# (measured with 1.15). So discovery is done here and handed to Terraform as a `host` block; a host that was not asked,
# or points elsewhere, gets no token.

MODULE_REGISTRIES_TRIES, _SECONDS, _MOST_BYTES, _MOST_REDIRECTS = 3, 10, 1 << 20, 3
_DOCUMENT = "/.well-known/terraform.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What a host says about modules: their address, empty when it serves none; `problem` says why its token stays
    here.
    """

    modules: str = ""
    problem: str = ""


class Registries:
    """Asks each host once. `tokens` are those of module_credentials; `authority` a file with a certificate to trust
    (the harness's).
    """

    def __init__(
        self, tokens: Mapping[str, str], *, authority: str = "", sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._tokens, self._sleep = tokens, sleep
        self._context = ssl.create_default_context(cafile=authority or None)
        self._lock = threading.Lock()
        self._known: dict[str, Registry] = {}

    def known(self) -> Mapping[str, Registry]:
        """Every host with a token."""
        with self._lock:
            for host in self._tokens:
                if host not in self._known:
                    self._known[host] = self._ask(host)
            return dict(self._known)

    def _ask(self, host: str) -> Registry:
        problem = ""
        for attempt in range(MODULE_REGISTRIES_TRIES):
            if attempt:
                self._sleep(2.0**attempt)
            try:
                status, body, address = self._document(host)
            except (OSError, http.client.HTTPException) as error:
                problem = f"it does not answer ({error})"
                continue
            if status >= 500 or status == 429:
                problem = f"it answers with status {status}"
                continue
            if 300 <= status < 400:
                return Registry(problem=f"its discovery document is redirected to `{urlsplit(address).netloc}`")
            return self._read(host, address, body) if status == 200 else Registry()
        return Registry(problem=problem)

    def _document(self, host: str) -> tuple[int, bytes, str]:
        """Status, body and address at last: redirects are followed on the same host only. Our token goes along when it
        is asked for.
        """
        address, headers = f"https://{host}{_DOCUMENT}", {"Accept": "application/json"}
        for _ in range(_MOST_REDIRECTS + 2):
            connection = http.client.HTTPSConnection(host, timeout=_SECONDS, context=self._context)
            try:
                connection.request("GET", urlsplit(address).path, headers=headers)
                answer = connection.getresponse()
                status, body = answer.status, answer.read(_MOST_BYTES)
                further = urljoin(address, answer.getheader("Location") or "")
            finally:
                connection.close()
            if status in (401, 403) and "Authorization" not in headers:
                headers["Authorization"] = f"Bearer {token_of(self._tokens[host])}"
            elif 300 <= status < 400 and _is_on(further, host) and further != address:
                address = further
            else:
                return status, body, further if 300 <= status < 400 else address
        return status, body, further

    def _read(self, host: str, address: str, body: bytes) -> Registry:
        try:
            modules = json.loads(body).get("modules.v1")
        except (ValueError, AttributeError):
            return Registry()
        if not isinstance(modules, str):
            return Registry()
        where = urljoin(address, modules)
        other = urlsplit(where)
        if other.scheme != "https" or not (_is_on(where, host) or other.netloc.lower() in self._tokens):
            return Registry(problem=f"it hands its modules to `{other.scheme}://{other.netloc}`")
        return Registry(modules=where)


def host_blocks(registries: Mapping[str, Registry]) -> str:
    """Blocks of Terraform's CLI configuration that replace discovery."""
    found = (
        f'host {json.dumps(h)} {{\n  services = {{\n    "modules.v1" = {json.dumps(r.modules)}\n  }}\n}}\n'
        for h, r in registries.items()
        if r.modules
    )
    return "".join(found)


def _is_on(address: str, host: str) -> bool:
    url = urlsplit(address)
    return url.scheme == "https" and url.netloc.lower().removesuffix(":443") == host


TRIES = 3
# Clones hold their history until they are copied without it.
MOST_RAW = 1 << 30
_EACH, _MOST_NAMES = 1.0, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleAccess:
    """How module hosts are reached. `variables` are the harness's (an emulated host's certificate); empty in every real
    run.
    """

    credentials: ModuleCredentials = field(default_factory=ModuleCredentials)
    variables: Mapping[str, str] = field(default_factory=dict)
    path_variable: str = "/usr/bin:/bin"
    sleep: Callable[[float], None] = time.sleep
    say: Callable[[str], None] = lambda _: None
    patience: Patience = field(default_factory=lambda: Patience(deadline=180))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a fetch gave. `calls` are the base's remote calls; `kept` is None when something failed, and `check` says
    what.
    """

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
        """Fetch for `root`; `files` are the configuration files of the root and its local modules on the base commit,
        by path.

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
                    "Start the run again; or, if that other host is meant to have the token, give it an entry in "
                    "`module_credentials` too."
                )
                yield found(root.path, call, f"the token of `{source.host}` stays here, because {problem}", remedy)

    def _get(self, cell: Cell, root: TerraformRoot, calls: Sequence[ModuleCall]) -> tuple[Finding, ...]:
        """Run `get`, again when no host gave an answer; returns the findings of the last try."""
        problems: tuple[Finding, ...] = ()
        for attempt in range(1, TRIES + 1):
            with self._sandbox.children.quiet():
                ended, too_large = self._run(cell, root)
            if too_large:
                why = f"more than {MOST_RAW >> 20} MB came before it ended"
                return (
                    found(
                        root.path, calls[0], why, "Use smaller module repositories, or pin `?depth=1` in the sources."
                    ),
                )
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
            self._access.say(
                f"modules of {root.path}: {why}; try {attempt} of at most {TRIES}, the next one in {wait:g} s"
            )
            self._access.sleep(wait)
        return problems

    def _run(self, cell: Cell, root: TerraformRoot) -> tuple[ChildResult, bool]:
        """One `get` in the cell's directories, as its user, with what module hosts need; and whether it was stopped for
        its size.
        """
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
        return (
            (result, True)
            if too_large.is_set()
            else (ended_well(result, f"the fetch of the modules of {root.path}"), False)
        )

    def _environment(self, cell: Cell) -> dict[str, str]:
        """From nothing: paths of the cell, our CLI configuration, the module hosts' tokens. A proxy that is none stops
        plain http.
        """
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
        dropped = (
            [f"Left out, because they lead out of their module: {', '.join(kept.dropped[:20])}"] if kept.dropped else []
        )
        return Fetched(
            calls=calls, check=_check(root, (), begun, "\n".join([*names, *dropped])), kept=kept, names=names
        )


def open_path(path_variable: str, closed: Iterable[Path]) -> str:
    """Of PATH the absolute directories outside of `closed` (the workspace): where git may come from."""
    shut = tuple(directory.resolve() for directory in closed)
    parts = [part for part in path_variable.split(":") if part.startswith("/")]
    return ":".join(
        part for part in parts if not any(Path(part).resolve().is_relative_to(directory) for directory in shut)
    )


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
        name=CHECK,
        subject=root.path,
        status=status,
        findings=findings,
        output=output[:20_000],
        seconds=time.monotonic() - begun,
    )


# The modules of one run: each root's are fetched once, from its base commit, and given to every cell that the root is
# run in.


class ModuleSupply:
    """What was fetched, by the root's path. Safe from several threads."""

    def __init__(self, fetch: ModuleFetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._fetched: dict[str, Fetched] = {}

    def cancel(self) -> None:
        self._fetch.cancel()

    def fetch(self, root: TerraformRoot, files: Mapping[str, bytes]) -> CheckResult:
        """Fetch for `root` once; later calls return the same result. Raises ToolchainError, NoSpace, Cancelled."""
        with self._lock:
            if root.path not in self._fetched:
                self._fetched[root.path] = self._fetch.fetch(root, files)
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
        calls = module_calls(root, _configurations(cell.work), lambda path: (cell.work / path).read_bytes())
        if fetched.kept is None:
            wanted = {(call.source, call.version) for call in calls}
            gone = {(c.path, c.line) for c in fetched.calls if (c.source, c.version) not in wanted}
            return tuple(f for f in fetched.check.findings if (f.place.path, f.place.line) not in gone)
        records = records_for(calls, {call.key: call for call in fetched.calls}, fetched.kept)
        place(cell, root.path, calls, records, fetched.kept)
        return ()


def _configurations(work: Path) -> list[str]:
    found = []
    for directory, _, names in os.walk(work):
        found += [str(Path(directory, name).relative_to(work)) for name in names if is_configuration(name)]
    return found
