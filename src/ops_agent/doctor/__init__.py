"""`ops-agent doctor`: is everything in place? Inputs, token, board, AWS, toolchain and layout, without a call of the
llm. The checks are in checks.py; one that fails never hides the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.config.policy_file import narrow_by_policy_file
from ops_agent.config.settings import Settings, read_inputs
from ops_agent.doctor.checks import CHECKS, NEEDS, regular_paths
from ops_agent.doctor.diagnosis import FAIL, OK, SKIP, WARN, Diagnosis, Setup, from_error
from ops_agent.model.errors import ConfigError, OpsAgentError
from ops_agent.model.ports import BaseTree
from ops_agent.model.terraform import Layout
from ops_agent.terraform.layout import discover_layout
from ops_agent.terraform.links import FollowedTree
from ops_agent.wiring import actions_world


def diagnose(folder: Path | None, environment: Mapping[str, str]) -> list[Diagnosis]:
    """Every diagnosis, in the order of the checks. Never raises OpsAgentError.

    `folder` is the checkout that somebody named; `environment` holds the runner's variables and `INPUT_*`.
    """
    settings, problems, wrong = read_inputs(environment)
    found = [Diagnosis("inputs", FAIL, problem) for problem in problems]
    found = found or [Diagnosis("inputs", OK, "all inputs can be read")]
    try:
        with actions_world(settings, environment) as world:
            settings, tree, layout = read_repository(folder, settings, found)
            setup = Setup(
                settings=settings, world=world, environment=environment, tree=tree, layout=layout, wrong=wrong
            )
            return found + examine(setup)
    except OpsAgentError as error:
        return [*found, from_error("set-up", error)]


def read_repository(
    folder: Path | None, settings: Settings, found: list[Diagnosis]
) -> tuple[Settings, BaseTree | None, Layout | None]:
    """The narrowed settings, the files of the checkout's HEAD, and their layout; problems go to `found`."""
    health = SKIP if folder is None else FAIL  # a runner needs no checkout; one that was named must be there
    try:
        objects = GitObjects(folder or Path())
        head = objects.commit_of("HEAD")
    except OpsAgentError as error:
        what, hint = f"there is no checkout to read: {error}", "Name one with --repo PATH."
        found.append(Diagnosis("layout", health, what, hint) if folder is None else from_error("layout", error))
        return settings, None, None
    if head is None:
        hint = "Commit the files that ops-agent should start from."
        found.append(Diagnosis("layout", health, "the checkout has no commit", hint))
        return settings, None, None
    stored = GitTree(objects, head)
    try:
        settings = narrow_by_policy_file(settings, stored)
    except ConfigError as error:
        found += [Diagnosis("policy file", FAIL, what, error.hint) for what in error.problems or (str(error),)]
    tree = FollowedTree(stored)
    return settings, tree, discover_layout(regular_paths(tree), tree.read, settings.policy)


def examine(setup: Setup) -> list[Diagnosis]:
    """All checks, without those that need an input that cannot be used: they would judge a default."""
    found: list[Diagnosis] = []
    for subject, check in CHECKS.items():
        if unusable := sorted(setup.wrong & NEEDS.get(subject, frozenset())):
            what = f"skipped, because {' and '.join(f'`{name}`' for name in unusable)} cannot be used"
            found.append(Diagnosis(subject, SKIP, what))
            continue
        try:
            found += check(setup)
        except OpsAgentError as error:
            found.append(from_error(subject, error))
    return found


def show(diagnoses: Iterable[Diagnosis], stream: TextIO) -> int:
    """Write the diagnoses as lines; returns the exit code: 2 when one of them is FAIL, else 0."""
    diagnoses = list(diagnoses)
    for one in diagnoses:
        stream.write(f"{one.health:<4}  {one.subject}: {one.what}\n")
        if one.hint and one.health is not OK:
            first, *more = one.hint.split("\n")
            stream.write(f"      -> {first}\n" if not more else "".join(f"      {line}\n" for line in (first, *more)))
    failed = sum(one.health is FAIL for one in diagnoses)
    warned = sum(one.health is WARN for one in diagnoses)
    skipped = ", ".join(dict.fromkeys(one.subject for one in diagnoses if one.health is SKIP))
    summary = [
        f"{failed} failure{'s' if failed > 1 else ''} to fix before a run can succeed." if failed else "No failures."
    ]
    summary += [f"Skipped: {skipped}."] if skipped else []
    summary += [f"{warned} warning{'s' if warned > 1 else ''}."] if warned else []
    stream.write(" ".join(summary) + "\n")
    return 2 if failed else 0
