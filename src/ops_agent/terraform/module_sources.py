"""Where modules come from: every `module` call that a root reaches, by Terraform's keys, and what its source means."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import urlsplit

from ops_agent.model.terraform import TerraformRoot, TerraformSource
from ops_agent.terraform.hcl_tree_sitter import read_blocks
from ops_agent.terraform.modules import by_directory, directory_of, is_configuration, local_directory, read_source

MAX_CALLS, DEEPEST = 2_000, 20
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
    """What a source means: the host as `name[:port]`, the first part of the path on it, and why it is refused."""

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
    """Every call that `root` reaches through modules of the repository, callers first; `read(path)` gives the bytes.

    What a fetched module calls is not here. Bounded by MAX_CALLS and DEEPEST; unreadable files are passed over.
    """
    files_of = by_directory(paths)
    calls_of: dict[str, tuple[ModuleCall, ...]] = {}
    found: list[ModuleCall] = []
    pending = [(root.path, "")]
    while pending:
        directory, prefix = pending.pop(0)
        if directory not in calls_of:
            calls_of[directory] = tuple(_calls(directory, files_of.get(directory, ()), read))
        for call in calls_of[directory]:
            keyed = replace(call, key=f"{prefix}{call.key}")
            found.append(keyed)
            if len(found) >= MAX_CALLS:
                return tuple(found)
            called = local_directory(directory, call.source)
            if called in files_of and keyed.key.count(".") < DEEPEST:
                pending.append((called, f"{keyed.key}."))
    return tuple(found)


def module_files(root: TerraformRoot, paths: Iterable[str], read: Callable[[str], bytes]) -> dict[str, bytes]:
    """The configuration files of `root` and of its local modules when one of them calls a remote one; else none."""
    known = tuple(paths)
    calls = module_calls(root, known, read)
    if not any(call.is_remote for call in calls):
        return {}
    directories = {root.path, *(local_directory(call.directory, call.source) for call in calls)}
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


def _is_override(path: str) -> bool:
    return bool(_OVERRIDE.fullmatch(posixpath.basename(path)))


def _calls(directory: str, paths: Iterable[str], read: Callable[[str], bytes]) -> Iterator[ModuleCall]:
    """The calls of one directory; an override file replaces arguments of the call that it repeats."""
    found: dict[str, ModuleCall] = {}
    for path in sorted(paths, key=_is_override):
        content = read(path)
        if b"module" not in content:
            continue
        source = read_source(path, content) if path.endswith(".json") else read_blocks(content, ("module",))
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
