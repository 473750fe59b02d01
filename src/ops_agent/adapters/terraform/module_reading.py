"""The Terraform of fetched modules, read for the rules: configurations and templates of the directories that a plan loads."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator
from pathlib import Path

from ops_agent.adapters.terraform.module_store import Kept
from ops_agent.core.sources.module_calls import is_configuration
from ops_agent.core.sources.module_sources import ModuleCall
from ops_agent.core.sources.reading_terraform import MAX_BYTES
from ops_agent.domain.fetched_modules import FetchedModules

_TEMPLATES = (".tpl", ".tftpl", ".tmpl", ".template")
_MOST_TEMPLATES = 500


def read_fetched(root: str, calls: Iterable[ModuleCall], kept: Kept) -> FetchedModules:
    """What `kept` holds of the packages that `calls`, the remote calls of `root` on the base, brought.

    A directory is named after the first key that leads to it (`infra/module:vpc`): `:` is in no path that may be written. Of a file that is
    too large for the readers so much is read that they say so.
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
    by_call = {(of_key[caller], name): where for key, where in of_key.items() for caller, name in [_split(key)] if caller in of_key}
    by_source = {(call.source or "", call.version): of_key[call.key] for call in reversed(list(calls)) if call.key in of_key}
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
