"""Before anything is run: the engine that fits the repository, and what its roots need and have not."""

from __future__ import annotations

from ops_agent.config.settings import Settings
from ops_agent.guard.needs import Need, by_words, engine_wish, needs_of
from ops_agent.guard.tree import source_tree
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import BaseTree, World
from ops_agent.model.terraform import Layout, TerraformRoot

_MOST = 3


def find_needs(world: World, settings: Settings, base: BaseTree, layout: Layout) -> tuple[Need, ...]:
    """Choose the engine, and say what the roots of `layout` need. Raises ToolchainError when there is no engine."""
    tree, roots = source_tree(base, settings.policy), _served(settings, layout)
    world.terraform.choose_engine([engine_wish(tree, root) for root in roots])
    if not roots:
        return ()
    return needs_of(tree, roots, world.terraform.engine(), lambda e: world.cloud.unplanned_reason(e) is None)


def lines_of(needs: tuple[Need, ...]) -> tuple[str, ...]:
    """One line for each thing that is needed, with the first places and the remedy."""
    return tuple(f"{named(places)}: {what}. {remedy}" for (what, remedy, _), places in by_words(needs).items())


def named(places: tuple[str, ...]) -> str:
    more = f" and {len(places) - _MOST} more" if len(places) > _MOST else ""
    return ", ".join(places[:_MOST]) + more


def stopped_by(needs: tuple[Need, ...], settings: Settings, layout: Layout) -> Stopped | None:
    """Why no change could be planned: each root needs something that it has not. None when one can be served."""
    stopping = tuple(need for need in needs if need.stops)
    roots = {root.path for root in _served(settings, layout)}
    if not roots or roots - {need.root for need in stopping}:
        return None
    (what, remedy, _), places = next(iter(by_words(stopping).items()))
    return Stopped(
        Conclusion.TOOLCHAIN_FAILED,
        f"Nothing can be planned here. {named(places)}: {what}.",
        remedy,
        findings=tuple(need.finding for need in stopping),
    )


def _served(settings: Settings, layout: Layout) -> list[TerraformRoot]:
    """Roots with an environment that is asked for."""
    wanted = settings.environments
    return [r for r in layout.roots if any(not wanted or e.name in wanted for e in r.environments)]
