"""Modules: the directories of a repository that hold Terraform, whom they call, and what `terraform init` reads of one."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import urlsplit

from ops_agent.model.terraform import Block, TerraformRoot, TerraformSource, Unreadable
from ops_agent.terraform.hcl import read_blocks, read_terraform
from ops_agent.terraform.json_syntax import read_terraform_json

_WORKSPACE = re.compile(rb"terraform\s*\.\s*workspace\b")
# Where the reader must look: a backend, a provider, a `source` that may be a local path. Wider than what Terraform takes.
_TELLING = re.compile(
    rb"(?:^|[{}/])[ \t]*(?:(?:backend|cloud|provider)\b(?!\s*[.=])|source\b(?!\s*=\s*\"[^.\\\"]))", re.MULTILINE
)
_DEPLOYED_BLOCK = re.compile(rb"^[ \t]*(?:resource|data|ephemeral|module|locals|variable|output)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Headers:
    """What discovery reads of one configuration file: sources of its module calls, and its backends with whether they
    need a file of the environment. `deploys`: it holds more than `terraform` blocks.
    """

    sources: tuple[str, ...] = ()
    backends: tuple[tuple[str, bool], ...] = ()
    has_provider: bool = False
    reads_workspace: bool = False
    deploys: bool = False
    is_unreadable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A directory with Terraform files. `calls` are directories of local modules; a partial backend needs a file of an
    environment.

    `backend` is the type of its backend (`s3`, `cloud`), empty without one. `reads_workspace`: something depends on
    `terraform.workspace`. `is_backend_only`: it holds a backend and nothing that could be deployed. `is_unreadable`: a
    file of it could not be read, and counts as empty.
    """

    directory: str
    calls: tuple[str, ...] = ()
    backend: str = ""
    needs_backend_file: bool = False
    reads_workspace: bool = False
    is_backend_only: bool = False
    has_provider: bool = False
    is_unreadable: bool = False

    @property
    def has_backend(self) -> bool:
        return bool(self.backend)


def is_configuration(path: str) -> bool:
    """True for the files that Terraform or OpenTofu load from a module's directory."""
    return path.endswith((".tf", ".tf.json", ".tofu", ".tofu.json"))


def directory_of(path: str) -> str:
    """The directory of a path, `.` for the repository's root."""
    return path.rpartition("/")[0] or "."


def read_source(path: str, content: bytes) -> TerraformSource | Unreadable:
    """Read one file by its name: HCL or JSON syntax, configuration or variables."""
    if path.endswith(".json"):
        return read_terraform_json(content, variables=path.endswith(".tfvars.json"))
    return read_terraform(content)


def read_headers(path: str, content: bytes) -> Headers:
    """The headers of one configuration file. Most files hold nothing that counts here, and are not even parsed."""
    if path.endswith(".json"):
        source = read_source(path, content)
    elif _TELLING.search(content):
        source = read_blocks(content, ("terraform", "module"))
    else:
        return Headers(reads_workspace=_reads_workspace(content), deploys=bool(_DEPLOYED_BLOCK.search(content)))
    if isinstance(source, Unreadable):
        return Headers(is_unreadable=True)
    sources = (b.literal("source") for b in source.of_type("module"))
    backends = (b for t in source.of_type("terraform") for b in t.blocks if b.type in ("backend", "cloud"))
    return Headers(
        sources=tuple(s for s in sources if isinstance(s, str)),
        backends=tuple(
            (b.labels[0] if b.labels else b.type, b.type == "backend" and not {"key", "path"} & b.members)
            for b in backends
        ),
        has_provider=any(b.type == "provider" for b in source.blocks),
        reads_workspace=_reads_workspace(content),
        deploys=any(b.type != "terraform" for b in source.blocks),
    )


def _reads_workspace(content: bytes) -> bool:
    """Outside of comments that fill a line. Elsewhere in a comment it counts: that asks a question too many."""
    before = (content[content.rfind(b"\n", 0, m.start()) + 1 : m.start()] for m in _WORKSPACE.finditer(content))
    return any(not text.lstrip().startswith((b"#", b"//")) for text in before)


def modules_of(headers: Mapping[str, Headers]) -> dict[str, Module]:
    """Every directory that holds Terraform files, by its path (`.` is the repository's root)."""
    found: dict[str, list[Headers]] = {}
    for path, of_file in headers.items():
        found.setdefault(directory_of(path), []).append(of_file)
    return {directory: module_of(directory, found[directory]) for directory in sorted(found)}


def module_of(directory: str, files: Iterable[Headers]) -> Module:
    """The module that the files of a directory make."""
    files = tuple(files)
    calls = {local_directory(directory, source) for f in files for source in f.sources} - {None}
    backends = [backend for f in files for backend in f.backends]
    return Module(
        directory=directory,
        calls=tuple(sorted(call for call in calls if call is not None)),
        backend=backends[0][0] if backends else "",
        needs_backend_file=any(needs for _, needs in backends),
        reads_workspace=any(f.reads_workspace for f in files),
        is_backend_only=bool(backends) and not any(f.deploys for f in files),
        has_provider=any(f.has_provider for f in files),
        is_unreadable=any(f.is_unreadable for f in files),
    )


def local_directory(directory: str, source: object) -> str | None:
    """The directory that a module's `source` means, None when it is not a local path inside the repository."""
    if not isinstance(source, str) or not source.startswith(("./", "../")):
        return None
    target = posixpath.normpath(posixpath.join(directory, source))
    return None if target.startswith("..") else target


def local_source(directory: str, block: Block) -> str | None:
    """The directory that a `module` block calls (see `local_directory`)."""
    return local_directory(directory, block.literal("source"))


# Where modules come from: every `module` call that a root reaches, by Terraform's own keys, and what its source means.

MOST_CALLS, DEEPEST = 2_000, 20
_OVERRIDE = re.compile(r"(?:.*_)?override\.(?:tf|tofu)(?:\.json)?")
_FORCED = re.compile(r"(?P<getter>[a-z0-9]+)::(?P<rest>.+)", re.DOTALL)
_SCP = re.compile(r"(?:[\w.-]+@)(?P<host>[\w.-]+):(?P<path>.+)")
_REGISTRY = re.compile(
    r"(?:(?P<host>[\w-]+(?:\.[\w-]+)+(?::\d+)?)/)?(?P<namespace>[\w-]+)/[\w-]+/[a-z0-9]+(?://.*)?", re.ASCII
)
_CLOUD = re.compile(r"(?:[\w.-]+\.)?s3[\w.-]*\.amazonaws\.com(?:\.cn)?/.*|www\.googleapis\.com/storage/.*")
_SECRET_PART = re.compile(r"(?<=://)[^/@\s]*@|(?<=[?&])sshkey=[^&\s]*")
_SHORTHANDS = ("github.com", "bitbucket.org")
_DEFAULT_REGISTRY = "the default registry"


class SourceKind(StrEnum):
    LOCAL = "local"
    REGISTRY = "registry"
    GIT = "git"
    SSH = "ssh"
    ARCHIVE = "archive"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSource:
    """What a source means. `host` is `name[:port]`; `owner` the first part of the path on it; `why` says what is
    refused about it.
    """

    kind: SourceKind
    host: str = ""
    owner: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleCall:
    """One `module` block. `key` is Terraform's (names from the root on, by dots), `source` is None when it is not a
    literal.

    `directory` is the calling module's; `path` and `line` are those of the block.
    """

    key: str
    source: str | None
    version: str
    directory: str
    path: str
    line: int

    @property
    def is_local(self) -> bool:
        return self.source is not None and self.source.startswith(("./", "../"))

    @property
    def is_remote(self) -> bool:
        return self.source is not None and not self.is_local


def module_calls(root: TerraformRoot, paths: Iterable[str], read: Callable[[str], bytes]) -> tuple[ModuleCall, ...]:
    """Every call that `root` reaches through modules of the repository, callers first; `read(path)` gives the bytes of
    one of `paths`.

    What a fetched module calls is not here. Bounded by MOST_CALLS and DEEPEST; files that cannot be read are passed
    over.
    """
    by_directory: dict[str, list[str]] = {}
    for path in sorted(paths, key=lambda p: (bool(_OVERRIDE.fullmatch(posixpath.basename(p))), p)):
        if is_configuration(path):
            by_directory.setdefault(directory_of(path), []).append(path)
    calls_of: dict[str, tuple[ModuleCall, ...]] = {}
    found: list[ModuleCall] = []
    pending = [(root.path, "")]
    while pending:
        directory, prefix = pending.pop(0)
        if directory not in calls_of:
            calls_of[directory] = tuple(_calls(directory, by_directory.get(directory, ()), read))
        for call in calls_of[directory]:
            keyed = replace(call, key=f"{prefix}{call.key}")
            found.append(keyed)
            if len(found) >= MOST_CALLS:
                return tuple(found)
            if call.is_local and keyed.key.count(".") < DEEPEST:
                called = posixpath.normpath(posixpath.join(directory, call.source or ""))
                if called in by_directory:
                    pending.append((called, f"{keyed.key}."))
    return tuple(found)


def module_files(root: TerraformRoot, paths: Iterable[str], read: Callable[[str], bytes]) -> dict[str, bytes]:
    """The configuration files of `root` and of every module of the repository that it reaches, when it calls a remote
    one; else none.
    """
    known = tuple(paths)
    calls = module_calls(root, known, read)
    if not any(call.is_remote for call in calls):
        return {}
    directories = {call.directory for call in calls} | {
        posixpath.normpath(posixpath.join(c.directory, c.source or "")) for c in calls
    }
    return {path: read(path) for path in known if is_configuration(path) and directory_of(path) in directories}


def read_module_source(source: str) -> ModuleSource:
    """What a non-local source means, as Terraform's installer reads it; REFUSED for what is not fetched."""
    forced = _FORCED.fullmatch(source)
    if forced is not None:
        return _git(forced["rest"]) if forced["getter"] == "git" else _refused_getter(forced["getter"])
    if source.startswith(("./", "../")):
        return ModuleSource(kind=SourceKind.LOCAL)
    if source.startswith(("/", "~")):
        return _refused("it is a path of the machine, not of the repository")
    if _CLOUD.fullmatch(source):
        return _refused("it lies in a cloud's bucket, and this fetch is given no cloud's keys")
    first, _, rest = source.partition("/")
    if first in _SHORTHANDS:
        return ModuleSource(kind=SourceKind.GIT, host=first, owner=rest.partition("/")[0])
    registry = _REGISTRY.fullmatch(source)
    if registry is not None:
        host = (registry["host"] or _DEFAULT_REGISTRY).lower()
        return ModuleSource(kind=SourceKind.REGISTRY, host=host, owner=registry["namespace"])
    if _SCP.fullmatch(source):
        return _git(source)
    return _url(source, SourceKind.ARCHIVE)


def shown_source(source: str) -> str:
    """`source` without the user, password or key that may be in it."""
    return _SECRET_PART.sub("", source)


def _git(rest: str) -> ModuleSource:
    scp = _SCP.fullmatch(rest)
    if scp is not None and "://" not in rest:
        return ModuleSource(
            kind=SourceKind.SSH, host=scp["host"].lower(), owner=scp["path"].lstrip("/").partition("/")[0]
        )
    first, _, path = rest.partition("/")
    if first in _SHORTHANDS:
        return ModuleSource(kind=SourceKind.GIT, host=first, owner=path.partition("/")[0])
    return _url(rest, SourceKind.GIT)


def _url(text: str, kind: SourceKind) -> ModuleSource:
    try:
        url = urlsplit(text)
        host, port = (url.hostname or "").lower(), url.port
    except ValueError:
        return _refused("its address cannot be read")
    owner = url.path.lstrip("/").partition("/")[0]
    if not url.scheme or not host:
        return _refused("it is no source that is known here")
    if url.scheme == "ssh" and kind is SourceKind.GIT:
        return ModuleSource(kind=SourceKind.SSH, host=host, owner=owner)
    if url.scheme != "https":
        return _refused(f"`{url.scheme}` is not fetched: only https proves who answered")
    return ModuleSource(kind=kind, host=f"{host}:{port}" if port not in (None, 443) else host, owner=owner)


def _refused_getter(getter: str) -> ModuleSource:
    if getter in ("s3", "gcs"):
        return _refused(f"`{getter}::` needs a cloud's keys, and this fetch is given none")
    return _refused(f"`{getter}::` is not fetched: only git and archives over https, and registries, are")


def _refused(why: str) -> ModuleSource:
    return ModuleSource(kind=SourceKind.REFUSED, why=why)


def _calls(directory: str, paths: Iterable[str], read: Callable[[str], bytes]) -> Iterator[ModuleCall]:
    """The calls of one directory; an override file replaces arguments of the call that it repeats."""
    found: dict[str, ModuleCall] = {}
    for path in paths:
        source = read_source(path, read(path))
        blocks = source.of_type("module") if isinstance(source, TerraformSource) else ()
        for block in (b for b in blocks if b.labels):
            name, text, version = block.labels[0], block.literal("source"), block.literal("version")
            call = ModuleCall(
                key=name,
                source=text if isinstance(text, str) else None,
                version=version if isinstance(version, str) else "",
                directory=directory,
                path=path,
                line=block.line,
            )
            if earlier := found.get(name):
                source_of = call if block.attribute("source") else earlier
                call = replace(earlier, source=source_of.source, version=call.version or earlier.version)
            found[name] = call
    yield from found.values()


# What `terraform init` of a root reads: while it stays the same, providers and modules that were installed still fit.

_LOCK_FILE = ".terraform.lock.hcl"
_TESTS = (".tftest.hcl", ".tftest.json", ".tofutest.hcl", ".tofutest.json")


def init_inputs(root: TerraformRoot, paths: Iterable[str], read: Callable[[str], bytes]) -> str:
    """A SHA-256 (hex) of it. `paths` are the tree's files, `read` gives their bytes.

    It is: the lock file; every `terraform` block; source and version of every module call; every provider that a block
    names, or implies by its type (`aws_sqs_queue`: `aws`); tests, and what cannot be read, whole. Of the root and of
    the local modules that it reaches.
    """
    said: set[str] = set()
    directories, tests = {root.path, *root.local_modules}, {root.path, _inside(root, "tests")}
    for path in paths:
        directory = directory_of(path)
        if directory in directories and is_configuration(path):
            source = read_source(path, read(path))
            words = (read(path).hex(),) if isinstance(source, Unreadable) else _words(source.blocks)
            said |= {repr((directory, word)) for word in words}
        elif path == _inside(root, _LOCK_FILE) or (directory in tests and path.endswith(_TESTS)):
            said.add(repr((path, read(path))))
    return hashlib.sha256("\n".join(sorted(said)).encode()).hexdigest()


def _words(blocks: Iterable[Block]) -> Iterator[str]:
    """One line for each thing that init reads in these blocks."""
    for block in blocks:
        if block.type == "terraform":
            yield block.text
        elif block.type == "module":
            yield repr(("module", block.labels, _text(block, "source"), _text(block, "version")))
        elif block.type == "provider":
            yield repr(("provider", block.labels, _text(block, "version")))
        else:
            for inner in block.walk():
                if len(inner.labels) == 2:
                    yield repr(("uses", inner.labels[0].partition("_")[0]))
                if inner.attribute("provider"):
                    yield repr(("uses", _text(inner, "provider")))


def _text(block: Block, name: str) -> str:
    attribute = block.attribute(name)
    return attribute.expression.text if attribute else ""


def _inside(root: TerraformRoot, name: str) -> str:
    return name if root.path == "." else f"{root.path}/{name}"


# Which providers a root's lock file names, and their versions: what `terraform init` installed for a plan.


def locked_providers(lock_file: bytes) -> tuple[str, ...]:
    """`registry.terraform.io/hashicorp/aws 3.39.0` for each entry, sorted; empty when the file cannot be read."""
    source = read_terraform(lock_file)
    if isinstance(source, Unreadable):
        return ()
    found = [block for block in source.blocks if block.type == "provider" and len(block.labels) == 1]
    return tuple(sorted(f"{block.labels[0]} {block.literal('version') or 'of no version'}" for block in found))
