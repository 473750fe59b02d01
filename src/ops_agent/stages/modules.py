"""Modules from outside the repository, fetched before anything that the llm wrote is run: by what the base commit calls."""

from __future__ import annotations

from collections.abc import Iterable

from ops_agent.core.sources.module_sources import module_files
from ops_agent.domain.layout import TerraformRoot
from ops_agent.domain.verification import CheckResult
from ops_agent.ports import BaseTree, World
from ops_agent.stages.verify_targets import redacted


def fetch_modules(world: World, base: BaseTree, roots: Iterable[TerraformRoot]) -> tuple[CheckResult, ...]:
    """One check for each of `roots` that calls a remote module on the base commit. A root that is new there calls none.

    Raises ToolchainError, NoSpace, Cancelled; what a module host does is a failed check.
    """
    paths = tuple(path for path, entry in base.entries().items() if entry.is_regular)
    found = []
    for root in roots:
        files = module_files(root, paths, base.read)
        if files:
            found.append(redacted(world.terraform.fetch_modules(root, files), world.redact))
    return tuple(found)
