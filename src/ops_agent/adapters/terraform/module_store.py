"""The modules that one fetch brought: what is kept of them, what a cell is given of that, and what the rules read."""

from __future__ import annotations

import json
import os
import posixpath
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ops_agent.adapters.terraform.cells import Cell
from ops_agent.model.terraform import FetchedModules
from ops_agent.terraform.hcl_tree_sitter import MAX_BYTES
from ops_agent.terraform.module_sources import ModuleCall
from ops_agent.terraform.modules import is_configuration

MAX_MODULE_FILES, MAX_MODULE_BYTES = 20_000, 200 << 20
_SHUT = frozenset({".git", ".terraform", ".hg", ".svn", ".terragrunt-cache"})
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TEMPLATES = (".tpl", ".tftpl", ".tmpl", ".template")
_MAX_TEMPLATES = 500


class NotKept(ValueError):
    """A fetched module that is not kept; `key` is the module's, the text says why."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry of Terraform's manifest. `package` is the number of a kept package (None: a module of the repository),
    `inside` a path in it.
    """

    key: str
    source: str = ""
    version: str = ""
    package: int | None = None
    inside: str = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was fetched for a root: packages in `folder`, by their numbers; `commits` are those of packages that came by
    git; `dropped` are paths that were left out.
    """

    folder: Path
    records: tuple[Record, ...]
    commits: Mapping[int, str]
    dropped: tuple[str, ...] = ()


# What is kept: plain files and links that stay inside, bounded.


def keep(modules: Path, folder: Path) -> Kept:
    """Copy what the manifest of `modules` (a data directory's) names into `folder`, one numbered directory for each
    package. Links that leave their package are dropped and named. Raises NotKept.
    """
    packages: dict[tuple[str, str], int] = {}
    number_of: dict[str, int] = {}
    commits: dict[int, str] = {}
    records: list[Record] = []
    dropped: list[str] = []
    left = _Left(MAX_MODULE_FILES, MAX_MODULE_BYTES)
    for entry in sorted(_manifest(modules), key=lambda e: e["Key"]):
        record = Record(key=entry["Key"], source=entry["Source"], version=entry.get("Version", ""))
        place = Path(entry["Dir"])
        if not place.is_relative_to(modules):
            if place.is_absolute():
                raise NotKept(record.key, f"it was put to {place.name}, outside of what was fetched")
            records.append(record)
            continue
        top, *inside = place.relative_to(modules).parts
        if top not in number_of:
            # A package that is called twice is kept once; of the second copy Terraform leaves `.git` out.
            package = (_package(record.source), record.version)
            here, is_new = modules / top, package not in packages
            number = number_of[top] = packages.setdefault(package, len(packages))
            commits[number] = commits.get(number) or _commit(here)
            if is_new:
                if here.is_symlink() or not here.is_dir():
                    raise NotKept(record.key, "it is a link to a path of this machine")
                dropped += [f"{top}/{name}" for name in _copy(here, folder / str(number), record.key, left)]
        records.append(replace(record, package=number_of[top], inside="/".join(inside) or "."))
    return Kept(folder=folder, records=tuple(records), commits=commits, dropped=tuple(dropped))


def size_of(folder: Path, most: int) -> int:
    """Bytes of the files below `folder`, counted until they are more than `most`."""
    size = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            try:
                size += Path(directory, name).lstat().st_size
            except OSError:
                continue
        if size > most:
            break
    return size


@dataclass(slots=True)
class _Left:
    """What may still come."""

    files: int
    bytes: int


def _manifest(modules: Path) -> list[dict[str, str]]:
    try:
        document = json.loads((modules / "modules.json").read_text(encoding="utf-8"))
        return [{str(k): str(v) for k, v in entry.items()} for entry in document["Modules"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _package(source: str) -> str:
    """A source without the path inside its package."""
    head, _, query = source.partition("?")
    scheme, separator, rest = head.partition("://")
    address = f"{scheme}{separator}{rest.partition('//')[0]}" if separator else head.partition("//")[0]
    return f"{address}?{query}" if query else address


def _commit(package: Path) -> str:
    """The commit that git checked out, empty when the package did not come by git."""
    git = package / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="ascii").strip()
        if head.startswith("ref: "):
            head = (git / head.removeprefix("ref: ")).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return head if _COMMIT.fullmatch(head) else ""


def _copy(package: Path, target: Path, key: str, left: _Left) -> Iterator[str]:
    """Copy regular files and inner links; yields what is left out. Raises NotKept."""
    real = package.resolve()
    for directory, directories, names in os.walk(package):
        here = Path(directory)
        place = target / here.relative_to(package)
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o755)
        links = [name for name in directories if (here / name).is_symlink()]
        directories[:] = sorted(set(directories) - _SHUT - set(links))
        for name in sorted({*names, *links} - _SHUT):
            path = here / name
            left.files -= 1
            if path.is_symlink() and _stays(path, real):
                (place / name).symlink_to(path.readlink())
            elif path.is_file() and not path.is_symlink():
                left.bytes -= path.stat().st_size
                if left.bytes >= 0:
                    shutil.copyfile(path, place / name, follow_symlinks=False)
                    (place / name).chmod(0o644)
            else:
                yield str(path.relative_to(package))
            if min(left.files, left.bytes) < 0:
                most = f"{MAX_MODULE_FILES:,} files or {MAX_MODULE_BYTES >> 20} MB"
                raise NotKept(key, f"the modules of this root hold more than {most}")


def _stays(link: Path, real: Path) -> bool:
    """Whether a link leads, as it is written and in fact, to something in the same package that is copied too."""
    try:
        inside = link.resolve(strict=True).relative_to(real)
        written = posixpath.normpath(link.parent.resolve().relative_to(real) / link.readlink())
    except (OSError, ValueError, RuntimeError):
        return False
    return written.partition("/")[0] not in ("", "..") and not _SHUT & set(inside.parts)


# What a cell is given: a manifest, and packages beside it, so that `init` finds every module that the base calls and
# fetches none.


def records_for(calls: Sequence[ModuleCall], base: Iterable[ModuleCall], kept: Kept) -> tuple[Record, ...]:
    """Records for `calls`: those of the repository's own modules, and, for each call whose source and version are on
    the base, that module with all that it calls, under the call's key. A remote call that is not on the base gets none.

    `base` are the base's remote calls. Of one source and version they got the same package.
    """
    known = {record.key for record in kept.records}
    on_base = {(call.source, call.version): call.key for call in base if call.key in known}
    found = [Record(key="")]
    for call in calls:
        key = on_base.get((call.source, call.version))
        if call.is_local:
            found.append(Record(key=call.key, source=_normal(call.source or "")))
        elif key is not None:
            found += [
                replace(record, key=f"{call.key}{record.key.removeprefix(key)}")
                for record in kept.records
                if record.key == key or record.key.startswith(f"{key}.")
            ]
    return tuple(found)


def install(cell: Cell, root: str, calls: Sequence[ModuleCall], records: Sequence[Record], kept: Kept) -> None:
    """Write the manifest to the cell's data directory and the packages beside it. Packages are ours and only read; the
    manifest is the child's, because every init writes it.

    Paths in it are relative to the root, so that `path.module` has the same value in every cell.
    """
    packages = cell.data / "fetched"
    packages.mkdir()
    packages.chmod(0o755)
    for number in {record.package for record in records} - {None}:
        shutil.copytree(kept.folder / str(number), packages / str(number), symlinks=True)
    own = {call.key: posixpath.join(call.directory, call.source or "") for call in calls if call.is_local}
    entries = []
    for record in records:
        if record.package is None:
            where = posixpath.relpath(own.get(record.key, root), root)
        else:
            where = os.path.relpath(packages / str(record.package) / record.inside, cell.work / root)
        version = {"Version": record.version} if record.version else {}
        entries.append({"Key": record.key, "Source": record.source, **version, "Dir": where})
    modules = cell.data / "modules"
    modules.mkdir(mode=0o700, exist_ok=True)
    manifest = modules / "modules.json"
    manifest.write_text(json.dumps({"Modules": entries}), encoding="utf-8")
    manifest.chmod(0o600)
    if cell.uid is not None:
        for path in (modules, manifest):
            os.chown(path, cell.uid, cell.uid)


def _normal(source: str) -> str:
    """A local source as Terraform writes it: cleaned, and with a dot in front."""
    clean = posixpath.normpath(source)
    return clean if clean.startswith("../") or clean == ".." else f"./{clean}" if clean != "." else "./"


# What the rules read: configurations and templates of the directories that a plan loads.


def read_fetched(root: str, calls: Iterable[ModuleCall], kept: Kept) -> FetchedModules:
    """What `kept` holds of the packages that `calls`, the remote calls of `root` on the base, brought.

    A directory is named after the first key that leads to it (`infra/module:vpc`): `:` is in no path that may be
    written. Of a file that is too large for the readers so much is read that they say so.
    """
    directory_of: dict[tuple[int, str], str] = {}
    of_key: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for record in kept.records:
        if record.package is None:
            continue
        place = (record.package, record.inside)
        if place not in directory_of:
            directory_of[place] = posixpath.normpath(posixpath.join(root, f"module:{record.key}"))
            folder = kept.folder / str(record.package) / record.inside
            for name in _names(folder):
                with (folder / name).open("rb") as file:
                    files[f"{directory_of[place]}/{name}"] = file.read(MAX_BYTES + 1)
        of_key[record.key] = directory_of[place]
    callers = ((key.rpartition("."), where) for key, where in of_key.items())
    return FetchedModules(
        files=files,
        by_source={(c.source or "", c.version): of_key[c.key] for c in calls if c.key in of_key},
        by_call={(of_key[caller], name): where for (caller, _, name), where in callers if caller in of_key},
    )


def _names(folder: Path) -> Iterator[str]:
    """Configurations of the directory itself, templates at any depth below it."""
    left = _MAX_TEMPLATES
    for directory, directories, names in os.walk(folder):
        directories.sort()
        here = Path(directory).relative_to(folder)
        for name in sorted(names):
            is_template = name.endswith(_TEMPLATES) and left > 0
            left -= is_template
            if is_template or (here == Path() and is_configuration(name)):
                yield (here / name).as_posix()
