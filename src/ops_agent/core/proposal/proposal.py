"""The pull request's text: six sections in the user's order, then verdict, criteria, what is not done, plans, provenance."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ops_agent.core.plans.plan_rendering import folded
from ops_agent.core.proposal.proposal_facts import checks_table, ci_cd, infrastructure, observability
from ops_agent.core.proposal.proposal_plans import plans
from ops_agent.core.proposal.proposal_prose import Overflow, counted, criteria_table, listed, prose, said
from ops_agent.core.proposal.proposal_verdict import failed_text, provenance, verdict_text
from ops_agent.core.texts.inert import one_line
from ops_agent.core.texts.markdown_cuts import fit
from ops_agent.core.texts.neutral import cell, code, fence_verbatim, neutralise_commit
from ops_agent.core.texts.templates import render
from ops_agent.domain.change_set import ChangeSet
from ops_agent.domain.conversation import Ending, Transcript
from ops_agent.domain.event import RunIdentity
from ops_agent.domain.proposal import Claim, Proposal
from ops_agent.domain.verdict import Verdict
from ops_agent.domain.verification import Verification
from ops_agent.domain.work_item import WorkItem
from ops_agent.errors import RedactionFailed

MOST_BODY = 60_000
"""Code points. GitHub refuses a body above 65,536; publication adds notes and its record."""
_MOST_OVERFLOW = 900_000
_MOST_PATCH = 12_000
_MOST_TITLE = 120
_MOST_HEADLINE = 72
_MOST_COMMIT_BODY = 2_000
_MOST_SECTIONS = 42_000
_SLACK = 500
_ACTIVE_IN_PATCH = re.compile(
    r"(?i)(?<=[^\w@])@(?=[a-z0-9])|#(?=[0-9])|(?<=gh)-(?=[0-9])|(?<=/issues)/(?=[0-9])|(?<=/pull)/(?=[0-9])"
    r"|\[(?=(?:skip|no) (?:ci|actions)\]|(?:ci|actions) skip\])"
)
_IN_ITS_PLACE = {"@": "＠", "#": "＃", "[": "［", "-": "\u2011", "/": "／"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything that the text is made of. `patch` is a unified diff of the workflow files `left_out`."""

    item: WorkItem
    claim: Claim
    changes: ChangeSet
    verdict: Verdict
    verification: Verification
    transcript: Transcript
    redact: Callable[[str], str]
    template: str
    title_prefix: str = "[ops]"
    run: RunIdentity | None = None
    left_out: tuple[str, ...] = ()
    patch: str = ""

    @property
    def ending(self) -> Ending | None:
        return self.transcript.ending

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Why this must not be merged as it is, in code's words; empty when every check passed and the agent said that it is done."""
        failed = self.verification.failed
        reasons = []
        if self.verdict.blocked:
            reasons.append(f"the guard blocks it with {counted(len(self.verdict.blocking), 'finding')}")
        if failed:
            reasons.append(f"{counted(len(failed), 'check')} failed ({', '.join(sorted({cell(check.name) for check in failed}))})")
        if self.ending is None:
            reasons.append("the agent did not finish")
        return tuple(reasons)


def build_proposal(material: Material) -> Proposal:
    """Title, body, commit message and overflow; redacted twice: each text before it is neutralised, and the whole at the end."""
    overflow = Overflow()
    holes = _sections(material, overflow)
    holes = _fitted(holes, overflow)
    bare = render(material.template, plans="", **holes)
    holes["plans"] = plans(material.verification.targets, MOST_BODY - _SLACK - len(bare), overflow)
    body = material.redact(render(material.template, **holes))
    if len(body) > MOST_BODY:
        raise RedactionFailed(f"the text grew to {len(body):,} characters when it was redacted")
    left = material.redact(overflow.text)
    if len(left) > _MOST_OVERFLOW:
        left = left[:_MOST_OVERFLOW].rsplit("\n### ", 1)[0] + "\n\n*(the rest does not fit a job summary)*"
    headline_text = _headline(material)
    return Proposal(
        title=material.redact(f"{material.title_prefix} {headline_text}".strip()[:_MOST_TITLE]),
        body=body,
        commit_headline=material.redact(headline_text[:_MOST_HEADLINE].strip()),
        commit_body=material.redact(_commit_body(material)),
        draft=bool(material.unfinished),
        overflow=left,
    )


def _sections(material: Material, overflow: Overflow) -> dict[str, str]:
    item, ending, verification = material.item, material.ending, material.verification
    redact, changes = material.redact, material.changes

    def words(title: str, text: str) -> str:
        return prose(title, text, redact, overflow)

    checks = checks_table(verification)
    failed = failed_text(verification.failed, redact)
    return {
        "description": said(_about(material), words("Description", ending.description if ending else "")),
        "infrastructure": said(
            infrastructure(changes, verification, overflow), words("Infrastructure changes", ending.infrastructure if ending else "")
        ),
        "ci_cd": said(
            ci_cd(changes, verification, material.left_out, _patch(material, overflow)),
            words("CI/CD changes", ending.ci_cd if ending else ""),
        ),
        "observability": said(observability(verification), words("Observability & logging", ending.observability if ending else "")),
        "validation": said(f"{checks}\n\n{failed}".strip(), words("Validation", ending.validation if ending else "")),
        "linked_issue": linked_issue(item),
        "verdict": verdict_text(material.verdict, redact, overflow),
        "criteria": criteria_table(item.request.criteria, ending, redact),
        "not_done": _not_done(material, overflow),
        "provenance": provenance(item, material.claim, material.transcript, changes, verification, material.run),
    }


def _fitted(holes: dict[str, str], overflow: Overflow) -> dict[str, str]:
    """The sections, cut so that at least a quarter of the body is left for the plans."""
    kept, rest = fit(holes, _MOST_SECTIONS)
    for name, markdown in rest.items():
        title = name.replace("_", " ").capitalize()
        overflow.add(f"{title}, continued", markdown)
        kept[name] += "\n\n*(cut here: the rest is in the job summary)*"
    return kept


def linked_issue(item: WorkItem) -> str:
    """The one closing keyword, for the sub-issue; the parent without a keyword; and a sentence when GitHub will not act on it."""
    ref = item.issue.ref
    same = ref.repository.casefold() == item.target.full_name.casefold()
    lines = [f"Closes #{ref.number}" if same else f"Closes {ref.repository}#{ref.number}"]
    if item.parent is not None:
        near = item.parent.repository.casefold() == item.target.full_name.casefold()
        lines.append(f"Parent issue: {'' if near else item.parent.repository}#{item.parent.number}")
    if item.base_branch != item.target.default_branch:
        lines.append(
            f"This goes to {code(item.base_branch)}, not to the default branch {code(item.target.default_branch)}: GitHub will neither "
            "link the issue nor close it at the merge."
        )
    return "\n\n".join(lines)


def _about(material: Material) -> str:
    lines = [f"For the work item *{cell(material.redact(material.item.title))}*."]
    if material.unfinished:
        lines.insert(0, f"> [!WARNING]\n> **Not ready to merge**: {'; '.join(material.unfinished)}.")
    lines += [f"- {cell(material.redact(warning))}" for warning in material.item.warnings[:20]]
    return "\n\n".join(lines)


def _not_done(material: Material, overflow: Overflow) -> str:
    ending = material.ending
    parts = []
    if material.transcript.soft_limit_reached:
        parts.append("The run came near its limit of turns, cost or time, and the agent was told to finish.")
    if ending is not None:
        parts.append(prose("Not done", ending.not_done, material.redact, overflow))
        for title, entries in (("Proposed issues", ending.proposed_issues), ("Open questions", ending.questions)):
            found = listed(entries, material.redact)
            parts.append(f"{title}:\n\n{found}" if found else "")
    return "\n\n".join(part for part in parts if part)


def _patch(material: Material, overflow: Overflow) -> str:
    """Workflow files that the token may not write, to be applied by a person."""
    if not material.patch:
        return ""
    clean = material.redact(material.patch)
    inert = _ACTIVE_IN_PATCH.sub(lambda found: _IN_ITS_PLACE[found.group()], clean)
    note = "The token may not write workflow files, so they are not in the commit. Apply this patch with `git apply`"
    note += " (some of its characters were replaced, it does not apply as it is):" if inert != material.patch else ":"
    block = fence_verbatim(inert.rstrip("\n"), "diff")
    if len(block) > _MOST_PATCH:
        overflow.add("Patch of the workflow files", block)
        return f"{note[:-1]}; it is in the job summary."
    return f"{note}\n\n{folded('Patch of the workflow files', block, is_open=True)}"


def _headline(material: Material) -> str:
    """One line for title and commit: the llm's wish as plain text, else the issue's title; never with our prefix twice."""
    wish = material.ending.title if material.ending else ""
    prefix = material.title_prefix.casefold()
    for text in (wish, material.item.title):
        plain = one_line(neutralise_commit(material.redact(text)))
        while prefix and plain.casefold().startswith(prefix):
            plain = plain[len(prefix) :].lstrip(" :-")
        if plain:
            return plain
    return f"Change for issue {material.item.issue.ref.number}"


def _commit_body(material: Material) -> str:
    words = neutralise_commit(material.redact(material.ending.description if material.ending else ""))[:_MOST_COMMIT_BODY].strip()
    return f"{words}\n\nWork item: {material.item.issue.ref}".strip()
