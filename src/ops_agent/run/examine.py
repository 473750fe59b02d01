"""What `edit`, `check`, `assert` and `dispute` find out about the agent's work so far, as facts for the llm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ops_agent.agent.material import advice_material, checks_material, findings_material, plans_material
from ops_agent.agent.pitfalls import pitfalls_of_change
from ops_agent.config.settings import Settings
from ops_agent.guard.disputes import with_disputes
from ops_agent.guard.paths import is_workflow
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.conversation import Assertion, Briefing
from ops_agent.model.errors import ToolchainError
from ops_agent.model.finding import Dispute, Finding, Verdict
from ops_agent.model.ports import Scratch, World
from ops_agent.pages.fragments import counted
from ops_agent.plan.evidence import Look, look_at
from ops_agent.run.check import Checks
from ops_agent.run.continued import Continued, Judging
from ops_agent.run.describe import Types
from ops_agent.run.judge import judge_plans, judge_sources, pin_actions, readers
from ops_agent.run.target import BasePlans


class Examiner:
    """Over the scratch tree of one conversation. `close` it: it holds copies of the tree."""

    def __init__(
        self,
        world: World,
        settings: Settings,
        scratch: Scratch,
        plans: BasePlans,
        briefing: Briefing,
        disputes: Sequence[Dispute],
        judging: Judging | None = None,
    ) -> None:
        """`plans` is what the run knows of the base; `disputes` are the agent's, which it adds to; `judging` is the
        judge of a branch that is continued.
        """
        self._world, self._settings, self._scratch, self._judging = world, settings, scratch, judging
        self._labels, self._pitfalls = briefing.labels_by_writers, {*briefing.pitfalls}
        self._checks, self._types = Checks(world, settings, scratch, plans), Types(world, settings, scratch, plans)
        self.describe = self._types.describe
        self._disputes = disputes
        self._judged: tuple[str, Verdict, str] | None = None
        self._formed = ""
        self._told = set[tuple[str, str, str]]()

    def close(self) -> None:
        self._types.close()
        self._checks.close()

    def settle(self, paths: Sequence[str]) -> dict[str, Any]:
        """After an edit of `paths`: format, pin and judge. The findings are those of `paths`, and what else is new."""
        shown, changes = self._in_form()
        verdict, _ = self._verdict(changes)
        new = [f for f in verdict.findings if not f.pre_existing]
        here = tuple(f for f in new if f.place.path in paths or (f.rule, f.place.path, f.what) not in self._told)
        self._told = {(f.rule, f.place.path, f.what) for f in new}
        found = {"findings": findings_material(here)} if here else {}
        return {**shown, **found, **self._pitfalls_of(changes)}

    def check(self) -> dict[str, Any]:
        """Findings, checks and offline plans. Nothing is executed while a rule over Terraform blocks."""
        formed, changes = self._in_form()
        if not changes.changes:
            return {"passed": False, "note": "nothing is changed yet"}
        verdict, held = self._verdict(changes)
        new = tuple(f for f in verdict.findings if not f.pre_existing)
        shown = {"changed": list(changes.paths), "findings": findings_material(new), **formed}
        shown |= self._pitfalls_of(changes)
        if old := len(verdict.findings) - len(new):
            shown["on_the_base_already"] = counted(old, "finding")
        if _may_not_run(verdict):
            note = "a finding blocks, so nothing was executed; fix it and check again"
            return {"passed": False, **shown, "note": note}
        if held:
            return {"passed": not verdict.blocked, **shown, "note": held}
        verification = self._checks.verify(changes)
        shown["checks"] = checks_material(verification.all_checks)
        if plans := plans_material(verification.targets, self._labels):
            shown["plans"] = plans
        judged = judge_plans(self._labels, verdict, verification)
        of_plans = judged.findings[len(verdict.findings) :]
        if advice := [f for f in of_plans if f.certain and not (f.blocks or f.pre_existing)]:
            shown["standards"] = advice_material(advice)
        return {"passed": verification.passed and not judged.blocked, **shown}

    def look(self, assertions: Sequence[Assertion]) -> list[dict[str, Any]]:
        """Whether each piece of evidence holds in the files and in offline plans, which are made as for `check`."""
        _, changes = self._in_form()
        verdict, held = self._verdict(changes)
        runs = bool(changes.changes) and not held and not _may_not_run(verdict)
        targets = self._checks.verify(changes).targets if runs else ()
        before, after = readers(self._scratch.base, self._scratch)
        return [_shown(look_at(one, targets, before, after)) for one in assertions]

    def findings(self) -> tuple[Finding, ...]:
        """Of the rules over files, in the change as it is now."""
        _, changes = self._in_form()
        return self._verdict(changes)[0].findings

    def _in_form(self) -> tuple[dict[str, Any], ChangeSet]:
        """Pin actions and format; what that changed, and the change set then."""
        changes = self._scratch.change_set()
        if changes.digest == self._formed:
            return {}, changes
        pinned = pin_actions(self._world.branches, self._settings.policy, self._scratch)
        try:
            formatted = self._checks.format()
        except ToolchainError:  # `check` says that nothing was run, and why
            return {}, self._scratch.change_set()
        shown = {
            **({"pinned": f"code replaced {counted(len(pinned), 'action tag')} by commits"} if pinned else {}),
            **({"formatted": list(formatted)} if formatted else {}),
        }
        changes = self._scratch.change_set()
        self._formed = changes.digest
        return shown, changes

    def _pitfalls_of(self, changes: ChangeSet) -> dict[str, Any]:
        """Of the resource types that the change touches, each once in a run."""
        told = pitfalls_of_change(changes, self._pitfalls)
        self._pitfalls |= {one.id for one in told}
        return {"pitfalls": [one.line for one in told]} if told else {}

    def _verdict(self, changes: ChangeSet) -> tuple[Verdict, str]:
        """Of the source rules, and why nothing may be executed; made once for the same files."""
        if self._judged is None or self._judged[0] != changes.digest:
            if self._judging is not None and isinstance(self._scratch, Continued):
                verdict, held = self._judging.sources(self._scratch)
            else:
                verdict, held = judge_sources(self._world, self._settings, self._scratch.base, changes), ""
            self._judged = changes.digest, verdict, held
        return with_disputes(self._judged[1], self._disputes), self._judged[2]


def _may_not_run(verdict: Verdict) -> bool:
    return any(not is_workflow(found.place.path) for found in verdict.blocking)


def _shown(look: Look) -> dict[str, Any]:
    """What the llm is told about one piece of evidence."""
    if not look.holds:
        return {"holds": "no" if look.holds is False else "cannot tell", "seen": look.why}
    facts = {
        "environments": [*look.where],
        "note": "already so without the change" if look.on_base else "",
        "seen": "only in the file: no plan shows it, so it proves nothing" if look.only_seen else "",
    }
    return {"holds": "yes"} | {name: fact for name, fact in facts.items() if fact}
