"""converse: the agent works in the scratch tree until it ends the work, and comes back for a bounded number of repair rounds."""

from __future__ import annotations

from collections.abc import Callable

from ops_agent.agent.budget import Budget
from ops_agent.agent.loop import AgentLoop
from ops_agent.agent.toolbox import Toolbox
from ops_agent.agent.workbench import Workbench
from ops_agent.core.briefing.briefing import check_material, findings_material
from ops_agent.core.briefing.briefing_fences import fenced
from ops_agent.core.guard.paths import path_refusal
from ops_agent.core.texts.templates import render
from ops_agent.domain.briefing import Briefing
from ops_agent.domain.conversation import Ending, Transcript
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.domain.verdict import Verdict
from ops_agent.domain.verification import Verification
from ops_agent.ports import Scratch, World
from ops_agent.prompts import text as prompt
from ops_agent.settings import Settings
from ops_agent.stages.converse_checks import QuickChecks

Tell = Callable[[str], None]
TELL_EVERY_TURNS = 10


class Conversation:
    """One work item's conversation with the llm; see pipeline.py for the order of its calls."""

    def __init__(self, world: World, settings: Settings, briefing: Briefing, scratch: Scratch) -> None:
        self._world = world
        self._settings = settings
        self._briefing = briefing
        self._scratch = scratch
        self._rounds = 0
        self._blocked = False
        self._cut_short: Stopped | None = None
        self._ending: Ending | None = None
        self._tell: Tell = lambda _: None
        self._checks = QuickChecks(world, settings, briefing, scratch)
        limits = settings.limits
        bench = Workbench(
            scratch=scratch,
            refuse=lambda path, content: path_refusal(path, content, settings.policy, briefing.layout),
            check=self._checks.run,
            clock=world.clock,
            standards={s.id: s.text for s in (*briefing.standards, *briefing.more_standards)},
        )
        toolbox = Toolbox(bench, briefing.boundary, limits.max_tool_calls_per_turn, world.redact)
        self._loop = AgentLoop(world.llm, briefing.system, bench, toolbox, Budget(limits, world.clock), self._note)
        self._loop.say(briefing.task)

    def go_on(self, tell: Tell) -> Stopped | None:
        """Run until the agent finished with changes in the scratch tree (None), or until there is a reason to stop.

        When the budget ends first, `draft_on_failure` lets what is there be judged and checked all the same: then None, and the
        transcript has no ending.
        """
        self._tell = tell
        self._ending = None
        end = self._loop.run()
        if isinstance(end, Stopped):
            if end.conclusion is Conclusion.BUDGET_EXHAUSTED and self._settings.draft_on_failure and self._scratch.change_set().changes:
                self._cut_short = end
                return None
            return end
        self._ending = end
        return _stopped_by(end) if end.kind != "finished" else self._stopped_without_changes()

    def repair(self, verdict: Verdict, verification: Verification | None) -> Stopped | None:
        """Give findings and failed checks back to the agent: None when another round may run, Stopped when none is left."""
        self._blocked = verdict.blocked
        limits = self._settings.limits
        if self._cut_short is not None:
            return self._cut_short
        if self._rounds >= limits.max_repair_rounds:
            return _given_up(verdict, verification, self._rounds)
        self._rounds += 1
        if verdict.blocked:
            findings = self._fenced(findings_material(verdict.blocking))
            self._loop.say(render(prompt("blocked"), round=self._rounds, rounds=limits.max_repair_rounds, findings=findings))
            self._tell(f"{len(verdict.blocking)} findings went back to the agent (round {self._rounds})")
        else:
            failed = verification.failed if verification is not None else ()
            checks = self._fenced([check_material(c) for c in failed])
            self._loop.say(render(prompt("checks_failed"), round=self._rounds, rounds=limits.max_repair_rounds, checks=checks))
            self._tell(f"{len(failed)} failed checks went back to the agent (round {self._rounds})")
        return None

    def worth_a_draft(self, stopped: Stopped, verification: Verification | None) -> bool:
        """Whether unfinished work becomes a draft: only when the input says so, it was verified, and no rule blocks it."""
        about_the_work = stopped.conclusion in _UNFINISHED
        return self._settings.draft_on_failure and about_the_work and verification is not None and not self._blocked

    def close(self) -> None:
        """Give back what its checks held."""
        self._checks.close()

    @property
    def transcript(self) -> Transcript:
        loop = self._loop
        standards = ", ".join(f"{standard.id} ({standard.source})" for standard in self._briefing.standards)
        extra = {"boundary": self._briefing.boundary, "repair_rounds": str(self._rounds), "standards": standards}
        if self._cut_short is not None:
            extra["cut_short"] = self._cut_short.reason
        return Transcript(
            turns=loop.turns,
            usage=loop.budget.usage,
            turn_count=loop.budget.turns,
            ending=self._ending,
            llm_id=loop.llm_id or self._settings.model,
            soft_limit_reached=loop.soft_limit_reached,
            extra=extra,
        )

    def _fenced(self, material: object) -> str:
        return self._world.redact(fenced(self._briefing.boundary, material))

    def _note(self, turn: int, cost_usd: float, what: str) -> None:
        self._world.reporter.turn(turn, cost_usd, what)
        if turn % TELL_EVERY_TURNS == 1:
            self._tell(f"turn {turn}, ${cost_usd:.2f} so far")

    def _stopped_without_changes(self) -> Stopped | None:
        if self._scratch.change_set().changes:
            return None
        return Stopped(
            conclusion=Conclusion.NO_CHANGES,
            reason="The agent finished without changing a file: the repository seems to hold already what the issue asks for.",
            remedy="Close the issue if that is right; otherwise say in its text what is missing, and put the label again.",
        )


_UNFINISHED = frozenset({Conclusion.CHECKS_FAILED, Conclusion.PLAN_FAILED, Conclusion.BUDGET_EXHAUSTED, Conclusion.NO_PROGRESS})


def _stopped_by(ending: Ending) -> Stopped:
    """The agent's no. The conclusion is ours; its words are shown as questions and proposals, neutralised by whoever shows them."""
    conclusion, reason, remedy = {
        "needs_info": (
            Conclusion.NEEDS_INFO,
            "The issue does not say everything that is needed.",
            "Answer the questions in the issue's text and put the label again.",
        ),
        "needs_split": (
            Conclusion.NEEDS_SPLIT,
            "The issue is too large for one focused pull request.",
            "Open the proposed issues and put the label on them, in order.",
        ),
        "infeasible": (
            Conclusion.INFEASIBLE,
            "The issue cannot be done with infrastructure or CI/CD changes in this repository.",
            "Read the agent's reason; change the issue's text, or open the proposed follow-up.",
        ),
    }[ending.kind]
    said = (ending.description,) if ending.description.strip() else ()
    questions = ending.questions if ending.kind == "needs_info" else said
    return Stopped(conclusion=conclusion, reason=reason, remedy=remedy, questions=questions or said, proposed_issues=ending.proposed_issues)


def _given_up(verdict: Verdict, verification: Verification | None, rounds: int) -> Stopped:
    if verdict.blocked:
        return Stopped(
            conclusion=Conclusion.BLOCKED_BY_POLICY,
            reason=f"The change breaks rules of the guard, still after {rounds} repair rounds.",
            remedy="Read the findings; change what the issue asks for, or do this part by hand.",
            findings=verdict.blocking,
        )
    failed = verification.failed if verification is not None else ()
    names = ", ".join(f"{c.name} of {c.subject}" for c in failed[:5])
    in_plan = bool(failed) and all(c.name == "plan" for c in failed)
    return Stopped(
        conclusion=Conclusion.PLAN_FAILED if in_plan else Conclusion.CHECKS_FAILED,
        reason=f"{len(failed)} check{'s' if len(failed) > 1 else ''} failed, still after {rounds} repair rounds: {names}.",
        remedy="Read the checks' output in the job summary; make the issue's text more exact, and put the label again.",
        findings=tuple(f for c in failed for f in c.findings),
    )
