"""The manifest and packages that a cell is given, so that its `init` finds every module that stood on the base and fetches none."""

from __future__ import annotations

import json
import os
import posixpath
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops_agent.adapters.terraform.module_store import Kept, Record
from ops_agent.adapters.terraform.sandbox import Cell
from ops_agent.core.sources.module_sources import ModuleCall

FETCHED = "fetched"


def records_for(calls: Sequence[ModuleCall], base: Mapping[str, ModuleCall], kept: Kept) -> tuple[Record, ...]:
    """Records for `calls`: those of the repository's own modules, and, for each call whose source and version stood on the base, that
    module with all that it calls, under the call's key. A remote call that is not on the base gets none.

    `base` are the base's remote calls by key.
    """
    by_key = {record.key: record for record in kept.records}
    standing = {(call.source, call.version): key for key, call in reversed(list(base.items())) if key in by_key}
    found = [Record(key="", source="", version="")]
    for call in calls:
        if call.is_local:
            found.append(Record(key=call.key, source=_normal(call.source or ""), version=""))
            continue
        key = call.key if _same(base.get(call.key), call) and call.key in by_key else standing.get((call.source, call.version))
        if key is None:
            continue
        for record in kept.records:
            if record.key == key or record.key.startswith(f"{key}."):
                own = f"{call.key}{record.key[len(key) :]}"
                found.append(Record(key=own, source=record.source, version=record.version, package=record.package, inside=record.inside))
    return tuple(found)


def place(cell: Cell, root: str, calls: Sequence[ModuleCall], records: Sequence[Record], kept: Kept) -> None:
    """Write the manifest to the cell's data directory and the packages beside it. Packages are ours and only read; the manifest is the
    child's, because every init writes it.

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
