"""Tools that end the conversation. Exactly one of these is called, alone, as the last call."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from ops_agent.agent.workbench import STRICT, Entries, ToolRefusal, Workbench
from ops_agent.model.change_set import FileChange
from ops_agent.model.conversation import Assertion, CriterionAnswer, Ending
from ops_agent.model.ports import Scratch
from ops_agent.plan.evidence import is_prose, problem_of
from ops_agent.text.markdown import says_nothing

Operator = Literal[
    "equals",
    "not_equals",
    "contains",
    "matches",
    "at_least",
    "at_most",
    "exists",
    "absent",
    "created",
    "updated",
    "destroyed",
]


class Evidence(BaseModel):
    """Something that code can look at to see that a criterion is met. Comments, Markdown, texts and names for people
    are no evidence.
    """

    model_config = STRICT

    kind: Literal["plan", "workflow", "terraform"] = Field(
        description="`plan`: a planned value; `workflow`: a key of a workflow; `terraform`: what the code says, for "
        "what no plan shows (a lifecycle, a validation, what is known after the apply). Text for people, such as "
        "`.md`, is no evidence: such a criterion has none."
    )
    where: str = Field(
        description="A resource's address as in the plan (`*` for any characters; without a key at the end all "
        "instances), or `output.NAME`, or the file's path."
    )
    key: str = Field(
        "",
        description="The attribute's path (`redrive_policy.maxReceiveCount`, JSON in a text is entered), or the key's "
        "in the workflow (`jobs.plan.steps.*.run`), or block and argument in the code "
        "(`resource.aws_sqs_queue.orders.lifecycle.prevent_destroy`). Empty for created, updated, destroyed.",
    )
    op: Operator = Field(
        description="`contains`: a part of a text, or one of several values; every other operator asks all values "
        "that the key leads to; `matches` knows `*`; created, updated and destroyed ask what the plan does. "
        "`not_equals` shows something only of what it was before, or of a pattern such as `*`."
    )
    value: str = Field(
        "", description="What the value is compared with, as text; what code computes is `${var.name}` there."
    )
    environments: list[str] = Field(
        default_factory=list, description="Only in these environments; empty: in every one that is planned."
    )


class Criterion(BaseModel):
    """One acceptance criterion of the issue."""

    model_config = STRICT

    id: str = Field(description="`AC1`, `AC2`, ... as in the task.")
    met: Literal["yes", "partly", "no"]
    how: str = Field(description="Which resource, file or job meets it, or why it is not met.")
    evidence: list[Evidence] = Field(
        default_factory=list,
        max_length=20,
        description="What shows it; all of it has to hold. The action looks at the plan and the files: evidence that "
        "does not hold comes back, a criterion without evidence is shown as claimed only.",
    )


class Justification(BaseModel):
    """Why a finding that does not block is left as it is."""

    model_config = STRICT

    rule: str = Field(description="The finding's rule.")
    where: str = Field(description="The finding's place or address, as it was given.")
    why: str = Field(description="One sentence for the reviewer.")


def finish(
    bench: Workbench,
    title: Annotated[
        str, "Title of the pull request, at most 70 characters, without `[ops]` and without an issue number."
    ],
    description: Annotated[
        str, "What was provisioned or changed, and how it supports the user story. Markdown, a few sentences."
    ],
    infrastructure: Annotated[
        str, "Resources added or changed, which environments, breaking changes and migration notes."
    ],
    ci_cd: Annotated[
        str,
        "Jobs, environment variables, triggers; how plan and apply run for each environment. `None` when untouched.",
    ],
    observability: Annotated[str, "What is logged and where, alarms, health checks."],
    validation: Annotated[str, "How to verify the deployment: commands, smoke tests, health checks."],
    criteria: Annotated[Entries[Criterion], "One entry for every acceptance criterion of the task."],
    not_done: Annotated[
        str,
        "What the issue asks for and this change does not do, why, and a follow-up issue to open. Empty when nothing.",
    ] = "",
    justifications: Annotated[
        Entries[Justification], "For findings that came back and do not block: why each is left as it is."
    ] = [],  # noqa: B006 - never changed
) -> Ending:
    """End the work: every edit is made. The action judges, checks and plans the change, and opens the pull request.

    When something fails it comes back to you. Claims about checks or plans are not taken from this text.
    """
    answers = tuple(
        CriterionAnswer(
            criterion_id=c.id,
            met=c.met,
            how=c.how,
            evidence=tuple(
                Assertion(**one.model_dump() | {"environments": tuple(one.environments)}) for one in c.evidence
            ),
        )
        for c in criteria
    )
    lacking = accept(bench, answers, validation=validation, observability=observability)
    return Ending(
        kind="finished",
        title=title,
        description=description,
        infrastructure=infrastructure,
        ci_cd=ci_cd,
        observability=observability,
        validation=validation,
        criteria=answers,
        not_done=not_done,
        lacking=lacking,
        justifications=tuple((one.rule, one.where, one.why) for one in justifications),
    )


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


def accept(
    bench: Workbench, answers: Sequence[CriterionAnswer], *, validation: str, observability: str
) -> tuple[str, ...]:
    """Raises ToolRefusal when `finish` leaves something out: once for each thing, so that it cannot go round in
    circles; for what names nothing at all, every time. Returns why the work is unfinished all the same.
    """
    known, given = set(bench.criteria), [answer.criterion_id for answer in answers]
    if strange := sorted(set(given) - known):
        raise ToolRefusal(
            f"there is no criterion {', '.join(strange)[:200]}; there are {', '.join(bench.criteria) or 'none'}"
        )
    if len(given) > len(set(given)):
        raise ToolRefusal("a criterion is answered twice")
    problems = [f"{a.criterion_id}: {why}" for a in answers for one in a.evidence if (why := problem_of(one))]
    if problems:
        raise ToolRefusal("; ".join(problems[:5]))
    changes = [c for c in bench.scratch.change_set().changes if not is_prose(c.path)]
    wanted = (
        (known > set(given), f"answer {', '.join(c for c in bench.criteria if c not in given)} too", ""),
        (
            bool(changes) and says_nothing(validation),
            "`validation` is empty: say how a person verifies the deployment",
            "the agent does not say how to verify the deployment",
        ),
        (
            says_nothing(observability) and _runs(bench.scratch, changes),
            "`observability` is empty and something runs: say what it logs, which alarms and health checks it has",
            "the agent names neither logs nor alarms of what runs",
        ),
    )
    missing = [(refusal, reason) for is_missing, refusal, reason in wanted if is_missing]
    if unasked := [refusal for refusal, _ in missing if refusal not in bench.asked]:
        bench.asked.update(unasked)
        raise ToolRefusal("; ".join(unasked))
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
