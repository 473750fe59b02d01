"""propose: the pull request's text, from what was verified. Text only; nothing is written anywhere."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ops_agent.agent.rounds import threads_to_answer
from ops_agent.config.settings import Settings
from ops_agent.issue.claims import pull_request_record
from ops_agent.model.change_set import ChangeSet, Proposal
from ops_agent.model.conversation import Transcript
from ops_agent.model.finding import Verdict
from ops_agent.model.ports import BaseTree, World
from ops_agent.model.verification import Verification
from ops_agent.pages.pull_request import Material, build_proposal
from ops_agent.pages.rounds import commits_of_people, reply_text, rounds_section
from ops_agent.pages.verified import was_edited
from ops_agent.run.commit import as_patch, split_by_abilities
from ops_agent.run.judge import merge_effects
from ops_agent.run.progress import Progress
from ops_agent.run.publish import closing_references

PATCH_ONLY = "workflow/open-step-with-identity-token"
"""The rule whose finding keeps a workflow out of the commit."""
_WHY_PATCH = (
    "These workflows could use an AWS identity or a secret on a pull request before anybody has reviewed them, so they "
    "are not in the commit."
)


def propose(
    world: World,
    settings: Settings,
    progress: Progress,
    base: BaseTree,
    changes: ChangeSet,
    verdict: Verdict,
    verification: Verification,
    transcript: Transcript,
    edits: ChangeSet | None = None,
) -> Proposal:
    """The proposal of `changes`: a draft when anything of `Material.unfinished` holds. `edits` are those that our
    branch does not hold yet (None: all).

    Raises RedactionFailed: then nothing may be published.
    """
    item = progress.item
    ask = partial(world.issues.token_abilities, item.target.full_name)
    patch_only = frozenset(f.place.path for f in verdict.findings if f.rule == PATCH_ONLY and not f.pre_existing)
    edits = changes if edits is None else edits
    written, left = split_by_abilities(edits, ask, patch_only)
    kept = replace(changes, changes=tuple(c for c in changes.changes if c.path not in left.paths))
    material = Material(
        item=item,
        claim=progress.claim,
        changes=changes,
        verdict=verdict,
        verification=verification,
        transcript=transcript,
        redact=world.redact,
        title_prefix=settings.labels.title_prefix,
        run=progress.run,
        merges=merge_effects(settings.policy, base, item.base_branch, kept),
        left_out=left.paths,
        patch=as_patch(left),
    )
    if patch_only.issuperset(left.paths):
        material = replace(material, why_patch=_WHY_PATCH)
    return _with_round(world, progress, replace(build_proposal(material), patch_only=patch_only), written, transcript)


def _with_round(
    world: World, progress: Progress, proposal: Proposal, written: ChangeSet, transcript: Transcript
) -> Proposal:
    """The proposal of a pull request that is continued: with its title, the list of rounds, and answers to threads."""
    claim, existing, asked = progress.claim, progress.claim.existing, progress.claim.round
    if existing is None or asked is None:
        return replace(proposal, rounds=commits_of_people(claim.others, world.redact))
    threads = threads_to_answer(asked)
    url = progress.run.url if progress.run.run_id else ""
    said = transcript.ending.replies if transcript.ending is not None else ()
    replies = tuple((threads[t], reply_text(text, url, world.redact)) for t, text in said if t in threads)
    section = rounds_section(
        existing.body.replace("\r\n", "\n"),
        asked,
        progress.item.approval.by.login,
        written.paths if not claim.conflicts else (*written.paths, "the base branch's changes"),
        len(replies),
        claim.others,
        world.redact,
        was_edited=was_edited(existing.body),
    )
    record, repository = pull_request_record(existing.body), progress.item.target.full_name
    same_text = record is not None and record.content == progress.item.approval.content_hash
    if same_text and not closing_references(existing.title, repository):
        proposal = replace(proposal, title=existing.title)  # people may have given it another one
    return replace(proposal, rounds=world.redact(section), replies=replies)
