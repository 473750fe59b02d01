"""Where providers come from: a mirror on disk, or the registries of the allow-listed ones; unpacked once and shared by
all targets.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from ops_agent.adapters.terraform.cells import is_open_to_others
from ops_agent.model.errors import ToolchainError


class Providers:
    """The providers of one run. `wanted` names a mirror's directory (absolute), or is empty: the registries. `allowed`
    are source addresses with a host; `folder` is ours.

    What was fetched once (from a registry, or from a mirror of zips) serves every target, because an AWS provider has
    up to 700 MB: only this process writes to `shared`, Terraform links to what is in it.

    Raises ToolchainError when the mirror is not there, or cannot be read by the children's user.
    """

    def __init__(self, wanted: str, allowed: tuple[str, ...], folder: Path) -> None:
        self.mirrors = _mirrors(wanted)
        self.shared = folder / "providers"
        self.shared.mkdir()
        _open(self.shared)
        self._allowed, self._folder = allowed, folder
        self._lock = threading.Lock()
        self._settings: dict[tuple[str, ...], Path] = {}

    @property
    def are_unpacked(self) -> bool:
        """Whether Terraform can link to all of them as they are."""
        return bool(self.mirrors) and not any(next(mirror.rglob("*.zip"), None) for mirror in self.mirrors)

    def settings(self, providers: tuple[str, ...] | None) -> Path:
        """The CLI configuration file that every child gets, whatever a home directory or the tree holds. `providers`
        only narrows the run's allow-list; None leaves it alone.
        """
        allowed = tuple(source for source in self._allowed if providers is None or source in providers)
        with self._lock:
            if allowed not in self._settings:
                path = self._folder / f"cli-{len(self._settings)}.tfrc"
                path.write_text(configuration((self.shared, *self.mirrors), allowed, registry=not self.mirrors))
                path.chmod(0o644)
                self._settings[allowed] = path
            return self._settings[allowed]

    def take(self, providers: Path) -> None:
        """Move every package of a data directory's `providers` to `shared` and make it ours: whoever fetched it may not
        change it any more.
        """
        for package in providers.glob("*/*/*/*/*"):
            relative = package.relative_to(providers)
            place = self.shared / relative
            if package.resolve() != providers.resolve() / relative or not package.is_dir() or place.exists():
                continue
            files = (package, *package.rglob("*"))
            if any(path.is_symlink() or not (path.is_dir() or path.is_file()) for path in files):
                continue
            for path in files:
                os.chown(path, os.geteuid(), os.getegid())
                path.chmod(0o755)
            place.parent.mkdir(parents=True, exist_ok=True)
            package.rename(place)
        _open(self.shared)


def configuration(mirrors: Iterable[Path], allowed: Iterable[str], *, registry: bool = False) -> str:
    """The CLI configuration file: an explicit `provider_installation`, so nothing is ever found by Terraform's own
    search.

    The mirrors serve what they hold; with `registry` the providers' own registries are asked too. Allow-listed
    providers alone: none is no source at all, because Terraform takes an empty `include` for "everything".
    """
    sources = json.dumps(sorted(allowed))
    blocks = [
        f"  filesystem_mirror {{\n    path    = {json.dumps(str(m))}\n    include = {sources}\n  }}\n" for m in mirrors
    ]
    if registry:
        blocks.append(f"  direct {{\n    include = {sources}\n  }}\n")
    return f"disable_checkpoint = true\nprovider_installation {{\n{''.join(blocks) if sources != '[]' else ''}}}\n"


def _mirrors(wanted: str) -> tuple[Path, ...]:
    if not wanted:
        return ()
    mirror = Path(wanted)
    if not mirror.is_absolute() or not mirror.is_dir():
        raise ToolchainError(f"The provider mirror {wanted} is not a directory")
    if os.geteuid() == 0 and not is_open_to_others(mirror):
        raise ToolchainError(
            f"The provider mirror {wanted} cannot be read by the user that Terraform runs as",
            hint="Open every directory on the way for all users (chmod a+rx), or move the mirror.",
        )
    return (mirror,)


def _open(mirror: Path) -> None:
    """Let every user enter the directories."""
    for directory, _, _ in os.walk(mirror):
        Path(directory).chmod(0o755)
