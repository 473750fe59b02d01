"""What a workflow runs besides its own scripts, and where: actions, reusable workflows, container images, runners."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.pins import is_commit, split_uses
from ops_agent.guard.rule import WorkflowFile, rule
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.workflow import Job, Step

_HOSTED = re.compile(r"ubuntu-slim|(ubuntu|windows|macos)-(latest|[0-9]{2}(\.[0-9]{2})?)(-arm|-xlarge|-large)?")
_OWN_WORKFLOWS = "./.github/workflows/"
_AFTER_A_REVIEW = frozenset({"push", "release", "schedule", "workflow_call", "workflow_dispatch"})
_IMAGE = re.compile(r"(?P<name>[A-Za-z0-9._/-]+(:[0-9]+/[A-Za-z0-9._/-]+)?)(:[A-Za-z0-9._-]+)?@sha256:[0-9a-f]{64}")
# Docker's own images have no owner in their name; the others are of publishers whose tools such workflows run.
_KNOWN_PUBLISHER = re.compile(
    r"((index\.)?docker\.io/)?(library/[a-z0-9._-]+|(?![^/]*[.:])[a-z0-9._-]+"
    r"|(hashicorp|amazon|localstack|opentofu)/[a-z0-9._/-]+)"
    r"|public\.ecr\.aws/(docker/library|hashicorp|amazonlinux|lambda|aws-cli|localstack)/[a-z0-9._/-]+"
    r"|ghcr\.io/opentofu/[a-z0-9._/-]+"
)
_HEALTH_ONLY = re.compile(
    r"(\s*--health-(cmd|interval|timeout|retries|start-period)[= ]\s*(\"[^\"$`]*\"|'[^'$`]*'|[A-Za-z0-9._-]+))*\s*"
)
_INPUT = re.compile(
    r"(.*-)?(mirror|proxy|endpoint|hostname|server|base-url)(-.*)?"
    r"|registry-url|output-credentials|pip-install|repository"
)
_OF_SETTINGS = re.compile(r"\$\{\{\s*(?:vars|secrets)\.\w+\s*\}\}")
_OWN_PLACES = frozenset(
    {"", "false", "app.terraform.io", "https://registry.npmjs.org", "https://registry.npmjs.org/", "https://github.com"}
)


@rule(Severity.BLOCKS)
def unlisted_action(file: WorkflowFile) -> Iterator[Finding]:
    """An action or reusable workflow is not on the allow-list.

    An action is a program that runs with the job's rights. Local actions, Docker images and actions of unknown
    publishers are not allowed. What a workflow of the base branch uses at a commit may be used again at that commit,
    and its reusable workflows may be called: they are judged under what then starts them.

    Remedy: Use an action of the allow-list (`allowed_uses`), or a `run:` step.
    """
    allowed = {u.casefold() for u in file.policy.allowed_uses}
    for part, uses, line in _uses(file):
        name, ref = split_uses(uses)
        if uses[2:] in file.tree.workflows if uses.startswith(_OWN_WORKFLOWS) else _is_of_the_base(file, uses):
            continue
        if uses.startswith((".", "/", "docker:")) or not ref:
            yield file.hit(
                part, f"`{uses}` is not an action with a version of the allow-list", line, at=_call(part, uses)
            )
        elif name is None or name.casefold() not in allowed:
            yield file.hit(part, f"`{uses}` is not on the allow-list", line, at=_call(part, uses))


@rule(Severity.BLOCKS)
def unknown_commit(file: WorkflowFile) -> Iterator[Finding]:
    """An action is pinned to a commit that is neither the tag's commit nor already used on the base branch.

    GitHub also accepts commits of any fork of the action: anybody may have written it.

    Remedy: Write the tag (`actions/checkout@v4`); ops-agent replaces it by its commit.
    """
    for part, uses, line in _uses(file):
        name, ref = split_uses(uses)
        known = file.pins is None or uses.casefold() in file.pins | file.base.used_actions
        if name and is_commit(ref) and not known:
            yield file.hit(part, f"`{uses}` is neither the tag's commit nor on the base branch", line, at=uses)


@rule(Severity.BLOCKS)
def steering_input(file: WorkflowFile) -> Iterator[Finding]:
    """An input makes an allowed action use another server, or reveal credentials.

    Checkout sends the job's token to the given server, setup actions run what a mirror delivers, and credentials in
    outputs or logs can be read by others. The action is allowed, but not for this.

    Remedy: Remove the input.
    """
    for _, step in file.steps:
        for name, value in step.with_.items() if step.uses else ():
            plain = name.casefold().replace("_", "-")
            is_a_setting = _OF_SETTINGS.fullmatch(value) and plain != "repository"
            leads_away = _INPUT.fullmatch(plain) and value not in _OWN_PLACES and not is_a_setting
            if leads_away or (plain, value) == ("mask-password", "false"):
                what = f"`{name}: {value}` is given to `{step.uses}`"
                yield file.hit(step, what, step.uses_line, at=f"{step.uses.partition('@')[0]} {name}: {value}")


@rule(Severity.BLOCKS)
def container_image(file: WorkflowFile) -> Iterator[Finding]:
    """A container image has no digest, is not from a known publisher, or is started with special rights.

    A tag can be moved to another image, and a digest only keeps an unknown publisher's image the same; options such as
    `--privileged` and volumes give access to the machine.

    Remedy: Use an image of Docker's own library, of HashiCorp, OpenTofu or AWS, or one that a workflow of the base
    branch uses, by digest (`image@sha256:...`), with `env`, `ports` and health checks only.
    """
    for job in file.workflow.jobs:
        for image in job.images:
            named = _IMAGE.fullmatch(image.image)
            found = []
            if named is None:
                # Another tag of an image that the base uses by tag is no other finding.
                name = re.sub(r":[^/]*\Z", "", image.image)
                yield file.hit(job, f"the image `{image.image}` has no digest", image.line, at=f"no digest: {name}")
            elif image.image not in {
                i.image for j in file.base.jobs for i in j.images
            } and not _KNOWN_PUBLISHER.fullmatch(named["name"]):
                found.append(f"the image `{image.image}` is not from a known publisher")
            if not _HEALTH_ONLY.fullmatch(image.options):
                found.append(f"the image `{image.image}` has the options `{image.options}`")
            found += [f"the image `{image.image}` has `{key}`" for key in image.other_keys]
            for what in found:
                yield file.hit(job, what, image.line, at=what)


@rule(Severity.BLOCKS)
def self_hosted_runner(file: WorkflowFile) -> Iterator[Finding]:
    """A job runs neither on a GitHub-hosted runner nor on one of `allowed_runners`, nor, after a merge, on one that the
    base branch uses.

    Self-hosted runners keep what a job leaves behind, and run unreviewed code on pull requests. A computed label can
    name one.

    Remedy: Write `runs-on: ubuntu-24.04`, or labels that are all in the action's input `allowed_runners`.
    """
    is_reviewed = not file.events - _AFTER_A_REVIEW and not file.workflow.open_branches
    allowed = {label.casefold() for label in file.policy.allowed_runners}
    known = {job.runs_on for job in file.base.jobs if is_reviewed and "${{" not in str(job.runs_on)}
    for job in file.workflow.jobs:
        labels = [re.sub(r"[\s\"]", "", label).casefold() for label in job.runs_on]
        is_hosted = bool(labels) and all(_HOSTED.fullmatch(label) or label in allowed for label in labels)
        if not job.uses and not is_hosted and (not job.runs_on or job.runs_on not in known):
            what = f"the job `{job.id}` runs on `{', '.join(job.runs_on) or 'nothing'}`"
            yield file.hit(job, what, at=str(job.runs_on))


def _uses(file: WorkflowFile) -> Iterator[tuple[Job | Step, str, int]]:
    for job in file.workflow.jobs:
        if job.uses:
            yield job, job.uses, job.uses_line
        yield from ((step, step.uses, step.uses_line) for step in job.steps if step.uses)


def _is_of_the_base(file: WorkflowFile, uses: str) -> bool:
    return is_commit(uses.partition("@")[2]) and uses.casefold() in file.base.used_actions


def _call(part: Job | Step, uses: str) -> str:
    """What is called with which inputs: an unknown action may do anything else with other ones."""
    if uses.startswith(_OWN_WORKFLOWS):
        return uses
    return f"{uses} {part.with_}" if isinstance(part, Step) else part.text
