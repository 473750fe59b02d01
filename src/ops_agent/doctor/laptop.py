"""Before a run on a laptop asks the llm: everything that can be checked without it, and all of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from ops_agent.adapters.local.folder import base_commit, read_issue_file, require_free
from ops_agent.adapters.local.git_objects import GitObjects, GitTree
from ops_agent.config.policy_file import POLICY_FILE, narrow_by_policy_file
from ops_agent.config.settings import InputsRead, Settings, read_inputs
from ops_agent.doctor.questions import questions
from ops_agent.doctor.repository import loadable_roots
from ops_agent.guard.tree import SourceTree, source_tree
from ops_agent.model.errors import ConfigError, OpsAgentError
from ops_agent.run.brief import require_environments
from ops_agent.terraform.links import FollowedTree
from ops_agent.terraform.obstacles import broken_files
from ops_agent.wiring import terraform_of

_MAX_PLACES = 5


def check_before_local_run(
    issue_file: Path, folder: Path, branch: str | None, inputs: Mapping[str, str]
) -> tuple[Settings, tuple[str, ...]]:
    """The settings of the run, and warnings that do not stop it: no Terraform to work on, files that cannot be read.

    Checks the inputs (`inputs` are the environment with `INPUT_*`), the issue's file, the repository, its policy file
    and environments; when one of these is wrong, the engine as well (the run itself starts with it). One error is
    raised as it is; of several, a ConfigError names every one.
    """
    read = read_inputs(inputs, needs=("llm",))
    has_key = bool(inputs.get("INPUT_ANTHROPIC_API_KEY"))
    errors: list[OpsAgentError] = [_of_inputs(read, has_key=has_key)] if read.problems else []
    with _collecting(errors):
        read_issue_file(issue_file, "local/repository")
    warnings: tuple[str, ...] = ()
    with _collecting(errors), closing(GitObjects(folder)) as objects:
        with _collecting(errors):
            require_free(objects, branch)
        stored = GitTree(objects, base_commit(objects))
        settings = read.settings
        try:
            settings = narrow_by_policy_file(settings, stored)
        except ConfigError as error:
            error.problems = tuple(f"{POLICY_FILE}: {problem}" for problem in error.problems)
            errors.append(error)
        sources = source_tree(FollowedTree(stored), settings.policy)
        if "environments" not in read.wrong:
            with _collecting(errors):
                require_environments(settings.environments, sources.layout)
        warnings = _warnings(sources)
    if errors and "terraform_binary" not in read.wrong:
        with _collecting(errors), terraform_of(read.settings, inputs, lambda _: None) as terraform:
            terraform.engine()
    _raise(errors)
    return read.settings, warnings


@contextmanager
def _collecting(errors: list[OpsAgentError]) -> Iterator[None]:
    try:
        yield
    except OpsAgentError as error:
        errors.append(error)


def _of_inputs(read: InputsRead, *, has_key: bool) -> ConfigError:
    """With a hint for a laptop, where no workflow file gives the inputs. `has_key`: one is given, be it a wrong one."""
    error = read.error()
    what_to_do = "Correct the key in ANTHROPIC_API_KEY" if has_key else "Set ANTHROPIC_API_KEY in the environment"
    steps = [what_to_do] if "anthropic_api_key" in read.wrong and not read.settings.llm.anthropic_api_key else []
    if read.wrong - {"anthropic_api_key"} or not steps:
        steps.append(("give" if steps else "Give") + " inputs with `--input name=value`")
    error.hint = ", and ".join(steps) + "."
    return error


def _warnings(tree: SourceTree) -> tuple[str, ...]:
    """What to know before the llm is paid. No error: an issue may ask for the first Terraform, or to repair a file."""
    layout, broken = tree.layout, broken_files(tree.layout, tree.paths, tree.terraform)
    words = [f"{finding.place}: {finding.what}" for finding in broken[:_MAX_PLACES]]
    if len(broken) > _MAX_PLACES:
        words.append(f"and {len(broken) - _MAX_PLACES} more places like these")
    if broken and not loadable_roots(layout, broken):
        words.append(
            "Terraform can load no root of this repository: nothing can be planned unless the change repairs that"
        )
    elif not layout.roots:
        asked, _ = questions(tree.survey, tree.policy, tree.read)
        none = [finding.what for finding in asked if finding.rule in ("layout/no-terraform", "layout/no-root")]
        words += [f"{what}: the change would be the first that makes one" for what in none]
    return tuple(words)


def _raise(errors: list[OpsAgentError]) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        problems = [problem for error in errors for problem in getattr(error, "problems", ()) or (str(error),)]
        hint = " ".join(dict.fromkeys(error.hint for error in errors))
        raise ConfigError(f"{len(problems)} problems prevent this run", problems=tuple(problems), hint=hint)
