"""propose: the pull request's text, from what was verified. Text only; nothing is written anywhere."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ops_agent.config.settings import Settings
from ops_agent.model.change_set import ChangeSet, Proposal
from ops_agent.model.conversation import Transcript
from ops_agent.model.finding import Verdict
from ops_agent.model.ports import BaseTree, World
from ops_agent.model.verification import Verification
from ops_agent.pages.pull_request import Material, build_proposal
from ops_agent.run.commit import as_patch, split_by_abilities
from ops_agent.run.judge import merge_effects
from ops_agent.run.progress import Progress

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
) -> Proposal:
    """The proposal of `changes`: a draft when anything of `Material.unfinished` holds.

    Raises RedactionFailed: then nothing may be published.
    """
    item = progress.item
    ask = partial(world.issues.token_abilities, item.target.full_name)
    patch_only = frozenset(f.place.path for f in verdict.findings if f.rule == PATCH_ONLY and not f.pre_existing)
    kept, left = split_by_abilities(changes, ask, patch_only)
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
    return replace(build_proposal(material), patch_only=patch_only)
