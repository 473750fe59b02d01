"""converse: the agent works in the scratch tree until it ends the work; it comes back for a few repair rounds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ops_agent.agent.briefing import check_material, fenced, findings_material
from ops_agent.agent.loop import AgentLoop, Budget
from ops_agent.agent.toolbox import Toolbox
from ops_agent.agent.tools import Workbench
from ops_agent.config.settings import Settings
from ops_agent.guard.paths import is_workflow, path_refusal
from ops_agent.guard.tree import source_tree
from ops_agent.model.change_set import ChangeSet, KeptPatch
from ops_agent.model.conversation import Briefing, CriterionAnswer, Ending, Transcript
from ops_agent.model.errors import OpsAgentError, ToolchainError
from ops_agent.model.finding import Finding, Verdict
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import Scratch, Terraform, TerraformWorkspace, World
from ops_agent.model.terraform import TerraformRoot, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus, Verification
from ops_agent.pages.fragments import counted
from ops_agent.pages.summary import planned_decisions
from ops_agent.run.base_failures import read_file
from ops_agent.run.base_first import BaseFirst
from ops_agent.run.judge import format_files, judge_sources, pin_actions
from ops_agent.run.keep import kept_patch
from ops_agent.run.verify import fetch_modules, run_all
from ops_agent.terraform.modules import init_inputs
from ops_agent.text.templates import fill

SHOW_EVERY_TURNS = 10
MAX_CHECKED_ROOTS = 4
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
    ) -> None:
        """`show` gets one line for people now and then; `base_first` finds out what the base fails by itself."""
        self._world, self._settings, self._briefing, self._scratch = world, settings, briefing, scratch
        self._show = show
        self._base_first = base_first
        self._told = set[tuple[str, str]]()
        self._rounds = 0
        self._blocked = False
        self._advised = False
        self._cut_short: Stopped | None = None
        self._ending: Ending | None = None
        self._cells = KeptCells(world.terraform, settings.policy.allowed_providers)
        limits = settings.limits
        bench = Workbench(
            scratch=scratch,
            refuse=lambda path, content: path_refusal(path, content, settings.policy, briefing.layout),
            check=self._check,
            clock=world.clock,
            standards={s.id: s.text for s in (*briefing.standards, *briefing.more_standards)},
            criteria=briefing.criteria,
        )
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
            if not may_be_draft or not self._scratch.change_set().changes:
                return end
            self._cut_short = end
            return None
        self._ending = end
        if end.kind != "finished":
            return _stopped_by(end)
        return None if self._scratch.change_set().changes else _NO_CHANGES

    def repair(self, verdict: Verdict, verification: Verification | None) -> Stopped | None:
        """Give findings and failed checks back to the agent. Stopped: no round is left."""
        self._blocked = verdict.blocked
        limit = self._settings.limits.max_repair_rounds
        if self._cut_short is not None:
            return self._cut_short
        if verification is not None and not verdict.blocked and verification.passed and not verification.refuted:
            advice = self._advice(verdict, verification)
            self._advised = True
            self._loop.say(fill("agent/prompts/advice.md", findings=self._fenced(findings_material(advice))))
            self._show(f"{counted(len(advice), 'finding')} went back to the agent, to be fixed or justified")
            return None
        if self._rounds >= limit:
            return _given_up(verdict, verification, self._rounds)
        self._rounds += 1
        if verdict.blocked:
            findings = self._fenced(findings_material(verdict.blocking))
            self._loop.say(fill("agent/prompts/blocked.md", round=self._rounds, rounds=limit, findings=findings))
            what = counted(len(verdict.blocking), "finding")
        elif verification is not None and verification.passed and verification.refuted:
            wrong = self._fenced([{"criterion": one.criterion_id, "seen": one.why} for one in verification.refuted])
            self._loop.say(fill("agent/prompts/evidence.md", round=self._rounds, rounds=limit, criteria=wrong))
            what = f"evidence of {', '.join(one.criterion_id for one in verification.refuted)}"
        else:
            failed = verification.failed if verification is not None else ()
            checks = self._fenced([check_material(c) for c in failed])
            self._loop.say(fill("agent/prompts/checks_failed.md", round=self._rounds, rounds=limit, checks=checks))
            what = counted(len(failed), "failed check")
        self._show(f"{what} went back to the agent (round {self._rounds})")
        return None

    def is_done(self, verdict: Verdict, verification: Verification) -> bool:
        """Whether nothing is left to fix, to prove or to justify, or nothing that may still go back to the agent."""
        if verdict.blocked or not verification.passed:
            return False
        may_repair = self._cut_short is None and self._rounds < self._settings.limits.max_repair_rounds
        return not (verification.refuted and may_repair) and not self._advice(verdict, verification)

    def _advice(self, verdict: Verdict, verification: Verification) -> tuple[Finding, ...]:
        """What is no reason to refuse and should be fixed or justified: given to the agent once."""
        if self._advised or self._cut_short is not None or self._loop.budget.exhausted():
            return ()
        of_files = (f for f in verdict.findings if not f.blocks and not f.pre_existing)
        return (*of_files, *planned_decisions(verification.targets))

    @property
    def answers(self) -> tuple[CriterionAnswer, ...]:
        """The agent's last answers to the acceptance criteria."""
        return self._ending.criteria if self._ending is not None else ()

    def worth_a_draft(self, stopped: Stopped, verification: Verification | None) -> bool:
        """Whether unfinished work becomes a draft: when that is asked for, it was verified, and nothing blocks it."""
        about_the_work = stopped.conclusion in _UNFINISHED
        return self._settings.draft_on_failure and about_the_work and verification is not None and not self._blocked

    def close(self) -> None:
        self._cells.close()

    def kept_patch(self) -> KeptPatch | None:
        """What the agent has changed until now, for people."""
        return kept_patch(self._scratch, self._settings, self._world.redact)

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
            llm_id=loop.llm_id or self._settings.llm.model,
            soft_limit_reached=loop.soft_limit_reached,
            extra=extra,
        )

    def _before_call(self) -> Stopped | None:
        """Say what the base fails by itself, once; stop when no change could ever be planned."""
        if self._base_first is None:
            return None
        stopped = self._base_first.before_call()
        new = [c for c in self._base_first.plans.failures.checks if (c.name, c.subject) not in self._told]
        if new and stopped is None:
            self._told |= {(c.name, c.subject) for c in new}
            checks = self._fenced([check_material(c) for c in new])
            self._loop.say(fill("agent/prompts/failing_on_base.md", checks=checks))
        return stopped

    def _excused(self, root: TerraformRoot, check: CheckResult) -> CheckResult:
        """A check of the scratch tree; what the base fails in the same way is not the change's."""
        if self._base_first is None:
            return check
        subject = root.path if check.name == "validate" else check.subject
        read = partial(read_file, self._scratch.root)
        return self._base_first.plans.failures.excused(check, subject, read)

    def _fenced(self, material: object) -> str:
        return self._world.redact(fenced(self._briefing.boundary, material))

    def _note(self, turn: int, cost_usd: float, what: str) -> None:
        self._world.reporter.turn(turn, cost_usd, what)
        if turn % SHOW_EVERY_TURNS == 1:
            self._show(f"turn {turn}, ${cost_usd:.2f} so far")

    def _check(self) -> dict[str, Any]:
        """The tool `check`: findings and checks for the llm. Nothing is executed while a rule blocks."""
        pinned = pin_actions(self._world.branches, self._settings.policy, self._scratch)
        try:
            formatted = format_files(self._world.terraform, self._settings.policy, self._scratch)
        except ToolchainError:  # the checks below say that they were not run, and why
            formatted = ()
        changes = self._scratch.change_set()
        if not changes.changes:
            return {"passed": False, "note": "nothing is changed yet"}
        verdict = judge_sources(self._world, self._settings, self._scratch.base, changes)
        shown: dict[str, Any] = {
            "changed": list(changes.paths),
            "findings": findings_material(verdict.findings),
        }
        if pinned:
            count = f"the tags of {len(pinned)} actions"
            shown["pinned"] = f"code replaced {count} by commits: read the workflow again before you edit it"
        if formatted:
            shown["formatted"] = f"code formatted {', '.join(formatted)}: read them again before you edit them in place"
        if any(not is_workflow(f.place.path) for f in verdict.blocking):
            note = "a finding blocks, so nothing was executed; fix it and check again"
            return {"passed": False, **shown, "note": note}
        results = self._terraform_checks(changes)
        shown["checks"] = [check_material(r) for r in results]
        passed = not verdict.blocked and all(r.status is not CheckStatus.FAILED for r in results)
        return {"passed": passed, **shown}

    def _terraform_checks(self, changes: ChangeSet) -> list[CheckResult]:
        """Of each touched root (the first `MAX_CHECKED_ROOTS`, each in its first environment), without credentials,
        side by side: fmt; init where it is needed, and validate. Verification checks all of them.
        """
        terraform, scratch = self._world.terraform, self._scratch
        tree = source_tree(scratch.base, self._settings.policy).with_changes(changes)
        roots = tree.affected_roots(changes.paths)[:MAX_CHECKED_ROOTS]
        served = [root for root in roots if root.environments]
        broken: ToolchainError | None = None
        try:
            if served:
                terraform.self_test()
                # Before any job, so that nothing of the llm's runs beside the tokens of module hosts.
                fetch_modules(terraform, self._world.redact, scratch.base, served)
        except ToolchainError as error:
            broken = error
        jobs: dict[str, Callable[[], tuple[CheckResult, ...]]] = {}
        for root in served:
            target = TerraformTarget(root=root, environment=root.environments[0])
            inputs = init_inputs(root, tree.paths, tree.read)
            jobs[f"validate {root.path}"] = (
                partial(self._cells.validate, scratch.root, target, inputs)
                if broken is None
                else partial(_not_run, root, broken)
            )
        for root in roots:
            jobs[f"fmt {root.path}"] = lambda root=root: (terraform.fmt(scratch.root, root),)  # type: ignore[misc]
        done = run_all(terraform, jobs)
        self._cells.keep_at_most(MAX_CHECKED_ROOTS)
        return [
            self._excused(root, check)
            for root in roots
            for name in ("fmt", "validate")
            for check in done.get(f"{name} {root.path}", ())
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """An initialised workspace: for which target, and by which inputs of init. `close` ends it."""

    target: TerraformTarget
    inputs: str
    workspace: TerraformWorkspace
    close: ExitStack


class KeptCells:
    """Where the tool `check` validates: a cell for each root, without credentials, kept from one check to the next.

    A cell serves again while the target and what init reads of it (terraform.modules.init_inputs) are the same; its
    files are taken anew each time. Verification never uses one of these.
    """

    def __init__(self, terraform: Terraform, providers: tuple[str, ...]) -> None:
        self._terraform = terraform
        self._providers = providers
        self._kept: dict[str, _Kept] = {}

    def validate(self, tree: Path, target: TerraformTarget, inputs: str) -> tuple[CheckResult, ...]:
        """The results of init, if it was needed, and of validate. Without a usable engine neither is run.

        Calls for different roots may come from different threads.
        """
        kept = self._kept.pop(target.root.path, None)
        try:
            checks: tuple[CheckResult, ...] = ()
            if kept is not None and (kept.target, kept.inputs) == (target, inputs):
                kept.workspace.refresh(tree)
            else:
                _end(kept)
                kept, checks = self._initialised(tree, target, inputs)
            if kept is None:
                return checks
            checks = (*checks, kept.workspace.validate())
        except OpsAgentError as error:
            _end(kept)
            if not isinstance(error, ToolchainError):
                raise
            return _not_run(target.root, error)
        self._kept[target.root.path] = kept
        return checks

    def keep_at_most(self, count: int) -> None:
        """End the cells that were used longest ago."""
        for path in list(self._kept)[: max(0, len(self._kept) - count)]:
            _end(self._kept.pop(path))

    def close(self) -> None:
        self.keep_at_most(0)

    def _initialised(
        self, tree: Path, target: TerraformTarget, inputs: str
    ) -> tuple[_Kept | None, tuple[CheckResult, ...]]:
        """A new cell, and the result of init; no cell when it failed."""
        with ExitStack() as stack:
            workspace = stack.enter_context(self._terraform.workspace(tree, target, None, providers=self._providers))
            init = workspace.init()
            if init.status is not CheckStatus.PASSED:
                return None, (init,)
            return _Kept(target=target, inputs=inputs, workspace=workspace, close=stack.pop_all()), (init,)


def _not_run(root: TerraformRoot, why: ToolchainError) -> tuple[CheckResult, ...]:
    return (CheckResult(name="validate", subject=root.path, status=CheckStatus.NOT_RUN, output=str(why)),)


def _end(kept: _Kept | None) -> None:
    if kept is not None:
        kept.close.close()


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


def _stopped_by(ending: Ending) -> Stopped:
    """The agent declines. The conclusion is ours; its words become questions and proposals, neutralised when shown."""
    conclusion, reason, remedy = _ENDINGS[ending.kind]
    said = (ending.description,) if ending.description.strip() else ()
    asked = ending.questions if ending.kind == "needs_info" else ()
    return Stopped(conclusion, reason, remedy, questions=asked or said, proposed_issues=ending.proposed_issues)


def _given_up(verdict: Verdict, verification: Verification | None, rounds: int) -> Stopped:
    if verdict.blocked:
        return Stopped(
            Conclusion.BLOCKED_BY_POLICY,
            f"The change breaks rules of the guard, still after {rounds} repair rounds.",
            "Read the findings; change what the issue asks for, or do this part by hand.",
            findings=verdict.blocking,
        )
    failed = verification.failed if verification is not None else ()
    names = ", ".join(f"{c.name} of {c.subject}" for c in failed[:5])
    in_plan = bool(failed) and all(c.name == "plan" for c in failed)
    return Stopped(
        Conclusion.PLAN_FAILED if in_plan else Conclusion.CHECKS_FAILED,
        f"{len(failed)} check{'s' if len(failed) > 1 else ''} failed, still after {rounds} repair rounds: {names}.",
        "Read the checks' output in the job summary; make the issue's text more exact, and re-apply the label.",
        findings=tuple(f for c in failed for f in c.findings),
    )
