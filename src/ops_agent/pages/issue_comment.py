"""The text of our one comment on an issue. Text of the llm, of users and of tools enters neutralised only."""

from __future__ import annotations

from ops_agent.issue.claims import ClaimRecord
from ops_agent.issue.waiting import waiting_line
from ops_agent.model.event import Issue, PullRequest, RunIdentity
from ops_agent.model.outcome import Stopped
from ops_agent.model.work_item import WorkItem
from ops_agent.pages.fragments import IN_SUMMARY, details, items
from ops_agent.pages.results import findings_list
from ops_agent.text.markdown import cell, cut_markdown, fence_verbatim, sentence

_MAX_FINDINGS = 20
_MAX_PATCH_CHARACTERS = 40_000
_MAX_CHARACTERS = 60_000  # GitHub takes 65,536
_MAX_OF_A_LINE = 4_000
_CUT = "\n\n*(cut here: GitHub takes no longer comment)*"

ANSWER_MARK = "<!-- ops-agent:answer -->"
"""Begins a comment on an issue that was not taken."""
_LATER_MARK = "<!-- ops-agent:later -->"
"""In a comment with a pull request: from here on it is about what came after the publication."""

HEADINGS = {
    "claimed": "ops-agent has taken this issue",
    "working": "ops-agent is working on this issue",
    "verifying": "ops-agent is verifying the change",
    "published": "ops-agent has opened a pull request",
    "stopped": "ops-agent has stopped",
}
_LOCAL = "ops-agent has written a patch and the text of a pull request"


def progress_comment(record: ClaimRecord, item: WorkItem, run: RunIdentity, notes: tuple[str, ...], says: str) -> str:
    """The whole comment. `says` is our finished Markdown; `notes` are sentences that stay through the run."""
    by, is_file = f"[run {run.run_id}, attempt {run.attempt}]({run.url})", not item.issue.ref.number
    where = f"branch `{record.branch}` in {item.target.full_name}, from `{item.base_branch}` at `{record.base[:12]}`"
    if is_file:
        by, where = "a local run", f"from `{item.base_branch}` at `{record.base[:12]}`"
    kept, rest = cut_markdown(says.strip(), _MAX_CHARACTERS)
    says = f"{kept}{_CUT}" if rest else kept
    heading = _LOCAL if is_file and record.state == "published" else HEADINGS.get(record.state, HEADINGS["working"])
    parts = [
        record.line,
        f"### {heading}",
        says,
        *(f"- {note}" for note in notes),
    ]
    return "\n\n".join(part for part in parts if part) + f"\n\n<sub>{by} · {where}</sub>\n"


def answer_comment(stopped: Stopped, repository: str, run: RunIdentity) -> str:
    """The whole comment on an issue of `repository` that was not taken."""
    return _joined(_marked(ANSWER_MARK, stopped), _heading(stopped), stopped_text(stopped, repository), by_run(run))


def with_later_end(body: str, record: ClaimRecord, stopped: Stopped, repository: str, run: RunIdentity) -> str:
    """The comment `body` of a run that has ended, after another one did not take its issue again. What says where the
    pull request is stays, every other advice goes.
    """
    says = stopped_text(stopped, repository)
    if record.state == "published":
        kept = body.partition(_LATER_MARK)[0].rstrip()
        return _joined(kept, _marked(_LATER_MARK, stopped), "**Since then:** nothing was changed.", says, by_run(run))
    return _joined(_marked(record.line, stopped), _heading(stopped), says, by_run(run))


def concluded_comment(record: ClaimRecord, pull_request: PullRequest, issue: Issue, note: str, run: RunIdentity) -> str:
    """The comment of a run after its pull request was merged or closed. `note`: why the card did not move."""
    link = f"[#{pull_request.number}]({pull_request.url})"
    if pull_request.merged:
        heading = "### The pull request was merged"
        says = f"{link} was merged into `{pull_request.base_branch}`."
        then = "**What to do:** check the deployment as its section Validation describes."
        if issue.is_open:
            then += " This issue is still open: close it when it is done."
    else:
        heading = "### The pull request was closed without a merge"
        says = f"{link} was closed by a person; ops-agent does not reopen it."
        then = (
            "**What to do:** reopen it (restore its branch if that was deleted) and re-apply the label, or open a new "
            "issue."
        )
    return _joined(record.line, heading, says, then, *([f"- {cell(note)}"] if note else []), by_run(run))


def _heading(stopped: Stopped) -> str:
    return "### ops-agent waits with this issue" if stopped.waiting else "### ops-agent did not take this issue"


def _marked(mark: str, stopped: Stopped) -> str:
    return mark if stopped.waiting is None else f"{mark}\n{waiting_line(stopped.waiting)}"


def _joined(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


def by_run(run: RunIdentity) -> str:
    """The last line of a comment: which run wrote it."""
    return f"<sub>[run {run.run_id}, attempt {run.attempt}]({run.url})</sub>"


def now_line(text: str) -> str:
    """What the run does now, on one line."""
    return f"Now: {cell(text)}" if text.strip() else ""


def published_text(
    pull_request: PullRequest,
    item: WorkItem,
    updated: bool,
    warnings: tuple[str, ...],
    unfinished: Stopped | None = None,
) -> str:
    """Links the pull request, and says why it is `unfinished`. GitHub ignores the closing keyword unless the base is
    the default branch: says so.
    """
    verb = "updated" if updated else "opened"
    how = f"{verb} as a draft" if pull_request.draft else verb
    lines = [f"Pull request [#{pull_request.number}]({pull_request.url}) was {how}."]
    if not item.issue.ref.number:
        lines = [f"A local run: nothing was opened on GitHub. [The text]({pull_request.url}), and the patch beside it."]
    if item.base_branch != item.target.default_branch:
        lines.append(
            f"It goes to `{item.base_branch}`, not to the default branch `{item.target.default_branch}`, so GitHub "
            "neither links it to this issue nor closes the issue when it is merged: close it by hand."
        )
    if unfinished is not None:
        lines.append(stopped_text(unfinished, item.own_repository))
    lines.extend(f"- {sentence(warning, item.own_repository)}" for warning in warnings)
    return "\n\n".join(lines)


def stopped_text(stopped: Stopped, repository: str, *, has_patch: bool = False) -> str:
    """Why, what to do now, and where the work is. Numbers of `repository` link."""
    lines = [
        f"**{stopped.conclusion.value}**: {sentence(_cut(stopped.reason), repository)}",
        f"**What to do:** {sentence(_cut(stopped.remedy), repository)}",
    ]
    for title, entries in (
        ("The agent's reason", (stopped.said,)),
        ("Questions", stopped.questions),
        ("Proposed issues", stopped.proposed_issues),
    ):
        if listed := items(entries):
            lines.append("\n".join([f"**{title}:**", *listed]))
    if stopped.findings:
        lines.append(findings_list(stopped.findings, str, _MAX_FINDINGS, IN_SUMMARY))
    if stopped.patch:
        cut = stopped.patch[:_MAX_PATCH_CHARACTERS]
        note = "" if cut == stopped.patch else f" (cut; the whole patch is {IN_SUMMARY})"
        lines.append(details(f"Patch{note}", fence_verbatim(cut, "diff")))
    elif has_patch:
        lines.append(f"What was changed until then is kept as a patch {IN_SUMMARY}.")
    return "\n\n".join(lines)


def _cut(text: str) -> str:
    """A line that fits beside the others; the job summary has it whole."""
    return text if len(text) <= _MAX_OF_A_LINE else f"{text[:_MAX_OF_A_LINE]}... (cut; see the job summary)"
