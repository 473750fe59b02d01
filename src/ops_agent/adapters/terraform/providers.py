"""Where providers come from: a mirror on disk, or the registries of the allow-listed ones; unpacked once and shared by
all targets.

A lock file that was made on another platform has the `zh` of this one's zip and no `h1` of what is in it. Terraform
compares the zip when it fetches it; the package that is left can be compared no more. So the `h1` of a package that was
fetched under a lock file's entry counts as part of that entry: in the working copies, never in the repository.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from base64 import b64encode
from collections.abc import Collection, Iterable
from pathlib import Path

from ops_agent.adapters.terraform.cells import is_open_to_others
from ops_agent.adapters.terraform.cli_config import Method, in_folder, mirror_hosts
from ops_agent.model.errors import ToolchainError
from ops_agent.model.policy import PUBLIC_REGISTRIES
from ops_agent.terraform.modules import Locked, read_lock_file

_ADDRESS = re.compile(r"[a-z0-9][a-z0-9.:-]*/[\w-]+/[\w-]+/\d[\w.+-]*", re.ASCII)


class Providers:
    """The providers of one run. `wanted` names a mirror's directory (absolute); empty: `methods`, the runner's own, or
    the registries. `allowed` are source addresses with a host; `folder` is ours. Hosts `with_tokens` are asked only for
    what is locked, by files of ours: to others they are closed.

    What was fetched once (from a registry, or from a mirror of zips) serves every target, because an AWS provider has
    up to 700 MB: only this process writes to `shared`, Terraform links to what is in it.

    Raises ToolchainError when the mirror is not there, or cannot be read by the children's user.
    """

    def __init__(
        self,
        wanted: str,
        allowed: tuple[str, ...],
        folder: Path,
        methods: tuple[Method, ...] | None = None,
        with_tokens: Collection[str] = (),
    ) -> None:
        self._with_tokens = frozenset(with_tokens)
        self._methods = (Method(),) if methods is None else methods
        if wanted:
            self._methods = (in_folder(wanted),)
        self.mirrors = tuple(_mirror(m.place) for m in self._methods if m.kind == "filesystem_mirror")
        self.asks_registries = any(method.kind == "direct" for method in self._methods)
        self.network_mirrors = mirror_hosts(self._methods)
        """`host` or `host:port` of each."""
        self.shared = folder / "providers"
        self.shared.mkdir()
        _open(self.shared)
        self._allowed, self._folder = allowed, folder
        self._lock = threading.Lock()
        self._settings: dict[tuple[tuple[str, ...], bool, bool], Path] = {}
        self._verified: dict[Locked, str] = {}
        self._hashes: dict[Path, str] = {}

    @property
    def are_unpacked(self) -> bool:
        """Whether Terraform can link to all of them as they are."""
        if self.asks_registries or self.network_mirrors:
            return False
        return not any(next(mirror.rglob("*.zip"), None) for mirror in self.mirrors)

    def settings(self, providers: tuple[str, ...] | None, *, anew: bool = False, with_tokens: bool = False) -> Path:
        """The CLI configuration file that every child gets, whatever a home directory or the tree holds. `providers` is
        what may be installed, of the public registries and of the hosts of the run's allow-list; None: the allow-list.
        `anew`: nothing comes from `shared`.
        """
        hosts = {*PUBLIC_REGISTRIES, *(source.partition("/")[0] for source in self._allowed)}
        wanted = self._allowed if providers is None else providers
        key = (tuple(source for source in wanted if source.partition("/")[0] in hosts), anew, with_tokens)
        with self._lock:
            if key not in self._settings:
                path = self._folder / f"cli-{len(self._settings)}.tfrc"
                shared = () if anew else (in_folder(self.shared),)
                closed = frozenset[str]() if with_tokens else self._with_tokens
                path.write_text(configuration((*shared, *self._methods), key[0], closed))
                path.chmod(0o644)
                self._settings[key] = path
            return self._settings[key]

    def complete(self, lock_file: Path) -> bool:
        """Add what is known of this platform's packages to a working copy's lock file. True when an entry is left that
        the package in `shared` cannot be compared with: it has to be fetched anew.
        """
        text = lock_file.read_text(encoding="utf-8", errors="replace") if lock_file.is_file() else ""
        is_left = False
        for entry in read_lock_file(text.encode()):
            known = self._verified.get(entry)
            if known is None:
                is_left = is_left or any(self._hash(p) not in entry.hashes for p in _packages(self.shared, entry))
            elif known not in entry.hashes:
                begins = rf'(provider\s+"{re.escape(entry.address)}"\s*\{{[^}}]*?\bhashes\s*=\s*\[)'
                text = re.sub(begins, rf'\1\n    "{known}",', text, count=1)
                lock_file.write_text(text, encoding="utf-8")
        return is_left

    def behind_tokens(self, lock_file: Path, providers: tuple[str, ...] | None) -> tuple[Locked, ...]:
        """Entries of a lock file that may be installed, are not here yet, and that a host with a token serves."""
        entries = read_lock_file(lock_file.read_bytes()) if self._with_tokens and lock_file.is_file() else ()
        wanted = self._allowed if providers is None else providers
        return tuple(
            entry
            for entry in entries
            if entry.address in wanted
            and _ADDRESS.fullmatch(f"{entry.address}/{entry.version}")
            and any(m.serves(entry.address) and m.host_of(entry.address) in self._with_tokens for m in self._methods)
            and not _packages(self.shared, entry)
        )

    def _hash(self, package: Path) -> str:
        """Its `h1`; that of what lies in `shared` is found out once, because nobody changes it."""
        if not package.is_relative_to(self.shared):
            return _h1(package)
        if package not in self._hashes:
            self._hashes[package] = _h1(package)
        return self._hashes[package]

    def take(self, providers: Path, lock_file: Path) -> None:
        """Move every package of a data directory's `providers` to `shared` and make it ours: whoever fetched it may not
        change it any more. `lock_file` is the one that Terraform held it to.
        """
        for entry in read_lock_file(lock_file.read_bytes()) if lock_file.is_file() else ():
            for package in _packages(providers, entry):
                self._verified[entry] = self._hash(package)
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


def locked_configuration(entries: Iterable[Locked]) -> tuple[str, str]:
    """A root that requires exactly `entries`, and its lock file: nothing in it was written by anybody else."""
    root, lock = "", ""
    for number, entry in enumerate(entries):
        hashes = sorted(h for h in entry.hashes if re.fullmatch(r"(?:h1|zh):[A-Za-z0-9+/=]+", h))
        root += f'    p{number} = {{ source = "{entry.address}", version = "{entry.version}" }}\n'
        lock += f'provider "{entry.address}" {{\n  version = "{entry.version}"\n  hashes  = {json.dumps(hashes)}\n}}\n'
    return f"terraform {{\n  required_providers {{\n{root}  }}\n}}\n", lock


def configuration(methods: Iterable[Method], allowed: Iterable[str], closed: Collection[str] = ()) -> str:
    """The CLI configuration file: an explicit `provider_installation`, so nothing is ever found by Terraform's own
    search.

    A method serves what is allow-listed and what its own patterns let it: a method for nothing is left out, because
    Terraform takes an empty `include` for "everything". Hosts that are `closed` are not asked.
    """
    served = [
        (method, sorted(s for s in allowed if method.serves(s) and method.host_of(s) not in closed))
        for method in methods
    ]
    blocks = "".join(method.block(json.dumps(sources)) for method, sources in served if sources)
    return f"disable_checkpoint = true\nprovider_installation {{\n{blocks}}}\n"


def _packages(folder: Path, entry: Locked) -> list[Path]:
    """This machine's packages of an entry in a folder of Terraform's making: one or none."""
    if not _ADDRESS.fullmatch(f"{entry.address}/{entry.version}"):
        return []
    return [place.resolve() for place in (folder / entry.address / entry.version).glob("*")]


def _h1(package: Path) -> str:
    """Terraform's hash of an unpacked package: of the names and SHA-256 sums of its files."""
    sums = {}
    for path in package.rglob("*"):
        if path.is_file():
            with path.open("rb") as content:
                sums[path.relative_to(package).as_posix()] = hashlib.file_digest(content, "sha256").hexdigest()
    listed = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    return f"h1:{b64encode(hashlib.sha256(listed.encode()).digest()).decode()}"


def _mirror(wanted: str) -> Path:
    mirror = Path(wanted)
    if not mirror.is_absolute() or not mirror.is_dir():
        raise ToolchainError(f"The provider mirror {wanted} is not a directory")
    if os.geteuid() == 0 and not is_open_to_others(mirror):
        raise ToolchainError(
            f"The provider mirror {wanted} cannot be read by the user that Terraform runs as",
            hint="Open every directory on the way for all users (chmod a+rx), or move the mirror.",
        )
    return mirror


def _open(mirror: Path) -> None:
    """Let every user enter the directories."""
    for directory, _, _ in os.walk(mirror):
        Path(directory).chmod(0o755)
