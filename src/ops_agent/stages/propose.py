"""Propose: the pull request's text, from what was verified. Text only; nothing is written anywhere."""

from __future__ import annotations

from dataclasses import replace

from ops_agent.core.claims.publication import as_patch, is_workflow, split_by_abilities
from ops_agent.core.proposal.proposal import Material, build_proposal
from ops_agent.domain.change_set import ChangeSet
from ops_agent.domain.conversation import Transcript
from ops_agent.domain.event import RunIdentity
from ops_agent.domain.proposal import Claim, Proposal
from ops_agent.domain.verdict import Verdict
from ops_agent.domain.verification import Verification
from ops_agent.domain.work_item import WorkItem
from ops_agent.messages import message
from ops_agent.ports import World
from ops_agent.settings import Settings


def propose(
    world: World,
    settings: Settings,
    item: WorkItem,
    claim: Claim,
    changes: ChangeSet,
    verdict: Verdict,
    verification: Verification,
    transcript: Transcript,
    run: RunIdentity | None = None,
) -> Proposal:
    """The proposal of `changes`: a draft when a check failed, the guard blocks or the agent did not finish.

    Raises RedactionFailed: then nothing may be published.
    """
    left = ChangeSet(base_commit=changes.base_commit, changes=())
    if any(is_workflow(path) for path in changes.paths):
        _, left = split_by_abilities(changes, world.code_host.token_abilities(item.target.full_name))
    proposal = build_proposal(
        Material(
            item=item,
            claim=claim,
            changes=changes,
            verdict=verdict,
            verification=verification,
            transcript=transcript,
            redact=world.redact,
            template=message("pull_request"),
            title_prefix=settings.title_prefix,
            run=run,
            left_out=left.paths,
            patch=as_patch(left) if left.changes else "",
        )
    )
    return replace(proposal, draft={"true": True, "false": False}.get(settings.draft, proposal.draft))
