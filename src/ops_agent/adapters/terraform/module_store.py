"""What a module fetch left on disk -> what is kept of it: plain files, links that stay inside, bounded, and the
manifest's records.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops_agent.adapters.terraform.confinement import Cell
from ops_agent.model.terraform import FetchedModules
from ops_agent.terraform.hcl import MAX_BYTES
from ops_agent.terraform.modules import ModuleCall, is_configuration

MOST_FILES, MOST_BYTES = 20_000, 200 << 20
_SHUT = frozenset({".git", ".terraform", ".hg", ".svn", ".terragrunt-cache"})
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Refused(ValueError):
    """A fetched module that is not kept; `key` is the module's, the text says why."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry of the manifest. `package` is the number of a kept package (None: a module of the repository), `inside`
    a path in it.
    """

    key: str
    source: str
    version: str
    package: int | None = None
    inside: str = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was fetched for a root. `packages` lie in `folder` by their numbers; `commits` are those of packages that
    came by git.
    """

    folder: Path
    records: tuple[Record, ...]
    commits: Mapping[int, str]
    dropped: tuple[str, ...] = ()


def keep(modules: Path, folder: Path) -> Kept:
    """Copy what the manifest of `modules` (a data directory's) names into `folder`, one numbered directory for each
    package.

    A package is copied once however often it is called. Links that leave their package are dropped and named. Raises
    Refused.
    """
    entries = _manifest(modules)
    packages: dict[tuple[str, str], int] = {}
    number_of: dict[str, int] = {}
    commits: dict[int, str] = {}
    records: list[Record] = []
    dropped: list[str] = []
    left = [MOST_FILES, MOST_BYTES]
    for entry in sorted(entries, key=lambda e: e["Key"]):
        key, source, version, place = entry["Key"], entry["Source"], entry.get("Version", ""), Path(entry["Dir"])
        if not place.is_relative_to(modules):
            if place.is_absolute():
                raise Refused(key, f"it was put to {place.name}, outside of what was fetched")
            records.append(Record(key=key, source=source, version=version))
            continue
        top, *inside = place.relative_to(modules).parts
        if top not in number_of:
            package = (_package(source), version)
            # A module called by a path inside a package that a shallower call brought has that package's directory.
            here, is_new = modules / top, package not in packages
            number = packages.setdefault(package, len(packages))
            # Terraform copies a package that it has already, without `.git`.
            commits[number] = commits.get(number) or _commit(here)
            if is_new:
                if here.is_symlink() or not here.is_dir():
                    raise Refused(key, "it is a link to a path of this machine")
                dropped += [f"{top}/{name}" for name in _copy(here, folder / str(number), key, left)]
            number_of[top] = number
        records.append(
            Record(
                key=key,
                source=source,
                version=version,
                package=number_of[top],
                inside=posixpath.join(*inside) if inside else ".",
            )
        )
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


def _manifest(modules: Path) -> list[dict[str, str]]:
    try:
        document = json.loads((modules / "modules.json").read_text(encoding="utf-8"))
        entries = document["Modules"]
        return [{str(k): str(v) for k, v in entry.items()} for entry in entries]
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
    try:
        head = (package / ".git" / "HEAD").read_text(encoding="ascii").strip()
        if head.startswith("ref: "):
            name = head.removeprefix("ref: ")
            loose = package / ".git" / name
            packed = (package / ".git" / "packed-refs").read_text(encoding="utf-8") if not loose.is_file() else ""
            head = (
                loose.read_text(encoding="ascii").strip()
                if not packed
                else next(x[:40] for x in packed.splitlines() if x.endswith(name))
            )
    except (OSError, ValueError, StopIteration):
        return ""
    return head if _COMMIT.fullmatch(head) else ""


def _copy(package: Path, target: Path, key: str, left: list[int]) -> Iterator[str]:
    """Copy regular files and inner links; yields what is left out. `left` are the files and bytes that may still come."""
    real = package.resolve()
    for directory, directories, names in os.walk(package):
        here = Path(directory)
        place = target / here.relative_to(package)
        place.mkdir(parents=True, exist_ok=True)
        links = [name for name in directories if (here / name).is_symlink()]
        directories[:] = sorted(name for name in directories if name not in _SHUT and name not in links)
        for name in sorted((*names, *links)):
            path = here / name
            if name in _SHUT:
                continue
            left[0] -= 1
            if path.is_symlink():
                if not _stays(path, real):
                    yield str(path.relative_to(package))
                    continue
                (place / name).symlink_to(path.readlink())
            elif path.is_file():
                left[1] -= path.stat().st_size
                if left[1] >= 0:
                    shutil.copyfile(path, place / name, follow_symlinks=False)
            else:
                yield str(path.relative_to(package))
            if min(left) < 0:
                raise Refused(
                    key, f"the modules of this root hold more than {MOST_FILES:,} files or {MOST_BYTES >> 20} MB"
                )


def _stays(link: Path, real: Path) -> bool:
    """Whether a link leads, step by step and in fact, to something in the same package that is copied too."""
    text = link.readlink()
    try:
        depth = len(link.parent.resolve().relative_to(real).parts)
        inside = link.resolve(strict=True).relative_to(real)
    except (OSError, ValueError, RuntimeError):
        return False
    for part in text.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return not text.is_absolute() and not _SHUT & set(inside.parts)


# The manifest and packages that a cell is given, so that its `init` finds every module that the base calls and
# fetches none.

FETCHED = "fetched"


def records_for(calls: Sequence[ModuleCall], base: Mapping[str, ModuleCall], kept: Kept) -> tuple[Record, ...]:
    """Records for `calls`: those of the repository's own modules, and, for each call whose source and version are on
    the base, that module with all that it calls, under the call's key. A remote call that is not on the base gets none.

    `base` are the base's remote calls by key.
    """
    by_key = {record.key: record for record in kept.records}
    on_base = {(call.source, call.version): key for key, call in reversed(list(base.items())) if key in by_key}
    found = [Record(key="", source="", version="")]
    for call in calls:
        if call.is_local:
            found.append(Record(key=call.key, source=_normal(call.source or ""), version=""))
            continue
        key = (
            call.key
            if _same(base.get(call.key), call) and call.key in by_key
            else on_base.get((call.source, call.version))
        )
        if key is None:
            continue
        for record in kept.records:
            if record.key == key or record.key.startswith(f"{key}."):
                own = f"{call.key}{record.key[len(key) :]}"
                found.append(
                    Record(
                        key=own,
                        source=record.source,
                        version=record.version,
                        package=record.package,
                        inside=record.inside,
                    )
                )
    return tuple(found)


def place(cell: Cell, root: str, calls: Sequence[ModuleCall], records: Sequence[Record], kept: Kept) -> None:
    """Write the manifest to the cell's data directory and the packages beside it. Packages are ours and only read; the
    manifest is the child's, because every init writes it.

    Paths in it are relative to the root, so that `path.module` has the same value in every cell.
    """
    working = cell.work / root
    directories = {
        call.key: posixpath.relpath(posixpath.normpath(posixpath.join(call.directory, call.source or "")), root)
        for call in calls
        if call.is_local
    }
    packages = cell.data / FETCHED
    entries = []
    for record in records:
        if record.package is None:
            where = directories.get(record.key, ".")
        else:
            where = os.path.relpath(packages / str(record.package) / record.inside, working)
        version = {"Version": record.version} if record.version else {}
        entries.append({"Key": record.key, "Source": record.source, **version, "Dir": where})
    for number in sorted({record.package for record in records if record.package is not None}):
        if not (packages / str(number)).exists():
            shutil.copytree(kept.folder / str(number), packages / str(number), symlinks=True)
    for directory, _, names in os.walk(packages):
        Path(directory).chmod(0o755)
        for name in names:
            file = Path(directory, name)
            if not file.is_symlink():
                file.chmod(0o644)
    modules = cell.data / "modules"
    modules.mkdir(mode=0o700, exist_ok=True)
    manifest = modules / "modules.json"
    manifest.write_text(json.dumps({"Modules": entries}), encoding="utf-8")
    manifest.chmod(0o600)
    if cell.uid is not None:
        for path in (modules, manifest):
            os.chown(path, cell.uid, cell.uid)


def _same(one: ModuleCall | None, other: ModuleCall) -> bool:
    return one is not None and (one.source, one.version) == (other.source, other.version)


def _normal(source: str) -> str:
    """A local source as Terraform writes it: cleaned, and with a dot in front."""
    clean = posixpath.normpath(source)
    return clean if clean.startswith("../") or clean == ".." else f"./{clean}" if clean != "." else "./"


# The Terraform of fetched modules, read for the rules: configurations and templates of the directories that a plan
# loads.

_TEMPLATES = (".tpl", ".tftpl", ".tmpl", ".template")
_MOST_TEMPLATES = 500


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
            files.update({f"{directory_of[place]}/{name}": _head(folder / name) for name in _names(folder)})
        of_key[record.key] = directory_of[place]
    by_call = {
        (of_key[caller], name): where
        for key, where in of_key.items()
        for caller, name in [_split(key)]
        if caller in of_key
    }
    by_source = {
        (call.source or "", call.version): of_key[call.key] for call in reversed(list(calls)) if call.key in of_key
    }
    return FetchedModules(files=files, by_source=by_source, by_call=by_call)


def _names(folder: Path) -> Iterator[str]:
    """Configurations of the directory itself, templates at any depth below it."""
    left = _MOST_TEMPLATES
    for directory, directories, names in os.walk(folder):
        directories.sort()
        here = Path(directory).relative_to(folder)
        for name in sorted(names):
            is_template = name.endswith(_TEMPLATES) and left > 0
            left -= is_template
            if is_template or (here == Path() and is_configuration(name)):
                yield (here / name).as_posix()


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _split(key: str) -> tuple[str, str]:
    caller, _, name = key.rpartition(".")
    return caller, name
