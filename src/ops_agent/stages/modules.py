"""Modules from outside the repository, fetched before anything that the llm wrote is run: by what the base commit calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ops_agent.core.sources.module_sources import module_files
from ops_agent.domain.fetched_modules import FetchedModules
from ops_agent.domain.layout import TerraformRoot
from ops_agent.domain.verification import CheckResult
from ops_agent.ports import BaseTree, World
from ops_agent.stages.verify_targets import redacted


def fetched_modules(world: World, base: BaseTree, roots: Iterable[TerraformRoot]) -> FetchedModules:
    """What the base's calls of remote modules brought, for the rules to read. Raises what `fetch_modules` does."""
    calling = _calling(base, roots)
    if calling:
        world.terraform.self_test()
    for root, files in calling:
        world.terraform.fetch_modules(root, files)
    return FetchedModules.joined(world.terraform.fetched_modules(root) for root, _ in calling)


def fetch_modules(world: World, base: BaseTree, roots: Iterable[TerraformRoot]) -> tuple[CheckResult, ...]:
    """One check for each of `roots` that calls a remote module on the base commit. A root that is new there calls none.

    Raises ToolchainError, NoSpace, Cancelled; what a module host does is a failed check.
    """
    return tuple(redacted(world.terraform.fetch_modules(root, files), world.redact) for root, files in _calling(base, roots))


def _calling(base: BaseTree, roots: Iterable[TerraformRoot]) -> list[tuple[TerraformRoot, Mapping[str, bytes]]]:
    """Those of `roots` that call a remote module on the base, each with the files that a fetch needs."""
    paths = tuple(path for path, entry in base.entries().items() if entry.is_regular)
    return [(root, files) for root in roots if (files := module_files(root, paths, base.read))]
