"""`ops-agent doctor`: is everything in place? Inputs, repository, token, board, AWS, network, llm, toolchain, sandbox.

The checks are in checks.py and outside.py; one that fails never hides the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.adapters.network import network
from ops_agent.config.policy_file import narrow_by_policy_file
from ops_agent.config.settings import read_inputs
from ops_agent.doctor.checks import CHECKS, NEEDS
from ops_agent.doctor.diagnosis import FAIL, OK, SKIP, WARN, Diagnosis, Setup, from_error, summarised
from ops_agent.doctor.report import MARKER, as_page, headline
from ops_agent.guard.tree import source_tree
from ops_agent.model.errors import ConfigError, NotFound, OpsAgentError
from ops_agent.model.ports import BaseTree
from ops_agent.terraform.links import FollowedTree
from ops_agent.wiring import actions_world


def diagnose(folder: Path | None, environment: Mapping[str, str]) -> list[Diagnosis]:
    """Every diagnosis, in the order of the checks, without secrets. Never raises OpsAgentError.

    `folder` is the checkout that somebody named; `environment` holds the runner's variables and `INPUT_*`.
    """
    settings, problems, wrong = read_inputs(environment)
    found = [Diagnosis("inputs", FAIL, problem) for problem in problems]
    found = found or [Diagnosis("inputs", OK, "all inputs can be read")]
    try:
        with (
            network(environment, settings.ca_certificates) as way,
            actions_world(settings, environment) as world,
        ):
            setup = Setup(
                settings=settings,
                world=world,
                environment=environment,
                tree=None,
                layout=None,
                wrong=wrong,
                network=way,
            )
            found += examine(read_repository(folder, setup, found))
            last = {one.what: n for n, one in enumerate(found)}  # two checks may fail by the same error
            found = [one for n, one in enumerate(found) if one.health is not FAIL or last[one.what] == n]
            redact = world.redact
            found = [replace(one, what=redact(one.what), hint=redact(one.hint)) for one in found]
            if settings.doctor_issue and "doctor_issue" not in wrong:
                found.append(_kept_as_issue(setup, found))
            return found
    except OpsAgentError as error:
        return [*found, from_error("set-up", error)]


def read_repository(folder: Path | None, setup: Setup, found: list[Diagnosis]) -> Setup:
    """The set-up with the files of the checkout or of the base branch, their layout, and the narrowed settings; what
    was read, and problems, go to `found`.

    A job's workspace counts when it holds a checkout of the repository that would be changed; without one the base
    branch is read from GitHub, as a run does.
    """
    try:
        stored = _checkout(folder, setup, found) or (_base_branch(setup, found) if folder is None else None)
    except OpsAgentError as error:
        found.append(from_error("layout", error))
        return setup
    if stored is None:
        return setup
    settings = setup.settings
    try:
        settings = narrow_by_policy_file(settings, stored)
    except ConfigError as error:
        found += [Diagnosis("policy file", FAIL, what, error.hint) for what in error.problems or (str(error),)]
    found += [Diagnosis("names", WARN, notice) for notice in settings.notices]
    tree = FollowedTree(stored)
    return replace(setup, settings=settings, tree=tree, layout=source_tree(tree, settings.policy).layout)


def _checkout(folder: Path | None, setup: Setup, found: list[Diagnosis]) -> BaseTree | None:
    """The HEAD of the checkout that was named, or lies here. Raises OpsAgentError for one that was named."""
    place = folder or Path()
    if folder is None and setup.on_runner:
        own, workspace = setup.environment.get("GITHUB_REPOSITORY", ""), setup.environment.get("GITHUB_WORKSPACE")
        if not workspace or setup.repository.casefold() != own.casefold():
            return None
        place = Path(workspace)
    try:
        objects = GitObjects(place)
    except OpsAgentError:
        if folder is not None:
            raise
        return None
    head = objects.commit_of("HEAD")
    if head is None and folder is not None:
        hint = "Commit the files that ops-agent should start from."
        raise ConfigError("the checkout has no commit", hint=hint)
    if head is None:
        return None
    if folder is None:
        found.append(Diagnosis("layout", OK, f"read from the checkout at {place.absolute()}, commit {head[:12]}"))
    return GitTree(objects, head)


def _base_branch(setup: Setup, found: list[Diagnosis]) -> BaseTree | None:
    """The files that a run starts from. Raises OpsAgentError."""
    settings, repository, world = setup.settings, setup.repository, setup.world
    if not settings.github_token or not repository:
        hint = "Name one with --repo PATH." if not setup.on_runner else "Set `github_token`, or add actions/checkout."
        found.append(Diagnosis("layout", SKIP, "there is no checkout to read, and no token to read one with", hint))
        return None
    branch = settings.base_branch or world.issues.repository(repository).default_branch
    commit = world.branches.head(repository, branch)
    if commit is None:
        hint = "Correct the input `base_branch`." if settings.base_branch else "Push a first commit."
        raise NotFound(f"{repository} has no branch {branch}", hint=hint)
    found.append(Diagnosis("layout", OK, f"read from GitHub: `{branch}` of {repository}, commit {commit[:12]}"))
    return world.branches.tree(repository, commit)


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
    return [*summarised(found)]


def _kept_as_issue(setup: Setup, found: list[Diagnosis]) -> Diagnosis:
    if not setup.settings.github_token or not setup.repository:
        return Diagnosis("issue", SKIP, "`doctor_issue` needs a token and a repository", setup.elsewhere)
    environment, repository = setup.environment, setup.environment.get("GITHUB_REPOSITORY") or setup.repository
    run = environment.get("GITHUB_RUN_ID", "")
    server = environment.get("GITHUB_SERVER_URL", "https://github.com")
    by = f"\n\n<sub>[run {run}]({server}/{repository}/actions/runs/{run})</sub>" if run.isdigit() else ""
    title = f"ops-agent doctor: {headline(found).rstrip('.')}"
    try:
        kept = setup.world.issues.keep_issue(repository, MARKER, title, f"{MARKER}\n{as_page(found)}{by}\n")
    except OpsAgentError as error:
        return from_error("issue", error)
    return Diagnosis("issue", OK, f"this result is in {kept}")
