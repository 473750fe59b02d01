"""The story of one run, from an event to a pull request. Nothing else is here.

Four facts to keep in sight: source rules run before `terraform init`; the only backward arrow is the repair round; a
stage's "no" is a `Stopped`, what is broken is raised; every value between two stages is frozen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ops_agent.config.settings import Settings
from ops_agent.model.conversation import Transcript
from ops_agent.model.errors import Interrupted, PolicyViolation, as_error
from ops_agent.model.event import Event, IssueRef, RunIdentity
from ops_agent.model.outcome import Stopped
from ops_agent.model.ports import World
from ops_agent.model.proposal import Claim
from ops_agent.model.verification import Verification
from ops_agent.model.work_item import WorkItem
from ops_agent.run.admit import admit, answer
from ops_agent.run.brief import brief, narrow_by_policy_file
from ops_agent.run.claim import claim, release
from ops_agent.run.converse import Conversation
from ops_agent.run.judge import judge_plans, judge_sources, pin_actions
from ops_agent.run.progress import Phase, tell
from ops_agent.run.propose import propose
from ops_agent.run.publish import Published, publish
from ops_agent.run.verify import BasePlans, verify, with_lock_files


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How one item ended, and what the run used: the input of the report."""

    ref: IssueRef
    ending: Published | Stopped
    item: WorkItem | None = None
    claim: Claim | None = None
    transcript: Transcript | None = None
    verification: Verification | None = None


def run_item(world: World, settings: Settings, event: Event, ref: IssueRef, run: RunIdentity) -> RunResult:
    """One work item, from its event to its pull request or to a `Stopped`.

    Raises what broke, after the claim was released: an OpsAgentError, with what the conversation cost, or a bug of ours
    as it is.
    """
    with world.reporter.stage("admit"):
        item = admit(world, settings, event, ref, run)
    if isinstance(item, Stopped):
        answer(world, settings, ref, item, run)
        return RunResult(ref=ref, ending=item)
    with world.reporter.stage("claim"):
        claimed = claim(world, settings, item, run)
    if isinstance(claimed, Stopped):
        return RunResult(ref=ref, ending=claimed, item=item)
    try:
        result = _work(world, settings, item, claimed, run)
    except (Exception, KeyboardInterrupt) as broken:
        release(world, settings, item, claimed, run, broken)
        raise
    if isinstance(result.ending, Stopped):
        release(world, settings, item, claimed, run, result.ending)
    return result


def _work(world: World, settings: Settings, item: WorkItem, claimed: Claim, run: RunIdentity) -> RunResult:
    base = world.branches.tree(item.target.full_name, claimed.base_commit)
    settings = narrow_by_policy_file(settings, base)
    with world.reporter.stage("brief"):
        briefing = brief(world, settings, item, base)
    if isinstance(briefing, Stopped):
        return RunResult(ref=item.issue.ref, ending=briefing, item=item, claim=claimed)
    verification: Verification | None = None
    base_plans = BasePlans()
    with world.scratch(base) as scratch, _accounted(Conversation(world, settings, briefing, scratch)) as conversation:
        while True:
            with world.reporter.stage("converse"):
                stopped = conversation.go_on(tell=lambda text: tell(world, item, claimed, run, Phase.WORKING, text))
            if stopped is not None:
                break
            with world.reporter.stage("judge"):
                pin_actions(world, settings, scratch)
                changes = scratch.change_set()
                verdict = judge_sources(world, settings, item, base, changes)
            verification = None
            if not verdict.blocked:
                tell(world, item, claimed, run, Phase.VERIFYING, "")
                with world.reporter.stage("verify"):
                    verification = verify(world, settings, item, base, changes, scratch.root, base_plans)
                verdict = judge_plans(settings, item, verdict, verification)
            if not verdict.blocked and verification is not None and verification.passed:
                break
            stopped = conversation.repair(verdict, verification)
            if stopped is not None:
                break
        transcript = conversation.transcript
        if stopped is not None and not conversation.worth_a_draft(stopped, verification):
            return RunResult(ref=item.issue.ref, ending=stopped, item=item, claim=claimed, transcript=transcript)
        if verification is None:
            raise PolicyViolation("a change set that was not verified came to publication")
        changes = with_lock_files(base, changes, verification)
        with world.reporter.stage("publish"):
            proposal = propose(world, settings, item, claimed, changes, verdict, verification, transcript, run)
            ending = publish(world, settings, item, claimed, run, changes, proposal)
    return RunResult(
        ref=item.issue.ref, ending=ending, item=item, claim=claimed, transcript=transcript, verification=verification
    )


@contextmanager
def _accounted(conversation: Conversation) -> Iterator[Conversation]:
    """Whatever breaks, or interrupts, takes along what was said until then: its cost is told all the same."""
    try:
        yield conversation
    except KeyboardInterrupt as interrupt:
        raise Interrupted(conversation.transcript) from interrupt
    except Exception as broken:
        error = as_error(broken)
        error.transcript = conversation.transcript
        raise error from broken
    finally:
        conversation.close()
