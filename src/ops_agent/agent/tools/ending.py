"""Tools that end the conversation. Exactly one of them is called, alone, as the last call."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from ops_agent.agent.workbench import Workbench
from ops_agent.domain.conversation import CriterionAnswer, Ending


class Criterion(TypedDict):
    """One acceptance criterion of the issue."""

    id: Annotated[str, "`AC1`, `AC2`, ... as in the task."]
    met: Literal["yes", "partly", "no"]
    how: Annotated[str, "Which resource, file or job meets it, or why it is not met."]


def finish(
    bench: Workbench,  # noqa: ARG001 - every tool takes the workbench
    title: Annotated[str, "Title of the pull request, at most 70 characters, without `[ops]` and without an issue number."],
    description: Annotated[str, "What was provisioned or changed, and how it supports the user story. Markdown, a few sentences."],
    infrastructure: Annotated[str, "Resources added or changed, which environments, breaking changes and migration notes."],
    ci_cd: Annotated[str, "Jobs, environment variables, triggers; how plan and apply run for each environment. `None` when untouched."],
    observability: Annotated[str, "What is logged and where, alarms, health checks."],
    validation: Annotated[str, "How to verify the deployment: commands, smoke tests, health checks."],
    criteria: Annotated[list[Criterion], "One entry for every acceptance criterion of the task."],
    not_done: Annotated[
        str, "What the issue asks for and this change does not do, why, and a follow-up issue to open. Empty when nothing."
    ] = "",
) -> Ending:
    """End the work: every edit is made. The action then judges, checks and plans the change, and opens the pull request itself.

    When something fails it comes back to you. Claims about checks or plans are not taken from this text.
    """
    return Ending(
        kind="finished",
        title=title,
        description=description,
        infrastructure=infrastructure,
        ci_cd=ci_cd,
        observability=observability,
        validation=validation,
        criteria=tuple(CriterionAnswer(criterion_id=c["id"], met=c["met"], how=c["how"]) for c in criteria),
        not_done=not_done,
    )


def ask_for_info(
    bench: Workbench,  # noqa: ARG001
    reason: Annotated[str, "Why the work cannot be done without an answer."],
    questions: Annotated[list[str], "Questions that a person can answer in a sentence each; at most ten."],
) -> Ending:
    """End without a change, because something essential is missing or contradictory and no sensible assumption exists."""
    return Ending(kind="needs_info", description=reason, questions=tuple(questions[:10]))


def propose_split(
    bench: Workbench,  # noqa: ARG001
    reason: Annotated[str, "Why one focused pull request cannot hold this work."],
    issues: Annotated[list[str], "Titles of the smaller issues to open instead, in order, each with one sentence of scope; at most ten."],
) -> Ending:
    """End without a change, because the issue is too large for one focused pull request."""
    return Ending(kind="needs_split", description=reason, proposed_issues=tuple(issues[:10]))


def declare_infeasible(
    bench: Workbench,  # noqa: ARG001
    reason: Annotated[str, "Why it cannot be done with infrastructure or CI/CD changes in this repository."],
    follow_up: Annotated[list[str], "Issues to open instead, if any."],
) -> Ending:
    """End without a change, because nothing of the issue can be done here. When a part can be done, do it and use `not_done` of finish."""
    return Ending(kind="infeasible", description=reason, proposed_issues=tuple(follow_up[:10]))
