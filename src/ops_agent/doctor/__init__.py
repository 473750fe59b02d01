"""`ops-agent doctor`: is everything in place? Inputs, token, board, AWS, toolchain, layout, before anyone spends a token of an llm.

Each check gives diagnoses; a broken one never hides the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TextIO

from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.cli import Command
from ops_agent.core.sources.layout import discover_layout
from ops_agent.doctor.checks import CHECKS, RESTS_ON
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
    settings, found, wrong = _read_inputs(environment)
    try:
        with actions_world(settings, environment) as world:
            settings, tree, layout = look_at_repository(command, settings, found)
            patient = Patient(settings=settings, world=world, environment=environment, tree=tree, layout=layout, wrong=wrong)
            return found + examine(patient)
    except OpsAgentError as error:
        return [*found, from_error("set-up", error)]


def examine(patient: Patient) -> list[Diagnosis]:
    """All checks over one patient; one that rests on an input that cannot be used is left out: it would judge a default."""
    found: list[Diagnosis] = []
    for subject, check in CHECKS.items():
        if unusable := sorted(patient.wrong & RESTS_ON.get(subject, frozenset())):
            what = f"not looked at, because {' and '.join(f'`{name}`' for name in unusable)} cannot be used"
            found.append(Diagnosis(subject=subject, health=Health.SKIP, what=what))
            continue
        try:
            found += check(patient)
        except OpsAgentError as error:
            found.append(from_error(subject, error))
    return found


def show(diagnoses: Iterable[Diagnosis], stream: TextIO) -> int:
    """Write the diagnoses as lines; returns the exit code: 2 when one of them is FAIL, else 0."""
    failed = warned = 0
    skipped: dict[str, None] = {}
    for one in diagnoses:
        failed += one.health is Health.FAIL
        warned += one.health is Health.WARN
        if one.health is Health.SKIP:
            skipped[one.subject] = None
        stream.write(f"{one.health:<4}  {one.subject}: {one.what}\n")
        if one.hint and one.health is not Health.OK:
            first, *more = one.hint.split("\n")
            stream.write(f"      -> {first}\n" if not more else "".join(f"      {line}\n" for line in (first, *more)))
    doubts = f" {warned} warning{'s' if warned > 1 else ''}: read them first." if warned else ""
    if failed:
        stream.write(f"{failed} to fix before a run can succeed.\n")
    elif skipped:
        stream.write(f"Nothing to fix in what could be looked at; not looked at: {', '.join(skipped)}.{doubts}\n")
    else:
        stream.write(f"Nothing stands in the way of a run.{doubts}\n")
    return 2 if failed else 0


def _read_inputs(environment: Mapping[str, str]) -> tuple[Settings, list[Diagnosis], frozenset[str]]:
    settings, reader = Settings.read_inputs(environment)
    found = [Diagnosis(subject="inputs", health=Health.FAIL, what=problem) for problem in reader.problems]
    return settings, found or [Diagnosis(subject="inputs", health=Health.OK, what="all inputs can be read")], frozenset(reader.wrong)


def look_at_repository(command: Command, settings: Settings, found: list[Diagnosis]) -> tuple[Settings, BaseTree | None, Layout | None]:
    """The files of the checkout's HEAD, the settings as its policy file narrows them, and its layout; what is wrong goes to `found`."""
    named = command.names_repository
    health = Health.FAIL if named else Health.SKIP  # a runner needs no checkout; one that was named must be there
    try:
        objects = GitObjects(command.repository)
        head = objects.commit_of("HEAD")
    except OpsAgentError as error:
        what, hint = (str(error), error.hint) if named else (f"no checkout to look at: {error}", "Name one with --repo PATH.")
        found.append(Diagnosis(subject="layout", health=health, what=what, hint=hint))
        return settings, None, None
    if head is None:
        hint = "Commit the files that ops-agent should start from."
        found.append(Diagnosis(subject="layout", health=health, what="the checkout has no commit", hint=hint))
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
