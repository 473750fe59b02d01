"""A repository's policy file over the action's inputs: it may take away, never add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ops_agent.domain.policy import PolicyFile
from ops_agent.errors import ConfigError
from ops_agent.settings import Settings

WIDENING_REMEDY = "Take these entries out of the policy file; where an input is named, it can allow more in the workflow file."
_INPUTS = frozenset({"allowed_providers", "allowed_modules", "environments", "max_turns", "max_cost_usd"})
"""The limits that an input of the same name sets; the others are built in."""


def narrow(settings: Settings, file: PolicyFile) -> Settings:
    """`settings` with the limits of `file`, which is silent where it says None.

    Raises ConfigError with every line of the file that would widen what the inputs allow: a limit that is not understood is no limit.
    """
    policy, limits, problems = settings.policy, settings.limits, list[str]()

    def part(name: str, asked: tuple[str, ...] | None, given: tuple[str, ...], covers: Callable[[str, str], bool]) -> tuple[str, ...]:
        if asked is None:
            return given
        kept: list[str] = []
        for entry in asked:
            matching = [one for one in given if covers(one, entry)]
            if not matching:
                where = f"by the input `{name}`" if name in _INPUTS else "by the built-in list"
                problems.append(f"`{name}`: {entry!a} is not allowed {where}, and the file can only take away")
            kept += [max(entry, one, key=len) for one in matching]  # the longer of the two is the narrower
        return tuple(dict.fromkeys(kept))

    def at_most(name: str, asked: float | None, given: float) -> float:
        if asked is not None and asked > given:
            limit = f"{given:g} of the input `{name}`" if name in _INPUTS else f"built-in limit of {given:g}"
            problems.append(f"`{name}`: {asked:g} is more than the {limit}")
        return given if asked is None else min(asked, given)

    if file.workflows and not policy.allow_workflow_files:
        problems.append("`workflows`: workflow files are not allowed, and the file can only take away")
    environments = settings.environments
    if file.environments is not None:
        environments = part("environments", file.environments, environments or file.environments, _equal)
    narrowed = replace(
        settings,
        environments=environments,
        policy=replace(
            policy,
            allowed_providers=part("allowed_providers", file.allowed_providers, policy.allowed_providers, _same_provider),
            allowed_modules=part("allowed_modules", file.allowed_modules, policy.allowed_modules, _below),
            allowed_uses=part("allowed_uses", file.allowed_uses, policy.allowed_uses, _equal_without_case),
            allowed_secrets=part("allowed_secrets", file.allowed_secrets, policy.allowed_secrets, _equal),
            allow_workflow_files=policy.allow_workflow_files and file.workflows is not False,
            closed_paths=tuple(dict.fromkeys((*policy.closed_paths, *file.closed_paths))),
            layout=file.layout,
        ),
        limits=replace(
            limits,
            max_files=int(at_most("max_files", file.max_files, limits.max_files)),
            max_turns=int(at_most("max_turns", file.max_turns, limits.max_turns)),
            max_cost_usd=at_most("max_cost_usd", file.max_cost_usd, limits.max_cost_usd),
        ),
    )
    if problems:
        raise ConfigError(
            f"the policy file on the base branch would widen what the workflow allows: {'; '.join(problems)}",
            problems=tuple(problems),
            hint=WIDENING_REMEDY,
        )
    return narrowed


def _equal(given: str, asked: str) -> bool:
    return given == asked


def _equal_without_case(given: str, asked: str) -> bool:
    return given.casefold() == asked.casefold()


def _same_provider(given: str, asked: str) -> bool:
    """`hashicorp/aws` in the file means that provider in every registry that the inputs name."""
    return given == asked or (asked.count("/") == 1 and given.endswith(f"/{asked}"))


def _below(given: str, asked: str) -> bool:
    """A module source is narrower than the prefix that it starts with."""
    return asked.startswith(given)
