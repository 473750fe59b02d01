"""`ops-agent doctor`: is everything in place? Inputs, token, board, AWS, toolchain, layout, before anyone spends a token of an llm.

Each check gives diagnoses; a broken one never hides the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.cli import Command
from ops_agent.core.sources.layout import discover_layout
from ops_agent.doctor.checks import CHECKS
from ops_agent.doctor.diagnosis import Diagnosis, Health, Patient, from_error
from ops_agent.domain.layout import Layout
from ops_agent.errors import ConfigError, OpsAgentError
from ops_agent.ports import BaseTree
from ops_agent.settings import Settings
from ops_agent.stages.narrow import narrow_by_policy_file
from ops_agent.wiring import actions_world

__all__ = ["CHECKS", "Diagnosis", "Health", "Patient", "diagnose", "examine", "show"]


def diagnose(command: Command, environment: Mapping[str, str]) -> list[Diagnosis]:
    """Every diagnosis, in the order of the checks. `environment` holds the runner's variables and `INPUT_*`. Never raises OpsAgentError."""
    settings, found = _read_inputs(environment)
    try:
        with actions_world(settings, environment) as world:
            settings, tree, layout = look_at_repository(command.repository, settings, found)
            patient = Patient(settings=settings, world=world, environment=environment, tree=tree, layout=layout)
            return found + examine(patient)
    except OpsAgentError as error:
        return [*found, from_error("set-up", error)]


def examine(patient: Patient) -> list[Diagnosis]:
    """All checks over one patient."""
    found: list[Diagnosis] = []
    for subject, check in CHECKS.items():
        try:
            found += check(patient)
        except OpsAgentError as error:
            found.append(from_error(subject, error))
    return found


def show(diagnoses: Iterable[Diagnosis], stream: TextIO) -> int:
    """Write the diagnoses as lines; returns the exit code: 2 when one of them is FAIL, else 0."""
    failed = 0
    skipped: dict[str, None] = {}
    for one in diagnoses:
        failed += one.health is Health.FAIL
        if one.health is Health.SKIP:
            skipped[one.subject] = None
        stream.write(f"{one.health:<4}  {one.subject}: {one.what}\n")
        if one.hint and one.health is not Health.OK:
            first, *more = one.hint.split("\n")
            stream.write(f"      -> {first}\n" if not more else "".join(f"      {line}\n" for line in (first, *more)))
    if failed:
        stream.write(f"{failed} to fix before a run can succeed.\n")
    elif skipped:
        stream.write(f"Nothing to fix in what could be looked at; not looked at: {', '.join(skipped)}.\n")
    else:
        stream.write("Nothing stands in the way of a run.\n")
    return 2 if failed else 0


def _read_inputs(environment: Mapping[str, str]) -> tuple[Settings, list[Diagnosis]]:
    try:
        settings = Settings.from_inputs(environment)
    except ConfigError as error:
        return Settings(), [Diagnosis(subject="inputs", health=Health.FAIL, what=problem) for problem in error.problems]
    return settings, [Diagnosis(subject="inputs", health=Health.OK, what="all inputs can be used")]


def look_at_repository(folder: Path, settings: Settings, found: list[Diagnosis]) -> tuple[Settings, BaseTree | None, Layout | None]:
    """The files of the checkout's HEAD, the settings as its policy file narrows them, and its layout; what is wrong goes to `found`."""
    try:
        objects = GitObjects(folder)
        head = objects.commit_of("HEAD")
    except OpsAgentError as error:
        found.append(
            Diagnosis(subject="layout", health=Health.SKIP, what=f"no checkout to look at: {error}", hint="Name one with --repo PATH.")
        )
        return settings, None, None
    if head is None:
        found.append(Diagnosis(subject="layout", health=Health.SKIP, what="the checkout has no commit"))
        return settings, None, None
    tree = GitTree(objects, head)
    paths = [path for path, entry in tree.entries().items() if entry.is_regular]
    try:
        settings = narrow_by_policy_file(settings, tree)
    except ConfigError as error:
        found += [
            Diagnosis(subject="policy file", health=Health.FAIL, what=what, hint=error.hint) for what in error.problems or (str(error),)
        ]
    return settings, tree, discover_layout(paths, tree.read, settings.policy)
