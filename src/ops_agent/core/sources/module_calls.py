"""What discovery needs to know of a module directory: what it calls, and whether it has a backend, a provider, required variables."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ops_agent.core.sources.reading_terraform import read_terraform
from ops_agent.core.sources.reading_terraform_json import read_terraform_json
from ops_agent.domain.terraform_source import Block, TerraformSource, Unreadable

_WORKSPACE = re.compile(r"\bterraform ?\. ?workspace\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A directory with Terraform files. `calls` are directories of local modules; a partial backend needs a file of an environment.

    `backend` is the type of its backend (`s3`, `cloud`), empty without one. `reads_workspace`: something depends on `terraform.workspace`.
    `is_backend_only`: it holds a backend and nothing that could be deployed. `is_unreadable`: a file of it could not be read.
    """

    directory: str
    calls: tuple[str, ...]
    backend: str
    needs_backend_file: bool
    reads_workspace: bool
    is_backend_only: bool
    has_provider: bool
    required_variables: tuple[str, ...]
    is_unreadable: bool = False

    @property
    def has_backend(self) -> bool:
        return bool(self.backend)


def is_configuration(path: str) -> bool:
    """True for the files that Terraform or OpenTofu load from a module's directory."""
    return path.endswith((".tf", ".tf.json", ".tofu", ".tofu.json"))


def read_source(path: str, content: bytes, *, checked: bool = False) -> TerraformSource | Unreadable:
    """Read one file by its name: HCL or JSON syntax, configuration or variables."""
    if path.endswith(".json"):
        return read_terraform_json(content, variables=path.endswith(".tfvars.json"))
    return read_terraform(content, checked=checked)


def read_modules(paths: Iterable[str], read: Callable[[str], bytes]) -> dict[str, Module]:
    """Every directory that holds Terraform files, by its path (`.` is the repository's root); an unreadable file counts as empty."""
    blocks: dict[str, list[Block]] = {}
    unreadable: set[str] = set()
    for path in paths:
        if is_configuration(path):
            source = read_source(path, read(path))
            directory = path.rpartition("/")[0] or "."
            blocks.setdefault(directory, []).extend(source.blocks if isinstance(source, TerraformSource) else ())
            if isinstance(source, Unreadable):
                unreadable.add(directory)
    return {d: _module(d, found, is_unreadable=d in unreadable) for d, found in sorted(blocks.items())}


def local_source(directory: str, block: Block) -> str | None:
    """The directory that a `module` block calls, None when its source is not a local path inside the repository."""
    attribute = block.attribute("source")
    source = attribute.expression.value if attribute else None
    if not isinstance(source, str) or not source.startswith(("./", "../")):
        return None
    target = posixpath.normpath(posixpath.join(directory, source))
    return None if target.startswith("..") else target


def _module(directory: str, blocks: list[Block], *, is_unreadable: bool) -> Module:
    calls = [local_source(directory, b) for b in blocks if b.type == "module"]
    backends = [b for t in blocks if t.type == "terraform" for b in t.blocks if b.type in ("backend", "cloud")]
    return Module(
        directory=directory,
        calls=tuple(sorted({c for c in calls if c is not None})),
        backend=next(((b.labels[0] if b.type == "backend" and b.labels else b.type) for b in backends), ""),
        needs_backend_file=any(b.type == "backend" and not {"key", "path"} & b.members for b in backends),
        reads_workspace=any(_WORKSPACE.search(b.text) for b in blocks),
        is_backend_only=bool(backends) and all(b.type == "terraform" for b in blocks),
        has_provider=any(b.type == "provider" for b in blocks),
        required_variables=tuple(sorted(b.labels[0] for b in blocks if b.type == "variable" and b.labels and "default" not in b.members)),
        is_unreadable=is_unreadable,
    )
