"""Every way to end, at every stage: which comment stands on the issue, and that its advice is that of this end."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from builders import run, work_item
from doubles.hosting import CommentingHost
from doubles.reporter import KeepingReporter
from golden import assert_golden
from ops_agent.model.change_set import KeptPatch
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import World
from ops_agent.model.work_item import Claim
from ops_agent.pages.issue_comment import stopped_text
from ops_agent.pages.job_summary import SENTENCES
from ops_agent.run.answer import answer
from ops_agent.run.claim import release
from ops_agent.run.progress import Phase, Progress, comment_text
from run.github_world import Workplace
from run.publication_runs import NO, Run

OPENED = (Conclusion.PUBLISHED, Conclusion.UPDATED, Conclusion.VERIFIED, Conclusion.CONCLUDED)
"""Ends with a pull request: tests of their own show their comments."""
ENDS = tuple(conclusion for conclusion in Conclusion if conclusion not in OPENED)
ITEM = work_item()
REPOSITORY = ITEM.issue.ref.repository


class Before:
    """An issue with a comment of ours, and what a run that does not take it makes of that."""

    def __init__(self, admitted: bool, *comments: str) -> None:
        self.admitted, self.comments = admitted, comments

    def __call__(self, why: Stopped) -> list[str]:
        host = CommentingHost()
        parts: dict[str, Any] = {"issues": host, "reporter": KeepingReporter(), "redact": str}
        world = cast(World, World(**{**dict.fromkeys(World.__dataclass_fields__), **parts}))
        for body in self.comments:
            host.create_comment(ITEM.issue.ref, body)
        answer(world, ITEM.issue.ref, why, run(run_id=80), dry_run=False, admitted=self.admitted)
        return [comment.body for comment in host.said.get(ITEM.issue.ref, ())]


def _of_a_run(phase: Phase, says: str) -> str:
    claim = Claim(branch="ops-agent/issue-12", base_commit="a" * 40, head_commit="a" * 40, comment_id=1)
    return comment_text(ITEM, claim, run(), phase, says)


ASKED = _of_a_run(Phase.STOPPED, stopped_text(NO, REPOSITORY))
PULL = _of_a_run(Phase.PUBLISHED, "Pull request [#31](https://github.com/o/r/pull/31) was opened.")
ANSWER = Before(True)(NO)[0]
STAGES: dict[str, Callable[[Stopped], list[str]]] = {
    "not admitted": Before(False),
    "not admitted, after an answer": Before(False, ANSWER),
    "not admitted, after a run that asked": Before(False, ASKED),
    "not admitted, after a pull request": Before(False, PULL),
    "not admitted, while another run is at work": Before(False, _of_a_run(Phase.WORKING, "turn 3")),
    "not claimed": Before(True),
    "not claimed, after a run that asked": Before(True, ASKED),
    "not claimed, after a pull request and an answer": Before(True, PULL, ANSWER),
}


def _shape(bodies: list[str], why: Stopped) -> str:
    """What the comment is, without what must hold for every one: one, and no advice but the last."""
    if not bodies:
        return "no comment"
    (body,) = bodies
    if "turn 3" in body:
        return "that of the run at work"
    assert body.count("**What to do:**") == 1 and f"**{why.conclusion.value}**: {why.reason}" in body, body
    assert f"**What to do:** {why.remedy}" in body.replace("\\", "") and "Which queue?" not in body, body
    heading = re.findall(r"(?m)^### (.*)$", body)[0]
    pull, patch = ", with the pull request" if "[#" in body else "", ", names the patch" if "as a patch" in body else ""
    return f"{heading}{pull}{patch}"


def test_one_comment_with_the_advice_of_the_last_end_stands_after_every_end(here: Workplace) -> None:
    """Ends that concern the workflow's author alone leave none before admission."""
    lines = ["# The comment on an issue, by stage and end", ""]
    found: dict[str, dict[str, list[str]]] = {
        stage: defaultdict(list) for stage in (*STAGES, "at work, after an answer")
    }
    for conclusion in ENDS:
        why = Stopped(conclusion, SENTENCES[conclusion], f"Do what {conclusion.value} needs.")
        for stage, happen in STAGES.items():
            found[stage][_shape(happen(why), why)].append(conclusion.value)
        here.repository.issues.pop(12)
        here.issue = here.add_issue(12)
        here.issue.comment(ANSWER, by="ops-agent[bot]")
        at_work = Run(here)
        held = at_work.claim()
        assert isinstance(held, Claim)
        progress = Progress(at_work.world, at_work.item, held, at_work.identity)
        release(at_work.world, at_work.settings, progress, why, KeptPatch(text="diff"))
        found["at work, after an answer"][_shape(here.claim_comments(), why)].append(conclusion.value)
    for stage, shapes in found.items():
        few = [ends for ends in shapes.values() if 2 * len(ends) < len(ENDS)]
        every = "every other end" if few else "every end"
        lines += [f"## {stage}", ""]
        lines += [f"* {shape}: {', '.join(ends) if ends in few else every}" for shape, ends in shapes.items()] + [""]
    assert_golden(Path(__file__).parent / "golden" / "comment_of_every_end.md", "\n".join(lines))
