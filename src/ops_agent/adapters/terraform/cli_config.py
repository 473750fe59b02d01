"""Where the runner's own Terraform takes its providers from: `provider_installation` of its CLI configuration file.

Nothing else of that file counts. Its credentials stay where they are: no child gets them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ops_agent.config.inputs import base_url
from ops_agent.model.errors import ToolchainError
from ops_agent.model.policy import PUBLIC_REGISTRIES
from ops_agent.model.terraform import Block, Unreadable
from ops_agent.terraform.modules import read_source

_DIRECT = "direct"
_PAGE = "docs/setup/network.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to get providers: `direct`, or a mirror at `place` (a directory or an https address). `include` and
    `exclude` are patterns of source addresses; without `include` it serves all.
    """

    kind: str = _DIRECT
    place: str = ""
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()

    def serves(self, source: str) -> bool:
        """`source` is an address with a host."""
        wanted = self.include is None or any(_matches(pattern, source) for pattern in self.include)
        return wanted and not any(_matches(pattern, source) for pattern in self.exclude)

    def host_of(self, source: str) -> str:
        """Who is asked for `source`: `host`, or `host:port` where it is not 443; empty for a directory."""
        url = urlsplit(self.place)
        own = f"{url.hostname}:{url.port}" if url.port not in (None, 443) else str(url.hostname)
        return {_DIRECT: source.partition("/")[0], "network_mirror": own}.get(self.kind, "")

    def block(self, sources: str) -> str:
        """The block that serves `sources` alone."""
        name = {"network_mirror": "url", "filesystem_mirror": "path"}.get(self.kind)
        place = f"    {name} = {json.dumps(self.place)}\n" if name else ""
        return f"  {self.kind} {{\n{place}    include = {sources}\n  }}\n"


def in_folder(folder: Path | str) -> Method:
    """A mirror on disk."""
    return Method(kind="filesystem_mirror", place=str(folder))


def _matches(pattern: str, source: str) -> bool:
    hosts = (pattern,) if pattern.count("/") == 2 else tuple(f"{host}/{pattern}" for host in PUBLIC_REGISTRIES)
    return any(
        all(wanted in ("*", given) for wanted, given in zip(host.split("/"), source.split("/"), strict=True))
        for host in hosts
        if host.count("/") == source.count("/")
    )


def runners_methods(environment: Mapping[str, str], closed: Iterable[Path] = ()) -> tuple[Method, ...] | None:
    """The methods of the file that TF_CLI_CONFIG_FILE names, else of `~/.terraformrc` or `~/.tofurc`; None where it
    says nothing about providers. Raises ToolchainError for what cannot be read or followed, and for a file in `closed`
    (the workspace) that names a mirror, or a mirror there.
    """
    home, named = environment.get("HOME", ""), environment.get("TF_CLI_CONFIG_FILE", "")
    places = [named] if named else [f"{home}/{name}" for name in (".terraformrc", ".tofurc") if home]
    for path in map(Path, places):
        if named and not path.exists():
            raise _refused(path, "TF_CLI_CONFIG_FILE names it, and there is no such file")
        if path.is_file():
            try:
                content = path.read_bytes()
            except OSError as error:
                raise _refused(path, f"it cannot be read ({error.strerror})") from error
            # A developer's own builds count in no plan; their names are of an HCL that is read no more.
            text = re.sub(rb"dev_overrides\s*\{[^}]*\}", b"", content)
            found = read_source("cli.tf", text)
            if isinstance(found, Unreadable):
                if b"provider_installation" not in text:
                    return None
                raise _refused(path, f"it cannot be read ({found.what})")
            blocks = [block for block in found.blocks if block.type == "provider_installation"]
            if not blocks:
                return None
            shut = [place.resolve() for place in closed]
            if any(path.resolve().is_relative_to(place) for place in shut):
                raise _refused(path, "it lies in the workspace; providers' sources are named outside of it")
            methods = tuple(_methods(path, blocks[-1]))
            folders = [Path(m.place).resolve() for m in methods if m.kind == "filesystem_mirror"]
            if any(folder.is_relative_to(place) for folder in folders for place in shut):
                raise _refused(path, "a `filesystem_mirror` lies in the workspace, where a checkout could put programs")
            return methods
    return None


def _methods(path: Path, block: Block) -> Iterator[Method]:
    for inner in block.blocks:
        if inner.type not in (_DIRECT, "network_mirror", "filesystem_mirror"):
            raise _refused(path, f"`{inner.type[:40]}` is not a known way to install providers")
        place = inner.literal("url" if inner.type == "network_mirror" else "path")
        shown = str(place or "")
        if inner.type == "network_mirror":
            try:
                shown = f"{base_url(shown)}/"
            except ValueError as error:
                raise _refused(path, f"the address of a `network_mirror` cannot be used: {error}") from None
        elif inner.type == "filesystem_mirror" and not re.fullmatch(r"/[^\"\\$%\x00-\x1f]*", shown):
            raise _refused(path, "a `filesystem_mirror` needs an absolute path")
        yield Method(
            kind=inner.type,
            place="" if inner.type == _DIRECT else shown,
            include=_patterns(path, inner, "include") if inner.attribute("include") else None,
            exclude=_patterns(path, inner, "exclude") if inner.attribute("exclude") else (),
        )


def _patterns(path: Path, block: Block, name: str) -> tuple[str, ...]:
    attribute = block.attribute(name)
    values = [one.value for one in attribute.expression.children] if attribute is not None else []
    if not values or not all(isinstance(value, str) and value.count("/") in (1, 2) for value in values):
        raise _refused(path, f"`{name}` is not a list of provider addresses")
    return tuple(str(value) for value in values)


def _refused(path: Path, why: str) -> ToolchainError:
    hint = f"Correct the file or remove its `provider_installation` ({_PAGE})."
    return ToolchainError(f"Terraform's configuration file {path} cannot be followed: {why}", hint=hint)


def mirror_hosts(methods: Iterable[Method]) -> frozenset[str]:
    """`host` or `host:port` of the mirrors on the network."""
    return frozenset(method.host_of("") for method in methods if method.kind == "network_mirror")
