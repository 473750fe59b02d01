"""Tools that end the conversation. Exactly one of these is called, alone, as the last call."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from ops_agent.agent.evidence import Evidence
from ops_agent.agent.workbench import COMPLETE, STRICT, Entries, ToolRefusal, Workbench
from ops_agent.model.change_set import FileChange
from ops_agent.model.conversation import CriterionAnswer, Ending, FollowUp
from ops_agent.model.ports import Scratch
from ops_agent.plan.evidence import is_prose, problem_of
from ops_agent.text.markdown import says_nothing


class Criterion(BaseModel):
    """One acceptance criterion of the issue."""

    model_config = COMPLETE

    id: str = Field(description="`AC1`, `AC2`, ... as in the task.")
    met: Literal["yes", "partly", "no"]
    how: str = Field(description="Which resource, file or job meets it, or why it is not met.")
    instead: str = Field(
        "", description="With `partly` or `no`: what you built in the place of what cannot be, if anything."
    )
    evidence: list[Evidence] = Field(
        default_factory=list,
        max_length=20,
        description="What shows it; all of it has to hold. The action looks at the plan and the files: evidence that "
        "does not hold or cannot be told comes back, a criterion without evidence is shown as claimed only.",
    )

    @property
    def answer(self) -> CriterionAnswer:
        evidence = tuple(one.assertion for one in self.evidence)
        return CriterionAnswer(
            criterion_id=self.id, met=self.met, how=self.how, instead=self.instead, evidence=evidence
        )


class FollowUpIssue(BaseModel):
    """An issue for what this change leaves to others."""

    model_config = STRICT

    title: str = Field(description="One line.")
    body: str = Field(description="What is to be done, why not here, and how one sees that it is done. Markdown.")


class Justification(BaseModel):
    """Why a finding that does not block is left as it is."""

    model_config = STRICT

    rule: str = Field(description="The finding's rule.")
    where: str = Field(description="The finding's place or address, as it was given.")
    why: str = Field(description="One sentence for the reviewer.")


_UNSENT: Any = None
_REQUIRED: Final = ("title", "description", "infrastructure", "ci_cd", "observability", "validation")


class Reply(BaseModel):
    """An answer in a thread of the review."""

    model_config = STRICT

    thread: str = Field(description="`T1`, `T2`, ... as in the task.")
    answer: str = Field(description="What was changed, or why not. Markdown, a few sentences.")


def finish(
    bench: Workbench,
    title: Annotated[
        str, "Title of the pull request, at most 70 characters, without `[ops]` and without an issue number."
    ] = _UNSENT,
    description: Annotated[
        str, "What was provisioned or changed, and how it supports the user story. Markdown, a few sentences."
    ] = _UNSENT,
    infrastructure: Annotated[
        str, "Resources added or changed, which environments, breaking changes and migration notes."
    ] = _UNSENT,
    ci_cd: Annotated[
        str,
        "Jobs, environment variables, triggers; how plan and apply run for each environment. `None` when untouched: "
        "code says what a merge does.",
    ] = _UNSENT,
    observability: Annotated[str, "What is logged and where, alarms, health checks."] = _UNSENT,
    validation: Annotated[str, "How to verify the deployment: commands, smoke tests, health checks."] = _UNSENT,
    criteria: Annotated[Entries[Criterion], "One entry for every acceptance criterion of the task."] = _UNSENT,
    assumptions: Annotated[
        Entries[str],
        "What you took for granted where the issue says nothing, one sentence each; reviewers see it first.",
    ] = _UNSENT,
    not_done: Annotated[str, "What the issue asks for and this change does not do, and why."] = _UNSENT,
    follow_ups: Annotated[Entries[FollowUpIssue], "Issues to open for what is not done."] = _UNSENT,
    justifications: Annotated[
        Entries[Justification], "For findings that came back and do not block: why each is left as it is."
    ] = _UNSENT,
    replies: Annotated[Entries[Reply], "In a review round: one answer for every thread of the task."] = _UNSENT,
) -> Ending:
    """End the work: every edit is made. The action judges, checks and plans the change, and opens the pull request.

    When something fails it comes back to you. The first call needs the texts and every criterion. After that send only
    what changes: what you leave out stays as you sent it last, criteria by id. Claims about checks or plans are not
    taken from this text.
    """
    declared = bench.declared
    texts = (title, description, infrastructure, ci_cd, observability, validation)
    declared.update({name: text for name, text in zip(_REQUIRED, texts, strict=True) if text is not None})
    if not_done is not None:
        declared["not_done"] = not_done
    if assumptions is not None:
        declared["assumptions"] = tuple(assumptions)
    if follow_ups is not None:
        declared["follow_ups"] = tuple(FollowUp(title=one.title, body=one.body) for one in follow_ups)
    for one in justifications or ():
        bench.justified[one.rule, one.where] = one.why
    _reply(bench, replies or ())
    answers = _answers(bench, criteria or [])
    if lacking := [f"`{name}`" for name in _REQUIRED if name not in declared]:
        raise ToolRefusal(f"the first call needs {', '.join(lacking)} too; what you sent is kept, so send only these")
    return replace(_said(bench, "finished"), lacking=accept(bench, answers, _said(bench, "finished")))


def said_so_far(bench: Workbench) -> Ending | None:
    """What `finish` was given before work that did not end with it; None when that is nothing."""
    return _said(bench, "unfinished") if bench.declared or bench.answers else None


def _said(bench: Workbench, kind: str) -> Ending:
    return Ending(
        kind=kind,
        **bench.declared,
        criteria=tuple(bench.answers[id_] for id_ in bench.criteria if id_ in bench.answers),
        justifications=tuple((rule, where, why) for (rule, where), why in bench.justified.items()),
        replies=tuple(bench.replies.items()),
    )


def _reply(bench: Workbench, sent: Sequence[Reply]) -> None:
    """The newest answer in each thread. Raises ToolRefusal for a thread that does not wait for one."""
    if strange := sorted({one.thread for one in sent} - set(bench.threads)):
        raise ToolRefusal(
            f"there is no thread {', '.join(strange)[:200]}; there are {', '.join(bench.threads) or 'none'}"
        )
    bench.replies |= {one.thread: one.answer for one in sent}


def _answers(bench: Workbench, sent: Sequence[Criterion]) -> tuple[CriterionAnswer, ...]:
    """The newest answer to each criterion, in the issue's order. Raises ToolRefusal for what answers none."""
    known, given = set(bench.criteria), [one.id for one in sent]
    if strange := sorted(set(given) - known):
        raise ToolRefusal(
            f"there is no criterion {', '.join(strange)[:200]}; there are {', '.join(bench.criteria) or 'none'}"
        )
    if len(given) > len(set(given)):
        raise ToolRefusal("a criterion is answered twice")
    answers = [one.answer for one in sent]
    problems = [f"{a.criterion_id}: {why}" for a in answers for one in a.evidence if (why := problem_of(one))]
    if problems:
        raise ToolRefusal("; ".join(problems[:5]))
    bench.answers |= {one.criterion_id: one for one in answers}
    return tuple(bench.answers[id_] for id_ in bench.criteria if id_ in bench.answers)


def ask_for_info(
    bench: Workbench,  # noqa: ARG001 - every tool takes the workbench
    reason: Annotated[str, "Why the work cannot be done without an answer."],
    questions: Annotated[Entries[str], "Questions that a person can answer in a sentence each; at most ten."],
) -> Ending:
    """End without a change, because something essential is missing or contradictory and no sensible assumption
    exists.
    """
    return Ending(kind="needs_info", description=reason, questions=tuple(questions[:10]))


def propose_split(
    bench: Workbench,  # noqa: ARG001
    reason: Annotated[str, "Why one focused pull request cannot hold this work."],
    issues: Annotated[
        Entries[str],
        "Titles of the smaller issues to open instead, in order, each with one sentence of scope; at most ten.",
    ],
) -> Ending:
    """End without a change, because the issue is too large for one focused pull request."""
    return Ending(kind="needs_split", description=reason, proposed_issues=tuple(issues[:10]))


def declare_infeasible(
    bench: Workbench,  # noqa: ARG001
    reason: Annotated[str, "Why it cannot be done with infrastructure or CI/CD changes in this repository."],
    follow_up: Annotated[Entries[str], "Issues to open instead, if any."],
) -> Ending:
    """End without a change, because nothing of the issue can be done here. When a part can be done, do it and use
    `not_done` of finish.
    """
    return Ending(kind="infeasible", description=reason, proposed_issues=tuple(follow_up[:10]))


def accept(bench: Workbench, answers: Sequence[CriterionAnswer], said: Ending) -> tuple[str, ...]:
    """Raises ToolRefusal when `finish` leaves something out: once for each thing, so that it cannot go round in
    circles. Returns why the work is unfinished all the same.
    """
    changes = [c for c in bench.scratch.change_set().changes if not is_prose(c.path)]
    unmet = [one.criterion_id for one in answers if one.met != "yes"]
    silent = [thread for thread in bench.threads if says_nothing(bench.replies.get(thread, ""))]
    wanted = (
        (
            bool(silent),
            f"answer {', '.join(silent)} in `replies` too",
            f"the agent has not answered {len(silent)} of the review's threads",
        ),
        (
            len(answers) < len(bench.criteria),
            f"answer {', '.join(c for c in bench.criteria if c not in bench.answers)} too",
            "",
        ),
        (
            bool(unmet) and says_nothing(said.not_done) and not said.follow_ups,
            f"{', '.join(unmet)} is not met: say why in `not_done`, and propose a follow-up issue in `follow_ups`",
            "",
        ),
        (
            bool(changes) and says_nothing(said.validation),
            "`validation` is empty: say how a person verifies the deployment",
            "the agent does not say how to verify the deployment",
        ),
        (
            says_nothing(said.observability) and _runs(bench.scratch, changes),
            "`observability` is empty and something runs: say what it logs, which alarms and health checks it has",
            "the agent names neither logs nor alarms of what runs",
        ),
    )
    missing = [(refusal, reason) for is_missing, refusal, reason in wanted if is_missing]
    if unasked := [refusal for refusal, _ in missing if refusal not in bench.asked]:
        bench.asked.update(unasked)
        raise ToolRefusal(f"{'; '.join(unasked)}. What you sent is kept: call `finish` again with these alone")
    return tuple(reason for _, reason in missing if reason)


def _runs(scratch: Scratch, changes: Sequence[FileChange]) -> bool:
    """Whether a changed Terraform file has something that runs, or a local module that it did not call before."""
    files = [(c.path, c.before or b"", c.after) for c in changes if c.after and c.path.endswith(".tf")]
    seen = set[str]()
    while files:
        path, before, after = files.pop()
        if _RUNNABLE.search(after):
            return True
        for source in set(_CALLED.findall(after)) - set(_CALLED.findall(before)):
            directory = posixpath.normpath(posixpath.join(posixpath.dirname(path), source.decode()))
            called = [p for p in scratch.paths() if p.endswith(".tf") and posixpath.dirname(p) == directory]
            files += [(p, b"", scratch.read(p)) for p in called if p not in seen]
            seen.update(called)
    return False


_RUNNABLE = re.compile(
    rb'resource[ \t]+"aws_(lambda_function|ecs_(service|task_definition|task_set)|instance|spot_instance_request'
    rb"|autoscaling_group|launch_template|sfn_state_machine|apigatewayv2_api|api_gateway_rest_api|appsync_graphql_api"
    rb"|batch_job_definition|apprunner_service|eks_(cluster|node_group|fargate_profile)|glue_job|codebuild_project"
    rb"|synthetics_canary|elastic_beanstalk_environment|sagemaker_(endpoint|notebook_instance)|emr_cluster"
    rb'|mwaa_environment|kinesisanalyticsv2_application)"',
)
_CALLED = re.compile(rb'source[ \t]*=[ \t]*"(\.{1,2}/[\w./-]*)"')
