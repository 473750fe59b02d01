"""Modules: the directories that hold Terraform, whom they call, and what `terraform init` of a root reads."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ops_agent.model.terraform import Block, TerraformRoot, TerraformSource, Unreadable
from ops_agent.terraform.hcl_tree_sitter import read_blocks, read_terraform
from ops_agent.terraform.json_syntax import read_terraform_json

_WORKSPACE = re.compile(rb"terraform\s*\.\s*workspace\b")
# A backend, a provider or a `source` that may be a local path: only then is a file worth parsing.
_WORTH_PARSING = re.compile(
    rb"(?:^|[{}/])[ \t]*(?:(?:backend|cloud|provider)\b(?!\s*[.=])|source\b(?!\s*=\s*\"[^.\\\"$%]))", re.MULTILINE
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


@lru_cache(maxsize=10_000)  # a run reads its base as several trees
def read_source(path: str, content: bytes) -> TerraformSource | Unreadable:
    """Read one file by its name: HCL or JSON syntax, configuration or variables."""
    if path.endswith(".json"):
        return read_terraform_json(content, variables=path.endswith(".tfvars.json"))
    return read_terraform(content)


def read_headers(path: str, content: bytes) -> Headers:
    """The headers of one configuration file. Most files hold nothing that counts here, and are not even parsed."""
    if path.endswith(".json"):
        source = read_source(path, content)
    elif _WORTH_PARSING.search(content):
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
            (b.labels[0] if b.labels else b.type, b.type == "backend" and not _is_complete(b)) for b in backends
        ),
        has_provider=any(b.type == "provider" for b in source.blocks),
        reads_workspace=_reads_workspace(content),
        deploys=any(b.type != "terraform" for b in source.blocks),
    )


def _is_complete(backend: Block) -> bool:
    """Whether a backend block alone says where the state is."""
    if backend.label == "s3":
        return {"bucket", "key"} <= backend.members
    return bool({"key", "path"} & backend.members)


def _reads_workspace(content: bytes) -> bool:
    """Outside of comments that fill a line. Elsewhere in a comment it counts: that asks a question too many."""
    before = (content[content.rfind(b"\n", 0, m.start()) + 1 : m.start()] for m in _WORKSPACE.finditer(content))
    return any(not text.lstrip().startswith((b"#", b"//")) for text in before)


def by_directory(paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The configuration files among `paths`, sorted, by their directory."""
    found: dict[str, list[str]] = {}
    for path in sorted(p for p in paths if is_configuration(p)):
        found.setdefault(directory_of(path), []).append(path)
    return {directory: tuple(files) for directory, files in found.items()}


def modules_of(paths: Iterable[str], read: Callable[[str], bytes]) -> dict[str, Module]:
    """Every directory that holds Terraform files, by its path (`.` is the repository's root), in order."""
    directories = sorted(by_directory(paths).items())
    return {
        directory: _module(directory, [read_headers(p, read(p)) for p in files]) for directory, files in directories
    }


def _module(directory: str, files: Sequence[Headers]) -> Module:
    calls = {local_directory(directory, source) for f in files for source in f.sources}
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


LOCK_FILE = ".terraform.lock.hcl"
_TESTS = (".tftest.hcl", ".tftest.json", ".tofutest.hcl", ".tofutest.json")


def init_inputs(root: TerraformRoot, paths: Iterable[str], read: Callable[[str], bytes]) -> str:
    """A SHA-256 (hex) of what `terraform init` of a root reads: while it stays the same, what is installed still fits.

    Of the root and its local modules: the lock file; every `terraform` block; source and version of every module call;
    every provider that a block names, or implies by its type (`aws_sqs_queue`: `aws`); tests, and unreadable files.
    """
    said: set[str] = set()
    directories, tests = {root.path, *root.local_modules}, {root.path, _inside(root, "tests")}
    for path in paths:
        directory = directory_of(path)
        if directory in directories and is_configuration(path):
            source = read_source(path, read(path))
            words = (read(path).hex(),) if isinstance(source, Unreadable) else _words(source.blocks)
            said |= {repr((directory, word)) for word in words}
        elif path == _inside(root, LOCK_FILE) or (directory in tests and path.endswith(_TESTS)):
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


@dataclass(frozen=True, slots=True)
class Locked:
    """An entry of a lock file: a provider's address with its host, its version, and the hashes that it may have: `zh:`
    of zips, `h1:` of unpacked packages.
    """

    address: str
    version: str
    hashes: frozenset[str]


def read_lock_file(lock_file: bytes) -> tuple[Locked, ...]:
    """The entries, sorted by address; none when the file cannot be read."""
    source = read_terraform(lock_file)
    if isinstance(source, Unreadable):
        return ()
    found = []
    for block in (b for b in source.blocks if b.type == "provider" and len(b.labels) == 1):
        hashes = block.attribute("hashes")
        given = (str(item.value) for item in (hashes.expression.children if hashes else ()))
        found.append(Locked(block.labels[0], str(block.literal("version") or ""), frozenset(given)))
    return tuple(sorted(found, key=lambda entry: entry.address))


def locked_providers(lock_file: bytes) -> tuple[str, ...]:
    """`registry.terraform.io/hashicorp/aws 3.39.0` for each entry."""
    return tuple(f"{entry.address} {entry.version or 'of no version'}" for entry in read_lock_file(lock_file))
