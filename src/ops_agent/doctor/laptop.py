"""Before a run on a laptop asks the llm: everything that can be checked without it, and all of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ops_agent.adapters.local.folder import base_commit, read_issue_file, require_free
from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.config.arguments import Command
from ops_agent.config.policy_file import POLICY_FILE, narrow_by_policy_file
from ops_agent.config.settings import Settings, read_inputs
from ops_agent.doctor import loadable_roots
from ops_agent.doctor.questions import questions
from ops_agent.model.errors import ConfigError, OpsAgentError
from ops_agent.model.policy import Policy
from ops_agent.model.ports import BaseTree
from ops_agent.model.terraform import Layout
from ops_agent.run.brief import require_environments
from ops_agent.terraform.layout import discover_layout, survey_of
from ops_agent.terraform.obstacles import broken_files
from ops_agent.wiring import terraform_of

_KEY = "Set ANTHROPIC_API_KEY in the environment"
_INPUTS = "give inputs with `--input name=value`"


class _Collected:
    """Errors that were met, each in its turn."""

    def __init__(self) -> None:
        self.errors: list[OpsAgentError] = []

    @contextmanager
    def trying(self) -> Iterator[None]:
        try:
            yield
        except OpsAgentError as error:
            self.errors.append(error)


def look_before_local_run(command: Command, inputs: Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    """The settings of the run, and doubts that do not stop it: no Terraform to work on, files that cannot be read.

    `inputs` are the environment with `INPUT_*`. Looks at the inputs, the issue's file, the repository, its policy file
    and environments, and, when something of these is wrong, at the engine as well (the run itself starts with it). One
    error is raised as it is; of several ConfigError names every one.
    """
    collected = _Collected()
    read = read_inputs(inputs, needs=("llm",))
    settings, problems, wrong = read
    if problems:
        steps = [_KEY] if "anthropic_api_key" in wrong and not settings.llm.anthropic_api_key else []
        steps += [_INPUTS] if wrong - {"anthropic_api_key"} or not steps else []
        hint = ", and ".join(steps) + "."
        error = read.error()
        error.hint = hint[0].upper() + hint[1:]
        collected.errors.append(error)
    if command.issue_file is not None:
        with collected.trying():
            read_issue_file(command.issue_file, "local/repository")
    doubts: tuple[str, ...] = ()
    with collected.trying():
        doubts = _look_at_repository(command, settings, collected, may_judge_environments="environments" not in wrong)
    if collected.errors and "terraform_binary" not in wrong:
        with collected.trying(), terraform_of(settings, inputs, lambda _: None) as terraform:
            terraform.engine()
    _raise(collected.errors)
    return settings, doubts


def _look_at_repository(
    command: Command, settings: Settings, collected: _Collected, *, may_judge_environments: bool
) -> tuple[str, ...]:
    objects = GitObjects(command.repository)
    try:
        with collected.trying():
            require_free(objects, command.branch)
        tree = GitTree(objects, base_commit(objects))
        try:
            settings = narrow_by_policy_file(settings, tree)
        except ConfigError as error:
            error.problems = tuple(f"{POLICY_FILE}: {problem}" for problem in error.problems)
            collected.errors.append(error)
        paths = [path for path, entry in tree.entries().items() if entry.is_regular]
        layout = discover_layout(paths, tree.read, settings.policy)
        if may_judge_environments:
            with collected.trying():
                require_environments(settings.environments, layout)
        return _doubts(layout, paths, tree, settings.policy)
    finally:
        objects.close()


def _doubts(layout: Layout, paths: list[str], tree: BaseTree, policy: Policy) -> tuple[str, ...]:
    """What a person should know before the llm is paid: an issue may ask to write the first Terraform, or to repair a
    file.
    """
    broken = broken_files(layout, paths, tree.read)
    words = [f"{finding.place}: {finding.what}" for finding in broken[:5]]
    words += [f"and {len(broken) - 5} more places like these"] if len(broken) > 5 else []
    if broken and not loadable_roots(layout, broken):
        words.append(
            "Terraform can load no root of this repository: nothing can be planned unless the change repairs that"
        )
    elif not layout.roots:
        found, _ = questions(survey_of(paths, tree.read, policy), policy, tree.read)
        none = [f.what for f in found if f.rule in ("layout/no-terraform", "layout/no-root")]
        words += [f"{what}: the change would be the first that makes one" for what in none]
    return tuple(words)


def _raise(errors: list[OpsAgentError]) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        problems: list[str] = []
        hints: list[str] = []
        for error in errors:
            each = getattr(error, "problems", ())
            problems += each or (f"{error}",)
            hints.append(error.hint)
        raise ConfigError(
            f"{len(problems)} things keep this run from its start",
            problems=tuple(problems),
            hint=" ".join(dict.fromkeys(hints)),
        )
