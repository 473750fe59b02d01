"""The modules of one run: each root's are fetched once, from its base commit, and given to every cell that the root is run in."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

from ops_agent.adapters.terraform.module_fetch import Fetched, ModuleFetch
from ops_agent.adapters.terraform.module_manifest import place, records_for
from ops_agent.adapters.terraform.module_reading import read_fetched
from ops_agent.adapters.terraform.sandbox import Cell
from ops_agent.core.sources.module_calls import is_configuration
from ops_agent.core.sources.module_sources import module_calls
from ops_agent.domain.fetched_modules import FetchedModules
from ops_agent.domain.layout import TerraformRoot
from ops_agent.domain.verdict import Finding
from ops_agent.domain.verification import CheckResult


class ModuleSupply:
    """What was fetched, by the root's path. Safe from several threads."""

    def __init__(self, fetch: ModuleFetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._fetched: dict[str, Fetched] = {}

    def cancel(self) -> None:
        self._fetch.cancel()

    def fetch(self, root: TerraformRoot, files: Mapping[str, bytes]) -> CheckResult:
        """Fetch for `root`, or tell again what came of it. Raises ToolchainError, NoSpace, Cancelled."""
        with self._lock:
            if root.path not in self._fetched:
                self._fetched[root.path] = self._fetch.fetch(root, files)
            return self._fetched[root.path].check

    def read(self, root: TerraformRoot) -> FetchedModules:
        """The Terraform of what came for `root`, to be judged; nothing when nothing came."""
        fetched = self._fetched.get(root.path)
        if fetched is None or fetched.kept is None:
            return FetchedModules()
        return read_fetched(root.path, fetched.calls, fetched.kept)

    def names(self, root: TerraformRoot) -> tuple[str, ...]:
        """A line for each module that came, with its version or commit."""
        fetched = self._fetched.get(root.path)
        return fetched.names if fetched is not None else ()

    def give(self, cell: Cell, root: TerraformRoot) -> tuple[Finding, ...]:
        """Lay what the tree in `cell.work` calls and the base had into the cell's data directory; or why it is not there.

        A call that the base has not, with this source and version, gets nothing: its `init` fails with a finding of its own.
        """
        fetched = self._fetched.get(root.path)
        if fetched is None:
            return ()
        calls = module_calls(root, _configurations(cell.work), lambda path: (cell.work / path).read_bytes())
        if fetched.kept is None:
            wanted = {(call.source, call.version) for call in calls}
            gone = {(c.path, c.line) for c in fetched.calls if (c.source, c.version) not in wanted}
            return tuple(f for f in fetched.check.findings if (f.place.path, f.place.line) not in gone)
        records = records_for(calls, {call.key: call for call in fetched.calls}, fetched.kept)
        place(cell, root.path, calls, records, fetched.kept)
        return ()


def _configurations(work: Path) -> list[str]:
    found = []
    for directory, _, names in os.walk(work):
        found += [str(Path(directory, name).relative_to(work)) for name in names if is_configuration(name)]
    return found
