"""What a workflow runs, and where (F05, F06, F08 of the security bar)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.pins import is_commit, split_uses
from ops_agent.guard.rule import Hit, WorkflowFile
from ops_agent.model.workflow import Job, Step

SCRIPT_INPUTS = frozenset({"script", "run", "command", "commands", "args", "entrypoint", "inlinescript", "cmd"})
_HOSTED = re.compile(r"(ubuntu|windows|macos)-(latest|[0-9]{2}(\.[0-9]{2})?)(-arm|-xlarge|-large)?")


def expression_in_script(file: WorkflowFile) -> Iterator[Hit]:
    """An expression stands inside a script.

    `${{ }}` is pasted into the text before the shell sees it: a title or branch name becomes a command.

    Remedy: Pass the value by `env:` and use `"$NAME"` in the script.
    """
    for _, step in _steps(file):
        if "${{" in step.run or "${{" in step.shell:
            yield file.hit(step, "an expression stands in `run` or `shell`", step.run_line, at=step.run)
        for name, text in step.with_.items():
            if name.casefold() in SCRIPT_INPUTS and "${{" in text:
                yield file.hit(step, f"an expression stands in `{name}`", at=f"{step.uses} {step.with_.get(name)}")


def unlisted_action(file: WorkflowFile) -> Iterator[Hit]:
    """An action or reusable workflow is not on the allow-list.

    An action is a program that runs with the job's rights. Local actions, docker images and strangers' actions are
    closed.

    Remedy: Use an action of the allow-list (`allowed_uses`), or a `run:` step.
    """
    allowed = {u.casefold() for u in file.policy.allowed_uses}
    for part, uses, line in _uses(file):
        name, ref = split_uses(uses)
        if uses.startswith((".", "/", "docker:")) or not ref:
            yield file.hit(
                part, f"`{uses}` is not an action with a version of the allow-list", line, at=_call(part, uses)
            )
        elif name is None or name.casefold() not in allowed:
            yield file.hit(part, f"`{uses}` is not on the allow-list", line, at=_call(part, uses))


def unpinned_action(file: WorkflowFile) -> Iterator[Hit]:
    """An action is not pinned to a commit that our code knows.

    A tag can be moved to other code. ops-agent replaces the tag of an allow-listed action by its commit; a commit that
    neither stands on the base branch nor belongs to the tag named beside it may be anybody's.

    Remedy: Write the tag (`actions/checkout@v4`); ops-agent pins it.
    """
    for part, uses, line in _uses(file):
        name, ref = split_uses(uses)
        if name is None or not ref:
            continue
        if not is_commit(ref):
            yield file.hit(part, f"`{uses}` names a tag or branch, not a commit", line, at=uses)
        elif file.known_pins is not None and uses.casefold() not in file.known_pins:
            yield file.hit(part, f"`{uses}` is a commit that nobody vouches for", line, at=uses)


def self_hosted_runner(file: WorkflowFile) -> Iterator[Hit]:
    """A job does not run on GitHub's own machines.

    Self-hosted runners keep what a job leaves behind; a computed label can name one.

    Remedy: Write `runs-on: ubuntu-24.04`.
    """
    for job in file.workflow.jobs:
        if not job.uses and (not job.runs_on or not all(_HOSTED.fullmatch(label) for label in job.runs_on)):
            yield file.hit(
                job, f"the job `{job.id}` runs on `{', '.join(job.runs_on) or 'nothing'}`", at=str(job.runs_on)
            )


def persisted_credentials(file: WorkflowFile) -> Iterator[Hit]:
    """The checkout leaves the job's token on disk.

    Every later step can read it from git's configuration.

    Remedy: Give `actions/checkout` the input `persist-credentials: false`.
    """
    for _, step in _steps(file):
        if step.uses.casefold().startswith("actions/checkout@") and step.with_.get("persist-credentials") != "false":
            yield file.hit(step, "`persist-credentials` is not false", step.uses_line, at=step.uses)


def _steps(file: WorkflowFile) -> Iterator[tuple[Job, Step]]:
    return ((job, step) for job in file.workflow.jobs for step in job.steps)


def _uses(file: WorkflowFile) -> Iterator[tuple[Job | Step, str, int]]:
    for job in file.workflow.jobs:
        if job.uses:
            yield job, job.uses, job.uses_line
        for step in job.steps:
            if step.uses:
                yield step, step.uses, step.uses_line


def _call(part: Job | Step, uses: str) -> str:
    """What is called with what: other inputs make it another call."""
    return f"{uses} {part.with_}" if isinstance(part, Step) else part.text
