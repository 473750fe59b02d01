"""converse: the agent works in the scratch tree until it ends the work; it comes back for a few repair rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from ops_agent.agent.briefing import fenced
from ops_agent.agent.ending import said_so_far
from ops_agent.agent.loop import AgentLoop, Budget
from ops_agent.agent.material import checks_material, findings_material
from ops_agent.agent.toolbox import Toolbox
from ops_agent.agent.workbench import Workbench
from ops_agent.config.settings import Settings
from ops_agent.guard.paths import MAX_PATH, path_refusal
from ops_agent.model.change_set import KeptPatch
from ops_agent.model.conversation import Briefing, CriterionAnswer, Ending, Transcript
from ops_agent.model.finding import Dispute, Finding, Place, Severity, Verdict
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import Scratch, World
from ops_agent.model.verification import CriterionProof, Verification
from ops_agent.pages.fragments import counted
from ops_agent.pages.summary import planned_dangers
from ops_agent.run.base_first import BaseFirst
from ops_agent.run.continued import Continued, Judging
from ops_agent.run.examine import Examiner
from ops_agent.run.keep import kept_patch
from ops_agent.run.target import BasePlans
from ops_agent.text.templates import fill

SHOW_EVERY_TURNS = 10
_MOST_ON_BASE: Final = 8
"""Checks of the base that are told whole; of a repository that nothing can be fetched for all of them fail."""
_MOST_NAMED: Final = 40
_UNFINISHED = frozenset(
    {Conclusion.CHECKS_FAILED, Conclusion.PLAN_FAILED, Conclusion.BUDGET_EXHAUSTED, Conclusion.NO_PROGRESS}
)


class Conversation:
    """One work item's conversation with the llm, called as in pipeline.py. `close` it: it holds copies of the tree."""

    def __init__(
        self,
        world: World,
        settings: Settings,
        briefing: Briefing,
        scratch: Scratch,
        show: Callable[[str], None] = lambda _: None,
        base_first: BaseFirst | None = None,
        withdrawn: Callable[[], Stopped | None] = lambda: None,
        judging: Judging | None = None,
    ) -> None:
        """`show` gets one line for people now and then; `base_first` finds out what the base fails by itself;
        `withdrawn` is asked before each call of the llm why the work is not wanted any more. `judging` is the judge of
        a branch that is continued, in a `scratch` of it.
        """
        self._world, self._settings, self._briefing, self._scratch = world, settings, briefing, scratch
        self._edited = scratch.inner if isinstance(scratch, Continued) else scratch
        self._show = show
        self._base_first, self._withdrawn = base_first, withdrawn
        self._told = set[tuple[str, str]]()
        self._rounds = 0
        self._given_back = ("", "")
        self._blocked = False
        self._advised = set[tuple[str, str, str]]()
        self._doubted = set[str]()
        self._cut_short: Stopped | None = None
        self._ending: Ending | None = None
        plans = base_first.plans if base_first else BasePlans()
        self._disputes: list[Dispute] = []
        self._examiner = Examiner(world, settings, scratch, plans, briefing, self._disputes, judging)
        limits = settings.limits
        bench = Workbench(
            scratch=scratch,
            refuse=lambda path, content: path_refusal(path, content, settings.policy, briefing.layout),
            settle=self._examiner.settle,
            check=self._examiner.check,
            describe=self._examiner.describe,
            clock=world.clock,
            standards={s.id: s.text for s in (*briefing.standards, *briefing.more_standards)},
            criteria=briefing.criteria,
            look=self._examiner.look,
            findings=self._examiner.findings,
            disputes=self._disputes,
            threads=briefing.threads,
        )
        self._bench = bench
        toolbox = Toolbox(bench, briefing.boundary, limits.max_tool_calls_per_turn, world.redact)
        self._loop = AgentLoop(
            world.llm, briefing.system, toolbox, Budget(limits, world.clock), self._note, self._before_call
        )
        self._loop.say(briefing.task)

    def go_on(self) -> Stopped | None:
        """Run until the agent finished with changes in the scratch tree (None), or until there is a reason to stop.

        When the budget ends first, `draft_on_failure` lets what is there be judged and checked all the same: then None,
        and the transcript has no ending.
        """
        self._ending = None
        end = self._loop.run()
        if isinstance(end, Stopped):
            may_be_draft = end.conclusion is Conclusion.BUDGET_EXHAUSTED and self._settings.draft_on_failure
            if not may_be_draft or not self._edited.change_set().changes:
                return end
            self._cut_short = end
            return None
        self._ending = end
        if end.kind != "finished":
            return _stopped_by(end)
        return None if self._scratch.change_set().changes else _without_change(end, self._bench.refused)

    def repair(self, verdict: Verdict, verification: Verification | None) -> Stopped | None:
        """Give findings and failed checks back to the agent. Stopped: no round is left."""
        self._blocked = verdict.blocked
        limit = self._settings.limits.max_repair_rounds
        if self._cut_short is not None:
            return self._cut_short
        if verification is not None and not verdict.blocked and verification.passed:
            self._ask_again(verdict, verification)
            return None
        if self._rounds >= limit:
            return _given_up(verdict, verification, f"even after {counted(self._rounds, 'repair round')}")
        failed = verification.failed if verification is not None else ()
        found = sorted(map(_told, verdict.blocking)), sorted((check.name, check.subject) for check in failed)
        given_back = self._scratch.change_set().digest, str(found)
        if given_back == self._given_back:
            return _given_up(verdict, verification, "and the agent finished again without a change to it")
        self._given_back = given_back
        self._rounds += 1
        if verdict.blocked:
            findings = self._fenced(findings_material(verdict.blocking))
            self._loop.say(fill("agent/prompts/blocked.md", round=self._rounds, rounds=limit, findings=findings))
            what = counted(len(verdict.blocking), "finding")
        else:
            checks = self._fenced(checks_material(failed))
            self._loop.say(fill("agent/prompts/checks_failed.md", round=self._rounds, rounds=limit, checks=checks))
            what = counted(len(failed), "failed check")
        self._show(f"{what} went back to the agent (round {self._rounds})")
        return None

    def _ask_again(self, verdict: Verdict, verification: Verification) -> None:
        """Evidence that does not hold or, once, cannot be told, while a round is left, and advice that was not given:
        in one turn. It is a repair round, unless it is the first advice and nothing else.
        """
        limit, back = self._settings.limits.max_repair_rounds, []
        advice = self._advice(verdict, verification)
        weak = (*verification.refuted, *self._undecided(verification)) if self._rounds < limit else ()
        if weak or self._advised:
            self._rounds += 1
        if weak:
            self._doubted |= {one.criterion_id for one in weak}
            rows = [
                {"criterion": one.criterion_id, "holds": "cannot tell" if one.undecided else "no", "seen": one.why}
                for one in weak
            ]
            criteria = self._fenced(rows)
            self._loop.say(fill("agent/prompts/evidence.md", round=self._rounds, rounds=limit, criteria=criteria))
            named = ", ".join(one.criterion_id for one in weak)
            back.append(f"evidence of {named} (round {self._rounds})")
        if advice:
            self._advised |= {_told(finding) for finding in advice}
            self._loop.say(fill("agent/prompts/advice.md", findings=self._fenced(findings_material(advice))))
            back.append(f"{counted(len(advice), 'finding')} to be fixed or justified")
        self._show(f"{' and '.join(back)} went back to the agent")

    def is_done(self, verdict: Verdict, verification: Verification) -> bool:
        """Whether nothing is left to fix, to prove or to justify, or nothing that may still go back to the agent."""
        if verdict.blocked or not verification.passed:
            return False
        may_repair = self._cut_short is None and self._rounds < self._settings.limits.max_repair_rounds
        weak = verification.refuted or self._undecided(verification)
        return not (weak and may_repair) and not self._advice(verdict, verification)

    def _undecided(self, verification: Verification) -> tuple[CriterionProof, ...]:
        """Criteria whose evidence cannot be told, and of which the agent has not heard yet."""
        return tuple(one for one in verification.undecided if one.criterion_id not in self._doubted)

    def _advice(self, verdict: Verdict, verification: Verification) -> tuple[Finding, ...]:
        """What is no reason to refuse and should be fixed or justified, and was not given to the agent yet; what a
        repair adds afterwards too, while a round is left.
        """
        is_late = bool(self._advised) and self._rounds >= self._settings.limits.max_repair_rounds
        if is_late or self._cut_short is not None or self._loop.budget.exhausted():
            return ()
        of_plans = (_shareable(f) for f in planned_dangers(verification.targets) if f.severity is not Severity.BLOCKS)
        asked = (f for f in verdict.findings if f.certain and not (f.blocks or f.pre_existing or f.disputed))
        found = (*asked, *of_plans)
        return tuple(finding for finding in found if _told(finding) not in self._advised)

    @property
    def disputes(self) -> tuple[Dispute, ...]:
        """What the agent disputes, redacted."""
        return tuple(replace(one, reason=self._world.redact(one.reason)) for one in self._disputes)

    @property
    def answers(self) -> tuple[CriterionAnswer, ...]:
        """The agent's last answers to the acceptance criteria, also when it did not end."""
        return tuple(self._bench.answers.values())

    def worth_a_draft(self, stopped: Stopped, verification: Verification | None) -> bool:
        """Whether unfinished work becomes a draft: when that is asked for, it was verified, and nothing blocks it."""
        about_the_work = stopped.conclusion in _UNFINISHED
        return self._settings.draft_on_failure and about_the_work and verification is not None and not self._blocked

    def close(self) -> None:
        self._examiner.close()

    def kept_patch(self) -> KeptPatch | None:
        """What the agent has changed until now, for people."""
        return kept_patch(self._edited, self._settings, self._world.redact)

    @property
    def transcript(self) -> Transcript:
        loop = self._loop
        standards = ", ".join(f"{standard.id} ({standard.source})" for standard in self._briefing.standards)
        extra = {"boundary": self._briefing.boundary, "repair_rounds": str(self._rounds), "standards": standards}
        if self._briefing.unavailable:
            extra["standards_unavailable"] = " ".join(self._briefing.unavailable)
        if self._cut_short is not None:
            extra["cut_short"] = self._cut_short.reason
        return Transcript(
            turns=loop.turns,
            usage=loop.budget.usage,
            turn_count=loop.budget.turns,
            ending=self._ending,
            so_far=said_so_far(self._bench) if self._ending is None else None,
            llm_id=loop.llm_id or self._settings.llm.model,
            soft_limit_reached=loop.soft_limit_reached,
            extra=extra,
        )

    def _before_call(self) -> Stopped | None:
        """Say what the base fails by itself, once; stop when no change could ever be planned, or nobody wants it."""
        withdrawn = self._withdrawn()
        if withdrawn is not None or self._base_first is None:
            return withdrawn
        stopped = self._base_first.before_call()
        new = [c for c in self._base_first.plans.failures.checks if (c.name, c.subject) not in self._told]
        if new and stopped is None:
            self._told |= {(c.name, c.subject) for c in new}
            material: list[object] = [*checks_material(new[:_MOST_ON_BASE], on_base=True)]
            if more := [f"{c.name} of {c.subject}" for c in new[_MOST_ON_BASE:]]:
                material.append({"failing_too": more[:_MOST_NAMED], "not_listed": len(more[_MOST_NAMED:])})
            self._loop.say(fill("agent/prompts/failing_on_base.md", checks=self._fenced(material)))
        return stopped

    def _fenced(self, material: object) -> str:
        return self._world.redact(fenced(self._briefing.boundary, material))

    def _note(self, turn: int, cost_usd: float, what: str) -> None:
        self._world.reporter.turn(turn, cost_usd, what)
        if turn % SHOW_EVERY_TURNS == 1:
            self._show(f"turn {turn}, ${cost_usd:.2f} so far")


_NO_CHANGES = Stopped(
    Conclusion.NO_CHANGES,
    "The agent finished without changing a file: the repository seems to hold already what the issue asks for.",
    "Close the issue if that is right; otherwise say in its text what is missing, and re-apply the label.",
)
_ENDINGS = {
    "needs_info": (
        Conclusion.NEEDS_INFO,
        "The issue does not say everything that is needed.",
        "Answer the questions in the issue's text and re-apply the label.",
    ),
    "needs_split": (
        Conclusion.NEEDS_SPLIT,
        "The issue is too large for one focused pull request.",
        "Open the proposed issues and add the label to them, in order.",
    ),
    "infeasible": (
        Conclusion.INFEASIBLE,
        "The issue cannot be done with infrastructure or CI/CD changes in this repository.",
        "Read the agent's reason; change the issue's text, or open the proposed follow-up.",
    ),
}


def _told(finding: Finding) -> tuple[str, str, str]:
    """What makes a finding the same for the agent: not its line, which moves with every edit above it."""
    return finding.rule, finding.place.path or finding.address, finding.what


def _shareable(danger: Finding) -> Finding:
    """The words of a failed `check` block may hold values of the account, which the llm never sees."""
    return replace(danger, what=danger.what.partition(":")[0]) if danger.rule == "plan/check-failed" else danger


def _stopped_by(ending: Ending) -> Stopped:
    """The agent declines. The conclusion is ours; its words become its reason, questions and proposals, neutralised
    when shown.
    """
    conclusion, reason, remedy = _ENDINGS[ending.kind]
    asked = ending.questions if ending.kind == "needs_info" else ()
    return Stopped(
        conclusion, reason, remedy, said=ending.description, questions=asked, proposed_issues=ending.proposed_issues
    )


def _without_change(ending: Ending, refused: Mapping[str, str]) -> Stopped:
    """The agent finished and no file differs: nothing is to be done, its writes were refused, or it could not do it."""
    said = (ending.not_done, *(f"{one.criterion_id}: {one.how}" for one in ending.criteria if one.met != "yes"))
    words = "\n\n".join(text for text in said if text.strip())
    if refused:
        return Stopped(
            Conclusion.BLOCKED_BY_POLICY,
            f"The agent finished without a change, and {counted(len(refused), 'file')} that it tried to write may not "
            "be written.",
            "Read the findings; change what the issue asks for, or do this part by hand.",
            findings=tuple(
                Finding(rule="path/allowed-path", what=why, place=Place(path=path[:MAX_PATH]))
                for path, why in refused.items()
            ),
            said=words,
        )
    if words:
        return Stopped(
            Conclusion.INFEASIBLE,
            "The agent finished without changing a file, and says that the work is not done.",
            "Read the agent's reason; change the issue's text, or do this part by hand.",
            said=words,
            proposed_issues=tuple(f"{one.title}: {one.body}" for one in ending.follow_ups),
        )
    return _NO_CHANGES


def _given_up(verdict: Verdict, verification: Verification | None, why: str) -> Stopped:
    if verdict.blocked:
        return Stopped(
            Conclusion.BLOCKED_BY_POLICY,
            f"The change breaks rules of the guard, {why}.",
            "Read the findings; change what the issue asks for, or do this part by hand.",
            findings=verdict.blocking,
        )
    failed = verification.failed if verification is not None else ()
    names = ", ".join(f"{c.name} of {c.subject}" for c in failed[:5])
    in_plan = bool(failed) and all(c.name == "plan" for c in failed)
    return Stopped(
        Conclusion.PLAN_FAILED if in_plan else Conclusion.CHECKS_FAILED,
        f"{counted(len(failed), 'check')} failed, {why}: {names}.",
        "Read the checks' output in the job summary; make the issue's text more exact, and re-apply the label.",
        findings=tuple(f for c in failed for f in c.findings),
    )
