"""The story of one run, from an event to a pull request. Nothing else is here.

Four facts to keep in sight: source rules run before `terraform init`; the only backward arrow is the repair round; a
stage that declines returns a `Stopped`, what is broken is raised; every value between two stages is frozen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from ops_agent.config.policy_file import narrow_by_policy_file
from ops_agent.config.settings import Settings
from ops_agent.guard.disputes import with_disputes
from ops_agent.issue.admission import advised
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.errors import Interrupted, PolicyViolation, as_error
from ops_agent.model.event import Dispatched, Event, IssueRef, RunIdentity
from ops_agent.model.outcome import Stopped
from ops_agent.model.ports import World
from ops_agent.model.verification import Verification
from ops_agent.run.admit import admit
from ops_agent.run.answer import answer
from ops_agent.run.ask_wiki import ask_wiki
from ops_agent.run.base_first import BaseFirst
from ops_agent.run.branch_rules import branch_rules
from ops_agent.run.brief import brief, token_trouble
from ops_agent.run.claim import claim, release
from ops_agent.run.continued import Judging, scratch_of, start_of, with_round, written
from ops_agent.run.converse import Conversation
from ops_agent.run.judge import format_files, pin_actions, prove_criteria
from ops_agent.run.progress import Phase, Progress
from ops_agent.run.propose import propose
from ops_agent.run.publish import publish
from ops_agent.run.report import RunResult, unfinished
from ops_agent.run.verify import verify, with_lock_files
from ops_agent.run.wanted import Wanted
from ops_agent.terraform.links import FollowedTree


def run_item(world: World, settings: Settings, event: Event, ref: IssueRef, run: RunIdentity) -> RunResult:
    """One work item, from its event to its pull request or to a `Stopped`.

    Raises what broke, after the claim was released: an OpsAgentError, with what the conversation cost, or a bug
    as it is.
    """
    with world.reporter.stage("admit"):
        item = admit(world, settings, event, ref, run)
    advice = partial(advised, by_dispatch=isinstance(event, Dispatched))
    if isinstance(item, Stopped):
        item = advice(item)
        answer(world, ref, item, run, dry_run=settings.dry_run)
        return RunResult(ref=ref, ending=item)
    with world.reporter.stage("claim"):
        claimed = claim(world, settings, item, run)
    if isinstance(claimed, Stopped):
        claimed = advice(claimed)
        answer(world, ref, claimed, run, dry_run=settings.dry_run, admitted=True)
        return RunResult(ref=ref, ending=claimed, item=item)
    progress = Progress(world, item, claimed, run)
    try:
        result = _work(world, settings, progress)
    except (Exception, KeyboardInterrupt) as broken:
        release(world, settings, progress, broken)
        raise
    if isinstance(result.ending, Stopped):
        ending = advice(result.ending)
        release(world, settings, progress, ending, result.patch)
        result = replace(result, ending=ending)
    return result


def _work(world: World, settings: Settings, progress: Progress) -> RunResult:
    item, claimed = progress.item, progress.claim
    result = partial(RunResult, ref=item.issue.ref, item=item, claim=claimed)
    tree = world.branches.tree(item.target.full_name, claimed.base_commit)
    settings = narrow_by_policy_file(settings, tree)
    for notice in settings.notices:
        world.reporter.annotate("warning", notice)
    base = FollowedTree(tree)
    with world.reporter.stage("brief"):
        abilities = world.issues.token_abilities(item.target.full_name)
        rules = branch_rules(world, item.target.full_name, claimed.branch, is_new=False)
        for doubt in rules.doubtful:
            world.reporter.annotate("warning", doubt)
        stopped = token_trouble(settings, abilities, rules)
        if stopped is not None:
            return result(ending=stopped)
        owner = item.target.owner if progress.run.run_id else ""
        settings = replace(settings, policy=replace(settings.policy, ruleset_paths=rules.paths, owner=owner))
        shared = (ask_wiki(world, settings.confluence_spaces, item),)
        start = start_of(world, settings, item.target.full_name, claimed, tree)
        if isinstance(start, Stopped):
            return result(ending=start)
        briefing = brief(world, settings, item, base, abilities, rules.messages, shared)
        briefing = with_round(world, item, claimed, start, briefing)
    show, wanted = partial(progress.show, Phase.WORKING), Wanted(world, settings.labels, item)
    verification: Verification | None = None
    planned: tuple[ChangeSet, Verification] | None = None
    judging = Judging(world, settings, start, claimed.others)
    with (
        scratch_of(world, start) as scratch,
        BaseFirst(world, settings, base, briefing.layout, f"{item.issue.title} {item.issue.body}") as base_first,
        _with_work(Conversation(world, settings, briefing, scratch, show, base_first, wanted.look, judging)) as talk,
    ):
        while True:
            with world.reporter.stage("converse"):
                stopped = talk.go_on()
            if stopped is not None:
                break
            with world.reporter.stage("judge"):
                pin_actions(world.branches, settings.policy, scratch)
                format_files(world.terraform, settings.policy, scratch)
                changes = scratch.change_set()
                verdict, held = judging.sources(scratch)
                verdict = with_disputes(verdict, talk.disputes)
            verification = None
            if not verdict.blocked:
                progress.show(Phase.VERIFYING, "")
                # A round that only justifies or answers again leaves the files, and so the plans, as they are.
                if planned is None or planned[0] != changes or not planned[1].passed:
                    with world.reporter.stage("verify"):
                        base_first.settle()
                        made = (
                            judging.not_executed(changes, held)
                            if held
                            else verify(world, settings, base, changes, scratch.root, base_first.plans)
                        )
                        planned = changes, replace(made, notes=base_first.notes)
                verification = planned[1]
                stopped = base_first.no_proof(verification)
                if stopped is not None:
                    break
                verdict = judging.plans(item.labels_by_writers, verdict, verification, base_first.plans)
                verification = prove_criteria(item, talk.answers, verification, base, scratch)
                if talk.is_done(verdict, verification):
                    break
            stopped = talk.repair(verdict, verification)
            if stopped is not None:
                break
        transcript = talk.transcript
        if stopped is not None and not talk.worth_a_draft(stopped, verification):
            return result(ending=stopped, transcript=transcript, patch=talk.kept_patch())
        if verification is None:
            raise PolicyViolation("a change set that was not verified came to publication")
        changes = with_lock_files(base, changes, verification).written
        with world.reporter.stage("publish"):
            edits, why = written(start, scratch, changes), unfinished(transcript, verification)
            proposal = propose(world, settings, progress, base, changes, verdict, verification, transcript, edits)
            ending = publish(world, settings, progress, changes, proposal, why, edits, start.stored)
        patch = talk.kept_patch() if isinstance(ending, Stopped) else None
    return result(ending=ending, transcript=transcript, verification=verification, patch=patch)


@contextmanager
def _with_work(conversation: Conversation) -> Iterator[Conversation]:
    """Whatever breaks or interrupts takes along what was said and changed until then: neither cost nor work is lost."""
    try:
        yield conversation
    except KeyboardInterrupt as interrupt:
        raise Interrupted(conversation.transcript, conversation.kept_patch()) from interrupt
    except Exception as broken:
        error = as_error(broken)
        error.transcript, error.patch = conversation.transcript, conversation.kept_patch()
        raise error from broken
    finally:
        conversation.close()
