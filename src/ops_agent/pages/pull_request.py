"""The pull request's text: six sections in the order of the role description, then verdict, criteria, what is not done,
plans, provenance. In each section the facts come first, and the agent's words after them.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from ops_agent.model.change_set import ChangeKind, ChangeSet, FileChange, Proposal
from ops_agent.model.conversation import Ending, Transcript
from ops_agent.model.errors import RedactionFailed
from ops_agent.model.event import RunIdentity
from ops_agent.model.finding import Finding, Severity, Verdict
from ops_agent.model.terraform import Unreadable
from ops_agent.model.verification import TargetVerification, Verification
from ops_agent.model.work_item import Claim, WorkItem
from ops_agent.pages.criteria import criteria_section, follow_ups, record_of, unproved
from ops_agent.pages.fragments import IN_SUMMARY, Overflow, capped, counted, details, grouped, items, joined, spent
from ops_agent.pages.observability import observability
from ops_agent.pages.plans import changes_table, plans_text
from ops_agent.pages.results import (
    MAX_FINDINGS,
    Reasons,
    checks_table,
    failed_text,
    findings_list,
    headlines,
    judged,
)
from ops_agent.pages.summary import decisions_of, first_screen, how_applied, planned_decisions
from ops_agent.text.markdown import (
    cell,
    code,
    code_block,
    fit,
    list_item,
    neutralise,
    neutralise_commit,
    one_line,
    quoted,
    says_nothing,
    sentence,
)
from ops_agent.text.templates import fill
from ops_agent.workflows.merging import MergeEffect
from ops_agent.workflows.reader import read_workflow

_MESSAGE: Final = "pages/messages/pull_request.md"
MAX_BODY: Final = 60_000
"""Code points. GitHub refuses a body above 65,536; publication adds notes and its record."""
MAX_PROSE: Final = 4_000
APPLY_PATCH: Final = "Apply this patch with `git apply`"
MAX_FILES: Final = 40
_MAX_COMMANDS: Final = 30
_MAX_CELL: Final = 300
_MAX_NOTES: Final = 10
_MAX_OVERFLOW: Final = 900_000
_MAX_PATCH: Final = 12_000
_MAX_TITLE: Final = 120
_MAX_HEADLINE: Final = 72
_MAX_COMMIT_BODY: Final = 2_000
_MAX_SECTIONS: Final = 42_000
_SLACK: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What the text is made of. `patch` is a diff of the workflow files `left_out`, `why_patch` says why; `merges` is
    what a merge applies, by the workflows as this change leaves them."""

    item: WorkItem
    claim: Claim
    changes: ChangeSet
    verdict: Verdict
    verification: Verification
    transcript: Transcript
    redact: Callable[[str], str]
    title_prefix: str = "[ops]"
    run: RunIdentity | None = None
    merges: tuple[MergeEffect, ...] = ()
    left_out: tuple[str, ...] = ()
    patch: str = ""
    why_patch: str = "The token may not write workflow files, so they are not in the commit."

    @property
    def ending(self) -> Ending | None:
        """What the agent declared, be it that it did not end the work."""
        return self.transcript.ending or self.transcript.so_far

    @property
    def new_issue(self) -> str:
        """The address of GitHub's form for a new issue beside this one; empty on a laptop."""
        run = self.run
        return f"{run.server_url}/{self.item.issue.ref.repository}/issues/new" if run is not None and run.run_id else ""

    @property
    def reasons(self) -> dict[tuple[str, str], str]:
        """Why the agent leaves findings as they are, by rule and place or address."""
        given = self.ending.justifications if self.ending else ()
        return {(rule, where): self.redact(why) for rule, where, why in given}

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Why this must not be merged as it is; empty when nothing of `not_ready` holds and the agent said all."""
        ending = self.transcript.ending
        lacking = ending.lacking if ending else ("the agent did not finish",)
        texts = {criterion.id: self.redact(criterion.text) for criterion in self.item.request.criteria}
        return not_ready(self.verdict, self.verification, *lacking, texts=texts)


def not_ready(
    verdict: Verdict, verification: Verification, *others: str, texts: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """Why a pull request must not be merged as it is, one clause each: the guard blocks it or would, a check failed or
    fails on the base branch already, no root calls a changed module, `others`, criteria are open or none is proved, a
    decision is needed. `texts`: what the criteria say, redacted, by id.
    """
    failed = verification.failed
    reasons = []
    if verdict.blocked:
        reasons.append(f"the guard blocks it with {counted(len(verdict.blocking), 'finding')}")
    if verdict.disputed:
        reasons.append(f"the agent disputes {counted(len(verdict.disputed), 'finding')} that would block it")
    if failed:
        names = ", ".join(sorted({cell(check.name) for check in failed}))
        reasons.append(f"{counted(len(failed), 'check')} failed ({names})")
    if already := verification.failing_on_base:
        names = ", ".join(sorted({cell(check.name) for check in already}))
        reasons.append(f"{names} fails on the base branch already, so no plan proves the change there")
    if verification.uncalled:
        names = ", ".join(map(code, verification.uncalled[:5]))
        reasons.append(f"no root calls {names}, so no plan shows what is changed there")
    reasons += [*others, *unproved(verification.criteria, texts)]
    if asked := _decisions(verdict, verification.targets):
        reasons.append(f"{counted(asked, 'decision')} needed")
    return tuple(reasons)


def _decisions(verdict: Verdict, targets: Sequence[TargetVerification]) -> int:
    return len(decisions_of(verdict)) + len(planned_decisions(targets))


def build_proposal(material: Material) -> Proposal:
    """Title, body, commit message and overflow; redacted before they are neutralised, and as a whole at the end."""
    overflow = Overflow()
    holes = _fitted(_sections(material, overflow), overflow)
    evidence = record_of(material.item.request.criteria, material.ending, material.verdict, material.redact)
    bare = fill(_MESSAGE, plans="", **holes) + evidence
    plans = plans_text(material.verification.targets, MAX_BODY - _SLACK - len(bare), overflow)
    body = joined(material.redact(fill(_MESSAGE, plans=plans, **holes)).rstrip(), evidence)
    if len(body) > MAX_BODY:
        raise RedactionFailed(f"the text grew to {len(body):,} characters when it was redacted")
    left = material.redact(overflow.text)
    if len(left) > _MAX_OVERFLOW:
        left = left[:_MAX_OVERFLOW].rsplit("\n### ", 1)[0] + "\n\n*(the rest does not fit into a job summary)*"
    headline = _headline(material)
    return Proposal(
        title=material.redact(f"{material.title_prefix} {headline}".strip()[:_MAX_TITLE]),
        body=body,
        commit_headline=material.redact(headline[:_MAX_HEADLINE].strip()),
        commit_body=material.redact(_commit_body(material)),
        draft=bool(material.unfinished),
        stays_draft=bool(material.verdict.disputed),
        overflow=left,
    )


def _sections(material: Material, overflow: Overflow) -> dict[str, str]:
    """The text of each hole of the template, but the plans."""
    words = material.ending or Ending(kind="unfinished")
    verification, redact = material.verification, material.redact

    def section(facts: str, title: str, text: str) -> str:
        """What code knows, then the llm's words, quoted below a line that says whose they are."""
        theirs = _prose(title, text, redact, overflow)
        return joined(facts, quoted(f"*In the agent's words:*\n\n{theirs}") if theirs else "")

    infrastructure = infrastructure_facts(material.changes, verification)
    ci_cd = ci_cd_facts(material.changes, verification, material.merges, material.left_out, _patch(material, overflow))
    checks = validation_facts(verification, material.verdict, redact)
    return {
        "first_screen": joined(
            first_screen(
                material.verdict,
                verification,
                material.merges,
                material.item.base_branch,
                material.unfinished,
                redact,
                overflow,
                material.reasons,
                has_workflows=any(map(is_ci, material.changes.paths)),
            ),
            _assumptions(words, redact),
        ),
        "description": section(
            f"For the work item *{cell(redact(material.item.title))}*.", "Description", words.description
        ),
        "infrastructure": section(infrastructure, "Infrastructure changes", words.infrastructure),
        "ci_cd": section(ci_cd, "CI/CD changes", words.ci_cd),
        "observability": section(observability(verification), "Observability & logging", words.observability),
        "validation": section(checks, "Validation", words.validation),
        "linked_issue": linked_issue(material.item),
        "verdict": verdict_section(material.verdict, verification.targets, redact, overflow, material.reasons),
        "criteria": criteria_section(
            material.item, material.ending, verification, redact, material.new_issue, material.claim.branch
        ),
        "not_done": _not_done(material, overflow),
        "provenance": _provenance(material),
    }


def _fitted(holes: dict[str, str], overflow: Overflow) -> dict[str, str]:
    """The sections, cut so that at least a quarter of the body is left for the plans."""
    kept, rest = fit(holes, _MAX_SECTIONS)
    for name, markdown in rest.items():
        overflow.add(f"{name.replace('_', ' ').capitalize()}, continued", markdown)
        kept[name] += f"\n\n*(cut here: the rest is {IN_SUMMARY})*"
    return kept


# The agent's words: redacted, neutralised, cut with a visible mark.


def _prose(title: str, text: str, redact: Callable[[str], str], overflow: Overflow) -> str:
    """`text` as Markdown of at most MAX_PROSE code points; the rest goes to `overflow`. Empty for `None.`"""
    clean = redact(text).strip()
    if not clean or says_nothing(clean):
        return ""
    kept = clean
    while len(shown := neutralise(kept)) > MAX_PROSE:
        kept = kept[: len(kept) * 3 // 4]
        kept = kept[: kept.rfind("\n")] if "\n" in kept[len(kept) // 2 :] else kept
    rest = clean[len(kept) :].strip()
    if not rest:
        return shown
    overflow.add(title, neutralise(rest))
    return f"{shown}\n\n*(cut here: {len(rest):,} more characters {IN_SUMMARY})*"


def _assumptions(ending: Ending, redact: Callable[[str], str]) -> str:
    """What the agent took for granted where the issue says nothing: the last thing on the first screen."""
    rows = items(map(redact, ending.assumptions), longest=_MAX_CELL)
    return quoted("\n".join(["*In the agent's words:*", "", "Assumptions:", "", *rows])) if rows else ""


def _not_done(material: Material, overflow: Overflow) -> str:
    ending, redact = material.ending, material.redact
    parts = []
    if material.transcript.soft_limit_reached:
        parts.append("The run came close to its limit of turns, cost or time, and the agent was asked to finish.")
    if ending is not None:
        if theirs := _prose("Not done", ending.not_done, redact, overflow):
            parts.append(quoted(f"*In the agent's words:*\n\n{theirs}"))
        ref, branch = material.item.issue.ref, material.claim.branch
        parts.append(follow_ups(ending.follow_ups, ref, branch, redact, material.new_issue))
    return joined(*parts)


# What code knows about the change.


def infrastructure_facts(changes: ChangeSet, verification: Verification) -> str:
    """Counts for each target, what changes, and the files."""
    targets = verification.targets
    files = [change for change in changes.changes if not is_ci(change.path)]
    named = f"Files: {_files(files)}." if files else "No infrastructure files changed."
    return joined(headlines(targets), changes_table(targets), named)


def validation_facts(verification: Verification, verdict: Verdict, redact: Callable[[str], str]) -> str:
    """Every check, by what it was made, what the repository asks for instead, and what those that failed say."""
    providers = (name.removeprefix("registry.terraform.io/") for name in verification.providers)
    by = [verification.engine, *providers] if verification.engine else []
    notes = [f"- {list_item(redact(note))}" for note in verification.notes[:_MAX_NOTES]]
    return joined(
        checks_table(verification, verdict),
        f"Checked with {', '.join(map(code, by[:_MAX_NOTES]))}." if by else "",
        "\n".join(notes),
        failed_text(verification.failed, redact),
    )


def is_ci(path: str) -> bool:
    """True for a file that GitHub Actions runs or that needs the `workflows` permission."""
    return path.casefold().startswith(".github/")


def _files(files: list[FileChange]) -> str:
    """The worst first: deleted, modified, added."""
    order = (ChangeKind.DELETED, ChangeKind.MODIFIED, ChangeKind.ADDED)
    shown = sorted(files, key=lambda change: order.index(change.kind))[:MAX_FILES]
    kinds = grouped((change.kind, code(change.path)) for change in shown)
    words = [f"{kind.value} {', '.join(paths)}" for kind, paths in kinds.items()]
    return "; ".join([*words, *([f"and {len(files) - MAX_FILES} more"] if len(files) > MAX_FILES else [])])


def ci_cd_facts(
    changes: ChangeSet,
    verification: Verification,
    merges: Sequence[MergeEffect],
    left_out: tuple[str, ...] = (),
    patch: str = "",
) -> str:
    """Changed workflows with triggers and jobs, what applies each environment, the `patch` of workflows `left_out`, and
    commands to plan and apply what a merge does not apply by itself.
    """
    files = [change for change in changes.changes if is_ci(change.path)]
    parts = ["No workflows changed.", how_applied(verification.targets, merges)]
    if files:
        note = "**CI changes: review before approving runs.** A workflow on this branch runs as this branch defines it."
        listed = (_workflow(change, change.path in left_out) for change in files[:MAX_FILES])
        parts = [f"> [!IMPORTANT]\n> {note}", "\n".join(listed), parts[1]]
    applied = {(one.root, one.environment) for one in merges if one.on_merge and one.certain and not one.destroys}
    by = grouped(((t.target.root.path, t.target.environment.name) in applied, t) for t in verification.targets)
    return joined(
        *parts,
        patch,
        _commands(by.get(True, ()), "How to plan this yourself", "Before the merge, on this branch: a merge applies."),
        _commands(
            by.get(False, ()),
            "How to plan and apply by hand",
            "After the merge, on the base branch. Compare each plan with the one shown here before you apply it:",
            applies=True,
        ),
    )


def _workflow(change: FileChange, is_left_out: bool) -> str:
    note = " **not committed, see the patch below**" if is_left_out else ""
    line = f"- {code(change.path)} ({change.kind.value}){note}"
    read = read_workflow(change.after) if change.after is not None else None
    if read is None or isinstance(read, Unreadable):
        return line
    triggers = ", ".join(code(trigger.event) for trigger in read.triggers[:20])
    jobs = ", ".join(code(job.id) for job in read.jobs[:20])
    return f"{line}: on {triggers}; jobs {jobs}"


def _commands(targets: Sequence[TargetVerification], title: str, says: str, *, applies: bool = False) -> str:
    """Commands for each of `targets` whose state is known, collapsed; empty without one."""
    blocks = []
    for target in targets:
        root, environment = target.target.root, target.target.environment
        if environment.unsettled:
            continue
        # Without -reconfigure, init refuses the second environment, and what it offers instead copies the first one's
        # state there.
        backend = environment.backend_file
        chosen = f" -reconfigure -backend-config={_from(root.path, backend)}" if backend else ""
        variables = "".join(f" -var-file={_from(root.path, path)}" for path in environment.var_files)
        saved = shlex.quote(f"{environment.name}.tfplan")
        lines = [f"terraform init{chosen} && terraform plan{variables} -out={saved}"]
        lines += [f"terraform apply {saved}"] if applies else []
        blocks.append(f"{cell(environment.name)}, in {code(root.path)}:\n\n{code_block(chr(10).join(lines), 'shell')}")
    shown = capped(list(dict.fromkeys(blocks)), _MAX_COMMANDS)
    return details(title, joined(says, *shown)) if shown else ""


def _from(root: str, path: str) -> str:
    """`path` of the repository as a shell in the folder `root` names it."""
    return shlex.quote(posixpath.relpath(f"/{path}", f"/{root}"))


def _patch(material: Material, overflow: Overflow) -> str:
    """Workflow files that are not committed, to be applied by a person."""
    if not material.patch:
        return ""
    clean = material.redact(material.patch)
    note = f"{material.why_patch} {APPLY_PATCH}"
    block = code_block(clean.rstrip("\n"), "diff")
    if len(block) > _MAX_PATCH:
        overflow.add("Patch of the workflow files", block)
        return f"{note}; it is {IN_SUMMARY}."
    return f"{note}:\n\n{details('Patch of the workflow files', block, is_open=True)}"


def linked_issue(item: WorkItem) -> str:
    """The one closing keyword; the parent, without one; and a sentence when GitHub will not act on it."""
    ref, target = item.issue.ref, item.target
    if not ref.number:
        return (
            "A local run: the issue is a file, so none is linked. Add `Closes #NUMBER` when you open the pull request."
        )

    def near(repository: str) -> str:
        return "" if repository.casefold() == target.full_name.casefold() else repository

    lines = [f"Closes {near(ref.repository)}#{ref.number}"]
    if item.parent is not None:
        lines.append(f"Parent issue: {near(item.parent.repository)}#{item.parent.number}")
    if item.base_branch != target.default_branch:
        lines.append(
            f"The base is {code(item.base_branch)}, not the default branch {code(target.default_branch)}: GitHub will "
            "neither link the issue nor close it when this is merged."
        )
    return joined(*lines)


def verdict_section(
    verdict: Verdict,
    targets: Sequence[TargetVerification],
    redact: Callable[[str], str],
    overflow: Overflow,
    reasons: Reasons,
) -> str:
    """Whether something blocks, and by what it was judged; then the findings, those of the base branch apart."""
    new = grouped((None if f.disputed else f.severity, f) for f in verdict.findings if not f.pre_existing)
    old = [f for f in verdict.findings if f.pre_existing]
    word = f"**blocked** by {counted(len(verdict.blocking), 'finding')}" if verdict.blocked else "**nothing blocks**"
    if verdict.disputed:
        word += f" that the agent does not dispute; it disputes {counted(len(verdict.disputed), 'finding')}"
    if asked := _decisions(verdict, targets):
        word += f"; {counted(asked, 'decision')} needed (above)"
    parts = [f"{word}: {judged(verdict)}."]
    titles = {
        None: "Disputed by the agent: it would block, and a person decides",
        Severity.BLOCKS: "Blocks",
        Severity.DECISION: "Needs a decision",
        Severity.WARNING: "Review first",
        Severity.NOTICE: "Advice",
    }
    for severity, title in titles.items():
        if found := new.get(severity):
            parts.append(f"{title}:\n\n{_listed(title, found, redact, overflow, reasons)}")
    if old:
        title = f"{counted(len(old), 'finding')} already on the base branch; does not block"
        parts.append(details(title, _listed("Already on the base branch", old, redact, overflow, reasons)))
    return joined(*parts)


def _listed(
    title: str, found: list[Finding], redact: Callable[[str], str], overflow: Overflow, reasons: Reasons
) -> str:
    if len(found) > MAX_FINDINGS:
        overflow.add(f"{title}, all findings", findings_list(found, redact, len(found), reasons=reasons))
    return findings_list(found, redact, rest=IN_SUMMARY, reasons=reasons)


def _provenance(material: Material) -> str:
    """Who approved what, and what was removed from the issue's text; details: hashes, versions, cost.

    What all plans were made from is here, once; what one plan alone was made from is below the plans.
    """
    item, claim, transcript, run = material.item, material.claim, material.transcript, material.run
    approval, targets = item.approval, material.verification.targets
    act = "a dispatch" if approval.by_dispatch else "a label"
    approved = f"approved by {cell(approval.by.login)} with {act} on {cell(_in_utc(approval.at))}"
    if not item.issue.ref.number:
        approved = "a local run: the issue is a file, with no label, no board and no approval by a writer"
    shown = [
        *(f"- {sentence(material.redact(warning), item.own_repository)}" for warning in item.warnings),
        f"- {approved}",
    ]
    if missing := transcript.extra.get("standards_unavailable"):
        shown.append(f"- standards that could not be had: {cell(material.redact(missing))}")
    removed = sum(item.removed.values())
    if removed:
        kinds = ", ".join(f"{count} {one_line(kind)}" for kind, count in sorted(item.removed.items()))
        shown.append(f"- **{counted(removed, 'hidden element')} removed** from the issue's text: {cell(kinds)}")
    if run is not None and run.run_id:
        shown.append(f"- [run {run.run_id}, attempt {run.attempt}]({run.url})")
    policies = dict.fromkeys(one.evidence.policy for one in targets if one.evidence and one.evidence.policy)
    standards = transcript.extra.get("standards")
    lines = [
        f"- base: {code(item.base_branch)} at {code(claim.base_commit)}",
        f"- SHA-256 of the {'approved ' if item.issue.ref.number else ''}title and text: {code(approval.content_hash)}",
        f"- change set (SHA-256): {code(material.changes.digest)}",
        *(f"- policy (SHA-256): {code(policy)}" for policy in policies),
        f"- language model: {code(transcript.llm_id or 'unknown')}, {spent(transcript)}",
        *([f"- standards: {cell(standards)}"] if standards else []),
    ]
    return joined("\n".join(shown), details("Commits, hashes, versions, cost", "\n".join(lines)))


def _in_utc(at: str) -> str:
    """A time as GitHub writes it (`2026-11-20T10:00:00Z`), whichever way it came; what is no time stays as it is."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return at
    return f"{found.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if found.tzinfo else at


# Title and commit message.


def _headline(material: Material) -> str:
    """One line for title and commit: the llm's wish as plain text, else the issue's title; without our prefix."""
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
    words = neutralise_commit(material.redact(material.ending.description if material.ending else ""))
    return f"{words[:_MAX_COMMIT_BODY].strip()}\n\nWork item: {material.item.issue.ref}".strip()
